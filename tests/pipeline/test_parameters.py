"""Parameters are data: what may replace them, and what the messages say."""

import pytest

from nthlib.pipeline.book import UsageError
from nthlib.pipeline.parameters import parse_cell, parse_options, replace

DEFAULTS = {
    "profile": "quick",
    "widths": [16, 32],
    "rates": [0.1, 1],
    "seeds": 4,
    "scale": 1.0,
    "plot": True,
    "limit": None,
    "table": {"a": 1},
}


def test_the_cell_is_read_and_never_run():
    cell = "# a remark\nprofile = 'quick'\nshape: tuple = (1, 2)  # why\nlow = -1e-3\n"
    assert parse_cell(cell) == {"profile": "quick", "shape": [1, 2], "low": -0.001}


@pytest.mark.parametrize(
    "cell", ["n = 2 * 3", "n = len('ab')", "import os", "a, b = 1, 2", "print(1)", "z = 1j"]
)
def test_only_literals_stand_in_the_cell(cell):
    with pytest.raises(ValueError, match="line 1"):
        parse_cell(cell)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[32,64,128]", [32, 64, 128]),
        ("1e-6", 1e-6),
        ("relu", "relu"),
        ('"4"', "4"),
        ("{a: 1, b: [2]}", {"a": 1, "b": [2]}),
        ("null", None),
        ("true", True),
        ("a=b", "a=b"),
        ("", None),
    ],
)
def test_an_option_is_data(text, value):
    assert parse_options([f"name={text}"]) == {"name": value}


@pytest.mark.parametrize(
    "option",
    [
        "widths",
        "=3",
        "a b=3",
        "x=[1",
        "x={a: ",
        "x=.inf",
        "x=2026-01-01",
        "x=!!python/name:os.x",
    ],
)
def test_an_option_that_is_no_data_is_misuse(option):
    with pytest.raises(UsageError):
        parse_options([option])


def test_an_option_given_twice_is_misuse():
    with pytest.raises(UsageError, match="twice"):
        parse_options(["a=1", "a=2"])


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("widths", [64], [64]),
        ("rates", [1, 0.5], [1.0, 0.5]),
        ("scale", 2, 2.0),
        ("scale", "1e-6", 1e-6),
        ("plot", False, False),
        ("limit", [1], [1]),
        ("table", {"b": 2}, {"b": 2}),
    ],
)
def test_a_value_of_the_right_kind_replaces_the_default(name, value, expected):
    assert replace(DEFAULTS, {name: value}, "here")[name] == expected


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("widths", "wide", 'a list of whole numbers above zero such as [16, 32], not "wide"'),
        ("widths", [], "a list of whole numbers above zero"),
        ("widths", [-4], "a list of whole numbers above zero"),
        ("widths", 64, "a list"),
        ("widths", [64.5], "a list"),
        ("widths", ["64"], "a list"),
        ("widths", [True], "a list"),
        ("seeds", 4.5, "a whole number such as 4"),
        ("seeds", True, "a whole number"),
        ("seeds", None, "a whole number"),
        ("scale", "large", "a number"),
        ("scale", True, "a number"),
        ("plot", 1, "true or false"),
        ("table", [1], "a table"),
    ],
)
def test_a_value_of_the_wrong_kind_is_misuse(name, value, kind):
    with pytest.raises(UsageError, match="here") as caught:
        replace(DEFAULTS, {name: value}, "here")
    assert kind in str(caught.value)


def test_an_unknown_parameter_is_misuse_that_lists_the_known_ones():
    with pytest.raises(UsageError) as caught:
        replace(DEFAULTS, {"width": [3]}, "chapter alpha")
    message = str(caught.value)
    assert message.startswith("chapter alpha: no parameter 'width' (did you mean widths?)")
    assert "limit, plot, profile, rates, scale, seeds, table, widths" in message
