"""What `hmoe` answers when asked: its version, help, words for the shell, JSON, and that there is nothing yet."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shellingham
from made import put as put_rows
from typer.testing import CliRunner

import hmoe_stats
from simulations.cli import app
from simulations.store import Store
from simulations.study import load_study
from simulations.summary import DIFFERENCES, SLOPES

STUDY = """
name = "small"
title = "loss in $ per {unit \\u001b[31m and 3 $ more"
truth = "C2"
gatings = ["SS", "LL"]
k2 = [[3, 3]]
n = [150, 300, 600]
replicates = 3
x = { law = "uniform", low = -3.0, high = 3.0 }
seed = 7
"""


def hmoe(*words, code=0, **environment):
    """(standard output, standard error) of `hmoe` in this process."""
    done = CliRunner().invoke(app, [str(word) for word in words], prog_name="hmoe", env=environment)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done.stdout, done.stderr


def put(folder, status="converged", cells=True):
    """A study in `folder`, and its results: made-up fits, all of one status, but for the last cell, which is to do."""
    (folder / "small.toml").write_text(STUDY)
    study, rng = load_study(folder / "small.toml"), np.random.default_rng(1)
    rows = []
    for cell in study.cells()[:-1] if cells else ():
        quantities = [(0, "", 0, "loss_sharp", "loss"), (2, "0,0", max(cell.k2) - 1, "omega", "weighted")]
        errors = [[*quantity, cell.n**-0.5 * rng.lognormal(0, 0.2)] for quantity in quantities]
        row = dict(zip(("gating", "k2", "n", "replicate"), cell.key, strict=True))
        row |= {"status": status, "message": "", "log_likelihood": -1.0, "score_norm": 0.0, "n_iter": 1}
        row |= {"seconds": 2.0, "parameters": None, "errors": errors, "certificate": None}
        rows.append(row | {"version": "0.1.0", "source": "made-up"})
    with Store(folder / "results" / "small.sqlite", study, write=True) as store:
        if rows:
            put_rows(store, rows)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def strictly(text):
    """JSON read by the letter: no NaN, no infinity, no key twice."""

    def once(pairs):
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    return json.loads(text, parse_constant=pytest.fail, object_pairs_hook=once)


# -- what it is --------------------------------------------------------------------------------------------------------
def test_version():
    assert hmoe("--version") == (f"hmoe-stats {hmoe_stats.__version__}\n", "")


@pytest.mark.parametrize("command", ["", *(c.name or c.callback.__name__ for c in app.registered_commands)])
def test_every_command_helps(command):
    words = [command] if command else []
    shown, said = hmoe(*words, "-h")
    assert (shown, said) == hmoe(*words, "--help")
    assert shown.startswith(f"Usage: hmoe {command}".rstrip())
    assert "-h, --help" in shown


# -- words for the shell -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hmoe ra", {"rates"}),
        ("hmoe rates over", {"over-by-one", "over-by-two"}),
        ("hmoe status m", {"many-truths", "many-truths-near", "million", "mine.toml"}),
        ("hmoe evidence qu", {"quick"}),
        ("hmoe rates --js", {"--json"}),
    ],
)
def test_completion(here, line, words):
    for name in ("mine.toml", "mine\x1b.toml", "mine.csv"):
        Path(name).write_text("")
    shown, _ = hmoe(_HMOE_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(line.count(" ")))
    assert set(shown.split()) == words


def test_a_shell_that_is_not_recognised_can_be_named(monkeypatch):
    def fail():
        raise shellingham.ShellDetectionFailure

    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("bash", "/bin/bash"))
    assert "complete -o default -F _hmoe_completion hmoe" in hmoe("--show-completion")[0]
    for found in (fail, lambda: ("sh", "/bin/sh")):
        monkeypatch.setattr(shellingham, "detect_shell", found)
        for option in ("--show-completion", "--install-completion"):
            assert "_HMOE_COMPLETE=source_bash hmoe prints" in hmoe(option, code=2)[1]
    for shell in ("bash", "zsh", "fish", "powershell"):
        assert "_HMOE_COMPLETE" in hmoe(_HMOE_COMPLETE=f"source_{shell}")[0]


# -- JSON --------------------------------------------------------------------------------------------------------------
def test_status_as_json(here):
    (here / "small.toml").write_text(STUDY)
    before = strictly(hmoe("status", "small.toml", "--json")[0])
    assert before["models"] == [{"gating": g, "k2": "3,3", "done": 0, "failed": 0, "to_do": 9} for g in ("SS", "LL")]
    nothing = {"jobs": None, "cells_a_minute": None, "seconds_left": None, "under_way": False, "began": None}
    assert nothing.items() <= before.items()
    put(here)
    after = strictly(hmoe("status", "small.toml", "--json")[0])
    assert after.keys() == before.keys()
    assert (after["study"], after["results"]) == ("small", str(Path("results") / "small.sqlite"))
    assert (after["cells"], after["done"], after["failed"], after["to_do"]) == (18, 17, 0, 1)
    assert sum(model["to_do"] for model in after["models"]) == 1
    assert after["seconds_left"] == pytest.approx(2.0, rel=1)
    shown, _ = hmoe("status", "small.toml", "-h")
    assert all(key in shown.replace("\n", " ") for key in after)


def test_rates_as_json_are_the_tables(here):
    put(here)
    found = strictly(hmoe("rates", "small.toml", "--json")[0])
    assert found.keys() == {"study", "declared", "slopes", "differences", "ends"}
    hmoe("plot", "small.toml")
    for name, columns in (("slopes", SLOPES), ("differences", DIFFERENCES)):
        table = pd.read_csv(Path("figures") / "small" / f"{name}.csv", dtype={"k2": str})
        assert len(table) == len(found[name])
        for row, record in zip(table.to_dict("records"), found[name], strict=True):
            assert list(record) == columns
            for key, value in record.items():
                if value is None:
                    assert isinstance(row[key], float)
                    assert math.isnan(row[key])
                else:
                    assert row[key] == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value)
    assert any(record["alpha_published"] is None or record["note"] is None for record in found["slopes"])


# -- whole tables ------------------------------------------------------------------------------------------------------
def test_tables_are_printed_whole_however_narrow_the_terminal(here, monkeypatch):
    put(here)
    monkeypatch.setenv("COLUMNS", "20")
    wide = hmoe("rates", "small.toml")[0]
    narrow = ("display.width", 20, "display.max_columns", 2, "display.max_colwidth", 5, "display.max_rows", 3)
    with pd.option_context(*narrow):
        assert hmoe("rates", "small.toml")[0] == wide
        G = hmoe_stats.datasets.truth("C3", gating="SL")
        assert "..." not in repr(G)
        assert len(repr(G).splitlines()) == 2 + G.n_experts
    assert "..." not in wide
    assert all(name in wide for name in ("mean", "q90", "upper half", "published", "derived", "sizes", "reps"))


# -- nothing yet, and users' text --------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", ["rates", "plot", "report"])
def test_a_study_without_cells_has_no_finished_cells_yet(here, command):
    put(here, cells=False)
    said = hmoe(command, "small.toml", code=2)[1]
    assert said == "hmoe: results/small.sqlite: no finished cells yet (hmoe run small computes them)\n"
    assert not Path("figures").exists()
    Path("results/small.sqlite").unlink()
    put(here, status="max_iter")
    said = hmoe(command, "small.toml", code=2)[1]
    assert said == "hmoe: small: no fit reached an optimum: 0 failed, 17 without one\n"


def test_a_title_is_text_in_figure_and_report(here):
    put(here)
    title = r"loss in $ per {unit \x1b[31m and 3 $ more"
    hmoe("plot", "small.toml")
    assert f">{title} (mean over replicates)<" in Path("figures/small/small.svg").read_text(encoding="utf-8")
    hmoe("report", "small.toml")
    page = Path("figures/small/report.html").read_text(encoding="utf-8")
    assert f"<p>{title}</p>" in page
    assert "<svg" in page
    assert "No figure" not in page
    assert "\x1b" not in page


def test_a_path_does_not_command_the_terminal(here):
    (here / "small.toml").write_text(STUDY)
    shown, _ = hmoe("status", "small.toml", "--results", "a\x1b]0;b\x07.sqlite")
    assert r"cells in a\x1b]0;b\x07.sqlite" in shown
    said = hmoe("rates", "small.toml", "--results", "a\x1b[2J\u202e.sqlite", code=2)[1]
    assert r"a\x1b[2J\u202e.sqlite" in said
