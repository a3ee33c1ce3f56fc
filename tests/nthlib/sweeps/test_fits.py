"""Fits against synthetic power laws, estimates against plain bootstraps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import nthlib as nth

WIDTHS = (16, 32, 64, 128, 256)


def law(exponent, noise=0.0, seeds=16, rng=None, widths=WIDTHS):
    widths = np.asarray(widths)
    rng = rng or np.random.default_rng(0)
    values = 3.0 * widths[:, None] ** float(exponent)
    return values * np.exp(noise * rng.normal(size=(len(widths), seeds)))


@pytest.mark.parametrize("statistic", ["median", "mean", "rms", "p90"])
@pytest.mark.parametrize("exponent", [-2.0, -0.5, 0.0, 1.5])
def test_exact_power_laws_are_recovered(exponent, statistic):
    fit = nth.power_law(WIDTHS, law(exponent), statistic)
    found = (fit.slope, fit.value, fit.low, fit.high)
    np.testing.assert_allclose(found, exponent, atol=1e-12)  # logarithms near 5, rounding 1e-15
    np.testing.assert_allclose(np.exp(fit.intercept), 3.0, rtol=1e-11)
    np.testing.assert_allclose(fit.values, law(exponent)[:, 0], rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    ("function", "expected"),
    [(lambda values: nth.power_law(WIDTHS, values), -1.0), (lambda v: nth.estimate(v[0]), 3 / 16)],
    ids=["power_law", "estimate"],
)
def test_values_in_single_precision_are_taken_with_a_warning(dtype, function, expected):
    message = "values were measured in single precision: enable float64"
    with pytest.warns(UserWarning, match=message) as caught:
        found = function(law(-1.0).astype(dtype))
    assert caught[0].filename == __file__  # it points to the reader's line
    np.testing.assert_allclose(found.value, expected, atol=1e-3)


@pytest.mark.parametrize("statistic", ["rms", "mean"])
def test_a_statistic_beyond_the_floats_is_refused(statistic):
    with pytest.raises(ValueError, match=f"values must have a {statistic} that is finite"):
        nth.power_law(WIDTHS, law(-1.0) * 8e307, statistic)


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [("median", 2.0), ("mean", 3.0), ("rms", np.sqrt(15.0)), ("p90", 5.2)],
)
def test_the_statistic_is_the_one_that_was_named(statistic, expected):
    rows = np.array([[1.0, 2.0, 6.0]] * 2)
    if statistic == "rms":
        rows = np.array([[1.0, 2.0, np.sqrt(40.0)]] * 2)
    fit = nth.power_law([2, 8], rows, statistic)
    np.testing.assert_allclose(fit.values, expected, rtol=1e-14)
    assert fit.statistic == statistic
    assert (fit.values_low <= fit.values).all()
    assert (fit.values <= fit.values_high).all()
    assert fit.values_low[0] < fit.values_high[0]
    single = nth.estimate(rows, statistic)
    np.testing.assert_array_equal(single.value, fit.values)
    np.testing.assert_array_equal((single.low, single.high), (fit.values_low, fit.values_high))


def test_the_slope_is_numpy_s_least_squares():
    x = (0.1, 30, 35.5, 200)
    values = law(-1.0, noise=0.4, widths=x)
    fit = nth.power_law(x, values)
    slope, intercept = np.polyfit(np.log(x), np.log(np.median(values, axis=1)), 1)
    np.testing.assert_allclose((fit.slope, fit.intercept), (slope, intercept), atol=1e-12)
    assert fit.low < fit.slope < fit.high
    assert str(fit) == f"exponent {fit.slope:.3f} [{fit.low:.3f}, {fit.high:.3f}]"


def test_the_order_of_x_does_not_matter():
    values, order = law(-1.0, noise=0.4), [3, 0, 4, 1, 2]
    a, b = nth.power_law(WIDTHS, values), nth.power_law(np.array(WIDTHS)[order], values[order])
    np.testing.assert_allclose((a.slope, a.low, a.high), (b.slope, b.low, b.high), atol=1e-12)


HEAVY = {
    "normal": lambda rng, shape: np.abs(rng.normal(size=shape)),
    "lognormal": lambda rng, shape: np.exp(rng.normal(size=shape)),
    "t": lambda rng, shape: np.abs(rng.standard_t(3, size=shape)),
}


@pytest.mark.parametrize(
    ("kind", "statistic", "tables", "covered"),
    [
        ("normal", "mean", 1000, 0.949),
        ("lognormal", "median", 200, 0.973),
        ("t", "rms", 1000, 0.916),
    ],
)
def test_the_interval_covers_the_truth_as_often_as_measured(kind, statistic, tables, covered):
    """Of so many tables of 16 draws how many hold −1: to within three binomial deviations.

    ``covered`` is from benchmarks/intervals.py. Plain percentiles of resampled draws hold a mean
    in 92.5 % and this rms in 89 %.
    """
    rng, widths = np.random.default_rng(1), np.array([4, 16, 64])
    values = HEAVY[kind](rng, (tables, 3, 16)) / widths[:, None]
    fits = [nth.power_law(widths, table, statistic) for table in values]
    hold = sum(fit.low <= -1.0 <= fit.high for fit in fits)
    assert abs(hold - tables * covered) <= 3 * np.sqrt(tables * covered * (1 - covered))


def test_whole_draws_are_drawn_again():
    """Noise common to all widths of a draw cancels in the slope, and the interval knows it."""
    rng = np.random.default_rng(0)
    common = np.exp(rng.normal(size=16))
    alone = law(-1.0, noise=1.0, rng=rng)
    tight, wide = nth.power_law(WIDTHS, law(-1.0) * common), nth.power_law(WIDTHS, alone)
    assert tight.high - tight.low < 1e-10
    assert wide.high - wide.low > 0.05


# ------------------------------------------------------------------------------- estimates


def plain_bootstrap(statistic, *samples, resamples=2000, expanded=False):
    """The statistic of samples with the draws first, and of draws drawn again, one by one."""
    random = np.random.default_rng(0)
    number = len(samples[0])
    picks = random.integers(number, size=(resamples, number))
    again = np.array([statistic(*(sample[pick] for sample in samples)) for pick in picks])
    ordered = np.sort(again, axis=0)

    def quantile(share):
        place = share * (resamples - 1)
        below = int(place)
        return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])

    # The expanded percentiles of a mean are those of Student's interval.
    student = stats.t.ppf(0.975, number - 1) * (number / (number - 1)) ** 0.5
    low, high = stats.norm.cdf([-student, student]) if expanded else (0.025, 0.975)
    return statistic(*samples), quantile(low), quantile(high)


def plain_jackknife(statistic, values):
    """Student's interval of the logarithm, its error from leaving out one draw after another."""
    number, found = len(values), np.log(statistic(values))
    left = np.log([statistic(np.delete(values, place, axis=0)) for place in range(number)])
    error = np.sqrt((number - 1) / number * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    reach = stats.t.ppf(0.975, number - 1) * error
    return np.exp(found), np.exp(found - reach), np.exp(found + reach)


def rms(values):
    return np.sqrt(np.mean(values**2, axis=0))


PLAIN = {
    "median": lambda values: np.median(values, axis=0),
    "mean": lambda values: np.mean(values, axis=0),
    "rms": rms,
    "p90": lambda values: np.percentile(values, 90, axis=0),
}


def check(found, expected):
    # The same draws: only the order of additions differs.
    for part, plain in zip((found.value, found.low, found.high), expected, strict=True):
        np.testing.assert_allclose(part, plain, rtol=1e-13)


@pytest.mark.parametrize("statistic", PLAIN)
@pytest.mark.parametrize("resamples", [1000, 2000])
def test_an_estimate_is_that_of_a_plain_bootstrap_or_jackknife(statistic, resamples):
    values = np.exp(np.random.default_rng(5).normal(size=(13, 2, 3)))
    if statistic in ("mean", "rms"):
        expected = plain_jackknife(PLAIN[statistic], values)
    else:
        expected = plain_bootstrap(PLAIN[statistic], values, resamples=resamples)
    for axis in (0, 1, 2, -1):
        moved = np.moveaxis(values, 0, axis)
        check(nth.estimate(moved, statistic, axis, resamples=resamples), expected)
    for kind in (jnp.asarray, np.asarray):
        check(
            nth.estimate(kind(values[:, 0, 0]), statistic, resamples=resamples),
            [part[0, 0] for part in expected],
        )


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_a_mean_has_student_s_interval(shift):
    """Of values of both signs as it is; of values far from zero in logarithms, nearly the same."""
    values = shift + np.random.default_rng(2).normal(size=8)
    found, half = nth.estimate(values, "mean"), stats.sem(values) * stats.t.ppf(0.975, 7)
    expected = values.mean() - half, values.mean() + half
    np.testing.assert_allclose(
        (found.low, found.high), expected, rtol=1e-12 if shift == 0 else 1e-4
    )


def test_one_large_draw_does_not_round_the_others_away():
    """Without the last draw the mean square is one; the ends come from plain jackknife sums."""
    values = np.array([1.0, 1.0, 1.0, 1e12])
    check(nth.estimate(values, "rms"), plain_jackknife(rms, values))
    assert (nth.estimate(np.zeros(3), "rms").low, nth.estimate(np.zeros(3), "rms").high) == (0, 0)


def test_a_function_of_several_arrays_gets_the_same_draws_of_each():
    rng = np.random.default_rng(6)
    top, bottom = np.exp(rng.normal(size=(9, 4))), np.exp(rng.normal(size=(9, 1)))
    found = nth.estimate((top, bottom), lambda a, b, axis: a.mean(axis) / b.mean(axis), 0)
    check(
        found,
        plain_bootstrap(lambda a, b: a.mean(axis=0) / b.mean(axis=0), top, bottom, expanded=True),
    )
    assert found.value.shape == found.low.shape == found.high.shape == (4,)
    alike = nth.estimate((top, 2 * top), lambda a, b, axis: rms(a) / rms(b), axis=0)
    np.testing.assert_allclose((alike.value, alike.low, alike.high), 0.5, rtol=1e-14)


def test_a_function_may_join_the_rows_into_one_number():
    x, values = np.array(WIDTHS), law(-1.0, noise=0.4)

    def slope(values, axis):
        return np.polyfit(np.log(x), np.log(np.median(values, axis)), 1)[0]

    found, fit = nth.estimate(values, slope), nth.power_law(x, values)
    assert [type(part) for part in (found.value, found.low, found.high)] == [float] * 3
    np.testing.assert_allclose(found.value, fit.value, atol=1e-12)
    expected = plain_bootstrap(lambda rows: slope(rows.T, 1), values.T, expanded=True)
    np.testing.assert_allclose((found.low, found.high), expected[1:], atol=1e-12)
    assert found.low < fit.low < fit.high < found.high  # a little longer than a median's own


@pytest.mark.parametrize(("statistic", "samples"), [("median", 200), ("mean", 1000)])
def test_the_interval_of_an_estimate_covers_the_truth_about_as_often_as_it_says(statistic, samples):
    """95 % of the intervals of 16 normal draws hold zero, or at most three deviations fewer.

    Plain percentiles hold a mean in 91 %.
    """
    found = nth.estimate(np.random.default_rng(2).normal(size=(samples, 16)), statistic)
    hold = np.sum((found.low <= 0) & (found.high >= 0))
    assert 0.95 * samples - 3 * np.sqrt(samples * 0.95 * 0.05) <= hold < samples


def test_what_is_not_finite_shows_in_the_estimate():
    values = np.array([1.0, 2.0, 3.0, np.inf])
    assert nth.estimate(values).value == 2.5
    assert np.isnan(nth.estimate(np.array([1.0, np.nan, 2.0])).value)
    none = nth.estimate((np.zeros(3), np.zeros(3)), lambda a, b, axis: a.sum() / b.sum())
    assert np.isnan((none.value, none.low, none.high)).all()


def test_an_estimate_prints_with_its_interval():
    single = nth.Estimate(0.98, 0.951, 1.007)
    assert (str(single), f"{single:.2f}") == ("0.98 [0.951, 1.01]", "0.98 [0.95, 1.01]")
    several = nth.Estimate(*(np.array([1.0, 2e-5]) * factor for factor in (1, 0.5, 2)))
    assert str(several) == "1 [0.5, 2], 2e-05 [1e-05, 4e-05]"


def test_fits_and_estimates_are_trees_of_numbers():
    fit = jax.tree.map(lambda leaf: 2 * leaf, nth.power_law(WIDTHS, law(-1.0), "rms"))
    assert (round(fit.value, 12), fit.x[0], fit.statistic) == (-2.0, 32, "rms")
    assert jax.tree.leaves(nth.Estimate(1.0, 0.5, 2.0)) == [1.0, 0.5, 2.0]


@pytest.mark.bad_input
def test_a_function_that_gives_another_shape_each_time_is_refused():
    with pytest.raises(ValueError, match="statistic must return the same shape"):
        nth.estimate(np.arange(5.0), lambda values, axis: np.unique(values))


def test_a_mean_draws_nothing_again_and_takes_any_number_of_draws():
    values = np.random.default_rng(0).normal(size=10**6)
    found = nth.estimate(values, "mean", resamples=10**9)
    assert found.low < 0 < found.high
    with pytest.raises(MemoryError, match="fewer resamples"):
        nth.estimate(values, "median", resamples=10**9)
