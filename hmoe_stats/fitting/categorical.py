"""Fits of categorical experts: the penalised maximum-likelihood estimator, by a quasi-Newton method from many starts.

The exact score is cheap (Fisher's identity), the likelihood has many maxima, and a model has hundreds of parameters: so
starts are warmed by EM, climb together by L-BFGS-B, those that fall behind drop out, and the best one is moved about
until that helps no more. Moves are those of the search for Gaussian experts that ask for no variance.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from .. import gates, names
from ..arguments import (
    check_covariates,
    check_gating,
    check_k2,
    check_known,
    check_number,
    check_positive,
    check_same_index,
    check_weights,
    check_whole,
    shown,
    takes_rng,
)
from ..categorical import CategoricalMeasure, Rows, as_categorical, coded
from ..frames import takes_frames
from ..kinds import Categorical, Columns, Rng, Seed, Shape
from ..tree import check_view
from . import class_starts, shapes, starts
from .class_problem import ClassProblem, Climb
from .class_result import CategoricalResult
from .mle import FINAL_SMOOTHING
from .own import no_scale, per_unit
from .problem import SPREADS, one_thread
from .race import AGREE
from .rows import moments

RIDGE = {"gates": 0.1, "experts": 1.0}
STARTS = 24
ROUNDS = ((30, 1 / 2), (60, 1 / 3), (200, 1 / 2))  # iterations of a race, and the share of starts that go on
LEAST = 3  # starts that go on at least
REPEATS = 3  # times that the best optimum is moved about
FINISHES = 5  # climbs at most to the last tolerance, each with a fresh memory
LOOSE = 1e-10  # of a race: an iteration that raises the value by a smaller share of it ends a climb


@takes_frames
@takes_rng
@one_thread
def fit_categorical(
    X: ArrayLike,
    y: ArrayLike,
    gating: str,
    k2: Shape,
    ridge: str | float | dict[str, float] = "default",
    start: Categorical | None = None,
    n_starts: int = STARTS,
    tol: float = 1e-7,
    max_iter: int = 5000,
    seed: Seed = 0,
    weights: ArrayLike | None = None,
    laplace_scale: ArrayLike | None = None,
    gate_columns: Columns | None = None,
    expert_columns: Columns | None = None,
    *,
    rng: Rng | None = None,
) -> CategoricalResult:
    """Penalised maximum-likelihood fit of an HMoE with categorical experts, multinomial logistic regressions.

    What is maximised is the log-likelihood less a ridge,

        rho_g / 2 sum over gates, components, columns of (t - mean t)^2
        + rho_e / 2 sum over experts, classes, columns of (s - mean s)^2

    with slopes t of gates per standard deviation of what they multiply (of Laplace gates, which have no mean taken off,
    the distances of centres from the mean of x in standard deviations), and slopes s of the logits of classes per
    standard deviation of the covariates, less their mean over all classes. Separation is the rule with several experts:
    each sees few of the classes, and without a ridge slopes have no finite maximum. The ridge favours *collapse*: an
    expert that predicts nothing of its own costs nothing, and two that share the work of one pay for it twice.

    Parameters
    ----------
    X : array_like, (n, d); (n,) where d = 1; or DataFrame, (n, ...)
        Of a frame columns of categories become dummies, and rows with missing values are left out, as in `fit`.
    y : array_like, (n,)
        Labels of at least two classes, all text, all numbers or all logical. Classes are sorted; the last one is the
        reference of `CategoricalMeasure`, which the ridge knows nothing of.
    gating : str
        Gates of level 1 and 2, two letters of S softmax, L Laplace, Q quadratic: ``"SL"``.
    k2 : sequence of int, or int
        Number of experts in each group; an integer: of the only one.
    ridge : {"default"}, float or dict
        rho_g and rho_e: one number for both, or a dict with ``"gates"`` and ``"experts"``, or one of these; by default
        0.1 and 1. 0 is no ridge; slopes then end on the box, a thousand per standard deviation, where classes separate.
    start : CategoricalMeasure or CategoricalResult, optional
        Where to start, of this shape or a smaller one, and of these classes.
    n_starts : int
        Starts of the model itself; smaller ones that it grows from have a third as many. By default 24.
    tol : float
        Largest entry of the projected score over n, in standardised units, for status "converged" or "boundary".
    max_iter : int
        Iterations of the last climb at most.
    seed : int or numpy.random.SeedSequence
        Key of the starts' random numbers.
    weights : array_like, (n,), optional
        How many rows each row counts as, w >= 0.
    laplace_scale : float or array_like, (d,), optional
        The scale of Laplace gates per standard deviation of each covariate, as in `fit`; by default 3, or that of the
        `start`. What is best depends on the data: try several on held-out rows.
    gate_columns, expert_columns : sequence of int or str, optional
        The columns of X that gates, and experts, see; all of them by default.
    rng : int, numpy.random.SeedSequence, Generator or BitGenerator, optional
        Instead of `seed`. An int is the seed; of others one number is drawn, which is.

    Returns
    -------
    CategoricalResult

    Raises
    ------
    ValueError
        If the data are not finite, there are fewer than two classes, or an argument does not fit.

    Notes
    -----
    With one expert this is multinomial logistic regression: the maximum is unique, and that of scikit-learn's
    ``LogisticRegression(C=1 / rho_e)`` on standardised covariates with three classes or more. Of two classes it has one
    logit, and ``C = 2 / rho_e`` is the same ridge.
    """
    search, k2, called = prepared(
        X, y, gating, k2, ridge, start, n_starts, tol, max_iter, seed, weights, laplace_scale, gate_columns,
        expert_columns,
    )  # fmt: skip
    return search.result(k2).named(*called)


def prepared(
    X, y, gating, k2, ridge, start, n_starts, tol, max_iter, seed, weights, laplace_scale, gate_columns, expert_columns
):
    """(`Search`, shape, names of X and y) that these arguments of `fit_categorical` ask for; they are checked here."""
    called = names.of_data(X, y)
    for pair in ((("X", X), ("y", y)), (("X", X), ("weights", weights))):
        check_same_index(*pair)
    X, gating, k2 = check_covariates(X), check_gating(gating), check_k2(k2)
    found, codes = coded(y, len(X))
    weights = check_weights(weights, len(X))
    if weights is not None and not weights.all():
        X, codes, weights = np.ascontiguousarray(X[weights > 0]), codes[weights > 0], weights[weights > 0]
    kept, codes = np.unique(codes, return_inverse=True)
    classes = tuple(found[code] for code in kept)
    if len(classes) < 2:
        raise ValueError(f"y must have at least two classes; got only one, {shown(classes[0])}")
    if weights is not None and (weights == 1.0).all():
        weights = None
    rows = Rows(X, codes.astype(np.int64), weights)
    _, spread, varies = moments(X, weights)
    wrong = varies & ((spread < SPREADS[0]) | (spread > SPREADS[1]))
    if wrong.any():
        wanted = f"between {SPREADS[0]:g} and {SPREADS[1]:g}"
        raise ValueError(f"X must have a standard deviation {wanted}, rescale it; got {spread[wrong][0]:g}")
    start = None if start is None else as_categorical("start", start)
    scale = per_unit(laplace_scale, spread, varies, start) if gates.has_scale(gating) else no_scale(laplace_scale)
    view = check_view(gating, X.shape[1], scale, gate_columns, expert_columns, called[0])
    if start is not None:
        start = _check_start(start, gating, k2, X.shape[1], classes, view)
    tol, max_iter, n_starts = check_positive("tol", tol), check_whole("max_iter", max_iter), _whole_starts(n_starts)
    search = Search(rows, classes, gating, view, check_ridge(ridge), start, n_starts, tol, max_iter, seed)
    starts.key(seed, gating, k2)  # which checks the seed
    return search, k2, called


def _whole_starts(n_starts):
    return STARTS if n_starts is None else check_whole("n_starts", n_starts)


def check_ridge(ridge):
    """`ridge` of `fit_categorical` as (rho_g, rho_e)."""
    wanted = '"default", a finite number of at least 0, or a dict of these with keys among gates, experts'
    if isinstance(ridge, str):
        check_known("ridge", ridge, ("default",), wanted)
        ridge = {}
    if isinstance(ridge, dict):
        for name in ridge:
            check_known("ridge", name, tuple(RIDGE), wanted)
        ridge = RIDGE | ridge
    else:
        ridge = dict.fromkeys(RIDGE, ridge)
    return tuple(check_number("ridge", ridge[name], wanted, lambda v: 0.0 <= v < np.inf) for name in RIDGE)


def _check_start(start, gating, k2, d, classes, view):
    """`start` with all columns, as of this model."""
    starts.check_inside(start, gating, k2, d)
    if start.classes != classes:
        raise ValueError(f"start must have the classes {shown(classes)}; got {shown(start.classes)}")
    for name, value in view.items():
        mine = getattr(start, name)
        if not np.allclose(mine, value) if name == "laplace_scale" else mine != value:
            value, mine = (getattr(part, "tolist", lambda part=part: part)() for part in (value, mine))
            raise ValueError(f"start must have {name} = {shown(value)}; got {shown(mine)}")
    return start.wide()


@dataclass
class Run:
    """A start on its way."""

    kind: str
    climb: Climb
    status: str = "running"  # then "converged", "max_iter", "behind" or "merged"

    @property
    def value(self):
        return self.climb.value


@dataclass
class Search:
    """What all sizes of a model share, and how the fit of one comes from that of the next smaller one."""

    rows: Rows
    classes: tuple
    gating: str
    view: dict
    ridge: tuple
    start: CategoricalMeasure | None
    n_starts: int
    tol: float
    max_iter: int
    seed: int | np.random.SeedSequence
    seen: dict = field(default_factory=dict)  # shape -> (problem, runs, the best first)

    def fit(self, k2, n_starts):
        """The `ClassProblem` of a shape, and its runs, the best first."""
        if k2 not in self.seen:
            self.seen[k2] = self._grown(k2, n_starts)
        return self.seen[k2]

    def _grown(self, k2, n_starts):
        rng = np.random.default_rng(starts.key(self.seed, self.gating, k2))
        problem = ClassProblem(self.rows, self.classes, self.gating, k2, self.view, self.ridge)
        smaller, given = shapes.one_less(k2, self.start), self.start is not None and self.start.k2 == k2
        entries, inside = [], None
        if given:
            entries.append(("start", problem.from_measure(self.start)))
            entries += [("jitter", self._jittered(problem, self.start, rng, m)) for m in range(n_starts - 1)]
        elif smaller is None:
            entries.append(("zero", problem.coordinates(problem.parts(np.zeros(problem.p)))))
        else:
            nested = self.best(smaller, max(LEAST, n_starts // 3))
            inside = problem.from_measure(shapes.embed(nested, k2, rng))
            for number in range(n_starts):
                if number % 2 or self.start is not None:
                    G, kind = class_starts.split(nested, k2, self.rows, rng, number // 2)
                    entries.append((f"split:{kind}", problem.from_measure(G)))
                else:
                    make = class_starts.from_clusters if number % 4 else class_starts.random
                    entries.append((make.__name__, make(problem, rng)))
        runs = self.race(problem, entries)
        if inside is not None:
            spent = sum(iterations for iterations, _ in ROUNDS)
            climb = problem.climb(inside, problem.smoothing, spent, self.tol, LOOSE)
            runs.append(Run("embedded", climb, "converged" if climb.n_iter < spent else "max_iter"))
        for _ in range(REPEATS if n_starts > 1 and problem.K > 1 else 0):
            lead = max(runs, key=lambda run: run.value)
            runs += self.race(problem, self.moves(problem, lead.climb.z, rng, max(LEAST, n_starts // 2)))
            if max(run.value for run in runs) <= lead.value + AGREE:
                break
        return problem, sorted(runs, key=lambda run: -run.value)

    def best(self, k2, n_starts):
        """The measure of the best run of a shape."""
        problem, runs = self.fit(k2, n_starts)
        return problem.to_measure(runs[0].climb.z)

    def _jittered(self, problem, G, rng, number):
        return problem.from_measure(class_starts.jitter(G, self.rows, rng, 0.1 * 2.0 ** (number % 4)))

    def moves(self, problem, z, rng, count):
        """`count` starts around the best optimum, of each kind in turn.

        Jittered; an expert taken out and another copied instead; experts of two groups in each other's place; centres
        of a Laplace gate moved together, or apart.
        """
        G, K = problem.to_measure(z), problem.K
        kinds = ["jitter", "exchange"]
        kinds += ["regroup"] if problem.k1 > 1 else []
        kinds += ["recentre"] if problem.located else []
        orders = list(shapes.swaps(problem.k2))
        out = []
        for number in range(count):
            kind, turn = kinds[number % len(kinds)], number // len(kinds)
            H = G
            if kind == "exchange":
                droppable = [j for j in range(K) if problem.k2[G.group[j]] > 1]
                if droppable:
                    less = shapes.drop(G, droppable[turn % len(droppable)])
                    H = class_starts.split(less, problem.k2, self.rows, rng, int(rng.integers(100)))[0]
            elif kind == "regroup":
                order = orders[int(rng.integers(len(orders)))]
                H = G.replace(**{name: getattr(G, name)[order] for name in G.family.arrays})
            elif kind == "recentre":
                H = starts.recentre(G, self.rows.X, rng, bool(turn % 2), self.rows.weights)
            moved = self._jittered(problem, H, rng, turn) if kind == "jitter" or H is G else problem.from_measure(H)
            out.append((kind, moved))
        return out

    def race(self, problem, entries):
        """Runs of all entries: warmed by EM, then climbed in rounds, after each of which the lowest fall out."""
        eps = problem.smoothing
        runs = [Run(kind, Climb(problem.warmed(z, eps), -np.inf, np.inf, 0)) for kind, z in entries]
        here = runs
        for iterations, share in ROUNDS:
            for run in here:
                if run.status == "running":
                    climb = problem.climb(run.climb.z, eps, iterations, self.tol, LOOSE)
                    run.climb = climb._replace(n_iter=run.climb.n_iter + climb.n_iter)
                    run.status = "running" if climb.n_iter >= iterations else "converged"
            here = sorted(here, key=lambda run: -run.value)
            kept = []
            for run in here:
                if any(abs(run.value - other.value) < AGREE for other in kept):
                    run.status = "merged"
                elif len(kept) < max(LEAST, round(share * len(here))):
                    kept.append(run)
                else:
                    run.status = "behind"
            here = kept
        for run in here:
            run.status = "max_iter" if run.status == "running" else run.status
        return runs

    def result(self, k2):
        """The `CategoricalResult` of a shape: its best run, climbed to the end."""
        problem, runs = self.fit(k2, self.n_starts)
        eps = problem.smoothing * FINAL_SMOOTHING
        finals = [self.finish(problem, run.climb, eps) for run in runs[: 2 if problem.kinked else 1]]
        final = max(finals, key=lambda climb: problem.value(climb.z, 0.0))
        return CategoricalResult.made(self, problem, final, eps, runs)

    def finish(self, problem, climb, eps):
        """Climb on to the tight tolerance."""
        left = self.max_iter
        for _ in range(FINISHES):
            new = problem.climb(climb.z, eps, left, 0.5 * self.tol)
            left -= new.n_iter
            climb = new._replace(n_iter=climb.n_iter + new.n_iter)
            if climb.norm <= self.tol or new.n_iter == 0 or left <= 0:
                break
        return climb
