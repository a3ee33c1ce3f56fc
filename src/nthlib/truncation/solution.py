"""The truncated dynamics in whatever form: its solution, its integration, its honest end."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nthlib import checks, progress
from nthlib.dynamics import losses
from nthlib.dynamics.frozen import eigendecomposition, frozen_predictions, zero_within
from nthlib.dynamics.integrate import Solver, integrate, largest_rms
from nthlib.memory import check_memory
from nthlib.outputs import split_axes
from nthlib.truncation.reach import reach
from nthlib.truncation.resum import half_width_of, straight, strip_weights
from nthlib.truncation.signature import Pushed

Resummation = Literal["strip", "gram"] | None

# A residual this many times the initial one is on its way to infinity: near a pole it grows like
# a power of the time that is left, which is then a fraction of a thousandth.
_BLOW_UP = 1e9


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Solution:
    """A solution of the truncated hierarchy at the requested times.

    ``times`` (T,); ``predictions`` (T, N), or (T, N, labellings); ``kernel`` K̃^(2), (T, N, n) or
    (T, N, n, labellings), a read-only view where it does not move, None where predictions alone
    were asked for; for C outputs every axis N or n is followed by one of C;
    ``valid_until``: the time of blow-up, or at which the solver gave up, and infinity when the last
    time was reached; later rows are NaN;
    ``smallest_eigenvalue`` (T,): that of K̃^(2) on the training points, None without it; below zero
    the residual grows.
    ``terms`` (T, p − 1): the largest entry in size of each term C_k, k = 0, .., p − 2, of
    K̃^(2) = Σ_k C_k, where C_k collects what training slowed by ε has of order ε^k. They are what
    :func:`nthlib.reach` takes; None without the kernel, and for p > 2 from the method "tensors",
    which knows their sum alone. ``steps`` and ``rejected_steps`` count the solver's work, zero for
    the exact solution. ``error_indicator``, like ``predictions``, on request: the leading part of
    network minus truncation.
    All but ``times`` end in an axis of labellings when ``y`` has one.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> K = {1: jnp.zeros(3), 2: jnp.eye(3)}
    >>> solution = nth.truncated_hierarchy(K, jnp.ones(3), jnp.array([0.0, 1.0]))
    >>> solution.predictions.shape, solution.kernel.shape, float(solution.valid_until)
    ((2, 3), (2, 3, 3), inf)
    """

    times: Float[Array, " T"]
    predictions: Array
    kernel: Array | None
    valid_until: Array
    smallest_eigenvalue: Array | None
    steps: Array
    rejected_steps: Array
    error_indicator: Array | None = None
    terms: Array | None = None


class Settings(NamedTuple):
    """What the compiled solvers are specialised to."""

    level: int
    loss: losses.Loss
    rtol: float
    max_steps: int
    indicator: bool
    solver: Solver
    show_progress: bool
    outputs: int | None
    rounding: float
    with_kernel: bool = True
    resum: Resummation = None


class Equations(NamedTuple):
    """One form of the truncated hierarchy: what a force does to its state, and its K̃^(2).

    The kernel comes as the list of its terms, or in one piece; ``kernel`` gives it where it is not
    their sum.
    """

    push: Callable[[Any, Array, Any, int], Pushed]
    terms: Callable[[Any, Any, int], list[Array]]
    kernel: Callable[[Any, Any, int], Array] | None = None


_LESS = "fewer times, fewer labellings or a lower level"


def check_room(
    kernel: Array, y: Array, times: Array, size: int, *, implicit: bool, runs: int
) -> None:
    """Raise ``MemoryError`` when runs from kernels with a state of this size would not fit."""
    rows, n = kernel.shape
    # Dopri8 keeps fourteen velocities of the state; the kernel is returned at every time.
    numbers = len(times) * rows * (n + 2) + 16 * (rows + size)
    if implicit:  # the system's matrix, its factors and a copy of each
        numbers += 4 * (rows + size) ** 2
    check_memory(kernel.dtype.itemsize * numbers * runs * math.prod(y.shape[1:]), None, _LESS)


def frozen_solution(
    K: dict[int, Array], y: Array, times: Array, n: int, rounding: float
) -> Solution:
    """The solution at p = 2 for mean square over n samples, exact."""
    kernel, extra = K[2], y.shape[1:]
    numbers = 2 * len(times) * len(kernel) * math.prod(extra) + 4 * kernel.shape[1] ** 2
    check_memory(kernel.dtype.itemsize * numbers, None, _LESS)
    predictions = frozen_predictions(kernel, K[1], y, times, n, rounding)
    # A view where possible: T copies of a constant could outgrow the memory.
    repeat: Any = jnp.broadcast_to if checks.is_traced(kernel) else np.broadcast_to
    axes = (..., *(None,) * len(extra))
    still = repeat(kernel[axes], (len(times), *kernel.shape, *extra))
    smallest = smallest_eigenvalue(kernel[: kernel.shape[1]], rounding)
    if not checks.is_traced(predictions):
        _warn_of_overflow(np.full(extra, np.inf), times, predictions)
    return Solution(
        times=times,
        predictions=predictions,
        kernel=still,
        valid_until=jnp.full(extra, jnp.inf, kernel.dtype),
        smallest_eigenvalue=jnp.broadcast_to(smallest, (len(times), *extra)),
        steps=jnp.zeros(extra, int),
        rejected_steps=jnp.zeros(extra, int),
        terms=jnp.broadcast_to(jnp.abs(kernel).max(), (len(times), 1, *extra)),
    )


def run(
    solve: Callable[..., Any],
    settings: Settings,
    *arguments: Any,
    levels: Array | None = None,
    started_definite: bool = True,
) -> Solution:
    """Solve, with a bar and with warnings where the numbers can be looked at.

    With ``levels`` there is a solution for each, side by side.
    """
    shown = settings.show_progress
    solution, stopped = progress.run("truncated hierarchy", solve, *arguments, shown=shown)
    # Called with constants inside a compiled function, the result is traced all the same.
    if levels is None:
        if not checks.is_traced(solution):
            _warn(solution, np.asarray(stopped), settings, started_definite)
        return with_output_axes(solution, settings.outputs)
    if not checks.is_traced(solution):
        every = jax.tree.map(np.asarray, (solution, stopped))
        for i, level in enumerate(levels.tolist()):
            of_level, end = jax.tree.map(lambda leaf, i=i: leaf[i], every)
            _warn(of_level, end, settings._replace(level=level), started_definite)
    return with_output_axes(solution, settings.outputs, first=2)


def _warn_of_overflow(until: Any, times: Array, *found: Array) -> None:
    """Warn when a row that was reached holds NaN or infinity all the same."""
    # Times along the first axis, labellings along the last where there are any.
    reached = np.expand_dims(np.asarray(times), tuple(range(1, 1 + np.ndim(until)))) <= until
    finite = True
    for values in found:
        flat = np.asarray(values).reshape(len(times), -1, *np.shape(until))
        finite &= bool(np.isfinite(flat).all(axis=1)[reached].all())
    checks.warn_unless_finite(finite, "predictions or kernels", "the initial kernels are")


def _warn(
    solution: Solution, stopped: np.ndarray, settings: Settings, started_definite: bool
) -> None:
    until = np.asarray(solution.valid_until)
    if stopped.any():
        checks.warn(
            f"the hierarchy truncated at level {settings.level} blows up at t = "
            f"{until[stopped].min():.6g}: later rows are NaN. A truncation is a polynomial in the "
            f"residual's history and may leave the network in finite time; "
            + _way_out(solution, settings)
        )
    gave_up = np.isfinite(until) & ~stopped
    if gave_up.any():
        checks.warn(
            f"the truncated hierarchy stopped at t = {until[gave_up].min():.6g}, before the last "
            f"of the times; later rows are NaN (raise max_steps, now {settings.max_steps}, or "
            "lower the times)"
        )
    if solution.kernel is None:
        _warn_of_overflow(until, solution.times, solution.predictions)
        return
    _warn_of_overflow(until, solution.times, solution.predictions, solution.kernel)
    smallest = np.asarray(solution.smallest_eigenvalue)
    size = float(np.nanmax(np.abs(np.asarray(solution.kernel)), initial=0.0))
    rounding = 100 * float(jnp.finfo(smallest.dtype).eps) * size * solution.kernel.shape[2]
    lost = smallest < -rounding
    # A blow-up follows the loss, and says enough; so does a kernel that never was definite.
    if started_definite and lost.any() and not stopped.any():
        first = int(np.argmax(lost.reshape(len(lost), -1).any(axis=1)))
        checks.warn(
            f"the truncated kernel is no longer positive definite on the training points at t = "
            f"{float(solution.times[first]):.6g}, where its smallest eigenvalue is "
            f"{smallest[first].min():.3g}: along that direction the residual grows"
        )


def _way_out(solution: Solution, settings: Settings) -> str:
    """What to do about a blow-up, from the reach at the last row before the first of them."""
    others = "a wider network or a shorter time"
    if settings.resum == "strip":
        return f"take a smaller half_width, {others}"
    if settings.level < 6 or solution.terms is None:
        return f'take resum="strip", level 6, whose terms tell nthlib.reach, {others}'
    found = np.asarray(reach(jnp.asarray(solution.terms)[:, : settings.level - 1]))
    found = found.reshape(len(found), -1)[:, np.argmin(np.asarray(solution.valid_until))]
    row = int(np.flatnonzero(~np.isnan(found))[-1])
    where = f"the reach is {found[row]:.2g} at t = {float(solution.times[row]):.6g} and falls: "
    where = where if np.isfinite(found[row]) else ""
    return f'{where}stop raising the level, or take resum="strip", {others}'


def solve(
    settings: Settings,
    equations: Equations,
    start: Any,
    predictions: Array,
    damping: tuple[Array, Array] | None,
    y: Array,
    times: Array,
    data: Any,
    basis: tuple[Array, Array] | None = None,
    half_width: Array | None = None,
    degree: int | Array | None = None,
) -> tuple[Solution, Array]:
    """State: predictions, the form's own, the estimated error, and the integrated force.

    To leading order the error obeys ∂_t δ = −(1/n) K_0^(2) (∂²ℓ/∂f²) δ + neglected terms, with
    K_0^(2), which damps it, as the two factors in ``damping``. The equations may be in an
    orthonormal basis of the training points: its vectors, and the matrix that takes a force into
    it. Then so is the state. The integrated force is there for resum="strip", whose ``half_width``
    is estimated when it is None; ``degree`` is p − 2 where that is not the highest of ``settings``.
    """
    residual, level = losses.driving_residual(settings.loss, settings.outputs), settings.level
    n, samples = len(y), len(y) // (settings.outputs or 1)
    strip = settings.resum == "strip"
    degree = level - 2 if degree is None else degree

    def out_of(basis: Any, values: Array) -> Array:
        return values if basis is None else _on_training_rows(basis[0], values)

    def predicted(state: Any, first: Array, basis: Any) -> Array:
        if basis is None:
            return state[0]
        # What stands still in the basis does so to the last digit in the predictions.
        return first + out_of(basis, state[0] - _on_training_rows(basis[0].T, first))

    def summed(terms: Sequence[Array], integrated: Array, half_width: Array) -> Array:
        if not strip:
            total: Array = sum(terms[1:], terms[0])
            return total
        action = samples * jnp.abs(integrated).max()
        weights = strip_weights(action, half_width, degree, level - 2)
        return jnp.tensordot(weights, jnp.stack(terms), axes=1)

    def pushed_by(force: Array, own: Any, basis: Any, own_data: Any) -> Pushed:
        return equations.push(own, force if basis is None else basis[1] @ force, own_data, level)

    def velocity(state: Any, inputs: Any) -> Any:
        _, own, error, integrated = state
        labels, first, basis, factors, own_data, _, half_width = inputs
        f = predicted(state, first, basis)
        force, bend = jax.vjp(lambda values: -residual(values, labels) / samples, f[:n])
        pushed = pushed_by(force, own, basis, own_data)
        if error is not None:
            left, right = factors
            damped = left @ (right @ bend(out_of(basis, error)[:n])[0])
            error = sum(pushed.rates[level - 1 :]) + damped
        rate = summed(pushed.rates[: level - 1], integrated, half_width)
        return rate, pushed.velocity, error, force if strip else None

    def observe(state: Any, inputs: Any) -> Any:
        _, first, basis, _, own_data, _, half_width = inputs
        kernel = sizes = None
        if settings.with_kernel:
            terms = equations.terms(state[1], own_data, level)
            if basis is not None:
                terms = [out_of(basis, term) @ basis[0].T for term in terms]
            kernel = summed(terms, state[3], half_width)
            if equations.kernel is not None:
                kernel = equations.kernel(state[1], own_data, level)
            if len(terms) == level - 1:
                sizes = jnp.stack([jnp.abs(term).max() for term in terms])
        error = None if state[2] is None else out_of(basis, state[2])
        return predicted(state, first, basis), kernel, error, sizes

    def grown(state: Any, inputs: Any) -> Array:
        labels, first, basis, _, _, threshold, _ = inputs
        return jnp.abs(residual(predicted(state, first, basis)[:n], labels)).max() > threshold

    initial = jnp.abs(residual(predictions[:n], y)).max()
    threshold = _BLOW_UP * jnp.maximum(initial, jnp.finfo(initial.dtype).tiny)
    coordinates = predictions
    if basis is not None:
        coordinates = _on_training_rows(basis[0].T, predictions)
    if strip and half_width is None:
        force = -residual(predictions[:n], y) / samples / jnp.where(initial > 0, initial, 1)
        half_width = _estimated_half_width(
            lambda own: pushed_by(force, own, basis, data),
            start,
            lambda rate: jnp.abs(out_of(basis, rate)[:n]).max(),
            degree,
        )
    own_state = (
        coordinates,
        start,
        jnp.zeros_like(predictions) if settings.indicator else None,
        jnp.zeros_like(y) if strip else None,
    )
    trajectory = integrate(
        velocity,
        own_state,
        times,
        (y, predictions, basis, damping, data, threshold, half_width),
        observe,
        rtol=settings.rtol,
        atol=settings.rtol,
        max_steps=settings.max_steps,
        stop=grown,
        solver=settings.solver,
        # What is integrated beside follows the predictions: it does not change the steps.
        norm=(lambda leaves: largest_rms(leaves[:-1])) if strip else largest_rms,
        show_progress=settings.show_progress,
    )
    found, kernels, error, sizes = trajectory.observed
    smallest = None
    if kernels is not None:
        smallest = jax.lax.map(
            lambda kernel: smallest_eigenvalue(kernel, settings.rounding), kernels[:, :n]
        )
    solution = Solution(
        times=times,
        predictions=found,
        kernel=kernels,
        valid_until=trajectory.valid_until,
        smallest_eigenvalue=smallest,
        steps=trajectory.steps,
        rejected_steps=trajectory.rejected_steps,
        error_indicator=error,
        terms=sizes,
    )
    return solution, trajectory.stopped


def _estimated_half_width(
    pushed: Callable[[Any], Pushed], start: Any, size: Callable[[Array], Array], degree: int | Array
) -> Array:
    """From the terms C_k ρ at the end of a straight path of action one, along the first force."""
    own = straight(lambda own: pushed(own).velocity, start, len(start))
    return half_width_of(jnp.stack([size(rate) for rate in pushed(own).rates]), degree)


def _on_training_rows(matrix: Array, values: Array) -> Array:
    n = len(matrix)
    return jnp.concatenate([matrix @ values[:n], values[n:]])


def with_output_axes(solution: Solution, outputs: int | None, first: int = 1) -> Solution:
    """The solution with its flat axes, from the ``first``, split into samples and outputs."""
    return replace(
        solution,
        predictions=split_axes(solution.predictions, [first], outputs),
        kernel=split_axes(solution.kernel, [first, first + 1], outputs),
        error_indicator=split_axes(solution.error_indicator, [first], outputs),
    )


def smallest_eigenvalue(kernel: Array, rounding: float) -> Array:
    """The smallest eigenvalue of a symmetric matrix; zero within rounding, NaN where it has NaN."""
    finite = jnp.isfinite(kernel).all()
    safe = jnp.where(finite, kernel, jnp.eye(len(kernel), dtype=kernel.dtype))
    eigenvalues, _ = eigendecomposition(safe)
    return jnp.where(finite, zero_within(rounding, eigenvalues)[0], jnp.nan)
