"""A Sphinx extension: terms of the glossary and of the notation are explained where they stand.

A page carries the explanations of the words that it links to, so that a script can show them
beside a word without a network. Without a script the word is a link, as it was.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from docutils import nodes
from docutils.utils import new_document
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

_PAGES = ("glossary", "notation")
_MARK, _KEY = "nth-term", "nth-term--"
_MOST_ROWS = 3
_INDICES = re.compile(r"[_^](?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\\[a-zA-Z]+|\w)")
_RELATION = re.compile(r"=|\\in(?![a-z])|\\ge(?![a-z])")
_ARGUMENT = re.compile(r"(?<!\{)[(\[].*")  # an order, K^{(2)}, is no argument


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hooks; the pages are those named glossary and notation."""
    app.connect("env-before-read-docs", _see_changes)
    app.connect("env-updated", _write_again)
    app.connect("doctree-resolved", _mark_references)
    app.connect("html-page-context", _add_hints)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _see_changes(app: Sphinx, env: BuildEnvironment, changed: list[str]) -> None:
    explained = any(_name(page) in _PAGES for page in changed)
    app.builder.nth_hints_changed = explained  # type: ignore[attr-defined]


def _write_again(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Read the two pages; where they have changed, all others carry old copies."""
    app.builder.nth_explaining = {  # type: ignore[attr-defined]
        _name(page): env.get_doctree(page) for page in env.all_docs if _name(page) in _PAGES
    }
    return sorted(env.all_docs) if getattr(app.builder, "nth_hints_changed", False) else []


def _name(page: str) -> str:
    return page.rpartition("/")[2].removesuffix(".html")


def _mark_references(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give each link to an explained word the key of its explanation, as a class."""
    if app.builder.format != "html" or _name(docname) in _PAGES:
        return
    for reference in doctree.findall(nodes.reference):
        address = urlsplit(reference.get("refuri", ""))
        page = _name(address.path)
        if page not in _PAGES or not address.fragment or not reference.get("internal"):
            continue
        key = unquote(address.fragment)
        if page == "notation":
            key = f"{key}-{re.sub(r'[^a-zA-Z0-9]+', '-', reference.astext()).strip('-')}"
        if _explanation(app, page, unquote(address.fragment), reference):
            reference["classes"] += [_MARK, f"{_KEY}{key}"]


def _add_hints(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Put the explanations below the page, hidden; a script shows them."""
    if doctree is None:
        return
    found: dict[str, nodes.reference] = {}
    for reference in doctree.findall(nodes.reference):
        for name in reference["classes"]:
            if name.startswith(_KEY):
                found.setdefault(name.removeprefix(_KEY), reference)
    if not found:
        return
    hints = "".join(
        f'<div class="nth-hint" id="nth-hint-{key}" role="tooltip" hidden>'
        f"{_rendered(app, page, reference)}</div>\n"
        for key, reference in found.items()
    )
    context["body"] += f'<div class="nth-hints d-print-none">\n{hints}</div>\n'


def _rendered(app: Sphinx, page: str, reference: nodes.reference) -> str:
    address = urlsplit(reference["refuri"])
    explained = _explanation(app, _name(address.path), unquote(address.fragment), reference)
    document = new_document("hint")
    document.settings = app.env.get_doctree(page).settings
    document += explained
    app.env.resolve_references(document, page, app.builder)
    for link in list(document.findall(nodes.reference)):  # nothing in a hint can be pressed
        link.replace_self(link.children)
    for node in document.findall(nodes.Element):
        node["ids"] = []
    whole = nodes.container()
    whole += document.children
    return str(app.builder.render_partial(whole)["fragment"])  # type: ignore[attr-defined]


def _explanation(
    app: Sphinx, page: str, anchor: str, reference: nodes.reference
) -> list[nodes.Node]:
    """What a page says of a word, as paragraphs; nothing where it does not."""
    if page not in app.builder.nth_explaining:  # type: ignore[attr-defined]
        return []
    doctree = app.builder.nth_explaining[page]  # type: ignore[attr-defined]
    if page == "glossary":
        for item in doctree.findall(nodes.definition_list_item):
            terms = [child for child in item.children if isinstance(child, nodes.term)]
            if any(anchor in term["ids"] for term in terms):
                (definition,) = item.findall(nodes.definition)
                name = nodes.strong("", terms[0].astext())
                return [nodes.paragraph("", "", name), *definition.deepcopy().children]
        return []
    return list(_rows(doctree, anchor, reference))[:_MOST_ROWS]


def _rows(
    doctree: nodes.document, anchor: str, reference: nodes.reference
) -> Iterator[nodes.paragraph]:
    """The lines of a table of symbols that a link is about, best first."""
    section = next(
        (node for node in doctree.findall(nodes.section) if _is_at(node, anchor)),
        None,
    )
    if section is None:
        return
    rows = [
        entries
        for row in section.findall(nodes.row)
        if len(entries := list(row.findall(nodes.entry))) == 2 and row.parent.tagname == "tbody"
    ]
    math = next(iter(reference.findall(nodes.math)), None)
    text = reference.astext()
    alone = math is not None and math.astext() == text
    for entries in _matching(rows, text, symbol=alone):
        symbol, meaning = (next(iter(entry.findall(nodes.paragraph))) for entry in entries)
        words = [*symbol.deepcopy().children, nodes.Text(": "), *meaning.deepcopy().children]
        yield nodes.paragraph("", "", *words)


def _is_at(section: nodes.section, anchor: str) -> bool:
    return anchor in section["ids"] or section.get("slug") == anchor or anchor in section["names"]


def _matching(rows: list[list[nodes.entry]], text: str, *, symbol: bool) -> list[list[nodes.entry]]:
    if not symbol:
        word = text.lower().removesuffix("s")
        return [row for row in rows if word in row[1].astext().lower()]
    wanted = _symbol(text)
    for alike in (_same, _longer, _of_another, _of_the_letter):
        if found := [row for row in rows if any(alike(wanted, it) for it in _symbols(row[0]))]:
            return found
    return []


def _symbols(entry: nodes.entry) -> list[str]:
    return [_symbol(math.astext()) for math in entry.findall(nodes.math)]


def _symbol(tex: str) -> str:
    """A formula up to its first relation, without blanks."""
    return "".join(_RELATION.split(tex)[0].split())


def _same(wanted: str, symbol: str) -> bool:
    return wanted == symbol


def _longer(wanted: str, symbol: str) -> bool:
    """With further indices: K^{(2)} is explained where its entries are."""
    return symbol.startswith((f"{wanted}_", f"{wanted}^"))


def _of_another(wanted: str, symbol: str) -> bool:
    """Of another argument: an eigenvalue of one matrix is like that of another."""
    return _ARGUMENT.sub("", wanted) == _ARGUMENT.sub("", symbol)


def _of_the_letter(wanted: str, symbol: str) -> bool:
    return _INDICES.sub("", wanted) == _INDICES.sub("", symbol)
