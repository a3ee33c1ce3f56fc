"""The truncated hierarchy of Theorem 2.6: from tensors, as a signature, and as a jet."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from nthlib import checks
from nthlib.compilation import compiled
from nthlib.dynamics import losses
from nthlib.dynamics.flow import solver_settings, training_data, warn_of_coinciding
from nthlib.dynamics.frozen import explained_by, factored, in_eigenvectors
from nthlib.finite.blocks import Blocks
from nthlib.model import undifferentiated
from nthlib.outputs import Model, flat_outputs
from nthlib.spelling import spelled
from nthlib.truncation import jet, signature
from nthlib.truncation.solution import (
    Equations,
    Resummation,
    Settings,
    Solution,
    check_room,
    frozen_solution,
    run,
    solve,
    with_output_axes,
)

Method = Literal["auto", "signature", "tensors"]

# λ_max t / n, a fifth of the steps that an explicit solver takes to stay stable, and the largest
# state whose linear systems are worth solving instead.
_STIFF, _LARGEST_IMPLICIT = 50_000.0, 400

# Symmetric to this relative accuracy, or to this many roundings of the type they came in.
_SYMMETRY, _ROUNDINGS = 1e-3, 32


@spelled
def truncated_hierarchy(
    K: Mapping[int, Array],
    y: Float[Array, "n *C_labellings"],
    times: Float[Array, " T"],
    level: int | None = None,
    *,
    method: Method = "auto",
    solver: Literal["auto", "explicit", "implicit"] = "auto",
    loss: losses.Loss = "square",
    indicator: bool = False,
    resum: Literal["strip"] | None = None,
    half_width: float | None = None,
    rtol: float = 1e-8,
    max_steps: int = 10_000,
) -> Solution:
    """Integrate the truncated hierarchy of level p from initial kernels.

    The hierarchy's equations with ∂_t K̃^(p) = 0, started from the kernels of a finite network
    (Huang and Yau 2020, section 2.2 and Theorem 2.6). For the paper's networks and even p the
    error is of order m^{−p/2}; odd p gains nothing over p − 1, since K^(p+1) has a mean of the
    same order as K^(p).
    p = 2 is the frozen kernel, kernel regression as a dynamics, solved exactly for mean square.

    Args:
        K: the initial kernels {1: (N,), 2: (N, n), ..}, as ``nthlib.kernels`` returns them; test
            points are carried along in the rows after the first n. For C outputs {1: (N, C),
            2: (N, C, n, C), ..}.
        y: labels (n,), or (n, labellings) for several at once; (n, C) or (n, C, labellings) for
            C outputs.
        times: sorted times, none negative.
        level: p, at least 2; the highest order in ``K`` by default.
        method: "tensors" integrates K̃^(2)..K̃^(p−1) as the paper writes them; "signature" the
            iterated integrals of the residual, the same solution from a smaller state; "auto"
            is the signature.
        solver: "explicit" (Dopri8), "implicit" (Kvaerno5, for λ_max t/n beyond some thousand) or
            "auto", which looks at the largest eigenvalue of K^(2) and the last time.
        loss: "square", "logistic" (labels ±1, summed over outputs), "softmax" (cross-entropy of C
            outputs with probabilities y) or a function (f, y) -> ℓ of one sample, which takes
            vectors (C,) when there are C outputs.
        indicator: also estimate the error by the neglected terms of the next power of 1/m, which
            takes the kernels to order p + 2 for even p, p + 1 for odd p.
        resum: "strip" sums the series of K̃^(2) along a strip, by weights on its terms that depend
            on the integrated residual alone: from the same state at the same cost, and even levels
            keep their power of m. The series diverges once :func:`nthlib.reach` falls below one;
            its sum along a strip that is narrow enough does not. Take it at a blow-up: where the
            series converges it may cost accuracy, at p = 4 a little and for softplus at any level
            (see ``half_width``). Needs the signature.
        half_width: of that strip, as the action, the largest abs(∫ ∂ℓ/∂f dt), at which training at
            imaginary speed meets its first singularity; infinite, it changes nothing. None
            estimates it from the terms on a straight path along the first residual: the geometric
            mean of the two roots of which :func:`nthlib.reach` takes the smaller, times 0.9, or 2
            at p = 4 and 5. Measured with one hidden layer, four inputs, orthonormal and not,
            reaches of 0.4 to 3, as the error over that of the plain series, geometric mean
            (largest), at p = 4, 5, 6, 8: for tanh and sine, on which the rule was chosen, 1.1, 0.8,
            0.6, 0.3 (3, 4, 7, 4); for erf, held out, twelve runs, 1.1, 0.5, 0.6, 0.2 (3, 1, 3, 1),
            and with the true half-width 1.1, 0.6, 0.5, 0.2. For softplus at reaches of 0.7 to 3 it
            is 3, 1.9, 10, 25, and 2, 2, 7, 39 with the true one: its terms fall fast at first, and
            the plain series is the better at half-widths of 0.25 to 3 times the true one.
        rtol: relative tolerance of the solver.
        max_steps: steps after which the solver gives up.

    Returns:
        A :class:`Solution`.

    Raises:
        TypeError, ValueError: naming the argument, before any work starts.
        MemoryError: before anything is allocated, with the estimated size.

    Warns:
        UserWarning: when K[2] is not positive semi-definite on the training points beyond
            rounding, about (8 + √n) times that of its type and its largest eigenvalue; what lies
            within is zero; when the solution blows up, does not reach the last time, or its kernel
            loses positive definiteness on the training points.

    Works under ``jit`` and ``vmap``, not under ``grad``, but for p = 2 and mean square. Everything
    is brought to the dtype of K, or to float32 if that is half precision.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=64, depth=1)
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=3)
    >>> K = nth.kernels(net, net.init(jax.random.key(1)), X, order=4)
    >>> nth.truncated_hierarchy(K, jnp.ones(3), jnp.array([0.0, 1.0])).predictions.shape
    (2, 3)
    """
    given = _given(
        K, y, times, level, method, solver, loss, rtol, max_steps, indicator, resum, half_width
    )
    settings, K, y, times, definite, width = given
    if settings.level == 2 and loss == "square" and not indicator:
        n = K[2].shape[1] // (settings.outputs or 1)
        frozen = frozen_solution(K, y, times, n, settings.rounding)
        return with_output_axes(frozen, settings.outputs)
    traced = checks.is_traced(K, y, times, width)
    settings = _with_solver(given, method, solver)._replace(
        show_progress=not traced and y.ndim == 1
    )
    solve = compiled(
        _solve_from_kernels, settings, method == "tensors", sketch=_sketched(_solve_from_kernels)
    )
    if traced:
        K, y, times = undifferentiated("truncated_hierarchy", (K, y, times))
    return run(solve, settings, K, y, times, width, started_definite=definite)


@spelled
def truncations(
    K: Mapping[int, Array],
    y: Float[Array, "n *C_labellings"],
    times: Float[Array, " T"],
    levels: Sequence[int] | Int[Array, " L"],
    *,
    method: Method = "auto",
    solver: Literal["auto", "explicit", "implicit"] = "auto",
    loss: losses.Loss = "square",
    resum: Literal["strip"] | None = None,
    half_width: float | None = None,
    rtol: float = 1e-8,
    max_steps: int = 10_000,
) -> Solution:
    """Integrate the truncated hierarchy of several levels in one compiled program.

    The hierarchy cut at level p is one of a higher level with K^(r) = 0 for r > p. So all
    levels, p = 2 too, are integrated side by side as the highest of them: one program is
    compiled, and it serves every choice of as many levels up to there.

    Args:
        K: the initial kernels {1: (N,), 2: (N, n), ..}, as for :func:`truncated_hierarchy`.
        y: labels, as for :func:`truncated_hierarchy`.
        times: sorted times, none negative.
        levels: the levels p, each at least 2, in any order. They may be traced, and so mapped
            over by ``vmap``; the highest order in ``K`` is then taken for the highest of them.
        method: as for :func:`truncated_hierarchy`.
        solver: as for :func:`truncated_hierarchy`; one for all levels.
        loss: as for :func:`truncated_hierarchy`.
        resum: as for :func:`truncated_hierarchy`.
        half_width: as for :func:`truncated_hierarchy`; one for all levels, or None, which each
            estimates for itself.
        rtol: relative tolerance of the solver.
        max_steps: steps after which the solver gives up.

    Returns:
        A :class:`Solution` with an axis of levels in front of every array, also of ``times``.

    Raises:
        TypeError, ValueError: naming the argument, before any work starts.
        MemoryError: before anything is allocated, with the estimated size.

    Warns:
        UserWarning: as :func:`truncated_hierarchy` does, for every level.

    Works under ``jit`` and ``vmap``, not under ``grad`` or ``jvp``.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=64, depth=1)
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=3)
    >>> K = nth.kernels(net, net.init(jax.random.key(1)), X, order=4)
    >>> cuts = nth.truncations(K, jnp.ones(3), jnp.array([0.0, 1.0]), levels=[2, 3, 4])
    >>> cuts.predictions.shape
    (3, 2, 3)
    """
    levels, highest = _checked_levels(levels, K)
    given = _given(
        K, y, times, highest, method, solver, loss, rtol, max_steps, False, resum, half_width
    )
    settings = _with_solver(given, method, solver, runs=len(levels))
    solve = compiled(_solve_levels, settings, method == "tensors", sketch=_sketched(_solve_levels))
    arguments = (given.K, given.y, given.times, levels, given.half_width)
    if checks.is_traced(arguments):
        arguments = undifferentiated("truncations", arguments)
    return run(solve, settings, *arguments, levels=levels, started_definite=given.definite)


@spelled
def truncated_flow(
    model: Model,
    params: PyTree,
    X: Array,
    y: Float[Array, "n *C"],
    times: Float[Array, " T"],
    level: int,
    *,
    X_test: Array | None = None,
    order: int = 2,
    loss: losses.Loss = "square",
    indicator: bool = False,
    resum: Literal["strip", "gram"] | None = None,
    half_width: float | None = None,
    rtol: float = 1e-8,
    max_steps: int = 10_000,
    memory_limit: int | None = None,
) -> Solution:
    """The truncated hierarchy of level p for any model, without its kernels beyond K^(2).

    The hierarchy cut at level p is the Taylor polynomial of degree p − 2 of the tangent kernel
    along the training run. The state is the predictions and p − 2 displacements of the parameters;
    a step costs Taylor arithmetic on one backward and one forward pass. The integrator is
    explicit, and takes about λ_max t/(5n) steps once the horizon is long.

    Args:
        model: a callable (params, X) -> (N,) or (N, C), such as a ``FullyConnected``, that
            computes each output from its own row of X alone.
        params: the initial parameters θ_0, any pytree of floating-point arrays.
        X: training inputs, n along the first axis.
        y: labels, shape (n,), or (n, C) for a model with C outputs.
        times: sorted times, none negative.
        level: p, at least 2.
        X_test: test inputs; their predictions and kernel rows follow the training ones.
        order: the highest kernel returned, 2; or 1, which returns predictions alone and is faster:
            the state does not hold the kernel, and with many samples or outputs its Taylor
            arithmetic at every time is the larger part of the work.
        loss: "square", "logistic" (labels ±1, summed over outputs), "softmax" (cross-entropy of C
            outputs with probabilities y) or a function (f, y) -> ℓ of one sample, which takes
            vectors (C,) when there are C outputs.
        indicator: also estimate the error by the neglected terms of the next power of 1/m, at
            the cost of a run of level p + 2 for even p, p + 1 for odd p.
        resum: "strip" sums the series of K̃^(2) along a strip, as in :func:`truncated_hierarchy`.
            "gram" takes K̃^(2) = J Jᵀ with the Taylor polynomial J of degree p − 2 of the Jacobian:
            positive semi-definite, so that the training loss of a convex ℓ never grows and there
            is no blow-up at any level; of the same order in m, but with the reach of the series.
            (Padé approximants of the series have spurious poles, on which a solver stops.)
        half_width: of the strip, as in :func:`truncated_hierarchy`.
        rtol: relative tolerance of the solver.
        max_steps: steps after which the solver gives up.
        memory_limit: bytes the request may need, half of the machine's memory by default;
            samples are taken some at a time to stay below it.

    Returns:
        A :class:`Solution`.

    Raises:
        TypeError, ValueError: naming the argument, before any work starts.
        MemoryError: before anything is allocated, with the estimated size.

    Warns:
        UserWarning: when training inputs coincide, when the solution blows up, does not reach
            the last time, or its kernel loses positive definiteness on the training points.

    Works under ``jit`` and ``vmap``, not under ``grad`` or ``jvp``. Everything is brought to the
    dtype to which the parameters, the inputs and the model's output promote, or to float32 if
    that is half precision.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=64, depth=2)
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=3)
    >>> params, times = net.init(jax.random.key(1)), jnp.array([0.0, 1.0])
    >>> nth.truncated_flow(net, params, X, jnp.ones(3), times, level=4).kernel.shape
    (2, 3, 3)
    """
    level = checks.kernel_order(level, 2, "level")
    if checks.kernel_order(order, 1) > 2:
        raise ValueError(
            f"order must be 1 or 2, got {checks.short(order)}: "
            "where the hierarchy is cut is the level"
        )
    rtol, max_steps = solver_settings(rtol, max_steps)
    data = training_data(model, params, X, y, X_test, loss)
    times = checks.time_points(times, data.y.dtype)
    form, width = _checked_sum(resum, half_width, ("strip", "gram"), level, times.dtype)
    length = _length(level, indicator=checks.flag("indicator", indicator))
    _refuse_indicator(form, indicator=indicator)
    sized = (model, data.params, data.X, data.X_test, data.outputs, len(times))
    tile, blocks = jet.room(*sized, level, length, memory_limit, order)
    warn_of_coinciding(data.X)
    traced = checks.is_traced(data, times, width)
    rounding = float(jnp.finfo(data.y.dtype).eps)
    settings = Settings(
        level, loss, rtol, max_steps, indicator, "explicit", not traced, data.outputs, rounding,
        order == 2, form,
    )  # fmt: skip
    solve = compiled(_solve_jet, settings, model, tile, blocks, sketch=_sketched(_solve_jet))
    arguments = (data.params, data.X, data.y, times, data.X_test, width)
    if traced:
        arguments = undifferentiated("truncated_flow", arguments)
    return run(solve, settings, *arguments)


class _Given(NamedTuple):
    """What was asked for, checked, of one dtype and with flat indices."""

    settings: Settings
    K: dict[int, Array]
    y: Array
    times: Array
    definite: bool
    half_width: Array | None


def _given(
    K: Any,
    y: Any,
    times: Any,
    level: int | None,
    method: Any,
    solver: Any,
    loss: losses.Loss,
    rtol: Any,
    max_steps: Any,
    indicator: Any,
    resum: Any,
    half_width: Any,
) -> _Given:
    level, K, outputs, rounding = _checked_kernels(K, level)
    checks.one_of("method", method, ("auto", "signature", "tensors"))
    checks.one_of("solver", solver, ("auto", "explicit", "implicit"))
    rtol, max_steps = solver_settings(rtol, max_steps)
    words = _length(level, indicator=checks.flag("indicator", indicator))
    if indicator and method == "tensors":
        raise ValueError('indicator needs the method "signature", got "tensors"')
    if indicator and words + 2 not in K:
        raise ValueError(f"indicator at level {level} needs K to order {words + 2}, got {max(K)}")
    resum, half_width = _checked_sum(resum, half_width, ("strip",), level, K[2].dtype)
    _refuse_indicator(resum, indicator=indicator)
    if resum and method == "tensors":
        raise ValueError('resum needs the method "signature", got "tensors"')
    definite = _is_semidefinite(K[2], rounding)
    y = _checked_labels(y, K[2].shape[1], outputs, loss).astype(K[2].dtype)
    times = checks.time_points(times, K[2].dtype)
    settings = Settings(
        level, loss, rtol, max_steps, indicator, "explicit", False, outputs, rounding, resum=resum
    )
    K = {r: K[r] for r in range(1, max(level, words + 2) + 1)}
    return _Given(settings, K, y, times, definite, half_width)


def _checked_sum(
    resum: Any, half_width: Any, choices: tuple[str, ...], level: int, dtype: Any
) -> tuple[Resummation, Array | None]:
    """How the series is summed, and the strip's half-width; at level 2 there is one term alone."""
    if resum is not None:
        checks.one_of("resum", resum, choices)
    if half_width is not None:
        if resum != "strip":
            raise ValueError('half_width is that of resum="strip", and resum is not')
        half_width = _checked_width(half_width, dtype)
    return (resum, half_width) if level > 2 else (None, None)


def _checked_width(half_width: Any, dtype: Any) -> Array:
    if checks.axes(half_width) == 0 and hasattr(half_width, "dtype"):
        found = checks.floating_array("half_width", half_width, (), finite=False)
        if checks.is_traced(found):
            return found.astype(dtype)
        half_width = float(found)
    width = checks.real_number("half_width", half_width)
    if not width > 0:
        raise ValueError(f"half_width must be above 0, got {width}")
    # What the type cannot hold would be zero, and no division by it.
    return jnp.asarray(max(width, float(jnp.finfo(dtype).tiny)), dtype)


def _refuse_indicator(resum: Resummation, *, indicator: bool) -> None:
    if resum and indicator:
        raise ValueError(
            "indicator is that of the plain series, its first neglected terms: leave out resum"
        )


def _with_solver(
    given: _Given, method: Method, solver: Literal["auto", "explicit", "implicit"], runs: int = 1
) -> Settings:
    """The settings with their solver; raises where so many runs would not fit."""
    settings, K, y, times, *_ = given
    rows, n = K[2].shape
    size = sum(rows * n ** (r - 1) for r in range(1, settings.level))
    if method != "tensors":
        words = _length(settings.level, indicator=settings.indicator)
        size = rows + sum(n**k for k in range(1, words + 1))
    if solver == "auto":
        traced = checks.is_traced(K, y, times)
        rate = 0.0 if traced or size > _LARGEST_IMPLICIT else _largest_rate(K[2], settings.outputs)
        stiff = not traced and rate * float(times[-1]) > _STIFF
        solver = "implicit" if stiff else "explicit"
    check_room(K[2], y, times, size, implicit=solver == "implicit", runs=runs)
    return settings._replace(solver=solver)


def _checked_levels(levels: Any, K: Any) -> tuple[Array, int | None]:
    """The levels as an array, and the highest; None, which is that of K, where they are traced."""
    if checks.is_traced(levels):
        if jnp.ndim(levels) != 1 or not jnp.issubdtype(levels.dtype, jnp.integer):
            raise ValueError("levels must be a list of whole numbers")
        return levels, None
    if checks.axes(levels) != 1 or len(levels) == 0:
        raise ValueError(
            f"levels must be a list of whole numbers, at least one, got {checks.describe(levels)}"
        )
    listed = levels if isinstance(levels, (list, tuple, range)) else np.asarray(levels)
    found = [checks.kernel_order(level, 2, "levels") for level in listed]
    return jnp.asarray(found), max(found)


def _length(level: int, *, indicator: bool) -> int:
    """How many words or displacements are carried: p − 2, and those of the next power of 1/m."""
    return level - 2 + (1 + (level + 1) % 2) * indicator


def _checked_kernels(K: Any, level: int | None) -> tuple[int, dict[int, Array], int | None, float]:
    """The level, the kernels with flat indices, the number of outputs or None, K[2]'s rounding."""
    if not isinstance(K, Mapping) or 1 not in K or 2 not in K:
        raise TypeError("K must be a dict of kernels with the orders 1 and 2, from nthlib.kernels")
    if not all(isinstance(r, int) for r in K):
        raise TypeError("K must be a dict of kernels whose keys are their orders, whole numbers")
    level = checks.kernel_order(max(K) if level is None else level, 2, "level")
    missing = sorted(set(range(1, level + 1)) - set(K))
    if missing:
        raise ValueError(
            f"level {level} needs the kernels 1 to {level} in K, {missing[0]} is missing"
        )
    own = (None,) if np.ndim(K[1]) < 2 else (None, np.shape(K[1])[1])  # axes of one point
    second = checks.floating_array("K[2]", K[2], 2 * own)
    rows, n = second.shape[0], second.shape[len(own)]
    if rows < n:
        raise ValueError(f"K[2] must have a row for every training point, got shape {second.shape}")
    outputs = own[1] if len(own) > 1 else None
    first, later = (rows, *own[1:]), (n, *own[1:])
    flat = (rows * (outputs or 1), n * (outputs or 1))
    checked = {
        r: checks.floating_array(f"K[{r}]", K[r], first + later * (r - 1)) for r in sorted(K)
    }
    dtype = checks.at_least_single(jnp.result_type(*checked.values()))
    kernels = {
        r: kernel.astype(dtype).reshape(flat[:1] + flat[1:] * (r - 1))
        for r, kernel in checked.items()
    }
    rounding = float(jnp.finfo(second.dtype).eps)
    _check_symmetric(kernels[2][: flat[1]], rounding)
    return level, kernels, outputs, rounding


def _is_semidefinite(kernel: Array, rounding: float) -> bool:
    """False, with a warning, when an eigenvalue lies below rounding."""
    if checks.is_traced(kernel):
        return True
    square = np.asarray(kernel, dtype=np.float64)[: kernel.shape[1]]
    eigenvalues = np.linalg.eigvalsh((square + square.T) / 2)
    if eigenvalues[0] >= -explained_by(rounding, len(square)) * eigenvalues[-1]:
        return True
    checks.warn(
        "K[2] is not positive semi-definite on the training points: its smallest eigenvalue is "
        f"{eigenvalues[0]:.3g}, its largest {eigenvalues[-1]:.3g}; it is then no kernel of a "
        "network, or was computed in too low a precision, and along that direction the residual "
        "grows"
    )
    return False


def _check_symmetric(kernel: Array, rounding: float) -> None:
    if checks.is_traced(kernel):
        return
    square = np.asarray(kernel)
    allowed = max(_SYMMETRY, _ROUNDINGS * rounding) * np.abs(square).max()
    if np.abs(square - square.T).max() > allowed:
        raise ValueError("K[2] must be symmetric on the training points, and is not")


def _checked_labels(y: Any, columns: int, outputs: int | None, loss: losses.Loss) -> Array:
    """Labels with a flat index, and an axis of labellings behind where there is one."""
    one = (columns,) if outputs is None else (columns // outputs, outputs)
    shape = one if np.ndim(y) <= len(one) else (*one, None)
    y = checks.floating_array("y", y, shape)
    losses.check_loss(loss, y, outputs)
    return y.reshape(columns, *y.shape[len(one) :])


def _largest_rate(kernel: Array, outputs: int | None) -> float:
    """λ_max / n."""
    columns = kernel.shape[1]
    return float(np.linalg.norm(kernel[:columns], 2)) * (outputs or 1) / columns


def _solve_from_kernels(
    settings: Settings,
    tensors: bool,
    K: dict[int, Array],
    y: Array,
    times: Array,
    half_width: Array | None,
    degree: int | Array | None = None,
) -> tuple[Solution, Array]:
    length = _length(settings.level, indicator=settings.indicator)
    K, vectors, forces = in_eigenvectors(K, settings.rounding)
    if tensors:
        start: Any = tuple(K[r] for r in range(2, settings.level))
        equations = Equations(signature.push_tensors, signature.kernel_of_tensors)
    else:
        start = signature.empty_words(K, length)
        equations = Equations(signature.push_words, signature.terms_of_words)

    def one(labels: Array) -> tuple[Solution, Array]:
        basis, damping = (vectors, forces), (K[2], forces)
        return solve(
            settings, equations, start, K[1], damping, labels, times, K, basis, half_width, degree
        )

    if y.ndim == 1:
        return one(y)
    solutions, stopped = jax.vmap(one, in_axes=1, out_axes=-1)(y)
    return dataclasses.replace(solutions, times=times), stopped


def _solve_levels(
    settings: Settings,
    tensors: bool,
    K: dict[int, Array],
    y: Array,
    times: Array,
    levels: Array,
    half_width: Array | None,
) -> tuple[Solution, Array]:
    def one(level: Array) -> tuple[Solution, Array]:
        cut = {r: jnp.where(r <= level, kernel, 0) if r > 2 else kernel for r, kernel in K.items()}
        return _solve_from_kernels(settings, tensors, cut, y, times, half_width, level - 2)

    return jax.vmap(one)(levels)


def _solve_jet(
    settings: Settings,
    model: Model,
    tile: int | None,
    blocks: Blocks | None,
    params: PyTree,
    X: Array,
    y: Array,
    times: Array,
    X_test: Array | None,
    half_width: Array | None,
) -> tuple[Solution, Array]:
    length = _length(settings.level, indicator=settings.indicator)
    terms = functools.partial(jet.terms_of_jet, model, blocks=blocks)
    equations = Equations(functools.partial(jet.push_jet, model, tile), terms)
    if settings.resum == "gram":
        gram = functools.partial(jet.kernel_of_gram, model, tile)
        equations = Equations(functools.partial(jet.push_gram, model, tile), terms, gram)
    everything = X if X_test is None else jnp.concatenate([X, X_test])
    damping = None
    if settings.indicator:
        kernel = jet.tangent_kernel(model, params, X, X_test, blocks)
        _, vectors, rows = factored(kernel, settings.rounding)
        damping = (rows, vectors.T)
    start = jet.start_of_jet(params, length)
    data = (params, X, X_test)
    predictions = flat_outputs(model, params, everything)
    return solve(settings, equations, start, predictions, damping, y, times, data, None, half_width)


def _sketched(solve: Callable[..., Any]) -> Callable[..., Any]:
    """What such a program evaluates, without a solver; the settings come first."""
    return lambda settings, *given: solve(settings._replace(solver="sketch"), *given)
