"""How fits ended: the bounds that a fit lies on, by name and end, and their counts by model and size."""

import json

import numpy as np
import pandas as pd
import pytest
from test_summary import study

from simulations import ends, words
from simulations.columns import ENDS_COLUMNS, shown
from simulations.schema import Bounds
from simulations.terminal import ends_text

BOX = Bounds(omega=3.0, beta=1.5, nu=[0.04, 4.0])
FIT = {"omega": [[3.0], [-3.0], [0.2]], "beta": [-1.5, 1.5, 0.0], "nu": [0.04, 4.0, 0.0400001], "tau": [9.0, 0.0, 0.0]}


def on_bounds(*names, fit=FIT, box=BOX):
    return ends.of_fit(json.dumps(fit), json.dumps({"active_bounds": names}), box)[0]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), ""),
        (("log_nu[0]",), "nu_low"),
        (("log_nu[1]",), "nu_high"),
        (("log_nu[0]", "log_nu[2]"), "nu_low"),  # a fit counts once
        (("beta[0]", "beta[1]", "log_nu[0]"), "nu_low beta_low beta_high"),
        (("omega[0,0]",), "omega_high"),
        (("omega[1,0]",), "omega_low"),
        (("tau[0]",), "tau"),  # the fit's own box: which end is not known
        (("omega, group 1 (the gate separates the data)",), "separated"),
    ],
)
def test_a_bound_has_a_name_and_an_end(names, said):
    assert on_bounds(*names) == said


def test_a_cell_without_a_fit_lies_on_nothing():
    assert ends.of_fit(None, None, BOX)[0] == ""
    assert ends.of_fit("{}", "[]", BOX)[0] == ""
    assert on_bounds("log_nu[7]") == ""


def made():
    """Of two sizes and three replicates a cell each: status and bounds; one is missing, one beyond the replicates."""
    rows = [
        ("SS", "3,3", 1000, 0, "boundary", "nu_low beta_low", 20.0),
        ("SS", "3,3", 1000, 1, "boundary", "nu_low", 24.0),
        ("SS", "3,3", 1000, 2, "failed", "", np.nan),
        ("SS", "3,3", 3000, 0, "converged", "", 19.0),
        ("SS", "3,3", 3000, 2, "max_iter", "beta_low", -7.0),
        ("SS", "3,3", 3000, 3, "boundary", "nu_high", 99.0),
    ]
    columns = ["gating", "k2", "n", "replicate", "status", "bounds", "gain"]
    return study(gatings=["SS"], k2=[[3, 3]], n=[1000, 3000], replicates=3), pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("certificate", [None, "", "[]", "{}", '{"gain": null}'])
def test_a_certificate_may_have_no_gain(certificate):
    assert np.isnan(ends.of_fit("{}", certificate, BOX)[1])
    assert ends.of_fit("{}", '{"gain": 21.5}', BOX)[1] == 21.5


def test_ends_are_counted_by_size():
    one, cells = made()
    table = ends.table(one, [(one, cells)])
    assert list(table) == [*ends.COLUMNS, "nu_low", "beta_low", "gain", "gain_error"]
    assert table.iloc[0, :-2].tolist() == ["made-up", "SS", "3,3", 1000, 3, 0, 2, 0, 0, 1, 0, 2, 1]
    assert table.iloc[1, :-2].tolist() == ["made-up", "SS", "3,3", 3000, 3, 1, 0, 1, 0, 0, 1, 0, 1]
    assert table["gain"].tolist() == [22.0, 19.0]  # of fits that reached an optimum
    assert table["gain_error"].fillna(-1.0).tolist() == pytest.approx([2.0, -1.0])
    assert ends.shares(table, "nu_low") == {("made-up", "SS", "3,3"): ([1000, 3000], [1.0, 0.0])}  # of the fits
    assert ends.shares(table, "max_iter") == {("made-up", "SS", "3,3"): ([1000, 3000], [0.0, 0.5])}
    assert ends.shares(table, "degenerate") == ends.shares(table, "tau_low") == {}


def test_studies_beside_are_counted_as_they_are_shown():
    one, cells = made()
    longer = study(name="longer", gatings=["SS", "LL"], k2=[[3, 3]], n=[10_000], replicates=2)  # the same hash
    other = study(name="other", gatings=["SS"], k2=[[3, 3]], n=[3000, 9000], replicates=3, seed=5)
    more = pd.DataFrame([("SS", "3,3", 10_000, 0, "boundary", "nu_low", np.nan)], columns=list(cells))
    table = ends.table(one, [(one, cells), (longer, more), (other, cells)])
    assert table[["study", "n"]].values.tolist() == [
        ["made-up", 1000], ["made-up", 3000], ["made-up", 10_000], ["other", 3000],
    ]  # fmt: skip
    assert table["nu_low"].tolist() == [2, 0, 1, 0]
    assert table["to_do"].tolist() == [0, 1, 1, 1]


def test_what_nothing_is_in_is_not_shown():
    one, cells = made()
    table = ends.table(one, [(one, cells)])
    text = ends_text(table)
    assert "no optimum" in text
    assert "nu low" in text
    assert "degenerate" not in text
    heads = [column.heading for column in shown(ENDS_COLUMNS, table, one)]
    assert heads[:4] == ["gating", "k2", "sample size", "cells"]
    assert heads[-3:] == ["nu low", "beta low", "gain"]
    assert "22.0 (2.0)" in text
    assert "gain" not in ends.table(one, [(one, cells.assign(gain=np.nan))])
    assert words.FLOOR_MEANS in words.bound_means("nu_low")
    assert words.FLOOR_MEANS not in words.bound_means("nu_high")


def test_shares_are_written_shortly():
    line = words.by_size("nu_low", [1000, 100_000], {"SS": [0.825, 0.0], "LL": [1.0, float("nan")]})
    assert line == "share of fits on the variance floor, n = 1000, 1e5: SS .82 0; LL 1 -"
    assert "without an optimum" in words.by_size("max_iter", [10], {"SS": [0.5]})
