"""The look of the figures that ship, and that their tables alone make them."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import XAxis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from test_summary import results, study
from typer.testing import CliRunner

from hmoe_stats import plotting
from hmoe_stats.plotting.looks import settle
from simulations import files, gallery, words
from simulations.cli import app
from simulations.study import load_study
from simulations.summary import Summary

FIGURES = Path(__file__).parents[1] / "figures"
DRAWN = sorted(FIGURES.rglob("*.svg"))
EVIDENCE = sorted((file.stem for file in DRAWN if file.stem.startswith("evidence")), key=len)


def root(file):
    return ElementTree.fromstring(file.read_text(encoding="utf-8"))


def name(file):
    return file.relative_to(FIGURES).as_posix()


# -- the look of what ships -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("file", DRAWN, ids=name)
def test_a_figure_that_ships_is_as_wide_as_columns_and_fits_on_a4(file):
    width, height = (float(root(file).get(end).removesuffix("pt")) / 72 for end in ("width", "height"))
    assert min(abs(width - one) for one in (plotting.COLUMN, plotting.PAGE)) < 1e-6
    assert height <= plotting.TALLEST
    png = file.with_suffix(".png").read_bytes()
    pixels = [int.from_bytes(png[at : at + 4], "big") for at in (16, 20)]
    assert np.allclose(pixels, [200 * width, 200 * height], atol=1)


@pytest.mark.parametrize("file", DRAWN, ids=name)
def test_its_text_is_of_eight_points_and_nowhere_below_six(file):
    texts = [part for part in root(file).iter() if part.tag.endswith("}text") and "".join(part.itertext()).strip()]
    styles = [part.get("style", "") for text in texts for part in text.iter()]
    sizes = [float(size) for style in styles for size in re.findall(r"([\d.]+)px", style)]
    assert len(sizes) >= len(texts) > 10
    assert plotting.SMALLEST <= min(sizes) <= max(sizes) == 8


@pytest.mark.parametrize("file", DRAWN, ids=name)
def test_it_has_at_most_six_panels(file):
    axes = [part for part in root(file).iter() if re.fullmatch(r"axes_\d+", part.get("id", ""))]
    verdicts = (FIGURES / file.stem / "slopes.csv").exists()  # a panel without axes, below the others
    assert 1 <= len(axes) - verdicts <= plotting.PANELS


def test_series_are_told_apart_in_grey_print():
    grey = [np.dot(to_rgb(color), (0.2126, 0.7152, 0.0722)) for color in plotting.COLORS]
    near = [(i, j) for i in range(len(grey)) for j in range(i) if abs(grey[i] - grey[j]) < 0.15]
    assert 0 < len(near)  # which is why colours are not enough
    assert all(plotting.MARKERS[i] != plotting.MARKERS[j] for i, j in near)
    names = [*plotting.GATING_STYLES, *(f"{gating} other" for gating in plotting.GATING_STYLES), "SS third", "LL third"]
    looks = [(look["marker"], look.get("fillstyle")) for look in plotting.series_looks(names)]
    assert len(set(looks)) == len(looks) == 20


def test_models_of_one_gating_alone_have_colours_of_their_own():
    looks = plotting.series_looks([f"SS {k2}" for k2 in range(7)])
    for key in ("color", "marker"):
        assert len({look[key] for look in looks}) == 7
    (alone,) = plotting.series_looks(["LL"])
    assert alone == plotting.GATING_STYLES["LL"]


@pytest.mark.parametrize(
    ("ends", "few", "labels"),
    [((1e3, 1e5), False, ["10³", "10⁴", "10⁵"]), ((0.1, 0.9), True, ["10⁻¹", "2×10⁻¹", "5×10⁻¹"])],
)
def test_powers_are_text_of_one_size(ends, few, labels):
    axis: XAxis = Figure().subplots().xaxis
    axis.axes.set(xscale="log", xlim=ends)
    plotting.label_powers(axis, few)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    axis.figure.draw_without_rendering()
    seen = [tick.label1.get_text() for tick in ticks if ends[0] <= tick.get_loc() <= ends[1]]
    assert sorted(filter(None, seen)) == sorted(labels)


def test_a_plot_of_ones_own_is_a_column_wide():
    table = pd.DataFrame({"n": np.repeat([100, 1000], 6), "error": np.linspace(1, 2, 12)})
    assert plotting.rate_plot(table, n_boot=100).figure.get_size_inches()[0] == plotting.COLUMN


# -- from tables alone ------------------------------------------------------------------------------------------------
def test_tables_make_the_page_that_results_make(tmp_path):
    one = study(primary=["eta of each expert, m = 2"])
    found = Summary(one, results(one))
    tables = {"slopes": found.slopes, "curves": found.curves}
    for table, content in tables.items():
        (tmp_path / one.name).mkdir(exist_ok=True)
        files.write_table(tmp_path / one.name / f"{table}.csv", content, 6)
    (tmp_path / one.name / "declared.txt").write_text("declared before the first fit\n")
    read, declared = gallery.read(one, tmp_path)
    assert declared == "declared before the first fit"
    for table, content in tables.items():
        pd.testing.assert_frame_equal(read[table], files.as_written(content, 6))
    made = [
        gallery.figures(one, these, declared, every=True)
        for these in (read, {table: files.as_written(content, 6) for table, content in tables.items()})
    ]
    assert list(made[0]) == ["made-up", "made-up-all"]
    for i, drawn in enumerate(made):
        for figure in drawn:
            files.write_figure(tmp_path / f"{figure}-{i}.svg", drawn[figure], salt="x")
    for figure in made[0]:
        first, second = ((tmp_path / f"{figure}-{i}.svg").read_bytes() for i in range(2))
        assert first == second
    assert b"declared before the first fit" in first


def test_a_layout_is_the_same_whatever_the_last_bits_of_its_solver():
    figure = Figure(layout="constrained")
    ax = figure.subplots(2, 2)[0, 0]
    settle(figure)
    bounds = ax.get_position().bounds
    assert bounds == pytest.approx(np.round(bounds, 6), abs=1e-15)
    ax.set_ylabel("wide\n" * 5)
    figure.draw_without_rendering()
    assert ax.get_position().bounds == bounds


def test_words_that_a_table_lacks_are_empty_and_not_missing():
    table = pd.DataFrame({"verdict_limit": ["", ""], "limit": ["bound", ""], "k2": ["2", ""], "slope": [0.5, np.nan]})
    back = files.as_written(table, 6)
    assert back[["verdict_limit", "limit", "k2"]].values.tolist() == [["", "bound", "2"], ["", "", ""]]
    assert back["slope"].isna().tolist() == [False, True]


def test_every_figure_that_ships_has_the_tables_that_it_is_drawn_from():
    made = {f"{one}/{one}" for one in gallery.drawn(FIGURES)}
    made |= {f"{file.parent.name}/local" for file in FIGURES.glob("*/local.csv")}
    assert {name(file).removesuffix(".svg") for file in DRAWN} == made | {"gates-at-work", *EVIDENCE}


@pytest.mark.parametrize("one", ["exact", "reproduction-far", "applied-images"])
def test_the_command_draws_from_tables(one, tmp_path):
    done = CliRunner().invoke(app, ["gallery", one, "--figures", str(FIGURES), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    wanted = sorted(file.name for file in FIGURES.glob(f"{one}/*.svg"))
    assert sorted(file.name for file in (tmp_path / one).glob("*.svg")) == wanted
    for file in wanted:  # fonts may differ elsewhere, and the places of texts with them
        new, old = ("".join(root(folder / one / file).itertext()).split() for folder in (tmp_path, FIGURES))
        assert new == old


def test_the_evidence_that_ships_is_drawn_from_its_table():
    drawn = gallery.overviews(FIGURES)
    assert [figure for figure in drawn if figure != "gates-at-work"] == EVIDENCE
    shown = [text.get_text() for one in EVIDENCE for text in drawn[one].axes[0].texts]
    table = files.read_csv(FIGURES / "evidence.csv")
    for row in table[table["drawn"]].itertuples():
        assert words.rate(row.slope, row.ci_low, row.ci_high) in shown
    assert all(load_study(one).title for one in table["study"].unique())


def test_tables_that_are_missing_are_named(tmp_path):
    done = CliRunner().invoke(app, ["gallery", "exact", "--figures", str(tmp_path)])
    assert done.exit_code == 2
    assert "slopes.csv: cannot be read" in done.output
    assert gallery.drawn(tmp_path) == []
    assert gallery.overviews(tmp_path) == {}
