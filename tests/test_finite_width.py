"""The doors ``kernels`` and ``layer_kernels``: values, shapes, transformations, limits."""

import time

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
from nthlib import finite_width
from nthlib.finite_width import check_memory

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
    K = nth.kernels(net, params, X, 2, X_test, method=method)
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


@pytest.mark.parametrize("activation", HIGH_ORDER)
def test_closed_forms_agree_with_the_definition(activation):
    function, settings, n_test, nested = HIGH_ORDER[activation]
    net, params = network(width=3, dim=2, activation=function, **settings)
    X = unit_rows(2, 2)
    X_test = unit_rows(n_test, 2, seed=1) if n_test else None
    closed = nth.kernels(net, params, X, 4, X_test, method="closed")
    N = 2 + n_test
    assert [closed[r].shape for r in (1, 2, 3, 4)] == [(N,), (N, 2), (N, 2, 2), (N, 2, 2, 2)]
    derivatives = nth.kernels(net, params, X, nested, X_test, method="derivatives")
    for order, kernel in derivatives.items():
        assert relative_difference(closed[order], kernel) <= 1e-10
    if not n_test:  # a request for order three takes another way through the code
        third = nth.kernels(net, params, X, 3, method="closed")[3]
        assert relative_difference(third, closed[3]) <= 1e-10
    expected = gradient_recursion(net, params, X, 4, X_test)
    assert relative_difference(closed[4], expected) <= 1e-10


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_order_five_agrees_with_the_definition(depth):
    """The closed K^(4) pushed forward, nested derivatives alone, and the recursion."""
    activation = (jnp.tanh, nth.erf, jax.nn.softplus, jax.nn.gelu)[depth - 1]
    net, params = network(depth, 2, 2, activation, sigma_a=1.4)
    X, X_test = unit_rows(2, 2), unit_rows(1, 2, seed=1)
    closed = nth.kernels(net, params, X, 5, X_test, method="closed")
    assert list(closed) == [1, 2, 3, 4, 5]
    assert closed[5].shape == (3, 2, 2, 2, 2)
    expected = gradient_recursion(net, params, X, 5, X_test)
    assert relative_difference(closed[5], expected) <= 1e-10
    if depth > 2:  # compiling a third route takes longer than it is worth
        return
    derivatives = nth.kernels(net, params, X, 5, X_test, method="derivatives")
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
    closed = nth.kernels(net, params, X, 4, X_test, method="closed")
    derivatives = nth.kernels(net, params, X, 4, X_test, method="derivatives")
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


@pytest.mark.parametrize("name", ["skip", "convolution"])
def test_other_models_have_their_higher_kernels(name):
    model, params, X = other_model(name)
    X, X_test = X[:2], X[2:]
    K = nth.kernels(model, params, X, 4, X_test)
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

    K = nth.kernels(model, jnp.asarray(theta), jnp.asarray(A[:3]), 3, jnp.asarray(A[3:]))
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
    K = nth.kernels(model, params, X, 2, X_test)
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


@pytest.mark.parametrize("method", ["closed", "derivatives"])
def test_float32_stays_float32(method):
    net, params = network()
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    X = unit_rows(3, 3)
    K = nth.kernels(net, single, X.astype(jnp.float32), 2, method=method)
    assert {k.dtype for k in K.values()} == {jnp.dtype(jnp.float32)}
    # Single precision rounds at 6e-8; a few dozen operations on numbers of order one.
    np.testing.assert_allclose(K[2], jacobian_gram(net, params, X), atol=2e-5)
    assert nth.layer_kernels(net, single, X.astype(jnp.float32)).dtype == jnp.float32


def test_float32_stays_float32_at_higher_orders():
    net, params = network(depth=2, width=16)
    X, X_test = unit_rows(3, 3), unit_rows(1, 3, seed=1)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (params, X, X_test))
    found = nth.kernels(net, *single[:2], 4, single[2])
    expected = nth.kernels(net, params, X, 4, X_test)
    assert {r: k.dtype for r, k in found.items()} == dict.fromkeys(range(1, 5), jnp.float32)
    for order in (3, 4):
        # Sums of products that round at 6e-8 and cancel by two digits at most.
        assert relative_difference(found[order], expected[order]) <= 1e-4


def test_higher_orders_under_jit_and_vmap():
    """Compiled and over a stack of parameters: the same as one call after the other."""
    net, _ = network(depth=2, width=3, dim=2)
    draws = [network(depth=2, width=3, dim=2, seed=seed)[1] for seed in range(3)]
    X, X_test = unit_rows(2, 2), unit_rows(1, 2, seed=1)
    one_by_one = [nth.kernels(net, draw, X, 4, X_test) for draw in draws]

    @jax.jit
    @jax.vmap
    def many(p):
        return nth.kernels(net, p, X, 4, X_test)

    together = many(jax.tree.map(lambda *leaves: jnp.stack(leaves), *draws))
    compiled = jax.jit(lambda p, Z: nth.kernels(net, p, Z, 4, X_test))(draws[0], X)
    for order in (3, 4):
        assert relative_difference(compiled[order], one_by_one[0][order]) <= 1e-12
        for row, one in zip(together[order], one_by_one, strict=True):
            assert relative_difference(row, one[order]) <= 1e-12


@pytest.mark.parametrize("method", ["closed", "derivatives"])
def test_jit_vmap_and_grad(method):
    net, params = network(width=4)
    X = unit_rows(3, 3)

    def kernel(p, Z=X):
        return nth.kernels(net, p, Z, 2, method=method)[2]

    expected = jacobian_gram(net, params, X)
    np.testing.assert_allclose(jax.jit(kernel)(params, X), expected, **EXACT)
    # Constants closed over: their checks on values must not be staged.
    np.testing.assert_allclose(jax.jit(kernel)(params), expected, **EXACT)
    np.testing.assert_allclose(jax.jit(lambda Z: kernel(params, Z))(X), expected, **EXACT)

    draws = [network(width=4, seed=seed)[1] for seed in range(3)]
    many = jax.vmap(kernel)(jax.tree.map(lambda *leaves: jnp.stack(leaves), *draws))
    for draw, one in zip(draws, np.asarray(many), strict=True):
        np.testing.assert_allclose(one, jacobian_gram(net, draw, X), **EXACT)

    def gram(p):
        jacobians = jax.tree.leaves(jax.jacrev(net)(p, X))
        return sum((leaf[0] * leaf[1]).sum() for leaf in jacobians)

    found = jax.jit(jax.grad(lambda p: kernel(p)[0, 1]))(params)
    reference = jax.jit(jax.grad(gram))(params)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(reference), strict=True):
        np.testing.assert_allclose(a, b, **EXACT)


def test_the_gradient_of_k2_contracts_to_k3():
    """∇K^(2)(α, β)·∇f_γ through the closed form equals the derivative route at order three."""
    net, params = network(depth=2, width=4)
    X = unit_rows(2, 3)
    slopes = jax.jit(jax.jacrev(lambda p: nth.kernels(net, p, X, 2, method="closed")[2]))(params)
    fields = jax.jit(jax.jacrev(net))(params, X)
    contracted = sum(
        np.asarray(s).reshape(2, 2, -1) @ np.asarray(f).reshape(2, -1).T
        for s, f in zip(jax.tree.leaves(slopes), jax.tree.leaves(fields), strict=True)
    )
    np.testing.assert_allclose(contracted, nth.kernels(net, params, X, 3)[3], **EXACT)


def test_a_model_is_compiled_once():
    traces = []

    def model(p, X):
        traces.append(len(X))
        return jnp.tanh(X @ p)

    X = unit_rows(3, 3)
    nth.kernels(model, jnp.ones(3), X, 2)
    first = len(traces)
    for scale in (2.0, 3.0):
        nth.kernels(model, scale * jnp.ones(3), X, 2)
    # One abstract evaluation of the shape a call, but no second compilation.
    assert len(traces) - first <= 2
    assert first > 1


def test_memory_is_refused_before_any_allocation():
    net, params = network(dim=1)
    X = jnp.ones((200_000, 1))  # K^(2) would hold 4e10 numbers
    start = time.perf_counter()
    with pytest.raises(MemoryError, match=r"298\.\d GiB.*fewer samples"):
        nth.kernels(net, params, X, 2)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("method", ["auto", "closed", "derivatives"])
def test_order_five_of_200_samples_is_refused_at_once(method):
    """200^5 numbers of 8 bytes are 2.3 TiB, which nested derivatives hold twice."""
    net, params = network()
    needed = r"4\.\d" if method == "derivatives" else r"2\.\d"
    start = time.perf_counter()
    with pytest.raises(MemoryError, match=rf"needs about {needed} TiB, .* 1\.0 TiB; try"):
        nth.kernels(net, params, unit_rows(200, 3), 5, method=method, memory_limit=2**40)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("method", ["closed", "derivatives"])
def test_the_memory_limit_is_counted_in_bytes(method):
    net, params = network()
    X = unit_rows(10, 3)
    output = 8 * (10 + 100)
    with pytest.raises(MemoryError, match="over the memory_limit of"):
        nth.kernels(net, params, X, 2, method=method, memory_limit=output - 1)
    # The passes' states; or the fields and tangents in the space of the parameters, and for each
    # of 10 · 10 pairs what a backward pass keeps: the input, and three numbers a unit.
    fields = 12 * (7 * 3 + 7 * 7 + 7) + 10 * 10 * (3 + 3 * 7 * 2)
    enough = output + 8 * 4 * 10 * 7 * 2 if method == "closed" else 2 * output + 8 * fields
    assert nth.kernels(net, params, X, 2, method=method, memory_limit=enough)[2].shape == (10, 10)


@pytest.mark.parametrize(
    ("n", "width", "depth", "order"), [(8, 64, 2, 3), (4, 128, 2, 4), (32, 32, 1, 3), (3, 16, 1, 5)]
)
def test_the_estimated_memory_of_nested_derivatives_is_that_of_the_program(n, width, depth, order):
    """At most a tenth below what XLA plans, and at most four times of it."""
    net, params = network(depth, width, 3)
    X = unit_rows(n, 3)
    program = jax.jit(lambda p, Z: nth.kernels(net, p, Z, order, method="derivatives"))
    planned = program.lower(params, X).compile().memory_analysis()
    held = planned.temp_size_in_bytes + planned.output_size_in_bytes
    numbers = finite_width._numbers_needed(net, params, X, n, order, closed=False)
    assert 0.9 < X.dtype.itemsize * numbers / held < 4


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
@pytest.mark.parametrize("method", ["auto", "derivatives"])
def test_a_model_that_mixes_samples_is_refused(dtype, method):
    """The fields are gradients on single rows, so that its kernels would be wrong in silence."""
    params, X = jnp.asarray([1.0, -2.0, 0.5], dtype), unit_rows(3, 3).astype(dtype)

    def apart(p, Z):
        return jnp.tanh(Z @ p)

    def centred(p, Z):
        outputs = apart(p, Z)
        return outputs - outputs.mean()

    with pytest.raises(ValueError, match="model must compute each output from its own row"):
        nth.kernels(centred, params, X, 2, method=method)
    assert nth.kernels(apart, params, X, 2, method=method)[2].shape == (3, 3)
    # An output that cancels is rounding alone, and one row has nothing to mix with.
    cancelling = nth.kernels(lambda p, Z: apart(p, Z) - apart(3 * p / 3, Z), params, X, 2)
    assert np.isfinite(cancelling[2]).all()
    assert nth.kernels(centred, params, X[:1], 2)[2].shape == (1, 1)


def test_integer_parameters_are_named_by_their_type():
    with pytest.raises(TypeError, match="one is of type int32"):
        nth.kernels(lambda p, Z: Z @ p, np.ones(3, np.int32), unit_rows(3, 3), 2)


@pytest.mark.parametrize(
    ("needed", "shown"),
    [(1000, "1000 bytes"), (2048, "2.0 KiB"), (3 * 2**20, "3.0 MiB"), (5 * 2**50, "5120.0 TiB")],
)
def test_sizes_are_readable(needed, shown):
    with pytest.raises(MemoryError, match=rf"about {shown}, .* 1 bytes; try less"):
        check_memory(needed, 1, "less")


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
