"""What a page of the site offers for download: its notebook, its source, the library."""

import shutil
from pathlib import Path

import nbformat

from nthbook.book import Book
from nthbook.ledger.labels import book_labels
from nthbook.share.notebooks import Edition, exported_notebook, exported_pages
from nthbook.share.repository import Repository
from nthbook.share.wheel import build_wheel, source_tree, wheel_name

# Where Sphinx keeps the sources of its pages, and the theme's buttons look for them.
_FOLDER = "_sources"


def download_links(page: str) -> str:
    """Links to what :func:`publish_downloads` puts beside the page, as HTML."""
    top = "../" * page.count("/")
    links = {
        "executed notebook": f"{top}{_FOLDER}/{page}.ipynb",
        "MyST source": f"{top}{_FOLDER}/{page}.md",
    }
    if source_tree() is not None:
        links["wheel of the library"] = f"{top}{wheel_name()}"
    return ", ".join(f'<a href="{place}" download>{words}</a>' for words, place in links.items())


def publish_downloads(book: Book, site: Path, repository: Repository | None = None) -> None:
    """Put the notebooks, for plain Jupyter, their sources and the library into a built site.

    The notebooks take the place of the staged ones, which only Sphinx can show.
    """
    labels = book_labels(book, exported_pages(book))
    for name, page in book.executed_pages().items():
        target = site / _FOLDER / f"{page}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        notebook, _ = exported_notebook(book, name, labels, Edition(repository=repository))
        nbformat.write(notebook, target)
        shutil.copyfile(book.root / f"{page}.md", target.with_suffix(".md"))
    if source_tree() is not None:
        build_wheel(site)
