"""Exact derivatives of the density of a mixing measure, as coefficients on derivatives of its normal experts.

With h_k(y) = (d/dmu)^k N(y | mu, nu) / N(y | mu, nu) = He_k(z) nu^(-k/2), z = (y - mu) / nu^(1/2), and r_l(x, y) the
responsibility of expert l, every derivative D of the density is, relative to the density itself,

    D / p_G = sum_{l, k} c_{l,k}(x) r_l(x, y) h_k(y; l):

eta_c, tau and nu of expert l give x_c d/dmu, d/dmu and 1/2 d^2/dmu^2; gates give polynomials in gate probabilities
times powers of the derivative of their scores, which `hmoe_stats.gates` has: x for softmax gates,
(x - omega) / ||x - omega|| for Laplace gates.
"""

from collections import defaultdict
from itertools import combinations_with_replacement, product
from typing import NamedTuple

import numpy as np
from numpy.polynomial import hermite_e
from scipy.special import softmax

from ..likelihood import responsibilities
from ..measure import WIDE

FORMS = ("split", "numerator", "density")
PARAMETERS = ("b", "a", "beta", "omega", "eta", "tau", "nu")


class Parameter(NamedTuple):
    """One scalar parameter: its name, its group (a, b) or expert (the others), and its coordinate."""

    name: str
    at: int
    coordinate: int = 0


class Derivative(NamedTuple):
    """A derivative in some parameters, repeated as often as they are differentiated, of one expert's term or all."""

    parameters: tuple
    expert: int | None = None

    @property
    def order(self):
        """How often it differentiates."""
        return len(self.parameters)

    @property
    def gates(self):
        """How often it differentiates gates."""
        return sum(p.name not in ("eta", "tau", "nu") for p in self.parameters)


def list_derivatives(G, experts, names, order, form):
    """The derivatives of order 1 to `order` in the named parameters of some experts and their groups, low orders first.

    Within an order, those of expert parameters come first. In the forms "split" and "numerator" every derivative is of
    one expert's term, and e^beta and e^b are factors of it: beta and b, of which a second derivative repeats the first,
    are differentiated once and alone.
    """
    found = {}
    for chosen in [experts] if form == "density" else [[j] for j in experts]:
        free, single = {}, {}
        for name, j in product(names, chosen):
            at = int(G.group[j]) if name in ("a", "b") else j
            for c in G.columns(name) if name in WIDE else [0]:
                once = form != "density" and name in ("b", "beta")
                (single if once else free)[Parameter(name, at, c)] = None
        tuples = [t for q in range(1, order + 1) for t in combinations_with_replacement(free, q)]
        for parameters in [(p,) for p in single] + tuples:
            of_group = form == "split" and all(p.name in ("a", "b") for p in parameters)
            whole = form == "density" or of_group
            moved = {p.at for p in parameters if p.name in ("eta", "tau", "nu")}
            entered = {G.group[p.at] for p in parameters if p.name not in ("a", "b")}
            if len(moved) < 2 and len(entered) < 2:  # no term of the density has parameters of two experts or groups
                found[Derivative(parameters, None if whole else chosen[0])] = None
    return sorted(found, key=lambda D: (D.order, D.gates))


def coefficients(G, X, D, form):
    """The coefficients c of the module's formula: a dict (expert, k) -> (n,).

    Parameters
    ----------
    G : MixingMeasure
    X : ndarray, (n, d)
    D : Derivative
    form : {"split", "numerator", "density"}
        See `hmoe_stats.theory.interactions`.

    Returns
    -------
    dict
        Away from kinks; see `kink`.
    """
    factor, k, leaf = _expert_part(X, D)
    powers = _gate_powers(G, X, D)
    if form == "density":
        leaves = range(G.n_experts) if leaf is None else [leaf]
        first, second = gates(G, X)
        found = {(e, k): factor * _gate_factor(G, first, second, powers, e) for e in leaves}
        return {key: c for key, c in found.items() if c.any()}
    for scores in powers.values():  # d^r e^s = e^s for every r
        factor = factor * sum(scores.values())
    levels = {level for level, _ in powers}
    j = D.expert
    if form == "numerator" or leaf is not None:
        return {(j, k): factor}
    first, second = gates(G, X)
    if 2 in levels:  # the copy draws its mass from the whole group
        return {(e, 0): factor * ((e == j) - second[:, j]) for e in np.flatnonzero(G.group == G.group[j]).tolist()}
    i = D.parameters[0].at
    return {(e, 0): factor * ((G.group[e] == i) - first[:, i]) for e in range(G.n_experts)}


def values(G, X, y, derivatives, form):
    """(n, p) derivatives relative to the density, D / p_G, at the rows of X (n, d) and y (n,)."""
    parts = [coefficients(G, X, D, form) for D in derivatives]
    keys = sorted({key for part in parts for key in part})
    atoms = normal_derivatives(G, X, y, keys)
    out = np.zeros((len(X), len(parts)))
    for column, part in enumerate(parts):
        for key, c in part.items():
            out[:, column] += c * atoms[:, keys.index(key)]
    return out


def normal_derivatives(G, X, y, keys):
    """(n, len(keys)) the terms r_l h_k for each (l, k) of `keys`."""
    r = responsibilities(G, X, y)
    out = np.empty((len(y), len(keys)))
    for column, (e, k) in enumerate(keys):
        sd = np.sqrt(G.nu[e])
        z = (y - X @ G.eta[e] - G.tau[e]) / sd
        out[:, column] = r[:, e] * hermite_e.hermeval(z, np.eye(k + 1)[k]) * sd**-k
    return out


def kink(G, D, low, high):
    """Whether the derivative is not in L2: two derivatives in a Laplace centre inside [low, high], with d = 1 or 2.

    For d = 1 the second derivative of -|x - omega| is a point mass at the centre; for d = 2 the square of that of
    -||x - omega|| has an infinite (logarithmic) integral there. Columns that the gate does not see do not count.
    """
    for gate, name, slopes in zip(G.gates, ("a", "omega"), (G.a, G.omega), strict=True):
        moved, seen = [p.at for p in D.parameters if p.name == name], gate.scale_over(G.d) > 0
        for at in {m for m in moved if moved.count(m) > 1} if gate.kinked and seen.sum() <= 2 else ():
            if ((slopes[at] > low) & (slopes[at] < high))[seen].all():
                return True
    return False


# -- experts ----------------------------------------------------------------------------------------------------------
def _expert_part(X, D):
    """(power of x times a number, order in mu, expert or None) of the derivatives in eta, tau and nu."""
    factor, k, leaf = np.ones(len(X)), 0, None
    for name, at, c in D.parameters:
        if name in ("eta", "tau", "nu"):
            leaf = at
            k += 2 if name == "nu" else 1
            factor = factor * (X[:, c] if name == "eta" else 0.5 if name == "nu" else 1.0)
    return factor, k, leaf


# -- gates ------------------------------------------------------------------------------------------------------------
def gates(G, X):
    """Gate probabilities of the groups (n, k1), and of the experts within their groups (n, K)."""
    one, two = G.gates
    first = softmax(one.scores(X, G.a) + G.b, axis=1)
    scores = two.scores(X, G.omega) + G.beta
    parts = [softmax(scores[:, lo:hi], axis=1) for lo, hi in zip(G.offsets[:-1], G.offsets[1:], strict=True)]
    return first, np.concatenate(parts, axis=1)


def _gate_powers(G, X, D):
    """(level, group or expert) -> {r: coefficient of d^r / d logit^r} of the derivatives in gates."""
    moved = defaultdict(list)
    for name, at, c in D.parameters:
        if name in ("b", "a", "beta", "omega"):
            moved[1 if name in ("b", "a") else 2, at].append(None if name in ("b", "beta") else c)
    out = {}
    for (level, at), columns in moved.items():
        slope = (G.a if level == 1 else G.omega)[at]
        scores = _score_powers(G.gates[level - 1], X, slope, [c for c in columns if c is not None])
        out[level, at] = {r + columns.count(None): c for r, c in scores.items()}
    return out


def _score_powers(gate, X, slope, columns):
    """Chain rule of one logit in the coordinates `columns` of its slope or centre, as in `_gate_powers`."""
    return gate.score_powers(X, slope, columns) if columns else {0: np.ones(len(X))}


def _gate_factor(G, first, second, powers, leaf):
    """The derivative of g_i(x) g_{j|i}(x) of one expert, relative to itself: (n,)."""
    i = int(G.group[leaf])
    lo, hi = int(G.offsets[i]), int(G.offsets[i + 1])
    if any(level == 2 and not lo <= at < hi for level, at in powers):
        return np.zeros(len(first))
    out = np.ones(len(first))
    for wanted, g, at, start in ((1, first, i, 0), (2, second[:, lo:hi], leaf - lo, lo)):
        mine = [(where - start, scores) for (level, where), scores in powers.items() if level == wanted]
        total = 0.0
        for choice in product(*(scores.items() for _, scores in mine)):
            orders = {where: r for (where, _), (r, _) in zip(mine, choice, strict=True)}
            c = np.prod([c for _, c in choice], axis=0) if choice else 1.0
            total = total + c * _softmax_ratio(g, at, orders)
        out = out * total
    return out


def _softmax_ratio(g, at, orders):
    """d^orders g_at / g_at, `orders` a dict logit -> order, as a polynomial in the probabilities g (n, m): (n,).

    By d(g^e) / dz_q = g^e (e_q - |e| g_q) for monomials g^e, applied one logit at a time.
    """
    unit = np.eye(g.shape[1], dtype=int)
    terms = {tuple(unit[at].tolist()): 1.0}
    for q, times in orders.items():
        for _ in range(times):
            new = defaultdict(float)
            for e, c in terms.items():
                new[e] += c * e[q]
                new[tuple((e + unit[q]).tolist())] -= c * sum(e)
            terms = new
    total = np.zeros(len(g))
    for e, c in terms.items():
        if c:
            total += c * np.prod(g ** (np.array(e) - unit[at]), axis=1)
    return total
