"""A call or a name that is spelt wrongly gets one sentence with the right spelling."""

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

# What 0.1 called otherwise: arguments by function, and public names.
_OLD_ARGUMENTS = {
    ("truncated_hierarchy", "order"): "it is called 'level'",
    ("limit_kernel", "key"): "what takes one is limit_kernel_estimate",
}
_OLD_NAMES = {
    "TruncatedSolution": "nthlib.Solution",
    "sweep": "nthlib.draws",
    "fit_exponent": "nthlib.power_law",
    "ExponentFit": "nthlib.Fit",
    "judge": "nthbook.judge",
    "Verdict": "nthbook.Verdict",
    "plots": "nthbook.plots",
}


def spelled(public: F) -> F:
    """Decorate a public function or class: a call that does not fit its signature says what does.

    Args:
        public: the function or class; a class keeps its identity, and so its subclasses.

    Returns:
        What behaves as ``public`` does, with its signature.

    Raises:
        TypeError: when called, in one sentence, for an argument that is unknown, missing, given
            twice, or given by position where it has a keyword.

    >>> from nthlib.spelling import spelled
    >>> @spelled
    ... def area(side, *, height=1.0):
    ...     return side * height
    >>> area(2.0, hieght=3.0)
    Traceback (most recent call last):
    TypeError: area has no argument 'hieght': did you mean 'height'?
    """
    target: Any = public
    is_class = isinstance(public, type)
    function = target.__init__ if is_class else target
    signature = inspect.signature(public)

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        given = arguments[1:] if is_class else arguments
        try:
            signature.bind(*given, **named)
        except TypeError:
            sentence = _sentence(target.__name__, signature, len(given), named)
            raise TypeError(sentence) from None
        return function(*arguments, **named)

    if not is_class:
        return call  # type: ignore[return-value]
    target.__init__ = call
    return public


def _sentence(name: str, signature: inspect.Signature, given: int, named: Iterable[str]) -> str:
    parameters = signature.parameters.values()
    places = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    unknown = [one for one in named if one not in (*places, *keywords)]
    missing = [
        one
        for one in (*places[given:], *keywords)
        if one not in named and signature.parameters[one].default is inspect.Parameter.empty
    ]
    if takes_any:  # what is unknown goes there, but for a likely name of what is missing
        unknown = [one for one in unknown if _closest(one, missing)]
    if unknown:
        close = _closest(unknown[0], [*places, *keywords])
        hint = f"did you mean {close!r}?" if close else f"it takes {_bare(signature)}"
        hint = _OLD_ARGUMENTS.get((name, unknown[0]), hint)
        return f"{name} has no argument {unknown[0]!r}: {hint}"
    if given > len(places):
        rest = ", ".join(f"{one}=.." for one in keywords) or "nothing"
        return f"{name} takes ({', '.join(places)}) by position and {rest} by keyword"
    twice = [one for one in places[:given] if one in named]
    if twice:
        return f"{name} got {twice[0]} twice, by position and by keyword"
    return f"{name} needs {' and '.join(missing)}: it takes {_bare(signature)}"


def _bare(signature: inspect.Signature) -> str:
    """The names alone, as they stand in a call: (net, X, *, width)."""
    empty = inspect.Parameter.empty
    parameters = signature.parameters.values()
    names = [one.replace(default=empty, annotation=empty) for one in parameters]
    return str(inspect.Signature(names))


def _closest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, whatever its capitals; None when none is."""
    plain = {one.casefold(): one for one in known}
    # Below difflib's 0.6, which finds nothing for a name of one letter.
    close = difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=0.5)
    return plain[close[0]] if close else None


def no_such_name(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for a public name that a package does not have, with the one that is meant."""
    if name in _OLD_NAMES:
        hint = f": it is {_OLD_NAMES[name]}"
    else:
        close = _closest(name, known)
        hint = f": did you mean {close!r}?" if close else ""
    return AttributeError(f"module {module!r} has no attribute {name!r}{hint}")
