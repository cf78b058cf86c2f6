"""What the README shows in Python: it runs, prints whole tables, and fits as the studies do."""

import inspect
import re
from pathlib import Path

import pytest
from conftest import PURE_PYTHON
from typer.testing import CliRunner

import hmoe_stats as hs
from simulations.cli import app
from simulations.study import load_study

README = Path(__file__).parents[1] / "README.md"


def snippet(number=0):
    text = README.read_text(encoding="utf-8")
    return re.findall(r"```python\n(import hmoe_stats as hs\n.*?)```", text, re.DOTALL)[number]


@pytest.mark.skipif(PURE_PYTHON, reason="fits without the compiler take minutes")
def test_the_snippet_runs_and_fits_as_the_study_does(tmp_path, monkeypatch, capsys):
    asked, fit = [], hs.fit_mle

    def fit_mle(X, y, **keywords):
        asked.append(keywords)
        return fit(X, y, **keywords)

    monkeypatch.setattr(hs, "fit_mle", fit_mle)
    monkeypatch.setattr(hs.theory, "modulus", inspect.signature(hs.theory.modulus).bind)  # it takes minutes
    monkeypatch.chdir(tmp_path)
    exec(snippet().replace("10_000", "500"), {})
    shown = capsys.readouterr().out
    assert "FitResult" in shown
    assert "barycentre" in shown
    assert "..." not in shown
    assert "BoundArguments" in shown
    assert re.search("modulus.*minutes", snippet())
    assert (tmp_path / "fit.png").stat().st_size > 10_000
    study = load_study("over-by-one")
    (keywords,) = asked
    assert keywords.pop("start") == study.measure("SS")
    assert list(keywords.pop("k2")) in study.k2
    assert keywords.pop("gating") in study.gatings
    del keywords["seed"]
    wanted = study.fit.keywords()
    wanted["bounds"] = {name: tuple(b) if isinstance(b, list) else b for name, b in wanted["bounds"].items()}
    assert keywords == wanted


@pytest.mark.skipif(PURE_PYTHON, reason="fits without the compiler take minutes")
def test_the_snippet_on_own_data_runs_and_its_commands_are_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (section,) = re.findall(r"\n## Your own data\n(.*?)\n## ", README.read_text(encoding="utf-8"), re.DOTALL)
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    exec(code, found := {})
    shown = capsys.readouterr().out
    assert "HMoE penalised maximum likelihood" in shown
    assert re.search(r"gating +k2 .* bic +icl ", shown)
    assert found["fit"].converged
    assert found["choice"].best("bic").measure.k2 == found["fit"].measure.k2
    assert (tmp_path / "fit.png").stat().st_size > 10_000 < (tmp_path / "choice.png").stat().st_size
    found["data"].to_csv("DATA.csv", index=False)
    commands = re.findall(r"^    hmoe (.*?)(?: +#.*)?$", section, re.MULTILINE)
    assert len(commands) == 2
    for words in (commands[0].replace("200", "3"), f"{commands[1]} --gating SS --k2 1 --k2 2"):
        done = CliRunner().invoke(app, words.replace("COL", "y").split())
        assert done.exit_code == 0, done.output
    assert (tmp_path / "fit.html").stat().st_size > 10_000
    assert hs.FitResult.load("fit.json").measure.k2 == (2,)


@pytest.mark.skipif(PURE_PYTHON, reason="fits without the compiler take minutes")
def test_the_snippet_on_inference_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = snippet(1)
    for given, quick in (("2_000", "400"), ("bootstrap(200, n_jobs=2", "bootstrap(5, n_jobs=1")):
        assert given in code
        code = code.replace(given, quick)
    exec(code, {})
    shown = capsys.readouterr().out
    assert "HMoE maximum likelihood" in shown
    assert "icl" in shown
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) == 6
    assert hs.FitResult.load(tmp_path / "fit.json").measure.k2 == (2, 2)
