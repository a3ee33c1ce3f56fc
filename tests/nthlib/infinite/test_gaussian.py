"""Expectations over Gaussian pairs: closed moments, other rules, and what is refused."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from helpers import gaussian_mean

import nthlib as nth
from nthlib.activations import derivative
from nthlib.infinite.gaussian import pair_expectations

# Variances and covariances: generic, equal, independent, opposite, and nearly collinear.
P = jnp.array([1.0, 0.3, 2.0, 1.0, 0.7, 1.3])
Q = jnp.array([0.5, 0.3, 1.1, 4.0, 0.7, 0.9])
C = jnp.array([0.4, 0.1, 0.0, -1.2, -0.7, 0.999 * np.sqrt(1.3 * 0.9)])


@pytest.mark.parametrize(
    ("activation", "value", "slope"),
    [
        (lambda x: x, lambda p, q, c: c, lambda p, q, c: 1 + 0 * c),
        (lambda x: x**2, lambda p, q, c: p * q + 2 * c**2, lambda p, q, c: 4 * c),
        (
            lambda x: x**3,
            lambda p, q, c: 9 * p * q * c + 6 * c**3,
            lambda p, q, c: 9 * (p * q + 2 * c**2),
        ),
        (
            jnp.sin,
            lambda p, q, c: np.exp(-(p + q) / 2) * np.sinh(c),
            lambda p, q, c: np.exp(-(p + q) / 2) * np.cosh(c),
        ),
        (
            lambda x: jnp.exp(x / 2),
            lambda p, q, c: np.exp((p + q + 2 * c) / 8),
            lambda p, q, c: np.exp((p + q + 2 * c) / 8) / 4,
        ),
    ],
    ids=["identity", "square", "cube", "sine", "exponential"],
)
def test_quadrature_reproduces_known_moments(activation, value, slope):
    """Isserlis' theorem and characteristic functions; the module promises a relative 1e-8."""
    arrays = [np.asarray(a) for a in (P, Q, C)]
    found = pair_expectations(activation, P, Q, C)
    for numbers, reference in zip(found, (value, slope), strict=True):
        expected = reference(*arrays)
        np.testing.assert_allclose(numbers, expected, rtol=1e-8, atol=1e-8 * abs(expected).max())


@pytest.mark.parametrize("known", [nth.erf, nth.relu], ids=["erf", "relu"])
def test_closed_forms_agree_with_quadrature(known):
    """The wrapper hides the activation's name, so that the quadrature runs instead."""
    closed = pair_expectations(known, P, Q, C)
    numerical = pair_expectations(lambda x: known(x), P, Q, C)
    for a, b in zip(closed, numerical, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.gelu])
def test_quadrature_agrees_with_a_trapezoid_rule(activation):
    value, slope = pair_expectations(activation, P, Q, C)
    for i, pair in enumerate(zip(*map(np.asarray, (P, Q, C)), strict=True)):
        # Both rules converge faster than any power for smooth σ; 1e-8 is what is promised.
        expected = gaussian_mean(activation, *pair), gaussian_mean(derivative(activation), *pair)
        np.testing.assert_allclose((value[i], slope[i]), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("activation", "plain"),
    [
        (jax.nn.softplus, lambda x: np.logaddexp(0, x)),
        (jax.nn.elu, lambda x: x if x > 0 else np.expm1(x)),
    ],
    ids=["softplus", "elu"],
)
def test_quadrature_agrees_with_adaptive_integration(activation, plain):
    p, q, c = 1.2, 0.8, 0.5
    precision = np.linalg.inv([[p, c], [c, q]])

    def integrand(v, u):
        weight = np.exp(-0.5 * (precision[0, 0] * u * u + precision[1, 1] * v * v))
        return plain(u) * plain(v) * weight * np.exp(-precision[0, 1] * u * v)

    total = sum(  # cut at the kink of elu'
        scipy.integrate.dblquad(integrand, *u, *v, epsabs=1e-9, epsrel=1e-9)[0]
        for u in ((-9, 0), (0, 9))
        for v in ((-9, 0), (0, 9))
    )
    expected = total / (2 * np.pi * np.sqrt(p * q - c**2))
    found = pair_expectations(activation, *(jnp.array([x]) for x in (p, q, c)))[0][0]
    assert abs(found - expected) < 1e-8  # four boxes of 1e-9 each


def test_collinear_pairs_reduce_to_one_variable():
    """v = ±u: E[σ(u)σ(±u)] by Gauss–Hermite in one variable, exact for a polynomial times one."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    p = jnp.array([0.8, 0.8])
    value, slope = pair_expectations(jnp.sin, p, p, jnp.array([0.8, -0.8]))
    u = np.sqrt(0.8) * nodes
    mean = weights / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(value, [mean @ np.sin(u) ** 2, -mean @ np.sin(u) ** 2], atol=1e-9)
    np.testing.assert_allclose(slope, [mean @ np.cos(u) ** 2] * 2, atol=1e-9)


def test_relu_of_collinear_pairs_keeps_its_digits():
    """An arccosine of the correlation would be wrong by 1e-8 here."""
    p, q = jnp.array([1.7, 1.7]), jnp.array([0.4, 0.4])
    c = jnp.sqrt(p * q) * jnp.array([1.0, -1.0])
    value, slope = pair_expectations(nth.relu, p, q, c)
    np.testing.assert_allclose(value, [float(c[0]) / 2, 0.0], atol=1e-14)
    np.testing.assert_allclose(slope, [0.5, 0.0], atol=1e-7)  # the angle, a square root of rounding


def test_pairs_beyond_the_probes_are_computed_too():
    """More pairs than are looked at when the resolution is chosen."""
    rng = np.random.default_rng(0)
    p, q = rng.uniform(0.1, 2.0, size=(2, 70))
    c = rng.uniform(-1, 1, 70) * np.sqrt(p * q)
    value, _ = pair_expectations(jnp.sin, *map(jnp.asarray, (p, q, c)))
    np.testing.assert_allclose(value, np.exp(-(p + q) / 2) * np.sinh(c), atol=1e-8)


def test_a_kink_away_from_zero_is_reported():
    with pytest.warns(UserWarning, match="accurate to about .* only; a kink away from zero"):
        pair_expectations(lambda x: nth.relu(x - 0.5), P[:1], Q[:1], C[:1])


def test_growth_beyond_the_cut_is_reported_or_integrated():
    """E[e^u e^v] = e^{(p+q)/2+c} has its mass near 2p = 18, six standard deviations out."""
    nine = jnp.array([9.0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value, _ = pair_expectations(jnp.exp, nine, nine, nine)
    exact = np.exp(18.0)
    assert caught or abs(value[0] / exact - 1) < 1e-6, "wrong by more than 1e-6, silently"


def test_float32_stays_float32_without_a_warning():
    single = [a.astype(jnp.float32) for a in (P, Q, C)]
    for found, expected in zip(
        pair_expectations(jnp.tanh, *single), pair_expectations(jnp.tanh, P, Q, C), strict=True
    ):
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)  # a sum of thousands of weights
