"""MyST Markdown that plain Jupyter shows as it is meant."""

import pytest
from pybtex.database import Entry, Person

from nthbook.directives import directives, pieces
from nthbook.ledger.labels import Labels, Target, book_labels
from nthbook.share.markdown import plain_markdown

PAPER = Entry(
    "article",
    fields={"year": "2020", "archiveprefix": "arXiv", "eprint": "1909.08156"},
    persons={"author": [Person("Huang, Jiaoyang"), Person("Yau, Horng-Tzer")]},
)
MANY = Entry(
    "article",
    fields={"year": "2018"},
    persons={"author": [Person("Hongler, Cl{\\'e}ment"), Person("B, C"), Person("D, E")]},
)
LABELS = Labels(
    {
        "theorem-here": Target("Theorem *Here*", "here"),
        "theorem-there": Target("Theorem *There*", "there"),
        "theorem-far": Target("Theorem *Far*", "far"),
        "exercise-hand": Target("the exercise *By hand*", "here"),
        "flux": Target("(2)", "here"),
    },
    {"here": "Here", "there": "Over there", "far": "Far away"},
    {"paper": PAPER, "many": MANY},
    frozenset({"here", "there"}),
    "here",
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`{ref}` and `a {b}`", "`{ref}` and `a {b}`"),
        ("{prf:ref}`theorem-here`", "Theorem *Here*"),
        ("{prf:ref}`theorem-there`", "[Theorem *There*](there.ipynb)"),
        ("{prf:ref}`theorem-far`", "Theorem *Far* (page *Far away*)"),
        ("{ref}`so it is <theorem-far>`", "so it is"),
        ("{ref}`nowhere`", "*nowhere*"),
        ("{eq}`flux`", "(2)"),
        ("{term}`kernel <tangent kernel>` and {term}`width`", "kernel and width"),
        ("{math}`x^2`", "$x^2$"),
        ("{func}`~nthlib.kernels`", "`nthlib.kernels`"),
        ("{cite}`paper`", "([Huang and Yau, 2020](https://arxiv.org/abs/1909.08156))"),
        ("{cite:t}`paper`", "Huang and Yau ([2020](https://arxiv.org/abs/1909.08156))"),
        ("{cite}`many`", "(Hongler et al., 2018)"),
        ("[a page](../there.md#part)", "[a page](there.ipynb)"),
        ("[](there.md)", "[Over there](there.ipynb)"),
        ("[a $x$ page](../appendix/far.md)", "a $x$ page"),
        ("[here](#theorem-here), [](#theorem-here)", "here, Theorem *Here*"),
        ("![a figure](far.md)", "![a figure](far.md)"),
        ("{unheard}`of`", "of"),
        ("(label)=\n# Title", "# Title"),
        ("% a comment\ntext", "text"),
        ("$$ x = 1 $$ (flux)", "$$ x = 1 \\tag{2} $$"),
        (
            "$$\na &= b \\\\\nc &= d\n$$ (flux)",
            "$$\n\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned} \\tag{2}\n$$",
        ),
        ("```{math}\n:label: flux\n\nx = 1\n```", "$$ x = 1 \\tag{2} $$"),
        (
            "```{prf:theorem} The *size*\n:label: t\n\nIt is\n\n$$\nx\n= 1 .\n$$\n```",
            "> **Theorem (The *size*)**\n>\n> It is\n>\n> $$ x = 1 . $$",
        ),
        ("```{prf:proof}\nBy sight.\n```", "> **Proof**\n>\n> By sight."),
        ("```{exercise} By hand\n:label: e\n\nDo it.\n```", "**Exercise (By hand)**\n\nDo it."),
        ("```{exercise-start} By hand\n```", "**Exercise (By hand)**"),
        (
            "```{solution} exercise-hand\n:class: dropdown\n\nDone.\n```",
            "**Solution (By hand)**\n\nDone.",
        ),
        ("```{solution} untitled\nDone.\n```", "**Solution**\n\nDone."),
        ("```{solution-end}\n```", ""),
        (":::{admonition} Goals\n- one\n- two\n:::", "> **Goals**\n>\n> - one\n> - two"),
        ("```{note} Mind this.\n```", "> **Note.** Mind this."),
        ("```{tip}\n---\nclass: x\n---\nMind.\n```", "> **Tip.**\n>\n> Mind."),
        (
            "::::{admonition} Out\n:::{note}\nIn\n:::\n::::",
            "> **Out**\n>\n> > **Note.**\n> >\n> > In",
        ),
        ("- item\n\n  ```{note} Mind\n  ```\n", "- item\n\n  > **Note.** Mind"),
        ("```{figure} a.png\n:alt: A line\n\nA caption.\n```", "![A line](a.png)\n\nA caption."),
        ("```{code-block} sh\nnth run\n```", "```sh\nnth run\n```"),
        ("```python\nx = '{ref}`theorem-here`'\n```", "```python\nx = '{ref}`theorem-here`'\n```"),
        ("word\n: what it means", "word  \nwhat it means"),
    ],
)
def test_conversion(text, shown):
    assert plain_markdown(text, LABELS) == shown


def test_plain_text_is_left_alone():
    text = "# Title\n\nA *word*, $a_1$ and a list:\n\n1. one\n2. two\n\n| a |\n|---|\n| 1 |"
    assert plain_markdown(text, LABELS) == text


def test_the_pieces_of_a_text_make_up_the_text():
    text = "a\n\n```{note}\nb\n```\nc\n\n:::{tip}\nd\n:::\n\n    code\n"
    assert "".join(piece.text for piece in pieces(text)) == text


def test_directives_are_found_within_others():
    text = "::::{a} one\n:::{b}\n:label: two\n:::\n::::\n"
    assert [(found.name, found.label) for found in directives(text)] == [("a", ""), ("b", "two")]


PAGE = """\
---
kernelspec: {}
---
(page)=
# A page

$$ x = 1 $$ (first)

```{math}
:label: second

x = 2
```

(part)=
## A part

```{exercise} By hand
:label: exercise-a

$$ x = 3 $$ (third)
```
```{solution} exercise-a
:label: solution-a
It is.
```
:::{prf:lemma}
:label: lemma-a
:::

    $$ no $$ (code)
"""


def test_the_labels_of_a_book_are_collected(book):
    book.chapter_path("beta").write_text(PAGE, encoding="utf-8")
    labels = book_labels(book, ["alpha", "beta"])
    assert labels.titles == {"alpha": "A chapter", "beta": "A page"}
    assert {label: target.words for label, target in labels.targets.items()} == {
        "page": "*A page*",
        "part": "*A part*",
        "first": "(1)",
        "second": "(2)",
        "third": "(3)",
        "exercise-a": "the exercise *By hand*",
        "solution-a": "the exercise *By hand*",  # a student has no solution to look for
        "lemma-a": "Lemma",
    }
    assert labels.reference("part") == "[*A part*](beta.ipynb)"
    assert labels.title("exercise-a") == "By hand"
    assert labels.cite("nobody") == "(nobody)"
