"""Studies that fit all gatings to the data of one: the same rows, and errors of functions where gatings differ."""

import itertools
import tomllib

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import hmoe_stats as hs
from simulations import measures, runner
from simulations.cli import app
from simulations.expected import Expected
from simulations.store import Store
from simulations.study import Cell, Study, StudyError, load_study

TEXT = """
name = "small"
title = "Data of softmax gates"
truth = "C2"
gatings = ["SS", "LL"]
k2 = [[2, 2]]
n = [200, 400, 800]
replicates = 6
x = { law = "uniform", low = -3.0, high = 3.0 }
data_gating = "SS"
seed = 7
measures = { hellinger = true }
fit = { local = true, n_starts = 1, bounds = { nu = [0.04, 4.0] } }
"""
LAW = hs.Uniform(-3, 3)


def small(**changes):
    return Study(**tomllib.loads(TEXT) | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("same")
    (folder / "small.toml").write_text(TEXT)
    study = load_study(folder / "small.toml")
    with Store(folder / "small.sqlite", study, write=True) as store:
        runner.run(study, store, progress=False)
    return folder


def test_all_gatings_are_fitted_to_the_very_same_rows():
    for changes in ({}, {"data": "lattice"}):
        study = small(**changes)
        here, there = (study.sample(gating, 500, 1) for gating in study.gatings)
        plain = small(**changes, data_gating=None)
        own, other = (plain.sample(gating, 500, 1) for gating in plain.gatings)
        for part, same, mine in zip(here, there, own, strict=True):
            assert np.array_equal(part, same)
            assert np.array_equal(part, mine)
        assert not np.array_equal(there[1], other[1])
    assert (small().hash == small(data_gating=None).hash, small().hash == small(data_gating="LL").hash) == (
        False,
        False,
    )


def test_a_fit_of_another_gating_starts_at_the_experts_of_the_truth_and_its_gain_is_over_the_truth_of_the_data():
    study = small()
    row = runner.run_cell(study, Cell("LL", (2, 2), 800, 0))
    fitted, truth = hs.MixingMeasure.from_dict(row["parameters"]), hs.datasets.truth("C2", "SS")
    assert fitted.gating == "LL"
    X, y, _ = study.sample("LL", 800, 0)
    assert row["certificate"]["gain"] == pytest.approx(2 * hs.log_likelihood(fitted, X, y, relative_to=truth), abs=1e-9)
    starting = hs.fit_mle(X, y, "LL", (2, 2), study.measure("LL"), seed=study.fit_seed(800, 0), **study.fit.keywords())
    assert starting.measure == fitted


def test_parameters_are_measured_where_the_truth_has_them_and_functions_everywhere(folder, tmp_path):
    results = ("--results", str(folder / "small.sqlite"))
    table = tmp_path / "table.csv"
    done = CliRunner().invoke(app, ["table", str(folder / "small.toml"), *results, "--out", str(table)])
    assert done.exit_code == 0, done.output
    rows = pd.read_csv(table, keep_default_na=False)
    functions = {"expert", "expert_worst", "gate", "cell_mean", "routing", "hellinger"}
    assert set(rows[rows["gating"] == "LL"]["parameter"]) == functions
    assert set(rows[rows["gating"] == "SS"]["parameter"]) > functions | {"omega", "loss_sharp"}
    assert (rows.groupby("gating")["n"].nunique() == 3).all()
    for command in (["rates"], ["status"], ["report", "--out", str(tmp_path)]):
        done = CliRunner().invoke(app, [command[0], str(folder / "small.toml"), *results, *command[1:]])
        assert done.exit_code == 0, done.output
    assert "SS, whatever is fitted" in (tmp_path / "small" / "report.html").read_text(encoding="utf-8")


def test_theory_expects_nothing_of_another_gating_than_that_of_the_data():
    study = small()
    gate = (2, 1, "gate", "function")
    assert Expected(study, "SS", (2, 2)).alpha("derived", gate) == 0.5
    assert np.isnan(Expected(study, "LL", (2, 2)).alpha("derived", gate))
    assert Expected(small(data_gating=None), "LL", (2, 2)).alpha("derived", gate) == 0.5


@pytest.mark.parametrize(("gating", "other"), list(itertools.permutations(("SS", "LL", "SQ", "QL"), 2)))
def test_functions_of_measures_of_two_gatings_are_compared(gating, other):
    """Gates by averages over a fine grid, routing over a sample; experts and their cells are those of one truth."""
    G, G0 = (hs.datasets.truth("C2", g) for g in (gating, other))
    errors = hs.functional_errors(G, G0, LAW).set_index(["level", "cell", "parameter"])["error"]
    x = np.linspace(-3, 3, 20_001)[:, None]
    gaps = np.abs(hs.gate_weights(G, x) - hs.gate_weights(G0, x)).mean(axis=0)
    for leaf in range(4):
        where = (2, f"{leaf // 2},{leaf % 2}")
        assert errors[*where, "gate"] == pytest.approx(gaps[leaf], rel=1e-3)
        assert errors[*where, "expert"] == pytest.approx(0, abs=1e-12)
    X, y = hs.sample(G0, 50_000, x=LAW, seed=1)
    routing = 0.5 * np.abs(hs.responsibilities(G, X, y) - hs.responsibilities(G0, X, y)).sum(axis=1)
    assert abs(errors[0, "", "routing"] - routing.mean()) < 4 * routing.std() / np.sqrt(len(y))
    moved = hs.functional_errors(G.replace(tau=G.tau + [0, 0.3, 0, 0]), G0, LAW).set_index(
        ["level", "cell", "parameter"]
    )
    assert moved["error"][2, "0,1", "expert"] == pytest.approx(0.3)
    with pytest.raises(ValueError, match="G must have the gating of G0"):
        hs.parameter_errors(G, G0, LAW)


def test_measures_of_parameters_have_no_rows_there():
    G, G0 = hs.datasets.truth("C2", "LL"), hs.datasets.truth("C2", "SS")
    counts = {measure.name: len(measure.rows(G, G0, LAW)) for measure in measures.MEASURES}
    assert {name for name, count in counts.items() if not count} == {"parameters", "loss_sharp", "loss_published"}


def test_the_truth_must_have_a_name():
    table = hs.datasets.truth("C2", "SS").to_dict()
    with pytest.raises(ValueError, match="truth = the name of one"):
        small(truth=table, gatings=["SS"])
    with pytest.raises(StudyError, match="truth: name must be one of"):
        small(truth="C9").sample("LL", 100, 0)
