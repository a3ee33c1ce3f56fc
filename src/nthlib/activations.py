"""Elementwise activations: their derivatives, and which of them this library knows by name."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from nthlib import checks
from nthlib.compilation import is_fixed

Activation = Callable[[Array], Array]

erf: Activation = jax.scipy.special.erf
"""The error function, (2/√π) ∫_0^x exp(−t²) dt: smooth, with a limiting kernel in closed form.

Takes an array of any shape and returns one of that shape; an ``activation`` of a network.

>>> import jax.numpy as jnp, nthlib as nth
>>> round(float(nth.erf(jnp.array(0.5))), 4)
0.5205
"""

relu: Activation = jax.nn.relu
"""max(x, 0): outside the theorems' assumptions, with a limiting kernel in closed form.

Takes an array of any shape and returns one of that shape; an ``activation`` of a network.

>>> import jax.numpy as jnp, nthlib as nth
>>> nth.relu(jnp.array([-1.0, 2.0])).tolist()
[0.0, 2.0]
"""


def derivative(activation: Activation, order: int = 1) -> Activation:
    """The ``order``-th derivative of an elementwise activation, itself elementwise.

    Args:
        activation: any elementwise function built from JAX operations.
        order: 0 for the activation itself, 1 for σ', and so on.

    Returns:
        A function of an array of any shape, which returns one of that shape.

    >>> import jax.numpy as jnp
    >>> from nthlib.activations import derivative
    >>> float(derivative(jnp.tanh)(jnp.array(0.0)))
    1.0
    """
    if order == 0:
        return activation

    def slope(x: Array) -> Array:
        # Pushing ones forward differentiates every entry at once: entries do not mix.
        lower = derivative(activation, order - 1)
        tangent: Array = jax.jvp(lower, (x,), (jnp.ones_like(x),))[1]
        return tangent

    return slope


def require_elementwise(activation: Activation) -> None:
    """Raise unless ``activation`` acts on every entry of an array separately.

    Raises:
        TypeError: when it cannot be called on a JAX array of floats.
        ValueError: when it changes the shape or mixes entries, as softmax does.
    """
    if not callable(activation):
        raise TypeError(
            f"activation must be a function of an array, got {checks.describe(activation)}"
        )
    # What may change is looked at again each time.
    (_probe_once if is_fixed(activation) else _probe)(activation)


def _probe(activation: Activation) -> None:
    points = (-1.3, 0.4, 2.1)
    with jax.ensure_compile_time_eval():
        try:
            together = activation(jnp.array(points))
            apart = [activation(jnp.array([x])) for x in points]
        except Exception as error:
            raise TypeError(
                f"activation must map a JAX array to an array: {checks.first_line(error)}"
            ) from error
        if [getattr(value, "shape", None) for value in (together, *apart)] != [(3,), *[(1,)] * 3]:
            raise ValueError("activation must return an array of the shape it was given")
        if not jnp.allclose(together, jnp.concatenate(apart), rtol=1e-4, atol=1e-6, equal_nan=True):
            raise ValueError(
                "activation must act elementwise, but its entries depend on each other"
            )


_probe_once = functools.lru_cache(maxsize=128)(_probe)


def named(name: str) -> Activation:
    """Look up an activation by the name it has in ``jax.nn`` or ``jax.numpy``, or "erf".

    Args:
        name: such as "tanh", "softplus", "gelu" or "erf".

    Returns:
        The elementwise function of that name.

    Raises:
        ValueError: when there is none, or it mixes the entries of an array.
        TypeError: when what has the name is no function of an array.

    >>> import jax
    >>> from nthlib.activations import named
    >>> named("softplus") is jax.nn.softplus
    True
    """
    if name == "erf":
        return erf
    for module in (jax.nn, jnp):
        found = getattr(module, str(name), None)
        if callable(found):
            require_elementwise(found)
            return found
    raise ValueError(f"activation must be a name from jax.nn or jax.numpy, got {name!r}")
