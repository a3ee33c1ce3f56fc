"""K^(2) to K^(4), and a K^(6): the library against rivals and against bare matrix products."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

import nthlib as nth
from benchmarks.rivals import (
    all_units_at_once,
    full_jacobian,
    nested_jvp,
    products,
    scalar_recursion,
)
from benchmarks.timing import medians, workspace

DIM = 64

Rival = Callable[[nth.FullyConnected, int], Callable[[Any, Array], Array]]


class Case(NamedTuple):
    """A size, and what to time beside the library there; large rivals would not fit."""

    order: int
    n: int
    m: int
    H: int
    rivals: dict[str, Rival] = {}  # noqa: RUF012 - never changed
    products: bool = True


CASES = (
    Case(2, 128, 1024, 3, {"full Jacobian": full_jacobian}),
    Case(2, 32, 1024, 3, {"full Jacobian": full_jacobian}),
    Case(2, 512, 2048, 3),
    Case(3, 16, 512, 2, {"nested jvp": nested_jvp}),
    Case(3, 128, 1024, 3),
    Case(4, 8, 256, 2, {"nested jvp": nested_jvp, "scalar recursion": scalar_recursion}),
    Case(4, 16, 512, 2, {"nested jvp": nested_jvp}),
    Case(4, 32, 1024, 2),
    Case(4, 64, 512, 2),
    Case(4, 48, 512, 3),
    Case(4, 48, 1024, 3, products=False),
    Case(6, 4, 8192, 1, {"all units at once": all_units_at_once}, products=False),
)


def run(repeats: int = 5) -> list[dict[str, Any]]:
    """One row a case: seconds, ratios, planned memory, largest relative difference."""
    return [_measure(case, repeats) for case in CASES]


def _measure(case: Case, repeats: int) -> dict[str, Any]:
    net = nth.FullyConnected(DIM, case.m, case.H)
    params = net.init(jax.random.key(0))
    X = nth.sphere(jax.random.key(1), case.n, DIM)

    def library(params: Any, X: Array) -> Array:
        return nth.kernels(net, params, X, order=case.order)[case.order]

    methods: dict[str, Callable[[Any, Array], Array]] = {"library": library}
    methods |= {name: rival(net, case.order) for name, rival in case.rivals.items()}
    compiled = {
        name: jax.jit(method).lower(params, X).compile() for name, method in methods.items()
    }
    bare = products(*case[:4], DIM) if case.products else {}
    timed: dict[str, Callable[[], Any]] = {name: call for name, (_, call) in bare.items()}
    for name, method in compiled.items():
        timed[name] = functools.partial(method, params, X)
    measured = medians(timed, repeats)
    seconds = {name: measured[name] for name in compiled}
    row: dict[str, Any] = {
        "order": case.order,
        "n": case.n,
        "m": case.m,
        "H": case.H,
        "seconds": seconds,
        "speedup": {name: seconds[name] / seconds["library"] for name in case.rivals},
        "bytes": {name: workspace(call) for name, call in compiled.items()},
        "output_bytes": X.dtype.itemsize * case.n**case.order,
        "tangent_bytes": 4 * case.H * X.dtype.itemsize * case.n**2 * case.m,
    }
    if case.products:
        total = sum(count * measured[name] for name, (count, _) in bare.items())
        row["over_products"] = seconds["library"] / total
    reference = compiled["library"](params, X)
    for name in case.rivals:
        difference = jnp.abs(compiled[name](params, X) - reference).max() / jnp.abs(reference).max()
        row.setdefault("difference", {})[name] = float(difference)
    return row
