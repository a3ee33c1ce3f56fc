"""Passes against derivatives in shifted preactivations; tangents against jvp of the passes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, unit_rows

from nthlib.finite.passes import states, tangents

ACTIVATIONS = {"tanh": jnp.tanh, "softplus": jax.nn.softplus}


def shifted(net, params, shifts, x):
    """f of one sample with shifts[ℓ] added to the preactivation of layer ℓ."""
    for weight, shift in zip(params.weights, shifts, strict=True):
        x = net.activation(weight @ x + shift) / net.width**0.5
    return x @ params.readout


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_adjoints_are_derivatives_in_the_preactivations(depth, activation):
    net, params = network(depth=depth, activation=ACTIVATIONS[activation])
    X = unit_rows(4, 3)
    zero = tuple(jnp.zeros(net.width) for _ in range(depth))
    expected = jax.jit(jax.vmap(lambda x: jax.grad(lambda s: shifted(net, params, s, x))(zero)))(X)
    found = jax.jit(states, static_argnums=0)(net, params, X).adjoints
    assert len(found) == depth
    for layer, reference in zip(found, expected, strict=True):
        # The same products in another order: a few roundings of numbers of order one.
        np.testing.assert_allclose(layer, reference, atol=1e-14)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_gradient_is_the_outer_product_of_adjoint_and_input(depth):
    net, params = network(depth=depth)
    X = unit_rows(4, 3)
    passes = jax.tree.map(np.asarray, jax.jit(states, static_argnums=0)(net, params, X))
    gradients = jax.jit(jax.jacrev(net))(params, X)
    for adjoint, layer_input, gradient in zip(
        passes.adjoints, passes.inputs, gradients.weights, strict=True
    ):
        outer = adjoint[:, :, None] * layer_input[:, None, :]
        np.testing.assert_allclose(outer, gradient, atol=1e-14)
    np.testing.assert_allclose(passes.output, gradients.readout, atol=1e-14)
    np.testing.assert_array_equal(passes.inputs[0], X)


def test_samples_do_not_mix():
    net, params = network(depth=2)
    X = unit_rows(5, 3)
    together = jax.tree.leaves(states(net, params, X))
    alone = jax.tree.leaves(states(net, params, X[3:4]))
    for many, one in zip(together, alone, strict=True):
        np.testing.assert_allclose(many[3:4], one, atol=1e-15)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_tangents_are_derivatives_of_the_states_along_the_fields(depth, activation):
    """Every tangent [α, γ] is the jvp of the state of α along ∇f_γ, for α and γ of two sets."""
    net, params = network(depth=depth, activation=ACTIVATIONS[activation], sigma_w=0.9)
    X, Z = unit_rows(3, 3), unit_rows(2, 3, seed=1)
    fields = jax.jit(jax.jacrev(net))(params, Z)

    @jax.jit
    @functools.partial(jax.vmap, out_axes=1)
    def pushed(field):
        return jax.jvp(lambda p: states(net, p, X), (params,), (field,))[1]

    @jax.jit
    def found(p):
        return tangents(net, p, states(net, p, X), states(net, p, Z))

    expected, moved = pushed(fields), found(params)
    assert not np.any(expected.inputs[0])  # the network's own input does not move
    pairs = {
        "preactivations": (moved.preactivations, expected.preactivations),
        "outputs": (moved.outputs, (*expected.inputs[1:], expected.output)),
        "backward": (moved.backward, expected.backward),
        "adjoints": (moved.adjoints, expected.adjoints),
    }
    for name, (ours, theirs) in pairs.items():
        assert len(ours) == depth, name
        for layer, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            # Two orders of the same few dozen products of order one.
            np.testing.assert_allclose(one, other, atol=1e-13, err_msg=f"{name} {layer + 1}")
