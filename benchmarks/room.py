"""K^(2) of a model of one's own in blocks: time, peak memory against the limit, and accuracy.

Every case runs in a process of its own, so that the peak memory is its own:
``python -m benchmarks.room NAME DTYPE``.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import nthlib as nth
from benchmarks.timing import peak_bytes, save
from nthlib.finite.room import planned

SAMPLED = 12


class Case(NamedTuple):
    """Layer sizes, samples, bytes allowed, and the activation."""

    layers: tuple[int, ...]
    n: int
    n_test: int
    limit: int
    activation: Callable[[Array], Array]


CASES = {
    "siren": Case((2, 512, 512, 2), 100, 10_000, 2 * 2**30, jnp.sin),
    "many samples": Case((16, 256, 256, 1), 2000, 0, 4 * 2**30, jnp.tanh),
}
RUNS = tuple((name, dtype) for name in CASES for dtype in ("float32", "float64"))


def run() -> list[dict[str, Any]]:
    """One row a case."""
    return [_in_process(*case) for case in RUNS]


def _in_process(name: str, dtype: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.room", name, dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _parameters(layers: tuple[int, ...], dtype: str) -> list[tuple[Array, Array]]:
    draw = np.random.default_rng(0)
    sizes = list(itertools.pairwise(layers))
    shapes = [((outputs, inputs), inputs) for inputs, outputs in sizes]
    return [
        (
            jnp.asarray(draw.normal(size=shape) / inputs**0.5, dtype),
            jnp.asarray(0.1 * draw.normal(size=shape[0]), dtype),
        )
        for shape, inputs in shapes
    ]


def _measure(name: str, dtype: str) -> dict[str, Any]:
    jax.config.update("jax_enable_x64", dtype == "float64")
    case = CASES[name]

    def model(params: list[tuple[Array, Array]], X: Array) -> Array:
        for weight, bias in params[:-1]:
            X = case.activation(X @ weight.T + bias)
        outputs = X @ params[-1][0].T + params[-1][1]
        return outputs if outputs.shape[1] > 1 else outputs[:, 0]

    params = _parameters(case.layers, dtype)
    shape = (case.n + case.n_test, case.layers[0])
    everything = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, shape), dtype)
    X = everything[: case.n]
    X_test = everything[case.n :] if case.n_test else None
    # What the interpreter takes is not the request's; the compiler's work, some 20 to 40 MiB, is
    # counted with it.
    jax.block_until_ready(nth.kernels(model, params, X[:2], 2))
    before = peak_bytes()
    start, cpu = time.perf_counter(), time.process_time()
    kernel = nth.kernels(model, params, X, 2, X_test=X_test, memory_limit=case.limit)[2]
    jax.block_until_ready(kernel)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = peak_bytes() - before
    sizes = (model, params, X, len(everything), 2, case.layers[-1], case.limit)
    announced = planned(*sizes, closed=False)[1]
    return {
        "case": name, "dtype": dtype, "layers": case.layers, "n": case.n, "n_test": case.n_test,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "kernel_bytes": kernel.nbytes, "limit_bytes": case.limit, "peak_bytes": peak,
        "announced_bytes": announced, "peak_over_announced": peak / announced,
        "seconds": seconds, "cpu_seconds": cpu,
        "difference": _difference(model, params, np.asarray(everything), kernel, case.n),
    }  # fmt: skip


def _difference(model: Any, params: Any, X: np.ndarray, kernel: Array, n: int) -> float:
    """Largest difference on sampled entries from explicit Jacobian rows, over the largest entry.

    The rows are in the precision of the case; their products are summed in double precision.
    """
    draw = np.random.default_rng(2)
    rows, columns = draw.choice(len(X), SAMPLED), draw.choice(n, SAMPLED)

    def jacobian(chosen: np.ndarray) -> np.ndarray:
        leaves = jax.tree.leaves(jax.jacrev(model)(params, jnp.asarray(X[chosen])))
        outputs = kernel.shape[1] if kernel.ndim == 4 else 1
        flat = [np.asarray(leaf, np.float64).reshape(SAMPLED, outputs, -1) for leaf in leaves]
        return np.concatenate(flat, axis=2)

    expected = np.einsum("aip,bjp->aibj", jacobian(rows), jacobian(columns))
    found = np.asarray(kernel)[rows][..., columns, :] if kernel.ndim == 4 else None
    if found is None:
        found = np.asarray(kernel)[np.ix_(rows, columns)][:, None, :, None]
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def line(row: dict[str, Any]) -> str:
    """One row in words."""
    peak, announced, allowed = (
        f"{row[name] / 2**20:.0f} MiB" for name in ("peak_bytes", "announced_bytes", "limit_bytes")
    )
    return (
        f"{row['case']} ({row['parameters']} parameters, {row['n']} + {row['n_test']} samples, "
        f"{row['dtype']}): {row['seconds']:.1f} s, {row['cpu_seconds']:.1f} s of one core; "
        f"{peak}, {announced} announced, {allowed} allowed; off by {row['difference']:.1e}"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_measure(*sys.argv[1:3])))
    else:
        rows = run()
        print("\n".join(map(line, rows)))
        print(f"written to {save('room', rows)}")
