"""Edits of modules of one's own are seen, however a function reaches them."""

import importlib
import sys

import pytest
from edits import in_notebook

import nthlib as nth
from nthlib.sweeps.fingerprint import fingerprint

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
