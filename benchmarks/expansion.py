"""The tensors of the expansion in 1/m: time, peak memory over what was announced, and accuracy.

Every case runs in a process of its own, so that the peak memory is its own:
``python -m benchmarks.expansion N DEPTH TOLERANCE``.
"""

import json
import subprocess
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import nthlib as nth
from benchmarks.timing import peak_bytes, save
from nthlib.infinite.expansion import bytes_needed

DEPTHS = (1, 2, 4, 8)
# Inputs and the tolerance: a few to many digits by quadrature, many to two digits by a sample.
SIZES = ((8, 1e-4), (32, 1e-2))
DIM = 16


def run() -> list[dict[str, Any]]:
    """One row a case."""
    return [_in_process(n, depth, tolerance) for n, tolerance in SIZES for depth in DEPTHS]


def _in_process(n: int, depth: int, tolerance: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.expansion", str(n), str(depth), str(tolerance)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _measure(n: int, depth: int, tolerance: float) -> dict[str, Any]:
    jax.config.update("jax_enable_x64", True)
    rows = np.random.default_rng(0).normal(size=(n, DIM))
    X = jnp.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    net, key = nth.FullyConnected(DIM, 1, depth), jax.random.key(0)
    # What the interpreter and the compiler take is not the request's.
    nth.width_expansion(net, X[:2], tolerance=0.1)
    before = peak_bytes()
    start, cpu = time.perf_counter(), time.process_time()
    found = nth.width_expansion(net, X, tolerance=tolerance, key=key)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak, announced = peak_bytes() - before, bytes_needed(n)
    return {
        "n": n, "H": depth, "tolerance": tolerance, "error": max(found.error.values()),
        "seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak,
        "announced_bytes": announced, "peak_over_announced": peak / announced,
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """One row in words."""
    peak, announced = (f"{row[name] / 2**20:.0f} MiB" for name in ("peak_bytes", "announced_bytes"))
    return (
        f"expansion, n={row['n']} H={row['H']} to {row['tolerance']:g}: {row['seconds']:.1f} s, "
        f"{row['cpu_seconds']:.1f} s of one core; {peak}, {announced} announced; "
        f"off by {row['error']:.0e} by its own account"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_measure(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
    else:
        rows = run()
        print("\n".join(map(line, rows)))
        print(f"written to {save('expansion', rows)}")
