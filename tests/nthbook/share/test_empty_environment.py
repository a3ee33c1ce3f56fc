"""Exported notebooks in an environment that holds the wheel and Jupyter, and nothing else."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest

from nthbook.book import Book
from nthbook.share.notebooks import Edition, export_notebooks, exported_pages
from nthbook.share.wheel import wheel_name

pytestmark = pytest.mark.slow

BOOK = Book(Path(__file__).parents[3])
EDITIONS = {"whole": False, "student": True}
JUPYTER = ("ipykernel>=6.29,<7", "nbclient")

RUN = """
import sys
from pathlib import Path
import nbformat
from nbclient import NotebookClient
path = Path(sys.argv[1])
notebook = nbformat.read(path, as_version=4)
place = {"metadata": {"path": str(path.parent)}}
NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=place).execute()
nbformat.write(notebook, path.with_suffix(".done.ipynb"))
"""
LOAD = """
import importlib.metadata, json
import nthlib, nthbook.plots
for name in nthlib.__all__:
    getattr(nthlib, name)
names = sorted(item.name.lower() for item in importlib.metadata.distributions())
print(json.dumps({"file": nthlib.__file__, "packages": names}))
"""


def call(command: Sequence[str | Path], **variables: str) -> str:
    """Run a command that knows nothing of the environment the tests run in."""
    kept = {key: os.environ[key] for key in os.environ if not key.startswith(("PYTHON", "NTH_"))}
    done = subprocess.run(
        [str(part) for part in command],
        env={**kept, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def make_environment(folder: Path, *packages: str | Path) -> Path:
    """An environment of its own with pip and these packages; return its Python."""
    uv = Path(sys.executable).parent / "uv"
    assert uv.is_file(), "uv, which `make setup` installs, makes the environment"
    call([uv, "venv", "--quiet", "--seed", "--python", sys.executable, folder])
    python = folder / "bin" / "python"
    call([uv, "pip", "install", "--quiet", "--python", python, *JUPYTER, *packages])
    return python


@pytest.fixture(scope="session")
def exported(tmp_path_factory, worker_id) -> Path:
    """Both editions of all chapters at smoke, and an environment, once for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "exported"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "whole").is_dir():  # else another worker has been here
            make_environment(folder / "environment", export_all(folder / "student", student=True))
            export_all(folder / "whole", student=False)
    return folder


def export_all(folder: Path, *, student: bool) -> Path:
    """Export the book's chapters; return the wheel."""
    for _ in export_notebooks(BOOK, folder, Edition(student=student, profile="smoke")):
        pass
    return folder / wheel_name()


def test_the_wheel_brings_nothing_of_the_pipeline(exported):
    found = json.loads(call([exported / "environment/bin/python", "-c", LOAD]))
    assert Path(found["file"]).is_relative_to(exported)
    pipeline = {"click", "jupyter-book", "jupytext", "papermill", "playwright", "sphinx"}
    assert not pipeline & set(found["packages"])


@pytest.mark.parametrize("name", exported_pages(BOOK))
def test_a_chapter_runs_in_both_editions(exported, name):
    shared = {"JAX_COMPILATION_CACHE_DIR": str(exported / "programs")}  # nearly the same code
    shared["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    outputs = {}
    for edition in EDITIONS:
        notebook = exported / edition / f"{name}.ipynb"
        call([exported / "environment/bin/python", "-c", RUN, notebook], **shared)
        done = nbformat.read(notebook.with_suffix(".done.ipynb"), as_version=4)
        outputs[edition] = sum(bool(cell.get("outputs")) for cell in done.cells)
    assert outputs["whole"] >= outputs["student"] > 0


def test_the_first_cell_installs_the_library_where_it_is_missing(exported, tmp_path):
    python = make_environment(tmp_path / "environment")
    name = next(iter(exported_pages(BOOK)))
    notebook = nbformat.read(exported / "whole" / f"{name}.ipynb", as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    load = nbformat.v4.new_code_cell("import nthlib\nprint(nthlib.__file__)")
    notebook.cells = [first, load]
    nbformat.write(notebook, tmp_path / "first.ipynb")
    (tmp_path / wheel_name()).write_bytes((exported / "whole" / wheel_name()).read_bytes())
    call([python, "-c", RUN, tmp_path / "first.ipynb"])
    done = nbformat.read(tmp_path / "first.done.ipynb", as_version=4)
    assert str(tmp_path / "environment") in done.cells[1].outputs[0].text
