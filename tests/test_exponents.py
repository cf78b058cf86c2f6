"""The table of exponents: the values worked out by hand, its formula in m, regimes, sources, and what it refuses."""

import itertools
import math

import numpy as np
import pytest

from hmoe_stats import Uniform, datasets, functional_errors, hellinger, parameter_errors, voronoi_loss
from hmoe_stats.gates import GATINGS as ALL_GATINGS
from hmoe_stats.likelihood import log_density
from hmoe_stats.measure import MixingMeasure
from hmoe_stats.theory import rates
from hmoe_stats.theory.exponents import kappa_tau

GATINGS = ["SS", "SL", "LS", "LL"]
LAW = Uniform(-3, 3)


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
    rows = table[(table["level"] == level) & (table["m"] == m) & (table["kind"] != "function")]
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
    whole = {"loss", "hellinger"} | ({"routing"} if form == "sharp" else set())
    assert set(table.loc[table["level"] == 0, "parameter"]) == whole
    assert set(table["alpha_mean"].dropna()) | set(table["alpha_median"].dropna()) == (
        {0.5} if form == "sharp" else set()
    )


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
    assert (alphas(table, 2)["beta", "mass"], alphas(table, 2)["omega", "barycentre"]) == (0.5, 0.5)
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
        if same and name == "C2":  # what the factor leaves alone: masses of cells, and their mean slopes
            low, high = H.canonical(support=(-3, 3)), G.canonical(support=(-3, 3))
            mass = np.exp(low.beta).reshape(-1, 2)
            np.testing.assert_allclose(mass.sum(axis=1), np.exp(high.beta), rtol=1e-12)
            mean = (mass * low.omega.reshape(-1, 2)).sum(axis=1) / mass.sum(axis=1)
            np.testing.assert_allclose(mean, high.omega[:, 0], atol=1e-12)


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
            assert set(table["status"]) <= {"published", "derived", "open", "as reported", "refuted here"}
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


# -- more groups than the truth has ------------------------------------------------------------------------------------
# Explicit fits: fitted group i copies the experts leaves[i] of true group groups[i], weights shared evenly.


def copies(G0, groups, leaves):
    groups, sizes = np.array(groups), [len(some) for some in leaves]
    experts = np.concatenate([G0.offsets[j] + np.array(some) for j, some in zip(groups, leaves, strict=True)])
    of = np.repeat(np.arange(len(groups)), sizes)
    times = np.array([np.sum((of == i) & (experts == e)) for i, e in zip(of, experts, strict=True)])
    gates = {"a": G0.a[groups], "b": G0.b[groups] - np.log(np.bincount(groups)[groups])}
    inside = {name: getattr(G0, name)[experts] for name in ("omega", "beta", "eta", "tau", "nu")}
    return G0.replace(k2=sizes, **gates, **(inside | {"beta": inside["beta"] - np.log(times)}))


def moved(G, **steps):
    """The first entries of each parameter moved by so much."""
    changes = {}
    for name, step in steps.items():
        changes[name] = np.array(getattr(G, name))
        changes[name][: len(step)] += np.reshape(step, (len(step), *changes[name].shape[1:]))
    return G.replace(**changes)


def kappas(G0, path, ts=(0.14, 0.1), cell="0,0"):
    """(parameter, kind) -> exponent along a path of fits, of the errors of true group 0 and of one of its experts."""
    logs = []
    for t in ts:
        G = path(t)
        errors = parameter_errors(G, G0, LAW)
        errors = errors[errors["cell"].isin(["0", cell]) & (errors["error"] > 1e-10)]
        found = {(row.parameter, row.kind): np.log(row.error) for row in errors.itertuples()}
        found |= {"h": np.log(hellinger(G, G0, x=LAW)), "loss": np.log(voronoi_loss(G, G0, x=LAW))}
        logs.append(found)
    return {key: (logs[0]["h"] - logs[1]["h"]) / (logs[0][key] - logs[1][key]) for key in logs[0] if key != "h"}


def theory(table, m, parameter, kind, level=2, cell="shared"):
    rows = table[(table["level"] == level) & (table["m"] == m) & (table["cell"] == cell)]
    return rows[(rows["parameter"] == parameter) & (rows["kind"] == kind)]["kappa"].max()


@pytest.mark.parametrize("gating", GATINGS)
def test_a_path_of_the_interaction_of_a_and_tau(gating):
    """tau +- t in two copies of a group, nu - t^2: h = t^4; tilted by a -+ t^2 and eta - t^3, softmax only."""
    G0 = datasets.truth("C2", gating)
    soft = gating[0] == "S"
    G = copies(G0, [0, 0, 1], [[0, 1]] * 3)

    def path(t):
        steps = {"a": [t**2, -(t**2)], "tau": [t, 0, -t], "nu": [-(t**2), 0, -(t**2)]}
        return moved(G, **(steps | {"eta": [-(t**3), 0, -(t**3)]} if soft else steps))

    table, found = rates(G0, G.k2), kappas(G0, path)
    expected = {("a", "weighted"): 2, ("tau", "weighted"): 4, ("nu", "weighted"): 2}
    if soft:
        expected |= {("eta", "barycentre"): 4 / 3} | ({("tau", "barycentre"): 4 / 3} if gating[1] == "L" else {})
    else:  # the kinks of a alone make h = t^3
        expected = {("a", "weighted"): 3 / 2}
    for (parameter, kind), kappa in expected.items():
        level, cell = (1, "over") if parameter == "a" else (2, "shared")
        assert theory(table, 2, parameter, kind, level, cell) == pytest.approx(kappa)
        assert found[parameter, kind] == pytest.approx(kappa, rel=0.03)
    assert theory(table, 2, "eta", "barycentre") == pytest.approx(4 / 3 if soft else 1)
    assert theory(table, 2, "tau", "barycentre") == pytest.approx(4 / 3 if gating == "SL" else 1)
    for key, kappa in found.items():
        level, cell = (1, "over") if key[0] in "ab" else (2, "shared")
        assert kappa <= (1.05 if key == "loss" else 1.05 * theory(table, 2, *key, level, cell))


@pytest.mark.parametrize("gating", GATINGS)
def test_masses_of_copies_of_a_group(gating):
    G0 = datasets.truth("C2", gating)
    G = copies(G0, [0, 0, 1], [[0, 1]] * 3)
    found = kappas(G0, lambda t: moved(G, beta=[t, 0, -t]))
    assert found["beta", "mass"] == pytest.approx(2, abs=0.05)
    assert theory(rates(G0, G.k2), 2, "beta", "mass") == 2


@pytest.mark.parametrize("gating", ["SS", "LS"])
def test_groups_that_split_different_experts_cancel(gating):
    """Copy A splits expert 0, copy B expert 1: the errors of both gates, of order t^2, cancel to order t^4."""
    G0 = datasets.truth("C2", gating)
    G = copies(G0, [0, 0, 1], [[0, 0, 1], [0, 1, 1], [0, 1]])
    found = kappas(G0, lambda t: moved(G, omega=[t, -t, 0, 0, t, -t]), ts=(0.2, 0.15))
    assert found["omega", "weighted"] == pytest.approx(4, abs=0.15)
    assert found["loss"] < 1.1
    table = rates(G0, G.k2)
    assert theory(table, 3, "omega", "weighted") == 4
    for m in (2, 4):  # some expert is not split
        assert theory(table, m, "omega", "weighted") == 2
    same = copies(G0, [0, 0, 1], [[0, 0, 1], [0, 0, 1], [0, 1]])
    found = kappas(G0, lambda t: moved(same, omega=[t, -t, 0, t, -t, 0]), ts=(0.2, 0.15))
    assert found["omega", "weighted"] == pytest.approx(2, abs=0.15)
    # with a tilt in A, the barycentre of eta falls behind 2m/(m + 1) = 3/2
    tilt = lambda t: moved(G, omega=[t, -t, 0, 0, t, -t], tau=[t, -t], nu=[-(t**2)] * 2, eta=[-(t**2)] * 2)  # noqa: E731
    found = kappas(G0, tilt)
    assert found["eta", "barycentre"] == pytest.approx(2, abs=0.1)
    assert found["loss"] < 1.05
    row = table[(table["m"] == 3) & (table["parameter"] == "eta") & (table["kind"] == "barycentre")]
    assert row[["kappa", "status"]].values.tolist() == [[pytest.approx(12 / 5), "open"]]
    assert "2" in row["source"].item()


def test_all_groups_doubled_leave_level_1_unidentified():
    G0 = datasets.truth("C2", "SS")
    G = copies(G0, [0, 0, 1, 1], [[0, 1]] * 4)
    tilted = moved(G, a=[0.7, 0, 0.7, 0])
    assert hellinger(tilted, G0, x=LAW) < 1e-8
    errors = parameter_errors(tilted, G0, LAW)
    off = errors[errors["error"] > 1e-10]
    assert set(zip(off["parameter"], off["kind"], strict=True)) == {("a", "weighted")}
    table = rates(G0, G.k2)
    none = table[np.isinf(table["kappa"])]
    assert set(zip(none["parameter"], none["kind"], strict=True)) == {("a", "weighted")}

    def tilt(t):
        return moved(
            G, a=[t, -t, t, -t], tau=[t, 0, -t], nu=[-(t**2), 0, -(t**2)], eta=[-(t**2), 0, -(t**2)]
        )  # fmt: skip

    found = kappas(G0, tilt)
    for kind in ("weighted", "barycentre"):
        assert found["eta", kind] == pytest.approx(2, abs=0.1)
        assert theory(table, 2, "eta", kind) == 2
    # level-1 slopes t, masses t^3: the barycentre of omega is t^4, h is t^6
    trade = lambda t: moved(  # noqa: E731
        G, a=[t, -t, t, -t], beta=[2 * t**3, 0, -2 * t**3], omega=[-2 * t**4, 0, -2 * t**4]
    )
    assert kappas(G0, trade, ts=(0.4, 0.3))["omega", "barycentre"] == pytest.approx(1.5, abs=0.1)
    assert theory(table, 2, "omega", "barycentre") == 1.5
    # one group single, or Laplace centres at level 1: regular
    assert not np.isinf(rates(G0, (2, 2, 2))["kappa"]).any()
    assert not np.isinf(rates(datasets.truth("C2", "LL"), G.k2)["kappa"]).any()
    assert "level 1 unidentified" in set(rates(measure("LL", (2,)), (2, 2))["regime"])


@pytest.mark.parametrize("gating", GATINGS)
def test_equal_gates_average_out_over_copies(gating):
    level_2 = {"omega": np.full((4, 1), 0.3), "beta": np.zeros(4)}
    G0 = datasets.truth("C2", gating).replace(**level_2)
    G = moved(copies(G0, [0, 0, 1], [[0, 1]] * 3), beta=[0.8, 0, -0.8, 0])  # shares 1/2 as means of p and 1 - p
    assert hellinger(G, G0, x=LAW) < 1e-8
    errors = parameter_errors(G, G0, LAW)
    assert errors[(errors["cell"] == "0,0") & (errors["parameter"] == "beta")]["error"].item() > 0.1
    table = rates(G0, G.k2)
    assert np.isinf(theory(table, 2, "beta", "mass"))
    assert "unidentified" in set(table["regime"])
    assert voronoi_loss(G, G0, x=LAW) < 1e-12
    assert voronoi_loss(G, datasets.truth("C2", gating), x=LAW) > 1e-3


def allocations(fitted, true):
    """Numbers of fitted experts, one at least, for each of the true ones."""
    return [m for m in itertools.product(range(1, fitted + 1), repeat=true) if sum(m) == fitted]


@pytest.mark.parametrize("gating", ["SS", "SL", "LL"])
@pytest.mark.parametrize(
    ("true", "fitted"), [((2, 2), (2, 3, 2)), ((2, 1), (3, 1, 2)), ((2,), (4, 3)), ((1, 2), (2, 1, 2)), ((1,), (1, 2))]
)
def test_cells_are_those_that_fits_have(true, fitted, gating):
    """All fits that copy the truth: their rows of `parameter_errors` are those of `rates`, and no others are listed."""
    G0 = measure(gating, true)
    keys = ["level", "m", "cell", "parameter", "kind"]
    seen, functions, split, cancel = set(), set(), set(), set()
    for groups in itertools.product(range(len(true)), repeat=len(fitted)):
        if set(groups) != set(range(len(true))) or any(true[j] > f for j, f in zip(groups, fitted, strict=True)):
            continue
        options = [allocations(f, true[j]) for j, f in zip(groups, fitted, strict=True)]
        M = np.bincount(groups)
        for chosen in itertools.product(*options):
            G = copies(G0, groups, [np.repeat(np.arange(len(m)), m) for m in chosen])
            errors = parameter_errors(G, G0, LAW)
            assert errors["error"].max() < 1e-10
            found = functional_errors(G, G0, LAW).assign(kind="function")
            for into, table in ((seen, errors), (functions, found[found["level"] > 0])):
                for level, cell, size, parameter, kind in table[["level", "cell", "size", "parameter", "kind"]].values:
                    j = int(cell.split(",")[0])
                    name = "exact" if size == 1 else "over"
                    into.add((level, size, "shared" if level == 2 and M[j] > 1 else name, parameter, kind))
            for j in np.flatnonzero(M > 1):
                mine = np.array([m for m, g in zip(chosen, groups, strict=True) if g == j])
                for leaf in range(true[j]):
                    size = mine[:, leaf].sum()
                    split |= {size} if (mine.min(axis=1) >= 2).any() else set()
                    cancel |= {size} if true[j] > 1 and (mine.max(axis=0) >= 2).all() else set()
    table = rates(G0, fitted)
    assert "routing" in set(table["parameter"]) or sum(true) == 1
    of_functions = table["kind"] == "function"
    if sum(true) == 1:  # a gate that is 1
        functions = {key for key in functions if key[3] != "gate"}
    assert functions == set(table[of_functions & (table["level"] > 0)][keys].itertuples(index=False, name=None))
    assert of_functions.is_monotonic_increasing
    table = table[~of_functions]
    listed = set(table[table["level"] > 0][keys].itertuples(index=False, name=None))
    if len(true) == 1 and gating[0] == "S":  # centred: 0 in every fit
        seen -= {(1, len(fitted), "over", "a", "barycentre")}
    assert listed == seen
    shared = table[table["cell"] == "shared"]
    words = shared["regime"].str.startswith("both") | (shared["regime"] == "unidentified")
    assert set(shared[words]["m"]) == (split if gating[1] == "S" or 1 in true else set())
    four = shared[(shared["parameter"] == "omega") & (shared["kappa"] == 4)]
    assert set(four["m"]) == ((cancel - split) if gating[1] == "S" else set())
    published = rates(G0, fitted, form="published")
    own = listed - {key for key in listed if key[4] == "barycentre"}
    assert set(published[published["level"] > 0][keys].itertuples(index=False, name=None)) == own


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_shared_cells_by_formula(m):
    """m fitted groups of a true group, its cells one expert each: every exponent as a function of m."""
    slow, tilt = 2 * m / (m + 1), max(2, m)
    for gating in GATINGS:
        table = rates(measure(gating, (2, 2)), (2,) * (m + 1))
        soft1, soft2 = gating[0] == "S", gating[1] == "S"
        expected = {
            ("a", "weighted"): 2 if soft1 else 1.5, ("a", "barycentre"): 1, ("b", "mass"): 1, ("beta", "mass"): 2,
            ("omega", "weighted"): 2 if soft2 else 1.5, ("omega", "barycentre"): 1,
            ("eta", "weighted"): 2, ("eta", "barycentre"): slow if soft1 else 1,
            ("tau", "weighted"): 2 * m, ("tau", "barycentre"): slow if gating == "SL" else 1,
            ("nu", "weighted"): m, ("nu", "barycentre"): m,
        }  # fmt: skip
        rows = table[(table["m"] == m) & table["cell"].isin(["over", "shared"]) & (table["kind"] != "function")]
        found = {(p, k): kappa for p, k, kappa in zip(rows["parameter"], rows["kind"], rows["kappa"], strict=True)}
        assert found == pytest.approx(expected)
        assert set(rows["regime"]) == {"regular"}
        assert set(rows["status"]) == {"derived"}
        # one true group: level 1 is unidentified
        free = rates(measure(gating, (2,)), (2,) * m)
        eta = theory(free, m, "eta", "weighted"), theory(free, m, "eta", "barycentre")
        assert eta == ((tilt, tilt) if soft1 else (2, 1))
        assert np.isinf(theory(free, m, "a", "weighted", 1, "over"))
        assert np.isinf(theory(free, m, "beta", "mass")) == (not soft2)
        assert "b" not in set(free["parameter"])
        statuses = free[(free["parameter"] == "eta") & (free["kind"] == "weighted")]["status"]
        assert set(statuses) == ({"open"} if soft1 and m > 2 else {"derived"})
        reported = rates(measure(gating, (2, 2)), (2,) * (m + 1), form="published")
        r, gate = 2 * m, 2 if gating == "LL" else 2 * m
        found = [theory(reported, m, name, "weighted") for name in ("omega", "eta", "tau", "nu")]
        assert found == [gate, 2 if gating == "LL" else m, r, m]
        assert theory(reported, m, "a", "weighted", 1, "over") == gate
        statuses = set(reported[(reported["m"] == m) & (reported["parameter"] == "tau")]["status"])
        assert statuses == ({"derived"} if m > 3 else {"open"} if gating == "LS" else {"as reported"})


def test_interactions_with_tau_in_shared_cells():
    """(4, 4, 2) on (2, 2): m = 2 and m = 6 leave an expert that no group splits. LS needs a split within a group."""
    expected = {"SS": (4 / 3, 12 / 7), "SL": (4 / 3, 12 / 7), "LS": (1, 12 / 7), "LL": (1, 1)}
    for gating, values in expected.items():
        table = rates(measure(gating, (2, 2)), (4, 4, 2))
        assert (theory(table, 2, "eta", "barycentre"), theory(table, 6, "eta", "barycentre")) == pytest.approx(values)
        omega = [theory(table, m, "omega", "weighted") for m in (3, 4, 5)]  # two and two in one group, at least
        assert omega == [np.inf if gating[1] == "S" else 1.5] * 3


@pytest.mark.parametrize("form", ["sharp", "published"])
def test_every_shared_row_has_a_source(form):
    key = ["level", "m", "cell", "regime", "parameter", "kind"]
    shapes = [((2, 2), (3, 3, 2)), ((1, 2), (2, 4, 2, 1)), ((2,), (4, 4)), ((1,), (1, 1, 1)), ((3, 1), (4, 4, 2))]
    for gating, d, (true, fitted) in itertools.product(GATINGS, (1, 2), shapes):
        table = rates(measure(gating, true, d), fitted, form=form)
        assert not table.duplicated(key).any()
        assert table["source"].str.len().min() > 0
        assert set(table["status"]) <= {"published", "derived", "open", "as reported", "refuted here"}
        assert (table["kappa"] >= 1).all()
        np.testing.assert_allclose(table["alpha"], 0.5 / table["kappa"])
        if form == "sharp":
            assert set(table[table["parameter"] != "hellinger"]["status"]) <= {"derived", "open"}
            assert table["source"][table["parameter"] != "hellinger"].str.startswith("derived").all()
        twos = table[(table["parameter"] == "a") & (table["kappa"] == 2) & (table["cell"] == "over")]
        logarithm = form == "sharp" and d == 2 and gating[0] == "L"
        assert (twos["source"].str.contains("logarithm") == logarithm).all()
    # a hierarchical fit of a flat truth is no flat mixture of experts
    assert "published" not in set(rates(measure("SS", (2,)), (2, 2), form="published")["status"])


# -- means and medians -------------------------------------------------------------------------------------------------
def test_what_is_known_of_means_and_medians():
    """Each is alpha, or open, never faster or slower; papers state none."""
    names = ["alpha_mean", "status_mean", "alpha_median", "status_median"]
    for gating, (name, k2) in itertools.product(ALL_GATINGS, [("C2", (3, 3)), ("C4", (3, 3)), ("C2", (2, 2, 2))]):
        G0 = datasets.truth(name, gating)
        table = rates(G0, k2)
        for limit in ("mean", "median"):
            known = table[f"status_{limit}"] == "derived"
            assert set(table[f"status_{limit}"]) <= {"derived", "open"}
            assert (known == table[f"alpha_{limit}"].notna()).all()
            assert (table["alpha"][known] == table[f"alpha_{limit}"][known]).all()
            assert not (known & ((table["status"] == "open") | np.isinf(table["kappa"]))).any()
        assert (table[table["kappa"] > 1]["status_median"] == "open").all()
        nodes = table[table["parameter"].isin(["tau", "expert"]) & (table["m"] > 1) & (table["kind"] != "barycentre")]
        np.testing.assert_allclose(nodes["alpha_mean"], 0.25 / nodes["m"])
        published = rates(G0, k2, form="published")[names]
        assert published.iloc[:, [0, 2]].isna().all(axis=None)
        assert set(published.iloc[:, [1, 3]].to_numpy().ravel()) == {"not stated"}
    found = {}
    for gating in ("SS", "SL", "SQ"):
        table = rates(datasets.truth("C3", gating), (5, 5)).query("cell == 'over'")
        found[gating] = {tuple(row) for row in table[table["status_mean"] == "open"][["m", "parameter", "kind"]].values}
    assert found["SS"] == {(3, "eta", "barycentre")}
    assert found["SL"] == {(2, "omega", "weighted"), (3, "omega", "weighted")}  # kinks
    assert found["SQ"] == {(3, "eta", "weighted")}


def test_pairs_without_lower_moments_have_a_fourth_of_one_sign():
    """With moments 1 to 3 of two atoms 0, the fourth cumulant is -(2/3) p (1 - p) s^4; without a spread it is positive.

    So noise along the negative one is followed by a spread of tau only: its mean has the exponent of the worst case.
    """
    for share, s in itertools.product((0.1, 0.3, 0.5, 0.8), (0.2, 1.0)):
        c, tau = np.array([share, 1 - share]), s * np.array([1 - share, -share])
        nu = np.linalg.solve([c, 3 * c * tau], [-(c @ tau**2), -(c @ tau**3)])
        p = share * (1 - share)
        fourth = c @ (tau**4 + 6 * tau**2 * nu + 3 * nu**2)
        assert fourth == pytest.approx(-2 / 3 * p * (1 - p) * s**4)
        assert c @ (3 * (nu - c @ nu) ** 2) >= 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k2": (2, 2, 1)}, r"k2 must have 2 groups or more that cover those of G0, \(2, 2\); got \(2, 2, 1\)"),
        ({"k2": (4,)}, r"k2 must have 2 groups or more that cover those of G0, \(2, 2\); got \(4,\)"),
        ({"k2": (1, 5)}, r"that cover those of G0"),
        ({"k2": 3.5}, "k2 must be a sequence of positive integers"),
        ({"gating": "sss"}, "gating must be one of"),
        ({"form": "paper"}, 'form must be "sharp" or "published"; got'),
        ({"G0": "C2"}, "G0 must be a MixingMeasure; got str"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"G0": datasets.truth("C2"), "k2": (3, 3)}
    with pytest.raises(ValueError, match=message):
        rates(**(good | change))
