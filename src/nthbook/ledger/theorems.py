"""An index of the book's theorems, definitions and assumptions, from the chapters' own text.

The chapters state them by ``{prf:..}`` directives; a claim names the one that it tests.
"""

import html
import re
from collections.abc import Iterable
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
            found.append(Statement(match["kind"], title, label[1], chapter, _source(body)))
    return found


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
            tested = [claim for claim in claims if claim.tests == statement.label]
            rows.append(_row(statement, link, tested))
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


def _row(statement: Statement, link: str, claims: Iterable[Claim]) -> list[str]:
    words = [f"{{prf:ref}}`{statement.label}`", statement.title, f"in {link}"]
    tested: dict[str | None, list[str]] = {}
    for claim in claims:
        tested.setdefault(claim.beyond, []).append(_claim_link(claim.id))
    # First what follows from the statement, then what goes beyond it, and how.
    inside = [", ".join(tested.pop(None, []))]
    beyond = [f"beyond it ({how}): {', '.join(links)}" for how, links in tested.items()]
    place = "<br>".join(filter(None, words))
    return [place, statement.source, "; ".join(filter(None, inside + beyond)) or "—"]


def _claim_link(name: str) -> str:
    """A link to the card of the ledger, which stands in the same folder."""
    name = html.escape(name)
    return f'<a href="ledger.html#{name}"><code>{name}</code></a>'
