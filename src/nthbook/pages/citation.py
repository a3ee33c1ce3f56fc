"""How to cite the book and the paper, from ``CITATION.cff``, so that no version goes stale."""

from typing import Any

import yaml

from nthbook.book import Book

_FENCE = "```{{code-block}} bibtex\n{entry}\n```"


def citation(book: Book) -> str:
    """BibTeX entries of the book, in its present version, and of what it tests.

    Says so where a book has no ``CITATION.cff``.
    """
    path = book.root / "CITATION.cff"
    if not path.is_file():
        return "This book has no `CITATION.cff` yet."
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    version, released = str(data["version"]), str(data["date-released"])
    fields = {
        "author": _authors(data["authors"]),
        "title": f"{{{data['title']}}}",
        "year": released[:4],
        "version": version,
        "note": f"Version {version}, released on {released}. Commit <commit>",
    }
    entries = [_entry("software", f"nthlib{released[:4]}", fields)]
    entries += [_reference(reference) for reference in data.get("references", [])]
    shown = "\n\n".join(_FENCE.format(entry=entry) for entry in entries)
    return f"The version of this copy is **{version}**, of {released}.\n\n{shown}"


def _reference(data: dict[str, Any]) -> str:
    identifiers = [str(item["value"]) for item in data.get("identifiers", [])]
    fields = {
        "author": _authors(data["authors"]),
        "title": f"{{{data['title']}}}",
        "booktitle": data.get("collection-title", ""),
        "year": str(data["year"]),
        "note": ", ".join(identifiers),
    }
    first = data["authors"][0]
    key = f"{first.get('family-names', 'anonymous')}{data['year']}".lower().replace(" ", "")
    return _entry("inproceedings", key, fields)


def _authors(people: list[dict[str, str]]) -> str:
    names = (
        f"{person['family-names']}, {person['given-names']}"
        if "family-names" in person
        else f"{{{person['name']}}}"
        for person in people
    )
    return " and ".join(names)


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])
