"""What is expected of a measured quantity: exponents, published and derived, limits of statistics, rates at these n."""

from typing import NamedTuple

import numpy as np

from hmoe_stats import theory

FORMS = {"published": "published", "derived": "sharp"}  # as tables have them -> as `theory.rates` has them


class Limit(NamedTuple):
    """What the rate of a statistic is to be held against."""

    alpha: float  # NaN if theory gives none
    kind: str  # "limit" of the statistic; "bound": it is no slower; "open"; "" without an alpha


class Expected:
    """The rates of a model, by quantity (level, size, parameter, kind).

    Parameters
    ----------
    study : Study
    gating : str
    k2 : tuple of int
        Fitted experts in each group. Nothing is expected where theory does not cover the truth by them, nor of data of
        another gating.
    """

    def __init__(self, study, gating, k2):
        truth = study.source(gating)
        covered = truth.gating == gating
        self._rows = {form: _rates(truth, k2, name, study.law) if covered else {} for form, name in FORMS.items()}

    def rows(self, form, quantity):
        """The rows of `theory.rates` of a quantity, the slowest first: cells of a size can be of several kinds."""
        level, size, parameter, kind = quantity
        return self._rows[form].get((level, size, "loss" if kind == "loss" else parameter, kind), ())

    def alpha(self, form, quantity):
        """The slowest alpha, NaN if theory gives none."""
        rows = self.rows(form, quantity)
        return rows[0].alpha if rows else np.nan

    def limit(self, statistic, quantity):
        """The `Limit` of a statistic over replicates, as derived (`hmoe_stats.theory.limits`).

        Means and medians have limits of their own; other quantiles share that of the median where kappa = 1, as the
        error then is of the order n^(-1/2) and no smaller. Where a limit is open it is the exponent of the worst case,
        a bound: errors are of the order n^(-alpha), and so is every quantile. An exponent that is not settled itself is
        open, and so is one of 0, below which no rate is to be seen.
        """
        rows = self.rows("derived", quantity)
        if not rows:
            return Limit(np.nan, "")
        known = [_limit(row, statistic) for row in rows]
        # of several kinds of cells the slowest decides, if that is one with a limit
        alpha, bound = min((row.alpha, True) if np.isnan(k) else (k, False) for row, k in zip(rows, known, strict=True))
        if not bound:
            return Limit(alpha, "limit")
        settled = all(row.status != "open" for row in rows if row.alpha == alpha) and alpha > 0
        return Limit(alpha, "bound" if settled else "open")


def _limit(row, statistic):
    if statistic in ("mean", "median"):
        return row.alpha_mean if statistic == "mean" else row.alpha_median
    return row.alpha_median if row.kappa == 1 else np.nan


def _rates(truth, k2, form, law):
    try:
        table = theory.rates(truth, k2, form=form, x=law)
    except ValueError:  # of a size that does not cover the truth, which a study may have
        return {}
    rows = {}
    for row in table.sort_values("alpha", kind="stable").itertuples():
        rows.setdefault((row.level, row.m, row.parameter, row.kind), []).append(row)
    return rows


# -- at these n --------------------------------------------------------------------------------------------------------
MODEL = {"truth", "x", "data_gating", "fit"}  # the keys of a study that say which estimator of what it looks at
SEARCH = {"n_starts", "tol", "max_iter"}  # those of [fit] that say how it is found


def differs(study, other):
    """Why slopes of one study are not to be expected from another: a list of reasons, in words.

    They must be of the same model, estimated in the same box, and have data of their own.
    """
    if study.hash == other.hash:
        return ["the same data"]
    here, there = (s.model_dump(include=MODEL, exclude={"fit": SEARCH}) for s in (study, other))
    here, there = ({**one.pop("fit"), **one} for one in (here, there))
    return [f"another {key}" for key in sorted(here) if here[key] != there[key]]


def slope_at(fit, n):
    """The slope that the curve of another study has over the sample sizes `n`, and its standard error.

    Parameters
    ----------
    fit : RateFit
        Of the other study: its statistic at each of its sizes, which are independent samples. Between them the curve is
        a line on log scales.
    n : array
        The sizes; what is given is the least-squares slope over them.

    Returns
    -------
    (float, float)
        NaN, both, if `n` goes beyond the sizes of the other study.
    """
    log_n, grid = np.log(n), np.log(fit.n)
    if log_n.size < 2 or not (grid[0] - 1e-9 <= log_n.min() and log_n.max() <= grid[-1] + 1e-9):
        return np.nan, np.nan
    weights = (log_n - log_n.mean()) / np.sum((log_n - log_n.mean()) ** 2)
    # of each size of the other study in that slope: interpolation is linear in its values
    shares = np.array([weights @ np.interp(log_n, grid, one) for one in np.eye(grid.size)])
    return float(shares @ np.log(fit.values)), float(np.sqrt(shares**2 @ fit.log_standard_errors**2))
