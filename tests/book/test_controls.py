"""Each claim fails when its control is put in its place, and `nth check` says so."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

from nthbook.claims import load_claims

ROOT = Path(__file__).parents[2]
CLAIMS = load_claims(ROOT / "book" / "claims.toml")
# Enough to tell a claim from its control, and no more.
SMALL = {
    "setting": {"widths": [16, 32], "seeds": 2, "samples": 5},
    "tangent-kernel": {
        "widths": [64, 1024], "seeds": 24, "digit_seeds": 8, "train": 10, "test": 20,
    },
}  # fmt: skip


def _judge_calls(source: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "judge"
    ]


def _code_cells(chapter: str) -> list[str]:
    text = (ROOT / "book" / "chapters" / f"{chapter}.md").read_text()
    cells = jupytext.reads(text, fmt="md:myst").cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def _exchanged(cell: str) -> str:
    """A cell in which measurement and control of every claim stand in each other's place."""
    for call in _judge_calls(cell):
        control = ast.unparse(_control(call))
        old = ast.get_source_segment(cell, call)
        new = f"judge({ast.unparse(call.args[0])}, {control}, control={ast.unparse(call.args[1])})"
        cell = cell.replace(old, new)
    return cell


def _control(call: ast.Call) -> ast.expr | None:
    return next((word.value for word in call.keywords if word.arg == "control"), None)


def _nth(book: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NTH_BUILD_DIR": "build"}
    return subprocess.run(
        [sys.executable, "-m", "nthbook.cli.main", *arguments],
        cwd=book, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("chapter", SMALL)
def test_claims_fail_when_measured_under_their_controls(chapter, tmp_path):
    (tmp_path / "book" / "chapters").mkdir(parents=True)
    (tmp_path / "_toc.yml").write_text(
        f"root: book/intro\nchapters: [file: book/chapters/{chapter}]"
    )
    for name in ("book/claims.toml", "requirements.lock"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    text = (ROOT / "book" / "chapters" / f"{chapter}.md").read_text()
    own = {claim.id for claim in CLAIMS.values() if claim.chapter == chapter}
    for cell in _code_cells(chapter):
        assert cell in text
        text = text.replace(cell, _exchanged(cell))
    (tmp_path / "book" / "chapters" / f"{chapter}.md").write_text(text)

    options = [f"-p{name}={json.dumps(value)}" for name, value in SMALL[chapter].items()]
    run = _nth(tmp_path, "run", chapter, *options)
    assert run.returncode == 0, run.stderr
    record = json.loads((tmp_path / "build" / "claims" / f"{chapter}.json").read_text())
    outcomes = {(entry["id"], entry["control"]): entry["outcome"] for entry in record["verdicts"]}
    for claim_id in own:
        assert outcomes[claim_id, False] == "fails"
        # The true measurement stands where the control should: it must not look broken.
        assert outcomes[claim_id, True] in ("holds", "undecided")
    checked = _nth(tmp_path, "check")
    assert checked.returncode == 1
    assert all(claim_id in checked.stderr for claim_id in own), checked.stderr


@pytest.mark.parametrize("chapter", sorted({claim.chapter for claim in CLAIMS.values()}))
def test_every_registered_claim_is_judged_once_and_with_its_control(chapter):
    calls = [call for cell in _code_cells(chapter) for call in _judge_calls(cell)]
    assert all(isinstance(call.args[0], ast.Constant) for call in calls), "ids are literals"
    judged = sorted(call.args[0].value for call in calls)
    assert judged == sorted(claim.id for claim in CLAIMS.values() if claim.chapter == chapter)
    for call in calls:
        assert len(call.args) == 2, call.args[0].value
        assert _control(call) is not None, call.args[0].value


@pytest.mark.parametrize(
    "path", sorted((ROOT / "book" / "chapters").glob("*.md")), ids=lambda p: p.stem
)
def test_chapter_has_the_parts_that_readers_expect(path):
    text = path.read_text()
    for part in ("What this chapter shows", "## Limits of the evidence", "## Exercises"):
        assert part in text, part
    labels = re.findall(r"```\{exercise\}.*\n:label: (\S+)", text)
    assert len(labels) >= 3
    for label in labels:
        assert re.search(rf"```\{{solution(-start)?\}} {label}\n:class: dropdown", text), label


EXACTNESS = """
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
nth:
  expected: {smoke: 5, quick: 5, full: 5}
  profiles:
    smoke: {}
    full: {}
---

# Exactness

```{code-cell} ipython3
:tags: [parameters]

profile = "quick"
```

```{code-cell} ipython3
import jax, jax.numpy as jnp, numpy as np, nthlib as nth
from nthbook import judge
from scipy.interpolate import BarycentricInterpolator
jax.config.update("jax_enable_x64", True)
X = nth.sphere(jax.random.key(0), n=2, dim=2, smallest_singular_value=0.4)
net = nth.FullyConnected(2, 6, 2)
times = 0.5 * (1 - np.cos(np.linspace(0, np.pi, 16)))
y = jnp.array([1.0, -2.0])
flow = nth.gradient_flow(net, net.init(jax.random.key(1)), X, y, times, order=4, rtol=1e-11)
in_time = BarycentricInterpolator(times, np.eye(16)).derivative(times)
defects = {}
for r in (2, 3):
    measured = np.tensordot(in_time, flow.kernels[r], axes=1)
    force = -(flow.predictions - y) / 2
    predicted = np.einsum("t...b,tb->t...", flow.kernels[r + 1], force)
    defects[r] = float(np.abs(measured - predicted).max() / np.abs(measured).max())
judge("hierarchy-exact-2", defects[2], control=0.5)
judge("hierarchy-exact-3", defects[3], control=0.5);
```
""".lstrip()

# Right at one hidden layer, where most tests and many chapters look.
WRONG = """

_right = closed_kernels


def closed_kernels(net, *arguments):
    factor = 1 if net.depth == 1 else 1.001
    found = _right(net, *arguments)
    return {r: kernel * (factor if r == WRONG else 1) for r, kernel in found.items()}
"""


@pytest.mark.parametrize(
    "wrong", [*(pytest.param(r, marks=pytest.mark.slow) for r in (None, 3)), 4]
)
def test_a_kernel_wrong_in_deep_networks_alone_turns_the_ledger_red(wrong, tmp_path, monkeypatch):
    library = tmp_path / "lib" / "nthlib"
    shutil.copytree(ROOT / "src" / "nthlib", library)
    if wrong is not None:
        with (library / "finite" / "closed_forms.py").open("a") as module:
            module.write(WRONG.replace("WRONG", str(wrong)))
    monkeypatch.setenv("PYTHONPATH", str(library.parent))
    (tmp_path / "book" / "chapters").mkdir(parents=True)
    (tmp_path / "book" / "chapters" / "hierarchy.md").write_text(EXACTNESS)
    (tmp_path / "_toc.yml").write_text(
        "root: book/intro\nchapters: [file: book/chapters/hierarchy]"
    )
    shutil.copyfile(ROOT / "requirements.lock", tmp_path / "requirements.lock")
    registered = (ROOT / "book" / "claims.toml").read_text().split("[[claim]]")
    kept = [text for text in registered if re.search(r'id = "hierarchy-exact-[23]"', text)]
    (tmp_path / "book" / "claims.toml").write_text("".join("[[claim]]" + text for text in kept))

    run = _nth(tmp_path, "run", "hierarchy")
    assert run.returncode == 0, run.stderr
    checked = _nth(tmp_path, "check")
    assert checked.returncode == (0 if wrong is None else 1), checked.stdout + checked.stderr
    if wrong is not None:
        assert f"hierarchy-exact-{wrong - 1}" in checked.stderr
