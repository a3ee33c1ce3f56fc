"""The exact dynamics: gradient flow on the loss of a data set, integrated adaptively."""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from nthlib import losses, progress, validation
from nthlib.compilation import compiled
from nthlib.finite_width import check_model, kernels_of
from nthlib.integration import integrate
from nthlib.lie_derivatives import Model
from nthlib.network import FullyConnected


class Flow(NamedTuple):
    """A network trained by gradient flow, at the requested times.

    ``times`` (T,); ``predictions`` (T, N), training points first, then test points;
    ``kernels`` {2: (T, N, n), .., order}; ``params`` at the last time reached; ``valid_until``
    is infinity, or the time at which the solver gave up: rows after it are NaN. ``steps`` and
    ``rejected_steps`` count the solver's work.
    """

    times: Float[Array, " T"]
    predictions: Float[Array, "T N"]
    kernels: dict[int, Array]
    params: PyTree
    valid_until: Float[Array, ""]
    steps: Array
    rejected_steps: Array


def gradient_flow(
    model: Model,
    params: PyTree,
    X: Array,
    y: Float[Array, " n"],
    times: Float[Array, " T"],
    X_test: Array | None = None,
    order: int = 2,
    *,
    loss: losses.Loss = "square",
    rtol: float = 1e-8,
    max_steps: int = 10_000,
) -> Flow:
    """Train a model by gradient flow on L(θ) = (1/n) Σ ℓ(f_α, y_α), from time zero.

    ℓ = (f − y)²/2 by default.

    ∂_t θ = −∇L(θ) is integrated with Dopri8. The state is the displacement θ − θ_0, whose
    error stays small next to the O(1/m) movement of the kernel, and the absolute tolerance is
    ``rtol`` divided by √(number of parameters).

    Args:
        model: a callable (params, X) -> (N,), such as a ``FullyConnected``.
        params: the initial parameters θ_0, any pytree of floating-point arrays.
        X: training inputs, n along the first axis.
        y: labels, shape (n,).
        times: sorted times from which predictions and kernels are returned, none negative.
        X_test: test inputs; their predictions and kernel rows follow the training ones.
        order: the highest kernel returned; 1 returns predictions alone, which is faster.
        loss: "square", "logistic" (labels ±1) or a function (f, y) -> ℓ of one prediction.
        rtol: relative tolerance of the solver.
        max_steps: steps after which the solver gives up and the flow is marked invalid.

    Returns:
        A :class:`Flow`.

    Raises:
        TypeError, ValueError: naming the argument, before any work starts.

    Warns:
        UserWarning: when training inputs coincide, or when the last time was not reached.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=16, depth=1)
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=3)
    >>> params, times = net.init(jax.random.key(1)), jnp.linspace(0.0, 1.0, 5)
    >>> flow = nth.gradient_flow(net, params, X, jnp.ones(3), times)
    >>> flow.predictions.shape, flow.kernels[2].shape
    ((5, 3), (5, 3, 3))
    """
    order = validation.whole_number("order", order, 1)
    rtol, max_steps = solver_settings(rtol, max_steps)
    X, X_test, y, times = training_data(model, params, X, y, times, X_test, loss)
    warn_of_coinciding(X)

    traced = validation.is_traced(params, X, y, times)
    solve = compiled(_solve, model, order, loss, rtol, max_steps, not traced)
    if traced:
        return solve(params, X, y, times, X_test)
    with progress.bar("gradient flow"):
        flow = jax.block_until_ready(solve(params, X, y, times, X_test))
    # Called with constants inside a compiled function, the result is traced all the same.
    if not validation.is_traced(flow) and np.isfinite(flow.valid_until):
        warnings.warn(
            f"gradient flow stopped at t = {float(flow.valid_until):.6g}, before the last of the "
            f"times; later rows are NaN (raise max_steps, now {max_steps}, or lower the times)",
            UserWarning,
            stacklevel=2,
        )
    return flow


def solver_settings(rtol: Any, max_steps: Any) -> tuple[float, int]:
    """Check the solver's numbers."""
    tolerance = validation.positive_number("rtol", rtol)
    return tolerance, validation.whole_number("max_steps", max_steps, 1)


def training_data(
    model: Model, params: PyTree, X: Any, y: Any, times: Any, X_test: Any, loss: losses.Loss
) -> tuple[Array, Array | None, Array, Array]:
    """Check what a run is given, the model included; return X, X_test, y and times as arrays."""
    dim = model.dim if isinstance(model, FullyConnected) else None
    X, X_test = validation.inputs(X, X_test, dim)
    check_model(model, params, X)
    y = validation.floating_array("y", y, (len(X),))
    times = validation.time_points(times).astype(X.dtype)
    losses.check_loss(loss, y)
    return X, X_test, y, times


def warn_of_coinciding(X: Array) -> None:
    """Warn when two rows of X are equal: the kernel is then singular."""
    pair = validation.coinciding_inputs(X)
    if pair is not None:
        warnings.warn(
            f"X holds the same input twice (rows {pair[0]} and {pair[1]}): K^(2) is singular",
            UserWarning,
            stacklevel=3,
        )


def _solve(
    model: Model,
    order: int,
    loss: losses.Loss,
    rtol: float,
    max_steps: int,
    show_progress: bool,
    params: PyTree,
    X: Array,
    y: Array,
    times: Array,
    X_test: Array | None,
) -> Flow:
    residual = losses.driving_residual(loss)

    def velocity(moved: PyTree, data: Any) -> PyTree:
        inputs, labels = data
        predictions, pull = jax.vjp(lambda theta: model(theta, inputs), _add(params, moved))
        (motion,) = pull(-residual(predictions, labels) / len(labels))
        return motion

    def observe(moved: PyTree, data: Any) -> dict[int, Array]:
        return kernels_of(model, _add(params, moved), data[0], order, X_test)

    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    trajectory = integrate(
        velocity,
        jax.tree.map(jnp.zeros_like, params),
        times,
        (X, y),
        observe,
        rtol=rtol,
        atol=rtol / count**0.5,
        max_steps=max_steps,
        show_progress=show_progress,
    )
    kernels = dict(trajectory.observed)
    return Flow(
        times=times,
        predictions=kernels.pop(1),
        kernels=kernels,
        params=_add(params, trajectory.last),
        valid_until=trajectory.valid_until,
        steps=trajectory.steps,
        rejected_steps=trajectory.rejected_steps,
    )


def _add(params: PyTree, moved: PyTree) -> PyTree:
    return jax.tree.map(jnp.add, params, moved)
