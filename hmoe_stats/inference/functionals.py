"""Standard errors of functions of a fit by the delta method: gates, experts' lines, the mean, quantiles, anything.

A quantity with gradient g in the parameters of `coordinates` has the variance g' C g, C their covariance. Probabilities
get their intervals on the log-odds scale, on which they are nearer to normal and stay between 0 and 1. A quantile gets
its own from the interval (q1, q2) of F(y | x) at the estimate y: the quantiles of the levels q1 and q2 (Woodruff 1952).
Between two experts, where a quantile may run far for little in F, an interval y +- z std_err means nothing.
"""

import numpy as np
from scipy.special import expit, logit, ndtri

from .. import conditional, kernels
from ..arguments import as_numbers, check_covariates, check_flag, check_known, check_number, shown
from ..frames import as_covariates
from .curvature import CHANCE, ESTIMATED, KINDS, usable

OF = ("mean", "experts", "gates", "groups", "quantile")
DRAWS = 20_000  # of the largest of many normal variables, behind bands: their 95 % points are right to half a percent
KEY = 20241002936
STEP = 0.02  # of numerical derivatives, in standard errors were all other parameters known
EDGE = 1e-15  # of levels: one less is 1 for a double
BLOCK = 1 << 14  # rows of X at once


def check_level(level):
    """Return a level of confidence, else raise a `ValueError`."""
    return check_number("level", level, "a number between 0 and 1", lambda v: 0 < v < 1)


def check_kind(kind):
    """Return a kind of covariance, else raise a `ValueError`."""
    return check_known("kind", kind, KINDS)


def check_quantiles(q):
    """Return levels of quantiles as (m,), else raise a `ValueError`."""
    out = as_numbers("q", q, "numbers between 0 and 1")
    if out.ndim > 1 or not out.size or not ((out > 0) & (out < 1)).all():
        raise ValueError(f"q must be numbers between 0 and 1; got {shown(q)}")
    return np.atleast_1d(out)


def intervals(fit, of, X, level=0.95, kind="hessian", q=0.5, band=False):
    """The table of `FitResult.intervals`."""
    import pandas as pd

    curvature = usable(fit)
    of, level, kind = check_known("of", of, OF), check_level(level), check_kind(kind)
    rows, band, q = rows_of(X), check_flag("band", band), check_quantiles(q)
    place = curvature.coordinates
    G = place.measure
    X = check_covariates(as_covariates(fit, X), G.d)
    names, columns = quantities(G, of, q)
    blocks = [X[first : first + BLOCK] for first in range(0, len(X), BLOCK)]
    estimates, variances, statuses, critical = [], [], [], []
    rng = np.random.default_rng(np.random.SeedSequence(KEY))
    normal = rng.standard_normal((curvature.factor(kind).shape[1], DRAWS)) if band else None
    for k in range(len(columns)):
        values = np.concatenate([estimate_of(G, of, block, q, k) for block in blocks])
        top, parts = np.zeros(DRAWS), []
        for block in blocks:
            slope = gradient_of(G, of, block, q, k)[:, place.index]
            parts.append(curvature.variance(slope, kind))
            if band:
                top = np.maximum(top, _largest(slope @ curvature.factor(kind), normal))
        variance, status = (np.concatenate(part) for part in zip(*parts, strict=True))
        if of in ("experts", "gates") and curvature.chance[k]:
            status[status == ESTIMATED] = CHANCE
        estimates.append(values)
        variances.append(variance)
        statuses.append(status)
        critical.append(np.full(len(X), np.quantile(top, level) if band else -ndtri(0.5 * (1.0 - level))))
    table = {"row": np.tile(rows, len(columns))}
    table |= {name: np.repeat([column[i] for column in columns], len(X)) for i, name in enumerate(names)}
    estimate, variance, status, critical = map(np.concatenate, (estimates, variances, statuses, critical))
    if of == "quantile":
        limits = _of_quantiles(G, np.tile(X, (q.size, 1)), np.repeat(q, len(X)), estimate, variance, status, critical)
    else:
        limits = _limits(estimate, variance, status, critical, of in ("gates", "groups"))
    return pd.DataFrame(table | limits)


def delta(fit, function, level=0.95, kind="hessian"):
    """The table of `FitResult.delta`."""
    import pandas as pd

    level, kind, curvature = check_level(level), check_kind(kind), usable(fit)
    place = curvature.coordinates
    here, estimate = place.values, values_of(function, place.measure)

    def at(values):
        return values_of(function, place.at(values))

    slope = np.empty((estimate.size, here.size))
    for k, unit in enumerate(curvature.own):
        step = np.zeros(here.size)
        step[k] = STEP * unit
        near, far = (at(here + t * step) - at(here - t * step) for t in (1.0, 2.0))
        slope[:, k] = (8.0 * near - far) / (12.0 * step[k])
    critical = np.full(estimate.size, -ndtri(0.5 * (1.0 - level)))
    return pd.DataFrame(_limits(estimate, *curvature.variance(slope, kind), critical, False))


def rows_of(X):
    """What the rows of X are called in tables: by its index if it has one."""
    return np.asarray(X.index) if hasattr(X, "iloc") else np.arange(len(np.atleast_1d(X)))


def values_of(function, G):
    """(m,) what a user's function says of a measure, else a `ValueError`."""
    if not callable(function):
        raise ValueError(f"function must be a function of a MixingMeasure; got {shown(function)}")
    out = as_numbers("function", function(G), "a function that returns numbers").ravel()
    if not np.isfinite(out).all():
        raise ValueError("function must return finite numbers at and near the estimate; got NaN or infinite ones")
    return out


def _limits(estimate, variance, status, critical, weights):
    """Columns of a table: estimate, std_err, low, high, status; of gate weights on the log-odds scale."""
    identified = status == ESTIMATED
    error = np.where(identified, np.sqrt(variance), np.inf)
    if weights:
        spread = estimate * (1.0 - estimate)
        inside = (spread > 0) & identified
        reach = np.where(inside, critical * error / np.where(inside, spread, 1.0), 0.0)
        ends = [expit(logit(np.where(inside, estimate, 0.5)) + sign * reach) for sign in (-1.0, 1.0)]
        low, high = (np.where(inside, end, estimate) for end in ends)
        low, high = np.where(identified, low, 0.0), np.where(identified, high, 1.0)
    else:
        low, high = estimate - critical * error, estimate + critical * error
    return {"estimate": estimate, "std_err": error, "low": low, "high": high, "status": status}


def _of_quantiles(G, X, q, estimate, variance, status, critical):
    """As `_limits`, of quantiles, whose variances are those of the distribution function there."""
    limits, known = _limits(q, variance, status, critical, True), status == ESTIMATED
    ends = np.tile([-np.inf, np.inf], (q.size, 1))
    if known.any():
        levels = np.stack([limits["low"], limits["high"]], axis=1)[known]
        ends[known] = conditional.quantile(G, X[known], np.clip(levels, EDGE, 1.0 - EDGE))
    density = np.exp(kernels.log_density(X, estimate, G.kernel_args(), 0.0))
    error = np.divide(limits["std_err"], density, out=np.full(q.size, np.inf), where=density > 0)
    return limits | {"estimate": estimate, "std_err": error, "low": ends[:, 0], "high": ends[:, 1]}


def _largest(rows, normal):
    """(DRAWS,) largest of the normal variables that rows (n, s) make of independent ones, each divided by its own."""
    size = np.linalg.norm(rows, axis=1)
    rows = rows[size > 0] / size[size > 0, None]
    top = np.zeros(normal.shape[1])
    for first in range(0, len(rows), 256):
        top = np.maximum(top, np.abs(rows[first : first + 256] @ normal).max(axis=0))
    return top


def quantities(G, of, q):
    """What a kind of functional is about: names of the columns that say so, and a tuple of these for each."""
    place = np.arange(G.n_experts) - G.offsets[G.group]
    experts = list(zip(G.group.tolist(), place.tolist(), strict=True))
    return {
        "mean": ((), [()]),
        "experts": (("group", "expert"), experts),
        "gates": (("group", "expert"), experts),
        "groups": (("group",), [(i,) for i in range(G.k1)]),
        "quantile": (("q",), [(level,) for level in q]),
    }[of]


def estimate_of(G, of, X, q, k):
    """Values (n,) of the k-th quantity of a kind."""
    W, mu, _ = conditional.parts(G, X)
    if of == "quantile":
        return conditional.quantile(G, X, q[k : k + 1])[:, 0]
    if of == "mean":
        return (W * mu).sum(axis=1)
    return {"experts": mu, "gates": W, "groups": np.add.reduceat(W, G.offsets[:-1], axis=1)}[of][:, k]


def gradient_of(G, of, X, q, k):
    """Gradient (n, p) of a quantity; for quantiles that of the distribution function there."""
    if of == "mean":
        return conditional.in_mean(G, X)
    if of == "experts":
        return conditional.in_line(G, X, k)
    if of == "quantile":
        return conditional.in_distribution(G, X, conditional.quantile(G, X, q[k : k + 1])[:, 0])
    return conditional.in_weights(G, X, np.arange(G.n_experts) == k if of == "gates" else G.group == k)
