"""MyST Markdown in pieces: its directives, and the text between them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from mdit_py_plugins.colon_fence import colon_fence_plugin

_MARKDOWN = MarkdownIt("commonmark").use(colon_fence_plugin)
_HEAD = re.compile(r"\{([\w:.+-]+)\}[ \t]*(.*)")
_OPTION = re.compile(r":([\w-]+):[ \t]*(.*)")
_BLOCK_OPTION = re.compile(r"([\w-]+):[ \t]*(.*)")
_FRONT_MATTER = re.compile(r"\A---\n.*?^---\n", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Directive:
    """A directive such as ``{exercise} By hand``, with its options and what it encloses."""

    name: str
    argument: str
    body: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the rest of the book refers to it by; empty where nothing does."""
        return self.options.get("label") or self.options.get("name") or ""


@dataclass(frozen=True)
class Piece:
    """Some lines of a text: a directive, code that is to stay as it is, or else prose.

    ``prefix`` stands before a directive that belongs to a list or a quotation.
    """

    text: str
    directive: Directive | None = None
    code: bool = False
    prefix: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """Cut a text, without its front matter, into its directives and what lies between."""
    text = _FRONT_MATTER.sub("", text)
    lines = text.splitlines(keepends=True)
    done = 0
    for token in _MARKDOWN.parse(text):
        if token.type not in ("fence", "colon_fence", "code_block") or token.map is None:
            continue
        first, last = token.map
        if first > done:
            yield Piece("".join(lines[done:first]))
        whole = "".join(lines[first:last])
        head = _HEAD.match(token.info.strip())
        if head is None:
            yield Piece(whole, code=True)
        else:
            prefix = whole[: whole.index(token.markup)]
            yield Piece(whole, _directive(head[1], head[2].strip(), token.content), prefix=prefix)
        done = last
    if done < len(lines):
        yield Piece("".join(lines[done:]))


def directives(text: str) -> Iterator[Directive]:
    """All directives of a text in reading order, with those that others enclose."""
    for piece in pieces(text):
        if piece.directive is not None:
            yield piece.directive
            yield from directives(piece.directive.body)


def _directive(name: str, argument: str, content: str) -> Directive:
    lines = content.splitlines()
    options: dict[str, str] = {}
    if lines and lines[0].strip() == "---" and "---" in (line.strip() for line in lines[1:]):
        end = [line.strip() for line in lines[1:]].index("---") + 1
        found = (_BLOCK_OPTION.match(line.strip()) for line in lines[1:end])
        options = {match[1]: match[2].strip() for match in found if match}
        lines = lines[end + 1 :]
    else:
        while lines and (match := _OPTION.match(lines[0].strip())):
            options[match[1]] = match[2].strip()
            lines.pop(0)
    return Directive(name, argument, "\n".join(lines).strip("\n"), options)
