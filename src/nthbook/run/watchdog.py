"""A small process that outlives ``nth run`` long enough to end its kernels.

It reads lines from a pipe whose other end ``nth`` holds: ``+ GROUP`` when a kernel has
started, ``- GROUP`` when it has ended. The pipe closes when ``nth`` ends, however it ends;
then every process group still listed is killed, and the folder named as argument removed.
A kernel's own check (is my parent process 1?) fails where orphans get another parent, and
worker processes of a kernel have none. Run as a script, so that it imports almost nothing.
"""

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path


def main() -> None:
    """Follow the list of kernels until the pipe closes, then end those that remain."""
    folder = sys.argv[1]
    groups: set[int] = set()
    for line in sys.stdin:
        sign, _, group = line.partition(" ")
        if line.endswith("\n"):  # half a line could name another process
            (groups.add if sign == "+" else groups.discard)(int(group))
    for group in groups | set(unlisted_groups(folder)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def unlisted_groups(folder: str) -> Iterator[int]:
    """Yield the groups of kernels that started as ``nth`` ended, before it could say so.

    Their command line names a file in ``folder``. Only where /proc exists.
    """
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            pid = int(path.parent.name)
            if f"{folder}/".encode() in path.read_bytes() and pid != os.getpid():
                yield os.getpgid(pid)


if __name__ == "__main__":
    main()
