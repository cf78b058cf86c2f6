"""The table of exponents: the values worked out by hand, its formula in m, regimes, sources, and what it refuses."""

import math

import numpy as np
import pytest

from hmoe_stats import datasets
from hmoe_stats.likelihood import log_density
from hmoe_stats.measure import MixingMeasure
from hmoe_stats.theory import rates
from hmoe_stats.voronoi import kappa_tau

GATINGS = ["SS", "SL", "LS", "LL"]


def measure(gating, k2, d=1, equal_gates=False):
    """Some measure of this shape; level-2 gates differ within a group unless asked otherwise."""
    K, k1 = sum(k2), len(k2)
    grow = np.arange(K, dtype=float)[:, None] * np.ones(d)
    return MixingMeasure(
        gating=gating,
        k2=k2,
        a=np.arange(k1)[:, None] * np.ones(d),
        b=np.zeros(k1),
        omega=0 * grow if equal_gates else 0.1 * grow,
        beta=np.zeros(K),
        eta=grow,
        tau=4 * np.arange(K),
        nu=np.ones(K),
    )


def alphas(table, m, regime=None, level=2):
    rows = table[(table["level"] == level) & (table["m"] == m)]
    rows = rows if regime is None else rows[rows["regime"] == regime]
    return {(p, k): alpha for p, k, alpha in zip(rows["parameter"], rows["kind"], rows["alpha"], strict=True)}


@pytest.mark.parametrize("form", ["sharp", "published"])
@pytest.mark.parametrize("gating", GATINGS)
def test_exact_fits_are_parametric(gating, form):
    table = rates(datasets.truth("C0", gating), (2, 2), form=form)
    assert (table["alpha"] == 0.5).all()
    assert set(table["cell"]) == {"", "exact"}
    weighted = set(table.loc[table["kind"] == "weighted", "parameter"])
    assert weighted == {"a", "omega", "eta", "tau", "nu"}
    assert set(table.loc[table["kind"] == "mass", "parameter"]) == {"b", "beta"}
    assert set(table.loc[table["level"] == 0, "parameter"]) == {"loss", "hellinger"}


# alpha of omega, eta, barycentre of eta, tau, nu in a split cell of m experts of a regular group
REGULAR = {
    ("S", 2): (1 / 4, 1 / 4, 3 / 8, 1 / 8, 1 / 4),
    ("S", 3): (1 / 4, 1 / 4, 1 / 3, 1 / 12, 1 / 6),
    ("S", 4): (1 / 4, 1 / 4, 5 / 16, 1 / 16, 1 / 8),
    ("L", 2): (1 / 3, 1 / 4, 1 / 2, 1 / 8, 1 / 4),
    ("L", 3): (1 / 3, 1 / 4, 1 / 2, 1 / 12, 1 / 6),
    ("L", 4): (1 / 3, 1 / 4, 1 / 2, 1 / 16, 1 / 8),
}


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize("m", [2, 3, 4])
def test_split_cells_of_regular_groups(gating, m):
    table = rates(measure(gating, (4, 4)), (3 + m, 3 + m))
    assert set(table["regime"]) == {"any", "regular"}
    assert table["m"].max() == m
    found = alphas(table, m)
    keys = [("omega", "weighted"), ("eta", "weighted"), ("eta", "barycentre"), ("tau", "weighted"), ("nu", "weighted")]
    np.testing.assert_allclose([found[key] for key in keys], REGULAR[gating[1], m])
    assert found["omega", "barycentre"] == found["tau", "barycentre"] == found["beta", "mass"] == 0.5
    assert alphas(table, 1, level=1) == {("a", "weighted"): 0.5, ("b", "mass"): 0.5}


@pytest.mark.parametrize(("one", "other"), [("SL", "LL"), ("LS", "SS")])
def test_the_first_gate_makes_no_difference(one, other):
    truth = datasets.truth("C3")
    here, there, swapped = (
        rates(truth, (5, 5), gating=g).drop(columns=["status", "source"]) for g in (one, other, one[::-1])
    )
    assert here.equals(there)
    assert not here.equals(swapped)


def test_the_kink_matters_for_one_covariate_only():
    omega = [alphas(rates(measure("LL", (2,), d), (3,)), 2)["omega", "weighted"] for d in (1, 2, 3)]
    np.testing.assert_allclose(omega, [1 / 3, 1 / 4, 1 / 4])
    table = rates(measure("LL", (2,), 2), (3,))
    assert "logarithm" in table[(table["parameter"] == "omega") & (table["kappa"] == 2)]["source"].item()


@pytest.mark.parametrize(("m", "eta"), [(2, 1 / 4), (3, 1 / 6), (5, 1 / 10)])
def test_softmax_groups_with_every_expert_split(m, eta):
    for gating in ("SS", "LS"):
        table = rates(datasets.truth("C4", gating), (m, m))
        found = alphas(table, m, "unidentified")
        assert set(table.loc[table["level"] == 2, "m"]) == {m}  # all fitted experts are in the one cell
        assert found["omega", "weighted"] == found["omega", "barycentre"] == 0
        assert found["eta", "weighted"] == found["eta", "barycentre"] == pytest.approx(eta)
        assert found["tau", "weighted"] == pytest.approx(1 / (4 * m))
        assert found["nu", "weighted"] == pytest.approx(1 / (2 * m))
        assert ("beta", "mass") not in found  # one true expert: the mass of its cell is 1


@pytest.mark.parametrize("m", [2, 3])
def test_laplace_groups_of_one_expert(m):
    found = alphas(rates(datasets.truth("C4", "SL"), (m, m)), m, "unidentified")
    assert found["omega", "weighted"] == 0
    assert (found["eta", "weighted"], found["eta", "barycentre"]) == (0.25, 0.5)
    assert found["tau", "weighted"] == pytest.approx(1 / (4 * m))


def test_regular_and_unidentified_groups_are_told_apart():
    table = rates(measure("SS", (2, 1)), (3, 2))
    assert alphas(table, 2, "regular")["omega", "weighted"] == 0.25
    assert alphas(table, 2, "unidentified")["omega", "weighted"] == 0
    # four experts on two: cells (2, 2) leave the gate unidentified, cells (3, 1) do not
    table = rates(measure("SS", (2,)), (4,))
    assert alphas(table, 2) == alphas(table, 2, "unidentified")
    assert alphas(table, 3) == alphas(table, 3, "regular")
    assert alphas(table, 2)["beta", "mass"] == 0
    # a Laplace gate with distinct centres keeps the group regular, one with equal centres does not
    assert set(rates(measure("LL", (2,)), (4,))["regime"]) == {"any", "regular"}
    assert "unidentified" in set(rates(measure("LL", (2,), equal_gates=True), (4,))["regime"])


@pytest.mark.parametrize("name", ["C2", "C4"])
def test_unidentified_gates_really_are(name):
    """Each expert split into two with one common shift of omega: the density does not change under softmax gates."""
    x, y = np.linspace(-3, 3, 50), np.linspace(-7, 7, 50)
    for gating, same in (("SS", True), ("LL", False)):
        G = datasets.truth(name, gating)
        doubled = {f: np.repeat(getattr(G, f), 2, axis=0) for f in ("omega", "beta", "eta", "tau", "nu")}
        doubled["omega"] = doubled["omega"] + np.tile([0.0, 0.7], G.n_experts)[:, None]
        H = G.replace(k2=[2 * m for m in G.k2], **doubled)
        gap = np.abs(log_density(H, x, y) - log_density(G, x, y)).max()
        regimes = set(rates(G, H.k2)["regime"])
        assert (gap < 1e-12) == ("unidentified" in regimes) == (same or name == "C4")


def test_groups_match_in_any_order():
    G = measure("SS", (3, 2))
    assert rates(G, (2, 4)).equals(rates(G, (4, 2)))
    assert set(alphas(rates(G, (4, 2)), 2)) == set(alphas(rates(G, (3, 3)), 2))
    # (4, 3) on (3, 2): the larger may cover either group, so that cells of 3 can occur
    assert rates(G, (4, 3))["m"].max() == 3


@pytest.mark.parametrize("m", [2, 3])
def test_published_split_cells(m):
    r = {2: 4, 3: 6}[m]
    softmax = {"omega": r, "eta": r / 2, "tau": r, "nu": r / 2}
    for gating in GATINGS:
        table = rates(measure(gating, (3, 3)), (2 + m, 2 + m), form="published")
        rows = table[(table["m"] == m) & (table["kind"] == "weighted")].set_index("parameter")
        expected = softmax if gating != "LL" else softmax | {"omega": 2, "eta": 2}
        assert rows["kappa"].to_dict() == expected
        assert set(rows["status"]) == {"open" if gating == "LS" else "as reported"}
        assert (rows["source"].str.contains("2410.02935") == (gating != "LS")).all()
        assert "barycentre" not in set(table["kind"])


def test_flat_softmax_mixtures_are_published():
    table = rates(measure("SS", (3,)), (5,), form="published")
    assert set(table["status"]) == {"published"}
    assert table["source"].str.contains("2305.03288, (?:Theorem|Proposition)", regex=True).all()
    assert set(table["level"]) == {0, 2}
    four = rates(measure("SS", (3,)), (6,), form="published")
    rows = four[(four["m"] == 4) & (four["parameter"] == "tau")]
    assert rows[["kappa", "status"]].values.tolist() == [[8.0, "derived"]]  # the papers have r(4) >= 7


@pytest.mark.parametrize("form", ["sharp", "published"])
def test_every_row_has_a_source_and_sharp_rows_claim_no_paper(form):
    for gating in GATINGS:
        for name, k2 in (("C2", (3, 3)), ("C3", (5, 5)), ("C4", (3, 3))):
            table = rates(datasets.truth(name, gating), k2, form=form)
            np.testing.assert_allclose(table["alpha"], 0.5 / table["kappa"])
            assert table["source"].str.len().min() > 0
            assert set(table["status"]) <= {"published", "derived", "open", "as reported"}
            key = ["level", "m", "regime", "parameter", "kind"]
            assert not table.duplicated(key).any()
            if form == "sharp":
                own = table[table["parameter"] != "hellinger"]
                assert set(own["status"]) <= {"derived", "open"}
                assert own["source"].str.startswith("derived").all()


def test_exponent_of_tau_is_where_gauss_hermite_stops():
    """Atoms at Gauss-Hermite nodes with variance -1 solve the location-scale system below order 2m and not at 2m."""
    for m in range(2, 6):
        nodes, weights = np.polynomial.hermite_e.hermegauss(m)
        weights = weights / weights.sum()
        residual = [
            sum(
                weights @ nodes ** (order - 2 * k) * (-0.5) ** k / (math.factorial(order - 2 * k) * math.factorial(k))
                for k in range(order // 2 + 1)
            )
            for order in range(1, int(kappa_tau(m)) + 1)
        ]
        assert np.abs(residual[:-1]).max() < 1e-13
        assert residual[-1] == pytest.approx(-math.factorial(m) / math.factorial(2 * m), abs=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k2": (2, 2, 2)}, r"k2 must have 2 groups as G0 has .*not covered yet"),
        ({"k2": (4,)}, r"k2 must have 2 groups that cover those of G0, \(2, 2\); got \(4,\)"),
        ({"k2": (1, 5)}, r"that cover those of G0"),
        ({"k2": 3}, "k2 must be a sequence of positive integers"),
        ({"gating": "ss"}, "gating must be one of"),
        ({"form": "paper"}, 'form must be "sharp" or "published"; got'),
        ({"G0": "C2"}, "G0 must be a MixingMeasure; got str"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"G0": datasets.truth("C2"), "k2": (3, 3)}
    with pytest.raises(ValueError, match=message):
        rates(**(good | change))
