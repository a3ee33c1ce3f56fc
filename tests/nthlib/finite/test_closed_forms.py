"""The kernels from passes against Grams of Jacobians, leaf by leaf."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import jacobian_gram, network, unit_rows

from nthlib.finite import closed_forms
from nthlib.finite.closed_forms import closed_kernels, layer_kernel_matrices
from nthlib.finite.lie import lie_derivative_kernels
from nthlib.finite.passes import states

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
    K = jax.jit(closed_kernels, static_argnums=(0, 3))(net, params, X, 2, X_test)
    assert list(K) == [1, 2]
    np.testing.assert_allclose(K[1], net(params, everything), **EXACT)
    np.testing.assert_allclose(K[2], jacobian_gram(net, params, everything, X), **EXACT)


def array_sizes(jaxpr):
    """Sizes of all results in a program, loop bodies and inner calls included."""
    for equation in jaxpr.eqns:
        yield from (result.aval.size for result in equation.outvars)
        for value in equation.params.values():
            if hasattr(value, "eqns"):
                yield from array_sizes(value)
            elif hasattr(value, "jaxpr"):
                yield from array_sizes(value.jaxpr)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_no_jacobian_is_formed(order):
    """The largest array stays far below n m², the size of a Jacobian."""
    n, width = 4, 128
    net, params = network(depth=2, width=width)
    X, X_test = unit_rows(n, 3), unit_rows(2, 3, seed=1)
    program = jax.make_jaxpr(lambda p: closed_kernels(net, p, X, order, X_test))(params)
    # A transposed weight, never n of them; the tangents have n² m = m² / 8 entries a layer.
    assert max(array_sizes(program.jaxpr)) <= width**2


@pytest.mark.parametrize("n_test", [0, 2])
def test_third_order_does_not_depend_on_the_chunks(monkeypatch, n_test):
    """Samples are taken some at a time: one, two with a remainder, or all at once."""
    net, params = network(depth=2, width=4)
    X = unit_rows(3, 3)
    X_test = unit_rows(n_test, 3, seed=1) if n_test else None
    expected = jax.jit(lambda p: lie_derivative_kernels(net, p, X, 3, X_test))(params)[3]
    for rows in (1, 6, 100):
        monkeypatch.setattr(closed_forms, "ROWS_AT_ONCE", rows)
        found = jax.jit(lambda p: closed_kernels(net, p, X, 3, X_test))(params)[3]
        np.testing.assert_allclose(found, expected, **EXACT)


@pytest.mark.parametrize("blocks", [1, 2])
def test_fourth_order_does_not_depend_on_the_blocks(monkeypatch, blocks):
    """The Gram matrix of pairs in one block and in uneven ones; elsewhere a block is one sample."""
    net, params = network(depth=2, width=4)
    X = unit_rows(3, 3)
    monkeypatch.setattr(closed_forms, "_GRAM_BLOCKS", blocks)
    found = jax.jit(lambda p: closed_kernels(net, p, X, 4))(params)
    expected = fourth_order_by_derivatives()
    for order in (3, 4):
        np.testing.assert_allclose(found[order], expected[order], **EXACT)


@functools.cache
def fourth_order_by_derivatives():
    net, params = network(depth=2, width=4)
    return jax.jit(lambda p: lie_derivative_kernels(net, p, unit_rows(3, 3), 4))(params)
