"""A network's passes and their first-order tangents along the fields ∇f_γ.

One forward and one backward pass give the states x^(ℓ) and the adjoints λ^(ℓ) of every
sample. Moving the parameters along V_γ = ∇f_γ changes them to first order by the tangents
below; the closed forms of K^(3) and K^(4) need nothing else.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nthlib.activations import derivative
from nthlib.network import FullyConnected, Parameters, gained


class States(NamedTuple):
    """Per layer and sample, with ℓ running from 1 to H along each tuple.

    ``inputs``: x^(ℓ−1), shapes (N, d), (N, m), ..; ``preactivations``: h^(ℓ) = W^(ℓ) x^(ℓ−1);
    ``backward``: b^(ℓ) = ∂f/∂x^(ℓ); ``adjoints``: λ^(ℓ) = ∂f/∂h^(ℓ); ``output``: x^(H), (N, m).
    All but the first input have shape (N, m). The gradient of f with respect to W^(ℓ) is the
    outer product λ^(ℓ) ⊗ x^(ℓ−1), which is never formed.
    """

    inputs: tuple[Float[Array, "N _"], ...]
    preactivations: tuple[Float[Array, "N m"], ...]
    backward: tuple[Float[Array, "N m"], ...]
    adjoints: tuple[Float[Array, "N m"], ...]
    output: Float[Array, "N m"]


class Tangents(NamedTuple):
    """First-order tangents of samples α along the fields of samples γ, shapes (A, G, m).

    ``preactivations``: ḣ^(ℓ); ``adjoints``: λ̇^(ℓ); ``backward``: ḃ^(ℓ), each with ℓ = 1..H along
    the tuple; ``outputs``: ẋ^(ℓ), the layers' outputs, whose last is ẋ^(H). ẋ^(0) is zero.
    """

    preactivations: tuple[Float[Array, "A G m"], ...]
    outputs: tuple[Float[Array, "A G m"], ...]
    backward: tuple[Float[Array, "A G m"], ...]
    adjoints: tuple[Float[Array, "A G m"], ...]


def states(net: FullyConnected, params: Parameters, X: Float[Array, "N d"]) -> States:
    """One forward and one backward pass: N m² H multiplications, N m H numbers kept.

    Args:
        net: a fully connected network.
        params: its parameters, from ``net.init``.
        X: inputs (N, d).

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> from nthlib.finite.passes import states
    >>> net = nth.FullyConnected(dim=3, width=8, depth=2)
    >>> states(net, net.init(jax.random.key(0)), jnp.ones((5, 3))).output.shape
    (5, 8)
    """
    scale = jnp.sqrt(net.width)
    slope = derivative(net.activation)
    inputs, preactivations = [X], []
    for weight in params.weights:
        preactivations.append(inputs[-1] @ weight.T)
        inputs.append(gained(params, net.activation(preactivations[-1]) / scale))

    backward = [jnp.broadcast_to(params.readout, inputs[-1].shape)]
    adjoints: list[Array] = []
    for weight, h in zip(reversed(params.weights), reversed(preactivations), strict=True):
        adjoints.append(gained(params, backward[-1] * slope(h) / scale))
        # The input's own adjoint is not needed, so the first layer's product is left out.
        if len(adjoints) < net.depth:
            backward.append(adjoints[-1] @ weight)
    return States(
        tuple(inputs[:-1]),
        tuple(preactivations),
        tuple(reversed(backward)),
        tuple(reversed(adjoints)),
        inputs[-1],
    )


def tangents(net: FullyConnected, params: Parameters, samples: States, fields: States) -> Tangents:
    """The tangents of ``samples`` along ∇f of ``fields``: 2 A G m² (H−1) multiplications.

    Along V_γ the parameters move by dW^(ℓ) = λ_γ^(ℓ) ⊗ x_γ^(ℓ−1) and da = x_γ^(H), of rank one, so
    that only products with inner products of states and of adjoints are added.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> from nthlib.finite.passes import states, tangents
    >>> net = nth.FullyConnected(dim=3, width=8, depth=2)
    >>> params = net.init(jax.random.key(0))
    >>> passes = states(net, params, jnp.ones((5, 3)))
    >>> tangents(net, params, passes, passes).adjoints[0].shape
    (5, 5, 8)
    """
    scale = jnp.sqrt(net.width)
    first, second = (derivative(net.activation, order) for order in (1, 2))
    slopes = [gained(params, first(h) / scale)[:, None] for h in samples.preactivations]
    bends = [gained(params, second(h) / scale)[:, None] for h in samples.preactivations]

    preactivations: list[Array] = []
    outputs: list[Array] = []
    for layer, weight in enumerate(params.weights):
        inner = (samples.inputs[layer] @ fields.inputs[layer].T)[..., None]
        moved = inner * fields.adjoints[layer][None]
        if layer > 0:
            moved = moved + outputs[-1] @ weight.T
        preactivations.append(moved)
        outputs.append(slopes[layer] * moved)

    shape = outputs[-1].shape
    backward = [jnp.broadcast_to(fields.output, shape)]
    adjoints: list[Array] = []
    for layer in reversed(range(net.depth)):
        bent = (samples.backward[layer][:, None] * bends[layer]) * preactivations[layer]
        adjoints.append(backward[-1] * slopes[layer] + bent)
        if layer > 0:
            inner = (samples.adjoints[layer] @ fields.adjoints[layer].T)[..., None]
            moved = inner * fields.inputs[layer][None]
            backward.append(adjoints[-1] @ params.weights[layer] + moved)
    return Tangents(
        tuple(preactivations), tuple(outputs), tuple(reversed(backward)), tuple(reversed(adjoints))
    )
