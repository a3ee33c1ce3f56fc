"""What the front page shows of the book's results: one figure, and what was found."""

import base64
import html
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import urlencode

import nbformat

from nthbook.book import Book
from nthbook.claims import format_interval
from nthbook.ledger.cards import counted, formula, own_run, words
from nthbook.ledger.rows import LedgerRow
from nthbook.run.record import Record, read_record
from nthbook.run.stale import one_unit

# The chapter cell that carries this tag draws the figure.
TAG = "front-page"
FIGURE = "book/images/front-page.png"


class FrontFigure(NamedTuple):
    """The figure, what it shows in words, the page it comes from, and how that was run."""

    png: bytes
    alternative: str
    page: str
    record: Record


def front_figure(book: Book) -> FrontFigure | None:
    """Find the figure in the executed chapters; None where its chapter has not been run."""
    for name, page in book.executed_pages().items():
        record = read_record(book, name)
        if record is None or not one_unit(book, record):
            continue
        notebook = nbformat.read(book.executed_dir / f"{name}.ipynb", as_version=4)
        for cell in notebook.cells:
            if TAG in cell.metadata.get("tags", []) and (png := _picture(cell)):
                image = cell.metadata.get("mystnb", {}).get("image", {})
                return FrontFigure(base64.b64decode(png), image.get("alt", ""), page, record)
    return None


def figure_markup(book: Book) -> str:
    """The figure as Markdown for ``book/intro.md``, a link to its chapter; or nothing."""
    figure = front_figure(book)
    if figure is None:
        return ""
    image = FIGURE.removeprefix("book/")
    target = figure.page.removeprefix("book/")
    how = own_run(figure.record)
    return (
        f":::{{image}} {image}\n:alt: {figure.alternative}\n:target: {target}.html\n"
        ":class: nth-front\n:::"
    ) + (f'\n\n<p class="nth-note">Not the book\'s own run: {how}.</p>' if how else "")


def found(rows: Sequence[LedgerRow]) -> str:
    """One sentence on the ledger, each number a link to the claims that it counts."""
    if not rows:
        return "No claim is registered yet."
    claims = [row for row in rows if row.claim.kind != "check"]
    counts = Counter(words(row.verdict)[1] for row in claims)
    parts = ", ".join(
        f'<a href="appendix/ledger.html?{urlencode({"verdict": word})}">{counted(word, count)}</a>'
        for word, count in counts.most_common()
    )
    broken = sum(words(row.control)[0] == "good" for row in rows)
    return (
        f'<p class="nth-found"><strong>{len(claims)} claims</strong>, each written down before it '
        f"was measured: {parts}.{_checks(rows)} Of {len(rows)} controls, in which something is "
        f"broken on purpose, {broken} break what they are set against"
        f"{', as they must' if broken == len(rows) else ''}.{_changed_runs(rows)}</p>"
    )


def marks(rows: Sequence[LedgerRow], titles: Mapping[str, str]) -> str:
    """All claims at one look: a mark for each, chapter by chapter, that says what it is.

    A chapter is one stop of the keyboard and says in words what its marks show.
    """
    claims = [row for row in rows if row.claim.kind != "check"]
    chapters = groupby(claims, lambda row: row.claim.chapter)
    lines = [_line(name, titles.get(name, name), list(members)) for name, members in chapters]
    return '<ul class="nth-marks">\n{}\n</ul>'.format("\n".join(lines)) if lines else ""


def _line(chapter: str, title: str, rows: Sequence[LedgerRow]) -> str:
    counts = Counter(words(row.verdict)[1] for row in rows)
    said = ", ".join(counted(word, count) for word, count in counts.most_common())
    address = f"appendix/ledger.html?{urlencode({'chapter': chapter})}"
    shown = "".join(_mark(row) for row in rows)
    return (
        f'<li><a href="{html.escape(address)}">{html.escape(title)}<span class="nth-heard">: {said}'
        f'</span></a> <span aria-hidden="true">{shown}</span></li>'
    )


def _mark(row: LedgerRow) -> str:
    claim, verdict = row.claim, row.verdict
    tone, word = words(verdict)
    found = "" if verdict is None else format_interval(verdict.value, verdict.low, verdict.high)
    return (
        f'<a tabindex="-1" class="nth-mark nth-{tone}" href="appendix/ledger.html#{claim.id}">'
        f"<span>{formula(claim.statement)} <strong>{word}</strong> {found}</span></a>"
    )


def _checks(rows: Sequence[LedgerRow]) -> str:
    """How many checks there are, and how many of them hold."""
    checks = [row.verdict for row in rows if row.claim.kind == "check"]
    if not checks:
        return ""
    held = sum(words(verdict)[1] == "holds" for verdict in checks)
    link = '<a href="appendix/ledger.html?kind=check">'
    number = "1 check" if len(checks) == 1 else f"{len(checks)} checks"
    return f" Of {link}{number}</a> of exact identities, {held} hold{'s'[: held == 1]}."


def _changed_runs(rows: Sequence[LedgerRow]) -> str:
    """Say which chapters show a reader's own run, and not the book's."""
    records = {row.record.chapter: row.record for row in rows if row.record is not None}
    names = [how for record in records.values() if (how := own_run(record))]
    return f" <strong>Not the book's own runs:</strong> {'; '.join(names)}." if names else ""


def _picture(cell: Any) -> str | None:
    for output in cell.get("outputs", []):
        if png := output.get("data", {}).get("image/png"):
            return str(png)
    return None
