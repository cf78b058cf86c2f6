"""Starting values: around a truth or a fitted smaller model (experts split or added), from clusters, and random.

All are measures in the units of the data. Everything random comes from the generator handed in.
"""

import warnings
import zlib

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.special import logsumexp

from .. import kernels
from ..measure import GATINGS, MixingMeasure, check_k2


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


def check_start(start, gating, k2, d):
    """Return `start` if it can start a fit of this model (or is None), else raise a `ValueError`."""
    if start is None:
        return None
    if not isinstance(start, MixingMeasure):
        raise ValueError(f"start must be a MixingMeasure or None; got {type(start).__name__}")
    if start.gating != gating or start.d != d:
        raise ValueError(f"start must have gating {gating!r} and d = {d}; got {start.gating!r} and d = {start.d}")
    if start.k2 != k2 and not contains(k2, start.k2):
        raise ValueError(f"start must have k2 = {k2} or fit inside it group by group; got {start.k2}")
    return start


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


def centre_and_spread(X):
    """Mean and standard deviation of each covariate, (d,) each; a constant one has spread 1."""
    spread = X.std(axis=0)
    return X.mean(axis=0), np.where(spread > 0, spread, 1.0)


def jitter(G, X, rng, size):
    """Every parameter of G moved by about `size` of its natural unit (logits, or standard deviations of noise or x).

    Slopes turn about the centre of the covariates X (n, d), so that starts do not depend on the origin of x.
    """
    centre, x_spread = centre_and_spread(X)
    G = translate(G, centre)
    noise = lambda *shape: size * rng.standard_normal(shape)  # noqa: E731
    sd = np.sqrt(G.nu)
    unit = [x_spread if letter == "L" else 1.0 / x_spread for letter in G.gating]
    moved = G.replace(
        a=G.a + noise(*G.a.shape) * unit[0],
        b=G.b + noise(*G.b.shape),
        omega=G.omega + noise(*G.omega.shape) * unit[1],
        beta=G.beta + noise(*G.beta.shape),
        eta=G.eta + noise(*G.eta.shape) * sd[:, None] / x_spread,
        tau=G.tau + noise(G.tau.size) * sd,
        nu=G.nu * np.exp(noise(G.nu.size)),
    )
    return translate(moved, -centre)


CANDIDATES = 1000  # experts scored by `insertions`
SETTLED = 3  # followed by EM for each measure wanted: so many of the best, and as many of separate lots
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
    centre, x_spread = centre_and_spread(X)
    G = translate(G, centre)
    measure, groups, leaves = _embed(G, k2, rng, number % n_strata, lambda m: rng.dirichlet(np.full(m, 4.0)))
    fields = {name: getattr(measure, name).copy() for name in ("a", "b", "omega", "eta", "tau", "nu")}
    slope_unit = [x_spread if letter == "L" else 1.0 / x_spread for letter in G.gating]

    for group_weight, members in _copies(groups, measure.b):
        pull = _pull(rng, group_weight, G.d) * slope_unit[0]
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
        fields["eta"][members] += size["slope"] * sd * _pull(rng, weight, G.d) / x_spread
        fields["omega"][members] += size["gate"] * _pull(rng, weight, G.d) * slope_unit[1]
        left = max(1.0 - weight @ shift**2, 0.3)
        fields["nu"][members] *= left * np.exp(0.7 * size["scale"] * _pull(rng, weight, 1)[:, 0])
    return translate(measure.replace(**fields), -centre), kind


def insertions(problem, G, rng, count, anywhere=True):
    """Measures with one expert more than the fitted G, put where the data ask for it.

    A small weight c on a new expert N with gate weight h in a group of density l changes log p by c g h (N - l) / p to
    first order (g the group's gate); with d_n this ratio at row n, the log-likelihood gains about
    (sum d)^2 / (2 sum d^2). `CANDIDATES` random experts and gates are scored so (the gradient function of a mixture:
    Lindsay 1983). The leaders are settled by a few EM steps of the new expert alone; the best that differ are taken.

    Parameters
    ----------
    problem : Problem
        Of the larger shape, which has one expert more than G in one group.
    G : MixingMeasure
        In the units of the data.
    rng : numpy.random.Generator
    count : int
        Number of measures wanted; fewer are returned where fewer differ.
    anywhere : bool
        Look near experts of other groups too; else only near those of the group that grows, which keeps an estimator
        around a truth local to it.

    Returns
    -------
    list of MixingMeasure
    """
    (i,) = (g for g in range(G.k1) if problem.k2[g] == G.k2[g] + 1)
    group = _Group(problem, G, i)
    gains, *experts = group.candidates(rng, anywhere)
    # half of those settled are the best of all, half the best of separate lots, which keeps them apart
    lots = np.array_split(rng.permutation(gains.size), SETTLED * count)
    best = np.argsort(-gains, kind="stable")[: SETTLED * count]
    chosen = {*best, *(lot[np.argmax(gains[lot])] for lot in lots)}
    candidates = [[values[k] for values in experts] for k in sorted(chosen) if gains[k] > 0]
    settled = sorted((group.settle(*expert) for expert in candidates), key=lambda entry: -entry[0])
    chosen = []
    for entry in settled:
        if len(chosen) < count and all(group.differ(entry, other) for other in chosen):
            chosen.append(entry)
    return [translate(_insert(group.G, problem.k2, group.hi, *entry[1:]), -group.centre) for entry in chosen]


class _Group:
    """Group i of a fitted G on the data, to which an expert (omega, beta, eta, tau, nu) may be added."""

    def __init__(self, problem, G, i):
        X = problem.X * problem.x_scale + problem.x_shift
        self.centre, self.spread = centre_and_spread(X)
        self.X, self.y = X - self.centre, problem.y * problem.y_scale + problem.y_shift
        self.G = G = translate(G, self.centre)  # everything below is in centred covariates
        self.lo, self.hi, self.kind = G.offsets[i], G.offsets[i + 1], problem.kinds[1]
        unit = problem.y_scale**2
        log_nu = problem.slices["log_nu"]
        self.nu_low, self.nu_high = (np.exp(bound[log_nu][0]) * unit for bound in (problem.lower, problem.upper))
        self.low, self.high = self.X.min(axis=0), self.X.max(axis=0)

        weights = kernels.gate_weights(self.X, *G.kernel_args())
        log_p = kernels.log_density(self.X, self.y, *G.kernel_args(), 0.0)
        log_experts = -0.5 * ((self.y[:, None] - self.X @ G.eta.T - G.tau) ** 2 / G.nu + np.log(2 * np.pi * G.nu))
        own = slice(self.lo, self.hi)
        self.log_p = log_p
        self.gate = weights[:, own].sum(axis=1)
        self.held = (weights[:, own] * np.exp(log_experts[:, own] - log_p[:, None])).sum(axis=1)  # R = g l / p
        self.log_sum = logsumexp(_scores(self.kind, self.X, G.omega[own]) + G.beta[own], axis=1)

    def candidates(self, rng, anywhere):
        """First-order gain (0 where negative), omega, beta, eta, tau, nu of `CANDIDATES` random experts."""
        G, size = self.G, (CANDIDATES, self.G.d)
        own, any_ = rng.integers(self.lo, self.hi, CANDIDATES), rng.integers(G.n_experts, size=CANDIDATES)
        j = np.where(np.arange(CANDIDATES) % 2, own, any_) if anywhere else own
        omega = rng.uniform(self.low, self.high, size) if self.kind == 1 else rng.uniform(-4, 4, size) / self.spread
        pivot, sd = self.X[rng.integers(len(self.X), size=CANDIDATES)], np.sqrt(G.nu[j])
        eta = G.eta[j] + 1.2 * sd[:, None] / self.spread * rng.standard_normal(size)
        tau = G.tau[j] + ((G.eta[j] - eta) * pivot).sum(axis=1) + 1.5 * sd * rng.standard_normal(CANDIDATES)
        nu = np.clip(G.nu[j] * np.exp(rng.standard_normal(CANDIDATES)), self.nu_low, self.nu_high)
        state = self.log_sum, self.log_p, self.gate, self.held
        first, second = kernels.insertion_gains(self.X, self.y, self.kind, omega, eta, tau, nu, *state)
        helps = (first > 0) & (second > 1e-200) & np.isfinite(second)
        weight = np.where(helps, first, 0.0) / np.where(helps, second, 1.0)  # the best weight of the quadratic model
        return 0.5 * weight * np.maximum(first, 0.0), omega, np.log(np.clip(weight, 1e-6, 1e6)), eta, tau, nu

    def settle(self, omega, beta, eta, tau, nu, steps=6):
        """EM of the new expert and its intercept, all else fixed: (gain, omega, beta, eta, tau, nu)."""
        state = self.log_sum, self.log_p, self.gate, self.held
        for step in range(steps + 1):
            sums = kernels.insertion_sums(self.X, self.y, self.kind, omega, beta, eta, tau, nu, *state)
            gain, xx, xe, ee, score, information = sums
            if step == steps or not xx[-1, -1] > self.G.d + 2:
                return gain, omega, beta, eta, tau, nu
            move = np.linalg.lstsq(xx, xe, rcond=1e-12)[0]
            eta, tau = eta + move[:-1], tau + move[-1]
            nu = np.clip(max(ee - xe @ move, 0.0) / xx[-1, -1], self.nu_low, self.nu_high)
            beta = beta + np.clip(score / max(information, 1e-10), -1.0, 1.0)

    def differ(self, one, other):
        """True unless two settled experts are much the same."""
        _, omega, _, eta, tau, nu = one
        _, omega2, _, eta2, tau2, nu2 = other
        sd = np.sqrt(min(nu, nu2))
        ends = np.stack([self.low, self.high])
        lines = np.abs(ends @ (eta - eta2) + tau - tau2).max() / sd
        unit = self.spread if self.kind == 1 else 1.0 / self.spread
        return lines > 0.3 or abs(np.log(nu / nu2)) > 0.3 or (np.abs(omega - omega2) / unit).max() > 0.5


def drop(G, j):
    """G without expert j, whose group must hold another."""
    k2 = tuple(m - (g == G.group[j]) for g, m in enumerate(G.k2))
    names = ("omega", "beta", "eta", "tau", "nu")
    return G.replace(k2=k2, **{name: np.delete(getattr(G, name), j, axis=0) for name in names})


def _scores(kind, X, slopes):
    """Gate scores without intercepts, (n, m)."""
    if kind == 0:
        return X @ slopes.T
    return -np.sqrt(((X[:, None, :] - slopes) ** 2).sum(axis=2))


def _insert(G, k2, place, omega, beta, eta, tau, nu):
    add = {"omega": omega, "beta": beta, "eta": eta, "tau": tau, "nu": nu}
    return G.replace(k2=k2, **{name: np.insert(getattr(G, name), place, value, axis=0) for name, value in add.items()})


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty cluster is no worry here: its expert starts from all rows
        centres, _ = kmeans2(points[take], K, minit="++", seed=rng)
    label = np.argmin(((points[:, None, :] - centres) ** 2).sum(axis=2), axis=1)
    order = np.argsort(centres[:, 0] + 0.1 * rng.standard_normal(K)) if rng.uniform() < 0.5 else rng.permutation(K)
    weights = np.full((K, len(y)), 0.05 / K)
    weights[np.argsort(order)[label], np.arange(len(y))] += 1.0
    return _from_weights(problem, weights)


def random(problem, rng):
    """Experts through random subsets of d + 2 rows, gates random."""
    X, y, K = problem.X, problem.y, problem.K
    weights = np.full((K, len(y)), 1e-3)
    for j in range(K):
        near = rng.integers(len(y))
        distance = ((X - X[near]) ** 2).sum(axis=1)
        pool = np.argsort(distance, kind="stable")[: max(problem.d + 2, int(len(y) * rng.uniform(0.05, 0.6)))]
        weights[j, rng.choice(pool, size=min(pool.size, 2 * (problem.d + 2)), replace=False)] = 1.0
    return _from_weights(problem, weights)


def _from_weights(problem, weights):
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
