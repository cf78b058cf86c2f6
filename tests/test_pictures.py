"""Pictures of fits: along any covariate, on the plane, the tree in words, residuals and intervals."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.stats import beta, norm
from test_plotting import legend_texts, nothing_global  # noqa: F401

import hmoe_stats as hs
from hmoe_stats import plotting
from hmoe_stats.plotting.trees import HELD

LAW = hs.Uniform([-3, -3], [3, 3])
P2 = {gating: hs.datasets.truth("P2", gating) for gating in ("SS", "LL", "QQ", "LS")}


def sampled(gating="SS", n=400):
    X, y = hs.sample(P2[gating], n, x=LAW, seed=1)
    return pd.DataFrame(X, columns=["load", "cost in $"]), pd.Series(y, name="yield")


@pytest.fixture(scope="module")
def fit():
    X, y = sampled()
    return hs.fit_mle(X, y, "SS", (2, 2), start=P2["SS"], n_starts=1)


@pytest.fixture(scope="module")
def alone():
    """A fit with one covariate."""
    G = hs.datasets.truth("C2")
    return hs.fit_mle(*hs.sample(G, 300, x=hs.Uniform(-3, 3), seed=0), "SS", (2, 2), start=G, n_starts=1)


# -- along one covariate ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("along", "column"), [(None, 0), ("load", 0), (1, 1), ("cost in $", 1)])
def test_a_fit_is_drawn_along_one_covariate_with_the_others_at_their_medians(fit, along, column):
    X, y = sampled()
    ax = plotting.fit_plot(fit, X, y, along=along)
    G, middle = fit.measure, np.median(X, axis=0)
    dotted = [line for line in ax.get_lines() if line.get_linestyle() == ":" and line.get_linewidth() < 1]
    for j, line in enumerate(dotted):
        rows = np.tile(middle, (400, 1))
        rows[:, column] = line.get_xdata()
        np.testing.assert_allclose(line.get_ydata(), rows @ G.eta[j] + G.tau[j])
    (mean,) = (line for line in ax.get_lines() if line.get_label() == "mean")
    np.testing.assert_allclose(mean.get_ydata(), hs.predict(G, rows))
    assert mean.get_xdata()[[0, -1]].tolist() == [X.iloc[:, column].min(), X.iloc[:, column].max()]
    (strip,) = ax.child_axes
    name = X.columns[column].replace("$", r"\$")
    assert strip.get_xlabel() == f"{name} (others at their medians)"
    assert ax.get_ylabel() == "yield"
    edge = next(line for line in strip.get_lines() if line.get_color() == "black")
    np.testing.assert_allclose(edge.get_ydata(), hs.gate_weights(G, rows)[:, :2].sum(axis=1))


def test_points_are_paler_the_further_they_are_from_what_is_shown(fit):
    X, y = sampled()
    scatter = plotting.fit_plot(fit, X, y, along="load").collections[0]
    np.testing.assert_array_equal(scatter.get_offsets(), np.column_stack([X["load"], y]))
    opacity = scatter.get_facecolors()[:, 3]
    far = (X["cost in $"] - X["cost in $"].median()).abs()
    assert (np.diff(opacity[np.argsort(far)]) <= 0).all()
    assert opacity.max() > 0.55
    assert opacity.min() < 0.25


@pytest.mark.parametrize("along", [("load", 1), (), "lode", 2])
def test_what_is_no_column_is_refused(fit, along):
    with pytest.raises(ValueError, match="^along must be"):
        plotting.fit_plot(fit, *sampled(), along=along)


def test_of_one_covariate_none_is_held(alone):
    ax = alone.plot()
    assert ax.child_axes[0].get_xlabel() == "x"
    assert np.unique(ax.collections[0].get_facecolors()[:, 3]).tolist() == [0.6]


# -- gates on the plane -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", ["SS", "LL", "QQ"])
@pytest.mark.parametrize("level", ["experts", "groups"])
def test_a_gate_map_mixes_the_colours_of_components_by_their_probabilities(gating, level):
    X, _ = sampled(gating)
    ax = plotting.gate_map(P2[gating], X, level=level)
    (image,) = ax.images
    shown, extent = np.asarray(image.get_array()), image.get_extent()
    assert extent == [X["load"].min(), X["load"].max(), X["cost in $"].min(), X["cost in $"].max()]
    size = len(shown)
    for row, column in ((0, 0), (3, 100), (size - 1, 7), (60, size - 1)):
        place = [np.linspace(*extent[:2], size)[column], np.linspace(*extent[2:], size)[row]]
        weights = hs.gate_weights(P2[gating], [place])[0]
        if level == "groups":
            weights = np.array([weights[:2].sum(), weights[2:].sum()])
        colour = sum(w * np.array(to_rgb(plotting.COLORS[i])) for i, w in enumerate(weights))
        assert np.abs(np.log((1 - shown[row, column]) / (1 - colour)) - np.log(0.55)).max() < 1e-6
    names = {"experts": ["0,0", "0,1", "1,0", "1,1"], "groups": ["0", "1"]}[level]
    for text in ax.texts:  # where it stands its component is the most probable
        weights = hs.gate_weights(P2[gating], [text.get_position()])[0]
        weights = weights if level == "experts" else weights.reshape(2, 2).sum(axis=1)
        assert names[weights.argmax()] == text.get_text()
        assert 0.03 < ax.transAxes.inverted().transform(ax.transData.transform(text.get_position())).min() < 0.97
    assert [text.partition(":")[0] for text in legend_texts(ax)] == [f"{level[:-1]} {name}" for name in names]
    ax.figure.savefig(io.BytesIO())


def test_a_gate_map_names_the_components_that_nowhere_come_first():
    G = P2["SS"].replace(beta=[-40.0, 0.0, 0.0, 0.0])
    ax = plotting.gate_map(G, sampled()[0])
    assert legend_texts(ax)[0] == "expert 0,0: nowhere the most probable"
    assert "0,0" not in [text.get_text() for text in ax.texts]


def test_a_gate_map_needs_a_plane(alone):
    with pytest.raises(ValueError, match="G must have at least two covariates .* got d = 1: see fit_plot"):
        alone.plot("gates")
    with pytest.raises(ValueError, match="along must be 2 columns of X; got 'load'"):
        plotting.gate_map(P2["SS"], sampled()[0], along="load")


# -- the tree ---------------------------------------------------------------------------------------------------------
def texts(ax):
    return [text.get_text().replace(HELD, " ") for text in ax.texts]


def test_a_tree_has_shares_lines_and_log_odds():
    X, _ = sampled()
    G = P2["SS"]
    found = texts(plotting.tree_plot(G, X))
    weights = hs.gate_weights(G, X)
    share = weights.mean(axis=0)
    group = f"group 0: {share[:2].sum():.0%}, log-odds 0.2 + 0.8 load + 0.4 cost in \\$"
    assert " ".join(found[0].split()) == group
    leaf = f"0,0: {share[0]:.0%}, log-odds 0.2 - 1 load + 0.6 cost in \\$"
    assert f"{leaf}\ny = -6 + 0.3 load + 0.2 cost in \\$, sd 0.632" in found
    assert f"1,1: {share[3]:.0%}, reference\ny = 6 - 0.3 load + 0.2 cost in \\$, sd 0.632" in found
    odds = np.log(weights[:, :2].sum(axis=1) / weights[:, 2:].sum(axis=1))  # which is what the group's words say
    np.testing.assert_allclose(odds, 0.2 + X.to_numpy() @ [0.8, 0.4], atol=1e-9)
    odds = np.log(weights[:, 0] / weights[:, 1])
    np.testing.assert_allclose(odds, 0.2 + X.to_numpy() @ [-1.0, 0.6], atol=1e-9)


def test_a_tree_says_where_laplace_and_quadratic_gates_are():
    X, _ = sampled("LS")
    found = [" ".join(text.split()) for text in texts(plotting.tree_plot(P2["LS"], X))]
    assert any("peak 0.2 at load 1, cost in \\$ 0.5" in text for text in found)
    assert any("peak 0 at load -1.2, cost in \\$ -0.6" in text for text in found)
    found = [" ".join(text.split()) for text in texts(plotting.tree_plot(P2["QQ"], X))]
    two = "\N{SUPERSCRIPT TWO}"
    assert any(f"log-odds -1.2 + 0.3 load{two} + 0.16 cost in \\${two}" in text for text in found)


def test_a_tree_of_many_covariates_keeps_the_largest_terms_and_of_a_flat_model_no_groups():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(50, 5)) * [1, 10, 1, 1, 1], columns=list("abcde"))
    eta = [[1.0, 0.05, 0.4, 0.2, 0.0], [0.0] * 5]  # 0.05 b varies more than 0.2 d
    G = hs.MixingMeasure(
        gating="SS", k2=(2,), a=np.zeros((1, 5)), b=[0], omega=[[0.0] * 5, [0, 0, 0, 1, 0]], beta=[0, 0],
        eta=eta, tau=[0, 1], nu=[1, 4],
    )  # fmt: skip
    ax = plotting.tree_plot(G, X)
    found = texts(ax)
    assert found[0].endswith("\ny = 0 + 1 a + 0.05 b + 0.4 c and 1 more, sd 1")
    assert found[1].endswith("reference\ny = 1, sd 2")
    assert not any(text.startswith("group") for text in found)


@pytest.mark.parametrize("gating", ["SS", "LL"])
@pytest.mark.parametrize("width", [7.0, 9.0])
def test_the_words_of_a_tree_stay_apart_and_in_the_figure(gating, width):
    with plotting.style():
        ax = Figure(figsize=(width, 3.0)).subplots()
    X, _ = sampled(gating)
    plotting.tree_plot(P2[gating], X, ax)
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]
    assert all(0 <= box.x0 and box.x1 <= ax.figure.bbox.x1 for box in boxes)


def test_a_tree_wants_covariates_and_counts_the_rows_of_a_fit(alone):
    with pytest.raises(ValueError, match="^X must be covariates"):
        plotting.tree_plot(P2["SS"])
    X, y, _ = alone.data
    weights = np.where(X[:, 0] > 0, 3.0, 1.0)
    weighted = hs.fit_mle(X, y, "SS", (2, 2), start=alone.measure, n_starts=1, weights=weights)
    share = np.average(hs.gate_weights(weighted.measure, X), axis=0, weights=weights)
    assert texts(weighted.plot("tree"))[1].startswith(f"0,0: {share[0]:.0%}")


# -- residuals --------------------------------------------------------------------------------------------------------
def test_residuals_stand_over_the_mean_or_a_covariate_with_the_means_of_bins(fit):
    X, _ = sampled()
    for along, x, label in ((None, fit.predict(X), "fitted mean of yield"), ("load", X["load"].to_numpy(), "load")):
        ax = fit.plot("residuals", along=along)
        np.testing.assert_allclose(ax.collections[0].get_offsets(), np.column_stack([x, fit.residuals()]))
        assert ax.get_xlabel() == label
        middles = ax.containers[0].lines[0].get_xydata()
        order = np.argsort(x, kind="stable")
        parts = np.array_split(order, len(middles))
        assert len(middles) == 10
        np.testing.assert_allclose(middles[:, 0], [x[part].mean() for part in parts], atol=0.2)
        np.testing.assert_allclose(middles[:, 1], [fit.residuals()[part].mean() for part in parts], atol=0.1)
        (bars,) = ax.containers[0].lines[2]
        heights = [np.ptp(bar[:, 1]) for bar in bars.get_segments()]
        np.testing.assert_allclose(heights, 4 / np.sqrt(40), rtol=0.05)
        assert (np.abs(middles[:, 1]) < 2 / np.sqrt(40)).sum() >= 8


def test_a_model_that_is_wrong_shows(alone):
    X, y, _ = alone.data
    line = hs.fit_mle(X, y + 2 * X[:, 0] ** 2, "SS", (1,))
    middles = line.plot("residuals", along="x").containers[0].lines[0].get_ydata()
    assert (np.abs(middles) > 2 / np.sqrt(len(y) / len(middles))).mean() > 0.4
    skew = np.random.default_rng(0).exponential(size=len(y))
    band, residuals = hs.fit_mle(X, skew, "SS", (1,)).plot("qq").collections
    assert outside(band, residuals) > 0.5


def outside(band, residuals):
    """Share of points beyond the band of a quantile-quantile plot, by the corners of the band."""
    x, y = np.asarray(residuals.get_offsets()).T
    corners = band.get_paths()[0].vertices
    ends = corners[corners[:, 1] >= corners[:, 0]], corners[corners[:, 1] <= corners[:, 0]]
    high, low = (np.interp(x, *v[np.argsort(v[:, 0], kind="stable")].T) for v in ends)
    return np.mean((y > high) | (y < low))


def test_the_band_of_a_quantile_plot_is_that_of_order_statistics(fit):
    ax = fit.plot("qq", level=0.9)
    band, residuals = ax.collections
    x, y = np.asarray(residuals.get_offsets()).T
    n = len(y)
    np.testing.assert_allclose(y, np.sort(fit.residuals()))
    np.testing.assert_allclose(x, norm.ppf((np.arange(1, n + 1) - 0.5) / n))
    corners = {tuple(np.round(v, 6)) for v in band.get_paths()[0].vertices}
    for i in (1, 7, 200, n):
        for p in (0.05, 0.95):
            assert (round(x[i - 1], 6), round(norm.ppf(beta.ppf(p, i, n + 1 - i)), 6)) in corners
    assert legend_texts(ax) == ["90 % of each, if the model is right"]
    assert outside(band, residuals) < 0.05


def test_rows_that_count_twice_are_two_rows(alone):
    X, y, _ = alone.data
    double = hs.fit_mle(np.tile(X, (2, 1)), np.tile(y, 2), "SS", (2, 2), start=alone.measure, n_starts=1)
    weighted = hs.fit_mle(X, y, "SS", (2, 2), start=alone.measure, n_starts=1, weights=np.full(len(y), 2.0))
    x, many = (np.asarray(one.plot("qq").collections[1].get_offsets())[:, 0] for one in (weighted, double))
    np.testing.assert_allclose(x, norm.ppf((norm.cdf(many[::2]) + norm.cdf(many[1::2])) / 2), atol=1e-9)
    bins = [one.plot("residuals", along=0).containers[0].lines[2][0].get_segments() for one in (weighted, double)]
    assert [len(segments) for segments in bins] == [8, 12]
    ways = [one.plot("residuals", along=0).containers[0].lines[0].get_xydata() for one in (weighted, alone)]
    np.testing.assert_allclose(*ways, atol=1e-6)
    assert np.ptp(bins[0][0][:, 1]) == pytest.approx(4 / np.sqrt(2 * len(y) / 8), rel=0.1)


# -- intervals --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("of", "count"), [("mean", 1), ("experts", 4), ("gates", 4), ("groups", 2), ("quantile", 2)])
def test_intervals_are_those_of_the_fit(fit, of, count):
    q = (0.1, 0.9)
    ax = fit.plot("intervals", of=of, along="cost in $", level=0.9, q=q)
    solid = [line for line in ax.get_lines() if line.get_linewidth() == 1.0]
    assert len(solid) == count
    x = solid[0].get_xdata()
    rows = pd.DataFrame({"load": fit.data.X[:, 0].mean(), "cost in $": x}).assign(load=np.median(fit.data.X[:, 0]))
    table = fit.intervals(of, rows, 0.9, q=q)
    np.testing.assert_allclose(np.concatenate([line.get_ydata() for line in solid]), table["estimate"])
    bands = [one for one in ax.collections if hasattr(one, "get_paths") and len(one.get_paths()[0].vertices) > 400]
    assert len(bands) == count
    corners = np.concatenate([band.get_paths()[0].vertices for band in bands])
    for end in ("low", "high"):
        wanted = np.column_stack([np.tile(x, count), table[end]])
        assert {tuple(v) for v in np.round(wanted, 6)} <= {tuple(v) for v in np.round(corners, 6)}
    if of == "mean":
        dashed = [line.get_ydata() for line in ax.get_lines() if line.get_linestyle() == "--"]
        np.testing.assert_allclose(np.array(dashed).T, fit.predict_interval(rows, 0.9)[["low", "high"]])
        assert legend_texts(ax) == ["mean, 90 % interval", "90 % of y"]
    assert (ax.get_ylabel() == "probability") == (of in ("gates", "groups"))


def test_a_curve_without_an_interval_says_why(alone):
    X, y, _ = alone.data
    box = {"beta": 1.5, "omega": 3, "nu": (0.04, 4)}
    bound = hs.fit_mle(X, y, "SS", (3, 2), start=alone.measure, n_starts=1, bounds=box)
    table = bound.intervals("experts", X[:5])
    assert (table["status"] != "estimated").any()  # a spare expert
    ax = bound.plot("intervals", of="experts")
    words = {status for status in table["status"] if status != "estimated"}
    said = [text.split(": ")[1].removesuffix(" in places") for text in legend_texts(ax) if ": " in text]
    assert said
    assert set(said) <= words | {"not identified", "not quadratic"}
    lows = [one.get_paths() for one in ax.collections[1:]]
    assert len(lows) == 5


# -- the door ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["fit", "gates", "tree", "residuals", "qq", "intervals"])
def test_a_fit_draws_itself_on_axes_or_its_own(fit, kind):
    ax = fit.plot(kind)
    assert isinstance(ax, Axes)
    ax.figure.savefig(io.BytesIO())  # a warning is an error
    assert fit.plot(kind, ax.figure.add_subplot()) is not ax


def test_a_fit_without_data_and_a_kind_that_is_none(fit, tmp_path):
    with pytest.raises(ValueError, match="^kind must be one of fit, gates, tree, residuals, qq, intervals; got 'bars'"):
        fit.plot("bars")
    fit.save(tmp_path / "fit.json")
    loaded = hs.FitResult.load(tmp_path / "fit.json")
    for kind in ("fit", "gates", "tree", "residuals", "qq", "intervals"):
        with pytest.raises(ValueError, match="must know its data"):
            loaded.plot(kind)
    for drawn in (plotting.qq_plot, plotting.residual_plot, plotting.interval_plot):
        with pytest.raises(ValueError, match="^fit must be a FitResult; got MixingMeasure"):
            drawn(fit.measure)


def test_frames_with_categories_are_drawn_as_the_fit_reads_them():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.uniform(-3, 3, 120), "kind": rng.choice(["a", "b", "c"], 120)})
    y = pd.Series(frame["x"] * np.where(frame["kind"] == "a", 2.0, -1.0) + 0.3 * rng.normal(size=120), name="height")
    fit = hs.fit(frame, y, "SS", (2,), n_starts=2)
    ax = hs.plotting.fit_plot(fit, frame, y)
    assert ax.get_ylabel() == "height"
    np.testing.assert_array_equal(np.sort(ax.collections[0].get_offsets()[:, 0]), np.sort(frame["x"]))
    assert hs.plotting.gate_map(fit, frame[["kind", "x"]]).get_xlabel().startswith("x")
