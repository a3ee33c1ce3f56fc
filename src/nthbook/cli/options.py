"""What several commands of ``nth`` share: options, and chapters by name."""

from collections.abc import Sequence

import click

from nthbook.book import CHAPTERS, Book, UsageError
from nthbook.parameters import PROFILES, suggest
from nthbook.share.repository import parse_repository

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
repository_option = click.option(
    "--repository",
    metavar="URL",
    envvar="NTH_REPOSITORY",
    show_envvar=True,
    callback=lambda _context, _option, text: parse_repository(text) if text else None,
    help="The book's repository, https://github.com/OWNER/NAME: where its buttons lead.",
)


def known_chapters(book: Book, names: Sequence[str]) -> list[str]:
    """Return the chapters named, in the order of the book; all where none is named.

    Raises:
        UsageError: naming a chapter that the book does not have.
    """
    known = book.chapter_names()
    for name in names:
        if name not in known:
            source = f"{CHAPTERS}{name}"
            if (book.root / f"{source}.md").is_file():
                raise UsageError(f"no chapter {name!r}: _toc.yml does not name {source} yet")
            hint = suggest(name, known)
            raise UsageError(f"no chapter {name!r}{hint}; the chapters are {', '.join(known)}")
    return [name for name in known if name in names] if names else known
