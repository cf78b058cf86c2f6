"""The dendrogram of a fitted mixing measure: its experts merged step by step, and the size that the steps suggest.

Dendrograms of mixing measures merge the atoms of *one* over-specified fit, and choose where to stop by the height of
the next step and the likelihood, so that no other size need be fitted. They are published for mixtures (arXiv
2403.01684) and for flat softmax gates (arXiv 2510.12744); heights there are squared distances of parameters, weighted
by 1 / (1/p_i + 1/p_j). What follows is derived for this package, for any gates and two levels.

*Merging.* Let W_j(x) be the leaf weights of the fit, mu_j its lines, E the mean over the covariates. The experts j of a
cell, c, become one, whose line and variance are the projections

    (eta, tau) = argmin E sum_j W_j (mu_j - eta'X - tau)^2,    nu = E sum_j W_j (nu_j + (mu_j - mu)^2) / m,

with m = E sum_j W_j: mass, barycentre and second moment of y in the cell stay what they are. Gates are those nearest to
the sums W_c of the weights in a cell, in mean Kullback-Leibler divergence, level by level: the means of the groups'
weights stay what they are, and those of the experts' within the groups' weights; under softmax and quadratic gates
those of weights times features, too. By the expansion behind the exponents of `theory` the sums of W_j, W_j d mu_j and
W_j (d mu_j^2 + d nu_j) over a true expert's cell are known to n^(-1/2) under every gating, and all of these are smooth
in them: cells that are merged rightly have errors of n^(-1/2), though their members have n^(-1/8) and worse.

*Heights.* Merging i and j costs, in nats a row,

    h = (m log nu - m_i log nu_i - m_j log nu_j) / 2 >= 0,

the mean divergence of the two normal laws from the merged one (for mixtures without covariates the cost of Runnalls
2007). It is 0 only for equal experts, does not depend on units of x or y, and is m_i m_j / m (E d mu^2 / nu + (d nu /
nu)^2 / 2) / 2 for near ones: the published weights, on squares. Costs of one path add up to no less than the divergence
of the merged model from the fit, gates apart.

*Two levels.* The cheapest pair of all experts is merged, wherever its two are: within a group spare experts split true
ones, and the best optimum of a finite sample often has a copy of an expert in another group. A merged expert of two
groups stays in one of them: in the other's where one was alone, whose group ends with it; else where the likelihood of
the merged measure is greater. So the number of experts is what is suggested; how they are grouped is what is left of
the fit's groups. Whether a tree is flat, or a group two, the dendrogram does not ask.

*Criterion.* As published: with h the height of the next step and l the merged measure's mean log-likelihood a row,

    DSC = -(h + l log n),

smaller is better: spare experts cost little to merge (h -> 0), true ones much, and merging these loses likelihood. A
single expert has no next step, and cannot be suggested.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations, pairwise

import numpy as np

from .. import kernels
from ..arguments import shown
from ..fitting.em import taken, update_gates
from ..fitting.problem import Problem, one_thread
from ..fitting.result import FitResult
from ..fitting.rows import moments
from ..kinds import Axes, Floats, Frame
from ..measure import MixingMeasure

LEAST = 1e-12  # gate weight: an expert without any still has a line
GATE_STEPS = 100  # of Newton for the gates of a merged measure; they end by themselves


@dataclass(frozen=True, repr=False, eq=False)
class Dendrogram:
    """What `dendrogram` returns. Levels go from the fit itself, level 0, to a single expert; S steps are between them.

    Attributes
    ----------
    heights : ndarray, (S,)
        Cost of every step, in nats a row. They need not rise: a merged expert may be near a third.
    steps : tuple, S
        The two cells that each step merges, tuples of experts of the fit: ``((0,), (2, 3))``.
    measures : tuple of MixingMeasure, S + 1
        The merged measure of each level; larger groups come first.
    cells : tuple, S + 1
        Of each level the experts of the fit in each merged expert, in the order of its measure.
    log_likelihood : ndarray, (S + 1,)
        Mean a row, in nats.
    nobs : int or float
        n: number of rows, or sum of weights.
    status : str
        That of the fit.
    """

    heights: np.ndarray
    steps: tuple
    measures: tuple
    cells: tuple
    log_likelihood: np.ndarray
    nobs: float
    status: str

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each level, S + 1 tuples."""
        return tuple(G.k2 for G in self.measures)

    @property
    def criterion(self) -> Floats:
        """DSC of each level, (S + 1,), in nats a row; NaN of a single expert."""
        return -(np.append(self.heights, np.nan) + np.log(self.nobs) * self.log_likelihood)

    @property
    def level(self) -> int:
        """The level with the smallest criterion."""
        return int(np.nanargmin(self.criterion))

    @property
    def k2(self) -> tuple[int, ...]:
        """The suggested shape."""
        return self.shapes[self.level]

    @property
    def measure(self) -> MixingMeasure:
        """The merged measure of the suggested shape: an estimate, and a start for a fit."""
        return self.measures[self.level]

    def to_frame(self) -> Frame:
        """One row per level: k2, experts, height (of the next step), log_likelihood (mean a row), dendrogram (DSC)."""
        import pandas as pd

        return pd.DataFrame(
            {
                "k2": list(self.shapes),
                "experts": [sum(k2) for k2 in self.shapes],
                "height": np.append(self.heights, np.nan),
                "log_likelihood": self.log_likelihood,
                "dendrogram": self.criterion,
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw it: `hmoe_stats.plotting.dendrogram_plot`."""
        from ..plotting import dendrogram_plot

        return dendrogram_plot(self, ax)

    def __repr__(self):
        table = self.to_frame().to_string(float_format=lambda v: f"{v:.4g}", na_rep="")
        return f"Dendrogram: {self.shapes[0]}, {self.status}, suggests {self.k2}\n{table}"


@one_thread
def dendrogram(fit: FitResult) -> Dendrogram:
    """Merge the experts of a fit step by step; see the head of `hmoe_stats.selection.merging` for what is done and why.

    Parameters
    ----------
    fit : FitResult
        With two experts at least, and more than there may be in truth. It must know its data. One that is "degenerate"
        is merged, too: its spurious experts have little mass, and cost little.

    Returns
    -------
    Dendrogram

    Raises
    ------
    ValueError
        If it is no fit, has one expert, or does not know its data.
    """
    if not isinstance(fit, FitResult):
        raise ValueError(f"fit must be a FitResult; got {shown(fit)}")
    if fit.measure.n_experts < 2:
        raise ValueError("fit must have at least two experts to merge; got one")
    X, y, weights = fit.known_data()
    n = len(y) if weights is None else weights.sum()
    merge = Merge(fit.measure, X, y, weights)
    groups, measure = merge.atoms, fit.measure
    levels, measures, steps = [groups], [measure], []
    while sum(map(len, groups)) > 1:
        one, two = min(combinations(chain(*groups), 2), key=lambda pair: pair[0].cost(pair[1]))
        steps.append((one, two))
        groups, measure = max(
            ((after, merge.measure(after)) for after in _places(groups, one, two)),
            key=lambda made: merge.log_likelihood(made[1]),
        )
        levels.append(groups)
        measures.append(measure)
    return Dendrogram(
        heights=np.array([one.cost(two) for one, two in steps]) / n,
        steps=tuple((one.leaves, two.leaves) for one, two in steps),
        measures=tuple(measures),
        cells=tuple(tuple(atom.leaves for atom in chain(*level)) for level in levels),
        log_likelihood=np.array([merge.log_likelihood(H) for H in measures]),
        nobs=n,
        status=fit.status,
    )


@dataclass(frozen=True, eq=False)
class Atom:
    """Experts merged into one, over standardised covariates: sums of W (x, 1)(x, 1)', the line, the variance."""

    leaves: tuple
    xx: np.ndarray  # (d + 1, d + 1)
    line: np.ndarray  # (d + 1,) slopes, then the intercept
    nu: float

    @property
    def mass(self):
        """Number of rows."""
        return self.xx[-1, -1]

    def joined(self, other):
        """The two as one."""
        xx = self.xx + other.xx
        line = self.line + np.linalg.lstsq(xx, other.xx @ (other.line - self.line), rcond=1e-13)[0]
        squares = sum(atom.mass * atom.nu + (gap := atom.line - line) @ atom.xx @ gap for atom in (self, other))
        return Atom(self.leaves + other.leaves, xx, line, squares / xx[-1, -1])

    def cost(self, other):
        """What it costs to join them, in nats."""
        both = self.joined(other)
        return 0.5 * sum(atom.mass * np.log(both.nu / atom.nu) for atom in (self, other))


def _places(groups, one, two):
    """The groups once two experts are merged: for each group that the merged one may stay in."""
    i, k = (next(g for g, group in enumerate(groups) if atom in group) for atom in (one, two))
    stays = {i} if len(groups[k]) == 1 else {k} if len(groups[i]) == 1 else {i, k}
    for home in sorted(stays):
        after = [[atom for atom in group if atom not in (one, two)] for group in groups]
        after[home].append(one.joined(two))
        yield sorted(filter(None, after), key=len, reverse=True)


class Merge:
    """What all levels of a dendrogram share: the fit's leaf weights over its data, and its experts in their groups."""

    def __init__(self, G, X, y, weights):
        low, high = X.min(axis=0), X.max(axis=0)
        self.view = {name: getattr(G, name) for name in ("gate_columns", "expert_columns")}
        self.seen, G = G.columns("eta"), G.wide()  # slopes of merged experts stay 0 on columns that none of them sees
        G = G.canonical((low, high) if (low < high).all() else None)  # slopes of different groups can be compared
        self.G, self.X, self.y, self.row_weights = G, X, y, weights
        self.rows = np.ones(len(y)) if weights is None else weights
        self.W = np.maximum(kernels.gate_weights(X, G.kernel_args()), LEAST) * self.rows[:, None]
        self.centre, spread, varies = moments(X, weights)
        self.spread = np.where(varies, spread, 1.0)
        covariates, r = taken((X - self.centre) / self.spread, np.array(self.seen, int)), np.ascontiguousarray(self.W.T)
        xx, _ = kernels.expert_sums(covariates, y, r)
        slopes = taken(G.eta * self.spread, np.array(self.seen, int))
        lines = np.column_stack([slopes, G.tau + G.eta @ self.centre])
        atoms = [Atom((j,), *parts) for j, parts in enumerate(zip(xx, lines, G.nu, strict=True))]
        self.atoms = [atoms[lo:hi] for lo, hi in pairwise(G.offsets)]

    def log_likelihood(self, H):
        """Mean a row."""
        return float(self.rows @ kernels.log_density(self.X, self.y, H.kernel_args(), 0.0) / self.rows.sum())

    def measure(self, groups):
        """The measure of merged experts: their lines and variances, and the gates nearest to the sums of weights."""
        G, atoms, mass = self.G, list(chain(*groups)), self.W.sum(axis=0)
        first, second = G.gates
        members = [list(atom.leaves) for atom in atoms]
        of_groups = [[j for atom in group for j in atom.leaves] for group in groups]
        a, b = self._gate(first, [(G.a[G.group[own]], mass[own]) for own in of_groups])
        omega, beta = self._gate(second, [(G.omega[own], mass[own]) for own in members])
        eta = np.zeros((len(atoms), G.d))
        for e, atom in enumerate(atoms):
            eta[e, self.seen] = atom.line[: len(self.seen)] / self.spread[self.seen]
        tau = [atom.line[-1] for atom in atoms] - eta @ self.centre
        H = MixingMeasure(
            gating=G.gating, k2=tuple(map(len, groups)), a=a, b=b, omega=omega, beta=beta, eta=eta, tau=tau,
            nu=[atom.nu for atom in atoms], laplace_scale=G.laplace_scale,
        )  # fmt: skip
        view = self.view | {"laplace_scale": G.laplace_scale}
        problem = Problem(self.X, self.y, G.gating, H.k2, start=H, weights=self.row_weights, view=view)
        *_, a, b, omega, beta, eta, tau, nu, _ = problem.kernel_args(problem.from_measure(H))
        r = np.stack([self.W[:, own].sum(axis=1) for own in members])
        level = update_gates(problem, r, a, b, omega, beta, 0.0, GATE_STEPS)
        v = np.concatenate([part.ravel() for part in (*level, eta, tau, np.log(nu))])
        return problem.to_measure(v / problem.scale).narrow(**self.view)

    def _gate(self, gate, parts):
        """A gate to start from, of (slopes, masses) for each component: the mean slopes, right at the middle of x."""
        slopes = np.array([mass @ own / mass.sum() for own, mass in parts])
        shares = np.log([mass.sum() for _, mass in parts])
        return slopes, shares - gate.scores(self.centre[None], slopes)[0]
