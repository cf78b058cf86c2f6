"""Maximum likelihood: many starts, each climbed by a trust-region Newton method in a box, and a certificate.

1. Growth. Around a given measure the smallest model starts at that measure and jittered copies; without one it is a
   single expert, and every size gets a few starts from k-means++ clusters and random regressions, warmed by EM. A
   larger model grows from the fit with one expert less, made first by this same pipeline: a new expert is put where the
   likelihood asks for one (`starts.insertions`). Groups hardly interact, so where another group grew before, half of
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

from .. import kernels, names
from ..measure import MixingMeasure
from . import em, starts
from .newton import Optimum, begin, climb_on, maximise, polish, spectrum
from .problem import Problem, batches, check_problem, one_thread
from .result import FitResult

FINAL_SMOOTHING = 1.0 / 30.0  # of the first smoothing
BASE_STARTS, GROWN_STARTS = 8, 80
CLUSTER_STARTS = 4  # of those without a measure to start from: regardless of the smaller fit
STRIDE, BEHIND = 4, 4.0  # a race: every so many iterations, those so far behind in log-likelihood fall out
LEADERS, CROSSES, FINISHED = 12, 6, 3  # optima carried on or crossed; crosses climbed; optima climbed to the end
WIDE, DRAWN = 40, 100  # starts of a wide search; experts it draws for each
BASES, EMPTIED = 3, 6  # smaller optima of a kind that a wide search puts experts into, as it grows and in exchanges
REGROUPED = 5  # regroupings or shakes in a row at most
JITTERED, RECENTRED = 7, 12  # copies of an optimum that is shaken
MOVED = 6  # copies of a leader with a gate's centres moved together, and as many with them moved apart
SCATTERED = 16  # places of the centres of Laplace gates tried for experts that have changed places
EM_ROWS, EM_STEPS = 2000, 30  # EM warms a start on at most so many rows, in so many steps
AGREE = 0.01  # log-likelihood units within which starts count as the same optimum
PATIENCE = 60  # a start that has risen by less than that in so many iterations is left where it is


@one_thread
def fit_mle(X, y, gating, k2, start=None, n_starts=None, bounds=None, tol=1e-8, max_iter=500, seed=0, local=False):
    """Maximum-likelihood fit of an HMoE in a box, with a certificate.

    Parameters
    ----------
    X : array_like, (n, d); (n,) where d = 1
    y : array_like, (n,)
    gating : {"SS", "SL", "LS", "LL"}
    k2 : sequence of int
        Number of experts in each group.
    start : MixingMeasure, optional
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
    The likelihood of a Gaussian mixture is unbounded as a variance goes to 0. Under the default box, optima with a
    variance on the floor, or with an expert that holds fewer rows than its parameters, are returned (as "degenerate")
    only if no other optimum was found.
    """
    called = names.of_data(X, y)
    X, y, gating, k2 = check_problem(X, y, gating, k2)
    if not isinstance(local, bool | np.bool_) or (local and start is None):
        raise ValueError(f"local must be True or False, and False without a start; got {local!r}")
    starts.check_start(start, gating, k2, X, y)
    tol, max_iter = em.check_positive("tol", tol), em.check_positive("max_iter", max_iter, whole=True)
    if n_starts is not None:
        n_starts = em.check_positive("n_starts", n_starts, whole=True)
    return _Search(X, y, gating, start, n_starts, bounds, tol, max_iter, seed, local).fit(k2)[0].named(*called)


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
        smaller, leaders, inside = _smaller(self.start, k2), [], self.start
        if smaller is not None:
            nested, leaders = self.fit(smaller)
            inside = starts.embed(nested.measure, k2, rng)  # the smaller fit, written in the larger shape
        problem = self.problem(k2, inside)
        runs = _race(problem, self.starts(problem, leaders, rng), self.max_iter)
        if not self.local and problem.k1 > 1 and self.n_starts != 1:
            runs += self.again(problem, runs, rng, self.regroupings)
        if leaders:
            runs += self.exchanges(problem, smaller, runs, rng)
            if not self.local and self.n_starts != 1:
                runs += self.again(problem, runs, rng, self.regroupings if self.wide else self.shakes)
        runs.sort(key=lambda run: -run.value)  # stable: ties keep the order of the starts

        eps = problem.smoothing * FINAL_SMOOTHING
        optima = _distinct(runs)
        finals = [self.finish(problem, run, eps) for run in optima[:FINISHED]]
        if leaders:
            z = problem.from_measure(inside)
            value = problem.log_likelihood(z, 0.0)
            if all(run.flaw for run in finals) or value > max(run.exact for run in _sound(finals)):
                whole = begin(problem, z, eps)
                embedded = _Run(problem, "embedded", whole, _flaw(problem, whole))
                finals.append(self.finish(problem, embedded, eps))
                if value > max(run.exact for run in _sound(finals)):
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
        return starts.insertions(problem, G, rng, count, DRAWN if self.wide else starts.CANDIDATES)

    def around(self, problem, G, rng, count):
        """G and jittered copies of it."""
        moved = [starts.jitter(G, self.X, rng, 0.1 * (1 + number % 4)) for number in range(1, count)]
        return [problem.from_measure(measure) for measure in (G, *moved)]

    def crosses(self, problem, leaders, count, rng):
        """Optima that grew in another group last, each with the growing group of one that grew in this one instead.

        Also the latter, (log-likelihood, measure), the best first; where groups did not grow in turn there are none.
        """
        best = leaders[0][1]
        smallest = _smaller(self.start, best.k2)
        if smallest is None or len(smallest) != problem.k1:
            return [], []
        (i,), (j,) = (np.flatnonzero(np.subtract(*pair)) for pair in ((problem.k2, best.k2), (best.k2, smallest)))
        if i == j:
            return [], []  # the same group grew twice
        base = self.without([best], j)[0]
        sibling = self.problem(tuple(m + (g == i) for g, m in enumerate(smallest)))
        entries = [("insert", z) for z in self.insertions(sibling, base, rng, self.n_starts or GROWN_STARTS)]
        others = [run.entry for run in _distinct(_race(sibling, entries, self.max_iter))[:LEADERS]]
        return self.likeliest(problem, [(A, B, i) for _, A in leaders for _, B in others], count), others

    def likeliest(self, problem, pairs, count):
        """The measures A with group i of B instead of their own, the likeliest `count` of them if not `wide`."""
        made = [problem.from_measure(starts.transplant(A, B, i)) for A, B, i in pairs]
        value = np.array([problem.log_likelihood(z, problem.smoothing) for z in made])
        return [made[k] for k in np.argsort(-value, kind="stable")[: None if self.wide else count]]

    def exchanges(self, problem, smaller, runs, rng):
        """Let each group of the best fit in turn place one of its experts again, until that helps no group.

        Growth, which settled one group while others were still short of experts, is looked at again.
        """
        found = []
        shrunk = [tuple(m - (g == i) for g, m in enumerate(problem.k2)) for i in range(problem.k1)]
        allowed = [k2[i] and (self.start is None or starts.contains(k2, self.start.k2)) for i, k2 in enumerate(shrunk)]
        open_ = np.flatnonzero(allowed).tolist()
        crossed = any(run.kind == "cross" for run in runs)
        settled = {i for i in open_ if shrunk[i] == smaller and not crossed}  # this group grew just now
        moved, mated = set(), set()  # values of the optima that this was done with
        for _ in range(3 * problem.k1):
            i = next((i for i in open_ if i not in settled), None)
            if i is None:
                break
            leaders = _distinct(runs + found)
            best = leaders[0]
            found += self.exchange(problem, i, leaders, rng)
            if self.wide:
                still = [run for run in _distinct(runs + found)[:LEADERS] if run.value not in moved]
                moved |= {run.value for run in still}
                copies = (0, MOVED, MOVED) if problem.laplace else (2 * MOVED, 0, 0)
                entries = [entry for run in still for entry in self.shakes(problem, run.optimum, rng, *copies)]
                found += _race(problem, entries, self.max_iter, best.value)
            optima = [(run.value, problem.to_measure(run.optimum.z)) for run in _distinct(runs + found)[:LEADERS]]
            # of two groups the first is exchanged too, with A and B in turn
            new = [(A, B) for (v, A), (w, B) in permutations(optima, 2) if not {v, w} <= mated]
            pairs = [(A, B, g) for A, B in new for g in range(1, problem.k1)]
            mated |= {value for value, _ in optima} if self.wide else set()
            crosses = [("cross", z) for z in self.likeliest(problem, pairs, CROSSES)]
            found += _race(problem, crosses, self.max_iter, best.value)
            settled.add(i)
            if _distinct(runs + found)[0].value > best.value + AGREE:
                settled = {i}
        return found

    def exchange(self, problem, i, leaders, rng):
        """Take an expert out of group i of the best optima, and put others where the likelihood asks for one."""
        each = EMPTIED if self.wide else 1
        bases = self.without([problem.to_measure(run.optimum.z) for run in leaders[:each]], i)[:each]
        shares = np.diff(np.linspace(0, self.n_starts or GROWN_STARTS, len(bases) + 1).astype(int))
        again = [z for G, m in zip(bases, shares, strict=True) for z in self.insertions(problem, G, rng, m)]
        return _race(problem, [("exchange", z) for z in again], self.max_iter, leaders[0].value)

    def without(self, measures, i):
        """The optima that measures of one shape lead to once one expert of group i is taken out, the best first."""
        k2 = measures[0].k2
        problem = self.problem(tuple(m - (g == i) for g, m in enumerate(k2)))
        entries = [
            ("drop", problem.from_measure(starts.drop(G, j)))
            for G in measures
            for j in range(G.offsets[i], G.offsets[i + 1])
        ]
        return [run.entry[1] for run in _distinct(_race(problem, entries, self.max_iter))]

    def again(self, problem, runs, rng, entries):
        """Runs of the `entries` made of the best fit, and of what they lead to, until that helps no more."""
        found = []
        for _ in range(REGROUPED):
            best = _distinct(runs + found)[0].optimum
            (known,) = (run for run in runs + found if run.optimum is best)
            tried = _race(problem, entries(problem, best, rng), self.max_iter, best.value)
            for run in tried:
                if run.status == "converged" and _same(run, known):  # its groups stay in their order
                    run.status = "merged"
                    known.agree += run.agree
            found += tried
            if _distinct(runs + found)[0].value <= best.value + AGREE:
                break
        return found

    def regroupings(self, problem, optimum, rng):
        """The optimum with any two experts of different groups in each other's place, and shaken."""
        few = problem.thinned(rng, EM_ROWS)
        held = kernels.responsibilities(few.X, few.y, *few.kernel_args(optimum.z), few.smoothing)[1]
        held += 1e-6  # an expert without rows starts from all of them
        swapped = [starts.from_weights(few, held[order]) for order in starts.swaps(problem.k2)]
        led = [self.regated(few, G, rng) if problem.laplace else _warmed(few, G) for G in swapped]
        return [("regroup", z) for z in led] + self.shakes(problem, optimum, rng)

    def regated(self, few, G, rng):
        """Coordinates of where the measure G leads to on a few rows, by the best of several places for its centres."""
        tried = [G, *(starts.scatter(G, self.X, rng) for _ in range(SCATTERED - 1))]
        runs = _race(few, [("", few.project(few.from_measure(H))) for H in tried], self.max_iter)
        return few.draw_in(_distinct(runs)[0].optimum.z)

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
        return replace(run, optimum=optimum, flaw=_flaw(problem, optimum))


def _smaller(start, k2):
    """Shape with one expert (or one group of one) less, to be fitted first and split; None where there is none.

    It is the largest group that shrinks, the last among equals; with a start only as far as its shape is contained.
    """
    shapes = []
    for i in sorted(range(len(k2)), key=lambda i: (-k2[i], -i)):
        fewer = tuple(m - (g == i) for g, m in enumerate(k2))
        shapes.append(tuple(m for m in fewer if m))
    for shape in shapes:
        if shape and (start is None or starts.contains(shape, start.k2)):
            return shape
    # a start that no intermediate shape contains (whole groups are missing) is split in one go
    return start.k2 if start is not None and start.k2 != k2 else None


@dataclass
class _Run:
    """A start on its way."""

    problem: Problem
    kind: str
    optimum: Optimum
    flaw: str = ""  # why it is no estimate
    status: str = "running"  # then "converged", "max_iter", or why it fell out: "behind", "merged"
    agree: int = 1  # starts that came to the same optimum

    @property
    def value(self):
        return self.optimum.value

    @property
    def entry(self):
        return self.value, self.problem.to_measure(self.optimum.z)

    @property
    def experts(self):
        """Standardised parameters of the experts (K, d + 2), sorted within their groups."""
        problem, z = self.problem, self.optimum.z
        lines = z[problem.slices["eta"]].reshape(problem.K, problem.d)
        rows = np.column_stack([z[problem.slices["tau"]], lines, z[problem.slices["log_nu"]]])
        groups = np.repeat(np.arange(problem.k1), problem.k2)
        return rows[np.lexsort((rows[:, 0], groups))]

    @property
    def exact(self):
        """Log-likelihood of the model itself, distances unsmoothed."""
        return self.problem.log_likelihood(self.optimum.z, 0.0)


def _warmed(few, G):
    """Coordinates of where EM leads from the measure G on a few rows."""
    return few.draw_in(em.run(few, few.from_measure(G), few.smoothing, EM_STEPS, tol=1e-3)[0])


def _race(problem, entries, max_iter, lead=-np.inf):
    """Climb all starts to a loose tolerance, `STRIDE` iterations at a time: a list of `_Run`.

    Those that come level with another are merged into it; those more than `BEHIND` below the leader, or below the
    value `lead` of an optimum known before, fall out.
    """
    runs = [_Run(problem, kind, begin(problem, z, problem.smoothing)) for kind, z in entries]
    while any(run.status == "running" for run in runs):
        for run in runs:
            if run.status == "running":
                before = run.optimum.n_iter
                run.optimum = climb_on(problem, run.optimum, problem.smoothing, 1e-6, STRIDE, gain=1e-4)
                path, spent = run.optimum.path, run.optimum.n_iter
                crawls = spent > PATIENCE and path[-1] - path[-1 - PATIENCE] < AGREE
                if run.optimum.converged:
                    run.status = "converged"
                elif spent >= max_iter or spent < before + STRIDE or crawls:
                    run.status = "max_iter"
                run.flaw = _flaw(problem, run.optimum)
        here = sorted((run for run in runs if run.status not in ("behind", "merged")), key=lambda run: -run.value)
        ahead = max(lead, _sound(here)[0].value)
        kept = []
        for run in here:
            same = next((other for other in kept if _same(run, other)), None)
            if same is not None:
                run.status = "merged"
                same.agree += run.agree
            elif run.status == "running" and run.value < ahead - BEHIND:
                run.status = "behind"
            else:
                kept.append(run)
    return runs


def _same(run, other):
    """True of two runs at one value; of runs still on their way, only if their experts are much the same too."""
    if abs(run.value - other.value) > AGREE or bool(run.flaw) != bool(other.flaw):
        return False
    return "running" not in (run.status, other.status) or np.abs(run.experts - other.experts).max() < 0.05


def _sound(runs):
    """The runs without a flaw if there are any, else all."""
    return [run for run in runs if not run.flaw] or runs


def _distinct(runs):
    """The sound runs at the end of their climb, the best first, one for every optimum."""
    out = []
    ended = _sound([run for run in runs if run.status in ("converged", "max_iter")])
    for run in sorted(ended, key=lambda run: -run.value):
        same = next((k for k, other in enumerate(out) if _same(run, other)), None)
        if same is None:
            out.append(run)
        else:
            out[same] = replace(out[same], agree=out[same].agree + run.agree)
    return out


def _flaw(problem, optimum):
    """Why an optimum is no estimate: a variance on the default floor, an expert astray or with hardly any rows."""
    log_nu = (optimum.z * problem.scale - problem.default_floor)[problem.slices["log_nu"]]
    if (log_nu < 0.01).any():
        return "an expert's variance lies on the default floor"
    if not problem.is_home(optimum.z):
        return "an expert lies nearest to another group's expert of the start"
    if np.isinf(problem.default_floor[-1]):
        return ""  # the caller bounds the variances: every point of the box is an estimate
    G, held = problem.kernel_args(optimum.z), 0.0
    for rows in batches(problem.n):
        held += kernels.responsibilities(problem.X[rows], problem.y[rows], *G, 0.0)[1].sum(axis=1)
    if held.min() < problem.d + 2:
        return f"an expert holds fewer than {problem.d + 2} rows"
    return ""


def _result(problem, X, y, runs, optima, finals, eps, tol):
    final = finals[0]
    best, flaw = final.optimum, final.flaw
    others = [run.exact for run in finals[1:] if bool(run.flaw) == bool(flaw) and not _same(run, final)]
    gap = final.exact - max(others) if others else np.inf

    measure = problem.to_measure(best.z)
    active = problem.active(best.z, best.gradient)
    score = problem.data_score(np.where(active | problem.fixed, 0.0, best.gradient))

    parameters = np.array(measure.parameter_names())
    on_bound = tuple(parameters[active].tolist()) + _separated(problem, measure, X)
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
    )


def _separated(problem, measure, X):
    """Names of softmax gates that cut the data cleanly: their slopes run to infinity, and the box alone stops them."""
    out = []
    gates = [("a", problem.kinds[0], measure.a, measure.b)]
    for i, (lo, hi) in enumerate(zip(problem.offsets[:-1], problem.offsets[1:], strict=True)):
        gates.append((f"omega, group {i}", problem.kinds[1], measure.omega[lo:hi], measure.beta[lo:hi]))
    for name, kind, slopes, intercepts in gates:
        if kind == 0 and intercepts.size > 1:
            lead = np.inf
            for rows in batches(problem.n):
                top_two = np.sort(X[rows] @ slopes.T + intercepts, axis=1)[:, -2:]
                lead = min(lead, (top_two[:, 1] - top_two[:, 0]).min())
            if lead > 8.0:
                out.append(f"{name} (the gate separates the data)")
    return tuple(out)
