"""K^(r) of any model, by forward derivatives along the fields ∇f_β.

K^(r+1)(.., β) is the derivative of K^(r) along V_β = ∇f_β, and the field itself is
differentiated at the next order because it is evaluated inside the function that is
pushed forward. Slow next to the closed forms, general, and their independent check. The field
of a sample is the gradient of the model on that row alone, so that a model must not mix rows.
Several outputs of a sample count as rows of their own, see ``nthlib.outputs``.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from nthlib.outputs import Model, field, field_labels, flat_outputs


def lie_derivative_kernels(
    model: Model, params: PyTree, X: Array, order: int, X_test: Array | None = None
) -> dict[int, Array]:
    """K^(1), .., K^(order) of ``model``, with flat indices: (N C, n C, ..) for C outputs."""
    everything = X if X_test is None else jnp.concatenate([X, X_test])

    def predictions(theta: PyTree) -> Array:
        return flat_outputs(model, theta, everything)

    return push_forward(predictions, 1, model, params, X, order)


def push_forward(
    kernel: Callable[[PyTree], Array],
    level: int,
    model: Model,
    params: PyTree,
    X: Array,
    order: int,
) -> dict[int, Array]:
    """K^(level), .., K^(order) from K^(level) as a function of the parameters."""
    kernels = {level: kernel(params)}
    for higher in range(level + 1, order + 1):
        kernel = _pushed_along_fields(kernel, model, X, batched=higher == 2)
        kernels[higher] = kernel(params)
    return kernels


def _pushed_along_fields(
    kernel: Callable[[PyTree], Array], model: Model, X: Array, *, batched: bool
) -> Callable[[PyTree], Array]:
    def pushed(theta: PyTree) -> Array:
        labels = field_labels(model, theta, X)

        def along(label: tuple[Array, Array]) -> Array:
            tangent: Array = jax.jvp(kernel, (theta,), (field(model, theta, *label),))[1]
            return tangent

        # Only the innermost derivative runs over all directions at once: doing so at every
        # level would hold n times the memory of the level below.
        columns = jax.vmap(along)(labels) if batched else jax.lax.map(along, labels)
        return jnp.moveaxis(columns, 0, -1)

    return pushed
