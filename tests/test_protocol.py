"""The protocol of a study: what its results file remembers of declarations and looks, and what is said of it."""

import json
import re
import sqlite3
import time
import tomllib
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from hmoe_stats import MixingMeasure, fit_rate
from simulations import evidence, measures, protocol, runner, summary, words
from simulations.checks import check_study
from simulations.cli import app
from simulations.store import Store
from simulations.study import Study, StudyError, load_study
from simulations.summary import QUANTITY, Summary

NOW = 1.8e9  # what the clock of the protocol says: runs here may cross midnight
TODAY = time.strftime("%Y-%m-%d", time.gmtime(NOW))
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
    monkeypatch.setattr(protocol, "time", SimpleNamespace(time=lambda: NOW))

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
    shown = "shown are the 6 replicates declared before any look, with those added later apart"
    assert line(hmoe, replicates=8) == f"{second}; {undeclared}; {shown}"
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
    study = load_study("s.toml")
    with Store("results/s.sqlite", study, write=True):
        hmoe("rates")
    assert entries() == [("declaration", 0)]


def test_a_file_that_is_written_anew_keeps_its_protocol(hmoe):
    hmoe("run", "--jobs", "1"), hmoe("rates")
    with closing(sqlite3.connect("results/s.sqlite", isolation_level=None)) as db:
        db.execute("DELETE FROM meta")  # its description of the study
    hmoe("run", "--jobs", "1")
    assert entries() == [("declaration", 0), ("rates", 12)]


# -- primary quantities -----------------------------------------------------------------------------------------------
PRIMARY = ["eta of each expert, m = 1", "Voronoi loss"]


def with_primary(hmoe, *names, **changes):
    return hmoe(*changes.pop("words"), statistics=f'["median", "mean"]\nprimary = {json.dumps(names)}', **changes)


def test_intervals_of_primary_quantities_hold_together_and_all_else_is_exploratory(hmoe):
    with_primary(hmoe, *PRIMARY, words=("run", "--jobs", "1"))
    text = with_primary(hmoe, *PRIMARY, words=("rates",))
    assert "* primary: its 2 intervals hold together at 95 % (each is one at 97.5 %); all else is exploratory" in text
    assert re.findall(r"^\* (.*?)  ", text, re.MULTILINE) == ["Voronoi loss", "eta of each expert, m = 1"]
    with_primary(hmoe, *PRIMARY, words=("plot",))
    table = pd.read_csv("figures/s/slopes.csv")
    named = [words.quantity(*row) for row in table[QUANTITY].itertuples(index=False)]
    primary = table["role"] == "primary"
    assert primary.tolist() == [
        name in PRIMARY and s == "median" for name, s in zip(named, table["statistic"], strict=True)
    ]
    hmoe("plot", statistics='["median", "mean"]')
    plain = pd.read_csv("figures/s/slopes.csv")
    assert list(plain.columns) == [name for name in table if name != "role"]
    pd.testing.assert_frame_equal(plain[~primary], table[~primary].drop(columns="role"))
    wider = ((table["ci_high"] - table["ci_low"]) / (plain["ci_high"] - plain["ci_low"]))[primary]
    assert np.allclose(wider.dropna(), 1.2, atol=0.15)  # of t quantiles at .975 and .95, few degrees of freedom


def test_an_interval_of_a_primary_quantity_is_that_of_fit_rate_at_its_level(hmoe):
    study = Study(**tomllib.loads(TOML.format(12, '["mean"]')), primary=PRIMARY)
    rng = np.random.default_rng(1)
    rows = [(c.key, rng.lognormal() * c.n**-0.5) for c in study.cells()]
    frame = pd.DataFrame([[*key, "converged", 0, 0, "loss_sharp", "loss", error] for key, error in rows])
    frame.columns = ["gating", "k2", "n", "replicate", "status", *QUANTITY, "error"]
    (row,) = Summary(study, frame).slopes.itertuples()
    fit = fit_rate(frame["n"], frame["error"], level=0.975)
    assert (row.role, row.ci_low, row.ci_high) == ("primary", fit.ci_low, fit.ci_high)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("eta of each exprt, m = 2", "such as 'eta of each expert, m = 2', got 'eta of each exprt, m = 2'"),
        ("eta of each expert", "such as 'eta of each expert, m = 2', got"),
        ("Voronoi loss, m = 2", "such as 'Voronoi loss', got"),
        ("nonsense", "such as 'tau of each expert, m = 2', got"),
    ],
)
def test_a_primary_quantity_that_tables_do_not_name_is_refused_with_one_that_they_do(name, said):
    with pytest.raises(ValidationError, match=re.escape(said.split(", got")[0])):
        Study(**tomllib.loads(TOML.format(6, '["mean"]')), primary=[name])


def test_a_primary_quantity_that_no_fit_has_is_said_before_a_run(hmoe):
    names = "eta of each expert, m = 7", "Hellinger distance"
    with_primary(hmoe, *names, words=("run", "--jobs", "1"), code=2)
    study = Study(**tomllib.loads(TOML.format(6, '["mean"]')), primary=list(names))
    with pytest.raises(StudyError) as error:
        check_study(study)
    assert str(error.value).splitlines() == [
        "study s: primary[0]: no model fits so many: expected m of at most 4, got 'eta of each expert, m = 7'",
        "study s: primary[1]: is not measured, as measures.hellinger = false: 'Hellinger distance'",
    ]


def test_every_quantity_that_is_measured_can_be_primary():
    study = load_study("quick")
    G0 = study.measure("SS")
    groups, experts = [0, 0, 1], [0, 1, 1, 0, 1, 1, 2, 3, 3]  # cells of two and more, at both levels
    spread = {name: getattr(G0, name)[groups] for name in ("a", "b")}
    spread |= {name: getattr(G0, name)[experts] for name in ("omega", "beta", "eta", "tau", "nu")}
    moved = {
        name: value * (1 + 0.01 * np.arange(len(value))).reshape(-1, *[1] * (value.ndim - 1))
        for name, value in spread.items()
    }
    G = MixingMeasure(gating="SS", k2=(3, 3, 3), **moved)
    found = {
        (level, parameter, kind)
        for m in measures.MEASURES
        for level, _, _, parameter, kind, _ in m.rows(G, G0, study.law)
    }
    assert {words.name(*q) for q in found} <= set(words.NAMED)
    for text, (level, parameter, kind) in words.NAMED.items():
        whole = words.quantity(level, 3, parameter, kind)
        assert words.named(whole) == (level, 3 if level else 0, parameter, kind)
        assert text == whole.removesuffix(", m = 3")


def test_no_hash_depends_on_primary_quantities_and_a_change_of_them_is_on_record(hmoe):
    plain = Study(**tomllib.loads(TOML.format(6, '["mean"]')))
    assert Study(**plain.model_dump() | {"primary": PRIMARY}).hash == plain.hash
    hmoe("run", "--jobs", "1", statistics='["median", "mean"]')
    hmoe("rates"), with_primary(hmoe, PRIMARY[1], words=("run", "--jobs", "1"))
    said = with_primary(hmoe, PRIMARY[1], words=("rates",)).splitlines()[0]
    assert said.endswith("; primary none -> Voronoi loss after 1 look, at 12 cells")


# -- replicates that were added ---------------------------------------------------------------------------------------
def grown(hmoe):
    """A study of 6 replicates that was looked at, and then had 10; the tables before and after."""
    hmoe("run", "--jobs", "1"), hmoe("plot")
    before = pd.read_csv("figures/s/slopes.csv")
    hmoe("run", "--jobs", "1", replicates=10), hmoe("plot", replicates=10)
    return before, pd.read_csv("figures/s/slopes.csv")


def test_replicates_added_after_a_look_stand_apart_and_change_no_number_of_the_declared(hmoe):
    before, after = grown(hmoe)
    assert after["part"].value_counts().to_dict() == {"declared": len(before), "added": len(before)}
    declared, added = (
        after[after["part"] == part].drop(columns="part").reset_index(drop=True) for part in summary.PARTS
    )
    pd.testing.assert_frame_equal(declared, before)
    assert (added["replicates"] == 4).all()
    assert (added["to_do"] == 0).all()
    by_itself = Summary(load_study("s.toml"), stored("replicate >= 6", 6)).slopes
    assert np.allclose(added["slope"], by_itself["slope"], rtol=1e-5, equal_nan=True)
    text = hmoe("rates", replicates=10)
    shown = "shown are the 6 replicates declared before any look, with those added later apart"
    assert text.splitlines()[0].endswith(f"replicates 6 -> 10 after 1 look, at 12 cells; {shown}")
    assert words.ADDED in text
    assert {row["part"] for row in json.loads(hmoe("rates", "--json", replicates=10))["slopes"]} == {
        "declared",
        "added",
    }
    evident = evidence.table(["s.toml"], Path("figures"))
    joined = evident.merge(declared[declared["statistic"] == "median"], on=QUANTITY)
    assert len(joined) == len(evident) > 0
    assert np.allclose(joined["slope_x"], joined["slope_y"], equal_nan=True)
    hmoe("report", replicates=10)
    assert "20 of 20 done" in Path("figures/s/report.html").read_text()


def stored(which, first):
    with Store("results/s.sqlite", load_study("s.toml")) as store:
        rows = store.frame(failed=True).query(which)
    return rows.assign(replicate=rows["replicate"] - first)


def test_of_added_replicates_the_terminal_shows_primary_quantities_alone(hmoe):
    with_primary(hmoe, *PRIMARY, words=("run", "--jobs", "1")), with_primary(hmoe, *PRIMARY, words=("rates",))
    with_primary(hmoe, *PRIMARY, words=("run", "--jobs", "1"), replicates=10)
    text = with_primary(hmoe, *PRIMARY, words=("rates",), replicates=10)
    lines = text[text.index(words.ADDED) :].split("\n\n")[0].splitlines()[2:]
    assert [name for line in lines for name in PRIMARY[::-1] if name in line] == PRIMARY[::-1]
    assert len(lines) == 2


def test_replicates_that_were_added_before_any_look_are_declared(hmoe):
    hmoe("run", "--jobs", "1", replicates=4), hmoe("run", "--jobs", "1"), hmoe("plot")
    assert "part" not in pd.read_csv("figures/s/slopes.csv")
