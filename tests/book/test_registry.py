"""The registry of claims: read, found, and refused with the claim and the field."""

import json
import re
from pathlib import Path

import pytest
from claim_files import FIELDS, registry

import nthbook
from nthbook import claims
from nthbook.book import Book
from nthbook.claims import Claim, find_registry, load_claims
from nthbook.ledger.history import breaches, read_history, superseded
from nthbook.ledger.theorems import statements

BARE = {key: value for key, value in FIELDS.items() if key != "tests"}
LOOSE = {**BARE, "kind": "expectation"}
CHECK = {**BARE, "kind": "check", "predicted": 0.0, "margin": 1e-12}
CONTROLLED = {**FIELDS, "control_predicted": 0.0, "control_margin": 0.1}


@pytest.mark.parametrize(
    "text",
    [
        "[[claim]",
        registry({**FIELDS, "margin": 0.0}),
        registry({**FIELDS, "margin": "0.1"}),
        registry({**FIELDS, "predicted": "-1"}),
        registry({**FIELDS, "rival": "-1"}),
        "claim = 3",
        "[claim]\nid = 'drift'",
    ],
    ids=["not TOML", "margin 0", "margin text", "predicted text", "rival text", "number", "table"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_broken_registry_never_raises(registered, text):
    registered.write_text(text)
    assert nthbook.judge("drift", (-1.0, -1.05, -0.95)).claim.outcome == "invalid"


def test_a_broken_registry_is_named_in_the_warning(registered):
    registered.write_text("[[claim]")
    with (
        pytest.warns(UserWarning, match=re.escape(f"the claims in {registered} cannot be read")),
        pytest.warns(UserWarning, match="is not registered"),
    ):
        nthbook.judge("drift", -1.0)


def test_an_edited_registry_is_read_again(registered):
    assert nthbook.judge("drift", -1.0).claim.outcome == "holds"
    registered.write_text(registry({**FIELDS, "predicted": 5.0}) + "\n# longer\n")
    assert nthbook.judge("drift", -1.0).claim.outcome == "fails"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{**FIELDS, "margin": 0.0}], "'drift': margin must be positive"),
        ([{**FIELDS, "margin": -1.0}], "'drift': margin must be positive"),
        ([{**FIELDS, "kind": "rumour"}], "'drift': kind must be one of theorem, sharpness, exp"),
        ([{**FIELDS, "relation": "near"}], "'drift': relation must be one of equals, at-most"),
        ([{**LOOSE, "beyond": "odd p"}], "'drift': beyond needs tests, the label"),
        ([{**FIELDS, "beyond": "odd p"}], "'drift': what goes beyond .* and no theorem"),
        ([{**FIELDS, "kind": "check", "beyond": "odd p"}], "an expectation, and no check"),
        ([{**BARE, "kind": "theorem"}], "'drift': a theorem needs tests, the label"),
        ([{**BARE, "kind": "sharpness"}], "'drift': a sharpness needs tests, the label"),
        ([{**FIELDS, "kind": "check"}], "'drift': a check is an identity: predicted 0, margin"),
        ([{**CHECK, "margin": 1e-3}], "'drift': a check is an identity: predicted 0, margin"),
        ([{**FIELDS, "control_predicted": 0.0}], "'drift': control_predicted and control_margin"),
        ([{**FIELDS, "control_margin": 0.1}], "'drift': control_predicted and control_margin"),
        ([{**CONTROLLED, "control_margin": 0.0}], "'drift': control_margin must be positive"),
        ([{**CONTROLLED, "control_predicted": "0"}], "'drift': control_predicted must be a"),
        ([{**CONTROLLED, "control_predicted": -0.95}], "control_predicted must lie outside"),
        (
            [{**FIELDS, "kind": "expectation", "tests": "theorem-x"}],
            "'drift': an expectation follows from no statement, say beyond",
        ),
        ([{**FIELDS, "rvial": 0.0}], "'drift' has unknown fields: rvial"),
        ([{k: v for k, v in FIELDS.items() if k != "control"}], "'drift' lacks control"),
        ([{k: v for k, v in FIELDS.items() if k != "id"}], "'without id' lacks id"),
        ([FIELDS, FIELDS], "'drift' is registered twice in claims.toml"),
        ([{**FIELDS, "margin": "0.1"}], "'drift': margin must"),
        ([{**FIELDS, "predicted": "-1"}], "'drift': predicted must"),
        ([{**FIELDS, "rival": "-1"}], "'drift': rival must"),
    ],
)
def test_load_claims_names_the_claim_and_the_field(tmp_path, entries, message):
    path = tmp_path / "claims.toml"
    path.write_text(registry(*entries))
    with pytest.raises(ValueError, match=message):
        load_claims(path)


def test_load_claims_fills_in_what_may_be_left_out(tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text(registry(FIELDS))
    assert load_claims(path) == {"drift": Claim(**FIELDS, rival=None, relation="equals")}
    path.write_text("")
    assert load_claims(path) == {}


def test_the_registry_of_the_nearest_book_is_found(registered, tmp_path, monkeypatch):
    assert find_registry() == registered
    assert find_registry(tmp_path / "book" / "chapters") == registered
    inner = tmp_path / "book" / "chapters" / "book" / "claims.toml"
    inner.parent.mkdir()
    inner.write_text("")
    assert find_registry(tmp_path / "book" / "chapters") == inner


def test_without_a_book_the_packaged_copy_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "__file__", str(tmp_path / "package" / "claims.py"))
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    assert find_registry(alone) is None
    monkeypatch.chdir(alone)
    with pytest.warns(UserWarning, match="is not registered"):
        assert nthbook.judge("drift", -1.0).claim.outcome == "invalid"
    (tmp_path / "package").mkdir()
    packaged = tmp_path / "package" / "claims.toml"
    packaged.write_text(registry(FIELDS))
    assert find_registry(alone) == packaged
    assert nthbook.judge("drift", -1.0).claim.outcome == "holds"


def test_claims_test_statements_that_the_book_makes():
    book = Book.find(Path(__file__))
    labels = {
        statement.label
        for name in book.chapter_names()
        for statement in statements(book.chapter_path(name).read_text(), name)
    }
    assert {claim.tests for claim in book.claims().values()} - {None} <= labels


BOOK = Book.find(Path(__file__))


def test_the_registry_keeps_to_its_history():
    assert breaches(BOOK.claims(), superseded(BOOK), read_history(BOOK)) == []


def test_kept_ledgers_were_judged_by_what_is_registered():
    history = read_history(BOOK)
    for path in (BOOK.root / "book" / "reference").glob("full-*.json"):
        for row in json.loads(path.read_text(encoding="utf-8")):
            registered = history[row["id"]]
            judged = {key: row[key] for key in registered if not key.startswith("control_")}
            assert judged == {key: registered[key] for key in judged}, f"{path.name}: {row['id']}"
