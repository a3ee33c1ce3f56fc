"""The tangent kernel K^(2) between any two sets of inputs, in blocks, or as an operator."""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree
from scipy.sparse.linalg import LinearOperator

from nthlib import checks
from nthlib.compilation import compiled, shape_of
from nthlib.finite.blocks import Blocks, Sizes, in_blocks, parameter_count, sizes
from nthlib.finite.closed_forms import layer_kernel_matrices
from nthlib.finite.lie import tangent_kernel
from nthlib.finite.passes import states
from nthlib.memory import bytes_allowed, check_memory
from nthlib.model import check_model
from nthlib.network import FullyConnected, Parameters, has_closed_forms
from nthlib.outputs import Model
from nthlib.spelling import spelled

Outputs = Literal["full", "trace", "diagonal"]

_NAMES = ("X1", "X2")
# Vectors that one pass of a model takes along: more gain little.
_VECTORS_AT_ONCE = 16


@spelled
def ntk(
    model: Model,
    params: PyTree,
    X1: Array,
    X2: Array | None = None,
    *,
    outputs: Outputs = "full",
    block: int | None = None,
    memory_limit: int | None = None,
) -> Array:
    """The tangent kernel K^(2)(α, β) = ⟨∇f_α, ∇f_β⟩ between any two sets of inputs.

    It is that of :func:`kernels` at order 2, without a 1/n or a power of the width. Gradients are
    held for a block of inputs at a time, for a :class:`FullyConnected` never.

    Args:
        model: a callable (params, X) -> (N,) or (N, C), such as a :class:`FullyConnected`. Each
            output may depend on its own row of X alone: no batch statistics.
        params: the parameters, any pytree of floating-point arrays.
        X1: the inputs of the rows, (n1, d); for other models the samples run along the first axis.
        X2: the inputs of the columns, (n2, d); those of the rows by default.
        outputs: what is kept of C outputs: "full", every pair of them; "diagonal", pairs of equal
            ones; "trace", the sum over these, which is not divided by C.
        block: how many inputs of each set are taken at a time; by default all of them where they
            fit, or else as many as do.
        memory_limit: bytes the request may need; half of the machine's memory by default.

    Returns:
        The kernel in the dtype of the model's output: (n1, C, n2, C) for "full", (n1, n2, C) for
        "diagonal", (n1, n2) for "trace"; (n1, n2) in any case for a model that returns (N,).

    Raises:
        TypeError, ValueError: naming the argument, for a wrong shape, type or value.
        MemoryError: before anything is allocated, with the estimated size.

    Warns:
        UserWarning: when the kernel holds NaN or infinity.

    >>> import jax, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=16, depth=2)
    >>> train, test = jax.random.normal(jax.random.key(1), (2, 4, 3))
    >>> nth.ntk(net, net.init(jax.random.key(0)), test[:2], train).shape
    (2, 4)
    """
    checks.one_of("outputs", outputs, ("full", "trace", "diagonal"))
    block = None if block is None else checks.whole_number("block", block, 1)
    dim = model.dim if has_closed_forms(model) else None
    X1, X2 = checks.inputs(X1, X2, dim, names=_NAMES)
    count = check_model(model, params, X1, X2, names=_NAMES)
    sets = X1, X1 if X2 is None else X2
    blocks, needed = _planned(model, params, *sets, count or 1, outputs, block, memory_limit)
    check_memory(needed, memory_limit, "fewer samples, a smaller block or float32")
    kept = "full" if count is None else outputs
    kernel, finite = compiled(_kernel, model, kept, blocks)(params, X1, X2)
    checks.warn_unless_finite(finite, "the tangent kernel", "X1, X2 or params are")
    if count is None or outputs != "full":
        return kernel
    return kernel.reshape(len(sets[0]), count, len(sets[1]), count)


def _kernel(
    model: Model, outputs: str, blocks: Blocks, params: PyTree, X1: Array, X2: Array | None
) -> tuple[Array, Array]:
    X2 = X1 if X2 is None else X2
    if has_closed_forms(model):
        kernel = _closed(model, blocks, params, X1, X2)
    elif outputs == "full":
        kernel = tangent_kernel(model, params, X1, X2, blocks)
    else:
        kernel = _of_equal_outputs(model, outputs, blocks, params, X1, X2)
    return kernel, jnp.isfinite(kernel).all()


def _closed(net: FullyConnected, blocks: Blocks, params: Parameters, X1: Array, X2: Array) -> Array:
    def of_rows(some: Array) -> Array:
        rows = states(net, params, some)

        def of_columns(others: Array) -> Array:
            return sum(layer_kernel_matrices(states(net, params, others), rows))  # type: ignore[return-value]

        return in_blocks(of_columns, X2, blocks.directions).T

    return in_blocks(of_rows, X1, blocks.rows)


def _of_equal_outputs(
    model: Model, outputs: str, blocks: Blocks, params: PyTree, X1: Array, X2: Array
) -> Array:
    """K^(2) of each output by itself, (n1, n2, C), or the sum of them."""
    shape = shape_of(model, params, X1)
    every = jnp.arange(shape.shape[1])

    def of_output(output: Array) -> Array:
        return tangent_kernel(lambda theta, Z: model(theta, Z)[:, output], params, X1, X2, blocks)

    if outputs == "diagonal":
        return jnp.moveaxis(jax.lax.map(of_output, every), 0, -1)

    def add(total: Array, output: Array) -> tuple[Array, None]:
        return total + of_output(output), None

    return jax.lax.scan(add, jnp.zeros((len(X1), len(X2)), shape.dtype), every)[0]


def _planned(
    model: Model,
    params: PyTree,
    X1: Array,
    X2: Array,
    count: int,
    outputs: str,
    block: int | None,
    limit: int | None,
) -> tuple[Blocks, int]:
    """The blocks of columns (with their outputs) and of rows, and the bytes at the peak."""
    itemsize = _itemsize(params, X1, X2)
    kept = {"full": count**2, "diagonal": count, "trace": 1}[outputs]
    # Blocks of the kernel are put in their places, and its axes into their order.
    beside = 2 * len(X1) * len(X2) * kept + X1.size + X2.size
    columns = count if outputs == "full" else 1
    size: Sizes | _ClosedSizes
    if has_closed_forms(model):
        size = _ClosedSizes(len(X2), len(X1), 4 * model.width * model.depth, 2 * model.depth + 1)
    else:
        size = sizes(model, params, X2, len(X1), 2, columns)
    if block is None:
        blocks = size.within(bytes_allowed(limit) // itemsize - beside)
    else:
        blocks = Blocks(min(block * columns, size.directions), min(block, size.rows))
    return blocks, itemsize * (beside + size.needed(blocks))


class _ClosedSizes(NamedTuple):
    """As :class:`Sizes`, for closed forms: ``kept`` are the states of an input.

    Of ``grams`` matrices the kernel is made, and the compiler may hold all at once.
    """

    directions: int
    rows: int
    kept: int
    grams: int

    def needed(self, blocks: Blocks) -> int:
        """States of both blocks, their Gram matrices, and what all columns give."""
        columns, rows = blocks
        return (columns + rows) * self.kept + rows * (self.grams * columns + self.directions)

    def within(self, room: int) -> Blocks:
        """Everything where it fits; else square blocks, the largest that fit, or of one."""
        whole = Blocks(self.directions, self.rows)
        if self.needed(whole) <= room:
            return whole
        half = self.kept + self.directions / 2
        side = int((math.sqrt(half**2 + self.grams * max(room, 0)) - half) / self.grams)
        side = max(1, side)
        return Blocks(min(side, self.directions), min(side, self.rows))


def _itemsize(params: PyTree, *sets: Array) -> int:
    return max(4, jnp.result_type(*sets, *jax.tree.leaves(params)).itemsize)


@spelled
def ntk_operator(model: Model, params: PyTree, X: Array) -> LinearOperator:
    """The tangent kernel K^(2) of a set of inputs as v ↦ K v, for sets whose matrix does not fit.

    K v = J Jᵀ v is a derivative backward and one forward, a block of inputs at a time; for a
    :class:`FullyConnected` whose states fit in memory, one product with each layer's states and
    one with its adjoints. SciPy's iterations take it: ``eigsh`` for eigenvalues, ``cg`` for
    regression. It is called outside of compiled functions.

    Args:
        model: a callable (params, X) -> (N,) or (N, C), such as a :class:`FullyConnected`. Each
            output may depend on its own row of X alone: no batch statistics.
        params: the parameters, any pytree of floating-point arrays.
        X: inputs, (n, d); for other models the samples run along the first axis.

    Returns:
        A ``scipy.sparse.linalg.LinearOperator`` of shape (n C, n C), symmetric, in the dtype of
        the model's output; the outputs of a sample stand together.

    Raises:
        TypeError, ValueError: naming the argument, for a wrong shape, type or value.
        MemoryError: when not even one input at a time fits.

    Warns:
        UserWarning: when a product holds NaN or infinity.

    >>> import jax, nthlib as nth
    >>> from scipy.sparse.linalg import eigsh
    >>> net = nth.FullyConnected(dim=3, width=16, depth=2)
    >>> params = net.init(jax.random.key(0))
    >>> X = jax.random.normal(jax.random.key(1), (50, 3))
    >>> largest = eigsh(nth.ntk_operator(net, params, X), k=1, return_eigenvectors=False)
    >>> bool(abs(largest[0] / jax.numpy.linalg.norm(nth.ntk(net, params, X), ord=2) - 1) < 1e-4)
    True
    """
    dim = model.dim if has_closed_forms(model) else None
    X, _ = checks.inputs(X, None, dim)
    if checks.is_traced(X, params):
        raise TypeError("X and params must be concrete arrays: SciPy calls the operator")
    count = check_model(model, params, X) or 1
    output = shape_of(model, params, X)
    product = _product(model, params, X, count)

    def apply(vectors: Any) -> np.ndarray:
        vectors = jnp.asarray(vectors, output.dtype)
        found = np.asarray(product(vectors.reshape(output.size, -1).T).T)
        checks.warn_unless_finite(
            np.isfinite(found).all(), "the products", "X, params or vectors are"
        )
        return found.reshape(vectors.shape)

    return LinearOperator(
        (output.size, output.size),
        dtype=output.dtype,
        **dict.fromkeys(("matvec", "rmatvec", "matmat", "rmatmat"), apply),
    )


def _product(model: Model, params: PyTree, X: Array, count: int) -> Callable[[Array], Array]:
    """The function of a stack of vectors (k, n C) that gives K of each."""
    itemsize = _itemsize(params, X)
    beside = 2 * (X.size + _VECTORS_AT_ONCE * len(X) * count)
    room = bytes_allowed(None) // itemsize - beside
    if has_closed_forms(model):
        held = len(X) * model.width * (4 * model.depth + 2) + parameter_count(params)
        if held <= room:
            return functools.partial(
                compiled(_closed_product), compiled(_factors, model)(params, X)
            )
    size = sizes(model, params, X, len(X), 2, count)._replace(directions=_VECTORS_AT_ONCE)
    blocks = size.within(room)
    check_memory(itemsize * (beside + size.needed(blocks)), None, "fewer samples or float32")
    return functools.partial(compiled(_derivative_product, model, blocks), params, X)


def _factors(net: FullyConnected, params: Parameters, X: Array) -> list[tuple[Array, Array]]:
    """Of each layer's gradients λ ⊗ x, the two factors; those of the readout are 1 ⊗ x^(H)."""
    passes = states(net, params, X)
    one = jnp.ones((len(X), 1), passes.output.dtype)
    return [*zip(passes.adjoints, passes.inputs, strict=True), (one, passes.output)]


def _closed_product(factors: list[tuple[Array, Array]], vectors: Array) -> Array:
    def of_vector(vector: Array) -> Array:
        moved = jnp.zeros_like(vector)
        for adjoints, inputs in factors:
            direction = (vector[:, None] * adjoints).T @ inputs
            moved = moved + jnp.sum((adjoints @ direction) * inputs, axis=1)
        return moved

    return jax.lax.map(of_vector, vectors)


def _derivative_product(
    model: Model, blocks: Blocks, params: PyTree, X: Array, vectors: Array
) -> Array:
    def outputs(theta: PyTree) -> Array:
        # What the way back needs of a block is computed again there, and not kept for all.
        of_block = jax.checkpoint(lambda theta, some: model(theta, some))
        return in_blocks(functools.partial(of_block, theta), X, blocks.rows).reshape(-1)

    def of_vector(vector: Array) -> Array:
        (direction,) = jax.vjp(outputs, params)[1](vector)
        return jax.jvp(outputs, (params,), (direction,))[1]

    return in_blocks(jax.vmap(of_vector), vectors, blocks.directions)
