"""Which true group and expert each fitted one stands for: the Voronoi cells of a truth in a fitted measure.

Both measures are written in canonical form first, with the covariates recentred, so that nothing depends on how a
density is written: labels, softmax translations, Laplace intercept shifts, Laplace centres beyond the support.
Fitted groups are then matched to true groups, and fitted experts to the experts of the matched group, by quantities no
translation changes (expert lines and variances).
"""

from dataclasses import dataclass

import numpy as np

from .arguments import shown
from .categorical import as_of_any_family
from .identify import Support, at_edge, averages_out, gate_identified, support_of
from .likelihood import gate_weights
from .quadrature import Average
from .sampling import as_law
from .tree import Tree

_FAR = 1e100  # edge of an unbounded support: no centre is clipped there
_TIE = 1e-6  # weight of the gate slopes when groups are matched: it decides between groups with equal experts


@dataclass(frozen=True)
class Side:
    """A measure, its canonical form, and the weights of its groups and, within groups, of its experts."""

    given: Tree  # as it came
    measure: Tree  # with recentred canonical gates
    groups: np.ndarray  # (k1,) sums to 1
    experts: np.ndarray  # (K,) sums to 1 within each group


@dataclass(frozen=True)
class Cells:
    """Fitted components sorted into the Voronoi cells of the true ones."""

    fit: Side
    true: Side
    group: np.ndarray  # (k1,) true group of each fitted group
    expert: np.ndarray  # (K,) true expert of each fitted expert, counted over the whole tree
    distance: np.ndarray  # (K, K*) of fitted experts to true ones
    support: Support  # of the recentred covariates
    average: Average  # over the covariates as they came

    def groups_of(self, j):
        """Fitted groups of true group j."""
        return np.flatnonzero(self.group == j)

    def size(self, leaf):
        """Number of fitted experts in the cell of a true one."""
        return int(np.count_nonzero(self.expert == leaf))

    def shares(self, groups):
        """Weights of some fitted groups, made to sum to 1; equal ones if none has any weight."""
        return shares_of(self.fit.groups[groups])

    def mass_gaps(self, i):
        """|sum of weights in the cell - true weight| for each true expert of the group matched to fitted group i."""
        here, there = experts_of(self.fit.measure, i), experts_of(self.true.measure, self.group[i])
        mass = np.bincount(self.expert[here] - there.start, self.fit.experts[here], self.true.measure.k2[self.group[i]])
        return np.abs(mass - self.true.experts[there])

    def compensated(self, j):
        """Whether the fitted groups of true group j, two or more, split all of its experts, where no centres tell."""
        n_groups, G0 = len(self.groups_of(j)), self.true.measure
        sizes = np.bincount(self.expert, minlength=G0.n_experts)[experts_of(G0, j)]
        told_apart = G0.gates[1].located
        return bool(not told_apart and n_groups > 1 and len(sizes) > 1 and sizes.min() > n_groups)

    def gate_free(self, level, i=None):
        """Whether a gate is not identified: that of level 1, or of fitted group i at level 2; see `identify`."""
        G0 = self.true.measure
        if level == 1:
            return not gate_identified(G0.gating[0], G0.a, np.bincount(self.group, minlength=G0.k1), self.support)
        there = experts_of(G0, self.group[i])
        cells = self.expert[experts_of(self.fit.measure, i)] - there.start
        copies = np.bincount(cells, minlength=G0.k2[self.group[i]])
        gate = G0.gating[1], G0.omega[there]
        shared = averages_out(*gate, len(self.groups_of(self.group[i])), self.support)
        return shared or not gate_identified(*gate, copies, self.support)

    def any_gate_free(self):
        """Whether some gate is not identified, of level 1 or of a fitted group."""
        return self.gate_free(1) or any(self.gate_free(2, i) for i in range(self.fit.measure.k1))

    def at_edge(self, level, j=None):
        """(m,) bool: true Laplace centres of level 1, or of true group j, that lie on an edge of the support."""
        G0 = self.true.measure
        slopes = G0.a if level == 1 else G0.omega[experts_of(G0, j)]
        return at_edge(G0.gating[level - 1], slopes, self.support)


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
    """`G` with its gates as seen from the centre, in canonical form; experts are left alone.

    Intercepts of gates without centres are then log-probabilities at the centre.
    """
    first, second = G.gates
    a, b = first.about(G.a, G.b, first.features(centre))
    omega, beta = second.about(G.omega, G.beta, second.features(centre))
    return G.replace(a=a, b=b, omega=omega, beta=beta).canonical(support=(low, high))


def _side(G, canonical, average):
    """Weights: gates at the centre, those with centres averaged over the covariates (centres have no scale)."""
    first, second = G.gates
    groups, experts = np.exp(canonical.b), np.exp(canonical.beta)
    if first.located or second.located:
        X, weights = average.points
        joint = weights @ gate_weights(G, X)
        mass = np.add.reduceat(joint, G.offsets[:-1])
        if first.located:
            groups = mass
        if second.located:
            experts = np.concatenate([shares_of(joint[experts_of(G, i)]) for i in range(G.k1)])
    return Side(G, canonical, groups, experts)


def match(G, G0, x, any_gating=False):
    """Check the arguments and sort the components of G into the Voronoi cells of G0; gatings may differ if so said."""
    G, G0 = as_of_any_family("G", G).wide(), as_of_any_family("G0", G0).wide()
    if not isinstance(G, type(G0)):
        raise ValueError(f"G must be a {type(G0).__name__}, as G0 is; got a {type(G).__name__}")
    if G0.family.classed and G.classes != G0.classes:
        raise ValueError(f"G must have the classes of G0, {shown(G0.classes)}; got {shown(G.classes)}")
    alike = G.gating == G0.gating
    if not alike and not any_gating:
        raise ValueError(f"G must have the gating of G0, {G0.gating!r}; got {G.gating!r}")
    if G.d != G0.d:
        raise ValueError(f"G must have as many covariates as G0, d = {G0.d}; got d = {G.d}")
    if alike and not np.allclose(G.laplace_scale, G0.laplace_scale, rtol=1e-9, atol=0.0):
        alike = False
        if not any_gating:
            scales = (H.laplace_scale.tolist() for H in (G0, G))
            raise ValueError("G must have the laplace_scale of G0, all columns counted, {}; got {}".format(*scales))
    if G.k1 < G0.k1:
        raise ValueError(f"G must have at least as many groups as G0, k1 = {G0.k1}; got k1 = {G.k1}")
    law = as_law(x)
    centre, low, high = _frame(law, G0.d)
    average = Average(law, (G, G0))
    fit, true = (_side(H, _recentred(H, centre, low, high), average) for H in (G, G0))

    distance = expert_distances(G, G0, law)
    cost = np.empty((G.k1, G0.k1))
    for i in range(G.k1):
        for j in range(G0.k1):
            here, there = experts_of(G, i), experts_of(G0, j)
            block = distance[here, there]
            gate = ((fit.measure.a[i] - true.measure.a[j]) ** 2).sum() if alike else 0.0  # slopes of other gates
            cost[i, j] = fit.experts[here] @ block.min(axis=1) + true.experts[there] @ block.min(axis=0) + _TIE * gate
    from scipy.optimize import linear_sum_assignment  # a quarter of a second that not every process needs

    group = linear_sum_assignment(cost)[1] if G.k1 == G0.k1 else cost.argmin(axis=1)

    expert = np.empty(G.n_experts, dtype=int)
    for i, j in enumerate(group):
        here, there = experts_of(G, i), experts_of(G0, j)
        block = distance[here, there]
        apart = alike * np.linalg.norm(fit.measure.omega[here, None] - true.measure.omega[None, there], axis=2)
        nearest = block.min(axis=1, keepdims=True)
        expert[here] = there.start + np.where(block <= nearest * (1 + 1e-9) + 1e-12, apart, np.inf).argmin(axis=1)
    return Cells(fit, true, group, expert, distance, Support(low, high, support_of(law, G0.d).thin), average)


def expert_distances(G, G0, law):
    """(K, K*): the root of E (d_eta' x + d_tau)^2 / nu* + (d_nu / nu*)^2; of classes of E ||logits||^2."""
    if G0.family.classed:
        d_eta = G.eta[:, None] - G0.eta[None]
        d_mean = d_eta @ law.mean(G.d) + G.tau[:, None] - G0.tau[None]
        return np.sqrt((d_mean**2).sum(axis=2) + np.einsum("ijkc,ce,ijke->ij", d_eta, law.cov(G.d), d_eta))
    d_eta = G.eta[:, None] - G0.eta[None]
    d_mean = d_eta @ law.mean(G.d) + G.tau[:, None] - G0.tau[None]
    variance = np.einsum("ijc,ce,ije->ij", d_eta, law.cov(G.d), d_eta)
    variance = np.maximum(variance, 0.0)  # of collinear covariates it may round below
    return np.sqrt((d_mean**2 + variance) / G0.nu + ((G.nu[:, None] - G0.nu) / G0.nu) ** 2)
