"""What every public function does where the memory is short: less at a time, or one sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, other_model, unit_rows

import nthlib as nth
from nthlib.infinite.higher import one_layer_expectation

TIMES, Y = jnp.array([0.0, 0.5]), jnp.linspace(-1.0, 1.0, 8)


RUNS = {
    "flow": lambda model, params, X: nth.gradient_flow(model, params, X, Y, TIMES).kernels[2],
    "descent": lambda model, params, X: nth.gradient_descent(
        model, params, X, Y, 0.1, [0, 5]
    ).kernels[2],
    "truncated": lambda model, params, X: nth.truncated_flow(model, params, X, Y, TIMES, 3).kernel,
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_takes_the_blocks_of_its_kernels_from_the_machine(name, machine):
    """The same kernels on the way, and a refusal where the blocks of one do not fit either."""
    model, params, X = other_model("biases", n=8)
    program = jax.jit(lambda p: RUNS[name](model, p, X))
    whole = program(params)
    machine(2 * (20_000 if name == "truncated" else 12_000))
    blocked = jax.jit(lambda p: RUNS[name](model, p, X))
    scans = [str(jax.make_jaxpr(f)(params)).count("scan[") for f in (program, blocked)]
    assert scans[0] < scans[1]
    np.testing.assert_allclose(blocked(params), whole, rtol=1e-11, atol=1e-12)
    machine(2 * 5_000)
    with pytest.raises(MemoryError, match=r"this needs about .* over the memory_limit of 4.9 KiB"):
        RUNS[name](model, params, X)


def _hierarchy(**options):
    K = {1: jnp.zeros(8), 2: jnp.eye(8), 3: jnp.zeros((8, 8, 8))}
    return nth.truncated_hierarchy(K, Y, TIMES, **options)


def _spread(width, key):
    return {"mean": jax.random.normal(key, (width, 1000)).mean()}


net, PARAMS = network()
X = unit_rows(8, 3)
KEY = jax.random.key(0)
REFUSED = {
    "layer_kernels": lambda: nth.layer_kernels(net, PARAMS, X),
    "ntk": lambda: nth.ntk(net, PARAMS, X),
    "ntk_operator": lambda: nth.ntk_operator(net, PARAMS, X),
    "predictions": lambda: nth.kernels(net, PARAMS, X, 1, method="derivatives"),
    "closed flow": lambda: nth.gradient_flow(net, PARAMS, X, Y, TIMES),
    "frozen": lambda: _hierarchy(level=2),
    "signature": lambda: _hierarchy(),
    "tensors": lambda: _hierarchy(method="tensors"),
    "implicit": lambda: _hierarchy(solver="implicit"),
    "limit_kernel": lambda: nth.limit_kernel(net, X),
    "limit_kernel of order 4": lambda: nth.limit_kernel(network(depth=1)[0], X, 4),
    "limit_kernel of order 6": lambda: nth.limit_kernel(nth.FullyConnected(3, 1, 1), X, 6),
    "width_expansion": lambda: nth.width_expansion(net, X),
    "limit_kernel_estimate": lambda: nth.limit_kernel_estimate(KEY, net, X, 2, width=4, draws=2),
    "draws": lambda: nth.draws(_spread, widths=[8], seeds=4),
    "sphere": lambda: nth.sphere(KEY, 8, 8),
    "teacher_labels": lambda: nth.teacher_labels(KEY, net, X),
    "check_inputs": lambda: nth.check_inputs(X, 2),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_fit_is_refused_in_one_sentence(name, machine):
    machine(2 * 256 + 1)
    with pytest.raises(MemoryError, match=r"^this needs about .* memory_limit of 256 bytes; try"):
        REFUSED[name]()


def test_the_quadrature_holds_fewer_nodes_where_one_takes_more(monkeypatch):
    one_layer, points = nth.FullyConnected(2, 1, 1), unit_rows(2, 2)
    whole = one_layer_expectation(one_layer, points, 4)
    jax.clear_caches()
    monkeypatch.setattr("nthlib.infinite.higher._NUMBERS_AT_ONCE", 4000)
    # The same sums in another order.
    fewer = one_layer_expectation(one_layer, points, 4)
    np.testing.assert_allclose(fewer, whole, rtol=1e-12, atol=1e-14)


def test_pairs_of_inputs_are_all_looked_at():
    report = nth.check_inputs(jnp.eye(5).at[4].set(jnp.array([0.0, 1.0, 0.0, 0.0, 1e-3])), 1)
    assert report.subsets[2] == (1, 4)
