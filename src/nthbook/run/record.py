"""What is kept of a chapter's runs: the last good one, and a failure that came after it."""

import json
import math
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from nthbook.book import Book
from nthbook.claims import CLAIM_WORDS, CONTROL_WORDS, Verdict


@dataclass(frozen=True)
class Record:
    """The last good run of a chapter, as ``build/claims/NAME.json`` holds it.

    ``parameters`` are all values the run used, ``overrides`` those given with ``-p``.
    ``digests`` says what the run depended on (see :mod:`~nthbook.run.stale`).
    ``run_id`` also stands in the executed notebook: the two files are one unit.
    ``verdicts`` are dicts of a :class:`~nthbook.claims.Verdict` with ``cell``, the index of
    the cell in the executed notebook that displayed it.
    """

    chapter: str
    profile: str
    parameters: dict[str, Any]
    overrides: dict[str, Any]
    digests: dict[str, Any]
    run_id: str
    started: str
    seconds: float
    cells: int
    peak_memory_mb: float | None
    versions: dict[str, str]
    verdicts: list[dict[str, Any]]

    def verdict(self, entry: dict[str, Any]) -> Verdict:
        """Turn one of ``verdicts`` into an object; None stands for a number that was not finite."""
        values: dict[str, Any] = {field.name: entry.get(field.name) for field in fields(Verdict)}
        for name in ("value", "low", "high"):
            values[name] = math.nan if values[name] is None else values[name]
        if values["outcome"] not in (CONTROL_WORDS if values["control"] else CLAIM_WORDS):
            values["outcome"] = "invalid"
        return Verdict(**values)


@dataclass(frozen=True)
class Failure:
    """A run that raised; kept in ``build/logs/NAME.json`` until a run succeeds."""

    chapter: str
    profile: str
    started: str
    cell: int | None
    source: str
    error: str

    @property
    def sentence(self) -> str:
        """Chapter, cell and error in one line."""
        where = "before its first cell" if self.cell is None else f"in cell {self.cell}"
        source = f" ({self.source})" if self.source else ""
        return f"{self.chapter} failed {where}{source}: {self.error}"


Kept = TypeVar("Kept", Record, Failure)


def read_record(book: Book, name: str) -> Record | None:
    """Read the record of a chapter's last good run; None if there is none that can be read."""
    return _read(Record, book.claims_dir / f"{name}.json")


def read_failure(book: Book, name: str) -> Failure | None:
    """Read the failure of a chapter's last run; None if that run did not fail."""
    return _read(Failure, book.logs_dir / f"{name}.json")


def write_record(book: Book, record: Record) -> None:
    """Put a record in place, whole."""
    write_whole(book.claims_dir / f"{record.chapter}.json", _dump(record))


def write_run(book: Book, record: Record, notebook: str) -> None:
    """Put a good run's notebook and record in place: both, or on a full disk neither."""
    _write_together(
        {
            book.executed_dir / f"{record.chapter}.ipynb": notebook,
            book.claims_dir / f"{record.chapter}.json": _dump(record),
        }
    )


def write_failure(book: Book, failure: Failure) -> None:
    """Remember a failure until the chapter's next good run."""
    write_whole(book.logs_dir / f"{failure.chapter}.json", _dump(failure))


def forget_failure(book: Book, name: str) -> None:
    """Remove what an earlier failure left in the logs."""
    for suffix in (".json", ".log", ".ipynb"):
        (book.logs_dir / f"{name}{suffix}").unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, never sees half of it."""
    _write_together({path: text})


def _write_together(texts: dict[Path, str]) -> None:
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in texts}
    for path in texts:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        for path, text in texts.items():
            temporary[path].write_text(text, encoding="utf-8")
        for path, written in temporary.items():
            written.replace(path)
    finally:  # half a file would fill a full disk further
        for written in temporary.values():
            written.unlink(missing_ok=True)


def _dump(kept: Record | Failure) -> str:
    return json.dumps(asdict(kept), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _read(kind: type[Kept], path: Path) -> Kept | None:
    try:
        return kind(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        # Absent, or written by another version of the pipeline: the chapter runs again.
        return None
