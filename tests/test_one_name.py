"""A quantity has one name, a verdict one sign and a rate one writing, in tables, page, report, evidence and README."""

import ast
import re
from pathlib import Path

import pandas as pd
import pytest
from test_report import STUDY, Page, results
from test_report import study as reported
from test_summary import results as made_results
from test_summary import study as made

from simulations import evidence, evidence_figure, page, terminal, words
from simulations.report import render
from simulations.summary import QUANTITY, Summary

ROOT = Path(__file__).parents[1]
SHIPPED = sorted((ROOT / "figures").glob("*/slopes.csv"))
FUNCTIONS = [(1, 1, "gate"), (2, 2, "gate"), (2, 2, "expert"), (2, 2, "expert_worst"), (2, 2, "cell_mean")]
FUNCTIONS = [(*one, "function") for one in [*FUNCTIONS, (0, 0, "routing")]]


def read(file):
    """A table that ships, its words empty where there are none."""
    table = pd.read_csv(file, dtype={"k2": str})
    names = [name for name in table if name.startswith("verdict") or name in ("note", "limit")]
    return table.astype(dict.fromkeys(names, object)).fillna(dict.fromkeys(names, ""))


def quantities(table):
    return {tuple(row) for row in table[list(QUANTITY)].itertuples(index=False)}


EVERY = sorted(set().union(*(quantities(read(file)) for file in SHIPPED), FUNCTIONS))


def test_every_quantity_that_ships_has_a_name_of_its_own_without_a_machine_name():
    names = {words.quantity(*quantity): quantity for quantity in EVERY}
    assert len(names) == len(EVERY) > 30
    for name, (_, _, parameter, kind) in names.items():
        assert not re.search(rf"_|\b{kind}\b", name) or kind in ("loss", "function"), name
        if kind in ("weighted", "barycentre"):
            assert parameter in name.split()


@pytest.mark.parametrize("file", SHIPPED, ids=[file.parent.name for file in SHIPPED])
def test_every_quantity_that_ships_is_called_the_same_everywhere(file):
    table = read(file)
    names = {words.quantity(*quantity) for quantity in quantities(table)}
    text = terminal.slopes_text(table)
    differences = read(file.with_name("differences.csv"))
    shown = Page(render(reported(), STUDY, results({}), table, differences)).texts("rates")[1:]
    assert {row[0] for row in shown} == names
    lines = {re.split(r"  +| -?\d\.\d\d \[", line.strip().removeprefix("* "))[0] for line in text.splitlines()}
    assert names <= lines
    joined = evidence.table([file.parent.name], file.parents[1])
    named = {words.quantity(*quantity) for quantity in quantities(joined)}
    assert named <= names
    assert all(re.search(rf"^ *{re.escape(name)}  ", terminal.evidence_text(joined), re.MULTILINE) for name in named)
    if joined["drawn"].any():
        drawn = {text.get_text() for one in evidence_figure.figures(joined) for text in one.axes[0].texts}
        assert {words.quantity(*quantity) for quantity in quantities(joined[joined["drawn"]])} <= drawn


def test_the_page_has_the_rates_signs_and_names_of_the_table():
    found = Summary(made(), made_results(made()))
    *panels, below = page.figure(found, every=True).axes
    titles = {ax.get_title(loc="left") for ax in panels}
    texts = [text.get_text() for text in below.texts]
    table = terminal.slopes_text(found.slopes)
    for title in titles:
        assert title in texts
        assert title in table
    seen = 0
    for row in found.slopes[found.slopes["statistic"] == "mean"].itertuples():
        rate = words.rate(row.slope, row.ci_low, row.ci_high)
        signs = f"{words.MARKS[row.verdict_published]} {words.MARKS[row.verdict_derived]}"
        assert f"{rate} {signs}" in table
        on_the_page = f"{rate}  {words.against(row.verdict_limit, row.alpha_limit, row.limit)}"
        if words.quantity(row.level, row.size, row.parameter, row.kind) in titles:
            seen += 1
            assert on_the_page in texts
    assert seen >= 14


# -- one module -------------------------------------------------------------------------------------------------------
READ = ["summary", "terminal", "columns", "page", "report", "evidence", "evidence_figure", "cli", "expected"]


def literals(tree):
    """The texts of a module, docstrings apart; of f-strings what is written and how values are formatted."""
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.lineno, node.value


@pytest.mark.parametrize("name", READ)
def test_no_other_module_writes_intervals_fractions_or_names_of_quantities(name):
    """Formats of rates (.2f, .3f of anything but a certificate's kappa), Fraction, signs of verdicts, names."""
    source = (ROOT / "simulations" / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for a in node.names}
    assert not imported & {"Fraction", "interval"}
    found = [(line, text) for line, text in literals(tree) if re.fullmatch(r"[+]?[0-9]*\.[0-9]f", text)]
    allowed = {"columns": {".0f"}, "cli": {"6.3f", ".3f", "5.3f", ".0f", ".1f", "5.2f"}, "evidence_figure": {".0f"}}
    assert {text for _, text in found} <= allowed.get(name, set()), found
    names = {words.name(level, parameter, kind) for level, _, parameter, kind in EVERY} - {"Voronoi loss"}
    assert not [text for _, text in literals(tree) for one in names if one in text]
    assert not [text for _, text in literals(tree) if re.search(r"steeper|flatter|\d in cell", text)]


WRITES = {"write_text", "write_bytes", "to_csv", "savefig", "mkdir", "makedirs"}


@pytest.mark.parametrize("file", sorted((ROOT / "simulations").glob("*.py")), ids=lambda file: file.stem)
def test_files_alone_writes_what_users_read(file):
    """Texts, tables and figures; the store has its file from SQLite, a table of cells goes by `written_whole`."""
    called = [
        (node.lineno, node.func.attr)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES
        and (file.stem, node.func.attr) not in {("report", "to_csv"), ("markup", "savefig")}  # into memory
    ]  # fmt: skip
    assert not called or file.stem in ("files", "resultsfile", "lock"), called
