"""The frozen kernel, p = 2, solved exactly: kernel regression as a dynamics."""

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap
from jaxtyping import Array


@sequential_vmap  # type: ignore[untyped-decorator]
def eigendecomposition(kernel: Array) -> tuple[Array, Array]:
    """Eigenvalues and vectors of a symmetric matrix, one matrix at a time also under vmap.

    On the CPU jaxlib 0.10 spreads a batch over its worker threads and waits for them from
    inside one: two batches at once in a program can wait for each other for ever.
    """
    eigenvalues, vectors = jnp.linalg.eigh((kernel + kernel.T) / 2)
    return eigenvalues, vectors


@jax.jit
def frozen_predictions(kernel: Array, start: Array, y: Array, times: Array, n: int) -> Array:
    """The solution of ∂_t f = −(1/n) K (f − y) at the given times, (T, N) or (T, N, labellings)."""
    columns = kernel.shape[1]
    labels = y.reshape(columns, -1)
    eigenvalues, vectors = eigendecomposition(kernel[:columns])
    residual = vectors.T @ (start[:columns, None] - labels)

    def predictions(t: Array) -> Array:
        # ∫_0^t e^{−λs/n} ds / n, written so that small and negative λ lose no digits.
        rate = eigenvalues * t / n
        small = jnp.abs(rate) < 1e-12
        grown = jnp.where(small, t / n, -jnp.expm1(-rate) / jnp.where(small, 1.0, eigenvalues))
        return start[:, None] - kernel @ (vectors @ (grown[:, None] * residual))

    values = jax.lax.map(predictions, times)
    return values.reshape(len(times), kernel.shape[0], *y.shape[1:])
