"""The runner: pure cells, keyed streams, failures as rows, interrupts that lose nothing."""

import os
import pickle
import signal
import subprocess
import sys
import time
import tomllib
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hmoe_stats as hs
from simulations import UserError, runner
from simulations.store import Store
from simulations.study import Study, StudyError

TEXT = """
name = "small"
truth = "C0"
gatings = ["SS", "LL"]
k2 = [[2, 2]]
n = [150, 300]
replicates = 2
x = { law = "uniform", low = -3.0, high = 3.0 }
seed = 7
fit = { n_starts = 1 }
"""
WITHOUT_TIME = {"seconds": 0.0}


def small(**changes):
    return Study(**tomllib.loads(TEXT) | changes)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "small.sqlite", small(), write=True) as store:
        yield store


@pytest.fixture
def fits(monkeypatch):
    """Replace the fit by one that answers at once; gives the list of its calls."""
    calls = []

    def fake(X, y, **options):
        calls.append(SimpleNamespace(X=X, y=y, **options))
        starts = pd.DataFrame({"log_likelihood": [0.0]})
        certificate = {"smallest_eigenvalue": np.nan, "n_agree": 1, "smoothing": 0.0, "message": "", "starts": starts}
        certificate |= {"converged": True, "active_bounds": (), "n_optima": 1, "gap": np.inf}
        return SimpleNamespace(
            measure=options["start"] or small().measure(options["gating"]),
            log_likelihood=0.0,
            status="converged",
            score_norm=0.0,
            n_iter=1,
            **certificate,
        )

    monkeypatch.setattr(hs, "fit_mle", fake)
    monkeypatch.setattr(runner, "_compile", lambda *_: None)
    return calls


def test_a_cell_is_a_pure_function_and_says_what_it_did():
    study = small()
    cell = study.cells()[0]
    row = runner.run_cell(study, cell)
    assert runner.run_cell(study, cell) | WITHOUT_TIME == row | WITHOUT_TIME
    assert (row["gating"], row["k2"], row["n"], row["replicate"]) == cell.key
    assert row["status"] in ("converged", "boundary")
    assert row["seconds"] > 0
    truth = study.measure(cell.gating)
    X, y = hs.sample(truth, cell.n, x=study.law, seed=study.data_seed(cell.n, cell.replicate))
    fitted = hs.MixingMeasure.from_dict(row["parameters"])
    assert hs.log_likelihood(fitted, X, y) == pytest.approx(row["log_likelihood"], rel=1e-12)
    assert row["log_likelihood"] > hs.log_likelihood(truth, X, y)
    assert row["certificate"]["n_starts"] == 1
    assert (row["version"], row["source"]) == runner.code_version()


def test_a_run_measures_nothing(fits, monkeypatch):
    for name in ("parameter_errors", "voronoi_loss", "hellinger", "functional_errors"):
        monkeypatch.setattr(hs, name, None)
    study = small(measures={"hellinger": True})
    assert runner.run_cell(study, study.cells()[0])["status"] == "converged"


def test_models_share_data_and_start_streams(store, fits):
    study = small(k2=[[2, 2], [3, 3]])
    runner.run(study, store, progress=False)
    assert len(fits) == 16
    for n in (150, 300):
        mine = [call for call in fits if len(call.y) == n]
        assert len({call.X.tobytes() for call in mine}) == 2  # one X a replicate, whatever the model
        assert len({(call.gating, call.y.tobytes()) for call in mine}) == 4  # one y a replicate and gating
        keys = {(call.X.tobytes(), tuple(call.seed.generate_state(4))) for call in mine}
        assert len(keys) == 2  # and one start stream a replicate


def test_the_study_sets_the_options_of_the_fit(fits):
    cell = small().cells()[0]
    box = {"omega": 3.0, "nu": [0.1, 2.0]}
    runner.run_cell(small(fit={"n_starts": 5, "tol": 1e-7, "max_iter": 9, "bounds": box}), cell)
    runner.run_cell(small(fit={"start": "data"}), cell)
    first, second = fits
    assert first.start == small().measure(cell.gating)
    assert (first.n_starts, first.tol, first.max_iter, first.bounds) == (5, 1e-7, 9, box)
    assert second.start is None
    assert not hasattr(second, "n_starts")


def test_replicates_come_one_by_one_the_dearest_cells_first_and_only_what_is_missing_runs(store, fits):
    study = small(k2=[[2, 2], [3, 3]])
    assert runner.run(study, store, progress=False) == 16
    costs = [(len(call.y) + 2000) * sum(call.k2) ** 3 for call in fits]
    assert costs[:8] == costs[8:] == sorted(costs[:8], reverse=True)  # of a replicate each
    assert len(store.statuses()) == 8  # of the store's own study
    assert runner.run(small(), store, progress=False) == 0
    assert runner.run(small(replicates=3), store, progress=False) == 4
    assert len(fits) == 20


def broken_for(cells, fake, how):
    def fit(X, y, **options):
        if (options["gating"], len(y)) in cells:
            raise how
        return fake(X, y, **options)

    return fit


def test_a_failing_cell_is_a_row_and_the_study_goes_on(store, fits, monkeypatch):
    good = hs.fit_mle
    monkeypatch.setattr(hs, "fit_mle", broken_for({("SS", 300)}, good, ZeroDivisionError("no luck")))
    assert runner.run(small(), store, progress=False) == 8
    assert sorted(store.statuses().values()) == ["converged"] * 6 + ["failed"] * 2
    ((message, count),) = store.failures().items()
    assert count == 2
    assert message.startswith("ZeroDivisionError: no luck (test_runner.py:")
    monkeypatch.setattr(hs, "fit_mle", good)
    assert runner.run(small(), store, progress=False) == 0
    assert runner.run(small(), store, retry_failed=True, progress=False) == 2
    assert store.failures() == {}


# -- trouble that says nothing of a fit -------------------------------------------------------------------------------
TROUBLE = [MemoryError(), OSError(24, "Too many open files"), ImportError("libm.so.6"), RecursionError("too deep"),
           SystemError("unknown opcode"), RuntimeError("can't start new thread"), TypeError("a bug")]  # fmt: skip


@pytest.mark.parametrize("error", TROUBLE, ids=lambda error: type(error).__name__)
def test_trouble_is_no_result_and_its_cells_are_left_to_do(store, fits, monkeypatch, error):
    good = hs.fit_mle
    monkeypatch.setattr(hs, "fit_mle", broken_for({("SS", 300)}, good, error))
    with pytest.raises(type(error)):
        runner.run_cell(small(), small().cells()[-1]._replace(gating="SS"))
    with pytest.raises(runner.TroubleError) as caught:
        runner.run(small(), store, progress=False)
    assert str(caught.value).startswith("SS 2,2 n = 300 replicate 0 and 1 more not computed: ")
    assert type(error).__name__ in str(caught.value)
    assert sorted(store.statuses().values()) == ["converged"] * 6  # the others were computed
    monkeypatch.setattr(hs, "fit_mle", good)
    assert runner.run(small(), store, progress=False) == 2


@pytest.mark.parametrize("error", [ValueError("no"), np.linalg.LinAlgError("singular"), FloatingPointError("overflow")])
def test_what_numbers_do_to_a_fit_is_a_result(store, fits, monkeypatch, error):
    monkeypatch.setattr(hs, "fit_mle", broken_for({("SS", 300)}, hs.fit_mle, error))
    assert runner.run(small(), store, progress=False) == 8
    assert list(store.statuses().values()).count("failed") == 2


def test_a_machine_that_can_do_nothing_ends_the_run_soon(store, fits, monkeypatch):
    calls = []

    def full(*args, **options):
        calls.append(1)
        raise MemoryError

    monkeypatch.setattr(hs, "fit_mle", full)
    with pytest.raises(runner.TroubleError, match=r"and 9 more not computed \(10 in a row\): MemoryError"):
        runner.run(small(replicates=50), store, progress=False)
    assert len(calls) == 10
    assert store.statuses() == {}


def leaves(study, cell):
    if cell.n == 300:
        raise SystemExit(0) if cell.gating == "SS" else KeyboardInterrupt
    raise MemoryError if cell.replicate else UserError("install another library")


def test_workers_that_are_told_to_leave_do_not_end_the_run(monkeypatch):
    call = partial(runner._elsewhere, leaves, pickle.dumps(small()), runner.code_version())
    found = [call(cell) for cell in small().cells() if cell.n == 300 or cell.replicate]
    assert all(isinstance(answer, runner.Trouble) for answer in found)
    assert {answer.message.split()[0] for answer in found} == {"SystemExit:", "KeyboardInterrupt", "MemoryError"}
    with pytest.raises(UserError, match="install another library"):
        call(small().cells()[0])


def test_a_log_likelihood_that_is_no_number_fails_its_cell(fits, monkeypatch):
    good = hs.fit_mle

    def fit(*args, **options):
        found = good(*args, **options)
        found.log_likelihood = np.nan
        return found

    monkeypatch.setattr(hs, "fit_mle", fit)
    row = runner.run_cell(small(), small().cells()[0])
    assert (row["status"], row["parameters"]) == ("failed", None)
    assert "the log-likelihood is nan" in row["message"]


def test_an_interrupt_is_not_a_failure_and_keeps_what_was_done(store, fits, monkeypatch):
    good = hs.fit_mle
    monkeypatch.setattr(hs, "fit_mle", broken_for({("SS", 300)}, good, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        runner.run(small(), store, progress=False)
    assert {(cell.gating, cell.n) for cell in store.statuses()} == {("LL", 300)}
    monkeypatch.setattr(hs, "fit_mle", good)
    assert runner.run(small(), store, progress=False) == 7


def test_an_interrupt_that_turns_into_an_error_on_its_way_is_still_one(store, fits, monkeypatch):
    def swallows(*args, **options):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise SystemError("returned a result with an exception set") from None

    monkeypatch.setattr(hs, "fit_mle", swallows)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        runner.run(small(), store, progress=False)
    assert store.statuses() == {}
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_within_a_write_keeps_the_row(store, fits, monkeypatch):
    write, calls = store.write, []

    def torn(rows):
        calls.append(len(rows))
        if len(calls) == 3:
            raise KeyboardInterrupt
        write(rows)

    monkeypatch.setattr(store, "write", torn)
    with pytest.raises(KeyboardInterrupt):
        runner.run(small(), store, progress=False)
    assert calls == [1, 1, 1, 1]
    assert len(store.statuses()) == 3


def test_the_bar_counts_cells_and_shows_the_time_left(store, fits, capsys):
    runner.run(small(), store)
    shown = capsys.readouterr().err
    assert "small 100%" in shown
    assert "8/8 cells" in shown
    assert "00:00 left" in shown
    runner.run(small(replicates=4), store)
    assert "| 8/16 cells" in capsys.readouterr().err  # those of the first run count


def test_a_truth_that_is_not_there_is_said_before_anything_runs(store):
    with pytest.raises(StudyError, match="truth: .*C9"):
        runner.run(small(truth="C9"), store, jobs=2)


def test_the_source_hash_follows_the_source(monkeypatch, tmp_path):
    version, source = runner.code_version()
    assert version == hs.__version__
    package = tmp_path / "hmoe_stats"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    monkeypatch.setattr(hs, "__file__", str(package / "__init__.py"))
    hashes = set()
    for text in ("x = 1\n", "x = 2\n"):
        (package / "__init__.py").write_text(text)
        hashes.add(runner.code_version.__wrapped__()[1])
    assert len(hashes | {source}) == 3


def test_dask_is_asked_for_where_it_is_missing(store, fits, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"pip install 'hmoe-stats\[dask\]'"):
        runner.run(small(), store, jobs=2, backend="dask", progress=False)


def test_dask_gives_the_same_rows(store, tmp_path):
    distributed = pytest.importorskip("distributed")
    study = small(replicates=1)
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with cluster:
        address = cluster.scheduler_address
        runner.run(study, store, jobs=2, backend="dask", scheduler=address, progress=False)
    with Store(tmp_path / "here.sqlite", study, write=True) as here:
        runner.run(study, here, progress=False)
        assert here.frame().equals(store.frame(study))


WORKER = """
import os, time
from simulations.pool import _set_up_worker
_set_up_worker(os.getppid())
print("up", flush=True)
time.sleep(60)
"""


def test_a_worker_does_not_outlive_its_parent():
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORKER!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        process.kill()
        begin = time.monotonic()
        process.stdout.read()  # ends when the worker is gone, too
        assert time.monotonic() - begin < 20
