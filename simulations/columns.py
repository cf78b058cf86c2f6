"""What the report shows of its tables: the columns, what each means, and how its cells are written.

A column of the report is made of one or more columns of a table of `simulations.summary`. Its meaning is said once,
here, and the report prints it beneath the tables that have the column. The tables (slopes.csv, differences.csv, JSON)
hold slopes of log error on log n, and differences of slopes: ``slope``, ``ci_low``, ``ci_high``, ``local_slope``,
``local_low``, ``local_high``, ``difference`` and ``expected`` have the sign of a slope, negative where errors fall; the
report shows alpha, the same with the sign turned. ``alpha_published`` and ``alpha_derived`` are alpha in both.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from . import words
from .ends import BOUNDS


# -- cells -------------------------------------------------------------------------------------------------------------
# Each form gives (text, number to sort by); a number that is missing is NaN, and None means: sort by the text.
def _word(value):
    return "" if pd.isna(value) else str(value), None


def _quantity(*quantity):
    return words.quantity(*quantity), None


def _verdict(word):
    return words.verdict(word), None


def _count(value):
    return ("-", math.nan) if pd.isna(value) else (f"{value:.0f}", value)


def _rate(slope, low, high):
    return words.rate(slope, low, high), 0.0 - slope


def _expected(alpha):
    return words.fraction(alpha), alpha


def _expected_difference(value):
    return words.signed(-value), 0.0 - value


def _agreement(word):
    return words.agreement(word), None


def _limit(alpha, kind):
    return words.limit(alpha, kind), alpha


def _at_n(alpha, error):
    return words.at_these_n(alpha, error), alpha


def _gain(mean, error):
    return words.gain(mean, error), mean


def _range(low, high, count):
    return ("-", math.nan) if count == 0 else (f"{words.sizes(low, high)} ({count})", high)


# -- columns -----------------------------------------------------------------------------------------------------------
class Column(NamedTuple):
    """A column of the report: its heading, what it means, the columns of the table it is made of, and its form."""

    heading: str
    meaning: str
    names: tuple
    form: Callable = _word


QUANTITY = ("level", "size", "parameter", "kind")
QUANTITY_COLUMNS = (
    Column("quantity", words.QUANTITIES_MEAN, QUANTITY, _quantity),
    Column("gating", "Level-1 gate, then level-2 gate: S is softmax, L Laplace, Q quadratic.", ("gating",)),
    Column("study", "The study that the row belongs to, where several are shown.", ("study",)),
    Column("k2", "Experts fitted in each group: 2,3 is two groups, of two and of three experts.", ("k2",)),
    Column("level", "1: a group and its gate; 2: an expert and its gate; 0: the whole fit.", ("level",), _count),
    Column("m", "The size of the Voronoi cell, as in the quantity; 0 for the whole fit.", ("size",), _count),
    Column(
        "statistic",
        "Over replicates at each n: mean, median, or a quantile (q90 is the 0.9 quantile). Errors are averaged over a "
        "replicate's cells of the same size before.",
        ("statistic",),
    ),
)
ROLE = Column("role", words.ROLES_MEAN, ("role",))
NOTE = Column("note", "Why there is no number, or what was left out of it.", ("note",))
RATE_COLUMNS = (
    *QUANTITY_COLUMNS,
    Column(
        "alpha [95\u00a0%]",
        "The measured rate: errors are of the order of n^(-alpha). Minus the slope of log error on log n by least "
        "squares, with its interval from resampling replicates within each n. Measured rates are pre-asymptotic.",
        ("slope", "ci_low", "ci_high"),
        _rate,
    ),
    Column(
        "upper half [95\u00a0%]",
        "The same over the upper half of the sample sizes: a local rate, nearer to the limit.",
        ("local_slope", "local_low", "local_high"),
        _rate,
    ),
    Column(
        "published",
        "The rate stated in a paper; 0 where it is none, - where nothing is said of this quantity.",
        ("alpha_published",),
        _expected,
    ),
    Column(
        "against published",
        "What the interval says of the expected rate. consistent: it holds that and neither 0 (no fall) nor the rate "
        "that the other form of theory expects; inconclusive: it holds one of these as well; faster, slower: all of "
        "it lies above, or below. Where no rate is expected 0 is no objection, but a rate of 1/2 is.",
        ("verdict_published",),
        _verdict,
    ),
    Column(
        "derived",
        "The rate derived for this package, up to logarithms; it is not a published result.",
        ("alpha_derived",),
        _expected,
    ),
    Column("against derived", "As against published.", ("verdict_derived",), _verdict),
    Column(
        "limit",
        f"What the rate of this statistic is held against. {words.LIMITS_MEAN}.",
        ("alpha_limit", "limit"),
        _limit,
    ),
    Column("against the limit", f"{words.AGREEMENTS_MEAN}.", ("verdict_limit",), _agreement),
    Column("expected at these n", words.AT_THESE_N_MEANS, ("alpha_at_n", "error_at_n"), _at_n),
    Column("against that at these n", "As against the limit, of the difference.", ("verdict_at_n",), _agreement),
    Column("n", "Smallest and largest sample size used, and how many.", ("n_low", "n_high", "n_sizes"), _range),
    Column(
        "replicates",
        "The smallest number of replicates at one n; a split cell of a size need not occur in every fit.",
        ("replicates",),
        _count,
    ),
    Column("failed", words.STATUSES["failed"][1], ("failed",), _count),
    Column("bounded", words.STATUSES["boundary"][1], ("bounded",), _count),
    Column("uncertified", "Cells whose fit met no first-order conditions; left out.", ("uncertified",), _count),
    Column("to do", words.STATUSES["to_do"][1], ("to_do",), _count),
    ROLE,
    Column("part", words.PARTS_MEAN, ("part",)),
    NOTE,
)
DIFFERENCE_COLUMNS = (
    *QUANTITY_COLUMNS,
    Column(
        "difference [95\u00a0%]",
        "Alpha of the first model less alpha of the second, where gating, k2 or study reads first - second; replicates "
        "are resampled in pairs, as both models were fitted to the same data.",
        ("difference", "ci_low", "ci_high"),
        _rate,
    ),
    Column("expected", "The difference of the derived rates.", ("expected",), _expected_difference),
    Column(
        "verdict",
        "consistent: the interval holds the expected difference, and neither 0, where another one is expected, nor the "
        "difference of the published rates, where that is another one; inconclusive: it holds one of these as well; "
        "faster, slower: all of it lies above, or below, so that the first model is faster against the second than "
        "expected, or slower.",
        ("verdict",),
        _verdict,
    ),
    Column(
        "difference of the limits",
        "Of this statistic, where both are derived.",
        ("expected_limit",),
        _expected_difference,
    ),
    Column("against that of the limits", "As against the limit, of rates.", ("verdict_limit",), _agreement),
    Column("pairs", "The smallest number of pairs of replicates at one n.", ("pairs",), _count),
    ROLE,
    NOTE,
)


ENDS_COLUMNS = (
    *(column for column in QUANTITY_COLUMNS if column.names in (("gating",), ("study",), ("k2",))),
    Column("sample size", "Of the fits that are counted.", ("n",), _count),
    Column("cells", "Cells of the study at this n: its replicates.", ("cells",), _count),
    *(Column(head, meaning, (status,), _count) for status, (head, meaning) in words.STATUSES.items()),
    *(Column(words.bound(name), words.bound_means(name), (name,), _count) for name in BOUNDS),
    Column("gain", words.GAIN_MEANS, ("gain", "gain_error"), _gain),
)
OPTIONAL = {"alpha_at_n", "verdict_at_n", "expected_limit"}  # columns that are left out where they are empty


def shown(columns, table, study):
    """The columns that the table has something for; `study` only where it says more than the page's heading."""
    named = "study" in table and set(table["study"]) != {study.name}
    there = [c for c in columns if set(c.names) <= set(table.columns) and (named or c.names != ("study",))]
    return [c for c in there if c.names[0] not in OPTIONAL or not table[c.names[0]].replace("", None).isna().all()]
