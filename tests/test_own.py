"""`hs.fit`: the penalty, what a penalised fit promises, and what comes of data that maximum likelihood breaks on."""

import re

import numpy as np
import pytest

import hmoe_stats as hs
from hmoe_stats import gates
from hmoe_stats.fitting import certificate, em, own, shapes
from hmoe_stats.fitting.penalty import DEFAULT
from hmoe_stats.fitting.problem import Problem

SOME = hs.Penalty(variance=40.0, ridge=0.3)
BOX = {"a": 6.0, "b": 6.0, "omega": 4.0, "beta": 4.0, "nu": (0.01, 30.0)}


def data(n=60, d=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.array([3.0, 0.1])[:d] + np.array([5.0, -1.0])[:d]
    return X, 2.0 + 7.0 * rng.normal(size=n)


def sampled(gating, n, seed=0, name="C2"):
    G = hs.datasets.truth(name, gating)
    return G, *hs.sample(G, n, x=hs.Uniform(-3, 3), seed=seed)


def penalised(penalty, G, X, y):
    return hs.log_likelihood(G, X, y) - naive(penalty, G, X, y)


def naive(penalty, G, X, y):
    """The penalty, gate by gate, as it is written."""
    design = np.column_stack([np.ones(len(y)), X])
    s2 = (y - design @ np.linalg.lstsq(design, y, rcond=None)[0]).var()
    value = penalty.variance / len(y) * (s2 / G.nu + np.log(G.nu / s2) - 1.0).sum()
    parts = [(G.gating[0], G.a), *((G.gating[1], G.omega[G.group == i]) for i in range(G.k1))]
    for letter, slopes in parts:
        if len(slopes) == 1:
            continue
        if letter == "L":
            away = (slopes - X.mean(axis=0)) / X.std(axis=0)
        else:
            features = X**2 if letter == "Q" else X
            away = (slopes - slopes.mean(axis=0)) * features.std(axis=0)
        value += 0.5 * penalty.ridge * (away**2).sum()
    return value


# -- the penalty -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gating", ["SL", "QS", "LQ"])
@pytest.mark.parametrize("k2", [(2, 3), (1, 2), (3,)])
def test_the_penalty_is_what_it_says_at_any_measure(gating, k2):
    X, y = data()
    rng = np.random.default_rng(3)
    for _ in range(3):
        G = Problem(X, y, gating, k2).to_measure(rng.normal(size=Problem(X, y, gating, k2).p))
        terms = SOME.on(gates.of(gating), k2, X, y)
        assert terms.value(G.to_vector()) == pytest.approx(naive(SOME, G, X, y), rel=1e-10)


def test_a_constant_column_has_no_part_in_the_penalty():
    X, y = data()
    G = hs.MixingMeasure.from_dict(hs.datasets.truth("P2", "SL").to_dict())
    wide = np.column_stack([X[:, 0], np.full(len(y), 4.0)])
    moved = G.replace(a=G.a + [[0.0, 5.0], [0.0, -2.0]], omega=G.omega + [0.0, 9.0])
    terms = SOME.on(G.gates, G.k2, wide, y)
    assert terms.value(moved.to_vector()) == pytest.approx(terms.value(G.to_vector()), rel=1e-12)


@pytest.mark.parametrize("gating", ["SL", "QS", "LQ"])
@pytest.mark.parametrize("bounds", [None, {"nu": (0.1, 300.0)}])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_and_information_are_those_of_the_value(gating, bounds, weighted):
    X, y = data()
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 3.0, y.size) if weighted else None
    problem = Problem(X, y, gating, (2, 3), bounds=bounds, weights=weights, penalty=SOME)
    plain = Problem(X, y, gating, (2, 3), bounds=bounds, weights=weights)
    z, h = problem.project(rng.normal(size=problem.p)), 1e-5

    def penalty(z):
        return [a - b for a, b in zip(problem.derivatives(z, 0.3), plain.derivatives(z, 0.3), strict=True)]

    value, gradient, information = penalty(z)
    assert value == pytest.approx(problem.value(z, 0.3) - plain.value(z, 0.3), abs=1e-8)
    ends = [(penalty(z + h * e), penalty(z - h * e)) for e in np.eye(problem.p)]
    slopes = np.array([(up[0] - down[0]) / (2 * h) for up, down in ends])
    np.testing.assert_allclose(gradient, slopes, atol=1e-5 * np.abs(gradient).max())
    bends = np.array([(down[1] - up[1]) / (2 * h) for up, down in ends])
    np.testing.assert_allclose(information, bends, atol=1e-5 * np.abs(information).max())


@pytest.mark.parametrize("gating", ["SS", "SL", "LQ", "QQ"])
@pytest.mark.parametrize("bounds", [None, {"beta": 30.0}])
def test_problems_and_data_agree_on_what_the_penalty_is(gating, bounds):
    X, y = data()
    problem = Problem(X, y, gating, (2, 3), bounds=bounds, penalty=SOME)
    z = problem.project(np.random.default_rng(5).normal(size=problem.p))
    G = problem.to_measure(z)
    assert problem.value(z, 0.0) == pytest.approx(penalised(SOME, G, X, y), abs=1e-8)
    assert problem.log_likelihood(z, 0.0) == pytest.approx(hs.log_likelihood(G, X, y), abs=1e-8)


def test_the_penalty_does_not_see_translations_of_gates():
    X, y = data()
    G = hs.datasets.truth("P2", "SQ")
    moved = G.replace(a=G.a + [3.0, -40.0], b=G.b + 2.0, omega=G.omega + [1.0, 7.0])
    terms = SOME.on(gates.of("SQ"), G.k2, X, y)
    assert terms.value(moved.to_vector()) == pytest.approx(terms.value(G.to_vector()), rel=1e-11)


@pytest.mark.parametrize(
    ("penalty", "said"),
    [
        ("usual", 'penalty must be "default", None, a Penalty'),
        (3.0, 'penalty must be "default", None, a Penalty'),
        ({"variance": 1.0, "lasso": 1.0}, "penalty must be a dict with keys among variance, ridge; got 'lasso'"),
        ({"variance": -1.0}, "variance must be a finite number of at least 0; got -1"),
        ({"ridge": np.inf}, "ridge must be a finite number of at least 0; got inf"),
    ],
)
def test_a_penalty_that_is_none_is_refused_by_name(penalty, said):
    X, y = data()
    with pytest.raises(ValueError, match=said):
        hs.fit(X, y, "SS", (2,), penalty=penalty)


# -- fits --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [None, {"variance": 0.0, "ridge": 0.0}])
@pytest.mark.parametrize("gating", ["SS", "LQ"])
def test_without_a_penalty_it_is_the_mle_bit_for_bit(gating, penalty):
    _, X, y = sampled("SS", 200)
    ours = hs.fit(X, y, gating, (2, 1), penalty=penalty, n_starts=4)
    plain = hs.fit_mle(X, y, gating, (2, 1), n_starts=4, laplace_scale=ours.measure.laplace_scale)
    assert ours.measure == plain.measure
    assert ours.log_likelihood == ours.penalised_log_likelihood == plain.log_likelihood
    assert (ours.path == plain.path).all()
    assert (ours.score_norm, ours.gap, ours.start_rows) == (plain.score_norm, plain.gap, plain.start_rows)


def test_a_fit_is_the_top_of_the_penalised_likelihood_and_says_what_was_penalised():
    _, X, y = sampled("SL", 300)
    fit = hs.fit(X, y, "SL", (2, 2), n_starts=4)
    assert fit.status == "converged"
    assert fit.penalty == DEFAULT == hs.Penalty(**fit.settings["penalty"])
    assert fit.log_likelihood == pytest.approx(hs.log_likelihood(fit.measure, X, y), abs=1e-9)
    assert fit.penalised_log_likelihood == pytest.approx(penalised(DEFAULT, fit.measure, X, y), abs=1e-8)
    assert fit.path[-1] == pytest.approx(fit.penalised_log_likelihood, abs=0.01)
    rng, vector = np.random.default_rng(0), fit.measure.to_vector()
    for _ in range(20):
        near = fit.measure.with_vector(vector + 0.03 * rng.normal(size=vector.size))
        assert penalised(DEFAULT, near, X, y) < fit.penalised_log_likelihood
    for text in (repr(fit), repr(fit.summary())):
        assert str(DEFAULT) in " ".join(text.split())
        assert f"penalised log-likelihood {fit.penalised_log_likelihood:.3f}"[:-1] in " ".join(text.split())
    assert "penalis" not in repr(hs.fit_mle(X, y, "SL", (1, 1), n_starts=2))


def test_fits_are_the_same_in_other_units_of_the_data():
    _, X, y = sampled("SS", 200)
    fit = hs.fit(X, y, "SS", (2, 2), n_starts=4)
    other = hs.fit(300.0 + 0.01 * X, 1000.0 * y - 5.0, "SS", (2, 2), n_starts=4)
    shift = 200 * np.log(1000.0)
    assert other.log_likelihood + shift == pytest.approx(fit.log_likelihood, abs=1e-6)
    assert other.penalised_log_likelihood + shift == pytest.approx(fit.penalised_log_likelihood, abs=1e-6)
    np.testing.assert_allclose(np.sort(other.measure.nu) / 1e6, np.sort(fit.measure.nu), rtol=1e-5)


def test_a_fit_never_ends_below_the_smaller_one_written_in_its_shape():
    _, X, y = sampled("LS", 150)
    small = hs.fit(X, y, "LS", (2, 1), n_starts=3)
    large = hs.fit(X, y, "LS", (2, 2), n_starts=3)
    inside = shapes.embed(small.measure, (2, 2), np.random.default_rng(0))
    assert large.penalised_log_likelihood > penalised(DEFAULT, inside, X, y)


def test_a_bound_counts_only_where_the_caller_stated_it():
    x = np.linspace(-1.0, 1.0, 120)
    y = np.where(x > 0.1, 5.0, -5.0) + np.sin(97.0 * x)
    plain = hs.fit_mle(x, y, "SS", (2,), n_starts=4)
    free = hs.fit(x, y, "SS", (2,), penalty=None, n_starts=4)
    assert (plain.status, free.status) == ("boundary", "converged")
    assert free.active_bounds == plain.active_bounds
    bounded = hs.fit(x, y, "SS", (2,), n_starts=4, bounds={"omega": 2.0})
    assert (bounded.status, bounded.converged) == ("boundary", True)
    assert any(name.startswith("omega") for name in bounded.active_bounds)
    inside = hs.fit(x, y, "SS", (2,), n_starts=4, bounds={"omega": 500.0})
    assert inside.status == "converged"
    assert np.ptp(inside.measure.omega) < 60.0


def test_weights_count_rows_in_a_penalised_fit():
    _, X, y = sampled("SS", 120)
    times = 1 + np.arange(120) % 3
    few = hs.fit(X, y, "SS", (2,), n_starts=3, weights=times)
    many = hs.fit(np.repeat(X, times), np.repeat(y, times), "SS", (2,), n_starts=3)
    assert few.penalised_log_likelihood == pytest.approx(many.penalised_log_likelihood, abs=1e-6)


def test_the_m_step_of_starts_is_that_of_the_penalised_likelihood():
    X, y = data()
    terms, rng = SOME.on(gates.of("SS"), (2,), X, y), np.random.default_rng(2)
    r, eta, tau = rng.random((2, y.size)), np.zeros((2, 2)), np.zeros(2)
    eta, tau, nu = em.update_experts(X, y, r, eta, tau, np.ones(2), 1e-9, added=terms.rows)

    def top(log_nu):
        squares = (r * (y - (X @ eta.T + tau).T) ** 2).sum(axis=1)
        return -0.5 * (r.sum(axis=1) * log_nu + squares / np.exp(log_nu)) - terms.of_variances(log_nu)[0]

    assert (top(np.log(nu)) > top(np.log(nu) + 0.01)).all()
    assert (top(np.log(nu)) > top(np.log(nu) - 0.01)).all()


# -- data that maximum likelihood breaks on ----------------------------------------------------------------------------


def nasty(name):
    rng = np.random.default_rng(7)
    if name == "duplicates":
        x = np.repeat(rng.normal(size=8), 10)
        return x, np.repeat(rng.normal(size=8), 10)
    if name == "a line":
        x = rng.normal(size=60)
        return x, 3.0 * x - 1.0
    if name == "two values":
        x = rng.normal(size=80)
        return x, (rng.random(80) < 0.4).astype(float)
    x = rng.normal(size=19)
    return x, x + rng.normal(size=19)


@pytest.mark.parametrize("name", ["duplicates", "a line", "two values", "few rows"])
@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_no_variance_vanishes(name, gating):
    x, y = nasty(name)
    fit = hs.fit(x, y, gating, (2, 2), n_starts=4)
    rest = y - np.polyval(np.polyfit(x, y, 1), x)
    s2, a = max(rest.var(), 1e-6 * y.var()), DEFAULT.variance / y.size
    held = hs.responsibilities(fit.measure, x, y).sum(axis=0)
    least = 2 * a * s2 / (held + 2 * a)  # where all residuals are 0
    assert (fit.measure.nu > 0.99 * np.maximum(least, 1e-6 * y.var())).all()
    assert np.isfinite(fit.log_likelihood)


# -- what comes after --------------------------------------------------------------------------------------------------


def test_a_saved_fit_keeps_its_penalty(tmp_path):
    _, X, y = sampled("SS", 150)
    fit = hs.fit(X, y, "SS", (2,), penalty=SOME, n_starts=3)
    fit.save(tmp_path / "fit.json")
    back = hs.FitResult.load(tmp_path / "fit.json")
    assert back.penalty == SOME
    assert back.penalised_log_likelihood == fit.penalised_log_likelihood
    assert repr(back) == repr(fit)
    known = back.with_data(X, y)
    np.testing.assert_array_equal(known.cov_params(), fit.cov_params())


def test_samples_of_the_bootstrap_are_fitted_with_the_penalty():
    _, X, y = sampled("SS", 150)
    strong = hs.Penalty(variance=0.0, ridge=500.0)
    fit = hs.fit(X, y, "SS", (2,), penalty=strong, n_starts=3)
    free = hs.fit(X, y, "SS", (2,), penalty=None, n_starts=3)
    spread, wide = (f.bootstrap(6).params["omega[0,0]"].abs().max() for f in (fit, free))
    assert spread < 0.3 * wide


@pytest.mark.parametrize("gating", ["SS", "LS"])
def test_information_and_score_of_inference_are_those_of_what_was_maximised(gating):
    _, X, y = sampled(gating, 400)
    strong = hs.Penalty(variance=400.0, ridge=20.0)
    fit = hs.fit(X, y, gating, (2, 2), penalty=strong, n_starts=2)
    assert fit.curvature.short < 1e-4
    place = fit.curvature.coordinates
    values, h = place.values, 1e-4

    def top(v):
        return penalised(strong, place.at(v), X, y)

    k = [i for i, name in enumerate(place.names) if name.startswith(("log_nu", "tau", "beta"))]
    moved = [values + h * np.eye(values.size)[i] for i in k]
    back = [values - h * np.eye(values.size)[i] for i in k]
    bend = [(2 * top(values) - top(up) - top(down)) / h**2 for up, down in zip(moved, back, strict=True)]
    np.testing.assert_allclose(1.0 / fit.curvature.own[k] ** 2, bend, rtol=1e-3)


def test_the_log_likelihood_falls_along_steps_as_the_penalised_one_does():
    _, X, y = sampled("SS", 400)
    strong = hs.Penalty(variance=400.0, ridge=20.0)
    fit = hs.fit(X, y, "SS", (2, 2), penalty=strong, n_starts=2)
    seen, place = fit.curvature, fit.curvature.coordinates
    ends = [[place.at(place.values + side * step) for side in (-2.0, 2.0)] for step in seen.steps.T]
    top = penalised(strong, place.measure, X, y)
    falls = [[top - penalised(strong, G, X, y) for G in pair] for pair in ends]
    np.testing.assert_allclose(seen.drops, falls, atol=1e-8)
    assert np.median(np.abs(seen.drops - 2.0)) < 0.1


# -- warnings ----------------------------------------------------------------------------------------------------------


def said_of(problem, G):
    z = problem.from_measure(G)
    return certificate.warnings(problem, z, problem.derivatives(z, 0.0)[1])


def test_warnings_name_small_variances_and_experts_that_coincide():
    G, X, y = sampled("SS", 2000)
    clean = said_of(Problem(X, y, "SS", (2, 2)), G)
    assert clean == ()
    G = G.replace(nu=[0.4, 0.4, 0.4, 0.002])
    X, y = hs.sample(G, 2000, x=hs.Uniform(-3, 3), seed=0)
    (said,) = said_of(Problem(X, y, "SS", (2, 2)), G)
    assert said.startswith("expert 3 with ")
    assert "variance 0.002: 1/1" in said
    assert said.endswith("of the mean variance of rows")
    twice = G.replace(eta=G.eta[[0, 1, 2, 2]], tau=G.tau[[0, 1, 2, 2]] + [0, 0, 0, 0.3], nu=[0.4] * 4)
    assert said_of(Problem(X, y, "SS", (2, 2)), twice)[-1].startswith("experts 2 and 3 are 0.47 standard deviations")


def test_warnings_name_bounds_that_nobody_stated_and_that_matter():
    x, y = nasty("two values")
    least = 1e-6 * y.var()
    for bounds, named in ((None, True), ({"nu": (least, 1.0)}, False)):
        fit = hs.fit_mle(x, y, "SS", (2,), n_starts=4, bounds=bounds)
        assert fit.measure.nu.min() < 1.01 * least
        assert any(text.startswith("log_nu[") and "lies on the default box" in text for text in fit.warnings) == named


@pytest.mark.parametrize("penalty", [None, DEFAULT])
def test_a_gate_that_separates_the_data_is_named_with_its_log_odds(penalty):
    x = np.concatenate([np.linspace(-2.0, -1.0, 60), np.linspace(1.0, 2.0, 60)])
    y = np.where(x > 0.0, 5.0, -5.0) + np.sin(97.0 * x)
    G = hs.MixingMeasure(gating="SS", k2=(1, 1), a=[[10.0], [-10.0]], b=[0.0, 0.0], omega=[[0.0], [0.0]],
                         beta=[0.0, 0.0], eta=[[0.0], [0.0]], tau=[5.0, -5.0], nu=[0.5, 0.5])  # fmt: skip
    said = said_of(Problem(x[:, None], y, "SS", (1, 1), penalty=penalty), G)
    (text,) = (text for text in said if "separates" in text)
    assert text.endswith("with log-odds of 20.0 or more in every row")
    assert ("the penalty alone" in text) == (penalty is not None)


# -- the unit of Laplace gates -----------------------------------------------------------------------------------------


def test_a_scale_is_per_standard_deviation_and_fits_do_not_depend_on_units():
    _, X, y = sampled("LL", 300)
    fits = [hs.fit(unit * X + shift, y, "LL", (2,), n_starts=4) for unit, shift in ((1.0, 0.0), (10.0, -4.0))]
    for unit, fit in zip((1.0, 10.0), fits, strict=True):
        assert fit.measure.laplace_scale == pytest.approx(own.SCALE / (unit * X.std(axis=0)))
    assert fits[1].log_likelihood == pytest.approx(fits[0].log_likelihood, abs=1e-7)
    assert fits[1].measure.a == pytest.approx(10.0 * fits[0].measure.a - 4.0, rel=1e-5)
    again = hs.fit(X, y, "LL", (2,), start=fits[0], n_starts=1)
    assert (again.measure.laplace_scale == fits[0].measure.laplace_scale).all()


def test_a_profiled_scale_is_the_best_of_those_tried_and_counts_as_a_parameter():
    _, X, y = sampled("SL", 150)
    fit = hs.fit(X, y, "SL", (2, 1), laplace_scale="profile", n_starts=2)
    profile = fit.settings["profile"]
    assert len(profile["scale"]) == len(own.PROFILE) + 2
    assert fit.penalised_log_likelihood == max(profile["value"])
    best = profile["scale"][int(np.argmax(profile["value"]))]
    alone = hs.fit(X, y, "SL", (2, 1), laplace_scale=best, n_starts=2)
    assert alone.measure == fit.measure
    assert fit.df == alone.df + 1
    assert fit.aic == pytest.approx(2.0 * fit.df - 2.0 * fit.log_likelihood)
    assert "scale" in str(fit.summary())


@pytest.mark.parametrize(
    ("gating", "scale", "said"),
    [
        ("SS", 2.0, "laplace_scale must be None without a Laplace gate"),
        ("SQ", "profile", "laplace_scale must be None without a Laplace gate"),
        ("SL", "best", 'laplace_scale must be a number of at least 0 or "profile"'),
        ("SL", [1.0, 2.0], "laplace_scale must be a number of at least 0, or 1 of them"),
        ("SL", -1.0, "laplace_scale must be a number of at least 0"),
    ],
)
def test_a_scale_that_is_none_is_refused(gating, scale, said):
    _, X, y = sampled("SS", 60)
    with pytest.raises(ValueError, match=re.escape(said)):
        hs.fit(X, y, gating, (2,), laplace_scale=scale)


def test_a_start_whose_scale_is_the_same_but_for_rounding_is_one():
    G = hs.datasets.truth("C2", "LL")
    X, y = hs.sample(G, 500, x=hs.Uniform(-3, 3), seed=np.random.SeedSequence(2025, spawn_key=(500, 0)))
    scales = {"laplace_scale": X.std()}, {}
    stated, left = (hs.fit(X, y, "LL", G.k2, start=G, n_starts=1, **scale) for scale in scales)
    assert stated.log_likelihood == pytest.approx(left.log_likelihood, rel=1e-12)
    with pytest.raises(ValueError, match="start must have laplace_scale"):
        hs.fit(X, y, "LL", G.k2, start=G, n_starts=1, laplace_scale=1.001 * X.std())
