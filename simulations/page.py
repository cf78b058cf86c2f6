"""The page of a study: a log-log panel for every quantity and gate, side by side, and a panel of verdicts.

Panels side by side share one quantity and one scale: on the left the models whose gate at the quantity's level is
softmax, on the right those with Laplace gates, in the paired colours of `hmoe_stats.plotting`; beyond these quadratic
gates, where a study has some.
"""

import textwrap
import unicodedata

import numpy as np
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import Rectangle

from hmoe_stats.gates import GATES
from hmoe_stats.plotting import ALPHA, curve_plot, plain, shortened, style

from . import UserError, words
from .ends import shares
from .expected import FORMS
from .messages import visible
from .study import sizes_of

# What the page shows, in this order: not the published loss, nor weights and gates, nor the worst expert.
PARAMETERS = ("loss_sharp", "hellinger", "routing", "expert", "cell_mean", "a", "omega", "eta", "tau", "nu")
COLORS = {"agrees": "#e8f1e4", "kept": "#e8f1e4", "undecided": "#efefef", "differs": "#f9e0d2", "broken": "#f9e0d2"}
SIDES = "SL"  # gates that have a place on every page; others where they occur
LONG, SMALL = 8, 4.8  # letters of a name too long for a legend in the usual size; the size then, in points
LONGEST = 18  # letters of a study's name where models of several studies are shown
WIDTH, ROW, LINE = 8.2, 1.68, 0.155  # inches of the page, of a row of panels, and of a line of the panel of verdicts
TITLE = 9  # points
FOOT = 150  # letters of a line below the verdicts


def figure(summary, statistic=None, declared=words.NOT_DECLARED, ends=None):
    """The page of a study.

    Parameters
    ----------
    summary : Summary
    statistic : str, optional
        Statistic over replicates; by default the first one that the study declares.
    declared : str
        When the study was declared, as `protocol.Protocol` says it; not shown where that is not on record.
    ends : DataFrame, optional
        How fits ended, as `ends.table` gives it: shares of fits on the variance floor, and without an optimum, by n.

    Returns
    -------
    matplotlib Figure
        Panels for the sharp Voronoi loss (and the Hellinger distance), and for every parameter in the largest cells
        that occur in at least half of the fits with most experts, masses aside; for groups of fitted groups likewise.
        Every panel has the models of one gate; its legend has their rates, and theory's. The last panel tells, model by
        model, each rate with its interval and what that says of the limit of the statistic, or the bound that it has.

    Raises
    ------
    UserError
        If nothing has a slope.
    """
    study, statistic = summary.study, statistic or summary.study.statistics[0]
    shown = _shown(summary, statistic)
    if not shown:
        raise UserError(f"{study.name}: no slope to draw: no 2 sample sizes have 2 fits that reached an optimum")
    models = [model for model in summary.expected if any(model == other for other, _ in shown)]
    quantities = _order(shown)
    sides = [letter for letter in GATES if letter in SIDES + "".join(model[1] for model, _ in shown)]
    blocks = 2 if len(quantities) > 1 and len(sides) == 2 else 1  # quantities in a row of panels
    rows = -(-len(quantities) // blocks)
    foot = [] if declared == words.NOT_DECLARED else textwrap.wrap(visible(declared), FOOT)
    foot += [words.held_together(summary.together)] if summary.together else []
    foot += [line for text in _ends(ends, models) for line in textwrap.wrap(text, FOOT)] if ends is not None else []
    lines = len(quantities) + 2.2 + len(foot)
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
                    _draw_sides(by_side, summary, shown, here[i], last=row == rows - 1)
                else:
                    [ax.remove() for ax in panels]
        _draw_verdicts(fig.add_subfigure(grid[rows]).subplots(), summary, shown, quantities, models, statistic, foot)
        fig.suptitle(title, fontsize=TITLE)
    return fig


def _ends(ends, models):
    """Shares of fits by n that a reader of rates has to know, in words: on the variance floor, without an optimum."""
    names = _names(models)
    for what in ("nu_low", "max_iter"):
        by_sizes = {}
        for model, (sizes, values) in shares(ends, what).items():
            if model in names:
                by_sizes.setdefault(tuple(sizes), {})[names[model]] = values
        yield from (words.by_size(what, sizes, found) for sizes, found in by_sizes.items())


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
def _shown(summary, statistic):
    """(model, quantity) -> its `RateFit`, of all that have a slope."""
    most = max(summary.expected, key=lambda model: sum(sizes_of(model[2])))[2]
    size = {level: _common_size(summary.errors, most, level) for level in (1, 2)}
    out = {}
    for model, quantity in summary.errors:
        level, m, parameter, _ = quantity
        if parameter not in PARAMETERS or (level and m != size[level]):
            continue
        fit = summary.line(model, quantity, statistic).fit
        if fit:
            out[model, quantity] = fit
    return out


def _common_size(errors, k2, level):
    """The largest size of a cell that occurs in at least half of the fits of a shape."""
    cells = {}
    for (model, quantity), found in errors.items():
        if model[2] == k2 and quantity[0] == level:
            fits = cells.setdefault(quantity[1], set())
            fits.update(zip([model] * len(found.n), found.n.tolist(), found.replicate.tolist(), strict=True))
    every = set().union(*cells.values())
    return max((size for size, fits in cells.items() if len(fits) >= 0.5 * len(every)), default=1)


def _order(shown):
    quantities = dict.fromkeys(quantity for _, quantity in shown)
    return sorted(quantities, key=lambda q: (q[0], q[3] == "barycentre", PARAMETERS.index(q[2])))


def _letter(model, quantity):
    """The gate that matters for a quantity: that of its own level."""
    return model[1][0 if quantity[0] == 1 else 1]


# -- panels -----------------------------------------------------------------------------------------------------------
def _draw_sides(panels, summary, shown, quantity, last):
    """A panel for each gate (letter -> axes), on one scale; the quantity over the first, nothing where no model is."""
    for letter, ax in panels.items():
        here = {m: fit for (m, q), fit in shown.items() if q == quantity and _letter(m, quantity) == letter}
        if not here:
            ax.set_axis_off()
            continue
        names = _names(list(here))
        fits = {names[model]: fit for model, fit in here.items()}
        curve_plot(fits, ax, references=_references(summary, here, quantity), ylabel="")
        if max(map(len, names.values())) > LONG:
            for text in (text for legend in ax.findobj(Legend) for text in legend.get_texts()):
                text.set_fontsize(SMALL)
        ax.set_title(GATES[letter].name, loc="left")
        ax.set_xlabel("sample size n" if last else "")
    drawn = [ax for ax in panels.values() if ax.axison]
    drawn[0].set_title(f"{words.quantity(*quantity)}\n{drawn[0].get_title(loc='left')}", loc="left")  # over all of them
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


def _references(summary, models, quantity):
    """Labels and exponents of theory for one panel; gatings are named where they do not agree."""
    out = {}
    for form in FORMS:
        alphas = {}
        for model in models:
            alpha = summary.expected[model].alpha(form, quantity)
            if not np.isnan(alpha):
                alphas.setdefault(alpha, {})[model[1]] = None
        for alpha, gatings in alphas.items():
            out[form + (f" {'/'.join(gatings)}" if len(alphas) > 1 else "")] = alpha
    return out


# -- verdicts ---------------------------------------------------------------------------------------------------------
def _draw_verdicts(ax, summary, shown, quantities, models, statistic, foot):
    """A line a quantity, a column a model: alpha with its interval, sign, and the limit of the statistic or a bound."""
    names = _names(models)
    size = 6.5 if len(models) <= 4 else 5.5
    longest = max(len(words.quantity(*quantity)) for quantity in quantities)
    width = longest * 0.55 * size / 72 + 0.1  # inches that the quantities take
    first = len(models) * width / (WIDTH - width)  # where columns begin, past them
    ax.set(xlim=(0, len(models) + first), ylim=(len(quantities) + 1.2 + len(foot), -1))
    ax.set_axis_off()
    for column, model in enumerate(models):
        ax.text(column + first + 0.48, -0.5, plain(names[model]), ha="center", va="center", size=size, weight="bold")
    for row, quantity in enumerate(quantities):
        mark = "* " if quantity in summary.primary and statistic == summary.study.statistics[0] else ""
        ax.text(0, row + 0.5, mark + words.quantity(*quantity), ha="left", va="center", size=size)
        for column, model in enumerate(models):
            if (model, quantity) not in shown:
                continue
            fit = shown[model, quantity]
            alpha, kind, said = summary.against_limit(model, quantity, statistic)
            color = COLORS.get(said, "white")
            ax.add_patch(Rectangle((column + first, row + 0.04), 0.96, 0.92, facecolor=color, zorder=0))
            text = words.rate(fit.slope, fit.ci_low, fit.ci_high)
            text += "" if np.isnan(alpha) else f"  {words.against(said, alpha, kind)}"
            ax.text(column + first + 0.48, row + 0.5, text, ha="center", va="center", size=size)
    said = (
        f"{ALPHA}: errors are of the order of n^(-{ALPHA}); measured, with its 95 % interval, against the derived "
        f"limit of this statistic, or ({words.LIMITS['bound'][0].strip()}) that of the worst case\n"
        f"{words.AGREEMENT_SIGNS}"
    )
    ax.text(
        0, len(quantities) + 0.2, "\n".join([said, *map(plain, foot)]), ha="left", va="top", size=size, linespacing=1.4
    )
