"""Measures: reckoned from stored fits when a table is made, kept by version, and never a reason to fit again."""

import gzip
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from test_store import VALUES, row_of
from typer.testing import CliRunner

import hmoe_stats as hs
from simulations import measures, runner
from simulations.cli import app
from simulations.measures import Measure
from simulations.store import Store
from simulations.study import Study, load_study

STUDY = Study(**VALUES | {"replicates": 4})
CELLS = STUDY.cells()
PARAMETERS = STUDY.measure("SS").to_dict()
SHIPPED = Path(__file__).resolve().parents[1] / "figures" / "cells"


def fit_of(cell, tau=None):
    """A row with a made fit, in which the first tau tells which it is."""
    row = {name: value for name, value in row_of(cell).items() if name != "errors"}
    tau = cell.n + cell.replicate if tau is None else tau
    return row | {"parameters": PARAMETERS | {"tau": [float(tau), *PARAMETERS["tau"][1:]]}}


def tau(G, G0, law):
    return [[2, "0,0", 1, "tau", "weighted", float(G.tau[0])]]


def slow(G, G0, law):
    time.sleep(0.05)
    return tau(G, G0, law)


def no_even(G, G0, law):
    if G.tau[0] % 2 == 0:
        raise np.linalg.LinAlgError("it is\neven")
    return tau(G, G0, law)


@pytest.fixture
def calls(monkeypatch):
    """The study asks for one measure, reckoned at once; gives the taus of the fits that it was reckoned from."""
    taus = []

    def noted(G, G0, law):
        taus.append(float(G.tau[0]))
        return tau(G, G0, law)

    monkeypatch.setattr(measures, "MEASURES", (Measure("tau", 1, noted),))
    return taus


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.sqlite"


def fill(path, cells=CELLS, study=STUDY):
    with Store(path, study, write=True) as store:
        store.write([fit_of(cell) for cell in cells])


def read(path, study=STUDY):
    """(errors, notes) of a table."""
    with Store(path, study) as store:
        frame = store.frame(failed=True)
        return frame.error.tolist(), store.notes


def kept(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute("SELECT COUNT(*) FROM measures").fetchone()[0]


TAUS = [float(cell.n + cell.replicate) for cell in CELLS]


# -- when a measure is reckoned ----------------------------------------------------------------------------------------
def test_what_is_missing_is_reckoned_once_and_kept(path, calls):
    fill(path, CELLS[:5])
    assert read(path) == (TAUS[:5], [])
    assert sorted(calls) == sorted(TAUS[:5])
    fill(path, CELLS[5:])
    for _ in range(2):
        assert read(path) == (TAUS, [])
        assert sorted(calls) == sorted(TAUS)
    assert os.listdir(path.parent) == ["s.sqlite"]


def test_a_new_version_is_reckoned_and_a_new_measure_too(path, calls, monkeypatch):
    fill(path)
    read(path)
    first = measures.MEASURES[0]
    monkeypatch.setattr(measures, "MEASURES", (Measure("tau", 2, lambda *fit: [[*first.rows(*fit)[0][:5], 0.5]]),))
    assert read(path) == ([0.5] * len(CELLS), [])
    assert len(calls) == 2 * len(CELLS)
    monkeypatch.setattr(measures, "MEASURES", (first, Measure("more", 1, lambda *_: [[0, "", 0, "more", "loss", 2.0]])))
    assert read(path)[0] == [error for tau in TAUS for error in (tau, 2.0)]  # the old version is there still
    assert len(calls) == 2 * len(CELLS)


def test_a_cell_that_is_fitted_again_is_measured_again(path, calls):
    fill(path)
    read(path)
    with Store(path, STUDY, write=True) as store:
        store.write([fit_of(CELLS[3], 77.0)])
    assert read(path)[0] == [*TAUS[:3], 77.0, *TAUS[4:]]
    assert calls[len(CELLS) :] == [77.0]


def test_cells_that_failed_are_not_measured(path, calls):
    fill(path, CELLS[1:])
    gone = dict.fromkeys(("log_likelihood", "score_norm", "n_iter", "parameters", "certificate"))
    with Store(path, STUDY, write=True) as store:
        store.write([fit_of(CELLS[0]) | gone | {"status": "failed", "message": "ValueError: no"}])
        assert store.missing() != []
        frame = store.frame(failed=True)
        assert store.missing() == []
    assert frame.error.isna().tolist() == [True, *[False] * (len(CELLS) - 1)]
    assert len(calls) == len(CELLS) - 1


def test_what_the_study_asks_for_is_measured(path):
    names = {True: ("parameters", "loss_sharp", "loss_published", "hellinger"),
             False: ("parameters", "loss_sharp", "loss_published", "functional")}  # fmt: skip
    for other in names:
        study = Study(**VALUES | {"measures": {"hellinger": other, "functional": not other}})
        assert study.hash == Study(**VALUES).hash
        assert tuple(measure.name for measure in measures.asked_by(study)) == names[other]


def test_the_measures_are_what_the_library_says(path):
    study = Study(**VALUES | {"measures": {"hellinger": True}})
    cell = study.cells()[0]
    fill(path, [cell], study)
    with Store(path, study) as store:
        frame = store.frame()
    truth, law = study.measure("SS"), study.law
    G = hs.MixingMeasure.from_dict(fit_of(cell)["parameters"])
    columns = ["level", "cell", "size", "parameter", "kind", "error"]
    expected = hs.parameter_errors(G, truth, law)[columns].values.tolist()
    expected += [
        [0, "", 0, f"loss_{form}", "loss", hs.voronoi_loss(G, truth, form, law)] for form in ("sharp", "published")
    ]
    expected.append([0, "", 0, "hellinger", "divergence", hs.hellinger(G, truth, law)])
    expected += hs.functional_errors(G, truth, law).assign(kind="function")[columns].values.tolist()
    assert [row[:5] for row in frame[columns].astype(object).values.tolist()] == [row[:5] for row in expected]
    assert frame.error.tolist() == pytest.approx([row[5] for row in expected], rel=1e-13)


# -- failures ----------------------------------------------------------------------------------------------------------
def test_a_measure_that_fails_is_counted_and_loses_no_fit(path, monkeypatch):
    monkeypatch.setattr(measures, "MEASURES", (Measure("no_even", 1, no_even), Measure("tau", 1, tau)))
    fill(path)
    odd, line = (
        [value for value in TAUS if value % 2],
        f"{path}: without the measure no_even are SS 2,2 n = 200 replicate 0 ",
    )
    for _ in range(2):
        errors, (note,) = read(path)
        assert sorted(errors) == sorted([*TAUS, *odd])
        assert note == f"{line}and {len(TAUS) - len(odd) - 1} more: LinAlgError: it is even"
    with Store(path, STUDY) as store:
        assert len(store.statuses()) == len(CELLS)
        store.unmeasured()  # without a table
        assert store.notes == [note]
    few = Study(**VALUES | {"replicates": 1, "n": [200], "k2": [[2, 2]]})
    with Store(path, few) as store:
        store.unmeasured()
        assert store.notes == [f"{line[:-1]}: LinAlgError: it is even"]


@pytest.mark.parametrize("error", [np.nan, np.inf, -1.0])
def test_what_is_no_distance_is_a_failure(path, monkeypatch, error):
    monkeypatch.setattr(hs, "voronoi_loss", lambda *_: error)
    monkeypatch.setattr(measures, "MEASURES", tuple(m for m in measures.MEASURES if m.name.startswith("loss")))
    fill(path, CELLS[:1])
    errors, notes = read(path)
    assert np.isnan(errors).tolist() == []
    assert len(notes) == 2
    assert f"ArithmeticError: the error of loss_sharp (loss) is {error}" in notes[0] + notes[1]


@pytest.mark.parametrize("error", [MemoryError(), TypeError("a bug"), KeyboardInterrupt()])
def test_what_says_nothing_of_the_numbers_is_no_result_and_what_was_reckoned_is_kept(path, monkeypatch, error):
    done = []

    def breaks(G, G0, law):
        if len(done) == 3:
            raise error
        done.append(1)
        return tau(G, G0, law)

    monkeypatch.setattr(measures, "MEASURES", (Measure("tau", 1, breaks),))
    fill(path)
    with pytest.raises(type(error)):
        read(path)
    assert kept(path) == 3
    monkeypatch.setattr(measures, "MEASURES", (Measure("tau", 1, tau),))
    assert read(path) == (TAUS, [])


# -- damage ------------------------------------------------------------------------------------------------------------
DAMAGE = ["rows = '[[1,2'", "rows = NULL", "rows = replace(rows, '1', '2')", "rows = x'00ff'", "message = 'no'",
          "measure = 'other'", "version = 3", "fit = 7", "checksum = 7", "replicate = 9", "gating = x'00'"]  # fmt: skip


@pytest.mark.parametrize("change", DAMAGE)
def test_a_damaged_measure_is_noticed_and_reckoned_again(path, calls, change):
    fill(path)
    read(path)
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE measures SET {change} WHERE rowid = 2")
    db.close()
    errors, (note,) = read(path)
    assert errors == TAUS
    assert note == f"{path}: damaged and left out are 1 of its measures; what is missing of them is reckoned again"
    assert len(calls) == len(CELLS) + 1
    assert read(path) == (TAUS, [])
    assert len(calls) == len(CELLS) + 1


def test_measures_that_are_gone_are_reckoned_again(path, calls):
    fill(path)
    read(path)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM measures WHERE rowid > 5")
    db.close()
    assert read(path) == (TAUS, [])
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE measures")
    db.close()
    assert read(path) == (TAUS, [])
    assert read(path) == (TAUS, [])
    assert len(calls) == 3 * len(CELLS) - 5


def test_a_file_in_which_a_cell_is_damaged_is_not_written_by_who_reads_it(path, calls):
    fill(path)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE cells SET message = 'x' WHERE rowid = 1")
    db.close()
    before = path.read_bytes()
    errors, (note,) = read(path)
    assert errors == TAUS[1:]
    assert "hmoe run small computes them again" in note
    assert path.read_bytes() == before


# -- who else is there -------------------------------------------------------------------------------------------------
def test_under_a_run_what_was_reckoned_is_used_and_not_kept(path, calls):
    with Store(path, STUDY, write=True) as run:
        run.write([fit_of(cell) for cell in CELLS])
        assert read(path) == (TAUS, [])
        assert kept(path) == 0
        assert len(calls) == len(CELLS)
        run.collected()
        assert kept(path) == len(CELLS)
    assert read(path) == (TAUS, [])


def _read_elsewhere(path, user, out):
    import pandas  # noqa: F401 - while its files may be read

    if user and os.getuid() == 0:
        os.setuid(user)  # root may write anywhere
    measures.MEASURES = (Measure("tau", 1, slow),)
    out.put(read(path))


def elsewhere(path, user=0):
    """Processes that read the table: (process, queue)."""
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    process = context.Process(target=_read_elsewhere, args=(path, user, out))
    process.start()
    return process, out


def test_two_readers_at_a_time_have_the_same_table(path):
    fill(path)
    readers = [elsewhere(path) for _ in range(2)]
    for process, out in readers:
        assert out.get(timeout=60) == (TAUS, [])
        process.join()
    assert kept(path) == len(CELLS)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions as in POSIX")
def test_in_a_place_that_cannot_be_written_the_table_is_the_same():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.sqlite"
        fill(path)
        os.chmod(folder, 0o555)
        before = path.read_bytes()
        process, out = elsewhere(path, 65534)
        assert out.get(timeout=60) == (TAUS, [])
        process.join()
        os.chmod(folder, 0o755)
        assert path.read_bytes() == before
        assert os.listdir(folder) == ["s.sqlite"]


def test_who_is_killed_while_measuring_loses_nothing(path):
    fill(path)
    process, _ = elsewhere(path)
    while kept(path) < 4:
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    there = kept(path)
    assert 4 <= there < len(CELLS)
    with Store(path, STUDY) as store:
        assert store.notes == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "MEASURES", (Measure("tau", 1, tau),))
        with Store(path, STUDY) as store:
            assert len(store.missing()) == len(CELLS) - there
        assert read(path) == (TAUS, [])


def test_workers_reckon_the_same_numbers(path, tmp_path, monkeypatch):
    study = Study(**VALUES | {"replicates": 2, "n": [200], "gatings": ["SL"]})
    G = study.measure("SL").to_dict()
    with Store(path, study, write=True) as store:
        store.write(
            [fit_of(cell) | {"parameters": G | {"tau": (np.array(G["tau"]) + 0.1).tolist()}} for cell in study.cells()]
        )
    path.with_name("two.sqlite").write_bytes(path.read_bytes())
    monkeypatch.setattr(measures, "ALONE", 0.0)
    with Store(path, study) as one, Store(path.with_name("two.sqlite"), study) as two:
        assert one.collected(jobs=1).frame().equals(two.collected(jobs=2).frame())
    assert kept(path) == kept(path.with_name("two.sqlite")) == 4 * study.n_cells


@pytest.mark.parametrize("progress", [True, False])
def test_a_bar_is_drawn_unless_none_is_asked_for(path, monkeypatch, capsys, progress):
    monkeypatch.setattr(measures, "MEASURES", (Measure("tau", 1, slow),))
    monkeypatch.setattr(measures, "ALONE", 0.01)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # else a line every ten seconds
    fill(path)
    with Store(path, STUDY) as store:
        assert store.collected(jobs=1, progress=progress).frame().error.tolist() == TAUS
    assert ("measures" in capsys.readouterr().err) == progress


# -- files from before -------------------------------------------------------------------------------------------------
def unpack(name, which):
    """(file, errors) of some shipped cells of a study, as they were before there were measures, checksums, a ledger."""
    file = Path("results") / f"{name}.sqlite"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(gzip.decompress((SHIPPED / f"{name}.sqlite.gz").read_bytes()))
    with sqlite3.connect(file) as db:
        for since in ("TABLE measures", "TABLE IF EXISTS protocol", "INDEX tally"):
            db.execute(f"DROP {since}")
        db.execute("ALTER TABLE cells DROP COLUMN checksum")
        db.execute("DELETE FROM meta WHERE key = 'ledger'")
        db.execute(f"DELETE FROM cells WHERE NOT ({which})")
        errors = dict(db.execute("SELECT gating || replicate, errors FROM cells"))
    db.close()
    return file, errors


@pytest.fixture
def million(tmp_path, monkeypatch):
    """Four fits of `million`, as `unpack` gives them, and some beside them; no fit can be made here."""
    monkeypatch.chdir(tmp_path)
    unpack("over-by-one", "gating IN ('SS', 'LL') AND n IN (1000, 100000) AND replicate < 2")
    monkeypatch.setattr(hs, "fit_mle", None)
    monkeypatch.setattr(runner, "run", None)
    return unpack("million", "replicate < 2")


def test_new_measures_of_fits_from_before_need_no_run(million):
    file, errors = million
    study = load_study("million")
    with Store(file, study) as store:
        assert {task.names for task in store.missing()} == {("loss_sharp", "functional")}  # the rest is as it was
        frame = store.frame()
        assert store.notes == []
    columns = ["level", "cell", "size", "parameter", "kind", "error"]
    for (gating, replicate), part in frame.groupby(["gating", "replicate"], observed=True):
        before = [row for row in json.loads(errors[f"{gating}{replicate}"]) if row[3] != "loss_sharp"]
        old = part[(part.kind != "function") & (part.parameter != "loss_sharp")]
        assert old[columns].astype(object).values.tolist() == before  # to the last bit
        assert {"expert", "expert_worst", "gate", "cell_mean", "routing"} == set(
            part[part.kind == "function"].parameter
        )
        assert (part.parameter == "loss_sharp").sum() == 1
    with Store(file, study) as store:
        assert store.missing() == []
    for words in (
        ["status", "million"],
        ["rates", "million"],
        ["table", "million", "--out", "t.csv"],
        ["plot", "million"],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, (words, done.output)
    assert ",function," in Path("t.csv").read_text()


def test_a_file_from_before_goes_on_under_its_own_hash(million):
    file, _ = million
    study = load_study("million")
    with sqlite3.connect(file) as db:
        (before,) = db.execute("SELECT DISTINCT study_hash FROM cells").fetchone()
    db.close()
    assert before != study.hash
    with Store(file, study, write=True) as store:
        cell = study.cells()[-1]
        assert cell not in store.statuses()
        store.write([fit_of(cell)])
        assert cell in store.statuses()
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT DISTINCT study_hash FROM cells").fetchall() == [(before,)]
        db.execute("UPDATE meta SET value = '{' WHERE key = 'identity'")
    db.close()
    with Store(file, study, write=True) as store:  # its description is damaged: it is written anew
        assert len(store.statuses()) == 5
        assert "written anew with its sound cells" in store.notes[-1]
    with Store(file, study) as store:
        assert len(store.statuses()) == 5
        assert store.notes == []
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT value FROM meta WHERE key = 'study_hash'").fetchone() == (before,)
    db.close()
