"""Models with several outputs: a sample and an output make one index.

A model returns one number a sample, shape (N,), or C of them, shape (N, C). Every equation of
the hierarchy holds for the flat index αC + c as it stands: there the library works, and its
doors split the axes again.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
from jaxtyping import Array, Float, PyTree

from nthlib.compilation import shape_of

Model = Callable[[PyTree, Array], Float[Array, "N *C"]]


def flat_outputs(model: Model, params: PyTree, X: Array) -> Float[Array, " NC"]:
    """The outputs of all samples in one row, those of the first sample first."""
    return model(params, X).reshape(-1)


def outputs_of(model: Model, params: PyTree, X: Array) -> int:
    """How many outputs a sample has, from the shapes alone."""
    return int(shape_of(flat_outputs_of_one(model), params, X[0]).size)


def field(model: Model, params: PyTree, X: Array, index: Array) -> PyTree:
    """V = ∇f of one flat index: of output index % C of the sample index // C."""
    outputs, pull = jax.vjp(
        lambda theta: flat_outputs_of_one(model)(theta, X[index // outputs_of(model, params, X)]),
        params,
    )
    return pull(jax.nn.one_hot(index % outputs.size, outputs.size, dtype=outputs.dtype))[0]


def flat_outputs_of_one(model: Model) -> Callable[[PyTree, Array], Array]:
    """The outputs of a single input, shape (C,), with C = 1 for a model that returns (N,)."""
    return lambda params, x: flat_outputs(model, params, x[None])


def split_axes(array: Any, axes: Iterable[int], outputs: int | None) -> Any:
    """Split the flat axes of an array into samples and outputs; nothing for outputs None."""
    if outputs is None or array is None:
        return array
    chosen = set(axes)
    shape: list[int] = []
    for axis, size in enumerate(array.shape):
        shape.extend((size // outputs, outputs) if axis in chosen else (size,))
    return array.reshape(shape)


def numbers_per_sample(model: Model, params: PyTree, X: Array) -> int:
    """How many intermediate numbers a prediction takes, from the traced program."""

    def numbers(samples: int) -> int:
        return numbers_of(model, params, jax.ShapeDtypeStruct((samples, *X.shape[1:]), X.dtype))

    return max(1, numbers(2) - numbers(1))


def numbers_of(model: Model, params: PyTree, X: Any) -> int:
    """How many numbers the predictions of all rows take, and what is computed beside them."""
    return _array_sizes(jax.make_jaxpr(lambda *given: model(*given))(params, X).jaxpr)


def _array_sizes(program: Any) -> int:
    """The sizes of all results in a traced program, inner programs included."""
    total = 0
    for equation in program.eqns:
        inner = [getattr(value, "jaxpr", value) for value in equation.params.values()]
        inner = [value for value in inner if hasattr(value, "eqns")]
        total += sum(map(_array_sizes, inner)) or sum(out.aval.size for out in equation.outvars)
    return total
