"""The network's value, its initialisation and its identity."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, unit_rows

import nthlib as nth
from nthlib.network import Parameters

DEPTHS = [1, 2, 3]


@pytest.mark.parametrize("depth", DEPTHS)
def test_prediction_equals_loops_over_units(depth):
    net, params = network(depth=depth, width=5)
    X = np.asarray(unit_rows(3, 3))
    expected = []
    for sample in X:
        state = list(sample)
        for weight in map(np.asarray, params.weights):
            state = [
                np.tanh(sum(weight[i, j] * state[j] for j in range(len(state)))) / np.sqrt(5)
                for i in range(5)
            ]
        expected.append(sum(np.asarray(params.readout)[i] * state[i] for i in range(5)))
    # About 50 additions of numbers of order one.
    np.testing.assert_allclose(net(params, jnp.asarray(X)), expected, atol=1e-14)


@pytest.mark.parametrize("depth", DEPTHS)
def test_init_has_the_papers_shapes(depth):
    net = nth.FullyConnected(dim=2, width=5, depth=depth)
    params = net.init(jax.random.key(0))
    assert isinstance(params, Parameters)
    assert len(jax.tree.leaves(params)) == depth + 1
    assert [w.shape for w in params.weights] == [(5, 2)] + [(5, 5)] * (depth - 1)
    assert params.readout.shape == (5,)
    net.check_params(params)


def test_init_draws_the_stated_variances():
    net = nth.FullyConnected(dim=60, width=100, depth=2, sigma_w=1.7, sigma_a=0.4)
    params = net.init(jax.random.key(3))
    keys = jax.random.split(jax.random.key(4), 40)
    readouts = jax.vmap(lambda key: net.init(key).readout)(keys)
    for leaf, sigma in [*((w, 1.7) for w in params.weights), (readouts, 0.4)]:
        count = leaf.size  # at least 4,000 draws; |z| < 4 fails once in 16,000 seeds
        assert abs(leaf.mean()) < 4 * sigma / np.sqrt(count)
        assert abs((leaf**2).mean() / sigma**2 - 1) < 4 * np.sqrt(2 / count)


def test_init_draws_layers_and_keys_independently():
    net = nth.FullyConnected(dim=40, width=40, depth=3)
    params = net.init(jax.random.key(0))
    other = net.init(jax.random.key(1))
    draws = [*params.weights, *other.weights]
    for i, left in enumerate(draws):
        for right in draws[:i]:
            # A correlation of 1,600 independent pairs has standard deviation 1/40.
            assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 4.5 / 40
    again = net.init(jax.random.key(0))
    assert jax.tree.all(jax.tree.map(np.array_equal, params, again))


@pytest.mark.parametrize("width", [32, 256])
def test_every_layer_and_the_output_are_of_order_one(width):
    net = nth.FullyConnected(dim=4, width=width, depth=2)
    X = unit_rows(1, 4)
    keys = jax.random.split(jax.random.key(0), 64)
    outputs = jax.jit(jax.vmap(lambda key: net(net.init(key), X)[0]))(keys)
    assert 0.2 < float(outputs.std()) < 1.0  # E f² = E‖x^(H)‖² lies near 0.2 at both widths


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_dtype_is_kept(dtype):
    net = nth.FullyConnected(3, 4, 2)
    params = net.init(jax.random.key(0), dtype)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(dtype)}
    assert net(params, unit_rows(2, 3).astype(dtype)).dtype == dtype


def test_equal_networks_hash_alike():
    plain = nth.FullyConnected(3, 4, 2, sigma_w=2)
    numpy_sizes = nth.FullyConnected(np.int64(3), np.int32(4), np.int64(2), sigma_w=np.float64(2.0))
    assert plain == numpy_sizes
    assert hash(plain) == hash(numpy_sizes)
    assert type(numpy_sizes.width) is int
    assert plain != nth.FullyConnected(3, 4, 2)


def test_a_network_is_frozen():
    net = nth.FullyConnected(3, 4, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.width = 5


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: Parameters(p.weights, p.readout[:-1]),
        lambda p: Parameters(p.weights[:1], p.readout),
        lambda p: Parameters(p.weights[::-1], p.readout),
        lambda p: Parameters((p.weights[0].T, p.weights[1]), p.readout),
        lambda p: (p.weights, p.readout),
        lambda p: {"weights": p.weights},
    ],
)
def test_check_params_refuses_other_shapes(spoil):
    net, params = network(depth=2)
    with pytest.raises(ValueError, match="params must have leaves of shapes"):
        net.check_params(spoil(params))
