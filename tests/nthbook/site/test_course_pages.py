"""Slides and handouts in a browser: no network, by keyboard, on paper."""

import io

import nbformat
import pytest
from pypdf import PdfReader

from nthbook.book import UsageError
from nthbook.course.handouts import chapter_handout
from nthbook.course.lesson import lessons
from nthbook.course.slides import chapter_slides


@pytest.fixture
def lesson(small_book):
    (found,) = lessons(small_book)
    return found


@pytest.fixture
def opened(browser, small_book, tmp_path):
    """Open a page from its file; every request but for that file is an error."""
    contexts = []

    def open_page(text, **settings):
        path = tmp_path / "page.html"
        path.write_text(text)
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: asked.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_timeout(200)
        outside = [url for url in asked if not url.startswith(("data:", path.as_uri()))]
        assert outside == []
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_slides_are_turned_by_keyboard_and_need_no_network(small_book, lesson, opened):
    page = opened(chapter_slides(small_book, lesson))
    count = page.locator(".slide").count()
    assert count >= 4
    assert page.locator(".slide:visible").count() == 1
    page.keyboard.press("ArrowRight")
    assert page.locator(".slide:visible").get_attribute("id") == "slide-2"
    assert page.locator(".bar output").text_content() == f"2 of {count}"
    assert page.url.endswith("#slide-2")
    page.keyboard.press("End")
    page.keyboard.press("PageDown")  # there is nothing beyond
    assert page.locator(".slide:visible").get_attribute("id") == f"slide-{count}"
    page.keyboard.press("Home")
    assert page.locator(".notes:visible").count() == 0
    page.keyboard.press("n")
    assert page.locator(".notes:visible").count() == 1
    page.keyboard.press("a")
    assert page.locator(".slide:visible").count() == count
    page.get_by_role("button", name="All slides").click()
    assert page.locator(".slide:visible").count() == 1


@pytest.fixture
def asked(small_book):
    """A chapter with a section that asks and answers, more than a slide holds."""
    path = small_book.executed_dir / "example.ipynb"
    notebook = nbformat.read(path, as_version=4)
    many = "\n\n".join(["We go on, and say at some length what is seen along this line."] * 9)
    text = f"## Asked\n\nWho moves?\n\nThe kernel. The hidden reason.\n\n{many}\n\nThe LAST one."
    notebook.cells.insert(2, nbformat.v4.new_markdown_cell(text))
    nbformat.write(notebook, path)
    (found,) = lessons(small_book)
    return found


def go_to(page, title):
    slide = page.locator(f'.slide:has(h2:has-text("{title}"))').first.get_attribute("id")
    page.evaluate(f"location.hash = '{slide}'")
    page.wait_for_selector(f"#{slide}.now")


def test_an_answer_waits_for_a_key(small_book, asked, opened):
    page = opened(chapter_slides(small_book, asked))
    go_to(page, "Asked")
    answer, here = page.locator(".now p:has-text('The kernel.')").first, page.url
    assert page.locator(".now p:has-text('Who moves?')").first.is_visible()
    assert not answer.is_visible()
    page.keyboard.press("ArrowRight")
    assert answer.is_visible()
    assert page.url == here
    page.keyboard.press("ArrowRight")
    assert page.url != here
    page.keyboard.press("ArrowLeft")  # back to the whole slide, and then to the question
    assert (page.url, answer.is_visible()) == (here, True)
    page.keyboard.press("ArrowLeft")
    assert (page.url, answer.is_visible()) == (here, False)
    go_to(page, "Exercise")
    go_to(page, "Asked")
    assert not answer.is_visible()
    page.keyboard.press("a")
    assert answer.is_visible()
    page.locator(".slide").last.click()
    assert page.locator(".slide:visible").count() == 1
    assert page.locator(".now").get_attribute("id") == f"slide-{page.locator('.slide').count()}"


def test_every_slide_has_the_notes_of_what_it_shows(small_book, asked, opened):
    page = opened(chapter_slides(small_book, asked))
    first, last = (page.locator('.slide:has(h2:has-text("Asked"))').nth(n) for n in (0, -1))
    assert "continued" in last.locator("h2").text_content()
    assert "The hidden reason." in first.locator(".notes").text_content()
    assert "The LAST one." in last.locator(".notes").text_content()
    assert "The LAST one." not in first.locator(".notes").text_content()


def test_notes_open_in_a_window_of_their_own_and_follow(small_book, asked, opened):
    page = opened(chapter_slides(small_book, asked))
    with page.expect_popup() as popup:
        page.keyboard.press("p")
    desk = popup.value
    go_to(page, "Asked")
    assert "The hidden reason." in desk.locator(".notes").text_content()
    assert page.locator(".notes:visible").count() == 0
    place = page.locator(".bar output").text_content()
    assert desk.locator("p.nth-note").last.text_content().startswith(place)
    desk.keyboard.press("ArrowRight")
    desk.keyboard.press("ArrowRight")
    assert page.locator(".bar output").text_content() != place
    assert page.locator(".bar output").text_content() in desk.locator("body").text_content()


def test_a_formula_is_set_in_fonts_that_the_file_holds(small_book, lesson, opened):
    page = opened(chapter_slides(small_book, lesson))
    assert page.locator("mjx-container").count() > 3
    fonts = page.evaluate(
        "() => [...document.fonts].filter((font) => font.status === 'loaded')"
        ".map((font) => font.family)"
    )
    assert {"MJXTEX-I"} <= {font.strip('"') for font in fonts}


def test_a_brace_that_is_stretched_is_seen(small_book, lesson, opened):
    path = small_book.executed_dir / "example.ipynb"
    formula = r"\\partial_t f"
    assert formula in path.read_text()
    path.write_text(path.read_text().replace(formula, r"\\underbrace{f+f+f}_{f}", 1))
    (braced,) = lessons(small_book)
    page = opened(chapter_slides(small_book, braced))
    fonts = "() => [...document.fonts].map((font) => font.family)"
    assert {"MJXTEX-S1", "MJXTEX-S4"} <= {name.strip('"') for name in page.evaluate(fonts)}
    plain = opened(chapter_slides(small_book, lesson))
    assert "MJXTEX-S4" not in {name.strip('"') for name in plain.evaluate(fonts)}


def test_figure_statement_and_verdict_are_on_slides(small_book, lesson, opened):
    page = opened(chapter_slides(small_book, lesson), java_script_enabled=False)
    assert page.locator(".body img").get_attribute("alt") == "A line that falls"
    assert page.locator(".body .box:has-text('The kernel drifts')").count() == 1
    assert page.locator(".body .nth-badge:has-text('holds')").count() >= 1
    assert page.locator(".slide:visible").count() == page.locator(".slide").count()


def test_nothing_is_cut_off(small_book, lesson, opened):
    page = opened(chapter_slides(small_book, lesson))
    for number in range(page.locator(".slide").count()):
        page.evaluate(f"location.hash = 'slide-{number + 1}'")
        page.wait_for_selector(f"#slide-{number + 1}.now")
        face, body = (page.locator(f".now .{part}").bounding_box() for part in ("face", "body"))
        assert body["y"] + body["height"] <= face["y"] + face["height"] + 1


def test_on_paper_every_slide_has_a_page(small_book, lesson, opened):
    page = opened(chapter_slides(small_book, lesson))
    count = page.locator(".slide").count()
    printed = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    assert len(printed.pages) == count
    width, height = printed.pages[0].mediabox[2:]
    assert float(width) / float(height) == pytest.approx(16 / 9, abs=0.01)


@pytest.mark.parametrize("sentences", [0, 180])
def test_a_handout_is_one_page(small_book, lesson, opened, sentences):
    long = " ".join(["And the kernel moves on, as was said."] * sentences)
    text = chapter_handout(small_book, lesson).replace("</main>", f"<p>{long}</p></main>")
    if sentences:  # too much for a page, were it not set smaller
        assert _pages(opened(text, java_script_enabled=False)) == (2, (210, 297))
    assert _pages(opened(text)) == (1, (210, 297))


def _pages(page):
    """How many pages are printed, and their size in millimetres."""
    printed = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    size = tuple(round(float(side) / 72 * 25.4) for side in printed.pages[0].mediabox[2:])
    return len(printed.pages), size


def test_a_formula_that_cannot_be_read_is_named(small_book, lesson):
    path = small_book.executed_dir / "example.ipynb"
    path.write_text(path.read_text().replace(r"\\partial_t f", r"\\undefined f"))
    (broken,) = lessons(small_book)
    with pytest.raises(UsageError, match=r"\\undefined"):
        chapter_slides(small_book, broken)
