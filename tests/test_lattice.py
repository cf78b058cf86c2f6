"""Samples on a lattice: every measure of a box is a law on it, counts are multinomial, inner products the model's."""

import itertools

import naive
import numpy as np
import pytest
from conftest import scale
from scipy import stats

import hmoe_stats as hs
from hmoe_stats.gates import GATINGS
from hmoe_stats.quadrature import lattice
from hmoe_stats.sampling import as_law

LAW = hs.Uniform(-3, 3)
LAWS = {"uniform": LAW, "normal": hs.Normal(0.5, 1.2)}
FLOOR = 0.04


def direct(G, X, y):
    """(m, r) densities, expert by expert from SciPy's normal."""
    weights, mean = naive.gate_weights(G, X), naive.means(G, X)
    return sum(weights[:, j, None] * stats.norm.pdf(y, mean[:, j, None], np.sqrt(G.nu[j])) for j in range(G.n_experts))


def in_the_box(rng, gating, d, floor=FLOOR):
    """A random measure some of whose variances are on the floor."""
    G = naive.random_measure(rng, gating, (2, 3), d)
    return G.replace(nu=np.where(rng.random(5) < 0.5, floor, rng.uniform(floor, 2.0, 5)))


# -- the model on the lattice -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("gating", "d"), list(itertools.product(GATINGS, (1, 2))))
def test_every_measure_of_the_box_is_a_probability_law_on_it(rng, gating, d):
    """Whatever measure made the lattice: sums over all multiples of its step are 1, that of a step too long is not."""
    floor = rng.uniform(0.01, 0.2)
    grid = lattice(LAW, in_the_box(rng, gating, d, floor), floor)
    assert abs(grid.weights.sum() - 1) < 1e-14
    X = grid.X[rng.integers(len(grid.X), size=20)]
    for G in (in_the_box(rng, gating, d, floor) for _ in range(5)):
        y = grid.step * np.arange(-np.ceil(40 / grid.step), np.ceil(40 / grid.step) + 1)
        assert abs(grid.step * direct(G, X, y).sum(axis=1) - 1).max() < 1e-12
        wide = 2 * grid.step * np.arange(-20 / grid.step, 20 / grid.step)
        narrow = direct(G.replace(nu=np.full(5, floor)), X, wide)
        assert abs(2 * grid.step * narrow.sum(axis=1) - 1).max() > 1e-6


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
@pytest.mark.parametrize(("gating", "d"), [("SS", 1), ("LL", 1), ("QL", 1), ("LS", 2)])
def test_probabilities_are_node_times_step_times_density(rng, gating, d, law):
    G = in_the_box(rng, gating, d)
    grid = lattice(law, G, FLOOR)
    few = slice(None, None, 7)
    want = grid.weights[few, None] * grid.step * direct(G, grid.X[few], grid.y)
    np.testing.assert_allclose(grid.probabilities(G)[few], want, rtol=1e-11, atol=1e-300)
    assert abs(grid.probabilities(G).sum() - 1) < 1e-13
    X, y = grid.rows
    assert np.array_equal(X, np.repeat(grid.X, grid.y.size, axis=0))
    assert np.array_equal(y.reshape(len(grid.X), -1)[0], grid.y)
    np.testing.assert_allclose(y / grid.step, np.round(y / grid.step), atol=1e-9)


def test_what_lies_beyond_has_no_chance_in_a_million_million_rows(rng):
    for _ in range(10):
        G = in_the_box(rng, "SS", 1)
        grid = lattice(LAW, G, FLOOR)
        weights, mean, sd = naive.gate_weights(G, grid.X), naive.means(G, grid.X), np.sqrt(G.nu)
        beyond = stats.norm.sf(grid.y[-1] + grid.step, mean, sd) + stats.norm.cdf(grid.y[0] - grid.step, mean, sd)
        assert 1e12 * grid.weights @ (weights * beyond).sum(axis=1) < 1e-6


def test_gaps_between_far_experts_hold_no_points():
    G = hs.datasets.truth("C4", "SS")
    G = G.replace(tau=[-1e4, 1e4])
    grid = lattice(LAW, G, FLOOR)
    assert grid.y.size < 250
    assert abs(grid.probabilities(G).sum() - 1) < 1e-11  # y of 1e4 have a rounding of 1e-12


def test_the_floor_sets_the_step_and_fineness_divides_it():
    G = hs.datasets.truth("C2", "LL")
    for floor in (0.01, 0.04, 0.2):
        one, two = lattice(LAW, G, floor), lattice(LAW, G, floor, 2)
        assert one.step**2 == pytest.approx(floor / 1.75)
        assert two.step == one.step / 2
        assert len(two.X) == 2 * len(one.X)


SIZES = {("C2", "SS"): 8112, ("C2", "QQ"): 8112, ("C2", "LL"): 56108, ("P2", "SS"): 45312, ("P2", "LL"): 108850}


@pytest.mark.parametrize(("model", "points"), SIZES.items())
def test_sizes_are_as_the_readme_says(model, points):
    grid = lattice(LAW, hs.datasets.truth(*model), FLOOR)
    assert len(grid.X) * grid.y.size == points


# -- nodes ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "near"), [("C2", 1e-6), ("P2", 1e-3)])
@pytest.mark.parametrize("gating", ["LS", "SL", "LL", "QL"])
def test_nodes_come_near_the_centres_in_the_support_and_no_others(name, near, gating):
    G = hs.datasets.truth(name, gating)
    outside = np.full((1, G.d), 3.5)
    G = G.replace(a=np.concatenate([G.a[:1], outside]), omega=np.concatenate([G.omega[:3], outside]))
    low, high = lattice(LAW, G, FLOOR).X.min(axis=0), lattice(LAW, G, FLOOR).X.max(axis=0)
    assert ((low > -3) & (high < 3)).all()
    for letter, centres in zip(gating, (G.a, G.omega), strict=True):
        for centre in centres:
            gap = np.linalg.norm(lattice(LAW, G, FLOOR).X - centre, axis=1).min()
            assert (gap < near) == (letter == "L" and centre[0] < 3)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
@pytest.mark.parametrize("gating", ["SS", "LS"])
@pytest.mark.parametrize(("name", "accuracy"), [("C2", 1e-8), ("P2", 5e-5)])
def test_nodes_integrate_against_the_law(name, accuracy, gating, law):
    G = hs.datasets.truth(name, gating)
    grid = lattice(law, G, FLOOR)
    mean = grid.weights @ grid.X
    cov = (grid.weights * (grid.X - mean).T) @ (grid.X - mean)
    np.testing.assert_allclose(mean, law.mean(G.d), atol=accuracy)
    np.testing.assert_allclose(cov, law.cov(G.d), atol=accuracy)
    if law is LAW:
        wave = np.cos(2 * grid.X).prod(axis=1)
        assert grid.weights @ wave == pytest.approx((np.sin(6) / 6) ** G.d, abs=accuracy)


@pytest.mark.parametrize("law", [hs.Uniform((-1, 0), (2, 5)), hs.Normal((0.5, -1), (1.2, 0.3))])
def test_coordinates_may_have_laws_of_their_own(law):
    grid = lattice(law, hs.datasets.truth("P2", "SS"), FLOOR)
    mean = grid.weights @ grid.X
    np.testing.assert_allclose(mean, law.mean(2), atol=1e-10)
    np.testing.assert_allclose((grid.weights * (grid.X - mean).T) @ (grid.X - mean), law.cov(2), atol=1e-9)


def test_a_tent_at_a_centre_is_seen_however_narrow(rng):
    """Second differences of ||x - a|| are what centres in an over-specified cell are told by."""
    G = hs.datasets.truth("C2", "LL")
    grid, centres = lattice(LAW, G, FLOOR), np.concatenate([G.a, G.omega])[:, 0]
    errors = []
    for centre, width in itertools.product(centres, np.geomspace(2e-6, 0.5, 40)):
        tent = np.maximum(1 - np.abs(grid.X[:, 0] - centre) / width, 0)
        errors.append(grid.weights @ tent**2 / (2 * width / 3 / 6) - 1)
    assert np.sqrt(np.mean(np.square(errors))) < 0.04
    assert np.max(np.abs(errors)) < 0.12


def test_nodes_of_an_array_are_its_rows_with_their_frequencies():
    G = hs.datasets.truth("P2", "LL")
    points = np.array([[0.0, 1.0], [2.0, 1.0], [0.0, 1.0], [1.0, -1.0]])
    grid = lattice(as_law(points), G, FLOOR)
    np.testing.assert_array_equal(grid.X, [[0, 1], [1, -1], [2, 1]])
    np.testing.assert_allclose(grid.weights, [0.5, 0.25, 0.25], rtol=1e-15)
    X, _, counts = hs.sample_lattice(G, 10_000, x=points, seed=1)
    share = counts[(X == [0, 1]).all(axis=1)].sum() / 10_000
    assert abs(share - 0.5) < 4 * 0.5 / 100


# -- what the model keeps ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", GATINGS)
def test_the_expected_score_vanishes_at_the_truth(gating):
    G = hs.datasets.truth("C2", gating)
    grid = lattice(LAW, G, FLOOR)
    X, y = grid.rows
    assert np.abs(hs.score(G, X, y, weights=grid.probabilities(G).ravel())).max() < 1e-14


@pytest.mark.parametrize("gating", ["SS", "SL", "LS", "LL", "QQ"])
def test_gram_matrices_of_scores_are_those_of_the_continuous_model(gating):
    G = hs.datasets.truth("C2", gating)
    names = ("b", "a", "beta", "omega", "eta", "tau", "nu")
    found = hs.theory.interactions(G, 1, LAW, experts="all", parameters=names, form="density")
    grid = lattice(LAW, G, FLOOR)
    D = found.evaluate(*grid.rows)
    gram = D.T @ (D * grid.probabilities(G).reshape(-1, 1))
    np.testing.assert_allclose(gram, found.gram, rtol=0, atol=2e-7 * np.abs(found.gram).max())


@pytest.mark.parametrize("gating", GATINGS)
def test_distances_from_the_truth_are_those_of_the_continuous_model(rng, gating):
    G0 = hs.datasets.truth("C2", gating)
    grid = lattice(LAW, G0, FLOOR)
    for size in (0.3, 0.03):
        v = G0.to_vector()
        G = G0.with_vector(v + size * rng.standard_normal(v.size))
        root = np.sqrt(grid.probabilities(G)) - np.sqrt(grid.probabilities(G0))
        distance = np.sqrt(0.5 * (root**2).sum())
        assert distance == pytest.approx(hs.hellinger(G, G0, LAW), rel=2e-3 if "L" in gating else 1e-6)


@pytest.mark.parametrize(("gating", "accuracy"), [("SS", 1e-6), ("LS", 1e-6), ("SL", 0.02), ("LL", 0.02)])
def test_splits_of_a_gate_are_as_far_as_in_the_continuous_model(gating, accuracy):
    """Two halves of an expert whose gates move apart by t: their distance is all in a window of t under Laplace."""
    G0 = hs.datasets.truth("C2", gating)
    grid = lattice(LAW, G0, FLOOR)
    twice = np.array([0, 0, 1, 2, 3])
    parts = {name: getattr(G0, name)[twice] for name in ("omega", "beta", "eta", "tau", "nu")}
    parts["beta"] = parts["beta"] - np.log([2, 2, 1, 1, 1])
    for t in (0.3, 0.03, 0.003):
        moved = parts | {"omega": parts["omega"] + t * np.array([[1.0], [-1], [0], [0], [0]])}
        G = hs.MixingMeasure(gating=gating, k2=(3, 2), a=G0.a, b=G0.b, **moved)
        root = np.sqrt(grid.probabilities(G)) - np.sqrt(grid.probabilities(G0))
        assert np.sqrt(0.5 * (root**2).sum()) == pytest.approx(hs.hellinger(G, G0, LAW), rel=accuracy)


# -- counts -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [1, 50, 10**4, 10**8, 10**12])
@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_counts_are_whole_positive_and_add_up(gating, n):
    G = hs.datasets.truth("C2", gating)
    X, y, counts = hs.sample_lattice(G, n, x=LAW, seed=3)
    assert (counts.dtype, counts.sum()) == (np.int64, n)
    assert counts.min() > 0
    assert (X.shape, y.shape) == ((counts.size, 1), counts.shape)
    assert len(np.unique(np.column_stack([X, y]), axis=0)) == counts.size


@pytest.mark.parametrize("n", [10**4, 10**8, 10**12])
@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_counts_are_multinomial(gating, n):
    """Pearson's statistic of all points, rare ones pooled, and the standardised counts against the normal law."""
    G = hs.datasets.truth("C2", gating)
    grid = lattice(LAW, G, FLOOR)
    expected = n * grid.probabilities(G).ravel()
    place = {point: i for i, point in enumerate(zip(grid.rows[0][:, 0], grid.rows[1], strict=True))}
    X, y, counts = hs.sample_lattice(G, n, x=LAW, seed=5)
    seen = np.zeros(expected.size)
    seen[[place[point] for point in zip(X[:, 0], y, strict=True)]] = counts
    common = expected > 10
    seen, expected = np.append(seen[common], seen[~common].sum()), np.append(expected[common], expected[~common].sum())
    assert stats.chi2.sf(((seen - expected) ** 2 / expected).sum(), seen.size - 1) > 1e-3
    z = ((seen - expected) / np.sqrt(expected))[expected > 100]
    assert z.size < 30 or stats.kstest(z, "norm").pvalue > 1e-3


def test_seeds_key_the_counts():
    G = hs.datasets.truth("C2", "LL")
    one, same = (hs.sample_lattice(G, 1000, x=LAW, seed=np.random.SeedSequence(4)) for _ in range(2))
    other = hs.sample_lattice(G, 1000, x=LAW, seed=5)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[2], other[2])
    again = hs.sample_lattice(G, 1000, x=LAW, seed=np.random.default_rng(np.random.SeedSequence(4)))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))


@pytest.mark.parametrize("gating", ["SS", "SL", "LS", "LL"])
def test_likelihood_ratios_have_the_law_they_have_on_rows(gating):
    """Of two fixed measures, one off the truth by about a standard error: what an estimator sees, without a fit."""
    G0 = hs.datasets.truth("C2", gating)
    G = G0.replace(a=G0.a + [[0.1], [0.0]], omega=G0.omega + 0.2, tau=G0.tau + 0.1, nu=1.2 * G0.nu)
    ratios = {"rows": [], "lattice": []}
    for replicate in range(scale(300)):
        X, y = hs.sample(G0, 200, x=LAW, seed=np.random.SeedSequence([1, replicate]))
        ratios["rows"].append(hs.log_likelihood(G, X, y, relative_to=G0))
        X, y, counts = hs.sample_lattice(G0, 200, x=LAW, seed=np.random.SeedSequence([2, replicate]))
        ratios["lattice"].append(hs.log_likelihood(G, X, y, counts, relative_to=G0))
    assert stats.ks_2samp(*ratios.values()).pvalue > 0.01
    assert stats.ks_2samp(np.array(ratios["rows"]) + 0.5 * np.std(ratios["rows"]), ratios["lattice"]).pvalue < 0.01


def test_the_truth_is_the_fit_of_expected_counts():
    """Infinite n: weights that are probabilities times n, on one lattice and on one of half the step."""
    G0 = hs.datasets.truth("C4", "SS")
    for fineness in (1, 2):
        grid = lattice(LAW, G0, FLOOR, fineness)
        start = G0.with_vector(G0.to_vector() + 0.05)
        weights = 1e6 * grid.probabilities(G0).ravel()
        fit = hs.fit_mle(*grid.rows, "SS", G0.k2, start=start, n_starts=1, bounds={"nu": (FLOOR, 4)}, weights=weights)
        assert hs.hellinger(fit.measure, G0, LAW) < 1e-9


# -- refusals ---------------------------------------------------------------------------------------------------------
def test_what_no_lattice_can_be_made_of_is_refused_by_name():
    G = hs.datasets.truth("C2", "SS")
    three = hs.MixingMeasure(
        gating="SS", k2=(1,), a=np.zeros((1, 3)), b=[0], omega=np.zeros((1, 3)), beta=[0], eta=np.zeros((1, 3)),
        tau=[0], nu=[1],
    )  # fmt: skip
    with pytest.raises(ValueError, match="nu_min must not exceed the variances of G, 0.4 the smallest; got 0.5"):
        hs.sample_lattice(G, 10, x=LAW, seed=0, nu_min=0.5)
    with pytest.raises(ValueError, match="n must be an integer of at least 1 and at most 1e"):
        hs.sample_lattice(G, 10**12 + 1, x=LAW, seed=0)
    with pytest.raises(ValueError, match=r"x must be an \(n, d\) array of covariates where G has d > 2"):
        hs.sample_lattice(three, 10, x=LAW, seed=0)
    with pytest.raises(ValueError, match=r"a lattice of at most 1e\+07 points; got 48 nodes of x"):
        hs.sample_lattice(G, 10, x=LAW, seed=0, nu_min=1e-12)
    with pytest.raises(ValueError, match="fineness must be an integer of at least 1"):
        hs.sample_lattice(G, 10, x=LAW, seed=0, fineness=0)
    with pytest.raises(ValueError, match="x must have 1 columns"):
        hs.sample_lattice(G, 10, x=np.ones((5, 2)), seed=0)
    X, _, counts = hs.sample_lattice(three, 10, x=np.arange(12.0).reshape(4, 3), seed=0)
    assert (X.shape[1], counts.sum()) == (3, 10)
