"""The truncated hierarchy as a jet.

The hierarchy cut at level p is the Taylor polynomial of degree p − 2 of K^(2) along the curve
θ(ε) = θ_0 + Σ_k ε^k ξ_k, on which training is slowed by ε. No kernel of higher order is formed.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from nthlib.compilation import shape_of
from nthlib.finite.blocks import Blocks, parameter_count
from nthlib.finite.kernels import kernels_of, room_of_kernels
from nthlib.finite.taylor import taylor_coefficients
from nthlib.memory import bytes_allowed, check_memory
from nthlib.outputs import Model, flat_outputs, numbers_per_sample
from nthlib.truncation.signature import Pushed


def push(
    model: Model, theta: PyTree, X: Array, X_test: Array | None, force: Array
) -> tuple[PyTree, Array]:
    """The direction g = Σ_γ force_γ ∇f_γ on the training points, and ⟨∇f, g⟩ on all rows.

    One pass backward and one forward: the kernel itself is never formed.
    """

    def on_train(parameters: PyTree) -> Array:
        return flat_outputs(model, parameters, X)

    _, pull = jax.vjp(on_train, theta)
    (direction,) = pull(force)
    moved = jax.jvp(on_train, (theta,), (direction,))[1]
    if X_test is not None:
        on_test = jax.jvp(
            lambda parameters: flat_outputs(model, parameters, X_test), (theta,), (direction,)
        )
        moved = jnp.concatenate([moved, on_test[1]])
    return direction, moved


def tangent_kernel(
    model: Model, theta: PyTree, X: Array, X_test: Array | None, blocks: Blocks | None = None
) -> Array:
    """K^(2), (N, n): layer by layer for a ``FullyConnected``, else in blocks."""
    return kernels_of(model, theta, X, 2, X_test, blocks)[2]


def in_tiles(model: Model, size: int) -> Model:
    """The same model, ``size`` samples at a time, computed again on the way back."""

    def tiled(theta: PyTree, X: Array) -> Array:
        one = jax.checkpoint(lambda x: model(theta, x[None])[0])
        return jax.lax.map(one, X, batch_size=size)

    return tiled


def room(
    model: Model,
    params: PyTree,
    X: Array,
    X_test: Array | None,
    outputs: int | None,
    times: int,
    level: int,
    length: int,
    limit: int | None,
    order: int = 2,
) -> tuple[int | None, Blocks | None]:
    """How many samples to take at a time, None for all, and the blocks of the kernels.

    ``length`` displacements are carried, and kernels of ``order`` are looked at, none for 1.
    Raises when a single sample would be too many.
    """
    rows = len(X) + (0 if X_test is None else len(X_test))
    flat, n = rows * (outputs or 1), len(X) * (outputs or 1)
    # Dopri8 keeps fourteen velocities of the state; the kernel, if any, is returned at every time.
    returned = n + 1 if order == 2 else 1
    fixed = times * flat * returned + 16 * (length * parameter_count(params) + flat)
    sample = numbers_per_sample(model, params, X) * (length + 1) * (length + 2)
    alternative = "fewer samples, fewer times, a lower level or float32"
    check_memory(X.dtype.itemsize * (fixed + sample), limit, alternative)
    # The Taylor arithmetic of the kernel carries the tangents that a kernel of this order does; the
    # kernel is looked at between two steps, when no sample's numbers are held.
    blocks = None
    if order == 2:
        blocks = room_of_kernels(
            model, params, X, rows, 2, outputs, limit, alternative, fixed, tangents=level - 2
        )
    tile = (bytes_allowed(limit) // X.dtype.itemsize - fixed) // sample
    return None if tile >= rows else int(tile), blocks


def start_of_jet(params: PyTree, length: int) -> tuple[PyTree, ...]:
    """ξ_1, .., ξ_length at time zero, all zero."""
    still = jax.tree.map(jnp.zeros_like, params)
    return (still,) * length


def push_jet(
    model: Model,
    tile: int | None,
    moved: tuple[PyTree, ...],
    force: Array,
    data: tuple[PyTree, Array, Array | None],
    level: int,
) -> Pushed:
    """∂_t ξ_k = [ε^{k−1}] g and C_k ρ = [ε^k] ⟨∇f, g⟩ with g = Σ_γ ρ_γ ∇f_γ.

    >>> import jax.numpy as jnp
    >>> from nthlib.truncation import jet
    >>> theta, X = jnp.ones(2), jnp.eye(2)
    >>> data, moved = (theta, X, None), (jnp.zeros(2),)
    >>> pushed = jet.push_jet(lambda theta, X: X @ theta, None, moved, jnp.ones(2), data, 3)
    >>> [rate.tolist() for rate in pushed.rates]  # K^(2) is the identity, and stays it
    [[1.0, 1.0], [0.0, 0.0]]
    """
    params, X, X_test = data
    model = model if tile is None else in_tiles(model, tile)
    curve = _curve(params, moved)
    found = taylor_coefficients(lambda theta: push(model, theta, X, X_test, force), curve)
    velocity = tuple(_scaled(direction, _size(params)) for direction, _ in found[:-1])
    return Pushed(velocity, [rate for _, rate in found])


def terms_of_jet(
    model: Model,
    moved: tuple[PyTree, ...],
    data: tuple[PyTree, Array, Array | None],
    level: int,
    blocks: Blocks | None = None,
) -> list[Array]:
    """C_k = [ε^k] K^(2) for k = 0, .., p − 2, each (N, n)."""
    params, X, X_test = data
    curve = _curve(params, moved[: level - 2])

    def kernel(theta: PyTree) -> Array:
        return tangent_kernel(model, theta, X, X_test, blocks)

    return taylor_coefficients(kernel, curve)


def push_gram(
    model: Model,
    tile: int | None,
    moved: tuple[PyTree, ...],
    force: Array,
    data: tuple[PyTree, Array, Array | None],
    level: int,
) -> Pushed:
    """As :func:`push_jet` with K̃ = J_D J_Dᵀ, J_D = Σ_{k ≤ D} [ε^k] ∇f and D = p − 2.

    >>> import jax.numpy as jnp
    >>> from nthlib.truncation import jet
    >>> theta, X = jnp.ones(2), jnp.eye(2)
    >>> data, moved = (theta, X, None), (jnp.ones(2),)
    >>> pushed = jet.push_gram(lambda t, X: X @ t**2, None, moved, jnp.ones(2), data, 3)
    >>> [round(float(rate), 6) for rate in pushed.rates[0]]  # J = 2 (1 + ξ/√2), and squared
    [11.656854, 11.656854]
    """
    params, X, X_test = data
    model = model if tile is None else in_tiles(model, tile)
    curve = _curve(params, moved)
    everything = X if X_test is None else jnp.concatenate([X, X_test])

    def backward(theta: PyTree) -> PyTree:
        return jax.vjp(lambda parameters: flat_outputs(model, parameters, X), theta)[1](force)[0]

    directions = taylor_coefficients(backward, curve)
    total = jax.tree.map(lambda *parts: sum(parts), *directions)

    def forward(theta: PyTree) -> Array:
        outputs = functools.partial(flat_outputs, model, X=everything)
        return jax.jvp(outputs, (theta,), (total,))[1]

    velocity = tuple(_scaled(direction, _size(params)) for direction in directions[:-1])
    return Pushed(velocity, [sum(taylor_coefficients(forward, curve))])


def kernel_of_gram(
    model: Model,
    tile: int | None,
    moved: tuple[PyTree, ...],
    data: tuple[PyTree, Array, Array | None],
    level: int,
) -> Array:
    """J_D J_Dᵀ, (N, n), column by column."""
    size = shape_of(functools.partial(flat_outputs, model), *data[:2]).size
    columns = jax.lax.map(
        lambda force: push_gram(model, tile, moved, force, data, level).rates[0],
        jnp.eye(size, dtype=data[1].dtype),
    )
    return columns.T


def _curve(params: PyTree, moved: tuple[PyTree, ...]) -> list[PyTree]:
    """θ_0, ξ_1, ξ_2, ..: the coefficients of the curve, in units of the parameters."""
    return [params, *(_scaled(xi, 1 / _size(params)) for xi in moved)]


def _size(params: PyTree) -> float:
    """√(number of parameters): ξ times this has entries of order one, as the predictions do."""
    return float(sum(leaf.size for leaf in jax.tree.leaves(params))) ** 0.5


def _scaled(tree: PyTree, factor: float) -> PyTree:
    return jax.tree.map(lambda leaf: factor * leaf, tree)
