"""Parameter errors of a fitted mixing measure over Voronoi cells, and the Voronoi loss.

Fitted components are sorted into cells by `hmoe_stats.matching`. Losses of this kind: arXiv 2305.03288 (flat softmax
gating) and arXiv 2410.02935 (hierarchical); their exponents are those of
`hmoe_stats.theory.kappa`, the published ones and those derived for this package ("sharp").
"""

import numpy as np

from .matching import experts_of, match, shares_of
from .theory.exponents import kappa_eta, kappa_gate, kappa_mass, kappa_nu, kappa_tau

FORMS = ("sharp", "published")


# -- errors ---------------------------------------------------------------------------------------------------------


def parameter_errors(G, G0, x):
    """Errors of a fitted measure, parameter by parameter and Voronoi cell by Voronoi cell.

    Parameters
    ----------
    G, G0 : MixingMeasure
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

    cells = match(G, G0, x)
    rows = []
    for j in range(G0.k1):
        rows += _group_rows(cells, j)
    for j in range(G0.k1):
        for leaf in range(*experts_of(G0, j).indices(G0.n_experts)):
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
    shares = shares_of(weights)
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
    G, G0 : MixingMeasure
        Fitted and true measure: the same gating and d; G has at least as many groups, and any number of experts.
    form : {"sharp", "published"}
        Exponents: derived ones, of which the Hellinger distance bounds the loss up to a constant near G0; or those of
        arXiv 2410.02935 as reported (r(m) for m >= 4 derived). See `hmoe_stats.theory.kappa`.
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
    if form not in FORMS:
        raise ValueError(f"form must be 'sharp' or 'published'; got {form!r}")
    cells = match(G, G0, x)
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
            for e in range(*experts_of(fit, i).indices(fit.n_experts)):
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
