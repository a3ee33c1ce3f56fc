"""Any request at all: an error that names an argument, finite numbers, or a mark where they end.

Requests are the good ones of ``good_calls`` with one to three arguments replaced by anything.
What is good about the replacements comes from a small set, so that little is compiled.
"""

import re
import warnings
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from good_calls import FLAT, GOOD, KEY, NET, PARAMS, X, measure, model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nthbook
import nthlib as nth

pytestmark = pytest.mark.bad_input

FEW = settings(
    max_examples=30,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MANY = settings(FEW, max_examples=300)

FILLS = {
    "plain": lambda shape: np.cos(1.0 + np.arange(np.prod(shape, dtype=int))).reshape(shape),
    "zero": np.zeros,
    "one": np.ones,
    "NaN": lambda shape: np.full(shape, np.nan),
    "infinite": lambda shape: np.full(shape, -np.inf),
    "huge": lambda shape: 1e300 * FILLS["plain"](shape),
    "large": lambda shape: 1e30 * FILLS["plain"](shape),
    "tiny": lambda shape: 1e-300 * FILLS["plain"](shape),
    "one NaN": lambda shape: np.where(np.arange(np.prod(shape)).reshape(shape) == 0, np.nan, 1.0),
}
DTYPES = ["float64", "float32", "float16", "int64", "bool", "complex128", "object", "str"]


def _array(shape, fill, dtype, in_jax):
    with np.errstate(all="ignore"):
        values = FILLS[fill](shape)
        values = np.nan_to_num(values, posinf=7, neginf=-7) if dtype == "int64" else values
        values = values.astype(dtype)
    return jnp.asarray(values) if in_jax and dtype not in ("object", "str") else values


def arrays(*shape):
    """Of the good shape or another, of any dtype, with values of every size."""
    sizes = st.integers(0, 4)
    shapes = st.just(shape) | st.lists(sizes, max_size=3).map(tuple)
    return st.builds(
        _array,
        st.one_of(st.just(shape), shapes),
        st.sampled_from(sorted(FILLS)),
        st.one_of(st.just("float64"), st.sampled_from(DTYPES)),
        st.booleans(),
    )


JUNK = st.sampled_from(
    [
        None, "2", "", b"2", 1j, float("nan"), float("inf"), [2], (), {}, {"a": 1}, object, model,
        np.array([1, 2]), np.array(["a"]), np.array(2.5), jnp.ones((2, 2)), [[1.0], [1.0, 2.0]],
        np.datetime64("nat", "s"), "two\nlines", 10**400, set(), range(2), Fraction(1, 3), KEY,
    ]
)  # fmt: skip
WHOLE = JUNK | st.sampled_from(
    [0, -1, 1.5, 2.0, True, np.int64(1), np.uint8(1), np.bool_(True), jnp.array(1), np.array(1)]
)
ORDERS = st.sampled_from([1, 2, 3]) | WHOLE
REAL = JUNK | st.sampled_from(
    [0, 0.0, -1.0, True, 1e-300, 1e300, 0.5, np.float32(0.5), jnp.array(0.5), 10**200, 1]
)
MEASURED = JUNK | REAL | arrays() | st.lists(REAL, min_size=3, max_size=3)
COUNTS = st.sampled_from([1, 3, 10**6, 10**12, 10**30]) | WHOLE
LIMITS = st.sampled_from([1, 50, 10**9, 10**30]) | WHOLE
TOLERANCES = JUNK | st.sampled_from([0.0, -1.0, 1.0, 2.0, 1e-300, 1e-400, True, "1e-8"])
MAX_STEPS = WHOLE | st.sampled_from([1, 10**30])
CHOICES = JUNK | st.sampled_from(["auto", "closed", "derivatives", "tensors", "implicit", "euler"])
SUMS = JUNK | st.sampled_from(["strip", "gram"])
FLAGS = JUNK | st.sampled_from([True, 0, 1, np.bool_(True), np.bool_(False)])
LOSSES = JUNK | st.sampled_from(["square", "logistic", "softmax", "hinge", max, jnp.sin])
MODELS = JUNK | st.sampled_from([NET, nth.FullyConnected(2, 4, 2), jnp.sin, len, lambda p, Z: None])
POINTS = arrays(3, 3) | JUNK
LABELS = arrays(3) | JUNK
TIMES = st.sampled_from(
    [[0.0, 1e300], [0.0, 1e-300], [0.0, 0.0], [1.0, 1.0], [-1.0, 1.0], [1.0, 0.5], [0, 1], [0.0]]
).map(np.asarray) | arrays(2)
SCALED = st.sampled_from([1e300, 1e150, 1e30, 1e-300, 0.0, jnp.nan, -1.0, 1j, True, "s"])


def _scaled(factor):
    if isinstance(factor, str):
        return factor
    return jax.tree.map(lambda leaf: leaf * factor, PARAMS)


PARAMETERS = SCALED.map(_scaled) | JUNK | arrays(3) | st.just(PARAMS._replace(weights=()))
KEYS = st.sampled_from([KEY, jax.random.PRNGKey(0), jax.random.split(KEY), None, 1.5, "a"])


def _kernels(first, second, third):
    return {1: first, 2: second} | ({} if third is None else {3: third})


SECOND = arrays(3, 3) | st.sampled_from([np.diag([1.0, 1.0, -1.0]), 1e300 * np.eye(3), np.eye(3)])
KERNELS = st.one_of(
    st.builds(_kernels, arrays(3), SECOND | JUNK, st.none() | arrays(3, 3, 3)), JUNK,
    st.sampled_from([{2: np.eye(3)}, {1: np.ones(3), 2: np.eye(3), "a": 1}, {0: 1, 1: 1, 2: 2}]),
)  # fmt: skip
POSITIONS = (
    JUNK
    | arrays(2)
    | st.sampled_from([[2, 4], [2, 2], [0, 1], [2.0, np.nan], [1.0, np.inf], ["a", "b"], [1j, 2]])
)
TABLES = JUNK | arrays(2, 3)
STATISTICS = CHOICES | st.sampled_from(
    ["median", "mean", "rms", "p90", np.median, np.ptp, lambda values, axis: values.sum()]
)


def other_measure(width, key):
    return {"a": jnp.log(-1.0)}


# Not `model`: what a measure raises is its own.
MEASURES = JUNK.filter(lambda junk: junk is not model) | st.sampled_from(
    [measure, other_measure, lambda width, key: {1: 2.0}, lambda w: {"a": 1.0}]
)
LISTS = st.lists(WHOLE, max_size=3) | WHOLE | arrays(2) | st.sampled_from([[2], [2, 4], [2**32]])
STEPS = st.sampled_from([0, 2, [0, 2], 10**12, [0, 10**30], [2, 1]]) | LISTS


def cell(case, **fixed):
    return case


TRAINING = {"model": MODELS, "params": PARAMETERS, "X": POINTS, "y": LABELS, "loss": LOSSES}
SOLVER = {"times": TIMES, "rtol": TOLERANCES, "max_steps": MAX_STEPS}
ODD = {
    nth.FullyConnected: {
        "dim": WHOLE, "width": WHOLE, "depth": WHOLE, "sigma_w": REAL, "sigma_a": REAL,
        "activation": JUNK | st.sampled_from([jnp.sin, jnp.sum, len, jax.nn.softmax, jnp.log]),
    },
    nth.subnetwork: {"net": MODELS, "params": PARAMETERS, "width": COUNTS},
    nth.kernels: {
        "model": MODELS, "params": PARAMETERS, "X": POINTS, "X_test": POINTS, "order": ORDERS,
        "method": CHOICES, "memory_limit": LIMITS,
    },
    nth.ntk: {
        "model": MODELS, "params": PARAMETERS, "X1": POINTS, "X2": POINTS, "block": COUNTS,
        "outputs": CHOICES | st.sampled_from(["full", "trace", "diagonal"]),
        "memory_limit": LIMITS,
    },
    nth.ntk_operator: {"model": MODELS, "params": PARAMETERS, "X": POINTS},
    nth.antisymmetric: {"model": MODELS, "params": PARAMETERS},
    nth.layer_kernels: {"net": MODELS, "params": PARAMETERS, "X": POINTS},
    nth.limit_kernel: {"net": MODELS, "X": POINTS, "order": ORDERS},
    nth.width_expansion: {
        "net": MODELS, "X": POINTS, "method": CHOICES, "tolerance": REAL, "key": KEYS,
    },
    nth.gradient_flow: TRAINING | SOLVER | {"X_test": POINTS, "order": ORDERS},
    nth.gradient_descent: TRAINING
    | {"step": REAL, "steps": STEPS, "batch": COUNTS, "key": KEYS, "order": ORDERS},
    nth.taylorised_flow: TRAINING | SOLVER | {"X_test": POINTS, "degree": ORDERS},
    nth.predict_ensemble: {
        "net": MODELS, "X": POINTS, "y": LABELS, "times": TIMES, "centred": FLAGS,
        "expansion": JUNK, "tolerance": REAL, "block": COUNTS,
    },
    nth.truncated_hierarchy: SOLVER
    | {
        "K": KERNELS, "y": LABELS | arrays(3, 2), "level": ORDERS, "method": CHOICES,
        "solver": CHOICES, "loss": LOSSES, "indicator": FLAGS, "resum": SUMS, "half_width": REAL,
    },
    nth.truncations: SOLVER
    | {
        "K": KERNELS, "y": LABELS | arrays(3, 2), "levels": LISTS, "method": CHOICES,
        "solver": CHOICES, "loss": LOSSES, "resum": SUMS, "half_width": REAL,
    },
    nth.truncated_flow: TRAINING
    | SOLVER
    | {
        "level": ORDERS, "X_test": POINTS, "indicator": FLAGS, "memory_limit": LIMITS,
        "resum": SUMS, "half_width": REAL,
    },
    nth.reach: {"terms": TABLES},
    nth.reach_of_network: {
        "net": MODELS | st.just(FLAT), "params": PARAMETERS, "X": POINTS, "action": LABELS,
    },
    nth.draws: {"measure": MEASURES, "widths": LISTS, "seeds": LISTS, "batch_size": COUNTS},
    nth.run_cells: {
        "measure": st.sampled_from([cell, None, 3, "2", b"2"]),
        "cases": st.lists(WHOLE, max_size=3) | st.sampled_from([None, 3, 2.5, "ab", {}, (1, 2)]),
    },
    nth.power_law: {"x": POSITIONS, "values": TABLES, "statistic": STATISTICS},
    nth.estimate: {
        "values": TABLES | st.tuples(arrays(3), arrays(3)), "statistic": STATISTICS,
        "axis": WHOLE, "resamples": COUNTS.filter(lambda count: not np.array_equal(count, 10**6)),
    },
    nthbook.judge: {
        "claim_id": JUNK | st.just("ntk-limit"), "control": MEASURED, "measured": MEASURED,
    },
    nth.sphere: {"key": KEYS, "n": COUNTS, "dim": COUNTS, "smallest_singular_value": REAL},
    nth.teacher_labels: {"teacher": MODELS, "key": KEYS, "X": POINTS},
    nth.digits: {
        "labels": JUNK | st.sampled_from(["parity", (3, 8), (3, 3), [1, 2, 3], np.array([3, 8])]),
        "n": COUNTS, "key": KEYS,
    },
    nth.check_inputs: {"X": POINTS, "order": COUNTS},
}  # fmt: skip
BASE = GOOD | {
    nth.run_cells: {"measure": cell, "cases": [1, 2]},
    nthbook.judge: {"claim_id": "ntk-limit", "measured": -0.5},
    nth.limit_kernel: {"net": NET, "X": X},
}
DOCUMENTED = {
    nth.run_cells: (TypeError, ValueError, RuntimeError),
    nthbook.judge: (),
}
WARNINGS = (
    "the same input twice",
    "stopped at t = ",
    "blows up at t = ",
    "no longer positive definite",
    "diverged after t = ",
    "hold NaN or infinity",
    "not positive semi-definite",
    "single precision",
    "is not registered",
    "is accurate to about",
    "must be a fit, a number",
    "the correction is not small: its parts",
    "errors of the expansion may make up",
    "expansion has another limiting kernel",
)


@st.composite
def requests(draw, function):
    odd = ODD[function]
    names = st.lists(st.sampled_from(sorted(odd)), min_size=1, max_size=3, unique=True)
    return BASE[function] | {name: draw(odd[name]) for name in draw(names)}


def _check_error(function, names, error):
    message = str(error)
    assert "\n" not in message, message
    assert len(message) < 400, message
    assert any(re.search(rf"(?<!\w){name}(?!\w)", message) for name in names), message


def _numbers(tree):
    for leaf in jax.tree.leaves(tree):
        values = np.asarray(leaf) if isinstance(leaf, (jax.Array, np.ndarray, float)) else None
        if values is not None and values.dtype.kind == "f":
            yield values


def _finite(tree):
    return all(np.isfinite(values).all() for values in _numbers(tree))


def _check_rows(rows, times, until, said):
    """Finite to the end of the solution and NaN after it, for each labelling."""
    for labelling in np.ndindex(until.shape):
        mine = rows[(..., *labelling)]
        reached = times <= until[labelling]
        assert np.isfinite(mine[reached]).all() or "hold NaN or infinity" in said, said
        assert np.isnan(mine[~reached]).all()


def _check_solution(solution, said):
    until = np.asarray(solution.valid_until)
    assert not np.isnan(until).any()
    if np.isfinite(until).any():
        assert "stopped at" in said or "blows up" in said or "diverged" in said, said
    parts = vars(solution)
    rows = [parts["predictions"], parts.get("kernel"), *parts.get("kernels", {}).values()]
    rows += [parts.get("smallest_eigenvalue"), parts.get("error_indicator")]
    for values in rows:
        if values is not None:
            _check_rows(np.asarray(values), np.asarray(solution.times), until, said)
    assert _finite(parts.get("params"))


def _check_result(function, result, said):
    if function is nth.truncations:
        for i in range(len(result.times)):
            _check_solution(jax.tree.map(lambda leaf, i=i: leaf[i], result), said)
    elif isinstance(result, (nth.Flow, nth.Solution)):
        _check_solution(result, said)
    elif function is nth.power_law:
        assert _finite(vars(result))
    elif function is nth.estimate:
        assert not np.any(result.low > result.high)  # NaN and infinity of values show
    elif function is nth.check_inputs:
        assert _finite((result.norms, result.smallest, result.lower_bound, result.tolerance))
    elif function is nthbook.judge:
        for verdict in result.verdicts:
            assert verdict.outcome == "invalid" or _finite((verdict.low, verdict.high))
    elif function is nth.reach_of_network:
        assert result > 0  # infinite for what does not move
    elif function not in (nth.FullyConnected, nth.run_cells, nth.draws):
        assert _finite(result) or "hold NaN or infinity" in said, (result, said)


def check(function, arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function(**arguments)
        except DOCUMENTED.get(function, (TypeError, ValueError, MemoryError)) as error:
            _check_error(function, ODD[function], error)
            result = None
    for warning in caught:
        assert issubclass(warning.category, UserWarning), warning
        assert any(known in str(warning.message) for known in WARNINGS), warning
    if result is not None:
        _check_result(function, result, " ".join(str(warning.message) for warning in caught))


@pytest.mark.parametrize("function", ODD)
@FEW
@given(data=st.data())
def test_any_request_is_refused_or_answered(function, data):
    check(function, data.draw(requests(function)))


@pytest.mark.slow
@pytest.mark.parametrize("function", ODD)
@MANY
@given(data=st.data())
def test_ten_times_as_many_requests(function, data):
    check(function, data.draw(requests(function)))
