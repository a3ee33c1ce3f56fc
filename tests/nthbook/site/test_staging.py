import nbformat
import pytest
from small_book import example_record

from nthbook.claims import VERDICT_MIME
from nthbook.run.record import write_record
from nthbook.site.stage import StagingError, stage_book


@pytest.fixture
def stage(small_book, node):
    def stage_it(**options):
        stage_book(small_book, node / "node_modules" / "mathjax", **options)
        return small_book.staged_dir

    return stage_it


def staged_chapter(staged):
    return nbformat.read(staged / "book" / "chapters" / "example.ipynb", as_version=4)


def test_the_executed_notebook_takes_the_chapters_place(stage):
    staged = stage()
    cells = staged_chapter(staged).cells
    assert cells[1].outputs
    assert "Run on 2026-01-02 with profile <code>quick</code> in 12 s" in cells[-1].source
    assert not (staged / "book" / "chapters" / "example.md").exists()
    assert (staged / "book" / "assets" / "mathjax" / "MathJax_Main-Regular.woff").is_file()


def test_verdicts_keep_their_text_and_name_and_lose_their_data(stage):
    outputs = staged_chapter(stage()).cells[1].outputs
    assert all(VERDICT_MIME not in output.get("data", {}) for output in outputs)
    (shown,) = (
        output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})
    )
    assert shown.startswith('<div id="claim-example-slope" class="nth-verdict')
    assert '<div id="control-example-slope" class="nth-verdict' in shown


def test_a_note_stands_below_the_title_of_a_chapter_run_otherwise(stage, small_book):
    write_record(small_book, example_record(overrides={"widths": [8]}))
    first = staged_chapter(stage()).cells[0].source
    assert first.startswith("(example)=\n# One example\n\n:::{admonition} Not the default run")


def test_a_chapter_that_never_ran_is_named_with_the_command_to_run_it(stage, small_book):
    (small_book.executed_dir / "example.ipynb").unlink()
    with pytest.raises(StagingError, match=r"chapter example .* nth run example"):
        stage()


def test_a_notebook_of_another_run_than_its_record_is_not_shown(stage, small_book):
    write_record(small_book, example_record(run_id="another"))
    with pytest.raises(StagingError, match="nth run example"):
        stage()


PARAMETERS = """
```{code-cell} ipython3
:tags: [parameters]

profile = "quick"
```
"""


def test_a_chapter_that_never_ran_may_be_shown_without_results(stage, small_book):
    with small_book.chapter_path("example").open("a") as chapter:
        chapter.write(PARAMETERS)
    (small_book.claims_dir / "example.json").unlink()
    cells = staged_chapter(stage(allow_missing=True)).cells
    assert cells[0].source.startswith("(example)=\n# One example\n\n:::{admonition} Not run yet")
    assert not any(cell.get("outputs") for cell in cells)


def test_a_page_without_source_is_named(stage, small_book):
    (small_book.root / "book" / "appendix" / "runs.md").unlink()
    with pytest.raises(StagingError, match=r"no book/appendix/runs\.md"):
        stage()


def test_staging_again_writes_what_changed_and_removes_what_is_gone(stage, small_book):
    staged = stage()
    (staged / "stray.md").touch()
    before = {path: path.stat().st_mtime_ns for path in staged.rglob("*") if path.is_file()}
    intro = small_book.root / "book" / "intro.md"
    intro.write_text(intro.read_text() + "\nOne line more.\n")
    stage()
    after = {path: path.stat().st_mtime_ns for path in staged.rglob("*") if path.is_file()}
    assert staged / "stray.md" not in after
    changed = [path for path in after if after[path] != before[path]]
    assert changed == [staged / "book" / "intro.md"]
