"""The kernels from passes against Grams of Jacobians, leaf by leaf."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import jacobian_gram, network, unit_rows

from nthlib.closed_forms import layer_kernel_matrices, tangent_kernel
from nthlib.tangents import states

# Grams of at most 100 products of order one: rounding near 1e-15.
EXACT = {"rtol": 1e-12, "atol": 1e-13}


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_layer_kernels_are_grams_of_one_leaf(depth):
    net, params = network(depth=depth, sigma_w=0.7, sigma_a=1.9)
    rows, columns = unit_rows(4, 3), unit_rows(2, 3, seed=1)

    @jax.jit
    def matrices(p):
        return layer_kernel_matrices(states(net, p, rows), states(net, p, columns))

    jacobians = jax.jit(jax.jacrev(net))(params, jnp.concatenate([rows, columns]))
    found, leaves = matrices(params), jax.tree.leaves(jacobians)
    assert len(found) == depth + 1
    for matrix, leaf in zip(found, leaves, strict=True):
        flat = np.asarray(leaf).reshape(6, -1)
        np.testing.assert_allclose(matrix, flat[:4] @ flat[4:].T, **EXACT)


@pytest.mark.parametrize("depth", [1, 3])
def test_tangent_kernel_has_test_rows_after_training_rows(depth):
    net, params = network(depth=depth, activation=jax.nn.gelu)
    X, X_test = unit_rows(3, 3), unit_rows(2, 3, seed=1)
    everything = jnp.concatenate([X, X_test])
    predictions, kernel = jax.jit(tangent_kernel, static_argnums=0)(net, params, X, X_test)
    np.testing.assert_allclose(predictions, net(params, everything), **EXACT)
    np.testing.assert_allclose(kernel, jacobian_gram(net, params, everything, X), **EXACT)


def test_no_jacobian_is_formed():
    """The compiled kernel's largest array stays far below n m², the size of a Jacobian."""
    n, width = 4, 64
    net, params = network(depth=2, width=width)
    jaxpr = jax.make_jaxpr(lambda p, X: tangent_kernel(net, p, X))(params, unit_rows(n, 3))
    sizes = [v.aval.size for equation in jaxpr.jaxpr.eqns for v in equation.outvars]
    assert max(sizes) <= width**2  # a transposed weight, never n of them
