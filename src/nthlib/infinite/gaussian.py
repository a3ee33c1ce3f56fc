"""Expectations of products over a pair of correlated Gaussians.

For (u, v) normal with mean zero, variances p and q and covariance c this module gives
E[φ(u) φ(v)] for an elementwise φ: in closed form for the error function and ReLU and their
derivatives, and by quadrature otherwise.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nthlib import checks
from nthlib.activations import Activation, derivative, erf, relu
from nthlib.compilation import compiled

# Radius in standard deviations, and nodes along it and along each arc. Beyond nine the
# Gaussian weighs less than 1e-17, but an activation may grow as fast as it falls.
_RULES = ((9.0, 16), (10.0, 24), (11.0, 32), (13.0, 48), (16.0, 64), (20.0, 96))
_NODES_AT_ONCE = 2**22
_PROBES = 16


def pair_expectations(
    activation: Activation,
    p: Float[Array, " pairs"],
    q: Float[Array, " pairs"],
    c: Float[Array, " pairs"],
    tolerance: float = 1e-8,
) -> tuple[Float[Array, " pairs"], Float[Array, " pairs"]]:
    """E[σ(u)σ(v)] and E[σ'(u)σ'(v)] for variances p, q and covariances c.

    The quadrature is refined until it changes by less than ``tolerance`` (relative) on a
    sample of the pairs; when no resolution reaches it, a ``UserWarning`` states the error.
    """
    if activation is erf:
        return _erf_pair(p, q, c)
    if activation is relu:
        return _relu_pair(p, q, c)
    rule = _rule(activation, p, q, c, tolerance)
    return compiled(_quadrature, activation, rule)(p, q, c)


def _erf_pair(p: Array, q: Array, c: Array) -> tuple[Array, Array]:
    """Williams (1997), for erf(x) without the factor 1/√2."""
    product = (1 + 2 * p) * (1 + 2 * q)
    value = 2 / jnp.pi * jnp.arcsin(2 * c / jnp.sqrt(product))
    slope = 4 / jnp.pi / jnp.sqrt(product - 4 * c**2)
    return value, slope


def _relu_pair(p: Array, q: Array, c: Array) -> tuple[Array, Array]:
    """Cho and Saul (2009), the arc-cosine kernels of degree one and zero."""
    angle = _angle(p, q, c)
    value = (jnp.sqrt(p * q) * jnp.sin(angle) + (jnp.pi - angle) * c) / (2 * jnp.pi)
    return value, (jnp.pi - angle) / (2 * jnp.pi)


def _angle(p: Array, q: Array, c: Array) -> Array:
    """The angle whose cosine is the correlation; the arccosine would lose half the digits at 1."""
    return jnp.arctan2(jnp.sqrt(jnp.maximum(p * q - c**2, 0.0)), c)


def _rule(
    activation: Activation, p: Array, q: Array, c: Array, tolerance: float
) -> tuple[float, int]:
    """The coarsest rule that agrees with the next finer one on a sample of the pairs."""
    # The widest Gaussians are the hardest; the rest of the sample is spread over all pairs.
    spread = np.linspace(0, len(p) - 1, min(_PROBES, len(p))).astype(int)
    probe = np.unique(np.append(spread, [int(jnp.argmax(p)), int(jnp.argmax(q))]))
    sample = (p[probe], q[probe], c[probe])
    floor = 32 * float(jnp.finfo(p.dtype).eps)
    coarse = compiled(_quadrature, activation, _RULES[0])(*sample)
    error = np.inf
    for rule in _RULES[1:]:
        fine = compiled(_quadrature, activation, rule)(*sample)
        error = max(
            float(jnp.max(jnp.abs(a - b)) / (jnp.max(jnp.abs(b)) + floor))
            for a, b in zip(coarse, fine, strict=True)
        )
        if error <= max(tolerance, floor):
            return rule
        coarse = fine
    checks.warn(
        f"the Gaussian quadrature for this activation is accurate to about {error:.0e} only; "
        "a kink away from zero or exponential growth is the usual reason"
    )
    return _RULES[-1]


def _quadrature(
    activation: Activation, rule: tuple[float, int], p: Array, q: Array, c: Array
) -> tuple[Array, Array]:
    slope = derivative(activation)

    def one_pair(pair: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        u, v, weights = _polar_rule(*pair, *rule)
        return (
            jnp.sum(weights * activation(u) * activation(v)),
            jnp.sum(weights * slope(u) * slope(v)),
        )

    at_once = max(1, _NODES_AT_ONCE // (4 * rule[1] ** 2))
    return jax.lax.map(one_pair, (p, q, c), batch_size=min(at_once, len(p)))


def _polar_rule(
    p: Array, q: Array, c: Array, reach: float, resolution: int
) -> tuple[Array, Array, Array]:
    """Nodes (u, v) and weights of Gauss–Legendre rules in polar coordinates.

    With u = √p r cos θ and v = √q r cos(θ − φ), cos φ the correlation, the lines u = 0 and
    v = 0 are four rays. Cutting the circle there leaves only smooth pieces even when σ or
    σ' has a kink at zero, and puts the densest nodes where a smooth σ bends most.
    """
    phi = _angle(p, q, c)
    # Radii run along the columns, angles along the rows.
    nodes, node_weights = (row[None] for row in np.polynomial.legendre.leggauss(resolution))
    radius = jnp.asarray(0.5 * reach * (nodes + 1), p.dtype)
    radial = jnp.asarray(0.5 * reach * node_weights, p.dtype) * radius * jnp.exp(-(radius**2) / 2)

    quarter = jnp.pi / 2
    # The opposite half-circle is (−u, −v), not a mirror image for a general σ.
    cuts = jnp.stack([-quarter, phi - quarter, quarter, phi + quarter, 2 * jnp.pi - quarter])
    width = jnp.diff(cuts)[:, None]
    theta = cuts[:-1, None] + width * jnp.asarray(0.5 * (nodes + 1), p.dtype)
    angular = width * jnp.asarray(0.5 * node_weights, p.dtype)

    theta, angular = theta.reshape(-1, 1), angular.reshape(-1, 1)
    u = jnp.sqrt(p) * radius * jnp.cos(theta)
    v = jnp.sqrt(q) * radius * jnp.cos(theta - phi)
    return u, v, angular * radial / (2 * jnp.pi)
