"""Figures at the level of axes: rates and moduli on log-log scales, losses, a fitted mixture, its size, interactions.

Every function takes ``ax=None`` and returns the axes it drew on. The style sheet ``hmoe.mplstyle`` is a context
(`style`) that ends with the function: no global setting changes, and no figure is registered with pyplot.

What a caller names (series, references, labels of axes) is text and drawn as it is written (`plain`); who wants
mathematics there sets it on the axes afterwards.
"""

from .choice import criterion_plot, dendrogram_plot
from .derivatives import interaction_plot
from .fits import fit_plot
from .looks import ALPHA, COLORS, GATING_STYLES, LINES, LONGEST, MARKERS, plain, shortened, style
from .rates import curve_plot, loss_plot, modulus_plot, rate_plot

__all__ = [
    "ALPHA",
    "COLORS",
    "GATING_STYLES",
    "LINES",
    "LONGEST",
    "MARKERS",
    "criterion_plot",
    "curve_plot",
    "dendrogram_plot",
    "fit_plot",
    "interaction_plot",
    "loss_plot",
    "modulus_plot",
    "plain",
    "rate_plot",
    "shortened",
    "style",
]
