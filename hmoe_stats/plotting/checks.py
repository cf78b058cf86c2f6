"""Does the model fit: quantile residuals, which are independent standard normal variables if it is right."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import beta

from ..arguments import check_columns, check_number, shown
from ..fitting.result import FitResult
from ..kinds import Axes
from .looks import COLORS, as_axes, axis_label, style
from .views import padded

MOST_BINS = 20
DOT = {"s": 5, "color": COLORS[0], "alpha": 0.5, "linewidths": 0}


def as_fit(fit):
    """`fit`, or a `ValueError` if it is no FitResult."""
    if not isinstance(fit, FitResult):
        raise ValueError(f"fit must be a FitResult; got {shown(fit)}")
    return fit


def residual_plot(fit: FitResult, ax: Axes | None = None, *, along: int | str | None = None) -> Axes:
    """Quantile residuals of the rows that were fitted, against the fitted mean or a covariate.

    Bars are the means of the residuals of bins with as many rows each, two standard errors up and down; of a model that
    is right 19 of 20 or so cover 0. Dotted lines hold 95 % of standard normal variables.

    Parameters
    ----------
    fit : FitResult
        Which knows its data.
    ax : matplotlib Axes, optional
    along : int or str, optional
        A column of X, by number or name; the fitted mean by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If `fit` is no FitResult, does not know its data, or `along` is no column.
    """
    fit = as_fit(fit)
    residuals, (X, _, weights) = fit.residuals(), fit.known_data()
    if along is None:
        x, label = fit.predict(X), f"fitted mean of {fit.y_name}"
    else:
        columns = check_columns("along", along, fit.measure.d, fit.x_names)
        if len(columns) != 1:
            raise ValueError(f"along must be one column of X; got {shown(along)}")
        x, label = X[:, columns[0]], fit.x_names[columns[0]]
    with style():
        ax = as_axes(ax)
        ax.scatter(x, residuals, **DOT)
        places, means, errors = _binned(x, residuals, np.ones(len(x)) if weights is None else weights)
        look = {"color": "black", "marker": "_", "linestyle": "none", "linewidth": 1.0}
        ax.errorbar(places, means, 2.0 * errors, **look, label="mean of a bin, two standard errors")
        ax.axhline(0.0, color="0.35", linewidth=0.7)
        for end in ndtri([0.025, 0.975]):
            ax.axhline(end, color="0.35", linewidth=0.7, linestyle=":")
        low, high = padded(np.append(residuals, [-2.5, 2.5]))
        ax.set(xlabel=axis_label(label), ylabel="quantile residual", ylim=(low, high + 0.08 * (high - low)))
        ax.legend(loc="upper right")
    return ax


def _binned(x, values, weights):
    """Mean places, mean values and standard errors of bins of about as many rows, equal x in one bin."""
    bins = min(MOST_BINS, max(1, int(np.sqrt(len(x)) / 2)))
    edges = np.unique(np.quantile(x, np.linspace(0, 1, bins + 1)[1:-1]))
    of = np.searchsorted(edges, x, side="right")
    total = np.bincount(of, weights)
    seen = total > 0
    places, means = (np.bincount(of, weights * v)[seen] / total[seen] for v in (x, values))
    return places, means, 1.0 / np.sqrt(total[seen])


def qq_plot(fit: FitResult, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Quantile residuals in order, against the quantiles of the standard normal distribution.

    The band holds each ordered residual of a true model with probability `level`, one by one: order statistics of n
    uniform variables are beta variables. Parameters that were estimated bring residuals nearer to the line than that.

    Parameters
    ----------
    fit : FitResult
        Which knows its data.
    ax : matplotlib Axes, optional
    level : float

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If `fit` is no FitResult, does not know its data, or `level` is not between 0 and 1.
    """
    fit, level = as_fit(fit), check_number("level", level, "a number between 0 and 1", lambda v: 0 < v < 1)
    residuals, (_, _, weights) = fit.residuals(), fit.known_data()
    order = np.argsort(residuals)
    counts = np.ones(len(order)) if weights is None else weights[order]
    n, rank = counts.sum(), np.cumsum(counts) - 0.5 * counts + 0.5  # the middle one of rows that are alike
    normal = ndtri((rank - 0.5) / n)
    tail = 0.5 * (1.0 - level)
    low, high = (ndtri(beta.ppf(p, rank, n + 1.0 - rank)) for p in (tail, 1.0 - tail))
    with style():
        ax = as_axes(ax)
        ax.fill_between(
            normal, low, high, color="0.85", linewidth=0, label=f"{100 * level:.4g} % of each, if the model is right"
        )
        ax.plot(normal, normal, color="0.35", linewidth=0.7)
        ax.scatter(normal, residuals[order], **DOT, zorder=3)
        ax.set(xlabel="standard normal quantile", ylabel="quantile residual")
        ax.legend(loc="upper left")
    return ax
