import pytest

from nthbook.site.check import site_defects

PAGE = """<html><head><link rel="stylesheet" href="style.css"><link rel="next" href="gone.html">
</head><body>{}</body></html>"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "style.css").touch()
    (tmp_path / "gone.html").touch()
    (tmp_path / "a figure.png").touch()
    return tmp_path


def write(site, body, name="index"):
    (site / f"{name}.html").write_text(PAGE.format(body))


def test_a_whole_site_has_no_defects(site):
    write(
        site,
        '<img src="a%20figure.png"><a id="here" href="#here">x</a><a href="https://a.org/">y</a>',
    )
    assert site_defects(site, ["index"]) == []


def test_a_missing_page_is_named(site):
    write(site, "")
    assert site_defects(site, ["index", "book/other"]) == ["page book/other was not built"]


@pytest.mark.parametrize(
    "body", ['<img src="lost.png">', '<script src="lost.png"></script>', '<a href="lost.png">x</a>']
)
def test_a_missing_figure_script_or_target_is_named(site, body):
    write(site, body)
    (defect,) = site_defects(site, ["index"])
    assert "index.html: lost.png does not exist" in defect


@pytest.mark.parametrize(
    "body", ['<script src="https://a.org/x.js"></script>', '<img src="//a.org/x.png">']
)
def test_what_another_host_would_serve_is_named(site, body):
    write(site, body)
    (defect,) = site_defects(site, ["index"])
    assert "from another host" in defect


def test_a_link_to_no_place_in_a_page_is_named(site):
    write(site, '<a href="other.html#lost">x</a><a href="other.html#found">x</a>')
    write(site, '<p id="found"></p>', "other")
    (defect,) = site_defects(site, ["index", "other"])
    assert defect == "index.html: other.html#lost leads to no place in its page"
