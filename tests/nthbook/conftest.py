"""A small book in a folder of its own, as the current directory."""

from pathlib import Path

import pytest
from tiny_book import GOOD, TOC, write_chapter, write_claims

from nthbook.book import Book


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.delenv("NTH_BUILD_DIR", raising=False)
    book = Book(tmp_path / "a book")
    book.chapters_dir.mkdir(parents=True)
    (book.root / "_toc.yml").write_text(TOC, encoding="utf-8")
    (book.root / "requirements.lock").write_text("numpy==2.0\n", encoding="utf-8")
    write_claims(book, ("one", "alpha", "theorem"), ("two", "beta", "theorem"))
    write_chapter(book, "alpha", GOOD.format(claim="one"))
    write_chapter(book, "beta", GOOD.format(claim="two"))
    monkeypatch.chdir(book.root)
    return book
