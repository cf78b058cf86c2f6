"""Studies of data on a lattice: the same cells, streams, tables and pages, at any n; and what they refuse."""

import json
import sqlite3
import tomllib

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import hmoe_stats as hs
from simulations import runner
from simulations.checks import check_study
from simulations.cli import app
from simulations.pace import Pace
from simulations.store import Store
from simulations.study import Cell, Study, StudyError, load_study

FLOOR = 0.04
TEXT = """
name = "small"
title = "Exact fits over nine decades"
truth = "C2"
gatings = ["SS", "LL"]
k2 = [[2, 2]]
n = [1000, 1000000, 1000000000000]
replicates = 6
x = { law = "uniform", low = -3.0, high = 3.0 }
data = "lattice"
seed = 7

[fit]
local = true
n_starts = 1

[fit.bounds]
nu = [0.04, 4.0]
"""


def small(**changes):
    return Study(**tomllib.loads(TEXT) | changes)


def hmoe(*words):
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the small study was run, with two interruptions."""
    folder = tmp_path_factory.mktemp("lattice")
    (folder / "small.toml").write_text(TEXT)
    study = load_study(folder / "small.toml")
    with Store(folder / "small.sqlite", study, write=True) as store:
        store.write([runner.run_cell(study, cell) for cell in study.cells()[::5]])
    results = folder / "small.sqlite"
    assert "36 of 36 cells" in hmoe("run", folder / "small.toml", "--jobs", 2, "--results", results)
    return folder


# -- end to end -------------------------------------------------------------------------------------------------------
def test_a_run_that_was_stopped_goes_on_to_the_same_rows(folder, tmp_path):
    study = small(n=[10**12], replicates=2)  # the same hash
    frames = []
    for file in (folder / "small.sqlite", tmp_path / "again.sqlite"):
        with Store(file, study, write=True) as store:
            runner.run(study, store, progress=False)
            frames.append(store.frame())
    assert len(frames[0]) > 100
    pd.testing.assert_frame_equal(*frames)


def test_exact_fits_over_nine_decades_have_the_slope_of_a_half(folder):
    shown = json.loads(hmoe("rates", folder / "small.toml", "--results", folder / "small.sqlite", "--json"))
    table = pd.DataFrame(shown["slopes"])
    table = table[(table["statistic"] == "mean") & (table["parameter"] != "loss_published")]
    assert len(table) > 20
    assert set(table["n_high"]) == {10**12}
    assert np.abs(table["slope"] + 0.5).max() < 0.06


def test_status_and_pages_are_those_of_any_study(folder, tmp_path):
    results = ("--results", folder / "small.sqlite")
    assert "36 of 36" in hmoe("status", folder / "small.toml", *results)
    hmoe("report", folder / "small.toml", *results, "--out", tmp_path)
    page = (tmp_path / "small" / "report.html").read_text(encoding="utf-8")
    assert "counts on a lattice of (x, y), for variances from 0.04" in page


def test_certificates_have_the_gain_over_the_truth_whatever_n(folder):
    """Twice the gain of an exact fit is about chi-square, of as many degrees of freedom as it has parameters: 18."""
    with sqlite3.connect(folder / "small.sqlite") as db:
        rows = db.execute("SELECT n, certificate FROM cells").fetchall()
    gains = pd.DataFrame([(n, json.loads(text)["gain"]) for n, text in rows], columns=["n", "gain"])
    means = gains.groupby("n")["gain"].mean()
    assert len(gains) == 36
    assert (np.abs(means - 18) < 5 * np.sqrt(2 * 18 / 12)).all()
    study, cell = small(), Cell("LL", (2, 2), 1000, 3)
    X, y, counts = hs.sample_lattice(study.measure("LL"), 1000, study.law, study.data_seed(1000, 3), FLOOR)
    row = runner.run_cell(study, cell)
    fitted = hs.MixingMeasure.from_dict(row["parameters"])
    gain = 2 * hs.log_likelihood(fitted, X, y, counts) - 2 * hs.log_likelihood(study.measure("LL"), X, y, counts)
    assert row["certificate"]["gain"] == pytest.approx(gain, abs=1e-8)
    assert row["log_likelihood"] == pytest.approx(hs.log_likelihood(fitted, X, y, counts), rel=1e-12)


def test_dask_gives_the_same_rows(tmp_path):
    distributed = pytest.importorskip("distributed")
    study = small(n=[1000], replicates=2, gatings=["SS"])
    frames = []
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as there:
        for name, options in {"here": {}, "there": {"backend": "dask", "scheduler": there.scheduler_address}}.items():
            with Store(tmp_path / name, study, write=True) as store:
                runner.run(study, store, progress=False, **options)
                frames.append(store.frame())
    pd.testing.assert_frame_equal(*frames)


# -- data and costs ---------------------------------------------------------------------------------------------------
def test_samples_are_counts_of_the_streams_of_the_study_on_a_lattice_for_its_box():
    for floor in (0.01, 0.2):
        study = small(fit={"bounds": {"nu": [floor, 4.0]}})
        X, y, counts = study.sample("LL", 10**9, 2)
        wanted = hs.sample_lattice(study.measure("LL"), 10**9, study.law, study.data_seed(10**9, 2), floor)
        assert counts.sum() == 10**9
        assert all(np.array_equal(a, b) for a, b in zip((X, y, counts), wanted, strict=True))
    X, y, counts = small(data="rows").sample("SS", 50, 0)
    assert (X.shape, y.shape, counts) == ((50, 1), (50,), None)


def test_the_kind_of_data_is_hashed_where_it_is_not_the_default():
    rows, lattice = small(data="rows"), small()
    assert "data" not in rows.identity | rows.former_identity
    assert lattice.identity == rows.identity | {"data": "lattice"}
    assert lattice.hash != rows.hash
    assert lattice.differences(rows.identity)
    assert rows.differences(lattice.identity)
    assert not rows.differences(rows.identity | {"data": "rows"})


def test_costs_do_not_grow_beyond_the_lattice_and_laplace_gates_are_dearer():
    study = small(n=[1000, 10**6, 10**12], gatings=["SS", "LL"], k2=[[2, 2], [3, 3]])
    cost = {cell[:3]: study.cost(cell) for cell in study.corners()}
    for gating in study.gatings:
        for k2 in ((2, 2), (3, 3)):
            assert cost[gating, k2, 1000] < cost[gating, k2, 10**6] == cost[gating, k2, 10**12]
    assert 4 < cost["LL", (3, 3), 10**12] / cost["SS", (3, 3), 10**12] < 10
    rows = small(data="rows")
    assert rows.cost(Cell("SS", (2, 2), 10**6, 0)) == rows.cost(Cell("LL", (2, 2), 10**6, 0)) == (10**6 + 2000) * 64


def test_the_time_left_of_large_sizes_is_that_of_the_lattice(tmp_path):
    study = small(n=[10**8, 10**12], gatings=["SS"], replicates=2)
    assert Pace(study, {("SS", "2,2", 10**12): (2, 0, 6.0)}).left(1) == pytest.approx(6.0)
    with Store(tmp_path / "s.sqlite", study, write=True) as store:
        first = runner.missing_cells(small(n=[10**8, 10**12], replicates=1), store)
    assert [cell.gating for cell in first] == ["LL", "LL", "SS", "SS"]


# -- what is refused --------------------------------------------------------------------------------------------------
def test_a_lattice_needs_a_floor(tmp_path):
    (tmp_path / "small.toml").write_text(TEXT.replace("nu = [0.04, 4.0]", "omega = 3.0"))
    with pytest.raises(StudyError, match=r"expected fit\.bounds\.nu = \[low, high\], as data = \"lattice\""):
        load_study(tmp_path / "small.toml")
    (tmp_path / "small.toml").write_text(TEXT.replace('"lattice"', '"grid"'))
    with pytest.raises(StudyError, match=r"data: expected 'rows' or 'lattice', got 'grid'"):
        load_study(tmp_path / "small.toml")


def space(d):
    table = hs.datasets.truth("P2", "SL").to_dict()
    wide = {name: [[0.1 * i + 0.2] * d for i in range(len(table[name]))] for name in ("a", "omega", "eta")}
    return {"truth": table | wide, "gatings": ["SL"]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n": [1000, 10**12 + 1]}, r"n: .* expected at most 1000000000000 rows on a lattice, got 1000000000001"),
        (space(3), r"data: no lattice under SL for fit\.bounds\.nu from 0\.04: x must .* d > 2; got a law, and d = 3"),
        ({"fit": {"bounds": {"nu": [0.5, 4.0]}}}, r"data: no lattice under LL .* from 0\.5: nu_min must not exceed"),
        ({"fit": {"bounds": {"nu": [1e-14, 4.0]}}}, r"data: no lattice under SS .* at most 1e\+07 points"),
    ],
)
def test_where_there_is_no_lattice_it_is_said(changes, said):
    study = small(**changes)
    with pytest.raises(StudyError, match=f"study small: {said}"):
        check_study(study)
    if said.startswith("data"):
        with pytest.raises(StudyError, match="study small: data: no lattice: "):
            Pace(study, {})


@pytest.mark.parametrize("d", [1, 2])
def test_a_lattice_may_be_a_line_or_a_plane(d):
    check_study(small(**(space(2) if d == 2 else {})))
