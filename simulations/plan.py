"""How many replicates a wanted precision takes, and how long they run: from a pilot, whose samples no study uses.

The pilot is the study with another seed and few replicates. Rates are not read from it, only how far replicates scatter
and how long fits take, so that the number of replicates can be declared before the study's first fit.
"""

import math

import pandas as pd

from . import words
from .study import Study
from .summary import MODEL, QUANTITY, enough, tried

Z95 = 1.959964  # half-width of a 95 % interval, in standard errors
SALT = 0x9E3779B97F4A7C15  # what sets the seed of a pilot off from its study's
LEAST = 6  # replicates: fewer have no rates
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
        1.96^2 at which it is small enough, R being those of the pilot, at least `LEAST`. Of R replicates the standard
        error s itself is known to about 1 / sqrt(2 R).
    """
    wanted, rows = set(map(words.named, study.primary)), []
    for (model, quantity), (n, _, error) in summary.errors.items():
        if wanted and quantity not in wanted:
            continue
        kept, _ = enough(n, study.statistics[0])
        fit, _ = tried(_rate, n[kept], [error[kept]], study.statistics[0])
        if fit and fit.standard_error > 0:
            least = min(fit.n_replicates)
            needed = math.ceil(least * (Z95 * fit.standard_error / precision) ** 2)
            rows.append([study.name, *model[1:], *quantity, fit.standard_error, max(needed, LEAST)])
    return pd.DataFrame(rows, columns=COLUMNS)


def _rate(n, error, statistic):
    from hmoe_stats.rates import fit_rate

    return fit_rate(n, error, statistic)


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
    cells = study.n_cells // study.replicates
    heads = [
        f"{study.name}: rates to +-{precision:g} (95 %, {study.statistics[0]}), a line a {what}:",
        *lines,
        f"all of them: {most} replicates, {most * cells} cells, about {duration(most * seconds / jobs)} with "
        f"{jobs} process{'es' if jobs > 1 else ''}; the study declares {study.replicates}, about "
        f"{duration(study.replicates * seconds / jobs)}",
    ]
    return "\n".join(heads)


def duration(seconds):
    """``"40 s"``, ``"12 min"``, ``"3.5 h"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
