"""Several levels in one program against one level at a time."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, unit_rows

import nthlib as nth

X, X_TEST = unit_rows(2, 2), unit_rows(1, 2, seed=1)
Y, TIMES = jnp.array([1.0, -0.5]), jnp.array([0.0, 0.4, 1.0, 3.0])
# Both solvers have the relative tolerance 1e-8; predictions are of order one.
CLOSE = {"rtol": 1e-6, "atol": 1e-6}


@functools.cache
def kernels(seed=0):
    net, params = network(1, 12, 2, seed=seed)
    return nth.kernels(net, params, X, 5, X_test=X_TEST)


@pytest.mark.parametrize("options", [{}, {"method": "tensors"}, {"solver": "implicit"}], ids=str)
def test_levels_together_are_those_one_by_one(options):
    levels = [4, 2, 3, 5]
    found = nth.truncations(kernels(), Y, TIMES, levels, **options)
    assert all(len(leaf) == len(levels) for leaf in jax.tree.leaves(found))
    assert np.isinf(found.valid_until).all()
    for i, level in enumerate(levels):
        one = nth.truncated_hierarchy(kernels(), Y, TIMES, level)
        for name in ("times", "predictions", "kernel", "smallest_eigenvalue"):
            np.testing.assert_allclose(getattr(found, name)[i], getattr(one, name), **CLOSE)
    assert np.abs(found.predictions[0] - found.predictions[1]).max() > 1e-3


def test_labellings_outputs_and_losses_are_carried():
    y = jnp.stack([Y, -Y, 2 * Y], axis=1)
    found = nth.truncations(kernels(), y, TIMES, [2, 3], loss=lambda f, y: (f - y) ** 4 / 4)
    for i, level in enumerate((2, 3)):
        one = nth.truncated_hierarchy(
            kernels(), y, TIMES, level, loss=lambda f, y: (f - y) ** 4 / 4
        )
        np.testing.assert_allclose(found.predictions[i], one.predictions, **CLOSE)
        np.testing.assert_allclose(found.kernel[i], one.kernel, **CLOSE)
    K = {1: jnp.zeros((3, 2)), 2: jnp.eye(6, 4).reshape(3, 2, 2, 2)}
    found = nth.truncations(K, jnp.ones((2, 2)), TIMES, [2, 2])
    assert found.predictions.shape == (2, 4, 3, 2)
    assert found.kernel.shape == (2, 4, 3, 2, 2, 2)
    one = nth.truncated_hierarchy(K, jnp.ones((2, 2)), TIMES)
    np.testing.assert_allclose(found.predictions[1], one.predictions, **CLOSE)


def test_one_program_serves_all_variants_and_levels():
    """Stacked kernels with a level each, as one program under jit and vmap."""
    cases = [("own", 2), ("own", 4), ("flipped", 3), ("other", 2), ("flipped", 5)]
    own = kernels()
    variants = {"own": own, "flipped": own | {3: -own[3]}, "other": kernels(1)}
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(variants[v] for v, _ in cases))
    traces = []

    def solve(K, levels):
        traces.append(levels)
        return nth.truncations(K, Y, TIMES, levels)

    program = jax.jit(jax.vmap(solve))
    found = program(stacked, jnp.array([[level] for _, level in cases]))
    program(stacked, jnp.array([[2]] * len(cases)))
    assert len(traces) == 1
    for i, (variant, level) in enumerate(cases):
        one = nth.truncated_hierarchy(variants[variant], Y, TIMES, level)
        np.testing.assert_allclose(found.predictions[i, 0], one.predictions, **CLOSE)
        np.testing.assert_allclose(found.kernel[i, 0], one.kernel, **CLOSE)


def test_it_is_the_highest_level_on_kernels_padded_with_zeros():
    """To a few roundings that steps carry along: the same equations, in the same solver."""
    K = kernels()
    found = jax.jit(lambda K: nth.truncations(K, Y, TIMES, [2, 3, 5], rtol=1e-14))(K)
    for i, level in enumerate((2, 3, 5)):
        cut = {r: K[r] if r <= level else jnp.zeros_like(K[r]) for r in K}
        one = jax.jit(lambda K: nth.truncated_hierarchy(K, Y, TIMES, rtol=1e-14))(cut)
        np.testing.assert_allclose(found.predictions[i], one.predictions, rtol=1e-12, atol=1e-13)
        assert found.steps[i] == one.steps


def test_a_blow_up_names_its_level():
    ones = {r: jnp.ones((1,) * r) for r in (1, 2, 3)}
    late = jnp.array([0.0, 6.0])
    with pytest.warns(UserWarning, match="truncated at level 3 blows up") as caught:
        found = nth.truncations(ones, jnp.zeros(1), late, [2, 3], solver="explicit")
    assert [warning.filename for warning in caught] == [__file__]
    np.testing.assert_allclose(found.valid_until, [np.inf, 1.5 * np.pi], rtol=1e-3)
    assert np.isfinite(found.predictions[0]).all()
    assert np.isnan(found.predictions[1, 1]).all()


@pytest.mark.bad_input
def test_levels_beyond_the_kernels_and_traced_ones_that_are_no_list_are_refused():
    with pytest.raises(ValueError, match="level 6 needs the kernels 1 to 6 in K, 6 is missing"):
        nth.truncations(kernels(), Y, TIMES, [2, 6])
    with pytest.raises(ValueError, match="levels must be a list of whole numbers"):
        jax.jit(lambda p: nth.truncations(kernels(), Y, TIMES, p))(3)
    with pytest.raises(TypeError, match=r"nthlib\.truncations must not be differentiated"):
        jax.grad(lambda y: nth.truncations(kernels(), y, TIMES, [2]).predictions.sum())(Y)
