"""What a notebook says of its run where that was not the book's own: its values, and a note."""

import json
from collections.abc import Mapping
from typing import Any

from nthbook.chapter import is_parameters_cell
from nthbook.run.record import Record
from nthbook.share.first_cell import with_values

DEFAULT_PROFILE = "quick"
_INJECTED = "injected-parameters"


def mark_run(notebook: Any, record: Record) -> None:
    """Show the values of the run in the parameters cell, and a note below the title.

    papermill writes the values into a cell of its own below the parameters. There they would
    contradict what a reader sees, and win over what a reader changes.
    """
    kept = [cell for cell in notebook.cells if _INJECTED not in cell.metadata.get("tags", [])]
    if len(kept) < len(notebook.cells):
        for cell in filter(is_parameters_cell, kept):
            cell.source = with_values(cell.source, record.parameters)
    notebook.cells = kept
    replaced = notebook.metadata.get("nth", {}).get("replaced", record.overrides)
    if note := chapter_note(record, replaced):
        insert_below_title(notebook, note)


def chapter_note(record: Record, replaced: Mapping[str, Any]) -> str:
    """Says, at the top of a chapter, that its numbers are not those of the book's own run.

    ``replaced`` are the parameters that differ from those the page shows.
    """
    if record.profile == DEFAULT_PROFILE and not record.overrides:
        return ""
    how = f"at profile `{record.profile}`"
    if replaced:
        how += f" with {assignments(replaced)}"
    judged = " They are recorded and not judged." if record.profile == "smoke" else ""
    text = (
        f"This page was run {how}, and its numbers and figures are of that run.{judged} The text "
        "describes the book's own run."
    )
    return f":::{{admonition}} Not the default run\n:class: note\n{text}\n:::"


def assignments(values: Mapping[str, Any]) -> str:
    """Values as Markdown, ``name = value``, in a row."""
    return ", ".join(f"`{name} = {json.dumps(value)}`" for name, value in values.items())


def insert_below_title(notebook: Any, note: str) -> None:
    """Put a note below the first heading; above it, the page would lose its title."""
    for cell in notebook.cells:
        lines = cell.source.split("\n") if cell.cell_type == "markdown" else []
        for place, line in enumerate(lines):
            if line.startswith("# "):
                cell.source = "\n".join([*lines[: place + 1], "", note, "", *lines[place + 1 :]])
                return
