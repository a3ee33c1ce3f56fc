"""Taylorised training: gradient flow of a model's Taylor polynomial in its parameters."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from nthlib import checks
from nthlib.dynamics import losses
from nthlib.dynamics.flow import Flow, gradient_flow, training_data
from nthlib.finite.taylor import taylor_coefficients
from nthlib.outputs import Model
from nthlib.spelling import spelled


@spelled
def taylorised_flow(
    model: Model,
    params: PyTree,
    X: Array,
    y: Float[Array, "n *C"],
    times: Float[Array, " T"],
    degree: int,
    *,
    X_test: Array | None = None,
    order: int = 1,
    loss: losses.Loss = "square",
    rtol: float = 1e-8,
    max_steps: int = 10_000,
) -> Flow:
    """Train the Taylor polynomial of a model in θ − θ_0 by gradient flow.

    Taylorised training (Bai, Krause, Wang, Xiong and Socher 2020; the landscape of such models, Bai
    and Lee 2020): f is replaced by its expansion to a degree k,

        f^(k)(θ) = Σ_{j ≤ k} (1/j!) ∇^j f(θ_0) [θ − θ_0, .., θ − θ_0].

    Degree 1 is the linearised network. Degree p − 1 takes the same derivatives of f at θ_0 as the
    hierarchy of level p, of which it needs the network and not the kernels; its error is measured
    to be of the same order, m^{−⌊(k+1)/2⌋}, for the paper's networks. With one hidden layer it
    converges in the degree as long as no preactivation moves further than to the activation's
    nearest complex singularity.

    Args:
        model: a callable (params, X) -> (N,) or (N, C), such as a ``FullyConnected``, that
            computes each output from its own row of X alone.
        params: the initial parameters θ_0, any pytree of floating-point arrays.
        X: training inputs, n along the first axis.
        y: labels, shape (n,), or (n, C) for a model with C outputs.
        times: sorted times, none negative.
        degree: k, at least 1.
        X_test: test inputs; their predictions and kernel rows follow the training ones.
        order: 1 returns predictions alone; a higher one also the kernels of the polynomial to that
            order, in its own parameters and much more slowly.
        loss: as for :func:`gradient_flow`.
        rtol: relative tolerance of the solver.
        max_steps: steps after which the solver gives up and the flow is marked invalid.

    Returns:
        A :class:`Flow`; its ``params`` are those of the polynomial.

    Raises:
        TypeError, ValueError: naming the argument, before any work starts.
        MemoryError: before anything is allocated, when kernels, solver or a pass backward would not
            fit.

    Warns:
        UserWarning: as :func:`gradient_flow` does.

    Works under ``jit`` and ``vmap``, not under ``grad`` or ``jvp``.

    >>> import jax, jax.numpy as jnp, nthlib as nth
    >>> net = nth.FullyConnected(dim=3, width=16, depth=1)
    >>> X = nth.sphere(jax.random.key(0), n=3, dim=3)
    >>> params, times = net.init(jax.random.key(1)), jnp.linspace(0.0, 1.0, 5)
    >>> nth.taylorised_flow(net, params, X, jnp.ones(3), times, degree=2).predictions.shape
    (5, 3)
    """
    degree = checks.kernel_order(degree, 1, "degree")
    # In one dtype, and only then close over θ_0.
    data = training_data(model, params, X, y, X_test, loss)
    polynomial = _polynomial(model, data.params, degree)
    return gradient_flow(
        polynomial, data.params, data.X, y, times, X_test=data.X_test, order=order, loss=loss,
        rtol=rtol, max_steps=max_steps,
    )  # fmt: skip


def _polynomial(model: Model, origin: PyTree, degree: int) -> Model:
    """The Taylor polynomial of a model at ``origin``, by derivatives along θ − θ_0."""

    def polynomial(theta: PyTree, X: Array) -> Array:
        still = jax.tree.map(jnp.zeros_like, origin)
        line = [origin, jax.tree.map(jnp.subtract, theta, origin), *[still] * (degree - 1)]
        coefficients = taylor_coefficients(lambda point: model(point, X), line)
        return sum(coefficients[1:], coefficients[0])

    return polynomial
