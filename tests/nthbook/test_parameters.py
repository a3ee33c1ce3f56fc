"""Parameters are data: what may replace them, and what the messages say."""

import pytest

from nthbook.book import UsageError
from nthbook.parameters import parse_cell, parse_options, replace

DEFAULTS = {
    "profile": "quick",
    "widths": [16, 32],
    "rates": [0.1, 1],
    "seeds": 4,
    "offset": 3,
    "shift": 0,
    "shifts": [0, 2],
    "sizes": [[64, 2], [128, 2]],
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


# What YAML 1.2's core schema and JSON say that these are. In YAML 1.1, and with PyYAML, those
# of the second half are other values.
READ = {
    "[32,64,128]": [32, 64, 128],
    "relu": "relu",
    '"4"': "4",
    "{a: 1, b: [2]}": {"a": 1, "b": [2]},
    '{"a":1,"b":{"c":null}}': {"a": 1, "b": {"c": None}},
    "null": None,
    "~": None,
    "": None,
    "true": True,
    "FALSE": False,
    "a=b": "a=b",
    "1e-6": 1e-6,
    "-1.5E3": -1500.0,
    "3 # three": 3,
    "0x1F": 31,
    "'nan'": "nan",
    '"a\\u00e9"': "aé",
    "010": 10,
    "-010": -10,
    "[010, 0o10]": [10, 8],
    "0o10": 8,
    "08": 8,
    "12:30": "12:30",
    "1:30:00": "1:30:00",
    "190:20:30.15": "190:20:30.15",
    "1_000": "1_000",
    "0b11": "0b11",
    "0x_1F": "0x_1F",
    "yes": "yes",
    "No": "No",
    "[on, off, y, n]": ["on", "off", "y", "n"],
    "2026-01-01": "2026-01-01",
    "2026-01-01T00:00:00Z": "2026-01-01T00:00:00Z",
    "{<<: 1, =: 2}": {"<<": 1, "=": 2},
    "1e3": 1000.0,
    "{a: 1e3}": {"a": 1000.0},
    "+12e03": 12000.0,
    "!!int '7'": 7,
    ".5": 0.5,
    "1.": 1.0,
}


@pytest.mark.parametrize("text", READ)
def test_an_option_is_data_of_yaml_1_2(text):
    (found,) = parse_options([f"name={text}"]).values()
    assert (found, type(found)) == (READ[text], type(READ[text]))
    assert repr(found) == repr(READ[text])  # in lists and tables as well


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "option",
    [
        "widths",
        "=3",
        "a b=3",
        "x=[1",
        "x={a: ",
        *(f"x={word}" for word in (".inf", "-.INF", ".nan", "NaN", "nan", "inf", "-Infinity")),
        *(f"x={{a: {word}}}" for word in ("NaN", "1e400", "-1e400", ".inf", "Infinity")),
        '{"a": NaN}'.join(["x=", ""]),
        "x=[1.0, 1e400]",
        "x=1e400",
        f"x={2**63}",
        f"x=-{'9' * 5000}",
        "x={a: 1, a: 2}",
        'x={"a": 1, "a": 2}',
        "x={1: 2}",
        "x={[1]: 2}",
        "x=[&a 1, *a]",
        "x=!!binary aGk=",
        "x=!!set {a}",
        "x=!!timestamp 2026-01-01",
        "x=!!bool maybe",
        "x=!!int 12:30",
        "x=!own 3",
        "x=!!python/name:os.x",
        "x=a: b: c",
        "x=--- 1\n--- 2",
        "x=\x00",
        "x=" + "[" * 10**5,
    ],
    ids=lambda option: option[:20].encode("unicode_escape").decode(),
)
def test_an_option_that_is_no_data_is_misuse(option):
    with pytest.raises(UsageError) as caught:
        parse_options([option])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_an_option_given_twice_is_misuse():
    with pytest.raises(UsageError, match="twice"):
        parse_options(["a=1", "a=2"])


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("widths", [64], [64]),
        ("rates", [1, 0.5], [1.0, 0.5]),
        ("scale", 2, 2.0),
        ("scale", 1e-6, 1e-6),
        ("plot", False, False),
        ("shift", -1, -1),
        ("shifts", [-1, 5], [-1, 5]),
        ("sizes", [[8, 1]], [[8, 1]]),
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
        ("seeds", 4.5, "a whole number above zero such as 4"),
        ("seeds", 0, "a whole number above zero such as 4, not 0"),
        ("seeds", -3, "a whole number above zero such as 4, not -3"),
        ("sizes", [[4, 0]], "a list, each entry a list of whole numbers above zero"),
        ("sizes", [[4, -1]], "each entry a list of whole numbers above zero"),
        ("sizes", [4], "each entry a list of whole numbers above zero"),
        ("widths", [16, 0], "a list of whole numbers above zero"),
        ("scale", "1e-6", 'a number such as 1.0, not "1e-6"'),
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


@pytest.mark.parametrize("value", [0, -3])
def test_a_parameter_that_the_header_calls_signed_is_no_size(value):
    assert replace(DEFAULTS, {"offset": value}, "here", ["offset"])["offset"] == value
    with pytest.raises(UsageError, match="offset must be a whole number above zero"):
        replace(DEFAULTS, {"offset": value}, "here")
    with pytest.raises(UsageError, match="offset must be a whole number such as 3"):
        replace(DEFAULTS, {"offset": 0.5}, "here", ["offset"])


def test_an_unknown_parameter_is_misuse_that_lists_the_known_ones():
    with pytest.raises(UsageError) as caught:
        replace(DEFAULTS, {"width": [3]}, "chapter alpha")
    message = str(caught.value)
    assert message.startswith("chapter alpha: no parameter 'width' (did you mean widths?)")
    assert "limit, offset, plot, profile, rates, scale, seeds, shift" in message
