"""The frozen kernel, p = 2, against a numerical solver, regression and its own symmetries."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import unit_rows
from scipy.integrate import solve_ivp

import nthlib as nth

TIMES = np.array([0.0, 0.3, 0.3, 2.0, 30.0])


def problem(n=4, tests=2, eigenvalues=None, seed=0):
    """Kernels of n training and some test points with chosen eigenvalues of the training block."""
    rng = np.random.default_rng(seed)
    values = np.linspace(0.2, 2.0, n) if eigenvalues is None else np.asarray(eigenvalues)
    vectors = np.linalg.qr(rng.normal(size=(n, n)))[0]
    kernel = np.concatenate([vectors * values @ vectors.T, rng.normal(size=(tests, n))])
    K = {1: jnp.asarray(rng.normal(size=n + tests)), 2: jnp.asarray(kernel)}
    return K, rng.normal(size=n)


def reference(K, y, times):
    """∂_t f = −(1/n) K (f − y) on all rows, by SciPy."""
    kernel, n = np.asarray(K[2]), len(y)
    solution = solve_ivp(
        lambda t, f: -kernel @ (f[:n] - y) / n,
        (0, max(times)),
        np.asarray(K[1]),
        method="DOP853",
        rtol=1e-11,
        atol=1e-12,
        t_eval=np.unique(times),
    )
    return solution.y.T[np.searchsorted(solution.t, times)]


@pytest.mark.parametrize(
    "eigenvalues",
    [None, [0, 0.5, 1, 2], [0, 0, 0, 3], [1e-13, 1e-9, 1e-4, 1], [1, 1, 1, 1], [-1e-15, 0.3, 1, 8]],
    ids=["generic", "singular", "rank one", "tiny", "equal", "rounded below zero"],
)
@pytest.mark.parametrize("tests", [0, 2])
def test_predictions_agree_with_a_numerical_solver(eigenvalues, tests):
    K, y = problem(tests=tests, eigenvalues=eigenvalues)
    solution = nth.truncated_hierarchy(K, jnp.asarray(y), jnp.asarray(TIMES))
    # The solver's own error: 1e-11 relative a step, over some hundred steps, numbers below 100.
    np.testing.assert_allclose(solution.predictions, reference(K, y, TIMES), rtol=1e-8, atol=1e-9)


def test_the_start_is_exact_and_the_kernel_stands_still():
    K, y = problem()
    solution = nth.truncated_hierarchy(K, jnp.asarray(y), jnp.asarray(TIMES))
    np.testing.assert_array_equal(solution.predictions[0], K[1])
    assert solution.kernel.shape == (5, 6, 4)
    for kernel in solution.kernel:
        np.testing.assert_array_equal(kernel, K[2])
    np.testing.assert_array_equal(solution.times, TIMES)
    assert solution.valid_until == jnp.inf


def test_the_view_of_the_kernel_takes_no_memory():
    K, y = problem(n=50, tests=0)
    many = jnp.linspace(0, 1, 1000)
    kernel = nth.truncated_hierarchy(K, jnp.asarray(y), many).kernel
    assert kernel.shape == (1000, 50, 50)
    assert kernel.strides[0] == 0
    with pytest.raises((ValueError, TypeError), match=r"read-only|immutable"):
        kernel[0, 0, 0] = 1.0


def test_late_times_are_kernel_regression():
    """f(∞) on a test point is f_0 + K_x K^{-1} (y − f_0)."""
    K, y = problem()
    kernel, start = np.asarray(K[2]), np.asarray(K[1])
    late = nth.truncated_hierarchy(K, jnp.asarray(y), jnp.array([1e4])).predictions[0]
    expected = start + kernel @ np.linalg.solve(kernel[:4], y - start[:4])
    # e^{−0.2·10⁴/4} is nothing; the condition number of the training block is 10.
    np.testing.assert_allclose(late, expected, atol=1e-12)


def test_several_labellings_equal_one_by_one():
    K, _ = problem()
    labellings = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)))
    times = jnp.asarray(TIMES)
    together = nth.truncated_hierarchy(K, labellings, times).predictions
    assert together.shape == (5, 6, 3)
    for column in range(3):
        alone = nth.truncated_hierarchy(K, labellings[:, column], times).predictions
        np.testing.assert_allclose(together[:, :, column], alone, atol=1e-13)
    assert nth.truncated_hierarchy(K, labellings[:, :1], times).predictions.shape == (5, 6, 1)


def test_restarting_in_the_middle_changes_nothing():
    """The semigroup property, also on test rows."""
    K, y = problem()
    y = jnp.asarray(y)
    first, last = nth.truncated_hierarchy(K, y, jnp.array([0.7, 2.0])).predictions
    restarted = nth.truncated_hierarchy({1: first, 2: K[2]}, y, jnp.array([1.3])).predictions[0]
    np.testing.assert_allclose(restarted, last, atol=1e-13)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
def test_time_and_kernel_scale_against_each_other(scale):
    K, y = problem()
    y = jnp.asarray(y)
    plain = nth.truncated_hierarchy(K, y, jnp.array([0.5])).predictions
    scaled = nth.truncated_hierarchy(
        {1: K[1], 2: scale * K[2]}, y, jnp.array([0.5 / scale])
    ).predictions
    np.testing.assert_allclose(scaled, plain, rtol=1e-10, atol=1e-12)


def test_order_two_is_used_when_asked_for_and_higher_kernels_are_present():
    K, y = problem()
    times = jnp.asarray(TIMES)
    extra = {**K, 3: jnp.ones((6, 4, 4))}
    found = nth.truncated_hierarchy(extra, jnp.asarray(y), times, level=2).predictions
    np.testing.assert_array_equal(
        found, nth.truncated_hierarchy(K, jnp.asarray(y), times).predictions
    )


def test_float32_stays_float32():
    K, y = problem()
    single = {r: k.astype(jnp.float32) for r, k in K.items()}
    times = jnp.asarray(TIMES, jnp.float32)
    solution = nth.truncated_hierarchy(single, jnp.asarray(y, jnp.float32), times)
    assert solution.predictions.dtype == jnp.float32
    assert solution.kernel.dtype == jnp.float32
    # Rounding at 6e-8 through an eigendecomposition with condition number 10.
    np.testing.assert_allclose(solution.predictions, reference(K, y, TIMES), atol=2e-5)


def test_jit_vmap_and_grad_in_the_labels():
    K, y = problem()
    times = jnp.array([0.5])

    def late(labels):
        return nth.truncated_hierarchy(K, labels, times).predictions[0]

    jacobian = jax.jit(jax.jacfwd(late))(jnp.asarray(y))
    # Linear in y: the Jacobian's columns are the responses to unit vectors.
    responses = jax.vmap(late)(jnp.eye(4)) - late(jnp.zeros(4))
    np.testing.assert_allclose(jacobian, responses.T, atol=1e-13)


def test_everything_may_be_traced():
    K, y = problem()
    arguments = (K, jnp.asarray(y), jnp.asarray(TIMES))
    traced, plain = (
        f(*arguments) for f in (jax.jit(nth.truncated_hierarchy), nth.truncated_hierarchy)
    )
    np.testing.assert_allclose(traced.predictions, plain.predictions, atol=1e-13)
    np.testing.assert_array_equal(traced.kernel, plain.kernel)


def test_a_batch_never_reaches_the_eigensolver():
    # Two batched calls in one program can deadlock on a machine with two cores.
    kernels = {1: jnp.zeros((5, 4)), 2: jnp.broadcast_to(jnp.eye(4), (5, 4, 4))}
    solve = jax.vmap(lambda K: nth.truncated_hierarchy(K, jnp.ones(4), jnp.ones(1)).predictions)
    solved = [
        line for line in str(jax.make_jaxpr(solve)(kernels)).splitlines() if "= eigh[" in line
    ]
    assert solved
    assert all("[4,4]" in line and "[5," not in line for line in solved)


LATE = [0.0, 1e6, 1e14, 1e30, 1e300]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("labellings", [(), (2,)])
def test_what_a_kernel_does_not_see_is_never_learned(dtype, labellings):
    """Five directions, a hundred labels: the limit is least squares, at every late time."""
    X = 10 * jax.random.normal(jax.random.key(0), (100, 5)).astype(dtype)
    fresh = X[:7] + 1
    K = nth.kernels(lambda w, X: X @ w, jnp.zeros(5, dtype), X, 2, X_test=fresh)
    y = jnp.sign(jax.random.normal(jax.random.key(1), (100, *labellings))).astype(dtype)
    everything = np.asarray(jnp.concatenate([X, fresh]), float)
    best = everything @ np.linalg.lstsq(everything[:100], np.asarray(y, float))[0]
    solution = nth.truncated_hierarchy(K, y, jnp.array(LATE))
    assert (solution.predictions[0] == 0).all()
    assert (solution.smallest_eigenvalue == 0).all()
    # Rounding times √n and the condition number of the five directions, below two.
    tolerance = 100 * float(jnp.finfo(dtype).eps)
    for late in solution.predictions[1:]:
        np.testing.assert_allclose(late, best, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_equal_inputs_with_opposite_labels_stay_at_zero(dtype, order):
    X = jnp.asarray(unit_rows(1, 3), dtype).repeat(2, 0)
    y, times = jnp.array([1.0, -1.0], dtype), jnp.array(LATE if order == 2 else [0.0, 1e3])
    net = nth.FullyConnected(3, 8, 1)
    params = net.init(jax.random.key(0), dtype)
    params = params._replace(readout=0 * params.readout)
    K = nth.kernels(net, params, X, order)
    for method in ("signature", "tensors") if order > 2 else ("auto",):
        found = nth.truncated_hierarchy(K, y, times, order, method=method)
        # Exactly at p = 2; else K^(3) and K^(4) of equal rows differ by rounding.
        allowed = 0 if order == 2 else 100 * jnp.finfo(dtype).eps
        assert jnp.abs(found.predictions).max() <= allowed
    with pytest.warns(UserWarning, match="the same input twice"):
        found = nth.truncated_flow(net, params, X, y, times[:1], order)
    assert (found.predictions == 0).all()


def rounded_below_zero(dtype):
    """A kernel of rank two of four points, one eigenvalue of which rounding has made negative."""
    vectors = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    eps = float(jnp.finfo(dtype).eps)
    kernel = vectors * np.array([-eps, eps / 2, 1.0, 2.0]) @ vectors.T
    return jnp.asarray((kernel + kernel.T) / 2, dtype), vectors


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "settings",
    [
        {"level": 2, "loss": "square"},
        {"level": 2, "loss": lambda f, y: (f - y) ** 2 / 2},
        {"level": 3, "method": "signature"},
        {"level": 3, "method": "tensors"},
        {"level": 4, "method": "signature"},
        {"level": 2, "indicator": True},
        {"level": 3, "solver": "implicit"},
    ],
)
def test_every_solver_leaves_alone_what_rounding_explains(dtype, settings):
    """The part of the residual that the kernel does not see stays as it was, to rounding."""
    kernel, vectors = rounded_below_zero(dtype)
    K = {1: jnp.zeros(4, dtype), 2: kernel}
    K |= {r: jnp.zeros((4,) * r, dtype) for r in range(3, 5)}
    y = jnp.asarray(vectors.sum(1), dtype)
    times = jnp.array([0.0, 1.0, 200.0], dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="truncated hierarchy stopped")
        solution = nth.truncated_hierarchy(K, y, times, **settings)
    unseen = np.asarray(solution.predictions, float) @ vectors[:, :2]
    eps = float(jnp.finfo(dtype).eps)
    assert np.nanmax(np.abs(unseen)) < 20 * eps
    learned = (1 - np.exp(-np.array([1.0, 2.0]) * 200 / 4)) @ vectors[:, 2:].T
    np.testing.assert_allclose(solution.predictions[-1], learned, atol=1e-6 if eps < 1e-9 else 1e-4)
    assert (np.asarray(solution.smallest_eigenvalue) == 0).all()
    if settings.get("indicator"):
        assert np.abs(solution.error_indicator).max() < 1e-6


def test_a_direction_that_is_truly_negative_still_grows():
    """The warning, and the growth e^{0.1 t/4}, are of the equation and not of rounding."""
    K = {1: jnp.zeros(4), 2: jnp.diag(jnp.array([-0.1, 1.0, 1.0, 2.0]))}
    with pytest.warns(UserWarning, match="not positive semi-definite"):
        found = nth.truncated_hierarchy(K, jnp.ones(4), jnp.array([80.0])).predictions[0]
    np.testing.assert_allclose(found[0], 1 - np.exp(2.0), rtol=1e-12)


LATER = [1e4, 1e8, 1e12, 1e15]


@pytest.mark.parametrize(
    "settings",
    [
        {"level": 2, "loss": lambda f, y: (f - y) ** 2 / 2},
        {"level": 2, "indicator": True},
        {"level": 3, "method": "tensors"},
        {"level": 4, "method": "signature"},
    ],
    ids=["own loss", "indicator", "tensors", "signature"],
)
def test_an_equal_pair_beside_another_input_is_right_at_every_late_time(settings):
    """Opposite labels are never learned, the third label is: both for K̃^(2) that moves."""
    X = jnp.asarray(unit_rows(2, 4))[jnp.array([0, 0, 1])]
    net = nth.FullyConnected(4, 64, 1, sigma_a=0.5)
    K = nth.kernels(net, net.init(jax.random.key(0)), X, 4)
    K, y = {**K, 1: 0 * K[1]}, jnp.array([1.0, -1.0, 0.5])
    found = nth.truncated_hierarchy(K, y, jnp.array(LATER), solver="implicit", **settings)
    assert found.valid_until == jnp.inf
    # The solver's tolerance, 1e-8 a step; what stands still does so to rounding.
    np.testing.assert_allclose(found.predictions, np.tile([0, 0, 0.5], (4, 1)), atol=1e-7)
    np.testing.assert_allclose(found.predictions[:, 0], found.predictions[:, 1], atol=1e-14)


def test_a_moving_kernel_keeps_the_pair_in_single_precision():
    """K^(3) of equal rows differs by rounding, which in the first basis grew to 0.02 at 1e8."""
    X = jnp.asarray(unit_rows(2, 4), "float32")[jnp.array([0, 0, 1])]
    net = nth.FullyConnected(4, 256, 1, sigma_a=0.5)
    K = nth.kernels(net, net.init(jax.random.key(0), "float32"), X, 3)
    K, y = {**K, 1: 0 * K[1]}, jnp.array([1.0, -1.0, 0.5], "float32")
    times = jnp.array([1e4, 1e8], "float32")
    for method in ("signature", "tensors"):
        found = nth.truncated_hierarchy(
            K, y, times, method=method, solver="implicit", rtol=1e-5
        ).predictions
        np.testing.assert_allclose(found, np.tile([0, 0, 0.5], (2, 1)), atol=1e-4)


@pytest.mark.parametrize("order", [3, 4])
def test_a_direction_in_which_the_kernel_wakes_is_kept(order):
    """Three parameters for five inputs: K^(2) has rank three at the start, and not later."""
    net = nth.FullyConnected(2, 1, 1, sigma_a=2.0)
    X, y = jnp.asarray(unit_rows(5, 2)), np.array([1.0, -0.5, 0.3, 0.2, -0.1])
    K = nth.kernels(net, net.init(jax.random.key(0)), X, order)
    assert np.linalg.matrix_rank(K[2]) == 3
    shapes = [K[r].shape for r in range(1, order)]
    cuts = np.cumsum([np.prod(shape) for shape in shapes])[:-1]

    def velocity(_, state):
        parts = [part.reshape(s) for part, s in zip(np.split(state, cuts), shapes, strict=True)]
        force = -(parts[0] - y) / 5
        return np.concatenate([(k @ force).ravel() for k in [*parts[1:], np.asarray(K[order])]])

    start = np.concatenate([np.asarray(K[r]).ravel() for r in range(1, order)])
    times = [0.0, 0.5, 2.0]
    run = solve_ivp(velocity, (0, 2), start, "DOP853", rtol=1e-11, atol=1e-12, t_eval=times)
    kernels = run.y[5:30].T.reshape(3, 5, 5)
    assert np.linalg.matrix_rank(kernels[-1], tol=1e-3) > 3
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the truncated kernel is no longer positive definite")
        found = nth.truncated_hierarchy(K, jnp.asarray(y), jnp.array(times), order)
    np.testing.assert_allclose(found.predictions, run.y[:5].T, atol=1e-6)
    np.testing.assert_allclose(found.kernel, kernels, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("n", [20, 200])
def test_what_a_coarse_type_resolves_is_learned(dtype, n):
    """Eigenvalues from 0.09 to 3, rounded entry by entry: the end of training is the labels."""
    X = np.random.default_rng(0).normal(size=(n, 2 * n)) / np.sqrt(2 * n)
    kernel = jnp.asarray(X @ X.T, dtype)
    # Rounding moves them by less than its spacing times the largest.
    values = [np.linalg.eigvalsh(k) for k in (np.asarray(kernel, float), X @ X.T)]
    assert np.abs(values[0] - values[1]).max() < jnp.finfo(dtype).eps * values[1][-1]
    K, y = {1: jnp.zeros(n, dtype), 2: kernel}, jnp.ones(n, dtype)
    found = nth.truncated_hierarchy(K, y, jnp.array([1e6]))
    # Solved in single precision, with a condition number of forty.
    np.testing.assert_allclose(found.predictions, 1, atol=1e-4)
    np.testing.assert_allclose(found.smallest_eigenvalue[0], values[0][0], rtol=1e-4)


def test_what_single_precision_resolves_is_learned():
    """Eigenvalues down to 1e-4 of the largest, far above the rounding of 300 float32 numbers."""
    values = np.geomspace(1e-4, 1.0, 300)
    vectors = np.linalg.qr(np.random.default_rng(5).normal(size=(300, 300)))[0]
    K = {1: jnp.zeros(300, "float32"), 2: jnp.asarray(vectors * values @ vectors.T, "float32")}
    y, t = vectors.sum(1), 1e6
    found = nth.truncated_hierarchy(K, jnp.asarray(y, "float32"), jnp.array([t])).predictions[0]
    wanted = vectors @ (1 - np.exp(-values * t / 300))
    # Modes of 1e-4 have their rates to eps / 1e-4, about a thousandth.
    np.testing.assert_allclose(found, wanted, atol=2e-3)
