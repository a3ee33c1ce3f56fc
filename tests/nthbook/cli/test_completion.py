"""What a shell is offered after ``nth`` and a tab."""

import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from tiny_book import write_chapter

from nthbook.cli.main import main, nth


def _offered(*words):
    """The completions of the last word, after those before it."""
    *before, last = words
    engine = ShellComplete(nth, {}, "nth", "_NTH_COMPLETE")
    return [item.value for item in engine.get_completions(before, last)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_the_command(shell, capsys):
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"_NTH_COMPLETE={shell}_complete" in out


def test_commands_options_and_profiles(book):
    assert _offered("che") == ["check"]
    assert {"run", "build", "list", "completion"} <= set(_offered(""))
    assert _offered("check", "--j") == ["--json"]
    assert _offered("run", "--profile", "") == ["smoke", "quick", "full"]
    assert _offered("completion", "") == ["bash", "zsh", "fish"]
    assert _offered("bake", "che") == ["check"]


def test_chapters(book):
    assert _offered("run", "") == ["alpha", "beta"]
    assert _offered("run", "be") == ["beta"]
    assert _offered("run", "alpha", "") == ["beta"]
    assert _offered("run", "--profile", "smoke", "al") == ["alpha"]


def test_parameters_come_with_the_books_values(book):
    assert _offered("run", "alpha", "-p", "") == ["widths=[16,32]", "seeds=4", "scale=1.0"]
    assert _offered("run", "alpha", "-p", "wid") == ["widths=[16,32]"]
    assert _offered("run", "alpha", "-p", "seeds=8", "-p", "sc") == ["scale=1.0"]
    assert _offered("run", "-p", "") == []


def test_several_chapters_share_parameters(book):
    write_chapter(book, "beta", "")
    path = book.chapter_path("beta")
    text = path.read_text(encoding="utf-8").replace("scale = 1.0", "other = 1.0")
    path.write_text(text, encoding="utf-8")
    assert _offered("run", "alpha", "beta", "-p", "") == ["widths=[16,32]", "seeds=4"]


def test_outside_a_book_and_in_a_broken_chapter_nothing_is_offered(book, tmp_path, monkeypatch):
    book.chapter_path("alpha").write_text("# nothing\n", encoding="utf-8")
    assert _offered("run", "alpha", "-p", "") == []
    monkeypatch.chdir(tmp_path)
    assert _offered("run", "") == []


def test_a_shell_is_answered_without_jax(book):
    code = """
import os, sys
from nthbook.cli.main import main
try:
    main()
finally:
    print({"jax", "papermill", "jupytext"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"_NTH_COMPLETE": "bash_complete", "COMP_WORDS": "nth run al", "COMP_CWORD": "2"},
    )
    assert done.stdout == "plain,alpha\nset()\n"
