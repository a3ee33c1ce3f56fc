"""What the book's pages call exists and takes what it is given, without running a cell."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from nthbook.book import Book
from nthbook.chapter import load_chapter

BOOK = Book(Path(__file__).parents[2])
OURS = ("nthlib", "nthbook")


def _cells(name):
    for cell in load_chapter(BOOK, name).notebook().cells:
        if cell.cell_type == "code" and not cell.source.startswith("%"):
            yield ast.parse(cell.source)


def _imported(trees):
    """What a page takes from the two packages, by the name that it has there."""
    found = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in OURS:
                    found[alias.asname or alias.name] = importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            for alias in node.names:
                found[alias.asname or alias.name] = _named(node.module, alias.name)
    return found


def _named(module, name):
    try:
        return importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), name)


def _resolved(node, known):
    """The thing of ours that an expression names, or None."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and inspect.ismodule(owner := _resolved(node.value, known)):
        return getattr(owner, node.attr)
    return None


def _calls(tree, known):
    """Calls of ours, and those that ``functools.partial`` prepares: how, and with what."""
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        arguments, bind = node.args, inspect.Signature.bind
        called = _resolved(node.func, known)
        if ast.unparse(node.func) in ("functools.partial", "partial") and arguments:
            called, bind = _resolved(arguments[0], known), inspect.Signature.bind_partial
            arguments = arguments[1:]
        named = [keyword.arg for keyword in node.keywords]
        starred = any(isinstance(argument, ast.Starred) for argument in arguments)
        if callable(called) and None not in named and not starred:
            yield called, bind, arguments, named, ast.unparse(node)


@pytest.mark.parametrize("name", BOOK.executed_pages())
def test_every_call_fits_the_signature_of_what_it_calls(name):
    trees = list(_cells(name))
    known = _imported(trees)
    assert known
    for called, bind, arguments, named, text in (
        call for tree in trees for call in _calls(tree, known)
    ):
        try:
            bind(inspect.signature(called), *arguments, **dict.fromkeys(named))
        except TypeError as error:
            pytest.fail(f"{text}: {error}")
