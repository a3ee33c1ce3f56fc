"""Taylor arithmetic against known series, and one push against the kernel's definition."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import jacobian_gram, network, other_model, unit_rows

from nthlib.outputs import numbers_per_sample
from nthlib.truncation import jet


@pytest.mark.parametrize("degree", range(7))
def test_the_series_of_a_composition(degree):
    """exp(a + ε b) along a line, 1/(1 − ε − ε²) along a parabola: Fibonacci numbers."""
    line = [jnp.array(0.3), jnp.array(1.7), *[jnp.array(0.0)] * 5][: degree + 1]
    found = jet.taylor_coefficients(jnp.exp, line)
    expected = [math.exp(0.3) * 1.7**k / math.factorial(k) for k in range(degree + 1)]
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    parabola = [jnp.array(v) for v in (1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0)][: degree + 1]
    found = jet.taylor_coefficients(lambda z: 1 / z, parabola)
    fibonacci = [1, 1, 2, 3, 5, 8, 13][: degree + 1]
    np.testing.assert_allclose(found, fibonacci if degree != 1 else [1, 1], rtol=1e-12)


def test_the_series_of_a_network_converges_to_its_value():
    """Predictions along a curve of parameters: what is left falls like ε^{k+1}."""
    net, params = network(2, 5, 3)
    X = unit_rows(2, 3)
    step = jax.tree.map(lambda leaf: 0.1 * jnp.cos(leaf), params)
    curve = [params, step, *[jax.tree.map(jnp.zeros_like, params)] * 3]
    coefficients = jet.taylor_coefficients(lambda p: {"f": net(p, X)}, curve)
    for epsilon in (0.1, 0.2):
        moved = jax.tree.map(lambda a, b, e=epsilon: a + e * b, params, step)
        total = sum(epsilon**k * part["f"] for k, part in enumerate(coefficients))
        np.testing.assert_allclose(total, net(moved, X), atol=20 * epsilon**5 * 0.1**5)


@pytest.mark.parametrize("name", ["fully connected", "skip", "convolution"])
def test_a_push_is_the_kernel_times_the_force(name):
    if name == "fully connected":
        model, params = network(2, 5, 3)
        X, X_test = unit_rows(3, 3), unit_rows(2, 3, seed=1)
    else:
        model, params, everything = other_model(name, n=5)
        X, X_test = everything[:3], everything[3:]
    force = jnp.array([0.3, -1.0, 0.5])
    direction, moved = jet.push(model, params, X, X_test, force)
    gram = jacobian_gram(model, params, jnp.concatenate([X, X_test]), X)
    np.testing.assert_allclose(moved, gram @ force, rtol=1e-12, atol=1e-13)
    gradient = jax.grad(lambda p: model(p, X) @ force)(params)
    for found, expected in zip(jax.tree.leaves(direction), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-14)
    kernel = jet.tangent_kernel(model, params, X, X_test)
    np.testing.assert_allclose(kernel, gram, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_tiles_change_neither_values_nor_gradients(size):
    model, params, X = other_model("biases", n=5)
    tiled = jet.in_tiles(model, size)
    np.testing.assert_allclose(tiled(params, X), model(params, X), atol=1e-14)
    whole, parts = (jax.grad(lambda p, f=f: (f(p, X) ** 2).sum())(params) for f in (model, tiled))
    for found, expected in zip(jax.tree.leaves(parts), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-13)


def test_the_numbers_of_a_sample_count_what_a_program_keeps():
    net, params = network(depth=3, width=7, dim=2)
    # Product, activation and scaling in each of three layers, and the readout.
    found = numbers_per_sample(net, params, unit_rows(4, 2))
    assert 3 * 3 * 7 <= found <= 4 * 3 * 7
