"""The options of the command ``nth`` that several of its commands share."""

import click

from .parameters import PROFILES, suggest

profile_option = click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="quick",
    show_default=True,
    help="How much to compute: smoke is small and judges nothing, full takes a night.",
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Run N chapters at once.",
)
force_option = click.option(
    "--force", is_flag=True, help="Run even what is up to date, and bypass the cache of sweeps."
)


scheduler_option = click.option(
    "--scheduler",
    metavar="tcp://HOST:PORT",
    help="Run the cells of sweeps on the workers of this Dask scheduler.",
)
timeout_option = click.option(
    "--timeout",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="End a chapter of which one cell takes longer.",
)


class BookGroup(click.Group):
    """A group that suggests the nearest command, and lists commands in reading order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they were defined."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is an error that names the known ones."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            hint = suggest(args[0], self.commands)
            known = ", ".join(self.commands)
            raise click.UsageError(f"no command {args[0]!r}{hint}; the commands are {known}")
        return super().resolve_command(ctx, args)
