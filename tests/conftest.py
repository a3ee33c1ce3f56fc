import os
import sys
from pathlib import Path

import pytest
from claim_files import FIELDS, registry

# The tests compare with tolerances near 1e-12 and never open a window; both before JAX loads.
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# Almost all of the tests' time is compilation; the chapters run with optimisation on.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

_COUNTED = {
    "fault": "faults tried: {tried}, survived: {passed}",
    "bad_input": "bad calls tried: {tried}, refused or answered well: {passed}",
}


# Every compiled program takes some memory maps, of which Linux gives a process 65,530; past them
# the compiler ends with a segmentation fault.
_MAPS = Path("/proc/self/maps")
_MANY_MAPS = 20_000


@pytest.fixture(autouse=True, scope="module")
def _room_for_programs():
    """Drop compiled programs between modules once there are many."""
    yield
    if "jax" in sys.modules and _MAPS.is_file():
        with _MAPS.open() as maps:
            if sum(1 for _ in maps) > _MANY_MAPS:
                sys.modules["jax"].clear_caches()


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """A book with one claim of each relation, entered from one of its subfolders."""
    monkeypatch.delenv("NTH_PROFILE", raising=False)
    folder = tmp_path / "book" / "chapters"
    folder.mkdir(parents=True)
    entries = [
        {**FIELDS, "rival": -0.5},
        {**FIELDS, "id": "below", "relation": "at-most", "predicted": 0.0},
        {**FIELDS, "id": "above", "relation": "at-least", "predicted": 2.0},
    ]
    path = tmp_path / "book" / "claims.toml"
    path.write_text(registry(*entries))
    monkeypatch.chdir(folder)
    return path


def pytest_terminal_summary(terminalreporter):
    """Count, over all workers, the faults that were survived and the bad calls refused."""
    passed = _marked(terminalreporter.stats.get("passed", []))
    failed = _marked(terminalreporter.stats.get("failed", []))
    lines = [
        line.format(tried=passed[marker] + failed[marker], passed=passed[marker])
        for marker, line in _COUNTED.items()
    ]
    if any(passed.values()) or any(failed.values()):
        terminalreporter.write_line("; ".join(lines))


def _marked(reports):
    """How many of the reports on a test's own call carry each marker."""
    calls = [report for report in reports if report.when == "call"]
    return {marker: sum(marker in call.keywords for call in calls) for marker in _COUNTED}
