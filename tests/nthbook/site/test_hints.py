"""Terms and symbols explain themselves where they stand, without a network."""

import pytest
from bs4 import BeautifulSoup
from small_book import ROOT

GLOSSARY = """# Glossary

```{glossary}
gradient flow
    The limit of small steps, $x_t$. See {term}`width` and {ref}`the start <start>`.

width
    How many units.
```
"""
NOTATION = r"""# Notation

## Sizes

| Symbol | Meaning |
|---|---|
| $m$ | width: neurons in each layer |
| $p \ge 2$ | level |

## Kernels

| Symbol | Meaning |
|---|---|
| $K^{(2)}_{\alpha\beta} = \langle a \rangle$ | tangent kernel |
| $K^{(r)}_t$ | the kernel at time $t$ |
| $\lambda_{\min}[\,\cdot\,]$ | smallest eigenvalue |
"""
PAGE = r"""(start)=
# Page

{term}`Gradient flow <gradient flow>` and {term}`gradient flow`, [$m$](notation.md#sizes),
[width](notation.md#sizes), [$p=2$](notation.md#sizes), [$K^{(2)}_0$](notation.md#kernels),
[$\lambda_{\min}(K)$](notation.md#kernels), [$K^{(2)}$](notation.md#kernels),
[nothing](notation.md#sizes), [away](https://a.org/notation.html#sizes).
"""
SCRIPT = (ROOT / "book/assets/hints.js").read_text()
STYLE = (ROOT / "book/assets/nth.css").read_text()


@pytest.fixture
def written(sphinx_page, tmp_path):
    (tmp_path / "glossary.md").write_text(GLOSSARY)
    (tmp_path / "notation.md").write_text(NOTATION)
    extensions = ("nthbook.site.formulas", "nthbook.site.hints")

    def write(page=PAGE) -> str:
        text, _ = sphinx_page(
            page, *extensions, html_math_renderer="nth", myst_heading_anchors=3, mathjax3_config={}
        )
        return text

    return write


@pytest.fixture
def soup(written):
    return BeautifulSoup(written(), "html.parser")


def hint(soup, words):
    """What the link of these words says, read aloud."""
    (link,) = [link for link in soup.select("a.nth-term") if link.get_text() == words]
    key = next(name for name in link["class"] if name.startswith("nth-term--"))
    return soup.find(id=f"nth-hint-{key.removeprefix('nth-term--')}")


def test_a_term_carries_its_definition_and_stays_a_link(soup):
    links = [link for link in soup.select("a.nth-term") if "radient flow" in link.text]
    assert len(links) == 2
    assert {link["href"] for link in links} == {"glossary.html#term-gradient-flow"}
    assert len(soup.select("#nth-hint-term-gradient-flow")) == 1  # once, for both
    said = hint(soup, "gradient flow")
    assert said.has_attr("hidden")
    assert said["role"] == "tooltip"
    assert "gradient flow" in said.strong.text
    assert "See width and the start." in " ".join(said.text.split())
    assert said.select("mjx-container")
    assert not said.select("a, [id] [id]")  # nothing to press, no id of the glossary's


@pytest.mark.parametrize(
    ("place", "meanings"),
    [
        (0, ["width: neurons in each layer"]),  # m
        (1, ["width: neurons in each layer"]),  # the word
        (2, ["level"]),  # p = 2
        (3, ["tangent kernel", "the kernel at time"]),  # K_0^(2): the letter's rows
        (4, ["smallest eigenvalue"]),  # of K
        (5, ["tangent kernel"]),  # K^(2), whose entries are in the table
    ],
)
def test_a_symbol_carries_its_lines_of_the_notation(soup, place, meanings):
    links = [link for link in soup.select("a.nth-term") if "notation" in link["href"]]
    key = next(name for name in links[place]["class"] if name.startswith("nth-term--"))
    lines = soup.find(id=f"nth-hint-{key.removeprefix('nth-term--')}").select("p")
    assert len(lines) == len(meanings)
    for line, meaning in zip(lines, meanings, strict=True):
        assert meaning in line.text


def test_what_is_not_explained_is_a_plain_link(soup):
    for words in ("nothing", "away"):
        (link,) = [link for link in soup.select("a") if link.text == words]
        assert "nth-term" not in link.get("class", [])


def test_a_new_definition_reaches_the_pages_that_carry_it(written, tmp_path):
    written()
    (tmp_path / "glossary.md").write_text(GLOSSARY.replace("How many", "Number of"))
    (tmp_path / "glossary.md").write_text(GLOSSARY.replace("small steps", "tiny steps"))
    assert "tiny steps" in written()


@pytest.fixture
def shown(written, browser, tmp_path):
    """The page in a browser, with the book's script and style for it."""
    contexts = []
    text = written().replace("</head>", f"<style>{STYLE}</style></head>")
    text = text.replace("</body>", f"<script>{SCRIPT}</script></body>")
    path = tmp_path / "built" / "shown.html"
    path.write_text(text)

    def show(**settings):
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.goto(path.as_uri())
        return page

    yield show
    for context in contexts:
        context.close()


def test_a_hint_opens_under_the_pointer_and_closes_with_escape(shown):
    page = shown()
    page.locator("a.nth-term").first.hover()
    hint = page.locator("#nth-hint-term-gradient-flow")
    hint.wait_for(state="visible")
    hint.hover()  # one can go there to read
    page.wait_for_timeout(400)
    assert hint.is_visible()
    page.keyboard.press("Escape")
    assert hint.is_hidden()


def test_a_hint_opens_by_keyboard_and_describes_its_word(shown):
    page = shown()
    links = page.locator("a.nth-term")
    while not page.evaluate("() => document.activeElement.matches('a.nth-term')"):
        page.keyboard.press("Tab")
    hint = page.locator(f"#{links.first.get_attribute('aria-describedby')}")
    assert hint.is_visible()
    page.keyboard.press("Tab")  # to the second word of the same term
    page.keyboard.press("Tab")
    page.wait_for_timeout(100)
    assert page.locator(".nth-hint:visible").count() == 1
    assert hint.is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_first_tap_explains_and_the_second_leads_on(shown, scheme):
    settings = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
    page = shown(has_touch=True, is_mobile=True, **settings)
    word = page.locator("a.nth-term").first
    word.tap()
    box = page.locator("#nth-hint-term-gradient-flow").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.url.endswith("shown.html")
    word.tap()
    page.wait_for_url("**/glossary.html#term-gradient-flow")
