"""Formulas become glyphs when the site is built, or the build fails with their line."""

import re

import pytest

ALIGNED = "\\begin{align}\n%s\n\\end{align}"


@pytest.fixture
def rendered(sphinx_page):
    def write(source, **settings):
        settings = {"html_math_renderer": "nth", "mathjax3_config": settings}
        return sphinx_page(source, "nthbook.site.formulas", **settings)

    return write


@pytest.mark.parametrize("form", ["with $%s$", "$$\n%s\n$$", "$$\n%s \\\\\n1\n$$", ALIGNED])
def test_a_formula_needs_no_script(rendered, tmp_path, form):
    text, said = rendered(form % "a < b")
    assert said == ""
    assert text.count("<mjx-container") == 1
    assert "<mo>&lt;</mo>" in text  # read as TeX, and written for screen readers
    assert "MathJax = " not in text
    assert "tex-mml" not in text
    assert 'href="_static/mathjax/formulas.css' in text
    assert "MathJax_" in (tmp_path / "built/_static/mathjax/formulas.css").read_text()


def test_numbers_and_anchors_of_equations_stay(rendered):
    text, _ = rendered("$$\nx\n$$ (a)\n\nSee {eq}`a`.")
    assert 'id="equation-a"' in text
    assert '<span class="eqno">(1)' in text
    assert 'display="true"' in text


def test_the_books_own_commands_are_known(rendered):
    text, _ = rendered(r"$\R$", tex={"macros": {"R": r"\mathbb{R}"}})
    assert "double-struck" in text


@pytest.mark.parametrize("tex", [r"\frac{1}{", r"\undefined x", r"x^1^2"])
def test_a_formula_that_cannot_be_read_is_named_with_its_line(rendered, tex):
    _, said = rendered(f"$x$\n\n${tex}$")
    assert re.search(r"page\.md:3: WARNING: .* in ", said)
    assert tex in said


def test_punctuation_stays_with_a_short_formula(rendered):
    text, _ = rendered(f"${'+'.join('a' * 40)}$. And even $p$. And")
    assert text.count('<span class="nth-together"><span class="math') == 1
    assert "</span>.</span> And" in text
    assert "</span>. And even" in text


def test_a_link_that_shows_a_formula_alone_has_a_name(rendered):
    text, _ = rendered("# One\n\n[$K_{0}$](page.md) and [the $K_{1}$](page.md)")
    assert text.count('aria-label="K_0"') == 1
    assert 'aria-label="K_1"' not in text


def test_formulas_carry_no_notes_of_mathjax(rendered):
    text, _ = rendered(r"$K^{(2)} \le \mathfrak{K}$")
    assert "texclass" not in text
    assert "<math><" in text


def test_a_page_without_formulas_gets_no_style(rendered):
    text, _ = rendered("words, and `\\(code\\)`")
    assert "formulas.css" not in text
    assert "\\(code\\)" in text
