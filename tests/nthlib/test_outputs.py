"""Models with several outputs: kernels from the definition, dynamics against SciPy, C = 1."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, relative_difference, unit_rows
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

import nthlib as nth

X, X_TEST = unit_rows(2, 3), unit_rows(1, 3, seed=1)
EVERYTHING = jnp.concatenate([X, X_TEST])
ONE_HOT = jnp.eye(3)[jnp.array([2, 0])]
TIMES = jnp.array([0.0, 0.4, 1.0])


def classifier(params, Z):
    hidden = jnp.tanh(Z @ params["in"] + params["shift"])
    return jnp.sin(hidden @ params["out"])


def drawn(outputs=3, width=4):
    normal = np.random.default_rng(3).normal
    shapes = {"in": (3, width), "shift": (width,), "out": (width, outputs)}
    return {name: jnp.asarray(0.7 * normal(size=shape)) for name, shape in shapes.items()}


@functools.cache
def kernels_to_order_four():
    return nth.kernels(classifier, drawn(), X, 4, X_test=X_TEST)


def dense_kernels(params, order):
    """From the definition: the Jacobian of each kernel, as a dense matrix, times the fields'."""
    theta, unravel = ravel_pytree(params)

    def kernel(theta, level):
        if level == 1:
            return classifier(unravel(theta), EVERYTHING).ravel()
        slope = jax.jacrev(lambda t: kernel(t, level - 1))(theta)
        fields = jax.jacrev(lambda t: classifier(unravel(t), X).ravel())(theta)
        return slope @ fields.T

    outputs = params["out"].shape[1]
    return {
        r: jax.jit(lambda t, r=r: kernel(t, r))(theta).reshape(
            (len(EVERYTHING), outputs) + (len(X), outputs) * (r - 1)
        )
        for r in range(1, order + 1)
    }


def test_kernels_are_those_of_the_definition():
    params = drawn()
    K = kernels_to_order_four()
    expected = dense_kernels(params, 3)
    assert [K[r].shape for r in (1, 2, 3)] == [(3, 3), (3, 3, 2, 3), (3, 3, 2, 3, 2, 3)]
    for r in expected:
        assert relative_difference(K[r], expected[r]) <= 1e-10


def test_one_output_in_a_column_is_a_scalar_model():
    net, params = network(depth=2, width=5)
    X = unit_rows(3, 3)

    def column(theta, Z):
        return net(theta, Z)[:, None]

    K = nth.kernels(net, params, X, 3, X_test=X_TEST)
    K_column = nth.kernels(column, params, X, 3, X_test=X_TEST)
    for r in K:
        np.testing.assert_allclose(K_column[r].reshape(K[r].shape), K[r], rtol=1e-12, atol=1e-13)

    y = jnp.array([1.0, -1.0, 0.5])
    flow = nth.gradient_flow(net, params, X, y, TIMES, X_test=X_TEST)
    flow_column = nth.gradient_flow(column, params, X, y[:, None], TIMES, X_test=X_TEST)
    assert flow_column.predictions.shape == (3, 4, 1)
    assert flow_column.kernels[2].shape == (3, 4, 1, 3, 1)
    # Two solvers' steps may differ by rounding; their tolerance is 1e-8.
    np.testing.assert_allclose(flow_column.predictions[..., 0], flow.predictions, atol=1e-9)
    for order in (2, 3):
        solution = nth.truncated_hierarchy(K, y, TIMES, order)
        in_column = nth.truncated_hierarchy(K_column, y[:, None], TIMES, order)
        np.testing.assert_allclose(in_column.predictions[..., 0], solution.predictions, atol=1e-9)
        np.testing.assert_allclose(in_column.kernel.reshape(3, 4, 3), solution.kernel, atol=1e-9)


def softmax_residual(f):
    f = f.reshape(-1, 3)
    chance = np.exp(f - f.max(axis=1, keepdims=True))
    return (chance / chance.sum(axis=1, keepdims=True) - np.asarray(ONE_HOT)).ravel()


def test_gradient_flow_on_the_cross_entropy_agrees_with_scipy():
    params = drawn()
    theta, unravel = ravel_pytree(params)
    jacobian = jax.jit(jax.jacrev(lambda t: classifier(unravel(t), X).ravel()))

    def velocity(_, theta):
        f = np.asarray(classifier(unravel(theta), X))
        return -softmax_residual(f) @ np.asarray(jacobian(theta)) / len(X)

    run = solve_ivp(velocity, (0, 1.0), theta, "DOP853", rtol=1e-10, atol=1e-12, t_eval=TIMES)
    flow = nth.gradient_flow(classifier, params, X, ONE_HOT, TIMES, X_test=X_TEST, loss="softmax")
    for row, theta in enumerate(run.y.T):
        expected = classifier(unravel(theta), EVERYTHING)
        np.testing.assert_allclose(flow.predictions[row], expected, atol=1e-7)
    expected = dense_kernels(unravel(run.y[:, -1]), 2)[2]
    np.testing.assert_allclose(flow.kernels[2][-1], expected, atol=1e-7)


@pytest.mark.parametrize(
    "order", [*(pytest.param(order, marks=pytest.mark.slow) for order in (2, 3)), 4]
)
def test_the_truncated_hierarchy_on_the_cross_entropy_agrees_with_scipy(order):
    """The tensor equations by SciPy; from tensors, as a signature and as a jet."""
    params = drawn()
    K = {r: kernels_to_order_four()[r] for r in range(1, order + 1)}
    flat = [np.asarray(K[r]).reshape((9,) + (6,) * (r - 1)) for r in range(1, order + 1)]
    sizes = np.cumsum([kernel.size for kernel in flat[:-1]])

    def velocity(_, state):
        parts = [*np.split(state, sizes)[:-1], flat[-1].ravel()]
        force = -softmax_residual(parts[0][:6]) / len(X)
        tensors = [part.reshape(kernel.shape) for part, kernel in zip(parts, flat, strict=True)]
        return np.concatenate([(above @ force).ravel() for above in tensors[1:]])

    start = np.concatenate([kernel.ravel() for kernel in flat[:-1]])
    run = solve_ivp(velocity, (0, 1.0), start, "DOP853", rtol=1e-10, atol=1e-12, t_eval=TIMES)
    expected = run.y[:9].T.reshape(3, 3, 3)
    solutions = [
        nth.truncated_hierarchy(K, ONE_HOT, TIMES, method="signature", loss="softmax"),
        nth.truncated_hierarchy(K, ONE_HOT, TIMES, method="tensors", loss="softmax"),
        nth.truncated_flow(
            classifier, params, X, ONE_HOT, TIMES, order, X_test=X_TEST, loss="softmax"
        ),
    ]  # fmt: skip
    for solution in solutions:
        np.testing.assert_allclose(solution.predictions, expected, atol=1e-6)
        assert solution.kernel.shape == (3, 3, 3, 2, 3)
        np.testing.assert_allclose(solution.kernel, solutions[0].kernel, atol=1e-6)


def test_many_labellings_of_several_outputs_equal_one_by_one():
    K = kernels_to_order_four()
    y = jnp.stack([ONE_HOT, ONE_HOT[::-1], 0.5 * ONE_HOT], axis=-1)
    for order in (2, 3):
        together = nth.truncated_hierarchy(K, y, TIMES, order)
        assert together.predictions.shape == (3, 3, 3, 3)
        assert together.kernel.shape == (3, 3, 3, 2, 3, 3)
        for index in range(3):
            alone = nth.truncated_hierarchy(K, y[..., index], TIMES, order)
            np.testing.assert_allclose(
                together.predictions[..., index], alone.predictions, atol=1e-7
            )


def test_own_losses_take_vectors_and_the_frozen_kernel_is_exact():
    K = kernels_to_order_four()
    exact = nth.truncated_hierarchy(K, ONE_HOT, TIMES, 2)
    own = nth.truncated_hierarchy(
        K, ONE_HOT, TIMES, 2, loss=lambda f, y: jnp.vdot(f - y, f - y) / 2
    )
    np.testing.assert_allclose(own.predictions, exact.predictions, atol=1e-7)
    assert exact.steps == 0
    assert own.steps > 0


@pytest.mark.slow
def test_the_indicator_has_an_axis_of_outputs():
    params = drawn()
    settings = {"loss": "softmax", "indicator": True}
    jet = nth.truncated_flow(classifier, params, X, ONE_HOT, TIMES, 2, X_test=X_TEST, **settings)
    K = kernels_to_order_four()
    words = nth.truncated_hierarchy(K, ONE_HOT, TIMES, 2, **settings)
    assert jet.error_indicator.shape == (3, 3, 3)
    np.testing.assert_allclose(jet.error_indicator, words.error_indicator, atol=1e-7)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": jnp.ones(2)}, "y must hold a row of 3 probabilities for each sample"),
        ({"y": jnp.ones((2, 2))}, r"y must have shape \(2, 3\)"),
        ({"y": jnp.ones((2, 3))}, "y must hold probabilities that sum to 1"),
        ({"y": jnp.array([[2.0, -1.0, 0.0]] * 2)}, "y must hold probabilities"),
        ({"model": lambda p, Z: classifier(p, Z)[..., None]}, "model must return shape"),
        ({"model": lambda p, Z: classifier(p, Z)[:, :0]}, "model must return shape"),
        ({"loss": lambda f, y: f - y}, "loss must return one real number"),
        ({"loss": lambda f: f.sum()}, "loss must be a function"),
    ],
)
def test_bad_calls_name_the_argument(changed, message):
    good = {"model": classifier, "params": drawn(), "X": X, "y": ONE_HOT, "times": TIMES}
    for solve, order in ((nth.gradient_flow, {}), (nth.truncated_flow, {"level": 3})):
        with pytest.raises((TypeError, ValueError), match=message):
            solve(**({"loss": "softmax"} | good | order | changed))


def test_softmax_needs_several_outputs():
    net, params = network(width=3)
    with pytest.raises(ValueError, match="two or more outputs"):
        nth.gradient_flow(net, params, X, jnp.ones(2), TIMES, loss="softmax")
