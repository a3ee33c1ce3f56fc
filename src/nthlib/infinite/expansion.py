"""The kernels of networks of finite width to order 1/m, with no network drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nthlib import checks
from nthlib.activations import Activation, derivative, relu
from nthlib.compilation import compiled
from nthlib.infinite.moments import Derivatives, OutOfReachError, Rule, by_quadrature
from nthlib.infinite.recursion import (
    HIGHEST_DERIVATIVE,
    Matrix,
    Moments,
    first_layer,
    next_layer,
    statistics,
)
from nthlib.memory import check_memory
from nthlib.network import FullyConnected, require_own_law
from nthlib.spelling import spelled

METHODS = ("auto", "quadrature")
# Points at which the activation is evaluated at once: one compiled program for all.
_POINTS_AT_ONCE = 2**15
# Steps of the quadrature, each four fifths of the one before; the reach grows as they shrink.
_RULES = tuple(Rule(0.8**k, min(4.5 + 0.5 * k, 8.5)) for k in range(1, 12))
# Tensors of N⁴ numbers at the peak.
_TENSORS = 45
# What is as small as this beside the largest of the tensors is rounding, and counts as zero.
_NOTHING = 1e-10

# Errors that fall more slowly than this from one rule to the next will not fall far.
_SLOWEST = 0.7

Tensors = dict[str, np.ndarray]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class WidthExpansion:
    """The statistics of f and of its kernels at initialisation, to order 1/m in the width m.

    With N inputs, averages over draws of networks of width m are

    - E f_α f_β = ``output`` + ``output_correction``/m, E K^(2) = ``kernel`` +
      ``kernel_correction``/m, all of shape (N, N);
    - E K^(4) = ``fourth_kernel``/m, Cov(K^(2)_αβ, K^(2)_γδ) = ``kernel_covariance``/m and
      Cov(f_α f_β, K^(2)_γδ) = ``output_kernel``/m, (N, N, N, N) with axes α, β, γ, δ;
    - E f_α K^(3)_βγδ = ``output_third``/m, and ``output_cumulant``/m the joint cumulant of
      f_α, f_β, f_γ, f_δ, both (N, N, N, N);

    each with an error of the next order in 1/m. ``error`` has for each of these names the error of
    the Gaussian integration, relative to the largest entry.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=2, width=1, depth=1)
    >>> expansion = nth.width_expansion(net, jnp.eye(2))
    >>> float(jnp.abs(expansion.kernel_correction).max())  # one layer is a sum of m equal terms
    0.0
    """

    output: Float[Array, "N N"]
    output_correction: Float[Array, "N N"]
    kernel: Float[Array, "N N"]
    kernel_correction: Float[Array, "N N"]
    output_cumulant: Float[Array, "N N N N"]
    output_kernel: Float[Array, "N N N N"]
    kernel_covariance: Float[Array, "N N N N"]
    output_third: Float[Array, "N N N N"]
    fourth_kernel: Float[Array, "N N N N"]
    error: dict[str, float]


@spelled
def width_expansion(
    net: FullyConnected,
    X: Float[Array, "N d"],
    *,
    method: str = "auto",
    tolerance: float = 1e-5,
) -> WidthExpansion:
    """The means and covariances of f, K^(2), K^(3) and K^(4) at initialisation, to order 1/m.

    A recursion over layers takes Gaussian expectations of the activation and its derivatives, up
    to the fifth, at one to four inputs.

    Args:
        net: the architecture; its ``width`` is not used. Its activation must be smooth.
        X: inputs (N, d), training and test points together; no row may be zero.
        method: "quadrature", trapezoid rules that are refined until nothing changes.
        tolerance: the largest error of an entry that is accepted, relative to the largest entry
            of its tensor.

    Returns:
        A :class:`WidthExpansion`, in the dtype of X.

    Raises:
        TypeError, ValueError: naming the argument that is of the wrong kind or range, such as an
            activation with a kink, or a tolerance that cannot be reached.
        MemoryError: when the tensors of so many inputs would not fit.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=2, width=1, depth=2)
    >>> expansion = nth.width_expansion(net, jnp.eye(2), tolerance=1e-3)
    >>> expansion.fourth_kernel.shape
    (2, 2, 2, 2)
    """
    require_own_law("net", net)
    X, _ = checks.inputs(X, None, net.dim)
    if checks.is_traced(X):
        raise TypeError("X must be a concrete array: the quadrature adapts to its values")
    if not np.asarray(X).any(axis=1).all():
        raise ValueError("X must not hold a zero row")
    checks.one_of("method", method, METHODS)
    tolerance = checks.positive_number("tolerance", tolerance)
    checks.require(tolerance < 1, f"tolerance must be below 1, got {tolerance:g}")
    if net.activation is relu:
        raise ValueError("activation must be smooth, got relu")
    check_memory(8 * _TENSORS * len(X) ** 4, None, "fewer rows of X")

    # What is repeated is computed once.
    rows, inverse = np.unique(np.asarray(X, np.float64), axis=0, return_inverse=True)
    derivatives = _derivatives(net.activation)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        gram = rows @ rows.T
    tensors, error = _refined(net, gram, derivatives, tolerance)
    whole = {
        name: jnp.asarray(value[np.ix_(*[inverse.ravel()] * value.ndim)], X.dtype)
        for name, value in tensors.items()
    }
    return WidthExpansion(**whole, error=error)


def _derivatives(activation: Activation) -> Derivatives:
    """σ and its derivatives at points in a row, in double precision whatever JAX's setting."""

    def stacked(points: np.ndarray) -> np.ndarray:
        padding = -len(points) % _POINTS_AT_ONCE
        chunks = np.pad(points, (0, padding)).reshape(-1, _POINTS_AT_ONCE)
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            program = compiled(_stack_of_derivatives, activation)
            values = [np.asarray(program(jnp.asarray(chunk))) for chunk in chunks]
        return np.concatenate(values, axis=1)[:, : len(points)]

    return stacked


def _stack_of_derivatives(activation: Activation, points: Array) -> Array:
    return jnp.stack([derivative(activation, r)(points) for r in range(HIGHEST_DERIVATIVE + 1)])


def _refined(
    net: FullyConnected, gram: Matrix, derivatives: Derivatives, tolerance: float
) -> tuple[Tensors, dict[str, float]]:
    """The tensors by the first rule whose next refinement would change less than the tolerance."""
    tensors: Tensors | None = None
    changes: dict[str, float] = {}
    error: dict[str, float] = {}
    for rule in _RULES:
        try:
            finer = _expand(net, gram, partial(by_quadrature, derivatives=derivatives, rule=rule))
        except OutOfReachError:
            break
        if tensors is not None:
            before, changes = changes, _differences(tensors, finer)
            previous = max(error.values(), default=np.inf)
            error = {name: _remaining(changes[name], before.get(name)) for name in changes}
            if max(error.values()) <= tolerance:
                return finer, error
            if max(error.values()) > _SLOWEST * previous:
                break
        tensors = finer
    reached = f"the error stays near {max(error.values()):.0e}" if error else "nothing is accurate"
    raise ValueError(
        f"tolerance {tolerance:g} cannot be reached by quadrature: {reached} for this activation "
        f"and inputs; take a larger tolerance, or smaller X or sigma_w"
    )


def _expand(net: FullyConnected, gram: Matrix, moments: Callable[[Matrix], Moments]) -> Tensors:
    with np.errstate(over="ignore", invalid="ignore"):
        layer = first_layer(gram, net.sigma_w**2)
    for above in range(net.depth):
        if not (np.isfinite(layer.G).all() and (np.diagonal(layer.G) > 0).all()):
            raise ValueError(
                f"X, sigma_w and activation give layer {above + 1} a variance that is zero or "
                "beyond the floats"
            )
        s = net.sigma_a**2 if above == net.depth - 1 else net.sigma_w**2
        layer = next_layer(layer, moments(layer.G), s)
    return statistics(layer)


def _differences(one: Tensors, other: Tensors) -> dict[str, float]:
    """The largest change of each tensor, over its largest entry."""
    largest = {name: float(np.abs(tensor).max()) for name, tensor in other.items()}
    floor = _NOTHING * max(largest.values())
    return {
        name: float(np.abs(one[name] - tensor).max()) / max(largest[name], floor)
        for name, tensor in other.items()
    }


def _remaining(change: float, before: float | None) -> float:
    """What the next refinements would change, as the last two changes fall."""
    rounding = 1e-15
    if before is None or before == 0:
        return max(change, rounding)
    return max(change * min(1.0, max(change / before, 1e-2)), rounding)
