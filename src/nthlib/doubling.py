"""The doubled model: two copies of a model at equal parameters, of which one is subtracted."""

import math
from dataclasses import dataclass
from typing import Any

from jaxtyping import Array, Float, PyTree

from nthlib.model import check_params
from nthlib.outputs import Model
from nthlib.spelling import spelled


@dataclass(frozen=True)
class Doubled:
    """(f(θ₁) − f(θ₂))/√2 of a model f, whose parameters are the pair (θ₁, θ₂)."""

    model: Model

    def __call__(self, params: tuple[PyTree, PyTree], X: Array) -> Float[Array, "N *C"]:
        """The predictions at both parameters, subtracted."""
        first, second = params
        return (self.model(first, X) - self.model(second, X)) / math.sqrt(2)


@spelled
def antisymmetric(model: Model, params: PyTree) -> tuple[Doubled, tuple[Any, Any]]:
    """The model (f(θ₁) − f(θ₂))/√2 and its parameters, both copies at the given ones.

    Its kernels are K^(r)(θ₁, θ₂) = 2^(−r/2) (K^(r)(θ₁) + (−1)^r K^(r)(θ₂)), those on the right
    being the model's own. So at the start the predictions and all kernels of odd order are zero,
    K^(2) is that of the model, and K^(4) half of it. Training moves the two copies apart. Known as
    the antisymmetrical initialisation (Zhang, Xu, Luo and Ma 2020).

    Args:
        model: a callable (params, X) -> (N,) or (N, C), such as a :class:`FullyConnected`.
        params: its parameters, any pytree of floating-point arrays.

    Returns:
        The doubled model, a callable that takes a pair of parameters, and the pair. Doubled models
        of equal models are equal.

    Raises:
        TypeError, ValueError: naming the argument, for a wrong type or value.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=16, depth=2)
    >>> doubled, pair = nth.antisymmetric(net, net.init(jax.random.key(0)))
    >>> doubled(pair, jnp.eye(3)).tolist()
    [0.0, 0.0, 0.0]
    """
    check_params(model, params)
    return Doubled(model), (params, params)
