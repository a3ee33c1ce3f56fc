"""Idle units, with which one compiled program serves networks of all widths."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from nthlib import checks
from nthlib.model import check_leaves
from nthlib.network import FullyConnected, Parameters, has_closed_forms
from nthlib.spelling import spelled


@spelled
def subnetwork(net: FullyConnected, params: Parameters, width: int | Int[Array, ""]) -> Parameters:
    """The network of the first ``width`` units of every hidden layer, for the same ``net``.

    The other units stay idle: they put out nothing, receive no gradient and never move. So one
    compiled program serves all widths, and one draw holds the networks of all of them.

    Args:
        net: a fully connected network of width m.
        params: its parameters, from ``net.init``.
        width: how many units, from 1 to m; it may be traced, and so mapped over by ``vmap``.

    Returns:
        :class:`Parameters` of ``net``: the same arrays, with gains √(m/width) for the first
        units and 0 for the idle ones. Outputs, kernels and dynamics are those of a network of
        this width with the arrays cut off there.

    Raises:
        TypeError, ValueError: naming the argument.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net, X = nth.FullyConnected(dim=3, width=8, depth=1), jnp.ones((1, 3))
    >>> params = net.init(jax.random.key(0))
    >>> cut = nth.Parameters((params.weights[0][:2],), params.readout[:2])
    >>> narrow = nth.FullyConnected(dim=3, width=2, depth=1)
    >>> bool(jnp.allclose(net(nth.subnetwork(net, params, 2), X), narrow(cut, X)))
    True
    """
    if not has_closed_forms(net):
        raise TypeError(
            f"net must be a FullyConnected without a __call__ of its own, got {type(net).__name__}"
        )
    check_leaves(params)
    net.check_params(params)
    if checks.is_traced(width):
        checks.require(jnp.shape(width) == (), "width must be a single number")
    elif checks.whole_number("width", width, 1) > net.width:
        raise ValueError(
            f"width must be at most that of net, {net.width}, got {checks.short(width)}"
        )
    gain = jnp.sqrt(jnp.asarray(net.width / width, params.readout.dtype))
    return params._replace(gains=jnp.where(jnp.arange(net.width) < width, gain, 0))
