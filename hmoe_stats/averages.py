"""Means over the law of the covariates, without noise.

For d = 1 a quadrature whose panels break at the kinks of Laplace gates; for an array of covariates the mean over its
rows; for a law with d > 1 the mean over draws whose key is fixed.
"""

from functools import cached_property

import numpy as np

from .sampling import Empirical

_DRAWS = 20_000  # covariates where d > 1
_KEY = 20241002935
_PANELS = 24  # of means of functions with steep gates; masses of Laplace gates are smooth between kinks
_BISECTIONS = 60
_ZERO = 1e-14  # differences of gates below it are rounding, whose signs mean nothing


class Average:
    """Means over a covariate law of functions of x with kinks at some points (used for d = 1)."""

    def __init__(self, law, d, kinks):
        self.law, self.d, self.kinks = law, d, np.asarray(kinks, dtype=float)

    @cached_property
    def points(self):
        """(n, d) covariates and (n,) weights, for functions that are smooth between kinks."""
        return self._points()

    @cached_property
    def fine(self):
        """The same, for functions that may be steep."""
        return self._points(panels=_PANELS)

    @property
    def exact(self):
        """Whether a finer quadrature is to be had: not where points are draws, or rows of an array."""
        return self.d == 1 and not isinstance(self.law, Empirical)

    def few(self, most):
        """(n, d) covariates and (n,) weights for functions that are dear: about `most` of them."""
        if self.exact:
            return self._points(order=16)
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
                X, weights = self._points(np.concatenate([self.kinks, roots]), panels=_PANELS)
                values = function(X)
        return weights @ np.abs(values)

    def _points(self, breaks=None, **rule):
        if isinstance(self.law, Empirical):
            return self.law.x, np.full(len(self.law.x), 1.0 / len(self.law.x))
        if self.d == 1:
            nodes, weights = self.law.quadrature(breaks=self.kinks if breaks is None else breaks, **rule)
            return nodes[:, None], weights
        rng = np.random.default_rng(np.random.SeedSequence(_KEY))
        return self.law.sample(rng, _DRAWS, self.d), np.full(_DRAWS, 1.0 / _DRAWS)


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
