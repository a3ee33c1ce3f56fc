"""A student reads every cell: how much code the chapters show, and where a picture stands."""

import statistics
from pathlib import Path

import jupytext
import pytest

from nthbook.book import Book

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path.stem for path in (ROOT / "book" / "chapters").glob("*.md"))


def code_lines(cell) -> list[str]:
    lines = (line.strip() for line in cell.source.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def code_cells(name: str) -> list:
    notebook = jupytext.read(Book(ROOT).chapter_path(name))
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


# What the boxes hold at 1280 pixels, as test_browser.py looks at them in the page.
IN_THE_OPEN, FOLDED, IN_A_SOLUTION = 76, 75, 69


@pytest.mark.parametrize("name", CHAPTERS)
def test_lines_fit_into_their_boxes(name):
    before, wide = "", []
    for cell in jupytext.read(Book(ROOT).chapter_path(name)).cells:
        if cell.cell_type == "markdown":
            before += cell.source
            continue
        room = FOLDED if "hide-input" in tags(cell) else IN_THE_OPEN
        if before.count("{solution-start}") > before.count("{solution-end}"):
            room = IN_A_SOLUTION
        wide += [line for line in cell.source.splitlines() if len(line) > room]
    assert wide == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_cells_are_short_and_a_picture_comes_early(name):
    cells = [cell for cell in code_cells(name) if "parameters" not in tags(cell)]
    assert max(len(code_lines(cell)) for cell in cells) <= 20
    shown = [len(code_lines(cell)) for cell in cells if "hide-input" not in tags(cell)]
    assert statistics.median(shown) <= 8
    pictures = [place for place, cell in enumerate(cells) if "plt.show()" in cell.source]
    assert pictures, "a chapter draws a picture, and shows it with plt.show()"
    assert sum(len(code_lines(cell)) for cell in cells[: pictures[0]]) <= 40


def test_the_chapters_together_are_short():
    cells = [cell for name in CHAPTERS for cell in code_cells(name)]
    total = sum(len(code_lines(cell)) for cell in cells)
    assert total <= 5220, "a new chapter raises this limit by its lines; else shorten one"


def test_no_tab_has_taken_the_place_of_a_backslash_and_a_letter():
    """``\\tilde`` that passed through a string of Python: TeX reads a tab as a space."""
    book = ROOT / "book"
    texts = [
        path.read_text(encoding="utf-8") for path in [*book.rglob("*.md"), *book.glob("*.toml")]
    ]
    assert texts
    assert not [line for text in texts for line in text.split("\n") if not line.isprintable()]
