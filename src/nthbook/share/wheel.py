"""The wheel of the library, built from its source tree."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import nthlib
from nthbook.book import UsageError


def source_tree() -> Path | None:
    """The folder from which the library is imported, if that is its source tree."""
    folder = Path(nthlib.__file__).parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


@cache
def wheel_name() -> str:
    """The file name of the wheel: the library is pure Python, so that one fits all machines."""
    return f"nthlib-{nthlib.__version__}-py3-none-any.whl"


def build_wheel(folder: Path) -> Path:
    """Build the library's wheel into ``folder`` and return its path.

    Raises:
        UsageError: when the library is not imported from its source tree, or the build fails.
    """
    tree = source_tree()
    if tree is None:
        raise UsageError("the wheel is built from the source tree; here nthlib is installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    path = folder / wheel_name()
    if done.returncode != 0 or not path.is_file():
        reason = " ".join(done.stderr.split()[-40:])
        raise UsageError(f"the wheel of nthlib could not be built: {reason}")
    return path
