"""What a model must be: parameters that are trained, and outputs of one row of X each.

The gradient of a sample is taken on that row alone, and kernels are derivatives of all rows
together: both are of one function only if no row's output depends on the others.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from nthlib import checks
from nthlib.compilation import compiled, refusal, shape_of
from nthlib.network import has_closed_forms
from nthlib.outputs import Model, numbers_of, numbers_per_sample

# Numbers that a look at the rows may hold at once.
_NUMBERS_AT_ONCE = 2**26

# Names under which libraries keep what a model counts or averages and no optimiser trains.
_STATISTICS = frozenset(
    [
        "batch_stats",
        "running_mean",
        "running_var",
        "moving_mean",
        "moving_var",
        "moving_variance",
        "num_batches_tracked",
    ]
)
_FLAX_COLLECTIONS = frozenset(("cache", "intermediates", "perturbations"))
_STATISTICS_TYPES = frozenset(("BatchStat", "Cache", "Intermediate", "StateIndex"))


def check_model(
    model: Model,
    params: PyTree,
    X: Array,
    X_test: Array | None = None,
    *,
    names: tuple[str, str] = ("X", "X_test"),
) -> int | None:
    """Raise unless ``model(params, X)`` gives real numbers for every sample, from its row alone.

    Returns the number C of outputs when the model returns (N, C), None when it returns (N,).
    ``names``: what the caller calls the two sets of inputs.
    """
    check_params(model, params)
    if has_closed_forms(model):
        return None
    shape = _output_shape(model, params, X, len(X))
    one = _output_shape(model, params, jax.ShapeDtypeStruct((1, *X.shape[1:]), X.dtype), 1)
    if one[1:] != shape[1:]:
        raise ValueError(
            f"model must return as many outputs for one row as for {len(X)}, got {one} and {shape}"
        )
    everything = X if X_test is None else jnp.concatenate([X, X_test])
    if len(everything) > 1:
        _check_rows_apart(model, params, everything, functools.partial(_row, names, len(X)))
    return shape[1] if len(shape) == 2 else None


def check_params(model: Model, params: PyTree) -> None:
    """Raise unless ``model`` is callable and ``params`` are what an optimiser would train of it."""
    if not callable(model):
        raise TypeError(
            f"model must be a callable (params, X) -> (N,) or (N, C), got {checks.describe(model)}"
        )
    if has_closed_forms(model):
        check_leaves(params)
        model.check_params(params)
    else:
        _check_trained(params)


def undifferentiated(name: str, arguments: Any) -> Any:
    """The same arguments of the function called ``name``, of which no derivative is taken."""

    def guarded(leaf: Any) -> Any:
        # Times one: JAX takes no array of NumPy there, which vmap may have brought.
        return _guard(name, 1 * leaf) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(guarded, arguments)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _guard(name: str, leaf: Array) -> Array:
    return leaf


@_guard.defjvp
def _refuse_derivative(name: str, primals: Any, tangents: Any) -> Any:
    raise TypeError(
        f"nthlib.{name} must not be differentiated, by grad or jvp: it integrates with steps that "
        "adapt. Differentiate the model, or take finite differences of what is returned"
    )


def _check_trained(params: PyTree) -> None:
    """Raise unless all leaves are what an optimiser would train: no statistics."""
    for name in _statistics(params):
        raise TypeError(
            f"params must hold only what is trained, but hold {name}: a statistic, which a "
            "gradient would change. Pass the trained part, and let the model close over the rest"
        )
    check_leaves(params)


def check_leaves(params: PyTree) -> None:
    """Raise unless all leaves are finite arrays of floats."""
    leaves = jax.tree.leaves(params)
    if not leaves:
        raise TypeError("params must be a pytree whose leaves are arrays of floats, got no leaves")
    for leaf in leaves:
        checks.refuse_kind("a leaf of params", leaf)
        if not _is_floating(leaf):
            raise TypeError(
                "params must be a pytree whose leaves are arrays of floats, but one is of type "
                f"{_kind(leaf)}; {_advice(leaf)}"
            )
    if not all(checks.is_finite(leaf) for leaf in leaves):
        raise ValueError("params must be finite, but hold NaN or infinity")


def _statistics(params: PyTree) -> Iterator[str]:
    if isinstance(params, Mapping) and "params" in params:
        yield from (repr(name) for name in params if name in _FLAX_COLLECTIONS)
    for path, node in jax.tree_util.tree_leaves_with_path(params, is_leaf=_counts):
        names = {getattr(key, "key", getattr(key, "name", None)) for key in path}
        found = sorted(name for name in names if isinstance(name, str) and name in _STATISTICS)
        if found:
            yield repr(found[0])
        elif _counts(node) and jax.tree.leaves(node):
            yield f"a {type(node).__name__}"


def _counts(node: Any) -> bool:
    kinds = (*type(node).__mro__, getattr(node, "type", None))
    return any(getattr(kind, "__name__", None) in _STATISTICS_TYPES for kind in kinds)


def _is_floating(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", type(leaf))
    return isinstance(leaf, float) or (
        isinstance(leaf, (jax.Array, np.ndarray, np.generic))
        and jnp.issubdtype(dtype, jnp.floating)
        and getattr(dtype, "isnative", True)
    )


def _kind(leaf: Any) -> str:
    dtype = getattr(leaf, "dtype", None)
    return type(leaf).__name__ if dtype is None else str(dtype)


def _advice(leaf: Any) -> str:
    if jnp.issubdtype(getattr(leaf, "dtype", object), jnp.complexfloating):
        return "pass the real and the imaginary part as two arrays"
    if jnp.issubdtype(getattr(leaf, "dtype", object), jnp.floating):
        return "bring it to the byte order of this machine"
    return "split an Equinox module with eqx.partition first"


def _output_shape(model: Model, params: PyTree, X: Any, rows: int) -> Any:
    try:
        output = shape_of(model, params, X)
    except Exception as error:
        if isinstance(error, (TypeError, ValueError)):
            raise type(error)(
                f"model must take (params, X) with any number of rows, but on {rows}: "
                f"{checks.first_line(error)}"
            ) from error
        raise refusal(error) from error
    shape: Any = getattr(output, "shape", type(output).__name__)
    if shape[:1] != (rows,) or len(shape) > 2 or 0 in shape:
        raise ValueError(
            f"model must return shape ({rows},) or ({rows}, outputs) for {rows} "
            f"{'sample' if rows == 1 else 'samples'}, got {shape}"
        )
    if not jnp.issubdtype(output.dtype, jnp.floating):
        raise TypeError(f"model must return floats, got {output.dtype}")
    return shape


def _check_rows_apart(model: Model, params: PyTree, X: Array, name: Callable[[int], str]) -> None:
    """Raise when some row's output is not the same alone, among the rows, and in another order.

    At the given parameters and at others: what a zero weight hides now, its derivative sees.
    In a compiled function, where the given ones have no values, others stand in for them.
    """
    if checks.is_traced(params, X):
        _check_stand_ins(model, params, X, name)
        return
    at_once, look = len(X), compiled(_in_company, model)
    if 3 * numbers_of(model, params, X) > _NUMBERS_AT_ONCE:
        at_once = max(2, _NUMBERS_AT_ONCE // (3 * numbers_per_sample(model, params, X)))
    for start in range(0, len(X), at_once):
        # The last rows join some of those before them, so that one program serves all.
        first = max(0, min(start, len(X) - at_once))
        found = look(params, X if at_once >= len(X) else X[first : first + at_once])
        if checks.is_traced(found):  # constants inside a compiled function
            return
        _compare(np.asarray(found[0]), np.asarray(found[1]), first, name)


def _check_stand_ins(model: Model, params: PyTree, X: Array, name: Callable[[int], str]) -> None:
    """The same for values of one's own, if the model closes over none that are traced."""

    def stand_in(leaf: Any) -> Array:
        shape = np.shape(leaf)
        wave = np.sin(0.7 + 1.9 * np.arange(math.prod(shape))).reshape(shape)
        size = max(shape[-1:], default=1) ** -0.5
        return jnp.asarray(size * wave, getattr(leaf, "dtype", float))

    try:
        with jax.ensure_compile_time_eval():
            theta = jax.tree.map(stand_in, params)
            rows = stand_in(X) if checks.is_traced(X) else X
            at_once = max(2, _NUMBERS_AT_ONCE // (3 * numbers_per_sample(model, theta, rows)))
            found = compiled(_in_company, model)(theta, rows[:at_once])
    except (jax.errors.JAXTypeError, TypeError, ValueError):  # it closes over what is traced
        return
    if not checks.is_traced(found):
        _compare(np.asarray(found[0]), np.asarray(found[1]), 0, name)


def _in_company(model: Model, params: PyTree, X: Array) -> tuple[Array, Array]:
    """Outputs (2, N, C) of every row alone, and (2, 2, N, C) with all rows in two orders."""

    def outputs(theta: PyTree) -> tuple[Array, Array]:
        alone = jax.vmap(lambda x: model(theta, x[None])[0].reshape(-1))(X)
        joined = model(theta, X), model(theta, X[::-1])[::-1]
        return alone, jnp.stack(joined).reshape(2, *alone.shape)

    # Else an accelerator may round a row otherwise than a matrix.
    with jax.default_matmul_precision("highest"):
        # One after the other: the model is traced once for both points.
        return jax.lax.map(outputs, _two_points(params))


@jax.jit
def _two_points(params: PyTree) -> PyTree:
    """The parameters and others of the same size and signs, of which none is zero throughout."""

    def pair(leaf: Array) -> Array:
        leaf = jnp.asarray(leaf)
        wave = jnp.sin(1.0 + 2.4 * jnp.arange(leaf.size)).reshape(leaf.shape).astype(leaf.dtype)
        size = max(leaf.shape[-1:], default=1) ** -0.5
        return jnp.stack([leaf, jnp.where((leaf != 0).any(), leaf * (1 + wave / 2), size * wave)])

    return jax.tree.map(pair, params)


def _compare(alone: np.ndarray, joined: np.ndarray, first: int, name: Callable[[int], str]) -> None:
    dtype = alone.dtype
    alone, joined = alone.astype(np.float64), joined.astype(np.float64)
    both = np.broadcast_arrays(alone[:, None], joined)
    finite = np.isfinite(both[0]) & np.isfinite(both[1])
    sizes = np.abs(np.where(finite, both, 0.0))
    # What rounding explains, for every output by itself: an output that cancels to zero at
    # these parameters has its size at the others.
    allowed = {8: 1e-6, 4: 1e-3}.get(dtype.itemsize, 0.1) * sizes.max(axis=(0, 1, 2, 3))
    with np.errstate(invalid="ignore"):
        apart = np.where(finite, np.abs(both[0] - both[1]) > allowed, False)
    apart |= np.isfinite(both[0]) != np.isfinite(both[1])
    rows = np.flatnonzero(apart.any(axis=(0, 1, 3)))
    if rows.size == 0:
        return
    point, company, output = np.argwhere(apart[:, :, rows[0]])[0]
    where = "" if point == 0 else " (at parameters moved by half)"
    names = [name(first + row) for row in rows[:3]]
    more = f" and {rows.size - 3} more" if rows.size > 3 else ""
    raise ValueError(
        "model must compute each output from its own row of X alone, but it mixes samples: "
        f"{', '.join(names)}{more} change with the other rows, or it is random; {names[0]} gives "
        f"{alone[point, rows[0], output]:.6g} alone and "
        f"{joined[point, company, rows[0], output]:.6g} among them{where}"
    )


def _row(names: tuple[str, str], n: int, row: int) -> str:
    return f"row {row} of {names[0]}" if row < n else f"row {row - n} of {names[1]}"
