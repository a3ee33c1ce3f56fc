"""The kernel at the start: what of it is zero within rounding, and its dynamics when frozen."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap
from jaxtyping import Array, Float


class Factors(NamedTuple):
    """A kernel K^(2), (N, n), as ``rows`` (N, n) times the transpose of ``vectors`` (n, n).

    ``eigenvalues`` and ``vectors`` are those of the training block. A residual in a direction
    that the kernel does not see is multiplied by zero, and not by the rounding of a matrix.
    """

    eigenvalues: Float[Array, " n"]
    vectors: Float[Array, "n n"]
    rows: Float[Array, "N n"]

    def __matmul__(self, residual: Array) -> Array:
        return self.rows @ (self.vectors.T @ residual)

    @property
    def matrix(self) -> Float[Array, "N n"]:
        """The kernel itself."""
        return self.rows @ self.vectors.T


def factored(kernel: Float[Array, "N n"], rounding: float) -> Factors:
    """Factors of a kernel whose entries are right to the relative ``rounding`` of their type.

    An eigenvalue that rounding explains, at most n · rounding · λ_max in size, is zero; so is what
    test rows have along its vector, up to the root of that: no positive semi-definite kernel
    couples a test point to a direction in which it vanishes.

    >>> import jax.numpy as jnp
    >>> from nthlib.frozen import factored
    >>> factored(jnp.diag(jnp.array([2.0, -1e-17])), rounding=2.2e-16).eigenvalues.tolist()
    [0.0, 2.0]
    """
    n = kernel.shape[1]
    eigenvalues, vectors = eigendecomposition(kernel[:n])
    eigenvalues = zero_within(rounding, eigenvalues)
    below = kernel[n:] @ vectors
    coupled = jnp.abs(below) > n * rounding**0.5 * jnp.abs(kernel).max()
    below = jnp.where((eigenvalues == 0)[None] & ~coupled, 0.0, below)
    rows = jnp.concatenate([vectors * eigenvalues[None], below])
    return Factors(eigenvalues, vectors, rows)


def zero_within(rounding: float, eigenvalues: Array) -> Array:
    """Eigenvalues, (.., n), with zero in the place of what n · rounding · λ_max explains.

    >>> import jax.numpy as jnp
    >>> from nthlib.frozen import zero_within
    >>> zero_within(2.2e-16, jnp.array([-1e-17, 1e-12, 2.0])).tolist()
    [0.0, 1e-12, 2.0]
    """
    sizes = jnp.abs(eigenvalues)
    explained = eigenvalues.shape[-1] * rounding * sizes.max(axis=-1, keepdims=True)
    return jnp.where(sizes <= explained, 0.0, eigenvalues)


@sequential_vmap  # type: ignore[untyped-decorator]
def eigendecomposition(kernel: Array) -> tuple[Array, Array]:
    """Eigenvalues and vectors of a symmetric matrix, one matrix at a time also under vmap.

    On the CPU jaxlib 0.10 spreads a batch over its worker threads and waits for them from
    inside one: two batches at once in a program can wait for each other for ever.
    """
    eigenvalues, vectors = jnp.linalg.eigh((kernel + kernel.T) / 2)
    return eigenvalues, vectors


@functools.partial(jax.jit, static_argnames=("n", "rounding"))
def frozen_predictions(
    kernel: Array, start: Array, y: Array, times: Array, n: int, rounding: float
) -> Array:
    """The solution of ∂_t f = −(1/n) K (f − y) at the given times, (T, N) or (T, N, labellings)."""
    columns = kernel.shape[1]
    eigenvalues, vectors, rows = factored(kernel, rounding)
    residual = vectors.T @ (start[:columns, None] - y.reshape(columns, -1))
    seen = eigenvalues != 0

    def predictions(t: Array) -> Array:
        learned = -jnp.expm1(-eigenvalues * t / n)
        # ∫_0^t e^{−λs/n} ds / n, for what a test point shares with the training points.
        grown = jnp.where(seen, learned / jnp.where(seen, eigenvalues, 1.0), t / n)
        below = rows[columns:] @ (grown[:, None] * residual)
        moved = jnp.concatenate([vectors @ (learned[:, None] * residual), below])
        return start[:, None] - moved

    values = jax.lax.map(predictions, times)
    return values.reshape(len(times), kernel.shape[0], *y.shape[1:])
