"""Kernels of any model against exact algebra and against recursions of reverse gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import gradient_recursion, network, other_model, unit_rows

from nthlib.finite.lie import lie_derivative_kernels

nested = jax.jit(lie_derivative_kernels, static_argnums=(0, 3))


def test_a_linear_model_has_a_constant_kernel():
    """f = θ·x: K^(2) = X Xᵀ and every higher kernel vanishes."""
    X, X_test = unit_rows(3, 4), unit_rows(2, 4, seed=1)
    K = nested(lambda p, Z: Z @ p, jnp.ones(4), X, 4, X_test)
    everything = np.concatenate([X, X_test])
    np.testing.assert_allclose(K[2], everything @ X.T, atol=1e-15)
    assert K[3].shape == (5, 3, 3)
    assert K[4].shape == (5, 3, 3, 3)
    assert not K[3].any()
    assert not K[4].any()


def test_a_quadratic_model_gives_matrix_products():
    """f_α = ½ θᵀA_αθ has fields V_α = A_αθ, so that each K^(r) is θᵀM θ with M built by products.

    K^(2): A_α A_β. If K^(r) = θᵀMθ then K^(r+1) = θᵀ (M + Mᵀ) A_γ θ.
    """
    rng = np.random.default_rng(0)
    A = rng.normal(size=(2, 3, 3))
    A = A + A.transpose(0, 2, 1)
    theta = rng.normal(size=3)

    def model(p, X):
        return 0.5 * jnp.einsum("i,aij,j->a", p, X, p)

    matrices = {(a, b): A[a] @ A[b] for a in range(2) for b in range(2)}
    K = nested(model, jnp.asarray(theta), jnp.asarray(A), 5)
    for order in range(2, 6):
        for index, matrix in matrices.items():
            # Entries reach 1e4 at order 5; relative rounding of five matrix products.
            np.testing.assert_allclose(K[order][index], theta @ matrix @ theta, rtol=1e-11)
        matrices = {
            (*index, c): (matrix + matrix.T) @ A[c]
            for index, matrix in matrices.items()
            for c in range(2)
        }


@pytest.mark.parametrize("order", [3, 4])
def test_one_hidden_layer_is_a_sum_over_units(order):
    """K^(r) = m^(−r/2) Σ_i κ^(r)(a_i, w_i), the recursion of a single unit."""
    net, params = network(depth=1, width=5)
    X = unit_rows(2, 3)

    def unit(p, Z):
        return p[0] * jnp.tanh(Z @ p[1:])

    units = jnp.column_stack([params.readout, params.weights[0]])
    per_unit = jax.vmap(lambda one: gradient_recursion(unit, one, X, order))(units)
    expected = np.asarray(per_unit).sum(axis=0) / 5 ** (order / 2)
    K = nested(net, params, X, order)
    np.testing.assert_allclose(K[order], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["biases", "unhashable"])
def test_any_model_agrees_with_the_gradient_recursion(name):
    model, params, X = other_model(name)
    X, X_test = X[:2], X[2:]
    K = jax.jit(lambda *arrays: lie_derivative_kernels(model, *arrays[:2], 3, arrays[2]))(
        params, X, X_test
    )
    expected = gradient_recursion(model, params, X, 3, X_test)
    # Forward against reverse derivatives: nothing but rounding differs.
    np.testing.assert_allclose(K[3], expected, rtol=1e-11, atol=1e-12)


def test_only_the_first_two_arguments_commute():
    net, params = network(depth=2)
    K3 = np.asarray(nested(net, params, unit_rows(3, 3), 3)[3])
    np.testing.assert_allclose(K3, K3.transpose(1, 0, 2), atol=1e-14)
    assert np.abs(K3 - K3.transpose(0, 2, 1)).max() > 1e-3
