"""The Gaussian expectations at four inputs from one sample for all of them, by Sobol's points."""

import inspect

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.linalg import block_diag
from scipy.stats import norm, qmc

from nthlib.infinite.moments import Derivatives, FourPoint
from nthlib.infinite.recursion import Matrix, Moments, Tensor

# SciPy 1.15 renamed the argument.
_RANDOM = "rng" if "rng" in inspect.signature(qmc.Sobol).parameters else "seed"
# Numbers held at once: products of derivatives at a block of the points.
_NUMBERS_AT_ONCE = 2**22


def normal_points(
    random: np.random.Generator, dim: int, log2_count: int
) -> Float[np.ndarray, "points dim"]:
    """Scrambled Sobol points as normal ones, with mean zero and covariance one exactly."""
    points = qmc.Sobol(dim, scramble=True, **{_RANDOM: random}).random_base2(log2_count)
    # A point can be rounded to the edge of the cube.
    edge = np.finfo(float).eps
    z = norm.ppf(np.clip(points, edge, 1 - edge))
    z -= z.mean(axis=0)
    root = np.linalg.cholesky(z.T @ z / len(z))
    return np.linalg.solve(root, z.T).T


def by_sample(
    G: Matrix,
    pair: Float[np.ndarray, "6 6 N N"],
    at_two: FourPoint,
    derivatives: Derivatives,
    z: Float[np.ndarray, "points N"],
) -> Moments:
    """Expectations at four inputs for h ~ N(0, G), given those ``at_two`` different inputs.

    These are products of two functions of two inputs each. The best quadratic polynomial of each
    function is known from ``pair``, and products of polynomials exactly; the sample serves what is
    left of both alone, which takes most of its error away.
    """
    n = len(G)
    eigenvalues, vectors = np.linalg.eigh(G)
    # The first of Sobol's dimensions are the best ones.
    factor = (vectors * np.sqrt(np.maximum(eigenvalues, 0.0)))[:, ::-1]
    rows, columns = np.triu_indices(n)
    half = len(rows)
    first, second = (axis.ravel() for axis in np.indices((n, n)))
    features = [(a, a, rows, columns) for a in range(3)]
    features += [(a, b, first, second) for a, b in ((2, 0), (3, 1))]
    quadratic = sparse.vstack([_quadratic_part(pair, *feature) for feature in features]).tocsr()
    found = quadratic @ (_covariance_of_monomials(G) @ quadratic[: 2 * half].T.toarray())
    for block in np.array_split(z, max(1, len(z) * len(found) // _NUMBERS_AT_ONCE)):
        h = factor @ block.T
        sigma = derivatives(h.ravel())[:4].reshape(4, n, -1)
        products = np.concatenate([sigma[a][mu] * sigma[b][nu] for a, b, mu, nu in features])
        products -= quadratic @ _monomials(h, G)
        found[:half, :half] += products[:half] @ products[:half].T / len(z)
        found[:, half:] += products @ products[half : 2 * half].T / len(z)
    ss_ss, with_pp = found[:half, :half], found[:, half:]

    place = np.empty((n, n), int)
    place[rows, columns] = place[columns, rows] = np.arange(half)
    ordered = np.arange(n * n).reshape(n, n)

    def whole(gram: np.ndarray, left: np.ndarray) -> Tensor:
        return gram[left[:, :, None, None], place]

    tensors = {
        "m0000": _over_pairings(whole(ss_ss, place)),
        "m0011": whole(with_pp, place),
        "m1111": _over_pairings(whole(with_pp, place + half)),
        "m2211": whole(with_pp, place + 2 * half),
        "m2011": whole(with_pp, ordered + 3 * half),
        "m3111": _over_pairings(whole(with_pp, ordered + 3 * half + n * n)),
    }
    at_two.spread(tensors)
    return Moments(pair, **tensors)


def _monomials(h: np.ndarray, G: Matrix) -> np.ndarray:
    """1, h_i and h_i h_j − G_ij for i ≤ j, at points in columns."""
    rows, columns = np.triu_indices(len(G))
    squares = h[rows] * h[columns] - G[rows, columns][:, None]
    return np.concatenate([np.ones((1, h.shape[1])), h, squares])


def _covariance_of_monomials(G: Matrix) -> Matrix:
    rows, columns = np.triu_indices(len(G))
    across = G[np.ix_(rows, rows)] * G[np.ix_(columns, columns)]
    crossed = G[np.ix_(rows, columns)] * G[np.ix_(columns, rows)]
    return np.asarray(block_diag(1.0, G, across + crossed))


def _quadratic_part(
    pair: np.ndarray, a: int, b: int, mu: np.ndarray, nu: np.ndarray
) -> sparse.coo_array:
    """The part of σ^(a)(h_μ) σ^(b)(h_ν) in Hermite polynomials to degree two, in monomials.

    Its coefficients are expectations of derivatives.
    """
    n, one = pair.shape[-1], np.zeros_like(mu)

    def square(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        first, second = np.minimum(i, j), np.maximum(i, j)
        return 1 + n + first * n - first * (first - 1) // 2 + second - first

    def expected(i: int, j: int) -> np.ndarray:
        return np.asarray(pair[a + i, b + j][mu, nu])

    terms = [
        (one, expected(0, 0)), (1 + mu, expected(1, 0)), (1 + nu, expected(0, 1)),
        (square(mu, mu), expected(2, 0) / 2), (square(mu, nu), expected(1, 1)),
        (square(nu, nu), expected(0, 2) / 2),
    ]  # fmt: skip
    columns, values = (np.concatenate(parts) for parts in zip(*terms, strict=True))
    feature = np.tile(np.arange(len(mu)), len(terms))
    shape = (len(mu), 1 + n + n * (n + 1) // 2)
    return sparse.coo_array((values, (feature, columns)), shape=shape)


def _over_pairings(tensor: Tensor) -> Tensor:
    """The mean over which of the last three inputs was centred together with the first."""
    return (tensor + tensor.transpose(0, 2, 1, 3) + tensor.transpose(0, 3, 2, 1)) / 3
