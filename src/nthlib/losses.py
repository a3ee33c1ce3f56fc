"""Losses by their derivative: what drives the dynamics in place of the residual f − y.

For a loss L(θ) = (1/n) Σ ℓ(f_α, y_α) every equation of the hierarchy keeps its form, with
∂ℓ/∂f in place of f − y.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from nthlib import validation

Loss = str | Callable[[Array, Array], Array]


def _square(prediction: Array, label: Array) -> Array:
    return (prediction - label) ** 2 / 2


def _logistic(prediction: Array, label: Array) -> Array:
    return jax.nn.softplus(-label * prediction)


_NAMED = {"square": _square, "logistic": _logistic}


def driving_residual(loss: Loss) -> Callable[[Array, Array], Array]:
    """The function (f, y) -> ∂ℓ/∂f, element by element.

    ``loss`` is "square", ℓ = (f − y)²/2, "logistic", ℓ = ln(1 + e^{−yf}) with y = ±1, or a
    differentiable function (f, y) -> ℓ of one prediction and its label.

    Raises:
        TypeError, ValueError: when it is neither.
    """
    if not callable(loss) and loss not in _NAMED:
        kind = ValueError if isinstance(loss, str) else TypeError
        raise kind(f'loss must be "square", "logistic" or a function (f, y) -> ℓ, got {loss!r}')
    one = loss if callable(loss) else _NAMED[loss]
    if one is _square:
        return lambda predictions, labels: predictions - labels  # exactly, without rounding
    slope = jax.grad(one)
    return lambda predictions, labels: jnp.vectorize(slope)(predictions, labels)


def check_loss(loss: Loss, y: Any) -> None:
    """Raise unless ``loss`` is one, and its labels are ±1 when it is the logistic loss."""
    driving_residual(loss)
    if loss == "logistic" and not validation.is_traced(y) and (np.abs(np.asarray(y)) != 1).any():
        raise ValueError('y must hold the labels −1 and +1 with the "logistic" loss')
