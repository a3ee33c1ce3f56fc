"""One clear sentence for bad input, before any work starts.

Every function takes the argument's name, so that the message can name it. Checks on
values are skipped for arrays that JAX is tracing; checks on shapes never are.
"""

import inspect
import math
import numbers
import os
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

# An array has at most this many axes in NumPy 1, and a kernel has as many as its order.
_HIGHEST_ORDER = 32
_PACKAGE = os.path.dirname(__file__) + os.sep


def is_traced(*trees: Any) -> bool:
    """True when any leaf is a JAX tracer, whose values cannot be looked at."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def whole_number(name: str, number: Any, minimum: int) -> int:
    """Return ``number`` as an int, or raise when it is not whole or below ``minimum``."""
    if isinstance(number, bool) or not isinstance(number, numbers.Integral):
        raise TypeError(f"{name} must be a whole number, got {describe(number)}")
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {short(number)}")
    return int(number)


def kernel_order(order: Any, minimum: int, name: str = "order") -> int:
    """Return the order of a kernel as an int, or raise when none can have it."""
    order = whole_number(name, order, minimum)
    if order > _HIGHEST_ORDER:
        raise ValueError(f"{name} must be at most {_HIGHEST_ORDER}, got {describe(order)}")
    return order


def step_count(name: str, number: Any, minimum: int) -> int:
    """Return a number of steps as an int, or raise when a 32-bit counter cannot hold it."""
    count = whole_number(name, number, minimum)
    if count >= 2**31:
        raise ValueError(f"{name} must be below 2**31, got {describe(count)}")
    return count


def real_number(name: str, number: Any) -> float:
    """Return ``number`` as a float, or raise when it is not a number."""
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise TypeError(f"{name} must be a number, got {describe(number)}")
    try:
        return float(number)
    except OverflowError:  # beyond the floats
        large: Any = number
        return math.inf if large > 0 else -math.inf


def positive_number(name: str, number: Any) -> float:
    """Return ``number`` as a float, or raise when it is not a finite number above zero."""
    value = real_number(name, number)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be finite and above 0, got {value}")
    return value


def flag(name: str, value: Any) -> bool:
    """Return ``value``, or raise when it is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {describe(value)}")
    return value


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise unless ``value`` is one of the strings in ``choices``."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {describe(value)}")


def floating_array(
    name: str, array: Any, shape: tuple[int | None, ...], *, finite: bool = True
) -> Array:
    """Return ``array`` as a JAX array of floats, checked against ``shape``.

    ``shape`` has one entry an axis; None stands for any size of at least one. NaN and infinity
    pass where they need not be ``finite``.

    Raises:
        TypeError: when it is not an array of real floating-point numbers.
        ValueError: when its shape differs, an axis is empty, or an entry is NaN or infinite.
    """
    array = _as_array(name, array)
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    wanted = f"({sizes},)" if len(shape) == 1 else f"({sizes})"
    if array.ndim != len(shape):
        raise ValueError(f"{name} must have shape {wanted}, got {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if any(size is not None and size != got for size, got in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} must have shape {wanted}, got {array.shape}")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"{name} must hold floats, got {array.dtype}; convert it first")
    if finite and not is_finite(array):
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    return array


def _as_array(name: str, array: Any) -> Array:
    refuse_kind(name, array)
    if isinstance(array, (np.ndarray, np.generic)):
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    try:
        return jnp.asarray(array)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} must be an array of floats, got {describe(array)}") from error


def refuse_kind(name: str, array: Any) -> None:
    """Raise ``TypeError`` for the arrays of NumPy that JAX does not hold, by their kind."""
    if not isinstance(array, (np.ndarray, np.generic)):
        return
    kind = None
    if isinstance(array, np.ma.MaskedArray):
        kind = "a masked array: fill or drop what is masked"
    elif array.dtype in (np.longdouble, np.clongdouble) and np.dtype(float) != np.longdouble:
        kind = f"{array.dtype}: convert it to 64 bits or fewer"
    elif array.dtype == object:
        kind = "one of Python objects: convert it"
    if kind is not None:
        raise TypeError(f"{name} must be an array of floats, got {kind}")


def is_finite(array: Any) -> bool:
    """False when a value is NaN or infinite; True for traced arrays, which cannot be seen."""
    # NumPy and not JAX: inside a compiled function JAX would stage the comparison itself.
    return is_traced(array) or bool(np.isfinite(np.asarray(array)).all())


def inputs(
    X: Any, X_test: Any, dim: int | None, *, names: tuple[str, str] = ("X", "X_test")
) -> tuple[Array, Array | None]:
    """Check the training inputs (n, dim) and the test inputs, which must match them.

    For a model other than ``FullyConnected`` (``dim`` None) an input may have any shape,
    as long as the samples run along the first axis.
    """
    X = _as_array(names[0], X)
    shape: tuple[int | None, ...] = (None, dim)
    if dim is None:
        if X.ndim < 1:
            raise ValueError(f"{names[0]} must have the samples along its first axis, got a scalar")
        shape = (None,) * X.ndim
    X = floating_array(names[0], X, shape)
    if X_test is None:
        return X, None
    return X, floating_array(names[1], X_test, (None, *X.shape[1:]))


def time_points(times: Any, dtype: Any) -> Array:
    """Check a sorted vector of times, none below zero, and bring it to ``dtype``.

    A time later than the type can hold is its latest.
    """
    times = floating_array("times", times, (None,))
    latest = float(jnp.finfo(dtype).max)
    if is_traced(times):
        latest = min(latest, float(jnp.finfo(times.dtype).max))
        return jnp.minimum(times, latest).astype(dtype)
    values = np.asarray(times)
    if values[0] < 0:
        raise ValueError(f"times must not be negative, but start at {values[0]}")
    if (np.diff(values) < 0).any():
        raise ValueError("times must be sorted in increasing order")
    return jnp.asarray(np.minimum(values.astype(np.float64), latest), dtype)


SINGLE = (
    "measured in single precision: enable float64 by "
    'jax.config.update("jax_enable_x64", True) before the first computation'
)


def is_single(number: Any) -> bool:
    """True for an array or a scalar of floats with fewer than 64 bits."""
    dtype = getattr(number, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize < 8


def at_least_single(dtype: Any) -> Any:
    """The dtype, or float32 in place of half precision."""
    return jnp.promote_types(dtype, jnp.float32)


def random_key(name: str, key: Any) -> None:
    """Raise ``TypeError`` unless this is one random key, new style or raw."""
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if not (typed and shape == ()) and not (dtype == jnp.uint32 and axes(key) == 1):
        raise TypeError(
            f"{name} must be a random key, one such as jax.random.key(0), got {describe(key)}"
        )


def takes(name: str, function: Any, what: str, /, *arguments: Any, **named: Any) -> None:
    """Raise ``TypeError`` unless a function can be called so; not every callable tells."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        raise TypeError(f"{name} must take {what}: {error}") from error


def require(met: bool, sentence: str) -> None:
    """Raise ``ValueError`` with this sentence unless the condition is met.

    >>> from nthlib.checks import require
    >>> require(2 < 1, "seeds must be at least two")
    Traceback (most recent call last):
    ValueError: seeds must be at least two
    """
    if not met:
        raise ValueError(sentence)


def coinciding_inputs(X: Any) -> tuple[int, int] | None:
    """The first pair of equal rows of X, or None; None also for traced arrays."""
    if is_traced(X):
        return None
    rows = np.asarray(X).reshape(len(X), -1)
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    repeated = np.flatnonzero(first[inverse] != np.arange(len(rows)))
    if repeated.size == 0:
        return None
    return int(first[inverse[repeated[0]]]), int(repeated[0])


def warn(message: str) -> None:
    """Issue a ``UserWarning`` that points at the line by which the library was called."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def warn_unless_finite(finite: Any, what: str, large: str) -> None:
    """Warn of numbers that overflowed; not while tracing."""
    if not is_traced(finite) and not finite:
        warn(
            f"{what} hold NaN or infinity: {large} too large for the precision, or a derivative "
            "does not exist there"
        )


def axes(thing: Any) -> int:
    """How many axes an array or a list has; one for a list of what makes no array of numbers."""
    try:
        return np.ndim(thing)
    except (TypeError, ValueError):  # rows of several lengths, random keys
        return 1


def first_line(error: Exception) -> str:
    """What an error says, to be quoted inside a sentence."""
    return str(error).strip().partition("\n")[0].rstrip(".")


def describe(thing: Any) -> str:
    """An argument as it stands in a message: short, and on one line."""
    if isinstance(thing, (np.ndarray, jax.Array)):
        return f"an array of shape {thing.shape}"
    return f"{type(thing).__name__} {short(thing)}"


def short(thing: Any) -> str:
    """A value as Python writes it, on one line and cut off where it is long."""
    text = " ".join(repr(thing).split())
    return text if len(text) < 40 else text[:37] + "..."
