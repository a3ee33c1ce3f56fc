"""The truncated hierarchy: kernels frozen at level p, started from those of a finite network."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import sequential_vmap
from jaxtyping import Array, Float

from nthlib import validation


class TruncatedSolution(NamedTuple):
    """A solution of the truncated hierarchy at the requested times.

    ``times`` (T,); ``predictions`` (T, N), or (T, N, labellings); ``kernel`` K̃^(2), (T, N, n),
    a read-only view at p = 2, where it does not move;
    ``valid_until``: the time of blow-up, infinity when there is none.
    """

    times: Float[Array, " T"]
    predictions: Array
    kernel: Float[Array, "T N n"]
    valid_until: Float[Array, ""]


def truncated_hierarchy(
    K: Mapping[int, Array],
    y: Float[Array, "n *labellings"],
    times: Float[Array, " T"],
    order: int | None = None,
) -> TruncatedSolution:
    """Integrate the truncated hierarchy of level p from initial kernels.

    At p = 2 the kernel K^(2) is frozen and the residual obeys the linear equation
    ∂_t f̃ = −(1/n) K_0^(2) (f̃ − y), solved exactly by its eigenvectors: kernel regression as
    a dynamics, whose stopping time plays the part of a ridge (Huang and Yau 2020, section 2.2).

    Args:
        K: the initial kernels {1: (N,), 2: (N, n)}, as ``nthlib.kernels`` returns them; test
            points are carried along in the rows after the first n.
        y: labels (n,), or (n, labellings) for several at once.
        times: sorted times, none negative.
        order: the level p; the highest order in ``K`` by default. Only 2 so far.

    Returns:
        A :class:`TruncatedSolution`.

    Raises:
        TypeError, ValueError: naming the argument, before any work starts.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=16, depth=1)
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=3)
    >>> K = nth.kernels(net, net.init(jax.random.key(1)), X, order=2)
    >>> nth.truncated_hierarchy(K, jnp.ones(3), jnp.array([0.0, 1.0])).predictions.shape
    (2, 3)
    """
    if not isinstance(K, Mapping) or 1 not in K or 2 not in K:
        raise TypeError("K must be a dict of kernels with the orders 1 and 2, from nthlib.kernels")
    order = max(K) if order is None else validation.whole_number("order", order, 2)
    if order != 2:
        raise ValueError(f"order must be 2, the frozen kernel, got {order}")
    kernel = validation.floating_array("K[2]", K[2], (None, None))
    rows, n = kernel.shape
    if rows < n:
        raise ValueError(f"K[2] must have a row for every training point, got shape {kernel.shape}")
    start = validation.floating_array("K[1]", K[1], (rows,))
    y = validation.floating_array("y", y, (n,) if jnp.ndim(y) < 2 else (n, None))
    times = validation.time_points(times).astype(kernel.dtype)
    predictions = _frozen_predictions(kernel, start, y, times)
    # A view where possible: T copies of a constant could outgrow the memory.
    repeat = jnp.broadcast_to if validation.is_traced(kernel) else np.broadcast_to
    still: Any = repeat(kernel, (len(times), rows, n))
    return TruncatedSolution(times, predictions, still, jnp.asarray(jnp.inf, kernel.dtype))


@sequential_vmap  # type: ignore[untyped-decorator]
def _eigendecomposition(kernel: Array) -> tuple[Array, Array]:
    """Eigenvalues and vectors of a symmetric matrix, one matrix at a time also under vmap.

    On the CPU jaxlib 0.10 spreads a batch over its worker threads and waits for them from
    inside one: two batches at once in a program can wait for each other for ever.
    """
    eigenvalues, vectors = jnp.linalg.eigh((kernel + kernel.T) / 2)
    return eigenvalues, vectors


@jax.jit
def _frozen_predictions(kernel: Array, start: Array, y: Array, times: Array) -> Array:
    n = kernel.shape[1]
    labels = y.reshape(n, -1)
    eigenvalues, vectors = _eigendecomposition(kernel[:n])
    residual = vectors.T @ (start[:n, None] - labels)

    def predictions(t: Array) -> Array:
        # ∫_0^t e^{−λs/n} ds / n, written so that small and negative λ lose no digits.
        rate = eigenvalues * t / n
        small = jnp.abs(rate) < 1e-12
        grown = jnp.where(small, t / n, -jnp.expm1(-rate) / jnp.where(small, 1.0, eigenvalues))
        return start[:, None] - kernel @ (vectors @ (grown[:, None] * residual))

    values = jax.lax.map(predictions, times)
    return values.reshape(len(times), kernel.shape[0], *y.shape[1:])
