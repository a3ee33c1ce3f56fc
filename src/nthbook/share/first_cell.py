"""What makes a notebook run away from its book: its first cell, and its parameters' values."""

import ast
import json
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement

INSTALL_TAG = "install"

_CELL = """\
# Installs what this notebook needs where it is missing; does nothing where all is there.
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

wheels = sorted(str(path) for path in Path().glob("nthlib-*.whl"))  # beside this notebook
needed = {needed}
missing = [name for name in needed if importlib.util.find_spec(name) is None]
if missing:
    sources = [needed[name] for name in missing]
    if None in sources:
        raise ModuleNotFoundError(
            "nthlib is not installed: put its wheel, {wheel},"
            " beside this notebook and run this cell again"
        )
    if importlib.util.find_spec("pip") is None:
        raise ModuleNotFoundError(f"this environment has no pip: install {{sources}} into it")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *sources], check=True)
    importlib.invalidate_caches()
"""
_PROFILE = '\nos.environ["NTH_PROFILE"] = "{profile}"  # the size of the parameters below\n'


def install_cell(
    sources: Iterable[str], wheel: str, wheel_address: str | None, profile: str | None = None
) -> str:
    """Write the first code cell of an exported notebook.

    Args:
        sources: the notebook's code cells.
        wheel: the file name of the library's wheel.
        wheel_address: where pip finds the wheel when none lies beside the notebook.
        profile: a profile that judges nothing or is recorded under its own name.
    """
    address = "None" if wheel_address is None else f'"{wheel_address}"'
    library = f"wheels[-1] if wheels else {address}"
    entries = [f'    "nthlib": {library},']
    entries += [f'    "{name}": "{what}",' for name, what in extra_packages(sources).items()]
    needed = "\n".join(["{", *entries, "}"])
    cell = _CELL.format(needed=needed, wheel=wheel)
    if profile is None:
        return cell.replace("import os\n", "").rstrip()
    return (cell + _PROFILE.format(profile=profile)).rstrip()


def extra_packages(sources: Iterable[str]) -> dict[str, str]:
    """What code imports beyond the library's own requirements, from the extra ``book``.

    By module, as requirements that pip reads.
    """
    imported = {name for source in sources for name in imported_modules(source)}
    wanted = {}
    for text in metadata.requires("nthlib") or []:
        requirement = Requirement(text)
        module = requirement.name.lower().replace("-", "_")
        if module in imported and _in_extra(requirement, "book"):
            wanted[module] = f"{requirement.name}{requirement.specifier}"
    return wanted


def _in_extra(requirement: Requirement, extra: str) -> bool:
    """Whether an extra asks for it and the library alone does not."""
    marker = requirement.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return False
    return marker.evaluate({"extra": extra})


def imported_modules(source: str) -> set[str]:
    """The top-level modules that a cell of code imports; none where it is not pure Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set()
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module.partition(".")[0])
    return modules


def with_values(source: str, values: Mapping[str, Any]) -> str:
    """Return a parameters cell with other values in place; its comments stay."""
    lines = source.encode().splitlines(keepends=True)
    for statement in reversed(ast.parse(source).body):
        name, value = _assigned(statement)
        if value is None or name not in values or ast.literal_eval(value) == values[name]:
            continue
        first, last = value.lineno - 1, (value.end_lineno or value.lineno) - 1
        before, after = lines[first][: value.col_offset], lines[last][value.end_col_offset :]
        new, comment = _literal(values[name]).encode(), after.lstrip(b" ")
        # A comment stays in its column, where the value leaves room for it.
        room = len(lines[first]) - len(before) - len(new) - len(comment) if first == last else 0
        gap = b" " * max(room, 2) if comment.startswith(b"#") else b""
        lines[first : last + 1] = [before + new + gap + comment]
    return b"".join(lines).decode()


def _literal(value: Any) -> str:
    """A value as code; strings in double quotes, as the chapters write them."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _assigned(statement: ast.stmt) -> tuple[str, ast.expr | None]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            return name, value
    return "", None
