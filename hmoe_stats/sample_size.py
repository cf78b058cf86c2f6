"""How many rows an error takes: sample sizes read off a measured curve, and their ratio between two models.

A statistic s(n) of the errors of replicates falls with n. `sample_size` says where it meets an error of a given size,
`sample_size_ratio` how many times as many rows one model takes as another for the same error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from .arguments import as_numbers, check_flag, check_positive, shown
from .kinds import Curve
from .rates import by_size, check_options, log_statistics

_TAIL = 3  # sizes, at least, of the line that extrapolates; it takes the upper half of them
_POINTS = 400  # of log n, within the sizes and beyond, at which ends of intervals are sought: 5 % of n over 9 decades
_REACH = 4.0  # it is looked for up to so many times as far beyond the last size, on the log scale, as the answer lies
_ROUNDING = 1e-9  # of log statistics, and least distance of a correlation from 1


@dataclass(frozen=True)
class SampleSize:
    """The sample size at which a statistic of errors is of a given size; made by `sample_size`.

    Attributes
    ----------
    n : float
        The sample size; no whole number, as the curve is continuous.
    ci_low, ci_high : float
        Confidence interval; 0 and inf where replicates set no bound within the sizes, or within reach beyond.
    level : float
        Its confidence level.
    error : float
    statistic : str
        ``"mean"``, ``"median"`` or ``"qNN"``.
    status : {"interpolated", "extrapolated"}
        Whether `n` lies within the sizes of the curve, or on a line beyond the largest one.
    """

    n: float
    ci_low: float
    ci_high: float
    level: float
    error: float
    statistic: str
    status: str

    def __str__(self):
        return f"{self.n:.3g} [{self.ci_low:.3g}, {self.ci_high:.3g}]{_marked(self.status)}"


@dataclass(frozen=True)
class SampleSizeRatio:
    """The ratio of two sample sizes at an equal error; made by `sample_size_ratio`.

    Attributes
    ----------
    ratio : float
        Rows that the first curve takes over those that the second takes.
    ci_low, ci_high : float
        Confidence interval; 0 and inf where replicates set no bound.
    level, error, statistic
        As in `SampleSize`.
    first, second : float
        The two sample sizes.
    status : {"interpolated", "extrapolated"}
        ``"extrapolated"`` if one of them is.
    """

    ratio: float
    ci_low: float
    ci_high: float
    level: float
    error: float
    statistic: str
    first: float
    second: float
    status: str

    def __str__(self):
        return f"{self.ratio:.3g} [{self.ci_low:.3g}, {self.ci_high:.3g}]{_marked(self.status)}"


def _marked(status):
    return "" if status == "interpolated" else f" ({status})"


def sample_size(
    curve: Curve,
    error: float,
    statistic: str = "mean",
    extrapolate: bool = False,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> SampleSize:
    """Rows needed for an error of a given size, with a confidence interval.

    Parameters
    ----------
    curve : DataFrame, or pair (n, errors)
        A table with the columns ``n`` and ``error``, one row for each replicate; or what `hmoe_stats.fit_rate` takes.
    error : float
        The size that the statistic is to have.
    statistic : {"mean", "median", "qNN"}
        Statistic over the replicates of one size.
    extrapolate : bool
        Whether errors may be asked for that are smaller than those at the largest size.
    n_boot, level, seed
        As in `hmoe_stats.fit_rate`.

    Returns
    -------
    SampleSize

    Raises
    ------
    ValueError
        As `hmoe_stats.fit_rate`; or if `error` is not positive, larger than the statistic at the smallest size, smaller
        than that at the largest one and `extrapolate` is False, or if errors do not fall where the line is drawn.

    Notes
    -----
    n(error) = min{n : s(n) <= error}, log s being linear in log n between sizes; where noise makes it rise, s is the
    nearest curve that falls (isotonic least squares). Beyond the largest size s is the least-squares line through the
    upper half of the sizes, three at least: what a rate says that has reached its limit.

    The interval is {n : |log s(n) - log error| <= q se(n)}, or the shortest one that holds this set, with se the
    standard error of log s(n), a linear function of the log statistics, and q as in `hmoe_stats.fit_rate`: studentised
    bootstrap for means, bootstrap standard errors and t quantiles otherwise. It holds n(error) as often as the interval
    of log s there holds log error, whatever the slope: 93-100 % of 80 lognormal curves (log standard deviation .5 to 1,
    20 to 60 replicates, 4 sizes, slopes -1/8 to -1/2), within the sizes and beyond. Where the curve is flat, or
    replicates are few, it is wide, or has no end.
    """
    quantile = check_options(statistic, n_boot, level, seed)
    error, extrapolate = check_positive("error", error), check_flag("extrapolate", extrapolate)
    n, errors = _pair("curve", curve)
    sizes, samples, _ = by_size(n, [errors], ["errors"], None)
    logs = log_statistics(sizes, samples, np.ones(1), statistic, quantile, n_boot, seed)
    place = _meeting(sizes, logs, error, statistic, extrapolate, level)
    near = place.near(logs, place.critical)
    low, high = _ends(place.grid[near], place.log_n, 0 in near, len(place.grid) - 1 in near)
    return SampleSize(float(np.exp(place.log_n)), low, high, float(level), error, statistic, place.status)


def sample_size_ratio(
    first: Curve,
    second: Curve,
    error: float,
    statistic: str = "mean",
    extrapolate: bool = False,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> SampleSizeRatio:
    """How many times as many rows the first of two models takes as the second for an equal error.

    Parameters
    ----------
    first, second : DataFrame, or pair (n, errors)
        Two curves as `sample_size` takes them, of the same replicates: tables with a column ``replicate`` besides,
        which are matched by n and replicate, or pairs with the same n, whose errors match entry by entry.
    error, statistic, extrapolate, n_boot, level, seed
        As in `sample_size`.

    Returns
    -------
    SampleSizeRatio

    Raises
    ------
    ValueError
        As `sample_size`; or if the two cannot be matched.

    Notes
    -----
    With z the two gaps log s(n) - log error, at sample sizes n and n', and V their covariance over paired replicates,
    the interval is the range of n / n' over z' V^-1 z <= q^2, the profile of the ratio, with q the larger one of the
    two of `sample_size`. What the data of a replicate do to both models drops out. On curves as there, with .64 of the
    variance in common, it holds the ratio in 92-100 % of cases.
    """
    quantile = check_options(statistic, n_boot, level, seed)
    error, extrapolate = check_positive("error", error), check_flag("extrapolate", extrapolate)
    n, columns = _matched(first, second)
    sizes, samples, _ = by_size(n, columns, ["first", "second"], None)
    logs = [log_statistics(sizes, samples, signs, statistic, quantile, n_boot, seed) for signs in np.eye(2)]
    one, two = (_meeting(sizes, log, error, statistic, extrapolate, level) for log in logs)
    q = max(one.critical, two.critical)
    here, there = (place.near(log, q) for place, log in zip((one, two), logs, strict=True))  # elsewhere z' V^-1 z > q^2
    i, j = np.nonzero(_together(one, two, here, there, logs) <= q**2)
    i, j = here[i], there[j]
    open_low, open_high = (i == 0) | (j == len(two.grid) - 1), (i == len(one.grid) - 1) | (j == 0)
    log_ratio = one.log_n - two.log_n
    low, high = _ends(one.grid[i] - two.grid[j], log_ratio, open_low.any(), open_high.any())
    status = "extrapolated" if "extrapolated" in (one.status, two.status) else "interpolated"
    n, m = (float(np.exp(place.log_n)) for place in (one, two))
    return SampleSizeRatio(float(np.exp(log_ratio)), low, high, float(level), error, statistic, n, m, status)


class _Meeting(NamedTuple):
    """Where a curve meets an error, and how far from it the curve is elsewhere."""

    log_n: float
    status: str
    grid: np.ndarray  # (P,) log sample sizes
    weights: np.ndarray  # (P, S) log s = weights @ contrasts
    gaps: np.ndarray  # (P,) log s - log error
    critical: float  # half-width of the interval of log s at log_n, over its standard error

    def near(self, logs, q):
        """Places in the grid at which the curve is no more than q standard errors from the error."""
        return np.flatnonzero(self.gaps**2 <= q**2 * (self.weights**2 @ logs.variances))


def _meeting(sizes, logs, error, statistic, extrapolate, level):
    log_n, log_s, wanted = np.log(sizes), logs.contrasts, np.log(error)
    falling = isotonic_regression(log_s, increasing=False).x
    for end in falling[[0, -1]]:
        wanted = end if abs(wanted - end) < _ROUNDING else wanted
    if wanted > falling[0]:
        at = f"the {statistic} at n = {sizes[0]:g}, the smallest size"
        raise ValueError(f"error must be at most {np.exp(falling[0]):.4g}, {at}; got {shown(error)}")
    if wanted < falling[-1] and not extrapolate:
        at = f"the {statistic} at n = {sizes[-1]:g}, the largest size, unless extrapolate is True"
        raise ValueError(f"error must be at least {np.exp(falling[-1]):.4g}, {at}; got {shown(error)}")
    if wanted >= falling[-1]:
        status, k = "interpolated", int(np.argmax(falling <= wanted))
        answer = log_n[0]
        if k:
            answer = np.interp(wanted, falling[[k, k - 1]], log_n[[k, k - 1]])
    else:
        status, (at_0, at_1) = "extrapolated", _tail(log_n, np.array([[0.0], [1.0]])) @ log_s
        if at_1 >= at_0:
            why = "as those at the largest sizes do not fall"
            raise ValueError(f"error must be at least {np.exp(falling[-1]):.4g}, {why}; got {shown(error)}")
        answer = max((wanted - at_0) / (at_1 - at_0), log_n[-1])
    grid, weights = _grid(log_n, answer, extrapolate)
    here = _weights(log_n, np.array([answer]))[0]
    error_here = np.sqrt(here**2 @ logs.variances)
    critical = logs.half_width(here, level) / error_here if error_here > 0 else 0.0
    return _Meeting(float(answer), status, grid, weights, weights @ log_s - wanted, float(critical))


def _grid(log_n, answer, extrapolate):
    """Log sample sizes at which an interval is looked for (P,), and `_weights` there."""
    grid = np.linspace(log_n[0], log_n[-1], _POINTS)
    if extrapolate:
        grid = np.append(
            grid, np.linspace(grid[-1], log_n[0] + _REACH * (max(answer, grid[-1]) - log_n[0]), _POINTS)[1:]
        )
    return grid, _weights(log_n, grid)


def _weights(log_n, at):
    """(P, S): the curve at log sample sizes `at` is ``weights @ (log statistics at log_n)``."""
    within = np.array([np.interp(at, log_n, unit) for unit in np.eye(log_n.size)]).T
    beyond = at > log_n[-1]
    within[beyond] = _tail(log_n, at[beyond, None])
    return within


def _tail(log_n, at):
    """`_weights` of the least-squares line through the largest sizes, at `at` (P, 1)."""
    start = min(log_n.size // 2, max(log_n.size - _TAIL, 0))
    d = log_n[start:] - log_n[start:].mean()
    out = np.zeros((len(at), log_n.size))
    out[:, start:] = 1.0 / d.size + (at - log_n[start:].mean()) * d / (d @ d)
    return out


def _together(one, two, here, there, logs):
    """(P, P') z' V^-1 z over pairs of places in the grids of the two curves."""
    centred = [log.draws - log.draws.mean(axis=1, keepdims=True) for log in logs]
    product, squares = (centred[0] * centred[1]).mean(axis=1), [(draws**2).mean(axis=1) for draws in centred]
    scale = np.sqrt(squares[0] * squares[1])
    correlation = np.divide(product, scale, out=np.zeros_like(scale), where=scale > 0) * (1.0 - _ROUNDING)
    first, second = one.weights[here], two.weights[there]
    v, w = (first**2 @ logs[0].variances)[:, None], second**2 @ logs[1].variances
    c = (first * correlation * np.sqrt(logs[0].variances * logs[1].variances)) @ second.T
    z, y = one.gaps[here, None], two.gaps[there]
    return (z**2 * w - 2.0 * z * y * c + y**2 * v) / (v * w - c**2)


def _ends(logs, answer, open_low, open_high):
    """The interval that holds some logarithms and the answer, without an end where it is open."""
    low, high = logs.min(initial=answer), logs.max(initial=answer)
    return 0.0 if open_low else float(np.exp(low)), np.inf if open_high else float(np.exp(high))


def _pair(name, curve, *more):
    """The columns of a table of n, error and `more`, or the pair as it is."""
    columns = ["n", "error", *more]
    if hasattr(curve, "columns") and set(columns) <= set(curve.columns):
        return tuple(curve[column] for column in columns)
    if not more and isinstance(curve, tuple) and len(curve) == 2:
        return curve
    words = f"a DataFrame with the columns {', '.join(columns[:-1])} and {columns[-1]}"
    raise ValueError(f"{name} must be {words}{'' if more else ', or a pair (n, errors)'}; got {shown(curve)}")


def _matched(first, second):
    """n (N,) and the errors of both curves, entry by entry of the same replicate."""
    if not hasattr(first, "columns"):
        (n, one), (other, two) = _pair("first", first), _pair("second", second)
        if not np.array_equal(as_numbers("n", n), as_numbers("n", other)):
            raise ValueError("second must have the n of first, entry by entry; got other ones")
        return n, [one, two]
    tables = []
    for name, curve in (("first", first), ("second", second)):
        _pair(name, curve, "replicate")
        table = curve[["n", "replicate", "error"]]
        if table.duplicated(["n", "replicate"]).any():
            raise ValueError(f"{name} must have one error for each n and replicate; got several")
        tables.append(table)
    both = tables[0].merge(tables[1], on=["n", "replicate"])
    if both.empty:
        raise ValueError("second must have replicates in common with first, by n and replicate; got none")
    return both["n"], [both["error_x"], both["error_y"]]
