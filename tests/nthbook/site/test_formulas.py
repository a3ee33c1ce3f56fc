"""Formulas become glyphs when the site is built, or the build fails with their page."""

import pytest

from nthbook.site.finish import finish_pages
from nthbook.site.formulas import FormulaError, render_formulas

INLINE = r'<p>with <span class="math notranslate nohighlight">\({}\)</span></p>'
DISPLAY = (
    '<div class="math notranslate nohighlight" id="equation-a">\n'
    '<span class="eqno">(1)<a href="#equation-a">#</a></span>'
    r"\[{}\]</div>"
)
AMSMATH = r'<div class="amsmath math notranslate nohighlight">\begin{{align}}{}\end{{align}}</div>'
CONFIG = '<script>window.MathJax = {"tex": {}}</script>\n'
LOADER = '<script defer="defer" src="../_static/mathjax/tex-mml-chtml.js?v=1"></script>'
PAGE = f'<html data-theme="auto"><head>{CONFIG}{LOADER}</head><body>%s</body></html>'


@pytest.fixture
def render(tmp_path, node):
    def rendered(body, **settings):
        page = tmp_path / "book" / "page.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text(PAGE % body)
        render_formulas(tmp_path, node / "node_modules" / "mathjax", settings)
        return page.read_text()

    return rendered


@pytest.mark.parametrize("form", [INLINE, DISPLAY, AMSMATH])
def test_a_formula_needs_no_script(render, tmp_path, form):
    text = render(form.format("a &lt; b"))
    assert text.count("<mjx-container") == 1
    assert "<mo>&lt;</mo>" in text  # read as TeX, and written for screen readers
    assert "script" not in text
    assert '<link rel="stylesheet" href="../_static/mathjax/formulas.css">' in text
    assert "MathJax_" in (tmp_path / "_static/mathjax/formulas.css").read_text()


def test_numbers_and_anchors_of_equations_stay(render):
    text = render(DISPLAY.format("x"))
    assert 'id="equation-a"' in text
    assert '<span class="eqno">(1)' in text
    assert 'display="true"' in text


def test_the_books_own_commands_are_known(render):
    text = render(INLINE.format(r"\R"), tex={"macros": {"R": r"\mathbb{R}"}})
    assert "double-struck" in text


@pytest.mark.parametrize("tex", [r"\frac{1}{", r"\undefined x", r"x^1^2"])
def test_a_formula_that_cannot_be_read_fails_the_build(render, tex):
    with pytest.raises(FormulaError, match=r"book/page\.html: .* in ") as caught:
        render(INLINE.format("x") + INLINE.format(tex))
    assert tex in str(caught.value)


def test_punctuation_stays_with_a_short_formula(render):
    formula = '<span class="math notranslate nohighlight">\\({}\\)</span>'
    text = render(f"even {formula.format('p')}. And {formula.format('+'.join('a' * 40))}, too")
    assert text.count('<span class="nth-together"><span class="math') == 1
    assert "</span>.</span>" in text


def test_a_page_without_formulas_gets_no_style(render):
    text = render("<p>words, and \\(code\\)</p>")
    assert "formulas.css" not in text
    assert "words, and \\(code\\)" in text


SCRIPTS = """<script src="a.js"></script><script defer src="b.js"></script>
<script src="_static/vendor/fontawesome/6/js/all.min.js?digest=1"></script>
<script>DOCUMENTATION_OPTIONS.pagename = 'x';</script>"""


def test_scripts_of_the_head_wait_and_the_icons_script_goes(tmp_path):
    page = tmp_path / "a.html"
    body = '<script src="late.js"></script>'
    page.write_text(f"<html><head>{SCRIPTS}</head><body>{body}</body></html>")
    icons = tmp_path / "_static/vendor/fontawesome/6/js/all.min.js"
    icons.parent.mkdir(parents=True)
    icons.touch()
    finish_pages(tmp_path)
    text = page.read_text()
    assert '<script defer src="a.js"></script><script defer src="b.js"></script>' in text
    assert "fontawesome" not in text
    assert not icons.exists()
    assert '<script type="module">DOCUMENTATION_OPTIONS' in text
    assert body in text


def test_markup_that_misleads_a_screen_reader_is_mended(tmp_path):
    page = tmp_path / "a.html"
    page.write_text(
        '<html><head></head><summary aria-label="Toggle hidden content">Show code</summary>'
        '<button class="btn search-button-field" title="Search" aria-label="Search">Search</button>'
        '<span class="sig-paren">(</span><dl><dd>x: int,</dd></dl><span class="sig-paren">)</span>'
    )
    finish_pages(tmp_path)
    text = page.read_text()
    assert "aria-label" not in text
    assert "<dl>" not in text
    assert '<span class="nth-parameter">x: int,</span>' in text
