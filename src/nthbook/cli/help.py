"""The help of the command ``nth``: commands by what they are for, lines to begin with."""

from collections.abc import Sequence
from typing import Any

import click

from nthbook.parameters import suggest

Lines = Sequence[tuple[str, str]]


def _typed(lines: Lines, room: int) -> list[str]:
    """Lines to type with their comments behind them; above them where there is no room."""
    longest = max(len(line) for line, _ in lines)
    if longest + max(len(comment) for _, comment in lines) + 6 <= room:
        return [f"  {line:{longest}}  # {comment}" for line, comment in lines]
    return [text for line, comment in lines for text in (f"  # {comment}", f"  {line}")]


class _Formatter(click.HelpFormatter):
    def write_heading(self, heading: str) -> None:
        self.write(f"{' ' * self.current_indent}{click.style(heading + ':', bold=True)}\n")


class _Context(click.Context):
    formatter_class = _Formatter


def _write_lines(formatter: click.HelpFormatter, title: str, lines: Lines) -> None:
    with formatter.section(title):
        for line in _typed(lines, formatter.width):
            formatter.write(f"{line}\n")


class BookCommand(click.Command):
    """A command whose help ends in lines to type, each with what it does."""

    context_class = _Context

    def __init__(self, *arguments: Any, examples: Lines, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        _write_lines(formatter, "Examples" if len(self.examples) > 1 else "Example", self.examples)


class BookGroup(click.Group):
    """A group whose help teaches, and which suggests the nearest command.

    Args:
        sections: the commands by what they are for; what is in no section comes last.
        first_lines: what to type first, each with what it does.
        exit_codes: what the exit codes mean.
    """

    context_class = _Context
    command_class = BookCommand

    def __init__(
        self,
        *arguments: Any,
        sections: dict[str, tuple[str, ...]],
        first_lines: Lines,
        exit_codes: Lines,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.sections = sections
        self.first_lines = first_lines
        self.exit_codes = exit_codes

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of their sections."""
        return [name for _, names in self._by_section() for name in names]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write lines to begin with, the commands, the options, the exit codes."""
        _write_lines(formatter, "To begin with", self.first_lines)
        for title, names in self._by_section():
            with formatter.section(title):
                # Summaries are wrapped, and not cut off.
                rows = [(name, self.commands[name].get_short_help_str(1000)) for name in names]
                formatter.write_dl(rows)
        click.Command.format_options(self, ctx, formatter)
        with formatter.section("Exit codes"):
            formatter.write_dl(self.exit_codes)

    def _by_section(self) -> list[tuple[str, list[str]]]:
        sorted_in = {name for names in self.sections.values() for name in names}
        found = [
            (title, [name for name in names if name in self.commands])
            for title, names in self.sections.items()
        ]
        found.append(("More", [name for name in self.commands if name not in sorted_in]))
        return [(title, names) for title, names in found if names]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is an error that names the known ones."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            if ctx.resilient_parsing:  # a shell asks; there is nobody to tell
                return None, None, args
            hint = suggest(args[0], self.commands)
            known = ", ".join(self.list_commands(ctx))
            raise click.UsageError(f"no command {args[0]!r}{hint}; the commands are {known}")
        return super().resolve_command(ctx, args)
