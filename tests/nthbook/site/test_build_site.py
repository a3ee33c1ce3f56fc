import json
import re

import nbformat
import pytest
from small_book import example_notebook

from nthbook.site.build import SiteError, build_site


def contents(folder):
    """All pages, notebooks, data and figures; less the stamps of style sheets."""
    return {
        path.relative_to(folder).as_posix(): re.sub(rb"\?v=\w+", b"", path.read_bytes())
        for path in folder.rglob("*")
        if path.suffix in (".html", ".ipynb", ".json", ".png")
    }


def write_chapter(book, old, new):
    notebook = example_notebook()
    for cell in notebook.cells:
        cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, book.executed_dir / "example.ipynb")


def test_a_change_is_built_and_a_warning_leaves_the_last_good_site(small_book):
    html = build_site(small_book)
    page = (html / "book" / "chapters" / "example.html").read_text()
    for part in ("Theorem 1.1", "Huang and Yau, 2020", 'alt="A line that falls"', "nth-verdict"):
        assert part in page
    assert [claim["id"] for claim in json.loads((html / "ledger.json").read_text())] == [
        "example-slope",
        "example-defect",
    ]
    (icons,) = html.glob("_static/vendor/fontawesome/*/css/all.min.css")
    named = set(re.findall(r"\.(fa-[\w-]+):before", icons.read_text()))
    assert "fa-magnifying-glass" in page
    assert "fa-magnifying-glass" in named
    assert len(named) < 100  # of 2000
    good = contents(html)
    write_chapter(small_book, "{eq}`long`", "{eq}`nowhere`")
    for _ in range(2):  # a second try must not pass over what the first has read
        with pytest.raises(SiteError, match=r"example\.ipynb.*nowhere") as caught:
            build_site(small_book)
        assert str(small_book.root) not in str(caught.value)
        assert len(str(caught.value).splitlines()) < 5
    assert contents(small_book.html_dir) == good
    write_chapter(small_book, "and at length", "and in full")
    changed = contents(build_site(small_book))
    assert b"and in full" in changed["book/chapters/example.html"]
    (small_book.build / "site-work" / "good").unlink()  # a fresh build gives the same
    assert contents(build_site(small_book)) == changed


def test_a_site_that_is_not_whole_is_not_published(small_book):
    intro = small_book.root / "book" / "intro.md"
    intro.write_text(intro.read_text() + '\n<img src="lost.png" alt="lost">\n')
    with pytest.raises(SiteError, match=r"not whole:\nbook/intro\.html: lost\.png does not exist"):
        build_site(small_book)
    assert not small_book.html_dir.exists()


def test_a_build_killed_between_its_renames_is_mended(small_book):
    old = small_book.html_dir.with_name("html.old")
    old.mkdir()
    (old / "index.html").write_text("the last good site")
    (small_book.executed_dir / "example.ipynb").unlink()
    with pytest.raises(SiteError, match="nth run example"):
        build_site(small_book)
    assert (small_book.html_dir / "index.html").read_text() == "the last good site"


def test_an_installation_of_mathjax_that_fails_says_why(small_book):
    lock = small_book.root / "package-lock.json"
    lock.write_text("no JSON")
    (small_book.build / "node").unlink()
    with pytest.raises(SiteError, match="MathJax could not be installed"):
        build_site(small_book)
    assert not (small_book.build / "node").exists()
