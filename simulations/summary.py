"""What a study says: slopes against theory as a table, and the study's figure.

Per replicate the errors of one parameter are averaged over the Voronoi cells of one size; statistics and intervals are
then over replicates. Only fits that reached an optimum count (status ``"converged"`` or ``"boundary"``); all others are
counted and shown.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hmoe_stats import theory
from hmoe_stats.plotting import rate_plot, style
from hmoe_stats.rates import fit_rate

USED = ("converged", "boundary")
MODEL = ["gating", "k2"]
QUANTITY = ["level", "size", "parameter", "kind"]
COLUMNS = [*MODEL, *QUANTITY, "statistic", "slope", "ci_low", "ci_high", "alpha_published", "alpha_derived"]
COLUMNS += ["n_sizes", "replicates", "failed", "to_do", "note"]


def slopes(study, frame):
    """Slopes of every measured quantity of a study, beside the exponents of theory.

    Parameters
    ----------
    study : Study
        Its truth, gatings, fitted sizes, grid and statistics.
    frame : DataFrame
        Tidy results, as `Store.frame` gives them.

    Returns
    -------
    DataFrame
        One row for each gating, k2, level, size, parameter, kind and statistic:

        - slope, ci_low, ci_high: of `hmoe_stats.fit_rate`, at 95 %; NaN where there is none, and `note` says why;
        - alpha_published, alpha_derived: theory's exponents (expected slope -alpha), NaN where theory says nothing; the
          slowest one if cells of that size can be of several kinds (identified or not, in one fitted group or several);
        - n_sizes, replicates: sample sizes used, and the smallest number of replicates at one of them (a split cell of
          a given size need not occur in every fit);
        - failed, to_do: fits of that gating and k2, over all sizes, that reached no optimum, and that have no result.

    Raises
    ------
    ValueError
        If `frame` lacks a column or has no row.
    """
    used, failed, to_do = _usable(study, frame)
    expected = {(gating, tuple(k2)): _theory(study, gating, k2) for gating in study.gatings for k2 in study.k2}
    rows = []
    for key, part in _per_replicate(study, used).groupby([*MODEL, *QUANTITY], sort=False):
        model, (level, size, parameter, kind) = key[:2], key[2:]
        alphas = [_exponent(table, level, size, parameter, kind)[0] for table in expected[model[0], _sizes(model[1])]]
        part, note = _sizes_with_two(part)
        for statistic in study.statistics:
            fit, why = _fit(part, statistic)
            found = (fit.slope, fit.ci_low, fit.ci_high) if fit else (np.nan,) * 3
            counts = part.groupby("n").size()
            row = [*key, statistic, *found, *alphas, len(counts), int(counts.min()) if len(counts) else 0]
            rows.append([*row, failed[model], to_do[model], "; ".join(filter(None, (note, why)))])
    return pd.DataFrame(rows, columns=COLUMNS)


def format_slopes(table):
    """The table of `slopes` as text: a block for each model, a line for each quantity, a column for each statistic."""
    blocks = []
    for (gating, k2), part in table.groupby(MODEL, sort=False):
        failed, to_do = part[["failed", "to_do"]].iloc[0]
        head = f"{gating}, fitted k2 = {k2}: {failed} fits without an optimum left out, {to_do} to do"
        lines = []
        for (level, size, parameter, kind), rows in part.groupby(QUANTITY, sort=False):
            first = rows.iloc[0]
            line = {"quantity": _label(level, size, parameter, kind)}
            line |= {row.statistic: _interval(row) for row in rows.itertuples()}
            line |= {"published": _slope(-first.alpha_published), "derived": _slope(-first.alpha_derived)}
            line |= {"sizes": first.n_sizes, "replicates": first.replicates, "note": first.note}
            lines.append(line)
        lines = pd.DataFrame(lines)
        lines["quantity"] = lines["quantity"].str.ljust(lines["quantity"].str.len().max())
        lines["note"] = lines["note"].str.ljust(lines["note"].str.len().max())
        blocks.append(f"{head}\n{lines.to_string(index=False)}")
    return "\n\n".join(blocks)


def figure(study, frame, statistic=None):
    """The figure of a study: losses, then the errors in split cells, all gatings of a quantity in one panel.

    Parameters
    ----------
    study : Study
    frame : DataFrame
        As in `slopes`.
    statistic : str, optional
        Statistic over replicates; by default the first one that the study declares.

    Returns
    -------
    matplotlib Figure
        A panel for the sharp Voronoi loss of exact and of over-specified fits, and panels for omega, eta, tau and nu in
        the largest split cells that occur in most fits (in exact cells, if nothing is over-specified).

    Raises
    ------
    ValueError
        If `frame` lacks a column, or has nothing that a slope can be fitted to.
    """
    used, *_ = _usable(study, frame)
    statistic = statistic or study.statistics[0]
    panels = _panels(study, _per_replicate(study, used)).items()
    panels = {
        title: part for title, part in ((title, _drawable(part, statistic)) for title, part in panels) if len(part)
    }
    if not panels:
        raise ValueError("frame must have at least 2 sizes with 2 usable replicates of some quantity; got none")
    with style():
        columns = min(3, len(panels))
        rows = -(-len(panels) // columns)
        fig = Figure(figsize=(2.55 * columns, 2.35 * rows + 0.3))
        axes = fig.subplots(rows, columns, squeeze=False).ravel()
        for ax, (title, part) in zip(axes, panels.items(), strict=False):
            references = _references(study, part)
            rate_plot(part, ax, statistic=statistic, references=references, ylabel=f"{statistic} over replicates")
            ax.set_title(title, loc="left")
        for ax in axes[len(panels) :]:
            ax.remove()
        for ax in axes[: len(panels) - columns]:
            ax.set_xlabel("")
        fig.suptitle(study.title, fontsize=9)
    return fig


def _panels(study, data):
    """title -> rows of a panel."""
    true = data["gating"].map({g: tuple(sorted(study.measure(g).k2)) for g in study.gatings})
    exact = data["k2"].map(lambda k2: tuple(sorted(_sizes(k2)))) == true
    panels = {}
    for words, part in (("exact", data[exact]), ("over-specified", data[~exact])):
        losses = part[part["parameter"] == "loss_sharp"]
        panels |= {f"Voronoi loss, {words}, k2 = {k2}": rows for k2, rows in losses.groupby("k2", sort=False)}
    largest = data[data["k2"] == max(data["k2"], key=lambda k2: sum(_sizes(k2)))]
    size = _common_size(largest)
    cells = "exact cells" if size == 1 else f"cells of {size} experts"
    shown = largest[(largest["level"] == 2) & (largest["size"] == size) & (largest["kind"] == "weighted")]
    return panels | {f"{name}, {cells}": shown[shown["parameter"] == name] for name in ("omega", "eta", "tau", "nu")}


# -- data -------------------------------------------------------------------------------------------------------------
def _sizes(k2):
    return tuple(int(m) for m in k2.split(","))


def _usable(study, frame):
    """(rows of fits that reached an optimum, failed fits of each model, cells without a result of each model)."""
    needed = {*MODEL, *QUANTITY, "n", "replicate", "status", "error"}
    if missing := sorted(needed - set(frame.columns)):
        raise ValueError(f"frame must have the columns {sorted(needed)}; got none of {missing}")
    models = [(g, ",".join(map(str, k2))) for g in study.gatings for k2 in study.k2]
    keys = pd.MultiIndex.from_frame(frame[MODEL])
    frame = frame[keys.isin(models) & frame["n"].isin(study.sizes) & (frame["replicate"] < study.replicates)]
    if not len(frame):
        raise ValueError("frame must have results of the study; got none")
    fits = frame.drop_duplicates([*MODEL, "n", "replicate"])
    done = fits.groupby(MODEL).size()
    good = fits[fits["status"].isin(USED)].groupby(MODEL).size()
    total = len(study.sizes) * study.replicates
    failed = {model: int(done.get(model, 0) - good.get(model, 0)) for model in models}
    to_do = {model: int(total - done.get(model, 0)) for model in models}
    return frame[frame["status"].isin(USED) & frame["error"].notna()], failed, to_do


def _per_replicate(study, used):
    """One row a replicate and quantity: errors averaged over the cells of one size. Gatings in the study's order."""
    keys = [*MODEL, *QUANTITY, "n", "replicate"]
    data = used.groupby(keys, sort=True)["error"].mean().reset_index()
    return data.sort_values("gating", key=lambda g: g.map(study.gatings.index), kind="stable", ignore_index=True)


def _sizes_with_two(part):
    """The rows at sizes with 2 replicates or more, and a note on the sizes left out."""
    few = part.groupby(["gating", "n"])["error"].transform("size") < 2
    left_out = part.loc[few, "n"].nunique()
    return part[~few], f"{left_out} sizes with 1 replicate left out" if left_out else ""


def _fit(part, statistic):
    """(RateFit or None, why there is none)."""
    if part["n"].nunique() < 2:
        return None, "fewer than 2 sizes"
    try:
        return fit_rate(part["n"], part["error"], statistic), ""
    except ValueError as error:  # an error that is 0 by construction has no rate
        return None, str(error)


def _common_size(data):
    """The largest size of a level-2 cell that occurs in at least half of the fits."""
    fits = data.drop_duplicates([*MODEL, "n", "replicate"])
    cells = data[(data["level"] == 2) & (data["size"] > 0)].drop_duplicates([*MODEL, "n", "replicate", "size"])
    often = cells.groupby("size").size() >= 0.5 * len(fits)
    return max(often[often].index, default=1)


def _drawable(part, statistic):
    """The rows of the gatings that have a slope."""
    part, _ = _sizes_with_two(part)
    return part[part["gating"].isin([g for g, rows in part.groupby("gating") if _fit(rows, statistic)[0]])]


# -- theory -----------------------------------------------------------------------------------------------------------
def _theory(study, gating, k2):
    """(published, derived) tables of exponents, or (None, None) where theory does not cover the fitted size."""
    truth = study.measure(gating)
    try:
        return tuple(theory.rates(truth, k2, form=form) for form in ("published", "sharp"))
    except ValueError:
        return None, None


def _exponent(table, level, size, parameter, kind):
    """(alpha, status) that theory gives a measured quantity, the slowest one; (NaN, "") if it gives none."""
    if table is None:
        return np.nan, ""
    name = "loss" if kind == "loss" else parameter
    same = (table["level"] == level) & (table["m"] == size) & (table["parameter"] == name) & (table["kind"] == kind)
    rows = table[same].sort_values("alpha", kind="stable")
    return tuple(rows[["alpha", "status"]].iloc[0]) if len(rows) else (np.nan, "")


def _references(study, part):
    """Labels and exponents for one panel; gatings are named where they do not all agree."""
    k2, *quantity = part.iloc[0][["k2", *QUANTITY]]
    tables = {gating: _theory(study, gating, _sizes(k2)) for gating in part["gating"].unique()}
    out = {}
    for i, sharp in enumerate((False, True)):
        by_alpha = {}
        for gating, pair in tables.items():
            alpha, status = _exponent(pair[i], *quantity)
            word = status.removeprefix("as ") if sharp or status != "derived" else "published form"
            if not np.isnan(alpha):
                words, gatings = by_alpha.setdefault(alpha, ({}, []))
                words[word] = None
                gatings.append(gating)
        for alpha, (words, gatings) in by_alpha.items():
            names = "" if len(gatings) == len(tables) else " " + "/".join(gatings)
            out["/".join(words) + names] = alpha
    return out


# -- words ------------------------------------------------------------------------------------------------------------
def _label(level, size, parameter, kind):
    if level == 0:
        return parameter
    return f"{parameter} {kind}" + (f", {size} in cell" if level == 2 or size > 1 else "")


def _interval(row):
    return "-" if np.isnan(row.slope) else f"{row.slope:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]"


def _slope(value):
    return "-" if np.isnan(value) else f"{value:.3f}"
