"""Local rates: how an error falls between neighbouring sample sizes, and whether that comes to its limit as n grows.

A slope over all sizes is an average over regimes. A local rate is the slope over a few neighbouring sizes; those of the
primary quantities of a study that spans decades make a table and a figure, with ordinary samples, where the study has
such a study beside it, as points at small n.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmoe_stats.plotting import ALPHA, PAGE, PANELS, label_powers, plain, series_looks, style
from hmoe_stats.rates import fit_rate

from . import words
from .summary import MODEL, QUANTITY, enough, tried

WINDOW = 3  # neighbouring sizes of a local rate
DECADES = 4  # that a study spans at least
COLUMNS = [*MODEL, *QUANTITY, "statistic", "n_low", "n_high", "rate", "low", "high", "alpha_limit", "limit"]
COLUMNS += ["replicates"]
STATISTICS = ("mean", "median")  # those that have limits of their own
TOP, BOTTOM = 0.85, -0.05  # of the panels
MARKS = 8  # side by side in the legend
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


def figure(study, local, every=False):
    """Draw a `table`: a row of panels a quantity, a column a statistic; None if it is empty.

    Lines are the study's own models, with bands of their intervals, hollow points those of studies beside it. Level
    lines in the colour of a model, or black where all agree, are the limits of the statistic, dotted where only a
    bound is derived.

    Parameters
    ----------
    study : Study
    local : DataFrame
    every : bool
        Show all statistics and quantities; else, of more than six panels, the first statistic alone, side by side.
    """
    own = local[local["study"] == study.name]
    if own.empty:
        return None
    measured = set(own[QUANTITY].itertuples(index=False, name=None))
    quantities = [one for one in map(words.named, study.primary) if one in measured]
    statistics, looks = list(dict.fromkeys(own["statistic"])), _looks(own)
    panels = [(quantity, statistic) for quantity in quantities for statistic in statistics]
    more = 0 if every or len(panels) <= PANELS else len(panels) - min(len(quantities), PANELS)
    panels = [panel for panel in panels if panel[1] == statistics[0]][:PANELS] if more else panels
    across = min(2, len(panels)) if more else len(statistics)
    rows = -(-len(panels) // across)
    with style():
        fig = Figure(figsize=(PAGE, 1.85 * rows + 0.8))
        axes = fig.subplots(rows, across, sharex=True, sharey=True, squeeze=False)
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
        for ax, (quantity, statistic) in zip(axes.flat, panels, strict=False):
            rows_here = (local[QUANTITY] == list(quantity)).all(axis=1) & (local["statistic"] == statistic)
            _draw(ax, study, looks, local[rows_here])
            ax.set_title(plain(f"{words.quantity(*quantity)}: {statistic}"))
        for ax in axes[:, 0]:
            ax.set_ylabel(f"local rate {ALPHA}")
        for ax in axes[-1]:
            ax.set_xlabel("sample size n, middle of three")
        several = len({k2 for _, k2 in looks}) > 1
        names = {model: words.model(*model) if several else model[0] for model in looks}
        marks = [Line2D([], [], label=names[model], **look) for model, look in looks.items()]
        if (local["study"] != study.name).any():
            look = {"linestyle": "none", "marker": "o", "markerfacecolor": "white", "color": "0.3"}
            marks.append(Line2D([], [], label="ordinary samples", **look))
        kinds = {"limit": "limit of the statistic", "bound": "bound: the worst case"}
        marks += [Line2D([], [], label=said, color="black", linestyle=LIMITS[kind]) for kind, said in kinds.items()]
        title = "" if not more else f"{words.more_panels(more, study.name)}"
        fig.legend(handles=marks, loc="outside lower center", ncols=min(len(marks), MARKS), title=title)
        fig.suptitle(plain(study.title))
    return fig


def _looks(rows):
    """(gating, k2) -> how it is drawn."""
    models = list(dict.fromkeys(rows[["gating", "k2"]].itertuples(index=False, name=None)))
    several = len(models) > rows["gating"].nunique()
    names = [" ".join(model) if several else model[0] for model in models]
    return dict(zip(models, series_looks(names), strict=True))


def _draw(ax, study, looks, rows):
    levels = rows.drop_duplicates(["gating", "k2"]).dropna(subset="alpha_limit")
    shared = levels[["alpha_limit", "limit"]].drop_duplicates()
    for row in (shared.assign(gating=None, k2=None) if len(shared) == 1 else levels).itertuples():
        color = looks[row.gating, row.k2]["color"] if row.gating else "black"
        ax.axhline(row.alpha_limit, color=color, linestyle=LIMITS[row.limit], linewidth=0.8, zorder=1)
    for alpha in dict.fromkeys(shared["alpha_limit"]):
        ax.annotate(words.fraction(alpha), (1, alpha), (3, 0), xycoords=ax.get_yaxis_transform(),
                    textcoords="offset points", size=7, va="center")  # fmt: skip
    for (name, *model), part in rows.groupby(["study", "gating", "k2"], sort=False):
        look, middle = looks[tuple(model)], np.sqrt(part["n_low"]) * np.sqrt(part["n_high"])
        if name == study.name:
            ax.plot(middle, part["rate"], zorder=3, **look)
            ax.fill_between(middle, part["low"], part["high"], color=look["color"], alpha=0.12, linewidth=0, zorder=2)
        else:
            ends = np.abs(part[["low", "high"]].to_numpy().T - part["rate"].to_numpy())
            ax.errorbar(middle, part["rate"], ends, color=look["color"], marker=look["marker"], linestyle="none",
                        markerfacecolor="white", elinewidth=0.7, zorder=4)  # fmt: skip
    ax.set(xscale="log", ylim=(BOTTOM, TOP))
    label_powers(ax.xaxis)
