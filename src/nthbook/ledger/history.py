"""What was registered stays as it was registered; claims that gave way to others, and why.

``book/reference/registry.json`` keeps the design of every claim as it was when it was first
registered: what is measured, prediction, margin, rival, relation, and the value of its control. A
claim whose design has to change gets a new id, and its old entry moves, with its last verdict, to
``book/superseded.toml``. ``make register`` adds what is new and changes nothing that is there.
"""

import json
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nthbook.book import Book, UsageError
from nthbook.claims import CLAIM_WORDS, DESIGN, Claim, Verdict, parse_claim

History = dict[str, dict[str, Any]]

_OWN = ("replaced_by", "reason", "last")
_LAST = ("value", "low", "high", "outcome", "profile", "date")


@dataclass(frozen=True)
class Superseded:
    """A claim that another one has replaced, as it was registered.

    ``last`` is its last verdict, of a run on ``date`` (YYYY-MM-DD). ``replaced_by`` are the ids of
    the claims in its place, none where it was given up.
    """

    claim: Claim
    last: Verdict
    date: str
    reason: str
    replaced_by: tuple[str, ...]


def superseded(book: Book) -> list[Superseded]:
    """Read ``book/superseded.toml``; empty where there is none.

    Raises:
        UsageError: naming the claim and the field that is missing, unknown or out of range.
    """
    path = book.root / "book" / "superseded.toml"
    if not path.is_file():
        return []
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("superseded", [])
        return [_parse(entry) for entry in entries]
    except ValueError as error:
        raise UsageError(f"book/superseded.toml: {' '.join(str(error).split())}") from error


def _parse(entry: dict[str, Any]) -> Superseded:
    claim = parse_claim({key: value for key, value in entry.items() if key not in _OWN})
    if missing := sorted({"reason", "last"} - entry.keys()):
        raise ValueError(f"superseded claim {claim.id!r} lacks {', '.join(missing)}")
    last = entry["last"]
    if set(last) != set(_LAST):
        raise ValueError(f"superseded claim {claim.id!r}: last must have {', '.join(_LAST)}")
    if last["outcome"] not in CLAIM_WORDS:
        raise ValueError(f"superseded claim {claim.id!r}: {last['outcome']!r} is no outcome")
    value, low, high = (float(last[key]) for key in ("value", "low", "high"))
    outcome, profile = last["outcome"], last["profile"]
    verdict = Verdict(claim.id, False, value, low, high, outcome, profile, claim.design)
    replaced_by = entry.get("replaced_by", [])
    names = [replaced_by] if isinstance(replaced_by, str) else replaced_by
    return Superseded(claim, verdict, str(last["date"]), entry["reason"], tuple(names))


def read_history(book: Book) -> History:
    """The designs as first registered, by id; empty where nothing is kept."""
    path = _path(book)
    history: History = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return history


def breaches(
    claims: Mapping[str, Claim], gone: Iterable[Superseded], history: History
) -> list[str]:
    """List the sentences in which a registry breaks with its history; none when it is sound.

    A value that is registered for a control later than its claim is no breach: it asks for more.
    """
    past = {old.claim.id: old for old in gone}
    found = [
        f"claim {name} stands among the superseded ones too" for name in past if name in claims
    ]
    for old in past.values():
        found += [
            f"claim {old.claim.id} is replaced by {name}, which is not registered"
            for name in old.replaced_by
            if name not in claims and name not in past
        ]
    known = {**{name: old.claim for name, old in past.items()}, **claims}
    for name, registered in history.items():
        if name not in known:
            found.append(f"claim {name} has vanished; move it to book/superseded.toml")
        elif changed := _changed(known[name], registered):
            found.append(f"claim {name} was registered with another {', '.join(changed)}")
    found += [f"claim {name} is not in {_NAME}: make register" for name in known.keys() - history]
    return sorted(found)


def _changed(claim: Claim, registered: Mapping[str, Any]) -> list[str]:
    return [
        key
        for key in DESIGN
        if getattr(claim, key) != registered.get(key)
        and not (key.startswith("control_") and registered.get(key) is None)
    ]


def extended(history: History, claims: Iterable[Claim]) -> History:
    """The history with what is new in it, by id; what is there stays as it is."""
    longer = {name: dict(registered) for name, registered in history.items()}
    for claim in claims:
        registered = longer.setdefault(claim.id, {key: getattr(claim, key) for key in DESIGN})
        for key in DESIGN:
            if key.startswith("control_") and registered.get(key) is None:
                registered[key] = getattr(claim, key)
    return dict(sorted(longer.items()))


def history_text(history: History) -> str:
    """The file: a claim a line, so that two branches that add claims rarely meet."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(registered, ensure_ascii=False)}"
        for name, registered in history.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


_NAME = "book/reference/registry.json"


def _path(book: Book) -> Path:
    return book.root / _NAME


def main() -> int:
    """Add to the kept history what the registry has and it lacks."""
    book = Book.find()
    history, gone = read_history(book), superseded(book)
    longer = extended(history, [*book.claims().values(), *(old.claim for old in gone)])
    _path(book).write_text(history_text(longer), encoding="utf-8")
    found = breaches(book.claims(), gone, longer)
    print(
        f"{_NAME}: {len(longer)} claims, {len(longer) - len(history)} of them new", *found, sep="\n"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
