"""The page of a study: its panels and its verdicts, read back from the figure."""

import io
import re
import warnings
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text
from test_summary import SPLIT, pick, results, study

from hmoe_stats import plotting
from simulations import page, words
from simulations.messages import glyphs_noted
from simulations.summary import Summary


def figure(study, frame, beside=(), **options):
    return page.figure(Summary(study, frame, beside), **options)


def panels(fig):
    """Title of every panel -> the texts of its legend, which are theory's rates."""
    return {ax.get_title(loc="left"): legend_texts(ax) for ax in fig.axes[:-1]}


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()] if ax.get_legend() else []


def models(fig):
    """The names in the legend of models, and their looks."""
    (legend,) = fig.legends
    return dict(zip([text.get_text() for text in legend.get_texts()], legend.get_lines(), strict=True))


def texts_below(fig):
    return [text.get_text() for text in fig.axes[-1].texts]


NAMES = ["Voronoi loss", "a of each group, m = 1", *(f"{name} of each expert, m = 2" for name in SPLIT)]
NAMES += ["mean of eta over the cell, m = 2"]


def test_the_page_shows_the_table():
    found = Summary(study(), results(study()))
    fig = page.figure(found, every=True)
    assert list(panels(fig)) == NAMES
    omega = panels(fig)["omega of each expert, m = 2"]
    assert omega == ["\u03b1 = 1/8: published SS", "\u03b1 = 1/4: published LL, derived SS", "\u03b1 = 1/3: derived LL"]
    assert list(models(fig)) == ["SS 2,2", "SS 3,3", "LL 2,2", "LL 3,3"]
    for gating in ("SS", "LL"):
        one = {"gating": gating, "k2": "3,3", "size": 2, "parameter": "omega", "statistic": "mean"}
        row = pick(found.slopes, **one).iloc[0]
        alpha = f"{-row.slope:.2f} [{-row.ci_high:.2f}, {-row.ci_low:.2f}]"
        limit = {"SS": "1/4", "LL": "\u2265 1/3"}[gating]  # that of a mean under Laplace gates is open
        assert f"{alpha}  {words.AGREEMENTS[row.verdict_limit][0]} {limit}" in texts_below(fig)
    fig.savefig(io.BytesIO(), format="svg")


def test_panels_have_the_points_and_the_lines_of_the_tables():
    found = Summary(study(), results(study()))
    fig = page.figure(found, every=True)
    (ax,) = (ax for ax in fig.axes if ax.get_title(loc="left") == "omega of each expert, m = 2")
    drawn = [line.get_xydata() for line in ax.get_lines()]
    for gating in ("SS", "LL"):
        model = ("made-up", gating, "3,3")
        fit = found.line(model, (2, 2, "omega", "weighted"), "mean").fit
        for values in (fit.values, fit.predict(fit.n)):
            assert any(xy.shape == (4, 2) and np.allclose(xy[:, 1], values) for xy in drawn)
    low, high = ax.get_ylim()
    assert all(low < y < high for xy in drawn for y in xy[:, 1])


def test_a_page_has_six_panels_with_the_primary_quantities_first():
    one = study(primary=["mean of eta over the cell, m = 2", "published Voronoi loss"])
    found = Summary(one, results(one))
    fig = page.figure(found)
    assert list(panels(fig)) == ["mean of eta over the cell, m = 2", "published Voronoi loss", *NAMES[:4]]
    assert "not shown: 2 more panels, which hmoe plot made-up --all draws" in texts_below(fig)[-1]
    assert not any("tau of each" in text for text in texts_below(fig))
    whole = page.figure(found, every=True)
    assert list(panels(whole)) == ["mean of eta over the cell, m = 2", "published Voronoi loss", *NAMES[:-1]]
    assert "not shown" not in texts_below(whole)[-1]


def test_a_page_has_the_width_of_two_columns_and_fits_on_a4():
    others = [(study(name=f"other-{i}", seed=i + 2), i) for i in range(2)]
    fig = figure(study(), results(study()), beside=[(other, results(other)) for other, _ in others])
    width, height = fig.get_size_inches()
    assert width == plotting.PAGE == 7.2
    assert height <= plotting.TALLEST
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in fig.axes[-1].texts]
    assert not any(boxes[i].overlaps(boxes[j]) for i in range(len(boxes)) for j in range(i))
    assert all(fig.bbox.x0 <= box.x0 and box.x1 <= fig.bbox.x1 and box.y0 >= 0 for box in boxes)
    assert min(text.get_fontsize() for text in fig.findobj(Text) if text.get_text()) >= plotting.SMALLEST


def test_models_are_told_apart_in_grey():
    others = [study(name=f"other-{i}", seed=i + 2) for i in range(2)]
    fig = figure(study(), results(study()), beside=[(other, results(other)) for other in others])
    looks = [(line.get_marker(), line.get_fillstyle(), line.get_linestyle()) for line in models(fig).values()]
    assert len(looks) == len(set(looks)) == 12


def test_titles_do_not_run_into_each_other():
    fig = figure(study(), results(study()))
    fig.savefig(io.BytesIO(), format="png")
    boxes = [ax._left_title.get_window_extent() for ax in fig.axes if ax.get_title(loc="left")]
    assert all(fig.bbox.x0 <= box.x0 < box.x1 <= fig.bbox.x1 for box in boxes)
    assert not any(boxes[i].overlaps(boxes[j]) for i in range(len(boxes)) for j in range(i))


def test_what_has_no_slope_is_left_out():
    frame = results(study())
    frame.loc[(frame["parameter"] == "omega") & (frame["gating"] == "LL"), "error"] = 0.0
    frame.loc[frame["parameter"] == "nu", "error"] = 0.0
    found = panels(figure(study(), frame, every=True))
    assert not any("nu" in title for title in found)
    assert found["omega of each expert, m = 2"] == ["\u03b1 = 1/8: published", "\u03b1 = 1/4: derived"]  # those of SS


def test_an_exact_study_and_another_statistic():
    exact = study(k2=[[2, 2]], statistics=["median", "q75"])
    fig = figure(exact, results(exact))
    assert "omega of each expert, m = 1" in panels(fig)
    assert "(median over replicates)" in fig.get_suptitle()
    assert "(q75 over replicates)" in figure(exact, results(exact), statistic="q75").get_suptitle()


def test_boxes_stand_side_by_side():
    made = study(gatings=["SS"], k2=[[3, 3]])
    other = study(name="wide", fit={"bounds": {"beta": 3.0}})
    fig = figure(made, results(made), beside=[(other, results(other))])
    assert list(models(fig)) == ["SS made-up", "SS wide"]
    (ax,) = (ax for ax in fig.axes if ax.get_title(loc="left") == "omega of each expert, m = 2")
    colors = {line.get_color() for line in ax.get_lines()}
    assert {line.get_color() for line in models(fig).values()} <= colors


def test_one_replicate_is_too_few():
    frame = results(study())
    with pytest.raises(ValueError, match="no slope to draw: no 2 sample sizes"):
        figure(study(), frame[frame["replicate"] == 0])


def drawn(fig):
    """The lines of text in a figure as SVG viewers show them, and what was said of the font."""
    file, said = io.BytesIO(), []
    with glyphs_noted(said.append), matplotlib.rc_context({"svg.fonttype": "none"}):
        fig.savefig(file, format="svg")
    root = ElementTree.fromstring(file.getvalue())
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")], said


@pytest.fixture(scope="module")
def small():
    return pick(results(study(gatings=["SS"], k2=[[2, 2]])), parameter="loss_sharp")


@pytest.mark.parametrize(
    "title",
    [
        "gain in $ per {unit and 3 $ more",
        r"$\frac{1}{$",
        r"\$ and \alpha_0^{",
        "5 % & <b>bold</b> #1 ~ _x_",
        "\N{HEBREW LETTER ALEF} \N{GREEK SMALL LETTER OMEGA} \N{NO-BREAK SPACE}",
    ],
)
def test_a_title_is_drawn_as_it_is_written(small, title):
    texts, said = drawn(figure(study(gatings=["SS"], k2=[[2, 2]], title=title), small))
    assert f"{title} (mean over replicates)" in texts
    assert said == []


def test_what_cannot_be_drawn_is_shown(small):
    title = "a\nb \0 \x1b[31m \x9b \u202ec \ufeff \uffff"
    texts, _ = drawn(figure(study(gatings=["SS"], k2=[[2, 2]], title=title), small))
    assert r"a\nb \x00 \x1b[31m \x9b \u202ec \ufeff \uffff (mean over replicates)" in texts


def test_what_the_font_lacks_is_said_in_a_line(small):
    texts, said = drawn(figure(study(gatings=["SS"], k2=[[2, 2]], title="\u65e5\u672c"), small))
    assert "\u65e5\u672c (mean over replicates)" in texts
    assert said == ["note: the font of the figures has nothing for \u65e5 \u672c: boxes stand there"]
    with pytest.warns(RuntimeWarning, match="other"), glyphs_noted(said.append):
        warnings.warn("other", RuntimeWarning, stacklevel=1)


@pytest.mark.parametrize("title", ["W" * 500, "the gain in $ per unit " * 20, "\u65e5\u672c " * 100, "l" * 500])
def test_a_long_title_stays_on_the_page(small, title):
    fig = figure(study(gatings=["SS"], k2=[[2, 2]], title=title), small)
    texts, _ = drawn(fig)
    assert "(mean over replicates)" in texts
    assert any("[...]" in text for text in texts)
    with glyphs_noted(print):
        box = fig.findobj(lambda artist: isinstance(artist, Text) and artist.get_text() == fig.get_suptitle())
        (box,) = {tuple(text.get_window_extent().extents) for text in box}
    left, bottom, right, _ = box
    assert fig.bbox.x0 <= left < right <= fig.bbox.x1
    assert bottom > max(ax.get_window_extent().y1 for ax in fig.axes)


def test_long_names_of_studies_stay_distinct():
    made = study(gatings=["SS"], k2=[[3, 3]])
    names = [f"{'long' * 10}-{i}-{'name' * 10}" for i in range(2)]
    others = [study(name=name, fit={"bounds": {"beta": 3.0 + i}}) for i, name in enumerate(names)]
    data = [(one, pick(results(one), parameter="omega", gating="SS", size=2)) for one in (made, *others)]
    fig = figure(*data[0], beside=data[1:])
    shown = list(models(fig))
    assert len(set(shown)) == 3
    assert max(map(len, shown)) < 25
    assert all(re.fullmatch(r"SS (made-up|long\w+\N{HORIZONTAL ELLIPSIS}\w+( 2)?)", text) for text in shown)
    fig.savefig(io.BytesIO(), format="png")
