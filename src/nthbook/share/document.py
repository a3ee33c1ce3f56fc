"""The whole book as one document for a printer, put together from the pages of the site."""

import html
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

from nthbook.book import Book, UsageError
from nthbook.run.record import read_record
from nthlib import __version__

_STYLE = Path(__file__).with_name("pdf.css")

# What a printer cannot show, or a reader of paper cannot use.
_SCREEN_ONLY = (
    "script, style, link, form, button, iframe, .headerlink, .toctree-wrapper, .d-print-none,"
    " details.hide .cell_input"
)
_LINKING = ("href", "src", "data", "poster")
_NAMING = ("for", "aria-labelledby", "aria-describedby", "aria-controls", "headers")
# CSS within an attribute, which no parser of HTML reads.
_IN_STYLE = re.compile(r"url\(['\"]?#([^)'\"]+)['\"]?\)")


@dataclass(frozen=True)
class Heading:
    """A line of the table of contents: 0 for a part, 1 for a chapter, 2 for a section."""

    level: int
    title: str
    markup: str
    anchor: str


@dataclass(frozen=True)
class PrintDocument:
    """The document, what stands in its table of contents, and what its file is called."""

    html: str
    headings: tuple[Heading, ...]
    title: str
    author: str
    name: str


def print_document(book: Book) -> PrintDocument:
    """Put the pages of ``build/html`` together, in the order of ``_toc.yml``.

    Ids are made unique, and links between pages lead to places in the document. All other
    addresses start at the root of the site. Code that a page folds away is left out, and
    solutions are open.

    Raises:
        UsageError: when there is no site, or it lacks a page of ``_toc.yml``.
    """
    pages = {page: _Page(book, page) for page in book.pages()}
    for page in pages.values():
        page.point_into(pages)
    headings, bodies = [], []
    for caption, names in _parts(book):
        for name in names:
            page = pages[name]
            first = bool(caption) and name == names[0]
            if first:
                headings.append(Heading(0, caption, html.escape(caption), page.anchor))
            headings += page.headings()
            bodies.append(page.markup(caption if first else ""))
    settings = book.settings
    title = str(settings.get("title", "A book"))
    author = str(settings.get("author", ""))
    text = _HTML.format(
        title=html.escape(title, quote=False),
        links="\n".join(_stylesheets(pages.values())),
        style=_STYLE.read_text(encoding="utf-8") + "".join(map(_page_style, pages.values())),
        front=_title_page(book, title, author),
        contents="\n".join(map(_line, headings)),
        body="\n".join(bodies),
    )
    latex = settings.get("latex", {}).get("latex_documents", {})
    name = str(latex.get("targetname", "book.tex")).removesuffix(".tex")
    return PrintDocument(text, tuple(headings), title, author, f"{name}.pdf")


class _Page:
    """One page of the site, on its way into the document."""

    def __init__(self, book: Book, name: str) -> None:
        self.name = name
        self.anchor = re.sub(r"\W+", "-", name)
        path = book.html_dir / f"{name}.html"
        if not path.is_file():
            if not (book.html_dir / "index.html").is_file():
                raise UsageError("there is no site yet: make it with `nth book`")
            raise UsageError(f"the site has no page {name}: build it again with `nth build`")
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        article = soup.select_one("article")
        if article is None:
            raise UsageError(f"{path} holds no article: build the site again with `nth build`")
        self.styles = [str(link["href"]) for link in soup.select('link[rel="stylesheet"]')]
        self.article = article
        self._strip()
        self.ids = self._rename()

    def _strip(self) -> None:
        for part in self.article.select(_SCREEN_ONLY):
            part.decompose()
        for part in self.article.select("noscript, details.hide"):
            _drop_summary(part)
            part.unwrap()
        for part in self.article.select("details"):
            part["open"] = ""
        for line in self.article.select("p.nth-run"):
            _drop_downloads(line)
        for part in self.article.select(".dropdown, .toggle"):
            listed = [str(name) for name in part.get_attribute_list("class")]
            part["class"] = " ".join(name for name in listed if "toggle" not in name)

    def _rename(self) -> dict[str, str]:
        """Give each id the page's name in front; of two that are the same, the first counts."""
        names: dict[str, str] = {}
        for part in self.article.find_all(id=True):
            old = str(part["id"])
            if old in names:
                del part["id"]
            else:
                names[old] = part["id"] = f"{self.anchor}--{old}"
        for part in self.article.find_all(True):
            for key in _NAMING:
                if key in part.attrs:
                    listed = " ".join(part.get_attribute_list(key)).split()
                    part[key] = " ".join(names.get(name, name) for name in listed)
            for key, value in part.attrs.items():
                if isinstance(value, str) and "url(" in value:
                    part[key] = _IN_STYLE.sub(
                        lambda match: f"url(#{names.get(match[1], match[1])})", value
                    )
        return names

    def point_into(self, pages: Mapping[str, "_Page"]) -> None:
        """Make every address one of the document: a place in it, or a path from the root."""
        for part in self.article.find_all(True):
            for key in _LINKING:
                if isinstance(value := part.get(key), str):
                    if part.name == "a":
                        self._follow(part, value, pages)
                    else:
                        part[key] = self.resolve(value)

    def _follow(self, link: Tag, address: str, pages: Mapping[str, "_Page"]) -> None:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            return
        path = self.resolve(parts.path).strip("/") if parts.path else f"{self.name}.html"
        target = pages.get(path.removesuffix(".html")) if path.endswith(".html") else None
        if target is None or not path:
            link.unwrap()  # a download, or a page that is not printed
            return
        place = target.ids.get(unquote(parts.fragment), target.anchor)
        link.attrs = {"href": f"#{place}", "class": link.get_attribute_list("class")}

    def resolve(self, address: str) -> str:
        """A path from the root of the site; whole addresses and data stay."""
        parts = urlsplit(address)
        if parts.scheme or parts.netloc or not parts.path:
            return f"#{self.ids.get(address[1:], address[1:])}" if address[:1] == "#" else address
        path = posixpath.join("/", posixpath.dirname(self.name), parts.path)
        return posixpath.normpath(path) + (f"?{parts.query}" if parts.query else "")

    def headings(self) -> Iterator[Heading]:
        """The chapter and its sections, as the table of contents names them."""
        for part in self.article.find_all(["h1", "h2"]):
            if part.find_parent(["aside", "table"]) or not part.get_text(strip=True):
                continue
            level = int(part.name[1])
            section = part.find_parent("section")
            if level == 1 or section is None or "id" not in section.attrs:
                anchor = self.anchor
            else:
                anchor = str(section["id"])
            yield Heading(level, _plain(part), _inner(part), anchor)

    @property
    def title(self) -> str:
        """Its first heading."""
        return next((heading.title for heading in self.headings()), self.name)

    def markup(self, caption: str) -> str:
        """The article, with the part's caption above its title where it opens a part."""
        kicker = f'<p class="nth-part">{html.escape(caption)}</p>' if caption else ""
        return (
            f'<div class="nth-chapter" id="{self.anchor}" style="page: {self.anchor}">'
            f"{kicker}{self.article}</div>"
        )


def _drop_summary(part: Tag) -> None:
    if summary := part.find("summary"):
        summary.extract()


def _drop_downloads(line: Tag) -> None:
    """Leave out of the line below a chapter what can be downloaded from the page."""
    kept = [piece for piece in line.decode_contents().split("; ") if "download" not in piece]
    text = "; ".join(kept).rstrip(".") + "."
    line.clear()
    line.append(BeautifulSoup(text, "html.parser"))


def _plain(part: Tag) -> str:
    """The words of a heading; a formula is read off its MathML."""
    copy = BeautifulSoup(str(part), "html.parser")
    for formula in copy.select("mjx-container"):
        formula.replace_with("".join(formula.get_text().split()))
    return " ".join(copy.get_text().split())


def _inner(part: Tag) -> str:
    copy = BeautifulSoup(str(part), "html.parser")
    for inner in copy.find_all(["a", part.name]):
        inner.unwrap()
    for inner in copy.find_all(id=True):
        del inner["id"]
    return str(copy)


def _stylesheets(pages: Any) -> Iterator[str]:
    seen = dict.fromkeys(page.resolve(style) for page in pages for style in page.styles)
    return (f'<link rel="stylesheet" href="{html.escape(style)}">' for style in seen)


def _page_style(page: _Page) -> str:
    """The running head of a chapter: its title, on all its pages but the first."""
    title = json.dumps(page.title, ensure_ascii=False)
    return f"@page {page.anchor} {{ @top-center {{ content: {title}; }} }}\n"


def _line(heading: Heading) -> str:
    number = "" if heading.level == 0 else f'<span data-place="{heading.anchor}">000</span>'
    return (
        f'<li class="nth-level-{heading.level}"><a href="#{heading.anchor}">'
        f"<span>{heading.markup}</span>{number}</a></li>"
    )


def _title_page(book: Book, title: str, author: str) -> str:
    records = [read_record(book, name) for name in book.chapter_names()]
    runs = [record for record in records if record is not None]
    newest = max((record.started[:10] for record in runs), default="")
    year = (newest or date.today().isoformat())[:4]
    profiles = sorted({record.profile for record in runs})
    lines = [f"Version {__version__}"]
    if newest:
        named = " and ".join(f"<code>{html.escape(profile)}</code>" for profile in profiles)
        lines.append(f"newest run on {newest}, at profile {named}")
    author_text = html.escape(author, quote=False)
    cited = (
        f"{author_text.rstrip('.')}. <cite>{html.escape(title)}</cite>. "
        f"Version {__version__}, {year}."
    )
    return (
        f'<p class="nth-title">{html.escape(title)}</p><p class="nth-author">{author_text}</p>'
        f'<p class="nth-edition">{"; ".join(lines)}</p>'
        f'<div class="nth-imprint"><p><strong>How to cite.</strong> {cited}</p>'
        "<p><strong>This edition.</strong> Printed from the pages of the book, with the solutions"
        " of the exercises open. Code that the pages fold away, most of it for figures, is left"
        " out; the notebooks hold all of it.</p></div>"
    )


def _parts(book: Book) -> Iterator[tuple[str, list[str]]]:
    """The captions of ``_toc.yml`` with their pages; the root has no caption."""
    contents = yaml.safe_load((book.root / "_toc.yml").read_text(encoding="utf-8"))
    pages, done = book.pages(), 0
    sizes = [("", len(pages))]
    if "parts" in contents:
        counts = [(str(part.get("caption", "")), _size(part)) for part in contents["parts"]]
        sizes = [("", len(pages) - sum(count for _, count in counts)), *counts]
    for caption, size in sizes:
        yield caption, pages[done : done + size]
        done += size


def _size(entry: Any) -> int:
    inner = [child for key in ("chapters", "sections") for child in entry.get(key, [])]
    return ("file" in entry) + sum(map(_size, inner))


_HTML = """<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light" class="nth-print">
<head><meta charset="utf-8"><title>{title}</title>
{links}
<style>
{style}</style></head>
<body>
<div class="bd-content"><div class="bd-article-container">
<section class="nth-front-page">{front}</section>
<nav class="nth-contents" id="contents"><h1>Contents</h1><ol>
{contents}
</ol></nav>
{body}
</div></div>
</body></html>
"""
