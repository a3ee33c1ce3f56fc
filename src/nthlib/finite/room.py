"""What the kernels of a request need at their peak, and the blocks that keep them below a limit."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from nthlib.finite.blocks import Blocks, parameter_count, sizes
from nthlib.finite.closed_forms import CLOSED_ORDERS, ROWS_AT_ONCE, UNITS_AT_ONCE
from nthlib.finite.nilpotent import words_are_faster
from nthlib.memory import bytes_allowed
from nthlib.outputs import Model


def planned(
    model: Model,
    params: PyTree,
    X: Array,
    rows: int,
    order: int,
    outputs: int | None,
    limit: int | None,
    *,
    closed: bool,
    beside: int = 0,
    tangents: int = 0,
) -> tuple[Blocks | None, int]:
    """The blocks in which to compute kernels and the bytes this needs.

    Closed forms have none, except where all words of directions are taken at once.

    ``beside``: numbers that the caller holds meanwhile; ``tangents``: how many forward derivatives
    it takes of the kernels.
    """
    itemsize = max(4, jnp.result_type(X, *jax.tree.leaves(params)).itemsize)
    n, C = len(X), outputs or 1
    output = sum(rows * C * (n * C) ** (level - 1) for level in range(1, order + 1))
    if closed:
        # The compiler merges equal branches of Taylor arithmetic: one more of all for each.
        net: Any = model
        blocks = Blocks(n, rows) if words_are_faster(net, n, order) else None
        if blocks:
            needed = (1 + tangents) * (output + _beside_words(model, n, rows, order))
        if not blocks or itemsize * (beside + needed) > bytes_allowed(limit):
            blocks, beside_them = None, _beside_closed_forms(model, params, n, rows, order)
            needed = (1 + tangents) * (output + beside_them)
    else:
        size = sizes(model, params, X, rows, order + tangents, C)
        # Held twice: a new axis is made first and moved last. Blocks of rows are a copy.
        output = 2 ** (1 + tangents) * output + 2 * rows * math.prod(X.shape[1:])
        room = bytes_allowed(limit) // itemsize - beside - output
        blocks = size.within(room)
        needed = output + size.needed(blocks)
    return blocks, itemsize * (beside + needed)


def _beside_closed_forms(model: Any, params: PyTree, n: int, rows: int, order: int) -> int:
    """Numbers that the closed forms hold at the peak beside the kernels."""
    states = 4 * rows * model.width * model.depth
    if order <= 2:
        # Each layer's matrix is a product of two, and the compiler may hold them all at once.
        return states + (order - 1) * (2 * model.depth + 1) * rows * n
    if order == 3:
        third = rows * (1 + n + n * n)
        return third + states + 4 * ROWS_AT_ONCE * model.width * model.depth
    # ∇³f and the Gram matrix of all pairs beside the result, and the tangents; each further
    # order carries a tangent of all that.
    parameters, units, copies = parameter_count(params), model.width, 0
    if order > CLOSED_ORDERS and model.depth == 1 and units > UNITS_AT_ONCE:
        # The parameters in blocks, and the sum over blocks that is added to.
        copies = parameters + sum(rows * n ** (r - 1) for r in range(1, order + 1))
        states, parameters = (UNITS_AT_ONCE * size // units for size in (states, parameters))
        units = UNITS_AT_ONCE
    fourth = 3 * rows * n**3 + 5 * n * n * units * model.depth
    return copies + 2 ** (order - CLOSED_ORDERS) * (fourth + states + parameters)


def _beside_words(model: Any, n: int, rows: int, order: int) -> int:
    """Numbers that the states along all words hold at the peak beside the kernels."""
    letters, longest, depth = order - 3, n ** (order - 2), model.depth
    words = sum(n**length for length in range(letters + 1))
    short = sum(n**length for length in range((order - 2) // 2 + 1))
    # A round of the loop holds the layers twice, and where they began; the sources of the longest
    # words come with transposed copies.
    states = rows * model.width * (depth * words * (3 * letters + 14) + 5 * longest)
    inner = 2 * depth * rows * n * (3 * short * words + 3 * longest)
    coefficients = 3 * depth * rows * longest * (3 ** (order - 2) // 2)
    return states + inner + coefficients
