"""The kernels of networks of finite width to order 1/m, with no network drawn."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from nthlib import checks
from nthlib.activations import Activation, derivative, relu
from nthlib.compilation import compiled
from nthlib.infinite.adaptive import Errors, Tensors, refined, sampled
from nthlib.infinite.moments import Derivatives
from nthlib.infinite.recursion import HIGHEST_DERIVATIVE, Matrix
from nthlib.memory import check_memory
from nthlib.network import FullyConnected, require_own_law
from nthlib.spelling import spelled

METHODS = ("auto", "quadrature", "sobol")
# Points at which the activation is evaluated at once: one compiled program for all.
_POINTS_AT_ONCE = 2**15
# Tensors of N⁴ numbers at the peak, and numbers in tables and at the nodes.
_TENSORS, _NUMBERS = 60, 2**20
# More inputs and larger tolerances than these take a sample.
_MANY, _ROUGH = 16, 1e-3
# Far above rounding, and far below what a jump within three deviations takes away.
_KINK = 1e-6


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
    key: PRNGKeyArray | None = None,
) -> WidthExpansion:
    """The means and covariances of f, K^(2), K^(3) and K^(4) at initialisation, to order 1/m.

    A recursion over layers takes Gaussian expectations of the activation and its derivatives, up
    to the fifth, at one to four inputs.

    Args:
        net: the architecture; its ``width`` is not used. Its activation must be smooth.
        X: inputs (N, d), training and test points together; no row may be zero.
        method: "quadrature" takes trapezoid rules in up to three dimensions for every four of the
            inputs, N⁴/24 of them, and refines them until nothing changes; "sobol" takes one sample
            for all, of scrambled Sobol points, as many as the tolerance asks for, which is the
            faster for more than 16 inputs and 1e-3 or more. "auto" samples there, if a key is
            given, and takes quadrature otherwise.
        tolerance: the largest error of an entry that is accepted, relative to the largest entry
            of its tensor.
        key: a random key, for "sobol".

    Returns:
        A :class:`WidthExpansion`, in the dtype of X.

    Raises:
        TypeError, ValueError: naming the argument that is of the wrong kind or range, such as an
            activation with a kink, a tolerance that cannot be reached or a key that is missing.
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
    if key is not None or method == "sobol":
        checks.random_key("key", key)
    _require_no_relu(net)
    check_memory(bytes_needed(len(X)), None, "fewer rows of X")

    # What is looked at are values, also when the call stands inside a compiled function.
    with jax.ensure_compile_time_eval():
        # What is repeated is computed once.
        rows, inverse = np.unique(np.asarray(X, np.float64), axis=0, return_inverse=True)
        tensors, error = _tensors(net, rows, method, tolerance, key)
        whole = {
            name: jnp.asarray(value[np.ix_(*[inverse.ravel()] * value.ndim)], X.dtype)
            for name, value in tensors.items()
        }
    return WidthExpansion(**whole, error=error)


def bytes_needed(n: int) -> int:
    """What the expansion of so many inputs takes at its peak."""
    return 8 * (_TENSORS * n**4 + _NUMBERS)


def _tensors(
    net: FullyConnected,
    rows: Matrix,
    method: str,
    tolerance: float,
    key: PRNGKeyArray | None,
) -> tuple[Tensors, Errors]:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        gram = rows @ rows.T
    derivatives = _derivatives(net.activation)
    _require_smooth(net, gram, derivatives)
    should_sample = method == "auto" and len(rows) > _MANY and tolerance >= _ROUGH
    if key is not None and (method == "sobol" or should_sample):
        return sampled(net, gram, derivatives, tolerance, key)
    return refined(net, gram, derivatives, tolerance)


def _require_no_relu(net: FullyConnected) -> None:
    if net.activation is relu:
        raise ValueError("activation must be smooth: relu has a kink")


def _require_smooth(net: FullyConnected, gram: Matrix, derivatives: Derivatives) -> None:
    """Raise where E zσ^(r)(μ + sz) = s E σ^(r+1)(μ + sz) fails, as it does where σ^(r) jumps."""
    z = np.arange(-12.0, 12.0, 2e-3)
    weights = np.exp(-(z**2) / 2)
    variances = net.sigma_w**2 * np.diagonal(gram)
    for deviation in np.sqrt([variances.min(), variances.max()]):
        if not 1e-100 < deviation < 1e100:
            continue  # which is met where the layers' variances are looked at
        # Off the centre, where odd and even parts would hide jumps.
        sigma = derivatives(deviation * (z + 0.3))
        if not np.isfinite(sigma).all():
            raise ValueError(
                "activation must be smooth: one of its first five derivatives is NaN or infinite"
            )
        for r in range(HIGHEST_DERIVATIVE):
            left, right = z * sigma[r], deviation * sigma[r + 1]
            if abs(weights @ (left - right)) > _KINK * (weights @ (abs(left) + abs(right))):
                raise ValueError(
                    "activation must be smooth: it has a kink, one of its first five derivatives "
                    "jumps or bends too sharply for these X and sigma_w"
                )


def _derivatives(activation: Activation) -> Derivatives:
    """σ and its derivatives at points in a row, in double precision whatever JAX's setting."""

    def stacked(points: np.ndarray) -> np.ndarray:
        padding = -len(points) % _POINTS_AT_ONCE
        chunks = np.pad(points, (0, padding)).reshape(-1, _POINTS_AT_ONCE)
        with jax.enable_x64(True):
            program = compiled(_stack_of_derivatives, activation)
            values = [np.asarray(program(jnp.asarray(chunk))) for chunk in chunks]
        return np.concatenate(values, axis=1)[:, : len(points)]

    return stacked


def _stack_of_derivatives(activation: Activation, points: Array) -> Array:
    return jnp.stack([derivative(activation, r)(points) for r in range(HIGHEST_DERIVATIVE + 1)])
