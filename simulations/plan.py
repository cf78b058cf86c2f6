"""How many replicates a wanted precision takes, and how long they run: from a pilot, whose samples no study uses.

The pilot is the study with another seed and few replicates. Rates are not read from it, only how far replicates scatter
and how long fits take, so that the number of replicates can be declared before the study's first fit.
"""

import math

import pandas as pd

from . import words
from .study import Study
from .summary import FEWEST, MODEL, QUANTITY

Z95 = 1.959964  # half-width of a 95 % interval, in standard errors
SALT = 0x9E3779B97F4A7C15  # what sets the seed of a pilot off from its study's
COLUMNS = [*MODEL, *QUANTITY, "standard_error", "replicates"]


def pilot_of(study, replicates):
    """The pilot of a study: its truth, models and sizes, with samples of its own."""
    values = study.model_dump(exclude_unset=True)
    own = {"name": f"{study.name}-pilot", "seed": (study.seed + SALT) % 2**128, "replicates": replicates}
    return Study.model_validate({k: v for k, v in values.items() if k not in ("beside", "expected")} | own)


def table(study, summary, precision):
    """Replicates at which rates are known to +-`precision`, with 95 % confidence.

    Parameters
    ----------
    study : Study
    summary : Summary
        Of its pilot.
    precision : float
        Half the width of the interval.

    Returns
    -------
    DataFrame
        One row for each model and primary quantity of the study, or each quantity where none is primary, in the first
        statistic: the standard error that the rate has in the pilot, and the number of replicates R (s / precision)^2
        1.96^2 at which it is small enough, R being those of the pilot, at least `FEWEST`. Of R replicates the standard
        error s itself is known to about 1 / sqrt(2 R).
    """
    wanted, rows = set(map(words.named, study.primary)), []
    for model, quantity in summary.errors:
        fit = summary.line(model, quantity, study.statistics[0]).fit if quantity in wanted or not wanted else None
        if fit and fit.standard_error > 0:
            needed = math.ceil(min(fit.n_replicates) * (Z95 * fit.standard_error / precision) ** 2)
            rows.append([study.name, *model[1:], *quantity, fit.standard_error, max(needed, FEWEST)])
    return pd.DataFrame(rows, columns=COLUMNS)


def seconds_a_replicate(progress):
    """Seconds of one process for all cells of a replicate, from what `Store.progress` counted of the pilot."""
    return float(sum(seconds / max(finished - failed, 1) for finished, failed, seconds in progress.values()))


def text(study, found, seconds, precision, jobs):
    """The plan, in words."""
    lines = []
    for row in found.sort_values("replicates", ascending=False, kind="stable").itertuples(index=False):
        quantity = words.quantity(row.level, row.size, row.parameter, row.kind)
        lines.append(f"  {row.replicates:6d} replicates: {quantity}, {words.model(row.gating, row.k2)}")
    most, what = int(found["replicates"].max()), "primary quantity" if study.primary else "quantity"
    cells = most * study.n_cells // study.replicates
    wanted, declared = (words.duration(r * seconds / jobs, jobs) for r in (most, study.replicates))
    heads = [
        f"{study.name}: rates to +-{precision:g} (95 %, {study.statistics[0]}), a line a {what}:",
        *lines,
        f"all of them: {most} replicates, {cells} cells, {wanted}; the study declares {study.replicates}, {declared}",
    ]
    return "\n".join(heads)
