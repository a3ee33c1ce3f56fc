"""Pages for all readers: by keyboard, by ear, in the dark, on a phone, without scripts, quickly."""

import pytest
from small_book import ROOT
from visits import SIZES

from nthbook.book import Book

pytestmark = pytest.mark.site

PAGES = Book(ROOT).pages()
SETTINGS = [(scheme, size) for scheme in ("light", "dark") for size in SIZES]

FINDINGS = """() => axe.run({resultTypes: ["violations"]}).then(result => result.violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .map(found => `${found.id}: ${found.nodes.map(node => node.target).slice(0, 3)}`))"""
LATE_SCRIPTS = """() => [...document.head.querySelectorAll("script[src]")]
  .filter(script => !script.defer && !script.async && script.type !== "module")
  .map(script => script.src)"""

# A page with its style, scripts, fonts and figures, as it comes over the line uncompressed.
HEAVIEST = 1_600_000


def cases():
    """Every page in every setting; `make test` takes one setting for a page, in turn."""
    for number, page in enumerate(PAGES):
        for place, (scheme, size) in enumerate(SETTINGS):
            slow = [pytest.mark.slow] if place != number % len(SETTINGS) else []
            yield pytest.param(page, scheme, size, marks=slow, id=f"{page}-{scheme}-{size[0]}")


@pytest.mark.parametrize(("page", "scheme", "size"), list(cases()))
def test_axe_has_no_serious_findings(visit, node, page, scheme, size):
    seen = visit(size, color_scheme=scheme)
    opened = seen.open(f"{page}.html")
    assert opened.evaluate("document.documentElement.dataset.theme") == scheme
    opened.evaluate((node / "node_modules" / "axe-core" / "axe.min.js").read_text())
    assert opened.evaluate(FINDINGS) == []


def test_axe_finds_what_is_wrong(visit, node):
    opened = visit().open("book/intro.html")
    opened.evaluate("document.querySelector('article').append(document.createElement('img'))")
    opened.evaluate((node / "node_modules" / "axe-core" / "axe.min.js").read_text())
    assert any(found.startswith("image-alt") for found in opened.evaluate(FINDINGS))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_light_and_no_script_holds_it_up(visit, page):
    seen, sizes = visit(), {}
    seen.page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))
    opened = seen.open(f"{page}.html")
    assert opened.evaluate(LATE_SCRIPTS) == []
    weight = sum(size for address, size in sizes.items() if "/explorer/" not in address)
    assert len(sizes) > 5
    assert weight < HEAVIEST, sorted(sizes.items(), key=lambda item: -item[1])[:5]


@pytest.mark.parametrize("page", ["book/intro", "book/appendix/ledger", "book/appendix/derivation"])
def test_a_page_reads_without_scripts(visit, page):
    seen = visit(java_script_enabled=False)
    opened = seen.open(f"{page}.html")
    shown = opened.locator("article").inner_text()
    assert len(shown) > 1000
    assert r"\frac" not in shown
    assert opened.locator("article form:visible").count() == 0  # the filter needs a script
    formulas = opened.locator("article .math")
    assert opened.locator("article .math mjx-container").count() == formulas.count()
    assert seen.trouble == []
