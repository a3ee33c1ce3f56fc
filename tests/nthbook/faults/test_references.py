"""What `nth check` compares with, where notebooks are copied to, and schedulers that are not."""

import dataclasses
import json
import socket
from pathlib import Path

import nbformat
import pytest
from runs import good_output, is_one_line
from tiny_book import pretend_run

from nthbook.cli.main import main
from nthbook.run.record import read_failure, read_record, write_record

pytestmark = pytest.mark.fault


def measure(book, low: float | None, high: float | None, outcome: str) -> None:
    """Pretend that alpha has measured claim one."""
    value = None if low is None or high is None else (low + high) / 2
    verdict = {"id": "one", "control": False, "value": value, "low": low, "high": high}
    verdict |= {"outcome": outcome, "profile": "quick", "cell": 3}
    write_record(book, dataclasses.replace(pretend_run(book, "alpha"), verdicts=[verdict]))


@pytest.fixture
def saved(book, capsys):
    """A reference in which claim one holds between -0.55 and -0.45."""
    measure(book, -0.55, -0.45, "holds")
    assert main(["check", "--save", "kept/ledger.json"]) == 0
    assert capsys.readouterr().out == "kept/ledger.json: 1 measured claims\n"
    return Path("kept/ledger.json")


@pytest.mark.parametrize(("value", "status"), [(-0.52, 0), (-0.39, 0), (-0.71, 1)])
def test_a_single_number_agrees_to_within_the_margin(book, saved, value, status):
    measure(book, value, value, "undecided")
    assert main(["check", "--against", str(saved)]) == status


@pytest.mark.parametrize(
    ("low", "high", "outcome", "status"),
    [
        (-0.55, -0.45, "holds", 0),
        (-0.46, -0.40, "holds", 0),
        (-0.60, -0.40, "undecided", 0),
        (-0.44, -0.40, "holds", 1),
        (-0.70, -0.56, "undecided", 1),
        (-0.50, -0.48, "fails", 1),
        (None, None, "invalid", 1),
    ],
)
def test_a_measurement_agrees_when_the_intervals_meet(
    book, saved, capsys, low, high, outcome, status
):
    measure(book, low, high, outcome)
    assert main(["check", "--against", str(saved)]) == status
    out, err = capsys.readouterr()
    assert out == f"1 claims compared with {saved}, {1 - status} agree\n"
    assert err.count("\n") == status
    if status:
        assert err.startswith(f"problem: claim one: {outcome} at ")
        assert "in the reference holds at " in err


def test_nothing_to_compare_is_no_agreement(book, saved, capsys):
    write_record(book, dataclasses.replace(pretend_run(book, "alpha"), verdicts=[]))
    assert main(["check", "--against", str(saved)]) == 2
    assert "no claim in it has been measured here" in capsys.readouterr().err


def test_a_measurement_that_was_no_number_can_be_kept_and_is_not_compared(book, capsys):
    measure(book, None, None, "invalid")
    assert main(["check", "--save", "ledger.json"]) == 0
    measure(book, -0.55, -0.45, "holds")
    assert main(["check", "--against", "ledger.json"]) == 2
    assert "no claim in it has been measured here" in capsys.readouterr().err


def test_a_reference_is_not_compared_and_kept_at_once(book, saved, capsys):
    assert main(["check", "--against", str(saved), "--save", "another.json"]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert not Path("another.json").exists()


ROW = {"id": "one", "measured": {"value": 0, "low": 0, "high": 0, "outcome": "holds"}}


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"[{",
        b"\xff\xfe\x00",
        b"null",
        b"3",
        b'"ledger"',
        b'{"one": 1}',
        b"[1]",
        b'[{"id": "one"}]',
        json.dumps([{**ROW, "measured": [1]}]).encode(),
        json.dumps([{**ROW, "measured": {**ROW["measured"], "low": "small"}}]).encode(),
        json.dumps([{**ROW, "measured": {**ROW["measured"], "outcome": ["holds"]}}]).encode(),
        json.dumps([{**ROW, "id": ["one"]}]).encode(),
    ],
)
def test_a_malformed_reference_is_one_line(book, capsys, contents):
    measure(book, -0.55, -0.45, "holds")
    Path("ledger.json").write_bytes(contents)
    assert main(["check", "--against", "ledger.json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert is_one_line(err)
    assert "--against ledger.json" in err


@pytest.mark.bad_input
@pytest.mark.parametrize("name", ["nowhere.json", "book", "book/claims.toml/x"])
def test_a_missing_reference_is_one_line(book, capsys, name):
    assert main(["check", "--against", name]) == 2
    assert is_one_line(capsys.readouterr().err)


@pytest.mark.bad_input
@pytest.mark.parametrize("name", ["book", "book/claims.toml/x"])
def test_a_ledger_that_cannot_be_kept_is_one_line(book, capsys, name):
    measure(book, -0.55, -0.45, "holds")
    before = good_output(book)
    assert main(["check", "--save", name]) in (1, 2)
    assert is_one_line(capsys.readouterr().err)
    assert good_output(book) == before


def test_an_executed_notebook_is_copied(book):
    assert main(["run", "alpha", "--copy-to", "copies/of today"]) == 0
    copy = nbformat.read("copies/of today/alpha.ipynb", as_version=4)
    assert copy == nbformat.read(book.executed_dir / "alpha.ipynb", as_version=4)


def test_a_run_is_good_although_its_copy_cannot_be_written(book, capfd):
    folder = "book/claims.toml"
    assert main(["run", "alpha", "--copy-to", folder]) == 1
    (line,) = [line for line in capfd.readouterr().err.splitlines() if folder in line]
    assert line.startswith(f"alpha ran, but was not copied to {folder}: ")
    assert read_record(book, "alpha") is not None
    assert read_failure(book, "alpha") is None
    assert main(["list"]) == 0
    assert "up to date" in capfd.readouterr().out


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "address",
    ["nonsense", "", "tcp://", "tcp://:8786", "tcp://host", "tcp://host:many", "tcp://h:99999",
     "http://127.0.0.1:80", "tcp://[::1:80"],
)  # fmt: skip
def test_an_address_of_no_scheduler_is_one_line(book, capsys, address):
    assert main(["run", "alpha", "--scheduler", address]) == 2
    err = capsys.readouterr().err
    assert is_one_line(err)
    assert "--scheduler must look like tcp://HOST:PORT" in err
    assert not book.build.exists()


@pytest.mark.bad_input
def test_a_scheduler_that_does_not_answer_is_one_line(book, capsys):
    address = f"tcp://127.0.0.1:{free_port()}"
    assert main(["run", "alpha", "--scheduler", address]) == 2
    err = capsys.readouterr().err
    assert is_one_line(err)
    assert f"no Dask scheduler answers at {address}" in err
    assert not book.build.exists()
