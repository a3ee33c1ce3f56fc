"""The registered answers, each found again on another way than the one that the book takes."""

from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, linalg, optimize, special

import nthlib as nth
from nthbook.book import CHAPTERS, Book
from nthbook.directives import directives

BOOK = Book(Path(__file__).parents[2])
ANSWERS = BOOK.answers()


def second_moment_of_erf():
    def density(u):
        return special.erf(u) ** 2 * np.exp(-u * u / 2) / np.sqrt(2 * np.pi)

    return integrate.quad(density, -12, 12)[0]


def power_without_the_root():
    """From a linear network of one unit in place of many: variances add, and m² divides them."""
    sizes = [width * 1.0 / width**2 for width in (8, 64)]
    return np.log(sizes[1] / sizes[0]) / np.log(8)


def orthogonal_relu():
    X = jnp.eye(2)
    return nth.limit_kernel(nth.FullyConnected(2, 1, 1, nth.relu), X)[0, 1]


def missing_symmetry():
    A = jnp.array([[[1.0, 0], [0, 0]], [[0, 1], [1, 0]], [[1, 0], [0, 4]]])

    def quadratic(theta, A):
        return jnp.einsum("i,nij,j->n", theta, A, theta) / 2

    K = nth.kernels(quadratic, jnp.array([2.0, 3.0]), A, order=3)[3]
    return K[0, 1, 2] - K[0, 2, 1]


def growth_of_terms():
    """Terms as sorted tuples of factors, by the product rule on words."""
    terms = {(1, (0,), ())}
    for _ in range(7):
        before = len(terms)
        grown = set()
        for power, orders, pairs in terms:
            if power:
                grown.add((power - 1, (*orders, 0), pairs))
            for j in range(len(orders)):
                raised = tuple(s + (i == j) for i, s in enumerate(orders))
                grown.add((power + 1, (*raised, 1), (*pairs, (j, len(orders)))))
        terms = grown
    return len(terms) / before


def without_readout():
    net = nth.FullyConnected(2, 1, 1, lambda h: h, sigma_a=1e-6)
    return nth.limit_kernel(net, jnp.array([[1.0, 1.0]]), order=4)[0, 0, 0, 0]


def iterated_integral():
    def inner(u):
        return 3 / 0.8 * (1 - np.exp(-0.8 * u / 3)) * np.exp(-0.3 * u / 3)

    return integrate.quad(inner, 0, 400)[0]


def labels_of_mean_field():
    """The factor c by which m g-flow is f-flow towards c y, from one step of each."""
    m, a, y = 300, np.full(300, 0.1), 2.0  # f = sum(a) / √m, g = f / √m
    g_step = -m * (a.sum() / m - y) * np.ones(m) / m
    return optimize.brentq(
        lambda c: (-(a.sum() / m**0.5 - c * y) * np.ones(m) / m**0.5 - g_step)[0], 0, 100
    )


def time_of_one_percent():
    def excess(t):
        modes = np.array([1.0, 1.1])
        weights = np.exp(-2 * modes * t)
        return (weights @ modes) / weights.sum() - 1.01

    return optimize.brentq(excess, 1, 50)


def power_of_width():
    """The width at which n t/√m is λ/2, at the time n/λ."""

    def width(ratio):
        return optimize.brentq(lambda log: ratio * ratio / np.exp(log / 2) - 0.5, 0, 60)

    return (width(200.0) - width(100.0)) / np.log(2.0)


def end_of_two_labels():
    return optimize.minimize_scalar(lambda f: (f - 1) ** 2 + (f + 1) ** 2).fun


def blow_up():
    def flow(t, state):
        K, r = state
        return [-r, -K * r]

    def far(t, state):
        return state[1] - 1e8

    far.terminal = True
    found = integrate.solve_ivp(flow, (0, 10), [1.0, 1.0], events=far, rtol=1e-10, atol=1e-10)
    return found.t_events[0][0]


def radius_of_a_unit():
    """Along imaginary time h = iu obeys u' = 1/cos(u)², for a = −1, until cos(u) is zero."""

    def pole(s, u):
        return u[0] - 1.57  # the rest of the way takes less than 1e-9

    pole.terminal = True
    found = integrate.solve_ivp(
        lambda s, u: 1 / np.cos(u) ** 2, (0, 2), [0.0], events=pole, rtol=1e-10, atol=1e-12
    )
    return found.t_events[0][0]


def second_order_of_a_unit():
    """A linear unit moves by a linear equation, so that its second moments are exact."""
    n = 4
    B = np.zeros((n + 1, n + 1))
    B[0, 1:] = B[1:, 0] = 1.0

    def entry(t):
        flow = linalg.expm(-t / n * B)
        return (flow @ flow.T)[1, 1] + (flow @ flow.T)[0, 0]

    h = 1e-3
    return (entry(h) - 2 * entry(0) + entry(-h)) / (2 * h * h)


def averaged_correction():
    """One input: the truncation at p = 4 from readouts a and −a, which flips f and K^(3)."""
    times = jnp.array([0.0, 1.0])

    def g(c, sign):
        K = {2: jnp.ones((1, 1)), 3: sign * 0.3 * jnp.ones((1,) * 3), 4: 0.2 * jnp.ones((1,) * 4)}
        K[1] = jnp.zeros(1)
        path = nth.truncated_hierarchy(K, jnp.array([c]), times, 4, rtol=1e-12)
        return path.predictions[-1, 0]

    sizes = [abs(g(c, 1) + g(c, -1) - 2 * c * (1 - np.exp(-1.0))) for c in (0.05, 0.1)]
    return np.log2(sizes[1] / sizes[0])


def lag_of_frozen_kernels():
    def lag(t):  # E e^{-Kt} over two equally likely kernels, of variance ε²
        eps = 1e-3
        mean = (np.exp(-(1 + eps) * t) + np.exp(-(1 - eps) * t)) / 2
        return (mean - np.exp(-t)) / eps**2

    return -optimize.minimize_scalar(lambda t: -lag(t), bounds=(0.5, 5), method="bounded").fun


def power_of_small_labels():
    """A model of one parameter: f = θ + θ²/2, from θ = 1/2."""

    def gap(s):
        def flow(t, theta):
            f = theta + theta**2 / 2
            return -(1 + theta) * (f - 0.625 - s)

        theta = integrate.solve_ivp(flow, (0, 1), [0.5], rtol=1e-12, atol=1e-14).y[0, -1]
        frozen = s * (1 - np.exp(-(1.5**2)))
        return (theta + theta**2 / 2 - 0.625 - frozen) / s

    return np.log2(abs(gap(0.02) / gap(0.01)))


def exponent_of_a_mean():
    rng = np.random.default_rng(0)
    widths, draws = np.array([100, 10_000]), 20
    means = [rng.normal(size=(4000, draws)).mean(axis=1) * m**-1.5 for m in widths]
    sizes = [np.sqrt(np.mean(mean**2)) for mean in means]
    return np.log(sizes[1] / sizes[0]) / np.log(100)


def fourth_moment():
    """Of a chi-squared variable over m, by its density."""
    m = 50
    scale = special.gammaln(m / 2) + m / 2 * np.log(2)

    def density(x):
        return x**2 * np.exp((m / 2 - 1) * np.log(x) - x / 2 - scale)

    return (integrate.quad(density, 1e-9, 400, limit=200)[0] / m**2) ** 10


def displacement():
    """Where s²/m = m^(−1/2)."""
    at = [optimize.brentq(lambda s, m=m: s * s / m - m**-0.5, 1e-3, 1e6) for m in (1e4, 1e8)]
    return np.log(at[1] / at[0]) / np.log(1e4)


def share_at_the_kink():
    g, rho, h, step, active = -0.4, 1.3, 0.01, 1e-4, []
    for _ in range(40_000):
        active.append(h > 0)
        h -= step * (g + active[-1] * rho)
    return np.mean(active[2000:])


def leaky_drift():
    """Crossings by their speeds on both sides, times the jump of the squared slope."""

    def drift(slope):
        rng = np.random.default_rng(1)
        h = rng.uniform(-1, 1, 400_000)
        after = [h.copy(), h.copy()]
        for kept, sign in zip(after, (1, -1), strict=True):  # both signs of the readout
            kept += sign * 0.1 * np.where(h > 0, 1.0, slope)
        crossed = [((end > 0) * 1.0 - (h > 0)).sum() for end in after]
        return sum(crossed) * (1 - slope**2)

    return drift(0.5) / drift(0.0)


def size_of_odd_sums():
    """κ^(5) has mean zero: m^(−5/2) times a sum of m independent terms."""
    rng = np.random.default_rng(2)
    widths = (25, 2500)
    sizes = [np.std(rng.choice([-1.0, 1.0], (4000, m)).sum(axis=1)) * m**-2.5 for m in widths]
    return np.log(sizes[1] / sizes[0]) / np.log(100)


def exponent_of_logits():
    epsilon = [m ** (1 - 2 * 0.7) for m in (1e3, 1e5)]
    return 2 * np.log(epsilon[1] / epsilon[0]) / np.log(100)


FOUND = {
    "exercise-setting-hand": [(second_moment_of_erf, 1e-8), (power_without_the_root, 1e-8)],
    "exercise-kernel-hand": [(orthogonal_relu, 1e-6)],
    "exercise-hierarchy-hand": [(missing_symmetry, 1e-8)],
    "exercise-hierarchy-run": [(growth_of_terms, 1e-12)],
    "exercise-bounds-hand": [(without_readout, 1e-6)],
    "exercise-drift-hand": [(iterated_integral, 1e-6)],
    "exercise-drift-mean-field": [(labels_of_mean_field, 1e-8)],
    "exercise-convergence-hand": [(time_of_one_percent, 1e-8)],
    "exercise-convergence-power": [(power_of_width, 1e-6)],
    "exercise-convergence-think": [(end_of_two_labels, 1e-8)],
    "exercise-truncation-hand": [(blow_up, 1e-3)],
    "exercise-reach-hand": [(radius_of_a_unit, 1e-6)],
    "exercise-letters-hand": [(second_order_of_a_unit, 1e-5)],
    "exercise-test-hand": [(averaged_correction, 0.05)],
    "exercise-ensembles-hand": [(lag_of_frozen_kernels, 1e-5)],
    "exercise-race-hand": [(power_of_small_labels, 0.05)],
    "exercise-deep-mean": [(exponent_of_a_mean, 0.02)],
    "exercise-depth-hand": [(fourth_moment, 1e-6)],
    "exercise-steps-think": [(displacement, 1e-8)],
    "exercise-broken-hand": [(share_at_the_kink, 1e-3)],
    "exercise-broken-think": [(leaky_drift, 0.01)],
    "exercise-models-hand": [(size_of_odd_sums, 0.03)],
    "exercise-models-run": [(exponent_of_logits, 1e-8)],
}


def test_every_answer_belongs_to_an_exercise_and_every_chapter_has_one():
    chapters = {}
    for name, page in BOOK.executed_pages().items():
        if page.startswith(CHAPTERS):
            found = directives(BOOK.chapter_path(name).read_text())
            chapters |= {each.label: name for each in found if each.name == "exercise"}
    assert {answer.exercise for answer in ANSWERS} <= chapters.keys()
    assert {chapters[answer.exercise] for answer in ANSWERS} == set(chapters.values())
    assert Counter(answer.exercise for answer in ANSWERS) == {
        exercise: len(ways) for exercise, ways in FOUND.items()
    }


def cases():
    for exercise, ways in FOUND.items():
        own = [answer for answer in ANSWERS if answer.exercise == exercise]
        yield from zip(own, ways, strict=True)


@pytest.mark.parametrize(
    ("answer", "way"), list(cases()), ids=lambda it: getattr(it, "exercise", "")
)
def test_another_way_leads_to_the_same_number(answer, way):
    find, tolerance = way
    with jax.enable_x64(True):
        assert float(find()) == pytest.approx(answer.value, abs=tolerance)
