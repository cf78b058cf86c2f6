"""Models of many shapes and gatings fitted to the same data, and what speaks for each.

Criteria, and what they cannot tell. l is the log-likelihood of a fit in nats, without its penalty, n the number of
rows, p that of free parameters.

- **aic**, 2 p - 2 l, and **bic**, p log n - 2 l; smaller is better. Both count parameters as if all were identified. A
  spare expert is not: under the null 2 l rises by more than chi-square of its parameters. BIC is consistent all the
  same where the model is right; where it is not it takes one expert more for each thing it cannot otherwise say. Of 394
  samples of C2 BIC finds four experts in 100 %, the dendrogram in 93 %, AIC in 23 %; for 2 % of outliers BIC takes more
  in 95 %, the dendrogram in 96 % (figures/selection/selection.csv).
- **icl**, BIC plus twice the entropy of the responsibilities: of experts that overlap it says that they are one, true
  or not.
- **cv**, the mean log-density of held-out rows, in nats a row; larger is better. It asks for prediction, not for the
  number of experts: one too many costs it little. ``cv_worst`` is its worst row: a variance fitted too small shows
  there. Differences within a standard error of the mean of the rows' differences are noise.
- **dendrogram**, the DSC of `hmoe_stats.selection.merging`, in nats a row; smaller is better: of the largest flat and
  the largest two-level fit of a gating, merged step by step. It asks which experts differ, and needs them apart; it
  cannot suggest a single expert, nor more than the largest fit has, and hardly how experts are grouped. Between gatings
  it is compared as it stands, which nothing published covers.

None of them says that a tree is more than a way to write gates: see `stability`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import fitting, gates
from ..arguments import (
    check_data,
    check_gating,
    check_k2,
    check_known,
    check_seed,
    check_weights,
    check_whole,
    shown,
    takes_rng,
)
from ..fitting.result import FitResult
from ..frames import taken
from ..inference import criteria as information_criteria
from ..kinds import Axes, Frame, Rng, Shape
from ..likelihood import log_density
from .merging import dendrogram

CRITERIA = ("bic", "icl", "aic", "cv", "dendrogram")
LARGER = ("cv",)  # is better
GATINGS = ("SS", "SL", "LS", "LL")
SHAPES = ((1,), (2,), (3,), (4,), (2, 2), (3, 2), (3, 3))


@dataclass(frozen=True, repr=False, eq=False)
class Selection:
    """What `select` returns.

    Attributes
    ----------
    fits : dict
        (gating, k2) -> FitResult, of all models that could be fitted. Of flat models, whose level-1 gate is constant,
        each letter of level 2 has one, under the first gating with it.
    reasons : dict
        (gating, k2) -> why a criterion is missing, or what a fold's fit was; "" where nothing is.
    held_out : dict
        (gating, k2) -> held-out log-density of each row, (n,); without cv, empty.
    dendrograms : dict
        (gating, k2) -> Dendrogram of a largest fit.
    criteria : tuple of str
    weights : ndarray or None
    """

    fits: dict
    reasons: dict
    held_out: dict
    dendrograms: dict
    criteria: tuple
    weights: np.ndarray | None = None

    @cached_property
    def table(self) -> Frame:
        """One row per model: a DataFrame.

        Columns are gating, k2, log_likelihood, df, nobs, status, the criteria, with cv also cv_worst, the held-out
        log-density of its worst row, and reason. Criteria of fits that are no maxima are missing, but cv: predictions
        are judged by what comes.
        """
        import pandas as pd

        columns = ["gating", "k2", "log_likelihood", "df", "nobs", "status", *self.criteria, "reason"]
        if "cv" in self.criteria:
            columns.insert(columns.index("cv") + 1, "cv_worst")
        numbers = [name for name in columns if name not in ("gating", "k2", "status", "reason")]
        rows = [self._row(*key) for key in self.reasons]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))

    def _row(self, gating, k2):
        key = gating, k2
        row = {"gating": gating, "k2": k2, "reason": self.reasons[key]}
        fit, held_out = self.fits.get(key), self.held_out.get(key)
        if fit is not None:
            row |= {name: getattr(fit, name) for name in ("log_likelihood", "df", "nobs", "status")}
            row |= information_criteria(fit) if fit.converged else {}
        if held_out is not None:
            row |= {"cv": float(np.average(held_out, weights=self.weights)), "cv_worst": float(held_out.min())}
        return row | {"dendrogram": self._dsc(gating, k2)}

    def _dsc(self, gating, k2):
        """DSC of a shape: the smallest of the dendrograms that come through it; NaN where none does."""
        found = [
            value
            for (word, _), tree in self.dendrograms.items()
            for shape, value in zip(tree.shapes, tree.criterion, strict=True)
            if model(word, shape) == model(gating, k2)
        ]
        return min(found, default=np.nan)

    def best(self, criterion: str = "bic") -> FitResult:
        """The fit that a criterion prefers, among maxima of the likelihood.

        Raises
        ------
        ValueError
            If the criterion was not asked for, or no fit has it.
        """
        ranked = self._ranked(criterion)
        if not ranked:
            raise ValueError(f"criterion must be known of some fit; {criterion} is missing of all: see table['reason']")
        return self.fits[ranked[0][1]]

    def _ranked(self, criterion):
        """(value, model) of a criterion, the best first."""
        name, table = check_known("criterion", criterion, self.criteria), self.table
        known = zip(table[name], zip(table["gating"], table["k2"], strict=True), strict=True)
        sound = [(v, key) for v, key in known if v == v and key in self.fits and self.fits[key].converged]
        return sorted(sound, key=lambda pair: pair[0], reverse=name in LARGER)

    def plot(self, ax: Axes | None = None, criterion: str = "bic") -> Axes:
        """Draw a criterion: `hmoe_stats.plotting.criterion_plot`."""
        from ..plotting import criterion_plot

        return criterion_plot(self, ax, criterion=criterion)

    def __repr__(self):
        said = [f"Selection among {len(self.reasons)} models, {len(self.fits)} of them fitted:"]
        for name in self.criteria:
            ranked = [(value, f"{gating} {k2}") for value, (gating, k2) in self._ranked(name)[:2]]
            lead = f", {abs(ranked[0][0] - ranked[1][0]):.3g} ahead of {ranked[1][1]}" if len(ranked) > 1 else ""
            said.append(f"  {name}: {ranked[0][1]}{lead}" if ranked else f"  {name}: none, see table['reason']")
        missing = sum(bool(reason) for reason in self.reasons.values())
        return "\n".join(
            said + [f"  of {missing} something is missing or doubtful, see table['reason']"] * bool(missing)
        )


def model(gating, k2):
    """What names a model: gates of one component say nothing, nor does the order of groups; groups of one are flat."""
    if sum(k2) == 1:
        return "", (1,)
    if max(k2) == 1:
        return gating[0], (len(k2),)
    return (gating if len(k2) > 1 else gating[1]), tuple(sorted(k2, reverse=True))


@takes_rng
def select(
    X: ArrayLike,
    y: ArrayLike,
    gatings: str | Sequence[str] = GATINGS,
    shapes: Sequence[Shape] | None = None,
    criteria: str | Sequence[str] = CRITERIA,
    folds: int = 5,
    seed: int = 0,
    effort: str = "quick",
    n_jobs: int = 1,
    weights: ArrayLike | None = None,
    *,
    rng: Rng | None = None,
    **options: Any,
) -> Selection:
    """Fit models of several gatings and shapes, and say what speaks for each.

    Parameters
    ----------
    X : array_like, (n, d); (n,) where d = 1
        A DataFrame as in `hmoe_stats.fit`: dummies and rows are those of all folds.
    y : array_like, (n,)
    gatings : sequence of str, or str
    shapes : sequence of k2, optional
        By default flat models of one to four experts, and trees (2, 2), (3, 2) and (3, 3). Each shape grows from
        smaller ones, which are fitted once for all of them.
    criteria : sequence of {"bic", "icl", "aic", "cv", "dendrogram"}
        What each asks, its units and what it cannot tell: at the head of `hmoe_stats.selection.candidates`.
    folds : int
        Of cross-validation. They are drawn with the key `seed`, and are the same for all models.
    seed : int
        Key of the folds, and of the starts of all fits.
    effort : {"quick", "usual", "wide", "cells"}
        As in `hmoe_stats.fit`.
    n_jobs : int
        Processes; -1 for as many as there are processors. The table does not depend on it.
    weights : array_like, (n,), optional
        As in `hmoe_stats.fit`; held-out rows count as many.
    **options
        Further keywords of `hmoe_stats.fit`, such as the penalty; a `laplace_scale` is of gatings with a Laplace gate.
    rng : int, numpy.random.SeedSequence, Generator or BitGenerator, optional
        Instead of `seed`. An int is the seed; of others one number is drawn, which is.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError
        If an argument does not fit, or no model can be fitted.
    """
    gatings = [gatings] if isinstance(gatings, str) else gatings
    gatings = list(dict.fromkeys(check_gating(gating) for gating in _some("gatings", gatings)))
    shapes = list(dict.fromkeys(check_k2(k2) for k2 in _some("shapes", SHAPES if shapes is None else shapes)))
    criteria = [criteria] if isinstance(criteria, str) else criteria
    criteria = tuple(dict.fromkeys(check_known("criteria", name, CRITERIA) for name in _some("criteria", criteria)))
    given = taken(X, y, weights, stacklevel=4)
    X, y, weights, options = given.X, given.y, given.weights, given.options(options)
    n = len(check_data(X, y)[1])
    check_weights(weights, n, ("X", X), ("y", y))
    folds, seed = check_whole("folds", folds, 2, n), check_seed(seed)
    models, options = _models(gatings, shapes), options | {"seed": seed, "effort": effort}
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(b"folds"),)))
    parts = [None] + (np.array_split(rng.permutation(n), folds) if "cv" in criteria else [])
    tasks = [(gating, own, part) for part in parts for gating, own in models.items()]
    answers = _answers(_Data(X, y, weights), options, tasks, n_jobs)
    fits, reasons, held_out = {}, {}, {}
    for (gating, own, part), found in zip(tasks, answers, strict=True):
        for k2, one in zip(own, found, strict=True):
            key = gating, k2
            if part is None:
                reasons[key] = str(one) if isinstance(one, ValueError) else _doubt(one)
                if isinstance(one, FitResult):
                    fits[key], held_out[key] = given.told(one), np.full(n, np.nan)
            elif key in fits:
                values, doubt = (np.nan, str(one)) if isinstance(one, ValueError) else one
                held_out[key][part] = values
                if doubt:
                    reasons[key] = "; ".join(filter(None, [reasons[key], f"a fold's fit: {doubt}"]))
    if not fits:
        raise ValueError(next(iter(reasons.values())))
    held_out = {key: values for key, values in held_out.items() if "cv" in criteria and not np.isnan(values).any()}
    trees = _trees(fits) if "dendrogram" in criteria else {}
    for (gating, _), tree in trees.items():  # a shape that was not asked for
        if model(gating, tree.k2) not in {model(*key) for key in reasons}:
            start = {"start": tree.measure, "weights": weights, "laplace_scale": None}
            one = fits[gating, tree.k2] = given.told(fitting.fit(X, y, gating, tree.k2, **options | start))
            reasons[gating, tree.k2] = "; ".join(filter(None, ["added, as a dendrogram suggests it", _doubt(one)]))
    return Selection(fits, reasons, held_out, trees, criteria, None if weights is None else np.asarray(weights))


def _some(name, values):
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"{name} must be a sequence of at least one; got {shown(values)}")
    return values


def _models(gatings, shapes):
    """Gating -> shapes, no model twice."""
    out = {}
    for key in ((gating, k2) for gating in gatings for k2 in shapes):
        out.setdefault(model(*key), key)
    of_gating = {gating: [k2 for word, k2 in out.values() if word == gating] for gating in gatings}
    return {gating: own for gating, own in of_gating.items() if own}


def _doubt(fit):
    return "" if fit.converged else f"{fit.status}: {fit.message}"


def _trees(fits):
    """The dendrograms of the largest flat and the largest two-level fit of each gating."""
    largest = {}
    for gating, k2 in fits:
        if sum(k2) > max(1, sum(largest.get((gating, len(k2) > 1), (0,)))):
            largest[gating, len(k2) > 1] = k2
    return {(gating, k2): dendrogram(fits[gating, k2]) for (gating, _), k2 in largest.items()}


class _Data:
    """X, y and weights as they came, of which rows can be taken."""

    def __init__(self, X, y, weights):
        self.parts = X, y, weights

    def rows(self, index):
        """The rows of an index, whatever holds them."""
        take = lambda part: part.iloc[index] if hasattr(part, "iloc") else np.asarray(part)[index]  # noqa: E731
        return tuple(None if part is None else take(part) for part in self.parts)


def _answers(data, options, tasks, n_jobs):
    """The fits of the shapes of a gating to all rows; or to those outside a part, as what they say of the part."""
    if n_jobs == 1:
        return [_one(data, options, task) for task in tasks]
    from joblib import Parallel, delayed

    n_jobs = n_jobs if n_jobs == -1 else check_whole("n_jobs", n_jobs, note=", or -1")
    return Parallel(n_jobs=n_jobs)(delayed(_one)(data, options, task) for task in tasks)


def _one(data, options, task):
    gating, shapes, part = task
    if not gates.has_scale(gating):
        options = {name: value for name, value in options.items() if name != "laplace_scale"}
    rows = None if part is None else np.setdiff1d(np.arange(len(data.parts[1])), part)
    X, y, weights = data.parts if part is None else data.rows(rows)
    try:
        found = fitting.fit_nested(X, y, gating, shapes, weights=weights, **options)
    except ValueError as error:
        found = [error] * len(shapes)
    if part is None:
        return found
    X, y, _ = data.rows(part)
    return [one if isinstance(one, ValueError) else (log_density(one, X, y), _doubt(one)) for one in found]
