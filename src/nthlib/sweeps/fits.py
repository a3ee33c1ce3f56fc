"""What many draws say together: an estimate, or a power law, each with its interval."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import ArrayLike
from scipy import special

from nthlib import checks
from nthlib.memory import check_memory
from nthlib.spelling import spelled

Name = Literal["median", "mean", "rms", "p90"]
Statistic = Name | Callable[..., Any]

_RESAMPLES = 2000
_UPPER = 0.975  # and 1 − _UPPER: between them lie 95 %
_STATISTICS: dict[str, Callable[..., np.ndarray]] = {
    "median": np.median,
    "mean": np.mean,
    "rms": lambda values, axis: np.sqrt(np.mean(values**2, axis=axis)),
    "p90": lambda values, axis: np.percentile(values, 90, axis=axis),
}
_POWERS = {"mean": 1, "rms": 2}  # the smooth ones, whose error the jackknife knows


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Estimate:
    """A statistic over draws with its 95 % interval: numbers, or arrays of one shape.

    It prints as the value with its interval, and takes the format of a number for all three.

    >>> import nthlib as nth
    >>> print(nth.Estimate(0.98, 0.951, 1.007))
    0.98 [0.951, 1.01]
    >>> f"{nth.Estimate(0.98, 0.951, 1.007):.1f}"
    '1.0 [1.0, 1.0]'
    """

    value: Any
    low: Any
    high: Any

    def __str__(self) -> str:
        return format(self, ".3g")

    def __format__(self, form: str) -> str:
        parts = zip(*map(np.ravel, (self.value, self.low, self.high)), strict=True)
        return ", ".join(
            f"{value:{form}} [{low:{form}}, {high:{form}}]" for value, low, high in parts
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Fit:
    """A power law value ≈ exp(intercept) · x^slope, fitted to a statistic over draws.

    ``low`` and ``high`` bound the slope's 95 % interval; ``values`` are the
    statistic at each of ``x``, with ``values_low`` and ``values_high`` around them.

    >>> import nthlib as nth
    >>> fit = nth.power_law([4, 8], [[3.0, 3.0], [1.5, 1.5]])
    >>> round(fit.slope, 6), fit.values.tolist()
    (-1.0, [3.0, 1.5])
    """

    slope: float
    low: float
    high: float
    intercept: float
    x: np.ndarray
    values: np.ndarray
    values_low: np.ndarray
    values_high: np.ndarray
    statistic: str = field(metadata={"static": True})

    @property
    def value(self) -> float:
        """The slope: what is estimated, as of an :class:`Estimate`."""
        return self.slope

    def __str__(self) -> str:
        return f"exponent {self.slope:.3f} [{self.low:.3f}, {self.high:.3f}]"


@spelled
def estimate(
    values: ArrayLike | tuple[ArrayLike, ...],
    statistic: Statistic = "median",
    axis: int = -1,
    *,
    resamples: int = _RESAMPLES,
) -> Estimate:
    """A statistic over draws, with its 95 % interval.

    Draws are taken whole, with all that they gave. The interval of a median or a ninetieth
    percentile is a percentile bootstrap: draws are drawn again, from a fixed random state. That
    of a function is one, too, with percentiles as far out as Student's t asks of so few draws
    (Hesterberg, arXiv:1411.5279, calls it the expanded percentile interval). That of a mean or an
    rms is Student's, with the error that leaving out each draw in turn shows (the jackknife's), of
    logarithms where no value is zero or, for a mean, below.

    So few draws seldom show a heavy tail: there the interval of an rms, or of a ninetieth
    percentile, holds the true value less often than it says. How often, the book's appendix on
    intervals shows for three laws of draws.

    Args:
        values: an array with the draws along ``axis``, or a tuple of arrays of the same draws.
        statistic: "median" (robust), "mean", "rms" or "p90", the ninetieth percentile, along
            ``axis``; or a function of the arrays and ``axis``, which returns a number or an array.
        axis: where the draws are.
        resamples: how many times the draws are drawn again, where they are.

    Returns:
        An :class:`Estimate` of numbers, or of arrays where the statistic is one. NaN or
        infinity where the statistic gives them.

    Raises:
        TypeError, ValueError: when the values are not real or fewer than two draws, or when
            several arrays come with the name of a statistic.
        MemoryError: when so many resamples of so many draws would not fit.

    Warns:
        UserWarning: when the values were measured in single precision.

    >>> import numpy as np, nthlib as nth
    >>> error, other = np.arange(1.0, 9.0), 2 * np.arange(1.0, 9.0)
    >>> print(nth.estimate(error))
    4.5 [2, 7]
    >>> def ratio(a, b, axis):
    ...     return a.mean(axis) / b.mean(axis)
    >>> print(nth.estimate((error, other), ratio))
    0.5 [0.5, 0.5]
    """
    samples = tuple(map(_samples, values if isinstance(values, tuple) else (values,)))
    number = _number_of_draws(samples, axis)
    resamples = checks.whole_number("resamples", resamples, 1)
    if callable(statistic):
        checks.takes("statistic", statistic, "the arrays and axis", *samples, axis=axis)
    else:
        _check_name(statistic)
        alone = "statistic must be a function where values are several arrays"
        checks.require(len(samples) == 1, alone)
    if callable(statistic) or statistic not in _POWERS:  # a mean or rms draws nothing again
        check_memory(32 * resamples * number, None, "fewer resamples")
    with np.errstate(all="ignore"):  # what is not finite is seen in the result
        value, again = _replicates(statistic, samples, axis, resamples)
        if callable(statistic):
            low, high = np.percentile(again, _expanded(number), axis=-1)
        else:
            low, high = _around(statistic, samples[0], value, again)
    return Estimate(*(float(part) if part.ndim == 0 else part for part in (value, low, high)))


@spelled
def power_law(x: ArrayLike, values: ArrayLike, statistic: Name = "median") -> Fit:
    """The log-log slope in x of a statistic over draws, with its 95 % interval.

    The line is fitted by least squares to the logarithms, every x weighing the same. The
    interval is that of :func:`estimate`, for the slope: whole draws are drawn again, or left
    out, with what they gave at every x. How often it holds the true slope, the book's appendix
    on intervals shows.

    Args:
        x: distinct numbers above 0, (k,): widths, angles, steps, times.
        values: positive numbers, (k, draws), such as an entry of :func:`draws`.
        statistic: "median" (robust), "mean", "rms" or "p90", the ninetieth percentile.

    Returns:
        A :class:`Fit`, which prints as the slope with its interval.

    Raises:
        TypeError, ValueError: when the arrays have other shapes, fewer than two numbers x or two
            draws, or values that are not finite and positive.

    Warns:
        UserWarning: when the values were measured in single precision.

    >>> import numpy as np, nthlib as nth
    >>> widths = np.array([4, 16, 64])
    >>> print(nth.power_law(widths, 3 / widths[:, None] * np.ones(5)))
    exponent -1.000 [-1.000, -1.000]
    """
    x = _positions(x)
    samples = _samples(values)
    _check_name(statistic)
    if samples.ndim != 2 or len(samples) != len(x) or min(samples.shape) < 2:
        raise ValueError(
            f"values must have shape ({len(x)}, draws), with two or more of x and of draws, got "
            f"{samples.shape}"
        )
    if not (np.isfinite(samples).all() and (samples > 0).all()):
        raise ValueError("values must be finite and above 0: a power law has no others")
    with np.errstate(all="ignore"):
        found, again = _replicates(statistic, (samples,), 1, _RESAMPLES)
    if not (np.isfinite(again).all() and (np.minimum(found, again.min(axis=1)) > 0).all()):
        raise ValueError(f"values must have a {statistic} that is finite and above 0")

    slopes = _line(x.astype(np.float64))
    slope, intercept = slopes(np.log(found))
    low, high = _ends(statistic, slope, slopes(np.log(again))[0])
    found_low, found_high = _around(statistic, samples, found, again)
    return Fit(
        float(slope), float(low), float(high), float(intercept),
        x, found, found_low, found_high, statistic,
    )  # fmt: skip


def _samples(values: Any) -> np.ndarray:
    found = _real("values", values)
    checks.require(found.size > 0, f"values must not be empty, got shape {found.shape}")
    if checks.is_single(found):
        checks.warn(f"values were {checks.SINGLE}")
    return found.astype(np.float64)


def _real(name: str, array: Any) -> np.ndarray:
    checks.refuse_kind(name, array)
    try:
        found = np.asarray(array)
    except (TypeError, ValueError) as error:  # rows of several lengths, traced arrays
        raise TypeError(f"{name} must hold real numbers, got {checks.describe(array)}") from error
    if found.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers, got {found.dtype}")
    return found


def _positions(x: Any) -> np.ndarray:
    found = _real("x", x)
    if found.ndim != 1 or len(np.unique(found)) < len(found):
        raise ValueError(f"x must hold distinct numbers along one axis, got {checks.describe(x)}")
    if not (np.isfinite(found) & (found > 0)).all():
        raise ValueError("x must hold finite numbers above 0")
    return found


def _number_of_draws(samples: tuple[np.ndarray, ...], axis: Any) -> int:
    axis = checks.whole_number("axis", axis, -64)
    for sample in samples:
        if not -sample.ndim <= axis < sample.ndim:
            raise ValueError(
                f"axis must be one of values, of shape {sample.shape}, got {checks.short(axis)}"
            )
    numbers = {sample.shape[axis] for sample in samples}
    if len(numbers) != 1 or min(numbers) < 2:
        got = " and ".join(map(str, sorted(numbers)))
        raise ValueError(f"values must hold two or more draws, as many in each array, got {got}")
    return numbers.pop()


def _check_name(statistic: Any) -> None:
    if not isinstance(statistic, str) or statistic not in _STATISTICS:
        got = checks.describe(statistic)
        raise ValueError(f"statistic must be one of {', '.join(_STATISTICS)}, got {got}")


def _replicates(
    statistic: Statistic, samples: tuple[np.ndarray, ...], axis: int, resamples: int
) -> tuple[np.ndarray, np.ndarray]:
    """The statistic; and along a last axis what it is of draws drawn again, or without each."""
    rows = np.moveaxis(samples[0], axis, -1)
    if isinstance(statistic, str) and statistic in _POWERS:
        again = _without_each(rows, _POWERS[statistic])
        return _STATISTICS[statistic](rows, axis=-1), again
    number = rows.shape[-1]
    picks = np.random.default_rng(0).integers(number, size=(resamples, number))
    if isinstance(statistic, str):
        reduce = _STATISTICS[statistic]
        again = np.apply_along_axis(lambda row: reduce(row[picks], axis=1), -1, rows)
        return reduce(rows, axis=-1), again
    value = _result(statistic(*samples, axis=axis))
    rounds = [
        _result(statistic(*(sample.take(pick, axis) for sample in samples), axis=axis))
        for pick in picks
    ]
    if any(found.shape != value.shape for found in rounds):
        raise ValueError("statistic must return the same shape of all draws drawn again")
    return value, np.stack(rounds, axis=-1)


def _without_each(rows: np.ndarray, power: int) -> np.ndarray:
    """The mean power, its root taken, of all entries but one, for each along the last axis.

    Sums from both sides: the total less one entry would round away what a large one leaves.
    """
    powers = np.pad(rows**power, [(0, 0)] * (rows.ndim - 1) + [(1, 1)])
    before = np.cumsum(powers, axis=-1)[..., :-2]
    after = np.flip(np.cumsum(np.flip(powers, -1), axis=-1), -1)[..., 2:]
    return ((before + after) / (rows.shape[-1] - 1)) ** (1 / power)


def _around(statistic: str, values: np.ndarray, found: np.ndarray, again: np.ndarray) -> Any:
    """The ends of the interval of a statistic of ``values``."""
    if statistic in _POWERS and (values ** _POWERS[statistic] > 0).all():
        return np.exp(_ends(statistic, np.log(found), np.log(again)))
    return _ends(statistic, found, again)


def _ends(statistic: str, found: np.ndarray, again: np.ndarray) -> Any:
    """The ends of an interval from its replicates, which stand along the last axis."""
    if statistic not in _POWERS:
        return np.percentile(again, (100 * (1 - _UPPER), 100 * _UPPER), axis=-1)
    number = again.shape[-1]
    reach = special.stdtrit(number - 1, _UPPER) * np.sqrt((number - 1) * again.var(axis=-1))
    return found - reach, found + reach


def _expanded(number: int) -> np.ndarray:
    """The percentiles between which a resampled mean has Student's interval.

    Its variance is that of the draws with 1/number for 1/(number − 1), and taken for known.
    """
    reach = special.stdtrit(number - 1, _UPPER) * np.sqrt(number / (number - 1))
    return 100 * special.ndtr(np.array([-reach, reach]))


def _result(found: Any) -> np.ndarray:
    return _real("the result of statistic", found).astype(np.float64)


def _line(x: np.ndarray) -> Callable[[np.ndarray], tuple[Any, Any]]:
    """Least squares in log x, along the first axis."""
    x = np.log(x)
    centred = x - x.mean()
    weights = centred / (centred @ centred)

    def fit(y: np.ndarray) -> tuple[Any, Any]:
        slope = np.tensordot(weights, y, axes=1)
        return slope, y.mean(axis=0) - slope * x.mean()

    return fit
