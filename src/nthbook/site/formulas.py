"""A Sphinx extension: formulas are rendered once, by MathJax, when the site is built.

So a page shows them without a script, and a formula that MathJax cannot read fails the
build, with its line in the source, instead of a reader. ``NODE_PATH`` leads to MathJax.
"""

from typing import Any, NoReturn

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

from nthbook.site.mathjax import Formula, MathJaxError, render_formulas

STYLE = "mathjax/formulas.css"
_PUNCTUATION = ".,;:!?)"
_UNSPOKEN = str.maketrans("", "", "\\{}")
_SHORT = 40
_LOG = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer ``nth``, to be named as ``html_math_renderer``."""
    app.add_html_math_renderer("nth", (_visit_math, None), (_visit_math_block, None))
    app.add_post_transform(KeepPunctuation)
    app.connect("env-updated", _render_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _render_all(app: Sphinx, env: BuildEnvironment) -> None:
    """Render what all pages show, in one run of MathJax: its style sheet holds their glyphs."""
    if app.builder.format != "html":
        return
    places = [
        (_formula(node), node)
        for name in sorted(env.all_docs)
        for kind in (nodes.math, nodes.math_block)
        for node in env.get_doctree(name).findall(kind)
    ]
    distinct = list(dict.fromkeys(formula for formula, _node in places))
    try:
        answers, style = render_formulas(distinct, app.config.mathjax3_config or {})
    except MathJaxError as error:
        raise ExtensionError(str(error)) from error
    for formula, node in places:
        if complaint := answers[formula].get("error"):
            _LOG.warning("%s in %s", complaint, formula[0], location=node)
    app.builder.nth_formulas = {  # type: ignore[attr-defined]
        formula: answer.get("html", "") for formula, answer in answers.items()
    }
    if distinct:
        target = app.outdir / "_static" / STYLE
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(style, encoding="utf-8")
        app.add_css_file(STYLE)


def _formula(node: nodes.Element) -> Formula:
    r"""What MathJax is to read; as in Sphinx, several lines or equations are aligned."""
    text = node.astext().strip()
    if isinstance(node, nodes.math):
        return text, False
    if node["nowrap"]:
        return text, True
    parts = [
        rf"\begin{{split}}{part}\end{{split}}" if r"\\" in part else part
        for part in text.split("\n\n")
    ]
    if len(parts) == 1:
        return parts[0], True
    lines = r"\\".join(parts)
    return rf"\begin{{align}}\begin{{aligned}}{lines}\end{{aligned}}\end{{align}}", True


def _rendered(self: HTML5Translator, node: nodes.Element) -> str:
    return str(self.builder.nth_formulas[_formula(node)])  # type: ignore[attr-defined]


def _visit_math(self: HTML5Translator, node: nodes.math) -> NoReturn:
    text, link = node.astext(), node.parent
    while isinstance(link, nodes.TextElement) and not isinstance(link, nodes.reference):
        link = link.parent
    # a link that shows a formula alone needs a name that can be spoken
    alone = isinstance(link, nodes.reference) and link.astext() == text
    spoken = {"role": "img", "aria-label": text.translate(_UNSPOKEN).strip()} if alone else {}
    tag = self.starttag(node, "span", "", CLASS="math notranslate nohighlight", **spoken)
    self.body.append(f"{tag}{_rendered(self, node)}</span>")
    raise nodes.SkipNode


def _visit_math_block(self: HTML5Translator, node: nodes.math_block) -> NoReturn:
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"] and not node["nowrap"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(f"{_rendered(self, node)}</div>\n")
    raise nodes.SkipNode


class KeepPunctuation(SphinxPostTransform):
    """Hold a short formula and its punctuation on one line; a long one may have to scroll."""

    default_priority = 900  # when references have their words
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Put each such formula into an element with the punctuation that follows."""
        for formula in list(self.document.findall(nodes.math)):
            follows = formula.next_node(descend=False, siblings=True)
            if not isinstance(follows, nodes.Text) or len(formula.astext()) > _SHORT:
                continue
            rest = follows.astext().lstrip(_PUNCTUATION)
            if mark := follows.astext().removesuffix(rest):
                parent, together = formula.parent, nodes.inline(classes=["nth-together"])
                place = parent.index(formula)
                parent[place] = together
                parent[place + 1] = nodes.Text(rest)
                together += [formula, nodes.Text(mark)]
