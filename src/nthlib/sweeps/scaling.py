"""Sweeps over width and seeds, and the exponents they show."""

import importlib.metadata
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
import xarray as xr
from jax.sharding import PartitionSpec
from jaxtyping import Array, PRNGKeyArray

from nthlib import checks
from nthlib.memory import check_memory
from nthlib.spelling import spelled
from nthlib.sweeps.cells import run_kept
from nthlib.sweeps.independence import check_keys, depends, numpy_state

Measure = Callable[..., dict[str, Array]]
_Program = Callable[[PRNGKeyArray], dict[str, Array]]
Statistic = Literal["median", "mean", "rms", "p90"]

_KEYS = "threefry2x32"  # of which a batch gives what each key gives alone
_RESAMPLES = 2000
_STATISTICS: dict[str, Callable[..., np.ndarray]] = {
    "median": np.median,
    "mean": np.mean,
    "rms": lambda values, axis: np.sqrt(np.mean(values**2, axis=axis)),
    "p90": lambda values, axis: np.percentile(values, 90, axis=axis),
}


@spelled
def sweep(
    measure: Measure,
    *,
    widths: Sequence[int],
    seeds: int | Sequence[int],
    batch_size: int | None = None,
    **fixed: Any,
) -> xr.Dataset:
    """Measure at every width, over many independent draws at once.

    ``measure(width, key, **fixed)`` returns a dict of scalars, of the same names and types at
    every width. It is compiled once a width and vectorised over seeds, so it has to be a JAX
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
        batch_size: seeds taken together; all by default. Less memory, a little slower.
        fixed: passed on to ``measure`` as they are.

    Returns:
        A Dataset with a variable for every scalar and dimensions (width, seed). Its ``attrs`` are
        what a single draw can be repeated from: how its ``key`` follows from seed and width,
        whether ``x64`` was on, and the versions of ``jax`` and ``nthlib``.

    Raises:
        TypeError, ValueError: naming the argument. That is ``measure`` when its names or types
            differ from width to width, when it draws from NumPy's global state or with keys of
            the implementation "rbg", or when several seeds are asked for and none of its
            results depends on the key.
        MemoryError: when so many seeds, or what the compiled measurement plans for them, would not
            fit; before it runs.

    >>> import jax, nthlib as nth
    >>> def spread(width, key):
    ...     return {"mean": jax.random.normal(key, (width,)).mean()}
    >>> nth.sweep(spread, widths=[4, 16], seeds=3)["mean"].shape
    (2, 3)
    """
    if not callable(measure):
        raise TypeError(
            f"measure must be a function (width, key, ..) -> dict, got {checks.describe(measure)}"
        )
    _check_call(measure, fixed)
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
    name = getattr(measure, "__name__", "sweep")
    rows = run_kept(name, _measure_width, widths, options, origin)
    _check_rows(widths, rows)
    variables = {
        name: (("width", "seed"), np.stack([row[name] for row in rows])) for name in rows[0]
    }
    # What a reader needs to draw a cell again.
    attrs: dict[str, Any] = {
        "key": f'fold_in(key(seed, impl="{_KEYS}"), width)',
        "x64": bool(jax.config.jax_enable_x64),  # type: ignore[attr-defined]
        "jax": jax.__version__,
        "nthlib": importlib.metadata.version("nthlib"),
    }
    return xr.Dataset(variables, coords={"width": widths, "seed": numbers}, attrs=attrs)


def _check_call(measure: Measure, fixed: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(measure)
    except (TypeError, ValueError):  # not every callable has one
        return
    try:
        signature.bind(1, None, **fixed)
    except TypeError as error:
        raise TypeError(f"measure must take (width, key) and what is fixed: {error}") from error


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
    def one(key: PRNGKeyArray) -> dict[str, Array]:
        return _scalars(measure(width, key, **fixed))

    def all_of(keys: PRNGKeyArray) -> dict[str, Array]:
        if batch_size is None:
            return jax.vmap(one)(keys)
        return jax.lax.map(one, keys, batch_size=batch_size)

    keys = _keys(np.asarray(seeds, dtype=np.uint32), width)
    devices = jax.local_devices()[: len(seeds)]
    if len(devices) > 1:
        return _on_devices(all_of, keys, devices, batch_size)
    return _run(all_of, keys, batch_size or len(seeds))


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


def _scalars(results: Any) -> dict[str, Array]:
    if not isinstance(results, dict) or not results:
        raise TypeError(f"measure must return a dict of scalars, got {type(results).__name__}")
    for name, value in results.items():
        if not isinstance(name, str):
            raise TypeError(f"measure must return a dict with names, but {name!r} is no string")
        if name in ("width", "seed"):
            raise ValueError(f"measure must name no result {name!r}: so an axis is called")
        if not isinstance(value, (jax.Array, np.generic, int, float)) or np.shape(value) != ():
            raise TypeError(f"measure must return a dict of scalars, but {name!r} is not one")
    return results


def _check_rows(widths: Sequence[int], rows: Sequence[dict[str, Any]]) -> None:
    first = rows[0]
    for width, row in zip(widths, rows, strict=True):
        if row.keys() != first.keys():
            raise ValueError(
                f"measure must return the same names at every width, got {', '.join(first)} at "
                f"width {widths[0]} and {', '.join(row)} at width {width}"
            )
        for name, value in row.items():
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


@dataclass(frozen=True)
class ExponentFit:
    """A power law value ≈ exp(intercept) · width^value, fitted to a statistic over seeds.

    ``low`` and ``high`` bound the exponent's 95 % bootstrap interval; ``values`` are the
    statistic at each width, with ``values_low`` and ``values_high`` around them.

    >>> import numpy as np, xarray as xr, nthlib as nth
    >>> table = xr.DataArray([[3.0, 3.0], [1.5, 1.5]], dims=("width", "seed"),
    ...                      coords={"width": [4, 8]})
    >>> fit = nth.fit_exponent(table)
    >>> round(fit.value, 6), fit.values.tolist()
    (-1.0, [3.0, 1.5])
    """

    value: float
    low: float
    high: float
    intercept: float
    widths: np.ndarray
    values: np.ndarray
    values_low: np.ndarray
    values_high: np.ndarray
    statistic: str

    @property
    def x(self) -> np.ndarray:
        """The widths."""
        return self.widths

    def __str__(self) -> str:
        return f"exponent {self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@spelled
def fit_exponent(table: xr.DataArray, statistic: Statistic = "median") -> ExponentFit:
    """The log-log slope in width of a statistic over seeds, with its 95 % interval.

    The line is fitted by least squares to the logarithms, every width weighing the same. The
    interval is a percentile bootstrap over seeds: whole seeds are drawn again, with what
    they gave at every width, from a fixed random state.

    Args:
        table: a positive variable of :func:`sweep`, with dimensions (width, seed).
        statistic: "median" (robust), "mean", "rms" or "p90", the ninetieth percentile.

    Returns:
        An :class:`ExponentFit`, which prints as the slope with its interval.

    Raises:
        TypeError, ValueError: when the table has other dimensions, fewer than two widths or
            seeds, or values that are not finite and positive.

    Warns:
        UserWarning: when the table was measured in single precision.

    >>> import numpy as np, xarray as xr, nthlib as nth
    >>> widths = np.array([4, 16, 64])
    >>> table = xr.DataArray(3 / widths[:, None] * np.ones(5), dims=("width", "seed"),
    ...                      coords={"width": widths})
    >>> print(nth.fit_exponent(table))
    exponent -1.000 [-1.000, -1.000]
    """
    if not isinstance(table, xr.DataArray) or set(table.dims) != {"width", "seed"}:
        raise TypeError("table must be a DataArray with the dimensions width and seed")
    widths = table["width"].values if "width" in table.coords else np.zeros(1)
    if widths.dtype.kind not in "iuf" or len(set(widths)) < len(widths):
        raise ValueError("table must have a coordinate width of distinct numbers above 0")
    if not (np.isfinite(widths) & (widths > 0)).all():
        raise ValueError("table must have a coordinate width of distinct numbers above 0")
    if not isinstance(statistic, str) or statistic not in _STATISTICS:
        got = checks.describe(statistic)
        raise ValueError(f"statistic must be one of {', '.join(_STATISTICS)}, got {got}")
    samples = table.transpose("width", "seed").values
    if samples.dtype.kind not in "iuf":
        raise TypeError(f"table must hold real numbers, got {samples.dtype}")
    if min(samples.shape) < 2:
        raise ValueError(f"table must hold at least two widths and two seeds, got {samples.shape}")
    if not (np.isfinite(samples).all() and (samples > 0).all()):
        raise ValueError("table must hold finite values above 0: a power law has no others")
    if checks.is_single(samples):
        checks.warn(f"table was {checks.SINGLE}")
    samples = samples.astype(np.float64)

    slopes = _line(widths.astype(np.float64))
    reduce = _STATISTICS[statistic]
    draws = np.random.default_rng(0).integers(samples.shape[1], size=(_RESAMPLES, samples.shape[1]))
    with np.errstate(over="ignore", under="ignore"):
        values = reduce(samples, axis=1)
        resampled = np.stack([reduce(row[draws], axis=1) for row in samples])
    if not (np.isfinite(resampled).all() and (np.minimum(values, resampled.min(axis=1)) > 0).all()):
        raise ValueError(f"table must hold values whose {statistic} is finite and above 0")

    slope, intercept = slopes(np.log(values))
    low, high = np.percentile(slopes(np.log(resampled))[0], [2.5, 97.5])
    values_low, values_high = np.percentile(resampled, [2.5, 97.5], axis=1)
    return ExponentFit(
        float(slope), float(low), float(high), float(intercept),
        widths, values, values_low, values_high, statistic,
    )  # fmt: skip


def _line(widths: np.ndarray) -> Callable[[np.ndarray], tuple[Any, Any]]:
    """Least squares in log width, along the first axis."""
    x = np.log(widths)
    centred = x - x.mean()
    weights = centred / (centred @ centred)

    def fit(y: np.ndarray) -> tuple[Any, Any]:
        slope = np.tensordot(weights, y, axes=1)
        return slope, y.mean(axis=0) - slope * x.mean()

    return fit
