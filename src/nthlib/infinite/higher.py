"""Limiting kernels of orders above two: a Gaussian expectation, or an average of wide networks."""

import itertools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from nthlib import checks
from nthlib.compilation import compiled
from nthlib.finite.kernels import kernels_of
from nthlib.finite.room import planned
from nthlib.network import FullyConnected, Parameters

MOST_DIRECTIONS = 3
_STEPS = (0.6, 0.45, 0.33, 0.25, 0.19)
_REACH = 7.5
_TOLERANCE = 1e-5
# Nodes of the quadrature whose kernels are held at once, and the numbers that these may take.
_NODES_AT_ONCE, _NUMBERS_AT_ONCE = 256, 2**25


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LimitEstimate:
    """An estimated limiting kernel and its standard error, entry by entry.

    ``kernel`` and ``standard_error`` have shapes (n,) * order.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> estimate = nth.LimitEstimate(kernel=jnp.eye(2), standard_error=jnp.full((2, 2), 0.25))
    >>> float((estimate.kernel - 2 * estimate.standard_error).max())  # largest lower bound
    0.5
    """

    kernel: Array
    standard_error: Array


def directions(X: Float[Array, "n d"]) -> Float[Array, "n s"]:
    """The inputs in coordinates of the space they span: weights matter in no other direction."""
    left, singular, _ = np.linalg.svd(np.asarray(X, dtype=np.float64), full_matrices=False)
    # Rounding in the dtype of X would otherwise count as one more direction.
    kept = singular > max(X.shape) * float(jnp.finfo(X.dtype).eps) * singular[0]
    return jnp.asarray(left[:, kept] * singular[kept], X.dtype)


def one_layer_expectation(net: FullyConnected, X: Float[Array, "n s"], order: int) -> Array:
    """𝔎^(r) = E κ^(r) of one hidden layer, where κ^(r) is the K^(r) of a single hidden unit.

    K^(r) is exactly m^(−r/2) Σ_i κ^(r)(a_i, w_i), a sum of independent terms. The trapezoid rule,
    which converges faster than any power for smooth activations, is refined until it changes
    by less than 1e-5 (relative); a ``UserWarning`` states the error if it does not.
    """
    previous = _expectation(net, X, order, _STEPS[0])
    tolerance = max(_TOLERANCE, 256 * float(jnp.finfo(X.dtype).eps))
    error = np.inf
    for step in _STEPS[1:]:
        current = _expectation(net, X, order, step)
        error = float(jnp.abs(current - previous).max() / jnp.abs(current).max())
        if error < tolerance:
            return current
        previous = current
    checks.warn(
        f"the limiting kernel of order {order} is accurate to about {error:.0e} only: the "
        "activation is not smooth enough for the quadrature"
    )
    return previous


def _expectation(net: FullyConnected, X: Array, order: int, step: float) -> Array:
    count = int(np.ceil(_REACH / step))
    grid = step * np.arange(-count, count + 1)
    line = np.exp(-(grid**2) / 2) * step / np.sqrt(2 * np.pi)
    dim = X.shape[1]
    weights = np.array(list(itertools.product(grid, repeat=dim)))
    chances = np.array([np.prod(point) for point in itertools.product(line, repeat=dim)])
    kept = chances > 1e-18
    # κ^(r) is a polynomial in the readout, so that Gauss's rule is exact for it.
    heights, masses = np.polynomial.hermite_e.hermegauss(order // 2 + 1)
    return compiled(_weighted_sum, net.activation, order)(
        X,
        jnp.asarray(net.sigma_w * weights[kept], X.dtype),
        jnp.asarray(chances[kept], X.dtype),
        jnp.asarray(net.sigma_a * heights, X.dtype),
        jnp.asarray(masses / masses.sum(), X.dtype),
    )


def numbers_for_one(net: FullyConnected, X: Array, order: int) -> int:
    """Numbers held while the kernels of one such network are computed."""
    params = jax.eval_shape(lambda: net.init(jax.random.key(0), X.dtype))
    needed = planned(net, params, X, len(X), order, None, None, closed=True)[1]
    return needed // max(4, X.dtype.itemsize)


def _weighted_sum(
    activation: Any,
    order: int,
    X: Array,
    weights: Array,
    chances: Array,
    heights: Array,
    masses: Array,
) -> Array:
    unit = FullyConnected(X.shape[1], 1, 1, activation)

    def of_node(node: tuple[Array, Array]) -> Array:
        weight, chance = node

        def of_height(height: Array) -> Array:
            params = Parameters((weight[None],), height[None])
            return kernels_of(unit, params, X, order)[order]

        return chance * jnp.tensordot(masses, jax.vmap(of_height)(heights), axes=1)

    def add(total: Array, nodes: tuple[Array, Array]) -> tuple[Array, None]:
        return total + jax.vmap(of_node)(nodes).sum(0), None

    each = len(heights) * numbers_for_one(unit, X, order)
    at_once = max(1, min(_NODES_AT_ONCE, _NUMBERS_AT_ONCE // each))
    padding = -len(chances) % at_once
    chunks = (
        jnp.pad(weights, ((0, padding), (0, 0))).reshape(-1, at_once, X.shape[1]),
        jnp.pad(chances, (0, padding)).reshape(-1, at_once),
    )
    total, _ = jax.lax.scan(add, jnp.zeros((len(X),) * order, X.dtype), chunks)
    return total


def average_of_wide_networks(
    net: FullyConnected, X: Array, order: int, key: PRNGKeyArray, width: int, draws: int
) -> LimitEstimate:
    """m^(r/2−1) E K^(r) at widths m and 2m, extrapolated linearly in 1/m.

    The standard error is that of the mean over independent draws; what the extrapolation
    leaves is of order 1/m².
    """
    narrow, wide = (
        _moments(net, X, order, factor * width, draws, jax.random.fold_in(key, factor))
        for factor in (1, 2)
    )
    kernel = 2 * wide[0] - narrow[0]
    return LimitEstimate(kernel, jnp.sqrt(4 * wide[1] ** 2 + narrow[1] ** 2))


def _moments(
    net: FullyConnected, X: Array, order: int, width: int, draws: int, key: PRNGKeyArray
) -> tuple[Array, Array]:
    sized = FullyConnected(
        net.dim, width, net.depth, net.activation, sigma_w=net.sigma_w, sigma_a=net.sigma_a
    )

    def draw(one: PRNGKeyArray) -> Array:
        kernel = kernels_of(sized, sized.init(one, X.dtype), X, order)[order]
        return width ** (order / 2 - 1) * kernel

    kernels = jax.lax.map(draw, jax.random.split(key, draws))
    return kernels.mean(0), kernels.std(0, ddof=1) / jnp.sqrt(draws)
