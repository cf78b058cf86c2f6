"""Fits to a person's own data: the penalised maximum-likelihood estimator, by the search of `mle`."""

from dataclasses import replace

from .. import names
from .mle import prepared
from .penalty import check_penalty
from .problem import one_thread


@one_thread
def fit(
    X, y, gating, k2, penalty="default", start=None, n_starts=None, bounds=None, tol=1e-8, max_iter=500, seed=0,
    effort=None, weights=None,
):  # fmt: skip
    """Penalised maximum-likelihood fit of an HMoE: the one for your own data.

    The likelihood of a Gaussian mixture is unbounded, and on real data its best maxima are experts that shrank onto a
    few rows, and gates that run to steps. What is maximised here is the log-likelihood less

        a sum_j (s2 / nu_j + log(nu_j / s2) - 1)  +  rho / 2 sum over gates, components and columns of (t - mean t)^2

    where s2 is the residual variance of the linear regression of y on X over K^2, K being the number of experts, and t are the slopes of gates per standard
    deviation of what they multiply, less their mean over the gate; of Laplace gates, the distances of their centres
    from the mean of x in standard deviations. The penalty does not grow with n, and the estimator is consistent where
    the maximum-likelihood estimator in a box is.

    Parameters
    ----------
    X, y, gating, k2, start, n_starts, bounds, tol, max_iter, seed, effort, weights
        As in `fit_mle`.
    penalty : {"default"}, Penalty, dict or None
        A `Penalty(variance=a, ridge=rho)`, or a dict with one or both of these, the other as by default; 0 switches one
        off. None is no penalty: the maximum-likelihood estimator.

    Returns
    -------
    FitResult
        `penalised_log_likelihood` is what was maximised, `log_likelihood` the plain one. The status is "boundary" only
        where a bound of `bounds` binds; where the default box does, `warnings` says what it holds. `settings` has the
        penalty: samples of a bootstrap, and fits that are loaded, keep it.

    Raises
    ------
    ValueError
        As `fit_mle`; if the penalty is none of these.

    Notes
    -----
    A fit never ends below the smaller model that it grew from as far as the *penalised* log-likelihood of that model
    goes, written in the larger shape: there an expert stands twice and is penalised twice. Neither its log-likelihood
    nor its penalised log-likelihood need be above that of the smaller fit.
    """
    search, shape = searched(X, y, gating, k2, penalty, start, n_starts, bounds, tol, max_iter, seed, effort, weights)
    return search.fit(shape)[0].named(*names.of_data(X, y))


@one_thread
def fit_nested(X, y, gating, shapes, **options):
    """Fits of several shapes to one data set, each as `fit` makes it alone; what they grow through is fitted once.

    Parameters
    ----------
    X, y, gating
        As in `fit`.
    shapes : sequence of (sequence of int, or int)
    **options
        As in `fit`.

    Returns
    -------
    list of FitResult or ValueError
        In the place of a shape that the data do not suffice for, the error that says so.

    Raises
    ------
    ValueError
        If no shape can be fitted.
    """
    out, seen, called = [], {}, names.of_data(X, y)
    for k2 in shapes:
        try:
            search, shape = searched(X, y, gating, k2, **options)
            search.seen = seen
            out.append(search.fit(shape)[0].named(*called))
        except ValueError as error:
            out.append(error)
    if out and all(isinstance(one, ValueError) for one in out):
        raise out[0]
    return out


def searched(
    X, y, gating, k2, penalty="default", start=None, n_starts=None, bounds=None, tol=1e-8, max_iter=500, seed=0,
    effort=None, weights=None,
):  # fmt: skip
    """The `Search` that these arguments of `fit` ask for, and the shape to be fitted."""
    search, shape = prepared(X, y, gating, k2, start, n_starts, bounds, tol, max_iter, seed, False, effort, weights)
    return replace(search, penalty=check_penalty(penalty), own=True), shape
