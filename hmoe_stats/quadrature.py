"""Nodes and weights: of rules in x, of panels in y, and averages over the law of the covariates.

A rule in x is composite Gauss-Legendre for d = 1, with panels that break where integrands have kinks or narrow
features; the rows of an array, equally weighted; and for a law with d > 1 draws whose key is fixed, or for d = 2 the
product of two rules. Rules in y have panels that follow the experts. A covariate law is anything with the methods of
those in `hmoe_stats.sampling`.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.polynomial import legendre

from . import gates, kernels
from .arguments import MOST_ROWS, check_number, check_seed, check_whole

REACH = 9  # experts are followed to this many standard deviations; a normal has 2e-19 of its mass beyond
_BATCH = 1 << 18  # density evaluations a batch
_STEPS = np.array([-12.0, -6.0, -3.0, -1.5, 0.0, 1.5, 3.0, 6.0, 12.0])  # panel edges around a steep crossing, in widths
_DRAWS = 20_000  # covariates of an average where d > 1
_KEY = 20241002935
_PANELS = 24  # of means of functions with steep gates; masses of Laplace gates are smooth between kinks
_DEAR = {1: (8, None), 2: (4, 6)}  # nodes of a panel and panels of a coordinate for dear functions; None: the law's
_FINE = {2: (4, _PANELS)}  # the same for other functions
_NEAR = 6  # standard deviations to which experts are followed for means under a density: 2e-9 of its mass is beyond
_BISECTIONS = 60
_ZERO = 1e-14  # differences of gates below it are rounding, whose signs mean nothing

NU_MIN = 0.04  # the smallest variance that a lattice is for, by default that of the studies
_POISSON = 1.75  # nu / h^2 of a lattice at least: a normal sums to 1 up to 2 exp(-2 pi^2 1.75) = 2e-15
# Nodes by d, for C2 and P2 of `datasets` over [-3, 3]: Hellinger distances are right to 1e-8 and 2e-6 without kinks,
# to 2e-6 and 3e-5 with them; squared second differences of a gate in its centre to 3 percent.
_SMOOTH = {1: 48, 2: 16}  # nodes of a coordinate where gates have no kinks; twice as many on the line
_BASE, _ORDER = {1: 16, 2: 8}, {1: 4, 2: 2}  # with kinks: panels of a coordinate, and nodes of each; more on the line
_NARROW, _FEW = 0.05, {1: 2, 2: 1}  # panels narrower than this, in panels, have fewer nodes
_NEAREST = {1: 1e-6, 2: 1e-3}  # panels at a kink. A centre t off sees it within t, to t^3, or t^4 log t, of 1/n
_GRADED = 4.0  # ratio of widths there, d = 1
_MOST_POINTS = 10**7  # of a lattice: 0.2 GB for x, y and counts


# -- rules on an interval ---------------------------------------------------------------------------------------------
@lru_cache
def gauss_legendre(order):
    """Nodes and weights of the rule on [-1, 1], read-only; kept, as they take an eigenvalue problem to find."""
    rule = legendre.leggauss(order)
    for part in rule:
        part.setflags(write=False)
    return rule


def composite(low, high, breaks, order, panels):
    """Nodes and weights (m,) of the composite Gauss-Legendre rule on [low, high], split at every break inside, too."""
    edges = np.linspace(low, high, panels + 1)
    inside = np.asarray(breaks, dtype=float).ravel()
    edges = np.unique(np.concatenate([edges, inside[(inside > low) & (inside < high)]]))
    t, w = gauss_legendre(order)
    half, mid = 0.5 * np.diff(edges)[:, None], 0.5 * (edges[1:] + edges[:-1])[:, None]
    return (mid + half * t).ravel(), (half * w).ravel()


# -- rules over a covariate law ---------------------------------------------------------------------------------------
def kinks(*measures):
    """Where in x the gates of some measures have kinks (d = 1)."""
    levels = [level for G in measures for level in zip(G.gates, (G.a, G.omega), strict=True)]
    return np.concatenate([gate.kinks(slopes) for gate, slopes in levels])


def check_draws(draws, seed):
    """Return both as ints, where covariates are drawn if they have to be, else raise a `ValueError`."""
    return check_whole("draws", draws, 2, MOST_ROWS), check_seed(seed)


def nodes(law, measures, draws, seed, crossings=False):
    """Nodes (m, d) and weights (m,) for integrals over y of functions of the densities of some measures.

    The rows of an array, a quadrature where d = 1, else `draws` draws of the key `seed`, whose weights are None: their
    mean has a standard error. `crossings`: integrands have kinks where expert lines cross.
    """
    d, (draws, seed) = measures[0].d, check_draws(draws, seed)
    law.support(d)  # a law that does not fit d says so here
    atoms = law.atoms(d)
    if atoms is not None:
        return atoms
    if d > 1:
        return law.sample(np.random.default_rng(np.random.SeedSequence(seed)), draws, d), None
    x, weights = law.quadrature(breaks=_breaks(measures, law, crossings), order=16, panels=24)
    return x[:, None], weights


def _breaks(measures, law, crossings):
    """Where the inner integral, as a function of x, has kinks or narrow features (d = 1).

    Kinks: Laplace centres; for the total variation also the crossings of expert lines. Narrow features: expert lines
    that cross steeply, and gates that switch steeply.
    """
    narrow = 0.1 * np.sqrt(law.cov(1)[0, 0])
    eta, tau, nu = (np.concatenate([getattr(G, name) for G in measures]) for name in ("eta", "tau", "nu"))
    at, width = gates.meetings(eta[:, 0], tau, np.sqrt(nu))
    breaks = [at] if crossings else []
    found = [(at, width)]
    for G in measures:
        groups = [slice(lo, hi) for lo, hi in zip(G.offsets[:-1], G.offsets[1:], strict=True)]
        first, second = G.gates
        for gate, *level in [(first, G.a, G.b)] + [(second, G.omega[g], G.beta[g]) for g in groups]:
            breaks.append(gate.kinks(level[0]))
            found.append(gate.switches(*level))
    for at, width in found:
        steep = width < narrow
        breaks.append((at[steep, None] + width[steep, None] * _STEPS).ravel())
    return np.concatenate(breaks)


# -- panels in y ------------------------------------------------------------------------------------------------------
def lines(measures, X):
    """Means (n, K) and standard deviations (n, K) of the experts of some measures at each row of X."""
    mean = np.concatenate([X @ H.eta.T + H.tau for H in measures], axis=1)
    sd = np.sqrt(np.concatenate([H.nu for H in measures]))
    return mean, np.broadcast_to(sd, mean.shape)


def panel_edges(mean, sd, per_sd=1):
    """Sorted points (n, K (2 REACH per_sd + 1)): every expert's mean and steps of its standard deviation."""
    steps = np.arange(-REACH * per_sd, REACH * per_sd + 1) / per_sd
    edges = mean[:, :, None] + sd[:, :, None] * steps
    return np.sort(edges.reshape(len(mean), -1), axis=1)


def batches(n, per_row):
    """Slices of n rows, of as many densities each as fit in a batch where a row needs `per_row` of them."""
    size = max(1, _BATCH // per_row)
    return (slice(start, start + size) for start in range(0, n, size))


def panels(mean, sd, first):
    """Panels in y as wide as the narrowest expert there: their rows (P,), and their ends (P,) and (P,).

    They fill what the `first` experts of (n, K) reach. An edge is left out where some narrower expert has its own: of
    four experts of C2 and six fitted ones 34 panels are left a row, on average.
    """
    edges = mean[:, :, None] + sd[:, :, None] * np.arange(-_NEAR, _NEAR + 1)
    low, high = edges[:, :first].min(axis=(1, 2)), edges[:, :first].max(axis=(1, 2))
    edges = np.clip(edges, low[:, None, None], high[:, None, None])
    order = np.argsort(sd[0], kind="stable")
    for place, narrow in enumerate(order):
        wider = order[place + 1 :]
        away = np.abs(edges[:, wider] - mean[:, narrow, None, None]) >= _NEAR * sd[0, narrow]
        edges[:, wider] = np.where(away, edges[:, wider], high[:, None, None])
    edges = np.sort(edges.reshape(len(mean), -1), axis=1)
    row, column = np.nonzero(edges[:, 1:] > edges[:, :-1])
    return row, edges[row, column], edges[row, column + 1]


def integrals_of_absolute(values):
    """(...) integrals over [-1, 1] of |f|, f the polynomial that has `values` (..., order) at Gauss-Legendre nodes.

    With s the sign of f behind its last root, they are s int f + 2 sum_r s_r int_{-1}^r f over the roots r, at which
    f changes its sign from s_r. A root is that of a chord, after one step of Newton's: its error enters squared. Two
    roots between neighbouring nodes are not seen.
    """
    shape, order = values.shape[:-1], values.shape[-1]
    node, rule = gauss_legendre(order)
    at = np.concatenate([[-1.0], node, [1.0]])
    to_coefficients = np.linalg.inv(legendre.legvander(node, order - 1))
    values = values.reshape(-1, order)
    ends = legendre.legvander(at[[0, -1]], order - 1) @ to_coefficients
    seen = np.column_stack([values @ ends[0], values, values @ ends[1]])
    negative = seen < 0
    out = np.where(negative[:, -1], -1.0, 1.0) * (values @ rule)
    where, left = np.divmod(np.flatnonzero(negative[:, 1:] != negative[:, :-1]), order + 1)
    before, after = seen[where, left], seen[where, left + 1]
    chord = (after - before) / (at[left + 1] - at[left])
    root = at[left] - before / chord
    f = to_coefficients @ values[where].T
    slope = legendre.legval(root, legendre.legder(f), tensor=False)
    step = np.divide(legendre.legval(root, f, tensor=False), slope, out=np.zeros_like(root), where=slope * chord > 0)
    root = np.clip(root - step, at[left], at[left + 1])
    until = legendre.legval(root, legendre.legint(f, lbnd=-1), tensor=False)
    return (out + np.bincount(where, np.where(before < 0, -2.0, 2.0) * until, len(out))).reshape(shape)


# -- averages over x --------------------------------------------------------------------------------------------------
class Average:
    """Means over a covariate law of functions of x and of two measures."""

    def __init__(self, law, measures):
        self.law, self.measures, self.d = law, measures, measures[0].d

    @cached_property
    def points(self):
        """(n, d) covariates and (n,) weights, for functions that are smooth between kinks."""
        return self._points()

    @cached_property
    def fine(self):
        """The same, for functions that may be steep."""
        return self._product(*_FINE[2]) if self._of_plane else self._points(panels=_PANELS)

    @property
    def exact(self):
        """Whether a finer quadrature is to be had: not where points are rows of an array, or d > 1."""
        return self.d == 1 and self.law.atoms(self.d) is None

    def few(self, most):
        """(n, d) covariates and (n,) weights for functions that are dear: `most` at most where they are points.

        Weights sum to 1. For d = 1 panels also break where gates or lines are steep.
        """
        if self.exact:
            order, _ = _DEAR[1]
            return self._points(_breaks(self.measures, self.law, crossings=False), order=order)
        if self._of_plane:
            return self._product(*_DEAR[2])
        X = self.points[0]
        if len(X) > most:
            X = X[np.random.default_rng(np.random.SeedSequence(_KEY)).choice(len(X), most, replace=False)]
        return X, np.full(len(X), 1.0 / len(X))

    def of_absolute(self, function):
        """(J,) mean of |f| for the columns of ``function(X)``, (n, J); panels also break where f changes sign."""
        X, weights = self.fine
        values = function(X)
        if self.exact:
            roots = _sign_changes(function, X[:, 0], values)
            if roots.size:
                X, weights = self._points(np.concatenate([kinks(*self.measures), roots]), panels=_PANELS)
                values = function(X)
        return weights @ np.abs(values)

    def _points(self, breaks=None, **rule):
        atoms = self.law.atoms(self.d)
        if atoms is not None:
            return atoms
        if self.d == 1:
            x, weights = self.law.quadrature(breaks=kinks(*self.measures) if breaks is None else breaks, **rule)
            return x[:, None], weights
        rng = np.random.default_rng(np.random.SeedSequence(_KEY))
        return self.law.sample(rng, _DRAWS, self.d), np.full(_DRAWS, 1.0 / _DRAWS)

    @property
    def _of_plane(self):
        return self.d == 2 and self.law.atoms(self.d) is None

    def _product(self, order, panels):
        """Nodes and weights of the product of two composite rules, with twice as many panels where the law has no end.

        Steep gates have no panels of their own here.
        """
        line = bool(np.isinf(np.subtract(*self.law.support(self.d))).any())
        low, high = self.law.reach(self.d)
        ends = np.linspace(low, high, panels * (1 + line) + 1)
        corners = (
            np.stack(np.meshgrid(*end.T, indexing="ij"), axis=-1).reshape(-1, self.d) for end in (ends[:-1], ends[1:])
        )
        X, weights = _product_rule(*corners, order)
        weights = weights * self.law.density(X)
        return X, weights / weights.sum()


def _sign_changes(function, x, values):
    """Where some column of `function` changes sign between neighbours in x."""
    order = np.argsort(x)
    x, values = x[order], values[order]
    seen = np.abs(values) > _ZERO
    row, column = np.nonzero((np.sign(values[1:]) != np.sign(values[:-1])) & seen[1:] & seen[:-1])
    low, high, start = x[row], x[row + 1], np.sign(values[row, column])
    for _ in range(_BISECTIONS if row.size else 0):
        middle = 0.5 * (low + high)
        same = np.sign(function(middle[:, None])[np.arange(row.size), column]) == start
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return low


# -- lattices ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Lattice:
    """Points (x, y): nodes X (m, d) of x with their probabilities `weights` (m,), and y (r,), multiples of `step`.

    Of categorical experts y are the numbers of the classes, and the step is 1.
    """

    X: np.ndarray
    weights: np.ndarray
    y: np.ndarray
    step: float

    @property
    def rows(self):
        """X (m r, d) and y (m r,): all points, node by node."""
        return np.repeat(self.X, self.y.size, axis=0), np.tile(self.y, len(self.X))

    def densities(self, G):
        """(m, r) conditional densities p_G(y | x); times `step` they are probabilities of y given x."""
        if G.family.classed:
            return G.predict_proba(self.X)
        return np.exp(kernels.log_density(*self.rows, G.kernel_args(), 0.0)).reshape(len(self.X), -1)

    def probabilities(self, G):
        """(m, r) probabilities of the points, 1 in all."""
        return self.weights[:, None] * self.step * self.densities(G)


def lattice(law, G, nu_min=NU_MIN, fineness=1):
    """The `Lattice` of a covariate law and a true measure of any family, for variances of at least `nu_min`.

    See `hmoe_stats.sample_lattice`.
    """
    nu_min = check_number("nu_min", nu_min, "a positive number", lambda v: v > 0)
    fineness = check_whole("fineness", fineness)
    if G.family.classed:
        return Lattice(*_lattice_nodes(law, G, fineness), np.arange(G.n_classes), 1.0)
    if G.nu.min() < nu_min:
        raise ValueError(f"nu_min must not exceed the variances of G, {G.nu.min():g} the smallest; got {nu_min:g}")
    X, weights = _lattice_nodes(law, G, fineness)
    step = np.sqrt(nu_min / _POISSON) / fineness
    mean, sd = lines((G,), X)
    low = np.floor((mean.min(axis=0) - REACH * sd[0]) / step).astype(int)
    high = np.ceil((mean.max(axis=0) + REACH * sd[0]) / step).astype(int)
    if (points := float((high - low + 1).sum()) * len(X)) > _MOST_POINTS:
        wanted = f"a lattice of at most {_MOST_POINTS:g} points"
        raise ValueError(f"x, nu_min and fineness must make {wanted}; got {len(X)} nodes of x and up to {points:g}")
    y = np.unique(np.concatenate([np.arange(i, j + 1) for i, j in zip(low, high, strict=True)]))
    return Lattice(X, weights, step * y, step)


def _lattice_nodes(law, G, fineness):
    """Nodes (m, d) and weights (m,): atoms, or Gauss-Legendre points of boxes that are graded to the kinks of G."""
    d = G.d
    low, high = law.support(d)  # a law that does not fit d says so here
    atoms = law.atoms(d)
    if atoms is not None:
        X, where = np.unique(atoms[0], axis=0, return_inverse=True)
        return X, np.bincount(where.ravel(), weights=atoms[1])
    if d > 2:
        raise ValueError(f"x must be an (n, d) array of covariates where G has d > 2; got a law, and d = {d}")
    line = bool(np.isinf(high - low).any())
    low, high = law.reach(d)
    levels = zip(G.gates, (G.a, G.omega), strict=True)
    centres = np.concatenate([np.empty((0, d))] + [slopes for gate, slopes in levels if gate.kinked])
    centres = centres[((centres > low) & (centres < high)).all(axis=1)]
    if not len(centres):
        X, weights = _product_rule(low[None], high[None], _SMOOTH[d] * (1 + line) * fineness)
    else:
        panels = _BASE[d] * (1 + line)
        boxes = (_intervals if d == 1 else _squares)(low, high, centres, panels)
        narrow = (boxes[1] - boxes[0] < _NARROW * (high - low) / panels).all(axis=1)
        parts = [_product_rule(*(end[~narrow] for end in boxes), (_ORDER[d] + line) * fineness)]
        parts += [_product_rule(*(end[narrow] for end in boxes), _FEW[d] * fineness)]
        X, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    weights = weights * law.density(X)
    return X, weights / weights.sum()


def _intervals(low, high, centres, panels):
    """Ends (m, 1) of intervals that fill one, so many and more: their widths grow from `_NEAREST` with the distance.

    Every centre is an end.
    """
    centres = np.unique(centres)
    many = int(np.ceil(np.log((high - low).item() / _NEAREST[1]) / np.log(_GRADED)))
    steps = _NEAREST[1] * _GRADED ** np.arange(max(many, 1))
    ends = centres[:, None] + np.concatenate([-steps, [0.0], steps])
    own = np.abs(ends[:, :, None] - centres).argmin(axis=2) == np.arange(centres.size)[:, None]
    ends = np.unique(np.concatenate([np.linspace(*low, *high, panels + 1), ends[own]]))
    ends = ends[(ends >= low) & (ends <= high), None]
    return ends[:-1], ends[1:]


def _squares(low, high, centres, panels):
    """Lower and upper corners (m, 2) of rectangles that fill one, so many a side, halved towards the centres."""
    width, low, high, done = (high - low) / panels, low[None], high[None], []
    while len(low):
        size = high - low
        at_centre = ((low[:, None] <= centres) & (centres <= high[:, None])).all(axis=2).any(axis=1)
        split = (size > width).any(axis=1) | (at_centre & (size > _NEAREST[2]).any(axis=1))
        done.append((low[~split], high[~split]))
        low, high = low[split], high[split]
        for axis in (0, 1):
            middle = 0.5 * (low + high)[:, axis]
            lower, upper = high.copy(), low.copy()
            lower[:, axis] = upper[:, axis] = middle
            low, high = np.concatenate([low, upper]), np.concatenate([lower, high])
    return tuple(np.concatenate(ends) for ends in zip(*done, strict=True))


def _product_rule(low, high, order):
    """Nodes (m order^d, d) and weights of the product Gauss-Legendre rule in boxes (low, high), each (m, d)."""
    t, w = gauss_legendre(order)
    d = low.shape[1]
    t = np.stack(np.meshgrid(*[t] * d, indexing="ij"), axis=-1).reshape(-1, d)
    w = np.prod(np.meshgrid(*[w] * d, indexing="ij"), axis=0).ravel()
    half, middle = 0.5 * (high - low), 0.5 * (high + low)
    return (middle[:, None] + half[:, None] * t).reshape(-1, d), (np.prod(half, axis=1)[:, None] * w).ravel()
