"""Exponents of convergence: what theory says about each error of the maximum-likelihood estimator.

An error has exponent kappa if h >= c error^kappa near the truth, h the Hellinger distance of the joint laws, and no
smaller kappa will do. As the estimator has h = O(n^(-1/2)) up to logarithms, the error then falls like n^(-alpha),

    alpha = 1 / (2 kappa).

kappa = inf (alpha = 0) says that the error does not fall: the parameter is not identified.
"""

from typing import NamedTuple

import numpy as np

from ..likelihood import check_measure
from ..measure import check_gating, check_k2
from ..voronoi import kappa_eta, kappa_gate, kappa_nu, kappa_tau

COLUMNS = ["level", "cell", "m", "regime", "parameter", "kind", "kappa", "alpha", "status", "source"]

FLAT = "arXiv 2305.03288"
HMOE = "arXiv 2410.02935, as reported"
MIXTURES = "Ho and Nguyen 2016"


class _Cell(NamedTuple):
    """A kind of Voronoi cell of level 2."""

    m: int  # fitted experts in it
    regime: str  # "regular" | "unidentified"
    gated: bool  # True if the true group has several experts, so that its gate says something


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
    G0 : MixingMeasure
        The truth. Its Laplace centres are taken to lie inside the support of the covariates.
    k2 : sequence of int
        Fitted number of experts in each group, as many groups as `G0` has. Groups are matched in any way in which every
        fitted group has at least as many experts as its true group.
    gating : {"SS", "SL", "LS", "LL"}, optional
        Gating of model and truth; by default that of `G0`.
    form : {"sharp", "published"}
        ``"sharp"``: the derived exponents. ``"published"``: those of the papers, which bound the errors from above.

    Returns
    -------
    DataFrame
        One row for each error and kind of cell:

        - level (0 the whole measure, 1 groups, 2 experts), cell (``"exact"``, ``"over"``; ``""`` at level 0), m (fitted
          groups or experts in the cell; 0 at level 0);
        - regime: ``"regular"`` cells have a true expert of their group fitted by exactly one expert, or a Laplace gate
          that tells its experts apart; in ``"unidentified"`` ones every true expert of the group can be split at once,
          and the group's gate is not identified; ``"any"`` where this makes no difference;
        - parameter, kind (``"weighted"``, ``"barycentre"``, ``"mass"``, ``"loss"``, ``"divergence"``), kappa, alpha;
        - status: ``"published"``, ``"as reported"`` (statements of the HMoE paper, not re-derived), ``"derived"``, or
          ``"open"`` (the value is a bound, or holds under the restriction that `source` names);
        - source: paper and theorem, or ``"derived"``.

        Only cells that can occur are listed. A gate that is constant (one group; groups of one expert each) has nothing
        to estimate and no rows. The published form states no exponents of barycentres.

    Raises
    ------
    ValueError
        If an argument is not as above, no matching of the groups covers `G0`, or `k2` has more groups than `G0`
        (level-1 over-specification is not covered yet).

    Notes
    -----
    With the right number of groups, the level-1 gate makes no difference: SL has the exponents of LL, LS those of SS.
    Sharp exponents of a split cell with m fitted experts (regular): tau 2m, nu m, eta 2; omega 2 under softmax, 3/2
    under Laplace gating for d = 1 (from the moving kink) and 2 for d >= 2 (with a logarithm at d = 2); barycentre of
    eta 2m/(m + 1) under softmax and 1 under Laplace gating. Unidentified softmax groups: eta max(2, m). A Laplace group
    of several experts stays regular with all of them split; this case is derived and not confirmed numerically.
    """
    check_measure(G0, "G0")
    gating = check_gating(G0.gating if gating is None else gating)
    k2 = check_k2(k2)
    if form not in ("sharp", "published"):
        raise ValueError(f'form must be "sharp" or "published"; got {form!r}')
    if len(k2) > G0.k1:
        raise ValueError(
            f"k2 must have {G0.k1} groups as G0 has (more than the true ones are not covered yet); got {k2}"
        )
    pairs = _pairs(G0.k2, k2)
    if not pairs:
        raise ValueError(f"k2 must have {G0.k1} groups that cover those of G0, {G0.k2}; got {k2}")
    cells = sorted({cell for group, fitted in pairs for cell in _cells(G0, group, fitted, gating)})
    exact, over, density = _published_sources(gating, flat=G0.k1 == 1)
    if form == "sharp":
        loss = first = ("derived", "derived")
        second = {cell: _sharp(cell, gating, G0.d) for cell in cells}
    else:
        cells = sorted({cell._replace(regime="any") for cell in cells})
        loss, first = over if cells[-1].m > 1 else exact, exact
        second = {c: _published(c, gating, G0.d, exact if c.m == 1 else over) for c in cells}
    rows = [(0, "", 0, "any", "loss", "loss", 1.0, *loss), (0, "", 0, "any", "hellinger", "divergence", 1.0, *density)]
    if G0.k1 > 1:
        rows += [(1, "exact", 1, "any", name, kind, 1.0, *first) for name, kind in (("a", "weighted"), ("b", "mass"))]
    for cell, found in second.items():
        rows += [(2, "exact" if cell.m == 1 else "over", cell.m, cell.regime, *row) for row in found]
    return _frame(rows)


# -- which cells there can be -----------------------------------------------------------------------------------------
def _pairs(true, fitted):
    """The (true group, size of its fitted group) of every matching in which each fitted group covers its true one."""
    if len(true) != len(fitted):
        return set()

    def rest_fits(i, j):
        others = sorted(true[:i] + true[i + 1 :]), sorted(fitted[:j] + fitted[j + 1 :])
        return all(t <= f for t, f in zip(*others, strict=True))

    n = range(len(true))
    return {(i, fitted[j]) for i in n for j in n if true[i] <= fitted[j] and rest_fits(i, j)}


def _cells(G0, group, fitted, gating):
    """The kinds of level-2 cells of one true group covered by `fitted` experts."""
    true = G0.k2[group]
    if true == 1:
        return {_Cell(fitted, "regular" if fitted == 1 else "unidentified", gated=False)}
    centres = G0.omega[G0.group == group]
    told_apart = gating[1] == "L" and (centres != centres[0]).any()
    regimes = {}
    for m in range(1, fitted - true + 2):
        # all cells of the group can be split while this one has m only if the others find two experts each
        all_split = m >= 2 and m + 2 * (true - 1) <= fitted
        regimes[m] = "unidentified" if all_split and not told_apart else "regular"
    return {_Cell(m, regime, gated=True) for m, regime in regimes.items()}


# -- sharp ------------------------------------------------------------------------------------------------------------
def _sharp(cell, gating, d):
    m, softmax = cell.m, gating[1] == "S"
    regular = cell.regime == "regular"
    order = f"derived; r({m}) = {2 * m} published in {MIXTURES}" if m in (2, 3) else "derived"
    bound = ("derived", "derived")
    if not regular and softmax and m > 2:
        bound = ("open", "derived lower bound (Gauss-Hermite tilt)")
    rows = [
        _Row("eta", "weighted", kappa_eta(m, gating, tilted=softmax and not regular), *bound),
        _Row("tau", "weighted", kappa_tau(m), source=order),
        _Row("nu", "weighted", kappa_nu(m), source=order),
    ]
    if regular and cell.gated:
        note = "derived, up to a logarithm" if not softmax and d == 2 and m > 1 else "derived"
        rows += [_Row("omega", "weighted", kappa_gate(m, 2, gating, d), source=note), _Row("beta", "mass", 1.0)]
    elif not regular:
        none = "derived: a common factor of all gates is not seen"
        rows += [_Row("omega", kind, np.inf, source=none) for kind in ("weighted", "barycentre")]
        rows += [_Row("beta", "mass", np.inf, source=none)] if cell.gated else []
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
    of_r = source
    if m >= 4:  # the papers leave r(m) >= 7 open there
        of_r = ("derived", f"{source[1]}, with r({m}) = {2 * m} derived")
    gates = source if gating == "LL" else of_r
    rows = [
        _Row("eta", "weighted", kappa_eta(m, gating, "published"), *gates),
        _Row("tau", "weighted", kappa_tau(m), *of_r),
        _Row("nu", "weighted", kappa_nu(m), *of_r),
    ]
    if cell.gated or m > 1:
        rows.append(_Row("omega", "weighted", kappa_gate(m, 2, gating, d, "published"), *gates))
    return [*rows, _Row("beta", "mass", 1.0, *source)] if cell.gated else rows


def _frame(rows):
    import pandas as pd

    order = {name: i for i, name in enumerate(["loss", "hellinger", "a", "b", "omega", "beta", "eta", "tau", "nu"])}
    unique = dict.fromkeys(rows)  # gated and ungated groups say the same of their experts
    table = [(*row[:6], float(row[6]), 0.5 / row[6], *row[7:]) for row in unique]
    table.sort(key=lambda row: (row[0], row[2], row[3], order[row[4]], row[5]))
    return pd.DataFrame(table, columns=COLUMNS)
