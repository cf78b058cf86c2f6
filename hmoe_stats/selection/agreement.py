"""Whether a tree comes back: the same model fitted to other rows, or by other searches, and compared level by level.

Two fits sort the same rows into leaves, each row to its most probable expert given (x, y), and into the groups of these
leaves. How far they agree is the adjusted Rand index of Hubert and Arabie (1985): 1 if they agree, 0 on average if the
labels of one were dealt out anew. That is the null of the leaves. It is none of level 1: leaves that come back can be
grouped in few ways, and any two agree by more than 0. So the null of level 1 is what its index would be on average if
the second fit's leaves, as they are, were put into its groups at random.

Level 1 of trees on real data is often not far from that, though leaves agree: groups are then a way to write gates, and
should not be given names. A high index is no proof that groups are real either, only that the data say the same twice.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from .. import fitting, names
from ..arguments import check_columns, check_gating, check_k2, check_known, check_seed, check_weighted_data, check_whole
from ..fitting.rows import mean
from ..frames import taken
from ..kinds import Frame, Shape
from ..likelihood import gate_weights, responsibilities

KINDS = ("halves", "rows", "searches")
DEALS = 200  # random groupings of the leaves behind the null of level 1


@dataclass(frozen=True, repr=False, eq=False)
class Stability:
    """What `stability` returns.

    Attributes
    ----------
    gating, k2, kind : str, tuple, str
    rows : tuple of dict
        One per comparison; see `table`.
    """

    gating: str
    k2: tuple
    kind: str
    rows: tuple

    @property
    def table(self) -> Frame:
        """One row per comparison: a DataFrame.

        Columns are statuses of the two fits; leaves and groups, adjusted Rand indices (groups: NaN in a flat model);
        groups_null, what groups would have by chance, given the leaves; effective_experts and effective_groups, exp of
        the entropy of the mean gate, averaged over the two fits; and reason, where there is no fit, the rest missing.
        """
        import pandas as pd

        numbers = ["leaves", "groups", "groups_null", "effective_experts", "effective_groups"]
        return pd.DataFrame(list(self.rows), columns=["statuses", *numbers, "reason"]).astype(
            dict.fromkeys(numbers, float)
        )

    def __repr__(self):
        table = self.table
        words = [
            f"Stability of {self.gating} {self.k2}, {len(table)} comparisons by {self.kind}, adjusted Rand indices:"
        ]
        for name in ("leaves", "groups"):
            values = table[name].dropna()
            if len(values):
                low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
                null = f"; {table['groups_null'].median():.2f} by chance, given the leaves" if name == "groups" else ""
                words.append(f"  {name}: median {middle:.2f}, 80 % within {low:.2f} to {high:.2f}{null}")
        experts, groups = table[["effective_experts", "effective_groups"]].median()
        words.append(f"  effective number of experts {experts:.2f} of {sum(self.k2)}, of groups {groups:.2f}")
        missing = int(table["leaves"].isna().sum())
        return "\n".join(words + [f"  {missing} comparisons without a fit, see table['reason']"] * bool(missing))


def stability(
    X: ArrayLike,
    y: ArrayLike,
    gating: str,
    k2: Shape,
    n: int = 20,
    kind: str = "halves",
    seed: int = 0,
    effort: str = "quick",
    n_jobs: int = 1,
    weights: ArrayLike | None = None,
    **options: Any,
) -> Stability:
    """Fit the same model again and again, and say how far leaves and groups come back.

    Parameters
    ----------
    X, y, gating, k2
        As in `hmoe_stats.fit`.
    n : int
        Number of comparisons.
    kind : {"halves", "rows", "searches"}
        Two fits to the halves of the rows, drawn anew; a fit to rows drawn with replacement against that to all of
        them; a fit to all rows by other starts against the first.
    seed : int
        Key of the draws and of all starts.
    effort, weights
        As in `hmoe_stats.fit`; "rows" draws rows evenly, and keeps their weights.
    n_jobs : int
        Processes; -1 for as many as there are processors. The table does not depend on it.
    **options
        Further keywords of `hmoe_stats.fit`.

    Returns
    -------
    Stability
        All fits are compared on all rows.

    Raises
    ------
    ValueError
        If an argument does not fit.
    """
    given = taken(X, y, weights, stacklevel=3)
    X, y, weights, options = given.X, given.y, given.weights, given.options(options)
    for name in {"gate_columns", "expert_columns"} & set(options):
        if options[name] is not None:
            options[name] = check_columns(name, options[name], None, names.of_data(X, y)[0])
    X, y, weights = check_weighted_data(X, y, weights)
    gating, k2, kind = check_gating(gating), check_k2(k2), check_known("kind", kind, KINDS)
    n, seed = check_whole("n", n), check_seed(seed)
    options |= {"gating": gating, "k2": k2, "effort": effort}
    whole = None if kind == "halves" else fitting.fit(X, y, weights=weights, seed=seed, **options).measure
    calls = [((X, y, weights), whole, kind, seed, number, options) for number in range(n)]
    if n_jobs == 1:
        return Stability(gating, k2, kind, tuple(_compared(*call) for call in calls))
    from joblib import Parallel, delayed

    n_jobs = n_jobs if n_jobs == -1 else check_whole("n_jobs", n_jobs, note=", or -1")
    return Stability(gating, k2, kind, tuple(Parallel(n_jobs=n_jobs)(delayed(_compared)(*call) for call in calls)))


def _compared(data, whole, kind, seed, number, options):
    """The row of one comparison."""
    X, y, weights = data
    keys = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(b"stability"), number)).spawn(3)
    rng, size = np.random.default_rng(keys[0]), len(y)
    if kind == "halves":
        order = rng.permutation(size)
        takes = order[: size // 2], order[size // 2 :]
    else:
        takes = (rng.integers(size, size=size) if kind == "rows" else np.arange(size),)
    try:
        fits = [
            fitting.fit(X[take], y[take], weights=None if weights is None else weights[take], seed=key, **options)
            for take, key in zip(takes, keys[1:], strict=False)
        ]
    except ValueError as error:
        return {"statuses": "", "reason": str(error)}
    measures = [fit.measure for fit in fits]
    first, second = measures if whole is None else (whole, *measures)
    leaves = [responsibilities(G, X, y).argmax(axis=1) for G in (first, second)]
    groups = [G.group[leaf] for G, leaf in zip((first, second), leaves, strict=True)]
    sizes = np.array([effective_numbers(G, X, weights) for G in (first, second)]).mean(axis=0)
    tree = len(options["k2"]) > 1
    return {
        "statuses": ", ".join(fit.status for fit in fits),
        "leaves": adjusted_rand(*leaves, weights),
        "groups": adjusted_rand(*groups, weights) if tree else np.nan,
        "groups_null": by_chance(groups[0], leaves[1], second.group, weights, rng) if tree else np.nan,
        "effective_experts": sizes[0],
        "effective_groups": sizes[1],
        "reason": "",
    }


def by_chance(groups, leaves, owner, weights, rng):
    """The mean index of groups and of leaves that are put into groups of the sizes of `owner` at random."""
    table = contingency(groups, leaves, weights, len(owner))
    deals = (rng.permutation(owner) for _ in range(DEALS))
    return float(np.mean([_index(table @ (deal[:, None] == np.unique(owner))) for deal in deals]))


def effective_numbers(G, X, weights=None):
    """exp of the entropy of the mean gate, of experts and of groups: 1 if one has all, K or k1 if all share alike."""
    share = mean(gate_weights(G, X), weights)
    return tuple(float(np.exp(entr(part).sum())) for part in (share, np.bincount(G.group, share)))


def adjusted_rand(first: ArrayLike, second: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The adjusted Rand index (Hubert and Arabie 1985) of two labellings of the same rows, integers from 0.

    With pairs C(m) = m (m - 1) / 2, n_ij the rows with labels i and j, n_i and n_j those with either:
    (sum C(n_ij) - e) / ((sum C(n_i) + sum C(n_j)) / 2 - e), where e = sum C(n_i) sum C(n_j) / C(n) is its mean if
    labels were dealt out at random. 1 where both put all rows into one, or each into its own.
    """
    return _index(contingency(first, second, weights))


def contingency(first, second, weights=None, columns=None):
    """Rows, or sums of weights, by label of the first and of the second."""
    columns = int(np.max(second)) + 1 if columns is None else columns
    rows = int(np.max(first)) + 1
    both = np.asarray(first) * columns + np.asarray(second)
    return np.bincount(both, weights, minlength=rows * columns).reshape(rows, columns)


def _index(table):
    pairs, of_first, of_second, of_all = (
        (m * (m - 1.0) / 2.0).sum() for m in (table, table.sum(axis=1), table.sum(axis=0), table.sum())
    )
    chance = of_first * of_second / of_all if of_all else 0.0
    most = 0.5 * (of_first + of_second)
    return 1.0 if most == chance else float((pairs - chance) / (most - chance))
