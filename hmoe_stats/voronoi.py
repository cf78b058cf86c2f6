"""Parameter errors of a fitted mixing measure over Voronoi cells, and the Voronoi loss.

Fitted components are sorted into cells by `hmoe_stats.matching`. Losses of this kind: arXiv 2305.03288 (flat softmax
gating) and arXiv 2410.02935 (hierarchical); their exponents are those of
`hmoe_stats.theory.kappa`, the published ones and those derived for this package ("sharp").
"""

from __future__ import annotations

import numpy as np

from .arguments import check_known
from .functionals import gate_errors, leaf_weights
from .gates import of
from .kinds import AnyMeasure, Frame, Law, Measure
from .matching import experts_of, match, shares_of
from .measure import as_measure
from .theory.exponents import kappa_eta, kappa_gate, kappa_mass, kappa_nu, kappa_tau

FORMS = ("sharp", "published")


# -- errors ---------------------------------------------------------------------------------------------------------


def parameter_errors(G: AnyMeasure, G0: AnyMeasure, x: Law) -> Frame:
    """Errors of a fitted measure, parameter by parameter and Voronoi cell by Voronoi cell.

    Parameters
    ----------
    G, G0 : MixingMeasure, CategoricalMeasure, or a fit of either
        Fitted and true measure: the same gating and d; G has at least as many groups, and any number of experts.
        Categorical ones have no nu; tau and eta are those of all classes, one vector an expert.
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
    G0 = cells.true.measure
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
        for name in ("omega", *true.family.arrays):
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


def voronoi_loss(G: Measure, G0: Measure, form: str = "sharp", x: Law | None = None) -> float:
    """Voronoi loss of a fitted measure: cell masses and differences, each with an exponent that makes it of order h.

    With V_j the fitted groups of true group j, M their number, m the number of fitted experts in the cell of a true
    expert, and w the weights of `parameter_errors`,

        L = sum_j |sum_{i in V_j} w_i - w*_j| + sum_j sum_{i in V_j} w_i { |D a_i|^ka(M)
            + sum_l |sum_{e in cell l of i} w_{e|i} - w*_{l|j}|^kb(M)
            + sum_l sum_{e in cell l of i} w_{e|i} (|D omega|^ko(m) + |D eta|^ke(m) + |D tau|^kt(m) + |D nu|^kn(m)) }.

    In the sharp form, where some gate is not identified (`hmoe_stats.identify`), masses and gates say too little, and

        L = sum_l E |sum_{e in cell l} W_e(X) - W*_l(X)| + sum_e E W_e(X) (|D eta|^ke + |D tau|^kt + |D nu|^kn)
            + sum_i E g_i(X) |D a_i|^ka (level 1 identified) + sum_e E W_e(X) |D omega|^ko (e in a group that is),

    over all true leaves l and fitted leaves e, W the weights of leaves, g those of groups as functions of x, and E the
    mean over its law.

    Parameters
    ----------
    G, G0 : MixingMeasure or FitResult
        Fitted and true measure: the same gating and d; G has at least as many groups, and any number of experts.
    form : {"sharp", "published"}
        Exponents: derived ones, of which the Hellinger distance bounds the loss up to a constant near G0; or those of
        arXiv 2410.02935 as reported (r(m) for m >= 4 derived). See `hmoe_stats.theory.kappa`.
    x : Uniform, Normal or (n, d) array
        Law of the covariates; required.

    Returns
    -------
    float
        Zero at every writing of G0 in which fitted groups cover true ones, also where components are split into copies
        that share the weight. The sharp form is zero only where the densities agree on the support of x.

    Raises
    ------
    ValueError
        As `parameter_errors`; or if `form` is unknown.

    Notes
    -----
    Not identified is, say, a softmax gate each of whose true components has two fitted copies or more: adding the same
    slope to one copy of each leaves the density as it is. The published form counts slopes there as everywhere, and is
    positive at such writings of the truth: it is kept as published (`hmoe_stats.theory.rates`: refuted here).

    How far the sharp form controls the density: on a compact, h^2 <= C L if no cell has more than one component, and
    h^2 <= C L^(1/m) with m the size of the largest cell: a step t of all intercepts in a cell together has h of order t
    and L of order t^(2m). `functional_errors` has the cell means that see it.
    """
    check_known("form", form, FORMS, "'sharp' or 'published'")
    cells = match(as_measure("G", G), as_measure("G0", G0), x)
    loss = _in_functions if form == "sharp" and cells.any_gate_free() else _in_masses
    return float(loss(cells, form))


def _in_masses(cells, form):
    """The loss where all gates are identified, and the published one."""
    fit, true = cells.fit.measure, cells.true.measure
    loss = 0.0
    for j in range(true.k1):
        groups = cells.groups_of(j)
        loss += abs(cells.fit.groups[groups].sum() - cells.true.groups[j])
        for i in groups:
            term = 0.0
            term += _group_gap(cells, i, form)
            term += (cells.mass_gaps(i) ** kappa_mass(groups.size)).sum()
            for e in range(*experts_of(fit, i).indices(fit.n_experts)):
                gap = _expert_gap(cells, e, form)
                gap += _gate_gap(cells, e, form)
                term += cells.fit.experts[e] * gap
            loss += cells.fit.groups[i] * term
    return loss


def _in_functions(cells, form):
    """The loss where some gate is not identified."""
    fit = cells.fit.measure
    free1, (first, second) = cells.gate_free(1), of(fit.gating)
    weights = leaf_weights(cells)
    loss = gate_errors(cells).sum()
    for i in range(fit.k1):
        here = experts_of(fit, i)
        free2 = cells.gate_free(2, i)
        tilted = (free1 and not first.located) or (free2 and not second.located)
        if not free1:
            loss += weights[here].sum() * _group_gap(cells, i, form)
        for e in range(*here.indices(fit.n_experts)):
            gap = _expert_gap(cells, e, form, tilted)
            if not free2:
                gap += _gate_gap(cells, e, form, free1)
            loss += weights[e] * gap
    return loss


def _group_gap(cells, i, form):
    fit, true, j = cells.fit.measure, cells.true.measure, cells.group[i]
    M = len(cells.groups_of(j))
    gap = np.linalg.norm(fit.a[i] - true.a[j])
    return gap ** kappa_gate(M, 1, true.gating, true.d, form, edge=cells.at_edge(1)[j])


def _expert_gap(cells, e, form, tilted=False):
    fit, true, leaf = cells.fit.measure, cells.true.measure, cells.expert[e]
    m = cells.size(leaf)
    kappa = kappa_eta(m, true.gating, form, tilted, cells.compensated(cells.group[fit.group[e]]))
    gap = np.linalg.norm(fit.eta[e] - true.eta[leaf]) ** kappa
    gap += abs(fit.tau[e] - true.tau[leaf]) ** kappa_tau(m) + abs(fit.nu[e] - true.nu[leaf]) ** kappa_nu(m)
    return gap


def _gate_gap(cells, e, form, free1=False):
    fit, true, leaf = cells.fit.measure, cells.true.measure, cells.expert[e]
    j = cells.group[fit.group[e]]
    edge, m = not free1 and cells.at_edge(2, j)[leaf - true.offsets[j]], cells.size(leaf)
    kappa = kappa_gate(m, 2, true.gating, true.d, form, cells.compensated(j), edge)
    if free1 and m > 1:  # the exponent is known for smooth gates only, and safe for all
        kappa = max(kappa, 2.0)
    return np.linalg.norm(fit.omega[e] - true.omega[leaf]) ** kappa
