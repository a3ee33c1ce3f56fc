"""The workshop of an executable book: how it is run, judged, built and handed on."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nthbook.answers import check_answer
from nthbook.claims import Judgement, Verdict, judge

__all__ = ["Judgement", "Verdict", "check_answer", "judge"]


if not TYPE_CHECKING:  # a checker would otherwise take any misspelt name for a public one

    def __getattr__(name: str) -> Any:
        # Python asks so for every module on its way in; the command `nth` starts without JAX.
        if find_spec(f"{__name__}.{name}"):
            raise AttributeError(f"{__name__}.{name} is a module: from {__name__} import {name}")
        from nthlib.spelling import no_such_name

        raise no_such_name(__name__, name, __all__)
