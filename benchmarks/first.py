"""The first call of kernels beyond the closed forms, which compiles, beside the second, and 0.1.

Every case runs in a process of its own, this library's and then that of 0.1, whose source is
taken from the repository's history: ``python -m benchmarks.first ORDER SAMPLES WIDTH DEPTH``.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import nthlib as nth
from benchmarks.timing import save

CASES = ((5, 8, 512, 2), (6, 4, 512, 2))
DIM, REPEATS = 64, 7
FIRST_RELEASE = "f866bb5"


def run(repeats: int = 3) -> list[dict[str, Any]]:
    """One row a case: medians over processes, which take turns between both versions."""
    with tempfile.TemporaryDirectory() as folder:
        sources = {"library": None} | _first_release(Path(folder))
        return [_row(case, sources, repeats) for case in CASES]


def _first_release(folder: Path) -> dict[str, str | None]:
    """The source of 0.1 unpacked into a folder; nothing where the history is not at hand."""
    archive = ["git", "archive", "--format=tar", FIRST_RELEASE, "src"]
    packed = subprocess.run(archive, capture_output=True, check=False)
    if packed.returncode:
        return {}
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return {"0.1": str(folder / "src")}


def _row(case: tuple[int, ...], sources: dict[str, str | None], repeats: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sources}
    for _ in range(repeats):
        for name, source in sources.items():
            found[name].append(_in_process(case, source))
    row: dict[str, Any] = dict(zip(("order", "n", "m", "H"), case, strict=True))
    for name, runs in found.items():
        row[name] = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
    own = row["library"]
    row["first_over_second"] = own["first"] / own["second"]
    if "0.1" in row:
        row["second_over_0.1"] = own["second"] / row["0.1"]["second"]
        row["first_over_0.1"] = own["first"] / row["0.1"]["first"]
        # The second call has become faster than that of 0.1, too: the first beside what 0.1 took.
        row["first_over_second_of_0.1"] = own["first"] / row["0.1"]["second"]
    return row


def _in_process(case: tuple[int, ...], source: str | None) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.first", *map(str, case)]
    settings = os.environ if source is None else {**os.environ, "PYTHONPATH": source}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=settings)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _measure(order: int, n: int, m: int, depth: int) -> dict[str, float]:
    """Processor seconds, which other work on the machine moves least, and those of the clock."""
    jax.config.update("jax_enable_x64", True)
    net = nth.FullyConnected(DIM, m, depth)
    params, X = net.init(jax.random.key(0)), nth.sphere(jax.random.key(1), n, DIM)
    jax.block_until_ready((params, X))
    processor, clock = [], []
    for _ in range(1 + REPEATS):
        start = time.process_time(), time.perf_counter()
        jax.block_until_ready(nth.kernels(net, params, X, order))
        processor.append(time.process_time() - start[0])
        clock.append(time.perf_counter() - start[1])
    return {
        "first": processor[0], "second": float(np.median(processor[1:])),
        "first_clock": clock[0], "second_clock": float(np.median(clock[1:])),
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """One row in words."""
    own = row["library"]
    words = (
        f"K^({row['order']}) n={row['n']} m={row['m']} H={row['H']}: first call {own['first']:.2f} "
        f"s of one core, {row['first_over_second']:.0f} times the second of {own['second']:.3f} s"
    )
    if "0.1" not in row:
        return words
    first, second = row["first_over_0.1"], row["second_over_0.1"]
    return (
        f"{words} and {row['first_over_second_of_0.1']:.1f} times that of 0.1; over those of 0.1: "
        f"first {first:.2f}, second {second:.2f}"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_measure(*map(int, sys.argv[1:5]))))
    else:
        rows = run()
        print("\n".join(map(line, rows)))
        print(f"written to {save('first', rows)}")
