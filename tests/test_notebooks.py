"""The essays run at quick size, and the committed notebooks are what their sources say."""

import pytest
from conftest import PURE_PYTHON

from notebooks.__main__ import execute, read, sources

nbformat = pytest.importorskip("nbformat")
ESSAYS = pytest.mark.parametrize("source", sources(), ids=lambda source: source.stem)


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_there_are_essays():
    assert [source.stem[:2] for source in sources()] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.skipif(PURE_PYTHON, reason="the essays fit too many models for plain Python")
@ESSAYS
def test_an_essay_runs_at_quick_size(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HMOE_NOTEBOOK_SIZE", "quick")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own shows figures in the notebook
    notebook = execute(read(source), str(tmp_path))
    found = outputs(notebook)
    assert sum("image/png" in output.get("data", {}) for output in found) >= 3
    assert not [output for output in found if output.get("name") == "stderr"]  # a warning is an error here too
    assert not list(tmp_path.iterdir())


@ESSAYS
def test_a_committed_notebook_is_its_source_executed(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert cells(notebook) == cells(read(source)), "run make notebooks"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    found = outputs(notebook)
    assert sum("image/png" in output.get("data", {}) for output in found) >= 3
    assert not [output for output in found if output.output_type == "error" or output.get("name") == "stderr"]
    assert source.with_suffix(".ipynb").stat().st_size < 1_000_000


@ESSAYS
def test_an_essay_ends_in_what_to_try_next(source):
    last = read(source).cells[-1]
    assert last.cell_type == "markdown"
    assert last.source.startswith("## What to try next")
