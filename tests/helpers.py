"""Networks, inputs and slow references shared by the tests.

No reference here calls the library's kernels: each is written from the definition, by
reverse derivatives where the library goes forward, or by a solver other than diffrax.
"""

import functools
import importlib.util
import itertools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

import nthlib as nth
from nthlib.network import Parameters

traced_widths: list[int] = []  # filled by measures when JAX traces them; see test_scaling


def unit_rows(n, dim, seed=0):
    """Points on the sphere, drawn by NumPy and not by the library."""
    points = np.random.default_rng(seed).normal(size=(n, dim))
    return jnp.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))


def network(depth=2, width=7, dim=3, activation=jnp.tanh, sigma_w=1.3, sigma_a=0.8, seed=0):
    """A network with parameters drawn by NumPy: independent of ``init``, and nothing compiles."""
    net = nth.FullyConnected(dim, width, depth, activation, sigma_w=sigma_w, sigma_a=sigma_a)
    normal = np.random.default_rng(seed).normal
    weights = [sigma_w * normal(size=(width, n)) for n in [dim] + [width] * (depth - 1)]
    readout = sigma_a * normal(size=width)
    return net, Parameters(tuple(map(jnp.asarray, weights)), jnp.asarray(readout))


def relative_difference(found, expected):
    """The largest difference over the largest entry."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


def jacobian_gram(model, params, rows, columns=None):
    """K^(2) as the Gram matrix of full Jacobians, contracted leaf by leaf."""
    everything = rows if columns is None else jnp.concatenate([rows, columns])
    split = 0 if columns is None else len(rows)
    leaves = [
        np.asarray(leaf).reshape(len(everything), -1)
        for leaf in jax.tree.leaves(jax.jit(jax.jacrev(model))(params, everything))
    ]
    return sum(leaf[: split or None] @ leaf[split:].T for leaf in leaves)


def gradient_recursion(model, params, X, order, X_test=None):
    """K^(order), entry by entry: ⟨∇K^(r), ∇f_β⟩ with reverse gradients of scalar functions.

    Written for one entry and vectorised over them; traceable in the parameters.
    """
    everything = X if X_test is None else jnp.concatenate([X, X_test])
    theta, unravel = ravel_pytree(params)

    def prediction(theta, index):
        return model(unravel(theta), everything[index][None])[0]

    def next_level(kernel):
        def raised(theta, *indices):
            slope = jax.grad(kernel)(theta, *indices[:-1])
            return slope @ jax.grad(prediction)(theta, indices[-1])

        return raised

    kernel = prediction
    for _ in range(order - 1):
        kernel = next_level(kernel)
    shape = (len(everything),) + (len(X),) * (order - 1)
    indices = jnp.indices(shape).reshape(order, -1)
    entries = jax.jit(jax.vmap(functools.partial(kernel, theta)))(*indices)
    return entries.reshape(shape)


def reference_flow(model, params, X, y, times):
    """Parameters along gradient flow by SciPy's DOP853: a list of pytrees, one a time."""
    theta, unravel = ravel_pytree(params)

    @jax.jit
    def gradient(theta):
        return jax.grad(lambda t: 0.5 * jnp.mean((model(unravel(t), X) - y) ** 2))(theta)

    solution = solve_ivp(
        lambda t, state: -np.asarray(gradient(state)),
        (0.0, max(float(times[-1]), 1e-9)),
        np.asarray(theta),
        method="DOP853",
        rtol=1e-10,
        atol=1e-12,
        t_eval=np.unique(times),
    )
    states = dict(zip(solution.t.tolist(), solution.y.T, strict=True))
    return [unravel(jnp.asarray(states[float(t)])) for t in times]


def gaussian_mean(function, p, q, c, radius=10.0, count=801):
    """E[φ(u) φ(v)] by the trapezoid rule on a square, spectrally accurate for smooth φ."""
    z = np.linspace(-radius, radius, count)
    weights = np.exp(-(z**2) / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    u = np.sqrt(p) * z
    v = c / np.sqrt(p) * z[:, None] + np.sqrt(max(q - c**2 / p, 0.0)) * z
    left = np.asarray(function(jnp.asarray(u)))
    right = np.asarray(function(jnp.asarray(v)))
    return float((weights * left) @ right @ weights)


# Models other than FullyConnected.


def with_biases(params, X):
    hidden = jnp.tanh(X @ params["in"] + params["shift"])
    return jax.nn.softplus(hidden @ params["out"] + params["offset"]) - 0.5


def with_skip(params, X):
    first = jnp.tanh(X @ params["in"] + params["shift"])
    second = first + jax.nn.softplus(first @ params["mid"] + params["offset"])
    return second @ params["out"] + X.sum(axis=1) * params["direct"]


def convolution(params, X):
    features = jnp.tanh(jax.lax.conv(X, params["filters"], (1, 1), "SAME"))
    return features.mean(axis=(2, 3)) @ params["readout"]


class Unhashable:
    """A callable that compares by value and so cannot be a key of a cache."""

    def __init__(self, power):
        self.power = power

    def __eq__(self, other):
        return isinstance(other, Unhashable) and self.power == other.power

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, params, X):
        return jnp.sin(X @ params[0]) ** self.power @ params[1]


def other_model(name, n=3):
    """(model, params, X): biases, a skip, a convolution on images, an unhashable callable."""
    keys = jax.random.split(jax.random.key(7), 6)
    normal = jax.random.normal
    if name == "biases":
        shapes = {"in": (3, 4), "shift": (4,), "out": (4,), "offset": ()}
        params = {leaf: normal(k, s) for k, (leaf, s) in zip(keys, shapes.items(), strict=False)}
        return with_biases, params, unit_rows(n, 3)
    if name == "skip":
        shapes = {"in": (3, 4), "shift": (4,), "mid": (4, 4), "offset": (4,), "out": (4,)}
        shapes["direct"] = ()
        params = {leaf: normal(k, s) for k, (leaf, s) in zip(keys, shapes.items(), strict=True)}
        return with_skip, params, unit_rows(n, 3)
    if name == "convolution":
        params = {"filters": normal(keys[0], (2, 1, 3, 3)), "readout": normal(keys[1], (2,))}
        return convolution, params, normal(keys[2], (n, 1, 4, 4))
    params = [normal(keys[0], (3, 4)), normal(keys[1], (4,))]
    return Unhashable(2), params, unit_rows(n, 3)


OTHER_MODELS = ("biases", "skip", "convolution", "unhashable")


_module_numbers = itertools.count()


def module_from_source(folder: Path, source: str, name: str = "chapter_functions"):
    """Write and import a module, as a notebook that was edited and run again would define it."""
    path = folder / f"version{next(_module_numbers)}" / f"{name}.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
