"""A ledger kept from an earlier day, to compare today's with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nthbook.book import UsageError
from nthbook.claims import Verdict, format_interval
from nthbook.ledger.data import ledger_data
from nthbook.ledger.rows import LedgerRow

_DECIDED = ("holds", "fails")


def save_reference(rows: list[LedgerRow], path: Path) -> int:
    """Write the rows that have been measured to ``path``, as ``ledger.json`` holds them.

    Returns:
        How many there are.
    """
    measured = [row for row in rows if row.verdict is not None]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ledger_data(measured), encoding="utf-8")
    return len(measured)


def differences(rows: list[LedgerRow], path: Path) -> tuple[int, list[str]]:
    """Compare the ledger with a reference.

    A measurement disagrees when its interval and the reference's do not meet, when one holds
    and the other fails, or when it is no interval at all. A number that was computed once, such
    as a defect, has no interval: there the claim's margin is allowed. Claims that only one of
    the two has measured are left out.

    Returns:
        How many claims were compared, and a sentence for each that disagrees.

    Raises:
        UsageError: when the file is not such a reference, or has no claim in common.
    """
    known = _read(path)
    pairs = [
        (row.verdict, known[row.claim.id], row.claim.margin)
        for row in rows
        if row.verdict is not None and row.claim.id in known
    ]
    if not pairs:
        raise UsageError(f"--against {path}: no claim in it has been measured here")
    return len(pairs), [sentence for pair in pairs for sentence in _disagreement(*pair)]


def _disagreement(now: Verdict, then: dict[str, Any], margin: float) -> Iterator[str]:
    pair = {now.outcome, then["outcome"]}
    single = now.low == now.high or then["low"] == then["high"]
    gap = max(now.low - then["high"], then["low"] - now.high)
    apart = gap > (margin if single else 0.0)
    if now.outcome == "invalid" or apart or pair == set(_DECIDED):
        yield (
            f"claim {now.id}: {now.outcome} at "
            f"{format_interval(now.value, now.low, now.high)}, but in the reference "
            f"{then['outcome']} at {format_interval(then['value'], then['low'], then['high'])}"
        )


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        measured = {row["id"]: row["measured"] for row in rows if row["measured"]}
        # An invalid measurement has no bounds to compare with.
        found = {key: entry for key, entry in measured.items() if entry["outcome"] != "invalid"}
        for entry in found.values():
            if not all(isinstance(entry[key], float | int) for key in ("value", "low", "high")):
                raise TypeError("a bound is not a number")
            if not isinstance(entry["outcome"], str):
                raise TypeError("an outcome is not a word")
        return found
    except OSError as error:
        raise UsageError(f"--against {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"--against {path} is not a ledger written by --save") from error
