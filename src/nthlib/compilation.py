"""Compiled programs, kept between calls under what they compute.

JAX keeps what it compiles under the identity of a function: change a global that a model reads,
or an attribute, and the old program answers. Here a program that contains somebody else's code
is traced at every call, which costs milliseconds, and what is kept is looked up under the trace,
its constants included. So a change is always seen, and equal models share one program.
"""

import collections
import dataclasses
import functools
import hashlib
import sys
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from nthlib import checks

_KEPT = 256

_programs: collections.OrderedDict[Hashable, Callable[..., Any]] = collections.OrderedDict()
_lock = threading.Lock()


def compiled(
    function: Callable[..., Any], *settings: Any, sketch: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """``function`` with its leading arguments fixed, compiled for the others.

    Args:
        function: this library's own, of the settings and then of arrays.
        settings: what is fixed, a model or a loss among them.
        sketch: a function of the same arguments that runs the settings' code as ``function``
            does, for programs that are slow to trace; ``function`` itself by default.
    """
    if all(map(is_fixed, settings)):
        return _of_fixed(function, *settings)
    return functools.partial(_call, function, sketch or function, settings)


@functools.lru_cache(maxsize=_KEPT)
def _of_fixed(function: Callable[..., Any], *settings: Any) -> Callable[..., Any]:
    return jax.jit(functools.partial(function, *settings))


def _call(
    function: Callable[..., Any],
    sketch: Callable[..., Any],
    settings: tuple[Any, ...],
    *arguments: Any,
) -> Any:
    try:
        trace = traced(functools.partial(sketch, *settings), *arguments)
    except Exception as error:
        raise refusal(error) from error
    key = (function, tuple(map(_unless_foreign, settings)), trace)
    with _lock:
        program = _programs.pop(key, None) or jax.jit(functools.partial(function, *settings))
        _programs[key] = program
        if len(_programs) > _KEPT:
            _programs.popitem(last=False)
    return program(*arguments)


def is_fixed(setting: Any) -> bool:
    """Whether a setting computes the same for ever: plain data, or what JAX or this library wrote.

    A network of this library is as fixed as its activation, one of a class derived from it is
    not. The name of a function must lead back to it: ``functools.wraps`` lends names to others.
    """
    if setting is None or isinstance(setting, (bool, int, float, str)):
        return True
    if isinstance(setting, tuple):
        return all(map(is_fixed, setting))
    if isinstance(setting, functools.partial):
        return all(map(is_fixed, (setting.func, setting.args, tuple(setting.keywords.values()))))
    if dataclasses.is_dataclass(setting) and not isinstance(setting, type):
        fields = (getattr(setting, field.name) for field in dataclasses.fields(setting))
        return _is_unpatched(type(setting)) and all(map(is_fixed, fields))
    module = getattr(setting, "__module__", None) or ""
    name = getattr(setting, "__name__", "")
    ours = module.partition(".")[0] in ("jax", "nthlib")
    return ours and getattr(sys.modules.get(module), name, None) is setting


def _is_unpatched(kind: type) -> bool:
    """Whether a class is JAX's or this library's, and so is the function that calls it."""
    call = vars(kind).get("__call__")
    home = getattr(call, "__globals__", {}).get("__name__", kind.__module__)
    return is_fixed(kind) and home == kind.__module__


def _unless_foreign(setting: Any) -> Any:
    """The setting as part of a key; the trace stands for what is not fixed."""
    if is_fixed(setting):
        return setting
    return tuple(map(_unless_foreign, setting)) if isinstance(setting, tuple) else None


def traced(function: Callable[..., Any], *arguments: Any) -> Hashable:
    """What ``function`` computes of such arguments, as something to compare and to look up."""
    # A new function each time: JAX itself remembers what it has traced before.
    program, outputs = jax.make_jaxpr(lambda *given: function(*given), return_shape=True)(
        *arguments
    )
    return (
        jax.tree.structure(arguments),
        jax.tree.structure(outputs),
        tuple(_written(program)),
    )


# What JAX and Flax say of a model that cannot be differentiated, and what was met.
_OBSTACLES = {
    "custom_vjp": "it holds a jax.custom_vjp function, which has no forward derivative: "
    "define it with jax.custom_jvp",
    "custom_lin": "it holds a jax.custom_vjp function, which has no forward derivative: "
    "define it with jax.custom_jvp",
    "callback": "it holds a callback out of JAX (pure_callback), which has no derivative: "
    "give it one with jax.custom_jvp, or build it from JAX operations",
    "while_loop": "it holds a while_loop (or a fori_loop whose ends are traced), which has no "
    "reverse derivative: use lax.scan, or a fori_loop with fixed ends",
    "is immutable": "it changes its own state when it is called, as a Flax module does with "
    "BatchNorm left in training mode: put it into evaluation mode",
    "needs PRNG": "it asks for random numbers, as a Flax module does with Dropout left on: put it "
    "into evaluation mode",
    "trace level": "it changes its own state when it is called, as a Flax module does with "
    "Dropout or BatchNorm left in training mode: put it into evaluation mode",
}


def refusal(error: Exception) -> Exception:
    """One sentence for what a model, a loss or an activation met when it was traced."""
    if isinstance(error, Warning):  # which somebody has turned into an error
        return error
    for mark, obstacle in _OBSTACLES.items():
        if mark in str(error):
            return TypeError(f"model must be a function that JAX can differentiate, but {obstacle}")
    kind = type(error) if isinstance(error, (TypeError, ValueError)) else TypeError
    return kind(
        "model must be a function that JAX can differentiate, but on these: "
        f"{checks.first_line(error)}"
    )


def shape_of(function: Callable[..., Any], *arguments: Any) -> Any:
    """``jax.eval_shape`` that does not remember an earlier answer of the same function."""
    return jax.eval_shape(lambda *given: function(*given), *arguments)


def _written(program: ClosedJaxpr) -> Iterator[Hashable]:
    yield from map(_value, program.consts)
    yield from _equations(program.jaxpr)


def _equations(program: Jaxpr) -> Iterator[Hashable]:
    numbers: dict[Any, int] = {}

    def place(variable: Any) -> Hashable:
        if isinstance(variable, Literal):
            return variable.aval, _value(variable.val)
        return numbers.setdefault(variable, len(numbers)), variable.aval

    yield tuple(map(place, (*program.constvars, *program.invars)))
    for equation in program.eqns:
        yield equation.primitive.name
        yield tuple(map(place, equation.invars))
        yield tuple(map(place, equation.outvars))
        # The rules of custom derivatives are new functions in every trace. What was derived has
        # run them, and what is left of them does not run.
        custom = equation.primitive.name.startswith("custom_")
        for name, value in sorted(equation.params.items()):
            yield name
            yield from _parameter(value, custom=custom)
    yield tuple(map(place, program.outvars))


def _parameter(value: Any, *, custom: bool) -> Iterator[Hashable]:
    if isinstance(value, ClosedJaxpr):
        yield from _written(value)
    elif isinstance(value, Jaxpr):
        yield from _equations(value)
    elif isinstance(value, (tuple, list)):
        yield type(value).__name__, len(value)
        for item in value:
            yield from _parameter(item, custom=custom)
    elif not custom:
        yield _value(value)


def _value(value: Any) -> Hashable:
    """What tells a constant from others; for what cannot be compared, something unique."""
    if isinstance(value, jax.core.Tracer):
        return object()
    if isinstance(value, (jax.Array, np.ndarray, np.generic)):
        is_key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(value) if is_key else value)  # type: ignore[arg-type]
        digest = hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()
        return str(value.dtype), value.shape, digest
    try:
        hash(value)
    except TypeError:
        return object()
    # Numbers of different kinds are equal, and compute differently.
    return type(value), value
