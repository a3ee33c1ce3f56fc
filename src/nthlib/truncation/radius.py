"""How far the series in the level reaches, from the initial weights: the units' singularities."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Float

from nthlib import checks
from nthlib.activations import Activation, derivative
from nthlib.compilation import compiled
from nthlib.memory import check_memory
from nthlib.model import check_leaves
from nthlib.network import FullyConnected, Parameters, has_closed_forms
from nthlib.spelling import spelled

Slope = Callable[[np.ndarray], np.ndarray]

# Distance of the real centres and of the radii at which a slope's largest modulus on a circle is
# tabulated, the largest radius, points on a circle, and what the bound from the table is lowered
# by for reading between its entries.
_SPACING, _STEP, _LARGEST, _POINTS, _TO_SPARE = 0.1, 0.05, 6.0, 64, 0.97
# A slope is analytic inside a circle when its mean there is its value at the centre, up to this
# part of its largest modulus; an activation is when all its discs have at least this radius.
_MEAN, _SMALLEST_DISC = 1e-3, 0.1
# The largest preactivation and readout: a table reaches that far.
_MODERATE = 1000.0
# Angles of a first look and of the final one. Coefficients are taken on a circle of at least
# _NEAR times the radius of convergence, and a new circle is put at _AIM times it.
_COARSE, _FINE, _NEAR, _AIM = 96, 384, 0.8, 0.88
# Rounding in a coefficient on the circle, beside the largest; units looked at together; how far
# off a first look may be.
_ROUNDING, _AT_ONCE, _COARSE_ERROR = 1e-12, 64, 0.08


@spelled
def reach_of_network(
    net: FullyConnected,
    params: Parameters,
    X: Float[Array, "n d"],
    action: Float[Array, " n"],
) -> float:
    """The reach R of the hierarchy, from the initial weights: above 1 it converges in the level p.

    Along a given residual path every unit of a network with one hidden layer follows a flow of its
    own, and the hierarchy of level p is the Taylor polynomial of degree p − 2 in ε, at ε = 1, of
    K^(2) with training slowed down by ε. Its radius of convergence is √m times the smallest
    modulus of a singularity of a unit's flow in complex time. Where it is above 1 the error falls
    with p; below 1 it grows from some level on.

    Args:
        net: a network with one hidden layer and an analytic activation.
        params: its parameters, from ``net.init``.
        X: training inputs (n, d).
        action: integrals S_γ = ∫ (f_γ − y_γ) dt of the residual from 0 to the time of interest,
            shape (n,), for a flow with 1/n as everywhere here.

    Returns:
        The reach R: infinite for an action of zero, else proportional to 1/action. Of the path
        only its end is seen: one whose direction turns may be some per cent off.

    Raises:
        TypeError, ValueError: naming the argument, also when the network has another depth, when
            the activation is not analytic or does not take complex numbers, for traced values.
        MemoryError: before anything is allocated, with the estimated size.

    Computed on the host in double precision: Taylor coefficients of a unit's flow, to order 160,
    from an FFT on a circle around zero, and the rate at which the last 80 fall. σ' with a pole of
    any order, or none, gives them an algebraic factor with a power between −½ and 0; the one
    assumed is −⅓, which leaves an error of a few tenths of a per cent. Units that a bound shows to
    be regular farther out are left out. Does not work under ``jit`` or ``vmap``.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=1, width=1, depth=1)
    >>> params = nth.Parameters((jnp.zeros((1, 1)),), jnp.ones(1))
    >>> one = jnp.ones((1, 1))
    >>> round(nth.reach_of_network(net, params, one, jnp.ones(1)), 2)  # a² − sinh² h is conserved
    1.0
    """
    size, units, activation = _checked(net, params, X, action)
    slope = _slope(activation)
    bounds = _bounds(slope, units)
    order = np.argsort(bounds)
    order = order[np.isfinite(bounds[order])]
    # At rest, or driven through a constant σ': no singularity anywhere.
    if not order.size or np.allclose(slope(_PROBES), slope(np.zeros(1)), rtol=1e-12, atol=0):
        return math.inf
    smallest = _radius(slope, units, order[0], bounds[order[0]], _COARSE)
    looked_at = [(smallest, order[0])]
    for place in range(1, len(order), _AT_ONCE):
        batch = order[place : place + _AT_ONCE]
        batch = batch[bounds[batch] <= smallest]
        for unit, radius in zip(batch, _look(slope, units, batch, smallest), strict=True):
            if radius is None:
                radius = _radius(slope, units, unit, bounds[unit], _COARSE)
            looked_at.append((radius, unit))
            smallest = min(smallest, radius)
        if len(batch) < _AT_ONCE:
            break
    near = [unit for coarse, unit in looked_at if coarse <= smallest * (1 + _COARSE_ERROR)]
    start = _AIM * smallest
    return float(min(_radius(slope, units, unit, start, _FINE) for unit in near)) / size


class _Units(NamedTuple):
    """Units with time scaled so that it is the reach: a' = Σ_γ d_γ s_γ, h' = a G (d σ'(h))."""

    a: Float[np.ndarray, " m"]
    h: Float[np.ndarray, "m n"]
    s: Float[np.ndarray, "m n"]  # σ(h)
    drive: Float[np.ndarray, "m n"]  # d
    gram: Float[np.ndarray, "n n"]


def _checked(net: Any, params: Any, X: Any, action: Any) -> tuple[float, _Units, Activation]:
    """The largest action, units driven by its direction, and the activation."""
    if not has_closed_forms(net):
        raise TypeError(
            f"net must be a FullyConnected without a __call__ of its own, got {type(net).__name__}"
        )
    if net.depth != 1:
        raise ValueError(
            f"net must have one hidden layer, got {net.depth}: in deeper networks the units do not "
            "move by themselves"
        )
    check_leaves(params)
    net.check_params(params)
    X, _ = checks.inputs(X, None, net.dim)
    action = checks.floating_array("action", action, (len(X),))
    for name, given in {"params": params, "X": X, "action": action}.items():
        if checks.is_traced(given):
            raise TypeError(f"{name} must be concrete: the radius is looked for among the units")
    check_memory(64 * net.width * (len(X) + round(_LARGEST / _STEP)), None, "fewer units")
    integrals = np.asarray(action, np.float64)
    size = float(np.abs(integrals).max())
    direction = integrals / size if size > 0 else integrals
    gains = np.ones(net.width) if params.gains is None else np.asarray(params.gains, np.float64)
    kept = gains > 0
    weights, a = (np.asarray(p, np.float64)[kept] for p in (params.weights[0], params.readout))
    rows = np.asarray(X, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        h = weights @ rows.T
    largest = max(np.abs(h).max(), np.abs(a).max())
    if not largest <= _MODERATE:
        raise ValueError(
            f"params and X must give preactivations and readouts of at most {_MODERATE:g}, got "
            f"{largest:.3g}"
        )
    rate = gains[kept] / (math.sqrt(net.width) * len(rows))
    drive = -rate[:, None] * direction
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        s = np.asarray(net.activation(jnp.asarray(h)), np.float64)
    return size, _Units(a, h, s, drive, rows @ rows.T), net.activation


def _error_function(z: np.ndarray) -> np.ndarray:
    return 2 / math.sqrt(math.pi) * np.exp(-(z**2))


def _exact_gelu(z: np.ndarray) -> np.ndarray:
    normal = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return scipy.special.erfc(-z / math.sqrt(2)) / 2 + z * normal


# Slopes of activations that JAX does not compute for complex numbers, or slowly.
_KNOWN: tuple[Slope, ...] = (
    lambda z: 1 - np.tanh(z) ** 2,
    _error_function,
    np.cos,
    lambda z: 1 / (1 + np.exp(-z)),
    _exact_gelu,
)
_PROBES = np.linspace(-2.9, 3.1, 13)


def _slope(activation: Activation) -> Slope:
    """σ' for complex numbers: of an activation known by its values, or as JAX continues it."""

    def by_jax(z: np.ndarray) -> np.ndarray:
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            return np.asarray(compiled(_derivative, activation)(jnp.asarray(z)))

    values = by_jax(_PROBES)
    for known in _KNOWN:
        if np.allclose(known(_PROBES), values, rtol=1e-9, atol=1e-12):
            return known
    try:
        by_jax(_PROBES + 0.1j)
    except Exception as error:
        raise TypeError(
            "net must have an activation that takes complex numbers, for its singularities are "
            f"looked for: {checks.first_line(error)}"
        ) from error
    return by_jax


def _derivative(activation: Activation, z: Array) -> Array:
    return derivative(activation)(z)


def _bounds(slope: Slope, units: _Units) -> np.ndarray:
    """Times up to which every unit's flow is analytic, by a majorant; infinite for a unit at rest.

    As long as all |Δh| ≤ r: |h'| ≤ g |a| μ(r), and |a'| ≤ |a'_0| + E ∫_0^r μ, where μ(r) is the
    largest |σ'| in the discs around h_0. Increasing integrands are summed at their right ends.
    """
    E = np.abs(units.drive).sum(1)
    g = (np.abs(units.drive) @ np.abs(units.gram)).max(1)
    moves = g > 0
    g = np.where(moves, g, 1.0)
    pull = np.abs((units.drive * units.s).sum(1))
    mu = _largest_slopes(slope, units.h)
    outer, inner = mu[1:], mu[:-1]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rates = pull + E * _STEP * np.cumsum(outer, axis=0)
        squares = units.a**2 + 2 / g * _STEP * np.cumsum(rates / inner, axis=0)
        terms = _STEP / (g * np.sqrt(squares) * outer)
    terms = np.where(np.isfinite(outer), np.nan_to_num(terms, nan=0.0, posinf=0.0), 0.0)
    return np.where(moves, _TO_SPARE * terms.sum(0), np.inf)


def _largest_slopes(slope: Slope, h: np.ndarray) -> Float[np.ndarray, "radii m"]:
    """μ(r) of every unit for r = 0, 1, 2, .. steps; infinite where a disc is not one of σ'."""
    half = math.ceil(np.abs(h).max() / _SPACING) + 1
    check_memory(64 * _POINTS * 2 * half, None, "smaller weights or inputs")
    centres = _SPACING * np.arange(-half, half + 1)
    circle = np.exp(2j * np.pi * np.arange(_POINTS) / _POINTS)
    at_centre = slope(centres + 0j)
    inside, rows = np.ones(len(centres), bool), []
    for step in range(round(_LARGEST / _STEP) + 1):
        with np.errstate(all="ignore"):
            values = slope(centres[:, None] + step * _STEP * circle)
            largest = np.abs(values).max(1)
            inside &= np.abs(values.mean(1) - at_centre) <= _MEAN * largest
        inside &= np.isfinite(largest)
        if step * _STEP <= _SMALLEST_DISC and not inside.all():
            raise ValueError(
                "net must have an activation analytic near the real line, and this one is not near "
                f"{centres[~inside][0]:.1f}"
            )
        # Never below a smaller disc's, nor at the centre, so that the majorant grows.
        rows.append(np.where(inside, largest, np.inf))
    table = np.maximum.accumulate(np.maximum(rows, np.finfo(float).tiny), axis=0)
    place = h / _SPACING + half
    below = np.floor(place).astype(int)
    part = place - below
    with np.errstate(invalid="ignore"):
        units = [
            np.where(part > 0, part * row[below + 1], 0) + (1 - part) * row[below] for row in table
        ]
    return np.stack([np.nan_to_num(row, nan=np.inf, posinf=np.inf).max(1) for row in units])


def _radius(slope: Slope, units: _Units, unit: int, start: float, angles: int) -> float:
    """The radius of convergence of one unit's flow, from circles that approach it."""
    regular, circle = 0.0, start
    for _ in range(30):
        sizes = _coefficients(slope, units, np.array([unit]), circle, angles)[0]
        if _is_series(sizes):
            regular, ratio = circle, _rate(sizes)
            if ratio * _NEAR <= 1:
                return regular * ratio
            circle *= min(_AIM * ratio, 4.0)
        else:
            circle = (regular + circle) / 2
    return math.inf


def _look(slope: Slope, units: _Units, batch: np.ndarray, smallest: float) -> list[float | None]:
    """Radii of several units from one circle; None where it is not inside."""
    if not batch.size:
        return []
    sizes = _coefficients(slope, units, batch, _NEAR * smallest, _COARSE)
    return [_NEAR * smallest * _rate(row) if _is_series(row) else None for row in sizes]


def _is_series(sizes: np.ndarray) -> bool:
    """Whether a circle is inside: else its values have negative powers, the last coefficients."""
    tail = sizes[-len(sizes) // 4 :]
    return bool(np.isfinite(sizes).all() and tail.max() <= 1e-4 * sizes.max())


def _rate(sizes: np.ndarray) -> float:
    """How much larger than the circle the radius of convergence is, by the late coefficients.

    Of two halves the largest coefficient each in a window, which sees over zeros of a cosine.
    """
    powers = np.arange(1, len(sizes) // 2)
    weighted = sizes[powers] * powers ** (1 / 3)
    heard = np.flatnonzero(weighted > _ROUNDING * weighted.max())
    if not heard.size:
        return math.inf
    last = min(int(heard[-1]) + 1, 5 * len(powers) // 6)
    window = max(last // 5, 2)
    first = last // 2 + window // 2
    late, early = weighted[last - window : last].max(), weighted[first - window : first].max()
    return float((early / late) ** (1 / (last - first)))


def _coefficients(
    slope: Slope, units: _Units, which: np.ndarray, circle: float, angles: int
) -> Float[np.ndarray, "which angles"]:
    """Sizes of the Taylor coefficients of units' h', times powers of the circle's radius.

    Real coefficients: one half of the circle is enough. The last ones belong to negative powers.
    Runge–Kutta steps along rays are analytic in the end point too, and so err without noise.
    """
    half = angles // 2 + 1
    drive, shape = units.drive[which][:, None], (len(which), half, units.h.shape[1])
    step = circle * np.exp(2j * np.pi * np.arange(half) / angles)[:, None] * (2 / angles)

    def change(a: np.ndarray, h: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, ...]:
        slopes = slope(h)
        turn = a * ((slopes * drive) @ units.gram)
        return (s * drive).sum(-1, keepdims=True), turn, slopes * turn

    a, h, s = (
        np.broadcast_to(part[which].reshape(len(which), 1, -1), (*shape[:2], part[0].size)) + 0j
        for part in (units.a, units.h, units.s)
    )
    state: tuple[np.ndarray, ...] = (a, h, s)
    with np.errstate(all="ignore"):
        for _ in range(angles // 2):
            state = _runge_kutta(change, state, step)
        sizes: np.ndarray = np.abs(np.fft.hfft(change(*state)[1], angles, axis=1)).max(2) / angles
    return sizes


def _runge_kutta(
    change: Callable[..., tuple[np.ndarray, ...]], state: tuple[np.ndarray, ...], step: np.ndarray
) -> tuple[np.ndarray, ...]:
    """One step of the classical method of order four."""

    def ahead(slopes: tuple[np.ndarray, ...], part: float) -> tuple[np.ndarray, ...]:
        return tuple(x + part * step * k for x, k in zip(state, slopes, strict=True))

    first = change(*state)
    second = change(*ahead(first, 0.5))
    third = change(*ahead(second, 0.5))
    fourth = change(*ahead(third, 1.0))
    total = (a + 2 * b + 2 * c + d for a, b, c, d in zip(first, second, third, fourth, strict=True))
    return ahead(tuple(total), 1 / 6)
