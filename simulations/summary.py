"""What a study says: slopes against theory, their curves, paired differences of slopes; each number is made once.

Per replicate the errors of one parameter are averaged over the Voronoi cells of one size; statistics and intervals are
then over replicates. Only fits that reached an optimum count (status ``"converged"`` or ``"boundary"``); all others are
counted and shown. A model is one (study, gating, fitted k2): other studies may be shown beside a study.

The tables are for machines, and hold slopes of log error on log n; what is read (`simulations.words`) are rates, alpha,
the slope with its sign turned.
"""

import math
from functools import cached_property, partial
from itertools import combinations
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd

from hmoe_stats.rates import RateFit, compare_rates, fit_rate

from . import UserError
from .expected import FORMS, Expected, differs, slope_at
from .study import sizes_of, text_of
from .words import MARGIN, named

USED = ("converged", "boundary")
FEWEST = 6  # replicates at one sample size
ROUNDING = 1e-12  # errors that never exceed it, as those of the mean of centred slopes, have no rate
FIT = ["gating", "k2"]
MODEL = ["study", *FIT]
QUANTITY = ["level", "size", "parameter", "kind"]
AT = ["n", "replicate"]
SLOPES = [*MODEL, *QUANTITY, "statistic", "slope", "ci_low", "ci_high", "local_slope", "local_low", "local_high"]
SLOPES += ["alpha_published", "alpha_derived", "verdict_published", "verdict_derived"]
SLOPES += ["alpha_limit", "limit", "verdict_limit", "alpha_at_n", "error_at_n", "verdict_at_n", "n_sizes", "n_low"]
SLOPES += ["n_high", "replicates", "failed", "bounded", "uncertified", "to_do", "note"]
CURVES = [*MODEL, *QUANTITY, "statistic", "n", "value", "low", "high", "replicates"]
DIFFERENCES = [*MODEL, *QUANTITY, "statistic", "difference", "ci_low", "ci_high", "expected", "verdict"]
DIFFERENCES += ["expected_limit", "verdict_limit", "pairs", "note"]
ROLES = ("exploratory", "primary")
PARTS = ("declared", "added")
BOOTSTRAP = 2000  # resamples
BEYOND = 25  # of them that lie beyond an interval at least, so that its end is known to a fifth of its tail


class Counts(NamedTuple):
    """A model's cells, over all sizes."""

    failed: int  # raised an error
    bounded: int  # the optimum lies on the box; they count
    uncertified: int  # the fit met no first-order conditions; they do not count
    to_do: int  # without a result


class Errors(NamedTuple):
    """One quantity of one model, an entry a replicate, by n and then by replicate."""

    n: np.ndarray
    replicate: np.ndarray
    error: np.ndarray


class Line(NamedTuple):
    """A statistic of one quantity of one model against the sample size."""

    fit: RateFit | None
    local: RateFit | None  # over the upper half of the sizes
    sizes: tuple  # (how many, the smallest, the largest, fewest replicates at one)
    note: str  # what was left out, and why there is no slope


class Summary:
    """All that a study says, from its results; what is asked for first is made then, and kept.

    Parameters
    ----------
    study : Study
        Its truth, gatings, fitted sizes, grid and statistics.
    frame : DataFrame
        Tidy results, as `Store.frame` gives them with its failures.
    beside : sequence of (Study, DataFrame)
        Results of other studies; their models that the study has, too, are shown. Cells of a study with the same hash
        are added to the study's own, at all sample sizes; others are read at its sample sizes.
    declared : int, optional
        The replicates that were declared before anybody looked at results. All that is said is of these; what the
        others say by themselves stands apart, in `added`.
    reference : (Study, DataFrame), optional
        The study that slopes are expected from, `study.expected`, with its results. Of models that it does not have, or
        has in another box, nothing is expected.

    Attributes
    ----------
    study : Study
    added : Summary or None
        Of the other replicates, counted from 0, if some are finished; in `slopes` with the others.
    errors : dict
        (model, quantity) -> Errors, for all that was measured: model (study, gating, k2), quantity (level, size,
        parameter, kind).
    expected : dict
        model -> Expected.
    reference : Summary or None
        Of the study that slopes are expected from, if it has results.
    counts : dict
        model -> Counts.
    primary : set
        The quantities that the study names before; of its own models, and in its first statistic, these are primary.
    together : int
        Their number, over the models of the study: so many intervals hold together at 95 %, by Bonferroni.
    slopes, curves, differences : DataFrame

    Raises
    ------
    ValueError
        If `frame` lacks a column.
    UserError
        If no cell of the study is finished, or no fit reached an optimum.
    """

    def __init__(self, study, frame, beside=(), declared=None, reference=None):
        self.study, self.expected, self.counts = study, {}, {}
        self.reference = _reference(*reference) if reference else None
        self.primary = set(map(named, study.primary))
        self.together = study.together
        self._lines, self._differences, self._studies, used, quantities = {}, {}, {}, [], {}
        grown = declared and declared < study.replicates
        self.added = _added(study, frame, declared, self.reference) if grown else None
        first = study.model_copy(update={"replicates": min(declared or study.replicates, study.replicates)})
        names, places = {study.hash: study.name}, {}
        for other, rows in [(first, frame), *beside]:
            name = names.setdefault(other.hash, other.name)
            self._studies.setdefault(name, other)
            shared = [g for g in study.gatings if g in other.gatings], [k2 for k2 in study.k2 if k2 in other.k2]
            models = [(gating, text_of(k2)) for gating in shared[0] for k2 in shared[1]]
            sizes = [n for n in other.sizes if other.hash == study.hash or n in study.sizes]
            part, counts = _usable(rows, models, sizes, other.replicates, quantities)
            for model in models:
                key = (name, *model)
                places.setdefault(key, len(places))
                if key not in self.expected:
                    self.expected[key] = Expected(other, model[0], sizes_of(model[1]))
                self.counts[key] = Counts(*np.add(self.counts.get(key, (0, 0, 0, 0)), counts[model]).tolist())
            part["model"] = np.array([places[name, *model] for model in models], dtype=np.int16)[part["model"]]
            used.append(part)
        used = {name: np.concatenate([part[name] for part in used]) for name in ("model", "quantity", *AT, "error")}
        if not len(used["error"]):
            failed, _, uncertified, _ = np.sum(list(self.counts.values()), axis=0)
            why = f"{failed} failed, {uncertified} without one" if failed + uncertified else ""
            raise UserError(f"{study.name}: {f'no fit reached an optimum: {why}' if why else 'no finished cells yet'}")
        self.errors = _per_replicate(used, list(places), list(quantities))

    # -- one number ---------------------------------------------------------------------------------------------------
    def line(self, model, quantity, statistic):
        """The `Line` of a statistic."""
        key = (model, quantity, statistic)
        if key not in self._lines:
            n, _, error = self.errors[model, quantity]
            kept, note = enough(n, statistic)
            n, error = n[kept], error[kept]
            sizes, counts = np.unique(n, return_counts=True)
            held = partial(fit_rate, **self._together()) if self.role(*key) == "primary" else fit_rate
            fit, why = tried(held, n, [error], statistic)
            upper = np.isin(n, sizes[len(sizes) // 2 :])
            local, _ = tried(fit_rate, n[upper], [error[upper]], statistic)
            used = (len(sizes), *((sizes[0], sizes[-1], counts.min()) if len(sizes) else (0, 0, 0)))
            self._lines[key] = Line(fit, local, used, "; ".join(filter(None, (note, why))))
        return self._lines[key]

    def role(self, model, quantity, statistic):
        """``"primary"`` or ``"exploratory"``."""
        first = model[0] == self.study.name and statistic == self.study.statistics[0]
        return ROLES[first and quantity in self.primary]

    def _together(self):
        """How the intervals of primary quantities are made."""
        beyond = 0.05 / self.together
        return {"level": 1 - beyond, "n_boot": max(BOOTSTRAP, math.ceil(BEYOND / beyond))}

    def verdict(self, model, quantity, statistic, form):
        """What the interval of a slope says of the exponent of theory, published or derived; as `verdict`."""
        fit = self.line(model, quantity, statistic).fit
        (other,) = (name for name in FORMS if name != form)
        alpha, rival = (self.expected[model].alpha(name, quantity) for name in (form, other))
        return verdict(-alpha, fit.ci_low, fit.ci_high, -rival) if fit else ""

    def against_limit(self, model, quantity, statistic):
        """(alpha, kind, verdict): the `Limit` of a statistic, and what the interval of its rate says: `agreement`."""
        fit, limit = self.line(model, quantity, statistic).fit, self.expected[model].limit(statistic, quantity)
        return *limit, agreement(limit.alpha, -fit.ci_high, -fit.ci_low, limit.kind) if fit else ""

    def against_reference(self, model, quantity, statistic):
        """(alpha, its standard error, verdict): the rate that `reference` has over the same sizes, as `slope_at`.

        The verdict is on the difference of both rates, whose interval has the errors of both, as the samples of the two
        studies are independent.
        """
        fit, other = self.line(model, quantity, statistic).fit, None
        if fit and model[0] in self._alike:
            key = (self.reference.study.name, *model[1:])
            if (key, quantity) in self.reference.errors:
                other = self.reference.line(key, quantity, statistic).fit
        if not other:
            return np.nan, np.nan, ""
        slope, error = slope_at(other, fit.n)
        half = math.hypot((fit.ci_high - fit.ci_low) / 2, NormalDist().inv_cdf((1 + fit.level) / 2) * error)
        return -slope, error, agreement(-slope, -fit.slope - half, -fit.slope + half)

    @cached_property
    def _alike(self):
        """The studies whose slopes `reference` is to be held against."""
        if not self.reference:
            return set()
        return {name for name, study in self._studies.items() if not differs(study, self.reference.study)}

    # -- tables -------------------------------------------------------------------------------------------------------
    @cached_property
    def slopes(self):
        """Slopes of every measured quantity, beside the exponents of theory.

        One row for each study, gating, k2, level, size, parameter, kind and statistic:

        - slope, ci_low, ci_high: of `hmoe_stats.fit_rate`, at 95 %; NaN where there is none, and `note` says why;
          local_slope, local_low, local_high: the same over the upper half of the sample sizes;
        - alpha_published, alpha_derived: theory's exponents (expected slope -alpha), NaN where theory says nothing; the
          slowest one if cells of that size can be of several kinds (identified or not, in one fitted group or several);
        - verdict_published, verdict_derived: what the interval of the slope says of the expected one, as `verdict`
          puts it with the other one for its rival; empty where there is nothing to compare;
        - alpha_limit, limit, verdict_limit: the exponent that this statistic is to be held against, what it is
          (``"limit"`` of the statistic, ``"bound"`` by the worst case, ``"open"``), and what the interval says of it,
          as `agreement` puts it;
        - alpha_at_n, error_at_n, verdict_at_n: the rate that the study's `expected` one has over the same sample sizes,
          with its standard error, and what the interval of the difference says, as `agreement`; empty where there are
          no such results;
        - n_sizes, n_low, n_high, replicates: number of sample sizes used, the smallest and the largest, and the
          smallest number of replicates at one of them (a split cell of a given size need not occur in every fit);
        - failed, bounded, uncertified, to_do: the `Counts` of the model;
        - role, if the study names primary quantities: ``"primary"`` (these intervals hold together) or
          ``"exploratory"``;
        - part, if replicates were added after a look: ``"declared"`` or ``"added"``.
        """
        rows = []
        for model, quantity in self.errors:
            alphas = [self.expected[model].alpha(form, quantity) for form in FORMS]
            for statistic in self.study.statistics:
                line = self.line(model, quantity, statistic)
                slopes = [*_slope(line.fit), *_slope(line.local)]
                verdicts = [self.verdict(model, quantity, statistic, form) for form in FORMS]
                verdicts += self.against_limit(model, quantity, statistic)
                verdicts += self.against_reference(model, quantity, statistic)
                used = [*line.sizes, *self.counts[model], line.note, self.role(model, quantity, statistic)]
                rows.append([*model, *quantity, statistic, *slopes, *alphas, *verdicts, *used])
        table = pd.DataFrame(rows, columns=[*SLOPES, "role"])
        table = table if self.primary else table[SLOPES]
        if self.added:
            parts = table.assign(part=PARTS[0]), self.added.slopes.assign(part=PARTS[1])
            table = pd.concat(parts, ignore_index=True)
        return table

    @cached_property
    def curves(self):
        """The statistics at every sample size: the points of the figures.

        One row for each study, gating, k2, level, size, parameter, kind, statistic and n: value, low and high (its
        bootstrap interval at 95 %), replicates. Quantities without a slope have no rows.
        """
        rows = []
        for model, quantity in self.errors:
            for statistic in self.study.statistics:
                if fit := self.line(model, quantity, statistic).fit:
                    half = 1.96 * fit.log_standard_errors
                    ends = fit.values, fit.values * np.exp(-half), fit.values * np.exp(half)
                    points = zip(fit.n.astype(int), *ends, fit.n_replicates, strict=True)
                    rows += [[*model, *quantity, statistic, *point] for point in points]
        return pd.DataFrame(rows, columns=CURVES)

    @cached_property
    def differences(self):
        """Differences of slopes between models fitted to the same data, pair by pair; every statistic of the study.

        One row for each two models that differ in one of study, gating and k2, where that column reads
        ``"first - second"``, and each quantity and statistic that both have:

        - difference, ci_low, ci_high: of `hmoe_stats.compare_rates`, at 95 %, over replicates of which both have it;
        - expected: the difference of the derived slopes; verdict: what the interval says of it, as `verdict` puts it
          with the difference of the published slopes for its rival;
        - expected_limit, verdict_limit: the difference of the limits of this statistic, where both are derived, and
          what the interval says of it, as `agreement`;
        - pairs: the smallest number of them at one sample size; note: why there is no difference;
        - role, if the study names primary quantities: ``"exploratory"``, as no difference is one.
        """
        table = self.differences_of(self.study.statistics)
        return table.assign(role=ROLES[0]) if self.primary else table

    def differences_of(self, statistics):
        """The rows of `differences` for some statistics."""
        rows = []
        for one, other in combinations(self.expected, 2):
            if sum(a != b for a, b in zip(one, other, strict=True)) != 1 or not self._same_data(one, other):
                continue
            names = [a if a == b else f"{a} - {b}" for a, b in zip(one, other, strict=True)]
            for quantity in (q for model, q in self.errors if model == one and (other, q) in self.errors):
                for statistic in statistics:
                    key = (one, other, quantity, statistic)
                    if key not in self._differences:
                        self._differences[key] = self._difference(*key)
                    rows.append([*names, *quantity, statistic, *self._differences[key]])
        return pd.DataFrame(rows, columns=DIFFERENCES)

    def _difference(self, one, other, quantity, statistic):
        """The columns of `differences` from difference to note."""
        n, errors = _paired(self.errors[one, quantity], self.errors[other, quantity])
        kept, note = enough(n, statistic)
        n, errors = n[kept], [error[kept] for error in errors]
        fit, why = tried(compare_rates, n, errors, statistic)
        ends = [fit.difference, fit.ci_low, fit.ci_high] if fit else [np.nan] * 3
        first, second = self.expected[one], self.expected[other]
        rival, expected = (second.alpha(form, quantity) - first.alpha(form, quantity) for form in FORMS)
        limits = [one.limit(statistic, quantity) for one in (first, second)]
        limit = limits[1].alpha - limits[0].alpha if {one.kind for one in limits} == {"limit"} else np.nan
        pairs = np.unique(n, return_counts=True)[1].min() if len(n) else 0
        said = "; ".join(filter(None, (note, why)))
        verdicts = [expected, verdict(expected, *ends[1:], rival), limit, agreement(limit, *ends[1:])]
        return [*ends, *verdicts, pairs, said]

    def _same_data(self, one, other):
        """True if two models are fitted to the same samples."""
        a, b = (self._studies[model[0]] for model in (one, other))
        return (a.seed, a.truth, a.x) == (b.seed, b.truth, b.x)


def _reference(study, frame):
    """The `Summary` of a study that slopes are expected from; None while there is nothing to say of it."""
    try:
        return Summary(study, frame)
    except UserError:
        return None


def _added(study, frame, declared, reference):
    """The `Summary` of the replicates from `declared` on; None while there is nothing to say of them."""
    rows = frame[frame["replicate"] >= declared]
    later = study.model_copy(update={"replicates": study.replicates - declared})
    try:
        summary = Summary(later, rows.assign(replicate=rows["replicate"] - declared))
    except UserError:
        return None
    summary.reference = reference
    return summary


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
        - ``"faster"`` or ``"slower"``: all of the interval lies below `expected`, as slopes are negative, or above it;
        - ``"inconclusive"``: it holds `expected`, but also a `rival` that differs, or 0: no fall, or no difference.
          Where 0 is what is expected, 1/2 up or down takes its place, as from there to the parametric rate lies
          everything that a rate can be;
        - ``"consistent"``: it holds `expected` and none of these;
        - ``""``: `expected` or the interval is not there.
    """
    if np.isnan([expected, low, high]).any():
        return ""
    if high < expected or low > expected:
        return "faster" if high < expected else "slower"
    others = (rival, -0.5, 0.5) if np.isclose(expected, 0) else (rival, 0.0)
    undecided = any(low <= other <= high and not np.isclose(other, expected) for other in others)
    return "inconclusive" if undecided else "consistent"


def agreement(alpha, low, high, kind="limit"):
    """Whether an interval shows that a rate is the expected one, within `words.MARGIN`, or that it is another.

    Equivalence by two one-sided tests (TOST), beside the usual test: an interval at 95 % within the margin rejects, at
    2.5 % each, that the rate is smaller by the margin or more, and that it is larger by as much. A difference that
    shows, but lies within the margin, is none. Not to reject equality proves nothing, and is called undecided.

    Parameters
    ----------
    alpha : float
        What is expected.
    low, high : float
        Ends of the interval of the rate.
    kind : str
        Of `alpha`, as in `Limit`. To a bound, below which rates are not in the limit, one side applies.

    Returns
    -------
    str
        - ``"agrees"``: all of the interval lies within the margin;
        - ``"differs"``: it does not hold `alpha`, and does not lie within the margin;
        - ``"undecided"``: neither;
        - ``"kept"``, of a bound: all of it lies above `alpha` less the margin; ``"broken"``: all of it lies below
          `alpha`, and not within the margin;
        - ``""``: `alpha` or the interval is not there, or `alpha` is open.
    """
    if np.isnan([alpha, low, high]).any() or kind not in ("limit", "bound"):
        return ""
    near = low > alpha - MARGIN
    if kind == "bound":
        return "kept" if near else "broken" if high < alpha else "undecided"
    if near and high < alpha + MARGIN:
        return "agrees"
    return "undecided" if low <= alpha <= high else "differs"


def enough(n, statistic):
    """Which entries are of sizes with enough replicates for the intervals to cover, and a note on the sizes left out.

    Enough are `FEWEST`, for a quantile q also 1 / q and 1 / (1 - q), or as many as any size has. Slopes over 20
    replicates with 3 to 6 of them at the last of 8 sizes cover 89, 91, 93 and 94 % in the mean; 3 give no 0.9 quantile.
    """
    _, place, counts = np.unique(n, return_inverse=True, return_counts=True)
    q = 0.5 if statistic in ("mean", "median") else int(statistic[1:]) / 100
    fewest = max(2, min(max(FEWEST, math.ceil(1 / min(q, 1 - q) - 1e-9)), counts.max(initial=0)))
    left_out = np.count_nonzero(counts < fewest)
    words = f"{left_out} sizes with fewer than {fewest} replicates left out" if left_out else ""
    return (counts >= fewest)[place], words


def tried(fit, n, errors, statistic):
    """(what `fit_rate` or `compare_rates` finds, "") or (None, why it finds nothing)."""
    if len(np.unique(n)) < 2:
        return None, "fewer than 2 sizes"
    if min(error.max() for error in errors) < ROUNDING:
        return None, "0 by construction, up to rounding"
    try:
        return fit(n, *errors, statistic), ""
    except ValueError as error:  # a statistic of 0 has no logarithm
        return None, str(error)


def _slope(fit):
    return [fit.slope, fit.ci_low, fit.ci_high] if fit else [np.nan] * 3


def _paired(one, other):
    """(n, [errors of the first, errors of the second]) of the replicates that both have."""
    most = 1 + max(one.replicate.max(), other.replicate.max())
    keys = (errors.n * most + errors.replicate for errors in (one, other))
    _, first, second = np.intersect1d(*keys, assume_unique=True, return_indices=True)
    return one.n[first], [one.error[first], other.error[second]]


# -- data -------------------------------------------------------------------------------------------------------------
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
    """(model, quantity) -> `Errors`, in order: means over the cells of one size."""
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
    rows = Errors(np.asarray(sizes)[n], replicate, mean.to_numpy())
    ends = [*np.flatnonzero(np.diff(part, prepend=-1)), len(part)]
    return {
        (models[model[first]], ordered[quantity[first]]): Errors(*(column[first:last] for column in rows))
        for first, last in zip(ends[:-1], ends[1:], strict=True)
    }
