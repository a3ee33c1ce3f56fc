"""What the strip adds to a right-hand side, and what the levels take: one by one, or all at once.

Both runs of a pair take the same steps, since an infinitely wide strip changes no number: their
seconds compare one right-hand side. ``truncated_flow`` takes any model and one level; with one
hidden layer, all levels come from its units at complex speeds. Each runs in a process of its own,
which compiles: ``python -m benchmarks.reach LEVEL``, or 0 for all levels at once; without a level
everything runs, and is kept.

``truncated_flow`` is timed up to level 8. Above it compiling the Taylor arithmetic takes minutes:
such rows say that they were not measured.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import nthlib as nth
from benchmarks.timing import medians, save
from nthlib.truncation.units import unit_levels

# Samples, width, depth, level.
PAIRS = ((4, 256, 1, 6), (48, 256, 2, 4))
LEVELS, HIGHEST_FLOW = range(2, 13, 2), 8
WIDTH, HORIZON = 256, 20.0
# Of the units: steps, and the radius of the circle, below half of this network's reach.
STEPS, RADIUS = 100, 0.5


def run(repeats: int = 5) -> list[dict[str, Any]]:
    """Rows of both kinds, told apart by ``kind``."""
    return [_pair(*case, repeats) for case in PAIRS] + [_level(level) for level in (*LEVELS, 0)]


def _task(n: int, m: int, depth: int, horizon: float) -> dict[str, Any]:
    net = nth.FullyConnected(n, m, depth)
    params, X = net.init(jax.random.key(0)), jnp.eye(n)
    signs = jnp.where(jnp.arange(n) % 2 == 0, 1.0, -1.0)
    y, times = net(params, X) - 2 * signs, jnp.array([0.0, horizon])
    return {"model": net, "params": params, "X": X, "y": y, "times": times}


def _pair(n: int, m: int, depth: int, level: int, repeats: int) -> dict[str, Any]:
    """Predictions alone, to a tight tolerance, so that the right-hand sides are what is timed."""
    task = _task(n, m, depth, HORIZON)

    def solve(**options: Any) -> nth.Solution:
        return nth.truncated_flow(**task, level=level, order=1, rtol=1e-12, **options)

    wide: dict[str, Any] = {"resum": "strip", "half_width": jnp.inf}
    calls: dict[str, Callable[[], Any]] = {
        "plain": lambda: solve().predictions,
        "strip": lambda: solve(**wide).predictions,
    }
    seconds = medians(calls, repeats)
    steps = {int(solve().steps), int(solve(**wide).steps)}
    return {
        "kind": "pair", "n": n, "m": m, "H": depth, "level": level, "seconds": seconds,
        "steps": sorted(steps), "strip_over_plain": seconds["strip"] / seconds["plain"],
    }  # fmt: skip


def _level(level: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.reach", str(level)]
    row = {"kind": "level", "n": 4, "m": WIDTH, "H": 1, "level": level}
    if level > HIGHEST_FLOW:
        return row | {"measured": False}
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return row | {"measured": True} | json.loads(done.stdout.splitlines()[-1])


def _child(level: int) -> None:
    jax.config.update("jax_enable_x64", True)
    task = _task(4, WIDTH, 1, HORIZON)

    def one_level() -> Any:
        return nth.truncated_flow(**task, level=level, order=1).predictions

    def all_levels(steps: int = STEPS, angles: int = 32) -> Any:
        network = (task["model"], task["params"], task["X"], task["y"])
        times, levels = jnp.linspace(0.0, HORIZON, steps + 1), jnp.arange(2, max(LEVELS) + 1)
        return unit_levels(*network, times, levels, RADIUS, angles=angles)

    found: dict[str, float] = {}
    for name in ("first", "second"):
        start = time.perf_counter()
        jax.block_until_ready(one_level() if level else all_levels())
        found[name] = time.perf_counter() - start
    if not level:
        gap = all_levels() - all_levels(2 * STEPS, 64)[:, ::2]
        found["error"] = float(jnp.abs(gap).max())
    print(json.dumps(found))


def line(row: dict[str, Any]) -> str:
    """One row for the terminal."""
    levels = row["level"] or f"2..{max(LEVELS)}, by units"
    size = f"n={row['n']} m={row['m']} H={row['H']} p={levels}"
    if row["kind"] == "pair":
        ratio = row["strip_over_plain"]
        return f"{size}: a right-hand side with the strip over one without {ratio:.2f}"
    if not row["measured"]:
        return f"{size}: truncated_flow not measured above level {HIGHEST_FLOW}, as a rule"
    finer = f", {row['error']:.0e} from a finer one" if "error" in row else ""
    return f"{size}: first call {row['first']:.1f} s, second {row['second']:.3f} s{finer}"


def main() -> None:
    if len(sys.argv) > 1:
        return _child(int(sys.argv[1]))
    jax.config.update("jax_enable_x64", True)
    rows = run()
    print(*map(line, rows), f"written to {save('reach', rows)}", sep="\n")
    return None


if __name__ == "__main__":
    main()
