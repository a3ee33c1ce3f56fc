"""How much memory a request may take, and what one that needs more is told."""

import os

from nthlib import checks

_MEMORY_SHARE = 0.5
_FALLBACK_MEMORY = 8 * 2**30


def check_memory(needed: int, limit: int | None, alternative: str) -> None:
    """Raise ``MemoryError`` when a request needs more bytes than the limit allows."""
    limit = bytes_allowed(limit)
    if needed > limit:
        raise MemoryError(
            f"this needs about {_as_size(needed)}, over the memory_limit of {_as_size(limit)}; "
            f"try {alternative}"
        )


def bytes_allowed(limit: int | None) -> int:
    """The bytes that a request may take: half of the machine's where the caller sets no limit."""
    if limit is None:
        return int(_MEMORY_SHARE * _physical_memory())
    return checks.whole_number("memory_limit", limit, 1)


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return _FALLBACK_MEMORY


def _as_size(count: float) -> str:
    if count >= 2**60:
        return "over a million TiB"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")
