"""The command: misuse is one line and status 2; building, serving, exporting, benchmarks."""

import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import click
import pytest
from tiny_book import pretend_run, write_chapter

from nthbook.book import UsageError
from nthbook.cli.main import EXIT_CODES, FIRST_LINES, SECTIONS, main, nth
from nthbook.run import execute
from nthbook.share.server import site_server
from nthbook.site import build as site


@pytest.fixture
def ran(monkeypatch):
    """Record what would be run, and run nothing."""
    names: list[str] = []

    def pretend(requests, _settings):
        names.extend(request.chapter.name for request in requests)
        return []

    monkeypatch.setattr(execute, "run_chapters", pretend)
    return names


@pytest.fixture
def built(monkeypatch):
    """Record that the site was built, and build nothing."""
    books = []

    def build(book, **_options):
        books.append(book)
        return book.html_dir / "index.html"

    monkeypatch.setattr(site, "build_site", build)
    return books


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["bake"], "no command 'bake'"),
        (["buidl"], "did you mean build?"),
        (["--bake"], "--bake"),
        (["run", "--bake"], "--bake"),
        (
            ["run", "alhpa"],
            "no chapter 'alhpa' (did you mean alpha?); the chapters are alpha, beta",
        ),
        (["run", "--profile", "slow"], "'slow' is not one of 'smoke', 'quick', 'full'"),
        (["run", "--jobs", "0"], "--jobs"),
        (["run", "alpha", "-p", "widths"], "-p takes NAME=VALUE, not 'widths'"),
        (["run", "alpha", "-p", "width=[3]"], "parameters are profile, scale, seeds, widths"),
        (["run", "alpha", "-p", "widths=wide"], "chapter alpha: widths must be a list"),
        (["run", "alpha", "-p", "profile=full"], "use --profile"),
        (["run", "-p", "widths=[3]"], "-p needs the name of a chapter"),
        (["list", "alpha"], "alpha"),
        (["check", "alhpa"], "no chapter 'alhpa' (did you mean alpha?)"),
        (["check", "--json", "--save", "kept.json"], "--json and --save exclude each other"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        (["serve"], "there is no site yet"),
        (["serve", "--port", "many"], "--port"),
        (["export"], "DIR"),
        (["bench"], "no benchmarks"),
    ],
)
def test_misuse_is_one_line_and_status_2(book, capsys, command, message):
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nth: ")
    assert err.count("\n") == 1
    assert message in err
    assert not book.build.exists()


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_chapter_that_the_table_of_contents_lacks_is_told_so(book, capsys, command):
    (book.chapters_dir / "gamma.md").write_text("# Gamma\n")
    assert main([command, "gamma"]) == 2
    message = "nth: no chapter 'gamma': _toc.yml does not name book/chapters/gamma yet\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("command", ["list", "run", "build", "book", "check", "serve", "bench"])
def test_outside_a_book(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    assert main([command]) == 2
    err = capsys.readouterr().err
    assert err.startswith("nth: no book here")
    assert err.count("\n") == 1


def test_help_teaches(capsys):
    assert main([]) == 0
    overview = capsys.readouterr().out
    assert max(map(len, overview.splitlines())) <= 80
    for line, comment in FIRST_LINES:
        assert re.search(rf"^  {re.escape(line)} +# {re.escape(comment)}$", overview, re.MULTILINE)
    for code, meaning in EXIT_CODES:
        assert f"  {code} " in overview
        assert " ".join(meaning.split()) in " ".join(overview.split())
    assert main(["--version"]) == 0


@pytest.mark.parametrize("name", nth.list_commands(click.Context(nth)))
def test_every_command_is_listed_whole_and_shows_an_example(name, capsys):
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    summary = nth.commands[name].get_short_help_str(1000)
    assert summary
    assert f" {name} {summary}" in " ".join(overview.split())
    assert main([name, "--help"]) == 0
    page = capsys.readouterr().out
    assert f"Usage: nth {name}" in page
    assert re.search(rf"^Examples?:\n(  .*\n)*?  .*nth {name}", page, re.MULTILINE)


def test_every_command_stands_in_one_section():
    placed = [name for names in SECTIONS.values() for name in names]
    assert len(set(placed)) == len(placed)
    assert set(nth.commands) <= set(placed)


def test_the_command_starts_without_jax(book):
    code = """
import sys
from nthbook.cli.main import main
main(["--help"])
main(["check", "--help"])
main(["completion", "zsh"])
print({"jax", "papermill"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("set()\n")


def test_a_folder_that_cannot_be_written_is_one_line(book, capsys):
    (book.root / "build").write_text("a file", encoding="utf-8")
    assert main(["run", "alpha"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_only_stale_chapters_run(book, ran, capsys):
    pretend_run(book, "alpha")
    assert main(["run"]) == 0
    assert ran == ["beta"]
    assert capsys.readouterr().out == "alpha: up to date\nbeta: runs (never ran)\n"


def test_named_chapters_run_in_book_order(book, ran):
    assert main(["run", "beta", "alpha", "beta"]) == 0
    assert ran == ["alpha", "beta"]


def test_force_runs_what_is_up_to_date(book, ran, capsys):
    pretend_run(book, "alpha")
    assert main(["run", "alpha", "--force"]) == 0
    assert ran == ["alpha"]
    assert capsys.readouterr().out == "alpha: runs (forced)\n"


def test_misuse_in_one_chapter_runs_none(book, ran):
    write_chapter(book, "beta", "")
    path = book.chapter_path("beta")
    path.write_text(path.read_text(encoding="utf-8").replace("seeds = 4", ""), encoding="utf-8")
    assert main(["run"]) == 2
    assert ran == []


def test_build_runs_no_chapter(book, ran, built):
    assert main(["build"]) == 0
    assert ran == []
    assert len(built) == 1


def test_book_runs_and_builds_and_shows_what_failed_as_last_run(book, built, monkeypatch, capsys):
    monkeypatch.setattr(execute, "run_chapters", lambda requests, settings: ["alpha"])
    assert main(["book"]) == 1
    assert len(built) == 1
    assert str(book.html_dir / "index.html") in capsys.readouterr().out


def test_a_site_that_cannot_be_built_is_status_1(book, monkeypatch, capsys):
    def fail(book, **_options):
        raise site.SiteError("a page is missing")

    monkeypatch.setattr(site, "build_site", fail)
    assert main(["build"]) == 1
    assert capsys.readouterr().err == "nth: a page is missing\n"


def test_ctrl_c_is_one_line(book, monkeypatch, capsys):
    def interrupt(requests, _settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "run_chapters", interrupt)
    assert main(["run"]) == 130
    assert capsys.readouterr().err.strip() == "nth: interrupted; no kernel is left running"


def test_a_run_says_when_a_claim_was_judged_without_a_control(book, ran, capsys):
    path = book.claims_dir / "alpha.json"
    verdict = {"id": "one", "control": False, "value": 0, "low": 0, "high": 0, "outcome": "fails"}
    pretend_run(book, "alpha", seeds=8)
    path.write_text(json.dumps({**json.loads(path.read_text()), "verdicts": [verdict]}))
    assert main(["run", "alpha"]) == 0
    assert capsys.readouterr().err == "problem: chapter alpha judges one without a control\n"


def test_list_shows_claims_times_and_state(book, capsys):
    pretend_run(book, "alpha")
    book.chapter_path("beta").write_text("# nothing\n", encoding="utf-8")
    assert main(["list"]) == 0
    head, _, alpha, *beta = capsys.readouterr().out.splitlines()
    assert head.split() == ["chapter", "expected", "last", "run", "state", "claims"]
    assert alpha.split() == ["alpha", "2.0", "s", "1.0", "s", "(quick)", "up", "to", "date", "one"]
    words = " ".join(" ".join(beta).split())
    assert "one code cell must be tagged parameters" in words


def test_the_site_is_served_to_this_machine_alone(book):
    book.html_dir.mkdir(parents=True)
    (book.html_dir / "index.html").write_text("the book", encoding="utf-8")
    (book.html_dir / "folder").mkdir()
    with site_server(book, 0) as server:
        host, port = server.server_address
        assert host == "127.0.0.1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with urllib.request.urlopen(f"http://{host}:{port}/") as page:
                assert page.read() == b"the book"
            for path in ("folder/", "..%2f..%2f_toc.yml", "../../_toc.yml"):
                with pytest.raises(urllib.error.HTTPError) as caught:
                    urllib.request.urlopen(f"http://{host}:{port}/{path}")
                assert caught.value.code == 404
                caught.value.close()
            with pytest.raises(UsageError, match="--port"):
                site_server(book, port)
        finally:
            server.shutdown()
            thread.join()


def test_bench_runs_in_the_books_folder_and_passes_its_status_on(book, capfd, monkeypatch):
    (book.root / "benchmarks").mkdir()
    code = "import sys, pathlib\nprint(pathlib.Path.cwd(), *sys.argv[1:])\nsys.exit(3)\n"
    (book.root / "benchmarks" / "__main__.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(book.chapters_dir)
    assert main(["bench", "--", "--rounds", "2"]) == 3
    assert capfd.readouterr().out == f"{book.root} --rounds 2\n"
