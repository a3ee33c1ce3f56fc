"""The student edition of a chapter: no solutions, and an empty cell below every exercise."""

from collections.abc import Sequence
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from nthbook.answers import Answer
from nthbook.book import UsageError
from nthbook.directives import Directive, pieces

ANSWER_TAG, CHECK_TAG = "answer", "check"
# An exercise of this grade is answered by code.
_RUNNING = "running"


def student_cells(
    cells: Sequence[Any], name: str, answers: Sequence[Answer] = ()
) -> list[NotebookNode]:
    """Return the cells of a chapter, as written, without its solutions and with room for answers.

    A solution is a directive, or all that stands between ``solution-start`` and
    ``solution-end``, code included. Below an exercise with a registered answer stands a cell
    that checks a number and does not hold it.

    Raises:
        UsageError: naming the chapter, when a solution begins and does not end.
    """
    edition = _Edition(answers)
    for cell in cells:
        if cell.cell_type == "markdown":
            edition.read(cell.source)
        elif not edition.in_solution:
            edition.cells.append(cell)
    if edition.in_solution:
        raise UsageError(f"chapter {name}: a solution-start has no solution-end")
    return edition.cells


class _Edition:
    """The cells so far, and where the reading stands."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = answers
        self.cells: list[NotebookNode] = []
        self.in_solution = False
        self._exercise: Directive | None = None

    def read(self, text: str) -> None:
        """Take over what is not a solution; close an exercise with a cell for its answer."""
        kept = ""
        for piece in pieces(text):
            name = "" if piece.directive is None else piece.directive.name
            if name in ("solution-start", "solution-end"):
                self.in_solution = name == "solution-start"
            elif name == "solution" or self.in_solution:
                continue
            else:
                kept += piece.text
            if name in ("exercise", "exercise-start"):
                self._exercise = piece.directive
            if name in ("exercise", "exercise-end") and self._exercise is not None:
                self._write(kept)
                self.cells.append(_answer(self._exercise))
                self.cells += self._checks(self._exercise.label)
                kept, self._exercise = "", None
        self._write(kept)

    def _checks(self, exercise: str) -> list[NotebookNode]:
        metadata = {"tags": [CHECK_TAG], "nth": {"exercise": exercise}}
        own = (answer for answer in self._answers if answer.exercise == exercise)
        return [new_code_cell(answer.cell(), metadata=metadata) for answer in own]

    def _write(self, text: str) -> None:
        if text.strip():
            self.cells.append(new_markdown_cell(text.strip("\n")))


def _answer(exercise: Directive) -> NotebookNode:
    metadata = {"tags": [ANSWER_TAG], "nth": {"exercise": exercise.label}}
    if _RUNNING in exercise.argument.lower():
        return new_code_cell("# Your code", metadata=metadata)
    return new_markdown_cell("*Your answer*", metadata=metadata)
