"""Losses by their derivative: what drives the dynamics in place of the residual f − y.

For a loss L(θ) = (1/n) Σ ℓ(f_α, y_α) every equation of the hierarchy keeps its form, with
∂ℓ/∂f in place of f − y. With C outputs f_α and y_α are vectors.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from nthlib import checks
from nthlib.compilation import shape_of

Loss = str | Callable[[Array, Array], Array]


def _square(prediction: Array, label: Array) -> Array:
    return (prediction - label) ** 2 / 2


def _logistic(prediction: Array, label: Array) -> Array:
    return jax.nn.softplus(-label * prediction)


def _softmax(predictions: Array, label: Array) -> Array:
    return -jnp.vdot(label, jax.nn.log_softmax(predictions))


_OF_ONE_OUTPUT = {"square": _square, "logistic": _logistic}
_ROUNDING = 1e-6


def driving_residual(loss: Loss, outputs: int | None = None) -> Callable[[Array, Array], Array]:
    """The function (f, y) -> ∂ℓ/∂f of flat arrays, the outputs of a sample next to each other.

    ``loss`` is "square", ℓ = ‖f − y‖²/2; "logistic", ℓ = ln(1 + e^{−yf}) with y = ±1, summed over
    the outputs; "softmax", ℓ = −Σ_c y_c ln softmax(f)_c with probabilities y; or a differentiable
    function (f, y) -> ℓ of one sample: of scalars, or of vectors (C,) when there are ``outputs``.

    Raises:
        TypeError, ValueError: when it is none of these.
    """
    named = isinstance(loss, str)
    if not callable(loss) and not (named and loss in (*_OF_ONE_OUTPUT, "softmax")):
        raise (ValueError if named else TypeError)(
            'loss must be "square", "logistic", "softmax" or a function (f, y) -> ℓ, got '
            f"{checks.describe(loss)}"
        )
    if loss == "square":
        return lambda predictions, labels: predictions - labels  # exactly, without rounding
    if loss == "softmax" or (callable(loss) and outputs is not None):
        return _of_vectors(jax.grad(loss if callable(loss) else _softmax), outputs or 1)
    slope = jax.grad(loss if callable(loss) else _OF_ONE_OUTPUT[loss])
    return lambda predictions, labels: jnp.vectorize(slope)(predictions, labels)


def _of_vectors(
    slope: Callable[[Array, Array], Array], outputs: int
) -> Callable[[Array, Array], Array]:
    def residual(predictions: Array, labels: Array) -> Array:
        rows = (values.reshape(-1, outputs) for values in (predictions, labels))
        return jax.vmap(slope)(*rows).reshape(-1)

    return residual


def check_loss(loss: Loss, y: Any, outputs: int | None = None) -> None:
    """Raise unless ``loss`` is one, and its labels are what it takes.

    ``y`` has shape (n,) or (n, C), with an axis of labellings behind where there are several.
    """
    driving_residual(loss, outputs)
    if callable(loss):
        _check_own(loss, jnp.result_type(y), outputs)
    if loss == "softmax" and (outputs is None or outputs < 2):
        raise ValueError('loss "softmax" needs a model with two or more outputs, (N, C)')
    if not isinstance(loss, str) or checks.is_traced(y):
        return
    labels = np.asarray(y)
    if loss == "logistic" and (np.abs(labels) != 1).any():
        raise ValueError('y must hold the labels −1 and +1 with the "logistic" loss')
    if loss == "softmax" and (
        (labels < 0).any() or (np.abs(labels.sum(axis=1) - 1) > _ROUNDING).any()
    ):
        raise ValueError('y must hold probabilities that sum to 1 in each row, with "softmax"')


def _check_own(loss: Callable[[Array, Array], Array], dtype: Any, outputs: int | None) -> None:
    one = jax.ShapeDtypeStruct(() if outputs is None else (outputs,), dtype)
    try:
        value = shape_of(loss, one, one)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"loss must be a function (f, y) -> ℓ of one sample, but: {checks.first_line(error)}"
        ) from error
    if getattr(value, "shape", None) != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(
            f"loss must return one real number for one sample, got {checks.describe(value)}"
        )
