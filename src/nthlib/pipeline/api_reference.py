"""The reference page's list of names, taken from the package so that it cannot go out of step.

The package's source is read and not run: importing JAX would take longer than the page.
"""

import ast
import re
from importlib.util import find_spec
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
    entries = "\n\n".join(_entry(package, name, definitions.get(name)) for name in names)
    title, *_ = re.split(r"[,:;.]", ast.get_docstring(tree) or home)
    return f"## {title}\n\n```{{eval-rst}}\n{entries}\n```"


def _entry(package: str, name: str, node: ast.ClassDef | ast.FunctionDef | None) -> str:
    """Return a directive with the signature as it is written, types and defaults included."""
    if node is None:
        return f".. autodata:: {package}.{name}\n   :no-value:"
    if isinstance(node, ast.FunctionDef):
        return f".. autofunction:: {package}.{name}{_signature(node)}"
    methods = [
        f"   .. automethod:: {part.name}{_signature(part, skip=1)}"
        for part in node.body
        if isinstance(part, ast.FunctionDef)
        and (not part.name.startswith("_") or part.name == "__call__")
        and not part.decorator_list
    ]
    return "\n\n".join([f".. autoclass:: {package}.{name}{_construction(node)}", *methods])


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
    fields = [
        ast.unparse(part)
        for part in node.body
        if isinstance(part, ast.AnnAssign) and not ast.unparse(part.target).startswith("_")
    ]
    return f"({', '.join(fields)})"
