"""What is known of the limits of means and medians of errors, besides the exponent of the worst case. Derived (sketch).

alpha = 1 / (2 kappa) bounds errors from above; two points, the truth and the measure nearest to it at an error t with h
= n^(-1/2), show that no estimator does better at both. At *one* truth the maximum-likelihood estimator may do so, and
its error need not have one exponent, as data choose between regimes. In a box that bounds weights of experts from below
and in which h = 0 is p_G = p*, let the direction of G near the truth be (p_G - p*) / p* over its norm, and L the span
of the scores of the exact model. Log-likelihood ratios behave as those of white noise W over directions: the estimator
has h of the order n^(-1/2), and its direction is near s if W_s is large enough against W less its part along s.

- *kappa = 1*: mean and median 1/2. The error is, up to smaller terms, a function of n^(1/2) (p_G - p*) that moves with
  the part of W in L: its limit has no mass at 0. The loss has the same if it has such terms.
- *The mean has alpha* if the error is at least c h^(1 / kappa) for all G whose directions are near some s that can be
  reached: noise that points there has positive probability, as W_s and W less its part along s are independent. Let u
  stand for the derivative of the density in the mean of an expert of the cell.
  - tau, nu, expert (m >= 2, any gate): s along -u^2m, with all moments of lower order O(h). Were tau o(h^(1/2m)), then
    sum c nu^k = o(h^(k/m)) for k < m. For m >= 3 this leaves nothing for k = m, and for m = 2 a positive part only,
    where pairs in tau have -(2/3) p (1 - p) tau^4, p = c (1 - c). As the mean of tau^2 + nu is O(h), nu is then of the
    order of tau^2, and so is its barycentre.
  - omega and a under gates without centres: their second derivative has no other source (`kappa_gate`).
  - eta, identified gates: s along x^2 u^2, whose coefficient is that of eta^2, with omega eta tau and omega^2 tau^2,
    which are smaller. Quadratic gates: for m = 2, where omega q (`kappa_eta`) is small if s has no x^4 and no u^4.
  - barycentre of eta, identified softmax gates, m = 2: s along x^2 less u^4. omega and tau are multiples of one
    contrast, so that the mean of their product has the size of both, and eta makes up for it.
- *Open* is the rest, and every median of an error with kappa > 1: it has alpha only if the slow regime has a share of
  1/2 or more. For tau and m = 2 noise must point to -u^4, from which half of it points away, and other regimes compete.
  Laplace centres that part (kappa = 3/2): their directions have no limit, and the argument does not start.
"""

import numpy as np

from ..gates import of

COLUMNS = ("alpha_mean", "status_mean", "alpha_median", "status_median")
_OPEN, _UNSAID = (np.nan, "open"), (np.nan, "not stated")
_AT_NODES = {("tau", "weighted"), ("nu", "weighted"), ("nu", "barycentre")}  # of the order of the spread of tau
_AT_NODES |= {("expert", "function"), ("expert_worst", "function")}


def limits(rows, gating, form, classed=False):
    """The columns `COLUMNS` of rows of `hmoe_stats.theory.rates`, a list of tuples; `classed`: of classes."""
    if form == "published":
        return [_UNSAID + _UNSAID] * len(rows)
    if classed:  # where kappa > 1 not worked out
        return [(0.5, "derived", 0.5, "derived") if row[6] == 1.0 else _OPEN + _OPEN for row in rows]
    # terms of the loss that move with L; without any it may be small where all spreads are
    linear = any(row[5] in ("mass", "weighted") and row[6] == 1.0 for row in rows)
    return [_OPEN + _OPEN if row[4] == "loss" and not linear else _limits(row, gating) for row in rows]


def _limits(row, gating):
    level, cell, m, regime, parameter, kind, kappa, status = row[:8]
    if status == "open" or np.isinf(kappa):
        return _OPEN + _OPEN
    if kappa == 1.0:
        return (0.5, "derived", 0.5, "derived")
    reached = (parameter, kind) in _AT_NODES
    if not reached and cell == "over" and regime == "regular":
        reached = _isolated(of(gating)[level - 1], m, parameter, kind)
    return (0.5 / kappa, "derived", *_OPEN) if reached else _OPEN + _OPEN


def _isolated(gate, m, parameter, kind):
    """Whether some direction is reached by errors of the worst order only, in a split cell of an identified gate."""
    if parameter in ("a", "omega"):
        return kind == "weighted" and not gate.located
    if (parameter, kind) == ("eta", "weighted"):
        return gate.interaction < 2 or m == 2
    return (parameter, kind, m) == ("eta", "barycentre", 2) and gate.interaction == 1
