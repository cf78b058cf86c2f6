"""The estimators that a study can ask for, `fit.estimator`.

``"mle"`` is `hmoe_stats.fit_mle`; `hmoe_stats.fit_categorical_mle` where experts are categorical. ``"em"`` is what the
simulations of arXiv 2305.03288 use: EM from starts about the truth, each fitted expert beside a true one, which ends
where the mean log-likelihood hardly rises, whatever n. It is here to be compared: over-specified likelihoods are flat,
and where such a run ends is a matter of where it began.
"""

from dataclasses import replace


def estimate(study, cell, X, y, counts):
    """The fit of a cell, of its data X (n, d) and y (n,) with counts (n,), None of ordinary rows."""
    if study.experts == "categorical":
        return _of_classes(study, cell, X, y, counts)
    return (_em if study.fit.estimator == "em" else _mle)(study, cell, X, y, counts)


def _of_classes(study, cell, X, y, counts):
    import hmoe_stats as hs

    start, options = study.measure(cell.gating, cell.replicate), study.fit.keywords()
    del options["local"]  # as it always is
    seed = study.fit_seed(cell.n, cell.replicate)
    return hs.fit_categorical_mle(X, y, cell.gating, cell.k2, start, seed=seed, weights=counts, **options)


def _mle(study, cell, X, y, counts):
    import hmoe_stats as hs

    start = study.measure(cell.gating, cell.replicate) if study.fit.start == "truth" else None
    seed = study.fit_seed(cell.n, cell.replicate)
    options = study.fit.keywords()
    return hs.fit_mle(X, y, gating=cell.gating, k2=cell.k2, start=start, seed=seed, weights=counts, **options)


def _em(study, cell, X, y, counts):
    """The most likely end of several runs, those without a flaw first; all of them are in its `starts`."""
    from numpy.random import default_rng

    import hmoe_stats as hs
    from hmoe_stats.fitting import starts

    options, truth = study.fit, study.measure(cell.gating, cell.replicate)
    rng = default_rng(starts.key(study.fit_seed(cell.n, cell.replicate), cell.gating, cell.k2))
    ends = {} if options.tol is None else {"tol": options.tol * cell.n}
    ends |= {} if options.max_iter is None else {"max_iter": options.max_iter}
    fits = []
    for _ in range(options.n_starts or 1):
        start = about(truth, cell.k2, rng, options.jitter.sizes(cell.n))
        fits.append(hs.fit_em(X, y, gating=cell.gating, k2=cell.k2, start=start, weights=counts, **ends))
    best = max(fits, key=lambda fit: (fit.status != "degenerate", fit.log_likelihood))
    return replace(best, start_rows=[row for fit in fits for row in fit.start_rows])


def about(G, k2, rng, sizes):
    """G written in the shape `k2`, the experts that are copied drawn, with normal noise on its parameters.

    Parameters
    ----------
    G : MixingMeasure
    k2 : tuple of int
    rng : numpy.random.Generator
    sizes : dict
        Parameter -> standard deviation of its noise; that of a variance is taken positive.

    Returns
    -------
    MixingMeasure
        The copies of an expert share its weight evenly, before the noise.
    """
    from hmoe_stats.fitting import shapes

    G = shapes.embed(G, k2, rng, choice=int(rng.integers(shapes.strata(k2, G.k2))))
    moved = {}
    for name, size in sizes.items():
        noise = size * rng.standard_normal(getattr(G, name).shape)
        moved[name] = getattr(G, name) + (abs(noise) if name == "nu" else noise)
    return G.replace(**moved)
