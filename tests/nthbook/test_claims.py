"""Verdicts: every outcome of every relation, and a judge that never raises."""

import json
import math
import re
import sys
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from claim_files import FIELDS, registry

import nthbook
import nthlib as nth
from nthbook import claims
from nthbook.claims import Claim, Verdict

# predicted ± margin: equals [−1.1, −0.9], at-most (−∞, 0.1], at-least [1.9, ∞)
OUTCOMES = [
    ("drift", (-1.0, -1.05, -0.95), "holds"),
    ("drift", (-1.0, -1.1, -0.9), "holds"),
    ("drift", (-1.0, -1.2, -0.95), "undecided"),
    ("drift", (-1.0, -1.05, -0.85), "undecided"),
    ("drift", (-0.8, -1.0, -0.3), "undecided"),
    ("drift", (-0.5, -0.6, -0.4), "fails"),
    ("drift", (-2.0, -2.5, -1.2), "fails"),
    ("below", (-5.0, -9.0, 0.05), "holds"),
    ("below", (0.0, -1.0, 0.2), "undecided"),
    ("below", (0.3, 0.2, 0.4), "fails"),
    ("above", (5.0, 1.9, 9.0), "holds"),
    ("above", (2.0, 1.0, 3.0), "undecided"),
    ("above", (1.0, 0.5, 1.5), "fails"),
    ("drift", (-1.0, math.nan, -0.95), "invalid"),
    ("drift", (-1.0, -1.05, math.nan), "invalid"),
    ("below", (-1.0, -math.inf, 0.0), "invalid"),
    ("above", (3.0, 2.0, math.inf), "invalid"),
    ("drift", (-1.0, -0.9, -1.1), "invalid"),
]


@pytest.mark.parametrize(("claim", "measured", "outcome"), OUTCOMES)
def test_every_outcome_of_every_relation(registered, capsys, claim, measured, outcome):
    verdict = nthbook.judge(claim, measured).claim
    assert verdict.outcome == outcome
    np.testing.assert_array_equal((verdict.value, verdict.low, verdict.high), measured)
    assert verdict.profile == "quick"
    assert capsys.readouterr().out.startswith(f"{claim}: {outcome}. exponent of m ")


@pytest.mark.parametrize(
    ("rival", "outcome"),
    [(None, "holds"), (-0.5, "holds"), (-0.97, "undecided"), (-0.95, "undecided")],
)
def test_a_rival_inside_the_interval_leaves_the_claim_open(rival, outcome):
    assert Claim(**FIELDS, rival=rival).outcome(-1.05, -0.95) == outcome


@pytest.mark.parametrize(
    ("relation", "region"),
    [("equals", (-1.1, -0.9)), ("at-most", (-math.inf, -0.9)), ("at-least", (-1.1, math.inf))],
)
def test_the_region_of_a_relation(relation, region):
    assert Claim(**FIELDS, relation=relation).region == pytest.approx(region)


@pytest.mark.parametrize(
    "measured",
    [
        SimpleNamespace(value=-1.0, low=-1.05, high=-0.95),
        [-1.0, -1.05, -0.95],
        -1.0,
        np.float64(-1.0),
        jnp.array(-1.0),
        nth.Estimate(-1.0, -1.05, -0.95),
        nth.power_law([1, 4, 16], 1 / np.array([[1.0] * 3, [4.0] * 3, [16.0] * 3])),
    ],
)
def test_every_kind_of_measurement_is_read(registered, measured):
    assert nthbook.judge("drift", measured).claim.outcome == "holds"


@pytest.mark.parametrize(
    ("measured", "says"),
    [
        ((-1.0, -1.05, -0.95), "drift (control): holds, but must not."),
        ((-0.5, -0.6, -0.4), "drift (control): breaks the claim."),
        ((-1.0, -1.5, -0.5), "drift (control): does not break the claim."),
        (math.nan, "drift (control): invalid."),
    ],
)
def test_a_control_must_break_the_claim(registered, capsys, measured, says):
    judged = nthbook.judge("drift", -1.0, control=measured)
    verdict = judged.control
    assert (judged.claim.outcome, judged.claim.control, verdict.control) == ("holds", False, True)
    claimed, controlled = capsys.readouterr().out.splitlines()
    assert claimed.startswith("drift: holds.")
    assert controlled.startswith(says)
    assert verdict.tone == ("good" if verdict.outcome == "fails" else "bad")


@pytest.mark.parametrize(
    ("control", "outcome", "words"),
    [
        ((0.0, -0.1, 0.1), "fails", "breaks the claim"),
        ((0.0, -0.2, 0.2), "fails", "breaks the claim"),
        ((-0.5, -0.6, -0.4), "astray", "breaks the claim, but leaves its own margin"),
        ((9.0, 8.0, 10.0), "astray", "breaks the claim, but leaves its own margin"),
        ((0.1, -0.1, 0.3), "astray", "breaks the claim, but leaves its own margin"),
        ((-0.5, -1.0, 0.1), "undecided", "does not break the claim"),
        ((-1.0, -1.05, -0.95), "holds", "holds, but must not"),
        ((-1.0, -1.05, math.nan), "invalid", "invalid"),
    ],
)
def test_a_control_agrees_with_the_value_registered_for_it(control, outcome, words):
    claim = Claim(**FIELDS, control_predicted=0.0, control_margin=0.2)
    assert claim.control_outcome(*control[1:]) == outcome
    verdict = Verdict("drift", True, *control, outcome, "quick")
    assert (verdict.words, verdict.tone) == (words, "good" if outcome == "fails" else "bad")
    assert claims.describe(verdict, claim).endswith(", predicted 0.00 ± 0.20")


def test_a_control_without_a_registered_value_has_to_break_the_claim_alone():
    assert Claim(**FIELDS).control_outcome(8.0, 9.0) == "fails"


def test_judge_asks_the_control_for_its_own_value(registered, capsys):
    entry = {**FIELDS, "control_predicted": 0.0, "control_margin": 0.2}
    registered.write_text(registry(entry))
    assert nthbook.judge("drift", -1.0, control=0.1).control.outcome == "fails"
    assert nthbook.judge("drift", -1.0, control=5.0).control.outcome == "astray"
    assert "(control): breaks the claim, but leaves its own margin." in capsys.readouterr().out


@pytest.mark.parametrize("measured", [-1.0, -0.5, (-1.0, -1.5, -0.5)])
def test_smoke_records_and_judges_nothing(registered, monkeypatch, capsys, measured):
    monkeypatch.setenv("NTH_PROFILE", "smoke")
    verdict = nthbook.judge("drift", measured).claim
    assert (verdict.outcome, verdict.profile) == ("recorded", "smoke")
    assert verdict.tone == "neutral"
    assert capsys.readouterr().out.startswith("drift: not judged. ")


def test_smoke_does_not_hide_an_unusable_number(registered, monkeypatch):
    monkeypatch.setenv("NTH_PROFILE", "smoke")
    assert nthbook.judge("drift", math.nan).claim.outcome == "invalid"


@pytest.mark.parametrize(
    "measured",
    [
        np.float32(-1.0),
        jnp.array(-1.0, "float32"),
        (-1.0, np.float32(-1.05), -0.95),
        SimpleNamespace(value=np.float32(-1.0), low=-1.05, high=-0.95),
    ],
    ids=["NumPy", "JAX", "triple", "fit"],
)
def test_a_measurement_in_single_precision_is_judged_with_a_warning(registered, measured):
    with pytest.warns(UserWarning, match="measured in single precision: enable float64 by jax"):
        assert nthbook.judge("drift", measured).claim.outcome == "holds"


@pytest.mark.parametrize("control", [True, np.ones(2), "text"], ids=["True", "array", "text"])
def test_an_unusable_control_never_raises(registered, control):
    with pytest.warns(UserWarning, match="control must be a fit, a number or"):
        judged = nthbook.judge("drift", -1.0, control=control)
    assert (judged.claim.outcome, judged.control.outcome) == ("holds", "invalid")


def test_an_unknown_claim_is_a_warning_and_an_invalid_verdict(registered, capsys):
    with pytest.warns(UserWarning, match="'drfit' is not registered"):
        verdict = nthbook.judge("drfit", -1.0).claim
    assert verdict.outcome == "invalid"
    assert verdict.tone == "bad"
    assert "drfit: not registered, measured −1.00" in capsys.readouterr().out


class Exploding:
    low, high = 0.0, 1.0

    @property
    def value(self):
        raise RuntimeError("no fit")


@pytest.mark.parametrize(
    "measured",
    [None, "text", (1.0, 2.0), (), [None] * 3, {"value": 1}, 1j, object(), jnp.ones(3), 10**400],
    ids=["None", "text", "pair", "empty", "Nones", "dict", "complex", "object", "array", "huge"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_unusable_measurement_never_raises(registered, measured):
    assert nthbook.judge("drift", measured).claim.outcome == "invalid"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_measurement_that_raises_when_read_never_raises(registered):
    assert nthbook.judge("drift", Exploding()).claim.outcome == "invalid"


@pytest.mark.parametrize("name", [None, 3, ["drift"]], ids=str)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_unusable_name_never_raises(registered, name):
    assert nthbook.judge(name, -1.0).claim.outcome == "invalid"


@pytest.mark.parametrize("value", [1.5, math.nan, math.inf])
def test_a_verdict_is_plain_json(value):
    verdict = Verdict("drift", False, value, 1.0, 2.0, "invalid", "quick")
    text = json.dumps(verdict.as_dict(), allow_nan=False)
    expected = value if math.isfinite(value) else None
    assert json.loads(text)["value"] == expected
    assert set(json.loads(text)) == {
        "id", "control", "value", "low", "high", "outcome", "profile", "design",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.00"),
        (-0.9812, "−0.98"),
        (0.005, "0.01"),
        (1.2e-13, "1.2e−13"),
        (-4321.0, "−4.3e+03"),
    ],
)
def test_numbers_are_printed_with_a_minus_sign(number, text):
    assert claims.format_number(number) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "−1.00 ± 0.10"),
        ({"predicted": 0.0, "margin": 1e-12}, "0 to within 1.0e−12"),
        ({"relation": "at-most", "predicted": 3.0}, "at most 3.00, margin 0.10"),
        ({"relation": "at-least", "predicted": 3.0}, "at least 3.00, margin 0.10"),
    ],
)
def test_predictions_are_printed_with_their_margin(changes, text):
    assert claims.format_prediction(Claim(**{**FIELDS, **changes})) == text


def test_one_line_says_everything():
    verdict = Verdict("drift", False, -1.0, -1.05, -0.95, "holds", "quick")
    assert claims.describe(verdict, Claim(**FIELDS, rival=-0.5)) == (
        "drift: holds. exponent of m −1.00 [−1.05, −0.95], predicted −1.00 ± 0.10, rival −0.50"
    )


@pytest.mark.parametrize(
    ("interval", "changes", "said"),
    [
        ((-0.95, -0.97, -0.93), {}, True),
        ((-0.95, -1.0, -0.91), {}, False),
        ((-0.95, -0.95, -0.95), {}, False),  # a number that was computed once
        ((-0.5, -0.6, -0.4), {}, False),  # outside the margin: that is said otherwise
        ((-1.5, -1.6, -1.4), {"relation": "at-most"}, False),
    ],
)
def test_an_interval_within_the_margin_that_leaves_the_prediction_out_is_said(
    interval, changes, said
):
    claim = Claim(**{**FIELDS, **changes})
    verdict = Verdict("drift", False, *interval, claim.outcome(*interval[1:]), "quick")
    assert (": holds, beside the prediction. " in claims.describe(verdict, claim)) is said
    control = Verdict("drift", True, *interval, "holds", "quick")
    assert claims.beside(control, claim) == ""


class FakeIPython(SimpleNamespace):
    def get_ipython(self):
        return self


def test_in_a_notebook_the_verdict_is_displayed_as_data(registered, monkeypatch, capsys):
    shown = []
    fake = FakeIPython()
    display = SimpleNamespace(display=lambda bundle, raw: shown.append((bundle, raw)))
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    judged = nthbook.judge("drift", (-1.0, -1.05, -0.95), control=-0.5)
    ((bundle, raw),) = shown
    assert raw
    assert bundle[claims.VERDICT_MIME] == [verdict.as_dict() for verdict in judged.verdicts]
    assert '<div id="claim-drift" class="nth-verdict nth-good">' in bundle["text/html"]
    assert '<div id="control-drift" class="nth-verdict nth-good">' in bundle["text/html"]
    assert bundle["text/plain"].startswith("drift: holds")
    assert capsys.readouterr().out == ""
    nthbook.judge("drift", -0.5, control=-1.0)
    nthbook.judge("drift", (-1, -1.5, -0.5))
    states = [re.findall(r"nth-verdict nth-(\w+)", bundle["text/html"]) for bundle, _ in shown]
    assert states == [["good", "good"], ["bad", "bad"], ["neutral"]]
    nthbook.judge("drift", -1.0, control=(-1, -1.5, -0.5))
    assert '<div id="control-drift" class="nth-verdict nth-bad">' in shown[-1][0]["text/html"]
