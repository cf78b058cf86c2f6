"""Weights: a row of weight w counts as w rows, one of weight 0 as none, and large sums keep their digits."""

import re

import naive
import numpy as np
import pandas as pd
import pytest
from conftest import moved, scale

import hmoe_stats as hs
from hmoe_stats import kernels
from hmoe_stats.arguments import GATINGS
from hmoe_stats.fitting import certificate, insertion, rows, starts
from hmoe_stats.fitting.problem import Problem, read_only

N = scale(300)  # rows: more than a block of them
BOX = {name: 8.0 for name in ("a", "b", "omega", "beta", "eta", "tau")} | {"nu": (0.05, 8.0)}
gatings = pytest.mark.parametrize("gating", GATINGS)
dimensions = pytest.mark.parametrize("d", [1, 3])


def near(got, want, tolerance=1e-12):
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max())


def repeated(weights, *arrays):
    return [np.repeat(array, weights, axis=0) for array in arrays]


@pytest.fixture
def case(rng, request):
    """A random measure, data and integer weights, some of them 0."""
    gating, d = (request.getfixturevalue(name) for name in ("gating", "d"))
    G = naive.random_measure(rng, gating, (2, 3), d)
    return G, *naive.random_data(rng, G, N), rng.integers(0, 5, N)


# -- sums over rows ---------------------------------------------------------------------------------------------------
@gatings
@dimensions
def test_sums_over_weighted_rows_are_those_over_repeated_ones(case, gating, d):
    G, X, y, w = case
    many = repeated(w, X, y)
    for function in (hs.log_likelihood, hs.score, hs.information):
        near(function(G, X, y, weights=w), function(G, *many))
    for oracle, function in ((naive.log_likelihood, hs.log_likelihood), (naive.score, hs.score)):
        near(function(G, X, y, w), oracle(G, *many), 1e-11)
    few = w[:30], *repeated(w[:30], X[:30], y[:30])
    near(hs.information(G, X[:30], y[:30], few[0]), naive.information(G, *few[1:]), 1e-10)


@gatings
@dimensions
def test_weights_need_not_be_integers(rng, case, gating, d):
    G, X, y, _ = case
    w = rng.exponential(size=N) * 10.0 ** rng.integers(-3, 4, N)
    near(hs.log_likelihood(G, X, y, w), w @ naive.log_density(G, X, y))
    gradient = naive.complex_step(lambda v: w @ naive.log_density(naive.at(G, v), X, y), naive.vector(G))
    near(hs.score(G, X, y, w), gradient, 1e-11)
    halves = np.concatenate([X, X]), np.concatenate([y, y]), np.concatenate([0.25 * w, 0.75 * w])
    near(hs.information(G, *halves), hs.information(G, X, y, w))
    few = [naive.information(G, X[i : i + 1], y[i : i + 1]) for i in range(12)]
    near(hs.information(G, X[:12], y[:12], w[:12]), np.tensordot(w[:12], few, axes=1), 1e-10)


@gatings
@dimensions
def test_rows_of_weight_0_are_no_rows_to_the_last_bit(case, gating, d):
    G, X, y, w = case
    for weights in (w, w > 1, w * 0.3):
        kept = weights > 0
        for function in (hs.log_likelihood, hs.score, hs.information):
            got = function(G, X, y, weights=weights)
            assert np.array_equal(got, function(G, X[kept], y[kept], weights=weights[kept]))
    assert np.array_equal(hs.score(G, X, y, w > 1), hs.score(G, X[w > 1], y[w > 1]))


@gatings
@dimensions
def test_weights_of_1_are_none_to_the_last_bit(case, gating, d):
    G, X, y, _ = case
    for function in (hs.log_likelihood, hs.score, hs.information, hs.responsibilities):
        assert np.array_equal(function(G, X, y, weights=np.ones(N)), function(G, X, y))


def test_a_weight_does_not_change_a_posterior(rng):
    G = naive.random_measure(rng, "SL")
    X, y = naive.random_data(rng, G, 20)
    w = rng.integers(0, 3, 20)
    r = hs.responsibilities(G, X, y, weights=w)
    assert np.array_equal(r, hs.responsibilities(G, X, y))
    near(w @ r, hs.responsibilities(G, *repeated(w, X, y)).sum(axis=0))


@gatings
@dimensions
def test_scores_of_ten_million_million_rows_keep_their_digits(case, gating, d):
    """Relative to its largest entry a score is as good as one of few rows."""
    G, X, y, w = case
    few, unit = repeated(w, X, y), 10**13 // int(w.sum())
    near(hs.score(G, X, y, w * unit) / unit, hs.score(G, *few), 1e-13)
    near(hs.information(G, X, y, w * unit) / unit, hs.information(G, *few), 1e-13)


@gatings
def test_a_log_likelihood_relative_to_a_measure_keeps_differences_of_a_thousandth_at_1e12_rows(rng, gating):
    G = naive.random_measure(rng, gating)
    X, y = naive.random_data(rng, G, 40)
    w = rng.multinomial(10**12, np.full(40, 1 / 40))
    for size in (1e-3, 1e-9, 1e-14):
        H = G.replace(tau=G.tau + size, nu=G.nu * (1 + size))
        want = w @ (naive.log_density_decimal(H, X, y) - naive.log_density_decimal(G, X, y))
        got = hs.log_likelihood(H, X, y, weights=w, relative_to=G)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-3)
    assert hs.log_likelihood(G, X, y, weights=w, relative_to=G) == 0.0


def test_the_other_measure_may_have_another_shape_and_gating_but_no_other_covariates(rng):
    G, H = naive.random_measure(rng, "SS", (2, 2), 2), naive.random_measure(rng, "LL", (3,), 2)
    X, y = naive.random_data(rng, G, 50)
    near(hs.log_likelihood(G, X, y, relative_to=H), hs.log_likelihood(G, X, y) - hs.log_likelihood(H, X, y))
    with pytest.raises(ValueError, match="relative_to must have d = 2, as G has; got d = 1"):
        hs.log_likelihood(G, X, y, relative_to=naive.random_measure(rng))
    with pytest.raises(ValueError, match="relative_to must be a MixingMeasure"):
        hs.log_likelihood(G, X, y, relative_to="G")


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_weighted_sums_do_not_depend_on_where_their_arrays_lie(gating, rng):
    G = naive.random_measure(rng, gating)
    X, y = naive.random_data(rng, G, N)
    args, w = G.kernel_args(), rng.uniform(0.5, 2.0, N)
    base, kind, c = kernels.insertion_base(X, y, args, 0.01, 1), args[1], args[-1]
    experts, ends = tuple(a[:3] for a in args[5:-1]), read_only(np.full(3, -4.0), np.full(3, 1.0))
    calls = {
        kernels.score: (X, y, args, 0.01),
        kernels.information: (X, y, args, 0.01),
        kernels.insertion_gains: (X, y, kind, c, base, experts, ends, 0.01),
        kernels.insertion_information: (X, y, kind, c, base, tuple(v[0] for v in experts), 0.01),
    }
    for kernel, arguments in calls.items():
        seen, rubbish = set(), []
        for _ in range(scale(40, 2)):
            rubbish = [*rubbish[-20:], np.full(rng.integers(1, 3000), rng.normal())]
            parts = kernel(*moved(arguments), weights=w.copy())
            seen.add(b"".join(np.asarray(part).tobytes() for part in parts))
        assert len(seen) == 1, kernel.__name__


# -- at the border ----------------------------------------------------------------------------------------------------
WRONG = {
    "negative": (np.arange(-1.0, 19.0), "weights must be (20,) non-negative finite numbers, not all 0; got 1 negative"),
    "zeros": (np.zeros(20), "weights must be (20,) non-negative finite numbers, not all 0; got zeros only"),
    "short": (np.ones(19), "weights must be (20,) non-negative finite numbers, not all 0; got 19 of them"),
    "one": (2.0, "weights must have shape (any,); got ()"),
    "wide": (np.ones((20, 2)), "weights must have shape (any,); got (20, 2)"),
    "nan": ([np.nan, *[1.0] * 19], "weights must be finite; got 1 NaN or infinite entries"),
    "infinite": ([1.0] * 19 + [np.inf], "weights must be finite; got 1 NaN or infinite entries"),
    "masked": (np.ma.masked_less(np.arange(20.0), 3.0), "weights must be an array of numbers"),
    "text": (["1"] * 20, "weights must be an array of numbers"),
    "index": (pd.Series(np.arange(20.0), index=range(1, 21)), "weights must have the index of y"),
}


@pytest.mark.parametrize(("weights", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_no_weights_are_is_refused_by_all_that_take_them(rng, weights, words):
    G = hs.datasets.truth("C2", "SS")
    X, y = hs.sample(G, 20, x=hs.Uniform(-3, 3), seed=1)
    y = pd.Series(y)
    calls = [lambda f=f: f(G, X, y, weights=weights) for f in (hs.log_likelihood, hs.score, hs.information)]
    calls += [lambda: hs.responsibilities(G, X, y, weights=weights)]
    calls += [lambda f=f: f(X, y, "SS", (2,), weights=weights) for f in (hs.fit_mle, hs.fit_em)]
    for call in calls:
        with pytest.raises(ValueError, match=re.escape(words)) as error:
            call()
        assert len(str(error.value)) < 500


def test_a_column_of_weights_and_series_of_one_index_are_taken(rng):
    G = naive.random_measure(rng, "SS")
    X, y = naive.random_data(rng, G, 10)
    w = rng.integers(1, 4, 10)
    want, index = hs.score(G, X, y, w), range(5, 15)
    assert np.array_equal(hs.score(G, X, y, w[:, None]), want)
    assert np.array_equal(hs.score(G, X, pd.Series(y, index), pd.Series(w, index)), want)
    with pytest.raises(ValueError, match="weights must have the index of X"):
        hs.score(G, pd.DataFrame(X), y, pd.Series(w, index))


def test_rows_and_their_weights_must_be_more_than_the_free_parameters(rng):
    """Of two experts in one dimension 8 are free: 2 of their gate, 6 of their own."""
    X, y, w = rng.normal(size=(20, 1)), rng.normal(size=20), np.zeros(20)
    w[:8] = 100.0
    with pytest.raises(ValueError, match="more rows of positive weight than the model has free parameters, 8; got 8"):
        hs.fit_mle(X, y, "SS", (2,), weights=w)
    with pytest.raises(ValueError, match="weights must sum to more than the number of free parameters, 8, .*; got 1"):
        hs.fit_em(X, y, "SS", (2,), weights=np.full(20, 0.05))
    y[w > 0] = 1.0
    w[8] = 1e-30
    y[8] = 1.0
    with pytest.raises(ValueError, match="y must vary"):
        hs.fit_mle(X, y, "SS", (2,), weights=w)


# -- what a fit is made of --------------------------------------------------------------------------------------------
def problems(gating, d, rng, box=None, k2=(2, 3)):
    """A measure, and one problem on weighted and on repeated rows."""
    G = naive.random_measure(rng, gating, k2, d)
    X, y = naive.random_data(rng, G, N)
    w = rng.integers(1, 5, N)
    make = lambda X, y, w: Problem(X, y, gating, k2, box, G, G, w)  # noqa: E731
    return G, w, make(X, y, w.astype(float)), make(*repeated(w, X, y), None)


@gatings
@dimensions
def test_a_problem_is_that_of_repeated_rows(rng, gating, d):
    G, w, weighted, many = problems(gating, d, rng)
    for name in ("n", "x_shift", "x_scale", "y_shift", "y_scale", "spread", "scale", "lower", "upper", "x_mean"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(many, name), rtol=1e-10, atol=1e-13)
    near(weighted.x_cov, many.x_cov)
    assert weighted.smoothing == pytest.approx(many.smoothing, rel=1e-12)
    z = many.from_measure(G)
    value, gradient, information = weighted.derivatives(z, many.smoothing)
    want = many.derivatives(z, many.smoothing)
    near(weighted.absolute(value), want[0])
    near(gradient, want[1], 1e-11)
    near(information, want[2], 1e-11)
    assert value == weighted.log_likelihood(z, many.smoothing)
    assert abs(weighted.log_likelihood(z, 0.0)) < 1e-9  # it is relative to G


@gatings
def test_rows_are_drawn_as_their_copies_would_be(rng, gating):
    """With integers the very same ones: all that starts are made of, apart from clusters and random subsets."""
    G, w, weighted, many = problems(gating, 2, rng)
    few, all_ = (rows.drawn(np.random.default_rng(1), p.rows, p.weights, 500) for p in (weighted, many))
    assert np.array_equal(weighted.X[few].round(9), many.X[all_].round(9))
    X, copies = weighted.X, many.X
    for make in (
        lambda X, w, rng: starts.jitter(G, X, rng, 0.3, weights=w),
        lambda X, w, rng: starts.split(G, (3, 3), X, rng, 4, weights=w)[0],
        *([lambda X, w, rng: starts.scatter(G, X, rng, weights=w)] if gating == "LL" else []),
        *([lambda X, w, rng: starts.recentre(G, X, rng, True, weights=w)] if gating[1] == "L" else []),
    ):
        got, want = make(X, weighted.weights, np.random.default_rng(2)), make(copies, None, np.random.default_rng(2))
        near(got.to_vector(), want.to_vector())
    drawn = rows.drawn(rng, 3, np.array([0.25, 1e-9, 0.75]), 2000)
    assert np.bincount(drawn, minlength=3) == pytest.approx([500, 0, 1500], abs=100)


@gatings
@pytest.mark.parametrize("make", [starts.from_clusters, starts.random])
def test_starts_from_data_follow_the_rows_that_count(rng, gating, make):
    """Rows of next to no weight, far from the others, draw no expert."""
    G = naive.random_measure(rng, gating, (2, 2))
    X, y = naive.random_data(rng, G, N)
    y[::2] += 1e4
    w = np.where(np.arange(N) % 2, 1e3, 1e-9)
    start = make(Problem(X, y, gating, (2, 2), weights=w), rng)
    assert np.abs(start.tau).max() < 200
    assert start.nu.max() < 1e4


def test_weights_of_experts_come_on_top_of_those_of_rows(rng):
    G, w, weighted, many = problems("LS", 2, rng)
    held = rng.dirichlet(np.ones(5), N).T
    got, want = starts.from_weights(weighted, held), starts.from_weights(many, np.repeat(held, w, axis=1))
    near(got.to_vector(), want.to_vector(), 1e-10)


def test_few_rows_stand_for_many_in_proportion_to_their_weights(rng):
    G = naive.random_measure(rng, "SL")
    X, y = naive.random_data(rng, G, N)
    w = 10.0 ** rng.uniform(0, 10, N)
    problem = Problem(X, y, "SL", (2, 3), start=G, weights=w)
    assert problem.thinned(rng, N) is problem
    few = problem.thinned(rng, N // 2)
    assert few.weights.sum() == few.n == N // 2
    assert few.rows == len(few.X) == len(few.y) == few.reference.size < N // 2
    heavy = w > 0.05 * w.sum()
    held = [few.weights[(few.y == y).nonzero()[0]].sum() for y in problem.y[heavy]]
    near(held, w[heavy] / w.sum() * few.n, 0.5)
    z = problem.from_measure(G)
    assert few.log_likelihood(z, 0.0) == pytest.approx(0.0, abs=1e-9)
    density = hs.log_density(G, few.X * problem.x_scale + problem.x_shift, few.y * problem.y_scale + problem.y_shift)
    assert few.absolute(0.0) == pytest.approx(few.weights @ density, rel=1e-9)


def test_values_keep_their_digits_where_a_start_is_nowhere_near_the_data(rng):
    """Rows of any log-density may be what values are relative to, but differences with huge ones would round."""
    G = naive.random_measure(rng, "SS")
    X, y = naive.random_data(rng, G, N)
    problem = Problem(X, y, "SS", (2, 3), start=G.replace(tau=G.tau + 1e20), weights=np.full(N, 2.0))
    value = problem.log_likelihood(problem.from_measure(G), 0.0)
    assert problem.absolute(value) == pytest.approx(2.0 * hs.log_likelihood(G, X, y), rel=1e-5)


@gatings
@dimensions
def test_an_expert_is_inserted_as_into_repeated_rows(rng, gating, d):
    G, w, *_ = problems(gating, d, rng, BOX, (2, 2))
    X, y = naive.random_data(rng, G, N)
    groups = [
        insertion.Group(Problem(*data, gating, (2, 3), BOX, weights=weights), G, 1)
        for data, weights in (((X, y), w.astype(float)), (repeated(w, X, y), None))
    ]
    drawn = [group.candidates(np.random.default_rng(3), 12) for group in groups]
    for ways in ("alone", "helped"):
        judged = [getattr(group, ways)(experts) for group, experts in zip(groups, drawn, strict=True)]
        for name in judged[0]:
            np.testing.assert_allclose(judged[0][name], judged[1][name], rtol=1e-7, atol=1e-7)
    (X, y, kind, unit, base), (copies, values, _, _, whole) = (group._data() for group in groups)
    for c in range(3):
        expert = drawn[0]["omega"][c], 0.3, *(drawn[0][name][c] for name in ("eta", "tau", "nu"))
        got = kernels.insertion_information(X, y, kind, unit, base, expert, 0.01, weights=w.astype(float))
        for part, want in zip(
            got, kernels.insertion_information(copies, values, kind, unit, whole, expert, 0.01), strict=True
        ):
            near(part, want, 1e-10)


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_doubts_about_an_optimum_count_rows_by_their_weights(rng, gating):
    K, expert = 2, {"eta": [[0.5], [0.5]], "tau": [0.0, 0.8], "nu": [1.0, 1e-4]}
    gate = {"a": [[0.0]], "b": [0.0], "omega": [[-0.4], [0.4]], "beta": [0.0, -3.0]}
    G = hs.MixingMeasure(gating=gating, k2=(K,), **gate, **expert)
    X = rng.uniform(-2, 2, (N, 1))
    y, w = 0.5 * X[:, 0] + rng.normal(size=N), rng.integers(1, 4, N)
    y[:5], w[:5] = 0.8 + 0.5 * X[:5, 0] + 0.01 * np.linspace(-1.2, 1.2, 5), 2
    said = []
    for data, weights in (((X, y), w.astype(float)), (repeated(w, X, y), None)):
        problem = Problem(*data, gating, (2,), start=G, weights=weights)
        said.append(certificate.doubts(problem, problem.from_measure(G)))
    assert said[0] == said[1]
    assert len(said[0]) == 1
    assert f"of {w.sum()} rows" in said[0][0]


# -- fits -------------------------------------------------------------------------------------------------------------
def truth(gating, d, rng):
    return hs.datasets.truth("C2", gating) if d == 1 else naive.random_measure(rng, gating, (2, 2), d)


@gatings
@dimensions
def test_a_fit_of_weighted_rows_is_that_of_repeated_ones(rng, gating, d):
    G = truth(gating, d, np.random.default_rng(3))
    X, y = hs.sample(G, 400, x=hs.Uniform([-3] * d, [3] * d), seed=1)
    w = rng.integers(0, 4, 400)
    options = {"gating": gating, "k2": (2, 2), "start": G}
    got, want = hs.fit_mle(X, y, weights=w, **options), hs.fit_mle(*repeated(w, X, y), **options)
    assert got.log_likelihood == pytest.approx(want.log_likelihood, abs=1e-6)
    assert (got.status, got.warnings, got.n_optima) == (want.status, want.warnings, want.n_optima)
    assert got.log_likelihood == pytest.approx(hs.log_likelihood(got, X, y, w), abs=1e-8)
    np.testing.assert_allclose(got.eigenvalues, want.eigenvalues, rtol=1e-4, atol=1e-8)
    if gating == "SS":  # the path is that of the model itself
        assert got.path[-1] == pytest.approx(got.log_likelihood, abs=1e-7)
    assert got.starts["log_likelihood"].max() == pytest.approx(want.starts["log_likelihood"].max(), abs=1e-4)
    em = hs.fit_em(X, y, weights=w, **options, max_iter=30)
    other = hs.fit_em(*repeated(w, X, y), **options, max_iter=30)
    assert em.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(em.path, other.path, rtol=0, atol=1e-5)


def test_without_a_start_both_find_the_same_optimum(rng):
    gating = "SS"
    X, y = hs.sample(hs.datasets.truth("C2", gating), 300, x=hs.Uniform(-3, 3), seed=2)
    w = rng.integers(0, 3, 300)
    options = {"gating": gating, "k2": (2, 2), "effort": "quick"}
    got, want = hs.fit_mle(X, y, weights=w, **options), hs.fit_mle(*repeated(w, X, y), **options)
    assert got.log_likelihood == pytest.approx(want.log_likelihood, abs=1e-6)
    small = {"gating": gating, "k2": (1, 2), "max_iter": 3}
    assert np.isfinite(hs.fit_em(X, y, weights=0.5 * w, **small).path).all()


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_fits_leave_out_rows_of_weight_0_and_weights_of_1_to_the_last_bit(rng, gating):
    G = hs.datasets.truth("C2", gating)
    X, y = hs.sample(G, 300, x=hs.Uniform(-3, 3), seed=1)
    w = rng.integers(0, 2, 300)
    kept = w == 1
    for fit, options in ((hs.fit_mle, {"n_starts": 2}), (hs.fit_em, {"max_iter": 5})):
        got = fit(X, y, gating, (2, 2), start=G, weights=w, **options)
        want = fit(X[kept], y[kept], gating, (2, 2), start=G, **options)
        assert np.array_equal(got.measure.to_vector(), want.measure.to_vector())
        assert np.array_equal(got.path, want.path)


def lattice(G, n, step=0.15):
    """Counts of n draws from G on a lattice of y and the nodes of a quadrature rule over [-3, 3], all cells in rows."""
    nodes, masses = np.polynomial.legendre.leggauss(32)
    y = step * np.arange(-100, 101)
    X, y = np.repeat(3 * nodes, y.size), np.tile(y, nodes.size)
    p = np.repeat(masses, 201) * np.exp(hs.log_density(G, X, y))
    return X, y, np.random.default_rng(5).multinomial(n, p / p.sum())


@pytest.mark.parametrize("gating", ["SS", "LL"])
@pytest.mark.parametrize("n", [10**6, 10**12])
def test_what_a_fit_gains_over_the_truth_does_not_depend_on_the_number_of_rows(gating, n):
    """Twice the gain is chi-squared: of 18 free parameters here, about 9 of gain; and a larger model gains more."""
    G = hs.datasets.truth("C2", gating)
    X, y, counts = lattice(G, n)
    fit = hs.fit_mle(X, y, gating, (2, 2), start=G, weights=counts, n_starts=4, bounds=BOX)
    gain = hs.log_likelihood(fit, X, y, counts, relative_to=G)
    assert fit.converged
    assert 2 < gain < 22
    assert fit.score_norm < 1e-11
    # at 1e12 rows a change of 1e-6 in a mean is all that its standard error allows
    moved = fit.measure.replace(tau=fit.measure.tau + 3.0 / np.sqrt(n))
    assert hs.log_likelihood(moved, X, y, counts, relative_to=G) < gain - 0.1
    larger = hs.fit_mle(X, y, gating, (2, 3), start=fit, weights=counts, n_starts=4, bounds=BOX)
    assert hs.log_likelihood(larger, X, y, counts, relative_to=fit) > -1e-3
    em = hs.fit_em(X, y, gating, (2, 2), start=fit, weights=counts)
    assert em.status == "converged"
    assert hs.log_likelihood(em, X, y, counts, relative_to=fit) == pytest.approx(0.0, abs=1e-2)
