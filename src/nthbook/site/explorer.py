"""The explorer: its runs, taken out of the executed page, and the plotting library they need.

The page hands its runs over as an output of a kind of its own. The build writes them to a
script, as Sphinx does with its search index: a browser loads a script from a folder on disk
as well, where it would refuse to fetch a data file.
"""

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat

from nthbook.book import Book
from nthbook.run.record import read_record
from nthbook.run.stale import one_unit

RUNS_MIME = "application/vnd.nthlib.runs+json"
PAGE = "explorer"
FOLDER = "book/assets/explorer"  # served as _static/explorer
RUNS = "runs.js"
FORMAT = 1

_AXES = ("activations", "widths", "curves", "times", "entries")
# Of the package uplot. The licence asks to be handed on with the code.
_LIBRARY = ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE")


class RunsError(ValueError):
    """The page's runs do not have the form that the explorer reads."""


def explorer_files(book: Book, packages: Path) -> Iterator[tuple[str, bytes]]:
    """What the build adds to the explorer's own script and style: names, and contents.

    Nothing for a book without the page. Where the page has not been run, the script says so
    to the page, which then shows no controls.

    Args:
        book: the book.
        packages: the folder ``node_modules`` that npm has filled.

    Raises:
        RunsError: the page was run, and its runs are missing or malformed.
    """
    if PAGE not in book.executed_pages():
        return
    for path in (packages / "uplot" / name for name in _LIBRARY):
        yield f"{FOLDER}/{path.name}", path.read_bytes()
    yield f"{FOLDER}/{RUNS}", runs_script(_executed_runs(book)).encode()


def runs_script(runs: Mapping[str, Any] | None) -> str:
    """The script that hands the runs to the explorer; ``null`` where there are none.

    Raises:
        RunsError: saying what is wrong with the runs.
    """
    if runs is not None:
        check_runs(runs)
    return f"nthExplorer({json.dumps(runs, separators=(',', ':'), allow_nan=False)});\n"


def check_runs(runs: Mapping[str, Any]) -> None:
    """Raise ``RunsError`` unless the runs are what the explorer's script reads."""
    if runs.get("format") != FORMAT:
        raise RunsError(f"format must be {FORMAT}, got {runs.get('format')!r}")
    for name in (*_AXES, "inputs", "labels", "valid_until", "numbers"):
        if name not in runs:
            raise RunsError(f"{name} is missing")
    try:
        found = len(base64.b64decode(runs["numbers"], validate=True))
    except (TypeError, binascii.Error) as error:
        raise RunsError("numbers must be text in base64") from error
    wanted = 4 * math.prod(len(runs[name]) for name in _AXES)
    if found != wanted:
        sizes = " x ".join(f"{len(runs[name])} {name}" for name in _AXES)
        raise RunsError(f"numbers must hold {wanted} bytes ({sizes}), got {found}")


def take_runs(notebook: Any) -> dict[str, Any] | None:
    """Take the runs out of an executed notebook; what they say in words stays.

    Sphinx would warn of an unknown kind of output.
    """
    taken = None
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        taken = output.get("data", {}).pop(RUNS_MIME, None) or taken
    return taken


def _executed_runs(book: Book) -> dict[str, Any] | None:
    record = read_record(book, PAGE)
    if record is None or not one_unit(book, record):
        return None
    runs = take_runs(nbformat.read(book.executed_dir / f"{PAGE}.ipynb", as_version=4))
    if runs is None:
        raise RunsError("the page was run, and handed over no runs")
    return runs
