"""What one forward and one backward pass leave behind, for every sample of a network."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nthlib.activations import derivative
from nthlib.network import FullyConnected, Parameters


class States(NamedTuple):
    """Per layer and sample, with ℓ running from 1 to H along each tuple.

    ``inputs``: x^(ℓ−1), shapes (N, d), (N, m), ..; ``adjoints``: λ^(ℓ) = ∂f/∂(W^(ℓ) x^(ℓ−1)),
    shapes (N, m); ``output``: x^(H), shape (N, m). The gradient of f with respect to W^(ℓ)
    is the outer product λ^(ℓ) ⊗ x^(ℓ−1), which is never formed.
    """

    inputs: tuple[Float[Array, "N _"], ...]
    adjoints: tuple[Float[Array, "N m"], ...]
    output: Float[Array, "N m"]


def states(net: FullyConnected, params: Parameters, X: Float[Array, "N d"]) -> States:
    """One forward and one backward pass: N m² H multiplications, N m H numbers kept."""
    scale = jnp.sqrt(net.width)
    slope = derivative(net.activation)
    inputs, preactivations = [X], []
    for weight in params.weights:
        preactivations.append(inputs[-1] @ weight.T)
        inputs.append(net.activation(preactivations[-1]) / scale)

    backward = jnp.broadcast_to(params.readout, inputs[-1].shape)
    adjoints = []
    for weight, h in zip(reversed(params.weights), reversed(preactivations), strict=True):
        adjoints.append(backward * slope(h) / scale)
        # The input's own adjoint is not needed, so the first layer's product is left out.
        backward = adjoints[-1] @ weight if len(adjoints) < net.depth else backward
    return States(tuple(inputs[:-1]), tuple(reversed(adjoints)), inputs[-1])
