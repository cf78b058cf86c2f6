"""Maximum likelihood: many starts, each climbed by a trust-region Newton method in a box, and a certificate.

1. Growth. Around a given measure the smallest model starts at that measure and jittered copies; without one it is a
   single expert, and every size gets a few starts from k-means++ clusters and random regressions, warmed by EM. A
   larger model grows from the fit with one expert less, made first by this same pipeline: a new expert is put where the
   likelihood asks for one (`insertion.insertions`). Groups hardly interact, so where another group grew before, half of
   the starts are crosses: optima from there, each with the growing group of an optimum in which that one grew instead;
   the other half are insertions into the best optimum of either kind.
   With `WIDE` starts or more, as by default, all pairs of the leading optima are crossed, as the likelihood of a pair
   says little before its climb, experts are put into the three best optima of a kind, and more are judged for a start.
2. A race. All starts climb four Newton iterations at a time; those level with another are merged into it, those four
   log-likelihood units behind the leader, or behind the best optimum known before, fall out; those that hardly rise any
   more are left where they are.
3. Regroupings. In the best optimum any two experts of different groups change places and gates are fitted anew, Laplace
   gates on a few rows from many centres, as kinks hold them; the optimum itself is shaken: jittered, and Laplace gates
   have all their centres moved about another row. This goes on until it helps no more. Local fits, whose groups are
   given, go without.
4. Exchanges. In the best optimum (a wide search takes the six best) each group in turn gives back the expert least
   missed and has another put where it is wanted; the optima so found are crossed with all others. A wide search first
   moves all leading optima: the centres of a Laplace gate to other rows, as kinks hold them where they were before an
   expert came; without such gates all parameters a little. This goes on until it helps no group. In the end the best
   optimum is shaken once more; a wide search looks at its regroupings again, too.
5. The three best are climbed on to a tight tolerance and ranked by the likelihood of the model itself: Laplace gates
   put kinks into it, so distances are smoothed on the way, sqrt(||x - a||^2 + eps^2), with eps = n^(-1/2) standard
   deviations of x and eps / 30 in the end. The smaller fit, written in the larger shape, always stands among them: a
   fit never ends below the smaller model it contains.
"""

from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np

from .. import kernels
from ..arguments import check_flag, check_positive, check_whole
from ..measure import MixingMeasure
from . import certificate, em, insertion, shapes, starts
from .newton import begin, maximise, polish, spectrum
from .problem import Problem, check_problem, one_thread
from .race import AGREE, Run, distinct, race, same, sound
from .result import FitResult

FINAL_SMOOTHING = 1.0 / 30.0  # of the first smoothing
BASE_STARTS, GROWN_STARTS = 8, 80
CLUSTER_STARTS = 4  # of those without a measure to start from: regardless of the smaller fit
LEADERS, CROSSES, FINISHED = 12, 6, 3  # optima carried on or crossed; crosses climbed; optima climbed to the end
WIDE, DRAWN = 40, 100  # starts of a wide search; experts it draws for each
BASES, EMPTIED = 3, 6  # smaller optima of a kind that a wide search puts experts into, as it grows and in exchanges
REGROUPED = 5  # regroupings or shakes in a row at most
JITTERED, RECENTRED = 7, 12  # copies of an optimum that is shaken
MOVED = 6  # copies of a leader with a gate's centres moved together, and as many with them moved apart
SCATTERED = 16  # places of the centres of Laplace gates tried for experts that have changed places
EM_ROWS, EM_STEPS = 2000, 30  # EM warms a start on at most so many rows, in so many steps


@one_thread
def fit_mle(X, y, gating, k2, start=None, n_starts=None, bounds=None, tol=1e-8, max_iter=500, seed=0, local=False):
    """Maximum-likelihood fit of an HMoE in a box, with a certificate.

    Parameters
    ----------
    X : array_like, (n, d); (n,) where d = 1
    y : array_like, (n,) or (n, 1)
        Two pandas objects X and y must have one index.
    gating : {"SS", "SL", "LS", "LL"}
    k2 : sequence of int, or int
        Number of experts in each group; an integer: of the only one.
    start : MixingMeasure or FitResult, optional
        Starts are made around it; it may be smaller than `k2`. Without it starts are made from the data.
    n_starts : int, optional
        Number of starts at every stage of growth; by default 8 for the smallest model and 80 for each larger one. With
        one, groups are not regrouped, nor optima shaken.
    bounds : dict, optional
        Box on the parameters: keys among a, b, omega, beta, eta, tau, nu; values a half-width B, for [-B, B], or a
        pair (low, high). Softmax gates are translated to the middle of their box first, so for them the box says that
        slopes (or intercepts) of one gate differ by at most high - low. By default a wide box: softmax slopes 1000 a
        standard deviation of x, Laplace centres within 1.5 (d = 1) or 3 half-ranges of the middle of x, nu at least
        1e-6 var(y).
    tol : float
        On the projected score over n, in standardised units, for status "converged" or "boundary".
    max_iter : int
        Newton iterations of one start at most.
    seed : int or numpy.random.SeedSequence
        Key of the starts' random numbers.
    local : bool
        With a `start`: return the best optimum local to it, in which the experts of each group stay in the Voronoi
        cells of one group of `start`, in the squared distance mean of (d eta' x + d tau)^2 / nu* + (d nu / nu*)^2.
        Elsewhere the box may hold better optima in which one group takes over an expert of another; they do not last
        as n grows, but slow what is measured before.

    Returns
    -------
    FitResult

    Raises
    ------
    ValueError
        If the data are not finite, do not vary, are too few, or an argument does not fit.

    Notes
    -----
    The likelihood of a Gaussian mixture is unbounded as a variance goes to 0, and has spurious maxima beside: an expert
    shrunk onto a few rows near a line. Unless `bounds` has variances, optima with a variance on the floor, with an
    expert on a handful of rows, or with one of tiny variance that chance may have found there
    (`hmoe_stats.fitting.certificate` has the rule), are returned, as "degenerate", only if no other optimum was found.
    With variances in `bounds` every point of the box is an estimate; `FitResult.warnings` says of any fit what the data
    say against its experts.
    """
    X, y, gating, k2 = check_problem(X, y, gating, k2)
    if check_flag("local", local) and start is None:
        raise ValueError("local must be False without a start; got True")
    start = starts.check_start(start, gating, k2, X, y)
    tol, max_iter = check_positive("tol", tol), check_whole("max_iter", max_iter)
    if n_starts is not None:
        n_starts = check_whole("n_starts", n_starts)
    return _Search(X, y, gating, start, n_starts, bounds, tol, max_iter, seed, local).fit(k2)[0]


@dataclass
class _Search:
    """The arguments of a fit that all sizes of the model share."""

    X: np.ndarray
    y: np.ndarray
    gating: str
    start: MixingMeasure | None
    n_starts: int | None
    bounds: dict | None
    tol: float
    max_iter: int
    seed: int | np.random.SeedSequence
    local: bool
    seen: dict = field(default_factory=dict)  # shape -> best optima

    def fit(self, k2):
        """The result, and the best optima as (log-likelihood, measure), the best first."""
        rng = np.random.default_rng(starts.key(self.seed, self.gating, k2))
        smaller, leaders, inside = shapes.one_less(k2, self.start), [], self.start
        if smaller is not None:
            nested, leaders = self.fit(smaller)
            inside = shapes.embed(nested.measure, k2, rng)  # the smaller fit, written in the larger shape
        problem = self.problem(k2, inside)
        runs = race(problem, self.starts(problem, leaders, rng), self.max_iter)
        if not self.local and problem.k1 > 1 and self.n_starts != 1:
            runs += self.again(problem, runs, rng, self.regroupings)
        if leaders:
            runs += self.exchanges(problem, smaller, runs, rng)
            if not self.local and self.n_starts != 1:
                runs += self.again(problem, runs, rng, self.regroupings if self.wide else self.shakes)
        runs.sort(key=lambda run: -run.value)  # stable: ties keep the order of the starts

        eps = problem.smoothing * FINAL_SMOOTHING
        optima = distinct(runs)
        finals = [self.finish(problem, run, eps) for run in optima[:FINISHED]]
        if leaders:
            z = problem.from_measure(inside)
            value = problem.log_likelihood(z, 0.0)
            if all(run.flaw for run in finals) or value > max(run.exact for run in sound(finals)):
                whole = begin(problem, z, eps)
                embedded = Run(problem, "embedded", whole, certificate.flaw(problem, whole.z))
                finals.append(self.finish(problem, embedded, eps))
                if value > max(run.exact for run in sound(finals)):
                    finals.append(embedded)
        finals.sort(key=lambda run: (bool(run.flaw), -run.exact))
        result = _result(problem, self.X, self.y, runs, optima, finals, eps, self.tol)
        self.seen[k2] = [(result.log_likelihood, result.measure), *(run.entry for run in optima[1:LEADERS])]
        return result, self.seen[k2]

    @property
    def wide(self):
        return (self.n_starts or GROWN_STARTS) >= WIDE

    def problem(self, k2, inside=None):
        home = self.start if self.local else None
        return Problem(self.X, self.y, self.gating, k2, self.bounds, inside, home)

    def starts(self, problem, leaders, rng):
        """(kind, z) of every start; `leaders` are the best optima of the smaller model."""
        count, out = self.n_starts or (GROWN_STARTS if leaders else BASE_STARTS), []
        if self.start is not None and not leaders:
            return [("truth", z) for z in self.around(problem, self.start, rng, count)]
        if leaders:
            grown = count if self.start is not None else max(count - CLUSTER_STARTS, (count + 1) // 2)
            best, bases, crosses = leaders[0][1], [], []
            if best.k1 == problem.k1 and best.n_experts == problem.K - 1:
                crosses, siblings = self.crosses(problem, leaders, (grown + 1) // 2, rng)
                out += [("cross", z) for z in crosses]
                # those that grew here last, and those that grew elsewhere
                each = BASES if self.wide else 1
                bases = [H for _, H in leaders[:each] + siblings[:each]]
            for number, H in enumerate(bases, 1):
                room = grown // 4 if crosses and self.wide else (grown - len(out)) // (len(bases) + 1 - number)
                out += [("insert", z) for z in self.insertions(problem, H, rng, room)]
            missing = 0 if crosses else grown - len(out)  # whole groups, or no room for an expert
            for number in range(missing):
                measure, kind = starts.split(best, problem.k2, self.X, rng, number)
                out.append((f"split:{kind}", problem.from_measure(measure)))
            count -= grown
        few = problem.thinned(rng, EM_ROWS)
        for number in range(count):
            make = starts.from_clusters if number % 2 == 0 else starts.random
            out.append((make.__name__, _warmed(few, make(few, rng))))
        return out

    def insertions(self, problem, G, rng, count):
        return insertion.insertions(problem, G, rng, count, DRAWN if self.wide else insertion.CANDIDATES)

    def around(self, problem, G, rng, count):
        """G and jittered copies of it."""
        moved = [starts.jitter(G, self.X, rng, 0.1 * (1 + number % 4)) for number in range(1, count)]
        return [problem.from_measure(measure) for measure in (G, *moved)]

    def crosses(self, problem, leaders, count, rng):
        """Optima that grew in another group last, each with the growing group of one that grew in this one instead.

        Also the latter, (log-likelihood, measure), the best first; where groups did not grow in turn there are none.
        """
        best = leaders[0][1]
        smallest = shapes.one_less(best.k2, self.start)
        if smallest is None or len(smallest) != problem.k1:
            return [], []
        (i,), (j,) = (np.flatnonzero(np.subtract(*pair)) for pair in ((problem.k2, best.k2), (best.k2, smallest)))
        if i == j:
            return [], []  # the same group grew twice
        base = self.without([best], j)[0]
        sibling = self.problem(tuple(m + (g == i) for g, m in enumerate(smallest)))
        entries = [("insert", z) for z in self.insertions(sibling, base, rng, self.n_starts or GROWN_STARTS)]
        others = [run.entry for run in distinct(race(sibling, entries, self.max_iter))[:LEADERS]]
        return self.likeliest(problem, [(A, B, i) for _, A in leaders for _, B in others], count), others

    def likeliest(self, problem, pairs, count):
        """The measures A with group i of B instead of their own, the likeliest `count` of them if not `wide`."""
        made = [problem.from_measure(shapes.transplant(A, B, i)) for A, B, i in pairs]
        value = np.array([problem.log_likelihood(z, problem.smoothing) for z in made])
        return [made[k] for k in np.argsort(-value, kind="stable")[: None if self.wide else count]]

    def exchanges(self, problem, smaller, runs, rng):
        """Let each group of the best fit in turn place one of its experts again, until that helps no group.

        Growth, which settled one group while others were still short of experts, is looked at again.
        """
        found = []
        shrunk = [tuple(m - (g == i) for g, m in enumerate(problem.k2)) for i in range(problem.k1)]
        allowed = [k2[i] and (self.start is None or shapes.contains(k2, self.start.k2)) for i, k2 in enumerate(shrunk)]
        open_ = np.flatnonzero(allowed).tolist()
        crossed = any(run.kind == "cross" for run in runs)
        settled = {i for i in open_ if shrunk[i] == smaller and not crossed}  # this group grew just now
        moved, mated = set(), set()  # values of the optima that this was done with
        for _ in range(3 * problem.k1):
            i = next((i for i in open_ if i not in settled), None)
            if i is None:
                break
            leaders = distinct(runs + found)
            best = leaders[0]
            found += self.exchange(problem, i, leaders, rng)
            if self.wide:
                still = [run for run in distinct(runs + found)[:LEADERS] if run.value not in moved]
                moved |= {run.value for run in still}
                copies = (0, MOVED, MOVED) if problem.laplace else (2 * MOVED, 0, 0)
                entries = [entry for run in still for entry in self.shakes(problem, run.optimum, rng, *copies)]
                found += race(problem, entries, self.max_iter, best.value)
            optima = [(run.value, problem.to_measure(run.optimum.z)) for run in distinct(runs + found)[:LEADERS]]
            # of two groups the first is exchanged too, with A and B in turn
            new = [(A, B) for (v, A), (w, B) in permutations(optima, 2) if not {v, w} <= mated]
            pairs = [(A, B, g) for A, B in new for g in range(1, problem.k1)]
            mated |= {value for value, _ in optima} if self.wide else set()
            crosses = [("cross", z) for z in self.likeliest(problem, pairs, CROSSES)]
            found += race(problem, crosses, self.max_iter, best.value)
            settled.add(i)
            if distinct(runs + found)[0].value > best.value + AGREE:
                settled = {i}
        return found

    def exchange(self, problem, i, leaders, rng):
        """Take an expert out of group i of the best optima, and put others where the likelihood asks for one."""
        each = EMPTIED if self.wide else 1
        bases = self.without([problem.to_measure(run.optimum.z) for run in leaders[:each]], i)[:each]
        shares = np.diff(np.linspace(0, self.n_starts or GROWN_STARTS, len(bases) + 1).astype(int))
        again = [z for G, m in zip(bases, shares, strict=True) for z in self.insertions(problem, G, rng, m)]
        return race(problem, [("exchange", z) for z in again], self.max_iter, leaders[0].value)

    def without(self, measures, i):
        """The optima that measures of one shape lead to once one expert of group i is taken out, the best first."""
        k2 = measures[0].k2
        problem = self.problem(tuple(m - (g == i) for g, m in enumerate(k2)))
        entries = [
            ("drop", problem.from_measure(shapes.drop(G, j)))
            for G in measures
            for j in range(G.offsets[i], G.offsets[i + 1])
        ]
        return [run.entry[1] for run in distinct(race(problem, entries, self.max_iter))]

    def again(self, problem, runs, rng, entries):
        """Runs of the `entries` made of the best fit, and of what they lead to, until that helps no more."""
        found = []
        for _ in range(REGROUPED):
            best = distinct(runs + found)[0].optimum
            (known,) = (run for run in runs + found if run.optimum is best)
            tried = race(problem, entries(problem, best, rng), self.max_iter, best.value)
            for run in tried:
                if run.status == "converged" and same(run, known):  # its groups stay in their order
                    run.status = "merged"
                    known.agree += run.agree
            found += tried
            if distinct(runs + found)[0].value <= best.value + AGREE:
                break
        return found

    def regroupings(self, problem, optimum, rng):
        """The optimum with any two experts of different groups in each other's place, and shaken."""
        few = problem.thinned(rng, EM_ROWS)
        held = kernels.responsibilities(few.X, few.y, *few.kernel_args(optimum.z), few.smoothing)[1]
        held += 1e-6  # an expert without rows starts from all of them
        swapped = [starts.from_weights(few, held[order]) for order in shapes.swaps(problem.k2)]
        led = [self.regated(few, G, rng) if problem.laplace else _warmed(few, G) for G in swapped]
        return [("regroup", z) for z in led] + self.shakes(problem, optimum, rng)

    def regated(self, few, G, rng):
        """Coordinates of where the measure G leads to on a few rows, by the best of several places for its centres."""
        tried = [G, *(starts.scatter(G, self.X, rng) for _ in range(SCATTERED - 1))]
        runs = race(few, [("", few.project(few.from_measure(H))) for H in tried], self.max_iter)
        return few.draw_in(distinct(runs)[0].optimum.z)

    def shakes(self, problem, optimum, rng, jittered=JITTERED, together=RECENTRED, apart=0):
        """Copies of the optimum: jittered, and with the centres of a Laplace gate moved together, or apart."""
        G = problem.to_measure(optimum.z)
        moved = [("jitter", z) for z in self.around(problem, G, rng, jittered + 1)[1:]]
        if problem.laplace:
            recentred = [starts.recentre(G, self.X, rng, k >= together) for k in range(together + apart)]
            moved += [("recentre", problem.project(problem.from_measure(H))) for H in recentred]
        return moved

    def finish(self, problem, run, eps):
        """Climb on to the tight tolerance; the path so far stays the head of the new one if both have one eps."""
        optimum = maximise(problem, run.optimum.z, eps, min(self.tol, 1e-9), self.max_iter)
        optimum = polish(problem, optimum, eps)
        if not problem.laplace:
            optimum = replace(optimum, path=[*run.optimum.path, *optimum.path[1:]])
        return replace(run, optimum=optimum, flaw=certificate.flaw(problem, optimum.z))


def _warmed(few, G):
    """Coordinates of where EM leads from the measure G on a few rows."""
    return few.draw_in(em.run(few, few.from_measure(G), few.smoothing, EM_STEPS, tol=1e-3)[0])


def _result(problem, X, y, runs, optima, finals, eps, tol):
    final = finals[0]
    best, flaw = final.optimum, final.flaw
    others = [run.exact for run in finals[1:] if bool(run.flaw) == bool(flaw) and not same(run, final)]
    gap = final.exact - max(others) if others else np.inf

    measure = problem.to_measure(best.z)
    active = problem.active(best.z, best.gradient)
    score = problem.data_score(np.where(active | problem.fixed, 0.0, best.gradient))

    names = np.array(measure.parameter_names())
    on_bound = tuple(names[active].tolist()) + certificate.separated(problem, best.z)
    eigenvalues, eigenvectors = spectrum(problem, best.z, best.gradient, best.information)
    saddle = not best.converged and eigenvalues.size and eigenvalues[0] < -1e-6 * np.abs(eigenvalues).max()
    if flaw:
        status, message = "degenerate", flaw
    elif saddle:
        status, message = "max_iter", f"a direction of negative information is left, eigenvalue {eigenvalues[0]:.1e}"
    elif best.norm > tol:
        status, message = "max_iter", f"the projected score over n is {best.norm:.1e}, above tol = {tol:g}"
    elif on_bound:
        status, message = "boundary", "first-order conditions hold on the box"
    else:
        status, message = "converged", "first-order conditions hold inside the box"
    rows = [
        {
            "kind": run.kind,
            "log_likelihood": run.value,
            "score_norm": run.optimum.norm,
            "status": run.status,
            "n_iter": run.optimum.n_iter,
            "note": run.flaw or _passed_over(run, final),
        }
        for run in runs
    ]
    return FitResult(
        measure=measure,
        log_likelihood=float(kernels.log_likelihood(X, y, *measure.kernel_args(), 0.0)),
        score_norm=float(np.abs(score).max()) / problem.n,
        status=status,
        n_iter=best.n_iter,
        path=np.array(best.path),
        start_rows=rows,
        active_bounds=on_bound,
        n_optima=len(optima),
        gap=gap,
        n_agree=final.agree,
        eigenvalues=eigenvalues,
        eigenvectors=eigenvectors,
        smoothing=eps,
        bounds=problem.bounds,
        message=message,
        warnings=certificate.warnings(problem, best.z),
    )


def _passed_over(run, final):
    """Why a sound start that stands above the result is not the result; "" of all others."""
    if final.flaw or run.value <= final.exact + AGREE:
        return ""
    if run.exact <= final.exact + AGREE:
        return f"by smoothed distances; by the model's own {run.exact:.4f}"
    return f"not among the {FINISHED} best that were climbed to the end"
