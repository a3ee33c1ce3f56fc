"""Figures in one style: widths in one order of hue, theory dashed, intervals shown."""

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes

from nthlib.sweeps.scaling import ExponentFit

# Okabe and Ito: told apart by colour-blind readers and in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
THEORY = "#444444"


def use_style() -> None:
    """Set matplotlib's defaults for the book; call once at the top of a chapter.

    >>> import matplotlib.pyplot as plt
    >>> from nthbook import plots
    >>> with plt.rc_context():  # without it, the style stays
    ...     plots.use_style()
    ...     plt.rcParams["axes.grid"]
    True
    """
    plt.rcParams.update(
        {
            # Transparent: the page behind may be light or dark.
            "axes.facecolor": "none",
            "axes.grid": True,
            "axes.prop_cycle": cycler(color=COLOURS),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "figure.facecolor": "none",
            "figure.figsize": (6.4, 4.2),
            "font.size": 11,
            "grid.alpha": 0.3,
            "legend.frameon": False,
            "lines.markersize": 5,
            "savefig.facecolor": "none",
        }
    )


def width_colours(widths: Iterable[int]) -> dict[int, Any]:
    """A colour for every width, from light (narrow) to dark (wide).

    Args:
        widths: hidden widths in any order.

    Returns:
        A dict from width to a colour of matplotlib's, (4,) numbers from 0 to 1.

    >>> from nthbook import plots
    >>> list(plots.width_colours([256, 16]))
    [16, 256]
    """
    widths = sorted(widths)
    shades = np.linspace(0.7, 0.05, len(widths))
    return dict(zip(widths, mpl.colormaps["viridis"](shades), strict=True))


def log_axis_at(ax: Axes, values: Iterable[float]) -> None:
    """Make the horizontal axis logarithmic, with ticks at the measured values and no others.

    Args:
        ax: the axes.
        values: where the ticks go, each above zero.

    >>> import matplotlib.pyplot as plt
    >>> from nthbook import plots
    >>> figure, ax = plt.subplots()
    >>> plots.log_axis_at(ax, [16, 64, 256])
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['16', '64', '256']
    >>> plt.close(figure)
    """
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

    Returns:
        The axes, with both axes logarithmic and a legend below.

    >>> import matplotlib.pyplot as plt, xarray as xr, nthlib as nth
    >>> from nthbook import plots
    >>> table = xr.DataArray([[3.0, 3.1], [1.5, 1.6]], dims=("width", "seed"),
    ...                      coords={"width": [4, 8]})
    >>> ax = plots.scaling_plot(nth.fit_exponent(table), label="error", predicted=-1)
    >>> ax.get_xlabel()
    'width m'
    >>> plt.close(ax.figure)
    """
    if ax is None:
        _, ax = plt.subplots()
    errors = np.stack([fit.values - fit.values_low, fit.values_high - fit.values])
    slope, low, high = (_exponent(value) for value in (fit.value, fit.low, fit.high))
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
