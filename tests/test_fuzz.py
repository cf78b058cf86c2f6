"""Fits on any input: a result whose every number is finite and true, or a `ValueError` that names an argument.

Nothing else is allowed: no NaN, no warning, no other exception, and no case that takes longer than `LONGEST` seconds.
Cases are made by hypothesis from recipes (`Case`), hostile ones included, and are the same in every run. With
HMOE_FUZZ=20000 in the environment about so many are made, other ones in every run.
"""

import os
import signal

import numpy as np
import pytest
from conftest import PURE_PYTHON, scale
from hostile import EM, GOOD, MILD, MLE, ODD, WRITINGS, Case, cases, raw_cases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

import hmoe_stats as hs
from hmoe_stats import kernels
from hmoe_stats.fitting.result import STATUSES

TOTAL = int(os.environ.get("HMOE_FUZZ", "2000"))
LONGEST = 1000.0 if PURE_PYTHON else 30.0  # seconds of this process; some take 5 alone, and 10 beside other work
ARGUMENTS = "X|y|gating|k2|start|n_starts|bounds|tol|max_iter|seed"


def examples(share):
    """Settings of a test that runs `share` of all cases."""
    return settings(
        max_examples=scale(max(int(share * TOTAL), 1), 3),
        derandomize="HMOE_FUZZ" not in os.environ,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


# -- what must hold ----------------------------------------------------------------------------------------------------


class Hang(Exception):
    pass


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Kernels compiled before anything is timed."""
    case = Case(0, "SS", (2,), 20, ("uniform",), "line", (1.0, 0.0), (1.0, 0.0))
    hs.fit_em(**case.arguments(), max_iter=5)
    hs.fit_mle(**case.arguments(), n_starts=3)


def attempt(fit, arguments):
    """The result of a fit, or the `ValueError` it raised, which must name an argument."""

    def stop(*_):
        raise Hang(f"no answer within {LONGEST:g} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        return fit(**arguments)
    except ValueError as error:
        if not str(error).startswith(tuple(ARGUMENTS.split("|"))):
            raise
        return error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def usable(arguments):
    """True where the data can be fitted at all, by the words of the docstrings."""
    X, y = (np.asarray(arguments[name], dtype=float) for name in ("X", "y"))
    X = X.reshape(len(y), -1)
    if not (np.isfinite(X).all() and np.isfinite(y).all()):
        return False
    top = np.abs(X).max(axis=0, initial=0.0)
    K, d = sum(arguments["k2"]), int((np.std(X / np.where(top > 0, top, 1.0), axis=0) > 1e-13).sum())
    if len(y) <= (K - 1) * (d + 1) + K * (d + 2):
        return False
    for column in (*X.T, y):
        top = np.abs(column).max() or 1.0
        relative = np.std(column / top)
        if top > 1e50 or (relative > 1e-13 and not 1e-18 <= relative * top <= 1e18):
            return False
    gates = zip(("a", "omega"), arguments["gating"], strict=True)
    slopes = {"eta", *(name for name, letter in gates if letter == "S")}
    for name in slopes & set(arguments.get("bounds") or {}):
        value = arguments["bounds"][name]
        least = abs(np.clip(0.0, *(value if np.ndim(value) else (-value, value))))
        if any(np.ptp(column) == 0 and abs(column[0]) * least > 1e49 for column in X.T):
            return False
    start = arguments.get("start")
    if start is not None and relative > 1e-13:
        away = np.abs(start.eta @ X.mean(axis=0) + start.tau - y.mean()).max()
        if away > 1e30 * np.std(y):
            return False
    return relative > 1e-13


def rounding(G, X, y):
    """How far two ways of computing the log-likelihood of G may differ: the errors of means and logits, propagated."""
    reach = np.abs(X).max(axis=0)  # covariates are centred for a fit, and a line's value there is rounded for all rows
    size = reach @ np.abs(G.eta.T) + np.abs(G.tau) + np.abs(y)[:, None]
    error = 1e-14 * (G.d + 2) * size / np.sqrt(G.nu)
    z = np.abs(y[:, None] - X @ G.eta.T - G.tau) / np.sqrt(G.nu)
    with np.errstate(divide="ignore"):
        known = np.log(hs.gate_weights(G, X)) - 0.5 * np.log(G.nu)
    away = z + error, z, np.maximum(z - error, 0.0)
    low, here, high = (logsumexp(known - 0.5 * far**2, axis=1) for far in away)
    total = max((high - here).sum(), (here - low).sum())
    for letter, slopes, intercepts in ((G.gating[0], G.a, G.b), (G.gating[1], G.omega, G.beta)):
        logit = reach @ np.abs(slopes.T) if letter == "S" else reach.sum() + np.abs(slopes).sum(axis=1)
        total += 1e-14 * (logit + np.abs(intercepts)).max() * len(y)
    return total + 1e-12 * np.abs(hs.log_density(G, X, y)).sum() + 1e-12 * len(y)


def check(fit, arguments):
    """Run a fit; every number of its result is finite and agrees with the others."""
    result = attempt(fit, arguments)
    if isinstance(result, ValueError):
        return result
    X, y = (np.array(arguments[name], dtype=float) for name in ("X", "y"))
    X, G = X.reshape(len(y), -1), result.measure
    starts_ = result.starts
    numbers = [result.log_likelihood, result.score_norm, result.smoothing, *result.path, *G.to_vector()]
    numbers += [*starts_["log_likelihood"], *starts_["score_norm"]]
    assert np.isfinite(numbers).all()
    assert result.status in STATUSES
    assert set(starts_["status"]) <= {*STATUSES, "merged", "behind"}
    assert result.n_optima >= 1
    assert result.gap >= 0
    assert np.isfinite(result.eigenvalues).all()
    assert np.isfinite(result.null_directions()["information"]).all()
    assert G.k2 == tuple(arguments["k2"])
    assert G.gating == arguments["gating"]
    assert len(result.path) == result.n_iter + 1 > 0
    assert isinstance(repr(result), str)

    slack = rounding(G, X, y)
    true = hs.log_likelihood(G, X, y)
    assert np.isfinite(true)
    assert abs(result.log_likelihood - true) <= slack
    if result.smoothing == 0:
        assert abs(result.path[-1] - true) <= slack
    falls = result.path[:-1] - result.path[1:]
    assert (falls <= slack + 1e-11 * np.abs(result.path[1:])).all()
    check_score(fit, result, arguments, X, y)
    check_box(result, arguments)
    return result


def movable(result, X):
    """(p,) bool: parameters that can move, neither without effect nor on a bound."""
    G, constant = result.measure, np.ptp(X, axis=0) <= 1e-12 * np.abs(X).max(axis=0)
    held = set(result.active_bounds)
    for c in np.flatnonzero(constant):
        held |= {name for name in G.parameter_names() if name.endswith(f",{c}]")}
    if G.k1 == 1:
        held |= {"b[0]", *(f"a[0,{c}]" for c in range(G.d))}
    for j in np.flatnonzero(np.array(G.k2)[G.group] == 1):
        held |= {f"beta[{j}]", *(f"omega[{j},{c}]" for c in range(G.d))}
    return np.array([name not in held for name in G.parameter_names()])


def check_score(fit, result, arguments, X, y):
    """Converged only with a small score; the smallest eigenvalue is a number wherever something can move."""
    G, spread, sd, free = result.measure, X.std(axis=0), np.std(y), movable(result, X)
    assert np.isfinite(result.smallest_eigenvalue) or (np.isnan(result.smallest_eigenvalue) and not free.any())
    assert (result.status == "boundary") <= (len(result.active_bounds) > 0)
    if fit is hs.fit_em or not result.converged:
        return
    # the tolerance is on standardised coordinates: one unit of each, in the units of the data
    reach = 2 * max(np.abs(X).max(), 1e-300)
    units = [1.0, reach, 1 / sd, reach / sd, *(1 / spread[spread > 1e-13 * np.abs(X).max(axis=0)])]
    tol = arguments.get("tol", 1e-8)
    tol = tol.item() if isinstance(tol, np.generic) else tol  # 1e50 overflows a float32; 10**400 is no float at all
    assert result.score_norm <= min(tol, 1e50) * max(units) * G.d * 1.01
    if max(units) < 1e3:  # else rounding hides it
        _, score = kernels.score(X, y, G.kernel_args(), result.smoothing)
        size = np.abs(X) @ np.abs(G.eta.T) + np.abs(G.tau) + np.abs(y)[:, None]
        slack = 1e-7 + 1e-13 * (size / G.nu).max() * max(1.0, np.abs(X).max())
        assert np.abs(score[free]).max(initial=0.0) / len(y) <= 1.01 * result.score_norm + slack


def check_box(result, arguments):
    """Every parameter lies in the caller's box; without one the variances lie above their floor."""
    G, start = result.measure, arguments.get("start")
    for name in arguments.get("bounds") or {}:
        values, (low, high) = getattr(G, name), result.bounds[name]
        slack = 1e-9 * max(abs(v) for v in (low, high) if np.isfinite(v)) if np.isfinite([low, high]).any() else 0.0
        assert (values >= low - slack).all(), name
        assert (values <= high + slack).all(), name
    if not arguments.get("bounds"):
        floor = 1e-6 * np.var(np.array(arguments["y"], dtype=float))
        if start is None or start.k2 == G.k2:  # else experts are split, which narrows them
            assert G.nu.min() >= 0.999 * min(floor, floor if start is None else start.nu.min())


def far(arguments):
    """True where some parameter's box keeps 1e15 standardised units from 0 at least: from 1e16 on it is refused."""
    X, y = (np.array(arguments[name], dtype=float) for name in ("X", "y"))
    spread = X.reshape(len(y), -1).std(axis=0)
    spread, sd = spread[spread > 0], max(np.std(y), 1e-300)
    gate = {"S": 1.0 / spread, "L": spread}
    units = {"a": gate[arguments["gating"][0]], "omega": gate[arguments["gating"][1]], "eta": sd / spread, "tau": sd}
    for name, value in (arguments.get("bounds") or {}).items():
        least = np.abs(np.clip(0.0, *(value if np.ndim(value) else (-value, value))))
        if name != "nu" and least >= 1e15 * np.min(units.get(name, 1.0), initial=np.inf):
            return True
    return False


def run(fit, arguments):
    """`check`, and data that can be fitted are fitted while others are refused."""
    result = check(fit, arguments)
    if isinstance(result, ValueError) and str(result).startswith("bounds[") and far(arguments):
        return result
    if usable(arguments):
        assert isinstance(result, hs.FitResult), result
    else:
        assert isinstance(result, ValueError), "data that cannot be fitted were fitted"
    return result


# -- the tests ---------------------------------------------------------------------------------------------------------


@examples(0.25)
@given(cases(options=MLE))
def test_mle_on_any_data(case):
    run(hs.fit_mle, case.arguments())


@examples(0.12)
@given(cases(start=True, options=MLE))
def test_mle_around_any_start(case):
    run(hs.fit_mle, case.arguments())


@examples(0.15)
@given(st.booleans().flatmap(lambda start: cases(start=start, bounds=True, options=MLE)))
def test_mle_in_any_box(case):
    run(hs.fit_mle, case.arguments())


@examples(0.28)
@given(st.booleans().flatmap(lambda start: cases(start=start, options=EM)))
def test_em_on_any_data_from_any_start(case):
    run(hs.fit_em, case.arguments())


@examples(0.06)
@given(cases(), st.integers(2, 5), st.sampled_from(["rank", "turn", "one of its own"]))
def test_classes_on_any_data(case, n_classes, how):
    """Classes that follow the response, that take turns, or that have one row but for one of them."""
    X, response = case.data()
    n = len(response)
    rank = np.argsort(np.argsort(response, kind="stable"), kind="stable")
    y = {
        "rank": rank * n_classes // n,
        "turn": np.arange(n) % n_classes,
        "one of its own": np.minimum(rank, n_classes - 1),
    }[how]
    arguments = {"X": X, "y": y, "gating": case.gating, "k2": case.k2, "n_starts": 1, "max_iter": 100}
    fit = attempt(hs.fit_categorical, arguments)
    if isinstance(fit, ValueError):
        top = np.maximum(np.abs(X).max(axis=0), 1e-300)
        relative = np.std(X / top, axis=0)
        spread = (relative * top)[relative > 1e-13]
        assert not np.isfinite(X).all() or (spread < 2e-18).any() or (spread > 0.5e18).any() or top.max() > 1e49
        return
    assert fit.status in ("converged", "boundary", "max_iter")
    assert np.isfinite([fit.log_likelihood, fit.penalised_log_likelihood, *fit.measure.to_vector()]).all()
    proba = fit.predict_proba(X)
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-9)
    share = np.bincount(y) / n  # a constant model, whose ridge is 0
    alone = n * (share[share > 0] * np.log(share[share > 0])).sum()
    assert alone - 1e-6 * (1.0 + abs(alone)) <= fit.penalised_log_likelihood <= 1e-9
    if (np.abs(X).max(axis=0) <= 1e8 * np.maximum(X.std(axis=0), 1e-300)).all():  # else rounding moves logits
        assert fit.log_likelihood == pytest.approx(fit.log_density(X, y).sum(), rel=1e-6, abs=1e-6)


@examples(0.1)
@given(st.sampled_from([hs.fit_mle, hs.fit_em]), raw_cases())
def test_any_numbers(fit, arguments):
    run(fit, arguments | ({"n_starts": 1} if fit is hs.fit_mle else {}))


@examples(0.03)
@given(
    st.sampled_from([hs.fit_mle, hs.fit_em]),
    cases(options=[("max_iter", st.just(5))], units=st.sampled_from(MILD)),
    st.sampled_from(sorted(WRITINGS)),
)
def test_any_writing_of_the_same_numbers(fit, case, writing):
    arguments = case.arguments() | ({"n_starts": 1} if fit is hs.fit_mle else {})
    written = {name: WRITINGS[writing](np.clip(arguments[name], -3e3, 3e3)) for name in ("X", "y")}
    plain = {name: np.array(value, dtype=float) for name, value in written.items()}
    one, other = run(fit, arguments | written), run(fit, arguments | plain)
    assert type(one) is type(other)
    if isinstance(one, hs.FitResult):
        assert one.measure == other.measure
        np.testing.assert_array_equal(one.path, other.path)


@examples(0.07)
@given(st.sampled_from([hs.fit_mle, hs.fit_em]), st.data())
def test_any_arguments(fit, data):
    arguments = GOOD.arguments() | ({"n_starts": 1} if fit is hs.fit_mle else {})
    known = sorted(set(ODD) if fit is hs.fit_mle else set(ODD) - {"n_starts", "bounds"})
    for name in data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True)):
        arguments[name] = data.draw(st.sampled_from(ODD[name]))
    check(fit, arguments)
