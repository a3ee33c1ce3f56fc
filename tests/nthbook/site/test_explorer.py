"""The explorer: what the build hands to it, and what a reader can do with it."""

import base64
import json

import explorer
import numpy as np
import pytest
from explorer import RUNS_MIME, RunsError, runs_script, take_runs
from visits import SIZES

PAGE = "book/start/explorer"
SLIDERS = ("width", "order", "time")
BLOW_UP = 2.5

# One picture, as text; and whether it is drawn at all.
CANVAS = "place => document.querySelectorAll('.nth-picture canvas')[place].toDataURL()"
INK = """() => [...document.querySelectorAll('.nth-picture canvas')].map(canvas => {
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, place) => place % 4 === 3 && value > 0).length;
})"""


def example_numbers():
    """Two widths, orders 2 and 3, five times, one trained and one unseen input."""
    numbers = np.random.default_rng(0).normal(size=(1, 2, 3, 5, 4)).astype("<f4")
    numbers[0, 0, 2, 3:] = np.nan  # the order 3 has blown up at the first width
    return numbers


def example_runs(**changes):
    runs = {
        "format": 1,
        "activations": ["tanh"],
        "widths": [8, 16],
        "curves": ["network", 2, 3],
        "times": [0.0, 1.0, 2.0, 3.0, 4.0],
        "entries": [[0], [1], [0, 0], [1, 0]],
        "inputs": ["1", "2 (unseen)"],
        "labels": [1.0],
        "valid_until": [[[None, BLOW_UP], [None, None]]],
        "numbers": base64.b64encode(example_numbers().tobytes()).decode(),
    }
    return {**runs, **changes}


# ------------------------------------------------------------------------------- the build


def read(script):
    return json.loads(script.removeprefix("nthExplorer(").removesuffix(");\n"))


def test_a_reader_of_the_file_gets_back_what_the_page_computed():
    runs = read(runs_script(example_runs()))
    assert runs == example_runs()
    shape = [len(runs[axis]) for axis in ("activations", "widths", "curves", "times", "entries")]
    numbers = np.frombuffer(base64.b64decode(runs["numbers"]), "<f4").reshape(shape)
    np.testing.assert_array_equal(numbers, example_numbers())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format must be 1, got 2"),
        ({"widths": [8]}, "numbers must hold 240 bytes .* 1 widths x .* got 480"),
        ({"numbers": "?"}, "numbers must be text in base64"),
        ({"numbers": None}, "numbers must be text in base64"),
    ],
)
def test_runs_that_the_script_could_not_read_are_refused(changes, message):
    with pytest.raises(RunsError, match=message):
        runs_script(example_runs(**changes))


def test_a_missing_part_of_the_runs_is_named():
    runs = example_runs()
    del runs["valid_until"]
    with pytest.raises(RunsError, match="valid_until is missing"):
        runs_script(runs)


def notebook_with(*data):
    outputs = [{"output_type": "display_data", "data": each} for each in data]
    return {"cells": [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": outputs}]}


def test_the_runs_leave_the_notebook_and_their_words_stay():
    data = {"text/plain": "runs.js, 1 kB", RUNS_MIME: example_runs()}
    assert take_runs(notebook_with({"text/plain": "first"}, data)) == example_runs()
    assert data == {"text/plain": "runs.js, 1 kB"}


def test_a_run_that_hands_over_nothing_fails_the_build():
    with pytest.raises(RunsError, match="handed over no runs"):
        take_runs(notebook_with({"text/plain": "words"}))
    assert take_runs(notebook_with()) is None  # it was not run


def test_the_build_adds_the_library_and_the_runs(sphinx_page, tmp_path, monkeypatch):
    monkeypatch.setattr(explorer, "PAGE", "page")
    notebook = notebook_with({RUNS_MIME: example_runs()})
    sphinx_page(json.dumps(notebook), "explorer")
    folder = tmp_path / "built" / "_static" / "explorer"
    assert read((folder / "runs.js").read_text()) == example_runs()
    assert "numbers" not in (tmp_path / "built" / "page.html").read_text()
    for name in ("uPlot.iife.min.js", "uPlot.min.css", "LICENSE"):
        assert (folder / name).stat().st_size > 500


# ------------------------------------------------------------------------------ the reader


def redrawn(page, act, *arguments, place=2, **named):
    """Act, and wait for the picture to change."""
    before = page.evaluate(CANVAS, place)
    act(*arguments, **named)
    page.wait_for_function(f"before => ({CANVAS})({place}) !== before", arg=before, timeout=10_000)


def reading(page):
    return page.locator(".nth-reading").text_content()


@pytest.mark.site
@pytest.mark.parametrize("size", SIZES)
def test_each_slider_changes_the_pictures_by_keyboard_and_by_pointer(visit, size):
    seen = visit(size)
    page = seen.open(f"{PAGE}.html")
    assert min(page.evaluate(INK)) > 1000
    for name in SLIDERS:
        slider = page.locator(f"#nth-explorer-{name}")
        output = page.locator(f"output[for=nth-explorer-{name}]")
        slider.press("Home")
        redrawn(page, page.keyboard.press, "ArrowRight")
        assert slider.input_value() == "1"
        assert slider.get_attribute("aria-valuetext") == output.text_content()
        shown, words = output.text_content(), reading(page)
        box = slider.bounding_box()
        redrawn(page, slider.click, position={"x": box["width"] - 8, "y": box["height"] / 2})
        assert slider.input_value() == slider.get_attribute("max")
        assert output.text_content() != shown
        assert reading(page) != words
    assert seen.trouble == []


@pytest.mark.site
def test_selections_and_presses_change_the_pictures_and_dark_ones_are_drawn_anew(visit):
    seen = visit(color_scheme="light")
    page = seen.open(f"{PAGE}.html")
    redrawn(page, page.get_by_label("Input").select_option, index=4, place=0)
    assert "unseen" in reading(page)
    redrawn(page, page.get_by_label("Kernel entry").select_option, index=2, place=1)
    over = page.locator(".nth-picture .u-over").nth(2)
    size = over.bounding_box()
    redrawn(page, over.click, position={"x": size["width"] - 2, "y": 20})
    slider = page.locator("#nth-explorer-time")
    assert slider.input_value() == slider.get_attribute("max")
    redrawn(page, page.evaluate, "document.documentElement.dataset.theme = 'dark'")
    assert seen.trouble == []


@pytest.mark.site
def test_a_setting_travels_in_the_address(visit):
    seen = visit()
    page = seen.open(f"{PAGE}.html?order=4#width=16&order=3&time=2&sample=5&entry=1-2")
    text = reading(page)
    for part in ("At t = 2.0", "width 16", "on input 5", "order 3", "K⁽²⁾(x₁, x₂)"):
        assert part in text
    redrawn(page, page.get_by_role("button", name="Narrow network").click)
    page.wait_for_function("location.hash.includes('order=2')")
    other = visit().open(f"{PAGE}.html{page.evaluate('location.hash')}")
    assert reading(other) == reading(page)
    words = reading(page)
    page.evaluate("location.hash = 'what-to-look-for'")  # a place in the page is no setting
    page.wait_for_timeout(200)
    assert reading(page) == words
    assert "order 4" in reading(visit().open(f"{PAGE}.html?order=4"))
    assert seen.trouble == []


@pytest.fixture
def instead(visit):
    """Open the page with other runs than those of the book."""

    def open_with(runs):
        seen = visit()
        answer = {"body": runs_script(runs), "content_type": "text/javascript"}
        seen.context.route("**/explorer/runs.js*", lambda route: route.fulfill(**answer))
        return seen, seen.open(f"{PAGE}.html")

    return open_with


@pytest.mark.site
def test_a_truncation_that_blows_up_ends_and_the_page_says_so(instead):
    seen, page = instead(example_runs())
    redrawn(page, page.get_by_role("button", name="blows up").click)
    assert f"The truncation will blow up at t = {BLOW_UP:.2f}." in reading(page)
    page.locator("#nth-explorer-time").focus()
    redrawn(page, page.keyboard.press, "End", place=0)
    assert f"it blew up at t = {BLOW_UP:.2f}" in reading(page)
    assert "NaN" not in reading(page)
    assert seen.trouble == []


@pytest.mark.site
def test_without_runs_the_page_says_so(instead):
    seen, page = instead(None)
    assert "have not been made here" in page.locator("#nth-explorer").text_content()
    assert page.locator("#nth-explorer input").count() == 0
    assert seen.trouble == []


@pytest.mark.site
def test_no_other_page_loads_the_explorer(visit):
    page = visit().open("book/intro.html")
    assert page.locator("script[src*=explorer]").count() == 0
    assert page.locator("link[rel=stylesheet][href*=explorer]").count() == 0
