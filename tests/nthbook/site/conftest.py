"""A small book, and the site of the real book at profile smoke."""

import fcntl
import io
import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, sync_playwright
from small_book import (
    CHAPTER,
    CLAIMS,
    EXERCISES,
    INTRO,
    ROOT,
    SAMPLE,
    TOC,
    example_notebook,
    example_record,
)
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace
from visits import ARGUMENTS, SIZES, Visit

from nthbook.book import Book
from nthbook.run.record import write_record
from nthbook.share.server import site_server
from nthbook.site.mathjax import install_mathjax


@pytest.fixture(scope="session")
def node(tmp_path_factory) -> Path:
    """The packages of npm as the site's build installs them."""
    folder = tmp_path_factory.mktemp("npm") / "node"
    install_mathjax(ROOT, folder)
    return folder


@pytest.fixture
def small_book(tmp_path, node, monkeypatch) -> Book:
    """A book with one executed chapter, all its own."""
    monkeypatch.delenv("NTH_BUILD_DIR", raising=False)
    for name in ("_config.yml", "package.json", "package-lock.json"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    for name in ("assets", "extensions"):
        shutil.copytree(ROOT / "book" / name, tmp_path / "book" / name)
    for name in (
        "references.bib",
        "appendix/ledger.md",
        "appendix/runs.md",
        "appendix/references.md",
    ):
        target = tmp_path / "book" / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / "book" / name, target)
    (tmp_path / "_toc.yml").write_text(TOC)
    (tmp_path / "book" / "claims.toml").write_text(CLAIMS)
    (tmp_path / "book" / "intro.md").write_text(INTRO)
    book = Book(tmp_path)
    book.chapters_dir.mkdir()
    book.chapter_path("example").write_text(CHAPTER + EXERCISES)
    book.executed_dir.mkdir(parents=True)
    nbformat.write(example_notebook(), book.executed_dir / "example.ipynb")
    write_record(book, example_record())
    (book.build / "node").symlink_to(node)
    return book


@pytest.fixture
def sphinx_page(tmp_path, node, monkeypatch):
    """Write a page with some extensions of the site; return it as HTML, and what Sphinx says."""
    monkeypatch.setenv("NODE_PATH", str(node / "node_modules"))

    def written(source: str, *extensions: str, **settings) -> tuple[str, str]:
        (tmp_path / "page.md").write_text(source)
        settings |= {"extensions": ["myst_parser", *extensions], "root_doc": "page"}
        settings["myst_enable_extensions"] = ["amsmath", "dollarmath"]
        said, built = io.StringIO(), tmp_path / "built"
        # Nothing of an application stays for the next one; warnings are of Sphinx's dependencies.
        with docutils_namespace(), warnings.catch_warnings(action="ignore"):
            app = Sphinx(tmp_path, None, built, built / "read", "html", settings, None, said)
            app.build()
        return (built / "page.html").read_text(), said.getvalue()

    return written


@dataclass(frozen=True)
class SmokeBook(Book):
    """The real book, with a build folder of its own."""

    folder: Path

    @property
    def build(self) -> Path:
        return self.folder


@pytest.fixture(scope="session")
def real_book(tmp_path_factory, worker_id, pytestconfig) -> Book:
    """The real book, run at profile smoke and built, once for all workers of a test run.

    Where slow tests are left out, a sample of the chapters runs, and the others are shown
    without results.

    All goes to a folder of the test run; build/ stays as it is.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "smoke"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "html").is_dir():  # else another worker has built it
            sample = SAMPLE if pytestconfig.option.markexpr == "not slow" else ()
            _nth(folder, "run", *sample, "--profile", "smoke", "--jobs", "2")
            _nth(folder, "build", *(["--allow-missing"] if sample else []))
    return SmokeBook(ROOT, folder)


def _nth(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "nthbook.cli.main", *arguments]
    environment = {**os.environ, "NTH_BUILD_DIR": str(folder)}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # small programs, run once each
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"nth {' '.join(arguments)}:\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if executable is None:
        assert not os.environ.get("CI"), "chromium is not installed"
        pytest.skip("chromium is not installed (apt-get install chromium, or set CHROMIUM)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(real_book) -> Iterator[str]:
    with site_server(real_book, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def visit(browser, address):
    visits = []

    def visit_at(size=SIZES[0], **settings) -> Visit:
        visits.append(Visit(browser, address, size, **settings))
        return visits[-1]

    yield visit_at
    for each in visits:
        each.context.close()
