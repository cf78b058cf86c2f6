"""How well functions of x are known: estimates with their intervals by the delta method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arguments import check_flag, check_known
from ..fitting import FitResult
from ..kinds import Axes
from .checks import as_fit
from .looks import COLORS, LINES, as_axes, axis_label, style
from .views import padded, view

WIDE = 28  # letters of a name in a legend, of which two do not stand side by side
OF = ("mean", "experts", "gates", "groups", "quantile")


def interval_plot(
    fit: FitResult,
    ax: Axes | None = None,
    *,
    of: str = "mean",
    along: int | str | None = None,
    level: float = 0.95,
    kind: str = "hessian",
    q: float | Sequence[float] = 0.5,
    band: bool = False,
) -> Axes:
    """Functions of x with their intervals, along one covariate, on the data.

    Intervals are `FitResult.intervals`: where there is none a curve has no band, and its name says why. With the mean
    come two dashed lines that hold y with probability `level`, `FitResult.predict_interval`, which takes the parameters
    as known.

    Parameters
    ----------
    fit : FitResult
        Which knows its data.
    ax : matplotlib Axes, optional
    of : {"mean", "experts", "gates", "groups", "quantile"}
    along : int or str, optional
        The column of X to go along, by number or name; by default the first. Others are at their medians, and points
        paler the further theirs are from these.
    level, kind, q, band
        As in `FitResult.intervals`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If an argument does not fit; `hmoe_stats.inference.InferenceError` where nothing can be inferred at all.
    """
    fit, of, band = as_fit(fit), check_known("of", of, OF), check_flag("band", band)
    X, y, _ = fit.known_data()
    here = view(X, along, fit.x_names)
    (x,), (column,) = here.grids, here.columns
    table = fit.intervals(of, here.rows, level, kind, q, band)
    of_weights = of in ("gates", "groups")
    parts, share = _parts(table, of), f"{100 * level:.4g} %"
    with style():
        ax = as_axes(ax)
        if not of_weights:
            points = np.column_stack([np.full((len(X), 3), 0.4), here.opacity])
            ax.scatter(X[:, column], y, s=5, c=points, linewidths=0, zorder=1)
        for i, (name, part) in enumerate(parts):
            color = "black" if len(parts) == 1 else COLORS[i % len(COLORS)]
            known, why = part["status"] == "estimated", ""
            if not known.all():
                why = f": {part['status'][~known].iloc[0]}" + (" in places" if known.any() else "")
            low, high = part["low"].where(known), part["high"].where(known)
            ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0, zorder=0)
            label = f"{name}, {share} {'band' if band else 'interval'}" if len(parts) == 1 else name
            line = LINES[i % len(LINES)]
            ax.plot(x, part["estimate"], color=color, linestyle=line, linewidth=1.0, label=label + why)
        if of == "mean":
            ends = fit.predict_interval(here.rows, level)
            for end, label in (("low", f"{share} of y"), ("high", None)):
                ax.plot(x, ends[end], color="0.35", linestyle="--", linewidth=0.7, label=label)
        y_label = "probability" if of_weights else axis_label(fit.y_name)
        ax.set(xlim=(x[0], x[-1]), ylim=(-0.02, 1.02) if of_weights else padded(y), ylabel=y_label)
        ax.set_xlabel(axis_label(here.labels[0]))
        long = any(len(label) > WIDE for label in ax.get_legend_handles_labels()[1])
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1 if long else 2)
    return ax


def _parts(table, of):
    """(name, rows) of each quantity of a table of intervals."""
    columns = [name for name in ("group", "expert", "q") if name in table]
    if not columns:
        return [(of, table)]
    words = {"experts": "expert ", "gates": "expert ", "groups": "group ", "quantile": "quantile "}[of]
    return [(words + ",".join(f"{k:g}" for k in key), part) for key, part in table.groupby(columns, sort=False)]
