"""The book is found from the current directory upwards; _toc.yml alone holds the order."""

import pytest

from nthbook.book import Book, UsageError
from nthbook.cli.main import main


def test_the_book_is_found_from_any_folder_inside(book):
    assert Book.find() == Book(book.root.resolve())
    assert Book.find(book.chapters_dir).root == book.root.resolve()


def test_outside_a_book_there_is_none(tmp_path):
    with pytest.raises(UsageError, match="no book here"):
        Book.find(tmp_path)


def test_pages_in_reading_order(book):
    pages = ["book/intro", "book/chapters/alpha", "book/chapters/beta", "book/appendix/ledger"]
    assert book.pages() == pages
    assert book.chapter_names() == ["alpha", "beta"]


def test_the_build_folder_can_be_elsewhere(book, tmp_path, monkeypatch):
    assert book.executed_dir == book.root / "build" / "executed"
    monkeypatch.setenv("NTH_BUILD_DIR", str(tmp_path / "elsewhere"))
    assert book.executed_dir == tmp_path / "elsewhere" / "executed"


def test_malformed_settings_are_misuse_in_one_line(book):
    (book.root / "_toc.yml").write_text("root: [", encoding="utf-8")
    with pytest.raises(UsageError, match=r"_toc\.yml cannot be read") as caught:
        book.pages()
    assert "\n" not in str(caught.value)
    book.registry.write_text('[[claim]]\nid = "x"\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"claims\.toml: claim 'x' lacks"):
        book.claims()


def test_a_malformed_registry_is_misuse_of_every_command(book, capsys):
    book.registry.write_text("[[claim]\n", encoding="utf-8")
    for command in ("list", "run", "check"):
        assert main([command]) == 2
        assert capsys.readouterr().err.count("\n") == 1
