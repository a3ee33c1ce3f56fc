"""The exact dynamics: gradient flow on the loss of a data set, integrated adaptively."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from nthlib import checks, progress
from nthlib.compilation import compiled, shape_of
from nthlib.dynamics import losses
from nthlib.dynamics.integrate import Solver, integrate
from nthlib.finite.blocks import Blocks, sizes
from nthlib.finite.kernels import kernels_of, room_of_kernels
from nthlib.model import check_model, undifferentiated
from nthlib.network import has_closed_forms
from nthlib.outputs import Model, flat_outputs, split_axes
from nthlib.spelling import spelled


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Flow:
    """A network trained by gradient flow, at the requested times.

    ``times`` (T,); ``predictions`` (T, N), training points first, then test points;
    ``kernels`` {2: (T, N, n), .., order}; ``params`` at the last time reached; ``valid_until``
    is infinity, or the time at which the solver gave up: rows after it are NaN. ``steps`` and
    ``rejected_steps`` count the solver's work. For C outputs ``predictions`` are (T, N, C) and
    ``kernels`` {2: (T, N, C, n, C), ..}.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=16, depth=1)
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=3)
    >>> params, times = net.init(jax.random.key(1)), jnp.linspace(0.0, 1.0, 5)
    >>> flow = nth.gradient_flow(net, params, X, jnp.ones(3), times)
    >>> float(flow.valid_until), jax.tree.map(jnp.shape, flow.params) == jax.tree.map(
    ...     jnp.shape, params)
    (inf, True)
    """

    times: Float[Array, " T"]
    predictions: Float[Array, "T N *C"]
    kernels: dict[int, Array]
    params: PyTree
    valid_until: Float[Array, ""]
    steps: Array
    rejected_steps: Array


@spelled
def gradient_flow(
    model: Model,
    params: PyTree,
    X: Array,
    y: Float[Array, "n *C"],
    times: Float[Array, " T"],
    *,
    X_test: Array | None = None,
    order: int = 2,
    loss: losses.Loss = "square",
    rtol: float = 1e-8,
    max_steps: int = 10_000,
) -> Flow:
    """Train a model by gradient flow on L(θ) = (1/n) Σ ℓ(f_α, y_α), from time zero.

    ℓ = ‖f − y‖²/2 by default.

    ∂_t θ = −∇L(θ) is integrated with Dopri8. The state is the displacement θ − θ_0, whose
    error stays small next to the O(1/m) movement of the kernel, and the absolute tolerance is
    ``rtol`` divided by √(number of parameters).

    Args:
        model: a callable (params, X) -> (N,) or (N, C), such as a ``FullyConnected``, that
            computes each output from its own row of X alone.
        params: the initial parameters θ_0, any pytree of floating-point arrays.
        X: training inputs, n along the first axis.
        y: labels, shape (n,), or (n, C) for a model with C outputs.
        times: sorted times from which predictions and kernels are returned, none negative.
        X_test: test inputs; their predictions and kernel rows follow the training ones.
        order: the highest kernel returned; 1 returns predictions alone, with empty ``kernels``,
            which is faster.
        loss: "square", "logistic" (labels ±1, summed over outputs), "softmax" (cross-entropy of C
            outputs with probabilities y) or a function (f, y) -> ℓ of one sample, which takes
            vectors (C,) when there are C outputs.
        rtol: relative tolerance of the solver.
        max_steps: steps after which the solver gives up and the flow is marked invalid.

    Returns:
        A :class:`Flow`.

    Raises:
        TypeError, ValueError: naming the argument, before any work starts.
        MemoryError: before anything is allocated, when the kernels at all times, the solver or a
            pass backward would not fit.

    Warns:
        UserWarning: when training inputs coincide, when the last time was not reached, or when
            a row before it holds NaN or infinity.

    Works under ``jit`` and ``vmap``, not under ``grad`` or ``jvp``. Everything is brought to the
    dtype to which the parameters, the inputs and the model's output promote, or to float32 if
    that is half precision.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=16, depth=1)
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=3)
    >>> params, times = net.init(jax.random.key(1)), jnp.linspace(0.0, 1.0, 5)
    >>> flow = nth.gradient_flow(net, params, X, jnp.ones(3), times)
    >>> flow.predictions.shape, flow.kernels[2].shape
    ((5, 3), (5, 3, 3))
    """
    order = checks.kernel_order(order, 1)
    rtol, max_steps = solver_settings(rtol, max_steps)
    data = training_data(model, params, X, y, X_test, loss)
    times = checks.time_points(times, data.y.dtype)
    # Dopri8 keeps fourteen velocities of the parameters.
    blocks = check_room(model, data, len(times), order, 16, "fewer times, or a lower order")
    warn_of_coinciding(data.X)

    traced = checks.is_traced(data, times)
    settings = (model, order, loss, rtol, max_steps, not traced, data.outputs, blocks)
    solve = compiled(_solve, *settings, sketch=_sketch)
    arguments = (data.params, data.X, data.y, times, data.X_test)
    if traced:
        arguments = undifferentiated("gradient_flow", arguments)
    flow: Flow = progress.run("gradient flow", solve, *arguments, shown=not traced)
    # Called with constants inside a compiled function, the result is traced all the same.
    if not checks.is_traced(flow) and np.isfinite(flow.valid_until):
        checks.warn(
            f"gradient flow stopped at t = {float(flow.valid_until):.6g}, before the last of the "
            f"times; later rows are NaN (raise max_steps, now {max_steps}, or lower the times)"
        )
    if not checks.is_traced(flow):
        warn_of_overflow(flow)
    return flow


def warn_of_overflow(flow: Flow) -> None:
    """Warn when a row that was reached holds NaN or infinity all the same."""
    reached = np.asarray(flow.times) <= np.asarray(flow.valid_until)
    found = (flow.predictions, *flow.kernels.values())
    finite = all(checks.is_finite(np.asarray(values)[reached]) for values in found)
    checks.warn_unless_finite(np.asarray(finite), "predictions or kernels", "X or params are")


def solver_settings(rtol: Any, max_steps: Any) -> tuple[float, int]:
    """Check the solver's numbers."""
    tolerance = checks.positive_number("rtol", rtol)
    if tolerance >= 1:
        raise ValueError(f"rtol must be below 1, got {tolerance}")
    return tolerance, checks.step_count("max_steps", max_steps, 1)


class TrainingData(NamedTuple):
    """Checked and of one dtype: labels have a flat index, ``outputs`` is C or None."""

    params: PyTree
    X: Array
    X_test: Array | None
    y: Float[Array, " nC"]
    outputs: int | None


def training_data(
    model: Model, params: PyTree, X: Any, y: Any, X_test: Any, loss: losses.Loss
) -> TrainingData:
    """Check what a run is given, the model included; bring it to the dtype of the outputs."""
    dim = model.dim if has_closed_forms(model) else None
    X, X_test = checks.inputs(X, X_test, dim)
    outputs = check_model(model, params, X, X_test)
    if isinstance(loss, str) and loss == "softmax" and outputs and checks.axes(y) == 1:
        raise ValueError(f"y must hold a row of {outputs} probabilities for each sample: one-hot")
    y = checks.floating_array("y", y, (len(X),) if outputs is None else (len(X), outputs))
    dtype = jnp.result_type(shape_of(model, params, X), X, *jax.tree.leaves(params))
    losses.check_loss(loss, y, outputs)
    # One dtype for the whole state, and one in which small steps are not lost.
    dtype = checks.at_least_single(dtype)
    params, X, X_test, y = jax.tree.map(
        lambda leaf: jnp.asarray(leaf, dtype), (params, X, X_test, y)
    )
    found = shape_of(model, params, X).dtype
    if found != dtype:
        raise TypeError(
            f"model must return {dtype} for parameters and inputs of {dtype}, got {found}: in a "
            "lower precision the steps of a training run are lost"
        )
    return TrainingData(params, X, X_test, y.reshape(-1), outputs)


def check_room(
    model: Model, data: TrainingData, times: int, order: int, copies: int, alternative: str
) -> Blocks | None:
    """The blocks of the kernels on the way; raises ``MemoryError`` when a run would not fit.

    Counted beside them are the kernels at all returned times, ``copies`` of the parameters that
    the method of integration holds, and what a pass backward through all samples keeps.
    """
    n, outputs = len(data.y), data.outputs or 1
    samples = len(data.X) + (0 if data.X_test is None else len(data.X_test))
    returned = times * samples * outputs * sum(n ** (r - 1) for r in range(1, order + 1))
    backward = sizes(model, data.params, data.X, samples, 1, outputs)
    beside = returned + copies * backward.parameters + 2 * len(data.X) * backward.kept
    return room_of_kernels(
        model, data.params, data.X, samples, order, data.outputs, None, alternative, beside
    )


def warn_of_coinciding(X: Array) -> None:
    """Warn when two rows of X are equal: the kernel is then singular."""
    pair = checks.coinciding_inputs(X)
    if pair is not None:
        checks.warn(
            f"X holds the same input twice (rows {pair[0]} and {pair[1]}): K^(2) is singular"
        )


def _solve(
    model: Model,
    order: int,
    loss: losses.Loss,
    rtol: float,
    max_steps: int,
    show_progress: bool,
    outputs: int | None,
    blocks: Blocks | None,
    params: PyTree,
    X: Array,
    y: Array,
    times: Array,
    X_test: Array | None,
    solver: Solver = "explicit",
) -> Flow:
    residual = losses.driving_residual(loss, outputs)

    def velocity(moved: PyTree, data: Any) -> PyTree:
        inputs, labels = data
        predictions, pull = jax.vjp(
            lambda theta: flat_outputs(model, theta, inputs), add(params, moved)
        )
        (motion,) = pull(-residual(predictions, labels) / len(inputs))
        return motion

    def observe(moved: PyTree, data: Any) -> dict[int, Array]:
        return kernels_of(model, add(params, moved), data[0], order, X_test, blocks)

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
        solver=solver,
        show_progress=show_progress,
    )
    predictions, kernels = split_kernels(trajectory.observed, outputs)
    return Flow(
        times=times,
        predictions=predictions,
        kernels=kernels,
        params=add(params, trajectory.last),
        valid_until=trajectory.valid_until,
        steps=trajectory.steps,
        rejected_steps=trajectory.rejected_steps,
    )


_sketch: Callable[..., Flow] = functools.partial(_solve, solver="sketch")


def split_kernels(flat: dict[int, Array], outputs: int | None) -> tuple[Array, dict[int, Array]]:
    """Predictions and higher kernels along the way, with axes of outputs."""
    split = {r: split_axes(kernel, range(1, r + 1), outputs) for r, kernel in flat.items()}
    return split.pop(1), split


def add(params: PyTree, moved: PyTree) -> PyTree:
    """θ_0 and a displacement."""
    return jax.tree.map(jnp.add, params, moved)
