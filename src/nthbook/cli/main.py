"""The command ``nth``: run the chapters of a book, build its site, check its claims."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import click

# What parses notebooks or runs kernels is imported by the commands that need it, so that
# `nth --help` answers at once. Nothing here imports JAX.
from nthbook.book import Book, UsageError
from nthbook.cli.completion import complete_chapters, complete_parameters
from nthbook.cli.help import BookGroup
from nthbook.cli.look import LOOKING
from nthbook.cli.options import (
    force_option,
    jobs_option,
    known_chapters,
    profile_option,
    repository_option,
    scheduler_option,
    timeout_option,
)
from nthbook.cli.share import SHARING
from nthbook.parameters import parse_options
from nthbook.terminal import colour, problem

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


SECTIONS = {
    "Run and read": ("list", "book", "run", "build", "serve"),
    "Check": ("check", "bench"),
    "Hand on": ("export", "pdf"),
    "Housekeeping": ("clean", "completion"),
}
FIRST_LINES = (
    ("nth list", "the chapters, and what is stale"),
    ("nth book && nth serve", "run what is stale, then read"),
    ("nth run truncation -p 'widths=[32,64]'", "a chapter with widths of yours"),
    ("nth check", "do the claims hold?"),
)
EXIT_CODES = (
    ("0", "Done; for `nth check`: the book holds together."),
    ("1", "A chapter failed, a page could not be built, or `nth check` is red."),
    ("2", "The command was misused. One line on stderr says what to change."),
    ("130", "Ctrl-C. No kernel is left running."),
)


@click.group(
    cls=BookGroup,
    sections=SECTIONS,
    first_lines=FIRST_LINES,
    exit_codes=EXIT_CODES,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="nthlib", prog_name="nth")
@click.pass_context
def nth(context: click.Context) -> None:
    """Run the chapters of an executable book, build its site, and check its claims.

    Works from anywhere inside the book. Only what is stale runs: a chapter whose text,
    parameters, imported modules, library, lock file or claims have changed since its last
    good run.
    `nth COMMAND --help` explains a command.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@nth.command(
    examples=(
        ("nth run", "all that is stale"),
        ("nth run truncation --profile smoke", "does it run? in a minute"),
        ("nth run truncation -p 'widths=[32,64]'", "with widths of your own"),
    ),
)
@click.argument("chapters", nargs=-1, metavar="[CHAPTER]...", shell_complete=complete_chapters)
@profile_option
@click.option(
    "-p",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Replace a parameter of the chapter, as in -p 'widths=[32,64,128]'. Repeatable.",
    shell_complete=complete_parameters,
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
    and takes from the cache what its sweeps had finished. A claim that is judged and not
    registered, or without a control, is named. The site is not built: that is `nth build`.
    """
    if options and not chapters:
        raise UsageError("-p needs the name of a chapter: parameters belong to one")
    return _run(Book.find(), chapters, profile, options, **settings)


@nth.command(
    examples=(
        ("nth build", "after `nth run`"),
        ("nth build --allow-missing", "before all chapters have run"),
    ),
)
@click.option(
    "--allow-missing", is_flag=True, help="Show chapters that have never run, without results."
)
@repository_option
def build(**options: Any) -> int:
    """Build the site from the chapters as they were last run.

    Runs no chapter. The site is build/html, and its address is printed.
    """
    return _build(Book.find(), **options)


@nth.command(
    "book",
    examples=(
        ("nth book --jobs 2", "two chapters at a time"),
        ("nth book --profile smoke", "all of it quickly; nothing is judged"),
    ),
)
@profile_option
@scheduler_option
@timeout_option
@jobs_option
@force_option
@repository_option
def make_book(profile: str, repository: Any, **settings: Any) -> int:
    """Run all stale chapters, then build the site.

    A chapter that fails is shown as last run, and the command then exits with 1.
    """
    book = Book.find()
    failed = _run(book, (), profile, (), **settings)
    return max(_build(book, repository=repository), failed)


@nth.command(
    examples=(
        ("nth clean", "all of it"),
        ("nth clean --limit 500M", "all but what was used last"),
    ),
)
@click.option(
    "--limit",
    default="0K",
    metavar="SIZE",
    help="Keep what was used last, up to this size, as in 500M.",
)
def clean(limit: str) -> None:
    """Empty the cache of sweeps and programs. Executed chapters, the ledger and the site stay."""
    from nthbook.run.cache import parse_size, shrink_cache

    before, after = shrink_cache(Book.find(), parse_size(limit))
    click.echo(f"cache: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now")


@nth.command(examples=(("nth bench -- --help", "what there is to time"),))
@click.argument("arguments", nargs=-1)
def bench(arguments: tuple[str, ...]) -> int:
    """Time the library against its rivals.

    Runs `python -m benchmarks` in the book's folder, with ARGUMENTS, and exits as that does.
    """
    book = Book.find()
    if not (book.root / "benchmarks" / "__main__.py").is_file():
        raise UsageError("this book has no benchmarks: benchmarks/__main__.py is missing")
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=book.root, check=False).returncode


for command in (*LOOKING, *SHARING):
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
    from nthbook.run.cluster import check_scheduler
    from nthbook.run.stale import make_request

    if scheduler is not None:
        check_scheduler(scheduler)
    overrides = parse_options(options)
    requests = [
        make_request(book, name, profile, overrides) for name in known_chapters(book, names)
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
    from nthbook.ledger.rows import run_problems
    from nthbook.run import cache
    from nthbook.run.execute import RunSettings, run_chapters

    failed = run_chapters(stale, RunSettings(jobs, force, scheduler, timeout, copy_to))
    cache.shrink_cache(book, cache.parse_size(cache.LIMIT))
    for request in stale:
        if request.chapter.name not in failed:
            for sentence in run_problems(book, request.chapter.name):
                problem(sentence)
    if profile == "smoke" and not failed:
        click.echo("At profile smoke numbers are recorded and nothing is judged.")
    return FAILED if failed else 0


def _build(book: Book, **options: Any) -> int:
    from nthbook.site.build import SiteError, build_site

    try:
        page = build_site(book, **options)
    except SiteError as error:
        problem(str(error), "nth:")
        return FAILED
    click.echo(str(page))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; misuse is one line on stderr."""
    try:
        status = nth.main(arguments, prog_name="nth", standalone_mode=False, color=colour())
    except UsageError as error:
        return _misuse(str(error))
    except click.ClickException as error:
        return _misuse(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        click.echo("nth: interrupted; no kernel is left running", err=True)
        return INTERRUPTED
    except OSError as error:
        problem(str(error), "nth:")
        return FAILED
    return status if isinstance(status, int) else 0


def _misuse(message: str) -> int:
    problem(" ".join(message.split()), "nth:")
    return MISUSED


if __name__ == "__main__":
    sys.exit(main())
