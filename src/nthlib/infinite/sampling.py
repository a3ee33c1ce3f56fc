"""The Gaussian expectations at four inputs from one sample for all of them, by Sobol's points."""

import inspect

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, qmc

from nthlib.infinite.moments import Derivatives
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
    derivatives: Derivatives,
    z: Float[np.ndarray, "points N"],
) -> Moments:
    """Expectations at four inputs for h ~ N(0, G), whose expectations ``pair`` at two are given.

    Products at two inputs are centred by these, which takes most of the error away.
    """
    n = len(G)
    eigenvalues, vectors = np.linalg.eigh(G)
    # The first of Sobol's dimensions are the best ones.
    factor = (vectors * np.sqrt(np.maximum(eigenvalues, 0.0)))[:, ::-1]
    rows, columns = np.triu_indices(n)
    orders = [(0, 0), (1, 1), (2, 2)]
    means = [pair[a, b][rows, columns] for a, b in orders] + [
        pair[2, 0].ravel(),
        pair[3, 1].ravel(),
    ]
    mean = np.concatenate(means)
    half = len(rows)
    ss_ss, with_pp = np.zeros((half, half)), np.zeros((len(mean), half))
    for block in np.array_split(z, max(1, len(z) * len(mean) // _NUMBERS_AT_ONCE)):
        h = factor @ block.T
        sigma = derivatives(h.ravel())[:4].reshape(4, n, -1)
        products = [sigma[a][rows] * sigma[b][columns] for a, b in orders]
        products += [(sigma[a][:, None] * sigma[b]).reshape(n * n, -1) for a, b in ((2, 0), (3, 1))]
        centred = np.concatenate(products) - mean[:, None]
        ss_ss += centred[:half] @ centred[:half].T
        with_pp += centred @ centred[half : 2 * half].T
    ss_ss, with_pp = ss_ss / len(z), with_pp / len(z)
    ss_ss += np.outer(means[0], means[0])
    with_pp += np.outer(mean, means[1])

    place = np.empty((n, n), int)
    place[rows, columns] = place[columns, rows] = np.arange(half)
    every = np.arange(n * n).reshape(n, n)

    def whole(gram: np.ndarray, left: np.ndarray) -> Tensor:
        return gram[left[:, :, None, None], place]

    return Moments(
        pair,
        m0000=_over_pairings(whole(ss_ss, place)),
        m0011=whole(with_pp, place),
        m1111=_over_pairings(whole(with_pp, place + half)),
        m2211=whole(with_pp, place + 2 * half),
        m2011=whole(with_pp, every + 3 * half),
        m3111=_over_pairings(whole(with_pp, every + 3 * half + n * n)),
    )


def _over_pairings(tensor: Tensor) -> Tensor:
    """The mean over which of the last three inputs was centred together with the first."""
    return (tensor + tensor.transpose(0, 2, 1, 3) + tensor.transpose(0, 3, 2, 1)) / 3
