"""The frame of a page of the course: one HTML file, with its style and its script inside."""

from pathlib import Path

from nthbook.book import Book
from nthbook.course.typeset import Typesetter, escape

_FILES = Path(__file__).parent
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body class="{kind}">
{body}
{script}
</body>
</html>
"""


def page(book: Book, setter: Typesetter, title: str, body: str, kind: str) -> str:
    """A whole page of a kind that has a style sheet and perhaps a script of its own name.

    Raises:
        UsageError: when a formula cannot be rendered.
    """
    text, formulas = setter.finish(body)
    source, style = _source(kind, "js"), _source(kind, "css")
    return _PAGE.format(
        title=escape(f"{title} – {book.settings.get('title', 'A book')}"),
        style=f"{style}\n{formulas}",
        kind=kind,
        body=text,
        script=f"<script>\n{source}</script>",
    )


def _source(kind: str, ending: str) -> str:
    """What all pages share, and what those of a kind have beside it."""
    files = (_FILES / f"{name}.{ending}" for name in ("course", kind))
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
