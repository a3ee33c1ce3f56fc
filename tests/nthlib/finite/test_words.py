"""The tables of words against products and chains whose derivatives are known in closed form."""

import itertools

import numpy as np
import pytest

from nthlib.finite.words import Words

N, LONGEST = 3, 4
WORDS = Words(N, LONGEST)
LENGTHS = range(LONGEST + 1)
ALL = [w for length in LENGTHS for w in itertools.product(range(N), repeat=length)]


def powers(rates):
    """Along all words: the derivatives of exp(Σ rate_γ θ_γ) at zero, products over the letters."""
    return np.array([np.prod([rates[letter] for letter in word]) for word in ALL])


def total(terms, *factors):
    parts = np.prod([u[rows] for u, rows in zip(factors, terms.rows, strict=True)], axis=0)
    return (parts * terms.present).sum(axis=0)


@pytest.fixture
def rates():
    return np.random.default_rng(0).normal(size=(3, N))


def test_words_are_counted_and_shorter_ones_come_first():
    assert [WORDS.upto(length) for length in (-1, 0, 1, 2)] == [0, 1, 4, 13]
    assert WORDS.upto(LONGEST) == len(ALL)


def test_a_product_of_exponentials_is_one(rates):
    terms = WORDS.splits(LENGTHS)
    found = total(terms, powers(rates[0]), powers(rates[1]))
    np.testing.assert_allclose(found, powers(rates[0] + rates[1]), rtol=1e-13)


def test_the_exponential_of_a_linear_function_follows_from_its_chain(rates):
    """exp is its own derivative, and a linear h has derivatives along single letters alone."""
    linear = np.array([rates[0][word[0]] if len(word) == 1 else 0.0 for word in ALL])
    found = total(WORDS.chains(LENGTHS), powers(rates[0]), linear)
    assert found[0] == 0  # the function itself is no derivative of it
    np.testing.assert_allclose(found[1:], powers(rates[0])[1:], rtol=1e-13)


def test_a_moved_weight_deals_later_letters_to_its_field(rates):
    """λ_γ, x_γ and x exponentials: letters before γ go to x, those after it to all three."""
    letter, *parts = WORDS.moves(LENGTHS).rows
    terms = WORDS.moves(LENGTHS)
    values = [powers(rate)[rows] for rate, rows in zip(rates, parts, strict=True)]
    weight = np.arange(1.0, N + 1)
    found = (weight[letter] * np.prod(values, axis=0) * terms.present).sum(axis=0)
    together = rates.sum(axis=0)
    expected = [
        sum(
            np.prod(rates[2][list(word[:at])])
            * weight[word[at]]
            * np.prod(together[list(word[at + 1 :])])
            for at in range(len(word))
        )
        for word in ALL
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)
