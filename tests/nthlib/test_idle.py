"""A network of the first units of a draw against one whose arrays are cut off there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, relative_difference, unit_rows

import nthlib as nth
from nthlib.network import Parameters

X, X_TEST = unit_rows(3, 3), unit_rows(2, 3, seed=1)
Y, TIMES = jnp.array([1.0, -0.5, 2.0]), jnp.array([0.0, 0.5, 1.0])
ROOM, WIDTH = 9, 5
CASES = {
    "softplus-1": (1, jax.nn.softplus),  # not zero at zero
    "tanh-2": (2, jnp.tanh),
    "softplus-2": (2, jax.nn.softplus),
    "gelu-3": (3, jax.nn.gelu),
}


def case(name, width=WIDTH):
    """A wide network with its first units alone at work, and the narrow one cut out of it."""
    depth, activation = CASES[name]
    net, params = network(depth, ROOM, 3, activation)
    weights = [
        weight[:width, : None if layer == 0 else width]
        for layer, weight in enumerate(params.weights)
    ]
    narrow = nth.FullyConnected(
        3, width, depth, activation, sigma_w=net.sigma_w, sigma_a=net.sigma_a
    )
    cut = Parameters(tuple(weights), params.readout[:width])
    return net, nth.subnetwork(net, params, width), narrow, cut


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_kernels_are_those_of_the_narrow_network(name):
    net, params, narrow, cut = case(name)
    np.testing.assert_allclose(net(params, X), narrow(cut, X), rtol=1e-13, atol=1e-13)
    order = 5 if net.depth == 1 else 4
    found = nth.kernels(net, params, X, order, X_test=X_TEST)
    for r, kernel in nth.kernels(narrow, cut, X, order, X_test=X_TEST).items():
        assert relative_difference(found[r], kernel) <= 1e-12
    third = nth.kernels(net, params, X, 3, X_test=X_TEST)[3]  # by another way
    assert relative_difference(third, found[3]) <= 1e-12
    layers = nth.layer_kernels(net, params, X)
    assert relative_difference(layers, nth.layer_kernels(narrow, cut, X)) <= 1e-12


@pytest.mark.parametrize("name", ["softplus-1", "softplus-2"])
def test_derivatives_know_idle_units_too(name):
    net, params, narrow, cut = case(name)
    found = nth.kernels(net, params, X, 3, method="derivatives")
    for r, kernel in nth.kernels(narrow, cut, X, 3).items():
        assert relative_difference(found[r], kernel) <= 1e-12


@pytest.mark.parametrize("name", CASES)
def test_a_flow_moves_the_units_at_work_alone(name):
    net, params, narrow, cut = case(name)
    settings = {"X_test": X_TEST, "rtol": 1e-11}
    found = nth.gradient_flow(net, params, X, Y, TIMES, **settings)
    expected = nth.gradient_flow(narrow, cut, X, Y, TIMES, **settings)
    np.testing.assert_allclose(found.predictions, expected.predictions, atol=1e-9)
    np.testing.assert_allclose(found.kernels[2], expected.kernels[2], atol=1e-9)
    for weight, start, own in zip(
        (*found.params.weights, found.params.readout),
        (*params.weights, params.readout),
        (*expected.params.weights, expected.params.readout),
        strict=True,
    ):
        at_work = tuple(slice(size) for size in own.shape)
        np.testing.assert_allclose(weight[at_work], own, atol=1e-9)
        moved = np.array(weight - start)
        moved[at_work] = 0
        assert not moved.any()
    np.testing.assert_array_equal(found.params.gains, params.gains)


@pytest.mark.parametrize("name", ["softplus-1", "gelu-3"])
def test_descent_and_truncations_are_those_of_the_narrow_network(name):
    net, params, narrow, cut = case(name)
    found = nth.gradient_descent(net, params, X, Y, 0.2, [0, 5])
    expected = nth.gradient_descent(narrow, cut, X, Y, 0.2, [0, 5])
    np.testing.assert_allclose(found.predictions, expected.predictions, rtol=1e-12, atol=1e-12)
    for level in (2, 4):
        found = nth.truncated_flow(net, params, X, Y, TIMES, level, X_test=X_TEST, rtol=1e-11)
        expected = nth.truncated_flow(narrow, cut, X, Y, TIMES, level, X_test=X_TEST, rtol=1e-11)
        np.testing.assert_allclose(found.predictions, expected.predictions, atol=1e-9)
        np.testing.assert_allclose(found.kernel, expected.kernel, atol=1e-9)


def test_one_program_serves_all_widths():
    net, params = network(2, ROOM, 3)
    traces = []

    def kernel(width):
        traces.append(width)
        return nth.kernels(net, nth.subnetwork(net, params, width), X, 2)[2]

    program, widths = jax.jit(kernel), np.array([2, 5, ROOM])
    found = [program(width) for width in widths]
    assert len(traces) == 1
    together = jax.vmap(kernel)(jnp.asarray(widths, float))
    for width, one, other in zip(widths, found, together, strict=True):
        _, _, narrow, cut = case("tanh-2", int(width))
        expected = nth.kernels(narrow, cut, X, 2)[2]
        assert relative_difference(one, expected) <= 1e-12
        assert relative_difference(other, expected) <= 1e-12


def test_a_subnetwork_is_of_the_draw_and_not_of_another_subnetwork():
    net, params = network(2, ROOM, 3)
    again = nth.subnetwork(net, nth.subnetwork(net, params, 2), WIDTH)
    np.testing.assert_array_equal(again.gains, nth.subnetwork(net, params, WIDTH).gains)


def test_a_draw_has_no_gains_and_its_program_does_not_mention_them():
    net, params = network(1, ROOM, 3)
    assert len(jax.tree.leaves(params)) == len(jax.tree.leaves(net.init(jax.random.key(0)))) == 2
    plain, gained = (
        str(jax.make_jaxpr(net)(theta, X)) for theta in (params, nth.subnetwork(net, params, WIDTH))
    )
    assert "stop_gradient" not in plain
    assert plain.count(" mul ") < gained.count(" mul ")


@pytest.mark.bad_input
def test_bad_gains_and_traced_widths_are_refused():
    net, params = network(1, ROOM, 3)
    with pytest.raises(ValueError, match="params must have leaves of shapes"):
        nth.kernels(net, params._replace(gains=jnp.ones(2)), X, 2)
    with pytest.raises(ValueError, match="width must be a single number"):
        jax.jit(lambda width: nth.subnetwork(net, params, width))(jnp.array([2, 3]))
