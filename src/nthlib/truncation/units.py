"""One hidden layer unit by unit, at complex speeds of training: its series without its terms.

Training slowed by ε is training at the speed ε, and of one hidden layer K^(2)(ε) is a sum over
units that move by themselves. From its values on a circle around zero an FFT has all Taylor
coefficients.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from nthlib.activations import Activation, derivative
from nthlib.network import FullyConnected, Parameters

# Points on a circle, of which the coefficient 96 places higher is mistaken for one: circles of
# kernel_series come near the reach. Units taken together, for fewer shapes to compile.
_ANGLES, _TOGETHER = 96, 64

Units = tuple[Array, Array, Array]  # a (m, points, 1), h and σ(h) (m, points, n)


def kernel_series(
    net: FullyConnected,
    params: Parameters,
    X: Float[Array, "n d"],
    times: Float[Array, " T"],
    residuals: Float[Array, "T n"],
    order: int,
    radius: float,
) -> tuple[Float[Array, "steps orders n n"], Float[Array, "steps n n"]]:
    """C_k, k = 0, .., order, of K^(2)(ε) = Σ_k C_k ε^k along a given residual, and K^(2)(1).

    Args:
        net: a network with one hidden layer, and an activation that JAX continues to complex
            numbers: tanh, sin, softplus, not erf.
        params: its parameters at the start.
        X: training inputs (n, d).
        times: equally spaced, an odd number of them: a step of the classical Runge–Kutta method
            takes two intervals.
        residuals: f − y at these times, (T, n).
        order: the highest k, at most 47.
        radius: of the circle in ε, below that of the series; coefficients are exact to about
            1e-16 radius^{−k} times the largest kernel on the circle.

    Returns:
        The coefficients (steps + 1, order + 1, n, n) at every other time, and the kernel itself
        (steps + 1, n, n) from the same steps.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> from nthlib.truncation.units import kernel_series
    >>> net, X = nth.FullyConnected(dim=2, width=8, depth=1), jnp.eye(2)
    >>> params, times = net.init(jax.random.key(0)), jnp.linspace(0.0, 1.0, 9)
    >>> C, K = kernel_series(net, params, X, times, jnp.ones((9, 2)), 20, 1.0)
    >>> bool(jnp.allclose(C.sum(1), K, rtol=1e-4))
    True
    """
    points = jnp.append(_half_circle(radius, _ANGLES), 1.0)
    values = sum(
        _along(net.activation, X @ X.T, units, rates, points, residuals, times[2] - times[0])
        for units, rates in _batches(net, params, X)
    )
    return _coefficients(values[:, :-1], radius, order), values[:, -1].real


def unit_levels(
    net: FullyConnected,
    params: Parameters,
    X: Float[Array, "n d"],
    y: Float[Array, " n"],
    times: Float[Array, " T"],
    levels: Int[Array, " L"],
    radius: float,
    *,
    weights: Callable[..., Array] | None = None,
    angles: int = 32,
) -> Float[Array, "L T n"]:
    """Predictions of the truncated hierarchy of several levels, up to p = 30 or so.

    The kernel of level p is the sum of the first p − 1 coefficients of K^(2)(ε), by an FFT of the
    units' values on a circle: nothing grows with p. Classical Runge–Kutta steps.

    Args:
        net: as for :func:`kernel_series`.
        params: its parameters at the start.
        X: training inputs (n, d).
        y: labels (n,).
        times: equally spaced, T of them; each interval is one step.
        levels: the p, (L,).
        radius: of the circle, at most half of the reach at the last time: where a truncation blows
            up its action outgrows every circle, and what follows is not finite or of no meaning.
        weights: function (integral of the residual (n,), degree) -> (30,) of weights on the terms
            C_k, for a resummed hierarchy; ones up to the degree by default.
        angles: points on the circle, even and at least 32: the coefficient that many places higher
            is mistaken for one, of the relative size (radius/reach)^angles, 2^{−32} = 2e-10 for
            half of the reach.

    Returns:
        Predictions (L, T, n).

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> from nthlib.truncation.units import unit_levels
    >>> net, X = nth.FullyConnected(dim=2, width=8, depth=1), jnp.eye(2)
    >>> params, times = net.init(jax.random.key(0)), jnp.linspace(0.0, 1.0, 9)
    >>> unit_levels(net, params, X, jnp.ones(2), times, jnp.array([2, 8]), 0.5).shape
    (2, 9, 2)
    """
    units, rates = _all(net, params, X)
    gram, start, step = X @ X.T, net(params, X), times[1] - times[0]
    run = partial(_follow, net.activation, weights, len(times) - 1, angles)
    return jnp.stack([run(gram, units, rates, radius, start, y, step, p - 2) for p in levels])


@jax.jit
def tanh_pole_times(
    a: Float[Array, " m"], h: Float[Array, "m n"], e: Float[Array, " n"]
) -> Float[Array, " m"]:
    """|t| at which tanh units of n orthonormal inputs meet their first pole, in complex time.

    A unit obeys a' = −(1/n) Σ e_γ σ(h_γ), h_γ' = −(1/n) a e_γ σ'(h_γ), and is singular where
    some h_γ is iπ/2, where σ' has its pole. With this h_γ as the independent variable, on the
    straight line to there, the equations are regular; 32 steps of order four.

    Args:
        a: readouts (m,), none zero.
        h: preactivations (m, n).
        e: direction of the action (n,), no entry zero.

    Returns:
        The times (m,): √m times the smallest is the reach at an action e.

    >>> import jax.numpy as jnp
    >>> from nthlib.truncation.units import tanh_pole_times
    >>> [round(float(t), 3) for t in tanh_pole_times(jnp.ones(1), jnp.zeros((1, 1)), jnp.ones(1))]
    [1.0]
    """
    n = len(e)
    way = 0.5j * jnp.pi - h

    def slopes(_: int, state: Any) -> Any:
        _, readout, every = state
        s = jnp.tanh(every)
        per_way = way / (1 - jnp.einsum("uii->ui", s) ** 2) / e
        turn = per_way[..., None] * e * (1 - s**2)
        return n * per_way / readout, per_way * (s @ e) / readout, turn

    paths = jnp.zeros(h.shape, complex)
    state = (paths, a[:, None] + paths, h[:, None] + paths[..., None])
    steps = 32
    times, _, _ = jax.lax.fori_loop(
        0, steps, lambda _, at: _runge_kutta(slopes, (0, 0, 0), at, 1 / steps), state
    )
    return jnp.abs(times).min(1)


HIGHEST = 29  # the order of the last coefficient that unit_levels sums


def _half_circle(radius: Any, angles: int) -> Complex[Array, " points"]:
    return radius * jnp.exp(2j * jnp.pi * jnp.arange(angles // 2 + 1) / angles)


def _coefficients(values: Array, radius: Any, order: int) -> Array:
    """Of values (.., points, n, n) on half a circle, the other half being their conjugates."""
    angles = 2 * (values.shape[-3] - 1)
    sizes = jnp.fft.hfft(values, angles, axis=-3)[..., : order + 1, :, :] / angles
    return sizes / radius ** jnp.arange(order + 1)[:, None, None]


def _all(net: FullyConnected, params: Parameters, X: Array) -> tuple[Units, Array]:
    """Units that move, filled up with idle ones, and what their motion is multiplied by."""
    rates = jnp.ones(net.width) if params.gains is None else params.gains
    moving = np.flatnonzero(rates)
    h = params.weights[0][moving] @ X.T
    idle = -len(moving) % _TOGETHER
    a, h, s = (
        jnp.pad(part, ((0, idle), (0, 0), (0, 0)))
        for part in (params.readout[moving, None, None], h[:, None], net.activation(h)[:, None])
    )
    return (a, h, s), jnp.pad(rates[moving], (0, idle)) / jnp.sqrt(net.width)


def _batches(net: FullyConnected, params: Parameters, X: Array) -> list[tuple[Units, Array]]:
    (a, h, s), rates = _all(net, params, X)
    cuts = [slice(i, i + _TOGETHER) for i in range(0, len(rates), _TOGETHER)]
    return [((a[cut], h[cut], s[cut]), rates[cut]) for cut in cuts]


class _Motion(NamedTuple):
    """The units' right-hand side at complex speeds, and their kernel."""

    activation: Activation
    gram: Array
    speeds: Array  # (m, points, 1): rate times ε

    def change(self, units: Units, residual: Array) -> Units:
        a, h, s = units
        drive = -self.speeds * residual / len(residual)
        slopes = derivative(self.activation)(h)
        turn = a * ((slopes * drive) @ self.gram)
        return (s * drive).sum(-1, keepdims=True), turn, slopes * turn

    def kernel(self, units: Units, rates: Array) -> Array:
        a, h, s = units
        bent = a * derivative(self.activation)(h)
        weighed = partial(jnp.einsum, "m,mpi,mpj->pij", rates**2)
        return weighed(s, s) + weighed(bent, bent) * self.gram


def _motion(activation: Activation, gram: Array, rates: Array, points: Array) -> _Motion:
    return _Motion(activation, gram, rates[:, None, None] * points[:, None])


def _started(units: Units, points: Array) -> Units:
    return tuple(  # type: ignore[return-value]
        jnp.broadcast_to(part, (len(part), len(points), part.shape[2])).astype(points.dtype)
        for part in units
    )


@partial(jax.jit, static_argnums=0)
def _along(
    activation: Activation, gram: Array, units: Units, rates: Array, points: Array,
    residuals: Array, step: Array,
) -> Array:  # fmt: skip
    motion = _motion(activation, gram, rates, points)

    def forward(units: Units, three: tuple[Array, Array, Array]) -> tuple[Units, Array]:
        left, middle, right = three

        def change(part: int, state: Units) -> Units:
            return motion.change(state, jnp.stack([left, middle, right])[part])

        units = _runge_kutta(change, (0, 1, 2), units, step)
        return units, motion.kernel(units, rates)

    first = _started(units, points)
    _, later = jax.lax.scan(forward, first, (residuals[:-2:2], residuals[1::2], residuals[2::2]))
    return jnp.concatenate([motion.kernel(first, rates)[None], later])


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _follow(
    activation: Activation, weights: Callable[..., Array] | None, steps: int, angles: int,
    gram: Array, units: Units, rates: Array, radius: Array, start: Array, y: Array, step: Array,
    degree: Array,
) -> Array:  # fmt: skip
    points = _half_circle(radius, angles)
    motion = _motion(activation, gram, rates, points)

    def change(_: int, state: tuple[Array, Array, Units]) -> tuple[Array, Array, Units]:
        f, integral, units = state
        terms = _coefficients(motion.kernel(units, rates), radius, HIGHEST)
        if weights is None:
            shares = (jnp.arange(HIGHEST + 1) <= degree).astype(f.dtype)
        else:
            shares = weights(integral, degree)
        residual = f - y
        kernel = jnp.tensordot(shares, terms, 1)
        return -kernel @ residual / len(y), residual, motion.change(units, residual)

    def forward(state: Any, _: None) -> tuple[Any, Array]:
        state = _runge_kutta(change, (0, 0, 0), state, step)
        return state, state[0]

    first = (start, jnp.zeros_like(start), _started(units, points))
    _, later = jax.lax.scan(forward, first, None, steps)
    return jnp.concatenate([start[None], later])


def _runge_kutta(
    change: Callable[[int, Any], Any], places: tuple[int, int, int], state: Any, step: Any
) -> Any:
    """One classical step; ``places`` says where of left, middle and right a stage is."""

    def ahead(slopes: Any, part: float) -> Any:
        return jax.tree.map(lambda x, k: x + part * step * k, state, slopes)

    left, middle, right = places
    first = change(left, state)
    second = change(middle, ahead(first, 0.5))
    third = change(middle, ahead(second, 0.5))
    fourth = change(right, ahead(third, 1.0))
    total = jax.tree.map(lambda a, b, c, d: a + 2 * b + 2 * c + d, first, second, third, fourth)
    return ahead(total, 1 / 6)
