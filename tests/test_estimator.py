"""The scikit-learn face: its own conventions, and that it says what the fit says."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hmoe_stats as hs

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from hmoe_stats.estimator import HMoEClassifier, HMoERegressor, joined
from hmoe_stats.fitting.answers import Data

QUICK = {"n_starts": 1, "effort": "quick", "random_state": 0}
G = hs.datasets.truth("C2", "SS")


def sample(n=300, seed=1):
    return hs.sample(G, n, x=hs.Uniform(-3, 3), seed=seed)


@pytest.fixture(scope="module")
def fitted():
    X, y = sample()
    return HMoERegressor("SS", (2, 2), **QUICK).fit(X, y), X, y


# -- conventions ------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::UserWarning")  # rows are few in many checks, and fits are warned of
@parametrize_with_checks([HMoERegressor("SS", (2,), **QUICK), HMoERegressor("LL", (2, 1), **QUICK)])
def test_it_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)


def test_no_check_fails_or_is_expected_to_and_none_is_skipped_that_could_run():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(HMoERegressor("LL", (1,), **QUICK), on_fail=None, on_skip=None)
    left = {check["check_name"] for check in found if check["status"] != "passed"}
    assert len(found) > 50
    assert left <= {"check_array_api_input"}  # needs an environment variable


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of fits to half of the rows
def test_pipelines_searches_and_cross_validation_take_it():
    X, y = sample()
    line = make_pipeline(StandardScaler(), HMoERegressor("SS", **QUICK))
    search = GridSearchCV(line, {"hmoeregressor__k2": [(1,), (2, 2)]}, cv=2).fit(X, y)
    assert search.best_params_ == {"hmoeregressor__k2": (2, 2)}
    assert cross_val_predict(clone(line), X, y, cv=2).shape == y.shape


def test_it_names_its_columns_where_output_is_set(fitted):
    model, X, y = fitted
    frame = pd.DataFrame(X, columns=["speed"])
    model = clone(model).set_output(transform="pandas").fit(frame, y)
    gates = model.transform(frame)
    assert list(gates) == [f"hmoeregressor{j}" for j in range(4)]
    np.testing.assert_allclose(gates.sum(axis=1), 1.0)
    assert model.fit_result_.x_names == ("speed",)


# -- what it says is what the fit says --------------------------------------------------------------------------------
def test_it_is_the_fit_of_the_function(fitted):
    model, X, y = fitted
    fit = hs.fit(X, y, "SS", (2, 2), n_starts=1, effort="quick", seed=0)
    assert model.fit_result_.measure == fit.measure
    np.testing.assert_array_equal(model.predict(X), fit.predict(X))
    np.testing.assert_array_equal(model.predict_quantile(X, (0.1, 0.9)), fit.predict_quantile(X, (0.1, 0.9)))
    np.testing.assert_array_equal(model.score_samples(X, y), hs.log_density(fit, X, y))
    assert model.k2_ == (2, 2)
    drawn = clone(model).set_params(random_state=np.random.RandomState(3)).fit(X, y).fit_result_
    assert drawn.measure != fit.measure
    assert drawn.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-6)


def densities(model, X):
    """y on a fine grid, and the densities (m, grid) there given each row of X."""
    y = np.linspace(-14, 14, 20001)
    return y, np.stack([model.fit_result_.predict_density(np.repeat(x[None], y.size, axis=0), y) for x in X])


def test_standard_deviations_are_those_of_the_law_of_y(fitted):
    model, X, _ = fitted
    mean, sd = model.predict(X[:3], return_std=True)
    y, p = densities(model, X[:3])
    np.testing.assert_allclose(np.trapezoid(p * y, y), mean, atol=1e-8)
    np.testing.assert_allclose(np.trapezoid(p * (y - mean[:, None]) ** 2, y), sd**2, rtol=1e-8)


def test_without_y_a_score_is_what_is_to_be_expected(fitted):
    model, X, _ = fitted
    y, p = densities(model, X[:3])
    want = np.trapezoid(p * np.log(np.maximum(p, 1e-300)), y)
    np.testing.assert_allclose(model.score_samples(X[:3]), want, atol=1e-4)


def test_leaves_and_paths_are_those_of_the_gates(fitted):
    model, X, y = fitted
    fit = model.fit_result_
    np.testing.assert_array_equal(model.apply(X), hs.gate_weights(fit, X).argmax(axis=1))
    by_y = model.apply(X, y)
    np.testing.assert_array_equal(by_y, hs.responsibilities(fit, X, y).argmax(axis=1))
    assert (by_y != model.apply(X)).any()
    path = model.decision_path(X, y).toarray()
    assert path.shape == (len(y), 1 + 2 + 4)
    assert (path.sum(axis=1) == 3).all()
    assert (path[:, 0] == 1).all()
    np.testing.assert_array_equal(path[:, 1:3].argmax(axis=1), fit.measure.group[by_y])
    np.testing.assert_array_equal(path[:, 3:].argmax(axis=1), by_y)


# -- weights ----------------------------------------------------------------------------------------------------------
def test_weights_are_repetitions_to_the_last_bit(rng):
    X, y = sample(150)
    times = rng.integers(0, 4, y.size)
    shuffled = rng.permutation(y.size)
    model = HMoERegressor("LL", (2, 2), **QUICK)
    weighted = clone(model).fit(X[shuffled], y[shuffled], sample_weight=times[shuffled]).fit_result_
    repeated = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times)).fit_result_
    assert weighted.measure == repeated.measure
    assert repeated.nobs == weighted.nobs == times.sum()
    np.testing.assert_array_equal(repeated.data.y, np.repeat(y, times))  # in the caller's order


def test_equal_rows_are_joined_and_others_left_alone():
    X, y = np.array([[2.0], [1.0], [2.0], [1.0]]), np.array([1.0, 0.0, 1.0, 5.0])
    data = joined(Data(X, y, None))
    assert data.X.ravel().tolist() == [1.0, 1.0, 2.0]
    assert data.y.tolist() == [0.0, 5.0, 1.0]
    assert data.weights.tolist() == [1.0, 1.0, 2.0]
    assert joined(Data(X, y, np.array([1.0, 0.0, 0.5, 2.0]))).weights.tolist() == [2.0, 1.5]
    apart = Data(X[1:], y[1:], None)
    assert joined(apart)[0] is apart.X


# -- few rows ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n", "k2", "found"), [(14, (2, 2), (2, 1)), (12, (2, 2), (1, 1)), (4, (2,), (1,))])
def test_a_model_that_rows_are_too_few_for_is_shrunk_aloud_or_refused(n, k2, found):
    """SS, d = 1: (2, 2) has 18 free parameters, (2, 1) 13, (1, 1) 8, (1,) 3."""
    X, y = sample(n)
    model = HMoERegressor("SS", k2, **QUICK)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(X, y)
    free = {(2, 2): 18, (2,): 8}[k2]
    words = f"k2 = {k2} has {free} free parameters, and there are {n} different rows"
    assert any(words in str(w.message) and str(found) in str(w.message) for w in said)
    assert model.k2_ == model.fit_result_.measure.k2 == found
    with pytest.raises(ValueError, match="free parameters"):
        model.set_params(few_rows="raise").fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_where_no_line_can_be_fitted_it_is_a_normal_law():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 9)), rng.normal(size=6)
    with pytest.warns(UserWarning, match="one normal law without covariates"):
        model = HMoERegressor(**QUICK).fit(X, y)
    mean, sd = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, y.mean())
    np.testing.assert_allclose(sd, y.std(), rtol=1e-6)


def test_a_fit_that_is_no_maximum_is_warned_of():
    X, y = sample(14)
    with pytest.warns(ConvergenceWarning, match="the fit is 'degenerate': .* too few for a variance of its own"):
        HMoERegressor("SS", (2,), **QUICK).fit(X, y)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [({"gating": "SX"}, "gating"), ({"k2": 0}, "k2"), ({"few_rows": "drop"}, "few_rows"), ({"effort": "no"}, "effort")],
)
def test_parameters_are_checked_when_it_is_fitted(wrong, match):
    X, y = sample(60)
    model = HMoERegressor(**wrong)
    with pytest.raises(ValueError, match=match):
        model.fit(X, y)


# -- the classifier ---------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([HMoEClassifier("SS", (2,), n_starts=1, random_state=0), HMoEClassifier("LL", (1,))])
def test_the_classifier_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def classified():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(200, 2))
    y = np.where(X[:, 0] * X[:, 1] + 0.3 * rng.normal(size=200) > 0, "same", "other")
    return HMoEClassifier("SS", (2,), n_starts=3, random_state=0).fit(X, y), X, y


def test_the_classifier_is_the_fit_of_the_function(classified):
    model, X, y = classified
    fit = hs.fit_categorical(X, y, "SS", (2,), n_starts=3, seed=0)
    assert model.fit_result_.measure == fit.measure
    assert model.classes_.tolist() == ["other", "same"]
    np.testing.assert_array_equal(model.predict_proba(X), fit.predict_proba(X))
    np.testing.assert_array_equal(model.predict(X), fit.predict(X))
    np.testing.assert_array_equal(model.score_samples(X, y), fit.log_density(X, y))
    np.testing.assert_array_equal(model.transform(X), fit.gate_weights(X))
    np.testing.assert_array_equal(model.apply(X, y), fit.responsibilities(X, y).argmax(axis=1))
    assert model.decision_path(X, y).shape == (200, 4)
    assert model.score(X, y) > 0.75  # one logistic regression has half of them
    P = model.predict_proba(X)
    np.testing.assert_allclose(model.score_samples(X), (P * np.log(P)).sum(axis=1), rtol=1e-12)
    assert model.fit_result_.nobs == 200


def test_the_classifier_goes_through_searches(classified):
    _, X, y = classified
    line = make_pipeline(StandardScaler(), HMoEClassifier("SS", n_starts=1, random_state=0))
    search = GridSearchCV(line, {"hmoeclassifier__k2": [(1,), (2,)]}, cv=2, scoring="neg_log_loss").fit(X, y)
    assert search.best_params_ == {"hmoeclassifier__k2": (2,)}


def test_one_class_is_refused(classified):
    _, X, y = classified
    for weights in (None, (y == "same").astype(float)):
        with pytest.raises(ValueError, match="at least two classes"):
            HMoEClassifier().fit(X, y if weights is not None else np.full(200, "a"), weights)
