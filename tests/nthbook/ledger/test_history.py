"""A registry keeps to what was registered, and superseded claims say what became of them."""

import dataclasses
import json

import pytest
from claim_files import FIELDS, registry

from nthbook.book import UsageError
from nthbook.claims import Claim
from nthbook.cli.main import main
from nthbook.ledger import history
from nthbook.ledger.cards import superseded_cards
from nthbook.ledger.history import Superseded, breaches, extended, superseded
from nthbook.pages.written import fill_page

CLAIM = Claim(**FIELDS)
KNOWN = extended({}, [CLAIM])
LAST = '{value = -0.9, low = -1.2, high = -0.6, outcome = "undecided", profile = "quick", ' + (
    'date = "2026-11-25"}'
)
GONE = (
    registry({**FIELDS, "id": "old-drift", "reason": "Too wide", "replaced_by": "one"}).replace(
        "[[claim]]", "[[superseded]]"
    )
    + f"\nlast = {LAST}\n"
)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"margin": 0.2}, "claim drift was registered with another margin"),
        ({"predicted": -0.9}, "claim drift was registered with another predicted"),
        ({"rival": -0.5}, "claim drift was registered with another rival"),
        ({"relation": "at-most"}, "claim drift was registered with another relation"),
        ({"quantity": "exponent of n"}, "claim drift was registered with another quantity"),
        ({"kind": "sharpness"}, None),
        ({"statement": "It drifts off"}, None),
        ({"control_predicted": 0.0, "control_margin": 0.1}, None),
    ],
)
def test_what_was_registered_is_not_changed(change, sentence):
    claims = {"drift": dataclasses.replace(CLAIM, **change)}
    assert breaches(claims, [], KNOWN) == ([] if sentence is None else [sentence])


def test_a_value_registered_for_a_control_is_not_changed_either():
    claim = dataclasses.replace(CLAIM, control_predicted=0.0, control_margin=0.1)
    known = extended(KNOWN, [claim])
    moved = dataclasses.replace(claim, control_margin=0.2)
    assert breaches({"drift": moved}, [], known) == [
        "claim drift was registered with another control_margin"
    ]


def test_a_claim_does_not_vanish_and_a_new_one_is_written_down():
    assert breaches({}, [], KNOWN) == ["claim drift has vanished; move it to book/superseded.toml"]
    (sentence,) = breaches({"drift": CLAIM}, [], {})
    assert sentence.startswith("claim drift is not in book/reference/registry.json")


def test_superseded_claims_keep_their_design_and_lead_on():
    new = dataclasses.replace(CLAIM, id="drift-even")
    known = extended(KNOWN, [new])

    def old(claim=CLAIM, by=("drift-even",)):
        return Superseded(claim, None, "2026-11-25", "too wide", by)

    assert breaches({"drift-even": new}, [old()], known) == []
    assert breaches({"drift-even": new}, [old(by=())], known) == []
    assert breaches({"drift-even": new}, [old(by=("x",))], known) == [
        "claim drift is replaced by x, which is not registered"
    ]
    assert breaches({"drift": CLAIM, "drift-even": new}, [old()], known) == [
        "claim drift stands among the superseded ones too"
    ]
    moved = old(dataclasses.replace(CLAIM, margin=0.3))
    assert breaches({"drift-even": new}, [moved], known) == [
        "claim drift was registered with another margin"
    ]


def test_the_history_grows_and_does_not_change(book, capsys):
    assert history.main() == 0
    assert "2 claims, 2 of them new" in capsys.readouterr().out
    path = book.root / "book" / "reference" / "registry.json"
    first = path.read_text(encoding="utf-8")
    assert set(json.loads(first)) == {"one", "two"}
    registered = book.registry.read_text(encoding="utf-8")
    book.registry.write_text(registered.replace("margin = 0.1", "margin = 0.2", 1))
    assert history.main() == 1
    assert "claim one was registered with another margin" in capsys.readouterr().out
    assert path.read_text(encoding="utf-8") == first


@pytest.fixture(autouse=True)
def reference_folder(request):
    if "book" in request.fixturenames:
        folder = request.getfixturevalue("book").root / "book" / "reference"
        folder.mkdir(parents=True)


def test_superseded_claims_are_shown_with_their_last_verdict(book):
    assert superseded(book) == []
    page = "<!-- generated: superseded -->\n"
    assert fill_page(page, book) == "No claim has been superseded yet.\n"
    (book.root / "book" / "superseded.toml").write_text(GONE, encoding="utf-8")
    (old,) = superseded(book)
    assert (old.claim.id, old.date, old.replaced_by) == ("old-drift", "2026-11-25", ("one",))
    text = superseded_cards([old])
    for part in (
        'id="old-drift"',
        "undecided</span>",
        "−0.90 [−1.20,\N{NO-BREAK SPACE}−0.60], 2026-11-25, profile quick",
        "<dd>Too wide</dd>",
        '<a href="#one"><code>one</code></a>',
    ):
        assert part in text
    assert text in fill_page(page, book)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GONE.replace('reason = "Too wide"\n', ""), "'old-drift' lacks reason"),
        (GONE.replace(f"last = {LAST}", ""), "'old-drift' lacks last"),
        (GONE.replace("value = -0.9, ", ""), "last must have value, low, high, outcome"),
        (GONE.replace('"undecided"', '"lost"'), "'lost' is no outcome"),
        (GONE.replace("margin = 0.1", "margin = 0.0"), "margin must be positive"),
        ("[[superseded]", "book/superseded.toml: "),
    ],
)
def test_what_is_wrong_with_a_superseded_claim_is_named(book, text, message):
    (book.root / "book" / "superseded.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        superseded(book)


def test_the_digest_of_a_design_is_that_of_its_numbers():
    assert dataclasses.replace(CLAIM, predicted=-1, kind="sharpness").design == CLAIM.design
    assert dataclasses.replace(CLAIM, margin=0.11).design != CLAIM.design


def test_check_does_not_need_a_history(book):
    assert main(["check"]) == 1  # nothing was run
