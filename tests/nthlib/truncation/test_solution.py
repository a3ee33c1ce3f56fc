"""The honest end of a truncation: blow-up, lost definiteness, stiffness, exhausted steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, unit_rows
from scipy.integrate import solve_ivp

import nthlib as nth


def one_sample(k, c, r0):
    """n = 1 at p = 3: u = ∫ r obeys ∂_t u = r_0 − k u + c u²/2, a Riccati equation."""
    K = {1: jnp.array([r0]), 2: jnp.array([[k]]), 3: jnp.array([[[c]]])}
    root = np.sqrt(2 * c * r0 - k**2)
    return K, 2 / root * (np.pi / 2 + np.arctan(k / root))


@pytest.mark.parametrize("method", ["signature", "tensors"])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_time_of_blow_up_is_that_of_the_riccati_equation(method, scale):
    K, pole = one_sample(0.7, scale, 2.0 / scale)
    times = jnp.asarray(pole * np.array([0.0, 0.5, 0.999, 1.001, 3.0]))
    with pytest.warns(UserWarning, match=r"truncated at level 3 blows up at t = .* wider network"):
        solution = nth.truncated_hierarchy(K, jnp.zeros(1), times, method=method)
    # At a residual of 1e9 times the initial one a pole of order two is 1e-4 of the time away.
    np.testing.assert_allclose(solution.valid_until, pole, rtol=5e-4)
    for values in (solution.predictions, solution.kernel, solution.smallest_eigenvalue):
        assert jnp.isfinite(values[:3]).all()
        assert jnp.isnan(values[3:]).all()


def test_blow_up_of_a_narrow_network():
    """p = 3, m = 16, H = 2: the jet against SciPy on the tensor equations."""
    X = unit_rows(24, 24)
    y = np.random.default_rng(0).normal(size=24) * 2
    for seed in range(8):
        net, params = network(2, 16, 24, sigma_w=1.0, sigma_a=1.0, seed=seed)
        K = {r: np.asarray(k) for r, k in nth.kernels(net, params, X, 3).items()}
        pole = reference_pole(K, y, 150.0)
        if pole is not None:
            break
    assert pole is not None
    with pytest.warns(UserWarning, match=r"blows up at t = "):
        solution = nth.truncated_flow(
            net, params, X, jnp.asarray(y), jnp.array([0.0, 0.5 * pole, 150.0]), 3
        )
    np.testing.assert_allclose(solution.valid_until, pole, rtol=0.02)
    assert jnp.isfinite(solution.predictions[:2]).all()
    assert jnp.isnan(solution.predictions[2]).all()


def reference_pole(K, y, horizon):
    """When ∫ r leaves every bound, by SciPy: the state is (f, ∫ρ)."""
    n = len(y)

    def velocity(t, state):
        force = -(state[:n] - y) / n
        return np.concatenate([(K[2] + K[3] @ state[n:]) @ force, force])

    def escaped(t, state):
        return np.abs(state[:n]).max() - 1e11

    escaped.terminal = True
    start = np.concatenate([K[1], np.zeros(n)])
    run = solve_ivp(velocity, (0, horizon), start, "DOP853", rtol=1e-9, events=escaped)
    return run.t_events[0][0] if len(run.t_events[0]) else None


def test_a_kernel_that_loses_definiteness_is_reported():
    """The second residual is zero, so that only the first moves the kernel."""
    K = {
        1: jnp.array([1.0, 0.0]),
        2: jnp.diag(jnp.array([1.0, 0.2])),
        3: jnp.zeros((2, 2, 2)).at[1, 1, 0].set(1.0),
    }
    times = jnp.array([0.0, 0.1, 4.0])
    with pytest.warns(UserWarning, match=r"no longer positive definite .* t = 4, where .* -0.665"):
        solution = nth.truncated_hierarchy(K, jnp.zeros(2), times)
    # s_1(t) = −(1/2) ∫ e^{−u/2} du = e^{−t/2} − 1: the eigenvalue is 0.2 + s_1.
    expected = np.minimum(0.2 + np.expm1(-np.asarray(times) / 2), 1.0)
    np.testing.assert_allclose(solution.smallest_eigenvalue, expected, atol=1e-7)
    assert solution.valid_until == jnp.inf


def test_exhausted_steps_are_told_apart_from_blow_up():
    net, params = network(1, 8, 2)
    X = unit_rows(2, 2)
    with pytest.warns(UserWarning, match=r"stopped at t = .*raise max_steps, now 3"):
        solution = nth.truncated_flow(
            net, params, X, jnp.ones(2), jnp.array([0.0, 1e3]), 3, max_steps=3
        )
    assert 0 < solution.valid_until < 1e3
    assert solution.steps == 3
    assert jnp.isnan(solution.predictions[1]).all()


def test_a_stiff_problem_takes_the_implicit_solver_and_few_steps():
    """λ_max/λ_min = 10⁴ over ten times the slowest time: SciPy's Radau is the reference."""
    n, rng = 3, np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(n, n)))[0]
    third = rng.normal(size=(n, n, n)) * 1e-6
    K = {
        1: rng.normal(size=n),
        2: vectors * np.array([1e-4, 1e-2, 1.0]) @ vectors.T,
        3: third + third.transpose(1, 0, 2),
    }
    y, times = np.ones(n), np.array([0.0, 1.0, 1e3, 3e5])

    def velocity(t, state):
        force = -(state[:n] - y) / n
        return np.concatenate([(K[2] + K[3] @ state[n:]) @ force, force])

    run = solve_ivp(
        velocity, (0, times[-1]), np.concatenate([K[1], np.zeros(n)]), "Radau",
        rtol=1e-11, atol=1e-13, t_eval=times,
    )  # fmt: skip
    kernels = {r: jnp.asarray(k) for r, k in K.items()}
    arguments = (kernels, jnp.asarray(y), jnp.asarray(times), 3)
    chosen = nth.truncated_hierarchy(*arguments)
    np.testing.assert_allclose(chosen.predictions, run.y[:n].T, atol=1e-6)
    explicit = nth.truncated_hierarchy(*arguments, solver="explicit", max_steps=100_000)
    np.testing.assert_allclose(explicit.predictions, run.y[:n].T, atol=1e-6)
    assert chosen.steps < explicit.steps / 10
    assert explicit.rejected_steps > 0


def test_a_batch_never_reaches_the_eigenvalue_solver():
    # Two batched calls in one program can deadlock on a machine with two cores.
    net, params = network(1, 4, 2)
    draws = jax.tree.map(lambda leaf: jnp.stack([leaf] * 5), params)

    def solve(p):
        return nth.truncated_flow(net, p, unit_rows(2, 2), jnp.ones(2), jnp.ones(1), 3)

    lines = str(jax.make_jaxpr(jax.vmap(solve))(draws)).splitlines()
    solved = [line for line in lines if "= eigh[" in line]
    assert solved
    assert all("[2,2]" in line and "[5," not in line for line in solved)
