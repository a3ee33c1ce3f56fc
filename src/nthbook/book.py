"""Where a book keeps its sources and what is built from them."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nthbook.answers import Answer, load_answers
from nthbook.claims import Claim, load_claims

CHAPTERS = "book/chapters/"

# The header of a MyST notebook names its kernel.
_NOTEBOOK = re.compile(r"\A---\n(?:(?!---\n).*\n)*kernelspec:")


class UsageError(Exception):
    """Something the reader has to change; the command prints it as one line."""


@dataclass(frozen=True)
class Book:
    """A book on disk: the folder ``root`` holds ``_toc.yml`` and ``book/claims.toml``."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> "Book":
        """Find the nearest book from ``start`` (the current directory) upwards.

        Raises:
            UsageError: when no enclosing folder is a book.
        """
        start = (Path.cwd() if start is None else start).resolve()
        for folder in (start, *start.parents):
            if (folder / "_toc.yml").is_file() and (folder / "book" / "claims.toml").is_file():
                return cls(folder)
        raise UsageError(
            f"no book here: neither {start} nor a folder above it "
            "holds _toc.yml and book/claims.toml"
        )

    @property
    def chapters_dir(self) -> Path:
        """The chapters' sources."""
        return self.root / "book" / "chapters"

    @property
    def registry(self) -> Path:
        """The claims, registered before any run."""
        return self.root / "book" / "claims.toml"

    @property
    def build(self) -> Path:
        """Everything that is made from the sources; ``NTH_BUILD_DIR`` puts it elsewhere."""
        return self.root / (os.environ.get("NTH_BUILD_DIR") or "build")

    @property
    def executed_dir(self) -> Path:
        """Whole executed notebooks, NAME.ipynb."""
        return self.build / "executed"

    @property
    def claims_dir(self) -> Path:
        """The record of each chapter's last good run, NAME.json."""
        return self.build / "claims"

    @property
    def logs_dir(self) -> Path:
        """Tracebacks and notebooks of failed runs, and what kernels wrote to stderr."""
        return self.build / "logs"

    @property
    def running_dir(self) -> Path:
        """Notebooks of runs under way; nothing reads them but the run itself."""
        return self.build / "running"

    @property
    def html_dir(self) -> Path:
        """The finished site."""
        return self.build / "html"

    @property
    def staged_dir(self) -> Path:
        """The copy of the sources from which the site is built."""
        return self.build / "site-src"

    @property
    def cache_dir(self) -> Path:
        """The cache through which a killed sweep resumes."""
        return self.build / "cache"

    @property
    def programs_dir(self) -> Path:
        """What JAX compiled for chapters, for the next run with the same shapes."""
        return self.cache_dir / "programs"

    @property
    def settings(self) -> dict[str, Any]:
        """What ``_config.yml`` says; empty where there is none."""
        path = self.root / "_config.yml"
        return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}

    def pages(self) -> list[str]:
        """All documents of ``_toc.yml`` in reading order, without file extensions."""
        path = self.root / "_toc.yml"
        try:
            contents = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"_toc.yml cannot be read: {reason}") from error
        pages = list(_documents(contents))
        if not pages:
            raise UsageError("_toc.yml names no page: is it whole?")
        return pages

    def executed_pages(self) -> dict[str, str]:
        """The pages that are run, by name, in the order of ``_toc.yml``.

        All chapters are, and those pages of the appendix that are written as notebooks.
        """
        return {page.rpartition("/")[2]: page for page in self.pages() if self._is_run(page)}

    def _is_run(self, page: str) -> bool:
        if page.startswith(CHAPTERS):
            return True
        source = self.root / f"{page}.md"
        return source.is_file() and _NOTEBOOK.match(source.read_text(encoding="utf-8")) is not None

    def chapter_names(self) -> list[str]:
        """List the pages that are run, in the order of ``_toc.yml``."""
        return list(self.executed_pages())

    def chapter_path(self, name: str) -> Path:
        """Say where the source of a page that is run is."""
        return self.root / f"{self.executed_pages().get(name, CHAPTERS + name)}.md"

    def claims(self) -> dict[str, Claim]:
        """Read the registered claims by id, in the registry's order.

        Raises:
            UsageError: when the registry is malformed.
        """
        try:
            return load_claims(self.registry)
        except ValueError as error:
            raise UsageError(f"book/claims.toml: {' '.join(str(error).split())}") from error

    def answers(self) -> list[Answer]:
        """Read the answers that students can check, in the order of ``book/answers.toml``.

        Raises:
            UsageError: when the file is malformed.
        """
        try:
            return load_answers(self.root / "book" / "answers.toml")
        except ValueError as error:
            raise UsageError(f"book/answers.toml: {' '.join(str(error).split())}") from error


def _documents(entry: Any) -> Iterator[str]:
    """Walk a table of contents in jupyter-book's format (root, parts, chapters, sections)."""
    if isinstance(entry, list):
        for child in entry:
            yield from _documents(child)
    elif isinstance(entry, dict):
        for key in ("root", "file"):
            if key in entry:
                yield str(entry[key]).removesuffix(".md")
        for key in ("parts", "chapters", "sections"):
            yield from _documents(entry.get(key))
