"""Notebooks that leave the book: whole, readable in plain Jupyter, and without solutions."""

import re
import zipfile
from functools import cache
from pathlib import Path

import nbformat
import pytest
from tiny_book import pretend_run

from nthbook.book import Book, UsageError
from nthbook.chapter import is_parameters_cell
from nthbook.cli.main import main
from nthbook.ledger.labels import book_labels
from nthbook.share import notebooks
from nthbook.share.notebooks import Edition, exported_notebook, exported_pages
from nthbook.share.student import student_cells
from nthbook.share.wheel import build_wheel, wheel_name

BOOK = Book(Path(__file__).parents[3])
PAGES = list(exported_pages(BOOK))
CHAPTERS = [name for name in PAGES if "/chapters/" in exported_pages(BOOK)[name]]

MYST = re.compile(
    r"\{[a-z][\w:.+-]*\}`|^\s*(?:`{3,}|:{3,})\{|^\([\w-]+\)=|\]\(#|\.md\)", re.MULTILINE
)
CODE = re.compile(r"(`+).+?\1", re.DOTALL)


@pytest.fixture(autouse=True)
def no_wheel(monkeypatch):
    """The command's tests look at the notebooks alone."""
    monkeypatch.setattr(notebooks, "build_wheel", lambda folder: folder / wheel_name())


@cache
def notebook(name: str, student: bool):
    edition = Edition(student=student, profile="smoke")
    return exported_notebook(BOOK, name, labels(), edition)[0]


@cache
def labels():
    return book_labels(BOOK, PAGES)


def text(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells)


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def write_executed(book, name):
    """An executed notebook in the place of the empty one of a pretended run."""
    new = nbformat.v4
    verdict = {"text/plain": "holds", "application/vnd.nthlib.verdict+json": {"id": "one"}}
    output = new.new_output("display_data", verdict)
    cells = [
        new.new_markdown_cell("# Run\n\n{ref}`somewhere`"),
        new.new_code_cell("x = 1", outputs=[output], execution_count=7),
    ]
    run = new.new_notebook(cells=cells, metadata={"nth": {"run_id": "a run"}})
    nbformat.write(run, book.executed_dir / f"{name}.ipynb")


# ----------------------------------------------------------------------------- the command


def test_chapters_are_written_with_all_they_need(book, tmp_path, capsys):
    pretend_run(book, "alpha")
    write_executed(book, "alpha")
    folder = tmp_path / "for readers"
    assert main(["export", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "alpha.ipynb: executed at profile quick" in out
    assert "beta.ipynb: profile quick, not executed" in out
    alpha = nbformat.read(folder / "alpha.ipynb", as_version=4)
    nbformat.validate(alpha)
    title, install, code = alpha.cells
    assert title.source == "# Run\n\n*somewhere*"
    assert tags(install) == ["install"]
    assert code.outputs[0].data == {"text/plain": "holds"}
    assert (folder / "requirements.txt").read_text() == f"./{wheel_name()}\njupyterlab\n"
    assert "- [2. A chapter](beta.ipynb)" in (folder / "START.md").read_text()


def test_two_exports_are_the_same(book, tmp_path):
    for folder in ("one", "two"):
        assert main(["export", str(tmp_path / folder)]) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_profile_sets_the_parameters_and_leaves_outputs_out(book, tmp_path):
    pretend_run(book, "alpha")
    write_executed(book, "alpha")
    assert main(["export", str(tmp_path / "out"), "--profile", "smoke"]) == 0
    cells = nbformat.read(tmp_path / "out" / "alpha.ipynb", as_version=4).cells
    assert cells[2].source.startswith('profile = "smoke"\nwidths = [16]\nseeds = 2\n')
    assert not any(cell.get("outputs") for cell in cells)
    assert 'os.environ["NTH_PROFILE"] = "smoke"' in cells[1].source


def test_conditions_of_the_header_follow_the_parameters(book, tmp_path):
    path = book.chapter_path("alpha")
    condition = '{that: "seeds >= 2", else: "seeds must be at least 2"}'
    path.write_text(path.read_text().replace("nth:", f"nth:\n  requires: [{condition}]"))
    assert main(["export", str(tmp_path / "out")]) == 0
    cells = nbformat.read(tmp_path / "out" / "alpha.ipynb", as_version=4).cells
    (cell,) = filter(is_parameters_cell, cells)
    assert cell.source.endswith('\n\nassert seeds >= 2, "seeds must be at least 2"')
    with pytest.raises(AssertionError, match="seeds must be at least 2"):
        exec(cell.source.replace("seeds = 4", "seeds = 1"), {})


@pytest.mark.parametrize("standing", ["beta.ipynb", "START.md", "requirements.txt", wheel_name()])
def test_nothing_is_overwritten_unless_told(book, tmp_path, capsys, standing):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / standing).write_text("mine")
    assert main(["export", str(folder)]) == 2
    assert f"{standing} exists: pass --force" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [standing]
    assert main(["export", str(folder), "--force"]) == 0
    assert not (folder / standing).is_file() or (folder / standing).read_text() != "mine"


def test_a_folder_is_wanted_and_not_a_file(book, capsys):
    assert main(["export", str(book.registry)]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_malformed_chapter_is_named_before_anything_is_written(book, tmp_path, capsys):
    with book.chapter_path("beta").open("a") as chapter:
        chapter.write("\n```{solution-start} x\n```\n\nand so on\n")
    assert main(["export", str(tmp_path / "out"), "--student"]) == 2
    assert "chapter beta: a solution-start has no solution-end" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_wheel_holds_the_library_and_the_claims(tmp_path):
    names = zipfile.ZipFile(build_wheel(tmp_path)).namelist()
    assert {
        "nthlib/__init__.py",
        "nthlib/py.typed",
        "nthbook/__init__.py",
        "nthbook/claims.toml",
    } <= set(names)
    assert not [name for name in names if "test" in name or name.startswith(("book", "build"))]


def test_a_wheel_that_cannot_be_built_is_one_sentence(tmp_path):
    file = tmp_path / "a file"
    file.touch()
    with pytest.raises(UsageError, match="the wheel of nthlib could not be built: "):
        build_wheel(file)


# ------------------------------------------------------------------------ all the chapters


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("student", [False, True], ids=["whole", "student"])
def test_a_chapter_is_plain_markdown(name, student):
    made = notebook(name, student)
    nbformat.validate(made)
    for cell in made.cells:
        if cell.cell_type == "markdown":
            assert not MYST.search(CODE.sub("", cell.source)), cell.source
    assert sum(cell.cell_type == "code" and "install" in tags(cell) for cell in made.cells) == 1
    first = next(cell for cell in made.cells if cell.cell_type == "code")
    assert "install" in tags(first)


def solutions(source: str) -> list[str]:
    """The solutions of a chapter, found line by line and not by the parser under test."""
    found: list[str] = []
    end = ""
    for line in source.splitlines():
        if line.startswith(("```{solution-start}", "```{solution} ")):
            end = "```{solution-end}" if "-start}" in line else "```"
            found.append("")
        elif end and line == end:
            end = ""
        elif end:
            found[-1] += line + "\n"
    return found


def telling_lines(solution: str) -> list[str]:
    """The lines that stand in an exported notebook as they are, and are long enough to tell."""
    return [
        line
        for line in solution.splitlines()
        if len(line) > 30 and "{" not in line.replace("{(", "") and not line.startswith("$$")
    ]


@pytest.mark.parametrize("name", PAGES)
def test_the_student_edition_has_no_solution(name):
    source = BOOK.chapter_path(name).read_text()
    found = [line for solution in solutions(source) for line in telling_lines(solution)]
    assert len(found) >= len(solutions(source)) > 0 or "{solution" not in source
    whole, handed_out = text(notebook(name, False)), text(notebook(name, True))
    for line in found:
        assert line in whole
        assert source.count(line) > 1 or line not in handed_out
    assert "olution (" not in handed_out
    assert not [cell for cell in notebook(name, True).cells if cell.get("outputs")]


@pytest.mark.parametrize("name", PAGES)
def test_every_exercise_has_an_empty_cell_of_its_kind(name):
    grades = re.findall(
        r"^[`:]{3,}\{exercise(?:-start)?\} ?(.*)$", BOOK.chapter_path(name).read_text(), re.M
    )
    cells = notebook(name, True).cells
    places = [place for place, cell in enumerate(cells) if "answer" in tags(cell)]
    assert len(places) == len(grades)
    for place, grade in zip(places, grades, strict=True):
        kind = "code" if "running" in grade else "markdown"
        assert cells[place].cell_type == kind
        assert cells[place].source == {"code": "# Your code", "markdown": "*Your answer*"}[kind]
        above = "\n".join(cell.source for cell in cells[:place])
        title = re.findall(r"\*\*Exercise( \d+\.\d+)? \((.*?)\)\*\*", above)[-1]
        assert title[1] == grade
        assert title[0] or name not in CHAPTERS


def test_exercises_have_the_numbers_of_the_site():
    text = "\n".join(cell.source for cell in notebook("tangent-kernel", True).cells)
    assert re.findall(r"\*\*Exercise ([\d.]+)", text) == ["2.1", "2.2", "2.3"]


def test_a_notebook_shows_the_values_of_its_run_where_they_can_be_changed(book, tmp_path, capsys):
    pretend_run(book, "alpha", widths=[8])
    write_executed(book, "alpha")
    path = book.executed_dir / "alpha.ipynb"
    executed = nbformat.read(path, as_version=4)
    for name, widths in (("parameters", [16]), ("injected-parameters", [8])):
        cell = nbformat.v4.new_code_cell(f"widths = {widths}", metadata={"tags": [name]})
        executed.cells.append(cell)
    nbformat.write(executed, path)
    assert main(["export", str(tmp_path / "out")]) == 0
    assert "executed at profile quick with widths = [8]" in capsys.readouterr().out
    exported = nbformat.read(tmp_path / "out" / "alpha.ipynb", as_version=4).cells
    code = [cell.source for cell in exported if cell.cell_type == "code"]
    assert [source for source in code if "widths = [" in source] == ["widths = [8]"]
    assert "Not the default run" in exported[0].source


# --------------------------------------------------------------------- the student edition

GATED = """\
Before.

```{exercise-start} By running
:label: e
```

Run

```{code-cell} ipython3
given = 1
```

on.

```{exercise-end}
```

```{solution-start} e
```

secret

```{code-cell} ipython3
secret = given
```

```{solution-end}
```

:::{exercise} By thinking
:label: f
Think.
:::
:::{solution} f
secret
:::
After.
"""


def test_gated_exercises_keep_their_code_and_lose_their_solution():
    import jupytext

    cells = student_cells(jupytext.reads(GATED, fmt="md:myst").cells, "example")
    sources = [cell.source for cell in cells]
    assert "secret" not in "".join(sources)
    assert [source.splitlines()[0] for source in sources] == [
        "Before.",
        "given = 1",
        "on.",
        "# Your code",
        ":::{exercise} By thinking",
        "*Your answer*",
        "After.",
    ]
    assert cells[3].metadata["nth"] == {"exercise": "e"}
