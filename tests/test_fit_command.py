"""`hmoe fit` on a table as people have them: text and holes in it; selection, bootstrap, files and the page."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import hmoe_stats as hs
from hmoe_stats.frames import RowsLeftOut
from simulations import UserError, own
from simulations.cli import app
from simulations.data import MOST_LEVELS, read_table

N = 60
MODEL = ("--gating", "SS", "--k2", "1,1", "--effort", "quick")


@pytest.fixture
def cars(tmp_path, monkeypatch):
    """A table with categories, names of rows, weights and two holes, in the current folder as cars.csv."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(20261)
    table = pd.DataFrame({"name": [f"car {k}" for k in range(N)], "mass": rng.normal(1500.0, 300.0, N)})
    table["origin"] = rng.choice(["us", "jp", "eu"], N)
    table["doors"] = rng.choice([2, 4], N)
    table["count"] = rng.integers(1, 4, N)
    slope = np.where(table["origin"] == "us", -0.02, -0.01)
    table["mpg"] = 60.0 + slope * table["mass"] + rng.normal(size=N)
    table.loc[3, "mass"] = np.nan
    table.loc[5, "origin"] = None
    table.to_csv("cars.csv", index=False)
    return table


def fit(*words, code=0, data="cars.csv"):
    """What `hmoe fit` prints, after a check of its exit code."""
    done = CliRunner().invoke(app, ["fit", data, "--y", "mpg", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == code, done.output
    assert all(line.startswith("hmoe: ") for line in done.stderr.splitlines())
    return done


def fitted(table, fit=hs.fit, columns=("mass", "origin", "doors"), **options):
    """The same fit from Python."""
    options = {"gating": "SS", "k2": (1, 1), "effort": "quick", "seed": 0} | options
    with pytest.warns(RowsLeftOut):
        return fit(table[list(columns)], table["mpg"], **options)


# -- the table --------------------------------------------------------------------------------------------------------
def test_categories_and_missing_rows_are_told_and_the_fit_is_that_of_the_frame(cars):
    done = fit("--weights", "count", *MODEL)
    assert done.stderr.splitlines() == [
        "hmoe: note: left out: column 'name': 'car 0' in line 2 is no number; 60 different texts are no categories, "
        "--categorical makes them some",
        "hmoe: note: categories: origin (eu, jp, us)",
        "hmoe: note: 2 of 60 rows left out, as values are missing: 1 in mass, 1 in origin",
    ]
    found = fitted(cars, weights=cars["count"])
    assert done.stdout.startswith("y = mpg, X = mass, origin[jp], origin[us], doors; 58 rows\n")
    assert f"log-likelihood  {found.log_likelihood!r}\n" in done.stdout
    assert repr(found.summary()) in done.stdout


def test_plain_is_the_maximum_likelihood_estimator(cars):
    wanted = fitted(cars, hs.fit_mle, columns=["mass", "doors"])
    for words in (["--plain"], ["--penalty", "none"]):
        said = json.loads(fit("--x", "mass", "--x", "doors", *words, *MODEL, "--json").stdout)
        assert said["log_likelihood"] == wanted.log_likelihood == said["penalised_log_likelihood"]
        assert said["penalty"] is None


def test_columns_of_gates_and_experts_go_by_name(cars):
    words = ["--gate-columns", "origin,doors", "--expert-columns", "mass", "--expert-columns", "origin[us]"]
    said = json.loads(fit("--x", "mass", "--x", "origin", "--x", "doors", *words, *MODEL, "--json").stdout)
    assert said["parameters"]["gate_columns"] == [1, 2, 3]
    assert said["parameters"]["expert_columns"] == [0, 2]
    said = json.loads(fit("--x", "mass", "--gate-columns", "", *MODEL, "--json").stdout)
    assert said["parameters"]["gate_columns"] == []
    pd.DataFrame({"a,b": cars["mass"].fillna(1.0), "a": 1.0 * cars["doors"], "mpg": cars["mpg"]}).to_csv("odd.csv")
    said = json.loads(fit("--gate-columns", "a,b", *MODEL, "--json", data="odd.csv").stdout)
    assert said["parameters"]["gate_columns"] == [0]  # a name with a comma is a name


def test_numbers_are_categories_where_that_is_said(cars):
    done = fit("--categorical", "doors", "--x", "mass", "--x", "doors", *MODEL)
    assert "X = mass, doors[4]; 59 rows" in done.stdout
    assert "hmoe: note: categories: doors (2, 4)\n" in done.stderr


@pytest.mark.parametrize(("scale", "python"), [("2", 2.0), ("1,4", [1.0, 4.0]), (" 3.5 ", 3.5), ("profile", "profile")])
def test_a_laplace_scale_is_per_standard_deviation(cars, scale, python):
    words = ["--x", "mass", "--x", "doors", "--gating", "SL", "--k2", "1,1"]
    found = fitted(cars, columns=["mass", "doors"], gating="SL", k2=(1, 1), effort=None, laplace_scale=python)
    said = json.loads(fit(*words, "--laplace-scale", scale, "--json").stdout)
    assert said["parameters"]["laplace_scale"] == found.measure.laplace_scale.tolist()
    assert said["log_likelihood"] == found.log_likelihood


REFUSED = {
    "no gates": (["--k2", "2"], "--gating: expected one, or --select, which compares models; got none"),
    "two shapes": (["--gating", "SS", "--k2", "1", "--k2", "2"], "--k2: expected one, or --select"),
    "two gatings": (["--gating", "SS,LL", "--k2", "1"], "gating must be one of SS"),
    "no gating": (["--gating", "XX", "--k2", "1"], "gating must be one of SS"),
    "no penalty": ([*MODEL, "--penalty", "some"], "--penalty: expected default or none, got 'some'"),
    "no effort": ([*MODEL, "--effort", "much"], "--effort: expected quick, usual, wide; got 'much'"),
    "no criterion": (["--select", "--criterion", "dic"], "--criterion: expected bic, icl, aic, cv, dendrogram"),
    "scale without gate": ([*MODEL, "--laplace-scale", "2"], "--laplace-scale is of use with a Laplace gate"),
    "no scale": (["--gating", "LL", "--k2", "1", "--laplace-scale", "x"], "--laplace-scale: expected numbers of at"),
    "scale below 0": (["--gating", "LL", "--k2", "1", "--laplace-scale", "-1"], "--laplace-scale: expected numbers"),
    "plain profile": (
        ["--gating", "LL", "--k2", "1", "--plain", "--laplace-scale", "profile"],
        "--laplace-scale: expected numbers of at least 0, one or one a covariate; got 'profile'",
    ),
    "two scales": (["--gating", "LL", "--k2", "1", "--laplace-scale", "1,2,3"], "laplace_scale must be a number of"),
    "no such column": ([*MODEL, "--gate-columns", "colour"], "--gate-columns: the column 'colour' is not among those"),
    "no such weights": ([*MODEL, "--weights", "number"], "--weights: the column 'number' is not there"),
    "weights of text": ([*MODEL, "--weights", "origin"], "--weights: column 'origin': 'jp' in line "),
    "weights as y": ([*MODEL, "--weights", "mpg"], "--weights: 'mpg' is the response, --y"),
    "weights as X": ([*MODEL, "--weights", "mass", "--x", "mass"], "--weights: 'mass' is a column of X, --x"),
    "no such category": ([*MODEL, "--categorical", "colour"], "--categorical: the column 'colour' is not there"),
    "effort of classes": ([*MODEL, "--categorical", "mpg"], "--effort: is for numbers, and 'mpg' is of classes"),
    "weights a category": ([*MODEL, "--weights", "count", "--categorical", "count"], "'count' is no column of X"),
    "category not of X": ([*MODEL, "--categorical", "doors", "--x", "mass"], "--categorical: 'doors' is no column"),
    "names of rows": ([*MODEL, "--categorical", "name"], "X must have fewer levels than rows in column 'name'"),
    "too few rows": (["--gating", "SS", "--k2", "9"], "X and y must have more rows than the model has free"),
    "a folder": ([*MODEL, "--save", "."], "--save .: is a folder, not a file"),
    "no folder": ([*MODEL, "--report", "cars.csv/page.html"], "cars.csv"),
    "no folder for figures": ([*MODEL, "--plot", "cars.csv/pictures"], "cars.csv"),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_said_before_anything_is_fitted(cars, monkeypatch, words, said):
    for name in ("fit", "fit_mle", "select"):
        monkeypatch.setattr(hs, name, lambda *_, **__: pytest.fail("fitted"))
    done = fit(*words, code=2)
    assert done.stdout == ""
    assert said in done.stderr.splitlines()[-1]


# -- read_table -------------------------------------------------------------------------------------------------------
def test_columns_of_words_are_categories_where_they_come_again_and_again(tmp_path):
    rows = 4 * MOST_LEVELS
    table = pd.DataFrame({"y": np.arange(rows) ** 0.5, "few": np.tile(list("ab"), rows // 2)})
    table["most"] = [f"w{k % MOST_LEVELS}" for k in range(rows)]
    table["more"] = [f"w{k % (MOST_LEVELS + 1)}" for k in range(rows)]
    table["none"] = np.tile(["none", "some", "", "NA"], rows // 4)
    table["answer"] = np.tile(["yes", "no", "not known", "no"], rows // 4)
    table["half"] = [k if k % 3 == 0 else "word" for k in range(rows)]
    table["kg"] = [f"{k} kg" if k % 5 else "" for k in range(rows)]
    table.drop(columns="kg").to_csv(tmp_path / "t.csv", index=False)
    X, _, notes = read_table(tmp_path / "t.csv", "y", categorical=())
    assert list(X) == ["few", "most", "none", "answer"]
    assert X["none"].tolist()[:2] == ["none", "some"]
    assert X["none"].isna().tolist()[:4] == [False, False, True, True]
    assert set(X["answer"]) == {"yes", "no", "not known"}
    assert notes[0].startswith("left out: column 'more': 'w0' in line 2 is no number; 21 different texts are no")
    assert notes[1] == "left out: column 'half': 'word' in line 3 is no number"
    with pytest.raises(UserError, match="no numeric column besides 'y'"):
        read_table(tmp_path / "t.csv", "y")
    assert list(read_table(tmp_path / "t.csv", "y", x=["more"], categorical=())[0]) == ["more"]
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError, match="column 'kg': '1 kg' in line 3 has the unit kg: write numbers"):
        read_table(tmp_path / "t.csv", "y", categorical=())


def test_few_rows_have_names_and_no_categories(tmp_path):
    (tmp_path / "t.csv").write_text("who,x,y\n" + "".join(f"{'abcde'[k % 5]}{k % 7},{k},{k * k}\n" for k in range(12)))
    X, _, notes = read_table(tmp_path / "t.csv", "y", categorical=())
    assert list(X) == ["x"]
    assert "12 different texts are no categories" in notes[0]


# -- what is made of the fit ------------------------------------------------------------------------------------------
def test_models_are_compared_and_the_best_is_taken(cars):
    words = ["--select", "--gating", "SS,SL", "--k2", "1", "--k2", "2", "--criterion", "icl", "--x", "mass"]
    done = fit(*words)
    with pytest.warns(RowsLeftOut):
        wanted = hs.select(cars[["mass"]], cars["mpg"], ["SS", "SL"], [(1,), (2,)], ("bic", "icl", "aic", "dendrogram"))
    best = wanted.best("icl")
    assert f"taken: {best.measure.gating} {best.measure.k2}, the best by icl\n" in done.stdout
    assert f"log-likelihood  {best.log_likelihood!r}\n" in done.stdout
    for row in wanted.table.itertuples():
        assert re.search(rf"{row.gating} \({row.k2[0]},\) +{row.log_likelihood:.2f} ", done.stdout)
    said = json.loads(fit(*words, "--json").stdout)
    assert said["criterion"] == "icl"
    assert [row["icl"] for row in said["selection"]] == wanted.table["icl"].tolist()
    plain = json.loads(fit(*words, "--json", "--plain").stdout)
    assert plain["penalty"] is None
    assert "cv" not in plain["selection"][0]
    held = json.loads(fit("--select", "--gating", "SS", "--k2", 1, "--criterion", "cv", "--x", "mass", "--json").stdout)
    assert np.isfinite(held["selection"][0]["cv"])


def test_intervals_come_from_samples_of_the_fit(cars):
    words = ["--x", "mass", "--gating", "SS", "--k2", "1", "--bootstrap", 6, "--seed", 4]
    found = fitted(cars, columns=["mass"], k2=(1,), effort=None, seed=4)
    wanted = found.bootstrap(6, seed=4).conf_int()
    said = json.loads(fit(*words, "--json").stdout)["bootstrap"]
    assert said["statuses"] == {"converged": 6}
    assert said["intervals"] == {name: list(ends) for name, *ends in wanted.itertuples()}
    shown = fit(*words).stdout
    assert "Bootstrap: 6 parametric samples (6 converged); 95 % intervals" in shown
    assert re.search(rf"eta\[0,mass\] +{wanted.loc['eta[0,mass]', 'low']:.4g} ", shown)


def test_no_bootstrap_of_what_is_no_estimate(cars, monkeypatch):
    real = hs.fit

    def degenerate(*args, **keywords):
        from dataclasses import replace

        return replace(real(*args, **keywords), status="degenerate")

    monkeypatch.setattr(hs, "fit", degenerate)
    done = fit("--x", "mass", "--gating", "SS", "--k2", "1", "--bootstrap", 4)
    assert "hmoe: note: no bootstrap: the fit is degenerate, no estimate\n" in done.stderr
    assert "Bootstrap" not in done.stdout


def test_the_fit_is_kept_and_reads_the_table_again(cars):
    for number, words in enumerate((["--save", "made/0.json"], ["--json", "made/1.json"])):
        done = fit(*MODEL, *words)
        assert done.stdout.endswith(f"made/{number}.json\n")
        back = hs.FitResult.load(f"made/{number}.json")
        found = fitted(cars, columns=["mass", "origin", "doors", "count"])
        assert back.measure == found.measure
        np.testing.assert_array_equal(back.predict(cars.iloc[6:]), found.predict(cars.iloc[6:]))
    assert json.loads(fit(*MODEL, "--json", "--save", "2.json").stdout)["y"] == "mpg"


@pytest.mark.parametrize("x", [["mass"], ["mass", "origin"]])
def test_figures_and_the_page_are_written(cars, x):
    words = [word for name in x for word in ("--x", name)] + list(MODEL)
    done = fit(*words, "--plot", "pictures", "--report", "out/page.html", "--bootstrap", 4)
    assert done.stdout.endswith("pictures/fit.png\npictures/fit.svg\nout/page.html\n")
    svg, page = Path("pictures/fit.svg").read_text(), Path("out/page.html").read_text()
    for text in ("quantile residual", "mpg", "mass" if len(x) == 1 else "fitted mean", "expert 1,0"):
        assert f">{text}<" in svg
    fit(*words, "--plot", "one.PNG")
    assert Path("one.PNG").read_bytes()[:8] == Path("pictures/fit.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    found = fitted(cars, columns=x)
    assert "<h1>mpg: SS (1, 1)</h1>" in page
    assert "<p>cars.csv</p>" in page
    assert f"<dd>{found.log_likelihood:.4f}</dd>" in page
    assert page.count("rows left out, as values are missing") == 1
    assert f"<td>{found.params['eta[0,mass]']:.4g}</td>" in page
    assert "bootstrap high" in page
    assert not re.search(r"(src|href)=\"?(https?:|//)|<script|url\(http", page)
    body = re.sub(r"<meta[^>]*>|<!DOCTYPE[^>]*>", "", page).replace("&nbsp;", " ")
    assert ElementTree.fromstring(body).find("body/main/section/figure") is not None
    fit(*words, "--report", "again.html", "--bootstrap", 4)
    assert Path("again.html").read_text() == page


def test_the_page_of_a_selection_compares_and_names_are_no_markup(cars):
    evil = '<b>"&$x$\u202e'
    cars.rename(columns={"mass": evil})[[evil, "mpg"]].to_csv("evil.csv", index=False)
    words = ["--select", "--gating", "SS", "--k2", "1", "--k2", "2", "--report", "page.html"]
    done = fit(*words, data="evil.csv")
    page = Path("page.html").read_text()
    assert "<b>" not in page
    assert "\u202e" not in page + done.output
    assert "eta[0,&lt;b&gt;&quot;&amp;$x$\\u202e]" in page
    assert "Models, of which the best by bic was taken" in page
    assert own.CHOICE in page


def test_reasons_why_a_model_has_no_criterion_are_said(cars):
    cars.iloc[6:26][["mass", "mpg"]].to_csv("few.csv", index=False)
    words = ["--select", "--gating", "SS", "--k2", "1", "--k2", "9", "--report", "page.html"]
    done = fit(*words, data="few.csv")
    why = "SS (9,): X and y must have more rows than the model has free parameters, 43; got 20"
    assert why in done.stdout
    assert f"<li>{why}</li>" in Path("page.html").read_text()
    assert re.search(r"\(9,\) +- +- +no fit", done.stdout)


def test_help_is_readable():
    done = CliRunner().invoke(app, ["fit", "--help"])
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert max(map(len, lines)) <= 110
    for option in ("--select", "--bootstrap", "--gate-columns", "--laplace-scale", "--weights", "--json", "--report"):
        assert re.search(rf"^  {option}\b", done.stdout, re.MULTILINE)
    assert "  hmoe fit cars.csv --y mpg --gating LL --k2 2,2 --report cars.html" in lines


# -- classes ----------------------------------------------------------------------------------------------------------
CLASSES = ("--gating", "LS", "--k2", "2", "--x", "mass", "--x", "mpg", "--categorical", "origin", "--seed", "3")


def of_origin(*words, code=0):
    """What `hmoe fit` prints of the classes of origin."""
    done = CliRunner().invoke(app, ["fit", "cars.csv", "--y", "origin", *map(str, words)])
    assert done.exit_code == code, done.output
    return done


def test_a_response_of_categories_has_categorical_experts_and_the_fit_is_that_of_python(cars):
    rows = cars.dropna(subset=["mass", "origin"])
    with pytest.warns(RowsLeftOut):
        wanted = hs.fit_categorical(cars[["mass", "mpg"]], cars["origin"], "LS", (2,), seed=3, weights=cars["count"])
    done = of_origin(*CLASSES, "--weights", "count", "--save", "fit.json")
    assert "y = origin, X = mass, mpg; 58 of 60 rows" in done.stdout
    assert "classes         eu, jp, us" in done.stdout
    assert repr(wanted) in done.stdout
    loss = -wanted.log_likelihood / rows["count"].sum()
    assert f"log loss        {loss:.4f} nats a row" in done.stdout
    right = np.average(wanted.predict(rows[["mass", "mpg"]]) == rows["origin"], weights=rows["count"])
    assert f"right           {100 * right:.1f} %" in done.stdout
    assert hs.CategoricalResult.load("fit.json").measure == wanted.measure
    found = json.loads(of_origin(*CLASSES, "--weights", "count", "--json").stdout)
    assert (found["classes"], found["n"], found["ridge"]) == (["eu", "jp", "us"], 58, {"gates": 0.1, "experts": 1.0})
    assert hs.CategoricalMeasure.from_dict(found["parameters"]) == wanted.measure


def test_numbers_are_classes_where_they_are_asked_to_be(cars):
    done = CliRunner().invoke(
        app, ["fit", "cars.csv", "--y", "doors", "--gating", "SS", "--k2", "1", "--x", "mass", "--categorical", "doors"]
    )
    assert done.exit_code == 0, done.output
    assert "classes         2, 4" in done.stdout


def test_a_response_of_words_says_how_it_can_be_fitted(cars):
    assert "--categorical origin makes classes of it" in of_origin("--gating", "SS", "--k2", "2", code=2).stderr


@pytest.mark.parametrize(
    "words", [["--select"], ["--bootstrap", "5"], ["--plain"], ["--plot", "a.png"], ["--report", "a.html"]]
)
def test_what_is_for_numbers_is_refused_of_classes(cars, words):
    assert f"{words[0]}: is for numbers, and 'origin' is of classes" in of_origin(*CLASSES, *words, code=2).stderr
