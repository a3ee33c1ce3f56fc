"""The cache kept within bounds: what was used last stays, what goes is computed again."""

import os
import time

import joblib
import nbformat
import numpy as np
import pytest
from runs import good_output, is_one_line
from tiny_book import write_chapter

import nthlib as nth
from nthbook.cli.main import main
from nthbook.run import cache

pytestmark = pytest.mark.fault

DAY = 86_400.0
MEGABYTE = 10**6


def block(case, log):
    """A megabyte that the case decides."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{case} ")
    return np.full(MEGABYTE // 8, float(case))


@pytest.fixture
def swept(book, monkeypatch):
    """A book whose cache holds the blocks 1, 2 and 3, unused for days; the log of their runs."""
    monkeypatch.setenv("NTH_CACHE", str(book.cache_dir))
    log = book.root / "log"
    nth.run_cells(block, [1, 2, 3], log=log)
    for age, path in enumerate(sorted(book.cache_dir.rglob("output.pkl"), key=case_of)):
        os.utime(path, (time.time() - (9 - age) * DAY,) * 2)
    log.unlink()
    return log


def case_of(path) -> int:
    return int(joblib.load(path)[0])


def cases_in(book) -> list[int]:
    return sorted(map(case_of, book.cache_dir.rglob("output.pkl")))


def test_cells_used_last_stay(book, swept, capsys):
    nth.run_cells(block, [1], log=swept)  # the oldest, used again just now
    assert not swept.exists()
    assert main(["clean", "--limit", "2500K"]) == 0
    assert capsys.readouterr().out.startswith("cache: 3.0 MB before, 2.0 MB now")
    assert cases_in(book) == [1, 3]


def test_a_cell_that_was_removed_is_computed_again_with_the_same_value(book, swept):
    assert main(["clean"]) == 0
    assert cases_in(book) == []
    for _ in range(2):
        blocks = nth.run_cells(block, [1, 2, 3], log=swept)
        assert [values[-1] for values in blocks] == [1.0, 2.0, 3.0]
    assert swept.read_text(encoding="utf-8") == "1 2 3 "


@pytest.mark.parametrize(("limit", "left"), [("3100K", 3), ("1 mb", 0), ("1G", 3), ("0K", 0)])
def test_a_limit_is_kept_and_no_more_than_needed_goes(book, swept, limit, left):
    assert main(["clean", "--limit", limit]) == 0
    assert len(cases_in(book)) == left


def test_a_run_keeps_the_cache_within_its_bound(book, swept, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", "1500K")
    write_chapter(book, "alpha", 'judge("one", -0.5, -0.5, "holds")')
    assert main(["run", "alpha"]) == 0
    assert cases_in(book) == [3]
    before = good_output(book)
    assert main(["clean"]) == 0
    assert good_output(book) == before


def test_what_was_compiled_serves_the_next_run_and_goes_first(book, capsys):
    write_chapter(
        book,
        "alpha",
        """
        import jax, jax.numpy as jnp
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        heard = []
        jax.monitoring.register_event_listener(lambda name, **_: heard.append(name))
        print(jax.jit(lambda x: jnp.linalg.inv(x).sum())(jnp.eye(3)))
        print([name.rpartition("/")[2] for name in heard if name.endswith("cache_hits")])
        judge("one", -0.5, -0.5, "holds")
        """,
    )
    found = []
    for _ in range(2):
        assert main(["run", "alpha", "--force"]) == 0
        notebook = nbformat.read(book.executed_dir / "alpha.ipynb", as_version=4)
        found.append([cell.outputs[0].text for cell in notebook.cells if cell.get("outputs")][-1])
    assert ["cache_hits" in text for text in found] == [False, True]
    assert list(book.programs_dir.iterdir())
    assert main(["clean"]) == 0
    assert not book.programs_dir.exists()


def test_where_there_is_no_cache_there_is_nothing_to_do(book, capsys):
    assert main(["clean"]) == 0
    assert capsys.readouterr().out == "cache: 0.0 MB before, 0.0 MB now\n"
    assert not book.build.exists()


@pytest.mark.bad_input
@pytest.mark.parametrize("size", ["", "much", "500", "-1M", "1.5G", "5T", "M", "1e3K", "5 0 M"])
def test_a_malformed_size_is_one_line(book, swept, capsys, size):
    assert main(["clean", "--limit", size]) == 2
    err = capsys.readouterr().err
    assert is_one_line(err)
    assert repr(size) in err
    assert cases_in(book) == [1, 2, 3]
