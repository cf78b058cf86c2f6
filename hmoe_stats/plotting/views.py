"""Ways through the covariates: along one or two columns, the others held at their medians."""

from typing import NamedTuple

import numpy as np

from ..arguments import check_columns, shown
from ..names import default_x_names, of_data

LINE, PLANE = 400, 160  # points of a line, and on each side of a plane
FAINT, FULL = 0.08, 0.6  # opacity of points far from what is shown, and on it


class View(NamedTuple):
    """Rows of covariates to look at, and what the axes are called."""

    columns: tuple  # one or two numbers
    ends: tuple  # (low, high) of each
    grids: tuple  # values of each
    rows: np.ndarray  # (m, d); of planes the first column runs fastest
    labels: tuple
    opacity: np.ndarray  # (n,) of the data: paler, the further their other covariates are from the medians


def called(fit, X, y=None):
    """Names of the covariates, (d,), and of y: by the data that are drawn, or else by those of the fit."""
    x_names, y_name = of_data(X, y)
    d = fit.measure.d if hasattr(fit, "measure") else fit.d
    x_names = x_names or getattr(fit, "x_names", default_x_names(d))
    return x_names if len(x_names) == d else default_x_names(d), y_name or getattr(fit, "y_name", "y")


def view(X, along, names, number=1):
    """The `View` along some columns of X (n, d), numbers or names; by default the first ones.

    Raises
    ------
    ValueError
        If `along` is not that many columns.
    """
    d = X.shape[1]
    columns = tuple(range(number)) if along is None else check_columns("along", along, d, names)
    if len(columns) != number:
        raise ValueError(f"along must be {number} column{'s' if number > 1 else ''} of X; got {shown(along)}")
    middle = np.median(X, axis=0)
    ends = tuple(_ends(X[:, c]) for c in columns)
    grids = tuple(np.linspace(*end, LINE if number == 1 else PLANE) for end in ends)
    places = np.stack(np.meshgrid(*grids), axis=-1).reshape(-1, number)
    rows = np.tile(middle, (len(places), 1))
    rows[:, list(columns)] = places
    others = [c for c in range(d) if c not in columns]
    far = (X[:, others] - middle[others]) / np.where(np.ptp(X[:, others], axis=0) > 0, X[:, others].std(axis=0), 1.0)
    near = np.exp(-0.5 * (far**2).mean(axis=1)) if others else np.ones(len(X))
    held = " (others at their medians)" if others else ""
    labels = tuple(names[c] + (held if i == 0 else "") for i, c in enumerate(columns))
    return View(columns, ends, grids, rows, labels, FAINT + (FULL - FAINT) * near)


def padded(values):
    """Limits of an axis that these values fit into."""
    low, high = _ends(values)
    pad = 0.05 * (high - low)
    return low - pad, high + pad


def _ends(values):
    """The smallest and the largest of some values; of equal ones a neighbourhood, as an axis has a length."""
    low, high = values.min(), values.max()
    half = 0.0 if low < high else 0.5 * max(abs(low), 1.0)
    return low - half, high + half
