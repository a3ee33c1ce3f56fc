"""The truncated hierarchy from initial kernels: as tensors, and as a signature of the residual.

With the force ρ = −(1/n) ∂ℓ/∂f and its iterated integrals, the words
S_{γ1..γk}(t) = ∫_0^t ρ_{γ1}(u) S_{γ2..γk}(u) du, S_∅ = 1, the hierarchy cut at level p is exactly

    K̃_t^(2) = Σ_{k ≤ p−2} K_0^(k+2)(·, ·, γ1..γk) S_{γ1..γk}(t),    ∂_t f̃ = K̃^(2) ρ,

a Chen–Fliess series; the third slot of a kernel meets the latest time. The tensors up to order
p − 1 are replaced by n + n² + .. + n^{p−2} numbers.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

Kernels = dict[int, Array]


class Pushed(NamedTuple):
    """What a force ρ does: the state's velocity, and the predictions' term by term.

    ``rates``: C_k ρ, each (N,), for k = 0, 1, .. as far as the state goes, with K̃^(2) = Σ C_k over
    k ≤ p − 2; those beyond are neglected. A form that holds K̃^(2) alone gives K̃^(2) ρ.
    """

    velocity: Any
    rates: Sequence[Array]


def empty_words(K: Kernels, length: int) -> tuple[Array, ...]:
    """The words of length 1, .., length at time zero, all zero.

    >>> import jax.numpy as jnp
    >>> from nthlib.truncation import signature
    >>> K = {r: jnp.ones((3,) * r) for r in (1, 2, 3, 4)}
    >>> [word.shape for word in signature.empty_words(K, 2)]
    [(3,), (3, 3)]
    """
    n = K[2].shape[1]
    return tuple(jnp.zeros((n,) * k, K[2].dtype) for k in range(1, length + 1))


def push_words(words: tuple[Array, ...], force: Array, K: Kernels, level: int) -> Pushed:
    """∂_t S_{γ1..γk} = ρ_{γ1} S_{γ2..γk}; words beyond length p − 2 belong to what is neglected.

    >>> import jax.numpy as jnp
    >>> from nthlib.truncation import signature
    >>> K = {r: jnp.ones((3,) * r) for r in (1, 2, 3, 4)}
    >>> words = signature.empty_words(K, 2)
    >>> [rate.tolist() for rate in signature.push_words(words, jnp.ones(3), K, level=4).rates]
    [[3.0, 3.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    shorter = (jnp.ones((), force.dtype), *words[:-1])
    velocity = tuple(jnp.multiply.outer(force, word) for word in shorter) if words else ()
    return Pushed(velocity, [term @ force for term in terms_of_words(words, K, len(words) + 2)])


def terms_of_words(words: tuple[Array, ...], K: Kernels, level: int) -> list[Array]:
    """C_k = K_0^(k+2)(·, ·, γ1..γk) S_{γ1..γk} for k = 0, .., p − 2, each (N, n)."""
    return [
        K[2],
        *(jnp.tensordot(K[k + 2], words[k - 1], axes=k) for k in range(1, level - 1)),
    ]


def push_tensors(tensors: tuple[Array, ...], force: Array, K: Kernels, level: int) -> Pushed:
    """∂_t K̃^(r) = K̃^(r+1) ρ for 2 ≤ r < p, as the paper writes it; K^(p) stands still."""
    chain = (*tensors, K[level])
    velocity = tuple(above @ force for above in chain[1:])
    return Pushed(velocity, [chain[0] @ force])


def kernel_of_tensors(tensors: tuple[Array, ...], K: Kernels, level: int) -> list[Array]:
    """K̃^(2), (N, n), in one piece; at p = 2 the state is empty and the kernel that of the start."""
    return [tensors[0] if level > 2 else K[2]]
