"""Inputs and labels: points on the sphere, teacher networks, real digits; Assumption 2.2."""

import itertools
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from nthlib import checks
from nthlib.memory import check_memory
from nthlib.network import FullyConnected
from nthlib.spelling import spelled

_EXHAUSTIVE_SUBSETS = 20_000
_COINCIDE = 1e-7


@spelled
def sphere(
    key: PRNGKeyArray, n: int, dim: int, *, smallest_singular_value: float | None = None
) -> Float[Array, "n dim"]:
    """Draw n points on the unit sphere of R^dim.

    With ``smallest_singular_value`` s the Gram matrix of a uniform draw is moved along a line
    through the identity until its smallest eigenvalue is s²: rows keep length one, and the
    n × dim matrix X has smallest singular value s. s = 1 gives orthonormal points, s = 0 linearly
    dependent ones.

    Args:
        key: a random key.
        n: how many points.
        dim: their dimension, the d of :class:`FullyConnected`.
        smallest_singular_value: s, in [0, 1]; a uniform draw unless given.

    Returns:
        The points X, shape (n, dim), rows of length one.

    Raises:
        TypeError, ValueError: when s is not in [0, 1], or n > dim with s given.
        MemoryError: when n · dim numbers would not fit.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=5, smallest_singular_value=0.5)
    >>> round(float(jnp.linalg.svd(X)[1][-1]), 4)
    0.5
    """
    checks.random_key("key", key)
    n, dim = checks.whole_number("n", n, 1), checks.whole_number("dim", dim, 1)
    # The points, their copy of length one, and what a singular value decomposition makes.
    check_memory(8 * 4 * n * dim, None, "a smaller n or dim")
    points = jax.random.normal(key, (n, dim))
    points = points / jnp.linalg.norm(points, axis=1, keepdims=True)
    if smallest_singular_value is None:
        return points
    s = checks.real_number("smallest_singular_value", smallest_singular_value)
    if not 0 <= s <= 1:
        raise ValueError(f"smallest_singular_value must be in [0, 1] on the unit sphere, got {s}")
    if n > dim:
        raise ValueError(f"n must be at most dim = {dim} for a chosen singular value, got {n}")
    if n == 1:
        if s < 1:
            raise ValueError(f"smallest_singular_value must be 1 for a single unit input, got {s}")
        return points
    left, singular, right = jnp.linalg.svd(points, full_matrices=False)
    share = (s**2 - singular[-1] ** 2) / (1 - singular[-1] ** 2)
    moved = jnp.sqrt(jnp.maximum((1 - share) * singular**2 + share, 0.0))
    return (left * moved[None]) @ right


@spelled
def teacher_labels(
    key: PRNGKeyArray, teacher: FullyConnected, X: Float[Array, "N d"]
) -> Float[Array, " N"]:
    """The outputs of a network drawn from ``key``, with mean zero and variance one over X.

    Pass training and test inputs together, so that both are scaled alike.

    Args:
        key: a random key, from which the teacher's parameters are drawn.
        teacher: the network whose outputs are the labels.
        X: inputs (N, d), at least two.

    Returns:
        The labels, shape (N,).

    Raises:
        TypeError, ValueError: naming the argument, also when all outputs are equal.
        MemoryError: when the teacher or its units on all inputs would not fit.

    Warns:
        UserWarning: when the outputs hold NaN or infinity.

    >>> import jax, nthlib as nth
    >>> X = nth.sphere(jax.random.key(0), n=20, dim=4)
    >>> y = nth.teacher_labels(jax.random.key(1), nth.FullyConnected(4, 64, 1), X)
    >>> y.shape
    (20,)
    """
    if not isinstance(teacher, FullyConnected):
        raise TypeError(f"teacher must be a FullyConnected, got {type(teacher).__name__}")
    X, _ = checks.inputs(X, None, teacher.dim)
    if len(X) < 2:
        raise ValueError("X must hold at least two inputs to scale the labels")
    units = (len(X) + teacher.dim + (teacher.depth - 1) * teacher.width + 1) * teacher.width
    check_memory(8 * 2 * units, None, "a smaller teacher or fewer inputs")
    outputs = teacher(teacher.init(key, X.dtype), X)
    checks.warn_unless_finite(jnp.isfinite(outputs).all(), "the teacher's labels", "X is")
    spread = outputs.std()
    if not checks.is_traced(spread) and spread <= _COINCIDE * jnp.abs(outputs).max():
        raise ValueError("X must hold inputs to which the teacher gives different outputs")
    return (outputs - outputs.mean()) / spread


@spelled
def digits(
    labels: str | tuple[int, int] = "parity",
    n: int | None = None,
    *,
    key: PRNGKeyArray | None = None,
) -> tuple[Float[Array, "n 64"], Float[Array, " n"]]:
    """Real handwritten digits with labels ±1: scikit-learn's 1,797 images of 8 × 8 pixels.

    The mean image is taken off and every image scaled to length one, as Assumption 2.2 asks.

    Args:
        labels: "parity" (+1 for even digits), or a pair (a, b): only these two digits, +1
            for a and −1 for b.
        n: how many images; all by default.
        key: when given, the images are shuffled before the first n are taken.

    Returns:
        (X, y) of shapes (n, 64) and (n,).

    Raises:
        TypeError, ValueError: naming the argument, also when there are fewer than n such images.

    >>> import nthlib as nth
    >>> X, y = nth.digits(labels=(3, 8), n=10)
    >>> X.shape, sorted(set(y.tolist()))
    ((10, 64), [-1.0, 1.0])
    """
    # Here, because scikit-learn takes longer to import than everything else in this module.
    from sklearn.datasets import load_digits

    images, numerals = load_digits(return_X_y=True)
    centred = images - images.mean(axis=0)
    points = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    if isinstance(labels, str) and labels == "parity":
        chosen = np.arange(len(numerals))
        signs = np.where(numerals % 2 == 0, 1.0, -1.0)
    else:
        first, second = _digit_pair(labels)
        chosen = np.flatnonzero((numerals == first) | (numerals == second))
        signs = np.where(numerals == first, 1.0, -1.0)
    if key is not None:
        checks.random_key("key", key)
        chosen = chosen[np.asarray(jax.random.permutation(key, len(chosen)))]
    if n is not None:
        n = checks.whole_number("n", n, 1)
        if n > len(chosen):
            raise ValueError(
                f"n must be at most {len(chosen)} for these labels, got {checks.describe(n)}"
            )
        chosen = chosen[:n]
    return jnp.asarray(points[chosen], float), jnp.asarray(signs[chosen], float)


def _digit_pair(labels: object) -> tuple[int, int]:
    try:
        first, second = (checks.whole_number("labels", digit, 0) for digit in labels)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'labels must be "parity" or two digits, got {checks.describe(labels)}'
        ) from error
    if first == second or max(first, second) > 9:
        raise ValueError(
            f"labels must be two different digits from 0 to 9, got {checks.describe(labels)}"
        )
    return first, second


@dataclass(frozen=True)
class InputReport:
    """Assumption 2.2, measured on given inputs.

    ``norms``: the shortest and the longest input. ``smallest``: for every r the smallest
    singular value found over subsets of r inputs, and ``subsets`` the rows that attain it.
    ``exact`` tells for which r all subsets were looked at; for the others the value found is an
    upper bound and ``lower_bound``, the smallest singular value of the whole matrix, a lower one.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> print(nth.check_inputs(jnp.array([[1.0, 0.0], [0.0, 2.0]]), order=2))
    norms from 1 to 2
    2 inputs: smallest singular value 1 (rows 0, 1)
    Assumption 2.2 holds on every subset looked at
    """

    norms: tuple[float, float]
    smallest: dict[int, float]
    subsets: dict[int, tuple[int, ...]]
    exact: dict[int, bool]
    lower_bound: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """True when no input is zero and no subset is dependent to within the tolerance.

        >>> import jax.numpy as jnp, nthlib as nth
        >>> nth.check_inputs(jnp.eye(2), order=2).holds
        True
        """
        return self.norms[0] > self.tolerance and self.broken_by is None

    @property
    def broken_by(self) -> tuple[int, ...] | None:
        """The smallest dependent subset of rows that was found, or None.

        >>> import jax.numpy as jnp, nthlib as nth
        >>> X = jnp.array([[1.0, 0.0], [2.0, 0.0]])
        >>> nth.check_inputs(X, order=2).broken_by
        (0, 1)
        """
        for r, value in self.smallest.items():
            if value <= self.tolerance:
                return self.subsets[r]
        return None

    def __str__(self) -> str:
        lines = [f"norms from {self.norms[0]:.3g} to {self.norms[1]:.3g}"]
        for r, value in self.smallest.items():
            kind = "smallest" if self.exact[r] else "at most"
            rows = ", ".join(map(str, self.subsets[r]))
            lines.append(f"{r} inputs: {kind} singular value {value:.3g} (rows {rows})")
        if self.norms[0] <= self.tolerance:
            lines.append("Assumption 2.2 is broken: an input is zero")
        elif self.broken_by is not None:
            lines.append(f"Assumption 2.2 is broken: rows {self.broken_by} are linearly dependent")
        else:
            lines.append("Assumption 2.2 holds on every subset looked at")
        return "\n".join(lines)


@spelled
def check_inputs(X: Float[Array, "n d"], order: int) -> InputReport:
    """Measure Assumption 2.2 (Huang and Yau 2020) on the inputs, for kernels up to ``order``.

    It asks that every input has a norm between c and 1/c and that any r ≤ 2·order + 1 distinct
    inputs have a smallest singular value bounded from below. Pairs are all looked at. Larger
    subsets are all looked at while there are few; else the worst is searched for greedily, by
    adding to the worst smaller subset the input that lowers the singular value most.

    Args:
        X: inputs (n, d).
        order: p, the order of the hierarchy in use.

    Returns:
        An :class:`InputReport`; print it to read it.

    Raises:
        TypeError, ValueError: naming the argument.
        MemoryError: when the pairs of inputs would not fit.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> report = nth.check_inputs(jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]]), order=2)
    >>> report.holds, report.broken_by
    (False, (1, 2))
    """
    order = checks.whole_number("order", order, 1)
    X = checks.floating_array("X", X, (None, None))
    # The Gram matrix, and all pairs with what their eigenvalues are made of.
    check_memory(8 * 7 * len(X) ** 2, None, "fewer rows of X")
    for r in range(3, min(2 * order + 1, len(X)) + 1):
        few = math.comb(len(X), r) <= _EXHAUSTIVE_SUBSETS
        blocks = math.comb(len(X), r) if few else len(X)
        check_memory(8 * 3 * blocks * r * r, None, "fewer rows of X, or a lower order")
    points = np.asarray(X, dtype=np.float64)
    # A power of two, which rounds nothing: squares of huge or tiny inputs leave the floats.
    scale = float(np.ldexp(1.0, int(np.frexp(np.abs(points).max())[1]) - 1))
    points = points / scale
    gram = points @ points.T
    smallest: dict[int, float] = {}
    subsets: dict[int, tuple[int, ...]] = {}
    exact: dict[int, bool] = {}
    for r in range(2, min(2 * order + 1, len(points)) + 1):
        exact[r] = r == 2 or math.comb(len(points), r) <= _EXHAUSTIVE_SUBSETS
        candidates = (
            _subsets(len(points), r) if exact[r] else _extensions(subsets[r - 1], len(points))
        )
        subset = candidates[np.argmin(_least_eigenvalues(gram, candidates))]
        subsets[r] = tuple(int(row) for row in subset)
        smallest[r] = scale * _least_singular_value(points[subset])
    norms = scale * np.linalg.norm(points, axis=1)
    return InputReport(
        norms=(float(norms.min()), float(norms.max())),
        smallest=smallest,
        subsets=subsets,
        exact=exact,
        lower_bound=scale * _least_singular_value(points),
        tolerance=_COINCIDE * float(norms.max()),
    )


def _subsets(n: int, r: int) -> np.ndarray:
    if r == 2:  # there can be millions of pairs, which must not be Python's tuples
        return np.column_stack(np.triu_indices(n, 1))
    return np.array(list(itertools.combinations(range(n), r)))


def _extensions(subset: tuple[int, ...], n: int) -> np.ndarray:
    return np.array([sorted((*subset, row)) for row in range(n) if row not in subset])


def _least_eigenvalues(gram: np.ndarray, subsets: np.ndarray) -> np.ndarray:
    if subsets.shape[1] == 2:  # in closed form: there can be millions of pairs
        a, b = gram[subsets[:, 0], subsets[:, 0]], gram[subsets[:, 1], subsets[:, 1]]
        c = gram[subsets[:, 0], subsets[:, 1]]
        return (a + b) / 2 - np.hypot((a - b) / 2, c)
    blocks = gram[subsets[:, :, None], subsets[:, None, :]]
    return np.asarray(np.linalg.eigvalsh(blocks)[:, 0])


def _least_singular_value(rows: np.ndarray) -> float:
    """Zero for more rows than columns: they are dependent whatever they are."""
    if len(rows) > rows.shape[1]:
        return 0.0
    return float(np.linalg.svd(rows, compute_uv=False)[-1])
