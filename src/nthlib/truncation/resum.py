"""Summing the truncated kernel's series along a strip, where the series itself may diverge.

Trained at the real speed ε a network with bounded σ' never leaves the real numbers, so that its
kernel K(ε) is analytic in a strip |Im ε| < B around the real axis, though the series in ε converges
in a disc alone. The map ε = (4B/π) artanh w takes the unit disc onto the strip |Im ε| < B. The
series is expanded anew in w, cut at w^{p−2}, and evaluated at ε = 1:

    K̃ = Σ_k b_k C_k,    b_k = (w/x)^k Σ_{j=k}^{p−2} w^{j−k} [w^j] (artanh w)^k,

with x = π/4B and w = tanh x.

The weights are linear in the terms, and have no poles; they tend to one as B grows.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nthlib.truncation.reach import root_of_term

# Below this tanh(x)/x is its own series, to rounding, whose slope is safe as well.
_SMALL = 1e-2

# At p = 4 and 5 a sum along the true strip loses more by bending the few terms there are than it
# gains, and one about twice as wide serves better. From p = 6 on, and at p = 3, a little caution.
_WIDER, _CAUTION, _FEW = 2.0, 0.9, 3


def strip_weights(
    action: Float[Array, ""], half_width: Float[Array, ""], degree: int | Array, highest: int
) -> Float[Array, " terms"]:
    """b_0, .., b_highest for B = half_width/action and p − 2 = ``degree``; zero above it.

    ``degree`` may be traced. An infinite half-width or no action make all of them one.

    >>> from nthlib.truncation.resum import strip_weights
    >>> [strip_weights(0.0, 2.0, degree, 3).tolist() for degree in (1, 3)]
    [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
    """
    x = jnp.pi / 4 * action / half_width
    w = jnp.tanh(x)
    k, i = jnp.arange(highest + 1)[:, None], jnp.arange(highest + 1)
    table = jnp.where(k + i <= degree, jnp.asarray(_powers_of_artanh(highest), w.dtype), 0)
    powers = jnp.cumprod(jnp.concatenate([jnp.ones(1, w.dtype), jnp.full(highest, w)]))
    ratios = jnp.cumprod(jnp.concatenate([jnp.ones(1, w.dtype), jnp.full(highest, _over(w, x))]))
    return ratios * (table @ powers)


def _over(w: Array, x: Array) -> Array:
    """tanh(x)/x."""
    small = x < _SMALL
    square = jnp.where(small, x, 0.0) ** 2
    series = 1 - square / 3 * (1 - square * 2 / 5 * (1 - square * 17 / 42))
    return jnp.where(small, series, w / jnp.where(small, 1.0, x))


def _powers_of_artanh(highest: int) -> np.ndarray:
    """[w^{k+i}] (artanh w)^k for k, i = 0, .., highest."""
    odd = np.arange(2 * highest + 2)
    artanh = np.where(odd % 2 == 1, 1 / np.maximum(odd, 1), 0.0)[: highest + 2]
    power, rows = np.eye(1, highest + 1)[0], []
    for _ in range(highest + 1):
        rows.append(power)
        power = np.convolve(power, artanh[1:])[: highest + 1]  # of artanh(w)/w
    return np.stack(rows)


def half_width_of(sizes: Float[Array, " terms"], degree: int | Array) -> Float[Array, ""]:
    """A half-width, as an action, from the sizes of the terms on a straight path of action one.

    The geometric mean of (e^{−2} t_0 / t_k)^{1/k} over k = p − 3 and p − 2, the roots of which
    :func:`nthlib.reach` takes the smaller, times 0.9; twice that mean at p = 4 and 5. The term
    k = 1 counts at p = 3 alone: its mean over draws is zero.
    """
    k = jnp.arange(len(sizes))
    last = (k >= jnp.clip(degree - 1, min=jnp.minimum(degree, 2))) & (k > 0) & (k <= degree)
    roots = root_of_term(sizes[0], sizes, k)
    heard = last & jnp.isfinite(roots)
    logarithms = jnp.where(heard, jnp.log(jnp.where(heard, roots, 1.0)), 0.0)
    mean = jnp.exp(logarithms.sum() / jnp.maximum(heard.sum(), 1))
    few = (degree > 1) & (degree <= _FEW)
    return jnp.where(heard.any(), jnp.where(few, _WIDER, _CAUTION) * mean, jnp.inf)


def straight(velocity: Callable[[Any], Any], start: Any, degree: int) -> Any:
    """The state of a form of the hierarchy after a constant force has acted for a unit of time.

    There a displacement or a word of order k is the k-th power of the time, so that its velocity is
    k times itself, and follows from the orders below: as many rounds as there are orders find all.
    """

    def closer(_: Any, own: Any) -> Any:
        return tuple(
            jax.tree.map(lambda leaf, k=k: leaf / k, part)
            for k, part in enumerate(velocity(own), 1)
        )

    return jax.lax.fori_loop(0, degree, closer, start)
