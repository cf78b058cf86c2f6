"""Figures: what is on the axes, that nothing overlaps, and that no global state is left behind."""

import io
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.figure import Figure

from hmoe_stats import datasets, plotting
from hmoe_stats.gates import GATINGS
from hmoe_stats.likelihood import gate_weights
from hmoe_stats.names import interval
from hmoe_stats.rates import fit_rate
from hmoe_stats.sampling import Uniform, sample
from hmoe_stats.theory import interactions


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    parts = []
    for gating, alpha in (("SS", 0.25), ("LL", 0.4)):
        n = np.repeat([1000, 3000, 10_000, 30_000], 12)
        parts.append(pd.DataFrame({"n": n, "error": n**-alpha * rng.lognormal(0, 0.5, n.size), "gating": gating}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(autouse=True)
def nothing_global():
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


def c4_interactions():
    return interactions(datasets.truth("C4"), 1, x=Uniform())


def legend_texts(ax):
    legends = [child for child in ax.get_children() if isinstance(child, mpl.legend.Legend)]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def overlaps(ax):
    """Pairs of legends, title and data points that lie over each other, in pixels."""
    ax.figure.draw_without_rendering()
    legends = [child for child in ax.get_children() if isinstance(child, mpl.legend.Legend)]
    boxes = [legend.get_window_extent() for legend in legends] + [ax.title.get_window_extent()]
    pairs = [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]
    points = np.concatenate(
        [ax.transData.transform(line.get_xydata()) for line in ax.get_lines() if len(line.get_xydata())]
    )
    covered = [(i, tuple(p)) for i, box in enumerate(boxes) for p in points if box.contains(*p)]
    outside = [box for box in boxes[:-1] if box.x1 > ax.bbox.x1 + 2 or box.x0 < ax.bbox.x0 - 2]
    return pairs + covered + outside


def test_rate_plot_shows_points_lines_and_slopes(table):
    ax = plotting.rate_plot(table, statistic="median")
    assert isinstance(ax.figure, Figure)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    texts = legend_texts(ax)
    for gating in ("SS", "LL"):
        part = table[table["gating"] == gating]
        fit = fit_rate(part["n"], part["error"], "median")
        assert f"{gating}: \u03b1 = {interval(-fit.slope, -fit.ci_high, -fit.ci_low)}" in texts
        drawn = [line.get_xydata() for line in ax.get_lines()]
        assert any(xy.shape == (4, 2) and np.allclose(xy[:, 1], fit.values) for xy in drawn)
        assert any(xy.shape == (4, 2) and np.allclose(xy[:, 1], fit.predict(fit.n)) for xy in drawn)


HOSTILE = [r"$\frac{", "cost in $ per {unit and 3 $ more", "\x1b[31m\n\0", "_hidden", "90 % #1 ~^\\", "w" * 500]


@pytest.mark.parametrize(
    ("name", "settings"),
    [*((name, {}) for name in HOSTILE), (HOSTILE[1], {"text.usetex": True}), (HOSTILE[1], {"text.parse_math": False})],
)
def test_names_are_drawn_as_they_are_written(table, name, settings):
    table = table.replace({"gating": {"SS": name}})
    with mpl.rc_context(settings):
        ax = plotting.rate_plot(table, series="gating", references={name: 0.25, "other": 0.25}, ylabel=name, n_boot=100)
        file = io.BytesIO()
        with mpl.rc_context({"svg.fonttype": "none", "text.usetex": False}):
            ax.figure.savefig(file, format="svg")
    texts = [
        "".join(text.itertext()) for text in ElementTree.fromstring(file.getvalue()).iter() if text.tag[-4:] == "text"
    ]
    written = name.replace("\x1b", r"\x1b").replace("\n", r"\n").replace("\0", r"\x00")
    written = written if len(name) < 40 else "w" * 22 + "\N{HORIZONTAL ELLIPSIS}" + "w" * 11
    assert any(text.startswith(f"{written}: \u03b1 = 0.") for text in texts)
    assert f"\u03b1 = 1/4: {written}, other" in texts


def test_bands_are_the_bootstrap_interval_of_the_statistic(table):
    ax = plotting.rate_plot(table[table["gating"] == "SS"].drop(columns="gating"))
    part = table[table["gating"] == "SS"]
    fit = fit_rate(part["n"], part["error"])
    (band,) = ax.collections
    corners = {tuple(np.round(np.log(point), 5)) for point in band.get_paths()[0].vertices}
    for sign in (-1, 1):
        ends = fit.values * np.exp(sign * 1.959964 * fit.log_standard_errors)
        assert set(map(tuple, np.round(np.log(np.column_stack([fit.n, ends])), 5))) <= corners
    assert legend_texts(ax) == [str(fit).replace("alpha", "\u03b1")]


def test_gatings_differ_without_colour():
    looks = plotting.GATING_STYLES.values()
    assert len({look["marker"] for look in looks}) == len({look["linestyle"] for look in looks}) == len(GATINGS)


def test_models_of_one_gating_share_its_colour_and_differ_without_it(table):
    models = pd.concat([table.assign(gating=table["gating"] + " " + k2) for k2 in ("2,2", "3,3")])
    ax = plotting.rate_plot(models)
    looks = {handle.get_label()[:6]: handle for handle in ax.get_legend().get_lines()}
    assert looks["SS 2,2"].get_color() == plotting.GATING_STYLES["SS"]["color"]
    hues = {name: rgb_to_hsv(to_rgb(handle.get_color()))[0] for name, handle in looks.items()}
    assert hues["SS 2,2"] == pytest.approx(hues["SS 3,3"], abs=0.01)
    assert hues["LL 2,2"] == pytest.approx(hues["LL 3,3"], abs=0.01)
    assert len({(h.get_marker(), h.get_fillstyle()) for h in looks.values()}) == 4


def test_references_are_labelled_merged_and_below_the_data(table):
    references = {"published SS": 1 / 8, "derived SS": 1 / 4, "published LL": 0.25, "derived LL": 1 / 3, "flat": 0.0}
    ax = plotting.rate_plot(table, references=references)
    texts = legend_texts(ax)
    assert "\u03b1 = 1/4: derived SS, published LL" in texts
    assert {f"\u03b1 = {rate}" for rate in ("1/8: published SS", "1/3: derived LL", "0: flat")} < set(texts)
    lines = {line.get_label(): line for line in ax.get_legend().get_lines()}
    assert set(lines) == {text for text in texts if text.startswith(("SS", "LL"))}
    thin = [line.get_xydata() for line in ax.get_lines() if line.get_linewidth() < 0.8 and len(line.get_xydata()) == 2]
    slopes = sorted(np.diff(np.log(xy[:, 1]))[0] / np.diff(np.log(xy[:, 0]))[0] for xy in thin)
    np.testing.assert_allclose(slopes, [-1 / 3, -1 / 4, -1 / 8, 0], atol=1e-12)
    lowest = min(band.get_paths()[0].vertices[:, 1].min() for band in ax.collections)
    assert max(xy[:, 1].max() for xy in thin) < lowest


@pytest.mark.parametrize("size", [(2.5, 2.3), (4.2, 3.2), (7.0, 5.0)])
def test_nothing_overlaps(table, size):
    references = {"reported SS": 1 / 8, "derived SS, reported LL": 1 / 4, "derived LL": 1 / 3}
    with plotting.style():
        ax = Figure(figsize=size).subplots()
        ax.set_title("omega, cells of 2 experts", loc="center")
    plotting.rate_plot(table, ax, references=references)
    assert overlaps(ax) == []


@pytest.mark.parametrize("span", [1.5, 3.0, 9.0, 60.0, 1e4])
def test_a_log_axis_of_any_span_has_some_labels_and_not_too_many(table, span):
    for low in (0.013, 0.08, 0.41):
        ax = plotting.rate_plot(table)
        ax.set_ylim(low, low * span)
        ax.figure.draw_without_rendering()
        ticks = [*ax.yaxis.get_major_ticks(), *ax.yaxis.get_minor_ticks()]
        seen = [t.get_loc() for t in ticks if t.label1.get_text() and low <= t.get_loc() <= low * span]
        assert 1 <= len(seen) <= 6
        assert len(seen) == len(set(seen))


def test_loss_plot_has_the_parametric_slope(table):
    ax = plotting.loss_plot(table)
    assert "\u03b1 = 1/2: parametric" in legend_texts(ax)
    assert ax.get_ylabel() == "Voronoi loss"


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_fit_plot(gating):
    G = datasets.truth("C2", gating)
    X, y = sample(G, 200, x=Uniform(-3, 3), seed=0)
    ax = plotting.fit_plot(G, X, y)
    assert legend_texts(ax) == ["expert 0,0", "expert 0,1", "expert 1,0", "expert 1,1", "mean"]
    # experts are far apart: each point has very nearly the colour of its nearest line
    nearest = np.abs(y[:, None] - X * G.eta[:, 0] - G.tau).argmin(axis=1)
    expected = np.array([to_rgb(plotting.COLORS[i]) for i in nearest])
    scatter = ax.collections[0]
    assert np.median(np.abs(scatter.get_facecolors()[:, :3] - expected).max(axis=1)) < 0.01
    # the strip: the edge between the groups is the first group's gate
    (strip,) = ax.child_axes
    edge = next(line for line in strip.get_lines() if line.get_color() == "black")
    x = edge.get_xdata()
    np.testing.assert_allclose(edge.get_ydata(), gate_weights(G, x)[:, :2].sum(axis=1))
    assert plotting.fit_plot(G, X[:, 0], y, gates=False).child_axes == []


@pytest.mark.parametrize(("gating", "framed"), [("SS", 3), ("LL", 1)])
def test_interaction_plot(gating, framed):
    result = interactions(datasets.truth("C2", gating), x=Uniform(-3, 3))
    ax = plotting.interaction_plot(result)
    (image,) = ax.images
    shown = image.get_array()
    lower = np.tril_indices(len(result.names))
    np.testing.assert_allclose(shown[lower], result.correlation[lower])
    assert shown.mask.sum() == len(result.names) * (len(result.names) - 1) / 2
    frames = {(round(patch.get_y() + 0.5), round(patch.get_x() + 0.5)) for patch in ax.patches}
    assert len(frames) == framed
    assert (result.names.index("d2/dtau2"), result.names.index("d/dnu")) in frames
    assert all(abs(result.correlation[place]) > 1 - 1e-12 for place in frames)
    label = ax.get_yticklabels()[result.names.index("d2/domega dtau")].get_text()
    assert label == r"$\partial^2/\partial \omega\partial \tau$"
    (text,) = ax.texts
    assert r"$\partial^2/\partial \tau^2$ - 2 $\partial/\partial \nu$ = 0" in text.get_text().splitlines()
    angle = f": {result.angle('d2/domega deta'):.3g}\N{DEGREE SIGN}"
    assert angle in text.get_text()
    ax.figure.draw_without_rendering()
    box, grid = text.get_window_extent(), ax.transData
    assert not any(box.contains(*grid.transform((i - 0.5, i - 0.5))) for i in range(len(result.names)))


def test_interaction_plot_of_some_derivatives_of_several_experts_and_covariates():
    wide = {"omega": [[-0.5, 0.1], [0.5, 0.0]], "eta": [[0.0, 1.0], [1.0, 0.0]], "a": [[0.0, 0.0]]}
    G = datasets.truth("C2").replace(k2=(2,), b=[0.0], beta=[0.0, 0.0], tau=[-3.0, 3.0], nu=[1.0, 1.0], **wide)
    result = interactions(G, x=Uniform(-1, 1), experts="all", draws=20)
    names = ["d/deta_1[0,1]", "d2/domega_1[0,1] dtau[0,1]", "d2/domega_1[0,1]^2"]
    ax = plotting.interaction_plot(result, names=names)
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        r"$\partial/\partial \eta_{1,0,1}$",
        r"$\partial^2/\partial \omega_{1,0,1}\partial \tau_{0,1}$",
        r"$\partial^2/\partial \omega_{1,0,1}^2$",
    ]
    assert [patch.get_xy() for patch in ax.patches] == [(-0.5, 0.5)]
    more = len(result.identities) - 8
    assert f"and {more} more" in ax.texts[0].get_text()
    ax.figure.draw_without_rendering()


def test_given_axes_are_drawn_on(table):
    axes = Figure().subplots(1, 2)
    assert plotting.rate_plot(table, axes[0]) is axes[0]
    assert plotting.fit_plot(datasets.truth("C4"), [0.0, 1.0], [-2.0, 2.0], axes[1]) is axes[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: plotting.rate_plot(t.drop(columns="error")), "table must have the columns n and error; 'error'"),
        (lambda t: plotting.rate_plot(t, series="k2"), "'k2' is not among"),
        (lambda t: plotting.rate_plot(t.iloc[:0]), "at least one row"),
        (lambda t: plotting.rate_plot(t, references={"x": np.nan}), "finite alphas >= 0; got 'x': nan"),
        (lambda t: plotting.rate_plot(t, statistic="mode"), "statistic must be"),
        (lambda t: plotting.interaction_plot(c4_interactions(), names=["d/dx"]), "must be some of d/deta.*'d/dx'"),
        (lambda t: plotting.interaction_plot(c4_interactions(), names=[]), "got 'none'"),
        (lambda t: plotting.fit_plot("G", [0.0], [0.0]), "G must be a MixingMeasure"),
        (lambda t: plotting.fit_plot(datasets.truth("C2"), [0.0, 1.0], [0.0]), "y must have as many entries"),
    ],
)
def test_bad_input_is_named(table, call, message):
    with pytest.raises(ValueError, match=message):
        call(table)


@pytest.mark.parametrize("same", [0.0, -1e12])
def test_fit_plot_of_equal_values_has_axes_of_some_length(same):
    for X, y in (([same] * 3, [0.0, 1.0, 2.0]), ([0.0, 1.0, 2.0], [same] * 3)):
        ax = plotting.fit_plot(datasets.truth("C2"), X, y)
        assert all(low < high for low, high in (ax.get_xlim(), ax.get_ylim()))


def test_long_names_of_columns_leave_room_for_the_data():
    X, y = pd.DataFrame({"q" * 5000: [0.0, 1.0]}), pd.Series([-2.0, 2.0], name="r" * 5000)
    ax = plotting.fit_plot(datasets.truth("C2"), X, y)
    ax.figure.savefig(io.BytesIO())  # a warning of axes without room is an error
    for label, letter in ((ax.get_ylabel(), "r"), (ax.child_axes[0].get_xlabel(), "q")):
        assert label.startswith(letter * 20)
        assert len(label) == 60


def test_curves_that_were_fitted_before_are_drawn_without_a_fit(table, monkeypatch):
    parts = dict(list(table.groupby("gating", sort=False)))
    fits = {name: fit_rate(part["n"], part["error"]) for name, part in parts.items()}
    wanted = plotting.rate_plot(table, references={"derived": 0.25})
    monkeypatch.setattr(plotting.rates, "fit_rate", lambda *_, **__: pytest.fail("fitted"))
    ax = plotting.curve_plot(fits, references={"derived": 0.25})
    assert legend_texts(ax) == legend_texts(wanted)
    for drawn, line in zip(ax.get_lines(), wanted.get_lines(), strict=True):
        np.testing.assert_array_equal(drawn.get_xydata(), line.get_xydata())
    assert legend_texts(plotting.curve_plot({"": fits["SS"]}))[0].startswith("\u03b1 = ")
    for wrong in ({}, [fits["SS"]], {"SS": 0.25}):
        with pytest.raises(ValueError, match="fits must map names to results of fit_rate"):
            plotting.curve_plot(wrong)
