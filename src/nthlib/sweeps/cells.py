"""Independent pieces of a computation: run on joblib's engines, and kept once finished."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle
import jax
import joblib
import numpy as np
from tqdm import tqdm

from nthlib import checks
from nthlib.spelling import spelled
from nthlib.sweeps.fingerprint import fingerprint, library_digest

_DELAY_SECONDS = 5.0  # before a bar is shown
_PATIENCE_SECONDS = 10.0  # for a scheduler to answer

# Settings of JAX on which numbers depend. A worker process starts with its own, single
# precision among them, whatever the one that asked has chosen.
_NUMERICAL = (
    "jax_enable_x64",
    "jax_disable_most_optimizations",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_numpy_dtype_promotion",
)


@spelled
def run_cells(measure: Callable[..., Any], cases: Iterable[Any], **fixed: Any) -> list[Any]:
    """Run ``measure(case, **fixed)`` for every case, and return the results in order.

    The cases run through joblib: one after the other unless ``joblib.parallel_config``
    chooses processes or a cluster, or the environment names a Dask scheduler as
    ``NTH_SCHEDULER``. Where the environment names a folder ``NTH_CACHE``, finished cases are
    kept there and reused until an argument, the precision, the library or something that
    ``measure`` reaches changes: functions, classes, objects and constants as they are in
    memory, and the files of imported modules that no installed package holds. Data files
    and environment variables that it reads do not count. How many were reused is said on stderr.

    Args:
        measure: a function of a case. What it and the functions it calls look up must be
            what joblib can pickle, if they are to run in other processes.
        cases: what tells the cells apart: widths, names, tuples of numbers.
        fixed: passed on to ``measure`` as they are.

    Returns:
        What ``measure`` returned for each case, with NumPy arrays in the place of JAX's and the
        names of dicts in their order.

    Raises:
        TypeError: when ``measure`` is not a function or ``cases`` not a list, or when cells are
            to be kept that reach what cannot be compared from one run to the next, such as a
            generator or an open file.
        RuntimeError: when another process holds another version of this library.

    >>> import nthlib as nth
    >>> def area(side, height):
    ...     return side * height
    >>> nth.run_cells(area, [1, 2, 3], height=2)
    [2, 4, 6]
    """
    if not callable(measure):
        raise TypeError(f"measure must be a function of a case, got {checks.describe(measure)}")
    if isinstance(cases, str) or not isinstance(cases, Iterable) or checks.axes(cases) == 0:
        raise TypeError(f"cases must be a list, got {checks.describe(cases)}")
    name = getattr(measure, "__name__", "cells")
    return run_kept(name, measure, list(cases), fixed, (measure, fixed))


def run_kept(
    name: str,
    measure: Callable[..., Any],
    cases: Sequence[Any],
    fixed: dict[str, Any],
    origin: tuple[Any, ...],
) -> list[Any]:
    """:func:`run_cells` where a kept cell comes from ``origin``, its case and nothing else."""
    keep = _keeper()
    numerical = {setting: jax.config.values[setting] for setting in _NUMERICAL}
    is_kept = bool(os.environ.get("NTH_CACHE"))
    stamp = fingerprint(*origin) if is_kept else ""
    calls = [
        (
            _Task(measure, case, fixed, numerical),
            f"{stamp} {fingerprint(case)}" if is_kept else "",
            numerical,
        )
        for case in cases
    ]
    if is_kept:
        known = sum(keep.check_call_in_cache(*call) for call in calls)
        tqdm.write(f"{name}: {known} of {len(calls)} cells from the cache", file=sys.stderr)
    with _engine():
        # One cell a task: a worker that is lost costs what it was at and nothing more.
        results = joblib.Parallel(return_as="generator", batch_size=1)(
            joblib.delayed(keep)(*call) for call in calls
        )
        bar = tqdm(
            results, total=len(calls), desc=name, unit="cell", delay=_DELAY_SECONDS, leave=False
        )
        return list(bar)


@dataclass(frozen=True)
class _Task:
    """A cell to be computed here, or in a process with settings of its own."""

    measure: Callable[..., Any]
    case: Any
    fixed: dict[str, Any]
    numerical: dict[str, Any]

    def __call__(self) -> Any:
        return _in_numpy(self.measure(self.case, **self.fixed))

    def __reduce__(self) -> Any:
        # The arrays within are unpickled last: JAX would round them to single precision in
        # a process that has not been told otherwise.
        contents = cloudpickle.dumps((self.measure, self.case, self.fixed, self.numerical))
        return _restore, (self.numerical, library_digest(), contents)


def _restore(numerical: dict[str, Any], digest: str, contents: bytes) -> _Task:
    if library_digest() != digest:
        raise RuntimeError("a worker has another version of nthlib than the one that asked")
    for setting, value in numerical.items():
        if jax.config.values[setting] != value:
            jax.config.update(setting, value)
    return _Task(*cloudpickle.loads(contents))


def _run_cell(task: _Task, key: str, numerical: dict[str, Any]) -> Any:
    """Key and settings are what tells a kept result from another."""
    del key, numerical
    return task()


def _in_numpy(result: Any) -> Any:
    """The result with NumPy's arrays for JAX's, and the names of dicts in their order."""

    def convert(part: Any) -> Any:
        if type(part) is dict:  # jax.tree.map would sort it
            return {name: _in_numpy(entry) for name, entry in part.items()}
        return np.asarray(part) if _is_array(part) else part

    return jax.tree.map(convert, result, is_leaf=lambda part: type(part) is dict)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and not jax.numpy.issubdtype(leaf.dtype, jax.dtypes.extended)


def _keeper() -> Any:
    """One cell, kept on disk where ``NTH_CACHE`` names a folder; computed anew if ``NTH_FORCE``."""
    # The key stands for the task: of a function joblib would see the outermost source alone.
    return joblib.Memory(os.environ.get("NTH_CACHE") or None, verbose=0).cache(
        _run_cell,
        ignore=["task"],
        cache_validation_callback=_is_wanted,
    )


def _is_wanted(_: Any) -> bool:
    return not os.environ.get("NTH_FORCE")


def _engine() -> Any:
    """The cluster that ``NTH_SCHEDULER`` names, or whatever joblib has been told."""
    address = os.environ.get("NTH_SCHEDULER")
    if not address:
        return contextlib.nullcontext()
    return joblib.parallel_config(backend="dask", client=_client(address))


@functools.cache
def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise RuntimeError("NTH_SCHEDULER needs Dask: pip install 'nthlib[cluster]'") from error
    return Client(address, timeout=_PATIENCE_SECONDS)
