"""The index of theorems says what the chapters and the registry of claims say."""

import re
from dataclasses import replace

import yaml
from small_book import ROOT

import nthlib
from nthbook.book import Book
from nthbook.ledger.theorems import Statement, statements, theorem_index
from nthbook.pages.citation import citation
from nthbook.pages.written import chapter_titles, fill_page

BOOK = Book.find(ROOT)
CLAIMS = BOOK.claims()
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


def test_the_index_names_what_tests_a_statement_and_what_goes_beyond_it():
    index = theorem_index(BOOK, chapter_titles(BOOK))
    row = index.split("{prf:ref}`theorem-truncation`")[1].split("* - ")[0]
    inside, beyond = row.split("beyond it (the number of places over m in the place of 1/m): ")
    assert all(f"<code>{name}</code>" in inside for name in ("truncation-2", "truncation-4"))
    assert "<code>depth-truncation-4-places</code>" in beyond
    assert "<code>truncation-3</code>" not in row


def test_every_theorem_of_the_book_is_tested():
    theorems = {label for label, item in book_statements().items() if item.kind == "theorem"}
    assert theorems <= {claim.tests for claim in CLAIMS.values()}


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
