"""What all figures share: sizes, the style sheet, colours, scales, and names as text that is drawn as it is written.

A figure is as wide as one column of a journal or as two, no taller than what A4 leaves within its margins, and has no
more panels than fit there. Text has 8 points, what stands in tables and legends less, and nothing fewer than `SMALLEST`
but the indices within formulas. In grey print series are told apart by markers and lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from ..arguments import shown
from ..names import visible

COLUMN, PAGE = 3.5, 7.2  # inches: the widths of one column and of two
TALLEST = 9.7  # inches: of A4, with 1 inch above and below
PANELS = 6  # of a figure
SMALLEST = 6.0  # points

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
SPARE = "*phd8"  # markers of no gating
LONGEST = 34  # letters of a name in a legend: with rate and interval they take most of a column's width
ALPHA = "\N{GREEK SMALL LETTER ALPHA}"
RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


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


def series_looks(names: Sequence[str]) -> list[dict[str, Any]]:
    """A look for each series: colour, marker and line style, and of some how markers are filled.

    Parameters
    ----------
    names : sequence of str
        One that begins with a gating ("SS 3,3") has the look of that. The second of a gating has its colour and hollow
        markers; further ones have markers of their own, and are paler. Where all begin with the same gating, colours
        are free to tell them apart.

    Returns
    -------
    list of dict
        For matplotlib's lines.
    """
    gatings, looks, spare = [name.partition(" ")[0] for name in names], [], 0
    free = len(names) > 1 and len(set(gatings)) == 1
    for i, gating in enumerate(gatings):
        look, number = dict(look_of("" if free else gating, i)), 0 if free else gatings[:i].count(gating)
        if number and gating in GATING_STYLES:
            look["fillstyle"] = "none"
        if number > 1 and gating in GATING_STYLES:
            pale = 0.75 ** (number - 1)
            look["color"] = pale * np.array(mpl.colors.to_rgb(look["color"])) + 1 - pale
            look["fillstyle"] = "none" if spare // len(SPARE) % 2 else "full"
            look["marker"], spare = SPARE[spare % len(SPARE)], spare + 1
        looks.append(look)
    return looks


def look_of(name: str, number: int) -> dict[str, Any]:
    """The look of a gating, or of the series of such a number."""
    series = {"color": COLORS, "marker": MARKERS, "linestyle": LINES}
    return GATING_STYLES.get(name, {key: of[number % len(of)] for key, of in series.items()})


def label_powers(axis: Any, few: bool = False) -> None:
    """Label the powers of ten of a log axis; with `few`, some digits between them where these are fewer than two.

    Labels are text in one size: the exponents of mathematics would be too small.
    """
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
    axis.set_minor_formatter(NullFormatter())
    if not few:
        return

    def label(value, _):
        low, high = axis.get_view_interval()
        digits = (2, 5) if high > 5 * low else (2, 3, 5, 7)
        digit = round(value / 10.0 ** np.floor(np.log10(value)))
        return _power(value) if digit in digits and high < 100 * low else ""

    axis.set_minor_formatter(FuncFormatter(label))


def _power(value):
    """``"10\N{SUPERSCRIPT FIVE}"``, or a digit times that."""
    exponent = int(np.floor(np.log10(value) + 1e-9))
    digit, power = round(value / 10.0**exponent), f"10{str(exponent).translate(RAISED)}"
    return power if digit == 1 else f"{digit}\N{MULTIPLICATION SIGN}{power}"


def axis_label(text: str) -> str:
    """A name of the user's as the label of an axis."""
    return plain(shortened([str(text)], 60)[str(text)])


def settle(figure):
    """Lay a figure out once and for all, to a millionth of it: the solver of layouts differs in the last bits.

    Parameters
    ----------
    figure : matplotlib Figure
        Changed: it has no layout engine any more.
    """
    if figure.get_layout_engine() is None:
        return
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax in figure.axes:
        ax.set_position(np.round(ax.get_position().bounds, 6))


def as_axes(ax):
    """`ax`, or axes of a new figure; a `ValueError` if it is something else."""
    if ax is not None and not isinstance(ax, Axes):
        raise ValueError(f"ax must be a matplotlib Axes; got {shown(ax)}")
    return Figure().subplots() if ax is None else ax
