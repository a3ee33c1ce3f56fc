"""The kernels of networks of finite width to order 1/m, with no network drawn."""

from dataclasses import dataclass

import jax
from jaxtyping import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class WidthExpansion:
    """The statistics of f and of its kernels at initialisation, to order 1/m in the width m.

    With N inputs, averages over draws of networks of width m are

    - E f_α f_β = ``output`` + ``output_correction``/m, E K^(2) = ``kernel`` +
      ``kernel_correction``/m, all of shape (N, N);
    - E K^(4) = ``fourth_kernel``/m, Cov(K^(2)_αβ, K^(2)_γδ) = ``kernel_covariance``/m and
      Cov(f_α f_β, K^(2)_γδ) = ``output_kernel``/m, (N, N, N, N) with axes α, β, γ, δ;
    - E f_α K^(3)_βγδ = ``output_third``/m, and ``output_cumulant``/m the joint cumulant of
      f_α, f_β, f_γ, f_δ, both (N, N, N, N);

    each with an error of the next order in 1/m. ``error`` has for each of these names the error of
    the Gaussian integration, relative to the largest entry.

    >>> import jax.numpy as jnp, nthlib as nth
    >>> square, quartic = jnp.eye(2), jnp.zeros((2, 2, 2, 2))
    >>> nth.WidthExpansion(
    ...     output=square, output_correction=0 * square, kernel=square,
    ...     kernel_correction=0 * square, output_cumulant=quartic, output_kernel=quartic,
    ...     kernel_covariance=quartic, output_third=quartic, fourth_kernel=quartic, error={},
    ... ).kernel.shape
    (2, 2)
    """

    output: Float[Array, "N N"]
    output_correction: Float[Array, "N N"]
    kernel: Float[Array, "N N"]
    kernel_correction: Float[Array, "N N"]
    output_cumulant: Float[Array, "N N N N"]
    output_kernel: Float[Array, "N N N N"]
    kernel_covariance: Float[Array, "N N N N"]
    output_third: Float[Array, "N N N N"]
    fourth_kernel: Float[Array, "N N N N"]
    error: dict[str, float]
