"""Mean and covariance of trained networks over their initialisation, to order 1/m, none drawn.

Networks of finite width move away from the solution with the frozen limiting kernel because their
kernel at the start has another mean and fluctuates, because it moves, K^(3) and K^(4), and because
what moves it depends on f(0). All this is of order 1/m, and known from the statistics of
:class:`nthlib.WidthExpansion`: here it is carried through gradient flow.

In the eigenvectors of the limiting kernel on the n training points, λ_i = n μ_i, residuals start
at r(0) = f(0) + c, or at c = −y where the labels are y + f(0), and fall as e_i = e^{−μ_i t}. Then

    f(t) = f(0) + H r(0) + ρ,   ρ' = −(1/n) 𝔎 ρ + sources,

where the sources are the first and second order in K^(2)(0) − 𝔎, the first in K^(3) and in K^(4),
averaged by Wick's theorem: E f f, E f K^(3), Cov(f f, K^(2)) and Cov(K^(2), K^(2)) are all that is
met at order 1/m. Their time dependence is in integrals of exponentials: s = ∫ e, D = e * e and
S_kl = ∫ e_k s_l.
"""

import dataclasses
import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nthlib import checks
from nthlib.dynamics import collocation
from nthlib.dynamics.flow import warn_of_coinciding
from nthlib.dynamics.frozen import explained_by
from nthlib.infinite.expansion import WidthExpansion, bytes_needed, width_expansion
from nthlib.infinite.tangent import limit_kernel, limit_output
from nthlib.memory import check_memory
from nthlib.network import FullyConnected, require_own_law
from nthlib.spelling import spelled


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EnsemblePrediction:
    """Mean and covariance of trained networks over draws of their start, at the requested times.

    At width m the mean is ``mean`` + ``mean_correction``/m, and so for the covariance, each up to
    an error of order 1/m². ``times`` (T,); means (T, N), training points first, then test points;
    covariances (T, N, N). ``parts``: the summands of ``mean_correction``, (T, N) each, under the
    name of the field of :class:`nthlib.WidthExpansion` that they come from.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> row, matrix = jnp.ones((1, 2)), jnp.eye(2)[None]
    >>> found = nth.EnsemblePrediction(jnp.ones(1), row, -4 * row, matrix, 8 * matrix, {})
    >>> mean, covariance = found.at(width=16)
    >>> mean.tolist(), covariance[0].tolist()
    ([[0.75, 0.75]], [[1.5, 0.0], [0.0, 1.5]])
    """

    times: Float[Array, " T"]
    mean: Float[Array, "T N"]
    mean_correction: Float[Array, "T N"]
    covariance: Float[Array, "T N N"]
    covariance_correction: Float[Array, "T N N"]
    parts: dict[str, Float[Array, "T N"]]

    def at(self, width: int) -> tuple[Float[Array, "T N"], Float[Array, "T N N"]]:
        """Mean and covariance of networks of this width.

        Args:
            width: units m in every hidden layer.

        Returns:
            The mean (T, N) and the covariance (T, N, N). Where the correction is not small the
            latter need not be positive.

        Raises:
            TypeError, ValueError: when the width is not a whole number above zero.

        Warns:
            UserWarning: when the correction of the mean is not small at this width.
        """
        width = checks.whole_number("width", width, 1)
        if not checks.is_traced(self.mean, self.parts):
            _warn_of_width(width, self)
        return (
            self.mean + self.mean_correction / width,
            self.covariance + self.covariance_correction / width,
        )


class Modes(NamedTuple):
    """The expansion in the eigenvectors of 𝔎 on the training points.

    Axes of length N run over the modes and then the test points, axes of length n over the modes
    alone. ``turn`` (N, N) has the vectors as columns; ``rates`` μ (n,); ``below`` (N − n, n), rows
    of 𝔎/n; ``start`` c (n,). The tensors are those of the same names, divided by the powers of n
    that their terms carry.
    """

    turn: np.ndarray
    rates: np.ndarray
    below: np.ndarray
    start: np.ndarray
    output: np.ndarray
    output_correction: np.ndarray
    kernel_correction: np.ndarray
    kernel_covariance: np.ndarray
    output_kernel: np.ndarray
    output_third: np.ndarray
    fourth_kernel: np.ndarray


def in_modes(expansion: WidthExpansion, y: np.ndarray) -> Modes:
    """Turn every index of a training point into the eigenvectors of 𝔎."""
    n, kernel = len(y), np.asarray(expansion.kernel, np.float64)
    values, vectors = _spectrum(kernel[:n, :n])
    turn = np.eye(len(kernel))
    turn[:n, :n] = vectors

    def turned(tensor: Any, trained: str) -> np.ndarray:
        """``trained``: for each axis a "n" where it runs over training points alone, else "N"."""
        tensor = np.asarray(tensor, np.float64)
        for axis, kind in enumerate(trained):
            columns = vectors if kind == "n" else turn
            rows = np.moveaxis(tensor, axis, -1)[..., : len(columns)]
            tensor = np.moveaxis(rows @ columns, -1, axis)
        return tensor

    return Modes(
        turn=turn,
        rates=values / n,
        below=kernel[n:, :n] @ vectors / n,
        start=-vectors.T @ y,
        output=turned(expansion.output, "NN"),
        output_correction=turned(expansion.output_correction, "NN"),
        kernel_correction=turned(expansion.kernel_correction, "Nn") / n,
        kernel_covariance=turned(expansion.kernel_covariance, "NnNn") / n**2,
        output_kernel=np.einsum("qjaj->qaj", turned(expansion.output_kernel, "NnNn")) / n,
        output_third=turned(expansion.output_third, "NNnn") / n**2,
        fourth_kernel=turned(expansion.fourth_kernel, "Nnnn") / n**3,
    )


def _spectrum(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and vectors; what rounding explains is zero, where it might grow with time."""
    values, vectors = np.linalg.eigh((kernel + kernel.T) / 2)
    share = explained_by(float(np.finfo(float).eps), len(kernel))
    return np.where(values > share * values.max(), values, 0.0), vectors


class Integrals(NamedTuple):
    """What depends on time alone, with the times along the first axis.

    ``e`` and ``s`` (t, n): e^{−μ_i t} and its integral from 0. ``D`` (t, n, n): the integral over u
    from 0 to t of e^{−μ_i (t − u)} e^{−μ_j u}.
    """

    e: np.ndarray
    s: np.ndarray
    D: np.ndarray


def integrals(rates: np.ndarray, times: np.ndarray) -> Integrals:
    """In closed form, whether or not rates are zero or equal."""

    def grown(rate: np.ndarray) -> np.ndarray:
        """∫_0^t e^{−rate u} du."""
        t = times.reshape(-1, *(1,) * rate.ndim)
        return np.where(rate > 0, -np.expm1(-rate * t) / np.where(rate > 0, rate, 1.0), t)

    slower = np.minimum(rates[:, None], rates)
    gap = np.abs(rates[:, None] - rates)
    decayed = np.exp(-rates * times[:, None])
    return Integrals(decayed, grown(rates), np.exp(-slower * times[:, None, None]) * grown(gap))


class Path(NamedTuple):
    """At the requested times: the correction of the mean, part by part, and what feeds covariances.

    ``parts`` (T, 4, N); ``start`` (T, N, N), m E f_q(0) ρ_a with q first, or None where f(0) does
    not count; ``D_integral`` (T, n, n), that of D from 0.
    """

    parts: np.ndarray
    start: np.ndarray | None
    D_integral: np.ndarray


_MATRICES = ("output", "output_correction", "kernel", "kernel_correction")
# The share of the mean up to which its correction counts as small.
SMALL = 0.25
# That of a correction up to which the error of the tensors in it does.
_UNSURE = 0.1
# To this relative accuracy an expansion's kernel is that of the network.
_SAME = 1e-2
PARTS = ("kernel_correction", "kernel_covariance", "output_third", "fourth_kernel")


class Sources:
    """What drives ρ at order 1/m, averaged: of the mean, and times f(0)."""

    def __init__(self, modes: Modes, *, centred: bool) -> None:
        n, c = len(modes.rates), modes.start
        self.modes, self.centred = modes, centred
        among = modes.output[:n, :n] if not centred else np.zeros((n, n))
        self.second = np.outer(c, c) + among
        third = np.multiply.outer(self.second, c)
        third += np.multiply.outer(c, among) + np.multiply.outer(among, c).transpose(0, 2, 1)
        self.fourth = modes.fourth_kernel * third
        # C22[ab; bj]: a fluctuation met twice.
        self.twice = np.einsum("abbj->abj", modes.kernel_covariance[:, :, :n])
        if centred:
            return
        of_first = np.einsum("gabg->abg", modes.output_third[:n])
        of_second = np.einsum("babg->abg", modes.output_third[:n])
        self.third = of_first * c[:, None] + of_second * c
        seen = modes.output[:, :n]
        self.third_by_start = (
            modes.output_third * self.second
            + np.einsum("abg,qb->qabg", of_first, seen)
            + np.einsum("abg,qg->qabg", of_second, seen)
        )

    def of_mean(self, at: Integrals, S: np.ndarray) -> np.ndarray:
        """The four parts, (t, 4, N)."""
        modes, c = self.modes, self.modes.start
        width = len(modes.kernel_correction)
        found = np.zeros((len(at.e), len(PARTS), width))
        found[:, 0] = -(at.e * c) @ modes.kernel_correction.T
        found[:, 1] = _contracted(at.D * c, self.twice)
        if not self.centred:
            found[:, 2] = _contracted(at.e[:, :, None] * at.s[:, None], self.third)
        found[:, 3] = -_contracted(at.e[:, :, None, None] * S[:, None], self.fourth)
        return found

    def of_start(self, at: Integrals, S: np.ndarray) -> np.ndarray:
        """Times f_q(0), (t, N, N), q first."""
        modes, n = self.modes, len(self.modes.rates)
        seen = modes.output[:, :n]
        found = _contracted(at.e[:, :, None] * at.s[:, None], self.third_by_start)
        found -= _contracted(at.e, modes.output_kernel)
        found -= (seen * at.e[:, None]) @ modes.kernel_correction.T
        found += seen @ np.einsum("abj,tbj->tja", self.twice, at.D)
        weighted = S * self.second
        found -= (seen * at.e[:, None]) @ np.einsum(
            "abcd,tcd->tba", modes.fourth_kernel, weighted, optimize=True
        )
        # f_q(0) may also meet the residual at the third place of K^(4), or that at the fourth.
        for pairing in ("abcd,tbd,tcd->tca", "abcd,tbc,tcd->tda"):
            paired = (modes.fourth_kernel, at.e[:, :, None] * self.second, S)
            found -= seen @ np.einsum(pairing, *paired, optimize=True)
        return found


def _contracted(values: np.ndarray, tensor: np.ndarray) -> np.ndarray:
    """Σ over all axes of the values but the first, which are the last ones of the tensor."""
    size = values[0].size
    flat = tensor.reshape(-1, size) @ values.reshape(len(values), size).T
    return flat.T.reshape(len(values), *tensor.shape[: tensor.ndim - values.ndim + 1])


def follow(sources: Sources, times: np.ndarray) -> Path:
    """Integrate ρ' = −(1/n) 𝔎 ρ + sources, averaged, up to the last of the times."""
    modes, rule = sources.modes, collocation.radau()
    n, N = len(modes.rates), len(modes.output)
    rho = np.zeros((len(PARTS) + (0 if sources.centred else N), N))
    S, D_integral = np.zeros((n, n)), np.zeros((n, n))
    found = [np.zeros((len(times), *now.shape)) for now in (rho, D_integral)]
    ends = collocation.panels(modes.rates.max(), times[-1])
    for begin, end in itertools.pairwise(ends):
        length = end - begin
        at = integrals(modes.rates, begin + length * rule.nodes)
        S_there = S + length * _summed(rule.integral, at.e[:, :, None] * at.s[:, None])
        D_there = D_integral + length * _summed(rule.integral, at.D)
        source = sources.of_mean(at, S_there)
        if not sources.centred:
            source = np.concatenate([source, sources.of_start(at, S_there)], axis=1)
        trained = collocation.relaxed(rule, modes.rates, length, rho[:, :n], source[..., :n])
        pulled = source[..., n:] - trained @ modes.below.T
        below = rho[:, n:] + length * _summed(rule.integral, pulled)
        rho_there = np.concatenate([trained, below], axis=-1)
        inside = (begin < times) & (times <= end)
        reading = collocation.between(rule, (times[inside] - begin) / length)
        for kept, first, later in zip(found, (rho, D_integral), (rho_there, D_there), strict=True):
            kept[inside] = _summed(reading, np.concatenate([first[None], later]))
        rho, S, D_integral = rho_there[-1], S_there[-1], D_there[-1]
    moved, D_integrals = found
    parts, start = moved[:, : len(PARTS)], moved[:, len(PARTS) :]
    return Path(parts, None if sources.centred else start, D_integrals)


def _summed(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.tensordot(matrix, values, axes=1)


def correction_of_covariance(sources: Sources, path: Path, times: np.ndarray) -> np.ndarray:
    """Cov(f_t, f_t) at order 1/m in the modes, (T, N, N); of f_t − f(0) where that is centred."""
    modes = sources.modes
    at = integrals(modes.rates, times)
    met = modes.kernel_covariance * sources.second[:, None, :]
    found = np.empty((len(times), *modes.output.shape))
    for k in range(len(times)):
        answer = functools.partial(_answer, modes.below, at.D[k], at.s[k], path.D_integral[k])
        found[k] = answer(np.moveaxis(answer(met), 0, -1))
    if path.start is None:
        return found
    passed = passed_on(modes, at)
    crossed = passed @ path.start
    found += passed @ modes.output_correction @ passed.swapaxes(1, 2)
    return found + crossed + crossed.swapaxes(1, 2)


def _answer(
    below: np.ndarray, D: np.ndarray, s: np.ndarray, D_integral: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Sum over the first two axes (p, j) of values (N, n, ..): how f(t) answers to k_pj r_j(0)."""
    n = len(s)
    pulled = np.einsum("pj,pj...->p...", D_integral, values[:n])
    trained = -np.einsum("pj,pj...->p...", D, values[:n])
    unseen = _summed(below, pulled) - np.einsum("j,xj...->x...", s, values[n:])
    return np.concatenate([trained, unseen])


def passed_on(modes: Modes, at: Integrals) -> np.ndarray:
    """1 + H, (t, N, N): what of f(0) is left in f(t) where the labels are y."""
    n, N = len(modes.rates), len(modes.output)
    found = np.tile(np.eye(N), (len(at.e), 1, 1))
    found[:, :n, :n] *= at.e[:, None]
    found[:, n:, :n] = -modes.below * at.s[:, None]
    return found


@spelled
def predict_ensemble(
    net: FullyConnected,
    X: Float[Array, "n d"],
    y: Float[Array, " n"],
    times: Float[Array, " T"],
    *,
    X_test: Float[Array, "N-n d"] | None = None,
    centred: bool = True,
    expansion: WidthExpansion | None = None,
    tolerance: float = 1e-5,
    block: int | None = None,
) -> EnsemblePrediction:
    """Mean and covariance of networks trained by gradient flow, over draws of their parameters.

    No network is drawn. Each is trained as by :func:`gradient_flow` on (1/2n) Σ (f_α − y_α)², and
    the moments are known to order 1/m in the width, at any depth of ``net``. What does not depend
    on m is exact, and is what the limiting kernel predicts. The corrections come from the
    statistics of :func:`width_expansion`: the mean of K^(2) at the start and its covariance, the
    mean of K^(4), and that of f(0) K^(3).

    Args:
        net: the architecture. The prediction serves all widths; only the warning looks at that of
            ``net``.
        X: training inputs (n, d).
        y: labels (n,).
        times: sorted times from which the moments are returned, none negative.
        X_test: test inputs; their moments follow those of the training points.
        centred: True trains f − f(0), towards y, and returns its moments: at infinite width they
            do not scatter. False trains f itself, as neural-tangents'
            ``gradient_descent_mse_ensemble`` does.
        expansion: that of ``net`` on the training points and then the test points, where it is at
            hand; computed by quadrature if None, which takes minutes for twenty points in all.
            For more, give :func:`width_expansion` a key and a tolerance of 1e-2.
        tolerance: that of the expansion which is computed. Late times and kernels that are nearly
            singular ask for small ones.
        block: test points that are expanded together; all by default. The work grows with
            (n + block)^4 and the number of blocks. Corrections of the covariance between test
            points of two blocks are not computed: they are NaN.

    Returns:
        An :class:`EnsemblePrediction`.

    Raises:
        TypeError, ValueError: naming the argument, before any work starts.
        MemoryError: before any work starts, when the tensors or the moments would not fit.

    Warns:
        UserWarning: when training inputs coincide; when ``expansion`` has the kernel of another
            network or of other points; when the errors of the expansion make up a tenth of a
            correction from some time on; or when at the width of ``net`` the correction is not
            small against the mean, and from which width on it is.

    Does not work under ``jit``, ``vmap`` or ``grad``.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=64, depth=1)
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=3)
    >>> found = nth.predict_ensemble(net, X, jnp.ones(3), jnp.array([0.0, 1.0, 2.0]))
    >>> mean, covariance = found.at(width=64)
    >>> mean.shape, covariance.shape
    ((3, 3), (3, 3, 3))
    """
    data = _checked(net, X, y, times, X_test, centred, expansion, tolerance, block)
    with np.errstate(all="ignore"):  # what overflows is told below
        found, unsure_from = _predicted(net, data)
    variances = jnp.diagonal(found.covariance_correction, axis1=1, axis2=2)
    known = (found.mean, found.mean_correction, found.covariance, variances)
    finite = all(map(checks.is_finite, known))
    checks.warn_unless_finite(finite, "the predicted moments", "X, y or times are")
    if finite and unsure_from is not None:
        checks.warn(
            f"from t = {unsure_from:.6g} on the errors of the expansion may make up a tenth of a "
            "correction or more: the kernel is nearly singular for so late a time; give a smaller "
            "tolerance"
        )
    if finite:
        _warn_of_width(net.width, found)
    return found


def _warn_of_width(width: int, found: EnsemblePrediction) -> None:
    """Not the parts' sum is looked at, in which they may cancel.

    How far the next order in 1/m is from being small shows in the parts.
    """
    whole = np.linalg.norm(np.asarray(found.mean), axis=1)
    parts = sum(np.linalg.norm(np.asarray(part), axis=1) for part in found.parts.values())
    known = whole > 0
    share = float(np.max(np.broadcast_to(parts, whole.shape)[known] / whole[known], initial=0.0))
    if share > SMALL * width:
        checks.warn(
            f"at width {width} the correction is not small: its parts reach {share / width:.2g} of "
            "the mean, and what is left out, of order 1/m², may count as well; they stay below "
            f"a quarter from width {math.ceil(share / SMALL)} on"
        )


class _Data(NamedTuple):
    points: Array
    y: np.ndarray
    times: np.ndarray
    centred: bool
    expansion: WidthExpansion | None
    tolerance: float
    block: int


def _checked(
    net: Any,
    X: Any,
    y: Any,
    times: Any,
    X_test: Any,
    centred: Any,
    expansion: Any,
    tolerance: Any,
    block: Any,
) -> _Data:
    require_own_law("net", net)
    X, X_test = checks.inputs(X, X_test, net.dim)
    y = checks.floating_array("y", y, (len(X),))
    dtype = checks.at_least_single(jnp.result_type(X, y))
    times = checks.time_points(times, dtype)
    for name, given in {"X": X, "y": y, "times": times, "X_test": X_test}.items():
        if checks.is_traced(given):
            raise TypeError(
                f"{name} must be a concrete array: predict_ensemble does not work under jit, vmap "
                "or grad"
            )
        if name[0] == "X" and given is not None and not np.asarray(given).any(axis=1).all():
            raise ValueError(f"{name} must not hold a zero row")
    checks.flag("centred", centred)
    tolerance = checks.positive_number("tolerance", tolerance)
    checks.require(tolerance < 1, f"tolerance must be below 1, got {tolerance:g}")
    if block is not None:
        block = checks.whole_number("block", block, 1)
    points = X if X_test is None else jnp.concatenate([X, X_test])
    _check_expansion(expansion, len(points), block)
    tests = len(points) - len(X)
    block = min(block or tests, tests)
    _check_room(len(X), tests, len(times), block, dtype.itemsize, is_expanded=expansion is None)
    warn_of_coinciding(X)
    if expansion is not None:
        _warn_of_another(net, points, expansion)
    return _Data(
        points=points.astype(dtype),
        y=np.asarray(y, np.float64),
        times=np.asarray(times, np.float64),
        centred=centred,
        expansion=expansion,
        tolerance=tolerance,
        block=block,
    )


def _warn_of_another(net: FullyConnected, points: Array, expansion: WidthExpansion) -> None:
    """Warn when the first two points and the last have another limiting kernel."""
    some = np.unique([0, min(1, len(points) - 1), len(points) - 1])
    given = np.asarray(expansion.kernel)[np.ix_(some, some)]
    expected = np.asarray(limit_kernel(net, points[some]))
    if np.abs(given - expected).max() > _SAME * np.abs(expected).max():
        checks.warn(
            "expansion has another limiting kernel than net on X and X_test: it is that of another "
            "network or of other points"
        )


def _check_expansion(expansion: Any, size: int, block: int | None) -> None:
    if expansion is None:
        return
    if not isinstance(expansion, WidthExpansion):
        raise TypeError(f"expansion must be a WidthExpansion, got {checks.describe(expansion)}")
    for field in dataclasses.fields(expansion):
        tensor = getattr(expansion, field.name)
        if field.name == "error":
            continue
        shape = (size,) * (2 if field.name in _MATRICES else 4)
        if jnp.shape(tensor) != shape:
            raise ValueError(
                f"expansion must be of the {size} training and test points together, got "
                f"{field.name} of shape {jnp.shape(tensor)}"
            )
        if not checks.is_finite(tensor):
            raise ValueError(f"expansion must be finite, got a {field.name} that is not finite")
    if block is not None:
        raise ValueError("block is for the expansion that is computed: leave it or expansion out")


def _check_room(
    n: int, tests: int, times: int, block: int, itemsize: int, *, is_expanded: bool
) -> None:
    """Raise ``MemoryError`` where the tensors of a block or what is returned would not fit."""
    size, whole = n + block, n + tests
    tensors = 8 * (6 * size**2 * n**2 + 2 * times * size**2)
    if is_expanded:
        tensors += bytes_needed(size)
    returned = (8 + itemsize) * times * (3 * whole**2 + 6 * whole)
    check_memory(tensors + returned, None, "a smaller block or fewer times")


def _predicted(net: FullyConnected, data: _Data) -> tuple[EnsemblePrediction, float | None]:
    """The moments, and the time from which on the errors of the expansion count, or None."""
    n, N, times = len(data.y), len(data.points), len(data.times)
    parts, correction = np.zeros((times, len(PARTS), N)), np.full((times, N, N), np.nan)
    unsure: set[float] = set()
    for first in range(n, max(N, n + 1), max(data.block, 1)):
        rows = np.append(np.arange(n), np.arange(first, min(first + data.block, N)))
        expansion = data.expansion or width_expansion(
            net, data.points[rows], tolerance=data.tolerance
        )
        found = _corrections(expansion, data)
        parts[:, :, rows], correction[:, rows[:, None], rows] = found
        unsure |= set(data.times[_is_unsure(found, _corrections(_disturbed(expansion), data))])
    mean, covariance = frozen_moments(*_limits(net, data), data.y, data.times)
    parts_by_name = dict(zip(PARTS, parts.transpose(1, 0, 2), strict=True))
    if data.centred:
        del parts_by_name["output_third"]  # nothing of f(0) is left to meet K^(3)
    result = (data.times, mean, parts.sum(axis=1), covariance, correction, parts_by_name)
    dtype = data.points.dtype
    moments = EnsemblePrediction(*jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), result))
    return moments, min(unsure, default=None)


def _corrections(expansion: WidthExpansion, data: _Data) -> tuple[np.ndarray, np.ndarray]:
    """Of the mean in parts (T, 4, N), and of the covariance (T, N, N)."""
    sources = Sources(in_modes(expansion, data.y), centred=data.centred)
    path = follow(sources, data.times)
    back = sources.modes.turn.T
    found = correction_of_covariance(sources, path, data.times)
    return path.parts @ back, back.T @ found @ back


def _disturbed(expansion: WidthExpansion) -> WidthExpansion:
    """The expansion with errors as large as it says, of random signs, in what corrections take."""
    random, off = np.random.default_rng(0), {}
    for name, share in expansion.error.items():
        if name not in ("output", "kernel"):
            tensor = np.asarray(getattr(expansion, name), np.float64)
            size = share * np.abs(tensor).max()
            off[name] = tensor + size * random.choice([-1.0, 1.0], size=tensor.shape)
    return dataclasses.replace(expansion, **off)


def _is_unsure(
    found: tuple[np.ndarray, np.ndarray], disturbed: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """At which times the two differ by more than they may, next to the largest so far; (T,)."""
    unsure = np.zeros(len(found[0]), bool)
    for one, other in zip(found, disturbed, strict=True):
        axes = tuple(range(1, one.ndim))
        size = np.maximum.accumulate(np.abs(one).max(axis=axes))
        unsure |= np.abs(one - other).max(axis=axes) > _UNSURE * size
    return unsure


def _limits(net: FullyConnected, data: _Data) -> tuple[np.ndarray, np.ndarray | None]:
    """𝔎 (N, n) and, where it counts, the covariance of f(0): to more digits than the tensors."""
    n, expansion = len(data.y), data.expansion
    kernel = limit_kernel(net, data.points) if expansion is None else expansion.kernel
    trained = np.asarray(kernel, np.float64)[:, :n]
    if data.centred:
        return trained, None
    output = limit_output(net, data.points) if expansion is None else expansion.output
    return trained, np.asarray(output, np.float64)


def frozen_moments(
    kernel: np.ndarray, output: np.ndarray | None, y: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (T, N) and covariance (T, N, N) at infinite width: a Gaussian process, moved linearly.

    ``kernel`` (N, n) is the limiting K^(2), ``output`` (N, N) the covariance of f(0), or None for
    the moments of f − f(0), in which nothing is random (Lee et al. 2019, Wide neural networks of
    any depth evolve as linear models, corollary 1).
    """
    n, N = len(y), len(kernel)
    rates, vectors = _spectrum(kernel[:n])
    at = integrals(rates / n, times)
    learned = (vectors * -(at.e - 1)[:, None]) @ vectors.T
    learned = np.concatenate([learned, kernel[n:] / n @ (vectors * at.s[:, None]) @ vectors.T], 1)
    if output is None:
        return learned @ y, np.zeros((len(times), N, N))
    passed = np.tile(np.eye(N), (len(times), 1, 1))
    passed[:, :, :n] -= learned
    return learned @ y, passed @ output @ passed.swapaxes(1, 2)
