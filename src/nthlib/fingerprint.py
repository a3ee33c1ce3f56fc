"""A name for what a computation depends on, so that a cached result is used only while true."""

import dataclasses
import functools
import hashlib
import inspect
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import joblib
import numpy as np

# The book's pipeline and command line carry no mathematics: editing them changes no number.
_NO_MATHEMATICS = ("pipeline", "cli.py")


def fingerprint(*things: Any) -> str:
    """Hash functions and data, together with this library's sources and JAX's version.

    Of a function the source counts, with its default arguments and whatever globals and
    closed-over names it or a function inside it uses; so does the source of functions and
    classes that it refers to, as long as they are not part of an installed package. A
    helper edited in a notebook therefore changes the result.
    """
    seen: set[int] = set()
    parts = [part for thing in things for part in _describe(thing, seen)]
    return str(joblib.hash((parts, library_digest(), jax.__version__)))


def _describe(thing: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(thing, functools.partial):
        yield from _describe((thing.func, thing.args, thing.keywords), seen)
    elif isinstance(thing, types.MethodType):
        yield from _describe((thing.__self__, thing.__func__), seen)
    elif isinstance(thing, types.FunctionType) or hasattr(thing, "__wrapped__"):
        yield from _describe_function(inspect.unwrap(thing), seen)
    elif isinstance(thing, (types.ModuleType, types.BuiltinFunctionType)):
        yield _qualified_name(thing)
    elif isinstance(thing, type):
        yield from _describe_class(thing, seen)
    elif dataclasses.is_dataclass(thing):
        yield from _describe(type(thing), seen)
        for field in dataclasses.fields(thing):
            yield from _describe(getattr(thing, field.name), seen)
    elif isinstance(thing, jax.Array):
        yield joblib.hash(np.asarray(_raw(thing)))
    elif isinstance(thing, Mapping):
        for key, value in sorted(thing.items(), key=lambda item: str(item[0])):
            yield repr(key)
            yield from _describe(value, seen)
    elif isinstance(thing, (tuple, list)):
        yield f"{len(thing)} items"
        for item in thing:
            yield from _describe(item, seen)
    else:
        yield joblib.hash(thing)


def _describe_function(function: Any, seen: set[int]) -> Iterator[str]:
    yield _qualified_name(function)
    if id(function) in seen or _is_installed(function):
        return
    seen.add(id(function))
    yield _source(function)
    yield from _describe((function.__defaults__, function.__kwdefaults__), seen)
    globals_used = {
        name: function.__globals__[name]
        for name in _names(function.__code__)
        if name in function.__globals__
    }
    closed_over = inspect.getclosurevars(function).nonlocals
    yield from _describe({**globals_used, **closed_over}, seen)


def _describe_class(cls: type, seen: set[int]) -> Iterator[str]:
    yield _qualified_name(cls)
    if id(cls) in seen or _is_installed(cls):
        return
    seen.add(id(cls))
    for name, member in sorted(vars(cls).items()):
        if isinstance(member, types.FunctionType):
            yield name
            yield from _describe(member, seen)


def _names(code: types.CodeType) -> set[str]:
    """Names a function may look up, those in functions and comprehensions inside it too."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):  # defined where no source is kept
        return str(joblib.hash((function.__code__.co_code, str(function.__code__.co_consts))))


def _raw(array: jax.Array) -> jax.Array:
    is_key = jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(array) if is_key else array


def _qualified_name(thing: Any) -> str:
    name = getattr(thing, "__qualname__", getattr(thing, "__name__", repr(thing)))
    return f"{getattr(thing, '__module__', '')}.{name}"


def _is_installed(thing: Any) -> bool:
    """Whether its source belongs to a package, whose version stands for it."""
    if getattr(thing, "__module__", None) == "__main__":
        return False
    try:
        source = Path(inspect.getsourcefile(thing) or "")
    except TypeError:  # built in
        return True
    # This library's own sources are hashed once, as a whole.
    return "site-packages" in source.parts or source.is_relative_to(Path(__file__).parent)


@functools.cache
def library_digest() -> str:
    """Hash of the sources of this library's mathematics."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] not in _NO_MATHEMATICS:
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
