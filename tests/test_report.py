"""The report of a study: its bytes, its markup, what it lets in, and, where there is a browser, what it does."""

import base64
import hashlib
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import PROGRAM, Browser
from made import put
from typer.testing import CliRunner

from simulations import words
from simulations.cli import app
from simulations.columns import DIFFERENCE_COLUMNS, RATE_COLUMNS
from simulations.report import inline_svg, render, study_text
from simulations.store import Store
from simulations.study import Study, load_study

EVIL = """</title></code></script><script>alert("x")</script><img src=//evil.example/a onerror='a()'>&amp;"""
STUDY = """
name = "small"
title = "Small & <quiet>"
truth = "C2"
gatings = ["SS", "LL"]
k2 = [[2, 2], [3, 3]]
n = [150, 300, 600]
replicates = 3
x = { law = "uniform", low = -3.0, high = 3.0 }
seed = 7
fit = { n_starts = 2, bounds = { omega = 3, nu = [0.04, 4.0] } }
"""
LACKING = {"study", "role", "part"}  # columns that tables of one study, without primary or added replicates, lack
VOID = {"meta", "br", "img", "input", "link"}


class Page(HTMLParser):
    """A page taken apart: elements, the texts of cells, and whether every element is closed by its own tag."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.rows, self.blocks, self._open = [], {}, [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag == "section":
            self._section = attributes["id"]
        elif tag == "tr":
            self.rows.setdefault(self._section, []).append((attributes, []))
        elif tag in ("td", "th"):
            self.rows[self._section][-1][1].append([tag, attributes, ""])
        elif tag == "pre":
            self.blocks.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self._open):
            self.rows[self._section][-1][1][-1][2] += data
        elif "pre" in self._open:
            self.blocks[-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def texts(self, section):
        return [[text for *_, text in cells] for _, cells in self.rows[section]]


def study(**changes):
    return Study(**(tomllib.loads(STUDY) | changes))


def slopes(parameters=("loss_sharp", "omega", "tau"), note=""):
    """A table of slopes with every column, made up; one quantity in three has no slope."""
    rng = np.random.default_rng(0)
    rows = []
    for gating in ("SS", "LL"):
        for i, parameter in enumerate(parameters):
            for statistic in ("mean", "median"):
                slope = math.nan if i == 2 else -0.3 + 0.2 * rng.standard_normal()
                local = math.nan if i == 2 else slope - 0.05
                rows.append(
                    {"study": "small", "gating": gating, "k2": "3,3", "level": 2, "size": i, "parameter": parameter}
                    | {"kind": "weighted", "statistic": statistic, "slope": slope, "ci_low": slope - 0.1}
                    | {"ci_high": slope + 0.1, "local_slope": local, "local_low": local - 0.2}
                    | {"local_high": local + 0.2, "alpha_published": math.nan if i else 0.5}
                    | {"alpha_derived": (0.5, 1 / 3, 0.281)[i]}
                    | {"verdict_published": "" if i else "faster", "verdict_derived": "consistent", "n_sizes": 3}
                    | {"n_low": 150, "n_high": 600, "replicates": 3, "failed": 1, "bounded": 2, "uncertified": 4}
                    | {"alpha_limit": (0.5, 1 / 3, 0.281)[i], "limit": ("limit", "bound", "open")[i]}
                    | {"verdict_limit": ("differs", "kept", "")[i], "alpha_at_n": (0.25, math.nan, math.nan)[i]}
                    | {"error_at_n": (0.012, math.nan, math.nan)[i], "verdict_at_n": ("agrees", "", "")[i]}
                    | {"to_do": 0, "note": note}
                )
    return pd.DataFrame(rows)


def differences():
    rows = [
        {"study": "small", "k2": "3,3", "level": 2, "size": 2, "parameter": "omega", "kind": "weighted"}
        | {"statistic": statistic, "gating": gatings, "difference": value, "ci_low": value - 0.1}
        | {"ci_high": value + 0.1, "expected": expected, "verdict": "slower", "pairs": 3, "note": ""}
        | {"expected_limit": expected, "verdict_limit": "undecided"}
        for statistic, gatings, value, expected in (
            ("mean", "SS - LL", 0.125, 1 / 12),
            ("mean", "SS - SL", -0.5, math.nan),
            ("median", "LL - SL", 0.25, -1e-17),
        )
    ]
    return pd.DataFrame(rows)


def made(**changes):
    facts = {"sources": [("0.1.0", "5cf4cd83")], "findings": ["note: nothing"], "frame": results({})}
    return render(study(), STUDY, **facts | changes, slopes=slopes(), differences=differences(), drawing="<svg></svg>")


def results(statuses):
    """Tidy results with a status, and two numbers, for some keys of cells."""
    rows = [[*key, status, error] for key, status in statuses.items() for error in (0.1, 0.2)]
    return pd.DataFrame(rows, columns=["gating", "k2", "n", "replicate", "status", "error"])


def check_that_it_needs_nothing(text):
    """The page refers to nothing but its own parts, and forbids all else."""
    found = Page(text)
    assert "//" not in text
    assert not re.search(r"@import|url\((?!#)|\bfetch\b|XMLHttpRequest|WebSocket|import\(", text)
    for _, attributes in found.elements:
        assert not [name for name in attributes if name == "src" or name.startswith("on")]
        assert attributes.get("href", "#").startswith("#")
    assert not {"img", "link", "iframe", "object", "base", "form", "image"} & {tag for tag, _ in found.elements}
    (policy,) = [a["content"] for a in found.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(None, 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert rules["script-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    assert set(rules) == {"default-src", "base-uri", "form-action", "script-src", "style-src"}


def test_the_page_needs_nothing_from_outside():
    check_that_it_needs_nothing(made())


def test_markup_is_for_readers_of_every_kind():
    found = Page(made())
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in found.all("a")} <= set(ids)
    assert {"study", "figure", "rates", "differences", "columns", "reproduce"} <= set(ids)
    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("caption")) == len(found.all("table")) == len(found.all("thead"))
    for section in ("rates", "differences"):
        (_, head), *rows = found.rows[section]
        assert {(tag, a.get("scope")) for tag, a, _ in head} == {("th", "col")}
        for _, cells in rows:
            assert [a["scope"] for tag, a, _ in cells if tag == "th"] == ["row"]
    assert not [a for a in found.all("tr") if "hidden" in a]  # without the script all rows are shown
    assert [a["class"] for a in found.all("div") if "hidden" in a] == ["controls", "controls"]
    wide = [a for a in found.all("div") if a.get("class") == "wide"]
    assert all(a["tabindex"] == "0" and a["role"] == "region" and a["aria-label"] for a in wide)
    assert len(wide) == len(found.all("table")) + 1
    assert [a.get("selected", "-") for a in found.all("option")].count(None) == 2  # the first statistic, in both tables


def test_what_a_file_or_a_table_says_is_text():
    texts = render(
        study(title=EVIL),
        STUDY + f"# {EVIL} $name",
        results({}),
        slopes(("loss_sharp", EVIL, "tau"), note=EVIL),
        differences().assign(verdict=EVIL, gating=EVIL),
        findings=[EVIL],
        sources=[(EVIL, EVIL)],
    )
    found = Page(texts)
    assert len(found.all("script")) == 1
    assert not found.all("img")
    assert found.blocks[0] == STUDY + f"# {EVIL} $name"
    assert found.texts("rates")[1][-1] == EVIL
    assert EVIL in found.texts("rates")[3]
    assert texts.count("<title>") == texts.count("</title>") == 1


def test_control_characters_are_shown():
    odd = "\0\x1b[31m\x9b \u202e \u2066 \ufeff"
    text = render(study(title=odd), STUDY + f"# {odd}\t\n", results({}), slopes(note=odd), findings=[odd])
    found = Page(text)
    shown = r"\x00\x1b[31m\x9b \u202e \u2066 \ufeff"
    assert not re.search(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", text)
    assert f"<p>{shown}</p>" in text
    assert found.texts("rates")[1][-1] == shown
    assert found.blocks[0] == STUDY + f"# {shown}\t\n"


def test_an_inconclusive_verdict_has_a_look_and_a_meaning():
    text = render(study(), STUDY, results({}), slopes().assign(verdict_derived="inconclusive"))
    assert '<td class="inconclusive">? inconclusive</td>' in text
    assert re.search(r"^\.inconclusive {", text, re.MULTILINE)
    assert "inconclusive: it holds one of these as well" in text


def test_a_title_cannot_leave_the_figure():
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().set_title(EVIL)
    drawing = inline_svg(figure, study(title=EVIL))
    assert {tag for tag, _ in Page(f"<section id=x>{drawing}</section>").elements} <= {
        "section", "svg", "defs", "style", "g", "path", "use", "clippath", "rect",
    }  # fmt: skip
    assert not re.search(r"xmlns|<!|<\?|metadata|Date|http", drawing)
    assert re.search(r'<use href="#', drawing)
    assert drawing == inline_svg(figure, study(title=EVIL))


def test_rows_are_the_table():
    found, table = Page(made()), slopes()
    (_, head), *rows = found.rows["rates"]
    at = {text: i for i, (*_, text) in enumerate(head)}
    assert list(at) == [c.heading for c in RATE_COLUMNS if c.heading not in LACKING]
    assert len(rows) == len(table)
    numbers = {"level": "level", "m": "size", "n": "n_high", "to do": "to_do"}
    numbers |= {name: name for name in ("failed", "bounded", "uncertified")}
    rates = {"alpha [95\u00a0%]": "slope", "upper half [95\u00a0%]": "local_slope"}
    for (attributes, cells), row in zip(rows, table.to_dict("records"), strict=True):
        for name in ("gating", "k2", "statistic"):
            assert cells[at[name]][2] == attributes[f"data-{name}"] == row[name]
        quantity = row["level"], row["size"], row["parameter"], row["kind"]
        assert cells[at["quantity"]][2] == words.quantity(*quantity)
        assert attributes["data-quantity"] == words.name(*quantity[::2], quantity[3])
        for heading, name in numbers.items():
            value = cells[at[heading]][1]["data-v"]
            assert float(value or "nan") == pytest.approx(row[name], rel=0, abs=0, nan_ok=True)
        for heading, name in rates.items():
            assert float(cells[at[heading]][1]["data-v"] or "nan") == pytest.approx(-row[name], rel=0, nan_ok=True)
        interval = f"{-row['slope']:.2f} [{-row['ci_high']:.2f}, {-row['ci_low']:.2f}]"
        assert cells[at["alpha [95\u00a0%]"]][2] == ("-" if math.isnan(row["slope"]) else interval)
        assert cells[at["against published"]][2] == words.verdict(row["verdict_published"])
        assert cells[at["against published"]][1].get("class", "") == row["verdict_published"]
        derived = {"loss_sharp": ("1/2", 0.5), "omega": ("1/3", 1 / 3), "tau": ("0.281", 0.281)}
        text, number = derived[row["parameter"]]
        assert (cells[at["derived"]][2], float(cells[at["derived"]][1]["data-v"])) == (text, number)
        said = {"loss_sharp": ("1/2", "! differs", "0.25 \u00b1 0.01", "= agrees within 0.05")}
        said |= {"omega": ("\u2265 1/3", "+ kept", "-", ""), "tau": ("open, 0.281", "", "-", "")}
        heads = "limit", "against the limit", "expected at these n", "against that at these n"
        assert tuple(cells[at[head]][2] for head in heads) == said[row["parameter"]]
        assert cells[at["against the limit"]][1].get("class", "") == row["verdict_limit"]
        published = ("1/2", "0.5") if row["parameter"] == "loss_sharp" else ("-", "")
        assert (cells[at["published"]][2], cells[at["published"]][1]["data-v"]) == published
        assert cells[at["n"]][2] == "150 to 600 (3)"
    _, *rows = found.rows["differences"]
    assert [attributes["data-gating"] for attributes, _ in rows] == ["SS|LL", "SS|SL", "LL|SL"]
    shown = [[text for *_, text in cells] for _, cells in rows]
    assert [row[1] for row in shown] == ["SS - LL", "SS - SL", "LL - SL"]
    assert [row[-5:-2] for row in shown] == [["< slower", one, "? undecided"] for one in ("-1/12", "-", "0")]
    assert [row[-7:-4] for row in shown] == [
        ["-0.12 [-0.23, -0.02]", "-1/12", "< slower"],
        ["0.50 [0.40, 0.60]", "-", "< slower"],
        ["-0.25 [-0.35, -0.15]", "0", "< slower"],
    ]


def test_the_page_shows_and_explains_the_columns_that_there_are():
    whole, few = made(), slopes().drop(columns=["local_slope", "uncertified", "verdict_derived"])
    few = render(study(), STUDY, results({}), few)
    terms = re.compile(r"<dt>(.*?)</dt>")
    for column in {*RATE_COLUMNS, *DIFFERENCE_COLUMNS}:
        assert (column.heading in terms.findall(whole)) == (column.heading not in LACKING)
    gone = {"upper half [95\u00a0%]", "uncertified", "against derived"}
    assert not gone & set(terms.findall(few))
    assert not gone & set(Page(few).texts("rates")[0])
    assert 'id="differences"' not in few
    assert 'href="#differences"' not in few
    beside = slopes()
    beside.loc[0, "study"] = "other"
    assert Page(render(study(), STUDY, results({}), beside)).texts("rates")[1][2] == "other"


def test_facts_of_the_study():
    cells = [cell.key for cell in study().cells()]
    statuses = dict.fromkeys(cells[:4], "converged") | {cells[4]: "boundary", cells[5]: "max_iter", cells[6]: "failed"}
    text = made(frame=results(statuses))
    assert f"7 of {len(cells)} done: 4 converged, 1 with the optimum on a bound of the box, 1 without" in text
    assert "omega in [-3, 3]; nu in [0.04, 4]; else the fit&#x27;s own" in text
    assert study().hash in text
    assert "hmoe-stats 0.1.0, source <code>5cf4cd83</code>" in text
    rows = Page(text).texts("study")
    assert rows[0] == ["gating", "k2", "converged", "bounded", "no optimum", "degenerate", "failed", "to do"]
    assert [row[:2] for row in rows[1:]] == [["SS", "2,2"], ["SS", "3,3"], ["LL", "2,2"], ["LL", "3,3"]]
    assert rows[3] == ["LL", "2,2", "4", "1", "1", "0", "1", "2"]  # cells are sorted by gating
    for stream in (study().data_seed(150, 0), study().fit_seed(150, 0)):
        assert f"({', '.join(map(str, stream.spawn_key[:2]))}, n, replicate)" in text
    truth = Page(text).texts("file")
    assert truth[0] == ["group", "expert", "a", "b", "omega", "beta", "eta", "tau", "nu"]
    assert truth[1] == ["0", "0", *(f"{v:g}" for v in study().measure("SS").to_frame().iloc[0, 2:])]
    assert len(truth) == 10  # softmax slopes and Laplace centres differ
    assert tomllib.loads(Page(text).blocks[0]) == tomllib.loads(STUDY)


def test_facts_of_a_study_of_em():
    fit = {"estimator": "em", "n_starts": 5, "tol": 1e-6, "jitter": {"tau": [0.05, 0.083], "nu": [0.0005, 0.25]}}
    text = render(Study(**tomllib.loads(STUDY) | {"fit": fit}), STUDY, results({}), slopes(), differences())
    assert "EM, the best of 5 runs from about the truth, ended where the mean log-likelihood rises by less" in text
    assert "less than 1e-06; standard deviations of the starts: tau 0.05 n^(-0.083), nu 0.0005 n^(-0.25)" in text
    assert "Box of the fits" not in text


def test_facts_are_those_that_reports_of_simulations_should_have_in_their_order():
    named = Study(**tomllib.loads(STUDY) | {"primary": ["tau of each expert, m = 2"], "title": "Which <way>?"})
    found = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", render(named, STUDY, results({}), slopes())))
    aims = [found[name] for name in ("Aims", "Estimands", "Performance")]
    rates = f"rates of {', '.join(named.statistics)} of errors over replicates, with 95 % Monte Carlo intervals"
    assert aims == ["Which &lt;way&gt;?", "tau of each expert, m = 2", rates]
    order = [name for name in found if name in ("Aims", "Truth", "Estimands", "Gatings", "Performance")]
    assert order == ["Aims", "Truth", "Estimands", "Gatings", "Performance"]
    assert "all in the tables are exploratory" in render(study(), STUDY, results({}), slopes())


# -- from the command line --------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with the small study and a store of made-up results, one of them failed."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "small.toml").write_text(STUDY)
    rows = fits(study())
    rows[0] |= {"status": "failed", "message": "made to fail", "errors": None}
    with Store(folder / "results" / "small.sqlite", study(), write=True) as store:
        put(store, rows)
    return folder


def fits(of):
    """Made-up fits of all cells of a study; those of three experts lie on the variance floor."""
    rows, rng = [], np.random.default_rng(1)
    for cell in of.cells():
        quantities = [(0, "", 0, "loss_sharp", "loss"), (2, "0,0", max(cell.k2) - 1, "omega", "weighted")]
        errors = [[*quantity, cell.n**-0.5 * rng.lognormal(0, 0.2)] for quantity in quantities]
        key = dict(zip(("gating", "k2", "n", "replicate"), cell.key, strict=True))
        rest = {"status": "converged", "message": "", "log_likelihood": -1.0, "score_norm": 0.0, "n_iter": 1}
        floor = {"active_bounds": ["log_nu[1]", "log_nu[2]"] if 3 in cell.k2 else []}
        parameters = {"nu": [0.4, 0.04, 0.04]}
        rest |= {"seconds": rng.random(), "parameters": parameters, "errors": errors, "certificate": floor}
        rows.append(key | rest | {"version": "0.1.0", "source": "made-up"})
    return rows


def hmoe(*words, code=0):
    """Run `hmoe` in this process, which has its libraries loaded."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.stderr if code else done.stdout


def test_the_command_writes_equal_pages_for_equal_results(ran, tmp_path, monkeypatch):
    words = [sys.executable, "-m", "simulations", "report", "small.toml", "--out", "one"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run(words, cwd=ran, env=environment, capture_output=True, text=True, timeout=600)
    assert (done.stdout, done.stderr) == ("one/small/report.html\n", "")
    assert [file.name for file in (ran / "one" / "small").iterdir()] == ["report.html"]
    words = ("report", ran / "small.toml", "--out", tmp_path, "--results", ran / "results" / "small.sqlite")
    monkeypatch.chdir(tmp_path)
    assert hmoe(*words) == f"{tmp_path}/small/report.html\n"
    data = (ran / "one" / "small" / "report.html").read_bytes()
    assert data == (tmp_path / "small" / "report.html").read_bytes()
    found = Page(data.decode())
    check_that_it_needs_nothing(data.decode())
    assert len(found.all("svg")) == 1
    assert {row[0][:17] for row in found.texts("rates")[1:]} == {"Voronoi loss", "omega of each exp"}
    assert "failed" in found.texts("study")[0]
    assert sum(int(row[6]) for row in found.texts("study")[1:]) == 1
    hmoe("table", *words[1:2], "--out", "small.csv", *words[4:])
    assert hashlib.sha256((tmp_path / "small.csv").read_bytes()).hexdigest().encode() in data
    (line,) = hmoe(*words[:2], "--results", "gone.sqlite", code=2).splitlines()
    assert line.startswith("hmoe: no results yet: gone.sqlite")


def test_fits_on_bounds_are_in_the_page_the_table_and_on_the_terminal(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(ran)
    found = Page(Path(hmoe("report", "small.toml", "--out", tmp_path).strip()).read_text())
    head, *rows = found.texts("ends")
    assert head[-1] == "nu low"
    assert [row[0:3] + row[-1:] for row in rows[:4]] == [
        ["SS", "2,2", "150", "0"], ["SS", "2,2", "300", "0"], ["SS", "2,2", "600", "0"], ["SS", "3,3", "150", "3"],
    ]  # fmt: skip
    hmoe("plot", "small.toml", "--out", tmp_path)
    table = pd.read_csv(tmp_path / "small" / "ends.csv").set_index(["gating", "k2", "n"])
    assert table.loc[("LL", "3,3", 600), ["cells", "converged", "nu_low"]].tolist() == [3, 3, 3]
    assert table["failed"].sum() == 1
    assert "share of fits on the variance floor" not in (tmp_path / "small" / "slopes.csv").read_text()
    said = hmoe("rates", "small.toml")
    assert words.ENDED in said
    assert "nu low" in said
    assert "\u00b1" not in said


def test_what_is_expected_at_these_n_is_read_from_the_results_of_another_study(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ran / "results", "results")
    Path("small.toml").write_text('expected = "far.toml"\n' + STUDY)
    far = STUDY.replace('"small"', '"far"').replace("seed = 7", "seed = 8")
    Path("far.toml").write_text(far)
    done = CliRunner().invoke(app, ["rates", "small.toml"])
    assert "far.toml, which the slopes of small are expected from, has no results in results" in done.stderr
    assert "\u00b1" not in done.stdout
    of = Study(**tomllib.loads(far))
    with Store("results/far.sqlite", of, write=True) as store:
        put(store, fits(of))
    done = CliRunner().invoke(app, ["rates", "small.toml"])
    assert done.stderr == ""
    assert done.stdout.count("\u00b1") >= 8
    with Store("results/far.sqlite", of) as store:
        assert store.protocol().line == "declared: not on record"
        assert store._db.execute("SELECT what FROM protocol").fetchall() == [("rates",)]  # its results were seen
    Path("far.toml").write_text(far.replace("omega = 3", "omega = 2"))
    assert "far.toml does not say what to expect: it has another bounds" in hmoe("rates", "small.toml", code=2)


def test_a_study_of_one_size_has_a_page_without_a_figure(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(STUDY.replace("[150, 300, 600]", "[600]"))
    hmoe("report", "small.toml", "--results", ran / "results" / "small.sqlite")
    text = (tmp_path / "figures" / "small" / "report.html").read_text()
    assert "no slope to draw: no 2 sample sizes" in text
    assert {row[6] for row in Page(text).texts("rates")[1:]} == {"-"}
    assert "fewer than 2 sizes" in text


def test_the_way_to_reproduce_it_can_be_gone(ran, monkeypatch):
    _, commands, code = Page(made()).blocks
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    lines = [line.split() for line in commands.splitlines()]
    assert {words[1] for words in lines} <= known
    assert {words[2] for words in lines} == {"small.toml"}
    assert "Save the study file above as <code>small.toml</code>" in made()
    monkeypatch.chdir(ran)
    asked = []
    monkeypatch.setattr("simulations.runner.run_cell", lambda *arguments: asked.append(arguments))
    exec(code, {})
    ((of, cell),) = asked
    assert of == study()
    assert cell in of.cells()
    assert cell.key == ("SS", "2,2", 150, 0)


def test_a_study_that_ships_is_named_by_its_name():
    text = render(load_study("toy"), study_text("toy"), results({}), slopes())
    assert "hmoe run toy  " in text
    assert "Save the study file" not in text
    changed = study_text("toy") + "\n# changed"
    assert "hmoe run toy.toml  " in render(load_study("toy"), changed, results({}), slopes())


# -- in a browser -----------------------------------------------------------------------------------------------------
@pytest.mark.skipif(PROGRAM is None, reason="no chromium, chromium-browser or google-chrome on the path")
def test_a_reader_sorts_and_chooses(tmp_path):
    file, table = tmp_path / "report.html", slopes()
    file.write_text(made(), encoding="utf-8")
    rows = "[...document.querySelectorAll('#rates tbody tr')].filter((row) => !row.hidden)"
    order = f"{rows}.map((row) => row.cells[6].dataset.v)"
    column = "#rates thead th:nth-child(7)"  # alpha
    sorting = "[...document.querySelectorAll('#rates thead th')].map((th) => th.getAttribute('aria-sort'))"
    status = "document.querySelector('#rates [role=status]').textContent"

    def choose(section, name, value):
        select = f"document.querySelector('#{section} select[data-filter={name}]')"
        browser.evaluate(f"{select}.value = '{value}'; {select}.dispatchEvent(new Event('change'))")

    with Browser(tmp_path / "profile") as browser:
        browser.open(file)
        mean = table[table["statistic"] == "mean"]["slope"]
        original = ["" if math.isnan(v) else repr(-v) for v in mean]
        assert browser.evaluate(order) == original
        assert browser.evaluate(status) == "6 of 12 rows: statistic mean"
        assert set(browser.evaluate(sorting)) == {"none"}
        up = [repr(v) for v in sorted(-mean.dropna())]
        browser.click(f"{column} button")
        assert browser.evaluate(order) == [*up, "", ""]
        assert browser.evaluate(sorting)[6] == "ascending"
        browser.press("Enter", 13, "\r")  # the button has the focus
        assert browser.evaluate(order) == [*up[::-1], "", ""]
        assert browser.evaluate(sorting)[6] == "descending"
        browser.click("#rates thead th:first-child button")
        found = browser.evaluate(f"{rows}.map((row) => row.cells[0].textContent)")
        assert found == sorted(found)
        assert [i for i, value in enumerate(browser.evaluate(sorting)) if value != "none"] == [0]
        for _ in range(2):
            browser.click("#rates thead th:first-child button")
        assert browser.evaluate(order) == original
        choose("rates", "statistic", "")
        assert browser.evaluate(f"{rows}.length") == 12
        choose("rates", "gating", "LL")
        choose("rates", "quantity", "omega of each expert")
        assert browser.evaluate(f"{rows}.map((row) => row.cells[5].textContent)") == ["mean", "median"]
        assert browser.evaluate(status) == "2 of 12 rows: gating LL, quantity omega of each expert"
        choose("differences", "gating", "LL")
        count = "[...document.querySelectorAll('#differences tbody tr')].filter((row) => row.offsetHeight > 0).length"
        assert browser.evaluate(count) == 1  # of the mean
        browser.call("Emulation.setDeviceMetricsOverride", width=375, height=700, deviceScaleFactor=1, mobile=True)
        assert browser.evaluate("document.documentElement.scrollWidth") == 375
        browser.evaluate("new Image().src = 'data:image/gif;base64,R0lGODlhAQABAAAAACw='")
        browser.evaluate("new Promise((done) => setTimeout(done, 50))")
        said = [event["params"] for event in browser.events if event.get("method") == "Log.entryAdded"]
        asked = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [file.resolve().as_uri()]
    assert len(said) == 1  # the image was refused
    assert "Content Security Policy" in said[0]["entry"]["text"]
