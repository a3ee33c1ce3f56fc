"""Taylorised training against explicit Taylor polynomials by nested Jacobians, and SciPy."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, other_model, unit_rows
from scipy.integrate import solve_ivp

import nthlib as nth

X, X_TEST = unit_rows(2, 2), unit_rows(1, 2, seed=1)
Y, TIMES = jnp.array([1.5, -1.0]), jnp.array([0.0, 0.4, 1.0, 3.0])


@functools.cache
def tensors(name):
    """θ_0 as a vector and ∇^j f(θ_0) / j! for j = 0, .., 4, each (3, P, .., P)."""
    if name == "network":
        model, params = network(1, 3, 2, sigma_w=1.0)
    else:
        params = (unit_rows(2, 3, seed=4), unit_rows(3, 2, seed=5))
        model = two_outputs
    flat, shape = jax.flatten_util.ravel_pytree(params)
    derivative = lambda p: model(shape(p), jnp.concatenate([X, X_TEST])).reshape(-1)  # noqa: E731
    found = []
    for j in range(5):
        found.append(np.asarray(derivative(flat)) / math.factorial(j))
        derivative = jax.jacfwd(derivative)
    return model, params, found


def two_outputs(params, Z):
    return jnp.tanh(Z @ params[0]) @ params[1]


def by_scipy(parts, y, degree, slope):
    """∂_t δ = −(1/n) Jᵀ ∂ℓ/∂f, with f and J from the symmetric tensors contracted with δ."""
    columns = len(y)

    def contracted(delta, kept):
        total = 0.0
        for j in range(kept, degree + 1):
            part = parts[j] * (j if kept else 1)
            for _ in range(j - kept):
                part = part @ delta
            total = total + part
        return total

    def velocity(t, delta):
        f, jacobian = contracted(delta, 0), contracted(delta, 1)
        return -jacobian[:columns].T @ slope(f[:columns], y) / 2

    start = np.zeros(parts[1].shape[1])
    run = solve_ivp(
        velocity, (0, 3), start, "DOP853", rtol=1e-11, atol=1e-13, t_eval=np.asarray(TIMES)
    )
    jacobians = [contracted(delta, 1) for delta in run.y.T]
    kernels = np.stack([j @ j[:columns].T for j in jacobians])
    return np.stack([contracted(delta, 0) for delta in run.y.T]), kernels, run.y[:, -1]


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_it_is_the_flow_of_the_explicit_polynomial(degree):
    net, params, parts = tensors("network")
    order = 2 if degree == 2 else 1
    flow = nth.taylorised_flow(net, params, X, Y, TIMES, degree, X_test=X_TEST, order=order)
    predictions, kernels, moved = by_scipy(parts, np.asarray(Y), degree, lambda f, y: f - y)
    np.testing.assert_allclose(flow.predictions, predictions, rtol=0, atol=1e-6)
    found = jax.flatten_util.ravel_pytree(jax.tree.map(jnp.subtract, flow.params, params))[0]
    np.testing.assert_allclose(found, moved, rtol=0, atol=1e-6)
    if order == 2:
        np.testing.assert_allclose(flow.kernels[2], kernels, rtol=0, atol=1e-6)
    if degree > 1:
        lower = by_scipy(parts, np.asarray(Y), degree - 1, lambda f, y: f - y)[0]
        assert np.abs(lower - predictions).max() > 1e-4


def test_it_takes_other_losses_and_several_outputs():
    model, params, parts = tensors("outputs")
    y = jnp.array([[1.0, -1.0], [-1.0, 1.0]])
    flow = nth.taylorised_flow(model, params, X, y, TIMES, 3, X_test=X_TEST, loss="logistic")
    expected, *_ = by_scipy(parts, np.asarray(y).ravel(), 3, lambda f, y: -y / (1 + np.exp(y * f)))
    assert flow.predictions.shape == (4, 3, 2)
    np.testing.assert_allclose(flow.predictions.reshape(4, -1), expected, rtol=0, atol=1e-6)


def test_degree_one_is_the_linearised_network_of_any_model():
    """Its kernel stands still: it is the hierarchy cut at p = 2."""
    model, params, inputs = other_model("convolution")
    y = jnp.array([0.3, -0.2, 0.1])
    flow = nth.taylorised_flow(model, params, inputs, y, TIMES, 1)
    K = nth.kernels(model, params, inputs, 2)
    frozen = nth.truncated_hierarchy(K, y, TIMES, 2)
    np.testing.assert_allclose(flow.predictions, frozen.predictions, rtol=0, atol=1e-7)


def test_a_polynomial_model_is_its_own_taylor_polynomial():
    def cubic(theta, Z):
        return Z @ theta + (Z @ theta) ** 3

    theta = jnp.array([0.4, -0.2])
    exact = nth.gradient_flow(cubic, theta, X, Y, TIMES, order=1)
    for degree, gap in ((2, False), (3, True), (5, True)):
        flow = nth.taylorised_flow(cubic, theta, X, Y, TIMES, degree)
        near = np.abs(flow.predictions - exact.predictions).max() < 1e-6
        assert near == gap


def tanh_series(h, degree):
    """Taylor coefficients of tanh around h, from tanh' = 1 − tanh²."""
    series, slope = [np.tanh(h)], [1 - np.tanh(h) ** 2]
    for k in range(degree):
        series.append(slope[k] / (k + 1))
        slope.append(-sum(series[j] * series[k + 1 - j] for j in range(k + 2)))
    return series


def along_its_path(params, later, width):
    """Largest move over √(π²/4 + h²), and errors of the trained outputs' polynomials by degree."""
    h, moved = (np.asarray(p.weights[0] @ jnp.eye(4))[:width] for p in (params, later))
    a, b = (np.asarray(p.readout)[:width, None] for p in (params, later))
    ratio = np.abs((moved - h) / np.hypot(np.pi / 2, h)).max()
    powers = [c * (moved - h) ** k for k, c in enumerate(tanh_series(h, 60))]
    sums = np.cumsum(powers, axis=0)
    lower = np.concatenate([np.zeros_like(sums[:1]), sums[:-1]])
    outputs = (a * sums + (b - a) * lower).sum(axis=1)
    return ratio, np.abs(outputs - (b * np.tanh(moved)).sum(axis=0)).max(axis=1)


def test_along_the_network_s_path_the_discs_of_the_activation_decide():
    """Twelve networks, labels over a decade: the error goes like the largest ratio^degree."""
    net, points, signs = nth.FullyConnected(4, 64, 1), jnp.eye(4), jnp.array([1.0, -1.0, 1.0, -1.0])
    times, slopes, ratios = jnp.array([0.0, 8.0]), [], []
    for width in (16, 32, 64):
        for seed, size in enumerate(np.geomspace(2.0, 20.0, 4)):
            draw = net.init(jax.random.key(100 * width + seed))
            params = nth.subnetwork(net, draw, width)
            y = net(params, points) - size * signs
            later = nth.gradient_flow(net, params, points, y, times, order=1).params
            ratio, errors = along_its_path(params, later, width)
            k = np.arange(10, 61)
            k = k[errors[10:] > 1e-11]  # above rounding
            slopes.append(np.polyfit(k, np.log(errors[k]), 1)[0])
            ratios.append(ratio)
    assert 4 <= sum(np.array(ratios) < 1) <= 8
    np.testing.assert_array_equal(np.array(slopes) < 0, np.array(ratios) < 1)
    far = np.array(ratios) > 0.6  # where many degrees lie above rounding
    np.testing.assert_allclose(np.array(slopes)[far], np.log(ratios)[far], rtol=0, atol=0.05)


def test_it_works_under_jit_and_vmap():
    net, params, _ = tensors("network")
    draws = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.9 * leaf]), params)
    solve = lambda p: nth.taylorised_flow(net, p, X, Y, TIMES, 2).predictions  # noqa: E731
    many = jax.jit(jax.vmap(solve))(draws)
    for i in range(2):
        one = solve(jax.tree.map(lambda leaf, i=i: leaf[i], draws))
        np.testing.assert_allclose(many[i], one, rtol=0, atol=1e-7)


@pytest.mark.bad_input
def test_a_degree_below_one_is_refused():
    net, params, _ = tensors("network")
    with pytest.raises(ValueError, match="degree must be at least 1, got 0"):
        nth.taylorised_flow(net, params, X, Y, TIMES, 0)
