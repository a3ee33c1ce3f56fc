"""Timing rivals side by side, and the environment in which it was done."""

import datetime
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

RESULTS = Path(__file__).with_name("results")


def medians(rivals: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of every rival, after one call each to compile.

    The rivals take turns, so that a slow spell of the machine falls on all of them alike.
    """
    for run in rivals.values():
        jax.block_until_ready(run())
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(repeats):
        for name, run in rivals.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def workspace(compiled: Any) -> int | None:
    """Bytes of temporaries and outputs that XLA planned; None where it does not say."""
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    return int(analysis.temp_size_in_bytes + analysis.output_size_in_bytes)


def peak_bytes() -> int:
    """The largest resident memory of this process; ``ru_maxrss`` would count its parent's."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def environment() -> dict[str, Any]:
    """What a reader needs to know to compare with another machine."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "devices": [str(device.device_kind) for device in jax.devices()],
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy")},
        "float": str(jax.numpy.zeros(0).dtype),
    }


def save(name: str, rows: list[dict[str, Any]]) -> Path:
    """Write the rows with their environment to ``benchmarks/results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"environment": environment(), "rows": rows}, indent=1) + "\n")
    return path
