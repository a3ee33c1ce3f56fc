"""A chapter's source is checked before anything runs."""

import pytest

from nthbook.book import Book, UsageError
from nthbook.chapter import load_chapter


def edit(book: Book, old: str, new: str) -> None:
    path = book.chapter_path("alpha")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_profile_replaces_defaults_and_options_replace_both(book):
    chapter = load_chapter(book, "alpha")
    quick = {"profile": "quick", "widths": [16, 32], "seeds": 4, "scale": 1.0}
    assert chapter.values("quick", {}) == quick
    smoke = chapter.values("smoke", {"seeds": 9})
    assert smoke == {"profile": "smoke", "widths": [16], "seeds": 9, "scale": 1.0}
    assert chapter.values("full", {}) == {**quick, "profile": "full"}
    assert chapter.expected == {"smoke": 1.0, "quick": 2.0}


def test_the_header_is_read_as_the_options_are(book):
    edit(book, "widths: [16], seeds: 2", "widths: [010], scale: 1e-3")
    assert load_chapter(book, "alpha").values("smoke", {}) == {
        "profile": "smoke",
        "widths": [10],
        "seeds": 4,
        "scale": 0.001,
    }


def test_a_size_stays_above_zero_unless_the_header_says_otherwise(book):
    with pytest.raises(UsageError, match="chapter alpha: seeds must be a whole number above zero"):
        load_chapter(book, "alpha").values("quick", {"seeds": 0})
    edit(book, "nth:", "nth:\n  signed: [seeds]")
    assert load_chapter(book, "alpha").values("quick", {"seeds": 0})["seeds"] == 0


def test_profile_is_no_option(book):
    with pytest.raises(UsageError, match="--profile"):
        load_chapter(book, "alpha").values("quick", {"profile": "full"})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("widths: [16], seeds", "width: [16], seeds", "profile smoke: no parameter 'width'"),
        ("widths: [16]", "widths: wide", "profile smoke: widths must be a list"),
        ("    smoke: {w", "    tiny: {w", "'tiny'"),
        ("    smoke: {w", "    quick: {w", "parameters cell"),
        ("quick: 2", "fast: 2", "'fast'"),
        ("quick: 2", "quick: soon", "chapter alpha"),
        ("seeds: 2", "seeds: 0", "profile smoke: seeds must be a whole number above zero"),
        ("seeds: 2", "seeds: 12:30", 'seeds must be a whole number above zero such as 4, not "12'),
        ("seeds: 2", "seeds: 2, seeds: 3", "'seeds' is given twice in a table"),
        ("seeds: 2", "scale: NaN", "NaN is not a finite number"),
        ("nth:", "nth:\n  signed: [offset]", "nth.signed in the header names no parameter 'off"),
        ("nth:", "nth:\n  signed: seeds", "nth.signed in the header must be a list"),
        ('profile = "quick"', "", "profile ="),
        ("seeds = 4", "seeds = 2 + 2", "seeds is not a literal"),
        ("seeds = 4", "seeds = (", "the parameters cell"),
        (":tags: [parameters]", "", "tagged parameters, not 0"),
        ("nth:", "nth: [", "chapter alpha"),
    ],
)
def test_a_malformed_chapter_is_misuse_in_one_line(book, old, new, message):
    edit(book, old, new)
    with pytest.raises(UsageError) as caught:
        load_chapter(book, "alpha")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_chapter_without_a_file_is_misuse(book):
    book.chapter_path("alpha").unlink()
    with pytest.raises(UsageError, match=r"alpha is in _toc\.yml but not at"):
        load_chapter(book, "alpha")


def require(book: Book, that: str, sentence: str = "seeds must be even") -> None:
    edit(book, "nth:", f"nth:\n  requires: [{{that: {that!r}, else: {sentence!r}}}]")


@pytest.mark.parametrize(
    "that",
    [
        "seeds % 2 == 0",
        "widths == sorted(set(widths)) and len(widths) > 0",
        "all(width > scale for width in widths) and not seeds < 0",
        "sum([1 for width in widths if 2 * width in widths]) <= 1",
        "max(widths) // widths[0] >= 1",
    ],
)
def test_conditions_of_the_header_may_compare_and_count(book, that):
    require(book, that)
    assert load_chapter(book, "alpha").values("quick", {})["seeds"] == 4


def test_values_that_break_a_condition_are_named(book):
    require(book, "seeds % 2 == 0")
    says = "chapter alpha, profile quick: seeds must be even, got seeds = 3"
    with pytest.raises(UsageError, match=says):
        load_chapter(book, "alpha").values("quick", {"seeds": 3})


def test_the_books_own_values_fulfil_its_conditions(book):
    require(book, "len(widths) > 1", "widths must be at least two")
    with pytest.raises(UsageError, match=r"profile smoke: widths must be at least two, got .*16"):
        load_chapter(book, "alpha")


def test_a_condition_that_cannot_be_told_is_a_problem(book):
    require(book, "widths > seeds")
    with pytest.raises(UsageError, match="widths > seeds cannot be told"):
        load_chapter(book, "alpha")


@pytest.mark.parametrize(
    ("that", "message"),
    [
        ("seeds.bit_length() > 1", "does more than compare and count; the functions are abs, all"),
        ("open(profile)", "does more than compare"),
        ("(lambda: seeds)()", "does more than compare"),
        ("seeds ** 9 > 1", "does more than compare"),
        ("(seeds := 3) > 1", "does more than compare"),
        ("sead > 1", "names no parameter 'sead'"),
        ("2 > 1", "names no parameter"),
        ("seeds >", "is no expression"),
    ],
)
def test_a_condition_does_nothing_else(book, that, message):
    require(book, that)
    with pytest.raises(UsageError, match=message):
        load_chapter(book, "alpha")


@pytest.mark.parametrize("entries", ["seeds > 1", "[seeds > 1]", "[{that: seeds > 1}]", "{a: b}"])
def test_requires_is_a_list_of_tables(book, entries):
    edit(book, "nth:", f"nth:\n  requires: {entries}")
    with pytest.raises(UsageError, match=r"nth.requires in the header must"):
        load_chapter(book, "alpha")
