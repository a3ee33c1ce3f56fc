"""The ledger as a reader sees it: a card for every claim, with its interval as a picture.

All pictures share one scale, the distance from the prediction in units of the margin, so
that the eye can run down a page: a claim holds where its bar lies in the band.
"""

import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from nthbook.book import CHAPTERS
from nthbook.claims import (
    KINDS,
    Claim,
    Verdict,
    anchor,
    beside,
    format_control,
    format_interval,
    format_number,
    format_prediction,
)
from nthbook.ledger.history import Superseded
from nthbook.ledger.rows import LedgerRow, Record

_SCRIPT = re.compile(r"([_^])(\([^()]*\)|[^\W²³]+)")
MISSING = ("neutral", "not measured")
_CHECKS = (
    "Identities that hold exactly, at every width: what is left is rounding, or a solver's "
    "tolerance. They are no claims and are not counted among them; each tests that the code "
    "computes what the text says."
)

READING = (
    "In each picture the band is the margin around the prediction (dashed). The bar with the "
    "full dot is the measurement with its interval, the hollow one the control; a dotted line "
    "is the rival."
)

# The picture, in units of its own: a band of one margin to each side, compressed further out.
_WIDTH, _HEIGHT, _EDGE, _FURTHEST = 240, 44, 6, 60.0


def formula(text: str) -> str:
    """Text as HTML, with ``K_0^(2)`` and the like in sub- and superscripts.

    >>> formula("K_t^(2) < 1")
    'K<sub>t</sub><sup>(2)</sup> &lt; 1'
    """
    pieces = _SCRIPT.split(" ".join(text.split()))
    shown = html.escape(pieces[0])
    for mark, script, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        tag = {"_": "sub", "^": "sup"}[mark]
        if script.startswith("(−"):  # a power; the parentheses of K^(2) belong to it
            script = script[1:-1]
        shown += f"<{tag}>{html.escape(script)}</{tag}>{html.escape(rest)}"
    return shown


def place(row: LedgerRow, *, control: bool = False) -> str | None:
    """Return the address of the cell that judged, below the site's root, if it did."""
    verdict = row.control if control else row.verdict
    if verdict is None:
        return None
    return f"{CHAPTERS}{row.claim.chapter}.html#{anchor(row.claim.id, control=control)}"


def words(verdict: Verdict | None) -> tuple[str, str]:
    """Say how a verdict looks and reads: its tone, its words."""
    return MISSING if verdict is None else (verdict.tone, verdict.words)


def counted(word: str, count: int) -> str:
    """Say of how many claims a verdict's word is true.

    >>> counted("holds", 3), counted("undecided", 1)
    ('3 hold', '1 is undecided')
    """
    if word in ("holds", "fails"):
        return f"{count} {word if count == 1 else word.removesuffix('s')}"
    return f"{count} {'is' if count == 1 else 'are'} {word}"


def ledger_cards(rows: Sequence[LedgerRow], titles: Mapping[str, str]) -> str:
    """Write the filter, a section for every chapter's claims, and one for all checks."""
    claims = [row for row in rows if row.claim.kind != "check"]
    sections = [
        f"## {titles.get(chapter, chapter)}\n\n{cards(members, '../../')}"
        for chapter, members in ((key, list(group)) for key, group in groupby(claims, _chapter))
    ]
    if checks := [row for row in rows if row.claim.kind == "check"]:
        sections.append(f"## Checks\n\n{_CHECKS}\n\n{cards(checks, '../../')}")
    return "\n\n".join([_filter(rows, titles), _key(), *sections])


def superseded_cards(gone: Sequence[Superseded]) -> str:
    """Write what became of the claims that others have replaced; a sentence where there is none."""
    if not gone:
        return "No claim has been superseded yet."
    return "\n".join(_superseded_card(old) for old in gone)


def _superseded_card(old: Superseded) -> str:
    claim = old.claim
    now = ", ".join(
        f'<a href="#{html.escape(name)}"><code>{html.escape(name)}</code></a>'
        for name in old.replaced_by
    )
    facts = [
        ("Predicted", f"{formula(claim.quantity)} {format_prediction(claim)}{_rival(claim)}"),
        ("Last verdict", f"{_interval(old.last)}, {old.date}, profile {old.last.profile}"),
        ("Control", formula(claim.control)),
        ("Reason", formula(old.reason)),
        ("Now", now or "given up"),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts)
    # Not among the cards that the filter counts.
    return (
        f'<section class="nth-card nth-neutral nth-superseded" id="{claim.id}"'
        f' aria-label="superseded claim {claim.id}">'
        f'<p class="nth-card-head"><code>{claim.id}</code> <span class="nth-note">{claim.kind}'
        f"</span> {_badge(old.last)}</p><p>{formula(claim.statement)}</p>"
        f"{picture(claim, old.last)}<dl>{listed}</dl></section>"
    )


def headlines(rows: Sequence[LedgerRow], ids: Sequence[str]) -> str:
    """Write the cards of a few claims, in the order asked for, without their controls.

    Raises:
        KeyError: naming a claim that is not registered.
    """
    known = {row.claim.id: row for row in rows}
    items = "\n".join(_headline(known[name]) for name in ids)
    return f'<ul class="nth-headlines">\n{items}\n</ul>'


def cards(rows: Iterable[LedgerRow], root: str) -> str:
    """Write the cards of some claims as one block of HTML; ``root`` leads to the site's root."""
    return "\n".join(_card(row, root) for row in rows)


def _chapter(row: LedgerRow) -> str:
    return row.claim.chapter


def _card(row: LedgerRow, root: str) -> str:
    claim = row.claim
    tone, verdict = words(row.verdict)
    facts = [
        ("Predicted", f"{formula(claim.quantity)} {format_prediction(claim)}{_rival(claim)}"),
        ("Measured", _measured(row.verdict, place(row), root) + _beside(row)),
        (
            "Control",
            f"{formula(claim.control)}: {_measured(row.control, place(row, control=True), root)}"
            f"{format_control(claim)} {_badge(row.control)}",
        ),
        ("Run", _run(row.record, claim.chapter)),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts)
    data = {"chapter": claim.chapter, "kind": claim.kind, "verdict": verdict}
    attributes = " ".join(f'data-{key}="{html.escape(value)}"' for key, value in data.items())
    return (
        f'<section class="nth-card nth-{tone}" id="{claim.id}" {attributes}'
        f' aria-label="claim {claim.id}">'
        f'<p class="nth-card-head"><code>{claim.id}</code> <span class="nth-note">{claim.kind}'
        f"</span> {_badge(row.verdict)}</p>"
        f'<p>{formula(claim.statement)} <span class="nth-note">{formula(claim.source)}</span></p>'
        f"{picture(claim, row.verdict, row.control)}<dl>{listed}</dl></section>"
    )


def own_run(record: Record) -> str:
    """How a chapter was run, where this was not the book's own run; else nothing. As HTML."""
    changes = [f"{key} = {json.dumps(value)}" for key, value in record.overrides.items()]
    if record.profile != "quick":
        changes.insert(0, f"profile {record.profile}")
    return html.escape(f"{record.chapter} ({', '.join(changes)})") if changes else ""


def _headline(row: LedgerRow) -> str:
    claim = row.claim
    how = "" if row.record is None else own_run(row.record)
    interval = "" if row.verdict is None else f", measured {_interval(row.verdict)}"
    if how:
        interval += f", not the book's own run: {how}"
    return (
        f'<li><a href="appendix/ledger.html#{claim.id}">{formula(claim.statement)}</a>'
        f" {picture(claim, row.verdict)}"
        f' <span class="nth-note">predicted {format_prediction(claim)}{interval}</span>'
        f" {_badge(row.verdict)}</li>"
    )


def _badge(verdict: Verdict | None) -> str:
    tone, text = words(verdict)
    return f'<span class="nth-badge nth-{tone}">{text}</span>'


def _interval(verdict: Verdict) -> str:
    return format_interval(verdict.value, verdict.low, verdict.high).replace(
        ", ", ",\N{NO-BREAK SPACE}"
    )


def _measured(verdict: Verdict | None, address: str | None, root: str) -> str:
    if verdict is None or address is None:
        return "nothing yet"
    return f'<a href="{root}{address}">{_interval(verdict)}</a>'


def _beside(row: LedgerRow) -> str:
    return "" if row.verdict is None else beside(row.verdict, row.claim)


def _rival(claim: Claim) -> str:
    return "" if claim.rival is None else f", rival {format_number(claim.rival)}"


def _run(record: Record | None, chapter: str) -> str:
    if record is None:
        return f"none yet: <code>nth run {chapter}</code>"
    text = f"{record.started[:10]} {record.started[11:16]} UTC, profile {record.profile}"
    if record.overrides:
        changed = record.overrides.items()
        values = ", ".join(f"{key} = {json.dumps(value)}" for key, value in changed)
        text += f", with {html.escape(values)}"
    return text


# ---------------------------------------------------------------------------- the picture


def picture(claim: Claim, measured: Verdict | None, control: Verdict | None = None) -> str:
    """Draw the margin as a band, the rival as a dotted line, measurement and control as bars."""
    low, high = (_x(_margins(claim, edge)) for edge in claim.region)
    parts = [
        f'<rect class="nth-band" x="{low:.1f}" y="2" width="{high - low:.1f}"'
        f' height="{_HEIGHT - 4}"/>',
        _line("nth-theory", _x(0.0)),
    ]
    if claim.rival is not None:
        parts.append(_line("nth-rival", _x(_margins(claim, claim.rival))))
    if measured is not None:
        parts.append(_bar("nth-measured", claim, measured, 16))
    if control is not None:
        parts.append(_bar("nth-control", claim, control, 31))
    return (
        f'<svg class="nth-interval" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="{_spoken(claim, measured)}">{"".join(parts)}</svg>'
    )


def _margins(claim: Claim, value: float) -> float:
    return (value - claim.predicted) / claim.margin


def _x(margins: float) -> float:
    """The place of a value so many margins from the prediction; far ones stop at the edge."""
    bounded = max(-_FURTHEST, min(_FURTHEST, margins))
    half = _WIDTH / 2 - _EDGE
    return _WIDTH / 2 + half * math.asinh(bounded) / math.asinh(_FURTHEST)


def _line(look: str, x: float) -> str:
    return f'<line class="{look}" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{_HEIGHT - 2}"/>'


def _bar(look: str, claim: Claim, verdict: Verdict, y: int) -> str:
    numbers = (verdict.low, verdict.value, verdict.high)
    if not all(isinstance(number, float | int) and math.isfinite(number) for number in numbers):
        return ""
    low, value, high = (_x(_margins(claim, number)) for number in numbers)
    return (
        f'<line class="{look}" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
        f'<circle class="{look}" cx="{value:.1f}" cy="{y}" r="4"/>'
    )


def _spoken(claim: Claim, measured: Verdict | None) -> str:
    if measured is None or not math.isfinite(measured.value):
        return "nothing measured"
    distance = abs(_margins(claim, measured.value))
    return f"measured {distance:.2g} margins from the prediction"


# ------------------------------------------------------------------------------ the filter


def _filter(rows: Sequence[LedgerRow], titles: Mapping[str, str]) -> str:
    """Selections for a script; a reader without scripts sees all claims and no selections."""
    verdicts = list(dict.fromkeys(words(row.verdict)[1] for row in rows))
    chapters = list(dict.fromkeys(row.claim.chapter for row in rows))
    kinds = [kind for kind in KINDS if any(row.claim.kind == kind for row in rows)]
    fields = [
        _select("verdict", "Verdict", {word: word for word in verdicts}),
        _select("chapter", "Chapter", {name: titles.get(name, name) for name in chapters}),
        _select("kind", "Kind", {kind: kind for kind in kinds}),
    ]
    return (
        f'<form class="nth-filter" hidden aria-label="filter">{"".join(fields)}'
        '<output aria-live="polite"></output></form>'
        '<script defer src="../../_static/ledger.js"></script>'
    )


def _select(name: str, label: str, options: Mapping[str, str]) -> str:
    listed = "".join(
        f'<option value="{html.escape(value)}">{html.escape(text)}</option>'
        for value, text in options.items()
    )
    return (
        f'<label>{label} <select name="{name}"><option value="">all</option>{listed}</select>'
        "</label>"
    )


def _key() -> str:
    """How to read the pictures."""
    claim = Claim("key", "", "theorem", "", "", "", 0.0, 1.0, "", rival=12.0)
    verdict = Verdict("key", False, 0.2, -0.4, 0.7, "holds", "quick")
    control = Verdict("key", True, -9.0, -14.0, -6.0, "fails", "quick")
    text = f"{READING} Distances are in units of the margin, compressed away from the band."
    return f'<p class="nth-key">{picture(claim, verdict, control)} <span>{text}</span></p>'
