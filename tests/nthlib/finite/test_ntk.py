"""``ntk`` and ``ntk_operator`` against Gram matrices of Jacobians and against ``kernels``."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    OTHER_MODELS,
    jacobian_gram,
    network,
    other_model,
    relative_difference,
    unit_rows,
)
from scipy.sparse.linalg import aslinearoperator, cg, eigsh

import nthlib as nth

X1, X2 = unit_rows(5, 3), unit_rows(7, 3, seed=1)
# Sums of at most a few hundred products of order one, in two orders.
EXACT = {"rtol": 1e-12, "atol": 1e-13}


def three_outputs(params, X):
    return jnp.tanh(X @ params["in"]) @ params["out"] + params["shift"]


def three_output_params(dtype=jnp.float64):
    normal = np.random.default_rng(3).normal
    shapes = {"in": (3, 4), "out": (4, 3), "shift": (3,)}
    return {name: jnp.asarray(normal(size=shape), dtype) for name, shape in shapes.items()}


def gram_of_outputs(model, params, rows, columns):
    """(n1, C, n2, C) from full Jacobians, leaf by leaf."""
    total = 0
    left, right = (jax.tree.leaves(jax.jacrev(model)(params, X)) for X in (rows, columns))
    for one, other in zip(left, right, strict=True):
        flat = [np.asarray(leaf).reshape(*leaf.shape[:2], -1) for leaf in (one, other)]
        total = total + np.einsum("icp,jdp->icjd", *flat)
    return total


@pytest.mark.parametrize("block", [None, 1, 2, 3, 5, 100])
@pytest.mark.parametrize("depth", [1, 3])
def test_closed_forms_between_two_sets(depth, block):
    net, params = network(depth=depth)
    found = nth.ntk(net, params, X1, X2, block=block)
    np.testing.assert_allclose(found, jacobian_gram(net, params, X1, X2), **EXACT)


@pytest.mark.parametrize("block", [None, 2])
@pytest.mark.parametrize("name", OTHER_MODELS)
def test_other_models_between_two_sets(name, block):
    model, params, points = other_model(name, n=8)
    found = nth.ntk(model, params, points[:3], points[3:], block=block)
    expected = jacobian_gram(model, params, points[:3], points[3:])
    np.testing.assert_allclose(found, expected, **EXACT)


@pytest.mark.parametrize("name", ["network", "biases", "three outputs"])
def test_one_set_gives_the_kernel_of_kernels(name):
    model, params = {
        "network": network(),
        "biases": other_model("biases")[:2],
        "three outputs": (three_outputs, three_output_params()),
    }[name]
    found = nth.ntk(model, params, X1)
    np.testing.assert_allclose(found, nth.kernels(model, params, X1, 2)[2], **EXACT)
    flat = np.asarray(found).reshape(int(np.sqrt(found.size)), -1)
    np.testing.assert_allclose(flat, flat.T, **EXACT)
    np.testing.assert_allclose(nth.ntk(model, params, X1, X1, block=2), found, **EXACT)


@pytest.mark.parametrize("block", [None, 1, 3])
def test_several_outputs(block):
    params = three_output_params()
    expected = gram_of_outputs(three_outputs, params, X1, X2)
    equal = np.einsum("icjc->ijc", expected)
    for outputs, wanted in (("full", expected), ("diagonal", equal), ("trace", equal.sum(-1))):
        found = nth.ntk(three_outputs, params, X1, X2, outputs=outputs, block=block)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, **EXACT)


@pytest.mark.parametrize("outputs", ["full", "diagonal", "trace"])
def test_an_axis_of_one_output_is_kept_and_none_is_added(outputs):
    model, params, points = other_model("biases")
    flat = nth.ntk(model, params, points, outputs=outputs)
    assert flat.shape == (3, 3)
    column = nth.ntk(lambda p, X: model(p, X)[:, None], params, points, outputs=outputs)
    shape = {"full": (3, 1, 3, 1), "diagonal": (3, 3, 1), "trace": (3, 3)}[outputs]
    assert column.shape == shape
    np.testing.assert_allclose(column.reshape(3, 3), flat, **EXACT)


def test_single_precision_stays_single():
    net, params = network()
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (params, X1, X2))
    own = three_output_params(jnp.float32)
    for model, theta, double in (
        (net, single[0], params),
        (three_outputs, own, three_output_params()),
    ):
        found = nth.ntk(model, theta, *single[1:], block=2)
        operator = nth.ntk_operator(model, theta, single[1])
        assert (
            found.dtype
            == operator.dtype
            == operator.matvec(operator @ np.ones(operator.shape[0], np.float32)).dtype
            == jnp.float32
        )
        # Rounding at 6e-8 in a few dozen operations on numbers of order one.
        assert relative_difference(found, nth.ntk(model, double, X1, X2)) < 2e-6


def test_under_jit_vmap_and_grad():
    net, _ = network(width=4)
    draws = [network(width=4, seed=seed)[1] for seed in range(2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *draws)
    many = jax.jit(jax.vmap(lambda p: nth.ntk(net, p, X1, X2, block=3)))(stacked)
    for one, draw in zip(many, draws, strict=True):
        np.testing.assert_allclose(one, jacobian_gram(net, draw, X1, X2), **EXACT)

    def total(scale, block):
        return nth.ntk(
            net, jax.tree.map(lambda leaf: scale * leaf, draws[0]), X1, block=block
        ).sum()

    slopes = [jax.grad(total)(1.0, block) for block in (None, 2)]
    assert abs(slopes[0] / slopes[1] - 1) < 1e-12


@pytest.mark.parametrize("name", ["network", "skip"])
def test_less_memory_means_smaller_blocks_and_then_a_refusal(name):
    """A scan appears in the program, the kernel stays, and what holds it alone is the least."""
    model, params = network() if name == "network" else other_model("skip")[:2]
    X = unit_rows(40, 3)
    whole = nth.ntk(model, params, X)
    result, program = 8 * 40 * 40, {}
    for limit in (10**8, 4 * result):
        program[limit] = str(
            jax.make_jaxpr(lambda p, limit=limit: nth.ntk(model, p, X, memory_limit=limit))(params)
        )
        found = nth.ntk(model, params, X, memory_limit=limit)
        np.testing.assert_allclose(found, whole, **EXACT)
    scans = [text.count("scan[") for text in program.values()]
    assert scans[0] < scans[1]
    with pytest.raises(MemoryError, match=r"^this needs about .*; try fewer samples, a smaller"):
        nth.ntk(model, params, X, memory_limit=2 * result)
    with pytest.raises(MemoryError):
        nth.ntk(model, params, X, block=40, memory_limit=4 * result)


def test_numbers_too_large_are_warned_of():
    net, params = network()
    with pytest.warns(UserWarning, match="the tangent kernel hold NaN or infinity"):
        nth.ntk(net, params._replace(readout=1e300 * params.readout), X1)
    operator = nth.ntk_operator(net, params._replace(readout=1e300 * params.readout), X1)
    with pytest.warns(UserWarning, match="the products hold NaN or infinity"):
        operator @ np.ones(5)


@pytest.mark.bad_input
def test_rows_that_are_mixed_are_named_by_their_set():
    with pytest.raises(ValueError, match="row 0 of X1, row 1 of X1, row 2 of X1 and 4 more"):
        nth.ntk(lambda p, X: X @ p / jnp.linalg.norm(X), jnp.ones(3), X1, X2[:2])
    with pytest.raises(ValueError, match="row 1 of X2 change"):
        nth.ntk(lambda p, X: X @ p + (jnp.arange(len(X)) == 6), jnp.ones(3), X1, X2[:2])


MATRICES = {
    "network": (*network(depth=3), unit_rows(9, 3)),
    "biases": other_model("biases", n=9),
    "convolution": other_model("convolution", n=9),
    "three outputs": (three_outputs, three_output_params(), unit_rows(9, 3)),
}


@pytest.mark.parametrize("short", [False, True], ids=["enough room", "little room"])
@pytest.mark.parametrize("name", MATRICES)
def test_the_operator_multiplies_by_the_matrix(name, short, machine):
    model, params, X = MATRICES[name]
    matrix = np.asarray(nth.ntk(model, params, X))
    size = int(np.sqrt(matrix.size))
    matrix = matrix.reshape(size, size)
    if short:
        machine(2 * 8 * {"network": 1800, "biases": 1100, "convolution": 1500}.get(name, 1800))
    operator = nth.ntk_operator(model, params, X)
    assert operator.shape == (size, size)
    assert operator.dtype == np.float64
    vectors = np.random.default_rng(0).normal(size=(size, 19))
    np.testing.assert_allclose(operator @ vectors, matrix @ vectors, rtol=1e-11, atol=1e-12)
    for one in (operator.matvec, operator.rmatvec):
        np.testing.assert_allclose(one(vectors[:, 0]), matrix @ vectors[:, 0], atol=1e-12)
    assert operator.matmat(vectors[:, :1]).shape == (size, 1)
    np.testing.assert_allclose(operator.T @ vectors, matrix @ vectors, rtol=1e-11, atol=1e-12)


def test_the_operator_takes_blocks_and_then_refuses(machine):
    model, params, X = MATRICES["biases"]
    for size in (1100, 10**6):
        machine(2 * 8 * size)
        operator = nth.ntk_operator(model, params, X)
    machine(2 * 8 * 100)
    with pytest.raises(MemoryError, match=r"^this needs about .*; try fewer samples or float32"):
        nth.ntk_operator(model, params, X)
    assert operator.shape == (9, 9)


def test_scipy_finds_eigenvalues_and_solves_with_the_operator():
    net, params = network(width=40)
    X = unit_rows(30, 3)
    operator, matrix = nth.ntk_operator(net, params, X), np.asarray(nth.ntk(net, params, X))
    largest = eigsh(operator, k=4, return_eigenvectors=False)
    np.testing.assert_allclose(largest, np.linalg.eigvalsh(matrix)[-4:], rtol=1e-10)
    # A ridge, as in regression: its condition number, about 100, bounds the error of the residual.
    ridge, y = largest[-1] / 100, np.asarray(X[:, 0])
    solution, failed = cg(operator + aslinearoperator(ridge * np.eye(30)), y, rtol=1e-10)
    assert not failed
    expected = np.linalg.solve(matrix + ridge * np.eye(30), y)
    np.testing.assert_allclose(solution, expected, rtol=1e-7, atol=1e-8 * abs(expected).max())


@pytest.mark.bad_input
def test_the_operator_is_made_outside_of_compiled_functions():
    net, params = network()
    with pytest.raises(TypeError, match="X and params must be concrete arrays"):
        jax.jit(lambda p: nth.ntk_operator(net, p, X1).shape[0])(params)


def test_products_of_equal_models_are_compiled_once(compilations):
    params = three_output_params()
    for turn in range(3):
        operator = nth.ntk_operator(lambda p, X: three_outputs(p, X), params, X1)
        operator @ (turn + np.ones(15))
        if turn == 0:
            first = len(compilations)
    assert len(compilations) == first
