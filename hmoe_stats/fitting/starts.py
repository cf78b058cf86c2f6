"""Starting values: around a truth or a fitted smaller model (experts split), from clusters, and random.

All are measures in the units of the data. Everything random comes from the generator handed in.
"""

import warnings
import zlib
from typing import NamedTuple

import numpy as np

from .. import gates
from ..arguments import check_seed, shown
from ..measure import as_measure
from ..tree import check_view
from .problem import check_reach
from .rows import drawn, moments, variance
from .shapes import about, contains, embedding, strata


def key(seed, gating, k2):
    """The `SeedSequence` of one model's starts.

    It depends on the seed and on the model, so that a smaller model fitted on the way to a larger one draws the very
    numbers it would draw alone.
    """
    seed = check_seed(seed, np.random.SeedSequence)
    if not isinstance(seed, np.random.SeedSequence):
        seed = np.random.SeedSequence(seed)
    spawn = (*seed.spawn_key, zlib.crc32(b"starts"), gates.GATINGS.index(gating), *k2)
    return np.random.SeedSequence(seed.entropy, spawn_key=spawn)


ROUNDING = 1e-12  # relative, of Laplace scales that are the same: per standard deviation, and back


def check_start(start, gating, k2, X, y, weights=None, view=None):
    """Return `start`, of a fit its measure; a `ValueError` unless it is None or a start of this model on these data.

    It is written with all columns, and must see those of the model's `view` (`measure.check_view`).
    """
    if start is None:
        return None
    d, start = X.shape[1], as_measure("start", start)
    check_inside(start, gating, k2, d)
    view = check_view(gating, d) if view is None else view
    for name, value in view.items():
        mine = getattr(start, name)
        if not np.allclose(mine, value, rtol=ROUNDING, atol=0.0) if name == "laplace_scale" else mine != value:
            raise ValueError(f"start must have {name} = {_written(value)}; got {_written(mine)}")
    if not np.array_equal(start.laplace_scale, view["laplace_scale"]):  # another last bit of the same scale
        start = start.replace(laplace_scale=view["laplace_scale"])
    check_reach(start, X, y, weights)
    return start.wide()


def check_inside(start, gating, k2, d):
    """Raise a `ValueError` unless a measure has this gating and d covariates, and a shape that is k2 or inside it."""
    if start.gating != gating or start.d != d:
        raise ValueError(f"start must have gating {gating!r} and d = {d}; got {start.gating!r} and d = {start.d}")
    if start.k2 != k2 and not contains(k2, start.k2):
        raise ValueError(f"start must have k2 = {shown(k2)} or fit inside it group by group; got {shown(start.k2)}")


def _written(value):
    return shown(getattr(value, "tolist", lambda: value)())


def centre_and_units(X, weights=None):
    """Mean of each covariate, the unit of centres on it and one over that of slopes, (d,) each: its standard deviation.

    A constant one has 1 and infinity: slopes on it do nothing, and stay where they are.
    """
    centre, spread, varies = moments(X, weights)
    return centre, np.where(varies, spread, 1.0), np.where(varies, spread, np.inf)


class Frame(NamedTuple):
    """Where the covariates of a data set are, and how large a parameter is on them, (d,) each."""

    middles: tuple  # of x, and of the features of the gates of either level
    run: np.ndarray  # standard deviations of x, infinite on constant columns
    units: tuple  # of the slopes of either gate


def frame(G, X, weights=None):
    """The `Frame` of covariates X (n, d) for the gates of a measure."""
    middle, _, run = centre_and_units(X, weights)
    middles, units = [middle], []
    for gate in G.gates:
        features = gate.features(X)
        at, of_centres, of_slopes = centre_and_units(features, weights)
        middles.append(at)
        units.append(gate.unit(of_centres, np.isfinite(of_slopes)))
    return Frame(tuple(middles), run, tuple(units))


def jitter(G, X, rng, size, weights=None):
    """Every parameter of G moved by about `size` of its natural unit (logits, or standard deviations of noise or x).

    Slopes turn about the centre of the covariates X (n, d), so that starts do not depend on the origin of x.
    """
    middles, run, unit = frame(G, X, weights)
    G = about(G, *middles)
    noise = lambda *shape: size * rng.standard_normal(shape)  # noqa: E731
    sd = np.sqrt(G.nu)
    moved = G.replace(
        a=G.a + noise(*G.a.shape) * unit[0],
        b=G.b + noise(*G.b.shape),
        omega=G.omega + noise(*G.omega.shape) * unit[1],
        beta=G.beta + noise(*G.beta.shape),
        eta=G.eta + noise(*G.eta.shape) * sd[:, None] / run,
        tau=G.tau + noise(G.tau.size) * sd,
        nu=G.nu * np.exp(noise(G.nu.size)),
    )
    return about(moved, *(-middle for middle in middles))


def recentre(G, X, rng, apart=False, weights=None):
    """G with all centres of one of its gates that have any, of which it has one at least, moved alike about a row of X.

    With `apart` each goes to a row of its own instead.
    """
    first, second = G.gates
    found = [("a", slice(0, G.k1))] if first.located and G.k1 > 1 else []
    if second.located:
        found += [("omega", slice(G.offsets[i], G.offsets[i + 1])) for i in range(G.k1) if G.k2[i] > 1]
    name, members = found[rng.integers(len(found))]
    centres = getattr(G, name).copy()
    if apart:
        centres[members] = X[drawn(rng, len(X), weights, len(centres[members]))]
    else:
        centres[members] += X[drawn(rng, len(X), weights)] - centres[members].mean(axis=0)
    return G.replace(**{name: centres})


def scatter(G, X, rng, weights=None):
    """G with all centres of its gates at rows drawn from X."""
    rows = X[drawn(rng, len(X), weights, G.k1 + G.n_experts)]
    fields = {"a": rows[: G.k1], "omega": rows[G.k1 :]}
    located = [gate.located for gate in G.gates]
    return G.replace(**{name: fields[name] for name, moves in zip(fields, located, strict=True) if moves})


# ((of slopes, power of e), (of locations, power)) of copies of an expert, in standard deviations: see `near_split`
NEAR = ((3.0, 1 / 2), (2.0, 1 / 2)), ((2.0, 3 / 4), (2.0, 1 / 4)), ((2.0, 2 / 3), (2.0, 1 / 3))
KINDS = ("location", "slope", "gate", "scale", "mixed")


def split(G, k2, X, rng, number, weights=None):
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
    middles, run, gate_unit = frame(G, X, weights)
    G = about(G, *middles)
    measure, groups, leaves = embedding(G, k2, rng, number % n_strata, lambda m: rng.dirichlet(np.full(m, 4.0)))
    fields = {name: getattr(measure, name).copy() for name in ("a", "b", "omega", "eta", "tau", "nu")}

    for group_weight, members in copies(groups, measure.b):
        moved = pull(rng, group_weight, G.d) * gate_unit[0]
        fields["a"][members] += rng.uniform(0.3, 1.5) * moved if kind in ("gate", "mixed") else 0.1 * moved
    own = measure.group * G.n_experts + leaves
    for weight, members in copies(own, measure.beta):
        size = {name: 0.05 * rng.uniform() for name in ("location", "slope", "gate", "scale")}
        for name in size:
            if kind in (name, "mixed"):
                size[name] = rng.uniform(0.3, 1.5) * (0.6 if kind == "mixed" else 1.0)
        size["scale"] *= 0.7
        _pull_apart(fields, members, weight, size, rng, run, gate_unit[1])
    return about(measure.replace(**fields), *(-middle for middle in middles)), kind


def near_split(G, problem, X, rng, number):
    """As `split`, with the copies of experts as far apart as n rows hardly tell.

    With e = n^(-1/2) their gates and log nu differ by 3 e^(1/2), and slopes and locations by powers of e of `NEAR` in
    turn: so that the density of the copies is about e from that of their expert, as those of optima are.
    """
    n, n_strata = problem.n, strata(problem.k2, G.k2)
    (slope, of_slope), (location, of_location) = NEAR[(number // n_strata) % len(NEAR)]
    size = {"location": location * n ** (-of_location / 2), "slope": slope * n ** (-of_slope / 2)}
    size |= {"gate": 3.0 * n**-0.25, "scale": 3.0 * n**-0.25}
    middles, run, gate_unit = frame(G, X, problem.weights)
    G = about(G, *middles)
    measure, _, leaves = embedding(G, problem.k2, rng, number % n_strata, lambda m: rng.dirichlet(np.full(m, 2.0)))
    fields = {name: getattr(measure, name).copy() for name in ("omega", "eta", "tau", "nu")}
    for weight, members in copies(measure.group * G.n_experts + leaves, measure.beta):
        _pull_apart(fields, members, weight, size, rng, run, gate_unit[1])
    return about(measure.replace(**fields), *(-middle for middle in middles))


def _pull_apart(fields, members, weight, size, rng, run, gate_unit):
    """Move the copies `members` of an expert by about `size`; their barycentre stays, and so does the second moment."""
    d, sd = run.size, np.sqrt(fields["nu"][members[0]])
    shift = size["location"] * pull(rng, weight, 1)[:, 0]
    fields["tau"][members] += sd * shift
    fields["eta"][members] += size["slope"] * sd * pull(rng, weight, d) / run
    fields["omega"][members] += size["gate"] * pull(rng, weight, d) * gate_unit
    left = max(1.0 - weight @ shift**2, 0.3)
    fields["nu"][members] *= left * np.exp(size["scale"] * pull(rng, weight, 1)[:, 0])


def copies(owner, intercepts):
    """(normalised weights, members) of every owner with more than one member."""
    for i in np.unique(owner):
        members = np.flatnonzero(owner == i)
        if members.size > 1:
            weight = np.exp(intercepts[members] - intercepts[members].max())
            yield weight / weight.sum(), members


def pull(rng, weight, d):
    """(m, d) offsets whose weighted mean is 0 and weighted mean square 1 a coordinate."""
    out = rng.standard_normal((weight.size, d))
    out -= weight @ out
    return out / np.sqrt(weight @ out**2)


def from_clusters(problem, rng):
    """k-means++ clusters of standardised (x, y), a regression in each; clusters near in x share a group."""
    X, y, K = problem.X[:, problem.used], problem.y, problem.K
    spread, y_spread = (np.sqrt(variance(values, problem.weights)) for values in (X, y))
    spread = np.where(spread > 0, spread, 1.0)
    points = np.column_stack([X / spread, y / y_spread * rng.uniform(0.5, 3.0)])
    if problem.weights is None:
        take = rng.choice(len(y), size=min(len(y), 2000), replace=False)
    else:
        take = drawn(rng, len(y), problem.weights, 2000)
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
    X, y, K = problem.X[:, problem.used], problem.y, problem.K
    weights = np.full((K, len(y)), 1e-3)
    for j in range(K):
        near = drawn(rng, len(y), problem.weights)
        distance = ((X - X[near]) ** 2).sum(axis=1)
        order, share, chances = np.argsort(distance, kind="stable"), rng.uniform(0.05, 0.6), None
        if problem.weights is None:
            size = int(len(y) * share)
        else:
            size = int(np.searchsorted(np.cumsum(problem.weights[order]), share * problem.n))
        pool = order[: max(problem.d + 2, size)]
        if problem.weights is not None:
            chances = problem.weights[pool] / problem.weights[pool].sum()
        weights[j, rng.choice(pool, size=min(pool.size, 2 * (problem.d + 2)), replace=False, p=chances)] = 1.0
    return from_weights(problem, weights)


def from_weights(problem, weights):
    """Experts by weighted regression on what they see; gates flat, or with their centres at the experts' covariates.

    Weights (K, rows) of the experts come on top of those of the rows.
    """
    K, d, k1 = problem.K, problem.d, problem.k1
    if problem.weights is not None:
        weights = weights * (problem.weights / problem.weights.mean())
    seen = np.flatnonzero(np.append(~problem.unseen["eta"], True))
    design = np.column_stack([problem.X, np.ones(problem.rows)])[:, seen]
    lines, nu = np.zeros((K, d + 1)), np.empty(K)
    for j, weight in enumerate(weights):
        root = np.sqrt(weight)
        line = np.linalg.lstsq(design * root[:, None], problem.y * root, rcond=1e-10)[0]
        lines[j, seen] = line
        nu[j] = weight @ (problem.y - design @ line) ** 2 / weight.sum()
    nu = np.maximum(nu, 1e-3 * variance(problem.y, problem.weights))
    centres = (weights @ problem.X) / weights.sum(axis=1)[:, None]
    off = problem.offsets
    group_centres = np.stack([centres[lo:hi].mean(axis=0) for lo, hi in zip(off[:-1], off[1:], strict=True)])
    a, omega = problem.gates[0].first(group_centres), problem.gates[1].first(centres)
    parts = (a, np.zeros(k1), omega, np.zeros(K), lines[:, :d], lines[:, d], np.log(nu))
    v = np.concatenate([part.ravel() for part in parts])
    return problem.to_measure(v / problem.scale)
