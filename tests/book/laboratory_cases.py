"""The cases that the laboratory's mathematics is held to, computed by nthlib in float64.

`python tests/book/laboratory_cases.py` writes them anew to laboratory_cases.json. The initial
weights stand in the file, with four decimals, so that both sides start from the same numbers.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import nthlib as nth
from nthlib.activations import named
from nthlib.network import Parameters

STORED = Path(__file__).with_suffix(".json")

ACTIVATIONS = ("tanh", "softplus", "erf", "gelu", "sin")
DEPTHS = (1, 2)
TIMES = (0.0, 0.7, 2.0, 5.0)
LEVELS = (2, 3, 4)
# Of the strip sum, as an action; narrow enough that the weights are far from one.
HALF_WIDTH = 3.0
# At which a correction of order 1/m, which is not compared, is small.
LIMIT_WIDTH = 4096
# Width, inputs to train on, other inputs.
SIZES = ((4, 2, 1), (5, 3, 1))


def network(case: dict[str, Any]) -> nth.FullyConnected:
    """The network of a case, for nthlib."""
    asked = case["net"]
    return nth.FullyConnected(
        asked["dim"],
        asked["width"],
        asked["depth"],
        named(asked["activation"]),
        sigma_a=asked.get("sigmaA", 1.0),
    )


def parameters(case: dict[str, Any]) -> Parameters:
    """The initial weights of a case, for nthlib."""
    return Parameters(
        tuple(jnp.array(weight) for weight in case["weights"]), jnp.array(case["readout"])
    )


def drawn(activation: str, depth: int, size: tuple[int, int, int], seed: int) -> dict[str, Any]:
    """A network, its weights and its data, all rounded."""
    width, n, others = size
    random = np.random.default_rng(seed)
    angles = random.permutation(np.linspace(0.2, 2.9, n + others)) + random.normal(
        0, 0.1, n + others
    )
    X = np.round(np.stack([np.cos(angles), np.sin(angles)], axis=1), 4)
    shapes = [(width, 2)] + [(width, width)] * (depth - 1)
    return {
        "net": {"dim": 2, "width": width, "depth": depth, "activation": activation},
        "weights": [np.round(random.normal(size=shape), 4).tolist() for shape in shapes],
        "readout": np.round(random.normal(size=width), 4).tolist(),
        "X": X[:n].tolist(),
        "X_test": X[n:].tolist(),
        "y": np.round(2 * random.normal(size=n), 4).tolist(),
        "times": list(TIMES),
    }


def rounded(values: Any) -> Any:
    """Twelve digits, as flat as the laboratory returns them."""
    return [float(f"{value:.12g}") for value in np.asarray(values).ravel()]


def kernels_of(case: dict[str, Any]) -> dict[int, jax.Array]:
    """K^(1), .., K^(4) at the start."""
    X, test = jnp.array(case["X"]), jnp.array(case["X_test"])
    return nth.kernels(network(case), parameters(case), X, 4, X_test=test)


def kernel_answer(case: dict[str, Any]) -> dict[str, Any]:
    """What nthlib says the kernels of a case are."""
    return {str(order): rounded(kernel) for order, kernel in kernels_of(case).items()}


def flow_answer(case: dict[str, Any]) -> dict[str, Any]:
    """What nthlib says training does."""
    X, test, y = (jnp.array(case[name]) for name in ("X", "X_test", "y"))
    flow = nth.gradient_flow(
        network(case), parameters(case), X, y, jnp.array(TIMES), X_test=test, rtol=1e-10
    )
    return _run(flow.predictions, flow.kernels[2])


def level_answer(case: dict[str, Any]) -> dict[str, Any]:
    """What nthlib says the truncated hierarchy does, raw or summed in the strip."""
    given = (kernels_of(case), jnp.array(case["y"]), jnp.array(TIMES), case["level"])
    settings: dict[str, Any] = {"rtol": 1e-10}
    if "half_width" in case:
        settings |= {"resum": "strip", "half_width": case["half_width"]}
    solution = nth.truncated_hierarchy(*given, **settings)
    return _run(solution.predictions, solution.kernel)


def limit_answer(case: dict[str, Any]) -> dict[str, Any]:
    """What nthlib says that all networks of infinite width do."""
    X, test, y = (jnp.array(case[name]) for name in ("X", "X_test", "y"))
    found = nth.predict_ensemble(
        network(case), X, y, jnp.array(TIMES), X_test=test, centred=False, tolerance=1e-3
    )
    variance = np.diagonal(found.covariance, axis1=1, axis2=2)
    return {
        "mean": [rounded(row) for row in found.mean],
        "deviation": [rounded(np.sqrt(row)) for row in variance],
    }


def corrections_answer(case: dict[str, Any]) -> dict[str, Any]:
    """What nthlib adds to that over the width: to the mean, and to the variance."""
    X, test, y = (jnp.array(case[name]) for name in ("X", "X_test", "y"))
    found = nth.predict_ensemble(
        network(case), X, y, jnp.array(TIMES), X_test=test, centred=False, tolerance=2e-7
    )
    variance = np.diagonal(found.covariance_correction, axis1=1, axis2=2)
    return {
        "mean": [rounded(row) for row in found.mean_correction],
        "variance": [rounded(row) for row in variance],
    }


def _run(predictions: Any, kernel: Any) -> dict[str, Any]:
    return {
        "predictions": [rounded(row) for row in predictions],
        "kernel": [rounded(row) for row in kernel],
    }


ANSWERS = {
    "kernels": kernel_answer,
    "flow": flow_answer,
    "level": level_answer,
    "limit": limit_answer,
    "corrections": corrections_answer,
}


def questions() -> list[dict[str, Any]]:
    """All cases, without answers."""
    found = []
    for seed, (activation, depth) in enumerate(itertools.product(ACTIVATIONS, DEPTHS)):
        for size in SIZES:
            found.append({"kind": "kernels"} | drawn(activation, depth, size, seed))
        case = drawn(activation, depth, SIZES[1], 100 + seed)
        found.append({"kind": "flow"} | case)
        found += [{"kind": "level", "level": level} | case for level in LEVELS]
        strip = {"kind": "level", "half_width": HALF_WIDTH} | case
        found += [{"level": level} | strip for level in LEVELS[1:]]
        limit = {"kind": "limit"} | case
        limit["net"] = case["net"] | {"width": LIMIT_WIDTH, "sigmaA": 0.8}
        limit = {k: v for k, v in limit.items() if k not in ("weights", "readout")}
        found += [limit] + ([limit | {"kind": "corrections"}] if depth == 1 else [])
    return found


def main() -> None:
    """Write all cases with nthlib's answers."""
    jax.config.update("jax_enable_x64", True)
    cases = [case | {"answer": ANSWERS[case["kind"]](case)} for case in questions()]
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    STORED.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(cases)} cases, {STORED.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
