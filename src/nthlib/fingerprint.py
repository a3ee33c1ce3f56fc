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

    Of a function the source counts, and whatever globals and closed-over names it uses; so
    does the source of functions that it calls, as long as they are not part of an installed
    package. A helper edited in a notebook therefore changes the result.
    """
    seen: set[int] = set()
    parts = [part for thing in things for part in _describe(thing, seen)]
    return str(joblib.hash((parts, library_digest(), jax.__version__)))


def _describe(thing: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(thing, functools.partial):
        yield from _describe((thing.func, thing.args, thing.keywords), seen)
    elif isinstance(thing, (types.FunctionType, types.MethodType)) or hasattr(thing, "__wrapped__"):
        yield from _describe_function(inspect.unwrap(thing), seen)
    elif isinstance(thing, (types.ModuleType, type, types.BuiltinFunctionType)):
        yield _qualified_name(thing)
    elif dataclasses.is_dataclass(thing):
        yield _qualified_name(type(thing))
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
    try:
        source, names = inspect.getsource(function), inspect.getclosurevars(function)
    except (OSError, TypeError):  # defined where no source is kept
        yield joblib.hash(getattr(function, "__code__", None) and function.__code__.co_code)
        return
    yield source
    yield from _describe({**names.globals, **names.nonlocals}, seen)


def _raw(array: jax.Array) -> jax.Array:
    is_key = jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(array) if is_key else array


def _qualified_name(thing: Any) -> str:
    name = getattr(thing, "__qualname__", getattr(thing, "__name__", repr(thing)))
    return f"{getattr(thing, '__module__', '')}.{name}"


def _is_installed(function: Any) -> bool:
    if getattr(function, "__module__", None) == "__main__":
        return False
    try:
        return "site-packages" in (inspect.getsourcefile(function) or "")
    except TypeError:
        return True


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
