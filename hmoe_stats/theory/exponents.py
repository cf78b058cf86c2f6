"""Exponents of convergence: what theory says about each error of the maximum-likelihood estimator.

An error has exponent kappa if h >= c error^kappa near the truth, h the Hellinger distance of the joint laws, and no
smaller kappa will do. As the estimator has h = O(n^(-1/2)) up to logarithms, the error then falls like n^(-alpha),

    alpha = 1 / (2 kappa).

kappa = inf (alpha = 0) says that the error does not fall: the parameter is not identified.
"""

from __future__ import annotations

import numpy as np

from .. import identify
from ..arguments import check_gating, check_k2, check_known, shown
from ..categorical import as_of_any_family
from ..gates import of
from ..kinds import AnyMeasure, Frame, Law, Shape
from ..measure import as_seeing_all
from .cells import Shared, covering, kinds, regime
from .classes import class_rows
from .functions import function_rows
from .kappa import Row, eta_attained, kappa_eta, kappa_gate, kappa_mass, kappa_nu, kappa_tau, order_source
from .limits import COLUMNS as LIMITS
from .limits import limits
from .published import published_cell, published_group, published_sources

COLUMNS = ["level", "cell", "m", "regime", "parameter", "kind", "kappa", "alpha", "status", "source"]


def rates(G0: AnyMeasure, k2: Shape, gating: str | None = None, form: str = "sharp", x: Law | None = None) -> Frame:
    """Exponents of every error of the estimator with `k2` experts a group, when the truth is `G0`.

    Parameters
    ----------
    G0 : MixingMeasure, CategoricalMeasure, or a fit of either
        The truth; one group where experts are categorical.
    k2 : sequence of int, or int
        Fitted number of experts in each group, at least as many groups as `G0` has. Groups are matched in any way in
        which every true group is covered: by one fitted group or more, each with at least as many experts.
    gating : str, optional
        Gating of model and truth; by default that of `G0`.
    form : {"sharp", "published"}
        ``"sharp"``: the derived exponents. ``"published"``: those of the papers, which bound the errors from above.
    x : Uniform, Normal or (n, d) array, optional
        Law of the covariates, or covariates that stand for it: its support decides where Laplace centres are seen. By
        default a law whose support has interior, and all Laplace centres of the truth inside.

    Returns
    -------
    DataFrame
        One row for each error and kind of cell:

        - level (0 the whole measure, 1 groups, 2 experts), cell (``"exact"``, ``"over"``, or ``"shared"`` where several
          fitted groups share the true group; ``""`` at level 0), m (fitted groups or experts in the cell, over all
          fitted groups of the true one, as in `hmoe_stats.parameter_errors`; 0 at level 0);
        - regime: ``"unidentified"`` cells are those in which the gate of the group is not identified, as
          `hmoe_stats.identify` says: every true expert of the group can be split at once under softmax, or Laplace
          centres coincide on the support; ``"edge"`` cells are identified, but their Laplace centre lies on an edge of
          the support or beyond it (d = 1); all others are ``"regular"``; ``"any"`` where this makes no difference. The
          same words tell groups apart at level 1; shared cells under an unidentified level 1 are
          ``"level 1 unidentified"`` or ``"both unidentified"``;
        - parameter, kind (``"weighted"``, ``"barycentre"``, ``"mass"``, ``"loss"``, ``"divergence"``, ``"function"``),
          kappa, alpha. Those of kind ``"function"`` are of the errors of `hmoe_stats.functional_errors`, m their size;
        - status: ``"published"``, ``"as reported"`` (statements of the HMoE paper, not re-derived), ``"derived"``,
          ``"open"`` (the value is a bound, or holds under the restriction that `source` names), or ``"refuted here"``:
          a published line that some cells of this kind break: measures of equal density differ in it, or
          a derived exponent is larger;
        - source: paper and theorem, or ``"derived"``;
        - alpha_mean, alpha_median, with status_mean and status_median: the exponents of the mean and of the median of
          the error, where known. alpha is that of the worst case, n^(-alpha) an upper bound on errors; a mean has it in
          the limit if the slowest regime keeps positive probability, a median may fall faster. Status ``"derived"``,
          ``"open"`` (and NaN), or ``"not stated"`` for the published form. See `hmoe_stats.theory.limits`.

        Rows of functions come last. Only cells that can occur are listed. A gate that is constant (one group; groups of
        one expert each) has nothing to estimate and no rows. The published form states no exponents of barycentres and
        of functions.

    Raises
    ------
    ValueError
        If an argument is not as above, no matching of the groups covers `G0`, or the support of `x` has no interior: an
        array in which a covariate takes few values, or in which covariates are linearly dependent. With x in {0, 1},
        say, eta has exponent 4 where it has 2 in the table.

    Notes
    -----
    Experts of the truth are taken to differ, else lines are ``"open"``. They speak of fits near this way of writing the
    truth; where leaves can be grouped otherwise (`hmoe_stats.diagnose`: exchangeable levels), `source` says so.

    With the right number of groups, the level-1 gate makes no difference: SL has the exponents of LL, LS those of SS.
    Sharp exponents of a split cell with m fitted experts (regular): tau 2m, nu m, eta 2; omega 2 under softmax, 3/2
    under Laplace gating for d = 1 (from the moving kink) and 2 for d >= 2 (with a logarithm at d = 2); barycentre of
    eta 2m/(m + 1) under softmax and 1 under Laplace gating. Unidentified softmax groups: eta max(2, m). A Laplace group
    of several experts stays regular with all of them split; this case is derived and not confirmed numerically. A
    Laplace centre on an edge of the support, or beyond it, has omega and its barycentre 3/2, also for m = 1 (d = 1).

    Quadratic gates have omega as softmax, barycentre of eta 1 as Laplace gates, and eta 2 for m = 2 and 3, or with more
    experts in a cell at most 4m/(m + 2): see `hmoe_stats.theory.kappa`. Nothing is published for them.

    Functions: gates, cell means and routing have exponent 1, experts over a cell 2m, whatever the gates, also where
    these are not identified: see `hmoe_stats.theory.functions`.

    Shared cells (M >= 2 fitted groups of one true group; derived). Level 1 is regular if some true group has one fitted
    group, or if a Laplace gate tells the true groups apart. Then a has exponent 2 (softmax) or 3/2 (Laplace, d = 1),
    and the mass of a cell within one fitted group 2. Barycentre of eta: 2m/(m + 1) by the a-tau interaction if level 1
    is softmax, or by the omega-tau one if level 2 is and m > M. Masses of Laplace gates are averages over the
    covariates, which a softmax gate above them tilts: barycentre of tau 2m/(m + 1) for SL. Where the groups can split
    all experts of the true one, each its own, omega has exponent 4 under softmax: the errors cancel in the mean over
    the groups. Two experts of equal gates have shares that are not identified in a shared group.

    Categorical experts have exponents of their own: omega, eta and tau 2 in split cells of any size (a Laplace centre
    3/2), barycentres 1; but where all slopes eta of an expert vanish (regime ``"constant"``), tau is not identified in
    its split cells, under any gate: see `hmoe_stats.theory.classes`, which takes arXiv 2310.14188 by its abstract.

    Not in the table: fitted groups that cover no true one (they must lose their weight), and writings of the truth in
    which groups do not cover, as a flat truth of two experts fitted with k2 = (1, 1) under SS or LL.
    """
    G0 = as_seeing_all("G0", G0, as_of_any_family)
    classed = G0.family.classed
    gating = check_gating(G0.gating if gating is None else gating)
    k2 = check_k2(k2)
    check_known("form", form, ("sharp", "published"), '"sharp" or "published"')
    support = identify.support_of(x, G0.d)
    if support.thin:
        raise ValueError(f"x must have a support with interior, as exponents need one; got an array: {support.thin}")
    ways = identify.covers(G0.k2, k2)
    if not ways:
        raise ValueError(f"k2 must have {G0.k1} groups or more that cover those of G0, {shown(G0.k2)}; got {shown(k2)}")
    if classed:
        if len(k2) > 1:
            wanted = "one group where experts are categorical, as exponents of deeper trees are not worked out"
            raise ValueError(f"k2 must have {wanted}; got {shown(k2)}")
        rows, functions = class_rows(G0, ways, gating, form, support)
        density = ("derived", "derived: the entropy of the model does not depend on the gates")
        rows.append((0, "", 0, "any", "hellinger", "divergence", 1.0, *density))
        return _frame(_sorted(rows) + functions, gating, form, classed)
    groups, cells = kinds(G0, ways, gating, support)
    density = published_sources(gating, flat=len(k2) == 1)[2]
    rows = _sharp_rows(G0, gating, groups, cells)
    if form == "published":
        rows = _published_rows(G0, gating, groups, cells, rows, flat=len(k2) == 1)
    rows.append((0, "", 0, "any", "hellinger", "divergence", 1.0, *density))
    functions = function_rows(G0, groups, cells) if form == "sharp" else []
    rows, functions = (_qualified(some, G0.replace(gating=gating), x) for some in (_sorted(rows), functions))
    return _frame(rows + functions, gating, form)


def _sharp_rows(G0, gating, groups, cells):
    rows = [(0, "", 0, "any", "loss", "loss", 1.0, "derived", "derived")]
    for m, words in groups:
        rows += [(1, "exact" if m == 1 else "over", m, words, *row) for row in _sharp_group(G0, m, words, gating)]
    for cell in cells:
        found = (_sharp_shared if isinstance(cell, Shared) else _sharp)(cell, gating, G0.d)
        rows += [(2, covering(cell), cell.m, regime(cell), *row) for row in found]
    return rows


def _published_rows(G0, gating, groups, cells, sharp, flat):
    """What the papers state, refuted where a cell of the same kind has a derived exponent that is larger."""
    exact, over, _ = published_sources(gating, flat)
    rows = [(0, "", 0, "any", "loss", "loss", 1.0, *(over if max(c.m for c in cells) > 1 else exact))]
    for m, _ in groups:
        found = published_group(G0, m, gating, exact, over)
        rows += [(1, "exact" if m == 1 else "over", m, "any", *row) for row in found]
    for cell in cells:
        found = published_cell(cell, gating, G0.d, exact if cell.m == 1 else over)
        rows += [(2, covering(cell), cell.m, "any", *row) for row in found]
    slowest = {}
    for row in sharp:
        if row[7] == "derived" or np.isinf(row[6]):
            key = (*row[:3], *row[4:6])
            slowest[key] = max(slowest.get(key, 0.0), row[6])
    return _refuted(rows, slowest, gating)


def _refuted(rows, slowest, gating):
    """Published rows, those refuted that a derived exponent exceeds: measures as near to the truth differ by more."""
    out, free = [], {key[:4] for key, kappa in slowest.items() if np.isinf(kappa)}
    for row in rows:
        kappa, said = slowest.get((*row[:3], *row[4:6]), 0.0), ""
        if np.isinf(kappa):
            said = "measures of equal density differ in it"
        elif kappa > row[6]:
            said = f"the derived exponent is {kappa:g}"
        elif row[4] == "beta" and not of(gating)[1].located and (*row[:3], "omega") in free:
            said = "with the last component at 0; in canonical form the mass has the sharp exponent"
        out.append((*row[:7], "refuted here", f"{row[8]}; refuted here: {said}") if said else row)
    if any(row[7] == "refuted here" for row in out):  # the loss is first, and holds them all
        first = rows[0]
        out[0] = (*first[:7], "refuted here", f"{first[8]}; refuted here: some of its terms are")
    return out


# -- sharp ------------------------------------------------------------------------------------------------------------
def _sharp(cell, gating, d):
    second, m = of(gating)[1], cell.m
    regular, edge = cell.regime != "unidentified", cell.regime == "edge"
    order, tilted = order_source(m), not second.located and cell.regime == "unidentified"
    level = 2 * second.letter  # with a group for each true one, level 1 brings no interaction: its gate might be this
    eta, attained = kappa_eta(m, level, tilted=tilted), eta_attained(m, level, tilted)
    bound = ("derived", "derived")
    if tilted and m > 2:
        path = "Gauss-Hermite tilt" if second.interaction == 1 else "explicit path"
        bound = ("open", f"derived lower bound ({path})")
    elif eta > attained:
        bound = ("open", f"derived (sketch): at most; explicit paths give {attained:.3g}")
    rows = [
        Row("eta", "weighted", eta, *bound),
        Row("tau", "weighted", kappa_tau(m), source=order),
        Row("nu", "weighted", kappa_nu(m), source=order),
    ]
    if regular and cell.gated:
        note = _note(second, d, edge) if m > 1 or edge else "derived"
        omega = kappa_gate(m, 2, gating, d, edge=edge)
        rows += [Row("omega", "weighted", omega, source=note), Row("beta", "mass", 1.0)]
    elif not regular:
        rows += _free_gate(cell, not second.located)
    if m == 1:  # nothing to average
        return rows
    rows.append(Row("nu", "barycentre", kappa_nu(m)))
    if regular:
        slow = 2 * m / (m + 1)  # the cross term of omega and tau, which a kink tells from a slope
        rows += [Row("eta", "barycentre", slow if second.interaction == 1 else 1.0), Row("tau", "barycentre", 1.0)]
        return [*rows, _slopes_mean(cell, gating, edge)] if cell.gated else rows
    if second.interaction == 2:  # odd powers of x are those of eta, and even ones those of tau
        return [*rows, *(Row(name, "barycentre", 1.0) for name in ("eta", "tau"))]
    if second.interaction == 1:
        fixed = ("open", "derived at a fixed spread of omega only")
        return [*rows, Row("eta", "barycentre", float(m), *bound), Row("tau", "barycentre", 1.0, *fixed)]
    weights = "derived; with expected gate weights, not exp(beta)"
    return [*rows, *(Row(name, "barycentre", 1.0, source=weights) for name in ("eta", "tau"))]


def _free_gate(cell, factored):
    """Rows of omega and beta in a cell whose group has a gate that is not identified."""
    factor = factored or not cell.gated
    why = "a common factor of all gates is not seen" if factor else "centres of equal gates are not seen"
    rows = [Row("omega", "weighted", np.inf, source=f"derived: {why}")]
    # without centres the factor has one value and one slope at the centre of x, which the canonical form takes off
    mean = Row("omega", "barycentre", np.inf, source=f"derived: {why}")
    if factored and cell.gated:
        mean = Row("omega", "barycentre", 1.0, source="derived; canonical form, at the centre of x")
    if cell.m > 1:
        rows.append(mean)
    seen = mean.source if factored else "derived; with expected gate weights, not exp(beta)"
    return [*rows, Row("beta", "mass", 1.0, source=seen)] if cell.gated else rows


def _slopes_mean(cell, gating, edge):
    """Barycentre of omega where the cell's share of the group is identified, and with it the slope of the share."""
    if edge:
        return Row("omega", "barycentre", 1.5, source=_note(of(gating)[1], 1, edge))
    if not isinstance(cell, Shared):
        return Row("omega", "barycentre", 1.0)
    if cell.free and len(set(gating)) == 1 and not of(gating)[1].located and cell.gated:
        return Row("omega", "barycentre", 1.5, "open", "derived lower bound (level-1 slopes and masses trade off)")
    return Row("omega", "barycentre", 1.0, *_sketch(cell))


def _sketch(cell):
    return ("open", "derived for an identified level 1") if cell.free else ("derived", "derived")


def _note(gate, d, edge=False):
    if edge:
        return "derived: on an edge of the support or beyond, a centre is seen from one side"
    return "derived, up to a logarithm" if gate.kinked and d == 2 else "derived"


def _sharp_group(G0, m, words, gating):
    """Level-1 rows of a true group fitted by m groups."""
    mass = [Row("b", "mass", 1.0)] if G0.k1 > 1 else []
    if m == 1 and G0.k1 == 1:
        return []
    if words != "unidentified":
        edge = words == "edge"
        note = _note(of(gating)[0], G0.d, edge) if m > 1 or edge else "derived"
        rows = [Row("a", "weighted", kappa_gate(m, 1, gating, G0.d, edge=edge), source=note), *mass]
        mean = Row("a", "barycentre", 1.5 if edge else 1.0, source=note if edge else "derived")
        return [*rows, mean] if m > 1 else rows
    if m == 1:
        return [Row("a", "weighted", np.inf, source="derived: centres of equal gates are not seen"), *mass]
    rows = [Row("a", "weighted", np.inf, source="derived: a common factor of all gates is not seen"), *mass]
    if of(gating)[0].located:
        return [*rows, Row("a", "barycentre", np.inf, source="derived: centres of equal gates are not seen")]
    # a common factor moves all barycentres alike, which centring takes out; all of it, if there is one true group
    return [*rows, Row("a", "barycentre", 1.0)] if G0.k1 > 1 else rows


def _sharp_shared(cell, gating, d):
    """Rows of a cell whose true group is that of several fitted groups."""
    (first, second), m = of(gating), cell.m
    regular = not (cell.split or cell.averaged)
    tilt1 = cell.free and not first.located
    tilted = tilt1 or not (second.located or regular)
    eta = kappa_eta(m, gating, tilted=tilted, compensated=cell.compensated > 0)
    # explicit paths: Gauss-Hermite tilts by a, by omega, and by omega with the errors of the gates cancelled
    c = cell.compensated * (second.interaction == 1)
    slow1, slow2 = first.interaction == 1, second.interaction == 1
    attained = max(2.0, slow1 * tilt1 * cell.tilt, slow2 * cell.split, 4 * c / (c + 2))
    bound = ("derived", "derived")
    if 2 in (first.interaction, second.interaction):  # cells of several groups were not worked out for these
        eta = max(eta, attained, 4 * m / (m + 2))
        paths = f"explicit paths give {attained:.3g}"
        bound = ("open", f"a lower bound; {paths}" if tilted else f"derived (sketch): at most; {paths}")
    elif eta > attained:
        bound = ("open", f"derived (sketch): at most; explicit paths give {attained:.3g}")
    elif eta > 2:
        bound = ("open", "derived lower bound (Gauss-Hermite tilt)")
    rows = [
        Row("eta", "weighted", eta, *bound),
        Row("tau", "weighted", kappa_tau(m), source=order_source(m)),
        Row("nu", "weighted", kappa_nu(m), source=order_source(m)),
        Row("nu", "barycentre", kappa_nu(m)),
    ]
    slow = 2 * m / (m + 1)
    alive = slow1 or (slow2 and m > cell.groups)  # an interaction with tau that nothing tells apart from eta
    if (tilted or cell.compensated) and (slow1 or slow2):
        rows.append(Row("eta", "barycentre", eta, *bound))
    else:
        rows.append(Row("eta", "barycentre", slow if alive else 1.0, *_sketch(cell)))
    averages = slow1 and second.located and cell.seen  # weights are averages under a level-1 gate that is off by a tilt
    if averages and tilt1:
        rows.append(Row("tau", "barycentre", eta, "open", "derived (sketch): at most"))
    elif tilted or cell.free:
        rows.append(Row("tau", "barycentre", slow if averages else 1.0, "open", "derived for identified gates"))
    else:
        rows.append(Row("tau", "barycentre", slow if averages else 1.0))
    return [*rows, *_shared_gates(cell, gating, d)]


def _shared_gates(cell, gating, d):
    """The rows of omega and beta of `_sharp_shared`."""
    m, factored = cell.m, not of(gating)[1].located
    sketch = _sketch(cell)
    if cell.averaged:
        why = "derived: equal gates average out over the fitted groups"
        beta = Row("beta", "mass", np.inf, source=why)
        rows = [Row("omega", kind, np.inf, "open", f"{why}, if three or more") for kind in ("weighted", "barycentre")]
    elif cell.split:
        none = "derived: a common factor of all gates is not seen"
        beta = Row("beta", "mass", kappa_mass(cell.groups), *sketch)
        mean = _slopes_mean(cell, gating, cell.edge) if factored else Row("omega", "barycentre", np.inf, source=none)
        rows = [Row("omega", "weighted", np.inf, source=none), mean]
    else:
        beta = Row("beta", "mass", kappa_mass(cell.groups), *sketch)
        omega = kappa_gate(m, 2, gating, d, compensated=cell.compensated > 0, edge=cell.edge)
        note = sketch if cell.free else ("derived", _note(of(gating)[1], d, cell.edge))
        rows = [Row("omega", "weighted", omega, *note), _slopes_mean(cell, gating, cell.edge)]
    if cell.free and not factored:
        beta = Row("beta", "mass", np.inf, source="derived: an average under a gate that is not identified")
    return (rows if cell.seen else []) + ([beta] if cell.gated else [])


# -- the table --------------------------------------------------------------------------------------------------------
def _qualified(rows, G0, x):
    """Rows with the reservations that the truth calls for."""
    if same := identify.equal_experts(G0):
        note = f"; for experts that differ, which {same[0][0]} and {same[0][1]} of the truth do not"
        rows = [(*row[:7], "open" if row[7] != "refuted here" else row[7], row[8] + note) for row in rows]
    if pairs := identify.regroupable(G0, x):
        note = f"; near this writing only: leaves of groups {pairs[0][0]} and {pairs[0][1]} can be grouped otherwise"
        rows = [row if row[0] == 0 else (*row[:8], row[8] + note) for row in rows]
    return rows


def _sorted(rows):
    """The rows in order, the slowest one of those that differ in nothing but their exponent."""
    order = {name: i for i, name in enumerate(["loss", "hellinger", "a", "b", "omega", "beta", "eta", "tau", "nu"])}
    slowest = {row[:6]: row for row in sorted(rows, key=lambda row: row[6])}  # of the cells that a row speaks of
    return sorted(slowest.values(), key=lambda row: (row[0], row[2], row[3], row[1], order[row[4]], row[5]))


def _frame(rows, gating, form, classed=False):
    import pandas as pd

    table = [(*row[:6], float(row[6]), 0.5 / row[6], *row[7:]) for row in rows]
    known = limits(rows, gating, form, classed)
    return pd.DataFrame([a + b for a, b in zip(table, known, strict=True)], columns=[*COLUMNS, *LIMITS])
