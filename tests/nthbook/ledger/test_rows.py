"""What makes ``nth check`` red, case by case; no chapter runs here."""

import dataclasses

import pytest
from tiny_book import pretend_run, write_claims

from nthbook.book import Book
from nthbook.cli.main import main
from nthbook.ledger.rows import ledger_rows, problems, run_problems
from nthbook.run.record import Failure, write_failure, write_record


def verdict(claim: str, outcome: str, *, control: bool = False, value: float | None = -0.5) -> dict:
    fields = {"id": claim, "control": control, "value": value, "low": value, "high": value}
    return {**fields, "outcome": outcome, "profile": "quick", "cell": 3}


def sound(claim: str) -> list[dict]:
    return [verdict(claim, "holds"), verdict(claim, "fails", control=True, value=0.2)]


def pretend(book: Book, alpha: list[dict], beta: list[dict] | None = None, **run) -> None:
    beta = sound("two") if beta is None else beta
    for name, verdicts in (("alpha", alpha), ("beta", beta)):
        write_record(book, dataclasses.replace(pretend_run(book, name, **run), verdicts=verdicts))


def test_a_sound_book_is_green(book, capsys):
    pretend(book, sound("one"))
    assert problems(book) == []
    assert main(["check"]) == 0
    out, err = capsys.readouterr()
    assert "2 claims: 2 held" in out
    assert "breaks the claim" in out
    assert err == ""


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        (sound("one")[1:], "claim one: not measured in the last run of alpha"),
        (sound("one")[:1], "claim one: no control in the last run of alpha"),
        ([verdict("one", "fails", value=3), *sound("one")[1:]], "theorem one: fails"),
        ([verdict("one", "invalid", value=None), *sound("one")[1:]], "not a usable interval"),
        (
            [verdict("one", "holds"), verdict("one", "holds", control=True)],
            "claim one: its control holds, but must not",
        ),
        (
            [verdict("one", "holds"), verdict("one", "undecided", control=True)],
            "claim one: its control does not break the claim (measured −0.50)",
        ),
        ([verdict("one", "astray"), *sound("one")[1:]], "not a usable interval"),
        (
            [verdict("one", "holds"), verdict("one", "invalid", control=True, value=None)],
            "the control's measurement is not a usable interval",
        ),
        ([*sound("one"), verdict("one", "fails", value=3)], "theorem one: fails"),
        ([*sound("one"), verdict("one", "holds", control=True)], "its control holds"),
        ([verdict("one", "splendid"), *sound("one")[1:]], "not a usable interval"),
        ([*sound("one"), verdict("three", "invalid")], "judges three, which is not registered"),
        ([*sound("one"), verdict("two", "holds")], "judges two, which belongs to chapter beta"),
    ],
)
def test_a_defect_is_red(book, capsys, verdicts, sentence):
    pretend(book, verdicts)
    found = problems(book)
    assert len(found) == 1
    assert sentence in found[0]
    assert main(["check"]) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("outcome", ["undecided", "holds"])
def test_an_undecided_theorem_is_not_red(book, outcome):
    pretend(book, [verdict("one", outcome), *sound("one")[1:]])
    assert problems(book) == []


@pytest.mark.parametrize("kind", ["theorem", "sharpness", "check", "expectation"])
def test_what_fails_is_red_unless_it_was_only_expected(book, kind):
    write_claims(book, ("one", "alpha", kind), ("two", "beta", "theorem"))
    pretend(book, [verdict("one", "fails", value=3), *sound("one")[1:]])
    assert [sentence.split(":")[0] for sentence in problems(book)] == (
        [] if kind == "expectation" else [f"{kind} one"]
    )


def test_a_control_that_misses_its_registered_value_says_where_it_should_be(book):
    text = book.registry.read_text(encoding="utf-8")
    more = 'control = "something broken"\ncontrol_predicted = 0.0\ncontrol_margin = 0.1'
    book.registry.write_text(text.replace('control = "something broken"', more, 1))
    pretend(book, [*sound("one")[:1], verdict("one", "astray", control=True, value=0.2)])
    assert problems(book) == [
        "claim one: its control breaks the claim, but leaves its own margin "
        "(measured 0.20, predicted 0.00 ± 0.10)"
    ]


def test_checks_are_counted_apart(book, capsys):
    write_claims(book, ("one", "alpha", "check"), ("two", "beta", "sharpness"))
    pretend(book, sound("one"), [verdict("two", "fails", value=3), *sound("two")[1:]])
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "1 claim: 1 failed as an attained bound; 1 check: 1 held" in out


def test_an_expectation_that_fails_is_counted_apart(book, capsys):
    write_claims(book, ("one", "alpha", "expectation"), ("two", "beta", "theorem"))
    pretend(book, [verdict("one", "fails", value=3), *sound("one")[1:]])
    assert main(["check"]) == 0
    assert "2 claims: 1 failed as a mere expectation, 1 held" in capsys.readouterr().out


def test_at_smoke_nothing_is_judged(book, capsys):
    one, two = (
        [verdict(claim, "recorded"), verdict(claim, "recorded", control=True)]
        for claim in ("one", "two")
    )
    pretend(book, one, two, profile="smoke")
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert "2 recorded without judging" in out
    assert "At profile smoke numbers are recorded and nothing is judged." in out


def test_a_stale_chapter_is_red_and_says_why(book):
    pretend(book, sound("one"))
    with book.chapter_path("beta").open("a", encoding="utf-8") as file:
        file.write("\nmore\n")
    assert problems(book) == ["chapter beta is stale: text changed"]


def test_other_parameters_alone_are_not_red(book):
    pretend(book, sound("one"), seeds=7)
    assert problems(book) == []


def test_a_chapter_that_never_ran_is_red(book):
    assert problems(book) == [
        "chapter alpha has no finished run",
        "chapter beta has no finished run",
    ]


def test_a_failed_chapter_is_red_and_keeps_its_numbers(book):
    pretend(book, sound("one"))
    write_failure(book, Failure("alpha", "quick", "2026", 3, "1 / 0", "ZeroDivisionError: x"))
    assert problems(book) == [
        "chapter alpha failed in cell 3 (1 / 0): ZeroDivisionError: x",
    ]
    assert ledger_rows(book)[0].verdict is not None


def test_a_malformed_chapter_is_red(book):
    pretend(book, sound("one"))
    book.chapter_path("beta").write_text("# nothing\n", encoding="utf-8")
    assert len(problems(book)) == 1
    assert "chapter beta: one code cell must be tagged" in problems(book)[0]


def test_a_claim_of_no_chapter_is_red(book):
    pretend(book, sound("one"))
    write_claims(
        book, ("x", "gone", "theorem"), ("two", "beta", "theorem"), ("one", "alpha", "theorem")
    )
    assert [row.claim.id for row in ledger_rows(book)] == ["one", "two", "x"]
    assert problems(book) == ["claim x: chapter gone is not in _toc.yml"]


def test_chapters_are_looked_at_alone(book, capsys):
    pretend(book, sound("one"), beta=[verdict("two", "fails", value=3), *sound("two")[1:]])
    assert [row.claim.id for row in ledger_rows(book, ["alpha"])] == ["one"]
    assert problems(book, ["alpha"]) == []
    assert main(["check", "alpha"]) == 0
    assert "1 claim: 1 held" in capsys.readouterr().out
    assert main(["check", "beta"]) == 1
    assert main(["check", "gamma"]) == 2


@pytest.mark.parametrize(
    ("verdicts", "found"),
    [
        (sound("one"), []),
        (sound("one")[:1], ["chapter alpha judges one without a control"]),
        ([*sound("one"), verdict("three", "invalid")], ["judges three, which is not registered"]),
        ([*sound("one"), *sound("two")], ["judges two, which belongs to chapter beta"]),
    ],
)
def test_a_run_names_what_it_judged_and_should_not_have(book, verdicts, found):
    pretend(book, verdicts)
    sentences = run_problems(book, "alpha")
    assert len(sentences) == len(found)
    assert all(words in sentence for words, sentence in zip(found, sentences, strict=True))
