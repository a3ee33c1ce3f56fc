"""The terms of K̃^(2) against Taylor coefficients by another route, and the reach read off them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, unit_rows
from scipy.integrate import solve_ivp

import nthlib as nth

X, X_TEST = unit_rows(2, 2), unit_rows(1, 2, seed=1)
Y, TIMES = jnp.array([1.0, -0.5]), jnp.array([0.0, 0.4, 1.0, 3.0])
LEVEL = 5


@functools.cache
def case():
    net, params = network(1, 12, 2, sigma_w=1.0)
    return net, params, nth.kernels(net, params, X, LEVEL, X_test=X_TEST)


@functools.cache
def terms_by_slow_training():
    """C_k at the times: K^(2) of training slowed by ε along the path, by differences in ε.

    The path is that of the truncation; the parameters obey ∂_t θ = −(ε/n) Σ r_γ(t) ∇f_γ(θ), by
    SciPy, and a polynomial of degree 12 through 13 Chebyshev points of ε gives the coefficients.
    """
    net, params, K = case()
    flat, shape = jax.flatten_util.ravel_pytree(params)
    path = nth.truncated_hierarchy(K, Y, jnp.linspace(0.0, 3.0, 301), rtol=1e-12)
    residual = np.asarray(path.predictions[:, :2] - Y)
    interpolated = functools.partial(_polygon, np.linspace(0.0, 3.0, 301), residual)
    gradient = jax.jit(jax.grad(lambda p, force: net(shape(p), X) @ force))
    kernel = jax.jit(lambda p: nth.kernels(net, shape(p), X, 2, X_test=X_TEST)[2])
    nodes = 0.4 * np.cos(np.pi * (np.arange(13) + 0.5) / 13)

    def at(epsilon):
        run = solve_ivp(
            lambda t, p: -epsilon / 2 * np.asarray(gradient(p, interpolated(t))),
            (0, 3), flat, "DOP853", rtol=1e-11, atol=1e-12, t_eval=TIMES,
        )  # fmt: skip
        return [kernel(p) for p in run.y.T]

    values = np.array([at(epsilon) for epsilon in nodes])
    powers = np.linalg.solve(np.vander(nodes, increasing=True), values.reshape(13, -1))
    return powers[: LEVEL - 1].reshape(LEVEL - 1, *values.shape[1:])


def _polygon(grid, values, t):
    return np.array([np.interp(t, grid, column) for column in values.T])


@pytest.mark.parametrize("form", ["words", "jet"])
def test_terms_are_taylor_coefficients_in_the_speed_of_training(form):
    net, params, K = case()
    if form == "words":
        solution = nth.truncated_hierarchy(K, Y, TIMES)
    else:
        solution = nth.truncated_flow(net, params, X, Y, TIMES, LEVEL, X_test=X_TEST)
    expected = terms_by_slow_training()
    sizes = np.abs(expected).max(axis=(2, 3)).T
    assert solution.terms.shape == (4, LEVEL - 1)
    # The path between its 301 points is a polygon.
    np.testing.assert_allclose(solution.terms, sizes, rtol=1e-4, atol=1e-7)
    assert (sizes[-1] > 1e-4).all()
    np.testing.assert_allclose(expected.sum(axis=0), solution.kernel, atol=1e-5)


def test_terms_have_the_axes_of_what_was_asked_for():
    net, params, K = case()
    labels = jnp.stack([Y, 2 * Y], axis=1)
    several = nth.truncated_hierarchy(K, labels, TIMES)
    assert several.terms.shape == (4, LEVEL - 1, 2)
    for i in range(2):
        one = nth.truncated_hierarchy(K, labels[:, i], TIMES)
        np.testing.assert_allclose(several.terms[..., i], one.terms, rtol=1e-6, atol=1e-9)
    side_by_side = nth.truncations(K, Y, TIMES, [3, LEVEL])
    assert side_by_side.terms.shape == (2, 4, LEVEL - 1)
    assert (side_by_side.terms[0, :, 2:] == 0).all()
    np.testing.assert_allclose(side_by_side.terms[1], several.terms[..., 0], rtol=1e-6, atol=1e-9)
    frozen = nth.truncated_hierarchy(K, labels, TIMES, 2)
    np.testing.assert_array_equal(frozen.terms, np.full((4, 1, 2), jnp.abs(K[2]).max()))
    assert nth.truncated_hierarchy(K, Y, TIMES, 3, method="tensors").terms is None
    assert nth.truncated_flow(net, params, X, Y, TIMES, 3, order=1).terms is None


def test_terms_end_where_the_solution_does():
    ones = {r: jnp.ones((1,) * r) for r in (1, 2, 3)}
    with pytest.warns(UserWarning, match="blows up"):
        found = nth.truncated_hierarchy(ones, jnp.zeros(1), jnp.array([0.0, 1.0, 6.0]))
    np.testing.assert_array_equal(np.isnan(found.terms), [[False] * 2] * 2 + [[True] * 2])


def test_the_reach_of_given_terms():
    """t_k = s t_0 R^{−k} with the share s = e^{−2} gives R back; so does either root alone."""
    k = np.arange(8)
    radius = np.array([0.5, 0.9, 3.0])
    terms = 7.0 * radius[:, None] ** -k * np.where(k, np.exp(-2.0), 1.0)
    np.testing.assert_allclose(nth.reach(jnp.asarray(terms)), radius, rtol=1e-13)
    smaller_first = jnp.asarray(terms).at[:, 6].multiply(2.0**6)
    np.testing.assert_allclose(nth.reach(smaller_first), radius / 2, rtol=1e-13)
    smaller_last = jnp.asarray(terms).at[:, 7].multiply(2.0**7)
    np.testing.assert_allclose(nth.reach(smaller_last), radius / 2, rtol=1e-13)
    labellings = jnp.stack([jnp.asarray(terms), jnp.asarray(terms) * 3], axis=-1)
    np.testing.assert_allclose(nth.reach(labellings), np.stack([radius] * 2, axis=1), rtol=1e-13)


def test_the_reach_where_terms_vanish_overflow_or_end():
    terms = np.array([
        [1.0, 0.0, 0.0, 0.0, 0.0],  # time zero
        [1.0, 0.0, 0.1, 0.0, np.exp(-2.0)],  # odd kernels of a doubled model
        [1e300, 1.0, 1.0, np.inf, 1e-300],
        [np.nan] * 5,
        [0.0] * 5,
    ])  # fmt: skip
    expected = [np.inf, 1.0, 0.0, np.nan, np.inf]
    np.testing.assert_allclose(nth.reach(jnp.asarray(terms)), expected)
    np.testing.assert_allclose(jax.jit(jax.vmap(nth.reach))(jnp.asarray(terms)[None])[0], expected)
    tiny = jnp.array([[1e-200, 0.0, 0.0, 1e200, 1e-250]])
    np.testing.assert_allclose(nth.reach(tiny), np.exp((-2 - 400 * np.log(10)) / 3), rtol=1e-12)
