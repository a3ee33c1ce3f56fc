"""Finite-width neural tangent kernels and the neural tangent hierarchy, in JAX.

The public names are those below and nothing else. They are loaded on first use, so that the
command ``nth`` starts without JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nthlib.activations import erf, relu
    from nthlib.cells import run_cells
    from nthlib.claims import Verdict, judge
    from nthlib.data import InputReport, check_inputs, digits, sphere, teacher_labels
    from nthlib.descent import gradient_descent
    from nthlib.finite_width import kernels, layer_kernels
    from nthlib.flow import Flow, gradient_flow
    from nthlib.infinite_order import LimitEstimate
    from nthlib.infinite_width import limit_kernel, limit_kernel_estimate
    from nthlib.network import FullyConnected, Parameters
    from nthlib.scaling import ExponentFit, fit_exponent, sweep
    from nthlib.truncated_dynamics import TruncatedSolution
    from nthlib.truncation import truncated_flow, truncated_hierarchy

__version__ = "0.1.0"

_HOMES = {
    "ExponentFit": "scaling",
    "Flow": "flow",
    "FullyConnected": "network",
    "InputReport": "data",
    "Parameters": "network",
    "TruncatedSolution": "truncated_dynamics",
    "Verdict": "claims",
    "check_inputs": "data",
    "digits": "data",
    "erf": "activations",
    "fit_exponent": "scaling",
    "gradient_descent": "descent",
    "gradient_flow": "flow",
    "judge": "claims",
    "kernels": "finite_width",
    "layer_kernels": "finite_width",
    "LimitEstimate": "infinite_order",
    "limit_kernel": "infinite_width",
    "limit_kernel_estimate": "infinite_width",
    "relu": "activations",
    "run_cells": "cells",
    "sphere": "data",
    "sweep": "scaling",
    "teacher_labels": "data",
    "truncated_flow": "truncation",
    "truncated_hierarchy": "truncation",
}

__all__ = [  # noqa: RUF022 - in the order in which a reader meets them
    "FullyConnected",
    "erf",
    "relu",
    "kernels",
    "layer_kernels",
    "limit_kernel",
    "limit_kernel_estimate",
    "gradient_flow",
    "gradient_descent",
    "truncated_hierarchy",
    "truncated_flow",
    "sweep",
    "run_cells",
    "fit_exponent",
    "judge",
    "sphere",
    "teacher_labels",
    "digits",
    "check_inputs",
    # What these return.
    "Parameters",
    "LimitEstimate",
    "Flow",
    "TruncatedSolution",
    "ExponentFit",
    "Verdict",
    "InputReport",
]


if not TYPE_CHECKING:  # a checker would otherwise take any misspelt name for a public one

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'nthlib' has no attribute {name!r}")
        return getattr(importlib.import_module(f"nthlib.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
