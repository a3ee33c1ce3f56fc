"""A progress bar for long integrations: silent for short ones, nothing in a compiled sweep."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array
from tqdm import tqdm

_DELAY_SECONDS = 5.0
_STEPS_BETWEEN_UPDATES = 20


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


_open_bars: list["tqdm[Any]"] = []


def _advance(progress: Array) -> None:
    if _open_bars:
        innermost = _open_bars[-1]
        innermost.update(round(100 * float(progress), 1) - innermost.n)


def report(done: Array, total: Array) -> None:
    """Move the innermost open bar from inside a compiled loop, once a hundredth of the way."""
    moves = (100 * (done + 1)) // total > (100 * done) // total
    jax.lax.cond(moves, lambda: jax.debug.callback(_advance, (done + 1) / total), lambda: None)


def run(description: str, program: Callable[..., Any], *arguments: Any, shown: bool) -> Any:
    """What a compiled program returns; with a bar until it is done, where one is ``shown``."""
    if not shown:
        return program(*arguments)
    with bar(description):
        return jax.block_until_ready(program(*arguments))


@contextlib.contextmanager
def bar(description: str) -> Iterator[None]:
    """Show a bar while the block runs, from its first report after some seconds on."""
    with tqdm(total=100, desc=description, unit="%", delay=_DELAY_SECONDS, leave=False) as opened:
        _open_bars.append(opened)
        try:
            yield
        finally:
            _open_bars.remove(opened)
