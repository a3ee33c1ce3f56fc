"""Where a run stands: a bar on a terminal, two lines for each chapter in a log or on a dumb one."""

import os
import sys
import threading
import time
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

_BAR = "{bar:20} {desc}"
_SECOND = 1.0


def format_seconds(seconds: float | None) -> str:
    """Return a duration for a person: 0.4 s, 12 s, 3 min 20 s, 2 h 05 min."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


class ChapterProgress:
    """Shows one chapter's run on stderr; ``expected`` is how long it may take, in seconds.

    ``reused`` and ``swept`` say how many cells of its sweeps came from the cache, of how many.
    """

    def __init__(self, name: str, cells: int, expected: float | None, place: int = 0) -> None:
        self.name = name
        self.cells = cells
        self.expected = expected
        self.reused = self.swept = 0
        self._started = time.monotonic()
        self._done = threading.Event()
        self._cell = 0
        self._bar: tqdm[Never] | None = None
        # A bar moves the cursor, which a dumb terminal cannot.
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._bar = tqdm(total=cells, desc=name, bar_format=_BAR, position=place, leave=False)
            # A cell can take minutes, and the time left goes on meanwhile.
            self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._ticker.start()
        else:
            about = f", about {format_seconds(self.expected)}" if self.expected else ""
            self.say(f"{self.name}: started{about}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._bar is not None:
            self._ticker.join()
            self._bar.close()
        if kind is None:
            cells = f", {self.reused} of {self.swept} cells from the cache" if self.reused else ""
            self.say(f"{self.name}: done in {format_seconds(self.seconds)}{cells}")

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def cell_begins(self, number: int) -> None:
        """Note the code cell that runs now, counted from 1."""
        self._cell = number
        if self._bar is not None:
            self._bar.n = number - 1
            self._show()

    @staticmethod
    def say(line: str) -> None:
        """Print a line on stderr without breaking a bar."""
        tqdm.write(line, file=sys.stderr)

    def _time_left(self) -> str:
        if self.expected is None:
            return f"{format_seconds(self.seconds)} so far"
        left = self.expected - self.seconds
        if left < 1:
            return f"{format_seconds(self.seconds)} so far, soon done"
        return f"about {format_seconds(left)} left"

    def _show(self) -> None:
        assert self._bar is not None
        cell = f"cell {self._cell} of {self.cells}" if self._cell else "starting"
        self._bar.set_description_str(f"{self.name}: {cell}, {self._time_left()}")

    def _tick(self) -> None:
        while not self._done.wait(_SECOND):
            self._show()
