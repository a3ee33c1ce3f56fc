"""Closed forms of the kernels of a fully connected network, from its passes alone."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nthlib.network import FullyConnected, Parameters
from nthlib.tangents import States, states


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


def tangent_kernel(
    net: FullyConnected,
    params: Parameters,
    X: Float[Array, "n d"],
    X_test: Float[Array, "t d"] | None = None,
) -> tuple[Float[Array, " N"], Float[Array, "N n"]]:
    """Predictions and K^(2), training rows first and then test rows."""
    everything = X if X_test is None else jnp.concatenate([X, X_test])
    rows = states(net, params, everything)
    columns = jax.tree.map(lambda leaf: leaf[: len(X)], rows)
    kernel: Array = sum(layer_kernel_matrices(rows, columns))  # type: ignore[assignment]
    return rows.output @ params.readout, kernel
