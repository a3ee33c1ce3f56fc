"""MyST Markdown as plain Markdown, which JupyterLab, Colab and GitHub show as it is meant.

A theorem becomes a quotation with a bold title, a role its words, a labelled equation an
equation with a number.
"""

import re

from nthbook.directives import Directive, pieces
from nthbook.ledger.labels import Labels

_NOTES = (
    *("attention", "caution", "danger", "error", "hint", "important", "note", "seealso"),
    *("tip", "warning", "versionadded", "versionchanged", "deprecated"),
)
# What only a site has a use for.
_DROPPED = (
    *("bibliography", "contents", "eval-rst", "exercise-end", "glue", "index", "only", "raw"),
    *("solution-end", "tableofcontents", "toctree"),
)
_CODE = ("code", "code-block", "sourcecode", "parsed-literal", "literalinclude")
_PICTURES = ("figure", "image")
_LAYOUT = ("div", "container", "grid", "tab-set", "card-carousel", "margin")
_AS_CODE = ("code", "kbd", "file", "samp", "command", "program", "option", "envvar")

_LINES = re.compile(
    r"^(?:\([\w:.-]+\)=[ \t]*|%.*|\+\+\+.*|\{[.#][^}\n]*\}[ \t]*)(?:\n|\Z)", re.MULTILINE
)
_DEFINITION = re.compile(r"(?<=\S)\n:[ ]+(?=\S)")
_INLINE = re.compile(
    r"""
      \$\$(?P<tex>.+?)\$\$(?:[ \t]*\((?P<label>[\w:.-]+)\))?
    | (?<![\\$])\$(?P<math>[^$]+)\$
    | \{(?P<role>[a-zA-Z][\w:.+-]*)\}(?P<ticks>`+)(?P<content>.+?)(?<!`)(?P=ticks)(?!`)
    | (?P<quoted>`+)(?P<code>.+?)(?<!`)(?P=quoted)(?!`)
    | (?<!!)\[(?P<words>[^\[\]]*)\]
      \((?:[\w./-]*?(?P<path>[\w-]+\.md)(?:\#[^)\s]*)?|\#(?P<here>[\w:.-]+))\)
    """,
    re.VERBOSE | re.DOTALL,
)
_EXPLICIT = re.compile(r"(.*?)\s*<([^<>]+)>\s*\Z", re.DOTALL)
_DISPLAY = re.compile(r"\$\$.+?\$\$", re.DOTALL)


def plain_markdown(text: str, labels: Labels) -> str:
    """Return the text of a Markdown cell without anything that plain Jupyter cannot show."""
    shown = []
    for piece in pieces(text):
        if piece.code:
            shown.append(piece.text)
        elif piece.directive is None:
            shown.append(_prose(piece.text, labels))
        elif block := _directive(piece.directive, labels):
            first, *rest = block.splitlines()
            indent = re.sub(r"[^>\s]", " ", piece.prefix)
            lines = [f"{piece.prefix}{first}", *(f"{indent}{line}".rstrip() for line in rest)]
            shown.append("\n".join(lines) + "\n")
    return re.sub(r"\n{3,}", "\n\n", "".join(shown)).strip("\n")


def _prose(text: str, labels: Labels) -> str:
    text = _DEFINITION.sub("  \n", _LINES.sub("", text))
    return _INLINE.sub(lambda match: _inline(match, labels), text)


def _inline(match: re.Match[str], labels: Labels) -> str:
    if match["tex"]:
        return _display(match["tex"], match["label"] or "", labels)
    if match["role"]:
        return _role(match["role"], match["content"], labels)
    if match["path"]:
        return labels.link(_prose(match["words"], labels), match["path"])
    if match["here"] in labels.targets:
        return _prose(match["words"], labels) or labels.reference(match["here"])
    return match[0]


def _role(name: str, content: str, labels: Labels) -> str:
    explicit = _EXPLICIT.match(content)
    words, target = (explicit[1], explicit[2]) if explicit else ("", content.strip())
    if name.startswith("cite"):
        return labels.cite(content, textual=name in ("cite:t", "cite:ts", "cite:ct"))
    if name in ("ref", "prf:ref", "numref", "eq", "any"):
        return words or labels.reference(target)
    if name == "doc":
        return labels.link(words, target)
    if name == "math":
        return f"${content}$"
    if name in ("sub", "sup"):
        return f"<{name}>{content}</{name}>"
    if name in _AS_CODE or name.startswith("py:") or name in ("func", "class", "mod", "meth"):
        return f"`{words or target.lstrip('~')}`"
    return words or content


def _display(tex: str, label: str, labels: Labels) -> str:
    r"""Display math; several lines need an environment, which Sphinx would add as well."""
    tex = tex.strip("\n")
    if r"\\" in tex:
        tex = f"\\begin{{aligned}}\n{tex}\n\\end{{aligned}}"
    number = labels.targets[label].words.strip("()") if label in labels.targets else ""
    tag = f" \\tag{{{number}}}" if number else ""
    edge = "\n" if "\n" in tex else " "
    return f"$${edge}{tex.strip()}{tag}{edge}$$"


def _directive(directive: Directive, labels: Labels) -> str:
    name, argument = directive.name, directive.argument
    if name in _DROPPED:
        return ""
    if name == "math":
        tex = "\n".join(filter(None, (argument, directive.body)))
        return _display(f"\n{tex}\n", directive.label, labels)
    if name in _CODE:
        return f"```{argument}\n{directive.body}\n```"
    if name in _PICTURES:
        return _picture(directive, labels)
    body = plain_markdown(directive.body, labels)
    if name in _LAYOUT:
        return body
    if name in _NOTES:
        return _quoted(f"**{name.capitalize()}.** {_prose(argument, labels)}", body)
    title = _title(directive, labels)
    if name.removesuffix("-start") in ("exercise", "solution"):
        return "\n\n".join(filter(None, (title, body)))
    return _quoted(title, body)


def _picture(directive: Directive, labels: Labels) -> str:
    picture = f"![{directive.options.get('alt', '')}]({directive.argument})"
    return "\n\n".join(filter(None, (picture, plain_markdown(directive.body, labels))))


def _title(directive: Directive, labels: Labels) -> str:
    """``**Exercise 1.1 (By hand)**`` and the like; a plain box has the title it was given."""
    kind = directive.name.removesuffix("-start")
    title, number = _prose(directive.argument, labels), labels.numbers.get(directive.label, "")
    if kind == "solution":
        title = labels.title(directive.argument)
        number = labels.numbers.get(directive.argument, "")
    elif kind != "exercise" and not kind.startswith("prf:"):
        return f"**{title}**" if title else ""
    kind = f"{kind.removeprefix('prf:').capitalize()} {number}".strip()
    return f"**{kind} ({title})**" if title else f"**{kind}**"


def _quoted(*parts: str) -> str:
    """A quotation. Display math has to be one line there: Jupyter sees the marks as part of it."""
    text = "\n\n".join(part.strip() for part in parts if part.strip())
    text = _DISPLAY.sub(lambda match: " ".join(match[0].split()), text)
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
