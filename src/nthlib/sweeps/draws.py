"""Many independent draws at every width, in one compiled program a width."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, PRNGKeyArray

from nthlib import checks
from nthlib.memory import check_memory
from nthlib.spelling import spelled
from nthlib.sweeps.cells import run_kept
from nthlib.sweeps.independence import check_keys, depends, numpy_state

Measure = Callable[..., dict[str, Array]]
_Program = Callable[[PRNGKeyArray], dict[str, Array]]

_KEYS = "threefry2x32"  # of which a batch gives what each key gives alone


@spelled
def draws(
    measure: Measure,
    *,
    widths: Sequence[int],
    seeds: int | Sequence[int],
    batch_size: int | None = None,
    **fixed: Any,
) -> dict[str, np.ndarray]:
    """Measure at every width, over many independent draws at once.

    ``measure(width, key, **fixed)`` returns a dict of arrays, of the same names, shapes and types
    at every width. It is compiled once a width and vectorised over seeds, so it has to be a JAX
    function of ``key``: random numbers of NumPy would be the same for all seeds. What does
    not depend on the key at all is measured with one seed. Where JAX has several
    devices, the seeds are shared out among them. Widths run as :func:`run_cells` runs its
    cases: through joblib, and with its cache of what is finished.

    Args:
        measure: the function to measure with.
        widths: hidden widths, each at least 1.
        seeds: how many draws, or the seeds themselves; the key of seed s at width m is
            ``fold_in(key(s), m)``, so that widths are independent of each other. Keys are of
            the implementation "threefry2x32" whatever JAX's default: with "rbg" a seed would
            give another value beside other seeds.
        batch_size: seeds taken together; all by default. Fewer need less memory. One at a time
            is a plain loop: the least to compile, and on a CPU the fastest for training runs and
            wide networks, whose solvers wait for the slowest of a batch.
        fixed: passed on to ``measure`` as they are.

    Returns:
        A dict of NumPy arrays, (widths, seeds, ..) followed by the axes of what was measured, under
        the names of ``measure`` and in its order.

    Raises:
        TypeError, ValueError: naming the argument. That is ``measure`` when its names, shapes or
            types differ from width to width, when it draws from NumPy's global state or with keys
            of the implementation "rbg", or when several seeds are asked for and none of its
            results depends on the key.
        MemoryError: when so many seeds, or what the compiled measurement plans for them, would not
            fit; before it runs.

    >>> import jax, nthlib as nth
    >>> def spread(width, key):
    ...     return {"mean": jax.random.normal(key, (width,)).mean()}
    >>> nth.draws(spread, widths=[4, 16], seeds=3)["mean"].shape
    (2, 3)
    """
    if not callable(measure):
        raise TypeError(
            f"measure must be a function (width, key, ..) -> dict, got {checks.describe(measure)}"
        )
    checks.takes("measure", measure, "(width, key) and what is fixed", 1, None, **fixed)
    if not isinstance(widths, Iterable) or checks.axes(widths) == 0:
        got = checks.describe(widths)
        raise TypeError(f"widths must be a list of whole numbers, got {got}")
    widths = _distinct("widths", widths, 1)
    if checks.axes(seeds) == 0:
        check_memory(64 * checks.whole_number("seeds", seeds, 1), None, "fewer seeds")
        seeds = range(seeds)  # type: ignore[arg-type]
    numbers = _distinct("seeds", seeds, 0)  # type: ignore[arg-type]
    if batch_size is not None:
        batch_size = min(checks.whole_number("batch_size", batch_size, 1), len(numbers))

    # Seeds and batches are part of a cell, and of what tells a kept one from another.
    options = {
        "measure": measure,
        "seeds": tuple(numbers),
        "batch_size": batch_size,
        "fixed": fixed,
    }
    origin = (measure, fixed, options["seeds"], batch_size)
    name = getattr(measure, "__name__", "draws")
    rows = run_kept(name, _measure_width, widths, options, origin)
    _check_rows(widths, rows)
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _distinct(name: str, numbers: Iterable[Any], minimum: int) -> list[int]:
    listed = [checks.whole_number(name, number, minimum) for number in numbers]
    if not listed or len(set(listed)) < len(listed) or max(listed) >= 2**32:
        raise ValueError(f"{name} must be distinct and at least one, each below 2**32")
    return listed


def _measure_width(
    width: int,
    measure: Measure,
    seeds: tuple[int, ...],
    batch_size: int | None,
    fixed: dict[str, Any],
) -> dict[str, Array]:
    names: list[str] = []  # compiled functions return them sorted

    def one(key: PRNGKeyArray) -> dict[str, Array]:
        results = _arrays(measure(width, key, **fixed))
        names[:] = results
        return results

    def all_of(keys: PRNGKeyArray) -> dict[str, Array]:
        if batch_size is None:
            return jax.vmap(one)(keys)
        # A batch of one would still be vectorised: more to compile, and both branches of a cond.
        return jax.lax.map(one, keys, batch_size=None if batch_size == 1 else batch_size)

    keys = _keys(np.asarray(seeds, dtype=np.uint32), width)
    devices = jax.local_devices()[: len(seeds)]
    if len(devices) > 1:
        found = _on_devices(all_of, keys, devices, batch_size)
    else:
        found = _run(all_of, keys, batch_size or len(seeds))
    return {name: found[name] for name in names}


def _run(function: _Program, keys: PRNGKeyArray, together: int) -> dict[str, Array]:
    """``function`` of the keys, if every seed has numbers of its own in it."""
    before = numpy_state()
    traced = jax.jit(function).trace(keys)
    if numpy_state() != before:
        raise ValueError(
            "measure must not draw from NumPy's global random state: it is asked once, and all "
            "seeds get the same numbers; draw with jax.random and the key, or with "
            "np.random.default_rng(number) what all seeds are to share"
        )
    program = traced.jaxpr.jaxpr
    check_keys(program, together)
    if keys.shape[0] > 1 and not any(depends(program, [True])):
        raise ValueError(
            "measure must depend on its key: all seeds would give the same results, as random "
            "numbers of NumPy or Python do; draw with jax.random and the key, or ask for one seed"
        )
    compiled = traced.lower().compile()
    plan = compiled.memory_analysis()  # only the compiler knows what it will hold
    if plan is not None:
        planned = plan.temp_size_in_bytes + plan.output_size_in_bytes
        check_memory(int(planned), None, "a batch_size below the number of seeds")
    found: dict[str, Array] = compiled(keys)
    return found


def _on_devices(
    function: _Program, keys: PRNGKeyArray, devices: list[jax.Device], batch_size: int | None
) -> dict[str, Array]:
    """``function`` of all keys, an equal share of them on every device.

    The last key fills up what the number of devices does not divide.
    """
    number = keys.shape[0]
    share = -(-number // len(devices))
    places = np.minimum(np.arange(share * len(devices)), number - 1)
    shares = PartitionSpec("seeds")
    sharded = jax.shard_map(
        function,
        mesh=jax.sharding.Mesh(np.array(devices), ("seeds",)),
        in_specs=shares,
        out_specs=shares,
        check_vma=False,  # nothing is exchanged between the devices
    )
    found = _run(sharded, keys[places], batch_size or share)
    return {name: value[:number] for name, value in found.items()}


def _arrays(results: Any) -> dict[str, Array]:
    if not isinstance(results, dict) or not results:
        raise TypeError(f"measure must return a dict of arrays, got {type(results).__name__}")
    for name, value in results.items():
        if not isinstance(name, str):
            raise TypeError(f"measure must return a dict with names, but {name!r} is no string")
        if not _is_numbers(value):
            raise TypeError(f"measure must return a dict of arrays, but {name!r} is not one")
    return results


def _is_numbers(value: Any) -> bool:
    if not isinstance(value, (jax.Array, np.ndarray, np.generic)):
        return isinstance(value, (int, float, complex))
    return jax.numpy.issubdtype(value.dtype, np.number) or value.dtype == bool


def _check_rows(widths: Sequence[int], rows: Sequence[dict[str, Any]]) -> None:
    first = rows[0]
    for width, row in zip(widths, rows, strict=True):
        if row.keys() != first.keys():
            raise ValueError(
                f"measure must return the same names at every width, got {', '.join(first)} at "
                f"width {widths[0]} and {', '.join(row)} at width {width}"
            )
        for name, value in row.items():
            of_one, of_first = value.shape[1:], first[name].shape[1:]
            if of_one != of_first:
                raise ValueError(
                    f"measure must return the same shapes at every width, got {name!r} of shape "
                    f"{of_first} at width {widths[0]} and {of_one} at width {width}"
                )
            if value.dtype != first[name].dtype:
                raise TypeError(
                    f"measure must return the same types at every width, got {name!r} as "
                    f"{first[name].dtype} at width {widths[0]} and {value.dtype} at width {width}"
                )


@jax.jit
def _keys(seeds: Array, width: int) -> PRNGKeyArray:
    """One key a seed; apart from the measurement, so that all widths share what is compiled."""

    def key(seed: Array) -> PRNGKeyArray:
        return jax.random.fold_in(jax.random.key(seed, impl=_KEYS), width)

    return jax.vmap(key)(seeds)
