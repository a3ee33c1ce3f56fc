"""The kernel at the start: what of it is zero within rounding, and its dynamics when frozen."""

import functools
from collections.abc import Callable
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


def factored(kernel: Float[Array, "N n"], rounding: float) -> Factors:
    """Factors of a kernel whose entries are right to the relative ``rounding`` of their type.

    An eigenvalue that rounding explains is zero, and so is what test rows have along its vector,
    up to the root of that: a positive semi-definite kernel has K(x, e)² ≤ K(x, x) ⟨e, K e⟩.

    >>> import jax.numpy as jnp
    >>> from nthlib.dynamics.frozen import factored
    >>> factored(jnp.diag(jnp.array([2.0, -1e-17])), rounding=2.2e-16).eigenvalues.tolist()
    [0.0, 2.0]
    """
    n = kernel.shape[1]
    eigenvalues, vectors = eigendecomposition(kernel[:n])
    eigenvalues = zero_within(rounding, eigenvalues)
    null, below = (eigenvalues == 0)[None], kernel[n:] @ vectors
    size = jnp.linalg.norm(below, axis=1, keepdims=True)
    part = jnp.linalg.norm(jnp.where(null, below, 0.0), axis=1, keepdims=True)
    explained = explained_by(rounding, n) ** 0.5 * jnp.maximum(size, jnp.abs(eigenvalues).max())
    below = jnp.where(null & (part <= explained), 0.0, below)
    rows = jnp.concatenate([vectors * eigenvalues[None], below])
    return Factors(eigenvalues, vectors, rows)


def explained_by(rounding: float, n: int) -> float:
    """How large an eigenvalue of n points, next to the largest, rounding explains.

    The entries are off by their own ``rounding``, and by less than that in norm; arithmetic, in
    single precision at least, by some of its own and by √n, as sums of many roundings are. With n
    in its place what a float32 kernel of 300 points resolves would be lost.

    >>> from nthlib.dynamics.frozen import explained_by
    >>> explained_by(2.0**-23, 49) == 2.0**-19
    True
    """
    return rounding + (8 + n**0.5) * min(rounding, float(jnp.finfo("float32").eps))


def zero_within(rounding: float, eigenvalues: Array) -> Array:
    """Eigenvalues, (.., n), with zero in the place of what rounding explains.

    >>> import jax.numpy as jnp
    >>> from nthlib.dynamics.frozen import zero_within
    >>> zero_within(2.2e-16, jnp.array([-1e-17, 1e-12, 2.0])).tolist()
    [0.0, 1e-12, 2.0]
    """
    sizes = jnp.abs(eigenvalues)
    share = explained_by(rounding, eigenvalues.shape[-1])
    return jnp.where(sizes <= share * sizes.max(axis=-1, keepdims=True), 0.0, eigenvalues)


class InEigenvectors(NamedTuple):
    """Kernels in the eigenvectors of K^(2): see :func:`in_eigenvectors`.

    ``kernels``, K[1] as it was; ``vectors`` (n, n), the basis as columns; ``forces`` (n, n), which
    takes a force on the training points into the basis, without the modes that no kernel meets.
    """

    kernels: dict[int, Array]
    vectors: Array
    forces: Array


def in_eigenvectors(K: dict[int, Array], rounding: float) -> InEigenvectors:
    """Turn the indices of training points of all kernels into the eigenvectors of K^(2).

    In this basis a mode that K^(2) does not see has a row and a column that are exactly zero,
    which no matrix of rounded numbers has in the first one. Where the higher kernels vanish in it
    as well, up to the rounding of the vectors, that is made exact too; else it may wake later.
    """
    eigenvalues, vectors, rows = factored(K[2], rounding)
    n, null, sizes = len(eigenvalues), eigenvalues == 0, jnp.abs(eigenvalues)
    # Vectors are off by the rounding over the gap in the spectrum.
    share, gap = explained_by(rounding, n), jnp.where(null, jnp.inf, sizes).min()
    level = jnp.minimum(share * sizes.max() / gap, share**0.5)
    kernels = {1: K[1], 2: jnp.concatenate([jnp.diag(eigenvalues), rows[n:]])}
    met = jnp.abs(kernels[2]).max(axis=0)
    for r in sorted(K)[2:]:
        kernel = _on_every_axis(K[r], lambda values: vectors.T @ values, n)
        largest = jnp.abs(kernel).max()

        def without_rounding(values: Array, bound: Array = level * largest) -> Array:
            part = jnp.abs(values).max(axis=1, keepdims=True)
            return jnp.where(null[:, None] & (part <= bound), 0.0, values)

        kernels[r] = kernel = _on_every_axis(kernel, without_rounding, n)
        for axis in range(1, r):
            met = met + jnp.abs(jnp.moveaxis(kernel, axis, 0)).reshape(n, -1).max(axis=1)
    return InEigenvectors(kernels, vectors, jnp.where(met[None] > 0, vectors, 0.0).T)


def _on_every_axis(kernel: Array, change: Callable[[Array], Array], n: int) -> Array:
    """Change the n training rows of an array (n, rest), for every axis of a kernel in turn."""
    for axis in range(kernel.ndim):
        moved = jnp.moveaxis(kernel, axis, 0)
        changed = change(moved[:n].reshape(n, -1)).reshape(n, *moved.shape[1:])
        kernel = jnp.moveaxis(jnp.concatenate([changed, moved[n:]]), 0, axis)
    return kernel


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
