"""Errors of what a measure says as functions: experts over their cells, gates, cell means, routing.

Unlike parameters, these do not depend on how a density is written. The errors of gates, cell means and routing are of
the order of the Hellinger distance under every gating, also where gates are not identified. Source: derived.
"""

from __future__ import annotations

import numpy as np

from .arguments import check_number
from .conditional import parts
from .kinds import AnyMeasure, Frame, Law
from .likelihood import gate_weights
from .matching import experts_of, match
from .quadrature import batches, gauss_legendre, integrals_of_absolute, lines, panels

_FEW = 2_000  # covariates at which routing is averaged over y, where they are points
_ORDER = 6  # nodes of a panel in y. Of 32 fits of C2, C3, C4 routing is right to 5e-5, half of them to 1e-6
_LEAST = -100.0  # logarithms below it count as it: nothing is seen of them but subnormal numbers, which take long
_ROW = 300  # nodes in y of a row of X, about: C2 has 205, C3 294


def functional_errors(G: AnyMeasure, G0: AnyMeasure, x: Law, weight: float = 0.01) -> Frame:
    """Errors of a fitted measure as functions of x, Voronoi cell by Voronoi cell.

    Parameters
    ----------
    G, G0 : MixingMeasure, CategoricalMeasure, or a fit of either
        Fitted and true measure, as in `hmoe_stats.parameter_errors`, but their gatings may differ: functions of x are
        compared whatever gates they come from.
    x : Uniform, Normal or (n, d) array
        Law of the covariates.
    weight : float
        The worst expert is looked for among those with an expected gate weight of at least this.

    Returns
    -------
    pandas.DataFrame
        One row a number: level, cell (``"0"``: true group 0; ``"0,1"``: its expert 1; ``""``: the whole measure), size
        (number of fitted groups or experts in the cell; 0 for the whole), parameter, error. With E the mean over x, W_i
        the weight of fitted leaf i (both gates), mu_i its line, cell j the fitted leaves of true leaf j, * the truth:

        - ``"expert"`` (level 2): ``(sum_i E W_i (mu_i - mu*_j)^2 / sum_i E W_i)^(1/2)`` over the cell;
        - ``"expert_worst"`` (level 2): the largest ``(E W_i (mu_i - mu*_j)^2 / E W_i)^(1/2)`` of its leaves with
          ``E W_i >= weight``; no row if there is none;
        - ``"gate"`` (levels 1, 2): ``E |sum_i W_i - W*_j|``; at level 1 with the gates of groups;
        - ``"cell_mean"`` (level 2): ``(E W*_j (sum_i W_i mu_i / sum_i W_i - mu*_j)^2)^(1/2)``;
        - ``"routing"`` (level 0): ``E sum_j |r_j - r*_j| / 2``, r_j the posterior probability of cell j given (x, y),
          the mean being over (x, y) under the truth.

        Empty cells have a gate error only. Of categorical experts mu_i is the vector of the probabilities of all
        classes, and squares are those of its length.

    Raises
    ------
    ValueError
        As `hmoe_stats.parameter_errors`, gatings aside, or if `weight` is not a number from 0 to 1.

    Notes
    -----
    Rates: "gate", "cell_mean" and "routing" n^(-1/2) always; "expert" n^(-1/2) in cells of one, n^(-1/(4m)) in cells of
    m, under every gating, as the intercepts dominate: rows of kind "function" of `hmoe_stats.theory.rates`. For d = 1
    and 2 means are quadratures; for a law with d > 2 they are over fixed draws, routing over 2,000 of them, as over
    that many rows of a longer array.
    """
    import pandas as pd

    weight = check_number("weight", weight, "a number from 0 to 1", lambda v: 0.0 <= v <= 1.0)
    cells = match(G, G0, x, any_gating=True)
    G0 = cells.true.given
    rows = [(0, "", 0, "routing", _routing(cells))]
    gates = cells.average.of_absolute(lambda X: _with_groups(G0, _gate_gaps(cells, X)))
    of_leaves, of_groups = gates[: G0.n_experts], gates[G0.n_experts :]
    if G0.k1 > 1:
        rows += [(1, str(j), len(cells.groups_of(j)), "gate", error) for j, error in enumerate(of_groups)]
    return pd.DataFrame(
        rows + _leaf_rows(cells, of_leaves, weight), columns=["level", "cell", "size", "parameter", "error"]
    ).astype({"error": float})


def gate_errors(cells):
    """(K*,) E |sum of the fitted leaf weights over a cell - the true leaf weight|, for each true leaf."""
    return cells.average.of_absolute(lambda X: _gate_gaps(cells, X))


def leaf_weights(cells):
    """(K,) expected weight of each fitted leaf."""
    X, weights = cells.average.fine
    return weights @ gate_weights(cells.fit.given, X)


def _over_cells(cells, values):
    """(n, K*) sums over the cells of the columns of `values`, (n, K)."""
    out = np.zeros((len(values), cells.true.given.n_experts))
    for cell, column in zip(cells.expert, values.T, strict=True):
        out[:, cell] += column
    return out


def _gate_gaps(cells, X):
    """(n, K*) sum of the fitted leaf weights over each cell, less the true leaf weight."""
    return _over_cells(cells, gate_weights(cells.fit.given, X)) - gate_weights(cells.true.given, X)


def _with_groups(G, values):
    """`values` (n, K) and beside them their sums over the groups of G, (n, K + k1)."""
    return np.hstack([values, np.add.reduceat(values, G.offsets[:-1], axis=1)])


def _expert_gaps(G, G0, expert, X):
    """What leaves say less what the leaves of their cells say, (n, K): of lines, or class by class of probabilities."""
    if G.family.classed:
        gaps = G.expert_proba(X) - G0.expert_proba(X)[:, expert]
        return list(np.moveaxis(gaps, 2, 0))
    return [X @ (G.eta - G0.eta[expert]).T + (G.tau - G0.tau[expert])]


def _leaf_rows(cells, gate, least):
    G, G0 = cells.fit.given, cells.true.given
    X, mean = cells.average.fine
    W, W0 = gate_weights(G, X), gate_weights(G0, X)
    total = _over_cells(cells, W)
    weight, square, cell_mean = mean @ W, 0.0, 0.0
    for gaps in _expert_gaps(G, G0, cells.expert, X):
        square = square + mean @ (W * gaps**2)
        shift = np.divide(_over_cells(cells, W * gaps), total, out=np.zeros_like(total), where=total > 0)
        cell_mean = cell_mean + mean @ (W0 * shift**2)
    cell_mean = np.sqrt(cell_mean)
    rows = []
    for j in range(G0.k1):
        for leaf in range(*experts_of(G0, j).indices(G0.n_experts)):
            members = np.flatnonzero(cells.expert == leaf)
            here = (2, f"{j},{leaf - int(G0.offsets[j])}", members.size)
            if weight[members].sum() > 0:
                rows.append((*here, "expert", np.sqrt(square[members].sum() / weight[members].sum())))
                heavy = members[(weight[members] >= least) & (weight[members] > 0)]
                if heavy.size:
                    rows.append((*here, "expert_worst", np.sqrt((square[heavy] / weight[heavy]).max())))
            rows.append((*here, "gate", gate[leaf]))
            if members.size:
                rows.append((*here, "cell_mean", cell_mean[leaf]))
    return rows


def _routing(cells):
    if cells.true.given.family.classed:
        return _routing_to_classes(cells)
    X, mean = cells.average.few(_FEW)
    experts = cells.fit.given.n_experts + cells.true.given.n_experts
    return 0.5 * sum(mean[rows] @ _routing_at(cells, X[rows]) for rows in batches(len(X), _ROW * experts))


def _routing_to_classes(cells):
    """As `_routing`: y has C values, over which p* sum_j |r_j - r*_j| is summed."""
    G, G0 = cells.fit.given, cells.true.given
    X, mean = cells.average.fine
    W, W0, P, P0 = gate_weights(G, X), gate_weights(G0, X), G.expert_proba(X), G0.expert_proba(X)
    total = 0.0
    for c in range(G0.n_classes):
        joint, joint0 = W * P[:, :, c], W0 * P0[:, :, c]
        r = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
        r0 = joint0 / np.maximum(joint0.sum(axis=1, keepdims=True), 1e-300)
        total = total + mean @ (joint0.sum(axis=1) * np.abs(_over_cells(cells, r) - r0).sum(axis=1))
    return 0.5 * float(total)


def _routing_at(cells, X):
    """(n,) integral over y of p* sum_j |r_j - r*_j| at rows of X: of |p* r_j - W*_j N*_j|, j a cell."""
    G, G0 = cells.fit.given, cells.true.given
    row, low, high = panels(*lines((G0, G), X), G0.n_experts)
    half = 0.5 * (high - low)
    y = (0.5 * (high + low)[:, None] + half[:, None] * gauss_legendre(_ORDER)[0]).ravel()
    of_y = np.repeat(row, _ORDER)
    joint, joint0 = _log_joint(G, X, of_y, y), np.exp(np.maximum(_log_joint(G0, X, of_y, y), _LEAST))
    r = np.exp(np.maximum(joint - joint.max(axis=0), _LEAST))
    r *= joint0.sum(axis=0) / r.sum(axis=0)
    gap = -joint0
    for cell, part in zip(cells.expert, r, strict=True):
        gap[cell] += part
    over_y = half * integrals_of_absolute(gap.reshape(len(gap), -1, _ORDER)).sum(axis=0)
    return np.bincount(row, over_y, len(X))


def _log_joint(G, X, row, y):
    """(K, m) log of W_i N_i at y (m,), each for one row of X."""
    W, mu, sd = parts(G, X)
    with np.errstate(divide="ignore"):
        log_scale = np.log(W / (sd * np.sqrt(2.0 * np.pi)))
    return np.stack(
        [height[row] - 0.5 * ((y - line[row]) / s) ** 2 for height, line, s in zip(log_scale.T, mu.T, sd, strict=True)]
    )
