"""K^(2) of many drawn networks, each beside a decoupled network whose averages are known.

The decoupled network is driven by the same noise, but takes every covariance of its layers from
the limit of infinite width. A regression on it takes most of the noise of a mean away.
"""

import jax
import numpy as np
from helpers import gaussian_mean

from nthlib.activations import derivative


def layer_limits(net, X):
    """Covariances of h in each layer and of f, and E[σ'σ'] of each layer, by a trapezoid rule."""
    covariances, slopes = [net.sigma_w**2 * np.asarray(X @ X.T)], []
    for layer in range(net.depth):
        G, n = covariances[-1], len(X)
        pairs = [[(G[i, i], G[j, j], G[i, j]) for j in range(n)] for i in range(n)]
        slope = derivative(net.activation)
        scale = net.sigma_a if layer == net.depth - 1 else net.sigma_w
        mean = [[gaussian_mean(net.activation, *pair) for pair in row] for row in pairs]
        slopes.append(np.array([[gaussian_mean(slope, *pair) for pair in row] for row in pairs]))
        covariances.append(scale**2 * np.array(mean))
    return covariances, slopes


def coupled_draws(net, X, covariances, slopes, random, draws):
    """f f averaged over the readout, K^(2), and what is known to have mean zero, for many draws.

    Layers are drawn through their Gram matrices: h = L̂ε has the covariance that the layer below
    gives it, and Wᵀλ the law of W given Wx = h. The decoupled network takes L of the limit.
    """
    (n, d), m, H = X.shape, net.width, net.depth
    sigma = [np_function(derivative(net.activation, r)) for r in (0, 1)]
    scales = [net.sigma_w] * (H - 1) + [net.sigma_a]
    root, upper = np.linalg.cholesky, np.triu_indices(n)

    def gram(values):
        return values @ values.swapaxes(1, 2)

    x, xs, hs, free, known = np.broadcast_to(X, (draws, n, d)), [], [], [], []
    for layer, scale in enumerate(scales):
        xs.append(x)
        noise = random.normal(size=(draws, n if layer else d, m))
        hs.append((root(net.sigma_w**2 * gram(x)) if layer else net.sigma_w * X) @ noise)
        free.append(root(covariances[layer]) @ noise if layer else hs[0])
        x = sigma[0](hs[-1]) / np.sqrt(m)
        known.append(scale**2 * gram(sigma[0](free[-1])) / m - covariances[layer + 1])
    S, K = net.sigma_a**2 * gram(x), gram(x)
    back = adrift = net.sigma_a * random.normal(size=(draws, 1, m))
    B = np.full((n, n), net.sigma_a**2)
    for layer in reversed(range(H)):
        back = back * sigma[1](hs[layer]) / np.sqrt(m)
        adrift = adrift * sigma[1](free[layer]) / np.sqrt(m)
        B = B * slopes[layer]
        K = K + gram(back) * gram(xs[layer])
        known.append(gram(adrift) - B)
        if layer:
            noise = net.sigma_w * random.normal(size=(draws, n, m))
            inside = np.linalg.solve(gram(xs[layer]), xs[layer])
            across = noise - (noise @ xs[layer].swapaxes(1, 2)) @ inside
            back = (back @ hs[layer].swapaxes(1, 2)) @ inside + root(gram(back)) @ across
            adrift, B = root(B) @ noise, net.sigma_w**2 * B
    known = np.concatenate([values[:, *upper] for values in known], axis=1)
    return S[:, *upper], K[:, *upper], known


def np_function(function):
    compiled = jax.jit(function)
    return lambda values: np.asarray(compiled(values))
