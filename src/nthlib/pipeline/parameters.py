"""A chapter's parameters: the values in its parameters cell, and what may replace them."""

import ast
import difflib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from .book import UsageError

PROFILES = ("smoke", "quick", "full")

Values = dict[str, Any]

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
}


def parse_cell(source: str) -> Values:
    """Read the literal assignments of a parameters cell; its code is never run.

    Raises:
        ValueError: at the first line that is anything but ``name = literal``.
    """
    values: Values = {}
    for statement in ast.parse(source).body:
        name, expression = _assignment(statement)
        try:
            values[name] = _plain(ast.literal_eval(expression))
        except ValueError as error:
            raise ValueError(f"line {statement.lineno}: {name} is not a literal") from error
    return values


def _assignment(statement: ast.stmt) -> tuple[str, ast.expr]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return name, value
    raise ValueError(f"line {statement.lineno}: only lines `name = literal` may stand there")


def parse_options(options: Iterable[str]) -> Values:
    """Read ``NAME=VALUE`` options; VALUE is data (JSON or YAML) and never evaluated.

    Raises:
        UsageError: naming the option that cannot be read.
    """
    values: Values = {}
    for option in options:
        name, equals, text = option.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise UsageError(f"-p takes NAME=VALUE, not {option!r}")
        if name in values:
            raise UsageError(f"-p {name} is given twice")
        values[name] = _parse_value(name, text)
    return values


def _parse_value(name: str, text: str) -> Any:
    try:
        return _plain(json.loads(text))  # JSON reads 1e-6 as a number, which YAML 1.1 does not
    except ValueError:
        pass
    try:
        return _plain(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"-p {name}: {text!r} is not a number, string, list or table") from error


def _plain(value: Any) -> Any:
    """Reduce a value to what JSON can hold, so that it can be compared and recorded."""
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    finite = not isinstance(value, float) or math.isfinite(value)
    if value is None or (isinstance(value, (bool, int, float, str)) and finite):
        return value
    raise ValueError(f"{value!r} is not plain data")


def replace(defaults: Values, changes: Mapping[str, Any], where: str) -> Values:
    """Return ``defaults`` with ``changes`` applied, each checked against its default.

    Args:
        defaults: the values of the parameters cell.
        changes: values to put in their place.
        where: how an error message begins, such as "chapter setting, profile smoke".

    Raises:
        UsageError: naming the unknown parameter and listing the known ones, or naming
            the parameter whose value is of another kind than its default.
    """
    unknown = [name for name in changes if name not in defaults]
    if unknown:
        raise UsageError(
            f"{where}: no parameter {unknown[0]!r}{suggest(unknown[0], defaults)}"
            f"; the chapter's parameters are {', '.join(sorted(defaults))}"
        )
    checked = {name: _conform(defaults[name], value) for name, value in changes.items()}
    for name, value in checked.items():
        if value is _WRONG:
            raise UsageError(
                f"{where}: {name} must be {_describe(defaults[name])}"
                f" such as {_show(defaults[name])}, not {_show(changes[name])}"
            )
    return {**defaults, **checked}


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a question with the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


_WRONG = object()


def _conform(default: Any, value: Any) -> Any:
    """Return the value if it is of the default's kind, else ``_WRONG``."""
    if default is None:
        return value  # nothing is known of its kind
    if isinstance(default, bool) or isinstance(value, bool):
        return value if isinstance(default, bool) and isinstance(value, bool) else _WRONG
    if isinstance(default, float):
        return _number(value)
    if type(value) is not type(default):
        return _WRONG
    if isinstance(default, list) and default:
        return _conform_entries(default, value)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str):  # YAML 1.1 reads 1e-6 as a string
        try:
            value = float(value)
        except ValueError:
            return _WRONG
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else _WRONG


def _conform_entries(default: list[Any], value: list[Any]) -> Any:
    """Hold the entries to the default's, where those are all of one kind."""
    kinds = {type(entry) for entry in default}
    if kinds == {int, float}:
        sample: Any = 0.0
    elif len(kinds) == 1:
        sample = default[0]
    else:
        return value
    entries = [_conform(sample, entry) for entry in value]
    if not entries or (_counts(default) and not _counts(entries)):
        return _WRONG
    return _WRONG if any(entry is _WRONG for entry in entries) else entries


def _counts(entries: list[Any]) -> bool:
    """Whether all are whole numbers above zero, such as widths."""
    return all(type(entry) is int and entry > 0 for entry in entries)


def _describe(default: Any) -> str:
    if isinstance(default, list) and default and _counts(default):
        return "a list of whole numbers above zero"
    return _KINDS[type(default)]


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
