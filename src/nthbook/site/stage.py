"""The copy of the sources from which the site is built.

Chapters come as executed notebooks, with a note on how they were run; pages come with their
generated pieces in place. Files that did not change are not written again, so that Sphinx
reads again what changed and nothing else.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from nthbook.book import Book
from nthbook.chapter import load_chapter
from nthbook.claims import VERDICT_MIME
from nthbook.ledger.rows import Record, read_record
from nthbook.pages.front import FIGURE, front_figure
from nthbook.pages.written import chapter_footer, fill_page, missing_note
from nthbook.run.stale import one_unit
from nthbook.share.notebooks import exported_pages
from nthbook.share.notes import insert_below_title, mark_run
from nthbook.share.repository import Repository, launch_settings
from nthbook.site.mathjax import mathjax_files

_SETTINGS = ("_config.yml", "_toc.yml")
_CHAPTER_LINK = re.compile(r"\]\(([\w./-]*/)?([\w-]+)\.md\b")
_ASSETS = ("book/assets/", "book/extensions/", "book/references.bib", "book/images/")


class StagingError(Exception):
    """Something the site needs is not there; the message says what, and what to do."""


def stage_book(
    book: Book,
    mathjax: Path,
    *,
    allow_missing: bool = False,
    repository: Repository | None = None,
) -> None:
    """Make ``book.staged_dir`` hold exactly what the site is built from.

    Args:
        book: the book.
        mathjax: the installed MathJax package.
        allow_missing: show a chapter that has not been run without results, and say so.
        repository: where the buttons lead that open a notebook; None leaves them out.

    Raises:
        StagingError: when a page of ``_toc.yml`` has no source, or a chapter no finished run.
    """
    run = {page: name for name, page in book.executed_pages().items()}
    texts = dict(
        _executed(book, page, run[page], allow_missing) if page in run else _page(book, page)
        for page in book.pages()
    )
    notebooks = {name for name in texts if name.endswith(".ipynb")}
    pages = {name: _follow(notebooks, text).encode() for name, text in texts.items()}
    shared = dict(_shared_files(book, mathjax))
    if repository is not None:
        settings = shared["_config.yml"].decode()
        launched = exported_pages(book)
        shared["_config.yml"] = launch_settings(settings, repository, launched).encode()
    _mirror({**shared, **pages}, book.staged_dir)


def staged_notebook(notebook: Any, record: Record, page: str) -> Any:
    """An executed notebook as the site shows it: with a note on its run above and below."""
    _take_out_verdicts(notebook)
    mark_run(notebook, record)
    footer = nbformat.v4.new_markdown_cell(chapter_footer(record, page), id="nth-run")
    notebook.cells.append(footer)
    return notebook


def _shared_files(book: Book, mathjax: Path) -> Iterator[tuple[str, bytes]]:
    for name in _SETTINGS:
        yield name, (book.root / name).read_bytes()
    for path in sorted((book.root / "book").rglob("*")):
        name = path.relative_to(book.root).as_posix()
        if path.is_file() and name.startswith(_ASSETS):
            yield name, path.read_bytes()
    if figure := front_figure(book):
        yield FIGURE, figure.png
    for name, path in mathjax_files(mathjax):
        yield f"book/assets/mathjax/{name}", path.read_bytes()


def _follow(notebooks: set[str], text: str) -> str:
    """Let links to a chapter's source, as an editor follows them, lead to its notebook."""
    names = {Path(name).stem for name in notebooks}

    def link(match: re.Match[str]) -> str:
        return f"]({match[1] or ''}{match[2]}.ipynb" if match[2] in names else match[0]

    return _CHAPTER_LINK.sub(link, text)


def _page(book: Book, page: str) -> tuple[str, str]:
    source = book.root / f"{page}.md"
    if not source.is_file():
        raise StagingError(f"_toc.yml names {page}, but there is no {page}.md")
    return f"{page}.md", fill_page(source.read_text(encoding="utf-8"), book)


def _executed(book: Book, page: str, name: str, allow_missing: bool) -> tuple[str, str]:
    record = read_record(book, name)
    if record is not None and one_unit(book, record):
        notebook = nbformat.read(book.executed_dir / f"{name}.ipynb", as_version=4)
        text = nbformat.writes(staged_notebook(notebook, record, page))
        return f"{page}.ipynb", text
    if not allow_missing:
        raise StagingError(
            f"chapter {name} has no finished run; run it with: nth run {name}\n"
            "or show it without results: nth build --allow-missing"
        )
    notebook = load_chapter(book, name).notebook()
    # Its labels stay, so that other pages can refer to them.
    insert_below_title(notebook, missing_note(name))
    return f"{page}.ipynb", nbformat.writes(notebook)


def _take_out_verdicts(notebook: Any) -> None:
    """The ledger has collected them; Sphinx would warn of an unknown kind of output."""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        output.get("data", {}).pop(VERDICT_MIME, None)


def _mirror(files: dict[str, bytes], folder: Path) -> None:
    """Make ``folder`` hold these files and no others; leave equal ones untouched."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in files:
            path.unlink()
    for name, contents in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != contents:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents)
