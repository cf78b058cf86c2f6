"""Fitting: `fit_em` and `fit_mle`, their starting values, the optimiser and the result they return."""

from .em import fit_em
from .mle import fit_mle, fit_nested
from .refit import refit
from .result import FitResult

__all__ = ["FitResult", "fit_em", "fit_mle", "fit_nested", "refit"]
