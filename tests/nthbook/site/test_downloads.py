"""What a page offers for download, and the buttons that lead to a repository."""

import re

import nbformat
import pytest

from nthbook.share.repository import Repository
from nthbook.share.wheel import wheel_name
from nthbook.site.build import build_site

REPOSITORY = Repository("owner", "book")


@pytest.fixture
def built(small_book):
    return small_book, build_site(small_book, repository=REPOSITORY)


def test_a_page_offers_its_notebook_its_source_and_a_place_to_run_it(built):
    book, html = built
    page = (html / "book" / "chapters" / "example.html").read_text()
    footer = page.partition('class="nth-run"')[2].partition("</p>")[0]
    folder = html / "book" / "chapters"
    notebook, source, wheel = (folder / link for link in re.findall(r'href="([^"]+)"', footer))
    assert source.read_bytes() == book.chapter_path("example").read_bytes()
    assert wheel.resolve() == html / wheel_name()

    made = nbformat.read(notebook, as_version=4)
    nbformat.validate(made)
    theorem = made.cells[0].source.partition("> **Theorem (Example)**")[2]
    assert "The kernel drifts by order $1/m$, see (1)." in theorem
    assert REPOSITORY.raw(wheel_name()) in made.cells[1].source
    assert made.cells[2].outputs
    assert "Run on" not in made.cells[-1].source

    for address in REPOSITORY.launch_links("example").values():
        assert f'href="{address}"' in page
    assert f'href="{REPOSITORY.address}"' in page
    assert "_sources/book/chapters/example.md" in page.partition('class="nth-run"')[0]
    prose = (html / "book" / "intro.html").read_text()
    assert "mybinder" not in prose
    assert "colab" not in prose


@pytest.mark.slow  # the buttons themselves have a test without a site
def test_without_an_address_no_button_leads_anywhere(small_book):
    html = build_site(small_book)
    page = (html / "book" / "chapters" / "example.html").read_text()
    assert "_sources/book/chapters/example.md" in page
    for word in ("mybinder", "colab", "github.com", "launch-buttons"):
        assert word not in page
