"""The limiting kernels against closed recursions, independent quadratures and wide networks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import gaussian_mean, relative_difference, unit_rows

import nthlib as nth
from nthlib.activations import derivative
from nthlib.infinite.higher import directions, one_layer_expectation

DEPTHS = [1, 2, 3]


def recursion(net, X, mean, slope_mean):
    """𝔎^(2) from the sum over layers, with E[σσ] and E[σ'σ'] given as functions of (p, q, c)."""
    sigma = [np.asarray(X @ X.T)]
    dots = [None]
    n = len(X)
    for _ in range(net.depth):
        scaled = net.sigma_w**2 * sigma[-1]
        pairs = [[(scaled[i, i], scaled[j, j], scaled[i, j]) for j in range(n)] for i in range(n)]
        sigma.append(np.array([[mean(*pair) for pair in row] for row in pairs]))
        dots.append(np.array([[slope_mean(*pair) for pair in row] for row in pairs]))
    total = sigma[net.depth].copy()
    for layer in range(1, net.depth + 1):
        product = np.prod([dots[k] for k in range(layer, net.depth + 1)], axis=0)
        factor = net.sigma_a**2 * net.sigma_w ** (2 * (net.depth - layer))
        total += factor * sigma[layer - 1] * product
    return total


@pytest.mark.parametrize("known", [nth.erf, nth.relu], ids=["erf", "relu"])
def test_closed_activations_agree_with_quadrature(known):
    settings = {"dim": 3, "width": 1, "depth": 3, "sigma_w": 1.4, "sigma_a": 0.6}
    X = jnp.concatenate([unit_rows(3, 3), 1.5 * unit_rows(1, 3, seed=1)])
    closed = nth.limit_kernel(nth.FullyConnected(activation=known, **settings), X)
    hidden = nth.FullyConnected(activation=lambda x: known(x), **settings)
    # The quadrature's own relative 1e-8, through three layers with slopes of order one.
    np.testing.assert_allclose(closed, nth.limit_kernel(hidden, X), rtol=1e-7, atol=1e-8)


def test_sine_networks_agree_with_their_closed_recursion():
    net = nth.FullyConnected(3, 1, 3, jnp.sin, sigma_w=1.3, sigma_a=0.7)
    X = unit_rows(3, 3)
    expected = recursion(
        net,
        X,
        lambda p, q, c: np.exp(-(p + q) / 2) * np.sinh(c),
        lambda p, q, c: np.exp(-(p + q) / 2) * np.cosh(c),
    )
    np.testing.assert_allclose(nth.limit_kernel(net, X), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.softplus], ids=["tanh", "softplus"])
def test_other_activations_agree_with_a_trapezoid_recursion(activation):
    net = nth.FullyConnected(3, 1, 2, activation, sigma_w=0.8, sigma_a=1.6)
    X = unit_rows(2, 3)
    expected = recursion(
        net,
        X,
        lambda *pair: gaussian_mean(activation, *pair),
        lambda *pair: gaussian_mean(derivative(activation), *pair),
    )
    np.testing.assert_allclose(nth.limit_kernel(net, X), expected, rtol=1e-7)


@pytest.mark.parametrize("depth", DEPTHS)
def test_linear_networks_have_a_polynomial_limit(depth):
    """σ(x) = x: 𝔎^(2) = σ_w^{2H} (1 + H σ_a²/σ_w²) ⟨x, x'⟩."""
    w, a = 1.2, 0.9
    X = unit_rows(3, 3)
    net = nth.FullyConnected(3, 1, depth, lambda x: x, sigma_w=w, sigma_a=a)
    expected = w ** (2 * depth) * (1 + depth * a**2 / w**2) * (X @ X.T)
    np.testing.assert_allclose(nth.limit_kernel(net, X), expected, atol=1e-8)


@pytest.mark.parametrize("depth", DEPTHS)
def test_relu_on_the_diagonal(depth):
    """E[σ²] = p/2 and E[σ'²] = 1/2: every layer halves, so 𝔎(x,x) is a short polynomial."""
    w, a = 1.5, 0.7
    X = jnp.array([[0.6, 0.0], [1.0, 2.0]])
    half = w**2 / 2
    expected = (half**depth + a**2 / 2 * depth * half ** (depth - 1)) * (X**2).sum(axis=1)
    kernel = nth.limit_kernel(nth.FullyConnected(2, 1, depth, nth.relu, sigma_w=w, sigma_a=a), X)
    # The angle of a vector with itself is a square root of rounding, 1e-8, times p / π.
    np.testing.assert_allclose(jnp.diagonal(kernel), expected, rtol=3e-7)


def test_the_width_is_not_used_and_the_matrix_is_positive():
    X = unit_rows(5, 3)
    kernels = [nth.limit_kernel(nth.FullyConnected(3, m, 2), X) for m in (1, 50)]
    np.testing.assert_array_equal(*kernels)
    np.testing.assert_array_equal(kernels[0], kernels[0].T)
    assert np.linalg.eigvalsh(kernels[0])[0] > 1e-3


def test_float32_stays_float32():
    X = unit_rows(3, 3)
    net = nth.FullyConnected(3, 1, 2)
    single = nth.limit_kernel(net, X.astype(jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, nth.limit_kernel(net, X), atol=1e-5)


def test_the_limit_may_stand_inside_a_compiled_function():
    """As a constant, say in the measure of a sweep; as an argument it cannot adapt."""
    net, X = nth.FullyConnected(3, 1, 2, jnp.sin), unit_rows(2, 3)
    inside = jax.jit(lambda scale: scale * nth.limit_kernel(net, X))(2.0)
    np.testing.assert_allclose(inside, 2 * nth.limit_kernel(net, X), rtol=1e-13)
    with pytest.raises(TypeError, match="X must be a concrete array"):
        jax.jit(lambda Z: nth.limit_kernel(net, Z))(X)


@pytest.mark.parametrize(
    ("depth", "activation"),
    [(1, nth.relu), (2, jnp.tanh), pytest.param(3, jax.nn.softplus, marks=pytest.mark.slow)],
    ids=["relu", "tanh", "softplus"],
)
def test_wide_networks_have_this_mean(depth, activation):
    """The mean of K_0^(2) over seeds, as a z-score; the wrong readout variance as a control.

    Threshold 5: six entries, each beyond 5 standard errors once in 10^6 draws, leave room for
    the bias of order 1/m, which at m = 512 is below two standard errors of 24 seeds.
    """
    net = nth.FullyConnected(3, 512, depth, activation, sigma_w=1.2, sigma_a=0.7)
    X = unit_rows(3, 3)
    keys = jax.random.split(jax.random.key(5), 24)
    measure = jax.jit(lambda key: nth.kernels(net, net.init(key), X, 2)[2])
    draws = np.stack([measure(key) for key in keys])
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    z = np.abs(draws.mean(axis=0) - nth.limit_kernel(net, X)) / error
    assert z.max() < 5
    wrong = nth.FullyConnected(3, 512, depth, activation, sigma_w=1.2, sigma_a=1.0)
    assert (np.abs(draws.mean(axis=0) - nth.limit_kernel(wrong, X)) / error).max() > 10


# Orders above two. One hidden layer: 𝔎^(r) = E κ^(r)(a, w), the kernel of a single unit.


def unit_kernel(gram, order):
    """κ^(r) from its recursion, as terms {(index tuple, power of a, orders of σ): coefficient}.

    A term is coefficient · a^power · Π_i σ^(order_i)(w·x_i). Along ∇[aσ(w·x_β)] the readout moves
    by σ(w·x_β) and w by aσ'(w·x_β) x_β, which raises one order of σ at a time.
    """
    n = len(gram)
    kernel = {(i,): {(1, (0,)): 1.0} for i in range(n)}
    for _ in range(order - 1):
        kernel = {
            (*index, b): _along_field(terms, index, b, gram)
            for index, terms in kernel.items()
            for b in range(n)
        }
    return kernel


def _along_field(terms, index, b, gram):
    moved = {}
    for (power, orders), coefficient in terms.items():
        changes = [((power - 1, (*orders, 0)), power * coefficient)]
        for place, i in enumerate(index):
            raised = (*orders[:place], orders[place] + 1, *orders[place + 1 :])
            changes.append(((power + 1, (*raised, 1)), coefficient * gram[i, b]))
        for term, value in changes:
            moved[term] = moved.get(term, 0.0) + value
    return moved


def sine_derivatives(u, count):
    return [np.sin(u + k * np.pi / 2) for k in range(count)]


def tanh_derivatives(u, count):
    """σ^(k) is a polynomial in t = tanh, and dt/du = 1 − t²."""
    polynomial, slope = np.polynomial.Polynomial([0, 1]), np.polynomial.Polynomial([1, 0, -1])
    values = []
    for _ in range(count):
        values.append(polynomial(np.tanh(u)))
        polynomial = polynomial.deriv() * slope
    return values


def expected_unit_kernel(X, order, derivatives, sigma_w, sigma_a, nodes=80):
    """E κ^(r) by Gauss–Hermite in every direction of w, with the moments of a known."""
    n, dim = X.shape
    points, masses = np.polynomial.hermite_e.hermegauss(nodes)
    w = sigma_w * np.array(list(itertools.product(points, repeat=dim)))
    chances = np.array([np.prod(m) for m in itertools.product(masses, repeat=dim)])
    chances /= chances.sum()
    sigma = derivatives(w @ X.T, order)
    kernel = np.zeros((n,) * order)
    for index, terms in unit_kernel(X @ X.T, order).items():
        for (power, orders), coefficient in terms.items():
            if power % 2 == 0 and coefficient:
                moment = sigma_a**power * np.prod(np.arange(1.0, power, 2))
                factors = [sigma[k][:, i] for k, i in zip(orders, index, strict=True)]
                kernel[index] += coefficient * moment * (chances @ np.prod(factors, axis=0))
    return kernel


LINE = np.array([[0.9], [-0.5]])
PLANE = np.array([[0.8, 0.3], [-0.2, 0.7], [0.5, -0.5]])


@pytest.mark.parametrize(
    ("activation", "derivatives", "X", "order", "tolerance"),
    [
        # The library refines to a relative 1e-5. Gauss–Hermite is exact to rounding for the sine;
        # the poles of tanh hold it near 1e-5 at these scales.
        (jnp.sin, sine_derivatives, LINE, 4, 1e-5),
        (jnp.sin, sine_derivatives, PLANE, 4, 1e-5),
        (jnp.tanh, tanh_derivatives, PLANE[:2], 4, 1e-4),
    ],
    ids=["sin-line", "sin-plane", "tanh-plane"],
)
def test_one_layer_agrees_with_gauss_hermite(activation, derivatives, X, order, tolerance):
    net = nth.FullyConnected(X.shape[1], 1, 1, activation, sigma_w=0.8, sigma_a=1.3)
    found = nth.limit_kernel(net, jnp.asarray(X), order)
    expected = expected_unit_kernel(X, order, derivatives, 0.8, 1.3)
    assert relative_difference(found, expected) <= tolerance


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_only_the_directions_that_the_inputs_span_are_integrated_over(dtype):
    """Four points of a plane in five dimensions: the rounding of the inputs spans nothing."""
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0][:2]
    X = np.concatenate([PLANE, [[0.1, -0.9]]])
    spanned = directions(jnp.asarray(X @ turned, dtype))
    assert spanned.dtype == dtype
    assert spanned.shape == (4, 2)
    # Inner products of order one, rounded once on the way in and once on the way out.
    tolerance = 10 * jnp.finfo(dtype).eps
    np.testing.assert_allclose(spanned @ spanned.T, X @ X.T, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_one_layer_in_float32_stays_float32():
    net, X = nth.FullyConnected(1, 1, 1), jnp.asarray(LINE)
    single = nth.limit_kernel(net, X.astype(jnp.float32), 4)
    assert single.dtype == jnp.float32
    assert relative_difference(single, nth.limit_kernel(net, X, 4)) <= 1e-4


@pytest.mark.parametrize("order", [1, 3, 5])
@pytest.mark.parametrize("depth", [1, 2])
def test_odd_orders_vanish(depth, order):
    X = unit_rows(2, 3).astype(jnp.float32)
    kernel = nth.limit_kernel(nth.FullyConnected(3, 1, depth), X, order)
    assert kernel.shape == (2,) * order
    assert kernel.dtype == jnp.float32
    assert not kernel.any()


def test_a_kink_is_refused_or_answered_with_a_warning_and_the_error():
    net, X = nth.FullyConnected(1, 1, 1, jax.nn.leaky_relu), jnp.asarray(LINE)
    with pytest.raises(ValueError, match="activation must be smooth: it has a kink"):
        nth.limit_kernel(net, X, 4)
    with pytest.warns(UserWarning, match=r"order 4 is accurate to about \de-\d\d only"):
        one_layer_expectation(net, X, 4)


def test_what_the_quadrature_of_order_four_does_not_reach_is_refused():
    net = nth.FullyConnected(1, 1, 1, lambda x: jnp.tanh(40 * x))
    with pytest.raises(ValueError, match=r"order 4 is not accurate to 1e-05 .* X"):
        nth.limit_kernel(net, jnp.asarray(LINE), 4)


def test_the_sum_over_one_unit_agrees_with_the_recursion_over_layers():
    """Two routes to order four of one hidden layer, either to a relative 1e-5."""
    net, X = nth.FullyConnected(2, 1, 1, sigma_w=1.2, sigma_a=0.7), jnp.asarray(PLANE)
    assert relative_difference(one_layer_expectation(net, X, 4), nth.limit_kernel(net, X, 4)) < 2e-5


@pytest.mark.parametrize("activation", [nth.relu, jax.nn.relu], ids=["nth", "jax"])
@pytest.mark.parametrize("order", [3, 4, 5])
def test_relu_has_no_limit_of_higher_order(activation, order):
    """σ'' is a point mass, which the almost everywhere derivative takes for zero."""
    net, X, key = nth.FullyConnected(1, 1, 1, activation), jnp.asarray(LINE), jax.random.key(0)
    message = "activation must be smooth for order >= 3"
    with pytest.raises(ValueError, match=message):
        nth.limit_kernel(net, X, order)
    if order % 2 == 0:
        with pytest.raises(ValueError, match=message):
            nth.limit_kernel_estimate(key, net, X, order, width=2, draws=2)
    assert nth.limit_kernel(net, X).shape == (2, 2)


@pytest.mark.parametrize(
    "activation",
    [jnp.tanh, pytest.param(jax.nn.softplus, marks=pytest.mark.slow)],
    ids=["tanh", "softplus"],
)
def test_wide_networks_have_this_fourth_order_mean(activation):
    """m·K_0^(4) of one hidden layer has this mean at every width; z-scores, and a control.

    Threshold 5: beyond it once in 10^6 draws an entry, with some ten different entries.
    """
    net = nth.FullyConnected(2, 64, 1, activation, sigma_w=1.2, sigma_a=0.5)
    X = unit_rows(2, 2)

    @jax.jit
    @jax.vmap
    def measure(key):
        return net.width * nth.kernels(net, net.init(key), X, 4)[4]

    draws = np.asarray(measure(jax.random.split(jax.random.key(5), 1000)))
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    off = np.abs(draws.mean(axis=0) - nth.limit_kernel(net, X, 4))
    assert (off / error).max() < 5
    wrong = nth.FullyConnected(2, 64, 1, activation, sigma_w=1.2, sigma_a=0.7)
    assert (np.abs(draws.mean(axis=0) - nth.limit_kernel(wrong, X, 4)) / error).max() > 10
