"""Moments of trained networks to order 1/m: divided differences, brute force, real ensembles."""

import dataclasses
import itertools
import json
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decoupled import coupled_draws, layer_limits
from helpers import unit_rows
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.special import expit

import nthlib as nth

ANOTHER = "expansion has another limiting kernel"
# Of numbers that are made up, which belong to no network.
pytestmark = pytest.mark.filterwarnings(f"ignore:{ANOTHER}:UserWarning")

NAMES = ("output_cumulant", "output_kernel", "kernel_covariance", "output_third", "fourth_kernel")


def made_up(n, tests, eigenvalues=None, seed=0):
    """An expansion of random numbers, with the symmetries that every expansion has."""
    rng, N = np.random.default_rng(seed), n + tests
    values = np.linspace(0.4, 2.0, n) if eigenvalues is None else np.asarray(eigenvalues)
    vectors = np.linalg.qr(rng.normal(size=(n, n)))[0]
    kernel, output = rng.normal(size=(2, N, N))
    kernel, output = kernel @ kernel.T, output @ output.T
    kernel[:n, :n] = vectors * values @ vectors.T
    corrections = rng.normal(size=(2, N, N))
    corrections += corrections.swapaxes(1, 2)
    first, pairs, crossed, third, fourth = rng.normal(size=(5, N, N, N, N))
    crossed = sum(crossed.transpose(p) for p in [(0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2)])
    crossed += crossed.transpose(1, 0, 2, 3)
    crossed += crossed.transpose(0, 1, 3, 2)
    pairs = pairs + pairs.transpose(1, 0, 2, 3)
    pairs = pairs + pairs.transpose(0, 1, 3, 2)
    pairs = pairs + pairs.transpose(2, 3, 0, 1)
    third = third + third.transpose(0, 2, 1, 3)
    fourth = fourth + fourth.transpose(1, 0, 2, 3)
    tensors = dict(zip(NAMES, (first, crossed, pairs, third, fourth), strict=True))
    matrices = {"output": output, "kernel": kernel}
    matrices |= {"output_correction": corrections[0], "kernel_correction": corrections[1]}
    return nth.WidthExpansion(**tensors, **matrices, error={}), rng.normal(size=n)


def predicted(expansion, y, times, *, centred):
    """What ``predict_ensemble`` makes of an expansion: the network and the points are idle."""
    N = len(expansion.kernel)
    X = jnp.asarray(np.random.default_rng(9).normal(size=(N, 3)))
    net = nth.FullyConnected(3, 10**6, 1)
    n = len(y)
    test = X[n:] if n < N else None
    return nth.predict_ensemble(
        net,
        X[:n],
        jnp.asarray(y),
        jnp.asarray(times),
        X_test=test,
        centred=centred,
        expansion=expansion,
    )


# Divided differences: the training points in closed form.


def divided(rates, t):
    """(−1)^k [a_0 .. a_k] e^{−xt}: the corner of the exponential of a bidiagonal matrix."""
    matrix = np.diag(-np.asarray(rates)) + np.diag(np.ones(len(rates) - 1), 1)
    return expm(t * matrix)[0, -1]


def closed_form(expansion, y, t):
    """φ(t) on the training points, centred: section by section a sum over all modes."""
    n = len(y)
    values, vectors = np.linalg.eigh(expansion.kernel[:n, :n])
    # SciPy's exponential loses all digits where two rates differ by rounding alone.
    values = np.array([float(f"{value:.11e}") for value in np.round(values, 15)])
    mu, c, modes = values / n, -vectors.T @ y, range(n)

    def turned(tensor):
        for _ in range(np.ndim(tensor)):
            tensor = np.tensordot(tensor[:n], vectors, axes=(0, 0))
        return tensor

    K1, C22, K4 = (
        turned(tensor)
        for tensor in (
            expansion.kernel_correction,
            expansion.kernel_covariance,
            expansion.fourth_kernel,
        )
    )
    phi = np.zeros(n)
    for i, j in itertools.product(modes, repeat=2):
        phi[i] -= K1[i, j] * c[j] * divided((mu[i], mu[j]), t) / n
    for i, j, k in itertools.product(modes, repeat=3):
        phi[i] += C22[i, j, j, k] * c[k] * divided((mu[i], mu[j], mu[k]), t) / n**2
    for i, j, k, p in itertools.product(modes, repeat=4):
        rates = (mu[i], mu[j], mu[j] + mu[k], mu[j] + mu[k] + mu[p])
        phi[i] -= K4[i, j, k, p] * c[j] * c[k] * c[p] * divided(rates, t) / n**3
    return vectors @ phi


SPECTRA = {
    "generic": None,
    "stiff": [1e-5, 1.0, 1e5],
    "repeated": [0.7, 0.7, 2.0],
    "all equal": [1.0, 1.0, 1.0],
    "singular": [0.0, 1.0, 1.0],
    "nearly repeated": [1.0, 1.0 + 1e-4, 2.0],
}


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_training_points_agree_with_divided_differences(spectrum):
    """The rounding of the exponential, of matrices up to 1e6, is the larger."""
    expansion, y = made_up(3, 2, SPECTRA[spectrum])
    times = np.array([0.0, 0.01, 1.0, 7.0, 40.0])
    found = predicted(expansion, y, times, centred=True).mean_correction[:, :3]
    expected = [closed_form(expansion, y, t) for t in times]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


# Brute force: no eigenvectors, no closed integral, no formula for a Gaussian moment.


def wick(variables, mean, covariance):
    """E of a product of jointly Gaussian variables, pair by pair."""
    if not variables:
        return 1.0
    first, *rest = variables
    total = mean(first) * wick(rest, mean, covariance) if mean(first) else 0.0
    for i, other in enumerate(rest):
        factor = covariance(first, other)
        if factor:
            total += factor * wick(rest[:i] + rest[i + 1 :], mean, covariance)
    return total


def moments(expansion, y, *, centred):
    """The averages that enter at order 1/m, entry by entry, from the first cumulants alone."""
    n, N = len(y), len(expansion.kernel)

    def mean(variable):
        return -y[variable[1]] if variable[0] == "r" else 0.0

    def covariance(one, other):
        one, other = sorted((one, other))
        kinds = one[0] + other[0]
        if centred and "r" in kinds:
            return 0.0
        kinds = kinds.replace("r", "f")
        if kinds == "ff":
            return expansion.output[one[1], other[1]]
        if kinds == "kk":
            return expansion.kernel_covariance[(*one[1:], *other[1:])]
        if kinds == "ft":
            return expansion.output_third[(one[1], *other[1:])]
        if kinds == "tr":
            return expansion.output_third[(other[1], *one[1:])]
        return 0.0  # by the parity of the readout

    def table(form, *sizes):
        found = np.zeros(sizes)
        for at in np.ndindex(sizes):
            found[at] = wick(form(*at), mean, covariance)
        return found

    f, r, k, third = (
        lambda *i: ("f", *i), lambda *i: ("r", *i), lambda *i: ("k", *i), lambda *i: ("t", *i)
    )  # fmt: skip
    return {
        "r r": table(lambda i, j: [r(i), r(j)], n, n),
        "r r r": table(lambda i, j, h: [r(i), r(j), r(h)], n, n, n),
        "k k r": table(lambda a, b, p, j, h: [k(a, b), k(p, j), r(h)], N, n, N, n, n),
        "t r r": table(lambda a, b, g, i, j: [third(a, b, g), r(i), r(j)], N, n, n, n, n),
        "f r": table(lambda q, i: [f(q), r(i)], N, n),
        "f r r r": table(lambda q, i, j, h: [f(q), r(i), r(j), r(h)], N, n, n, n),
        "f k k r": table(lambda q, a, b, p, j, h: [f(q), k(a, b), k(p, j), r(h)], N, N, n, N, n, n),
        "f t r r": table(
            lambda q, a, b, g, i, j: [f(q), third(a, b, g), r(i), r(j)], N, N, n, n, n, n
        ),
    }


def brute_force(expansion, y, times, *, centred):
    """Corrections of mean and covariance by SciPy, from the equations order by order."""
    n, N = len(y), len(expansion.kernel)
    expansion = nth.WidthExpansion(
        **{name: np.asarray(value) for name, value in vars(expansion).items() if name != "error"},
        error={},
    )
    average = moments(expansion, y, centred=centred)
    K, K1 = expansion.kernel[:, :n] / n, expansion.kernel_correction[:, :n]
    K4 = expansion.fourth_kernel[:, :n, :n, :n]
    crossed = (not centred) * expansion.output_kernel[:, :n, :, :n]
    shapes = {
        "E": (n, n), "R": (n, n), "Q": (n, n, n, n), "H": (N, n), "W": (N, N, n, n),
        "mean": (N,), "start": (N, N),
    }  # fmt: skip
    ends = np.cumsum([np.prod(shape) for shape in shapes.values()])

    def split(state):
        pieces = np.split(state, ends[:-1])
        return {
            name: piece.reshape(shape)
            for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
        }

    def velocity(t, state):
        now = split(state)
        E, R, Q, W = now["E"], now["R"], now["Q"], now["W"]
        answers = -np.einsum("ap,jl->apjl", np.eye(N), E) / n
        mean, start = -K @ now["mean"][:n], -now["start"][:, :n] @ K.T
        for found, before, f in ((mean, "", ""), (start, "f ", "q")):
            first = "r" if not before else "f r"
            of_r = -y if first == "r" else average["f r"]
            found -= np.einsum(f"ab,bl,{f}l->{f}a", K1, E, of_r) / n
            found -= (
                np.einsum(f"{f}abpjl,bpjl->{f}a", average[before + "k k r"], W[:n], optimize=True)
                / n
            )
            found += (
                np.einsum(f"{f}abgkl,bk,gl->{f}a", average[before + "t r r"], E, R, optimize=True)
                / n**2
            )
            found -= (
                np.einsum(
                    f"abcd,bk,cdlm,{f}klm->{f}a", K4, E, Q, average[before + "r r r"], optimize=True
                )
                / n**3
            )
        start -= np.einsum("qlab,bl->qa", crossed, E) / n
        return np.concatenate([
            part.ravel()
            for part in (
                -K[:n] @ E, E, np.einsum("cl,dm->cdlm", E, R), -K @ E,
                np.einsum("ab,bpjl->apjl", -K, W[:n]) + answers, mean, start,
            )
        ])  # fmt: skip

    begin = np.zeros(ends[-1])
    begin[: n * n] = np.eye(n).ravel()
    solution = solve_ivp(
        velocity, (0, times[-1]), begin, method="DOP853", rtol=1e-10, atol=1e-12, t_eval=times
    )
    means, covariances = [], []
    for state in solution.y.T:
        now = split(state)
        covariance = np.einsum(
            "apjl,pjqi,bqik,lk->ab",
            now["W"], expansion.kernel_covariance[:, :n, :, :n], now["W"], average["r r"],
            optimize=True,
        )  # fmt: skip
        if not centred:
            left = np.eye(N)
            left[:, :n] += now["H"]
            covariance += left @ expansion.output_correction @ left.T
            covariance += left @ now["start"] + (left @ now["start"]).T
        means.append(now["mean"])
        covariances.append(covariance)
    return np.array(means), np.array(covariances)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("sizes", [(3, 2), (2, 0)])
def test_everything_agrees_with_a_numerical_solver(sizes, centred):
    """The solver's own error: 1e-10 a step, some hundred steps."""
    expansion, y = made_up(*sizes, seed=1)
    times = np.array([0.0, 0.4, 3.0, 12.0])
    found = predicted(expansion, y, times, centred=centred)
    mean, covariance = brute_force(expansion, y, times, centred=centred)
    for one, other in ((found.mean_correction, mean), (found.covariance_correction, covariance)):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-8 * np.abs(other).max())


# At infinite width.

CASES = json.loads(Path(__file__).with_name("neural_tangents.json").read_text())


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: f"depth {case['depth']}")
def test_infinite_width_is_that_of_neural_tangents(case):
    """Numbers of another library; where they come from stands with them, under "origin"."""
    sigma = case["sigma"]
    net = nth.FullyConnected(3, 64, case["depth"], nth.erf, sigma_w=sigma, sigma_a=sigma)
    X, X_test, y, times = (jnp.array(CASES[name]) for name in ("X", "X_test", "y", "times"))
    with warnings.catch_warnings(action="ignore"):  # narrow for its depth
        found = nth.predict_ensemble(net, X, y, times, X_test=X_test, centred=False)
        still = nth.predict_ensemble(net, X, y, times, X_test=X_test)
    np.testing.assert_allclose(found.mean, case["mean"], atol=1e-7)
    np.testing.assert_allclose(found.covariance, case["covariance"], atol=1e-7)
    np.testing.assert_array_equal(still.mean, found.mean)
    assert not still.covariance.any()


# Networks that are drawn and trained, by NumPy: antithetic readouts, the frozen kernel as control.

ACTIVATIONS = {
    "tanh": (jnp.tanh, np.tanh, lambda h: 1 - np.tanh(h) ** 2),
    "softplus": (jax.nn.softplus, lambda h: np.logaddexp(0, h), expit),
}


def passes(activation, weights, readout, X):
    """Outputs (B, N), inputs of every layer (B, ., N) and ∂f/∂h of every layer (B, m, N)."""
    _, sigma, slope = ACTIVATIONS[activation]
    root = readout.shape[-1] ** 0.5
    states, slopes = [np.broadcast_to(X.T, (len(readout), *X.T.shape))], []
    for weight in weights:
        h = weight @ states[-1]
        states.append(sigma(h) / root)
        slopes.append(slope(h) / root)
    adjoints = [readout[:, :, None] * slopes[-1]]
    for weight, below in zip(weights[:0:-1], slopes[-2::-1], strict=True):
        adjoints.insert(0, weight.swapaxes(1, 2) @ adjoints[0] * below)
    return (readout[:, None] @ states[-1])[:, 0], states, adjoints


def tangent_kernel(states, adjoints, n):
    """K^(2), (B, N, n)."""
    layers = zip(states, [*adjoints, np.ones((1, 1, 1))], strict=True)
    return sum(x.swapaxes(1, 2) @ x[..., :n] * (b.swapaxes(1, 2) @ b[..., :n]) for x, b in layers)


def stepped(velocity, state, step, times, observe):
    """Runge and Kutta's method of order four; what is observed at the times, (B, T, ..)."""
    done, found = 0, []

    def moved(state, factor, by):
        return [one + factor * other for one, other in zip(state, by, strict=True)]

    for time in times:
        while done < round(time / step):
            first = velocity(state)
            second = velocity(moved(state, step / 2, first))
            third = velocity(moved(state, step / 2, second))
            fourth = velocity(moved(state, step, third))
            for factor, by in ((1, first), (2, second), (2, third), (1, fourth)):
                state = moved(state, factor * step / 6, by)
            done += 1
        found.append(observe(state))
    return np.stack(found, axis=1)


def trained(activation, weights, readout, X, labels, X_all, step, times):
    """Predictions of really trained networks, (B, T, N)."""

    def velocity(state):
        outputs, states, adjoints = passes(activation, state[:-1], state[-1], X)
        force = (labels - outputs)[:, None] / len(X)
        last = (states[-1] @ force.swapaxes(1, 2))[..., 0]
        return [
            adjoint * force @ x.swapaxes(1, 2)
            for adjoint, x in zip(adjoints, states[:-1], strict=True)
        ] + [last]

    def outputs(state):
        return passes(activation, state[:-1], state[-1], X_all)[0]

    return stepped(velocity, [*weights, readout], step, times, outputs)


def moved_linearly(kernel, start, labels, step, times):
    """What a kernel (B, N, n) at rest makes of outputs (B, N), by the same method."""
    n = kernel.shape[-1]

    def velocity(state):
        return [(kernel @ (labels - state[0][:, :n])[..., None])[..., 0] / n]

    return stepped(velocity, [start], step, times, lambda state: state[0])


def mean_and_error(samples):
    samples = np.asarray(samples)
    return samples.mean(axis=0), samples.std(axis=0, ddof=1) / len(samples) ** 0.5


class Measured:
    """An ensemble of pairs ±a, and the statistics that are compared.

    Of the mean: ``linear`` and ``curved``, what the kernel at the start does to first order and
    beyond, and ``moving``, what its movement does. Of the covariance: what is beyond P f(0).
    """

    def __init__(
        self, activation, depth, n, width, pairs, *, centred, times=(2.0, 4.0), batch=16, seed=0
    ):
        rng = np.random.default_rng([seed, n, depth, width])
        X = np.random.default_rng(n).normal(size=(n + 2, n + 1))
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        y = np.random.default_rng(n).uniform(0.5, 1.2, size=n) * (-1.0) ** np.arange(n)
        self.net = nth.FullyConnected(n + 1, width, depth, ACTIVATIONS[activation][0], sigma_a=0.8)
        self.times, step, fine = times, 0.5, 0.05
        self.X, self.y = X, y
        self.expansion = nth.width_expansion(self.net, jnp.asarray(X), tolerance=1e-3)
        self.found = nth.predict_ensemble(
            self.net, jnp.asarray(X[:n]), jnp.asarray(y), jnp.array(self.times),
            X_test=jnp.asarray(X[n:]), centred=centred, expansion=self.expansion,
        )  # fmt: skip
        limit = np.asarray(self.expansion.kernel)[None, :, :n]
        zero, unit, mild = np.zeros((1, n + 2)), np.eye(n + 2), 1e-3
        self.passed = moved_linearly(limit, unit, 0.0, fine, self.times).transpose(1, 2, 0)
        if centred:
            self.passed = np.zeros_like(self.passed)
        samples = {"linear": [], "curved": [], "moving": [], "covariance": []}
        for _ in range(pairs // batch):
            weights = [
                rng.normal(size=(batch, width, size)) for size in [n + 1, *[width] * (depth - 1)]
            ]
            readout = 0.8 * rng.normal(size=(batch, width))
            start, states, adjoints = passes(activation, weights, readout, X)
            kernel = tangent_kernel(states, adjoints, n)
            off = mild * (kernel - limit)
            linear = sum(
                sign * moved_linearly(limit + sign * off, zero, y, fine, self.times) / (2 * mild)
                for sign in (1, -1)
            )
            samples["linear"].append(linear)
            samples["curved"].append(
                moved_linearly(kernel, zero, y, fine, self.times) - linear - self.found.mean
            )
            moving, products = 0.0, 0.0
            for sign in (1, -1):
                labels = y + (sign * start[:, :n] if centred else 0.0)
                outputs = trained(
                    activation, weights, sign * readout, X[:n], labels, X, step, self.times
                )
                still = moved_linearly(kernel, sign * start, labels, step, self.times)
                moving = moving + (outputs - still) / 2
                gap = outputs - (sign * start[:, None] if centred else 0.0) - self.found.mean
                free = np.einsum("tij,bj->bti", self.passed, sign * start)
                products = products + (_squares(gap) - _squares(free)) / 2
            samples["moving"].append(moving)
            samples["covariance"].append(products)
        self.samples = {name: np.concatenate(values) for name, values in samples.items()}

    def coefficients(self):
        """m times the averages, with standard errors, and what is predicted of each."""
        parts = {name: np.asarray(part) for name, part in self.found.parts.items()}
        start = self.passed @ np.asarray(self.expansion.output_correction)
        expected = {
            "linear": parts["kernel_correction"],
            "curved": parts["kernel_covariance"],
            "moving": parts["fourth_kernel"] + parts.get("output_third", 0.0),
            "covariance": self.found.covariance_correction - start @ self.passed.swapaxes(1, 2),
        }
        for name, samples in self.samples.items():
            mean, error = mean_and_error(samples)
            yield name, self.net.width * mean, self.net.width * error, expected[name]


def scores(*ensemble, widths, pairs, **settings):
    """By name: standard errors between prediction and measurement, and the former's size in them.

    The term of order 1/m is extrapolated linearly in 1/m from a width and from twice that.
    """
    narrow, wide = (
        Measured(*ensemble, width, pairs, **settings).coefficients() for width in widths
    )
    for (name, one, one_error, expected), (_, two, two_error, _) in zip(narrow, wide, strict=True):
        error = np.sqrt(one_error**2 + 4 * two_error**2)
        yield name, (2 * two - one - expected) / error, np.abs(expected / error)


def _squares(values):
    return values[..., :, None] * values[..., None, :]


def check_measured(*ensemble, centred):
    """All numbers of an ensemble lean on the same draws, so that they err together.

    The sizes say what the comparison can see: a prediction that were off by its own size, or less.
    """
    seen = {"curved": 3, "moving": 3, "covariance": 5 if centred else 0.5}
    found = scores(*ensemble, widths=(64, 128), pairs=384, centred=centred)
    for name, off, size in found:
        assert np.sqrt(np.mean(off**2)) < 2, name
        assert np.abs(off).max() < 4, name  # of a hundred numbers
        assert name not in seen or size.max() > seen[name], name  # "linear" is zero at H = 1


@pytest.mark.parametrize("centred", [True, False])
def test_trained_networks_have_the_predicted_moments(centred):
    check_measured("softplus", 2, 3, centred=centred)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "depth", "n", "centred"),
    [
        ("softplus", 1, 3, True),
        ("tanh", 1, 8, False),
        ("tanh", 2, 8, True),
        ("tanh", 3, 3, True),
        ("softplus", 3, 8, True),
        ("softplus", 3, 8, False),
    ],
)
def test_trained_networks_of_other_depths_have_them_too(activation, depth, n, centred):
    check_measured(activation, depth, n, centred=centred)


def mean_of_linear(measured, draws, seed=0, at_once=4096):
    """What E K^(2) − 𝔎 does to first order, (T, N), with its errors, from many more draws.

    It is linear in K^(2), so that kernels at the start are enough.
    """
    net, X, limit = measured.net, measured.X, np.asarray(measured.expansion.kernel)
    n, upper, mild = len(measured.y), np.triu_indices(len(X)), 1e-3
    unit = np.zeros((len(upper[0]), *limit.shape))
    places = np.arange(len(unit))
    unit[places, upper[0], upper[1]] = unit[places, upper[1], upper[0]] = 1.0
    start, kernel = np.zeros((1, len(X))), limit[None, :, :n]
    response = sum(
        sign
        * moved_linearly(
            kernel + sign * mild * unit[..., :n], start, measured.y, 0.05, measured.times
        )
        for sign in (1, -1)
    ) / (2 * mild)
    random, found, known = np.random.default_rng([seed, net.width]), [], []
    for _ in range(draws // at_once):
        _, kernels, beside = coupled_draws(net, X, *layer_limits(net, X), random, at_once)
        found.append(np.tensordot(kernels - limit[upper], response, axes=1))
        known.append(beside)
    found, design = np.concatenate(found), np.concatenate(known)
    design = np.concatenate([np.ones((len(design), 1)), design], axis=1)
    flat = found.reshape(len(found), -1)
    fit = np.linalg.lstsq(design, flat, rcond=None)[0]
    left = (flat - design @ fit).std(axis=0) / len(flat) ** 0.5
    return fit[0].reshape(found.shape[1:]), left.reshape(found.shape[1:])


def exponent_of_remainder(activation, depth, n, centred, pairs):
    """Of the mean late in training, along the direction in which the narrowest network is off."""
    widths, values, errors, direction = np.array([16, 32, 64, 128]), [], [], None
    for width in widths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that the narrowest is too narrow
            measured = Measured(
                activation, depth, n, int(width), pairs, centred=centred, times=[20.0]
            )
        beyond = (measured.samples["curved"] + measured.samples["moving"])[:, 0]
        linear = error = np.zeros(beyond.shape[1])  # E K^(2) = 𝔎 with one hidden layer
        if depth > 1:
            linear, error = (part[0] for part in mean_of_linear(measured, 2**16))
        left = linear + beyond.mean(axis=0) - np.asarray(measured.found.mean_correction)[0] / width
        direction = left / np.linalg.norm(left) if direction is None else direction
        values.append(direction @ left)
        errors.append(np.hypot((beyond @ direction).std() / len(beyond) ** 0.5, direction @ error))
    relative = np.array(errors) / values
    (exponent, _), covariance = np.polyfit(
        np.log(widths), np.log(values), 1, w=1 / relative, cov="unscaled"
    )
    return exponent, covariance[0, 0] ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "depth", "n", "centred", "pairs"),
    [
        ("tanh", 1, 8, True, 8192),
        ("tanh", 2, 3, True, 1024),
        ("softplus", 2, 3, True, 1024),
        ("softplus", 2, 8, True, 1024),
        ("tanh", 3, 3, True, 1024),
        ("tanh", 3, 8, False, 1024),
    ],
)
def test_what_the_first_correction_leaves_falls_as_the_square_of_the_width(
    activation, depth, n, centred, pairs
):
    exponent, error = exponent_of_remainder(activation, depth, n, centred, pairs)
    assert error < 0.1
    assert abs(exponent + 2) < 0.3


# What is exact whatever the tensors are.


def test_nothing_has_moved_at_time_zero():
    expansion, y = made_up(3, 2)
    for centred in (True, False):
        found = predicted(expansion, y, [0.0], centred=centred)
        assert not found.mean.any()
        assert not found.mean_correction.any()
        at_start = (0.0, 0.0) if centred else (expansion.output, expansion.output_correction)
        np.testing.assert_allclose(found.covariance[0], at_start[0], atol=1e-13)
        np.testing.assert_allclose(found.covariance_correction[0], at_start[1], atol=1e-13)


@pytest.mark.parametrize("centred", [True, False])
def test_long_after_training_nothing_moves(centred):
    """Every residual is gone at 1e3 over the slowest rate, and at 1e12; the start is forgotten."""
    expansion, y = made_up(3, 2)
    late, later = (predicted(expansion, y, [time], centred=centred) for time in (1e4, 1e13))
    for name in ("mean", "mean_correction", "covariance", "covariance_correction"):
        one, other = getattr(late, name), getattr(later, name)
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(later.mean[0, :3], y, rtol=1e-12)
    assert abs(later.mean_correction[0, :3]).max() < 1e-10
    assert abs(later.covariance_correction[0, :3]).max() < 1e-10
    assert abs(later.mean_correction[0, 3:]).min() > 1e-3


def test_the_parts_add_up_and_the_width_divides():
    expansion, y = made_up(3, 2)
    found = predicted(expansion, y, [0.5, 2.0], centred=False)
    assert set(found.parts) <= {field.name for field in dataclasses.fields(nth.WidthExpansion)}
    np.testing.assert_allclose(sum(found.parts.values()), found.mean_correction, rtol=1e-12)
    assert "output_third" not in predicted(expansion, y, [0.5], centred=True).parts
    mean, covariance = found.at(500)
    np.testing.assert_allclose(mean, found.mean + found.mean_correction / 500)
    np.testing.assert_allclose(covariance, found.covariance + found.covariance_correction / 500)
    np.testing.assert_allclose(covariance, covariance.swapaxes(1, 2), rtol=0, atol=1e-13)
    assert jax.tree.structure(found) == jax.tree.structure(jax.tree.map(jnp.sin, found))


NET = nth.FullyConnected(3, 64, 2, sigma_a=0.8)
POINTS, Y, TIMES = unit_rows(6, 3), jnp.array([1.0, -0.5, 0.3]), jnp.array([0.5, 3.0])


@pytest.mark.parametrize("centred", [True, False])
def test_blocks_of_test_points_change_nothing_but_what_they_leave_out(centred):
    X, X_test = POINTS[:3], POINTS[3:]
    whole = nth.predict_ensemble(NET, X, Y, TIMES, X_test=X_test, centred=centred)
    split = nth.predict_ensemble(NET, X, Y, TIMES, X_test=X_test, centred=centred, block=2)
    # What the tensors err by here; their tolerance is 1e-3 of the largest entry.
    for name in ("mean", "mean_correction", "covariance"):
        np.testing.assert_allclose(
            getattr(split, name), getattr(whole, name), atol=2e-5, err_msg=name
        )
    unknown = np.zeros((6, 6), bool)
    unknown[3:5, 5] = unknown[5, 3:5] = True
    for one, other in zip(split.covariance_correction, whole.covariance_correction, strict=True):
        np.testing.assert_array_equal(np.isnan(one), unknown)
        np.testing.assert_allclose(one[~unknown], other[~unknown], atol=2e-5)


def test_an_expansion_at_hand_is_used_as_it_is():
    X, X_test = POINTS[:3], POINTS[3:4]
    expansion = nth.width_expansion(NET, POINTS[:4], tolerance=1e-3)
    given = nth.predict_ensemble(NET, X, Y, TIMES, X_test=X_test, expansion=expansion)
    computed = nth.predict_ensemble(NET, X, Y, TIMES, X_test=X_test, tolerance=1e-3)
    np.testing.assert_allclose(given.mean_correction, computed.mean_correction, rtol=1e-12)


def test_a_test_point_among_the_training_points_is_predicted_as_these():
    found = nth.predict_ensemble(NET, POINTS[:3], Y, TIMES, X_test=POINTS[1:2], centred=False)
    for name in ("mean", "mean_correction"):
        values = getattr(found, name)
        np.testing.assert_allclose(values[:, 3], values[:, 1], rtol=0, atol=1e-11)
    for name in ("covariance", "covariance_correction"):
        values = getattr(found, name)
        np.testing.assert_allclose(values[:, 3], values[:, 1], rtol=0, atol=1e-11)
        np.testing.assert_allclose(values[:, 3, 3], values[:, 1, 1], rtol=0, atol=1e-11)


def test_a_repeated_training_point_has_a_null_mode_and_one_prediction():
    X, y = POINTS[jnp.array([0, 1, 1])], jnp.array([1.0, -0.5, 0.1])
    with pytest.warns(UserWarning, match="same input twice"):
        found = nth.predict_ensemble(NET, X, y, TIMES, centred=False)
    for name in ("mean", "mean_correction"):
        values = getattr(found, name)
        np.testing.assert_allclose(values[:, 1], values[:, 2], rtol=0, atol=1e-11)


# Warnings and refusals.


def test_a_width_too_small_is_named_with_one_that_is_not():
    expansion = nth.width_expansion(NET, POINTS[:3])

    def at(width):
        net = dataclasses.replace(NET, width=width)
        return nth.predict_ensemble(net, POINTS[:3], Y, TIMES, expansion=expansion)

    with pytest.warns(
        UserWarning, match=r"at width 1 .* of the mean, .* from width \d+ on"
    ) as seen:
        at(1)
    enough = int(str(seen[0].message).split("from width ")[1].split()[0])
    with warnings.catch_warnings(action="error"):
        at(enough)
    with pytest.warns(UserWarning, match=f"from width {enough} on"):
        at(enough - 1)
    with pytest.warns(UserWarning, match=f"at width 1 .* from width {enough} on"):
        at(enough).at(1)


@pytest.mark.parametrize("net", [dataclasses.replace(NET, depth=NET.depth + 1), None])
def test_an_expansion_of_something_else_is_noticed(net):
    """Of a deeper network, and of the right one with the points in another order."""
    expansion = nth.width_expansion(net or NET, POINTS[:3][:: 1 if net else -1], tolerance=1e-3)
    with pytest.warns(UserWarning, match=ANOTHER):
        nth.predict_ensemble(NET, POINTS[:3], Y, TIMES, expansion=expansion)


def test_errors_that_grow_with_time_are_noticed():
    """A linear network in two dimensions: its kernel is singular, and nothing moves along there.

    A coarse expansion lets networks scatter along the null directions, the more the later.
    """
    angles = jnp.arange(5.0)
    X = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    net = nth.FullyConnected(2, 10**6, 2, lambda h: h)
    y, times = jnp.array([1.0, -1.0, 1.0, -1.0, 1.0]), jnp.array([0.5, 1000.0])
    with pytest.warns(UserWarning, match="errors of the expansion"):
        coarse = nth.predict_ensemble(net, X[:4], y[:4], times, X_test=X[4:], tolerance=1e-3)
    fine = nth.predict_ensemble(net, X[:4], y[:4], times[:1], X_test=X[4:], tolerance=1e-7)
    off = np.abs(coarse.mean_correction[0] - fine.mean_correction[0]).max()
    assert off < 0.01 * np.abs(fine.mean_correction).max()


@pytest.mark.bad_input
def test_bad_input_is_refused_in_one_sentence(machine):
    X = POINTS[:3]
    small = nth.width_expansion(NET, X)
    calls = [
        ({"expansion": "none"}, TypeError, "expansion must be a WidthExpansion, got str"),
        (
            {"X_test": POINTS[3:], "expansion": small},
            ValueError,
            "of the 6 training and test points together",
        ),
        ({"expansion": small, "block": 1}, ValueError, "leave it or expansion out"),
        ({"block": 0}, ValueError, "block must be at least 1"),
        ({"centred": 1}, TypeError, "centred must be True or False"),
        ({"y": jnp.ones((3, 2))}, ValueError, r"y must have shape \(3,\)"),
        ({"times": jnp.array([1.0, 0.0])}, ValueError, "times must be sorted"),
        ({"net": jnp.tanh}, TypeError, "net must be a FullyConnected"),
    ]
    for wrong, error, sentence in calls:
        given = {"net": NET, "X": X, "y": Y, "times": TIMES} | wrong
        with pytest.raises(error, match=sentence):
            nth.predict_ensemble(**given)
    with pytest.raises(TypeError, match="y must be a concrete array"):
        jax.jit(lambda y: nth.predict_ensemble(NET, X, y, TIMES).mean)(Y)
    machine(2**16)
    with pytest.raises(MemoryError, match="a smaller block or fewer times"):
        nth.predict_ensemble(NET, X, Y, TIMES, X_test=POINTS[3:])


@pytest.mark.bad_input
@pytest.mark.parametrize("width", [0, 2.0, None])
def test_a_width_must_be_a_whole_number(width):
    expansion, y = made_up(2, 0)
    with pytest.raises((TypeError, ValueError), match="width must be"):
        predicted(expansion, y, [1.0], centred=True).at(width)
