"""What is taken from an executed notebook, and what is taken out of it."""

import re
from typing import Any

from nbformat import NotebookNode

from nthbook.claims import VERDICT_MIME

# The first line of Python's own warning format. Only these categories speak to a reader.
_WARNING = re.compile(r"^.*:\d+: (?P<kind>UserWarning|RuntimeWarning): (?P<message>.*)$")


def collect_verdicts(notebook: NotebookNode) -> list[dict[str, Any]]:
    """Return what ``judge`` displayed, in order, with the index of the cell that did."""
    return [
        {**verdict, "cell": index}
        for index, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        for verdict in output.get("data", {}).get(VERDICT_MIME, [])
    ]


def strip_stderr(notebook: NotebookNode) -> str:
    """Take the noise on stderr out of a notebook and return it, for a log.

    Progress bars and a backend's remarks are no part of the book. A ``UserWarning`` or a
    ``RuntimeWarning`` stays, as one line without the path of the file that gave it: what
    the library warns of, the reader shall see.
    """
    noise: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs if (kept := _strip(output, noise))]
    return "".join(noise)


def _strip(output: NotebookNode, noise: list[str]) -> NotebookNode | None:
    if output.output_type != "stream" or output.name != "stderr":
        return output
    noise.append(output.text)
    found = [match for line in output.text.splitlines() if (match := _WARNING.match(line))]
    if not found:
        return None
    output.text = "".join(f"{match['kind']}: {match['message']}\n" for match in found)
    return output


def hide_injected_cell(notebook: NotebookNode) -> None:
    """Keep papermill's cell of parameters in the notebook and off the page."""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags and "remove-cell" not in tags:
            cell.metadata["tags"] = [*tags, "remove-cell"]


def forget_paths(notebook: NotebookNode) -> None:
    """Remove papermill's own notes, which hold paths of this machine."""
    notebook.metadata.pop("papermill", None)


def first_line(source: str) -> str:
    """Return the first line of code in a cell, to find it by."""
    lines = (line.strip() for line in source.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")
