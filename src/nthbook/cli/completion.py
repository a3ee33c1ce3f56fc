"""What a shell completes after ``nth run``: chapters, and parameters with the book's values."""

import json
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from nthbook.book import Book, UsageError

SHELLS = ("bash", "zsh", "fish")


def completion_script(command: click.Command, shell: str) -> str:
    """Return the script that makes a shell ask ``nth`` what may come next."""
    engine = get_completion_class(shell)
    assert engine is not None, shell
    return engine(command, {}, "nth", "_NTH_COMPLETE").source()


def complete_chapters(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the chapters that begin so and are not named yet."""
    try:
        known = Book.find().chapter_names()
    except UsageError:
        return []
    named = _named_chapters(context)
    return [
        CompletionItem(name) for name in known if name.startswith(incomplete) and name not in named
    ]


def complete_parameters(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return ``NAME=VALUE`` with the book's value, for the parameters of the chapters named."""
    tables = [_defaults(name) for name in _named_chapters(context)]
    shared = dict(tables[0]) if tables else {}
    for table in tables[1:]:
        shared = {name: value for name, value in shared.items() if name in table}
    return [
        CompletionItem(text)
        for name, value in shared.items()
        if name != "profile" and (text := f"{name}={_written(value)}").startswith(incomplete)
    ]


def _named_chapters(context: click.Context) -> tuple[str, ...]:
    # A line that ends in -p is not a whole command: its chapters are what was left over.
    return (*(context.params.get("chapters") or ()), *context.args)


def _defaults(name: str) -> dict[str, Any]:
    from nthbook.chapter import load_chapter  # reads notebooks, which takes longer than the rest

    try:
        return load_chapter(Book.find(), name).defaults
    except UsageError:
        return {}


def _written(value: Any) -> str:
    """A value without a space in it, as ``-p`` reads it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
