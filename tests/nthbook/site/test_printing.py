"""The printed book: one document whose links hold, and a PDF that can be leafed through."""

import io
import os
import re
import unicodedata

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from nthbook.book import Book, UsageError
from nthbook.course.export import export_course
from nthbook.share import pdf
from nthbook.share.document import print_document
from nthbook.share.pdf import PrintError, find_chromium, page_numbers, print_book
from nthbook.site.build import build_site

TOC = """\
root: book/intro
parts:
  - caption: First & last
    chapters:
      - file: book/chapters/one
      - file: book/chapters/two
"""
INTRO = """<section id="top"><h1>Intro<a class="headerlink" href="#top">#</a></h1>
<p><a href="chapters/one.html#same">one</a> <a href="chapters/two.html?q=1">two</a>
<a href="chapters/two.html#lost">lost</a> <a href="https://example.org/x.html">outside</a>
<a href="../_sources/book/intro.md" download>download</a> <a href="../ledger.json">data</a></p>
<script>1</script><form>filter</form></section>"""
ONE = """<section id="top"><h1><span>1. </span>One</h1><section id="same"><h2>A <em>b</em></h2>
<img src="../../_images/a.png" alt="a"><p aria-labelledby="same top" id="same">twice</p>
<svg><g clip-path="url(#same)"></g></svg>
<details class="hide above-input"><summary>Show code</summary><div class="cell_input">hidden()</div>
<div class="cell_output">shown</div></details>
<details><summary>More</summary><p>folded</p></details>
<div class="solution dropdown toggle admonition toggle-hidden">answer</div>
<p class="nth-run">Run on some day; peak memory 1 GB; download: <a download href="a">it</a>.</p>
</section></section>"""
TWO = """<section id="top"><h1>Two</h1><a href="#top">up</a>
<a href="one.html">back</a><noscript>no script</noscript></section>"""


@pytest.fixture
def made_up(tmp_path, monkeypatch) -> Book:
    """A site of three pages, written by hand."""
    monkeypatch.delenv("NTH_BUILD_DIR", raising=False)
    (tmp_path / "_toc.yml").write_text(TOC)
    (tmp_path / "_config.yml").write_text("title: A & B\nauthor: C. D.\n")
    for name, body in (("intro", INTRO), ("chapters/one", ONE), ("chapters/two", TWO)):
        page = tmp_path / "build" / "html" / "book" / f"{name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        depth = "../" * (1 + name.count("/"))
        style = f'<link rel="stylesheet" href="{depth}_static/a.css?v=1">'
        page.write_text(f"<html><head>{style}</head><article>{body}</article></html>")
    (tmp_path / "build" / "html" / "index.html").touch()
    return Book(tmp_path)


def soup(book: Book) -> BeautifulSoup:
    return BeautifulSoup(print_document(book).html, "html.parser")


def test_ids_are_unique_and_every_link_has_its_place(made_up):
    document = soup(made_up)
    ids = [part["id"] for part in document.find_all(id=True)]
    assert len(ids) == len(set(ids)) > 6
    inside = [link["href"] for link in document.find_all("a", href=True)]
    assert {link for link in inside if not link.startswith("#")} == {"https://example.org/x.html"}
    assert {link[1:] for link in inside if link.startswith("#")} <= set(ids)
    names = document.select_one("p[aria-labelledby]")["aria-labelledby"].split()
    assert set(names) <= set(ids)
    assert re.search(r"url\(#([^)]+)\)", str(document.svg))[1] in ids


def test_a_link_leads_where_it_led_on_the_site(made_up):
    links = {link.get_text(): link["href"] for link in soup(made_up).select("article a")}
    assert links["one"] == "#book-chapters-one--same"
    assert links["two"] == links["lost"] == "#book-chapters-two"
    assert links["up"] == "#book-chapters-two--top"
    assert links["back"] == "#book-chapters-one"
    assert not links.keys() & {"download", "data"}


def test_what_is_folded_is_open_and_what_needs_a_screen_is_gone(made_up):
    document = soup(made_up)
    text = document.get_text()
    for kept in ("shown", "folded", "answer", "no script", "peak memory 1 GB.", "download data"):
        assert kept in text
    for lost in ("hidden()", "Show code", "filter", "download:", "#"):
        assert lost not in " ".join(part.get_text() for part in document.select("article"))
    assert document.select_one("details").has_attr("open")
    assert document.select_one(".solution")["class"] == ["solution", "dropdown", "admonition"]


def test_paths_start_at_the_root_and_style_sheets_are_named_once(made_up):
    document = soup(made_up)
    assert document.img["src"] == "/_images/a.png"
    assert [link["href"] for link in document.select("link")] == ["/_static/a.css?v=1"]


def test_the_contents_follow_the_toc(made_up):
    document = print_document(made_up)
    assert [(line.level, line.title) for line in document.headings] == [
        (1, "Intro"),
        (0, "First & last"),
        (1, "1. One"),
        (2, "A b"),
        (1, "Two"),
    ]
    assert "A &amp; B" in document.html
    assert (document.title, document.author) == ("A & B", "C. D.")


@pytest.mark.bad_input
def test_without_a_site_the_command_to_build_one_is_named(made_up):
    (made_up.html_dir / "book" / "chapters" / "two.html").unlink()
    with pytest.raises(UsageError, match=r"no page book/chapters/two: .* `nth build`"):
        print_document(made_up)
    (made_up.html_dir / "index.html").unlink()
    with pytest.raises(UsageError, match="no site yet: make it with `nth book`"):
        print_document(made_up)


@pytest.mark.bad_input
def test_without_chromium_one_sentence_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"needs Chromium: install it, or name it in \$CHROMIUM"):
        find_chromium()
    monkeypatch.setenv("CHROMIUM", "no-such-program")
    with pytest.raises(UsageError, match=r"\$CHROMIUM names no-such-program"):
        find_chromium()


def test_a_chromium_too_old_for_page_numbers_is_refused():
    with pytest.raises(UsageError, match="131 or newer"):
        pdf._check_version("130.0.1")
    pdf._check_version("131.0.1")


@pytest.fixture
def chromium() -> str:
    """The browser is there. Printing starts one of its own."""
    try:
        return find_chromium()
    except UsageError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.mark.usefixtures("chromium")
def test_a_figure_that_is_lost_leaves_no_file(made_up):
    with pytest.raises(PrintError, match=r"figures are missing: .*_images/a\.png"):
        print_book(made_up)
    assert not list(made_up.build.glob("*.pdf"))


@pytest.mark.usefixtures("chromium")
def test_printed_copies_of_the_course_lie_beside_its_pages(small_book, tmp_path):
    out = tmp_path / "out"
    lines = list(export_course(small_book, out, ["handouts", "key"], pdf=True))
    assert f"{out / 'example-handout.pdf'}: 1 page" in lines
    printed = PdfReader(out / "key.pdf")
    assert "It is a norm" in "".join(page.extract_text() for page in printed.pages)


@pytest.fixture
def printed(small_book, chromium):
    """The small book in print."""
    build_site(small_book)
    return print_book(small_book, small_book.build / "small.pdf", paper="letter")


def linked_pages(reader: PdfReader, number: int) -> list[int]:
    """Where the links of a page lead, from top to bottom."""
    places, found = page_numbers(reader), []
    for link in reader.pages[number - 1].get("/Annots", []):
        link = link.get_object()
        if "/Dest" in link:
            found.append((-link["/Rect"][3], places[link["/Dest"].lstrip("/")]))
    return [page for _, page in sorted(found)]


def test_a_book_in_print_is_complete_and_can_be_leafed_through(printed):
    reader = PdfReader(printed.path)
    # Ligatures come as single letters.
    texts = [unicodedata.normalize("NFKC", page.extract_text()) for page in reader.pages]
    assert printed.wide == []
    assert printed.pages == len(texts)
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [612, 792]
    for number, text in enumerate(texts[1:], 2):  # the title page has no number
        assert str(number) in text.split()
    assert reader.metadata.title == "The Neural Tangent Hierarchy, by experiment"
    assert reader.metadata.author
    assert reader.trailer["/Root"]["/Lang"] == "en"

    whole = "\n".join(texts)
    for part in ("A small book", "One example", "The ledger", "Runs", "References", "It is a norm"):
        assert part in whole
    assert not re.search(r"\\(?:frac|lVert|partial)|\$", whole)
    assert "∂" in whole  # a glyph of a formula
    assert sum(len(page.images) for page in reader.pages) == 1

    contents = [line for line in texts[1].splitlines() if re.search(r"\S.*\s\d+$", line)]
    led = linked_pages(reader, 2)
    outline = [
        (item.title, reader.get_destination_page_number(item) + 1) for item in flat(reader.outline)
    ]
    assert len(outline) > 8
    for title, number in outline:
        assert " ".join(title.split()).lower() in " ".join(texts[number - 1].split()).lower()
    numbers = [int(line.split()[-1]) for line in contents]
    assert [number for number in numbers if number not in led] == []
    assert {number for _, number in outline} == set(led)


def flat(outline):
    for item in outline:
        if isinstance(item, list):
            yield from flat(item)
        else:
            yield item


@pytest.mark.site
def test_a_page_is_printed_light_and_whole(visit):
    page = visit(color_scheme="dark").open("book/appendix/ledger.html")
    page.evaluate("""() => addEventListener("beforeprint", () => {
      document.body.dataset.printed = document.documentElement.dataset.theme; })""")
    reader = PdfReader(io.BytesIO(page.pdf()))
    assert page.evaluate("document.body.dataset.printed") == "light"
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    first = reader.pages[0].extract_text()
    assert "The ledger" in first
    assert "Search" not in first  # no bars
