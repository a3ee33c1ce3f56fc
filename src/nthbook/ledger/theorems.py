"""An index of the book's theorems, definitions and assumptions, from the chapters' own text.

The chapters state them by ``{prf:..}`` directives. Which claims test a statement follows from
what the claims name as their source.
"""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nthbook.book import Book
from nthbook.claims import Claim

_STATEMENT = re.compile(
    r"^(?P<fence>[`:]{3,})\{prf:(?P<kind>(?!ref)\w+)\}[ \t]*(?P<title>.*)\n"
    r"(?P<body>[\s\S]*?)^(?P=fence)[ \t]*$",
    re.MULTILINE,
)
_LABEL = re.compile(r"^:label:\s*(\S+)\s*$", re.MULTILINE)
_OPTION = re.compile(r"^:[\w-]+:.*$", re.MULTILINE)
_SOURCE = re.compile(r"\((Huang and Yau[^()]*)\)")
_CITED = re.compile(r"\{cite\}`[^`]+`")
_NUMBER = re.compile(r"\b\d\.\d\b")
_CASE = re.compile(r"with([pr])=(\d)")

# The chapter names the source of this one in the text around it.
_SOURCES = {"theorem-hierarchy": "{cite}`huang2020dynamics`"}

# Sources in words of their own, which neither number nor title leads to.
_NAMED = {
    "definition-layer-kernels": ("ntk-layers",),
    "proposition-mean-field": ("mean-field-identity", "mean-field-drift"),
}


@dataclass(frozen=True)
class Statement:
    """A numbered statement of a chapter, as its directive gives it."""

    kind: str
    title: str
    label: str
    chapter: str
    source: str


def statements(text: str, chapter: str) -> list[Statement]:
    """List the labelled statements of a chapter's text, in order.

    >>> lines = ["```{prf:theorem} Law", ":label: law", "", "It holds.", "```"]
    >>> statements(chr(10).join(lines), "setting")[0].title
    'Law'
    """
    found = []
    for match in _STATEMENT.finditer(text):
        if label := _LABEL.search(match["body"]):
            body = _OPTION.sub("", match["body"])
            title = match["title"].strip()
            source = _SOURCES.get(label[1]) or _source(body)
            found.append(Statement(match["kind"], title, label[1], chapter, source))
    return found


def claims_of(statement: Statement, claims: Iterable[Claim]) -> tuple[list[str], list[str]]:
    """Name the claims that test a statement, and those that go beyond what it says.

    A claim goes beyond when it is an expectation, or covers what the source leaves out.
    """
    inside: list[str] = []
    beyond: list[str] = []
    for claim in claims:
        if _names(statement, claim):
            outside = claim.kind == "expectation" or "alone" in claim.source
            (beyond if outside else inside).append(claim.id)
    return inside, beyond


def theorem_index(book: Book, titles: dict[str, str]) -> str:
    """The index as a Markdown table, in the order of the book."""
    claims = list(book.claims().values())
    pages = book.executed_pages()
    rows = []
    for chapter in book.chapter_names():
        path = book.chapter_path(chapter)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for statement in statements(text, chapter):
            link = f"[{titles[chapter]}](../../{pages[chapter]}.md)"
            rows.append(_row(statement, link, claims_of(statement, claims)))
    if not rows:
        return "No chapter states a theorem yet."
    head = ["Statement", "Source", "Claims"]
    lines = ["* - " + "\n  - ".join(line) for line in [head, *rows]]
    options = [":class: nth-theorems", ":header-rows: 1", ":widths: auto"]
    return "\n".join([":::{list-table}", *options, "", *lines, ":::"])


def _source(body: str) -> str:
    """Where a statement comes from, in the words of its own text."""
    flat = " ".join(body.split())
    if named := _SOURCE.search(flat):
        return " ".join(_CITED.sub("", named[1]).split()).replace(" ,", ",")
    cited = _CITED.search(flat)
    return cited[0] if cited else "shown in the chapter"


def _names(statement: Statement, claim: Claim) -> bool:
    """Whether a claim names this statement as its source, by number or by title."""
    if claim.id in _NAMED.get(statement.label, ()):
        return True
    if statement.kind == "assumption":
        return False  # needed by claims, and tested by none
    source, title = claim.source.lower(), statement.title.lower()
    numbers = _NUMBER.findall(statement.source)
    if not numbers:
        # A definition is the source only where it stands first.
        return source.startswith(title) if statement.kind == "definition" else title in source
    if not set(numbers) & set(_NUMBER.findall(source)):
        return False
    case = _CASE.search(_squeezed(statement.source))
    return case is None or "=".join(case.groups()) in _squeezed(source)


def _squeezed(text: str) -> str:
    return re.sub(r"[\s$]+", "", text).lower()


def _row(statement: Statement, link: str, tested: Sequence[Sequence[str]]) -> list[str]:
    inside, beyond = (_claim_links(names) for names in tested)
    claims = [inside, f"beyond it: {beyond}" if beyond else ""]
    words = [f"{{prf:ref}}`{statement.label}`", statement.title, f"in {link}"]
    place = "<br>".join(filter(None, words))
    return [place, statement.source, "; ".join(filter(None, claims)) or "—"]


def _claim_links(names: Iterable[str]) -> str:
    """Links to the cards of the ledger, which stands in the same folder."""
    shown = (html.escape(name) for name in names)
    return ", ".join(f'<a href="ledger.html#{name}"><code>{name}</code></a>' for name in shown)
