"""How many experts: criteria, and dendrograms of fits."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from ..arguments import shown
from ..kinds import Axes
from ..selection import Dendrogram, Selection
from .looks import COLORS, GATING_STYLES, as_axes, style


def dendrogram_plot(tree: Dendrogram, ax: Axes | None = None) -> Axes:
    """The dendrogram of a fit: at what cost its experts merge, and what is suggested.

    Parameters
    ----------
    tree : Dendrogram
        Of `hmoe_stats.selection.dendrogram`.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        Costs are in nats a row; where one is less than one before it, its bracket is drawn at the height of that. The
        dashed line parts steps that the criterion takes from those it does not. Colours are the groups of the fit.

    Raises
    ------
    ValueError
        If `tree` is no Dendrogram.
    """
    from ..selection import Dendrogram

    if not isinstance(tree, Dendrogram):
        raise ValueError(f"tree must be a Dendrogram; got {shown(tree)}")
    G, order = tree.measures[0], sum(tree.steps[-1], ())  # in which no lines cross
    place = {(j,): (order.index(j), 0.0) for j in order}
    heights = np.maximum.accumulate(tree.heights)
    with style():
        ax = as_axes(ax)
        for (one, two), height in zip(tree.steps, heights, strict=True):
            (left, low), (right, high) = place[one], place[two]
            ax.plot([left, left, right, right], [low, height, height, high], color="black", linewidth=1.0)
            place[one + two] = 0.5 * (left + right), height
        for spot, j in enumerate(order):
            ax.plot(spot, 0.0, marker="o", linestyle="none", color=COLORS[G.group[j] % len(COLORS)], clip_on=False)
        before, after = np.concatenate([[0.0], heights, heights[-1:]])[tree.level : tree.level + 2]
        words = f"suggested: {tree.k2}"
        ax.axhline(0.5 * (before + after), color="0.35", linestyle="--", linewidth=0.7, label=words)
        labels = [f"{G.group[j]},{j - G.offsets[G.group[j]]}" for j in order]
        ax.set_xticks(range(len(order)), labels)
        ax.set(xlabel="expert (group, number)", ylabel="cost of merging [nats a row]", ylim=(0, 1.1 * heights[-1]))
        ax.legend(loc="upper left")
    return ax


def criterion_plot(selection: Selection, ax: Axes | None = None, *, criterion: str = "bic") -> Axes:
    """A criterion against the number of experts, a line for each gating and for flat models and trees apart.

    Parameters
    ----------
    selection : Selection
        Of `hmoe_stats.select`.
    ax : matplotlib Axes, optional
    criterion : str
        One that the selection has.

    Returns
    -------
    matplotlib Axes
        Of models with as many experts, such as (2, 2) and (3, 1), the better one is drawn. A ring marks the best of all
        maxima.

    Raises
    ------
    ValueError
        If `selection` is no Selection, or has not this criterion.
    """
    from ..selection import Selection
    from ..selection.candidates import LARGER

    if not isinstance(selection, Selection):
        raise ValueError(f"selection must be a Selection; got {shown(selection)}")
    best, table, larger = selection.best(criterion).measure, selection.table, criterion in LARGER
    table = table.assign(experts=table["k2"].map(sum), tree=table["k2"].map(len) > 1).dropna(subset=[criterion])
    with style():
        ax = as_axes(ax)
        for (gating, tree), part in table.groupby(["gating", "tree"], sort=False):
            values = part.groupby("experts")[criterion].agg("max" if larger else "min")
            look = dict(GATING_STYLES[gating]) | ({} if tree else {"fillstyle": "none", "linewidth": 0.7})
            ax.plot(values.index, values.to_numpy(), label=f"{gating} {'tree' if tree else 'flat'}", **look)
        here = table[(table["gating"] == best.gating) & (table["k2"] == best.k2)].iloc[0]
        ring = {"marker": "o", "markersize": 14, "fillstyle": "none", "color": "black", "linestyle": "none"}
        ax.plot(here["experts"], here[criterion], **ring)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        unit = " [nats a row]" if criterion in ("cv", "dendrogram") else ""
        ax.set(xlabel="number of experts", ylabel=f"{criterion}{unit}, {'larger' if larger else 'smaller'} is better")
        ax.legend(loc="best")
    return ax
