"""Hand the finished book on: a server for this machine alone, and notebooks in a folder."""

import functools
import http.server
import shutil
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import nbformat

from .book import Book, UsageError
from .chapter import load_chapter
from .record import read_record
from .staleness import one_unit

LOOPBACK = "127.0.0.1"


class _SiteHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files, quietly; a folder without an index page is not listed."""

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def site_server(book: Book, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of ``build/html`` that only this machine can reach; port 0 picks one.

    Raises:
        UsageError: when there is no site yet, or the port is taken.
    """
    if not (book.html_dir / "index.html").is_file():
        raise UsageError("there is no site yet: make it with `nth book`")
    handler = functools.partial(_SiteHandler, directory=str(book.html_dir))
    try:
        return http.server.ThreadingHTTPServer((LOOPBACK, port), handler)
    except (OSError, OverflowError) as error:
        raise UsageError(f"port {port} cannot be used: choose another with --port") from error


def export_notebooks(book: Book, folder: Path, *, force: bool = False) -> Iterator[str]:
    """Copy every chapter to ``folder`` as a notebook, executed where it has run.

    Yields a line for each chapter.

    Raises:
        UsageError: before anything is written, when a file would be overwritten.
    """
    targets = {name: folder / f"{name}.ipynb" for name in book.chapter_names()}
    standing = [str(target) for target in targets.values() if target.exists()]
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    if standing and not force:
        raise UsageError(f"{standing[0]} exists: pass --force to overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in targets.items():
        record = read_record(book, name)
        if record is not None and one_unit(book, record):
            shutil.copyfile(book.executed_dir / f"{name}.ipynb", target)
            yield f"{target}: executed at profile {record.profile}"
        else:
            nbformat.write(load_chapter(book, name).notebook(), target)
            yield f"{target}: not executed"
