"""What ``import nthlib`` gives, and what it must not do."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import nthbook
import nthlib as nth
from nthbook import plots

ACTIVATIONS = ("erf", "relu")
RESULTS = (
    "Parameters",
    "LimitEstimate",
    "WidthExpansion",
    "EnsemblePrediction",
    "Flow",
    "Solution",
    "Fit",
    "Estimate",
    "InputReport",
)
CALLED = [name for name in nth.__all__ if name not in ACTIVATIONS + RESULTS]
CHAPTERS = Path(__file__).parents[2] / "book"


def _own_methods(kind):
    """The methods that a reader calls on what a function returned; properties are fields."""
    return {
        f"{kind.__name__}.{name}": part
        for name, part in vars(kind).items()
        if inspect.isfunction(part)
        and (not name.startswith("_") or name == "__call__")
        and part.__module__ == kind.__module__
    }


def _imported_by_chapters():
    """What the book's pages take from the library by other names than `nth.NAME`."""
    found = {}
    for path in sorted(CHAPTERS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        for module, names in re.findall(
            r"^from (nth(?:lib|book)[\w.]*) import ([\w, ]+)$", text, re.M
        ):
            for name in names.split(", "):
                home, taken = importlib.import_module(module), {name}
                if not hasattr(home, name) or inspect.ismodule(getattr(home, name)):
                    home = importlib.import_module(f"{module}.{name}")
                    taken = set(re.findall(rf"\b{name}\.(\w+)", text)) & set(vars(home))
                found |= {f"{home.__name__}.{one}": getattr(home, one) for one in sorted(taken)}
    return {name: part for name, part in found.items() if inspect.isfunction(part)}


def _shown():
    public = {name: getattr(nth, name) for name in nth.__all__ if name not in ACTIVATIONS}
    methods = {}
    for part in public.values():
        if inspect.isclass(part):
            methods |= _own_methods(part)
    pictures = {
        f"nthbook.plots.{name}": part
        for name, part in vars(plots).items()
        if inspect.isfunction(part) and part.__module__ == plots.__name__ and name[0] != "_"
    }
    return public | methods | pictures | _imported_by_chapters()


SHOWN = _shown()
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


@pytest.mark.parametrize("where", list(SHOWN))
def test_everything_that_readers_call_shows_a_runnable_example(where):
    """What stands in docstrings of functions and classes, `--doctest-modules` runs."""
    text = inspect.getdoc(SHOWN[where])
    assert text
    owner, _, method = where.rpartition(".")
    shown_by_class = f".{method}(" in (inspect.getdoc(SHOWN.get(owner)) or "")
    examples = doctest.DocTestParser().get_examples(text)
    assert examples or shown_by_class, f"{where} shows no example"
    if not inspect.isfunction(SHOWN[where]):
        return
    signature = inspect.signature(SHOWN[where])
    arguments = set(signature.parameters) - {"self"}
    if where.partition(".")[0] not in nth.__all__ and "Args:" not in text:
        return
    for argument in arguments:
        assert re.search(rf"\b{argument}\b", text), f"{where} does not mention {argument}"
    if where.partition(".")[0] not in nth.__all__:
        return
    assert "Args:" in text or not arguments, where
    assert "Returns:" in text or shown_by_class or signature.return_annotation is None, where


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_examples_of_constants_run(name):
    """Their docstrings are those of JAX to Python; ours follow the assignment."""
    path = Path(nth.__path__[0]) / "activations.py"
    body = ast.parse(path.read_text(encoding="utf-8")).body
    (place,) = (
        at
        for at, node in enumerate(body)
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name
    )
    text = ast.literal_eval(body[place + 1].value)
    test = doctest.DocTestParser().get_doctest(text, {}, name, str(path), 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_package_is_typed():
    assert (Path(nth.__path__[0]) / "py.typed").is_file()


@pytest.mark.slow
def test_mypy_checks_a_script_that_uses_the_library(tmp_path):
    lines = ["import nthlib as nth", *(f"reveal_type(nth.{name})" for name in nth.__all__)]
    lines += ["nth.kernel", "nth.FullyConnected(dim='3', width=8, depth=1)"]
    script = tmp_path / "script.py"
    script.write_text("\n".join(lines), encoding="utf-8")
    # With the linter's settings and its cache, in which JAX has been read already.
    root = CHAPTERS.parent
    settings = [f"--config-file={root / 'pyproject.toml'}", f"--cache-dir={root / '.mypy_cache'}"]
    command = ["--strict", *settings, str(script)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *command], capture_output=True, text=True, cwd=tmp_path
    )
    shown = [line for line in done.stdout.splitlines() if "Revealed type" in line]
    assert len(shown) == len(nth.__all__)
    assert not [line for line in shown if 'is "Any"' in line or "Unknown" in line]
    errors = [
        line.partition("error: ")[2] for line in done.stdout.splitlines() if ": error:" in line
    ]
    assert len(errors) == 2
    assert 'has no attribute "kernel"' in errors[0]
    assert '"dim" to "FullyConnected"' in errors[1]


@pytest.mark.parametrize("path", sorted(Path(nth.__path__[0]).rglob("*.py")), ids=lambda p: p.stem)
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_the_version_is_that_of_the_package():
    assert nth.__version__ == version("nthlib")


def test_loading_is_silent_and_brings_nothing_that_draws_or_shows():
    code = (
        "import sys, nthlib\n"
        "heavy = {'matplotlib', 'IPython', 'click', 'sklearn', 'nthbook'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("package", [nth, nthbook], ids=lambda package: package.__name__)
def test_no_folder_holds_more_than_twelve_modules(package):
    for folder in {path.parent for path in Path(package.__path__[0]).rglob("*.py")}:
        modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 12, folder
