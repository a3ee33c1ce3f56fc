"""Kernels along words against the closed K^(4) moved along the fields, and against each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, relative_difference, unit_rows

import nthlib as nth
from nthlib.finite.closed_forms import closed_kernels
from nthlib.finite.lie import push_forward
from nthlib.finite.nilpotent import word_kernels
from nthlib.finite.room import planned

by_words = jax.jit(word_kernels, static_argnums=(0, 3))
# Sums of at most a few thousand products, in two orders; nothing else differs.
ROUNDING = 1e-12


@functools.partial(jax.jit, static_argnums=(0, 3))
def moved_closed_forms(net, params, X, order, X_test=None):
    def fourth(theta):
        return closed_kernels(net, theta, X, 4, X_test)[4]

    lower = closed_kernels(net, params, X, 3, X_test)
    return lower | push_forward(fourth, 4, net, params, X, order)


@pytest.fixture(autouse=True)
def narrow_networks_too(monkeypatch):
    """Where words are slower they are as right."""
    monkeypatch.setattr("nthlib.finite.nilpotent._UNITS_FOR_A_PAIR", 0)


CASES = {
    "one layer": (1, jnp.tanh, 3, 0, 5),
    "two layers, test rows": (2, jax.nn.softplus, 2, 2, 5),
    "three layers": (3, jnp.tanh, 2, 0, 5),
    "five samples": (2, jnp.tanh, 5, 1, 5),
    "order six": (2, jax.nn.softplus, 2, 1, 6),
    "order six of three layers": (3, jnp.tanh, 4, 0, 6),
    "order seven": (2, jnp.tanh, 2, 0, 7),
}
SLOW = ("five samples", "order six of three layers", "order seven")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CASES]
)
def test_words_agree_with_moved_closed_forms(name):
    depth, activation, n, n_test, order = CASES[name]
    net, params = network(depth, 6, 3, activation)
    X = unit_rows(n, 3)
    X_test = unit_rows(n_test, 3, seed=1) if n_test else None
    found = by_words(net, params, X, order, X_test)
    expected = moved_closed_forms(net, params, X, order, X_test)
    assert sorted(found) == sorted(expected)
    for r, kernel in expected.items():
        assert relative_difference(found[r], kernel) <= ROUNDING


def test_the_gradient_of_order_five_contracts_to_order_six():
    """⟨∇K^(5)(..), ∇f_γ⟩ by a reverse derivative of one entry is a row of K^(6); one unit idles."""
    net, full = network(2, 6, 2)
    params = nth.subnetwork(net, full, 5)
    X = unit_rows(2, 2)
    entry = (1, 0, 0, 1, 0)
    slopes = jax.jit(jax.grad(lambda p: word_kernels(net, p, X, 5)[5][entry]))(params)
    fields = jax.jit(jax.jacrev(net))(params, X)
    contracted = sum(
        np.asarray(field).reshape(2, -1) @ np.asarray(slope).ravel()
        for slope, field in zip(jax.tree.leaves(slopes), jax.tree.leaves(fields), strict=True)
    )
    sixth = nth.kernels(net, params, X, 6)[6]
    assert np.abs(contracted - sixth[entry]).max() <= ROUNDING * np.abs(sixth).max()


def test_under_vmap_as_one_call_after_the_other():
    net, _ = network(2, 4, 2)
    draws = [network(2, 4, 2, seed=seed)[1] for seed in range(2)]
    X = unit_rows(2, 2)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *draws)
    together = jax.jit(jax.vmap(lambda p: nth.kernels(net, p, X, 6)[6]))(stacked)
    for found, draw in zip(together, draws, strict=True):
        assert relative_difference(found, by_words(net, draw, X, 6)[6]) <= ROUNDING


def test_single_precision_stays_so():
    net, params = network(2, 16, 3)
    X = unit_rows(2, 3)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (params, X))
    found, expected = nth.kernels(net, *single, 6), by_words(net, params, X, 6)
    assert {kernel.dtype for kernel in found.values()} == {jnp.dtype(jnp.float32)}
    # Sums of products that round at 6e-8 and cancel by two digits at most.
    assert relative_difference(found[6], expected[6]) <= 1e-4


@pytest.mark.parametrize(
    ("n", "n_test", "width", "depth", "order"),
    [(4, 0, 128, 2, 6), (2, 3, 64, 3, 6), (3, 0, 16, 2, 7)],
)
def test_the_estimated_memory_is_that_of_the_program(n, n_test, width, depth, order):
    """At most a tenth below what XLA plans, and at most twice of it."""
    net, params = network(depth, width, 3)
    X = unit_rows(n, 3)
    X_test = unit_rows(n_test, 3, seed=1) if n_test else None
    program = jax.jit(lambda p, Z: nth.kernels(net, p, Z, order, X_test=X_test))
    plan = program.lower(params, X).compile().memory_analysis()
    held = plan.temp_size_in_bytes + plan.output_size_in_bytes
    blocks, needed = planned(net, params, X, n + n_test, order, None, None, closed=True)
    assert blocks == (n, n + n_test)
    assert 0.9 < needed / held < 2


def test_where_the_words_do_not_fit_the_closed_forms_are_moved():
    net, params = network(2, 512, 3)
    request = (net, params, unit_rows(4, 3), 4, 6, None)
    whole, needed = planned(*request, None, closed=True)
    fewer, less = planned(*request, needed - 1, closed=True)
    assert whole == (4, 4)
    assert fewer is None
    assert less < needed
