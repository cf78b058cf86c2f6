"""Which true group and expert each fitted one stands for: the Voronoi cells of a truth in a fitted measure.

Both measures are written in canonical form first, with the covariates recentred, so that nothing depends on how a
density is written: labels, softmax translations, Laplace intercept shifts, Laplace centres beyond the support.
Fitted groups are then matched to true groups, and fitted experts to the experts of the matched group, by quantities no
translation changes (expert lines and variances).
"""

from dataclasses import dataclass

import numpy as np

from .likelihood import check_measure, gate_weights
from .measure import MixingMeasure
from .sampling import Empirical, as_law

_DRAWS = 20_000  # covariates behind the Laplace gate masses where d > 1; their key is fixed, so a loss has no noise
_KEY = 20241002935
_FAR = 1e100  # edge of an unbounded support: no centre is clipped there
_TIE = 1e-6  # weight of the gate slopes when groups are matched: it decides between groups with equal experts


def averages_out(G0, j, n_groups):
    """Whether `n_groups` fitted groups of true group j leave its gate unidentified although each has the right size.

    They do if two of its experts have equal gate slopes (centres): their shares are constant, and a constant is the
    mean over the fitted groups of other constants (derived).
    """
    gates = G0.omega[experts_of(G0, j)]
    return n_groups > 1 and len(np.unique(gates, axis=0)) < len(gates)


@dataclass(frozen=True)
class Side:
    """A measure with recentred canonical gates, and the weights of its groups and, within groups, of its experts."""

    measure: MixingMeasure
    groups: np.ndarray  # (k1,) sums to 1
    experts: np.ndarray  # (K,) sums to 1 within each group


@dataclass(frozen=True)
class Cells:
    """Fitted components sorted into the Voronoi cells of the true ones."""

    fit: Side
    true: Side
    group: np.ndarray  # (k1,) true group of each fitted group
    expert: np.ndarray  # (K,) true expert of each fitted expert, counted over the whole tree
    low: np.ndarray  # (d,) support of the recentred covariates
    high: np.ndarray

    def groups_of(self, j):
        """Fitted groups of true group j."""
        return np.flatnonzero(self.group == j)

    def shares(self, groups):
        """Weights of some fitted groups, made to sum to 1; equal ones if none has any weight."""
        return shares_of(self.fit.groups[groups])

    def mass_gaps(self, i):
        """|sum of weights in the cell - true weight| for each true expert of the group matched to fitted group i."""
        here, there = experts_of(self.fit.measure, i), experts_of(self.true.measure, self.group[i])
        mass = np.bincount(self.expert[here] - there.start, self.fit.experts[here], self.true.measure.k2[self.group[i]])
        return np.abs(mass - self.true.experts[there])

    def compensated(self, j):
        """Whether the fitted groups of true group j, two or more, split all of its experts under softmax gates."""
        n_groups, G0 = len(self.groups_of(j)), self.true.measure
        sizes = np.bincount(self.expert, minlength=G0.n_experts)[experts_of(G0, j)]
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
            there = experts_of(G0, self.group[i])
            cells = self.expert[experts_of(self.fit.measure, i)] - there.start
            doubled, centres = np.bincount(cells, minlength=G0.k2[self.group[i]]).min() >= 2, G0.omega[there]
        distinct = (centres != centres[0]).any()
        inside = G0.d > 1 or ((centres > self.low) & (centres < self.high)).all()
        return bool(doubled and not (G0.gating[level - 1] == "L" and distinct and inside))


def experts_of(G, i):
    """Where the experts of group i are stored."""
    return slice(int(G.offsets[i]), int(G.offsets[i + 1]))


def shares_of(weights):
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
            experts = np.concatenate([shares_of(joint[experts_of(G, i)]) for i in range(G.k1)])
    return Side(canonical, groups, experts)


def match(G, G0, x):
    """Check the arguments and sort the components of G into the Voronoi cells of G0."""
    check_measure(G), check_measure(G0, "G0")
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

    distance = expert_distances(G, G0, law)
    cost = np.empty((G.k1, G0.k1))
    for i in range(G.k1):
        for j in range(G0.k1):
            here, there = experts_of(G, i), experts_of(G0, j)
            block = distance[here, there]
            gate = ((fit.measure.a[i] - true.measure.a[j]) ** 2).sum()
            cost[i, j] = fit.experts[here] @ block.min(axis=1) + true.experts[there] @ block.min(axis=0) + _TIE * gate
    from scipy.optimize import linear_sum_assignment  # a quarter of a second that not every process needs

    group = linear_sum_assignment(cost)[1] if G.k1 == G0.k1 else cost.argmin(axis=1)

    expert = np.empty(G.n_experts, dtype=int)
    for i, j in enumerate(group):
        here, there = experts_of(G, i), experts_of(G0, j)
        block = distance[here, there]
        apart = np.linalg.norm(fit.measure.omega[here, None] - true.measure.omega[None, there], axis=2)
        nearest = block.min(axis=1, keepdims=True)
        expert[here] = there.start + np.where(block <= nearest * (1 + 1e-9) + 1e-12, apart, np.inf).argmin(axis=1)
    return Cells(fit, true, group, expert, low, high)


def expert_distances(G, G0, law):
    """(K, K*): the root of E (d_eta' x + d_tau)^2 / nu* + (d_nu / nu*)^2."""
    d_eta = G.eta[:, None] - G0.eta[None]
    d_mean = d_eta @ law.mean(G.d) + G.tau[:, None] - G0.tau[None]
    variance = np.einsum("ijc,ce,ije->ij", d_eta, law.cov(G.d), d_eta)
    return np.sqrt((d_mean**2 + variance) / G0.nu + ((G.nu[:, None] - G0.nu) / G0.nu) ** 2)
