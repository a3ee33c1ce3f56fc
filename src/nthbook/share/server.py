"""A server of the finished site, for this machine alone."""

import functools
import http.server
from http import HTTPStatus
from typing import Any

from nthbook.book import Book, UsageError

LOOPBACK = "127.0.0.1"


class _SiteHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files, quietly; a folder without an index page is not listed."""

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def site_server(book: Book, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of ``build/html`` that only this machine can reach; port 0 picks one.

    Raises:
        UsageError: when there is no site yet, or the port is taken.
    """
    if not (book.html_dir / "index.html").is_file():
        raise UsageError("there is no site yet: make it with `nth book`")
    handler = functools.partial(_SiteHandler, directory=str(book.html_dir))
    try:
        return http.server.ThreadingHTTPServer((LOOPBACK, port), handler)
    except (OSError, OverflowError) as error:
        raise UsageError(f"port {port} cannot be used: choose another with --port") from error
