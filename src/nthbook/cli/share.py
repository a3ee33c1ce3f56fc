"""The commands that hand the book on: a server for this machine, notebooks in a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nthbook.book import CHAPTERS, Book, UsageError
from nthbook.cli.completion import complete_chapters
from nthbook.cli.help import BookCommand
from nthbook.cli.options import repository_option
from nthbook.parameters import PROFILES, suggest
from nthbook.share.repository import Repository

if TYPE_CHECKING:
    from nthbook.course.export import Piece

_PIECES: tuple["Piece", ...] = ("slides", "handouts", "key")


@click.command(cls=BookCommand, examples=(("nth serve --port 8080", "Ctrl-C ends it"),))
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
def serve(port: int) -> None:
    """Show build/html to browsers on this machine, and to no other."""
    from nthbook.share.server import site_server

    with site_server(Book.find(), port) as server:
        host, chosen = server.server_address[:2]
        click.echo(f"http://{host!s}:{chosen}/ (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo()


@click.command(
    cls=BookCommand,
    examples=(
        ("nth export notebooks", "every chapter as it was last run"),
        ("nth export handout --student", "without solutions, with empty cells for answers"),
        ("nth export small --profile smoke", "with values that run in a minute"),
        ("nth export course --slides --handouts --key", "to teach from; no notebooks"),
        ("nth export session hierarchy --slides", "of one chapter"),
    ),
)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("chapters", nargs=-1, metavar="[CHAPTER]...", shell_complete=complete_chapters)
@click.option(
    "--student", is_flag=True, help="Leave out solutions and outputs; add cells for answers."
)
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    help="Write the values of this profile into the parameters cells, and no outputs.",
)
@repository_option
@click.option("--slides", is_flag=True, help="Write slides of each chapter instead.")
@click.option("--handouts", is_flag=True, help="Write a page of A4 for each chapter instead.")
@click.option("--key", is_flag=True, help="Write the exercises with their solutions instead.")
@click.option(
    "--pdf", "printed", is_flag=True, help="Print slides, handouts or key too (needs Chromium)."
)
@click.option("--force", is_flag=True, help="Overwrite files that stand in DIR.")
def export(
    folder: Path,
    chapters: tuple[str, ...],
    student: bool,
    profile: str | None,
    repository: Repository | None,
    printed: bool,
    force: bool,
    **wanted: bool,
) -> int:
    """Write chapters to DIR as notebooks, with all that they need to run elsewhere.

    All are written where none is named. They are executed where they have run. Beside them
    lies the wheel of nthlib, which a notebook's first cell installs where it is missing.
    Slides, handouts and the key are made from the same chapters; each file is complete in
    itself and opens without a network.
    """
    kinds = [piece for piece in _PIECES if wanted[piece]]
    book = Book.find()
    if printed and not kinds:
        raise UsageError("--pdf prints what is written with --slides, --handouts or --key")
    if kinds:
        if student or profile:
            name = "--student" if student else "--profile"
            raise UsageError(f"{name} is for notebooks, and does not go with --{kinds[0]}")
        return _export_course(book, folder, kinds, chapters=chapters, pdf=printed, force=force)
    from nthbook.share.notebooks import Edition, export_notebooks, exported_pages

    edition = Edition(student=student, profile=profile, repository=repository)
    _check_named(chapters, list(exported_pages(book)))
    for line in export_notebooks(book, folder, edition, chapters=chapters, force=force):
        click.echo(line)
    return 0


def _check_named(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"no chapter {name!r} to export{suggest(name, known)}")


def _export_course(
    book: Book, folder: Path, kinds: list["Piece"], *, chapters: Sequence[str], **how: bool
) -> int:
    from nthbook.course.export import export_course
    from nthbook.share.pdf import PrintError

    pages = book.executed_pages()
    _check_named(chapters, [name for name, page in pages.items() if page.startswith(CHAPTERS)])
    try:
        for line in export_course(book, folder, kinds, chapters=chapters, **how):
            click.echo(line)
    except PrintError as error:
        click.echo(f"nth: {error}", err=True)
        return 1
    return 0


@click.command(
    cls=BookCommand,
    examples=(
        ("nth pdf", "after `nth build`"),
        ("nth pdf book.pdf --paper letter", "elsewhere, on American paper"),
    ),
)
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--paper", type=click.Choice(("a4", "letter")), default="a4", show_default=True)
def pdf(file: Path | None, paper: str) -> int:
    """Print the whole book, as it was last built, as one PDF.

    It goes to FILE, or to build/neural-tangent-hierarchy.pdf. Needs Chromium 131 or newer,
    on the path or named in $CHROMIUM.
    """
    from nthbook.share.pdf import PrintError, print_book

    try:
        printed = print_book(Book.find(), file, paper=paper)
    except PrintError as error:
        click.echo(f"nth: {error}", err=True)
        return 1
    for place in printed.wide:
        click.echo(f"nth: wider than the page: {place}", err=True)
    click.echo(f"{printed.path} ({printed.pages} pages, {printed.size / 1e6:.1f} MB)")
    return 0


# In the order in which `nth --help` lists them.
SHARING: tuple[click.Command, ...] = (serve, export, pdf)
