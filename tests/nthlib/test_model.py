"""Which models are taken: those whose rows are apart, and whose parameters are all trained."""

import collections
import re

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from helpers import jacobian_gram, network, relative_difference, unit_rows

import nthlib as nth
from nthlib.model import check_model

N, D = 5, 4
X, X_TEST = unit_rows(N, D), unit_rows(3, D, seed=1)
W = jnp.linspace(-1.0, 1.0, D)
TWICE = X.at[1].set(X[0])  # rows 0 and 1 are equal
ROWS = jnp.linspace(0.5, 1.5, 64)


def standardised(x):
    return (x - x.mean(0)) / (1e-3 + x.std(0))


def over_rows(h):
    """Attention in which the samples attend to each other."""
    return jax.nn.softmax(h @ h.T, axis=1) @ h


ZERO_AT_START = {"w": W, "gate": jnp.zeros(())}
BOTH_ZERO = {"w": W, "a": jnp.zeros(D), "b": jnp.zeros(())}
MIXERS = {
    "cumulative sum": (lambda w, X: jnp.cumsum(X @ w), W, X),
    "mean over the batch": (lambda w, X: X @ w - (X @ w).mean(), W, X),
    "batch statistics, rows 0 and 1 equal": (lambda w, X: standardised(X) @ w, W, TWICE),
    "the longest row scales all": (
        lambda w, X: (X / jnp.linalg.norm(X, axis=1).max()) @ w,
        W,
        X.at[0].multiply(3.0),
    ),
    "scan over the batch": (
        lambda w, X: jax.lax.scan(lambda c, x: (0.5 * c + x @ w, c + x @ w), 0.0, X)[1],
        W,
        X,
    ),
    "attention over the batch": (lambda w, X: over_rows(X) @ w, W, X),
    "embedding of the row number": (
        lambda w, X: X @ w[:D] + w[D + jnp.arange(len(X)) % 3],
        ROWS,
        X,
    ),
    "a parameter a sample": (lambda w, X: (X @ W) * w[: len(X)], ROWS, X),
    "division by the number of rows": (lambda w, X: X @ w / len(X), W, X),
    "softmax over the batch": (lambda w, X: jax.nn.softmax(X @ w), W, X),
    "sorted outputs": (lambda w, X: jnp.sort(X @ w), W, X),
    "the row before": (lambda w, X: X @ w + jnp.roll(X @ w, 1), W, X),
    "reversed rows": (lambda w, X: (X @ w)[::-1], W, X),
    "whitened inputs": (lambda w, X: jnp.linalg.qr(X)[0] @ w[: min(X.shape)], W, X),
    "noise by place": (
        lambda w, X: X @ w + jax.random.normal(jax.random.key(0), (len(X),)),
        W,
        X,
    ),
    "ranks": (lambda w, X: (X @ w) * jnp.argsort(X[:, 0]), W, X),
    "convolution over the batch": (
        lambda w, X: jnp.convolve(X @ w, jnp.ones(3))[1:-1],
        W,
        X,
    ),
    "clipped by the batch": (lambda w, X: jnp.minimum(X @ w, (X @ w)[0]), W, X),
    "a gate that is zero at the start": (
        lambda p, X: X @ p["w"] + p["gate"] * (X @ p["w"]).sum(),
        ZERO_AT_START,
        X,
    ),
    "two factors that are zero at the start": (
        lambda p, X: X @ p["w"] + p["b"] * (X @ p["a"]).mean(),
        BOTH_ZERO,
        X,
    ),
    "nearest neighbour": (
        lambda w, X: (X @ w)[(X @ X.T - 9 * jnp.eye(len(X))).argmax(1)],
        W,
        X,
    ),
    "one small output of two": (
        lambda w, X: jnp.stack([1e6 * X @ w, jnp.cumsum(X @ w)], axis=1),
        W,
        X,
    ),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("name", MIXERS)
def test_rows_that_depend_on_each_other_are_refused(name):
    model, params, inputs = MIXERS[name]
    with pytest.raises(ValueError, match=r"mixes samples: row \d of X"):
        check_model(model, params, inputs)


@pytest.mark.bad_input
def test_test_rows_are_looked_at_and_named():
    def model(w, X):
        return (X / jnp.maximum(2.0, jnp.linalg.norm(X, axis=1).max())) @ w

    assert check_model(model, W, X) is None
    with pytest.raises(ValueError, match="row 0 of X_test change with the other rows"):
        nth.kernels(lambda w, X: jnp.cumsum(X @ w), W, X[:1], 2, X_test=X_TEST[:1])
    with pytest.raises(
        ValueError, match=re.escape("row 0 of X, row 1 of X, row 2 of X and 2 more")
    ):
        nth.kernels(model, W, X, 2, X_test=9 * X_TEST[:1])
    with pytest.raises(ValueError, match="mixes samples"):
        nth.gradient_flow(model, W, X, jnp.ones(N), jnp.array([1.0]), X_test=9 * X_TEST)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (lambda w, X: (X @ W) * w[:N], "for 1 sample, got (5,)"),
        (lambda w, X: (X @ w) if len(X) > 1 else X[:, :2] @ w[:2, None], "as many outputs"),
    ],
)
def test_a_model_of_one_number_of_rows_is_refused(model, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        check_model(model, W if "outputs" in sentence else jnp.ones(N), X)


@pytest.mark.bad_input
def test_rows_are_looked_at_some_at_a_time_and_all_of_them(monkeypatch):
    monkeypatch.setattr("nthlib.model._NUMBERS_AT_ONCE", 100)
    many = unit_rows(11, D)

    def model(w, X):
        """Mixes where a row is marked, and only with its neighbours."""
        marked = X[:, 0] > 1.5
        return X @ w + marked * (X @ w).sum()

    assert check_model(model, W, many) is None
    with pytest.raises(ValueError, match="row 10 of X change"):
        check_model(model, W, many.at[10, 0].set(2.0))


@pytest.mark.bad_input
@pytest.mark.parametrize("inputs", [X, TWICE], ids=["rows", "equal rows"])
def test_rows_are_looked_at_inside_compiled_functions_too(inputs):
    """There the parameters have no values: a measure is such a function."""

    def centred(w, X):
        return jnp.tanh((X - X.mean(0)) @ w)

    def trace(width, key):
        return {"trace": nth.kernels(centred, jax.random.normal(key, (D,)), inputs, 2)[2].trace()}

    for call in (
        lambda: nth.draws(trace, widths=[2], seeds=2),
        lambda: jax.jit(lambda w: nth.kernels(centred, w, inputs, 2))(W),
        lambda: jax.vmap(lambda w: nth.kernels(centred, w, inputs, 2))(jnp.ones((2, D))),
        lambda: jax.jit(lambda X: nth.kernels(centred, W, X, 2))(inputs),
    ):
        with pytest.raises(ValueError, match="mixes samples"):
            call()

    @jax.jit
    def apart(w, scale):
        own = nth.kernels(lambda w, X: scale * jnp.tanh(X @ w), w, inputs, 2)[2]
        return own, nth.kernels(lambda w, X: jnp.tanh(X @ w), w, inputs, 2)[2]

    scaled, plain = apart(W, 2.0)
    np.testing.assert_allclose(scaled, 4 * plain, rtol=1e-12)


# Row-wise models, none of which may be refused.
def dense(w, h):
    return h @ jnp.outer(W[: h.shape[-1]], W) * w[0]


def within(w, x):
    """Attention within a sample, over its entries."""
    h = x[:, None] * w
    return (jax.nn.softmax(h @ h.T) @ h).mean()


def spiky(x):
    return jnp.where(x > 0, x, 0.1 * jnp.expm1(x))


def by_row(function):
    return lambda w, X: jax.vmap(lambda x: function(w, x))(X)


TOKENS = jnp.array([[0.0, 2.0, 1.0], [3.0, 3.0, 0.0], [1.0, 0.0, 2.0]])
IMAGES = jnp.asarray(np.random.default_rng(0).normal(size=(3, 6, 6, 1)))
TABLE = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)))
KERNEL = jnp.asarray(np.random.default_rng(2).normal(size=(3, 3, 1, 2)))
NORMALISER = nn.LayerNorm()
HEAVY = jnp.asarray(np.random.default_rng(3).normal(size=(64, 256)), "float32")


def convolution(k, X):
    return jnp.tanh(
        jax.lax.conv_general_dilated(
            X, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    ).mean((1, 2))


def deep(w, X):
    h = X
    for _ in range(12):
        h = jnp.tanh(h @ w) @ w.T
    return h.sum(1)


ROW_WISE = {
    "linear": (lambda w, X: X @ w, W, X),
    "tanh": (lambda w, X: jnp.tanh(X @ w), W, X),
    "relu": (lambda w, X: jax.nn.relu(X @ w), W, X),
    "sign": (lambda w, X: jnp.sign(X @ w) * w[0], W, X),
    "several outputs": (lambda w, X: jnp.tanh(X[:, :, None] * w).sum(1), W, X),
    "one column": (lambda w, X: (X @ w)[:, None], W, X),
    "outputs of very different size": (lambda w, X: jnp.stack([X @ w, 1e9 * X @ w], 1), W, X),
    "constant": (lambda w, X: jnp.zeros(len(X)) * w[0], W, X),
    "cancels at the start": (lambda p, X: jnp.tanh(X @ p[0]) - jnp.tanh(X @ p[1]), (W, W), X),
    "zero readout": (lambda p, X: jnp.tanh(X * p[0]) @ p[1], (W, jnp.zeros(D)), X),
    "layer norm": (
        lambda w, X: ((X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True)) @ w,
        W,
        X,
    ),
    "unit rows": (lambda w, X: X / jnp.linalg.norm(X, axis=1, keepdims=True) @ w, W, X),
    "softmax within": (lambda w, X: jax.nn.softmax(X * w, axis=1)[:, 0], W, X),
    "attention within": (by_row(within), W, X),
    "convolution": (convolution, KERNEL, IMAGES),
    "pooling": (lambda k, X: convolution(k, X).max(1), KERNEL, IMAGES),
    "embedding cast inside": (lambda t, X: t[X.astype(int)].sum((1, 2)), TABLE, TOKENS),
    "one-hot inside": (
        lambda t, X: jax.nn.one_hot(X.astype(int), 4).sum(1) @ t[:, 0],
        TABLE,
        TOKENS,
    ),
    "recurrent": (
        by_row(lambda w, x: jax.lax.scan(lambda c, e: (jnp.tanh(c * w[0] + e), c), 0.1, x)[0]),
        W,
        X,
    ),
    "sorted entries": (lambda w, X: jnp.sort(X, axis=1) @ w, W, X),
    "gate by a condition": (by_row(lambda w, x: jnp.where(x[0] > 0, x @ w, -x @ w)), W, X),
    "map over rows": (lambda w, X: jax.lax.map(lambda x: jnp.sin(x @ w), X), W, X),
    "checkpoint": (jax.checkpoint(lambda w, X: jnp.tanh(X @ w)), W, X),
    "custom derivative": (lambda w, X: jax.nn.silu(X @ w), W, X),
    "fixed noise of the inputs": (lambda w, X: jnp.sin(1e3 * X) @ w, W, X),
    "products of rows' own entries": (lambda w, X: X[:, 0] * X[:, 1] * w[0], W, X),
    "eigenvalue within": (
        by_row(lambda w, x: jnp.linalg.eigvalsh(jnp.outer(x, x) + jnp.diag(w))[-1]),
        W,
        X,
    ),
    "top entries": (lambda w, X: jax.lax.top_k(X, 2)[0] @ w[:2], W, X),
    "scale of 1e-12": (lambda w, X: 1e-12 * jnp.tanh(X @ w), W, X),
    "scale of 1e12": (lambda w, X: 1e12 * jnp.tanh(X @ w), W, X),
    "logarithm of parameters": (lambda w, X: X @ jnp.log(w), jnp.linspace(0.1, 2.0, D), X),
    "not a number anywhere": (lambda w, X: jnp.log(w[0]) * X[:, 0], -jnp.ones(D), X),
    "float32": (deep, HEAVY / 8, jnp.asarray(unit_rows(200, 64), "float32")),
    "float32 sums": (
        lambda w, X: (X @ w).sum(1) - (X @ w)[:, ::-1].sum(1) + X[:, 0],
        HEAVY,
        jnp.asarray(unit_rows(64, 64), "float32"),
    ),
    "bfloat16": (
        deep,
        (HEAVY / 8).astype("bfloat16"),
        jnp.asarray(unit_rows(40, 64), "bfloat16"),
    ),
    "one input": (lambda w, X: jnp.tanh(X @ w), W, X[:1]),
    "equal inputs": (lambda w, X: jnp.tanh(X @ w), W, TWICE),
    "flax layer norm": (
        lambda p, X: NORMALISER.apply(p, X).sum(1),
        {"params": {"scale": jnp.ones(D), "bias": jnp.zeros(D)}},
        X,
    ),
}


@pytest.mark.parametrize("name", ROW_WISE)
def test_models_with_rows_apart_are_taken(name):
    model, params, inputs = ROW_WISE[name]
    check_model(model, params, inputs, inputs[::-1])


# Parameters


class Normalised(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.BatchNorm(use_running_average=True)(nn.Dense(3)(x))[:, 0]


class Experimental(nnx.Module):
    def __init__(self, dropout, rngs):
        self.layer = nnx.Linear(D, 1, rngs=rngs)
        self.norm = nnx.BatchNorm(1, use_running_average=True, rngs=rngs)
        self.drop = nnx.Dropout(0.5, deterministic=not dropout, rngs=rngs)

    def __call__(self, x):
        return self.drop(self.norm(self.layer(x)))[:, 0]


def nnx_model(*kinds, dropout=False):
    graph, *states = nnx.split(Experimental(dropout, nnx.Rngs(0)), *kinds, ...)
    return lambda params, X: nnx.merge(graph, params, *states[1:])(X), states[0]


def test_what_no_optimiser_trains_is_refused_by_name():
    module = Normalised()
    variables = module.init(jax.random.key(0), X)
    with pytest.raises(TypeError, match="only what is trained, but hold 'batch_stats'"):
        nth.kernels(module.apply, variables, X, 2)
    rest = {name: values for name, values in variables.items() if name != "params"}

    def model(params, X):
        return module.apply({"params": params, **rest}, X)

    K = nth.kernels(model, variables["params"], X, 2)[2]
    assert relative_difference(K, jacobian_gram(model, variables["params"], X)) < 1e-6
    moved = nth.gradient_flow(model, variables["params"], X, jnp.ones(N), jnp.array([0.5])).params
    assert jax.tree.structure(moved) == jax.tree.structure(variables["params"])

    averaged, state = nnx_model((nnx.Param, nnx.BatchStat))
    with pytest.raises(TypeError, match="a BatchStat: a statistic"):
        nth.kernels(averaged, state, X, 2)
    trained, state = nnx_model(nnx.Param)
    assert nth.kernels(trained, state, X, 2)[2].shape == (N, N)

    with pytest.raises(TypeError, match="but hold 'running_var'"):
        check_model(lambda p, X: X @ p["w"], {"w": W, "running_var": jnp.ones(D)}, X)
    fields = collections.namedtuple("Layer", ["w", "running_mean"])
    with pytest.raises(TypeError, match="but hold 'running_mean'"):
        check_model(lambda p, X: (X - p[1]) @ p[0], fields(W, jnp.zeros(D)), X)
    layer = eqx.nn.BatchNorm(D, axis_name="batch", mode="batch")
    kept = eqx.partition(layer, eqx.is_inexact_array)[0]
    with pytest.raises(TypeError, match="a StateIndex: a statistic"):
        check_model(lambda p, X: X @ W, kept, X)


# What a model may hold


@jax.custom_vjp
def backward_only(x):
    return jnp.sin(x)


backward_only.defvjp(lambda x: (jnp.sin(x), x), lambda x, back: (back * jnp.cos(x),))


def outside(w, X):
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((len(X),), X.dtype), X @ w)


def looping(w, X):
    return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.sin(c[1])), (0, X @ w))[
        1
    ]


OBSTACLES = {
    "a jax.custom_vjp function": (lambda w, X: backward_only(X @ w), W),
    "pure_callback": (outside, W),
    "a while_loop": (looping, W),
    "Dropout or BatchNorm left in training mode": nnx_model(nnx.Param, dropout=True),
    "is of type complex128; pass the real": (lambda w, X: (X @ w).real, 1j * W),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("named", OBSTACLES)
def test_what_cannot_be_differentiated_is_named_in_one_sentence(named):
    model, params = OBSTACLES[named]
    y, times = jnp.ones(N), jnp.array([0.0, 1.0])
    for call in (
        lambda: nth.kernels(model, params, X, 2),
        lambda: nth.gradient_flow(model, params, X, y, times),
        lambda: nth.gradient_descent(model, params, X, y, 0.1, 2),
        lambda: nth.truncated_flow(model, params, X, y, times, 3),
    ):
        with pytest.raises(TypeError, match=named) as refused:
            call()
        assert "\n" not in str(refused.value)


@pytest.mark.bad_input
@pytest.mark.parametrize("derive", [jax.grad, jax.jacfwd, lambda f: jax.jit(jax.grad(f))])
@pytest.mark.parametrize("order", [3, 4])
def test_a_training_run_is_not_differentiated(derive, order):
    def model(w, X):
        return jnp.tanh(X @ w)

    y, times, K = jnp.ones(N), jnp.array([0.0, 1.0]), nth.kernels(model, W, X, order)
    for name, run in {
        "gradient_flow": lambda w: nth.gradient_flow(model, w, X, y, times),
        "gradient_descent": lambda w: nth.gradient_descent(model, w, X, y, 0.1, 2),
        "truncated_flow": lambda w: nth.truncated_flow(model, w, X, y, times, order),
        "truncated_hierarchy": lambda w: nth.truncated_hierarchy(
            {**K, 1: K[1] + w.sum()}, y, times, order
        ),
    }.items():
        with pytest.raises(TypeError, match=f"nthlib.{name} must not be differentiated"):
            derive(lambda w, run=run: run(w).predictions.sum())(W)


# Classes derived from FullyConnected


class Doubled(nth.FullyConnected):
    def __call__(self, params, X):
        return 2 * super().__call__(params, X)


class Renamed(nth.FullyConnected):
    """Computes what its parent does."""


class HalfNormal(nth.FullyConnected):
    def init(self, key, dtype=float):
        params = super().init(key, dtype)
        return params._replace(readout=jnp.abs(params.readout))


def test_a_derived_class_has_kernels_of_its_own():
    net, params = network(depth=1, width=4, dim=D)
    K = nth.kernels(net, params, X, 3, X_test=X_TEST)
    for order, values in nth.kernels(Doubled(**vars(net)), params, X, 3, X_test=X_TEST).items():
        assert relative_difference(values, 2.0**order * K[order]) < 1e-12
    same = nth.kernels(Renamed(**vars(net)), params, X, 3, method="closed")
    assert relative_difference(same[3], K[3][:N]) < 1e-12
    y, times = jnp.ones(N), jnp.array([0.0, 0.01])
    flow = nth.gradient_flow(Doubled(**vars(net)), params, X, y, times)
    assert relative_difference(flow.kernels[2][0], 4 * K[2][:N]) < 1e-12
    cut = nth.truncated_flow(Doubled(**vars(net)), params, X, y, times, 3)
    assert relative_difference(cut.kernel[0], 4 * K[2][:N]) < 1e-12


def test_a_patched_forward_pass_is_seen(monkeypatch):
    net, params = network(depth=1, width=4, dim=D)
    before, forward = nth.kernels(net, params, X, 2)[2], nth.FullyConnected.__call__
    monkeypatch.setattr(nth.FullyConnected, "__call__", lambda *given: 2 * forward(*given))
    assert relative_difference(nth.kernels(net, params, X, 2)[2], 4 * before) < 1e-12
    with pytest.raises(TypeError, match="its own __call__"):
        nth.limit_kernel(net, X)


@pytest.mark.bad_input
def test_what_is_known_of_the_parent_alone_is_refused_for_a_derived_class():
    doubled, half, params = Doubled(D, 4, 1), HalfNormal(D, 4, 1), network(1, 4, D)[1]
    with pytest.raises(TypeError, match="without a __call__ of its own, got Doubled"):
        nth.layer_kernels(doubled, params, X)
    with pytest.raises(ValueError, match="without a __call__ of its own"):
        nth.kernels(doubled, params, X, 2, method="closed")
    for net, method in ((doubled, "__call__"), (half, "init")):
        with pytest.raises(TypeError, match=f"{type(net).__name__} has its own {method}"):
            nth.limit_kernel(net, X)
        with pytest.raises(TypeError, match=f"{type(net).__name__} has its own {method}"):
            nth.limit_kernel_estimate(jax.random.key(0), net, X, 4)


# Half precision


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_works_to_its_rounding(dtype):
    net, params = network(depth=1, width=16, dim=D)
    y, times = jnp.ones(N, dtype), jnp.array([0.0, 1.0, 4.0], dtype)
    half = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    near = jax.tree.map(lambda leaf: leaf.astype(float), half)  # what was rounded to
    inputs = X.astype(dtype).astype(float)
    exact = nth.gradient_flow(net, near, inputs, jnp.ones(N), jnp.array([0.0, 1.0, 4.0]))
    flow = nth.gradient_flow(net, half, X.astype(dtype), y, times)
    assert flow.predictions.dtype == jnp.float32
    assert np.isinf(flow.valid_until)
    assert int(flow.steps) < 200
    np.testing.assert_allclose(flow.predictions, exact.predictions, atol=1e-5)
    # The kernels themselves are rounded, by some ulps of their type.
    K = nth.kernels(net, half, X.astype(dtype), 4)
    assert K[2].dtype == dtype
    for order in (2, 4):
        found = nth.truncated_hierarchy(K, y, times, order)
        wanted = nth.truncated_hierarchy(
            {r: values.astype(float) for r, values in K.items()},
            y.astype(float),
            times.astype(float),
            order,
        )
        # Eigenvalues that rounding explains, up to n · eps · λ_max, are not followed.
        eps = float(jnp.finfo(dtype).eps)
        np.testing.assert_allclose(found.predictions, wanted.predictions, atol=5 * eps)


@pytest.mark.bad_input
def test_a_model_that_computes_in_half_precision_is_refused_by_its_dtype():
    def model(w, X):
        return jnp.tanh(X @ w).astype(jnp.bfloat16)

    with pytest.raises(TypeError, match=r"model must return float64 .* got bfloat16"):
        nth.gradient_flow(model, W, X, jnp.ones(N), jnp.array([1.0]))


# Arrays of other kinds


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.ma.masked_array(np.asarray(X), mask=np.asarray(X) > 0), "got a masked array"),
        (np.asarray(X, np.longdouble), "got float128: convert"),
        (np.asarray(X, object), "got one of Python objects"),
    ],
)
def test_arrays_that_jax_does_not_hold_are_refused_by_their_kind(array, sentence):
    with pytest.raises(TypeError, match=f"X must be an array of floats.*{sentence}"):
        nth.kernels(lambda w, X: X @ w, W, array, 2)
    with pytest.raises(TypeError, match=f"a leaf of params must be .*{sentence}"):
        nth.kernels(lambda w, X: X @ w, array[0], X, 2)
    with pytest.raises(TypeError, match=f"y must be an array of floats.*{sentence}"):
        nth.gradient_flow(lambda w, X: X @ w, W, X, array[:, 0], jnp.array([1.0]))


def test_big_endian_arrays_are_taken():
    K = nth.kernels(lambda w, X: X @ w, W, np.asarray(X).astype(">f8"), 2)
    np.testing.assert_allclose(K[2], X @ X.T, rtol=1e-12)
    with pytest.raises(TypeError, match="leaves are arrays of floats, but one is of type >f8"):
        nth.kernels(lambda w, X: X @ w, np.asarray(W).astype(">f8"), X, 2)
