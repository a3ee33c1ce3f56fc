"""Good arguments for every public function, and a table of bad ones with what is said to them."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from helpers import network, unit_rows

import nthlib as nth

NET, PARAMS = network(depth=2, width=4)
X = unit_rows(3, 3)
Y = jnp.ones(3)
TIMES = jnp.array([0.0, 1.0])
KEY = jax.random.key(0)
K = {1: jnp.ones(3), 2: jnp.eye(3)}
NAN, INF = jnp.full((3, 3), jnp.nan), jnp.full((3, 3), jnp.inf)


def model(params, Z):
    return Z @ params


def table(values=None, **coordinates):
    values = np.ones((2, 3)) if values is None else values
    return xr.DataArray(values, dims=("width", "seed"), coords={"width": [2, 4], **coordinates})


def measure(width, key):
    return {"a": jax.random.normal(key)}


def cell(case):
    return case


GOOD = {
    nth.FullyConnected: {"dim": 3, "width": 4, "depth": 2},
    nth.kernels: {"model": NET, "params": PARAMS, "X": X, "order": 2},
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
    nth.gradient_flow: {"model": NET, "params": PARAMS, "X": X, "y": Y, "times": TIMES},
    nth.gradient_descent: {
        "model": NET,
        "params": PARAMS,
        "X": X,
        "y": Y,
        "step": 0.1,
        "steps": 2,
    },
    nth.truncated_hierarchy: {"K": K, "y": Y, "times": TIMES},
    nth.truncated_flow: {
        "model": NET,
        "params": PARAMS,
        "X": X,
        "y": Y,
        "times": TIMES,
        "order": 3,
    },
    nth.sweep: {"measure": measure, "widths": [2], "seeds": 2},
    nth.run_cells: {"measure": cell, "cases": [1, 2]},
    nth.fit_exponent: {"table": table()},
    nth.sphere: {"key": KEY, "n": 2, "dim": 3},
    nth.teacher_labels: {"teacher": NET, "key": KEY, "X": X},
    nth.digits: {},
    nth.check_inputs: {"X": X, "order": 1},
}

WHOLE = [
    (0, ValueError, "must be at least"),
    (-3, ValueError, "must be at least"),
    (1.5, TypeError, "must be a whole number"),
    (2.0, TypeError, "must be a whole number"),
    (True, TypeError, "must be a whole number"),
    ("2", TypeError, "must be a whole number"),
    (jnp.array([2]), TypeError, "must be a whole number"),
]
HUGE = 10**400  # beyond every float, and beyond what a message should print
ORDERS = [*WHOLE, (33, ValueError, "must be at most 32"), (HUGE, ValueError, "must be at most 32")]
STEP_COUNTS = [*WHOLE, (2**31, ValueError, "must be below 2")]
LOSSES = [
    (jnp.ones((2, 2)), TypeError, 'must be "square"'),
    (jnp.sin, TypeError, "must be a function"),
    ("hinge", ValueError, 'must be "square"'),
    (3, TypeError, 'must be "square"'),
    ("softmax", ValueError, "needs a model with two or more outputs"),
    (lambda f: f, TypeError, "must be a function"),
    (lambda f, y: jnp.stack([f, y]), ValueError, "must return one real number"),
]
POSITIVE = [
    (0.0, ValueError, "must be finite and above 0"),
    (-1.0, ValueError, "must be finite and above 0"),
    (float("nan"), ValueError, "must be finite and above 0"),
    (float("inf"), ValueError, "must be finite and above 0"),
    ("1", TypeError, "must be a number"),
    (True, TypeError, "must be a number"),
    (1j, TypeError, "must be a number"),
    (HUGE, ValueError, "must be finite and above 0, got inf"),
]
TOLERANCES = [*POSITIVE, (2.0, ValueError, "must be below 1")]
INPUTS = [
    (jnp.ones((3, 2)), ValueError, r"must have shape \(any, 3\)"),
    (jnp.ones(3), ValueError, "must have shape"),
    (jnp.ones((3, 3, 1)), ValueError, "must have shape"),
    (jnp.ones((0, 3)), ValueError, "must not be empty"),
    (jnp.ones((3, 0)), ValueError, "must not be empty"),
    (NAN, ValueError, "must be finite"),
    (INF, ValueError, "must be finite"),
    (jnp.ones((3, 3), int), TypeError, "must hold floats"),
    (jnp.ones((3, 3), bool), TypeError, "must hold floats"),
    (jnp.ones((3, 3), complex), TypeError, "must hold floats"),
    ([[1.0], [1.0, 2.0]], TypeError, "must be an array of floats"),
    (HUGE, TypeError, "must be an array of floats"),
    (np.array([["a"] * 3]), TypeError, "must be an array of floats|must hold floats"),
]
LABELS = [
    (jnp.ones(4), ValueError, r"must have shape \(3"),
    (jnp.ones(()), ValueError, "must have shape"),
    (jnp.ones(0), ValueError, "must not be empty"),
    (jnp.array([1.0, jnp.nan, 0.0]), ValueError, "must be finite"),
    (jnp.ones(3, int), TypeError, "must hold floats"),
]
KEYS = [
    (0, TypeError, "must be a random key"),
    (jax.random.split(KEY), TypeError, "must be a random key"),
    (jnp.array(3), TypeError, "must be a random key"),
]
TIME_POINTS = [
    (jnp.array([1.0, 0.5]), ValueError, "must be sorted"),
    (jnp.array([-1.0, 0.5]), ValueError, "must not be negative"),
    (jnp.array([]), ValueError, "must not be empty"),
    (jnp.array(1.0), ValueError, "must have shape"),
    (jnp.ones((2, 2)), ValueError, "must have shape"),
    (jnp.array([0, 1]), TypeError, "must hold floats"),
    (jnp.array([0.0, jnp.inf]), ValueError, "must be finite"),
    (jnp.array([0.0, jnp.nan]), ValueError, "must be finite"),
]
PARAMETERS = [
    (PARAMS._replace(readout=jnp.ones(5)), ValueError, "must have leaves of shapes"),
    ((PARAMS.weights, PARAMS.readout), ValueError, "must have leaves of shapes"),
    (PARAMS._replace(readout=jnp.full(4, jnp.nan)), ValueError, "must be finite"),
    (PARAMS._replace(readout=jnp.ones(4, int)), TypeError, "must be a pytree .* floats"),
    (None, TypeError, "must be a pytree .* floats"),
]
NOT_A_NETWORK = [
    (model, TypeError, "must be a FullyConnected"),
    (None, TypeError, "FullyConnected"),
]
ACTIVATIONS = [
    (jax.nn.softmax, (TypeError, ValueError), "must"),
    (lambda z: z - z.mean(), ValueError, "must act elementwise"),
    (lambda z: z.sum(), ValueError, "shape it was given"),
    ("tanh", TypeError, "must be a function"),
    ([jnp.tanh], TypeError, "must be a function"),
    (lambda z: None, ValueError, "shape it was given"),
    (
        jnp.ones((2, 2)),
        TypeError,
        r"must be a function of an array, got an array of shape \(2, 2\)$",
    ),
]
MODELS = [
    (jnp.sin, TypeError, r"must take \(params, X\)"),
    (jnp.ones((2, 2)), TypeError, r"must be a callable .* got an array of shape \(2, 2\)$"),
    ("net", TypeError, "must be a callable"),
    (None, TypeError, "must be a callable"),
    (lambda p, Z: Z[:2], ValueError, r"must return shape \(3,\)"),
    (lambda p, Z: Z[:, :, None], ValueError, r"must return shape \(3,\)"),
    (lambda p, Z: (Z[:, 0],), ValueError, "must return shape"),
    (lambda p, Z: Z.sum(), ValueError, "must return shape"),
    (lambda p, Z: jnp.zeros(len(Z), int), (TypeError, ValueError), "must return"),
]

TABLE = {
    (nth.FullyConnected, "dim"): WHOLE,
    (nth.FullyConnected, "width"): WHOLE,
    (nth.FullyConnected, "depth"): WHOLE,
    (nth.FullyConnected, "activation"): ACTIVATIONS,
    (nth.FullyConnected, "sigma_w"): POSITIVE,
    (nth.FullyConnected, "sigma_a"): POSITIVE,
    (nth.kernels, "model"): MODELS,
    (nth.kernels, "params"): PARAMETERS,
    (nth.kernels, "X"): INPUTS,
    (nth.kernels, "X_test"): INPUTS,
    (nth.kernels, "order"): ORDERS,
    (nth.kernels, "method"): [
        ("fast", ValueError, 'must be "auto"'),
        (None, ValueError, 'must be "auto"'),
        (np.array(["auto", "closed"]), ValueError, 'must be "auto"'),
    ],
    (nth.kernels, "memory_limit"): [*WHOLE, (50, MemoryError, "of 50 bytes")],
    (nth.layer_kernels, "net"): NOT_A_NETWORK,
    (nth.layer_kernels, "params"): PARAMETERS,
    (nth.layer_kernels, "X"): INPUTS,
    (nth.limit_kernel, "net"): NOT_A_NETWORK,
    (nth.limit_kernel, "X"): [*INPUTS, (X.at[1].set(0.0), ValueError, "must not hold a zero")],
    (nth.limit_kernel, "order"): [*ORDERS, (32, MemoryError, "$")],
    (nth.limit_kernel_estimate, "net"): NOT_A_NETWORK,
    (nth.limit_kernel_estimate, "X"): INPUTS,
    (nth.limit_kernel_estimate, "order"): [
        *ORDERS,
        (1, ValueError, "must be at least 2"),
        (3, ValueError, "must be even"),
    ],
    (nth.limit_kernel_estimate, "key"): [(None, TypeError, "must be a random key"), *KEYS],
    (nth.limit_kernel_estimate, "width"): WHOLE,
    (nth.limit_kernel_estimate, "draws"): [*WHOLE, (1, ValueError, "must be at least 2")],
    (nth.gradient_flow, "model"): MODELS,
    (nth.gradient_flow, "params"): PARAMETERS,
    (nth.gradient_flow, "X"): INPUTS,
    (nth.gradient_flow, "y"): [*LABELS, (jnp.ones((3, 1)), ValueError, "must have shape")],
    (nth.gradient_flow, "times"): TIME_POINTS,
    (nth.gradient_flow, "X_test"): INPUTS,
    (nth.gradient_flow, "order"): [*ORDERS, (32, MemoryError, "$")],
    (nth.gradient_flow, "loss"): LOSSES,
    (nth.gradient_flow, "rtol"): TOLERANCES,
    (nth.gradient_flow, "max_steps"): STEP_COUNTS,
    (nth.gradient_descent, "model"): MODELS,
    (nth.gradient_descent, "params"): PARAMETERS,
    (nth.gradient_descent, "X"): INPUTS,
    (nth.gradient_descent, "y"): LABELS,
    (nth.gradient_descent, "step"): [
        *POSITIVE,
        (jnp.ones(2), TypeError, "must be a number"),
    ],
    (nth.gradient_descent, "steps"): [
        (-1, ValueError, "must be at least 0"),
        (1.5, TypeError, "must be a whole number"),
        ([0.5], TypeError, "must be a whole number"),
        ([], ValueError, "a whole number or a sorted list"),
        ([2, 1], ValueError, "a whole number or a sorted list"),
        ([[1, 2]], ValueError, "a whole number or a sorted list"),
        ("all", TypeError, "must be a whole number"),
        ([[1.0], [1.0, 2.0]], TypeError, "must be a whole number"),
        (HUGE, ValueError, "must be below 2"),
        (2**31 - 1, MemoryError, "$"),
    ],
    (nth.gradient_descent, "batch"): [
        *WHOLE,
        (4, ValueError, "at most the number of samples 3"),
        (2, ValueError, "needs a key"),
    ],
    (nth.gradient_descent, "X_test"): INPUTS,
    (nth.gradient_descent, "order"): [*ORDERS, (32, MemoryError, "$")],
    (nth.gradient_descent, "loss"): LOSSES,
    (nth.truncated_hierarchy, "K"): [
        ([1, 2], TypeError, "must be a dict of kernels"),
        ({2: K[2]}, TypeError, "must be a dict of kernels"),
        ({1: K[1]}, TypeError, "must be a dict of kernels"),
        ({1: jnp.ones(2), 2: K[2]}, ValueError, r"\[1\] must have shape \(3"),
        ({1: K[1], 2: jnp.ones((2, 3))}, ValueError, r"\[2\] must have a row for every"),
        ({1: K[1], 2: NAN}, ValueError, r"\[2\] must be finite"),
        ({1: K[1], 2: jnp.ones(3)}, ValueError, r"\[2\] must have shape"),
        ({1: K[1], 2: jnp.triu(jnp.ones((3, 3)))}, ValueError, r"\[2\] must be symmetric"),
        ({1: jnp.ones((3, 2)), 2: K[2]}, ValueError, r"\[2\] must have shape"),
        ({**K, "a": K[2]}, TypeError, "whose keys are their orders"),
        ({1: None, 2: K[2]}, TypeError, r"\[1\] must"),
        ({1: K[1], 2: jnp.eye(3, dtype=int)}, TypeError, r"\[2\] must hold floats"),
    ],
    (nth.truncated_hierarchy, "y"): [*LABELS, (jnp.ones((4, 2)), ValueError, r"shape \(3, any\)")],
    (nth.truncated_hierarchy, "times"): TIME_POINTS,
    (nth.truncated_hierarchy, "order"): [
        *ORDERS,
        (1, ValueError, "at least 2"),
        (3, ValueError, "needs the kernels 1 to 3 in K, 3 is missing"),
    ],
    (nth.truncated_hierarchy, "method"): [
        ("series", ValueError, "must be one of"),
        (np.array(["auto", "tensors"]), ValueError, "must be one of"),
    ],
    (nth.truncated_hierarchy, "solver"): [("euler", ValueError, "must be one of")],
    (nth.truncated_hierarchy, "loss"): LOSSES,
    (nth.truncated_hierarchy, "indicator"): [
        (1, TypeError, "must be True or False"),
        (True, ValueError, "needs K to order 4, got 2"),
    ],
    (nth.truncated_hierarchy, "rtol"): TOLERANCES,
    (nth.truncated_hierarchy, "max_steps"): STEP_COUNTS,
    (nth.truncated_flow, "model"): MODELS,
    (nth.truncated_flow, "params"): PARAMETERS,
    (nth.truncated_flow, "X"): INPUTS,
    (nth.truncated_flow, "y"): [*LABELS, (jnp.ones((3, 1)), ValueError, "must have shape")],
    (nth.truncated_flow, "times"): TIME_POINTS,
    (nth.truncated_flow, "order"): [*ORDERS, (1, ValueError, "at least 2")],
    (nth.truncated_flow, "X_test"): INPUTS,
    (nth.truncated_flow, "loss"): LOSSES,
    (nth.truncated_flow, "indicator"): [("yes", TypeError, "must be True or False")],
    (nth.truncated_flow, "rtol"): TOLERANCES,
    (nth.truncated_flow, "max_steps"): STEP_COUNTS,
    (nth.truncated_flow, "memory_limit"): [*WHOLE, (100, MemoryError, "of 100 bytes")],
    (nth.sweep, "measure"): [
        (3, TypeError, "must be a function"),
        (lambda width: {"a": 1.0}, TypeError, r"must take \(width, key\)"),
        (lambda width, key: jnp.ones(()), TypeError, "must return a dict of scalars"),
        (lambda width, key: {"a": jnp.ones(2)}, TypeError, "must return a dict of scalars"),
        (lambda width, key: {"a": None}, TypeError, "must return a dict of scalars"),
        (lambda width, key: {}, (TypeError, ValueError), "must return"),
    ],
    (nth.sweep, "widths"): [
        *(([number], error, message) for number, error, message in WHOLE),
        ([], ValueError, "must be distinct and at least one"),
        ([4, 4], ValueError, "must be distinct and at least one"),
        (4, TypeError, "must"),
        (np.array(4), TypeError, "must be a list of whole numbers"),
        ([2**32], ValueError, "must"),
    ],
    (nth.sweep, "seeds"): [
        *WHOLE,
        ([], ValueError, "must be distinct and at least one"),
        ([1, 1], ValueError, "must be distinct and at least one"),
        ([-1], ValueError, "must be at least 0"),
        ([0.5], TypeError, "must be a whole number"),
        ([2**32], ValueError, "must"),
        ([[1.0], [1.0, 2.0]], TypeError, "must be a whole number"),
        (HUGE, MemoryError, "$"),
    ],
    (nth.run_cells, "measure"): [
        (3, TypeError, "must be a function of a case"),
        (None, TypeError, "must be a function of a case"),
    ],
    (nth.run_cells, "cases"): [
        (3, TypeError, "must be a list"),
        ("ab", TypeError, "must be a list"),
        (None, TypeError, "must be a list"),
    ],
    (nth.sweep, "batch_size"): WHOLE,
    (nth.fit_exponent, "table"): [
        (np.ones((2, 3)), TypeError, "must be a DataArray"),
        (table().rename(seed="draw"), TypeError, "dimensions width and seed"),
        (table().isel(seed=0), TypeError, "dimensions width and seed"),
        (table()[:1], ValueError, "at least two widths and two seeds"),
        (table()[:, :1], ValueError, "at least two widths and two seeds"),
        (table(np.zeros((2, 3))), ValueError, "finite values above 0"),
        (table(np.full((2, 3), np.nan)), ValueError, "finite values above 0"),
        (table(np.full((2, 3), np.inf)), ValueError, "finite values above 0"),
        (table(width=[4, 4]), ValueError, "must"),
        (table(width=[-4, 4]), ValueError, "must"),
        (table(width=[4, np.inf]), ValueError, "distinct numbers above 0"),
        (table(width=["a", "b"]), ValueError, "distinct numbers above 0"),
        (table(np.full((2, 3), "a")), TypeError, "must hold real numbers"),
        (table(np.ones((2, 3), complex)), TypeError, "must hold real numbers"),
        (table().drop_vars("width"), (TypeError, ValueError), "must"),
    ],
    (nth.fit_exponent, "statistic"): [
        ("mode", ValueError, "must be one of median, mean, rms"),
        (["mean"], ValueError, "must be one of median, mean, rms"),
    ],
    (nth.sphere, "key"): KEYS,
    (nth.teacher_labels, "key"): KEYS,
    (nth.digits, "key"): KEYS,
    (nth.sphere, "n"): [*WHOLE, (10**30, MemoryError, "or dim")],
    (nth.sphere, "dim"): [*WHOLE, (10**30, MemoryError, "$")],
    (nth.sphere, "smallest_singular_value"): [
        (-0.1, ValueError, r"must be in \[0, 1\]"),
        (1.1, ValueError, r"must be in \[0, 1\]"),
        (float("nan"), ValueError, r"must be in \[0, 1\]"),
        ("half", (TypeError, ValueError), "must be"),
    ],
    (nth.teacher_labels, "teacher"): NOT_A_NETWORK,
    (nth.teacher_labels, "X"): [
        *INPUTS,
        (X[:1], ValueError, "must hold at least two inputs"),
        (jnp.ones((3, 3)), ValueError, "must"),  # equal inputs: labels without a variance
    ],
    (nth.digits, "labels"): [
        ("odd", ValueError, 'must be "parity" or two digits'),
        (3, ValueError, 'must be "parity" or two digits'),
        ((3, 3), ValueError, "two different digits"),
        ((3, 10), ValueError, "two different digits"),
        ((-1, 3), ValueError, 'must be "parity" or two digits'),
        ((1, 2, 3), ValueError, 'must be "parity" or two digits'),
        ((1.0, 2), ValueError, 'must be "parity" or two digits'),
        (jnp.ones((2, 2)), ValueError, r"two digits, got an array of shape \(2, 2\)$"),
    ],
    (nth.digits, "n"): [*WHOLE, (1798, ValueError, "must be at most 1797")],
    (nth.check_inputs, "X"): [
        (jnp.ones(3), ValueError, "must have shape"),
        (jnp.ones((0, 3)), ValueError, "must not be empty"),
        (jnp.ones((3, 0)), ValueError, "must not be empty"),
        (NAN, ValueError, "must be finite"),
        (jnp.ones((3, 3), int), TypeError, "must hold floats"),
        ([[1.0], [1.0, 2.0]], TypeError, "must be an array of floats"),
    ],
    (nth.check_inputs, "order"): WHOLE,
}
