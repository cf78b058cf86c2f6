"""A fit made again on other data, the way it was made: what samples of a bootstrap go through."""

from .em import fit_em
from .mle import fit_mle
from .own import fit

ESTIMATORS = {"fit": fit, "fit_mle": fit_mle, "fit_em": fit_em}


def refit(settings, start, X, y, weights, seed, n_starts):
    """The `FitResult` of other data, from a measure, by the estimator and with the keywords of `FitResult.settings`.

    `n_starts` are the starts of an estimator that takes several, around the measure.
    """
    keywords = dict(settings)
    estimator = ESTIMATORS[keywords.pop("estimator")]
    if estimator is not fit_em:
        keywords["n_starts"] = n_starts
    G = start
    return estimator(X, y, G.gating, G.k2, start=G, seed=seed, weights=weights, **keywords)
