"""Taylor arithmetic along a curve of parameters."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree


def taylor_coefficients(function: Callable[[PyTree], Any], curve: Sequence[PyTree]) -> list[Any]:
    """Coefficients of ε^0, .., ε^k of function(curve[0] + ε curve[1] + .. + ε^k curve[k]).

    Nested forward derivatives in the one scalar ε. Equal branches are merged by the compiler,
    so that the cost grows like k² and not like 2^k.

    Args:
        function: of one pytree, to an array or a pytree of arrays.
        curve: pytrees of one structure, the coefficients of ε^0, .., ε^k.

    Returns:
        k + 1 coefficients, each as ``function`` returns its values.

    >>> import jax.numpy as jnp
    >>> from nthlib.finite.taylor import taylor_coefficients
    >>> along = [jnp.array(0.0), jnp.array(1.0), jnp.array(0.0)]
    >>> [float(coefficient) for coefficient in taylor_coefficients(jnp.exp, along)]
    [1.0, 1.0, 0.5]
    """

    def point(epsilon: Array) -> PyTree:
        total = curve[-1]
        for coefficient in reversed(curve[:-1]):
            total = jax.tree.map(lambda a, b: epsilon * a + b, total, coefficient)
        return total

    def derivatives(degree: int) -> Callable[[Array], list[Any]]:
        if degree == 0:
            return lambda epsilon: [function(point(epsilon))]
        lower = derivatives(degree - 1)

        def extended(epsilon: Array) -> list[Any]:
            values, slopes = jax.jvp(lower, (epsilon,), (jnp.ones_like(epsilon),))
            return [*values, slopes[-1]]

        return extended

    dtype = jnp.result_type(*jax.tree.leaves(curve[0]))
    found = derivatives(len(curve) - 1)(jnp.zeros((), dtype))
    return [
        jax.tree.map(lambda leaf, k=k: leaf / math.factorial(k), value)
        for k, value in enumerate(found)
    ]
