"""The static site: staged sources, jupyter-book, an inspection, and only then the swap."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from nthbook.book import Book
from nthbook.ledger.data import ledger_data
from nthbook.ledger.rows import ledger_rows
from nthbook.pages.downloads import publish_downloads
from nthbook.pages.written import UnknownPieceError
from nthbook.share.repository import Repository
from nthbook.site.check import site_defects
from nthbook.site.mathjax import MathJaxError, install_mathjax
from nthbook.site.stage import StagingError, stage_book

_JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"
_SHOWN_LINES = 60
_EXTENSIONS = Path(__file__).parent
# Notes of Sphinx to itself, and the icons as a script, which no page loads.
_LEFT_OUT = (".buildinfo", "all.min.js*")

_ICON = re.compile(r"(?:\.fa-[\w-]+:before,?)+\{content:[^}]*\}")
_NAME = re.compile(r"\.(fa-[\w-]+):before")

# Headings, directives, labels and citations, in Markdown and in a notebook's JSON: where
# the numbers come from by which other pages refer to them.
_OUTLINE = re.compile(
    rb"^\s*\"?(?:#|:{3}|`{3}|:label:|\([\w-]+\)=|\$\$ ?\().*|\{cite[^}]*\}`[^`]*`", re.M
)


class SiteError(Exception):
    """The site could not be built; the last good one is untouched."""


def build_site(
    book: Book, *, allow_missing: bool = False, repository: Repository | None = None
) -> Path:
    """Build the site from the executed chapters and return its folder, ``book.html_dir``.

    The new site takes the old one's place when it is complete and has been inspected. A
    build that fails or is killed leaves the old one.

    Args:
        book: the book to build.
        allow_missing: show a chapter that has not been run without results.
        repository: where the buttons lead that open a notebook; None leaves them out.

    Raises:
        SiteError: naming the chapter without a run, the warnings of Sphinx, or the pages
            and figures that are missing.
    """
    with _alone(book) as lock:
        _restore(book.html_dir)
        try:
            mathjax = install_mathjax(book.root, book.build / "node")
            stage_book(book, mathjax, allow_missing=allow_missing, repository=repository)
        except (MathJaxError, StagingError, UnknownPieceError) as error:
            raise SiteError(str(error)) from error
        built = _run_jupyter_book(book, lock, mathjax)
        _publish(book, built, repository)
    return book.html_dir


@contextmanager
def _alone(book: Book) -> Iterator[int]:
    """Wait until no other build works in the same folders.

    jupyter-book inherits the lock: where a build was killed, its jupyter-book goes on, and
    the next build must not meet it in ``build/site-work``.
    """
    book.build.mkdir(parents=True, exist_ok=True)
    with (book.build / "site.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _run_jupyter_book(book: Book, lock: int, mathjax: Path) -> Path:
    """Build in ``build/site-work``; what is there is used again only after a good build.

    A page that is not read again is not warned about again, so that the next build would
    pass over the warnings of a failed one.
    """
    work = book.build / "site-work"
    mark, print_now = work / "good", _fingerprint(book)
    if not (mark.is_file() and mark.read_text() == print_now):
        shutil.rmtree(work, ignore_errors=True)
    mark.unlink(missing_ok=True)
    command = [sys.executable, "-c", _JUPYTER_BOOK, "build", str(book.staged_dir)]
    command += ["--path-output", str(work), "-W", "--keep-going", "-q"]
    # Autodoc imports the library: no search for a GPU, and no Python warning counts as
    # one of Sphinx's.
    environment = {
        "JAX_PLATFORMS": "cpu",
        **os.environ,
        "PYTHONWARNINGS": "ignore",
        "NO_COLOR": "1",
        "NODE_PATH": str(mathjax.parent),
    }
    done = subprocess.run(
        command,
        env=environment,
        cwd=book.root,
        stdin=subprocess.DEVNULL,
        pass_fds=[lock],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SiteError(f"the site was not built:\n{_complaints(done, book)}")
    mark.write_text(print_now)
    return work / "_build" / "html"


def _publish(book: Book, built: Path, repository: Repository | None) -> None:
    """Put a copy of the built site in place of the old one, once it has been inspected."""
    fresh = book.html_dir.with_name("html.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(built, fresh, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    _drop_unused_images(fresh)
    _drop_unused_icons(fresh)
    publish_downloads(book, fresh, repository)
    (fresh / "ledger.json").write_text(ledger_data(ledger_rows(book)), encoding="utf-8")
    defects = site_defects(fresh, book.pages())
    if defects:
        shutil.rmtree(book.build / "site-work", ignore_errors=True)
        listed = "\n".join(defects[:_SHOWN_LINES])
        raise SiteError(f"the site was built, but is not whole:\n{listed}")
    old = _retired(book.html_dir)
    shutil.rmtree(old, ignore_errors=True)
    if book.html_dir.exists():
        book.html_dir.rename(old)
    fresh.rename(book.html_dir)
    shutil.rmtree(old, ignore_errors=True)


def _drop_unused_images(site: Path) -> None:
    """Sphinx keeps the figures of earlier runs beside the new ones."""
    text = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.html"))
    for path in site.glob("_images/*"):
        if path.name not in text:
            path.unlink()


def _drop_unused_icons(site: Path) -> None:
    """The theme's style sheet names two thousand icons; the site shows a dozen."""
    pages = [*site.rglob("*.html"), *site.rglob("*.js")]
    used = {name for page in pages for name in re.findall(r"fa-[\w-]+", page.read_text("utf-8"))}
    for sheet in site.glob("_static/vendor/fontawesome/*/css/all.min.css"):
        text = sheet.read_text(encoding="utf-8")
        shown = _ICON.sub(lambda rule: rule[0] if used & {*_NAME.findall(rule[0])} else "", text)
        sheet.write_text(shown, encoding="utf-8")


def _retired(html: Path) -> Path:
    return html.with_name("html.old")


def _restore(html: Path) -> None:
    """Bring the old site back if a build was killed between the two renames."""
    if not html.exists() and _retired(html).is_dir():
        _retired(html).rename(html)


def _fingerprint(book: Book) -> str:
    """What the cached reading of all pages depends on, besides the pages themselves."""
    digest = hashlib.sha256(sys.version.encode())
    own = (path for path in _EXTENSIONS.rglob("*") if path.suffix in (".py", ".cjs", ".html"))
    for path in (*sorted(own), book.root / "package-lock.json"):
        digest.update(path.read_bytes())
    for path in sorted(book.staged_dir.rglob("*")):
        if path.suffix in (".yml", ".bib", ".py"):
            digest.update(path.read_bytes())
        elif path.suffix in (".md", ".ipynb"):
            digest.update(b"\n".join([path.name.encode(), *_OUTLINE.findall(path.read_bytes())]))
    installed = sorted(f"{item.name}=={item.version}" for item in metadata.distributions())
    digest.update("\n".join(installed).encode())
    return digest.hexdigest()


def _complaints(done: subprocess.CompletedProcess[str], book: Book) -> str:
    """What Sphinx said, without colours and with the paths of the sources."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr).replace(f"{book.staged_dir}/", "")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return f"jupyter-book ended with exit code {done.returncode}\n{done.stdout[-2000:]}"
    left_out = len(lines) - _SHOWN_LINES
    if left_out > 0:
        lines = [*lines[:_SHOWN_LINES], f".. and {left_out} lines more"]
    return "\n".join(lines)
