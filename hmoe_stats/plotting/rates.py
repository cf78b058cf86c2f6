"""Rates, losses and moduli on log-log scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D

from ..arguments import check_number, check_text, shown
from ..kinds import Axes, Frame
from ..names import fraction, interval
from ..rates import RateFit, fit_rate
from ..theory import Modulus
from .looks import ALPHA, LINES, as_axes, axis_label, label_powers, look_of, plain, series_looks, shortened, style


def rate_plot(
    table: Frame,
    ax: Axes | None = None,
    *,
    statistic: str = "mean",
    series: str | None = None,
    references: dict[str, float] | None = None,
    n_min: float | None = None,
    level: float = 0.95,
    n_boot: int = 2000,
    ylabel: str = "error",
) -> Axes:
    """Errors against sample size, log-log, with the fitted rate of each series and theory's rates beside them.

    The legend has alpha, errors being of the order of n^(-alpha), with its interval.

    Parameters
    ----------
    table : DataFrame
        Columns ``n`` and ``error``, one row a replicate; NaN errors are failed fits, as in `fit_rate`.
    ax : matplotlib Axes, optional
    statistic : {"mean", "median", "qNN"}
        Statistic over replicates: the points, with a band of their bootstrap intervals, and the fitted line.
    series : str, optional
        Column that splits the table into series; by default ``"gating"`` if there is such a column.
    references : dict, optional
        Label -> alpha: rates to draw thin under the data, such as ``{"published": 1 / 8, "derived": 1 / 4}``. Labels of
        equal rates share a line.
    n_min, level, n_boot
        As in `fit_rate`.
    ylabel : str
        Drawn as it is written, as all names are.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If a column is missing, a reference is not a finite number >= 0, or `fit_rate` refuses a series.
    """
    groups, references = _series(table, series), _merged({} if references is None else references)
    check_text("ylabel", ylabel)
    fits = [(name, fit_rate(part["n"], part["error"], statistic, n_boot, level, n_min=n_min)) for name, part in groups]
    return _curves(fits, ax, references, ylabel)


def curve_plot(
    fits: dict[str, RateFit],
    ax: Axes | None = None,
    *,
    references: dict[str, float] | None = None,
    ylabel: str = "error",
    looks: Sequence[dict[str, Any]] | None = None,
) -> Axes:
    """Rates that were fitted before: `rate_plot` from the results of `fit_rate`.

    Parameters
    ----------
    fits : dict
        Name of a series -> RateFit; an empty name is not written.
    ax, references, ylabel
        As in `rate_plot`.
    looks : dict, optional
        Name of each series -> its look, of those that `series_looks` gives several panels. Series then have no legend,
        as that is one for the panels.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If `fits` is empty or holds something else, a reference is not a finite number >= 0, or `looks` lacks a series.
    """
    if not isinstance(fits, dict) or not fits or not all(isinstance(fit, RateFit) for fit in fits.values()):
        raise ValueError(f"fits must map names to results of fit_rate, at least one; got {shown(fits)}")
    if looks is not None and not (isinstance(looks, dict) and set(fits) <= set(looks)):
        raise ValueError(f"looks must map the name of every series to its look; got {shown(looks)}")
    check_text("ylabel", ylabel)
    return _curves(list(fits.items()), ax, _merged({} if references is None else references), ylabel, looks)


def _curves(fits, ax, references, ylabel, given=None):
    names = [name for name, _ in fits]
    with style():
        ax = as_axes(ax)
        handles, lows, sizes = [], [], []
        words, looks = shortened(names), series_looks(names) if given is None else [given[name] for name in names]
        for (name, fit), look in zip(fits, looks, strict=True):
            half = _normal_quantile(fit.level) * fit.log_standard_errors
            low, high = fit.values * np.exp(-half), fit.values * np.exp(half)
            ax.fill_between(fit.n, low, high, color=look["color"], alpha=0.15, linewidth=0)
            ax.plot(fit.n, fit.values, **look | {"linestyle": "none"})
            ax.plot(fit.n, fit.predict(fit.n), color=look["color"], linestyle=look["linestyle"])
            alpha = f"{ALPHA} = {interval(-fit.slope, -fit.ci_high, -fit.ci_low)}"
            handles.append(Line2D([], [], label=f"{plain(words[name])}: {alpha}" if name else alpha, **look))
            lows, sizes = [*lows, *low], [*sizes, *fit.n]
        ax.set(xscale="log", yscale="log", xlabel="sample size n", ylabel=axis_label(ylabel))
        label_powers(ax.xaxis)
        label_powers(ax.yaxis, few=True)
        thin = _draw_references(ax, references, np.array(sizes), np.array(lows))
        _make_room(ax, len(handles) if given is None else 0, len(thin))
        if thin:
            ax.legend(handles=thin, loc="lower left").set_in_layout(False)
        if given is None:
            _keep_legend(ax)
            ax.legend(handles=handles, loc="upper right").set_in_layout(False)  # long names take no room from the axes
    return ax


def _keep_legend(ax):
    """Axes have one legend: one more takes its place, unless that is an artist of its own."""
    if ax.get_legend():
        ax.add_artist(ax.get_legend())


def loss_plot(
    table: Frame,
    ax: Axes | None = None,
    *,
    statistic: str = "mean",
    series: str | None = None,
    n_min: float | None = None,
    ylabel: str = "Voronoi loss",
) -> Axes:
    """Voronoi losses against sample size, beside the parametric rate 1/2.

    Parameters and errors are those of `rate_plot`, with the losses in the column ``error``.

    Returns
    -------
    matplotlib Axes
    """
    half = {"parametric": 0.5}
    return rate_plot(table, ax, statistic=statistic, series=series, references=half, n_min=n_min, ylabel=ylabel)


def modulus_plot(
    moduli: Modulus | Sequence[Modulus],
    ax: Axes | None = None,
    *,
    references: dict[str, float] | None = None,
    ylabel: str | None = None,
) -> Axes:
    """Moduli of continuity: distance against discrepancy t, log-log, with fitted exponents and reference slopes.

    Parameters
    ----------
    moduli : Modulus or sequence of Modulus
        Results of `theory.modulus`. A clean one has its fitted line over its clean range; of others the legend tells
        the status.
    ax : matplotlib Axes, optional
    references : dict, optional
        Label -> kappa: slopes to draw thin, each under the modulus of the nearest exponent; by default the finite
        derived exponents.
    ylabel : str, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If `moduli` is empty or holds something else, has no positive distance, or a reference is not a finite
        number >= 0.
    """
    from ..theory.modulus import as_moduli

    moduli = as_moduli(moduli)
    if not moduli:
        raise ValueError("moduli must be a Modulus or a sequence of them; got none")
    if not any((one.distance > 0).any() for one in moduli):
        raise ValueError("moduli must hold a positive distance; got none")
    if ylabel is not None:
        check_text("ylabel", ylabel)
    if references is None:
        powers = {one.derived: "derived" for one in moduli if np.isfinite(one.derived)}
    else:
        powers = _merged(references, "kappas")
    several = len({one.gating for one in moduli}) > 1
    with style():
        ax = as_axes(ax)
        handles = []
        for i, one in enumerate(moduli):
            look = look_of(one.gating if several else "", i)
            says = f"exponent {one.exponent:.3f}" if one.status == "clean" else one.status
            prefix = f"{one.gating} " if several else ""
            handles.append(Line2D([], [], label=f"{prefix}{one.discrepancy}, m = {one.m}: {says}", **look))
            seen = one.distance > 0
            ax.plot(one.t[seen], one.distance[seen], color=look["color"], marker=look["marker"], linestyle="none")
            if one.status == "clean":
                inside, ends = one.t <= one.clean[1], np.array(one.clean)
                height = np.exp(np.mean(np.log(one.distance[inside]) - one.exponent * np.log(one.t[inside])))
                ax.plot(ends, height * ends**one.exponent, color=look["color"], linestyle=look["linestyle"])
        ylabel = ylabel or " or ".join(sorted({one.metric for one in moduli})) + " distance"
        ax.set(xscale="log", yscale="log", xlabel="discrepancy t", ylabel=axis_label(ylabel))
        label_powers(ax.xaxis)
        label_powers(ax.yaxis, few=True)
        thin = _draw_powers(ax, powers, moduli)
        _make_room(ax, len(handles), len(thin))
        if thin:
            ax.legend(handles=thin, loc="lower right")
            _keep_legend(ax)
        ax.legend(handles=handles, loc="upper left")
    return ax


# -- parts of these
def _series(table, series):
    """(name, rows) of each series, in order of appearance; one nameless series if there is no column to split by."""
    if not hasattr(table, "groupby") or not hasattr(table, "columns"):
        raise ValueError(f"table must be a DataFrame with the columns n and error; got {shown(table)}")
    columns = list(table.columns)
    if series is None:
        series = "gating" if "gating" in columns else None
    elif not isinstance(series, str):
        raise ValueError(f"series must be the name of a column of the table; got {shown(series)}")
    for column in ("n", "error", *(() if series is None else (series,))):
        if columns.count(column) != 1:
            came = f"{shown(column)} is {'twice' if column in columns else 'not'} among {shown(columns, 200)}"
            raise ValueError(f"table must have the columns n and error; {came}")
    if not len(table):
        raise ValueError("table must have at least one row; got none")
    if series is not None and table[series].isna().any():
        raise ValueError(f"table must name a series in every row; got none in some of its column {shown(series)}")
    if series is None:
        return [("", table)]
    return [(str(name), part) for name, part in table.groupby(series, sort=False, observed=True)]


def _merged(references, what="alphas"):
    """alpha -> label, shallowest first; labels of equal alphas joined."""
    wanted, out = f"references must map labels to finite {what} >= 0", {}
    if not isinstance(references, dict):
        raise ValueError(f"{wanted}; got {shown(references)}")
    for label, alpha in references.items():
        try:
            alpha = check_number("alpha", alpha, "finite", lambda v: 0 <= v < np.inf)
        except ValueError:
            raise ValueError(f"{wanted}; got {shown(label)}: {shown(alpha)}") from None
        out.setdefault(round(alpha, 9), []).append(str(label))
    words = shortened([label for labels in out.values() for label in labels])
    return {alpha: plain(", ".join(words[label] for label in labels)) for alpha, labels in sorted(out.items())}


def _draw_references(ax, references, n, low):
    """Thin lines that fan out from one point, the shallowest just under the data; returns legend handles."""
    if not references:
        return []
    ends, shallow = np.array([n.min(), n.max()]), min(references)
    start = 0.8 * np.min(low * (n / ends[0]) ** shallow)
    handles = []
    for (alpha, label), line in zip(references.items(), LINES * len(references), strict=False):
        look = {"color": "0.35", "linestyle": line, "linewidth": 0.7}
        ax.plot(ends, start * (ends / ends[0]) ** -alpha, zorder=1, **look)
        handles.append(Line2D([], [], label=f"{ALPHA} = {fraction(alpha)}: {label}", **look))
    return handles


def _draw_powers(ax, powers, moduli):
    """Thin lines t^kappa, each under the modulus of the nearest exponent; returns legend handles."""
    handles = []
    drawn = [one for one in moduli if (one.distance > 0).any()]
    for (kappa, label), line in zip(sorted(powers.items()), LINES * len(powers), strict=False):
        gaps = [abs((one.exponent if one.status == "clean" else np.inf) - kappa) for one in drawn]
        one = drawn[int(np.argmin(gaps))]
        t, h = one.t[one.distance > 0], one.distance[one.distance > 0]
        ends, look = np.array([t[-1], t[0]]), {"color": "0.35", "linestyle": line, "linewidth": 0.7}
        ax.plot(ends, 0.4 * np.min(h / t**kappa) * ends**kappa, zorder=1, **look)
        handles.append(Line2D([], [], label=f"{fraction(kappa)}: {label}", **look))
    return handles


def _make_room(ax, above, below):
    """Widen the limits so that legends of so many lines fit over the fall of the data and under the references."""
    line = 1.35 * mpl.rcParams["legend.fontsize"] / (ax.get_window_extent().height * 72 / ax.figure.dpi)
    low, high = np.log(ax.get_ylim())
    top, bottom = min(0.35, (above + 0.3) * line), min(0.35, (below + 0.3) * line)
    span = (high - low) / (1 - top - bottom)
    ax.set_ylim(np.exp(low - bottom * span), np.exp(high + top * span))


def _normal_quantile(level):
    from scipy.special import ndtri

    return ndtri(0.5 + 0.5 * level)
