"""How far the series in the level reaches, read off the sizes of its terms."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nthlib import checks
from nthlib.spelling import spelled

# The largest unit's share of K^(2), by which the terms that it rules are smaller: e^{−2}.
_LOG_SHARE = -2.0

_FEWEST = 5


@spelled
def reach(terms: Float[Array, "T orders *labellings"]) -> Float[Array, "T *labellings"]:
    """The reach R of the truncated hierarchy at every time, from the sizes of its terms.

    K̃^(2) is a power series in the action A, the largest abs(∫ ∂ℓ/∂f dt), cut after the power p − 2.
    The reach is its radius of convergence over the action spent so far. It falls as training goes
    on; where it exceeds one a higher level helps, below it does not. The rule, from p = 6 on: **go
    on to p + 2 if the reach is at least 0.9; else stop raising p, or resum="strip"**. It is an
    estimate from the last two terms,

        R ≈ min over k = p − 3, p − 2 of (e^{−2} t_0 / t_k)^{1/k},    t_k = max abs(C_k).

    For one hidden layer t_k ≈ s t_0 R^{−k}: the largest unit rules the late terms, and has the
    share s of the kernel. s = e^{−2} was fitted to 147 runs of tanh networks. It is no law: a
    geometric series has s = 1, and its R is found smaller by e^{−2/(p−3)}, a factor 0.51 at
    p = 6 and 0.83 at p = 14. On other activations, readouts and inputs the median of estimate over
    truth is 0.92 at p = 6, 0.95 at p = 8 and 1.01 at p = 10, the standard deviation of its
    logarithm 0.30, 0.18 and 0.13. Only the side of 1 on which it lies, and its order among runs,
    should be read.

    Args:
        terms: (T, p − 1), as ``Solution.terms`` where that is asked for with order=2, with p at
            least 6; a further axis of labellings is kept. Zeros are terms that vanish; two of them
            in the last place, as at time zero, make the reach infinite. Rows of NaN give NaN.

    Returns:
        The reach (T,), or (T, labellings).

    Raises:
        TypeError, ValueError: when ``terms`` are no floats, negative, or fewer than five.

    Works under ``jit``, ``vmap`` and ``grad``.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> powers = jnp.array([[1.0, 0.5, 0.25, 0.125, 0.0625], [1.0, 0.0, 0.0, 0.0, 0.0]])
    >>> [round(value, 2) for value in nth.reach(powers).tolist()]  # 2 e^{−2/3}, and nothing moved
    [1.03, inf]
    """
    if terms is None:
        raise TypeError("terms must be an array, got None: a solution has them with order=2")
    terms = checks.floating_array(
        "terms", terms, (None,) * max(2, checks.axes(terms)), finite=False
    )
    if terms.shape[1] < _FEWEST:
        raise ValueError(
            f"terms must have shape (T, p - 1) with p at least 6, got {terms.shape}: fewer terms "
            "do not tell how they go on"
        )
    if not checks.is_traced(terms) and (np.asarray(terms) < 0).any():
        raise ValueError("terms must not be negative: they are sizes")
    first, last = terms[:, 0], terms.shape[1] - 1
    roots = [root_of_term(first, terms[:, k], k) for k in (last - 1, last)]
    return jnp.minimum(*roots)


def root_of_term(first: Array, later: Array, k: int | Array) -> Array:
    """(e^{−2} t_0 / t_k)^{1/k}, infinite where t_k is zero; no quotient overflows on the way."""
    vanishes = later == 0
    logarithm = jnp.log(first) - jnp.log(jnp.where(vanishes, 1.0, later))
    return jnp.where(vanishes, jnp.inf, jnp.exp((_LOG_SHARE + logarithm) / jnp.maximum(k, 1)))
