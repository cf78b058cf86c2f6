"""The tree of a measure: its gates with what goes through them, its experts in words."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..arguments import check_covariates
from ..fitting.rows import mean, moments
from ..kinds import Axes, Measure
from ..likelihood import gate_weights
from ..measure import as_wide
from .fits import place_of
from .looks import COLORS, PAGE, SMALLEST, as_axes, plain, shortened, style
from .views import called

NAME, TERMS = 20, 3  # letters of a covariate's name, and terms of a line, that are written
ROOT, GROUPS, LEAVES, TEXT = 0.0, 0.55, 1.0, 1.04  # places from left to right
ROW = 0.42  # inches of a figure of its own, for each expert
LEAST = 0.25  # of the width of the axes that the tree keeps beside its text
THICK = 6.0  # width of a branch that all rows take, in points
HELD = "\N{NO-BREAK SPACE}"  # of a term that stays on one line
SHORT, LONG = 32, 60  # letters of a line of text, beside groups and leaves
TEXT_LOOK = {"size": SMALLEST, "in_layout": False}


def tree_plot(G: Measure, X: ArrayLike | None = None, ax: Axes | None = None) -> Axes:
    """The tree of a measure: branches as thick as the share of rows that takes them, and each expert in words.

    Shares are mean gate probabilities over the rows of X. Gates are written beside the component whose probability they
    say: of softmax and quadratic gates the log-odds against the last component of the gate; of Laplace gates the
    centre, and the score there less that of the last component at its own. Of lines in many covariates the largest
    terms are written, each judged by its slope times the standard deviation of what it multiplies.

    Parameters
    ----------
    G : MixingMeasure or FitResult
    X : array_like, (n, d); (n,) where d = 1; optional
        Of a fit by default its data, with their weights.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        Two columns wide, if they are new: text takes most of it.

    Raises
    ------
    ValueError
        If X does not fit, or is missing and `G` is no fit that knows its data.
    """
    fit: Any = G
    G, weights = as_wide("G", G), None
    if X is None:
        if not hasattr(fit, "known_data"):
            raise ValueError("X must be covariates, where G is not a fit that knows its own; got None")
        X, _, weights = fit.known_data()
    x_names, y_name = called(fit, X)
    X = check_covariates(X, G.d)
    names = [plain(name) for name in shortened(x_names, NAME).values()]
    y_name = plain(shortened([y_name], NAME)[y_name])
    share, spread = mean(gate_weights(G, X), weights), moments(X, weights)[1]
    of_groups = np.bincount(G.group, share)
    heights = -np.arange(float(G.n_experts))
    middles = np.array([heights[G.group == i].mean() for i in range(G.k1)])
    first, second = G.gates
    group_words = _gate_words(first, G.a, G.b, X, names)
    with style():
        ax = as_axes(Figure(figsize=(PAGE, 1.0 + ROW * G.n_experts)).subplots() if ax is None else ax)
        texts: tuple[list, list] = [], []
        top = middles.mean()
        ax.plot(ROOT if G.k1 > 1 else GROUPS, top, marker="o", color="black", zorder=3)
        for i, middle in enumerate(middles):
            own = np.flatnonzero(G.group == i)
            if G.k1 > 1:
                _branch(ax, (ROOT, GROUPS), (top, middle), "0.6", of_groups[i])
                words = f"group {i}: {of_groups[i]:.0%}" + (f", {group_words[i]}" if group_words[i] else "")
                ax.plot(GROUPS, middle, marker="s", color="black", zorder=3)
                above = 1.0 if middle >= top else -1.0  # and not on the branch that comes from the root
                side = "bottom" if middle >= top else "top"
                words, place = fill(words, SHORT, break_long_words=False), middle + 0.12 * above
                texts[0].append(ax.text(GROUPS, place, words, va=side, ha="right", **TEXT_LOOK))
            leaf_words = _gate_words(second, G.omega[own], G.beta[own], X, names)
            for j, gate in zip(own, leaf_words, strict=True):
                color = COLORS[j % len(COLORS)]
                _branch(ax, (GROUPS, LEAVES), (middle, heights[j]), color, share[j])
                ax.plot(LEAVES, heights[j], marker="o", color=color, zorder=3)
                line = _line_words(G.tau[j], G.eta[j], names, spread)
                words = f"{place_of(G, j)}: {share[j]:.0%}" + (f", {gate}" if gate else "")
                words = [words, f"{y_name} = {line}, sd {np.sqrt(G.nu[j]):.3g}"]
                words = "\n".join(fill(part, LONG, break_long_words=False) for part in words)
                texts[1].append(ax.text(TEXT, heights[j], words, va="center", **TEXT_LOOK))
        left, right = (max((text.get_window_extent().width for text in part), default=0.0) for part in texts)
        ax.set(xlim=_limits(left, right, ax.get_window_extent().width), ylim=(heights[-1] - 0.5, 0.5))
        ax.set_axis_off()
    return ax


def _limits(left, right, width):
    """Limits of x where texts of these widths, left of the groups and right of the leaves, fit into the axes."""
    unit = (width - 1.02 * right) / (TEXT + 0.03)
    if left > GROUPS * unit:
        unit = (width - 1.02 * (left + right)) / (TEXT - GROUPS)
    unit = max(unit, LEAST * width)
    low = min(-0.03, GROUPS - 1.02 * left / unit)
    return low, low + width / unit


def _branch(ax, x, y, color, share):
    ax.plot(x, y, color=color, linewidth=max(0.4, THICK * share), solid_capstyle="round", alpha=0.7, zorder=1)


def _gate_words(gate, slopes, intercepts, X, names):
    """A text for each component of a gate; "" where there is one only."""
    if len(slopes) == 1:
        return [""]
    slopes, intercepts = gate.relative(slopes, intercepts)
    if gate.located:
        seen = np.flatnonzero(gate.scale_over(X.shape[1]) > 0)
        more = f" and {seen.size - TERMS} more" if seen.size > TERMS else ""
        places = [", ".join(f"{names[c]} {centre[c]:.3g}" for c in seen[:TERMS]) for centre in slopes]
        peaks = [f"peak {top + 0.0:.3g} at " for top in intercepts]
        return [f"{peak}{place or 'all x'}{more}" for peak, place in zip(peaks, places, strict=True)]
    spread = moments(np.ascontiguousarray(gate.features(X)))[1]
    power = {1: "", 2: "\N{SUPERSCRIPT TWO}"}.get(gate.power, f"^{gate.power}")
    names = [name + power for name in names]
    words = [f"log-odds {_line_words(b, a, names, spread)}" for a, b in zip(slopes, intercepts, strict=True)]
    return [*words[:-1], "reference"]


def _line_words(intercept, slopes, names, spread):
    """``"33.5 + 10.7 duration"``: the intercept and the largest terms, in the order of the columns."""
    size = np.abs(slopes) * spread
    seen = np.flatnonzero(size > 0)
    kept = np.sort(seen[np.argsort(-size[seen], kind="stable")[:TERMS]])
    terms = [f" {'-' if slopes[c] < 0 else '+'}{HELD}{abs(slopes[c]):.3g}{HELD}{names[c]}" for c in kept]
    more = f" and {seen.size - TERMS} more" if seen.size > TERMS else ""
    return f"{intercept + 0.0:.3g}{''.join(terms)}{more}"
