"""What a fit returns: the measure, and the evidence that it is what it claims to be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.linalg import eigh

from ..arguments import check_number
from ..frames import Design
from ..kinds import Columns, Frame
from ..measure import MixingMeasure
from ..names import default_x_names, given, visible
from .answers import Answers, Data
from .penalty import Penalty

STATUSES = ("converged", "boundary", "max_iter", "degenerate", "interrupted")


@dataclass(frozen=True, eq=False)
class FitResult(Answers):
    """Result of `fit`, `fit_mle` or `fit_em`, with its certificate.

    Attributes
    ----------
    measure : MixingMeasure
        The fitted parameters, in the units of the data.
    log_likelihood : float
        Log-likelihood of `measure` under the model itself (unsmoothed), natural log, constants included. With weights
        of large sum n only about 1e-16 n of it is known; `gap` is reckoned by differences, and so is
        `hmoe_stats.log_likelihood` relative to another measure.
    score_norm : float
        Largest absolute entry of the projected score, divided by n, in the unconstrained parameters of `measure`,
        reckoned in standardised coordinates and converted. Projected: what presses against a bound is left out. Under
        Laplace gates it is the score of the smoothed log-likelihood, at `smoothing`.
    status : {"converged", "boundary", "max_iter", "degenerate", "interrupted"}
        "converged": first-order conditions hold inside the box. "boundary": they hold on the box, with the bounds of
        `active_bounds`; of `fit` only where one of these was stated. "degenerate": no estimate, for the reason that
        `message` gives: a variance on the default floor, an expert on a handful of rows, or one whose tiny variance
        chance may have found; under bounds on the variances none of these is asked, see `warnings`. "max_iter": the
        conditions do not hold to the tolerance. "interrupted": a search that was watched was ended, and
        this is the best it had; it counts as no maximum, even where it is one.
        They hold if `score_norm`, in standardised units, is at most `tol`, and what the next Newton step promises,

            max g's - s' I s / 2  over steps s of length 1 at most, in standardised units and in the box,

        with score g and observed information I, is at most .005, or what double precision can tell of the
        log-likelihood if that is more (beyond n = 1e12). Inside the box it is g' I^-1 g / 2, half the square of the
        length of the step in standard errors: the estimate lies within a tenth of them from the optimum of the
        quadratic model. Along directions without curvature (below 1e-15 of the largest) it is the score that promises.
    n_iter : int
        Iterations on `path`.
    path : ndarray
        Log-likelihoods of the best start, iteration by iteration; under Laplace gates those of the final smoothing.
    start_rows : list of dict
        The rows of `starts`.
    active_bounds : tuple of str
        Names of the parameters on a bound.
    n_optima : int
        Number of distinct optima at which starts ended, more than 0.01 apart in log-likelihood; flawed ones left out.
    gap : float
        Log-likelihood by which the best of them stands above the second; inf where there is no second.
    n_agree : int
        Number of starts that came to the best one.
    eigenvalues : ndarray, (m,)
        Of the projected observed information divided by n, ascending, in standardised units, along the directions in
        which the parameters can move: bounds that the score presses against and translations of gates are left out.
        Close to 0 in over-specified fits; clearly negative would be a saddle point. Empty where nothing can move.
    eigenvectors : ndarray, (p, m)
        Their directions, a row a parameter of `measure.parameter_names()`, in standardised units; see
        `null_directions`.
    smoothing : float
        The eps of the smoothed Laplace distance sqrt(||x - a||^2 + eps^2) at which the score vanishes; 0 for softmax.
    bounds : dict
        The box: parameter -> (low, high) in the units of the data; see `fit_mle`.
    message : str
        The status in words.
    warnings : tuple of str
        What should make a reader pause, with numbers, whatever the box: experts on a handful of rows, experts of tiny
        variance that chance may have found, or of less than a hundredth of the mean variance of rows; softmax gates
        that separate the data; bounds of the default box that matter; experts less than a standard deviation apart.
    effort : str
        How widely optima were sought: the preset and its starts.
    x_names : tuple of str, (d,)
        Names of the columns of X, where it came as a DataFrame or Series; else ``("x",)``, or ``("x0", "x1", ...)``.
    y_name : str
        Name of y, where it came as a Series; else ``"y"``.
    data : Data or None
        X, y and weights of the rows that count, for inference. They are those that were fitted, and no copies where
        these came as float64 arrays: memory is kept as long as the fit is, and a pickled fit takes its data along. If
        arrays are changed after the fit, inference says so. None of a fit that was loaded; see `with_data`.
    settings : dict
        The estimator, and its keywords that a fit to other data of the same kind would take.
    known : Curvature or None
        `curvature`, of a fit that was loaded.
    taken_off : float
        What the penalty of `fit` takes off the log-likelihood: `penalised_log_likelihood` is the rest. `path` and the
        log-likelihoods of `starts`, `gap` and the score are those of the penalised log-likelihood.
    design : Design or None
        How covariates were made of the columns of a DataFrame: new frames are read in the same way, by name.
    """

    measure: MixingMeasure
    log_likelihood: float
    score_norm: float
    status: str
    n_iter: int
    path: np.ndarray
    start_rows: list
    active_bounds: tuple = ()
    n_optima: int = 1
    gap: float = np.inf
    n_agree: int = 1
    eigenvalues: np.ndarray = field(default_factory=lambda: np.empty(0))
    eigenvectors: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    smoothing: float = 0.0
    bounds: dict = field(default_factory=dict)
    message: str = ""
    warnings: tuple = ()
    effort: str = ""
    x_names: tuple = ()
    y_name: str = "y"
    data: Data | None = None
    settings: dict = field(default_factory=dict)
    known: object = None
    taken_off: float = 0.0
    design: Design | None = None

    def __post_init__(self):
        if not self.x_names:
            object.__setattr__(self, "x_names", default_x_names(self.measure.d))

    def named(self, x_names: tuple[str, ...], y_name: str) -> Self:
        """This result with the names of X and y (`names.of_data`), in `active_bounds`, too."""
        y_name = y_name or self.y_name
        if len(x_names) != self.measure.d:
            return replace(self, y_name=y_name)
        words = (self.measure.parameter_names(written) for written in (None, given(x_names)))
        words = dict(zip(*words, strict=True))
        active = tuple(words.get(name, name) for name in self.active_bounds)
        return replace(self, x_names=x_names, y_name=y_name, active_bounds=active)

    def narrow(self, gate_columns: Columns | None, expert_columns: Columns | None) -> Self:
        """This result with its measure written for gates and experts that see these columns only."""
        measure = self.measure.narrow(gate_columns, expert_columns)
        rows = self.eigenvectors[measure.wide_index()]
        return replace(self, measure=measure, eigenvectors=rows)

    @cached_property
    def starts(self) -> Frame:
        """One row a start of the last stage of growth: a `pandas.DataFrame`.

        Its columns are kind, log_likelihood (under Laplace gates at the first smoothing), score_norm, status, n_iter
        and note. status is the way the start ended: "converged", "max_iter" (the cap reached, or hardly rising any
        more), "merged" (level with another start) or "behind" (fallen out of the race), or "running" where an interrupt
        came before; note says why an optimum was passed over, though it may stand above the result.
        """
        import pandas as pd

        return pd.DataFrame(self.start_rows)

    @property
    def penalised_log_likelihood(self) -> float:
        """What `fit` maximises: `log_likelihood` less the penalty; of fits without one `log_likelihood`."""
        return self.log_likelihood - self.taken_off

    @property
    def penalty(self) -> Penalty | None:
        """The `Penalty` of the fit; None without one."""
        numbers = self.settings.get("penalty")
        return numbers and Penalty(**numbers)

    @property
    def converged(self) -> bool:
        """True if the first-order conditions hold (status "converged" or "boundary"); never at an iteration cap."""
        return self.status in ("converged", "boundary")

    @property
    def smallest_eigenvalue(self) -> float:
        """The first of `eigenvalues`; NaN where there is none."""
        return float(self.eigenvalues[0]) if self.eigenvalues.size else np.nan

    def null_directions(self, below: float = 0.02) -> Frame:
        """Flat directions of the log-likelihood at the optimum, in words: the combinations of parameters it ignores.

        Every parameter v_k is measured by its own standard error were all others known, 1 / sqrt(n I_kk). Along v the
        information is then lambda = v' I v / sum I_kk v_k^2: 1 for parameters that do not interact, 0 where a change in
        some is made good by the others.

        Parameters
        ----------
        below : float
            Directions with a smaller lambda are listed.

        Returns
        -------
        DataFrame
            One row a direction, the flattest first: ``information`` (lambda), and ``direction``, its entries of at
            least a fifth of the largest, scaled to 1: ``"tau[1] - 0.97 tau[2] + 0.41 omega[1,0]"``.
        """
        import pandas as pd

        below = check_number("below", below, "a number", lambda v: True)
        V, words = self.eigenvectors, self.measure.parameter_names(given(self.x_names))
        own = np.maximum((V**2 * self.eigenvalues).sum(axis=1), 1e-12 * np.abs(self.eigenvalues).max(initial=1e-300))
        rows = []
        if V.size:
            values, vectors = eigh(np.diag(self.eigenvalues), V.T @ (own[:, None] * V))
            vectors = np.sqrt(own)[:, None] * (V @ vectors)
            rows = [(value, in_words(vectors[:, k], words)) for k, value in enumerate(values) if value < below]
        return pd.DataFrame(rows, columns=["information", "direction"]).astype({"information": float})

    def __repr__(self):
        lines = [
            f"FitResult: {self.status} ({self.message})",
            f"  log-likelihood {self.log_likelihood:.6f}, score norm {self.score_norm:.1e}, {self.n_iter} iterations",
            f"  {self.n_agree} of {len(self.start_rows)} starts agree, {self.n_optima} optima seen, "
            f"the gap {self.gap:.2f}",
            f"  smallest eigenvalue {self.smallest_eigenvalue:.1e}"
            + (f", smoothing {self.smoothing:.1e}" if self.smoothing else ""),
        ]
        if self.penalty:
            lines.insert(2, f"  penalised log-likelihood {self.penalised_log_likelihood:.6f}, {self.penalty}")
        if self.active_bounds:
            lines.append("  on a bound: " + visible(", ".join(self.active_bounds)))
        lines += [f"  warning: {text}" for text in self.warnings if text not in self.message]
        return "\n".join([*lines, self.measure.to_string(given(self.x_names))])


def in_words(vector, names):
    """The larger entries of a direction as a sum, the largest first and positive."""
    order = np.argsort(-np.abs(vector), kind="stable")
    vector = vector / vector[order[0]]
    terms = [(vector[k], names[k]) for k in order if abs(vector[k]) >= 0.2]
    words = "".join(f" {'-' if size < 0 else '+'} {abs(size):.2f} {name}" for size, name in terms[1:])
    return visible(terms[0][1] + words)
