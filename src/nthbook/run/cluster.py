"""The address of a Dask scheduler, checked before anything runs."""

import importlib.util
import socket
from urllib.parse import urlsplit

from nthbook.book import UsageError

_SCHEMES = ("tcp", "tls")
_PATIENCE = 5.0


def check_scheduler(address: str) -> None:
    """Raise ``UsageError`` unless a scheduler answers at this address and Dask is installed."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme not in _SCHEMES:
        raise UsageError(f"--scheduler must look like tcp://HOST:PORT, got {address!r}")
    if importlib.util.find_spec("distributed") is None:
        raise UsageError("--scheduler needs Dask: pip install 'nthlib[cluster]'")
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except OSError as error:
        raise UsageError(f"no Dask scheduler answers at {address}: {error}") from error
