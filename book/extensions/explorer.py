"""A Sphinx extension of this book alone: it hands the explorer its runs, and what draws them.

The page hands its runs over as an output of a kind of its own. The build writes them to a
script, as Sphinx does with its search index: a browser loads a script from a folder on disk
as well, where it would refuse to fetch a data file.
"""

import base64
import binascii
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

RUNS_MIME = "application/vnd.nthlib.runs+json"
PAGE = "book/start/explorer"
FORMAT = 1

_AXES = ("activations", "widths", "curves", "times", "entries")
# Of the package uplot. The licence asks to be handed on with the code.
_LIBRARY = ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE")


class RunsError(ExtensionError):
    """The page's runs do not have the form that the explorer reads."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", _copy_library)
    app.connect("source-read", _hand_over)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _folder(app: Sphinx) -> Path:
    folder = app.outdir / "_static" / "explorer"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _copy_library(app: Sphinx) -> None:
    for name in _LIBRARY:
        shutil.copy(Path(os.environ["NODE_PATH"], "uplot", name), _folder(app))


def _hand_over(app: Sphinx, page: str, source: list[str]) -> None:
    if page == PAGE:
        notebook = json.loads(source[0])
        (_folder(app) / "runs.js").write_text(runs_script(take_runs(notebook)), encoding="utf-8")
        source[0] = json.dumps(notebook)


def take_runs(notebook: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Take the runs out of a notebook, which Sphinx could not show; their words stay.

    None where the notebook has not been run.

    Raises:
        RunsError: it was run, and there are no runs.
    """
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    found = [output.get("data", {}).pop(RUNS_MIME, None) for output in outputs]
    runs = next(filter(None, found), None)
    if outputs and runs is None:
        raise RunsError("the explorer was run, and handed over no runs")
    return runs


def runs_script(runs: Mapping[str, Any] | None) -> str:
    """The script that hands the runs to the explorer; it shows no controls where there are none.

    Raises:
        RunsError: saying what is wrong with the runs.
    """
    if runs is not None:
        _check(runs)
    return f"nthExplorer({json.dumps(runs, separators=(',', ':'), allow_nan=False)});\n"


def _check(runs: Mapping[str, Any]) -> None:
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
