"""What a page need not carry: figures as WebP, icons that no page shows, styles it does not use.

Nothing here changes what a page looks like: the figures keep every pixel.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

# Of the theme's icon fonts the first is used; the others are fetched where a page needs them.
_PRELOADED = re.compile(r'\s*<link rel="preload" as="font"[^>]*fa-(?:brands|regular)[^>]*>')
_ICONS = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"[^"]*"\}')
_CARDS = re.compile(r"\s*<link [^>]*sphinx-design[^>]*\.css[^>]*>")
# Notes of MathJax to itself, and what a page says once in its style sheet.
_FORMULA_NOTES = re.compile(
    r' data-mjx-texclass="[^"]*"| texclass="[^"]*"| unselectable="on"'
    r'|(?<=<math) xmlns="[^"]*"'
)


def trim_site(site: Path) -> None:
    """Make the pages below ``site`` lighter, in place."""
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    renamed = _figures_as_webp(site)
    for path, text in pages.items():
        path.write_text(_trimmed(text, renamed), encoding="utf-8")
    _drop_unused_icons(site, "".join(pages.values()))
    for path in site.glob("_static/**/*.css"):
        indented = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"\s*\n\s*", "\n", indented), encoding="utf-8")


def _figures_as_webp(site: Path) -> dict[str, str]:
    """Write each PNG of Sphinx as lossless WebP; return the new names by the old ones."""
    renamed = {}
    for path in sorted(site.glob("_images/*.png")):
        with Image.open(path) as figure:
            figure.save(path.with_suffix(".webp"), lossless=True, method=4, exact=True)
        path.unlink()
        renamed[path.name] = f"{path.stem}.webp"
    return renamed


def _trimmed(text: str, renamed: Mapping[str, str]) -> str:
    for old, new in renamed.items():
        text = text.replace(f"_images/{old}", f"_images/{new}")
    text = _FORMULA_NOTES.sub("", _PRELOADED.sub("", text))
    return text if 'class="sd-' in text else _CARDS.sub("", text)


def _drop_unused_icons(site: Path, pages: str) -> None:
    """Keep the rules of those icons that a page or a script names."""
    scripts = "".join(path.read_text(encoding="utf-8") for path in site.rglob("_static/**/*.js"))
    used = set(re.findall(r"fa-[\w-]+", pages + scripts))

    def keep(rule: re.Match[str]) -> str:
        names = {name.removesuffix(":before") for name in rule[1].replace(".", "").split(",")}
        return rule[0] if names & used else ""

    for path in site.glob("_static/vendor/fontawesome/*/css/all.min.css"):
        path.write_text(_ICONS.sub(keep, path.read_text(encoding="utf-8")), encoding="utf-8")
