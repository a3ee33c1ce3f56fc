"""A book of one small chapter with all that a chapter may hold, as if it had been run."""

import base64
import io
from pathlib import Path

import nbformat
from matplotlib.figure import Figure

from nthbook.claims import VERDICT_MIME, Verdict, anchor
from nthbook.run.record import Record

ROOT = Path(__file__).parents[3]

# The chapters that `make test` runs at smoke: cheap ones. Its test of controls runs another.
SAMPLE = ("explorer", "discrete-steps", "derivation", "performance")

TOC = """\
format: jb-book
root: book/intro
parts:
  - caption: Chapters
    numbered: true
    chapters:
      - file: book/chapters/example
  - caption: Appendix
    chapters:
      - file: book/appendix/ledger
      - file: book/appendix/runs
      - file: book/appendix/references
"""

CLAIMS = """\
[[claim]]
id = "example-slope"
chapter = "example"
kind = "theorem"
statement = "max |K_0^(2) − 𝔎^(2)| falls like m^(−1/2) *at once*"
source = "Theorem 2.3"
quantity = "exponent of m"
predicted = -0.5
margin = 0.1
rival = -1.0
control = "The readout has the wrong variance"
tests = "example-theorem"

[[claim]]
id = "example-defect"
chapter = "example"
kind = "expectation"
statement = "The defect is small"
source = "a guess"
quantity = "relative defect"
predicted = 0.0
margin = 1e-6
control = "Another kernel"
"""

INTRO = """\
# A small book

It has [one chapter](chapters/example.md) and a {cite}`huang2020dynamics` citation.

<!-- generated: summary -->
"""

CHAPTER = r"""(example)=
# One example

The flow obeys $\partial_t f = -\frac1n K^{(2)} (f - y)$, and at length

$$
\partial_t K^{(r)}_{\alpha_1 \ldots \alpha_r} = -\frac1n \sum_{\beta=1}^n K^{(r+1)}_{\alpha_1 \ldots
\alpha_r \beta} (f_\beta - y_\beta) + \frac{1}{n} \sum_{\beta=1}^n K^{(r+1)}_{\alpha_1 \ldots
\alpha_r \beta} (f_\beta - y_\beta) + \int_0^t \sum_{\gamma} K^{(r+2)}_{\alpha_1 \ldots \alpha_r
\beta \gamma}(s) \, \mathrm{d}s.
$$ (long)

:::{prf:theorem} Example
:label: example-theorem
The kernel drifts by order $1/m$, see {eq}`long`.
:::

{prf:ref}`example-theorem` is proved in {cite}`huang2020dynamics`.
"""

EXERCISES = r"""## Exercises

:::{exercise}
:label: example-exercise
Show that $\lVert K \rVert \ge 0$.
:::

:::{solution} example-exercise
:class: dropdown
It is a norm: $\lVert x \rVert = \sqrt{x \cdot x}$.
:::
"""


SLOPE = Verdict("example-slope", False, -0.48, -0.53, -0.43, "holds", "quick")
CONTROL = Verdict("example-slope", True, 0.0, -0.1, 0.1, "fails", "quick")


def _figure() -> str:
    figure = Figure(figsize=(6, 3))
    axes = figure.add_subplot()
    axes.loglog([64, 128, 256], [1.0, 0.5, 0.25], marker="o")
    axes.set_title("Does the kernel settle?")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return base64.b64encode(buffer.getvalue()).decode()


def _verdict_output(*verdicts: Verdict):
    lines = [f"{verdict.id}: {verdict.outcome}" for verdict in verdicts]
    boxes = [
        f'<div id="{anchor(verdict.id, control=verdict.control)}" '
        f'class="nth-verdict nth-{verdict.tone}">{line}</div>'
        for verdict, line in zip(verdicts, lines, strict=True)
    ]
    data = {"text/plain": "\n".join(lines), "text/html": "".join(boxes)}
    data[VERDICT_MIME] = [verdict.as_dict() for verdict in verdicts]
    return nbformat.v4.new_output("display_data", data)


def example_notebook() -> nbformat.NotebookNode:
    """An executed chapter with a figure, verdicts, a theorem, an exercise and a citation."""
    new = nbformat.v4
    figure = new.new_output("display_data", {"image/png": _figure(), "text/plain": "<Figure>"})
    wide = new.new_output("stream", name="stdout", text="number " * 60)
    code = new.new_code_cell(
        "import nthlib as nth\nplot()", outputs=[figure, wide, _verdict_output(SLOPE, CONTROL)]
    )
    code.metadata["mystnb"] = {"image": {"alt": "A line that falls"}}
    cells = [new.new_markdown_cell(CHAPTER), code, new.new_markdown_cell(EXERCISES)]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # by chance otherwise
    notebook = new.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["nth"] = {"run_id": "1"}
    return notebook


def example_record(**changes) -> Record:
    """The record of a good run of the example."""
    values = {
        "chapter": "example",
        "profile": "quick",
        "parameters": {"widths": [64, 128]},
        "overrides": {},
        "digests": {},
        "run_id": "1",
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 12.3,
        "cells": 1,
        "peak_memory_mb": 345.0,
        "versions": {"jax": "0.10.2", "nthlib": "0.1.0"},
        "verdicts": [{**verdict.as_dict(), "cell": 1} for verdict in (SLOPE, CONTROL)],
    }
    return Record(**{**values, **changes})
