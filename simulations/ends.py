"""How the fits of a study ended, by model and sample size: their status, the bounds on which they lie, their gains.

A bound is a parameter and an end of its box, ``nu_low`` or ``beta_high``: the variance floor, on which spikes end, is
the first of them. A fit counts once for a bound, however many of its groups or experts lie there.

The gain of a fit is twice the difference of its log-likelihood to the truth's. Its law has a limit, so that a mean that
falls as n grows says that the search comes short there.
"""

import json
import math
import re
from collections import Counter

from . import words
from .study import text_of

STATUSES = list(words.STATUSES)
COLUMNS = ["study", "gating", "k2", "n", "cells", *STATUSES]
PARAMETERS = ("a", "b", "omega", "beta", "eta", "tau", "nu")
BOUNDS = [name + end for name in reversed(PARAMETERS) for end in ("_low", "_high", "")]  # "": which end is not known
SEPARATED = "separated"  # a gate that cuts the data cleanly: its slopes run to infinity, and the box alone stops them
BOUNDS += [SEPARATED]
FITTED = STATUSES[:4]
SETTLED = STATUSES[:2]  # converged, or on the boundary
GAINS = ["gain", "gain_error"]
_NAME = re.compile(rf"(?:log_)?({'|'.join(PARAMETERS)})\[([0-9]+(?:,[0-9]+)*)\]")  # of a parameter in a certificate


def of_fit(parameters, certificate, box):
    """The bounds on which a fit lies, and its gain.

    Parameters
    ----------
    parameters, certificate : str or None
        JSON, as rows of the store have it.
    box : Bounds
        Of the study.

    Returns
    -------
    bounds : str
        Some of `BOUNDS`, in that order, separated by blanks.
    gain : float
        NaN where the certificate has none.
    """
    try:
        found = json.loads(certificate)
    except (TypeError, ValueError):
        found = None
    return _on_bounds(parameters, found, box), _gain(found)


def _on_bounds(parameters, certificate, box):
    try:
        names = certificate.get("active_bounds", ())
        values = json.loads(parameters) if names else {}
        return " ".join(sorted({_bound(name, values, box) for name in names}, key=BOUNDS.index))
    except (TypeError, ValueError, AttributeError, LookupError):  # a cell that failed, or one of nobody knows what
        return ""


def _gain(certificate):
    try:
        return float(certificate["gain"])
    except (TypeError, ValueError, LookupError):
        return math.nan


def _bound(name, values, box):
    found = _NAME.fullmatch(name)
    if not found:
        return SEPARATED
    parameter, places = found.groups()
    bound = getattr(box, parameter)
    if bound is None:  # the fit's own box
        return parameter
    value = values[parameter]
    for place in places.split(","):
        value = value[int(place)]
    low, high = bound if isinstance(bound, list) else (-bound, bound)
    return f"{parameter}_{'low' if abs(value - low) <= abs(value - high) else 'high'}"


def table(study, parts):
    """The counts of a study, and of those beside it.

    Parameters
    ----------
    study : Study
    parts : sequence of (Study, DataFrame)
        The study itself, then those beside it, as `summary.Summary` has them; each with its cells, as
        `rows.Collected.ends` gives them.

    Returns
    -------
    DataFrame
        One row for each study, gating, k2 and n: cells, of the study's grid; how many of them converged, lie on the
        boundary, ended otherwise (max_iter: the conditions of an optimum do not hold), are degenerate, failed or are
        to_do; then a column for each of `BOUNDS` that occurs, the number of fits on it, whatever their status; then,
        if any is known, the mean gain of the fits that met the conditions of an optimum, and its standard error.
    """
    import pandas as pd

    counts, gains, names = {}, {}, {study.hash: study.name}
    for other, cells in parts:
        name = names.setdefault(other.hash, other.name)
        cells = cells[cells["replicate"] < other.replicates]
        there = dict(iter(cells.groupby(["gating", "k2", "n"])))
        for corner in other.corners():
            gating, k2, n, _ = corner.key
            asked = gating in study.gatings and list(corner.k2) in study.k2
            if not (asked and (other.hash == study.hash or n in study.sizes)):
                continue
            found = there.get((gating, k2, n), cells[:0])
            here = counts.setdefault((name, gating, k2, n), Counter())
            here.update(found["status"])
            here.update(bound for bounds in found["bounds"] for bound in bounds.split())
            here.update(cells=other.replicates, to_do=other.replicates - len(found))
            found = found[found["status"].isin(SETTLED)]["gain"].dropna()
            gains[(name, gating, k2, n)] = found.mean(), found.sem()
    seen = [bound for bound in BOUNDS if any(here[bound] for here in counts.values())]
    order = {(name, gating, text_of(k2)): i for i, (name, gating, k2) in enumerate(
        (name, gating, k2) for name in names.values() for gating in study.gatings for k2 in study.k2)}  # fmt: skip
    rows = sorted(counts.items(), key=lambda row: (order[row[0][:3]], row[0][3]))
    columns = [*COLUMNS, *seen]
    table = pd.DataFrame([[*key, *(here[name] for name in columns[4:])] for key, here in rows], columns=columns)
    table[GAINS] = [gains[key] for key, _ in rows]
    return table if table["gain"].notna().any() else table.drop(columns=GAINS)


def shares(ends, bound):
    """(study, gating, k2) -> the sizes, and at each the share of fits on a bound, or with a status; where there is one.

    A share is of the cells that have a fit; NaN where none has.
    """
    out = {}
    for model, part in ends.groupby(["study", "gating", "k2"], sort=False):
        if bound in part and part[bound].any():
            fits = part[FITTED].sum(axis=1)
            out[model] = part["n"].tolist(), (part[bound] / fits.where(fits > 0)).tolist()
    return out
