"""Inference from a fit: covariances, intervals, the bootstrap, predictions, files. `FitResult` has the public methods.

`coordinates` says which parameters a fit has, `curvature` what the data say of them and where they say nothing,
`functionals` and `tables` what follows, `bootstrap` asks samples instead, `predictions` and `saving` are what they say.
"""

from .bootstrap import Bootstrap, bootstrap
from .curvature import Curvature, InferenceError, curvature
from .functionals import delta, intervals
from .predictions import predict_interval, predict_quantile, residuals, sample
from .saving import load, save
from .tables import Summary, bse, compare, conf_int, cov_params, criteria, params, summary

__all__ = [
    "Bootstrap",
    "Curvature",
    "InferenceError",
    "Summary",
    "bootstrap",
    "bse",
    "compare",
    "conf_int",
    "cov_params",
    "criteria",
    "curvature",
    "delta",
    "intervals",
    "load",
    "params",
    "predict_interval",
    "predict_quantile",
    "residuals",
    "sample",
    "save",
    "summary",
]
