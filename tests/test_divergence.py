"""Divergences against closed forms for one expert, and against a brute-force sum for mixtures."""

import pickle

import numpy as np
import pytest
from scipy import integrate, stats

from hmoe_stats import MixingMeasure, Normal, Uniform, chi_square, hellinger, total_variation
from hmoe_stats.divergence import Estimate

ALL = (hellinger, total_variation, chi_square)


def one(eta, tau, nu, gating="SS"):
    """A single expert; d is the number of slopes."""
    eta = np.atleast_2d(np.asarray(eta, dtype=float))
    zero = np.zeros_like(eta)
    return MixingMeasure(gating=gating, k2=(1,), a=zero, b=[0], omega=zero, beta=[0], eta=eta, tau=[tau], nu=[nu])


def mixture(gating, **changes):
    values = {
        "k2": (2, 1),
        "a": [0.8, -1.1],
        "b": [0.3, 0.0],
        "omega": [-0.7, 0.9, 0.0],
        "beta": [0.2, -0.1, 0.0],
        "eta": [0.5, -0.4, 1.2],
        "tau": [-2.0, 0.5, 2.5],
        "nu": [0.3, 0.05, 1.0],
    }
    return MixingMeasure(gating=gating, **(values | changes))


def closed_hellinger_square(gap, nu, nu0):
    return 1.0 - np.sqrt(2.0 * np.sqrt(nu * nu0) / (nu + nu0)) * np.exp(-0.25 * gap**2 / (nu + nu0))


def closed_total_variation(gap, nu, nu0):
    assert nu == nu0
    return 2.0 * stats.norm.cdf(0.5 * np.abs(gap) / np.sqrt(nu)) - 1.0


def closed_chi_square(gap, nu, nu0):
    return nu0 / np.sqrt(nu * (2.0 * nu0 - nu)) * np.exp(gap**2 / (2.0 * nu0 - nu)) - 1.0


def law_mean(f, law, *points):
    """Mean of f(x) under a one-dimensional law, by an adaptive routine."""
    if isinstance(law, Uniform):
        low, high, density = law.low, law.high, lambda x: 1.0 / (law.high - law.low)
    else:
        low, high = law.loc - 12 * law.scale, law.loc + 12 * law.scale
        density = stats.norm(law.loc, law.scale).pdf
    points = [p for p in (*points, 0.5 * (low + high)) if low < p < high]
    return integrate.quad(lambda x: f(x) * density(x), low, high, points=points, limit=500, epsabs=1e-12)[0]


def naive_density(G, x, y):
    """p_G(y | x) for scalars x, one row of y: written out, d = 1."""

    def gate(letter, slopes, intercepts):
        logits = slopes * x + intercepts if letter == "S" else -np.abs(x - slopes) + intercepts
        return np.exp(logits) / np.exp(logits).sum()

    total = np.zeros_like(y)
    first = gate(G.gating[0], G.a[:, 0], G.b)
    for i in range(G.k1):
        inside = np.flatnonzero(G.group == i)
        second = gate(G.gating[1], G.omega[inside, 0], G.beta[inside])
        for weight, e in zip(second, inside, strict=True):
            total += first[i] * weight * stats.norm.pdf(y, G.eta[e, 0] * x + G.tau[e], np.sqrt(G.nu[e]))
    return total


LINES = [  # eta, tau, nu, eta0, tau0, nu0
    (0.5, -1.0, 0.4, 0.2, 0.3, 0.4),
    (-1.5, 0.2, 0.7, 0.9, 0.0, 0.5),
    (0.3, 2.0, 1.3, 0.3, 2.1, 0.8),
    (1.1, 0.3, 1e-4, -0.9, 0.1, 1.3e-4),  # lines of width 0.01 that cross steeply
    (0.0, 0.0, 1e-4, 0.0, 0.0, 4.0),
]
LAWS = [Uniform(-3, 3), Uniform(0.5, 2.0), Normal(0.4, 0.6)]


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("line", LINES)
def test_hellinger_of_two_normals(line, law):
    eta, tau, nu, eta0, tau0, nu0 = line
    crossing = (tau0 - tau) / (eta - eta0) if eta != eta0 else 0.0
    near = crossing + np.array([-0.1, -0.03, 0.0, 0.03, 0.1])
    square = law_mean(lambda x: closed_hellinger_square((eta - eta0) * x + tau - tau0, nu, nu0), law, *near)
    result = hellinger(one(eta, tau, nu), one(eta0, tau0, nu0), x=law)
    assert result == pytest.approx(np.sqrt(square), abs=1e-8)
    assert result.standard_error == 0.0


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("line", LINES)
def test_total_variation_of_normals_of_one_variance(line, law):
    eta, tau, nu, eta0, tau0, _ = line
    crossing = (tau0 - tau) / (eta - eta0) if eta != eta0 else 0.0
    near = crossing + np.array([-0.1, -0.03, 0.0, 0.03, 0.1])
    expected = law_mean(lambda x: closed_total_variation((eta - eta0) * x + tau - tau0, nu, nu), law, *near)
    assert total_variation(one(eta, tau, nu), one(eta0, tau0, nu), x=law) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("line", [LINES[0], LINES[2], (0.2, 1.0, 0.95, 0.1, 1.0, 0.5), (0.2, 0.1, 0.05, 0.0, 0.3, 0.9)])
def test_chi_square_of_two_normals(line, law):
    eta, tau, nu, eta0, tau0, nu0 = line
    expected = law_mean(lambda x: closed_chi_square((eta - eta0) * x + tau - tau0, nu, nu0), law)
    assert chi_square(one(eta, tau, nu), one(eta0, tau0, nu0), x=law) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("gating", ["SS", "SL", "LS", "LL"])
def test_mixtures_against_a_brute_force_sum(gating):
    G0 = mixture("LS")
    G = mixture(
        gating, k2=(2, 2), omega=[-0.5, 0.8, 0, 1.5], beta=[0, 0, 0.4, 0], eta=[0.6, -0.4, 1.0, 1.3],
        tau=[-1.8, 0.6, 2.2, 2.6], nu=[0.25, 0.06, 0.9, 1.2],
    )  # fmt: skip
    x = np.linspace(-2, 3, 41)
    y, step = np.linspace(-14, 16, 30001, retstep=True)
    p, q = (np.array([naive_density(H, point, y) for point in x]) for H in (G, G0))
    assert hellinger(G, G0, x=x) == pytest.approx(
        np.sqrt(0.5 * step * ((np.sqrt(p) - np.sqrt(q)) ** 2).sum(axis=1).mean()), abs=1e-8
    )
    assert total_variation(G, G0, x=x) == pytest.approx(0.5 * step * np.abs(p - q).sum(axis=1).mean(), abs=2e-6)
    assert chi_square(G, G0, x=x) == pytest.approx(step * ((p - q) ** 2 / q).sum(axis=1).mean(), rel=1e-8)


def test_the_average_over_a_law_resolves_kinks_and_steep_gates():
    G0 = mixture("LL")
    G = mixture("SL", a=[40.0, -35.0])  # a gate that switches within 0.05
    law = Uniform(-3, 3)
    x = -3 + 6 * (np.arange(20_000) + 0.5) / 20_000
    for f in ALL:
        assert f(G, G0, x=law) == pytest.approx(f(G, G0, x=x), rel=3e-6)  # the midpoint rule's own error


@pytest.mark.parametrize("gating", ["SS", "SL", "LS", "LL"])
def test_zero_at_equivalent_writings(gating):
    law = Uniform(-3, 3)
    G = mixture(gating, a=[4.0, -1.1]) if gating[0] == "L" else mixture(gating)
    assert [f(G, G, x=law) for f in ALL] == [0.0, 0.0, 0.0]
    swapped = G.replace(
        k2=(1, 2), a=G.a[::-1], b=G.b[::-1] + 3.0,
        **{name: getattr(G, name)[[2, 1, 0]] for name in ("omega", "beta", "eta", "tau", "nu")},
    )  # fmt: skip
    for H in (G.canonical(support=(-3, 3)), swapped):
        assert H != G
        for f in ALL:
            assert 0.0 <= f(H, G, x=law) < 1e-10


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_small_distances_keep_their_digits(gating):
    G0 = mixture(gating)
    direction = np.random.default_rng(5).normal(size=G0.n_parameters)
    law = Uniform(-3, 3)
    distance = {e: hellinger(G0.with_vector(G0.to_vector() + e * direction), G0, x=law) / e for e in (1e-6, 1e-9)}
    assert 0.1 < distance[1e-6] < 10
    assert distance[1e-9] == pytest.approx(distance[1e-6], rel=1e-5)
    # sqrt p moves by half of p's log-derivative: chi-square is 8 h^2 in the limit
    G = G0.with_vector(G0.to_vector() + 1e-6 * direction)
    assert chi_square(G, G0, x=law) == pytest.approx(8 * hellinger(G, G0, x=law) ** 2, rel=1e-3)


def test_inequalities_and_symmetry():
    G, G0 = mixture("LL"), mixture("SS", tau=[-1.0, 0.0, 3.0])
    law = Normal(0.2, 1.0)
    h, tv = hellinger(G, G0, x=law), total_variation(G, G0, x=law)
    assert h**2 < tv < h * np.sqrt(2 - h**2)
    assert hellinger(G0, G, x=law) == pytest.approx(h, rel=1e-12)
    assert total_variation(G0, G, x=law) == pytest.approx(tv, rel=1e-10)
    assert hellinger(one(0, 0, 1e-3), one(0, 9, 1e-3), x=law) == pytest.approx(1.0, abs=1e-12)


def test_an_array_of_covariates_is_averaged_over_in_any_dimension():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(30, 2))
    G, G0 = one([0.5, -0.2], 0.1, 0.4), one([0.1, 0.3], -0.2, 0.6)
    gap = X @ (G.eta - G0.eta)[0] + 0.3
    assert hellinger(G, G0, x=X) == pytest.approx(np.sqrt(closed_hellinger_square(gap, 0.4, 0.6).mean()), abs=1e-10)
    assert chi_square(G, G0, x=X) == pytest.approx(closed_chi_square(gap, 0.4, 0.6).mean(), rel=1e-10)
    assert hellinger(G, G0, x=X).standard_error == 0.0


def test_monte_carlo_over_a_law_of_two_covariates():
    G, G0, law = one([0.5, -0.2], 0.1, 0.4), one([0.1, 0.3], -0.2, 0.4), Uniform((-2, -1), (1, 2))
    t = np.linspace(0, 1, 401)[:-1] + 1 / 800
    grid = np.stack(np.meshgrid(-2 + 3 * t, -1 + 3 * t), axis=-1).reshape(-1, 2)
    gap = grid @ (G.eta - G0.eta)[0] + 0.3
    truth = {
        hellinger: np.sqrt(closed_hellinger_square(gap, 0.4, 0.4).mean()),
        total_variation: closed_total_variation(gap, 0.4, 0.4).mean(),
        chi_square: closed_chi_square(gap, 0.4, 0.4).mean(),
    }
    for f, expected in truth.items():
        results = [f(G, G0, x=law, draws=1000, seed=s) for s in range(12)]
        z = np.array([(r - expected) / r.standard_error for r in results])
        assert 0 < results[0].standard_error < 0.2 * expected
        assert np.abs(z).max() < 4
        assert 0.4 < np.sqrt((z**2).mean()) < 1.7  # the standard error is neither too small nor too large
    assert hellinger(G, G0, x=law) == hellinger(G, G0, x=law)
    assert hellinger(G, G0, x=law, seed=1) != hellinger(G, G0, x=law, seed=2)


def test_chi_square_diverges_where_the_variance_doubles():
    law = Uniform(-1, 1)
    assert np.isinf(chi_square(one(0, 0, 1.0), one(0, 0, 0.5), x=law))
    assert np.isinf(chi_square(mixture("LL", nu=[0.3, 2.1, 1.0]), mixture("LL"), x=law))
    nearly = chi_square(one(0, 0, 0.999), one(0, 0, 0.5), x=law)
    assert nearly == pytest.approx(closed_chi_square(0.0, 0.999, 0.5), rel=1e-7)
    # one wide expert of G0 is enough to carry every tail
    assert np.isfinite(chi_square(mixture("LL", nu=[1.9, 0.05, 1.0]), mixture("LL"), x=law))


@pytest.mark.parametrize("ratio", [0.5, 0.9, 0.97])
def test_chi_square_under_a_normal_law_of_covariates(ratio):
    # E exp(phi x^2) with phi = d_eta^2 / (2 nu0 - nu): finite iff 2 s^2 phi < 1
    nu, nu0, sd = 0.4, 0.5, 1.5
    slope = np.sqrt(ratio * (2 * nu0 - nu) / (2 * sd**2))
    law = Normal(0.3, sd)
    # with X ~ N(m, s^2): E exp(phi X^2) = exp(phi m^2 / (1 - r)) / sqrt(1 - r), r = 2 s^2 phi
    phi = slope**2 / (2 * nu0 - nu)
    expected = nu0 / np.sqrt(nu * (2 * nu0 - nu)) * np.exp(phi * 0.3**2 / (1 - ratio)) / np.sqrt(1 - ratio) - 1
    assert chi_square(one(slope, 0, nu), one(0, 0, nu0), x=law) == pytest.approx(expected, rel=1e-7)
    assert np.isinf(chi_square(one(slope / np.sqrt(ratio) * 1.001, 0, nu), one(0, 0, nu0), x=law))


def test_chi_square_growth_needs_the_nearest_expert_of_g0():
    # Alone, the first expert of G0 would not bear the slope of G; the second one follows it.
    G0 = mixture("SS", k2=(2,), a=[0.0], b=[0.0], omega=[-0.1, 0.1], beta=[0, 0], eta=[0, 3], tau=[0, 0], nu=[1, 1])
    law = Normal(0, 1)
    assert np.isinf(chi_square(one(3, 0, 1.0), one(0, 0, 1.0), x=law))
    assert np.isfinite(chi_square(one(3, 0, 1.0), G0, x=law))
    assert np.isinf(chi_square(one(1.5, 0, 1.0), G0, x=law))
    # The supremum may lie where both experts of G0 are equally far: at c = 3/2, phi = 9/8 - 0.01 / 0.5.
    edge = np.sqrt(0.5 / (9 / 8 - 0.02))
    assert np.isinf(chi_square(one(1.4, 0, 0.5), G0, x=Normal(0, 1.01 * edge)))
    assert np.isfinite(chi_square(one(1.4, 0, 0.5), G0, x=Normal(0, 0.9 * edge)))


def test_chi_square_too_large_for_a_float_is_said():
    with pytest.raises(OverflowError, match="exceeds"):
        chi_square(one(0, 100, 1.0), one(0, 0, 1.0), x=Uniform(-1, 1))


def test_estimate_is_a_float_that_survives_pickling():
    value = Estimate(0.25, 0.01)
    copy = pickle.loads(pickle.dumps(value))
    assert (float(copy), copy.standard_error) == (0.25, 0.01)
    assert Estimate(1.0).standard_error == 0.0


@pytest.mark.parametrize("f", ALL)
def test_bad_input(f):
    G = mixture("SS")
    with pytest.raises(ValueError, match="x must be a covariate law"):
        f(G, G)
    with pytest.raises(ValueError, match="G must be a MixingMeasure"):
        f("G", G, x=Uniform(-1, 1))
    with pytest.raises(ValueError, match="G0 must be a MixingMeasure"):
        f(G, None, x=Uniform(-1, 1))
    with pytest.raises(ValueError, match="as many covariates as G0, d = 1; got d = 2"):
        f(one([0, 1], 0, 1), G, x=Uniform(-1, 1))
    with pytest.raises(ValueError, match="low must be a scalar or have 1 entries"):
        f(G, G, x=Uniform((-1, 0), (1, 1)))
    with pytest.raises(ValueError, match="x must have 1 columns"):
        f(G, G, x=np.zeros((4, 2)))
    with pytest.raises(ValueError, match="draws must be an integer"):
        f(G, G, x=Uniform(-1, 1), draws=1)
