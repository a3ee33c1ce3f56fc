"""Files of one's own: the modules that code imports and that no installed package holds."""

import ast
import hashlib
import importlib.util
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_MAGIC = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)


def is_installed(file: str | Path) -> bool:
    """Whether a file belongs to Python, to an installed package or to this library.

    An editable install does not count as one: its files change where they lie.
    """
    path = Path(file).resolve()
    if path.is_relative_to(Path(__file__).resolve().parents[1]):
        return True
    return {"site-packages", "dist-packages"} & set(path.parts) != set() or any(
        path.is_relative_to(folder) for folder in _installation()
    )


@cache
def _installation() -> tuple[Path, ...]:
    folders = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(Path(folder).resolve() for folder in (*folders, *site.getsitepackages()))


def imported_files(source: str, package: str = "", beside: Iterable[Path] = ()) -> dict[str, str]:
    """Digests of the files of one's own that a source imports, and those import in turn, by name.

    Nothing is imported for it. What cannot be parsed, or be found, is left out: it would not
    run either.

    Args:
        source: Python, perhaps with a notebook's magics.
        package: the package of the source, from which its relative imports are resolved.
        beside: folders to look in before ``sys.path``.
    """
    PathFinder.invalidate_caches()
    folders = [str(folder) for folder in beside]
    found: dict[str, str] = {}
    waiting = list(_imports(source, package))
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        spec = _find(name, folders)
        if spec is None or not (file := source_file(spec)):
            continue
        content = file.read_bytes()
        found[name] = hashlib.sha256(content).hexdigest()
        if file.suffix == ".py":
            inside = name if spec.submodule_search_locations is not None else _parent(name)
            waiting += _imports(content.decode("utf-8", errors="replace"), inside)
    return dict(sorted(found.items()))


def source_file(spec: ModuleSpec | None) -> Path | None:
    """The file of a module, when there is one and no installed package holds it."""
    if spec is None or not spec.has_location or not spec.origin or is_installed(spec.origin):
        return None
    path = Path(spec.origin)
    return path if path.is_file() else None


def _imports(source: str, package: str) -> Iterator[str]:
    """Modules that may be imported, each after the packages around it."""
    try:
        tree = ast.parse(_MAGIC.sub("", source))
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                wanted = [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                base = _resolve("." * level + (module or ""), package)
                wanted = [base, *(f"{base}.{alias.name}" for alias in names)] if base else []
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                wanted = [_resolve(name, package)]
            case _:
                continue
        for name in wanted:
            parts = name.split(".")
            yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def _resolve(name: str, package: str) -> str:
    try:
        return importlib.util.resolve_name(name, package or None)
    except ImportError:
        return ""


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _find(name: str, folders: list[str]) -> ModuleSpec | None:
    """Find a module as an import would, without running the packages around it."""
    try:
        if not _parent(name):
            return PathFinder.find_spec(name, folders) or _ask_finders(name, None)
        around = _find(_parent(name), folders)
        if around is None or around.submodule_search_locations is None:
            return None
        if around.origin and is_installed(around.origin):
            return None  # nothing within is of interest
        return _ask_finders(name, list(around.submodule_search_locations))
    except (ImportError, AttributeError, ValueError, OSError):
        return None


def _ask_finders(name: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:  # editable installs bring finders of their own
        spec = finder.find_spec(name, path) if hasattr(finder, "find_spec") else None
        if spec is not None:
            return spec
    return None
