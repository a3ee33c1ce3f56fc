"""What ``kernels`` refuses: requests over the memory limit, models that are not models."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    network,
    relative_difference,
    unit_rows,
)

import nthlib as nth
from nthlib.finite.blocks import Blocks
from nthlib.finite.lie import lie_derivative_kernels
from nthlib.finite.room import planned
from nthlib.memory import check_memory

# Sums of at most a few hundred products of order one, in two orders.
EXACT = {"rtol": 1e-12, "atol": 1e-13}


def test_memory_is_refused_before_any_allocation():
    net, params = network(dim=1)
    X = jnp.ones((200_000, 1))  # K^(2) would hold 4e10 numbers, and so do two matrices a layer
    start = time.perf_counter()
    with pytest.raises(MemoryError, match=r"1\.7 TiB.*fewer samples"):
        nth.kernels(net, params, X, 2)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("method", ["auto", "closed", "derivatives"])
def test_order_five_of_200_samples_is_refused_at_once(method):
    """200^5 numbers of 8 bytes are 2.3 TiB, which nested derivatives hold twice."""
    net, params = network()
    needed = r"4\.\d" if method == "derivatives" else r"2\.\d"
    start = time.perf_counter()
    with pytest.raises(MemoryError, match=rf"needs about {needed} TiB, .* 1\.0 TiB; try"):
        nth.kernels(net, params, unit_rows(200, 3), 5, method=method, memory_limit=2**40)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("method", ["closed", "derivatives"])
def test_the_memory_limit_is_counted_in_bytes(method):
    net, params = network()
    X = unit_rows(10, 3)
    output = 8 * (10 + 100)
    with pytest.raises(MemoryError, match="over the memory_limit of"):
        nth.kernels(net, params, X, 2, method=method, memory_limit=output - 1)
    # The passes' states and the layers' matrices, two each and the readout's; or one field, held
    # twice, and tangents in the space of the parameters, a copy of the inputs, and for one pair
    # what a backward pass keeps: the input, and three numbers a unit, some of which newer
    # releases of JAX find again instead.
    pair = 4 * (7 * 3 + 7 * 7 + 7) + 2 * 10 * 3 + (3 + 3 * 7 * 2)
    layers = 4 * 10 * 7 * 2 + 5 * 10 * 10
    enough = output + 8 * layers if method == "closed" else 2 * output + 8 * pair
    too_little = enough - 1 if method == "closed" else enough - 8 * 7 * 2 - 1
    assert nth.kernels(net, params, X, 2, method=method, memory_limit=enough)[2].shape == (10, 10)
    with pytest.raises(MemoryError, match="over the memory_limit of"):
        nth.kernels(net, params, X, 2, method=method, memory_limit=too_little)


@pytest.mark.parametrize(
    ("n", "width", "depth", "order", "limit"),
    [
        (8, 64, 2, 3, None),
        (4, 128, 2, 4, None),
        (32, 32, 1, 3, None),
        (3, 16, 1, 5, None),
        (64, 64, 2, 2, 2_000_000),
        (24, 64, 2, 3, 2_000_000),
    ],
)
def test_the_estimated_memory_of_nested_derivatives_is_that_of_the_program(
    n, width, depth, order, limit
):
    """At most a tenth below what XLA plans, and at most four times of it."""
    net, params = network(depth, width, 3)
    X = unit_rows(n, 3)
    call = {"order": order, "method": "derivatives", "memory_limit": limit}
    program = jax.jit(lambda p, Z: nth.kernels(net, p, Z, **call))
    plan = program.lower(params, X).compile().memory_analysis()
    held = plan.temp_size_in_bytes + plan.output_size_in_bytes
    needed = planned(net, params, X, n, order, None, limit, closed=False)[1]
    assert needed <= (limit or needed)
    assert 0.9 < needed / held < 4


def test_what_does_not_fit_at_once_is_computed_in_blocks():
    """A general model, two outputs, test rows, block sizes that do not divide the samples."""
    draw = np.random.default_rng(0).normal
    params = {"in": jnp.asarray(draw(size=(3, 20))), "out": jnp.asarray(draw(size=(20, 2)))}
    X, X_test = unit_rows(5, 3), unit_rows(6, 3, seed=1)

    def model(p, Z):
        return jnp.tanh(Z @ p["in"]) @ p["out"]

    whole = nth.kernels(model, params, X, 3, X_test=X_test)
    jacobian = [
        np.asarray(leaf).reshape(22, -1)
        for leaf in jax.tree.leaves(jax.jacrev(model)(params, jnp.concatenate([X, X_test])))
    ]
    gram = sum(leaf @ leaf[:10].T for leaf in jacobian).reshape(11, 2, 5, 2)
    for order, limit in ((2, 12_000), (3, 60_000)):
        blocks, _ = planned(model, params, X, 11, order, 2, limit, closed=False)
        assert blocks.directions * blocks.rows < 10 * 11
        found = nth.kernels(model, params, X, order, X_test=X_test, memory_limit=limit)
        np.testing.assert_allclose(found[2], gram, **EXACT)
        for r, kernel in found.items():
            np.testing.assert_allclose(kernel, whole[r], **EXACT)
    everything = (model, params, X, 2, X_test)
    uneven = jax.jit(lambda: lie_derivative_kernels(*everything, Blocks(3, 4)))()[2]
    np.testing.assert_allclose(uneven.reshape(gram.shape), gram, **EXACT)


def test_single_precision_in_blocks_is_right_to_its_rounding():
    """The sum of a few hundred products in float32, 6e-8 each, against float64."""
    net, params = network(width=64)
    X = unit_rows(20, 3)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (params, X))
    expected = nth.kernels(net, *jax.tree.map(lambda leaf: leaf.astype(float), single), 2)[2]
    found = nth.kernels(net, *single, 2, method="derivatives", memory_limit=200_000)[2]
    assert relative_difference(found, expected) < 1e-6


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
@pytest.mark.parametrize("method", ["auto", "derivatives"])
def test_a_model_that_mixes_samples_is_refused(dtype, method):
    """The fields are gradients on single rows, so that its kernels would be wrong in silence."""
    params, X = jnp.asarray([1.0, -2.0, 0.5], dtype), unit_rows(3, 3).astype(dtype)

    def apart(p, Z):
        return jnp.tanh(Z @ p)

    def centred(p, Z):
        outputs = apart(p, Z)
        return outputs - outputs.mean()

    with pytest.raises(ValueError, match="model must compute each output from its own row"):
        nth.kernels(centred, params, X, 2, method=method)
    assert nth.kernels(apart, params, X, 2, method=method)[2].shape == (3, 3)
    # An output that cancels is rounding alone, and one row has nothing to mix with.
    cancelling = nth.kernels(lambda p, Z: apart(p, Z) - apart(3 * p / 3, Z), params, X, 2)
    assert np.isfinite(cancelling[2]).all()
    assert nth.kernels(centred, params, X[:1], 2)[2].shape == (1, 1)


def test_integer_parameters_are_named_by_their_type():
    with pytest.raises(TypeError, match="one is of type int32"):
        nth.kernels(lambda p, Z: Z @ p, np.ones(3, np.int32), unit_rows(3, 3), 2)


@pytest.mark.parametrize(
    ("needed", "shown"),
    [(1000, "1000 bytes"), (2048, "2.0 KiB"), (3 * 2**20, "3.0 MiB"), (5 * 2**50, "5120.0 TiB")],
)
def test_sizes_are_readable(needed, shown):
    with pytest.raises(MemoryError, match=rf"about {shown}, .* 1 bytes; try less"):
        check_memory(needed, 1, "less")
