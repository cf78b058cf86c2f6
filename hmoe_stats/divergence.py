"""Hellinger, total variation and chi-square between two mixing measures, averaged over a covariate law.

With p = p_G(y | x), q = p_G0(y | x) and E over the law of x,

    hellinger^2 = 1/2 E int (sqrt p - sqrt q)^2 dy,
    total_variation = 1/2 E int |p - q| dy,
    chi_square = E int (p - q)^2 / q dy.

The integral over y is a quadrature whose panels follow the experts of both measures, at every x. The average over x is
a quadrature for d = 1, an exact mean for an array of covariates, and a Monte Carlo mean for a law with d > 1, which
then carries its standard error. Only d has to agree: gatings and sizes may differ.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy.special import ndtr

from .kinds import Law, Measure
from .likelihood import gate_weights, log_density
from .measure import as_wide
from .quadrature import REACH, batches, check_draws, lines, nodes, panel_edges
from .sampling import Normal, as_law

_ORDER = 10  # Gauss-Legendre points a panel of one standard deviation
_BISECTIONS = 60


class Estimate(float):
    """A number with the standard error of its Monte Carlo part; 0.0 where it comes from quadrature alone."""

    standard_error: float

    def __new__(cls, value: float, standard_error: float = 0.0) -> Self:
        self = super().__new__(cls, value)
        self.standard_error = float(standard_error)
        return self


def hellinger(G: Measure, G0: Measure, x: Law | None = None, *, draws: int = 4096, seed: int = 0) -> Estimate:
    """Hellinger distance, the root of ``1/2 E int (sqrt p_G - sqrt p_G0)^2 dy``, between 0 and 1.

    Parameters
    ----------
    G, G0 : MixingMeasure or FitResult
        Of the same d; gatings and sizes may differ.
    x : Uniform, Normal or (n, d) array
        Law of the covariates; required.
    draws, seed : int
        Covariates drawn, and the key of the draw, where d > 1 and x is a law. Unused otherwise.

    Returns
    -------
    Estimate
        A float with the attribute ``standard_error``, 0.0 unless covariates were drawn.

    Raises
    ------
    ValueError
        If a measure or the law is missing or does not fit, `draws` is not an integer of at least 2, or `seed` none of
        at least 0.

    Notes
    -----
    The integrand is ``max(p, q) (1 - exp(-|log p - log q| / 2))^2``, which keeps its digits when p and q are close:
    distances of 1e-8 are right to several digits.
    """
    G, G0 = _pair(G, G0)
    X, weights = _covariates(G, G0, x, draws, seed)

    def integrand(log_p, log_q):
        return np.maximum(log_p, log_q), np.expm1(-0.5 * np.abs(log_p - log_q)) ** 2

    square = _mean(0.5 * _integrals(G, G0, X, integrand), weights)
    root = np.sqrt(square)
    return Estimate(root, square.standard_error / (2.0 * root) if root > 0 else 0.0)


def total_variation(G: Measure, G0: Measure, x: Law | None = None, *, draws: int = 4096, seed: int = 0) -> Estimate:
    """Total variation distance, ``1/2 E int |p_G - p_G0| dy``, between 0 and 1.

    Parameters, result and errors as `hellinger`.

    Notes
    -----
    At each x the sign changes of p_G - p_G0 in y are bracketed on a grid of half standard deviations of all experts
    and bisected; between them the integral is a difference of the distribution functions. Its absolute error is of
    the order of 1e-15 an interval, so distances below about 1e-12 are rounding.
    """
    G, G0 = _pair(G, G0)
    X, weights = _covariates(G, G0, x, draws, seed, crossings=True)
    parts = []
    for rows in batches(len(X), 4 * REACH * (G.n_experts + G0.n_experts)):
        x = X[rows]
        mean, sd = lines((G, G0), x)
        y = panel_edges(mean, sd, per_sd=2)
        roots = _sign_changes(G, G0, x, y)
        gap = _distribution(G, x, roots) - _distribution(G0, x, roots)
        parts.append(0.5 * np.abs(np.diff(gap, axis=1, prepend=0.0, append=0.0)).sum(axis=1))
    return _mean(np.concatenate(parts), weights)


def chi_square(G: Measure, G0: Measure, x: Law | None = None, *, draws: int = 4096, seed: int = 0) -> Estimate:
    """Chi-square divergence of G from G0, ``E int (p_G - p_G0)^2 / p_G0 dy`` (not rooted, not symmetric).

    Parameters, result and errors as `hellinger`.

    Returns
    -------
    Estimate
        ``inf`` where the integral diverges: in y, if the largest variance of G is at least twice the largest of G0;
        in x, for a normal law with d = 1, if expert lines of G leave those of G0 too fast (see `_chi_square_growth`).
        For a normal law with d > 1 divergence in x is not looked for.

    Raises
    ------
    ValueError
        As `hellinger`.
    OverflowError
        If the divergence is finite but larger than the largest float.
    """
    G, G0 = _pair(G, G0)
    check_draws(draws, seed)
    growth = _chi_square_growth(G, G0, x)
    if np.isinf(growth):
        return Estimate(np.inf)
    # A normal law times exp(growth z^2 / 2) is a wider normal: nodes follow it, and the logarithm takes the excess.
    widen = 1.0 / np.sqrt(1.0 - growth)
    X, weights = _covariates(G, G0, x, draws, seed, widen=widen)
    tilt = np.zeros(len(X))
    if growth > 0:
        law = as_law(x)
        tilt = np.log(widen) - 0.5 * growth * (X[:, 0] - law.mean(1)) ** 2 / law.cov(1)[0, 0]

    def integrand(log_p, log_q):
        gap = log_p - log_q
        return np.where(gap > 0, log_p + gap, log_q), np.expm1(-np.abs(gap)) ** 2

    with np.errstate(over="ignore", invalid="ignore"):  # a float that is too large is reported below
        value = _mean(_integrals(G, G0, X, integrand, products=True, tilt=tilt), weights)
    if not np.isfinite(value):
        raise OverflowError("the chi-square divergence is finite but exceeds the largest float")
    return value


# -- covariates -----------------------------------------------------------------------------------------------------


def _covariates(G, G0, x, draws, seed, crossings=False, widen=1.0):
    """Check the law and the draws; return nodes and weights, of a normal law made wider by a factor."""
    law = as_law(x)
    if widen > 1.0:
        law = Normal(law.mean(1)[0], widen * np.sqrt(law.cov(1)[0, 0]))
    return nodes(law, (G, G0), draws, seed, crossings)


def _pair(G, G0):
    G, G0 = as_wide("G", G), as_wide("G0", G0)
    if G.d != G0.d:
        raise ValueError(f"G must have as many covariates as G0, d = {G0.d}; got d = {G.d}")
    return G, G0


def _mean(values, weights):
    if weights is not None:
        return Estimate(values @ weights)
    return Estimate(values.mean(), values.std(ddof=1) / np.sqrt(values.size))


# -- the inner integral ---------------------------------------------------------------------------------------------


def _products(G, G0, X):
    """Means and standard deviations of the normals proportional to N_i^2 / N_j, i of G and j of G0, where they exist.

    They carry p^2 / q where it reaches beyond the experts themselves.
    """
    precision = 2.0 / G.nu[:, None] - 1.0 / G0.nu
    i, j = np.nonzero(precision > 0)
    precision = precision[i, j]
    mean, mean0 = X @ G.eta.T + G.tau, X @ G0.eta.T + G0.tau
    centre = (2.0 * mean[:, i] / G.nu[i] - mean0[:, j] / G0.nu[j]) / precision
    return centre, np.broadcast_to(precision**-0.5, centre.shape)


def _log_densities(G, G0, X, y):
    """log p and log q at y (n, m), for each row of X."""
    rows = np.repeat(X, y.shape[1], axis=0)
    flat = y.ravel()
    return log_density(G, rows, flat).reshape(y.shape), log_density(G0, rows, flat).reshape(y.shape)


def _integrals(G, G0, points, integrand, products=False, tilt=None):
    """exp(tilt) times the integral over y of exp(e) f, where ``e, f = integrand(log_p, log_q)``, at each node: (n,)."""
    t, w = np.polynomial.legendre.leggauss(_ORDER)
    n_lines = G.n_experts + G0.n_experts + (G.n_experts * G0.n_experts if products else 0)
    parts = []
    for rows in batches(len(points), _ORDER * (2 * REACH + 1) * n_lines):
        X = points[rows]
        mean, sd = lines((G, G0), X)
        if products:
            more = _products(G, G0, X)
            mean, sd = np.concatenate([mean, more[0]], axis=1), np.concatenate([sd, more[1]], axis=1)
        edges = panel_edges(mean, sd)
        half, mid = 0.5 * np.diff(edges, axis=1), 0.5 * (edges[:, 1:] + edges[:, :-1])
        y = (mid[:, :, None] + half[:, :, None] * t).reshape(len(X), -1)
        weights = (half[:, :, None] * w).reshape(len(X), -1)
        exponent, factor = integrand(*_log_densities(G, G0, X, y))
        if tilt is not None:
            exponent = exponent + tilt[rows, None]
        parts.append((np.exp(exponent) * factor * weights).sum(axis=1))
    return np.concatenate(parts)


def _sign_changes(G, G0, X, y):
    """Where p - q changes sign between neighbours in y (n, m): (n, r), rows padded with their last grid point."""
    log_p, log_q = _log_densities(G, G0, X, y)
    above = log_p > log_q
    row, column = np.nonzero(above[:, 1:] != above[:, :-1])
    low, high, start = y[row, column], y[row, column + 1], above[row, column]
    for _ in range(_BISECTIONS if row.size else 0):
        middle = 0.5 * (low + high)
        log_p, log_q = _log_densities(G, G0, X[row], middle[:, None])
        same = (log_p > log_q)[:, 0] == start
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    count = np.bincount(row, minlength=len(X))
    roots = np.repeat(y[:, -1:], max(count.max(), 1), axis=1)
    roots[row, np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)] = low
    return roots


def _distribution(G, X, y):
    """Conditional distribution function at y (n, m), for each row of X."""
    mean, sd = lines((G,), X)
    return np.einsum("nk,nmk->nm", gate_weights(G, X), ndtr((y[:, :, None] - mean[:, None]) / sd[:, None]))


# -- where chi-square diverges --------------------------------------------------------------------------------------


def _chi_square_growth(G, G0, x):
    """How fast ``int p_G^2 / p_G0 dy`` grows in x, as a share of what a normal law bears: below 1, or inf.

    In y, p^2/q has the tail of the widest experts: integrable iff ``max nu < 2 max nu*``. In x (normal law, d = 1,
    standard deviation s) put y = c x: gates contribute terms linear in x, experts quadratic ones, so that the integral
    grows as exp(x^2 phi) with ``phi = sup_c min_j (c - eta*_j)^2 / (2 nu*_j) - min_i (c - eta_i)^2 / nu_i``, and its
    mean diverges iff 2 s^2 phi >= 1. The supremum lies at a stationary point of one pair (i, j) or where two of the
    parabolas of j cross.
    """
    law = as_law(x)
    if G.nu.max() >= 2.0 * G0.nu.max():
        return np.inf
    if G.d > 1 or not isinstance(law, Normal):
        return 0.0
    eta, nu, eta0, nu0 = G.eta[:, 0], G.nu, G0.eta[:, 0], G0.nu
    curvature = 1.0 / nu0 - 2.0 / nu[:, None]
    i, j = np.nonzero(curvature < 0)
    candidates = [(eta0[j] / nu0[j] - 2.0 * eta[i] / nu[i]) / curvature[i, j], eta, eta0]
    for first, second in zip(*np.triu_indices(nu0.size, 1), strict=True):
        u, v = 1.0 / nu0[first], 1.0 / nu0[second]
        line = [u - v, -2.0 * (u * eta0[first] - v * eta0[second]), u * eta0[first] ** 2 - v * eta0[second] ** 2]
        candidates.append(np.roots(line).real)
    c = np.concatenate(candidates)[:, None]
    phi = (((c - eta0) ** 2 / (2.0 * nu0)).min(axis=1) - ((c - eta) ** 2 / nu).min(axis=1)).max()
    growth = 2.0 * law.cov(1)[0, 0] * max(phi, 0.0)
    return growth if growth < 1.0 else np.inf
