"""Words of directions: which parts of a product meet when it is moved along several fields.

A word γ_1 .. γ_j stands for the derivative V_{γ_j} .. V_{γ_1}. Of a product it is the sum over
all ways to deal its letters out to the factors, each part in the order of the word. Such sums
are tables of row numbers here, so that one small loop runs every one of them, whatever the order.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

Letters = tuple[int, ...]


class Terms(NamedTuple):
    """A sum for every word: ``rows`` (parts, terms, words), the words whose values are multiplied.

    ``present`` (terms, words) is one where a word has this term; rows of absent ones are zero.
    """

    rows: np.ndarray
    present: np.ndarray


class Words:
    """All words of at most ``longest`` letters out of n, shorter ones first."""

    def __init__(self, n: int, longest: int) -> None:
        self.n, self.longest = n, longest
        self._starts = np.cumsum([0, *(n**length for length in range(longest + 1))])
        self._letters = [
            np.indices((n,) * length).reshape(length, n**length) for length in range(longest + 1)
        ]

    def upto(self, length: int) -> int:
        """How many words have at most this many letters."""
        return int(self._starts[max(length, -1) + 1])

    def splits(self, lengths: Iterable[int]) -> Terms:
        """uv: the letters of u and those of v."""
        return self._terms(lengths, _halves, self._two_parts)

    def chains(self, lengths: Iterable[int]) -> Terms:
        """φ(h), by way of φ'(h) ḣ: the letters of φ' and those of h, the first one among them."""
        return self._terms(lengths, _halves_of_the_rest, self._two_parts)

    def moves(self, lengths: Iterable[int]) -> Terms:
        """Wx with W moved along ∇f_γ = λ_γ ⊗ x_γ: γ, and the letters of λ_γ, of x_γ and of x.

        The first letter that falls to W is γ. Those after it go to any of the three: they move
        the field as well. Those before it go to x.
        """
        return self._terms(lengths, _moves, self._moved_parts)

    def _terms(
        self,
        lengths: Iterable[int],
        ways: Callable[[int], list[tuple[Letters, ...]]],
        rows: Callable[[int, tuple[Letters, ...]], list[np.ndarray]],
    ) -> Terms:
        tables = [
            np.array([rows(length, way) for way in ways(length)], np.int32) for length in lengths
        ]
        most = max(map(len, tables))
        parts = max(table.shape[1] for table in tables if len(table))
        found, present = [], []
        for length, table in zip(lengths, tables, strict=True):
            size = self.n**length
            blank = np.zeros((most - len(table), parts, size), np.int32)
            found.append(np.concatenate([table, blank]) if len(table) else blank)
            present.append(np.repeat(np.arange(most)[:, None] < len(table), size, axis=1))
        return Terms(np.concatenate(found, axis=2).swapaxes(0, 1), np.concatenate(present, axis=1))

    def _part(self, length: int, places: Letters) -> np.ndarray:
        """The row of the letters at these places, for all words of a length."""
        row = np.zeros(self.n**length, int)
        for place in places:
            row = row * self.n + self._letters[length][place]
        return row + self._starts[len(places)]

    def _two_parts(self, length: int, way: tuple[Letters, ...]) -> list[np.ndarray]:
        return [self._part(length, places) for places in way]

    def _moved_parts(self, length: int, way: tuple[Letters, ...]) -> list[np.ndarray]:
        (letter,), *parts = way
        return [self._letters[length][letter], *self._two_parts(length, tuple(parts))]


def _halves(length: int) -> list[tuple[Letters, ...]]:
    return _dealt(tuple(range(length)), 2)


def _halves_of_the_rest(length: int) -> list[tuple[Letters, ...]]:
    if length == 0:
        return []
    return [(outer, (0, *inner)) for outer, inner in _dealt(tuple(range(1, length)), 2)]


def _moves(length: int) -> list[tuple[Letters, ...]]:
    return [
        ((first,), adjoint, inputs, (*range(first), *own))
        for first in range(length)
        for adjoint, inputs, own in _dealt(tuple(range(first + 1, length)), 3)
    ]


def _dealt(letters: Letters, hands: int) -> list[tuple[Letters, ...]]:
    """All ways to deal letters out, those first in which the first hand gets the fewest."""
    ways = [
        tuple(
            tuple(letter for letter, held in zip(letters, deal, strict=True) if held == hand)
            for hand in range(hands)
        )
        for deal in itertools.product(range(hands), repeat=len(letters))
    ]
    return sorted(ways, key=lambda way: len(way[0]))
