"""The series by an FFT over complex speeds, against kernels by derivatives and the jet."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import unit_rows

import nthlib as nth
from nthlib.truncation.resum import strip_weights
from nthlib.truncation.units import HIGHEST, kernel_series, tanh_pole_times, unit_levels


@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.softplus])
def test_along_a_constant_residual_the_terms_are_the_kernels(activation):
    net, X, t = nth.FullyConnected(3, 20, 1, activation), unit_rows(3, 3), 1.5
    params, r = net.init(jax.random.key(0)), jnp.array([1.0, -0.5, 0.3])
    times = jnp.linspace(0.0, t, 41)
    C, K = kernel_series(net, params, X, times, jnp.tile(r, (41, 1)), 30, 0.5)
    kernel = nth.kernels(net, params, X, 5)
    for k in range(4):
        term = kernel[k + 2]
        for _ in range(k):
            term = term @ r
        expected = (-t / 3) ** k / math.factorial(k) * term
        # Forty steps of order four.
        np.testing.assert_allclose(C[-1, k], expected, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(C[-1].sum(0), K[-1], rtol=1e-6)


def test_levels_are_those_of_the_jet():
    net, X = nth.FullyConnected(3, 20, 1), unit_rows(3, 3)
    params, times = net.init(jax.random.key(1)), jnp.linspace(0.0, 3.0, 61)
    y = net(params, X) + jnp.array([1.0, -1.0, 0.5])
    found = unit_levels(net, params, X, y, times, jnp.array([3, 4]), 0.5)
    for level, predictions in zip((3, 4), found, strict=True):
        jet = nth.truncated_flow(net, params, X, y, times, level, order=1)
        np.testing.assert_allclose(predictions, jet.predictions, atol=1e-6)


def test_so_many_angles_and_steps_are_enough():
    """At half of the reach, beside three times the angles, and steps half as long."""
    net, X = nth.FullyConnected(3, 20, 1), unit_rows(3, 3)
    params, times = net.init(jax.random.key(1)), jnp.linspace(0.0, 3.0, 31)
    y = net(params, X) + jnp.array([1.0, -1.0, 0.5])
    f = nth.gradient_flow(net, params, X, y, times, order=1).predictions
    action = jnp.trapezoid(f - y, times, axis=0)
    half = nth.reach_of_network(net, params, X, action) / 2
    levels = jnp.array([4, 12, 30])
    found = unit_levels(net, params, X, y, times, levels, half)
    finer = unit_levels(net, params, X, y, times, levels, half, angles=96)
    np.testing.assert_allclose(found, finer, rtol=0, atol=1e-9)
    fine = jnp.linspace(0.0, 3.0, 61)
    halved = unit_levels(net, params, X, y, fine, levels, half)[:, ::2]
    gap = np.abs(halved - found).max()
    assert 1e-9 < gap < 1e-6


def _strip(integral, degree):
    return strip_weights(jnp.abs(integral).max(), 2.0, degree, HIGHEST)


def test_a_strip_weighs_the_terms_as_in_the_jet():
    net, X = nth.FullyConnected(3, 20, 1), unit_rows(3, 3)
    params, times = net.init(jax.random.key(1)), jnp.linspace(0.0, 3.0, 61)
    y = net(params, X) + jnp.array([1.0, -1.0, 0.5])
    found = unit_levels(net, params, X, y, times, jnp.array([4]), 0.5, weights=_strip)
    jet = nth.truncated_flow(net, params, X, y, times, 4, order=1, resum="strip", half_width=2.0)
    np.testing.assert_allclose(found[0], jet.predictions, atol=1e-6)


@pytest.mark.slow
def test_at_the_boundary_level_twelve_gains_by_the_strip():
    """Eight networks trained until R is about one: five times closer in the median, never worse."""
    net, X, times = nth.FullyConnected(4, 64, 1), jnp.eye(4), jnp.linspace(0.0, 8.0, 81)
    signs, gains = jnp.array([1.0, -1.0, 1.0, -1.0]), []
    for seed in range(8):
        params = net.init(jax.random.key(seed))
        start = net(params, X)
        K = {1: start, 2: nth.ntk(net, params, X)}
        frozen = nth.truncated_hierarchy(K, start - signs, times, 2).predictions
        action = jnp.trapezoid(frozen - start + signs, times, axis=0)
        y = start - nth.reach_of_network(net, params, X, action) * signs
        f = nth.gradient_flow(net, params, X, y, times, order=1).predictions
        reach = nth.reach_of_network(net, params, X, jnp.trapezoid(f - y, times, axis=0))
        assert 0.9 < reach < 1.1
        width = np.pi * 8 / np.abs(params.readout).max()

        def strip(integral, degree, width=width):
            return strip_weights(jnp.abs(integral).max(), width, degree, HIGHEST)

        level, circle = jnp.array([12]), 0.4 * reach
        raw, summed = (
            np.abs(unit_levels(net, params, X, y, times, level, circle, weights=by)[0] - f).max()
            for by in (None, strip)
        )
        gains.append(raw / summed)
    assert np.median(gains) > 5, gains
    assert min(gains) > 1, gains


def test_idle_units_add_nothing():
    net, X = nth.FullyConnected(3, 20, 1), unit_rows(3, 3)
    params, times = net.init(jax.random.key(1)), jnp.linspace(0.0, 1.0, 11)
    cut = nth.Parameters((params.weights[0][:8],), params.readout[:8])
    r = jnp.ones((11, 3))
    own = kernel_series(nth.FullyConnected(3, 8, 1), cut, X, times, r, 6, 0.5)
    found = kernel_series(net, nth.subnetwork(net, params, 8), X, times, r, 6, 0.5)
    for ours, theirs in zip(found, own, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_pole_in_complex_time_is_where_the_taylor_coefficients_say():
    X, e = jnp.eye(3), jnp.array([1.0, -0.7, 0.4])
    params = nth.FullyConnected(3, 4, 1).init(jax.random.key(3))
    times = tanh_pole_times(params.readout, params.weights[0], e)
    one = nth.FullyConnected(3, 1, 1)
    for i, time in enumerate(times):
        unit = nth.Parameters((params.weights[0][i : i + 1],), params.readout[i : i + 1])
        np.testing.assert_allclose(time, nth.reach_of_network(one, unit, X, e), rtol=1e-2)
