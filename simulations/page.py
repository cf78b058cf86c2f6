"""The page of a study: a log-log panel for every quantity, with all models in it, and a panel of verdicts.

It shows tables, whether they are just made (`Summary`) or were written before (`gallery.Tables`): the same tables make
the same page. Primary quantities come first; on a page of its own the rest is what `hmoe plot --all` draws.
"""

import textwrap
import unicodedata

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from hmoe_stats.plotting import ALPHA, PAGE, PANELS, SMALLEST, curve_plot, plain, series_looks, shortened, style
from hmoe_stats.rates import RateFit

from . import UserError, words
from .columns import QUANTITY
from .ends import shares
from .expected import FORMS
from .messages import visible
from .study import sizes_of

# What the page shows, in this order: not the published loss, nor weights and gates, nor the worst expert.
PARAMETERS = ("loss_sharp", "hellinger", "routing", "expert", "cell_mean", "a", "omega", "eta", "tau", "nu")
COLORS = {"agrees": "#e8f1e4", "kept": "#e8f1e4", "undecided": "#efefef", "differs": "#f9e0d2", "broken": "#f9e0d2"}
MODEL = ["study", "gating", "k2"]
LONGEST = 18  # letters of a study's name where models of several studies are shown
ACROSS, ROW = 3, 1.95  # panels in a row, and its inches
LINE, COLUMN = 0.135, 1.18  # inches of a line and of a column of the panel of verdicts
TITLE = 8  # points
FOOT = 140  # letters of a line below the verdicts


def figure(found, statistic=None, declared=words.NOT_DECLARED, ends=None, every=False):
    """The page of a study.

    Parameters
    ----------
    found : Summary or gallery.Tables
        Its study, and the tables slopes and curves of that.
    statistic : str, optional
        Statistic over replicates, one that the study declares; by default the first.
    declared : str
        When the study was declared, as `protocol.Protocol` says it; not shown where that is not on record.
    ends : DataFrame, optional
        How fits ended, as `ends.table` gives it: shares of fits on the variance floor, and without an optimum, by n.
    every : bool
        Show all quantities, not six.

    Returns
    -------
    matplotlib Figure
        Panels for the primary quantities, then for the sharp Voronoi loss (and the Hellinger distance), then for every
        parameter in the largest cells that occur in at least half of the fits with most experts, masses aside; for
        groups of fitted groups likewise. Every panel has all models, and theory's rates; the legend of models is above
        them. The last panel tells, model by model, each rate with its interval and what that says of the limit of the
        statistic, or the bound that it has.

    Raises
    ------
    UserError
        If nothing has a slope.
    """
    study, statistic = found.study, statistic or found.study.statistics[0]
    slopes = _declared(found.slopes, statistic)
    curves = found.curves[found.curves["statistic"] == statistic]
    quantities = _quantities(study, slopes, curves)
    if not quantities:
        raise UserError(f"{study.name}: no slope to draw: no 2 sample sizes have 2 fits that reached an optimum")
    shown = quantities if every else quantities[:PANELS]
    slopes = {key: row for key, row in slopes.items() if key[1] in shown}
    names = _names(list(dict.fromkeys(model for model, _ in slopes)))
    foot = _foot(study, declared, ends, names, len(quantities) - len(shown))
    title = _title(study.title if study.title.strip() else study.name, statistic)
    looks = dict(zip(names.values(), series_looks(list(names.values())), strict=True))
    marks = [Line2D([], [], label=plain(name), **look) for name, look in looks.items()]
    columns = _columns(names, shown)
    rows, legend = -(-len(shown) // ACROSS), -(-len(marks) // columns)
    lines = (len(shown) + 1.3) * -(-len(names) // columns) + 2.1 + len(foot)
    above, below = LINE * (1.4 + legend + title.count("\n")) + 0.1, LINE * lines + 0.05
    height = above + ROW * rows + below
    with style():
        fig = Figure(figsize=(PAGE, height))
        fig.set_layout_engine("constrained", rect=(0, below / height, 1, ROW * rows / height))
        axes = fig.subplots(rows, ACROSS, squeeze=False)
        for ax, quantity in zip(axes.flat, shown, strict=False):
            ax.set_title(words.quantity(*quantity), loc="left")
        fig.draw_without_rendering()  # so that panels have their heights, by which legends get room
        for place, (ax, quantity) in enumerate(zip(axes.flat, shown, strict=False)):
            fits = {names[model]: _fit(row, curves) for (model, q), row in slopes.items() if q == quantity}
            curve_plot(fits, ax, references=_references(slopes, quantity), ylabel="", looks=looks)
            ax.set_xlabel("sample size n" if place + ACROSS >= len(shown) else "")
        for ax in axes.flat[len(shown) :]:
            ax.remove()
        table = fig.add_axes((0.005, 0, 0.99, below / height))
        _draw_verdicts(table, study, slopes, shown, names, columns, statistic, foot, lines)
        spot = (0.5, 1 - (above - LINE * legend - 0.07) / height)
        fig.suptitle(title, fontsize=TITLE, y=1 - 0.04 / height).set_in_layout(False)
        fig.legend(handles=marks, loc="upper center", bbox_to_anchor=spot, ncols=columns).set_in_layout(False)
    return fig


def _foot(study, declared, ends, names, more):
    """The lines below the verdicts."""
    foot = [] if declared == words.NOT_DECLARED else textwrap.wrap(visible(declared), FOOT)
    foot += [words.held_together(study.together)] if study.together else []
    for text in _ends(ends, names) if ends is not None else ():
        foot += textwrap.wrap(text, FOOT)
    return foot + ([words.more_panels(more, study.name)] if more else [])


def _ends(ends, names):
    """Shares of fits by n that a reader of rates has to know, in words: on the variance floor, without an optimum."""
    for what in ("nu_low", "max_iter"):
        by_sizes = {}
        for model, (sizes, values) in shares(ends, what).items():
            if model in names:
                by_sizes.setdefault(tuple(sizes), {})[names[model]] = values
        yield from (words.by_size(what, sizes, found) for sizes, found in by_sizes.items())


def _title(text, statistic):
    """A title as it is written, and what the page shows; what is longer than a line is wrapped, then cut."""
    text, said = visible(text), f"({statistic} over replicates)"
    letters = int(0.97 * PAGE * 72 / TITLE / (sum(map(_breadth, text)) / len(text)))
    if len(f"{text} {said}") <= letters:
        return plain(f"{text} {said}")
    return "\n".join(map(plain, [*textwrap.wrap(text, letters, max_lines=2), said]))


def _breadth(c):
    """Of a character, roughly, in its size."""
    return 1.0 if unicodedata.east_asian_width(c) in "WF" or c in "mwMW@%" else 0.7 if c.isupper() else 0.55


# -- what is shown ----------------------------------------------------------------------------------------------------
def _declared(table, statistic):
    """(model, quantity) -> its row of slopes, of all that have one; of declared replicates, where others were added."""
    table = table[(table["statistic"] == statistic) & table["slope"].notna()]
    table = table[table["part"] != "added"] if "part" in table else table
    rows = table.to_dict("records")
    return {(_key(row, MODEL), _key(row, QUANTITY)): row for row in rows}


def _key(row, names):
    return tuple(row[name] for name in names)


def _quantities(study, slopes, curves):
    """What can be shown, in order."""
    primary = list(map(words.named, study.primary))
    sizes = _common_sizes(curves)
    seen = {q for _, q in slopes if q in primary or (q[2] in PARAMETERS and q[1] == sizes.get(q[0], 0))}
    usual = sorted(seen - set(primary), key=lambda q: (q[0], q[3] == "barycentre", PARAMETERS.index(q[2])))
    return [*(q for q in primary if q in seen), *usual]


def _common_sizes(curves):
    """Level -> the largest size of a cell that occurs in at least half of the fits with most experts."""
    most = max(curves["k2"], key=lambda k2: sum(sizes_of(k2)), default="")
    fits = curves[curves["k2"] == most].groupby([*MODEL, *QUANTITY])["replicates"].sum().reset_index()
    fits = fits.groupby([*MODEL, "level", "size"])["replicates"].max().groupby(["level", "size"]).sum()
    out = {}
    for level in (1, 2):
        there = fits[level] if level in fits.index.get_level_values("level") else {}
        out[level] = max((size for size, count in there.items() if count >= 0.5 * fits.max()), default=1)
    return out


def _fit(row, curves):
    """The line of a row of slopes, with the points of `curves` that it goes through."""
    for name in (*MODEL, *QUANTITY):
        curves = curves[curves[name] == row[name]]
    n, value, low, high = (curves[name].to_numpy(dtype=float) for name in ("n", "value", "low", "high"))
    return RateFit(
        slope=row["slope"], ci_low=row["ci_low"], ci_high=row["ci_high"], level=0.95,
        intercept=float(np.log(value).mean() - row["slope"] * np.log(n).mean()), standard_error=np.nan,
        statistic=row["statistic"], n=n, values=value, log_standard_errors=np.log(high / low) / (2 * 1.96),
        n_replicates=curves["replicates"].to_numpy(), n_failed=row["failed"],
    )  # fmt: skip


def _names(models):
    """What tells the models of a page apart, gating first: it chooses the colour where it is enough."""
    kept = [i for i in (1, 0, 2) if i == 1 or len({model[i] for model in models}) > 1]
    studies = shortened(list(dict.fromkeys(model[0] for model in models)), LONGEST)
    parts = {model: (studies[model[0]], *model[1:]) for model in models}
    return {model: " ".join(str(parts[model][i]) for i in kept) for model in models}


def _references(slopes, quantity):
    """Labels and exponents of theory for one panel; gatings are named where they do not agree."""
    out = {}
    for form in FORMS:
        alphas = {}
        for (model, q), row in slopes.items():
            if q == quantity and not np.isnan(alpha := row[f"alpha_{form}"]):
                alphas.setdefault(alpha, {})[model[1]] = None
        for alpha, gatings in alphas.items():
            out[form + (f" {'/'.join(gatings)}" if len(alphas) > 1 else "")] = alpha
    return out


# -- verdicts ---------------------------------------------------------------------------------------------------------
def _columns(names, quantities):
    """How many models stand side by side."""
    return max(1, min(len(names), int((PAGE - _first(quantities)) / COLUMN)))


def _first(quantities):
    """Inches that the names of quantities take."""
    return max(len(words.quantity(*quantity)) for quantity in quantities) * 0.56 * SMALLEST / 72 + 0.2


def _draw_verdicts(ax, study, slopes, quantities, names, columns, statistic, foot, lines):
    """A line a quantity, a column a model: alpha with its interval, sign, and the limit of the statistic or a bound."""
    first = _first(quantities)
    width = min((PAGE - first) / columns, 1.3 * COLUMN)
    ax.set(xlim=(0, PAGE), ylim=(lines, 0))
    ax.set_axis_off()
    y, look = 0.0, {"va": "center", "size": SMALLEST}
    primary = list(map(words.named, study.primary)) if statistic == study.statistics[0] else []
    models = list(names)
    for here in (models[i : i + columns] for i in range(0, len(models), columns)):
        for column, model in enumerate(here):
            ax.text(first + (column + 0.5) * width, y + 0.5, plain(names[model]), ha="center", weight="bold", **look)
        for row, quantity in enumerate(quantities, start=1):
            mark = "* " if quantity in primary else ""
            ax.text(0, y + row + 0.5, mark + words.quantity(*quantity), ha="left", **look)
            for column, model in enumerate(here):
                if (model, quantity) in slopes:
                    text, color = _verdict(slopes[model, quantity])
                    place = first + column * width, y + row + 0.04
                    ax.add_patch(Rectangle(place, 0.97 * width, 0.92, facecolor=color, zorder=0))
                    ax.text(first + (column + 0.485) * width, y + row + 0.5, text, ha="center", **look)
        y += len(quantities) + 1.3
    said = (
        f"{ALPHA}: errors are of the order of n^(-{ALPHA}); measured, with its 95 % interval, against the derived "
        f"limit of this statistic, or ({words.LIMITS['bound'][0].strip()}) that of the worst case\n"
        f"{words.AGREEMENT_SIGNS}"
    )
    ax.text(0, y, "\n".join([said, *map(plain, foot)]), ha="left", va="top", size=SMALLEST, linespacing=1.4)


def _verdict(row):
    """What stands in the table, and the colour of it."""
    text = words.rate(row["slope"], row["ci_low"], row["ci_high"])
    if not np.isnan(row["alpha_limit"]):
        text += f"  {words.against(row['verdict_limit'], row['alpha_limit'], row['limit'])}"
    return text, COLORS.get(row["verdict_limit"], "white")
