"""Figures in one style: widths in one order of hue, theory dashed, intervals shown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes

from nthbook.claims import Claim, Interval, find_claim, interval
from nthlib import Fit

Measured = Interval | float | Sequence[float]

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
    ax.set_xticks(
        values, [f"{value:g}" if value == round(value) else f"{value:.3g}" for value in values]
    )
    ax.minorticks_off()


def legend_below(ax: Axes, *, columns: int = 1) -> None:
    """Put the legend below the axes, where it hides nothing.

    Args:
        ax: the axes, with its labels.
        columns: in how many columns.

    >>> import matplotlib.pyplot as plt
    >>> from nthbook import plots
    >>> figure, ax = plt.subplots()
    >>> lines = ax.plot([1, 2], label="measured")
    >>> plots.legend_below(ax)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['measured']
    >>> plt.close(figure)
    """
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=columns)


def power_line(
    ax: Axes,
    x: Sequence[float] | np.ndarray,
    values: Sequence[float] | np.ndarray,
    exponent: float,
    *,
    through: int = 0,
    label: str | None = None,
    style: str = "--",
) -> None:
    """Theory's line: the power of x that meets the measured values at one of them.

    Args:
        ax: the axes; their scales stay.
        x: where the values were measured, each above zero.
        values: the measured values, one for every x.
        exponent: the power.
        through: the index of the value that the line meets.
        label: what the legend calls it, once for all lines that share it.
        style: the style of the line, as matplotlib writes it.

    >>> import matplotlib.pyplot as plt
    >>> from nthbook import plots
    >>> figure, ax = plt.subplots()
    >>> plots.power_line(ax, [4, 8, 16], [2.0, 0.9, 0.6], -1)
    >>> ax.lines[0].get_ydata().tolist()
    [2.0, 1.0, 0.5]
    >>> plt.close(figure)
    """
    x = np.asarray(x, float)
    line = np.asarray(values, float)[through] * (x / x[through]) ** exponent
    ax.plot(x, line, style, color=THEORY, label=_once(ax, label), zorder=1)


def claim(
    judged: str | Mapping[str, tuple[Measured | None, Measured | None]],
    measured: Measured | None = None,
    control: Measured | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """A claim and its control against what was registered: margin, prediction and rival.

    Every claim has a row: its margin is a band, its prediction a dashed mark, its rival a dotted
    one. On a band the claim's interval belongs, and the control's does not; where a value is
    registered for the control, a band of the control's colour is its place. The axis is
    logarithmic where all claims are about small defects, predicted to be zero.

    Args:
        judged: the id of a claim, or a table {id: (measured, control)} of several that share
            a scale.
        measured: the claim's measurement, as :func:`nthbook.judge` takes it.
        control: the control's.
        ax: where to draw; a new figure, wide and low, by default.

    Returns:
        The axes, with the claims from top to bottom.

    Raises:
        ValueError: for a claim that is not registered, or a measurement that cannot be read.

    >>> import matplotlib.pyplot as plt
    >>> from nthbook import plots
    >>> ax = plots.claim("ntk-limit", (-0.49, -0.53, -0.45), control=0.0)
    >>> ax.get_xlabel(), [tick.get_text() for tick in ax.get_yticklabels()]
    ('exponent of m', ['ntk-limit'])
    >>> plt.close(ax.figure)
    """
    table = {judged: (measured, control)} if isinstance(judged, str) else dict(judged)
    claims = [_registered(name) for name in table]
    rows = [[_interval(name, found) for found in pair] for name, pair in table.items()]
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 1.5 + 0.5 * len(rows)))
    defects = all(claim.predicted == 0 and claim.margin < 0.01 for claim in claims)
    ax.set_xscale("log" if defects else "linear")
    # A margin that is open on one side ends where the rest ends.
    found = [*np.ravel(rows), *(mark for claim in claims for mark in _marks(claim))]
    shown = [value for value in found if math.isfinite(value) and (value > 0 or not defects)]
    for place, (claim, row) in enumerate(zip(claims, rows, strict=True)):
        _draw_registered(ax, place, claim, (min(shown), max(shown)))
        _draw_registered_control(ax, place + 0.1, claim)
        _draw_interval(ax, place - 0.1, row[0], "claim", "o", COLOURS[0])
        _draw_interval(ax, place + 0.1, row[1], "control", "D", COLOURS[1])
    _name_rows(ax, claims)
    return ax


def _registered(name: str) -> Claim:
    claim = find_claim(name)
    if claim is None:
        raise ValueError(f"claim {name!r} is not registered in claims.toml")
    return claim


def _interval(name: str, measured: Any) -> tuple[float, float, float]:
    if measured is None:
        return (math.nan,) * 3
    try:
        return interval(measured)
    except Exception as error:
        message = f"claim {name!r}: measured must be a fit, a number or (value, low, high)"
        raise ValueError(message) from error


def _marks(claim: Claim) -> list[float]:
    optional = (claim.rival, *(_control_band(claim) or ()))
    return [*claim.region, claim.predicted, *(mark for mark in optional if mark is not None)]


def _control_band(claim: Claim) -> tuple[float, float] | None:
    if claim.control_predicted is None or claim.control_margin is None:
        return None
    return (
        claim.control_predicted - claim.control_margin,
        claim.control_predicted + claim.control_margin,
    )


def _draw_registered(ax: Axes, place: int, claim: Claim, ends: tuple[float, float]) -> None:
    low, high = np.clip(claim.region, *ends)
    rows = (place - 0.35, place + 0.35)
    label = _once(ax, "margin")
    ax.fill_betweenx(rows, low, high, color=THEORY, alpha=0.15, linewidth=0, label=label)
    for value, style, name in ((claim.predicted, "--", "predicted"), (claim.rival, ":", "rival")):
        if value is not None:
            ax.plot([value] * 2, rows, style, color=THEORY, label=_once(ax, name))


def _draw_registered_control(ax: Axes, place: float, claim: Claim) -> None:
    if (band := _control_band(claim)) is not None:
        rows, label = (place - 0.15, place + 0.15), _once(ax, "control predicted")
        ax.fill_betweenx(rows, *band, color=COLOURS[1], alpha=0.2, linewidth=0, label=label)


def _draw_interval(
    ax: Axes, place: float, found: tuple[float, float, float], name: str, marker: str, colour: str
) -> None:
    value, low, high = found
    if math.isnan(value):
        return
    ax.plot([low, high], [place] * 2, color=colour, linewidth=2)
    ax.plot([value], [place], marker, color=colour, label=_once(ax, name))


def _once(ax: Axes, label: str | None) -> str | None:
    """The label where the legend does not know it yet, however often a thing is drawn."""
    return None if label in ax.get_legend_handles_labels()[1] else label


def _name_rows(ax: Axes, claims: Sequence[Claim]) -> None:
    ax.set_yticks(range(len(claims)), [claim.id for claim in claims])
    ax.set_ylim(len(claims) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(", ".join(dict.fromkeys(claim.quantity for claim in claims)))
    # Above the axes: below stands what was measured.
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5, columnspacing=1, fontsize=9)


def scaling_plot(
    fit: Fit,
    *,
    label: str,
    ax: Axes | None = None,
    predicted: float | None = None,
    rival: float | None = None,
    marker: str = "o",
) -> Axes:
    """The measured statistic against width, with its intervals, and theory's line beside it.

    Args:
        fit: from ``nthlib.power_law``.
        label: what was measured; the fitted exponent and its interval are added.
        ax: where to draw; a new figure by default.
        predicted: an exponent to draw as a dashed line through the narrowest width.
        rival: an exponent to draw dotted, likewise.
        marker: the marker of the measured points.

    Returns:
        The axes, with both axes logarithmic and a legend below.

    >>> import matplotlib.pyplot as plt, nthlib as nth
    >>> from nthbook import plots
    >>> fit = nth.power_law([4, 8], [[3.0, 3.1], [1.5, 1.6]])
    >>> ax = plots.scaling_plot(fit, label="error", predicted=-1)
    >>> ax.get_xlabel()
    'width m'
    >>> plt.close(ax.figure)
    """
    if ax is None:
        _, ax = plt.subplots()
    errors = np.stack([fit.values - fit.values_low, fit.values_high - fit.values])
    slope, low, high = (_exponent(value) for value in (fit.value, fit.low, fit.high))
    text = f"{label}: {slope} [{low}, {high}]"
    ax.errorbar(fit.x, fit.values, np.abs(errors), fmt=marker, capsize=3, label=text)
    for exponent, style, name in ((predicted, "--", "theory"), (rival, ":", "rival")):
        if exponent is not None:
            shown = f"{name}, exponent {exponent:g}".replace("-", "−")
            power_line(ax, fit.x, fit.values, exponent, label=shown, style=style)
    ax.set_yscale("log")
    log_axis_at(ax, fit.x)
    ax.set_xlabel("width m")
    legend_below(ax)  # inside, three measured lines leave no room
    return ax


def _exponent(value: float) -> str:
    """Two digits with a proper minus sign, and none before a zero."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
