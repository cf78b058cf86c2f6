"""The figure of `evidence`: a line for each error, with the exponents that theory, certificate and data give it.

It has as many pages as fit on A4, none of which parts a study.
"""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmoe_stats.plotting import ALPHA, GATING_STYLES, PAGE, SMALLEST, TALLEST, plain, shortened, style

from . import words
from .summary import QUANTITY

ORDER = [("loss_sharp", "loss"), ("a", "weighted"), ("omega", "weighted"), ("eta", "barycentre"), ("eta", "weighted")]
ORDER += [("tau", "weighted"), ("nu", "weighted")]
GATINGS = ["SS", "LS", "QS", "SL", "LL", "QL", "SQ", "LQ", "QQ"]  # by the gate of the experts
TICKS, FINE = (0, 1 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2), (1 / 8, 3 / 8)
START, END = -0.045, 0.66  # of the axis; an arrow stands for what lies beyond
LINE, HEADING = 0.122, 1.9  # inches, lines
LONGEST = 20  # letters of a study's name
LEFT, RIGHT, TOP, BOTTOM = 1.8, 2.9, 0.74, 0.84  # inches around the axes
WIDTH = PAGE - LEFT - RIGHT  # of the axes
TABLE = 6.5  # points
COLUMNS = {"published": 0.24, "derived": 0.66, "certificate": 1.09, "measured [95 %]": 1.72, "verdict": 2.16}
PUBLISHED = {"linestyle": "none", "color": "black", "marker": "v", "markersize": 4, "markerfacecolor": "white"}
PUBLISHED |= {"markeredgewidth": 0.7, "zorder": 2.2}
DERIVED = {"linestyle": "none", "marker": "|", "markersize": 7, "color": "black", "markeredgewidth": 1.6, "zorder": 2.1}
CERTIFICATE = {"linestyle": "none", "color": "black", "marker": "o", "markersize": 7, "markerfacecolor": "none"}
CERTIFICATE |= {"markeredgewidth": 0.7, "zorder": 2.3}
NOTE = (
    f"Verdict on the limit of the statistic: agrees, within {words.MARGIN} of it; where that is open, on the derived "
    "rate as a bound: kept.",
    "* the published rate is outside. Rate 0: not identified. Certificates bound rates from above, for one covariate; "
    "kinked: none; \N{NOT EQUAL TO} differs from",
    "the derived rate; their means over the cell weigh experts as at the mean of x, measured ones over all x.",
)


def figures(joined):
    """Draw the rows of `evidence.table` that are marked as drawn: by study, error and gating.

    Parameters
    ----------
    joined : DataFrame

    Returns
    -------
    list of matplotlib Figure
        The pages.

    Raises
    ------
    ValueError
        If no row is marked as drawn.
    """
    rows = joined[joined["drawn"]]
    if rows.empty:
        raise ValueError("joined must have a row to draw; got none")
    pages, room = [[]], (TALLEST - TOP - BOTTOM) / LINE
    for _, part in rows.groupby("study", sort=False):
        if pages[-1] and sum(map(_lines, (*pages[-1], part))) > room:
            pages.append([])
        pages[-1].append(part)
    return [_page(parts, f" ({i} of {len(pages)})" * (len(pages) > 1)) for i, parts in enumerate(pages, start=1)]


def _lines(part):
    return len(part) + HEADING


def _page(parts, which):
    lines = sum(map(_lines, parts))
    height = TOP + BOTTOM + LINE * lines
    with style():
        fig = Figure(figsize=(PAGE, height), layout="none")
        ax = fig.add_axes((LEFT / PAGE, BOTTOM / height, WIDTH / PAGE, LINE * lines / height))
        _scales(ax, lines)
        y = 0.0
        for part in parts:
            _heading(ax, y + HEADING - 0.75, part["study"].iloc[0], part)
            y += HEADING
            part = part.assign(gating=part["gating"].astype("category").cat.set_categories(GATINGS))
            errors = sorted(part.groupby(QUANTITY), key=lambda one: (ORDER.index(one[0][2:]), one[0]))
            for i, (quantity, error) in enumerate(errors):
                error = error.sort_values("gating", kind="stable")
                if i % 2 == 0:
                    ax.axhspan(y, y + len(error), xmin=-9, xmax=9, color="0.95", linewidth=0, zorder=0, clip_on=False)
                _write(ax, -LEFT + 0.04, y + 0.5, words.quantity(*quantity))
                for row in error.itertuples():
                    _line(ax, y + 0.5, row)
                    y += 1
        _legend(fig, height, [g for g in GATINGS if any((part["gating"] == g).any() for part in parts)], which)
    return fig


def _scales(ax, lines):
    ax.set(xlim=(START, END), ylim=(lines, 0), xlabel=f"rate {ALPHA}: the error falls like n^(-{ALPHA})")
    ax.spines["left"].set_visible(False)
    ax.set_yticks([])
    ax.set_xticks(TICKS, list(map(words.fraction, TICKS)))
    ax.set_xticks(FINE, list(map(words.fraction, FINE)), minor=True)
    ax.tick_params(axis="x", which="both", top=True, labeltop=True, length=2, labelsize=TABLE)
    ax.tick_params(axis="x", which="minor", pad=TABLE + 4)  # or 1/8 would stand on 1/12 and 1/6
    for alpha in (*TICKS, *FINE):
        ax.axvline(alpha, color="0.8", linewidth=0.5, zorder=0.5)
    for name, x in COLUMNS.items():
        ax.annotate(name, (1, 1), (72 * x, 6), xycoords="axes fraction", textcoords="offset points", size=TABLE,
                    ha="left" if name == "verdict" else "center")  # fmt: skip


def _write(ax, inches, y, text, **look):
    """Text at a distance from the left end of the axes, or from the right one if `right`."""
    end = 1 if look.pop("right", False) else 0
    look = {"size": TABLE, "va": "center_baseline", "ha": "left"} | look
    x = end + inches / WIDTH
    ax.text(x, y, text, transform=ax.get_yaxis_transform(), **look)


def _heading(ax, y, study, part):
    fitted = " and ".join(dict.fromkeys(part["k2"]))
    sizes = words.sizes(part["n_low"].min(), part["n_high"].max())
    _write(ax, -LEFT + 0.04, y, plain(shortened([study], LONGEST)[study]), weight="bold", size=8)
    text = f"{part['truth'].iloc[0]}, fitted k2 = {fitted}: n = {sizes}, {part['replicates'].max():.0f} replicates"
    _write(ax, 0, y, plain(text), size=7, bbox={"color": "white", "pad": 0.5})  # over the lines of the grid


def _line(ax, y, row):
    look = GATING_STYLES[row.gating]
    for alpha, marker, up in (
        (row.published, PUBLISHED, 0.3),
        (row.derived, DERIVED, 0),
        (row.certificate, CERTIFICATE, 0),
    ):
        ax.plot(alpha, y - up, **marker)
    low, high = max(-row.ci_high, START), min(-row.ci_low, END)
    if low < high:
        ax.plot([low, high], [y, y], color=look["color"], linewidth=1.2, zorder=3, solid_capstyle="butt")
    for beyond, end, marker in ((low == START, START, "<"), (high == END, END, ">")):
        if beyond:
            ax.plot(end, y, marker=marker, markersize=3.5, color=look["color"], clip_on=False, zorder=3)
    if START < -row.slope < END:
        ax.plot(-row.slope, y, marker=look["marker"], markersize=3.5, color=look["color"], zorder=4)
    _write(ax, -0.14, y, row.gating, ha="center")
    written = {
        "published": words.fraction(row.published),
        "derived": words.fraction(row.derived),
        "certificate": _certificate(row),
        "measured [95 %]": words.rate(row.slope, row.ci_low, row.ci_high),
    }
    for name, text in written.items():
        _write(ax, COLUMNS[name], y, text.replace("-", "\N{EN DASH}") if text == "-" else text, right=True, ha="center")
    other = row.verdict_published in words.OUTSIDE and row.published != row.derived
    said = words.agreement(row.verdict_limit, short=True)
    if not said:  # not identified, or of a table from before there were limits: the older verdict
        said = "open" if row.limit == "open" and row.derived > 0 else words.verdict(row.verdict_derived)
    weight = "bold" if said[2:] in ("agrees", "kept", "consistent") else "normal"
    said += "*" * other
    _write(ax, COLUMNS["verdict"], y, said, right=True, weight=weight)


def _certificate(row):
    text = words.certificate(row.certificate, row.certificate_status)
    if row.certificate_says == "differs":
        return f"{text} \N{NOT EQUAL TO}"
    return {"none": "-", "not computed: d = 1 only": "-"}.get(text, text)


def _legend(fig, height, gatings, which):
    marks = [
        Line2D([], [], label="published", **PUBLISHED),
        Line2D([], [], label="derived", **DERIVED),
        Line2D([], [], label="certificate", **CERTIFICATE),
    ]
    for gating in gatings:
        look = GATING_STYLES[gating] | {"linestyle": "-", "markersize": 3.5}
        marks.append(Line2D([], [], label=f"measured, {gating}"[(len(marks) > 3) * 10 :], **look))
    spot = (0.003, 1 - 0.24 / height)
    fig.legend(handles=marks, loc="upper left", bbox_to_anchor=spot, ncols=len(marks), columnspacing=1.2)
    title = "Rates of convergence: published, derived, certified without data, and measured" + which
    fig.text(0.04 / PAGE, 1 - 0.14 / height, title, size=8, weight="bold", va="center")
    fig.text(0.04 / PAGE, 0.05 / height, "\n".join(NOTE), size=SMALLEST, va="bottom", color="0.25", linespacing=1.4)
