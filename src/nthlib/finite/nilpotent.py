"""K^(6) and above of a fully connected network, by a program that does not grow with the order.

K^(r)(α, β, γ_1, ..) is the derivative of K^(2)(α, β) along the word γ_1 .. γ_{r−2} of fields
(``words``). Along a word every number u of the passes has a derivative, and the derivatives along
all words together are an element of an algebra in which no letter occurs twice: nilpotent
arithmetic. An array [word, sample, unit] holds such an element, and

- a product is (uv)^w = Σ u^S v^T over the ways to split w;
- an activation follows from φ(h)^w = Σ φ'(h)^S h^T, in which T holds the first letter of w;
- a weight moves along V_γ = ∇f_γ = λ_γ ⊗ x_γ, so that (Wx)^w = W x^w + Σ λ_γ^S ⟨x_γ^P, x^Q⟩.

Fields depend on the parameters, too: their letters are moved by those that come later in the word,
which is what S and P are. All this is right for words of j letters once it is for shorter ones, and
so the same passes are repeated in a loop. Tables of rows say which words meet (``words``); they
are data, summed one term at a time, and the program is the same for all orders.

For order r the states along words of r − 3 letters suffice (the 2n+1 rule). Along longer ones,
w of r − 2 letters, they satisfy the linear equations of the first-order tangents with sources s^w,
made of shorter words, and these equations are symmetric: with the tangents of α along ∇f_β,

    ⟨(∇f_α)^w, ∇f_β⟩ = Σ_ℓ ⟨λ̇, s_h⟩ + ⟨ẋ, s_b⟩ + ⟨ḃ, s_x⟩ + ⟨ḣ, s_λ⟩  + products of shorter words.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nthlib.finite.passes import States, states, tangents
from nthlib.finite.words import Terms, Words
from nthlib.network import FullyConnected, Parameters, gained

# Elsewhere the closed K^(4) moved along the fields runs faster, though it may compile for longer.
_WORDS_FROM, _MOST_SAMPLES, _UNITS_FOR_A_PAIR = 6, 4, 32


def words_are_faster(net: FullyConnected, n: int, order: int) -> bool:
    """Whether both the first and the second call are faster than those of the closed K^(4)."""
    large = net.depth > 1 and net.width >= _UNITS_FOR_A_PAIR * n * n
    return order >= _WORDS_FROM and large and n <= _MOST_SAMPLES


class Layer(NamedTuple):
    """One layer along all words, rows × samples × units.

    ``outer``: the rows of x = φ(h), then those of φ'(h), φ''(h), .., the last one of which no
    letter moves; ``adjoint``: the rows of λ = b φ'(h), then those of b φ''(h).
    """

    outer: Array
    adjoint: Array
    preactivation: Array
    backward: Array


class Directions(NamedTuple):
    """First-order tangents of a layer's x, λ, h and b, shapes (fields, samples, units)."""

    output: Array
    adjoint: Array
    preactivation: Array
    backward: Array


class Pairs(NamedTuple):
    """Where ⟨u_α^S, u_β^T⟩ stands: S or T is among the ``short`` words, both among ``words``."""

    words: int
    short: int
    n: int

    def row(self, S: np.ndarray, T: np.ndarray) -> np.ndarray:
        """The row of a pair, anything where both words are too long."""
        first, second = S * self.words + T, (self.short + T) * self.words + S
        row = np.where(self.short > S, first, np.where(self.short > T, second, 0))
        return row.astype(np.int32)

    def of(self, u: Array) -> Array:
        """⟨u_α^S, u_β^T⟩ of all samples α and training samples β: shape (rows, N, n)."""
        u = u[: self.words]
        first = jnp.einsum("sam,tbm->stab", u[: self.short], u[:, : self.n])
        if u.shape[1] == self.n:
            second = first.swapaxes(2, 3)
        else:
            second = jnp.einsum("tbm,sam->tsab", u[: self.short, : self.n], u)
        return jnp.stack([first, second]).reshape(-1, *first.shape[2:])


def word_kernels(
    net: FullyConnected,
    params: Parameters,
    X: Float[Array, "n d"],
    order: int,
    X_test: Float[Array, "t d"] | None = None,
) -> dict[int, Array]:
    """K^(1), .., K^(order) for order at least 5, training rows first and then test rows.

    >>> import jax, nthlib as nth
    >>> from nthlib.finite.nilpotent import word_kernels
    >>> net = nth.FullyConnected(dim=3, width=4, depth=1)
    >>> X = jax.random.normal(jax.random.key(1), (2, 3))
    >>> word_kernels(net, net.init(jax.random.key(0)), X, order=5)[5].shape
    (2, 2, 2, 2, 2)
    """
    n, longest = len(X), order - 2
    words = Words(n, longest)
    pairs = Pairs(words.upto(longest - 1), words.upto(longest // 2), n)
    base = states(net, params, X if X_test is None else jnp.concatenate([X, X_test]))
    gram = base.inputs[0] @ X.T
    layers = _along_words(net, params, base, gram, words, pairs)
    inputs = [pairs.of(layer.outer) for layer in layers]
    adjoints = [pairs.of(layer.adjoint) for layer in layers]
    moves = words.moves([longest])
    coefficients = (
        [_unmoved(moves, gram), *(_coefficients(moves, pairs, u) for u in inputs[:-1])],
        [*(_coefficients(moves, pairs, u) for u in adjoints[1:]), _unmoved(moves, 1 + 0 * gram)],
    )
    letters = [_letters(layer, pairs) for layer in layers]
    top = _longest_words(words, pairs, layers, coefficients, letters)
    swapped = top[:, :n].swapaxes(1, 2)
    if X_test is not None:  # the fields of test samples move the training samples as well
        train, test = (
            jax.tree.map(lambda leaf, some=some: leaf[some], base)
            for some in (slice(n), slice(n, None))
        )
        along = _along_fields(net, params, train, test)
        of_train = _longest_words(words, pairs, layers, coefficients, along)
        swapped = jnp.concatenate([swapped, of_train.swapaxes(1, 2)], axis=1)
    along_words = _shorter_words(words, pairs, inputs, adjoints, gram)
    result = {1: base.output @ params.readout}
    for length in range(longest + 1):
        kernel = along_words[words.upto(length - 1) : words.upto(length)]
        if length == longest:
            kernel = kernel + top + swapped
        result[length + 2] = jnp.moveaxis(kernel, 0, -1).reshape(-1, *(n,) * (length + 1))
    return result


def _total(term: Callable[..., Array], start: Array, *tables: Array | np.ndarray) -> Array:
    """``start`` and the sum over the terms of tables, one at a time."""
    return jax.lax.scan(lambda total, row: (total + term(*row), None), start, tables)[0]


def _product(terms: Terms, u: Array, v: Array, start: Array) -> Array:
    """``start`` + u v, row by row."""
    present = terms.present.astype(start.dtype)
    return _total(
        lambda left, right, one: u[left] * (v[right] * one[:, None, None]),
        start, *terms.rows, present,
    )  # fmt: skip


def _for_each_height(terms: Terms, words: int, heights: int) -> Terms:
    """The sum for several derivatives of φ, whose left factor is the next higher derivative."""
    left, right = terms.rows
    lefts = [left + height * words for height in range(1, heights + 1)]
    rows = [np.concatenate(lefts, axis=1), np.tile(right, heights)]
    return Terms(np.stack(rows).astype(np.int32), np.tile(terms.present, heights))


def _along_words(
    net: FullyConnected,
    params: Parameters,
    base: States,
    gram: Array,
    words: Words,
    pairs: Pairs,
) -> list[Layer]:
    """The layers along words of all letters but one, each round right for one letter more."""
    N, letters = pairs.words, words.longest - 1
    lengths = range(letters + 1)
    # With one letter more every derivative of φ asks for the next higher one of a letter less.
    chains = _chains(words, lengths, N)
    splits = _for_each_height(words.splits(lengths), N, 2)
    moves = words.moves(lengths)
    first = [
        _without_letters(net, params, h, b, N, letters + 2)
        for h, b in zip(base.preactivations, base.backward, strict=True)
    ]
    below_first, above_last = _unmoved(moves, gram), _unmoved(moves, 1 + 0 * gram)
    nothing = jnp.zeros_like(first[0].adjoint)

    def lengthened(layers: list[Layer], _: None) -> tuple[list[Layer], None]:
        layers = list(layers)
        for at, layer in enumerate(layers):
            h, coefficients = first[0].preactivation, below_first
            if at > 0:
                x = layers[at - 1].outer[:N]
                h = x @ params.weights[at].T
                coefficients = _coefficients(moves, pairs, pairs.of(x))
            h = _moved(moves, coefficients, layer.adjoint[:N], h)
            outer = _product(chains, layer.outer, h, first[at].outer)
            layers[at] = layer._replace(preactivation=h, outer=outer)
        for at, layer in reversed(list(enumerate(layers))):
            b, coefficients = first[-1].backward, above_last
            if at + 1 < net.depth:
                adjoint = layers[at + 1].adjoint[:N]
                b = adjoint @ params.weights[at + 1]
                coefficients = _coefficients(moves, pairs, pairs.of(adjoint))
            b = _moved(moves, coefficients, layer.outer[:N], b)
            adjoint = _product(splits, layer.outer, b, nothing)
            layers[at] = layer._replace(backward=b, adjoint=adjoint)
        return layers, None

    return jax.lax.scan(lengthened, first, None, length=letters)[0]


def _chains(words: Words, lengths: range, N: int) -> Terms:
    """φ, φ', .. of h along words, and the one row of the highest derivative, which stays."""
    heights = lengths[-1] + 2
    chains = _for_each_height(words.chains(lengths), N, heights)
    left, right = chains.rows
    # The highest derivative is known without letters alone. What would have some is not needed.
    left = np.minimum(left, heights * N)
    rows = np.pad(np.stack([left, right]), [(0, 0), (0, 0), (0, 1)])
    return Terms(rows, np.pad(chains.present, [(0, 0), (0, 1)]))


def _without_letters(
    net: FullyConnected, params: Parameters, h: Array, b: Array, words: int, highest: int
) -> Layer:
    """A layer that nothing moves: only the empty word has numbers."""
    slopes = gained(params, _derivatives(net, highest, h) / jnp.sqrt(net.width))
    zero = jnp.zeros((), slopes.dtype)
    rest, whole, every = words - 1, (0, 0, 0), (0, 0, words - 1)

    def alone(u: Array) -> Array:
        return jax.lax.pad(u[None], zero, [(0, rest, 0), whole, whole])

    outer = jax.lax.pad(slopes, zero, [every, whole, whole])
    adjoint = jax.lax.pad(b * slopes[1:3], zero, [(0, rest, rest), whole, whole])
    return Layer(outer, adjoint, alone(h), alone(b))


def _derivatives(net: FullyConnected, highest: int, h: Array) -> Array:
    """σ, σ', .. stacked, all from one nested derivative."""

    def upto(order: int) -> Callable[[Array], tuple[Array, ...]]:
        if order == 0:
            return lambda x: (net.activation(x),)

        def values(x: Array) -> tuple[Array, ...]:
            lower, slopes = jax.jvp(upto(order - 1), (x,), (jnp.ones_like(x),))
            return (*lower, slopes[-1])

        return values

    return jnp.stack(upto(highest)(h))


def _unmoved(moves: Terms, gram: Array) -> Array:
    """⟨x_γ^P, x_α^Q⟩ of the input, which no letter moves: (terms, words, samples)."""
    letter, _, inputs, own = moves.rows
    empty = (moves.present & (inputs == 0) & (own == 0)).astype(gram.dtype)
    return gram.T[letter] * empty[..., None]


def _coefficients(moves: Terms, pairs: Pairs, products: Array) -> Array:
    """⟨x_γ^P, x_α^Q⟩ for every term of a move: (terms, words, samples)."""
    letter, _, inputs, own = moves.rows
    present = moves.present.astype(products.dtype)
    return products[pairs.row(own, inputs), :, letter] * present[..., None]


def _moved(moves: Terms, coefficients: Array, fields: Array, start: Array) -> Array:
    """``start`` + Σ λ_γ^S ⟨x_γ^P, x_α^Q⟩."""
    letter, rows, _, _ = moves.rows
    return _total(
        lambda one, row, sample: one[..., None] * fields[row, sample][:, None],
        start, coefficients, rows, letter,
    )  # fmt: skip


def _shorter_words(
    words: Words, pairs: Pairs, inputs: list[Array], adjoints: list[Array], gram: Array
) -> Array:
    """K^(2) along all words, (words, N, n), without the states along the longest ones."""
    splits = words.splits(range(words.longest + 1))
    left, right = splits.rows
    known = (splits.present & (left < pairs.words) & (right < pairs.words)).astype(gram.dtype)
    nothing = jnp.zeros((left.shape[1], *gram.shape), gram.dtype)

    def inner(u: Array) -> Array:
        rows = pairs.row(left, right)
        return _total(lambda row, one: u[row] * one[:, None, None], nothing, rows, known)

    of_inputs, of_adjoints = [*map(inner, inputs)], [*map(inner, adjoints)]
    total = of_inputs[-1] + of_adjoints[0] * gram
    for below, above in zip(of_inputs[:-1], of_adjoints[1:], strict=True):
        total = _product(splits, below, above, total)
    return total


def _letters(layer: Layer, pairs: Pairs) -> Directions:
    """First-order tangents along the training fields: the words of one letter."""
    one = slice(1, pairs.n + 1)
    return Directions(
        layer.outer[one], layer.adjoint[one], layer.preactivation[one], layer.backward[one]
    )


def _along_fields(
    net: FullyConnected, params: Parameters, samples: States, fields: States
) -> list[Directions]:
    moved = tangents(net, params, samples, fields)
    four = (moved.outputs, moved.adjoints, moved.preactivations, moved.backward)
    return [
        Directions(*(part.swapaxes(0, 1) for part in parts)) for parts in zip(*four, strict=True)
    ]


def _longest_words(
    words: Words,
    pairs: Pairs,
    layers: list[Layer],
    coefficients: tuple[list[Array], list[Array]],
    along: list[Directions],
) -> Array:
    """⟨(∇f_α)^w, ∇f_β⟩ by sources and the tangents of α along ∇f_β: (words, samples, fields)."""
    N, longest = pairs.words, [words.longest]
    letter, rows, _, _ = words.moves(longest).rows
    chains = words.chains(longest)
    # A term that holds the whole word is linear in what is unknown, and no part of the sources.
    known = (chains.rows < N).all((0, 2))
    chains = Terms(chains.rows[:, known], chains.present[known])
    fields, samples, _ = along[0].output.shape
    found = jnp.zeros((letter.shape[1], fields, samples), along[0].output.dtype)
    for layer, of_inputs, of_adjoints, moved in zip(layers, *coefficients, along, strict=True):
        for given, u, tangent in (
            (of_inputs, layer.adjoint, moved.adjoint),
            (of_adjoints, layer.outer, moved.output),
        ):
            met = jnp.einsum("sgm,bam->sgba", u[:N, : pairs.n], tangent)
            found = _total(
                lambda one, row, sample, met=met: one[:, None] * met[row, sample],
                found, given[..., :samples], rows, letter,
            )  # fmt: skip
        slope, bend, h, b = (
            u[:, :samples]
            for u in (
                layer.outer[N : 2 * N], layer.adjoint[N:], layer.preactivation, layer.backward
            )
        )  # fmt: skip
        nothing = jnp.zeros((letter.shape[1], *h.shape[1:]), h.dtype)
        output = _product(chains, slope, h, nothing)
        adjoint = _product(chains, slope, b, _product(chains, bend, h, nothing))
        found = found + jnp.einsum("wam,bam->wba", output, moved.backward)
        found = found + jnp.einsum("wam,bam->wba", adjoint, moved.preactivation)
    return found.swapaxes(1, 2)
