"""The quadratic monomial gate: scores a'(x^2) + b at either level, from the model to its rates."""

import naive
import numpy as np
import pytest

import hmoe_stats as hs
from hmoe_stats.gates import GATES, GATINGS
from hmoe_stats.theory import interactions, rates

QUADRATIC = [word for word in GATINGS if "Q" in word]
LAW = hs.Uniform(-3, 3)


def draw(gating, n=2000, name="C2", seed=1):
    G = hs.datasets.truth(name, gating)
    return G, *hs.sample(G, n, x=LAW, seed=seed)


def test_words_of_the_first_two_gates_keep_their_places():
    """The place of a gating keys the random numbers of its fits."""
    assert GATINGS[:4] == ("SS", "SL", "LS", "LL")
    assert sorted(QUADRATIC) == ["LQ", "QL", "QQ", "QS", "SQ"]


# -- the model --------------------------------------------------------------------------------------------------------
def test_log_odds_are_quadratic_by_hand():
    """Two experts, omega = (1, 0): the log-odds at x = (2, -1) under (1, 3)'(x^2) are 4 + 3 = 7."""
    G = hs.MixingMeasure(
        gating="QQ", k2=(2,), a=[[0.0, 0.0]], b=[0.0], omega=[[1.0, 3.0], [0.0, 0.0]], beta=[0.0, 0.0],
        eta=np.zeros((2, 2)), tau=[0.0, 1.0], nu=[1.0, 1.0],
    )  # fmt: skip
    weights = hs.gate_weights(G, np.array([[2.0, -1.0]]))[0]
    assert np.log(weights[0] / weights[1]) == pytest.approx(7.0)


@pytest.mark.parametrize("letter", GATES)
def test_scores_and_their_derivatives_of_every_gate(rng, letter):
    """A record against the oracle: scores, and derivatives in the slope by the complex step, up to the second order."""
    gate, X, slopes = GATES[letter], rng.normal(size=(20, 2)), rng.normal(size=(3, 2))
    np.testing.assert_allclose(gate.scores(X, slopes), naive.logits(letter, X, slopes, np.zeros(3)), rtol=1e-13)
    of_one = naive.complex_step(lambda v: naive.logits(letter, X, [v], [0.0])[:, 0], slopes[0])
    np.testing.assert_allclose(gate.slope_derivative(X, slopes[0]), of_one.T, rtol=1e-12)
    gradient = lambda v: np.real(gate.slope_derivative(X, v))  # noqa: E731
    bend = naive.central(gradient, slopes[0], step=1e-3)[0, :, 1]
    powers = gate.score_powers(X, slopes[0], [0, 1])
    np.testing.assert_allclose(powers[2], of_one[0] * of_one[1], rtol=1e-12)
    np.testing.assert_allclose(powers.get(1, 0.0), bend, atol=1e-8)


@pytest.mark.parametrize("letter", GATES)
def test_coordinates_of_every_gate(rng, letter):
    """x' = (x - shift) / scale, as far as the gate allows: the same probabilities, the way back, and the chain rule."""
    gate, X, slopes, intercepts = GATES[letter], rng.normal(size=(9, 2)), rng.normal(size=(3, 2)), rng.normal(size=3)
    shift = rng.normal(size=2) if gate.shifts else np.zeros(2)
    scale = rng.uniform(0.5, 2.0, 2) if gate.scales else np.ones(2)

    def logits(X, slopes, intercepts):
        return naive.log_softmax(gate.scores(X, slopes) + intercepts)

    inner = gate.inward(slopes, intercepts, shift, scale)
    np.testing.assert_allclose(logits((X - shift) / scale, *inner), logits(X, slopes, intercepts), atol=1e-12)
    for part, back in zip((slopes, intercepts), gate.outward(*inner, shift, scale), strict=True):
        np.testing.assert_allclose(back, part, atol=1e-12)
    # any linear function of the inner parameters, differentiated in the outer slopes
    of_slopes, of_intercepts = rng.normal(size=(3, 2)), rng.normal(size=3)

    def value(v):
        one, two = gate.inward(v.reshape(3, 2), intercepts, shift, scale)
        return np.array([(of_slopes * one).sum() + of_intercepts @ two])

    found = gate.gradient_outward(of_slopes, of_intercepts, shift, scale)
    np.testing.assert_allclose(found.ravel(), naive.central(value, slopes.ravel(), step=1e-3)[:, 0], rtol=1e-9)


# -- fits -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", QUADRATIC)
def test_fits_reach_one_optimum_and_the_truth(gating):
    """EM from the truth climbs to where `fit_mle`, which knows nothing of it, has its optimum; errors are small."""
    G, X, y = draw(gating)
    fit = hs.fit_mle(X, y, gating, (2, 2), n_starts=8, seed=0)
    assert fit.status == "converged"
    assert fit.score_norm < 1e-8
    slow = hs.fit_em(X, y, gating, (2, 2), start=G, max_iter=300, tol=1e-7)
    assert fit.log_likelihood >= slow.log_likelihood - 1e-6
    assert (np.diff(slow.path) > -1e-8).all()
    assert fit.log_likelihood - slow.log_likelihood < 0.1
    assert fit.log_likelihood >= hs.log_likelihood(G, X, y)
    assert hs.parameter_errors(fit, G, LAW)["error"].max() < 0.5


def test_fits_follow_the_units_of_x_and_affine_changes_of_y_but_no_shift_of_x():
    """The model is the same in other units of x; squares from another origin are another model."""
    G, X, y = draw("QS", 800)
    fit = hs.fit_mle(X, y, "QS", (2, 2), start=G, n_starts=2)
    moved = G.replace(a=G.a / 16.0, omega=G.omega / 4.0, eta=3.0 * G.eta / 4.0, tau=3.0 * G.tau + 5.0, nu=9.0 * G.nu)
    other = hs.fit_mle(4.0 * X, 3.0 * y + 5.0, "QS", (2, 2), start=moved, n_starts=2)
    assert other.log_likelihood == pytest.approx(fit.log_likelihood - len(y) * np.log(3.0), abs=1e-6)
    np.testing.assert_allclose(hs.gate_weights(other.measure, 4.0 * X), hs.gate_weights(fit.measure, X), atol=1e-5)
    shifted = hs.fit_mle(X + 1.0, y, "QS", (2, 2), start=G, n_starts=4)
    assert shifted.log_likelihood < fit.log_likelihood - 5.0


def test_squares_that_do_not_vary_leave_slopes_at_rest():
    """x in {-1, 1}: x varies, its square does not, and a quadratic gate is a constant one."""
    rng = np.random.default_rng(5)
    X = rng.choice([-1.0, 1.0], 300)
    y = np.where(rng.random(300) < 0.4, -3.0, 3.0) + X + 0.5 * rng.standard_normal(300)
    fit = hs.fit_mle(X, y, "SQ", (2,), n_starts=4)
    assert fit.status == "converged"
    np.testing.assert_array_equal(fit.measure.omega, 0.0)


def test_larger_models_contain_smaller_ones():
    G, X, y = draw("SQ", 600)
    small = hs.fit_mle(X, y, "SQ", (2, 2), start=G, n_starts=4)
    large = hs.fit_mle(X, y, "SQ", (3, 2), start=G, n_starts=4)
    assert large.log_likelihood >= small.log_likelihood


# -- losses, divergences, identifiability -----------------------------------------------------------------------------
@pytest.mark.parametrize("gating", QUADRATIC)
def test_losses_and_distances_do_not_see_the_writing(rng, gating):
    G0 = hs.datasets.truth("C2", gating)
    G = G0.replace(tau=G0.tau + 0.1, omega=G0.omega + rng.normal(0, 0.02, G0.omega.shape))
    written = naive.permuted(rng, naive.rewritten(rng, G))
    for law in (LAW, hs.Uniform(-1.0, 4.0)):
        for form in ("sharp", "published"):
            assert hs.voronoi_loss(naive.rewritten(rng, G0), G0, form, x=law) == pytest.approx(0.0, abs=1e-9)
            one, two = (hs.voronoi_loss(H, G0, form, x=law) for H in (G, written))
            assert two == pytest.approx(one, rel=1e-9)
            assert one > 0.05
    for distance in (hs.hellinger, hs.total_variation, hs.chi_square):
        assert distance(written, G0, x=LAW) == pytest.approx(distance(G, G0, x=LAW), rel=1e-9)


def test_steep_quadratic_gates_are_seen_by_the_quadrature():
    """Two far experts: the squared Hellinger distance is 1 - E sum of sqrt(g_i g*_i), here by a fine grid."""

    def flat(slope, at):
        return hs.MixingMeasure(
            gating="SQ", k2=(2,), a=[0.0], b=[0.0], omega=[slope, 0.0], beta=[-slope * at**2, 0.0],
            eta=[0.0, 0.0], tau=[-40.0, 40.0], nu=[1.0, 1.0],
        )  # fmt: skip

    G, G0 = flat(3e4, 2.0), flat(3e4, 1.7)
    x = np.linspace(-3.0, 3.0, 2_000_001)
    overlap = np.sqrt(hs.gate_weights(G, x) * hs.gate_weights(G0, x)).sum(axis=1)
    assert hs.hellinger(G, G0, x=LAW) ** 2 == pytest.approx(1.0 - overlap.mean(), abs=2e-6)


def test_doubled_experts_do_not_change_the_density(rng):
    """Experts of a quadratic group, each split into slopes omega and omega + s with one s (derived)."""
    G0 = hs.datasets.truth("C2", "SQ")
    twice = lambda values: np.repeat(values, 2, axis=0)  # noqa: E731
    step = np.tile([[0.0], [0.3]], (4, 1))
    G = hs.MixingMeasure(
        gating="SQ", k2=(4, 4), a=G0.a, b=G0.b, omega=twice(G0.omega) + step, beta=twice(G0.beta),
        eta=twice(G0.eta), tau=twice(G0.tau), nu=twice(G0.nu),
    )  # fmt: skip
    X, y = naive.random_data(rng, G0, 50)
    np.testing.assert_allclose(hs.log_density(G, X, y), hs.log_density(G0, X, y), rtol=1e-12)
    assert hs.voronoi_loss(G, G0, x=LAW) == pytest.approx(0.0, abs=1e-9)
    assert hs.diagnose(G0, (4, 4), LAW).kinds() == ("unidentified gate",)
    assert len(hs.diagnose(G0, (3, 3), LAW)) == 0


def test_alike_quadratic_groups_can_be_regrouped():
    G = hs.datasets.truth("C2", "QQ").replace(omega=[-0.2, 0.2, 0.2, -0.2], beta=[0.1, 0.0, 0.0, 0.1])
    assert hs.diagnose(G, x=LAW).kinds() == ("exchangeable levels",)
    assert len(hs.diagnose(G.replace(gating="SQ"), x=LAW)) == 0


@pytest.mark.parametrize("gating", QUADRATIC)
@pytest.mark.parametrize("name", ["C0", "C2", "C3", "C4", "P2"])
def test_truths_are_identified_and_nothing_stands_in_their_way(gating, name):
    """The information has the translations of the gates as its null space, and no more."""
    G, X, y = draw(gating, 3000, name)
    assert len(hs.diagnose(G, x=LAW)) == 0
    assert hs.gate_weights(G, X).mean(axis=0).min() > 0.08
    values = np.linalg.eigvalsh(hs.information(G, X, y) / len(y))
    levels = [(GATES[gating[0]], G.k1), *((GATES[gating[1]], m) for m in G.k2)]
    free = sum(1 + G.d if gate.translates or m == 1 else 1 for gate, m in levels)
    assert np.sort(np.abs(values))[free - 1] < 1e-10
    assert np.sort(np.abs(values))[free] > 1e-3


# -- theory -----------------------------------------------------------------------------------------------------------
def test_the_interaction_of_softmax_is_gone_and_one_of_higher_order_is_there():
    """x^2 d/dmu is no multiple of x d/dmu; but both d^3/domega dtau^2 and d^2/deta^2 bring x^2 d^2/dmu^2."""
    found = {}
    for gating in ("SS", "SL", "SQ"):
        G = hs.datasets.truth("C2", gating)
        found[gating] = interactions(G, 3, LAW, form="numerator", parameters=("omega", "eta", "tau"))
    texts = {gating: [identity.text for identity in one.identities] for gating, one in found.items()}
    assert "d2/domega dtau - d/deta = 0" in texts["SS"]
    assert not any("deta = 0" in text and "domega dtau " in text for text in texts["SQ"] + texts["SL"])
    assert any(text.startswith("d3/domega dtau2 - d2/deta2") for text in texts["SQ"])
    assert not any("domega dtau2" in text and "deta2" in text for text in texts["SL"])
    assert found["SQ"].angle("d2/domega dtau") > 5


def test_exponents_of_quadratic_gates():
    """omega as softmax, the barycentre of eta as Laplace gates; eta is 2 for two and three experts in a cell."""

    def kappa(gating, k2, m, parameter, kind="weighted", name="C2", regime="regular"):
        table = rates(hs.datasets.truth(name, gating), k2, x=LAW)
        row = table[
            (table["m"] == m) & (table["level"] == 2) & (table["regime"] == regime)
            & (table["parameter"] == parameter) & (table["kind"] == kind)
        ]  # fmt: skip
        (found,) = row[["kappa", "status"]].to_numpy().tolist()
        return tuple(found)

    for gating in ("SQ", "LQ", "QQ"):
        assert kappa(gating, (3, 3), 2, "omega") == (2.0, "derived")
        assert kappa(gating, (3, 3), 2, "eta", "barycentre") == (1.0, "derived")
        assert kappa(gating, (3, 3), 2, "eta") == (2.0, "derived")
        assert kappa(gating, (5, 5), 3, "eta", name="C3") == (2.0, "derived")
        assert kappa(gating, (7, 7), 5, "eta", name="C3")[1] == "open"
        assert kappa(gating, (3, 3), 3, "eta", "barycentre", "C4", "unidentified") == (1.0, "derived")
        assert kappa(gating, (3, 3), 3, "eta", name="C4", regime="unidentified")[1] == "open"
    for one, two in (("QS", "SS"), ("QL", "LL")):  # with the right number of groups level 1 makes no difference
        for parameter, kind in (("omega", "weighted"), ("eta", "barycentre"), ("tau", "weighted")):
            assert kappa(one, (3, 3), 2, parameter, kind) == kappa(two, (3, 3), 2, parameter, kind)
    table = rates(hs.datasets.truth("C2", "QQ"), (3, 3), form="published", x=LAW)
    assert not table["status"].isin(["published", "as reported"]).any()
