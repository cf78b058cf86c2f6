"""EM: it never lowers the likelihood, its M-steps are what they claim, and it says when it has not converged."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

import hmoe_stats as hs
from hmoe_stats.fitting import em
from hmoe_stats.fitting.problem import Problem
from hmoe_stats.gates import GATES

GATINGS = ("SS", "SL", "LS", "LL")
SHAPES = [((2,), 1), ((1, 1), 2), ((2, 2), 1), ((1, 3), 2), ((2, 1, 2), 3)]


def measure(gating, k2, d, seed=0, wild=1.0):
    rng = np.random.default_rng([seed, *k2, d])
    k1, K = len(k2), sum(k2)
    return hs.MixingMeasure(
        gating=gating, k2=k2, a=wild * rng.standard_normal((k1, d)), b=wild * rng.standard_normal(k1),
        omega=wild * rng.standard_normal((K, d)), beta=wild * rng.standard_normal(K),
        eta=wild * rng.standard_normal((K, d)), tau=3 * wild * rng.standard_normal(K), nu=rng.uniform(0.2, 1, K),
    )  # fmt: skip


def draw(gating, k2, d, n=200, seed=1):
    G = measure(gating, k2, d)
    return G, *hs.sample(G, n, x=hs.Uniform(-2, 2), seed=seed)


def largest_fall(path):
    """Largest fall of one iteration, relative to the log-likelihood."""
    path = np.asarray(path)
    assert np.isfinite(path).all()
    return max(0.0, ((path[:-1] - path[1:]) / (1.0 + np.abs(path[:-1]))).max(initial=0.0))


def check_result(fit, X, y):
    assert np.isfinite([fit.log_likelihood, fit.score_norm]).all()
    assert fit.path[-1] == fit.log_likelihood == fit.starts["log_likelihood"].iloc[0]
    assert len(fit.path) == fit.n_iter + 1
    assert hs.log_likelihood(fit.measure, X, y) == pytest.approx(fit.log_likelihood, rel=1e-10, abs=1e-8)
    assert fit.converged == (fit.status == "converged")


# -- monotone --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize(("k2", "d"), SHAPES)
def test_the_log_likelihood_never_falls(gating, k2, d):
    G, X, y = draw(gating, k2, d)
    bad = [measure(gating, k2, d, seed, wild) for seed, wild in ((5, 1.0), (6, 4.0), (7, 20.0))]
    narrow = G.replace(nu=np.full(G.n_experts, 1e-4))
    on_a_row = G.replace(a=X[: G.k1], omega=X[5 : 5 + G.n_experts])  # Laplace centres on kinks
    for start in (None, G, narrow, on_a_row, *bad):
        fit = hs.fit_em(X, y, gating, k2, start=start, max_iter=40)
        assert largest_fall(fit.path) < 1e-9
        assert fit.path[-1] > fit.path[0]
        check_result(fit, X, y)


def standard_deviation(real):
    def update(X, y, r, *others):
        eta, tau, nu = real(X, y, r, *others)
        return eta, tau, np.sqrt(nu)

    return update


def unweighted_line(real):
    def update(X, y, r, *others):
        return real(X, y, np.sqrt(r), *others)

    return update


def shuffled_gate(real):
    """Rows and components mixed up when the gradient is flattened: the gate climbs towards another one's weights."""

    def update(X, r, gate, slopes, intercepts, eps, **options):
        return real(X, np.ascontiguousarray(np.roll(r, 1, axis=0)), gate, slopes, intercepts, eps, **options)

    return update


def overlong_gate(real):
    """A gate step four times too long, unchecked."""

    def update(X, r, gate, slopes, intercepts, eps, **options):
        new_slopes, new_intercepts = real(X, r, gate, slopes, intercepts, eps, **options)
        return slopes + 4 * (new_slopes - slopes), intercepts + 4 * (new_intercepts - intercepts)

    return update


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("update_experts", standard_deviation),
        ("update_experts", unweighted_line),
        ("update_gate", shuffled_gate),
        ("update_gate", overlong_gate),
    ],
)
def test_the_monotone_check_sees_a_broken_m_step(monkeypatch, name, broken):
    falls = {}
    for gating in ("SS", "LL"):
        G, X, y = draw(gating, (2, 2), 1)
        monkeypatch.undo()
        assert largest_fall(hs.fit_em(X, y, gating, (2, 2), start=G, max_iter=40, tol=1e-300).path) < 1e-9
        monkeypatch.setattr(em, name, broken(getattr(em, name)))
        falls[gating] = largest_fall(hs.fit_em(X, y, gating, (2, 2), start=G, max_iter=40, tol=1e-300).path)
    assert min(falls.values()) > 1e-9


def test_a_start_below_the_variance_floor_does_not_make_the_likelihood_fall():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 100)
    y = 1 + 2 * x + 1e-5 * rng.standard_normal(100)
    start = hs.MixingMeasure(
        gating="SS", k2=(2,), a=[0.0], b=[0.0], omega=[0.1, -0.1], beta=[0.0, 0.0], eta=[2.0, 2.0], tau=[1.0, 1.0],
        nu=[1e-10, 1e-9],
    )  # fmt: skip
    fit = hs.fit_em(x, y, "SS", (2,), start=start)
    assert fit.path[0] == pytest.approx(hs.log_likelihood(start, x, y))
    assert largest_fall(fit.path) < 1e-9


# -- start, stop, fixed point ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gating", GATINGS)
def test_the_start_is_used_as_it_is(gating):
    G, X, y = draw(gating, (2, 2), 2)
    far = G.replace(a=30 + 40 * G.a, omega=20 * G.omega, eta=50 * G.eta, nu=1e3 * G.nu)
    for start in (G, far):
        fit = hs.fit_em(X, y, gating, (2, 2), start=start, max_iter=1)
        assert fit.path[0] == pytest.approx(hs.log_likelihood(start, X, y), rel=1e-12)


@pytest.mark.parametrize("gating", GATINGS)
def test_a_smaller_start_is_split_and_not_only_copied(gating):
    """Exact copies of an expert share responsibilities for ever: EM from them is EM for the smaller model."""
    G = hs.datasets.truth("C2", gating)
    X, y = hs.sample(G, 200, x=hs.Uniform(-3, 3), seed=2)
    small = hs.fit_mle(X, y, gating, (1,))
    fit = hs.fit_em(X, y, gating, (2,), start=small.measure)
    assert largest_fall(fit.path) < 1e-9
    assert fit.log_likelihood > small.log_likelihood + 10


@pytest.mark.parametrize("tol", [np.float16(1e-2), np.float32(1e-2)])
def test_a_tolerance_of_any_type_is_one_number(tol):
    x = np.linspace(-1, 1, 60)
    start = measure("SS", (1,), 1).replace(tau=[1e22])  # the first iteration gains more than narrow types hold
    fits = [hs.fit_em(x, np.sin(9 * x), "SS", (1,), start=start, tol=value) for value in (tol, float(tol))]
    np.testing.assert_array_equal(fits[0].path, fits[1].path)


def test_at_the_cap_nothing_has_converged():
    G, X, y = draw("SS", (2, 2), 1, n=500)
    for cap in (1, 5):
        fit = hs.fit_em(X, y, "SS", (2, 2), max_iter=cap, tol=1e-12)
        assert (fit.status, fit.converged, fit.n_iter) == ("max_iter", False, cap)
        assert len(fit.path) == cap + 1
        assert str(cap) in fit.message
    done = hs.fit_em(X, y, "SS", (2, 2), start=G, max_iter=20_000, tol=1e-6)
    assert (done.status, done.converged) == ("converged", True)
    assert done.n_iter < 20_000
    assert 0 <= done.path[-1] - done.path[-2] < 1e-6
    assert (np.diff(done.path)[:-1] >= 1e-6).all()  # it stopped at the first small step, not later


@pytest.mark.parametrize("gating", GATINGS)
def test_the_mle_is_a_fixed_point(gating):
    G = hs.datasets.truth("C0", gating)
    X, y = hs.sample(G, 600, x=hs.Uniform(-3, 3), seed=4)
    best = hs.fit_mle(X, y, gating, (2, 2), start=G, n_starts=4)
    fit = hs.fit_em(X, y, gating, (2, 2), start=best.measure, max_iter=30, tol=1e-300)
    if gating == "SS":
        assert best.status == "converged"
        assert fit.log_likelihood == pytest.approx(best.log_likelihood, abs=1e-8)
        X0 = np.linspace(-3, 3, 50)
        np.testing.assert_allclose(hs.gate_weights(fit.measure, X0), hs.gate_weights(best.measure, X0), atol=1e-6)
        for name in ("eta", "tau", "nu"):
            np.testing.assert_allclose(getattr(fit.measure, name), getattr(best.measure, name), atol=1e-6)
        assert fit.score_norm < 1e-7
    else:  # the optimum of the smoothed problem lies within its smoothing of the kinked one
        assert best.log_likelihood - 1e-8 <= fit.log_likelihood < best.log_likelihood + 0.05


@pytest.mark.parametrize(("gating", "k2"), [("SS", (2,)), ("SS", (1, 1)), ("SS", (2, 2)), ("LS", (2,)), ("SL", (1, 1))])
def test_em_meets_the_mle_on_an_easy_case(gating, k2):
    G = hs.datasets.truth("C0", "SS") if k2 == (2, 2) else hs.datasets.truth("C4", "SS")
    if k2 == (2,):
        G = hs.MixingMeasure(gating=gating, k2=k2, a=[0], b=[0], omega=G.a, beta=G.b, eta=G.eta, tau=2 * G.tau, nu=G.nu)
    G = G.replace(gating=gating)
    X, y = hs.sample(G, 400, x=hs.Uniform(-3, 3), seed=5)
    exact = hs.fit_mle(X, y, gating, k2, start=G, n_starts=3)
    fit = hs.fit_em(X, y, gating, k2, start=G, tol=1e-11, max_iter=5000)
    assert fit.converged
    assert exact.status == "converged"
    assert fit.log_likelihood == pytest.approx(exact.log_likelihood, abs=1e-6)
    assert fit.score_norm < 1e-5


def test_the_same_seed_gives_the_same_bits():
    _, X, y = draw("LL", (2, 2), 2)
    one, two = (hs.fit_em(X, y, "LL", (2, 2), max_iter=10, seed=7) for _ in range(2))
    assert one.measure == two.measure
    np.testing.assert_array_equal(one.path, two.path)
    assert hs.fit_em(X, y, "LL", (2, 2), max_iter=10, seed=8).measure != one.measure


def test_a_saturated_gate_does_not_run_away():
    """Where a gate is all zeros and ones its curvature underflows: a Newton step there would go anywhere."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, y = np.sort(np.round(rng.standard_normal((2, 54))), axis=1)
        start = measure("SS", (1, 1, 1), 1, seed, wild=1e9).replace(nu=np.ones(3))
        fit = hs.fit_em(x, y, "SS", (1, 1, 1), start=start, max_iter=50)
        assert np.abs(fit.measure.a).max() < 1e11
        assert np.abs(fit.measure.b).max() < 1e11


# -- M-steps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3])
def test_expert_m_step_is_weighted_least_squares(d):
    rng = np.random.default_rng(d)
    n, K = 150, 4
    X, y = np.ascontiguousarray(rng.standard_normal((n, d)) + 1), 3 * rng.standard_normal(n)
    r = np.ascontiguousarray(rng.dirichlet(np.full(K, 0.3), n).T)
    r[3] *= 1e-14  # an expert with hardly any weight keeps what it has
    old = rng.standard_normal((K, d)), rng.standard_normal(K), rng.uniform(0.5, 2, K)
    eta, tau, nu = em.update_experts(X, y, r, *old, np.full(K, 1e-9))
    design = np.column_stack([X, np.ones(n)])
    for j in range(3):
        root = np.sqrt(r[j])
        line = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        np.testing.assert_allclose(np.append(eta[j], tau[j]), line, rtol=1e-9, atol=1e-9)
        assert nu[j] == pytest.approx(r[j] @ (y - design @ line) ** 2 / r[j].sum(), rel=1e-9)
    assert (eta[3] == old[0][3]).all()
    assert (tau[3], nu[3]) == (old[1][3], old[2][3])
    floored = em.update_experts(X, y, r, *old, np.full(K, 1e3))[2]
    np.testing.assert_array_equal(floored[:3], 1e3)
    capped = em.update_experts(X, y, r, *old, np.full(K, 1e-9), 1e-3)[2]
    np.testing.assert_array_equal(capped[:3], 1e-3)


@pytest.mark.parametrize("gating", ["SS", "LL"])  # covariates are brought to one size for softmax gates alone
def test_lines_are_found_in_any_units_of_x_from_far_away(gating):
    rng = np.random.default_rng(4)
    x, noise = rng.standard_normal(200), rng.standard_normal(200)
    X = np.column_stack([x, 1e8 * rng.standard_normal(200), np.full(200, 1e12)])
    y = 1 + x + 3e-8 * X[:, 1] + 0.5 * noise
    one, two = np.zeros((1, 3)), np.zeros((2, 3))  # two experts that are one, and stay so
    gates = {"a": one, "b": [0], "omega": two, "beta": [0, 0]}
    G = hs.MixingMeasure(gating=gating, k2=(2,), **gates, eta=two + 1e3, tau=[1e15] * 2, nu=[1, 1])
    fit = hs.fit_em(X, y, gating, (2,), start=G)
    design = np.column_stack([np.ones(200), X[:, :2]])
    line, squares, *_ = np.linalg.lstsq(design / [1, 1, 1e8], y, rcond=None)
    np.testing.assert_allclose(fit.measure.eta[:, :2], [line[1:] / [1, 1e8]] * 2, rtol=1e-6)
    np.testing.assert_allclose(fit.measure.nu, squares.repeat(2) / 200, rtol=1e-6)
    residuals = y - hs.predict(fit.measure, X)
    np.testing.assert_allclose(residuals @ design / [200, 200, 200e8], 0, atol=1e-6)


def test_two_clumps_of_nearly_equal_rows_do_not_make_the_likelihood_fall():
    """An expert's line through rows 1e-6 apart has a slope of 1e5, which normal equations know to a few digits only."""
    left, right = [[-0.999999, 0.926069]], [[1.000001, 1.112475], [0.999998, 3.265611], [1.000001, 2.464799]]
    rows = np.array([*left, *right, [1.0, 0.884259], [-1.000001, -0.815627]]).repeat(3, axis=0)
    for seed in range(200, 240):
        fit = hs.fit_em(rows[:, :1], rows[:, 1], "SS", (2,), max_iter=50, seed=seed)
        assert np.diff(fit.path).min() >= -1e-9 * np.abs(fit.path).max()


def test_expert_m_step_without_full_rank_still_minimises_the_squares():
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal(60), rng.standard_normal(60)
    X = np.column_stack([x, 2 * x - 1, np.full(60, 0.3)])  # three directions, one of them seen
    r = np.ascontiguousarray(rng.uniform(0, 1, (1, 60)))
    eta, tau, nu = em.update_experts(X, y, r, np.ones((1, 3)), np.ones(1), np.ones(1), np.zeros(1))
    design = np.column_stack([x, np.ones(60)])
    root = np.sqrt(r[0])
    line = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
    assert nu[0] == pytest.approx(r[0] @ (y - design @ line) ** 2 / r[0].sum(), rel=1e-9)
    assert np.abs(eta).max() < 100
    assert np.abs(tau).max() < 100


def gate_objective(X, r, letter, slopes, intercepts):
    """sum_rows sum_i r_i log g_i(x), written out."""
    distance = np.sqrt(((X[:, None, :] - slopes) ** 2).sum(axis=2))
    logits = (X @ slopes.T if letter == "S" else -distance) + intercepts
    return (r.T * (logits - logsumexp(logits, axis=1, keepdims=True))).sum()


def gate_case(m, d, seed, letter="S", sharp=1.0):
    """Responsibilities of one gate, times the weight of its group: their sum over components is no longer one."""
    rng = np.random.default_rng([seed, m, d])
    n = 200
    X = np.ascontiguousarray(rng.uniform(-1.5, 2.5, (n, d)))
    logits = sharp * X @ rng.standard_normal((d, m)) + rng.standard_normal(m)
    weight = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    r = np.array([rng.dirichlet(6 * w + 0.05) for w in weight]) * rng.uniform(0, 1, (n, 1))
    return X, np.ascontiguousarray(r.T), rng.standard_normal((m, d)), rng.standard_normal(m)


@pytest.mark.parametrize(("m", "d"), [(2, 1), (3, 1), (2, 2), (4, 3)])
@pytest.mark.parametrize("sharp", [0.5, 3.0])
@pytest.mark.parametrize("wild", [0.0, 1.0, 4.0])
def test_softmax_gate_m_step_reaches_the_maximum(m, d, sharp, wild):
    X, r, slopes, intercepts = gate_case(m, d, 1, sharp=sharp)
    slopes, intercepts = wild * slopes, wild * intercepts

    def loss(v):
        return -gate_objective(X, r, "S", v[: m * d].reshape(m, d), v[m * d :])

    other = minimize(loss, np.zeros(m * (d + 1)), method="BFGS", options={"gtol": 1e-6})
    before = gate_objective(X, r, "S", slopes, intercepts)
    few = gate_objective(X, r, "S", *em.update_gate(X, r, GATES["S"], slopes, intercepts, 0.0))
    best = em.update_gate(X, r, GATES["S"], slopes, intercepts, 0.0, steps=300)
    assert gate_objective(X, r, "S", *best) == pytest.approx(-other.fun, rel=1e-6)
    assert before < few < gate_objective(X, r, "S", *best) + 1e-9
    # EM itself asks for a few steps, from where the last iteration left the gate: they are enough
    near = em.update_gate(X, r, GATES["S"], best[0] + 0.2 * (best[0] - slopes) / (1 + wild), 0.9 * best[1], 0.0)
    assert gate_objective(X, r, "S", *near) == pytest.approx(-other.fun, rel=1e-6)


@pytest.mark.parametrize(("m", "d"), [(2, 1), (3, 2), (4, 3)])
def test_laplace_gate_m_step_raises_its_objective(m, d):
    rises = []
    for seed in range(8):
        X, r, slopes, intercepts = gate_case(m, d, seed, "L")
        for centres in (slopes, 10 * slopes, X[:m]):  # inside, far outside, on data points
            for eps in (0.0, 0.1):
                smooth = lambda s, b: _smoothed(X, r, s, b, eps)  # noqa: E731, B023
                before = smooth(centres, intercepts)
                after = smooth(*em.update_gate(X, r, GATES["L"], centres, intercepts, eps))
                assert after >= before - 1e-12 * abs(before)
                rises.append(after - before)
    assert np.mean(np.array(rises) > 1e-3) > 0.9


def _smoothed(X, r, slopes, intercepts, eps):
    distance = np.sqrt(((X[:, None, :] - slopes) ** 2).sum(axis=2) + eps * eps)
    logits = intercepts - distance
    return (r.T * (logits - logsumexp(logits, axis=1, keepdims=True))).sum()


def test_gate_m_step_leaves_its_input_alone():
    X, r, slopes, intercepts = gate_case(3, 2, 3)
    copies = [part.copy() for part in (X, r, slopes, intercepts)]
    for gate in GATES.values():
        em.update_gate(X, r, gate, slopes, intercepts, 0.0)
    for part, copy in zip((X, r, slopes, intercepts), copies, strict=True):
        np.testing.assert_array_equal(part, copy)


# -- the score it reports, data with no estimate, arguments -----------------------------------------------------------


def test_score_norm_is_small_only_at_the_optimum():
    G, X, y = draw("SS", (2, 2), 1)
    early = hs.fit_em(X, y, "SS", (2, 2), start=G, max_iter=2)
    late = hs.fit_em(X, y, "SS", (2, 2), start=G, max_iter=3000)
    assert early.score_norm > 1e-4 > late.score_norm


def test_score_norm_is_that_of_the_returned_measure_in_its_own_units():
    G, X, y = draw("SS", (2, 2), 2)
    y = 50 * y - 3
    fit = hs.fit_em(X, y, "SS", (2, 2), max_iter=3)
    expected = np.abs(hs.score(fit.measure, X, y)).max() / y.size
    assert fit.score_norm == pytest.approx(expected, rel=1e-6)


def test_linear_data_are_degenerate():
    x = np.linspace(-1, 1, 60)
    for gating in ("SS", "LL"):
        fit = hs.fit_em(x, 2 * x + 1, gating, (2,))
        assert (fit.status, fit.converged) == ("degenerate", False)
        assert largest_fall(fit.path) < 1e-9
        check_result(fit, x, 2 * x + 1)


@pytest.mark.parametrize("gating", ["SS", "LL"])
@pytest.mark.parametrize(
    "case", ["duplicated rows", "ties", "constant column", "collinear", "two points", "huge", "tiny"]
)
def test_awkward_data_give_finite_fits(gating, case):
    rng = np.random.default_rng(3)
    x = rng.uniform(-2, 2, 90)
    y = np.sin(2 * x) + 0.2 * rng.standard_normal(90)
    X, y = {
        "duplicated rows": (np.repeat(x[:15], 6), y),
        "ties": (np.round(x), np.round(y)),
        "constant column": (np.column_stack([x, np.full(90, 0.1)]), y),
        "collinear": (np.column_stack([x, 2 * x + 1]), y),
        "two points": (np.tile([0.0, 1.0], 45), np.tile([0.0, 1.0], 45)),
        "huge": (x, 1e12 * y),
        "tiny": (x, 1e-12 * y),
    }[case]
    for k2 in ((2,), (1, 1), (2, 2)):
        fit = hs.fit_em(X, y, gating, k2, max_iter=40)
        assert largest_fall(fit.path) < 1e-9
        check_result(fit, X, y)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("y", {"y": np.ones(50)}),
        ("y", {"y": np.ones((50, 2))}),
        ("y", {"y": np.arange(49.0)}),
        ("y", {"y": np.where(np.arange(50) == 3, np.nan, 1.0)}),
        ("X", {"X": np.full(50, np.inf)}),
        ("X", {"X": np.zeros((50, 1, 1))}),
        ("X", {"X": np.arange(4.0), "y": np.arange(4.0)}),
        ("gating", {"gating": "XX"}),
        ("k2", {"k2": (0, 2)}),
        ("k2", {"k2": "2"}),
        ("start", {"start": "here"}),
        ("start", {"start": measure("LL", (2,), 1)}),
        ("start", {"start": measure("SS", (3,), 1)}),
        ("start", {"start": measure("SS", (2,), 2)}),
        ("max_iter", {"max_iter": 0}),
        ("max_iter", {"max_iter": 1.5}),
        ("tol", {"tol": 0.0}),
        ("tol", {"tol": np.nan}),
        ("tol", {"tol": "small"}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": None}),
    ],
)
def test_wrong_arguments_are_named(name, change):
    rng = np.random.default_rng(0)
    good = {"X": rng.uniform(-1, 1, 50), "y": rng.standard_normal(50), "gating": "SS", "k2": (2,)}
    hs.fit_em(**good, max_iter=2)
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        hs.fit_em(**(good | change))


def test_standardised_problem_and_data_have_the_same_likelihood():
    G, X, y = draw("SL", (2, 2), 2)
    X, y = 1e3 + X, 1e-3 * y + 7
    H = measure("SL", (2, 2), 2, seed=3)
    problem = Problem(X, y, "SL", (2, 2), start=H)
    z = problem.from_measure(H)
    assert problem.log_likelihood(z, 0.0) == pytest.approx(hs.log_likelihood(H, X, y), rel=1e-9)
    assert hs.log_likelihood(problem.to_measure(z), X, y) == pytest.approx(hs.log_likelihood(H, X, y), rel=1e-9)
