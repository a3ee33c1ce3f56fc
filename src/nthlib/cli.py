"""The command ``nth``: run the chapters of a book, build its site, check its claims."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

# What parses notebooks or runs kernels is imported by the commands that need it, so that
# `nth --help` answers at once. Nothing here imports JAX.
from nthlib.cli_sharing import SHARING
from nthlib.pipeline.book import Book, UsageError
from nthlib.pipeline.options import (
    BookGroup,
    force_option,
    jobs_option,
    profile_option,
    scheduler_option,
    timeout_option,
)
from nthlib.pipeline.parameters import parse_options, suggest

if TYPE_CHECKING:
    from nthlib.pipeline.ledger import LedgerRow

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


@click.group(
    cls=BookGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="nthlib", prog_name="nth")
@click.pass_context
def nth(context: click.Context) -> None:
    """Run the chapters of an executable book, build its site, and check its claims.

    Work from anywhere inside the book. A first look: `nth book`, then `nth serve`. After a
    change, `nth book` again runs only the chapters that the change concerns.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@nth.command("list")
@profile_option
def list_chapters(profile: str) -> None:
    """Show the chapters, their claims, their running times, and whether they are stale.

    A chapter is stale when its text, its parameters, the library, the lock file or its
    claims have changed since its last good run.
    """
    from nthlib.pipeline.report import chapter_table

    click.echo(chapter_table(Book.find(), profile))


@nth.command()
@click.argument("chapters", nargs=-1, metavar="[CHAPTER]...")
@profile_option
@click.option(
    "-p",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Replace a parameter of the chapter, as in -p widths=[32,64,128]. Repeatable.",
)
@click.option(
    "--copy-to",
    metavar="FOLDER",
    help="Write executed notebooks there too: a folder, or an address papermill can write to.",
)
@scheduler_option
@timeout_option
@jobs_option
@force_option
def run(chapters: tuple[str, ...], profile: str, options: tuple[str, ...], **settings: Any) -> int:
    """Run chapters that are stale; all of them when none is named.

    A chapter that fails keeps its last good output; a chapter that is killed starts again
    and takes from the cache what its sweeps had finished. The site is not built: that is
    `nth build`.
    """
    if options and not chapters:
        raise UsageError("-p needs the name of a chapter: parameters belong to one")
    return _run(Book.find(), chapters, profile, options, **settings)


@nth.command()
@click.option(
    "--allow-missing", is_flag=True, help="Show chapters that have never run, without results."
)
def build(allow_missing: bool) -> int:
    """Build the site in build/html from the chapters as they were last run.

    Runs no chapter.
    """
    return _build(Book.find(), allow_missing)


@nth.command("book")
@profile_option
@scheduler_option
@timeout_option
@jobs_option
@force_option
def make_book(profile: str, **settings: Any) -> int:
    """Run all stale chapters, then build the site.

    A chapter that fails is shown as last run, and the command then exits with 1.
    """
    book = Book.find()
    failed = _run(book, (), profile, (), **settings)
    return max(_build(book), failed)


@nth.command()
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compare the measurements with those of a ledger kept in FILE, and nothing else.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep the measured claims in FILE, for --against.",
)
def check(against: Path | None, save: Path | None) -> int:
    """Print the ledger of claims; exit with 1 when the book does not hold together.

    Red are: a theorem that fails, a control that holds, an unusable measurement, a claim
    or a control without one, and a chapter that never ran, failed or is stale.
    Expectations that fail are counted apart.
    """
    from nthlib.pipeline.ledger import ledger_rows, problems
    from nthlib.pipeline.report import ledger_summary, ledger_table

    book = Book.find()
    rows = ledger_rows(book)
    if against is not None and save is not None:
        raise UsageError("--against and --save exclude each other")
    if against is not None:
        return _compare(rows, against)
    if save is not None:
        from nthlib.pipeline.reference import save_reference

        click.echo(f"{save}: {save_reference(rows, save)} measured claims")
        return 0
    click.echo(f"{ledger_table(rows)}\n\n{ledger_summary(rows)}")
    if any(row.record is not None and row.record.profile == "smoke" for row in rows):
        click.echo("At profile smoke numbers are recorded and nothing is judged.")
    for record in {row.record.chapter: row.record for row in rows if row.record}.values():
        if record.overrides:
            values = ", ".join(f"{name}={value}" for name, value in record.overrides.items())
            click.echo(f"Not the book's own values: {record.chapter} was run with {values}.")
    found = problems(book)
    for sentence in found:
        click.echo(f"problem: {sentence}", err=True)
    return FAILED if found else 0


@nth.command()
@click.option(
    "--limit",
    default="0K",
    metavar="SIZE",
    help="Keep what was used last, up to this size, as in 500M.",
)
def clean(limit: str) -> None:
    """Empty the cache of sweeps. Executed chapters, the ledger and the site stay."""
    from nthlib.pipeline.cache import parse_size, shrink_cache

    before, after = shrink_cache(Book.find(), parse_size(limit))
    click.echo(f"cache: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now")


@nth.command()
@click.argument("arguments", nargs=-1)
def bench(arguments: tuple[str, ...]) -> int:
    """Time the library against its rivals (`python -m benchmarks` in the book's folder)."""
    book = Book.find()
    if not (book.root / "benchmarks" / "__main__.py").is_file():
        raise UsageError("this book has no benchmarks: benchmarks/__main__.py is missing")
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=book.root, check=False).returncode


for command in SHARING:
    nth.add_command(command)


def _run(
    book: Book,
    names: Sequence[str],
    profile: str,
    options: Sequence[str],
    *,
    jobs: int,
    force: bool,
    scheduler: str | None = None,
    timeout: int | None = None,
    copy_to: str | None = None,
) -> int:
    from nthlib.pipeline.cluster import check_scheduler
    from nthlib.pipeline.staleness import make_request

    if scheduler is not None:
        check_scheduler(scheduler)
    overrides = parse_options(options)
    requests = [
        make_request(book, name, profile, overrides) for name in _known_chapters(book, names)
    ]
    stale = []
    for request in requests:
        reasons = request.reasons()
        if reasons or force:
            stale.append(request)
            click.echo(f"{request.chapter.name}: runs ({', '.join(reasons) or 'forced'})")
        else:
            click.echo(f"{request.chapter.name}: up to date")
    if not stale:
        return 0
    from nthlib.pipeline import cache
    from nthlib.pipeline.execution import RunSettings, run_chapters

    failed = run_chapters(stale, RunSettings(jobs, force, scheduler, timeout, copy_to))
    cache.shrink_cache(book, cache.parse_size(cache.LIMIT))
    if profile == "smoke" and not failed:
        click.echo("At profile smoke numbers are recorded and nothing is judged.")
    return FAILED if failed else 0


def _compare(rows: list["LedgerRow"], reference: Path) -> int:
    from nthlib.pipeline.reference import differences

    number, found = differences(rows, reference)
    for sentence in found:
        click.echo(f"problem: {sentence}", err=True)
    click.echo(f"{number} claims compared with {reference}, {number - len(found)} agree")
    return FAILED if found else 0


def _known_chapters(book: Book, names: Sequence[str]) -> list[str]:
    known = book.chapter_names()
    for name in names:
        if name not in known:
            hint = suggest(name, known)
            raise UsageError(f"no chapter {name!r}{hint}; the chapters are {', '.join(known)}")
    return [name for name in known if name in names] if names else known


def _build(book: Book, allow_missing: bool = False) -> int:
    from nthlib.pipeline.site import SiteError, build_site

    try:
        page = build_site(book, allow_missing=allow_missing)
    except SiteError as error:
        click.echo(f"nth: {error}", err=True)
        return FAILED
    click.echo(str(page))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; misuse is one line on stderr."""
    try:
        status = nth.main(arguments, prog_name="nth", standalone_mode=False)
    except UsageError as error:
        return _misuse(str(error))
    except click.ClickException as error:
        return _misuse(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        click.echo("nth: interrupted; no kernel is left running", err=True)
        return INTERRUPTED
    except OSError as error:
        click.echo(f"nth: {error}", err=True)
        return FAILED
    return status if isinstance(status, int) else 0


def _misuse(message: str) -> int:
    click.echo(f"nth: {' '.join(message.split())}", err=True)
    return MISUSED


if __name__ == "__main__":
    sys.exit(main())
