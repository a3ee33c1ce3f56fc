"""The reach of a network, against complex integration up to a singularity and by recurrences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
from helpers import unit_rows

import nthlib as nth


def gelu(x):
    return x * jax.scipy.stats.norm.cdf(x)


def gelu_slope(z):
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return scipy.special.erfc(-z / np.sqrt(2)) / 2 + z * density


# σ, then for complex numbers σ, 1/σ' and where the nearest singularity of the flow is.
ROUTES = {
    "tanh": (jnp.tanh, np.tanh, lambda z: np.cosh(z) ** 2, lambda h: 0.5j * np.pi),
    "softplus": (
        jax.nn.softplus,
        lambda z: np.log(1 + np.exp(z)),
        lambda z: 1 + np.exp(-z),
        lambda h: 1j * np.pi,
    ),
    "erf": (
        nth.erf,
        scipy.special.erf,
        lambda z: np.sqrt(np.pi) / 2 * np.exp(z**2),
        lambda h: h + 7j,
    ),
    "sin": (jnp.sin, np.sin, lambda z: 1 / np.cos(z), lambda h: h + 25j),
    "gelu": (
        gelu,
        lambda z: z * scipy.special.erfc(-z / np.sqrt(2)) / 2,
        lambda z: 1 / gelu_slope(z),
        lambda h: h + 9j,
    ),
}


def time_to_singularity(name, a, h, X, action):
    """|t| at which one preactivation is singular, with it as the independent variable."""
    _, sigma, inverse, target = ROUTES[name]
    n, gram = len(h), X @ X.T
    drive = -action / n
    times = []
    for k in np.flatnonzero(drive):
        way = target(h[k]) - h[k]

        def slopes(_, state, k=k, way=way):
            a, h = state[1], state[2:]
            ratio = inverse(h[k]) / inverse(h)
            ratio[k] = 1.0
            turn = gram @ (drive * ratio)
            per_time = inverse(h[k]) / turn[k]
            change = drive @ sigma(h) * per_time / a
            return way * np.concatenate([[per_time / a, change], turn / turn[k]])

        start = np.concatenate([[0.0, a], h]).astype(complex)
        run = scipy.integrate.solve_ivp(
            slopes, (0.0, 1 - 1e-9), start, method="DOP853", rtol=1e-10, atol=1e-12
        )
        times.append(abs(run.y[0, -1]))
    return min(times)


def unit(a, weights, activation=jnp.tanh):
    weights = jnp.asarray(weights, float)
    net = nth.FullyConnected(len(weights), 1, 1, activation)
    return net, nth.Parameters((weights[None],), jnp.array([float(a)]))


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("a", [1.5, -4.0])
def test_a_unit_is_singular_where_complex_integration_says(name, a):
    # Orthogonal rows of several lengths; a direction with a zero.
    X = np.diag([1.0, 0.7, 1.3])
    weights, action = np.array([0.3, -0.5, 1.1]), np.array([1.0, -0.8, 0.0])
    net, params = unit(a, weights, ROUTES[name][0])
    found = nth.reach_of_network(net, params, jnp.asarray(X), jnp.asarray(action))
    expected = time_to_singularity(name, a, X @ weights, X, action)
    assert found == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize(("a", "h"), [(1.0, 0.0), (1.0, 0.7), (3.0, 0.2), (8.0, 0.0)])
def test_one_input_is_singular_where_the_conserved_energy_says(a, h):
    # q = sinh h obeys q' = √((E + q²)/(1 + q²)), E = a² − q², and is singular at q = i.
    q, E = np.sinh(h), a**2 - np.sinh(h) ** 2
    time = scipy.integrate.quad(
        lambda s: np.sqrt((1 + (q + s * (1j - q)) ** 2) / (E + (q + s * (1j - q)) ** 2)) * (1j - q),
        0,
        1,
        complex_func=True,
    )[0]
    net, params = unit(a, [h])
    found = nth.reach_of_network(net, params, jnp.ones((1, 1)), jnp.ones(1))
    assert found == pytest.approx(abs(time), rel=6e-3)


def root_test(a, h, gram, drive, order=160):
    """The radius for tanh from Taylor coefficients of h', order by order: σ' = 1 − σ²."""
    n = len(h)
    A, H, S, P = np.zeros(order + 1), *(np.zeros((order + 1, n)) for _ in range(3))
    turn = np.zeros((order, n))
    A[0], H[0], S[0] = a, h, np.tanh(h)
    for k in range(order):
        P[k] = (k == 0) - (S[: k + 1] * S[k::-1]).sum(0)
        turn[k] = gram @ (drive * (A[k::-1, None] * P[: k + 1]).sum(0))
        A[k + 1] = drive @ S[k] / (k + 1)
        H[k + 1] = turn[k] / (k + 1)
        S[k + 1] = (P[: k + 1] * turn[k::-1]).sum(0) / (k + 1)
    k = np.arange(order - 20, order)
    sizes = abs(turn[k]).max(1)
    # The constant before the coefficients is not known: its 160th root is left in the radius.
    return np.exp(-((np.log(sizes[sizes > 0]) + np.log(k[sizes > 0]) / 3) / k[sizes > 0]).max())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_inputs_that_are_not_orthogonal_have_the_root_test_s_radius(seed):
    X = np.asarray(unit_rows(3, 3, seed))
    rng = np.random.default_rng(seed)
    weights, action = rng.normal(size=3), np.array([1.0, -0.6, 0.8])
    net, params = unit(2.5, weights)
    found = nth.reach_of_network(net, params, jnp.asarray(X), jnp.asarray(action))
    expected = root_test(2.5, X @ weights, X @ X.T, -action / 3)
    assert found == pytest.approx(expected, rel=2e-2)


def test_a_network_reaches_as_far_as_its_worst_unit():
    net = nth.FullyConnected(3, 12, 1)
    params, X = net.init(jax.random.key(2)), jnp.eye(3)
    action = jnp.array([0.5, -2.0, 1.0])
    alone = [
        nth.reach_of_network(*unit(a, w), X, action)
        for a, w in zip(params.readout, params.weights[0], strict=True)
    ]
    found = nth.reach_of_network(net, params, X, action)
    assert found == pytest.approx(np.sqrt(12) * min(alone), rel=1e-6)
    assert nth.reach_of_network(net, params, X, -3 * action) == pytest.approx(found / 3, rel=5e-3)


def test_idle_units_do_not_count():
    net = nth.FullyConnected(3, 40, 1)
    params, X, action = net.init(jax.random.key(2)), jnp.eye(3), jnp.ones(3)
    cut = nth.Parameters((params.weights[0][:10],), params.readout[:10])
    narrow = nth.reach_of_network(nth.FullyConnected(3, 10, 1), cut, X, action)
    found = nth.reach_of_network(net, nth.subnetwork(net, params, 10), X, action)
    assert found == pytest.approx(narrow, rel=1e-9)


def test_an_action_of_zero_is_no_limit():
    net, params = unit(1.0, [0.3, 0.1])
    assert nth.reach_of_network(net, params, jnp.eye(2), jnp.zeros(2)) == np.inf


def test_an_affine_activation_has_no_singularity():
    net, params = unit(1.0, [0.3, 0.1], lambda x: 2 * x + 1)
    assert nth.reach_of_network(net, params, jnp.eye(2), jnp.ones(2)) == np.inf


def test_a_readout_of_zero_moves_and_is_singular():
    net, params = unit(0.0, [0.5])
    found = nth.reach_of_network(net, params, jnp.ones((1, 1)), jnp.ones(1))
    expected = root_test(0.0, np.array([0.5]), np.ones((1, 1)), -np.ones(1))
    assert found == pytest.approx(expected, rel=2e-2)


def silu(x):
    return x / (1 + jnp.exp(-x))


def test_any_analytic_activation_is_continued_by_jax():
    # A large readout stands still: h' = a σ'(h), up to the pole of σ'.
    net, params = unit(16.0, [0.4], silu)
    found = nth.reach_of_network(net, params, jnp.ones((1, 1)), jnp.ones(1))
    way = 1j * np.pi - 0.4

    def inverse(s):
        logistic = 1 / (1 + np.exp(-(0.4 + s * way)))
        return way / (logistic * (1 + (0.4 + s * way) * (1 - logistic)))

    time = scipy.integrate.quad(inverse, 0, 1 - 1e-9, complex_func=True)[0]
    assert 16 * found == pytest.approx(abs(time), rel=2e-2)


@pytest.mark.parametrize(
    ("activation", "error"),
    [(nth.relu, ValueError), (jnp.abs, (TypeError, ValueError)), (jax.nn.elu, ValueError)],
)
def test_activations_that_are_not_analytic_are_refused(activation, error):
    net, params = unit(1.0, [0.3], activation)
    with pytest.raises(error, match="net must have an activation"):
        nth.reach_of_network(net, params, jnp.ones((1, 1)), jnp.ones(1))


def test_deeper_networks_and_traced_values_are_refused():
    X = jnp.eye(2)
    deep = nth.FullyConnected(2, 4, 2)
    with pytest.raises(ValueError, match="net must have one hidden layer, got 2"):
        nth.reach_of_network(deep, deep.init(jax.random.key(0)), X, jnp.ones(2))
    net, params = unit(1.0, [0.3, 0.1])
    with pytest.raises(TypeError, match="action must be concrete"):
        jax.jit(lambda action: nth.reach_of_network(net, params, X, action))(jnp.ones(2))
