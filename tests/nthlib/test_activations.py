"""Derivatives of activations, and what counts as elementwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from nthlib.activations import derivative, erf, relu, require_elementwise

GRID = jnp.linspace(-2.5, 2.5, 12).reshape(3, 4)
t = np.tanh(np.asarray(GRID))
x = np.asarray(GRID)

CLOSED = {
    "tanh": (jnp.tanh, [t, 1 - t**2, -2 * t * (1 - t**2), (6 * t**2 - 2) * (1 - t**2)]),
    "sin": (jnp.sin, [np.sin(x), np.cos(x), -np.sin(x), -np.cos(x)]),
    "cubic": (lambda z: z**3 - z, [x**3 - x, 3 * x**2 - 1, 6 * x, 6 + 0 * x]),
    "erf": (
        erf,
        [
            scipy.special.erf(x),
            2 / np.sqrt(np.pi) * np.exp(-(x**2)),
            -4 * x / np.sqrt(np.pi) * np.exp(-(x**2)),
            (8 * x**2 - 4) / np.sqrt(np.pi) * np.exp(-(x**2)),
        ],
    ),
}


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("name", CLOSED)
def test_derivative_equals_its_closed_form(name, order):
    activation, references = CLOSED[name]
    # Rounding of a few elementary operations on numbers below 20.
    np.testing.assert_allclose(derivative(activation, order)(GRID), references[order], atol=1e-13)


def test_derivative_defaults_to_the_slope_and_follows_the_dtype():
    single = GRID.astype(jnp.float32)
    slope = derivative(jnp.tanh)(single)
    assert slope.dtype == jnp.float32
    np.testing.assert_allclose(slope, 1 - t**2, atol=1e-6)  # a few units of float32's 6e-8


def test_relu_has_a_step_as_slope():
    np.testing.assert_array_equal(derivative(relu)(GRID), (x > 0).astype(float))
    np.testing.assert_array_equal(relu(GRID), np.maximum(x, 0))


@pytest.mark.parametrize("activation", [jnp.tanh, relu, erf, jax.nn.gelu, lambda z: z, jnp.abs])
def test_elementwise_functions_pass(activation):
    assert require_elementwise(activation) is None


def test_a_domain_that_excludes_the_probe_is_not_mistaken_for_mixing():
    require_elementwise(jnp.sqrt)  # NaN at negative numbers, alone and together


@pytest.mark.parametrize(
    ("activation", "error"),
    [
        ("tanh", TypeError),
        (None, TypeError),
        (lambda z: None, (TypeError, ValueError)),
        (lambda z, w: z, TypeError),
        (lambda z: z - z.mean(), ValueError),
        (lambda z: jnp.sort(-z) if z.ndim else -z, ValueError),
        (lambda z: jnp.cumsum(z, 0) if z.ndim else z, ValueError),
        (lambda z: z.sum(), ValueError),
        (lambda z: jnp.stack([z, z]), ValueError),
        (lambda z: jnp.ones(3), ValueError),
    ],
)
def test_what_is_not_elementwise_is_refused(activation, error):
    with pytest.raises(error, match="activation must"):
        require_elementwise(activation)


def test_softmax_is_refused_by_name_of_the_argument():
    with pytest.raises((TypeError, ValueError), match="activation must"):
        require_elementwise(jax.nn.softmax)


def test_the_check_runs_while_jax_traces():
    """Inside jit the probe must be computed, not staged."""

    @jax.jit
    def inside(z):
        require_elementwise(lambda v: v * 3)
        with pytest.raises(ValueError, match="depend on each other"):
            require_elementwise(lambda v: v - v.mean())
        return z

    assert inside(1.0) == 1.0
