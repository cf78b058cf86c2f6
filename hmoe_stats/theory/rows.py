"""Quadrature rows in (x, y) on which two conditional densities near a truth G0 are compared (d = 1).

The rows integrate against the covariate law in x and over the line in y. Panels in y are as narrow as the experts of G0
that reach there, up to 7.5 standard deviations. Laplace gates have kinks: panels in x break at every centre, of G0 and
of the measure compared with it, so that each panel sees analytic functions only. Where a kink moves, rows move with it;
the integral does not see where its rows lie, and neither do its derivatives.
"""

import numpy as np

from .. import kernels
from ..quadrature import gauss_legendre, kinks
from ..sampling import Empirical

_REACH = 7.5  # experts are followed to this many standard deviations
_WIDTH, _ORDER = 2.5, 7  # panels in y: standard deviations, points
_SMOOTH = 10  # points in x of each of two panels, where there are no kinks
_WIDE, _NARROW = 7, 3  # points of panels between kinks
_NARROW_BELOW, _MERGE_BELOW = 0.02, 1e-7  # panels narrower than this, in standard deviations of x


class Rows:
    """Rows for one truth and covariate law; ``rows.at(centres)`` gives X (n, 1), y (n,), log p_G0 and sqrt(w p_G0)."""

    def __init__(self, G0, law):
        self.G0, self.law = G0, law
        self.x_sd = np.sqrt(law.cov(1)[0, 0])
        self.kinks = kinks(G0)
        bounded = np.isfinite(law.support(1)).all()
        self.panels = 1 if bounded else 6  # of the whole range in x; a normal law spans 18 standard deviations
        self._fixed = None

    def at(self, centres):
        """The rows for a measure with kinks there; always the same ones where gates have none."""
        if self.kinks.size and not isinstance(self.law, Empirical):
            return self._lay(*self._between(np.concatenate([self.kinks, centres])))
        if self._fixed is None:
            self._fixed = self._lay(*self.law.quadrature(order=_SMOOTH, panels=2 * self.panels))
        return self._fixed

    def _between(self, kinks):
        """Covariates and weights, panel by panel between kinks, few of them where panels are narrow."""
        kinks = np.sort(kinks)
        kinks = kinks[np.diff(kinks, prepend=-np.inf) > _MERGE_BELOW * self.x_sd]
        wide, narrow = (
            [part.reshape(-1, order) for part in self.law.quadrature(breaks=kinks, order=order, panels=self.panels)]
            for order in (_WIDE, _NARROW)
        )
        few = np.ptp(wide[0], axis=1) < _NARROW_BELOW * self.x_sd
        return [np.concatenate([w[~few].ravel(), n[few].ravel()]) for w, n in zip(wide, narrow, strict=True)]

    def _lay(self, x, weight):
        edges = self._panels(x)
        node, rule = gauss_legendre(_ORDER)
        half, middle = 0.5 * np.diff(edges, axis=0), 0.5 * (edges[1:] + edges[:-1])
        y = (middle[:, :, None] + half[:, :, None] * node).ravel()
        w = (half[:, :, None] * weight[:, None] * rule).ravel()
        X = np.broadcast_to(x[:, None], (*half.shape, _ORDER)).ravel()
        used = w > 0
        X, y, w = X[used, None], y[used], w[used]
        log_p0 = kernels.log_density(X, y, self.G0.kernel_args(), 0.0)
        return X, y, log_p0, np.sqrt(w * np.exp(log_p0))

    def _panels(self, x):
        """Panel edges (panels + 1, n) in y at each x: no wider than the experts that reach there; gaps are jumped."""
        sd = np.sqrt(self.G0.nu)
        mean = x[:, None] * self.G0.eta[:, 0] + self.G0.tau
        end = (mean + _REACH * sd).max(axis=1)
        edges = [(mean - _REACH * sd).min(axis=1)]
        while (edges[-1] < end).any():
            here = edges[-1][:, None]
            width = np.maximum(_WIDTH * sd, mean - _REACH * sd - here)
            width[here >= mean + _REACH * sd] = np.inf
            edges.append(np.minimum(edges[-1] + width.min(axis=1), end))
        return np.array(edges)
