"""Whether draws that are computed together come out as each would alone, and differ at all."""

from collections.abc import Iterator, Sequence
from typing import Any

import joblib
import numpy as np

# What takes numbers from a random key; the implementation rbg takes those of all keys of a
# batch at once, so that each depends on its neighbours.
_DRAWS = ("random_bits", "random_split", "random_fold_in", "rng_bit_generator")


def check_keys(jaxpr: Any, together: int) -> None:
    """Raise where a program that was vectorised over ``together`` keys draws with keys of rbg."""
    if together > 1 and any(_draws_together(step, together) for step in _steps(jaxpr)):
        raise ValueError(
            "measure must not draw with random keys of the implementation rbg, which give a seed "
            "other numbers when it stands beside other seeds: take the key that it is given, or "
            'make keys with impl="threefry2x32"'
        )


def _draws_together(step: Any, together: int) -> bool:
    if step.primitive.name not in _DRAWS:
        return False
    taken = step.invars[0].aval
    # An array of one axis less would be one key for all seeds.
    is_raw = step.primitive.name == "rng_bit_generator"
    return together in taken.shape[: -1 if is_raw else None] and str(taken.dtype) != "key<fry>"


def depends(jaxpr: Any, given: Sequence[bool]) -> list[bool]:
    """Which results of a traced program depend on those of its arguments that are ``given``.

    Loops and branches of unknown length count as depending on all that they are handed.
    """
    known = dict(zip(jaxpr.invars, given, strict=True))

    def is_known(variable: Any) -> bool:
        return not hasattr(variable, "val") and known.get(variable, False)  # val: a constant

    for step in jaxpr.eqns:
        handed = [is_known(variable) for variable in step.invars]
        known.update(zip(step.outvars, _depends_step(step, handed), strict=True))
    return [is_known(variable) for variable in jaxpr.outvars]


def _depends_step(step: Any, handed: list[bool]) -> list[bool]:
    results = [any(handed)] * len(step.outvars)
    inside = list(_inside(step))
    if not any(handed) or len(inside) != 1:
        return results
    (body,) = inside
    if (len(body.invars), len(body.outvars)) != (len(handed), len(results)):
        return results
    # What a scan carries comes back to it: at most so often until nothing is added.
    first, carried = step.params.get("num_consts", 0), step.params.get("num_carry", 0)
    if step.primitive.name != "scan":
        carried = 0
    for _ in range(carried + 1):
        results = depends(body, handed)
        for place in range(carried):
            handed[first + place] |= results[place]
    return results


def _inside(step: Any) -> Iterator[Any]:
    """The programs that a step runs."""
    for parameter in step.params.values():
        for entry in parameter if isinstance(parameter, (tuple, list)) else (parameter,):
            program = getattr(entry, "jaxpr", entry)
            if hasattr(program, "eqns"):
                yield program


def _steps(jaxpr: Any) -> Iterator[Any]:
    for step in jaxpr.eqns:
        yield step
        for program in _inside(step):
            yield from _steps(program)


def numpy_state() -> str:
    """The state of the random numbers that NumPy gives to all who ask."""
    return str(joblib.hash(np.random.get_state(legacy=False)))  # noqa: NPY002
