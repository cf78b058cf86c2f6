"""What a fit says of y given x: quantiles, prediction intervals, residuals, samples."""

from numbers import Integral

import numpy as np

from .. import conditional
from ..arguments import as_numbers, check_covariates, check_known, check_seed, check_whole
from ..fitting.rows import drawn
from ..frames import as_covariates
from ..sampling import respond
from .functionals import check_level, check_quantiles


def predict_quantile(fit, X, q):
    """`FitResult.predict_quantile`."""
    G = fit.measure
    levels, X = check_quantiles(q), check_covariates(as_covariates(fit, X), G.d)
    out = conditional.quantile(G, X, levels)
    return out if as_numbers("q", q).ndim else out[:, 0]


def predict_interval(fit, X, level):
    """`FitResult.predict_interval`."""
    import pandas as pd

    G = fit.measure
    tail, index = 0.5 * (1.0 - check_level(level)), X.index if hasattr(X, "iloc") else None
    X = check_covariates(as_covariates(fit, X), G.d)
    W, mu, _ = conditional.parts(G, X)
    low, high = conditional.quantile(G, X, np.array([tail, 1.0 - tail])).T
    return pd.DataFrame({"mean": (W * mu).sum(axis=1), "low": low, "high": high}, index=index)


def residuals(fit, kind):
    """`FitResult.residuals`."""
    kind, (X, y, _) = check_known("kind", kind, ("quantile", "response")), fit.known_data()
    return conditional.normal_scores(fit.measure, X, y) if kind == "quantile" else y - fit.predict(X)


def sample(fit, x, seed):
    """`FitResult.sample`."""
    rng = np.random.default_rng(check_seed(seed, np.random.SeedSequence, np.random.Generator))
    if isinstance(x, Integral):
        X, _, weights = fit.known_data()
        X = X[drawn(rng, len(X), weights, check_whole("x", x))]
    else:
        X = check_covariates(as_covariates(fit, x), fit.measure.d)
    return X, respond(fit.measure, X, rng)
