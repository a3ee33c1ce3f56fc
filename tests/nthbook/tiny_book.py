"""The sources of a book of two small chapters that import neither JAX nor the library."""

import json
import textwrap

from nthbook.book import Book
from nthbook.run.record import Record, write_record
from nthbook.run.stale import make_request

TOC = """\
format: jb-book
root: book/intro
parts:
  - caption: Chapters
    chapters:
      - file: book/chapters/alpha
      - file: book/chapters/beta
  - caption: Appendix
    chapters:
      - file: book/appendix/ledger
"""

CLAIM = """\
[[claim]]
id = "{id}"
chapter = "{chapter}"
kind = "{kind}"
statement = "a statement"
source = "a source"
quantity = "exponent of m"
predicted = -0.5
margin = 0.1
rival = -1.0
control = "something broken"
"""
# What a kind asks for beside that.
TESTS = 'tests = "a-label"\n'

CHAPTER = """\
---
jupytext: {{text_representation: {{extension: .md, format_name: myst}}}}
kernelspec: {{display_name: Python 3, language: python, name: python3}}
nth:
  expected: {{smoke: 1, quick: 2}}
  profiles:
    smoke: {{widths: [16], seeds: 2}}
---
# A chapter

```{{code-cell}} python
:tags: [parameters]

profile = "quick"
widths = [16, 32]
seeds = 4
scale = 1.0
```

```{{code-cell}} python
import os
from IPython.display import display

MIME = "application/vnd.nthlib.verdict+json"


def judge(claim, low, high, outcome, control=False):
    verdict = dict(id=claim, control=control, value=low, low=low, high=high)
    verdict |= dict(outcome=outcome, profile=os.environ["NTH_PROFILE"])
    display({{"text/plain": claim, MIME: [verdict]}}, raw=True)
```

```{{code-cell}} python
{code}
```
"""

GOOD = """\
judge("{claim}", -0.52, -0.48, "holds")
judge("{claim}", 0.1, 0.2, "fails", control=True)
print(profile, widths, seeds, scale)
"""


def write_chapter(book: Book, name: str, code: str) -> None:
    """Write a chapter whose third code cell is ``code``."""
    text = CHAPTER.format(code=textwrap.dedent(code).strip())
    book.chapter_path(name).write_text(text, encoding="utf-8")


def write_claims(book: Book, *claims: tuple[str, str, str]) -> None:
    """Register claims, given as (id, chapter, kind)."""
    entries = [_entry(*claim) for claim in claims]
    book.registry.write_text("\n".join(entries), encoding="utf-8")


def _entry(name: str, chapter: str, kind: str) -> str:
    entry = CLAIM.format(id=name, chapter=chapter, kind=kind)
    if kind == "check":
        return entry.replace("= -0.5", "= 0.0").replace("= 0.1", "= 1e-12")
    return entry + (TESTS if kind in ("theorem", "sharpness") else "")


def pretend_run(book: Book, name: str = "alpha", profile: str = "quick", **overrides) -> Record:
    """Put in place what a good run leaves, without running anything."""
    request = make_request(book, name, profile, overrides)
    record = Record(
        chapter=name,
        profile=profile,
        parameters=request.values,
        overrides=overrides,
        digests=request.digests,
        run_id="a run",
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        cells=3,
        peak_memory_mb=None,
        versions={},
        verdicts=[],
    )
    write_record(book, record)
    book.executed_dir.mkdir(exist_ok=True)
    notebook = {"metadata": {"nth": {"run_id": "a run"}}, "cells": []}
    (book.executed_dir / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return record
