"""What a penalised fit takes off the log-likelihood: for variances that collapse, and for gates that run to steps.

    a sum_j (s2 / nu_j + log(nu_j / s2) - 1)  +  rho / 2 sum over gates, components and columns of (t - mean of t)^2

The first is of the kind that Chen, Tan and Zhang (2008, Statistica Sinica 18) prove to make the maximum-likelihood
estimator of a Gaussian mixture exist and be consistent: it goes to infinity as a variance goes to 0, and beside a
log-likelihood of n rows it vanishes. s2 is the residual variance of the linear regression of y on x over K^2, as K
experts share what there is (Fraley and Raftery 2007, Journal of Classification 24): nothing changes if a linear
function of x is added to y. In the second, a ridge, t are slopes per standard deviation of what
they multiply, less their mean over the components of the gate, which the likelihood does not see; of Laplace gates,
whose scores do not translate, they are the distances of the centres from the mean of x in standard deviations.
"""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .. import gates
from ..arguments import check_known, check_number, shown
from ..measure import vector_slices
from .rows import mean, moments, variance

LEAST = 1e-6  # of s2, relative to the variance of y, where y is a linear function of x


@dataclass(frozen=True)
class Penalty:
    """How much a penalised fit takes off; see `hmoe_stats.fit`.

    Attributes
    ----------
    variance : float
        a, of the penalty on variances; 0 for none.
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

    def on(self, gating, k2, X, y, weights=None):
        """The `Terms` of a model of this gating and shape in the units of X (n, d) and y (n,)."""
        k1, K, d = len(k2), sum(k2), X.shape[1]
        where = vector_slices(k1, K, d)
        p = where["log_nu"].stop
        middle, precision = np.zeros(p), np.zeros((p, p))
        first, second = gates.of(gating)
        ends = [("a", first, 0, k1), *(("omega", second, *pair) for pair in pairwise([0, *np.cumsum(k2).tolist()]))]
        for name, gate, lo, hi in ends:
            centre, spread, varies = moments(gate.features(X), weights)
            slopes = np.arange(p)[where[name]].reshape(-1, d)[lo:hi]
            for column in np.flatnonzero(varies) if hi - lo > 1 else ():
                part = slopes[:, column]
                if gate.located:
                    middle[part] = centre[column]
                shared = 1.0 / part.size if gate.translates else 0.0
                precision[np.ix_(part, part)] = (np.eye(part.size) - shared) / gate.unit(spread)[column] ** 2
        s2 = _residual_variance(X, y, weights) / K**2
        return Terms(self.variance, s2, self.ridge * precision, middle, where["log_nu"])


class Terms(NamedTuple):
    """A penalty on the vectors v (p,) of the measures of one shape, in the order of `MixingMeasure.to_vector`."""

    a: float
    s2: float
    precision: np.ndarray  # (p, p) of slopes
    middle: np.ndarray  # (p,)
    log_nu: slice

    def value(self, v):
        """What is taken off at v."""
        away, ratio = v - self.middle, self.s2 * np.exp(-v[self.log_nu])
        return self.a * np.sum(ratio - np.log(ratio) - 1.0) + 0.5 * away @ self.precision @ away

    def derivatives(self, v):
        """Gradient (p,) and Hessian (p, p) of `value` at v."""
        gradient, hessian = self.precision @ (v - self.middle), self.precision.copy()
        ratio = self.s2 * np.exp(-v[self.log_nu])
        gradient[self.log_nu] += self.a * (1.0 - ratio)
        hessian[self.log_nu, self.log_nu] += np.diag(self.a * ratio)
        return gradient, hessian


def _residual_variance(X, y, weights):
    """Of the linear regression of y on X, with an intercept."""
    of_y = variance(y, weights)
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    centre, spread, varies = moments(X, weights)
    design = (X - centre)[:, varies] / spread[varies] * root[:, None]
    away = (y - mean(y, weights)) * root
    rest = away - design @ np.linalg.lstsq(design.T @ design, design.T @ away, rcond=None)[0]
    return max(float(rest @ rest) / (len(y) if weights is None else weights.sum()), LEAST * of_y)


DEFAULT = Penalty(variance=0.2, ridge=0.1)


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
