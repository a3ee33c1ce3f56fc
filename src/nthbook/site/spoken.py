"""A Sphinx extension: markup that would mislead a screen reader, mended as it is written.

The writers of Sphinx, docutils and myst-nb name these pieces nowhere but in their code.
"""

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput, visit_HideCellInput
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

_MENDED = {
    # The parameters of a long signature are a list of definitions without terms.
    "<dl>\n": "",
    "</dl>\n\n": "",
    "<dd>": '<span class="nth-parameter">',
    "</dd>\n": "</span>\n",
    # The children of this list are no items of one.
    '<div role="list" class="citation-list">\n': '<div class="citation-list">\n',
    # A button is called by the words that it shows.
    '<summary aria-label="Toggle hidden content">\n': "<summary>\n",
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the writer; the theme builds its own on it."""
    app.set_translator("html", Translator)
    app.add_node(HideCodeCellNode, override=True, html=(_visit_hidden, depart_HideCellInput))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Translator(HTML5Translator):
    """Sphinx's writer, with the pieces mended of the elements named here."""

    def visit_desc_parameterlist(self, node: addnodes.desc_parameterlist) -> None:
        """Remember where the parameters begin."""
        self._parameters = len(self.body)
        super().visit_desc_parameterlist(node)

    def depart_desc_parameterlist(self, node: addnodes.desc_parameterlist) -> None:
        """Mend what has been written since."""
        super().depart_desc_parameterlist(node)
        _mend(self.body, self._parameters)

    def visit_citation(self, node: nodes.citation) -> None:
        """Mend the list that the first citation opens."""
        start = len(self.body)
        super().visit_citation(node)
        _mend(self.body, start)


def _visit_hidden(self: HTML5Translator, node: HideCodeCellNode) -> None:
    start = len(self.body)
    visit_HideCellInput(self, node)
    _mend(self.body, start)


def _mend(body: list[str], start: int) -> None:
    body[start:] = [_MENDED.get(piece, piece) for piece in body[start:]]
