"""A name for what a computation depends on, so that a cached result is used only while true."""

import contextlib
import copyreg
import dis
import functools
import hashlib
import sys
import threading
import types
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import joblib
import numpy as np

from nthlib.sweeps.sources import imported_files, is_installed, source_file

_ATOMS = (type(None), bool, float, complex, str, bytes, type(...), type(NotImplemented))
_BUILT_IN = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    type(threading.Lock()),  # holds nothing that a number could depend on
    type(threading.RLock()),
)
# What Python and JAX note of a class or a function, and no number depends on.
_NOTES = {
    "__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__",
    "__dataclass_fields__", "__dict__", "__doc__", "__firstlineno__", "__module__", "__name__",
    "__qualname__", "__static_attributes__", "__weakref__", "_abc_impl", "_jit_info",
}  # fmt: skip


def fingerprint(*things: Any) -> str:
    """Hash functions and data with all that they reach, this library's sources and JAX's version.

    Of a function its code counts, with its defaults, its attributes and whatever globals and
    closed-over names it or a function inside it uses; of a class its members, bases and
    metaclass; of an object its class and its attributes; of a module what is looked up in it.
    Each of them counts as it is in memory, and beside it the whole file that it was imported
    from, with the files that this file imports. Of an installed package the version alone counts.

    Raises:
        TypeError: when what is reached cannot be compared with what it was in another
            process: a generator, an open file, a traced array.
    """
    found = _Walk().all(things)
    return hashlib.sha256(repr((found, library_digest(), jax.__version__)).encode()).hexdigest()


class _Walk:
    """One description a thing, in the order in which they are met; others refer to its number."""

    def __init__(self) -> None:
        # The things are kept, so that no other takes over the id of one that is gone.
        self.numbers: dict[int, tuple[int, Any]] = {}
        self.waiting: deque[tuple[Any, str, frozenset[str]]] = deque()
        # The name by which a thing was reached, and those of the members of classes and objects
        # on the way to it: it is used if code of one's own names them all.
        self.name, self.way = "measure", frozenset[str]()
        self.named: set[str] = set()
        self.modules: list[tuple[types.ModuleType, set[str]]] = []
        self.unknown: list[tuple[str, str, frozenset[str]]] = []

    def all(self, things: Iterable[Any]) -> list[Any]:
        found: list[Any] = [self.token(thing) for thing in things]
        while self.waiting:
            while self.waiting:
                thing, self.name, self.way = self.waiting.popleft()
                found.append(tuple(self.describe(thing)))
            found += self.looked_up()
        for name, kind, way in self.unknown:
            if way <= self.named:
                raise TypeError(
                    f"a cell cannot be kept: it reaches {name}, of type {kind}, which cannot be "
                    "compared from one run to the next; pass on what it holds, or unset NTH_CACHE"
                )
        return found

    def token(self, thing: Any, name: str | None = None, member: str | None = None) -> Any:
        """What stands for a thing, reached by a name, inside the description of another."""
        kind = type(thing)
        if kind in _ATOMS:
            return kind.__name__, repr(thing)
        if kind is int:
            return "int", hex(thing)  # of any length
        if kind in (tuple, frozenset):
            entries = thing if kind is tuple else sorted(thing, key=repr)
            return kind.__name__, tuple(self.token(entry, name, member) for entry in entries)
        if kind is types.CodeType:
            return self.code(thing)
        if id(thing) not in self.numbers:
            self.numbers[id(thing)] = len(self.numbers), thing
            way = self.way if member is None else self.way | {member}
            self.waiting.append((thing, name or member or self.name, way))
        return self.numbers[id(thing)][0]

    def members(self, table: Mapping[str, Any]) -> tuple[Any, ...]:
        """Named parts of a thing, of which some may be of no concern."""
        return tuple(
            (name, self.token(value, member=name))
            for name, value in sorted(table.items(), key=lambda item: str(item[0]))
            if name not in _NOTES
        )

    def describe(self, thing: Any) -> Iterator[Any]:
        yield type(thing).__qualname__
        if _is_installed_by_name(thing):
            yield _installed_name(thing)
        elif isinstance(thing, types.ModuleType):
            yield from self.module(thing)
        elif isinstance(thing, type):
            yield from self.of_class(thing)
        elif isinstance(thing, types.FunctionType):
            yield from self.function(thing)
        elif isinstance(thing, types.MethodType):
            yield self.token((thing.__self__, thing.__func__))
        elif isinstance(thing, types.BuiltinFunctionType):
            yield thing.__name__
            yield self.token(thing.__self__)
        elif isinstance(thing, _BUILT_IN):
            yield getattr(thing, "__qualname__", "")
        elif isinstance(thing, jax.Device):
            yield repr(thing)
        elif isinstance(thing, types.CellType):
            with contextlib.suppress(ValueError):  # still empty
                yield self.token(thing.cell_contents)
        elif isinstance(thing, (staticmethod, classmethod)):
            yield self.token(thing.__func__)
        elif isinstance(thing, functools.cached_property):
            yield self.token(thing.func)
        elif isinstance(thing, property):
            yield self.token((thing.fget, thing.fset, thing.fdel))
        elif isinstance(thing, weakref.ref):
            yield self.token(thing())
        elif isinstance(thing, (jax.Array, np.ndarray, np.generic)):
            yield from self.array(thing)
        elif type(thing) in (dict, types.MappingProxyType):
            for key, value in thing.items():
                yield self.token(key), self.token(value, key if isinstance(key, str) else None)
        elif type(thing) is list:
            yield tuple(map(self.token, thing))
        elif type(thing) is set:
            yield self.token(frozenset(thing))
        else:
            yield from self.instance(thing)

    def looked_up(self) -> list[Any]:
        """What modules hold under the names met so far: a file may have been edited since."""
        self.way = frozenset()
        met = []
        for number, (module, done) in enumerate(self.modules):
            names = {name for name in (self.named & vars(module).keys()) - done if name[:2] != "__"}
            done |= names
            met += [(number, name, self.token(vars(module)[name], name)) for name in sorted(names)]
        return met

    def module(self, module: types.ModuleType) -> Iterator[Any]:
        yield module.__name__
        file = getattr(module, "__file__", None)
        if module.__name__ in sys.builtin_module_names or (file and is_installed(file)):
            yield _version(module.__name__)
            return
        yield _file(module.__name__)
        self.modules.append((module, set()))

    def of_class(self, cls: type) -> Iterator[Any]:
        yield cls.__qualname__
        yield _file(cls.__module__)
        yield self.token((type(cls), cls.__bases__))
        yield self.members(vars(cls))

    def function(self, function: types.FunctionType) -> Iterator[Any]:
        closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        closed_over = {name: self.token(cell, name) for name, cell in closure}
        yield tuple(closed_over.items())
        yield self.members(vars(function))
        module = function.__globals__.get("__name__", "")
        if _is_installed_code(function):
            yield module, function.__qualname__, _version(module)
            return
        yield _file(module)
        yield self.token((function.__code__, function.__defaults__))
        for name, value in sorted((function.__kwdefaults__ or {}).items()):
            yield name, self.token(value, name)
        names = _names(function.__code__)
        self.named |= names
        for name in sorted(names & function.__globals__.keys()):
            yield name, self.token(function.__globals__[name], name)
        for name in sorted(_imported_names(function.__code__)):
            yield name, tuple(imported_files(f"import {name}").items())
            if name in sys.modules:
                yield self.token(sys.modules[name], name)

    def code(self, code: types.CodeType) -> tuple[Any, ...]:
        signature = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        table = getattr(code, "co_exceptiontable", b"")
        constants = self.token(code.co_consts)
        return code.co_code, code.co_flags, signature, names, table, constants

    def array(self, array: Any) -> Iterator[Any]:
        if isinstance(array, jax.core.Tracer):
            self.unknown.append((self.name, "traced array", self.way))
            return
        if isinstance(array, jax.Array):
            yield str(array.dtype)
            yield getattr(array, "weak_type", False)
            is_key = jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key)
            array = np.asarray(jax.random.key_data(array) if is_key else array)
        if isinstance(array, np.ma.MaskedArray):
            yield joblib.hash(np.ma.getmaskarray(array))
        array = np.asarray(array)
        if array.dtype.hasobject:
            yield array.shape
            yield self.token(array.tolist())
        else:
            yield joblib.hash(array)

    def instance(self, thing: Any) -> Iterator[Any]:
        """An object by its class, its attributes and what a copy of it would be made from."""
        cls = type(thing)
        yield self.token(cls)
        copied = [getattr(cls, name) for name in ("__reduce_ex__", "__reduce__", "__getstate__")]
        is_plain = copied == [object.__reduce_ex__, object.__reduce__, object.__getstate__]
        is_wrapper = hasattr(thing, "__wrapped__")  # such as a function that is compiled
        if is_plain or is_wrapper or not _is_installed_by_name(cls):
            attributes = object.__getstate__(thing)
            for table in attributes if isinstance(attributes, tuple) else (attributes,):
                yield self.members(table or {})
        if is_wrapper:
            yield self.token(thing.__wrapped__)
            return
        try:
            reduce = copyreg.dispatch_table.get(cls)
            made_from = reduce(thing) if reduce else thing.__reduce_ex__(4)
        except Exception:  # of any kind: methods of one's own are asked
            if not any(isinstance(method, types.FunctionType) for method in copied):
                self.unknown.append((self.name, cls.__name__, self.way))
            return
        if isinstance(made_from, str):  # found by its name, in a module that is no package's
            yield made_from
            return
        make, arguments, state, items, pairs = (*made_from, None, None, None)[:5]
        yield self.token((make, arguments))
        if not is_plain:
            yield self.token(state)
        yield self.token((*(items or ()), *map(tuple, pairs or ())))


def _is_installed_by_name(thing: Any) -> bool:
    """Whether an installed module holds this very thing under its name."""
    if isinstance(thing, types.ModuleType):
        return False
    home = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if not isinstance(home, str) or not isinstance(name, str):
        return False
    module = sys.modules.get(home)
    if module is None or not _is_installed_module(module):
        return False
    held: Any = module
    for part in name.split("."):
        held = getattr(held, part, None)
    return held is thing


def _is_installed_module(module: types.ModuleType) -> bool:
    if module.__name__ == "__main__":
        return False
    file = getattr(module, "__file__", None)
    return is_installed(file) if file else module.__name__ in sys.stdlib_module_names


def _is_installed_code(function: types.FunctionType) -> bool:
    file = function.__code__.co_filename
    if Path(file).is_file():
        return is_installed(file)
    # Made from text, as the methods of a dataclass are: it belongs where its globals do.
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    if module is None or vars(module) is not function.__globals__:
        return False
    return _is_installed_module(module)


def _installed_name(thing: Any) -> tuple[str, str, str]:
    name = getattr(thing, "__qualname__", None) or thing.__name__
    return thing.__module__, name, _version(thing.__module__)


def _version(module: str) -> str:
    return str(getattr(sys.modules.get(module.partition(".")[0]), "__version__", ""))


def _file(name: str) -> tuple[Any, ...]:
    """The file of a module that was imported, with those that it imports; none of a notebook."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    file = None if name == "__main__" else source_file(spec)
    if file is None or spec is None:
        return ()
    content = file.read_bytes()
    source = content.decode("utf-8", errors="replace")
    imported = imported_files(source, spec.parent or "")
    return name, hashlib.sha256(content).hexdigest(), tuple(imported.items())


def _names(code: types.CodeType) -> set[str]:
    """Names a function may look up, in text as well, and those in functions inside it."""
    text = {constant for constant in code.co_consts if isinstance(constant, str)}
    return set(code.co_names).union(text, *map(_names, _inside(code)))


def _imported_names(code: types.CodeType) -> set[str]:
    """Modules that a function imports when it is called."""
    own = {step.argval for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"}
    return own.union(*map(_imported_names, _inside(code)))


def _inside(code: types.CodeType) -> list[types.CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]


@functools.cache
def library_digest() -> str:
    """Hash of this library's sources."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
