"""The numbers that figures/README.md and README.md are made of, again from the tables, as the texts write them.

A field is a public function here of the study whose tables are read and of words: models ``[study:]gating[@k2]``, the
largest k2 if none is named; a quantity, of the largest cells, the mean of one over the cell as ``mean-eta``; options.
"""

import functools
import gzip
import itertools
import re
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

import hmoe_stats as hs
from hmoe_stats.quadrature import lattice
from simulations.store import Store
from simulations.study import load_study
from simulations.summary import Summary, enough, tried

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "figures"
WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()
KINDS = {"weighted": "omega eta tau nu a", "mass": "beta b", "loss": "loss_published loss_sharp"}
KINDS |= {"divergence": "hellinger", "function": "expert expert_worst cell_mean gate routing"}
KINDS = {name: kind for kind, names in KINDS.items() for name in names.split()}
LEVELS = {"a": 1, "b": 1, "loss_published": 0, "loss_sharp": 0, "hellinger": 0, "routing": 0}
NAMES = {"loss_published": "the published loss", "mean-nu": "the mean of nu over the cell", "eta": "eta"}
PARAMETERS = "omega eta tau nu mean-omega mean-eta mean-tau mean-nu beta a b loss_published loss_sharp".split()
STUDIES = "exact over-by-one nine-decades search elsewhere over-by-two unidentified unidentified-far".split()
STUDIES += "many-truths classes classes-constant same-data-softmax level-one box box-wide plane million quick".split()
STUDIES += "reproduction reproduction-em reproduction-far reproduction-far-em".split()


# -- tables -----------------------------------------------------------------------------------------------------------
@functools.cache
def read(folder, name):
    return pd.read_csv(FIGURES / folder / f"{name}.csv", dtype={"k2": str})


def models(folder, words):
    """study, gating and k2 of a model, or of two as a paired difference has them."""
    table, found = read(folder, "slopes"), []
    for word in words:
        study, _, rest = word.rpartition(":")
        gating, _, k2 = rest.partition("@")
        study = study or folder
        found.append((study, gating, k2 or max(table.loc[table["study"] == study, "k2"])))
    return [" - ".join(dict.fromkeys(names)) for names in zip(*found, strict=True)]


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


@contextmanager
def unpacked(name):
    """The file of the cells of a study."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.sqlite"
        path.write_bytes(gzip.decompress((FIGURES / "cells" / f"{name}.sqlite.gz").read_bytes()))
        yield path


@functools.cache
def cells(name):
    """Every fit of a study."""
    with unpacked(name) as path, closing(sqlite3.connect(path)) as file:
        return pd.read_sql_query("SELECT gating, k2, n, replicate, log_likelihood, n_iter FROM cells", file)


@functools.cache
def first(name, replicates):
    """The `Summary` of the first replicates of a study."""
    study = load_study(name)
    part = study.model_copy(update={"replicates": replicates})
    with unpacked(name) as path, Store(path, study) as store:
        return Summary(part, store.frame(part))


@functools.cache
def frame(name):
    """Every measured error of a study, of the fits at an optimum."""
    study = load_study(name)
    with unpacked(name) as path, Store(path, study) as store:
        found = store.frame(study)
    return found[found["status"].isin(["converged", "boundary"])]


# -- how numbers are written ------------------------------------------------------------------------------------------
def two(x):
    return f"{x:z.2f}"


def interval(middle, low, high):
    return f"{two(middle)} [{two(low)}, {two(high)}]"


def word(n):
    return WORDS[n] if n < len(WORDS) else str(n)


def fraction(x):
    found = Fraction(float(x)).limit_denominator(24)
    assert abs(float(found) - float(x)) < 1e-5
    return str(found)


def size(n):
    """2.2e4 for 21544."""
    mantissa, exponent = f"{n:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def agreed(field):
    """A field of several models and quantities, with commas between, that all say the same."""

    @functools.wraps(field)
    def joined(of, *words, **at):
        said = {field(of, *one, **at) for one in itertools.product(*(word.split(",") for word in words))}
        return " or ".join(sorted(said))

    return joined


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


def span(of, gatings, what, column="slope", **at):
    """The smallest and the largest rate of models and quantities, which commas set apart."""
    each = itertools.product(gatings.split(","), what.split(","))
    found = {two(-line(of, "slopes", [model], name, **at)[column]) for model, name in each}
    return " to ".join(sorted(found, key=float)[:: max(len(found) - 1, 1)])


@agreed
def derived(of, model, what, form="derived", **at):
    return fraction(line(of, "slopes", [model], what, **at)[f"alpha_{form}"])


@agreed
def published(of, model, what, **at):
    return derived(of, model, what, "published", **at)


@agreed
def limit_verdict(of, model, what, **at):
    """What an interval says of the limit of its statistic."""
    return line(of, "slopes", [model], what, **at)["verdict_limit"]


def apart_at_n(of):
    """How many mean rates of a study differ from those that the study which it expects them from has at these n."""
    table = read(of, "slopes")
    found = table.loc[(table["study"] == of) & (table["statistic"] == "mean"), "verdict_at_n"].dropna()
    return f"of {len(found)} mean rates of `{of}` {word((found == 'differs').sum())} differ"


@agreed
def verdict(of, model, what, form="derived", **at):
    return line(of, "slopes", [model], what, **at)[f"verdict_{form}"]


def where(of, form, model, what, **at):
    """Where an exponent of theory lies: inside the interval, or outside."""
    row = line(of, "slopes", [model], what, **at)
    alpha = row[f"alpha_{form}"]
    inside = -row["ci_high"] <= alpha <= -row["ci_low"]
    return f"{fraction(alpha)} lies {'inside' if inside else 'outside'}"


@agreed
def outside(of, form, model, what, **at):
    """``outside``, if the exponents of theory lie outside the intervals."""
    return where(of, form, model, what, **at).split()[-1]


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


def error_interval(of, model, what, n, **at):
    row = line(of, "curves", [model], what, n=n, **at)
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def split_at(of, model, leaf):
    """In how many fits at an optimum the cell of a true expert is the split one, of all."""
    _, gating, k2 = models(of, [model])
    table = frame(of)
    table = table[(table["gating"] == gating) & (table["k2"] == k2) & (table["parameter"] == "gate")]
    split = table[(table["level"] == 2) & (table["size"] > 1)]
    return f"{(split['cell'] == leaf).sum()} of {len(split)}"


def median_at(of, model, what, leaf, n):
    """The median error of the split cells of a true expert."""
    _, gating, k2 = models(of, [model])
    level, name, kind = quantity(what)
    table, wanted = frame(of), {"gating": gating, "k2": k2, "level": level, "parameter": name, "kind": kind}
    for key, value in (wanted | {"cell": leaf, "n": round(float(n))}).items():
        table = table[table[key] == value]
    return f"{table.loc[table['size'] > 1, 'error'].median():.2f}"


def far(of, n, model, what, statistic="mean", size=2):
    """The rate over the sizes from n on."""
    fit = _far(of, float(n), *models(of, [model]), quantity(what), statistic, int(size))
    return interval(-fit.slope, -fit.ci_high, -fit.ci_low)


def far_span(of, n, gatings, what, statistic="mean", size=2):
    """The smallest and the largest of such rates of models and quantities."""
    found = []
    for gating, name in itertools.product(gatings.split(","), what.split(",")):
        found.append(-_far(of, float(n), *models(of, [gating]), quantity(name), statistic, int(size)).slope)
    return f"{two(min(found))} to {two(max(found))}"


def far_holds(of, n, model, what, like):
    """The derived exponent of another gating, if the interval of such a rate holds it."""
    return _far_where(of, n, model, what, like, True)


def far_misses(of, n, model, what, like):
    return _far_where(of, n, model, what, like, False)


def _far_where(of, n, model, what, like, inside):
    fit = _far(of, float(n), *models(of, [model]), quantity(what), "mean", 2)
    assert (-fit.ci_high <= float(Fraction(derived(of, like, what))) <= -fit.ci_low) == inside
    return derived(of, like, what)


@functools.cache
def _far(of, n, study, gating, k2, what, statistic, size):
    level, name, kind = what
    found = whole(of).errors[(study, gating, k2), (level, size, name, kind)]
    return hs.fit_rate(found.n, found.error, statistic, n_min=n)


def whole(name):
    """The `Summary` of a study."""
    return first(name, load_study(name).replicates)


def halves(of):
    """Standard deviation, over models and quantities, of the differences of mean rates between halves of replicates.

    Each is divided by its standard error, from the bootstrap of either half.
    """
    return f"{_half_differences(of).std():.2f}"


def half_differences(of):
    return str(len(_half_differences(of)))


@functools.cache
def _half_differences(of):
    middle, found = load_study(of).replicates // 2, []
    for n, replicate, error in whole(of).errors.values():
        fits = []
        for half in (replicate < middle, replicate >= middle):
            kept = half.copy()
            kept[half], note = enough(n[half], "mean")
            fits.append(None if note else tried(hs.fit_rate, n[kept], [error[kept]], "mean")[0])
        if all(fits):
            one, two = fits
            found.append((one.slope - two.slope) / np.hypot(one.standard_error, two.standard_error))
    return pd.Series(found)


def gain(of, model, n):
    """The mean gain over the truth at n, and its standard error."""
    table = _ends(of, model)
    row = table[table["n"] == round(float(n))].iloc[0]
    return f"{row['gain']:.1f} ({row['gain_error']:.1f})"


def without_optimum(of, model, n=None):
    """The fits without an optimum, of all those from n on."""
    table = _ends(of, model)
    table = table[table["n"] >= (0.0 if n is None else float(n))]
    return f"{(table['cells'] - table['converged'] - table['boundary']).sum()} of {table['cells'].sum()}"


def gain_trend(of, model, n):
    """By how much the mean gain rises with every decade of n, from n on: weighted least squares, and its error."""
    table = _ends(of, model)
    table = table[(table["n"] >= float(n)) & table["gain_error"].notna()]
    decades, weight = np.log10(table["n"]), table["gain_error"] ** -2
    away = decades - np.average(decades, weights=weight)
    slope = (weight * away * table["gain"]).sum() / (weight * away**2).sum()
    return f"{slope:z.1f} ({(weight * away**2).sum() ** -0.5:.1f})"


def _ends(of, model):
    """How the fits of a model ended, by n."""
    table = read(of, "ends")
    for name, value in zip(("study", "gating", "k2"), models(of, [model]), strict=True):
        table = table[table[name] == value]
    return table


def rows_ratio(of, one, other, what, error, statistic="mean", size=2):
    """How many times as many rows the first model takes as the second for an error."""
    level, name, kind = quantity(what)
    at = [whole(of).errors[tuple(models(of, [model])), (level, int(size), name, kind)] for model in (one, other)]
    kept = [enough(x.n, statistic)[0] for x in at]
    at = [(x.n[keep], x.replicate[keep], x.error[keep]) for x, keep in zip(at, kept, strict=True)]
    curves = [pd.DataFrame(dict(zip(("n", "replicate", "error"), x, strict=True))) for x in at]
    found = hs.sample_size_ratio(*curves, float(error), statistic=statistic)
    return interval(found.ratio, found.ci_low, found.ci_high)


def error_span(of, gatings, what, n, **at):
    """The smallest and the largest error of models."""
    found = sorted(line(of, "curves", [model], what, n=n, **at)["value"] for model in gatings.split(","))
    return f"{found[0]:.3f} to {found[-1]:.3f}"


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


def all_agree(of, *words):
    """How many there are, if all of them lie within the margin of equivalence from that of the limits."""
    rows = [row for *_, row in differences(of, *words)]
    assert {row["verdict_limit"] for row in rows} == {"agrees"}
    return word(len(rows))


def agrees(of, one, other, what):
    """What a paired difference says of that of the limits."""
    return line(of, "differences", [one, other], what)["verdict_limit"]


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


def each_size(of):
    return listed(map(str, load_study(of).sizes))


def replicates(of):
    return str(sizes_of(of)[2])


def truth(of):
    return load_study(of).truth


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
        table = read(of, "ends").set_index(["study", "gating", "k2"])["cells"]
        return str(sum(table.loc[tuple(models(of, [model]))].sum() for model in words))
    return str(sum(int(row["n_sizes"] * row["replicates"]) for row in _losses(of, words)))


def bounded(of, *words):
    """Fits on the box."""
    return str(sum(int(row["bounded"]) for row in _losses(of, words)))


def _losses(of, words):
    return [line(of, "slopes", [model], "loss_published") for model in words]


def replicated(of):
    """The fewest and the most replicates of a study, but for exact."""
    found = {study: sizes_of(study)[2] for study in STUDIES}
    assert found.pop("exact") == 100
    return f"{min(found.values())} to {max(found.values())}, a hundred only in `exact`"


def on_floor(of, model):
    """The shares of fits on the variance floor, by n."""
    return " ".join(f"{share:.2f}"[1:] if share else "0" for _, share in _floor(of, model))


def floor_until(of, model):
    """The largest size at which there are such fits."""
    return f"n = {size(max(n for n, share in _floor(of, model) if share))}"


def _floor(of, model):
    table = _ends(of, model)
    return list(zip(table["n"], table["nu_low"] / table["cells"], strict=True))


def rechecked(of):
    """What climbs from stored fits at a million rows gained."""
    table = pd.read_csv(ROOT / "benchmarks" / "recheck_million.csv")
    short = table[~table["meets"]]
    (n,), gain = set(table["n"]), table["gain of a climb"].max()
    return f"at {size(n)}, one more step would raise {word(len(short))} of {len(table)}, by {gain:.3f} at most"


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
    same, gatings = len(both) - len(above) - len(below), above["gating"].value_counts()
    assert set(below["gating"]) == {"LL"}
    return (
        f"{same} of {len(both)} fits end at the same optimum as with twelve, {len(above)} above "
        f"({gatings['SS']} under SS, {gatings['LL']} under LL, by up to {gain.max():.1f} in log-likelihood) and "
        f"{len(below)} below (under LL, by up to {-gain.min():.1f})"
    )


@functools.cache
def beside_local():
    """What `elsewhere` gains over the local fits to the same data, by gating and n."""
    both = cells("elsewhere").merge(cells("over-by-one"), on=["gating", "k2", "n", "replicate"])
    assert len(both) == len(cells("elsewhere"))
    return both.assign(gain=both["log_likelihood_x"] - both["log_likelihood_y"])


def listed(values):
    *others, last = values
    return f"{', '.join(others)} and {last}"


def above_local(of, gating):
    """In how many data sets of each size an optimum elsewhere stands above the local one."""
    table = beside_local()
    table = table[table["gating"] == gating]
    return listed((table["gain"] > 0.01).groupby(table["n"]).sum().astype(str))


def highest(of):
    return f"{beside_local()['gain'].max():.1f}"


def below_local(of):
    gain = beside_local()["gain"]
    return f"{(gain < -0.01).sum()} of {gain.size}"


def losses(of, model):
    """Medians of the sharp loss at the sizes of the section's study."""
    table = lines(of, "curves", [model], "loss_sharp", statistic="median").sort_values("n")
    return listed(f"{value:.0f}" if value >= 100 else f"{value:#.2g}".rstrip(".") for value in table["value"])


def ends_elsewhere(of):
    """How many fits of `search` end at another optimum than with twelve starts."""
    same, both = re.match(r"(\d+) of (\d+) fits", beside_twelve("search")).groups()
    assert (share := 1 - int(same) / int(both)) < 1 / 6
    return f"fewer than one fit in {word(int(1 / share))}"


def fewest(of, model, what):
    """The fewest replicates of a size that have cells of the largest size."""
    return str(line(of, "slopes", [model], what)["replicates"])


def median(of, model, what):
    return alpha(of, model, what, statistic="median")


def iterations(of, k2, n):
    table = cells("reproduction-em")
    return f"{table[(table['k2'] == k2) & (table['n'] == float(n))]['n_iter'].mean():.0f}"


def stopped(of):
    """The iterations of every over-specified fit by EM, and from which size on."""
    table = cells("reproduction-far-em")
    by_size = table[table["k2"] != "2"].groupby("n")["n_iter"].agg(["min", "max"])
    last = by_size["max"].iloc[-1]
    begin = by_size.index[(by_size != last).any(axis=1)].max()
    return f"{word(last)} iterations from {size(min(n for n in by_size.index if n > begin))} rows on"


def shrinks(of, name):
    """The power of n by which the starts of a parameter come nearer to the truth."""
    power = getattr(load_study("reproduction-em").fit.jitter, name)[1]
    return {0.083: "0.083", 0.25: "1/4"}[power]


def asked(of):
    """The replicates that the study declares."""
    return str(load_study(of).replicates)


def last(of):
    return sizes_of(of)[0].rpartition(" ")[2]


# -- fields: certificates, and tables of benchmarks -------------------------------------------------------------------
def certified(of):
    """How many certificates are clean, and how many of these are off the exponent derived."""
    table = pd.read_csv(FIGURES / "certificates.csv")
    clean = table[table["status"] == "clean"]
    off = ((clean["exponent"] - clean["derived"]).abs() > 0.05).sum()
    return (
        f"of {len(table)} certificates {len(clean)} are clean, and all but {word(off)} of those with a derived "
        "exponent lie within 0.05 of it"
    )


@functools.cache
def benchmark(name):
    return pd.read_csv(ROOT / "benchmarks" / f"{name}.csv")


def points(of, truth, gating, x=(-3.0, 3.0)):
    """Points of the lattice of a truth, in the floor of the studies."""
    G0 = hs.datasets.truth(truth, gating)
    grid = lattice(hs.Uniform(*([end] * G0.d for end in x)) if G0.d > 1 else hs.Uniform(*x), G0, 0.04)
    return f"{grid.y.size * len(grid.X):,}"


def drawn(of):
    """Of how many points of the lattice the largest samples have any."""
    table = benchmark("lattice-cost")
    shares = (table["drawn"] / table["points"])[table["n"] == table["n"].max()]
    return {3: "three quarters"}[round(4 * shares.mean())]


def optimum_sets(of):
    return str(len(benchmark("optimum")))


def as_good_as_200(of, start):
    """How many plain fits come up to those with 200 starts."""
    table = benchmark("optimum")
    return str((table[f"{start} short by"] - table["200 starts short by"] <= 0.01).sum())


def optimum_found(of, start):
    """How many come up to the best that was ever found."""
    return str((benchmark("optimum")[f"{start} short by"] <= 0.01).sum())


def optimum_seconds(of):
    return listed(f"{benchmark('optimum')[f'{start} s'].median():.0f}" for start in ("start", "data"))


def optimum_misses(of):
    """The smallest and the largest shortfall of plain fits from the best that was ever found."""
    table = benchmark("optimum")
    short = pd.concat([table["start short by"], table["data short by"]])
    short = short[short > 0.01]
    return f"{short.min():.2f} to {short.max():.1f}"


def spurious(of, what, k2=""):
    """Sums over fits that are ``exact`` or, ``over``, have an expert or two too many."""
    table = benchmark("spurious")
    table = {"exact": table[table["k2"] == "2,2"], "over": table[table["k2"] != "2,2"], "": table}[k2]
    if what == "doubted":
        return str((table["sets"] - table["sound"]).sum())
    return str(table[what.replace("_", " ")].sum())


def none_doubted(of):
    """The exact fits, none of which is doubted."""
    assert spurious(of, "doubted", "exact") == "0"
    return f"none of {spurious(of, 'sets', 'exact')}"


# -- fields: coverage -------------------------------------------------------------------------------------------------
def coverage(of, n, what, kind="hessian", digits="1", file="coverage"):
    """The smallest and the largest coverage, in per cent, of ``parameters``, the ``band`` or ``functions``."""
    found = 100 * _covered(of, n, what, kind, file)
    return f"{found.min():.{digits}f} to {found.max():.{digits}f}"


def coverage_about(of, n):
    """The coverage of parameters, where all gatings come to it."""
    (found,) = {f"{share:.0f}" for share in 100 * _covered(of, n, "parameters")}
    return found


def lowest(of, n):
    """The function whose intervals hold the truth least often."""
    gating, name = _covered(of, n, "functions").idxmin()
    return f"{name} under {gating}"


def _covered(of, n, what, kind="hessian", file="coverage"):
    """The coverage by gating, and of functions by function."""
    table = read(of, file)
    table = table[(table["n"] == int(n)) & (table["kind"] == kind)]
    parameter, band = table["quantity"].str.contains("[", regex=False), table["quantity"] == "mean, band"
    table = table[{"parameters": parameter, "band": band, "functions": ~parameter & ~band}[what]]
    by = [table["gating"], table["quantity"].str.extract(r"^(\w+)", expand=False)][: 1 + (what == "functions")]
    return (table["coverage"] * table["given"]).groupby(by).sum() / table["given"].groupby(by).sum()


def worst(of, n, name):
    """The smallest and the largest, over gatings, of the coverage of the worst parameter of a name."""
    table = read(of, "coverage")
    table = table[(table["n"] == int(n)) & (table["kind"] == "hessian") & table["quantity"].str.startswith(name)]
    found = 100 * table.groupby("gating")["coverage"].min()
    return f"{found.min():.1f} to {found.max():.1f}"


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


# -- fields: applied studies, of words with _ for a blank; "-" for the size of what has no tree ------------------------
def _applied(of, name, task, model, k2, score):
    table = pd.read_csv(FIGURES / of / f"{name}.csv", dtype={"k2": str}).fillna({"k2": "", "verdict": ""})
    wanted = {"task": task, "model": model, "score": score}
    for key, value in wanted.items():
        table = table[table[key] == value.replace("_", " ")]
    return table[table["k2"] == k2.strip("-")].squeeze()


def scored(of, task, model, k2, score, shown=".2f"):
    """A mean score."""
    return format(_applied(of, "scores", task, model, k2, score)["mean"], shown)


def differs(of, task, model, k2, score):
    """How far a model is from the reference."""
    row = _applied(of, "differences", task, model, k2, score)
    return interval(row["difference"], row["low"], row["high"])


def said_of(of, task, models, k2, score):
    """The verdict on differences from the reference, that of all models."""
    rows = [_applied(of, "differences", task, model, k2, score) for model in models.split(",")]
    (verdict,) = {row["verdict"] for row in rows}
    return verdict


def splits(of):
    """The splits of an applied study."""
    return word(load_study(of).replicates)
