"""Figures in one style: widths in one order of hue, theory dashed, intervals shown."""

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes

from nthlib.scaling import ExponentFit

# Okabe and Ito: told apart by colour-blind readers and in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
THEORY = "#444444"


def use_style() -> None:
    """Set matplotlib's defaults for the book; call once at the top of a chapter."""
    plt.rcParams.update(
        {
            "axes.grid": True,
            "axes.prop_cycle": cycler(color=COLOURS),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "figure.figsize": (6.4, 4.2),
            "font.size": 11,
            "grid.alpha": 0.3,
            "legend.frameon": False,
            "lines.markersize": 5,
        }
    )


def width_colours(widths: Iterable[int]) -> dict[int, Any]:
    """A colour for every width, from light (narrow) to dark (wide)."""
    widths = sorted(widths)
    shades = np.linspace(0.85, 0.1, len(widths))
    return dict(zip(widths, mpl.colormaps["viridis"](shades), strict=True))


def log_axis_at(ax: Axes, values: Iterable[float]) -> None:
    """Make the horizontal axis logarithmic, with ticks at the measured values and no others."""
    values = list(values)
    ax.set_xscale("log")
    ax.set_xticks(values, [f"{value:g}" for value in values])
    ax.minorticks_off()


def scaling_plot(
    fit: ExponentFit,
    *,
    label: str,
    ax: Axes | None = None,
    predicted: float | None = None,
    rival: float | None = None,
    marker: str = "o",
) -> Axes:
    """The measured statistic against width, with its intervals, and theory's line beside it.

    Args:
        fit: from ``nthlib.fit_exponent``.
        label: what was measured; the fitted exponent and its interval are added.
        ax: where to draw; a new figure by default.
        predicted: an exponent to draw as a dashed line through the narrowest width.
        rival: an exponent to draw dotted, likewise.
        marker: the marker of the measured points.
    """
    if ax is None:
        _, ax = plt.subplots()
    errors = np.stack([fit.values - fit.values_low, fit.values_high - fit.values])
    slope, low, high = (_exponent(value) for value in (fit.slope, fit.low, fit.high))
    text = f"{label}: {slope} [{low}, {high}]"
    ax.errorbar(fit.widths, fit.values, np.abs(errors), fmt=marker, capsize=3, label=text)
    for exponent, style, name in ((predicted, "--", "theory"), (rival, ":", "rival")):
        if exponent is not None:
            line = fit.values[0] * (fit.widths / fit.widths[0]) ** exponent
            shown = f"{name}, exponent {exponent:g}".replace("-", "−")
            # The legend names a line once, however many quantities are drawn with it.
            known = shown in ax.get_legend_handles_labels()[1]
            ax.plot(fit.widths, line, style, color=THEORY, label=None if known else shown, zorder=1)
    ax.set_yscale("log")
    log_axis_at(ax, fit.widths)
    ax.set_xlabel("width m")
    # Below the axes: inside, three measured lines leave no room.
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.16))
    return ax


def _exponent(value: float) -> str:
    """Two digits with a proper minus sign, and none before a zero."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
