"""Exponents that the papers state for each kind of cell: upper bounds on the errors."""

from ..gates import GATES, of
from .cells import Shared
from .kappa import Row, kappa_eta, kappa_gate, kappa_mass, kappa_nu, kappa_tau

FLAT = "arXiv 2305.03288"
HMOE = "arXiv 2410.02935, as reported"
REPORTED = ("SS", "SL", "LL")  # gatings of the latter


def published_sources(gating, flat):
    """(status, source) of an exact cell, of a split cell, and of the density."""
    if flat and of(gating)[1] is GATES["S"]:  # level 1 is constant: the flat softmax mixture of experts
        return tuple(("published", f"{FLAT}, {where}") for where in ("Theorem 1", "Theorem 2", "Proposition 2"))
    if gating not in REPORTED:
        unsaid = ("open", f"not stated for {gating}; the form for SS is taken")
        return unsaid, unsaid, ("derived", "derived: the entropy of the model does not depend on the gates")
    return (("as reported", HMOE),) * 3


def published_cell(cell, gating, d, source):
    m = cell.m
    shared = isinstance(cell, Shared)
    of_r = _of_r(m, source)
    gates = source if gating == "LL" else of_r
    rows = [
        Row("eta", "weighted", kappa_eta(m, gating, "published"), *gates),
        Row("tau", "weighted", kappa_tau(m), *of_r),
        Row("nu", "weighted", kappa_nu(m), *of_r),
    ]
    if cell.seen if shared else cell.gated or m > 1:
        rows.append(Row("omega", "weighted", kappa_gate(m, 2, gating, d, "published"), *gates))
    if not cell.gated:
        return rows
    if shared:
        return [*rows, Row("beta", "mass", kappa_mass(cell.groups), source="derived; no published exponent")]
    return [*rows, Row("beta", "mass", 1.0, *source)]


def published_group(G0, m, gating, exact, over):
    mass = [Row("b", "mass", 1.0, *exact)] if G0.k1 > 1 else []
    if m == 1:
        return [Row("a", "weighted", 1.0, *exact), *mass] if G0.k1 > 1 else []
    source = over if gating == "LL" else _of_r(m, over)
    return [Row("a", "weighted", kappa_gate(m, 1, gating, G0.d, "published"), *source), *mass]


def _of_r(m, source):
    # the papers leave r(m) >= 7 open from m = 4 on
    return source if m < 4 else ("derived", f"{source[1]}, with r({m}) = {2 * m} derived")
