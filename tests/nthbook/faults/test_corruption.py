"""Files that a crash or a bad disk has left cut off or full of noise."""

import random
import weakref

import nbformat
import pytest
from runs import good_output, is_one_line
from tiny_book import pretend_run

import nthlib as nth
from nthbook.cli.main import main
from nthbook.run.record import read_record

pytestmark = pytest.mark.fault


def cut(contents: bytes) -> bytes:
    return contents[: len(contents) // 3]


def empty(_: bytes) -> bytes:
    return b""


def noise(contents: bytes) -> bytes:
    return random.Random(1).randbytes(len(contents))


def other_json(_: bytes) -> bytes:
    return b'["neither a notebook nor a record"]'


def nulls(contents: bytes) -> bytes:
    """What a file system may show of a file written just before the power failed."""
    return bytes(len(contents))


DAMAGES = [cut, empty, noise, nulls, other_json]
COMMANDS = (["list"], ["check"])


def harm(path, damage) -> None:
    path.write_bytes(damage(path.read_bytes()))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("executed/alpha.ipynb", "its notebook is missing or of another run"),
        ("claims/alpha.json", "never ran"),
    ],
)
def test_an_output_that_cannot_be_read_is_stale(book, capsys, name, state, damage):
    pretend_run(book, "alpha")
    harm(book.build / name, damage)
    assert main(["list"]) == 0
    out, err = capsys.readouterr()
    assert f"stale: {state[:24]}" in out
    assert err == ""
    assert main(["check"]) == 1
    sentences = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("problem: chapter alpha ") for line in sentences) == 1
    assert all(line.startswith("problem: ") for line in sentences)


def test_running_again_mends_it(book):
    pretend_run(book, "alpha")
    harm(book.executed_dir / "alpha.ipynb", noise)
    harm(book.claims_dir / "alpha.json", noise)
    assert main(["run", "alpha"]) == 0
    assert len(read_record(book, "alpha").verdicts) == 2
    notebook = nbformat.read(book.executed_dir / "alpha.ipynb", as_version=4)
    assert notebook.metadata["nth"]["run_id"] == read_record(book, "alpha").run_id


@pytest.mark.parametrize("damage", [cut, noise])
@pytest.mark.parametrize("name", ["executed/example.ipynb", "claims/example.json"])
def test_the_site_is_not_built_from_half_an_output(small_book, monkeypatch, capsys, name, damage):
    monkeypatch.chdir(small_book.root)
    small_book.html_dir.mkdir(parents=True)
    (small_book.html_dir / "index.html").write_text("the last good site", encoding="utf-8")
    harm(small_book.build / name, damage)
    assert main(["build"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("nth: chapter example has no finished run; run it with: nth run example")
    assert "Traceback" not in said
    assert (small_book.html_dir / "index.html").read_text() == "the last good site"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_note_of_a_failure_that_cannot_be_read_is_no_failure(book, capsys, damage):
    pretend_run(book, "alpha")
    pretend_run(book, "beta")
    book.logs_dir.mkdir()
    note = book.logs_dir / "alpha.json"
    note.write_text('{"chapter": "alpha", "profile": "quick", "error": "', encoding="utf-8")
    harm(note, damage)
    assert main(["list"]) == 0
    assert capsys.readouterr().out.count("up to date") == 2


def unclosed(contents: bytes) -> bytes:
    """Cut off where a list is open."""
    return contents[: len(contents) // 3] + b"\nlist = [ ["


def check_misuse(command: str, name: str, capsys) -> None:
    assert main([command]) == 2
    out, err = capsys.readouterr()
    assert is_one_line(err)
    assert name in err
    assert out == ""


@pytest.mark.parametrize("damage", [unclosed, noise, nulls])
@pytest.mark.parametrize("name", ["book/claims.toml", "_toc.yml"])
def test_settings_that_cannot_be_read_are_one_line(book, capsys, name, damage):
    pretend_run(book, "alpha")
    before = good_output(book)
    harm(book.root / name, damage)
    for command in ("list", "run", "check"):
        check_misuse(command, name, capsys)
    assert good_output(book) == before


@pytest.mark.parametrize("damage", [unclosed, noise])
@pytest.mark.parametrize("name", ["book/claims.toml", "_toc.yml"])
def test_no_site_is_built_by_settings_that_cannot_be_read(
    small_book, monkeypatch, capsys, name, damage
):
    monkeypatch.chdir(small_book.root)
    harm(small_book.root / name, damage)
    check_misuse("build", name, capsys)
    assert not small_book.html_dir.exists()


@pytest.mark.parametrize("name", ["book/claims.toml", "_toc.yml", "book/chapters/alpha.md"])
def test_settings_cut_off_anywhere_never_end_in_a_traceback(book, capsys, name):
    path = book.root / name
    whole = path.read_bytes()
    for length in random.Random(1).sample(range(len(whole)), 12):
        path.write_bytes(whole[:length])
        for command in COMMANDS:
            assert main(command) in (0, 1, 2)
            err = capsys.readouterr().err
            assert all(line.startswith(("nth: ", "problem: ")) for line in err.splitlines())


def test_an_empty_table_of_contents_is_one_line(book, capsys):
    (book.root / "_toc.yml").write_text("", encoding="utf-8")
    for command in ("list", "run", "check"):
        assert main([command]) == 2
        assert is_one_line(capsys.readouterr().err)


def square(case, log):
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{case} ")
    return {"square": case**2}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cell_of_the_cache_that_cannot_be_read_is_computed_again(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    log = tmp_path / "log"
    expected = [{"square": 4}, {"square": 9}, {"square": 16}]
    assert nth.run_cells(square, [2, 3, 4], log=log) == expected
    harm(min((tmp_path / "cache").rglob("output.pkl")), damage)
    assert nth.run_cells(square, [2, 3, 4], log=log) == expected
    assert len(log.read_text(encoding="utf-8").split()) == 4
    assert nth.run_cells(square, [2, 3, 4], log=log) == expected
    assert len(log.read_text(encoding="utf-8").split()) == 4


@pytest.mark.parametrize("damage", [cut, nulls, other_json])
@pytest.mark.parametrize("name", ["metadata.json", "func_code.py"])
def test_what_stands_beside_a_cell_in_the_cache_may_be_lost(tmp_path, monkeypatch, name, damage):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    log = tmp_path / "log"
    forget_functions(monkeypatch)
    assert nth.run_cells(square, [2, 3], log=log) == [{"square": 4}, {"square": 9}]
    paths = list((tmp_path / "cache").rglob(name))
    assert paths
    for path in paths:
        harm(path, damage)
    forget_functions(monkeypatch)
    assert nth.run_cells(square, [2, 3], log=log) == [{"square": 4}, {"square": 9}]


def forget_functions(monkeypatch) -> None:
    """Let joblib look at the cache as it does in a new process."""
    monkeypatch.setattr("joblib.memory._FUNCTION_HASHES", weakref.WeakKeyDictionary())
