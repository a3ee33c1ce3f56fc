"""Markdown as HTML that needs nothing beside itself: formulas as glyphs, their fonts inside."""

import base64
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from nthbook.book import Book, UsageError
from nthbook.ledger.labels import Labels
from nthbook.share.markdown import plain_markdown
from nthbook.site.mathjax import (
    Formula,
    MathJaxError,
    install_mathjax,
    mathjax_files,
    render_formulas,
)

# Stands for a formula until all are known: MathJax is started once for a file.
_MARK, _PLACE = "\ue000{}\ue001", re.compile("\ue000(\\d+)\ue001")
_PUNCTUATED = re.compile('(<span class="math inline">\ue000\\d+\ue001</span>)([.,;:!?)]+)')
_FONT = re.compile(r"@font-face[^{]*\{[^}]*\}")
_FAMILY = re.compile(r"font-family:\s*MJX(\w+(?:-\w+)?)")
_FILE = re.compile(r"url\(['\"]?(?:[^)'\"]*/)?([\w.-]+)['\"]?\)")
_ALWAYS = ("ZERO", "TEX")
_STRETCHED = ("TEX-S1", "TEX-S4")  # what long braces and arrows are put together from


class Typesetter:
    """Turns the Markdown of one file into HTML; :meth:`finish` then puts the formulas in."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._formulas: dict[Formula, int] = {}
        self._markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
        self._markdown.use(
            dollarmath_plugin, double_inline=True, allow_labels=False, renderer=self._formula
        )

    def block(self, text: str, labels: Labels) -> str:
        """MyST as HTML."""
        return str(self._markdown.render(plain_markdown(text, labels)))

    def line(self, text: str, labels: Labels) -> str:
        """A line of MyST as HTML, without a paragraph around it."""
        return str(self._markdown.renderInline(" ".join(plain_markdown(text, labels).split())))

    def plain(self, text: str) -> str:
        """Markdown that has no roles or directives any more, as HTML."""
        return str(self._markdown.render(text))

    def _formula(self, tex: str, options: Mapping[str, Any]) -> str:
        formula = (tex.strip(), bool(options.get("display_mode")))
        return _MARK.format(self._formulas.setdefault(formula, len(self._formulas)))

    def finish(self, text: str) -> tuple[str, str]:
        """The HTML with its formulas, and their style sheet with the fonts that they use.

        Raises:
            UsageError: naming a formula that MathJax cannot read, or why it does not run.
        """
        if not self._formulas:
            return text, ""
        try:
            package = install_mathjax(self._book.root, self._book.build / "node")
            settings = self._book.settings.get("sphinx", {}).get("config", {})
            known = settings.get("mathjax3_config", {})
            answers, style = render_formulas(list(self._formulas), known, package)
        except MathJaxError as error:
            raise UsageError(str(error)) from error
        for formula, answer in answers.items():
            if "error" in answer:
                raise UsageError(f"{answer['error']} in the formula {formula[0]}")
        shown = [answers[formula]["html"] for formula in self._formulas]
        held = _PUNCTUATED.sub(r'<span class="together">\1\2</span>', text)
        whole = _PLACE.sub(lambda match: shown[int(match[1])], held)
        return whole, _with_fonts(style, whole, dict(mathjax_files(package)))


def _with_fonts(style: str, text: str, files: Mapping[str, Path]) -> str:
    """Put the fonts into the style sheet that the text's glyphs are of, and leave out the others.

    A glyph's class names its font, as ``TEX-I`` does ``MJXTEX-I``; the pieces of a glyph that
    is stretched have no such class.
    """
    always = (*_ALWAYS, *(_STRETCHED if "<mjx-stretchy-" in text else ()))

    def font(match: re.Match[str]) -> str:
        family = _FAMILY.search(match[0])
        if family and not (family[1] in always or f"{family[1]}" in text):
            return ""
        return _FILE.sub(lambda address: f"url({_inline(files[address[1]])})", match[0])

    return _FONT.sub(font, style)


def _inline(path: Path) -> str:
    return f"data:font/woff;base64,{base64.b64encode(path.read_bytes()).decode()}"


def escape(text: str) -> str:
    """Text as HTML shows it."""
    return html.escape(text, quote=True)
