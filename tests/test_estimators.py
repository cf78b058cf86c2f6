"""The estimators of a study, and the studies that compare two of them on the same samples."""

import tomllib

import numpy as np
import pytest

import hmoe_stats as hs
from hmoe_stats.fitting import starts
from hmoe_stats.quadrature import lattice
from simulations import runner
from simulations.checks import box_findings, check_study
from simulations.estimators import about
from simulations.study import Cell, Study, load_study

TEXT = """
name = "small"
truth = "C2"
gatings = ["SS"]
k2 = [[3, 3]]
n = [400]
replicates = 2
x = { law = "uniform", low = -3.0, high = 3.0 }
seed = 7

[fit]
estimator = "em"
n_starts = 3
tol = 1e-5

[fit.jitter]
eta = [0.2, 0.25]
tau = [0.2, 0.25]
"""
G = hs.datasets.truth("C2")
CELL = Cell("SS", (3, 3), 400, 0)


def small(data="rows", **fit):
    study = tomllib.loads(TEXT)
    return Study(**study | {"data": data, "fit": study["fit"] | fit})


# -- starts about a measure -------------------------------------------------------------------------------------------
def test_without_noise_a_start_is_the_truth_in_a_larger_shape(rng):
    X, y = hs.sample(G, 200, x=hs.Uniform(-3, 3), seed=1)
    seen = set()
    for _ in range(60):
        start = about(G, (4, 3), rng, {})
        assert start.k2 == (4, 3)
        np.testing.assert_allclose(hs.log_density(start, X, y), hs.log_density(G, X, y), rtol=1e-12)
        seen.add(tuple(start.tau))
    assert len(seen) == 3 * 2  # which experts are copied is drawn: 3 + 1, 2 + 2 or 1 + 3, and 2 + 1 or 1 + 2


def test_noise_has_its_standard_deviations_and_raises_variances(rng):
    sizes = {"tau": 0.3, "eta": 0.02, "beta": 0.1, "nu": 0.05}
    found = [about(G, (2, 2), rng, sizes) for _ in range(2000)]
    for name in ("tau", "eta", "beta"):
        noise = np.array([getattr(H, name) - getattr(G, name) for H in found])
        assert noise.std() == pytest.approx(sizes[name], rel=0.05)
        assert abs(noise.mean()) < 4 * sizes[name] / np.sqrt(noise.size)
    raised = np.array([H.nu - G.nu for H in found])
    assert raised.min() > 0
    assert np.sqrt((raised**2).mean()) == pytest.approx(0.05, rel=0.05)
    for name in ("a", "b", "omega"):
        assert all((getattr(H, name) == getattr(G, name)).all() for H in found)


# -- EM as an estimator -----------------------------------------------------------------------------------------------
def by_hand(study):
    """The runs of EM of `CELL`."""
    X, y = hs.sample(G, 400, x=hs.Uniform(-3, 3), seed=study.data_seed(400, 0))
    draw = np.random.default_rng(starts.key(study.fit_seed(400, 0), "SS", (3, 3)))
    size = 0.2 * 400**-0.25
    first = [about(G, (3, 3), draw, {"eta": size, "tau": size}) for _ in range(3)]
    return [hs.fit_em(X, y, "SS", (3, 3), start=start, tol=400 * 1e-5) for start in first]


def test_a_cell_is_the_best_of_its_runs():
    study = small()
    row, fits = runner.run_cell(study, CELL), by_hand(study)
    values = [fit.log_likelihood for fit in fits]
    assert len({round(value, 6) for value in values}) == 3
    best = fits[int(np.argmax(values))]
    assert best.status != "degenerate"
    assert hs.MixingMeasure.from_dict(row["parameters"]) == best.measure
    assert (row["log_likelihood"], row["n_iter"]) == (best.log_likelihood, best.n_iter)
    assert row["certificate"]["n_starts"] == 3
    again = runner.run_cell(study, CELL)
    assert again["parameters"] == row["parameters"]


def test_a_flawed_run_is_not_the_best(monkeypatch):
    """A variance that runs to 0 has the greatest likelihood."""
    study, real, calls = small(), hs.fit_em, []
    values = [fit.log_likelihood for fit in by_hand(study)]

    def flawed(*data, **options):
        fit = real(*data, **options)
        calls.append(fit)
        if fit.log_likelihood == max(values):
            object.__setattr__(fit, "status", "degenerate")
        return fit

    monkeypatch.setattr(hs, "fit_em", flawed)
    assert runner.run_cell(study, CELL)["log_likelihood"] == sorted(values)[1]
    assert len(calls) == 3


def test_em_ends_by_its_tolerance_or_its_iterations():
    early, late = (runner.run_cell(small(n_starts=1, tol=tol), CELL) for tol in (1e-4, 1e-7))
    assert early["status"] == "converged"
    assert 2 <= early["n_iter"] < late["n_iter"]
    assert early["log_likelihood"] < late["log_likelihood"]
    capped = runner.run_cell(small(n_starts=1, max_iter=2), CELL)
    assert (capped["status"], capped["n_iter"]) == ("max_iter", 2)


def test_em_is_a_fit_of_counts_on_a_lattice():
    study = small("lattice", bounds={"nu": [0.1, 4.0]})
    row = runner.run_cell(study, CELL._replace(n=10**9))
    assert row["status"] == "converged"
    X, y, counts = hs.sample_lattice(G, 10**9, study.law, study.data_seed(10**9, 0), 0.1)
    fitted = hs.MixingMeasure.from_dict(row["parameters"])
    assert row["log_likelihood"] == pytest.approx(hs.log_likelihood(fitted, X, y, counts), rel=1e-12)


# -- the simulation of arXiv 2305.03288 -------------------------------------------------------------------------------
PAIRS = [("reproduction", "reproduction-em"), ("reproduction-far", "reproduction-far-em")]


@pytest.mark.parametrize("names", PAIRS)
def test_both_estimators_have_the_same_cells_and_samples(names):
    one, other = map(load_study, names)
    assert one.cells() == other.cells()
    assert (one.fit.estimator, other.fit.estimator) == ("mle", "em")
    assert one.hash != other.hash
    for n in one.sizes[::3]:
        mine, others = (study.sample("SS", n, 5) for study in (one, other))
        for first, second in zip(mine, others, strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("names", PAIRS)
def test_the_studies_can_be_fitted_in_their_box(names):
    for study in map(load_study, names):
        check_study(study)
        if study.fit.estimator == "mle":
            assert not list(box_findings(study))
            low, high = study.fit.bounds.nu
            assert low < 0.09 < 0.16 < high


def test_the_truth_is_that_of_the_paper():
    """A roof: rising line left of x = 0.32, falling line right of it, where the lines are 7 apart; sd .3 and .4."""
    truths = [load_study(name).measure("SS") for pair in PAIRS for name in pair]
    truth = truths[0]
    assert all(other == truth for other in truths)
    x = np.array([[0.0], [0.32], [1.0]])
    share = hs.gate_weights(truth, x)[:, 0]
    np.testing.assert_allclose(share, 1 / (1 + np.exp(8 - 25 * x[:, 0])), rtol=1e-12)
    lines = x * truth.eta.T + truth.tau
    np.testing.assert_allclose(lines, [[15, -5], [8.6, 1.4], [-5, 15]], rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(truth.nu), [0.3, 0.4], rtol=1e-12)


def test_em_ends_at_a_millionth_of_the_log_likelihood():
    study = load_study("reproduction-far-em")
    grid = lattice(study.law, study.measure("SS"), 0.01)
    density = grid.densities(study.measure("SS"))
    mean = (grid.probabilities(study.measure("SS")) * np.log(np.maximum(density, 1e-300))).sum()
    for name in ("reproduction-em", "reproduction-far-em"):
        assert load_study(name).fit.tol == pytest.approx(1e-6 * abs(mean), rel=1e-3)


def test_what_is_published_of_it_and_what_is_derived():
    """Theorems 1 and 2 of the paper; the derived exponents are as small or smaller where gates are identified."""
    study, published = load_study("reproduction"), {}
    truth = study.measure("SS")
    for k in (2, 3, 4):
        table = hs.theory.rates(truth, (k,), form="published", x=study.law)
        assert table["source"].str.startswith("arXiv 2305.03288").all()
        weighted = table[table["kind"] == "weighted"]
        published |= {(row.m, row.parameter): row.kappa for row in weighted.itertuples()}
        refuted = set(table.loc[table["status"] == "refuted here", "parameter"])
        assert refuted == ({"loss", "omega", "beta"} if k == 4 else set())  # both experts can be split at once
    names = ("omega", "eta", "tau", "nu")
    want = {(m, name): kappa for m, kappas in {2: (4, 2, 4, 2), 3: (6, 3, 6, 3)}.items()
            for name, kappa in zip(names, kappas, strict=True)}  # fmt: skip
    assert published == want | {(1, name): 1 for name in names}
    sharp = hs.theory.rates(truth, (3,), x=study.law)
    sharp = sharp[(sharp["kind"] == "weighted") & (sharp["m"] == 2)].set_index("parameter")["kappa"]
    assert sharp.to_dict() == {"omega": 2, "eta": 2, "tau": 4, "nu": 2}
