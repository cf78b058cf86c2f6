"""The baseline of the fits: a good vectorised NumPy EM for softmax or Laplace gates, d = 1.

Log-sum-exp throughout, exact weighted least squares for experts, Newton steps for the gates (Laplace ones: gradient
information only through differences of the distance, damped). It is what a careful user would write without a compiler.
"""

import numpy as np
from scipy.special import logsumexp


def log_terms(p, x, y, k2, gating):
    """log of every expert's term, (n, K), and the log gates of both levels."""
    group = np.repeat(np.arange(len(k2)), k2)
    u = _scores(gating[0], x, p["a"]) + p["b"]
    v = _scores(gating[1], x, p["omega"]) + p["beta"]
    log_g = u - logsumexp(u, axis=1, keepdims=True)
    log_h = np.empty_like(v)
    for i in range(len(k2)):
        own = group == i
        log_h[:, own] = v[:, own] - logsumexp(v[:, own], axis=1, keepdims=True)
    residual = y[:, None] - np.multiply.outer(x, p["eta"]) - p["tau"]
    log_n = -0.5 * (np.log(2 * np.pi * p["nu"]) + residual**2 / p["nu"])
    return log_g[:, group] + log_h + log_n, log_g, log_h


def log_likelihood(p, x, y, k2, gating):
    return logsumexp(log_terms(p, x, y, k2, gating)[0], axis=1).sum()


def step(p, x, y, k2, gating):
    """One EM iteration: (log-likelihood before it, new parameters)."""
    group = np.repeat(np.arange(len(k2)), k2)
    terms, log_g, log_h = log_terms(p, x, y, k2, gating)
    log_p = logsumexp(terms, axis=1, keepdims=True)
    r = np.exp(terms - log_p)
    q = dict(p)
    weight = r.sum(axis=0)
    mx, my = (r * x[:, None]).sum(axis=0) / weight, (r * y[:, None]).sum(axis=0) / weight
    dx = x[:, None] - mx
    q["eta"] = (r * dx * (y[:, None] - my)).sum(axis=0) / (r * dx**2).sum(axis=0)
    q["tau"] = my - q["eta"] * mx
    q["nu"] = (r * (y[:, None] - np.multiply.outer(x, q["eta"]) - q["tau"]) ** 2).sum(axis=0) / weight
    R = np.stack([r[:, group == i].sum(axis=1) for i in range(len(k2))], axis=1)
    if len(k2) > 1:
        q["a"], q["b"] = _gate(gating[0], x, R, np.exp(log_g), p["a"], p["b"])
    q["omega"], q["beta"] = p["omega"].copy(), p["beta"].copy()
    for i in range(len(k2)):
        own = group == i
        if own.sum() > 1:
            new = _gate(gating[1], x, r[:, own], np.exp(log_h[:, own]), p["omega"][own], p["beta"][own])
            q["omega"][own], q["beta"][own] = new
    return log_p.sum(), q


def _scores(letter, x, slopes):
    return np.multiply.outer(x, slopes) if letter == "S" else -np.abs(x[:, None] - slopes)


def _gate(letter, x, r, g, slopes, intercepts):
    """One Newton step of a gate on its weighted log-likelihood, halved until it rises."""
    m = slopes.size
    phi = np.repeat(x[:, None], m, axis=1) if letter == "S" else np.sign(x[:, None] - slopes)
    total = r.sum(axis=1)
    design = [phi[:, i] for i in range(m)] + [np.ones_like(x)] * m
    error = r - total[:, None] * g
    gradient = np.array([design[k] @ error[:, k % m] for k in range(2 * m)])
    hessian = np.empty((2 * m, 2 * m))
    for k in range(2 * m):
        for e in range(k + 1):
            cross = total * g[:, k % m] * ((k % m == e % m) - g[:, e % m])
            hessian[k, e] = hessian[e, k] = (cross * design[k]) @ design[e]
    move = np.linalg.lstsq(hessian, gradient, rcond=1e-10)[0]
    value = _gate_value(letter, x, r, slopes, intercepts)
    for _ in range(12):
        new = slopes + move[:m], intercepts + move[m:]
        if _gate_value(letter, x, r, *new) > value:
            return new
        move = 0.5 * move
    return slopes, intercepts


def _gate_value(letter, x, r, slopes, intercepts):
    u = _scores(letter, x, slopes) + intercepts
    return (r * (u - logsumexp(u, axis=1, keepdims=True))).sum()
