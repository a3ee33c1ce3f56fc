"""Every seed has one value, in any company, and a value of its own."""

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nthlib as nth


def moments(width, key):
    return {"mean": draw(width, key)}


def draw(width, key):
    return jax.random.normal(key, (width,)).mean()


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
    expected = [draw(width, jax.random.fold_in(jax.random.key(5), width)) for width in (4, 9)]
    with jax.default_prng_impl(default):
        for seeds in ([5], [3, 5], [1, 5, 2]):
            found = nth.draws(moments, widths=[4, 9], seeds=seeds, batch_size=batch_size)
            own = found["mean"][:, seeds.index(5)]
            # The same draws; only the order of a mean's additions may differ.
            np.testing.assert_allclose(own, expected, rtol=1e-13)


def test_keys_of_rbg_are_refused_where_they_would_depend_on_their_neighbours():
    """With them a seed has another value beside others: this is what is refused."""
    measure = own_keys("rbg")
    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    together = jax.vmap(lambda key: measure(4, key)["draw"])(keys)
    alone = [measure(4, key)["draw"] for key in keys]
    assert (np.abs(together - jnp.stack(alone)) > 0.01).any()
    with pytest.raises(ValueError, match=r"measure must not draw with random keys of .*rbg"):
        nth.draws(measure, widths=[4], seeds=3)
    single = nth.draws(measure, widths=[4], seeds=3, batch_size=1)["draw"]
    for seed in range(3):
        key = jax.random.fold_in(jax.random.key(seed), 4)
        np.testing.assert_allclose(single[0, seed], measure(4, key)["draw"], rtol=1e-13)


@pytest.mark.bad_input
@pytest.mark.parametrize("kind", ["rbg", "unsafe_rbg"])
@pytest.mark.parametrize(
    "wrap", [lambda f: f, lambda f: lambda width, key: jax.jit(f, static_argnums=0)(width, key)]
)
@pytest.mark.parametrize("batch_size", [None, 2])
def test_keys_of_rbg_are_found_wherever_they_are_used(kind, wrap, batch_size):
    with pytest.raises(ValueError, match=r"measure must not draw with random keys of .*rbg"):
        nth.draws(wrap(own_keys(kind)), widths=[4], seeds=3, batch_size=batch_size)


def test_keys_that_give_each_seed_its_own_are_accepted():
    def shared(width, key):
        same = jax.random.normal(jax.random.key(0, impl="rbg"), (3,)).sum()
        return {"sum": same + jax.random.normal(key)}

    assert len(np.unique(nth.draws(own_keys("threefry2x32"), widths=[4], seeds=3)["draw"])) == 3
    assert len(np.unique(nth.draws(shared, widths=[4], seeds=3)["sum"])) == 3


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
        nth.draws(measure, widths=[4, 9], seeds=3, batch_size=batch_size)
    assert {v.shape for v in nth.draws(measure, widths=[4, 9], seeds=1).values()} == {(2, 1)}


@pytest.mark.bad_input
@pytest.mark.parametrize("seeds", [1, 3])
def test_numpy_s_global_random_numbers_are_refused_beside_the_key_s(seeds):
    with pytest.raises(ValueError, match="measure must not draw from NumPy's global random state"):
        nth.draws(numpy_noise, widths=[4], seeds=seeds)


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

    found = nth.draws(measure, widths=[4], seeds=3)
    assert found["count"].tolist() == [[3, 3, 3]]
    assert found["zero"].tolist() == [[0.0, 0.0, 0.0]]
    np.testing.assert_array_equal(nth.draws(with_theory, widths=[4], seeds=2)["theory"], 1.5 / 4)
    np.testing.assert_array_equal(nth.draws(capped, widths=[4], seeds=2)["capped"], 0.1)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("results", "error", "message"),
    [
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
        (
            lambda m: {"a": 1.0 if m > 4 else jnp.ones(2)},
            ValueError, r"'a' of shape \(2,\) at width 4 and \(\) at width 9",
        ),
        (lambda m: {"a": jnp.ones(m)}, ValueError, r"same shapes at every width, .*\(4,\)"),
        (lambda m: {"a": [1.0]}, TypeError, "dict of arrays, but 'a'"),
        (lambda m: {"a": {"b": 1.0}}, TypeError, "dict of arrays, but 'a'"),
        (lambda m: {"a": np.array(["b"])}, TypeError, "dict of arrays, but 'a'"),
        (lambda m: {"a": jax.random.key(m)}, TypeError, "dict of arrays, but 'a'"),
    ],
)  # fmt: skip
def test_results_that_make_no_table_are_refused_in_a_sentence(results, error, message):
    with pytest.raises(error, match=f"^measure must .*{message}"):
        nth.draws(lambda width, key: results(width), widths=[4, 9], seeds=1)
