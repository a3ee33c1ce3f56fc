"""The index of theorems says what the chapters and the registry of claims say."""

import re
from dataclasses import replace

import pytest
import yaml
from small_book import ROOT

import nthlib
from nthbook.book import Book
from nthbook.claims import Claim
from nthbook.ledger.theorems import _NAMED, Statement, claims_of, statements, theorem_index
from nthbook.pages.citation import citation
from nthbook.pages.written import chapter_titles, fill_page

BOOK = Book.find(ROOT)
CLAIMS = BOOK.claims()
CLAIM = Claim("slope", "setting", "theorem", "it falls", "?", "exponent", -0.5, 0.1, "a bug")
BOUND = Statement("theorem", "A bound", "bound", "setting", "Huang and Yau, Theorem 2.3")

TEXT = """
```{prf:theorem} A bound
:label: bound

It holds (Huang and Yau {cite}`huang2020dynamics`, Theorem 2.3
with $r=2$).
```

::::{prf:definition}
:label: two
:nonumber:

See {cite}`jacot2018neural`.
::::

```{prf:proposition} By hand
:label: three

$1 + 1 = 2$
```

```{prf:lemma} Without a label
Nothing can point to it.
```

{prf:ref}`bound` is no statement.
"""


def book_statements() -> dict[str, Statement]:
    return {
        statement.label: statement
        for name in BOOK.chapter_names()
        for statement in statements(BOOK.chapter_path(name).read_text(), name)
    }


def test_statements_are_read_with_label_title_and_source():
    bound, two, three = statements(TEXT, "setting")
    assert bound == replace(BOUND, source="Huang and Yau, Theorem 2.3 with $r=2$")
    assert (two.kind, two.title, two.source) == ("definition", "", "{cite}`jacot2018neural`")
    assert three.source == "shown in the chapter"


def test_every_directive_of_the_book_is_in_the_index():
    texts = [BOOK.chapter_path(name).read_text() for name in BOOK.chapter_names()]
    directives = sum(len(re.findall(r"^[`:]{3,}\{prf:(?!ref)", text, re.M)) for text in texts)
    index = theorem_index(BOOK, chapter_titles(BOOK))
    assert len(book_statements()) == directives > 10
    assert all(f"{{prf:ref}}`{label}`" in index for label in book_statements())


@pytest.mark.parametrize(
    ("source", "tests"),
    [
        ("Theorem 2.3, r = 4", True),
        ("Corollaries 2.2 and 2.3", True),
        ("Theorem 2.6", False),
        ("A bound, without its number", False),
    ],
)
def test_a_claim_tests_the_theorem_whose_number_it_names(source, tests):
    claims = [replace(CLAIM, source=source)]
    assert claims_of(BOUND, claims) == (["slope"] if tests else [], [])


@pytest.mark.parametrize(
    ("kind", "source", "tests"),
    [
        ("proposition", "The chapter, on A BOUND", True),
        ("proposition", "The chapter", False),
        ("definition", "A bound; and more", True),
        ("definition", "Derived from a bound", False),
    ],
)
def test_a_claim_tests_a_statement_without_a_number_that_it_names(kind, source, tests):
    statement = replace(BOUND, kind=kind, source="shown in the chapter")
    assert claims_of(statement, [replace(CLAIM, source=source)])[0] == ["slope"] * tests


def test_a_statement_of_one_case_is_claims_of_claims_of_that_case():
    two = replace(BOUND, source="Huang and Yau, Theorem 2.6 with $p=2$")
    claims = [replace(CLAIM, id=f"p{p}", source=f"Theorem 2.6 with p = {p}") for p in (2, 4)]
    assert claims_of(two, claims) == (["p2"], [])


def test_expectations_and_cases_left_out_go_beyond():
    claims = [
        replace(CLAIM, id="odd", source="Theorem 2.3, covers even p alone"),
        replace(CLAIM, id="guess", kind="expectation", source="Theorem 2.3"),
    ]
    assert claims_of(BOUND, claims) == ([], ["odd", "guess"])


def test_assumptions_are_not_claims_of_the_claims_that_need_them():
    assumption = replace(BOUND, kind="assumption", title="Inputs", source="(Assumption 2.3)")
    assert claims_of(assumption, [replace(CLAIM, source="Theorem 2.3")]) == ([], [])


def test_the_theorems_of_the_paper_have_the_claims_of_their_chapters():
    found = {label: claims_of(item, CLAIMS.values()) for label, item in book_statements().items()}
    assert {"kernel-drift", "kernel-speed"} <= set(found["theorem-kernel-change"][0])
    assert {"truncation-2", "truncation-4"} <= set(found["theorem-truncation"][0])
    assert "truncation-3" in found["theorem-truncation"][1]
    assert set(found["theorem-hierarchy"][0]) >= {f"hierarchy-exact-{r}" for r in range(2, 6)}
    theorems = {label for label, item in book_statements().items() if item.kind == "theorem"}
    assert all(any(found[label]) for label in theorems)


def test_the_names_given_by_hand_exist():
    assert _NAMED.keys() <= book_statements().keys()
    assert {name for names in _NAMED.values() for name in names} <= CLAIMS.keys()


def test_citation_has_the_version_of_the_package_and_the_paper():
    text = citation(BOOK)
    data = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert f"version = {{{nthlib.__version__}}}" in text
    assert data["references"][0]["title"] in text
    assert "Huang, Jiaoyang and Yau, Horng-Tzer" in text
    assert text.count("@") == 2


def test_a_book_without_a_citation_file_says_so(tmp_path):
    assert "CITATION.cff" in citation(replace(BOOK, root=tmp_path))


def test_pages_of_the_appendix_show_verdicts_with_links_that_lead_to_the_ledger():
    text = fill_page("<!-- generated: verdicts truncation-3 -->", BOOK)
    assert 'href="../appendix/ledger.html#truncation-3"' in text
    assert 'href="appendix/' not in text
