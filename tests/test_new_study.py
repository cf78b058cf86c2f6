"""A study to start from is one, with a word on every key; `hmoe check` says what is wrong with what became of it."""

import re
import tomllib

import pytest
from typer.testing import CliRunner

from simulations import checks, cli
from simulations.schema import Bounds, FitOptions
from simulations.study import Study, StudyError, load_study, study_template

KEY = re.compile(r"^(# )?([a-z_0-9]+) = (.*?)(?:  # .*)?$", re.MULTILINE)


def hmoe(*words):
    """Exit code and lines of a command."""
    result = CliRunner().invoke(cli.app, words)
    return result.exit_code, result.output.splitlines()


def test_the_template_is_a_study():
    study = Study.model_validate(tomllib.loads(study_template("mine", 7)))
    checks.check_study(study)
    assert (study.name, study.seed) == ("mine", 7)


def test_every_key_has_a_word():
    text = study_template("mine", 7)
    keys = {key for _, key, _ in KEY.findall(text)}
    assert set(Study.model_fields) - {"fit"} <= keys
    assert set(FitOptions.model_fields) - {"bounds", "jitter"} <= keys
    assert {"[fit]", "[fit.bounds]", "[fit.jitter]"} <= set(re.findall(r"\[fit[.a-z]*\]", text))
    assert keys <= {*Study.model_fields, *FitOptions.model_fields, *Bounds.model_fields}


@pytest.mark.parametrize("key", "data data_gating primary beside expected measures tol max_iter".split())
def test_what_is_commented_out_may_be_said(key):
    text = study_template("mine", 7)
    line = next(line for line in text.splitlines() if line.startswith(f"# {key} = "))
    study = Study.model_validate(tomllib.loads(text.replace(line, line.removeprefix("# "))))
    part = study.fit if key in FitOptions.model_fields else study
    assert key in part.model_fields_set


def test_a_name_that_is_none_for_files_is_refused():
    with pytest.raises(StudyError, match="name: expected a name for files"):
        study_template("../mine", 7)


def test_a_new_study_is_checked_and_never_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said = hmoe("new", "mine")
    assert code == 0
    assert said[0].startswith("mine.toml: ")
    assert load_study("mine.toml").name == "mine"
    code, said = hmoe("check", "mine.toml")
    assert (code, said[-1]) == (0, f"mine: {load_study('mine.toml').n_cells} cells, and nothing wrong with them")
    before = (tmp_path / "mine.toml").read_text()
    assert hmoe("new", "mine") == (2, ["hmoe: mine.toml: is there already"])
    assert (tmp_path / "mine.toml").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_all_that_is_wrong_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = study_template("mine", 7).replace("k2 = [[2, 2], [3, 3]]", "k2 = [[1, 2], [2, 2, 2]]")
    (tmp_path / "mine.toml").write_text(text.replace("low = 1000,", "low = 10,"))
    code, said = hmoe("check", "mine.toml")
    assert code == 2
    assert len(said) >= 2
    assert all(line.startswith("hmoe: study mine: ") for line in said)
    assert any("k2" in line for line in said)
    assert any(re.search(r"\bn\b", line) for line in said)
