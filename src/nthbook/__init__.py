"""The workshop of an executable book: how it is run, judged, built and handed on."""

from nthbook.claims import Judgement, Verdict, judge

__all__ = ["Judgement", "Verdict", "judge"]
