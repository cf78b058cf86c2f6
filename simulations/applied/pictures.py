"""What people see of applied studies: mean scores by task, or of many tasks differences by model; the page."""

import importlib.resources
from string import Template

import numpy as np

from ..markup import html_table, html_text, page_style, plain_rows, svg_element
from .tables import ALL

PANEL = 2.1  # inches
LINE = 0.145  # inches of a row


def figure(study, scores, differences):
    """The first primary score: a matplotlib Figure.

    Up to six tasks have a panel each, with the mean score of each model; of more, each model has a panel, with its
    differences from the reference by task. Bars are the intervals of the tables.
    """
    from matplotlib.figure import Figure

    from hmoe_stats import plotting

    score = study.primary[0]
    few = len(study.tasks) <= plotting.PANELS
    panels = list(_by_task(study, scores, score) if few else _by_model(study, differences, score))
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    with plotting.style():
        lines = max(len(rows) for _, _, rows in panels)
        out = Figure(figsize=(plotting.PAGE, 0.4 + down * max(PANEL, 0.4 + LINE * lines)))
        axes = np.atleast_1d(out.subplots(down, across, sharey=not few)).ravel()
        for ax, (title, names, rows) in zip(axes, panels, strict=False):
            forest(ax, names, rows)
            ax.set_title(plotting.plain(title))
        out.supxlabel(score, fontsize="medium")
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        out.suptitle(plotting.plain(study.title or study.name))
    return out


def _named(row):
    return f"{row.model} {row.k2}".strip()


def _by_task(study, scores, score):
    for task in study.tasks:
        part = scores[(scores["task"] == task) & (scores["score"] == score)]
        rows = [(row.mean, row.low, row.high) for row in part.itertuples(index=False)]
        if rows:
            yield task, [_named(row) for row in part.itertuples(index=False)], rows


def _by_model(study, differences, score):
    part = differences[differences["score"] == score]
    for (model, k2), rows in part.groupby(["model", "k2"], sort=False):
        rows = rows.set_index("task").reindex([*study.tasks, ALL])
        title = f"{model} {k2}".strip() + f" less {study.reference}"
        yield title, list(rows.index), list(zip(rows["difference"], rows["low"], rows["high"], strict=True))


def forest(ax, names, rows):
    """Draw rows of (value, low, high) under one another, the first on top; 0 is marked where it lies within."""
    from hmoe_stats.plotting import COLORS

    places = np.arange(len(rows))[::-1]
    value, low, high = np.array(rows, float).T
    ax.hlines(places, low, high, color="0.5", linewidth=1.0)
    ax.plot(value, places, "o", color=COLORS[0], markersize=3)
    ax.set_yticks(places, names)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    if np.nanmin(low) < 0 < np.nanmax(high):
        ax.axvline(0.0, color="0.3", linewidth=0.7, linestyle="--")
    return ax


def page(study, text, declared, scores, differences):
    """The page of a study, HTML that needs no network.

    Parameters
    ----------
    text : str
        Its TOML file.
    declared : str
        When it was declared, as `protocol.Protocol` says it.
    """
    from hmoe_stats.plotting import PANELS

    folder = importlib.resources.files(__package__)
    margin = f"Differences within {study.margin:g} are none that matters. Intervals of primary scores hold together."
    caption = {True: "Mean of the first primary score over splits, with 95 % intervals.", False: margin}
    title = study.title or study.name
    return Template((folder / "page.html.in").read_text(encoding="utf-8")).substitute(
        title=html_text(title),
        style=page_style(),
        declared=html_text(declared),
        drawing=svg_element(figure(study, scores, differences), title, study.name),
        caption=html_text(caption[len(study.tasks) <= PANELS]),
        reference=html_text(study.reference),
        differences=_table(f"{study.name}: differences. {margin}", differences),
        scores=_table(f"{study.name}: scores", scores),
        text="\n".join(map(html_text, text.splitlines())),
    )


def _table(caption, table):
    rows = ([f"{v:.4g}" if isinstance(v, float) else str(v) for v in row] for row in table.itertuples(index=False))
    return html_table(caption, list(table), plain_rows(rows))
