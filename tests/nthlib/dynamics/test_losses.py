"""Derivatives of the losses against finite differences, and clear refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, unit_rows
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

import nthlib as nth
from nthlib.dynamics.losses import driving_residual

PREDICTIONS = np.array([-3.0, -0.2, 0.0, 1.5, 40.0])


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        ("square", lambda f, y: (f - y) ** 2 / 2),
        ("logistic", lambda f, y: np.log1p(np.exp(-y * f))),
        (lambda f, y: jnp.cosh(f / 9 - y), lambda f, y: np.cosh(f / 9 - y)),
    ],
    ids=["square", "logistic", "own"],
)
@pytest.mark.parametrize("label", [-1.0, 1.0])
def test_residuals_are_slopes(loss, value, label):
    slope = driving_residual(loss)(jnp.asarray(PREDICTIONS), jnp.full(5, label))
    h = 1e-5
    expected = (value(PREDICTIONS + h, label) - value(PREDICTIONS - h, label)) / (2 * h)
    # Truncation h² and cancellation of numbers up to 1e3 at 1e-16/h.
    np.testing.assert_allclose(slope, expected, rtol=1e-7, atol=1e-7)


def test_the_logistic_slope_is_finite_far_out():
    slope = driving_residual("logistic")(jnp.array([-1e4, 1e4]), jnp.ones(2))
    np.testing.assert_array_equal(slope, [-1.0, 0.0])


def test_gradient_flow_on_the_logistic_loss_agrees_with_scipy():
    net, params = network(1, 5, 3)
    X, y = unit_rows(3, 3), np.array([1.0, -1.0, 1.0])
    theta, unravel = ravel_pytree(params)
    gradient = jax.jit(jax.grad(lambda t: jnp.mean(jnp.log1p(jnp.exp(-y * net(unravel(t), X))))))
    run = solve_ivp(
        lambda t, state: -np.asarray(gradient(state)), (0, 3.0), np.asarray(theta), "DOP853",
        rtol=1e-10, atol=1e-12, t_eval=[1.0, 3.0],
    )  # fmt: skip
    flow = nth.gradient_flow(net, params, X, jnp.asarray(y), jnp.array([1.0, 3.0]), loss="logistic")
    for row in range(2):
        expected = net(unravel(jnp.asarray(run.y[:, row])), X)
        np.testing.assert_allclose(flow.predictions[row], expected, atol=1e-7)
