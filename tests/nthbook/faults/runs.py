"""Runs of the command in processes of their own, so that a test may do its worst to them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nthbook.book import Book

PATIENCE = 40.0


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start `nth` in the current folder."""
    command = [sys.executable, "-m", "nthbook.cli.main", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Poll until ``condition()`` is true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE} s for {what}"
        time.sleep(0.02)


def kill(process: subprocess.Popen[str]) -> str:
    """SIGKILL a command, which may have just ended; return what it wrote to stderr."""
    process.send_signal(signal.SIGKILL)
    return process.communicate(timeout=PATIENCE)[1]


def processes_in(folder: Path) -> list[int]:
    """Processes, other than this one, whose current folder is ``folder``."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _works_in(entry, folder)
    ]


def _works_in(entry: Path, folder: Path) -> bool:
    try:  # the link of a process that has ended but still has its number cannot be read
        return (entry / "cwd").readlink() == folder.resolve()
    except OSError:
        return False


def good_output(book: Book) -> dict[str, bytes]:
    """The executed notebooks and records, as bytes."""
    folders = (book.executed_dir, book.claims_dir)
    return {path.name: path.read_bytes() for folder in folders for path in folder.glob("*")}


def is_one_line(text: str) -> bool:
    """Whether a message is one line and no traceback."""
    return text.startswith("nth: ") and text.count("\n") == 1 and "Traceback" not in text
