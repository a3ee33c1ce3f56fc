"""Verdicts come out of the notebook whole; noise on stderr stays out of the page."""

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from nthbook.claims import VERDICT_MIME
from nthbook.run import clean


def test_verdicts_are_collected_with_their_cell():
    verdicts = [{"id": "one", "control": False}, {"id": "one", "control": True}]
    shown = [new_output("display_data", {VERDICT_MIME: [verdict]}) for verdict in verdicts]
    other = new_output("display_data", {"text/plain": "a figure"})
    notebook = new_notebook(
        cells=[
            new_markdown_cell("text"),
            new_code_cell("a", outputs=[new_output("stream", text="x"), shown[0], other]),
            new_code_cell("b", outputs=[shown[1]]),
        ]
    )
    found = clean.collect_verdicts(notebook)
    assert found == [{**verdicts[0], "cell": 1}, {**verdicts[1], "cell": 2}]


def test_progress_bars_go_and_the_librarys_warnings_stay():
    bar = "  0%|          | 0/3\r100%|#####| 3/3\nAn NVIDIA GPU may be present on this machine\n"
    warning = "/home/me/x.py:12: UserWarning: two rows of X coincide\n  warn('..')\n"
    deprecated = "/home/me/x.py:1: DeprecationWarning: old\n  old()\n"
    streams = [
        new_output("stream", name="stderr", text=bar),
        new_output("stream", name="stderr", text=bar + warning + deprecated),
        new_output("stream", name="stdout", text="0%|  a result"),
    ]
    notebook = new_notebook(cells=[new_code_cell("a", outputs=streams)])
    noise = clean.strip_stderr(notebook)
    kept = [(output.name, output.text) for output in notebook.cells[0].outputs]
    assert kept == [
        ("stderr", "UserWarning: two rows of X coincide\n"),
        ("stdout", "0%|  a result"),
    ]
    assert noise == bar + bar + warning + deprecated


def test_a_cell_is_found_by_its_first_line_of_code():
    assert clean.first_line("# why\n\n  x = 1\ny = 2") == "x = 1"
    assert clean.first_line("# nothing") == ""
