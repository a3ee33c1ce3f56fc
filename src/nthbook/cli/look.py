"""The commands that look and change nothing: the chapters, the ledger, a shell's completion."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nthbook.book import Book, UsageError
from nthbook.cli.completion import SHELLS, complete_chapters, completion_script
from nthbook.cli.help import BookCommand
from nthbook.cli.options import known_chapters, profile_option
from nthbook.terminal import echo, problem, width

if TYPE_CHECKING:
    from nthbook.ledger.rows import LedgerRow

RED = 1

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)


@click.command(
    "list",
    cls=BookCommand,
    examples=(
        ("nth list", "the whole book"),
        ("nth list | grep stale", "what would run, and why"),
        ("nth list --profile full", "how long a night's run takes"),
    ),
)
@profile_option
@json_option
def list_chapters(profile: str, as_json: bool) -> None:
    """Show the chapters: running times, what is stale, claims.

    A chapter is stale when its text, its parameters, a module that it imports, the library,
    the lock file or its claims have changed since its last good run.

    A chapter that was run with values of your own is stale here as well: `nth book` would
    bring the book's own back. `nth check` minds only what has changed since that run.

    With --json: {profile, chapters: [{name, source, claims, expected_seconds, last_run,
    stale, reasons, problem}]}. `last_run` is null, or {profile, overrides, started,
    seconds, peak_memory_mb}. `problem` is null, or why the chapter cannot be read, and
    `stale` is then null.
    """
    from nthbook.cli.report import chapter_json, chapter_states, chapter_table

    states = chapter_states(Book.find(), profile)
    echo(chapter_json(states, profile) if as_json else chapter_table(states, width()))


@click.command(
    cls=BookCommand,
    examples=(
        ("nth check", "the ledger, and what is wrong"),
        ("nth check truncation", "of one chapter alone"),
        ("nth check --save before.json", "before a change,"),
        ("nth check --against before.json", "and after it"),
    ),
)
@click.argument("chapters", nargs=-1, metavar="[CHAPTER]...", shell_complete=complete_chapters)
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
@json_option
def check(chapters: tuple[str, ...], against: Path | None, save: Path | None, as_json: bool) -> int:
    """Print the ledger of claims; exit with 1 when it is red.

    Where chapters are named, nothing else is looked at.

    Red are: a theorem, an attained bound or a check that fails; a control that holds, is
    undecided or misses the value registered for it; an unusable measurement, a claim or a
    control without one; and a chapter that never ran, failed or is stale. Expectations that
    fail are counted apart. Checks of exact identities are not counted among the claims.

    With --json: {sound, counts, checks, claims, problems}. `claims` is the site's
    ledger.json, `counts` says how many claims were held, failed, sharpness_failed,
    expectation_failed, undecided, invalid, recorded, unmeasured, `checks` the same of the
    checks, and `problems` are sentences, none when `sound`. With --against: {sound,
    against, compared, agree, problems}.
    """
    from nthbook.ledger.rows import ledger_rows, problems

    book = Book.find()
    names = known_chapters(book, chapters) if chapters else None
    rows = ledger_rows(book, names)
    for other, given in (("--against", against is not None), ("--json", as_json)):
        if given and save is not None:
            raise UsageError(f"{other} and --save exclude each other")
    if against is not None:
        return _compare(rows, against, as_json)
    if save is not None:
        from nthbook.ledger.reference import save_reference

        click.echo(f"{save}: {save_reference(rows, save)} measured claims")
        return 0
    return _report(rows, problems(book, names), as_json)


@click.command(
    cls=BookCommand,
    examples=(
        ('eval "$(nth completion bash)"', "this shell; in ~/.bashrc: every shell"),
        ('eval "$(nth completion zsh)"', "likewise, in ~/.zshrc after compinit"),
        ("nth completion fish | source", "likewise, in ~/.config/fish/config.fish"),
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script with which a shell completes `nth`.

    It completes commands, options and profiles, chapters after `nth run`, and after -p
    the parameters of the chapters named, with the book's values to start from. Bash has to
    be 4.4 or newer.
    """
    click.echo(completion_script(click.get_current_context().find_root().command, shell))


def _report(rows: Sequence["LedgerRow"], found: Sequence[str], as_json: bool) -> int:
    from nthbook.cli.report import ledger_json, ledger_summary, ledger_table

    if as_json:
        echo(ledger_json(rows, found))
        return RED if found else 0
    echo(f"{ledger_table(rows, width())}\n\n{ledger_summary(rows)}")
    if any(row.record is not None and row.record.profile == "smoke" for row in rows):
        echo("At profile smoke numbers are recorded and nothing is judged.")
    for record in {row.record.chapter: row.record for row in rows if row.record}.values():
        if record.overrides:
            values = ", ".join(f"{name}={value}" for name, value in record.overrides.items())
            echo(f"Not the book's own values: {record.chapter} was run with {values}.")
    for sentence in found:
        problem(sentence)
    return RED if found else 0


def _compare(rows: list["LedgerRow"], reference: Path, as_json: bool) -> int:
    from nthbook.cli.report import comparison_json
    from nthbook.ledger.reference import differences

    number, found = differences(rows, reference)
    if as_json:
        echo(comparison_json(str(reference), number, found))
        return RED if found else 0
    for sentence in found:
        problem(sentence)
    echo(f"{number} claims compared with {reference}, {number - len(found)} agree")
    return RED if found else 0


LOOKING: tuple[click.Command, ...] = (list_chapters, check, completion)
