"""Last touches to the pages that Sphinx wrote, for a quick first paint and for all readers.

The theme loads its scripts in the head, where a browser waits for each. None of them is
needed before the page is read. And here and there its markup misleads a screen reader.
"""

import re
from pathlib import Path

_HEAD = re.compile(r"<head>.*?</head>", re.DOTALL)
_SCRIPT = re.compile(r'<script (?![^>]*\b(?:defer|async)\b)([^>]*\bsrc="[^"]*"[^>]*)>')
# The icons come from a font. The theme's second copy of them, as a script, is the heaviest
# file of the site.
_ICONS = re.compile(r"\s*<script [^>]*fontawesome[^>]*\.js[^>]*></script>")
# An inline script waits for the deferred ones if it is a module.
_PAGE_NAME = re.compile(r"<script>(DOCUMENTATION_OPTIONS\.pagename = )")

# A button is called by the words that it shows.
_LABEL = re.compile(r'(<summary|<button[^>]*search-button-field[^>]*?) aria-label="[^"]*"')
# The parameters of a long signature stand as a list of definitions without terms.
_SIGNATURE = re.compile(
    r'(<span class="sig-paren">\(</span>\s*)<dl>(.*?)</dl>(\s*<span class="sig-paren">\))',
    re.DOTALL,
)


def finish_pages(site: Path) -> None:
    """Defer the scripts of every page below ``site``, leave out the heaviest, mend markup.

    Where no script chooses between light and dark, a page is light.
    """
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        text = text.replace('data-theme="auto"', 'data-theme="light"', 1)
        text = _HEAD.sub(lambda head: _quicken(head[0]), text, count=1)
        text = _SIGNATURE.sub(_parameters, _LABEL.sub(r"\1", text))
        # its children are no items of a list
        text = text.replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )
        path.write_text(text, encoding="utf-8")
    for path in site.glob("_static/vendor/fontawesome/*/js"):
        for script in path.iterdir():
            script.unlink()


def _quicken(head: str) -> str:
    head = _ICONS.sub("", head)
    head = _SCRIPT.sub(r"<script defer \1>", head)
    return _PAGE_NAME.sub(r'<script type="module">\1', head)


def _parameters(match: re.Match[str]) -> str:
    lines = match[2].replace("<dd>", '<span class="nth-parameter">').replace("</dd>", "</span>")
    return match[1] + lines + match[3]
