"""Mixtures of categorical experts: the measure and its kernels, and their fits."""

import json
import pickle

import naive
import numpy as np
import pandas as pd
import pytest

import hmoe_stats as hs
from hmoe_stats.fitting.class_problem import ClassProblem
from hmoe_stats.frames import RowsLeftOut
from hmoe_stats.gates import GATINGS

VIEWS = {"all": {}, "some": {"gate_columns": (2, 0), "expert_columns": (1,)}}
gatings = pytest.mark.parametrize("gating", GATINGS)
shapes = pytest.mark.parametrize(
    ("k2", "d", "n_classes"), [((1,), 1, 2), ((3,), 2, 3), ((1, 1), 3, 2), ((2, 3), 1, 4), ((1, 3, 2), 3, 5)]
)


def case(rng, gating="SS", k2=(2, 2), d=2, n_classes=3, n=300, **view):
    """A measure, and X and codes of classes drawn from it."""
    G = naive.random_classes(rng, gating, k2, d, n_classes, **view)
    X = rng.uniform(-2.0, 2.0, (n, d))
    P = np.cumsum(naive.class_probabilities(G, X), axis=1)
    return G, X, (P < rng.random(n)[:, None]).sum(axis=1)


def problem_of(G, X, y, ridge=(0.3, 0.7), weights=None):
    rows = G.rows(X, y, weights)
    view = {name: getattr(G, name) for name in ("laplace_scale", "gate_columns", "expert_columns")}
    return ClassProblem(rows, G.classes, G.gating, G.k2, view, ridge)


# -- the measure and its kernels --------------------------------------------------------------------------------------
@gatings
@shapes
def test_values_agree_with_the_oracle(rng, gating, k2, d, n_classes):
    G, X, y = case(rng, gating, k2, d, n_classes)
    want = naive.class_log_density(G, X, y)
    np.testing.assert_allclose(G.log_density(X, y), want, rtol=1e-12, atol=1e-12)
    assert G.log_likelihood(X, y) == pytest.approx(want.sum(), rel=1e-12)
    np.testing.assert_allclose(G.predict_proba(X), naive.class_probabilities(G, X), rtol=1e-11)
    np.testing.assert_allclose(G.gate_weights(X), naive.gate_weights(G, X), rtol=1e-11)
    joint = naive.class_log_joint(G, X, y)
    np.testing.assert_allclose(G.responsibilities(X, y), np.exp(joint - want[:, None]), rtol=1e-10, atol=1e-250)
    assert (G.predict(X) == naive.class_probabilities(G, X).argmax(axis=1)).all()


@gatings
@shapes
@pytest.mark.parametrize("weighted", [False, True])
def test_the_score_is_the_complex_step_of_the_log_likelihood(rng, gating, k2, d, n_classes, weighted):
    G, X, y = case(rng, gating, k2, d, n_classes)
    weights = rng.uniform(0.1, 3.0, len(X)) if weighted else None
    want = naive.class_score(G, X, y, 1.0 if weights is None else weights)
    np.testing.assert_allclose(G.score(X, y, weights), want, rtol=1e-10, atol=1e-10)


@gatings
@shapes
def test_the_information_is_that_of_derivatives_of_probabilities(rng, gating, k2, d, n_classes):
    G, X, _ = case(rng, gating, k2, d, n_classes, n=60)
    want = naive.class_information(G, X)
    np.testing.assert_allclose(G.information(X), want, rtol=1e-9, atol=1e-9 * np.abs(want).max())
    twice = G.information(X, np.full(len(X), 2.0))
    np.testing.assert_allclose(twice, 2.0 * want, rtol=1e-9, atol=1e-9 * np.abs(want).max())


@gatings
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_columns_that_are_not_seen(rng, gating, view):
    scale = {"laplace_scale": rng.uniform(0.5, 2.0, 3)} if "L" in gating else {}
    G, X, y = case(rng, gating, (2, 2), 3, **view)
    G = G.replace(**scale)
    assert G.wide().d_gate == 3
    np.testing.assert_allclose(G.wide().log_density(X, y), G.log_density(X, y), rtol=1e-12)
    assert G.wide().narrow(**view) == G
    np.testing.assert_allclose(G.score(X, y), naive.class_score(G, X, y), rtol=1e-10, atol=1e-10)
    want = naive.class_information(G, X)
    np.testing.assert_allclose(G.information(X), want, rtol=1e-9, atol=1e-9 * np.abs(want).max())
    assert len(G.parameter_names()) == G.n_parameters == G.to_vector().size


@gatings
def test_log_odds_that_no_double_holds_have_densities(rng, gating):
    G, X, y = case(rng, gating)
    steep = G.with_vector(3e3 * G.to_vector())
    np.testing.assert_allclose(steep.log_density(X, y), naive.class_log_density(steep, X, y), rtol=1e-11, atol=1e-9)
    assert np.isfinite(steep.score(X, y)).all()


@gatings
@pytest.mark.parametrize("classes", [("a", "b", "c"), (3, 1, 2), (0.5, -1.0, 2.5)])
def test_measures_are_written_copied_and_compared(rng, gating, classes):
    G = naive.random_classes(rng, gating, (1, 2), 2).replace(classes=classes)
    again = hs.CategoricalMeasure.from_dict(json.loads(json.dumps(G.to_dict())))
    for other in (again, pickle.loads(pickle.dumps(G)), G.with_vector(G.to_vector())):
        assert other == G
        assert hash(other) == hash(G)
        assert other.classes == classes
    assert G != G.replace(classes=(7, 8, 9))
    assert G != G.replace(tau=G.tau + 1e-12)
    assert G.allclose(G.replace(tau=G.tau + 1e-14))
    assert len(G.to_frame()) == 6
    assert "CategoricalMeasure" in repr(G)
    assert not G.eta.flags.writeable
    X = rng.normal(size=(20, 2))
    moved = G.canonical()
    np.testing.assert_allclose(moved.predict_proba(X), G.predict_proba(X), rtol=1e-10)


def test_two_classes_of_any_kind(rng):
    for classes in [(False, True), ("no", "yes"), (-1, 1)]:
        G = naive.random_classes(rng, "SL", (2,), 1, 2).replace(classes=classes)
        X, y = hs.sample_categorical(G, 50, hs.Uniform(-1, 1), 0)
        assert set(y.tolist()) == set(classes)
        assert np.isfinite(G.log_density(X, y)).all()
        assert np.isfinite(G.log_density(X, pd.Series(y))).all()
        assert np.isfinite(G.log_density(X, pd.Categorical(y))).all()


@gatings
def test_samples_have_the_probabilities_of_the_measure(gating):
    G = naive.random_classes(np.random.default_rng(5), gating, (2, 1), 1, 3).replace(classes=("u", "v", "w"))
    X, y = hs.sample_categorical(G, 40_000, hs.Uniform(-1, 1), 3)
    again = hs.sample_categorical(G, 40_000, hs.Uniform(-1, 1), 3)[1]
    assert (again == y).all()
    for low, high in ((-1.0, 0.0), (0.0, 1.0)):
        here = (X[:, 0] >= low) & (X[:, 0] < high)
        share = (y[here, None] == np.array(G.classes)).mean(axis=0)
        np.testing.assert_allclose(share, G.predict_proba(X[here]).mean(axis=0), atol=0.015)


WRONG = {
    "one class": ({"eta": np.zeros((3, 0, 2)), "tau": np.zeros((3, 0))}, "tau must be an array of shape"),
    "labels twice": ({"classes": (1, 1, 2)}, "classes must be at least two different labels"),
    "labels mixed": ({"classes": (1, "a", 2)}, "classes must be at least two different labels"),
    "a label missing": ({"classes": (1, 2)}, r"eta must have shape \(3, 1, any\)"),
    "text for labels": ({"classes": "abc"}, "classes must be"),
    "eta of one axis less": ({"eta": np.zeros((3, 2))}, "eta must have shape"),
    "tau of another shape": ({"tau": np.zeros((3, 3)), "classes": (1, 2, 3)}, r"tau must have shape \(3, 2\)"),
    "NaN": ({"tau": np.full((3, 2), np.nan)}, "tau must be finite"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_measures_that_are_none(rng, changes, message):
    with pytest.raises(ValueError, match=message):
        naive.random_classes(rng, "SS", (1, 2), 2).replace(**{"classes": None} | changes)


LABELS = {
    "none": (np.array([]), "labels"),
    "a table": (np.zeros((3, 2)), "one-dimensional"),
    "text": ("abc", "labels"),
    "missing": ([0, None, 1], "got None"),
    "NaN": ([0.0, np.nan, 1.0], "y must be finite; got 1 NaN"),
    "mixed": ([0, "1", 2], "several kinds"),
    "dates": (np.array(["2020-01-01"] * 3, dtype="M8[D]"), "labels"),
    "unknown": ([0, 1, 7], "y must be among the classes"),
    "too few": ([0, 1], "as many entries as X has rows, 3"),
    "masked": (np.ma.masked_array([0, 1, 2], [0, 1, 0]), "masked"),
    "a dict": ({}, "labels"),
    "nothing": (None, "labels"),
}


@pytest.mark.parametrize(("y", "message"), LABELS.values(), ids=LABELS)
def test_labels_that_are_none(rng, y, message):
    G = naive.random_classes(rng, "SS", (2,), 1, 3)
    with pytest.raises(ValueError, match=message):
        G.log_density(np.zeros((3, 1)), y)


# -- the problem ------------------------------------------------------------------------------------------------------
@gatings
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_coordinates_and_measures_are_one_another(rng, gating, view):
    G, X, y = case(rng, gating, (2, 1), 3, **view)
    X = X * [1.0, 20.0, 0.1] + [0.0, 30.0, 5.0]
    problem = problem_of(G, X, y)
    z = np.where(problem.free, problem.rest + 0.5 * rng.normal(size=problem.p), problem.rest)
    H = problem.to_measure(z)
    assert problem.log_likelihood(z) == pytest.approx(H.log_likelihood(X, y), rel=1e-11)
    again = problem.from_measure(H)
    assert problem.log_likelihood(again) == pytest.approx(H.log_likelihood(X, y), rel=1e-11)
    if not view:
        assert problem.ridges(z)[0] == pytest.approx(naive.class_penalty(H, X, (0.3, 0.7)), rel=1e-9)


@gatings
def test_the_gradient_in_coordinates_is_that_of_differences(rng, gating):
    G, X, y = case(rng, gating, (2, 1), 2)
    weights = rng.uniform(0.5, 2.0, len(X))
    problem = problem_of(G, X * [1.0, 30.0] + [0.0, 40.0], y, weights=weights)
    z = np.where(problem.free, problem.rest + 0.5 * rng.normal(size=problem.p), problem.rest)
    for eps in (0.0, 0.1):
        want = naive.central(lambda v, eps=eps: problem.value(v, eps), z)
        np.testing.assert_allclose(
            problem.derivatives(z, eps)[1], np.where(problem.free, want, 0.0), atol=1e-6 * np.abs(want).max()
        )


@gatings
def test_em_steps_rise(rng, gating):
    G, X, y = case(rng, gating, (2, 2), 2)
    problem = problem_of(G, X, y)
    z = np.where(problem.free, 0.5 * rng.normal(size=problem.p), problem.rest)
    values = [problem.value(problem.warmed(z, problem.smoothing, steps), problem.smoothing) for steps in (0, 1, 5, 20)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 1.0


# -- fits -------------------------------------------------------------------------------------------------------------
FEW = {"n_starts": 3, "seed": 0}


@gatings
@pytest.mark.parametrize("k2", [(2,), (2, 1)])
def test_a_fit_is_at_least_as_good_as_the_truth_and_its_score_vanishes(rng, gating, k2):
    G, X, y = case(rng, gating, k2, 2, n=400)
    scale = {"laplace_scale": X.std(axis=0)} if "L" in gating else {}
    ridge = (0.1, 1.0)
    fit = hs.fit_categorical(X, y, gating, k2, start=G, **FEW, **scale)
    assert fit.status == "converged", fit.message
    assert fit.penalised_log_likelihood >= G.log_likelihood(X, y) - naive.class_penalty(G, X, ridge)
    assert fit.log_likelihood == pytest.approx(fit.measure.log_likelihood(X, y), rel=1e-12)
    taken = naive.class_penalty(fit.measure, X, ridge)
    assert fit.penalised_log_likelihood == pytest.approx(fit.log_likelihood - taken, rel=1e-10)
    problem = problem_of(fit.measure, X, y, ridge)
    z = problem.from_measure(fit.measure)
    assert np.abs(problem.derivatives(z, fit.smoothing)[1]).max() / len(X) < 1e-5


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("rho", [0.2, 3.0])
def test_one_expert_is_the_logistic_regression_of_scikit_learn(rng, n_classes, rho):
    linear_model = pytest.importorskip("sklearn.linear_model")
    G, X, y = case(rng, "SS", (2, 1), 3, n_classes, n=500)
    X = X * [1.0, 50.0, 0.01] + [0.0, 100.0, 3.0]
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    C = (2.0 if n_classes == 2 else 1.0) / rho
    other = linear_model.LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(Z, y)
    slopes = other.coef_ if n_classes > 2 else np.stack([-other.coef_[0], other.coef_[0]]) / 2.0
    value = np.log(other.predict_proba(Z)[np.arange(len(y)), y]).sum() - 0.5 * rho * (slopes**2).sum()
    fit = hs.fit_categorical(X, y, "SS", (1,), ridge=rho)
    assert fit.penalised_log_likelihood == pytest.approx(value, abs=1e-6)
    np.testing.assert_allclose(fit.predict_proba(X), other.predict_proba(Z), atol=1e-5)


@pytest.mark.parametrize(("gating", "k2", "key"), [("SS", (2,), 11), ("SQ", (2,), 12), ("QS", (1, 1), 12)])
def test_several_experts_end_where_plain_em_does(gating, k2, key):
    G, X, y = case(np.random.default_rng(key), gating, k2, 1, 3, n=60)
    P, path = naive.class_em(G, X, y, (1.0, 1.0))
    assert (np.diff(path) > -1e-9).all()
    fit = hs.fit_categorical(X, y, gating, k2, ridge=1.0, start=G, n_starts=1)
    assert fit.penalised_log_likelihood == pytest.approx(path[-1], abs=1e-6)
    np.testing.assert_allclose(fit.predict_proba(X), P.predict_proba(X), atol=1e-3)


def test_of_two_optima_the_other_one_is_kept_where_a_fit_starts_there():
    """From the truth plain EM leads to the lower one here; both are optima of the fit."""
    G, X, y = case(np.random.default_rng(11), "QS", (1, 1), 1, 3, n=60)
    P, path = naive.class_em(G, X, y, (1.0, 1.0))
    values = [
        hs.fit_categorical(X, y, "QS", (1, 1), ridge=1.0, start=start, n_starts=1).penalised_log_likelihood
        for start in (P, G)
    ]
    assert values[0] == pytest.approx(path[-1], abs=1e-6)
    assert values[1] > values[0] + 0.05


def test_a_larger_model_does_not_fall_below_the_smaller_one_written_in_it(rng):
    _, X, y = case(rng, "LS", (2, 2), 2, n=300)
    small = hs.fit_categorical(X, y, "LS", (2,), **FEW)
    large = hs.fit_categorical(X, y, "LS", (2, 1), **FEW)
    assert large.log_likelihood > small.log_likelihood - 5.0
    kinds = set(large.starts["kind"])
    assert "embedded" in kinds
    assert large.starts["penalised_log_likelihood"].is_monotonic_decreasing


def test_fits_do_not_depend_on_units_weights_or_labels(rng):
    _, X, y = case(rng, "SL", (2,), 2, n=250)
    fit = hs.fit_categorical(X, y, "SL", (2,), **FEW)
    other = hs.fit_categorical(X * [10.0, 0.1] + [5.0, -3.0], y, "SL", (2,), **FEW)
    assert other.penalised_log_likelihood == pytest.approx(fit.penalised_log_likelihood, abs=1e-3)
    names = np.array(["x", "y", "z"])[y]
    named = hs.fit_categorical(X, names, "SL", (2,), **FEW)
    assert named.classes == ("x", "y", "z")
    assert named.log_likelihood == fit.log_likelihood
    assert (named.predict(X) == np.array(["x", "y", "z"])[fit.predict(X)]).all()
    again = hs.fit_categorical(X, y, "SL", (2,), **FEW)
    assert again.measure == fit.measure
    start, weights = fit.measure, rng.integers(0, 3, len(X))
    weights[:3] = 1
    few = hs.fit_categorical(X, y, "SL", (2,), start=start, n_starts=1, weights=weights)
    rows = np.repeat(np.arange(len(X)), weights)
    written = hs.fit_categorical(X[rows], y[rows], "SL", (2,), start=few.measure, n_starts=1)
    assert few.penalised_log_likelihood == pytest.approx(written.penalised_log_likelihood, abs=1e-6)
    assert few.nobs == weights.sum()


# -- what a fit says --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(8)
    _, X, y = case(rng, "SL", (2,), 2, n=250)
    X = pd.DataFrame(X, columns=["speed", "mass"])
    y = pd.Series(np.array(["p", "q", "r"])[y], name="kind")
    return hs.fit_categorical(X, y, "SL", (2,), **FEW), X, y


def test_information_and_covariance_are_of_the_free_parameters(fitted):
    fit, X, _ = fitted
    names = fit.params.index.tolist()
    assert fit.df == len(names) == 4 + 1 + 12  # centres, one intercept, 2 experts x 2 logits x 3
    assert "eta[1,q,mass]" in names
    assert "beta[1]" not in names
    full, all_names = fit.measure.information(X), fit.measure.parameter_names(["speed", "mass"])
    index = [all_names.index(name) for name in names]
    np.testing.assert_allclose(fit.information(), full[np.ix_(index, index)])
    problem = problem_of(fit.measure, X, fit.measure.labels[fit.data.codes], fit.ridge)

    def slope(v):
        """The gradient of the ridge in `to_vector`, by differences."""
        return naive.central(lambda w: naive.class_penalty(naive.class_at(fit.measure, w), X.to_numpy(), fit.ridge), v)

    bend = naive.central(slope, fit.measure.to_vector(), 1e-3)[np.ix_(index, index)]
    assert problem.n == fit.nobs == 250
    cov = fit.cov_params()
    np.testing.assert_allclose(np.linalg.inv(cov), fit.information() + bend, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(fit.bse, np.sqrt(np.diag(cov)))
    assert fit.aic == pytest.approx(2 * fit.df - 2 * fit.log_likelihood)


def test_files_bring_back_every_number(fitted, tmp_path):
    fit, X, y = fitted
    fit.save(tmp_path / "fit.json")
    again = hs.CategoricalResult.load(tmp_path / "fit.json")
    assert again.measure == fit.measure
    for name in ("log_likelihood", "status", "ridge", "x_names", "y_name", "warnings", "settings", "smoothing"):
        assert getattr(again, name) == getattr(fit, name), name
    assert again.starts.equals(fit.starts)
    assert repr(again) == repr(fit)
    with pytest.raises(ValueError, match="must know its data"):
        again.information()
    assert again.with_data(X, y).bse.equals(fit.bse)
    with pytest.raises(ValueError, match="must be those of the fit"):
        again.with_data(X, y.iloc[::-1].set_axis(y.index))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="path must lead to a fit saved by"):
        hs.CategoricalResult.load(tmp_path / "other.json")


def test_what_is_not_identified_is_named_and_has_no_standard_error(rng):
    """d = 1, (2, 2), SS: two levels of softmax gates and four experts are more than a class given one x can tell."""
    _, X, y = case(rng, "SS", (2, 2), 1, 2, n=200)
    fit = hs.fit_categorical(X, y, "SS", (2, 2), n_starts=1)
    flat = fit.null_directions(1e-6)
    assert len(flat) >= 1
    assert flat["information"].is_monotonic_increasing
    assert flat["direction"].str.contains("eta|tau|omega|beta|a|b").all()
    assert fit.bse.isna().any()
    with pytest.raises(ValueError, match="parameters are not identified"):
        fit.cov_params()


def test_collapse_rare_classes_and_separation_are_said_in_words(rng):
    X = rng.normal(size=(120, 1))
    y = (X[:, 0] > 0).astype(int)
    fit = hs.fit_categorical(X, y, "SS", (2,), ridge=1e-6, n_starts=1)
    assert any("separated" in text for text in fit.warnings)
    noise = rng.integers(0, 2, 120)
    noise[:2] = 2
    zero = np.zeros((2, 1))
    alike = hs.CategoricalMeasure(
        gating="SS",
        k2=(2,),
        a=[0.0],
        b=[0.0],
        omega=zero,
        beta=[0.0, 0.0],
        eta=np.zeros((2, 2, 1)),
        tau=np.zeros((2, 2)),
    )
    said = hs.fit_categorical(X, noise, "SS", (2,), start=alike, n_starts=1).warnings
    assert any("class 2 has 2 rows" in text for text in said)
    assert any("collapsed into one, which the ridge favours" in text for text in said)


ODD = {
    "gating": (None, "SX", 3),
    "k2": (0, (), "2", (1.5,)),
    "ridge": (-1.0, np.nan, np.inf, "no", {"gate": 1.0}, {"experts": None}, True),
    "start": ("x", {}, hs.datasets.truth("C2", "SS")),
    "n_starts": (0, 1.5, "3"),
    "tol": (0.0, -1.0, "x", np.nan),
    "max_iter": (0, 2.5),
    "seed": (-1, "a", 0.5),
    "weights": (np.ones(3), -np.ones(30), np.zeros(30), "x"),
    "laplace_scale": (1.0, "profile"),
    "gate_columns": (5, "speed", (0, 0)),
    "expert_columns": (-1, 1.0),
    "X": (np.zeros((29, 2)), np.full((30, 2), np.nan), "x", np.zeros((30, 0))),
    "y": (np.zeros(30), np.full(30, np.nan), np.arange(29), "x", None, np.zeros((30, 2))),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ODD.items() for value in values])
def test_arguments_that_do_not_fit_are_named(name, value):
    rng = np.random.default_rng(0)
    given = {"X": rng.normal(size=(30, 2)), "y": rng.integers(0, 2, 30), "gating": "SS", "k2": (2,)}
    with pytest.raises(ValueError, match=rf"^{'X|y|' if name in 'Xy' else ''}{name}"):
        hs.fit_categorical(**given | {name: value})


@pytest.mark.parametrize("number", range(12))
def test_any_data_have_a_fit(number):
    """Constant columns, few rows, huge and tiny units, equal rows, rare classes."""
    rng = np.random.default_rng(number)
    gating, k2, n, d = GATINGS[number % len(GATINGS)], [(2,), (1, 1), (1,)][number % 3], [3, 12, 40][number // 4], 2
    X = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-9, 9, d) + rng.choice([0.0, 1e3])
    X[:, 1] = [X[0, 1], *X[1:, 1]] if number % 2 else 3.0
    y = np.append([0, 1], rng.integers(0, 1 + number % 4, n - 2))
    fit = hs.fit_categorical(X, y, gating, k2, n_starts=1, max_iter=100)
    assert fit.status in ("converged", "boundary", "max_iter")
    P = fit.predict_proba(X)
    np.testing.assert_allclose(P.sum(axis=1), 1.0)
    assert np.isfinite(fit.penalised_log_likelihood)
    assert fit.log_likelihood == pytest.approx(fit.log_density(X, y).sum(), rel=1e-6, abs=1e-6)


def test_frames_are_taken_as_by_other_fits_and_a_saved_fit_reads_new_ones(rng, tmp_path):
    frame = pd.DataFrame({"size": rng.normal(size=80), "colour": rng.choice(["blue", "green", "red"], 80)})
    frame.loc[3, "size"] = np.nan
    y = np.where(frame["colour"] == "red", "a", np.where(frame["size"] > 0, "b", "c"))
    with pytest.warns(RowsLeftOut, match="1 of 80 rows"):
        fit = hs.fit_categorical(frame, y, "SS", (2,), n_starts=2, gate_columns=["colour"])
    whole = frame.drop(index=3)
    dummies = np.column_stack([whole["size"], whole["colour"] == "green", whole["colour"] == "red"]).astype(float)
    plain = hs.fit_categorical(dummies, np.delete(y, 3), "SS", (2,), n_starts=2, gate_columns=[1, 2])
    assert fit.measure == plain.measure
    assert fit.x_names == ("size", "colour[green]", "colour[red]")
    assert fit.warnings[0].startswith("1 of 80 rows left out")
    fit.save(tmp_path / "fit.json")
    again, new = hs.CategoricalResult.load(tmp_path / "fit.json"), whole[["colour", "size"]].assign(more=1)
    np.testing.assert_array_equal(again.predict_proba(new), plain.predict_proba(dummies))
    np.testing.assert_array_equal(again.log_density(new, np.delete(y, 3)), plain.log_density(dummies, np.delete(y, 3)))
    found = hs.specialization(again, new, np.delete(y, 3), n_boot=0)
    assert found.values == hs.specialization(plain, dummies, np.delete(y, 3), n_boot=0).values
