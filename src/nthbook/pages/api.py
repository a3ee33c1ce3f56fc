"""The reference page's list of names, taken from the package so that it cannot go out of step.

The package's source is read and not run: importing JAX would take longer than the page.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path


def api_reference(package: str = "nthlib") -> str:
    """Return Markdown with an autodoc entry for every name in ``__all__``, grouped by module.

    Modules follow in the order in which ``__all__`` first names something of theirs, each
    under the opening words of its docstring. The imports of the package say where a name lives.
    """
    tree = _parse(package)
    homes = {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0
        for alias in node.names
    }
    groups: dict[str, list[str]] = {}
    for name in _public_names(tree):
        groups.setdefault(homes[name], []).append(name)
    return "\n\n".join(_section(package, home, names) for home, names in groups.items())


def _parse(module: str) -> ast.Module:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source of the module {module}")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _public_names(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _section(package: str, home: str, names: list[str]) -> str:
    tree = _parse(home)
    definitions = {
        node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    constants = _constants(tree)
    entries = "\n\n".join(
        _constant(package, name, constants[name])
        if name in constants
        else _entry(package, name, definitions[name])
        for name in names
    )
    title, *_ = re.split(r"[,:;]|\.(?!\d)", ast.get_docstring(tree) or home)
    return f"## {title}\n\n```{{eval-rst}}\n{entries}\n```"


def _constants(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Type and docstring of each constant, which is the string below its assignment."""
    return {
        node.target.id: (ast.unparse(node.annotation), inspect.cleandoc(below.value.value))
        for node, below in pairwise(tree.body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _constant(package: str, name: str, described: tuple[str, str]) -> str:
    # Not by autodoc: an activation is a function of JAX's, with a docstring of its own.
    kind, text = described
    return f".. py:data:: {package}.{name}\n   :type: {kind}\n\n{textwrap.indent(text, '   ')}"


def _entry(package: str, name: str, node: ast.ClassDef | ast.FunctionDef) -> str:
    """Return a directive with the signature as it is written, types and defaults included."""
    if isinstance(node, ast.FunctionDef):
        return f".. autofunction:: {package}.{name}{_signature(node)}"
    parts = [
        entry for part in node.body if isinstance(part, ast.FunctionDef) for entry in _part(part)
    ]
    return "\n\n".join([f".. autoclass:: {package}.{name}{_construction(node)}", *parts])


def _part(node: ast.FunctionDef) -> Iterator[str]:
    """The directive of a method or a property that readers use."""
    if node.name.startswith("_") and node.name != "__call__":
        return
    if not node.decorator_list:
        yield f"   .. automethod:: {node.name}{_signature(node, skip=1)}"
    elif [ast.unparse(decorator) for decorator in node.decorator_list] == ["property"]:
        yield f"   .. autoproperty:: {node.name}"


def _signature(node: ast.FunctionDef, skip: int = 0) -> str:
    arguments = node.args
    del arguments.args[:skip]  # a method's self
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(arguments)}){result}"


def _construction(node: ast.ClassDef) -> str:
    """Return the signature of a class: of its ``__init__``, else that drawn from its fields."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return _signature(part, skip=1)
    fields = [ast.unparse(part) for part in node.body if isinstance(part, ast.AnnAssign)]
    shown = ["*" if field == "_: KW_ONLY" else field for field in fields]
    return f"({', '.join(field for field in shown if not field.startswith('_'))})"
