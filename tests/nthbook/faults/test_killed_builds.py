"""A build of the site killed at random moments: a whole site can be read at any time."""

import random
import time

import pytest
from runs import kill, processes_in, start, wait_for

from nthbook.cli.main import main
from nthbook.site import build
from nthbook.site.check import site_defects

pytestmark = pytest.mark.fault


@pytest.fixture
def built(small_book, monkeypatch):
    """The small book with its build, and the seconds that a full build takes."""
    monkeypatch.chdir(small_book.root)
    began = time.monotonic()
    assert main(["build"]) == 0
    return small_book, time.monotonic() - began


def check_readable(book) -> None:
    """The old site or the new one is there, whole; between the renames, under the old name."""
    retired = book.html_dir.with_name("html.old")
    folder = book.html_dir if book.html_dir.exists() else retired
    assert site_defects(folder, book.pages()) == []


def change(book, number: int) -> None:
    """Change a heading, so that all pages are read again."""
    intro = book.root / "book" / "intro.md"
    intro.write_text(f"{intro.read_text(encoding='utf-8')}\n## Part {number}\n", encoding="utf-8")


def kill_builds(book, waits) -> None:
    """Kill one build after another and start the next at once; the last one ends."""
    for number, wait in enumerate(waits):
        change(book, number)
        build = start("build")
        wait()
        assert "Traceback" not in kill(build)
        check_readable(book)
    assert main(["build"]) == 0
    assert site_defects(book.html_dir, book.pages()) == []
    page = (book.html_dir / "book" / "intro.html").read_text(encoding="utf-8")
    assert f"Part {len(waits) - 1}" in page


@pytest.fixture
def left_over(monkeypatch):
    """The processes of earlier builds that go on when jupyter-book is started."""
    seen: list[list[int]] = []
    run = build._run_jupyter_book

    def look(book, *arguments):
        seen.append(processes_in(book.root))
        return run(book, *arguments)

    monkeypatch.setattr(build, "_run_jupyter_book", look)
    return seen


def test_a_killed_build_leaves_a_site_and_the_next_one_succeeds(built, left_over):
    """The kill strikes while jupyter-book works, which then goes on by itself for a while."""
    book, _ = built

    def wait():
        wait_for(lambda: len(processes_in(book.root)) == 2, "jupyter-book")
        time.sleep(random.Random(1).uniform(0.0, 1.0))

    kill_builds(book, [wait])
    assert left_over == [[]]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_builds_killed_at_any_moment(built, seed):
    book, seconds = built
    moments = random.Random(seed)
    waits = [lambda: time.sleep(moments.uniform(0.0, 1.2 * seconds))] * 6
    kill_builds(book, waits)
