"""The books of the other tests: a tiny one to run, a small one to build a site from."""

import importlib.util
import sys
from pathlib import Path

SITE = Path(__file__).parents[1] / "site"


def _site_fixtures():
    """Load tests/site/conftest.py, whose folder is no package."""
    if str(SITE) not in sys.path:
        sys.path.append(str(SITE))
    spec = importlib.util.spec_from_file_location("site_fixtures", SITE / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_fixtures = _site_fixtures()
node, small_book = _fixtures.node, _fixtures.small_book

__all__ = ["node", "small_book"]
