"""The tables that ``nth list`` and ``nth check`` print."""

import itertools
import textwrap
from collections.abc import Iterable, Sequence

from nthlib.claims import Verdict, format_interval, format_prediction

from .book import Book, UsageError
from .ledger import LedgerRow
from .progress import format_seconds
from .record import read_record
from .staleness import make_request

_CELL_WIDTH = 42


def chapter_table(book: Book, profile: str) -> str:
    """Return a line for every chapter: claims, expected and last time, stale or not."""
    claims = book.claims().values()
    lines: list[tuple[str, ...]] = [("chapter", "claims", "expected", "last run", "state")]
    for name in book.chapter_names():
        own = ", ".join(claim.id for claim in claims if claim.chapter == name) or "-"
        lines += _wrapped((name, own, *_times_and_state(book, name, profile)))
    return columns(lines)


def _wrapped(cells: Sequence[str]) -> list[tuple[str, ...]]:
    """One line of a table as several, where a cell is long."""
    parts = (textwrap.wrap(cell, _CELL_WIDTH, break_on_hyphens=False) for cell in cells)
    return list(itertools.zip_longest(*parts, fillvalue=""))


def _times_and_state(book: Book, name: str, profile: str) -> tuple[str, str, str]:
    record = read_record(book, name)
    last = "-" if record is None else f"{format_seconds(record.seconds)} ({record.profile})"
    try:
        request = make_request(book, name, profile, {})
    except UsageError as error:
        return "-", last, str(error)
    expected = format_seconds(request.chapter.expected.get(profile))
    reasons = request.reasons()
    return expected, last, f"stale: {', '.join(reasons)}" if reasons else "up to date"


def ledger_table(rows: Iterable[LedgerRow]) -> str:
    """Return a line for every claim: predicted, measured, verdict, control."""
    lines = [("claim", "kind", "quantity", "predicted", "measured", "verdict", "control")]
    for row in rows:
        claim = row.claim
        lines.append(
            (
                claim.id,
                claim.kind,
                claim.quantity,
                format_prediction(claim),
                _measured(row.verdict),
                "-" if row.verdict is None else row.verdict.words,
                _control(row.control),
            )
        )
    return columns(lines)


def ledger_summary(rows: Sequence[LedgerRow]) -> str:
    """Count the verdicts; expectations that fail are counted apart from theorems."""
    counts: dict[str, int] = {}
    for row in rows:
        outcome: str = "unmeasured" if row.verdict is None else row.verdict.outcome
        if outcome == "fails":
            outcome = "failed as a theorem" if row.claim.kind == "theorem" else _EXPECTED
        counts[outcome] = counts.get(outcome, 0) + 1
    parts = [f"{count} {_SUMMARY.get(outcome, outcome)}" for outcome, count in counts.items()]
    return f"{len(rows)} claims: {', '.join(parts)}" if rows else "no claims are registered"


_EXPECTED = "failed as a mere expectation"
_SUMMARY = {"holds": "held", "recorded": "recorded without judging"}


def _measured(verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    return format_interval(verdict.value, verdict.low, verdict.high)


def _control(control: Verdict | None) -> str:
    if control is None:
        return "-"
    return f"{control.words} ({_measured(control)})"


def columns(lines: Sequence[Sequence[str]]) -> str:
    """Align cells in columns; the first line is the head."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    padded = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([padded[0], "-" * max(map(len, padded)), *padded[1:]])
