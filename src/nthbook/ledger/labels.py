"""What a text refers to by label: theorems, exercises, equations, sections and literature."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pybtex.database import Entry, Person, parse_file
from pybtex.richtext import Text

from nthbook.book import CHAPTERS, Book
from nthbook.directives import directives, pieces

_TARGET = re.compile(r"^\(([\w:.-]+)\)=[ \t]*\n+(?:#+[ \t]+(.+))?", re.MULTILINE)
_EQUATION = re.compile(r"\$\$[^$]+?\$\$[ \t]*\(([\w:.-]+)\)")
_TITLE = re.compile(r"^# +(.+?)\s*$", re.MULTILINE)

_SOLUTIONS = ("solution", "solution-start")
_EXERCISES = ("exercise", "exercise-start")


@dataclass(frozen=True)
class Target:
    """Something with a label: how a sentence calls it, and the page it stands on."""

    words: str
    page: str


@dataclass(frozen=True)
class Labels:
    """The labels of a book, as one exported page sees them.

    ``page`` is that page's name, ``notebooks`` are the names of the pages that are exported
    beside it and can be linked to.
    """

    targets: dict[str, Target]
    titles: dict[str, str]
    literature: dict[str, Entry]
    notebooks: frozenset[str] = frozenset()
    page: str = ""
    numbers: dict[str, str] = field(default_factory=dict)

    def heading(self, page: str) -> str:
        """The title of a page, with the chapter's number where it has one."""
        number, title = self.numbers.get(page), self.titles.get(page, page)
        return f"{number}. {title}" if number else title

    def reference(self, label: str) -> str:
        """A target in words, with a link where it is in another notebook."""
        target = self.targets.get(label)
        if target is None:
            return f"*{label}*"
        if target.page == self.page:
            return target.words
        if target.page in self.notebooks:
            return f"[{target.words}]({target.page}.ipynb)"
        return f"{target.words} (page *{self.titles.get(target.page, target.page)}*)"

    def title(self, label: str) -> str:
        """The title of a labelled exercise; empty where it has none."""
        words = self.targets[label].words if label in self.targets else ""
        return words.partition("*")[2].removesuffix("*")

    def link(self, words: str, path: str) -> str:
        """A link to a page's source, as a link to its notebook; only words where there is none."""
        name = Path(path).stem
        words = words or self.titles.get(name, name)
        return f"[{words}]({name}.ipynb)" if name in self.notebooks else words

    def cite(self, keys: str, *, textual: bool = False) -> str:
        """A citation, with a link to the paper where the bibliography holds one."""
        words = []
        for key in map(str.strip, keys.split(",")):
            entry = self.literature.get(key)
            if entry is None:
                words.append(key)
            elif textual:
                words.append(f"{_authors(entry)} ({_linked(_year(entry), entry)})")
            else:
                words.append(_linked(f"{_authors(entry)}, {_year(entry)}", entry))
        return ", ".join(words) if textual else f"({'; '.join(words)})"


def book_labels(book: Book, notebooks: Iterable[str]) -> Labels:
    """Collect the labels of all pages of a book."""
    targets: dict[str, Target] = {}
    titles: dict[str, str] = {}
    for path in book.pages():
        source = book.root / f"{path}.md"
        if source.is_file():
            name, text = source.stem, source.read_text(encoding="utf-8")
            heading = _TITLE.search(text)
            titles[name] = heading[1] if heading else name
            targets |= {label: Target(words, name) for label, words in _labels(text)}
    bibliography = book.root / "book" / "references.bib"
    known = bibliography.is_file()
    literature = dict(parse_file(str(bibliography)).entries) if known else {}
    numbers = _numbers(book)
    return Labels(targets, titles, literature, frozenset(notebooks), numbers=numbers)


def _numbers(book: Book) -> dict[str, str]:
    """The numbers that the site gives to chapters, by name, and to exercises, by label."""
    numbers = {}
    chapters = [page for page in book.pages() if page.startswith(CHAPTERS)]
    for number, page in enumerate(chapters, 1):
        numbers[page.rpartition("/")[2]] = str(number)
        source = book.root / f"{page}.md"
        text = source.read_text(encoding="utf-8") if source.is_file() else ""
        exercises = [piece for piece in directives(text) if piece.name in _EXERCISES]
        for place, exercise in enumerate(exercises, 1):
            numbers[exercise.label] = f"{number}.{place}"
    return numbers


def _labels(text: str) -> Iterator[tuple[str, str]]:
    titles: dict[str, str] = {}
    for directive in directives(text):
        kind = directive.name.removeprefix("prf:").removesuffix("-start")
        title = f" *{directive.argument}*" if directive.argument else ""
        if directive.name in _SOLUTIONS:
            # It stands below its exercise, and not in a student's edition.
            words = titles.get(directive.argument, "the exercise")
        elif kind == "exercise":
            words = titles[directive.label] = f"the exercise{title}"
        else:
            words = f"{kind.capitalize()}{title}"
        if directive.label and directive.name != "math":
            yield directive.label, words
    for label, heading in _TARGET.findall(_prose(text)):
        yield label, f"*{heading.strip()}*" if heading else f"*{label}*"
    for number, label in enumerate(equation_labels(text), 1):
        yield label, f"({number})"


def equation_labels(text: str) -> list[str]:
    """The labels of a page's equations in reading order, which is that of their numbers."""
    found = []
    for piece in pieces(text):
        directive = piece.directive
        if directive is None:
            found += [] if piece.code else _EQUATION.findall(piece.text)
        elif directive.name == "math":
            found += [directive.label] if directive.label else []
        else:
            found += equation_labels(directive.body)
    return found


def _prose(text: str) -> str:
    return "".join(piece.text for piece in pieces(text) if not piece.code)


def _authors(entry: Entry) -> str:
    people: list[Person] = entry.persons.get("author", [])
    names = [str(Text.from_latex(" ".join(who.prelast_names + who.last_names))) for who in people]
    if len(names) > 2:
        return f"{names[0]} et al."
    return " and ".join(names)


def _year(entry: Entry) -> str:
    return str(entry.fields.get("year", ""))


def _linked(words: str, entry: Entry) -> str:
    fields = entry.fields
    if "doi" in fields:
        return f"[{words}](https://doi.org/{fields['doi']})"
    if fields.get("archiveprefix", "").lower() == "arxiv" and "eprint" in fields:
        return f"[{words}](https://arxiv.org/abs/{fields['eprint']})"
    return f"[{words}]({fields['url']})" if "url" in fields else words
