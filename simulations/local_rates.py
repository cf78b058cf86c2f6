"""Local rates: how an error falls between neighbouring sample sizes, and whether that comes to its limit as n grows.

A slope over all sizes is an average over regimes. A local rate is the slope over a few neighbouring sizes; those of the
primary quantities of a study that spans decades make a table and a figure, with ordinary samples, where the study has
such a study beside it, as points at small n.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmoe_stats.plotting import ALPHA, COLORS, GATING_STYLES, LINES, MARKERS, plain, style
from hmoe_stats.rates import fit_rate

from . import words
from .summary import MODEL, QUANTITY, enough, tried

WINDOW = 3  # neighbouring sizes of a local rate
DECADES = 4  # that a study spans at least
COLUMNS = [*MODEL, *QUANTITY, "statistic", "n_low", "n_high", "rate", "low", "high", "alpha_limit", "limit"]
COLUMNS += ["replicates"]
STATISTICS = ("mean", "median")  # those that have limits of their own
TOP, BOTTOM = 0.85, -0.05  # of the panels
LIMITS = {"limit": "-", "bound": ":", "open": ":"}


def spans_decades(study):
    """Whether a study has local rates: it names primary quantities, and its sizes span decades."""
    return bool(study.primary) and len(study.sizes) > WINDOW and study.sizes[-1] >= 10**DECADES * study.sizes[0]


def table(summary):
    """Local rates of the primary quantities of a study.

    Parameters
    ----------
    summary : Summary

    Returns
    -------
    DataFrame
        A row for each model, primary quantity, statistic (mean and median, as far as the study has them) and three
        neighbouring sizes, from n_low to n_high: rate (alpha), low and high (its interval at 95 %, by itself),
        alpha_limit and limit as in `Summary.slopes`, and replicates, the fewest at one of the sizes.
    """
    rows = []
    for model, quantity in summary.errors:
        if quantity not in summary.primary:
            continue
        for statistic in (one for one in STATISTICS if one in summary.study.statistics):
            limit = summary.expected[model].limit(statistic, quantity)
            n, _, error = summary.errors[model, quantity]
            kept, _ = enough(n, statistic)
            sizes = np.unique(n[kept])
            for window in np.lib.stride_tricks.sliding_window_view(sizes, WINDOW) if sizes.size >= WINDOW else ():
                here = kept & np.isin(n, window)
                fit, _ = tried(fit_rate, n[here], [error[here]], statistic)
                if fit:
                    rate = -fit.slope, -fit.ci_high, -fit.ci_low, *limit, min(fit.n_replicates)
                    rows.append([*model, *quantity, statistic, window[0], window[-1], *rate])
    return pd.DataFrame(rows, columns=COLUMNS)


def figure(summary, local):
    """Draw a `table`: a row of panels a quantity, a column a statistic; None if it is empty.

    Lines are the study's own models, with bands of their intervals, hollow points those of studies beside it. Level
    lines in the colour of a model, or black where all agree, are the limits of the statistic, dotted where only a
    bound is derived.
    """
    own = local[local["study"] == summary.study.name]
    if own.empty:
        return None
    measured = set(own[QUANTITY].itertuples(index=False, name=None))
    quantities = [one for one in map(words.named, summary.study.primary) if one in measured]
    statistics, looks = list(dict.fromkeys(own["statistic"])), _looks(own)
    with style():
        fig = Figure(figsize=(4.1 * len(statistics) + 0.6, 2.05 * len(quantities) + 1.0))
        axes = fig.subplots(len(quantities), len(statistics), sharex=True, sharey=True, squeeze=False)
        for ax, quantity in zip(axes, quantities, strict=True):
            of_quantity = local[(local[QUANTITY] == list(quantity)).all(axis=1)]
            for panel, statistic in zip(ax, statistics, strict=True):
                _draw(panel, summary, looks, of_quantity[of_quantity["statistic"] == statistic])
                panel.set_title(plain(f"{words.quantity(*quantity)}: {statistic}"), fontsize=8)
            ax[0].set_ylabel(f"local rate {ALPHA}")
        for panel in axes[-1]:
            panel.set_xlabel("sample size n, middle of three")
        several = len({k2 for _, k2 in looks}) > 1
        names = {model: words.model(*model) if several else model[0] for model in looks}
        marks = [Line2D([], [], label=names[model], markersize=4, **look) for model, look in looks.items()]
        if (local["study"] != summary.study.name).any():
            look = {"linestyle": "none", "marker": "o", "markerfacecolor": "white", "color": "0.3", "markersize": 4}
            marks.append(Line2D([], [], label="ordinary samples", **look))
        kinds = {"limit": "limit of the statistic", "bound": "bound: the worst case"}
        marks += [Line2D([], [], label=said, color="black", linestyle=LIMITS[kind]) for kind, said in kinds.items()]
        fig.legend(handles=marks, loc="outside lower center", ncols=len(marks), fontsize=7)
        fig.suptitle(plain(summary.study.title), fontsize=9)
    return fig


def _looks(rows):
    """(gating, k2) -> how it is drawn: as its gating is, or as a series of its own where one is fitted with several."""
    models = list(dict.fromkeys(rows[["gating", "k2"]].itertuples(index=False, name=None)))
    if len(models) == rows["gating"].nunique():
        return {model: GATING_STYLES[model[0]] for model in models}
    number = {model: i for i, model in enumerate(models)}
    series = {"color": COLORS, "marker": MARKERS, "linestyle": LINES}
    return {model: {key: of[i % len(of)] for key, of in series.items()} for model, i in number.items()}


def _draw(ax, summary, looks, rows):
    levels = rows.drop_duplicates(["gating", "k2"]).dropna(subset="alpha_limit")
    shared = levels[["alpha_limit", "limit"]].drop_duplicates()
    for row in (shared.assign(gating=None, k2=None) if len(shared) == 1 else levels).itertuples():
        color = looks[row.gating, row.k2]["color"] if row.gating else "black"
        ax.axhline(row.alpha_limit, color=color, linestyle=LIMITS[row.limit], linewidth=0.8, zorder=1)
    for alpha in dict.fromkeys(shared["alpha_limit"]):
        ax.annotate(words.fraction(alpha), (1, alpha), (3, 0), xycoords=ax.get_yaxis_transform(),
                    textcoords="offset points", size=7, va="center")  # fmt: skip
    for (study, *model), part in rows.groupby(["study", "gating", "k2"], sort=False):
        look, middle = looks[tuple(model)], np.sqrt(part["n_low"]) * np.sqrt(part["n_high"])
        if study == summary.study.name:
            ax.plot(middle, part["rate"], markersize=3.5, linewidth=1.1, zorder=3, **look)
            ax.fill_between(middle, part["low"], part["high"], color=look["color"], alpha=0.12, linewidth=0, zorder=2)
        else:
            ends = np.abs(part[["low", "high"]].to_numpy().T - part["rate"].to_numpy())
            ax.errorbar(middle, part["rate"], ends, color=look["color"], marker=look["marker"], linestyle="none",
                        markersize=4, markerfacecolor="white", elinewidth=0.7, zorder=4)  # fmt: skip
    ax.set(xscale="log", ylim=(BOTTOM, TOP))
