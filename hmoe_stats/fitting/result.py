"""What a fit returns: the measure, and the evidence that it is what it claims to be."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..measure import MixingMeasure

STATUSES = ("converged", "boundary", "max_iter", "degenerate")


@dataclass(frozen=True, eq=False)
class FitResult:
    """Result of `fit_mle` or `fit_em`, with its certificate.

    Attributes
    ----------
    measure : MixingMeasure
        The fitted parameters, in the units of the data.
    log_likelihood : float
        Log-likelihood of `measure` under the model itself (unsmoothed), natural log, constants included.
    score_norm : float
        Largest absolute entry of the projected score, divided by n, in the unconstrained parameters of `measure`,
        reckoned in standardised coordinates and converted. Projected: what presses against a bound is left out. Under
        Laplace gates it is the score of the smoothed log-likelihood, at `smoothing`.
    status : {"converged", "boundary", "max_iter", "degenerate"}
        "converged": first-order conditions hold inside the box. "boundary": they hold on the box, with the bounds of
        `active_bounds`. "degenerate": an expert's variance lies on the default floor, or an expert holds fewer rows
        than it has parameters. "max_iter": the conditions do not hold to the tolerance.
    n_iter : int
        Iterations on `path`.
    path : ndarray
        Log-likelihoods of the best start, iteration by iteration; under Laplace gates those of the final smoothing.
    starts : pandas.DataFrame
        One row a start: kind, log_likelihood, score_norm, status, n_iter.
    active_bounds : tuple of str
        Names of the parameters on a bound.
    smallest_eigenvalue : float
        Smallest eigenvalue of the projected observed information divided by n, in standardised units, with gate
        translations removed. Close to 0 in over-specified fits; clearly negative would be a saddle point.
    n_agree : int
        How many starts of the last stage ended within 0.01 of this optimum's log-likelihood.
    smoothing : float
        The eps of the smoothed Laplace distance sqrt(||x - a||^2 + eps^2) at which the score vanishes; 0 for softmax.
    bounds : dict
        The box: parameter -> (low, high) in the units of the data; see `fit_mle`.
    message : str
        The status in words.
    """

    measure: MixingMeasure
    log_likelihood: float
    score_norm: float
    status: str
    n_iter: int
    path: np.ndarray
    starts: pd.DataFrame
    active_bounds: tuple = ()
    smallest_eigenvalue: float = np.nan
    n_agree: int = 1
    smoothing: float = 0.0
    bounds: dict = field(default_factory=dict)
    message: str = ""

    @property
    def converged(self):
        """True if the first-order conditions hold (status "converged" or "boundary"); never at an iteration cap."""
        return self.status in ("converged", "boundary")

    def __repr__(self):
        lines = [
            f"FitResult: {self.status} ({self.message})",
            f"  log-likelihood {self.log_likelihood:.6f}, score norm {self.score_norm:.1e}, {self.n_iter} iterations",
            f"  {self.n_agree} of {len(self.starts)} starts agree, smallest eigenvalue {self.smallest_eigenvalue:.1e}"
            + (f", smoothing {self.smoothing:.1e}" if self.smoothing else ""),
        ]
        if self.active_bounds:
            lines.append("  on a bound: " + ", ".join(self.active_bounds))
        return "\n".join([*lines, repr(self.measure)])
