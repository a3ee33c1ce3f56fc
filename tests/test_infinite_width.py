"""The limiting kernel against closed recursions, a trapezoid recursion and wide networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import gaussian_mean, unit_rows

import nthlib as nth
from nthlib.activations import derivative

DEPTHS = [1, 2, 3]


def recursion(net, X, mean, slope_mean):
    """𝔎^(2) from the sum over layers, with E[σσ] and E[σ'σ'] given as functions of (p, q, c)."""
    sigma = [np.asarray(X @ X.T)]
    dots = [None]
    n = len(X)
    for _ in range(net.depth):
        scaled = net.sigma_w**2 * sigma[-1]
        pairs = [[(scaled[i, i], scaled[j, j], scaled[i, j]) for j in range(n)] for i in range(n)]
        sigma.append(np.array([[mean(*pair) for pair in row] for row in pairs]))
        dots.append(np.array([[slope_mean(*pair) for pair in row] for row in pairs]))
    total = sigma[net.depth].copy()
    for layer in range(1, net.depth + 1):
        product = np.prod([dots[k] for k in range(layer, net.depth + 1)], axis=0)
        factor = net.sigma_a**2 * net.sigma_w ** (2 * (net.depth - layer))
        total += factor * sigma[layer - 1] * product
    return total


@pytest.mark.parametrize("known", [nth.erf, nth.relu], ids=["erf", "relu"])
def test_closed_activations_agree_with_quadrature(known):
    settings = {"dim": 3, "width": 1, "depth": 3, "sigma_w": 1.4, "sigma_a": 0.6}
    X = jnp.concatenate([unit_rows(3, 3), 1.5 * unit_rows(1, 3, seed=1)])
    closed = nth.limit_kernel(nth.FullyConnected(activation=known, **settings), X)
    hidden = nth.FullyConnected(activation=lambda x: known(x), **settings)
    # The quadrature's own relative 1e-8, through three layers with slopes of order one.
    np.testing.assert_allclose(closed, nth.limit_kernel(hidden, X), rtol=1e-7, atol=1e-8)


def test_sine_networks_agree_with_their_closed_recursion():
    net = nth.FullyConnected(3, 1, 3, jnp.sin, sigma_w=1.3, sigma_a=0.7)
    X = unit_rows(3, 3)
    expected = recursion(
        net,
        X,
        lambda p, q, c: np.exp(-(p + q) / 2) * np.sinh(c),
        lambda p, q, c: np.exp(-(p + q) / 2) * np.cosh(c),
    )
    np.testing.assert_allclose(nth.limit_kernel(net, X), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.softplus], ids=["tanh", "softplus"])
def test_other_activations_agree_with_a_trapezoid_recursion(activation):
    net = nth.FullyConnected(3, 1, 2, activation, sigma_w=0.8, sigma_a=1.6)
    X = unit_rows(2, 3)
    expected = recursion(
        net,
        X,
        lambda *pair: gaussian_mean(activation, *pair),
        lambda *pair: gaussian_mean(derivative(activation), *pair),
    )
    np.testing.assert_allclose(nth.limit_kernel(net, X), expected, rtol=1e-7)


@pytest.mark.parametrize("depth", DEPTHS)
def test_linear_networks_have_a_polynomial_limit(depth):
    """σ(x) = x: 𝔎^(2) = σ_w^{2H} (1 + H σ_a²/σ_w²) ⟨x, x'⟩."""
    w, a = 1.2, 0.9
    X = unit_rows(3, 3)
    net = nth.FullyConnected(3, 1, depth, lambda x: x, w, a)
    expected = w ** (2 * depth) * (1 + depth * a**2 / w**2) * (X @ X.T)
    np.testing.assert_allclose(nth.limit_kernel(net, X), expected, atol=1e-8)


@pytest.mark.parametrize("depth", DEPTHS)
def test_relu_on_the_diagonal(depth):
    """E[σ²] = p/2 and E[σ'²] = 1/2: every layer halves, so 𝔎(x,x) is a short polynomial."""
    w, a = 1.5, 0.7
    X = jnp.array([[0.6, 0.0], [1.0, 2.0]])
    half = w**2 / 2
    expected = (half**depth + a**2 / 2 * depth * half ** (depth - 1)) * (X**2).sum(axis=1)
    kernel = nth.limit_kernel(nth.FullyConnected(2, 1, depth, nth.relu, w, a), X)
    # The angle of a vector with itself is a square root of rounding, 1e-8, times p / π.
    np.testing.assert_allclose(jnp.diagonal(kernel), expected, rtol=3e-7)


def test_the_width_is_not_used_and_the_matrix_is_positive():
    X = unit_rows(5, 3)
    kernels = [nth.limit_kernel(nth.FullyConnected(3, m, 2), X) for m in (1, 50)]
    np.testing.assert_array_equal(*kernels)
    np.testing.assert_array_equal(kernels[0], kernels[0].T)
    assert np.linalg.eigvalsh(kernels[0])[0] > 1e-3


def test_float32_stays_float32():
    X = unit_rows(3, 3)
    net = nth.FullyConnected(3, 1, 2)
    single = nth.limit_kernel(net, X.astype(jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, nth.limit_kernel(net, X), atol=1e-5)


def test_the_limit_may_stand_inside_a_compiled_function():
    """As a constant, say in the measure of a sweep; as an argument it cannot adapt."""
    net, X = nth.FullyConnected(3, 1, 2, jnp.sin), unit_rows(2, 3)
    inside = jax.jit(lambda scale: scale * nth.limit_kernel(net, X))(2.0)
    np.testing.assert_allclose(inside, 2 * nth.limit_kernel(net, X), rtol=1e-13)
    with pytest.raises(TypeError, match="X must be a concrete array"):
        jax.jit(lambda Z: nth.limit_kernel(net, Z))(X)


@pytest.mark.parametrize(
    ("depth", "activation"),
    [(1, nth.relu), (2, jnp.tanh), (3, jax.nn.softplus)],
    ids=["relu", "tanh", "softplus"],
)
def test_wide_networks_have_this_mean(depth, activation):
    """The mean of K_0^(2) over seeds, as a z-score; the wrong readout variance as a control.

    Threshold 5: six entries, each beyond 5 standard errors once in 10^6 draws, leave room for
    the bias of order 1/m, which at m = 512 is below two standard errors of 24 seeds.
    """
    net = nth.FullyConnected(3, 512, depth, activation, sigma_w=1.2, sigma_a=0.7)
    X = unit_rows(3, 3)
    keys = jax.random.split(jax.random.key(5), 24)
    measure = jax.jit(lambda key: nth.kernels(net, net.init(key), X, 2)[2])
    draws = np.stack([measure(key) for key in keys])
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    z = np.abs(draws.mean(axis=0) - nth.limit_kernel(net, X)) / error
    assert z.max() < 5
    wrong = nth.FullyConnected(3, 512, depth, activation, sigma_w=1.2, sigma_a=1.0)
    assert (np.abs(draws.mean(axis=0) - nth.limit_kernel(wrong, X)) / error).max() > 10
