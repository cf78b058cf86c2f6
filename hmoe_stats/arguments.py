"""What an argument may be: arrays and frames of numbers, counts, names; and every message about one.

Each function returns the argument in the one form that the package works with, or raises a `ValueError` that names it.
"""

import numpy as np

GATINGS = ("SS", "SL", "LS", "LL")
LARGEST = 1e50  # squares and fourth powers of residuals and distances must stay finite


def check_gating(gating):
    """Return `gating` if it names one of the four models, else raise `ValueError`."""
    if gating not in GATINGS:
        raise ValueError(f"gating must be one of {', '.join(GATINGS)}; got {gating!r}")
    return gating


def check_k2(k2):
    """Return `k2` as a tuple of positive ints, else raise `ValueError`."""
    try:
        out = tuple(int(m) for m in k2)
        whole = all(m == n for m, n in zip(out, k2, strict=True))
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"k2 must be a sequence of positive integers, one a group; got {k2!r}") from None
    if not out or not whole or min(out) < 1:
        raise ValueError(f"k2 must be a sequence of positive integers, one a group; got {k2!r}")
    return out


def as_floats(name, value, shape, copy=True):
    """Return `value` as a float64 array of `shape` (-1: any size), else raise a `ValueError` that names it.

    Without `copy`, an array that is as it should be already is returned as it is.

    Entries must be real, finite and at most `LARGEST` in size.

    A one-dimensional array stands for a column where `shape` has two axes (d = 1).
    """
    try:
        if np.iscomplexobj(value):
            raise TypeError
        out = np.array(value, dtype=np.float64, order="C", copy=copy or None)
        if not (out.flags.writeable and out.flags.aligned):  # to a compiled kernel another type, compiled anew
            out = out.copy()
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers of shape {shape}; got {value!r}") from None
    if len(shape) == 2 and out.ndim == 1:
        out = out[:, None]
    wanted = "(" + ", ".join("any" if s < 0 else str(s) for s in shape) + ("," if len(shape) == 1 else "") + ")"
    if out.ndim != len(shape) or any(w >= 0 and s != w for s, w in zip(out.shape, shape, strict=True)):
        raise ValueError(f"{name} must have shape {wanted}; got {np.shape(value)}")
    if not np.isfinite(out).all():
        raise ValueError(f"{name} must be finite; got {np.count_nonzero(~np.isfinite(out))} NaN or infinite entries")
    top = max(out.max(initial=0.0), -out.min(initial=0.0))
    if top > LARGEST:
        raise ValueError(f"{name} must have entries of at most {LARGEST:g} in size; got {top:g}")
    return out


def check_covariates(X, d=None):
    """Return X as a C-contiguous float64 (n, d), n >= 1, else raise a `ValueError`; d is any where it is None."""
    X = as_floats("X", X, (-1, -1 if d is None else d), copy=False)
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"X must have at least one row and one column; got shape {X.shape}")
    return X


def check_data(X, y, d=None):
    """Return (X, y) as C-contiguous float64 of shapes (n, d) and (n,).

    Parameters
    ----------
    X : array_like, (n, d) or (n,) for d = 1
    y : array_like, (n,)
    d : int, optional
        Number of columns X must have.

    Raises
    ------
    ValueError
        If a shape does not fit, the lengths differ, there is no row, or an entry is not finite.
    """
    X = check_covariates(X, d)
    y = as_floats("y", y, (-1,), copy=False)
    if y.size != X.shape[0]:
        raise ValueError(f"y must have as many entries as X has rows, {X.shape[0]}; got {y.size}")
    return X, y


def check_positive(name, value, whole=False):
    """The argument as an int or a float, as narrower types overflow; `ValueError` unless it is a positive number."""
    kinds = int | np.integer if whole else int | float | np.integer | np.floating
    if isinstance(value, bool) or not isinstance(value, kinds) or not value > 0:
        raise ValueError(f"{name} must be a positive {'integer' if whole else 'number'}; got {value!r}")
    value = int(value) if isinstance(value, int | np.integer) else float(value)
    return value if whole else float(min(value, LARGEST))


def whole(name, value, low, high=None):
    """Return `value` as an int from `low` to `high`, else raise a `ValueError` that names it."""
    ok = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not ok or value < low or (high is not None and value > high):
        span = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be an integer {span}; got {value!r}")
    return int(value)


def check_known(name, value, known):
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
