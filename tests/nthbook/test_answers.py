"""Answers that can be checked and not seen."""

import nbformat
import numpy as np
import pytest
from tiny_book import write_chapter

from nthbook import check_answer
from nthbook.answers import Answer, load_answers
from nthbook.book import UsageError
from nthbook.cli.main import main

ENTRY = '[[answer]]\nexercise = "ex"\nasks = "half"\nvalue = {value}\ndigits = {digits}\n'
EXERCISE = """
```{exercise} By hand
:label: ex

How much is it?
```

```{solution} ex
Just 3.14.
```
"""
THIRD = Answer("ex", "a third", 1 / 3, 3)


@pytest.mark.parametrize(
    ("number", "right"),
    [
        (1 / 3, True),
        (0.333, True),  # rounded as asked
        (np.float32(1 / 3), True),
        (np.array(1 / 3), True),
        (0.3334, True),
        (0.334, False),
        (0.332, False),
        (-1 / 3, False),
        (333, False),
    ],
)
def test_what_rounds_to_the_answer_is_right(number, right, capsys):
    assert check_answer(number, digits=3, seal=THIRD.seal) is right
    assert capsys.readouterr().out.startswith("Right" if right else "Not yet")


@pytest.mark.parametrize("off", [-1e-7, 0.0, 1e-7])
def test_an_answer_on_the_edge_of_rounding_is_right_from_both_sides(off):
    edge = Answer("ex", "an edge", 0.4645, 3)
    assert check_answer(0.4645 + off, digits=3, seal=edge.seal)


def test_half_way_between_two_whole_numbers_is_neither():
    two = Answer("ex", "two", 2.0, 1)
    assert not check_answer(1.5, digits=1, seal=two.seal)


@pytest.mark.parametrize("number", ["a third", np.nan, [1, 2], None])
def test_what_is_no_number_is_told_so(number, capsys):
    assert check_answer(number, digits=3, seal=THIRD.seal) is None
    assert "one finite number" in capsys.readouterr().out


def test_a_seal_is_of_one_exercise_alone():
    again = Answer("other", "a third", 1 / 3, 3)
    assert again.seal != THIRD.seal
    assert THIRD.seal == Answer("ex", "a third", 1 / 3, 3).seal  # two exports are the same


@pytest.mark.parametrize(
    ("value", "digits", "message"),
    [
        ('"1 / 0"', 2, "value cannot be computed"),
        ("\"open('x')\"", 2, "value cannot be computed"),
        ('"1e400"', 2, "value must be finite"),
        ("1.0", 0, "digits must be a whole number from 1 to 9"),
        ("1.0", 2.5, "digits must be a whole number"),
        ("1.0\nextra = 1", 2, "must have the fields"),
    ],
)
@pytest.mark.bad_input
def test_a_malformed_answer_is_named(book, value, digits, message):
    path = book.root / "book" / "answers.toml"
    path.write_text(ENTRY.format(value=value, digits=digits))
    with pytest.raises(ValueError, match="answer 'ex'") as found:
        load_answers(path)
    assert message in str(found.value)
    with pytest.raises(UsageError, match=r"book/answers\.toml"):
        book.answers()


def test_a_student_can_check_and_the_instructor_can_see(book, tmp_path, capsys):
    write_chapter(book, "alpha", "print(1)")
    with book.chapter_path("alpha").open("a") as file:
        file.write(EXERCISE)
    (book.root / "book" / "answers.toml").write_text(ENTRY.format(value='"pi"', digits=2))
    assert main(["export", str(tmp_path / "student"), "--student"]) == 0
    path = tmp_path / "student" / "alpha.ipynb"
    assert "3.14" not in path.read_text()
    cells = nbformat.read(path, as_version=4).cells
    (check,) = [cell.source for cell in cells if "check" in cell.metadata.get("tags", [])]
    capsys.readouterr()
    exec(check)
    assert capsys.readouterr().out.startswith("No answer yet")
    exec(check.replace("...", "3.1416"))
    assert capsys.readouterr().out == "Right, to 2 decimals.\n"
    assert main(["export", str(tmp_path / "key"), "--key"]) == 0
    assert "half: <strong>3.14</strong>" in (tmp_path / "key" / "key.html").read_text()
