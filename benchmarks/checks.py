"""What the checks of a call cost: ``nth.kernels`` beside its compiled program alone."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

import nthlib as nth
from benchmarks.timing import medians
from nthlib.finite.kernels import kernels_of

DIM = 10
SIZES = ((32, 256), (256, 1024))


def perceptron(params: PyTree, X: Array) -> Array:
    """A model of one's own: two hidden layers with biases."""
    for weight, bias in params["layers"]:
        X = jnp.tanh(X @ weight + bias)
    return X @ params["readout"]


def draw(key: Array, width: int) -> PyTree:
    first, second, last = jax.random.split(key, 3)
    scaled = [
        jax.random.normal(first, (DIM, width)) / DIM**0.5,
        jax.random.normal(second, (width, width)) / width**0.5,
    ]
    return {
        "layers": [(weight, jnp.zeros(width)) for weight in scaled],
        "readout": jax.random.normal(last, (width,)) / width**0.5,
    }


def run() -> list[dict[str, Any]]:
    """Milliseconds of a call of order 2, and those beyond its program."""
    rows = []
    for n, m in SIZES:
        X = nth.sphere(jax.random.key(0), n, DIM)
        net = nth.FullyConnected(DIM, m, 2)
        models: dict[str, tuple[Any, PyTree]] = {
            "FullyConnected": (net, net.init(jax.random.key(1))),
            "a model of one's own": (perceptron, draw(jax.random.key(1), m)),
        }
        for name, (model, params) in models.items():
            alone = jax.jit(functools.partial(kernels_of, model, order=2))
            repeats = 51 if n < 100 else 11 if model is net else 3
            rivals: dict[str, Callable[[], Any]] = {
                "call": functools.partial(nth.kernels, model, params, X, 2),
                "program": functools.partial(alone, params, X),
            }
            seconds = medians(rivals, repeats)
            rows.append({"model": name, "n": n, "m": m, "seconds": seconds})
    return rows


def line(row: dict[str, Any]) -> str:
    call, program = (1e3 * row["seconds"][name] for name in ("call", "program"))
    return (
        f"checks of a call, {row['model']}, n={row['n']} m={row['m']}: {call - program:.2f} ms "
        f"beside a program of {program:.2f} ms"
    )
