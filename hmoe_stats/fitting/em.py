"""Expectation-maximisation.

E-step: responsibilities. M-step: experts by weighted least squares, in closed form; softmax gates by Newton steps on
their concave weighted log-likelihood; Laplace gates by Newton-like steps, kept only where they raise it. Every step
raises the observed log-likelihood (a generalised EM, Dempster, Laird and Rubin 1977). EM is here as the field's
standard and as a source of starting values; over-specified models have singular information, on which it crawls:
use `fit_mle` for estimates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .. import kernels, names
from ..arguments import check_positive, check_whole, takes_rng
from ..frames import takes_frames
from ..kinds import Columns, Measure, Rng, Seed, Shape
from . import certificate, starts
from .answers import Data
from .newton import spectrum
from .problem import VARIANCES, Problem, check_problem, one_thread, read_only
from .result import FitResult
from .rows import variance

DEFICIENT = 1e-8  # ratio of the singular values of an expert's normal equations below which rounding may spoil a step


@takes_frames
@takes_rng
@one_thread
def fit_em(
    X: ArrayLike,
    y: ArrayLike,
    gating: str,
    k2: Shape,
    start: Measure | None = None,
    max_iter: int = 2000,
    tol: float = 1e-8,
    seed: Seed = 0,
    weights: ArrayLike | None = None,
    laplace_scale: ArrayLike = 1.0,
    gate_columns: Columns | None = None,
    expert_columns: Columns | None = None,
    *,
    rng: Rng | None = None,
) -> FitResult:
    """Fit an HMoE by EM from one start.

    Parameters
    ----------
    X : array_like, (n, d); (n,) where d = 1
        A DataFrame as in `fit_mle`.
    y : array_like, (n,) or (n, 1)
        Pandas objects among X, y and weights must have one index.
    gating : str
        Gates of level 1 and 2, two letters of S softmax, L Laplace, Q quadratic: ``"SL"``.
    k2 : sequence of int, or int
        Number of experts in each group; an integer: of the only one.
    start : MixingMeasure or FitResult, optional
        Where to start, used as it is where its shape is `k2`; a smaller one has experts split. Without it the start
        comes from k-means++ on (x, y).
    max_iter : int
        Iterations at most.
    tol : float
        EM has converged where an iteration raises the log-likelihood by less than `tol`, in absolute units.
    seed : int or numpy.random.SeedSequence
        Key of the start's random numbers.
    weights : array_like, (n,), optional
        How many rows each row counts as, w >= 0, not only integers; without it each counts as one. n is their sum in
        everything that goes by the number of rows, and a weight of 0 is no row. Rows of positive weight, and the sum
        of weights, must be more than the model has free parameters.
    laplace_scale, gate_columns, expert_columns : optional
        As in `fit_mle`.
    rng : int, numpy.random.SeedSequence, Generator or BitGenerator, optional
        Instead of `seed`. An int is the seed; of others one number is drawn, which is.

    Returns
    -------
    FitResult
        Status "converged", "max_iter" or "degenerate" (no estimate, as in `fit_mle`: a variance on the floor of 1e-6
        var(y), an expert on a handful of rows or a spurious one). A small step of EM is no small distance to the
        optimum: read `score_norm`.

    Raises
    ------
    ValueError
        If the data are not finite, do not vary, are too few, or an argument does not fit.
    """
    called = names.of_data(X, y)
    X, y, gating, k2, weights, view = check_problem(
        X, y, gating, k2, weights, laplace_scale, gate_columns, expert_columns
    )
    max_iter, tol = check_whole("max_iter", max_iter), check_positive("tol", tol)
    start = starts.check_start(start, gating, k2, X, y, weights, view)
    rng = np.random.default_rng(starts.key(seed, gating, k2))
    if start is not None and start.k2 != k2:  # exact copies of an expert would stay copies for ever
        start = starts.split(start, k2, X, rng, 0, weights)[0]
    problem = Problem(X, y, gating, k2, start=start, weights=weights, view=view)
    if start is None:
        start = starts.from_clusters(problem, rng)
        problem.refer_to(start)
    z = problem.from_measure(start)
    z, path = run(problem, z, 0.0, max_iter, tol)
    rounding = 1e-12 * abs(path[-1]) if weights is None else problem.rounding(path[-1], 1e-14)
    converged = len(path) > 1 and abs(path[-1] - path[-2]) < tol + rounding

    _, gradient, information = problem.derivatives(z, 0.0)
    norm = float(np.abs(problem.data_score(np.where(problem.fixed, 0.0, gradient))).max()) / problem.n
    flaw = certificate.flaw(problem, z)
    status = "degenerate" if flaw else "converged" if converged else "max_iter"
    messages = {
        "degenerate": flaw,
        "converged": f"the log-likelihood rose by less than {tol:g} in the last iteration",
        "max_iter": f"{max_iter} iterations were not enough",
    }
    eigenvalues, eigenvectors = spectrum(problem, z, gradient, information)
    path = [problem.absolute(value) for value in path]
    row = {"kind": "start", "log_likelihood": path[-1], "score_norm": norm, "status": status, "n_iter": len(path) - 1}
    row["note"] = flaw
    return (
        FitResult(
            measure=problem.to_measure(z),
            log_likelihood=path[-1],
            score_norm=norm,
            status=status,
            n_iter=len(path) - 1,
            path=np.array(path),
            start_rows=[row],
            eigenvalues=eigenvalues,
            eigenvectors=eigenvectors,
            message=messages[status],
            warnings=certificate.warnings(problem, z, gradient),
            data=Data(X, y, weights),
            settings={"estimator": "fit_em", "tol": tol, "max_iter": max_iter},
        )
        .narrow(view["gate_columns"], view["expert_columns"])
        .named(*called)
    )


def run(problem, z, eps, max_iter, tol):
    """EM from z: the last coordinates, and the value (see `Problem`) before the first and after every iteration."""
    _, _, off, a, b, omega, beta, eta, tau, nu, scale = problem.kernel_args(z)
    in_experts = np.flatnonzero(~problem.unseen["eta"])
    of_experts = taken(problem.X, in_experts)
    shift = problem.n * np.log(problem.y_scale)
    floor = np.exp((problem.lower * problem.scale)[problem.slices["log_nu"]])
    ceiling = VARIANCES[1] * problem.scale[problem.slices["tau"]] ** 2  # rounding of a far line may leave more
    unit = np.append(taken(np.where(problem.constant, 1.0, problem.spread)[None], in_experts)[0], 1.0)
    unit = np.where(unit > 0, unit, 1.0)
    added = (0.0, 0.0) if problem.penalty is None else problem.penalty.rows
    path = []
    for iteration in range(max_iter + 1):
        parameters = *problem.kinds, off, *read_only(a, b, omega, beta, eta, tau, nu, scale)
        args = problem.X, problem.y, parameters, eps
        value, r = kernels.responsibilities(*args)
        if problem.weights is None:
            path.append(float(value - shift))
        else:
            path.append(problem.relative(kernels.log_density(*args)))
            r *= problem.weights
        if iteration == max_iter or (iteration and path[-1] - path[-2] < tol):
            break
        lines = taken(eta, in_experts), tau, nu
        eta = eta.copy()
        new, tau, nu = update_experts(of_experts, problem.y, r, *lines, floor, ceiling, unit, added)
        eta[:, in_experts] = new[:, : in_experts.size]
        a, b, omega, beta = update_gates(problem, r, a, b, omega, beta, eps)
    v = np.concatenate([part.ravel() for part in (a, b, omega, beta, eta, tau, np.log(nu))])
    return v / problem.scale, path


def taken(X, columns):
    """Some columns, no copy of all; one of zeros instead of none, as kernels take one at least."""
    if columns.size == X.shape[1]:
        return X
    return np.ascontiguousarray(X[:, columns]) if columns.size else np.zeros((len(X), 1))


def update_experts(X, y, r, eta, tau, nu, floor, ceiling=np.inf, unit=1.0, added=(0.0, 0.0)):
    """Weighted least squares of each expert, weights r (K, n): new eta (K, d), tau (K,), nu (K,) in [floor, ceiling].

    `unit` (d + 1,) are the sizes of the columns of X and of the constant, for judging rank; `added`, a number of rows
    and the sum of their squared residuals, is what a penalty on variances adds to each expert.
    An expert that holds no weight keeps its parameters; a rank-deficient one takes the least-norm solution, and where
    rounding spoils that, it keeps its line.
    """
    d = X.shape[1]
    old, (eta, tau, nu) = (eta, tau), (eta.copy(), tau.copy(), nu.copy())
    xx, xy = kernels.expert_sums(X, y, r)
    weight = xx[:, d, d]
    held, deficient = weight > 1e-10, np.zeros(len(weight), dtype=bool)
    for j in np.flatnonzero(held):
        # solved as a correction to the present line, so that a loss of rank cannot move the fit away from it
        line = np.append(eta[j], tau[j])
        correction, deficient[j] = least_squares(xx[j], xy[j] - xx[j] @ line, unit)
        line = line + correction
        eta[j], tau[j] = line[:d], line[d]
    squares = kernels.residual_sums(X, y, r, *read_only(eta, tau))
    if deficient.any():
        before = kernels.residual_sums(X, y, r, *read_only(*old))
        worse = deficient & (squares > before)
        eta[worse], tau[worse], squares[worse] = old[0][worse], old[1][worse], before[worse]
    rows, residual = added
    nu[held] = np.clip((squares + residual) / (np.where(held, weight, 1.0) + rows), floor, ceiling)[held]
    return eta, tau, nu


def least_squares(xx, xy, unit):
    """Solution (d + 1,) of normal equations, and whether they lack rank even in the columns' own units."""
    for size in (1.0, unit):  # the columns as they are will nearly always do
        solution, _, _, singular = np.linalg.lstsq(xx / np.multiply.outer(size, size), xy / size, rcond=1e-13)
        deficient = singular[-1] < DEFICIENT * singular[0]
        if not deficient:
            break
    return solution / size, deficient


def update_gates(problem, r, a, b, omega, beta, eps, steps=5):
    """Raise the gates of a problem by `update_gate`, all of them, for weights r (K, n): new a, b, omega, beta."""
    off, options = problem.offsets, {"steps": steps, "weights": problem.weights}
    in_first, in_second = (np.flatnonzero(~problem.unseen[name]) for name in ("a", "omega"))
    first, second = (gate.on(seen) for gate, seen in zip(problem.gates, (in_first, in_second), strict=True))
    a, omega, beta = a.copy(), omega.copy(), beta.copy()
    if problem.k1 > 1:
        parts = first, taken(a, in_first), b
        r_groups = np.add.reduceat(r, off[:-1], axis=0)
        new, b = update_gate(taken(problem.X, in_first), r_groups, *parts, eps, **options)
        a[:, in_first] = new[:, : in_first.size]
    X = taken(problem.X, in_second)
    for lo, hi in zip(off[:-1], off[1:], strict=True):
        if hi - lo > 1:
            parts = second, taken(omega[lo:hi], in_second), beta[lo:hi]
            new, beta[lo:hi] = update_gate(X, r[lo:hi], *parts, eps, **options)
            omega[lo:hi, in_second] = new[:, : in_second.size]
    return a, b, omega, beta


def update_gate(X, r, gate, slopes, intercepts, eps, steps=5, weights=None):
    """Raise sum_rows sum_i r_i log g_i(x) in one gate by damped Newton steps: new slopes (m, d), intercepts (m,).

    Log-linear gates: the function is concave and Newton with halving finds its maximum. Laplace gates: negative
    curvature is reflected and the distance smoothed in the direction, never in the value that a step must raise. The
    `weights` of the rows, of which r is made already, tell how far to smooth.
    """
    (m, d), code = slopes.shape, gate.code
    n = len(X) if weights is None else weights.sum()
    aim = max(eps, gate.run(np.sqrt(variance(X, weights))) / np.sqrt(n)) if gate.kinked else 0.0
    arrays = slopes, intercepts, gate.scale_over(d)
    slopes, intercepts, scale = read_only(*(np.ascontiguousarray(array) for array in arrays))
    # a change of logits by so much takes a gate from one end to the other; where it is saturated, curvature vanishes
    limit = 1e3 + (np.linalg.norm(scale * np.ptp(X, axis=0)) if gate.located else 0.0)
    size_of_x = scale if gate.located else np.abs(gate.features(X)).max(axis=0)

    def judged(slopes, intercepts):
        value, gradient, information = kernels.gate_information(X, r, code, slopes, intercepts, scale, aim)
        if aim != eps:
            value = kernels.gate_information(X, r, code, slopes, intercepts, scale, eps)[0]
        return value, gradient, information

    value, gradient, information = judged(slopes, intercepts)
    for _ in range(steps):
        values, vectors = np.linalg.eigh(information)
        size = np.abs(values)
        size = np.maximum(size, 1e-8 * size.max() + 1e-200)
        step = vectors @ ((vectors.T @ gradient) / size)
        change = (np.abs(step[: m * d]).reshape(m, d) @ size_of_x + np.abs(step[m * d :])).max()
        if change > limit:
            step *= limit / change
        gain = 0.5 * gradient @ step
        if gain < 1e-10:
            break
        fraction = 1.0
        while fraction > 1e-6:
            new_slopes, new_intercepts = read_only(
                slopes + fraction * step[: m * d].reshape(m, d), intercepts + fraction * step[m * d :]
            )
            new_value, gradient, information = judged(new_slopes, new_intercepts)
            if new_value > value:
                break
            fraction *= 0.3
        else:
            break
        slopes, intercepts, value = new_slopes, new_intercepts, new_value
    return slopes, intercepts
