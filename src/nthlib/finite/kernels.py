"""The doors to the kernels of a network of finite width."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from nthlib import checks
from nthlib.compilation import compiled
from nthlib.finite.blocks import Blocks
from nthlib.finite.closed_forms import (
    CLOSED_ORDERS,
    UNITS_AT_ONCE,
    closed_kernels,
    layer_kernel_matrices,
)
from nthlib.finite.lie import lie_derivative_kernels, push_forward
from nthlib.finite.nilpotent import word_kernels
from nthlib.finite.passes import states
from nthlib.finite.room import planned
from nthlib.memory import check_memory
from nthlib.model import check_model
from nthlib.network import FullyConnected, Parameters, has_closed_forms
from nthlib.outputs import Model, split_axes
from nthlib.spelling import spelled

Method = Literal["auto", "closed", "derivatives"]


@spelled
def kernels(
    model: Model,
    params: PyTree,
    X: Array,
    order: int,
    *,
    X_test: Array | None = None,
    method: Method = "auto",
    memory_limit: int | None = None,
) -> dict[int, Array]:
    """The kernels K^(1), .., K^(order) of a model at the given parameters.

    K^(1) = f and K^(r+1)(x_1, .., x_r, β) = ⟨∇K^(r)(x_1, .., x_r), ∇f_β⟩ (Huang and Yau 2020).
    K^(2) is the neural tangent kernel. No 1/n and no power of the width is taken out. Where a
    derivative jumps, as with ReLU, K^(3) and K^(4) hold almost everywhere only: the jumps, which
    the dynamics feel, are left out.

    Args:
        model: a callable (params, X) -> (N,) or (N, C), such as a :class:`FullyConnected`. Each
            output may depend on its own row of X alone: no batch statistics.
        params: the parameters, any pytree of floating-point arrays.
        X: training inputs, (n, d); for other models the samples run along the first axis.
        order: the highest order, at least 1.
        X_test: test inputs; they add rows to the first axis, after the training rows.
        method: "closed" (a FullyConnected: closed forms up to order 4, differentiated along
            the fields beyond, or by nilpotent arithmetic where that is faster), "derivatives"
            (any model), or "auto", which takes the closed form where there is one.
        memory_limit: bytes the request may need; half of the machine's memory by default. What
            does not fit at once is computed in blocks of samples, which takes longer.

    Returns:
        A dict {1: (N,), 2: (N, n), 3: (N, n, n), ..} in the dtype of the model's output, to
        which the dtypes of ``params`` and ``X`` promote. The first axis holds the training
        points and then the test points, the others the training points. For C outputs every
        axis of samples is followed by one of outputs: {1: (N, C), 2: (N, C, n, C), ..}.

    Raises:
        TypeError, ValueError: naming the argument, for a wrong shape, type or value.
        MemoryError: before anything is allocated, with the estimated size.

    Warns:
        UserWarning: when a kernel holds NaN or infinity.

    >>> import jax, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=16, depth=2)
    >>> X = jax.random.normal(jax.random.key(1), (4, 3))
    >>> K = nth.kernels(net, net.init(jax.random.key(0)), X, order=2)
    >>> K[1].shape, K[2].shape
    ((4,), (4, 4))
    """
    order = checks.kernel_order(order, 1)
    dim = model.dim if has_closed_forms(model) else None
    X, X_test = checks.inputs(X, X_test, dim)
    outputs = check_model(model, params, X, X_test)
    closed = _use_closed_form(model, order, method)
    rows = len(X) if X_test is None else len(X) + len(X_test)
    blocks, needed = planned(model, params, X, rows, order, outputs, memory_limit, closed=closed)
    check_memory(needed, memory_limit, "fewer samples, a lower order or float32")
    route = _closed_kernels if closed else _derivative_kernels
    flat, finite = compiled(_with_finiteness, route, model, order, blocks)(params, X, X_test)
    checks.warn_unless_finite(finite, "the kernels", "X or params are")
    return {r: split_axes(kernel, range(r), outputs) for r, kernel in flat.items()}


@spelled
def layer_kernels(
    net: FullyConnected, params: Parameters, X: Float[Array, "n d"]
) -> Float[Array, "L n n"]:
    """The layer kernels G^(1), .., G^(H+1), stacked: shape (H+1, n, n).

    G^(ℓ)(α, β) is the inner product of the gradients of f_α and f_β with respect to W^(ℓ), and
    the last one with respect to the readout. They sum to K^(2) (Huang and Yau 2020).

    Args:
        net: a fully connected network.
        params: its parameters, from ``net.init``.
        X: inputs (n, d).

    Returns:
        The kernels, stacked by layer from the input to the readout, shape (H+1, n, n).

    Raises:
        TypeError, ValueError: naming the argument, for a wrong shape, type or value.
        MemoryError: before anything is allocated, with the estimated size.

    Warns:
        UserWarning: when a kernel holds NaN or infinity.

    >>> import jax, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=16, depth=2)
    >>> X = jax.random.normal(jax.random.key(1), (4, 3))
    >>> nth.layer_kernels(net, net.init(jax.random.key(0)), X).shape
    (3, 4, 4)
    """
    if not has_closed_forms(net):
        raise TypeError(
            f"net must be a FullyConnected without a __call__ of its own, got {type(net).__name__}"
        )
    X, _ = checks.inputs(X, None, net.dim)
    check_model(net, params, X)
    # Two Gram matrices make each layer's, and the stack is a copy.
    numbers = 2 * (net.depth + 2) * len(X) ** 2 + 4 * len(X) * net.width * net.depth
    check_memory(X.dtype.itemsize * numbers, None, "fewer samples or float32")
    layers = compiled(_layer_kernels, net)(params, X)
    checks.warn_unless_finite(jnp.isfinite(layers).all(), "the layer kernels", "X or params are")
    return layers


def _layer_kernels(net: FullyConnected, params: Parameters, X: Array) -> Array:
    passes = states(net, params, X)
    return jnp.stack(layer_kernel_matrices(passes, passes))


def _with_finiteness(
    route: Callable[..., dict[int, Array]],
    model: Model,
    order: int,
    blocks: Blocks | None,
    *arguments: Any,
) -> tuple[dict[int, Array], Array]:
    flat = route(model, order, blocks, *arguments)
    # Among what is compiled: a second pass over the kernels, or a copy, could be large.
    return flat, jnp.stack([jnp.isfinite(kernel).all() for kernel in flat.values()]).all()


def kernels_of(
    model: Model,
    params: PyTree,
    X: Array,
    order: int,
    X_test: Array | None = None,
    blocks: Blocks | None = None,
) -> dict[int, Array]:
    """:func:`kernels` without its checks and with flat indices, for use inside compiled code."""
    closed = _use_closed_form(model, order, "auto")
    route = _closed_kernels if closed else _derivative_kernels
    return route(model, order, blocks, params, X, X_test)


def room_of_kernels(
    model: Model,
    params: PyTree,
    X: Array,
    rows: int,
    order: int,
    outputs: int | None,
    limit: int | None,
    alternative: str,
    beside: int,
    tangents: int = 0,
) -> Blocks | None:
    """The blocks for :func:`kernels_of`; raises ``MemoryError`` where none fits."""
    closed = _use_closed_form(model, order, "auto")
    settings: Any = {"closed": closed, "beside": beside, "tangents": tangents}
    blocks, needed = planned(model, params, X, rows, order, outputs, limit, **settings)
    check_memory(needed, limit, alternative)
    return blocks


def _closed_kernels(
    model: Model, order: int, blocks: Blocks | None, params: Any, X: Array, X_test: Array | None
) -> dict[int, Array]:
    assert has_closed_forms(model)
    if order <= CLOSED_ORDERS:
        return closed_kernels(model, params, X, order, X_test)
    if model.depth == 1 and model.width > UNITS_AT_ONCE:
        return _sum_over_units(model, order, params, X, X_test)
    if blocks is not None:  # all words of directions fit, and at once is faster
        return word_kernels(model, params, X, order, X_test)

    def highest(theta: Any) -> Array:
        return closed_kernels(model, theta, X, CLOSED_ORDERS, X_test)[CLOSED_ORDERS]

    lower = closed_kernels(model, params, X, CLOSED_ORDERS - 1, X_test)
    return lower | push_forward(highest, CLOSED_ORDERS, model, params, X, order)


def _sum_over_units(
    model: FullyConnected, order: int, params: Parameters, X: Array, X_test: Array | None
) -> dict[int, Array]:
    """K^(r) = m^{−r/2} Σ_i κ^(r)(a_i, w_i) of one hidden layer, some units at a time.

    Where these do not divide the width, the last ones are idle repetitions of the last unit.
    """
    m, count = model.width, -(-model.width // UNITS_AT_ONCE)
    size = -(-m // count)
    units = np.arange(count * size).reshape(count, size)
    parts = jax.tree.map(lambda leaf: leaf[np.minimum(units, m - 1)], params)
    if count * size > m:
        gains = 1.0 if parts.gains is None else parts.gains
        parts = parts._replace(gains=jnp.asarray(units < m, parts.readout.dtype) * gains)
    part = FullyConnected(model.dim, size, 1, model.activation)

    def add(total: dict[int, Array], some: Parameters) -> tuple[dict[int, Array], None]:
        found = _closed_kernels(part, order, None, some, X, X_test)
        return jax.tree.map(jnp.add, total, found), None

    n, rows = len(X), len(X) if X_test is None else len(X) + len(X_test)
    dtype = jnp.result_type(X, *jax.tree.leaves(params))
    nothing = {r: jnp.zeros((rows, *(n,) * (r - 1)), dtype) for r in range(1, order + 1)}
    total, _ = jax.lax.scan(add, nothing, parts)
    return {r: (size / m) ** (r / 2) * kernel for r, kernel in total.items()}


def _derivative_kernels(
    model: Model, order: int, blocks: Blocks | None, params: Any, X: Array, X_test: Array | None
) -> dict[int, Array]:
    return lie_derivative_kernels(model, params, X, order, X_test, blocks)


def _use_closed_form(model: Model, order: int, method: str) -> bool:
    if not isinstance(method, str) or method not in ("auto", "closed", "derivatives"):
        raise ValueError(
            f'method must be "auto", "closed" or "derivatives", got {checks.describe(method)}'
        )
    if method == "closed" and not has_closed_forms(model):
        raise ValueError(
            'method "closed" needs a FullyConnected without a __call__ of its own; use "auto" or '
            '"derivatives"'
        )
    return method != "derivatives" and has_closed_forms(model)
