"""The named truths, and the data that ship."""

import numpy as np
import pytest

import hmoe_stats as hs
from hmoe_stats import datasets


@pytest.mark.parametrize("gating", ["SS", "SL", "LS", "LL"])
def test_each_level_takes_the_gate_of_its_letter(gating):
    G = datasets.truth("C2", gating=gating)
    assert (G.gating, G.k2, G.d) == (gating, (2, 2), 1)
    a = {"S": [0.4, -0.4], "L": [1.0, -1.2]}[gating[0]]
    omega = {"S": [-0.5, 0.5, 0.35, -0.35], "L": [-0.8, 0.9, 1.2, -0.4]}[gating[1]]
    np.testing.assert_array_equal(G.a[:, 0], a)
    np.testing.assert_array_equal(G.omega[:, 0], omega)
    np.testing.assert_array_equal(G.b, [0.2, 0.0])
    np.testing.assert_array_equal(G.beta, [0.2, 0.0, -0.2, 0.0])
    np.testing.assert_array_equal(G.eta[:, 0], [0.3, -0.3, 0.3, -0.3])
    np.testing.assert_array_equal(G.tau, [-6.0, -2.0, 2.0, 6.0])
    np.testing.assert_array_equal(G.nu, 0.4)
    assert datasets.truth("C0", gating=gating) == G


def test_c3_adds_an_expert_to_each_group():
    for gating, omega in (("SS", [0.0, 0.05]), ("LL", [0.1, 0.4])):
        C2, C3 = datasets.truth("C2", gating), datasets.truth("C3", gating)
        old = [0, 1, 3, 4]
        for name in ("omega", "beta", "eta", "tau", "nu"):
            np.testing.assert_array_equal(getattr(C3, name)[old], getattr(C2, name))
        np.testing.assert_array_equal(C3.omega[[2, 5], 0], omega)
        np.testing.assert_array_equal(C3.tau[[2, 5]], [-10.0, 10.0])
        np.testing.assert_array_equal(C3.eta[[2, 5], 0], [0.3, -0.3])
        np.testing.assert_array_equal(C3.beta[[2, 5]], 0.0)


def test_c4_has_one_expert_a_group():
    G = datasets.truth("C4", "LL")
    assert G.k2 == (1, 1)
    np.testing.assert_array_equal(G.tau, [-2.0, 2.0])
    np.testing.assert_array_equal(G.eta[:, 0], [-0.3, 0.3])


@pytest.mark.parametrize("name", ["C0", "C2", "C3", "C4"])
def test_experts_stay_apart_on_the_support(name):
    G = datasets.truth(name)
    lines = np.sort(G.eta * np.array([-3.0, 3.0]) + G.tau[:, None], axis=0)
    assert (np.diff(lines, axis=0) / np.sqrt(0.4)).min() >= 3.4


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_p2_lies_over_the_plane(gating):
    G = datasets.truth("P2", gating)
    assert (G.k2, G.d) == ((2, 2), 2)
    np.testing.assert_array_equal(G.a, {"S": [[0.4, 0.2], [-0.4, -0.2]], "L": [[1.0, 0.5], [-1.2, -0.6]]}[gating[0]])
    np.testing.assert_array_equal(G.eta[1], [-0.3, 0.15])
    np.testing.assert_array_equal(G.omega[3], {"S": [-0.35, -0.25], "L": [-0.4, -0.9]}[gating[1]])
    corners = np.array([(u, v) for u in (-3, 3) for v in (-3, 3)])
    lines = np.sort(corners @ G.eta.T + G.tau, axis=1)
    assert (np.diff(lines, axis=1) / np.sqrt(0.4)).min() >= 3.0


def test_temperature_anomalies():
    data = datasets.load("tempanomalies")
    assert list(data.columns) == ["x", "y"]
    np.testing.assert_array_equal(data["x"], np.arange(1880, 2016))
    assert data["y"].iloc[0] == pytest.approx(-0.41)
    assert data["y"].iloc[-1] == pytest.approx(0.99)
    assert data["y"].notna().all()


@pytest.mark.parametrize("name", ["C1", None, ["C2"]])
def test_unknown_names(name):
    with pytest.raises(ValueError, match="name must be one of C0, C2, C3, C4, P2; got"):
        datasets.truth(name)
    with pytest.raises(ValueError, match="name must be one of tempanomalies; got"):
        datasets.load(name)
    with pytest.raises(ValueError, match="gating must be one of"):
        datasets.truth("C2", gating="XX")


@pytest.mark.parametrize("gating", ["SS", "LL", "SL", "QQ"])
@pytest.mark.parametrize("separation", [(3.0, np.inf), (1.0, 2.0)])
def test_random_truths_are_as_far_apart_as_asked_and_all_gates_at_work(gating, separation):
    found = [datasets.random_truth(seed, gating, separation) for seed in range(6)]
    assert found[0] == datasets.random_truth(0, gating, separation)
    assert len({G.tau.tobytes() for G in found}) == 6
    x = np.linspace(-3, 3, 1001)[:, None]
    for G in found:
        lines = x @ G.eta.T + G.tau
        gaps = np.abs(lines[:, :, None] - lines[:, None]) + 99 * np.eye(4)
        assert separation[0] < gaps.min() / np.sqrt(G.nu.max()) < separation[1]
        assert (hs.gate_weights(G, x).mean(axis=0) > 0.079).all()
        assert "unidentified gate" not in hs.diagnose(G, (3, 3), hs.Uniform(-3, 3)).kinds()


@pytest.mark.parametrize("separation", [(2.0, 1.0), (-1.0, 1.0), (5.0, 9.0), 3.0, "near"])
def test_a_separation_that_is_none_is_refused(separation):
    with pytest.raises(ValueError, match="^separation must be a pair"):
        datasets.random_truth(0, "SS", separation)
