"""Is a built site whole? A green build is no proof that every page and figure is there."""

from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"img": "src", "script": "src", "source": "src", "link": "href"}
_LINKED = {"a": "href", **_LOADED}
# <link> elements that name a page and load nothing
_NAVIGATION = {"next", "prev", "index", "search", "author", "canonical", "top", "up"}


class _Page(HTMLParser):
    """The names within a page, what it links to, and which of this a browser loads with it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.references: dict[str, bool] = {}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's name and address."""
        attributes = dict(attrs)
        self.names.update(filter(None, (attributes.get("id"), attributes.get("name"))))
        address = attributes.get(_LINKED.get(tag, ""))
        if address:
            relations = set((attributes.get("rel") or "").split())
            loaded = tag in _LOADED and not relations & _NAVIGATION
            self.references[address] = loaded or self.references.get(address, False)


def site_defects(site: Path, pages: Sequence[str]) -> list[str]:
    """Return a sentence for each thing that a reader would miss; none if the site is whole.

    Checked are: every page of ``pages`` (without extension) exists, all that pages load or
    link to within the site exists, and no page loads anything from another host.
    """
    files = {page: (site / f"{page}.html").resolve() for page in pages}
    read = {path: _Page(path) for path in files.values() if path.is_file()}
    missing = [f"page {page} was not built" for page in pages if files[page] not in read]
    broken = [
        f"{page}.html: {defect}"
        for page in pages
        if files[page] in read
        for defect in _page_defects(files[page], read)
    ]
    return missing + broken


def _page_defects(path: Path, read: dict[Path, _Page]) -> Iterator[str]:
    for address, loaded in read[path].references.items():
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") or parts.netloc:
            if loaded:
                yield f"it loads {address} from another host"
        elif not parts.scheme:
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{address} does not exist"
            elif target in read and unquote(parts.fragment) not in {"", *read[target].names}:
                yield f"{address} leads to no place in its page"
