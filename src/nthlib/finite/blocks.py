"""How many directions and samples to take at a time, so that a kernel stays within its room."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, PyTree

from nthlib.compilation import shape_of
from nthlib.outputs import Model

# Where not everything fits, larger blocks than these gain no speed, and only take room.
_MOST_DIRECTIONS, _MOST_ROWS = 64, 128
# Fewer rows than these make slow products: directions give way to them.
_FEWEST_ROWS = 32


class Blocks(NamedTuple):
    """Directions ∇f_β whose fields are held at once, and samples that are moved along them."""

    directions: int
    rows: int


class Sizes(NamedTuple):
    """What the room of a kernel by derivatives depends on, in samples and in numbers."""

    directions: int
    rows: int
    order: int
    parameters: int
    kept: int

    def needed(self, blocks: Blocks) -> int:
        """Numbers at the peak beside the kernels.

        A field for every direction taken at once, twice, since products want it transposed; for
        every pair what a backward pass keeps of a row. Each order beyond the second carries a
        tangent of all that.
        """
        if self.order == 1:
            return blocks.rows * self.kept
        fields = (2 * blocks.directions + self.order) * self.parameters
        return 2 ** (self.order - 2) * (fields + blocks.directions * blocks.rows * self.kept)

    def within(self, room: int) -> Blocks:
        """Everything at once where it fits, which is fastest; else the largest useful blocks.

        Blocks of one, should not even those fit.
        """
        whole = Blocks(self.directions, self.rows)
        if self.needed(whole) <= room:
            return whole
        if self.order == 1:
            return Blocks(1, _between(1, room // max(1, self.kept), self.rows))
        room = room // 2 ** (self.order - 2) - self.order * self.parameters
        rows = min(self.rows, _FEWEST_ROWS)
        most = room // max(1, 2 * self.parameters + rows * self.kept)
        directions = _between(1, most, min(self.directions, _MOST_DIRECTIONS))
        left = room - 2 * directions * self.parameters
        rows = left // max(1, directions * self.kept)
        return Blocks(directions, _between(1, rows, min(self.rows, _MOST_ROWS)))


def sizes(model: Model, params: PyTree, X: Array, rows: int, order: int, outputs: int) -> Sizes:
    """Count without computing anything; ``rows`` are samples, those of ``X`` among them."""
    kept = _kept_for_a_row(model, params, X)
    return Sizes(len(X) * outputs, rows, order, parameter_count(params), kept)


def parameter_count(params: PyTree) -> int:
    """How many numbers the parameters are, abstract arrays included."""
    return sum(math.prod(np.shape(leaf)) for leaf in jax.tree.leaves(params))


def in_blocks(function: Callable[[Any], Array], rows: PyTree, size: int) -> Array:
    """``function`` of arrays along whose first axis it works, ``size`` entries at a time."""
    count = len(jax.tree.leaves(rows)[0])
    if size >= count:
        return function(rows)
    number = -(-count // size)
    size = -(-count // number)
    # The last entry fills up what the blocks do not divide.
    places = np.minimum(np.arange(number * size), count - 1).reshape(number, size)
    found = jax.lax.map(function, jax.tree.map(lambda leaf: leaf[places], rows))
    return found.reshape(-1, *found.shape[2:])[:count]


def _between(low: int, number: int, high: int) -> int:
    return max(low, min(number, high))


def _kept_for_a_row(model: Model, params: PyTree, X: Array) -> int:
    """Numbers that a backward pass keeps for each row, counted without computing any."""

    def kept(rows: int) -> int:
        inputs = jax.ShapeDtypeStruct((rows, *X.shape[1:]), X.dtype)
        pullback = shape_of(functools.partial(_pullback, model), params, inputs)
        return sum(leaf.size for leaf in jax.tree.leaves(pullback))

    return max(kept(2) - kept(1), 0)


def _pullback(model: Model, params: PyTree, X: Array) -> Any:
    return jax.vjp(lambda theta: model(theta, X), params)[1]
