"""A progress bar for long integrations: silent for short ones, nothing in a compiled sweep."""

import contextlib
from collections.abc import Iterator
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array
from tqdm.auto import tqdm

_DELAY_SECONDS = 5.0
_STEPS_BETWEEN_UPDATES = 20
_bars: list["tqdm[Any]"] = []


class BarMeter(diffrax.AbstractProgressMeter):  # type: ignore[misc]
    """Moves the innermost open bar as the solver advances."""

    def init(self) -> Array:
        """The number of steps so far."""
        return jnp.array(0)

    def step(self, state: Array, progress: Array) -> Array:
        """Report ``progress`` (0 to 1) now and then: a callback costs more than a small step."""
        jax.lax.cond(
            state % _STEPS_BETWEEN_UPDATES == 0,
            lambda: jax.debug.callback(_advance, progress),
            lambda: None,
        )
        return state + 1

    def close(self, state: Array) -> None:
        """Nothing to do: :func:`bar` closes its own bar."""


def _advance(progress: Array) -> None:
    if _bars:
        bar = _bars[-1]
        bar.update(round(100 * float(progress), 1) - bar.n)


@contextlib.contextmanager
def bar(description: str) -> Iterator[None]:
    """Show a bar while the block runs, once it has run for some seconds."""
    with tqdm(total=100, desc=description, unit="%", delay=_DELAY_SECONDS, leave=False) as shown:
        _bars.append(shown)
        try:
            yield
        finally:
            _bars.remove(shown)
