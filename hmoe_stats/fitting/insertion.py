"""Insertion of an expert: where the likelihood asks for one more in a group of a fitted measure."""

import numpy as np

from .. import kernels
from .newton import begin, climb_on
from .problem import Problem, read_only
from .progress import ALONE
from .rows import batches, drawn, total, weights_of
from .shapes import of_expert
from .starts import centre_and_units

CANDIDATES, CLIMBED = 50, 4  # experts drawn by `insertions`, unless more are asked for, and climbed, a start wanted
SUMMITS = 64  # experts climbed in all: 35 to 60 distinct maxima were seen in local fits
STEPS, ENOUGH = 15, 0.02  # Newton steps of such a climb at most; log-likelihood units that one more must promise
TOGETHER = 32  # experts whose effects on all rows are in memory at once
APART = 1.0  # standard deviations (of noise for lines, of x for gates) by which experts differ
PARTS = ("omega", "beta", "eta", "tau", "log_nu")


def insertions(problem, G, rng, count, candidates=CANDIDATES, team=ALONE):
    """Coordinates of starts with one expert more than the fitted G, put where the data ask for it.

    Random experts are judged in two ways, each of which finds half of the starts:

    - alone: by what an expert adds to the log-likelihood at its best weight, with all that G has held as it is (the
      gradient function of a mixture, Lindsay 1983, beyond its first order). The best that differ are climbed to maxima
      of that gain, by Newton's method in the few parameters of the one expert. This finds experts apart from G's.
    - helped: by what it promises if G's own parameters make way for it. A small weight w changes log p by w d; of d,
      the part in the span of the scores of G's parameters is theirs already, and with D the rest the promise is
      w sum d - w^2 / 2 sum D^2 at the best w in the box. This finds experts that share a place with one of G's; it is
      not climbed, and no more than `CANDIDATES` a start are judged by it, as it is greatest at copies of an expert, of
      which nothing comes.

    Parameters
    ----------
    problem : Problem
        Of the larger shape, which has one expert more than G in one group.
    G : MixingMeasure
        In the units of the data.
    rng : numpy.random.Generator
    count : int
        Number of starts wanted; fewer are returned where fewer differ.
    candidates : int
        Experts drawn for each of them.
    team : Team, optional
        Threads that share them out.

    Returns
    -------
    list of ndarray
        Coordinates of `problem`; the best of those alone come first, then the most promising.
    """
    (i,) = (g for g in range(G.k1) if problem.k2[g] == G.k2[g] + 1)
    group = Group(problem, G, i, team)
    drawn = group.candidates(rng, candidates * count)
    alone = group.climb(group.apart(group.alone(drawn), min(CLIMBED * count, SUMMITS)))
    alone = group.apart(alone, count - count // 2)
    few = {name: values[: CANDIDATES * count] for name, values in drawn.items()}
    helped = group.apart(group.helped(few), count - alone["gain"].size)
    return [group.insert(expert) for experts in (alone, helped) for expert in one_by_one(experts)]


def one_by_one(experts):
    return [{name: values[k] for name, values in experts.items()} for k in range(experts["tau"].size)]


class Group:
    """Group i of a fitted G on the data, to which an expert may be added; all in the units of the problem."""

    def __init__(self, problem, G, i, team=ALONE):
        self.problem, self.G, self.team = problem, problem.inside(G), team
        self.i, self.gate = i, problem.gates[1]
        self.lo, self.hi = G.offsets[i], G.offsets[i + 1]
        _, self.spread, _ = centre_and_units(problem.X, problem.weights)
        self.centre, of_gate, _ = centre_and_units(self.gate.features(problem.X), problem.weights)
        self.of_gate, self.gate_unit = of_gate, self.gate.unit(of_gate)
        self.low, self.high = problem.X.min(axis=0), problem.X.max(axis=0)
        self.box = {}
        for name in PARTS:
            where = np.arange(problem.p)[problem.slices[name]]
            if name in problem.unseen:  # there slopes rest at 0
                where = where[~np.tile(problem.unseen[name], G.n_experts + 1)]
            low, high = (
                float((bound * problem.scale)[where][0]) if where.size else 0.0
                for bound in (problem.lower, problem.upper)
            )
            if name == "beta" or (name == "omega" and self.gate.translates):  # their differences are bounded
                mine = getattr(self.G, name)[self.lo : self.hi]
                low, high = mine.max(axis=0) - (high - low), mine.min(axis=0) + (high - low)
            self.box[name] = (low, np.maximum(low, high))
        self.base = kernels.insertion_base(problem.X, problem.y, self.G.kernel_args(), problem.smoothing, i)

    def candidates(self, rng, count):
        """Random experts: lines turned and moved from those of G, half of them through a row; gates anywhere."""
        G, size = self.G, (count, self.G.d)
        own, any_ = rng.integers(self.lo, self.hi, count), rng.integers(G.n_experts, size=count)
        j = own if self.problem.home is not None else np.where(np.arange(count) % 2, own, any_)
        omega = self.gate.candidates(rng, size, self.low, self.high, self.of_gate)
        rows, sd = drawn(rng, self.problem.rows, self.problem.weights, count), np.sqrt(G.nu[j])
        steep = np.exp(rng.standard_normal(size))  # a few aligned points may ask for a line far steeper than G's
        eta = G.eta[j] + 1.2 * steep * sd[:, None] / self.spread * rng.standard_normal(size)
        constant = self.problem.columns["eta"].constant
        eta[:, constant] = G.eta[j][:, constant]
        if not self.gate.located:
            constant = self.problem.columns["omega"].constant
            omega[:, constant] = G.omega[j][:, constant]
        omega[:, self.problem.unseen["omega"]] = 0.0
        near = (self.problem.X[rows] * G.eta[j]).sum(axis=1) + G.tau[j] + 1.5 * sd * rng.standard_normal(count)
        through = self.problem.y[rows] if self.problem.home is None else near
        tau = np.where(np.arange(count) % 4 < 2, near, through) - (self.problem.X[rows] * eta).sum(axis=1)
        nu = G.nu[j] * np.exp(1.5 * rng.standard_normal(count))
        return self._clip({"omega": omega, "eta": eta, "tau": tau, "nu": nu})

    def apart(self, experts, count):
        """The best `count` of the experts that are not much the same as a better one."""
        ends = np.stack([self.low, self.high])
        lines = ends @ experts["eta"].T + experts["tau"]
        gates, log_nu = experts["omega"] / self.gate_unit, np.log(experts["nu"])
        chosen = []
        for k in np.argsort(-experts["gain"], kind="stable"):
            if len(chosen) == count or not experts["gain"][k] > -np.inf:
                break
            sd = np.sqrt(np.minimum(experts["nu"][k], experts["nu"][chosen]))
            far = np.abs(lines[:, chosen] - lines[:, [k]]).max(axis=0) > APART * sd
            far |= np.abs(log_nu[chosen] - log_nu[k]) > 0.7 * APART
            far |= np.abs(gates[chosen] - gates[k]).max(axis=1) > APART
            if far.all():
                chosen.append(k)
        return {name: values[chosen] for name, values in experts.items()}

    def _clip(self, experts):
        out = {name: np.clip(experts[name], *self.box[name]) for name in ("omega", "eta", "tau")}
        for name in ("omega", "eta"):
            out[name][:, self.problem.unseen[name]] = 0.0
        return out | {"nu": np.clip(experts["nu"], *np.exp(self.box["log_nu"]))}

    def alone(self, experts):
        """The experts with their `beta` and `gain`: the best intercept in the box and what it adds, all else held."""
        pivot, low, high = self._intercepts(experts)
        args = read_only(experts["omega"], pivot, experts["eta"], experts["tau"], experts["nu"])
        eps, weights = self.problem.smoothing, self.problem.weights
        limits = read_only(low, high)

        def gains(part):
            some = tuple(values[part] for values in args), tuple(values[part] for values in limits)
            return kernels.insertion_gains(*self._data(), *some, eps, weights=weights)

        answers = self.team.map(gains, self.team.shares(pivot.size))
        chosen, gain = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        return self._judged(experts | {"beta": pivot + chosen, "gain": gain - self._taken_off(experts)})

    def climb(self, experts):
        """Each of the experts `alone` at the maximum of the gain near it."""
        eps, place = self.problem.smoothing, _Place(self)

        def climbed(expert):
            top = climb_on(place, begin(place, place.write(expert), eps), eps, np.inf, STEPS, ENOUGH, valleys=False)
            return place.read(top.z) | {"gain": top.value}

        tops = self.team.map(climbed, one_by_one(experts))
        return self._judged({name: np.array([top[name] for top in tops]) for name in tops[0]}) if tops else experts

    def helped(self, experts):
        """The experts with `beta` and `gain` as promised if all that G has makes way for them, to second order."""
        pivot, low, high = self._intercepts(experts)
        X, y, kind, scale, base = self._data()
        eps = self.problem.smoothing
        all_args = read_only(experts["omega"], pivot, experts["eta"], experts["tau"], experts["nu"])
        first, second = np.zeros((2, pivot.size))
        cross, outer = np.zeros((pivot.size, self.G.to_vector().size)), 0.0
        for rows in batches(len(y)):
            weights = weights_of(self.problem.weights, rows)
            scores = kernels.row_scores(X[rows], y[rows], self.G.kernel_args(), eps, weights=weights)[1]
            weighted, scores = scores.T, scores if weights is None else scores / weights
            outer = outer + scores @ weighted
            of_rows = X[rows], y[rows], kind, scale, np.ascontiguousarray(base[:, rows])

            def add(start, of_rows=of_rows, weights=weights, weighted=weighted):
                part = slice(start, start + TOGETHER)
                change = kernels.insertion_changes(*of_rows, tuple(values[part] for values in all_args), eps)
                first[part] += total(change.T, weights)
                second[part] += total((change**2).T, weights)
                cross[part] += change @ weighted

            self.team.map(add, range(0, pivot.size, TOGETHER))
        values, vectors = np.linalg.eigh(outer)
        known = values > 1e-10 * values[-1]
        own = second - ((cross @ vectors[:, known]) ** 2 / values[known]).sum(axis=1)
        tells = (own > 1e-7 * second) & np.isfinite(second) & (second > 1e-200)
        own = np.where(tells, own, 1.0)
        weight = np.clip(first / own, np.exp(low), np.exp(high))
        gain = np.where(tells & (first > 0), weight * first - 0.5 * weight**2 * own, -np.inf)
        return self._judged(experts | {"beta": pivot + np.log(weight), "gain": gain - self._taken_off(experts)})

    def _taken_off(self, experts):
        """What the penalty on variances takes off for each of the experts."""
        penalty = self.problem.penalty
        return 0.0 if penalty is None else penalty.of_variances(np.log(experts["nu"]))[0]

    def _data(self):
        return self.problem.X, self.problem.y, self.gate.code, *read_only(self.problem.scale_inside), self.base

    def _intercepts(self, experts):
        """(pivot, low, high): intercepts count from the pivot, where a score is 0 at the middle of its features."""
        omega = experts["omega"]
        pivot = np.zeros(len(omega)) if self.gate.located else -omega @ self.centre
        return pivot, *(np.clip(bound - pivot, -100.0, 100.0) for bound in self.box["beta"])

    def _judged(self, experts):
        """The experts; those whose gain is no number, or that a local fit may not keep, with none."""
        gain = np.where(np.isfinite(experts["gain"]), experts["gain"], -np.inf)
        if self.problem.home is not None:
            lines = (
                np.append(experts[name], getattr(self.G, name)[[self.lo]], axis=0) for name in ("eta", "tau", "nu")
            )
            nearest = self.problem.nearest(*lines)
            gain[nearest[:-1] != nearest[-1]] = -np.inf
        return experts | {"gain": gain}

    def insert(self, entry):
        """Coordinates of G with the expert as the last of its group."""
        names = ("beta", *of_expert(self.G))
        add = {name: np.insert(getattr(self.G, name), self.hi, entry[name], axis=0) for name in names}
        grown = self.G.replace(k2=self.problem.k2, **add)
        return self.problem.project(grown.to_vector() / self.problem.scale)


class _Place:
    """The gain of one expert as a problem for `newton`, over z = (omega, beta, eta, tau, log nu) / scale in the box."""

    gauges, active = (), Problem.active

    def __init__(self, group):
        self.group, self.n, self.rounding, d = group, group.problem.n, group.problem.rounding, group.G.d
        sd = np.sqrt(group.G.nu[group.lo : group.hi].min())
        self.scale = np.concatenate([group.gate_unit, [1.0], sd / group.spread, [sd, 1.0]])
        self.ends = np.cumsum([d, 1, d, 1])
        box = [
            [np.broadcast_to(end, size) for end in group.box[name]]
            for name, size in zip(PARTS, (d, 1, d, 1, 1), strict=True)
        ]
        self.lower, self.upper = (np.concatenate(side) / self.scale for side in zip(*box, strict=True))
        still = [group.problem.columns[name].constant for name in ("omega", "eta")]
        self.fixed = np.concatenate([still[0] & (not group.gate.located), [False], still[1], [False, False]])
        unseen = [group.problem.unseen[name] for name in ("omega", "eta")]
        self.fixed |= np.concatenate([unseen[0], [False], unseen[1], [False, False]])
        self.fixed |= self.lower == self.upper
        self.gauge_matrix = np.zeros((self.scale.size, self.scale.size))

    def write(self, expert):
        parts = (expert["omega"], expert["beta"], expert["eta"], expert["tau"], np.log(expert["nu"]))
        return np.concatenate([np.atleast_1d(part) for part in parts]) / self.scale

    def read(self, z):
        omega, (beta,), eta, (tau,), (log_nu,) = np.split(*read_only(z * self.scale), self.ends)
        return {"omega": omega, "beta": beta, "eta": eta, "tau": tau, "nu": np.exp(log_nu)}

    def project(self, z):
        return np.clip(z, self.lower, self.upper)

    def derivatives(self, z, eps):
        value, gradient, information = kernels.insertion_information(
            *self.group._data(), tuple(self.read(z).values()), eps, weights=self.group.problem.weights
        )
        if self.group.problem.penalty is not None:
            taken_off, slope, bend = self.group.problem.penalty.of_variances(z[-1])
            value, gradient[-1], information[-1, -1] = (
                value - taken_off,
                gradient[-1] - slope,
                information[-1, -1] + bend,
            )
        return value, gradient * self.scale, information * (self.scale[:, None] * self.scale)
