"""A handout of a chapter: one page of A4 with question, statement, picture, numbers, exercises."""

from collections.abc import Iterator

from nthbook.book import Book
from nthbook.course.lesson import Block, Exercise, Lesson
from nthbook.course.numbers import left_out, numbers_table, run_note
from nthbook.course.page import page
from nthbook.course.typeset import Typesetter, escape

_MOST_CLAIMS = 5
_MOST_EXERCISES = 3


def chapter_handout(book: Book, lesson: Lesson) -> str:
    """The handout of a chapter as one HTML file that prints to one page of A4.

    Raises:
        UsageError: when a formula cannot be rendered.
    """
    setter = Typesetter(book)
    body = f'<main class="sheet">{"".join(_parts(book, lesson, setter))}</main>'
    return page(book, setter, lesson.title, body, "handouts")


def _parts(book: Book, lesson: Lesson, setter: Typesetter) -> Iterator[str]:
    number = f"Chapter {lesson.number} · " if lesson.number else ""
    title = escape(str(book.settings.get("title", "A book")))
    labels = lesson.labels
    yield f'<p class="kicker">{number}{title}</p><h1>{setter.line(lesson.title, labels)}</h1>'
    yield f'<div class="question">{setter.block(lesson.question, labels)}</div>'
    yield _statement(lesson, setter) + _picture(lesson)
    yield _numbers(lesson)
    exercises = lesson.chosen_exercises(_MOST_EXERCISES)
    if exercises:
        written = "".join(_exercise(exercise, lesson, setter) for exercise in exercises)
        yield f'<section class="exercises"><h2>Exercises</h2>{written}</section>'


def _statement(lesson: Lesson, setter: Typesetter) -> str:
    if lesson.statement is None:
        return ""
    chapter, directive = lesson.statement
    fence = "`" * 3
    source = "\n".join([f"{fence}{{{directive.name}}} {directive.argument}", directive.body, fence])
    where = ""
    if chapter != lesson.name:
        number = lesson.labels.numbers.get(chapter, "")
        where = f'<p class="nth-note">Stated in chapter {number}, and tested here.</p>'
    return f'<section class="statement">{setter.block(source, lesson.labels)}{where}</section>'


def _picture(lesson: Lesson) -> str:
    """The chapter's first figure: chapters put the picture before the measurement."""
    figure: Block | None = next(iter(lesson.figures), None)
    if figure is None:
        return ""
    return f'<figure><img src="{figure.text}" alt="{escape(figure.alt)}"></figure>'


def _numbers(lesson: Lesson) -> str:
    rows = lesson.claims
    if not rows:
        return ""
    rest = left_out(rows[_MOST_CLAIMS:])
    note = " ".join(filter(None, (rest, run_note(lesson))))
    return (
        f"<section><h2>The numbers</h2>{numbers_table(rows[:_MOST_CLAIMS])}"
        f'<p class="nth-note">{note}</p></section>'
    )


def _exercise(exercise: Exercise, lesson: Lesson, setter: Typesetter) -> str:
    title = setter.line(exercise.directive.argument, lesson.labels)
    body = setter.block(exercise.directive.body, lesson.labels)
    return f'<div class="exercise"><h3>{exercise.number} {title}</h3>{body}</div>'
