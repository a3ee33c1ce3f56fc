"""A fingerprint changes with everything a function computes from, and with nothing else."""

import functools
import inspect
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from edits import EDITS, in_notebook
from helpers import module_from_source

import nthlib as nth
from nthlib.sweeps import fingerprint as module_under_test
from nthlib.sweeps.fingerprint import fingerprint, library_digest


def value(measure):
    return float(measure(4, jax.random.key(0))["a"])


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_that_changes_the_number_changes_the_fingerprint(edit):
    before, after = (in_notebook(EDITS[edit].replace("EDITED", constant)) for constant in "12")
    assert fingerprint(before) != fingerprint(after)
    assert value(before) != value(after)


@pytest.mark.parametrize("edit", EDITS)
def test_running_the_same_text_again_keeps_the_fingerprint(edit):
    """In a book the cell is run anew each time: a name that drifts would never hit the cache."""
    source = EDITS[edit].replace("EDITED", "1")
    first, second = (fingerprint(in_notebook(source)) for _ in range(2))
    assert first == second


def test_what_a_cell_of_a_notebook_does_not_use_is_not_followed():
    source = "UNUSED = EDITED\ndef other(x):\n    return EDITED * x\n"
    source += "def measure(width, key):\n    return 1\n"
    before, after = (fingerprint(in_notebook(source.replace("EDITED", c))) for c in "12")
    assert before == after


def test_of_a_module_the_whole_file_counts(tmp_path):
    source = "def measure(width, key):\n    return eval('HIDDEN')\nHIDDEN = "
    before, after = (fingerprint(module_from_source(tmp_path, source + c).measure) for c in "12")
    assert before != after


def test_functions_without_a_source_are_named():
    assert fingerprint(len) == fingerprint(len)
    assert fingerprint(len) != fingerprint(sum)
    assert fingerprint(jnp.tanh) != fingerprint(jnp.sin)


@pytest.mark.parametrize(
    "pair",
    [
        (1, True), (1, 1.0), (0.0, -0.0), ("1", 1), ((1,), [1]), ({1: 2}, {1: 3}), ((), None),
        (np.float32(1), np.float64(1)), (np.ones(2), np.ones((2, 1))), (jnp.ones(2), np.ones(2)),
        (jnp.asarray(1.0), jnp.float64(1.0) * jnp.ones(())), ((1, (2, 3)), ((1, 2), 3)),
        (np.ma.array([1.0, 2.0]), np.ma.array([1.0, 2.0], mask=[0, 1])),
        (jax.random.key(1, impl="rbg"), jax.random.key(1, impl="unsafe_rbg")),
        (np.array([1, None]), np.array([2, None])), (2**70, 2**71),
        (functools.partial(sum, start=1), functools.partial(sum, start=2)),
    ],
)  # fmt: skip
def test_things_that_differ_are_told_apart(pair):
    first, second = map(fingerprint, pair)
    assert first != second


def test_what_contains_itself_has_a_fingerprint():
    def ring():
        first: dict[str, object] = {"next": []}
        first["next"].append(first)
        return first

    assert fingerprint(ring()) == fingerprint(ring())


def test_a_long_chain_has_a_fingerprint():
    chain = None
    for link in range(5000):
        chain = [link, chain]
    assert fingerprint(chain) != fingerprint(chain[1])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("made", "kind"),
    [("(x for x in (1.0, 2.0))", "generator"), ("open('/dev/null')", "TextIOWrapper")],
)
def test_what_cannot_be_compared_is_refused_by_name(made, kind):
    source = f"SOURCE = {made}\ndef measure(width, key):\n    return {{'a': next(SOURCE)}}\n"
    measure = in_notebook(source)
    with pytest.raises(TypeError, match=f"reaches SOURCE, of type {kind}, which cannot be"):
        fingerprint(measure)
    measure.__globals__["SOURCE"].close()


def test_what_holds_no_number_is_accepted():
    lock = threading.Lock()

    def measure(case):
        with lock:
            return case

    assert fingerprint(measure) == fingerprint(measure)
    with open("/dev/null") as log:

        class Helper:
            file = log
            scale = 1.0

        assert fingerprint(lambda case: Helper.scale * case)  # the file is not used
        with pytest.raises(TypeError, match="reaches file, of type TextIOWrapper"):
            fingerprint(lambda case: Helper.file.write(case))


def test_functions_and_objects_among_the_cases_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))

    def build(c):
        return lambda: c

    assert nth.run_cells(lambda case: case(), [build(1)]) == [1]
    assert nth.run_cells(lambda case: case(), [build(2), build(1)]) == [2, 1]


def test_the_kind_of_random_keys_is_part_of_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    found = []
    for kind in ("threefry2x32", "rbg"):
        with jax.default_prng_impl(kind):
            found += nth.run_cells(lambda case: jax.random.normal(jax.random.key(case)), [3])
            assert found[-1] == jax.random.normal(jax.random.key(3))
    assert found[0] != found[1]


@pytest.mark.parametrize("edited", ["network.py", "sweeps/fits.py"])
def test_the_library_is_part_of_the_name(tmp_path, monkeypatch, edited):
    for name in ("network.py", "sweeps/fits.py", "sweeps/fingerprint.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x = 1\n")
    monkeypatch.setattr(module_under_test, "__file__", str(tmp_path / "sweeps" / "fingerprint.py"))
    digest = library_digest.__wrapped__  # past the cache of one process
    before = digest()
    assert digest() == before
    (tmp_path / edited).write_text("x = 2\n")
    assert digest() != before


def test_the_digest_reads_this_library():
    root = Path(inspect.getsourcefile(module_under_test)).parents[1]
    assert (root / "network.py").is_file()
    assert len(library_digest()) == 64
