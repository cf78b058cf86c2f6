"""Covariate laws, and samples from a mixing measure.

A law knows how to draw covariates, its support, its first two moments, and (d = 1) how to integrate against itself;
losses and divergences take a law, or an (n, d) array of covariates, which stands for its empirical law.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import kernels
from .arguments import MOST_ROWS, as_floats, as_numbers, check_seed, check_whole, shown, takes_rng
from .categorical import as_categorical, as_of_any_family
from .kinds import AnyMeasure, Categorical, Drawing, Floats, Integers, Law, Measure, Rng
from .measure import as_wide
from .quadrature import NU_MIN, REACH, composite, lattice

MOST_ON_LATTICE = 10**12  # rows: beyond, sums of counts times differences of log-densities lose what fits need


@dataclass(frozen=True)
class Uniform:
    """Independent uniform coordinates on [low, high].

    Parameters
    ----------
    low, high : float or tuple of float
        One pair for all coordinates, or one value a coordinate; low < high.
    """

    low: float | tuple = 0.0
    high: float | tuple = 1.0

    def __post_init__(self):
        low, high = _entries("low", self.low), _entries("high", self.high)
        if low.size != high.size and 1 not in (low.size, high.size):
            raise ValueError(f"low and high must have the same length; got {low.size} and {high.size}")
        if not (low < high).all():
            i = int(np.argmin(low < high))
            ends = (float(np.broadcast_to(end, max(low.size, high.size))[i]) for end in (low, high))
            raise ValueError("low must lie below high; got low={:g}, high={:g}".format(*ends))
        object.__setattr__(self, "low", _plain(low))
        object.__setattr__(self, "high", _plain(high))

    def sample(self, rng: np.random.Generator, n: int, d: int) -> Floats:
        """(n, d) draws."""
        low, high = self.support(d)
        return rng.uniform(low, high, size=(n, d))

    def support(self, d: int) -> tuple[Floats, Floats]:
        """(low, high), each (d,)."""
        return _wide("low", self.low, d), _wide("high", self.high, d)

    def mean(self, d: int) -> Floats:
        """(d,)"""
        low, high = self.support(d)
        return 0.5 * (low + high)

    def cov(self, d: int) -> Floats:
        """(d, d)"""
        low, high = self.support(d)
        return np.diag((high - low) ** 2 / 12.0)

    def atoms(self, d: int) -> None:
        """None: no point has a probability."""

    def reach(self, d: int) -> tuple[Floats, Floats]:
        """(low, high), each (d,), beyond which there is nothing: the support."""
        return self.support(d)

    def density(self, X: Floats) -> Floats:
        """(n,) density at rows of the support."""
        low, high = self.support(X.shape[1])
        return np.full(len(X), 1.0 / np.prod(high - low))

    def quadrature(self, breaks: ArrayLike = (), order: int = 32, panels: int = 8) -> tuple[Floats, Floats]:
        """Nodes (m,) and weights (m,), summing to 1, of a composite Gauss-Legendre rule (d = 1), split at `breaks`."""
        (low,), (high,) = self.support(1)
        x, w = composite(low, high, breaks, order, panels)
        return x, w / (high - low)


@dataclass(frozen=True)
class Grid(Uniform):
    """Equally spaced covariates from low to high, both among them: a fixed design (d = 1).

    In averages, and on a lattice, it is the uniform law, to which it tends as n grows.

    Parameters
    ----------
    low, high : float
        low < high.
    """

    def sample(self, rng: np.random.Generator, n: int, d: int) -> Floats:
        """(n, 1) points, the same whatever the `rng`."""
        if d != 1:
            raise ValueError(f"x must be a law for d = {d}, as the measure has; got a grid, for d = 1")
        (low,), (high,) = self.support(1)
        return np.linspace(low, high, n)[:, None]


@dataclass(frozen=True)
class Normal:
    """Independent normal coordinates.

    Parameters
    ----------
    loc, scale : float or tuple of float
        Mean and standard deviation (scale > 0), one for all coordinates or one value a coordinate.
    """

    loc: float | tuple = 0.0
    scale: float | tuple = 1.0

    def __post_init__(self):
        loc, scale = _entries("loc", self.loc), _entries("scale", self.scale)
        if not (scale > 0).all():
            raise ValueError(f"scale must be positive; got a smallest entry of {scale.min():g}")
        object.__setattr__(self, "loc", _plain(loc))
        object.__setattr__(self, "scale", _plain(scale))

    def sample(self, rng: np.random.Generator, n: int, d: int) -> Floats:
        """(n, d) draws."""
        return self.mean(d) + _wide("scale", self.scale, d) * rng.standard_normal((n, d))

    def support(self, d: int) -> tuple[Floats, Floats]:
        """(low, high), each (d,): the whole line."""
        return np.full(d, -np.inf), np.full(d, np.inf)

    def mean(self, d: int) -> Floats:
        """(d,)"""
        return _wide("loc", self.loc, d)

    def cov(self, d: int) -> Floats:
        """(d, d)"""
        return np.diag(_wide("scale", self.scale, d) ** 2)

    def atoms(self, d: int) -> None:
        """None: no point has a probability."""

    def reach(self, d: int) -> tuple[Floats, Floats]:
        """(low, high), each (d,), beyond which there is nothing to speak of: loc +- 9 scale."""
        mean, sd = self.mean(d), _wide("scale", self.scale, d)
        return mean - REACH * sd, mean + REACH * sd

    def density(self, X: Floats) -> Floats:
        """(n,) density."""
        d = X.shape[1]
        sd = _wide("scale", self.scale, d)
        return np.exp(-0.5 * (((X - self.mean(d)) / sd) ** 2).sum(axis=1)) / np.prod(np.sqrt(2 * np.pi) * sd)

    def quadrature(self, breaks: ArrayLike = (), order: int = 32, panels: int = 16) -> tuple[Floats, Floats]:
        """Nodes (m,) and weights (m,), summing to 1, on loc +- 9 scale (d = 1), split at `breaks`."""
        mean, sd = self.mean(1)[0], _wide("scale", self.scale, 1)[0]
        x, w = composite(mean - 9 * sd, mean + 9 * sd, breaks, order, panels)
        w = w * np.exp(-0.5 * ((x - mean) / sd) ** 2)
        return x, w / w.sum()


@dataclass(frozen=True, eq=False)
class Empirical:
    """The empirical law of an (n, d) array of covariates."""

    x: np.ndarray

    def _check(self, d):
        if self.x.shape[1] != d:
            raise ValueError(f"x must have {d} columns, as the measure has d = {d}; got {self.x.shape[1]}")
        return self.x

    def sample(self, rng, n, d):
        """(n, d) draws with replacement."""
        x = self._check(d)
        return x[rng.integers(len(x), size=n)]

    def support(self, d):
        """(low, high), each (d,): the range of the data."""
        x = self._check(d)
        return x.min(axis=0), x.max(axis=0)

    def mean(self, d):
        """(d,)"""
        return self._check(d).mean(axis=0)

    def cov(self, d):
        """(d, d), divided by n."""
        return np.atleast_2d(np.cov(self._check(d), rowvar=False, bias=True))

    def atoms(self, d):
        """The points (n, d), and their probabilities (n,)."""
        x = self._check(d)
        return x, np.full(len(x), 1.0 / len(x))

    def quadrature(self, breaks=(), order=0, panels=0):
        """The points themselves (d = 1), equally weighted; `breaks`, `order` and `panels` are not needed."""
        x, weights = self.atoms(1)
        return x[:, 0], weights


def as_law(x: Law | None) -> Uniform | Normal | Empirical:
    """Return a covariate law: `x` itself if it is one, the empirical law of an (n, d) or (n,) array otherwise.

    Raises
    ------
    ValueError
        If `x` is None or neither a law nor an array of finite numbers with at least two rows.
    """
    if isinstance(x, Uniform | Normal | Empirical):
        return x
    if x is None:
        raise ValueError("x must be a covariate law (Uniform, Normal, Grid) or an (n, d) array of covariates; got None")
    points = as_floats("x", x, (-1, -1))
    if len(points) < 2:
        raise ValueError(f"x must have at least 2 rows; got {len(points)}")
    return Empirical(points)


@takes_rng
def sample(G: Measure, n: int, x: Law, seed: Drawing | None = None, *, rng: Rng | None = None) -> tuple[Floats, Floats]:
    """Draw (X, y) from a mixing measure.

    Parameters
    ----------
    G : MixingMeasure or FitResult
    n : int
        Number of rows, at least 1.
    x : Uniform, Normal, Grid or (m, d) array
        Law of the covariates; an array is drawn from with replacement.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        The same seed gives the same sample.
    rng : int, numpy.random.SeedSequence, Generator or BitGenerator, optional
        Instead of `seed`. An int is the seed; of others one number is drawn, which is.

    Returns
    -------
    X : ndarray, (n, d)
    y : ndarray, (n,)

    Raises
    ------
    ValueError
        If `n` is not a positive integer, or the law does not fit the measure.
    """
    G, n = as_wide("G", G), check_whole("n", n, 1, MOST_ROWS)
    seed = check_seed(seed, np.random.SeedSequence, np.random.Generator)
    law, rng = as_law(x), np.random.default_rng(seed)
    X = np.ascontiguousarray(law.sample(rng, n, G.d))
    return X, respond(G, X, rng)


@takes_rng
def sample_categorical(
    G: Categorical, n: int, x: Law, seed: Drawing | None = None, *, rng: Rng | None = None
) -> tuple[Floats, NDArray[Any]]:
    """Draw (X, y) from a measure of categorical experts.

    Parameters
    ----------
    G : CategoricalMeasure or CategoricalResult
    n, x, seed
        As in `sample`.
    rng : int, numpy.random.SeedSequence, Generator or BitGenerator, optional
        Instead of `seed`. An int is the seed; of others one number is drawn, which is.

    Returns
    -------
    X : ndarray, (n, d)
    y : ndarray, (n,)
        Labels, of the kind of ``G.classes``.

    Raises
    ------
    ValueError
        If `n` is not a positive integer, or the law does not fit the measure.
    """
    G, n = as_categorical("G", G), check_whole("n", n, 1, MOST_ROWS)
    seed = check_seed(seed, np.random.SeedSequence, np.random.Generator)
    law, rng = as_law(x), np.random.default_rng(seed)
    X = np.ascontiguousarray(law.sample(rng, n, G.d))
    cumulative = np.cumsum(G.predict_proba(X), axis=1)
    u = rng.random(n) * cumulative[:, -1]
    return X, G.labels[np.minimum((cumulative <= u[:, None]).sum(axis=1), G.n_classes - 1)]


def respond(G, X, rng):
    """Draw y (n,) given covariates X (n, d), both as checked."""
    G = G.wide()
    cumulative = np.cumsum(kernels.gate_weights(X, G.kernel_args()), axis=1)
    u = rng.random(len(X)) * cumulative[:, -1]
    leaf = np.minimum((cumulative <= u[:, None]).sum(axis=1), G.n_experts - 1)
    mean = np.einsum("nd,nd->n", X, G.eta[leaf]) + G.tau[leaf]
    return mean + np.sqrt(G.nu[leaf]) * rng.standard_normal(len(X))


@takes_rng
def sample_lattice(
    G: AnyMeasure,
    n: int,
    x: Law,
    seed: Drawing | None = None,
    nu_min: float = NU_MIN,
    fineness: int = 1,
    *,
    rng: Rng | None = None,
) -> tuple[Floats, Floats, Integers]:
    """Draw a sample of n rows on a lattice of points (x, y), as counts: its size does not grow with n.

    x takes the nodes x_c of a quadrature rule of the law, with its weights pi_c as probabilities, and y the multiples
    of a step h, with

        P_G(x_c, y) = pi_c h p_G(y | x_c).

    The maximum-likelihood estimator of this discrete model maximises ``sum counts log p_G(y | x)``, which is
    ``fit_mle(X, y, ..., weights=counts)``.

    Parameters
    ----------
    G : MixingMeasure, CategoricalMeasure or a fit of either
        With variances of at least `nu_min`; d = 1 or 2, unless x is an array.
    n : int
        Number of rows, from 1 to 1e12.
    x : Uniform, Normal or (m, d) array
        Law of the covariates. The nodes of an array are its different rows, with their frequencies.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        The same seed gives the same sample.
    nu_min : float
        The smallest variance that will be fitted: the floor of the box, by default that of the studies. Categorical
        experts have none: y takes the C classes, and the lattice is the model itself but for x.
    fineness : int
        Divides the step, and multiplies the nodes (of each coordinate).
    rng : int, numpy.random.SeedSequence, Generator or BitGenerator, optional
        Instead of `seed`. An int is the seed; of others one number is drawn, which is.

    Returns
    -------
    X : ndarray, (r, d)
    y : ndarray, (r,)
        Numbers, or labels of the kind of ``G.classes``.
    counts : ndarray of int64, (r,)
        Positive, n in all: exactly multinomial. Points that were never drawn are left out.

    Raises
    ------
    ValueError
        If an argument is not as above, or the lattice would have more than 1e7 points.

    Notes
    -----
    By Poisson summation, for a normal density on the multiples of h,

        sum_y h N(y | mu, nu) = 1 + 2 sum_{k >= 1} exp(-2 pi^2 k^2 nu / h^2) cos(2 pi k mu / h).

    The step is chosen with h^2 <= nu_min / 1.75, where the sum over k is below 2e-15 for every nu >= nu_min, whatever
    mu; mixtures inherit it. So *every* measure with variances of at least `nu_min` is a probability law on the lattice,
    to rounding: the P_G are a statistical model of their own, and its inner products of scores, distances and
    information are those of the continuous model to the accuracy of the quadrature. Rates and constants are the same.

    Points of x are Gauss-Legendre nodes, graded geometrically towards every Laplace centre of G in the support, down to
    1e-6 where d = 1: fitted centres that come so near the true ones still see points on both sides of them. The lattice
    in y covers 9 standard deviations of each expert: of 1e12 rows 2e-7 are expected beyond. Source: derived.
    """
    G, n = as_of_any_family("G", G).wide(), check_whole("n", n, 1, MOST_ON_LATTICE)
    if not G.laplace_scale.all():
        wanted = "have Laplace gates that see all covariates, as the lattice is graded to their centres"
        raise ValueError(f"G must {wanted}; got laplace_scale = {G.laplace_scale.tolist()} with all columns")
    rng = np.random.default_rng(check_seed(seed, np.random.SeedSequence, np.random.Generator))
    grid = lattice(as_law(x), G, nu_min, fineness)
    X, y = grid.rows
    y = G.labels[y] if G.family.classed else y
    counts = _multinomial(rng, _multinomial(rng, n, grid.weights), grid.densities(G) * grid.step).ravel()
    drawn = counts > 0
    return X[drawn], y[drawn], counts[drawn]


def _multinomial(rng, n, p):
    """Counts of n rows over the last axis of the probabilities p.

    NumPy draws one category after the other, a binomial of what is left of n and of 1: the largest comes last, so that
    what is left of 1 never is a difference of rounding errors.
    """
    order = np.argsort(p, axis=-1)
    counts = np.empty(p.shape, dtype=np.int64)
    np.put_along_axis(counts, order, rng.multinomial(n, np.take_along_axis(p, order, axis=-1)), axis=-1)
    return counts


def _entries(name, value):
    """A parameter of a law, one for all coordinates () or one a coordinate (d,), as an array."""
    out = as_numbers(name, value, "a number, or one a covariate")
    if out.ndim > 1 or not out.size:
        raise ValueError(f"{name} must be a number, or one a covariate; got an array of shape {shown(out.shape)}")
    return as_floats(name, out, out.shape)


def _plain(value):
    return tuple(value.tolist()) if value.ndim else float(value)


def _wide(name, value, d):
    value = np.array(value)
    if value.shape not in ((), (1,), (d,)):
        raise ValueError(f"{name} must be a scalar or have {d} entries, one a covariate; got {value.size}")
    return np.broadcast_to(value, (d,)).copy()
