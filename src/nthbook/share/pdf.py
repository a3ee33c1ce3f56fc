"""The book as a PDF: one document of all pages, printed by Chromium.

Page numbers of the table of contents are known only once the document is printed. So it is
printed with blanks of the right width, the numbers are read off, and it is printed again.
"""

import logging
import mimetypes
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from nthbook.book import Book, UsageError

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route
    from pypdf import PdfReader

    from nthbook.share.document import Heading, PrintDocument

# Width and height in millimetres.
PAPERS = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
_SIDE_MARGIN = 20.0  # as in printing.css
_PIXELS = 96 / 25.4

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OLDEST = 131  # the first that prints page numbers as a style sheet asks for them
_HOST = "http://book.invalid"  # nothing is sent: every request is answered from the site's folder
_FLAGS = ("no-sandbox", "disable-gpu", "disable-background-networking", "no-first-run")
_FIT = Path(__file__).with_name("pdf.js")
_READY = """async () => {
  await document.fonts.ready;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => null)));
  return [...document.images].filter((image) => !image.naturalWidth).map((image) => image.src);
}"""
_FILL = """(places) => {
  for (const blank of document.querySelectorAll("[data-place]")) {
    blank.textContent = places[blank.dataset.place] ?? "";
  }
}"""
_MOST_PASSES = 4


class PrintError(Exception):
    """The book could not be printed; no file was written."""


class Printed(NamedTuple):
    """A finished PDF; ``wide`` names what is still wider than the page."""

    path: Path
    pages: int
    size: int
    wide: list[str]


def print_book(book: Book, path: Path | None = None, *, paper: str = "a4") -> Printed:
    """Print the built site of a book as one PDF and put it in place when it is whole.

    Args:
        book: the book; its site has been built.
        path: the file to write; by default one in the build folder.
        paper: a key of ``PAPERS``.

    Raises:
        UsageError: when there is no site, no Chromium, or the extra ``pdf`` is missing.
        PrintError: when Chromium fails, or a figure is missing.
    """
    try:
        from nthbook.share.document import print_document
    except ImportError as error:
        raise _extra(error) from error
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise UsageError(f"FILE: {path} is a folder, or its folder does not exist")
    executable = find_chromium()
    document = print_document(book)
    path = path or book.build / document.name
    printed, wide = _print(book, document, executable, paper)
    data, pages = _finished(printed, document)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return Printed(path, pages, len(data), wide)


def print_page(text: str, *, paper: str = "a4") -> tuple[bytes, int]:
    """Print a page that needs no other file, on paper of the size that its style asks for.

    Returns:
        The PDF, and how many pages it has.

    Raises:
        UsageError: when there is no Chromium, or the extra ``pdf`` is missing.
        PrintError: when Chromium fails.
    """
    executable = find_chromium()
    with _opened(None, text, executable, paper) as page:
        if lost := page.evaluate(_READY):
            raise PrintError(f"figures are missing: {', '.join(lost)}")
        data = page.pdf(prefer_css_page_size=True, print_background=True, tagged=True)
    from pypdf import PdfReader

    return data, len(PdfReader(BytesIO(data)).pages)


def find_chromium() -> str:
    """The browser that prints: ``$CHROMIUM``, or the first one on the path.

    Raises:
        UsageError: when there is none.
    """
    if named := os.environ.get("CHROMIUM"):
        if found := shutil.which(named):
            return found
        raise UsageError(f"$CHROMIUM names {named}, which is no program")
    for name in _BROWSERS:
        if found := shutil.which(name):
            return found
    raise UsageError("printing needs Chromium: install it, or name it in $CHROMIUM")


def _print(
    book: Book, document: "PrintDocument", executable: str, paper: str
) -> tuple[bytes, list[str]]:
    """Print until the numbers in the table of contents are those of the pages."""
    from pypdf import PdfReader

    with _opened(book, document.html, executable, paper) as page:
        if lost := page.evaluate(_READY):
            raise PrintError(f"figures are missing: {', '.join(lost)}")
        wide = page.evaluate(_FIT.read_text(encoding="utf-8"))
        numbers: dict[str, int] = {}
        for _ in range(_MOST_PASSES):
            data = _pdf(page, paper)
            found = page_numbers(PdfReader(BytesIO(data)))
            if found == numbers:
                return data, wide
            numbers = found
            page.evaluate(_FILL, numbers)
    raise PrintError("the page numbers of the table of contents do not settle")


@contextmanager
def _opened(book: Book | None, text: str, executable: str, paper: str) -> Iterator["Page"]:
    """The document in a browser that sees the folder of the site, if any, and no network."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise _extra(error) from error
    width, height = (round(side * _PIXELS) for side in PAPERS[paper])
    window = {"width": int(width - 2 * _SIDE_MARGIN * _PIXELS), "height": height}
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=executable, args=[f"--{flag}" for flag in _FLAGS]
            )
            _check_version(browser.version)
            page = browser.new_page(viewport=window, color_scheme="light")  # type: ignore[arg-type]
            page.route("**/*", lambda route: _serve(route, book.html_dir if book else None, text))
            page.emulate_media(media="print", color_scheme="light")
            page.goto(f"{_HOST}/", wait_until="load", timeout=120_000)
            page.evaluate("(paper) => { document.documentElement.dataset.paper = paper; }", paper)
            yield page
            browser.close()
    except Error as error:
        raise PrintError(f"Chromium could not print: {str(error).splitlines()[0]}") from error


def _check_version(version: str) -> None:
    if int(version.partition(".")[0]) < _OLDEST:
        raise UsageError(f"printing needs Chromium {_OLDEST} or newer; this is {version}")


def _serve(route: "Route", folder: Path | None, document: str) -> None:
    parts = urlsplit(route.request.url)
    if f"{parts.scheme}://{parts.netloc}" != _HOST:
        route.abort()
        return
    if parts.path == "/":
        route.fulfill(body=document, content_type="text/html; charset=utf-8")
        return
    path = (folder / unquote(parts.path).lstrip("/")).resolve() if folder else None
    if folder and path and path.is_relative_to(folder.resolve()) and path.is_file():
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        route.fulfill(body=path.read_bytes(), content_type=kind)
    else:
        route.fulfill(status=404, body="")


def _pdf(page: "Page", paper: str) -> bytes:
    return page.pdf(format=paper, print_background=True, tagged=True)


def page_numbers(reader: "PdfReader") -> dict[str, int]:
    """The pages, counted from 1, of the places to which links lead."""
    found = {}
    for name, place in reader.named_destinations.items():
        number = reader.get_destination_page_number(place)
        if number is not None and number >= 0:
            found[unquote(name).lstrip("/")] = number + 1
    return found


def _finished(data: bytes, document: "PrintDocument") -> tuple[bytes, int]:
    """The PDF with bookmarks, a title and an author."""
    from pypdf import PdfReader, PdfWriter

    # Chromium counts the objects of a large file wrongly. pypdf says so, and counts itself.
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    reader = PdfReader(BytesIO(data))
    writer = PdfWriter(clone_from=reader)
    _add_bookmarks(writer, document.headings, page_numbers(reader))
    writer.page_mode = "/UseOutlines"
    writer.add_metadata({"/Title": document.title, "/Author": document.author})
    output = BytesIO()
    writer.write(output)
    return output.getvalue(), len(reader.pages)


def _add_bookmarks(
    writer: Any, headings: tuple["Heading", ...], numbers: Mapping[str, int]
) -> None:
    above: dict[int, Any] = {}
    for heading in headings:
        above = {level: item for level, item in above.items() if level < heading.level}
        parent = above[max(above)] if above else None
        above[heading.level] = writer.add_outline_item(
            title=heading.title,
            page_number=numbers[heading.anchor] - 1,
            parent=parent,
            is_open=heading.level == 0,
        )


def _extra(error: ImportError) -> UsageError:
    return UsageError(
        f"printing needs the extra `pdf` ({error.name} is missing): pip install 'nthlib[pdf]'"
    )
