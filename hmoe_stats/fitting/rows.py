"""Rows of data, each of which may count as many: sums, moments and draws.

`weights` (n,) are positive, and a row of weight w counts as w rows; None stands for weights that are all 1.
"""

import numpy as np

ROWS = 1 << 16  # of data worked on at once


def batches(n):
    """Slices that cover n rows, `ROWS` each."""
    return (slice(first, first + ROWS) for first in range(0, n, ROWS))


def weights_of(weights, rows):
    """The weights of some rows."""
    return None if weights is None else weights[rows]


def total(values, weights=None):
    """Sum over rows, the first axis."""
    return values.sum(axis=0) if weights is None else weights @ values


def mean(values, weights=None):
    """Mean over rows, the first axis."""
    return values.mean(axis=0) if weights is None else weights @ values / weights.sum()


def variance(values, weights=None):
    """Variance over rows, the first axis."""
    return values.var(axis=0) if weights is None else mean((values - mean(values, weights)) ** 2, weights)


def moments(X, weights=None):
    """Mean, standard deviation and whether that is more than rounding, of each column of X (n, d); X is not copied."""
    centre, top = mean(X, weights), np.maximum(X.max(axis=0), -X.min(axis=0))
    unit = np.where(top > 0, top, 1.0)  # squares of the entries may underflow
    squares = sum(total(((X[rows] - centre) / unit) ** 2, weights_of(weights, rows)) for rows in batches(len(X)))
    relative = np.sqrt(squares / (len(X) if weights is None else weights.sum()))
    return centre, relative * unit, relative > 1e-13


def drawn(rng, n, weights=None, size=None):
    """`size` of n rows, or one, drawn with replacement: each with a probability in proportion to its weight.

    Where weights are integers they are the very rows that would be drawn were each written as often as it counts.
    """
    if weights is None:
        return rng.integers(n, size=size)
    ends = np.cumsum(weights)
    whole = ends[-1] < 2.0**53 and (weights == np.floor(weights)).all()
    spots = rng.integers(int(ends[-1]), size=size) if whole else ends[-1] * rng.random(size)
    return np.minimum(np.searchsorted(ends, spots, side="right"), n - 1)
