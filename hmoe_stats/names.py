"""What the columns of X and y are called: by the frame or series that brings them, else x, x0, x1, ... and y.

A name is text of the user's: where it is printed or drawn, characters that do not print (`visible`) are written out, so
that no name can move a cursor, break a line or turn the direction of writing. Rates are written here, too.
"""

import math
import unicodedata
from fractions import Fraction

JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # they are spelling: in Persian words, in emoji


def default_x_names(d):
    """``("x",)`` for one covariate, else ``("x0", "x1", ...)``."""
    return ("x",) if d == 1 else tuple(f"x{c}" for c in range(d))


def of_data(X, y):
    """(names of the columns of X, name of y), as a DataFrame or Series brings them; () and "" where there are none.

    Columns of which two share a name, or one has none, count as nameless.
    """
    x_names, y_names = (_own(data) for data in (X, y))
    return x_names if len(x_names) == len(set(x_names)) else (), y_names[0] if len(y_names) == 1 else ""


def given(x_names):
    """`x_names`, or None where they are the default ones: parameters then go by the numbers of their columns."""
    return None if tuple(x_names) == default_x_names(len(x_names)) else tuple(x_names)


def visible(text):
    r"""`text` with characters that do not print (controls, line ends, turns of direction) written as ``\x1b``."""
    return "".join(c if _prints(c) else c.encode("unicode_escape").decode() for c in text)


def fraction(rate):
    """A rate of theory: ``"1/4"``, ``"0"``, with three digits if it is no fraction of small numbers, ``"-"`` if NaN.

    Tables hold rates to six digits, so that 0.333333 is 1/3.
    """
    if math.isnan(rate):
        return "-"
    near = Fraction(rate).limit_denominator(60) if math.isfinite(rate) else math.inf
    return str(near) if near == rate or abs(near - rate) < 1e-6 else f"{rate:.3f}"


def interval(value, low, high):
    """A measured rate and its interval, ``"0.26 [0.21, 0.31]"``; ``"-"`` if NaN."""
    if math.isnan(value):
        return "-"
    value, low, high = (f"{round(number, 2) + 0.0:.2f}" for number in (value, low, high))  # + 0.0: no "-0.00"
    return f"{value} [{low}, {high}]"


def _prints(c):
    return c.isprintable() or unicodedata.category(c) == "Zs" or c in JOINERS


def _own(data):
    columns = getattr(data, "columns", None)
    try:
        names = [getattr(data, "name", None)] if columns is None else list(columns)
    except TypeError:
        names = [None]
    return () if any(name is None for name in names) else tuple(map(str, names))
