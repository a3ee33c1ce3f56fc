"""Gradient descent against a plain loop and against gradient flow; minibatches; divergence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import jacobian_gram, network, unit_rows

import nthlib as nth

X, X_TEST = unit_rows(4, 3), unit_rows(2, 3, seed=1)
EVERYTHING = jnp.concatenate([X, X_TEST])
Y = jnp.array([1.0, -0.5, 2.0, 0.3])
NET, PARAMS = network(depth=2, width=5)


@jax.jit
def gradient(params, rows, labels):
    return jax.grad(lambda p: jnp.mean((NET(p, rows) - labels) ** 2) / 2)(params)


def plain_loop(step, steps):
    params = PARAMS
    for _ in range(steps):
        params = jax.tree.map(lambda p, g: p - step * g, params, gradient(params, X, Y))
    return params


def test_steps_are_those_of_a_plain_loop():
    run = nth.gradient_descent(NET, PARAMS, X, Y, 0.2, [0, 0, 3, 7], X_test=X_TEST, order=3)
    np.testing.assert_allclose(run.times, [0.0, 0.0, 0.6, 1.4], rtol=1e-15)
    for row, steps in enumerate((0, 0, 3, 7)):
        params = plain_loop(0.2, steps)
        np.testing.assert_allclose(run.predictions[row], NET(params, EVERYTHING), atol=1e-13)
        gram = jacobian_gram(NET, params, EVERYTHING, X)
        np.testing.assert_allclose(run.kernels[2][row], gram, atol=1e-12)
    third = nth.kernels(NET, params, X, 3, X_test=X_TEST)[3]
    np.testing.assert_allclose(run.kernels[3][-1], third, atol=1e-12)
    for found, expected in zip(jax.tree.leaves(run.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-13)
    assert (run.steps, run.rejected_steps, run.valid_until) == (7, 0, jnp.inf)


def test_a_whole_number_of_steps_returns_every_step():
    run = nth.gradient_descent(NET, PARAMS, X, Y, 0.2, 7, order=1)
    assert run.predictions.shape == (8, 4)
    assert run.kernels == {}
    listed = nth.gradient_descent(NET, PARAMS, X, Y, 0.2, [3, 7], order=1)
    np.testing.assert_array_equal(run.predictions[jnp.array([3, 7])], listed.predictions)


def test_small_steps_follow_the_flow_to_first_order():
    flow = nth.gradient_flow(NET, PARAMS, X, Y, jnp.array([2.0]), X_test=X_TEST, rtol=1e-11)
    counts = np.array([64, 128, 256, 512])
    errors = []
    for count in counts:
        run = nth.gradient_descent(NET, PARAMS, X, Y, 2.0 / count, [count], X_test=X_TEST)
        errors.append(np.abs(run.kernels[2] - flow.kernels[2]).max())
    slope = np.polyfit(np.log(2.0 / counts), np.log(errors), 1)[0]
    assert abs(slope - 1) < 0.1


def test_minibatches_come_from_the_key_and_average_to_the_gradient():
    def trained(seed, batch, steps=1):
        key = jax.random.key(seed)
        return nth.gradient_descent(NET, PARAMS, X, Y, 0.1, [steps], batch=batch, key=key, order=1)

    first, again, other = (trained(seed, 2, 5).predictions for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4
    # A batch of all samples is the full gradient, in another order.
    full = nth.gradient_descent(NET, PARAMS, X, Y, 0.1, [5], order=1)
    np.testing.assert_allclose(trained(0, 4, 5).predictions, full.predictions, atol=1e-13)
    # One step from the same start: every pair of samples is as likely as every other.
    seeds = jnp.arange(3000)
    moved = jax.jit(
        jax.vmap(
            lambda seed: (
                nth.gradient_descent(
                    NET, PARAMS, X, Y, 0.1, [1], batch=2, key=jax.random.key(seed), order=1
                ).params.readout
            )
        )
    )(seeds)
    expected = PARAMS.readout - 0.1 * gradient(PARAMS, X, Y).readout
    noise = moved.std(axis=0) / len(seeds) ** 0.5
    assert (np.abs(moved.mean(axis=0) - expected) < 5 * noise).all()


def test_a_batch_of_one_takes_single_samples():
    run = nth.gradient_descent(
        NET, PARAMS, X, Y, 0.1, [1], batch=1, key=jax.random.key(4), order=1
    )  # fmt: skip
    ends = [
        PARAMS.readout - 0.1 * gradient(PARAMS, X[i : i + 1], Y[i : i + 1]).readout
        for i in range(4)
    ]
    assert min(np.abs(run.params.readout - end).max() for end in ends) < 1e-14


def test_divergence_is_marked_and_named():
    X, y = jnp.eye(2), jnp.ones(2)

    def linear(params, Z):
        return Z @ params

    # λ_max = 1 and n = 2: the residual grows by 4 − 1 = 3 in every step of size 8.
    with pytest.warns(UserWarning, match="diverged after t = 2400: .*lower the step, now 8"):
        run = nth.gradient_descent(linear, jnp.zeros(2), X, y, 8.0, [0, 1, 300, 1000])
    assert run.valid_until == 2400
    np.testing.assert_allclose(run.predictions[1], 4 * y, rtol=1e-14)
    assert np.isfinite(run.predictions[:3]).all()
    assert np.isnan(run.predictions[3]).all()
    assert np.isnan(run.kernels[2][3]).all()
    assert np.isfinite(run.params).all()


def test_steps_can_be_mapped_over():
    steps = jnp.array([0.05, 0.1, 0.2])
    train = jax.jit(
        jax.vmap(
            lambda step: nth.gradient_descent(NET, PARAMS, X, Y, step, [4], order=1).predictions
        )
    )
    for step, found in zip(steps, train(steps), strict=True):
        alone = nth.gradient_descent(NET, PARAMS, X, Y, step, [4], order=1)
        np.testing.assert_allclose(found, alone.predictions, atol=1e-13)


def test_several_outputs_and_the_cross_entropy():
    params = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)))
    labels = jnp.eye(3)[jnp.array([0, 2, 1, 1])]

    def linear(params, Z):
        return Z @ params

    run = nth.gradient_descent(linear, params, X, labels, 0.3, [1], loss="softmax")
    slope = X.T @ (jax.nn.softmax(X @ params) - labels) / 4
    np.testing.assert_allclose(run.params, params - 0.3 * slope, atol=1e-14)
    assert run.predictions.shape == (1, 4, 3)
    assert run.kernels[2].shape == (1, 4, 3, 4, 3)


def test_steps_of_numpy_may_be_mapped_over():
    """Inside a compiled function ``vmap`` hands on an array of NumPy as it is."""
    X = jnp.eye(3)

    def last(step):
        return nth.gradient_descent(NET, NET.init(jax.random.key(0)), X, jnp.ones(3), step, 2)

    found = jax.jit(lambda: jax.vmap(last)(np.array([0.1, 0.2])).predictions)()
    alone = nth.gradient_descent(NET, NET.init(jax.random.key(0)), X, jnp.ones(3), 0.2, 2)
    np.testing.assert_allclose(found[1], alone.predictions, rtol=1e-12)
