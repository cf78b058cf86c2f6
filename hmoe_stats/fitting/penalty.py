"""What a penalised fit takes off the log-likelihood: for variances that collapse, and for gates that run to steps.

    A / n sum_j (s2 / nu_j + log(nu_j / s2) - 1)  +  rho / 2 sum over gates, components and columns of (t - mean of t)^2

The first is the penalty of Chen, Tan and Zhang (2008, Statistica Sinica 18), which makes the maximum-likelihood
estimator of a Gaussian mixture exist and be consistent: it goes to infinity as a variance goes to 0, and vanishes
beside the log-likelihood of n rows. s2 is the residual variance of the linear regression of y on x, so that nothing
changes if a linear function of x is added to y. In the second, a ridge, t are slopes per standard deviation of what
they multiply, less their mean over the components of the gate, which the likelihood does not see; of Laplace gates,
whose scores do not translate, they are the distances of the centres from the mean of x in standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..arguments import check_known, check_number, shown
from ..kinds import Floats
from ..measure import vector_slices
from .rows import mean, moments, variance

LEAST = 1e-6  # of s2, relative to the variance of y, where y is a linear function of x


@dataclass(frozen=True)
class Penalty:
    """How much a penalised fit takes off; see `hmoe_stats.fit`.

    Attributes
    ----------
    variance : float
        A, of the penalty on variances; 0 for none.
    ridge : float
        rho, of the ridge on the slopes of gates; 0 for none.

    Raises
    ------
    ValueError
        If one of them is no number, negative or infinite.
    """

    variance: float
    ridge: float

    def __post_init__(self):
        for name, value in asdict(self).items():
            good = check_number(name, value, "a finite number of at least 0", lambda v: 0.0 <= v < np.inf)
            object.__setattr__(self, name, good)

    def on(
        self,
        gates: Any,
        k2: tuple[int, ...],
        X: Floats,
        y: Floats,
        weights: Floats | None = None,
        gate_columns: Sequence[int] | None = None,
        expert_columns: Sequence[int] | None = None,
    ) -> Terms:
        """The `Terms` of a model with these gates and this shape in the units of X (n, d) and y (n,).

        Gates and experts see all columns of X, or those of these indices; the terms are of wide vectors.
        """
        k1, K, d = len(k2), sum(k2), X.shape[1]
        where = vector_slices(k1, K, d)
        p = where["log_nu"].stop
        middle, precision = np.zeros(p), np.zeros((p, p))
        first, second = gates
        ends = [("a", first, 0, k1), *(("omega", second, *pair) for pair in pairwise([0, *np.cumsum(k2).tolist()]))]
        for name, gate, lo, hi in ends:
            centre, spread, varies = moments(gate.features(X), weights)
            seen = varies & _mask(gate_columns, d) & (gate.scale_over(d) > 0)
            slopes = np.arange(p)[where[name]].reshape(-1, d)[lo:hi]
            for column in np.flatnonzero(seen) if hi - lo > 1 else ():
                part = slopes[:, column]
                if gate.located:
                    middle[part] = centre[column]
                shared = 1.0 / part.size if gate.translates else 0.0
                precision[np.ix_(part, part)] = (np.eye(part.size) - shared) / gate.unit(spread, varies)[column] ** 2
        n = len(y) if weights is None else weights.sum()
        s2 = _residual_variance(X[:, _mask(expert_columns, d)], y, weights)
        return Terms(self.variance / n, s2, self.ridge * precision, middle, where["log_nu"])


class Terms(NamedTuple):
    """A penalty on the vectors v (p,) of the measures of one shape, in the order of `MixingMeasure.to_vector`."""

    a: float
    s2: float
    precision: np.ndarray  # (p, p) of slopes
    middle: np.ndarray  # (p,)
    log_nu: slice

    @property
    def holds_gates(self):
        """Whether there is a ridge: no gate then runs to a step."""
        return bool(self.precision.any())

    @property
    def rows(self):
        """The number of rows that the penalty on variances is worth to each expert, and the sum of their squares."""
        return 2.0 * self.a, 2.0 * self.a * self.s2

    def of_variances(self, log_nu):
        """What is taken off for each variance, and its first and second derivative in log nu."""
        ratio = self.s2 * np.exp(-log_nu)
        return self.a * (ratio - np.log(ratio) - 1.0), self.a * (1.0 - ratio), self.a * ratio

    def value(self, v):
        """What is taken off at v."""
        away = v - self.middle
        return self.of_variances(v[self.log_nu])[0].sum() + 0.5 * away @ self.precision @ away

    def derivatives(self, v):
        """Gradient (p,) and Hessian (p, p) of `value` at v."""
        gradient, hessian = self.precision @ (v - self.middle), self.precision.copy()
        _, slope, bend = self.of_variances(v[self.log_nu])
        gradient[self.log_nu] += slope
        hessian[self.log_nu, self.log_nu] += np.diag(bend)
        return gradient, hessian


def _mask(columns, d):
    """(d,) bool: which columns are seen; all, if columns is None."""
    return np.ones(d, dtype=bool) if columns is None else np.isin(np.arange(d), columns)


def _residual_variance(X, y, weights):
    """Of the linear regression of y on X, with an intercept."""
    of_y = variance(y, weights)
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    centre, spread, varies = moments(X, weights)
    design = (X - centre)[:, varies] / spread[varies] * root[:, None]
    away = (y - mean(y, weights)) * root
    rest = away - design @ np.linalg.lstsq(design.T @ design, design.T @ away, rcond=None)[0]
    return max(float(rest @ rest) / (len(y) if weights is None else weights.sum()), LEAST * of_y)


# Chosen by runs of which no table is kept, under Laplace scales of 1 and with another version of Old Faithful. Held-out
# log-density of a row beyond the linear regression's, six real sets, SS and LL, (2, 2), three splits: at a ridge of .1
# the mean is .240, .247, .256 for variance 2.5, 7.5, 25, the worst row -27, -23, -18; without a penalty .210 and -34.
# Ridges from .05 to .4 change the mean by .006 at most. How far they may move an estimate decides: of 70 samples of
# truths (C2, C3, C4, P2, three random ones; all gatings), n = 1000, two move by more than a tenth of a standard error
# at variance 5 and ridge .1, at 7.5 and .2 six, at 10 and .1 eighteen. In `benchmarks/own_data.csv`, by this default,
# 4 of 75 samples of C2 and C3, n = 1000 and 5000, move by more than a tenth, by .28 at most, all of them under Laplace
# gates.
DEFAULT = Penalty(variance=4.0, ridge=0.1)


def check_penalty(penalty):
    """`penalty` of `hmoe_stats.fit` as a `Penalty`, or None."""
    if penalty is None or isinstance(penalty, Penalty):
        return penalty
    if isinstance(penalty, str):
        check_known("penalty", penalty, ("default",), '"default", None, a Penalty or a dict')
        return DEFAULT
    if not isinstance(penalty, dict):
        raise ValueError(f'penalty must be "default", None, a Penalty or a dict; got {shown(penalty)}')
    names = tuple(asdict(DEFAULT))
    for name in penalty:
        check_known("penalty", name, names, f"a dict with keys among {', '.join(names)}")
    return Penalty(**(asdict(DEFAULT) | penalty))
