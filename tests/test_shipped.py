"""`hmoe results`: the fits that ship come out as they went in, and nothing that is there is written over."""

import gzip

import pytest
from typer.testing import CliRunner

from simulations.cli import app
from simulations.study import load_study, shipped_cells, shipped_studies


def hmoe(*words):
    return CliRunner().invoke(app, ["results", *map(str, words)])


def test_every_packed_study_is_listed_with_its_cells():
    answer = hmoe()
    assert answer.exit_code == 0
    lines = {line.split()[0]: line for line in answer.output.splitlines()}
    assert set(lines) == set(shipped_cells()) <= set(shipped_studies())
    for name, line in lines.items():
        assert f"{load_study(name).n_cells} cells" in line


def test_fits_are_unpacked_and_rates_come_from_them(tmp_path):
    answer = hmoe("million", "--out", tmp_path / "new")
    file = tmp_path / "new" / "million.sqlite"
    assert (answer.exit_code, answer.output.split()[-1]) == (0, "unpacked")
    assert file.read_bytes() == gzip.decompress(shipped_cells()["million"].read_bytes())
    status = CliRunner().invoke(app, ["status", "million", "--results", str(file)])
    assert status.exit_code == 0, status.output
    assert str(load_study("million").n_cells) in status.output


def test_what_is_there_is_left_alone(tmp_path):
    file = tmp_path / "million.sqlite"
    file.write_text("mine")
    answer = hmoe("million", "--out", tmp_path)
    assert (answer.exit_code, file.read_text()) == (0, "mine")
    assert "is there already" in answer.output


@pytest.mark.parametrize("words", [("quick",), ("no-such",), ("million", "--out", "/dev/null/x")])
def test_what_cannot_be_is_refused(words):
    answer = hmoe(*words)
    assert answer.exit_code == 2, answer.output
