"""Run chapters: text, notebook, papermill, and the result put in place when it is whole."""

import errno
import fcntl
import importlib.metadata
import logging
import os
import platform
import re
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_core.utils import ensure_event_loop
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import write_ipynb

from nthbook.book import Book, UsageError
from nthbook.chapter import is_parameters_cell
from nthbook.run import clean
from nthbook.run.cache import reused_cells
from nthbook.run.jupyter import KernelGuard, RunCancelledError, kernel_manager, peak_memory_mb
from nthbook.run.progress import ChapterProgress
from nthbook.run.record import (
    Failure,
    Record,
    forget_failure,
    read_record,
    write_failure,
    write_run,
    write_whole,
)
from nthbook.run.stale import Request

# What papermill has to say about a failure is said here, once and in one line.
logging.getLogger("papermill").addHandler(logging.NullHandler())

_PACKAGES = ("jax", "jaxlib", "diffrax", "numpy", "scipy", "nthlib")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_PATIENCE = 120  # seconds a busy machine may need to start a kernel or to deliver an output


@dataclass(frozen=True)
class RunSettings:
    """How chapters are run, whatever they compute.

    ``jobs`` chapters run at once; ``force`` bypasses the cache. ``scheduler`` is the address
    of a Dask scheduler for the cells of sweeps, ``cell_timeout`` the seconds that a cell of
    a notebook may take, and ``copy_to`` a folder or an address that papermill can write to,
    where executed notebooks go as well.
    """

    jobs: int = 1
    force: bool = False
    scheduler: str | None = None
    cell_timeout: int | None = None
    copy_to: str | None = None


def run_chapters(requests: Sequence[Request], settings: RunSettings = RunSettings()) -> list[str]:
    """Run chapters and return the names of those that failed.

    A failed chapter leaves its last good output in place and does not stop the others.
    On KeyboardInterrupt all kernels are ended before it is passed on.
    """
    if not requests:
        return []
    with KernelGuard() as guard, ThreadPoolExecutor(max_workers=settings.jobs) as pool:
        futures: dict[str, Future[bool]] = {}
        try:
            for place, request in enumerate(requests):
                run = ChapterRun(request, guard, settings, place % settings.jobs)
                futures[request.chapter.name] = pool.submit(run.execute)
            return [name for name, future in futures.items() if not future.result()]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            guard.end_all()  # the threads end with their kernels
            raise


def expected_seconds(request: Request) -> float | None:
    """Return how long a run may take: as last measured, else as the header says."""
    record = read_record(request.book, request.chapter.name)
    if record is not None and record.parameters == request.values:
        return record.seconds
    return request.chapter.expected.get(request.profile)


@dataclass
class ChapterRun:
    """One run of one chapter."""

    request: Request
    guard: KernelGuard
    settings: RunSettings
    place: int

    def __post_init__(self) -> None:
        self.run_id = uuid.uuid4().hex
        self.started = datetime.now().astimezone()
        self.succeeded = False
        self.peak: float | None = None
        self.current: tuple[int, str] | None = None

    @property
    def book(self) -> Book:
        """The book the chapter belongs to."""
        return self.request.book

    @property
    def name(self) -> str:
        """The chapter's name."""
        return self.request.chapter.name

    @property
    def partial(self) -> Path:
        """Where papermill keeps the notebook while it runs."""
        return self.book.running_dir / f"{self.name}.ipynb"

    def execute(self) -> bool:
        """Run the chapter and put its output in place; say and remember it if it fails."""
        self.started = datetime.now().astimezone()
        try:
            with _locked(self.book, self.name):
                self._run_or_remember()
        except UsageError as error:
            ChapterProgress.say(str(error))
            return False
        return self.succeeded

    def _run_or_remember(self) -> None:
        try:
            self.succeeded = self._run()
        except RunCancelledError:
            pass
        except Exception as error:
            if not self.guard.is_closed:  # else the kernel was ended on purpose
                self._remember(error)

    def _run(self) -> bool:
        _ = self.request.digests  # taken before the run: what changes meanwhile makes it stale
        notebook = self.request.chapter.notebook()
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        self.book.logs_dir.mkdir(parents=True, exist_ok=True)
        cells = sum(cell.cell_type == "code" for cell in notebook.cells)
        expected = expected_seconds(self.request)
        with ChapterProgress(self.name, cells, expected, self.place) as progress:
            executed = self._papermill(notebook, progress)
            progress.reused, progress.swept = self._publish(executed, progress.seconds, cells)
        return self._copy(executed)

    def _papermill(self, notebook: NotebookNode, progress: ChapterProgress) -> NotebookNode:
        log = self.book.logs_dir / f"{self.name}.kernel.log"
        with log.open("w", encoding="utf-8") as kernel_log:
            manager = kernel_manager(self.guard, self.name, self._environment(), kernel_log)

            def note_start(cell: NotebookNode, cell_index: int) -> None:
                if cell.cell_type == "code":
                    self.current = (self._number(cell_index), cell.source)
                    progress.cell_begins(self.current[0])

            def note_memory(**_: Any) -> None:
                if manager.settings.pid is not None:
                    self.peak = peak_memory_mb(manager.settings.pid) or self.peak

            try:
                return papermill.execute_notebook(
                    notebook,
                    # papermill fills braces in a path from the parameters; ours are meant
                    str(self.partial).replace("{", "{{").replace("}", "}}"),
                    parameters=self._injected(),
                    progress_bar=False,
                    start_timeout=_PATIENCE,
                    iopub_timeout=_PATIENCE,
                    execution_timeout=self.settings.cell_timeout,
                    kernel_manager_class=manager,
                    # the kernel's folder; papermill's `cwd` would move this whole process
                    resources={"metadata": {"path": str(self.book.root)}},
                    on_cell_start=note_start,
                    on_cell_executed=note_memory,
                )
            finally:
                if manager.settings.pid is not None:
                    self.guard.end(manager.settings.pid)
                if log.stat().st_size == 0:
                    log.unlink()
                ensure_event_loop().close()  # made for this thread by nbclient, and left open

    def _number(self, index: int) -> int:
        """Count the code cells of the source up to an index in papermill's notebook, from 1."""
        cells = self.request.chapter.notebook().cells
        place = next(i for i, cell in enumerate(cells) if is_parameters_cell(cell))
        if self._injected() and index > place:
            index -= 1  # papermill's own cell follows the parameters cell
        return sum(cell.cell_type == "code" for cell in cells[: index + 1])

    def _environment(self) -> dict[str, str]:
        settings = {
            "NTH_PROFILE": self.request.profile,
            "NTH_CACHE": str(self.book.cache_dir),
            "JAX_COMPILATION_CACHE_DIR": str(self.book.programs_dir),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
            # NumPy's matrices are small here. On a busy machine its threads wait for each other,
            # and spin: an eigh of 200 rows then takes eighty times the work of one thread.
            "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1"),
        }
        if self.request.profile == "smoke":  # tiny runs: compiling takes longer than computing
            settings["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
        if self.settings.force:
            settings["NTH_FORCE"] = "1"
        if self.settings.scheduler:
            settings["NTH_SCHEDULER"] = self.settings.scheduler
        return settings

    def _injected(self) -> dict[str, Any]:
        """Return the parameters that differ from the values in the chapter's own cell."""
        defaults = self.request.chapter.defaults
        return {k: v for k, v in self.request.values.items() if v != defaults[k]}

    def _publish(self, notebook: NotebookNode, seconds: float, cells: int) -> tuple[int, int]:
        """Put the result in place; return how many cells of sweeps were reused, and of how many."""
        noise = clean.strip_stderr(notebook)
        clean.hide_injected_cell(notebook)
        clean.forget_paths(notebook)
        notebook.metadata["nth"] = {
            **notebook.metadata.get("nth", {}),
            "run_id": self.run_id,
            "profile": self.request.profile,
            "parameters": self.request.values,
            "overrides": self.request.overrides,
            "replaced": {k: v for k, v in self._injected().items() if k != "profile"},
        }
        record = self._record(notebook, seconds, cells)
        write_run(self.book, record, nbformat.writes(notebook))
        forget_failure(self.book, self.name)
        if noise:
            write_whole(self.book.logs_dir / f"{self.name}.stderr.log", noise)
        self.partial.unlink(missing_ok=True)
        return reused_cells(noise)

    def _copy(self, notebook: NotebookNode) -> bool:
        """Write the notebook to ``copy_to`` too; where that fails, the run is good all the same."""
        folder = self.settings.copy_to
        if not folder:
            return True
        try:
            if "://" not in folder:
                Path(folder).mkdir(parents=True, exist_ok=True)
            write_ipynb(notebook, f"{folder.rstrip('/')}/{self.name}.ipynb")
        except Exception as error:  # every kind of storage has errors of its own
            reason = " ".join(str(error).split())
            ChapterProgress.say(f"{self.name} ran, but was not copied to {folder}: {reason}")
            return False
        return True

    def _record(self, notebook: NotebookNode, seconds: float, cells: int) -> Record:
        return Record(
            chapter=self.name,
            profile=self.request.profile,
            parameters=self.request.values,
            overrides=self.request.overrides,
            digests=self.request.digests,
            run_id=self.run_id,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            cells=cells,
            peak_memory_mb=None if self.peak is None else round(self.peak, 1),
            versions=versions(),
            verdicts=clean.collect_verdicts(notebook),
        )

    def _remember(self, error: Exception) -> None:
        failure = self._failure(error)
        log = self.book.logs_dir / f"{self.name}.log"
        try:
            write_whole(log, f"{failure.sentence}\n\n{_COLOUR.sub('', str(error))}\n")
            write_failure(self.book, failure)
            if self.partial.is_file():
                os.replace(self.partial, self.book.logs_dir / f"{self.name}.ipynb")
        except OSError:  # what ended the run, as a full disk does, keeps its traceback out too
            ChapterProgress.say(failure.sentence)
        else:
            ChapterProgress.say(f"{failure.sentence}\n  traceback in {log}")

    def _failure(self, error: Exception) -> Failure:
        number, code = self.current or (None, "")
        source = clean.first_line(code)
        if isinstance(error, PapermillExecutionError):
            words = _COLOUR.sub("", f"{error.ename}: {error.evalue}")
        elif isinstance(error, OSError) and error.errno in _NO_ROOM:
            words = f"cannot write to {self.book.build}: {error.strerror}"
        else:
            words = f"{type(error).__name__}: {error}"
        started = self.started.isoformat(timespec="seconds")
        first = words.strip().split("\n")[0].strip().rstrip(":")
        return Failure(self.name, self.request.profile, started, number, source, first)


def versions() -> dict[str, str]:
    """Return the versions that a run's numbers may depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


@contextmanager
def _locked(book: Book, name: str) -> Iterator[None]:
    """Keep a second command from running the same chapter meanwhile.

    The system lifts the lock when the process ends, so a killed run leaves none behind.
    """
    book.running_dir.mkdir(parents=True, exist_ok=True)
    with (book.running_dir / f"{name}.lock").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another command is running the chapter {name}") from error
        yield
