"""Sweeps against plain loops, their cache, and exponents against synthetic power laws."""

import random

import jax
import jax.numpy as jnp
import joblib
import numpy as np
import pytest
import xarray as xr
from helpers import module_from_source, traced_widths

import nthlib as nth

WIDTHS = [4, 9]


def moments(width, key, shift=0.0):
    draw = jax.random.normal(key, (width,)) + shift
    return {"mean": draw.mean(), "largest": jnp.abs(draw).max()}


def plain_loop(seeds, shift=0.0):
    rows = {"mean": [], "largest": []}
    for width in WIDTHS:
        cells = [moments(width, jax.random.fold_in(jax.random.key(s), width), shift) for s in seeds]
        for name, row in rows.items():
            row.append([float(cell[name]) for cell in cells])
    return rows


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_sweep_equals_a_plain_loop(batch_size):
    table = nth.sweep(moments, widths=WIDTHS, seeds=[3, 11, 5], batch_size=batch_size, shift=0.5)
    assert table["mean"].dims == ("width", "seed")
    assert table["width"].values.tolist() == WIDTHS
    assert table["seed"].values.tolist() == [3, 11, 5]
    for name, rows in plain_loop([3, 11, 5], 0.5).items():
        # The same draws; only the order of a mean's additions may differ.
        np.testing.assert_allclose(table[name], rows, rtol=1e-13)


def test_a_sweep_is_reproducible_and_a_number_of_seeds_means_the_first_ones():
    first, again, named = (nth.sweep(moments, widths=WIDTHS, seeds=s) for s in (3, 3, [0, 1, 2]))
    xr.testing.assert_identical(first, again)
    xr.testing.assert_identical(first, named)
    assert len(np.unique(first["mean"])) == 6  # every width and seed has a draw of its own


def test_a_sweep_runs_under_the_reader_s_joblib_settings():
    serial = nth.sweep(moments, widths=WIDTHS, seeds=2)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        xr.testing.assert_identical(nth.sweep(moments, widths=WIDTHS, seeds=2), serial)


def test_any_draw_can_be_repeated_from_what_the_sweep_says_of_itself():
    table = nth.sweep(moments, widths=WIDTHS, seeds=[3, 11])
    assert table.attrs == {
        "key": 'fold_in(key(seed, impl="threefry2x32"), width)',
        "x64": True,
        "jax": jax.__version__,
        "nthlib": nth.__version__,
    }
    names = {"fold_in": jax.random.fold_in, "key": jax.random.key, "seed": 11, "width": 9}
    again = moments(9, eval(table.attrs["key"], names))
    found = table.sel(width=9, seed=11)
    np.testing.assert_allclose(found["mean"], again["mean"], rtol=1e-13)


# ---------------------------------------------------- a seed has one value, and one of its own


def own_keys(kind):
    """A measure with keys of this kind, made from the one it is given."""

    def measure(width, key):
        data = jax.random.bits(key, (4,), "uint32")
        size = 2 if kind == "threefry2x32" else 4
        own = jax.random.wrap_key_data(data[:size], impl=kind)
        return {"draw": jax.random.normal(jax.random.split(own)[0])}

    return measure


@pytest.mark.parametrize("batch_size", [None, 1, 2])
@pytest.mark.parametrize("default", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_a_seed_gives_the_same_value_in_any_company_and_under_any_default(default, batch_size):
    expected = plain_loop([5])["mean"]
    with jax.default_prng_impl(default):
        for seeds in ([5], [3, 5], [1, 5, 2]):
            table = nth.sweep(moments, widths=WIDTHS, seeds=seeds, batch_size=batch_size)
            # The same draws; only the order of a mean's additions may differ.
            np.testing.assert_allclose(table["mean"].sel(seed=[5]), expected, rtol=1e-13)


def test_keys_of_rbg_are_refused_where_they_would_depend_on_their_neighbours():
    """With them a seed has another value beside others: this is what is refused."""
    measure = own_keys("rbg")
    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    together = jax.vmap(lambda key: measure(4, key)["draw"])(keys)
    alone = [measure(4, key)["draw"] for key in keys]
    assert (np.abs(together - jnp.stack(alone)) > 0.01).any()
    with pytest.raises(ValueError, match=r"measure must not draw with random keys of .*rbg"):
        nth.sweep(measure, widths=[4], seeds=3)
    single = nth.sweep(measure, widths=[4], seeds=3, batch_size=1)["draw"]
    for seed in range(3):
        key = jax.random.fold_in(jax.random.key(seed), 4)
        np.testing.assert_allclose(single.sel(seed=seed), measure(4, key)["draw"], rtol=1e-13)


@pytest.mark.bad_input
@pytest.mark.parametrize("kind", ["rbg", "unsafe_rbg"])
@pytest.mark.parametrize(
    "wrap", [lambda f: f, lambda f: lambda width, key: jax.jit(f, static_argnums=0)(width, key)]
)
@pytest.mark.parametrize("batch_size", [None, 2])
def test_keys_of_rbg_are_found_wherever_they_are_used(kind, wrap, batch_size):
    with pytest.raises(ValueError, match=r"measure must not draw with random keys of .*rbg"):
        nth.sweep(wrap(own_keys(kind)), widths=[4], seeds=3, batch_size=batch_size)


def test_keys_that_give_each_seed_its_own_are_accepted():
    def shared(width, key):
        same = jax.random.normal(jax.random.key(0, impl="rbg"), (3,)).sum()
        return {"sum": same + jax.random.normal(key)}

    assert len(np.unique(nth.sweep(own_keys("threefry2x32"), widths=[4], seeds=3)["draw"])) == 3
    assert len(np.unique(nth.sweep(shared, widths=[4], seeds=3)["sum"])) == 3


def numpy_noise(width, key):
    return {"noise": np.random.normal(), "draw": jax.random.normal(key)}  # noqa: NPY002


def own_generator(width, key):
    return {"noise": jnp.asarray(np.random.default_rng().normal()) / width}


def python_noise(width, key):
    return {"noise": random.random() / width}


def one_key_for_all(width, key):
    return {"draw": jax.random.normal(jax.random.key(width))}


def unused_key(width, key):
    jax.random.split(key)
    return {"constant": 1.0 * width}


def inside_a_loop(width, key):
    def step(state, _):
        return (state[0] + np.random.default_rng().normal(), jax.random.split(state[1])[0]), None

    return {"sum": jax.lax.scan(step, (0.0, key), length=3)[0][0]}


def compiled(width, key):
    return jax.jit(lambda key: ({"a": 1.5}, jax.random.normal(key))[0])(key)


UNSEEDED = [own_generator, python_noise, one_key_for_all, unused_key, inside_a_loop, compiled]


@pytest.mark.bad_input
@pytest.mark.parametrize("measure", UNSEEDED, ids=lambda measure: measure.__name__)
@pytest.mark.parametrize("batch_size", [None, 2])
def test_several_seeds_need_a_measure_that_depends_on_the_key(measure, batch_size):
    with pytest.raises(ValueError, match="measure must depend on its key: all seeds would give"):
        nth.sweep(measure, widths=[4, 9], seeds=3, batch_size=batch_size)
    assert nth.sweep(measure, widths=[4, 9], seeds=1).sizes == {"width": 2, "seed": 1}


@pytest.mark.bad_input
@pytest.mark.parametrize("seeds", [1, 3])
def test_numpy_s_global_random_numbers_are_refused_beside_the_key_s(seeds):
    with pytest.raises(ValueError, match="measure must not draw from NumPy's global random state"):
        nth.sweep(numpy_noise, widths=[4], seeds=seeds)


def test_results_that_are_equal_for_good_reason_are_accepted():
    """Exact identities, counts, successes and theory beside a measurement."""

    def measure(width, key):
        fixed = np.random.default_rng(0).normal(size=3)
        draw = jax.random.normal(key, (3,)) + fixed
        return {"zero": (draw - draw).sum(), "count": jnp.sum(draw > -99.0), "well": draw[0] < 99}

    def with_theory(width, key):
        return {"theory": 1.5 / width, "draw": jax.random.normal(key)}

    def capped(width, key):
        carried = jax.lax.fori_loop(0, 3, lambda _, z: z + 1.0, jax.random.normal(key))
        return {"capped": jnp.clip(carried, 0.1, 0.1)}

    table = nth.sweep(measure, widths=[4], seeds=3)
    assert table["count"].values.tolist() == [[3, 3, 3]]
    assert table["zero"].values.tolist() == [[0.0, 0.0, 0.0]]
    np.testing.assert_array_equal(nth.sweep(with_theory, widths=[4], seeds=2)["theory"], 1.5 / 4)
    np.testing.assert_array_equal(nth.sweep(capped, widths=[4], seeds=2)["capped"], 0.1)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("results", "error", "message"),
    [
        (lambda m: {"width": 1.0}, ValueError, "name no result 'width'"),
        (lambda m: {"a": 1.0, "seed": 1.0}, ValueError, "name no result 'seed'"),
        (lambda m: {1: 1.0}, TypeError, "but 1 is no string"),
        (lambda m: {"a": 1.0, 1: 1.0}, TypeError, "but 1 is no string"),
        (
            lambda m: {"a": 1.0} | ({"b": 2.0} if m > 4 else {}),
            ValueError, "same names at every width, got a at width 4 and a, b at width 9",
        ),
        (
            lambda m: {"a": 1.0} | ({"b": 2.0} if m < 9 else {}),
            ValueError, "same names at every width, got a, b at width 4 and a at width 9",
        ),
        (lambda m: {f"a{m}": 1.0}, ValueError, "got a4 at width 4 and a9 at width 9"),
        (
            lambda m: {"a": 1 if m > 4 else 1.0},
            TypeError, "'a' as float64 at width 4 and int64 at width 9",
        ),
        (lambda m: {"a": m > 4 and 1.0}, TypeError, "'a' as bool at width 4"),
        (lambda m: {"a": 1.0 if m > 4 else jnp.ones(2)}, TypeError, "dict of scalars, but 'a'"),
        (lambda m: {"a": jnp.ones(m)}, TypeError, "dict of scalars, but 'a'"),
    ],
)  # fmt: skip
def test_results_that_make_no_table_are_refused_in_a_sentence(results, error, message):
    with pytest.raises(error, match=f"^measure must .*{message}"):
        nth.sweep(lambda width, key: results(width), widths=[4, 9], seeds=1)


COUNTED = """
import jax

def helper(x):
    return {factor} * x

def measure(width, key, scale=1.0):
    import helpers
    helpers.traced_widths.append(width)
    return {{"value": helper(scale * width) + 0 * jax.random.uniform(key)}}
"""


@pytest.fixture
def count(tmp_path, monkeypatch):
    """Sweep in a cache of this test; return the values and the widths that were computed."""
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NTH_FORCE", raising=False)

    def run(factor=1.0, widths=(2, 3), seeds=2, **fixed):
        module = module_from_source(tmp_path, COUNTED.format(factor=factor))
        traced_widths.clear()
        table = nth.sweep(module.measure, widths=widths, seeds=seeds, **fixed)
        return table["value"].values[:, 0].tolist(), sorted(set(traced_widths))

    return run


def test_finished_widths_are_reused(count):
    assert count() == ([2.0, 3.0], [2, 3])
    assert count() == ([2.0, 3.0], [])
    assert count(widths=(2, 3, 5)) == ([2.0, 3.0, 5.0], [5])


@pytest.mark.parametrize(
    ("change", "values"),
    [({"factor": 10.0}, [20.0, 30.0]), ({"scale": 2.0}, [4.0, 6.0]), ({"seeds": 3}, [2.0, 3.0])],
    ids=["helper", "argument", "seeds"],
)
def test_what_changed_is_computed_again(count, change, values):
    count()
    assert count(**change) == (values, [2, 3])


def test_force_computes_again_and_keeps_the_new_result(count, monkeypatch):
    count()
    monkeypatch.setenv("NTH_FORCE", "1")
    assert count() == ([2.0, 3.0], [2, 3])
    monkeypatch.delenv("NTH_FORCE")
    assert count() == ([2.0, 3.0], [])


def test_nothing_is_cached_without_a_folder(count, monkeypatch):
    count()
    monkeypatch.delenv("NTH_CACHE")
    assert count()[1] == [2, 3]


def applied(width, key, activation):
    return {"value": activation(jnp.asarray(2.0))}


FUNCTION = "def activation(x):\n    return {c} * x\n"


def test_an_edited_function_among_the_arguments_is_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    found = []
    for constant in (1, 3):
        activation = module_from_source(tmp_path, FUNCTION.format(c=constant)).activation
        table = nth.sweep(applied, widths=[2], seeds=1, activation=activation)
        found.append(table["value"].item())
    assert found == [2.0, 6.0]


@pytest.mark.parametrize(
    "activation", [jnp.tanh, nth.relu, lambda x: x * x], ids=["tanh", "relu", "lambda"]
)
def test_an_activation_among_the_arguments_can_be_cached(tmp_path, monkeypatch, activation):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        table = nth.sweep(applied, widths=[2], seeds=1, activation=activation)
        np.testing.assert_allclose(table["value"].item(), activation(jnp.asarray(2.0)), rtol=1e-14)


def power_law(exponent, noise=0.0, seeds=16, rng=None, widths=(16, 32, 64, 128, 256)):
    widths = np.asarray(widths)
    rng = rng or np.random.default_rng(0)
    values = 3.0 * widths[:, None] ** float(exponent)
    values = values * np.exp(noise * rng.normal(size=(len(widths), seeds)))
    return xr.DataArray(values, dims=("width", "seed"), coords={"width": widths})


@pytest.mark.parametrize("statistic", ["median", "mean", "rms", "p90"])
@pytest.mark.parametrize("exponent", [-2.0, -0.5, 0.0, 1.5])
def test_exact_power_laws_are_recovered(exponent, statistic):
    fit = nth.fit_exponent(power_law(exponent), statistic)
    found = (fit.slope, fit.low, fit.high)
    np.testing.assert_allclose(found, exponent, atol=1e-12)  # logarithms near 5, rounding 1e-15
    np.testing.assert_allclose(np.exp(fit.intercept), 3.0, rtol=1e-11)
    np.testing.assert_allclose(fit.values, power_law(exponent)[:, 0], rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_table_in_single_precision_is_fitted_with_a_warning(dtype):
    with pytest.warns(UserWarning, match="table was measured in single precision: enable float64"):
        fit = nth.fit_exponent(power_law(-1.0).astype(dtype))
    np.testing.assert_allclose(fit.slope, -1.0, atol=1e-3)


@pytest.mark.parametrize("statistic", ["rms", "mean"])
def test_a_statistic_beyond_the_floats_is_refused(statistic):
    with pytest.raises(ValueError, match=f"table must hold values whose {statistic} is finite"):
        nth.fit_exponent(power_law(-1.0) * 8e307, statistic)


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [("median", 2.0), ("mean", 3.0), ("rms", np.sqrt(15.0)), ("p90", 5.2)],
)
def test_the_statistic_is_the_one_that_was_named(statistic, expected):
    rows = np.array([[1.0, 2.0, 6.0]] * 2)
    if statistic == "rms":
        rows = np.array([[1.0, 2.0, np.sqrt(40.0)]] * 2)
    table = xr.DataArray(rows, dims=("width", "seed"), coords={"width": [2, 8]})
    fit = nth.fit_exponent(table, statistic)
    np.testing.assert_allclose(fit.values, expected, rtol=1e-14)
    assert fit.statistic == statistic
    assert (fit.values_low <= fit.values).all()
    assert (fit.values <= fit.values_high).all()
    assert fit.values_low[0] < fit.values_high[0]


def test_the_slope_is_numpy_s_least_squares():
    table = power_law(-1.0, noise=0.4, widths=(10, 30, 35, 200))
    fit = nth.fit_exponent(table)
    logs = np.log(np.median(table, axis=1))
    slope, intercept = np.polyfit(np.log(table["width"]), logs, 1)
    np.testing.assert_allclose((fit.slope, fit.intercept), (slope, intercept), atol=1e-12)
    assert fit.low < fit.slope < fit.high
    assert str(fit) == f"exponent {fit.slope:.3f} [{fit.low:.3f}, {fit.high:.3f}]"


def test_the_order_of_widths_and_dimensions_does_not_matter():
    table = power_law(-1.0, noise=0.4)
    shuffled = table.isel(width=[3, 0, 4, 1, 2]).transpose("seed", "width")
    a, b = nth.fit_exponent(table), nth.fit_exponent(shuffled)
    np.testing.assert_allclose((a.slope, a.low, a.high), (b.slope, b.low, b.high), atol=1e-12)


@pytest.mark.parametrize("statistic", ["median", "mean", "rms"])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(statistic):
    """Sixty synthetic sweeps of 24 seeds: at least 50 of the 95 % intervals hold −1.

    A bootstrap of 24 seeds covers near 93 %; fewer than 50 of 60 then has probability 0.3 %.
    Each interval excludes −1/2, the rival of most claims, so the width is not the reason.
    """
    rng = np.random.default_rng(1)
    fits = [nth.fit_exponent(power_law(-1.0, 0.5, 24, rng), statistic) for _ in range(60)]
    assert sum(fit.low <= -1.0 <= fit.high for fit in fits) >= 50
    assert not any(fit.low <= -0.5 <= fit.high for fit in fits)


def test_whole_seeds_are_drawn_again():
    """Noise common to all widths of a seed cancels in the slope, and the interval knows it."""
    rng = np.random.default_rng(0)
    common = np.exp(rng.normal(size=16))
    shared = power_law(-1.0) * common
    alone = power_law(-1.0, noise=1.0, rng=rng)
    tight, wide = nth.fit_exponent(shared), nth.fit_exponent(alone)
    assert tight.high - tight.low < 1e-10
    assert wide.high - wide.low > 0.05
