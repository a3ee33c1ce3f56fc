"""A worker process that is killed while it computes a cell."""

import os
import signal
from pathlib import Path

import joblib
import pytest
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from runs import wait_for

import nthlib as nth

pytestmark = pytest.mark.fault

CASES = [1, 2, 3, 4, 5, 6]
FATAL = 4


def cube(case: int, folder: Path) -> tuple[int, int]:
    """Cube a number; the first to come to the fatal one is killed as by the system."""
    with (folder / "log").open("a", encoding="utf-8") as log:
        log.write(f"{case} ")
    if case == FATAL and not (folder / "killed").exists():
        wait_for(lambda: any((folder / "cache").rglob("output.pkl")), "a finished cell")
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return case, case**3


def test_a_killed_worker_is_said_and_what_is_finished_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    try:
        with joblib.parallel_config(backend="loky", n_jobs=2):
            with pytest.raises(TerminatedWorkerError, match="SIGKILL"):
                nth.run_cells(cube, CASES, folder=tmp_path)
            get_reusable_executor().shutdown(wait=True)
            finished = {joblib.load(path)[0] for path in tmp_path.rglob("output.pkl")}
            assert finished
            assert FATAL not in finished
            (tmp_path / "log").unlink()
            results = nth.run_cells(cube, CASES, folder=tmp_path)
    finally:
        get_reusable_executor().shutdown(wait=True)
    assert results == [(1, 1), (2, 8), (3, 27), (4, 64), (5, 125), (6, 216)]
    again = [int(case) for case in (tmp_path / "log").read_text(encoding="utf-8").split()]
    assert sorted(again) == sorted(set(CASES) - finished)
