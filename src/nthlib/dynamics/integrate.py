"""One way to integrate every dynamics of the library, with an honest end where there is one."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from nthlib import progress

Solver = Literal["explicit", "implicit", "sketch"]
Velocity = Callable[[PyTree, Any], PyTree]


class Trajectory(NamedTuple):
    """What was observed at the requested times, NaN where they were not reached.

    ``last``: the state at the last time reached; ``valid_until``: that time, or infinity when
    it is the last of those requested; ``stopped``: whether the given condition ended the run.
    """

    observed: PyTree
    last: PyTree
    valid_until: Array
    stopped: Array
    steps: Array
    rejected_steps: Array


def integrate(
    velocity: Velocity,
    start: PyTree,
    times: Array,
    data: Any,
    observe: Callable[[PyTree, Any], PyTree],
    *,
    rtol: float,
    atol: float,
    max_steps: int,
    stop: Callable[[PyTree, Any], Array] | None = None,
    solver: Solver = "explicit",
    norm: Callable[[PyTree], Array] | None = None,
    show_progress: bool = False,
) -> Trajectory:
    """∂_t state = velocity(state, data) from time zero to the last of ``times``.

    "explicit" is Dopri8, "implicit" the L-stable Kvaerno5, which solves linear systems of the
    state's size; "sketch" evaluates everything once and solves nothing: what is traced then tells
    a program from others. ``stop`` ends the run once it is true after a step.
    """
    if solver == "sketch":
        return _sketch(velocity, start, times, data, observe, stop)
    # The leaves alone: diffrax cannot handle a state with empty branches.
    leaves, tree = jax.tree.flatten(start)

    def of_leaves(function: Callable[[PyTree, Any], Any]) -> Callable[..., Any]:
        return lambda t, leaves, data, **_: function(jax.tree.unflatten(tree, leaves), data)

    # Below the rounding of the type no step would be accepted.
    floor = 16 * float(jnp.finfo(times.dtype).eps)
    rtol, atol = max(rtol, floor), max(atol, floor * atol / rtol)
    saved = diffrax.SubSaveAt(ts=times, fn=of_leaves(observe))
    tolerances = {"rtol": rtol, "atol": atol} | ({} if norm is None else {"norm": norm})
    event = None if stop is None else diffrax.Event(of_leaves(stop))
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(of_leaves(lambda state, data: jax.tree.leaves(velocity(state, data)))),
        diffrax.Dopri8() if solver == "explicit" else diffrax.Kvaerno5(),
        t0=jnp.zeros_like(times[0]),
        t1=times[-1],
        dt0=None,
        y0=leaves,
        args=data,
        saveat=diffrax.SaveAt(subs=[saved, diffrax.SubSaveAt(t1=True)]),
        stepsize_controller=diffrax.PIDController(**tolerances),
        event=event,
        max_steps=max_steps,
        throw=False,
        # Nothing here is differentiated backwards, and this traces a plain loop.
        adjoint=diffrax.ForwardMode(),
        progress_meter=progress.BarMeter() if show_progress else diffrax.NoProgressMeter(),
    )
    observed, last = solution.ys
    finished = solution.result == diffrax.RESULTS.successful
    valid_until = jnp.where(finished, jnp.inf, solution.ts[1][-1])
    reached = finished | (times <= valid_until)
    return Trajectory(
        observed=jax.tree.map(lambda values: _blank(values, reached), observed),
        last=jax.tree.unflatten(tree, [leaf[-1] for leaf in last]),
        valid_until=valid_until,
        stopped=solution.result == diffrax.RESULTS.event_occurred,
        steps=solution.stats["num_steps"],
        rejected_steps=solution.stats["num_rejected_steps"],
    )


def _sketch(
    velocity: Velocity,
    start: PyTree,
    times: Array,
    data: Any,
    observe: Callable[[PyTree, Any], PyTree],
    stop: Callable[[PyTree, Any], Array] | None,
) -> Trajectory:
    observed = jax.tree.map(
        lambda values: jnp.broadcast_to(values, (len(times), *values.shape)), observe(start, data)
    )
    stopped = jnp.array(False) if stop is None else stop(start, data)
    none = jnp.zeros((), int)
    return Trajectory(observed, velocity(start, data), times[-1], stopped, none, none)


def largest_rms(state: PyTree) -> Array:
    """The largest of the leaves' root mean squares: a long leaf cannot hide a short one."""
    return jnp.stack([jnp.sqrt(jnp.mean(leaf**2)) for leaf in jax.tree.leaves(state)]).max()


def _blank(values: Array, reached: Array) -> Array:
    """NaN in place of the infinities that the solver leaves in rows it never reached."""
    mask = reached.reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.where(mask, values, jnp.nan)
