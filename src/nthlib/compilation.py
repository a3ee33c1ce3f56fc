"""One compiled program for a model and its settings, kept between calls."""

import functools
from collections.abc import Callable
from typing import Any

import jax


def compiled(function: Callable[..., Any], *settings: Any) -> Callable[..., Any]:
    """``function`` with its leading arguments fixed, compiled for the others.

    Kept between calls when the settings, such as a model, can be hashed.
    """
    try:
        hash(settings)
    except TypeError:
        return jax.jit(functools.partial(function, *settings))
    return _kept(function, *settings)


@functools.lru_cache(maxsize=256)
def _kept(function: Callable[..., Any], *settings: Any) -> Callable[..., Any]:
    return jax.jit(functools.partial(function, *settings))
