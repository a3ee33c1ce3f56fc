"""K^(r) of any model, by forward derivatives along the fields ∇f_β.

K^(r+1)(.., β) is the derivative of K^(r) along V_β = ∇f_β, and the field itself is
differentiated at the next order because it is evaluated inside the function that is
pushed forward. K^(2) is computed in blocks of directions and rows, the others one direction at a
time. Slow next to the closed forms, general, and their independent check. The field
of a sample is the gradient of the model on that row alone, so that a model must not mix rows.
Several outputs of a sample count as rows of their own, see ``nthlib.outputs``.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from nthlib.finite.blocks import Blocks, in_blocks
from nthlib.outputs import Model, field, flat_outputs, outputs_of


def lie_derivative_kernels(
    model: Model,
    params: PyTree,
    X: Array,
    order: int,
    X_test: Array | None = None,
    blocks: Blocks | None = None,
) -> dict[int, Array]:
    """K^(1), .., K^(order) of ``model``, with flat indices: (N C, n C, ..) for C outputs.

    Everything is taken at once unless ``blocks`` are given.
    """
    everything = X if X_test is None else jnp.concatenate([X, X_test])
    chosen = blocks or Blocks(len(X) * outputs_of(model, params, X), len(everything))
    predictions = in_blocks(lambda Z: model(params, Z), everything, chosen.rows).reshape(-1)
    if order == 1:
        return {1: predictions}

    def second(theta: PyTree) -> Array:
        return tangent_kernel(model, theta, everything, X, chosen)

    return {1: predictions} | push_forward(second, 2, model, params, X, order)


def tangent_kernel(
    model: Model, theta: PyTree, rows: Array, columns: Array, blocks: Blocks
) -> Array:
    """K^(2) between two sets of inputs with flat indices, (N C, n C), a block at a time.

    The fields of some columns are held while all rows, some at a time, are moved along them.
    """
    outputs = outputs_of(model, theta, columns)

    def of_directions(indices: Array) -> Array:
        fields = jax.vmap(lambda index: field(model, theta, columns, index))(indices)

        def of_rows(some: Array) -> Array:
            def along(direction: PyTree) -> Array:
                moved = jax.jvp(lambda t: flat_outputs(model, t, some), (theta,), (direction,))[1]
                return moved.reshape(len(some), outputs)

            return jax.vmap(along, out_axes=1)(fields)

        moved = in_blocks(of_rows, rows, blocks.rows)
        return jnp.moveaxis(moved, 1, 0).reshape(len(indices), -1)

    return in_blocks(of_directions, jnp.arange(len(columns) * outputs), blocks.directions).T


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
        kernel = _pushed_along_fields(kernel, model, X)
        kernels[higher] = kernel(params)
    return kernels


def _pushed_along_fields(
    kernel: Callable[[PyTree], Array], model: Model, X: Array
) -> Callable[[PyTree], Array]:
    def pushed(theta: PyTree) -> Array:
        def along(index: Array) -> Array:
            direction = field(model, theta, X, index)
            tangent: Array = jax.jvp(kernel, (theta,), (direction,))[1]
            return tangent

        # One direction at a time: all at once would hold n times the memory of the level below.
        columns = jax.lax.map(along, jnp.arange(len(X) * outputs_of(model, theta, X)))
        return jnp.moveaxis(columns, 0, -1)

    return pushed
