"""An instructor's key: every exercise with its solution, its code and what that printed."""

from collections.abc import Sequence

from nthbook.answers import Answer
from nthbook.book import Book
from nthbook.course.lesson import Block, Exercise, Lesson
from nthbook.course.page import page
from nthbook.course.typeset import Typesetter, escape


def course_key(book: Book, lessons: Sequence[Lesson]) -> str:
    """The key of all chapters as one HTML file that needs no other and no network.

    Raises:
        UsageError: when a formula cannot be rendered.
    """
    setter = Typesetter(book)
    taught = [lesson for lesson in lessons if lesson.exercises]
    links = "".join(
        f'<li><a href="#{escape(lesson.name)}">{_title(lesson, setter)}</a></li>'
        for lesson in taught
    )
    answers = book.answers()
    chapters = "".join(_chapter(lesson, setter, answers) for lesson in taught)
    body = (
        f"<main><h1>Key to the exercises</h1><p>For instructors: it holds the solutions.</p>"
        f'<nav aria-label="chapters"><ul>{links}</ul></nav>{chapters}</main>'
    )
    return page(book, setter, "Key to the exercises", body, "key")


def _title(lesson: Lesson, setter: Typesetter) -> str:
    return f"{lesson.number} {setter.line(lesson.title, lesson.labels)}".strip()


def _chapter(lesson: Lesson, setter: Typesetter, answers: Sequence[Answer]) -> str:
    written = "".join(
        _exercise(exercise, lesson, setter) + _answers(exercise, answers)
        for exercise in lesson.exercises
    )
    title = _title(lesson, setter)
    return f'<section id="{escape(lesson.name)}"><h2>{title}</h2>{written}</section>'


def _exercise(exercise: Exercise, lesson: Lesson, setter: Typesetter) -> str:
    title = setter.line(exercise.directive.argument, lesson.labels)
    asked = setter.block(exercise.directive.body, lesson.labels)
    answer = "".join(_block(block, lesson, setter) for block in exercise.solution)
    return (
        f'<article id="{escape(exercise.directive.label)}"><h3>{exercise.number} {title}</h3>'
        f'<div class="box">{asked}</div>{answer}</article>'
    )


def _answers(exercise: Exercise, answers: Sequence[Answer]) -> str:
    """What students can check without seeing it."""
    own = [answer for answer in answers if answer.exercise == exercise.directive.label]
    lines = "".join(
        f"<li>{escape(answer.asks)}: <strong>{answer.value:.{answer.digits}f}</strong></li>"
        for answer in own
    )
    return f'<div class="answers"><p>Students can check:</p><ul>{lines}</ul></div>' if own else ""


def _block(block: Block, lesson: Lesson, setter: Typesetter) -> str:
    if block.kind == "figure":
        return f'<img src="{block.text}" alt="{escape(block.alt)}">'
    if block.kind in ("code", "printed"):
        return f'<pre class="{block.kind}">{escape(block.text.rstrip())}</pre>'
    return "" if block.kind == "verdict" else setter.block(block.text, lesson.labels)
