"""Starting values of categorical experts: from clusters, from neighbourhoods, and around a fitted measure.

Those from data are coordinates of a `ClassProblem`, those around a measure are measures in the units of the data.
Maps of measures that ask for no family are in `shapes`, and in `starts` (`recentre`, `scatter`).
"""

import warnings

import numpy as np

from .rows import drawn
from .shapes import about, embedding, strata
from .starts import copies, frame, pull

CLUSTERED = 2000  # rows that clusters are found on
REGRESSION_STEPS = 10  # of each expert's own regression, from 0
KINDS = ("class", "slope", "gate", "mixed")  # what pulls copies apart


def from_clusters(problem, rng):
    """k-means++ clusters of standardised (x, class), a regression in each; clusters near in x share a group."""
    from scipy.cluster.vq import kmeans2  # loads what other starts do not need

    X, K = problem.X, problem.K
    points = np.column_stack([X, rng.uniform(0.0, 3.0) * np.eye(problem.C)[problem.codes]])
    take = _take(problem, rng, min(len(X), CLUSTERED))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty cluster is no worry: its expert starts from all rows
        centres, _ = kmeans2(points[take], K, minit="++", seed=rng)
    label = np.argmin(((points[:, None, :] - centres) ** 2).sum(axis=2), axis=1)
    order = np.argsort(centres[:, 0]) if rng.uniform() < 0.5 else rng.permutation(K)
    weights = np.full((K, len(X)), 0.05 / K)
    weights[np.argsort(order)[label], np.arange(len(X))] += 1.0
    return from_weights(problem, weights, rng)


def random(problem, rng):
    """Each expert with the rows nearest to one that is drawn, and a class or two more than theirs made likely."""
    X, K = problem.X, problem.K
    weights = np.full((K, len(X)), 1e-2)
    for j in range(K):
        distance = ((X - X[drawn(rng, len(X), problem.weights)]) ** 2).sum(axis=1)
        weights[j, np.argsort(distance, kind="stable")[: max(2, int(len(X) * rng.uniform(0.05, 0.6)))]] = 1.0
        weights[j] *= rng.uniform(0.2, 1.0, problem.C)[problem.codes]
    return from_weights(problem, weights, rng)


def from_weights(problem, weights, rng):
    """Coordinates: regressions under weights (K, n), and gates towards the middles of what each expert has.

    Components of softmax and quadratic gates have the scores of spheres about these middles, of a size that is drawn.
    """
    if problem.weights is not None:
        weights = weights * problem.weights
    v = {name: np.zeros(shape) for name, shape in problem.shapes.items()}
    v["eta"], v["tau"] = problem.regressions(weights, REGRESSION_STEPS)
    sharp = rng.uniform(0.0, 1.0)
    for wide, flat, gate, parts in problem.levels:
        columns, features = problem.columns[wide], gate.features(problem.X)
        shares = weights if wide == "omega" else np.add.reduceat(weights, problem.offsets[:-1], axis=0)
        middles = shares @ features / shares.sum(axis=1)[:, None]
        if gate.located:
            v[wide] = middles
            continue
        for part in parts:
            away = np.where(columns.free, (middles[part] - columns.middle) / columns.spread, 0.0)
            v[wide][part] = sharp * away / columns.spread
            v[flat][part] = -0.5 * sharp * (away**2).sum(axis=1) - v[wide][part] @ columns.middle
    return problem.coordinates(v)


def _take(problem, rng, size):
    if problem.weights is None:
        return rng.choice(len(problem.X), size=size, replace=False)
    return drawn(rng, len(problem.X), problem.weights, size)


def jitter(G, rows, rng, size):
    """Every parameter of G moved by about `size` of its natural unit, logits or standard deviations of x."""
    middles, run, unit = frame(G, rows.X, rows.weights)
    G = about(G, *middles)
    noise = lambda like: size * rng.standard_normal(like.shape)  # noqa: E731
    moved = G.replace(
        a=G.a + noise(G.a) * unit[0],
        b=G.b + noise(G.b),
        omega=G.omega + noise(G.omega) * unit[1],
        beta=G.beta + noise(G.beta),
        eta=G.eta + noise(G.eta) / run,
        tau=G.tau + noise(G.tau),
    )
    return about(moved, *(-middle for middle in middles))


def split(G, k2, rows, rng, number):
    """(measure of shape `k2` near G, kind): experts and groups copied as `embed` does, and the copies pulled apart.

    As `starts.split` for Gaussian experts: the number of the start says which experts are copied and what is pulled.
    """
    n_strata = strata(k2, G.k2)
    kind = KINDS[(number // n_strata) % len(KINDS)]
    middles, run, unit = frame(G, rows.X, rows.weights)
    G = about(G, *middles)
    measure, groups, leaves = embedding(G, k2, rng, number % n_strata, lambda m: rng.dirichlet(np.full(m, 4.0)))
    fields = {name: getattr(measure, name).copy() for name in ("a", "omega", "eta", "tau")}
    size = {name: rng.uniform(0.5, 2.0) if kind in (name, "mixed") else 0.1 for name in KINDS[:3]}
    for weight, members in copies(groups, measure.b):
        fields["a"][members] += size["gate"] * pull(rng, weight, G.d) * unit[0]
    for weight, members in copies(measure.group * G.n_experts + leaves, measure.beta):
        fields["omega"][members] += size["gate"] * pull(rng, weight, G.d) * unit[1]
        for c in range(G.n_classes - 1):
            fields["tau"][members, c] += size["class"] * pull(rng, weight, 1)[:, 0]
            fields["eta"][members, c] += size["slope"] * pull(rng, weight, G.d) / run
    return about(measure.replace(**fields), *(-middle for middle in middles)), kind
