"""Draws against plain loops, what a measure may return, and the cache."""

import jax
import jax.numpy as jnp
import joblib
import numpy as np
import pytest
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


@pytest.mark.parametrize("batch_size", [None, 1, 2])
def test_draws_equal_a_plain_loop(batch_size):
    found = nth.draws(moments, widths=WIDTHS, seeds=[3, 11, 5], batch_size=batch_size, shift=0.5)
    assert type(found) is dict
    assert list(found) == ["mean", "largest"]
    for name, rows in plain_loop([3, 11, 5], 0.5).items():
        assert type(found[name]) is np.ndarray
        # The same draws; only the order of a mean's additions may differ.
        np.testing.assert_allclose(found[name], rows, rtol=1e-13)


def test_one_seed_at_a_time_is_a_loop_that_takes_one_branch():
    entered = []

    def measure(width, key):
        def count(value):
            entered.append(width)
            return value

        def rare(value):
            return jax.pure_callback(count, value, value, vmap_method="sequential")

        value = jax.random.uniform(key)
        return {"value": jax.lax.cond(value > 2.0, rare, lambda value: value, value)}

    nth.draws(measure, widths=[3], seeds=4, batch_size=1)
    assert not entered
    nth.draws(measure, widths=[3], seeds=4, batch_size=2)  # where both branches are computed
    assert entered


def test_draws_are_reproducible_and_a_number_of_seeds_means_the_first_ones():
    first, again, named = (nth.draws(moments, widths=WIDTHS, seeds=s) for s in (3, 3, [0, 1, 2]))
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values)
        np.testing.assert_array_equal(named[name], values)
    assert len(np.unique(first["mean"])) == 6  # every width and seed has a draw of its own


def test_draws_run_under_the_reader_s_joblib_settings():
    serial = nth.draws(moments, widths=WIDTHS, seeds=2)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        threaded = nth.draws(moments, widths=WIDTHS, seeds=2)
    for name, values in serial.items():
        np.testing.assert_array_equal(threaded[name], values)


def test_what_is_fixed_may_have_any_name():
    def named(width, key, name, function, what):
        return {"value": function(name * what * jax.random.normal(key) / width)}

    found = nth.draws(named, widths=WIDTHS, seeds=2, name=2.0, function=jnp.exp, what=0.5)
    alone = jax.random.normal(jax.random.fold_in(jax.random.key(1), WIDTHS[0])) / WIDTHS[0]
    np.testing.assert_allclose(found["value"][0, 1], np.exp(alone), rtol=1e-13)


def shaped(width, key):
    draw = jax.random.normal(key, (2, 3)) / width
    return {"zeta": draw, "count": 3, "alpha": draw.sum(0), "same": np.ones((1, 2)), "big": width}


@pytest.mark.parametrize("batch_size", [None, 1, 2])
def test_arrays_of_any_shape_keep_it_and_names_keep_their_order(batch_size):
    found = nth.draws(shaped, widths=WIDTHS, seeds=3, batch_size=batch_size)
    assert list(found) == ["zeta", "count", "alpha", "same", "big"]
    shapes = {"zeta": (2, 3), "count": (), "alpha": (3,), "same": (1, 2), "big": ()}
    assert {name: values.shape for name, values in found.items()} == {
        name: (2, 3, *shape) for name, shape in shapes.items()
    }
    for place, width in enumerate(WIDTHS):
        for seed in range(3):
            alone = shaped(width, jax.random.fold_in(jax.random.key(seed), width))
            for name, values in alone.items():
                # The order of a sum's additions, and a division by a number known beforehand.
                np.testing.assert_allclose(found[name][place, seed], values, rtol=1e-13)


def test_names_keep_their_order_in_the_cache_and_in_other_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path))
    expected = list(shaped(1, jax.random.key(0)))
    with joblib.parallel_config(backend="loky", n_jobs=2):
        assert list(nth.draws(shaped, widths=WIDTHS, seeds=2)) == expected
    assert list(nth.draws(shaped, widths=WIDTHS, seeds=2)) == expected


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
    """Draw in a cache of this test; return the values and the widths that were computed."""
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NTH_FORCE", raising=False)

    def run(factor=1.0, widths=(2, 3), seeds=2, **fixed):
        module = module_from_source(tmp_path, COUNTED.format(factor=factor))
        traced_widths.clear()
        found = nth.draws(module.measure, widths=widths, seeds=seeds, **fixed)
        return found["value"][:, 0].tolist(), sorted(set(traced_widths))

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
        drawn = nth.draws(applied, widths=[2], seeds=1, activation=activation)
        found.append(drawn["value"].item())
    assert found == [2.0, 6.0]


@pytest.mark.parametrize(
    "activation", [jnp.tanh, nth.relu, lambda x: x * x], ids=["tanh", "relu", "lambda"]
)
def test_an_activation_among_the_arguments_can_be_cached(tmp_path, monkeypatch, activation):
    monkeypatch.setenv("NTH_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        drawn = nth.draws(applied, widths=[2], seeds=1, activation=activation)
        np.testing.assert_allclose(drawn["value"].item(), activation(jnp.asarray(2.0)), rtol=1e-14)
