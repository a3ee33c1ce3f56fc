"""Bad input to every public function: one table, and the checks behind it."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bad_calls import TABLE
from good_calls import GOOD, KEY, NET, PARAMS, TIMES, X, Y, model

import nthlib as nth
from nthlib import checks

TWICE = X.at[1].set(X[0])
HUGE = jax.tree.map(lambda leaf: jnp.full_like(leaf, 1e308), PARAMS)
INDEFINITE = {1: jnp.zeros(3), 2: jnp.diag(jnp.array([1.0, 1.0, -1.0]))}
CORNER = nth.FullyConnected(3, 1, 1, lambda x: jnp.abs(x - 1))

CASES = [
    pytest.param(function, name, *case, id=f"{function.__name__}-{name}-{number}")
    for (function, name), cases in TABLE.items()
    for number, case in enumerate(cases)
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("function", "name", "bad", "error", "message"), CASES)
def test_bad_input_names_the_argument(function, name, bad, error, message):
    with pytest.raises(error, match=f"(?s){re.escape(name)}.*{message}"):
        function(**{**GOOD[function], name: bad})


@pytest.mark.parametrize("function", GOOD)
def test_the_good_arguments_are_good(function):
    """What the table refuses is refused for the one argument that was put in."""
    assert function(**GOOD[function]) is not None


def test_every_public_argument_stands_in_the_table():
    unchecked = {"fixed"}  # the measure's own
    for function in GOOD:
        names = set(inspect.signature(function).parameters) - unchecked
        listed = {name for f, name in TABLE if f is function} - unchecked
        assert names == listed, function.__name__
    results = {
        "Parameters",
        "LimitEstimate",
        "WidthExpansion",
        "EnsemblePrediction",
        "Flow",
        "Solution",
        "Fit",
        "Estimate",
        "InputReport",
    }
    never_raises = {"erf", "relu"}
    assert {f.__name__ for f in GOOD} | never_raises | results == set(nth.__all__)


@pytest.mark.bad_input
@pytest.mark.parametrize("order", [2, 3, 5])
def test_the_closed_form_is_refused_where_there_is_none(order):
    with pytest.raises(ValueError, match='method "closed" needs a FullyConnected'):
        nth.kernels(model, jnp.ones(3), X, order, method="closed")


@pytest.mark.bad_input
@pytest.mark.parametrize(("depth", "dim"), [(1, 4), (2, 3)])
def test_what_would_be_an_estimate_is_no_limit(depth, dim):
    """Deep networks, and one hidden layer on inputs that span more than three dimensions."""
    net = nth.FullyConnected(dim, 4, depth)
    message = r"order 6 is computed .* limit_kernel_estimate\(key, net, X, 6\)"
    with pytest.raises(ValueError, match=message):
        nth.limit_kernel(net, jnp.eye(dim), 6)


@pytest.mark.bad_input
@pytest.mark.parametrize("order", [2, 4])
def test_inputs_that_are_all_zero_have_no_limit(order):
    net = nth.FullyConnected(2, 4, 1)
    with pytest.raises(ValueError, match="X must"):
        nth.limit_kernel(net, jnp.zeros((2, 2)), order)


@pytest.mark.bad_input
def test_test_inputs_of_another_model_must_match_the_training_inputs():
    images = jnp.ones((2, 4, 4))
    with pytest.raises(ValueError, match=r"X_test must have shape \(any, 4, 4\)"):
        nth.kernels(
            lambda p, Z: Z.sum(axis=(1, 2)) * p,
            jnp.array(1.0),
            images,
            2,
            X_test=jnp.ones((2, 4, 5)),
        )
    with pytest.raises(ValueError, match="X must have the samples along its first axis"):
        nth.kernels(model, jnp.ones(3), jnp.array(1.0), 2)


@pytest.mark.bad_input
def test_more_points_than_dimensions_cannot_have_a_singular_value():
    with pytest.raises(ValueError, match="n must be at most dim = 2"):
        nth.sphere(KEY, 3, 2, smallest_singular_value=0.5)
    assert nth.sphere(KEY, 3, 2).shape == (3, 2)


@pytest.mark.parametrize("number", [np.int32(3), np.uint8(3), 3])
def test_whole_numbers_of_every_kind_become_ints(number):
    assert type(checks.whole_number("n", number, 3)) is int


def test_shapes_are_checked_and_values_skipped_while_tracing():
    @jax.jit
    def checked(array):
        return checks.floating_array("a", array, (None,))

    assert jnp.isnan(checked(jnp.array([jnp.nan]))).all()
    with pytest.raises(ValueError, match="a must have shape"):
        checked(jnp.ones((2, 2)))
    with pytest.raises(TypeError, match="a must hold floats"):
        checked(jnp.ones(2, int))
    unsorted = jax.jit(lambda t: checks.time_points(t, t.dtype))(jnp.array([1.0, 0.0]))
    assert unsorted.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("rows", "pair"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], None),
        ([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], (0, 2)),
        ([[2.0, 0.0], [1.0, 1.0], [1.0, 1.0], [2.0, 0.0]], (1, 2)),
        ([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]], None),
    ],
)
def test_coinciding_inputs_are_found(rows, pair):
    assert checks.coinciding_inputs(jnp.array(rows)) == pair
    images = jnp.array(rows)[:, None, :]
    assert checks.coinciding_inputs(images) == pair


@pytest.mark.bad_input
def test_long_arguments_are_shortened_in_messages():
    with pytest.raises(TypeError, match=r"got str 'aaa.*\.\.\.$"):
        checks.whole_number("n", "a" * 100, 1)


def test_tracers_are_recognised():
    assert not checks.is_traced({"a": jnp.ones(2)}, 3.0)
    seen = []
    jax.jit(lambda z: seen.append(checks.is_traced({"a": z})))(1.0)
    assert seen == [True]


@pytest.mark.bad_input
def test_a_huge_number_is_shown_short():
    """A number of hundreds of digits would drown the sentence."""
    huge = 10**400
    with pytest.raises(ValueError, match=r"batch must be at most .* 3, got 10+\.\.\.$"):
        nth.gradient_descent(**GOOD[nth.gradient_descent] | {"batch": huge, "key": KEY})
    with pytest.raises(ValueError, match=r"n must be at least 1, got -10+\.\.\.$"):
        nth.sphere(KEY, -huge, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nth.gradient_flow(NET, PARAMS, TWICE, Y, TIMES), "the same input twice"),
        (lambda: nth.gradient_flow(NET, PARAMS, X, Y, TIMES, max_steps=1), "flow stopped"),
        (lambda: nth.gradient_descent(NET, PARAMS, X, Y, 1e200, 9), "descent diverged"),
        (lambda: nth.kernels(NET, HUGE, X, order=2), "NaN or infinity"),
        (lambda: nth.truncated_hierarchy(INDEFINITE, Y, TIMES, level=2), "semi-definite"),
        (lambda: nth.truncated_flow(NET, PARAMS, X, Y, TIMES, 3, max_steps=1), "stopped at"),
        (lambda: nth.limit_kernel(CORNER, X), "quadrature"),
    ],
)
def test_a_warning_points_at_the_line_that_called_the_library(call, message):
    with pytest.warns(UserWarning, match=message) as caught:
        call()
    assert {warning.filename for warning in caught} == {__file__}
    assert {warning.lineno for warning in caught} == {call.__code__.co_firstlineno}
