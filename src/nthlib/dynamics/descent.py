"""Gradient descent in steps: the discrete counterpart of the exact dynamics."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from nthlib import checks, progress
from nthlib.compilation import compiled
from nthlib.dynamics import losses
from nthlib.dynamics.flow import (
    Flow,
    add,
    check_room,
    split_kernels,
    training_data,
    warn_of_coinciding,
    warn_of_overflow,
)
from nthlib.finite.blocks import Blocks
from nthlib.finite.kernels import kernels_of
from nthlib.model import undifferentiated
from nthlib.outputs import Model, flat_outputs
from nthlib.spelling import spelled


@spelled
def gradient_descent(
    model: Model,
    params: PyTree,
    X: Array,
    y: Float[Array, "n *C"],
    step: float | Float[Array, ""],
    steps: int | Sequence[int],
    *,
    batch: int | None = None,
    key: PRNGKeyArray | None = None,
    X_test: Array | None = None,
    order: int = 2,
    loss: losses.Loss = "square",
) -> Flow:
    """Train a model by θ ← θ − η ∇L(θ), L(θ) = (1/n) Σ ℓ(f_α, y_α), in full or by minibatches.

    Euler's method for :func:`gradient_flow` with step η: after k steps it stands at time kη, with
    an error of first order in η. For mean square and a kernel at rest it is stable up to
    η = 2n/λ_max(K^(2)).

    Args:
        model: a callable (params, X) -> (N,) or (N, C), such as a ``FullyConnected``, that
            computes each output from its own row of X alone.
        params: the initial parameters θ_0, any pytree of floating-point arrays.
        X: training inputs, n along the first axis.
        y: labels, shape (n,), or (n, C) for a model with C outputs.
        step: the step η, above zero; it may be traced, and so mapped over by ``vmap``.
        steps: after how many steps to return predictions and kernels, a sorted list of whole
            numbers; a single one stands for every step from 0 to that number.
        batch: samples in a minibatch, at most n; all by default. Every step draws distinct
            samples anew, and averages the loss over them.
        key: the random key of the minibatches; step k uses ``fold_in(key, k)``.
        X_test: test inputs; their predictions and kernel rows follow the training ones.
        order: the highest kernel returned; 1 returns predictions alone, which is faster.
        loss: as in :func:`gradient_flow`.

    Returns:
        A :class:`Flow` with ``times`` = η · steps; ``steps`` is the last of those asked for, and
        ``valid_until`` is the last returned time before the numbers overflowed, or infinity.

    Raises:
        TypeError, ValueError: naming the argument, before any work starts.
        MemoryError: before anything is allocated, when the kernels at all returned steps, or a
            pass backward, would not fit.

    Warns:
        UserWarning: when training inputs coincide, when the descent diverged, or when a row
            before that holds NaN or infinity, as at a start that overflows.

    Works under ``jit`` and ``vmap``, not under ``grad`` or ``jvp``.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=16, depth=1)
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=3)
    >>> params = net.init(jax.random.key(1))
    >>> run = nth.gradient_descent(net, params, X, jnp.ones(3), step=0.1, steps=[0, 5, 10])
    >>> run.predictions.shape, run.kernels[2].shape
    ((3, 3), (3, 3, 3))
    """
    order = checks.kernel_order(order, 1)
    step, marks = _checked_step(step), _checked_steps(steps)
    data = training_data(model, params, X, y, X_test, loss)
    batch = _checked_batch(batch, key, len(data.X))
    blocks = check_room(
        model, data, len(marks), order, 6, "a list of fewer steps, or a lower order"
    )
    warn_of_coinciding(data.X)

    step = jnp.asarray(step, data.y.dtype)
    traced = checks.is_traced(data, step, key)
    descend = compiled(_descend, model, order, loss, batch, data.outputs, blocks, not traced)
    arguments = (data.params, data.X, data.y, step, np.asarray(marks), key, data.X_test)
    if traced:
        arguments = undifferentiated("gradient_descent", arguments)
    run: Flow = progress.run("gradient descent", descend, *arguments, shown=not traced)
    if not checks.is_traced(run) and np.isfinite(run.valid_until):
        checks.warn(
            f"gradient descent diverged after t = {float(run.valid_until):.6g}: later rows are NaN "
            f"(lower the step, now {float(step):.6g})"
        )
    if not checks.is_traced(run):
        warn_of_overflow(run)
    return run


def _checked_step(step: Any) -> Any:
    if checks.is_traced(step):
        return step
    is_scalar = isinstance(step, (jax.Array, np.ndarray)) and step.shape == ()
    return checks.positive_number("step", step.item() if is_scalar else step)


def _checked_steps(steps: Any) -> Sequence[int]:
    """The steps at which to return something; not yet an array, which might not fit."""
    if checks.axes(steps) == 0:
        return range(checks.step_count("steps", steps, 0) + 1)
    if checks.axes(steps) == 1:
        listed = steps if isinstance(steps, (list, tuple, range)) else np.asarray(steps)
        marks = [checks.step_count("steps", mark, 0) for mark in listed]
        if marks and sorted(marks) == marks:
            return marks
    raise ValueError(
        "steps must be a whole number or a sorted list of whole numbers, got "
        f"{checks.describe(steps)}"
    )


def _checked_batch(batch: Any, key: Any, n: int) -> int | None:
    if batch is None:
        if key is not None:
            raise ValueError("key is for minibatches: give batch as well, or leave it out")
        return None
    batch = checks.whole_number("batch", batch, 1)
    if batch > n:
        raise ValueError(
            f"batch must be at most the number of samples {n}, got {checks.short(batch)}"
        )
    if key is None:
        raise ValueError("batch needs a key, from which the minibatches are drawn")
    checks.random_key("key", key)
    return batch


def _descend(
    model: Model,
    order: int,
    loss: losses.Loss,
    batch: int | None,
    outputs: int | None,
    blocks: Blocks | None,
    show_progress: bool,
    params: PyTree,
    X: Array,
    y: Array,
    step: Array,
    marks: Array,
    key: PRNGKeyArray | None,
    X_test: Array | None,
) -> Flow:
    residual = losses.driving_residual(loss, outputs)
    labels = y.reshape(len(X), -1)

    def move(k: Array, moved: PyTree) -> PyTree:
        inputs, targets = X, y
        if batch is not None and key is not None:
            drawn = jax.random.fold_in(key, k)
            chosen = jax.random.choice(drawn, len(X), (batch,), replace=False)
            inputs, targets = X[chosen], labels[chosen].reshape(-1)
        predictions, pull = jax.vjp(
            lambda theta: flat_outputs(model, theta, inputs), add(params, moved)
        )
        (motion,) = pull(-residual(predictions, targets) / len(inputs))
        if show_progress:
            progress.report(k, marks[-1])
        return jax.tree.map(lambda now, velocity: now + step * velocity, moved, motion)

    def to_mark(state: Any, span: tuple[Array, Array]) -> tuple[Any, Any]:
        moved, last, overflowed = state
        moved = jax.lax.fori_loop(*span, move, moved)
        found = kernels_of(model, add(params, moved), X, order, X_test, blocks)
        finite = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((moved, found))])
        overflowed = overflowed | ~finite.all()
        last = jax.tree.map(lambda old, new: jnp.where(overflowed, old, new), last, moved)
        found = jax.tree.map(lambda leaf: jnp.where(overflowed, jnp.nan, leaf), found)
        return (moved, last, overflowed), (found, ~overflowed)

    still = jax.tree.map(jnp.zeros_like, params)
    spans = (jnp.concatenate([jnp.zeros_like(marks[:1]), marks[:-1]]), marks)
    (_, last, overflowed), (found, reached) = jax.lax.scan(
        to_mark, (still, still, jnp.array(False)), spans
    )
    times = step * marks.astype(y.dtype)
    predictions, kernels = split_kernels(found, outputs)
    return Flow(
        times=times,
        predictions=predictions,
        kernels=kernels,
        params=add(params, last),
        valid_until=jnp.where(overflowed, jnp.where(reached, times, 0.0).max(), jnp.inf),
        steps=marks[-1],
        rejected_steps=jnp.zeros_like(marks[-1]),
    )
