"""What all figures share: the style sheet, colours, and names as text that is drawn as it is written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..arguments import shown
from ..names import visible

# Colour-blind safe (Okabe and Ito); blues have softmax, oranges Laplace and greens quadratic experts' gates, from dark
# to light, with purple and black for the two that are left. Markers and line styles tell them apart in grey.
GATING_STYLES: dict[str, dict[str, Any]] = {
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


def style() -> AbstractContextManager[None]:
    """The style sheet, as a context manager: ``with style(): ...``."""
    return mpl.rc_context(fname=Path(__file__).with_name("hmoe.mplstyle"))


def plain(text: str) -> str:
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


def shortened(names: Sequence[str], longest: int = LONGEST) -> dict[str, str]:
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


def axis_label(text: str) -> str:
    """A name of the user's as the label of an axis."""
    return plain(shortened([str(text)], 60)[str(text)])


def as_axes(ax):
    """`ax`, or axes of a new figure; a `ValueError` if it is something else."""
    if ax is not None and not isinstance(ax, Axes):
        raise ValueError(f"ax must be a matplotlib Axes; got {shown(ax)}")
    return Figure().subplots() if ax is None else ax
