"""What a chapter measured, as rows of a table: the ledger's words and pictures, and no others."""

from collections import Counter
from collections.abc import Iterable, Sequence

from nthbook.claims import beside, format_interval, format_number, format_prediction
from nthbook.course.lesson import Lesson
from nthbook.course.typeset import escape
from nthbook.ledger.cards import READING, counted, formula, own_run, picture, words
from nthbook.ledger.rows import LedgerRow


def badge(row: LedgerRow, *, control: bool = False) -> str:
    """The verdict of a claim, or of its control: a sign, a word and a colour."""
    tone, text = words(row.control if control else row.verdict)
    return f'<span class="nth-badge nth-{tone}">{escape(text)}</span>'


def numbers_table(rows: Iterable[LedgerRow]) -> str:
    """A table of claims: statement, prediction, measurement, picture, verdict and control."""
    rows = list(rows)
    measured = any(row.verdict is not None for row in rows)
    key = f"<caption>{READING}</caption>" if measured else ""
    head = "<tr><th>Claim</th><th>Predicted</th><th>Measured</th><th></th><th>Verdict</th></tr>"
    body = "".join(map(_line, rows))
    return f'<table class="numbers">{key}<thead>{head}</thead><tbody>{body}</tbody></table>'


def _line(row: LedgerRow) -> str:
    claim, verdict = row.claim, row.verdict
    rival = "" if claim.rival is None else f"<br>rival {format_number(claim.rival)}"
    measured = "–"
    if verdict is not None:
        measured = format_interval(verdict.value, verdict.low, verdict.high).replace(" ", "<br>", 1)
        measured += beside(verdict, claim)
    control = "" if row.control is None else f"<br>control {badge(row, control=True)}"
    return (
        f'<tr id="{escape(claim.id)}"><td>{formula(claim.statement)}'
        f' <span class="nth-note">{escape(claim.id)}, {claim.kind}</span></td>'
        f"<td>{formula(claim.quantity)}<br>{_unbroken(format_prediction(claim))}{rival}</td>"
        f"<td>{measured}</td>"
        f"<td>{picture(claim, verdict, row.control)}</td><td>{badge(row)}{control}</td></tr>"
    )


def _unbroken(text: str) -> str:
    return f'<span class="together">{escape(text)}</span>'


def left_out(rows: Sequence[LedgerRow]) -> str:
    """A sentence on the claims that a table had no room for; nothing where it shows them all."""
    if not rows:
        return ""
    found = Counter(words(row.verdict)[1] for row in rows)
    told = ", ".join(counted(word, number) for word, number in found.items())
    plural = "claim" if len(rows) == 1 else "claims"
    return f"And {len(rows)} more {plural} in the ledger: {told}."


def run_note(lesson: Lesson) -> str:
    """From which run the numbers are, as HTML."""
    if lesson.record is None:
        return f"Not run yet: <code>nth run {escape(lesson.name)}</code>."
    how = own_run(lesson.record)
    smoke = lesson.record.profile == "smoke"
    judged = " Its numbers are recorded and not judged." if smoke else ""
    other = f" Not the book's own run: {how}.{judged}" if how else ""
    return f"Run on {lesson.record.started[:10]}, profile {lesson.record.profile}.{other}"
