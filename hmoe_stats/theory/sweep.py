"""Minimisers on a falling grid of t: where descents start, and how minima that were missed are found again.

Each t is minimised from its larger neighbours and from fresh starts; then minimisers are carried back up from smaller
t, and down again, as long as this finds lower ones. Fresh starts know how far each coordinate can move unseen: along
Gauss-Hermite quadratures of a normal, tilted or not, and at random with theory's powers of the distance.
"""

import numpy as np

STARTS_AGREE = 0.05  # relative difference of distances that count as the same minimum
_POWERS = {"a": 1.0, "omega": 1.0, "tau": 1.0, "eta": 2.0, "nu": 2.0}  # weights of weighted homogeneity


class Sweep:
    """Minimisers of one `Nearest` problem: `t`, points `z`, and the distance reached from each origin in `found`."""

    def __init__(self, problem, rng):
        self.problem, self.rng, self.unit = problem, rng, unit(problem)
        self.t, self.z, self.found = [], [], []
        powers = np.full(problem.base.size, 4.0)
        copied = {name: _copied(problem, level=1 if name == "a" else 2) for name in _POWERS}
        for name, power in _POWERS.items():
            powers[problem.at[name]] = np.where(copied[name], power, 4.0)
        self.even = powers / _POWERS[problem.parameter]

    @property
    def distance(self):
        """(T,) smallest distances."""
        return np.array([min(values.values()) for values in self.found])

    @property
    def agreement(self):
        """(T,) how many origins lead to them."""
        limits = self.distance * (1.0 + STARTS_AGREE)
        return np.array([sum(v <= limit for v in f.values()) for f, limit in zip(self.found, limits, strict=True)])

    def add(self, t, n_starts):
        """Minimise at a new, smaller t."""
        self.t.append(t), self.z.append(None), self.found.append({})
        k = len(self.t) - 1
        for origin, v in {**self._carried(k, "above"), "even": _even(self.problem)}.items():
            self._try(k, origin, v)
        self._afresh(k, n_starts)

    def polish(self, n_starts):
        """Carry minimisers up and down, three times at most; start afresh where one origin only leads there."""
        up, down = range(len(self.t) - 2, -1, -1), range(1, len(self.t))
        for side, order in 3 * [("below", up), ("above", down)]:
            better = False
            for k in order:
                carried = list(self._carried(k, side).items())
                for origin, v in carried if self.problem.m > 2 else carried[-1:]:  # the power law serves pairs well
                    better |= self._try(k, origin, v)
            if not better:
                break
        for k in np.flatnonzero(self.agreement < 2):
            self._afresh(k, n_starts)

    def _try(self, k, origin, v):
        """One descent at t[k]; True if it found something clearly better."""
        best = min(self.found[k].values(), default=np.inf)
        z, value = self.problem.descend(v, self.t[k], rival=best)
        self.found[k][origin] = min(value, self.found[k].get(origin, np.inf))
        if value < best:
            self.z[k] = z
        return value < best * (1.0 - STARTS_AGREE)

    def _afresh(self, k, n_starts):
        for i in range(n_starts):
            make = (_tilted, _scattered)[i % 2]
            self._try(k, len(self.found[k]), make(self.problem, self.t[k] / self.unit, self.rng))

    def _carried(self, k, side):
        """The minimiser of the neighbour on one side of t[k], carried there by weighted homogeneity and, where there
        are two neighbours, by the power law through both of each coordinate."""
        near = [k - 1, k - 2] if side == "above" else [k + 1, k + 2]
        near = [i for i in near if 0 <= i < len(self.t) and self.z[i] is not None]
        if not near:
            return {}
        base, ratio = self.problem.base, self.t[k] / self.t[near[0]]
        last = self.z[near[0]] - base
        out = {(side, "even"): base + last * ratio**self.even}
        if len(near) == 2:
            other = self.z[near[1]] - base
            change = np.log(np.divide(last, other, out=np.ones(base.size), where=last * other > 0))
            power = np.clip(change / np.log(self.t[near[0]] / self.t[near[1]]), 0.0, 6.0)
            out[side] = base + last * ratio**power
        return out


def unit(P):
    """A value of the discrepancy that is neither large nor small."""
    sd = np.sqrt(P.G0.nu[P.true])
    if P.parameter in ("omega", "a"):
        return P.gate_units[P.level - 1]
    return float({"tau": sd, "nu": sd**2, "eta": sd / P.x_sd}[P.parameter])


def _copied(P, level):
    """Whether each fitted group (level 1) or expert (level 2) shares its true one with others."""
    true = P.split.group if level == 1 else P.split.leaf
    return np.bincount(true)[true] > 1


# -- fresh starts, for t in units -------------------------------------------------------------------------------------
def _even(P):
    """Only the constrained kind of coordinate differs: evenly over every split cell, or by a shift of the cell."""
    v = P.base.copy()
    if not P.spread:
        v[P.moved] += 1.0
        return v
    true, block = (P.split.group if P.level == 1 else P.split.leaf), v[P.at[P.parameter]]
    for j in np.unique(true):
        block[true == j] += np.linspace(-1.0, 1.0, np.count_nonzero(true == j)) if np.sum(true == j) > 1 else 0.0
    return v


def _tilted(P, t, rng):
    """The cell as a quadrature of N(0, nu) = int N(s, nu - v) dN(s; 0, v), tilted by exp(l s x), l = 0 included.

    Gauss-Hermite nodes z and weights: tau = sqrt(v) z, variance nu - v, omega = l tau, and eta shifted by -l v. Moments
    of order below 2m vanish for l = 0; for others, those that are seen where the gate is not identified. Quadratic
    gates have omega = -l (tau^2 - v) instead, the pattern that second moments of eta can trade with.
    """
    m = np.count_nonzero(P.split.leaf == P.true)
    z, w = np.polynomial.hermite_e.hermegauss(m)
    sd = np.sqrt(P.G0.nu[P.true])
    tilt = rng.choice([-1.0, 0.0, 1.0]) * rng.uniform(0.2, 1.5)
    v = min({"tau": t**2, "omega": t**2}.get(P.discrepancy, t / max(abs(tilt), 0.2)), 0.5)
    order, unit_of_gate = P.gates[1].interaction, P.gate_units[1]
    point, members = P.base.copy(), np.flatnonzero(P.split.leaf == P.true)
    for name, move in {
        "tau": sd * np.sqrt(v) * z,
        "nu": -(sd**2) * v,
        "beta": np.log(w / w.mean()),
        "omega": tilt * unit_of_gate * (np.sqrt(v) * z * (order == 1) - v * (z**2 - 1.0) * (order == 2)),
        "eta": -tilt * sd / P.x_sd * v * (order == 1),
    }.items():
        point[P.at[name].start + members] += move
    return _moved(P, point, rng)


def _scattered(P, t, rng):
    """Every coordinate at random, of the order at which it shows in a distance h = t^k, with k at random too."""
    m = max(2, np.bincount(P.split.leaf).max())
    h = t ** rng.uniform(1.0, 2.0 * m)
    sd = np.sqrt(P.G0.nu[P.split.leaf])
    gate1, gate2 = P.gate_units
    v = P.base.copy()
    for name, scale, power, level in (
        ("a", gate1, 1 / 2, 1),
        ("b", 0.5, 0.0, 1),
        ("omega", gate2, 1 / 2, 2),
        ("beta", 0.5, 0.0, 2),
        ("tau", sd, 1 / (2 * m), 2),
        ("eta", sd / P.x_sd, 1 / 2, 2),
        ("nu", 0.5 * sd**2, 1 / m, 2),
    ):
        copied = _copied(P, level)
        v[P.at[name]] += scale * np.where(copied, h**power, h) * rng.standard_normal(copied.size)
    return _moved(P, v, rng)


def _moved(P, v, rng):
    """The constraint takes its direction from the start: give it one where the start has none."""
    if np.ptp(v[P.moved] - P.base[P.moved]) == 0.0:
        v[P.moved] += rng.standard_normal(P.moved.size)
    return v
