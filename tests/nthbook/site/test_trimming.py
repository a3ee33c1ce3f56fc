"""Pages get lighter and look the same; what misleads a screen reader is mended."""

import numpy as np
from PIL import Image

SIGNATURE = """```{eval-rst}
.. py:function:: reach(first: int, second: int, third: int) -> int
```"""
CITED = "See [CIT].\n\n```{eval-rst}\n.. [CIT] A source.\n```"


def test_figures_keep_every_pixel(sphinx_page, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a1.png")
    figure = "```{image} a1.png\n:width: 20px\n```"
    text, _ = sphinx_page(figure, "nthbook.site.trim")
    assert 'src="_images/a1.webp"' in text
    assert "a1.png" not in text
    assert not (tmp_path / "built" / "_images" / "a1.png").exists()
    with Image.open(tmp_path / "built" / "_images" / "a1.webp") as kept:
        np.testing.assert_array_equal(np.asarray(kept), pixels)


def test_a_page_loads_the_style_of_cards_where_it_has_some(sphinx_page):
    extensions = ("sphinx_design", "nthbook.site.trim")
    assert "sphinx-design.min.css" not in sphinx_page("words", *extensions)[0]
    assert "sphinx-design.min.css" in sphinx_page("```{card} A card\n```", *extensions)[0]


def test_a_page_without_code_loads_nothing_for_code(sphinx_page):
    extensions = ("sphinx_copybutton", "nthbook.site.trim")
    words, code = (sphinx_page(text, *extensions)[0] for text in ("words", "```python\nx = 1\n```"))
    for file in ("pygments.css", "copybutton.css", "copybutton.js", "clipboard.min.js"):
        assert f"_static/{file}" in code
        assert f"_static/{file}" not in words
    assert "_static/doctools.js" in words


def test_no_script_of_the_head_holds_up_the_page(sphinx_page):
    text, _ = sphinx_page("words", "nthbook.site.trim")
    loaded = [tag for tag in text.split("<script ")[1:] if " src=" in tag.partition(">")[0]]
    assert loaded
    assert all("defer" in tag.partition(">")[0] for tag in loaded)


def test_parameters_are_no_list_of_definitions(sphinx_page):
    text, _ = sphinx_page(SIGNATURE, "nthbook.site.spoken", maximum_signature_line_length=20)
    assert text.count('<span class="nth-parameter">') == 3
    signature = text.partition("<dt")[2].partition("</dt>")[0]
    assert "<dl>" not in signature
    assert "</dd>" not in signature


def test_citations_are_no_list_of_items(sphinx_page):
    text, _ = sphinx_page(CITED, "nthbook.site.spoken")
    assert '<div class="citation-list">' in text
    assert 'role="list"' not in text
