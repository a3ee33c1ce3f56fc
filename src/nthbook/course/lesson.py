"""A chapter as a teacher takes it apart: question, statement, pictures, numbers, exercises."""

import base64
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

import nbformat
from nbformat.v4 import new_output
from PIL import Image

from nthbook.book import CHAPTERS, Book
from nthbook.chapter import load_chapter
from nthbook.claims import VERDICT_MIME
from nthbook.directives import Directive, directives, pieces
from nthbook.ledger.labels import Labels, book_labels
from nthbook.ledger.rows import LedgerRow, ledger_rows
from nthbook.run.record import Record, read_record
from nthbook.run.stale import one_unit

Kind = Literal["heading", "prose", "box", "code", "printed", "figure", "verdict"]

_HEADING = re.compile(r"^(#{1,4})[ \t]+(.+?)[ \t]*$", re.MULTILINE)
_TARGET = re.compile(r"^\([\w:.-]+\)=[ \t]*$", re.MULTILINE)
# A theorem says more than a definition: the first of these that a chapter has is its statement.
_STATEMENTS = ("prf:theorem", "prf:corollary", "prf:proposition", "prf:lemma", "prf:definition")
# Of several exercises of one grade a handout takes the first.
GRADES = ("hand", "running", "thinking")


@dataclass(frozen=True)
class Block:
    """A piece of a chapter: ``text`` is Markdown, code, an address of a picture, or claims' ids."""

    kind: Kind
    text: str
    level: int = 0
    alt: str = ""
    directive: Directive | None = None


@dataclass(frozen=True)
class Exercise:
    """An exercise: its directive, its number in the book, and what its solution holds."""

    directive: Directive
    number: str
    solution: tuple[Block, ...] = ()

    @property
    def grade(self) -> str:
        """How it is answered: by hand, running or thinking."""
        title = self.directive.argument.lower()
        return next((grade for grade in GRADES if grade in title), title)


@dataclass(frozen=True)
class Lesson:
    """A chapter in pieces. ``record`` is that of its run; None where it has not run."""

    name: str
    labels: Labels
    record: Record | None
    blocks: tuple[Block, ...]
    exercises: tuple[Exercise, ...]
    rows: tuple[LedgerRow, ...]
    borrowed: tuple[str, Directive] | None = None

    @property
    def number(self) -> str:
        """The chapter's number in the book."""
        return self.labels.numbers.get(self.name, "")

    @property
    def title(self) -> str:
        """The chapter's first heading."""
        return self.labels.titles.get(self.name, self.name)

    @property
    def question(self) -> str:
        """What stands between the title and the first box or section, as Markdown."""
        after = self.blocks[1:] if self.blocks and self.blocks[0].kind == "heading" else self.blocks
        found = []
        for block in after:
            if block.kind != "prose":
                break
            found.append(block.text)
        return "\n\n".join(found)

    @cached_property
    def statement(self) -> tuple[str, Directive] | None:
        """The statement that a handout shows, with its chapter: its own, or that it tests."""
        own = [block.directive for block in self.blocks if block.directive is not None]
        for kind in _STATEMENTS:
            for directive in own:
                if directive.name == kind:
                    return self.name, directive
        return self.borrowed

    @property
    def figures(self) -> list[Block]:
        """The pictures of its run."""
        return [block for block in self.blocks if block.kind == "figure"]

    @property
    def claims(self) -> list[LedgerRow]:
        """Its rows of the ledger; those that test the statement come first."""
        label = self.statement[1].label if self.statement else ""
        return sorted(self.rows, key=lambda row: row.claim.tests != label)

    def chosen_exercises(self, count: int = 3) -> list[Exercise]:
        """An exercise of each grade, in the order of the chapter."""
        first = {exercise.grade: exercise for exercise in reversed(self.exercises)}
        rest = [each for each in self.exercises if each is not first[each.grade]]
        taken = [*first.values(), *rest][: max(count, 0)]
        return [exercise for exercise in self.exercises if exercise in taken]


def lessons(book: Book, names: Sequence[str] = ()) -> Iterator[Lesson]:
    """Take the chapters apart, in the order of the book; all where none is named.

    A chapter is taken as it was last run, or as it is written where it has not run.

    Raises:
        UsageError: when a chapter is missing or malformed.
    """
    chapters = [name for name, page in book.executed_pages().items() if page.startswith(CHAPTERS)]
    labels = book_labels(book, ())
    stated = _all_statements(book, chapters)
    rows = ledger_rows(book, chapters)
    for name in chapters:
        if not names or name in names:
            own = tuple(row for row in rows if row.claim.chapter == name)
            yield _lesson(book, name, replace(labels, page=name), own, stated)


def _lesson(
    book: Book,
    name: str,
    labels: Labels,
    rows: tuple[LedgerRow, ...],
    stated: Mapping[str, tuple[str, Directive]],
) -> Lesson:
    record = read_record(book, name)
    if record is not None and one_unit(book, record):
        notebook = nbformat.read(book.executed_dir / f"{name}.ipynb", as_version=4)
    else:
        notebook, record = load_chapter(book, name).notebook(), None
    reader = _Reader(labels)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            reader.read(cell.source)
        else:
            reader.add(*_cell_blocks(cell))
    tested = Counter(row.claim.tests for row in rows if row.claim.tests in stated)
    borrowed = stated[str(tested.most_common(1)[0][0])] if tested else None
    blocks, exercises = tuple(reader.blocks), tuple(reader.exercises.values())
    return Lesson(name, labels, record, blocks, exercises, rows, borrowed)


def _all_statements(book: Book, chapters: Sequence[str]) -> dict[str, tuple[str, Directive]]:
    found = {}
    for name in chapters:
        path = book.chapter_path(name)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for directive in directives(text):
            if directive.name in _STATEMENTS and directive.label:
                found[directive.label] = (name, directive)
    return found


class _Reader:
    """Reads the cells of a chapter; what belongs to a solution goes to its exercise."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.blocks: list[Block] = []
        self.exercises: dict[str, Exercise] = {}
        self._solved = ""  # the exercise whose solution is being read

    def add(self, *blocks: Block) -> None:
        """Put blocks where the reading stands."""
        if self._solved in self.exercises:
            exercise = self.exercises[self._solved]
            solution = (*exercise.solution, *blocks)
            self.exercises[self._solved] = replace(exercise, solution=solution)
        elif not self._solved:
            self.blocks.extend(blocks)

    def read(self, text: str) -> None:
        """Read a cell of Markdown."""
        for piece in pieces(text):
            directive = piece.directive
            if directive is None:
                kind: Kind = "code" if piece.code else "prose"
                self.add(*([Block(kind, piece.text)] if piece.code else _paragraphs(piece.text)))
            elif directive.name in ("exercise", "exercise-start"):
                number = self.labels.numbers.get(directive.label, "")
                self.exercises[directive.label] = Exercise(directive, number)
                self.add(Block("box", piece.text, directive=directive))
            elif directive.name == "solution":
                self._solved = directive.argument
                self.add(*_paragraphs(directive.body))
                self._solved = ""
            elif directive.name == "solution-start":
                self._solved = directive.argument
            elif directive.name == "solution-end":
                self._solved = ""
            else:
                self.add(Block("box", piece.text, directive=directive))


def _paragraphs(text: str) -> Iterator[Block]:
    """Headings, and the paragraphs between them."""
    for paragraph in re.split(r"\n[ \t]*\n", _TARGET.sub("", text)):
        done = 0
        for heading in _HEADING.finditer(paragraph):
            if before := paragraph[done : heading.start()].strip():
                yield Block("prose", before)
            yield Block("heading", heading[2], level=len(heading[1]))
            done = heading.end()
        if rest := paragraph[done:].strip("\n"):
            yield Block("prose", rest)


def _cell_blocks(cell: Any) -> Iterator[Block]:
    yield Block("code", cell.source)
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    for output in _merged(cell.get("outputs", [])):
        data = output.get("data", {})
        if VERDICT_MIME in data:
            ids = dict.fromkeys(str(verdict["id"]) for verdict in data[VERDICT_MIME])
            yield Block("verdict", " ".join(ids))
        elif "image/png" in data:
            yield Block("figure", _webp(data["image/png"]), alt=alt)
        elif text := output.get("text") or data.get("text/plain"):
            yield Block("printed", text)


def _merged(outputs: Sequence[Any]) -> Iterator[Any]:
    """Outputs, with what was printed in a row as one: a kernel sends it in pieces."""
    for streams, group in groupby(outputs, lambda output: output.output_type == "stream"):
        if streams:
            yield new_output("stream", text="".join(output.text for output in group))
        else:
            yield from group


def _webp(png: str) -> str:
    """A figure as an address that holds it, without loss."""
    written = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as figure:
        figure.save(written, "webp", lossless=True, method=4, exact=True)
    return f"data:image/webp;base64,{base64.b64encode(written.getvalue()).decode()}"
