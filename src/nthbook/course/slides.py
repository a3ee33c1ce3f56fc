"""Slides of a chapter, cut from its own text: a heading starts a slide.

A slide keeps what a paragraph says first, questions with their answers, formulas, statements,
figures, verdicts, and what code printed in a few lines. What follows a question waits for a key,
and so does what is printed. The whole text is in the notes, with what a page folds away. Code
is left out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate

from nthbook.book import Book
from nthbook.course.lesson import Block, Lesson
from nthbook.course.numbers import numbers_table, run_note
from nthbook.course.page import page
from nthbook.course.typeset import Typesetter, escape
from nthbook.ledger.rows import LedgerRow
from nthbook.share.markdown import plain_markdown

_ROOM = 7.0  # how much a slide holds, in points
_FIGURE = 4.5
_CROWDED = 4.0  # how much worse too much on a slide is than too little
_TORN = 0.5  # and what it costs to cut after what announces the next part
_SHORT = 40  # characters of a sentence that says little
_LINE = 95  # characters of a point
_ROWS = 5  # of a table on one slide
_MOST_LINES, _WIDEST = 12, 90  # of what is printed
_CLAIMS = 3  # rows of the table on one slide

_DISPLAY = re.compile(r"(\$\$.+?\$\$)", re.DOTALL)
_WHOLE = re.compile(r"\$[^$]+\$|`[^`]+`|\[[^\]]*\]\([^)]*\)|\([^()]*\)")
_END = re.compile(r"(?<=[.?!])([\"*_)]*)\s+(?=[\"*_\[(A-Z\ue002])")
_HELD = re.compile("\ue002(\\d+)\ue003")
_LIST = re.compile(r"\s*(?:[-*+]|\d+\.)\s")
_SKIPPED = ("exercise", "exercise-start", "bibliography", "index", "toctree", "raw", "margin")


@dataclass(frozen=True)
class Part:
    """What stands on a slide, as HTML, and the room that it takes.

    ``follows`` says that it belongs to the part before it, ``waits`` that it is shown at a key;
    ``notes`` is what there is to say.
    """

    shown: str
    weight: float
    follows: bool = False
    asks: bool = False
    waits: bool = False
    notes: str = ""


@dataclass
class Slide:
    """A slide: its title and what is on it, as HTML; ``notes`` is what there is to say."""

    title: str
    parts: list[str] = field(default_factory=list)
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


def cuts(parts: Sequence[Part]) -> list[int]:
    """Where slides begin: as full as there is room, and torn nowhere if it can be helped.

    >>> cuts([Part("", 3.0)] * 4)
    [0, 2]
    >>> cuts([Part("", 0.8), Part("", 4.5), Part("", 0.8), Part("", 4.5, follows=True)])
    [0, 2]
    """
    filled = [0.0, *accumulate(part.weight for part in parts)]

    def cost(first: int, end: int) -> float:
        over = (filled[end] - filled[first]) / _ROOM - 1
        torn = _TORN if first and parts[first].follows else 0.0
        return torn + over * over * (_CROWDED if over > 0 else 1.0)

    @cache
    def best(end: int) -> tuple[float, tuple[int, ...]]:
        if not end:
            return 0.0, ()
        tried = ((best(first), cost(first, end), first) for first in range(end))
        return min((before[0] + own, (*before[1], first)) for before, own, first in tried)

    return list(best(len(parts))[1])


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
        '<button type="button" data-desk>Notes apart</button>'
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
        parts = self._with_notes(blocks)
        first = cuts(parts)  # none where nothing is shown
        for begin, end in zip(first, [*first[1:], len(parts)], strict=False):
            more = ' <span class="more">continued</span>' if begin else ""
            held = parts[begin:end]
            notes = "".join(part.notes for part in held)
            yield Slide(title + more, list(_in_steps(held)), notes)

    def _with_notes(self, blocks: list[Block]) -> list[Part]:
        """What of a section is shown; what is told goes with the first part of its block.

        Where nothing is shown of a block it is told with the part before it.
        """
        parts: list[Part] = []
        before = ""  # told before anything is shown
        blocks = _verdicts_joined(blocks)
        for place, block in enumerate(blocks):
            following = next((each for each in blocks[place + 1 :] if each.kind != "code"), None)
            own = list(self._parts(block, following))
            if own and parts and (block.kind != "prose" or parts[-1].shown.endswith(":</p>\n")):
                own[0] = replace(own[0], follows=parts[-1].shown.startswith("<p"))
            parts += own
            told = self._block(block.text) if _is_told(block) else ""
            if parts:
                place = -len(own) or -1
                parts[place] = replace(parts[place], notes=before + parts[place].notes + told)
                before = ""
            else:
                before += told
        return parts

    def _parts(self, block: Block, following: Block | None) -> Iterator[Part]:
        """What of a block is shown."""
        directive = block.directive
        if block.kind == "figure":
            yield Part(f'<img src="{block.text}" alt="{escape(block.alt)}">', _FIGURE)
        elif block.kind == "printed" and _fits(block.text):
            printed = block.text.rstrip()
            weight = 0.6 + 0.3 * (printed.count("\n") + 1)
            yield Part(f"<pre>{escape(printed)}</pre>", weight, waits=True)
        elif block.kind == "verdict":
            rows = [self._rows[name] for name in block.text.split() if name in self._rows]
            for first in range(0, len(rows), _CLAIMS):
                held = rows[first : first + _CLAIMS]
                yield Part(numbers_table(held), 1.2 + 2.0 * len(held))
        elif directive is not None and not _is_told(block) and directive.name not in _SKIPPED:
            weight = 1.0 + len(directive.body) / _LINE
            yield Part(f'<div class="box">{self._block(block.text)}</div>', weight)
        elif block.kind == "prose":
            shown = following is not None and following.kind in ("prose", "figure", "printed")
            yield from self._of_prose(block.text, announced=shown)

    def _of_prose(self, text: str, *, announced: bool) -> Iterator[Part]:
        """A paragraph; what ends in a colon is left out where nothing comes that it announces."""
        plain = self._plain(text)
        if plain.lstrip().startswith("|"):
            for rows in _tables(plain):
                yield Part(self.setter.plain(rows), 1.2 * rows.count("\n"))
            return
        if _LIST.match(plain):
            yield Part(self.setter.plain(plain), max(1.0, len(plain) / _LINE))
            return
        cut = _DISPLAY.split(plain)
        for place, piece in enumerate(cut):
            if piece.startswith("$$"):
                yield Part(self.setter.plain(piece), 1.5, follows=place > 0)
                continue
            comes = announced or place < len(cut) - 1
            said = [point for point in points(piece) if comes or not point.endswith(":")]
            for point in said:
                weight, asks = 0.4 + len(point) / _LINE, point.endswith("?")
                shown = self._asked(point) if asks else self._said(point)
                yield Part(shown, weight, follows=point is not said[0], asks=asks)

    def _said(self, text: str) -> str:
        return self.setter.plain(text).replace("<p>", '<p class="point">', 1)

    def _asked(self, text: str) -> str:
        return self.setter.plain(text).replace("<p>", '<p class="asked">', 1)

    def _plain(self, text: str) -> str:
        return plain_markdown(text, self.lesson.labels)

    def _block(self, text: str) -> str:
        return self.setter.block(text, self.lesson.labels)

    def _line(self, text: str) -> str:
        return self.setter.line(text, self.lesson.labels)


def _in_steps(parts: Sequence[Part]) -> Iterator[str]:
    """The parts of a slide; those that wait for a key are numbered by how many it takes."""
    step = 0
    for before, part in zip([None, *parts[:-1]], parts, strict=True):
        answers = before is not None and before.asks and not part.asks
        if answers or part.waits:
            step += 1
        yield f'<div class="step" data-step="{step}">{part.shown}</div>' if step else part.shown


def _verdicts_joined(blocks: list[Block]) -> list[Block]:
    """The blocks of a section; verdicts with nothing but code between them are one."""
    joined: list[Block] = []
    for block in blocks:
        seen = [place for place, before in enumerate(joined) if before.kind != "code"]
        if block.kind == "verdict" and seen and joined[seen[-1]].kind == "verdict":
            before = joined[seen[-1]]
            joined[seen[-1]] = replace(before, text=f"{before.text} {block.text}")
        else:
            joined.append(block)
    return joined


def _tables(table: str) -> Iterator[str]:
    """A table of Markdown in pieces that fit on a slide, each with its head."""
    head, rule, *rows = table.strip().splitlines()
    pieces = -(-len(rows) // _ROWS) or 1
    length = -(-len(rows) // pieces)
    for first in range(0, len(rows), length or 1):
        yield "\n".join([head, rule, *rows[first : first + length]])


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
