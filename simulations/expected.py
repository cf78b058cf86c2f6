"""What theory expects of a measured quantity: its exponents, published and derived, with status and source."""

import numpy as np

from hmoe_stats import theory

FORMS = {"published": "published", "derived": "sharp"}  # as tables have them -> as `theory.rates` has them


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


def _rates(truth, k2, form, law):
    try:
        table = theory.rates(truth, k2, form=form, x=law)
    except ValueError:  # of a size that does not cover the truth, which a study may have
        return {}
    rows = {}
    for row in table.sort_values("alpha", kind="stable").itertuples():
        rows.setdefault((row.level, row.m, row.parameter, row.kind), []).append(row)
    return rows
