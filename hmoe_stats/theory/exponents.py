"""Exponents of convergence: what theory says about each error of the maximum-likelihood estimator.

An error has exponent kappa if h >= c error^kappa near the truth, h the Hellinger distance of the joint laws, and no
smaller kappa will do. As the estimator has h = O(n^(-1/2)) up to logarithms, the error then falls like n^(-alpha),

    alpha = 1 / (2 kappa).

kappa = inf (alpha = 0) says that the error does not fall: the parameter is not identified.
"""

from typing import NamedTuple

import numpy as np

from ..arguments import check_gating, check_k2, check_known
from ..measure import as_measure
from ..voronoi import kappa_eta, kappa_gate, kappa_mass, kappa_nu, kappa_tau
from .cells import Shared, covers, kinds, regime

COLUMNS = ["level", "cell", "m", "regime", "parameter", "kind", "kappa", "alpha", "status", "source"]

FLAT = "arXiv 2305.03288"
HMOE = "arXiv 2410.02935, as reported"
MIXTURES = "Ho and Nguyen 2016"


class _Row(NamedTuple):
    parameter: str
    kind: str
    kappa: float
    status: str = "derived"
    source: str = "derived"


def rates(G0, k2, gating=None, form="sharp"):
    """Exponents of every error of the estimator with `k2` experts a group, when the truth is `G0`.

    Parameters
    ----------
    G0 : MixingMeasure or FitResult
        The truth. Its Laplace centres are taken to lie inside the support of the covariates.
    k2 : sequence of int, or int
        Fitted number of experts in each group, at least as many groups as `G0` has. Groups are matched in any way in
        which every true group is covered: by one fitted group or more, each with at least as many experts.
    gating : {"SS", "SL", "LS", "LL"}, optional
        Gating of model and truth; by default that of `G0`.
    form : {"sharp", "published"}
        ``"sharp"``: the derived exponents. ``"published"``: those of the papers, which bound the errors from above.

    Returns
    -------
    DataFrame
        One row for each error and kind of cell:

        - level (0 the whole measure, 1 groups, 2 experts), cell (``"exact"``, ``"over"``, or ``"shared"`` where several
          fitted groups share the true group; ``""`` at level 0), m (fitted groups or experts in the cell, over all
          fitted groups of the true one, as in `hmoe_stats.parameter_errors`; 0 at level 0);
        - regime: ``"regular"`` cells have a true expert of their group fitted by exactly one expert, or a Laplace gate
          that tells its experts apart; in ``"unidentified"`` ones every true expert of the group can be split at once,
          and the group's gate is not identified; ``"any"`` where this makes no difference. The same words tell split
          groups apart at level 1; shared cells under an unidentified level 1 are ``"level 1 unidentified"`` or
          ``"both unidentified"``;
        - parameter, kind (``"weighted"``, ``"barycentre"``, ``"mass"``, ``"loss"``, ``"divergence"``), kappa, alpha;
        - status: ``"published"``, ``"as reported"`` (statements of the HMoE paper, not re-derived), ``"derived"``, or
          ``"open"`` (the value is a bound, or holds under the restriction that `source` names);
        - source: paper and theorem, or ``"derived"``.

        Only cells that can occur are listed. A gate that is constant (one group; groups of one expert each) has nothing
        to estimate and no rows. The published form states no exponents of barycentres.

    Raises
    ------
    ValueError
        If an argument is not as above, or no matching of the groups covers `G0`.

    Notes
    -----
    With the right number of groups, the level-1 gate makes no difference: SL has the exponents of LL, LS those of SS.
    Sharp exponents of a split cell with m fitted experts (regular): tau 2m, nu m, eta 2; omega 2 under softmax, 3/2
    under Laplace gating for d = 1 (from the moving kink) and 2 for d >= 2 (with a logarithm at d = 2); barycentre of
    eta 2m/(m + 1) under softmax and 1 under Laplace gating. Unidentified softmax groups: eta max(2, m). A Laplace group
    of several experts stays regular with all of them split; this case is derived and not confirmed numerically.

    Shared cells (M >= 2 fitted groups of one true group; derived). Level 1 is regular if some true group has one fitted
    group, or if a Laplace gate tells the true groups apart. Then a has exponent 2 (softmax) or 3/2 (Laplace, d = 1),
    and the mass of a cell within one fitted group 2. Barycentre of eta: 2m/(m + 1) by the a-tau interaction if level 1
    is softmax, or by the omega-tau one if level 2 is and m > M. Masses of Laplace gates are averages over the
    covariates, which a softmax gate above them tilts: barycentre of tau 2m/(m + 1) for SL. Where the groups can split
    all experts of the true one, each its own, omega has exponent 4 under softmax: the errors cancel in the mean over
    the groups. Two experts of equal gates have shares that are not identified in a shared group.

    Not in the table: fitted groups that cover no true one (they must lose their weight), and writings of the truth in
    which groups do not cover, as a flat truth of two experts fitted with k2 = (1, 1) under SS or LL.
    """
    G0 = as_measure("G0", G0)
    gating = check_gating(G0.gating if gating is None else gating)
    k2 = check_k2(k2)
    check_known("form", form, ("sharp", "published"), '"sharp" or "published"')
    ways = covers(G0.k2, k2)
    if not ways:
        raise ValueError(f"k2 must have {G0.k1} groups or more that cover those of G0, {G0.k2}; got {k2}")
    exact, over, density = _published_sources(gating, flat=len(k2) == 1)
    groups, cells = kinds(G0, ways, gating)
    if form == "sharp":
        loss = ("derived", "derived")
        first = {kind: _sharp_group(G0, *kind, gating) for kind in groups}
        second = {c: (_sharp_shared if isinstance(c, Shared) else _sharp)(c, gating, G0.d) for c in cells}
    else:
        loss = over if max(c.m for c in cells) > 1 else exact
        first = {kind: _published_group(G0, kind[0], gating, exact, over) for kind in groups}
        second = {c: _published(c, gating, G0.d, exact if c.m == 1 else over) for c in cells}
    rows = [(0, "", 0, "any", "loss", "loss", 1.0, *loss), (0, "", 0, "any", "hellinger", "divergence", 1.0, *density)]
    for (m, words), found in first.items():
        words = "any" if form == "published" else words
        rows += [(1, "exact" if m == 1 else "over", m, words, *row) for row in found]
    for cell, found in second.items():
        words = "any" if form == "published" else regime(cell)
        kind = "shared" if isinstance(cell, Shared) else "exact" if cell.m == 1 else "over"
        rows += [(2, kind, cell.m, words, *row) for row in found]
    return _frame(rows)


# -- sharp ------------------------------------------------------------------------------------------------------------
def _sharp(cell, gating, d):
    m, softmax = cell.m, gating[1] == "S"
    regular = cell.regime == "regular"
    order = _order(m)
    bound = ("derived", "derived")
    if not regular and softmax and m > 2:
        bound = ("open", "derived lower bound (Gauss-Hermite tilt)")
    rows = [
        _Row("eta", "weighted", kappa_eta(m, gating, tilted=softmax and not regular), *bound),
        _Row("tau", "weighted", kappa_tau(m), source=order),
        _Row("nu", "weighted", kappa_nu(m), source=order),
    ]
    if regular and cell.gated:
        note = _note(gating[1], d) if m > 1 else "derived"
        rows += [_Row("omega", "weighted", kappa_gate(m, 2, gating, d), source=note), _Row("beta", "mass", 1.0)]
    elif not regular:
        none = "derived: a common factor of all gates is not seen"
        rows.append(_Row("omega", "weighted", np.inf, source=none))
        # under softmax the factor has one value and one slope at the centre of x, which the canonical form takes off
        seen, why = (1.0, "derived; canonical form, at the centre of x") if softmax and cell.gated else (np.inf, none)
        rows.append(_Row("omega", "barycentre", seen, source=why))
        rows += [_Row("beta", "mass", seen, source=why)] if cell.gated else []
    if m == 1:  # nothing to average
        return rows
    rows.append(_Row("nu", "barycentre", kappa_nu(m)))
    if regular:
        slow = 2 * m / (m + 1)  # the cross term of omega and tau, which a kink tells from a slope
        rows += [_Row("eta", "barycentre", slow if softmax else 1.0), _Row("tau", "barycentre", 1.0)]
        return [*rows, _Row("omega", "barycentre", 1.0)] if cell.gated else rows
    if softmax:
        fixed = ("open", "derived at a fixed spread of omega only")
        return [*rows, _Row("eta", "barycentre", float(m), *bound), _Row("tau", "barycentre", 1.0, *fixed)]
    weights = "derived; with expected gate weights, not exp(beta)"
    return [*rows, *(_Row(name, "barycentre", 1.0, source=weights) for name in ("eta", "tau"))]


def _slopes_mean(cell, gating):
    """Barycentre of omega where the cell's share of the group is identified, and with it, under softmax, its slope."""
    if cell.free and gating == "SS" and cell.gated:
        return _Row("omega", "barycentre", 1.5, "open", "derived lower bound (level-1 slopes and masses trade off)")
    return _Row("omega", "barycentre", 1.0, *_sketch(cell))


def _order(m):
    return f"derived; r({m}) = {2 * m} published in {MIXTURES}" if m in (2, 3) else "derived"


def _sketch(cell):
    return ("open", "derived for an identified level 1") if cell.free else ("derived", "derived")


def _note(gate, d):
    return "derived, up to a logarithm" if gate == "L" and d == 2 else "derived"


def _sharp_group(G0, m, words, gating):
    """Level-1 rows of a true group fitted by m groups."""
    mass = [_Row("b", "mass", 1.0)] if G0.k1 > 1 else []
    if m == 1:
        return [_Row("a", "weighted", 1.0), *mass] if G0.k1 > 1 else []
    if words == "regular":
        slope = _Row("a", "weighted", kappa_gate(m, 1, gating, G0.d), source=_note(gating[0], G0.d))
        return [slope, _Row("a", "barycentre", 1.0), *mass]
    rows = [_Row("a", "weighted", np.inf, source="derived: a common factor of all gates is not seen"), *mass]
    if gating[0] == "L":
        return [*rows, _Row("a", "barycentre", np.inf, source="derived: centres of equal gates are not seen")]
    # a common factor moves all barycentres alike, which centring takes out; all of it, if there is one true group
    return [*rows, _Row("a", "barycentre", 1.0)] if G0.k1 > 1 else rows


def _sharp_shared(cell, gating, d):
    """Rows of a cell whose true group is that of several fitted groups."""
    m, softmax = cell.m, gating[1] == "S"
    regular = not (cell.split or cell.averaged)
    tilt1 = cell.free and gating[0] == "S"
    tilted = tilt1 or (softmax and not regular)
    eta = kappa_eta(m, gating, tilted=tilted, compensated=cell.compensated > 0)
    # explicit paths: Gauss-Hermite tilts by a, by omega, and by omega with the errors of the gates cancelled
    c = cell.compensated
    attained = max(2.0, tilt1 * cell.tilt, softmax * cell.split, 4 * c / (c + 2))
    bound = ("derived", "derived")
    if eta > attained:
        bound = ("open", f"derived (sketch): at most; explicit paths give {attained:.3g}")
    elif eta > 2:
        bound = ("open", "derived lower bound (Gauss-Hermite tilt)")
    rows = [
        _Row("eta", "weighted", eta, *bound),
        _Row("tau", "weighted", kappa_tau(m), source=_order(m)),
        _Row("nu", "weighted", kappa_nu(m), source=_order(m)),
        _Row("nu", "barycentre", kappa_nu(m)),
    ]
    slow = 2 * m / (m + 1)
    if tilted or cell.compensated:
        rows.append(_Row("eta", "barycentre", eta, *bound))
    else:
        alive = gating[0] == "S" or (softmax and m > cell.groups)  # an interaction with tau that no kink tells apart
        rows.append(_Row("eta", "barycentre", slow if alive else 1.0, *_sketch(cell)))
    averages = gating == "SL" and cell.seen  # weights are averages under a level-1 gate that is off by a tilt
    if averages and tilt1:
        rows.append(_Row("tau", "barycentre", eta, "open", "derived (sketch): at most"))
    elif tilted or cell.free:
        rows.append(_Row("tau", "barycentre", slow if averages else 1.0, "open", "derived for identified gates"))
    else:
        rows.append(_Row("tau", "barycentre", slow if averages else 1.0))
    return [*rows, *_shared_gates(cell, gating, d)]


def _shared_gates(cell, gating, d):
    """The rows of omega and beta of `_sharp_shared`."""
    m, softmax = cell.m, gating[1] == "S"
    sketch = _sketch(cell)
    if cell.averaged:
        why = "derived: equal gates average out over the fitted groups"
        beta = _Row("beta", "mass", np.inf, source=why)
        rows = [_Row("omega", kind, np.inf, "open", f"{why}, if three or more") for kind in ("weighted", "barycentre")]
    elif cell.split:
        none = "derived: a common factor of all gates is not seen"
        beta = _Row("beta", "mass", kappa_mass(cell.groups), *sketch)
        mean = _slopes_mean(cell, gating) if softmax else _Row("omega", "barycentre", np.inf, source=none)
        rows = [_Row("omega", "weighted", np.inf, source=none), mean]
    else:
        beta = _Row("beta", "mass", kappa_mass(cell.groups), *sketch)
        omega = kappa_gate(m, 2, gating, d, compensated=cell.compensated > 0)
        note = sketch if cell.free else ("derived", _note(gating[1], d))
        rows = [_Row("omega", "weighted", omega, *note), _slopes_mean(cell, gating)]
    if cell.free and not softmax:
        beta = _Row("beta", "mass", np.inf, source="derived: an average under a gate that is not identified")
    return (rows if cell.seen else []) + ([beta] if cell.gated else [])


# -- published --------------------------------------------------------------------------------------------------------
def _published_sources(gating, flat):
    """(status, source) of an exact cell, of a split cell, and of the density."""
    if flat and gating[1] == "S":  # level 1 is constant: the flat softmax mixture of experts
        return tuple(("published", f"{FLAT}, {where}") for where in ("Theorem 1", "Theorem 2", "Proposition 2"))
    if gating == "LS":
        unsaid = ("open", "not stated for LS; the form for SS is taken")
        return unsaid, unsaid, ("derived", "derived: the entropy of the model does not depend on the gates")
    return (("as reported", HMOE),) * 3


def _published(cell, gating, d, source):
    m = cell.m
    shared = isinstance(cell, Shared)
    of_r = _of_r(m, source)
    gates = source if gating == "LL" else of_r
    rows = [
        _Row("eta", "weighted", kappa_eta(m, gating, "published"), *gates),
        _Row("tau", "weighted", kappa_tau(m), *of_r),
        _Row("nu", "weighted", kappa_nu(m), *of_r),
    ]
    if cell.seen if shared else cell.gated or m > 1:
        rows.append(_Row("omega", "weighted", kappa_gate(m, 2, gating, d, "published"), *gates))
    if not cell.gated:
        return rows
    if shared:
        return [*rows, _Row("beta", "mass", kappa_mass(cell.groups), source="derived; no published exponent")]
    return [*rows, _Row("beta", "mass", 1.0, *source)]


def _published_group(G0, m, gating, exact, over):
    mass = [_Row("b", "mass", 1.0, *exact)] if G0.k1 > 1 else []
    if m == 1:
        return [_Row("a", "weighted", 1.0, *exact), *mass] if G0.k1 > 1 else []
    source = over if gating == "LL" else _of_r(m, over)
    return [_Row("a", "weighted", kappa_gate(m, 1, gating, G0.d, "published"), *source), *mass]


def _of_r(m, source):
    # the papers leave r(m) >= 7 open from m = 4 on
    return source if m < 4 else ("derived", f"{source[1]}, with r({m}) = {2 * m} derived")


def _frame(rows):
    import pandas as pd

    order = {name: i for i, name in enumerate(["loss", "hellinger", "a", "b", "omega", "beta", "eta", "tau", "nu"])}
    slowest = {row[:6]: row for row in sorted(rows, key=lambda row: row[6])}  # of the cells that a row speaks of
    table = [(*row[:6], float(row[6]), 0.5 / row[6], *row[7:]) for row in slowest.values()]
    table.sort(key=lambda row: (row[0], row[2], row[3], row[1], order[row[4]], row[5]))
    return pd.DataFrame(table, columns=COLUMNS)
