"""The doors ``kernels`` and ``layer_kernels``: values, shapes, transformations, limits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    OTHER_MODELS,
    Unhashable,
    gradient_recursion,
    jacobian_gram,
    network,
    other_model,
    relative_difference,
    unit_rows,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import nthlib as nth
from nthlib.finite.closed_forms import UNITS_AT_ONCE, closed_kernels
from nthlib.finite.lie import push_forward

# Sums of at most a few hundred products of order one, in two orders.
EXACT = {"rtol": 1e-12, "atol": 1e-13}
ACTIVATIONS = {"tanh": jnp.tanh, "softplus": jax.nn.softplus, "relu": nth.relu, "erf": nth.erf}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_kernels_equal_the_jacobian_gram(depth, activation):
    net, params = network(depth=depth, activation=ACTIVATIONS[activation])
    X = unit_rows(4, 3)
    K = nth.kernels(net, params, X, 2)
    assert list(K) == [1, 2]
    np.testing.assert_allclose(K[1], net(params, X), **EXACT)
    np.testing.assert_allclose(K[2], jacobian_gram(net, params, X), **EXACT)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("method", ["auto", "closed", "derivatives"])
def test_methods_agree_with_test_rows(method, depth):
    net, params = network(depth=depth, sigma_w=0.6, sigma_a=1.7)
    X, X_test = unit_rows(3, 3), unit_rows(2, 3, seed=1)
    everything = jnp.concatenate([X, X_test])
    K = nth.kernels(net, params, X, 2, X_test=X_test, method=method)
    np.testing.assert_allclose(K[1], net(params, everything), **EXACT)
    np.testing.assert_allclose(K[2], jacobian_gram(net, params, everything, X), **EXACT)


# Every depth, activation, pair of scales, with and without test rows; the order to which the
# nested derivatives follow, whose compilation is what takes the time.
HIGH_ORDER = {
    "gelu": (jax.nn.gelu, {"depth": 1, "sigma_w": 1.5, "sigma_a": 0.5}, 1, 4),
    "softplus": (jax.nn.softplus, {"depth": 2, "sigma_w": 0.7, "sigma_a": 1.6}, 1, 4),
    "erf": (nth.erf, {"depth": 2, "sigma_w": 1.8, "sigma_a": 1.2}, 0, 3),
    "sigmoid": (jax.nn.sigmoid, {"depth": 3, "sigma_w": 2.0, "sigma_a": 0.8}, 0, 3),
    "tanh": (jnp.tanh, {"depth": 4, "sigma_w": 1.3, "sigma_a": 0.6}, 1, 3),
}


@pytest.mark.parametrize(
    "activation",
    [pytest.param(a, marks=[pytest.mark.slow] * (a in ("erf", "sigmoid"))) for a in HIGH_ORDER],
)
def test_closed_forms_agree_with_the_definition(activation):
    function, settings, n_test, nested = HIGH_ORDER[activation]
    net, params = network(width=3, dim=2, activation=function, **settings)
    X = unit_rows(2, 2)
    X_test = unit_rows(n_test, 2, seed=1) if n_test else None
    closed = nth.kernels(net, params, X, 4, X_test=X_test, method="closed")
    N = 2 + n_test
    assert [closed[r].shape for r in (1, 2, 3, 4)] == [(N,), (N, 2), (N, 2, 2), (N, 2, 2, 2)]
    derivatives = nth.kernels(net, params, X, nested, X_test=X_test, method="derivatives")
    for order, kernel in derivatives.items():
        assert relative_difference(closed[order], kernel) <= 1e-10
    if not n_test:  # a request for order three takes another way through the code
        third = nth.kernels(net, params, X, 3, method="closed")[3]
        assert relative_difference(third, closed[3]) <= 1e-10
    expected = gradient_recursion(net, params, X, 4, X_test)
    assert relative_difference(closed[4], expected) <= 1e-10


@pytest.mark.parametrize(
    "width",
    [
        UNITS_AT_ONCE + 45,
        pytest.param(2 * UNITS_AT_ONCE, marks=pytest.mark.slow),
        pytest.param(UNITS_AT_ONCE + 2, marks=pytest.mark.slow),
    ],
)
def test_a_wide_layer_is_summed_some_units_at_a_time(width):
    """Against all units at once, to the rounding of sums in another order, idle units included."""
    net, params = network(1, width, 2, jax.nn.softplus)
    X, X_test = unit_rows(2, 2), unit_rows(1, 2, seed=1)
    at_once = functools.partial(closed_kernels, net, X=X, order=4, X_test=X_test)
    for theta in (params, nth.subnetwork(net, params, UNITS_AT_ONCE - 1)):
        found = nth.kernels(net, theta, X, 5, X_test=X_test)
        higher = jax.jit(
            lambda theta: push_forward(lambda theta: at_once(theta)[4], 4, net, theta, X, 5)
        )(theta)
        for order, kernel in (at_once(theta) | higher).items():
            assert relative_difference(found[order], kernel) <= 1e-12


@pytest.mark.parametrize(
    "depth",
    [pytest.param(depth, marks=[pytest.mark.slow] * (depth != 2)) for depth in (1, 2, 3, 4)],
)
def test_order_five_agrees_with_the_definition(depth):
    """The closed K^(4) pushed forward, nested derivatives alone, and the recursion."""
    activation = (jax.nn.gelu, jax.nn.softplus, nth.erf, jnp.tanh)[depth - 1]
    net, params = network(depth, 2, 2, activation, sigma_a=1.4)
    X, X_test = unit_rows(2, 2), unit_rows(1, 2, seed=1)
    closed = nth.kernels(net, params, X, 5, X_test=X_test, method="closed")
    assert list(closed) == [1, 2, 3, 4, 5]
    assert closed[5].shape == (3, 2, 2, 2, 2)
    expected = gradient_recursion(net, params, X, 5, X_test)
    assert relative_difference(closed[5], expected) <= 1e-10
    if depth > 2:  # compiling a third route takes longer than it is worth
        return
    derivatives = nth.kernels(net, params, X, 5, X_test=X_test, method="derivatives")
    for order, kernel in derivatives.items():
        assert relative_difference(closed[order], kernel) <= 1e-10


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 4, 1, 3), (2, 1, 2, 1)])
def test_smallest_networks_and_single_samples(shape):
    """One sample, one unit, one hidden layer, one dimension, alone and together."""
    depth, width, n, dim = shape
    net, params = network(depth, width, dim)
    X = unit_rows(n, dim)
    K = nth.kernels(net, params, X, 4)
    assert K[4].shape == (n,) * 4
    for order in (3, 4):
        expected = gradient_recursion(net, params, X, order)
        assert relative_difference(K[order], expected) <= 1e-10


def test_high_orders_are_symmetric_in_the_first_two_arguments_only():
    net, params = network(depth=2, width=4)
    K = nth.kernels(net, params, unit_rows(3, 3), 4)
    for order in (3, 4):
        kernel = np.asarray(K[order])
        assert relative_difference(kernel.swapaxes(0, 1), kernel) <= 1e-13
        for axis in range(1, order - 1):
            assert relative_difference(kernel.swapaxes(axis, axis + 1), kernel) > 1e-2


@pytest.mark.slow
@settings(max_examples=2, deadline=None, derandomize=True)
@given(
    depth=st.integers(1, 3),
    width=st.integers(1, 4),
    dim=st.integers(1, 3),
    n=st.integers(1, 3),
    n_test=st.integers(0, 1),
    sigmas=st.tuples(st.floats(0.3, 2.0), st.floats(0.3, 2.0)),
    seed=st.integers(0, 100),
)
def test_random_networks_have_the_kernels_of_nested_derivatives(
    depth, width, dim, n, n_test, sigmas, seed
):
    net, params = network(depth, width, dim, jnp.tanh, *sigmas, seed)
    X = unit_rows(n, dim, seed)
    X_test = unit_rows(n_test, dim, seed + 1) if n_test else None
    closed = nth.kernels(net, params, X, 4, X_test=X_test, method="closed")
    derivatives = nth.kernels(net, params, X, 4, X_test=X_test, method="derivatives")
    for order, kernel in derivatives.items():
        assert relative_difference(closed[order], kernel) <= 1e-10


@settings(max_examples=4, deadline=None, derandomize=True)
@given(seed=st.integers(0, 100), factor=st.floats(0.5, 2.0), order=st.permutations(range(3)))
def test_renaming_samples_renames_the_kernels(seed, factor, order):
    """A permutation of samples permutes every axis; f -> -f multiplies K^(r) by (−1)^r."""
    net, params = network(depth=2, width=4, seed=seed)
    params = jax.tree.map(lambda leaf: factor * leaf, params)
    X, order = unit_rows(3, 3, seed), np.array(order)
    K = nth.kernels(net, params, X, 4)
    renamed = nth.kernels(net, params, X[order], 4)
    negated = nth.kernels(net, params._replace(readout=-params.readout), X, 4)
    for r in (1, 2, 3, 4):
        expected = np.asarray(K[r])[np.ix_(*[order] * r)]
        assert relative_difference(renamed[r], expected) <= 1e-12
        assert relative_difference(negated[r], (-1) ** r * K[r]) <= 1e-12


@pytest.mark.parametrize("name", [pytest.param("skip", marks=pytest.mark.slow), "convolution"])
def test_other_models_have_their_higher_kernels(name):
    model, params, X = other_model(name)
    X, X_test = X[:2], X[2:]
    K = nth.kernels(model, params, X, 4, X_test=X_test)
    for order in (3, 4):
        expected = gradient_recursion(model, params, X, order, X_test)
        assert relative_difference(K[order], expected) <= 1e-10


def test_a_quadratic_model_has_the_kernel_known_by_hand():
    """f_i = ½ θᵀA_iθ: K^(3)(1, 2, 3) = θᵀ(A_1 A_2 + A_2 A_1) A_3 θ, test rows included."""
    rng = np.random.default_rng(3)
    A = rng.normal(size=(4, 5, 5))
    A = A + A.transpose(0, 2, 1)
    theta = rng.normal(size=5)

    def model(p, Z):
        return 0.5 * jnp.einsum("i,aij,j->a", p, Z, p)

    K = nth.kernels(model, jnp.asarray(theta), jnp.asarray(A[:3]), 3, X_test=jnp.asarray(A[3:]))
    assert K[3].shape == (4, 3, 3)
    for i, j, k in np.ndindex(4, 3, 3):
        by_hand = theta @ (A[i] @ A[j] + A[j] @ A[i]) @ A[k] @ theta
        # Products of matrices with entries near 2: cancellation costs two digits at most.
        np.testing.assert_allclose(K[3][i, j, k], by_hand, rtol=1e-11, atol=1e-11)


def test_order_three_agrees_with_finite_differences():
    """K^(3)(·,·,γ) is the change of K^(2) when the parameters move along ∇f_γ."""
    net, params = network(depth=2)
    X = unit_rows(3, 3)
    K3 = nth.kernels(net, params, X, 3)[3]
    fields = jax.jit(jax.jacrev(net))(params, X)
    h = 1e-4
    for gamma in range(3):
        field = jax.tree.map(lambda leaf, g=gamma: leaf[g], fields)
        up, down = (
            jacobian_gram(net, jax.tree.map(lambda a, b, s=s: a + s * h * b, params, field), X)
            for s in (1, -1)
        )
        # Truncation h² and cancellation 1e-16 / h: both near 1e-8 to 1e-12 of order-one numbers.
        np.testing.assert_allclose((up - down) / (2 * h), K3[:, :, gamma], atol=1e-7)


@pytest.mark.parametrize("name", OTHER_MODELS)
def test_other_models_equal_the_jacobian_gram(name):
    model, params, X = other_model(name, n=4)
    X, X_test = X[:3], X[3:]
    K = nth.kernels(model, params, X, 2, X_test=X_test)
    everything = jnp.concatenate([X, X_test])
    np.testing.assert_allclose(K[1], model(params, everything), **EXACT)
    np.testing.assert_allclose(K[2], jacobian_gram(model, params, everything, X), **EXACT)


def test_an_unhashable_model_is_not_confused_with_another():
    _, params, X = other_model("unhashable")
    for power in (2, 3):
        model = Unhashable(power)
        K = nth.kernels(model, params, X, 2)
        np.testing.assert_allclose(K[2], jacobian_gram(model, params, X), **EXACT)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_layer_kernels_are_grams_of_leaves_and_sum_to_the_kernel(depth):
    net, params = network(depth=depth)
    X = unit_rows(4, 3)
    G = nth.layer_kernels(net, params, X)
    assert G.shape == (depth + 1, 4, 4)
    leaves = jax.tree.map(np.asarray, jax.tree.leaves(jax.jit(jax.jacrev(net))(params, X)))
    for layer, leaf in zip(G, leaves, strict=True):
        np.testing.assert_allclose(layer, np.tensordot(leaf, leaf, _axes(leaf)), **EXACT)
    np.testing.assert_allclose(G.sum(axis=0), nth.kernels(net, params, X, 2)[2], **EXACT)


def _axes(leaf):
    axes = list(range(1, leaf.ndim))
    return axes, axes


def test_order_one_is_the_prediction_alone():
    net, params = network()
    X = unit_rows(3, 3)
    for method in ("closed", "derivatives"):
        K = nth.kernels(net, params, X, 1, method=method)
        assert list(K) == [1]
        np.testing.assert_allclose(K[1], net(params, X), **EXACT)


def test_one_sample_and_numpy_inputs():
    net, params = network()
    X = np.asarray(unit_rows(1, 3))
    K = nth.kernels(net, params, X, np.int64(2))
    assert K[2].shape == (1, 1)
    np.testing.assert_allclose(K[2], jacobian_gram(net, params, jnp.asarray(X)), **EXACT)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    depth=st.integers(1, 3),
    width=st.integers(1, 6),
    dim=st.integers(1, 4),
    n=st.integers(1, 5),
    sigmas=st.tuples(st.floats(0.2, 3.0), st.floats(0.2, 3.0)),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    seed=st.integers(0, 100),
)
def test_k2_is_a_gram_matrix(depth, width, dim, n, sigmas, activation, seed):
    """Symmetric, without negative eigenvalues, equal to the Gram, whatever the network."""
    net, params = network(depth, width, dim, ACTIVATIONS[activation], *sigmas, seed)
    X = unit_rows(n, dim, seed)
    kernel = np.asarray(nth.kernels(net, params, X, 2)[2])
    scale = np.abs(kernel).max() + 1e-300
    assert np.abs(kernel - kernel.T).max() <= 1e-13 * scale
    assert np.linalg.eigvalsh(kernel)[0] >= -1e-13 * scale
    assert np.abs(kernel - jacobian_gram(net, params, X)).max() <= 1e-12 * scale + 1e-300


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 100), factor=st.floats(0.1, 5.0))
def test_the_readout_scales_all_but_the_last_layer(seed, factor):
    """a -> c a multiplies G^(1), .., G^(H) by c² and leaves G^(H+1)."""
    net, params = network(depth=2, seed=seed)
    X = unit_rows(3, 3, seed)
    G = np.asarray(nth.layer_kernels(net, params, X))
    scaled = np.asarray(nth.layer_kernels(net, params._replace(readout=factor * params.readout), X))
    np.testing.assert_allclose(scaled[:-1], factor**2 * G[:-1], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(scaled[-1], G[-1], rtol=1e-14)
