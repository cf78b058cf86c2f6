"""The scikit-learn face: `HMoERegressor` and `HMoEClassifier`, for pipelines and grid searches (extra ``sklearn``).

What they know is in `fit_result_`, a `FitResult` or `CategoricalResult`; here are scikit-learn's names and checks.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import entr
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from . import conditional, gates, likelihood
from .arguments import check_columns, check_gating, check_k2, check_known, check_weighted_data, check_weights
from .categorical import Rows
from .fitting import Penalty, fit_categorical, shapes
from .fitting import fit as fit_own
from .fitting.answers import Data
from .fitting.problem import free_parameters
from .fitting.rows import moments
from .kinds import Bounds, Columns, Floats, Integers, Shape

FEW_ROWS = ("shrink", "raise")
LEAST_ROWS = 3  # for a mean and a variance
# Of Gauss-Hermite rules. Entropies of two experts 0 to 16 standard deviations apart, of one weight: errors of 3e-8,
# 6e-5 and 5e-3 where the second has a standard deviation of 1, .3, .1 of the first's; with 24 nodes 3e-5, 5e-3, .15.
NODES = 96


class _Leaves(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """What both estimators share: the tree of gates, seeds, and the checks of rows."""

    def _seed(self):
        """An integer is the key itself, so that the fit is that of the functions; else one is drawn."""
        state = self.random_state
        return state if isinstance(state, int | np.integer) else check_random_state(state).randint(2**31 - 1)

    def _rows(self, X):
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False)

    def _columns(self, data):
        """The columns that gates and experts see, by number."""
        called = tuple(getattr(self, "feature_names_in_", ()))
        columns = {name: getattr(self, name) for name in ("gate_columns", "expert_columns")}
        d = data.X.shape[1]
        return {n: c if c is None else check_columns(n, c, d, called) for n, c in columns.items()}

    def _scale(self, gating):
        """The scale, where there is a gate that has one."""
        return self.laplace_scale if gates.has_scale(gating) else None

    def _told(self, fit):
        """Keep the fit, with the names of the columns, and warn where it is no maximum."""
        if hasattr(self, "feature_names_in_"):
            fit = fit.named(tuple(self.feature_names_in_.tolist()), "")
        self.fit_result_, self.n_iter_ = fit, max(fit.n_iter, 1)
        if not fit.converged:
            warnings.warn(f"the fit is {fit.status!r}: {fit.message}", ConvergenceWarning, stacklevel=3)
        return self

    # -- the tree -----------------------------------------------------------------------------------------------------
    def transform(self, X: ArrayLike) -> Floats:
        """Probability of each expert given x, the product of its two gates: (m, K), rows sum to 1."""
        return self._gates(self._rows(X))

    def apply(self, X: ArrayLike, y: ArrayLike | None = None) -> Integers:
        """The most probable leaf, (m,) int: the number of an expert, by the gates; given y by its posterior."""
        if y is None:
            return self.transform(X).argmax(axis=1)
        return self._posterior(self._rows(X), y).argmax(axis=1)

    def decision_path(self, X: ArrayLike, y: ArrayLike | None = None) -> csr_array:
        """The nodes from the root to the leaf that `apply` names: a sparse indicator matrix (m, 1 + k1 + K).

        Columns are the root, the groups and the experts. Gates are soft: no row takes one path only, and the
        probabilities of all leaves are those of `transform`.
        """
        leaf, G = self.apply(X, y), self.fit_result_.measure
        nodes = np.column_stack([np.zeros_like(leaf), 1 + G.group[leaf], 1 + G.k1 + leaf])
        ends = 3 * np.arange(len(leaf) + 1)
        return csr_array(
            (np.ones(nodes.size, dtype=int), nodes.ravel(), ends), shape=(len(leaf), 1 + G.k1 + G.n_experts)
        )

    @property
    def _n_features_out(self):
        return self.fit_result_.measure.n_experts


class HMoERegressor(_Leaves, RegressorMixin, BaseEstimator):
    """A two-level Gaussian mixture of experts as a regressor of scikit-learn.

    It is fitted by `hmoe_stats.fit`. Predictions are means of y given x; densities, quantiles and the leaves of the
    tree have methods of their own, and `transform` gives the gate's probabilities of the experts.

    Parameters
    ----------
    gating : str
        Gates of level 1 and 2, two letters of S softmax, L Laplace, Q quadratic.
    k2 : tuple of int, or int
        Number of experts in each group; an integer: of the only one.
    penalty, n_starts, effort, bounds
        As in `hmoe_stats.fit`, but that effort is "quick": searches over grids make many fits.
    laplace_scale, gate_columns, expert_columns
        As in `hmoe_stats.fit`; the scale does nothing without a Laplace gate, so that grids may cross it with gatings.
    few_rows : {"shrink", "raise"}
        What to do where the model has as many free parameters as there are different rows, or more: fit the largest
        model on the way down to a single expert that has fewer, or, if none has, a normal law of y without covariates,
        each with a warning that says so; or raise a `ValueError`.
    options : dict, optional
        Further keywords of the fit.
    random_state : int, RandomState or None
        Key of the starts.

    Attributes
    ----------
    fit_result_ : FitResult
        The fit with all that can be asked of it: `summary`, `conf_int`, `bootstrap`, `save` and more.
    k2_ : tuple of int
        The shape that was fitted.
    n_iter_ : int
    n_features_in_, feature_names_in_
        As in every estimator.

    Notes
    -----
    `check_estimator` passes without exceptions. Tags are those of a regressor and a transformer: y is needed, of one
    column; X is dense, finite and numeric. Equal rows are fitted as one row of their joint weight, so that weights that
    are integers and rows written as often are one fit, to the last bit.

    A fit that is no maximum ("max_iter", "degenerate", "interrupted") raises a `ConvergenceWarning` and predicts
    nevertheless.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> search = GridSearchCV(HMoERegressor(random_state=0), {"gating": ["SS", "LL"], "k2": [(2,), (2, 2)]})
    """

    def __init__(
        self,
        gating: str = "LL",
        k2: Shape = (2, 2),
        *,
        penalty: str | Penalty | dict[str, float] | None = "default",
        n_starts: int | None = None,
        effort: str = "quick",
        bounds: Bounds | None = None,
        laplace_scale: ArrayLike | None = None,
        gate_columns: Columns | None = None,
        expert_columns: Columns | None = None,
        few_rows: str = "shrink",
        options: dict[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.gating = gating
        self.k2 = k2
        self.penalty = penalty
        self.n_starts = n_starts
        self.effort = effort
        self.bounds = bounds
        self.laplace_scale = laplace_scale
        self.gate_columns = gate_columns
        self.expert_columns = expert_columns
        self.few_rows = few_rows
        self.options = options
        self.random_state = random_state

    # -- fitting ------------------------------------------------------------------------------------------------------
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like, (n, d)
        y : array_like, (n,)
        sample_weight : array_like, (n,), optional
            How many rows each row counts as, w >= 0.

        Returns
        -------
        HMoERegressor
            Itself.

        Raises
        ------
        ValueError
            If data or parameters do not fit, or rows are fewer than `few_rows` allows.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=LEAST_ROWS)
        data = Data(X, np.asarray(y, dtype=np.float64), check_weights(sample_weight, len(X)))
        gating, fitted = check_gating(self.gating), joined(data)
        columns = self._columns(data)
        self.k2_, blank = self._affordable(check_k2(self.k2), fitted, *columns.values())
        if blank:
            data = fitted = fitted._replace(X=np.zeros_like(fitted.X))
        options = {name: getattr(self, name) for name in ("penalty", "n_starts", "effort", "bounds")} | columns
        options["laplace_scale"] = self._scale(gating)
        options |= {"seed": self._seed(), "weights": fitted.weights} | (self.options or {})
        fit = fit_own(fitted.X, fitted.y, gating, self.k2_, **options)
        return self._told(replace(fit, data=Data(*check_weighted_data(*data))))  # in the order of the caller

    def _gates(self, X):
        return likelihood.gate_weights(self.fit_result_, X)

    def _posterior(self, X, y):
        return likelihood.responsibilities(self.fit_result_, X, y)

    def _affordable(self, k2, data, gate_columns, expert_columns):
        """The shape that rows are enough for, and whether not even for a single expert's line."""
        few_rows = check_known("few_rows", self.few_rows, FEW_ROWS)
        varies = moments(data.X, data.weights)[2]
        seen = (
            list(range(varies.size)) if columns is None else list(columns) for columns in (gate_columns, expert_columns)
        )
        d_gate, d = (int(varies[columns].sum()) for columns in seen)
        rows = len(data.y) if data.weights is None else min(len(data.y), data.weights.sum())
        shape = k2
        while shape is not None and free_parameters(shape, d, d_gate) >= rows:
            shape = shapes.one_less(shape)
        if shape == k2:
            return k2, False
        why = f"k2 = {k2} has {free_parameters(k2, d, d_gate)} free parameters, and there are {rows:g} different rows"
        if few_rows == "raise":
            raise ValueError(f"k2 must have fewer free parameters than there are different rows: {why}")
        instead = f"k2 = {shape}" if shape else "one normal law without covariates"
        warnings.warn(f"{why}: fitted is {instead}; few_rows='raise' refuses", UserWarning, stacklevel=3)
        return shape or (1,), shape is None

    # -- y given x ----------------------------------------------------------------------------------------------------
    def predict(self, X: ArrayLike, return_std: bool = False) -> Floats | tuple[Floats, Floats]:
        """Mean of y given x, (m,); with `return_std` also its standard deviation given x, (m,)."""
        X = self._rows(X)
        mean = self.fit_result_.predict(X)
        if not return_std:
            return mean
        W, mu, sd = conditional.parts(self.fit_result_.measure, X)
        return mean, np.sqrt((W * (sd**2 + (mu - mean[:, None]) ** 2)).sum(axis=1))

    def predict_quantile(self, X: ArrayLike, q: float | Sequence[float] = 0.5) -> Floats:
        """Quantiles of y given x: (m,), or (m, k) for a sequence of k levels q between 0 and 1."""
        return self.fit_result_.predict_quantile(self._rows(X), q)

    def score_samples(self, X: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Log-density of y given x, row by row: (m,), in nats.

        Without y its expectation under the fit, E log p(Y | x), minus the entropy of y given x: what is to be expected
        of new rows if the model is right. By Gauss-Hermite rules, right to 1e-4 where standard deviations of experts
        differ by a factor of 3, to 5e-3 where by 10.
        """
        X, G = self._rows(X), self.fit_result_.measure
        if y is not None:
            return likelihood.log_density(G, X, y)
        W, mu, sd = conditional.parts(G, X)
        nodes, shares = np.polynomial.hermite_e.hermegauss(NODES)
        expected = np.zeros(len(X))
        for node, share in zip(nodes, shares / shares.sum(), strict=True):
            for w, at in zip(W.T, (mu + node * sd).T, strict=True):
                expected += share * w * likelihood.log_density(G, X, at)
        return expected


class HMoEClassifier(_Leaves, ClassifierMixin, BaseEstimator):
    """A two-level mixture of multinomial logistic regressions as a classifier of scikit-learn.

    It is fitted by `hmoe_stats.fit_categorical`. The leaves of the tree have methods of their own, as in
    `HMoERegressor`.

    Parameters
    ----------
    gating : str
        Gates of level 1 and 2, two letters of S softmax, L Laplace, Q quadratic.
    k2 : tuple of int, or int
        Number of experts in each group; an integer: of the only one.
    ridge, n_starts
        As in `hmoe_stats.fit_categorical`.
    laplace_scale, gate_columns, expert_columns
        As there; the scale does nothing without a Laplace gate, so that grids may cross it with gatings.
    options : dict, optional
        Further keywords of the fit.
    random_state : int, RandomState or None
        Key of the starts.

    Attributes
    ----------
    classes_ : ndarray, (C,)
        The labels of rows that count, sorted.
    fit_result_ : CategoricalResult
        The fit with all that can be asked of it.
    n_iter_ : int
    n_features_in_, feature_names_in_
        As in every estimator.

    Notes
    -----
    `check_estimator` passes without exceptions. Equal rows are fitted as one row of their joint weight. A fit that is
    no maximum ("max_iter") raises a `ConvergenceWarning` and predicts nevertheless.
    """

    def __init__(
        self,
        gating: str = "LL",
        k2: Shape = (2, 2),
        *,
        ridge: str | float | dict[str, float] = "default",
        n_starts: int | None = None,
        laplace_scale: ArrayLike | None = None,
        gate_columns: Columns | None = None,
        expert_columns: Columns | None = None,
        options: dict[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.gating = gating
        self.k2 = k2
        self.ridge = ridge
        self.n_starts = n_starts
        self.laplace_scale = laplace_scale
        self.gate_columns = gate_columns
        self.expert_columns = expert_columns
        self.options = options
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array_like, (n, d)
        y : array_like, (n,)
            Labels of two classes at least.
        sample_weight : array_like, (n,), optional
            How many rows each row counts as, w >= 0.

        Returns
        -------
        HMoEClassifier
            Itself.

        Raises
        ------
        ValueError
            If data or parameters do not fit, or there is one class only.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        weights = check_weights(sample_weight, len(X))
        labels, codes = np.unique(y, return_inverse=True)
        data = Data(X, codes.reshape(-1).astype(np.float64), weights)
        if weights is not None:
            data = Data(X[weights > 0], data.y[weights > 0], weights[weights > 0])
        kept = np.unique(data.y.astype(int))
        self.classes_, gating = labels[kept], check_gating(self.gating)
        if len(kept) < 2:
            raise ValueError(f"y must have at least two classes; got one class only, {self.classes_[0]!r}")
        fitted, columns = joined(data), self._columns(data)
        options = {"ridge": self.ridge, "n_starts": self.n_starts, "seed": self._seed(), "weights": fitted.weights}
        options |= {"laplace_scale": self._scale(gating)} | columns | (self.options or {})
        fit = fit_categorical(fitted.X, labels[fitted.y.astype(int)], gating, self.k2, **options)
        codes = np.searchsorted(kept, data.y.astype(int))
        return self._told(replace(fit, data=Rows(np.ascontiguousarray(data.X), codes, data.weights)))

    def _gates(self, X):
        return self.fit_result_.gate_weights(X)

    def _posterior(self, X, y):
        return self.fit_result_.responsibilities(X, y)

    # -- classes given x ----------------------------------------------------------------------------------------------
    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probability of each class given x, in the order of `classes_`: (m, C)."""
        X = self._rows(X)
        return self.fit_result_.predict_proba(X)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest class given x, (m,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_log_proba(self, X: ArrayLike) -> Floats:
        """Logarithms of `predict_proba`, (m, C)."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def score_samples(self, X: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Log-probability of the class y given x, row by row: (m,), in nats.

        Without y its expectation under the fit, minus the entropy of the classes given x.
        """
        X = self._rows(X)
        if y is not None:
            return self.fit_result_.log_density(X, y)
        return -entr(self.fit_result_.predict_proba(X)).sum(axis=1)


def joined(data: Data) -> Data:
    """`Data` with equal rows as one, of their joint weight, in the order of their entries.

    Data of different rows that all count as one are left as they are.
    """
    X, y, weights = data
    table = np.column_stack([X, y])
    order = np.lexsort(table.T[::-1])
    table = table[order]
    first = np.flatnonzero(np.append(True, (table[1:] != table[:-1]).any(axis=1)))
    if first.size == len(y) and (weights is None or (weights == 1.0).all()):
        return Data(X, y, None)
    weights = np.add.reduceat(np.ones(len(y)) if weights is None else weights[order], first)
    kept = first[weights > 0]
    return Data(np.ascontiguousarray(table[kept, :-1]), table[kept, -1], weights[weights > 0])
