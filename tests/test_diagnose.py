"""Every finding fires on a case made for it, with its number, and is silent on the truths of the studies."""

import naive
import numpy as np
import pandas as pd
import pytest

import hmoe_stats as hs
from hmoe_stats import datasets
from hmoe_stats.diagnose import Finding
from hmoe_stats.likelihood import gate_weights, log_density

GATINGS = ["SS", "SL", "LS", "LL"]
LAW = hs.Uniform(-3, 3)


def only(G, kind, k2=None, x=LAW):
    """The findings of one kind, after a check that there are no others."""
    found = hs.diagnose(G, k2, x)
    assert set(found.kinds()) == {kind}, found
    return list(found)


def with_entry(G, name, at, value):
    array = getattr(G, name).copy()
    array[at] = value
    return G.replace(**{name: array})


# -- truths of the studies --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize(("name", "k2"), [("C0", None), ("C0", (2, 2)), ("C2", (3, 3)), ("C3", (5, 5)), ("C4", None)])
def test_silent_on_the_truths(name, k2, gating):
    for x in (LAW, np.linspace(-3, 3, 200)):
        found = hs.diagnose(datasets.truth(name, gating), k2, x)
        assert len(found) == 0
        assert repr(found) == "No findings."
        assert found.to_frame().shape == (0, 6)


@pytest.mark.parametrize("gating", GATINGS)
def test_groups_of_one_expert_fitted_with_more(gating):
    found = only(datasets.truth("C4", gating), "unidentified gate", (3, 3))
    assert [f.where for f in found] == ["group 0", "group 1"]
    assert {f.number for f in found} == {3.0}
    assert {f.severity for f in found} == {"serious"}
    slow = "0.167" if gating[1] == "S" else "0.25"
    assert all(f"omega and beta are unidentified (eta down to n^(-{slow}))" in f.finding for f in found)


@pytest.mark.parametrize("gating", GATINGS)
def test_two_fitted_experts_for_each_true_one(gating):
    G = datasets.truth("C2", gating)
    if gating[1] == "L":  # kinks tell the copies apart
        assert len(hs.diagnose(G, (4, 4), LAW)) == 0
        return
    found = only(G, "unidentified gate", (4, 3))
    assert {(f.where, f.number, f.severity) for f in found} == {(f"group {i}", 2.0, "caution") for i in (0, 1)}
    # groups match in any order, unless sizes decide
    (one,) = only(datasets.truth("C2", gating).replace(k2=(1, 3)), "unidentified gate", (1, 6))
    assert one.where == "group 1"


def test_laplace_gates_are_identified_unless_their_centres_coincide_on_the_support():
    G = datasets.truth("C2", "SL").replace(omega=[-4.0, 4.0, 3.5, -3.0])
    found = hs.diagnose(G, (4, 4), LAW)  # without a kink in the support, but beyond both edges
    assert set(found.kinds()) == {"Laplace centre"}
    assert sum(f.severity == "serious" and f.number == 0 for f in found) == 4
    assert "unidentified gate" not in hs.diagnose(G.replace(omega=[0.0, 1.0, 0.0, 1.0]), (4, 4), LAW).kinds()
    beyond = G.replace(omega=[3.2, 4.0, 3.5, -3.0])
    found = hs.diagnose(beyond, (4, 4), LAW)
    assert [f.where for f in found if f.kind == "unidentified gate"] == ["group 0"]
    (equal,) = [f for f in found if f.kind == "equal centres"]
    assert (equal.where, equal.number) == ("group 0", 0.0)
    assert "beyond one edge of the support" in equal.finding
    # for that, all copies need not be doubled
    (one,) = [f for f in hs.diagnose(beyond, (3, 2), LAW) if f.kind == "unidentified gate"]
    assert (one.where, one.severity) == ("group 0", "serious")
    assert "its Laplace centres coincide on the support, and omega and beta are unidentified" in one.finding


def test_few_values_of_x_leave_gates_of_split_experts_unidentified():
    x = np.repeat([0.0, 1.0], 50)
    found = [f for f in hs.diagnose(datasets.truth("C2", "SS"), (3, 2), x) if f.kind == "unidentified gate"]
    assert [(f.where, f.severity) for f in found] == [("group 0", "serious"), ("group 1", "serious")]
    assert "covariate 0 takes 2 values only" in found[0].finding
    assert "unidentified gate" not in hs.diagnose(datasets.truth("C2", "SS"), (2, 2), x).kinds()


@pytest.mark.parametrize("gating", GATINGS)
def test_level_1_fitted_with_twice_the_groups(gating):
    G = datasets.truth("C2", gating)
    found = hs.diagnose(G, (2, 2, 2, 2), LAW)
    assert [(f.where, f.number) for f in found] == ([("level 1", 2.0)] if gating[0] == "S" else [])
    assert len(hs.diagnose(G, (2, 2, 2), LAW)) == 0
    # one true group: its gate is constant, and nothing places the others
    one = G.replace(k2=(4,), a=G.a[:1], b=G.b[:1])
    (single,) = only(one, "unidentified gate", (4, 4))
    assert (single.where, single.number, single.severity) == ("level 1", 2.0, "serious")
    assert "a and b are unidentified" in single.finding


def test_unidentified_gates_are_really_not_identified():
    G = datasets.truth("C4", "SS")
    H = G.replace(k2=(2, 2), **{f: np.repeat(getattr(G, f), 2, axis=0) for f in ("omega", "beta", "eta", "tau", "nu")})
    x, y = np.linspace(-3, 3, 40), np.linspace(-5, 5, 40)
    assert len(only(G, "unidentified gate", H.k2)) == 2
    moved = H.replace(omega=[0.0, 1.3, 0.0, -0.4])
    np.testing.assert_allclose(log_density(moved, x, y), log_density(G, x, y), atol=1e-12)


def test_too_few_experts():
    for k2 in ((1, 2), (2,), (5, 1)):
        (found,) = only(datasets.truth("C2"), "too few experts", k2)
        assert found.number == sum(k2)
        assert f"k2 = {k2} does not cover the (2, 2) experts" in found.finding


# -- levels that can be exchanged -------------------------------------------------------------------------------------
def two_groups(omega, beta, gating="SS"):
    return datasets.truth("C2", gating).replace(omega=omega, beta=beta)


@pytest.mark.parametrize("omega", [(-0.5, 0.5, -0.1, 0.9), (-0.5, 0.5, 0.9, -0.1)])
def test_equal_and_mirrored_gates_can_be_regrouped(omega):
    beta = (0.2, 0.0, 0.5, 0.3) if omega[2] < omega[3] else (0.2, 0.0, 0.3, 0.5)
    G = two_groups(omega, beta)
    (found,) = only(G, "exchangeable levels")
    assert found.severity == "serious"
    assert found.number < 1e-12
    assert found.where == "groups 0 and 1"
    # and they can: another grouping of the same leaves has the same density
    x = np.linspace(-3, 3, 50)
    score = np.log(gate_weights(G, x)) - np.log(gate_weights(G, x))[:, :1]
    slope, intercept = np.polyfit(x, score, 1)
    np.testing.assert_allclose(score, x[:, None] * slope + intercept, atol=1e-12)  # one flat softmax
    order = [0, 2, 1, 3] if omega[2] < omega[3] else [0, 3, 1, 2]
    leaves = {f: getattr(G, f)[order] for f in ("eta", "tau", "nu")}
    step, shift = slope[order[2]] - slope[order[0]], intercept[order[2]] - intercept[order[0]]
    H = G.replace(a=[0.0, step], b=[0.0, shift], omega=slope[order], beta=intercept[order], **leaves)
    np.testing.assert_allclose(log_density(H, x, 2 * x), log_density(G, x, 2 * x), atol=1e-11)


def test_gates_that_differ_or_are_kinked_cannot():
    same = ((-0.5, 0.5, -0.1, 0.9), (0.2, 0.0, 0.5, 0.3))
    assert len(hs.diagnose(two_groups((-0.5, 0.5, -0.1, 0.9), (0.2, 0.0, 0.0, 0.3)), x=LAW)) == 0  # gaps of beta
    assert len(hs.diagnose(two_groups((-0.5, 0.5, -0.2, 0.3), same[1]), x=LAW)) == 0  # gaps of omega
    for gating in ("LS", "SL", "LL"):
        assert len(hs.diagnose(two_groups(*same, gating), x=LAW)) == 0
    # Laplace under Laplace, the same centres in both groups: the levels can change places
    alike = (-0.5, 0.9, 0.9, -0.5), (0.2, 0.0, 1.0, 1.2)
    assert [f.where for f in only(two_groups(*alike, "LL"), "exchangeable levels")] == ["all groups"]
    assert len(hs.diagnose(two_groups(*alike, "SL"), x=LAW)) == 0
    (near,) = only(two_groups((-0.5, 0.52, -0.1, 0.9), same[1]), "exchangeable levels")
    assert near.severity == "caution"
    assert 1e-3 < near.number < 0.02


# -- gates over x -----------------------------------------------------------------------------------------------------
def test_laplace_centres_near_the_edge():
    G = datasets.truth("C2", "LL")
    (edge,) = only(with_entry(G, "omega", (1, 0), 2.94), "Laplace centre")
    assert (edge.where, edge.severity) == ("group 0", "caution")
    assert edge.number == pytest.approx(0.01)
    assert "expert 0,1" in edge.finding
    for value in (3.0, 3.2):
        (out,) = only(with_entry(G, "a", (0, 0), value), "Laplace centre")
        assert (out.where, out.severity, out.number) == ("level 1", "serious", 0.0)
    (tail,) = only(with_entry(G, "a", (0, 0), 3.0), "Laplace centre", x=hs.Normal(0, 1))
    assert tail.number == pytest.approx(0.00134990, rel=1e-4)
    assert tail.severity == "caution"
    # an array of covariates: ranks
    (rank,) = only(with_entry(G, "a", (0, 0), 2.985), "Laplace centre", x=np.linspace(-3, 3, 201))
    assert rank.number == pytest.approx(1 / 201)
    # softmax slopes have no place
    assert len(hs.diagnose(with_entry(datasets.truth("C2", "SL"), "a", (0, 0), 2.99), x=LAW)) == 0


def test_laplace_centres_far_off_in_two_dimensions(rng):
    G = naive.random_measure(rng, "LL", (1, 1), 2).replace(tau=[-4.0, 4.0], a=[[0.0, 0.0], [1.0, 1.0]], b=[0, 0])
    assert "Laplace centre" not in hs.diagnose(G, x=LAW).kinds()
    far = with_entry(G, "a", 1, [30.0, 40.0]).replace(b=[0.0, 50.0])
    found = [f for f in hs.diagnose(far, x=LAW) if f.kind == "Laplace centre"]
    assert [f.where for f in found] == ["level 1"]
    assert found[0].number == pytest.approx(50 / np.sqrt(6))


def test_equal_laplace_centres():
    (found,) = only(datasets.truth("C2", "SL").replace(omega=[0.5, 0.5, 1.2, -0.4]), "equal centres")
    assert (found.where, found.number) == ("group 0", 0.0)


@pytest.mark.parametrize(("gap", "severity"), [(9.0, "caution"), (12.0, "serious")])
def test_little_mass(gap, severity):
    G = with_entry(datasets.truth("C2", "SL"), "beta", 2, -gap)
    (found,) = only(G, "little mass")
    assert (found.where, found.severity) == ("group 1", severity)
    x = np.linspace(-3, 3, 20_001)
    w = gate_weights(G, x)
    assert found.number == pytest.approx(w[:, 2].mean() / w[:, 2:].sum(axis=1).mean(), rel=1e-3)
    groups = hs.diagnose(with_entry(datasets.truth("C2", "LL"), "b", 1, -gap), x=LAW)
    assert [(f.kind, f.where, f.severity) for f in groups] == [("little mass", "level 1", severity)]


@pytest.mark.parametrize(("slope", "severity"), [(40.0, "caution"), (5000.0, "serious")])
def test_steep_gates(slope, severity):
    G = datasets.truth("C2", "SS").replace(a=[slope, -slope])
    (found,) = only(G, "steep gate")
    assert (found.where, found.severity) == ("level 1", severity)
    # max(g, 1 - g) < 0.99 where |2 slope x + 0.2| < log 99
    assert found.number == pytest.approx(2 * np.log(99) / (2 * slope) / 6, rel=0.05)
    (inner,) = only(datasets.truth("C2", "LS").replace(omega=[-60.0, 60.0, 0.35, -0.35]), "steep gate")
    assert inner.where == "group 0"


def test_close_experts():
    G = datasets.truth("C2", "LS")
    close = with_entry(with_entry(G, "tau", 1, -5.9), "eta", 1, 0.2)
    (found,) = only(close, "close experts")
    assert (found.where, found.severity) == ("experts 0,0 and 0,1", "caution")
    assert found.number == pytest.approx(np.sqrt((0.1**2 + 0.1**2 * 3) / 0.4))
    (same,) = only(with_entry(with_entry(G, "tau", 2, -6.01), "nu", 0, 0.42), "close experts")
    assert (same.where, same.severity) == ("experts 0,0 and 1,0", "serious")
    assert same.number == pytest.approx(np.sqrt(0.01**2 / 0.42 + (0.02 / 0.42) ** 2))  # of the two, the smaller


def test_unequal_variances():
    (found,) = only(with_entry(datasets.truth("C2"), "nu", 3, 0.4e-3), "unequal variances")
    assert found.number == pytest.approx(1000)
    assert "of 0,0 is 1e+03 times that of 1,1" in found.finding
    assert len(hs.diagnose(with_entry(datasets.truth("C2"), "nu", 3, 0.005), x=LAW)) == 0


# -- the result -------------------------------------------------------------------------------------------------------
def test_without_x_it_says_what_was_not_looked_for():
    (note,) = only(datasets.truth("C2"), "not looked for", x=None)
    assert (note.severity, note.number) == ("note", 7.0)
    for kind in ("Laplace centre", "Laplace unit", "close experts", "steep gate", "little mass", "exchangeable levels"):
        assert kind in note.finding
    found = hs.diagnose(datasets.truth("C4"), (2, 2))
    assert found.kinds() == ("unidentified gate", "not looked for")


def test_the_result_is_a_sorted_sequence_a_text_and_a_table():
    G = with_entry(datasets.truth("C4", "LS"), "nu", 1, 100.0)
    found = hs.diagnose(G.replace(a=[1.0, 3.5]), (2, 2), LAW)
    assert [f.severity for f in found] == ["serious", "serious", "serious", "caution"]
    assert isinstance(found[0], Finding)
    lines = repr(found).splitlines()
    assert len(lines) == len(found) == 4
    assert lines[0].startswith(f"serious: {found[0].where}: {found[0].finding}. Advice: ")
    frame = found.to_frame()
    assert list(frame.columns) == ["severity", "kind", "where", "finding", "number", "advice"]
    assert frame["number"].tolist() == [f.number for f in found]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda G: hs.diagnose("C2"), "G must be a MixingMeasure; got str"),
        (lambda G: hs.diagnose(G, 3.5), "k2 must be a sequence of positive integers"),
        (lambda G: hs.diagnose(G, x=np.zeros((5, 2))), "x must have 1 columns"),
        (lambda G: hs.diagnose(G, x=[0.0]), "x must have at least 2 rows"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(datasets.truth("C2"))


def test_a_fit_to_a_frame_is_diagnosed_on_it():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.uniform(-3, 3, 120), "kind": rng.choice(["a", "b", "c"], 120)})
    y = frame["x"].to_numpy() * np.where(frame["kind"] == "a", 2.0, -1.0) + 0.3 * rng.normal(size=120)
    fit = hs.fit(frame, y, "SS", (2,), n_starts=2)
    assert hs.diagnose(fit, x=frame) == hs.diagnose(fit, x=fit.known_data().X)
