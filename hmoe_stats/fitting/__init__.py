"""Fitting: `fit`, `fit_mle`, `fit_em` and those of categorical experts, starting values, optimisers and results."""

from .categorical import fit_categorical
from .class_mle import fit_categorical_mle
from .class_result import CategoricalResult
from .em import fit_em
from .mle import fit_mle
from .own import fit, fit_nested
from .penalty import Penalty
from .refit import refit
from .result import FitResult

__all__ = [
    "CategoricalResult",
    "FitResult",
    "Penalty",
    "fit",
    "fit_categorical",
    "fit_categorical_mle",
    "fit_em",
    "fit_mle",
    "fit_nested",
    "refit",
]
