"""Standard errors, intervals and their refusals, against closed forms, complex steps and samples of known truths."""

import pickle
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import naive
import numpy as np
import pandas as pd
import pytest
from conftest import PURE_PYTHON
from scipy import stats
from scipy.optimize import brentq
from scipy.special import ndtr

import hmoe_stats as hs
from hmoe_stats.fitting import shapes
from hmoe_stats.inference import InferenceError

pytestmark = pytest.mark.skipif(PURE_PYTHON, reason="fits without the compiler take minutes")

GATINGS = ("SS", "SL", "LS", "LL")
LAW = hs.Uniform(-3, 3)
AT = np.array([-2.0, -0.5, 1.0, 2.5])


@cache
def fitted(gating="SS", n=1500, truth="C2"):
    G = hs.datasets.truth(truth, gating)
    X, y = hs.sample(G, n, x=LAW, seed=4)
    return hs.fit_mle(X, y, gating, G.k2, start=G, n_starts=1)


def line(rng, n=60, d=2):
    X = rng.normal(size=(n, d)) + 3.0
    return X, X @ np.arange(1.0, d + 1) - 2.0 + 0.7 * rng.normal(size=n)


def one_expert(X, y, **keywords):
    return hs.fit_mle(X, y, "SS", (1,), n_starts=1, **keywords)


def least_squares(X, y):
    """Design, estimate and variance of a Gaussian regression."""
    Z = np.column_stack([X, np.ones(len(y))])
    beta = np.linalg.lstsq(Z, y, rcond=None)[0]
    return Z, beta, np.mean((y - Z @ beta) ** 2)


def contrasts(G):
    """(q, p) free parameters as differences of entries of `to_vector`: to the last component, written out plainly."""
    rows, sizes = [], {name: getattr(G, name).shape for name in naive.FIELDS}
    start = dict(zip(sizes, np.cumsum([0, *(int(np.prod(s)) for s in sizes.values())]), strict=False))
    unit = np.eye(G.n_parameters)

    def level(letter, slopes, intercepts, members):
        for i in members:
            for c in range(G.d):
                own, last = (unit[start[slopes] + j * G.d + c] for j in (i, members[-1]))
                if len(members) > 1 and (letter == "L" or i != members[-1]):
                    rows.append((start[slopes] + i * G.d + c, own if letter == "L" else own - last))
            if i != members[-1]:
                rows.append(
                    (start[intercepts] + i, unit[start[intercepts] + i] - unit[start[intercepts] + members[-1]])
                )

    level(G.gating[0], "a", "b", range(G.k1))
    for leaves in naive.groups(G):
        level(G.gating[1], "omega", "beta", leaves)
    rows += [(k, unit[k]) for k in range(start["eta"], G.n_parameters)]
    return np.array([row for _, row in sorted(rows, key=lambda pair: pair[0])])


def row_scores(G, X, y):
    """(p, n), by the complex step."""
    return naive.complex_step(lambda v: naive.log_density(naive.at(G, v), X, y), naive.vector(G))


# -- covariances ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("d", [1, 3])
def test_one_expert_has_the_standard_errors_of_least_squares(d, rng):
    X, y = line(rng, d=d)
    fit = one_expert(X, y)
    Z, beta, variance = least_squares(X, y)
    residual, n = y - Z @ beta, len(y)
    inverse = np.linalg.inv(Z.T @ Z)
    scores = np.column_stack([Z * residual[:, None] / variance, 0.5 * (residual**2 / variance - 1.0)])
    hessian = np.zeros((d + 2, d + 2))
    hessian[:-1, :-1], hessian[-1, -1] = variance * inverse, 2.0 / n
    wanted = {"hessian": hessian, "opg": np.linalg.inv(scores.T @ scores)}
    wanted["sandwich"] = hessian @ (scores.T @ scores) @ hessian
    for kind, matrix in wanted.items():
        found = fit.cov_params(kind)
        np.testing.assert_allclose(found, matrix, rtol=1e-6, atol=1e-6 * np.abs(matrix).max())
    assert list(found.index) == [*(f"eta[0,{c}]" for c in range(d)), "tau[0]", "log_nu[0]"]
    np.testing.assert_allclose(fit.bse, np.sqrt(np.diag(hessian)), rtol=1e-6)
    np.testing.assert_allclose(fit.params, [*beta, np.log(variance)], rtol=1e-6)
    table = fit.conf_int(0.9)
    reach = 1.6448536269514722 * np.sqrt(np.diag(hessian))
    np.testing.assert_allclose(table["high"] - table["low"], 2 * reach, rtol=1e-6)
    assert (fit.nobs, fit.df) == (n, d + 2)


@pytest.mark.parametrize("gating", [*GATINGS, "QS", "LQ"])
def test_covariances_are_those_of_derivatives_by_complex_steps(gating):
    """Pseudo-inverses take the translations out; differences to the last component do not see them."""
    fit = fitted(gating, 800)
    (X, y, _), C = fit.data, contrasts(fit.measure)
    information, S = naive.information(fit.measure, X, y), row_scores(fit.measure, X, y)
    bread = np.linalg.pinv(information, rcond=1e-9, hermitian=True)
    meat = np.linalg.pinv(S @ S.T, rcond=1e-9, hermitian=True)
    wanted = {"hessian": bread, "opg": meat, "sandwich": bread @ S @ S.T @ bread}
    np.testing.assert_allclose(fit.params, C @ fit.measure.to_vector(), atol=1e-10)
    for kind, matrix in wanted.items():
        found, matrix = fit.cov_params(kind, identified=True), C @ matrix @ C.T
        known = fit.conf_int(kind=kind)["status"].to_numpy() == "estimated"
        assert known.mean() > 0.7
        matrix = matrix[np.ix_(known, known)]
        scale = np.sqrt(np.diag(matrix))
        np.testing.assert_allclose(found / np.outer(scale, scale), matrix / np.outer(scale, scale), atol=1e-5)


@pytest.mark.parametrize("gating", GATINGS)
def test_no_writing_of_the_density_changes_them(gating, rng):
    fit = fitted(gating)
    other = replace(fit, measure=naive.rewritten(rng, fit.measure))
    assert other.measure != fit.measure
    np.testing.assert_allclose(other.params, fit.params, atol=1e-9)
    np.testing.assert_allclose(other.bse, fit.bse, rtol=1e-6)
    assert other.summary().to_frame()["status"].equals(fit.summary().to_frame()["status"])


def test_neither_origin_nor_unit_of_x_changes_what_is_identified():
    fit = fitted("SS")
    X, y, _ = fit.data
    G = fit.measure
    moved = G.replace(a=G.a / 5, omega=G.omega / 5, eta=G.eta / 5, b=G.b - 400 * G.a[:, 0],
                      beta=G.beta - 400 * G.omega[:, 0], tau=G.tau - 400 * G.eta[:, 0])  # fmt: skip
    other = replace(fit, measure=moved, data=fit.data._replace(X=5 * (X + 400.0)))
    np.testing.assert_allclose(other.curvature.lambdas, fit.curvature.lambdas, rtol=1e-5)
    eta = [name for name in fit.params.index if name.startswith("eta")]
    np.testing.assert_allclose(5 * other.bse[eta], fit.bse[eta], rtol=1e-5)


def test_a_weight_is_a_number_of_rows(rng):
    G = hs.datasets.truth("C2", "SL")
    X, y = hs.sample(G, 900, x=LAW, seed=3)
    weights = rng.integers(0, 4, 900).astype(float)
    times = weights.astype(int)
    weighted = hs.fit_mle(X, y, "SL", (2, 2), start=G, n_starts=1, weights=weights)
    written = replace(weighted, data=(np.repeat(X, times, axis=0), np.repeat(y, times), None))
    written = replace(written, data=weighted.data._replace(X=written.data[0], y=written.data[1], weights=None))
    assert weighted.nobs == times.sum()
    for kind in ("hessian", "opg", "sandwich"):
        pairs = (fit.cov_params(kind, identified=True) for fit in (weighted, written))
        np.testing.assert_allclose(*pairs, rtol=1e-6, atol=1e-9)
    for name in ("nobs", "df", "aic", "bic", "icl"):
        assert getattr(weighted, name) == pytest.approx(getattr(written, name), rel=1e-12)


def test_criteria_are_their_definitions():
    fit = fitted("LS")
    (X, y, _), ll = fit.data, fit.log_likelihood
    r = naive.responsibilities(fit.measure, X, y)
    assert fit.df == 19  # a, a, b; omega and beta of each group; three an expert
    assert fit.aic == pytest.approx(2 * 19 - 2 * ll)
    assert fit.bic == pytest.approx(19 * np.log(1500) - 2 * ll)
    assert fit.icl == pytest.approx(fit.bic - 2 * (r * np.log(r)).sum(), rel=1e-9)


@pytest.mark.parametrize(("gating", "k2", "df"), [
    ("SS", (3,), 2 * 3 + 3 * 4), ("LL", (3,), 3 * 2 + 2 + 3 * 4), ("SL", (2, 1), 3 + 2 * 2 + 1 + 3 * 4),
    ("LS", (1, 1), 2 * 2 + 1 + 2 * 4), ("QQ", (2, 1), 3 + 3 + 3 * 4),
])  # fmt: skip
def test_df_counts_what_is_free(gating, k2, df, rng):
    X, y = line(rng, 90)
    G = naive.random_measure(rng, gating, k2, d=2)
    fit = hs.fit_em(X, y, gating, k2, start=G, max_iter=2)
    assert fit.df == df
    assert len(fit.params) == df


def test_a_constant_column_has_no_slopes(rng):
    X, y = line(rng)
    fit = one_expert(np.column_stack([X, np.full(len(y), 7.0)]), y)
    assert fit.df == 4
    np.testing.assert_allclose(fit.bse, one_expert(X, y).bse, rtol=1e-6)


# -- functions of the parameters --------------------------------------------------------------------------------------
def quantile(G, x, q):
    weights, mean = naive.gate_weights(G, x[None])[0], naive.means(G, x[None])[0]
    return brentq(lambda y: weights @ ndtr((y - mean) / np.sqrt(G.nu)) - q, -40, 40, xtol=1e-13)


def by_hand(of, X):
    return {
        "mean": lambda G: naive.predict(G, X),
        "gates": lambda G: naive.gate_weights(G, X).T.ravel(),
        "groups": lambda G: np.exp(naive.log_gates(G, X)[0]).T.ravel(),
        "experts": lambda G: naive.means(G, X).T.ravel(),
        "quantile": lambda G: np.array([quantile(G, x, q) for q in (0.1, 0.7) for x in X]),
    }[of]


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize("of", ["mean", "gates", "groups", "experts", "quantile"])
def test_the_delta_method_is_that_of_differences(gating, of):
    fit = fitted(gating, 5000)
    table = fit.intervals(of, AT, q=(0.1, 0.7), kind="sandwich")
    values, slope = by_hand(of, AT[:, None]), []
    place = fit.curvature.coordinates
    slope = naive.central(lambda v: values(place.at(v)), place.values, 1e-4)
    variance = np.einsum("ki,kl,li->i", slope, np.asarray(fit.cov_params("sandwich")), slope)
    np.testing.assert_allclose(table["estimate"], values(place.measure), atol=1e-10)
    np.testing.assert_allclose(table["std_err"], np.sqrt(variance), rtol=1e-5, atol=1e-9)
    assert (table["status"] == "estimated").all()
    if of in ("gates", "groups"):
        odds = [np.log(table[c] / (1 - table[c])) for c in ("low", "estimate", "high")]
        reach = 1.959963984540054 * table["std_err"] / (table["estimate"] * (1 - table["estimate"]))
        np.testing.assert_allclose(odds[2] - odds[1], reach, rtol=1e-8)
        np.testing.assert_allclose(odds[1] - odds[0], reach, rtol=1e-8)
    elif of == "quantile":  # the quantiles of the ends of the interval of F there, on the log-odds scale
        where = zip(
            np.tile(AT, 2), table["estimate"], table["std_err"], table["q"], table["low"], table["high"], strict=True
        )
        for x, y, error, q, *ends in where:
            error *= np.exp(naive.log_density(place.measure, np.array([[x]]), np.array([y])))[0]
            odds = np.log(q / (1 - q)) + 1.959963984540054 * error / (q * (1 - q)) * np.array([-1, 1])
            wanted = [quantile(place.measure, np.array([x]), 1 / (1 + np.exp(-v))) for v in odds]
            np.testing.assert_allclose(ends, wanted, atol=1e-7)
    else:
        np.testing.assert_allclose(table["high"] - table["estimate"], 1.959963984540054 * table["std_err"], rtol=1e-9)
    mine = fit.delta(values, kind="sandwich")
    np.testing.assert_allclose(mine["std_err"], table["std_err"], rtol=1e-5, atol=1e-9)


def test_a_quantile_between_two_experts_may_be_that_of_either(rng):
    """Half of the rows near -100, half near 100: the median lies anywhere between, and its interval says so."""
    X = rng.uniform(-1, 1, 400)
    y = np.where(rng.random(400) < 0.5, -100, 100) + rng.normal(size=400)
    start = hs.MixingMeasure(gating="SS", k2=(2,), a=[0], b=[0], omega=[0, 0], beta=[0, 0], eta=[0, 0],
                             tau=[-100, 100], nu=[1, 1])  # fmt: skip
    table = hs.fit_mle(X, y, "SS", (2,), start=start, n_starts=1).intervals("quantile", np.zeros(1), q=(0.2, 0.5))
    assert (table["status"] == "estimated").all()
    assert (table["high"] - table["low"])[0] < 1
    assert table["low"][1] < -98 < 98 < table["high"][1]


def test_several_covariates_have_their_slopes(rng):
    fit = fitted("LS", 3000, "P2")
    X = rng.normal(size=(5, 2))
    for of in ("mean", "gates", "quantile"):
        table = fit.intervals(of, X, q=(0.1, 0.7))
        mine = fit.delta(by_hand(of, X))
        known = (table["status"] == "estimated").to_numpy()
        assert known.mean() > 0.7
        np.testing.assert_allclose(mine["std_err"][known], table["std_err"][known], rtol=1e-5)


def test_a_band_holds_the_line_where_intervals_hold_points(rng):
    """Scheffe's band of a line over all x has the radius sqrt(chi2_2); over a wide grid it is nearly that."""
    X, y = line(rng, 200, 1)
    fit = one_expert(X, y)
    grid = np.linspace(-500, 500, 4001)
    table = fit.intervals("mean", grid, band=True)
    radius = (table["high"] - table["estimate"]) / table["std_err"]
    assert np.ptp(radius) < 1e-9
    assert radius[0] == pytest.approx(np.sqrt(stats.chi2(2).ppf(0.95)), rel=0.02)
    lone = fit.intervals("mean", grid[:1], band=True)
    assert (lone["high"] - lone["estimate"])[0] / lone["std_err"][0] == pytest.approx(1.96, rel=0.02)


def test_tables_keep_the_names_of_frames(rng):
    X, y = line(rng, 80)
    frame = pd.DataFrame(X, columns=["speed", "wind"], index=[f"r{i}" for i in range(80)])
    fit = one_expert(frame, pd.Series(y, name="load", index=frame.index))
    assert list(fit.params.index) == ["eta[0,speed]", "eta[0,wind]", "tau[0]", "log_nu[0]"]
    assert "load" in repr(fit.summary())
    assert list(fit.intervals("mean", frame[:2])["row"]) == ["r0", "r1"]
    assert list(fit.predict_interval(frame[:2]).index) == ["r0", "r1"]


# -- what the summary says --------------------------------------------------------------------------------------------
def test_the_summary_is_the_table_and_prints_it():
    fit = fitted()
    summary = fit.summary(level=0.9, kind="sandwich")
    frame, ends = summary.to_frame(), fit.conf_int(0.9, "sandwich")
    assert list(frame.columns) == ["coef", "std err", "z", "P>|z|", "[0.05", "0.95]", "status"]
    np.testing.assert_array_equal(frame["[0.05"], ends["low"])
    np.testing.assert_allclose(frame["P>|z|"], 2 * stats.norm.sf(np.abs(frame["coef"] / frame["std err"])), rtol=1e-9)
    text = repr(summary)
    assert all(f"{value:.4g}" in text for value in frame["coef"])
    assert all(name in text for name in frame.index)
    assert f"{fit.log_likelihood:.4f}" in text
    assert "relative to the last component" in text
    assert max(map(len, text.splitlines())) <= 100


def test_compare_puts_fits_of_one_response_beside_each_other():
    fit = fitted()
    X, y, _ = fit.data
    line = one_expert(X, y)
    table = hs.compare({"two by two": fit, "line": line})
    assert list(table.columns) == ["gating", "k2", "log_likelihood", "df", "aic", "bic", "icl", "nobs", "status"]
    assert list(table.index) == ["two by two", "line"]
    assert table.loc["line", "bic"] == line.bic > table.loc["two by two", "bic"]
    assert list(hs.compare([line, fit])["df"]) == [3, fit.df]
    with pytest.raises(ValueError, match="one response"):
        hs.compare([fit, one_expert(X, y + 1.0)])
    for wrong in ([], None, [fit, 3], {"a": fit.measure}):
        with pytest.raises(ValueError, match="fits must be a sequence"):
            hs.compare(wrong)


# -- refusals ---------------------------------------------------------------------------------------------------------
def copied(rng, gating="SS"):
    """A line, and the same density as two experts that coincide."""
    X, y = line(rng, 400, 1)
    fit = hs.fit_mle(X, y, gating, (1,), n_starts=1)
    return fit, replace(fit, measure=shapes.embed(fit.measure, (2,), rng))


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_of_experts_that_coincide_only_what_they_share_is_identified(gating, rng):
    one, two = copied(rng, gating)
    with pytest.raises(InferenceError, match=r"eta\[0,0\].*does not change along.*eta\[1,0\].*experts 0 and 1 are 0 "):
        two.cov_params()
    with pytest.raises(ValueError, match="identified=True"):
        two.cov_params()
    assert np.isinf(two.bse[["eta[0,0]", "tau[1]"]]).all()
    table = two.conf_int()
    assert (table["status"][["eta[0,0]", "eta[1,0]", "tau[0]", "tau[1]"]] == "not identified").all()
    assert not table.isna().any(axis=None)
    for of in ("mean", "quantile"):
        tables = (fit.intervals(of, AT)[["estimate", "std_err", "low", "high"]] for fit in (one, two))
        np.testing.assert_allclose(*tables, rtol=1e-5)
    assert (two.intervals("experts", AT)["status"] == "not identified").all()
    assert (two.intervals("gates", AT)[["low", "high"]].to_numpy() == [0, 1]).all()
    barycentre = two.delta(lambda G: naive.gate_weights(G, np.zeros((1, 1)))[0] @ G.tau)
    assert barycentre["std_err"][0] == pytest.approx(one.bse["tau[0]"], rel=1e-4)
    summary = two.summary()
    assert "does not change along" in repr(summary)
    assert summary.to_frame()["std err"][["eta[0,0]", "tau[1]"]].isna().all()


def test_an_expert_too_many_is_refused_and_functions_are_not():
    """The third expert of group 0 sits on some twenty rows: that group is refused in part, the other one is not."""
    G = hs.datasets.truth("C2", "LS")
    X, y = hs.sample(G, 5000, x=LAW, seed=5)
    fit = hs.fit_mle(X, y, "LS", (3, 2), start=G, n_starts=1, bounds={"nu": (0.01, 9.0), "beta": 6.0})
    assert fit.converged
    status = fit.conf_int()["status"]
    assert (status[["omega[0,0]", "omega[1,0]", "beta[0]", "beta[1]"]] == "not quadratic").all()
    assert (status[["eta[2,0]", "tau[2]", "log_nu[2]"]] == "may be chance").all()
    sound = [name for name in status.index if name[0] == "a" or name.split("[")[1][0] in "34"]
    assert (status[sound] == "estimated").all()
    for of in ("mean", "groups"):
        assert (fit.intervals(of, AT)["status"] == "estimated").all()
    lines = fit.intervals("experts", AT)
    assert set(lines["status"][(lines["group"] == 0) & (lines["expert"] == 2)]) == {"may be chance"}
    text = " ".join(repr(fit.summary()).split())
    assert "log-likelihood is not quadratic along 1 direction" in text
    assert "may be chance where it adds at most 42.6 to the log-likelihood: expert 2" in text
    with pytest.raises(InferenceError, match="not quadratic along"):
        fit.cov_params()
    exact = fitted("LS", 5000)
    assert (exact.conf_int()["status"] == "estimated").all()
    X, y, _ = fit.data
    density = naive.log_joint(fit.measure, X, y)
    weights = naive.log_gate_weights(fit.measure, X)
    for j in (1, 2):
        rest = [k for k in range(5) if k != j]
        without = naive.log_sum_exp(density[:, rest]) - naive.log_sum_exp(weights[:, rest])
        gain = (naive.log_density(fit.measure, X, y) - without).sum()
        assert fit.curvature.gains[j] == pytest.approx(gain, rel=1e-6, abs=1e-4)


def test_a_bound_that_binds_is_held_and_what_hinges_on_it_refused(rng):
    """With eta held, tau is known better than without: refused. The variance is not."""
    X, y = line(rng, 300, 1)
    slope = least_squares(X, y)[1][0]
    fit = one_expert(X, y, bounds={"eta": (slope + 0.05, slope + 9.0)})
    assert fit.status == "boundary"
    assert fit.conf_int()["status"].to_dict() == {
        "eta[0,0]": "on a bound", "tau[0]": "rests on a bound", "log_nu[0]": "estimated"}  # fmt: skip
    assert fit.bse["log_nu[0]"] == pytest.approx(np.sqrt(2 / 300), rel=1e-6)
    with pytest.raises(InferenceError, match=r"on a bound, and held there: eta\[0,0\]"):
        fit.cov_params()
    frame = pd.DataFrame(X, columns=["speed"])
    named = one_expert(frame, y, bounds={"eta": (slope + 0.05, slope + 9.0)})
    assert named.conf_int().loc["eta[0,speed]", "status"] == "on a bound"
    X = X - X.mean()  # now tau does not hinge on eta
    fit = one_expert(X, y, bounds={"eta": (slope + 0.05, slope + 9.0)})
    assert fit.bse["tau[0]"] == pytest.approx(np.sqrt(fit.measure.nu[0] / 300), rel=1e-6)
    loose = one_expert(X, y, bounds={"eta": (slope - 9.0, slope + 9.0)})
    assert (loose.conf_int()["status"] == "estimated").all()


def test_a_centre_beyond_the_data_is_not_seen_but_its_gate_is(rng):
    G = hs.MixingMeasure(gating="LL", k2=(2,), a=[0], b=[0], omega=[-1.0, 9.0], beta=[0.0, 6.0], eta=[0.5, -0.5],
                         tau=[-3, 3], nu=[0.3, 0.3])  # fmt: skip
    X, y = hs.sample(G, 2000, x=LAW, seed=2)
    fit = hs.fit_mle(X, y, "LL", (2,), start=G, n_starts=1)
    assert fit.measure.omega[1, 0] > 3
    status = fit.conf_int()["status"]
    assert status["omega[1,0]"] == "beyond the data"
    assert status["beta[0]"] == "not identified"
    assert (status[["omega[0,0]", "eta[0,0]", "tau[1]", "log_nu[1]"]] == "estimated").all()
    assert (fit.intervals("gates", AT)["status"] == "estimated").all()
    assert fit.params["omega[1,0]"] == pytest.approx(X.max(), abs=1e-4)


def test_no_maximum_no_standard_errors(rng):
    X, y = hs.sample(hs.datasets.truth("C2"), 400, x=LAW, seed=0)
    short = hs.fit_em(X, y, "SS", (2, 2), max_iter=5)
    assert short.status == "max_iter"
    lax = hs.fit_em(X, y, "SS", (2, 2), max_iter=500, tol=20.0)
    assert lax.status == "converged"
    for fit, why in ((short, "'max_iter'"), (lax, "standard errors short of the maximum")):
        for ask in (fit.cov_params, fit.conf_int, lambda: fit.bse, lambda: fit.intervals("mean", AT)):  # noqa: B023
            with pytest.raises(InferenceError, match=why):
                ask()
        assert why in " ".join(repr(fit.summary()).split())
        assert fit.summary().to_frame()["std err"].isna().all()
        assert (fit.summary().to_frame()["status"] == "refused").all()
    tight = hs.fit_em(X, y, "SS", (2, 2), start=fitted("SS", 400).measure)
    assert np.isfinite(tight.bse).any()


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Two experts under one gate, n = 300: 60 samples of 9 parameters; the standard error of their mean is 1.2 %."""
    G = hs.MixingMeasure(gating="SS", k2=(2,), a=[0], b=[0], omega=[0.5, 0], beta=[0.3, 0], eta=[0.5, -0.5],
                         tau=[-2, 2], nu=[0.4, 0.8])  # fmt: skip
    held = []
    for number in range(60):
        X, y = hs.sample(G, 300, x=LAW, seed=number)
        fit = hs.fit_mle(X, y, "SS", (2,), start=G, n_starts=1)
        table, true = fit.conf_int(), fit.curvature.coordinates.of(G)
        assert (table["status"] == "estimated").all()
        held.append((table["low"] <= true) & (true <= table["high"]))
    assert 0.92 < np.mean(held) < 0.98


def test_what_the_readme_says_of_coverage_is_in_the_table():
    top = Path(__file__).parents[1]
    table = pd.read_csv(top / "figures" / "coverage" / "coverage.csv")
    table["covered"] = table["coverage"] * table["given"]
    parameters = table[(table["kind"] == "hessian") & ~table["quantity"].str.contains(" ")]
    sums = parameters.groupby(["n", "gating"])[["covered", "given"]].sum()
    found = 100 * sums["covered"] / sums["given"]
    gates = parameters[parameters["quantity"].str.match(r"(a|b|omega|beta)\[")].groupby(["n", "gating"])
    missing = 100 * (1 - gates["given"].sum() / gates["samples"].sum())
    said = re.sub(r"\s+", " ", (top / "README.md").read_text(encoding="utf-8"))
    assert f"On {table['samples'].unique().item()} samples of C2" in said
    assert set(found[5000].round()) == {95.0}
    assert "hold the truth in 95 % of cases at n = 5000" in said
    assert f"in {found[500].min():.1f} to {found[500].max():.1f} % at n = 500" in said
    assert f"SL and LL have no standard error for {missing[500]['SL']:.0f} and {missing[500]['LL']:.0f} %" in said
    assert missing[500][["SS", "LS"]].max() == 0


# -- y given x --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", ["SS", "LL", "QS"])
def test_quantiles_are_roots_of_the_distribution_function(gating, rng):
    fit = fitted(gating, 800)
    q = np.array([1e-12, 1e-3, 0.2, 0.5, 0.8, 1 - 1e-3])
    found = fit.predict_quantile(AT, q)
    for x, row in zip(AT, found, strict=True):
        np.testing.assert_allclose(row, [quantile(fit.measure, np.array([x]), level) for level in q], atol=1e-10)
    assert fit.predict_quantile(AT, 0.2).shape == (4,)
    np.testing.assert_array_equal(fit.predict_quantile(AT, 0.2), found[:, 2])
    band = fit.predict_interval(AT, 0.6)
    np.testing.assert_allclose(band[["low", "high"]], found[:, [2, 4]], atol=1e-12)
    np.testing.assert_allclose(band["mean"], naive.predict(fit.measure, AT[:, None]))
    np.testing.assert_allclose(fit.predict(AT), band["mean"])
    y = np.array([-6.0, 0.0, 2.0, 5.0])
    density = np.exp(naive.log_density(fit.measure, AT[:, None], y))
    np.testing.assert_allclose(fit.predict_density(AT, y), density)


def test_quantiles_where_nothing_lies_between_experts():
    """At 0.5 the distribution function is flat between two halves that are 2000 standard deviations apart."""
    G = hs.MixingMeasure(gating="SS", k2=(2,), a=[0], b=[0], omega=[0, 0], beta=[0, 0], eta=[0, 0], tau=[-1000, 1000],
                         nu=[1, 1e-6])  # fmt: skip
    fit = replace(fitted(), measure=G)
    found = fit.predict_quantile(np.zeros(1), (0.25, 0.4999, 0.5001, 0.75))[0]
    wanted = stats.norm.ppf([0.5, 0.9998, 0.0002, 0.5]) * [1, 1, 1e-3, 1e-3] + [-1000, -1000, 1000, 1000]
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_quantile_residuals_are_normal_if_and_only_if_the_model_is_right():
    fit = fitted("SL")
    X, y, _ = fit.data
    assert stats.kstest(fit.residuals(), "norm").pvalue > 0.05
    assert stats.kstest(ndtr(fit.residuals("quantile")), "uniform").pvalue > 0.05
    assert stats.kstest(one_expert(X, y).residuals(), "norm").pvalue < 1e-6
    np.testing.assert_allclose(fit.residuals("response"), y - naive.predict(fit.measure, X), atol=1e-12)


def test_residuals_of_far_rows_are_finite(rng):
    X, y = line(rng, 60, 1)
    fit = one_expert(X, y)
    far = replace(fit, data=fit.data._replace(X=np.array([[3.0], [3.0]]), y=np.array([-400.0, 400.0])))
    z = (np.array([-400.0, 400.0]) - fit.predict(np.array([3.0, 3.0]))) / np.sqrt(fit.measure.nu[0])
    np.testing.assert_allclose(far.residuals(), z, rtol=1e-8)


def test_samples_come_from_the_fit(rng):
    fit = fitted("LL")
    X, y = fit.sample(20_000, seed=1)
    assert set(X[:, 0]) <= set(fit.data.X[:, 0])
    again = replace(fit, data=fit.data._replace(X=X, y=y))
    assert stats.kstest(again.residuals(), "norm").pvalue > 0.01
    here, drawn = fit.sample(AT, seed=np.random.SeedSequence(3))
    np.testing.assert_array_equal(here[:, 0], AT)
    np.testing.assert_array_equal(drawn, fit.sample(AT, seed=np.random.SeedSequence(3))[1])
    heavy = replace(fit, data=fit.data._replace(weights=np.where(np.arange(1500) == 7, 1e9, 1.0)))
    assert (heavy.sample(50)[0] == fit.data.X[7]).all()


# -- data and files ---------------------------------------------------------------------------------------------------
def test_a_fit_keeps_its_data_and_no_copies(rng):
    X, y = line(rng)
    fit = one_expert(X, y)
    assert np.shares_memory(fit.data.X, X)
    assert np.shares_memory(fit.data.y, y)
    again = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_frame_equal(again.conf_int(), fit.conf_int())
    other = one_expert(X, y)
    y[3] += 1.0
    with pytest.raises(ValueError, match="the data must be those of the fit"):
        other.conf_int()
    assert np.isfinite(fit.bse).all()  # known before


@pytest.mark.parametrize("kind", ["mle", "em", "boundary"])
def test_a_saved_fit_comes_back_bit_for_bit(kind, tmp_path, rng):
    X = pd.DataFrame(rng.normal(size=(200, 2)), columns=["speed", "inf"])
    y = pd.Series(X.sum(axis=1) * np.where(X["speed"] > 0, 2, -1) + rng.normal(size=200), name="nan")
    bounds = {"eta": (-np.inf, 0.5), "nu": (0.01, 9.0)} if kind == "boundary" else None
    fit = hs.fit_em(X, y, "SL", (2,)) if kind == "em" else hs.fit_mle(X, y, "SL", (2,), n_starts=3, bounds=bounds)
    fit.save(tmp_path / "fit.json")
    back = hs.FitResult.load(tmp_path / "fit.json")
    for name, value in vars(fit).items():
        if name in fit.__dataclass_fields__ and name not in ("data", "known"):
            found = getattr(back, name)
            if isinstance(value, np.ndarray):
                assert found.dtype == value.dtype
                assert found.tobytes() == value.tobytes()
            else:
                assert found == value, name
                assert isinstance(value, type(found))  # numbers of NumPy are plain ones again
    assert back.data is None
    assert repr(back) == repr(fit)
    assert repr(back.summary(kind="sandwich")) == repr(fit.summary(kind="sandwich"))
    where = X[:4]
    try:
        pd.testing.assert_frame_equal(
            back.intervals("gates", where, band=True), fit.intervals("gates", where, band=True)
        )
    except InferenceError:
        assert kind == "em"
    for ask in (back.residuals, lambda: back.bootstrap(2), lambda: back.sample(3)):
        with pytest.raises(ValueError, match="must know its data.*with_data"):
            ask()
    np.testing.assert_array_equal(back.with_data(X, y).residuals(), fit.residuals())
    with pytest.raises(ValueError, match="the data must be those of the fit"):
        back.with_data(X, y + 1)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    fit, path = fitted(), tmp_path / "fit.json"
    fit.save(path)
    before = path.read_bytes()
    other = replace(fit, message=object())
    with pytest.raises(TypeError):
        other.save(path)
    monkeypatch.setattr(type(path), "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        fit.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["fit.json"]
    for text in ("", "{}", "[1]", before.decode()[:5000], before.decode().replace('"gating": "SS"', '"gating": "XX"')):
        path.write_text(text)
        with pytest.raises(ValueError, match="path must lead to a fit saved by FitResult.save"):
            hs.FitResult.load(path)


# -- arguments --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("ask", "message"), [
    (lambda fit: fit.conf_int(level=95), "level must be a number between 0 and 1; got 95"),
    (lambda fit: fit.cov_params(kind="robust"), "kind must be one of hessian, opg, sandwich; got 'robust'"),
    (lambda fit: fit.cov_params(identified=1), "identified must be True or False"),
    (lambda fit: fit.summary(level=0), "level must be"),
    (lambda fit: fit.intervals("gate", AT), "of must be one of mean, experts, gates, groups, quantile"),
    (lambda fit: fit.intervals("mean", np.zeros((3, 2))), "X must have shape"),
    (lambda fit: fit.intervals("quantile", AT, q=1.0), "q must be numbers between 0 and 1; got 1.0"),
    (lambda fit: fit.predict_quantile(AT, []), "q must be numbers between 0 and 1"),
    (lambda fit: fit.predict_interval(AT, "wide"), "level must be"),
    (lambda fit: fit.residuals("pearson"), "kind must be one of quantile, response"),
    (lambda fit: fit.sample(0), "x must be an integer of at least 1"),
    (lambda fit: fit.delta(3), "function must be a function of a MixingMeasure; got 3"),
    (lambda fit: fit.delta(lambda G: np.inf), "function must return finite numbers"),
    (lambda fit: fit.delta(lambda G: "tau"), "function must be a function that returns numbers"),
    (lambda fit: fit.bootstrap(0), "n must be an integer"),
    (lambda fit: fit.bootstrap(2, kind="pairs"), "kind must be one of parametric, rows"),
    (lambda fit: fit.bootstrap(2, n_jobs=0), "n_jobs must be an integer"),
])  # fmt: skip
def test_bad_arguments_are_named(ask, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        ask(fitted())
