"""The series summed along a strip, and as a Gram matrix, against SciPy and explicit Jacobians."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, unit_rows
from scipy.integrate import solve_ivp

import nthlib as nth
from nthlib.truncation.resum import half_width_of, strip_weights

X, X_TEST = unit_rows(2, 2), unit_rows(1, 2, seed=1)
Y, TIMES = jnp.array([1.5, -1.0]), jnp.array([0.0, 0.4, 1.0, 3.0])
CLOSE = {"rtol": 1e-6, "atol": 1e-6}


@functools.cache
def case():
    net, params = network(1, 12, 2, sigma_w=1.0)
    return net, params, nth.kernels(net, params, X, 5, X_test=X_TEST)


def weights_by_fourier(action_over_width, degree):
    """b_k: the series of ε(w)^k with ε = (4B/π) artanh w, from values on a circle, at ε = 1."""
    x = math.pi / 4 * action_over_width
    w, points = math.tanh(x), 512
    circle = 0.9 * np.exp(2j * np.pi * np.arange(points) / points)
    weights = []
    for k in range(degree + 1):
        series = np.fft.fft(np.arctanh(circle) ** k).real / points / 0.9 ** np.arange(points)
        # The first k vanish, but for rounding.
        weights.append((w / x) ** k * np.polyval(series[k : degree + 1][::-1], w))
    return np.array(weights)


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 10])
@pytest.mark.parametrize("x", [0.02, 0.5, 1.0, 4.0, 30.0])
def test_the_weights_are_those_of_the_map_onto_the_strip(degree, x):
    found = strip_weights(jnp.array(3 * x), jnp.array(3.0), degree, degree)
    np.testing.assert_allclose(found, weights_by_fourier(x, degree), rtol=1e-9, atol=1e-12)
    # A lower level among others is that level alone.
    padded = strip_weights(jnp.array(3 * x), jnp.array(3.0), degree, degree + 3)
    np.testing.assert_allclose(padded[: degree + 1], found, rtol=1e-14)
    assert (padded[degree + 1 :] == 0).all()


def test_the_weights_tend_to_one_and_so_do_their_slopes():
    ones = strip_weights(jnp.array(0.0), jnp.array(1.0), 6, 6)
    assert (ones == 1).all()
    assert (strip_weights(jnp.array(5.0), jnp.array(jnp.inf), 6, 6) == 1).all()
    # 1 − b_k = O(x^{p−1−k}), and one power better by parity for even p and even k.
    for x in (1e-9, 1e-3, 0.0127, 0.0128, 0.1):
        found = 1 - strip_weights(jnp.array(x), jnp.array(1.0), 6, 6)
        bound = x ** (7 - np.arange(7) + (np.arange(7) % 2 == 0))
        assert (np.abs(found) <= 2 * bound + 1e-15).all()
    slope = jax.jacfwd(lambda x: strip_weights(x, jnp.array(1.0), 2, 2))
    for x in (0.0, 1e-300, 1e-9, 0.0127, 0.0128):
        # b_2 = (w/x)², whose slope in the action is that of 1 − (2/3)(π/4)² x².
        expected = -4 / 3 * (np.pi / 4) ** 2 * x
        np.testing.assert_allclose(slope(jnp.array(x))[2], expected, rtol=1e-3, atol=1e-12)


def by_scipy(K, y, level, half_width, slope, samples):
    """Words of the force in flat indices, summed with the weights of the circle."""
    n = len(y)
    sizes = [n**k for k in range(1, level - 1)]

    def split(state):
        f, integrated, words = np.split(state, [len(K[1]), len(K[1]) + n])
        parts = np.split(words, np.cumsum(sizes)[:-1]) if sizes else []
        return f, integrated, [p.reshape((n,) * k) for k, p in enumerate(parts, 1)]

    def kernel(state):
        _, integrated, words = split(state)
        x = samples * np.abs(integrated).max() / half_width
        weights = weights_by_fourier(max(x, 1e-3), level - 2)
        terms = [K[2], *(np.tensordot(K[k + 2], word, k) for k, word in enumerate(words, 1))]
        return sum(b * term for b, term in zip(weights, terms, strict=True))

    def velocity(t, state):
        f, _, words = split(state)
        force = -slope(f[:n], y) / samples
        moved = [np.multiply.outer(force, w).ravel() for w in (np.ones(()), *words[:-1])]
        return np.concatenate([kernel(state) @ force, force, *moved])

    start = np.concatenate([K[1], np.zeros(n + sum(sizes))])
    run = solve_ivp(
        velocity, (0, 3), start, "DOP853", rtol=1e-9, atol=1e-11, t_eval=np.asarray(TIMES)
    )
    return run.y[: len(K[1])].T, np.stack([kernel(state) for state in run.y.T])


def test_the_strip_agrees_with_scipy_in_both_forms_with_test_points():
    net, params, K = case()
    flat = {r: np.asarray(kernel) for r, kernel in K.items()}
    predictions, kernels = by_scipy(flat, np.asarray(Y), 5, 2.0, lambda f, y: f - y, 2)
    options = {"resum": "strip", "half_width": 2.0}
    words = nth.truncated_hierarchy(K, Y, TIMES, **options)
    jet = nth.truncated_flow(net, params, X, Y, TIMES, 5, X_test=X_TEST, **options)
    plain = nth.truncated_hierarchy(K, Y, TIMES)
    for found in (words, jet):
        np.testing.assert_allclose(found.predictions, predictions, **CLOSE)
        np.testing.assert_allclose(found.kernel, kernels, **CLOSE)
    assert np.abs(plain.predictions - predictions).max() > 1e-3
    # The terms are those of the series, before they are weighted.
    np.testing.assert_allclose(words.terms, jet.terms, **CLOSE)


def two_outputs(params, Z):
    hidden, readout = params
    return jnp.tanh(Z @ hidden) @ readout


def several():
    keys = jax.random.split(jax.random.key(5))
    params = (jax.random.normal(keys[0], (2, 4)), jax.random.normal(keys[1], (4, 2)) / 2)
    return two_outputs, params, jnp.array([[1.0, -1.0], [-1.0, 1.0]])


def test_the_strip_takes_other_losses_and_several_outputs():
    """The action is that of what drives the training, and n counts samples, not outputs."""
    model, params, y = several()
    K = nth.kernels(model, params, X, 4, X_test=X_TEST)
    flat = {r: np.asarray(kernel).reshape(6, *(4,) * (r - 1)) for r, kernel in K.items()}
    expected, _ = by_scipy(
        flat, np.asarray(y).ravel(), 4, 0.7, lambda f, y: -y / (1 + np.exp(y * f)), 2
    )
    options = {"loss": "logistic", "resum": "strip", "half_width": 0.7}
    words = nth.truncated_hierarchy(K, y, TIMES, **options)
    jet = nth.truncated_flow(model, params, X, y, TIMES, 4, X_test=X_TEST, order=1, **options)
    for found in (words, jet):
        np.testing.assert_allclose(found.predictions.reshape(4, -1), expected, **CLOSE)


def test_an_infinite_strip_changes_nothing():
    net, params, K = case()
    for solve in (
        functools.partial(nth.truncated_hierarchy, K, Y, TIMES, 5),
        functools.partial(nth.truncated_flow, net, params, X, Y, TIMES, 4),
        functools.partial(nth.truncations, K, Y, TIMES, [2, 5]),
    ):
        plain, strip = solve(), solve(resum="strip", half_width=jnp.inf)
        np.testing.assert_allclose(strip.predictions, plain.predictions, rtol=0, atol=1e-10)
        np.testing.assert_allclose(strip.kernel, plain.kernel, rtol=0, atol=1e-10)


@pytest.mark.parametrize("level", [3, 4, 5])
def test_the_half_width_that_is_estimated(level):
    """From the terms on a straight path, which both forms find alike."""
    net, params, K = case()
    force = Y - K[1][:2]
    word = np.asarray(force / jnp.abs(force).max() / 2)
    sizes, power = [], np.ones(())
    for k in range(level - 1):
        sizes.append(np.abs(np.tensordot(K[k + 2][:2], power, k) @ word).max())
        power = np.multiply.outer(power, word) / (k + 1)
    last = [k for k in (level - 3, level - 2) if k > 1] or [1]
    roots = [(np.exp(-2) * sizes[0] / sizes[k]) ** (1 / k) for k in last]
    width = (2 if level > 3 else 0.9) * np.prod(roots) ** (1 / len(last))
    given = nth.truncated_hierarchy(K, Y, TIMES, level, resum="strip", half_width=width)
    found = [nth.truncated_hierarchy(K, Y, TIMES, level, resum="strip")]
    if level == 4:
        data = (net, params, X, Y, TIMES, level)
        found.append(nth.truncated_flow(*data, X_test=X_TEST, order=1, resum="strip"))
    for one in found:
        np.testing.assert_allclose(one.predictions, given.predictions, **CLOSE)
    other = nth.truncated_hierarchy(K, Y, TIMES, level, resum="strip", half_width=1.1 * width)
    assert np.abs(other.predictions - given.predictions).max() > 1e-5


def test_the_half_width_of_given_terms():
    """t_k = e^{−2} t_0 R^{−k} gives 0.9 R, or 2R where terms are few; zeros say nothing."""
    k = np.arange(9)
    sizes = 7.0 * 0.6**-k * np.where(k, np.exp(-2.0), 1.0)
    even = np.where(k % 2 == 0, sizes, 0.0)
    for degree, factor in ((1, 0.9), (2, 2.0), (3, 2.0), (4, 0.9), (5, 0.9), (8, 0.9)):
        expected = factor * 0.6
        for traced in (degree, jnp.array(degree)):
            found = half_width_of(jnp.asarray(sizes), traced)
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        found = half_width_of(jnp.asarray(even), degree)
        np.testing.assert_allclose(found, expected if degree > 1 else np.inf, rtol=1e-12)
    larger = jnp.asarray(sizes).at[6].multiply(4.0**6)
    np.testing.assert_allclose(half_width_of(larger, 6), 0.9 * 0.6 / 2, rtol=1e-12)
    assert half_width_of(jnp.zeros(5), 3) == jnp.inf


def test_the_strip_under_jit_vmap_with_labellings_and_levels():
    net, params, K = case()
    options = {"resum": "strip"}
    labels = jnp.stack([Y, 3 * Y], axis=1)
    together = nth.truncated_hierarchy(K, labels, TIMES, **options)
    for i in range(2):
        one = nth.truncated_hierarchy(K, labels[:, i], TIMES, **options)
        np.testing.assert_allclose(together.predictions[..., i], one.predictions, **CLOSE)
    levels = nth.truncations(K, Y, TIMES, [3, 5, 2], **options)
    for i, level in enumerate((3, 5, 2)):
        one = nth.truncated_hierarchy(K, Y, TIMES, level, **options)
        np.testing.assert_allclose(levels.predictions[i], one.predictions, **CLOSE)
        np.testing.assert_allclose(levels.kernel[i], one.kernel, **CLOSE)
    widths = jnp.array([1.0, 2.0])
    many = jax.jit(
        jax.vmap(
            lambda width: nth.truncated_flow(
                net, params, X, Y, TIMES, 4, resum="strip", half_width=width
            )
        )
    )(widths)
    for i, width in enumerate(widths):
        one = nth.truncated_hierarchy(K, Y, TIMES, 4, resum="strip", half_width=width)
        np.testing.assert_allclose(many.predictions[i], one.predictions[:, :2], **CLOSE)


def test_at_level_two_or_without_a_force_there_is_nothing_to_sum():
    net, params, K = case()
    for start in (Y, K[1][:2]):
        level = 2 if start is Y else 4
        plain = nth.truncated_hierarchy(K, start, TIMES, level)
        for strip in (
            nth.truncated_hierarchy(K, start, TIMES, level, resum="strip"),
            nth.truncated_flow(net, params, X, start, TIMES, level, X_test=X_TEST, resum="strip"),
            nth.truncated_flow(net, params, X, start, TIMES, level, X_test=X_TEST, resum="gram"),
        ):
            np.testing.assert_allclose(strip.predictions, plain.predictions, **CLOSE)
            np.testing.assert_allclose(strip.kernel, plain.kernel, **CLOSE)


def test_the_gram_form_agrees_with_scipy_on_explicit_jacobians():
    """p = 4: ∇f, its first and second derivative along the curve, from nested Jacobians."""
    model, start, y = several()
    flat, shape = jax.flatten_util.ravel_pytree(start)
    everything = jnp.concatenate([X, X_TEST])

    def output(p):
        return model(shape(p), everything).reshape(-1)

    def series(xi_1, xi_2):
        def curve(epsilon):
            return jax.jacfwd(output)(flat + epsilon * xi_1 + epsilon**2 * xi_2)

        first = jax.jacfwd(curve)
        return [curve(0.0), first(0.0), jax.jacfwd(first)(0.0) / 2]

    @jax.jit
    def velocity(state):
        f, xi_1, xi_2 = jnp.split(state, [6, 6 + len(flat)])
        jacobians = series(xi_1, xi_2)
        labels = y.ravel()
        force = labels / (1 + jnp.exp(labels * f[:4])) / 2
        total = sum(jacobians)
        return jnp.concatenate(
            [total @ (total[:4].T @ force), *(part[:4].T @ force for part in jacobians[:2])]
        ), total @ total[:4].T

    origin = np.concatenate([output(flat), np.zeros(2 * len(flat))])
    run = solve_ivp(
        lambda t, s: np.asarray(velocity(s)[0]), (0, 3), origin, "DOP853",
        rtol=1e-10, atol=1e-12, t_eval=np.asarray(TIMES),
    )  # fmt: skip
    found = nth.truncated_flow(
        model, start, X, y, TIMES, 4, X_test=X_TEST, loss="logistic", resum="gram"
    )
    np.testing.assert_allclose(found.predictions.reshape(4, 6), run.y[:6].T, **CLOSE)
    kernels = np.stack([velocity(s)[1] for s in run.y.T])
    np.testing.assert_allclose(found.kernel.reshape(4, 6, 4), kernels, **CLOSE)
    plain = nth.truncated_flow(model, start, X, y, TIMES, 4, X_test=X_TEST, loss="logistic")
    assert np.abs(plain.predictions - found.predictions).max() > 1e-4


def narrow(seed, width=16, size=6.0):
    net = nth.FullyConnected(4, width, 1)
    params = net.init(jax.random.key(seed))
    points = jnp.eye(4)
    return net, params, points, net(params, points) - size * jnp.array([1.0, -1.0, 1.0, -1.0])


def test_where_the_series_blows_up_its_sums_do_not():
    data, times = narrow(0), jnp.array([0.0, 2.0, 3.0, 40.0])
    with pytest.warns(UserWarning, match=BLOW_UP):
        nth.truncated_flow(*data, times, 6)
    for resum in ("strip", "gram"):
        found = nth.truncated_flow(*data, times, 6, resum=resum)
        assert found.valid_until == jnp.inf
        loss = np.sum((found.predictions - data[3]) ** 2, axis=1)
        assert loss[-1] < 1e-3 * loss[0]
        if resum == "gram":
            assert (found.smallest_eigenvalue >= 0).all()
            assert (np.diff(loss) < 0).all()


BLOW_UP = (
    r"truncated at level 6 blows up .* the reach is 0\.\d+ at t = 3 and falls: "
    r'stop raising the level, or take resum="strip"'
)


@pytest.mark.slow
def test_no_level_of_the_strip_blows_up():
    """24 draws, of which the plain series loses a third at p = 5, and more above."""
    times, levels, points = jnp.linspace(0.0, 40.0, 5), [3, 4, 5, 6, 8], jnp.eye(4)
    signs, net = jnp.array([1.0, -1.0, 1.0, -1.0]), nth.FullyConnected(4, 32, 1)

    @functools.partial(jax.jit, static_argnums=2)
    def solve(K, y, resum):
        return nth.truncations(K, y, times, levels, resum=resum, rtol=1e-6).valid_until

    ends = {None: [], "strip": []}
    for width in (16, 32):
        for seed in range(6):
            params = nth.subnetwork(net, net.init(jax.random.key(seed)), width)
            K = nth.kernels(net, params, points, 8)
            y = K[1][:, None] - signs[:, None] * jnp.array([4.0, 6.0])
            for resum, found in ends.items():
                found.append(np.isfinite(solve(K, y, resum)).sum(axis=1))
    lost = {resum: np.sum(found, axis=0) for resum, found in ends.items()}
    assert (lost["strip"] == 0).all()
    assert (lost[None][2:] >= 24 / 3).all(), lost


@pytest.mark.slow
def test_the_strip_keeps_the_power_of_the_width_at_even_levels():
    """Of 24 draws, where the plain series has -0.98, -1.88, -2.95; six scatter by 0.2 at p = 6."""
    points, signs = jnp.eye(4), jnp.array([1.0, -1.0, 1.0, -1.0])
    times, widths, errors = jnp.array([0.0, 2.0, 4.0]), (256, 1024, 4096), []
    solve = jax.jit(
        lambda K, y: (
            nth.truncations(
                K, y, times, [2, 4, 6], resum="strip", rtol=1e-11, solver="explicit"
            ).predictions
        )
    )
    for width in widths:
        net, found = nth.FullyConnected(4, width, 1, sigma_a=0.5), []
        for seed in range(24):
            params = net.init(jax.random.key(seed))
            K = nth.kernels(net, params, points, 6)
            y = K[1] - 3 * signs
            flow = nth.gradient_flow(net, params, points, y, times, order=1, rtol=1e-11)
            found.append(np.abs(solve(K, y) - flow.predictions).max(axis=(1, 2)))
        errors.append(np.sqrt(np.mean(np.square(found), axis=0)))
    slopes = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    np.testing.assert_allclose(slopes, [-1, -2, -3], rtol=0, atol=0.15)


@pytest.mark.bad_input
def test_what_cannot_be_summed_is_refused_by_name():
    net, params, K = case()
    with pytest.raises(ValueError, match='resum needs the method "signature", got "tensors"'):
        nth.truncated_hierarchy(K, Y, TIMES, 3, method="tensors", resum="strip")
    with pytest.raises(ValueError, match="indicator is that of the plain series"):
        nth.truncated_flow(net, params, X, Y, TIMES, 3, indicator=True, resum="gram")
    with pytest.raises(ValueError, match='half_width is that of resum="strip"'):
        nth.truncated_flow(net, params, X, Y, TIMES, 3, half_width=1.0, resum="gram")
    for width, error, words in (
        (0.0, ValueError, "half_width must be above 0"),
        (float("nan"), ValueError, "half_width must be above 0"),
        ("1", TypeError, "half_width must be a number"),
        (jnp.ones(2), TypeError, "half_width must be a number"),
        (jnp.array(-1.0), ValueError, "half_width must be above 0"),
        (jnp.array(1), TypeError, "half_width must hold floats"),
    ):
        with pytest.raises(error, match=words):
            nth.truncated_hierarchy(K, Y, TIMES, 3, resum="strip", half_width=width)
