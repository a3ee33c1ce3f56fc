"""Durations as a person reads them; a log gets two lines for each chapter, no bar."""

import sys

import pytest

from nthbook.run.progress import ChapterProgress, format_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.9, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds, text):
    assert format_seconds(seconds) == text


def test_a_log_gets_a_line_at_the_start_and_one_at_the_end(capsys):
    with ChapterProgress("alpha", cells=2, expected=None) as progress:
        progress.cell_begins(1)
    assert capsys.readouterr().err.splitlines() == ["alpha: started", "alpha: done in 0.0 s"]


def test_a_chapter_that_raises_is_not_called_done(capsys):
    with pytest.raises(ValueError, match="wrong"), ChapterProgress("alpha", 2, 70.0):
        raise ValueError("wrong")
    assert capsys.readouterr().err == "alpha: started, about 1 min 10 s\n"


@pytest.mark.parametrize(("kind", "moves"), [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_gets_the_lines_of_a_log(kind, moves, capsys, monkeypatch):
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with ChapterProgress("alpha", cells=2, expected=None) as progress:
        progress.cell_begins(1)
    shown = capsys.readouterr().err
    assert ("\r" in shown) is moves
    assert ("alpha: started" in shown) is not moves
    assert shown.endswith("alpha: done in 0.0 s\n")
