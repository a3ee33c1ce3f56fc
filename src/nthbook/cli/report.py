"""What ``nth list`` and ``nth check`` print: tables for a person, JSON for a program."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nthbook.book import Book, UsageError
from nthbook.claims import Verdict, beside, format_interval, format_prediction
from nthbook.ledger.data import ledger_data
from nthbook.ledger.rows import LedgerRow
from nthbook.run.progress import format_seconds
from nthbook.run.record import Record, read_record
from nthbook.run.stale import make_request
from nthbook.terminal import Cell, table, verdict_cell

# What a reader of the JSON may rely on of a chapter's last good run.
_RUN_KEYS = ("profile", "overrides", "started", "seconds", "peak_memory_mb")


@dataclass(frozen=True)
class ChapterState:
    """A chapter as ``nth list`` shows it, asked for at one profile."""

    name: str
    source: str
    claims: list[str]
    expected: float | None
    record: Record | None
    reasons: list[str]
    problem: str | None

    @property
    def cell(self) -> Cell:
        """Whether the chapter is up to date, in words."""
        if self.problem is not None:
            return Cell(self.problem, "bad")
        if self.reasons:
            return Cell(f"stale: {', '.join(self.reasons)}", "neutral")
        return Cell("up to date", "good")


def chapter_states(book: Book, profile: str) -> list[ChapterState]:
    """Look at every chapter in book order; one that cannot be read says so as its problem."""
    return [_state(book, name, profile) for name in book.chapter_names()]


def _state(book: Book, name: str, profile: str) -> ChapterState:
    own = [claim.id for claim in book.claims().values() if claim.chapter == name]
    source = book.chapter_path(name).relative_to(book.root).as_posix()
    record = read_record(book, name)
    try:
        request = make_request(book, name, profile, {})
        expected = request.chapter.expected.get(profile)
        return ChapterState(name, source, own, expected, record, request.reasons(), None)
    except UsageError as error:
        return ChapterState(name, source, own, None, record, [], str(error))


def chapter_table(states: Iterable[ChapterState], room: int | None) -> str:
    """Return a row for every chapter: expected and last time, stale or not, claims."""
    head = ("chapter", "expected", "last run", "state", "claims")
    rows = [
        (
            Cell(state.name),
            Cell(format_seconds(state.expected)),
            Cell(_last_run(state.record)),
            state.cell,
            Cell(", ".join(state.claims) or "-"),
        )
        for state in states
    ]
    return table(head, rows, room)


def _last_run(record: Record | None) -> str:
    return "-" if record is None else f"{format_seconds(record.seconds)} ({record.profile})"


def chapter_json(states: Iterable[ChapterState], profile: str) -> str:
    """Return the chapters as one JSON document; the help of ``nth list`` names its keys."""
    chapters = [
        {
            "name": state.name,
            "source": state.source,
            "claims": state.claims,
            "expected_seconds": state.expected,
            "last_run": _run(state.record),
            "stale": None if state.problem else bool(state.reasons),
            "reasons": state.reasons,
            "problem": state.problem,
        }
        for state in states
    ]
    return as_json({"profile": profile, "chapters": chapters})


def _run(record: Record | None) -> dict[str, Any] | None:
    return None if record is None else {key: getattr(record, key) for key in _RUN_KEYS}


def ledger_table(rows: Iterable[LedgerRow], room: int | None) -> str:
    """Return a row for every claim: predicted, measured, verdict, control."""
    head = ("claim", "kind", "quantity", "predicted", "measured", "verdict", "control")
    return table(head, [_ledger_cells(row) for row in rows], room)


def _ledger_cells(row: LedgerRow) -> tuple[Cell, ...]:
    claim, control = row.claim, row.control
    more = "" if control is None else f" ({_measured(control)})"
    return (
        Cell(claim.id),
        Cell(claim.kind),
        Cell(claim.quantity),
        Cell(format_prediction(claim)),
        Cell(_measured(row.verdict)),
        verdict_cell(row.verdict, "" if row.verdict is None else beside(row.verdict, claim)),
        verdict_cell(control, more),
    )


# Of the JSON's counts, in the order and the words in which the summary names them.
_COUNTED = {
    "failed": "failed as a theorem",
    "sharpness_failed": "failed as an attained bound",
    "expectation_failed": "failed as a mere expectation",
    "invalid": "invalid",
    "undecided": "undecided",
    "unmeasured": "unmeasured",
    "recorded": "recorded without judging",
    "held": "held",
}
_FAILED = {
    "theorem": "failed",
    "sharpness": "sharpness_failed",
    "expectation": "expectation_failed",
}
_CHECKED = {
    key: "failed" if key == "failed" else words
    for key, words in _COUNTED.items()
    if key not in ("sharpness_failed", "expectation_failed")
}


def ledger_counts(rows: Iterable[LedgerRow]) -> dict[str, int]:
    """Count the verdicts on claims; what fails is counted by its kind. Checks are left out."""
    counts = dict.fromkeys(_COUNTED, 0)
    for row in rows:
        if row.claim.kind != "check":
            outcome = _outcome(row)
            if outcome == "fails":
                outcome = _FAILED[row.claim.kind]
            counts["held" if outcome == "holds" else outcome] += 1
    return counts


def check_counts(rows: Iterable[LedgerRow]) -> dict[str, int]:
    """Count how the checks of exact identities came out."""
    counts = dict.fromkeys(_CHECKED, 0)
    for row in rows:
        if row.claim.kind == "check":
            outcome = _outcome(row)
            counts[{"holds": "held", "fails": "failed"}.get(outcome, outcome)] += 1
    return counts


def _outcome(row: LedgerRow) -> str:
    return "unmeasured" if row.verdict is None else row.verdict.outcome


def ledger_summary(rows: Sequence[LedgerRow]) -> str:
    """Say in a line how many claims held, failed, and so on, and how many checks."""
    counted = (
        ("claim", ledger_counts(rows), _COUNTED),
        ("check", check_counts(rows), _CHECKED),
    )
    sentences = []
    for name, counts, phrases in counted:
        if number := sum(counts.values()):
            parts = [f"{count} {phrases[outcome]}" for outcome, count in counts.items() if count]
            sentences.append(f"{number} {name}{'s'[: number > 1]}: {', '.join(parts)}")
    return "; ".join(sentences) or "no claims are registered"


def ledger_json(rows: Sequence[LedgerRow], problems: Sequence[str]) -> str:
    """Return the ledger as one JSON document; the help of ``nth check`` names its keys."""
    return as_json(
        {
            "sound": not problems,
            "counts": ledger_counts(rows),
            "checks": check_counts(rows),
            "claims": json.loads(ledger_data(rows)),
            "problems": list(problems),
        }
    )


def comparison_json(reference: str, compared: int, problems: Sequence[str]) -> str:
    """Return what ``nth check --against`` found as one JSON document."""
    return as_json(
        {
            "sound": not problems,
            "against": reference,
            "compared": compared,
            "agree": compared - len(problems),
            "problems": list(problems),
        }
    )


def as_json(data: Any) -> str:
    """One document in plain ASCII, which every terminal and every pipe can carry."""
    return json.dumps(data, indent=2, allow_nan=False)


def _measured(verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    return format_interval(verdict.value, verdict.low, verdict.high)
