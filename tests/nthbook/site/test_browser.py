"""One pass of a headless browser over every page of the real book, run at profile smoke."""

import re

import nbformat
import pytest
from small_book import ROOT, SAMPLE
from visits import SIZES

from nthbook.book import Book
from nthbook.claims import CLAIM_WORDS, CONTROL_WORDS

pytestmark = pytest.mark.site

PAGES = Book(ROOT).pages()
CHAPTERS = Book(ROOT).chapter_names()
# What is left of TeX where MathJax has not done its work; code may show what it likes.
VISIBLE_TEXT = """() => {
  const copy = document.querySelector('article').cloneNode(true);
  copy.querySelectorAll('pre, code, script, mjx-container').forEach(part => part.remove());
  return copy.textContent;
}"""
RAW_TEX = re.compile(r"\\[a-zA-Z]+|\\[(\[]|\$")

UNRENDERED = """() => [...document.querySelectorAll('span.math, div.math')]
  .filter(part => !part.querySelector('mjx-container') || part.querySelector('mjx-merror'))
  .map(part => part.textContent.slice(0, 80))"""
BROKEN_IMAGES = """() => [...document.images]
  .filter(image => !image.complete || !image.naturalWidth).map(image => image.src)"""
SILENT_IMAGES = """() => [...document.querySelectorAll('article img')]
  .filter(image => !image.alt || image.alt.endsWith('.png')).map(image => image.src)"""
EXCESS = """() => [document.documentElement, ...document.querySelectorAll('article, main')]
  .map(part => part.scrollWidth - part.clientWidth).filter(excess => excess > 0)"""

# Lines that their box cannot show at once, folded cells and solutions unfolded.
WIDE_LINES = """() => {
  document.querySelectorAll('details').forEach(part => { part.open = true });
  document.querySelectorAll('.toggle-hidden').forEach(p => p.classList.remove('toggle-hidden'));
  return [...document.querySelectorAll('article .cell_input pre, article .cell_output pre')]
    .filter(box => box.scrollWidth > box.clientWidth)
    .map(box => [...box.textContent.split('\\n')].sort((a, b) => b.length - a.length)[0]);
}"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_renders_without_a_network(visit, name):
    seen = visit()
    page = seen.open(f"{name}.html")
    assert page.evaluate(UNRENDERED) == []
    assert RAW_TEX.findall(page.evaluate(VISIBLE_TEXT)) == []
    assert page.evaluate(BROKEN_IMAGES) == []
    for size in SIZES:
        seen.resize(size)
        assert page.evaluate(EXCESS) == [], f"wider than {size[0]} pixels"
    assert seen.trouble == []
    if "/chapters/" in name:
        seen.resize(SIZES[0])
        assert page.evaluate(WIDE_LINES) == [], "lines scroll sideways"


@pytest.mark.parametrize(
    "name",
    [pytest.param(c, marks=[pytest.mark.slow] * (c not in SAMPLE)) for c in CHAPTERS],
)
def test_a_chapter_is_complete(visit, name):
    seen = visit()
    page = seen.open(f"{Book(ROOT).executed_pages()[name]}.html")
    assert page.locator("article .nth-run").count() == 1
    assert page.locator("article .admonition.solution:not(.dropdown)").count() == 0
    assert page.evaluate(SILENT_IMAGES) == [], "figures without alternative text"
    links = page.locator('a[class*="btn-download-"], .nth-run a').all()
    addresses = {page.evaluate("e => e.href", link.element_handle()) for link in links}
    answers = {address: seen.context.request.get(address) for address in addresses}
    assert {"ipynb", "md", "whl"} <= {address.rpartition(".")[2] for address in addresses}
    for address, answer in answers.items():
        assert answer.ok
        if address.endswith(".ipynb"):
            notebook = nbformat.reads(answer.text(), as_version=4)
            nbformat.validate(notebook)
            first = next(cell for cell in notebook.cells if cell.cell_type == "code")
            assert "install" in first.metadata.tags
        elif address.endswith(".md"):
            assert answer.body() == Book(ROOT).chapter_path(name).read_bytes()


def test_the_longest_verdict_fits_a_phone(visit):
    words = [words for _, words in (*CLAIM_WORDS.values(), *CONTROL_WORDS.values())]
    seen = visit()
    page = seen.open("book/appendix/ledger.html")
    seen.resize(SIZES[-1])
    fill = "words => document.querySelectorAll('.nth-badge').forEach(b => b.textContent = words)"
    page.evaluate(fill, max(words, key=len))
    assert page.evaluate(EXCESS) == []


def test_the_front_page_opens_and_leads_on(visit):
    seen = visit()
    page = seen.page
    page.goto(f"{seen.address}/index.html")
    page.wait_for_url("**/book/intro.html")
    page.get_by_role("link", name="Next").click()
    page.wait_for_url(f"**/{PAGES[1]}.html")


def test_the_search_finds_a_word(visit):
    seen = visit()
    page = seen.open("search.html?q=hierarchy")
    found = page.locator("#search-results .search li a")
    found.first.wait_for(timeout=20_000)
    assert "book/" in found.first.get_attribute("href")
    assert seen.trouble == []


def test_the_dark_mode_can_be_chosen_and_is_kept(visit):
    seen = visit()
    page = seen.open("book/intro.html")
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").first.click()
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    seen.open("book/appendix/ledger.html")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert seen.trouble == []
