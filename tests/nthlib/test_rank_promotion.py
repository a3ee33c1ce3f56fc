"""JAX's strictest setting for shapes: arrays of different ranks never meet without an axis.

Each public function runs under it on its good call, and on calls that reach other code behind
the same door: higher orders, quadrature, several outputs and labellings, minibatches.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from good_calls import GOOD, KEY, X
from helpers import network, unit_rows

import nthlib as nth

X_TEST = unit_rows(2, 3, seed=1)
SHALLOW = nth.FullyConnected(2, 4, 1)
OUTPUTS = jnp.ones((3, 2)) / 2
LARGER = {1: jnp.ones(5), 2: jnp.eye(5, 3), 3: jnp.ones((5, 3, 3)), 4: jnp.ones((5, 3, 3, 3))}
# Strict itself, with a bias: what breaks is the library's.
WEIGHTS = {"w": jnp.ones((3, 2)) / 3, "b": jnp.zeros(2)}


def two_outputs(params, Z):
    return jnp.tanh(Z @ params["w"] + params["b"][None])


def one_output(params, Z):
    return two_outputs(params, Z).sum(1)


TRAINING = GOOD[nth.gradient_flow]
OWN = {"params": WEIGHTS, "X_test": X_TEST}
FURTHER = [
    *[(nth.kernels, {"order": order, "X_test": X_TEST}) for order in (3, 4, 5)],
    (nth.kernels, {"order": 3, "X_test": X_TEST, "method": "derivatives"}),
    (nth.kernels, {"model": two_outputs, "order": 3, **OWN}),
    *[
        (nth.ntk, {"model": two_outputs, "params": WEIGHTS, "outputs": outputs, "block": 2})
        for outputs in ("full", "trace", "diagonal")
    ],
    (nth.limit_kernel, {"net": nth.FullyConnected(3, 4, 2, nth.erf)}),
    (nth.limit_kernel, {"net": nth.FullyConnected(3, 4, 2, nth.relu)}),
    (nth.limit_kernel, {"net": SHALLOW, "X": unit_rows(2, 2), "order": 4}),
    (nth.gradient_flow, {"order": 3, "X_test": X_TEST}),
    (nth.gradient_flow, {"model": two_outputs, "y": OUTPUTS, "loss": "softmax", **OWN}),
    (nth.gradient_flow, {"model": one_output, "loss": "logistic", **OWN}),
    (nth.gradient_descent, {"batch": 2, "key": KEY, "X_test": X_TEST}),
    (nth.gradient_descent, {"model": two_outputs, "y": OUTPUTS, **OWN}),
    *[
        (nth.truncated_hierarchy, {"K": LARGER, "level": level, **options})
        for level, options in (
            (2, {"y": OUTPUTS}),
            (3, {"y": OUTPUTS, "indicator": True}),
            (3, {"method": "tensors", "loss": "logistic"}),
            (2, {"solver": "implicit", "loss": lambda f, y: (f - y) ** 4}),
        )
    ],
    (nth.truncated_flow, {"level": 2, "indicator": True, "X_test": X_TEST}),
    (nth.truncated_flow, {"model": one_output, "level": 4, **OWN}),
    (nth.truncated_flow, {"model": two_outputs, "y": OUTPUTS, "loss": "softmax", **OWN}),
    (nth.draws, {"batch_size": 1}),
    (nth.sphere, {"smallest_singular_value": 0.5}),
    (nth.digits, {"n": 5, "key": KEY}),
    (nth.check_inputs, {"order": 2}),
]
CALLS = [(function, {}) for function in GOOD] + FURTHER
NAMES = [f"{function.__name__}-{'-'.join(further)}" for function, further in CALLS]


@pytest.mark.filterwarnings("ignore:the truncated kernel is no longer:UserWarning")
@pytest.mark.parametrize(("function", "further"), CALLS, ids=NAMES)
def test_arrays_of_two_ranks_never_meet(function, further):
    with jax.numpy_rank_promotion("raise"):
        function(**GOOD[function] | further)


def test_the_setting_is_one_that_can_fail():
    with jax.numpy_rank_promotion("raise"), pytest.raises(ValueError, match="rank"):
        nth.kernels(lambda w, Z: Z @ w + jnp.zeros((1, 3)).sum(0), jnp.ones((3, 3)), X, order=2)


def test_the_setting_changes_no_number():
    net, params = network(depth=2, width=5)
    with jax.numpy_rank_promotion("raise"):
        strict = nth.kernels(net, params, X, order=3, X_test=X_TEST)
    plain = nth.kernels(net, params, X, order=3, X_test=X_TEST)
    for order, kernel in strict.items():
        np.testing.assert_array_equal(kernel, plain[order])
