"""Local rates: slopes over neighbouring sizes of errors that bend at a known size, and how they are drawn."""

import numpy as np
import pytest
from test_summary import pick, results, study

from simulations import local_rates
from simulations.summary import Summary

TAU, ETA = "tau of each expert, m = 2", "mean of eta over the cell, m = 2"
DECADES = [10**e for e in (3, 4, 5, 6, 10, 11, 12)]
RATES = [1 / 4, 1 / 4, 1 / 7, 1 / 8, 1 / 8]  # of 1/4 up to 1e6 and 1/8 beyond, by least squares over three sizes


def bending(**changes):
    """A study of errors n^(-alpha) whose alpha of tau is 1/4 up to 1e6 and 1/8 beyond."""
    one = study(k2=[[3, 3]], n=DECADES, primary=[TAU, ETA], **changes)
    frame = results(one, sigma=0.0)
    tau = (frame["parameter"] == "tau") & (frame["size"] == 2)
    n = frame.loc[tau, "n"].to_numpy(dtype=float)
    frame.loc[tau, "error"] = np.where(n <= 1e6, n**-0.25, 1e6**-0.125 * n**-0.125)
    return one, frame


def test_a_rate_that_changes_is_seen_where_it_does():
    one, frame = bending()
    table = local_rates.table(Summary(one, frame))
    assert list(table) == local_rates.COLUMNS
    assert set(table["parameter"]) == {"tau", "eta"}  # the primary ones alone
    for gating in ("SS", "LL"):
        tau = pick(table, parameter="tau", gating=gating, statistic="mean")
        assert tau[["n_low", "n_high"]].values.tolist() == list(map(list, zip(DECADES[:-2], DECADES[2:], strict=True)))
        np.testing.assert_allclose(tau["rate"], RATES, atol=1e-9)
        assert (tau["alpha_limit"] == 1 / 8).all()
        assert (tau["replicates"] == 6).all()
    eta = pick(table, parameter="eta", statistic="mean").groupby("gating")["rate"]
    assert eta.mean().to_dict() == pytest.approx({"SS": 0.375, "LL": 0.5})


def test_intervals_are_those_of_the_rate():
    one = study(k2=[[3, 3]], n=DECADES, primary=[ETA])
    table = local_rates.table(Summary(one, results(one)))
    assert ((table["low"] < table["rate"]) & (table["rate"] < table["high"])).all()


def test_kinds_of_limits_are_told_apart():
    one, frame = bending()
    table = local_rates.table(Summary(one, frame))
    kinds = table.groupby(["parameter", "gating", "statistic"])["limit"].first()
    assert kinds["tau", "SS", "mean"] == "limit"
    assert kinds["tau", "SS", "median"] == "bound"


def test_only_studies_that_name_quantities_and_span_decades_have_some():
    assert local_rates.spans_decades(bending()[0])
    assert not local_rates.spans_decades(study(n=DECADES))
    assert not local_rates.spans_decades(study(primary=[TAU]))
    assert not local_rates.spans_decades(study(n=[1000, 10**8, 10**9], primary=[TAU]))


def test_the_figure_has_a_panel_for_each_quantity_and_statistic():
    one, frame = bending()
    found = Summary(one, frame)
    figure = local_rates.figure(one, local_rates.table(found))
    assert [ax.get_title() for ax in figure.axes] == [f"{q}: {s}" for q in (TAU, ETA) for s in ("mean", "median")]
    first = figure.axes[0]
    drawn = [line for line in first.lines if len(line.get_xdata()) == 5]
    assert len(drawn) == 2
    np.testing.assert_allclose(drawn[0].get_ydata(), RATES, atol=1e-9)
    np.testing.assert_allclose(drawn[0].get_xdata(), [1e4, 1e5, 10**7.5, 10**8.5, 1e11])
    assert {text.get_text() for text in first.texts} == {"1/8"}
    assert {text.get_text() for text in figure.axes[2].texts} == {"3/8", "1/2"}  # softmax, Laplace
    assert local_rates.figure(one, local_rates.table(found).iloc[:0]) is None


def test_models_of_one_gating_are_told_apart():
    one = study(k2=[[2, 2], [3, 3]], gatings=["SS"], n=DECADES, primary=["Voronoi loss"])
    found = Summary(one, results(one))
    figure = local_rates.figure(one, local_rates.table(found))
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["SS, fitted k2 = 2,2", "SS, fitted k2 = 3,3"]
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 5]
    assert len({line.get_color() for line in drawn}) == len({line.get_marker() for line in drawn}) == 2


def test_a_study_beside_is_drawn_as_points():
    one, frame = bending()
    rows = study(name="rows", k2=[[3, 3]], n=DECADES[:3], seed=5)
    found = Summary(one, frame, beside=[(rows, results(rows))])
    table = local_rates.table(found)
    assert set(table["study"]) == {"made-up", "rows"}
    figure = local_rates.figure(one, table)
    assert "ordinary samples" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(figure.axes[0].containers) == 2  # a point and its interval for each gating


def test_of_more_than_six_panels_the_first_statistic_is_shown():
    four = [TAU, ETA, "omega of each expert, m = 2", "nu of each expert, m = 2"]
    one = study(k2=[[3, 3]], n=DECADES, primary=four)
    table = local_rates.table(Summary(one, results(one)))
    figure = local_rates.figure(one, table)
    assert [ax.get_title() for ax in figure.axes] == [f"{quantity}: mean" for quantity in four]
    said = figure.legends[0].get_title().get_text()
    assert said == "not shown: 4 more panels, which hmoe plot made-up --all draws"
    whole = local_rates.figure(one, table, every=True)
    assert len(whole.axes) == 8
    assert whole.legends[0].get_title().get_text() == ""
