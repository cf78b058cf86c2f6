"""The named truths, and the data that ship."""

from pathlib import Path

import numpy as np
import pandas as pd
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


# rows, complete rows, and sums over these of response and covariates: a number that is changed by mistake shows
FACTS = {
    "motorcycle": (133, 133, [-3397.6, 3348.8]),
    "geyser": (298, 298, [21542.0, 1032.78]),
    "engel": (235, 235, [146675.28, 230881.17]),
    "penguins": (344, 342, [1437000.0, 68713.0, 15021.3, 5865.7]),
    "auto-mpg": (398, 392, [9190.8, 76209.5, 40952.0, 1167213.0, 6092.2]),
    "weather": (1461, 1461, [24017.5, 267546.0, 4426.0, 4735.3]),
    "tempanomalies": (136, 136, [1.69, 264860.0]),
}


@pytest.mark.parametrize("name", datasets.names())
def test_data_that_ship_are_whole_and_say_whose_they_are(name):
    data = datasets.load(name)
    rows, complete, sums = FACTS[name]
    columns = [data.attrs["response"], *data.attrs["covariates"]]
    assert len(data) == rows
    table = data[columns].dropna()
    assert len(table) == complete
    assert table.apply(pd.api.types.is_numeric_dtype).all()
    np.testing.assert_allclose(table.sum(), sums, rtol=0, atol=0.006)
    assert data.attrs["source"]
    assert data.attrs["licence"]


@pytest.mark.parametrize("name", datasets.names())
def test_the_readme_beside_the_data_tells_their_rows_and_licences(name):
    folder = Path(datasets.__file__).parent / "data"
    (line,) = [
        line for line in (folder / "README.md").read_text(encoding="utf-8").splitlines() if f"| `{name}.csv`" in line
    ]
    data = datasets.load(name)
    assert f"| {len(data)} |" in line
    for column in set(data.columns) - {"day"}:
        assert column in line
    licence = data.attrs["licence"].split(" (")[0]
    assert licence in line or name == "geyser"
    assert sorted(path.stem for path in folder.glob("*.csv")) == sorted(datasets.names())


def test_what_the_notes_on_data_say():
    penguins = datasets.load("penguins")
    assert penguins["body_mass_g"].isna().sum() == 2
    assert penguins["sex"].isna().sum() == 2 + 9
    assert penguins["species"].nunique() == 3
    assert datasets.load("auto-mpg")["horsepower"].isna().sum() == 6
    geyser = datasets.load("geyser")
    assert np.corrcoef(geyser["duration"], geyser["waiting"])[0, 1] > 0.8  # of the eruption before, not of the next
    weather = datasets.load("weather")
    assert (weather["date"].diff().dropna() == pd.Timedelta(days=1)).all()
    assert weather["day"].max() == 366
    motorcycle = datasets.load("motorcycle")
    early = motorcycle["times"] < 14
    assert motorcycle["accel"][early].std() < 0.1 * motorcycle["accel"][~early].std()


@pytest.mark.parametrize("name", ["C1", None, ["C2"]])
def test_unknown_names(name):
    with pytest.raises(ValueError, match="name must be one of C0, C2, C3, C4, P2, M2, M2C; got"):
        datasets.truth(name)
    with pytest.raises(ValueError, match="name must be one of motorcycle, geyser, .*, tempanomalies; got"):
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
