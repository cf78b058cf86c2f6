"""Figures at the level of axes: rates and moduli, losses, fits with their gates, residuals and intervals, interactions.

Every function takes ``ax=None`` and returns the axes it drew on. The style sheet ``hmoe.mplstyle`` is a context
(`style`) that ends with the function: no global setting changes, and no figure is registered with pyplot.

What a caller names (series, references, labels of axes) is text and drawn as it is written (`plain`); who wants
mathematics there sets it on the axes afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arguments import check_known
from ..fitting import FitResult
from ..kinds import Axes
from .checks import as_fit, qq_plot, residual_plot
from .choice import criterion_plot, dendrogram_plot
from .derivatives import interaction_plot
from .fits import fit_plot, gate_map, place_of
from .looks import (
    ALPHA,
    COLORS,
    COLUMN,
    GATING_STYLES,
    LINES,
    LONGEST,
    MARKERS,
    PAGE,
    PANELS,
    SMALLEST,
    TALLEST,
    axis_label,
    label_powers,
    plain,
    series_looks,
    shortened,
    style,
)
from .rates import curve_plot, loss_plot, modulus_plot, rate_plot
from .trees import tree_plot
from .uncertainty import interval_plot

__all__ = [
    "ALPHA",
    "COLORS",
    "COLUMN",
    "GATING_STYLES",
    "LINES",
    "LONGEST",
    "MARKERS",
    "PAGE",
    "PANELS",
    "SMALLEST",
    "TALLEST",
    "axis_label",
    "criterion_plot",
    "curve_plot",
    "dendrogram_plot",
    "fit_plot",
    "gate_map",
    "interaction_plot",
    "interval_plot",
    "label_powers",
    "loss_plot",
    "modulus_plot",
    "of_fit",
    "place_of",
    "plain",
    "qq_plot",
    "rate_plot",
    "residual_plot",
    "series_looks",
    "shortened",
    "style",
    "tree_plot",
]

_OF_FITS: dict[str, Callable[..., Axes]] = {
    "fit": lambda fit, ax, **options: fit_plot(fit, fit.known_data().X, fit.known_data().y, ax, **options),
    "gates": lambda fit, ax, **options: gate_map(fit, fit.known_data().X, ax, **options),
    "tree": lambda fit, ax, **options: tree_plot(fit, None, ax, **options),
    "residuals": residual_plot,
    "qq": qq_plot,
    "intervals": interval_plot,
}


def of_fit(fit: FitResult, kind: str = "fit", ax: Axes | None = None, **options: Any) -> Axes:
    """A picture of a fit with the data that it knows: `FitResult.plot`, which says more."""
    fit, kind = as_fit(fit), check_known("kind", kind, tuple(_OF_FITS))
    return _OF_FITS[kind](fit, ax, **options)
