"""The truncated hierarchy as a jet: one right-hand side over one K^(2), and whole runs on digits.

Whole runs start in a process of their own, so that the peak memory is theirs:
``python -m benchmarks.truncation SAMPLES WIDTH ORDER``.
"""

import functools
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

import nthlib as nth
from benchmarks.timing import medians, peak_bytes
from nthlib.truncation import jet

DEPTH, HORIZON = 2, 20.0
SIZES = ((192, 256), (500, 512))
ORDERS = range(3, 9)
# Samples, width, order of the whole runs.
RUNS = ((500, 512, 4), (96, 256, 6), (1797, 512, 4))


def run(repeats: int = 3) -> list[dict[str, Any]]:
    """Rows of both kinds, told apart by ``kind``."""
    return [_right_hand_sides(n, m, repeats) for n, m in SIZES] + [
        _whole_run(*case) for case in RUNS
    ]


def _right_hand_sides(n: int, m: int, repeats: int) -> dict[str, Any]:
    net = nth.FullyConnected(64, m, DEPTH)
    params = net.init(jax.random.key(0))
    X = nth.sphere(jax.random.key(1), n, 64)
    force = jax.random.normal(jax.random.key(2), (n,)) / n
    calls: dict[str, Callable[[], Any]] = {"K2": lambda: nth.kernels(net, params, X, 2)[2]}
    for order in ORDERS:
        push = jax.jit(functools.partial(jet.push_jet, net, None), static_argnums=3)
        moved = tuple(jax.tree.map(lambda leaf: 0.1 * leaf, params) for _ in range(order - 2))
        calls[f"p={order}"] = functools.partial(push, moved, force, (params, X, None), order)
    seconds = medians(calls, repeats)
    ratios = {name: value / seconds["K2"] for name, value in seconds.items() if name != "K2"}
    return {"kind": "rhs", "n": n, "m": m, "H": DEPTH, "seconds": seconds, "over_K2": ratios}


def _whole_run(samples: int, width: int, order: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.truncation", *map(str, (samples, width, order))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _digits(samples: int) -> tuple[Array, Array, Array | None]:
    """Training digits with their parity, and up to 100 others where there are any."""
    images, labels = nth.digits(key=jax.random.key(3))
    rest = images[samples : samples + 100]
    return images[:samples], labels[:samples], rest if len(rest) else None


def _child(samples: int, width: int, order: int) -> None:
    """Time the truncation alone, then compare it and the even order below with the network."""
    jax.config.update("jax_enable_x64", True)
    X, y, X_test = _digits(samples)
    net = nth.FullyConnected(X.shape[1], width, DEPTH)
    params, times = net.init(jax.random.key(0)), jnp.array([0.0, HORIZON / 2, HORIZON])
    start = time.perf_counter()
    solution = nth.truncated_flow(net, params, X, y, times, order, X_test=X_test)
    seconds = time.perf_counter() - start
    peak = peak_bytes()
    row = {
        "kind": "run", "n": samples, "m": width, "H": DEPTH, "order": order, "t": HORIZON,
        "seconds": seconds, "peak_bytes": peak, "steps": int(solution.steps),
        "valid_until": str(float(solution.valid_until)),
    }  # fmt: skip
    lower = nth.truncated_flow(net, params, X, y, times, order - 2, X_test=X_test)
    exact = nth.gradient_flow(net, params, X, y, times, X_test=X_test, order=1)

    def gap(one: Any, rows: slice) -> float:
        difference = (one.predictions - exact.predictions)[-1, rows]
        return float(jnp.sqrt(jnp.mean(difference**2)))

    seen, unseen = slice(samples), slice(samples, None)
    row["closer_on_train"] = gap(lower, seen) / gap(solution, seen)
    if X_test is not None:
        row["closer_on_test"] = gap(lower, unseen) / gap(solution, unseen)
    print(json.dumps(row))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _child(*map(int, sys.argv[1:4]))
