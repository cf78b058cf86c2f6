"""Figures at the level of axes: rates and moduli on log-log scales, losses, and a fitted mixture on its data.

Every function takes ``ax=None`` and returns the axes it drew on. The style sheet ``hmoe.mplstyle`` is a context
(`style`) that ends with the function: no global setting changes, and no figure is registered with pyplot.
"""

from fractions import Fraction
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .likelihood import check_data, check_measure, gate_weights, predict, responsibilities
from .rates import fit_rate

# Colour-blind safe (Okabe and Ito); blues have softmax and oranges Laplace experts' gates, each pair dark and light.
# Markers and line styles tell them apart in grey.
GATING_STYLES = {
    "SS": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "LS": {"color": "#56B4E9", "marker": "D", "linestyle": "-."},
    "LL": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "SL": {"color": "#E69F00", "marker": "^", "linestyle": ":"},
}
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vPX"
LINES = ("-", "--", "-.", ":")


def style():
    """The style sheet, as a context manager: ``with style(): ...``."""
    return mpl.rc_context(fname=Path(__file__).with_name("hmoe.mplstyle"))


def rate_plot(
    table,
    ax=None,
    *,
    statistic="mean",
    series=None,
    references=None,
    n_min=None,
    level=0.95,
    n_boot=2000,
    ylabel="error",
):
    """Errors against sample size, log-log, with the fitted slope of each series and theory's slopes beside them.

    Parameters
    ----------
    table : DataFrame
        Columns ``n`` and ``error``, one row a replicate; NaN errors are failed fits, as in `fit_rate`.
    ax : matplotlib Axes, optional
    statistic : {"mean", "median", "qNN"}
        Statistic over replicates: the points, with a bar of its bootstrap interval, and the fitted line.
    series : str, optional
        Column that splits the table into series; by default ``"gating"`` if there is such a column.
    references : dict, optional
        Label -> alpha: slopes -alpha to draw thin under the data, such as ``{"published": 1 / 8, "derived": 1 / 4}``.
        Labels of equal slopes share a line.
    n_min, level, n_boot
        As in `fit_rate`.
    ylabel : str

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If a column is missing, a reference is not a finite number >= 0, or `fit_rate` refuses a series.
    """
    groups = _series(table, series)
    references = _merged(references or {})
    with style():
        ax = _axes(ax)
        handles, lows, highs, sizes = [], [], [], []
        for i, (name, part) in enumerate(groups):
            fit = fit_rate(part["n"], part["error"], statistic, n_boot=n_boot, level=level, n_min=n_min)
            look = _look(name, i)
            half = _normal_quantile(level) * fit.log_standard_errors
            low, high = fit.values * np.exp(-half), fit.values * np.exp(half)
            bars = {k: look[k] for k in ("color", "marker")} | {"linestyle": "none", "elinewidth": 0.8, "capsize": 1.5}
            ax.errorbar(fit.n, fit.values, yerr=[fit.values - low, high - fit.values], **bars)
            ax.plot(fit.n, fit.predict(fit.n), color=look["color"], linestyle=look["linestyle"])
            handles.append(Line2D([], [], label=f"{name}: slope {fit}" if name else f"slope {fit}", **look))
            lows, highs, sizes = [*lows, *low], [*highs, *high], [*sizes, *fit.n]
        ax.set(xscale="log", yscale="log", xlabel="sample size n", ylabel=ylabel)
        thin = _draw_references(ax, references, np.array(sizes), np.array(lows))
        _make_room(ax, len(handles), len(thin))
        if thin:
            ax.add_artist(ax.legend(handles=thin, loc="lower left"))
        ax.legend(handles=handles, loc="upper right")
    return ax


def loss_plot(table, ax=None, *, statistic="mean", series=None, n_min=None, ylabel="Voronoi loss"):
    """Voronoi losses against sample size, beside the parametric slope -1/2.

    Parameters and errors are those of `rate_plot`, with the losses in the column ``error``.

    Returns
    -------
    matplotlib Axes
    """
    half = {"parametric": 0.5}
    return rate_plot(table, ax, statistic=statistic, series=series, references=half, n_min=n_min, ylabel=ylabel)


def modulus_plot(moduli, ax=None, *, references=None, ylabel=None):
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
    from .theory import Modulus

    moduli = [moduli] if isinstance(moduli, Modulus) else list(moduli)
    if not moduli or not all(isinstance(one, Modulus) for one in moduli):
        raise ValueError(f"moduli must be a Modulus or a sequence of them; got {moduli!r}")
    if not any((one.distance > 0).any() for one in moduli):
        raise ValueError("moduli must hold a positive distance; got none")
    if references is None:
        powers = {one.derived: "derived" for one in moduli if np.isfinite(one.derived)}
    else:
        powers = _merged(references, "kappas")
    several = len({one.gating for one in moduli}) > 1
    with style():
        ax = _axes(ax)
        handles = []
        for i, one in enumerate(moduli):
            look = _look(one.gating if several else "", i)
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
        ax.set(xscale="log", yscale="log", xlabel="discrepancy t", ylabel=ylabel)
        thin = _draw_powers(ax, powers, moduli)
        _make_room(ax, len(handles), len(thin))
        if thin:
            ax.add_artist(ax.legend(handles=thin, loc="lower right"))
        ax.legend(handles=handles, loc="upper left")
    return ax


def fit_plot(G, X, y, ax=None, *, gates=True):
    """A measure with one covariate on its data.

    Points take the colours of the experts, mixed by their responsibilities. Each expert is a line with a band of two
    standard deviations, drawn in full where its gate weight exceeds 0.05 and dotted elsewhere; the thin black line is
    the conditional mean. The strip below stacks the gate weights of the experts, with black lines between groups.

    Parameters
    ----------
    G : MixingMeasure
        With d = 1.
    X : array_like, (n, 1) or (n,)
    y : array_like, (n,)
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
    if check_measure(G).d != 1:
        raise ValueError(f"G must have one covariate (d = 1) to be drawn; got d = {G.d}")
    X, y = check_data(X, y, 1)
    colors = [COLORS[i % len(COLORS)] for i in range(G.n_experts)]
    x = np.linspace(X.min(), X.max(), 400)
    weights = gate_weights(G, x[:, None])
    with style():
        ax = _axes(ax)
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
        span = y.max() - y.min()
        ax.set(xlim=(x[0], x[-1]), ylim=(y.min() - 0.05 * span, y.max() + 0.05 * span), ylabel="y")
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
        bottom = _gate_strip(ax, G, x, weights, colors) if gates else ax
        bottom.set_xlabel("x")
    return ax


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


# -- parts of the rate plot -------------------------------------------------------------------------------------------
def _axes(ax):
    return Figure().subplots() if ax is None else ax


def _series(table, series):
    """(name, rows) of each series, in order of appearance; one nameless series if there is no column to split by."""
    if series is None:
        series = "gating" if "gating" in table.columns else None
    missing = [c for c in ("n", "error", series) if c is not None and c not in table.columns]
    if missing:
        raise ValueError(f"table must have the columns n and error; {missing[0]!r} is not among {list(table.columns)}")
    if not len(table):
        raise ValueError("table must have at least one row; got none")
    return [("", table)] if series is None else [(str(k), part) for k, part in table.groupby(series, sort=False)]


def _look(name, i):
    plain = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)], "linestyle": LINES[i % len(LINES)]}
    return GATING_STYLES.get(name, plain)


def _merged(references, what="alphas"):
    """alpha -> label, shallowest first; labels of equal alphas joined."""
    out = {}
    for label, alpha in references.items():
        if not isinstance(alpha, int | float | np.number) or not 0 <= alpha < np.inf:
            raise ValueError(f"references must map labels to finite {what} >= 0; got {label!r}: {alpha!r}")
        out.setdefault(round(float(alpha), 9), []).append(label)
    return {alpha: ", ".join(labels) for alpha, labels in sorted(out.items())}


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
        handles.append(Line2D([], [], label=f"{_fraction(alpha)}: {label}", **look))
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
        handles.append(Line2D([], [], label=f"{_fraction(kappa).removeprefix('-')}: {label}", **look))
    return handles


def _fraction(alpha):
    near = Fraction(alpha).limit_denominator(60)
    return f"-{near}" if alpha and abs(near - alpha) < 1e-6 else f"{-alpha:.3g}" if alpha else "no rate"


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
