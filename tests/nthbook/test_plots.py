"""What the figures show: the measured numbers, theory's lines, labels."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import nthlib as nth
from nthbook.plots import COLOURS, scaling_plot, use_style, width_colours


@pytest.fixture(autouse=True)
def own_style():
    with mpl.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def fit():
    widths = np.array([16, 64, 256])
    noise = np.exp(0.2 * np.random.default_rng(0).normal(size=(3, 9)))
    table = xr.DataArray(noise / widths[:, None], dims=("width", "seed"), coords={"width": widths})
    return nth.fit_exponent(table)


def test_measured_values_and_lines_of_theory_are_drawn(fit):
    ax = scaling_plot(fit, label="drift", predicted=-1.0, rival=-0.5)
    measured = ax.containers[0].lines[0]
    np.testing.assert_array_equal(measured.get_xdata(), fit.widths)
    np.testing.assert_array_equal(measured.get_ydata(), fit.values)
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    for label, exponent, style in (
        ("theory, exponent −1", -1.0, "--"),
        ("rival, exponent −0.5", -0.5, ":"),
    ):
        expected = fit.values[0] * (fit.widths / 16.0) ** exponent
        np.testing.assert_allclose(lines[label].get_ydata(), expected)
        assert lines[label].get_linestyle() == style
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "width m"
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    expected = f"drift: {fit.value:.2f} [{fit.low:.2f}, {fit.high:.2f}]".replace("-", "−")
    assert expected in texts


def test_the_bars_are_the_bootstrap_intervals(fit):
    ax = scaling_plot(fit, label="drift")
    segments = ax.containers[0].lines[2][0].get_segments()
    ends = np.array([segment[:, 1] for segment in segments])
    np.testing.assert_allclose(ends, np.column_stack([fit.values_low, fit.values_high]))
    assert len(ax.get_legend().get_texts()) == 1  # no theory was asked for


def test_an_axis_can_be_given(fit):
    _, ax = plt.subplots()
    assert scaling_plot(fit, label="a", ax=ax, marker="s") is ax
    assert ax.containers[0].lines[0].get_marker() == "s"


def test_wider_networks_are_darker():
    colours = width_colours([256, 16, 64])
    assert list(colours) == [16, 64, 256]
    weights = np.array([0.2126, 0.7152, 0.0722])
    luminance = [weights @ np.asarray(colour)[:3] for colour in colours.values()]
    assert luminance[0] > luminance[1] > luminance[2]


def test_the_style_uses_the_colour_blind_safe_cycle():
    use_style()
    assert tuple(plt.rcParams["axes.prop_cycle"].by_key()["color"]) == COLOURS
    assert plt.rcParams["axes.grid"]
    assert len(set(COLOURS)) == len(COLOURS)
