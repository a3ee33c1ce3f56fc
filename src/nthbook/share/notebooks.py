"""The chapters as notebooks that run away from the book: in a folder, or behind a download."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell

from nthbook.book import Book, UsageError
from nthbook.chapter import is_parameters_cell, load_chapter
from nthbook.claims import VERDICT_MIME
from nthbook.ledger.labels import Labels, book_labels
from nthbook.run.record import Record, read_record
from nthbook.run.stale import one_unit
from nthbook.share.first_cell import INSTALL_TAG, extra_packages, install_cell, with_values
from nthbook.share.markdown import plain_markdown
from nthbook.share.notes import mark_run
from nthbook.share.repository import Repository
from nthbook.share.student import student_cells
from nthbook.share.wheel import build_wheel, wheel_name

START = "START.md"
REQUIREMENTS = "requirements.txt"

# Pages of the appendix read files of the book, such as the results of its benchmarks.
_BOOKS_OWN = "book/appendix/"
_RAW_HTML = re.compile(r"^[`:]{3,}\{raw\}", re.MULTILINE)

_START = """\
# {title}

One notebook for each chapter. They need Python 3.11 or newer, and no other file but these:

```sh
pip install -r {requirements}
jupyter lab
```

This installs JupyterLab and the library `nthlib`, from the file `{wheel}` beside this one. Where
you start Jupyter in another way, the first cell of each notebook does the same.

Every chapter names its parameters in one cell near its top. Where a text says
`nth run CHAPTER -p NAME=VALUE`, write that value into the cell and run the notebook again.
{edition}
{chapters}
"""
_STUDENT = """
This is the student edition: answers go into the empty cell below each exercise. Where a cell with
`check_answer` follows, it tells whether your number is right.
"""


@dataclass(frozen=True)
class Edition:
    """Which notebooks are wanted.

    ``profile`` puts the values of a profile into the parameters cell; None leaves the
    notebook as it was run. ``repository`` says where the library is found without a wheel.
    """

    student: bool = False
    profile: str | None = None
    repository: Repository | None = None

    @property
    def executed(self) -> bool:
        """Whether outputs are wanted."""
        return not self.student and self.profile is None


def exported_pages(book: Book) -> dict[str, str]:
    """The pages that run, and make sense, without the book and its site, by name.

    All notebooks but those of the appendix, and those that show a piece of raw HTML.
    """
    return {
        name: page
        for name, page in book.executed_pages().items()
        if not page.startswith(_BOOKS_OWN) and not _needs_site(book.root / f"{page}.md")
    }


def _needs_site(source: Path) -> bool:
    return source.is_file() and _RAW_HTML.search(source.read_text(encoding="utf-8")) is not None


def export_notebooks(
    book: Book,
    folder: Path,
    edition: Edition | None = None,
    *,
    chapters: Collection[str] = (),
    force: bool = False,
) -> Iterator[str]:
    """Write chapters to ``folder`` as notebooks, with the library's wheel beside them.

    All are written where none is named. Yields a line for each file.

    Raises:
        UsageError: before anything is written, when a file would be overwritten or a chapter
            is malformed.
    """
    edition = edition or Edition()
    names = [name for name in exported_pages(book) if not chapters or name in chapters]
    files = [f"{name}.ipynb" for name in names]
    check_folder(folder, [*files, START, REQUIREMENTS, wheel_name()], force=force)
    labels = book_labels(book, names)
    written = {name: exported_notebook(book, name, labels, edition) for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("nthlib-*.whl"):
        old.unlink()
    yield f"{build_wheel(folder)}: the library"
    for name, (notebook, state) in written.items():
        target = folder / f"{name}.ipynb"
        nbformat.write(notebook, target)
        yield f"{target}: {state}"
    sources = [cell.source for notebook, _ in written.values() for cell in notebook.cells]
    _write_requirements(folder / REQUIREMENTS, list(extra_packages(sources).values()))
    text = _START.format(
        title=book.settings.get("title", "Notebooks"),
        requirements=REQUIREMENTS,
        wheel=wheel_name(),
        edition=_STUDENT if edition.student else "",
        chapters="\n".join(f"- [{labels.heading(name)}]({name}.ipynb)" for name in names),
    )
    (folder / START).write_text(text, encoding="utf-8")
    yield f"{folder / REQUIREMENTS}: what they need"
    yield f"{folder / START}: how to begin"


def exported_notebook(book: Book, name: str, labels: Labels, edition: Edition) -> tuple[Any, str]:
    """A page as a notebook for plain Jupyter, and a word on the state it is in."""
    notebook, state = _source(book, name, edition)
    if edition.student:
        notebook.cells = student_cells(notebook.cells, name, book.answers())
    labels = replace(labels, page=name)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source, labels)
        else:
            _clean(cell)
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    _insert_install_cell(notebook, edition)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # by chance otherwise, and new in every export
    notebook.metadata = {
        key: notebook.metadata[key]
        for key in ("kernelspec", "language_info")
        if key in notebook.metadata
    }
    return notebook, state


def _source(book: Book, name: str, edition: Edition) -> tuple[Any, str]:
    record = read_record(book, name) if edition.executed else None
    if record is not None and one_unit(book, record):
        notebook = nbformat.read(book.executed_dir / f"{name}.ipynb", as_version=4)
        mark_run(notebook, record)
        return notebook, _state(record)
    chapter = load_chapter(book, name)
    notebook = chapter.notebook()
    for cell in filter(is_parameters_cell, notebook.cells):
        if edition.profile is not None:
            cell.source = with_values(cell.source, chapter.values(edition.profile, {}))
        # Away from the book no command checks what a reader writes there.
        lines = [requirement.assertion() for requirement in chapter.requires]
        cell.source = "\n".join([cell.source, "", *lines]) if lines else cell.source
    kinds = ("student edition",) if edition.student else ()
    return notebook, ", ".join((*kinds, f"profile {edition.profile or 'quick'}, not executed"))


def _state(record: Record) -> str:
    state = f"executed at profile {record.profile}"
    if record.overrides:
        values = ", ".join(f"{key} = {value!r}" for key, value in record.overrides.items())
        state += f" with {values}"
    return state


def _clean(cell: Any) -> None:
    """Take away what only the book's own pipeline reads."""
    for output in cell.get("outputs", []):
        output.get("data", {}).pop(VERDICT_MIME, None)
    cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}


def _insert_install_cell(notebook: Any, edition: Edition) -> None:
    """Put the cell before all other code, but below the title."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    address = edition.repository and edition.repository.raw(wheel_name())
    source = install_cell(
        (cell.source for cell in code), wheel_name(), address or None, edition.profile
    )
    cell = new_code_cell(source, metadata={"tags": [INSTALL_TAG]})
    place = notebook.cells.index(code[0]) if code else len(notebook.cells)
    notebook.cells.insert(place, cell)


def check_folder(folder: Path, files: list[str], *, force: bool) -> None:
    """Refuse a folder that is none, or in which a file would be overwritten.

    Raises:
        UsageError: naming the folder or the file.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    standing = [name for name in files if (folder / name).exists()]
    if standing and not force:
        raise UsageError(f"{folder / standing[0]} exists: pass --force to overwrite")


def _write_requirements(path: Path, extra: list[str]) -> None:
    lines = [f"./{wheel_name()}", "jupyterlab", *extra]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
