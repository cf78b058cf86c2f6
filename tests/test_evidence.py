"""The join of derived, certified and measured exponents: on made tables, and number by number on those that ship."""

import csv
import functools
import gzip
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hmoe_stats as hs
from hmoe_stats import theory
from simulations import UserError, certificates, cli, ends, evidence, evidence_figure, words
from simulations.cli import app
from simulations.store import Store
from simulations.study import load_study, shipped_studies
from simulations.summary import Summary, verdict

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "figures"

# gating, level, size, parameter, kind, slope, alpha_published, alpha_derived
ERRORS = [
    ("SS", 0, 0, "loss_sharp", "loss", -0.49, 1 / 2, 1 / 2),
    ("SS", 1, 1, "a", "weighted", -0.50, 1 / 2, 1 / 2),
    ("SS", 2, 1, "omega", "weighted", -0.50, 1 / 2, 1 / 2),
    ("SS", 2, 2, "omega", "weighted", -0.26, 1 / 8, 1 / 4),
    ("SS", 2, 2, "eta", "weighted", -0.33, 1 / 4, 1 / 4),
    ("SS", 2, 2, "eta", "barycentre", -0.37, np.nan, 3 / 8),
    ("SS", 2, 2, "tau", "weighted", -0.10, 1 / 8, 1 / 8),
    ("SS", 2, 2, "nothing", "weighted", -0.10, np.nan, np.nan),
    ("SL", 2, 2, "omega", "weighted", -0.34, 1 / 8, 1 / 3),
    ("SL", 2, 2, "eta", "weighted", -0.25, 1 / 4, 1 / 4),
    ("LL", 2, 2, "omega", "weighted", -0.30, 1 / 4, 1 / 3),
    ("LL", 2, 2, "eta", "weighted", -0.17, 1 / 4, 1 / 4),
    ("LL", 2, 2, "tau", "weighted", np.nan, 1 / 8, 1 / 8),
]
# parameter, kind, exponent, exponent_error, status: of C2 fitted with (3, 2) under SS
FOUND = [
    ("omega", "spread", 2.003, 0.002, "clean"),
    ("omega", "barycentre", 1.0, 0.001, "clean"),
    ("eta", "spread", 1.5, 0.01, "clean"),
    ("eta", "barycentre", 1.52, 0.01, "clean"),
    ("tau", "spread", np.nan, np.nan, "kinked"),
    ("tau", "barycentre", 1.0, 0.01, "clean"),
]


def slopes_table(name, errors=ERRORS, half=0.05, **changes):
    """A table of slopes of the contract: means as given, medians 0.01 steeper, intervals of +- half."""
    study, rows = load_study(name), []
    for gating, level, size, parameter, kind, slope, published, derived in errors:
        for statistic, steeper in (("mean", 0.0), ("median", 0.01)):
            s = slope - steeper
            row = {"study": study.name, "gating": gating, "k2": ",".join(map(str, study.k2[-1]))}
            row |= {"level": level, "size": size, "parameter": parameter, "kind": kind, "statistic": statistic}
            row |= {"slope": s, "ci_low": s - half, "ci_high": s + half}
            row |= {"alpha_published": published, "alpha_derived": derived}
            for form, alpha, other in (("published", published, derived), ("derived", derived, published)):
                row[f"verdict_{form}"] = verdict(-alpha, s - half, s + half, -other)
            row |= {"n_low": min(study.sizes), "n_high": max(study.sizes), "replicates": study.replicates}
            rows.append(row | changes)
    return pd.DataFrame(rows)


def put_slopes(folder, name, **options):
    (folder / name).mkdir(parents=True)
    table = slopes_table(name, **options)
    table.to_csv(folder / name / "slopes.csv", index=False)
    return table


def put_certificates(folder, found=FOUND):
    study, rows = load_study("over-by-one"), []
    for parameter, kind, exponent, error, status in found:
        row = dict(zip(certificates.SHAPE, certificates.shape(study, "SS", (3, 2)), strict=True))
        row |= {"level": 2, "m": 2, "regime": "regular", "parameter": parameter, "kind": kind}
        row |= {"exponent": exponent, "exponent_error": error, "status": status}
        rows.append(row)
    pd.DataFrame(rows, columns=certificates.COLUMNS).to_csv(folder / "certificates.csv", index=False)


@pytest.fixture
def made(tmp_path):
    """A folder with the slopes of over-by-one and some certificates, and the table of it, by gating and error."""
    put_slopes(tmp_path, "over-by-one")
    put_certificates(tmp_path)
    table = evidence.table(["over-by-one"], tmp_path)
    return tmp_path, table.set_index(["gating", "size", "parameter", "kind"]).sort_index()


def test_each_number_is_where_it_belongs(made):
    _, table = made
    assert len(table) == len(ERRORS) - 1  # theory says nothing of one
    row = table.loc["SS", 2, "omega", "weighted"]
    assert (row["published"], row["published_status"]) == (1 / 8, "as reported")
    assert (row["derived"], row["derived_status"], row["regime"]) == (1 / 4, "derived", "regular")
    assert "2410.02935" in row["published_source"]
    assert (row["kappa"], row["kappa_error"]) == (2.003, 0.002)
    assert row["certificate"] == pytest.approx(1 / 4.006)
    assert (row["statistic"], row["slope"], row["ci_low"]) == ("mean", -0.26, -0.26 - 0.05)
    assert row["median"] == pytest.approx(-0.27)
    assert (row["n_low"], row["n_high"], row["replicates"]) == (1000, 100_000, 40)
    assert (row["study_file"], row["truth"]) == ("simulations/studies/over-by-one.toml", "C2")
    assert (row["slopes_table"], row["slopes_line"], row["median_line"]) == ("over-by-one/slopes.csv", 8, 9)
    assert row["certificate_line"] == 2


def test_verdicts(made):
    _, table = made
    said = {
        ("SS", 2, "omega", "weighted"): "consistent with derived; faster than published; certified from one side",
        (
            "SS",
            2,
            "eta",
            "weighted",
        ): "faster than derived; certified kappa short of derived",  # that of the barycentre, 1.52
        ("SS", 2, "eta", "barycentre"): "consistent with derived; certified kappa exceeds derived",
        ("SS", 2, "tau", "weighted"): "consistent with derived; no certificate",  # kinked: the barycentre says nothing
        ("SS", 1, "omega", "weighted"): "consistent with derived; no certificate",
        ("LL", 2, "omega", "weighted"): "inconclusive against derived; inconclusive against published; no certificate",
        ("LL", 2, "eta", "weighted"): "slower than derived; no certificate",
        ("LL", 2, "tau", "weighted"): "not measured; no certificate",
    }
    for key, sentence in said.items():
        assert table.loc[key, "verdict"] == sentence, key
    assert table.loc[("SS", 2, "eta", "weighted"), "kappa"] == 1.52
    assert table.loc[("SS", 2, "tau", "weighted"), "certificate_status"] == "kinked"
    assert table.loc[("LL", 2, "eta", "weighted"), "certificate_status"] == "none"


@pytest.mark.parametrize(
    ("kappa", "error", "derived", "word"),
    [
        (2.05, 0.001, 1 / 4, "agrees"),
        (2.07, 0.001, 1 / 4, "differs"),
        (2.07, 0.04, 1 / 4, "agrees"),
        (1.94, 0.04, 1 / 4, "agrees"),
        (1.40, 0.02, 1 / 2, "differs"),
        (np.inf, np.nan, 0.0, "agrees"),
        (np.inf, np.nan, 1 / 4, "differs"),
        (4.0, 0.01, 0.0, "differs"),
        (np.nan, np.nan, 1 / 4, ""),
        (2.0, 0.01, np.nan, ""),
    ],
)
def test_what_a_certificate_says(kappa, error, derived, word):
    assert evidence.says(kappa, error, derived) == word


@pytest.mark.parametrize(
    ("kappa", "error", "derived", "word"),
    [
        (2.05, 0.001, 1 / 4, "attained"),
        (1.94, 0.04, 1 / 4, "attained"),
        (2.07, 0.001, 1 / 4, "exceeded"),  # some measures come nearer than the derivation allows
        (1.40, 0.02, 1 / 4, "short of"),  # others may come nearer than those that were found
        (4.0, 0.01, 0.0, "short of"),
        (np.inf, np.nan, 0.0, "unidentified"),
        (np.nan, np.nan, 1 / 4, ""),
        (2.0, 0.01, np.nan, ""),
    ],
)
def test_what_a_certificate_proves(kappa, error, derived, word):
    assert evidence.proves(kappa, error, derived) == word
    assert word in words.PROVED
    both = [one for one, said in words.PROVED.items() if said == "certified"]
    assert both == ["unidentified"]  # all else is certified from one side at most


def test_verdicts_on_limits_come_first_where_a_table_has_them(tmp_path):
    table = put_slopes(tmp_path, "over-by-one")
    table["limit"] = "limit"
    table["verdict_limit"] = "differs"
    table.loc[table["gating"] == "LL", ["limit", "verdict_limit"]] = "bound", "kept"
    table.loc[table["gating"] == "SL", ["limit", "verdict_limit"]] = "open", ""
    table.to_csv(tmp_path / "over-by-one" / "slopes.csv", index=False)
    joined = evidence.table(["over-by-one"], tmp_path).set_index(["gating", "size", "parameter", "kind"])
    said = joined["verdict"].str.split("; ").str[0]
    assert said["SS", 2, "eta", "weighted"] == "differs from its limit"
    assert said["LL", 2, "eta", "weighted"] == "keeps the bound"
    assert said["LL", 2, "tau", "weighted"] == "not measured"
    assert said["SL", 2, "omega", "weighted"] == "limit open"
    assert joined["alpha_at_n"].isna().all()  # as the table has none
    (ax,) = (ax for page in evidence_figure.figures(joined.reset_index()) for ax in page.axes)
    assert {"! differs*", "! differs", "+ kept", "open*"} <= {text.get_text() for text in ax.texts}


def test_a_parameter_that_is_not_identified_has_rate_zero(tmp_path):
    put_slopes(tmp_path, "over-by-one")
    put_certificates(tmp_path, [("omega", "spread", np.nan, np.nan, "vacuous")])
    table = evidence.table(["over-by-one"], tmp_path)
    (row,) = table[table["certificate_line"].notna()].itertuples()
    assert (row.parameter, row.kappa, row.certificate, row.certificate_says) == ("omega", np.inf, 0.0, "differs")


def test_a_barycentre_alone_certifies_no_spread(tmp_path):
    put_slopes(tmp_path, "over-by-one")
    put_certificates(tmp_path, [("eta", "barycentre", 1.333, 0.01, "clean")])
    table = evidence.table(["over-by-one"], tmp_path)
    assert table.loc[table["certificate_line"].notna(), "kind"].tolist() == ["barycentre"]


def test_rows_of_the_figure(made):
    """SL only where derived rates differ; of two studies of one truth the longer one; nothing of exact cells."""
    folder, table = made
    drawn = table[table["drawn"]].index
    expected = {("SS", "omega"), ("SL", "omega"), ("LL", "omega"), ("SS", "eta"), ("LL", "eta"), ("SS", "tau")}
    assert {(gating, parameter) for gating, size, parameter, kind in drawn if kind == "weighted"} == expected
    assert len(drawn) == len(expected) + 1
    put_slopes(folder, "quick", errors=ERRORS[:6])
    both = evidence.table(["quick", "over-by-one"], folder)
    assert both.loc[both["drawn"], "study"].unique().tolist() == ["over-by-one"]
    alone = evidence.table(["quick"], folder)
    assert alone["drawn"].sum() == 3


def test_the_loss_is_drawn_for_exact_fits(tmp_path):
    errors = [(g, *ERRORS[i][1:]) for g in ("SS", "SL", "LS", "LL") for i in (0, 2)]
    put_slopes(tmp_path, "exact", errors=errors)
    table = evidence.table(["exact"], tmp_path)
    assert table.loc[table["drawn"], "parameter"].tolist() == 4 * ["loss_sharp"]
    assert set(table["published_status"]) == {"as reported", "open"}  # nothing is stated for LS


def test_over_the_plane_there_is_no_certificate(tmp_path):
    put_slopes(tmp_path, "plane", errors=ERRORS[3:5])
    put_certificates(tmp_path)
    table = evidence.table(["plane"], tmp_path)
    assert set(table["certificate_status"]) == {"not computed: d = 1 only"}
    assert table["certificate"].isna().all()


def test_a_rate_that_theory_no_longer_has_is_stale(tmp_path):
    put_slopes(tmp_path, "over-by-one", errors=[(*ERRORS[3][:-1], 1 / 5)])
    (row,) = evidence.table(["over-by-one"], tmp_path).itertuples()
    assert (row.derived, row.derived_status, row.published_status) == (1 / 5, "stale", "as reported")


def test_rows_of_studies_beside_are_left_to_their_own_tables(tmp_path):
    table = pd.concat([slopes_table("box"), slopes_table("over-by-one", slope=-9.0)])
    (tmp_path / "box").mkdir()
    table.to_csv(tmp_path / "box" / "slopes.csv", index=False)
    joined = evidence.table(["box"], tmp_path)
    assert len(joined) == len(ERRORS) - 1
    assert joined["slope"].min() > -1


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(UserError, match="slopes.csv: no such table of slopes; hmoe plot exact makes it"):
        evidence.table(["exact"], tmp_path)
    put_slopes(tmp_path, "exact", errors=ERRORS[:1])
    file = tmp_path / "exact" / "slopes.csv"
    table = pd.read_csv(file)
    table[table["statistic"] == "median"].to_csv(file, index=False)
    with pytest.raises(UserError, match="no row of the statistic mean, the first of"):
        evidence.table(["exact"], tmp_path)
    table.drop(columns="ci_low").to_csv(file, index=False)
    with pytest.raises(UserError, match="it lacks ci_low"):
        evidence.table(["exact"], tmp_path)
    with pytest.raises(ValueError, match="must have a row to draw"):
        evidence_figure.figures(pd.DataFrame({"drawn": []}, dtype=bool))


# -- figure and command -----------------------------------------------------------------------------------------------
def test_every_drawn_number_is_on_the_page(made):
    folder, _ = made
    table = evidence.table(["over-by-one"], folder)
    (figure,) = evidence_figure.figures(table)
    (ax,) = figure.axes
    texts = [text.get_text() for text in ax.texts]
    for row in table[table["drawn"]].itertuples():
        assert words.rate(row.slope, row.ci_low, row.ci_high) in texts
    assert [w for w in texts if w in evidence_figure.GATINGS] == ["SS", "SL", "LL", "SS", "SS", "LL", "SS"]
    marks = {round(float(line.get_xdata()[0]), 6) for line in ax.lines if len(line.get_xdata()) == 1}
    assert {0.125, 0.25, 0.375, round(1 / 3, 6), round(0.5 / 2.003, 6), 0.26, 0.34} <= marks
    figure.draw_without_rendering()
    page = figure.bbox
    for text in (*ax.texts, *figure.texts):
        box = text.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1, text.get_text()
        assert page.y0 <= box.y0 < box.y1 <= page.y1, text.get_text()


def test_slopes_off_the_axis_are_arrows(tmp_path):
    put_slopes(tmp_path, "exact", errors=[(*ERRORS[0][:5], -0.9, 1 / 2, 1 / 2), ("LL", *ERRORS[0][1:5], 0.3, 0.5, 0.5)])
    (ax,) = evidence_figure.figures(evidence.table(["exact"], tmp_path))[0].axes
    arrows = {line.get_marker(): line.get_xdata()[0] for line in ax.lines if line.get_marker() in ("<", ">")}
    assert arrows == {"<": evidence_figure.START, ">": evidence_figure.END}


def test_the_command(tmp_path, monkeypatch, capsys):
    def run(*words, code=0):
        with pytest.raises(SystemExit) as ended:
            app(["evidence", *words])
        assert ended.value.code == code
        return capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "figures"
    put_slopes(folder, "over-by-one")
    put_slopes(folder, "exact", errors=ERRORS[:3])
    put_slopes(folder, "quick", errors=ERRORS[:3])
    (folder / "quick").rename(folder / "mine")
    put_certificates(folder)
    files = sorted(folder.rglob("*"))
    shown = run("over-by-one").out
    assert "over-by-one: SS, fitted k2 = 3,3" in shown
    assert "0.26 [0.21, 0.31]" in shown
    assert sorted(folder.rglob("*")) == files
    shown, said = run("--out", "made")
    assert shown.split() == ["made/evidence.png", "made/evidence.svg", "made/evidence.csv"]
    assert said == "hmoe: note: figures/mine is of no study that ships: name its TOML file to see it\n"
    table = pd.read_csv("made/evidence.csv")
    assert table["study"].unique().tolist() == ["exact", "over-by-one"]
    assert Path("made/evidence.png").read_bytes().startswith(b"\x89PNG")
    assert "made: no study that ships has a table of slopes there" in run("--figures", "made", code=2).err


def test_estimates_by_em_are_no_evidence_on_likelihood(tmp_path):
    for name in ("reproduction", "reproduction-em", "mine", "exact"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "slopes.csv").touch()
    assert evidence.measured(tmp_path) == (["exact", "reproduction"], ["mine"])


# -- certificates -----------------------------------------------------------------------------------------------------
EXACT = """
name = "small"
truth = "C0"
gatings = ["SS"]
k2 = [[2, 2]]
n = [150, 300]
replicates = 2
x = { law = "uniform", low = -3.0, high = 3.0 }
seed = 7
"""


def test_certificates_are_computed_once(tmp_path):
    (tmp_path / "small.toml").write_text(EXACT)
    study, file, log = load_study(tmp_path / "small.toml"), tmp_path / "figures" / "certificates.csv", []
    table = certificates.certify([study, load_study("plane")], file, log.append)
    assert len(log) == len(table) == 4
    assert table["discrepancy"].tolist() == ["bary_tau", "bary_eta", "bary_omega", "a"]
    assert set(table["status"]) == {"clean"}
    assert set(table["kind"]) == {"weighted"}
    np.testing.assert_allclose(table["exponent"], 1.0, atol=0.01)
    before = file.read_bytes()
    again = certificates.certify([study], file, log.append)
    assert len(log) == 4
    assert again.equals(table)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("true", "fitted", "certified"),
    [
        ((2, 2), (3, 3), (3, 2)),
        ((3, 3), (5, 5), (5, 3)),
        ((1, 1), (3, 3), (3, 1)),
        ((2, 2), (2, 2, 2), (2, 2, 2)),
        ((2, 2), (2, 2), (2, 2)),
    ],
)
def test_what_is_certified_for_a_size(true, fitted, certified):
    assert certificates.certified_size(true, fitted) == certified


# -- what ships: every number can be found where its row says --------------------------------------------------------
def untraced(folder):
    """What of ``evidence.csv`` is not in the tables of `folder`, the study files and theory, in words."""
    tables = {}

    def line(name, number):
        if name not in tables:
            tables[name] = _records(folder / name)
        return tables[name][int(number) - 2]

    for number, row in enumerate(_records(folder / "evidence.csv"), start=2):
        found = line(row["slopes_table"], row["slopes_line"])
        checks = _checked_slope(row, found) | _checked_study(row) | _checked_verdict(row)
        if row["median_line"]:
            checks |= _checked_median(row, line(row["slopes_table"], row["median_line"]))
        if row["certificate_line"]:
            checks |= _checked_certificate(row, line("certificates.csv", row["certificate_line"]))
        checks["median from nowhere"] = bool(row["median_line"]) == ("median" in load_study(row["study"]).statistics)
        checks["certificate from nowhere"] = bool(row["certificate_line"] or not row["kappa"] + row["certificate"])
        yield from (f"line {number}: {what}" for what, holds in checks.items() if not holds)


def _records(file):
    with open(file, newline="") as lines:
        return list(csv.DictReader(lines))


def same(a, b):
    """Two fields of a table: equal as text, or as numbers but for the last bit, which readers may lose."""
    try:
        return a == b or math.isclose(number(a), number(b), rel_tol=1e-14)
    except ValueError:  # words
        return False


def number(text):
    return float(text or "nan")


NAMES = ["study", "gating", "k2", "level", "size", "parameter", "kind"]


def _checked_slope(row, found):
    checks = {f"{name} of the slope": found[name] == row[name] for name in [*NAMES, "statistic"]}
    checks |= {name: same(found[name], row[name]) for name in evidence.SLOPE}
    checks |= {name: same(found.get(name, ""), row[name]) for name in evidence.LIMIT}
    return checks | {form: same(found[f"alpha_{form}"], row[form]) for form in ("published", "derived")}


def _checked_median(row, found):
    checks = {f"{name} of the median": found[name] == row[name] for name in NAMES}
    pairs = {"median": "slope", "median_low": "ci_low", "median_high": "ci_high"}
    checks |= {new: same(found[old], row[new]) for new, old in pairs.items()}
    return checks | {"statistic of the median": found["statistic"] == "median"}


def _checked_certificate(row, found):
    study = load_study(row["study"])
    size = certificates.certified_size(study.measure(row["gating"]).k2, tuple(map(int, row["k2"].split(","))))
    wanted = dict(zip(certificates.SHAPE, certificates.shape(study, row["gating"], size), strict=True))
    wanted |= {"level": row["level"], "m": row["size"], "parameter": row["parameter"], "regime": row["regime"]}
    kinds = {"weighted": ("spread", "barycentre", "weighted"), "barycentre": ("barycentre",)}
    kappa = np.inf if found["status"] == "vacuous" else number(found["exponent"])
    says = evidence.says(kappa, number(found["exponent_error"]), number(row["derived"]))
    return {f"{name} of the certificate": found[name] == value for name, value in wanted.items()} | {
        "kind of the certificate": found["kind"] in kinds.get(row["kind"], ()),
        "kappa": np.isclose(number(row["kappa"]), kappa, rtol=1e-14, equal_nan=True),
        "kappa_error": same(found["exponent_error"], row["kappa_error"]),
        "certificate": np.isclose(number(row["certificate"]), 0.5 / kappa, rtol=1e-14, equal_nan=True),
        "certificate_status": found["status"] == row["certificate_status"],
        "certificate_proves": row["certificate_proves"]
        == evidence.proves(kappa, number(found["exponent_error"]), number(row["derived"])),
        "certificate_says": row["certificate_says"] == says,
    }


@functools.cache
def _rates(file, gating, size, form):
    """Error -> (slowest alpha, all pairs of status and source)."""
    study = load_study(file)
    rows = theory.rates(study.measure(gating), size, form=form, x=study.law).astype({"level": str, "m": str})
    return {
        error: (part["alpha"].min(), set(zip(part["status"], part["source"], strict=True)))
        for error, part in rows.groupby(["level", "m", "parameter", "kind"])
    }


def _checked_study(row):
    """The study file has the row's model, and `theory.rates` its exponents."""
    study, size = load_study(ROOT / row["study_file"]), tuple(map(int, row["k2"].split(",")))
    truth = study.truth if isinstance(study.truth, str) else "its own"
    checks = {"study": row["study"] == study.name, "truth": row["truth"] == truth}
    checks |= {"gating": row["gating"] in study.gatings, "k2": list(size) in study.k2}
    checks["first statistic"] = row["statistic"] == study.statistics[0]
    error = (row["level"], row["size"], "loss" if row["kind"] == "loss" else row["parameter"], row["kind"])
    for form, name in (("published", "published"), ("sharp", "derived")):
        alpha, said = _rates(ROOT / row["study_file"], row["gating"], size, form).get(error, (np.nan, set()))
        # tables of slopes are written to six digits
        checks[f"{name} of theory"] = np.isclose(number(row[name]), alpha, rtol=5e-6, atol=0, equal_nan=True)
        checks[f"{name}_source"] = not row[name] or (row[f"{name}_status"], row[f"{name}_source"]) in said
    return checks


def _checked_verdict(row):
    low, high = number(row["ci_low"]), number(row["ci_high"])
    checks = {}
    for form, other in (("published", "derived"), ("derived", "published")):
        alpha, rival = number(row[form]), number(row[other])
        verdict = "faster" if high < -alpha else "slower" if low > -alpha else "consistent"
        objections = [-0.5, 0.5] if alpha == 0 else [0.0]
        objections += [-rival] if abs(rival - alpha) > 1e-6 else []
        if verdict == "consistent" and any(low <= one <= high for one in objections):
            verdict = "inconclusive"
        verdict = "" if np.isnan(alpha + low) else verdict
        checks[f"verdict_{form}"] = row[f"verdict_{form}"] == verdict
    numbers = {name: number(row[name]) for name in ("slope", "published", "derived")}
    return checks | {"verdict": row["verdict"] == evidence.verdict(row | numbers)}


def test_a_changed_number_is_noticed(made):
    folder, _ = made
    file = folder / "evidence.csv"
    table = evidence.table(["over-by-one"], folder)
    table.to_csv(file, index=False)
    assert list(untraced(folder)) == []
    spoilt = {
        "study_file": "simulations/studies/quick.toml", "truth": "C3", "gating": "LS", "k2": "3,2", "size": 1,
        "parameter": "nu", "kind": "barycentre", "published": 0.2, "published_source": "hearsay", "derived": 0.2,
        "derived_status": "open", "kappa": 2.1, "kappa_error": 0.3, "certificate": 0.26, "certificate_status": "kinked",
        "certificate_says": "differs", "certificate_proves": "exceeded", "certificate_line": 3, "limit": "bound",
        "statistic": "median", "slope": -0.27, "ci_low": -0.2, "verdict_limit": "broken", "alpha_at_n": 0.3,
        "ci_high": -0.1, "n_low": 10, "n_high": 10, "replicates": 1, "verdict_published": "slower",
        "verdict_derived": "faster", "median": -0.2, "median_low": -0.2, "median_high": -0.1, "median_line": 10,
        "slopes_line": 10, "verdict": "certified",
    }  # fmt: skip
    row = table[(table["parameter"] == "omega") & (table["size"] == 2) & (table["gating"] == "SS")].astype(object)
    for name, value in spoilt.items():
        other = row.assign(**{name: value})
        other.to_csv(file, index=False)
        assert list(untraced(folder)), name


def committed():
    return [pytest.param(name, id=name) for name in evidence.measured(SHIPPED)[0]] or [
        pytest.param(None, marks=pytest.mark.skip("no study has its table of slopes yet"))
    ]


@pytest.mark.parametrize("name", committed())
def test_a_study_with_slopes_is_in_the_evidence_that_ships(name):
    assert (SHIPPED / "evidence.csv").exists(), "hmoe evidence writes figures/evidence.csv"
    kept = pd.read_csv(SHIPPED / "evidence.csv", dtype={"k2": str})
    kept = kept[kept["study"] == name].drop(columns="drawn").reset_index(drop=True)
    now = evidence.table([name], SHIPPED).drop(columns="drawn")
    assert len(now)
    for column in now:
        pd.testing.assert_series_equal(
            kept[column].astype(object).where(kept[column].notna(), ""),
            now[column].astype(object).where(now[column].notna(), ""),
            check_dtype=False,
        )


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The folder of results that the cells of the studies make when unpacked."""
    folder = tmp_path_factory.mktemp("results")
    for file in (SHIPPED / "cells").glob("*.gz"):
        (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    return folder


@pytest.mark.parametrize("name", sorted(file.name.removesuffix(".sqlite.gz") for file in (SHIPPED / "cells").glob("*")))
def test_the_cells_that_ship_are_all_there_and_make_the_slopes_that_ship(name, unpacked):
    if load_study(name).kind == "applied":
        the_tables_of_an_applied_study_are_those_of_its_cells(name, unpacked / f"{name}.sqlite")
        return
    study, frame, _, others = cli._looked_up(name, unpacked / f"{name}.sqlite", "plot")
    cells = frame[["gating", "k2", "n", "replicate"]].drop_duplicates()
    assert len(cells) == len(study.gatings) * len(study.k2) * len(study.sizes) * study.replicates
    assert not (frame["status"] == "failed").any()
    file = SHIPPED / name / "slopes.csv"
    if file.exists():  # box-wide is shown by the page of box
        made = Summary(study, frame, others["beside"], reference=others["reference"]).slopes.to_csv(
            index=False, float_format="%.6g"
        )
        pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(made)), pd.read_csv(file), rtol=1e-5, atol=1e-9)
        made = ends.table(study, others["ends"]).to_csv(index=False, float_format="%.6g")
        assert made == (SHIPPED / name / "ends.csv").read_text(encoding="utf-8")


def the_tables_of_an_applied_study_are_those_of_its_cells(name, path):
    study = load_study(name)
    with Store(path, study) as store:
        assert len(store.statuses()) == study.n_cells
        assert "failed" not in store.statuses().values()
    scores, differences, _ = cli._applied(study, path, "plot")
    for table, made in (("scores", scores), ("differences", differences)):
        made = made.to_csv(index=False, float_format="%.6g")
        there = pd.read_csv(SHIPPED / name / f"{table}.csv")
        pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(made)), there, rtol=1e-5, atol=1e-9)


def test_most_fits_of_small_samples_lie_on_the_variance_floor_and_none_of_large_ones():
    found = ends.shares(pd.read_csv(SHIPPED / "over-by-one" / "ends.csv", dtype={"k2": str}), "nu_low")
    sizes, shares = found["over-by-one", "SS", "3,3"]
    assert (sizes[0], sizes[-1]) == (1000, 100_000)
    assert shares == [0.825, 0.825, 0.75, 0.325, 0.15, 0, 0]
    assert found["over-by-one", "LL", "3,3"][1][:5] == [0.875, 0.725, 0.7, 0.525, 0.425]


@pytest.mark.skipif(not (SHIPPED / "evidence.csv").exists(), reason="no evidence ships yet")
def test_every_number_of_the_evidence_that_ships_is_where_its_row_says():
    assert len(pd.read_csv(SHIPPED / "evidence.csv")) > 0
    assert list(untraced(SHIPPED)) == []


def test_certificates_that_ship_are_of_studies_that_ship_and_beside_the_derived_exponents_of_now():
    table = certificates.read(SHIPPED / "certificates.csv")
    shapes = {}
    for study in (one for one in map(load_study, shipped_studies()) if one.kind == "simulation"):
        for gating in study.gatings:
            G0 = study.measure(gating)
            sizes = [certificates.certified_size(G0.k2, k2) for k2 in study.k2]
            shapes |= {tuple(certificates.shape(study, gating, k2)): (G0, k2) for k2 in sizes}
    assert set(table["status"]) <= {"clean", "kinked", "disagreement", "vacuous"}
    assert (table.loc[table["status"] == "clean", "exponent"] >= 1).all()
    assert table.loc[table["status"] != "clean", "exponent"].isna().all()
    below = table[(table["k2"] == "2,2,2") & (table["discrepancy"] == "bary_omega")].set_index("gating")["status"]
    assert below.to_dict() == {"SS": "clean", "SL": "kinked", "LL": "kinked"}
    assert not table.duplicated([*certificates.SHAPE, "discrepancy", "m"]).any()
    for shape, part in table.groupby(certificates.SHAPE):
        G0, k2 = shapes[shape]
        rates = theory.rates(G0, k2).set_index(["level", "m", "parameter", "kind"])["kappa"]
        for row in part[part["derived"].notna()].itertuples():
            kind = row.kind.replace("spread", "weighted")
            assert row.derived == pytest.approx(rates[row.level, row.m, row.parameter, kind], rel=1e-5)


@pytest.mark.parametrize(("gating", "name"), [("SS", "a"), ("LL", "bary_eta")])
def test_a_certificate_that_ships_is_computed_again(gating, name):
    table = certificates.read(SHIPPED / "certificates.csv")
    (kept,) = table[
        (table["truth"] == "C0") & (table["gating"] == gating) & (table["discrepancy"] == name)
    ].itertuples()
    (now,) = theory.certificates(hs.datasets.truth("C0", gating), (2, 2), hs.Uniform(-3, 3), discrepancies=(name,))
    assert (now.status, now.m) == (kept.status, kept.m)
    assert now.exponent == pytest.approx(kept.exponent, abs=0.01)


def test_what_is_said_of_experts_as_functions_is_what_the_tables_have():
    folder = SHIPPED / "over-by-one"
    slopes, differences, curves = (
        table[(table["statistic"] == "mean") & (table["kind"] == "function") & (table["size"] == 2)]
        for table in (pd.read_csv(folder / f"{name}.csv") for name in ("slopes", "differences", "curves"))
    )
    said = " ".join((SHIPPED / "README.md").read_text(encoding="utf-8").split())
    said = said[said.index("**As functions of x, experts") :].split("*Not settled")[0]
    experts = slopes[slopes["parameter"] == "expert"]
    for row in experts.itertuples():
        assert f"{-row.slope:.2f} [{-row.ci_high:.2f}, {-row.ci_low:.2f}] under {row.gating}" in said
        assert row.alpha_derived == 1 / 8
    expert = differences[differences["parameter"] == "expert"]
    assert (len(experts), len(expert)) == (4, 6)
    assert ((expert["ci_low"] < 0) & (expert["ci_high"] > 0)).all()
    last = curves[(curves["parameter"] == "expert") & (curves["n"] == 100_000)].set_index("gating")["value"]
    assert "{SS:.3f}, {SL:.3f}, {LS:.3f} and {LL:.3f}".format(**last) in said
    for parameter, level in (("gate", 2), ("cell_mean", 2)):
        found = -slopes[(slopes["parameter"] == parameter) & (slopes["level"] == level)]["slope"]
        assert f"{found.min():.2f} to {found.max():.2f}" in said
    short = (SHIPPED.parent / "README.md").read_text(encoding="utf-8")
    assert f"{-experts['slope'].max():.2f} to {-experts['slope'].min():.2f} under SS, SL, LS and LL" in short
    assert f"{last.min():.3f} to {last.max():.3f} at n = 1e5" in short
