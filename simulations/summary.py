"""What a study says: slopes against theory, paired differences of slopes and curves, as tables and as text.

Per replicate the errors of one parameter are averaged over the Voronoi cells of one size; statistics and intervals are
then over replicates. Only fits that reached an optimum count (status ``"converged"`` or ``"boundary"``); all others are
counted and shown. A model is one (study, gating, fitted k2): other studies may be shown beside a study.
"""

import math
from itertools import combinations

import numpy as np
import pandas as pd

from hmoe_stats import theory
from hmoe_stats.rates import compare_rates, fit_rate

from . import UserError
from .study import sizes_of, text_of
from .words import MARKS, VERDICTS_MEAN, label

USED = ("converged", "boundary")
FEWEST = 6  # replicates at one sample size
ROUNDING = 1e-12  # errors that never exceed it, as those of the mean of centred slopes, have no rate
FIT = ["gating", "k2"]
MODEL = ["study", *FIT]
QUANTITY = ["level", "size", "parameter", "kind"]
AT = ["n", "replicate"]
SLOPES = [*MODEL, *QUANTITY, "statistic", "slope", "ci_low", "ci_high", "local_slope", "local_low", "local_high"]
SLOPES += ["alpha_published", "alpha_derived", "verdict_published", "verdict_derived", "n_sizes", "n_low", "n_high"]
SLOPES += ["replicates", "failed", "bounded", "uncertified", "to_do", "note"]
CURVES = [*MODEL, *QUANTITY, "statistic", "n", "value", "low", "high", "replicates"]
DIFFERENCES = [*MODEL, *QUANTITY, "statistic", "difference", "ci_low", "ci_high", "expected", "verdict", "pairs"]
DIFFERENCES += ["note"]


def slopes(study, frame, beside=()):
    """Slopes of every measured quantity of a study, beside the exponents of theory.

    Parameters
    ----------
    study : Study
        Its truth, gatings, fitted sizes, grid and statistics.
    frame : DataFrame
        Tidy results, as `Store.frame` gives them with its failures.
    beside : sequence of (Study, DataFrame)
        Results of other studies; their models that the study has, too, are shown. Cells of a study with the same hash
        are added to the study's own, at all sample sizes; others are read at its sample sizes.

    Returns
    -------
    DataFrame
        One row for each study, gating, k2, level, size, parameter, kind and statistic:

        - slope, ci_low, ci_high: of `hmoe_stats.fit_rate`, at 95 %; NaN where there is none, and `note` says why;
          local_slope, local_low, local_high: the same over the upper half of the sample sizes;
        - alpha_published, alpha_derived: theory's exponents (expected slope -alpha), NaN where theory says nothing; the
          slowest one if cells of that size can be of several kinds (identified or not, in one fitted group or several);
        - verdict_published, verdict_derived: what the interval of the slope says of the expected one, as `verdict`
          puts it with the other one for its rival; empty where there is nothing to compare;
        - n_sizes, n_low, n_high, replicates: number of sample sizes used, the smallest and the largest, and the
          smallest number of replicates at one of them (a split cell of a given size need not occur in every fit);
        - failed, bounded, uncertified, to_do: cells of that model, over all sizes, that raised an error; whose optimum
          lies on the box (they count); whose fit met no first-order conditions (they do not); and without a result.

    Raises
    ------
    ValueError
        If `frame` lacks a column.
    UserError
        If no cell of the study is finished, or no fit reached an optimum.
    """
    gathered = Gathered(study, frame, beside)
    rows = []
    for model, quantity, whole in gathered.parts():
        alphas = [exponent(table, *quantity) for table in gathered.theory[model]]
        for statistic in study.statistics:
            part, note = enough(whole, statistic)
            sizes = part.groupby("n").size()
            fit, why = line_through(part, statistic)
            local, _ = line_through(part, statistic, upper_half=True)
            line = [fit.slope, fit.ci_low, fit.ci_high] if fit else [np.nan] * 3
            line += [local.slope, local.ci_low, local.ci_high] if local else [np.nan] * 3
            verdicts = [verdict(-alpha, *line[1:3], -other) for alpha, other in (alphas, alphas[::-1])]
            used = [len(sizes), *((sizes.index.min(), sizes.index.max(), sizes.min()) if len(sizes) else (0, 0, 0))]
            used += [*gathered.counts[model], "; ".join(filter(None, (note, why)))]
            rows.append([*model, *quantity, statistic, *line, *alphas, *verdicts, *used])
    return pd.DataFrame(rows, columns=SLOPES)


def curves(study, frame, beside=()):
    """The statistics at every sample size: the points of the figures. Arguments and errors as of `slopes`.

    Returns
    -------
    DataFrame
        One row for each study, gating, k2, level, size, parameter, kind, statistic and n: value, low and high (its
        bootstrap interval at 95 %), replicates. Quantities without a slope have no rows.
    """
    rows = []
    for model, quantity, part in Gathered(study, frame, beside).parts():
        for statistic in study.statistics:
            fit, _ = line_through(enough(part, statistic)[0], statistic)
            if fit:
                half = 1.96 * fit.log_standard_errors
                ends = fit.values, fit.values * np.exp(-half), fit.values * np.exp(half)
                points = zip(fit.n.astype(int), *ends, fit.n_replicates, strict=True)
                rows += [[*model, *quantity, statistic, *point] for point in points]
    return pd.DataFrame(rows, columns=CURVES)


def differences(study, frame, beside=(), statistics=None):
    """Differences of slopes between models fitted to the same data, pair by pair.

    Arguments and errors are those of `slopes`; `statistics` are the study's if left out.

    Returns
    -------
    DataFrame
        One row for each two models that differ in one of study, gating and k2, where that column reads
        ``"first - second"``, and each quantity and statistic that both have:

        - difference, ci_low, ci_high: of `hmoe_stats.compare_rates`, at 95 %, over replicates of which both have it;
        - expected: the difference of the derived slopes; verdict: what the interval says of it, as `verdict` puts it
          with the difference of the published slopes for its rival;
        - pairs: the smallest number of them at one sample size; note: why there is no difference.
    """
    gathered = Gathered(study, frame, beside)
    found = {(model, quantity): part[[*AT, "error"]] for model, quantity, part in gathered.parts()}
    rows = []
    for one, other in combinations(gathered.theory, 2):
        if sum(a != b for a, b in zip(one, other, strict=True)) != 1 or not gathered.same_data(one, other):
            continue
        words = [a if a == b else f"{a} - {b}" for a, b in zip(one, other, strict=True)]
        for quantity in (q for model, q in found if model == one and (other, q) in found):
            all_pairs = found[one, quantity].merge(found[other, quantity], on=AT)
            alphas = ([exponent(table, *quantity) for table in gathered.theory[model]] for model in (one, other))
            rival, expected = (second - first for first, second in zip(*alphas, strict=True))
            for statistic in study.statistics if statistics is None else statistics:
                both, note = enough(all_pairs, statistic)
                fit, why = _tried(compare_rates, both["n"], [both["error_x"], both["error_y"]], statistic)
                line = [fit.difference, fit.ci_low, fit.ci_high] if fit else [np.nan] * 3
                pairs = both.groupby("n").size().min() if len(both) else 0
                said = "; ".join(filter(None, (note, why)))
                says = verdict(expected, *line[1:], rival)
                rows.append([*words, *quantity, statistic, *line, expected, says, pairs, said])
    return pd.DataFrame(rows, columns=DIFFERENCES)


def verdict(expected, low, high, rival=np.nan):
    """What an interval says of an expected slope, or of an expected difference of two slopes.

    Parameters
    ----------
    expected : float
        What theory, published or derived, expects.
    low, high : float
        Ends of the interval.
    rival : float
        What the other form of theory expects, NaN if it says nothing.

    Returns
    -------
    str
        - ``"steeper"`` or ``"flatter"``: all of the interval lies below `expected`, or above it;
        - ``"inconclusive"``: it holds `expected`, but also a `rival` that differs, or 0: no fall, or no difference.
          Where 0 is what is expected, 1/2 up or down takes its place, as from there to the parametric rate lies
          everything that a rate can be;
        - ``"consistent"``: it holds `expected` and none of these;
        - ``""``: `expected` or the interval is not there.
    """
    if np.isnan([expected, low, high]).any():
        return ""
    if high < expected or low > expected:
        return "steeper" if high < expected else "flatter"
    others = (rival, -0.5, 0.5) if np.isclose(expected, 0) else (rival, 0.0)
    undecided = any(low <= other <= high and not np.isclose(other, expected) for other in others)
    return "inconclusive" if undecided else "consistent"


# -- text -------------------------------------------------------------------------------------------------------------
def format_slopes(table):
    """The table of `slopes` as text: a block for each model, a line for each quantity, a column for each statistic."""
    blocks = []
    for (name, gating, k2), part in table.groupby(MODEL, sort=False):
        first = part.iloc[0]
        head = (
            f"{name}: {gating}, fitted k2 = {k2}: {first.failed} fits failed, {first.uncertified} without an optimum "
            f"left out, {first.bounded} on a bound, {first.to_do} to do"
        )
        lines = []
        for (level, size, parameter, kind), rows in part.groupby(QUANTITY, sort=False):
            first = rows.iloc[0]
            line = {"quantity": label(level, size, parameter, kind)}
            line |= {row.statistic: _interval(row.slope, row.ci_low, row.ci_high, row) for row in rows.itertuples()}
            line |= {f"{first.statistic}, upper half": _interval(first.local_slope, first.local_low, first.local_high)}
            line |= {"published": _slope(-first.alpha_published), "derived": _slope(-first.alpha_derived)}
            line |= {"sizes": first.n_sizes, "reps": first.replicates, "note": first.note}
            lines.append(line)
        lines = pd.DataFrame(lines)
        for column in ("quantity", "note"):
            lines[column] = lines[column].str.ljust(lines[column].str.len().max())
        blocks.append(f"{head}\n{lines.to_string(index=False)}")
    signs = ", ".join(f"{MARKS[word]} {word}" for word in VERDICTS_MEAN)
    legend = [f"after each interval, against the published and the derived slope: {signs}"]
    legend += [f"{word}: {means}" for word, means in VERDICTS_MEAN.items()]
    return "\n\n".join([*blocks, "\n".join(legend)])


def format_differences(table, statistic):
    """The table of `differences` as text, for one statistic and models of one fitted size."""
    part = table[(table["statistic"] == statistic) & table["difference"].notna() & ~table["k2"].str.contains(" - ")]
    lines = [
        {
            "models": " ".join(getattr(row, name) for name in MODEL),
            "quantity": label(row.level, row.size, row.parameter, row.kind),
            "difference": f"{row.difference:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]",
            "derived": _slope(row.expected),
            "verdict": row.verdict,
            "pairs": row.pairs,
        }
        for row in part.itertuples()
    ]
    if not lines:
        return "no two models have a quantity in common"
    lines = pd.DataFrame(lines)
    for column in ("models", "quantity", "verdict"):
        lines[column] = lines[column].str.ljust(lines[column].str.len().max())
    return f"paired differences of slopes ({statistic})\n{lines.to_string(index=False)}"


def _interval(slope, low, high, row=None):
    if np.isnan(slope):
        return "-"
    marks = f" {MARKS[row.verdict_published]}{MARKS[row.verdict_derived]}" if row is not None else ""
    return f"{slope:.2f} [{low:.2f}, {high:.2f}]{marks}"


def _slope(value):
    return "-" if np.isnan(value) else f"{value:.3f}"


# -- data -------------------------------------------------------------------------------------------------------------
class Gathered:
    """Usable results of a study and of those beside it, with counts and theory of every model (study, gating, k2)."""

    def __init__(self, study, frame, beside=()):
        self.studies, self.theory, self.counts, used, quantities = {}, {}, {}, [], {}
        names, places = {study.hash: study.name}, {}
        for other, rows in [(study, frame), *beside]:
            name = names.setdefault(other.hash, other.name)
            self.studies.setdefault(name, other)
            shared = [g for g in study.gatings if g in other.gatings], [k2 for k2 in study.k2 if k2 in other.k2]
            models = [(gating, text_of(k2)) for gating in shared[0] for k2 in shared[1]]
            sizes = [n for n in other.sizes if other.hash == study.hash or n in study.sizes]
            part, counts = _usable(rows, models, sizes, other.replicates, quantities)
            for model in models:
                key = (name, *model)
                places.setdefault(key, len(places))
                self.theory.setdefault(key, _theory(other, model[0], sizes_of(model[1])))
                self.counts[key] = tuple(np.add(self.counts.get(key, (0, 0, 0, 0)), counts[model]).tolist())
            part["model"] = np.array([places[name, *model] for model in models], dtype=np.int16)[part["model"]]
            used.append(part)
        used = {name: np.concatenate([part[name] for part in used]) for name in ("model", "quantity", *AT, "error")}
        if not len(used["error"]):
            failed, _, uncertified, _ = np.sum(list(self.counts.values()), axis=0)
            why = f"{failed} failed, {uncertified} without one" if failed + uncertified else ""
            raise UserError(f"{study.name}: {f'no fit reached an optimum: {why}' if why else 'no finished cells yet'}")
        self._keys, self.per_replicate = _per_replicate(used, list(places), list(quantities))

    def parts(self):
        """(model, quantity, rows), a row a replicate, for every quantity of every model."""
        for model, quantity, rows in self._keys:
            yield model, quantity, self.per_replicate.iloc[rows]

    def same_data(self, one, other):
        """True if two models are fitted to the same samples."""
        a, b = (self.studies[model[0]] for model in (one, other))
        return (a.seed, a.truth, a.x) == (b.seed, b.truth, b.x)


def _usable(frame, models, sizes, replicates, quantities):
    """Rows of fits that reached an optimum, and for each model its cells failed, bounded, uncertified and to do.

    Rows are arrays: places in `models` and in `quantities`, which grows by those that are new; n, replicate, error.
    """
    needed = {*FIT, *QUANTITY, *AT, "status", "error"}
    if missing := sorted(needed - set(frame.columns)):
        raise ValueError(f"frame must have the columns {sorted(needed)}; got none of {missing}")
    (gating, gatings), (k2, k2s), (status, statuses) = (_coded(frame[name]) for name in (*FIT, "status"))
    place = [[models.index((g, k)) if (g, k) in models else -1 for k in k2s] for g in gatings]
    model = np.array(place, dtype=np.int32).reshape(len(gatings), len(k2s))[gating, k2]
    n, replicate, error = (frame[name].to_numpy(kind) for name, kind in ((AT[0], int), (AT[1], int), ("error", float)))
    size = np.searchsorted(sizes, n)
    asked = (model >= 0) & np.isin(n, sizes) & (replicate >= 0) & (replicate < replicates)
    fit = ((model.astype(np.int64) * len(sizes) + size) * replicates + replicate)[asked]
    state = np.full(len(models) * len(sizes) * replicates, -1)
    state[fit[::-1]] = status[asked][::-1]  # that of a fit's first row
    counts = {}
    for key, states in zip(models, state.reshape(len(models), -1), strict=True):
        here = {name: int(np.count_nonzero(states == i)) for i, name in enumerate(statuses)}
        uncertified = sum(count for name, count in here.items() if name not in (*USED, "failed"))
        counts[key] = here.get("failed", 0), here.get("boundary", 0), uncertified, int(np.count_nonzero(states < 0))
    used = asked & np.isin(status, [i for i, name in enumerate(statuses) if name in USED]) & ~np.isnan(error)
    code, values = np.zeros(np.count_nonzero(used), dtype=np.int64), []
    for name in QUANTITY:
        its, distinct = _coded(frame[name])
        code = code * len(distinct) + its[used]
        values.append(distinct)
    code, distinct = pd.factorize(code)
    found = zip(*np.unravel_index(distinct, [max(1, len(v)) for v in values]), strict=True)
    found = [tuple(v[i] for v, i in zip(values, places, strict=True)) for places in found]
    place = np.array([quantities.setdefault(quantity, len(quantities)) for quantity in found], dtype=np.int16)
    rows = {"model": model[used], "quantity": place[code], "n": n[used], "replicate": replicate[used]}
    return rows | {"error": error[used]}, counts


def _coded(column):
    """(codes, distinct values): a column of few values, with -1 for what is missing."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(), column.cat.categories.tolist()
    codes, values = pd.factorize(column)
    return codes, values.tolist()


def _per_replicate(used, models, quantities):
    """(model, quantity, slice of rows) in order, and the rows, one a replicate: means over the cells of one size."""
    ordered = sorted(quantities)
    rank = np.array([ordered.index(quantity) for quantity in quantities], dtype=np.int16)
    n, sizes = pd.factorize(used["n"], sort=True)
    replicates = used["replicate"].max() + 1
    key = used["model"].astype(np.int64)
    for digit, base in ((rank[used["quantity"]], len(ordered)), (n, len(sizes)), (used["replicate"], replicates)):
        key *= base
        key += digit
    mean = pd.Series(used["error"]).groupby(key, sort=True).mean()
    key, replicate = np.divmod(mean.index.to_numpy(), replicates)
    part, n = np.divmod(key, len(sizes))
    model, quantity = np.divmod(part, len(ordered))
    rows = {}
    for codes, found, names in ((model, models, MODEL), (quantity, ordered, QUANTITY)):
        for name, values in zip(names, zip(*found, strict=True), strict=True):
            if isinstance(values[0], str):
                distinct = sorted(set(values))
                places = np.array([distinct.index(value) for value in values], dtype=np.int16)
                rows[name] = pd.Categorical.from_codes(places[codes], distinct)
            else:
                rows[name] = np.array(values)[codes]
    rows |= {"n": sizes[n], "replicate": replicate, "error": mean.to_numpy()}
    ends = [*np.flatnonzero(np.diff(part, prepend=-1)), len(part)]
    slices = [slice(first, last) for first, last in zip(ends[:-1], ends[1:], strict=True)]
    keys = [(models[model[s.start]], ordered[quantity[s.start]], s) for s in slices]
    return keys, pd.DataFrame(rows, copy=False)


def enough(part, statistic):
    """The rows at sizes with enough replicates for the intervals to cover, and a note on the sizes left out.

    Enough are `FEWEST`, for a quantile q also 1 / q and 1 / (1 - q), or as many as any size has. Slopes over 20
    replicates with 3 to 6 of them at the last of 8 sizes cover 89, 91, 93 and 94 % in the mean; 3 give no 0.9 quantile.
    """
    counts = part.groupby("n")["n"].transform("size")
    q = 0.5 if statistic in ("mean", "median") else int(statistic[1:]) / 100
    fewest = max(2, min(max(FEWEST, math.ceil(1 / min(q, 1 - q) - 1e-9)), counts.max() if len(part) else 0))
    left_out = part.loc[counts < fewest, "n"].nunique()
    words = f"{left_out} sizes with fewer than {fewest} replicates left out" if left_out else ""
    return part[counts >= fewest], words


def line_through(part, statistic, upper_half=False):
    """(RateFit or None, why there is none)."""
    sizes = np.unique(part["n"])
    part = part[part["n"].isin(sizes[len(sizes) // 2 :])] if upper_half else part
    return _tried(fit_rate, part["n"], [part["error"]], statistic)


def _tried(fit, n, errors, statistic):
    """(what `fit_rate` or `compare_rates` finds, "") or (None, why it finds nothing)."""
    if n.nunique() < 2:
        return None, "fewer than 2 sizes"
    if min(error.max() for error in errors) < ROUNDING:
        return None, "0 by construction, up to rounding"
    try:
        return fit(n, *errors, statistic), ""
    except ValueError as error:
        return None, str(error)


# -- theory -----------------------------------------------------------------------------------------------------------
def _theory(study, gating, k2):
    """(published, derived) tables of exponents, or (None, None) where theory does not cover the fitted size."""
    truth = study.measure(gating)
    try:
        return tuple(theory.rates(truth, k2, form=form, x=study.law) for form in ("published", "sharp"))
    except ValueError:
        return None, None


def exponent(table, level, size, parameter, kind):
    """The alpha that theory gives a measured quantity, the slowest one; NaN if it gives none."""
    if table is None:
        return np.nan
    name = "loss" if kind == "loss" else parameter
    same = (table["level"] == level) & (table["m"] == size) & (table["parameter"] == name) & (table["kind"] == kind)
    return table.loc[same, "alpha"].min()
