"""The law of y given x: its distribution function, quantiles, normal scores, and derivatives of what is a mixture.

Given x, y has the distribution function F(y | x) = sum_j W_j(x) Phi((y - mu_j(x)) / nu_j^(1/2)), with W_j the product
of the two gates of expert j and mu_j its line. X (n, d), y (n,) and q (m,) come checked.
"""

from itertools import pairwise

import numpy as np
from scipy.special import log_ndtr, log_softmax, logsumexp, ndtr, ndtri, ndtri_exp, softmax

from . import kernels
from .measure import ARRAYS

MOST_STEPS = 200  # two of them at least halve the bracket, so that all 53 bits of an end take 110


def parts(G, X):
    """Weights (n, K), lines (n, K) and standard deviations (K,) of the experts."""
    G = G.wide()
    return kernels.gate_weights(X, G.kernel_args()), X @ G.eta.T + G.tau, np.sqrt(G.nu)


def log_parts(G, X, y):
    """Logarithms of the experts' gate weights, and of these times their densities, (n, K) each."""
    G = G.wide()
    return log_joint(G.gates, X, y, G.kernel_args())


def log_joint(gates, X, y, args):
    """Logarithms of the experts' gate weights, and of these times the experts' densities: each (n, K).

    In logarithms, as the other experts' weights underflow in the rows that a steep gate gives to one.
    """
    _, _, off, a, b, omega, beta, eta, tau, nu, _ = args
    weight = log_gates(gates, X, off, a, b, omega, beta)
    residual = y[:, None] - X @ eta.T - tau
    return weight, weight - 0.5 * (residual**2 / nu + np.log(2.0 * np.pi * nu))


def log_gates(gates, X, off, a, b, omega, beta):
    """Logarithms of the experts' gate weights (n, K), of gates with the parameters of `Tree.gate_args`."""
    first = log_softmax(gates[0].scores(X, a) + b, axis=1)
    second = gates[1].scores(X, omega) + beta
    weight = np.empty_like(second)
    for i, (lo, hi) in enumerate(pairwise(off)):
        weight[:, lo:hi] = first[:, i : i + 1] + log_softmax(second[:, lo:hi], axis=1)
    return weight


def quantile(G, X, q):
    """(n, m) y with F(y | x) = q, for levels (m,), or (n, m) of each row; to rounding.

    Newton steps, and halved brackets where these would leave them. Quantiles above the median are looked for from
    above, where 1 - F has the digits that F has not.
    """
    W, mu, sd = parts(G, X)
    q = np.broadcast_to(q, (len(X), np.shape(q)[-1]))
    side = np.where(q <= 0.5, 1.0, -1.0)
    columns = [_lower(W, s[:, None] * mu, sd, np.minimum(v, 1.0 - v)) for s, v in zip(side.T, q.T, strict=True)]
    return side * np.stack(columns, axis=1)


def _lower(W, mu, sd, q):
    """(n,) quantiles of levels q (n,) up to 1/2, between those of the experts that have some weight."""
    own = mu + sd * ndtri(q)[:, None]
    low = np.where(W > 0, own, np.inf).min(axis=1)
    high = np.where(W > 0, own, -np.inf).max(axis=1)
    y, last = 0.5 * (low + high), high - low
    for _ in range(MOST_STEPS):
        z = (y[:, None] - mu) / sd
        over = (W * ndtr(z)).sum(axis=1) - q
        slope = (W * np.exp(-0.5 * z**2) / (sd * np.sqrt(2.0 * np.pi))).sum(axis=1)
        low, high = np.where(over <= 0, y, low), np.where(over >= 0, y, high)
        newton = y - np.divide(over, slope, out=np.full(y.size, np.inf), where=slope > 0)
        slow = ~((newton > low) & (newton < high) & (np.abs(newton - y) < 0.5 * last))
        new = np.where(slow, 0.5 * (low + high), newton)
        step = np.abs(new - y)
        if (step <= 2e-16 * (np.abs(y) + sd.min())).all():
            break
        y, last = new, np.where(slow, high - low, step)
    return y


def normal_scores(G, X, y):
    """(n,) Phi^-1(F(y | x)), also where F rounds to 0 or 1."""
    W, mu, sd = parts(G, X)
    z = (y[:, None] - mu) / sd
    below, above = (logsumexp(log_ndtr(sign * z), axis=1, b=W) for sign in (1.0, -1.0))
    return np.where(below < above, ndtri_exp(np.minimum(below, 0.0)), -ndtri_exp(np.minimum(above, 0.0)))


# -- derivatives in the parameters ------------------------------------------------------------------------------------
def in_distribution(G, X, y):
    """(n, p) derivative of F(y | x) in `to_vector` order."""
    _, mu, sd = parts(G, X)
    z = (y[:, None] - mu) / sd
    density = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    return gradient(G, X, ndtr(z), -density / sd, -0.5 * z * density)


def in_mean(G, X):
    """(n, p) derivative of the mean of y given x."""
    mu = parts(G, X)[1]
    return gradient(G, X, mu, np.ones_like(mu), np.zeros_like(mu))


def in_weights(G, X, which):
    """(n, p) derivative of the weight that some experts, (K,) bool, have together."""
    members = np.broadcast_to(which.astype(float), (len(X), G.n_experts))
    return gradient(G, X, members, np.zeros_like(members), np.zeros_like(members))


def in_line(G, X, j):
    """(n, p) derivative of the mean of expert j."""
    parts = {name: np.zeros((len(X), *getattr(G.wide(), name).shape)) for name in ARRAYS}
    parts["eta"][:, j], parts["tau"][:, j] = X, 1.0
    return _flat(parts, G)


def gradient(G, X, values, in_line, in_log_nu):
    """Derivative (n, p) of sum_j W_j c_j, for c (n, K) and its derivatives in the experts' lines and log-variances.

    With C_i the part of group i and C the sum, that in a logit of level 1 is C_i - g_i C, and in one of level 2
    W_j c_j - h_j C_i.
    """
    seen, G = G, G.wide()
    first, second = G.gates
    g = softmax(first.scores(X, G.a) + G.b, axis=1)
    scores, ends = second.scores(X, G.omega) + G.beta, list(pairwise(G.offsets))
    h = np.concatenate([softmax(scores[:, lo:hi], axis=1) for lo, hi in ends], axis=1)
    W = g[:, G.group] * h
    share = W * values
    of_groups = np.stack([share[:, lo:hi].sum(axis=1) for lo, hi in ends], axis=1)
    in_u = of_groups - g * of_groups.sum(axis=1, keepdims=True)
    in_v = share - h * of_groups[:, G.group]
    out = {"b": in_u, "beta": in_v, "tau": W * in_line, "nu": W * in_log_nu}
    for name, gate, slopes, logit in (("a", first, G.a, in_u), ("omega", second, G.omega, in_v)):
        columns = [w[:, None] * gate.slope_derivative(X, s) for w, s in zip(logit.T, slopes, strict=True)]
        out[name] = np.stack(columns, axis=1)
    out["eta"] = out["tau"][:, :, None] * X[:, None]
    return _flat(out, seen)


def _flat(parts, G):
    """(n, p): one block after the other, in `to_vector` order, of slopes those that the measure G has."""
    wide = np.concatenate([parts[name].reshape(len(parts[name]), -1) for name in ARRAYS], axis=1)
    return wide[:, G.wide_index()]
