"""What of a study is checked against the library before its results file is made."""

import os

import pytest
from typer.testing import CliRunner

import hmoe_stats as hs
from simulations import runner
from simulations.checks import box_findings, check_study
from simulations.cli import app
from simulations.study import Study, StudyError, load_study, shipped_studies

VALUES = {
    "name": "small",
    "truth": "C2",
    "gatings": ["SS", "LL"],
    "k2": [[2, 2], [3, 3]],
    "n": [200, 400],
    "replicates": 2,
    "x": {"law": "uniform", "low": -3.0, "high": 3.0},
    "seed": 7,
}
TABLE = hs.datasets.truth("P2", "SL").to_dict()
FLAT = {"truth": TABLE, "gatings": ["SL"], "k2": [[2, 2]]}


def test_studies_that_ship_pass():
    for name in shipped_studies():
        check_study(load_study(name))
        assert not list(box_findings(load_study(name)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"truth": "C9"}, "truth: name must be one of"),
        (FLAT | {"truth": TABLE | {"nu": [0.4] * 3}}, "truth: nu must have shape (4,)"),
        (FLAT | {"truth": TABLE | {"nu": [0.4, 0.4, 0.4, 0]}}, "truth: nu (expert variances) must be positive"),
        (FLAT | {"truth": TABLE | {"a": [[1.0, 1.0], [1.0]]}}, "truth: a must"),
        ({"k2": [[2, 2], [3]]}, "k2: the truth, 2,2, where fits start, does not fit into 3"),
        ({"k2": [[1, 2]]}, "k2: the truth, 2,2, where fits start, does not fit into 1,2"),
        ({"k2": [[4]], "fit": {"start": "data"}}, "k2: expected at least as many groups as the truth has, 2, got 4"),
        ({"n": [2, 400]}, "n: k2 = 2,2 has 18 free parameters: expected more rows, got 2"),
        ({"n": [18, 400], "k2": [[2, 2]]}, "n: k2 = 2,2 has 18 free parameters: expected more rows, got 18"),
        ({"n": [27, 400]}, "n: k2 = 3,3 has 28 free parameters: expected more rows, got 27"),
        ({"n": [400, 2 * 10**9]}, "n: samples are held in memory: expected at most 1000000000 rows (more: data"),
        ({"fit": {"bounds": {"nu": [1e30, 2e30]}}}, "gating SS, k2 = 2,2, n = 200: bounds['nu'] must have low"),
        ({"fit": {"bounds": {"tau": [1e20, 2e20]}}}, "gating LL, k2 = 3,3, n = 200: bounds['tau'] must come within"),
        ({"x": {"law": "normal", "scale": 1e40}}, "gating SS, k2 = 2,2, n = 200: X must have a standard deviation"),
        ({"beside": ["toy", "gone"]}, "beside[1]: no study 'gone'"),
        ({"expected": "gone"}, "expected: no study 'gone'"),
        ({"name": "toy", "expected": "toy"}, "expected: expected another study, got 'toy', which has the same name"),
        ({"expected": "plane-far"}, "expected: expected a study of the same model with other data, got 'plane-far'"),
        ({"name": "toy", "beside": ["toy"]}, "beside[0]: expected another study, got 'toy', which has the same name"),
    ],
)
def test_what_cannot_be_run_is_said_and_nothing_is_made(tmp_path, monkeypatch, changes, said):
    monkeypatch.chdir(tmp_path)
    study = Study(**VALUES | changes)
    with pytest.raises(StudyError) as caught:
        check_study(study)
    lines = str(caught.value).split("\n")
    assert any(line.startswith(f"study {study.name}: {said}") for line in lines), lines
    assert len(lines) == len(set(lines))
    monkeypatch.setattr("simulations.cli.load_study", lambda _: study)
    done = CliRunner().invoke(app, ["run", "small.toml"])
    assert done.exit_code == 2
    assert done.stderr == "".join(f"hmoe: {line}\n" for line in lines)
    assert os.listdir(tmp_path) == []


def test_all_problems_are_said_at_once():
    with pytest.raises(StudyError) as caught:
        check_study(Study(**VALUES | {"k2": [[1], [2, 2]], "n": [10, 10**10], "beside": ["gone", "nowhere"]}))
    assert [line.split(": ")[1] for line in str(caught.value).split("\n")] == ["n", "beside[0]", "beside[1]", "k2", "n"]


def test_enough_rows_are_one_more_than_free_parameters(monkeypatch):
    study = Study(**VALUES | {"n": [19], "k2": [[2, 2]], "gatings": ["SS"], "fit": {"n_starts": 1, "max_iter": 1}})
    check_study(study)
    assert runner.run_cell(study, study.cells()[0])["status"] != "failed"


def test_of_many_problems_the_first_are_said():
    with pytest.raises(StudyError) as caught:
        check_study(Study(**VALUES | {"beside": [f"gone{i}" for i in range(900)]}))
    lines = str(caught.value).split("\n")
    assert len(lines) == 21
    assert lines[-1] == "study small: and 880 more"


def test_a_box_without_the_truth_is_noted():
    for bounds in ({"nu": [0.5, 4.0]}, {"tau": 5.0}, {"omega": 0.1}, {"eta": [0.0, 1.0]}):
        said = list(box_findings(Study(**VALUES | {"fit": {"bounds": bounds}})))
        assert len(said) == 2
        assert said[0] == "note: fit.bounds: the truth lies outside this box under SS: errors will not fall to 0"
    assert not list(box_findings(Study(**VALUES)))
    assert not list(box_findings(Study(**VALUES | {"fit": {"bounds": {"tau": 6.5, "nu": [0.3, 0.5]}}})))


def test_tables_show_no_study_beside_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Study(**VALUES | {"name": "toy", "beside": ["toy"]})
    for door in ("load_study", "load_simulation"):
        monkeypatch.setattr(f"simulations.cli.{door}", lambda name: load_study(name) if name == "toy" else study)
    monkeypatch.setattr(runner, "run", lambda *_: None)
    from simulations.store import Store

    Store("s.sqlite", study, write=True).close()
    for command in ("rates", "plot", "report"):
        done = CliRunner().invoke(app, [command, "small.toml", "--results", "s.sqlite"])
        assert (done.exit_code, done.stderr) == (2, "hmoe: small.toml: beside: toy has this study's own name\n")
