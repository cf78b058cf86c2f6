"""Maximum likelihood: many starts, each climbed by a trust-region Newton method in a box, and a certificate.

1. Starts. Around a given measure: that measure and jittered copies. A larger model is grown from it one expert at a
   time (groups hardly interact, so growing them in turn finds what splitting all at once misses): the fit with one
   expert less is made first, by this same pipeline; new experts are put where the likelihood rises most for a small
   weight, and old ones are split, stratified over which and how. Without a measure: k-means++ clusters of (x, y) and
   random regressions, both warmed by EM, and a fit grown as above.
2. Every start is climbed to a loose tolerance. In a grown model each group in turn then gives back the expert least
   missed, and has another put where it is wanted most. Laplace gates put kinks into the likelihood: distances are
   smoothed, sqrt(||x - a||^2 + eps^2) with eps = n^(-1/2) standard deviations of x.
3. The leaders are climbed on to a tight tolerance, with eps / 30 under Laplace gates, and ranked by the likelihood of
   the model itself. The smaller fit, written in the larger shape, always stands among them: a fit never ends below the
   smaller model it contains.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from .. import kernels
from . import em, starts
from .newton import maximise, polish, smallest_eigenvalue
from .problem import Problem, check_problem, one_thread
from .result import FitResult

FINAL_SMOOTHING = 1.0 / 30.0  # of the first smoothing
BASE_STARTS, GROWN_STARTS = 8, 24
LEADERS = 3
EM_ROWS = 5000  # EM warms a start on at most so many rows
AGREE = 0.01  # log-likelihood units within which starts count as the same optimum


@one_thread
def fit_mle(X, y, gating, k2, start=None, n_starts=None, bounds=None, tol=1e-8, max_iter=500, seed=0):
    """Maximum-likelihood fit of an HMoE in a box, with a certificate.

    Parameters
    ----------
    X : array_like, (n, d); (n,) where d = 1
    y : array_like, (n,)
    gating : {"SS", "SL", "LS", "LL"}
    k2 : sequence of int
        Number of experts in each group.
    start : MixingMeasure, optional
        Starts are made around it; the estimator is then local to it: experts are added near those of their own group
        only. It may be smaller than `k2`. Without it starts are made from the data, and experts are added anywhere.
    n_starts : int, optional
        Number of starts at every stage of growth; by default 8 for the smallest model and 24 for each larger one.
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
    X, y, gating, k2 = check_problem(X, y, gating, k2)
    start = starts.check_start(start, gating, k2, X.shape[1])
    em.check_positive("tol", tol)
    em.check_positive("max_iter", max_iter, whole=True)
    if n_starts is not None:
        em.check_positive("n_starts", n_starts, whole=True)
    rng = np.random.default_rng(starts.key(seed, gating, k2))

    smaller, nested, inside = _smaller(start, k2), None, start
    if smaller is not None:
        nested = fit_mle(X, y, gating, smaller, start, n_starts, bounds, tol, max_iter, seed)
        inside = starts.embed(nested.measure, k2, rng)  # the smaller fit, written in the larger shape
    problem = Problem(X, y, gating, k2, bounds, inside)
    runs = [(kind, _climb(problem, z, max_iter)) for kind, z in _starts(problem, X, start, nested, n_starts, rng)]
    if nested is not None:
        for i in range(problem.k1):
            shape = tuple(m - (g == i) for g, m in enumerate(k2))
            if shape[i] and (start is None or starts.contains(shape, start.k2)):
                fewer = Problem(X, y, gating, shape, bounds)
                best = _leaders(problem, sorted((run for _, run in runs), key=lambda run: -run.value))[0]
                inserted = max(2 * (n_starts or GROWN_STARTS) // 3, 1)
                runs += _exchange(problem, fewer, i, best, inserted, start is None, rng, max_iter)
    runs.sort(key=lambda run: -run[1].value)  # stable: ties keep the order of the starts

    eps = problem.smoothing * FINAL_SMOOTHING
    finals = []
    for run in _leaders(problem, [run for _, run in runs]):
        agree = sum(abs(other.value - run.value) <= AGREE for _, other in runs)
        finals.append((agree, _finish(problem, run.z, run.path, eps, tol, max_iter)))
    if nested is not None:
        z = problem.from_measure(inside)
        sound = [run for _, run in finals if not _degenerate(problem, run)] or [run for _, run in finals]
        if problem.log_likelihood(z, 0.0) > max(problem.log_likelihood(run.z, 0.0) for run in sound):
            finals.append((1, _finish(problem, z, [], eps, tol, max_iter)))
            finals.append((1, maximise(problem, z, eps, tol, max_iter=0)))
    return _result(problem, X, y, runs, finals, eps, tol)


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


def _starts(problem, X, start, nested, n_starts, rng):
    """Yield (kind, z) of every start."""
    count = n_starts or (BASE_STARTS if nested is None else GROWN_STARTS)
    if start is not None and nested is None:
        for number in range(count):
            measure = start if number == 0 else starts.jitter(start, X, rng, 0.1 * (1 + number % 4))
            yield "truth", problem.from_measure(measure)
        return
    grown = 0
    if nested is not None:
        grown = count if start is not None else (count + 1) // 2
        # one expert more in one group: most are put where the likelihood asks for them
        single = nested.measure.k1 == problem.k1 and nested.measure.n_experts == problem.K - 1
        added = 2 * grown // 3 if single else 0
        for measure in starts.insertions(problem, nested.measure, rng, added, start is None) if added else ():
            yield "insert", problem.from_measure(measure)
        for number in range(grown - added):
            measure, kind = starts.split(nested.measure, problem.k2, X, rng, number)
            yield f"split:{kind}", problem.from_measure(measure)
    few = problem.thinned(rng, EM_ROWS)
    for number in range(count - grown):
        make = starts.from_clusters if number % 2 == 0 else starts.random
        z, _ = em.run(few, few.from_measure(make(few, rng)), few.smoothing, max_iter=50, tol=1e-3)
        yield make.__name__, z


def _exchange(problem, fewer, i, best, count, anywhere, rng, max_iter):
    """Take one expert out of group i of the best fit, the one least missed, and put another where it is wanted most.

    Greedy growth can settle one group while the others are still short of experts; this looks at each again.
    """
    measure = problem.to_measure(best.z)
    without = [starts.drop(measure, j) for j in range(problem.offsets[i], problem.offsets[i + 1])]
    climbed = [_climb(fewer, fewer.from_measure(G), max_iter) for G in without]
    kept = fewer.to_measure(max(climbed, key=lambda run: run.value).z)
    inserted = starts.insertions(problem, kept, rng, count, anywhere)
    return [("exchange", _climb(problem, problem.from_measure(G), max_iter)) for G in inserted]


def _climb(problem, z, max_iter):
    return maximise(problem, z, problem.smoothing, tol=1e-6, max_iter=max_iter, gain=1e-4)


def _leaders(problem, runs):
    """The best runs, at most `LEADERS`: sound ones if there are any, those that met another one's optimum left out."""
    leaders, flawed = [], []
    for run in runs:
        if len(leaders) == LEADERS:
            break
        if all(abs(run.value - other.value) > AGREE for other in (*leaders, *flawed)):
            (flawed if _degenerate(problem, run) else leaders).append(run)
    return leaders or flawed[:LEADERS]


def _finish(problem, z, path, eps, tol, max_iter):
    """Climb on from z to the tight tolerance; the path so far stays the head of the new one if both have one eps."""
    optimum = polish(problem, maximise(problem, z, eps, tol=min(tol, 1e-9), max_iter=max_iter), eps)
    return optimum if problem.laplace or not path else replace(optimum, path=[*path, *optimum.path[1:]])


def _degenerate(problem, optimum):
    """Why an optimum is no estimate: a variance on the default floor, or an expert with hardly any rows. Else ''."""
    log_nu = (optimum.z * problem.scale - problem.default_floor)[problem.slices["log_nu"]]
    if (log_nu < 0.01).any():
        return "an expert's variance lies on the default floor"
    if np.isinf(problem.default_floor[-1]):
        return ""  # the caller bounds the variances: every point of the box is an estimate
    _, r = kernels.responsibilities(problem.X, problem.y, *problem.kernel_args(optimum.z), 0.0)
    if r.sum(axis=1).min() < problem.d + 2:
        return f"an expert holds fewer than {problem.d + 2} rows"
    return ""


def _result(problem, X, y, runs, finals, eps, tol):
    ranked = [(problem.log_likelihood(run.z, 0.0), agree, run, _degenerate(problem, run)) for agree, run in finals]
    sound = [entry for entry in ranked if not entry[3]] or ranked
    _, agree, best, flaw = max(sound, key=lambda entry: entry[0])

    measure = problem.to_measure(best.z)
    active = problem.active(best.z, best.gradient)
    score = problem.data_score(np.where(active | problem.fixed, 0.0, best.gradient))

    names = np.array(measure.parameter_names())
    on_bound = tuple(names[active].tolist()) + _separated(problem, measure, X)
    if flaw:
        status, message = "degenerate", flaw
    elif best.norm > tol:
        status, message = "max_iter", f"the projected score over n is {best.norm:.1e}, above tol = {tol:g}"
    elif on_bound:
        status, message = "boundary", "first-order conditions hold on the box"
    else:
        status, message = "converged", "first-order conditions hold inside the box"
    table = pd.DataFrame(
        [
            {
                "kind": kind,
                "log_likelihood": run.value,
                "score_norm": run.norm,
                "status": "converged" if run.converged else "max_iter",
                "n_iter": run.n_iter,
            }
            for kind, run in runs
        ]
    )
    return FitResult(
        measure=measure,
        log_likelihood=float(kernels.log_likelihood(X, y, *measure.kernel_args(), 0.0)),
        score_norm=float(np.abs(score).max()) / problem.n,
        status=status,
        n_iter=best.n_iter,
        path=np.array(best.path),
        starts=table,
        active_bounds=on_bound,
        smallest_eigenvalue=smallest_eigenvalue(problem, best.z, best.gradient, best.information),
        n_agree=agree,
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
            logits = X @ slopes.T + intercepts
            top_two = np.sort(logits, axis=1)[:, -2:]
            if (top_two[:, 1] - top_two[:, 0]).min() > 8.0:
                out.append(f"{name} (the gate separates the data)")
    return tuple(out)
