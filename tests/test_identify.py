"""Which gates a fitted shape identifies: against searches for other writings, and the one answer in every room."""

import itertools

import numpy as np
import pytest
from scipy.optimize import least_squares

from hmoe_stats import MixingMeasure, Normal, Uniform, datasets, diagnose, hellinger, identify, voronoi_loss
from hmoe_stats.theory import rates

GATINGS = ("SS", "SL", "LS", "LL")
LAW = Uniform(-3, 3)
SUPPORT = identify.support_of(LAW, 1)
FIELDS = ("omega", "beta", "eta", "tau", "nu")


def group(gating, omega, **changes):
    """One group of experts far apart."""
    K = len(omega)
    values = {"beta": np.zeros(K), "eta": np.linspace(0.3, -0.3, K), "tau": 4.0 * np.arange(K), "nu": np.full(K, 0.4)}
    return MixingMeasure(gating=gating, k2=(K,), a=[0.0], b=[0.0], omega=omega, **(values | changes))


def beyond():
    """A Laplace group with one centre inside the support and one beyond it; a fit whose gates are far off."""
    G0 = group("SL", [0.5, 5.0], eta=[0.3, -0.3], tau=[-2.0, 2.0])
    twice = {name: getattr(G0, name)[[0, 1, 0, 1]] for name in FIELDS}
    return G0, G0.replace(k2=(4,), **(twice | {"omega": [-1, -1, 1, 1], "beta": [0, 0, 0.7, 0.7]}))


# -- other writings of a gate, searched for ---------------------------------------------------------------------------
def smallest_gap(letter, centres, copies, error=0.5, starts=6):
    """The least root mean square gap of gates whose slopes, weighted, are off by `error` in mean."""
    rng = np.random.default_rng(0)
    centres, cell = np.array(centres, dtype=float), np.repeat(np.arange(len(centres)), copies)
    node, weight = np.polynomial.legendre.leggauss(200)
    x, weight = 3 * node, weight / 2
    true = identify.on_support(letter, centres[:, None], SUPPORT)[cell, 0]

    def gates(slopes, intercepts):
        score = (x[:, None] * slopes if letter == "S" else -np.abs(x[:, None] - slopes)) + intercepts
        g = np.exp(score - score.max(axis=1, keepdims=True))
        return g / g.sum(axis=1, keepdims=True)

    wanted = gates(centres, np.zeros(len(centres)))

    def residuals(v):
        slopes, g = v[: cell.size], gates(v[: cell.size], v[cell.size :])
        gap = np.stack([g[:, cell == j].sum(axis=1) for j in range(len(centres))], axis=1) - wanted
        share = weight @ g
        if letter == "S":
            apart = np.abs(slopes - share @ slopes - true + share @ true)
        else:
            apart = np.abs(np.clip(slopes, -3, 3) - true)
        return np.append((np.sqrt(weight)[:, None] * gap).ravel(), 3 * max(0.0, error - share @ apart))

    points = (np.concatenate([rng.uniform(-3.5, 3.5, cell.size), rng.normal(size=cell.size)]) for _ in range(starts))
    return min(np.sqrt(2 * least_squares(residuals, v, max_nfev=150).cost) for v in points)


@pytest.mark.parametrize(
    ("letter", "centres", "copies"),
    [
        ("S", (0.5, -0.5), (2, 2)), ("S", (0.5, -0.5), (2, 1)), ("S", (0.5, -0.5), (1, 1)), ("S", (0.4, 0.4), (2, 2)),
        ("S", (0.5, -0.5, 0.0), (2, 2, 1)), ("S", (0.0,), (2,)),
        ("L", (0.5, -0.5), (2, 2)), ("L", (-4.0, 4.0), (2, 2)), ("L", (0.9, 0.9, -0.8), (2, 2, 2)),
        ("L", (0.5, 0.5), (1, 1)), ("L", (4.0, 5.0), (1, 1)), ("L", (4.0, 3.0), (2, 1)), ("L", (0.0,), (2,)),
    ],
)  # fmt: skip
def test_a_gate_is_identified_if_no_search_finds_another_writing(letter, centres, copies):
    gap = smallest_gap(letter, centres, copies)
    assert identify.gate_identified(letter, np.array(centres)[:, None], copies, SUPPORT) == (gap > 1e-4)
    assert gap > 3e-4 or gap < 1e-7


def test_a_centre_beyond_the_support_counts_as_one_on_its_edge():
    inside, outside = np.array([[0.5], [2.0]]), np.array([[0.5], [5.0]])
    assert identify.at_edge("L", inside, SUPPORT).tolist() == [False, False]
    assert identify.at_edge("L", outside, SUPPORT).tolist() == [False, True]
    assert not identify.at_edge("L", outside, identify.support_of(Normal(0, 1), 1)).any()
    assert not identify.at_edge("L", outside, identify.support_of(None, 1)).any()
    assert not identify.at_edge("S", outside, SUPPORT).any()
    assert not identify.at_edge("L", np.full((2, 1), 5.0), SUPPORT).any()  # a constant gate has no places at all
    plane = identify.support_of(LAW, 2)
    assert identify.gate_identified("L", np.array([[9.0, 9.0], [8.0, 8.0]]), (2, 2), plane)
    assert not identify.gate_identified("L", np.full((2, 2), 9.0), (1, 1), plane)


@pytest.mark.parametrize(("level", "gating"), [(1, "LS"), (1, "LL"), (2, "SL"), (2, "LL")])
def test_a_centre_on_the_edge_has_exponent_three_halves_also_in_an_exact_cell(level, gating):
    name = "a" if level == 1 else "omega"
    G0 = datasets.truth("C2", gating)
    start = getattr(G0, name).copy()
    start[0] = 3.4
    G0 = G0.replace(**{name: start})

    def at(s):
        moved = start.copy()
        moved[0] = 3.0 - s
        shift = getattr(G0, "b" if level == 1 else "beta").copy()
        shift[0] -= 0.4 + s
        return G0.replace(**{name: moved, "b" if level == 1 else "beta": shift})

    steps = np.array([0.02, 0.01])
    h, loss = ([f(at(s), G0, x=LAW) for s in steps] for f in (hellinger, voronoi_loss))
    assert np.log2(h[0] / h[1]) == pytest.approx(1.5, abs=0.03)
    assert np.log2(loss[0] / loss[1]) == pytest.approx(1.5, abs=0.15)
    table = rates(G0, (2, 2), x=LAW)
    edge = table[table["regime"] == "edge"]
    assert edge[edge["parameter"] == name]["kappa"].tolist() == [1.5]
    assert set(edge[edge["parameter"] != name]["kappa"]) == {1.0}
    inside = table[(table["parameter"] == name) & (table["regime"] != "edge")]
    assert set(inside["kappa"]) == {1.0}
    stated = rates(G0, (2, 2), form="published", x=LAW).set_index(["parameter", "kind"])["status"]
    assert stated[name, "weighted"] == stated["loss", "loss"] == "refuted here"
    assert "refuted here" not in set(rates(G0, (2, 2), form="published")["status"])
    assert "edge" not in set(rates(G0, (2, 2))["regime"])  # without x all centres are taken to lie inside


# -- the one answer in every room -------------------------------------------------------------------------------------
def test_a_laplace_group_with_a_centre_beyond_the_support():
    G0, G = beyond()
    assert hellinger(G, G0, x=LAW) > 0.3
    assert voronoi_loss(G, G0, x=LAW) > 0.1
    table = rates(G0, (4,), x=LAW)
    assert {"regular", "edge"} <= set(table["regime"])
    assert table.query("regime == 'edge' and parameter == 'omega'")["kappa"].unique().tolist() == [1.5]
    assert "Laplace centre" in diagnose(G0, (4,), LAW).kinds()


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize(
    ("omega", "k2"), [((0.5, -0.5), (4,)), ((0.5, -0.5), (3,)), ((0.5, 0.5), (3,)), ((4.0, 5.0), (3,)), ((0.1,), (2,))]
)
def test_voronoi_rates_and_diagnose_agree(gating, omega, k2):
    """The fit moves the slopes of a gate, its doubled components together, as far as the answer says is allowed."""
    G0 = group(gating, omega)
    answer = identify.gates(G0, k2, LAW)[1].identified
    words = [f.where for f in diagnose(G0, k2, LAW) if f.kind == "unidentified gate"]
    assert (words == ["group 0"]) == (answer != "always")
    table = rates(G0, k2, x=LAW)
    weighted = table[(table["parameter"] == "omega") & (table["kind"] == "weighted")]
    assert np.isinf(weighted["kappa"]).any() == ("unidentified" in set(table["regime"])) == (answer != "always")
    assert np.isinf(weighted["kappa"]).all() == (answer == "never")
    leaves = [0, 1, 0, 1][: k2[0]] if len(omega) > 1 else [0, 0]
    copies = {name: getattr(G0, name)[leaves] for name in FIELDS}
    copies["beta"] = copies["beta"] - np.log(np.bincount(leaves))[leaves]
    G = G0.replace(k2=k2, **copies)
    assert voronoi_loss(G, G0, x=LAW) < 1e-12
    off = G.replace(tau=G.tau + 0.3)
    assert voronoi_loss(off, G0, x=LAW) > 1e-4


def test_equal_experts_and_groups_that_can_change_places_are_told():
    G0 = datasets.truth("C2", "SS")
    same = G0.replace(**{name: getattr(G0, name)[[0, 0, 2, 3]] for name in ("eta", "tau", "nu")})
    assert identify.equal_experts(G0) == []
    assert identify.equal_experts(same) == [(0, 1)]
    assert set(rates(same, (2, 2))["status"]) == {"open"}
    alike = G0.replace(omega=[-0.5, 0.5, 0.9, -0.1], beta=[0.2, 0.0, 0.3, 0.5])
    assert identify.regroupable(G0) == []
    assert identify.regroupable(alike) == [(0, 1)]
    assert identify.regroupable(alike.replace(gating="LS")) == []
    said = rates(alike, (2, 2)).query("level > 0")["source"]
    assert said.str.contains("leaves of groups 0 and 1 can be grouped otherwise").all()
    product = datasets.truth("C2", "LL").replace(omega=[-0.5, 0.9, 0.9, -0.5], beta=[0.2, 0.0, 1.0, 1.2])
    assert identify.regroupable(product, LAW) == [(0, 1)]
    # and it can: the levels change places
    swapped = product.replace(
        a=[-0.5, 0.9], b=[0.2, 0.0], omega=[1.0, -1.2, 1.0, -1.2], beta=[0.2, 0.0, 0.2, 0.0],
        **{name: getattr(product, name)[[0, 3, 1, 2]] for name in ("eta", "tau", "nu")},
    )  # fmt: skip
    assert hellinger(swapped, product, x=LAW) < 1e-8


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.repeat([0.0, 1.0], 30), "covariate 0 takes 2 values only"),
        (np.random.default_rng(0).integers(0, 5, 200) * 1.0, "covariate 0 takes 5 values only"),
        (np.linspace(-1, 1, 40)[:, None] * [1.0, 2.0], "the covariates lie in a hyperplane"),
        (np.column_stack([np.linspace(-1, 1, 40), np.arange(40) % 2]), "covariate 1 takes 2 values only"),
    ],
)
def test_laws_without_interior_have_no_exponents(x, words):
    G0 = datasets.truth("C2" if x.ndim == 1 else "P2", "SS")
    for form in ("sharp", "published"):
        with pytest.raises(ValueError, match=f"x must have a support with interior.*{words}"):
            rates(G0, (3, 2), form=form, x=x)
    wide = np.random.default_rng(1).normal(size=(60, G0.d))
    assert rates(G0, (3, 2), x=wide).equals(rates(G0, (3, 2)))
    # gates of split experts are not identified: the loss speaks of functions, and counts no slopes
    inside = {name: getattr(G0, name)[[0, 0, 1, 2, 3]].copy() for name in FIELDS}
    inside["beta"][:2] -= np.log(2)
    G = G0.replace(k2=(3, 2), **inside)
    assert voronoi_loss(G, G0, x=x) < 1e-12
    assert voronoi_loss(G.replace(a=G.a + np.eye(2)[:, : G0.d]), G0, x=x) > 1e-3


# -- the published lines that cannot hold -----------------------------------------------------------------------------
SHAPES = [
    ("C4", (3, 3)),
    ("C4", (5, 4)),
    ("C2", (4, 4)),
    ("C2", (5, 3)),
    ("C2", (3, 3)),
    ("C2", (2,) * 4),
    ("C2", (3, 3, 3)),
]


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize(("name", "k2"), SHAPES)
def test_published_lines_on_gates_that_are_not_identified_are_refuted(name, k2, gating):
    G0 = datasets.truth(name, gating)
    sharp, published = (rates(G0, k2, form=form, x=LAW) for form in ("sharp", "published"))
    key = ["level", "cell", "m", "parameter", "kind"]
    free = set(sharp[np.isinf(sharp["kappa"])][key].itertuples(index=False, name=None))
    listed = set(published[key].itertuples(index=False, name=None))
    refuted = published[published["status"] == "refuted here"]
    assert np.isfinite(published["kappa"]).all()
    expected = {row for row in listed if row in free}
    soft = gating[1] == "S"
    expected |= {row for row in listed if soft and row[3] == "beta" and (*row[:3], "omega", "weighted") in free}
    expected |= {row for row in listed if row[3] == "loss"} if free else set()
    assert set(refuted[key].itertuples(index=False, name=None)) == expected
    assert refuted["source"].str.contains("refuted here").all()
    assert not free or expected
    # in one cell no derived line is finite where another is infinite
    for _, part in sharp[sharp["status"] == "derived"].groupby([*key, "regime"]):
        assert part["kappa"].nunique() == 1


def test_the_published_loss_is_positive_at_the_truth_where_it_is_refuted():
    for gating, k2 in itertools.product(("SS", "LS"), ((2, 2), (3, 3))):
        G0 = datasets.truth("C4", gating)
        twice = {name: np.repeat(getattr(G0, name), k2[0], axis=0) for name in FIELDS}
        G = G0.replace(k2=k2, **twice)
        tilted = G.replace(omega=G.omega + np.arange(G.n_experts)[:, None] * 0.4)
        assert hellinger(tilted, G0, x=LAW) < 1e-8
        assert voronoi_loss(tilted, G0, x=LAW) < 1e-12
        assert voronoi_loss(tilted, G0, "published", x=LAW) > 1e-3
