"""How often a 95 % interval holds a known truth, and how long it is: ours beside its rivals.

``python -m benchmarks.intervals`` takes some ten minutes on one core; no clock enters its rows.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import special

import nthlib as nth
from benchmarks.timing import save
from nthlib.sweeps import fits

REPETITIONS, RESAMPLES = 1000, 2000
DRAWS, POINTS = (16, 32, 64), (1, 3, 4, 5)
LAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda rng, shape: np.abs(rng.standard_normal(shape)),
    "lognormal": lambda rng, shape: np.exp(rng.standard_normal(shape)),
    "t, 3 degrees": lambda rng, shape: np.abs(rng.standard_t(3, shape)),
}
STATISTICS: dict[fits.Name, Callable[[np.ndarray], np.ndarray]] = {
    "median": lambda values: np.median(values, axis=-1),
    "mean": lambda values: np.mean(values, axis=-1),
    "rms": lambda values: np.sqrt(np.mean(values**2, axis=-1)),
    "p90": lambda values: np.percentile(values, 90, axis=-1),
}
# What the library takes for each, and what the statistics are in the whole population.
OURS = {"median": "percentile", "mean": "t, jackknife", "rms": "t, jackknife", "p90": "percentile"}
TRUTHS: dict[str, dict[fits.Name, float]] = {
    "normal": {
        "median": special.ndtri(0.75), "mean": (2 / np.pi) ** 0.5, "rms": 1.0,
        "p90": special.ndtri(0.95),
    },
    "lognormal": {
        "median": 1.0, "mean": np.exp(0.5), "rms": np.exp(1.0), "p90": np.exp(special.ndtri(0.9)),
    },
    "t, 3 degrees": {
        "median": special.stdtrit(3, 0.75), "mean": 2 * 3**0.5 / np.pi, "rms": 3**0.5,
        "p90": special.stdtrit(3, 0.95),
    },
}  # fmt: skip
Ends = tuple[np.ndarray, np.ndarray]


def run(repetitions: int = REPETITIONS) -> list[dict[str, Any]]:
    """A row for every law, statistic, number of draws and number of widths.

    Widths are 4^0, .., 4^(k−1) and the exponent is −1; one width stands for the statistic itself.
    All rows of one law and number of draws share them.
    """
    return [
        row
        for (law, draw), number in itertools.product(LAWS.items(), DRAWS)
        for row in _rows(law, draw, number, repetitions)
    ]


def _rows(law: str, draw: Any, number: int, repetitions: int) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng([number, len(law)])
    widths = 4.0 ** np.arange(max(POINTS))
    values = draw(rng, (repetitions, len(widths), number)) / widths[:, None]
    picks = np.random.default_rng(0).integers(number, size=(RESAMPLES, number))
    counts = np.stack([np.bincount(pick, minlength=number) for pick in picks]).astype(np.int8)
    without = np.array([np.delete(np.arange(number), place) for place in range(number)])
    for name, reduce in STATISTICS.items():
        found, left_out = (np.log(reduce(part)) for part in (values, values[..., without]))
        again = np.log([[_resampled(name, row, counts) for row in table] for table in values])
        for points in POINTS:
            parts = [_exponent(widths[:points], part) for part in (found, again, left_out)]
            ends = intervals(*parts)
            truth = -1.0 if points > 1 else np.log(TRUTHS[law][name])
            if points > 1:
                _check(widths[:points], values[:3, :points], name, ends[OURS[name]])
            case = {"law": law, "statistic": name, "draws": number, "widths": points}
            yield case | {"ours": OURS[name]} | _scores(ends, truth)


def _exponent(widths: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """The slope over the second axis of ``logs``, or the logarithm itself at a single width."""
    if len(widths) == 1:
        return logs[:, 0]
    x = np.log(widths) - np.log(widths).mean()
    return np.einsum("k, rk... -> r...", x / (x @ x), logs[:, : len(widths)])


def _resampled(name: fits.Name, row: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The statistic where draw i is taken ``counts[.., i]`` times: what takes the time here."""
    number = len(row)
    if name in ("mean", "rms"):
        power = 2 if name == "rms" else 1
        return (counts @ row**power / number) ** (1 / power)
    order = np.argsort(row)
    ranks = np.cumsum(counts[:, order], axis=1, dtype=np.int8)
    place = {"median": 0.5, "p90": 0.9}[name] * (number - 1)
    below = int(place)
    low, high = (row[order][np.sum(ranks <= rank, axis=1)] for rank in (below, below + 1))
    return low + (place - below) * (high - low)


def intervals(found: np.ndarray, again: np.ndarray, without: np.ndarray) -> dict[str, Ends]:
    """Every method's ends of a statistic ``found``, (repetitions,).

    ``again`` (repetitions, resamples) is the statistic of draws that were drawn again,
    ``without`` (repetitions, draws) that without each draw in turn.
    """
    number = without.shape[1]
    normal, student = special.ndtri(0.975), special.stdtrit(number - 1, 0.975)
    reach = student * np.sqrt(number / (number - 1))
    deviations = without.mean(axis=1, keepdims=True) - without
    jackknife = np.sqrt((number - 1) / number * np.sum(deviations**2, axis=1))
    spread = again.std(axis=1)
    return {
        "percentile": _between(again, -normal, normal),
        "expanded": _between(again, -reach, reach),
        "BCa": _accelerated(found, again, deviations, normal),
        "BCa, expanded": _accelerated(found, again, deviations, reach),
        "t, bootstrap": (found - reach * spread, found + reach * spread),
        "t, jackknife": (found - student * jackknife, found + student * jackknife),
    }


def _between(again: np.ndarray, low: Any, high: Any) -> Ends:
    """The percentiles of a normal variable's values ``low`` and ``high``, one of each a row."""
    ends = special.ndtr(np.broadcast_to(np.stack([low, high], -1), (len(again), 2)))
    found = [np.quantile(row, share) for row, share in zip(again, ends, strict=True)]
    return tuple(np.array(found).T)


def _accelerated(
    found: np.ndarray, again: np.ndarray, deviations: np.ndarray, reach: float
) -> Ends:
    """Bias-corrected and accelerated; ties count half."""
    below = np.sign(found[:, None] - again).mean(axis=1) / 2 + 0.5
    shift = special.ndtri(below.clip(1 / RESAMPLES, 1 - 1 / RESAMPLES))
    squares = np.sum(deviations**2, axis=1)
    skew = np.sum(deviations**3, axis=1) / np.where(squares > 0, 6 * squares**1.5, 1.0)
    moved = ((shift + sign * reach) for sign in (-1, 1))
    return _between(again, *(shift + step / (1 - skew * step) for step in moved))


def _scores(ends: dict[str, Ends], truth: float) -> dict[str, Any]:
    """How many in a hundred hold the truth, and the median length over that of the percentiles."""
    plain = np.median(np.subtract(*ends["percentile"]))
    return {
        "covered": {
            name: round(100 * float(np.mean((low <= truth) & (truth <= high))), 1)
            for name, (low, high) in ends.items()
        },
        "length": {
            name: round(float(np.median(low - high) / plain), 3)
            for name, (low, high) in ends.items()
        },
    }


def _check(widths: np.ndarray, values: np.ndarray, name: fits.Name, ends: Ends) -> None:
    """The method that the library takes is the library's, on the first tables."""
    for table, *expected in zip(values, *(end[: len(values)] for end in ends), strict=True):
        fit = nth.power_law(widths, table, name)
        np.testing.assert_allclose((fit.low, fit.high), expected, atol=1e-12)


def line(row: dict[str, Any]) -> str:
    """One row for a terminal."""
    case = f"{row['law']:13} {row['statistic']:7} {row['draws']:3} draws, {row['widths']} widths:"
    return case + ",".join(
        f" {name} {covered:.1f} % ({row['length'][name]:.2f})"
        for name, covered in row["covered"].items()
    )


if __name__ == "__main__":
    rows = run()
    for row in rows:
        print(line(row))
    print(f"written to {save('intervals', rows)}")
