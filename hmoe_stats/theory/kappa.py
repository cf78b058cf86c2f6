"""The exponents kappa, as functions of the size of a cell: a term with exponent kappa is of the order of h.

h is the Hellinger distance of the joint laws; `hmoe_stats.theory.exponents` says which exponent belongs to which cell.
"""

from typing import NamedTuple

from ..gates import of

MIXTURES = "Ho and Nguyen 2016"


class Row(NamedTuple):
    """An exponent of one error: where it stands in the table of `rates`, and what it rests on."""

    parameter: str
    kind: str
    kappa: float
    status: str = "derived"
    source: str = "derived"


def kappa_gate(m, level, gating, d, form="sharp", compensated=False, edge=False):
    """Exponent of a gate slope or centre, ``a`` (level 1) or ``omega`` (level 2), in a cell of m fitted components.

    Sharp (derived): 2 under softmax and quadratic gates; 3/2 under Laplace gates with d = 1, whose kink gives one
    window of width s and height s to a split of width s; 2 for d >= 2 (up to a logarithm at d = 2). 3/2 for any m, 1
    included, if the Laplace centre lies on an edge of the support or beyond (`edge`): such a window is all that sees
    it. 4 for omega under gates without centres if fitted groups share the true group and split different experts of it
    (`compensated`: every expert is split in some group), as their errors of order s^2 cancel in the mean over the
    groups. Published (arXiv 2410.02935, as reported): r(m) wherever a softmax gate is present, 2 for LL; none for
    quadratic gates, r(m) here.
    """
    if edge and form == "sharp":
        return 1.5
    if m == 1:
        return 1.0
    if form == "published":
        return 2.0 if gating == "LL" else kappa_tau(m)
    if of(gating)[level - 1].kinked:
        return 1.5 if d == 1 else 2.0
    return 4.0 if compensated else 2.0


def kappa_eta(m, gating, form="sharp", tilted=False, compensated=False):
    """Exponent of an expert slope in a cell of m fitted experts.

    Sharp (derived): 2; max(2, m) where a softmax gate is unidentified (`tilted`); at most max(2, 4m/(m + 2)) where
    omega has exponent 4 (`compensated`, as in `kappa_gate`). Published (arXiv 2410.02935, as reported): r(m)/2
    wherever a softmax gate is present, 2 for LL; none for quadratic gates (r(m)/2 here).

    Quadratic gates bring x^2 where eta^2 does, by d^3u/domega dtau^2 = d^2u/deta^2: with q = tau^2 + (difference of nu)
    the coefficient of x^2 in the second moment of a cell is the mean of eta^2 + omega q. As q is O(h^(1/m)), omega =
    O(h^(1/2)) leaves at most 4m/(m + 2), and omega = O(h^(1/4)), of `compensated` cells, 8m/(m + 4). For m = 2 and 3
    it is 2, as the means of eta, eta tau and eta q are O(h) as well and leave eta no direction of its own beside that
    of omega: then eta^4 <= h eta^2 + (omega eta)(eta q). For m >= 4 there is one: m - 1 atoms at Gauss-Hermite nodes,
    one of them doubled, have 4(m - 1)/(m + 1). Where the gate is unidentified, m = 2 has 2; for m >= 3 three atoms of
    equal lines but for eta, with omega and nu in one pattern of the sizes h^(1/4) and h^(1/2), and eta = h^(3/8) in the
    other, have 8/3, a lower bound.
    """
    if m == 1:
        return 1.0
    if form == "published":
        return 2.0 if gating == "LL" else kappa_nu(m)
    quadratic = any(gate.interaction == 2 for gate in of(gating))
    if tilted and not quadratic:
        return max(2.0, float(m))
    if tilted:
        return eta_attained(m, gating, tilted)
    if compensated:
        return max(2.0, (8.0 * m / (m + 4)) if quadratic else (4.0 * m / (m + 2)))
    return max(2.0, 4.0 * m / (m + 2)) if quadratic and m > 3 else 2.0


def eta_attained(m, gating, tilted=False):
    """The exponent of eta that explicit paths have under these gates, a lower bound where `kappa_eta` is open."""
    if all(gate.interaction < 2 for gate in of(gating)):
        return max(2.0, float(m)) if tilted else 2.0
    attained = max(2.0, 4.0 * (m - 1) / (m + 1))
    if not tilted or m < 3:
        return attained
    both = any(gate.interaction == 1 for gate in of(gating))  # the tilt by x may be that of a softmax gate
    return max(attained, 8.0 / 3.0, float(m) if both else 0.0)


def kappa_tau(m):
    """Exponent r(m) of an expert intercept: r(2) = 4, r(3) = 6 (Ho and Nguyen 2016); r(m) = 2m for m >= 4, derived."""
    return 1.0 if m == 1 else 2.0 * m


def kappa_nu(m):
    """Exponent r(m)/2 of an expert variance, r as in `kappa_tau`."""
    return float(m)


def kappa_mass(n_groups):
    """Exponent of a level-2 cell mass where `n_groups` fitted groups share a true group (derived)."""
    return 1.0 if n_groups == 1 else 2.0


def order_source(m):
    """What r(m) = 2m rests on."""
    return f"derived; r({m}) = {2 * m} published in {MIXTURES}" if m in (2, 3) else "derived"
