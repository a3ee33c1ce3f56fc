"""Calls and names that are spelt wrongly: one sentence each, with the right spelling."""

import dataclasses
import inspect
import re
import subprocess
import sys

import jax.numpy as jnp
import pytest
from good_calls import GOOD, NET, PARAMS, TIMES, X, Y

import nthbook
import nthlib as nth
from nthlib.spelling import no_such_name, spelled

FREE = inspect.Parameter.VAR_KEYWORD


def _takes_any(function):
    return any(p.kind is FREE for p in inspect.signature(function).parameters.values())


# Where any keyword is taken, a misspelt one that is not needed may be the measure's own.
CALLS = [
    (function, argument.name)
    for function in GOOD
    for argument in inspect.signature(function).parameters.values()
    if argument.kind is not FREE and (argument.name in GOOD[function] or not _takes_any(function))
]


def _sentence(function, *arguments, **named):
    with pytest.raises(TypeError) as caught:
        function(*arguments, **named)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(function.__name__)
    return message


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("function", "argument"), CALLS, ids=lambda part: getattr(part, "__name__", part)
)
def test_a_misspelt_argument_is_answered_with_the_right_one(function, argument):
    given = {name: value for name, value in GOOD[function].items() if name != argument}
    for wrong in (f"{argument}_x", argument.swapcase()):
        message = _sentence(function, **given, **{wrong: None})
        assert message == (
            f"{function.__name__} has no argument {wrong!r}: did you mean {argument!r}?"
        )


@pytest.mark.bad_input
@pytest.mark.parametrize("function", GOOD)
def test_what_has_a_keyword_is_not_taken_by_position(function):
    parameters = inspect.signature(function).parameters.values()
    places = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    message = _sentence(function, *[None] * (len(places) + 1))
    assert f"({', '.join(p.name for p in places)}) by position" in message
    for keyword in keywords:
        assert f"{keyword}=.." in message


@pytest.mark.bad_input
def test_what_is_missing_or_given_twice_is_named():
    assert "needs order" in _sentence(nth.kernels, NET, PARAMS, X)
    assert "X twice" in _sentence(nth.kernels, NET, PARAMS, X, 2, X=X)
    assert "needs depth" in _sentence(nth.FullyConnected, 3, 4)


@pytest.mark.bad_input
def test_what_is_like_nothing_is_answered_with_all_there_is():
    message = _sentence(nth.layer_kernels, NET, PARAMS, X, ground_truth=1)
    assert message.endswith("no argument 'ground_truth': it takes (net, params, X)")
    assert _sentence(nth.run_cells, [1, 2], size=3).endswith("(measure, cases, **fixed)")


@pytest.mark.bad_input
def test_old_spellings_give_the_new_ones():
    K = {1: jnp.zeros(3), 2: jnp.eye(3)}
    assert "it is called 'level'" in _sentence(nth.truncated_hierarchy, K, Y, TIMES, order=2)
    wrong = {"level": 4, "order": 4}
    with pytest.raises(ValueError, match=r"order must be 1 or 2, got 4: where .* is the level$"):
        nth.truncated_flow(NET, PARAMS, X, Y, TIMES, **wrong)
    for function, more in ((nth.gradient_flow, []), (nth.truncated_flow, [4])):
        message = _sentence(function, NET, PARAMS, X, Y, TIMES, *more, X)
        assert re.search(r"by position and X_test=\.\., .* by keyword$", message)


@pytest.mark.bad_input
def test_the_sentence_is_all_that_is_shown_of_the_library():
    with pytest.raises(TypeError) as caught:
        nth.kernels(NET, PARAMS, X)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert len(caught.traceback) == 2


def test_errors_inside_a_function_pass_as_they_are():
    @spelled
    def call(function):
        return function(1, 2)

    with pytest.raises(TypeError, match=r"<lambda>\(\) takes 1 positional argument"):
        call(lambda one: one)


def test_what_is_decorated_keeps_its_name_and_its_signature():
    for function in GOOD:
        assert inspect.getdoc(function)
        assert getattr(nth, function.__name__) is function
        assert "self" not in inspect.signature(function).parameters

    class Own(nth.FullyConnected):
        pass

    assert Own(3, 4, depth=2) == Own(3, 4, 2)
    assert dataclasses.replace(NET, width=5).width == 5


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("TruncatedSolution", "it is nthlib.Solution"),
        ("sweep", "it is nthlib.draws"),
        ("fit_exponent", "it is nthlib.power_law"),
        ("judge", "it is nthbook.judge"),
        ("Verdict", "it is nthbook.Verdict"),
        ("kernals", "did you mean 'kernels'?"),
        ("fullyconnected", "did you mean 'FullyConnected'?"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_the_one_that_is(name, answer):
    error = no_such_name("nthlib", name, nth.__all__)
    assert str(error) == f"module 'nthlib' has no attribute {name!r}: {answer}"


@pytest.mark.bad_input
def test_both_packages_answer_for_their_names():
    for package, name, answer in (
        (nth, "TruncatedSolution", "it is nthlib.Solution"),
        (nth, "limit_kernels", "did you mean 'limit_kernel'"),
        (nth, "zzz", "has no attribute 'zzz'$"),
        (nthbook, "jugde", "did you mean 'judge'"),
        (nthbook, "TruncatedSolution", "it is nthlib.Solution"),
    ):
        with pytest.raises(AttributeError, match=answer):
            getattr(package, name)
        assert not hasattr(package, name)


def test_modules_of_the_workshop_are_imported_without_jax():
    code = (
        "import sys, nthbook\n"
        "try: nthbook.ledger\n"
        "except AttributeError as error: print(error)\n"
        "from nthbook import ledger\n"
        "assert 'jax' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    sentence = "nthbook.ledger is a module: from nthbook import ledger\n"
    assert (done.stdout, done.stderr) == (sentence, "")
