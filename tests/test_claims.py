"""Every number of figures/README.md, made again from what lies beside it.

`CLAIMS` repeats the text with a field where a number stands, as ``{rate SS omega}``, and ``...`` where text is left out.
A field names a function of this file and its words: models ``[study:]gating[@k2]``, then a quantity, then options. The
tables are those of the section's study, or of ``table=``. What is filled in must stand in the text, in this order; and
every numeral of the text must be filled in, or be one of `DECLARED`, with a reason why no table has it.
"""

import functools
import gzip
import itertools
import re
import sqlite3
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hmoe_stats as hs
from simulations.store import Store
from simulations.study import load_study
from simulations.summary import Summary

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "figures"
WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()
KINDS = {"weighted": "omega eta tau nu a", "mass": "beta b", "loss": "loss_published loss_sharp"}
KINDS |= {"divergence": "hellinger", "function": "expert expert_worst cell_mean gate routing"}
KINDS = {name: kind for kind, names in KINDS.items() for name in names.split()}
LEVELS = {"a": 1, "b": 1, "loss_published": 0, "loss_sharp": 0, "hellinger": 0, "routing": 0}
NAMES = {"loss_published": "the published loss", "mean-nu": "the mean of nu over the cell", "eta": "eta"}
PARAMETERS = "omega eta tau nu mean-omega mean-eta mean-tau mean-nu beta a b loss_published loss_sharp".split()


# -- tables -----------------------------------------------------------------------------------------------------------
@functools.cache
def read(folder, name):
    return pd.read_csv(FIGURES / folder / f"{name}.csv", dtype={"k2": str}, keep_default_na=True)


def models(folder, words):
    """study, gating and k2 of a model, or of two as a paired difference has them."""
    table, found = read(folder, "slopes"), []
    for word in words:
        study, _, rest = word.rpartition(":")
        gating, _, k2 = rest.partition("@")
        study = study or folder
        found.append((study, gating, k2 or max(table.loc[table["study"] == study, "k2"])))
    return [a if len(set(pair)) == 1 else " - ".join(pair) for pair in zip(*found, strict=True) for a in pair[:1]]


def quantity(word):
    """level, parameter and kind."""
    mean, name = word.startswith("mean-"), word.removeprefix("mean-")
    return LEVELS.get(name, 2), name, "barycentre" if mean else KINDS[name]


def lines(folder, name, words, what, statistic="mean", size=None):
    """The rows of a table for a model or two, a quantity and a statistic; of the largest cells, if no size is named."""
    table = read(folder, name)
    keys = zip(("study", "gating", "k2"), models(folder, words), strict=True)
    keys = [*keys, *zip(("level", "parameter", "kind"), quantity(what), strict=True), ("statistic", statistic)]
    for key, value in keys:
        table = table[table[key] == value]
    table = table[table[{"slopes": "slope", "differences": "difference", "curves": "value"}[name]].notna()]
    return table[table["size"] == (table["size"].max() if size is None else int(size))]


def line(folder, name, words, what, n=None, **at):
    table = lines(folder, name, words, what, **at)
    table = table if n is None else table[table["n"] == round(float(n))]
    assert len(table) == 1, f"{folder}/{name}.csv has {len(table)} rows of {words}, {what}, {at}"
    return table.iloc[0]


@functools.cache
def cells(name):
    """Every fit of a study, unpacked."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.sqlite"
        path.write_bytes(gzip.decompress((FIGURES / "cells" / f"{name}.sqlite.gz").read_bytes()))
        with sqlite3.connect(path) as file:
            names = "gating, k2, n, replicate, status, log_likelihood, n_iter"
            table = pd.read_sql_query(f"SELECT {names} FROM cells", file)
        file.close()
    return table


@functools.cache
def first(name, replicates):
    """The `Summary` of the first replicates of a study."""
    study = load_study(name)
    study = study.model_copy(update={"replicates": replicates})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.sqlite"
        path.write_bytes(gzip.decompress((FIGURES / "cells" / f"{name}.sqlite.gz").read_bytes()))
        with Store(path, load_study(name)) as store:
            return Summary(study, store.frame(study))


# -- how numbers are written ------------------------------------------------------------------------------------------
def two(x):
    return f"{x:z.2f}"


def interval(middle, low, high):
    return f"{two(middle)} [{two(low)}, {two(high)}]"


def word(n):
    return WORDS[n] if n < len(WORDS) else str(n)


def fraction(x):
    found = Fraction(float(x)).limit_denominator(24)
    assert float(found) == pytest.approx(float(x), abs=1e-5)
    return str(found)


def size(n):
    """2.2e4 for 21544."""
    mantissa, exponent = f"{n:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


# -- fields: rates ----------------------------------------------------------------------------------------------------
def rate(of, model, what, **at):
    row = line(of, "slopes", [model], what, **at)
    return interval(-row["slope"], -row["ci_high"], -row["ci_low"])


def alpha(of, model, what, **at):
    return two(-line(of, "slopes", [model], what, **at)["slope"])


def local(of, model, what, **at):
    return two(-line(of, "slopes", [model], what, **at)["local_slope"])


def local_rate(of, model, what, **at):
    row = line(of, "slopes", [model], what, **at)
    return interval(-row["local_slope"], -row["local_high"], -row["local_low"])


def ends(of, model, what, **at):
    row = line(of, "slopes", [model], what, **at)
    return f"[{two(-row['ci_high'])}, {two(-row['ci_low'])}]"


def span(of, gatings, what, column="slope", **at):
    """The smallest and the largest rate of models and quantities, which commas set apart."""
    each = [(model, name) for model in gatings.split(",") for name in what.split(",")]
    found = [two(-line(of, "slopes", [model], name, **at)[column]) for model, name in each]
    low, high = sorted({min(found, key=float), max(found, key=float)}, key=float) * (1 if len(set(found)) > 1 else 2)
    return low if low == high else f"{low} to {high}"


def derived(of, model, what, form="derived", **at):
    return fraction(line(of, "slopes", [model], what, **at)[f"alpha_{form}"])


def published(of, model, what, **at):
    return derived(of, model, what, "published", **at)


def verdict(of, model, what, form="derived", **at):
    return line(of, "slopes", [model], what, **at)[f"verdict_{form}"]


def where(of, form, model, what, **at):
    """Where an exponent of theory lies: inside the interval, or outside."""
    row = line(of, "slopes", [model], what, **at)
    alpha = row[f"alpha_{form}"]
    inside = -row["ci_high"] <= alpha <= -row["ci_low"]
    return f"{fraction(alpha)} lies {'inside' if inside else 'outside'}"


def outside(of, form, gatings, what, **at):
    """``outside``, if the exponents of theory lie outside the intervals of all models."""
    said = {where(of, form, model, what, **at).split()[-1] for model in gatings.split(",")}
    return " or ".join(sorted(said))


def certificate(of, model, what):
    (study, gating, k2), (level, name, kind) = models(of, [model]), quantity(what)
    table = pd.read_csv(FIGURES / "evidence.csv", dtype={"k2": str})
    wanted = {"study": study, "gating": gating, "k2": k2, "level": level, "parameter": name, "kind": kind}
    for key, value in wanted.items():
        table = table[table[key] == value]
    (found,) = set(table["certificate"].dropna())
    return two(found)


def error(of, model, what, n, shown=".3f", **at):
    return f"{line(of, 'curves', [model], what, n=n, **at)['value']:{shown}}"


# -- fields: paired differences, alpha of the second less alpha of the first -------------------------------------------
def apart(of, one, other, what, **at):
    row = line(of, "differences", [one, other], what, **at)
    return interval(row["difference"], row["ci_low"], row["ci_high"])


def gap(of, one, other, what, form="derived", **at):
    first, second = (line(of, "slopes", [model], what, **at)[f"alpha_{form}"] for model in (one, other))
    return fraction(second - first)


def gap_where(of, one, other, what, form="published", **at):
    """Where the difference of theory lies."""
    row, expected = line(of, "differences", [one, other], what, **at), gap(of, one, other, what, form, **at)
    inside = row["ci_low"] <= Fraction(expected) <= row["ci_high"]
    return f"{expected} lies {'inside' if inside else 'outside'}"


def slower_than(of, form, gatings, what, **at):
    """In how many models theory's exponent lies below the interval."""
    return word(sum(verdict(of, model, what, form, **at) == "faster" for model in gatings.split(",")))


def told(of, one, other, what):
    row = line(of, "differences", [one, other], what)
    return "told apart" if excludes(row) else "not told apart"


def short_of(of, one, other, what):
    """The derived difference, of one that holds 0 and ends short of it."""
    row, expected = line(of, "differences", [one, other], what), gap(of, one, other, what)
    assert row["ci_low"] <= 0 <= row["ci_high"] < Fraction(expected)
    return expected


def differences(of, pairs, what, statistics="mean"):
    """(pair, quantity, row), of ``parameters`` and losses in cells of any size, or of one quantity in the largest."""
    every = what == "parameters"
    sizes = sorted(set(read(of, "differences")["size"])) if every else [None]
    for pair, name in itertools.product(pairs.split(","), PARAMETERS if every else [what]):
        for statistic, at in itertools.product(statistics.split(","), sizes):
            rows = lines(of, "differences", pair.split("|"), name, statistic, at)
            yield from ((pair, name, row) for _, row in rows.iterrows())


def excludes(row):
    return not row["ci_low"] <= 0 <= row["ci_high"]


def pairs(of, *words):
    return str(len(list(differences(of, *words))))


def excluding(of, *words):
    return word(sum(excludes(row) for *_, row in differences(of, *words)))


def all_hold(of, *words):
    """How many there are, if all of them hold 0."""
    rows = [row for *_, row in differences(of, *words)]
    held = sum(not excludes(row) for row in rows)
    return word(len(rows)) if held == len(rows) else f"{held} of {len(rows)}"


def excluded(of, *words):
    found = {}
    for pair, name, row in differences(of, *words):
        if excludes(row):
            found.setdefault(" and ".join(pair.split("|")), []).append(NAMES[name])
    return ", ".join(f"{' and '.join(names)} between {pair}" for pair, names in found.items())


def moved(of, one, other, what, **at):
    """A paired difference the other way round: alpha of the first less alpha of the second."""
    row = line(of, "differences", [one, other], what, **at)
    return interval(-row["difference"], -row["ci_high"], -row["ci_low"])


def wide(of, *words):
    """How many paired differences are too wide to say anything, and of what."""
    found = [f"{pair[-2:]} {name}" for pair, name, row in differences(of, *words) if row["verdict"] == "inconclusive"]
    assert found == ["SS eta", "SS mean-tau", "LL omega"]
    return word(len(found)).capitalize()


def of_first(of, replicates, one, other, what):
    """A paired difference with the first replicates alone."""
    level, name, kind = quantity(what)
    summary, key = first(of, int(replicates)), (level, 2, name, kind)
    a, b = (summary.errors[(of, gating, "3,3"), key] for gating in (one, other))
    a, b = (pd.Series(x.error, index=pd.MultiIndex.from_arrays([x.n, x.replicate])) for x in (a, b))
    both = a.index.intersection(b.index)
    found = hs.compare_rates(both.get_level_values(0).to_numpy(), a[both].to_numpy(), b[both].to_numpy())
    return interval(found.difference, found.ci_low, found.ci_high)


# -- fields: grids and counts -----------------------------------------------------------------------------------------
def sizes_of(of):
    """The smallest and the largest sample size, their number, and replicates."""
    rows = read(of, "slopes")
    row = rows[(rows["study"] == of) & (rows["level"] == 0)].iloc[0]
    return f"n = {size(row['n_low'])} to {size(row['n_high'])}", int(row["n_sizes"]), int(row["replicates"])


def grid(of):
    span, number, replicates = sizes_of(of)
    return f"{span}, {number} sizes, {replicates} replicates"


def reach(of):
    return sizes_of(of)[0]


def number(of):
    return str(sizes_of(of)[1])


def replicates(of):
    return str(sizes_of(of)[2])


def starts(of):
    return str(load_study(of).fit.n_starts)


def upper(of):
    """The upper half of the sizes."""
    found = sorted(set(read(of, "curves")["n"]))
    return f"n = {size(found[len(found) // 2])} to {size(found[-1])}"


def upper_from(of):
    return upper(of).split(" to ")[0]


def fits(of, *words):
    """All that were asked for."""
    if (FIGURES / of / "ends.csv").exists():
        table, parts = read(of, "ends"), [models(of, [model]) for model in words]
        return str(sum(table.loc[(table[["study", "gating", "k2"]] == part).all(axis=1), "cells"].sum() for part in parts))
    return str(sum(int(row["n_sizes"] * row["replicates"]) for row in _losses(of, words)))


def bounded(of, *words):
    """Fits on the box."""
    return str(sum(int(row["bounded"]) for row in _losses(of, words)))


def _losses(of, words):
    return [line(of, "slopes", [model], "loss_published") for model in words]


def replicated(of):
    """The fewest and the most replicates of a study, but for exact."""
    found = {f.parent.name: sizes_of(f.parent.name)[2] for f in FIGURES.glob("*/slopes.csv") if f.parent.name in STUDIES}
    assert found.pop("exact") == 100
    return f"{min(found.values())} to {max(found.values())}, a hundred only in `exact`"


def on_floor(of, model):
    """The shares of fits on the variance floor, by n."""
    return " ".join(f"{share:.2f}"[1:] if share else "0" for _, share in _floor(of, model))


def floor_until(of, model):
    """The largest size at which there are such fits."""
    return f"n = {size(max(n for n, share in _floor(of, model) if share))}"


def _floor(of, model):
    table = read(of, "ends")
    table = table[(table["study"] == of) & (table["gating"] == model)]
    return list(zip(table["n"], table["nu_low"] / table["cells"], strict=True))


def rechecked(of):
    """What climbs from stored fits at a million rows gained."""
    table = pd.read_csv(ROOT / "benchmarks" / "recheck_million.csv")
    short = table[~table["meets"]]
    assert table["gain of a climb"].max() == short["gain of a climb"].max()
    return f"would raise {word(len(short))} of {len(table)}, by {short['gain of a climb'].max():.3f} at most"


def local_means(of, value):
    """Of how many means the local rates hold a value."""
    table = read(of, "slopes")
    table = table[table["statistic"] == "mean"]
    holds = (-table["local_high"] <= float(value)) & (float(value) <= -table["local_low"])
    return f"all {len(table)}" if holds.all() else f"{holds.sum()} of {len(table)}"


def beside_twelve(of):
    """Optima with 24 starts and with twelve."""
    kept = ["gating", "k2", "n", "replicate"]
    both = cells(of).merge(cells("over-by-one"), on=kept)
    assert len(both) == len(cells(of))
    gain = both["log_likelihood_x"] - both["log_likelihood_y"]
    above, below = both[gain > 0.001], both[gain < -0.001]
    gatings = above["gating"].value_counts()
    assert set(below["gating"]) == {"LL"}
    return (
        f"{len(both) - len(above) - len(below)} of {len(both)} fits end at the same optimum as with twelve, {len(above)} "
        f"above ({gatings['SS']} under SS, {gatings['LL']} under LL, by up to {gain.max():.1f} in log-likelihood) and "
        f"{len(below)} below (under LL, by up to {-gain.min():.1f})"
    )


def fewest(of, model, what):
    """The fewest replicates of a size that have cells of the largest size."""
    return str(line(of, "slopes", [model], what)["replicates"])


def median(of, model, what):
    return alpha(of, model, what, statistic="median")


def iterations(of, k2, n):
    table = cells("reproduction-em")
    return f"{table[(table['k2'] == k2) & (table['n'] == float(n))]['n_iter'].mean():.0f}"


def stopped(of, n):
    """The iterations of every over-specified fit by EM from a size on."""
    table = cells("reproduction-far-em")
    (found,) = set(table[(table["k2"] != "2") & (table["n"] >= float(n))]["n_iter"])
    return word(found)


def shrinks(of, name):
    """The power of n by which the starts of a parameter come nearer to the truth."""
    power = getattr(load_study("reproduction-em").fit.jitter, name)[1]
    return {0.083: "0.083", 0.25: "1/4"}[power]


def last(of):
    return sizes_of(of)[0].rpartition(" ")[2]


# -- fields: coverage -------------------------------------------------------------------------------------------------
def coverage(of, n, what, kind="hessian", digits="1"):
    """The smallest and the largest coverage, in per cent.

    Of ``parameters`` by gating, of ``functions`` by gating and function, of ``log_nu`` the worst of each gating, of the
    ``band`` by gating.
    """
    table = read(of, "coverage")
    table = table[(table["n"] == int(n)) & (table["kind"] == kind)]
    one = table["quantity"].str.contains("[", regex=False)
    band = table["quantity"] == "mean, band"
    table = table[{"parameters": one, "functions": ~one & ~band, "band": band}.get(what, one)]
    if what == "log_nu":
        table = table[table["quantity"].str.startswith("log_nu")]
        found = table.groupby("gating")["coverage"].min()
    else:
        name = table["quantity"].str.extract(r"^(\w+)")[0] if what == "functions" else ""
        parts = (table["coverage"] * table["given"]).groupby([table["gating"], name if what == "functions" else table["n"]])
        found = parts.sum() / table["given"].groupby([table["gating"], name if what == "functions" else table["n"]]).sum()
        if what == "functions" and n == "500":
            assert found.idxmin() == ("LL", "gates")
    return f"{100 * found.min():.{digits}f} to {100 * found.max():.{digits}f}"


def without_error(of, n, *gatings):
    """The shares of parameters of gates that have no standard error."""
    table = read(of, "coverage")
    table = table[(table["n"] == int(n)) & (table["kind"] == "hessian")]
    table = table[table["quantity"].str.contains(r"^(?:a|b|omega|beta)\[")]
    sums = table.groupby("gating")[["given", "samples"]].sum()
    return " and ".join(f"{100 * (1 - sums['given'] / sums['samples'])[gating]:.0f}" for gating in gatings)


def coverage_sizes(of):
    return " and ".join(map(str, sorted(set(read(of, "coverage")["n"]))))


def tells(of):
    """Half the width of the interval of a coverage of 95 %."""
    return f"{100 * 1.96 * (0.95 * 0.05 / int(samples(of))) ** 0.5:.1f}"


def samples(of):
    (found,) = set(read(of, "coverage")["samples"])
    return str(found)


# -- what is said -----------------------------------------------------------------------------------------------------
STUDIES = "exact over-by-one search over-by-two unidentified level-one box plane million quick".split()
STUDIES += ["reproduction", "reproduction-em", "reproduction-far", "reproduction-far-em", "box-wide"]
CLAIMS = {
    "": """
        Up to {floor_until SS table=over-by-one} many ... under SS {on_floor SS table=over-by-one} of
        ... Replicates are {replicated}
        ... rates of omega that hold both {derived SS omega table=over-by-one} and
        {published SS omega table=over-by-one}, and most differences of omega between SS and LL, as they hold
        {gap SS LL omega table=over-by-one} (derived) and {gap SS LL omega form=published table=over-by-one} (published)
        ... one more step {rechecked}
        ... `exact` ({fits SS SL LS LL table=exact} fits)
    """,
    "exact": """
        {grid}.* ... **They do, from {upper_from} on.** Over the upper half of the sizes ({upper}) the Hellinger distance falls with
        {span SS,SL,LS,LL hellinger column=local_slope} under all four gatings, the Voronoi loss with
        {span SS,SL,LS,LL loss_published,loss_sharp column=local_slope}, and {local_means 0.5} local rates of means have
        intervals that hold {derived SS hellinger}. ... the Hellinger distance has {span SS,SL,LS,LL hellinger}
        everywhere: the intervals of {number} sizes
        ... omega {rate SL omega} under SL and {rate LL omega} under LL, ... ({bounded SL} and {bounded LL} of {fits LL}
        fits lie on it)
    """,
    "over-by-one": """
        {grid}.*
        ... omega falls with alpha {rate SS omega} under SS and {rate LS omega} under LS (derived {derived SS omega}),
        with {rate SL omega} under SL and {rate LL omega} under LL (derived {derived LL omega}). On the same data SS and
        LL differ by {apart SS LL omega}, SS and SL by {apart SS SL omega}, LS and LL by {apart LS LL omega} (derived
        {gap SS LL omega}); SS and LS by {apart SS LS omega}, SL and LL by {apart SL LL omega} (derived
        {gap SS LS omega}). Of the {pairs SS|LS,SL|LL parameters} paired differences of means, of parameters and losses,
        between gatings that share level 2, {excluding SS|LS,SL|LL parameters} exclude 0, by a hair
        ({excluded SS|LS,SL|LL parameters}). The published exponents of omega, {published SS omega} for SS, LS and SL
        and {published LL omega} for LL, ... all {slower_than published SS,SL,LS,LL omega} intervals lie above them.
        ... It falls with {rate SS mean-eta} under SS and {rate LS mean-eta} under LS, {verdict SS mean-eta} than the derived
        {derived SS mean-eta}, and with {rate SL mean-eta} and {rate LL mean-eta} under SL and LL (derived
        {derived LL mean-eta}). SS and LL differ by {apart SS LL mean-eta}, which holds 0 and ends short of the derived
        {short_of SS LL mean-eta}; ... With the first twenty replicates alone this difference had been
        {of_first 20 SS LL mean-eta}, and LL faster than SL in omega by {of_first 20 SL LL omega};
        ... The expert function over split cells falls with alpha {rate SS expert} under SS, {rate SL expert} under SL,
        {rate LS expert} under LS and {rate LL expert} under LL; the derived {derived SS expert}, for all, is the worst
        case. All {all_hold SS|SL,SS|LS,SS|LL,SL|LS,SL|LL,LS|LL expert} paired differences hold 0. At n = 1e5 its error
        is {error SS expert 1e5}, {error SL expert 1e5}, {error LS expert 1e5} and {error LL expert 1e5}:
        ... Gate functions of split cells fall with {span SS,SL,LS,LL gate}, mean functions with
        {span SS,SL,LS,LL cell_mean} (derived {derived SS cell_mean}).
        ... eta ({span SS,SL,LS,LL eta}, derived {derived SS eta}), tau ({span SS,SL,LS,LL tau}, derived
        {derived SS tau}) and nu ({span SS,SL,LS,LL nu}, derived {derived SS nu}) are faster
        ... nu over the cell ({span SS,SL,LS,LL mean-nu}, derived {derived SS mean-nu}, ...), those of tau under SL and
        LS ({span SL,LS mean-tau}, derived {derived SL mean-tau}), and the losses
        ({span SS,SL,LS,LL loss_published,loss_sharp}, derived {derived SS loss_sharp}). {bounded SS SL LS LL} of
        {fits SS SL LS LL} fits lie on the box.
    """,
    "search": """
        with {starts} starts instead of ..., {grid}.*
        ... With {starts} starts {beside_twelve}. All
        {all_hold search:SS|over-by-one:SS,search:LL|over-by-one:LL parameters mean,median,q90} paired differences of
        rates of parameters and losses, of means, medians and 0.9 quantiles, hold 0: omega moves by
        {moved search:SS over-by-one:SS omega} under SS and by {moved search:LL over-by-one:LL omega} under LL, the mean
        of eta over the cell by {moved search:SS over-by-one:SS mean-eta} and
        {moved search:LL over-by-one:LL mean-eta}. {wide search:SS|over-by-one:SS,search:LL|over-by-one:LL parameters}
        of them are so wide that they say nothing: ... With {starts} starts omega under SS, {rate SS omega}, is
        {verdict SS omega}. ... omega under LL is {verdict over-by-one:LL omega} than its limit by a hair with twelve
        starts and {fewest over-by-one:LL omega} replicates, {rate over-by-one:LL omega}, and {rate LL omega}
        with {starts} starts: ... whether {starts} starts are enough, ... sizes past {last}.
    """,
    "over-by-two": """
        {grid};
        ... Do softmax exponents of omega and eta stay at {derived SS omega} for cells of three, as derived, or fall to
        {published SS omega} and {published SS eta}, as published?
        ... Under SS omega falls with alpha {rate SS omega} (derived {derived SS omega}; the published
        {where published SS omega}), the mean of eta over the cell with {rate SS mean-eta} (derived
        {derived SS mean-eta}) and nu with {rate SS nu} (derived {derived SS nu}). Under LL omega has {rate LL omega}
        (derived {derived LL omega}) and the mean of eta over the cell {rate LL mean-eta} (derived
        {derived LL mean-eta}). ... SS and LL are **{told SS LL omega}** in cells of three: on the same data omega differs by {apart SS LL omega} (derived {gap SS LL omega}),
        the mean of eta over the cell by {apart SS LL mean-eta} (derived {gap SS LL mean-eta}); in cells of two omega
        differs by {apart SS LL omega size=2}. *Not settled:* eta, {rate SS eta} and {rate LL eta}, and tau,
        {rate SS tau} and {rate LL tau}, are {verdict SS eta} than their limits under both; under SS the mean of tau over
        the cell is {verdict SS mean-tau} than {derived SS mean-tau} as well, and the weight of the cell in its group,
        {rate SS beta}, is **{verdict SS beta} than the derived {derived SS beta}**. Cells of three come up in no fewer
        than {fewest SS omega} (SS) and {fewest LL omega} (LL) of {replicates} replicates of a size, and
        {bounded SS LL} of {fits SS LL} fits lie on the box.
    """,
    "unidentified": """
        {grid}.*
        ... The mean of eta over the cell falls with alpha {rate SS mean-eta} under SS (derived {derived SS mean-eta})
        and {rate LL mean-eta} under LL (derived {derived LL mean-eta}; the certificate has {certificate LL mean-eta}),
        a paired difference of {apart SS LL mean-eta} (derived {gap SS LL mean-eta}); eta with {rate SS eta} under SS
        (derived {derived SS eta}) and {rate LL eta} under LL (derived {derived LL eta}), apart by {apart SS LL eta}.
        Level-2 gates do not converge: omega {rate SS omega} under SS and {rate LL omega} under LL. *Not settled:* tau
        under SS, {rate SS tau}, is {verdict SS tau} than {derived SS tau}, and nu, {rate SS nu}, than {derived SS nu};
        the published loss, ... n^(-1/2) under SS, {rate SS loss_published}, and is
        {verdict LL loss_published form=published} under LL, {rate LL loss_published}.
    """,
    "level-one": """
        {grid}, {starts} starts.* ... converge at {derived SS a} under softmax and {derived LL a} under Laplace gates
        ... a falls with {rate SS a} under SS, {rate SL a} under SL (derived {derived SS a}) and {rate LL a} under LL
        (derived {derived LL a}): all {verdict SS a}, and the published {published SS a} for softmax lies
        {outside published SS,SL a}, but softmax and Laplace are **{told SS LL a}** (LL - SS {apart SS LL a}, derived {gap SS LL a}). omega of groups that share a true group is {told SS LL omega}: on the same data SS and LL differ by
        {apart SS LL omega} (derived {gap SS LL omega}). Under SL and LL it falls with {rate SL omega} and {rate LL omega}, {verdict SL omega} with
        the derived {derived SL omega}; under SS, {rate SS omega} is {verdict SS omega}, as it holds the published
        {published SS omega} besides the derived {derived SS omega}. *Not settled:* under SL the means of eta over the
        cell, {rate SL mean-eta}, and of tau, {rate SL mean-tau}, are {verdict SL mean-eta} than the derived
        {derived SL mean-eta}, as are nu and its mean over the cell under all three ({span SS,SL,LL nu,mean-nu}, derived
        {derived SS nu}); the mean of the published loss under SS, {rate SS loss_published}, says nothing and is that of
        single fits (its median falls with {median SS loss_published}).
    """,
    "box, box-wide": """
        {reach}, {number} sizes, {replicates} replicates (of 1.5: {fewest over-by-one:SS omega}).*
        ... Alpha of omega under SS: {rate SS omega}, {rate over-by-one:SS omega}, {rate box-wide:SS omega} in boxes of
        ... (in the narrow box {verdict SS omega}: the published {where published SS omega}, too); eta {alpha SS eta},
        {alpha over-by-one:SS eta}, {alpha box-wide:SS eta}; tau {alpha SS tau}, {alpha over-by-one:SS tau},
        {alpha box-wide:SS tau}. ... omega moves by {apart SS over-by-one:SS omega}, from there to the wide one by
        {apart over-by-one:SS box-wide:SS omega}. Under LL it moves less, {alpha LL omega}, {alpha over-by-one:LL omega}
        and {alpha box-wide:LL omega}, so that in the wide box the gatings are {told box-wide:SS box-wide:LL omega}.
        Means over the cell (SS: eta {alpha SS mean-eta},
        {alpha over-by-one:SS mean-eta}, {alpha box-wide:SS mean-eta}; tau {alpha SS mean-tau},
        {alpha over-by-one:SS mean-tau}, {alpha box-wide:SS mean-tau}) hardly
    """,
    "plane": """
        {grid}.*
        ... Exact fits: loss {rate SS@2,2 loss_published} under SS, {rate LL@2,2 loss_published} under LL. One too many:
        omega {rate SS omega} under SS and {rate LL omega} under LL. The derived exponents are {derived SS omega} for
        both ... {verdict SS omega} for SS, {verdict LL omega} for LL. The mean of eta over the cell is
        {rate SS mean-eta} under SS, **{verdict SS mean-eta} than the derived {derived SS mean-eta}**, and
        {rate LL mean-eta} under LL: the contrast of one dimension, {gap SS LL mean-eta table=over-by-one}, is not there
        at these n ({apart SS LL mean-eta}), while omega differs, by {apart SS LL omega} where nothing is derived.
        ... {bounded SS LL} of the {fits SS LL} fits with an expert too many lie on the box.
    """,
    "million": """
        {replicates} replicates, added to its curves: {reach}, {number} sizes.*
        ... omega falls with alpha {rate SS omega} under SS (derived {derived SS omega}) and {rate LL omega} under LL
        (derived {derived LL omega}); the mean of eta over the cell with {rate SS mean-eta} (derived
        {derived SS mean-eta}; over the upper half of the sizes {local SS mean-eta}) and {rate LL mean-eta} (derived
        {derived LL mean-eta}). On the same data SS and LL differ by {apart SS LL omega} in omega (derived
        {gap SS LL omega}; the published {gap_where SS LL omega}, too) and by {apart SS LL mean-eta} in the mean of eta
        (derived {gap SS LL mean-eta}), ... The published {published SS omega} and {published LL omega} for omega lie
        {outside published SS,LL omega}. *Not settled:* eta ({alpha SS eta}, {alpha LL eta}), tau ({alpha SS tau}, {alpha LL tau}), nu
        ({alpha SS nu}, {alpha LL nu}) and its mean over the cell ({alpha SS mean-nu}, {alpha LL mean-nu}) are still
        {verdict SS eta} than derived at a million rows, and so are the losses
        ({span SS,LL loss_published,loss_sharp}), by less than over two decades; the means of omega over the cell differ
        by {apart SS LL mean-omega}, where no difference is derived.
    """,
    "quick": "SS and LL; {reach}, {replicates} replicates.",
    "reproduction, reproduction-em": """
        {grid}.
        ... takes {iterations 3 1e3} iterations on average at n = 1e3, {iterations 3 1e4} at 1e4 and {iterations 3 1e5}
        at 1e5. ... at 1e5 the mean Hellinger distance of three and of four experts,
        {error SS@3 hellinger 1e5 shown=.2g table=reproduction-em} and
        {error SS@4 hellinger 1e5 shown=.2g table=reproduction-em}, is that of two,
        {error SS@2 hellinger 1e5 shown=.2g table=reproduction-em}, where the maximum-likelihood estimates are at
        {error SS@3 hellinger 1e5 shown=.2g} and {error SS@4 hellinger 1e5 shown=.2g}. Its published loss,
        {error SS@3 loss_published 31623 shown=.2g table=reproduction-em} at 3.2e4 and
        {error SS@3 loss_published 1e5 shown=.2g table=reproduction-em} at 1e5 for three experts,
        ... shrink like n^(-{shrinks omega}) and, of variances, n^(-{shrinks nu}).
        ... the loss is {error SS@3 loss_published 1e4 shown=.2g table=reproduction-em} at 1e4 and
        {error SS@3 loss_published 1e3 shown=.3g table=reproduction-em} at 1e3, and over all sizes falls with
        {rate SS@3 loss_published table=reproduction-em} for three experts,
        {rate SS@4 loss_published table=reproduction-em} for four:
        ... ({bounded SS@3} of {fits SS@3} of three experts, {bounded SS@4} of {fits SS@4} of four), ... falls with
        {rate SS@3 loss_published} and {rate SS@4 loss_published}, {verdict SS@3 loss_published} with
        {derived SS@3 loss_published}, and their rates of split parameters, tau {rate SS@3 tau size=2}, are those of a
        wide box (`box`), not the worst case {derived SS@3 tau}.
        ... **Carried on to 1e12 rows** (... {grid table=reproduction-far-em}), ... ends after {stopped 1e6} iterations
        ... falls with {local_rate SS@3 tau size=2 table=reproduction-far-em} and
        {local_rate SS@4 tau size=2 table=reproduction-far-em}, and its Hellinger distance with
        {local_rate SS@3 hellinger table=reproduction-far-em} and {local_rate SS@4 hellinger table=reproduction-far-em},
        slower than ... have {span SS@3,SS@4 hellinger table=reproduction-far} for the Hellinger distance, and tau
        {rate SS@3 tau size=2 table=reproduction-far} and {rate SS@4 tau size=2 table=reproduction-far} over all sizes,
        where {bounded SS@3 SS@4 table=reproduction-far} of {fits SS@3 SS@4 table=reproduction-far} lie on a bound: the
        rate of a wide box, not {derived SS@3 tau}.
    """,
    "coverage": """
        n = {coverage_sizes}, {samples} samples.*
        ... At n = 5000 they do: parameters in {coverage 5000 parameters} % of cases, gating by gating.** Functions of x
        ... in {coverage 5000 functions} %. At n = 500 parameters come to {coverage 500 parameters} %, functions to
        {coverage 500 functions} %, lowest the gates under LL: ... ({coverage 500 log_nu} % at worst). Of the parameters
        of SL and LL gates {without_error 500 SL LL} % have no standard error then: ... Outer products come nearest at
        n = 500 ({coverage 500 parameters kind=opg} %). Simultaneous bands of the mean are short at n = 500, too
        ({coverage 500 band digits=0} %), ... each of which {samples} samples tell to {tells} %. ... was set to {samples}
    """,
}
SIZE = "a size of samples"
HISTORY = "no table has what was before it"
DECLARED = {
    "": {
        "95 % intervals": "of all tables",
        "`over-by-one` (20, then 40) and `million` (3, then 20)": HISTORY,
        "up to 1e5 rows, as a comparison of which no table is kept": HISTORY,
    },
    "over-by-one": {"level 1": "of the model", "share level 2": "of the model"},
    "search": {"0.9 quantiles": "a statistic"},
    "unidentified": {"(0.55, in a run that is not kept)": HISTORY},
    "box, box-wide": {
        "beta within 0.75, 1.5 and 3;": "declared boxes",
        "(of 1.5:": "a declared box",
        "in boxes of 0.75, 1.5 and 3 ": "declared boxes",
    },
    "plane": {"(d = 2)": "of the model", "for d = 2": "of the model"},
    "reproduction, reproduction-em": {
        "arXiv 2305.03288": "a name",
        "covariates on a grid over [0, 1]": "declared",
    },
    "coverage": {"Do 95 % intervals hold the truth in 95 % of cases": "the level", "n = 5000": SIZE, "n = 500": SIZE},
}


# -- the test ---------------------------------------------------------------------------------------------------------
PARAMETRIC = "n^(-1/2)"
NUMERAL = re.compile(r"(?<![\w.-])-?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?:e\d+)?(?:/\d+)?(?!\w)")


def flat(text):
    return " ".join(text.split())


@functools.cache
def sections():
    head, *parts = re.split(r"^## ", (FIGURES / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {"": flat(head)} | {title: flat(text) for title, text in (part.split("\n", 1) for part in parts)}


@functools.cache
def sizes_that_are():
    """The sample sizes of all studies, as they are written."""
    return {size(n) for study in STUDIES for n in set(read(study, "curves")["n"])}


def filled(of, claims):
    """Fragments, each a list of texts: as they stand in `CLAIMS`, and what came into a field, in turn."""
    for fragment in flat(claims).split("..."):
        parts = re.split(r"\{(.*?)\}", fragment.strip())
        for number in range(1, len(parts), 2):
            name, *words = parts[number].split()
            options = dict(word.split("=") for word in words if "=" in word)
            words = [word for word in words if "=" not in word]
            parts[number] = globals()[name](options.pop("table", of), *words, **options)
        yield parts


@pytest.mark.parametrize("title", sections())
def test_every_number_is_that_of_the_tables(title):
    text, at, traced = sections()[title], 0, []
    for parts in filled(title.split(",")[0], CLAIMS.get(title, "")):
        fragment = "".join(parts)
        found, begin = text.find(fragment, at), max(text.find(parts[0], at), at)
        assert found >= 0, f"the tables say\n{fragment}\nand the text\n{text[begin : begin + len(fragment) + 99]}"
        for k, part in enumerate(parts):
            traced += [(found, found + len(part))] if k % 2 else []
            found += len(part)
        at = found
    left = list(text)
    for low, high in traced:
        left[low:high] = "_" * (high - low)
    left = "".join(left).replace(PARAMETRIC, "_")
    for fragment in DECLARED.get(title, {}):
        assert fragment in left, f"no longer in the text: {fragment}"
        left = left.replace(fragment, "_")
    numerals = set(NUMERAL.findall(left)) - {"0"} - sizes_that_are()
    assert not numerals, f"of no table: {numerals}\n{left}"
