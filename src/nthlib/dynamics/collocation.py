"""Integrals and stiff linear equations on panels that grow with time.

What decays at some rate is smooth over a panel that is as long as its own start, whatever the
rate: it has either hardly moved or is gone. So a polynomial through a few nodes is right to
rounding on every panel of a geometric sequence, and their number grows with the logarithm of
the horizon.
"""

import functools
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre

# With these, on panels whose ends double, exponentials of every rate are integrated to 1e-12.
NODES = 16


class Rule(NamedTuple):
    """Collocation at the right-hand Radau nodes of [0, 1].

    ``nodes`` (s,), the last of which is 1; ``integral`` (s, s), which takes values at the nodes to
    integrals from 0 to each; ``basis`` (s + 1, s + 1), which takes values at 0 and at the nodes to
    the Legendre coefficients of their polynomial.
    """

    nodes: np.ndarray
    integral: np.ndarray
    basis: np.ndarray


@functools.cache
def radau(count: int = NODES) -> Rule:
    """Radau IIA with so many nodes: of order 2 count − 1 at the panel's end, and L-stable.

    Hairer and Wanner, Solving Ordinary Differential Equations II, section IV.5.

    >>> from nthlib.dynamics.collocation import radau
    >>> [round(node, 4) for node in radau(2).nodes.tolist()]
    [0.3333, 1.0]
    """
    difference = np.zeros(count + 1)
    difference[-2:] = -1.0, 1.0
    nodes = np.sort(legendre.legroots(difference).real)
    nodes[-1] = 1.0
    # ∫_{−1}^x P_k = (P_{k+1} − P_{k−1}) / (2k + 1), on an interval twice as long.
    antiderivatives = np.stack([legendre.legint(row, lbnd=-1) for row in np.eye(count)], axis=1)
    integrals = legendre.legvander(nodes, count) @ antiderivatives / 2
    integral = np.linalg.solve(legendre.legvander(nodes, count - 1).T, integrals.T).T
    basis = np.linalg.inv(legendre.legvander(np.append(-1.0, nodes), count))
    return Rule((nodes + 1) / 2, integral, basis)


def between(rule: Rule, places: np.ndarray) -> np.ndarray:
    """The matrix, (places, s + 1), from values at 0 and at the nodes to values at the places.

    >>> import numpy as np
    >>> from nthlib.dynamics.collocation import between, radau
    >>> rule = radau(3)
    >>> values = np.append(0.0, rule.nodes) ** 3
    >>> np.round(between(rule, np.array([0.5])) @ values, 12).tolist()
    [0.125]
    """
    return legendre.legvander(2 * places - 1, len(rule.nodes)) @ rule.basis


def panels(fastest: float, horizon: float) -> np.ndarray:
    """The ends of panels from 0 to the horizon: the first as short as the fastest rate asks for.

    >>> from nthlib.dynamics.collocation import panels
    >>> panels(fastest=0.5, horizon=5.0).tolist()
    [0.0, 1.0, 2.0, 4.0, 5.0]
    """
    ends = [0.0]
    end = 1 / (2 * fastest) if fastest > 0 else horizon
    while end < horizon:
        ends.append(end)
        end *= 2
    return np.array([*ends, horizon])


def relaxed(
    rule: Rule, rates: np.ndarray, length: float, start: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """φ' = −rate φ + source over one panel: φ at the nodes, (s, .., n).

    ``rates`` (n,); ``start`` (.., n) the values at its beginning; ``source`` (s, .., n) at the
    nodes. Every rate is its own linear system, so that a stiff one costs no more than another.
    """
    count, n = len(rule.nodes), len(rates)
    systems = np.eye(count) + length * rates[:, None, None] * rule.integral
    driven = start + length * np.tensordot(rule.integral, source, axes=1)
    columns = np.moveaxis(driven, -1, 0).reshape(n, count, -1)
    return np.moveaxis(np.linalg.solve(systems, columns).reshape(n, *driven.shape[:-1]), 0, -1)
