"""Runs with real kernels: what is put in place, what stays, and what a killed run leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from tiny_book import write_chapter

from nthbook.book import Book
from nthbook.cli.main import main
from nthbook.ledger.rows import ledger_rows
from nthbook.run.record import read_failure, read_record

PATIENCE = 30.0


def wait_for(condition, what: str):
    """Poll until ``condition()`` is true and return its value."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Where nobody reaps orphans, a dead process keeps its number.
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")


def outputs_of(book: Book) -> dict[str, bytes]:
    folders = (book.executed_dir, book.claims_dir)
    return {p.name: p.read_bytes() for folder in folders for p in folder.iterdir()}


def test_a_run_puts_notebook_and_record_in_place_and_a_second_runs_nothing(book, capfd):
    assert main(["run", "--jobs", "2"]) == 0
    record = read_record(book, "alpha")
    notebook = nbformat.read(book.executed_dir / "alpha.ipynb", as_version=4)

    assert notebook.metadata["nth"]["run_id"] == record.run_id
    assert notebook.metadata["nth"]["expected"] == {"smoke": 1, "quick": 2}
    assert "papermill" not in notebook.metadata
    assert str(book.root) not in json.dumps(notebook)
    assert record.profile == "quick"
    assert record.parameters == {"profile": "quick", "widths": [16, 32], "seeds": 4, "scale": 1.0}
    assert record.overrides == {}
    assert record.cells == 3
    assert 0 < record.seconds < PATIENCE
    assert 10 < record.peak_memory_mb < 10_000
    assert record.started[10] == "T"
    assert record.started[-6] in "+-"
    assert set(record.versions) >= {"python", "platform", "jax", "numpy", "nthlib"}
    assert [verdict["outcome"] for verdict in record.verdicts] == ["holds", "fails"]
    for verdict in record.verdicts:
        assert 'judge("one"' in notebook.cells[verdict["cell"]].source
    assert [row.verdict.outcome for row in ledger_rows(book)] == ["holds", "holds"]
    assert list(book.running_dir.glob("*.ipynb")) == []

    out, err = capfd.readouterr()
    assert "alpha: runs (never ran)" in out
    assert sorted(line.split(" in ")[0] for line in err.splitlines()) == [
        "alpha: done",
        "alpha: started, about 2.0 s",
        "beta: done",
        "beta: started, about 2.0 s",
    ]

    before = outputs_of(book)
    assert main(["run"]) == 0
    assert capfd.readouterr() == ("alpha: up to date\nbeta: up to date\n", "")
    assert outputs_of(book) == before
    assert main(["check"]) == 0


def test_overrides_reach_the_kernel_and_the_page_says_so(book, capfd):
    command = ["run", "alpha", "--profile", "smoke", "-p", "seeds=9", "-p", "scale=1e-6"]
    assert main(command) == 0
    assert "At profile smoke numbers are recorded and nothing is judged." in capfd.readouterr().out
    notebook = nbformat.read(book.executed_dir / "alpha.ipynb", as_version=4)
    injected = notebook.cells[2]
    assert "remove-cell" in injected.metadata.tags
    assert notebook.cells[-1].outputs[-1].text == "smoke [16] 9 1e-06\n"
    assert notebook.metadata["nth"]["overrides"] == {"seeds": 9, "scale": 1e-6}
    record = read_record(book, "alpha")
    assert [verdict["profile"] for verdict in record.verdicts] == ["smoke", "smoke"]
    assert record.verdicts[0]["cell"] == 4  # counted with the injected cell
    assert main(["list"]) == 0
    assert "stale: profile smoke, not quick" in capfd.readouterr().out


def test_the_kernel_finds_its_surroundings(book, capfd):
    write_chapter(
        book,
        "alpha",
        """
        import pathlib, sys
        print(pathlib.Path.cwd())
        print(os.environ["NTH_CACHE"])
        print(os.environ.get("NTH_FORCE"))
        print(sys.executable)
        print("0%|    | 0/3", file=sys.stderr)
        import warnings
        warnings.warn("rows of X coincide")
        """,
    )
    assert main(["run", "alpha", "--force"]) == 0
    notebook = nbformat.read(book.executed_dir / "alpha.ipynb", as_version=4)
    stdout, stderr = notebook.cells[-1].outputs
    cache = str(book.cache_dir)
    assert stdout.text.split("\n")[:4] == [str(book.root), cache, "1", sys.executable]
    assert stderr.text == "UserWarning: rows of X coincide\n"
    log = (book.logs_dir / "alpha.stderr.log").read_text(encoding="utf-8")
    assert "0%|    | 0/3" in log
    assert capfd.readouterr().err.count("\n") == 2


@pytest.mark.parametrize("chosen", [None, "3"])
def test_numpy_has_one_thread_unless_the_user_chose_more(book, monkeypatch, chosen):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if chosen:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", chosen)
    write_chapter(book, "alpha", 'print(os.environ["OPENBLAS_NUM_THREADS"])')
    assert main(["run", "alpha"]) == 0
    notebook = nbformat.read(book.executed_dir / "alpha.ipynb", as_version=4)
    assert notebook.cells[-1].outputs[0].text == f"{chosen or 1}\n"


@pytest.mark.fault
def test_a_chapter_that_raises_keeps_its_last_good_output(book, capfd):
    assert main(["run", "alpha"]) == 0
    before = outputs_of(book)
    write_chapter(book, "alpha", "# why\nx = 1\nraise ValueError('a width of 0')")
    assert main(["list"]) == 0
    assert "stale: text changed" in capfd.readouterr().out
    assert main(["run", "alpha"]) == 1

    err = capfd.readouterr().err
    sentence = "alpha failed in cell 3 (x = 1): ValueError: a width of 0"
    assert sentence in err
    assert "Traceback" not in err
    assert outputs_of(book) == before
    log = (book.logs_dir / "alpha.log").read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in log
    assert "\x1b" not in log
    partial = nbformat.read(book.logs_dir / "alpha.ipynb", as_version=4)
    assert any(output.output_type == "error" for output in partial.cells[-1].outputs)

    assert main(["list"]) == 0
    assert "stale: last run failed, text changed" in capfd.readouterr().out
    assert main(["check"]) == 1
    assert sentence in capfd.readouterr().err

    write_chapter(book, "alpha", "judge('one', -0.5, -0.5, 'holds')")
    assert main(["run", "alpha"]) == 0
    assert read_failure(book, "alpha") is None
    assert not (book.logs_dir / "alpha.log").exists()


@pytest.mark.fault
def test_a_kernel_that_dies_fails_its_chapter_and_not_the_others(book, capfd):
    write_chapter(book, "alpha", "print('last words', flush=True)\nos._exit(1)")
    # With an override, papermill's injected cell must not shift the number of the cell.
    assert main(["run", "alpha", "beta", "-p", "seeds=5"]) == 1
    err = capfd.readouterr().err
    assert "alpha failed in cell 3 (print('last words', flush=True)): DeadKernelError" in err
    assert "beta: done" in err
    assert read_record(book, "alpha") is None
    assert read_record(book, "beta") is not None
    assert main(["list"]) == 0
    assert "stale: last run failed" in capfd.readouterr().out


SLEEPER = """
import subprocess, sys, time, pathlib
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
note = pathlib.Path("pids")
if not note.exists():
    pathlib.Path("half").write_text(f"{os.getpid()} {worker.pid}")
    os.replace("half", note)
    time.sleep(300)
worker.kill(), worker.wait()
judge("one", -0.5, -0.5, "holds")
"""


# A shell starts background commands, and with them these tests, deaf to Ctrl-C.
HEARING_RUN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from nthbook.cli.main import main
sys.exit(main(["run", "alpha"]))
"""


@pytest.mark.fault
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_an_ended_run_leaves_no_process_and_no_half_of_anything(book, signum):
    write_chapter(book, "alpha", SLEEPER)
    command = [sys.executable, "-c", HEARING_RUN]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        note = wait_for(lambda: Path("pids").exists() and Path("pids"), "the kernel")
        kernel, worker = map(int, note.read_text(encoding="utf-8").split())
        assert is_running(kernel)
        assert is_running(worker)
        folder = socket_folder(kernel)
        run.send_signal(signum)
        _, err = run.communicate(timeout=PATIENCE)
    wait_for(lambda: not is_running(kernel), "the end of the kernel")
    wait_for(lambda: not is_running(worker), "the end of the kernel's worker")
    wait_for(lambda: not folder.exists(), "the removal of the sockets")
    assert run.returncode == (130 if signum == signal.SIGINT else -signum)
    assert "Traceback" not in err
    assert not book.executed_dir.exists()
    assert not book.claims_dir.exists()
    assert read_failure(book, "alpha") is None

    assert main(["run", "alpha"]) == 0  # neither a lock nor a leftover is in the way
    assert read_record(book, "alpha") is not None


def socket_folder(kernel: int) -> Path:
    arguments = Path(f"/proc/{kernel}/cmdline").read_text(encoding="utf-8").split("\0")
    folder = Path(arguments[arguments.index("-f") + 1]).parent
    assert folder.name.startswith("nth-")
    assert folder.stat().st_mode & 0o077 == 0
    return folder


@pytest.mark.fault
def test_two_commands_do_not_run_one_chapter_at_once(book, capfd):
    write_chapter(book, "alpha", SLEEPER)
    command = [sys.executable, "-m", "nthbook.cli.main", "run", "alpha"]
    with subprocess.Popen(command) as run:
        wait_for(Path("pids").exists, "the kernel")
        assert main(["run", "alpha"]) == 1
        assert "another command is running the chapter alpha" in capfd.readouterr().err
        run.kill()


def test_chapters_run_at_once(book):
    # Each waits for the other, so neither could end alone.
    meet = """
    import time, pathlib
    pathlib.Path("{own}").touch()
    end = time.monotonic() + 20
    while not pathlib.Path("{other}").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    """
    write_chapter(book, "alpha", meet.format(own="a", other="b"))
    write_chapter(book, "beta", meet.format(own="b", other="a"))
    assert main(["run", "--jobs", "2"]) == 0
