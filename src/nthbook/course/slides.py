"""Slides of a chapter, cut from its own text: a heading starts a slide.

A slide keeps what a paragraph says first, questions with their answers, formulas, statements,
figures, verdicts, and what code printed in a few lines. The whole text of a section is its
notes, with what a page folds away. Code is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nthbook.book import Book
from nthbook.course.lesson import Block, Lesson
from nthbook.course.numbers import numbers_table, run_note
from nthbook.course.page import page
from nthbook.course.typeset import Typesetter, escape
from nthbook.ledger.rows import LedgerRow
from nthbook.share.markdown import plain_markdown

_ROOM = 7.0  # how much a slide holds, in points
_FIGURE = 4.5
_LITTLE = 2.4  # what is no slide of its own
_SHORT = 40  # characters of a sentence that says little
_LINE = 95  # characters of a point
_MOST_LINES, _WIDEST = 12, 90  # of what is printed
_CLAIMS = 3  # rows of the table on one slide

_DISPLAY = re.compile(r"(\$\$.+?\$\$)", re.DOTALL)
_WHOLE = re.compile(r"\$[^$]+\$|`[^`]+`|\[[^\]]*\]\([^)]*\)|\([^()]*\)")
_END = re.compile(r"(?<=[.?!])([\"*_)]*)\s+(?=[\"*_\[(A-Z\ue002])")
_HELD = re.compile("\ue002(\\d+)\ue003")
_LIST = re.compile(r"\s*(?:[-*+]|\d+\.)\s")
_SKIPPED = ("exercise", "exercise-start", "bibliography", "index", "toctree", "raw", "margin")


@dataclass
class Slide:
    """A slide: its title and what is on it, as HTML; ``notes`` is what there is to say."""

    title: str
    parts: list[str] = field(default_factory=list)
    weight: float = 0.0
    notes: str = ""


def sentences(text: str) -> list[str]:
    """Cut a paragraph of Markdown into its sentences; formulas, code and links stay whole.

    >>> sentences("Is $a. B$ small? It is (see Fig. 2). So `x. Y` holds.")
    ['Is $a. B$ small?', 'It is (see Fig. 2).', 'So `x. Y` holds.']
    >>> sentences("*Proof.* So it is.")
    ['*Proof.*', 'So it is.']
    """
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(match[0])
        return f"\ue002{len(held) - 1}\ue003"

    def free(text: str) -> str:
        while _HELD.search(text):
            text = _HELD.sub(lambda match: held[int(match[1])], text)
        return text

    flat = _WHOLE.sub(hold, " ".join(text.split()))
    return [free(sentence) for sentence in _END.sub(r"\1\n", flat).split("\n") if sentence]


def points(text: str) -> list[str]:
    """What a paragraph says first, and what it asks; nothing where it goes on from a formula.

    >>> points("It falls by a power of the width at all depths. We look. Is it? Yes. Now stop.")
    ['It falls by a power of the width at all depths.', 'We look.', 'Is it?', 'Yes.']
    >>> points("where $m$ is the width. Nothing else counts.")
    []
    """
    found = sentences(text)
    if not found:
        return []
    goes_on = found[0][0].islower() or found[0][0] in ",;.)"
    kept = set() if goes_on else {0}
    if kept and len(found[0]) < _SHORT:
        kept.add(1)  # it says little without the next
    for place, sentence in enumerate(found):
        if sentence.endswith("?"):
            kept |= {place - 1, place, place + 1}  # what it is asked about, and its answer
    return [sentence for place, sentence in enumerate(found) if place in kept]


def chapter_slides(book: Book, lesson: Lesson) -> str:
    """The slides of a chapter as one HTML file that needs no other and no network.

    Raises:
        UsageError: when a formula cannot be rendered.
    """
    setter = Typesetter(book)
    deck = _Deck(lesson, setter)
    slides = list(deck.slides())
    sections = "\n".join(
        _section(slide, number, len(slides)) for number, slide in enumerate(slides, 1)
    )
    body = (
        f'<main class="deck" data-title="{escape(lesson.title)}">{sections}</main>'
        '<nav class="bar" aria-label="slides" hidden>'
        '<button type="button" data-go="-1" aria-label="previous slide">◀</button>'
        '<output aria-live="polite"></output>'
        '<button type="button" data-go="1" aria-label="next slide">▶</button>'
        '<button type="button" data-turn="notes" aria-pressed="false">Notes</button>'
        '<button type="button" data-turn="all" aria-pressed="false">All slides</button></nav>'
    )
    title = f"{lesson.number}. {lesson.title}".removeprefix(". ")
    return page(book, setter, title, body, "slides")


def _section(slide: Slide, number: int, count: int) -> str:
    notes = f'<aside class="notes" aria-label="notes">{slide.notes}</aside>' if slide.notes else ""
    return (
        f'<section class="slide" id="slide-{number}" aria-label="slide {number} of {count}">'
        f'<div class="face"><div class="body"><h2>{slide.title}</h2>{"".join(slide.parts)}</div>'
        f'<p class="foot">{number}</p></div>{notes}</section>'
    )


class _Deck:
    """Cuts a chapter into slides."""

    def __init__(self, lesson: Lesson, setter: Typesetter) -> None:
        self.lesson = lesson
        self.setter = setter
        self._rows = {row.claim.id: row for row in lesson.rows}

    def slides(self) -> Iterator[Slide]:
        """The title, the sections, the exercises, the numbers."""
        yield self._title()
        for heading, blocks in _sections(self.lesson.blocks):
            if heading is None:
                blocks = [block for block in blocks if block.kind != "prose"]
            title = self._line(heading.text if heading else self.lesson.title)
            yield from self._of_section(title, blocks)
        for exercise in self.lesson.exercises:
            title = f"Exercise {exercise.number}: {self._line(exercise.directive.argument)}"
            yield Slide(title, [self._block(exercise.directive.body)])
        rows = self.lesson.claims
        for first in range(0, len(rows), _CLAIMS):
            yield self._numbers(rows[first : first + _CLAIMS], first)

    def _title(self) -> Slide:
        asked = sentences(self._plain(self.lesson.question))
        questions = [sentence for sentence in asked if sentence.endswith("?")] or asked[:1]
        number = f"Chapter {self.lesson.number}" if self.lesson.number else ""
        parts = [f'<p class="kicker">{number}</p>', *(self._asked(text) for text in questions)]
        notes = self._block(self.lesson.question) + f"<p>{run_note(self.lesson)}</p>"
        return Slide(self._line(self.lesson.title), parts, notes=notes)

    def _numbers(self, rows: list[LedgerRow], first: int) -> Slide:
        title = "The numbers" + (", continued" if first else "")
        note = f'<p class="nth-note">{run_note(self.lesson)}</p>'
        return Slide(title, [numbers_table(rows), note])

    def _of_section(self, title: str, blocks: list[Block]) -> Iterator[Slide]:
        slides = [Slide(title)]
        for part, weight in self._parts(blocks):
            full = slides[-1].weight + weight > _ROOM
            if slides[-1].parts and full and slides[-1].weight > _LITTLE:
                slides.append(Slide(f'{title} <span class="more">continued</span>'))
            slides[-1].parts.append(part)
            slides[-1].weight += weight
        if len(slides) > 1 and slides[-1].weight <= _LITTLE:
            last = slides.pop()
            slides[-1].parts += last.parts
        slides = [slide for slide in slides if slide.parts]
        if slides:
            told = (self._block(block.text) for block in blocks if _is_told(block))
            slides[0].notes = "".join(told)
        yield from slides

    def _parts(self, blocks: list[Block]) -> Iterator[tuple[str, float]]:
        """What of a section is shown, with the room that it takes."""
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            directive = block.directive
            if block.kind == "figure":
                yield f'<img src="{block.text}" alt="{escape(block.alt)}">', _FIGURE
            elif block.kind == "printed" and _fits(block.text):
                lines = block.text.rstrip().count("\n") + 1
                yield f"<pre>{escape(block.text.rstrip())}</pre>", 0.6 + 0.3 * lines
            elif block.kind == "verdict":
                rows = [self._rows[name] for name in block.text.split() if name in self._rows]
                if rows:
                    yield numbers_table(rows), 2.5 * len(rows)
            elif directive is not None and not _is_told(block) and directive.name not in _SKIPPED:
                weight = 1.0 + len(directive.body) / _LINE
                yield f'<div class="box">{self._block(block.text)}</div>', weight
            elif block.kind == "prose":
                shown = following is not None and following.kind == "prose"
                yield from self._of_prose(block.text, announced=shown)

    def _of_prose(self, text: str, *, announced: bool) -> Iterator[tuple[str, float]]:
        """A paragraph; what ends in a colon is left out where nothing comes that it announces."""
        plain = self._plain(text)
        if _LIST.match(plain) or plain.lstrip().startswith("|"):
            yield self.setter.plain(plain), max(1.0, len(plain) / _LINE)
            return
        cut = _DISPLAY.split(plain)
        for place, piece in enumerate(cut):
            if piece.startswith("$$"):
                yield self.setter.plain(piece), 1.5
                continue
            comes = announced or place < len(cut) - 1
            for point in points(piece):
                if comes or not point.endswith(":"):
                    yield self._point(point), 0.4 + len(point) / _LINE

    def _point(self, text: str) -> str:
        if text.endswith("?"):
            return self._asked(text)
        return self.setter.plain(text).replace("<p>", '<p class="point">', 1)

    def _asked(self, text: str) -> str:
        return self.setter.plain(text).replace("<p>", '<p class="asked">', 1)

    def _plain(self, text: str) -> str:
        return plain_markdown(text, self.lesson.labels)

    def _block(self, text: str) -> str:
        return self.setter.block(text, self.lesson.labels)

    def _line(self, text: str) -> str:
        return self.setter.line(text, self.lesson.labels)


def _is_told(block: Block) -> bool:
    """Whether it belongs to the notes: the text, and what a page folds away, as a proof."""
    folded = block.directive is not None and "dropdown" in block.directive.options.get("class", "")
    return block.kind == "prose" or folded


def _fits(printed: str) -> bool:
    """Whether what was printed is short enough for a slide."""
    lines = printed.rstrip().splitlines()
    return 0 < len(lines) <= _MOST_LINES and max(map(len, lines)) <= _WIDEST


def _sections(blocks: tuple[Block, ...]) -> Iterator[tuple[Block | None, list[Block]]]:
    """The blocks under each heading; those under the title come first, without a heading."""
    heading: Block | None = None
    under: list[Block] = []
    for block in blocks:
        if block.kind == "heading":
            if under:
                yield heading, under
            heading, under = (None if block.level == 1 else block), []
        else:
            under.append(block)
    if under:
        yield heading, under
