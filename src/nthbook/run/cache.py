"""The cache of finished cells and of compiled programs, kept within bounds."""

import re
import shutil
from pathlib import Path

import joblib

from nthbook.book import Book, UsageError

LIMIT = "2G"

_SIZE = re.compile(r"(\d+)\s*([KMG])B?", re.IGNORECASE)
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}
_REUSED = re.compile(r"^.*: (\d+) of (\d+) cells from the cache$", re.MULTILINE)


def parse_size(text: str) -> int:
    """Bytes of a size such as "500M" or "2G".

    Raises:
        UsageError: when it is not a number with K, M or G.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"a size must be a number with K, M or G, as in 500M, got {text!r}")
    return int(match[1]) * _UNITS[match[2].upper()]


def shrink_cache(book: Book, limit: int) -> tuple[int, int]:
    """Remove programs, and then the cells unused for longest, until the rest fits ``limit`` bytes.

    Returns:
        The size of the cache in bytes, before and after.
    """
    before = _size(book.cache_dir)
    if before > limit:
        # Compiled again in seconds, and a tenth of the room holds those of the whole book.
        shutil.rmtree(book.programs_dir, ignore_errors=True)
        joblib.Memory(book.cache_dir, verbose=0).reduce_size(bytes_limit=limit)
    return before, _size(book.cache_dir)


def reused_cells(noise: str) -> tuple[int, int]:
    """Count, in what a chapter wrote to stderr, the cells from the cache and all cells."""
    found = [(int(known), int(number)) for known, number in _REUSED.findall(noise)]
    return sum(known for known, _ in found), sum(number for _, number in found)


def _size(folder: Path) -> int:
    sizes = []
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size if path.is_file() else 0)
        except FileNotFoundError:  # another command has just removed it
            continue
    return sum(sizes)
