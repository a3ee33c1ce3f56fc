"""What the command prints for a person: colour, signs and tables that any terminal can show.

Colour is added only for a terminal that has it. A table fits the terminal it is printed on;
in a pipe every row is one line, for ``grep``.
"""

import itertools
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from nthbook.claims import Verdict

_GAP = "  "
_PIPE = 80  # columns of the line below a table's head, where no terminal sets them
_STYLES: dict[str, dict[str, Any]] = {
    "good": {"fg": "green"},
    "bad": {"fg": "red", "bold": True},
    "neutral": {"fg": "yellow"},
    "strong": {"bold": True},
    "plain": {},
}
# A sign beside each word, so that colour never stands alone.
_SIGNS = {"good": "✓", "bad": "✗", "neutral": "?"}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "−": "-", "±": "+/-", "×": "x", "\u00a0": " "})


class Cell(NamedTuple):
    """A cell of a table, with the tone in which a terminal shows it."""

    text: str
    tone: str = "plain"


def verdict_cell(verdict: Verdict | None, more: str = "") -> Cell:
    """Sign and words of a verdict, coloured by whether it is as it should be."""
    if verdict is None:
        return Cell("-")
    return Cell(f"{_SIGNS[verdict.tone]} {verdict.words}{more}", verdict.tone)


def colour() -> bool | None:
    """What click takes for ``color``: False for never, None for terminals alone."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return False if plain else None


def echo(text: str, *, err: bool = False) -> None:
    """Print a text with its colours; in letters that the stream's encoding has."""
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    click.echo(text, err=err, color=colour())


def problem(sentence: str, label: str = "problem:") -> None:
    """Print on stderr what is wrong, with the book or with how the command was used."""
    echo(f"{click.style(label, fg='red', bold=True)} {sentence}", err=True)


def width() -> int | None:
    """Columns of the terminal on which stdout is shown; None when it goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], room: int | None) -> str:
    """Align cells in columns no wider than ``room`` together.

    Long cells are wrapped between words, or after hyphens where that is not enough. Where even
    that does not fit, a row becomes a paragraph.
    """
    lines = [[Cell(name, "strong") for name in head], *rows]
    natural = [max(len(line[at].text) for line in lines) for at in range(len(head))]
    if room is None:
        return _columns(lines, natural, _PIPE, hyphens=False)
    for hyphens in (False, True):
        if fitted := _fit(lines, natural, room, hyphens=hyphens):
            return _columns(lines, fitted, room, hyphens=hyphens)
    return "\n".join(_paragraph(head, row, room) for row in rows)


def _fit(
    lines: Sequence[Sequence[Cell]], natural: list[int], room: int, *, hyphens: bool
) -> list[int] | None:
    """Take from the widest column until all fit; None when words would have to be broken."""
    widths = list(natural)
    least = [
        max(len(piece) for line in lines for piece in (*_pieces(line[at].text, hyphens), ""))
        for at in range(len(widths))
    ]
    spare = room - len(_GAP) * (len(widths) - 1)
    while sum(widths) > spare:
        loose = [at for at in range(len(widths)) if widths[at] > least[at]]
        if not loose:
            return None
        widths[max(loose, key=widths.__getitem__)] -= 1
    return widths


def _pieces(text: str, hyphens: bool) -> list[str]:
    return (text.replace("-", "- ") if hyphens else text).split()


def _columns(
    lines: Sequence[Sequence[Cell]], widths: Sequence[int], room: int, *, hyphens: bool
) -> str:
    head, *rows = (_wrapped(line, widths, hyphens=hyphens) for line in lines)
    shown = [*head, *(piece for row in rows for piece in row)]
    rule = "-" * min(room, max(len(click.unstyle(line)) for line in shown))
    return "\n".join([*head, rule, *shown[len(head) :]])


def _wrapped(line: Sequence[Cell], widths: Sequence[int], *, hyphens: bool) -> list[str]:
    """A row as the lines it takes, padded and coloured."""
    columns = [
        [
            _styled(Cell(piece, cell.tone)) + " " * (size - len(piece))
            for piece in textwrap.wrap(cell.text, max(size, 1), break_on_hyphens=hyphens) or [""]
        ]
        for cell, size in zip(line, widths, strict=True)
    ]
    blank = [" " * size for size in widths]
    return [
        _GAP.join(piece or blank[at] for at, piece in enumerate(pieces)).rstrip()
        for pieces in itertools.zip_longest(*columns)
    ]


def _styled(cell: Cell) -> str:
    style = _STYLES[cell.tone]
    return click.style(cell.text, **style) if style and cell.text else cell.text


def _paragraph(head: Sequence[str], row: Sequence[Cell], room: int) -> str:
    """A row that has no room for columns: its name, what is coloured, the rest by name."""
    title, taken, details = _styled(row[0]._replace(tone="strong")), len(row[0].text), []
    for name, cell in zip(head[1:], row[1:], strict=True):
        label = f"{name} " if taken > len(row[0].text) else ""
        needed = len(_GAP) + len(label) + len(cell.text)
        if cell.tone == "plain" or taken + needed > room:
            details.append(f"{name} {cell.text}")
        else:
            title, taken = f"{title}{_GAP}{label}{_styled(cell)}", taken + needed
    indent = "    "
    return f"{title}\n" + textwrap.fill(
        "; ".join(details),
        max(room, 24),
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
