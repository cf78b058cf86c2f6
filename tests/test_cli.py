"""The command line end to end: `hmoe` as a user runs it, interrupted, killed and given bad input."""

import csv
import importlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from made import put as put_rows
from test_store import row_of
from typer.testing import CliRunner

import hmoe_stats as hs
from simulations import UserError, pool, runner
from simulations.cli import app
from simulations.store import FRAME_COLUMNS, Store, StoreError
from simulations.study import load_study

HMOE = Path(sys.executable).parent / "hmoe"
STUDY = """
name = "small"
title = "Small"
truth = "C2"
gatings = ["SS", "LL"]
k2 = [[2, 2], [3, 3]]
n = [150, 300]
replicates = 2
x = { law = "uniform", low = -3.0, high = 3.0 }
seed = 7
fit = { n_starts = 2, bounds = { omega = 3, beta = 1.5, nu = [0.04, 4.0] } }
"""
LONG = STUDY.replace("[2, 2], [3, 3]", "[2, 2]").replace("replicates = 2", "replicates = 15")
LONG += "measures = { functional = false }\n"
CELLS = 60  # of the long one
STUDIES = [
    "applied-domains", "applied-images", "applied-modalities", "applied-sample-size", "applied-tables", "applied-units",
    "box", "box-wide", "boxes", "calibration", "classes", "classes-constant", "edge", "elsewhere", "exact",
    "floor-high", "floor-low", "level-one", "level-one-far", "many-truths", "many-truths-near", "million",
    "nine-decades", "nine-decades-three", "normal-x", "over-by-one", "over-by-two", "plane", "plane-far", "quick",
    "reproduction", "reproduction-em", "reproduction-far", "reproduction-far-em", "same-data-laplace",
    "same-data-softmax", "search", "toy", "unidentified", "unidentified-far", "unidentified-pair",
]  # fmt: skip


def hmoe(folder, *words, code=0):
    """Run `hmoe` in `folder`; its output, after a check of the exit code and that no traceback was shown."""
    done = subprocess.run([HMOE, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def put(folder, text=STUDY):
    (folder / "small.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder in which the small study was run with two workers."""
    folder = put(tmp_path_factory.mktemp("ran"))
    assert "16 of 16 cells in results/small.sqlite, 16 of them new, 0 failed" in hmoe(
        folder, "run", "small.toml", "--jobs", 2
    )
    return folder


def test_one_and_two_workers_give_the_same_table(ran):
    hmoe(ran, "table", "small.toml", "--out", "two.csv")
    hmoe(ran, "run", "small.toml", "--jobs", 1, "--results", "one.sqlite")
    hmoe(ran, "table", "small.toml", "--out", "one.csv", "--results", "one.sqlite")
    assert (ran / "one.csv").read_bytes() == (ran / "two.csv").read_bytes()
    with open(ran / "one.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    cells = {(row["gating"], row["k2"], row["n"], row["replicate"]) for row in rows}
    assert len(cells) == 16
    assert {"loss_sharp", "loss_published", "omega", "tau", "nu"} <= {row["parameter"] for row in rows}
    assert all(float(row["error"]) >= 0 for row in rows)


def test_an_over_specified_fit_is_never_below_the_exact_one(ran):
    with Store(ran / "results" / "small.sqlite", load_study(ran / "small.toml")) as store:
        frame = store.frame().drop_duplicates(["gating", "k2", "n", "replicate"])
    fits = frame.pivot(index=["gating", "n", "replicate"], columns="k2", values="log_likelihood")
    assert (fits["3,3"] >= fits["2,2"]).all()


def test_a_second_run_does_nothing(ran):
    before = (ran / "results" / "small.sqlite").read_bytes()
    assert "16 of 16 cells in results/small.sqlite, 0 of them new" in hmoe(ran, "run", "small.toml")
    assert (ran / "results" / "small.sqlite").read_bytes() == before


def test_status_counts(ran):
    shown = hmoe(ran, "status", "small.toml")
    assert "small: 16 of 16 cells" in shown
    assert "SS      3,3              4       0       0" in shown
    assert "cells a minute" in shown
    (ran / "more.toml").write_text(STUDY.replace("replicates = 2", "replicates = 5"))
    shown = hmoe(ran, "status", ran / "more.toml")
    assert "small: 16 of 40 cells" in shown
    assert "SS      3,3              4       0       6" in shown
    assert re.search(r"time left: about \d+:\d\d:\d\d with", shown)
    assert "no run is under way" in shown


def test_status_before_the_first_run(tmp_path):
    assert "small: 0 of 16 cells" in hmoe(put(tmp_path), "status", "small.toml")
    assert os.listdir(tmp_path) == ["small.toml"]


def test_rates_and_plot(ran):
    shown = hmoe(ran, "rates", "small.toml")
    assert "LL, fitted k2 = 3,3" in shown
    assert "Voronoi loss" in shown
    shown = hmoe(ran, "plot", "small.toml", "--out", "figs")
    files = ["small.png", "small.svg", "slopes.csv", "differences.csv", "curves.csv", "ends.csv", "declared.txt"]
    assert shown.split() == [f"figs/small/{file}" for file in files]
    made = {file: (ran / "figs" / "small" / file).read_bytes() for file in files}
    assert made["small.png"].startswith(b"\x89PNG")
    assert all(b"loss_sharp" in made[file] for file in files[2:5])
    assert made["ends.csv"].startswith(b"study,gating,k2,n,")
    assert made["declared.txt"].startswith(b"declared before the first fit, on ")
    drawn = hmoe(ran, "gallery", "small.toml", "--figures", "figs", "--out", "drawn", "--all").split()
    assert drawn == [f"drawn/small/small{end}" for end in (".png", ".svg", "-all.png", "-all.svg")]
    assert all((ran / "drawn" / "small" / file).read_bytes() == made[file] for file in files[:2])
    hmoe(ran, "plot", "small.toml", "--out", "again")
    assert all((ran / "again" / "small" / file).read_bytes() == content for file, content in made.items())


def test_studies_beside_are_read_from_beside(ran):
    """The same cells under another name, and a study that was never run."""
    (ran / "wider.toml").write_text(
        STUDY.replace('"small"', '"wider"').replace("n = [150, 300]", "n = [600]")
        + 'beside = ["small.toml", "gone.toml"]\n'
    )
    (ran / "gone.toml").write_text(STUDY.replace('"small"', '"gone"').replace("seed = 7", "seed = 8"))
    hmoe(ran, "run", "wider.toml", "--jobs", 2)
    done = subprocess.run([HMOE, "rates", "wider.toml"], cwd=ran, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0
    assert done.stderr == "hmoe: note: gone.toml, shown beside wider, has no results in results/gone.sqlite\n"
    (line,) = re.findall(r"wider: SS, fitted k2 = 3,3: .*", done.stdout)
    assert line.endswith(" 0 to do")
    (line,) = re.findall(r"\nVoronoi loss .*", done.stdout.partition("SS, fitted k2 = 2,2")[2].partition("\n\n")[0])
    assert line.split()[-2:] == ["3", "2"]  # three sizes, two of them of the other study, with two replicates
    assert "paired differences of rates (mean)" in done.stdout
    assert "wider SS - LL 3,3" in done.stdout


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """The results of the long study, from a run that nothing disturbed."""
    folder = put(tmp_path_factory.mktemp("long"), LONG)
    hmoe(folder, "run", "small.toml", "--jobs", 1)
    return results(folder)


def results(folder):
    """The tidy results in a folder; none before the run has made its file."""
    try:
        with Store(folder / "results" / "small.sqlite", load_study(folder / "small.toml")) as store:
            return store.frame()
    except StoreError:
        return pd.DataFrame(columns=FRAME_COLUMNS)


def finished(folder):
    try:
        with Store(folder / "results" / "small.sqlite", load_study(folder / "small.toml")) as store:
            return len(store.statuses())
    except StoreError:
        return 0


@pytest.mark.parametrize(
    ("jobs", "after", "wait"),
    [(1, 5, 0.0), (2, 1, 0.15)],  # soon after the first cell, workers are starting
)
def test_interrupted_runs_keep_their_cells_and_go_on_to_the_same_results(tmp_path, long, jobs, after, wait):
    folder = put(tmp_path, LONG)
    words = [HMOE, "run", "small.toml", "--jobs", str(jobs)]
    process = subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while (seen := finished(folder)) < after:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(wait)
    begin = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
    said = process.communicate(timeout=30)[1]
    assert time.monotonic() - begin < 5
    kept = finished(folder)
    assert seen <= kept < CELLS
    assert process.returncode == 130
    assert "Traceback" not in said
    assert f"hmoe: {kept} of {CELLS} cells are kept in results/small.sqlite; hmoe run small.toml goes on" in said
    assert os.listdir(folder / "results") == ["small.sqlite"]
    assert f"{CELLS - kept} of them new" in hmoe(folder, "run", "small.toml", "--jobs", 1)
    assert results(folder).equals(long)


def test_a_run_killed_again_and_again_loses_nothing(tmp_path, long):
    folder, seen = put(tmp_path, LONG), 0
    for jobs, more, wait in ((2, 3, 0.03), (1, 0, 0.9), (2, 4, 0.0)):  # the second dies while it starts, or soon after
        words = [HMOE, "run", "small.toml", "--jobs", str(jobs)]
        process = subprocess.Popen(words, cwd=folder, stderr=subprocess.DEVNULL)
        while finished(folder) < seen + more:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(wait)
        seen, before = finished(folder), seen
        process.kill()
        process.wait()
        assert before + more <= seen <= finished(folder) < CELLS
    assert f"{CELLS} of {CELLS} cells" in hmoe(folder, "run", "small.toml", "--jobs", 1)
    assert results(folder).equals(long)


def test_failing_cells_are_counted_and_the_rest_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(put(tmp_path, STUDY.replace(", [3, 3]", "")))
    fit = hs.fit_mle

    def fails(X, y, **options):
        if len(y) == 150:
            raise ValueError("no luck")
        return fit(X, y, **options)

    monkeypatch.setattr(hs, "fit_mle", fails)
    done = CliRunner().invoke(app, ["run", "small.toml", "--jobs", "1"])
    assert done.exit_code == 0
    assert "8 of 8 cells in results/small.sqlite, 8 of them new, 4 failed" in done.stdout
    assert "4 failed: ValueError: no luck" in done.stderr
    shown = CliRunner().invoke(app, ["rates", "small.toml"]).stdout
    assert "SS, fitted k2 = 2,2: 2 fits failed, 0 without an optimum left out, " in shown
    assert CliRunner().invoke(app, ["table", "small.toml", "--out", "t.csv"]).exit_code == 0
    assert (tmp_path / "t.csv").read_text().count('C2,SS,"2,2",150,0,failed,,,,,,,\n') == 1


def test_a_run_says_first_what_its_truths_cannot_tell(tmp_path):
    text = STUDY.replace('"C2"', '"C4"').replace("[2, 2], [3, 3]", "[1, 1], [2, 2]")
    folder = put(tmp_path, text.replace("n = [150, 300]", "n = [60]").replace("replicates = 2", "replicates = 1"))
    words = [HMOE, "run", "small.toml", "--jobs", "1"]
    said, again = (
        subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600).stderr for _ in range(2)
    )
    lines = [line for line in said.splitlines() if line.startswith("hmoe: ")]
    assert len(lines) == 2
    for group, line in enumerate(lines):
        assert line.startswith(f"hmoe: serious: group {group}: 2 experts fitted on 1: ")
        assert line.endswith("[SS LL, k2 = 2,2]")
    assert again == ""


def test_a_misspelt_key_is_one_line_and_nothing_is_made(tmp_path):
    folder = put(tmp_path, STUDY.replace("gatings", "gatigns"))
    said = hmoe(folder, "run", "small.toml", code=2)
    assert said.splitlines() == [
        "hmoe: small.toml: gatings: missing key",
        "hmoe: small.toml: gatigns: unknown key; did you mean 'gatings'? (known: beside, data, "
            "data_gating, expected, experts, fit, gatings, k2, measures, n, name, primary, replicates, seed, "
            "statistics, title, truth, x)",
    ]
    assert os.listdir(folder) == ["small.toml"]


@pytest.mark.parametrize("command", ["run", "status", "rates", "table", "plot", "report"])
def test_results_of_another_study_are_refused_and_kept(ran, tmp_path, command):
    (tmp_path / "small.toml").write_text(STUDY.replace("seed = 7", "seed = 8"))
    file = ran / "results" / "small.sqlite"
    before = file.read_bytes()
    out = ["--out", tmp_path / "out"] if command in ("table", "plot", "report") else []
    (line,) = hmoe(tmp_path, command, "small.toml", "--results", file, *out, code=2).splitlines()
    assert line.startswith(f"hmoe: {file}: holds the study small (")
    assert "they differ in seed (7 there, 8 here)" in line
    assert file.read_bytes() == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "run qiuck",
            f"hmoe: no study 'qiuck': neither a shipped one ({', '.join(STUDIES)}) nor a TOML file",
        ),
        ("rates small.toml", "hmoe: no results yet: results/small.sqlite does not exist"),
        ("run small.toml --results small.toml", "hmoe: small.toml: not a results file"),
        ("run small.toml --results small.toml/x.sqlite", "hmoe: small.toml/x.sqlite: cannot be written"),
        ("run small.toml --backend dsk", "hmoe: --backend: expected loky or dask, got 'dsk'"),
        ("run small.toml --scheduler tcp://x", "hmoe: --scheduler is of use with --backend dask only"),
        ("fit gone.csv --y y --gating SS --k2 2,2", "hmoe: gone.csv: cannot be read: No such file"),
        ("fit data.csv --y z --gating SS --k2 2,2", "hmoe: --y: the column 'z' is not there; numeric columns are x, y"),
        ("fit data.csv --y y --gating SS --k2 two", "hmoe: --k2: expected whole numbers such as 2,2, got 'two'"),
        (
            "fit data.csv --y y --gating XX --k2 2,2",
            "hmoe: gating must be one of SS, SL, LS, LL, SQ, LQ, QS, QL, QQ; got 'XX'",
        ),
        (
            "fit hole.csv --y y --gating SS --k2 2,2",
            "hmoe: X and y must have more rows than the model has free parameters, 11; got 1 "
            "(1 of 2 rows left out, as values are missing: 1 in x)",
        ),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, words, said):
    put(tmp_path)
    (tmp_path / "data.csv").write_text("x,y,name\n1,2,a\n3,4,b\n")
    (tmp_path / "hole.csv").write_text("x,y\n1,2\n,4\n")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    (line,) = hmoe(tmp_path, *words.split(), code=2).splitlines()
    assert line.startswith(said)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


ODD_PATHS = {
    "folder": "folder: is a folder, not a file",
    "pipe": "pipe: is a device or a pipe, not a file",
    "/dev/zero": "/dev/zero: is a device or a pipe, not a file",
    "loop": "loop: cannot be reached: Too many levels of symbolic links",
    "m" * 300: f"{'m' * 300}: cannot be reached: File name too long",
    "": ".: is a folder, not a file",
}


@pytest.fixture
def odd_paths(tmp_path, monkeypatch):
    """A folder with a study and `ODD_PATHS`."""
    monkeypatch.chdir(put(tmp_path))
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    return sorted(tmp_path.rglob("*"))


def one_cell(path):
    """A results file of the small study with one of its cells."""
    study = load_study("small.toml")
    with Store(path, study, write=True) as store:
        put_rows(store, [row_of(study.cells()[0])])


def refused(*words):
    """The one line that refuses a command."""
    done = CliRunner().invoke(app, list(words))
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("path", ODD_PATHS)
def test_results_are_a_file_or_one_line(odd_paths, tmp_path, path):
    for command in (["run"], ["status"], ["rates"], ["table", "--out", "t.csv"], ["plot"], ["report"]):
        said = refused(command[0], "small.toml", "--results", path, *command[1:])
        assert said.startswith(f"hmoe: {ODD_PATHS[path]}")
    assert sorted(tmp_path.rglob("*")) == odd_paths


@pytest.mark.parametrize("out", ["s.sqlite", "./folder/../s.sqlite", "hard.sqlite", "link.sqlite", "small.toml"])
def test_a_table_never_takes_the_place_of_what_it_is_made_from(odd_paths, tmp_path, out):
    one_cell("s.sqlite")
    os.link("s.sqlite", "hard.sqlite")
    os.symlink("s.sqlite", "link.sqlite")
    before = {file: (tmp_path / file).read_bytes() for file in ("s.sqlite", "small.toml")}
    said = refused("table", "small.toml", "--results", "s.sqlite", "--out", out)
    assert "which the table would replace" in said
    assert before == {file: (tmp_path / file).read_bytes() for file in before}


def test_names_in_messages_are_lines_and_not_too_long(odd_paths):
    for path in ("a\nb", "a/" * 3000 + "b"):
        for options in (["--results", path, "--out", "t.csv"], ["--results", "s.sqlite", "--out", f"no/{path}"]):
            one_cell("s.sqlite")
            assert len(refused("table", "small.toml", *options)) < 600


@pytest.mark.parametrize("path", ["folder", "", "/", "loop", "m" * 300, "m" * 253, "file/x", "gone/x"])
def test_a_table_that_cannot_be_written_is_one_line(odd_paths, tmp_path, path):
    one_cell("s.sqlite")
    before = sorted(tmp_path.rglob("*"))
    assert "cannot be written" in refused("table", "small.toml", "--results", "s.sqlite", "--out", path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full")
def test_a_device_is_written_to_and_stays_one(odd_paths):
    one_cell("s.sqlite")
    said = refused("table", "small.toml", "--results", "s.sqlite", "--out", "/dev/full")
    assert said == "hmoe: /dev/full: cannot be written: No space left on device\n"
    assert Path("/dev/full").is_char_device()


def test_a_table_behind_a_link_is_replaced_there(odd_paths, tmp_path):
    one_cell("s.sqlite")
    os.symlink("folder/t.csv", "t.csv")
    for _ in range(2):
        done = CliRunner().invoke(app, ["table", "small.toml", "--results", "s.sqlite", "--out", "t.csv"])
        assert done.stdout == "t.csv: 2 rows\n"
    assert os.readlink("t.csv") == "folder/t.csv"
    assert os.listdir("folder") == ["t.csv"]


@pytest.mark.parametrize("path", ["file", "file/x", "loop/x", "m" * 300])
def test_folders_are_checked_before_anything_is_computed(odd_paths, monkeypatch, path):
    monkeypatch.setattr(hs.theory, "certificates", lambda *_, **__: pytest.fail("computed"))
    refused("certify", "C2", "--gating", "SS", "--k2", "3,2", "--out", path)
    refused("evidence", "toy", "--certify", "--out", path)
    refused("evidence", "toy", "--certify", "--figures", path)
    one_cell("s.sqlite")
    monkeypatch.setattr("simulations.page.figure", lambda *_: pytest.fail("drawn"))
    monkeypatch.setattr("simulations.report.report_page", lambda *_: pytest.fail("written"))
    for command in ("plot", "report"):
        refused(command, "small.toml", "--results", "s.sqlite", "--out", path)


@pytest.mark.parametrize("k2", ["100000,100000", "9" * 5000, "1," * 50_000 + "1"])
def test_models_of_the_command_line_are_small(k2):
    said = refused("certify", "C2", "--gating", "SS", "--k2", k2)
    assert said.startswith("hmoe: --k2: expected ")
    assert len(said) < 200


# -- workers ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("asked", "cores", "given"), [("1000000000", 2, 8), ("1000000000", 0.25, 4), ("3", 2, 3)])
def test_there_are_not_more_workers_than_cells(tmp_path, monkeypatch, asked, cores, given):
    monkeypatch.chdir(put(tmp_path, STUDY.replace(", [3, 3]", "")))
    monkeypatch.setattr(pool.joblib, "cpu_count", lambda: cores)
    asked_for = []
    monkeypatch.setattr(runner, "run", lambda study, store, jobs, *_: asked_for.append(jobs))
    done = CliRunner().invoke(app, ["run", "small.toml", "--jobs", asked])
    assert asked_for == [given]
    assert done.stderr == ""


def test_workers_that_cannot_be_started_are_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(put(tmp_path))
    monkeypatch.setattr(runner, "_compile", lambda *_: None)
    for error in (OSError(11, "Resource temporarily unavailable"), ImportError("no _multiprocessing"),
                  RuntimeError("can't start new thread"), MemoryError()):  # fmt: skip

        def refuses(*_, error=error, **__):
            raise error

        monkeypatch.setattr(pool.joblib, "Parallel", refuses)
        done = CliRunner().invoke(app, ["run", "small.toml", "--jobs", "2"])
        assert done.exit_code == 1
        said, kept = [line for line in done.stderr.splitlines() if line.startswith("hmoe: ")]
        assert said.startswith(f"hmoe: worker processes cannot be started ({type(error).__name__}: ")
        assert said.endswith("--jobs 1 needs none")
        assert "0 of 16 cells are kept in results/small.sqlite" in kept


@pytest.mark.parametrize("raised", [MemoryError(), ImportError("libz.so: cannot map\nit"), OSError(12, "No memory")])
@pytest.mark.parametrize("command", [["run"], ["status"], ["rates"], ["table", "--out", "t.csv"], ["plot"], ["report"]])
def test_trouble_of_the_machine_is_one_line(odd_paths, monkeypatch, raised, command):
    def refuse(*_, **__):
        raise raised

    one_cell("s.sqlite")
    monkeypatch.setattr("simulations.cli.Store", refuse)
    done = CliRunner().invoke(app, [*command, "small.toml", "--results", "s.sqlite"])
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"hmoe: {type(raised).__name__}: ")


def test_studies_are_listed(tmp_path):
    shown = hmoe(tmp_path, "studies")
    assert [line.split()[0] for line in shown.splitlines()] == STUDIES


def test_fit_of_own_data(tmp_path):
    X, y = hs.sample(hs.datasets.truth("C2", gating="LL"), 100, x=hs.Uniform(-3, 3), seed=0)
    lines = ["name,y,x", *(f"row,{v!r},{x!r}" for x, v in zip(X[:, 0].tolist(), y.tolist(), strict=True))]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    shown = hmoe(tmp_path, "fit", "own.csv", "--y", "y", "--gating", "LL", "--k2", "1,1", "--seed", 3)
    expected = hs.fit(X, y, gating="LL", k2=(1, 1), seed=3)
    assert f"log-likelihood  {expected.log_likelihood!r}\n" in shown
    assert f"status          {expected.status}" in shown
    assert "y = y, X = x; 100 rows" in shown
    assert repr(expected.named(("x",), "y").summary()) in shown


def test_the_command_line_answers_without_heavy_libraries():
    code = "import sys, simulations.cli; print({'numpy', 'pandas', 'numba', 'joblib', 'tqdm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# -- certificates ------------------------------------------------------------------------------------------------------
def test_certify_prints_an_exponent_and_draws_it(tmp_path):
    told = hmoe(tmp_path, "certify", "C2", "--gating", "SS", "--k2", "3,2", "--only", "omega", "--out", "made")
    assert re.search(r"omega +m = 2 +exponent +(1\.99\d|2\.00\d) \+- 0\.0\d+, derived 2\.000 +clean", told)
    table = pd.read_csv(tmp_path / "made" / "certify-C2-SS-3-2.csv")
    assert table["discrepancy"].tolist() == ["omega"]
    assert table["exponent"][0] == pytest.approx(2.0, abs=0.03)
    assert (tmp_path / "made" / "certify-C2-SS-3-2.png").stat().st_size > 10_000
    assert "name must be one of" in hmoe(tmp_path, "certify", "C9", "--gating", "SS", "--k2", "3,2", code=2)
    assert "--k2: expected whole numbers" in hmoe(tmp_path, "certify", "C2", "--gating", "SS", "--k2", "3;2", code=2)
    wrong = hmoe(tmp_path, "certify", "C2", "--gating", "SS", "--k2", "3,2", "--only", "size", code=2)
    assert "discrepancies must be" in wrong


# -- what is caught ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("command", "broken"),
    [
        (["rates", "small.toml"], "simulations.summary.Summary"),
        (["plot", "small.toml"], "simulations.page.figure"),
        (["report", "small.toml"], "simulations.page.figure"),
        (["evidence", "toy"], "simulations.evidence.table"),
        (["fit", "own.csv", "--y", "y", "--gating", "SS", "--k2", "1,1"], "hmoe_stats.fit"),
        (["certify", "C2", "--gating", "SS", "--k2", "3,2", "--only", "tau"], "hmoe_stats.theory.modulus.modulus"),
    ],
)
def test_a_mistake_of_ours_is_not_called_the_users(ran, tmp_path, monkeypatch, command, broken):
    def fails(*_, **__):
        raise ValueError("a mistake")

    monkeypatch.chdir(put(tmp_path))
    (tmp_path / "own.csv").write_text("x,y\n" + "".join(f"{i},{i * i}\n" for i in range(60)))
    if command[1] == "small.toml":
        command = [*command, "--results", str(ran / "results" / "small.sqlite")]
    target, _, name = broken.rpartition(".")
    monkeypatch.setattr(importlib.import_module(target), name, fails)
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, ValueError), done.output
    assert not isinstance(done.exception, UserError)
    assert str(done.exception) == "a mistake"


@pytest.mark.parametrize(
    ("content", "why"), [(b"", "not a table"), (b'a,b\n1,2,3\n"', "not a table"), (b"\xff\xfe", "not a")]
)
def test_a_table_of_slopes_that_is_none_is_one_line(odd_paths, content, why):
    Path("figures/toy").mkdir(parents=True)
    Path("figures/toy/slopes.csv").write_bytes(content)
    assert f"figures/toy/slopes.csv: {why}" in refused("evidence", "toy")


def test_results_are_read_once(ran, tmp_path, monkeypatch):
    reads, collected = [], Store.collected
    monkeypatch.setattr(Store, "collected", lambda *a, **k: reads.append(1) or collected(*a, **k))
    for command in ("plot", "report", "rates"):
        out = () if command == "rates" else ("--out", tmp_path)
        done = CliRunner().invoke(app, [command, str(ran / "small.toml"), "--results",
                                        str(ran / "results" / "small.sqlite"), *map(str, out)])  # fmt: skip
        assert done.exit_code == 0, done.output
        assert len(reads) == 1
        reads.clear()
