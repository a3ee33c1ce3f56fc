"""``kernels`` in single precision, under jit, vmap and grad, and compiled once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    jacobian_gram,
    network,
    relative_difference,
    unit_rows,
)

import nthlib as nth

# Sums of at most a few hundred products of order one, in two orders.
EXACT = {"rtol": 1e-12, "atol": 1e-13}


@pytest.mark.parametrize("method", ["closed", "derivatives"])
def test_float32_stays_float32(method):
    net, params = network()
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    X = unit_rows(3, 3)
    K = nth.kernels(net, single, X.astype(jnp.float32), 2, method=method)
    assert {k.dtype for k in K.values()} == {jnp.dtype(jnp.float32)}
    # Single precision rounds at 6e-8; a few dozen operations on numbers of order one.
    np.testing.assert_allclose(K[2], jacobian_gram(net, params, X), atol=2e-5)
    assert nth.layer_kernels(net, single, X.astype(jnp.float32)).dtype == jnp.float32


def test_float32_stays_float32_at_higher_orders():
    net, params = network(depth=2, width=16)
    X, X_test = unit_rows(3, 3), unit_rows(1, 3, seed=1)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (params, X, X_test))
    found = nth.kernels(net, *single[:2], 4, X_test=single[2])
    expected = nth.kernels(net, params, X, 4, X_test=X_test)
    assert {r: k.dtype for r, k in found.items()} == dict.fromkeys(range(1, 5), jnp.float32)
    for order in (3, 4):
        # Sums of products that round at 6e-8 and cancel by two digits at most.
        assert relative_difference(found[order], expected[order]) <= 1e-4


def test_higher_orders_under_jit_and_vmap():
    """Compiled and over a stack of parameters: the same as one call after the other."""
    net, _ = network(depth=2, width=3, dim=2)
    draws = [network(depth=2, width=3, dim=2, seed=seed)[1] for seed in range(3)]
    X, X_test = unit_rows(2, 2), unit_rows(1, 2, seed=1)
    one_by_one = [nth.kernels(net, draw, X, 4, X_test=X_test) for draw in draws]

    @jax.jit
    @jax.vmap
    def many(p):
        return nth.kernels(net, p, X, 4, X_test=X_test)

    together = many(jax.tree.map(lambda *leaves: jnp.stack(leaves), *draws))
    compiled = jax.jit(lambda p, Z: nth.kernels(net, p, Z, 4, X_test=X_test))(draws[0], X)
    for order in (3, 4):
        assert relative_difference(compiled[order], one_by_one[0][order]) <= 1e-12
        for row, one in zip(together[order], one_by_one, strict=True):
            assert relative_difference(row, one[order]) <= 1e-12


@pytest.mark.parametrize("method", ["closed", "derivatives"])
def test_jit_vmap_and_grad(method):
    net, params = network(width=4)
    X = unit_rows(3, 3)

    def kernel(p, Z=X):
        return nth.kernels(net, p, Z, 2, method=method)[2]

    expected = jacobian_gram(net, params, X)
    np.testing.assert_allclose(jax.jit(kernel)(params, X), expected, **EXACT)
    # Constants closed over: their checks on values must not be staged.
    np.testing.assert_allclose(jax.jit(kernel)(params), expected, **EXACT)
    np.testing.assert_allclose(jax.jit(lambda Z: kernel(params, Z))(X), expected, **EXACT)

    draws = [network(width=4, seed=seed)[1] for seed in range(3)]
    many = jax.vmap(kernel)(jax.tree.map(lambda *leaves: jnp.stack(leaves), *draws))
    for draw, one in zip(draws, np.asarray(many), strict=True):
        np.testing.assert_allclose(one, jacobian_gram(net, draw, X), **EXACT)

    def gram(p):
        jacobians = jax.tree.leaves(jax.jacrev(net)(p, X))
        return sum((leaf[0] * leaf[1]).sum() for leaf in jacobians)

    found = jax.jit(jax.grad(lambda p: kernel(p)[0, 1]))(params)
    reference = jax.jit(jax.grad(gram))(params)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(reference), strict=True):
        np.testing.assert_allclose(a, b, **EXACT)


def test_the_gradient_of_k2_contracts_to_k3():
    """∇K^(2)(α, β)·∇f_γ through the closed form equals the derivative route at order three."""
    net, params = network(depth=2, width=4)
    X = unit_rows(2, 3)
    slopes = jax.jit(jax.jacrev(lambda p: nth.kernels(net, p, X, 2, method="closed")[2]))(params)
    fields = jax.jit(jax.jacrev(net))(params, X)
    contracted = sum(
        np.asarray(s).reshape(2, 2, -1) @ np.asarray(f).reshape(2, -1).T
        for s, f in zip(jax.tree.leaves(slopes), jax.tree.leaves(fields), strict=True)
    )
    np.testing.assert_allclose(contracted, nth.kernels(net, params, X, 3)[3], **EXACT)
