"""Kernels that end with the command that started them, whatever ends it."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from nthbook.run import watchdog


class RunCancelledError(Exception):
    """The run was interrupted; nothing is wrong with the chapter."""


class KernelGuard:
    """Knows the kernels of one command and ends them; a watchdog process does if it cannot.

    A kernel leads a process group of its own, which its worker processes share. ``folder``
    holds the kernels' sockets and connection files and goes with the guard.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nth-"))
        self._groups: set[int] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__, str(self.folder)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal must not reach it first
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end_all()
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, group: int) -> None:
        """Watch over a kernel that has just started.

        Raises:
            RunCancelledError: when the command is already ending; the kernel is ended at once.
        """
        with self._lock:
            if self._closed:
                _kill(group)
                raise RunCancelledError
            self._groups.add(group)
            self._tell("+", group)

    def end(self, group: int) -> None:
        """End what is left of a kernel's process group."""
        with self._lock:
            if group in self._groups:
                _kill(group)
                self._groups.discard(group)
                self._tell("-", group)

    def end_all(self) -> None:
        """End all kernels, and any that is still to start."""
        with self._lock:
            self._closed = True
        for group in list(self._groups):
            self.end(group)

    @property
    def is_closed(self) -> bool:
        """True once the command is ending."""
        return self._closed

    def _tell(self, sign: str, group: int) -> None:
        assert self._watchdog.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # someone killed the watchdog
            self._watchdog.stdin.write(f"{sign} {group}\n")
            self._watchdog.stdin.flush()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def kernel_manager(
    guard: KernelGuard, name: str, env: dict[str, str], log: Any
) -> type["GuardedKernel"]:
    """Return the class of a chapter's kernel manager; nbclient makes the instance."""

    class ChapterKernel(GuardedKernel):
        settings = _Settings(guard, name, env, log)

    return ChapterKernel


class _Settings:
    def __init__(self, guard: KernelGuard, name: str, env: dict[str, str], log: Any) -> None:
        self.guard, self.name, self.env, self.log = guard, name, env, log
        self.pid: int | None = None


class GuardedKernel(AsyncKernelManager):  # type: ignore[misc]
    """A kernel of this very interpreter, spoken to through sockets in the guard's folder.

    Sockets in the file system know no port that another program could take first, and
    nobody else on the machine can read them.
    """

    settings: _Settings

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        folder = self.settings.guard.folder
        self.transport = "ipc"
        self.ip = str(folder / self.settings.name)
        self.connection_file = str(folder / f"{self.settings.name}.json")
        # No folder of kernels is searched: a `python3` that another environment has
        # installed for the user must not run the chapter.
        self.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])

    async def start_kernel(self, **kwargs: Any) -> None:
        """Start the kernel and put it under guard."""
        settings = self.settings
        # A folder of settings of its own: a reader's IPython start-up files are not the book's.
        ipython = {"IPYTHONDIR": str(settings.guard.folder / "ipython")}
        env = {**os.environ, **ipython, **settings.env}
        await super().start_kernel(env=env, stdout=settings.log, stderr=settings.log, **kwargs)
        settings.pid = self.provisioner.pid
        settings.guard.add(self.provisioner.pid)


def peak_memory_mb(pid: int) -> float | None:
    """Return a process's highest resident memory so far; off Linux only the present one."""
    status = Path(f"/proc/{pid}/status")
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"), re.MULTILINE)
    except FileNotFoundError:
        ps = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True)
        found = re.search(r"(\d+)", ps.stdout)
    except OSError:  # the process has just ended
        found = None
    return None if found is None else int(found[1]) / 1024
