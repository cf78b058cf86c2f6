"""Exponents of convergence: what theory says about each error of the maximum-likelihood estimator.

An error has exponent kappa if h >= c error^kappa near the truth, h the Hellinger distance of the joint laws, and no
smaller kappa will do. As the estimator has h = O(n^(-1/2)) up to logarithms, the error then falls like n^(-alpha),

    alpha = 1 / (2 kappa).

kappa = inf (alpha = 0) says that the error does not fall: the parameter is not identified.
"""

import numpy as np

from ..likelihood import check_measure
from ..measure import check_gating, check_k2
from .cells import Shared, covers, kinds, regime
from .kappa import MIXTURES, Row, kappa_eta, kappa_gate, kappa_mass, kappa_nu, kappa_tau
from .published import published_cell, published_group, published_sources

COLUMNS = ["level", "cell", "m", "regime", "parameter", "kind", "kappa", "alpha", "status", "source"]


def rates(G0, k2, gating=None, form="sharp"):
    """Exponents of every error of the estimator with `k2` experts a group, when the truth is `G0`.

    Parameters
    ----------
    G0 : MixingMeasure
        The truth. Its Laplace centres are taken to lie inside the support of the covariates.
    k2 : sequence of int
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
    check_measure(G0, "G0")
    gating = check_gating(G0.gating if gating is None else gating)
    k2 = check_k2(k2)
    if form not in ("sharp", "published"):
        raise ValueError(f'form must be "sharp" or "published"; got {form!r}')
    ways = covers(G0.k2, k2)
    if not ways:
        raise ValueError(f"k2 must have {G0.k1} groups or more that cover those of G0, {G0.k2}; got {k2}")
    exact, over, density = published_sources(gating, flat=len(k2) == 1)
    groups, cells = kinds(G0, ways, gating)
    if form == "sharp":
        loss = ("derived", "derived")
        first = {kind: _sharp_group(G0, *kind, gating) for kind in groups}
        second = {c: (_sharp_shared if isinstance(c, Shared) else _sharp)(c, gating, G0.d) for c in cells}
    else:
        loss = over if max(c.m for c in cells) > 1 else exact
        first = {kind: published_group(G0, kind[0], gating, exact, over) for kind in groups}
        second = {c: published_cell(c, gating, G0.d, exact if c.m == 1 else over) for c in cells}
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
        Row("eta", "weighted", kappa_eta(m, gating, tilted=softmax and not regular), *bound),
        Row("tau", "weighted", kappa_tau(m), source=order),
        Row("nu", "weighted", kappa_nu(m), source=order),
    ]
    if regular and cell.gated:
        note = _note(gating[1], d) if m > 1 else "derived"
        rows += [Row("omega", "weighted", kappa_gate(m, 2, gating, d), source=note), Row("beta", "mass", 1.0)]
    elif not regular:
        none = "derived: a common factor of all gates is not seen"
        rows.append(Row("omega", "weighted", np.inf, source=none))
        # under softmax the factor has one value and one slope at the centre of x, which the canonical form takes off
        seen, why = (1.0, "derived; canonical form, at the centre of x") if softmax and cell.gated else (np.inf, none)
        rows.append(Row("omega", "barycentre", seen, source=why))
        rows += [Row("beta", "mass", seen, source=why)] if cell.gated else []
    if m == 1:  # nothing to average
        return rows
    rows.append(Row("nu", "barycentre", kappa_nu(m)))
    if regular:
        slow = 2 * m / (m + 1)  # the cross term of omega and tau, which a kink tells from a slope
        rows += [Row("eta", "barycentre", slow if softmax else 1.0), Row("tau", "barycentre", 1.0)]
        return [*rows, Row("omega", "barycentre", 1.0)] if cell.gated else rows
    if softmax:
        fixed = ("open", "derived at a fixed spread of omega only")
        return [*rows, Row("eta", "barycentre", float(m), *bound), Row("tau", "barycentre", 1.0, *fixed)]
    weights = "derived; with expected gate weights, not exp(beta)"
    return [*rows, *(Row(name, "barycentre", 1.0, source=weights) for name in ("eta", "tau"))]


def _slopes_mean(cell, gating):
    """Barycentre of omega where the cell's share of the group is identified, and with it, under softmax, its slope."""
    if cell.free and gating == "SS" and cell.gated:
        return Row("omega", "barycentre", 1.5, "open", "derived lower bound (level-1 slopes and masses trade off)")
    return Row("omega", "barycentre", 1.0, *_sketch(cell))


def _order(m):
    return f"derived; r({m}) = {2 * m} published in {MIXTURES}" if m in (2, 3) else "derived"


def _sketch(cell):
    return ("open", "derived for an identified level 1") if cell.free else ("derived", "derived")


def _note(gate, d):
    return "derived, up to a logarithm" if gate == "L" and d == 2 else "derived"


def _sharp_group(G0, m, words, gating):
    """Level-1 rows of a true group fitted by m groups."""
    mass = [Row("b", "mass", 1.0)] if G0.k1 > 1 else []
    if m == 1:
        return [Row("a", "weighted", 1.0), *mass] if G0.k1 > 1 else []
    if words == "regular":
        slope = Row("a", "weighted", kappa_gate(m, 1, gating, G0.d), source=_note(gating[0], G0.d))
        return [slope, Row("a", "barycentre", 1.0), *mass]
    rows = [Row("a", "weighted", np.inf, source="derived: a common factor of all gates is not seen"), *mass]
    if gating[0] == "L":
        return [*rows, Row("a", "barycentre", np.inf, source="derived: centres of equal gates are not seen")]
    # a common factor moves all barycentres alike, which centring takes out; all of it, if there is one true group
    return [*rows, Row("a", "barycentre", 1.0)] if G0.k1 > 1 else rows


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
        Row("eta", "weighted", eta, *bound),
        Row("tau", "weighted", kappa_tau(m), source=_order(m)),
        Row("nu", "weighted", kappa_nu(m), source=_order(m)),
        Row("nu", "barycentre", kappa_nu(m)),
    ]
    slow = 2 * m / (m + 1)
    if tilted or cell.compensated:
        rows.append(Row("eta", "barycentre", eta, *bound))
    else:
        alive = gating[0] == "S" or (softmax and m > cell.groups)  # an interaction with tau that no kink tells apart
        rows.append(Row("eta", "barycentre", slow if alive else 1.0, *_sketch(cell)))
    averages = gating == "SL" and cell.seen  # weights are averages under a level-1 gate that is off by a tilt
    if averages and tilt1:
        rows.append(Row("tau", "barycentre", eta, "open", "derived (sketch): at most"))
    elif tilted or cell.free:
        rows.append(Row("tau", "barycentre", slow if averages else 1.0, "open", "derived for identified gates"))
    else:
        rows.append(Row("tau", "barycentre", slow if averages else 1.0))
    return [*rows, *_shared_gates(cell, gating, d)]


def _shared_gates(cell, gating, d):
    """The rows of omega and beta of `_sharp_shared`."""
    m, softmax = cell.m, gating[1] == "S"
    sketch = _sketch(cell)
    if cell.averaged:
        why = "derived: equal gates average out over the fitted groups"
        beta = Row("beta", "mass", np.inf, source=why)
        rows = [Row("omega", kind, np.inf, "open", f"{why}, if three or more") for kind in ("weighted", "barycentre")]
    elif cell.split:
        none = "derived: a common factor of all gates is not seen"
        beta = Row("beta", "mass", kappa_mass(cell.groups), *sketch)
        mean = _slopes_mean(cell, gating) if softmax else Row("omega", "barycentre", np.inf, source=none)
        rows = [Row("omega", "weighted", np.inf, source=none), mean]
    else:
        beta = Row("beta", "mass", kappa_mass(cell.groups), *sketch)
        omega = kappa_gate(m, 2, gating, d, compensated=cell.compensated > 0)
        note = sketch if cell.free else ("derived", _note(gating[1], d))
        rows = [Row("omega", "weighted", omega, *note), _slopes_mean(cell, gating)]
    if cell.free and not softmax:
        beta = Row("beta", "mass", np.inf, source="derived: an average under a gate that is not identified")
    return (rows if cell.seen else []) + ([beta] if cell.gated else [])


def _frame(rows):
    import pandas as pd

    order = {name: i for i, name in enumerate(["loss", "hellinger", "a", "b", "omega", "beta", "eta", "tau", "nu"])}
    slowest = {row[:6]: row for row in sorted(rows, key=lambda row: row[6])}  # of the cells that a row speaks of
    table = [(*row[:6], float(row[6]), 0.5 / row[6], *row[7:]) for row in slowest.values()]
    table.sort(key=lambda row: (row[0], row[2], row[3], row[1], order[row[4]], row[5]))
    return pd.DataFrame(table, columns=COLUMNS)
