"""Finite-width neural tangent kernels and the neural tangent hierarchy, in JAX.

The public names are those below and nothing else.
"""

from typing import TYPE_CHECKING, Any

from nthlib.activations import erf, relu
from nthlib.data import InputReport, check_inputs, digits, sphere, teacher_labels
from nthlib.doubling import antisymmetric
from nthlib.dynamics.descent import gradient_descent
from nthlib.dynamics.ensemble import EnsemblePrediction, predict_ensemble
from nthlib.dynamics.flow import Flow, gradient_flow
from nthlib.dynamics.taylorised import taylorised_flow
from nthlib.finite.kernels import kernels, layer_kernels
from nthlib.finite.ntk import ntk, ntk_operator
from nthlib.idle import subnetwork
from nthlib.infinite.expansion import WidthExpansion, width_expansion
from nthlib.infinite.higher import LimitEstimate
from nthlib.infinite.tangent import limit_kernel, limit_kernel_estimate
from nthlib.network import FullyConnected, Parameters
from nthlib.spelling import no_such_name
from nthlib.sweeps.cells import run_cells
from nthlib.sweeps.draws import draws
from nthlib.sweeps.fits import Estimate, Fit, estimate, power_law
from nthlib.truncation.hierarchy import truncated_flow, truncated_hierarchy, truncations
from nthlib.truncation.radius import reach_of_network
from nthlib.truncation.reach import reach
from nthlib.truncation.solution import Solution

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 - in the order in which a reader meets them
    "FullyConnected",
    "subnetwork",
    "erf",
    "relu",
    "antisymmetric",
    "kernels",
    "ntk",
    "ntk_operator",
    "layer_kernels",
    "limit_kernel",
    "limit_kernel_estimate",
    "width_expansion",
    "gradient_flow",
    "gradient_descent",
    "taylorised_flow",
    "predict_ensemble",
    "truncated_hierarchy",
    "truncated_flow",
    "truncations",
    "reach",
    "reach_of_network",
    "draws",
    "run_cells",
    "power_law",
    "estimate",
    "sphere",
    "teacher_labels",
    "digits",
    "check_inputs",
    # What these return.
    "Parameters",
    "LimitEstimate",
    "WidthExpansion",
    "EnsemblePrediction",
    "Flow",
    "Solution",
    "Fit",
    "Estimate",
    "InputReport",
]


if not TYPE_CHECKING:  # a checker would otherwise take any misspelt name for a public one

    def __getattr__(name: str) -> Any:
        raise no_such_name(__name__, name, __all__)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
