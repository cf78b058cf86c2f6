"""Voronoi cells, parameter errors and losses: zero at every writing of the truth, the expected powers away from it."""

import numpy as np
import pytest
from scipy import integrate

from hmoe_stats import MixingMeasure, Normal, Uniform, hellinger, parameter_errors, voronoi_loss
from hmoe_stats.theory.exponents import kappa_eta, kappa_gate, kappa_mass, kappa_nu, kappa_tau

GATINGS = ("SS", "SL", "LS", "LL")
LAW = Uniform(-3, 3)
LEAF = ("omega", "beta", "eta", "tau", "nu")


def truth(gating, **changes):
    """Two groups of two experts, d = 1; experts apart, gate gaps unequal, centres inside (-3, 3)."""
    soft1, soft2 = gating[0] == "S", gating[1] == "S"
    values = {
        "k2": (2, 2),
        "a": [0.4, -0.4] if soft1 else [1.0, -1.2],
        "b": [0.2, 0.0],
        "omega": [-0.5, 0.5, 0.35, -0.35] if soft2 else [-0.8, 0.9, 1.2, -0.4],
        "beta": [0.2, 0.0, -0.2, 0.0],
        "eta": [0.3, -0.3, 0.3, -0.3],
        "tau": [-6.0, -2.0, 2.0, 6.0],
        "nu": [0.4, 0.4, 0.4, 0.4],
    }
    return MixingMeasure(gating=gating, **(values | changes))


def wide_truth(gating, d=2, k2=(3, 1, 2)):
    rng = np.random.default_rng(11)
    K = sum(k2)
    return MixingMeasure(
        gating=gating, k2=k2, a=rng.normal(size=(len(k2), d)), b=rng.normal(size=len(k2)),
        omega=rng.normal(size=(K, d)), beta=rng.normal(size=K), eta=rng.normal(size=(K, d)),
        tau=4.0 * np.arange(K), nu=rng.uniform(0.2, 1.0, K),
    )  # fmt: skip


def pick(G, leaves, k2, groups=None, **changes):
    """Rearrange or repeat experts (and groups) of a measure."""
    groups = np.arange(G.k1) if groups is None else groups
    values = {name: getattr(G, name)[leaves] for name in LEAF} | {"a": G.a[groups], "b": G.b[groups]}
    return G.replace(k2=k2, **(values | changes))


def disguise(G, rng):
    """The same density: relabelled at both levels, softmax gates translated, intercepts shifted."""
    order = rng.permutation(G.k1)
    leaves = np.concatenate([rng.permutation(np.flatnonzero(G.group == i)) for i in order])
    H = pick(G, leaves, tuple(G.k2[i] for i in order), order)
    a = H.a + (rng.normal(size=G.d) if G.gating[0] == "S" else 0.0)
    shift = rng.normal(size=(G.k1, G.d))[H.group] if G.gating[1] == "S" else 0.0
    return H.replace(a=a, b=H.b + rng.normal(), omega=H.omega + shift, beta=H.beta + rng.normal(size=G.k1)[H.group])


def split(G, leaf, shares=(0.3, 0.7), **offsets):
    """Expert `leaf` in two copies that share its weight; offsets: name -> the two differences."""
    leaves = np.sort(np.append(np.arange(G.n_experts), leaf))
    k2 = tuple(m + (i == G.group[leaf]) for i, m in enumerate(G.k2))
    H = pick(G, leaves, k2)
    values = {name: np.array(getattr(H, name)) for name in LEAF}
    values["beta"][leaf : leaf + 2] += np.log(shares)
    for name, pair in offsets.items():
        values[name][leaf : leaf + 2] += np.reshape(pair, (2, -1)) if values[name].ndim == 2 else pair
    return H.replace(**values)


def get(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    return table["error"].item()


def assert_zero(G, G0, law=LAW, forms=("sharp", "published")):
    for form in forms:
        assert 0.0 <= voronoi_loss(G, G0, form, x=law) < 1e-12
    table = parameter_errors(G, G0, law)
    if "published" not in forms:  # an unidentified gate: what is left are experts and total masses
        table = table[table.parameter.isin(["eta", "tau", "nu"])]
    assert table["error"].to_numpy() == pytest.approx(0.0, abs=1e-12)


# -- zero at every writing of the truth --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize("law", [LAW, Normal(4.0, 2.0), Uniform(50, 51), "array"], ids=str)
def test_zero_at_equivalent_writings(gating, law, seed):
    rng = np.random.default_rng(seed)
    law = rng.normal(size=200) if isinstance(law, str) else law
    G0 = truth(gating)
    assert_zero(disguise(G0, rng), G0, law)
    G1 = wide_truth(gating)
    assert_zero(disguise(G1, rng), G1, rng.normal(size=(50, 2)) if isinstance(law, np.ndarray) else law)


@pytest.mark.parametrize("gating", GATINGS)
def test_laplace_centres_beyond_the_support_are_clipped(gating):
    rng = np.random.default_rng(3)
    G0 = truth(gating, a=[5.0, -1.2], omega=[-0.8, 3.5, 1.2, -9.0])
    a, b, omega, beta = (np.array(getattr(G0, name)) for name in ("a", "b", "omega", "beta"))
    if gating[0] == "L":  # -|x - 5| = -|x - 7| + 2 for x < 3
        a[0], b[0] = 7.0, b[0] + 2.0
    if gating[1] == "L":
        omega[1], beta[1], omega[3], beta[3] = 3.0, beta[1] - 0.5, -3.0, beta[3] - 6.0
    G = G0.replace(a=a, b=b, omega=omega, beta=beta)
    assert hellinger(G, G0, x=LAW) < 1e-10
    assert_zero(disguise(G, rng), G0)
    if "L" in gating:  # the same numbers are another measure if covariates reach the centres
        assert voronoi_loss(G, G0, x=Uniform(-20, 20)) > 0.01


@pytest.mark.parametrize("gating", GATINGS)
def test_zero_where_components_are_split_into_copies(gating):
    rng = np.random.default_rng(7)
    G0 = truth(gating)
    G = split(split(G0, 3), 0, shares=(0.1, 0.9))
    assert hellinger(G, G0, x=LAW) < 1e-10
    assert_zero(disguise(G, rng), G0)
    assert_zero(disguise(split(split(G0, 1), 1), rng), G0)  # three copies
    doubled = pick(G0, [0, 1, 2, 3, 0, 1], (2, 2, 2), [0, 1, 0], b=G0.b[[0, 1, 0]] + np.log([0.3, 1.0, 0.7]))
    assert hellinger(doubled, G0, x=LAW) < 1e-10
    assert_zero(disguise(doubled, rng), G0)
    assert_zero(disguise(split(doubled, 1), rng), G0)
    flat = truth(gating, k2=(4,), a=[0.0], b=[0.0])
    twice = pick(flat, [0, 1, 2, 3] * 2, (4, 4), [0, 0], a=[[0.3], [0.3]], b=[0.0, 1.0])
    assert_zero(disguise(twice, rng), flat)


@pytest.mark.parametrize("gating", ["SS", "LS"])
def test_tilted_copies_of_all_experts_of_a_softmax_group(gating):
    G0 = truth(gating)
    omega = np.concatenate([G0.omega[:2], G0.omega[:2] + 1.7, G0.omega[2:]])
    G = pick(G0, [0, 1, 0, 1, 2, 3], (4, 2), omega=omega)
    assert hellinger(G, G0, x=LAW) < 1e-10
    assert_zero(G, G0, forms=("sharp",))
    assert voronoi_loss(G, G0, "published", x=LAW) > 0.01
    table = parameter_errors(G, G0, LAW)
    assert np.isfinite(table["error"]).all()
    # weights are 1/2 at the centre, where both copies agree
    assert get(table, cell="0,0", parameter="omega", kind="weighted") > 0.5
    assert get(table, cell="0,0", parameter="beta") < 1e-12
    # one untilted group of the same size is regular again if one expert is fitted once
    regular = pick(G0, [0, 1, 1, 1, 2, 3], (4, 2), omega=omega)
    assert voronoi_loss(regular, G0, x=LAW) > 0.1
    # in a Laplace gate with centres inside, moving the copies is seen
    L0 = truth(gating[0] + "L")
    moved = pick(L0, [0, 1, 0, 1, 2, 3], (4, 2), omega=np.concatenate([L0.omega[:2], L0.omega[:2] + 0.5, L0.omega[2:]]))
    assert hellinger(moved, L0, x=LAW) > 0.01
    assert voronoi_loss(moved, L0, x=LAW) > 0.05


@pytest.mark.parametrize("gating", GATINGS)
def test_one_true_expert_leaves_its_group_gate_free(gating):
    G0 = truth(gating, k2=(1, 3))
    G = pick(G0, [0, 0, 1, 2, 3], (2, 3), omega=[[1.0], [-2.0], *G0.omega[1:]], beta=[0.3, -0.4, *G0.beta[1:]])
    assert hellinger(G, G0, x=LAW) < 1e-10
    assert_zero(G, G0, forms=("sharp",))
    assert set(parameter_errors(G, G0, LAW).query("cell == '0,0'").parameter) == {"omega", "eta", "tau", "nu"}


@pytest.mark.parametrize("gating", ["SS", "SL"])
def test_tilted_copies_of_all_softmax_groups(gating):
    G0 = truth(gating)
    G = pick(G0, [0, 1, 2, 3] * 2, (2,) * 4, [0, 1, 0, 1], a=np.concatenate([G0.a, G0.a + 0.9]))
    assert hellinger(G, G0, x=LAW) < 1e-10
    assert_zero(G, G0, forms=("sharp",))
    assert voronoi_loss(G, G0, "published", x=LAW) > 0.01
    partly = pick(G0, [0, 1, 2, 3, 0, 1], (2,) * 3, [0, 1, 0], a=np.concatenate([G0.a, G0.a[:1] + 0.9]))
    assert voronoi_loss(partly, G0, x=LAW) > 0.05


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gating", GATINGS)
def test_errors_written_out_by_hand(gating):
    """A truth of unequal groups, one expert split: every number recomputed here, gate by gate."""
    G0 = truth(gating, k2=(1, 3))
    G = MixingMeasure(
        gating=gating, k2=(4, 1), a=[[-0.9], [0.7]], b=[0.1, 0.4], omega=[[0.3], [-0.2], [0.6], [-0.5], [0.9]],
        beta=[0.1, -0.3, 0.5, 0.2, 0.7], eta=[0.4, -0.3, 0.2, -0.4, 0.35], tau=[2.2, -1.8, 1.9, 6.3, -6.1],
        nu=[0.5, 0.45, 0.3, 0.35, 0.6],
    )  # fmt: skip
    low, high, centre = -2.0, 4.0, 1.0
    group = {0: [4], 1: [0, 1, 2, 3]}  # experts of G under each true group; G's groups are stored the other way round
    leaf = {0: [4], 1: [1], 2: [0, 2], 3: [3]}

    def gate(letter, slopes, intercepts, x):
        e = np.exp(intercepts + (slopes[:, 0] * x if letter == "S" else -np.abs(x - slopes[:, 0])))
        return e / e.sum()

    def mean(f):
        points = np.sort(np.concatenate([G.a, G.omega, G0.a, G0.omega]).ravel())
        return integrate.quad_vec(f, low, high, epsabs=1e-13, points=points)[0] / (high - low)

    def level1(H):
        if gating[0] == "S":
            p = gate("S", H.a, H.b, centre)
            return p, H.a - p @ H.a
        return mean(lambda x: gate("L", H.a, H.b, x)), H.a

    def level2(H, own, i):
        omega, beta = H.omega[own], H.beta[own]
        if gating[1] == "S":
            p = gate("S", omega, beta, centre)
            return p, omega - p @ omega
        if len(own) == 1:
            return np.ones(1), np.zeros((1, 1))
        both = mean(lambda x: gate(gating[0], H.a, H.b, x)[i] * gate("L", omega, beta, x))
        return both / both.sum(), omega

    (p1, a), (p1_0, a0) = level1(G), level1(G0)
    w, omega, w0, omega0 = np.ones(5), np.zeros((5, 1)), np.ones(4), np.zeros((4, 1))
    w[:4], omega[:4] = level2(G, [0, 1, 2, 3], 0)
    w0[1:], omega0[1:] = level2(G0, [1, 2, 3], 1)

    law = Uniform(low, high)
    table = parameter_errors(G, G0, law)
    sharp = published = 0.0
    rows = 0
    soft = {"S": 2.0, "L": 1.5}[gating[1]]
    for j, i in ((0, 1), (1, 0)):
        assert get(table, level=1, cell=str(j), parameter="a") == pytest.approx(abs(a[i, 0] - a0[j, 0]), rel=1e-9)
        assert get(table, level=1, cell=str(j), parameter="b") == pytest.approx(abs(p1[i] - p1_0[j]), rel=1e-9)
        loss = abs(p1[i] - p1_0[j]) + p1[i] * abs(a[i, 0] - a0[j, 0])
        sharp, published, rows = sharp + loss, published + loss, rows + 2
        for t, members in leaf.items():
            if members[0] not in group[j]:
                continue
            cell, m = f"{j},{t - (0, 1)[j]}", len(members)
            share = w[members] / w[members].sum()
            mass = abs(w[members].sum() - w0[t])
            if j == 1:
                assert get(table, cell=cell, parameter="beta") == pytest.approx(mass, rel=1e-9)
                sharp, published, rows = sharp + p1[i] * mass, published + p1[i] * mass, rows + 1
            for name, fit, true in (
                ("omega", omega, omega0), ("eta", G.eta, G0.eta), ("tau", G.tau, G0.tau), ("nu", G.nu, G0.nu),
            ):  # fmt: skip
                if name == "omega" and j == 0:
                    continue
                gap = (fit[members] - true[t]).ravel()
                found = get(table, level=2, cell=cell, size=m, parameter=name, kind="weighted")
                assert found == pytest.approx(share @ np.abs(gap), rel=1e-9)
                rows += 1
                if m > 1:
                    found = get(table, cell=cell, size=m, parameter=name, kind="barycentre")
                    assert found == pytest.approx(abs(share @ gap), rel=1e-9)
                    rows += 1
                r = {"omega": 4, "eta": 2, "tau": 4, "nu": 2} if gating != "LL" else dict(omega=2, eta=2, tau=4, nu=2)
                s = {"omega": soft, "eta": 2, "tau": 4, "nu": 2}
                sharp += p1[i] * w[members] @ np.abs(gap) ** (s[name] if m > 1 else 1)
                published += p1[i] * w[members] @ np.abs(gap) ** (r[name] if m > 1 else 1)
    assert len(table) == rows
    assert voronoi_loss(G, G0, "sharp", x=law) == pytest.approx(sharp, rel=1e-9)
    assert voronoi_loss(G, G0, "published", x=law) == pytest.approx(published, rel=1e-9)


def test_the_table():
    G0 = truth("SS")
    table = parameter_errors(split(G0, 0, tau=(0.3, -0.1)), G0, LAW)
    assert list(table.columns) == ["level", "cell", "size", "parameter", "kind", "error"]
    assert [type(v) for v in table.iloc[0]][1] is str
    assert table.groupby("level").size().to_dict() == {1: 4, 2: 3 * 5 + 9}
    assert sorted(table[table["size"] == 2].kind.unique()) == ["barycentre", "mass", "weighted"]
    assert set(table[table["size"] == 1].kind) == {"mass", "weighted"}
    assert get(table, cell="0,0", parameter="tau", kind="weighted") == pytest.approx(0.3 * 0.3 + 0.7 * 0.1)
    assert get(table, cell="0,0", parameter="tau", kind="barycentre") == pytest.approx(0.02)
    flat = truth("LL", k2=(4,), a=[0.5], b=[1.0])
    assert set(parameter_errors(flat, flat, LAW).level) == {2}


def test_slopes_are_measured_by_their_euclidean_norm():
    G0 = wide_truth("LL")
    G = G0.replace(eta=G0.eta + [0.3, 0.4], a=G0.a + [[0.06, -0.08]] * 3)
    table = parameter_errors(G, G0, Uniform(-1, 1))
    assert table[table.parameter == "eta"].error.to_numpy() == pytest.approx(0.5)
    assert table[table.parameter == "a"].error.to_numpy() == pytest.approx(0.1)


def test_groups_that_share_a_true_group():
    """Two fitted groups of one true group: group weights enter the experts' weights, masses are averaged over them."""
    G0 = truth("SS")
    G = pick(
        G0, [0, 1, 2, 3, 0, 1], (2, 2, 2), [0, 1, 0], a=G0.a[[0, 1, 0]] + [[0.2], [0.0], [-0.1]],
        b=G0.b[[0, 1, 0]] + np.log([0.25, 1.0, 0.75]), tau=G0.tau[[0, 1, 2, 3, 0, 1]] + [0.4, 0, 0, 0, 0.1, 0],
        beta=G0.beta[[0, 1, 2, 3, 0, 1]] + [0.5, 0, 0, 0, 0, 0],
    )  # fmt: skip
    expit = lambda t: 1 / (1 + np.exp(-t))  # noqa: E731
    v, v0 = expit(0.7), expit(0.2)  # weight of expert 0 in fitted group 0, and in the true group and its other copy
    table = parameter_errors(G, G0, LAW)
    weights = np.array([0.25 * v, 0.75 * v0])
    assert get(table, cell="0,0", size=2, parameter="tau", kind="weighted") == pytest.approx(
        weights @ [0.4, 0.1] / weights.sum()
    )
    assert get(table, cell="0,0", parameter="beta", kind="mass") == pytest.approx(0.25 * (v - v0))
    assert get(table, cell="0", parameter="b", kind="mass") < 1e-12
    b = np.exp([0.2, 0.0]) / np.exp([0.2, 0.0]).sum()
    centre0, centre = b @ [0.4, -0.4], b @ [0.4 + 0.25 * 0.2 - 0.75 * 0.1, -0.4]
    gaps = np.array([0.2, -0.1]) - centre + centre0
    assert get(table, cell="0", size=2, parameter="a", kind="weighted") == pytest.approx([0.25, 0.75] @ np.abs(gaps))
    assert get(table, cell="0", parameter="a", kind="barycentre") == pytest.approx(abs([0.25, 0.75] @ gaps))
    # the loss: kappa_a(2) = 2, kappa_beta(2) = 2, tau in a cell of two: 4
    terms = b[0] * ([0.25, 0.75] @ gaps**2 + 0.25 * 2 * (v - v0) ** 2 + weights @ [0.4**4, 0.1**4])
    omega1, omega0 = np.array([-0.5, 0.5]) @ [v, 1 - v], np.array([-0.5, 0.5]) @ [v0, 1 - v0]
    terms += b[0] * 0.25 * (omega1 - omega0) ** 2
    terms += b[1] * abs(-0.4 - centre - (-0.4 - centre0))
    assert voronoi_loss(G, G0, x=LAW) == pytest.approx(terms, rel=1e-9)


def test_cells_do_not_depend_on_where_the_covariates_sit():
    # Near x = 100 the line 0.5 x - 50 is that of expert 1, not of expert 0 whose numbers look nearer.
    G0 = MixingMeasure(gating="SS", k2=(2,), a=[0], b=[0], omega=[0, 1], beta=[0, -100], eta=[0.4, 0], tau=[-50, 0],
                       nu=[1, 1])  # fmt: skip
    G = G0.replace(eta=[0.5, 0.45], tau=[-50.0, -54.0])
    table = parameter_errors(G, G0, Uniform(99, 101))
    assert get(table, cell="0,1", parameter="eta", kind="weighted") == pytest.approx(0.5)
    assert get(table, cell="0,0", parameter="eta", kind="weighted") == pytest.approx(0.05)
    near = parameter_errors(G, G0, Uniform(-1, 1))
    assert set(near[near.cell == "0,1"].kind) == {"mass"}


def test_an_empty_cell_has_only_its_mass():
    G0 = truth("SS")
    G = pick(G0, [0, 0, 2, 3], (2, 2))
    table = parameter_errors(G, G0, LAW)
    empty = table[table.cell == "0,1"]
    assert empty[["size", "parameter", "kind"]].to_numpy().tolist() == [[0, "beta", "mass"]]
    share = 1 / (1 + np.exp(0.2))
    assert empty.error.item() == pytest.approx(share)
    assert voronoi_loss(G, G0, x=LAW) > share / 2  # nothing is dropped because all that is fitted is doubled
    three = pick(G0, [0, 1, 0, 1, 0, 1], (2, 2, 2), [0, 0, 0])
    table = parameter_errors(three, G0, LAW)
    assert set(table[table.cell == "1"].kind) == {"mass"}
    assert table[table.cell == "1,0"][["size", "parameter"]].to_numpy().tolist() == [[0, "beta"]]
    assert get(table, cell="1,1", parameter="beta") == pytest.approx(1 / (1 + np.exp(-0.2)))
    G0 = truth("SS", k2=(1, 3))
    table = parameter_errors(pick(G0, [1, 2, 3] * 2, (3, 3), [1, 1]).replace(a=[[0.5], [9.0]]), G0, LAW)
    assert sorted(table[(table.level == 1) & (table.parameter == "a")]["size"]) == [1, 1]  # one group each, near or far
    three = pick(G0, [1, 2, 3] * 3, (3, 3, 3), [1, 1, 1])
    assert get(parameter_errors(three, G0, LAW), cell="0,0", parameter="beta") == 1.0


def test_weights_that_underflow_do_not_turn_into_nan():
    G0 = truth("LL")
    for b, beta in (([2000.0, 0.0], [0.0] * 4), ([0.0, 0.0], [2000.0, 0.0, 0.0, 2000.0])):
        G = G0.replace(b=b, beta=beta)
        assert np.isfinite(parameter_errors(G, G0, LAW)["error"]).all()
        assert np.isfinite(voronoi_loss(G, G0, x=LAW))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gating", GATINGS)
def test_equal_experts_are_told_apart_by_their_gates(gating, seed):
    rng = np.random.default_rng(seed)
    G0 = truth(gating, eta=[0.3, 0.3, 0.3, -0.3], tau=[-6.0, -6.0, 2.0, 6.0])
    assert_zero(disguise(G0, rng), G0)
    G0 = truth(gating, eta=[0.3, -0.3, 0.3, -0.3], tau=[-6.0, 2.0, -6.0, 2.0])  # two groups of the same experts
    assert_zero(disguise(G0, rng), G0)


@pytest.mark.parametrize("changes", [
    {"eta": [0.3, 0.3, 0.3, 0.3], "tau": [0.0, 0.0, 0.0, 0.0], "nu": [0.2, 1.0, 0.4, 3.0]},  # one line, four variances
    {"eta": [0.3, -0.3, 1.3, -1.3], "tau": [0.0, 0.0, 0.0, 0.0]},  # lines that all cross at the mean covariate
])  # fmt: skip
@pytest.mark.parametrize("gating", GATINGS)
def test_experts_are_told_apart_by_variance_and_by_slope_alone(gating, changes):
    # k2 = (4,): within one group, so that gates cannot help in the matching
    G0 = truth(gating, k2=(4,), a=[0.0], b=[0.0], **changes)
    for seed in range(4):
        assert_zero(disguise(G0, np.random.default_rng(seed)), G0)
    G = G0.replace(nu=1.01 * G0.nu, eta=1.01 * G0.eta, omega=G0.omega[::-1])
    errors = parameter_errors(G, G0, LAW)
    assert errors[errors.parameter == "nu"].error.to_numpy() == pytest.approx(0.01 * G0.nu)
    assert errors[errors.parameter == "eta"].error.to_numpy() == pytest.approx(0.01 * np.abs(G0.eta[:, 0]))


@pytest.mark.parametrize("gating", GATINGS)
def test_errors_do_not_depend_on_the_origin_of_the_covariates(gating):
    G0 = truth(gating)
    G = split(G0, 2).with_vector(split(G0, 2).to_vector() + 0.1 * np.random.default_rng(1).normal(size=29))

    def moved(H, c):
        a, b = (H.a, H.b - c * H.a[:, 0]) if gating[0] == "S" else (H.a + c, H.b)
        omega, beta = (H.omega, H.beta - c * H.omega[:, 0]) if gating[1] == "S" else (H.omega + c, H.beta)
        return H.replace(a=a, b=b, omega=omega, beta=beta, tau=H.tau - c * H.eta[:, 0])

    for law, far in ((LAW, Uniform(10, 16)), (Normal(0, 1.5), Normal(13, 1.5))):
        here, there = parameter_errors(G, G0, law), parameter_errors(moved(G, 13.0), moved(G0, 13.0), far)
        assert here.drop(columns="error").equals(there.drop(columns="error"))
        rest = (here.parameter != "tau").to_numpy()  # intercepts are read at the origin
        assert there.error[rest].to_numpy() == pytest.approx(here.error[rest].to_numpy(), rel=1e-9, abs=1e-12)


def test_laplace_centres_that_no_kink_tells_apart_are_free():
    # equal centres: copies with another common centre leave the density as it is
    G0 = truth("LL", omega=[0.5, 0.5, 1.2, -0.4])
    G = pick(G0, [0, 1, 0, 1, 2, 3], (4, 2), omega=[[0.5], [0.5], [-1.5], [-1.5], [1.2], [-0.4]])
    assert hellinger(G, G0, x=LAW) < 1e-10
    assert_zero(G, G0, forms=("sharp",))
    # two of three equal: the kink of the third still tells them apart
    G0 = truth("LL", k2=(3, 1), omega=[0.5, 0.5, -0.8, 0.0])
    G = pick(G0, [0, 1, 2, 0, 1, 2, 3], (6, 1))
    other = np.array(G.omega)
    other[:3] += 0.3
    assert hellinger(G.replace(omega=other), G0, x=LAW) > 1e-3
    assert voronoi_loss(G.replace(omega=other), G0, x=LAW) > 1e-3
    # one kink in the support is enough, and so are centres beyond both of its edges
    for first, other in ((4.0, -0.8), (2.0, -0.8), (4.0, -5.0)):
        G0 = truth("LL", omega=[first, other, 1.2, -0.4])
        G = pick(G0, [0, 1, 0, 1, 2, 3], (4, 2))
        omega = np.array(G.omega)
        omega[1] = -0.8 + 0.3
        assert hellinger(G.replace(omega=omega), G0, x=LAW) > 1e-3
        assert voronoi_loss(G.replace(omega=omega), G0, x=LAW) > 1e-3
    # beyond one edge they coincide: copies go where they like, but are not to change the gate
    G0 = truth("LL", omega=[4.0, 3.5, 1.2, -0.4])
    G = pick(G0, [0, 1, 0, 1, 2, 3], (4, 2), omega=[[7.0], [6.5], [0.2], [0.2], [1.2], [-0.4]])
    G = G.replace(beta=[0.2, 0.0, -0.3, 0.0, *G0.beta[2:]])  # exp(x - 4 + 0.2) over exp(x - 3.5) is exp(-0.3)
    assert hellinger(G, G0, x=LAW) < 1e-10
    assert_zero(G, G0, forms=("sharp",))
    assert voronoi_loss(G.replace(omega=[[0.0], [6.5], [0.2], [0.2], [1.2], [-0.4]]), G0, x=LAW) > 1e-3


# -- powers ------------------------------------------------------------------------------------------------------------


def power(path, form, ts=(0.02, 0.01), **direction):
    losses = [path(t, form, **direction) for t in ts]
    return np.log(losses[0] / losses[1]) / np.log(ts[0] / ts[1])


@pytest.mark.parametrize("gating", GATINGS)
def test_powers_of_a_split_expert(gating):
    G0 = truth(gating)

    def path(t, form, **direction):
        G = split(G0, 0, (0.5, 0.5), **{name: np.multiply(pair, t) for name, pair in direction.items()})
        return voronoi_loss(G, G0, form, x=LAW)

    for name, sharp, published in (("tau", 4, 4), ("nu", 2, 2), ("eta", 2, 2)):
        for form, kappa in (("sharp", sharp), ("published", published)):
            assert power(path, form, **{name: (1, -1)}) == pytest.approx(kappa, abs=1e-6)
    sharp = power(path, "sharp", (2e-5, 1e-5), omega=(1, -1))
    assert sharp == pytest.approx(1.5 if gating[1] == "L" else 2, abs=0.02)
    # the masses of Laplace gates move at order t^2, which hides the published power 4 of SL
    published = power(path, "published", (2e-3, 1e-3), omega=(1, -1))
    assert published == pytest.approx(2 if gating[1] == "L" else 4, abs=0.005)


@pytest.mark.parametrize("gating", GATINGS)
def test_powers_of_an_exact_cell_are_one(gating):
    G0 = truth(gating)
    rng = np.random.default_rng(4)
    direction = rng.normal(size=G0.n_parameters)

    def path(t, form):
        return voronoi_loss(G0.with_vector(G0.to_vector() + t * direction), G0, form, x=LAW)

    for form in ("sharp", "published"):
        assert power(path, form, (2e-6, 1e-6)) == pytest.approx(1, abs=1e-4)


def test_powers_of_split_groups():
    for gating, kappa in (("SS", 2), ("SL", 2), ("LS", 1.5), ("LL", 1.5)):
        G0 = truth(gating)

        def path(t, form, G0=G0):
            a, b = G0.a[[0, 1, 0]] + [[t], [0], [-t]], G0.b[[0, 1, 0]] - np.log([2, 1, 2])
            return voronoi_loss(pick(G0, [0, 1, 2, 3, 0, 1], (2, 2, 2), [0, 1, 0], a=a, b=b), G0, form, x=LAW)

        assert power(path, "sharp", (2e-5, 1e-5)) == pytest.approx(kappa, abs=0.02)


def test_unidentified_groups_slow_eta_under_softmax_only():
    for gating, kappa in (("SS", 3), ("LS", 3), ("SL", 2), ("LL", 2)):
        G0 = truth(gating, k2=(1, 3))

        def path(t, form, G0=G0):
            G = pick(G0, [0, 0, 0, 1, 2, 3], (3, 3))
            eta = np.array(G.eta)
            eta[:3, 0] += [t, -t, 0]
            return voronoi_loss(G.replace(eta=eta), G0, form, x=LAW)

        assert power(path, "sharp") == pytest.approx(kappa, abs=1e-6)


def test_unidentified_level_1_slows_eta_under_softmax_and_omega_under_both():
    for gating, kappa in (("SS", 3), ("SL", 3), ("LS", 2), ("LL", 2)):
        G0 = truth(gating, k2=(4,), a=[0.0], b=[0.0], beta=[0.3, 0.0, -0.2, 0.0])

        def path(t, form, name, G0=G0):
            G = pick(G0, [0, 1, 2, 3] * 3, (4,) * 3, [0] * 3)
            values = np.array(getattr(G, name))
            values[[0, 4], 0] += [t, -t]
            return voronoi_loss(G.replace(**{name: values}), G0, form, x=LAW)

        def eta(t, form, path=path):
            return path(t, form, "eta")

        def omega(t, form, path=path):
            return path(t, form, "omega")

        assert power(eta, "sharp") == pytest.approx(kappa, abs=1e-6)
        assert power(omega, "sharp", (2e-5, 1e-5)) == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("gating", GATINGS)
def test_the_sharp_loss_is_of_the_order_of_the_hellinger_distance(gating):
    # tau +- t, nu - t^2 matches three moments: h falls like t^4, and so does the sharp loss
    G0 = truth(gating)
    ratios = []
    for t in (0.2, 0.1, 0.05):
        G = split(G0, 1, (0.5, 0.5), tau=(t, -t), nu=(-(t**2), -(t**2)))
        ratios.append(hellinger(G, G0, x=LAW) / voronoi_loss(G, G0, x=LAW))
    assert max(ratios) / min(ratios) < 1.2
    assert min(ratios) > 0.01


def test_exponents():
    assert [kappa_tau(m) for m in (1, 2, 3, 4)] == [1, 4, 6, 8]
    assert [kappa_nu(m) for m in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert [kappa_mass(M) for M in (1, 2, 3)] == [1, 2, 2]
    for gating in GATINGS:
        for level in (1, 2):
            laplace = gating[level - 1] == "L"
            assert [kappa_gate(m, level, gating, 1) for m in (1, 2, 3)] == ([1, 1.5, 1.5] if laplace else [1, 2, 2])
            assert [kappa_gate(m, level, gating, 2) for m in (1, 2, 3)] == [1, 2, 2]
            expected = [1, 2, 2] if gating == "LL" else [1, 4, 6]
            assert [kappa_gate(m, level, gating, 1, "published") for m in (1, 2, 3)] == expected
        assert [kappa_eta(m, gating) for m in (1, 2, 3)] == [1, 2, 2]
        assert [kappa_eta(m, gating, tilted=True) for m in (1, 2, 3)] == [1, 2, 3]
        assert [kappa_eta(m, gating, compensated=True) for m in (1, 2, 3, 6)] == pytest.approx([1, 2, 2.4, 3])
        assert kappa_gate(3, 2, gating, 1, compensated=True) == (1.5 if gating[1] == "L" else 4)
        assert [kappa_eta(m, gating, "published") for m in (1, 2, 3)] == ([1, 2, 2] if gating == "LL" else [1, 2, 3])


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [parameter_errors, lambda G, G0, x: voronoi_loss(G, G0, x=x)])
def test_bad_input(f):
    G = truth("SS")
    with pytest.raises(ValueError, match="G must have the gating of G0, 'SS'; got 'SL'"):
        f(truth("SL"), G, LAW)
    with pytest.raises(ValueError, match="at least as many groups as G0, k1 = 2; got k1 = 1"):
        f(truth("SS", k2=(4,), a=[0], b=[0]), G, LAW)
    with pytest.raises(ValueError, match="as many covariates as G0, d = 1; got d = 2"):
        f(wide_truth("SS"), G, LAW)
    with pytest.raises(ValueError, match="G0 must be a MixingMeasure"):
        f(G, "truth", LAW)
    with pytest.raises(ValueError, match="x must be a covariate law"):
        f(G, G, None)
    with pytest.raises(ValueError, match="x must have 1 columns"):
        f(G, G, np.zeros((5, 2)))


def test_bad_form():
    G = truth("SS")
    with pytest.raises(ValueError, match="form must be 'sharp' or 'published'; got 'best'"):
        voronoi_loss(G, G, "best", x=LAW)
    with pytest.raises(ValueError, match="x must be a covariate law"):
        voronoi_loss(G, G)
