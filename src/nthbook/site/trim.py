"""A Sphinx extension: pages as light as they can be that look the same.

Figures are lossless WebP and keep every pixel; no script holds up the first paint; styles are
loaded where a page uses them.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms.images import ImageConverter

_TEMPLATES = Path(__file__).with_name("templates")
# What the extensions give to every page, and how the classes begin that it is there for.
_FOR_CLASSES = {
    "sphinx-design": ("sd-",),
    "design-tabs": ("sd-tab",),
    "mystnb": ("cell",),
    "pygments": ("highlight",),
    "clipboard": ("highlight",),
    "copybutton": ("highlight",),
    "togglebutton": ("toggle", "dropdown", "hide"),
    "proof": ("proof",),
    "exercise": ("exercise", "solution"),
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the templates that stand in for the theme's, and the hooks."""
    app.connect("config-inited", lambda _app, config: config.templates_path.append(str(_TEMPLATES)))
    app.connect("html-page-context", _lighten, priority=900)
    app.add_post_transform(FiguresAsWebP)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _lighten(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _document: object
) -> None:
    """Let scripts wait until the page is read, and leave out what is for things it has not."""
    for script in context["script_files"]:
        if script.filename:
            script.attributes.setdefault("defer", "defer")
        elif script.attributes.get("body", "").startswith("DOCUMENTATION_OPTIONS."):
            script.attributes["type"] = "module"  # which waits for the deferred ones
    classes = " ".join(re.findall(r'class="([^"]*)"', context.get("body", ""))).split()
    for files in (context["css_files"], context["script_files"]):
        files[:] = [file for file in files if _has_use(str(file.filename or ""), classes)]


def _has_use(file: str, classes: list[str]) -> bool:
    beginnings = _FOR_CLASSES.get(file.rpartition("/")[2].partition(".")[0])
    return beginnings is None or any(one.startswith(beginnings) for one in classes)


class FiguresAsWebP(ImageConverter):
    """Sphinx's conversion of images, for some that a browser could show as they are."""

    def match(self, node: nodes.image) -> bool:
        """Whether it is a PNG of the site's own."""
        return self.app.builder.format == "html" and "image/png" in self.guess_mimetypes(node)

    def get_conversion_rule(self, _node: nodes.image) -> tuple[str, str]:
        """The one rule."""
        return "image/png", "image/webp"

    def convert(self, _from: str, _to: str) -> bool:
        """Write the figure anew where it is newer than what is there."""
        source, target = Path(_from), Path(_to)
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            with Image.open(source) as figure:
                figure.save(target, lossless=True, method=4, exact=True)
        return True
