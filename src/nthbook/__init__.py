"""The workshop of an executable book: how it is run, judged, built and handed on."""

from nthbook.claims import Verdict, judge

__all__ = ["Verdict", "judge"]
