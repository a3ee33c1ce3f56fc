"""A Sphinx extension: the buttons above a page that the theme does not have.

A notebook can be had as plain MyST. Where the build knows the book's repository, Colab and
Binder open the notebook that the workflow `publish` has put there; else there is no button.
"""

from typing import Any

from sphinx.application import Sphinx

_ICONS = {
    "Colab": "_static/images/logo_colab.png",
    "Binder": "_static/images/logo_binder.svg",
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; ``nth_launch`` holds addresses by page and service."""
    app.add_config_value("nth_launch", {}, "html", [dict])
    app.connect("html-page-context", add_buttons, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_buttons(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _document: object
) -> None:
    """Add the buttons of a page to those the theme has prepared."""
    if context.get("page_source_suffix") != ".ipynb":
        return
    buttons: list[dict[str, Any]] = context.get("header_buttons", [])
    for group in buttons:
        if group.get("label") == "download-buttons":
            address = f"{context['pathto']('_sources', 1)}/{page}.md"
            group["buttons"].insert(1, _link("myst", ".md", "Download MyST source", address))
    services = app.config.nth_launch.get(page, {})
    if services:
        links = [
            {**_link(name.lower(), name, f"Launch on {name}", address), "icon": _ICONS[name]}
            for name, address in services.items()
        ]
        buttons.insert(0, _group("launch-buttons", "Launch this notebook", links))


def _link(name: str, text: str, tooltip: str, address: str) -> dict[str, Any]:
    return {
        "type": "link",
        "url": address,
        "text": text,
        "tooltip": tooltip,
        "icon": "fas fa-file-lines",
        "label": f"download-{name}-button",
    }


def _group(label: str, tooltip: str, buttons: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "group",
        "tooltip": tooltip,
        "icon": "fas fa-rocket",
        "buttons": buttons,
        "label": label,
    }
