"""A run killed at random moments: what was finished is neither lost nor computed again."""

import random
import time
from pathlib import Path

import joblib
import pytest
from runs import kill, processes_in, start, wait_for
from tiny_book import write_chapter

import nthlib as nth
from nthbook.cli.main import main
from nthbook.run.record import read_failure, read_record
from nthbook.run.stale import one_unit

pytestmark = pytest.mark.fault

LOG = Path("log")
SWEEP = """
import pathlib, time
import jax.numpy as jnp
import nthlib as nth

def note(line):
    with pathlib.Path("log").open("a") as log:
        log.write(line + "\\n")

def slow_root(case):
    note(f"start {case}")
    time.sleep(0.3)
    root = float(jnp.sqrt(case))
    note(f"end {case}")
    return case, root

roots = [root for _, root in nth.run_cells(slow_root, [2, 3, 5, 7, 11, 13])]
judge("one", min(roots), sum(roots), "holds")
judge("one", max(roots), max(roots), "fails", control=True)
"""


@pytest.fixture
def undisturbed(book, monkeypatch):
    """The verdicts of a run that nothing disturbs, and the seconds it takes."""
    write_chapter(book, "alpha", SWEEP)
    monkeypatch.setenv("NTH_BUILD_DIR", "build of the undisturbed run")
    began = time.monotonic()
    assert main(["run", "alpha"]) == 0
    seconds = time.monotonic() - began
    verdicts = read_record(book, "alpha").verdicts
    assert len(verdicts) == 2
    assert started(0) == [2, 3, 5, 7, 11, 13]
    monkeypatch.delenv("NTH_BUILD_DIR")
    LOG.unlink()
    return verdicts, seconds


def started(since: int) -> list[int]:
    """The cells that the log says were started, after its first ``since`` lines."""
    lines = LOG.read_text(encoding="utf-8").splitlines() if LOG.exists() else []
    return [int(line.split()[1]) for line in lines[since:] if line.startswith("start")]


def lines_logged() -> int:
    return len(LOG.read_text(encoding="utf-8").splitlines()) if LOG.exists() else 0


def kept(book) -> set[int]:
    """The cells whose results are in the cache."""
    return {joblib.load(path)[0] for path in book.cache_dir.rglob("output.pkl")}


def check_whole(book, verdicts) -> None:
    """A killed run leaves a whole result or none, and is no failure."""
    record = read_record(book, "alpha")
    assert read_failure(book, "alpha") is None
    if record is not None:
        assert record.verdicts == verdicts
        assert one_unit(book, record)


def run_and_kill(book, wait) -> tuple[set[int], str]:
    """Kill a run after ``wait()``; return the cells kept once all its processes are gone."""
    run = start("run", "alpha")
    wait()
    said = kill(run)
    wait_for(lambda: not processes_in(book.root), "the end of the kernel")
    return kept(book), said


def kill_often(book, verdicts, waits) -> None:
    """Kill one run after another, then let one finish."""
    known: set[int] = set()
    for wait in waits:
        before = lines_logged()
        after, said = run_and_kill(book, wait)
        assert known.isdisjoint(started(before))
        assert known <= after
        assert "Traceback" not in said
        check_whole(book, verdicts)
        known = after
    before = lines_logged()
    assert main(["run", "alpha"]) == 0
    assert known.isdisjoint(started(before))
    assert known.union(started(before)) == {2, 3, 5, 7, 11, 13}
    assert read_record(book, "alpha").verdicts == verdicts
    assert main(["list"]) == 0


def test_three_kills_during_a_sweep(book, undisturbed, capfd):
    verdicts, _ = undisturbed
    moments = random.Random(1)

    def wait_for_more(count):
        before = count()
        wait_for(lambda: count() > before, "the sweep")
        time.sleep(moments.uniform(0.0, 0.7))

    waits = [lambda: wait_for_more(lines_logged)] * 2
    waits.append(lambda: wait_for_more(lambda: len(kept(book))))  # else all kills may come early
    kill_often(book, verdicts, waits)
    said = capfd.readouterr().err
    assert "of 6 cells from the cache" in said


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_ten_kills_at_any_moment(book, undisturbed, seed):
    verdicts, seconds = undisturbed
    moments = random.Random(seed)
    kill_often(book, verdicts, [lambda: time.sleep(moments.uniform(0.0, seconds))] * 10)


def test_a_kill_between_a_result_and_the_note_beside_it_loses_nothing(tmp_path, monkeypatch):
    """joblib writes a cell's result first and its metadata afterwards."""
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    log = tmp_path / "log"
    assert nth.run_cells(increase, [1, 2, 3], log=log) == [2, 3, 4]
    notes = list((tmp_path / "cache").rglob("metadata.json"))
    assert len(notes) == 3
    for note in notes:
        note.unlink()
    assert nth.run_cells(increase, [1, 2, 3], log=log) == [2, 3, 4]
    assert log.read_text(encoding="utf-8") == "1 2 3 "


def increase(case, log):
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{case} ")
    return case + 1
