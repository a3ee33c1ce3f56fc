"""Closed forms of K^(2), K^(3) and K^(4) of a fully connected network, from its passes alone.

The gradient of f_β has rank one in every layer, so that second and third derivatives of a
prediction along such gradients are inner products of states, adjoints and their first-order
tangents (theory: the 2n+1 rule). Arrays of tangents are indexed [sample, field, unit].
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nthlib.activations import derivative
from nthlib.finite.passes import States, Tangents, states, tangents
from nthlib.network import FullyConnected, Parameters, gained

CLOSED_ORDERS = 4

# Blocks in which the symmetric Gram matrix of all pairs is computed, above its diagonal only:
# with k blocks a share (k + 1) / 2k of it, in products that stay large. Blocks of fewer samples
# would save little, and every block is a program of its own to compile.
_GRAM_BLOCKS, _GRAM_SAMPLES = 8, 16
# Rows (sample, field) whose tangents are held at once for K^(3).
ROWS_AT_ONCE = 2048
# Units of a network of one hidden layer whose kernels beyond the closed ones are summed at once.
UNITS_AT_ONCE = 1024


def layer_kernel_matrices(rows: States, columns: States) -> list[Float[Array, "N n"]]:
    """G^(1), .., G^(H+1) between two sets of samples: N n m H multiplications.

    G^(ℓ) = ⟨λ^(ℓ), λ^(ℓ)⟩ ⟨x^(ℓ−1), x^(ℓ−1)⟩ and G^(H+1) = ⟨x^(H), x^(H)⟩ (Huang and Yau 2020).
    """
    weight_layers = [
        (left_adjoint @ right_adjoint.T) * (left_input @ right_input.T)
        for left_adjoint, right_adjoint, left_input, right_input in zip(
            rows.adjoints, columns.adjoints, rows.inputs, columns.inputs, strict=True
        )
    ]
    return [*weight_layers, rows.output @ columns.output.T]


def closed_kernels(
    net: FullyConnected,
    params: Parameters,
    X: Float[Array, "n d"],
    order: int,
    X_test: Float[Array, "t d"] | None = None,
) -> dict[int, Array]:
    """K^(1), .., K^(order) for order at most 4, training rows first and then test rows."""
    n = len(X)
    everything = states(net, params, X if X_test is None else jnp.concatenate([X, X_test]))
    train = _samples(everything, slice(n))
    result = {1: everything.output @ params.readout}
    if order >= 2:
        result[2] = sum(layer_kernel_matrices(everything, train))  # type: ignore[assignment]
    if order == 3:
        result[3] = _third_order(net, params, everything, train)
    if order == 4:
        result |= _third_and_fourth_order(net, params, everything, train)
    return result


def _samples(passes: States, chosen: slice) -> States:
    return jax.tree.map(lambda leaf: leaf[chosen], passes)


class Overlaps(NamedTuple):
    """Inner products of tangents with states, per layer: shape (samples, fields, others).

    ``adjoints``: ⟨λ̇_α^γ, λ_β⟩ for ℓ = 1..H; ``inputs``: ⟨ẋ_α^γ, x_β⟩ of x^(ℓ−1) for ℓ = 2..H+1,
    the last one being that of the network's output x^(H). The input itself does not move.
    """

    adjoints: list[Array]
    inputs: list[Array]


def _overlaps(moved: Tangents, others: States) -> Overlaps:
    below = [*others.inputs[1:], others.output]
    return Overlaps(
        [dot @ adjoint.T for dot, adjoint in zip(moved.adjoints, others.adjoints, strict=True)],
        [dot @ x.T for dot, x in zip(moved.outputs, below, strict=True)],
    )


def _second_derivative(overlaps: Overlaps, samples: States, others: States) -> Array:
    """∇²f_α[∇f_β, ∇f_γ], indexed [α, γ, β]."""
    total = overlaps.inputs[-1]
    for layer, adjoint_overlap in enumerate(overlaps.adjoints):
        inputs = samples.inputs[layer] @ others.inputs[layer].T
        total = total + adjoint_overlap * inputs[:, None]
        if layer > 0:
            adjoints = samples.adjoints[layer] @ others.adjoints[layer].T
            total = total + overlaps.inputs[layer - 1] * adjoints[:, None]
    return total


def _third_order(
    net: FullyConnected, params: Parameters, everything: States, train: States
) -> Array:
    """K^(3)(α, β, γ) = ∇²f_α[β, γ] + ∇²f_β[α, γ], some samples at a time.

    The tangents of all samples together would outgrow the result.
    """
    n = len(train.output)

    def second_derivatives(samples: States, others: States) -> Array:
        def of_sample(sample: States) -> Array:
            alone = jax.tree.map(lambda leaf: leaf[None], sample)
            moved = tangents(net, params, alone, train)
            return _second_derivative(_overlaps(moved, others), alone, others)[0]

        return jax.lax.map(of_sample, samples, batch_size=max(1, ROWS_AT_ONCE // n))

    of_train = second_derivatives(train, everything)
    of_rows = of_train[:, :, :n]
    if len(everything.output) > n:
        of_test = second_derivatives(_samples(everything, slice(n, None)), train)
        of_rows = jnp.concatenate([of_rows, of_test])
    return of_rows.transpose(0, 2, 1) + of_train.transpose(2, 0, 1)


def _third_and_fourth_order(
    net: FullyConnected, params: Parameters, everything: States, train: States
) -> dict[int, Array]:
    n = len(train.output)
    moved = _moving(net, params, train, train)
    overlaps = _overlaps(moved.tangents, train)
    second = _second_derivative(overlaps, train, train)
    of_samples = jax.lax.map(lambda inputs: _third_derivative(*inputs), (moved, overlaps))
    gram = _symmetric_gram(moved, overlaps)
    third = second.transpose(0, 2, 1) + second.transpose(2, 0, 1)
    fourth = (
        of_samples
        + of_samples.transpose(1, 0, 2, 3)
        + gram
        + gram.transpose(1, 0, 2, 3)
        + gram.transpose(0, 2, 1, 3)
        + gram.transpose(0, 2, 3, 1)
    )
    if len(everything.output) > n:
        test = _samples(everything, slice(n, None))
        of_test = jax.lax.map(lambda x: _test_row(net, params, x, moved), test)
        third = _third_order(net, params, everything, train)
        fourth = jnp.concatenate([fourth, of_test])
    return {3: third, 4: fourth}


class Moving(NamedTuple):
    """Samples with their tangents, and what the third derivative of the activation adds.

    ``curvatures``: g = b φ‴ ḣ/3 + φ″ ḃ per layer, shape (samples, fields, m), with φ = σ/√m.
    """

    samples: States
    tangents: Tangents
    curvatures: tuple[Array, ...]


def _moving(net: FullyConnected, params: Parameters, samples: States, fields: States) -> Moving:
    scale = jnp.sqrt(net.width)
    bend, twist = (derivative(net.activation, order) for order in (2, 3))
    moved = tangents(net, params, samples, fields)
    curvatures = tuple(
        gained(params, b * twist(h) / (3 * scale))[:, None] * speed
        + gained(params, bend(h) / scale)[:, None] * back
        for b, h, speed, back in zip(
            samples.backward,
            samples.preactivations,
            moved.preactivations,
            moved.backward,
            strict=True,
        )
    )
    return Moving(samples, moved, curvatures)


def _third_derivative(moved: Moving, overlaps: Overlaps) -> Array:
    """∇³f[∇f_β, ∇f_γ, ∇f_δ] of one sample, indexed [β, γ, δ] and symmetric in all three."""
    n = len(overlaps.inputs[0])
    first, second = np.triu_indices(n)
    place = np.zeros((n, n), dtype=int)
    place[first, second] = place[second, first] = np.arange(len(first))
    # The local term is g ḣ ḣ, summed over the three places of g. It is symmetric in the two
    # ḣ, so that the pairs γ ≤ δ suffice.
    products = sum(
        curvature @ (speed[first] * speed[second]).T
        for curvature, speed in zip(moved.curvatures, moved.tangents.preactivations, strict=True)
    )
    local = products[:, place]  # type: ignore[index]
    return _sum_over_places(local + _shared_sample(overlaps, overlaps))


def _sum_over_places(term: Array) -> Array:
    """Sum over which of three arguments comes first, for a term symmetric in the other two."""
    return term + term.transpose(1, 0, 2) + term.transpose(1, 2, 0)


def _shared_sample(left: Overlaps, right: Overlaps) -> Array:
    """⟨λ̇^β, λ_γ⟩⟨x_γ, ẋ^δ⟩ + ⟨ẋ^β, x_γ⟩⟨λ_γ, λ̇^δ⟩ summed over layers, indexed [.., γ, β, δ].

    β runs over the fields of ``left``, δ over those of ``right``, γ over the states of both.
    """
    *leading, fields, shared = left.inputs[-1].shape
    shape = (*leading, shared, fields, right.inputs[-1].shape[-2])
    total = jnp.zeros(shape, left.inputs[-1].dtype)
    # The input does not move, so the first layer has no such term, nor has the readout.
    for layer in range(1, len(left.adjoints)):
        a, b, c, d = (
            overlap.swapaxes(-1, -2)
            for overlap in (
                left.adjoints[layer],
                left.inputs[layer - 1],
                right.adjoints[layer],
                right.inputs[layer - 1],
            )
        )
        total = total + a[..., :, None] * d[..., None, :] + b[..., :, None] * c[..., None, :]
    return total


def _symmetric_gram(moved: Moving, overlaps: Overlaps) -> Array:
    """M[(α, γ), (β, δ)] = ⟨∇²f_α ∇f_γ, ∇²f_β ∇f_δ⟩, computed above the diagonal and mirrored."""
    n = len(moved.samples.output)
    gram = jnp.zeros((n, n, n, n), moved.samples.output.dtype)
    blocks = min(_GRAM_BLOCKS, -(-n // _GRAM_SAMPLES))
    edges = np.linspace(0, n, blocks + 1).astype(int)
    for start, stop in itertools.pairwise(edges):
        rows, columns = slice(start, stop), slice(start, n)
        block = _gram(
            _part(moved, rows),
            _part(moved, columns),
            _part(overlaps, (rows, slice(None), columns)),
            _part(overlaps, (columns, slice(None), rows)),
        )
        mirrored = block[:, :, stop - start :].transpose(2, 3, 0, 1)
        gram = gram.at[rows, :, columns].set(block)
        gram = gram.at[stop:, :, rows].set(mirrored)
    return gram


def _part(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def _gram(left: Moving, right: Moving, left_overlaps: Overlaps, right_overlaps: Overlaps) -> Array:
    """⟨∇²f_α ∇f_γ, ∇²f_β ∇f_δ⟩ with (α, γ) from ``left`` and (β, δ) from ``right``.

    ``left_overlaps`` are those of the left tangents with the right states, and conversely.
    """

    def product(a: Array, b: Array) -> Array:
        flat = a.reshape(-1, a.shape[-1]) @ b.reshape(-1, b.shape[-1]).T
        return flat.reshape(*a.shape[:2], *b.shape[:2])

    def spread(inner: Array) -> Array:
        return inner[:, None, :, None]

    total = product(left.tangents.outputs[-1], right.tangents.outputs[-1])
    for layer in range(len(left.curvatures)):
        inputs = left.samples.inputs[layer] @ right.samples.inputs[layer].T
        dots = product(left.tangents.adjoints[layer], right.tangents.adjoints[layer])
        total = total + dots * spread(inputs)
        if layer > 0:
            adjoints = left.samples.adjoints[layer] @ right.samples.adjoints[layer].T
            dots = product(left.tangents.outputs[layer - 1], right.tangents.outputs[layer - 1])
            total = total + dots * spread(adjoints)
            for a, b in (
                (left_overlaps.adjoints[layer], right_overlaps.inputs[layer - 1]),
                (left_overlaps.inputs[layer - 1], right_overlaps.adjoints[layer]),
            ):
                # a is indexed [α, γ, β] and b [β, δ, α].
                total = total + a[..., None] * b.transpose(2, 0, 1)[:, None]
    return total


def _test_row(net: FullyConnected, params: Parameters, sample: States, train: Moving) -> Array:
    """K^(4)(x, β, γ, δ) of one test sample x; its field moves the training samples as well."""
    x = jax.tree.map(lambda leaf: leaf[None], sample)
    moved = _moving(net, params, x, train.samples)
    pushed = _moving(net, params, train.samples, x)
    of_x = _overlaps(moved.tangents, train.samples)
    along_x = _overlaps(pushed.tangents, train.samples)
    of_train = _overlaps(train.tangents, train.samples)
    with_x = _overlaps(train.tangents, x)

    pairs = _gram(moved, train, of_x, with_x)[0]
    swapped = _gram(pushed, train, along_x, of_train)[:, 0]
    return (
        _third_derivative(_part(moved, 0), _part(of_x, 0))
        + _train_derivative_along_test(train, pushed, of_train, along_x, with_x)
        + swapped
        + pairs
        + pairs.transpose(1, 0, 2)
        + pairs.transpose(1, 2, 0)
    )


def _train_derivative_along_test(
    train: Moving, pushed: Moving, of_train: Overlaps, along_x: Overlaps, with_x: Overlaps
) -> Array:
    """∇³f_β[∇f_x, ∇f_γ, ∇f_δ], indexed [β, γ, δ]."""
    total = _shared_sample(with_x, with_x)[..., 0, :, :]  # γ and δ meet at the test sample
    at_train = _shared_sample(along_x, of_train)[..., 0, :]  # x and δ meet at γ
    total = total + at_train + at_train.swapaxes(1, 2)
    for layer, speed in enumerate(train.tangents.preactivations):
        g, g_x = train.curvatures[layer], pushed.curvatures[layer]
        speed_x = pushed.tangents.preactivations[layer]
        one_side = (g * speed_x) @ speed.swapaxes(1, 2)
        total = total + one_side + one_side.swapaxes(1, 2)
        total = total + (speed * g_x) @ speed.swapaxes(1, 2)
    return total
