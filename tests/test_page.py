"""The page of a study: its panels and its verdicts, read back from the figure."""

import io
import re
import warnings
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.legend import Legend
from matplotlib.text import Text
from test_summary import SPLIT, pick, results, study

from simulations import page, words
from simulations.messages import glyphs_noted
from simulations.summary import Summary


def figure(study, frame, beside=(), **options):
    return page.figure(Summary(study, frame, beside), **options)


def panels(fig):
    """Quantity, gate -> texts of the legends, of every panel; the first panel of a quantity has its name."""
    out, quantity = {}, ""
    for ax in (ax for ax in fig.axes[:-1] if ax.axison):
        legends = [child for child in ax.get_children() if isinstance(child, Legend)]
        *above, gate = ax.get_title(loc="left").splitlines()
        quantity = above[0] if above else quantity
        out[f"{quantity}, {gate}"] = [text.get_text() for legend in legends for text in legend.get_texts()]
    return out


def texts_below(fig):
    return [text.get_text() for text in fig.axes[-1].texts]


def test_the_page_shows_the_table():
    found = Summary(study(), results(study()))
    fig = page.figure(found)
    shown = panels(fig)
    names = ["Voronoi loss", "a of each group, m = 1", *(f"{name} of each expert, m = 2" for name in SPLIT)]
    names += ["mean of eta over the cell, m = 2"]
    assert list(shown) == [f"{name}, {gate}" for name in names for gate in ("softmax", "Laplace")]
    omega = shown["omega of each expert, m = 2, softmax"]
    assert omega[:2] == ["\u03b1 = 1/8: published", "\u03b1 = 1/4: derived"]
    for gating, gate in (("SS", "softmax"), ("LL", "Laplace")):
        one = {"gating": gating, "k2": "3,3", "size": 2, "parameter": "omega", "statistic": "mean"}
        row = pick(found.slopes, **one).iloc[0]
        alpha = f"{-row.slope:.2f} [{-row.ci_high:.2f}, {-row.ci_low:.2f}]"
        assert shown[f"omega of each expert, m = 2, {gate}"][-1] == f"{gating}: \u03b1 = {alpha}"
        limit = {"SS": "1/4", "LL": "\u2265 1/3"}[gating]  # that of a mean under Laplace gates is open
        assert f"{alpha}  {words.AGREEMENTS[row.verdict_limit][0]} {limit}" in texts_below(fig)
    assert shown["Voronoi loss, softmax"][-2][:7] == "SS 2,2:"
    fig.savefig(io.BytesIO(), format="svg")


def test_pairs_of_panels_share_their_scale():
    axes = figure(study(), results(study())).axes[:-1]
    for left, right in zip(axes[::2], axes[1::2], strict=True):
        assert left.get_ylim() == right.get_ylim()
        for ax in (left, right):
            low, high = ax.get_ylim()
            assert all(low < y < high for line in ax.get_lines() for y in np.asarray(line.get_ydata()))


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
    found = panels(figure(study(), frame))
    assert not any("nu" in title for title in found)
    assert "omega of each expert, m = 2, softmax" in found
    assert "omega of each expert, m = 2, Laplace" not in found


def test_an_exact_study_and_another_statistic():
    exact = study(k2=[[2, 2]], statistics=["median"])
    fig = figure(exact, results(exact))
    assert "omega of each expert, m = 1, softmax" in panels(fig)
    assert "(median over replicates)" in fig.get_suptitle()
    assert "(q75 over replicates)" in figure(exact, results(exact), statistic="q75").get_suptitle()


def test_boxes_stand_side_by_side():
    made = study(gatings=["SS"], k2=[[3, 3]])
    other = study(name="wide", fit={"bounds": {"beta": 3.0}})
    found = panels(figure(made, results(made), beside=[(other, results(other))]))
    assert [text.partition(":")[0] for text in found["omega of each expert, m = 2, softmax"][-2:]] == [
        "SS made-up",
        "SS wide",
    ]


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
    shown = [text.partition(":")[0] for text in panels(fig)["omega of each expert, m = 2, softmax"][-3:]]
    assert len(set(shown)) == 3
    assert max(map(len, shown)) < 25
    assert all(re.fullmatch(r"SS (made-up|long\w+\N{HORIZONTAL ELLIPSIS}\w+( 2)?)", text) for text in shown)
    fig.savefig(io.BytesIO(), format="png")
