"""A fitted mixture on its data."""

import numpy as np
from matplotlib.colors import to_rgb

from ..arguments import check_data, check_flag
from ..likelihood import gate_weights, predict, responsibilities
from ..measure import as_wide
from ..names import of_data
from .looks import COLORS, LINES, as_axes, axis_label, style


def fit_plot(G, X, y, ax=None, *, gates=True):
    """A measure with one covariate on its data.

    Points take the colours of the experts, mixed by their responsibilities. Each expert is a line with a band of two
    standard deviations, drawn in full where its gate weight exceeds 0.05 and dotted elsewhere; the thin black line is
    the conditional mean. The strip below stacks the gate weights of the experts, with black lines between groups.

    Parameters
    ----------
    G : MixingMeasure or FitResult
        With d = 1.
    X : array_like, (n, 1) or (n,)
    y : array_like, (n,) or (n, 1)
        A DataFrame's or a Series' name labels its axis, or that of a fit's data.
    ax : matplotlib Axes, optional
    gates : bool
        Draw the strip.

    Returns
    -------
    matplotlib Axes
        The axes of the data; the strip is its child.

    Raises
    ------
    ValueError
        If `G` has more than one covariate, or the data do not fit.
    """
    x_name, y_name = _names(G, X, y)
    G = as_wide("G", G)
    if G.d != 1:
        raise ValueError(f"G must have one covariate (d = 1) to be drawn; got d = {G.d}")
    X, y = check_data(X, y, 1)
    check_flag("gates", gates)
    colors = [COLORS[i % len(COLORS)] for i in range(G.n_experts)]
    x, (low, high) = np.linspace(*_ends(X), 400), _ends(y)
    weights = gate_weights(G, x[:, None])
    with style():
        ax = as_axes(ax)
        mixed = responsibilities(G, X, y) @ np.array([to_rgb(color) for color in colors])
        ax.scatter(X[:, 0], y, s=6, c=mixed.clip(0, 1), alpha=0.6, linewidths=0, zorder=1)
        for i, color in enumerate(colors):
            mean, sd, seen = G.eta[i, 0] * x + G.tau[i], np.sqrt(G.nu[i]), weights[:, i] > 0.05
            ax.fill_between(x, mean - 2 * sd, mean + 2 * sd, where=seen, color=color, alpha=0.15, linewidth=0, zorder=0)
            ax.plot(x, mean, color=color, linestyle=":", linewidth=0.6)
            name = f"expert {G.group[i]},{i - G.offsets[G.group[i]]}"
            line = LINES[i % len(LINES)]
            ax.plot(x, np.where(seen, mean, np.nan), color=color, linestyle=line, linewidth=1.6, label=name)
        ax.plot(x, predict(G, x[:, None]), color="black", linewidth=0.7, label="mean")
        pad = 0.05 * (high - low)
        ax.set(xlim=(x[0], x[-1]), ylim=(low - pad, high + pad), ylabel=axis_label(y_name))
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
        bottom = _gate_strip(ax, G, x, weights, colors) if gates else ax
        bottom.set_xlabel(axis_label(x_name))
    return ax


def _ends(values):
    """The smallest and the largest of some values; of equal ones a neighbourhood, as an axis has a length."""
    low, high = values.min(), values.max()
    half = 0.0 if low < high else 0.5 * max(abs(low), 1.0)
    return low - half, high + half


def _names(fit, X, y):
    """What the covariate and y are called: by the data drawn, or else by those of the fit."""
    x_names, y_name = of_data(X, y)
    return (x_names or getattr(fit, "x_names", ("x",)))[0], y_name or getattr(fit, "y_name", "y")


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
