"""Gaussian expectations of products of derivatives of σ at two and at four inputs.

The last factor of a product is integrated in advance, given the inputs before it: what is left of
it is E σ^(r)(t + sξ), ξ ~ N(0, 1), which a table in t and s holds. So two inputs take a rule on a
line, and four a rule in three dimensions.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.interpolate import BSpline, make_interp_spline

from nthlib.infinite.recursion import HIGHEST_DERIVATIVE, Matrix, Moments, Tensor

# σ, σ', .., σ^(5) at points in a row: shape (6, points).
Derivatives = Callable[[np.ndarray], np.ndarray]
# Three of four indices, and several for the last.
IndexSet = tuple[tuple[int, int, int], list[int]]

# A variance given other inputs is rounding below this share of the variance itself.
_ROUNDING = 16 * np.finfo(float).eps
_ORDERS = HIGHEST_DERIVATIVE + 1
_HIGHEST_SUM = 6
# The orders in the expectations at four inputs.
_KINDS = {
    "m0000": (0, 0, 0, 0),
    "m0011": (0, 0, 1, 1),
    "m1111": (1, 1, 1, 1),
    "m2011": (2, 0, 1, 1),
    "m3111": (3, 1, 1, 1),
    "m2211": (2, 2, 1, 1),
}
_ORDERS_OF_FOUR = 4
_PERMUTED = sorted({p for kind in _KINDS.values() for p in itertools.permutations(kind)})
# Below the second, errors that fall more slowly than the first from one rule to the next have
# come to rounding, or to what is not smooth.
SLOWEST, _ROUGH = 0.7, 1e-6
_MOST_NODES, _MOST_NODES_OF_PAIRS = 2**23, 2**12


class Rule(NamedTuple):
    """A trapezoid rule: its step, in units of h or of deviations, and its reach in deviations."""

    step: float
    reach: float

    def line(self, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Nodes z and weights for functions of ``scale`` times a standard normal z."""
        if scale == 0:
            return np.zeros(1), np.ones(1)
        step = self.step / max(1.0, scale)
        count = int(self.reach / step)
        z = step * np.arange(-count, count + 1)
        return z, np.exp(-(z**2) / 2) * (step / np.sqrt(2 * np.pi))

    def nodes(self, scale: float, dimensions: int) -> float:
        """At most so many in a ball of that many dimensions."""
        return float(2 * self.reach * max(1.0, scale) / self.step + 1) ** dimensions

    def finer(self) -> "Rule":
        """The rule in one and two dimensions, where more nodes cost little."""
        return Rule(self.step / 1.6, self.reach + 0.5)


# Steps of four fifths of the one before; the reach grows as they shrink.
RULES = tuple(Rule(0.8**k, min(4.5 + 0.5 * k, 8.5)) for k in range(1, 12))


class OutOfReachError(Exception):
    """A rule has more nodes than this library takes."""


def by_quadrature(G: Matrix, derivatives: Derivatives, rule: Rule) -> Moments:
    """All expectations for h ~ N(0, G), which may be singular, by trapezoid rules.

    Where σ is smooth they converge faster than any power of the step.

    Raises:
        OutOfReachError: when so fine a rule has too many nodes for variances so large.
    """
    finer, largest = rule.finer(), float(np.sqrt(np.diagonal(G).max()))
    if rule.nodes(largest, 3 if len(G) > 3 else 2) > _MOST_NODES:
        raise OutOfReachError
    table = SmoothedDerivatives(derivatives, largest, finer)
    return Moments(pair=pair_moments(G, table, finer), **_four_point_moments(G, table, rule))


class SmoothedDerivatives:
    """E σ^(r)(t + sξ), ξ ~ N(0, 1), for r = 0, .., 5 and s up to ``largest``.

    Splines of degree seven in t, interpolated by a polynomial in s through Chebyshev's points.
    """

    _DEGREE = 7

    def __init__(self, derivatives: Derivatives, largest: float, rule: Rule) -> None:
        degree = int(6 + 8 * largest / rule.step)
        self.nodes = largest * 0.5 * (1 - np.cos(np.pi * np.arange(degree + 1) / degree))
        # Where nothing reaches as far as one step, steps of that size would tell nothing apart.
        spacing = min(rule.step, largest) / 4
        count = int(rule.reach * largest / spacing) + self._DEGREE + 1
        # σ on a grid so fine that each smoothing is a trapezoid rule on some of its points.
        halvings = max(0, int(np.ceil(np.log2(1.5 * spacing / self.nodes[1]))))
        stride, fine = 2**halvings, spacing / 2**halvings
        margin = int((rule.reach + 1) * largest / fine) + 1
        around = margin + count * stride
        sigma = derivatives(fine * np.arange(-around, around + 1))
        centres = margin + stride * np.arange(2 * count + 1)
        values = np.stack([self._smooth(sigma, centres, s, fine, rule) for s in self.nodes], axis=1)
        spline = make_interp_spline(
            spacing * np.arange(-count, count + 1), values.reshape(len(centres), -1), self._DEGREE
        )
        self.knots = spline.t
        self.coefficients = spline.c.reshape(len(spline.c), degree + 1, _ORDERS).swapaxes(0, 1)

    def _smooth(
        self, sigma: np.ndarray, centres: np.ndarray, s: float, fine: float, rule: Rule
    ) -> np.ndarray:
        """Shape (centres, orders)."""
        if s == 0:
            return sigma[:, centres].T
        between = int(centres[1] - centres[0])
        widest = min(s / 1.5, rule.step / 2) / fine
        stride = min(between, 2 ** int(np.log2(max(1.0, widest))))
        count = int((rule.reach + 1) * s / (stride * fine))
        offsets = stride * np.arange(-count, count + 1)
        y = fine * offsets / s
        weights = np.exp(-(y**2) / 2) * (stride * fine / (s * np.sqrt(2 * np.pi)))
        if stride < between:
            return (sigma[:, centres[:, None] + offsets] @ weights).T
        window = sigma[:, centres[0] + offsets[0] : centres[-1] + offsets[-1] + 1 : stride]
        return np.stack([np.correlate(row, weights, "valid") for row in window], axis=1)

    def at(self, spreads: np.ndarray, orders: int = _ORDERS) -> Iterator[BSpline]:
        """For each s the function of t, an array of any shape, with ``orders`` on a last axis."""
        signs = (-1.0) ** np.arange(len(self.nodes))
        signs[[0, -1]] *= 0.5
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = signs / (spreads[:, None] - self.nodes)
            weights /= weights.sum(axis=1, keepdims=True)
        exact = np.isclose(spreads[:, None], self.nodes, rtol=1e-14, atol=1e-300)
        weights = np.where(exact.any(axis=1, keepdims=True), exact, weights)
        coefficients = np.tensordot(weights, self.coefficients[:, :, :orders], axes=1)
        for one in coefficients:
            yield BSpline.construct_fast(self.knots, one, self._DEGREE)

    def sharp(self, orders: int = _ORDERS) -> BSpline:
        """The derivatives themselves."""
        return next(self.at(np.zeros(1), orders))


def pair_moments(G: Matrix, table: SmoothedDerivatives, rule: Rule) -> np.ndarray:
    """⟨σ^(a)_α σ^(b)_β⟩, shape (6, 6, N, N), zero where a + b is above six."""
    n, variances = len(G), np.diagonal(G)
    moments = np.empty((_ORDERS, _ORDERS, n, n))
    sharp = table.sharp()
    for i in range(n):
        factor = _Factor(G, (i,), np.arange(i, n))
        z, weights = rule.line(np.sqrt(variances[i]))
        left = (weights[:, None] * sharp(factor.rows[0, 0] * z)).T
        for place, smooth in enumerate(table.at(factor.spreads)):
            j = i + place
            moments[:, :, i, j] = left @ smooth(factor.last[place, 0] * z)
            moments[:, :, j, i] = moments[:, :, i, j].T
    a, b = np.indices((_ORDERS, _ORDERS))
    return np.where((a + b <= _HIGHEST_SUM)[:, :, None, None], moments, 0.0)


def accurate_pairs(G: Matrix, derivatives: Derivatives, tolerance: float) -> tuple[np.ndarray, int]:
    """⟨σ^(a)_α σ^(b)_β⟩ by the first rule that agrees with the one before, and its place in RULES.

    Raises:
        OutOfReachError: when none does.
    """
    largest, before, error = float(np.sqrt(np.diagonal(G).max())), None, np.inf
    for place, rule in enumerate(RULES):
        finer = rule.finer()
        if finer.nodes(largest, 1) > _MOST_NODES_OF_PAIRS:
            break
        pair = pair_moments(G, SmoothedDerivatives(derivatives, largest, finer), finer)
        if before is not None:
            change, size = (np.abs(one).max(axis=(2, 3)) for one in (pair - before, pair))
            # Of an odd σ some are zero, to rounding.
            floor = max(1e-6 * size.max(), np.finfo(float).tiny)
            previous, error = error, float((change / np.maximum(size, floor)).max())
            if error <= tolerance:
                return pair, place
            if SLOWEST * previous < error < _ROUGH:
                break
        before = pair
    raise OutOfReachError


class FourPoint(NamedTuple):
    """Expectations at some sets of four indices (sets, 4), in all orders (sets, orders)."""

    indices: np.ndarray
    values: np.ndarray

    def spread(self, tensors: dict[str, Tensor]) -> None:
        """Write them into the whole tensors, wherever these indices stand."""
        for name, kind in _KINDS.items():
            for axes in itertools.permutations(range(4)):
                # The axis `place` of the tensor takes the index axes[place], with that axis' order.
                orders = [0] * 4
                for place, axis in enumerate(axes):
                    orders[axis] = kind[place]
                column = self.values[:, _PERMUTED.index(tuple(orders))]
                tensors[name][tuple(self.indices[:, list(axes)].T)] = column


def accurate_at_two(G: Matrix, derivatives: Derivatives, tolerance: float, start: int) -> FourPoint:
    """What has no more than two different inputs, by the first rule that agrees with the last.

    Raises:
        OutOfReachError: when none does from the place ``start`` in RULES on.
    """
    largest, before = float(np.sqrt(np.diagonal(G).max())), None
    sets = list(_index_sets_of_two(len(G)))
    for rule in RULES[start:]:
        if rule.finer().nodes(largest, 1) > _MOST_NODES_OF_PAIRS:
            break
        found = _at_four(G, sets, SmoothedDerivatives(derivatives, largest, rule.finer()), rule)
        if before is not None:
            change, size = (
                np.abs(one).max(axis=0) for one in (found.values - before, found.values)
            )
            if (change <= tolerance * np.maximum(size, _ROUGH * size.max())).all():
                return found
        before = found.values
    raise OutOfReachError


def _four_point_moments(G: Matrix, table: SmoothedDerivatives, rule: Rule) -> dict[str, Tensor]:
    tensors = {name: np.empty((len(G),) * 4) for name in _KINDS}
    _at_four(G, _index_sets(len(G)), table, rule).spread(tensors)
    return tensors


def _at_four(
    G: Matrix, sets: Iterable[IndexSet], table: SmoothedDerivatives, rule: Rule
) -> FourPoint:
    chosen = tuple(np.array(_PERMUTED).T)
    indices, values = [], []
    for first, others in sets:
        indices += [(*first, other) for other in others]
        products = _products(G, first, np.array(others), table, rule)
        values += [product[chosen] for product in products]
    return FourPoint(np.array(indices), np.array(values))


def _index_sets(n: int) -> Iterator[IndexSet]:
    """Every set of four indices as three and a last one; what is repeated comes first.

    It then takes no dimension of its own, and four different inputs alone take three dimensions.
    """
    for i in range(n):
        yield (i, i, i), list(range(n))
    for i, j in itertools.permutations(range(n), 2):
        # Two pairs come once, from the lower of the two.
        others = [k for k in range(j if i < j else j + 1, n) if k != i]
        if others:
            yield (i, i, j), others
    for i, j, k in itertools.combinations(range(n - 1), 3):
        yield (i, j, k), list(range(k + 1, n))


def _index_sets_of_two(n: int) -> Iterator[IndexSet]:
    for i in range(n):
        yield (i, i, i), list(range(n))
    for i, j in itertools.combinations(range(n), 2):
        yield (i, i, j), [j]


def _products(
    G: Matrix,
    first: tuple[int, int, int],
    others: np.ndarray,
    table: SmoothedDerivatives,
    rule: Rule,
) -> Iterator[np.ndarray]:
    """⟨σ^(a)_i σ^(b)_j σ^(c)_k σ^(d)_l⟩ for one i, j, k and several l, orders up to three."""
    factor = _Factor(G, first, others)
    scales = np.maximum(np.abs(factor.rows).max(axis=0), np.abs(factor.last).max(axis=0))
    if not scales.all():
        # Products at one input bend more, and have nodes to spare.
        rule = rule.finer()
    (x, wx), (y, wy), (z, wz) = (rule.line(scale) for scale in scales)
    in_disc = x[:, None] ** 2 + y**2 <= rule.reach**2
    x, y, weights = (part[in_disc] for part in np.broadcast_arrays(x[:, None], y, wx[:, None] * wy))
    inside = (x**2 + y**2)[:, None] + z**2 <= rule.reach**2
    planes, depths = np.nonzero(inside)
    nodes = np.stack([x[planes], y[planes], z[depths]])

    sharp = table.sharp(_ORDERS_OF_FOUR)
    one, two = sharp(factor.rows[0, 0] * x), sharp(factor.rows[1, :2] @ np.stack([x, y]))
    both = np.einsum("p,pa,pb->abp", weights, one, two).reshape(_ORDERS_OF_FOUR**2, -1)
    shape = (len(x), len(z), _ORDERS_OF_FOUR)
    three, four = np.zeros(shape), np.zeros(shape)
    three[inside] = wz[depths, None] * sharp(factor.rows[2] @ nodes)
    three = three.swapaxes(1, 2)
    for smooth, row in zip(table.at(factor.spreads, _ORDERS_OF_FOUR), factor.last, strict=True):
        four[inside] = smooth(row @ nodes)
        yield (both @ (three @ four).reshape(len(x), -1)).reshape((_ORDERS_OF_FOUR,) * 4)


class _Factor:
    """h at the inputs ``first`` and one of ``others``, in standard normals: Cholesky's factor.

    ``rows`` (k, k) and ``last`` (others, k) multiply the normals of the first k inputs;
    ``spreads`` (others,) is what is left of the deviation. A singular covariance has zero columns.
    """

    def __init__(self, G: Matrix, first: tuple[int, ...], others: np.ndarray) -> None:
        everything = np.append(first, others)
        variances = G[everything, everything]
        columns = np.zeros((len(everything), len(first)))
        left = variances.copy()
        for place, index in enumerate(first):
            residual = G[everything, index] - columns @ columns[place]
            if left[place] > 0:
                columns[place:, place] = residual[place:] / np.sqrt(left[place])
            left = variances - (columns**2).sum(axis=1)
            left[left < _ROUNDING * variances] = 0.0
        self.rows, self.last = columns[: len(first)], columns[len(first) :]
        self.spreads = np.sqrt(left[len(first) :])
