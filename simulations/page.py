"""The page of a study: a log-log panel for every quantity and gate, side by side, and a panel of verdicts.

Panels side by side share one quantity and one scale: on the left the models whose gate at the quantity's level is
softmax, on the right those with Laplace gates, in the paired colours of `hmoe_stats.plotting`; beyond these quadratic
gates, where a study has some.
"""

import textwrap
import unicodedata

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import Rectangle

from hmoe_stats.gates import GATES
from hmoe_stats.plotting import plain, rate_plot, shortened, style

from . import UserError
from .study import sizes_of
from .summary import MODEL, Gathered, enough, exponent, line_through, verdict
from .words import MARKS, label, visible

PARAMETERS = ("loss_sharp", "hellinger", "a", "b", "omega", "beta", "eta", "tau", "nu")
KINDS = ("loss", "divergence", "weighted", "barycentre", "mass")
COLORS = {"consistent": "#e8f1e4", "inconclusive": "#efefef", "steeper": "#dce6f5", "flatter": "#f9e0d2", "": "white"}
ARROWS = {"steeper": "\N{DOWNWARDS ARROW}", "flatter": "\N{UPWARDS ARROW}"}
SIDES = "SL"  # gates that have a place on every page; others where they occur
LONG, SMALL = 8, 4.8  # letters of a name too long for a legend in the usual size; the size then, in points
LONGEST = 18  # letters of a study's name where models of several studies are shown
WIDTH, ROW, LINE = 8.2, 1.55, 0.155  # inches of the page, of a row of panels, and of a line of the panel of verdicts
TITLE = 9  # points


def figure(study, frame, beside=(), statistic=None):
    """The page of a study.

    Parameters
    ----------
    study : Study
    frame : DataFrame
    beside : sequence of (Study, DataFrame)
        As in `summary.slopes`.
    statistic : str, optional
        Statistic over replicates; by default the first one that the study declares.

    Returns
    -------
    matplotlib Figure
        Panels for the sharp Voronoi loss (and the Hellinger distance), and for every parameter in the largest cells
        that occur in at least half of the fits with most experts, masses aside; for groups of fitted groups likewise.
        Every panel has the models of one gate; its legend has their slopes, and theory's. The last panel tells, model
        by model, each slope with its interval and what that says of the derived slope.

    Raises
    ------
    ValueError
        If `frame` lacks a column.
    UserError
        If no cell is finished, no fit reached an optimum, or nothing has a slope.
    """
    gathered, statistic = Gathered(study, frame, beside), statistic or study.statistics[0]
    shown = _shown(gathered, statistic)
    if not shown:
        raise UserError(f"{study.name}: no slope to draw: no 2 sample sizes have 2 fits that reached an optimum")
    models = [model for model in gathered.theory if any(model == other for other, _ in shown)]
    quantities = _order(shown)
    sides = [letter for letter in GATES if letter in SIDES + "".join(model[1] for model, _ in shown)]
    blocks = 2 if len(quantities) > 1 and len(sides) == 2 else 1  # quantities in a row of panels
    rows = -(-len(quantities) // blocks)
    lines = len(quantities) + 2.2
    title = _title(study.title if study.title.strip() else study.name, statistic)
    with style():
        fig = Figure(figsize=(WIDTH, ROW * rows + LINE * (lines + title.count("\n")) + 0.45))
        grid = fig.add_gridspec(rows + 1, 1, height_ratios=[ROW] * rows + [LINE * lines])
        for row in range(rows):
            here = quantities[row * blocks : (row + 1) * blocks]
            axes = fig.add_subfigure(grid[row]).subplots(1, len(sides) * blocks, squeeze=False)[0]
            for i in range(blocks):
                panels = axes[len(sides) * i :][: len(sides)]
                if i < len(here):
                    by_side = dict(zip(sides, panels, strict=True))
                    _draw_sides(by_side, gathered, shown, here[i], statistic, last=row == rows - 1)
                else:
                    [ax.remove() for ax in panels]
        _draw_verdicts(fig.add_subfigure(grid[rows]).subplots(), gathered, shown, quantities, models)
        fig.suptitle(title, fontsize=TITLE)
    return fig


def _title(text, statistic):
    """A title as it is written, and what the page shows; what is longer than a line is wrapped, then cut."""
    text, said = visible(text), f"({statistic} over replicates)"
    letters = int(0.97 * WIDTH * 72 / TITLE / (sum(map(_breadth, text)) / len(text)))
    if len(f"{text} {said}") <= letters:
        return plain(f"{text} {said}")
    return "\n".join(map(plain, [*textwrap.wrap(text, letters, max_lines=2), said]))


def _breadth(c):
    """Of a character, roughly, in its size."""
    return 1.0 if unicodedata.east_asian_width(c) in "WF" or c in "mwMW@%" else 0.7 if c.isupper() else 0.55


# -- what is shown ----------------------------------------------------------------------------------------------------
def _shown(gathered, statistic):
    """(model, quantity) -> (rows to draw, their `RateFit`), of all that have a slope."""
    most = max(gathered.theory, key=lambda model: sum(sizes_of(model[2])))[2]
    data = gathered.per_replicate
    size = {level: _common_size(data[(data["k2"] == most) & (data["level"] == level)]) for level in (1, 2)}
    out = {}
    for model, quantity, part in gathered.parts():
        level, m, parameter, kind = quantity
        if parameter not in PARAMETERS or (level and (m != size[level] or kind == "mass")):
            continue
        part, _ = enough(part, statistic)
        fit, _ = line_through(part, statistic)
        if fit:
            out[model, quantity] = part, fit
    return out


def _common_size(data):
    """The largest size of a cell that occurs in at least half of the fits."""
    fits = data.drop_duplicates([*MODEL, "n", "replicate"])
    cells = data.drop_duplicates([*MODEL, "n", "replicate", "size"])
    often = cells.groupby("size").size() >= 0.5 * len(fits)
    return max(often[often].index, default=1)


def _order(shown):
    quantities = dict.fromkeys(quantity for _, quantity in shown)
    return sorted(quantities, key=lambda q: (q[0], KINDS.index(q[3]), PARAMETERS.index(q[2])))


def _letter(model, quantity):
    """The gate that matters for a quantity: that of its own level."""
    return model[1][0 if quantity[0] == 1 else 1]


# -- panels -----------------------------------------------------------------------------------------------------------
def _draw_sides(panels, gathered, shown, quantity, statistic, last):
    """One panel a gate (letter -> axes), on one scale; a side without models stays empty."""
    for letter, ax in panels.items():
        here = {m: part for (m, q), (part, _) in shown.items() if q == quantity and _letter(m, quantity) == letter}
        if not here:
            ax.set_axis_off()
            continue
        names = _names(list(here))
        table = pd.concat([part.assign(series=names[model]) for model, part in here.items()])
        references = _references(gathered, here, quantity)
        rate_plot(table, ax, statistic=statistic, series="series", references=references, ylabel="")
        if max(map(len, names.values())) > LONG:
            for text in (text for legend in ax.findobj(Legend) for text in legend.get_texts()):
                text.set_fontsize(SMALL)
        ax.set_title(f"{_short(quantity)}, {GATES[letter].name}", loc="left")
        ax.set_xlabel("sample size n" if last else "")
    drawn = [ax for ax in panels.values() if ax.axison]
    ends = [ax.get_ylim() for ax in drawn]
    for ax in drawn:
        ax.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
    for ax in drawn[1:]:
        ax.tick_params(axis="y", which="both", labelleft=False)


def _names(models):
    """What tells the models of a panel apart, gating first: it chooses the colour where it is enough."""
    kept = [i for i in (1, 0, 2) if i == 1 or len({model[i] for model in models}) > 1]
    studies = shortened(list(dict.fromkeys(model[0] for model in models)), LONGEST)
    parts = {model: (studies[model[0]], *model[1:]) for model in models}
    return {model: " ".join(str(parts[model][i]) for i in kept) for model in models}


def _references(gathered, models, quantity):
    """Labels and exponents of theory for one panel; gatings are named where they do not agree."""
    out = {}
    for i, form in enumerate(("published", "derived")):
        alphas = {}
        for model in models:
            alpha = exponent(gathered.theory[model][i], *quantity)
            if not np.isnan(alpha):
                alphas.setdefault(alpha, {})[model[1]] = None
        for alpha, gatings in alphas.items():
            out[form + (f" {'/'.join(gatings)}" if len(alphas) > 1 else "")] = alpha
    return out


def _short(quantity):
    """A quantity in few words, for a title."""
    level, size, parameter, kind = quantity
    if level == 0:
        return {"loss_sharp": "Voronoi loss", "hellinger": "Hellinger distance"}[parameter]
    mean = "mean " if kind == "barycentre" else ""
    return f"{mean}{parameter}" + (f", m = {size}" if size > 1 else "")


# -- verdicts ---------------------------------------------------------------------------------------------------------
def _draw_verdicts(ax, gathered, shown, quantities, models):
    """A line a quantity, a column a model: mark, slope and interval, and the derived slope."""
    names = _names(models)
    first = 0.82 * max(1.0, len(models) / 5)  # where columns begin, past the labels
    ax.set(xlim=(0, len(models) + first), ylim=(len(quantities) + 1.2, -1))
    ax.set_axis_off()
    size = 6.5 if len(models) <= 4 else 5.5
    for column, model in enumerate(models):
        ax.text(column + first + 0.48, -0.5, plain(names[model]), ha="center", va="center", size=size, weight="bold")
    for row, quantity in enumerate(quantities):
        ax.text(0, row + 0.5, label(*quantity), ha="left", va="center", size=size)
        for column, model in enumerate(models):
            if (model, quantity) not in shown:
                continue
            _, fit = shown[model, quantity]
            published, alpha = (exponent(table, *quantity) for table in gathered.theory[model])
            said = verdict(-alpha, fit.ci_low, fit.ci_high, -published)
            ax.add_patch(Rectangle((column + first, row + 0.04), 0.96, 0.92, facecolor=COLORS[said], zorder=0))
            expected = f"{-alpha:.3f}" if alpha else "no rate"
            theory = "" if np.isnan(alpha) else f"  {ARROWS.get(said, MARKS[said])} {expected}"
            ax.text(column + first + 0.48, row + 0.5, f"{fit}{theory}", ha="center", va="center", size=size)
    words = (
        f"measured slope and 95 % interval against the derived slope: {MARKS['consistent']} consistent, "
        f"{MARKS['inconclusive']} inconclusive (holds 0 or the published slope as well), "
        f"{ARROWS['steeper']} steeper (faster), {ARROWS['flatter']} flatter (slower)"
    )
    ax.text(0, len(quantities) + 0.7, words, ha="left", va="center", size=size)
