"""The measure nearest to a truth at a given discrepancy: the least-squares problem behind `theory.modulus`.

Over the measures G of one shape whose discrepancy from G0 is t, the square of one of

    chi:       E int (p_G - p_G0)^2 / p_G0 dy,
    hellinger: 1/2 E int (sqrt p_G - sqrt p_G0)^2 dy

is minimised. On quadrature rows of weight w and with l = log p_G - log p_G0 these are sums of squares of the residuals
sqrt(w p_G0) (exp(l) - 1) and sqrt(w p_G0 / 2) (exp(l / 2) - 1), which keep their digits down to 1e-15.

Coordinates are those of `MixingMeasure` with d = 1, except that gate intercepts are replaced by the logits of the gates
at the centre x0 of the covariates, and variances stand for themselves. In them the constraint is solved in closed form
(`Nearest.place`): it holds to rounding at every iterate of the Levenberg-Marquardt descent.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack, lstsq

from .. import kernels
from ..arguments import shown
from ..measure import vector_slices
from .rows import Rows

_LOG_RATIO = 1.3  # box of each logit in a split cell: weights there differ by at most exp(2.6)
_ITERATIONS = 200
_STALLED = (20, 0.99)  # after every so many iterations, the squared distance is to have fallen below this share
_GIVE_UP = {25: 10.0, 60: 2.0}  # after so many iterations, a start so many times above its rival


class Split(NamedTuple):
    """Which true group each fitted group stands for (k1,), and which true expert each fitted expert (K,)."""

    group: np.ndarray
    leaf: np.ndarray


def cover(G0, k2, cell):
    """True group of each fitted group (k1,), and the numbers m of fitted experts the true expert `cell` can have.

    Groups beyond those of `G0` double the group of the cell.
    """
    group = np.concatenate([np.arange(G0.k1), np.full(max(len(k2) - G0.k1, 0), cell[0])])
    if len(k2) < G0.k1 or any(fitted < G0.k2[j] for fitted, j in zip(k2, group, strict=True)):
        wanted = f"cover the groups of G0, {shown(G0.k2)}, in order, further ones group {cell[0]}"
        raise ValueError(f"k2 must {wanted}; got {shown(k2)}")
    here = group == cell[0]
    most = sum(np.array(k2)[here]) - (G0.k2[cell[0]] - 1) * np.count_nonzero(here)
    return group, range(np.count_nonzero(here) if G0.k2[cell[0]] > 1 else most, most + 1)


def allocate(G0, k2, cell, m):
    """Deal fitted groups and experts to true ones: `m` experts to the true expert `cell`, at least one to each.

    Experts left over go to the next expert in the group of the cell, and to the first expert of the other groups.
    """
    group, sizes = cover(G0, k2, cell)
    if m not in sizes:
        where = f"cell {cell}, G0.k2={shown(G0.k2)}, k2={shown(k2)}"
        raise ValueError(f"m must be in {sizes[0]}..{sizes[-1]} for {where}; got {shown(m)}")
    surplus, leaf = m - np.count_nonzero(group == cell[0]), []
    for fitted, j in zip(k2, group, strict=True):
        counts, spare = np.ones(G0.k2[j], dtype=int), fitted - G0.k2[j]
        taken = min(spare, surplus) if j == cell[0] else 0
        surplus -= taken
        counts[cell[1] if j == cell[0] else 0] += taken
        counts[(cell[1] + 1) % counts.size if j == cell[0] else 0] += spare - taken
        leaf.append(G0.offsets[j] + np.repeat(np.arange(counts.size), counts))
    return Split(group, np.concatenate(leaf))


class Nearest:
    """The problem of one truth, shape, discrepancy and cell; `descend` solves it from a start.

    Points are vectors of coordinates in the blocks of `at`: a, level-1 logits (b), omega, level-2 logits (beta), eta,
    tau, nu. `base` writes the truth itself, split components being copies of equal weight at x0.
    """

    def __init__(self, G0, k2, discrepancy, cell, law, m, distance):
        self.G0, self.k2, self.discrepancy, self.law, self.m, self.distance = G0, k2, discrepancy, law, m, distance
        self.split = allocate(G0, k2, cell, m)
        self.offsets = np.concatenate([[0], np.cumsum(k2)])
        self.group = np.repeat(np.arange(len(k2)), k2)
        at = vector_slices(len(k2), self.group.size, 1)
        self.at = {name.removeprefix("log_"): where for name, where in at.items()}
        self.gates = G0.gates
        self.x0, self.x_sd = float(law.mean(1)[0]), float(np.sqrt(law.cov(1)[0, 0]))
        self.gate_units = tuple(gate.unit(self._spread(gate)) for gate in self.gates)
        self.rows = Rows(G0, law)
        self.parameter = discrepancy.removeprefix("bary_")
        self.true = int(G0.offsets[cell[0]]) + cell[1]
        self.level = 1 if self.parameter == "a" else 2
        self.members = np.flatnonzero(self.split.group == cell[0] if self.level == 1 else self.split.leaf == self.true)
        self.moved = self.at[self.parameter].start + self.members  # the constrained coordinates
        self.spread = self.members.size > 1 and not discrepancy.startswith("bary_")
        self.base = self._base()
        self.free = self._free(cell[0])
        self.low, self.high = self._box()

    def _spread(self, gate):
        """Standard deviation of what the slopes of a gate multiply, or of x where they are places."""
        if gate.located or gate.power == 1:
            return self.x_sd
        x, weights = self.law.quadrature()
        features = gate.features(x)
        return float(np.sqrt(weights @ (features - weights @ features) ** 2))

    # -- coordinates --------------------------------------------------------------------------------------------------
    def _base(self):
        G0, (group, leaf), at = self.G0, self.split, self.at
        z = np.empty(at["nu"].stop)
        z[at["a"]], z[at["omega"]], z[at["eta"]] = G0.a[group, 0], G0.omega[leaf, 0], G0.eta[leaf, 0]
        z[at["tau"]], z[at["nu"]] = G0.tau[leaf], G0.nu[leaf]
        z[at["b"]] = (G0.b + self._gate_at_x0(0, G0.a[:, 0]))[group] - np.log(np.bincount(group)[group])
        copies = ((self.group[:, None] == self.group) & (leaf[:, None] == leaf)).sum(axis=1)
        z[at["beta"]] = (G0.beta + self._gate_at_x0(1, G0.omega[:, 0]))[leaf] - np.log(copies)
        return z

    def _gate_at_x0(self, level, slopes):
        """The part of gate logits at x0 that slopes or centres make."""
        return self.gates[level].scores(np.array([[self.x0]]), slopes[:, None])[0]

    def _free(self, split_group):
        """Coordinates to vary (p,) bool: of each gate, one component outside the split cell stands still if it can.

        It fixes the translations of the gate, which the density does not see; constant gates stand still as well.
        """
        free, leaf = np.ones(self.base.size, dtype=bool), self.split.leaf
        gates = [(0, np.arange(len(self.k2)), self.split.group)]
        gates += [(1, np.flatnonzero(self.group == i), leaf) for i in range(len(self.k2))]
        for level, parts, true in gates:
            slopes, logits = (("a", "b"), ("omega", "beta"))[level]
            others = parts[true[parts] != (split_group, self.true)[level]]
            copies = np.bincount(true[parts])[true[others]]
            still = parts if parts.size == 1 else others[np.argsort(copies, kind="stable")][:1]
            free[self.at[logits].start + still] = False
            if parts.size == 1 or self.gates[level].translates:
                free[self.at[slopes].start + still] = False
        return free

    def _box(self):
        """Bounds: experts stay nearer to their true one than to others, variances below twice the true ones (beyond,
        chi is infinite), Laplace centres within the support, weights of copies comparable."""
        G0, leaf, at = self.G0, self.split.leaf, self.at
        sd = np.sqrt(G0.nu)
        eta, tau = (np.subtract.outer(values, values) for values in (G0.eta[:, 0], G0.tau))
        apart = np.hypot(eta * self.x0 + tau, eta * self.x_sd) + np.diag(np.full(sd.size, np.inf))
        near = np.clip(0.45 * apart.min(axis=1), 0.5 * sd, 3.0 * sd)[leaf]
        radius = np.empty(self.base.size)
        radius[at["tau"]], radius[at["eta"]], radius[at["nu"]] = near, near / self.x_sd, 0.7 * G0.nu[leaf]
        radius[at["b"]] = radius[at["beta"]] = _LOG_RATIO
        edges = self.law.support(1)
        low, high = self.base - radius, self.base + radius
        for gate, unit, name in zip(self.gates, self.gate_units, ("a", "omega"), strict=True):
            here = self.base[at[name]]
            low[at[name]], high[at[name]] = here - 1.5 * unit, here + 1.5 * unit
            if gate.located:
                low[at[name]] = np.minimum(np.maximum(here - unit, edges[0]), here)
                high[at[name]] = np.maximum(np.minimum(here + unit, edges[1]), here)
        return low, high

    def kernel_args(self, z):
        """A point as the kernels take it."""
        part = {name: z[where] for name, where in self.at.items()}
        b = part["b"] - self._gate_at_x0(0, part["a"])
        beta = part["beta"] - self._gate_at_x0(1, part["omega"])
        arrays = part["a"][:, None], b, part["omega"][:, None], beta, part["eta"][:, None], part["tau"], part["nu"]
        return *(gate.code for gate in self.gates), self.offsets, *arrays, self.G0.laplace_scale

    def measure(self, z):
        """A point as a `MixingMeasure`."""
        arrays = dict(zip(self.at, self.kernel_args(z)[3:-1], strict=True))
        return self.G0.replace(k2=self.k2, **arrays)

    # -- the constraint -----------------------------------------------------------------------------------------------
    def shares(self, z):
        """Gate weights at x0 of the members of the cell, made to sum to 1, and the derivatives (m, p) of their
        logarithms before that."""
        alpha, gamma, at = z[self.at["b"]], z[self.at["beta"]], self.at
        slope = np.zeros((self.members.size, z.size))
        rows = np.arange(self.members.size)
        if self.level == 1:
            logits = alpha[self.members]
            slope[rows, at["b"].start + self.members] = 1.0
        else:
            inside = np.exp(gamma - np.maximum.reduceat(gamma, self.offsets[:-1])[self.group])
            inside /= np.add.reduceat(inside, self.offsets[:-1])[self.group]
            group = self.group[self.members]
            logits = alpha[group] + np.log(inside[self.members])
            slope[rows, at["b"].start + group] = 1.0
            slope[:, at["beta"]] = np.where(group[:, None] == self.group, -inside, 0.0)
            slope[rows, at["beta"].start + self.members] += 1.0
        c = np.exp(logits - logits.max())
        return c / c.sum(), slope

    def place(self, v, t):
        """The point of discrepancy t that belongs to v, and the derivatives (m, p) of its constrained coordinates in v.

        With shares c, deviations u of v from the truth, their mean b = c'u and root mean square spread s, deviations
        become b + t (u - b) / s (spread) or u - b + t sign(b) (barycentre).
        """
        c, slope = self.shares(v)
        u = v[self.moved] - self.base[self.moved]
        b = c @ u
        d = u - b
        z, one = v.copy(), np.eye(u.size)
        # b and s^2 / 2 have the derivatives c and c d in u, and c d and c (d^2 - s^2) / 2 in log c
        if self.spread:
            s = max(np.sqrt(c @ d**2), 1e-100)
            z[self.moved] = self.base[self.moved] + b + (t / s) * d
            in_u = c + (t / s) * (one - c - np.outer(d / s, c * d / s))
            in_log_c = (1.0 - t / s) * c * d - 0.5 * t * np.outer(d / s, c * ((d / s) ** 2 - 1.0))
        else:
            z[self.moved] = self.base[self.moved] + d + (t if b >= 0 else -t)
            in_u, in_log_c = one - c, np.broadcast_to(-c * d, one.shape)
        slope = in_log_c @ slope
        slope[:, self.moved] += in_u
        return z, slope

    # -- residuals and descent ----------------------------------------------------------------------------------------
    def residuals(self, v, t):
        """Residuals (n,) of the point of v, and their derivatives in v (p, n)."""
        z, slope = self.place(v, t)
        gates = tuple(zip(self.gates, (("a", "b"), ("omega", "beta")), strict=True))
        kinks = [gate.kinks(z[self.at[slopes], None]) for gate, (slopes, _) in gates]
        X, y, log_p0, root = self.rows.at(np.concatenate(kinks))
        log_p, S = kernels.row_scores(X, y, self.kernel_args(z), 0.0)
        gap = np.minimum(log_p - log_p0, 300.0)
        if self.distance == "chi":
            r = root * np.expm1(gap)
            S *= root * np.exp(gap)
        else:
            r = np.sqrt(0.5) * root * np.expm1(0.5 * gap)
            S *= np.sqrt(0.125) * root * np.exp(0.5 * gap)
        for gate, (slopes, logits) in gates:  # intercepts are logits less the gate at x0
            x0 = np.array([[self.x0]])
            toward = np.array([gate.slope_derivative(x0, slope[None])[0] for slope in z[self.at[slopes], None]])
            S[self.at[slopes]] -= toward * S[self.at[logits]]
        S[self.at["nu"]] /= z[self.at["nu"]][:, None]
        moved = S[self.moved]
        S[self.moved] = 0.0
        touched = slope.any(axis=0)
        S[touched] += slope[:, touched].T @ moved
        return r, S

    def descend(self, v, t, rival=np.inf):
        """Levenberg-Marquardt from v inside the box: the point reached, and its distance.

        Starts that stay far above the distance `rival` are given up.
        """
        free, low, high = self.free, self.low[self.free], self.high[self.free]
        v = self.place(np.where(free, np.clip(v, self.low, self.high), self.base), t)[0]
        r, S = self.residuals(v, t)
        value, damping, growth, mark = r @ r, 1e-3, 2.0, np.inf
        R, q = _compress(free, S, r)
        size = np.zeros(low.size)
        for iteration in range(_ITERATIONS):
            if value > (_GIVE_UP.get(iteration, np.inf) * rival) ** 2:
                break
            if iteration % _STALLED[0] == 0:
                if value > _STALLED[1] * mark:
                    break
                mark = value
            size = np.maximum(size, np.linalg.norm(R, axis=0))
            here, gradient = v[free], R.T @ q
            held = ((here <= low) & (gradient > 0)) | ((here >= high) & (gradient < 0))
            ridge = np.sqrt(damping) * np.diag(np.where(size > 0, size, 1.0))
            target = np.concatenate([-q, np.zeros(q.size)])
            step = np.zeros(q.size)
            step[~held] = lstsq(np.vstack([R, ridge])[:, ~held], target, lapack_driver="gelsy", check_finite=False)[0]
            there = np.clip(here + step, low, high)
            whole = (there == here + step).all()
            promised = q @ q - ((R @ (there - here) + q) ** 2).sum()
            if promised <= 1e-9 * value and whole:
                break
            gained = -np.inf  # a step cut short by the box may promise nothing; damping turns it downhill
            if promised > 1e-9 * value:
                trial = v.copy()
                trial[free] = there
                r, S = self.residuals(trial, t)
                gained = value - r @ r
            if gained > 1e-4 * promised:
                v, value = self.place(trial, t)[0], r @ r
                R, q = _compress(free, S, r)
                damping *= max(0.1, 1.0 - (2.0 * gained / promised - 1.0) ** 3)
                growth = 2.0
                if max(gained, promised) < 1e-6 * value:
                    break
            else:
                damping, growth = damping * growth, growth * 2.0
                if damping > 1e12:
                    break
        return v, float(np.sqrt(value))


def _compress(free, S, r):
    """R (p, p) and q (p,) with |R s + q|^2 = |S' s + r|^2 less a constant, S cut to its free rows."""
    p = np.count_nonzero(free)
    A = np.empty((p + 1, r.size))
    np.compress(free, S, axis=0, out=A[:p])
    A[p] = r
    R = np.triu(lapack.dgeqrf(A.T, overwrite_a=True)[0][: p + 1])
    return R[:p, :p], R[:p, p]
