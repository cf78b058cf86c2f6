"""Maximum likelihood: many starts, each climbed by a trust-region Newton method in a box, and a certificate.

1. Growth. Around a given measure the smallest model starts at that measure and jittered copies; without one it is a
   single expert, and every size gets a few starts from k-means++ clusters and random regressions, warmed by EM. A
   larger model grows from the fit with one expert less, made first by this same pipeline: a new expert is put where the
   likelihood asks for one (`insertion.insertions`); where n is large, beyond `problem.LARGE`, half of these starts are
   splits as narrow as n allows. Groups hardly interact, so where another group grew before, half of the starts are
   crosses: optima from there, each with the growing group of an optimum in which that one grew instead; the other half
   are insertions into the best optimum of either kind.
   Usual and wide efforts cross all pairs of the leading optima, as the likelihood of a pair says little before its
   climb, put experts into the three best optima of a kind, and judge more for a start.
2. A race. All starts climb four Newton iterations at a time; those level with another are merged into it, those four
   log-likelihood units behind the leader, or behind the best optimum known before, fall out; those that hardly rise any
   more are left where they are.
3. Regroupings. In the best optimum any two experts of different groups change places and gates are fitted anew, Laplace
   gates on a few rows from many centres, as kinks hold them; the optimum itself is shaken: jittered, and Laplace gates
   have all their centres moved about another row. This goes on until it helps no more. Local fits, whose groups are
   given, go without.
4. Exchanges. In the best optimum (with more effort the six best) each group in turn gives back the expert least
   missed and has another put where it is wanted; the optima so found are crossed with all others. More effort first
   moves all leading optima: the centres of a Laplace gate to other rows, as kinks hold them where they were before an
   expert came; without such gates all parameters a little. This goes on until it helps no group. In the end the best
   optimum is shaken once more; with more effort its regroupings are looked at again, too. "quick" has no exchanges
   where n is large.
5. The three best are climbed on to a tight tolerance and ranked by the likelihood of the model itself: Laplace gates
   put kinks into it, so distances are smoothed on the way, sqrt(||x - a||^2 + eps^2), with eps = n^(-1/2) standard
   deviations of x and eps / 30 in the end. The smaller fit, written in the larger shape, always stands among them: a
   fit never ends below the smaller model it contains.

With the effort "cells", where one covariate has more than `moves.CELLED` rows, all that is done on cells of rows
(`rows.cells`): a few thousand whatever n is, of the number of their rows for a weight. Of each shape the optima so
found, as far as they are within `NEAR` of the best, are climbed on, on all rows, and raced, and 5 goes on from there:
what is returned is a maximum of the likelihood of all rows, and no smaller fit is above it. An expert on a cell of many
rows would have a likelihood without bound, so variances there have a floor (`NARROW`); where an expert is narrower than
a cell is high, or than it rises over its width, all rows are searched.

With a penalty (`own.fit`) all values are penalised ones, and a fit never ends below the *penalised* value of the
smaller one as written in the larger shape, where the penalty is another.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from .. import kernels, names
from ..arguments import check_flag, check_known, check_positive, check_whole, takes_rng
from ..frames import takes_frames
from ..kinds import Bounds, Columns, Measure, Rng, Seed, Shape, Verbose
from ..measure import MixingMeasure
from . import certificate, moves, shapes, starts
from .answers import Data
from .newton import begin, maximise, polish, promise, spectrum
from .penalty import Penalty
from .problem import Problem, check_problem, one_thread
from .progress import ALONE, Team, Watch, check_jobs, check_verbose
from .race import AGREE, Pool, Run, same, sound
from .result import FitResult
from .rows import cells

FINAL_SMOOTHING = 1.0 / 30.0  # of the first smoothing
FINISHED = 3  # optima climbed to the end
# Log-likelihood that one more step may promise of an optimum, or what double precision cannot tell: a tenth of a
# standard error, and half of what starts may differ by and count as one optimum. At n = 1e12 the flattest directions
# have a millionth of a millionth of the curvature of others, and SS fits (four of eight) end where neither a step along
# the valley nor one of Newton's leads on, with up to .0012 promised.
LEFT = 5e-3
NARROW = 0.25  # of the square of the height of cells: the floor of variances on them
NEAR = 10.0  # log-likelihood units within the best on cells, of optima that are climbed on, on all rows
REGROUPED = 5  # regroupings or shakes in a row at most


@takes_frames
@takes_rng
@one_thread
def fit_mle(
    X: ArrayLike,
    y: ArrayLike,
    gating: str,
    k2: Shape,
    start: Measure | None = None,
    n_starts: int | None = None,
    bounds: Bounds | None = None,
    tol: float = 1e-8,
    max_iter: int = 500,
    seed: Seed = 0,
    local: bool = False,
    effort: str | None = None,
    weights: ArrayLike | None = None,
    laplace_scale: ArrayLike = 1.0,
    gate_columns: Columns | None = None,
    expert_columns: Columns | None = None,
    n_jobs: int = 1,
    verbose: Verbose = False,
    *,
    rng: Rng | None = None,
) -> FitResult:
    """Maximum-likelihood fit of an HMoE in a box, with a certificate.

    Parameters
    ----------
    X : array_like, (n, d); (n,) where d = 1
        Of a DataFrame columns of text and of categories become dummies, ``"island[Dream]"``, all but that of the first
        level; truth values are 1 and 0. Rows with missing values in X, y or weights are left out, with a warning and a
        line in `FitResult.warnings`. In arrays they are refused.
    y : array_like, (n,) or (n, 1)
        Pandas objects among X, y and weights must have one index.
    gating : str
        Gates of level 1 and 2, two letters of S softmax, L Laplace, Q quadratic: ``"SL"``.
    k2 : sequence of int, or int
        Number of experts in each group; an integer: of the only one.
    start : MixingMeasure or FitResult, optional
        Starts are made around it; it may be smaller than `k2`. Without it starts are made from the data.
    n_starts : int, optional
        Number of starts at every stage of growth, instead of that of the `effort`. Without an `effort`, fewer than 40
        ask for "quick", more for "usual". With one start groups are not regrouped, nor optima shaken.
    bounds : dict, optional
        Box on the parameters: keys among a, b, omega, beta, eta, tau, nu; values a half-width B, for [-B, B], or a
        pair (low, high); low = high holds a parameter there. Softmax gates are translated to the middle of their box
        first, so for them the box says that slopes (or intercepts) of one gate differ by at most high - low. By default
        a wide box: softmax slopes 1000 a standard deviation of x, Laplace centres within 1.5 (d = 1) or 3 half-ranges
        of the middle of x, nu at least 1e-6 var(y).
    tol : float
        On the projected score over n, in standardised units, for status "converged" or "boundary". At large n it says
        little, and what one more step promises is asked beside: see `FitResult.status`.
    max_iter : int
        Newton iterations of one start at most.
    seed : int or numpy.random.SeedSequence
        Key of the starts' random numbers.
    local : bool
        With a `start`: return the best optimum local to it, in which the experts of each group stay in the Voronoi
        cells of one group of `start`, in the squared distance mean of (d eta' x + d tau)^2 / nu* + (d nu / nu*)^2.
        Elsewhere the box may hold better optima in which one group takes over an expert of another; they do not last
        as n grows, but slow what is measured before.
    effort : {"quick", "usual", "wide", "cells"}, optional
        How widely optima are sought; by default "usual", 8 starts of the smallest model and 80 at every stage of
        growth. "quick" takes 12 and the likeliest moves only, as the studies do; "wide" takes 200. "cells" is
        for one covariate with more than 20,000 rows: optima are sought on a few thousand cells of rows, with 32 starts,
        and those that lead are climbed on, on all rows. `benchmarks/large.csv` has what that takes; how often it misses
        the best optimum has not been counted.
        `hmoe_stats.fitting.moves.Effort` has the presets; the result says which one it had.
    weights : array_like, (n,), optional
        How many rows each row counts as, w >= 0, not only integers; without it each counts as one. n is their sum in
        everything that goes by the number of rows, and a weight of 0 is no row. Rows of positive weight, and the sum
        of weights, must be more than the model has free parameters.
    laplace_scale : float or array_like, (d,), optional
        The scale c of Laplace gates, whose scores are ``-||c (x - a)||``, per unit of each column of X: part of the
        model, not estimated. With c = 1, the default, fits depend on the units of X. With any other they are
        equivariant: X in units u times as large and c times u are the same fit, centres u times as small. One in
        standardised covariates is ``1 / X.std(axis=0)``.
    gate_columns, expert_columns : sequence of int or str, optional
        The columns of X that gates, and experts, see, by number or, where X is a DataFrame, by name: one of categories
        stands for all its dummies. All of them by default; () for none: constant gates, or experts without slopes.
    n_jobs : int
        Threads that climb starts at a time, -1 for as many as there are processors. No bit of the fit depends on it.
    verbose : bool or callable
        Tell how far the fit is: True at standard error, a line per move of the search and every two seconds; a callable
        is given a `hmoe_stats.fitting.progress.Progress` after every round of a race. Who watches may stop: then an
        interrupt (Ctrl-C, or a KeyboardInterrupt that the callable raises) returns the best that was found so far, with
        the status "interrupted". Without it an interrupt is raised, as everywhere.
    rng : int, numpy.random.SeedSequence, Generator or BitGenerator, optional
        Instead of `seed`. An int is the seed; of others one number is drawn, which is.

    Returns
    -------
    FitResult

    Raises
    ------
    ValueError
        If the data are not finite, do not vary, are too few, or an argument does not fit.
    KeyboardInterrupt
        If interrupted, and not `verbose`; or if there is nothing yet to return.

    Notes
    -----
    The likelihood of a Gaussian mixture is unbounded as a variance goes to 0, and has spurious maxima beside: an expert
    shrunk onto a few rows near a line. Unless `bounds` has variances, optima with a variance on the floor, with an
    expert on a handful of rows, or with one of tiny variance that chance may have found there
    (`hmoe_stats.fitting.certificate` has the rule), are returned, as "degenerate", only if no other optimum was found.
    With variances in `bounds` every point of the box is an estimate; `FitResult.warnings` says of any fit what the data
    say against its experts.
    """
    search, shape = prepared(
        X, y, gating, k2, start, n_starts, bounds, tol, max_iter, seed, local, effort, weights, laplace_scale,
        gate_columns, expert_columns,
    )  # fmt: skip
    return search.run(shape, check_jobs(n_jobs), check_verbose(verbose)).named(*names.of_data(X, y))


def prepared(
    X, y, gating, k2, start, n_starts, bounds, tol, max_iter, seed, local, effort, weights, laplace_scale, gate_columns,
    expert_columns,
):  # fmt: skip
    """The `Search` that these arguments of `fit_mle` ask for, which are checked here, and the shape to be fitted."""
    X, y, gating, k2, weights, view = check_problem(
        X, y, gating, k2, weights, laplace_scale, gate_columns, expert_columns
    )
    if check_flag("local", local) and start is None:
        raise ValueError("local must be False without a start; got True")
    start = starts.check_start(start, gating, k2, X, y, weights, view)
    tol, max_iter = check_positive("tol", tol), check_whole("max_iter", max_iter)
    if n_starts is not None:
        n_starts = check_whole("n_starts", n_starts)
    if effort is not None:
        effort = check_known("effort", effort, tuple(moves.EFFORTS))
    effort = moves.effort_of(effort, n_starts)
    return Search(X, y, gating, start, effort, bounds, tol, max_iter, seed, local, weights, view), k2


@dataclass
class Search:
    """What all sizes of a model share, and how the fit of one comes from that of the next smaller one."""

    X: np.ndarray
    y: np.ndarray
    gating: str
    start: MixingMeasure | None
    effort: moves.Effort
    bounds: dict | None
    tol: float
    max_iter: int
    seed: int | np.random.SeedSequence
    local: bool
    weights: np.ndarray | None = None
    view: dict | None = None  # the Laplace scale and the columns that are seen; measures here are written with all
    penalty: Penalty | None = None
    own: bool = False  # data of a person's own: only bounds that were stated are a status
    seen: dict = field(default_factory=dict)  # shape -> what `fit` returns
    pools: dict = field(default_factory=dict)  # shape -> its pool, of fits that are not over
    cell: tuple = (0.0, 0.0)  # width and height of cells, where rows are cells
    team: Team = ALONE
    watch: Watch = field(default_factory=Watch)

    def run(self, k2, n_jobs=1, verbose=False, keeps=True):
        """The result of a shape, in so many threads and watched (`fit_mle`).

        An interrupt of a watched fit gives the best so far (`so_far`), unless it `keeps` nothing.
        """
        self.watch = Watch(verbose)
        with Team(n_jobs) as self.team:
            try:
                return self.fit(k2)[0]
            except KeyboardInterrupt:
                found = self.so_far(k2) if self.watch and keeps else None
                if found is None:
                    raise
                return found
            finally:
                self.team = ALONE

    def fit(self, k2):
        """The result, and the best optima as (log-likelihood, measure), the best first."""
        if k2 not in self.seen:
            self.seen[k2] = self._grown(k2)
        return self.seen[k2]

    def _grown(self, k2):
        rng = np.random.default_rng(starts.key(self.seed, self.gating, k2))
        if self.on_cells is not None:
            return self._promoted(k2, rng)
        smaller, leaders, inside = shapes.one_less(k2, self.start), [], self.start
        if smaller is not None:
            nested, leaders = self.fit(smaller)
            inside = shapes.embed(nested.measure.wide(), k2, rng)  # the smaller fit, written in the larger shape
        pool = self.pools[k2] = self.pool(self.problem(k2, inside))
        if leaders:
            self.race(pool, -np.inf, moves.growth, rng, leaders)
        else:
            self.race(pool, -np.inf, moves.first, rng)
        if self.regroups and len(k2) > 1:
            self.repeat(moves.regroupings, pool, rng)
        if leaders and (self.effort.exchanges_large or not pool.problem.large):
            self.exchange(pool, rng, smaller)
            if self.regroups:
                self.repeat(moves.regroupings if self.effort.regroups_again else moves.shakes, pool, rng)
        return self._finished(k2, pool, inside if leaders else None)

    @cached_property
    def on_cells(self):
        """The same search on cells of rows (`rows.cells`), which comes first where rows are many; None where not."""
        if not self.effort.on_cells or len(self.y) <= moves.CELLED or self.local or self.X.shape[1] > 1:
            return None
        X, y, weights, *size = cells(self.X, self.y, self.weights)
        if y.size < moves.CELLS:
            return None
        few = {
            "X": X,
            "y": y,
            "weights": weights,
            "effort": replace(self.effort, on_cells=False),
            "cell": tuple(size),
        }
        return replace(self, **few, seen={}, pools={})

    def share(self, other):
        """Take what `other`, a search of the same data and options, has found."""
        self.seen = other.seen
        if other.on_cells is not None:
            self.on_cells = other.on_cells

    def _promoted(self, k2, rng):
        """As `_grown`, of which the best optima on cells of rows are climbed on."""
        smaller, inside = shapes.one_less(k2, self.start), self.start
        if smaller is not None:
            inside = shapes.embed(self.fit(smaller)[0].measure.wide(), k2, rng)
        self.on_cells.team, self.on_cells.watch = self.team, self.watch
        found, optima = self.on_cells.fit(k2)
        (width, height), G = self.on_cells.cell, found.measure.wide()
        if (G.nu < (G.eta[:, 0] * width) ** 2 + height**2).any():
            self.on_cells = None
            return self._grown(k2)
        pool = self.pools[k2] = self.pool(self.problem(k2, inside))
        near = [H for value, H in optima if value > optima[0][0] - NEAR]
        self.told(pool, "promoted")
        pool.race([("cells", pool.problem.from_measure(H)) for H in near])
        return self._finished(k2, pool, None if smaller is None else inside)

    def _finished(self, k2, pool, inside):
        """What `fit` returns of a pool whose races are over."""
        self.told(pool, "finish")
        optima, finals = self.finals(pool, inside)
        self.team.map(lambda run: run.flaw, pool.runs)
        result = _result(self, pool, optima, finals)
        self.told(pool, "done")
        del self.pools[k2]
        return result, [
            (result.penalised_log_likelihood, result.measure.wide()),
            *(run.entry for run in optima[1 : moves.LEADERS]),
        ]

    @property
    def regroups(self):
        """Local fits, whose groups are given, go without."""
        return self.effort.regroups and not self.local

    def problem(self, k2, inside=None):
        """The `Problem` of one size, its box wide enough for the measure `inside`."""
        home = self.start if self.local else None
        more = self.weights, self.view, self.penalty, NARROW * self.cell[1] ** 2
        problem = Problem(self.X, self.y, self.gating, k2, self.bounds, inside, home, *more)
        if inside is None:
            problem.refer_to(self.start)
        return problem

    def pool(self, problem):
        """A `Pool` of this search's threads."""
        return Pool(problem, self.max_iter, self.team, self.watch)

    def told(self, pool, name):
        """Tell whoever watches that a move begins."""
        self.watch.move = name
        if self.watch:
            self.watch.tell(pool.problem, best=max((run.value for run in pool.runs), default=-np.inf))

    def race(self, pool, lead, move, rng, *args):
        """Race the starts of a move, and return their runs."""
        self.told(pool, move.__name__)
        return pool.race(move(self, pool, rng, *args), lead)

    def so_far(self, k2):
        """The best there is of a shape whose fit was interrupted, climbed no more; None where there is nothing.

        It is the best sound run of that shape, or, if that is more, the best smaller measure written in the shape.
        """
        if k2 in self.seen:
            return self.seen[k2][0]
        rng = np.random.default_rng(starts.key(self.seed, self.gating, k2))
        pool, shape, inside = self.pools.get(k2), k2, []
        while shape is not None and not inside:  # of the shape itself, or the next smaller one of which there is any
            if pool is None or not pool.known or shape != k2:
                inside = [one.best_of(shape) for one in (self, self.on_cells) if one is not None]
                inside = [G for G in inside if G is not None]
            shape = shapes.one_less(shape, self.start)
        inside = inside or ([] if self.start is None else [self.start])
        inside = [G if G.k2 == k2 else shapes.embed(G, k2, rng) for G in inside]
        runs = [] if pool is None or not pool.known else [pool.ahead]
        if not (runs or inside):
            return None
        pool = pool or self.pool(self.problem(k2, inside[0]))
        for G in inside:
            there = begin(pool.problem, pool.problem.from_measure(G), 0.0)
            runs.append(Run(pool.problem, "embedded", there, "interrupted"))
        runs.sort(key=lambda run: (bool(run.flaw), -run.exact))
        found, stage = _result(self, pool, runs[:1], runs[:1]), self.watch
        why = f"interrupted after {stage.seconds:.1f} s, in {stage.move}: the best so far, which need be no maximum"
        eps = 0.0 if runs[0].status == "interrupted" else pool.problem.smoothing
        return replace(found, status="interrupted", message=why, warnings=(why, *found.warnings), smoothing=eps)

    def best_of(self, k2):
        """The best measure of a shape so far; None where there is none."""
        if k2 in self.seen:
            return self.seen[k2][0].measure.wide()
        return self.pools[k2].ahead.entry[1] if k2 in self.pools and self.pools[k2].known else None

    def repeat(self, move, pool, rng):
        """Race the starts of a move, and of what they lead to, until that helps no more."""
        for _ in range(REGROUPED):
            best = pool.best
            known = pool.runs[best.number]
            for run in self.race(pool, best.value, move, rng):
                if run.status == "converged" and same(run, known):  # its groups stay in their order
                    run.status = "merged"
                    known.agree += run.agree
            if pool.best.value <= best.value + AGREE:
                break

    def exchange(self, pool, rng, smaller):
        """Let each group of the best optima in turn place one of its experts again, until that helps no group.

        Growth, which settled one group while others were still short of experts, is looked at again.
        """
        k2 = pool.problem.k2
        shrunk = [tuple(m - (g == i) for g, m in enumerate(k2)) for i in range(len(k2))]
        allowed = [k[i] and (self.start is None or shapes.contains(k, self.start.k2)) for i, k in enumerate(shrunk)]
        able = np.flatnonzero(allowed).tolist()
        crossed = any(run.kind == "cross" for run in pool.runs)
        settled = {i for i in able if shrunk[i] == smaller and not crossed}  # this group grew just now
        moved, mated = set(), set()  # numbers of the optima that this was done with
        for _ in range(3 * len(k2)):
            i = next((i for i in able if i not in settled), None)
            if i is None:
                break
            lead = pool.best.value
            self.race(pool, lead, moves.reinsertions, rng, i)
            if self.effort.leaders_move:
                leading = {run.number for run in pool.optima[: moves.LEADERS]}
                self.race(pool, lead, moves.moved_leaders, rng, moved)
                moved |= leading
            leading = {run.number for run in pool.optima[: moves.LEADERS]}
            self.race(pool, lead, moves.matings, rng, mated)
            if self.effort.crossed is None:
                mated |= leading
            settled.add(i)
            if pool.best.value > lead + AGREE:
                settled = {i}

    def finals(self, pool, inside):
        """The distinct optima, and the best of them climbed to the end, the best first.

        The smaller fit, the measure `inside`, stands among them where none of them is above it.
        """
        problem, eps = pool.problem, pool.problem.smoothing * FINAL_SMOOTHING
        pool.runs.sort(key=lambda run: -run.value)  # stable: ties keep the order of the starts
        optima = pool.optima
        finals = self.team.map(lambda run: self.finish(problem, run, eps), optima[:FINISHED])
        if inside is not None:
            z = problem.from_measure(inside)
            value = problem.value(z, 0.0)
            if all(run.flaw for run in finals) or value > max(run.exact for run in sound(finals)):
                embedded = Run(problem, "embedded", begin(problem, z, eps))
                finals.append(self.finish(problem, embedded, eps))
                if value > max(run.exact for run in sound(finals)):
                    finals.append(embedded)
        finals.sort(key=lambda run: (bool(run.flaw), -run.exact))
        return optima, finals

    def finish(self, problem, run, eps):
        """Climb on to the tight tolerance; the path so far stays the head of the new one if both have one eps."""
        optimum = maximise(problem, run.optimum.z, eps, min(self.tol, 1e-9), self.max_iter)
        optimum = polish(problem, optimum, eps)
        if not problem.kinked:
            optimum = replace(optimum, path=[*run.optimum.path, *optimum.path[1:]])
        return replace(run, optimum=optimum)


def _result(search, pool, optima, finals):
    problem, tol, final = pool.problem, search.tol, finals[0]
    best, flaw = final.optimum, final.flaw
    others = [run.exact for run in finals[1:] if bool(run.flaw) == bool(flaw) and not same(run, final)]
    gap = final.exact - max(others) if others else np.inf

    measure = problem.to_measure(best.z)
    active = problem.active(best.z, best.gradient)
    score = problem.data_score(np.where(active | problem.fixed, 0.0, best.gradient))

    parameters = np.array(measure.parameter_names())
    on_bound = tuple(parameters[active].tolist())
    if problem.penalty is None or not problem.penalty.holds_gates:
        on_bound += certificate.separated(problem, best.z)
    binds = (active & problem.stated).any() if search.own else on_bound
    eigenvalues, eigenvectors = spectrum(problem, best.z, best.gradient, best.information)
    left, noise = promise(problem, best), problem.rounding(best.value)
    saddle = not best.converged and eigenvalues.size and eigenvalues[0] < -1e-6 * np.abs(eigenvalues).max()
    if flaw:
        status, message = "degenerate", flaw
    elif saddle:
        status, message = "max_iter", f"a direction of negative information is left, eigenvalue {eigenvalues[0]:.1e}"
    elif best.norm > tol:
        status, message = "max_iter", f"the projected score over n is {best.norm:.1e}, above tol = {tol:g}"
    elif left > max(LEFT, noise):
        status = "max_iter"
        message = f"one more step promises {left:.1e} in log-likelihood, {np.sqrt(2.0 * left):.1e} standard errors away"
    elif binds:
        status, message = "boundary", "first-order conditions hold on the box"
    else:
        where = "at bounds of the default box" if search.own and active.any() else "inside the box"
        status, message = "converged", f"first-order conditions hold {where}"
    rows = [
        {
            "kind": run.kind,
            "log_likelihood": problem.absolute(run.value),
            "score_norm": run.optimum.norm,
            "status": run.status,
            "n_iter": run.optimum.n_iter,
            "note": "" if pool.racing else run.flaw or _passed_over(run, final),
        }
        for run in pool.known
    ]
    args = search.X, search.y, measure.kernel_args(), 0.0
    return FitResult(
        measure=measure,
        log_likelihood=float(kernels.log_likelihood(*args, weights=search.weights)),
        taken_off=0.0 if problem.penalty is None else float(problem.penalty.value(best.z * problem.scale)),
        score_norm=float(np.abs(score).max()) / problem.n,
        status=status,
        n_iter=best.n_iter,
        path=problem.absolute(np.array(best.path)),
        start_rows=rows,
        active_bounds=on_bound,
        n_optima=len(optima),
        gap=gap,
        n_agree=final.agree,
        eigenvalues=eigenvalues,
        eigenvectors=eigenvectors,
        smoothing=problem.smoothing * FINAL_SMOOTHING,
        bounds=problem.bounds,
        message=message,
        warnings=certificate.warnings(problem, best.z, best.gradient),
        effort=str(search.effort),
        data=Data(search.X, search.y, search.weights),
        settings=_settings(search, problem),
    ).narrow(*(search.view and search.view[name] for name in ("gate_columns", "expert_columns")))


def _settings(search, problem):
    """The estimator and what keeps it the same on other data; see `FitResult.settings`."""
    shared = {
        "bounds": None if search.bounds is None else problem.bounds,
        "tol": search.tol,
        "max_iter": search.max_iter,
    }
    if search.own:
        return {"estimator": "fit"} | shared | {"penalty": search.penalty and asdict(search.penalty)}
    return {"estimator": "fit_mle"} | shared | {"local": search.local}


def _passed_over(run, final):
    """Why a sound start that stands above the result is not the result; "" of all others."""
    if final.flaw or run.value <= final.exact + AGREE:
        return ""
    if run.exact <= final.exact + AGREE:
        return f"by smoothed distances; by the model's own {run.problem.absolute(run.exact):.4f}"
    return f"not among the {FINISHED} best that were climbed to the end"
