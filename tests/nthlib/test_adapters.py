"""Equinox and Flax modules through the two lines of adapter that the book shows."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import relative_difference, unit_rows

import nthlib as nth

X, X_TEST = unit_rows(3, 3), unit_rows(1, 3, seed=1)
EVERYTHING = jnp.concatenate([X, X_TEST])
TIMES = jnp.array([0.0, 0.5])


def equinox_model():
    module = eqx.nn.MLP(3, 2, 5, 1, activation=jnp.tanh, key=jax.random.key(0))
    params, static = eqx.partition(module, eqx.is_inexact_array)
    return lambda params, X: jax.vmap(eqx.combine(params, static))(X), params


class Classifier(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2, param_dtype=x.dtype)(nn.tanh(nn.Dense(5, param_dtype=x.dtype)(x)))


def flax_model():
    module = Classifier()
    return module.apply, module.init(jax.random.key(0), X)


@pytest.mark.parametrize("adapted", [equinox_model, flax_model])
def test_kernels_drift_and_truncation(adapted):
    model, params = adapted()
    params = jax.tree.map(lambda leaf: leaf.astype(X.dtype), params)
    K = nth.kernels(model, params, X, 2, X_test=X_TEST)
    leaves = jax.tree.leaves(jax.jit(jax.jacrev(model))(params, EVERYTHING))
    rows = [np.asarray(leaf).reshape(8, -1) for leaf in leaves]  # (sample, output) first
    gram = sum(row @ row[:6].T for row in rows).reshape(4, 2, 3, 2)
    assert relative_difference(K[2], gram) <= 1e-12
    labels = jnp.eye(2)[jnp.array([0, 1, 1])]
    flow = nth.gradient_flow(model, params, X, labels, TIMES, X_test=X_TEST, loss="softmax")
    gaps = []
    for order in (2, 4):
        cut = nth.truncated_flow(
            model, params, X, labels, TIMES, order, X_test=X_TEST, loss="softmax"
        )  # fmt: skip
        gaps.append(np.abs(cut.predictions - flow.predictions).max())
    assert np.abs(flow.kernels[2][-1] - K[2]).max() > 1e-4
    assert gaps[1] < gaps[0] / 2


@pytest.mark.parametrize("adapted", [equinox_model, flax_model])
def test_kernels_between_two_sets_and_as_an_operator(adapted):
    model, params = adapted()
    params = jax.tree.map(lambda leaf: leaf.astype(X.dtype), params)
    K = nth.kernels(model, params, X, 2, X_test=X_TEST)[2]
    found = nth.ntk(model, params, EVERYTHING, X, block=2)
    assert relative_difference(found, K) <= 1e-12
    square = np.asarray(found[:3]).reshape(6, 6)
    assert relative_difference(nth.ntk_operator(model, params, X) @ np.eye(6), square) <= 1e-12
