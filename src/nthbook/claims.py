"""Claims fixed before any run, and the verdicts that measurements earn.

A claim is registered in ``book/claims.toml``: a predicted number, a margin and a rival value.
:func:`judge` compares an interval with it. Nothing here knows how the number was measured.
"""

import functools
import hashlib
import html
import itertools
import json
import math
import os
import sys
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

Relation = Literal["equals", "at-most", "at-least"]
Kind = Literal["theorem", "sharpness", "expectation", "check"]
Outcome = Literal["holds", "fails", "astray", "undecided", "invalid", "recorded"]

VERDICT_MIME = "application/vnd.nthlib.verdict+json"

# outcome -> (tone, words), for a claim and for its control; the one wording of the book. Only a
# control with a registered value can go astray: it breaks the claim, and is not surely near it.
CLAIM_WORDS: dict[Outcome, tuple[str, str]] = {
    "holds": ("good", "holds"),
    "fails": ("bad", "fails"),
    "undecided": ("neutral", "undecided"),
    "recorded": ("neutral", "not judged"),
    "invalid": ("bad", "invalid"),
}
CONTROL_WORDS: dict[Outcome, tuple[str, str]] = {
    "holds": ("bad", "holds, but must not"),
    "fails": ("good", "breaks the claim"),
    "astray": ("bad", "breaks the claim, but leaves its own margin"),
    "undecided": ("bad", "does not break the claim"),
    "recorded": ("neutral", "not judged"),
    "invalid": ("bad", "invalid"),
}

KINDS: tuple[Kind, ...] = ("theorem", "sharpness", "expectation", "check")
_RELATIONS = ("equals", "at-most", "at-least")
# What is fixed when a claim is registered; the rest is wording.
DESIGN = (
    "quantity", "predicted", "margin", "rival", "relation", "control_predicted", "control_margin",
)  # fmt: skip
_CHECK_MARGIN = 1e-6  # what rounding, and a solver's tolerance, leave of an identity


@dataclass(frozen=True)
class Claim:
    """One line of the ledger, as registered before the run.

    ``kind`` says what stands behind the number: a proved statement ("theorem"), a proved bound
    whose exponent is measured as attained ("sharpness"), calculation, practice or literature
    without proof ("expectation"). A "check" is an exact identity and no claim.
    ``quantity`` names what is measured ("exponent of m", "relative defect").
    ``relation`` says how the prediction bounds it: the measured interval must lie in
    [predicted − margin, predicted + margin] ("equals"), below predicted + margin
    ("at-most") or above predicted − margin ("at-least"), and must exclude ``rival``.
    ``tests`` is the label of the statement in the book that the claim tests; ``beyond`` says
    what an expectation adds to it. ``control_predicted`` and ``control_margin`` are the value
    that the control takes, where it can be predicted, and how far from it the control may lie.
    """

    id: str
    chapter: str
    kind: Kind
    statement: str
    source: str
    quantity: str
    predicted: float
    margin: float
    control: str
    rival: float | None = None
    relation: Relation = "equals"
    tests: str | None = None
    beyond: str | None = None
    control_predicted: float | None = None
    control_margin: float | None = None

    @property
    def region(self) -> tuple[float, float]:
        """The interval in which a measurement supports the claim."""
        low = -math.inf if self.relation == "at-most" else self.predicted - self.margin
        high = math.inf if self.relation == "at-least" else self.predicted + self.margin
        return low, high

    @property
    def design(self) -> str:
        """A digest of what was registered, which every verdict carries."""
        fixed = (getattr(self, key) for key in DESIGN)
        values = json.dumps([float(it) if isinstance(it, (int, float)) else it for it in fixed])
        return hashlib.sha256(values.encode()).hexdigest()[:16]

    def outcome(self, low: float, high: float) -> Outcome:
        """Compare a measured interval [low, high] with the prediction.

        "holds" when the interval lies in :attr:`region` and excludes the rival, "fails" when the
        two do not meet, "invalid" when it is no interval, and "undecided" otherwise.
        """
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            return "invalid"
        region_low, region_high = self.region
        if high < region_low or low > region_high:
            return "fails"
        excludes_rival = self.rival is None or not low <= self.rival <= high
        if region_low <= low and high <= region_high and excludes_rival:
            return "holds"
        return "undecided"

    def control_outcome(self, low: float, high: float) -> Outcome:
        """Compare the control's interval [low, high] with the claim, which it must break.

        "fails", as it must, when it does not meet :attr:`region` and, where a value is
        registered for it, lies within ``control_margin`` of that value; "astray" when it does not
        lie there whole, "undecided" when it meets the region, "holds" when the claim holds, and
        "invalid" when it is no interval.
        """
        outcome = self.outcome(low, high)
        if outcome != "fails" or self.control_predicted is None or self.control_margin is None:
            return outcome
        least = self.control_predicted - self.control_margin
        most = self.control_predicted + self.control_margin
        return "fails" if least <= low and high <= most else "astray"


@runtime_checkable
class Interval(Protocol):
    """A value with an interval around it, such as a fit or an estimate of ``nthlib``."""

    @property
    def value(self) -> float:
        """The estimate itself."""

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""


@dataclass(frozen=True)
class Verdict:
    """What a measurement says about a claim, or about its control.

    ``design`` is the digest of the registration that it was compared with.

    >>> import nthbook
    >>> verdict = nthbook.Verdict("ntk-limit", True, 0.0, -0.1, 0.1, "fails", "quick")
    >>> verdict.words, verdict.tone, verdict.as_dict()["outcome"]
    ('breaks the claim', 'good', 'fails')
    """

    id: str
    control: bool
    value: float
    low: float
    high: float
    outcome: Outcome
    profile: str
    design: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON data for the ledger; None stands for NaN and infinity."""
        return {key: _json_safe(entry) for key, entry in asdict(self).items()}

    @property
    def tone(self) -> str:
        """Whether this is as it should be: "good", "bad" or "neutral"."""
        return (CONTROL_WORDS if self.control else CLAIM_WORDS)[self.outcome][0]

    @property
    def words(self) -> str:
        """The outcome as a reader sees it; a control that fails breaks its claim."""
        return (CONTROL_WORDS if self.control else CLAIM_WORDS)[self.outcome][1]


@dataclass(frozen=True)
class Judgement:
    """What :func:`judge` found: the claim's verdict, and the control's where there is one."""

    claim: Verdict
    control: Verdict | None = None

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts that there are, the claim's first."""
        return [self.claim] if self.control is None else [self.claim, self.control]

    def _ipython_display_(self) -> None:
        # `judge` has displayed it; as the last value of a cell it must not appear again.
        return None


def _json_safe(entry: Any) -> Any:
    return None if isinstance(entry, float) and not math.isfinite(entry) else entry


def load_claims(path: Path) -> dict[str, Claim]:
    """Read the registry ``claims.toml`` into a dict keyed by claim id.

    Raises:
        ValueError: naming the claim and the field that is missing, unknown or out of range.
    """
    with path.open("rb") as file:
        entries = tomllib.load(file).get("claim", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{path.name} must hold its claims as tables headed [[claim]]")
    claims: dict[str, Claim] = {}
    for entry in entries:
        claim = parse_claim(entry)
        if claim.id in claims:
            raise ValueError(f"claim {claim.id!r} is registered twice in {path.name}")
        claims[claim.id] = claim
    return claims


def parse_claim(entry: dict[str, Any]) -> Claim:
    """Make a claim of an entry of the registry, or say in a ``ValueError`` what is wrong."""
    name = entry.get("id", "without id")
    known = {field.name for field in fields(Claim)}
    required = known - {
        "rival", "relation", "tests", "beyond", "control_predicted", "control_margin",
    }  # fmt: skip
    if missing := sorted(required - entry.keys()):
        raise ValueError(f"claim {name!r} lacks {', '.join(missing)}")
    if unknown := sorted(entry.keys() - known):
        raise ValueError(f"claim {name!r} has unknown fields: {', '.join(unknown)}")
    for fault in itertools.chain(_wrong_words(entry), _wrong_numbers(entry)):
        raise ValueError(f"claim {name!r}: {fault}")
    claim = Claim(**entry)
    if claim.control_predicted is not None:
        low, high = claim.region
        if low <= claim.control_predicted <= high:
            raise ValueError(f"claim {name!r}: control_predicted must lie outside the margin")
    return claim


def _wrong_words(entry: dict[str, Any]) -> Iterator[str]:
    kind = entry["kind"]
    if kind not in KINDS:
        yield f"kind must be one of {', '.join(KINDS)}"
    if entry.get("relation", "equals") not in _RELATIONS:
        yield f"relation must be one of {', '.join(_RELATIONS)}"
    if "beyond" in entry and "tests" not in entry:
        yield "beyond needs tests, the label of a statement"
    if "beyond" in entry and kind != "expectation":
        yield f"what goes beyond a statement is an expectation, and no {kind}"
    if kind in ("theorem", "sharpness") and "tests" not in entry:
        yield f"a {kind} needs tests, the label of a statement"
    if kind == "expectation" and "tests" in entry and "beyond" not in entry:
        yield "an expectation follows from no statement, say beyond"


def _wrong_numbers(entry: dict[str, Any]) -> Iterator[str]:
    for field in ("predicted", "margin", "rival", "control_predicted", "control_margin"):
        if isinstance(entry.get(field, 0), bool) or not isinstance(
            entry.get(field, 0), (int, float)
        ):
            yield f"{field} must be a number"
    for field in ("margin", "control_margin"):
        if not entry.get(field, 1) > 0:
            yield f"{field} must be positive"
    if ("control_predicted" in entry) != ("control_margin" in entry):
        yield "control_predicted and control_margin stand together or not at all"
    if entry["kind"] == "check" and (entry["predicted"] != 0 or entry["margin"] > _CHECK_MARGIN):
        yield f"a check is an identity: predicted 0, margin at most {_CHECK_MARGIN:g}"


def find_registry(start: Path | None = None) -> Path | None:
    """The ``book/claims.toml`` of the nearest enclosing book, else the packaged copy."""
    start = Path.cwd() if start is None else start
    for folder in (start, *start.parents):
        candidate = folder / "book" / "claims.toml"
        if candidate.is_file():
            return candidate
    packaged = Path(__file__).with_name("claims.toml")
    return packaged if packaged.is_file() else None


@functools.lru_cache(maxsize=8)
def _cached_claims(path: Path, stamp: int) -> dict[str, Claim]:
    del stamp  # part of the cache key alone: an edited registry is read again
    return load_claims(path)


def find_claim(claim_id: str) -> Claim | None:
    """The registered claim of this id; None, with a warning where the registry cannot be read."""
    path = find_registry()
    if path is None:
        return None
    try:
        return _cached_claims(path, path.stat().st_mtime_ns).get(claim_id)
    except (OSError, ValueError) as error:
        warnings.warn(f"the claims in {path} cannot be read: {error}", UserWarning, stacklevel=3)
        return None


def judge(
    claim_id: str,
    measured: Interval | float | Sequence[float],
    *,
    control: Interval | float | Sequence[float] | None = None,
) -> Judgement:
    """Judge a measurement and its control against the registered claim, and show both.

    In a notebook the verdicts are also displayed as data, which is how the book's pipeline
    collects them for the ledger. In the profile ``smoke`` (environment variable
    ``NTH_PROFILE``) numbers are recorded and nothing is judged.

    Args:
        claim_id: the ``id`` of a claim in ``book/claims.toml``.
        measured: a fit or an estimate (``value``, ``low``, ``high``), a triple
            (value, low, high), or one number, which is its own interval.
        control: the same measured where the claim is broken on purpose: it must then not hold.

    Returns:
        The :class:`Judgement`. Never raises: an unknown claim or an unusable measurement
        gives the outcome "invalid" and a ``UserWarning``.

    Warns:
        UserWarning: when a measurement is unusable, or in single precision.

    >>> import nthbook
    >>> judged = nthbook.judge("ntk-limit", (-0.49, -0.53, -0.45), control=0.0)  # inside the book
    ntk-limit: holds. exponent of m −0.49 [−0.53, −0.45], predicted −0.50 ± 0.10, rival −1.00
    ntk-limit (control): breaks the claim. exponent of m 0.00, predicted 0.00 ± 0.10
    >>> judged.claim.outcome, judged.control.outcome
    ('holds', 'fails')
    """
    claim_id = str(claim_id)
    claim = find_claim(claim_id)
    if claim is None:
        warnings.warn(f"claim {claim_id!r} is not registered in claims.toml", stacklevel=2)
    verdict = _verdict(claim_id, claim, measured, control=False)
    against = None if control is None else _verdict(claim_id, claim, control, control=True)
    judged = Judgement(verdict, against)
    _show(judged, claim)
    return judged


def _verdict(claim_id: str, claim: Claim | None, measured: Any, *, control: bool) -> Verdict:
    name = "control" if control else "measured"
    try:
        value, low, high = interval(measured)
        if _is_single(measured):
            from nthlib import checks  # here, because the command `nth` starts without JAX

            message = f"claim {claim_id!r}: {name} was {checks.SINGLE}"
            warnings.warn(message, UserWarning, stacklevel=3)
    except Exception:  # whatever a measurement may raise, the chapter goes on and the ledger is red
        message = f"claim {claim_id!r}: {name} must be a fit, a number or (value, low, high)"
        warnings.warn(message, UserWarning, stacklevel=3)
        value = low = high = math.nan
    profile = os.environ.get("NTH_PROFILE", "quick")
    outcome: Outcome = "invalid"
    if claim is not None:
        outcome = claim.control_outcome(low, high) if control else claim.outcome(low, high)
    if profile == "smoke" and outcome != "invalid":
        outcome = "recorded"
    design = None if claim is None else claim.design
    return Verdict(claim_id, control, value, low, high, outcome, profile, design)


def interval(measured: Any) -> tuple[float, float, float]:
    """Read a measurement as (value, low, high), or raise whatever reading it raises."""
    if isinstance(measured, bool):
        raise TypeError("a truth value is no measurement")
    value, low, high = _numbers(measured)
    return float(value), float(low), float(high)


def _numbers(measured: Any) -> Sequence[Any]:
    if isinstance(measured, Interval):
        return measured.value, measured.low, measured.high
    return measured if isinstance(measured, Sequence) else [measured] * 3


def _is_single(measured: Any) -> bool:
    dtypes = [number.dtype for number in _numbers(measured) if hasattr(number, "dtype")]
    return any(dtype.kind == "f" and dtype.itemsize < 8 for dtype in dtypes)


def format_number(number: float) -> str:
    """Two decimals for exponents; scientific notation for tolerances and small defects."""
    if number == 0 or 0.005 <= abs(number) < 1000:
        return f"{number:.2f}".replace("-", "−")
    return f"{number:.1e}".replace("-", "−")


def format_interval(value: float, low: float, high: float) -> str:
    """The value with its interval, or the value alone where the two coincide."""
    if low == high:
        return format_number(value)
    return f"{format_number(value)} [{format_number(low)}, {format_number(high)}]"


def format_prediction(claim: Claim) -> str:
    """The prediction as the ledger prints it, with its margin."""
    predicted, margin = format_number(claim.predicted), format_number(claim.margin)
    if claim.relation == "equals":
        if claim.predicted == 0:
            return f"0 to within {margin}"
        return f"{predicted} ± {margin}"
    return f"{claim.relation.replace('-', ' ')} {predicted}, margin {margin}"


def format_control(claim: Claim) -> str:
    """The value that the control is predicted to take, with its margin; "" where there is none."""
    if claim.control_predicted is None or claim.control_margin is None:
        return ""
    predicted, margin = format_number(claim.control_predicted), format_number(claim.control_margin)
    return f", predicted {predicted} ± {margin}"


def beside(verdict: Verdict, claim: Claim) -> str:
    """A few words where a claim holds with an interval that leaves the prediction out; else ""."""
    excluded = verdict.low < verdict.high and not verdict.low <= claim.predicted <= verdict.high
    holds = verdict.outcome == "holds" and not verdict.control
    return ", beside the prediction" if holds and excluded and claim.relation == "equals" else ""


def describe(verdict: Verdict, claim: Claim | None) -> str:
    """One line for a person: verdict, measured value, and for the claim prediction and rival."""
    label = f"{verdict.id} (control)" if verdict.control else verdict.id
    measured = format_interval(verdict.value, verdict.low, verdict.high)
    if claim is None:
        return f"{label}: not registered, measured {measured}"
    line = f"{label}: {verdict.words}{beside(verdict, claim)}. {claim.quantity} {measured}"
    if verdict.control:
        return line + format_control(claim)
    line += f", predicted {format_prediction(claim)}"
    return line if claim.rival is None else f"{line}, rival {format_number(claim.rival)}"


def anchor(claim_id: str, *, control: bool = False) -> str:
    """Name the place on a chapter's page where a claim, or its control, was judged."""
    return f"{'control' if control else 'claim'}-{claim_id}"


def _show(judged: Judgement, claim: Claim | None) -> None:
    lines = [describe(verdict, claim) for verdict in judged.verdicts]
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print("\n".join(lines))
        return
    from IPython.display import display  # only inside a notebook, where it is present

    boxes = [
        f'<div id="{html.escape(anchor(verdict.id, control=verdict.control))}" '
        f'class="nth-verdict nth-{verdict.tone}">{html.escape(line)}</div>'
        for verdict, line in zip(judged.verdicts, lines, strict=True)
    ]
    data = [verdict.as_dict() for verdict in judged.verdicts]
    bundle = {"text/plain": "\n".join(lines), "text/html": "".join(boxes), VERDICT_MIME: data}
    display(bundle, raw=True)
