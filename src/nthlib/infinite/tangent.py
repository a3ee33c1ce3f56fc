"""The deterministic kernels to which finite networks tend as the width grows."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from nthlib import checks
from nthlib.activations import relu
from nthlib.infinite.adaptive import NotReachedError
from nthlib.infinite.expansion import width_expansion
from nthlib.infinite.gaussian import pair_expectations
from nthlib.infinite.higher import (
    MOST_DIRECTIONS,
    LimitEstimate,
    average_of_wide_networks,
    directions,
    numbers_for_one,
    one_layer_expectation,
)
from nthlib.memory import check_memory
from nthlib.network import FullyConnected, require_own_law
from nthlib.spelling import spelled

_TOLERANCE_OF_FOURTH = 1e-5


@spelled
def limit_kernel(
    net: FullyConnected,
    X: Float[Array, "n d"],
    order: int = 2,
) -> Array:
    """The limiting kernel 𝔎^(r) of a network, which does not depend on its width.

    m^(r/2−1) K_0^(r) tends to it; for odd r it is zero, by parity (Huang and Yau 2020, Theorem
    2.3). For order 2 a recursion over layers takes Gaussian expectations of σ and σ', closed for
    ``erf`` and ``relu`` and by quadrature for any other activation, to a relative 1e-8 in float64.
    Order 4 is that of :func:`nthlib.width_expansion`, at any depth, to a relative 1e-5.

    Args:
        net: the architecture; its ``width`` is not used. For order 3 and above its activation
            must be smooth: a kink puts a point mass into σ'', which no derivative sees. ``relu``
            is refused there, and at order 4 every kink; at order 6 and above another kink is met
            by a warning where the quadrature finds it.
        X: inputs (n, d), training and test points together; no row may be zero.
        order: 2, 4 or any odd order; an even order above 4 is computed by quadrature (relative
            1e-5) for one hidden layer and inputs that span at most three dimensions, and refused
            otherwise: :func:`limit_kernel_estimate` estimates it. The cost grows steeply with the
            order and with n: order 4 of eight inputs takes a second a layer, order 6 of three
            inputs minutes.

    Returns:
        The kernel, shape (n,) * order, in the dtype of X.

    Raises:
        TypeError, ValueError: naming the argument that is of the wrong kind or range; for order 4
            also where the quadrature does not reach its accuracy.
        MemoryError: when the kernel would not fit.

    Warns:
        UserWarning: when the kernel holds NaN or infinity, or the quadrature of another order is
            not accurate.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=2, width=1, depth=1, activation=nth.relu)
    >>> K = nth.limit_kernel(net, jnp.eye(2))
    >>> round(float(K[0, 0]), 6)  # both layers give E[σ²] + E[σ'²] = 1/2 + 1/2
    1.0
    """
    require_own_law("net", net)
    order = checks.kernel_order(order, 1)
    X, _ = checks.inputs(X, None, net.dim)
    if checks.is_traced(X):
        raise TypeError("X must be a concrete array: the quadrature adapts to its values")
    if not np.asarray(X).any(axis=1).all():
        raise ValueError("X must not hold a zero row")
    _require_smooth(net, order)
    _require_no_estimate(net, X, order)
    if order == 4:
        return _fourth(net, X)
    check_memory(
        X.dtype.itemsize * _numbers_needed(net, X, order),
        None,
        "a lower order or fewer rows of X",
    )
    # The quadrature looks at values, also when the call stands inside a compiled function.
    with jax.ensure_compile_time_eval():
        kernel = _limit_kernel_of(net, X, order)
        checks.warn_unless_finite(
            jnp.isfinite(kernel).all(), "the limiting kernel", "X or sigma_w are"
        )
        return kernel


def _fourth(net: FullyConnected, X: Array) -> Array:
    try:
        return width_expansion(net, X, tolerance=_TOLERANCE_OF_FOURTH).fourth_kernel
    except NotReachedError as error:
        raise ValueError(
            f"order 4 is not accurate to {_TOLERANCE_OF_FOURTH:g} for the activation of net, its "
            "sigma_w and these X: limit_kernel_estimate(key, net, X, 4) gives it with a standard "
            "error"
        ) from error


def _numbers_needed(net: FullyConnected, X: Array, order: int) -> int:
    """Numbers held at the peak, the limit itself among them."""
    n = len(X)
    if order % 2 == 1:
        return n**order
    if order == 2:
        # Two matrices a layer and some at work, and the pairs above the diagonal with what the
        # expectation makes of them.
        return (2 * net.depth + 10) * n * n
    # A sum of single units, whose chunks keep to a bound unless one unit exceeds it.
    unit = FullyConnected(net.dim, 1, 1, net.activation)
    return (order // 2 + 1) * numbers_for_one(unit, X, order)


def _limit_kernel_of(net: FullyConnected, X: Array, order: int) -> Array:
    if order % 2 == 1:
        return jnp.zeros((len(X),) * order, X.dtype)
    if order == 2:
        return _limit_kernel(net, X)
    return one_layer_expectation(net, directions(X), order)


@spelled
def limit_kernel_estimate(
    key: PRNGKeyArray,
    net: FullyConnected,
    X: Float[Array, "n d"],
    order: int,
    *,
    width: int = 256,
    draws: int = 256,
) -> LimitEstimate:
    """Estimate 𝔎^(r) for even r at any depth, with a standard error for every entry.

    m^(r/2−1) K_0^(r) is averaged over ``draws`` networks of ``width`` and of twice that width,
    and extrapolated linearly in 1/m; what the extrapolation leaves is of order 1/m².

    Args:
        key: a random key.
        net: the architecture; its own ``width`` is not used.
        X: inputs (n, d).
        order: an even order, at least 2.
        width: the smaller of the two widths.
        draws: networks at each width.

    Returns:
        A :class:`LimitEstimate` with ``kernel`` and ``standard_error``, shapes (n,) * order.

    Raises:
        TypeError, ValueError: naming the argument, such as an odd order or a missing key.
        MemoryError: when the kernels of so many networks would not fit.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=2, width=1, depth=2)
    >>> key = jax.random.key(0)
    >>> estimate = nth.limit_kernel_estimate(key, net, jnp.eye(2), 4, width=16, draws=8)
    >>> estimate.kernel.shape
    (2, 2, 2, 2)
    """
    require_own_law("net", net)
    order = checks.kernel_order(order, 2)
    if order % 2:
        raise ValueError(f"order must be even: the limit of odd order is zero, got {order}")
    X, _ = checks.inputs(X, None, net.dim)
    checks.random_key("key", key)
    _require_smooth(net, order)
    width = checks.whole_number("width", width, 1)
    draws = checks.whole_number("draws", draws, 2)
    wide = FullyConnected(net.dim, 2 * width, net.depth, net.activation)
    parameters = 2 * width * (net.dim + (net.depth - 1) * 2 * width + 1)
    numbers = (draws + 4) * len(X) ** order + 2 * parameters + numbers_for_one(wide, X, order)
    check_memory(X.dtype.itemsize * numbers, None, "fewer draws, a smaller width or fewer rows")
    return average_of_wide_networks(net, X, order, key, width, draws)


def _require_smooth(net: FullyConnected, order: int) -> None:
    if order >= 3 and net.activation is relu:
        raise ValueError(f"activation must be smooth for order >= 3, got relu at order {order}")


def _require_no_estimate(net: FullyConnected, X: Array, order: int) -> None:
    """Raise where only an average over draws would give the limit, with an error of its own."""
    if order in (2, 4) or order % 2:
        return
    if net.depth > 1 or directions(X).shape[1] > MOST_DIRECTIONS:
        raise ValueError(
            f"order {order} is computed for one hidden layer and inputs that span at most "
            f"{MOST_DIRECTIONS} dimensions; limit_kernel_estimate(key, net, X, {order}) gives it "
            "with a standard error"
        )


def _limit_kernel(net: FullyConnected, X: Array) -> Array:
    covariance = X @ X.T
    covariances, slopes = [covariance], []
    for _ in range(net.depth):
        covariance, slope = _next_layer(net, covariances[-1])
        covariances.append(covariance)
        slopes.append(slope)

    # From the readout down: `backward` is the covariance of ∂f/∂x^(ℓ) between two inputs.
    kernel = covariances.pop()
    backward: Array = jnp.asarray(net.sigma_a**2, X.dtype)
    while covariances:
        adjoints = backward * slopes.pop()
        kernel = kernel + adjoints * covariances.pop()
        backward = adjoints * net.sigma_w**2
    return kernel


def limit_output(net: FullyConnected, X: Array) -> Array:
    """The covariance (N, N) of f(0) at infinite width.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> from nthlib.infinite.tangent import limit_output
    >>> net = nth.FullyConnected(dim=2, width=1, depth=1, activation=nth.relu, sigma_a=2.0)
    >>> limit_output(net, jnp.eye(2)).diagonal().tolist()  # 4 E[σ²]
    [2.0, 2.0]
    """
    covariance = X @ X.T
    for _ in range(net.depth):
        covariance, _ = _next_layer(net, covariance)
    return net.sigma_a**2 * covariance


def _next_layer(net: FullyConnected, covariance: Array) -> tuple[Array, Array]:
    n = len(covariance)
    rows, columns = np.triu_indices(n)
    scaled = net.sigma_w**2 * covariance
    variance = jnp.diagonal(scaled)
    pairs = pair_expectations(
        net.activation, variance[rows], variance[columns], scaled[rows, columns]
    )
    first, second = (_symmetric(values, rows, columns, n) for values in pairs)
    return first, second


def _symmetric(values: Array, rows: np.ndarray, columns: np.ndarray, n: int) -> Array:
    matrix = jnp.zeros((n, n), values.dtype).at[rows, columns].set(values)
    return matrix.at[columns, rows].set(values)
