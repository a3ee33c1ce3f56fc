"""Answers that a student can check without seeing them.

The book registers a number for an exercise in ``book/answers.toml``; a student's notebook holds
its seal, a salted digest of the rounded number, and nothing from which it could be read off.
"""

import hashlib
import math
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_ROUNDS = 100_000  # a tenth of a second: nobody tries all numbers in a lesson
_TOLERANCE = 0.6  # of a unit of the last digit, so that a value on the edge is taken
_MOST_DIGITS = 9
_NAMES: Mapping[str, Any] = {
    name: getattr(math, name) for name in ("pi", "e", "sqrt", "exp", "log", "asin", "atan")
}


@dataclass(frozen=True)
class Answer:
    """A registered answer: which number an exercise asks for, and to how many decimals."""

    exercise: str
    asks: str
    value: float
    digits: int

    @property
    def seal(self) -> str:
        """What a student's notebook holds in its place."""
        named = f"{self.exercise}|{self.asks}|{self.digits}"
        salt = hashlib.sha256(named.encode()).hexdigest()[:8]
        return _seal(salt, round(self.value * 10**self.digits), self.digits)

    def cell(self) -> str:
        """The code with which a student checks an answer."""
        asked = textwrap.fill(f"{self.asks}, to {_decimals(self.digits)}", 74)
        return (
            "from nthbook import check_answer\n\n"
            f"{textwrap.indent(asked, '# ')}\nanswer = ...\n"
            f'check_answer(answer, digits={self.digits},\n             seal="{self.seal}")'
        )


def check_answer(answer: Any, *, digits: int, seal: str) -> bool | None:
    """Tell whether a number is the registered answer, and print it.

    Args:
        answer: your number; ``...`` as long as there is none.
        digits: to how many decimals the answer is asked for.
        seal: what the notebook holds of the answer.

    Returns:
        Whether it is right; None where there is no answer yet, or no number.

    >>> import nthbook
    >>> from nthbook.answers import Answer
    >>> seal = Answer("an-exercise", "half of one", 0.5, 2).seal
    >>> nthbook.check_answer(0.5, digits=2, seal=seal)
    Right, to 2 decimals.
    True
    >>> nthbook.check_answer(0.25, digits=2, seal=seal)
    Not yet: 0.25 is not the answer, to 2 decimals.
    False
    >>> nthbook.check_answer(..., digits=2, seal=seal)
    No answer yet: put your number in the place of the dots.
    """
    if answer is ...:
        print("No answer yet: put your number in the place of the dots.")
        return None
    try:
        number = float(answer)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        print(f"An answer is one finite number, not {answer!r}.")
        return None
    scaled, salt = number * 10**digits, seal.partition("$")[0]
    near = {math.floor(scaled), math.ceil(scaled)}
    right = any(
        _seal(salt, unit, digits) == seal for unit in near if abs(scaled - unit) <= _TOLERANCE
    )
    verdict = f"Right, to {_decimals(digits)}."
    wrong = f"Not yet: {number:.{digits}f} is not the answer, to {_decimals(digits)}."
    print(verdict if right else wrong)
    return right


def _seal(salt: str, units: int, digits: int) -> str:
    """The digest of a number of units of the last digit."""
    text = f"{units}|{digits}".encode()
    return f"{salt}${hashlib.pbkdf2_hmac('sha256', text, salt.encode(), _ROUNDS).hex()[:32]}"


def _decimals(digits: int) -> str:
    return "1 decimal" if digits == 1 else f"{digits} decimals"


def load_answers(path: Path) -> list[Answer]:
    """Read the registered answers, in the order of the file; none where there is no file.

    A value is a number, or a formula in ``pi``, ``e``, ``sqrt``, ``exp``, ``log``, ``asin`` and
    ``atan``.

    Raises:
        ValueError: naming the exercise and what is wrong with its entry.
    """
    if not path.is_file():
        return []
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("answer", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("the answers must be tables headed [[answer]]")
    return [_answer(entry) for entry in entries]


def _answer(entry: Mapping[str, Any]) -> Answer:
    name = entry.get("exercise", "without exercise")
    known = [field.name for field in fields(Answer)]
    if sorted(entry) != sorted(known):
        raise ValueError(f"answer {name!r} must have the fields {', '.join(known)}, and no others")
    digits = entry["digits"]
    if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= _MOST_DIGITS:
        raise ValueError(f"answer {name!r}: digits must be a whole number from 1 to {_MOST_DIGITS}")
    try:
        value = float(eval(str(entry["value"]), {"__builtins__": {}}, dict(_NAMES)))
    except Exception as error:  # whatever a formula may raise
        raise ValueError(f"answer {name!r}: value cannot be computed: {error}") from error
    if not math.isfinite(value):
        raise ValueError(f"answer {name!r}: value must be finite, not {value}")
    return Answer(str(entry["exercise"]), str(entry["asks"]), value, digits)
