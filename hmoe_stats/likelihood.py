"""Log-density, log-likelihood, gates, responsibilities, score and observed information of a mixing measure on data.

Each function checks its input once and hands it to a kernel of `hmoe_stats.kernels`.
"""

import numpy as np

from . import kernels
from .arguments import check_covariates, check_data
from .measure import as_measure


def _checked(G, X, y):
    G = as_measure("G", G)
    return G, *check_data(X, y, G.d)


def log_density(G, X, y):
    """Conditional log-density log p_G(y | x) of each row.

    Parameters
    ----------
    G : MixingMeasure or FitResult
    X : array_like, (n, d); (n,) where d = 1
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
    G, X, y = _checked(G, X, y)
    return kernels.log_density(X, y, *G.kernel_args(), 0.0)


def log_likelihood(G, X, y):
    """Log-likelihood, the sum of `log_density` over rows: a float. Parameters and errors as there."""
    G, X, y = _checked(G, X, y)
    return kernels.log_likelihood(X, y, *G.kernel_args(), 0.0)


def responsibilities(G, X, y):
    """Posterior probability of each expert given (x, y): (n, K), rows sum to 1. Parameters as `log_density`."""
    G, X, y = _checked(G, X, y)
    return np.ascontiguousarray(kernels.responsibilities(X, y, *G.kernel_args(), 0.0)[1].T)


def gate_weights(G, X):
    """Prior probability of each expert given x, the product of its two gates: (n, K), rows sum to 1.

    Parameters
    ----------
    G : MixingMeasure or FitResult
    X : array_like, (n, d); (n,) where d = 1

    Raises
    ------
    ValueError
        If G is not a measure, or X does not fit it or is not finite.
    """
    G = as_measure("G", G)
    X = check_covariates(X, G.d)
    return kernels.gate_weights(X, *G.kernel_args())


def predict(G, X):
    """Conditional mean of y given x, sum_j gate_j(x) (eta_j' x + tau_j): (n,). Parameters as `gate_weights`."""
    G = as_measure("G", G)
    X = check_covariates(X, G.d)
    return np.einsum("nk,nk->n", kernels.gate_weights(X, *G.kernel_args()), X @ G.eta.T + G.tau)


def score(G, X, y):
    """Gradient of the log-likelihood in the unconstrained parameters, in `MixingMeasure.to_vector` order: (p,).

    At a Laplace centre that coincides with a data point the norm has a kink; its subgradient 0 is taken.
    Parameters and errors as `log_density`.
    """
    G, X, y = _checked(G, X, y)
    return kernels.score(X, y, *G.kernel_args(), 0.0)[1]


def information(G, X, y):
    """Observed information, minus the Hessian of the log-likelihood in `to_vector` order: (p, p), symmetric.

    Under softmax gates it is singular along their translations. Under Laplace gates it is the Hessian away from kinks.
    Parameters and errors as `log_density`.
    """
    G, X, y = _checked(G, X, y)
    return kernels.information(X, y, *G.kernel_args(), 0.0)[2]
