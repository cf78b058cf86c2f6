"""Figures at the level of axes: rates and moduli on log-log scales, losses, a fitted mixture, its size, interactions.

Every function takes ``ax=None`` and returns the axes it drew on. The style sheet ``hmoe.mplstyle`` is a context
(`style`) that ends with the function: no global setting changes, and no figure is registered with pyplot.

What a caller names (series, references, labels of axes) is text and drawn as it is written (`plain`); who wants
mathematics there sets it on the axes afterwards.
"""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, MaxNLocator, NullFormatter

from .arguments import check_data, check_flag, check_number, check_text, cut, shown
from .likelihood import gate_weights, predict, responsibilities
from .measure import as_wide
from .names import fraction, interval, of_data, visible
from .rates import RateFit, fit_rate

# Colour-blind safe (Okabe and Ito); blues have softmax, oranges Laplace and greens quadratic experts' gates, from dark
# to light, with purple and black for the two that are left. Markers and line styles tell them apart in grey.
GATING_STYLES = {
    "SS": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "LS": {"color": "#56B4E9", "marker": "D", "linestyle": "-."},
    "LL": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "SL": {"color": "#E69F00", "marker": "^", "linestyle": ":"},
    "QQ": {"color": "#009E73", "marker": "v", "linestyle": (0, (6, 2))},
    "SQ": {"color": "#66C5AB", "marker": "P", "linestyle": (0, (4, 1, 1, 1, 1, 1))},
    "LQ": {"color": "#B2E2D5", "marker": "X", "linestyle": (0, (2, 1))},
    "QS": {"color": "#CC79A7", "marker": ">", "linestyle": (0, (8, 2, 1, 2))},
    "QL": {"color": "#000000", "marker": "<", "linestyle": (0, (1, 2))},
}
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vPX"
LINES = ("-", "--", "-.", ":")
LONGEST = 40  # letters of a name in a legend: with rate and interval they take three quarters of a figure's width
ALPHA = "\N{GREEK SMALL LETTER ALPHA}"


def style():
    """The style sheet, as a context manager: ``with style(): ...``."""
    return mpl.rc_context(fname=Path(__file__).with_name("hmoe.mplstyle"))


def plain(text):
    r"""Text to be drawn as it is written: no dollar sign opens mathematics.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        For matplotlib, in one line: dollar signs escaped, characters that cannot be drawn (control characters, marks of
        direction, lone surrogates) shown as Python writes them, such as ``\x1b``, ``\n`` and ``\u202e``.
    """
    return visible(str(text)).replace("$", r"\$")


def shortened(names, longest=LONGEST):
    """Names for a legend: long ones lose their middle, and are numbered where that makes them alike.

    Parameters
    ----------
    names : sequence of str
        Distinct.
    longest : int
        Letters kept.

    Returns
    -------
    dict
        name -> its short form, distinct as the names are.
    """
    out, taken = {}, {name for name in names if len(name) <= longest}
    for name in names:
        short, number = name, 1
        while len(name) > longest and (number == 1 or short in taken):
            end = f" {number}" if number > 1 else ""
            head = (longest - 1 - len(end)) * 2 // 3
            short = f"{name[:head]}\N{HORIZONTAL ELLIPSIS}{name[head + 1 + len(end) - longest :]}{end}"
            number += 1
        out[name] = short
        taken.add(short)
    return out


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
    options = {"n_boot": n_boot, "level": level, "n_min": n_min}
    fits = [(name, fit_rate(part["n"], part["error"], statistic, **options)) for name, part in groups]
    return _curves(fits, ax, references, ylabel)


def curve_plot(fits, ax=None, *, references=None, ylabel="error"):
    """Rates that were fitted before: `rate_plot` from the results of `fit_rate`.

    Parameters
    ----------
    fits : dict
        Name of a series -> RateFit; an empty name is not written.
    ax, references, ylabel
        As in `rate_plot`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If `fits` is empty or holds something else, or a reference is not a finite number >= 0.
    """
    if not isinstance(fits, dict) or not fits or not all(isinstance(fit, RateFit) for fit in fits.values()):
        raise ValueError(f"fits must map names to results of fit_rate, at least one; got {shown(fits)}")
    check_text("ylabel", ylabel)
    return _curves(list(fits.items()), ax, _merged({} if references is None else references), ylabel)


def _curves(fits, ax, references, ylabel):
    with style():
        ax = _axes(ax)
        handles, lows, sizes = [], [], []
        looks, words = _looks([name for name, _ in fits]), shortened([name for name, _ in fits])
        for (name, fit), look in zip(fits, looks, strict=True):
            half = _normal_quantile(fit.level) * fit.log_standard_errors
            low, high = fit.values * np.exp(-half), fit.values * np.exp(half)
            ax.fill_between(fit.n, low, high, color=look["color"], alpha=0.15, linewidth=0)
            ax.plot(fit.n, fit.values, color=look["color"], marker=look["marker"], linestyle="none")
            ax.plot(fit.n, fit.predict(fit.n), color=look["color"], linestyle=look["linestyle"])
            alpha = f"{ALPHA} = {interval(-fit.slope, -fit.ci_high, -fit.ci_low)}"
            handles.append(Line2D([], [], label=f"{plain(words[name])}: {alpha}" if name else alpha, **look))
            lows, sizes = [*lows, *low], [*sizes, *fit.n]
        ax.set(xscale="log", yscale="log", xlabel="sample size n", ylabel=_axis_label(ylabel))
        ax.xaxis.set_minor_formatter(NullFormatter())
        _label_few(ax.yaxis)
        thin = _draw_references(ax, references, np.array(sizes), np.array(lows))
        _make_room(ax, len(handles), len(thin))
        if thin:
            ax.add_artist(ax.legend(handles=thin, loc="lower left"))
        ax.legend(handles=handles, loc="upper right")
    return ax


def loss_plot(table, ax=None, *, statistic="mean", series=None, n_min=None, ylabel="Voronoi loss"):
    """Voronoi losses against sample size, beside the parametric rate 1/2.

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
    from .theory.modulus import as_moduli

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
        ax.set(xscale="log", yscale="log", xlabel="discrepancy t", ylabel=_axis_label(ylabel))
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
        pad = 0.05 * (high - low)
        ax.set(xlim=(x[0], x[-1]), ylim=(low - pad, high + pad), ylabel=_axis_label(y_name))
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
        bottom = _gate_strip(ax, G, x, weights, colors) if gates else ax
        bottom.set_xlabel(_axis_label(x_name))
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


def dendrogram_plot(tree, ax=None):
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
    from .selection import Dendrogram

    if not isinstance(tree, Dendrogram):
        raise ValueError(f"tree must be a Dendrogram; got {shown(tree)}")
    G, order = tree.measures[0], sum(tree.steps[-1], ())  # in which no lines cross
    place = {(j,): (order.index(j), 0.0) for j in order}
    heights = np.maximum.accumulate(tree.heights)
    with style():
        ax = _axes(ax)
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


def criterion_plot(selection, ax=None, *, criterion="bic"):
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
    from .selection import Selection
    from .selection.candidates import LARGER

    if not isinstance(selection, Selection):
        raise ValueError(f"selection must be a Selection; got {shown(selection)}")
    best, table, larger = selection.best(criterion).measure, selection.table, criterion in LARGER
    table = table.assign(experts=table["k2"].map(sum), tree=table["k2"].map(len) > 1).dropna(subset=[criterion])
    with style():
        ax = _axes(ax)
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


def interaction_plot(result, ax=None, *, names=None):
    """Cosines between the derivatives of a density, the identities among them framed and written beside.

    The lower triangle shows the cosine of each pair in L2(P_0). A frame marks a derivative and a term of the identity
    that it obeys. The upper triangle lists the identities, and the smallest other angles of derivatives to the span of
    those of lower order.

    Parameters
    ----------
    result : Interactions
        Of `hmoe_stats.theory.interactions`.
    ax : matplotlib Axes, optional
    names : sequence of str, optional
        The derivatives to show, among ``result.names``; by default all.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there is no name, or an unknown one.
    """
    from .theory import Interactions

    if not isinstance(result, Interactions):
        raise ValueError(f"result must be an Interactions; got {shown(result)}")
    wanted = f"some of {cut(', '.join(result.names), 300)}"
    if names is not None and not isinstance(names, tuple | list):
        raise ValueError(f"names must be a sequence, {wanted}; got {shown(names)}")
    names = list(result.names if names is None else names)
    unknown = [name for name in names if not isinstance(name, str) or name not in result.names]
    if unknown or not names:
        raise ValueError(f"names must be {wanted}; got {shown(unknown[0]) if unknown else repr('none')}")
    where = [result.names.index(name) for name in names]
    cosines = result.correlation[np.ix_(where, where)]
    above = np.triu(np.ones_like(cosines, dtype=bool), 1)
    with style():
        ax = _axes(ax)
        image = ax.imshow(np.ma.array(cosines, mask=above), cmap="RdBu_r", vmin=-1, vmax=1)
        ax.figure.colorbar(image, ax=ax, label="cosine in L2", shrink=0.6, ticks=(-1, -0.5, 0, 0.5, 1))
        labels = [f"${_math(name)}$" for name in names]
        ticks = range(len(names))
        ax.set_xticks(ticks, labels, rotation=90)
        ax.set_yticks(ticks, labels)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        for identity in result.identities:
            *terms, last = np.flatnonzero(identity.vector).tolist()
            for term in terms:
                if term in where and last in where:
                    row, column = sorted((where.index(last), where.index(term)), reverse=True)
                    ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1))
        size = mpl.rcParams["legend.fontsize"]
        ax.text(1, 1, "\n".join(_interaction_lines(result)), transform=ax.transAxes, ha="right", va="top", size=size)
    return ax


def _interaction_lines(result, most=8):
    lines = [f"{result.measure.gating}, {result.form}: {len(result.identities)} identities"]
    lines += [_in_math(identity.text) for identity in result.identities[:most]]
    more = len(result.identities) - most
    lines += [f"and {more} more"] if more > 0 else []
    lines += [f"{_in_math(name)} not in L2" for name in list(result.missing)[:most]]
    table = result.to_frame()
    table = table[(table["order"] > 1) & (table["identity"] == "")].nsmallest(3, "angle")
    angles = zip(table["derivative"], table["angle"], strict=True)
    return lines + [f"angle {_in_math(name)}: {angle:.3g}\N{DEGREE SIGN}" for name, angle in angles]


def _in_math(text):
    return re.sub(r"d\d?/d\S+(?: d[a-z]\S*)*", lambda found: f"${_math(found[0])}$", text)


def _math(name):
    """``d2/domega_0 dtau[0,1]`` in mathtext."""
    above, _, below = name.partition("/")
    parts = []
    for part in below.split(" "):
        letter, coordinate, at, power = re.fullmatch(r"d([a-z]+)(_\d+)?(\[.*\])?\^?(\d*)", part).groups("")
        letter = letter if letter in "ab" else f"\\{letter}"
        index = ",".join(piece for piece in (coordinate[1:], at[1:-1]) if piece)
        parts.append(rf"\partial {letter}" + (f"_{{{index}}}" if index else "") + (f"^{power}" if power else ""))
    order = f"^{above[1:]}" if above[1:] else ""
    return rf"\partial{order}/{''.join(parts)}"


def _axis_label(text):
    return plain(shortened([str(text)], 60)[str(text)])


# -- parts of the rate plot -------------------------------------------------------------------------------------------
def _axes(ax):
    if ax is not None and not isinstance(ax, Axes):
        raise ValueError(f"ax must be a matplotlib Axes; got {shown(ax)}")
    return Figure().subplots() if ax is None else ax


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


def _look(name, i):
    plain = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)], "linestyle": LINES[i % len(LINES)]}
    return GATING_STYLES.get(name, plain)


def _looks(names):
    """A look for each series; several that begin with the same gating ("SS 2,2", "SS 3,3") share its colour, paler."""
    looks, seen = [], {}
    for i, name in enumerate(names):
        gating = name.partition(" ")[0]
        look, number = dict(_look(gating, i)), seen.get(gating, 0)
        if gating in GATING_STYLES and number:
            pale = 0.75**number * np.array(to_rgb(look["color"])) + 1 - 0.75**number
            place = list(GATING_STYLES).index(gating) + 4 * number
            look |= {"color": pale, "marker": MARKERS[place % len(MARKERS)]}
        seen[gating] = number + 1
        looks.append(look)
    return looks


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


def _label_few(axis):
    """Label a few minor ticks of a log axis where the powers of ten on it may be fewer than two."""
    words = LogFormatterSciNotation(minor_thresholds=(np.inf, np.inf))
    words.set_axis(axis)

    def label(value, _):
        low, high = axis.get_view_interval()
        digits = (2, 5) if high > 5 * low else (2, 3, 5, 7)
        digit = round(value / 10.0 ** np.floor(np.log10(value)))
        return words(value) if digit in digits and high < 100 * low else ""

    axis.set_minor_formatter(FuncFormatter(label))


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
