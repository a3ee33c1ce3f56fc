"""A chapter's source: its header, its parameters, its cells."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jupytext
from nbformat import NotebookNode

from nthbook import parameters, requirements
from nthbook import values as written
from nthbook.book import Book, UsageError
from nthbook.parameters import PROFILES, Values

PARAMETERS_TAG = "parameters"


@dataclass(frozen=True)
class Chapter:
    """A chapter as written: ``defaults`` are the values at profile quick.

    A whole number above zero among them is a size, and stays above zero, unless ``signed``
    names it. ``requires`` are further conditions on the values.
    """

    name: str
    text: str
    defaults: Values
    profiles: dict[str, Values]
    expected: dict[str, float]
    signed: list[str]
    requires: list[requirements.Requirement]

    def values(self, profile: str, overrides: Mapping[str, Any]) -> Values:
        """Return all parameters at a profile, with overrides that win over its table.

        Raises:
            UsageError: for an unknown parameter, a value of the wrong kind, or values that break
                a condition of the header.
        """
        table, where = self.profiles.get(profile, {}), f"chapter {self.name}"
        values = parameters.replace(
            self.defaults, table, f"{where}, profile {profile}", self.signed
        )
        if "profile" in overrides:
            raise UsageError("-p profile=.. is not possible: use --profile")
        # Held to the book's own values: what a profile puts in their place may be of another sign.
        checked = parameters.replace(self.defaults, overrides, where, self.signed)
        values |= {name: checked[name] for name in overrides}
        values["profile"] = profile
        for requirement in self.requires:
            if problem := requirement.problem(values):
                raise UsageError(f"{where}, profile {profile}: {problem}")
        return values

    def notebook(self) -> NotebookNode:
        """Turn the text into a notebook that has not run."""
        return jupytext.reads(self.text, fmt="md:myst")


def is_parameters_cell(cell: NotebookNode) -> bool:
    """Tell whether a cell holds the chapter's parameters."""
    return cell.cell_type == "code" and PARAMETERS_TAG in cell.metadata.get("tags", [])


def load_chapter(book: Book, name: str) -> Chapter:
    """Read a chapter and check its header and its parameters cell.

    Raises:
        UsageError: when the chapter is missing or its header or parameters are malformed.
    """
    path = book.chapter_path(name)
    try:
        return _parse(name, path.read_text(encoding="utf-8"))
    except UsageError:
        raise
    except FileNotFoundError as error:
        raise UsageError(f"chapter {name} is in _toc.yml but not at {path}") from error
    except Exception as error:  # jupytext and yaml raise errors of many types
        raise UsageError(f"chapter {name}: {' '.join(str(error).split())}") from error


def _parse(name: str, text: str) -> Chapter:
    notebook = jupytext.reads(text, fmt="md:myst")
    header, defaults = _header(text), _defaults(notebook)
    chapter = Chapter(
        name,
        text,
        defaults,
        {profile: dict(table) for profile, table in _table(header, "profiles").items()},
        {profile: float(seconds) for profile, seconds in _table(header, "expected").items()},
        _signed(header),
        requirements.read(header.get("requires") or [], defaults),
    )
    _check(chapter)
    return chapter


def _header(text: str) -> dict[str, Any]:
    """The table ``nth`` of the header, read as the options of the command are."""
    front = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    contents = written.read(front[1]) if front else None
    header = (contents or {}).get("nth") or {}
    if not isinstance(header, dict):
        raise ValueError(f"nth in the header must be a table, not {header!r}")
    return header


def _signed(header: Mapping[str, Any]) -> list[str]:
    names = header.get("signed") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("nth.signed in the header must be a list of parameters")
    return names


def _table(header: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = header.get(key) or {}
    if unknown := sorted(set(table) - set(PROFILES)):
        raise ValueError(
            f"nth.{key} in the header names the profile {unknown[0]!r};"
            f" the profiles are {', '.join(PROFILES)}"
        )
    return dict(table)


def _defaults(notebook: NotebookNode) -> Values:
    cells = [cell for cell in notebook.cells if is_parameters_cell(cell)]
    if len(cells) != 1:
        raise ValueError(f"one code cell must be tagged {PARAMETERS_TAG}, not {len(cells)}")
    try:
        return parameters.parse_cell(cells[0].source)
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"the parameters cell: {error}") from error


def _check(chapter: Chapter) -> None:
    if chapter.defaults.get("profile") != "quick":
        raise ValueError('the parameters cell must hold the line profile = "quick"')
    if "quick" in chapter.profiles:
        raise ValueError("the values of profile quick belong in the parameters cell")
    if unknown := sorted(set(chapter.signed) - set(chapter.defaults)):
        raise ValueError(f"nth.signed in the header names no parameter {unknown[0]!r}")
    for profile in PROFILES:
        chapter.values(profile, {})
