"""The truncated hierarchy from initial kernels: as tensors, and as a signature of the residual.

With the force ρ = −(1/n) ∂ℓ/∂f and its iterated integrals, the words
S_{γ1..γk}(t) = ∫_0^t ρ_{γ1}(u) S_{γ2..γk}(u) du, S_∅ = 1, the hierarchy cut at level p is exactly

    K̃_t^(2) = Σ_{k ≤ p−2} K_0^(k+2)(·, ·, γ1..γk) S_{γ1..γk}(t),    ∂_t f̃ = K̃^(2) ρ,

a Chen–Fliess series; the third slot of a kernel meets the latest time. The tensors up to order
p − 1 are replaced by n + n² + .. + n^{p−2} numbers.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

# Orders to arrays, but for K^(2), which stands as its factors.
Kernels = dict[int, Any]


class Pushed(NamedTuple):
    """What a force does: the state's velocity, the predictions' (N,), and that of the neglected.

    ``neglected`` is the part of the predictions' velocity in the next power of 1/m, or None.
    """

    velocity: Any
    predictions: Array
    neglected: Array | None


def empty_words(K: Kernels, length: int) -> tuple[Array, ...]:
    """The words of length 1, .., length at time zero, all zero.

    >>> import jax.numpy as jnp
    >>> from nthlib import frozen, signature
    >>> K = {r: jnp.ones((3,) * r) for r in (1, 2, 3, 4)}
    >>> K[2] = frozen.factored(K[2], rounding=1e-16)
    >>> [word.shape for word in signature.empty_words(K, 2)]
    [(3,), (3, 3)]
    """
    n, dtype = len(K[2].vectors), K[2].vectors.dtype
    return tuple(jnp.zeros((n,) * k, dtype) for k in range(1, length + 1))


def push_words(words: tuple[Array, ...], force: Array, K: Kernels, order: int) -> Pushed:
    """∂_t S_{γ1..γk} = ρ_{γ1} S_{γ2..γk}; words beyond length p − 2 belong to what is neglected.

    >>> import jax.numpy as jnp
    >>> from nthlib import frozen, signature
    >>> K = {r: jnp.ones((3,) * r) for r in (1, 2, 3, 4)}
    >>> K[2] = frozen.factored(K[2], rounding=1e-16)
    >>> words = signature.empty_words(K, 2)
    >>> signature.push_words(words, jnp.ones(3), K, order=4).predictions.round(4).tolist()
    [3.0, 3.0, 3.0]
    """
    shorter = (jnp.ones((), force.dtype), *words[:-1])
    velocity = tuple(jnp.multiply.outer(force, word) for word in shorter) if words else ()
    moving = sum(_term(K, k, words) for k in range(1, order - 1))
    predictions = K[2] @ force + (moving @ force if order > 2 else 0.0)
    beyond = sum(_term(K, k, words) for k in range(order - 1, len(words) + 1))
    neglected = beyond @ force if len(words) > order - 2 else None
    return Pushed(velocity, predictions, neglected)


def kernel_of_words(words: tuple[Array, ...], K: Kernels, order: int) -> Array:
    """K̃^(2), (N, n)."""
    return K[2].matrix + sum(_term(K, k, words) for k in range(1, order - 1))


def _term(K: Kernels, k: int, words: tuple[Array, ...]) -> Array:
    return jnp.tensordot(K[k + 2], words[k - 1], axes=k)


def empty_tensors(K: Kernels, order: int) -> tuple[Array, ...]:
    """K̃^(2) − K_0^(2), zero, and K^(3), .., K^(p−1); nothing at p = 2."""
    return (jnp.zeros_like(K[2].rows), *(K[r] for r in range(3, order)))[: order - 2]


def push_tensors(tensors: tuple[Array, ...], force: Array, K: Kernels, order: int) -> Pushed:
    """∂_t K̃^(r) = K̃^(r+1) ρ for 2 ≤ r < p, as the paper writes it; K^(p) stands still."""
    if not tensors:
        return Pushed((), K[2] @ force, None)
    velocity = tuple(above @ force for above in (*tensors[1:], K[order]))
    return Pushed(velocity, K[2] @ force + tensors[0] @ force, None)


def kernel_of_tensors(tensors: tuple[Array, ...], K: Kernels, order: int) -> Array:
    """K̃^(2), (N, n); at p = 2 the state is empty and the kernel that of the start."""
    return K[2].matrix + tensors[0] if order > 2 else K[2].matrix
