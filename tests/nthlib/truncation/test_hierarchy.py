"""The truncated hierarchy in its three forms against SciPy, and against each other."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, other_model, unit_rows
from scipy.integrate import solve_ivp

import nthlib as nth

TIMES = np.array([0.0, 0.4, 1.0, 3.0])
Y = np.array([1.0, -0.5])
X, X_TEST = unit_rows(2, 2), unit_rows(1, 2, seed=1)
# The design asks for 1e-6; predictions are of order one.
CLOSE = {"rtol": 1e-6, "atol": 1e-6}


def square(f, y):
    return f - y


def reference(K, y, times, order, residual=square):
    """The equations of the paper, tensor by tensor, by SciPy: predictions and K̃^(2)."""
    n = len(y)
    shapes = [np.shape(K[r]) for r in range(1, order)]
    sizes = [int(np.prod(shape)) for shape in shapes]
    top = np.asarray(K[order])

    def split(state):
        parts = np.split(state, np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def velocity(t, state):
        tensors = [*split(state), top]
        driving = np.asarray(residual(tensors[0][:n], y))
        return np.concatenate([(-above @ driving / n).ravel() for above in tensors[1:]])

    start = np.concatenate([np.asarray(K[r]).ravel() for r in range(1, order)])
    solution = solve_ivp(
        velocity, (0, max(times)), start, method="DOP853", rtol=1e-11, atol=1e-13,
        t_eval=np.unique(times),
    )  # fmt: skip
    rows = [split(solution.y[:, i]) for i in np.searchsorted(solution.t, times)]
    kernels = [row[1] if order > 2 else top for row in rows]
    return np.stack([row[0] for row in rows]), np.stack(kernels)


# Activation, depth and σ_w: the deep kernels must move enough to be told apart.
CASES = {
    "tanh": (jnp.tanh, 1, 1.0),
    "softplus": (jax.nn.softplus, 2, 1.0),
    "gelu": (jax.nn.gelu, 3, 2.0),
}


@functools.cache
def case(name):
    """Network, parameters and kernels to order five, wide enough not to blow up."""
    activation, depth, sigma_w = CASES[name]
    net, params = network(depth, 12, 2, activation, sigma_w)
    return net, params, nth.kernels(net, params, X, 5, X_test=X_TEST)


@functools.cache
def solved_by_scipy(name, order):
    predictions, kernels = reference(case(name)[2], Y, TIMES, order)
    if order > 2:  # the kernel moves by far more than the tolerance
        assert np.abs(kernels[-1] - kernels[0]).max() > 1e-3
    return predictions, kernels


@pytest.mark.parametrize("method", ["signature", "tensors"])
@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_tensors_and_signature_agree_with_scipy(method, order):
    solution = nth.truncated_hierarchy(
        case("tanh")[2], jnp.asarray(Y), jnp.asarray(TIMES), order, method=method
    )
    predictions, kernels = solved_by_scipy("tanh", order)
    np.testing.assert_allclose(solution.predictions, predictions, **CLOSE)
    np.testing.assert_allclose(solution.kernel, kernels, **CLOSE)


# Every order, activation and depth; compiling is what takes the time.
JETS = [
    *[("tanh", 3), ("tanh", 5), ("softplus", 4), ("gelu", 3)],
    pytest.param("gelu", 2, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "order"), JETS)
def test_the_jet_agrees_with_scipy_on_the_tensors(name, order):
    net, params, _ = case(name)
    solution = nth.truncated_flow(
        net, params, X, jnp.asarray(Y), jnp.asarray(TIMES), order, X_test=X_TEST
    )
    predictions, kernels = solved_by_scipy(name, order)
    np.testing.assert_allclose(solution.predictions, predictions, **CLOSE)
    np.testing.assert_allclose(solution.kernel, kernels, **CLOSE)
    assert solution.valid_until == jnp.inf


def test_the_jet_without_its_kernel_has_the_same_predictions():
    net, params, K = case("tanh")
    data = (net, params, X, jnp.asarray(Y), jnp.asarray(TIMES))
    alone = nth.truncated_flow(*data, 3, X_test=X_TEST, order=1)
    assert alone.kernel is None
    assert alone.smallest_eigenvalue is None
    tensors = nth.truncated_hierarchy(K, jnp.asarray(Y), jnp.asarray(TIMES), 3, method="tensors")
    np.testing.assert_allclose(alone.predictions, tensors.predictions, **CLOSE)
    # At p = 2 the jet has no displacement, and no kernel to hold it to either.
    frozen = nth.truncated_hierarchy(K, jnp.asarray(Y), jnp.asarray(TIMES), 2)
    of_jet = nth.truncated_flow(*data, 2, X_test=X_TEST, order=1)
    np.testing.assert_allclose(of_jet.predictions, frozen.predictions, **CLOSE)


def test_a_blow_up_is_told_without_the_kernel():
    def model(theta, X):
        return (theta + theta**2 / 2) * X[:, 0]

    # At θ = 1 the residual is 3/2, K^(2) = 4 and K^(3) = 8. With D = 2 K^(3) r − (K^(2))² = 8 the
    # pole of the Riccati equation lies at 2/√D (π/2 + arctan(K^(2)/√D)).
    pole = 2 / 8**0.5 * (np.pi / 2 + np.arctan(4 / 8**0.5))
    data = (model, jnp.ones(()), jnp.ones((1, 1)), jnp.zeros(1), jnp.array([1.0, 3.0]))
    with pytest.warns(UserWarning, match="blows up"):
        alone = nth.truncated_flow(*data, 3, order=1)
    np.testing.assert_allclose(alone.valid_until, pole, rtol=1e-4)
    assert np.isnan(alone.predictions[1]).all()


def test_the_jet_returns_no_kernel_above_the_second():
    net, params, _ = case("tanh")
    data = (net, params, X, jnp.asarray(Y), jnp.asarray(TIMES))
    with pytest.raises(ValueError, match="order must be 1 or 2, got 3"):
        nth.truncated_flow(*data, 3, order=3)


@pytest.mark.parametrize("name", [pytest.param("biases", marks=pytest.mark.slow), "convolution"])
def test_the_jet_of_any_model_agrees_with_scipy(name):
    model, params, inputs = other_model(name)
    params = jax.tree.map(lambda leaf: leaf / 2, params)
    y = np.array([0.3, -0.2, 0.1])
    K = nth.kernels(model, params, inputs[:3], 3, X_test=inputs[:1])
    predictions, kernels = reference(K, y, TIMES[:3], 3)
    solution = nth.truncated_flow(
        model, params, inputs[:3], jnp.asarray(y), jnp.asarray(TIMES[:3]), 3, X_test=inputs[:1]
    )
    np.testing.assert_allclose(solution.predictions, predictions, **CLOSE)
    np.testing.assert_allclose(solution.kernel, kernels, **CLOSE)


def test_several_labellings_equal_one_by_one():
    _, _, K = case("tanh")
    labellings = jnp.asarray(np.random.default_rng(1).normal(size=(2, 2)))
    times = jnp.asarray(TIMES)
    together = nth.truncated_hierarchy(K, labellings, times, 4)
    assert together.kernel.shape == (4, 3, 2, 2)
    assert together.valid_until.shape == together.steps.shape == (2,)
    np.testing.assert_array_equal(together.times, times)
    for column in range(2):
        alone = nth.truncated_hierarchy(K, labellings[:, column], times, 4)
        np.testing.assert_allclose(together.predictions[..., column], alone.predictions, atol=1e-9)
        np.testing.assert_allclose(together.kernel[..., column], alone.kernel, atol=1e-9)
    frozen = nth.truncated_hierarchy(K, labellings, times, 2)
    assert frozen.kernel.shape == (4, 3, 2, 2)
    assert frozen.smallest_eigenvalue.shape == (4, 2)


def logistic(f, y):
    return -y / (1 + np.exp(y * f))


def huber(f, y):
    return jnp.sqrt(1 + (f - y) ** 2) - 1


LOSSES = {
    "logistic": ("logistic", logistic),
    "huber": (huber, lambda f, y: (f - y) / np.sqrt(1 + (f - y) ** 2)),
}


@pytest.mark.parametrize(
    ("loss", "form"),
    [("logistic", "frozen"), ("logistic", "signature"), ("logistic", "tensors"),
     ("logistic", "jet"), ("huber", "signature")],
)  # fmt: skip
def test_other_losses_replace_the_residual(loss, form):
    loss, slope = LOSSES[loss]
    net, params, K = case("tanh")
    y, times = np.array([1.0, -1.0]), jnp.asarray(TIMES)
    order = 2 if form == "frozen" else 3
    predictions, kernels = reference(K, y, TIMES, order, slope)
    if form == "jet":
        solution = nth.truncated_flow(
            net, params, X, jnp.asarray(y), times, order, X_test=X_TEST, loss=loss
        )
    else:
        method = "auto" if form == "frozen" else form
        solution = nth.truncated_hierarchy(
            K, jnp.asarray(y), times, order, loss=loss, method=method
        )
    np.testing.assert_allclose(solution.predictions, predictions, **CLOSE)
    np.testing.assert_allclose(solution.kernel, kernels, **CLOSE)


def test_a_loss_of_ones_own_equals_the_named_one():
    _, _, K = case("tanh")
    arguments = (K, jnp.asarray(Y), jnp.asarray(TIMES), 3)
    named = nth.truncated_hierarchy(*arguments).predictions
    own = nth.truncated_hierarchy(*arguments, loss=lambda f, y: (f - y) ** 2 / 2).predictions
    np.testing.assert_allclose(own, named, atol=1e-12)


@pytest.mark.parametrize("order", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_indicator_is_the_leading_part_of_the_error(order):
    """Network minus truncation over the indicator tends to one, with corrections of m^(−1/2)."""
    net = nth.FullyConnected(2, 4096, 1, sigma_a=0.5)
    params = net.init(jax.random.key(order))
    times = jnp.array([1.0, 2.0])
    y = net(params, X) + jnp.array([2.0, -2.0])
    flow = nth.gradient_flow(net, params, X, y, times, X_test=X_TEST, order=1, rtol=1e-12)
    jet = nth.truncated_flow(
        net, params, X, y, times, order, X_test=X_TEST, indicator=True, rtol=1e-12
    )
    error = np.asarray(flow.predictions - jet.predictions)
    difference = np.abs(error - np.asarray(jet.error_indicator)).max()
    assert difference < 0.1 * np.abs(error).max()


@pytest.mark.slow
def test_the_indicator_of_the_signature_is_that_of_the_jet():
    net, params, K = case("tanh")
    order = 3
    times, y = jnp.asarray(TIMES), jnp.asarray(Y)
    words = nth.truncated_hierarchy(K, y, times, order, indicator=True)
    jet = nth.truncated_flow(net, params, X, y, times, order, X_test=X_TEST, indicator=True)
    np.testing.assert_allclose(words.error_indicator, jet.error_indicator, **CLOSE)
    # What is estimated does not change what is solved.
    plain = nth.truncated_hierarchy(K, y, times, order)
    np.testing.assert_allclose(words.predictions, plain.predictions, **CLOSE)
    assert plain.error_indicator is None
    with pytest.raises(ValueError, match=r"indicator at level 4 needs K to order 6, got 5"):
        nth.truncated_hierarchy(K, y, times, 4, indicator=True)


def test_samples_taken_some_at_a_time_give_the_same():
    net, params, _ = case("softplus")
    times, y = jnp.asarray(TIMES), jnp.arange(6.0) / 3
    inputs = unit_rows(6, 2, seed=2)

    def solve(p, limit=None):
        return nth.truncated_flow(net, p, inputs, y, times, 3, X_test=X_TEST, memory_limit=limit)

    tight = 60_000
    remade = [
        str(jax.make_jaxpr(lambda p, at=at: solve(p, at))(params)).count("remat")
        for at in (None, tight)
    ]
    assert remade[0] == 0 < remade[1]
    whole, tiled = solve(params), solve(params, tight)
    np.testing.assert_allclose(tiled.predictions, whole.predictions, atol=1e-10)
    np.testing.assert_allclose(tiled.kernel, whole.kernel, atol=1e-10)
    with pytest.raises(MemoryError, match=r"needs about .* over the memory_limit of 9.8 KiB"):
        solve(params, 10_000)


def test_everything_under_jit_vmap_and_in_single_precision():
    net, params, K = case("tanh")
    times, y = jnp.asarray(TIMES), jnp.asarray(Y)
    plain = nth.truncated_flow(net, params, X, y, times, 3)
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, 1.1 * leaf]), params)
    many = jax.jit(jax.vmap(lambda p: nth.truncated_flow(net, p, X, y, times, 3)))(batch)
    np.testing.assert_allclose(many.predictions[0], plain.predictions, atol=1e-8)
    np.testing.assert_allclose(many.smallest_eigenvalue[0], plain.smallest_eigenvalue, atol=1e-8)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (params, X, y, times))
    low = nth.truncated_flow(net, *single, 3, rtol=1e-4)
    assert {leaf.dtype for leaf in (low.predictions, low.kernel, low.smallest_eigenvalue)} == {
        jnp.dtype(jnp.float32)
    }
    np.testing.assert_allclose(low.predictions, plain.predictions, atol=5e-3)
    single_K = {r: kernel.astype(jnp.float32) for r, kernel in K.items()}
    low = nth.truncated_hierarchy(single_K, single[2], single[3], 3, rtol=1e-4)
    assert low.predictions.dtype == jnp.float32


def test_nothing_is_said_when_nothing_is_wrong():
    _, _, K = case("tanh")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nth.truncated_hierarchy(K, jnp.asarray(Y), jnp.asarray(TIMES), 4)


@pytest.mark.parametrize("order", [2, 3])
def test_a_kernel_that_is_not_semidefinite_is_reported_once(order):
    K = {1: jnp.ones(2), 2: jnp.diag(jnp.array([2.0, -0.25])), 3: jnp.zeros((2, 2, 2))}
    says = r"^K\[2\] is not positive semi-definite .* -0.25, its largest 2;"
    with pytest.warns(UserWarning, match=says) as caught:
        nth.truncated_hierarchy(K, jnp.zeros(2), jnp.array([0.0, 1.0]), order)
    assert len(caught) == 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(5))
def test_rounding_is_no_loss_of_definiteness(dtype, seed):
    """Six inputs of two dimensions into a linear network: the kernel has rank two of six."""
    net, params = network(1, 64, 2, activation=lambda z: z, seed=seed)
    X = unit_rows(6, 2, seed).astype(dtype)
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    K = nth.kernels(net, params, X, 2)
    assert K[2].dtype == dtype
    nth.truncated_hierarchy(K, jnp.ones(6), jnp.array([0.0, 1.0]))


def test_definiteness_is_not_looked_at_while_tracing():
    K = {1: jnp.ones(2), 2: jnp.diag(jnp.array([2.0, -0.25]))}
    times = jnp.array([0.0, 1.0])
    jax.jit(lambda K: nth.truncated_hierarchy(K, jnp.zeros(2), times).predictions)(K)
