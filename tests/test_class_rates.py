"""Rates of categorical experts: the plain estimator, lattices, errors, exponents, what is not identified."""

import numpy as np
import pandas as pd
import pytest

import hmoe_stats as hs
from hmoe_stats import theory
from hmoe_stats.fitting import class_mle
from hmoe_stats.quadrature import lattice

LAW = hs.Uniform(-3, 3)
GATINGS = ["SS", "LL", "QQ"]
BOX = {"omega": 3.0, "beta": 3.0, "eta": 10.0, "tau": 10.0}


def tree(gating, seed=0):
    """Two groups of one and two experts, three classes, two covariates."""
    rng = np.random.default_rng(seed)
    gates = {name: rng.normal(size=shape) for name, shape in (("a", (2, 2)), ("b", 2), ("omega", (3, 2)), ("beta", 3))}
    experts = {"eta": rng.normal(size=(3, 2, 2)), "tau": rng.normal(size=(3, 2))}
    return hs.CategoricalMeasure(gating=gating, k2=(1, 2), **gates, **experts)


def free(problem):
    """Coordinates that can move."""
    return np.flatnonzero(~problem.fixed)


# -- derivatives, by differences, and by the kernels ------------------------------------------------------------------
@pytest.mark.parametrize("gating", ["SS", "LS", "SL", "LL", "QL"])
def test_derivatives_are_those_of_the_value(gating):
    G = tree(gating)
    X, y = hs.sample_categorical(G, 60, hs.Uniform(-2, 2), seed=1)
    problem = class_mle.Problem(G.rows(X, y, np.arange(60) % 4 + 0.5), G, (2, 3), {})
    z = problem.template.to_vector() + 0.3 * np.random.default_rng(2).normal(size=problem.p)
    value, gradient, information = problem.derivatives(z, 0.05)
    assert value == problem.value(z, 0.05)
    steps = 1e-5 * np.eye(problem.p)
    slopes = [(problem.value(z + h, 0.05) - problem.value(z - h, 0.05)) / 2e-5 for h in steps]
    bends = [(problem.derivatives(z - h, 0.05)[1] - problem.derivatives(z + h, 0.05)[1]) / 2e-5 for h in steps]
    assert np.allclose(gradient, slopes, rtol=1e-6, atol=1e-6 * np.abs(gradient).max())
    assert np.allclose(information, bends, rtol=1e-6, atol=1e-6 * np.abs(information).max())


@pytest.mark.parametrize("gating", ["SS", "LQ"])
def test_the_score_is_that_of_the_kernels(gating):
    G = tree(gating)
    X, y = hs.sample_categorical(G, 200, hs.Uniform(-2, 2), seed=1)
    weights = np.arange(200) % 3 + 0.5
    problem = class_mle.Problem(G.rows(X, y, weights), G, G.k2, {})
    H = G.with_vector(G.to_vector() + 0.1)
    value, gradient, _ = problem.derivatives(H.to_vector(), 0.0)
    assert np.isclose(value, H.log_likelihood(X, y, weights) - G.log_likelihood(X, y, weights), atol=1e-9)
    assert np.allclose(gradient, H.score(X, y, weights), atol=1e-9)


def test_likelihoods_are_those_of_the_measure_and_differences_keep_their_digits():
    G = hs.datasets.truth("M2", "SS")
    H = G.replace(tau=G.tau + 1e-6)
    X, y, counts = hs.sample_lattice(G, 10**12, LAW, seed=1)
    assert np.array_equal(hs.log_density(G, X, y), G.log_density(X, y))
    assert hs.log_likelihood(G, X, y, weights=counts) == G.log_likelihood(X, y, counts)
    gap = hs.log_likelihood(H, X, y, weights=counts, relative_to=G)
    step = H.to_vector() - G.to_vector()
    quadratic = step @ G.score(X, y, counts) - 0.5 * step @ G.information(X, counts) @ step
    assert abs(gap - quadratic) < 1e-2 * max(1.0, abs(quadratic))
    with pytest.raises(ValueError, match="^relative_to must be a CategoricalMeasure"):
        hs.log_likelihood(G, X, y, relative_to=hs.datasets.truth("C2", "SS"))


@pytest.mark.parametrize("gating", ["SS", "LS", "SL", "LL"])
def test_translations_change_nothing_and_are_all_there_are(gating):
    G = tree(gating)
    X = np.random.default_rng(0).normal(size=(40, 2))
    found = G.translations()
    for number, where in enumerate(found):
        moved = G.to_vector()
        moved[where] += 0.3 + number
        assert np.allclose(G.with_vector(moved).predict_proba(X), G.predict_proba(X), atol=1e-12)
    values = np.linalg.eigvalsh(G.information(X))
    assert (values < 1e-10 * values[-1]).sum() == len(found)


# -- the estimator ----------------------------------------------------------------------------------------------------
def test_one_expert_is_logistic_regression_without_a_ridge():
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(3)
    G = hs.CategoricalMeasure(
        gating="SS", k2=(1,), a=[[0.0]], b=[0.0], omega=[[0.0]], beta=[0.0], eta=[[[0.8], [-0.5]]], tau=[[0.3, 0.2]]
    )
    X, y = hs.sample_categorical(G, 500, LAW, seed=4)
    weights = rng.integers(1, 4, 500).astype(float)
    fit = hs.fit_categorical_mle(X, y, "SS", 1, G, weights=weights)
    other = linear.LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(X, y, weights)
    there = float(weights @ other.predict_log_proba(X)[np.arange(500), y])
    assert fit.converged
    assert abs(fit.log_likelihood - there) < 1e-6
    assert np.allclose(fit.measure.eta[0], other.coef_[:-1] - other.coef_[-1], atol=1e-4)


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize("n", [10**6, 10**12])
def test_errors_of_the_exact_model_are_those_of_its_information(gating, n):
    """At any n the gain has the law of chi-squared, and errors are of the size that the information says."""
    G = hs.datasets.truth("M2", gating)
    problem = None
    gains, scores = [], []
    for seed in range(12):
        X, y, counts = hs.sample_lattice(G, n, LAW, seed=seed)
        fit = hs.fit_categorical_mle(X, y, gating, 2, G, bounds=BOX, weights=counts)
        assert fit.converged
        assert fit.n_agree == 1
        gains.append(2.0 * float(counts @ (fit.measure.log_density(X, y) - G.log_density(X, y))))
        problem = problem or class_mle.Problem(G.rows(X, y, counts), G, (2,), {})
        scores.append(fit.score_norm)
    df = 10  # a gate of two (two parameters) and two experts of two logits, each a line
    assert abs(np.mean(gains) - df) < 4.0 * np.sqrt(2.0 * df / 12)
    assert max(scores) < 1e-8


def test_a_larger_model_is_no_less_likely_than_the_one_inside_and_what_binds_is_named():
    G = hs.datasets.truth("M2", "SS")
    X, y, counts = hs.sample_lattice(G, 10**5, LAW, seed=1)
    small = hs.fit_categorical_mle(X, y, "SS", 2, G, bounds=BOX, weights=counts, n_starts=2)
    large = hs.fit_categorical_mle(X, y, "SS", 3, G, bounds=BOX, weights=counts, n_starts=4)
    assert large.log_likelihood >= small.log_likelihood - 1e-6
    again = hs.fit_categorical_mle(X, y, "SS", 3, G, bounds=BOX, weights=counts, n_starts=4)
    assert again.measure == large.measure  # the same starts, the same bits
    tight = hs.fit_categorical_mle(X, y, "SS", 2, G, bounds=BOX | {"tau": [-1.0, 10.0]}, weights=counts)
    assert tight.status == "boundary"
    assert "tau[1,0]" in tight.active_bounds
    assert tight.log_likelihood < small.log_likelihood


def test_bad_arguments_are_named():
    G = hs.datasets.truth("M2", "SS")
    X, y = hs.sample_categorical(G, 50, LAW, seed=0)
    for word, change in (
        ("start", {"start": hs.datasets.truth("C2", "SS")}),
        ("start", {"gating": "LL"}),
        ("start", {"k2": 1}),
        ("bounds", {"bounds": {"nu": 1.0}}),
        ("bounds", {"bounds": [1.0]}),
        ("n_starts", {"n_starts": 0}),
        ("y", {"y": np.full(50, 7)}),
    ):
        arguments = {"X": X, "y": y, "gating": "SS", "k2": 2, "start": G} | change
        with pytest.raises(ValueError, match=rf"^{word}\b"):
            hs.fit_categorical_mle(**arguments)


# -- lattices and errors ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", GATINGS)
def test_a_lattice_of_classes_is_the_model(gating):
    G = hs.datasets.truth("M2", gating)
    grid = lattice(LAW, G, 1.0)
    assert np.isclose(grid.probabilities(G).sum(), 1.0, atol=1e-12)
    X, y, counts = hs.sample_lattice(G, 10**7, LAW, seed=2)
    assert counts.sum() == 10**7
    assert set(y) == set(G.classes)
    at = np.linspace(-3, 3, 20001)[:, None]
    for label, share in zip(G.classes, G.predict_proba(at).mean(axis=0), strict=True):
        assert abs(counts[y == label].sum() / 1e7 - share) < 5e-4


def test_errors_are_those_of_a_slow_reckoning():
    """Two copies of the first expert, one of the second, with slopes known: everything by sums over a fine grid."""
    G0 = hs.datasets.truth("M2", "SS")
    G = G0.replace(
        k2=(3,), omega=[[1.1], [0.9], [-1.0]], beta=np.log([0.3, 0.9, 1.0]) + 0.1,
        eta=G0.eta[[0, 0, 1]] + 0.1 * np.arange(6).reshape(3, 2, 1),
        tau=G0.tau[[0, 0, 1]] + [[0.1, 0], [-0.2, 0], [0, 0.3]],
    )  # fmt: skip
    x = np.linspace(-3, 3, 60001)
    mean = np.full(x.size, 1.0 / x.size)
    P, P0, W, W0 = G.expert_proba(x), G0.expert_proba(x), G.gate_weights(x), G0.gate_weights(x)
    found = hs.functional_errors(G, G0, LAW).set_index(["cell", "parameter"])["error"]
    gaps = ((P[:, :2] - P0[:, :1]) ** 2).sum(axis=2)
    square = mean @ (W[:, :2] * gaps).sum(1) / (mean @ W[:, :2].sum(1))
    assert np.isclose(found["0,0", "expert"] ** 2, square, rtol=1e-3)
    assert np.isclose(found["0,0", "gate"], mean @ np.abs(W[:, :2].sum(1) - W0[:, 0]), rtol=1e-3)
    inside = (W[:, :2, None] * P[:, :2]).sum(1) / W[:, :2].sum(1)[:, None]
    assert np.isclose(found["0,0", "cell_mean"] ** 2, mean @ (W0[:, 0] * ((inside - P0[:, 0]) ** 2).sum(1)), rtol=1e-3)
    total = 0.0
    for c in range(3):
        r, r0 = W * P[:, :, c], W0 * P0[:, :, c]
        cells = np.stack([r[:, :2].sum(1), r[:, 2]], 1) / r.sum(1)[:, None]
        total += 0.5 * mean @ (r0.sum(1) * np.abs(cells - r0 / r0.sum(1)[:, None]).sum(1))
    assert np.isclose(found["", "routing"], total, rtol=1e-3)

    errors = hs.parameter_errors(G, G0, LAW).set_index(["cell", "parameter", "kind"])["error"]
    shares = np.exp(G.beta[:2]) / np.exp(G.beta[:2]).sum()
    away = G.tau[:2] - G0.tau[0]
    assert np.isclose(errors["0,0", "tau", "weighted"], shares @ np.linalg.norm(away, axis=1))
    assert np.isclose(errors["0,0", "tau", "barycentre"], np.linalg.norm(shares @ away))
    assert "nu" not in errors.index.get_level_values("parameter")
    with pytest.raises(ValueError, match="^G must be a CategoricalMeasure, as G0 is"):
        hs.parameter_errors(hs.datasets.truth("C2", "SS"), G0, LAW)


# -- exponents --------------------------------------------------------------------------------------------------------
def kappas(name, gating, k2, m, **keys):
    table = theory.rates(hs.datasets.truth(name, gating), k2, x=LAW, **keys)
    here = table[table["m"] == m]
    return {(row.regime, row.parameter, row.kind): row.kappa for row in here.itertuples()}


@pytest.mark.parametrize("gating", GATINGS)
def test_exponents(gating):
    exact = kappas("M2", gating, 2, 1)
    assert set(exact.values()) == {1.0}
    over = kappas("M2", gating, 3, 2)
    kink = 1.5 if gating == "LL" else 2.0
    assert over["regular", "omega", "weighted"] == kink
    assert over["regular", "tau", "weighted"] == over["regular", "eta", "weighted"] == 2.0
    assert over["regular", "eta", "barycentre"] == over["regular", "cell_mean", "function"] == 1.0
    constant = kappas("M2C", gating, 3, 2)
    assert constant["constant", "tau", "barycentre"] == constant["constant", "expert", "function"] == np.inf
    assert constant["constant", "omega", "weighted"] == kink
    assert constant["regular", "tau", "weighted"] == 2.0
    stated = theory.rates(hs.datasets.truth("M2C", gating), 3, form="published", x=LAW)
    assert ((stated["kappa"] == np.inf).sum() == 2) == (gating == "SS")  # slower than any polynomial: of softmax gates
    with pytest.raises(ValueError, match="^k2 must have one group"):
        theory.rates(hs.datasets.truth("M2", gating), (2, 2), x=LAW)


@pytest.mark.parametrize("gating", GATINGS)
def test_copies_of_a_constant_expert_are_not_identified_under_any_gate(gating):
    """w f(tau_1) + (1 - w) f(tau_2) = f(tau): the density is that of the truth, the copies are far from it."""
    G0 = hs.datasets.truth("M2C", gating)
    logits = np.append(G0.tau[1], 0.0)
    p = np.exp(logits) / np.exp(logits).sum()
    away, w = 0.6 * p.min() * np.array([1.0, -1.0, 0.0]), 0.4
    copies = np.array([p + away, p - w / (1 - w) * away])
    assert copies.min() > 0.01
    tau = np.log(copies[:, :2] / copies[:, 2:])
    G = G0.replace(
        k2=(3,), omega=G0.omega[[0, 1, 1]], beta=[G0.beta[0], G0.beta[1] + np.log(w), G0.beta[1] + np.log(1 - w)],
        eta=G0.eta[[0, 1, 1]], tau=np.concatenate([G0.tau[:1], tau]),
    )  # fmt: skip
    x = np.linspace(-3, 3, 101)
    assert np.abs(G.predict_proba(x) - G0.predict_proba(x)).max() < 1e-15
    errors = hs.parameter_errors(G, G0, LAW).set_index(["cell", "parameter", "kind"])["error"]
    assert errors["0,1", "tau", "weighted"] > 0.1
    assert errors["0,0", "tau", "weighted"] == 0
    found = hs.functional_errors(G, G0, LAW).set_index(["cell", "parameter"])["error"]
    assert found["0,1", "expert"] > 0.05
    assert found["0,1", "cell_mean"] < 1e-15
    assert hs.diagnose(G0, 3, LAW).kinds() == ("constant expert",)
    assert "constant expert" not in hs.diagnose(G0, 2, LAW).kinds()
    assert "constant expert" not in hs.diagnose(hs.datasets.truth("M2", gating), 3, LAW).kinds()


def test_two_classes_that_are_equally_likely_leave_slopes_free_too():
    """sigma(tau + eta x) + sigma(-tau - eta x) = 1 for every x, tau and eta."""
    half = hs.CategoricalMeasure(
        gating="SS", k2=(2,), a=[[0.0]], b=[0.0], omega=[[0.3], [0.3]], beta=[0.0, 0.0],
        eta=[[[1.7]], [[-1.7]]], tau=[[0.4], [-0.4]],
    )  # fmt: skip
    assert np.abs(half.predict_proba(np.linspace(-3, 3, 50)) - 0.5).max() < 1e-15


def test_a_split_pair_is_seen_to_the_second_order_only():
    """Hellinger distances of copies t apart about their mean, and of one that is off by t, fall as t^2 and as t."""
    G0 = hs.datasets.truth("M2", "SS")
    grid = lattice(LAW, G0, 1.0)

    def distance(G):
        return np.sqrt(((np.sqrt(grid.probabilities(G)) - np.sqrt(grid.probabilities(G0))) ** 2).sum())

    def split(t):
        tau = G0.tau[[0, 0, 1]] + t * np.array([[1.0, 0], [-1.0, 0], [0, 0]])
        beta = [G0.beta[0] - np.log(2), G0.beta[0] - np.log(2), G0.beta[1]]
        return G0.replace(k2=(3,), omega=G0.omega[[0, 0, 1]], beta=beta, eta=G0.eta[[0, 0, 1]], tau=tau)

    assert np.isclose(np.log2(distance(split(0.02)) / distance(split(0.01))), 2.0, atol=0.01)
    off = [distance(G0.replace(tau=G0.tau + [[t, 0], [0, 0]])) for t in (0.02, 0.01)]
    assert np.isclose(np.log2(off[0] / off[1]), 1.0, atol=0.02)


def test_a_tree_over_the_line_has_no_information_in_some_direction():
    """Two groups of two under softmax gates, one covariate, two classes: the model is singular to rounding."""
    rng = np.random.default_rng(0)
    G = hs.CategoricalMeasure(
        gating="SS", k2=(2, 2), a=[[0.4], [-0.4]], b=[0.2, 0.0], omega=[[-0.5], [0.5], [0.35], [-0.35]],
        beta=[0.2, 0.0, -0.2, 0.0], eta=rng.normal(size=(4, 1, 1)), tau=rng.normal(size=(4, 1)),
    )  # fmt: skip
    found = hs.diagnose(G, x=LAW)
    assert found[0].kind == "weak information"
    assert found[0].severity == "serious"
    assert abs(found[0].number) < 1e-9


# -- as a study -------------------------------------------------------------------------------------------------------
STUDY = """
name = "little"
truth = "M2C"
experts = "categorical"
gatings = ["SS", "LL"]
k2 = [[2], [3]]
n = [10000, 100000, 1000000]
replicates = 6
x = { law = "uniform", low = -3.0, high = 3.0 }
data = "lattice"
seed = 5
primary = ["tau of each expert, m = 1"]
fit = { local = true, n_starts = 1, bounds = { omega = 3.0, beta = 3.0, eta = 10.0, tau = 10.0 } }
"""


def test_a_study_of_classes_is_run_and_read_like_any_other(tmp_path, capsys):
    from simulations.cli import app

    def hmoe(*words):
        app([*map(str, words)], standalone_mode=False)
        return capsys.readouterr()

    file = tmp_path / "little.toml"
    file.write_text(STUDY)
    where = "--results", tmp_path / "little.sqlite"
    said = hmoe("run", file, "--jobs", "1", *where)
    assert "all its slopes vanish" in said.err
    assert "tau of each expert, m = 1" in hmoe("rates", file, *where).out
    hmoe("report", file, "--out", tmp_path, *where)
    page = (tmp_path / "little" / "report.html").read_text()
    assert "counts on a lattice of (x, y)" in page
    assert "for variances" not in page  # there are none
    hmoe("plot", file, "--out", tmp_path, *where)
    slopes = pd.read_csv(tmp_path / "little" / "slopes.csv")
    exact = slopes[(slopes["k2"] == 2) & (slopes["statistic"] == "mean") & (slopes["parameter"] == "tau")]
    assert (exact["alpha_derived"] == 0.5).all()
    assert (exact["slope"].between(-0.8, -0.3)).all()
    split = slopes[(slopes["k2"] == 3) & (slopes["parameter"] == "tau") & (slopes["size"] == 2)]
    assert (split["alpha_derived"] == 0.0).all()  # the constant expert may be the one that is split


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('truth = "M2C"', 'truth = "C2"'), "experts must be 'Gaussian', as C2 has"),
        (('experts = "categorical"\n', ""), "fit.bounds.nu"),
        (("local = true, ", ""), "fit.local = true"),
        (("k2 = [[2], [3]]", "k2 = [[1]]"), "does not fit into 1"),
        (('data = "lattice"', 'data = "lattice"\ndata_gating = "SS"'), "no data_gating"),
    ],
)
def test_what_a_study_of_classes_cannot_be(tmp_path, change, said):
    from simulations.checks import check_study
    from simulations.study import StudyError, load_study

    file = tmp_path / "little.toml"
    file.write_text(STUDY.replace(*change))
    with pytest.raises(StudyError, match=said.replace("(", "[(]")):
        check_study(load_study(str(file)))
