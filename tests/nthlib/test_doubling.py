"""The doubled model: no predictions at the start, no odd kernels, and the even ones known."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, other_model, relative_difference, unit_rows

import nthlib as nth
from nthlib.compilation import is_fixed

X, X_TEST = unit_rows(3, 3), unit_rows(2, 3, seed=1)


def two_outputs(params, X):
    return jnp.tanh(X @ params) ** 2 + X[:, :2]


MODELS = {
    "network": network(depth=2, width=4),
    "biases": other_model("biases")[:2],
    "two outputs": (two_outputs, jnp.asarray(np.random.default_rng(0).normal(size=(3, 2)))),
}


@pytest.mark.parametrize("name", MODELS)
def test_at_equal_parameters_odd_kernels_vanish(name):
    model, params = MODELS[name]
    doubled, pair = nth.antisymmetric(model, params)
    assert not doubled(pair, X).any()
    K = nth.kernels(model, params, X, 4, X_test=X_TEST)
    found = nth.kernels(doubled, pair, X, 4, X_test=X_TEST)
    np.testing.assert_allclose(found[2], K[2], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found[4], K[4] / 2, rtol=1e-9, atol=1e-10 * abs(K[4]).max())
    assert not found[1].any()
    # Two sums that cancel, of numbers as large as the kernel of one copy.
    assert abs(found[3]).max() <= 1e-13 * abs(K[3]).max()


def test_away_from_equal_parameters_the_kernels_are_sums_over_the_copies():
    net, first = network(depth=2, width=4)
    second = network(depth=2, width=4, seed=1)[1]
    doubled, _ = nth.antisymmetric(net, first)
    found = nth.kernels(doubled, (first, second), X, 3)
    one, other = (nth.kernels(net, params, X, 3) for params in (first, second))
    for r in (1, 2, 3):
        expected = (one[r] + (-1) ** r * other[r]) / 2 ** (r / 2)
        assert relative_difference(found[r], expected) <= 1e-12


def test_equal_models_have_equal_doubles_and_compile_once(compilations):
    params = network(depth=2, width=5)[1]
    doubles = [nth.antisymmetric(nth.FullyConnected(3, 5, 2), params) for _ in range(2)]
    assert doubles[0][0] == doubles[1][0]
    assert hash(doubles[0][0]) == hash(doubles[1][0])
    assert is_fixed(doubles[0][0])
    nth.ntk(*doubles[0], X)
    first = len(compilations)
    assert first > 0
    nth.ntk(*doubles[1], X)
    assert len(compilations) == first


def test_training_of_the_double_starts_at_zero_and_moves_the_copies_apart():
    model, params = MODELS["network"]
    doubled, pair = nth.antisymmetric(model, params)
    flow = nth.gradient_flow(doubled, pair, X, jnp.ones(3), jnp.array([0.0, 3.0]))
    assert not flow.predictions[0].any()
    first, second = (copy.readout - params.readout for copy in flow.params)
    # To first order in time the copies move by opposite steps.
    assert jnp.abs(first - second).max() > 2 * jnp.abs(first + second).max() > 0
