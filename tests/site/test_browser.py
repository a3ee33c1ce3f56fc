"""One pass of a headless browser over every page of the real book, run at profile smoke."""

import os
import re
import shutil
import threading
from collections.abc import Iterator

import nbformat
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from small_book import ROOT, SAMPLE

from nthlib.pipeline.book import Book
from nthlib.pipeline.sharing import site_server

pytestmark = pytest.mark.site

PAGES = Book(ROOT).pages()
CHAPTERS = Book(ROOT).chapter_names()
SIZES = ((1280, 900), (390, 844))

# Nothing of Chromium's own goes to the network.
FLAGS = "no-sandbox disable-gpu disable-background-networking disable-component-update"
FLAGS += " disable-sync no-first-run disable-quic"
ARGUMENTS = [f"--{flag}" for flag in FLAGS.split()]

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


class Visit:
    """A page of the site in a browser that reaches nothing but the site."""

    def __init__(self, browser: Browser, address: str, size: tuple[int, int]) -> None:
        self.trouble: list[str] = []
        self.address = address
        width, height = size
        self.context = browser.new_context(viewport={"width": width, "height": height})
        self.context.route("**/*", self._guard)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        self.page.on("response", self._check)

    def resize(self, size: tuple[int, int]) -> None:
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.address}/{path}", wait_until="load")
        # `MathJax` is there on pages with formulas alone
        self.page.evaluate("() => window.MathJax?.startup?.promise")
        self.page.evaluate("() => document.fonts.ready.then(() => null)")
        return self.page

    def _guard(self, route) -> None:
        if route.request.url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            self.trouble.append(f"asked another host: {route.request.url}")
            route.abort()

    def _listen(self, message) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(f"console: {message.text}")

    def _check(self, response) -> None:
        if response.status >= 400:
            self.trouble.append(f"{response.status}: {response.url}")


@pytest.fixture
def visit(browser, address):
    visits = []

    def visit_at(size=SIZES[0]) -> Visit:
        visits.append(Visit(browser, address, size))
        return visits[-1]

    yield visit_at
    for each in visits:
        each.context.close()


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
    links = page.locator(".btn-download-source-button, .nth-run a").all()
    assert len(links) >= 2
    for link in links:
        answer = seen.context.request.get(page.evaluate("e => e.href", link.element_handle()))
        assert answer.ok
        nbformat.validate(nbformat.reads(answer.text(), as_version=4))


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
