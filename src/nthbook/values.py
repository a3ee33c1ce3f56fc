"""Values written by hand, in an option or a chapter's header: YAML 1.2, of which JSON is a part."""

import json
import math
import re
from typing import Any, NoReturn

import yaml

# The core schema of YAML 1.2 (section 10.3.2): what a plain word is; all others are strings.
# PyYAML's own table is that of YAML 1.1, where 010 is 8, 12:30 is 750 and `no` is false.
_CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
        list("-+.0123456789"),
    ),
    # As YAML, JSON and Python write what is no number: refused, and not taken for a word.
    "nonfinite": (r"(?i:[-+]?\.?(inf|infinity|nan))", list("-+.iInN")),
}
_PREFIX = "tag:yaml.org,2002:"


class _CoreLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the words of YAML 1.2, and without what is more than data."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - in the place of PyYAML's
    yaml_constructors = {  # noqa: RUF012
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag in (None, *(_PREFIX + kind for kind in ("null", "str", "seq", "map")))
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ValueError(f"*{self.peek_event().anchor} is a reference")
        return super().compose_node(parent, index)


def _flag(loader: _CoreLoader, node: Any) -> bool:
    text = loader.construct_scalar(node)
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text} is neither true nor false")
    return text.lower() == "true"


def _whole(loader: _CoreLoader, node: Any) -> int:
    text = loader.construct_scalar(node)
    return _integer(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _integer(text: str, base: int = 10) -> int:
    number = int(text, base) if len(text) < 100 else 2**63  # Python has a limit of its own
    if not -(2**63) <= number < 2**63:
        raise ValueError("a whole number has more than 64 bits")
    return number


def _floating(loader: _CoreLoader, node: Any) -> float:
    return float(loader.construct_scalar(node))


def _refused(loader: _CoreLoader, node: Any) -> NoReturn:
    raise ValueError(f"{loader.construct_scalar(node)} is not a finite number")


def _table(loader: _CoreLoader, node: Any) -> dict[Any, Any]:
    return _without_repetition(loader.construct_pairs(node, deep=True))


def _without_repetition(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    table: dict[Any, Any] = {}
    for name, value in pairs:
        if not isinstance(name, str):
            raise ValueError(f"a name in a table must be a string, not {name!r}")
        if name in table:
            raise ValueError(f"{name!r} is given twice in a table")
        table[name] = value
    return table


for _kind, (_words, _first) in _CORE.items():
    _CoreLoader.add_implicit_resolver(_PREFIX + _kind, re.compile(f"(?:{_words})$"), _first)
_CoreLoader.add_constructor(_PREFIX + "bool", _flag)
_CoreLoader.add_constructor(_PREFIX + "int", _whole)
_CoreLoader.add_constructor(_PREFIX + "float", _floating)
_CoreLoader.add_constructor(_PREFIX + "nonfinite", _refused)
_CoreLoader.add_constructor(_PREFIX + "map", _table)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a finite number")


_json = json.JSONDecoder(
    object_pairs_hook=_without_repetition, parse_int=_integer, parse_constant=_no_constant
)


def read(text: str) -> Any:
    """Read JSON or YAML 1.2 as plain data.

    Raises:
        ValueError: saying what is not plain data: a number that is not finite or has more than
            64 bits, a name that is given twice, a reference, a tag of another type.
    """
    try:
        return plain(_load(text))
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error)
        raise ValueError(" ".join(problem.split())) from error
    except RecursionError as error:
        raise ValueError("too deeply nested") from error


def _load(text: str) -> Any:
    try:
        return _json.decode(text)
    except json.JSONDecodeError:  # perhaps the rest of YAML
        return yaml.load(text, _CoreLoader)


def plain(value: Any) -> Any:
    """Reduce a value to what JSON can hold, so that it can be compared and recorded.

    Raises:
        ValueError: when it holds more than that.
    """
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise ValueError(f"a name in a table must be a string, not {name!r}")
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is not finite or too large")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"{value!r} is not plain data")
