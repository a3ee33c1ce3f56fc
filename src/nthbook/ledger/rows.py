"""The ledger: every registered claim beside what its chapter measured."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from nthbook.book import Book, UsageError
from nthbook.claims import Claim, Verdict, describe, format_control, format_interval
from nthbook.run.record import Record, read_failure, read_record

__all__ = ["LedgerRow", "Record", "ledger_rows", "problems", "read_record", "run_problems"]

# The worst of several verdicts counts, so that a claim cannot be judged until it holds.
_CLAIM_ORDER = ("invalid", "fails", "undecided", "recorded", "holds")
_CONTROL_ORDER = ("invalid", "holds", "undecided", "astray", "recorded", "fails")


@dataclass(frozen=True)
class LedgerRow:
    """A registered claim with its chapter's last good run and what that run measured."""

    claim: Claim
    record: Record | None
    verdict: Verdict | None
    control: Verdict | None


def ledger_rows(book: Book, chapters: Collection[str] | None = None) -> list[LedgerRow]:
    """Return a row for every registered claim, by chapter in book order, then as registered.

    ``chapters`` are those whose claims are wanted; all by default.
    """
    claims = book.claims()
    order = {name: place for place, name in enumerate(book.chapter_names())}
    records = {chapter: read_record(book, chapter) for chapter in order}
    ranked = sorted(claims.values(), key=lambda claim: order.get(claim.chapter, len(order)))
    wanted = [claim for claim in ranked if chapters is None or claim.chapter in chapters]
    return [_row(claim, records.get(claim.chapter)) for claim in wanted]


def _row(claim: Claim, record: Record | None) -> LedgerRow:
    verdicts = [] if record is None else [record.verdict(entry) for entry in record.verdicts]
    own = [verdict for verdict in verdicts if verdict.id == claim.id]
    measured = [verdict for verdict in own if not verdict.control]
    controls = [verdict for verdict in own if verdict.control]
    return LedgerRow(
        claim,
        record,
        min(measured, key=lambda verdict: _CLAIM_ORDER.index(verdict.outcome), default=None),
        min(controls, key=lambda verdict: _CONTROL_ORDER.index(verdict.outcome), default=None),
    )


def problems(book: Book, chapters: Collection[str] | None = None) -> list[str]:
    """List the sentences for which ``nth check`` is red; empty when the book is sound.

    ``chapters`` are those that are looked at; all by default.
    """
    names = book.chapter_names() if chapters is None else chapters
    found = [sentence for name in names for sentence in _chapter_problems(book, name)]
    for row in ledger_rows(book, chapters):
        if row.record is not None:
            found.extend(_row_problems(row))
        elif row.claim.chapter not in book.chapter_names():
            found.append(f"claim {row.claim.id}: chapter {row.claim.chapter} is not in _toc.yml")
    return found


def run_problems(book: Book, name: str) -> list[str]:
    """List what a chapter's last run judged and should not have, or judged without a control."""
    alone = (
        f"chapter {name} judges {row.claim.id} without a control"
        for row in ledger_rows(book, [name])
        if row.verdict is not None and row.control is None
    )
    return [*_stray_verdicts(book, name), *alone]


def _chapter_problems(book: Book, name: str) -> Iterator[str]:
    # Imported late: the site reads rows without loading what parses chapters.
    from nthbook.run.stale import LAST_RUN_FAILED, reasons_as_recorded

    failure = read_failure(book, name)
    if failure is not None:
        yield f"chapter {failure.sentence}"
    try:
        reasons = [
            reason for reason in reasons_as_recorded(book, name) if reason != LAST_RUN_FAILED
        ]
    except UsageError as error:
        yield str(error)
        return
    if set(reasons) - {LAST_RUN_FAILED}:
        record = read_record(book, name)
        state = "has no finished run" if record is None else f"is stale: {', '.join(reasons)}"
        yield f"chapter {name} {state}"
    yield from _stray_verdicts(book, name)


def _stray_verdicts(book: Book, name: str) -> Iterator[str]:
    record, claims = read_record(book, name), book.claims()
    entries = [] if record is None else record.verdicts
    # A claim and its control are two entries of one id, and one sentence.
    for judged in dict.fromkeys(entry.get("id", "") for entry in entries):
        claim = claims.get(judged)
        if claim is None:
            yield f"chapter {name} judges {judged}, which is not registered"
        elif claim.chapter != name:
            yield f"chapter {name} judges {claim.id}, which belongs to chapter {claim.chapter}"


def _row_problems(row: LedgerRow) -> Iterator[str]:
    claim, verdict, control = row.claim, row.verdict, row.control
    if verdict is None:
        yield f"claim {claim.id}: not measured in the last run of {claim.chapter}"
    elif verdict.outcome == "invalid":
        yield f"claim {claim.id}: the measurement is not a usable interval"
    elif verdict.outcome == "fails" and claim.kind != "expectation":
        yield f"{claim.kind} {describe(verdict, claim)}"
    if control is None:
        yield f"claim {claim.id}: no control in the last run of {claim.chapter}"
    elif control.outcome == "invalid":
        yield f"claim {claim.id}: the control's measurement is not a usable interval"
    elif control.tone == "bad":
        measured = format_interval(control.value, control.low, control.high)
        predicted = format_control(claim)
        yield f"claim {claim.id}: its control {control.words} (measured {measured}{predicted})"
