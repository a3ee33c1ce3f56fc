"""A fingerprint changes with everything a function computes from, and with nothing else."""

import functools
import inspect
from pathlib import Path

import pytest
from helpers import module_from_source

from nthlib import fingerprint as module_under_test
from nthlib.fingerprint import fingerprint, library_digest

PRELUDE = (
    "import functools\nimport types\nimport jax\nimport jax.numpy as jnp\nimport nthlib as nth\n"
)
CALL = "def measure(width, key):\n    return {'a': helper(1.0)}\n"

# Sources in which EDITED goes from 1 to 2: each time the measured number changes.
EDITS = {
    "the function": "def measure(width, key):\n    return {'a': EDITED.0}\n",
    "a constant": "C = EDITED\ndef measure(width, key):\n    return {'a': 1.0 * C}\n",
    "an array": "C = jnp.ones(EDITED)\ndef measure(width, key):\n    return {'a': C.sum()}\n",
    "a random key": (
        "C = jax.random.key(EDITED)\n"
        "def measure(width, key):\n    return {'a': jax.random.normal(C)}\n"
    ),
    "a helper": "def helper(x):\n    return EDITED * x\n" + CALL,
    "a helper's helper": (
        "def deep(x):\n    return EDITED * x\ndef helper(x):\n    return deep(x)\n" + CALL
    ),
    "a recursive helper": (
        "def helper(x):\n    return EDITED * x if x < 9 else helper(x - 1)\n" + CALL
    ),
    "a jitted helper": ("@jax.jit\ndef helper(x):\n    return EDITED * x\n" + CALL),
    "a vmapped helper": (
        "def single(x):\n    return EDITED * x\nhelper = jax.vmap(single)\n" + CALL
    ),
    "a cached helper": ("@functools.lru_cache\ndef helper(x):\n    return EDITED * x\n" + CALL),
    "a partial helper": (
        "def scaled(c, x):\n    return c * x\nhelper = functools.partial(scaled, EDITED)\n" + CALL
    ),
    "a helper called in an inner function": (
        "def helper(x):\n    return EDITED * x\n"
        "def measure(width, key):\n"
        "    def inner(x):\n        return helper(x)\n"
        "    return {'a': inner(1.0)}\n"
    ),
    "a helper called in a comprehension": (
        "def helper(x):\n    return EDITED * x\n"
        "def measure(width, key):\n    return {'a': sum([helper(x) for x in (1.0, 2.0)])}\n"
    ),
    "the second of two lambdas": (
        "def build(f, g):\n"
        "    def measure(width, key):\n        return {'a': f(1.0) + g(1.0)}\n"
        "    return measure\n"
        "measure = build(\n    lambda x: x,\n    lambda x: EDITED * x,\n)\n"
    ),
    "a default argument": (
        "C = EDITED\ndef measure(width, key, scale=C):\n    return {'a': 1.0 * scale}\n"
    ),
    "a network": (
        "net = nth.FullyConnected(3, 8, EDITED)\n"
        "def measure(width, key):\n    return {'a': 1.0 * net.depth}\n"
    ),
    "a function in a table": (
        "TABLE = {\n    'f': lambda x: EDITED * x,\n}\n"
        "def measure(width, key):\n    return {'a': TABLE['f'](1.0)}\n"
    ),
    "a method": (
        "class Helper:\n    def value(self, x):\n        return EDITED * x\n"
        "def measure(width, key):\n    return {'a': Helper().value(1.0)}\n"
    ),
    "a partial of the measure": (
        "def plain(scale, width, key):\n    return {'a': 1.0 * scale}\n"
        "measure = functools.partial(plain, EDITED)\n"
    ),
    "a function given to a partial": (
        "def plain(f, width, key):\n    return {'a': f(1.0)}\n"
        "measure = functools.partial(plain, lambda x: EDITED * x)\n"
    ),
}


def measure_of(folder, source):
    return module_from_source(folder, PRELUDE + source).measure


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_that_changes_the_number_changes_the_fingerprint(tmp_path, edit):
    before, after = (
        fingerprint(measure_of(tmp_path, EDITS[edit].replace("EDITED", constant)))
        for constant in "12"
    )
    assert before != after


@pytest.mark.parametrize("edit", EDITS)
def test_running_the_same_text_again_keeps_the_fingerprint(tmp_path, edit):
    """In a book the cell is run anew each time: a name that drifts would never hit the cache."""
    source = EDITS[edit].replace("EDITED", "1")
    first, second = (fingerprint(measure_of(tmp_path, source)) for _ in range(2))
    assert first == second


def test_what_the_function_does_not_use_is_not_followed(tmp_path):
    source = "UNUSED = EDITED\ndef other(x):\n    return EDITED * x\n"
    source += "def measure(width, key):\n    return 1\n"
    before, after = (fingerprint(measure_of(tmp_path, source.replace("EDITED", c))) for c in "12")
    assert before == after


def test_functions_without_a_source_are_named():
    assert fingerprint(len) == fingerprint(len)
    assert fingerprint(len) != fingerprint(sum)


def test_wrappers_are_seen_through(tmp_path):
    function = measure_of(tmp_path, EDITS["the function"].replace("EDITED", "1"))

    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)

    assert inspect.unwrap(wrapper) is function
    assert fingerprint(wrapper) == fingerprint(function)


@pytest.mark.parametrize(
    ("edited", "changes"),
    [("network.py", True), ("scaling.py", True), ("cli.py", False), ("pipeline/runner.py", False)],
)
def test_the_library_s_mathematics_is_part_of_the_name(tmp_path, monkeypatch, edited, changes):
    for name in ("network.py", "scaling.py", "cli.py", "pipeline/runner.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x = 1\n")
    monkeypatch.setattr(module_under_test, "__file__", str(tmp_path / "fingerprint.py"))
    digest = library_digest.__wrapped__  # past the cache of one process
    before = digest()
    assert digest() == before
    (tmp_path / edited).write_text("x = 2\n")
    assert (digest() != before) == changes


def test_the_digest_reads_this_library():
    root = Path(inspect.getsourcefile(module_under_test)).parent
    assert (root / "network.py").is_file()
    assert len(library_digest()) == 64
