"""The plain maximum-likelihood estimator of categorical experts, near a start and in a box: what rates are those of.

`fit_categorical` maximises a penalised likelihood of data of some thousand rows. Rates ask for another estimator: no
ridge, a box that does not depend on the data, and optima that are exact where n is 1e12. So the derivatives are exact
to the second order, and the climbs are those of Gaussian experts (`newton`), valleys and all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax, softmax

from ..arguments import check_gating, check_k2, check_positive, check_whole, shown, takes_rng
from ..categorical import CategoricalMeasure, as_categorical
from ..kinds import Bounds, Categorical, Rng, Seed, Shape
from ..tree import OF_GATES
from . import newton, shapes, starts
from .class_result import CategoricalResult
from .mle import FINAL_SMOOTHING
from .problem import check_bound, one_thread, pressing, shared_out
from .race import AGREE

STARTS = 12
FAR = 100.0  # of parameters without a bound: logits, or slopes per unit of x
POWERS = 0.0, 0.125, 0.25, 0.375  # copies begin n^-p apart, p in turn: split cells have errors of about n^-1/4
WIDEST = 0.5


@takes_rng
@one_thread
def fit_categorical_mle(
    X: ArrayLike,
    y: ArrayLike,
    gating: str,
    k2: Shape,
    start: Categorical,
    bounds: Bounds | None = None,
    n_starts: int = STARTS,
    tol: float = 1e-9,
    max_iter: int = 500,
    seed: Seed = 0,
    weights: ArrayLike | None = None,
    *,
    rng: Rng | None = None,
) -> CategoricalResult:
    """Maximum-likelihood fit of an HMoE with categorical experts near a measure: no ridge, and a box that is stated.

    Parameters
    ----------
    X : array_like, (n, d); (n,) where d = 1
        Of the order of 1: nothing is standardised.
    y : array_like, (n,)
        Labels, of the classes of `start`.
    gating : str
        Gates of level 1 and 2, two letters of S softmax, L Laplace, Q quadratic; that of `start`.
    k2 : sequence of int, or int
        Number of experts in each group, a shape that contains that of `start`.
    start : CategoricalMeasure or CategoricalResult
        Where to start, such as the truth of a simulation; its gates and experts see all columns.
    bounds : dict, optional
        Parameter (a, b, omega, beta, eta, tau) -> half-width B of [-B, B], or a pair [low, high]. Others lie in
        [-100, 100], but for Laplace centres, which stay about the data.
    n_starts : int
        Starts, the larger shapes' about the optimum of the smaller one: copies of its experts, apart by 1, n^-1/8,
        n^-1/4 and n^-3/8 in turn.
    tol : float
        Largest entry of the projected score over n.
    max_iter : int
        Steps of a climb at most.
    seed : int or numpy.random.SeedSequence
        Key of the starts' random numbers.
    weights : array_like, (n,), optional
        How many rows each row counts as, w >= 0: the counts of `sample_lattice`.
    rng : int, numpy.random.SeedSequence, Generator or BitGenerator, optional
        Instead of `seed`. An int is the seed; of others one number is drawn, which is.

    Returns
    -------
    CategoricalResult
        With a ridge of 0; "boundary" where a bound binds. What it says of the other starts is `n_agree` (of them came
        to within .01 of the best), `n_optima`, and `gap`, to the next lower one. It maximises the likelihood near
        `start`: nothing is looked for elsewhere.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Notes
    -----
    Laplace distances are smoothed, (||c (x - a)||^2 + eps^2)^(1/2), with eps = n^(-1/2), then a thirtieth of it. The
    information is the observed one, by Louis' identity over the experts: with q_j the logarithm of the part of expert j
    and r_j its posterior probability, the second derivative of log p is E_r q_j'' + var_r q_j'.
    """
    start = as_categorical("start", start)
    gating, k2 = check_gating(gating), check_k2(k2)
    starts.check_inside(start, gating, k2, start.d)
    if start.view and set(start.view) != {"laplace_scale"}:
        raise ValueError(f"start must have gates and experts that see all columns; got {shown(start.view)}")
    rows = start.rows(X, y, weights)
    tol, max_iter = check_positive("tol", tol), check_whole("max_iter", max_iter)
    n_starts, box = check_whole("n_starts", n_starts), check_box(bounds)
    found = None
    for shape in dict.fromkeys((start.k2, k2)):
        rng = np.random.default_rng(starts.key(seed, gating, shape))
        problem = Problem(rows, start, shape, box)
        found = _climbed(problem, _starts(problem, found, start, rng, n_starts), tol, max_iter)
    return _result(problem, found, {"tol": tol, "max_iter": max_iter, "n_starts": n_starts})


def check_box(bounds):
    """`bounds` of `fit_categorical_mle` as a dict of pairs."""
    if bounds is not None and not isinstance(bounds, dict):
        raise ValueError(f"bounds must be a dict, parameter -> half-width or (low, high); got {shown(bounds)}")
    names = OF_GATES + CategoricalMeasure.family.arrays
    return {name: check_bound(name, value, names) for name, value in (bounds or {}).items()}


class Problem:
    """The log-likelihood of one shape on one data set, relative to that of a measure, over `to_vector` in a box.

    Parameters
    ----------
    rows : categorical.Rows
    G0 : CategoricalMeasure
        What values are relative to, row by row; and the classes, gates and their scales.
    k2 : tuple of int
    box : dict
        Parameter -> (low, high).
    """

    large = True  # likelihoods are climbed as valleys

    def __init__(self, rows, G0, k2, box):
        self.X, self.codes = rows.X, rows.codes
        self.weights = np.ones(len(rows.X)) if rows.weights is None else rows.weights
        self.n = float(self.weights.sum())
        self.G0, self.k2 = G0, k2
        self.gates = G0.gates
        self.template = shapes.embed(G0, k2, np.random.default_rng(0))
        self.slices, self.p = self.template.slices, self.template.n_parameters
        self.group = self.template.group
        self.smoothing = self.n**-0.5 if any(gate.kinked for gate in self.gates) else 0.0
        self._make_box(box)
        self.reference = {}

    def _make_box(self, box):
        low, high = np.full(self.p, -FAR), np.full(self.p, FAR)
        ends, spread = (self.X.min(axis=0), self.X.max(axis=0)), self.X.std(axis=0)
        for wide, gate in zip(("a", "omega"), self.gates, strict=True):
            if gate.located:
                least, most, _ = gate.box(*ends, spread)
                count = len(getattr(self.template, wide))
                low[self.slices[wide]], high[self.slices[wide]] = np.tile(least, count), np.tile(most, count)
        self.gauges = [where for where in self.template.translations() if where.size > 1]
        self.fixed = np.zeros(self.p, dtype=bool)
        self.fixed[[where[0] for where in self.template.translations() if where.size == 1]] = True
        for name, pair in box.items():
            low[self.slices[name]], high[self.slices[name]] = pair
        self.lower, self.upper = low, high
        self.gauge_matrix = shared_out(self.gauges, self.p)

    # -- coordinates --------------------------------------------------------------------------------------------------
    def project(self, z):
        """The nearest writing of z in the box: gates translated to its middle, then clipped."""
        z = z.copy()
        for where in self.gauges:
            middle = 0.5 * (self.lower[where[0]] + self.upper[where[0]])
            z[where] += middle - 0.5 * (z[where].max() + z[where].min())
        z[self.fixed] = 0.0
        return np.clip(z, self.lower, self.upper)

    def active(self, z, gradient):
        """(p,) bool: coordinates on a bound whose gradient presses outward."""
        return ~self.fixed & pressing(z, gradient, self.lower, self.upper)

    def rounding(self, value, unit=1e-15):
        """Differences between values near this one that double precision may not tell."""
        return unit * (np.sqrt(self.weights @ self.weights) + abs(value))

    # -- the function -------------------------------------------------------------------------------------------------
    def _parts(self, z):
        return {name: z[where].reshape(getattr(self.template, name).shape) for name, where in self.slices.items()}

    def _joint(self, v, eps, k2=None):
        """Gates g (n, k1) and h (n, K), classes P (n, K, C), and the logarithms (n, K) of the experts' parts of p."""
        first, second = self.gates
        k2 = k2 or self.k2
        u = log_softmax(first.scores(self.X, v["a"], eps) + v["b"], axis=1)
        scores = np.split(second.scores(self.X, v["omega"], eps) + v["beta"], np.cumsum(k2)[:-1], axis=1)
        h = np.concatenate([log_softmax(part, axis=1) for part in scores], axis=1)
        logits = np.einsum("nd,kcd->nkc", self.X, v["eta"]) + v["tau"]
        log_P = log_softmax(np.concatenate([logits, np.zeros((*logits.shape[:2], 1))], axis=2), axis=2)
        chosen = np.take_along_axis(log_P, self.codes[:, None, None], axis=2)[:, :, 0]
        return np.exp(u), np.exp(h), np.exp(log_P), np.repeat(u, k2, axis=1) + h + chosen

    def _relative(self, joint, eps):
        if eps not in self.reference:
            of_reference = {name: getattr(self.G0, name) for name in self.G0.arrays}
            self.reference[eps] = _log_sum(self._joint(of_reference, eps, self.G0.k2)[3])
        return float(np.sum(self.weights * (_log_sum(joint) - self.reference[eps])))  # pairwise

    def value(self, z, eps):
        """Log-likelihood less that of the reference."""
        return self._relative(self._joint(self._parts(z), eps)[3], eps)

    def derivatives(self, z, eps):
        """`value` at z, its gradient, and minus its Hessian."""
        v = self._parts(z)
        g, h, P, joint = self._joint(v, eps)
        r = softmax(joint, axis=1)
        of_logits, second = self._of_logits(g, h, P, r)
        features, bends = self._features(v, eps)
        w, d = self.weights, self.X.shape[1]
        gradient, information = np.zeros((len(features), d + 1)), np.zeros((len(features), d + 1, len(features), d + 1))
        for s, F in enumerate(features):
            weighted = w[:, None] * F
            gradient[s] = of_logits[:, s] @ weighted
            for t in range(s + 1):
                block = -(weighted * second[:, s, t, None]).T @ features[t]
                information[s, :, t], information[t, :, s] = block, block.T
            if bends[s] is not None:
                information[s, :d, s, :d] -= np.einsum("n,nij->ij", w * of_logits[:, s], bends[s])
        order = self._order(d)
        flat = information.reshape(order.size, order.size)
        return self._relative(joint, eps), gradient.ravel()[order], flat[np.ix_(order, order)]

    def _of_logits(self, g, h, P, r):
        """First (n, L) and second (n, L, L) derivatives of log p in all logits: of groups, of experts, of classes."""
        n, K, C = P.shape
        k1, classes = g.shape[1], np.arange(C - 1)
        A = np.zeros((n, K, k1 + K + K * (C - 1)))  # of the logarithm of each expert's part
        second = np.zeros((n, A.shape[2], A.shape[2]))
        A[:, :, :k1] = np.eye(k1)[self.group] - g[:, None]
        second[:, :k1, :k1] = g[:, :, None] * (g[:, None] - np.eye(k1))
        for i in range(k1):
            here = np.flatnonzero(self.group == i)
            at, inside = k1 + here, h[:, here]
            A[:, here[:, None], at] = np.eye(here.size) - inside[:, None]
            spread = inside[:, :, None] * (inside[:, None] - np.eye(here.size))
            second[:, at[:, None], at] = r[:, here].sum(axis=1)[:, None, None] * spread
        observed = np.eye(C)[self.codes]
        for j in range(K):
            at = k1 + K + j * (C - 1) + classes
            p = P[:, j, :-1]
            A[:, j, at] = (observed - P[:, j])[:, :-1]
            second[:, at[:, None], at] = r[:, j, None, None] * p[:, :, None] * (p[:, None] - np.eye(C - 1))
        mean = np.einsum("nk,nks->ns", r, A)
        away = A - mean[:, None]
        return mean, second + np.einsum("nks,nkt->nst", r[:, :, None] * away, away)

    def _features(self, v, eps):
        """(n, d + 1) what the slopes and the intercept of each logit multiply; (n, d, d) bends, None without any."""
        one, K = np.ones((len(self.X), 1)), len(self.group)
        features, bends = [], []
        for gate, slopes in zip(self.gates, (v["a"], v["omega"]), strict=True):
            for slope in slopes:
                features.append(np.hstack([gate.slope_derivative(self.X, slope, eps), one]))
                bends.append(gate.slope_curvature(self.X, slope, eps) if gate.kinked else None)
        lines = K * v["tau"].shape[1]
        return features + [np.hstack([self.X, one])] * lines, bends + [None] * lines

    def _order(self, d):
        """Where the entries of vectors stand in logit by logit (slopes, intercept)."""
        places = np.arange((len(self.k2) + len(self.group) * (1 + self.G0.n_classes - 1)) * (d + 1)).reshape(-1, d + 1)
        ends = np.cumsum([len(self.k2), len(self.group)])
        parts = np.split(places, ends)
        return np.concatenate([piece.ravel() for part in parts for piece in (part[:, :d], part[:, d])])


def _log_sum(joint):
    top = joint.max(axis=1)
    return top + np.log(np.exp(joint - top[:, None]).sum(axis=1))


# -- the search -------------------------------------------------------------------------------------------------------
@dataclass
class Run:
    """A start and the optimum that it came to."""

    kind: str
    optimum: newton.Optimum
    plain: float  # value without smoothing


def _starts(problem, smaller, start, rng, n_starts):
    """(kind, z) of each start: about the optimum of the smaller shape if there is one, else about `start`."""
    if smaller is None:
        yield "start", start.to_vector()
        return
    nested = start.with_vector(smaller[0].optimum.z)
    yield "embedded", shapes.embed(nested, problem.k2, rng).to_vector()
    count = shapes.strata(problem.k2, nested.k2)
    for number in range(n_starts - 1):
        size = WIDEST * problem.n ** -POWERS[number // count % len(POWERS)]
        yield "split", _split(nested, problem.k2, rng, number % count, size).to_vector()


def _split(G, k2, rng, choice, size):
    """G in the shape `k2`, its copies apart by `size`."""
    measure, groups, leaves = shapes.embedding(G, k2, rng, choice, lambda m: rng.dirichlet(np.full(m, 4.0)))
    fields = {name: getattr(measure, name).copy() for name in ("a", "omega", "eta", "tau")}
    for weight, members in starts.copies(groups, measure.b):
        fields["a"][members] += size * starts.pull(rng, weight, G.d)
    for weight, members in starts.copies(measure.group * G.n_experts + leaves, measure.beta):
        for name in ("omega", "eta", "tau"):
            shape = fields[name][members].shape
            away = starts.pull(rng, weight, int(np.prod(shape[1:])))
            fields[name][members] += size * away.reshape(shape)
    return measure.replace(**fields)


def _climbed(problem, entries, tol, max_iter):
    """Runs, the best first."""
    runs = []
    for kind, z in entries:
        for eps in dict.fromkeys((problem.smoothing, problem.smoothing * FINAL_SMOOTHING)):
            optimum = newton.maximise(problem, z, eps, tol, max_iter)
            z = optimum.z
        runs.append(Run(kind, optimum, problem.value(z, 0.0)))
    return sorted(runs, key=lambda run: -run.plain)


def _result(problem, runs, settings):
    best = runs[0].optimum
    measure = problem.template.with_vector(best.z)
    active = problem.active(best.z, best.gradient)
    names = [name for name, there in zip(measure.parameter_names(), active, strict=True) if there]
    status = "max_iter" if not best.converged else "boundary" if names else "converged"
    message = {
        "max_iter": f"the climb ended with a projected score over n of {best.norm:.1e}",
        "boundary": f"first-order conditions hold with {len(names)} parameters on the box",
        "converged": "first-order conditions hold",
    }[status]
    lower = [run.plain for run in runs if run.plain < runs[0].plain - AGREE]
    values, optima = np.array([run.plain for run in runs]), 0
    while values.size:
        optima, values = optima + 1, values[values < values[0] - AGREE]
    eigenvalues = newton.spectrum(problem, best.z, best.gradient, best.information)[0]
    value = measure.log_likelihood(problem.X, measure.labels[problem.codes], problem.weights)
    return CategoricalResult(
        measure=measure,
        log_likelihood=value,
        penalised_log_likelihood=value,
        status=status,
        message=message,
        score_norm=best.norm,
        n_iter=best.n_iter,
        smoothing=problem.smoothing * FINAL_SMOOTHING,
        ridge=(0.0, 0.0),
        start_rows=[
            {
                "kind": run.kind,
                "penalised_log_likelihood": run.plain,
                "status": "converged" if run.optimum.converged else "max_iter",
                "n_iter": run.optimum.n_iter,
                "score_norm": run.optimum.norm,
            }
            for run in runs
        ],
        active_bounds=tuple(names),
        settings=settings,
        n_agree=len(runs) - len(lower),
        n_optima=optima,
        gap=runs[0].plain - lower[0] if lower else np.inf,
        smallest_eigenvalue=float(eigenvalues[0]) if eigenvalues.size else np.nan,
    )
