"""Pages get lighter and look the same."""

import numpy as np
from PIL import Image

from nthbook.site.trim import trim_site

ICONS = (
    '.fa{font-family:x}.fa-arrow-up:before{content:"a"}.fa-bolt:before,.fa-zap:before{content:"b"}'
)
FONTS = "".join(
    f'<link rel="preload" as="font" crossorigin href="webfonts/fa-{name}.woff2" />'
    for name in ("solid-900", "brands-400", "regular-400")
)
CARDS = '<link rel="stylesheet" href="_static/sphinx-design.min.css?v=1" />'


def small_site(folder, body):
    icons = folder / "_static/vendor/fontawesome/6/css/all.min.css"
    icons.parent.mkdir(parents=True)
    icons.write_text(ICONS)
    page = folder / "page.html"
    page.write_text(f"<html><head>{FONTS}{CARDS}</head><body>{body}</body></html>")
    return page, icons


def test_figures_keep_every_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    (tmp_path / "_images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "_images" / "a1.png")
    page, _ = small_site(tmp_path, '<a href="_images/a1.png"><img src="_images/a1.png"></a>')
    trim_site(tmp_path)
    assert page.read_text().count("_images/a1.webp") == 2
    assert not (tmp_path / "_images" / "a1.png").exists()
    with Image.open(tmp_path / "_images" / "a1.webp") as kept:
        np.testing.assert_array_equal(np.asarray(kept), pixels)


def test_what_no_page_shows_is_left_out(tmp_path):
    page, icons = small_site(tmp_path, '<i class="fa-solid fa-zap"></i>')
    trim_site(tmp_path)
    assert icons.read_text() == '.fa{font-family:x}.fa-bolt:before,.fa-zap:before{content:"b"}'
    text = page.read_text()
    assert "fa-solid-900.woff2" in text
    assert "brands" not in text
    assert "regular" not in text
    assert "sphinx-design" not in text


def test_a_page_with_cards_keeps_their_style(tmp_path):
    page, _ = small_site(tmp_path, '<div class="sd-card"></div>')
    trim_site(tmp_path)
    assert CARDS in page.read_text()


def test_formulas_lose_notes_and_no_glyph(tmp_path):
    formula = (
        '<mjx-math class="MJX-TEX"><mjx-TeXAtom texclass="ORD"><mjx-c class="mjx-c4B"></mjx-c>'
        '</mjx-TeXAtom></mjx-math><math xmlns="m"><mi data-mjx-texclass="ORD">K</mi></math>'
    )
    page, _ = small_site(tmp_path, formula)
    trim_site(tmp_path)
    text = page.read_text()
    assert '<mjx-TeXAtom><mjx-c class="mjx-c4B">' in text
    assert "<math><mi>K</mi></math>" in text
