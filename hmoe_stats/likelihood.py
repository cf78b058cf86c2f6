"""Log-density, log-likelihood, gates, responsibilities, score and observed information of a mixing measure on data.

Each function checks its input once and hands it to a kernel of `hmoe_stats.kernels`.
"""

import numpy as np

from . import kernels
from .measure import MixingMeasure, as_floats


def check_covariates(X, d=None):
    """Return X as a C-contiguous float64 (n, d), n >= 1, else raise a `ValueError`; d is any where it is None."""
    X = as_floats("X", X, (-1, -1 if d is None else d), copy=False)
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"X must have at least one row and one column; got shape {X.shape}")
    return X


def check_data(X, y, d=None):
    """Return (X, y) as C-contiguous float64 of shapes (n, d) and (n,).

    Parameters
    ----------
    X : array_like, (n, d) or (n,) for d = 1
    y : array_like, (n,)
    d : int, optional
        Number of columns X must have.

    Raises
    ------
    ValueError
        If a shape does not fit, the lengths differ, there is no row, or an entry is not finite.
    """
    X = check_covariates(X, d)
    y = as_floats("y", y, (-1,), copy=False)
    if y.size != X.shape[0]:
        raise ValueError(f"y must have as many entries as X has rows, {X.shape[0]}; got {y.size}")
    return X, y


def check_measure(G, name="G"):
    """Return `G` if it is a `MixingMeasure`, else raise a `ValueError` that names the argument."""
    if not isinstance(G, MixingMeasure):
        raise ValueError(f"{name} must be a MixingMeasure; got {type(G).__name__}")
    return G


def _checked(G, X, y):
    return check_data(X, y, check_measure(G).d)


def log_density(G, X, y):
    """Conditional log-density log p_G(y | x) of each row.

    Parameters
    ----------
    G : MixingMeasure
    X : array_like, (n, d); (n,) where d = 1
    y : array_like, (n,)

    Returns
    -------
    ndarray, (n,)
        Natural logarithms, constants included.

    Raises
    ------
    ValueError
        If G is not a measure, or X and y do not fit it or each other, or are not finite.
    """
    X, y = _checked(G, X, y)
    return kernels.log_density(X, y, *G.kernel_args(), 0.0)


def log_likelihood(G, X, y):
    """Log-likelihood, the sum of `log_density` over rows: a float. Parameters and errors as there."""
    X, y = _checked(G, X, y)
    return kernels.log_likelihood(X, y, *G.kernel_args(), 0.0)


def responsibilities(G, X, y):
    """Posterior probability of each expert given (x, y): (n, K), rows sum to 1. Parameters as `log_density`."""
    X, y = _checked(G, X, y)
    return np.ascontiguousarray(kernels.responsibilities(X, y, *G.kernel_args(), 0.0)[1].T)


def gate_weights(G, X):
    """Prior probability of each expert given x, the product of its two gates: (n, K), rows sum to 1.

    Parameters
    ----------
    G : MixingMeasure
    X : array_like, (n, d); (n,) where d = 1

    Raises
    ------
    ValueError
        If G is not a measure, or X does not fit it or is not finite.
    """
    X = check_covariates(X, check_measure(G).d)
    return kernels.gate_weights(X, *G.kernel_args())


def predict(G, X):
    """Conditional mean of y given x, sum_j gate_j(x) (eta_j' x + tau_j): (n,). Parameters as `gate_weights`."""
    X = check_covariates(X, check_measure(G).d)
    return np.einsum("nk,nk->n", kernels.gate_weights(X, *G.kernel_args()), X @ G.eta.T + G.tau)


def score(G, X, y):
    """Gradient of the log-likelihood in the unconstrained parameters, in `MixingMeasure.to_vector` order: (p,).

    At a Laplace centre that coincides with a data point the norm has a kink; its subgradient 0 is taken.
    Parameters and errors as `log_density`.
    """
    X, y = _checked(G, X, y)
    return kernels.score(X, y, *G.kernel_args(), 0.0)[1]


def information(G, X, y):
    """Observed information, minus the Hessian of the log-likelihood in `to_vector` order: (p, p), symmetric.

    Under softmax gates it is singular along their translations. Under Laplace gates it is the Hessian away from kinks.
    Parameters and errors as `log_density`.
    """
    X, y = _checked(G, X, y)
    return kernels.information(X, y, *G.kernel_args(), 0.0)[2]
