"""Voronoi cells of a fitted mixing measure around a true one, parameter errors over the cells, and the Voronoi loss.

Both measures are written in canonical form first, with the covariates recentred, so that errors do not depend on how
a density is written: labels, softmax translations, Laplace intercept shifts, Laplace centres beyond the support.
Fitted groups are then matched to true groups, and fitted experts to the experts of the matched group, by quantities no
translation changes (expert lines and variances). Losses of this kind: arXiv 2305.03288 (flat softmax gating) and
arXiv 2410.02935 (hierarchical); their exponents are the `kappa_...` functions below, the published ones and those
derived for this package ("sharp").
"""

from dataclasses import dataclass

import numpy as np

from .arguments import check_known
from .likelihood import gate_weights
from .measure import MixingMeasure, as_measure
from .sampling import Empirical, as_law

FORMS = ("sharp", "published")
_DRAWS = 20_000  # covariates behind the Laplace gate masses where d > 1; their key is fixed, so a loss has no noise
_KEY = 20241002935
_FAR = 1e100  # edge of an unbounded support: no centre is clipped there
_TIE = 1e-6  # weight of the gate slopes when groups are matched: it decides between groups with equal experts


# -- exponents: a term with exponent kappa is of the order of the Hellinger distance --------------------------------


def kappa_gate(m, level, gating, d, form="sharp", compensated=False):
    """Exponent of a gate slope or centre, ``a`` (level 1) or ``omega`` (level 2), in a cell of m fitted components.

    Sharp (derived): 2 under softmax gates; 3/2 under Laplace gates with d = 1, whose kink gives one window of width
    s and height s to a split of width s; 2 for d >= 2 (up to a logarithm at d = 2). 4 for omega under softmax if
    fitted groups share the true group and split different experts of it (`compensated`: every expert is split in some
    group), as their errors of order s^2 cancel in the mean over the groups. Published (arXiv 2410.02935, as reported):
    r(m) wherever a softmax gate is present, 2 for LL.
    """
    if m == 1:
        return 1.0
    if form == "published":
        return 2.0 if gating == "LL" else kappa_tau(m)
    if gating[level - 1] == "L":
        return 1.5 if d == 1 else 2.0
    return 4.0 if compensated else 2.0


def kappa_eta(m, gating, form="sharp", tilted=False, compensated=False):
    """Exponent of an expert slope in a cell of m fitted experts.

    Sharp (derived): 2; max(2, m) where a softmax gate is unidentified (`tilted`); at most max(2, 4m/(m + 2)) where
    omega has exponent 4 (`compensated`, as in `kappa_gate`). Published (arXiv 2410.02935, as reported): r(m)/2
    wherever a softmax gate is present, 2 for LL.
    """
    if m == 1:
        return 1.0
    if form == "published":
        return 2.0 if gating == "LL" else kappa_nu(m)
    if tilted:
        return max(2.0, float(m))
    return max(2.0, 4.0 * m / (m + 2)) if compensated else 2.0


def kappa_tau(m):
    """Exponent r(m) of an expert intercept: r(2) = 4, r(3) = 6 (Ho and Nguyen 2016); r(m) = 2m for m >= 4, derived."""
    return 1.0 if m == 1 else 2.0 * m


def kappa_nu(m):
    """Exponent r(m)/2 of an expert variance, r as in `kappa_tau`."""
    return float(m)


def kappa_mass(n_groups):
    """Exponent of a level-2 cell mass where `n_groups` fitted groups share a true group (derived)."""
    return 1.0 if n_groups == 1 else 2.0


def averages_out(G0, j, n_groups):
    """Whether `n_groups` fitted groups of true group j leave its gate unidentified although each has the right size.

    They do if two of its experts have equal gate slopes (centres): their shares are constant, and a constant is the
    mean over the fitted groups of other constants (derived).
    """
    gates = G0.omega[_experts(G0, j)]
    return n_groups > 1 and len(np.unique(gates, axis=0)) < len(gates)


# -- cells ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Side:
    """A measure with recentred canonical gates, and the weights of its groups and, within groups, of its experts."""

    measure: MixingMeasure
    groups: np.ndarray  # (k1,) sums to 1
    experts: np.ndarray  # (K,) sums to 1 within each group


@dataclass(frozen=True)
class _Cells:
    """Fitted components sorted into the Voronoi cells of the true ones."""

    fit: _Side
    true: _Side
    group: np.ndarray  # (k1,) true group of each fitted group
    expert: np.ndarray  # (K,) true expert of each fitted expert, counted over the whole tree
    low: np.ndarray  # (d,) support of the recentred covariates
    high: np.ndarray

    def groups_of(self, j):
        """Fitted groups of true group j."""
        return np.flatnonzero(self.group == j)

    def shares(self, groups):
        """Weights of some fitted groups, made to sum to 1; equal ones if none has any weight."""
        return _shares(self.fit.groups[groups])

    def mass_gaps(self, i):
        """|sum of weights in the cell - true weight| for each true expert of the group matched to fitted group i."""
        here, there = _experts(self.fit.measure, i), _experts(self.true.measure, self.group[i])
        mass = np.bincount(self.expert[here] - there.start, self.fit.experts[here], self.true.measure.k2[self.group[i]])
        return np.abs(mass - self.true.experts[there])

    def compensated(self, j):
        """Whether the fitted groups of true group j, two or more, split all of its experts under softmax gates."""
        n_groups, G0 = len(self.groups_of(j)), self.true.measure
        sizes = np.bincount(self.expert, minlength=G0.n_experts)[_experts(G0, j)]
        return bool(G0.gating[1] == "S" and n_groups > 1 and len(sizes) > 1 and sizes.min() > n_groups)

    def gate_free(self, level, i=None):
        """Whether a gate is unidentified: that of level 1, or of fitted group i at level 2.

        It is if all its true components are doubled, unless a true Laplace gate is pinned by its kinks: centres not all
        equal, and inside the support. At level 2 it also is if `averages_out`.
        """
        G0 = self.true.measure
        if level == 2 and averages_out(G0, self.group[i], len(self.groups_of(self.group[i]))):
            return True
        if level == 1:
            doubled, centres = np.bincount(self.group, minlength=G0.k1).min() >= 2, G0.a
        else:
            there = _experts(G0, self.group[i])
            cells = self.expert[_experts(self.fit.measure, i)] - there.start
            doubled, centres = np.bincount(cells, minlength=G0.k2[self.group[i]]).min() >= 2, G0.omega[there]
        distinct = (centres != centres[0]).any()
        inside = G0.d > 1 or ((centres > self.low) & (centres < self.high)).all()
        return bool(doubled and not (G0.gating[level - 1] == "L" and distinct and inside))


def _experts(G, i):
    """Where the experts of group i are stored."""
    return slice(int(G.offsets[i]), int(G.offsets[i + 1]))


def _shares(weights):
    total = weights.sum()
    return weights / total if total > 0 else np.full(weights.size, 1.0 / max(weights.size, 1))


def _frame(law, d):
    """Centre of the covariates, and their support as seen from it; a law on the whole line is centred at its mean."""
    low, high = law.support(d)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return law.mean(d), np.full(d, -_FAR), np.full(d, _FAR)
    centre = 0.5 * (low + high)
    return centre, low - centre, high - centre


def _recentred(G, centre, low, high):
    """`G` with its gates written in x - centre, in canonical form; experts are left alone.

    Intercepts of softmax gates are then log-probabilities at the centre.
    """
    gates = []
    for letter, slopes, intercepts in zip(G.gating, (G.a, G.omega), (G.b, G.beta), strict=True):
        softmax = letter == "S"
        gates += [slopes if softmax else slopes - centre, intercepts + slopes @ centre if softmax else intercepts]
    return G.replace(a=gates[0], b=gates[1], omega=gates[2], beta=gates[3]).canonical(support=(low, high))


def _covariates(law, G, G0):
    """Points (n, d) and weights (n,) over which Laplace gate masses are averaged, the same for both measures."""
    if isinstance(law, Empirical):
        return law.x, np.full(len(law.x), 1.0 / len(law.x))
    if G.d == 1:
        centres = [H.a[:, 0] for H in (G, G0) if G.gating[0] == "L"]
        centres += [H.omega[:, 0] for H in (G, G0) if G.gating[1] == "L"]
        nodes, weights = law.quadrature(breaks=np.concatenate(centres))
        return nodes[:, None], weights
    rng = np.random.default_rng(np.random.SeedSequence(_KEY))
    return law.sample(rng, _DRAWS, G.d), np.full(_DRAWS, 1.0 / _DRAWS)


def _side(G, canonical, points):
    """Weights: softmax gates at the centre; Laplace gates averaged over the covariates (centres have no scale)."""
    groups, experts = np.exp(canonical.b), np.exp(canonical.beta)
    if points is not None:
        joint = points[1] @ gate_weights(G, points[0])
        mass = np.add.reduceat(joint, G.offsets[:-1])
        if G.gating[0] == "L":
            groups = mass
        if G.gating[1] == "L":
            experts = np.concatenate([_shares(joint[_experts(G, i)]) for i in range(G.k1)])
    return _Side(canonical, groups, experts)


def _match(G, G0, x):
    """Check the arguments and sort the components of G into the Voronoi cells of G0."""
    G, G0 = as_measure("G", G), as_measure("G0", G0)
    if G.gating != G0.gating:
        raise ValueError(f"G must have the gating of G0, {G0.gating!r}; got {G.gating!r}")
    if G.d != G0.d:
        raise ValueError(f"G must have as many covariates as G0, d = {G0.d}; got d = {G.d}")
    if G.k1 < G0.k1:
        raise ValueError(f"G must have at least as many groups as G0, k1 = {G0.k1}; got k1 = {G.k1}")
    law = as_law(x)
    centre, low, high = _frame(law, G0.d)
    points = _covariates(law, G, G0) if "L" in G.gating else None
    fit, true = (_side(H, _recentred(H, centre, low, high), points) for H in (G, G0))

    distance = _expert_distances(G, G0, law)
    cost = np.empty((G.k1, G0.k1))
    for i in range(G.k1):
        for j in range(G0.k1):
            here, there = _experts(G, i), _experts(G0, j)
            block = distance[here, there]
            gate = ((fit.measure.a[i] - true.measure.a[j]) ** 2).sum()
            cost[i, j] = fit.experts[here] @ block.min(axis=1) + true.experts[there] @ block.min(axis=0) + _TIE * gate
    from scipy.optimize import linear_sum_assignment  # a quarter of a second that not every process needs

    group = linear_sum_assignment(cost)[1] if G.k1 == G0.k1 else cost.argmin(axis=1)

    expert = np.empty(G.n_experts, dtype=int)
    for i, j in enumerate(group):
        here, there = _experts(G, i), _experts(G0, j)
        block = distance[here, there]
        apart = np.linalg.norm(fit.measure.omega[here, None] - true.measure.omega[None, there], axis=2)
        nearest = block.min(axis=1, keepdims=True)
        expert[here] = there.start + np.where(block <= nearest * (1 + 1e-9) + 1e-12, apart, np.inf).argmin(axis=1)
    return _Cells(fit, true, group, expert, low, high)


def _expert_distances(G, G0, law):
    """(K, K*): the root of E (d_eta' x + d_tau)^2 / nu* + (d_nu / nu*)^2."""
    d_eta = G.eta[:, None] - G0.eta[None]
    d_mean = d_eta @ law.mean(G.d) + G.tau[:, None] - G0.tau[None]
    variance = np.einsum("ijc,ce,ije->ij", d_eta, law.cov(G.d), d_eta)
    return np.sqrt((d_mean**2 + variance) / G0.nu + ((G.nu[:, None] - G0.nu) / G0.nu) ** 2)


# -- errors ---------------------------------------------------------------------------------------------------------


def parameter_errors(G, G0, x):
    """Errors of a fitted measure, parameter by parameter and Voronoi cell by Voronoi cell.

    Parameters
    ----------
    G, G0 : MixingMeasure or FitResult
        Fitted and true measure: the same gating and d; G has at least as many groups, and any number of experts.
    x : Uniform, Normal or (n, d) array
        Law of the covariates. Matching, canonical forms and Laplace gate masses depend on it.

    Returns
    -------
    pandas.DataFrame
        One row a number: level (1, 2), cell (``"0"``: true group 0; ``"0,1"``: its expert 1), size (number m of fitted
        groups or experts in the cell), parameter, kind, error. With weights w over a cell and differences D,

        - kind "weighted": ``sum w |D| / sum w`` of a, omega, eta, tau, nu (Euclidean norm);
        - kind "barycentre": ``|sum w D| / sum w``, for cells of two or more, where it differs;
        - kind "mass" of b and beta: ``|sum w - w*|``; at level 2 within each fitted group, then averaged over the
          groups that share a true group.

    Raises
    ------
    ValueError
        If a measure or the law is missing, gatings or d differ, or G has fewer groups than G0.

    Notes
    -----
    Weights are gate probabilities at the centre of the covariates (softmax) or averaged over them (Laplace). An
    expert's weight is that of its group, among the fitted groups of the same true group, times its own in the group.
    Rows that normalisation makes zero are left out: level 1 where there is one true group (masses; slopes too if one
    is fitted), the masses of a true group of one expert, and omega there if the fitted groups have one expert too.
    """
    import pandas as pd

    cells = _match(G, G0, x)
    G0 = cells.true.measure
    rows = []
    for j in range(G0.k1):
        rows += _group_rows(cells, j)
    for j in range(G0.k1):
        for leaf in range(*_experts(G0, j).indices(G0.n_experts)):
            rows += _expert_rows(cells, j, leaf)
    return pd.DataFrame(rows, columns=["level", "cell", "size", "parameter", "kind", "error"])


def _group_rows(cells, j):
    fit, true, groups = cells.fit, cells.true, cells.groups_of(j)
    rows = []
    if groups.size and fit.measure.k1 > 1:
        rows += _averages("a", fit.measure.a[groups] - true.measure.a[j], cells.shares(groups))
    if true.measure.k1 > 1:
        rows.append(("b", "mass", abs(fit.groups[groups].sum() - true.groups[j])))
    return [(1, str(j), groups.size, *row) for row in rows]


def _expert_rows(cells, j, leaf):
    fit, true, groups = cells.fit.measure, cells.true.measure, cells.groups_of(j)
    first, shares = int(true.offsets[j]), cells.shares(groups)
    members = np.flatnonzero(cells.expert == leaf)
    rows = []
    if members.size:
        group_share = dict(zip(groups.tolist(), shares, strict=True))
        weights = cells.fit.experts[members] * [group_share[i] for i in fit.group[members].tolist()]
        for name in ("omega", "eta", "tau", "nu"):
            constant = true.k2[j] == 1 and max(fit.k2[i] for i in groups) == 1
            if name != "omega" or not constant:
                gap = getattr(fit, name)[members] - getattr(true, name)[leaf]
                rows += _averages(name, gap.reshape(members.size, -1), weights)
    if true.k2[j] > 1 or not members.size:
        gaps = [cells.mass_gaps(i)[leaf - first] for i in groups]
        rows.append(("beta", "mass", float(shares @ gaps) if gaps else cells.true.experts[leaf]))
    return [(2, f"{j},{leaf - first}", members.size, *row) for row in rows]


def _averages(name, gaps, weights):
    """Weighted error of a cell and, where it has two members or more, the error of its barycentre."""
    shares = _shares(weights)
    rows = [(name, "weighted", float(shares @ np.linalg.norm(gaps, axis=1)))]
    if len(gaps) > 1:
        rows.append((name, "barycentre", float(np.linalg.norm(shares @ gaps))))
    return rows


def voronoi_loss(G, G0, form="sharp", x=None):
    """Voronoi loss of a fitted measure: cell masses and differences, each with an exponent that makes it of order h.

    With V_j the fitted groups of true group j, M their number, m the number of fitted experts in the cell of a true
    expert, and w the weights of `parameter_errors`,

        L = sum_j |sum_{i in V_j} w_i - w*_j| + sum_j sum_{i in V_j} w_i { |D a_i|^ka(M)
            + sum_l |sum_{e in cell l of i} w_{e|i} - w*_{l|j}|^kb(M)
            + sum_l sum_{e in cell l of i} w_{e|i} (|D omega|^ko(m) + |D eta|^ke(m) + |D tau|^kt(m) + |D nu|^kn(m)) }.

    Parameters
    ----------
    G, G0 : MixingMeasure or FitResult
        Fitted and true measure: the same gating and d; G has at least as many groups, and any number of experts.
    form : {"sharp", "published"}
        Exponents: derived ones, of which the Hellinger distance bounds the loss up to a constant near G0; or those of
        arXiv 2410.02935 as reported (r(m) for m >= 4 derived). See the `kappa_...` functions of this module.
    x : Uniform, Normal or (n, d) array
        Law of the covariates; required.

    Returns
    -------
    float
        Zero at every writing of G0, also where components are split into copies that share the weight.

    Raises
    ------
    ValueError
        As `parameter_errors`; or if `form` is unknown.

    Notes
    -----
    If every true component of a gate has two fitted copies or more, a softmax gate is not identified: adding the same
    slope to one copy of each leaves the density as it is. The same goes for Laplace centres that are all equal, or not
    all inside the support, and for a level-2 gate with two equal slopes (centres) whose group is shared by
    two fitted groups or more. The sharp form then drops the slopes and masses of that gate (of level 1: also the
    masses of Laplace gates below it, which are averages under the level-1 gate); the published form keeps them, and
    need not vanish at such a writing of the truth.
    """
    check_known("form", form, FORMS, "'sharp' or 'published'")
    cells = _match(G, G0, x)
    sharp = form == "sharp"
    fit, true = cells.fit.measure, cells.true.measure
    free1 = sharp and cells.gate_free(1)
    sizes = np.bincount(cells.expert, minlength=true.n_experts)
    # With level 1 unidentified the exponent of omega is known for softmax only; 2 is safe for both gates.
    gate2 = true.gating[0] + "S" if free1 else true.gating

    loss = 0.0
    for j in range(true.k1):
        groups, compensated = cells.groups_of(j), cells.compensated(j)
        if not free1:
            loss += abs(cells.fit.groups[groups].sum() - cells.true.groups[j])
        for i in groups:
            free2 = sharp and cells.gate_free(2, i)
            tilted = (free1 and true.gating[0] == "S") or (free2 and true.gating[1] == "S")
            term = 0.0
            if not free1:
                gap = np.linalg.norm(fit.a[i] - true.a[j])
                term += gap ** kappa_gate(groups.size, 1, true.gating, true.d, form)
            if not free2 and not (free1 and true.gating[1] == "L"):
                term += (cells.mass_gaps(i) ** kappa_mass(groups.size)).sum()
            for e in range(*_experts(fit, i).indices(fit.n_experts)):
                leaf = cells.expert[e]
                m = int(sizes[leaf])
                kappa = kappa_eta(m, true.gating, form, tilted, compensated)
                gap = np.linalg.norm(fit.eta[e] - true.eta[leaf]) ** kappa
                gap += abs(fit.tau[e] - true.tau[leaf]) ** kappa_tau(m) + abs(fit.nu[e] - true.nu[leaf]) ** kappa_nu(m)
                if not free2:
                    apart = np.linalg.norm(fit.omega[e] - true.omega[leaf])
                    gap += apart ** kappa_gate(m, 2, gate2, true.d, form, compensated)
                term += cells.fit.experts[e] * gap
            loss += cells.fit.groups[i] * term
    return float(loss)
