"""The ledger as data, for programs."""

import json
from collections.abc import Iterable
from typing import Any

from nthbook.ledger.cards import place
from nthbook.ledger.rows import LedgerRow


def ledger_data(rows: Iterable[LedgerRow]) -> str:
    """The ledger as JSON text, for programs."""
    return json.dumps([_row_data(row) for row in rows], indent=2, ensure_ascii=False) + "\n"


def _row_data(row: LedgerRow) -> dict[str, Any]:
    claim = {**vars(row.claim)}
    run = row.record and {
        key: getattr(row.record, key)
        for key in ("profile", "overrides", "started", "seconds", "peak_memory_mb")
    }
    return {
        **claim,
        "page": place(row),
        "control_page": place(row, control=True),
        "measured": row.verdict and row.verdict.as_dict(),
        "control_measured": row.control and row.control.as_dict(),
        "run": run,
    }
