"""Fitting: `fit`, `fit_mle` and `fit_em`, their starting values, the optimiser and the result they return."""

from .em import fit_em
from .mle import fit_mle
from .own import fit, fit_nested
from .penalty import Penalty
from .refit import refit
from .result import FitResult

__all__ = ["FitResult", "Penalty", "fit", "fit_em", "fit_mle", "fit_nested", "refit"]
