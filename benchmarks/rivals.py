"""What one would write first, and the bare products that the closed forms cannot do without."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

import nthlib as nth
from nthlib.finite.closed_forms import CLOSED_ORDERS, closed_kernels
from nthlib.finite.lie import push_forward

Call = Callable[[], Array]


def full_jacobian(net: nth.FullyConnected, order: int) -> Callable[[Any, Array], Array]:
    """K^(2) by contracting the gradients of all samples, formed in full."""
    assert order == 2

    def kernel(params: Any, X: Array) -> Array:
        leaves = jax.tree.leaves(jax.jacrev(net)(params, X))
        return sum(
            (leaf.reshape(len(X), -1) @ leaf.reshape(len(X), -1).T for leaf in leaves),
            jnp.zeros(()),
        )

    return kernel


def nested_jvp(net: nth.FullyConnected, order: int) -> Callable[[Any, Array], Array]:
    """K^(r) by forward derivatives along ∇f_β nested r − 1 times.

    All directions at once at the innermost level and one at a time above it: together they
    would need n^(r−1) copies of the parameters.
    """

    def kernel(params: Any, X: Array) -> Array:
        return nth.kernels(net, params, X, order=order, method="derivatives")[order]

    return kernel


def scalar_recursion(net: nth.FullyConnected, order: int) -> Callable[[Any, Array], Array]:
    """K^(r) entry by entry from its definition, with jax.grad of a scalar at every level."""

    def entry(r: int) -> Callable[..., Array]:
        if r == 1:
            return lambda params, x: net(params, x[None])[0]
        below, first = entry(r - 1), entry(1)

        def contracted(params: Any, *points: Array) -> Array:
            left = jax.grad(below)(params, *points[:-1])
            right = jax.grad(first)(params, points[-1])
            leaves = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
            return sum((jnp.vdot(a, b) for a, b in leaves), jnp.zeros(()))

        return contracted

    def kernel(params: Any, X: Array) -> Array:
        function = entry(order)
        for axis in range(order):
            axes = [None] * (order - 1 - axis) + [0] + [None] * axis
            function = jax.vmap(function, in_axes=(None, *axes))
        # Built from the last argument inwards: the first axis is the first sample.
        return function(params, *[X] * order)

    return kernel


def all_units_at_once(net: nth.FullyConnected, order: int) -> Callable[[Any, Array], Array]:
    """K^(r) beyond the closed forms as the library does, but of a wide layer as a whole."""

    def kernel(params: Any, X: Array) -> Array:
        def fourth(theta: Any) -> Array:
            return closed_kernels(net, theta, X, CLOSED_ORDERS)[CLOSED_ORDERS]

        return push_forward(fourth, CLOSED_ORDERS, net, params, X, order)[order]

    return kernel


def products(order: int, n: int, m: int, H: int, dim: int) -> dict[str, tuple[int, Call]]:
    """The matrix products of a kernel, none of its symmetries used: how many, and one of each.

    Order 2: the passes and the Gram matrices; order 3: tangents and their overlaps with states;
    order 4: H (2n [n² × m by m × n] + 2 [n² × m by m × n²]) + 2 (H − 1) [n² × m by m × m].
    """
    if order == 2:
        counts = {(n, dim, m): 1, (n, m, m): 2 * (H - 1), (n, m, n): 2 * H, (n, dim, n): 1}
    elif order == 3:
        counts = {(n * n, m, m): 2 * (H - 1), (n * n, m, n): 2 * H}
    else:
        counts = {(n * n, m, n): 2 * n * H, (n * n, m, n * n): 2 * H, (n * n, m, m): 2 * (H - 1)}
    return {str(shape): (count, _product(*shape)) for shape, count in counts.items() if count}


def _product(rows: int, inner: int, columns: int) -> Call:
    a, b = jnp.ones((rows, inner)), jnp.ones((inner, columns))
    multiply = jax.jit(jnp.matmul)
    return lambda: multiply(a, b)
