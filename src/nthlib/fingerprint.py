"""A name for what a function computes, so that a cached result is used only while it is true."""

import functools
import hashlib
import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import joblib

# The book's pipeline and command line carry no mathematics: editing them changes no number.
_NO_MATHEMATICS = ("pipeline", "cli.py")


def fingerprint(function: Callable[..., Any]) -> str:
    """Hash a function's source, what it refers to, this library's sources and JAX's version.

    Functions that it calls are followed when they are not part of an installed package, as
    are the plain data it closes over; so a helper edited in a notebook changes the result.
    """
    seen: dict[str, str] = {}
    _collect(function, seen)
    return joblib.hash((sorted(seen.items()), library_digest(), jax.__version__))  # type: ignore[no-any-return]


def _collect(function: Callable[..., Any], seen: dict[str, str]) -> None:
    while isinstance(function, functools.partial):
        seen[f"partial {len(seen)}"] = joblib.hash((function.args, function.keywords))
        function = function.func
    function = inspect.unwrap(function)
    name = (
        f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"
    )
    if name in seen:
        return
    try:
        seen[name] = inspect.getsource(function)
        names = inspect.getclosurevars(function)
    except (OSError, TypeError):  # built in, or defined where no source is kept
        seen[name] = repr(function)
        return
    for referred, thing in {**names.globals, **names.nonlocals}.items():
        if isinstance(thing, types.ModuleType):
            continue
        if isinstance(thing, types.FunctionType):
            if not _is_installed(thing):
                _collect(thing, seen)
        elif not callable(thing):
            seen[f"{name} > {referred}"] = joblib.hash(thing)


def _is_installed(function: Callable[..., Any]) -> bool:
    return function.__module__ != "__main__" and "site-packages" in (
        inspect.getsourcefile(function) or ""
    )


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
