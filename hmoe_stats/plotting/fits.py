"""A fitted mixture on its data, and its gates on the plane of two covariates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from ..arguments import check_covariates, check_data, check_flag, check_known
from ..frames import as_covariates
from ..kinds import Axes, Measure
from ..likelihood import gate_weights, predict, responsibilities
from ..measure import MixingMeasure, as_wide
from .looks import COLORS, LINES, as_axes, axis_label, style
from .views import PLANE, called, padded, view

LEVELS = ("experts", "groups")
PALE = 0.55  # of the colours of a gate map, so that points are seen on them


def fit_plot(
    G: Measure,
    X: ArrayLike,
    y: ArrayLike,
    ax: Axes | None = None,
    *,
    gates: bool = True,
    along: int | str | None = None,
) -> Axes:
    """A measure on its data, along one covariate.

    Points take the colours of the experts, mixed by their responsibilities. Each expert is a line with a band of two
    standard deviations, drawn in full where its gate weight exceeds 0.05 and dotted elsewhere; the thin black line is
    the conditional mean. The strip below stacks the gate weights of the experts, with black lines between groups.

    Of several covariates lines, bands and gates are those where the others are at their medians. Points are where they
    are, paler the further their other covariates are from these: lines need not go through faint ones.

    Parameters
    ----------
    G : MixingMeasure or FitResult
    X : array_like, (n, d); (n,) where d = 1
        A DataFrame where the fit was to one.
    y : array_like, (n,) or (n, 1)
        A DataFrame's or a Series' name labels its axis, or that of a fit's data.
    ax : matplotlib Axes, optional
    gates : bool
        Draw the strip.
    along : int or str, optional
        The column of X to go along, by number or name; by default the first.

    Returns
    -------
    matplotlib Axes
        The axes of the data; the strip is its child.

    Raises
    ------
    ValueError
        If the data do not fit, or `along` is no column.
    """
    seen, G = G, as_wide("G", G)
    X = as_covariates(seen, X)
    x_names, y_name = called(seen, X, y)
    X, y = check_data(X, y, G.d)
    check_flag("gates", gates)
    here = view(X, along, x_names)
    colors = [COLORS[i % len(COLORS)] for i in range(G.n_experts)]
    (x,), (column,) = here.grids, here.columns
    weights, lines = gate_weights(G, here.rows), here.rows @ G.eta.T + G.tau
    with style():
        ax = as_axes(ax)
        mixed = responsibilities(G, X, y) @ np.array([to_rgb(color) for color in colors])
        points = np.column_stack([mixed.clip(0, 1), here.opacity])
        ax.scatter(X[:, column], y, s=6, c=points, linewidths=0, zorder=1)
        for i, color in enumerate(colors):
            mean, sd, seen = lines[:, i], np.sqrt(G.nu[i]), weights[:, i] > 0.05
            ax.fill_between(x, mean - 2 * sd, mean + 2 * sd, where=seen, color=color, alpha=0.15, linewidth=0, zorder=0)
            ax.plot(x, mean, color=color, linestyle=":", linewidth=0.6)
            line = LINES[i % len(LINES)]
            mean = np.where(seen, mean, np.nan)
            ax.plot(x, mean, color=color, linestyle=line, linewidth=1.6, label=f"expert {place_of(G, i)}")
        ax.plot(x, predict(G, here.rows), color="black", linewidth=0.7, label="mean")
        ax.set(xlim=(x[0], x[-1]), ylim=padded(y), ylabel=axis_label(y_name))
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
        bottom = _gate_strip(ax, G, x, weights, colors) if gates else ax
        bottom.set_xlabel(axis_label(here.labels[0]))
    return ax


def place_of(G: MixingMeasure, j: int | np.integer) -> str:
    """How an expert is called: ``"0,1"``, its group and its number there."""
    return f"{G.group[j]},{j - G.offsets[G.group[j]]}"


def _gate_strip(ax, G, x, weights, colors):
    ax.tick_params(labelbottom=False)
    strip = ax.inset_axes([0, -0.24, 1, 0.2])
    strip.stackplot(x, weights.T, colors=colors, alpha=0.6, linewidth=0)
    edges = np.cumsum(weights, axis=1)
    for i in range(G.n_experts - 1):
        color, width = ("white", 0.8) if G.group[i] == G.group[i + 1] else ("black", 1.2)
        strip.plot(x, edges[:, i], color=color, linewidth=width)
    strip.set(xlim=(x[0], x[-1]), ylim=(0, 1), yticks=(0, 1), ylabel="gate")
    return strip


def gate_map(
    G: Measure,
    X: ArrayLike,
    ax: Axes | None = None,
    *,
    level: str = "experts",
    along: Sequence[int | str] | None = None,
) -> Axes:
    """Which expert, or which group, the gates send a point of the plane to.

    Colours are those of the components, mixed by their probabilities; black lines part the places where another one is
    the most probable. Its name stands in the middle of each such region.

    Parameters
    ----------
    G : MixingMeasure or FitResult
        With at least two covariates; of more the others are at their medians.
    X : array_like, (n, d)
        Drawn as dots, which are paler the further their other covariates are from the medians. Column names label the
        axes, or those of a fit's data.
    ax : matplotlib Axes, optional
    level : {"experts", "groups"}
        The products of both gates, or the gate of level 1.
    along : pair of int or str, optional
        The columns of the plane, by number or name; by default the first two.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If `G` has one covariate only, the data do not fit, or `along` is no pair of columns.
    """
    seen, G = G, as_wide("G", G)
    if G.d < 2:
        raise ValueError(f"G must have at least two covariates for a map of its gates; got d = {G.d}: see fit_plot")
    X = as_covariates(seen, X)
    x_names, _ = called(seen, X)
    X, level = check_covariates(X, G.d), check_known("level", level, LEVELS)
    here = view(X, along, x_names, 2)
    weights = gate_weights(G, here.rows)
    if level == "groups":
        weights = np.add.reduceat(weights, G.offsets[:-1], axis=1)
    words = [str(i) for i in range(G.k1)] if level == "groups" else [place_of(G, j) for j in range(G.n_experts)]
    colors = np.array([to_rgb(COLORS[i % len(COLORS)]) for i in range(len(words))])
    image = 1.0 - PALE * (1.0 - weights @ colors)
    with style():
        ax = as_axes(ax)
        extent = [*here.ends[0], *here.ends[1]]
        ax.imshow(image.clip(0, 1).reshape(PLANE, PLANE, 3), origin="lower", extent=extent, aspect="auto", zorder=0)
        handles, first = [], weights.argmax(axis=1)
        for i, word in enumerate(words):
            others = np.delete(weights, i, axis=1).max(axis=1, initial=0.0)
            lead, mine = (weights[:, i] - others).reshape(PLANE, PLANE), first == i
            if mine.any() and not mine.all():
                ax.contour(*here.grids, lead, levels=[0.0], colors="black", linewidths=0.6)
            if mine.any():
                spot = _inside(here.rows[mine][:, list(here.columns)], here.ends)
                box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.6}
                ax.text(*spot, word, ha="center", va="center", bbox=box, zorder=3)
            name = f"{level[:-1]} {word}" + ("" if mine.any() else ": nowhere the most probable")
            handles.append(Line2D([], [], color=colors[i], marker="s", linestyle="none", label=name))
        points = np.column_stack([np.zeros((len(X), 3)), here.opacity])
        ax.scatter(*X[:, list(here.columns)].T, s=3, c=points, linewidths=0, zorder=2)
        labels = [axis_label(label) for label in here.labels]
        ax.set(xlim=here.ends[0], ylim=here.ends[1], xlabel=labels[0], ylabel=labels[1])
        ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


def _inside(places, ends):
    """The place nearest to the middle of some (m, 2), as the axes show them: it is one of them."""
    scaled = (places - places.mean(axis=0)) / np.ptp(np.array(ends), axis=1)
    return places[(scaled**2).sum(axis=1).argmin()]
