"""Rates of convergence of the maximum-likelihood estimator in two-level Gaussian hierarchical mixtures of experts.

Everyday names live here; the rooms behind them are listed in the README. Names that need a heavy library
(plotting, the scikit-learn estimator) are loaded when they are first touched.
"""

import importlib
from typing import TYPE_CHECKING

from .categorical import CategoricalMeasure
from .diagnose import diagnose
from .divergence import chi_square, hellinger, total_variation
from .fitting import CategoricalResult, FitResult, Penalty, fit, fit_categorical, fit_categorical_mle, fit_em, fit_mle
from .frames import design
from .functionals import functional_errors
from .inference import compare
from .likelihood import (
    gate_weights,
    information,
    log_density,
    log_likelihood,
    predict,
    responsibilities,
    score,
)
from .measure import MixingMeasure
from .rates import compare_rates, fit_rate
from .sample_size import sample_size, sample_size_ratio
from .sampling import Grid, Normal, Uniform, sample, sample_categorical, sample_lattice
from .selection import select
from .specialization import specialization
from .voronoi import parameter_errors, voronoi_loss

if TYPE_CHECKING:
    from . import datasets, plotting, selection, theory  # noqa: F401

__version__ = "0.2.0"

_LAZY = ("datasets", "plotting", "selection", "theory")

__all__ = [
    "CategoricalMeasure",
    "CategoricalResult",
    "FitResult",
    "Grid",
    "MixingMeasure",
    "Normal",
    "Penalty",
    "Uniform",
    "chi_square",
    "compare",
    "compare_rates",
    "design",
    "diagnose",
    "fit",
    "fit_categorical",
    "fit_categorical_mle",
    "fit_em",
    "fit_mle",
    "fit_rate",
    "functional_errors",
    "gate_weights",
    "hellinger",
    "information",
    "log_density",
    "log_likelihood",
    "parameter_errors",
    "predict",
    "responsibilities",
    "sample",
    "sample_categorical",
    "sample_lattice",
    "sample_size",
    "sample_size_ratio",
    "score",
    "select",
    "specialization",
    "total_variation",
    "voronoi_loss",
    *_LAZY,
]


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__ + ["__version__"])
