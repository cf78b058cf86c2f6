"""What a fit of categorical experts returns: the measure, how it was found, and how well it is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import block_diag

from .. import kernels
from ..arguments import check_number, shown
from ..categorical import CategoricalMeasure, Rows
from ..frames import Design, as_covariates
from ..kinds import File, Floats, Frame, Series
from ..names import default_x_names, given, visible
from ..tree import LINE
from .result import in_words
from .rows import moments

FORMAT = "hmoe_stats categorical fit 1"
ALIKE = 0.01  # probabilities of two experts that differ by no more on any row are those of one
FEW_ROWS = 5.0
SURE = 1e-6


@dataclass(frozen=True, eq=False)
class CategoricalResult:
    """Result of `fit_categorical`.

    Attributes
    ----------
    measure : CategoricalMeasure
        The fitted parameters, in the units of the data.
    log_likelihood, penalised_log_likelihood : float
        Of `measure`, natural logarithms; the second, less the ridge, is what was maximised.
    status : {"converged", "boundary", "max_iter"}
        "converged": the projected score over n is at most `tol`. "boundary": so it is, and parameters of
        `active_bounds` lie on the box, a thousand per standard deviation. "max_iter": it is not.
    message : str
        The status in words.
    score_norm : float
        Largest entry of the projected score over n, in standardised units; under Laplace gates at `smoothing`.
    n_iter : int
        Iterations of the best start.
    smoothing : float
        The eps of the smoothed Laplace distance sqrt(||x - a||^2 + eps^2), standardised, at which the score vanishes.
    ridge : tuple of float
        rho of gates and of experts.
    start_rows : list of dict
        The rows of `starts`.
    active_bounds : tuple of str
        Parameters that lie on the box: of logits of experts with the label of the class, the last one, too.
    warnings : tuple of str
        What should make a reader pause, in words.
    settings : dict
        tol, max_iter, and n_starts.
    n_agree, n_optima, gap, smallest_eigenvalue : int, int, float, float
        Of `fit_categorical_mle`: starts that came to within .01 of the best, different optima, the distance to the next
        lower one in log-likelihood, and the smallest eigenvalue of the observed information over n; else None.
    x_names, y_name : tuple of str, str
        Names of the columns of X and of y, as the data bring them.
    data : Rows or None
        X, codes of classes and weights of the rows that count; None of a fit that was loaded, see `with_data`.
    design : Design or None
        How covariates come from a frame, of a fit to one: its methods take frames then.
    """

    measure: CategoricalMeasure
    log_likelihood: float
    penalised_log_likelihood: float
    status: str
    message: str
    score_norm: float
    n_iter: int
    smoothing: float
    ridge: tuple
    start_rows: list
    active_bounds: tuple = ()
    warnings: tuple = ()
    settings: dict | None = None
    n_agree: int | None = None
    n_optima: int | None = None
    gap: float | None = None
    smallest_eigenvalue: float | None = None
    x_names: tuple = ()
    y_name: str = "y"
    data: Rows | None = None
    design: Design | None = None

    def __post_init__(self):
        if not self.x_names:
            object.__setattr__(self, "x_names", default_x_names(self.measure.d))

    @classmethod
    def made(cls, search: Any, problem: Any, final: Any, eps: float, runs: Sequence[Any]) -> Self:
        """The result of a search, whose best run was climbed to `final`."""
        z, rows = final.z, search.rows
        on_box = problem.free & ((z <= problem.lower) | (z >= problem.upper))
        if final.norm > search.tol:
            status = "max_iter"
            message = f"the projected score over n is {final.norm:.1e}, above tol = {search.tol:g}"
        elif on_box.any():
            status, message = "boundary", f"first-order conditions hold with {on_box.sum()} parameters on the box"
        else:
            status, message = "converged", "first-order conditions hold"
        value = problem.log_likelihood(z)
        measure = problem.to_measure(z)
        columns = search.view["gate_columns"], search.view["expert_columns"]
        return cls(
            measure=measure.narrow(*columns),
            log_likelihood=value,
            penalised_log_likelihood=value - problem.ridges(z)[0],
            status=status,
            message=message,
            score_norm=final.norm,
            n_iter=final.n_iter,
            smoothing=float(eps),
            ridge=search.ridge,
            start_rows=[
                {
                    "kind": run.kind,
                    "penalised_log_likelihood": run.value,
                    "status": run.status,
                    "n_iter": run.climb.n_iter,
                    "score_norm": run.climb.norm,
                }
                for run in runs
            ],
            active_bounds=tuple(_names_of(measure, on_box)),
            warnings=tuple(_warnings(measure, rows, on_box)),
            settings={"tol": search.tol, "max_iter": search.max_iter, "n_starts": search.n_starts},
            data=rows,
        )

    def named(self, x_names: tuple[str, ...], y_name: str) -> Self:
        """This result with the names of X and y (`names.of_data`)."""
        x_names = x_names if len(x_names) == self.measure.d else self.x_names
        return replace(self, x_names=tuple(x_names), y_name=y_name or self.y_name)

    # -- the search ---------------------------------------------------------------------------------------------------
    @cached_property
    def starts(self) -> Frame:
        """One row a start of the model itself, the best first: a `pandas.DataFrame`.

        Its columns are kind, penalised_log_likelihood (under Laplace gates at the first smoothing), status, n_iter and
        score_norm. status is "converged", "max_iter", "merged" (level with another start) or "behind".
        """
        import pandas as pd

        return pd.DataFrame(self.start_rows)

    @property
    def converged(self) -> bool:
        """True if the first-order conditions hold (status "converged" or "boundary"); never at an iteration cap."""
        return self.status in ("converged", "boundary")

    # -- classes given x ----------------------------------------------------------------------------------------------
    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels, in the order of the columns of `predict_proba`: a tuple."""
        return self.measure.classes

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probability of each class given x, (m, C), rows sum to 1."""
        return self.measure.predict_proba(as_covariates(self, X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest class given x, (m,) labels."""
        return self.measure.predict(as_covariates(self, X))

    def gate_weights(self, X: ArrayLike) -> Floats:
        """Prior probability of each expert given x: (m, K), rows sum to 1."""
        return self.measure.gate_weights(as_covariates(self, X))

    def responsibilities(self, X: ArrayLike, y: ArrayLike) -> Floats:
        """Posterior probability of each expert given x and the class y: (m, K), rows sum to 1."""
        return self.measure.responsibilities(as_covariates(self, X), y)

    def log_density(self, X: ArrayLike, y: ArrayLike) -> Floats:
        """log p(y | x) of each row, (m,)."""
        return self.measure.log_density(as_covariates(self, X), y)

    # -- how well parameters are known --------------------------------------------------------------------------------
    def with_data(self, X: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Self:
        """This fit with its data, which are not in the file of a loaded one.

        Raises
        ------
        ValueError
            If they are no data, or not those that were fitted.
        """
        rows = self.measure.rows(as_covariates(self, X), y, weights)
        args = self.measure.kernel_args()
        now = float(kernels.class_log_likelihood(rows.X, rows.codes, args, 0.0, rows.weights))
        if abs(now - self.log_likelihood) > 1e-9 * (abs(now) + len(rows.X)):
            instead = f"{now:.12g} instead of {self.log_likelihood:.12g}"
            raise ValueError(f"the data must be those of the fit; got others, with a log-likelihood of {instead}")
        return replace(self, data=rows)

    def known_data(self) -> Rows:
        """`data`, or a `ValueError` where there are none."""
        if self.data is None:
            raise ValueError("the fit must know its data: it was loaded from a file; see CategoricalResult.with_data")
        return self.data

    @property
    def nobs(self) -> float:
        """Number of rows; under weights their sum."""
        X, _, weights = self.known_data()
        return len(X) if weights is None else float(weights.sum())

    @cached_property
    def _free(self):
        """(p,) bool: entries of `measure.to_vector` that are parameters.

        Gates are relative to their last component, and slopes on constant columns and gates of one component are none.
        """
        G, (X, _, weights) = self.measure, self.known_data()
        varies = moments(X, weights)[2]
        free = {name: np.ones(getattr(G, name).shape, dtype=bool) for name in G.arrays}
        free["eta"][..., ~varies[G.columns("eta")]] = False
        seen = varies[G.columns("a")]
        for wide, flat, lo, hi, gate in G.gate_parts():
            free[wide][lo:hi, ~seen | (gate.scale_over(seen.size) == 0)] = False
            free[flat][hi - 1] = False
            if hi - lo == 1 or gate.translates:
                free[wide][hi - 1] = False
        return np.concatenate([free[name].ravel() for name in G.arrays])

    @property
    def df(self) -> int:
        """Number of free parameters: translations of gates, gates of one component and constant columns left out."""
        return int(self._free.sum())

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 df - 2 log-likelihood."""
        return 2.0 * (self.df - self.log_likelihood)

    @property
    def bic(self) -> float:
        """Schwarz's criterion, df log(nobs) - 2 log-likelihood."""
        return self.df * float(np.log(self.nobs)) - 2.0 * self.log_likelihood

    @property
    def _names(self):
        return np.array(self.measure.parameter_names(given(self.x_names)))[self._free]

    @property
    def params(self) -> Series:
        """Estimates of the free parameters: a Series, by name; gates relative to the last component of each."""
        import pandas as pd

        from ..inference.coordinates import relative

        return pd.Series(relative(self.measure).to_vector()[self._free], index=self._names)

    def information(self) -> Frame:
        """Expected information of the log-likelihood given the covariates, (df, df): a DataFrame by `params`.

        The sum over rows of sum_c (dp_c)(dp_c)' / p_c; the ridge is not in it.
        """
        import pandas as pd

        names = self._names
        return pd.DataFrame(self._information, index=names, columns=names)

    @cached_property
    def _information(self):
        X, _, weights = self.known_data()
        return self.measure.information(X, weights)[np.ix_(self._free, self._free)]

    @cached_property
    def _ridge(self):
        """Second derivative of the ridge in the free parameters."""
        G, (X, _, weights) = self.measure, self.known_data()
        of_gates, of_experts = self.ridge
        blocks = []
        starts = [[0, G.k1], G.offsets]
        for (wide, flat), gate, ends in zip((("a", "b"), ("omega", "beta")), G.gates, starts, strict=True):
            _, spread, varies = moments(gate.features(X[:, G.columns(wide)]), weights)
            unit = np.where(varies, 1.0 / spread**2 if gate.located else spread**2, 0.0) if spread.size else spread
            for lo, hi in zip(ends[:-1], ends[1:], strict=True):
                shared = 1.0 / (hi - lo) if gate.translates else 0.0
                part = np.eye(hi - lo) - shared if hi - lo > 1 else np.zeros((1, 1))
                blocks.append(of_gates * np.kron(part, np.diag(unit)))
            blocks.append(np.zeros((getattr(G, flat).size,) * 2))
        _, spread, _ = moments(X[:, G.columns("eta")], weights) if G.d_expert else (None, np.empty(0), None)
        C = G.n_classes
        classes = (np.eye(C) - 1.0 / C)[:-1, :-1]
        blocks += [of_experts * np.kron(classes, np.diag(spread**2))] * G.n_experts
        blocks.append(np.zeros((G.tau.size,) * 2))
        return block_diag(*blocks)[np.ix_(self._free, self._free)]

    @cached_property
    def _spectrum(self):
        """Eigenvalues, ascending, and vectors of the information per own standard errors; and these, (df,)."""
        own = np.diag(self._information)
        own = 1.0 / np.sqrt(np.where(own > 0, own, 1.0))
        return *np.linalg.eigh(own[:, None] * self._information * own), own

    def cov_params(self, identified: bool = False) -> Frame:
        """Covariance of the estimates: a DataFrame by `params`.

        The inverse of the expected information plus the second derivative of the ridge.

        Parameters
        ----------
        identified : bool
            Leave out the parameters that have no standard error, instead of an error.

        Raises
        ------
        ValueError
            If the fit is no maximum; or if some parameters are not identified, with the directions that are flat. The
            information, each parameter measured by its own standard error were all others known, has an eigenvalue
            below 1e-6 there: the likelihood does not see them, only the ridge does.
        """
        import pandas as pd

        from ..inference.curvature import SHARE, SINGULAR

        if not self.converged:
            raise ValueError(f"the fit must be a maximum; got one that is {self.status!r} ({self.message})")
        values, vectors, own = self._spectrum
        flat = values < SINGULAR
        scaled = own[:, None] * (self._information + self._ridge) * own
        good = (vectors[:, flat] ** 2).sum(axis=1) <= SHARE * SHARE
        if not identified and not good.all():
            words = [in_words(own * vectors[:, k], self._names) for k in np.flatnonzero(flat)[:3]]
            raise ValueError(
                f"{(~good).sum()} parameters are not identified, as the information is singular along {flat.sum()} "
                f"directions: {'; '.join(words)}"
            )
        basis = vectors[:, ~flat]
        inner = basis.T @ scaled @ basis
        size = 1.0 / np.sqrt(np.diag(inner))
        inner = size[:, None] * np.linalg.pinv(size[:, None] * inner * size, hermitian=True) * size
        cov = own[:, None] * (basis @ inner @ basis.T) * own
        names = self._names
        return pd.DataFrame(cov, index=names, columns=names).loc[good, good]

    @property
    def bse(self) -> Series:
        """Standard errors, the roots of the diagonal of `cov_params`: a Series; NaN where there is none."""
        import pandas as pd

        cov = self.cov_params(identified=True)
        return pd.Series(np.sqrt(np.diag(cov)), index=cov.index).reindex(self._names)

    def null_directions(self, below: float = 0.02) -> Frame:
        """Flat directions of the expected log-likelihood, in words, as `FitResult.null_directions`: a DataFrame.

        Parameters
        ----------
        below : float
            Directions with a smaller eigenvalue of the information, each parameter in units of its own standard error
            were all others known, are listed.
        """
        import pandas as pd

        below = check_number("below", below, "a number", lambda v: True)
        values, vectors, own = self._spectrum
        rows = [
            (value, in_words(own * vectors[:, k], self._names)) for k, value in enumerate(values) if value < below
        ]
        return pd.DataFrame(rows, columns=["information", "direction"]).astype({"information": float})

    # -- files --------------------------------------------------------------------------------------------------------
    def save(self, path: File) -> None:
        """Write the fit to a JSON file, which is written whole or not at all; the data are left out."""
        from ..inference.saving import write_whole

        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "data"}
        design = self.design and asdict(self.design)
        values |= {"measure": self.measure.to_dict(), "design": design, "format": FORMAT}
        write_whole(path, json.dumps(values, indent=1, allow_nan=False))

    @classmethod
    def load(cls, path: File) -> Self:
        """The fit of a file that `save` wrote, every number bit for bit; it does not know its data.

        Raises
        ------
        ValueError
            If the file is none of these.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
                raise ValueError("no such format")
            values["measure"] = CategoricalMeasure.from_dict(values["measure"])
            if values.get("design") is not None:  # files from before there were designs have none
                values["design"] = Design(**values["design"])
            for name in ("ridge", "active_bounds", "warnings", "x_names"):
                values[name] = tuple(values[name])
            return cls(**values)
        except (ValueError, TypeError, KeyError) as error:
            came = f"{shown(str(path))} ({error})"
            raise ValueError(f"path must lead to a fit saved by CategoricalResult.save; got {came}") from None

    def __repr__(self):
        lines = [
            f"CategoricalResult: {self.status} ({self.message})",
            f"  log-likelihood {self.log_likelihood:.6f}, penalised {self.penalised_log_likelihood:.6f}, "
            f"ridge {self.ridge[0]:g} of gates and {self.ridge[1]:g} of experts",
            f"  {self.n_iter} iterations, {len(self.start_rows)} starts",
        ]
        lines += [f"  warning: {text}" for text in self.warnings]
        table = self.measure.to_frame(given(self.x_names)).rename(columns=visible)
        return "\n".join([*lines, table.to_string(line_width=LINE, max_rows=40)])


def _names_of(G, on_box):
    """Names of the entries of a vector with all C classes, as the problem has them, that lie on the box."""
    names = G.parameter_names()[: G.slices["eta"].start]
    names += [f"eta[{i},{k},{c}]" for i in range(G.n_experts) for k in G.classes for c in range(G.d)]
    names += [f"tau[{i},{k}]" for i in range(G.n_experts) for k in G.classes]
    return [name for name, there in zip(names, on_box, strict=True) if there]


def _warnings(G, rows, on_box):
    """What should make a reader pause."""
    X, codes, weights = rows
    w = np.ones(len(X)) if weights is None else weights
    held = kernels.class_responsibilities(X, codes, G.kernel_args(), 0.0)[1] @ w
    P = G.expert_proba(X)
    for j in range(G.n_experts):
        if G.n_experts > 1 and held[j] < FEW_ROWS:
            yield f"expert {j} holds {held[j]:.1f} rows"
        for k in range(j):
            apart = np.abs(P[:, j] - P[:, k]).max()
            if apart < ALIKE:
                yield (
                    f"experts {k} and {j} give probabilities that differ by {apart:.1g} at most: they have collapsed "
                    f"into one, which the ridge favours"
                )
    counts = np.bincount(codes, weights=w, minlength=G.n_classes)
    for label, count in zip(G.classes, counts, strict=True):
        if count < FEW_ROWS:
            yield f"class {shown(label)} has {count:g} rows"
    sure = (w * (G.predict_proba(X)[np.arange(len(X)), codes] > 1.0 - SURE)).sum() / w.sum()
    if sure > 0.5:
        yield f"{100 * sure:.0f} % of the rows have a probability of 1 of their class: the classes are separated"
    if on_box.any():
        yield f"{on_box.sum()} parameters lie on the box: gates or classes are steps, a larger ridge would hold them"
