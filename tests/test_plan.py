"""A plan: replicates for a wanted precision, from a pilot whose samples are not the study's."""

import numpy as np
import pytest
from test_summary import study
from typer.testing import CliRunner

from hmoe_stats.rates import fit_rate
from simulations import plan, words
from simulations.cli import app
from simulations.study import load_study
from simulations.summary import FEWEST, Line


class Pilot:
    """What a plan asks of the `Summary` of a pilot: rates, here of lognormal errors of one quantity at four sizes."""

    def __init__(self, spread, replicates):
        n = np.repeat([1000, 3000, 10_000, 30_000], replicates)
        error = n**-0.5 * np.exp(spread * np.random.default_rng(0).standard_normal(n.size))
        self.errors = {(("p", "SS", "3,3"), (0, 0, "loss_sharp", "loss")): (n, np.arange(n.size) % replicates, error)}

    def line(self, model, quantity, statistic):
        n, _, error = self.errors[model, quantity]
        return Line(fit_rate(n, error, statistic), None, (), "")


def test_replicates_go_with_the_square_of_the_precision():
    one = study(statistics=["mean"])
    first, half, more = (plan.table(one, Pilot(0.2, r), p).iloc[0] for r, p in ((40, 0.02), (40, 0.01), (160, 0.01)))
    assert half["replicates"] == pytest.approx(4 * first["replicates"], rel=0.03)
    assert more["replicates"] == pytest.approx(half["replicates"], rel=0.3)  # as many as a smaller pilot says
    # four sizes evenly spaced: the slope's variance is that of log s over the squared spread of log n
    spread = np.log([1000, 3000, 10_000, 30_000])
    expected = 1.96**2 * (np.exp(0.04) - 1) / np.square(spread - spread.mean()).sum() / 0.01**2
    assert more["replicates"] == pytest.approx(expected, rel=0.35)
    assert plan.table(one, Pilot(0.5, 40), 1.0).iloc[0]["replicates"] == FEWEST


def test_only_primary_quantities_are_planned_for():
    one = study(statistics=["mean"], primary=["tau of each expert, m = 2"])
    assert plan.table(one, Pilot(0.5, 40), 0.02).empty


def test_a_pilot_has_samples_of_its_own():
    one = load_study("nine-decades")
    trial = plan.pilot_of(one, 8)
    assert (trial.name, trial.replicates, trial.beside, trial.sizes) == ("nine-decades-pilot", 8, [], one.sizes)
    assert trial.hash != one.hash
    assert trial.data_seed(1000, 0).generate_state(4).tolist() != one.data_seed(1000, 0).generate_state(4).tolist()
    assert trial.fit == one.fit


@pytest.mark.parametrize(
    ("seconds", "jobs", "said"),
    [(3.2, 1, "about 0:00:03 with 1 job"), (7290.0, 2, "about 2:01:30 with 2 jobs"), (None, 2, "not known yet")],
)
def test_times_are_said_as_hmoe_status_says_them(seconds, jobs, said):
    assert words.duration(seconds, jobs) == said


def test_seconds_are_those_of_a_replicate():
    progress = {("SS", "3,3", 1000): (8, 0, 16.0), ("SS", "3,3", 3000): (8, 4, 4.0), ("LL", "3,3", 1000): (0, 0, 0.0)}
    assert plan.seconds_a_replicate(progress) == 2.0 + 1.0


SMALL = """
name = "small"
truth = "C2"
gatings = ["SS"]
k2 = [[2, 2]]
n = [200, 400]
replicates = 30
x = { law = "uniform", low = -3.0, high = 3.0 }
seed = 1
statistics = ["mean"]
[fit]
start = "truth"
n_starts = 1
[fit.bounds]
nu = [0.04, 4.0]
"""


def test_the_command_runs_a_pilot_and_says_how_many(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    asked = ["plan", "small.toml", "--precision", "0.05", "--pilot", "6", "--jobs", "1"]
    answers = [CliRunner().invoke(app, asked) for _ in range(2)]
    assert [answer.exit_code for answer in answers] == [0, 0], answers[0].output
    assert "small: rates to +-0.05 (95 %, mean), a line a quantity" in answers[0].output
    last = [[line for line in answer.output.splitlines() if "all of them: " in line] for answer in answers]
    assert last[0] == last[1]  # what was finished is not run again
    assert "the study declares 30" in last[0][0]
    assert [file.name for file in (tmp_path / "results").glob("*.sqlite")] == ["small-pilot.sqlite"]
    assert "12 of 12 cells in results/small-pilot.sqlite, 0 of them new" in answers[1].output
