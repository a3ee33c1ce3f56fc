"""What the site writes about itself: the ledger, the runs, the notes on a chapter's page.

A page asks for a piece with a comment of its own, ``<!-- generated: ledger -->``; prose
stays in the page, numbers come from the records.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from nthbook.book import Book
from nthbook.claims import CLAIM_WORDS, KINDS, Verdict
from nthbook.ledger.cards import MISSING, headlines, ledger_cards, superseded_cards, words
from nthbook.ledger.history import superseded
from nthbook.ledger.rows import LedgerRow, Record, ledger_rows, read_record
from nthbook.ledger.theorems import theorem_index
from nthbook.pages.api import api_reference
from nthbook.pages.citation import citation
from nthbook.pages.downloads import download_links
from nthbook.pages.front import figure_markup, found, marks
from nthbook.share.notes import assignments

_MARKER = re.compile(r"^<!-- generated: ([\w-]+)((?: [\w-]+)*) -->$", re.MULTILINE)
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


class UnknownPieceError(ValueError):
    """A page asks for a generated piece that does not exist."""


def fill_page(text: str, book: Book) -> str:
    """Replace each ``<!-- generated: PIECE -->`` line of a page by that piece.

    Words that follow the piece's name say which claims, or which package, it shall show.

    Raises:
        UnknownPieceError: naming the piece, and the pieces that exist.
    """
    arguments: list[str] = []
    pieces: dict[str, Callable[[], str]] = {
        "summary": lambda: summary(ledger_rows(book)),
        "multiplicity": lambda: multiplicity(ledger_rows(book)),
        "ledger": lambda: ledger_cards(ledger_rows(book), chapter_titles(book)),
        "superseded": lambda: superseded_cards(superseded(book)),
        "runs": lambda: runs_table(records(book), chapter_titles(book), book.executed_pages()),
        "versions": lambda: versions_table(records(book)),
        "api": lambda: api_reference(*arguments),
        "front-figure": lambda: figure_markup(book),
        "found": lambda: found(ledger_rows(book)),
        "marks": lambda: marks(ledger_rows(book), chapter_titles(book)),
        "headlines": lambda: headlines(ledger_rows(book), arguments),
        "verdicts": lambda: headlines(ledger_rows(book), arguments).replace(
            'href="appendix/',
            'href="../appendix/',  # for pages that stand one folder deeper
        ),
        "theorems": lambda: theorem_index(book, chapter_titles(book)),
        "citation": lambda: citation(book),
    }

    def piece(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in pieces:
            known = ", ".join(pieces)
            raise UnknownPieceError(f"there is no generated piece {name!r}; there are {known}")
        arguments[:] = match.group(2).split()
        return pieces[name]()

    return _MARKER.sub(piece, text)


def multiplicity(rows: Iterable[LedgerRow]) -> str:
    """How many intervals leave their prediction out, and how many would by chance alone."""
    verdicts = [(row.claim, row.verdict) for row in rows if row.verdict is not None]
    judged = [
        claim.predicted < verdict.low or claim.predicted > verdict.high
        for claim, verdict in verdicts
        if claim.relation == "equals" and verdict.low < verdict.high
    ]
    if not judged:
        return ""
    return (
        f"{len(judged)} claims predict a value and were measured with a 95 % interval. Were every "
        f"law exact and every interval as good as it says, about {len(judged) / 20:.0f} of these "
        f"intervals would leave the value out by chance; in fact it is {sum(judged)}. Where such a "
        "claim holds all the same, it is marked *beside the prediction*."
    )


def records(book: Book) -> list[Record]:
    """The records of the chapters that have been run, in the book's order."""
    found = (read_record(book, name) for name in book.chapter_names())
    return [record for record in found if record is not None]


def chapter_titles(book: Book) -> dict[str, str]:
    """The first heading of every chapter; its name where there is none."""
    titles = {}
    for name in book.chapter_names():
        path = book.chapter_path(name)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        heading = re.search(r"^# +(.+?)\s*$", text, re.MULTILINE)
        titles[name] = heading.group(1) if heading else name
    return titles


def plain(text: str) -> str:
    """Text as Markdown that shows it letter by letter, on one line."""
    return _escape(" ".join(text.split()))


def _escape(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\1", text)


# ------------------------------------------------------------------------------ the ledger


def summary(rows: Sequence[LedgerRow]) -> str:
    """How many claims hold, fail and are undecided, by kind, and how many controls do their duty.

    Checks have the last line.
    """
    if not rows:
        return "No claim is registered yet."
    lines = [["Kind", "Number", *(word for _, word in (*CLAIM_WORDS.values(), MISSING))]]
    for kind in KINDS:
        verdicts = [row.verdict for row in rows if row.claim.kind == kind]
        if verdicts:
            lines.append([kind, str(len(verdicts)), *_counts(verdicts)])
    table = _table(_without_empty_columns(lines, always=5), "nth-summary")
    looks = Counter(words(row.control)[0] for row in rows)
    sentence = f"Controls that break their claim, as they must: {looks['good']} of {len(rows)}."
    if looks["bad"]:
        failed = "Controls that do not, or not as was registered, which is a failure of the book"
        sentence += f" {failed}: {looks['bad']}."
    if looks["neutral"]:
        sentence += f" Controls that were not judged: {looks['neutral']}."
    if changed := sorted(
        {row.claim.chapter for row in rows if row.record and row.record.overrides}
    ):
        sentence += f" Not the book's own values: {', '.join(map(plain, changed))}."
    return f"{table}\n\n{sentence}"


def _counts(verdicts: Iterable[Verdict | None]) -> list[str]:
    found = Counter("missing" if verdict is None else verdict.outcome for verdict in verdicts)
    return [str(found[outcome]) for outcome in (*CLAIM_WORDS, "missing")]


def runs_table(runs: Sequence[Record], titles: dict[str, str], pages: dict[str, str]) -> str:
    """Profile, time, memory and date of the run of each page that is run."""
    if not runs:
        return "No chapter has been run yet."
    lines = [["Chapter", "Profile", "Time", "Peak memory", "Date", "Changed parameters"]]
    for run in runs:
        title = titles.get(run.chapter, run.chapter)
        lines.append(
            [
                f"[{title}](../../{pages[run.chapter]})",
                run.profile,
                _duration(run.seconds),
                _memory(run.peak_memory_mb),
                run.started[:10],
                assignments(run.overrides) or "none",
            ]
        )
    total = _duration(sum(run.seconds for run in runs))
    return f"{_table(lines, 'nth-runs')}\n\nThe chapters listed here together: {total}."


def versions_table(runs: Sequence[Record]) -> str:
    """The packages the runs used; several versions of one package are told apart."""
    if not runs:
        return "No chapter has been run yet."
    lines = [["Package", "Version"]]
    for package in sorted({name for run in runs for name in run.versions}, key=str.lower):
        users: dict[str, list[str]] = {}
        for run in runs:
            if package in run.versions:
                users.setdefault(run.versions[package], []).append(run.chapter)
        alone = len(users) == 1
        entries = (
            version if alone else f"{version} ({', '.join(chapters)})"
            for version, chapters in users.items()
        )
        lines.append([plain(package), plain(", ".join(entries))])
    return _table(lines, "nth-versions")


def missing_note(name: str) -> str:
    """Says, at the top of a chapter that has not been run, why it shows no results."""
    text = f"This chapter has not been run here, so that it shows no results: `nth run {name}`."
    return f":::{{admonition}} Not run yet\n:class: warning\n{text}\n:::"


def chapter_footer(record: Record, page: str) -> str:
    """The line below a chapter: when and how it was run, and what there is to download."""
    parts = [
        f"Run on {record.started[:10]} with profile <code>{record.profile}</code>"
        f" in {_duration(record.seconds)}"
    ]
    if record.peak_memory_mb is not None:
        parts.append(f"peak memory {_memory(record.peak_memory_mb)}")
    parts.append(f"download: {download_links(page)}")
    return f'<p class="nth-run">{"; ".join(parts)}.</p>'


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _memory(megabytes: float | None) -> str:
    if megabytes is None:
        return "not known"
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


# ------------------------------------------------------------------------- Markdown tables


def _table(lines: Sequence[Sequence[str]], css_class: str) -> str:
    """A table whose first line is its head; cells may hold several paragraphs."""
    head = [":::{list-table}", f":class: {css_class}", ":header-rows: 1", ":widths: auto"]
    body = ["* - " + "\n  - ".join(line) for line in lines]
    return "\n".join([*head, "", *body, ":::"])


def _without_empty_columns(lines: list[list[str]], always: int) -> list[list[str]]:
    """Keep the first ``always`` columns, and of the others those that count something."""
    kept = [
        column
        for column in range(len(lines[0]))
        if column < always or any(line[column] != "0" for line in lines[1:])
    ]
    return [[line[column] for column in kept] for line in lines]
