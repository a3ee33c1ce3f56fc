"""Sweeps over width and seeds, and the exponents they show."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import joblib
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray
from tqdm import tqdm

from nthlib import validation
from nthlib.fingerprint import fingerprint

Measure = Callable[..., dict[str, Array]]
Statistic = Literal["median", "mean", "rms", "p90"]

_RESAMPLES = 2000
_DELAY_SECONDS = 5.0
_STATISTICS: dict[str, Callable[..., np.ndarray]] = {
    "median": np.median,
    "mean": np.mean,
    "rms": lambda values, axis: np.sqrt(np.mean(values**2, axis=axis)),
    "p90": lambda values, axis: np.percentile(values, 90, axis=axis),
}


def sweep(
    measure: Measure,
    *,
    widths: Sequence[int],
    seeds: int | Sequence[int],
    batch_size: int | None = None,
    **fixed: Any,
) -> xr.Dataset:
    """Measure at every width, over many independent draws at once.

    ``measure(width, key, **fixed)`` returns a dict of scalars. It is compiled once a width
    and vectorised over seeds, so it has to be a JAX function of ``key``. Widths run through
    joblib: ``joblib.parallel_config`` chooses processes or a cluster, and nothing is chosen
    here. Where the environment names a folder ``NTH_CACHE``, finished widths are kept there
    and reused until ``measure``, the functions it calls, the library or an argument change.

    Args:
        measure: the function to measure with.
        widths: hidden widths, each at least 1.
        seeds: how many draws, or the seeds themselves; the key of seed s at width m is
            ``fold_in(key(s), m)``, so that widths are independent of each other.
        batch_size: seeds taken together; all by default. Less memory, a little slower.
        fixed: passed on to ``measure`` as they are.

    Returns:
        A Dataset with a variable for every scalar and dimensions (width, seed).

    Raises:
        TypeError, ValueError: naming the argument.

    >>> import jax, nthlib as nth
    >>> def spread(width, key):
    ...     return {"mean": jax.random.normal(key, (width,)).mean()}
    >>> nth.sweep(spread, widths=[4, 16], seeds=3)["mean"].shape
    (2, 3)
    """
    if not callable(measure):
        raise TypeError(f"measure must be a function (width, key, ..) -> dict, got {measure!r}")
    if not isinstance(widths, Iterable):
        raise TypeError(f"widths must be a list of whole numbers, got {widths!r}")
    widths = [validation.whole_number("widths", width, 1) for width in widths]
    if not widths or len(set(widths)) < len(widths):
        raise ValueError(f"widths must be distinct and at least one, got {widths}")
    numbers = range(validation.whole_number("seeds", seeds, 1)) if np.ndim(seeds) == 0 else seeds
    numbers = [validation.whole_number("seeds", seed, 0) for seed in numbers]  # type: ignore[union-attr]
    if not numbers or len(set(numbers)) < len(numbers) or max(numbers) >= 2**32:
        raise ValueError("seeds must be distinct and at least one, each below 2**32")
    if batch_size is not None:
        batch_size = min(validation.whole_number("batch_size", batch_size, 1), len(numbers))

    cell, stamp = _cell_runner(), fingerprint(measure, fixed)
    tasks = (
        joblib.delayed(cell)(measure, stamp, width, tuple(numbers), batch_size, fixed)
        for width in widths
    )
    results = joblib.Parallel(return_as="generator")(tasks)
    name = getattr(measure, "__name__", "sweep")
    shown = tqdm(
        results, total=len(widths), desc=name, unit="width", delay=_DELAY_SECONDS, leave=False
    )
    rows = list(shown)
    variables = {
        name: (("width", "seed"), np.stack([row[name] for row in rows])) for name in rows[0]
    }
    return xr.Dataset(variables, coords={"width": widths, "seed": numbers})


def _cell_runner() -> Callable[..., dict[str, np.ndarray]]:
    """One width, cached on disk where ``NTH_CACHE`` names a folder and ``NTH_FORCE`` is unset."""
    folder = os.environ.get("NTH_CACHE")
    if not folder:
        return _measure_width
    # The stamp stands for both: of a function joblib would see the outermost source alone.
    return joblib.Memory(folder, verbose=0).cache(
        _measure_width,
        ignore=["measure", "fixed"],
        cache_validation_callback=lambda _: not os.environ.get("NTH_FORCE"),
    )


def _measure_width(
    measure: Measure,
    stamp: str,
    width: int,
    seeds: tuple[int, ...],
    batch_size: int | None,
    fixed: dict[str, Any],
) -> dict[str, np.ndarray]:
    del stamp  # part of the cache key alone

    def one(key: PRNGKeyArray) -> dict[str, Array]:
        return _scalars(measure(width, key, **fixed))

    def all_of(keys: PRNGKeyArray) -> dict[str, Array]:
        if batch_size is None:
            return jax.vmap(one)(keys)
        return jax.lax.map(one, keys, batch_size=batch_size)

    results = jax.jit(all_of)(_keys(np.asarray(seeds, dtype=np.uint32), width))
    return {name: np.asarray(value) for name, value in results.items()}


def _scalars(results: Any) -> dict[str, Array]:
    if not isinstance(results, dict) or not results:
        raise TypeError(f"measure must return a dict of scalars, got {type(results).__name__}")
    for name, value in results.items():
        if not isinstance(value, (jax.Array, np.generic, int, float)) or np.shape(value) != ():
            raise TypeError(f"measure must return a dict of scalars, but {name!r} is not one")
    return results


@jax.jit
def _keys(seeds: Array, width: int) -> PRNGKeyArray:
    """One key a seed; apart from the measurement, so that all widths share what is compiled."""
    return jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), width))(seeds)


@dataclass(frozen=True)
class ExponentFit:
    """A power law value ≈ exp(intercept) · width^slope, fitted to a statistic over seeds.

    ``low`` and ``high`` bound the slope's 95 % bootstrap interval; ``values`` are the
    statistic at each width, with ``values_low`` and ``values_high`` around them.
    """

    slope: float
    low: float
    high: float
    intercept: float
    widths: np.ndarray
    values: np.ndarray
    values_low: np.ndarray
    values_high: np.ndarray
    statistic: str

    def __str__(self) -> str:
        return f"exponent {self.slope:.3f} [{self.low:.3f}, {self.high:.3f}]"


def fit_exponent(table: xr.DataArray, statistic: Statistic = "median") -> ExponentFit:
    """The log-log slope in width of a statistic over seeds, with its 95 % interval.

    The line is fitted by least squares to the logarithms, every width weighing the same. The
    interval is a percentile bootstrap over seeds: whole seeds are drawn again, with what
    they gave at every width, from a fixed random state.

    Args:
        table: a positive variable of :func:`sweep`, with dimensions (width, seed).
        statistic: "median" (robust), "mean", "rms" or "p90", the ninetieth percentile.

    Raises:
        TypeError, ValueError: when the table has other dimensions, fewer than two widths or
            seeds, or values that are not finite and positive.

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
    if len(set(widths)) < len(widths) or not (widths > 0).all():
        raise ValueError("table must have a coordinate width of distinct numbers above 0")
    if statistic not in _STATISTICS:
        raise ValueError(f"statistic must be one of {', '.join(_STATISTICS)}, got {statistic!r}")
    samples = table.transpose("width", "seed").values
    if min(samples.shape) < 2:
        raise ValueError(f"table must hold at least two widths and two seeds, got {samples.shape}")
    if not (np.isfinite(samples).all() and (samples > 0).all()):
        raise ValueError("table must hold finite values above 0: a power law has no others")

    slopes = _line(widths)
    reduce = _STATISTICS[statistic]
    values = reduce(samples, axis=1)
    slope, intercept = slopes(np.log(values))

    draws = np.random.default_rng(0).integers(samples.shape[1], size=(_RESAMPLES, samples.shape[1]))
    resampled = np.stack([reduce(row[draws], axis=1) for row in samples])
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
