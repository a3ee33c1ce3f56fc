"""The tensors of a network to a given tolerance: by finer rules or larger samples until it is met.

Both state the error that is left; both refuse a tolerance that they cannot reach.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from nthlib.infinite.moments import (
    RULES,
    SLOWEST,
    Derivatives,
    FourPoint,
    OutOfReachError,
    Rule,
    accurate_at_two,
    accurate_pairs,
    by_quadrature,
)
from nthlib.infinite.recursion import Matrix, Moments, first_layer, next_layer, statistics
from nthlib.infinite.sampling import by_sample, normal_points
from nthlib.network import FullyConnected

Tensors = dict[str, np.ndarray]
Errors = dict[str, float]
# The expectations at two inputs of a layer: of products of two, and of four.
Known = tuple[np.ndarray, FourPoint]

# What is as small as this beside the largest of the tensors is rounding, and counts as zero.
_NOTHING = 1e-10
_ROUNDING = 1e-15
# Rules by which four inputs start before the one that does for two.
_AHEAD = 2
_SCRAMBLINGS, _FEWEST_POINTS = 8, 10
_MOST_FLOPS = 4e12


class NotReachedError(ValueError):
    """A tolerance that cannot be reached."""


def refined(
    net: FullyConnected, gram: Matrix, derivatives: Derivatives, tolerance: float
) -> tuple[Tensors, Errors]:
    """The tensors by the first rule whose next refinements would change less than the tolerance.

    Raises:
        NotReachedError: when no rule does.
    """
    tensors: Tensors | None = None
    changes: Errors = {}
    error: Errors = {}
    # Two inputs cost little, and tell from which rule on four are worth their price.
    _, start = _pairs_of_layers(net, gram, derivatives, tolerance)
    for rule in RULES[max(0, start - _AHEAD) :]:
        try:
            finer = _by_rule(net, gram, derivatives, rule)
        except OutOfReachError:
            break
        if tensors is not None:
            before, changes = changes, _differences(tensors, finer)
            previous = max(error.values(), default=np.inf)
            error = {name: _remaining(changes[name], before.get(name)) for name in changes}
            if max(error.values()) <= tolerance:
                return finer, error
            if max(error.values()) > SLOWEST * previous:
                break
        tensors = finer
    found = f": its error stays near {max(error.values()):.0e}" if error else ""
    raise NotReachedError(
        f"tolerance {tolerance:g} cannot be reached by quadrature for this activation, X and "
        f"sigma_w{found}; take a larger tolerance, or smaller X or sigma_w"
    )


def _by_rule(net: FullyConnected, gram: Matrix, derivatives: Derivatives, rule: Rule) -> Tensors:
    return _expand(net, gram, lambda _, G: by_quadrature(G, derivatives, rule))


def _expand(
    net: FullyConnected, gram: Matrix, moments: Callable[[int, Matrix], Moments]
) -> Tensors:
    with np.errstate(over="ignore", invalid="ignore"):
        layer = first_layer(gram, net.sigma_w**2)
    for place, s in enumerate(_variances_above(net)):
        require_variance(layer.G, place)
        layer = next_layer(layer, moments(place, layer.G), s)
    return statistics(layer)


def _variances_above(net: FullyConnected) -> list[float]:
    """Of the weights on top of each hidden layer."""
    return [net.sigma_w**2] * (net.depth - 1) + [net.sigma_a**2]


def require_variance(G: Matrix, place: int) -> None:
    """Raise unless every preactivation of this layer varies, and not beyond the floats."""
    if not (np.isfinite(G).all() and (np.diagonal(G) > 0).all()):
        raise ValueError(
            f"X, sigma_w and activation must give layer {place + 1} a variance above zero that is "
            "a finite number"
        )


def _differences(one: Tensors, other: Tensors) -> Errors:
    """The largest change of each tensor, over its largest entry."""
    return _relative({name: one[name] - tensor for name, tensor in other.items()}, other)


def _relative(errors: Tensors, tensors: Tensors) -> Errors:
    largest = {name: float(np.abs(tensor).max()) for name, tensor in tensors.items()}
    floor = max(_NOTHING * max(largest.values()), np.finfo(float).tiny)
    return {
        name: float(np.abs(error).max()) / max(largest[name], floor)
        for name, error in errors.items()
    }


def _remaining(change: float, before: float | None) -> float:
    """What the next refinements would change, if changes go on to fall as the last two did."""
    if before is None or before == 0:
        return max(change, _ROUNDING)
    return max(change * min(1.0, max(change / before, 0.1)), _ROUNDING)


def sampled(
    net: FullyConnected,
    gram: Matrix,
    derivatives: Derivatives,
    tolerance: float,
    key: PRNGKeyArray,
) -> tuple[Tensors, Errors]:
    """The tensors averaged over independent scramblings, and two standard errors of them.

    Raises:
        NotReachedError: when more points would be needed than are taken.
    """
    exact = min(1e-6, tolerance / 10)
    pairs, start = _pairs_of_layers(net, gram, derivatives, exact)
    at_two = _at_two_of_layers(net, gram, pairs, derivatives, exact, start)
    known = list(zip(pairs, at_two, strict=True))
    random = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))
    n, log2_count = len(gram), _FEWEST_POINTS
    most = int(np.log2(_MOST_FLOPS / (_SCRAMBLINGS * n * (3 * n**3 + 1000))))
    while True:
        tensors, error = _average(net, gram, derivatives, known, (random, log2_count))
        error = {name: max(value, exact) for name, value in error.items()}
        worst = max(error.values())
        if worst <= tolerance:
            return tensors, error
        # The error falls nearly as the number of points.
        log2_count += max(1, int(np.ceil(np.log2(worst / tolerance) / 0.8)))
        if log2_count > most:
            raise NotReachedError(
                f'tolerance {tolerance:g} cannot be reached by method "sobol" for this activation '
                f"and X: it would take some 2^{log2_count} points, and at most 2^{most} are taken; "
                'take a larger tolerance, fewer rows of X or method "quadrature"'
            )


def _pairs_of_layers(
    net: FullyConnected, gram: Matrix, derivatives: Derivatives, tolerance: float
) -> tuple[list[np.ndarray], int]:
    """The expectations at two inputs in every layer, which alone give the next covariance.

    And the place of the finest rule that they took.
    """
    pairs: list[np.ndarray] = []
    finest = 0
    with np.errstate(over="ignore", invalid="ignore"):
        G = net.sigma_w**2 * gram
    for layer, s in enumerate(_variances_above(net)):
        require_variance(G, layer)
        with _named(tolerance):
            pair, place = accurate_pairs(G, derivatives, tolerance)
        pairs.append(pair)
        finest = max(finest, place)
        G = s * pair[0, 0]
    return pairs, finest


def _at_two_of_layers(
    net: FullyConnected,
    gram: Matrix,
    pairs: list[np.ndarray],
    derivatives: Derivatives,
    tolerance: float,
    start: int,
) -> list[FourPoint]:
    """The expectations of products of four that have two different inputs, in every layer."""
    variances = [net.sigma_w**2, *_variances_above(net)]
    grams = [gram, *[pair[0, 0] for pair in pairs[:-1]]]
    found = []
    for s, one in zip(variances, grams, strict=False):
        with _named(tolerance):
            found.append(accurate_at_two(s * one, derivatives, tolerance, start))
    return found


@contextlib.contextmanager
def _named(tolerance: float) -> Iterator[None]:
    """Say which argument stands in the way of a rule that would be fine enough."""
    try:
        yield
    except OutOfReachError:
        raise NotReachedError(
            f"tolerance {tolerance:g} cannot be reached: the activation bends too sharply, or "
            "grows too fast, for these X and sigma_w"
        ) from None


def _average(
    net: FullyConnected,
    gram: Matrix,
    derivatives: Derivatives,
    known: list[Known],
    points: tuple[np.random.Generator, int],
) -> tuple[Tensors, Errors]:
    """Means over scramblings, and twice the largest standard error of each."""
    first: Tensors = {}
    sums: dict[str, Any] = {}
    for _ in range(_SCRAMBLINGS):
        z = normal_points(points[0], len(gram), points[1])
        tensors = _expand(net, gram, _sampler(derivatives, known, z))
        first = first or tensors
        for name, tensor in tensors.items():
            off = tensor - first[name]  # squares of small numbers lose nothing to rounding
            total, squares = sums.get(name, (0.0, 0.0))
            sums[name] = total + off, squares + off**2
    count = _SCRAMBLINGS
    means = {name: first[name] + total / count for name, (total, _) in sums.items()}
    errors = {
        name: 2 * np.sqrt(np.maximum(squares - total**2 / count, 0.0) / (count * (count - 1)))
        for name, (total, squares) in sums.items()
    }
    return means, _relative(errors, means)


def _sampler(
    derivatives: Derivatives, known: list[Known], z: np.ndarray
) -> Callable[[int, Matrix], Moments]:
    def of_layer(place: int, G: Matrix) -> Moments:
        return by_sample(G, *known[place], derivatives, z)

    return of_layer
