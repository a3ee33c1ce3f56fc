"""K^(2): the layerwise form against the full Jacobian and against bare matrix products."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

import nthlib as nth
from benchmarks.timing import medians, workspace

DIM = 64
# The first line is the one that the book's promise is about.
SIZES = ((128, 1024, 3), (128, 512, 3), (32, 1024, 3), (256, 1024, 2), (128, 1024, 1))


def run(repeats: int = 7) -> list[dict[str, Any]]:
    """One row a size (n, m, H): seconds, workspace, and ratios to the library's time."""
    return [_measure(n, m, H, repeats) for n, m, H in SIZES]


def _measure(n: int, m: int, H: int, repeats: int) -> dict[str, Any]:
    net = nth.FullyConnected(DIM, m, H)
    params = net.init(jax.random.key(0))
    X = nth.sphere(jax.random.key(1), n, DIM)
    matrices = _operands(n, m, H)

    def library(params: Any, X: Array) -> Array:
        return nth.kernels(net, params, X, order=2)[2]

    def jacobian(params: Any, X: Array) -> Array:
        leaves = jax.tree.leaves(jax.jacrev(net)(params, X))
        return sum((leaf.reshape(n, -1) @ leaf.reshape(n, -1).T for leaf in leaves), jnp.zeros(()))

    methods = {"library": library, "jacobian": jacobian}
    compiled = {name: jax.jit(method) for name, method in methods.items()}
    products = jax.jit(_products)
    seconds = medians(
        {name: lambda run=run: run(params, X) for name, run in compiled.items()}  # type: ignore[misc]
        | {"products": lambda: products(matrices)},
        repeats,
    )
    difference = jnp.abs(compiled["library"](params, X) - compiled["jacobian"](params, X)).max()
    return {
        "n": n,
        "m": m,
        "H": H,
        "seconds": seconds,
        "workspace": {name: workspace(method, params, X) for name, method in methods.items()},
        "jacobian / library": seconds["jacobian"] / seconds["library"],
        "library / products": seconds["library"] / seconds["products"],
        "largest difference": float(difference),
    }


def _operands(n: int, m: int, H: int) -> dict[str, Any]:
    keys = iter(jax.random.split(jax.random.key(2), 3 * H + 2))
    return {
        "first": jax.random.normal(next(keys), (m, DIM)),
        "input": jax.random.normal(next(keys), (n, DIM)),
        "weights": [jax.random.normal(next(keys), (m, m)) for _ in range(H - 1)],
        "states": [jax.random.normal(next(keys), (n, m)) for _ in range(H)],
        "adjoints": [jax.random.normal(next(keys), (n, m)) for _ in range(H)],
    }


def _products(operands: dict[str, Any]) -> list[Array]:
    """The matrix products that any layerwise form needs, and nothing else."""
    states, adjoints = operands["states"], operands["adjoints"]
    forward = [operands["input"] @ operands["first"].T]
    forward += [
        state @ weight.T for state, weight in zip(states, operands["weights"], strict=False)
    ]
    backward = [
        adjoint @ weight for adjoint, weight in zip(adjoints, operands["weights"], strict=False)
    ]
    grams = [operands["input"] @ operands["input"].T]
    grams += [factor @ factor.T for factor in states + adjoints]
    return forward + backward + grams
