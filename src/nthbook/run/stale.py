"""Whether a chapter has to run again, told by the content of what its run depended on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nthlib
from nthbook import claims
from nthbook.book import Book, UsageError
from nthbook.chapter import Chapter, load_chapter
from nthbook.parameters import Values
from nthbook.run.record import Record, read_failure, read_record
from nthlib.sweeps.sources import imported_files

LAST_RUN_FAILED = "last run failed"


@dataclass(frozen=True)
class Request:
    """A chapter to be run at a profile, with overrides of its parameters."""

    book: Book
    chapter: Chapter
    profile: str
    overrides: Values

    @cached_property
    def values(self) -> Values:
        """All parameters of the run."""
        return self.chapter.values(self.profile, self.overrides)

    @cached_property
    def digests(self) -> dict[str, Any]:
        """Digests of all that the run's numbers depend on, and of the claims."""
        return {
            "text": _digest(self.chapter.text),
            "parameters": _digest(json.dumps(self.values, sort_keys=True)),
            "library": library_digests(),
            "modules": self._modules(),
            "lock": _digest_file(self.book.root / "requirements.lock"),
            "claims": _digest(_claims_of(self.book, self.chapter.name)),
        }

    def _modules(self) -> dict[str, str]:
        """Digest the modules that the chapter imports and no installed package holds."""
        cells = [cell for cell in self.chapter.notebook().cells if cell.cell_type == "code"]
        # Its kernel runs in the book's folder; a module beside the chapter counts as well.
        beside = (self.book.root, self.book.chapter_path(self.chapter.name).parent)
        found: dict[str, str] = {}
        for cell in cells:
            found |= imported_files(cell.source, beside=beside)
        return {name: digest for name, digest in found.items() if name.split(".")[0] != "nthbook"}

    def reasons(self) -> list[str]:
        """Say why the chapter has to run; empty when its last good run answers the request."""
        name = self.chapter.name
        record = read_record(self.book, name)
        if record is None:
            return ["never ran" if read_failure(self.book, name) is None else LAST_RUN_FAILED]
        changes = [] if read_failure(self.book, name) is None else [LAST_RUN_FAILED]
        if not one_unit(self.book, record):
            changes.append("its notebook is missing or of another run")
        return changes + self._changes_since(record)

    def _changes_since(self, record: Record) -> list[str]:
        old, new = record.digests, self.digests
        changes = []
        if old.get("text") != new["text"]:
            changes.append("text changed")
        if record.profile != self.profile:
            changes.append(f"profile {record.profile}, not {self.profile}")
        elif old.get("parameters") != new["parameters"]:
            changes.append(_changed_parameters(record.parameters, self.values))
        if files := _differing(old.get("library", {}), new["library"]):
            changes.append(f"library changed: {_several(files)}")
        if modules := _differing(old.get("modules", {}), new["modules"]):
            changes.append(f"modules changed: {_several(modules)}")
        if old.get("lock") != new["lock"]:
            changes.append("requirements.lock changed")
        if old.get("claims") != new["claims"]:
            changes.append("claims changed")
        return changes


def make_request(book: Book, name: str, profile: str, overrides: Mapping[str, Any]) -> Request:
    """Load a chapter and check that it can be run so.

    Raises:
        UsageError: when the chapter is malformed or a parameter does not fit it.
    """
    request = Request(book, load_chapter(book, name), profile, dict(overrides))
    _ = request.digests  # finds what is malformed before anything runs
    return request


def reasons_as_recorded(book: Book, name: str) -> list[str]:
    """Say why a chapter is stale at the profile and the overrides of its own last good run."""
    record = read_record(book, name)
    chapter = load_chapter(book, name)
    if record is None:
        return Request(book, chapter, "quick", {}).reasons()
    try:
        return make_request(book, name, record.profile, record.overrides).reasons()
    except UsageError:
        # The chapter no longer has the parameter that its last run was given.
        return Request(book, chapter, record.profile, {}).reasons()


def library_digests() -> dict[str, str]:
    """Digest every source file of nthlib, and the rule by which verdicts are earned.

    Nothing else of nthbook changes a number or a verdict: a figure's colour, say, is drawn anew
    when its chapter next runs.
    """
    package = Path(nthlib.__file__).parent
    sources = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    sources["nthbook/claims.py"] = Path(claims.__file__)
    return {name: _digest_file(path) for name, path in sorted(sources.items())}


def one_unit(book: Book, record: Record) -> bool:
    """Tell whether notebook and record come from the same run."""
    path = book.executed_dir / f"{record.chapter}.ipynb"
    try:
        run_id = json.loads(path.read_text(encoding="utf-8"))["metadata"]["nth"]["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(run_id == record.run_id)


def _claims_of(book: Book, name: str) -> str:
    """Return the chapter's own claims in a canonical form."""
    own = [asdict(claim) for claim in book.claims().values() if claim.chapter == name]
    return json.dumps(own, sort_keys=True)


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _several(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _changed_parameters(old: Values, new: Values) -> str:
    names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return f"parameters changed: {', '.join(names)}" if names else "parameters changed"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"
