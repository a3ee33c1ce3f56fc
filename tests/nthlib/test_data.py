"""Inputs with prescribed geometry, labels, and Assumption 2.2 against brute force."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import unit_rows
from sklearn.datasets import load_digits

import nthlib as nth

KEY = jax.random.key(0)


@pytest.mark.parametrize(("n", "dim"), [(2, 2), (3, 5), (6, 6)])
@pytest.mark.parametrize("value", [0.0, 1e-3, 0.3, 0.9, 1.0])
def test_the_sphere_has_the_chosen_smallest_singular_value(n, dim, value):
    X = nth.sphere(KEY, n, dim, smallest_singular_value=value)
    assert X.shape == (n, dim)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1.0, atol=1e-14)
    # s is the root of an eigenvalue s² known to 1e-16: near zero only 1e-8 of s survives.
    found = np.linalg.svd(X, compute_uv=False)[-1]
    np.testing.assert_allclose(found, value, atol=1e-13 if value > 0.1 else 1e-7)


def test_a_uniform_draw_has_unit_rows_and_no_direction():
    X = np.asarray(nth.sphere(KEY, 4000, 3))
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1.0, atol=1e-14)
    # Each coordinate has mean 0 and variance 1/3: 5 standard errors of 4,000 draws.
    assert np.abs(X.mean(axis=0)).max() < 5 * np.sqrt(1 / 3 / 4000)
    assert np.abs(X.T @ X / 4000 - np.eye(3) / 3).max() < 5 * np.sqrt(0.1 / 4000)


def test_draws_depend_on_the_key_alone():
    first, again, other = (
        nth.sphere(jax.random.key(k), 3, 4, smallest_singular_value=0.5) for k in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_a_single_point_has_only_one_singular_value():
    """One unit vector has singular value 1: a smaller one cannot be granted in silence."""
    with pytest.raises(ValueError, match=r"smallest_singular_value|n must"):
        nth.sphere(KEY, 1, 3, smallest_singular_value=0.5)


def test_teacher_labels_are_the_network_s_outputs_standardised():
    X = unit_rows(12, 4)
    teacher = nth.FullyConnected(4, 16, 2)
    y = np.asarray(nth.teacher_labels(KEY, teacher, X))
    outputs = np.asarray(teacher(teacher.init(KEY), X))
    np.testing.assert_allclose((y.mean(), y.std()), (0, 1), atol=1e-14)
    np.testing.assert_allclose(y, (outputs - outputs.mean()) / outputs.std(), atol=1e-12)
    assert nth.teacher_labels(KEY, teacher, X.astype(jnp.float32)).dtype == jnp.float32


def test_digits_are_centred_and_of_length_one():
    X, y = nth.digits()
    images, numerals = load_digits(return_X_y=True)
    assert X.shape == (1797, 64)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1.0, atol=1e-14)
    centred = images - images.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose((np.asarray(X) * lengths).sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.asarray(X) * lengths, centred, atol=1e-12)
    np.testing.assert_array_equal(y, np.where(numerals % 2 == 0, 1, -1))


@pytest.mark.parametrize("pair", [(3, 8), (8, 3), [0, 1]])
def test_two_digits_against_each_other(pair):
    X, y = nth.digits(pair)
    everything, _ = nth.digits()
    numerals = load_digits().target
    for digit, sign in zip(pair, (1, -1), strict=True):
        np.testing.assert_array_equal(X[y == sign], everything[numerals == digit])
    assert len(X) == np.isin(numerals, pair).sum()


def test_digits_are_taken_in_order_or_shuffled_with_their_labels():
    everything, signs = map(np.asarray, nth.digits())
    X, y = nth.digits(n=20)
    np.testing.assert_array_equal(X, everything[:20])
    np.testing.assert_array_equal(y, signs[:20])
    X, y = map(np.asarray, nth.digits(n=20, key=KEY))
    assert not np.array_equal(X, everything[:20])
    rows = [int(np.argmin(np.abs(everything - x).sum(axis=1))) for x in X]
    np.testing.assert_array_equal(X, everything[rows])
    np.testing.assert_array_equal(y, signs[rows])
    assert len(set(rows)) == 20


def brute_force(X, r):
    """The smallest singular value over all subsets of r rows, and the subsets near it."""
    values = {
        rows: np.linalg.svd(X[list(rows)], compute_uv=False)[-1] if r <= X.shape[1] else 0.0
        for rows in itertools.combinations(range(len(X)), r)
    }
    least = min(values.values())
    return least, [rows for rows, value in values.items() if value <= least + 1e-9]


SHAPES = [(6, 5, 1), (7, 6, 2), (5, 3, 2), (2, 2, 3), (1, 3, 1)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("n", "dim", "order"), [(6, 5, 1), (7, 6, 2), (5, 3, 2), (2, 2, 3), (1, 3, 1)]
)
def test_check_inputs_agrees_with_brute_force(n, dim, order, seed):
    scales = np.random.default_rng(seed).uniform(0.5, 2.0, size=(n, 1))
    X = np.asarray(unit_rows(n, dim, seed)) * scales
    report = nth.check_inputs(jnp.asarray(X), order)
    assert list(report.smallest) == list(range(2, min(2 * order + 1, n) + 1))
    for r, value in report.smallest.items():
        least, subsets = brute_force(X, r)
        # Eigenvalues of Gram matrices pick the subset, a singular value is then computed.
        np.testing.assert_allclose(value, least, atol=1e-7)
        assert report.subsets[r] in subsets or r > dim
        assert report.exact[r]
    np.testing.assert_allclose(report.norms, (scales.min(), scales.max()), rtol=1e-14)
    assert report.lower_bound <= min(report.smallest.values(), default=np.inf) + 1e-12
    assert report.holds == (2 * order + 1 <= dim or n <= dim)


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, 1e-3])
def test_a_parallel_pair_is_named(factor):
    X = unit_rows(5, 6)
    X = X.at[4].set(factor * X[1])
    report = nth.check_inputs(X, 2)
    assert not report.holds
    assert report.broken_by == (1, 4)
    assert report.smallest[2] <= report.tolerance
    assert "rows (1, 4) are linearly dependent" in str(report)


def test_a_dependent_triple_is_named():
    X = unit_rows(6, 6)
    X = X.at[3].set(0.7 * X[0] - 1.1 * X[5])
    report = nth.check_inputs(X, 1)
    assert report.broken_by == (0, 3, 5)
    assert report.smallest[2] > 0.01
    assert "rows (0, 3, 5)" in str(report)


def test_a_zero_input_breaks_the_assumption():
    report = nth.check_inputs(unit_rows(3, 4).at[1].set(0.0), 1)
    assert not report.holds
    assert report.norms[0] == 0
    assert "an input is zero" in str(report)
    assert not nth.check_inputs(jnp.zeros((1, 3)), 1).holds


def test_good_inputs_pass_with_orthonormal_values():
    report = nth.check_inputs(jnp.eye(5), 2)
    assert report.holds
    assert report.broken_by is None
    np.testing.assert_allclose(list(report.smallest.values()), 1.0, atol=1e-14)
    assert str(report).startswith("norms from 1 to 1\n2 inputs: smallest singular value 1 ")
    assert str(report).endswith("Assumption 2.2 holds on every subset looked at")


def test_many_inputs_are_searched_greedily_and_the_report_says_so():
    """C(60, 3) = 34,220 subsets are too many: the worst pair is extended by its worst third."""
    X = unit_rows(60, 8)
    X = X.at[59].set(X[7] + 1e-3 * X[20])
    report = nth.check_inputs(X, 1)
    assert report.exact == {2: True, 3: False}
    assert report.subsets[2] == (7, 59)
    assert report.broken_by == (7, 20, 59)
    assert "at most" in str(report)
    near = nth.check_inputs(unit_rows(60, 8), 2)
    assert near.lower_bound == 0.0  # 60 rows in R^8
    for r in (3, 4, 5):
        rows = np.asarray(unit_rows(60, 8))[list(near.subsets[r])]
        np.testing.assert_allclose(np.linalg.svd(rows, compute_uv=False)[-1], near.smallest[r])
        assert near.smallest[r] <= near.smallest[r - 1] + 1e-12  # more rows, smaller value


def test_pairs_are_exact_among_many():
    X = np.asarray(unit_rows(300, 4))
    report = nth.check_inputs(jnp.asarray(X), 1)
    cosine = np.abs(X @ X.T - np.eye(300)).max()
    np.testing.assert_allclose(report.smallest[2], np.sqrt(1 - cosine), rtol=1e-6)
