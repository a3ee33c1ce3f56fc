"""Predicting an ensemble beside drawing and training one until its mean is as accurate.

How accurate the prediction is, is measured where it costs least, at a narrow width: networks are
trained in pairs of opposite readouts, and their own frozen kernel is the control variate, whose
mean comes from many draws that need no training. The difference holds the noise of that measurement
(``accuracy_noise`` is its share), and so is an upper estimate. What the prediction leaves out is of
order 1/m², by which it is scaled to the other widths. A plain ensemble reaches that accuracy with
(spread over accuracy)² networks. Seconds are those of the processor.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import nthlib as nth
from benchmarks.timing import save
from nthlib.dynamics.frozen import frozen_predictions

POINTS, TESTS, DIM, DEPTH = 8, 4, 10, 2
TIMES = jnp.array([2.0, 6.0])
WIDTHS = (64, 128, 256)
NARROW, PAIRS, KERNELS, BATCH = 32, 768, 2**15, 32


def _problem() -> tuple[Array, Array, Array]:
    X = nth.sphere(jax.random.key(0), POINTS + TESTS, DIM)
    return X[:POINTS], X[POINTS:], jnp.cos(jnp.arange(float(POINTS)))


def _network(width: int) -> nth.FullyConnected:
    return nth.FullyConnected(DIM, width, DEPTH)


def run() -> list[dict[str, Any]]:
    """One row for every width, and each for f and for f − f(0)."""
    X, X_test, y = _problem()
    rows = []
    for centred in (True, False):

        def predict(centred: bool = centred) -> nth.EnsemblePrediction:
            return nth.predict_ensemble(_network(512), X, y, TIMES, X_test=X_test, centred=centred)

        seconds, found = _processor(predict)
        error, noise = _error(found, centred)
        for width in WIDTHS:
            accuracy = error * (NARROW / width) ** 2
            each, spread = _trained(width, centred)
            needed = (spread / accuracy) ** 2
            rows.append({
                "n": POINTS, "tests": TESTS, "H": DEPTH, "m": width, "centred": centred,
                "times": TIMES.tolist(), "accuracy": accuracy, "accuracy_noise": noise / error,
                "spread": spread, "networks": needed, "seconds_each": each,
                "seconds": seconds,
                "times_cheaper": needed * each / seconds,
            })  # fmt: skip
    return rows


def _processor(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = jax.block_until_ready(call())
    return time.process_time() - start, found


def _final(width: int, centred: bool) -> Callable[[Any], Array]:
    """Of parameters: f, or f − f(0), of the trained network at all times."""
    X, X_test, y = _problem()
    net = _network(width)

    def predictions(params: Any) -> Array:
        start = net(params, jnp.concatenate([X, X_test])) if centred else jnp.zeros(())
        labels = y + start[:POINTS] if centred else y
        flow = nth.gradient_flow(net, params, X, labels, TIMES, X_test=X_test, order=1, rtol=1e-6)
        return flow.predictions - start

    return predictions


def _trained(width: int, centred: bool) -> tuple[float, float]:
    """Seconds for each network of a batch, and the rms spread of what they predict."""
    draw = jax.vmap(_network(width).init)
    train = jax.jit(jax.vmap(_final(width, centred)))
    jax.block_until_ready(train(draw(jax.random.split(jax.random.key(1), BATCH))))
    params = draw(jax.random.split(jax.random.key(2), BATCH))
    seconds, found = _processor(lambda: train(params))
    return seconds / BATCH, float(np.sqrt(np.var(found, axis=0, ddof=1).mean()))


def _error(found: nth.EnsemblePrediction, centred: bool) -> tuple[float, float]:
    """Rms error of the predicted mean at the narrow width, and the noise that is in it."""
    final = _final(NARROW, centred)

    def moved(params: Any) -> Array:
        other = params._replace(readout=-params.readout)
        return (final(params) + final(other)) / 2 - _frozen(params)

    parts = [_batches(moved, PAIRS, 3), _batches(_frozen, KERNELS, 4)]
    mean = sum(part.mean(axis=0) for part in parts)
    variance = sum(part.var(axis=0, ddof=1) / len(part) for part in parts)
    off = mean - np.asarray(found.at(NARROW)[0])
    return float(np.sqrt(np.mean(off**2))), float(np.sqrt(np.mean(variance)))


def _frozen(params: Any) -> Array:
    """What the kernel of a draw predicts at rest, averaged over both signs of the readout."""
    X, X_test, y = _problem()
    kernel = nth.kernels(_network(NARROW), params, X, 2, X_test=X_test)[2]
    still = jnp.zeros(POINTS + TESTS)  # the start cancels
    return frozen_predictions(kernel, still, y, TIMES, POINTS, float(jnp.finfo(y).eps))


@functools.cache
def _batches(measure: Callable[[Any], Array], draws: int, seed: int) -> np.ndarray:
    net = _network(NARROW)
    batch = jax.jit(jax.vmap(lambda key: measure(net.init(key))))
    keys = jax.random.split(jax.random.key(seed), (draws // BATCH, BATCH))
    return np.concatenate([np.asarray(batch(some)) for some in keys])


def line(row: dict[str, Any]) -> str:
    """One row in words."""
    what = "f − f(0)" if row["centred"] else "f"
    return (
        f"mean of {what} at m={row['m']}, H={row['H']}, n={row['n']}+{row['tests']}: accurate to "
        f"{row['accuracy']:.1e}, for which {row['networks']:.0f} networks of "
        f"{1e3 * row['seconds_each']:.1f} ms are trained; predicted in {row['seconds']:.1f} s, "
        f"{row['times_cheaper']:.0f}× cheaper"
    )


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    rows = run()
    print("\n".join(map(line, rows)))
    print(f"written to {save('ensembles', rows)}")
