"""The files of the course in a folder: each complete in itself, with nothing beside it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from nthbook.book import Book
from nthbook.course.handouts import chapter_handout
from nthbook.course.key import course_key
from nthbook.course.lesson import Lesson, lessons
from nthbook.course.slides import chapter_slides
from nthbook.run.record import write_whole
from nthbook.share.notebooks import check_folder

Piece = Literal["slides", "handouts", "key"]

KEY = "key.html"


def export_course(
    book: Book,
    folder: Path,
    kinds: Sequence[Piece],
    *,
    chapters: Sequence[str] = (),
    pdf: bool = False,
    force: bool = False,
) -> Iterator[str]:
    """Write slides and a handout of each chapter, and one key, whichever are wanted.

    All chapters are taken where none is named, each as it was last run, else as it is
    written. ``pdf`` puts a printed copy beside each file. Yields a line for each.

    Raises:
        UsageError: before anything is written, when a file would be overwritten or a chapter
            is malformed; and when a formula cannot be rendered, or Chromium is missing.
        PrintError: when Chromium cannot print.
    """
    found = list(lessons(book, chapters))
    named = dict(_files(found, kinds))
    files = [*named, *(str(Path(name).with_suffix(".pdf")) for name in named if pdf)]
    check_folder(folder, files, force=force)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (kind, lesson) in named.items():
        if lesson is None:
            text = course_key(book, found)
        elif kind == "slides":
            text = chapter_slides(book, lesson)
        else:
            text = chapter_handout(book, lesson)
        write_whole(folder / name, text)
        yield f"{folder / name}: {_state(lesson)}"
        if pdf:
            yield _print(folder / name, text)


def _files(
    found: Sequence[Lesson], kinds: Sequence[Piece]
) -> Iterator[tuple[str, tuple[Piece, Lesson | None]]]:
    for lesson in found:
        if "slides" in kinds:
            yield f"{lesson.name}-slides.html", ("slides", lesson)
        if "handouts" in kinds:
            yield f"{lesson.name}-handout.html", ("handouts", lesson)
    if "key" in kinds:
        yield KEY, ("key", None)


def _state(lesson: Lesson | None) -> str:
    if lesson is None:
        return "solutions, for instructors"
    return "not run" if lesson.record is None else f"run at profile {lesson.record.profile}"


def _print(path: Path, text: str) -> str:
    from nthbook.share.pdf import print_page

    printed = path.with_suffix(".pdf")
    data, pages = print_page(text)
    printed.write_bytes(data)
    return f"{printed}: {pages} {'page' if pages == 1 else 'pages'}"
