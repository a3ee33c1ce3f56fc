"""The cell that installs the library where it is missing, and the parameters' values."""

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from nthbook.book import Book
from nthbook.chapter import load_chapter
from nthbook.share.first_cell import extra_packages, imported_modules, install_cell, with_values
from nthbook.share.notebooks import exported_pages

ROOT = Path(__file__).parents[3]
WHEEL = "nthlib-0.1.0-py3-none-any.whl"
ADDRESS = f"https://host/{WHEEL}"


@pytest.fixture
def run_cell(tmp_path, monkeypatch):
    """Run a cell where some modules are missing; return what pip was asked to install."""
    asked: list[list[str]] = []

    def run(source, *missing):
        real = importlib.util.find_spec
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setattr(
                importlib.util, "find_spec", lambda name: None if name in missing else real(name)
            )
            patch.setattr(
                subprocess,
                "run",
                lambda command, check: asked.append(command) or SimpleNamespace(returncode=0),
            )
            exec(compile(source, "cell", "exec"), {})
        return asked

    return run


def test_nothing_is_installed_where_all_is_there(run_cell):
    assert run_cell(install_cell(["import flax"], WHEEL, None)) == []


def test_a_wheel_beside_the_notebook_is_installed_first_of_all(run_cell, tmp_path):
    (tmp_path / WHEEL).touch()
    (command,) = run_cell(install_cell(["import flax"], WHEEL, ADDRESS), "nthlib", "flax")
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-2] == WHEEL
    assert command[-1].startswith("flax>=")


def test_without_a_wheel_the_repository_is_asked(run_cell):
    (command,) = run_cell(install_cell([], WHEEL, ADDRESS), "nthlib")
    assert command[-1] == ADDRESS


def test_only_what_is_missing_is_installed(run_cell):
    (command,) = run_cell(install_cell(["import flax"], WHEEL, None), "flax")
    assert command[-1].startswith("flax>=")
    assert command[-2].startswith("--")


def test_without_either_one_sentence_says_what_to_do(run_cell):
    with pytest.raises(ModuleNotFoundError, match=rf"put its wheel, {WHEEL}, beside"):
        run_cell(install_cell([], WHEEL, None), "nthlib")


def test_an_environment_without_pip_is_told_what_to_install(run_cell):
    with pytest.raises(ModuleNotFoundError, match=rf"no pip: install .*{ADDRESS}"):
        run_cell(install_cell([], WHEEL, ADDRESS), "nthlib", "pip")


def test_a_profile_is_known_to_the_verdicts(run_cell, monkeypatch):
    monkeypatch.setenv("NTH_PROFILE", "quick")
    run_cell(install_cell([], WHEEL, None, "smoke"))
    assert os.environ["NTH_PROFILE"] == "smoke"


def test_lines_of_the_cell_are_short():
    longest = max(map(len, install_cell(["import flax"], WHEEL, None, "smoke").splitlines()))
    assert longest < 100


def test_values_are_replaced_and_comments_stay_in_their_column():
    source = """\
profile = "quick"
widths = [8,  # narrow
          64]  # m
σ = 1.5  # τ
seeds: int = 4   # draws
"""
    changed = with_values(source, {"profile": "smoke", "widths": [4], "σ": 1.5, "seeds": 12})
    assert changed.splitlines() == [
        'profile = "smoke"',
        "widths = [4]  # m",
        "σ = 1.5  # τ",
        "seeds: int = 12  # draws",
    ]


def test_a_comment_gives_way_to_a_longer_value():
    assert with_values("n = 1 # n\n", {"n": [1, 2, 3]}) == "n = [1, 2, 3]  # n\n"


def test_imports_are_found_and_magics_passed_over():
    assert imported_modules("import a.b, c\nfrom d.e import f\nfrom . import g") == {"a", "c", "d"}
    assert imported_modules("%matplotlib inline") == set()


BROUGHT = {"scikit-learn": "sklearn"}


@pytest.mark.parametrize("name", exported_pages(Book(ROOT)))
def test_a_chapter_imports_what_the_library_or_its_first_cell_brings(name):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {Requirement(text).name for text in project["dependencies"]}
    cells = load_chapter(Book(ROOT), name).notebook().cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    known = {BROUGHT.get(package, package) for package in needed} | {"nthlib", "nthbook", "IPython"}
    known |= sys.stdlib_module_names | extra_packages(sources).keys()
    assert {module for source in sources for module in imported_modules(source)} <= known
