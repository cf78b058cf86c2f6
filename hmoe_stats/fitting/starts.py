"""Starting values: around a truth or a fitted smaller model (experts split or added), from clusters, and random.

All are measures in the units of the data. Everything random comes from the generator handed in.
"""

import warnings
import zlib

import numpy as np

from .. import kernels
from ..measure import GATINGS, MixingMeasure, check_k2
from .newton import maximise
from .problem import Problem, batches, check_reach, moments, read_only


def key(seed, gating, k2):
    """The `SeedSequence` of one model's starts.

    It depends on the seed and on the model, so that a smaller model fitted on the way to a larger one draws the very
    numbers it would draw alone.
    """
    if not isinstance(seed, np.random.SeedSequence):
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed must be a non-negative int or a numpy SeedSequence; got {seed!r}")
        seed = np.random.SeedSequence(int(seed))
    spawn = (*seed.spawn_key, zlib.crc32(b"starts"), GATINGS.index(gating), *k2)
    return np.random.SeedSequence(seed.entropy, spawn_key=spawn)


def check_start(start, gating, k2, X, y):
    """Raise a `ValueError` where `start` is neither None nor a start of this model for these data."""
    if start is None:
        return
    d = X.shape[1]
    if not isinstance(start, MixingMeasure):
        raise ValueError(f"start must be a MixingMeasure or None; got {type(start).__name__}")
    if start.gating != gating or start.d != d:
        raise ValueError(f"start must have gating {gating!r} and d = {d}; got {start.gating!r} and d = {start.d}")
    if start.k2 != k2 and not contains(k2, start.k2):
        raise ValueError(f"start must have k2 = {k2} or fit inside it group by group; got {start.k2}")
    check_reach(start, X, y)


def contains(k2, smaller):
    """True if every measure of shape `smaller` can be written as one of shape `k2`, by splitting experts and groups."""
    big, small = sorted(check_k2(k2), reverse=True), sorted(smaller, reverse=True)
    if len(big) < len(small) or any(m < s for m, s in zip(big, small, strict=False)):
        return False
    return all(m >= small[-1] for m in big)


def _assign(k2, smaller, rng):
    """For each group of `k2` the group of `smaller` it stands for: large ones for large ones, ties and extras drawn."""
    order = sorted(range(len(k2)), key=lambda i: (-k2[i], i))
    shuffled = rng.permutation(len(smaller))
    small_order = sorted(shuffled, key=lambda g: -smaller[g])
    if tuple(k2) == tuple(smaller) or all(m >= s for m, s in zip(k2, smaller, strict=False)):
        order, small_order = list(range(len(k2))), list(range(len(smaller)))
    out = np.empty(len(k2), dtype=int)
    for place, i in enumerate(order):
        if place < len(smaller):
            out[i] = small_order[place]
        else:
            out[i] = rng.choice([g for g in range(len(smaller)) if smaller[g] <= k2[i]])
    return out


def embed(G, k2, rng, choice=None, shares=None):
    """Write G exactly as a measure of the larger shape `k2`: groups and experts copied, their weights shared.

    Parameters
    ----------
    G : MixingMeasure
    k2 : tuple of int
        A shape that `contains` G's.
    rng : numpy.random.Generator
    choice : int, optional
        Number of the stratum: which expert is copied in each group, in mixed radix. Without it the heaviest gate
        intercept is halved, which keeps the gate inside any box that holds G's.
    shares : callable, optional
        Maps a number of copies to their shares of the weight; equal shares by default.

    Returns
    -------
    MixingMeasure
    """
    return _embed(G, k2, rng, choice, shares)[0]


def _embed(G, k2, rng, choice=None, shares=None):
    """As `embed`; also for each expert the expert of G it copies."""
    shares = shares or (lambda m: np.full(m, 1.0 / m))
    groups = _assign(k2, G.k2, rng)
    copies = np.bincount(groups, minlength=G.k1)
    b = G.b[groups] - np.log(copies[groups])
    leaves, beta = [], []
    for i, g in enumerate(groups):
        lo, hi = G.offsets[g], G.offsets[g + 1]
        mine, extra = list(range(lo, hi)), k2[i] - (hi - lo)
        weight = G.beta[lo:hi].copy()
        count = np.ones(hi - lo, dtype=int)
        for _ in range(extra):
            if choice is None:
                j = int(np.argmax(weight - np.log(count)))
            else:
                choice, j = divmod(choice, hi - lo)
            count[j] += 1
        parts = [weight[j] + np.log(shares(count[j])) for j in range(hi - lo)]
        leaves += [mine[j] for j in range(hi - lo) for _ in range(count[j])]
        beta += list(np.concatenate(parts))
    leaves = np.array(leaves)
    measure = MixingMeasure(
        gating=G.gating, k2=k2, a=G.a[groups], b=b, omega=G.omega[leaves], beta=beta,
        eta=G.eta[leaves], tau=G.tau[leaves], nu=G.nu[leaves],
    )  # fmt: skip
    return measure, groups, leaves


def strata(k2, smaller):
    """How many ways `embed` can choose the experts it copies, counted with order."""
    big, small = sorted(k2, reverse=True), sorted(smaller, reverse=True)
    small += [small[-1]] * (len(big) - len(small))
    return int(np.prod([float(s) ** (m - s) for m, s in zip(big, small, strict=True)]))


def translate(G, shift):
    """The measure of x - shift, given that of x: the same density in moved coordinates."""
    gates = []
    for letter, slopes, intercepts in ((G.gating[0], G.a, G.b), (G.gating[1], G.omega, G.beta)):
        gates.append((slopes - shift, intercepts) if letter == "L" else (slopes, intercepts + slopes @ shift))
    (a, b), (omega, beta) = gates
    return G.replace(a=a, b=b, omega=omega, beta=beta, tau=G.tau + G.eta @ shift)


def centre_and_units(X):
    """Mean of each covariate, the unit of centres on it and one over that of slopes, (d,) each: its standard deviation.

    A constant one has 1 and infinity: slopes on it do nothing, and stay where they are.
    """
    mean, spread, varies = moments(X)
    return mean, np.where(varies, spread, 1.0), np.where(varies, spread, np.inf)


def jitter(G, X, rng, size):
    """Every parameter of G moved by about `size` of its natural unit (logits, or standard deviations of noise or x).

    Slopes turn about the centre of the covariates X (n, d), so that starts do not depend on the origin of x.
    """
    centre, x_spread, run = centre_and_units(X)
    G = translate(G, centre)
    noise = lambda *shape: size * rng.standard_normal(shape)  # noqa: E731
    sd = np.sqrt(G.nu)
    unit = [x_spread if letter == "L" else 1.0 / run for letter in G.gating]
    moved = G.replace(
        a=G.a + noise(*G.a.shape) * unit[0],
        b=G.b + noise(*G.b.shape),
        omega=G.omega + noise(*G.omega.shape) * unit[1],
        beta=G.beta + noise(*G.beta.shape),
        eta=G.eta + noise(*G.eta.shape) * sd[:, None] / run,
        tau=G.tau + noise(G.tau.size) * sd,
        nu=G.nu * np.exp(noise(G.nu.size)),
    )
    return translate(moved, -centre)


def recentre(G, X, rng, apart=False):
    """G with all centres of one of its Laplace gates, of which it has one at least, moved alike, about a row of X.

    With `apart` each goes to a row of its own instead.
    """
    gates = [("a", slice(0, G.k1))] if G.gating[0] == "L" and G.k1 > 1 else []
    if G.gating[1] == "L":
        gates += [("omega", slice(G.offsets[i], G.offsets[i + 1])) for i in range(G.k1) if G.k2[i] > 1]
    name, members = gates[rng.integers(len(gates))]
    centres = getattr(G, name).copy()
    if apart:
        centres[members] = X[rng.integers(len(X), size=len(centres[members]))]
    else:
        centres[members] += X[rng.integers(len(X))] - centres[members].mean(axis=0)
    return G.replace(**{name: centres})


def scatter(G, X, rng):
    """G with all centres of its Laplace gates at rows drawn from X."""
    rows = X[rng.integers(len(X), size=G.k1 + G.n_experts)]
    fields = {"a": rows[: G.k1], "omega": rows[G.k1 :]}
    return G.replace(**{name: fields[name] for name, letter in zip(fields, G.gating, strict=True) if letter == "L"})


CANDIDATES, CLIMBED = 50, 4  # experts drawn by `insertions`, unless more are asked for, and climbed, a start wanted
SUMMITS = 64  # experts climbed in all: 35 to 60 distinct maxima were seen in local fits
STEPS, ENOUGH = 15, 0.02  # Newton steps of such a climb at most; log-likelihood units that one more must promise
TOGETHER = 32  # experts whose effects on all rows are in memory at once
APART = 1.0  # standard deviations (of noise for lines, of x for gates) by which experts differ
KINDS = ("location", "slope", "gate", "scale", "mixed")


def split(G, k2, X, rng, number):
    """A measure of shape `k2` near G: experts (and groups) copied as `embed` does, and the copies pulled apart.

    The start's `number` decides the stratum (which experts are copied) and, slower, the kind of pull: in location
    (variances shrunk to keep the second moment), in slope, in the gate, in scale, or in all of these. Barycentres of
    the copies stay where G has them, with slopes measured at the centre of the covariates X (n, d).

    Returns
    -------
    measure : MixingMeasure
    kind : str
    """
    n_strata = strata(k2, G.k2)
    kind = KINDS[(number // n_strata) % len(KINDS)]
    centre, x_spread, run = centre_and_units(X)
    G = translate(G, centre)
    measure, groups, leaves = _embed(G, k2, rng, number % n_strata, lambda m: rng.dirichlet(np.full(m, 4.0)))
    fields = {name: getattr(measure, name).copy() for name in ("a", "b", "omega", "eta", "tau", "nu")}
    gate_unit = [x_spread if letter == "L" else 1.0 / run for letter in G.gating]

    for group_weight, members in _copies(groups, measure.b):
        pull = _pull(rng, group_weight, G.d) * gate_unit[0]
        fields["a"][members] += rng.uniform(0.3, 1.5) * pull if kind in ("gate", "mixed") else 0.1 * pull
    own = measure.group * G.n_experts + leaves
    for weight, members in _copies(own, measure.beta):
        sd = np.sqrt(measure.nu[members[0]])
        size = {name: 0.05 * rng.uniform() for name in ("location", "slope", "gate", "scale")}
        for name in size:
            if kind in (name, "mixed"):
                size[name] = rng.uniform(0.3, 1.5) * (0.6 if kind == "mixed" else 1.0)
        shift = size["location"] * _pull(rng, weight, 1)[:, 0]
        fields["tau"][members] += sd * shift
        fields["eta"][members] += size["slope"] * sd * _pull(rng, weight, G.d) / run
        fields["omega"][members] += size["gate"] * _pull(rng, weight, G.d) * gate_unit[1]
        left = max(1.0 - weight @ shift**2, 0.3)
        fields["nu"][members] *= left * np.exp(0.7 * size["scale"] * _pull(rng, weight, 1)[:, 0])
    return translate(measure.replace(**fields), -centre), kind


def insertions(problem, G, rng, count, candidates=CANDIDATES):
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

    Returns
    -------
    list of ndarray
        Coordinates of `problem`; the best of those alone come first, then the most promising.
    """
    (i,) = (g for g in range(G.k1) if problem.k2[g] == G.k2[g] + 1)
    group = _Group(problem, G, i)
    drawn = group.candidates(rng, candidates * count)
    alone = group.climb(group.apart(group.alone(drawn), min(CLIMBED * count, SUMMITS)))
    alone = group.apart(alone, count - count // 2)
    few = {name: values[: CANDIDATES * count] for name, values in drawn.items()}
    helped = group.apart(group.helped(few), count - alone["gain"].size)
    return [group.insert(expert) for experts in (alone, helped) for expert in _one_by_one(experts)]


EXPERT = ("omega", "eta", "tau", "nu")
PARTS = ("omega", "beta", "eta", "tau", "log_nu")


def _one_by_one(experts):
    return [{name: values[k] for name, values in experts.items()} for k in range(experts["tau"].size)]


class _Group:
    """Group i of a fitted G on the data, to which an expert may be added; all in the units of the problem."""

    def __init__(self, problem, G, i):
        self.problem, self.G = problem, problem.inside(G)
        self.i, self.kind = i, problem.kinds[1]
        self.lo, self.hi = G.offsets[i], G.offsets[i + 1]
        self.centre, self.spread, _ = centre_and_units(problem.X)
        self.low, self.high = problem.X.min(axis=0), problem.X.max(axis=0)
        self.box = {}
        for name in PARTS:
            where = problem.slices[name]
            low, high = (float((bound * problem.scale)[where][0]) for bound in (problem.lower, problem.upper))
            if name == "beta" or (name == "omega" and self.kind == 0):  # only differences within the gate are bounded
                mine = getattr(self.G, name)[self.lo : self.hi]
                low, high = mine.max(axis=0) - (high - low), mine.min(axis=0) + (high - low)
            self.box[name] = (low, np.maximum(low, high))
        self.base = kernels.insertion_base(problem.X, problem.y, *self.G.kernel_args(), problem.smoothing, i)

    def candidates(self, rng, count):
        """Random experts: lines turned and moved from those of G, half of them through a row; gates anywhere."""
        G, size = self.G, (count, self.G.d)
        own, any_ = rng.integers(self.lo, self.hi, count), rng.integers(G.n_experts, size=count)
        j = own if self.problem.home is not None else np.where(np.arange(count) % 2, own, any_)
        omega = rng.uniform(self.low, self.high, size) if self.kind == 1 else rng.uniform(-4, 4, size) / self.spread
        rows, sd = rng.integers(self.problem.n, size=count), np.sqrt(G.nu[j])
        steep = np.exp(rng.standard_normal(size))  # a few aligned points may ask for a line far steeper than G's
        eta = G.eta[j] + 1.2 * steep * sd[:, None] / self.spread * rng.standard_normal(size)
        constant = self.problem.constant
        eta[:, constant] = G.eta[j][:, constant]
        if self.kind == 0:
            omega[:, constant] = G.omega[j][:, constant]
        near = (self.problem.X[rows] * G.eta[j]).sum(axis=1) + G.tau[j] + 1.5 * sd * rng.standard_normal(count)
        through = self.problem.y[rows] if self.problem.home is None else near
        tau = np.where(np.arange(count) % 4 < 2, near, through) - (self.problem.X[rows] * eta).sum(axis=1)
        nu = G.nu[j] * np.exp(1.5 * rng.standard_normal(count))
        return self._clip({"omega": omega, "eta": eta, "tau": tau, "nu": nu})

    def apart(self, experts, count):
        """The best `count` of the experts that are not much the same as a better one."""
        ends = np.stack([self.low, self.high])
        lines = ends @ experts["eta"].T + experts["tau"]
        unit = self.spread if self.kind == 1 else 1.0 / self.spread
        gates, log_nu = experts["omega"] / unit, np.log(experts["nu"])
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
        return out | {"nu": np.clip(experts["nu"], *np.exp(self.box["log_nu"]))}

    def alone(self, experts):
        """The experts with their `beta` and `gain`: the best intercept in the box and what it adds, all else held."""
        pivot, low, high = self._intercepts(experts)
        args = read_only(experts["omega"], pivot, experts["eta"], experts["tau"], experts["nu"], low, high)
        chosen, gain = kernels.insertion_gains(*self._data(), *args, self.problem.smoothing)
        return self._judged(experts | {"beta": pivot + chosen, "gain": gain})

    def climb(self, experts):
        """Each of the experts `alone` at the maximum of the gain near it."""
        eps, place, tops = self.problem.smoothing, _Place(self), []
        for expert in _one_by_one(experts):
            top = maximise(place, place.write(expert), eps, np.inf, STEPS, ENOUGH)
            tops.append(place.read(top.z) | {"gain": top.value})
        return self._judged({name: np.array([top[name] for top in tops]) for name in tops[0]}) if tops else experts

    def helped(self, experts):
        """The experts with `beta` and `gain` as promised if all that G has makes way for them, to second order."""
        pivot, low, high = self._intercepts(experts)
        X, y, kind, base, eps = *self._data(), self.problem.smoothing
        all_args = read_only(experts["omega"], pivot, experts["eta"], experts["tau"], experts["nu"])
        first, second = np.zeros((2, pivot.size))
        cross, outer = np.zeros((pivot.size, self.G.to_vector().size)), 0.0
        for rows in batches(len(y)):
            scores = kernels.row_scores(X[rows], y[rows], *self.G.kernel_args(), eps)[1]
            outer = outer + scores @ scores.T
            of_rows = X[rows], y[rows], kind, np.ascontiguousarray(base[:, rows])
            for start in range(0, pivot.size, TOGETHER):
                part = slice(start, start + TOGETHER)
                change = kernels.insertion_changes(*of_rows, *(values[part] for values in all_args), eps)
                first[part] += change.sum(axis=1)
                second[part] += (change**2).sum(axis=1)
                cross[part] += change @ scores.T
        values, vectors = np.linalg.eigh(outer)
        known = values > 1e-10 * values[-1]
        own = second - ((cross @ vectors[:, known]) ** 2 / values[known]).sum(axis=1)
        tells = (own > 1e-7 * second) & np.isfinite(second) & (second > 1e-200)
        own = np.where(tells, own, 1.0)
        weight = np.clip(first / own, np.exp(low), np.exp(high))
        gain = np.where(tells & (first > 0), weight * first - 0.5 * weight**2 * own, -np.inf)
        return self._judged(experts | {"beta": pivot + np.log(weight), "gain": gain})

    def _data(self):
        return self.problem.X, self.problem.y, self.kind, self.base

    def _intercepts(self, experts):
        """(pivot, low, high): intercepts count from the pivot, where a softmax score is 0 at the centre of x."""
        omega = experts["omega"]
        pivot = -omega @ self.centre if self.kind == 0 else np.zeros(len(omega))
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
        add = {name: np.insert(getattr(self.G, name), self.hi, entry[name], axis=0) for name in ("beta", *EXPERT)}
        grown = self.G.replace(k2=self.problem.k2, **add)
        return self.problem.project(grown.to_vector() / self.problem.scale)


class _Place:
    """The gain of one expert as a problem for `newton`, over z = (omega, beta, eta, tau, log nu) / scale in the box."""

    gauges, active = (), Problem.active

    def __init__(self, group):
        self.group, self.n, d = group, group.problem.n, group.G.d
        unit = group.spread if group.kind == 1 else 1.0 / group.spread
        sd = np.sqrt(group.G.nu[group.lo : group.hi].min())
        self.scale = np.concatenate([unit, [1.0], sd / group.spread, [sd, 1.0]])
        self.ends = np.cumsum([d, 1, d, 1])
        box = [
            [np.broadcast_to(end, size) for end in group.box[name]]
            for name, size in zip(PARTS, (d, 1, d, 1, 1), strict=True)
        ]
        self.lower, self.upper = (np.concatenate(side) / self.scale for side in zip(*box, strict=True))
        constant = group.problem.constant
        self.fixed = np.concatenate([constant & (group.kind == 0), [False], constant, [False, False]])
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
        value, gradient, information = kernels.insertion_information(*self.group._data(), *self.read(z).values(), eps)
        return value, gradient * self.scale, information * (self.scale[:, None] * self.scale)


def drop(G, j):
    """G without expert j, whose group must hold another."""
    k2 = tuple(m - (g == G.group[j]) for g, m in enumerate(G.k2))
    names = ("omega", "beta", "eta", "tau", "nu")
    return G.replace(k2=k2, **{name: np.delete(getattr(G, name), j, axis=0) for name in names})


def swaps(k2):
    """Every order of the experts in which two of different groups have changed places."""
    group = np.repeat(np.arange(len(k2)), k2)
    for j, k in zip(*np.nonzero(group[:, None] < group), strict=True):
        order = np.arange(group.size)
        order[[j, k]] = k, j
        yield order


def transplant(G, H, i):
    """G with the experts of group i, and their gate, taken from H."""
    k2 = tuple(H.k2[g] if g == i else m for g, m in enumerate(G.k2))
    parts = {}
    for name in ("beta", *EXPERT):
        mine, hers = getattr(G, name), getattr(H, name)
        parts[name] = np.concatenate(
            [mine[: G.offsets[i]], hers[H.offsets[i] : H.offsets[i + 1]], mine[G.offsets[i + 1] :]]
        )
    return G.replace(k2=k2, **parts)


def _copies(owner, intercepts):
    """(normalised weights, members) of every owner with more than one member."""
    for i in np.unique(owner):
        members = np.flatnonzero(owner == i)
        if members.size > 1:
            weight = np.exp(intercepts[members] - intercepts[members].max())
            yield weight / weight.sum(), members


def _pull(rng, weight, d):
    """(m, d) offsets whose weighted mean is 0 and weighted mean square 1 a coordinate."""
    pull = rng.standard_normal((weight.size, d))
    pull -= weight @ pull
    return pull / np.sqrt(weight @ pull**2)


def from_clusters(problem, rng):
    """k-means++ clusters of standardised (x, y), a regression in each; clusters near in x share a group."""
    X, y, K = problem.X, problem.y, problem.K
    spread = np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    points = np.column_stack([X / spread, y / y.std() * rng.uniform(0.5, 3.0)])
    take = rng.choice(len(y), size=min(len(y), 2000), replace=False)
    from scipy.cluster.vq import kmeans2  # loads what other starts do not need

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty cluster is no worry here: its expert starts from all rows
        centres, _ = kmeans2(points[take], K, minit="++", seed=rng)
    label = np.argmin(((points[:, None, :] - centres) ** 2).sum(axis=2), axis=1)
    order = np.argsort(centres[:, 0] + 0.1 * rng.standard_normal(K)) if rng.uniform() < 0.5 else rng.permutation(K)
    weights = np.full((K, len(y)), 0.05 / K)
    weights[np.argsort(order)[label], np.arange(len(y))] += 1.0
    return from_weights(problem, weights)


def random(problem, rng):
    """Experts through random subsets of d + 2 rows, gates random."""
    X, y, K = problem.X, problem.y, problem.K
    weights = np.full((K, len(y)), 1e-3)
    for j in range(K):
        near = rng.integers(len(y))
        distance = ((X - X[near]) ** 2).sum(axis=1)
        pool = np.argsort(distance, kind="stable")[: max(problem.d + 2, int(len(y) * rng.uniform(0.05, 0.6)))]
        weights[j, rng.choice(pool, size=min(pool.size, 2 * (problem.d + 2)), replace=False)] = 1.0
    return from_weights(problem, weights)


def from_weights(problem, weights):
    """Experts by weighted regression; gates flat (softmax) or centred at the experts' covariates (Laplace)."""
    K, d, k1 = problem.K, problem.d, problem.k1
    design = np.column_stack([problem.X, np.ones(problem.n)])
    lines, nu = np.empty((K, d + 1)), np.empty(K)
    for j, weight in enumerate(weights):
        root = np.sqrt(weight)
        lines[j] = np.linalg.lstsq(design * root[:, None], problem.y * root, rcond=1e-10)[0]
        nu[j] = weight @ (problem.y - design @ lines[j]) ** 2 / weight.sum()
    nu = np.maximum(nu, 1e-3 * problem.y.var())
    centres = (weights @ problem.X) / weights.sum(axis=1)[:, None]
    off = problem.offsets
    group_centres = np.stack([centres[lo:hi].mean(axis=0) for lo, hi in zip(off[:-1], off[1:], strict=True)])
    a = group_centres if problem.kinds[0] == 1 else np.zeros((k1, d))
    omega = centres if problem.kinds[1] == 1 else np.zeros((K, d))
    parts = (a, np.zeros(k1), omega, np.zeros(K), lines[:, :d], lines[:, d], np.log(nu))
    v = np.concatenate([part.ravel() for part in parts])
    return problem.to_measure(v / problem.scale)
