"""The protocol of a study: what its results file remembers of declarations and looks, and what is said of it."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulations import protocol, runner
from simulations.cli import app
from simulations.store import Store
from simulations.study import Study

TODAY = time.strftime("%Y-%m-%d", time.gmtime())
TOML = """
name = "s"
title = "A study"
truth = "C2"
gatings = ["SS"]
k2 = [[2, 2]]
n = [200, 400]
replicates = {}
statistics = {}
x = {{ law = "uniform", low = -3.0, high = 3.0 }}
seed = 1
"""


@pytest.fixture
def hmoe(tmp_path, monkeypatch):
    """`hmoe(command, ...)` on a study of which replicates and statistics can be said; its output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "run_cell", made)

    def call(command, *more, replicates=6, statistics='["median"]', code=0):
        (tmp_path / "s.toml").write_text(TOML.format(replicates, statistics))
        done = CliRunner().invoke(app, [command, "s.toml", *more])
        assert done.exit_code == code, done.output
        return done.stdout

    return call


def made(study, cell):
    """A row as `run_cell` gives it, of a fit near the truth."""
    parameters = study.measure(cell.gating).to_dict()
    parameters["eta"] = [[v[0] + (1 + cell.replicate) * cell.n**-0.5] for v in parameters["eta"]]
    row = dict(zip(("gating", "k2", "n", "replicate"), cell.key, strict=True))
    row |= {"status": "converged", "message": "", "log_likelihood": -1.0, "score_norm": 0.0, "n_iter": 1}
    version, source = runner.code_version()
    row |= {"certificate": {"converged": True}, "seconds": 0.1, "version": version, "source": source}
    return row | {"parameters": parameters}


def entries(path="results/s.sqlite"):
    with closing(sqlite3.connect(path)) as db:
        found, sound = protocol.read(db)
    assert sound
    return [(entry.what, entry.cells) for entry in found]


def line(hmoe, **changes):
    """What `hmoe rates` says of the protocol: its first line."""
    return hmoe("rates", **changes).splitlines()[0]


def test_a_declaration_before_the_first_fit_and_looks_are_written_down(hmoe):
    hmoe("run", "--jobs", "1")
    assert entries() == [("declaration", 0)]
    hmoe("status"), hmoe("table", "--out", "t.csv"), hmoe("run", "--jobs", "1")  # are no looks, and declare nothing new
    assert entries() == [("declaration", 0)]
    said = line(hmoe)
    assert said == f"declared before the first fit, on {TODAY}; not changed since"
    hmoe("plot"), hmoe("report"), hmoe("rates", "--json")
    assert entries()[1:] == [(command, 12) for command in ("rates", "plot", "report", "rates")]
    assert said in Path("figures/s/report.html").read_text()
    assert json.loads(hmoe("rates", "--json"))["declared"] == said


def test_what_was_changed_is_said_with_the_looks_before_it(hmoe):
    hmoe("run", "--jobs", "1", replicates=4)
    hmoe("run", "--jobs", "1", replicates=6)
    first = f"declared before the first fit, on {TODAY}; replicates 4 -> 6 before any look"
    assert line(hmoe) == first
    hmoe("rates"), hmoe("run", "--jobs", "1", statistics='["mean", "median"]')
    second = f"{first}; statistics median -> mean and median after 2 looks, the last at 12 cells"
    assert line(hmoe, statistics='["mean", "median"]') == second
    undeclared = "replicates 6 -> 8, statistics mean and median -> median, not yet declared by a run"
    assert line(hmoe, replicates=8) == f"{second}; {undeclared}"
    assert entries()[-1] == ("rates", 12)


def test_a_file_from_before_there_were_protocols_says_so(hmoe):
    hmoe("run", "--jobs", "1")
    with closing(sqlite3.connect("results/s.sqlite", isolation_level=None)) as db:
        db.execute("DROP TABLE protocol")
    assert line(hmoe) == "declared: not on record"
    assert entries() == [("rates", 12)]  # the look is, from now on
    hmoe("run", "--jobs", "1")
    assert line(hmoe) == f"declared on {TODAY}, with 12 cells there; not changed since"


@pytest.mark.parametrize("spoil", ["DELETE FROM protocol WHERE number = 2", "UPDATE protocol SET cells = 0"])
def test_an_entry_that_was_taken_out_or_changed_is_noticed(hmoe, spoil):
    hmoe("run", "--jobs", "1"), hmoe("rates"), hmoe("rates")
    with closing(sqlite3.connect("results/s.sqlite", isolation_level=None)) as db:
        db.execute(spoil)
    assert line(hmoe) == "declared: the record of it is damaged"


def test_looks_at_a_file_that_another_writes_are_lost_and_nothing_fails(hmoe):
    hmoe("run", "--jobs", "1")
    study = Study(**_toml("s.toml"))
    with Store("results/s.sqlite", study, write=True):
        hmoe("rates")
    assert entries() == [("declaration", 0)]


def test_a_file_that_is_written_anew_keeps_its_protocol(hmoe):
    hmoe("run", "--jobs", "1"), hmoe("rates")
    with closing(sqlite3.connect("results/s.sqlite", isolation_level=None)) as db:
        db.execute("DELETE FROM meta")  # its description of the study
    hmoe("run", "--jobs", "1")
    assert entries() == [("declaration", 0), ("rates", 12)]


def _toml(path):
    import tomllib

    with open(path, "rb") as file:
        return tomllib.load(file)
