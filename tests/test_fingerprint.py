"""A fingerprint changes with everything a function computes from, and with nothing else."""

import functools
import importlib
import inspect
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import module_from_source

import nthlib as nth
from nthlib import fingerprint as module_under_test
from nthlib.fingerprint import fingerprint, library_digest

PRELUDE = (
    "import collections\nimport dataclasses\nimport enum\nimport functools\nimport re\n"
    "import types\nimport jax\nimport jax.numpy as jnp\nimport numpy as np\nimport nthlib as nth\n"
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
        "def single(x):\n    return EDITED * x\nhelper = jax.vmap(single)\n"
        "def measure(width, key):\n    return {'a': helper(jnp.ones(2)).sum()}\n"
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
    "a class attribute": (
        "class Helper:\n    scale = EDITED\n"
        "def measure(width, key):\n    return {'a': 1.0 * Helper.scale}\n"
    ),
    "a static method": (
        "class Helper:\n    @staticmethod\n    def value(x):\n        return EDITED * x\n"
        "def measure(width, key):\n    return {'a': Helper.value(1.0)}\n"
    ),
    "a class method": (
        "class Helper:\n    @classmethod\n    def value(cls, x):\n        return EDITED * x\n"
        "def measure(width, key):\n    return {'a': Helper.value(1.0)}\n"
    ),
    "a property": (
        "class Helper:\n    @property\n    def value(self):\n        return 1.0 * EDITED\n"
        "def measure(width, key):\n    return {'a': Helper().value}\n"
    ),
    "a cached property": (
        "class Helper:\n    @functools.cached_property\n    def value(self):\n"
        "        return 1.0 * EDITED\n"
        "def measure(width, key):\n    return {'a': Helper().value}\n"
    ),
    "a base class's method": (
        "class Base:\n    def value(self, x):\n        return EDITED * x\n"
        "class Helper(Base):\n    pass\n"
        "def measure(width, key):\n    return {'a': Helper().value(1.0)}\n"
    ),
    "an object's call": (
        "class Helper:\n    def __call__(self, x):\n        return EDITED * x\n"
        "helper = Helper()\n" + CALL
    ),
    "an object's attribute": (
        "class Helper:\n    def __init__(self, c):\n        self.c = c\n"
        "    def __call__(self, x):\n        return self.c * x\n"
        "helper = Helper(EDITED)\n" + CALL
    ),
    "an object's slot": (
        "class Helper:\n    __slots__ = ('c',)\n"
        "    def __call__(self, x):\n        return self.c * x\n"
        "helper = Helper()\nhelper.c = EDITED\n" + CALL
    ),
    "an attribute that is no field of a dataclass": (
        "@dataclasses.dataclass\nclass Helper:\n    b: float\n"
        "    def __call__(self, x):\n        return self.b * self.c * x\n"
        "helper = Helper(1.0)\nhelper.c = EDITED\n" + CALL
    ),
    "the default of a field": (
        "@dataclasses.dataclass\nclass Helper:\n"
        "    c: list = dataclasses.field(default_factory=lambda: [EDITED])\n"
        "def measure(width, key):\n    return {'a': 1.0 * Helper().c[0]}\n"
    ),
    "a metaclass": (
        "class Meta(type):\n    def value(cls, x):\n        return EDITED * x\n"
        "class Helper(metaclass=Meta):\n    pass\n"
        "def measure(width, key):\n    return {'a': Helper.value(1.0)}\n"
    ),
    "a class made by a function": (
        "Helper = dataclasses.make_dataclass('Helper', [],\n"
        "    namespace={'value': lambda self, x: EDITED * x})\n"
        "def measure(width, key):\n    return {'a': Helper().value(1.0)}\n"
    ),
    "a bound method": (
        "class Helper:\n    c = 1.0\n    def value(self, x):\n        return self.c * x\n"
        "owner = Helper()\nowner.c = EDITED\nhelper = owner.value\n" + CALL
    ),
    "an element of an enumeration": (
        "class Way(enum.Enum):\n    ONE = EDITED\n"
        "def measure(width, key):\n    return {'a': 1.0 * Way.ONE.value}\n"
    ),
    "a function in a list": (
        "LIST = [lambda x: x, lambda x: EDITED * x]\n"
        "def measure(width, key):\n    return {'a': LIST[1](1.0)}\n"
    ),
    "a function in a table of one's own kind": (
        "TABLE = collections.OrderedDict(f=lambda x: EDITED * x)\n"
        "def measure(width, key):\n    return {'a': TABLE['f'](1.0)}\n"
    ),
    "an array in a set of tuples": (
        "PAIRS = {(EDITED, 2)}\ndef measure(width, key):\n    return {'a': 1.0 * min(PAIRS)[0]}\n"
    ),
    "a decorator that keeps the name": (
        "def scaled(f):\n    @functools.wraps(f)\n    def wrapper(x):\n"
        "        return EDITED * f(x)\n    return wrapper\n"
        "@scaled\ndef helper(x):\n    return x\n" + CALL
    ),
    "what a decorator keeps": (
        "def scaled(f):\n    @functools.wraps(f)\n    def wrapper(x):\n"
        "        return wrapper.c * f(x)\n    wrapper.c = EDITED\n    return wrapper\n"
        "@scaled\ndef helper(x):\n    return x\n" + CALL
    ),
    "the axis of a vmap": (
        "helper = jax.vmap(lambda x: x.max(), in_axes=EDITED - 1)\n"
        "def measure(width, key):\n"
        "    return {'a': helper(jnp.arange(4.0).reshape(2, 2)).sum()}\n"
    ),
    "the function of a gradient": (
        "helper = jax.grad(jax.checkpoint(lambda x: EDITED * x))\n" + CALL
    ),
    "the rule of a custom_jvp": (
        "@jax.custom_jvp\ndef helper(x):\n    return x\n"
        "@helper.defjvp\ndef rule(primals, tangents):\n"
        "    return primals[0], EDITED * tangents[0]\n"
        "def measure(width, key):\n    return {'a': jax.grad(helper)(1.0)}\n"
    ),
    "the rule of a custom_vjp": (
        "@jax.custom_vjp\ndef helper(x):\n    return x\n"
        "helper.defvjp(lambda x: (x, ()), lambda _, g: (EDITED * g,))\n"
        "def measure(width, key):\n    return {'a': jax.grad(helper)(1.0)}\n"
    ),
    "a default given by keyword": (
        "C = EDITED\ndef measure(width, key, *, scale=C):\n    return {'a': 1.0 * scale}\n"
    ),
    "what is closed over": (
        "def build(c):\n    def measure(width, key):\n        return {'a': 1.0 * c}\n"
        "    return measure\nmeasure = build(EDITED)\n"
    ),
    "a function of NumPy": (
        "helper = np.vectorize(lambda x: EDITED * x)\n"
        "def measure(width, key):\n    return {'a': float(helper(1.0))}\n"
    ),
    "the state of a generator of random numbers": (
        "RNG = np.random.default_rng(EDITED)\n"
        "def measure(width, key):\n    return {'a': RNG.normal()}\n"
    ),
    "a pattern": (
        "PATTERN = re.compile('[1EDITED]')\n"
        "def measure(width, key):\n    return {'a': len(PATTERN.sub('', '122'))}\n"
    ),
}


def in_notebook(source):
    """The measure of a cell that was run in a notebook: no file holds it."""
    cell = {"__name__": "__main__"}
    exec(compile(PRELUDE + source, "<cell>", "exec"), cell)
    return cell["measure"]


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


# --------------------------------------------------------------------- modules of one's own

# How a measure reaches a constant in a file, and which file that is. In each case the number
# is EDITED: 1, then 2.
REACHED = {
    "a function of a module": ("import own_helpers", "own_helpers.scale()", "own_helpers.py"),
    "a module by another name": (
        "import own_helpers as h", "h.scale()", "own_helpers.py",
    ),
    "a function alone": ("from own_helpers import scale", "scale()", "own_helpers.py"),
    "a constant": ("from own_helpers import constant", "constant", "own_helpers.py"),
    "a module's attribute": ("import own_helpers", "own_helpers.constant", "own_helpers.py"),
    "a module of a package": (
        "import own_package.sub", "own_package.sub.constant", "own_package/sub.py",
    ),
    "a module that a package imports": (
        "import own_package", "own_package.scale()", "own_package/deep.py",
    ),
    "a relative import when called": (
        "import own_package", "own_package.late()", "own_package/sub.py",
    ),
    "a package without an __init__": (
        "import own_space.sub", "own_space.sub.constant", "own_space/sub.py",
    ),
    "an import when called": ("", "__import__('own_helpers').scale()", "own_helpers.py"),
    "what is found by its text": (
        "import own_helpers", "own_helpers.by_text()", "own_helpers.py",
    ),
    "a table of a module": ("import own_helpers", "own_helpers.TABLE['f']()", "own_helpers.py"),
    "a subclass of a module's class": (
        "import own_helpers\nclass Own(own_helpers.Base):\n    pass\n",
        "Own().value()", "own_helpers.py",
    ),
}  # fmt: skip
HELPERS = """
constant = EDITED
def scale():
    return constant
def by_text():
    return globals()["const" + "ant"]
TABLE = {"f": lambda: EDITED}
class Base:
    def value(self):
        return EDITED
"""
FILES = {
    "own_helpers.py": HELPERS,
    "own_package/__init__.py": (
        "from .deep import scale\ndef late():\n    from .sub import constant\n    return constant\n"
    ),
    "own_package/deep.py": HELPERS,
    "own_package/sub.py": HELPERS,
    "own_space/sub.py": HELPERS,
}


@pytest.fixture
def own_modules(tmp_path, monkeypatch):
    """Write the files, one of them with another constant, and forget what was imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(edited=None, constant="2"):
        for name, text in FILES.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace("EDITED", constant if name == edited else "1"))
        importlib.invalidate_caches()

    def forget():
        for name in [name for name in sys.modules if name.startswith("own_")]:
            del sys.modules[name]

    yield write, forget
    forget()


@pytest.mark.parametrize("way", REACHED)
def test_an_edited_module_is_computed_again(own_modules, tmp_path, monkeypatch, way):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    write, forget = own_modules
    imports, expression, file = REACHED[way]
    source = f"{imports}\ndef measure(case):\n    return {expression}\n"
    if not imports:  # inside the function
        source = "def measure(case):\n    import own_helpers\n    return own_helpers.scale()\n"
    found = []
    for edited in (None, file, None):
        forget()
        write(edited)
        found += nth.run_cells(in_notebook(source), [0])
    assert found == [1, 2, 1]


def test_other_files_do_not_count(own_modules):
    write, forget = own_modules
    source = "import own_helpers\ndef measure(case):\n    return own_helpers.scale()\n"
    found = []
    for edited in (None, "own_package/sub.py"):
        forget()
        write(edited)
        found.append(fingerprint(in_notebook(source)))
    assert found[0] == found[1]


def test_a_module_that_was_assigned_to_is_computed_again(own_modules, tmp_path, monkeypatch):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    own_modules[0]()
    measure = in_notebook(
        "import own_helpers\ndef measure(case):\n    return own_helpers.scale()\n"
    )
    found = nth.run_cells(measure, [0])
    sys.modules["own_helpers"].constant = 5
    assert found + nth.run_cells(measure, [0]) == [1, 5]


@pytest.mark.parametrize("way", ["a function of a module", "a constant"])
def test_an_edit_that_was_not_imported_is_no_new_result(own_modules, tmp_path, monkeypatch, way):
    """The old module stays in memory: its number must not be kept as that of the new file."""
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    write, forget = own_modules
    imports, expression, file = REACHED[way]
    source = f"{imports}\ndef measure(case):\n    return {expression}\n"
    write()
    measure = in_notebook(source)
    found = nth.run_cells(measure, [0])
    write(file)
    found += nth.run_cells(measure, [0])
    forget()  # as a new process begins
    found += nth.run_cells(in_notebook(source), [0])
    assert found == [1, 1, 2]


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
