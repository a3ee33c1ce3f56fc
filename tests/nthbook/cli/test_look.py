"""``nth list`` and ``nth check`` for a program, and on terminals of all kinds."""

import io
import json
import os
import pty
import sys

import click
import pytest
from tiny_book import pretend_run, write_chapter, write_claims

from nthbook import terminal
from nthbook.cli.main import main
from nthbook.ledger.data import ledger_data
from nthbook.ledger.rows import ledger_rows
from nthbook.terminal import Cell, table

HEAD = ("claim", "state", "words")
ROWS = [
    (Cell("a-rather-long-name"), Cell("stale", "bad"), Cell("several words of one cell")),
    (Cell("short"), Cell("fresh", "good"), Cell("-")),
]


def _document(capsys, command, status):
    """Run a command that must print one JSON document and nothing else."""
    assert main(command) == status
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out, parse_constant=pytest.fail)


def test_list_for_a_program(book, capsys):
    pretend_run(book, "alpha", seeds=8)
    book.chapter_path("beta").write_text("# nothing\n", encoding="utf-8")
    found = _document(capsys, ["list", "--json"], 0)
    assert found["profile"] == "quick"
    alpha, beta = found["chapters"]
    assert alpha == {
        "name": "alpha",
        "source": "book/chapters/alpha.md",
        "claims": ["one"],
        "expected_seconds": 2.0,
        "last_run": {
            "profile": "quick",
            "overrides": {"seeds": 8},
            "started": "2026-01-01T00:00:00+00:00",
            "seconds": 1.0,
            "peak_memory_mb": None,
        },
        "stale": True,
        "reasons": ["parameters changed: seeds"],
        "problem": None,
    }
    assert beta["last_run"] is beta["stale"] is None
    assert beta["reasons"] == []
    assert "one code cell must be tagged parameters" in beta["problem"]
    assert beta.keys() == alpha.keys()


def test_check_for_a_program(book, capsys):
    pretend_run(book, "alpha")
    found = _document(capsys, ["check", "--json"], 1)
    assert set(found) == {"sound", "counts", "checks", "claims", "problems"}
    assert found["sound"] is False
    assert found["claims"] == json.loads(ledger_data(ledger_rows(book)))
    assert found["counts"].pop("unmeasured") == 2
    assert set(found["counts"]) == {
        "held", "failed", "sharpness_failed", "expectation_failed", "undecided", "invalid",
        "recorded",
    }  # fmt: skip
    assert set(found["checks"]) == {
        "held", "failed", "undecided", "invalid", "recorded", "unmeasured",
    }  # fmt: skip
    assert not any(found["counts"].values())
    assert main(["check"]) == 1
    printed = [line.removeprefix("problem: ") for line in capsys.readouterr().err.splitlines()]
    assert found["problems"] == printed


def test_a_sound_book_for_a_program(book, capsys):
    write_claims(book)
    for name in book.chapter_names():
        pretend_run(book, name)
    found = _document(capsys, ["check", "--json"], 0)
    assert (found["sound"], found["claims"], found["problems"]) == (True, [], [])


@pytest.mark.parametrize(("low", "status"), [(-0.9, 1), (-0.52, 0)])
def test_a_comparison_for_a_program(book, capsys, monkeypatch, low, status):
    rows = json.loads(ledger_data(ledger_rows(book)))
    measured = {"value": low, "low": low, "high": low + 0.1, "outcome": "holds"}
    (book.root / "kept.json").write_text(json.dumps([{**rows[0], "measured": measured}]))
    record = pretend_run(book, "alpha")
    path = book.claims_dir / "alpha.json"
    verdict = {"id": "one", "control": False, "value": -0.5, "low": -0.52, "high": -0.48}
    verdict |= {"outcome": "holds", "profile": record.profile}
    path.write_text(json.dumps({**json.loads(path.read_text()), "verdicts": [verdict]}))
    found = _document(capsys, ["check", "--json", "--against", "kept.json"], status)
    assert len(found.pop("problems")) == status
    assert found == {
        "sound": not status,
        "against": "kept.json",
        "compared": 1,
        "agree": 1 - status,
    }


def test_misuse_leaves_stdout_empty(book, capsys):
    assert main(["check", "--json", "--against", "none.json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


def test_in_a_pipe_a_chapter_is_one_line_without_control_characters(book, capsys):
    names = [f"claim-number-{index}" for index in range(30)]
    write_claims(book, *((name, "alpha", "theorem") for name in names))
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 4
    assert out.splitlines()[1] == "-" * 80
    assert all(name in out for name in names)
    assert not [letter for letter in out if ord(letter) < 32 and letter != "\n"]


@pytest.mark.parametrize("room", [None, 200, 60, 45, 30, 24])
def test_a_table_fits_and_says_the_same(room):
    text = click.unstyle(table(HEAD, ROWS, room))
    lines = text.splitlines()
    assert max(map(len, lines)) <= (room or 200)
    for word in ("long", "stale", "several", "cell", "short", "fresh", "words"):
        assert word in text
    if room is None or room > 45:
        assert "a-rather-long-name" in lines[2]
        assert lines[1] == "-" * len(lines[1])


def test_words_are_broken_only_where_there_is_no_room():
    assert "a-rather-long-name" in click.unstyle(table(HEAD, ROWS, 40))
    narrow = click.unstyle(table(HEAD, ROWS, 28)).splitlines()
    assert "a-rather-long-name" not in "".join(narrow)
    assert any(line.startswith("long-name") for line in narrow)


def test_letters_that_a_terminal_lacks_are_written_otherwise(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.echo("✓ holds −0.50 ± 0.10 ∂")
    stream.seek(0)
    assert stream.read() == "+ holds -0.50 +/- 0.10 ?\n"


def _on_a_terminal(monkeypatch, *command, **environment):
    """What a command shows on a terminal of eighty columns; little enough for its buffer."""
    host, guest = pty.openpty()
    with monkeypatch.context() as patch, os.fdopen(guest, "w", encoding="utf-8") as stream:
        patch.delenv("NO_COLOR", raising=False)
        for name, value in {"TERM": "xterm", "COLUMNS": "80", **environment}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdout", stream)
        main(command)
        stream.flush()
        shown = os.read(host, 65536)
    os.close(host)
    return shown.decode().replace("\r\n", "\n")


def test_colour_is_for_terminals_that_have_it(book, monkeypatch):
    coloured = _on_a_terminal(monkeypatch, "list")
    assert "\x1b[33m" in coloured
    assert max(map(len, click.unstyle(coloured).splitlines())) <= 80
    assert "\x1b[1m" in _on_a_terminal(monkeypatch, "--help")
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert _on_a_terminal(monkeypatch, "list", **plain) == click.unstyle(coloured)
        assert "\x1b" not in _on_a_terminal(monkeypatch, "--help", **plain)


def test_a_verdict_has_a_sign_and_a_word(book, capsys):
    write_chapter(book, "alpha", "")
    record = pretend_run(book, "alpha")
    path = book.claims_dir / "alpha.json"
    verdicts = [
        {"id": "one", "control": control, "value": -0.5, "low": -0.5, "high": -0.5}
        | {"outcome": outcome, "profile": record.profile}
        for control, outcome in ((False, "fails"), (True, "fails"))
    ]
    path.write_text(json.dumps({**json.loads(path.read_text()), "verdicts": verdicts}))
    assert main(["check"]) == 1
    row = capsys.readouterr().out.splitlines()[2]
    assert "✗ fails" in row
    assert "✓ breaks the claim (−0.50)" in row
