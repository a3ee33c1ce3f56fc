"""A chapter's parameters: the values in its parameters cell, and what may replace them."""

import ast
import difflib
import json
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from nthbook import values as written
from nthbook.book import UsageError

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
            values[name] = written.plain(ast.literal_eval(expression))
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
    """Read ``NAME=VALUE`` options; VALUE is data (JSON or YAML 1.2) and never evaluated.

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
        return written.read(text)
    except ValueError as error:
        short = text if len(text) < 40 else text[:37] + "..."
        raise UsageError(
            f"-p {name}: {short!r} is not a number, string, list or table: {error}"
        ) from error


def replace(
    defaults: Values, changes: Mapping[str, Any], where: str, signed: Collection[str] = ()
) -> Values:
    """Return ``defaults`` with ``changes`` applied, each checked against its default.

    A whole number above zero is taken for a size, in a list as well: what replaces it must be
    above zero too.

    Args:
        defaults: the values of the parameters cell.
        changes: values to put in their place.
        where: how an error message begins, such as "chapter setting, profile smoke".
        signed: parameters that are no sizes: they may be zero or negative.

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
    checked = {
        name: _conform(defaults[name], value, name in signed) for name, value in changes.items()
    }
    for name, value in checked.items():
        if value is _WRONG:
            raise UsageError(
                f"{where}: {name} must be {_describe(defaults[name], name in signed)}"
                f" such as {_show(defaults[name])}, not {_show(changes[name])}"
            )
    return {**defaults, **checked}


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a question with the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


_WRONG = object()


def _conform(default: Any, value: Any, signed: bool) -> Any:
    """Return the value if it is of the default's kind, else ``_WRONG``."""
    if default is None:
        return value  # nothing is known of its kind
    if isinstance(default, bool) or isinstance(value, bool):
        return value if isinstance(default, bool) and isinstance(value, bool) else _WRONG
    if isinstance(default, float):
        return _number(value)
    if type(value) is not type(default):
        return _WRONG
    if isinstance(default, int) and _is_size(default, signed) and value <= 0:
        return _WRONG
    if isinstance(default, list) and default:
        return _conform_entries(default, value, signed)
    return value


def _is_size(default: int, signed: bool) -> bool:
    return default > 0 and not signed


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else _WRONG


def _conform_entries(default: list[Any], value: list[Any], signed: bool) -> Any:
    """Hold the entries to the default's, where those are all of one kind."""
    kinds = {type(entry) for entry in default}
    if kinds == {int, float}:
        sample: Any = 0.0
    elif kinds == {int}:
        sample = min(default)  # sizes, if all are above zero
    elif len(kinds) == 1:
        sample = default[0]
    else:
        return value
    entries = [_conform(sample, entry, signed) for entry in value]
    return _WRONG if not entries or any(entry is _WRONG for entry in entries) else entries


def _describe(default: Any, signed: bool) -> str:
    if type(default) is int and _is_size(default, signed):
        return "a whole number above zero"
    if isinstance(default, list) and default:
        if all(type(entry) is int and _is_size(entry, signed) for entry in default):
            return "a list of whole numbers above zero"
        if all(isinstance(entry, list) for entry in default):
            return f"a list, each entry {_describe(default[0], signed)}"
    return _KINDS[type(default)]


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
