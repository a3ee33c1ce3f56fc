"""A chapter taken apart: what a handout and slides are made of, without formulas or a browser."""

import json

import nbformat
import pytest
from bs4 import BeautifulSoup
from tiny_book import CLAIM, TESTS, pretend_run

from nthbook.cli.main import main
from nthbook.course.lesson import lessons
from nthbook.run.record import write_record

TEXT = """
# The falling thing

Things fall. How fast do they fall?

```{admonition} What this chapter shows
- that it falls
```

## Theory

Every thing that falls has a weight and a height. It is constant. We drop one. Does it matter?

It is seen in the code:

```{prf:definition} Thing
:label: a-thing

A thing.
```

```{prf:theorem} Falling
:label: a-label

It falls (see the [other one](beta.md)).
```

```{admonition} Proof
:class: dropdown

Let it go.
```

## Exercises

```{exercise} By hand
:label: ex-hand

Compute the time.
```

```{solution-start} ex-hand
:class: dropdown
```

It is SECRET.

```{solution-end}
```

```{exercise} By hand, once more
:label: ex-more

Again, by hand.
```

```{solution} ex-more
HIDDEN as well.
```

```{exercise} By running
:label: ex-run

Run it.
```

```{exercise} By thinking
:label: ex-think

Think about it.
```
"""


@pytest.fixture
def taught(book):
    """The small book, with prose and exercises in a chapter that has not run."""
    path = book.chapter_path("alpha")
    head, _, rest = path.read_text().partition("# A chapter\n")
    path.write_text(head + TEXT.split("## Exercises")[0].lstrip() + rest)
    with path.open("a") as file:
        file.write("## Exercises" + TEXT.split("## Exercises")[1])
    return book


def lesson(book, name="alpha"):
    (found,) = lessons(book, [name])
    return found


def shown(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(), "html.parser")


def test_a_chapter_has_its_question_and_its_theorem(taught):
    found = lesson(taught)
    assert found.question == "Things fall. How fast do they fall?"
    chapter, statement = found.statement
    assert (chapter, statement.argument) == ("alpha", "Falling")  # and not the definition
    assert [row.claim.id for row in found.claims] == ["one"]
    assert found.record is None
    assert found.figures == []


def test_a_chapter_without_a_statement_shows_the_one_that_it_tests(taught):
    chapter, statement = lesson(taught, "beta").statement
    assert (chapter, statement.label) == ("alpha", "a-label")


def test_three_exercises_one_of_each_grade(taught):
    found = lesson(taught)
    assert [each.directive.label for each in found.exercises] == [
        *("ex-hand", "ex-more", "ex-run", "ex-think")
    ]
    chosen = found.chosen_exercises()
    assert [each.directive.label for each in chosen] == ["ex-hand", "ex-run", "ex-think"]
    assert [each.number for each in chosen] == ["1.1", "1.3", "1.4"]
    assert [block.text for block in found.exercises[0].solution] == ["It is SECRET."]
    assert [block.text for block in found.exercises[1].solution] == ["HIDDEN as well."]


def test_slides_and_handouts_hold_no_solution_and_the_key_holds_them_all(taught, tmp_path):
    out = tmp_path / "out"
    assert main(["export", str(out), "--slides", "--handouts", "--key"]) == 0
    names = {"alpha-slides.html", "alpha-handout.html", "beta-slides.html", "beta-handout.html"}
    assert {path.name for path in out.iterdir()} == {*names, "key.html"}
    for name in names:
        text = (out / name).read_text()
        assert "SECRET" not in text
        assert "HIDDEN" not in text
    key = shown(out / "key.html")
    assert "SECRET" in key.select_one("#ex-hand").text
    assert "HIDDEN" in key.select_one("#ex-more").text


def test_a_long_table_is_cut_and_keeps_its_head(taught, tmp_path):
    path = taught.chapter_path("alpha")
    rows = "\n".join(f"| row {number} | it falls |" for number in range(12))
    table = f"| What | How |\n|---|---|\n{rows}\n"
    path.write_text(path.read_text().replace("We drop one.", f"We drop one.\n\n{table}\n", 1))
    main(["export", str(tmp_path / "out"), "alpha", "--slides"])
    tables = shown(tmp_path / "out" / "alpha-slides.html").select(".body table:not(.numbers)")
    assert [len(table.select("tbody tr")) for table in tables] == [4, 4, 4]
    assert {table.select_one("th").text for table in tables} == {"What"}


@pytest.mark.parametrize("kind", ["--slides", "--student"])
def test_chapters_can_be_named(taught, tmp_path, capsys, kind):
    out = tmp_path / "out"
    assert main(["export", str(out), "alpha", kind]) == 0
    assert any(path.name.startswith("alpha") for path in out.iterdir())
    assert not any(path.name.startswith("beta") for path in out.iterdir())
    assert main(["export", str(tmp_path / "none"), "alphq", kind]) == 2
    assert "no chapter 'alphq' to export (did you mean alpha?)" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_handout_is_the_chapters_own_words(taught, tmp_path):
    main(["export", str(tmp_path / "out"), "--handouts"])
    page = shown(tmp_path / "out" / "alpha-handout.html")
    assert page.select_one("h1").text == "The falling thing"
    assert "How fast do they fall?" in page.select_one(".question").text
    assert "It falls (see the other one)." in page.select_one(".statement").text
    assert [title.text for title in page.select("h3")] == [
        *("1.1 By hand", "1.3 By running", "1.4 By thinking")
    ]
    assert page.select_one("#one .nth-badge").text == "not measured"
    assert "nth run alpha" in page.text


def test_a_heading_starts_a_slide_and_the_whole_text_is_its_notes(taught, tmp_path):
    main(["export", str(tmp_path / "out"), "--slides"])
    slides = shown(tmp_path / "out" / "alpha-slides.html").select(".slide")
    titles = [slide.select_one("h2").text for slide in slides]
    assert titles[0] == "The falling thing"
    assert titles.count("Theory") == 1
    assert titles[-1] == "The numbers"
    theory = slides[titles.index("Theory")]
    face = " ".join(theory.select_one(".body").text.split())
    assert "Every thing that falls has a weight and a height. We drop one." in face
    assert "We drop one. Does it matter? Definition (Thing)" in face
    assert "It is constant." not in face
    assert "in the code" not in face
    assert "Let it go." not in face  # a proof that the page folds away
    for told in ("It is constant.", "Let it go."):
        assert told in theory.select_one(".notes").text
    assert not any("widths" in slide.text for slide in slides)  # no code


def test_numbers_come_from_the_ledger(taught, tmp_path):
    record = pretend_run(taught)
    verdict = {"id": "one", "control": False, "value": -0.49, "low": -0.53, "high": -0.45}
    verdict |= {"outcome": "holds", "profile": "quick", "cell": 0}
    broken = verdict | {"control": True, "value": 0.0, "low": 0.0, "high": 0.1, "outcome": "fails"}
    record.verdicts.extend([verdict, broken])
    write_record(taught, record)
    main(["export", str(tmp_path / "out"), "--handouts"])
    row = shown(tmp_path / "out" / "alpha-handout.html").select_one("#one")
    assert "−0.49" in row.text
    assert [badge.text for badge in row.select(".nth-badge")] == ["holds", "breaks the claim"]
    assert row.select_one("svg .nth-measured")


def test_a_run_that_was_not_the_books_own_says_so(taught, tmp_path):
    pretend_run(taught, profile="smoke")
    main(["export", str(tmp_path / "out"), "--handouts"])
    page = shown(tmp_path / "out" / "alpha-handout.html").text
    assert "Not the book's own run: alpha (profile smoke)." in page
    assert "recorded and not judged" in page


def test_claims_without_room_are_counted(taught, tmp_path):
    more = [CLAIM.format(id=f"more-{n}", chapter="alpha", kind="theorem") + TESTS for n in range(6)]
    taught.registry.write_text("\n".join([taught.registry.read_text(), *more]))
    main(["export", str(tmp_path / "out"), "--handouts"])
    page = shown(tmp_path / "out" / "alpha-handout.html")
    assert len(page.select("tbody tr")) == 5
    assert "And 2 more claims in the ledger: 2 are not measured." in page.text


def test_a_run_notebook_of_another_run_is_not_shown(taught):
    pretend_run(taught)
    path = taught.executed_dir / "alpha.ipynb"
    path.write_text(json.dumps({"metadata": {"nth": {"run_id": "other"}}, "cells": []}))
    assert lesson(taught).record is None
    assert lesson(taught).question.startswith("Things fall.")


def test_figures_are_kept_with_their_words(taught):
    pretend_run(taught)
    png = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
        "awAAAABJRU5ErkJggg=="
    )
    new = nbformat.v4
    shown = new.new_output("display_data", {"image/png": png})
    cell = new.new_code_cell("plot()", outputs=[shown])
    cell.metadata["mystnb"] = {"image": {"alt": "A dot"}}
    notebook = new.new_notebook(cells=[new.new_markdown_cell("# Alpha"), cell])
    notebook.metadata["nth"] = {"run_id": "a run"}
    nbformat.write(notebook, taught.executed_dir / "alpha.ipynb")
    (figure,) = lesson(taught).figures
    assert figure.alt == "A dot"
    assert figure.text.startswith("data:image/webp;base64,")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--slides", "--student"], "--student is for notebooks"),
        (["--key", "--profile", "smoke"], "--profile is for notebooks"),
        (["--pdf"], "--pdf prints what is written with"),
    ],
)
@pytest.mark.bad_input
def test_what_does_not_go_together(taught, tmp_path, capsys, options, message):
    assert main(["export", str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_without_force(taught, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", str(out), "--key"]) == 0
    assert main(["export", str(out), "--key", "--handouts"]) == 2
    assert "pass --force" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["key.html"]
    assert main(["export", str(out), "--key", "--force"]) == 0
