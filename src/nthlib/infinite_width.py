"""The deterministic kernels to which finite networks tend as the width grows."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from nthlib import validation
from nthlib.gaussian import pair_expectations
from nthlib.network import FullyConnected


def limit_kernel(
    net: FullyConnected,
    X: Float[Array, "n d"],
    order: int = 2,
    key: PRNGKeyArray | None = None,
) -> Float[Array, "n n"]:
    """The limiting kernel 𝔎^(2) of a network, which does not depend on its width.

    K_0^(2) tends to it with fluctuations of order 1/√m (Huang and Yau 2020, Theorem 2.3). The
    recursion over layers takes Gaussian expectations of σ and σ', closed for ``erf`` and
    ``relu`` and by quadrature for any other activation, to a relative 1e-8 in float64.

    Args:
        net: the architecture; its ``width`` is not used.
        X: inputs (n, d), training and test points together; no row may be zero.
        order: 2, the only order so far.
        key: not used at order 2, where nothing is estimated.

    Returns:
        The kernel, shape (n, n), in the dtype of X.

    Raises:
        TypeError, ValueError: naming the argument that is of the wrong kind or range.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=2, width=1, depth=1, activation=nth.relu)
    >>> K = nth.limit_kernel(net, jnp.eye(2))
    >>> round(float(K[0, 0]), 6)  # both layers give E[σ²] + E[σ'²] = 1/2 + 1/2
    1.0
    """
    del key
    if not isinstance(net, FullyConnected):
        raise TypeError(f"net must be a FullyConnected, got {type(net).__name__}")
    if validation.whole_number("order", order, 1) != 2:
        raise ValueError(f"order must be 2 for the limiting kernel, got {order}")
    X, _ = validation.inputs(X, None, net.dim)
    if validation.is_traced(X):
        raise TypeError("X must be a concrete array: the quadrature adapts to its values")
    # The quadrature looks at values, also when the call stands inside a compiled function.
    with jax.ensure_compile_time_eval():
        return _limit_kernel(net, X)


def _limit_kernel(net: FullyConnected, X: Array) -> Array:
    covariance = X @ X.T
    if not bool((jnp.diagonal(covariance) > 0).all()):
        raise ValueError("X must not hold a zero row")

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
