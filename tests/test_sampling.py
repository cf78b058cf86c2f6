"""Covariate laws and samples: keyed streams, moments, quadrature, and the conditional law of y given x."""

import dataclasses

import naive
import numpy as np
import pytest
from conftest import PURE_PYTHON, scale
from scipy import stats

import hmoe_stats as hs
from hmoe_stats.gates import GATINGS
from hmoe_stats.sampling import Empirical, as_law

LAWS = {
    "uniform": (hs.Uniform(-3, 3), 2),
    "uniform, one value a coordinate": (hs.Uniform((-1, 0, 2), (0, 5, 2.5)), 3),
    "uniform, one edge shared": (hs.Uniform(-1, (0, 5)), 2),
    "grid": (hs.Grid(-1, 4), 1),
    "normal": (hs.Normal(1.0, 0.5), 2),
    "normal, one value a coordinate": (hs.Normal((0, 10), (2, 0.1)), 2),
    "empirical": (as_law([[0.0, 1.0], [2.0, -1.0], [5.0, 0.5]]), 2),
}
laws = pytest.mark.parametrize(("law", "d"), LAWS.values(), ids=LAWS.keys())


def z_of_mean(values, mean, variance):
    """Standardised gap between the mean of independent `values` and its expectation."""
    return (values - mean).sum() / np.sqrt(np.broadcast_to(variance, np.shape(values)).sum())


# -- covariate laws ---------------------------------------------------------------------------------------------------
@laws
def test_draws_have_the_moments_and_support_of_their_law(law, d):
    n = 40_000
    X = law.sample(np.random.default_rng(7), n, d)
    mean, cov, (low, high) = law.mean(d), law.cov(d), law.support(d)
    assert X.shape == (n, d)
    assert (mean.shape, cov.shape, low.shape, high.shape) == ((d,), (d, d), (d,), (d,))
    assert (low <= X).all()
    assert (high >= X).all()
    for i in range(d):
        assert abs(z_of_mean(X[:, i], mean[i], cov[i, i])) < 4
        for j in range(d):
            product = (X[:, i] - mean[i]) * (X[:, j] - mean[j])
            assert abs(z_of_mean(product, cov[i, j], product.var())) < 4


def test_moments_by_hand():
    law = hs.Uniform((-1, 0), (1, 6))
    np.testing.assert_allclose(law.mean(2), [0, 3])
    np.testing.assert_allclose(law.cov(2), np.diag([1 / 3, 3.0]))
    law = hs.Normal((-1, 0), (2, 3))
    np.testing.assert_allclose(law.mean(2), [-1, 0])
    np.testing.assert_allclose(law.cov(2), np.diag([4.0, 9.0]))
    assert np.isinf(law.support(2)).all()
    law = as_law([1.0, 2.0, 6.0])
    np.testing.assert_allclose([law.mean(1)[0], law.cov(1)[0, 0]], [3.0, 14 / 3], rtol=1e-15)
    assert law.support(1) == ([1.0], [6.0])


@laws
def test_marginals(law, d):
    """Kolmogorov distance of each marginal of 20000 draws; an array is drawn from evenly."""
    X = law.sample(np.random.default_rng(11), 20_000, d)
    if isinstance(law, Empirical):
        counts = [(X == row).all(axis=1).sum() for row in law.x]
        assert stats.chisquare(counts).pvalue > 1e-3
        return
    for i in range(d):
        if isinstance(law, hs.Uniform):
            low, high = (s[i] for s in law.support(d))
            cdf = stats.uniform(low, high - low).cdf
        else:
            cdf = stats.norm(law.mean(d)[i], np.sqrt(law.cov(d)[i, i])).cdf
        assert stats.kstest(X[:, i], cdf).pvalue > 1e-3


@pytest.mark.parametrize("breaks", [(), (0.3,), (5.0, -0.7, 0.3, 0.3, -9.0)], ids=str)
@pytest.mark.parametrize("order", [2, 5, 32])
def test_uniform_quadrature_is_exact_on_polynomials(breaks, order):
    low, high = -1.0, 2.5
    x, w = hs.Uniform(low, high).quadrature(breaks, order=order, panels=3)
    assert (x > low).all()
    assert (x < high).all()
    assert (w > 0).all()
    assert w.sum() == pytest.approx(1.0, rel=1e-14)
    for k in range(1, 2 * order):
        want = (high ** (k + 1) - low ** (k + 1)) / ((k + 1) * (high - low))
        assert w @ x**k == pytest.approx(want, rel=1e-12), k
    if breaks:  # a kink at a break costs no accuracy
        want = ((high - 0.3) ** 2 + (0.3 - low) ** 2) / (2 * (high - low))
        assert w @ np.abs(x - 0.3) == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize("breaks", [(), (1.0, 1.7, 99.0)], ids=str)
def test_normal_quadrature_has_the_moments_of_the_normal(breaks):
    x, w = hs.Normal(1.5, 0.4).quadrature(breaks)
    z = (x - 1.5) / 0.4
    for k, want in enumerate([1, 0, 1, 0, 3, 0, 15, 0, 105]):
        assert w @ z**k == pytest.approx(want, rel=1e-11, abs=1e-11)
    if breaks:
        want = 2 * stats.norm.pdf(0.5) + 0.5 * (2 * stats.norm.cdf(0.5) - 1)  # E|z - 1/2|
        assert w @ np.abs(z - 0.5) == pytest.approx(want, rel=1e-11)


def test_empirical_quadrature_is_the_mean_over_the_points():
    points = np.array([0.5, -1.0, 4.0, 4.0])
    x, w = as_law(points).quadrature(breaks=(0.0,))
    assert w @ np.exp(x) == pytest.approx(np.exp(points).mean(), rel=1e-15)


def test_as_law():
    for law in (hs.Uniform(), hs.Normal(), as_law([1.0, 2.0])):
        assert as_law(law) is law
    assert as_law(np.ones((5, 2)).tolist()).sample(np.random.default_rng(0), 3, 2).shape == (3, 2)
    for bad in (None, 3.0, "law", [[1.0, np.nan], [0.0, 1.0]], [1.0], np.zeros((2, 2, 2)), [["a"], ["b"]], hs.Uniform):
        with pytest.raises(ValueError, match=r"^x must "):
            as_law(bad)


def test_a_grid_is_the_same_in_every_sample():
    G = hs.datasets.truth("C2")
    (X, y), (X_again, y_again) = (hs.sample(G, 401, x=hs.Grid(-3, 1), seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(X, X_again)
    np.testing.assert_allclose(X[:, 0], -3 + np.arange(401) / 100, atol=1e-14)
    assert (y != y_again).all()
    np.testing.assert_array_equal(y, hs.sample(G, 401, x=hs.Grid(-3, 1), seed=1)[1])
    with pytest.raises(ValueError, match="^x must be a law for d = 2, as the measure has; got a grid, for d = 1$"):
        hs.sample(hs.datasets.truth("P2"), 10, x=hs.Grid(-3, 1), seed=0)


def test_averages_and_lattices_of_a_grid_are_those_of_the_uniform_law():
    G, H = hs.datasets.truth("C2"), hs.datasets.truth("C2", "SL").replace(gating="SS")
    assert hs.hellinger(H, G, x=hs.Grid(-3, 1)) == hs.hellinger(H, G, x=hs.Uniform(-3, 1)) > 0.01
    samples = (hs.sample_lattice(G, 10**6, x=law(-3, 1), seed=3) for law in (hs.Grid, hs.Uniform))
    for one, other in zip(*samples, strict=True):
        np.testing.assert_array_equal(one, other)


def test_laws_are_values():
    assert hs.Uniform(-1, 1) == hs.Uniform(-1.0, 1.0)
    assert hs.Uniform(np.array([0, 1]), np.array([2, 3])) == hs.Uniform((0, 1), (2, 3))
    assert hs.Normal((0, 1), 2) != hs.Normal((0, 1), 3)
    assert len({hs.Uniform(0, 1), hs.Uniform(0, 1), hs.Normal([0, 1], 1), hs.Normal((0, 1), 1)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        hs.Uniform().low = 3.0


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: hs.Uniform(1, 1), "low"),
        (lambda: hs.Uniform(2, 1), "low"),
        (lambda: hs.Uniform((0, 3), (1, 2)), "low"),
        (lambda: hs.Uniform(np.nan, 1), "low"),
        (lambda: hs.Uniform(0, np.inf), "high"),
        (lambda: hs.Uniform("a", 1), "low"),
        (lambda: hs.Uniform((0, 0), (1, 1, 1)), "low and high"),
        (lambda: hs.Uniform([[0, 0]], 1), "low"),
        (lambda: hs.Normal(np.nan), "loc"),
        (lambda: hs.Normal(0, 0), "scale"),
        (lambda: hs.Normal(0, (1, -1)), "scale"),
        (lambda: hs.Normal(0, np.inf), "scale"),
        (lambda: hs.Normal(None, 1), "loc"),
        (lambda: hs.Uniform((0, 0), 1).mean(3), "low"),
        (lambda: hs.Normal((0, 0), 1).mean(3), "loc"),
        (lambda: hs.Normal(0, (1, 1)).cov(3), "scale"),
        (lambda: as_law([1.0, 2.0]).mean(2), "x"),
    ],
)
def test_bad_laws_are_named(make, name):
    with pytest.raises(ValueError, match=rf"^{name} must .*; got "):
        make()


# -- keyed streams ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", [0, 12, np.random.SeedSequence([3, 4])], ids=["0", "12", "sequence"])
def test_the_same_seed_gives_the_same_sample(rng, seed):
    G = naive.random_measure(rng, "SL", (1, 3, 2), 2)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global stream must stay untouched
    X, y = hs.sample(G, 50, x=hs.Uniform(-3, 3), seed=seed)
    again = hs.sample(G, 50, x=hs.Uniform(-3, 3), seed=seed)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_array_equal(X, again[0])
    np.testing.assert_array_equal(y, again[1])
    assert (X.shape, y.shape, X.dtype, y.dtype) == ((50, 2), (50,), np.float64, np.float64)
    assert X.flags.c_contiguous
    other = hs.sample(G, 50, x=hs.Uniform(-3, 3), seed=np.random.SeedSequence([3, 5]))
    assert not np.isin(other[0], X).any()
    assert not np.isin(other[1], y).any()


def test_a_generator_moves_on_and_an_int_is_its_sequence(rng):
    G = naive.random_measure(rng, "SL", (1, 2), 1)
    generator = np.random.default_rng(5)
    first, second = (hs.sample(G, 20, x=hs.Normal(), seed=generator)[1] for _ in range(2))
    np.testing.assert_array_equal(first, hs.sample(G, 20, x=hs.Normal(), seed=5)[1])
    np.testing.assert_array_equal(first, hs.sample(G, 20, x=hs.Normal(), seed=np.random.SeedSequence(5))[1])
    assert not np.isin(first, second).any()


def test_measures_under_one_seed_share_their_covariates(rng):
    """Common random numbers: the covariates come first in the stream, whatever the measure."""
    X = [hs.sample(naive.random_measure(rng, g, (1, 3, 2), 1), 30, x=hs.Uniform(-3, 3), seed=9)[0] for g in GATINGS]
    assert all(np.array_equal(X[0], other) for other in X)


# -- the conditional law of y -----------------------------------------------------------------------------------------
N = scale(100_000, pure=4_000)


def moments(G, X):
    """Conditional mean, variance and fourth central moment of y, each (n,), by the sums over experts."""
    weights, mean = naive.gate_weights(G, X), naive.means(G, X)
    gap = mean - (weights * mean).sum(axis=1)[:, None]
    fourth = gap**4 + 6 * gap**2 * G.nu + 3 * G.nu**2
    return mean[:, 0] - gap[:, 0], (weights * (gap**2 + G.nu)).sum(axis=1), (weights * fourth).sum(axis=1)


def z_scores(G, X, y):
    """z of the mean and of the variance of y, flat and against each covariate."""
    mean, variance, fourth = moments(G, X)
    out = []
    for f in (np.ones(len(y)), *X.T):
        out.append(z_of_mean(f * (y - mean), 0.0, f**2 * variance))
        out.append(z_of_mean(f * ((y - mean) ** 2 - variance), 0.0, f**2 * (fourth - variance**2)))
    return np.array(out)


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize("d", [1, 2])
def test_conditional_mean_and_variance(rng, gating, d):
    G = naive.random_measure(rng, gating, (1, 3, 2), d).replace(nu=rng.uniform(3.0, 6.0, 6))
    X, y = hs.sample(G, N, x=hs.Uniform(-3, 3), seed=31)
    np.testing.assert_allclose(moments(G, X)[1], naive.conditional_variance(G, X), rtol=1e-10)
    assert np.abs(z_scores(G, X, y)).max() < 4
    # The same scores refuse a sample that took nu for a standard deviation, or went through the other kind of gate.
    assert np.abs(z_scores(G.replace(nu=G.nu**2), X, y)).max() > 10
    if not PURE_PYTHON:
        other = gating.translate(str.maketrans("SLQ", "LSL"))
        assert np.abs(z_scores(G.replace(gating=other), X, y)).max() > 10


@pytest.mark.parametrize("gating", GATINGS)
def test_the_whole_conditional_law(rng, gating):
    """y through its conditional distribution function is uniform, and independent of x."""
    G = naive.random_measure(rng, gating, (1, 3, 2), 1)
    X, y = hs.sample(G, N, x=hs.Normal(0.5, 1.5), seed=32)
    u = (naive.gate_weights(G, X) * stats.norm.cdf(y[:, None], naive.means(G, X), np.sqrt(G.nu))).sum(axis=1)
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    for low, high in ((-9, -0.5), (-0.5, 0.5), (0.5, 1.5), (1.5, 9)):
        inside = (X[:, 0] > low) & (X[:, 0] <= high)
        assert stats.kstest(u[inside], "uniform").pvalue > 1e-3


@pytest.mark.parametrize("gating", GATINGS)
def test_experts_are_drawn_with_their_gate_weights(rng, gating):
    """Experts far apart, so that y tells which of them spoke; counts against the gate weights, flat and against x."""
    G = naive.random_measure(rng, gating, (1, 3, 2), 2).replace(
        eta=np.zeros((6, 2)), tau=100.0 * np.arange(6), nu=np.ones(6)
    )
    X, y = hs.sample(G, N, x=hs.Uniform(-2, 2), seed=33)
    leaf = np.rint(y / 100).astype(int)
    weights = naive.gate_weights(G, X)
    for j in range(6):
        spoke, variance = (leaf == j) - weights[:, j], weights[:, j] * (1 - weights[:, j])
        for f in (np.ones(N), X[:, 0], X[:, 1]):
            assert abs(z_of_mean(f * spoke, 0.0, f**2 * variance)) < 4
    noise = y - 100.0 * leaf
    assert stats.kstest(noise, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(noise, X[:, 0])[0, 1]) * np.sqrt(N) < 4


@pytest.mark.parametrize("gating", GATINGS)
def test_the_score_has_mean_zero_at_the_truth(rng, gating):
    """Sample and likelihood agree: the score at the truth has mean 0 and the information as covariance."""
    G = naive.random_measure(rng, gating, (1, 2), 1)
    X, y = hs.sample(G, N, x=hs.Uniform(-3, 3), seed=34)
    z = hs.score(G, X, y) / np.sqrt(np.maximum(np.diag(hs.information(G, X, y)), 1e-9))
    free = [not name.startswith(("omega[0", "beta[0")) for name in G.parameter_names()]  # alone in its group: no gate
    assert np.abs(z[free]).max() < 4.5


def test_an_array_of_covariates_is_drawn_from_with_replacement(rng):
    G = naive.random_measure(rng, "SS", (2,), 2)
    points = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    X, _ = hs.sample(G, 300, x=points, seed=1)
    counts = [(X == point).all(axis=1).sum() for point in points]
    assert sum(counts) == 300
    assert min(counts) > 60


def test_one_row(rng):
    G = naive.random_measure(rng, "LL", (1,), 3)
    X, y = hs.sample(G, np.int64(1), x=hs.Uniform(-3, 3), seed=0)
    assert (X.shape, y.shape) == ((1, 3), (1,))


# -- validation -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "bad"),
    [
        *(("G", value) for value in (None, "SS", {"gating": "SS"})),
        *(("n", value) for value in (0, -3, 1.5, 10.0, "10", None, np.nan)),
        *(("x", value) for value in (None, 1.0, "uniform", [[1.0, 2.0], [3.0, np.nan]], np.zeros((5, 3)))),
        *(("seed", value) for value in (None, -1, 1.5, "seed")),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value)[:20],
)
def test_bad_arguments_are_named(rng, name, bad):
    good = {"G": naive.random_measure(rng, "SS", (2, 2), 2), "n": 5, "x": hs.Uniform(-1, 1), "seed": 0}
    with pytest.raises(ValueError, match=rf"^{name} must .*; got "):
        hs.sample(**good | {name: bad})


def test_a_law_of_another_dimension_is_named(rng):
    G = naive.random_measure(rng, "SS", (2, 2), 2)
    with pytest.raises(ValueError, match=r"^low must be a scalar or have 2 entries"):
        hs.sample(G, 5, x=hs.Uniform((0, 0, 0), 1), seed=0)
    with pytest.raises(ValueError, match=r"^loc must be a scalar or have 2 entries"):
        hs.sample(G, 5, x=hs.Normal((0, 0, 0), 1), seed=0)
