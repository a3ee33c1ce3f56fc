"""What ``import nthlib`` gives, and what it must not do."""

import ast
import inspect
import pkgutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import nthlib as nth

ACTIVATIONS = ("erf", "relu")
RESULTS = (
    "Parameters",
    "LimitEstimate",
    "Flow",
    "TruncatedSolution",
    "ExponentFit",
    "Verdict",
    "InputReport",
)
CALLED = [name for name in nth.__all__ if name not in ACTIVATIONS + RESULTS]
MODULES = {module.name for module in pkgutil.iter_modules(nth.__path__)}


@pytest.mark.parametrize("name", nth.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(nth, name) is getattr(nth, name)
    assert name in dir(nth)
    namespace = {}
    exec(f"from nthlib import {name}", namespace)
    assert namespace[name] is getattr(nth, name)


def test_the_list_has_no_doubles_and_nothing_else_is_public():
    assert len(set(nth.__all__)) == len(nth.__all__)
    assert set(dir(nth)) == {*nth.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'jets_and_sharks'"):
        nth.jets_and_sharks  # noqa: B018


@pytest.mark.parametrize("name", nth.__all__)
def test_no_public_name_is_a_module(name):
    assert name not in MODULES


@pytest.mark.parametrize("name", [n for n in nth.__all__ if n not in ACTIVATIONS])
def test_every_public_name_has_a_docstring(name):
    text = inspect.getdoc(getattr(nth, name))
    assert text
    assert len(text.splitlines()[0]) < 100


@pytest.mark.parametrize("name", CALLED)
def test_every_argument_is_described_and_an_example_given(name):
    text = inspect.getdoc(getattr(nth, name))
    assert ">>> " in text
    for argument in inspect.signature(getattr(nth, name)).parameters:
        assert argument in text, f"{name} does not mention {argument}"


@pytest.mark.parametrize("path", sorted(Path(nth.__path__[0]).glob("*.py")), ids=lambda p: p.stem)
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_the_version_is_that_of_the_package():
    assert nth.__version__ == version("nthlib")


def test_loading_is_silent_and_does_not_start_jax():
    """The bare package stays light for the command line; the names then load without a word."""
    code = (
        "import sys, nthlib\n"
        "heavy = {'jax', 'diffrax', 'matplotlib', 'xarray'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "for name in nthlib.__all__: getattr(nthlib, name)\n"
        "assert 'jax' in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
