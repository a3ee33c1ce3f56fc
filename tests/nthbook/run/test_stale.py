"""A chapter is stale when, and only when, something its numbers depend on has changed."""

import dataclasses
import json

import pytest
from tiny_book import pretend_run, write_chapter, write_claims

from nthbook.book import Book
from nthbook.run import stale
from nthbook.run.record import Failure, write_failure
from nthbook.run.stale import library_digests, make_request, reasons_as_recorded


def reasons(book: Book, name: str = "alpha", profile: str = "quick", **overrides) -> list[str]:
    return make_request(book, name, profile, overrides).reasons()


def test_a_chapter_that_never_ran_is_stale(book):
    assert reasons(book) == ["never ran"]
    assert reasons_as_recorded(book, "alpha") == ["never ran"]


def test_a_chapter_that_ran_so_is_not(book):
    pretend_run(book)
    assert reasons(book) == []
    assert reasons(book, scale=1) == []  # the default, given again


def test_the_text_of_one_chapter_concerns_that_chapter_alone(book):
    pretend_run(book, "alpha")
    pretend_run(book, "beta")
    with book.chapter_path("alpha").open("a", encoding="utf-8") as file:
        file.write("\n% a remark\n")
    assert reasons(book, "alpha") == ["text changed"]
    assert reasons(book, "beta") == []


def test_other_parameters_make_it_stale_until_asked_for_again(book):
    pretend_run(book, widths=[64])
    assert reasons(book) == ["parameters changed: widths"]
    assert reasons(book, widths=[64], seeds=5) == ["parameters changed: seeds"]
    assert reasons(book, widths=[64]) == []
    assert reasons_as_recorded(book, "alpha") == []


def test_another_profile_makes_it_stale(book):
    pretend_run(book, profile="smoke")
    assert reasons(book) == ["profile smoke, not quick"]
    assert reasons(book, profile="smoke") == []
    assert reasons_as_recorded(book, "alpha") == []


def test_an_override_that_the_chapter_lost_makes_it_stale(book):
    pretend_run(book, scale=2.0)
    path = book.chapter_path("alpha")
    path.write_text(path.read_text(encoding="utf-8").replace("scale = 1.0", ""), encoding="utf-8")
    assert "text changed" in reasons_as_recorded(book, "alpha")


def test_a_changed_library_names_its_files(book, monkeypatch):
    pretend_run(book)
    old = library_digests()
    new = {**old, "claims.py": "touched", "extra.py": "new"}
    monkeypatch.setattr(stale, "library_digests", lambda: new)
    assert reasons(book) == ["library changed: claims.py, extra.py"]


def test_many_changed_files_are_counted(book, monkeypatch):
    pretend_run(book)
    changed = dict.fromkeys(["a.py", "b.py", "c.py", "d.py", "e.py"], "new")
    monkeypatch.setattr(stale, "library_digests", lambda: {**library_digests(), **changed})
    assert reasons(book) == ["library changed: a.py, b.py, c.py and 2 more"]


def test_the_library_is_its_mathematics_and_the_rule_of_the_verdicts():
    names = set(library_digests())
    assert {"__init__.py", "finite/kernels.py", "nthbook/claims.py"} <= names
    assert {name for name in names if "nthbook" in name} == {"nthbook/claims.py"}


def test_an_edited_figure_s_style_leaves_chapters_as_they_are(book):
    write_chapter(book, "alpha", "from nthbook import judge, plots\nimport nthbook.run.execute")
    assert make_request(book, "alpha", "quick", {}).digests["modules"] == {}


# How a chapter reaches the module `deep`, of which the file is then edited.
IMPORTS = {
    "itself": ("import own_helpers", "own_helpers.py", "own_helpers"),
    "after a magic": ("%matplotlib inline\nimport own_helpers", "own_helpers.py", "own_helpers"),
    "inside a function": (
        "def f():\n    from own_helpers import scale\n", "own_helpers.py", "own_helpers",
    ),
    "beside the chapter": ("import beside", "book/chapters/beside.py", "beside"),
    "through another": ("import own_helpers", "own_package/deep.py", "own_package.deep"),
    "in a package": ("from own_package import sub", "own_package/sub.py", "own_package.sub"),
    "by its name": (
        "import importlib\nimportlib.import_module('own_package.sub')",
        "own_package/sub.py", "own_package.sub",
    ),
    "on the path": ("import on_the_path", "elsewhere/on_the_path.py", "on_the_path"),
    "without an __init__": ("import own_space.sub", "own_space/sub.py", "own_space.sub"),
}  # fmt: skip


@pytest.mark.parametrize("way", IMPORTS)
def test_an_edited_module_makes_the_chapters_stale_that_import_it(book, monkeypatch, way):
    source, edited, name = IMPORTS[way]
    files = {
        "own_helpers.py": "import numpy\nfrom own_package import scale\n",
        "own_package/__init__.py": "from .deep import scale\n",
        **dict.fromkeys(["own_package/deep.py", "own_package/sub.py", "own_space/sub.py"], ""),
        **dict.fromkeys(["book/chapters/beside.py", "elsewhere/on_the_path.py"], ""),
    }
    for file, text in files.items():
        path = book.root / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(book.root / "elsewhere"))
    write_chapter(book, "alpha", source)
    pretend_run(book, "alpha")
    pretend_run(book, "beta")
    assert reasons(book) == []
    with (book.root / edited).open("a", encoding="utf-8") as file:
        file.write("constant = 2\n")
    assert reasons(book) == [f"modules changed: {name}"]
    assert reasons(book, "beta") == []


def test_installed_packages_and_what_is_not_imported_concern_no_chapter(book):
    for name in ("own_helpers", "unused"):
        (book.root / f"{name}.py").write_text("import jax, jupytext, missing\n", encoding="utf-8")
    write_chapter(book, "alpha", "import os, numpy, nthlib.sweeps.cells\nimport own_helpers")
    digests = make_request(book, "alpha", "quick", {}).digests
    assert list(digests["modules"]) == ["own_helpers"]


def test_the_lock_file_concerns_every_chapter(book):
    pretend_run(book)
    (book.root / "requirements.lock").write_text("numpy==2.1\n", encoding="utf-8")
    assert reasons(book) == ["requirements.lock changed"]


def test_only_a_chapters_own_claims_concern_it(book):
    pretend_run(book)
    claims = book.registry.read_text(encoding="utf-8")
    book.registry.write_text(f"# a remark\n{claims}", encoding="utf-8")
    assert reasons(book) == []
    write_claims(book, ("one", "alpha", "theorem"), ("two", "beta", "expectation"))
    assert reasons(book) == []
    write_claims(book, ("one", "alpha", "expectation"), ("two", "beta", "theorem"))
    assert reasons(book) == ["claims changed"]


@pytest.mark.fault
@pytest.mark.parametrize("content", [None, "{", '{"metadata": {"nth": {"run_id": "other"}}}', "{}"])
def test_notebook_and_record_are_one_unit(book, content):
    pretend_run(book)
    path = book.executed_dir / "alpha.ipynb"
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    assert reasons(book) == ["its notebook is missing or of another run"]


@pytest.mark.fault
def test_a_record_of_another_version_counts_as_none(book):
    record = dataclasses.asdict(pretend_run(book))
    del record["digests"]
    (book.claims_dir / "alpha.json").write_text(json.dumps(record), encoding="utf-8")
    assert reasons(book) == ["never ran"]


@pytest.mark.fault
def test_a_failure_after_a_good_run_makes_it_stale(book):
    pretend_run(book)
    write_failure(book, Failure("alpha", "quick", "2026", 3, "1 / 0", "ZeroDivisionError: x"))
    assert reasons(book) == ["last run failed"]
