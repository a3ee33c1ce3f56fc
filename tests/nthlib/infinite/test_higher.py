"""The estimated limits against the quadrature, the recursion and their own standard errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import unit_rows

import nthlib as nth


def z_scores(one, other, error):
    return np.abs(np.asarray(one) - np.asarray(other)) / np.asarray(error)


def test_the_estimate_agrees_with_the_quadrature():
    net, X = nth.FullyConnected(2, 1, 1, sigma_a=0.5), unit_rows(2, 2)
    estimate = nth.limit_kernel_estimate(jax.random.key(1), net, X, 4, width=32, draws=256)
    assert estimate.kernel.shape == estimate.standard_error.shape == (2,) * 4
    z = z_scores(estimate.kernel, nth.limit_kernel(net, X, 4), estimate.standard_error)
    assert z.max() < 5
    # The error is stated neither too large to mean anything nor too small.
    assert (estimate.standard_error < 0.2 * jnp.abs(estimate.kernel).max()).all()
    assert z.max() > 1e-2


@pytest.mark.slow
def test_the_deep_estimate_varies_as_much_as_it_says():
    """Depth 2: equal keys give equal bits, and others differ by their standard errors."""
    net, X = nth.FullyConnected(2, 1, 2, sigma_a=0.5), unit_rows(2, 2)
    estimate = jax.jit(
        jax.vmap(lambda key: nth.limit_kernel_estimate(key, net, X, 4, width=16, draws=64))
    )
    keys = jax.random.split(jax.random.key(2), 12)
    found = estimate(keys)
    kernels, errors = found.kernel, found.standard_error
    np.testing.assert_array_equal(kernels, estimate(keys).kernel)
    pairs = z_scores(kernels[::2], kernels[1::2], np.hypot(errors[::2], errors[1::2]))
    assert pairs.max() < 5
    # Spread over 12 keys against the stated error, pooled over the 16 entries, which are far from
    # independent: one entry alone is within a factor of two in 99.9 % of draws.
    spread = np.std(kernels, axis=0, ddof=1) / np.sqrt(np.mean(np.square(errors), axis=0))
    assert 0.5 < np.median(spread) < 2


def test_the_estimate_of_order_two_tends_to_the_recursion():
    """The estimate's own check at depth 2, where the kernel of order two is known."""
    net, X = nth.FullyConnected(2, 1, 2, sigma_a=0.7), unit_rows(2, 2)
    estimate = nth.limit_kernel_estimate(jax.random.key(3), net, X, 2, width=32, draws=500)
    z = z_scores(estimate.kernel, nth.limit_kernel(net, X), estimate.standard_error)
    assert z.max() < 5


def test_the_width_of_the_network_itself_is_not_used():
    key, X = jax.random.key(4), jnp.eye(2)
    one, other = (
        nth.limit_kernel_estimate(key, nth.FullyConnected(2, m, 2), X, 2, width=4, draws=4)
        for m in (1, 9)
    )
    np.testing.assert_array_equal(one.kernel, other.kernel)
