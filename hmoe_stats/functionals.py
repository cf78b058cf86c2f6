"""Errors of what a measure says as functions: experts over their cells, gates, cell means, routing.

Unlike parameters, these do not depend on how a density is written. The errors of gates, cell means and routing are of
the order of the Hellinger distance under every gating, also where gates are not identified. Source: derived.
"""

import numpy as np

from .arguments import check_number
from .likelihood import gate_weights, log_density, responsibilities
from .matching import experts_of, match
from .quadrature import gauss_legendre

_FEW = 2_000  # covariates at which routing is averaged over y, where they are points
_STEPS = np.arange(-14, 15) / 2.0  # panel edges in y, in standard deviations around each true expert
_ORDER = 8  # points of a panel
_ROWS = 1 << 17  # rows (x, y) a batch


def functional_errors(G, G0, x, weight=0.01):
    """Errors of a fitted measure as functions of x, Voronoi cell by Voronoi cell.

    Parameters
    ----------
    G, G0 : MixingMeasure or FitResult
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

        Empty cells have a gate error only.

    Raises
    ------
    ValueError
        As `hmoe_stats.parameter_errors`, gatings aside, or if `weight` is not a number from 0 to 1.

    Notes
    -----
    Rates: "gate", "cell_mean" and "routing" n^(-1/2) always; "expert" n^(-1/2) in cells of one, n^(-1/(4m)) in cells of
    m, under every gating, as the intercepts dominate: rows of kind "function" of `hmoe_stats.theory.rates`. For d = 1
    means are quadratures; for a law with d > 1 they are over fixed draws, routing over 2,000 of them, as over that many
    rows of a longer array.
    """
    import pandas as pd

    weight = check_number("weight", weight, "a number from 0 to 1", lambda v: 0.0 <= v <= 1.0)
    cells = match(G, G0, x, any_gating=True)
    G0 = cells.true.given
    rows = [(0, "", 0, "routing", _routing(cells))]
    if G0.k1 > 1:
        errors = cells.average.of_absolute(lambda X: _group_weights(cells, X) - _groups(G0, X))
        rows += [(1, str(j), len(cells.groups_of(j)), "gate", error) for j, error in enumerate(errors)]
    return pd.DataFrame(
        rows + _leaf_rows(cells, weight), columns=["level", "cell", "size", "parameter", "error"]
    ).astype({"error": float})


def gate_errors(cells):
    """(K*,) E |sum of the fitted leaf weights over a cell - the true leaf weight|, for each true leaf."""
    return cells.average.of_absolute(lambda X: _cell_weights(cells, X) - gate_weights(cells.true.given, X))


def leaf_weights(cells):
    """(K,) expected weight of each fitted leaf."""
    X, weights = cells.average.fine
    return weights @ gate_weights(cells.fit.given, X)


def _summed(values, where, size):
    """(n, size) sums of those columns of `values` that have the same place in `where`."""
    out = np.zeros((len(values), size))
    for place, column in zip(where, values.T, strict=True):
        out[:, place] += column
    return out


def _over_cells(cells, values):
    """(n, K*) sums over the cells of the columns of `values`, (n, K)."""
    return _summed(values, cells.expert, cells.true.given.n_experts)


def _cell_weights(cells, X):
    return _over_cells(cells, gate_weights(cells.fit.given, X))


def _group_weights(cells, X):
    return _summed(_groups(cells.fit.given, X), cells.group, cells.true.given.k1)


def _groups(G, X):
    """(n, k1) level-1 gates."""
    return np.add.reduceat(gate_weights(G, X), G.offsets[:-1], axis=1)


def _leaf_rows(cells, least):
    G, G0 = cells.fit.given, cells.true.given
    X, mean = cells.average.fine
    W, W0 = gate_weights(G, X), gate_weights(G0, X)
    gaps = X @ (G.eta - G0.eta[cells.expert]).T + (G.tau - G0.tau[cells.expert])  # lines of leaves less those of cells
    weight, square = mean @ W, mean @ (W * gaps**2)
    total = _over_cells(cells, W)
    shift = np.divide(_over_cells(cells, W * gaps), total, out=np.zeros_like(total), where=total > 0)
    cell_mean = np.sqrt(mean @ (W0 * shift**2))
    gate = gate_errors(cells)
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
    G, G0 = cells.fit.given, cells.true.given
    X, mean = cells.average.few(_FEW)
    node, rule = gauss_legendre(_ORDER)
    total = 0.0
    size = max(1, _ROWS // (_STEPS.size * G0.n_experts * _ORDER))
    for here in (slice(start, start + size) for start in range(0, len(X), size)):
        line = X[here] @ G0.eta.T + G0.tau
        edges = np.sort((line[:, :, None] + np.sqrt(G0.nu)[:, None] * _STEPS).reshape(len(line), -1), axis=1)
        half, middle = 0.5 * np.diff(edges, axis=1), 0.5 * (edges[:, 1:] + edges[:, :-1])
        y = (middle[:, :, None] + half[:, :, None] * node).reshape(len(line), -1)
        weight = (half[:, :, None] * rule).reshape(len(line), -1) * mean[here, None]
        rows, y = np.repeat(X[here], y.shape[1], axis=0), y.ravel()
        gap = _over_cells(cells, responsibilities(G, rows, y)) - responsibilities(G0, rows, y)
        total += (weight.ravel() * np.exp(log_density(G0, rows, y))) @ np.abs(gap).sum(axis=1)
    return 0.5 * total
