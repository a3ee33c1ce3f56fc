"""Programs are kept under what they compute: a change is seen, and nothing compiles twice."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import network, relative_difference, unit_rows

import nthlib as nth
from nthlib.compilation import is_fixed, traced

X, W = unit_rows(3, 3), jnp.array([1.0, -2.0, 0.5])
Y, TIMES = jnp.ones(3), jnp.array([0.0, 1.0])
SCALE = 1.0
SETTINGS = types.ModuleType("settings")


class Scaled:
    scale = 1.0

    def __init__(self):
        self.table = np.ones(())
        self.options = {"scale": 1.0}
        self.inner = functools.partial(lambda scale, X: scale * X, 1.0)

    def __call__(self, w, X):
        return self.scale * (X @ w)

    def method(self, w, X):
        return self.scale * (X @ w)

    def by_table(self, w, X):
        return jnp.asarray(self.table) * (X @ w)

    def by_dict(self, w, X):
        return self.options["scale"] * (X @ w)

    def by_part(self, w, X):
        return self.inner(X @ w)

    @property
    def factor(self):
        return type(self).scale

    def by_property(self, w, X):
        return self.factor * (X @ w)


def by_global(w, X):
    return SCALE * (X @ w)


def by_module(w, X):
    return SETTINGS.scale * (X @ w)


def by_default(w, X, scale=[1.0]):  # noqa: B006 - what is tested
    return scale[0] * (X @ w)


@functools.wraps(by_default)
def wrapped(w, X):
    return SCALE * (X @ w)


@jax.custom_jvp
def ruled(x):
    return x


@ruled.defjvp
def rule(primals, tangents):
    return primals[0], SCALE * tangents[0]


def by_rule(w, X):
    return ruled(X @ w)


def closure():
    scale = 1.0

    def change():
        nonlocal scale
        scale = 2.0

    return lambda w, X: scale * (X @ w), change


def set_global():
    global SCALE
    SCALE = 2.0


def cases():
    net, (closed, change) = Scaled(), closure()
    SETTINGS.scale = 1.0
    return {
        "a global": (by_global, set_global),
        "an attribute of a callable object": (net, lambda: setattr(net, "scale", 2.0)),
        "a bound method's object": (net.method, lambda: setattr(net, "scale", 2.0)),
        "a class attribute": (net, lambda: setattr(Scaled, "scale", 2.0)),
        "a property": (net.by_property, lambda: setattr(Scaled, "scale", 2.0)),
        "an array changed in place": (net.by_table, lambda: net.table.fill(2.0)),
        "an entry of a dict": (net.by_dict, lambda: net.options.update(scale=2.0)),
        "an inner function": (net.by_part, lambda: setattr(net, "inner", lambda X: 2 * X)),
        "a method": (net, lambda: setattr(Scaled, "__call__", lambda _, w, X: 2 * (X @ w))),
        "an attribute of a module": (by_module, lambda: setattr(SETTINGS, "scale", 2.0)),
        "a default argument": (by_default, lambda: by_default.__defaults__[0].__setitem__(0, 2.0)),
        "a wrapped function's global": (wrapped, set_global),
        "a rule of differentiation": (by_rule, set_global),
        "a closed-over name": (closed, change),
    }


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setattr("test_compilation.SCALE", 1.0)
    monkeypatch.setattr(Scaled, "scale", 1.0)
    monkeypatch.setattr(Scaled, "__call__", Scaled.__call__)
    by_default.__defaults__[0][0] = 1.0


@pytest.mark.parametrize("name", cases())
def test_a_change_of_what_a_model_reaches_is_seen(name):
    model, change = cases()[name]
    before = nth.kernels(model, W, X, 2)[2]
    change()
    after = nth.kernels(model, W, X, 2)[2]
    np.testing.assert_allclose(after, 4 * before, rtol=1e-12)
    np.testing.assert_allclose(before, X @ X.T, rtol=1e-12)


RUNS = {
    "gradient_flow": lambda model: nth.gradient_flow(model, W, X, Y, TIMES),
    "gradient_descent": lambda model: nth.gradient_descent(model, W, X, Y, 0.1, [0, 3]),
    "truncated_flow": lambda model: nth.truncated_flow(model, W, X, Y, TIMES, 2),
    "test rows": lambda model: nth.gradient_flow(model, W, X, Y, TIMES, X_test=X[:1]),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_change_of_a_model_is_seen_by_every_run(name):
    net = Scaled()
    before = RUNS[name](net).predictions
    net.scale = 2.0
    after = RUNS[name](net).predictions
    fresh = RUNS[name](lambda w, X: 2.0 * (X @ w)).predictions
    assert relative_difference(after, fresh) == 0
    assert relative_difference(after, before) > 0.1


def test_a_change_of_a_loss_is_seen(monkeypatch):
    def loss(f, y):
        return SCALE * (f - y) ** 2 / 2

    def runs():
        K = nth.kernels(Scaled(), W, X, 3)
        return [
            nth.gradient_flow(Scaled(), W, X, Y, TIMES, loss=loss),
            nth.truncated_flow(Scaled(), W, X, Y, TIMES, 3, loss=loss),
            nth.truncated_hierarchy(K, Y, TIMES, 3, loss=loss),
        ]

    before = [run.predictions[-1] for run in runs()]
    set_global()
    for earlier, now in zip(before, runs(), strict=True):
        # Twice the loss is twice the speed.
        twice = nth.gradient_flow(Scaled(), W, X, Y, 2 * TIMES).predictions[-1]
        assert relative_difference(now.predictions[-1], twice) < 1e-6
        assert relative_difference(now.predictions[-1], earlier) > 1e-2


def test_a_change_of_an_activation_is_seen():
    def bent(x):
        return SCALE * jnp.tanh(x)

    _, params = network(depth=1, width=4)
    net = nth.FullyConnected(3, 4, 1, bent)

    def everything():
        return [
            nth.kernels(net, params, X, 2)[2],
            nth.layer_kernels(net, params, X),
            nth.limit_kernel(net, X),
            nth.gradient_flow(net, params, X, Y, TIMES).kernels[2][0],
        ]

    before = everything()
    set_global()
    for earlier, now in zip(before, everything(), strict=True):
        assert relative_difference(now, 4 * earlier) < 1e-7


def test_equal_models_share_one_program(compilations):
    for turn in range(4):
        scale = 0.5 + turn / 3
        nth.kernels(lambda w, X: jnp.cos(X @ w), scale * W, X, 2)
        nth.gradient_flow(lambda w, X: jnp.cos(X @ w), scale * W, X, Y, TIMES)
        if turn == 0:
            first = len(compilations)
            assert first > 0
    assert len(compilations) == first


MODELS = {
    "relu": lambda w, X: jax.nn.relu(X @ w),
    "softplus": lambda w, X: jax.nn.softplus(X @ w),
    "logsumexp": lambda w, X: jax.nn.logsumexp(X * w, axis=1),
    "scan": lambda w, X: jax.lax.scan(lambda c, x: (c, jnp.sin(x @ w)), 0.0, X)[1],
    "condition": jax.vmap(
        lambda w, x: jax.lax.cond(x[0] > 0, lambda: x @ w, lambda: 2 * x @ w), (None, 0)
    ),
    "checkpoint": jax.checkpoint(lambda w, X: jnp.sin(X @ w)),
    "a fixed key": lambda w, X: X @ (w * jax.random.normal(jax.random.key(0), w.shape)),
    "a closed-over key": functools.partial(
        lambda key, w, X: X @ (w * jax.random.normal(key, w.shape)), jax.random.key(3)
    ),
    "a constant array": functools.partial(lambda A, w, X: (X @ A) @ w, np.eye(3)),
    "erf": lambda w, X: nth.erf(X @ w),
    "a norm": lambda w, X: jnp.linalg.norm(X, axis=1) * w[0],
}


@pytest.mark.parametrize("name", MODELS)
def test_two_traces_of_one_model_are_equal(name):
    """Else every call would compile."""

    def slope(w, X):
        return jax.jvp(lambda v: jax.vjp(lambda u: MODELS[name](u, X), v)[1](Y), (w,), (w,))

    assert traced(slope, W, X) == traced(slope, W, X)
    assert traced(slope, W, X) != traced(lambda w, X: slope(2 * w, X), W, X)
    assert traced(slope, W, X) != traced(slope, W, X[:2].repeat(2, 0)[:3].astype("float32"))


def test_constants_tell_programs_apart():
    def shifted(constant):
        return traced(lambda w, X: X @ (w + constant), W, X)

    near = [np.zeros(3), np.full(3, 1e-300), np.zeros(3, "float32"), 0.0, 0, -0.0]
    assert len({shifted(constant) for constant in near}) >= len(near) - 1
    assert shifted(jnp.arange(3.0)) == shifted(np.arange(3.0))


def test_what_is_fixed_needs_no_trace():
    assert is_fixed(nth.FullyConnected(3, 4, 1))
    assert is_fixed(nth.FullyConnected(3, 4, 1, jax.nn.gelu))
    assert is_fixed(functools.partial(jax.nn.leaky_relu, negative_slope=0.1))
    lent = functools.wraps(jnp.tanh)(lambda x: SCALE * x)
    for foreign in (lent, lambda x: x, Scaled().method, type("Own", (nth.FullyConnected,), {})):
        assert not is_fixed(foreign)
    assert not is_fixed(nth.FullyConnected(3, 4, 1, lambda x: SCALE * x))
    assert not is_fixed(type("Own", (nth.FullyConnected,), {})(3, 4, 1))
