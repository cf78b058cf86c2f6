"""What a fit can be asked: tables, errors, intervals, predictions, files. Thin doors to `hmoe_stats.inference`.

That room is opened when it is first asked: fits need none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from .. import likelihood
from ..arguments import check_weighted_data
from ..frames import Design, taken
from ..kinds import Axes, Drawing, File, Floats, Frame, Series
from ..measure import MixingMeasure

if TYPE_CHECKING:  # fits do without
    from ..inference import Bootstrap, Curvature, Summary


def _inference():
    from .. import inference

    return inference


class Data(NamedTuple):
    """What a model was fitted to: the rows that count, as arrays, no copies where arrays came."""

    X: np.ndarray  # (n, d)
    y: np.ndarray  # (n,)
    weights: np.ndarray | None = None  # (n,)


class Answers:
    """The methods of `FitResult` that ask its data, or the curvature of its log-likelihood."""

    if TYPE_CHECKING:  # what `FitResult` has
        __dataclass_fields__: ClassVar[dict[str, Any]]
        measure: MixingMeasure
        design: Design | None
        settings: dict
        data: Data | None
        known: Any

    # -- what the data say around the fit -----------------------------------------------------------------------------
    @cached_property
    def curvature(self) -> Curvature:
        """The log-likelihood around the fit, to second order: a `hmoe_stats.inference.Curvature`."""
        return self.known or _inference().curvature(self)

    def known_data(self) -> Data:
        """`data`, or a `ValueError` where there are none."""
        if self.data is None:
            raise ValueError("the fit must know its data: it was loaded from a file; see FitResult.with_data")
        return self.data

    def with_data(self, X: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Self:
        """This fit with its data, which are not in the file of a loaded one.

        Of a DataFrame those rows are taken that a fit takes.

        Raises
        ------
        ValueError
            If they are no data, or not those that were fitted.
        """
        given = taken(X, y, weights, self.design, stacklevel=3)
        data = Data(*check_weighted_data(given.X, given.y, given.weights, self.measure.d))
        fit = replace(self, data=data, known=None)
        _ = fit.curvature  # which asks whether they are the data of the fit
        return fit

    @property
    def params(self) -> Series:
        """Estimates of the free parameters: a Series, by name.

        Gates are written relative to the last component of each, as multinomial regressions are: intercepts, and slopes
        of softmax and quadratic gates, are differences to those of the last group, or of the last expert of the group,
        which are left out. `measure` is the same density, written otherwise. ``log_nu`` is the logarithm of a variance.
        """
        return _inference().params(self)

    @property
    def df(self) -> int:
        """Number of free parameters: translations of gates, gates of one component and constant columns left out.

        The scale of Laplace gates is one if it was profiled.
        """
        return len(self.curvature.coordinates.names) + ("profile" in self.settings)

    @property
    def nobs(self) -> float:
        """Number of rows; under weights, which are numbers of rows, their sum."""
        return self.curvature.nobs

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 df - 2 log-likelihood: smaller is better."""
        return _inference().criteria(self)["aic"]

    @property
    def bic(self) -> float:
        """Schwarz's criterion, df log(nobs) - 2 log-likelihood: smaller is better."""
        return _inference().criteria(self)["bic"]

    @property
    def icl(self) -> float:
        """BIC plus twice the entropy of responsibilities (Biernacki, Celeux and Govaert 2000): smaller is better."""
        return _inference().criteria(self)["icl"]

    def summary(self, level: float = 0.95, kind: str = "hessian") -> Summary:
        """The fit as a table: coefficients, standard errors, z, p-values and intervals, by parameter.

        It prints; `to_frame` gives the numbers. Where nothing can be inferred, or not of all parameters, the table says
        so in words instead of numbers. Parameters and errors as `conf_int`.
        """
        return _inference().summary(self, level, kind)

    def cov_params(self, kind: str = "hessian", identified: bool = False) -> Frame:
        """Covariance of the estimates: a DataFrame by `params`.

        Parameters
        ----------
        kind : {"hessian", "opg", "sandwich"}
            The inverse of the observed information I; that of the sum J of the outer products of the rows' scores; or
            I^-1 J I^-1, which holds where the model is wrong, too (White 1982). Weighted rows count as many.
        identified : bool
            Leave out the parameters that have no standard error, instead of an error.

        Raises
        ------
        hmoe_stats.inference.InferenceError
            A `ValueError`. If the fit is no maximum ("max_iter", "degenerate", "interrupted"); or if some parameters
            are not identified, lie on a bound, or are Laplace centres beyond the data: the message names them, and the
            directions in which the log-likelihood is flat or far from quadratic.

        Notes
        -----
        Parameters on bounds, and centres beyond the data, are held where they are: all else is given these. The rules
        by which a direction counts as flat are in `hmoe_stats.inference.curvature`.
        """
        return _inference().cov_params(self, kind, identified)

    @property
    def bse(self) -> Series:
        """Standard errors by the observed information: a Series by `params`; infinite where there is none.

        Raises `InferenceError` where nothing can be inferred at all, as `cov_params` does.
        """
        return _inference().bse(self)

    def conf_int(self, level: float = 0.95, kind: str = "hessian") -> Frame:
        """Intervals for the parameters: a DataFrame by `params`, with low, high and status.

        status is "estimated"; or else the interval is the whole line: "not identified", where the log-likelihood does
        not change; "not quadratic", where it is no parabola within two standard errors, so that these mean nothing;
        "on a bound" or "rests on a bound"; "beyond the data"; "may be chance", of experts that hardly add to the
        likelihood. Intervals of a variance are exp of those of ``log_nu``.

        Parameters
        ----------
        level : float
        kind : {"hessian", "opg", "sandwich"}
            As in `cov_params`.

        Raises
        ------
        hmoe_stats.inference.InferenceError
            If nothing can be inferred at all: the fit is no maximum.
        """
        return _inference().conf_int(self, level, kind)

    def intervals(
        self,
        of: str,
        X: ArrayLike,
        level: float = 0.95,
        kind: str = "hessian",
        q: float | Sequence[float] = 0.5,
        band: bool = False,
    ) -> Frame:
        """Intervals for functions of x, by the delta method.

        Parameters
        ----------
        of : {"mean", "experts", "gates", "groups", "quantile"}
            The mean of y given x; the line of each expert; the probability of each expert, or of each group; quantiles.
        X : array_like, (m, d); (m,) where d = 1
        level : float
        kind : {"hessian", "opg", "sandwich"}
            As in `cov_params`.
        q : float or sequence of float
            Levels of the quantiles.
        band : bool
            Whether intervals are to hold for all rows of X at once, a quantity at a time: their width is that of the
            largest of the normal variables that estimates are, by 20,000 draws with a fixed key.

        Returns
        -------
        DataFrame
            One row per quantity and row of X: row (the index of X), group and expert, or q, where there are several;
            estimate, std_err, low, high, status. What is not "estimated" (see `conf_int`) has an infinite interval
            (gates: 0 to 1); functions that do not depend on what is not identified keep theirs. Intervals of gates are
            symmetric in their log-odds, those of quantiles in the log-odds of the distribution function.

        Raises
        ------
        ValueError
            If X does not fit; `hmoe_stats.inference.InferenceError` as in `conf_int`.
        """
        return _inference().intervals(self, of, X, level, kind, q, band)

    def delta(
        self, function: Callable[[MixingMeasure], ArrayLike], level: float = 0.95, kind: str = "hessian"
    ) -> Frame:
        """Intervals for any smooth function of the parameters, by the delta method.

        Parameters
        ----------
        function : callable
            Takes a `MixingMeasure`, whose gates are written relative to their last components, and returns numbers.
        level : float
        kind : {"hessian", "opg", "sandwich"}
            As in `cov_params`.

        Returns
        -------
        DataFrame
            One row per number: estimate, std_err, low, high, status, as in `intervals`.
        """
        return _inference().delta(self, function, level, kind)

    def bootstrap(
        self,
        n: int,
        kind: str = "parametric",
        seed: int = 0,
        n_jobs: int = 1,
        file: File | None = None,
        n_starts: int = 1,
    ) -> Bootstrap:
        """Fit samples of this fit's own.

        Parameters
        ----------
        n : int
            Number of samples.
        kind : {"parametric", "rows"}
            y drawn from the fit at the covariates there are; or rows drawn with replacement.
        seed : int
            Key of the samples: sample i is the same whatever `n` and `n_jobs` are.
        n_jobs : int
            Processes; -1 for as many as there are processors.
        file : path, optional
            Samples are kept there as they come, and those already there are not made again: what was stopped goes on,
            and `n` may grow. A file of another fit, kind, seed or n_starts is refused.
        n_starts : int
            Starts of each fit, around this one; one is this fit itself.

        Returns
        -------
        hmoe_stats.inference.Bootstrap
            With conf_int, bse, cov_params, intervals and delta. Labels are matched to those of the fit.

        Raises
        ------
        ValueError
            If the fit is degenerate or does not know its data, or an argument does not fit.
        """
        return _inference().bootstrap(self, n, kind, seed, n_jobs, file, n_starts)

    # -- y given x -----------------------------------------------------------------------------------------------------
    def predict(self, X: ArrayLike) -> Floats:
        """Mean of y given x, (m,), at X (m, d); as `hmoe_stats.predict`.

        Of a fit to a DataFrame X may be one, here and in all that follows: it must have the columns that were fitted,
        and no level of a category that was not there (`ValueError`).
        """
        return likelihood.predict(self, X)  # type: ignore[arg-type]

    def predict_density(self, X: ArrayLike, y: ArrayLike) -> Floats:
        """Density p(y | x) of each row, (m,), at X (m, d) and y (m,)."""
        return np.exp(likelihood.log_density(self, X, y))  # type: ignore[arg-type]

    def predict_quantile(self, X: ArrayLike, q: float | Sequence[float]) -> Floats:
        """Quantiles of y given x: (m,), or (m, k) for a sequence of k levels q between 0 and 1; to rounding."""
        return _inference().predict_quantile(self, X, q)

    def predict_interval(self, X: ArrayLike, level: float = 0.95) -> Frame:
        """The interval between two quantiles that holds y given x with probability `level`: (m,) low and high.

        Returns
        -------
        DataFrame
            mean, low, high, by the index of X. The parameters are taken as known: see `intervals` for their errors.
        """
        return _inference().predict_interval(self, X, level)

    def residuals(self, kind: str = "quantile") -> Floats:
        """Residuals of the rows that were fitted, (n,).

        Parameters
        ----------
        kind : {"quantile", "response"}
            Phi^-1(F(y | x)), standard normal if the model is right (Dunn and Smyth 1996), so that Phi of them is
            uniform; or y less its mean.
        """
        return _inference().residuals(self, kind)

    def sample(self, x: int | ArrayLike, seed: Drawing = 0) -> tuple[Floats, Floats]:
        """Draw y from the fit.

        Parameters
        ----------
        x : int or array_like, (m, d)
            Covariates; a number of rows to be drawn, with replacement, from those that were fitted.
        seed : int, numpy.random.SeedSequence or numpy.random.Generator

        Returns
        -------
        X : ndarray, (m, d)
        y : ndarray, (m,)
        """
        return _inference().sample(self, x, seed)

    # -- pictures ------------------------------------------------------------------------------------------------------
    def plot(self, kind: str = "fit", ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the fit with its data.

        Parameters
        ----------
        kind : {"fit", "gates", "tree", "residuals", "qq", "intervals"}
            Experts, mean and gates along a covariate (`hmoe_stats.plotting.fit_plot`); gates on the plane of two
            covariates (`gate_map`); the tree in words (`tree_plot`); quantile residuals against a covariate or the mean
            (`residual_plot`), or against normal quantiles (`qq_plot`); functions of x with intervals (`interval_plot`).
        ax : matplotlib Axes, optional
        **options
            Keywords of these functions.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ValueError
            If the fit does not know its data, or as the function that draws.
        """
        from ..plotting import of_fit

        return of_fit(self, kind, ax, **options)  # type: ignore[arg-type]

    # -- files ---------------------------------------------------------------------------------------------------------
    def save(self, path: File) -> None:
        """Write the fit to a JSON file, every number exactly, whole or not at all.

        The data are not in it; what inference takes of them is, so that tables, intervals and predictions of a loaded
        fit need none. Residuals and the bootstrap do: see `with_data`.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        _inference().save(self, path)

    @classmethod
    def load(cls, path: File) -> Self:
        """The fit in a file that `save` wrote.

        Raises
        ------
        ValueError
            If it holds no fit; OSError if it cannot be read.
        """
        return _inference().load(path)
