"""What the figures show: the measured numbers, theory's lines, labels."""

from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from claim_files import FIELDS, registry

import nthlib as nth
from nthbook import plots
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
    return nth.power_law(widths, noise / widths[:, None])


def test_measured_values_and_lines_of_theory_are_drawn(fit):
    ax = scaling_plot(fit, label="drift", predicted=-1.0, rival=-0.5)
    measured = ax.containers[0].lines[0]
    np.testing.assert_array_equal(measured.get_xdata(), fit.x)
    np.testing.assert_array_equal(measured.get_ydata(), fit.values)
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    for label, exponent, style in (
        ("theory, exponent −1", -1.0, "--"),
        ("rival, exponent −0.5", -0.5, ":"),
    ):
        expected = fit.values[0] * (fit.x / 16.0) ** exponent
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


def test_a_power_line_meets_the_value_that_was_asked_for():
    _, ax = plt.subplots()
    plots.power_line(ax, [1, 2, 4], [5.0, 7.0, 8.0], 2, through=-1, label="square", style=":")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.5, 2.0, 8.0])
    assert (ax.lines[0].get_linestyle(), ax.lines[0].get_label()) == (":", "square")
    plots.legend_below(ax, columns=2)
    assert ax.get_legend().get_bbox_to_anchor().y0 < ax.bbox.y0


def test_lines_of_one_label_are_named_once():
    _, ax = plt.subplots()
    for values in ([1.0, 2.0], [3.0, 4.0]):
        plots.power_line(ax, [1, 2], values, 1, label="exponent 1")
    plots.power_line(ax, [1, 2], [1.0, 2.0], 1)
    assert len(ax.lines) == 3
    assert ax.get_legend_handles_labels()[1] == ["exponent 1"]


def spans(ax):
    """The lines of the axes, as (style, marker, ends in x, ends in y)."""
    return [
        (line.get_linestyle(), line.get_marker(), *np.transpose(line.get_xydata()).tolist())
        for line in ax.lines
    ]


def test_a_claim_is_drawn_against_what_was_registered(registered):
    ax = plots.claim("drift", SimpleNamespace(value=-1.0, low=-1.05, high=-0.95), control=-0.5)
    band = ax.collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose((band.x0, band.x1), (-1.1, -0.9))
    found = spans(ax)
    assert ("--", "None", [-1.0, -1.0], [-0.35, 0.35]) in found
    assert ("-", "None", [-1.05, -0.95], [-0.1, -0.1]) in found
    assert ("None", "o", [-1.0], [-0.1]) in found
    assert ("None", "D", [-0.5], [0.1]) in found
    assert ax.get_legend_handles_labels()[1] == [
        "margin", "predicted", "rival", "claim", "control",
    ]  # fmt: skip


def test_the_value_registered_for_a_control_is_drawn(registered):
    registered.write_text(registry({**FIELDS, "control_predicted": 0.0, "control_margin": 0.2}))
    ax = plots.claim("drift", -1.0, control=0.1)
    band = ax.collections[1].get_paths()[0].get_extents()
    np.testing.assert_allclose((band.x0, band.x1), (-0.2, 0.2))
    assert "control predicted" in ax.get_legend_handles_labels()[1]


def test_several_claims_stand_below_each_other_and_open_margins_end_with_the_axis(registered):
    ax = plots.claim({"below": ((0.0, -2.0, 0.05), 3.0), "above": (2.5, None)})
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["below", "above"]
    bands = [band.get_paths()[0].get_extents() for band in ax.collections]
    np.testing.assert_allclose([(band.x0, band.x1) for band in bands], [(-2.0, 0.1), (1.9, 3.0)])
    assert ax.get_ylim() == (1.5, -0.5)


def test_small_defects_have_a_logarithmic_axis():
    ax = plots.claim("ntk-layers", 1e-14, control=0.7)
    assert ax.get_xscale() == "log"
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("name", "measured", "message"),
    [("drfit", -1.0, "'drfit' is not registered"), ("drift", "x", "measured must be a fit")],
)
def test_what_cannot_be_drawn_is_named(registered, name, measured, message):
    with pytest.raises(ValueError, match=message):
        plots.claim(name, measured)
