"""Good arguments for every public function."""

import jax
import jax.numpy as jnp
import numpy as np
from helpers import network, unit_rows

import nthlib as nth

NET, PARAMS = network(depth=2, width=4)
FLAT, FLAT_PARAMS = network(depth=1, width=4)
X = unit_rows(3, 3)
Y = jnp.ones(3)
TIMES = jnp.array([0.0, 1.0])
KEY = jax.random.key(0)
K = {1: jnp.ones(3), 2: jnp.eye(3)}
# Of a network that does not exist, so that none has to be computed.
EXPANSION = nth.WidthExpansion(
    output=jnp.eye(3),
    kernel=nth.limit_kernel(NET, X),
    **dict.fromkeys(("output_correction", "kernel_correction"), jnp.zeros((3, 3))),
    **dict.fromkeys(
        ("output_cumulant", "output_kernel", "kernel_covariance", "output_third", "fourth_kernel"),
        jnp.zeros((3, 3, 3, 3)),
    ),
    error={},
)
NAN, INF = jnp.full((3, 3), jnp.nan), jnp.full((3, 3), jnp.inf)


def model(params, Z):
    return Z @ params


def measure(width, key):
    return {"a": jax.random.normal(key)}


def cell(case):
    return case


GOOD = {
    nth.FullyConnected: {"dim": 3, "width": 4, "depth": 2},
    nth.subnetwork: {"net": NET, "params": PARAMS, "width": 2},
    nth.kernels: {"model": NET, "params": PARAMS, "X": X, "order": 2},
    nth.ntk: {"model": NET, "params": PARAMS, "X1": X, "X2": X[:2]},
    nth.ntk_operator: {"model": NET, "params": PARAMS, "X": X},
    nth.antisymmetric: {"model": NET, "params": PARAMS},
    nth.layer_kernels: {"net": NET, "params": PARAMS, "X": X},
    nth.limit_kernel: {"net": NET, "X": X},
    nth.limit_kernel_estimate: {
        "net": NET,
        "X": X,
        "order": 2,
        "key": KEY,
        "width": 2,
        "draws": 2,
    },
    nth.width_expansion: {"net": NET, "X": X[:2], "tolerance": 1e-2},
    nth.gradient_flow: {"model": NET, "params": PARAMS, "X": X, "y": Y, "times": TIMES},
    nth.gradient_descent: {
        "model": NET,
        "params": PARAMS,
        "X": X,
        "y": Y,
        "step": 0.1,
        "steps": 2,
    },
    nth.taylorised_flow: {
        "model": NET,
        "params": PARAMS,
        "X": X,
        "y": Y,
        "times": TIMES,
        "degree": 2,
    },
    nth.predict_ensemble: {"net": NET, "X": X, "y": Y, "times": TIMES, "expansion": EXPANSION},
    nth.truncated_hierarchy: {"K": K, "y": Y, "times": TIMES},
    nth.truncations: {"K": K, "y": Y, "times": TIMES, "levels": [2]},
    nth.truncated_flow: {
        "model": NET,
        "params": PARAMS,
        "X": X,
        "y": Y,
        "times": TIMES,
        "level": 3,
    },
    nth.reach: {"terms": jnp.ones((2, 5))},
    nth.reach_of_network: {"net": FLAT, "params": FLAT_PARAMS, "X": X, "action": Y},
    nth.draws: {"measure": measure, "widths": [2], "seeds": 2},
    nth.run_cells: {"measure": cell, "cases": [1, 2]},
    nth.power_law: {"x": [2, 4], "values": np.ones((2, 3))},
    nth.estimate: {"values": np.ones((2, 3))},
    nth.sphere: {"key": KEY, "n": 2, "dim": 3},
    nth.teacher_labels: {"teacher": NET, "key": KEY, "X": X},
    nth.digits: {},
    nth.check_inputs: {"X": X, "order": 1},
}
