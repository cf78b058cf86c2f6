"""Log-density, log-likelihood, gates, responsibilities, score and observed information of a mixing measure on data.

Each function checks its input once and hands it to a kernel of `hmoe_stats.kernels`.

Sums over rows take `weights`: a row of weight w counts as w rows, one of weight 0 as none; w need not be an integer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from . import kernels
from .arguments import check_covariates, check_data, check_weighted_data, check_weights
from .categorical import as_categorical, as_of_any_family
from .frames import as_covariates
from .kinds import AnyMeasure, Floats, Measure
from .measure import as_measure, as_wide


def _checked(fit, X, y):
    G = as_measure("G", fit)
    return G, *check_data(as_covariates(fit, X), y, G.d)


def _weighted(fit, X, y, weights):
    G = as_measure("G", fit)
    return G, *check_weighted_data(as_covariates(fit, X), y, weights, G.d)


def log_density(G: AnyMeasure, X: ArrayLike, y: ArrayLike) -> Floats:
    """Conditional log-density log p_G(y | x) of each row.

    Parameters
    ----------
    G : MixingMeasure, CategoricalMeasure or a fit of either
        Those of classes are taken by `log_density`, `log_likelihood` and `gate_weights`; y are labels then.
    X : array_like, (n, d); (n,) where d = 1
        A frame goes by the names of the columns that a fit to a frame was made of, here and in all functions below.
    y : array_like, (n,) or (n, 1)
        Two pandas objects X and y must have one index.

    Returns
    -------
    ndarray, (n,)
        Natural logarithms, constants included.

    Raises
    ------
    ValueError
        If G is not a measure, or X and y do not fit it or each other, or are not finite.
    """
    if (H := as_of_any_family("G", G)).family.classed:
        return H.log_density(as_covariates(G, X), y)
    G, X, y = _checked(G, X, y)
    return kernels.log_density(X, y, G.kernel_args(), 0.0)


def log_likelihood(
    G: AnyMeasure, X: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None, relative_to: AnyMeasure | None = None
) -> float:
    """Log-likelihood, the sum over rows of w log p_G(y | x): a float.

    Parameters
    ----------
    G : MixingMeasure, CategoricalMeasure or a fit of either
    X : array_like, (n, d); (n,) where d = 1
    y : array_like, (n,) or (n, 1)
        Two pandas objects among X, y and weights must have one index.
    weights : array_like, (n,), optional
        How many rows each row counts as, w >= 0; without it each counts as one.
    relative_to : MixingMeasure, CategoricalMeasure or a fit, optional
        Another measure H of the same family, of any shape and gating, on the same covariates: the sum is that of
        w (log p_G - log p_H), with the difference taken row by row. Of n rows, n the sum of weights, a log-likelihood
        is known to about 1e-16 n only, and the difference of two of them no better; this one keeps its digits:
        differences of 1e-3 survive at n = 1e12.

    Returns
    -------
    float
        Natural logarithms, constants included.

    Raises
    ------
    ValueError
        If G or H is not a measure, or X, y and weights do not fit it or each other, are not finite, or weights are
        negative or all 0.
    """
    if (H := as_of_any_family("G", G)).family.classed:
        X = as_covariates(G, X)
        if relative_to is None:
            return H.log_likelihood(X, y, weights)
        gain = H.log_density(X, y) - as_categorical("relative_to", relative_to).log_density(X, y)
        weights = check_weights(weights, len(gain))
        return float(np.sum(gain if weights is None else weights * gain))  # pairwise
    G, X, y, weights = _weighted(G, X, y, weights)
    if relative_to is None:
        return kernels.log_likelihood(X, y, G.kernel_args(), 0.0, weights=weights)
    H = as_measure("relative_to", relative_to)
    if H.d != G.d:
        raise ValueError(f"relative_to must have d = {G.d}, as G has; got d = {H.d}")
    gain = kernels.log_density(X, y, G.kernel_args(), 0.0) - kernels.log_density(X, y, H.kernel_args(), 0.0)
    return float(np.sum(gain if weights is None else weights * gain))  # pairwise


def responsibilities(G: Measure, X: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Posterior probability of each expert given (x, y): (n, K), rows sum to 1. Parameters as `log_density`.

    How often a row was seen does not change its posterior: `weights` (n,) are checked, and all rows are returned.
    ``weights @ responsibilities(G, X, y)`` are the numbers of rows that the experts hold.
    """
    given, (G, X, y) = (("X", X), ("y", y)), _checked(G, X, y)
    check_weights(weights, y.size, *given)
    return np.ascontiguousarray(kernels.responsibilities(X, y, G.kernel_args(), 0.0)[1].T)


def gate_weights(G: AnyMeasure, X: ArrayLike) -> Floats:
    """Prior probability of each expert given x, the product of its two gates: (n, K), rows sum to 1.

    Parameters
    ----------
    G : MixingMeasure, CategoricalMeasure or a fit of either
    X : array_like, (n, d); (n,) where d = 1

    Raises
    ------
    ValueError
        If G is not a measure, or X does not fit it or is not finite.
    """
    X, G = as_covariates(G, X), as_of_any_family("G", G)
    if G.family.classed:
        return G.gate_weights(X)
    X = check_covariates(X, G.d)
    return kernels.gate_weights(X, G.kernel_args())


def predict(G: Measure, X: ArrayLike) -> Floats:
    """Conditional mean of y given x, sum_j gate_j(x) (eta_j' x + tau_j): (n,). Parameters as `gate_weights`."""
    X, G = as_covariates(G, X), as_wide("G", G)
    X = check_covariates(X, G.d)
    return np.einsum("nk,nk->n", kernels.gate_weights(X, G.kernel_args()), X @ G.eta.T + G.tau)


def score(G: Measure, X: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Gradient of the log-likelihood in the unconstrained parameters, in `MixingMeasure.to_vector` order: (p,).

    Of a measure that does not see all columns these are the entries of `MixingMeasure.wide` that it has.

    At a Laplace centre that coincides with a data point the norm has a kink; its subgradient 0 is taken.
    Parameters and errors as `log_likelihood`.
    """
    G, X, y, weights = _weighted(G, X, y, weights)
    return kernels.score(X, y, G.kernel_args(), 0.0, weights=weights)[1][G.wide_index()]


def information(G: Measure, X: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Observed information, minus the Hessian of the log-likelihood in `to_vector` order: (p, p), symmetric.

    Under softmax gates it is singular along their translations. Under Laplace gates it is the Hessian away from kinks.
    Parameters and errors as `log_likelihood`.
    """
    G, X, y, weights = _weighted(G, X, y, weights)
    index = G.wide_index()
    return kernels.information(X, y, G.kernel_args(), 0.0, weights=weights)[2][index][:, index]
