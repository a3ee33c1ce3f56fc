"""The fully connected network of the paper, with its normalisation and initialisation."""

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, TypeGuard

import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PRNGKeyArray

from nthlib import checks
from nthlib.activations import Activation, require_elementwise
from nthlib.spelling import spelled


class Parameters(NamedTuple):
    """The trainable arrays: ``weights`` W^(1) (m, d), W^(2..H) (m, m); ``readout`` a (m,).

    ``gains``, None or (m,), are never trained and multiply the outputs of the units of every
    hidden layer; :func:`nthlib.subnetwork` sets them.

    >>> import jax, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=8, depth=2)
    >>> params = net.init(jax.random.key(0))
    >>> [weight.shape for weight in params.weights], params.readout.shape
    ([(8, 3), (8, 8)], (8,))
    """

    weights: tuple[Float[Array, "m _"], ...]
    readout: Float[Array, " m"]
    gains: Float[Array, " m"] | None = None


@spelled
@dataclass(frozen=True)
class FullyConnected:
    """A network without biases: x^(ℓ) = σ(W^(ℓ) x^(ℓ−1)) / √m, f = a · x^(H).

    Entries are drawn W_ij ~ N(0, sigma_w²) and a_i ~ N(0, sigma_a²). There is no 1/√d on the
    input and no further factor on the readout (Huang and Yau 2020, section 1), so that at
    initialisation every layer and f are of order one when the inputs have norm of order one.
    Not to be confused with the "NTK parametrisation" that also divides by √d.

    Args:
        dim: length d of an input.
        width: units m in every hidden layer.
        depth: hidden layers H.
        activation: an elementwise function σ built from JAX operations.
        sigma_w: standard deviation of the weights.
        sigma_a: standard deviation of the readout.

    Raises:
        TypeError, ValueError: naming the argument, when a size is not whole or below 1, a
            standard deviation not positive, or the activation not elementwise.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=8, depth=2)
    >>> params = net.init(jax.random.key(0))
    >>> net(params, jnp.ones((5, 3))).shape
    (5,)
    """

    dim: int
    width: int
    depth: int
    activation: Activation = jnp.tanh
    _: KW_ONLY
    sigma_w: float = 1.0
    sigma_a: float = 1.0

    def __post_init__(self) -> None:
        for name in ("dim", "width", "depth"):
            # Frozen: numpy integers are replaced by plain ones so that equal networks hash alike.
            object.__setattr__(self, name, checks.whole_number(name, getattr(self, name), 1))
        for name in ("sigma_w", "sigma_a"):
            object.__setattr__(self, name, checks.positive_number(name, getattr(self, name)))
        require_elementwise(self.activation)

    def init(self, key: PRNGKeyArray, dtype: DTypeLike = float) -> Parameters:
        """Draw the parameters of the network.

        Args:
            key: a random key; equal keys give equal parameters.
            dtype: of the arrays; JAX's default float unless given.

        Returns:
            :class:`Parameters` with weights (m, d), (m, m), .. and a readout (m,).

        Raises:
            TypeError, ValueError: when ``key`` is not a single random key.

        >>> import jax, nthlib as nth
        >>> net = nth.FullyConnected(dim=3, width=8, depth=2)
        >>> net.init(jax.random.key(0)).readout.shape
        (8,)
        """
        checks.random_key("key", key)
        # One draw for all layers: compiling a generator takes longer than running it.
        shapes = self._shapes()
        entries = jax.random.normal(key, (sum(map(math.prod, shapes)),), dtype)
        layers, start = [], 0
        for shape in shapes:
            stop = start + math.prod(shape)
            layers.append(entries[start:stop].reshape(shape))
            start = stop
        *weights, readout = layers
        return Parameters(
            tuple(self.sigma_w * weight for weight in weights), self.sigma_a * readout
        )

    def _shapes(self) -> list[tuple[int, ...]]:
        fan_in = [self.dim] + [self.width] * (self.depth - 1)
        return [*((self.width, columns) for columns in fan_in), (self.width,)]

    def __call__(self, params: Parameters, X: Float[Array, "N d"]) -> Float[Array, " N"]:
        """The predictions f(X).

        Args:
            params: from :meth:`init`.
            X: inputs (N, d).

        Returns:
            The outputs, shape (N,).

        >>> import jax, jax.numpy as jnp, nthlib as nth
        >>> net = nth.FullyConnected(dim=3, width=8, depth=2)
        >>> net(net.init(jax.random.key(0)), jnp.ones((5, 3))).shape
        (5,)
        """
        x = X
        for weight in params.weights:
            x = gained(params, self.activation(x @ weight.T) / jnp.sqrt(self.width))
        return x @ params.readout

    def check_params(self, params: Parameters) -> None:
        """Check that parameters are of this network.

        Args:
            params: what is to be checked.

        Raises:
            ValueError: unless it is :class:`Parameters` of the shapes that :meth:`init` gives.

        >>> import jax, nthlib as nth
        >>> net = nth.FullyConnected(dim=3, width=8, depth=2)
        >>> net.check_params(net.init(jax.random.key(0)))
        """
        wanted = self._shapes()
        if isinstance(params, Parameters) and params.gains is not None:
            wanted.append((self.width,))
        got = [jnp.shape(leaf) for leaf in jax.tree.leaves(params)]
        if not isinstance(params, Parameters) or got != wanted:
            raise ValueError(f"params must have leaves of shapes {wanted}, got {got}")


def gained(params: Parameters, values: Float[Array, "*rest m"]) -> Float[Array, "*rest m"]:
    """Numbers of the units, times the units' gains where there are any."""
    if params.gains is None:
        return values
    return jnp.broadcast_to(jax.lax.stop_gradient(params.gains), values.shape) * values


# As they are here: a class derived, or somebody's patch, may have others.
_OWN = {"__call__": FullyConnected.__call__, "init": FullyConnected.init}


def has_closed_forms(model: Any) -> TypeGuard[FullyConnected]:
    """Whether a model computes what the closed forms are of: a class derived may do otherwise."""
    return isinstance(model, FullyConnected) and type(model).__call__ is _OWN["__call__"]


def require_own_law(name: str, net: Any) -> None:
    """Raise unless ``net`` computes and draws as :class:`FullyConnected` does."""
    if not isinstance(net, FullyConnected):
        raise TypeError(f"{name} must be a FullyConnected, got {type(net).__name__}")
    for method, own in _OWN.items():
        if getattr(type(net), method) is not own:
            raise TypeError(
                f"{name} must be a FullyConnected itself, but {type(net).__name__} has its own "
                f"{method}: what is computed here would not be of it"
            )
