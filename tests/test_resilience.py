"""What may happen to a long run: workers that die, disks that fill, files that others hold, other code elsewhere."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from functools import partial

import pytest
from typer.testing import CliRunner

from simulations import UserError, measures, pool, resultsfile, runner
from simulations.cli import app
from simulations.pace import Pace
from simulations.store import Store, StoreError
from simulations.study import Cell, Study

VALUES = {
    "name": "small",
    "truth": "C0",
    "gatings": ["SS", "LL"],
    "k2": [[2, 2]],
    "n": [200, 400],
    "replicates": 10,
    "x": {"law": "uniform", "low": -3.0, "high": 3.0},
    "seed": 7,
    "fit": {"n_starts": 1},
}


def made(study, cell, deadly=None, pause=0.0):
    """A row as `run_cell` makes it, without a fit; the worker dies at the cell `deadly`."""
    if cell == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(pause)
    found = dict.fromkeys(("log_likelihood", "score_norm", "n_iter"))
    parameters, tau = study.measure(cell.gating).to_dict(), 1.0 / (1 + cell.replicate)
    found |= {"status": "converged", "parameters": parameters | {"tau": [tau, *parameters["tau"][1:]]}}
    return runner._row(cell, found | {"certificate": {"message": "x" * 500}}, 0.01)


def tau(G, G0, law):
    """What is measured of made rows, at once."""
    return [[2, "0,0", 1, "tau", "weighted", float(G.tau[0])]] * 20


@pytest.fixture
def study():
    return Study(**VALUES)


@pytest.fixture
def made_rows(monkeypatch):
    """No fits: rows are made."""
    monkeypatch.setattr(runner, "_compile", lambda *_: None)
    monkeypatch.setattr(runner, "run_cell", made)
    monkeypatch.setattr(measures, "MEASURES", (measures.Measure("tau", 1, tau),))


@pytest.fixture
def expected(study, tmp_path, made_rows):
    """The results of a run that nothing disturbed."""
    with Store(tmp_path / "expected.sqlite", study, write=True) as file:
        runner.run(study, file, progress=False)
        return file.frame()


# -- workers that die -------------------------------------------------------------------------------------------------
def fragile(folder, always, number):
    """The square of a number; the worker dies at `always`, and at 7 the first time."""
    marker = folder / "died"
    if number == always or number == 7 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def test_a_call_at_which_workers_die_is_given_up_and_no_other_is(tmp_path):
    deaths = []
    with pool.workers(2) as workers:
        call = partial(fragile, tmp_path, 2)
        found = dict(workers.answers(call, list(range(12)), lambda: deaths.append(1)))
    assert found == {number: number**2 for number in range(12)} | {2: None}
    assert len(deaths) in (3, 4)  # 7 may die with 2
    assert (tmp_path / "died").exists()


def test_workers_that_only_die_end_the_run(monkeypatch):
    monkeypatch.setattr(pool, "FRUITLESS", 2)
    with pool.workers(2) as workers, pytest.raises(pool.PoolError, match="2 workers died in a row"):
        list(workers.answers(os._exit, [1, 2, 3]))


def test_a_cell_that_kills_its_worker_is_a_row_and_the_study_goes_on(study, tmp_path, expected, monkeypatch, capfd):
    deadly = Cell("SS", (2, 2), 400, 3)
    monkeypatch.setattr(pool, "TOGETHER", 1)
    monkeypatch.setattr(runner, "run_cell", partial(made, deadly=deadly))
    with Store(tmp_path / "s.sqlite", study, write=True) as file:
        assert runner.run(study, file, jobs=2) == 40
        assert [cell for cell, status in file.statuses().items() if status == "failed"] == [deadly]
        assert list(file.failures()) == [runner.DIED]
        monkeypatch.setattr(runner, "run_cell", made)
        assert runner.run(study, file, retry_failed=True, progress=False) == 1
        assert file.frame().equals(expected)
    shown = capfd.readouterr().err
    assert shown.count("hmoe: a worker process died; others take its place") == 2
    assert "40/40 cells" in shown


@pytest.fixture(scope="module")
def cluster():
    """A dask cluster of two processes, each with a nanny that replaces it."""
    distributed = pytest.importorskip("distributed")
    from dask import config

    with (
        config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL"
        ) as cluster,
    ):
        yield cluster


@pytest.mark.filterwarnings("ignore")  # what dask says of the workers that are killed here
def test_dask_gives_the_same_rows_though_a_worker_is_killed(study, tmp_path, cluster, expected, monkeypatch):
    deadly = Cell("SS", (2, 2), 400, 3)
    monkeypatch.setattr(runner, "run_cell", partial(made, deadly=deadly, pause=0.1))
    address = cluster.scheduler_address
    with Store(tmp_path / "s.sqlite", study, write=True) as file:

        def kill():
            while file_count(file.path) < 5:
                time.sleep(0.02)
            os.kill(next(iter(cluster.workers.values())).process.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        assert runner.run(study, file, backend="dask", scheduler=address, progress=False) == 40
        killer.join()
        assert [cell for cell, status in file.statuses().items() if status == "failed"] == [deadly]
        assert file.latest_run()["jobs"] in (1, 2)
        monkeypatch.setattr(runner, "run_cell", made)
        assert runner.run(study, file, backend="dask", scheduler=address, retry_failed=True, progress=False) == 1
        assert file.frame().equals(expected)


def no_such_package():
    raise ModuleNotFoundError("No module named 'simulations'")


class Unreadable:
    """A call that cannot be read, as where the package is not installed."""

    def __reduce__(self):
        return no_such_package, ()


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_without_the_package_ends_the_run(cluster):
    with pool.workers(1, "dask", cluster.scheduler_address) as workers:
        with pytest.raises(pool.PoolError, match="dask cannot make the call .is the same package on scheduler"):
            list(workers.answers(Unreadable(), [1, 2]))


def file_count(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute("SELECT COUNT(*) FROM cells").fetchone()[0]


def test_a_worker_with_other_code_is_refused(study, tmp_path, made_rows, monkeypatch):
    monkeypatch.setattr(runner, "code_version", lambda: ("0.0.1", "abc"))
    with Store(tmp_path / "s.sqlite", study, write=True) as file:
        with pytest.raises(UserError, match=r"worker on .* has hmoe-stats .*, not 0\.0\.1 \(abc\): install the same"):
            runner.run(study, file, jobs=2, progress=False)
        assert file.statuses() == {}


def troubled(study, cell):
    trouble = {("SS", 200): MemoryError, ("SS", 400): SystemExit, ("LL", 200): KeyboardInterrupt, ("LL", 400): OSError}
    if cell.replicate == 3:
        raise trouble[cell.gating, cell.n]
    return made(study, cell)


def test_trouble_of_a_worker_leaves_its_cells_to_do(study, tmp_path, expected, monkeypatch):
    monkeypatch.setattr(runner, "run_cell", troubled)
    with Store(tmp_path / "s.sqlite", study, write=True) as file:
        with pytest.raises(runner.TroubleError) as caught:
            runner.run(study, file, jobs=2, progress=False)
        lines = str(caught.value).splitlines()
        assert sorted(line.split(": ")[1].split()[0] for line in lines) == [
            "KeyboardInterrupt", "MemoryError", "OSError", "SystemExit"
        ]  # fmt: skip
        assert set(file.statuses().values()) == {"converged"}
        monkeypatch.setattr(runner, "run_cell", made)
        assert runner.run(study, file, progress=False) == 4
        assert file.frame().equals(expected)


# -- files that cannot be written -------------------------------------------------------------------------------------
def fills_up(study, path, expected, message, limit, room):
    """A run ends with `message` once `limit(file)` holds, keeps its rows, and goes on after `room()`."""
    with Store(path, study, write=True) as file:
        limit(file)
        with pytest.raises(StoreError, match=message) as caught:
            runner.run(study, file, progress=False)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        kept = len(file.statuses())
    assert 0 < kept < 40
    room()
    with Store(path, study, write=True) as file:
        assert len(file.statuses()) == kept
        assert runner.run(study, file, progress=False) == 40 - kept
        assert file.frame().equals(expected)


def test_a_file_that_may_not_grow_ends_the_run_and_keeps_its_rows(study, tmp_path, expected):
    def limit(file):
        file._db.execute("PRAGMA max_page_count = 14")

    fills_up(study, tmp_path / "s.sqlite", expected, "database or disk is full", limit, lambda: None)


def test_a_full_disk_ends_the_run_and_keeps_its_rows(study, tmp_path, expected):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        filler = disk / "filler"

        def limit(file):
            file.statuses()
            filler.write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 65536))

        fills_up(study, disk / "s.sqlite", expected, "disk is full|disk I/O error", limit, filler.unlink)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_limit_of_file_size_ends_the_run_and_keeps_its_rows(study, tmp_path, expected):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(file):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))

    def room():
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    try:
        fills_up(study, tmp_path / "s.sqlite", expected, "disk is full|disk I/O error", limit, room)
    finally:
        room()


def test_a_file_that_another_program_holds_is_said(study, tmp_path, expected, monkeypatch):
    monkeypatch.setattr(resultsfile, "PATIENCE", 0.1)
    path = tmp_path / "s.sqlite"
    with Store(path, study, write=True) as file:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"s\.sqlite: database is locked"):
            runner.run(study, file, progress=False)
        other.close()
        assert runner.run(study, file, progress=False) == 40
        assert file.frame().equals(expected)


def test_a_file_that_is_removed_ends_the_run(study, tmp_path, made_rows, monkeypatch):
    path = tmp_path / "s.sqlite"

    def removing(study, cell):
        if cell.replicate == 5:
            path.unlink(missing_ok=True)
        return made(study, cell)

    monkeypatch.setattr(runner, "run_cell", removing)
    with Store(path, study, write=True) as file:
        with pytest.raises(StoreError, match="was removed or replaced"):
            runner.run(study, file, progress=False)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="/proc, where not even root may write")
def test_a_place_where_nobody_may_write_is_said(study):
    with pytest.raises(StoreError, match=r"^/proc/s\.sqlite: cannot be written: "):
        Store("/proc/s.sqlite", study, write=True)


# -- the time left ----------------------------------------------------------------------------------------------------
def test_the_time_left_is_that_of_the_models_over_the_jobs():
    study = Study(**VALUES | {"gatings": ["SS"], "k2": [[2, 2], [3, 3]], "n": [1000, 8000], "replicates": 4})
    exact, over = (Cell("SS", k2, 8000, 0) for k2 in ((2, 2), (3, 3)))
    assert Pace(study, {}).left(2) is None
    pace = Pace(study, {("SS", "3,3", 8000): (2, 1, 2.0)})  # finished, failed among them, seconds of the other
    assert (pace.finished, pace.failed, pace.total) == (2, 1, 16)
    cost_over, cost_exact = study.cost(over), study.cost(exact)
    per = 2.0 / cost_over
    over_left = 2 * cost_over + 4 * study.cost(over._replace(n=1000))
    exact_left = 4 * cost_exact + 4 * study.cost(exact._replace(n=1000))
    assert pace.left(1) == pytest.approx(per * (over_left + exact_left))
    assert pace.left(2) == pytest.approx(pace.left(1) / 2)
    pace.add(exact, 0.1)  # now its model has a rate of its own
    assert pace.left(2) == pytest.approx((per * over_left + 0.1 / cost_exact * (exact_left - cost_exact)) / 2)
    before = pace.left(2)
    pace.add(over, None)
    assert pace.left(2) == pytest.approx(before - per * cost_over / 2)
    again = Pace(study, {("SS", "3,3", 8000): (2, 1, 2.0)}, retry_failed=True)
    assert again.left(1) == pytest.approx(per * (over_left + cost_over + exact_left))


def test_the_last_cell_is_not_shared_between_jobs():
    study = Study(**VALUES | {"gatings": ["SS"], "n": [400], "replicates": 2})
    pace = Pace(study, {("SS", "2,2", 400): (1, 0, 3.0)})
    assert pace.left(8) == pytest.approx(3.0)
    pace.add(Cell("SS", (2, 2), 400, 1), 3.0)
    assert pace.left(8) == 0.0


# -- what the commands say --------------------------------------------------------------------------------------------
TEXT = """
name = "small"
truth = "C0"
gatings = ["SS", "LL"]
k2 = [[2, 2]]
n = [200, 400]
replicates = 10
x = { law = "uniform", low = -3.0, high = 3.0 }
seed = 7
fit = { n_starts = 1 }
"""


@pytest.fixture
def hmoe(tmp_path, made_rows, monkeypatch):
    """`hmoe` in a folder with the small study, in this process: (exit code, lines on standard error)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(TEXT)

    def call(command, *words):
        done = CliRunner().invoke(app, [command, "small.toml", *words])
        assert isinstance(done.exception, SystemExit | None), done.exception
        return done.exit_code, [line for line in done.stderr.splitlines() if line.startswith("hmoe:")]

    return call


READING = [("status",), ("rates",), ("table", "--out", "t.csv")]


def test_commands_name_damaged_cells_and_a_run_computes_them_again(hmoe, tmp_path):
    assert hmoe("run", "--jobs", "1") == (0, [])
    assert hmoe("table", "--out", "before.csv")[0] == 0
    with sqlite3.connect(tmp_path / "results" / "small.sqlite") as db:
        db.execute("UPDATE cells SET parameters = '[[' WHERE gating = 'LL' AND n = 400 AND replicate = 3")
    for words in READING:
        code, (line,) = hmoe(*words)
        assert (code, "(LL 2,2 n = 400 replicate 3); hmoe run small computes them again" in line) == (0, True), words
    code, (line,) = hmoe("run", "--jobs", "1")
    assert (code, "LL 2,2 n = 400 replicate 3" in line) == (0, True)
    assert hmoe("status") == (0, [])
    assert hmoe("table", "--out", "after.csv") == (0, [])
    assert (tmp_path / "after.csv").read_bytes() == (tmp_path / "before.csv").read_bytes()


def test_a_study_without_cells_says_so(hmoe, tmp_path):
    none = "hmoe: results/small.sqlite: no finished cells yet (hmoe run small computes them)"
    Store(tmp_path / "results" / "small.sqlite", Study(**VALUES | {"seed": 8}), write=True).close()
    for words in (*READING[1:], ("plot",), ("report",)):
        assert hmoe(*words) == (2, [none])
    assert hmoe("status") == (0, [])
    assert hmoe("run", "--jobs", "1") == (0, [])
    assert hmoe("status") == (0, [])
    (tmp_path / "results" / "small.sqlite").write_bytes(b"")
    assert hmoe("status") == (0, [])
    assert hmoe("rates") == (2, ["hmoe: no results yet: results/small.sqlite is empty (hmoe run small fills it)"])


def test_a_run_with_trouble_ends_with_a_line_and_the_next_one_goes_on(hmoe, monkeypatch):
    def full(study, cell):
        raise MemoryError

    monkeypatch.setattr(runner, "run_cell", full)
    code, lines = hmoe("run", "--jobs", "1")
    assert code == 1
    assert lines[0].startswith("hmoe: LL 2,2 n = 400 replicate 0 and 9 more not computed (10 in a row): MemoryError (")
    assert lines[1:] == ["hmoe: 0 of 40 cells are kept in results/small.sqlite; hmoe run small.toml goes on from there"]
    monkeypatch.setattr(runner, "run_cell", made)
    assert hmoe("run", "--jobs", "1") == (0, [])


def test_a_file_that_another_takes_the_place_of_ends_the_run_with_a_line(hmoe, tmp_path, monkeypatch):
    path = tmp_path / "results" / "small.sqlite"
    Store(tmp_path / "other.sqlite", Study(**VALUES | {"seed": 8}), write=True).close()

    def replaced(study, cell):
        if cell.replicate == 5:
            shutil.copyfile(tmp_path / "other.sqlite", path)
        return made(study, cell)

    monkeypatch.setattr(runner, "run_cell", replaced)
    line = "hmoe: results/small.sqlite: was removed or replaced while it was being written"
    assert hmoe("run", "--jobs", "1") == (1, [line])
    assert path.read_bytes() == (tmp_path / "other.sqlite").read_bytes()
