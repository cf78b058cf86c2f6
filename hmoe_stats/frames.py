"""A person's own table as covariates: categories become dummies, rows with missing values are left out and counted.

A `Design` is what was made of the columns of a `DataFrame`. A fit keeps it, so that new frames are read as the first
one was: columns by their names, in any order and with others beside them, categories by the levels there were.

Categories are columns of text, or of pandas' own dtype for them. The first level, in the order of the dtype or else of
the alphabet, is the one that the others are compared with: it has no column. Truth values are the numbers 1 and 0.
Arrays are none of this: they hold numbers, and what is missing in them is refused.
"""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from functools import wraps
from itertools import pairwise
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from .arguments import as_numbers, check_columns, check_same_index, check_text, shown
from .kinds import Frame, Function, Series
from .names import visible

NAMED = 4  # columns, or levels, that a message names
VIEW = ("gate_columns", "expert_columns")


class RowsLeftOut(UserWarning):
    """Rows of a frame had missing values, and were left out."""


@dataclass(frozen=True)
class Design:
    """How covariates are made of the columns of a frame.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns of the frame, of which no two are the same.
    levels : tuple of tuple of str
        Of each column its levels, the first of which has no dummy; none of a column of numbers.
    """

    columns: tuple
    levels: tuple

    def __post_init__(self):
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "levels", tuple(map(tuple, self.levels)))

    @property
    def x_names(self):
        """Names of the covariates: of a column of numbers its own, of dummies ``"island[Dream]"``."""
        pairs = zip(self.columns, self.levels, strict=True)
        return tuple(name for c, own in pairs for name in ([f"{c}[{level}]" for level in own[1:]] if own else [c]))

    @property
    def plain(self):
        """Whether all columns are numbers."""
        return not any(self.levels)

    def covariates(self, X):
        """The covariates in a frame that has these columns, in any order and perhaps with others beside them.

        Parameters
        ----------
        X : DataFrame, (n, ...)

        Returns
        -------
        DataFrame, (n, d)

        Raises
        ------
        ValueError
            If a column is not there, holds no numbers though it did, or has a level that was not there; both are named.
        """
        places = {str(name): place for place, name in enumerate(X.columns)}
        gone = [name for name in self.columns if name not in places]
        if gone:
            raise ValueError(f"X must have the columns that were fitted; got none of the name {_some(gone)}")
        here = [places[name] for name in self.columns]
        if self.plain:
            return X if here == list(range(X.shape[1])) else X.iloc[:, here]
        parts = [_values(X.iloc[:, [k]], own) for k, own in zip(here, self.levels, strict=True)]
        return type(X)(np.column_stack(parts), columns=list(self.x_names), index=X.index)

    def places(self, name, value):
        """Columns of the frame that an argument names, or numbers from 0, as numbers of covariates.

        Parameters
        ----------
        name : str
            Of the argument.
        value : int, str, sequence of these, or None
            A column of categories stands for all its dummies; a dummy goes by its own name.

        Returns
        -------
        tuple of int, or None
        """
        if value is None or self.plain:
            return value
        widths = [max(len(own) - 1, 0) if own else 1 for own in self.levels]
        ends = np.concatenate([[0], np.cumsum(widths)]).tolist()
        spans = [tuple(range(*pair)) for pair in pairwise(ends)]
        dummies = {one: k for k, one in enumerate(self.x_names) if one not in self.columns}
        listed = list(value) if isinstance(value, list | tuple) else [value]
        of_dummies = [isinstance(one, str) and one in dummies for one in listed]
        rest = [one for one, dummy in zip(listed, of_dummies, strict=True) if not dummy] if any(of_dummies) else value
        columns = iter(check_columns(name, rest, len(self.columns), self.columns))
        out = []
        for one, dummy in zip(listed, of_dummies, strict=True):
            out += [dummies[one]] if dummy else spans[next(columns)]
        if len(set(out)) < len(out):
            raise ValueError(f"{name} must be different columns of X; got {shown(listed)}")
        return tuple(out)


class Given(NamedTuple):
    """Data of a caller's, as fits take them."""

    X: Any
    y: Any
    weights: Any = None
    design: Design | None = None  # of a frame
    notes: tuple = ()  # what was left out

    def told(self, fit):
        """A fit to these data, which keeps the design, and says what was left out."""
        if self.design is None:
            return fit
        return replace(fit, design=self.design, warnings=(*self.notes, *fit.warnings))

    def options(self, keywords):
        """Keywords of a fit, with the columns that gates and experts see as numbers of covariates."""
        if self.design is None:
            return keywords
        return keywords | {name: self.design.places(name, keywords[name]) for name in VIEW if name in keywords}


def is_frame(value):
    """Whether it is a DataFrame of pandas, which is not imported for this."""
    return hasattr(value, "iloc") and getattr(value, "ndim", 1) == 2


def as_covariates(fit: object, X: Any) -> Any:
    """X as the measure of a fit takes it: of a frame the covariates, by the design of the fit; else X itself."""
    design = getattr(fit, "design", None)
    return X if design is None or not is_frame(X) else design.covariates(X)


def taken(X, y, weights=None, design=None, stacklevel=2):
    """Data as fits take them: of a frame covariates, dummies among them, and the rows without missing values.

    Parameters
    ----------
    X : DataFrame, (n, ...), or anything else, which is returned as it came
    y : array_like, (n,) or (n, 1)
    weights : array_like, (n,), optional
    design : Design, optional
        Of the fit that the data are of; by default made of X.
    stacklevel : int
        Of the warning, as `warnings.warn` counts from here.

    Returns
    -------
    Given

    Raises
    ------
    ValueError
        If no row is whole, indices or lengths differ, or a column is neither numbers nor categories.

    Warns
    -----
    RowsLeftOut
        With the number of rows, and of missing values by column.
    """
    if not is_frame(X) or X.shape[0] == 0:
        return Given(X, y, weights)
    if design is not None:
        X = X.iloc[:, [k for k, name in enumerate(X.columns) if str(name) in design.columns]]
    labels = [str(name) for name in X.columns]
    if not labels or len(set(labels)) < len(labels) or any(name is None for name in X.columns):
        return Given(X, y, weights)  # columns that cannot be told apart are numbers, or are refused
    parts = {"y": y} if weights is None else {"y": y, "weights": weights}
    for name, part in parts.items():
        check_same_index(("X", X), (name, part))
    holes = X.isna().to_numpy()
    gaps = {name: found for name, part in parts.items() if (found := _gaps(part, len(X))) is not None}
    whole = ~np.any([holes.any(axis=1), *gaps.values()], axis=0)
    notes = ()
    if not whole.all():
        counts = [*zip(labels, holes.sum(axis=0).tolist(), strict=True), *((n, int(g.sum())) for n, g in gaps.items())]
        counts = _some([f"{count} in {name}" for name, count in counts if count])
        notes = (f"{int((~whole).sum())} of {len(X)} rows left out, as values are missing: {counts}",)
        if not whole.any():
            raise ValueError(f"X and y must have a row without missing values; got {counts} missing")
        X, y, weights = (None if part is None else _rows(part, whole) for part in (X, y, weights))
    if design is None:
        design = _design(X, labels)
        alone = [name for name, own in zip(labels, design.levels, strict=True) if len(own) == 1]
        if alone:
            notes += (f"left out, as there is one level only: {_some(alone)}",)
        if not design.x_names:
            raise ValueError(f"X must have a column of numbers, or of two levels or more; got one level in {alone[0]}")
    if not whole.all():
        warnings.warn(notes[0], RowsLeftOut, stacklevel=stacklevel)
    return Given(design.covariates(X), y, weights, design, notes)


def takes_frames(fit: Function) -> Function:
    """Decorate a fit of X, y and more so that X may be a frame: what is a matter of frames is seen to here."""
    signature = inspect.signature(fit)

    @wraps(fit)
    def of_table(*args, **keywords):
        X = keywords["X"] if "X" in keywords else args[0] if args else None
        if not is_frame(X):
            return fit(*args, **keywords)
        options = signature.bind(*args, **keywords).arguments
        given = taken(options.pop("X"), options.pop("y"), options.pop("weights", None), stacklevel=3)
        return given.told(fit(X=given.X, y=given.y, weights=given.weights, **given.options(options)))

    return of_table  # type: ignore[return-value]


def design(formula: str, data: Frame) -> tuple[Frame, Series]:
    """Covariates and response of a formula, for `hmoe_stats.fit`: ``X, y = hs.design("y ~ x1 + C(g)", data)``.

    It is `formulaic.model_matrix` (extra ``formula``) without the intercept, which experts and gates have anyway.

    Parameters
    ----------
    formula : str
        ``"y ~ x1 + C(g) + log(x2)"``; ``C`` makes dummies, ``:`` and ``*`` products.
    data : DataFrame

    Returns
    -------
    X : DataFrame, (n, d)
        Rows with missing values are left out, with a warning; the index is that of `data`.
    y : Series, (n,)

    Raises
    ------
    ValueError
        If it is no formula with one response, or names what is not in the data.
    ImportError
        If formulaic is not installed.
    """
    import formulaic

    check_text("formula", formula)
    if not is_frame(data):
        raise ValueError(f"data must be a DataFrame; got {shown(data)}")
    try:
        made = formulaic.Formula(formula).get_model_matrix(data)
        left, right = made.lhs, made.rhs
    except (formulaic.errors.FormulaicError, AttributeError) as error:
        why = " ".join(str(error).split())[:160]
        raise ValueError(f"formula must be one such as 'y ~ x1 + C(g)', of columns of data; {why}") from None
    if left.shape[1] != 1:
        raise ValueError(f"formula must have one response, a column of numbers; got {left.shape[1]} columns")
    lost = len(data) - len(right)
    if lost:
        warnings.warn(f"{lost} of {len(data)} rows left out, as values are missing", RowsLeftOut, stacklevel=2)
    frame = type(data)
    X = frame(right).drop(columns="Intercept", errors="ignore")
    return X, frame(left).iloc[:, 0]


# -- columns and rows -------------------------------------------------------------------------------------------------
def _design(X, labels):
    pairs = enumerate(zip(labels, X.dtypes, strict=True))
    levels = [() if dtype.kind in "biuf" else _levels(X.iloc[:, k], label) for k, (label, dtype) in pairs]
    made = Design(labels, levels)
    if len(set(made.x_names)) < len(made.x_names):
        (name, _), *_ = Counter(made.x_names).most_common(1)
        raise ValueError(f"X must have columns of different names, once there are dummies; got two of {shown(name)}")
    return made


def _levels(column, label):
    """The levels that a column has, in their order; none if it is to be of numbers."""
    if column.dtype.name == "category":
        there = column.cat.categories[np.unique(column.cat.codes)].tolist()
    elif column.dtype.kind in "OTU" or column.dtype.name in ("str", "string"):
        there = list(column.unique())
        if not all(isinstance(level, str) for level in there):
            return ()  # objects that are numbers, or that are refused
        there = sorted(there)
    else:
        return ()
    if len(there) >= max(len(column), 2):
        wanted = f"fewer levels than rows in column {shown(label)}"
        raise ValueError(f"X must have {wanted}; got {len(there)}, which names rows and says nothing of them")
    levels = tuple(map(level_text, there))
    if len(set(levels)) < len(levels):
        raise ValueError(f"X must have levels that differ as text; got two that read alike in column {shown(label)}")
    return levels


def level_text(level):
    """What a level is called: text as it is; whole numbers alike, whether integers or floats."""
    if isinstance(level, Real) and not isinstance(level, bool | np.bool_) and level == level // 1:
        return str(int(level))
    return str(level)


def _values(column, levels):
    """(n, m) float64: the numbers in a frame of one column, or its dummies."""
    name = column.columns[0]
    if not levels:
        return as_numbers("X", column, "a frame of numbers and categories")
    entries = column.iloc[:, 0]
    if entries.isna().any():
        raise ValueError(f"X must have no missing values; got {int(entries.isna().sum())} in column {shown(str(name))}")
    codes, found = entries.astype(object).factorize()
    place = {level: k for k, level in enumerate(levels)}
    texts = [level_text(level) for level in found]
    new = [text for text in texts if text not in place]
    if new:
        known = f"among {_some(levels)}, the levels in column {shown(str(name))} of the data that were fitted"
        raise ValueError(f"X must have levels {known}; got {_some(new)}")
    codes = np.array([place[text] for text in texts])[codes]
    return (codes[:, None] == np.arange(1, len(levels))).astype(float)


def _gaps(part, n):
    """(n,) bool, which entries of y or the weights are missing; None where that cannot be asked of them."""
    import pandas as pd

    try:
        gaps = np.asarray(pd.isna(part if hasattr(part, "iloc") else np.asarray(part)))
    except (TypeError, ValueError):
        return None
    return gaps.reshape(n) if gaps.size == n else None


def _rows(part, whole):
    return part.iloc[whole] if hasattr(part, "iloc") else np.asanyarray(part)[whole]


def _some(texts):
    """The first few texts in a line, and how many more there are."""
    more = len(texts) - NAMED
    short = ", ".join(visible(text if len(text) <= 40 else text[:37] + "...") for text in texts[:NAMED])
    return short + (f" and {more} more" if more > 0 else "")
