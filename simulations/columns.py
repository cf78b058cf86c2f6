"""What the report shows of its tables: the columns, what each means, and how its cells are written.

A column of the page is made of one or more columns of a table of `simulations.summary`. Its meaning is said once, here,
and the page prints it beneath the tables that have the column.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import pandas as pd


# -- cells -------------------------------------------------------------------------------------------------------------
# Each form gives (text, number to sort by); a number that is missing is NaN, and None means: sort by the text.
def _word(value):
    return "" if pd.isna(value) else str(value), None


def _count(value):
    return ("-", math.nan) if pd.isna(value) else (f"{value:.0f}", value)


def _interval(value, low, high):
    return ("-", math.nan) if pd.isna(value) else (f"{value:.2f} [{low:.2f}, {high:.2f}]", value)


def _expected(alpha):
    """The slope -alpha that theory expects, as the fraction that it is."""
    if pd.isna(alpha):
        return "-", math.nan
    close = Fraction(alpha).limit_denominator(99)
    return (str(-close) if abs(close - alpha) < 1e-9 else f"{-alpha:.3f}"), 0.0 - alpha


def _expected_difference(value):
    return ("-", math.nan) if pd.isna(value) else (f"{round(value, 3) + 0.0:+.3f}", value)  # + 0.0: no "-0.000"


def _range(low, high, count):
    return ("-", math.nan) if count == 0 else (f"{low:.0f} to {high:.0f} ({count})", high)


# -- columns -----------------------------------------------------------------------------------------------------------
class Column(NamedTuple):
    """A column of the page: its heading, what it means, the columns of the table it is made of, and its form."""

    heading: str
    meaning: str
    names: tuple
    form: Callable = _word


QUANTITY_COLUMNS = (
    Column(
        "parameter",
        "What the error is of: a and b are slope (or centre) and intercept of the level-1 gate, omega and beta "
        "those of the level-2 gate, eta and tau slope and intercept of an expert's mean, nu its variance. loss_sharp "
        "and loss_published are Voronoi losses, with the derived and with the published exponents; hellinger is a "
        "distance of densities.",
        ("parameter",),
    ),
    Column("gating", "Level-1 gate, then level-2 gate: S is softmax, L is Laplace.", ("gating",)),
    Column("study", "The study that the row belongs to, where several are shown.", ("study",)),
    Column("k2", "Experts fitted in each group: 2,3 is two groups, of two and of three experts.", ("k2",)),
    Column(
        "kind",
        "weighted: distance of each fitted expert to the true one of its Voronoi cell, averaged with the experts' "
        "weights. barycentre: distance of the cell's weighted mean. mass: error of the cell's total gate weight. "
        "loss, divergence: one number a fit.",
        ("kind",),
    ),
    Column("level", "1: a group and its gate; 2: an expert and its gate; 0: the whole fit.", ("level",), _count),
    Column(
        "m",
        "Fitted groups or experts that share the true one, the size of the Voronoi cell: 1 is an exact cell, "
        "2 and more an over-specified one.",
        ("size",),
        _count,
    ),
    Column(
        "statistic",
        "Over replicates at each n: mean, median, or a quantile (q90 is the 0.9 quantile). Errors are averaged over a "
        "replicate's cells of the same size before.",
        ("statistic",),
    ),
)
NOTE = Column("note", "Why there is no number, or what was left out of it.", ("note",))
SLOPE_COLUMNS = (
    *QUANTITY_COLUMNS,
    Column(
        "slope [95\u00a0%]",
        "Slope of log error on log n by least squares, with its interval from resampling replicates within each n. "
        "Measured slopes are pre-asymptotic.",
        ("slope", "ci_low", "ci_high"),
        _interval,
    ),
    Column(
        "upper half [95\u00a0%]",
        "The same over the upper half of the sample sizes: a local slope, nearer to the limit.",
        ("local_slope", "local_low", "local_high"),
        _interval,
    ),
    Column(
        "published",
        "The slope expected from a rate stated in a paper; - where none says anything of this quantity.",
        ("alpha_published",),
        _expected,
    ),
    Column(
        "against published",
        "What the interval says of the expected slope. consistent: it holds that and neither 0 (no fall) nor the slope "
        "that the other form of theory expects; inconclusive: it holds one of these as well; steeper, flatter: all of "
        "it lies on that side. Where no rate is expected 0 is no objection, but a slope of 1/2 is.",
        ("verdict_published",),
    ),
    Column(
        "derived",
        "The slope expected from an exponent derived for this package, up to logarithms; it is not a published result.",
        ("alpha_derived",),
        _expected,
    ),
    Column("against derived", "As against published.", ("verdict_derived",)),
    Column("n", "Smallest and largest sample size used, and how many.", ("n_low", "n_high", "n_sizes"), _range),
    Column(
        "replicates",
        "The smallest number of replicates at one n; a split cell of a size need not occur in every fit.",
        ("replicates",),
        _count,
    ),
    Column("failed", "Cells of this gating and k2, over all n, that raised an error; left out.", ("failed",), _count),
    Column("bounded", "Cells whose optimum lies on a bound of the box; used.", ("bounded",), _count),
    Column("uncertified", "Cells whose fit met no first-order conditions; left out.", ("uncertified",), _count),
    Column("to do", "Cells without a result.", ("to_do",), _count),
    NOTE,
)
DIFFERENCE_COLUMNS = (
    *QUANTITY_COLUMNS,
    Column(
        "difference [95\u00a0%]",
        "Slope of the first model less slope of the second, where gating, k2 or study reads first - second; replicates "
        "are resampled in pairs, as both models were fitted to the same data.",
        ("difference", "ci_low", "ci_high"),
        _interval,
    ),
    Column("expected", "The difference of the derived slopes.", ("expected",), _expected_difference),
    Column(
        "verdict",
        "consistent: the interval holds the expected difference, and neither 0, where another one is expected, nor the "
        "difference of the published slopes, where that is another one; inconclusive: it holds one of these as well; "
        "steeper, flatter: all of it lies below, or above.",
        ("verdict",),
    ),
    Column("pairs", "The smallest number of pairs of replicates at one n.", ("pairs",), _count),
    NOTE,
)


def shown(columns, table, study):
    """The columns that the table has something for; `study` only where it says more than the page's heading."""
    named = "study" in table and set(table["study"]) != {study.name}
    return [c for c in columns if set(c.names) <= set(table.columns) and (named or c.names != ("study",))]
