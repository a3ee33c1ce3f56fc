import json
import re
from dataclasses import replace

import nbformat
import pytest
from small_book import example_record

import nthbook
import nthlib
from nthbook.claims import Claim, Verdict
from nthbook.ledger import cards
from nthbook.ledger.data import ledger_data
from nthbook.ledger.rows import LedgerRow, ledger_rows
from nthbook.pages import front, written
from nthbook.pages.api import api_reference
from nthbook.run.record import write_record
from nthbook.share import notes

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
    text = written.summary(rows)
    assert "* - theorem\n  - 2\n  - 1\n  - 0\n  - 1\n" in text
    assert "* - expectation\n  - 1\n  - 0\n  - 1\n  - 0\n" in text
    assert "Controls that break their claim, as they must: 1 of 3." in text
    assert "failure of the book: 2." in text
    assert "invalid" not in text


def test_a_book_without_claims_says_so():
    assert written.summary([]) == "No claim is registered yet."
    assert written.multiplicity([]) == ""


def test_intervals_that_leave_the_prediction_out_are_counted_beside_what_chance_would_do():
    beside = replace(verdict("holds"), value=-0.45, low=-0.47, high=-0.43)
    around = replace(beside, low=-0.55)
    rows = [replace(row(), verdict=found) for found in [beside, *[around] * 39, verdict("holds")]]
    text = written.multiplicity(rows)
    assert text.startswith("40 claims predict a value")
    assert "about 2 of these" in text
    assert "out by chance; in fact it is 1." in text
    assert ", beside the prediction</dd>" in cards.cards(rows[:1], "../")


@pytest.mark.parametrize(
    ("outcome", "claim_look", "control_look"),
    [
        ("holds", "good", "bad"),
        ("fails", "bad", "good"),
        ("undecided", "neutral", "bad"),
        ("recorded", "neutral", "neutral"),
        ("invalid", "bad", "bad"),
    ],
)
def test_a_control_counts_as_good_where_its_claim_breaks(outcome, claim_look, control_look):
    text = cards.cards([row(outcome, outcome)], "../../")
    looks = [part.split('"')[0] for part in text.split("nth-badge nth-")[1:]]
    assert looks == [claim_look, control_look]


def test_a_card_shows_the_claim_and_leads_to_the_cells_that_judged():
    text = cards.cards([row()], "../../")
    assert "|K<sub>0</sub><sup>(2)</sup>| *falls*" in text
    assert 'href="../../book/chapters/example.html#claim-slope">−0.50</a>' in text
    assert 'href="../../book/chapters/example.html#control-slope">1.00</a>' in text
    assert "2026-01-02 03:04 UTC, profile quick" in text


def test_what_a_chapter_or_a_changed_run_says_is_text_and_no_markup():
    hostile = replace(CLAIM, statement="<script>", control="a & b", source='"x"')
    changed = replace(row(claim=hostile), record=example_record(overrides={"name": "<b>"}))
    text = cards.cards([changed], "")
    assert "<script>" not in text
    assert "<b>" not in text
    assert "&lt;script&gt;" in text
    assert "a &amp; b" in text


def test_a_claim_without_a_run_is_shown_as_not_measured():
    text = cards.cards([LedgerRow(CLAIM, None, None, None)], "")
    assert "none yet: <code>nth run example</code>" in text
    assert text.count("not measured") == 3  # the filter's word, and a badge each


def centre(text, look):
    return float(re.search(rf'<circle class="{look}" cx="([\d.]+)"', text)[1])


def test_all_pictures_measure_in_margins_from_the_prediction():
    at = cards.picture(CLAIM, verdict("holds", value=-0.5))
    assert centre(at, "nth-measured") == 120
    for scale in (1.0, 1e-6):  # one margin off is as far in every picture
        claim = replace(CLAIM, predicted=2 * scale, margin=scale)
        off = cards.picture(claim, verdict("holds", value=3 * scale))
        band = re.search(r'nth-band" x="([\d.]+)" y="2" width="([\d.]+)"', off)
        left, width = map(float, band.groups())
        assert centre(off, "nth-measured") == pytest.approx(left + width, abs=0.2)
        assert "measured 1 margins" in off
    far = cards.picture(CLAIM, verdict("fails", value=1e9), verdict("fails", value=-1e9))
    assert (centre(far, "nth-measured"), centre(far, "nth-control")) == (234, 6)


def test_a_one_sided_claim_has_a_one_sided_band_and_a_rival_a_line():
    claim = replace(CLAIM, relation="at-most", rival=0.5)
    text = cards.picture(claim, None)
    assert 'nth-band" x="6.0"' in text
    assert "nth-rival" in text
    assert "nothing measured" in text


def test_what_cannot_be_drawn_is_left_out():
    invalid = verdict("invalid", value=float("nan"))
    text = cards.picture(CLAIM, invalid)
    assert "circle" not in text
    assert "nothing measured" in text


def test_the_filter_offers_what_there_is():
    rows = [row(), row("undecided", claim=replace(CLAIM, kind="expectation", id="other"))]
    text = cards.ledger_cards(rows, {"example": "An example"})
    offered = re.findall(r'<option value="([^"]*)">', text)
    assert offered == ["", "holds", "undecided", "", "example", "", "theorem", "expectation"]
    assert "## An example" in text


def test_checks_have_a_section_and_counts_of_their_own():
    check = replace(CLAIM, kind="check", id="identity", chapter="other")
    rows = [row(), row(claim=check), row("undecided", claim=replace(CLAIM, kind="sharpness"))]
    text = cards.ledger_cards(rows, {"example": "An example", "other": "Another"})
    claims, _, checks = text.partition("## Checks")
    assert 'id="identity"' not in claims
    assert 'id="identity"' in checks
    assert "## Another" not in text
    kinds = re.findall(r"^\* - (\w+)$", written.summary(rows), re.MULTILINE)
    assert kinds == ["Kind", "theorem", "sharpness", "check"]
    sentence = front.found(rows)
    assert "<strong>2 claims</strong>" in sentence
    assert '?kind=check">1 check</a> of exact identities, 1 holds.' in sentence
    assert "Of 3 controls" in sentence


def test_a_card_shows_the_value_registered_for_a_control():
    claim = replace(CLAIM, control_predicted=1.0, control_margin=0.25)
    assert "1.00</a>, predicted 1.00 ± 0.25 <span" in cards.cards([row(claim=claim)], "")


def test_headlines_follow_the_order_asked_for():
    other = replace(CLAIM, id="other", statement="Another")
    text = cards.headlines([row(), row(claim=other)], ["other", "slope"])
    assert text.index("Another") < text.index("falls")
    with pytest.raises(KeyError, match="third"):
        cards.headlines([row()], ["third"])


def test_the_front_page_counts_with_links_to_what_it_counts():
    rows = [row(), row(), row("undecided", "undecided"), row("fails")]
    text = front.found(rows)
    assert '<a href="appendix/ledger.html?verdict=holds">2 hold</a>' in text
    assert '<a href="appendix/ledger.html?verdict=undecided">1 is undecided</a>' in text
    assert ">1 fails</a>" in text
    assert "Of 4 controls" in text
    assert "3 break" in text
    assert front.found([]) == "No claim is registered yet."


def test_every_claim_is_a_mark_and_a_chapter_says_what_its_marks_show():
    check = replace(CLAIM, kind="check", id="identity")
    rows = [row(), row("fails", claim=replace(CLAIM, id="other")), row(claim=check)]
    text = front.marks(rows, {"example": "An <example>"})
    assert 'ledger.html?chapter=example">An &lt;example&gt;<' in text
    assert ": 1 holds, 1 fails<" in text
    assert re.findall(r'nth-mark nth-(\w+)" href="appendix/ledger.html#(\w+)"', text) == [
        ("good", "slope"),
        ("bad", "other"),
    ]
    assert front.marks([], {}) == ""


def test_what_a_reader_ran_is_not_shown_as_the_books_finding(small_book):
    own = replace(row(), record=example_record(overrides={"widths": [8, 16]}))
    how = "example (widths = [8, 16])"
    assert f"Not the book's own runs:</strong> {how}." in front.found([row(), own])
    assert "own runs" not in front.found([row()])
    assert f"not the book's own run: {how}" in cards.headlines([own], ["slope"])
    path = small_book.executed_dir / "example.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata["tags"] = ["front-page"]
    nbformat.write(notebook, path)
    write_record(small_book, example_record(profile="smoke"))
    assert "Not the book's own run: example (profile smoke)." in front.figure_markup(small_book)


def test_the_front_figure_is_that_of_the_tagged_cell(small_book):
    assert front.front_figure(small_book) is None
    assert front.figure_markup(small_book) == ""
    path = small_book.executed_dir / "example.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata["tags"] = ["front-page"]
    nbformat.write(notebook, path)
    figure = front.front_figure(small_book)
    assert figure.png.startswith(b"\x89PNG")
    assert ":alt: A line that falls" in front.figure_markup(small_book)


def test_the_ledger_as_data_is_strict_json(small_book):
    rows = [row(), replace(row(), verdict=verdict("invalid", value=float("nan")))]
    first, second = json.loads(ledger_data(rows), parse_constant=pytest.fail)
    assert first["measured"]["value"] == -0.5
    assert first["control_measured"]["outcome"] == "fails"
    assert second["measured"]["value"] is None
    assert first["page"] == "book/chapters/example.html#claim-slope"
    (_, unmeasured) = json.loads(ledger_data(ledger_rows(small_book)))
    assert unmeasured["measured"] is None


def test_runs_show_time_memory_and_what_was_changed():
    run = example_record(overrides={"widths": [64, 128]}, seconds=3723.0, peak_memory_mb=2345.0)
    text = written.runs_table(
        [run], {"example": "An example"}, {"example": "book/chapters/example"}
    )
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
    text = written.versions_table([old, new])
    assert r"* - jax" + "\n" + r"  - 0\.9 \(old\)\, 0\.10 \(new\)" in text
    assert r"  - 2\.0" + "\n" in text


def test_the_default_run_needs_no_note():
    assert notes.chapter_note(example_record(), {}) == ""


def test_a_note_names_the_profile_and_what_the_page_shows_otherwise():
    replaced = {"widths": [8], "seeds": 2}
    note = notes.chapter_note(example_record(profile="smoke"), replaced)
    assert "at profile `smoke` with `widths = [8]`, `seeds = 2`, and its numbers" in note
    assert "The text describes the book's own run." in note
    assert "not judged" in note


def test_an_unknown_piece_is_an_error_that_lists_the_known_ones(small_book):
    with pytest.raises(written.UnknownPieceError, match=r"'lodger'; there are .*ledger"):
        written.fill_page("# Page\n\n<!-- generated: lodger -->\n", small_book)


def test_the_reference_lists_every_public_name():
    text = api_reference()
    for name in nthlib.__all__:
        assert re.search(rf":: nthlib\.{name}\b", text)
    for name in nthbook.__all__:
        assert re.search(rf":: nthbook\.{name}\b", api_reference("nthbook"))
    assert "FullyConnected(dim: int, width: int, depth: int, activation" in text
    assert ", *, sigma_w: float = 1.0, sigma_a: float = 1.0)" in text
    assert ".. automethod:: init(key: " in text
