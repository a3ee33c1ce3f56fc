"""Chapters that hang, run out of memory or meet a full disk, and a clock that jumps."""

import datetime
import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import good_output, processes_in
from tiny_book import pretend_run, write_chapter

from nthbook.cli.main import main
from nthbook.run import execute
from nthbook.run.record import read_failure, read_record

pytestmark = pytest.mark.fault


@pytest.fixture
def ran(book):
    """A book whose chapter alpha has a good output, and that output."""
    pretend_run(book, "alpha")
    return good_output(book)


def test_a_chapter_that_hangs_is_ended(book, ran, capfd):
    write_chapter(book, "alpha", "import time\ntime.sleep(60)")
    began = time.monotonic()
    assert main(["run", "alpha", "--timeout", "1"]) == 1
    assert time.monotonic() - began < 30
    said = capfd.readouterr().err
    sentence = read_failure(book, "alpha").sentence
    assert sentence in said
    assert sentence.startswith("alpha failed in cell 3 (import time): CellTimeoutError")
    assert "after 1 seconds" in sentence
    assert said.count("\n") == 3, "a line at the start, the sentence, and where the traceback is"
    assert processes_in(book.root) == []
    assert good_output(book) == ran


def test_a_chapter_without_memory_says_so(book, ran, capfd):
    code = """
    import resource, re, pathlib
    status = pathlib.Path("/proc/self/status").read_text()
    now = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", status)[1])
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**26, resource.RLIM_INFINITY))
    block = bytearray(2**32)
    """
    write_chapter(book, "alpha", code)
    assert main(["run", "alpha"]) == 1
    said = capfd.readouterr().err
    assert "alpha failed in cell 3 (import resource, re, pathlib): MemoryError" in said
    assert "Traceback" not in said
    assert good_output(book) == ran


DISK = """
set -e
mkdir -p "$NTH_BUILD_DIR"
mount -t tmpfs -o size=300k none "$NTH_BUILD_DIR"
cp -r good/. "$NTH_BUILD_DIR"
head -c "$BALLAST" /dev/zero > "$NTH_BUILD_DIR/ballast" || true
"$PYTHON" -m nthbook.cli.main run alpha && status=0 || status=$?
cp -r "$NTH_BUILD_DIR" after
exit $status
"""
LIMIT = """
set -e
cp -r good "$NTH_BUILD_DIR"
ulimit -f "$BLOCKS"
"$PYTHON" -m nthbook.cli.main run alpha && status=0 || status=$?
cp -r "$NTH_BUILD_DIR" after
exit $status
"""
OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"]


def may_mount() -> bool:
    """Whether this user may mount a disk for one process."""
    if shutil.which("unshare") is None:
        return False
    command = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run_without_room(room: str) -> subprocess.CompletedProcess[str]:
    """Run alpha on a disk of its own, or where that is refused with a bound on files.

    The output is to be found in the folder ``after``.
    """
    # Room for one copy of the executed notebook, and not for the second: 300 K - 150 K.
    sizes = {"none": ("1000000", "1"), "one copy": ("150000", "80")}
    names = ("PYTHON", "NTH_BUILD_DIR", "BALLAST", "BLOCKS")
    values = (sys.executable, str(Path("disk").resolve()), *sizes[room])
    command = [*OWN_MOUNTS, "bash", "-c", DISK] if may_mount() else ["bash", "-c", LIMIT]
    environment = {**os.environ, **dict(zip(names, values, strict=True))}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("room", ["none", "one copy"])
def test_a_full_disk_is_one_sentence(book, ran, room):
    shutil.move(book.build, "good")
    write_chapter(book, "alpha", "print('x' * 90_000)")
    done = run_without_room(room)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if "cannot write to" in line]
    assert sentence.startswith("alpha failed ")
    assert sentence.endswith(("No space left on device", "File too large"))
    assert f"cannot write to {Path('disk').resolve()}" in sentence
    shutil.move("after", book.build)
    assert good_output(book) == ran


def test_notebook_and_record_are_put_in_place_both_or_neither(book, ran, monkeypatch, capfd):
    """The disk fills up when the notebook is written and the record is not."""
    with monkeypatch.context() as patch:
        fill_disk(patch, lambda path: path.parent == book.claims_dir)
        assert main(["run", "alpha", "--force"]) == 1
    said = capfd.readouterr().err
    assert f"cannot write to {book.build}: No space left on device" in said
    assert "Traceback" not in said
    assert good_output(book) == ran
    assert main(["list"]) == 0
    assert "last run failed" in capfd.readouterr().out


def fill_disk(monkeypatch, concerned) -> None:
    """Let files be written in part, and then fail."""
    write = Path.write_text

    def write_half(path, text, **options):
        if not concerned(path):
            return write(path, text, **options)
        write(path, text[: len(text) // 2], **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", write_half)


class BackwardClock:
    """A clock that loses an hour whenever it is read."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        self.now -= 3600.0
        return self.now


def test_a_clock_that_runs_backwards_harms_nothing(book, monkeypatch, capfd):
    clock = BackwardClock()

    class Date(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(clock(), tz)

    with monkeypatch.context() as patch:
        patch.setattr(time, "time", clock)
        patch.setattr(execute, "datetime", Date)
        assert main(["run", "alpha"]) == 0
    assert clock.now < time.time() - 3600.0, "nothing has read the clock"
    record = read_record(book, "alpha")
    assert 0 < record.seconds < 60
    assert main(["list"]) == 0
    assert "up to date" in capfd.readouterr().out
    assert main(["run", "alpha"]) == 0
    assert capfd.readouterr().out == "alpha: up to date\n"


@pytest.mark.parametrize("hours", [-48, 48])
def test_what_the_files_dates_say_makes_nothing_stale(book, ran, hours, capfd):
    then = time.time() + 3600.0 * hours
    for path in book.root.rglob("*"):
        os.utime(path, (then, then))
    assert main(["run", "alpha"]) == 0
    assert capfd.readouterr().out == "alpha: up to date\n"
