import json
import re
from dataclasses import replace

import pytest
from small_book import example_record

import nthlib
from nthlib.claims import Claim, Verdict
from nthlib.pipeline import pages
from nthlib.pipeline.api_reference import api_reference
from nthlib.pipeline.ledger import LedgerRow, ledger_rows

CLAIM = Claim(
    "slope", "example", "theorem", "|K_0^(2)| *falls*", "Theorem 1", "exponent", -0.5, 0.1, "a bug"
)


def verdict(outcome, *, control=False, value=-0.5):
    return Verdict("slope", control, value, value, value, outcome, "quick")


def row(outcome="holds", control="fails", claim=CLAIM):
    return LedgerRow(
        claim, example_record(), verdict(outcome), verdict(control, control=True, value=1.0)
    )


def test_the_summary_counts_claims_and_controls():
    expectation = replace(CLAIM, kind="expectation")
    rows = [row(), row("undecided", "undecided"), row("fails", "holds", expectation)]
    text = pages.summary(rows)
    assert "* - theorem\n  - 2\n  - 1\n  - 0\n  - 1\n" in text
    assert "* - expectation\n  - 1\n  - 0\n  - 1\n  - 0\n" in text
    assert "Controls that break their claim, as they must: 1 of 3." in text
    assert "failure of the book: 1." in text
    assert "invalid" not in text


def test_a_book_without_claims_says_so():
    assert pages.summary([]) == "No claim is registered yet."


@pytest.mark.parametrize(
    ("outcome", "claim_look", "control_look"),
    [
        ("holds", "good", "bad"),
        ("fails", "bad", "good"),
        ("undecided", "neutral", "neutral"),
        ("recorded", "neutral", "neutral"),
        ("invalid", "bad", "bad"),
    ],
)
def test_a_control_counts_as_good_where_its_claim_breaks(outcome, claim_look, control_look):
    text = pages.ledger_tables([row(outcome, outcome)], {})
    looks = [part.split('"')[0] for part in text.split("nth-badge nth-")[1:]]
    assert looks == [claim_look, control_look]


def test_the_ledger_shows_statements_letter_by_letter():
    text = pages.ledger_tables([row()], {"example": "An example"})
    assert r"\|K<sub>0</sub><sup>\(2\)</sup>\| \*falls\*" in text
    assert "## An example" in text
    assert "Measured in [the chapter](../chapters/example) on 2026-01-02" in text


def test_a_claim_without_a_run_is_shown_as_not_measured():
    text = pages.ledger_tables([LedgerRow(CLAIM, None, None, None)], {})
    assert "has not been run" in text
    assert text.count("not measured") == 2


def test_the_ledger_as_data_is_strict_json(small_book):
    rows = [row(), replace(row(), verdict=verdict("invalid", value=float("nan")))]
    first, second = json.loads(pages.ledger_data(rows), parse_constant=pytest.fail)
    assert first["measured"]["value"] == -0.5
    assert first["control_measured"]["outcome"] == "fails"
    assert second["measured"]["value"] is None
    (_, unmeasured) = json.loads(pages.ledger_data(ledger_rows(small_book)))
    assert unmeasured["measured"] is None


def test_runs_show_time_memory_and_what_was_changed():
    run = example_record(overrides={"widths": [64, 128]}, seconds=3723.0, peak_memory_mb=2345.0)
    text = pages.runs_table([run], {"example": "An example"}, {"example": "book/chapters/example"})
    for part in (
        "[An example](../../book/chapters/example)",
        "62 min",
        "2.3 GB",
        "`widths = [64, 128]`",
    ):
        assert part in text


def test_versions_that_differ_between_chapters_are_told_apart():
    old = example_record(chapter="old", versions={"jax": "0.9", "numpy": "2.0"})
    new = example_record(chapter="new", versions={"jax": "0.10", "numpy": "2.0"})
    text = pages.versions_table([old, new])
    assert r"* - jax" + "\n" + r"  - 0\.9 \(old\)\, 0\.10 \(new\)" in text
    assert r"  - 2\.0" + "\n" in text


def test_the_default_run_needs_no_note():
    assert pages.chapter_note(example_record(), {}) == ""


def test_a_note_names_the_profile_and_what_the_page_shows_otherwise():
    replaced = {"widths": [8], "seeds": 2}
    note = pages.chapter_note(example_record(profile="smoke"), replaced)
    assert "profile `smoke`, that is with `widths = [8]`, `seeds = 2`." in note
    assert "The text describes the book's own run, at profile `quick`." in note
    assert "not judged" in note


def test_an_unknown_piece_is_an_error_that_lists_the_known_ones(small_book):
    with pytest.raises(pages.UnknownPieceError, match=r"'lodger'; there are .*ledger"):
        pages.fill_page("# Page\n\n<!-- generated: lodger -->\n", small_book)


def test_the_reference_lists_every_public_name():
    text = api_reference()
    for name in nthlib.__all__:
        assert re.search(rf":: nthlib\.{name}\b", text)
    assert "FullyConnected(dim: int, width: int, depth: int, activation" in text
    assert ".. automethod:: init(key: " in text
