"""The measure of a mixture of categorical experts, and what it says of classes given covariates.

For y one of C classes and x in R^d,

    p_G(y = c | x) = sum_i g_i(x) sum_{j in group i} g_{j|i}(x) p_j(c | x),
    p_j(c | x)     = softmax_c( eta_jc' x + tau_jc ),   the last class with eta_jC = 0 and tau_jC = 0,

with the gates of `hmoe_stats.measure`. The score is that of Fisher's identity, responsibilities times the experts' own
scores. The information is the expected one given the covariates, the sum over rows of sum_c (dp_c)(dp_c)' / p_c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax

from . import kernels
from .arguments import (
    check_covariates,
    check_known_labels,
    check_labels,
    check_same_index,
    check_weights,
    classes_of,
    shown,
)
from .conditional import log_gates
from .families import CATEGORICAL
from .kinds import Columns, Floats, Frame, Integers, Shape
from .measure import as_measure
from .tree import WIDE, Tree, frozen

ROWS = 512  # of which scores for every class are held at once


class Rows(NamedTuple):
    """Data as the kernels take them, of the rows that count."""

    X: np.ndarray  # (n, d)
    codes: np.ndarray  # (n,) int64
    weights: np.ndarray | None


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class CategoricalMeasure(Tree):
    """Parameters of a two-level HMoE with categorical experts, validated and immutable as `MixingMeasure` is.

    Parameters
    ----------
    gating, k2, a, b, omega, beta, laplace_scale, gate_columns, expert_columns, d
        As in `MixingMeasure`.
    eta, tau : array_like, (K, C - 1, d) and (K, C - 1)
        Logits ``eta' x + tau`` of all classes but the last, relative to that of the last.
    classes : sequence of int, float, bool or str, optional
        The C labels, of one kind and different; by default 0, ..., C - 1.

    Raises
    ------
    ValueError
        If a shape does not fit, an entry is not finite, labels are none, the gating is unknown, columns are none of x,
        or a scale is stated without a Laplace gate.
    """

    gating: str
    k2: tuple[int, ...]
    a: Floats  # (k1, d)
    b: Floats  # (k1,)
    omega: Floats  # (K, d)
    beta: Floats  # (K,)
    eta: Floats  # (K, C - 1, d)
    tau: Floats  # (K, C - 1)
    classes: tuple[Any, ...] = None  # type: ignore[assignment]
    laplace_scale: Floats = 1.0  # type: ignore[assignment]  # (d,)
    gate_columns: tuple[int, ...] | None = None
    expert_columns: tuple[int, ...] | None = None
    d: int = None  # type: ignore[assignment]

    if TYPE_CHECKING:  # of what it is made

        def __init__(
            self,
            *,
            gating: str,
            k2: Shape,
            a: ArrayLike,
            b: ArrayLike,
            omega: ArrayLike,
            beta: ArrayLike,
            eta: ArrayLike,
            tau: ArrayLike,
            classes: Sequence[Any] | None = None,
            laplace_scale: ArrayLike = 1.0,
            gate_columns: Columns | None = None,
            expert_columns: Columns | None = None,
            d: int | None = None,
        ) -> None: ...

    family = CATEGORICAL
    shape_fields = (*Tree.shape_fields, "classes")

    def __post_init__(self):
        classes = self.classes
        if classes is None:
            shape = np.shape(self.tau) if isinstance(self.tau, np.ndarray | list | tuple) else ()
            if len(shape) not in (1, 2) or 0 in shape:
                wanted = "an array of shape (K, C - 1), where no classes are given, C >= 2"
                raise ValueError(f"tau must be {wanted}; got {shown(self.tau)}")
            classes = range(1 + (shape[1] if len(shape) == 2 else 1))
        object.__setattr__(self, "classes", classes_of("classes", classes))
        self.make()

    def _expert_shapes(self, d):
        return self.family.shapes(self.n_experts, d, self.n_classes)

    def _fields(self):
        return super()._fields() | {"classes": self.classes}

    # -- shape ------------------------------------------------------------------------------------------------------
    @property
    def n_classes(self) -> int:
        """Number of classes, C."""
        return len(self.classes)

    @property
    def labels(self) -> NDArray[Any]:
        """(C,) the classes as an array of their own kind."""
        return np.array(self.classes)

    @property
    def per_expert(self) -> int:
        """Number of parameters of an expert and its gate."""
        return self.d_gate + 1 + (self.n_classes - 1) * (self.d_expert + 1)

    def parameter_names(self, names: Sequence[str] | None = None) -> list[str]:
        """Names of the entries of `to_vector`: ``"omega[2,0]"``, ``"tau[1,no]"``, ``"eta[1,no,0]"``.

        The last index of slopes is a column of x; that before it, of experts, a class. With `names`, d different texts,
        covariates go by them; others are a `ValueError`.
        """
        called, out = self.called(names) or range(self.d), []
        for name in self.arrays:
            array = getattr(self, name)
            rows = [str(i) for i in range(len(array))]
            if name in self.family.arrays:
                rows = [f"{i},{label}" for i in rows for label in self.classes[:-1]]
            ends = [f",{called[c]}" for c in self.columns(name)] if name in WIDE else [""]
            out += [f"{name}[{row}{end}]" for row in rows for end in ends]
        return out

    # -- kernels ----------------------------------------------------------------------------------------------------
    def kernel_args(self) -> tuple[Any, ...]:
        """The parameters as the ``class_`` functions of `hmoe_stats.kernels` take them, with a row for the last class.

        Raises
        ------
        ValueError
            As `check`.
        """
        self.check()
        G = self.wide()
        K = G.n_experts
        eta = np.concatenate([G.eta, np.zeros((K, 1, G.d))], axis=1)
        tau = np.concatenate([G.tau, np.zeros((K, 1))], axis=1)
        return *G.gate_args(), frozen(eta), frozen(tau), G.laplace_scale

    def _index(self):
        """Where the entries of `to_vector` stand in the vectors of the kernels, which have all columns and classes."""
        G, out, start = self.wide(), [], 0
        for name in self.arrays:
            shape = list(getattr(G, name).shape)
            classed = name in self.family.arrays
            if classed:
                shape[1] += 1
            places = start + np.arange(np.prod(shape)).reshape(shape)
            start += places.size
            places = places[:, :-1] if classed else places
            out.append((places[..., self.columns(name)] if name in WIDE else places).ravel())
        return np.concatenate(out)

    def _gates(self, X):
        """(n, K) gate weights, by the kernel of Gaussian experts, which it does not look at."""
        self.check()
        G = self.wide()
        none = np.zeros(G.n_experts)
        lines = frozen(np.zeros((G.n_experts, G.d))), frozen(none), frozen(none + 1.0)
        return kernels.gate_weights(X, (*G.gate_args(), *lines, G.laplace_scale))

    def rows(self, X: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Rows:
        """`Rows` of X (n, d) and the labels y (n,)."""
        given = ("X", X), ("y", y)
        check_same_index(*given)
        X = check_covariates(X, self.d)
        codes = check_known_labels("y", y, self.classes, len(X))
        weights = check_weights(weights, len(X), *given)
        if weights is not None and not weights.all():
            counts = weights > 0
            X, codes, weights = np.ascontiguousarray(X[counts]), codes[counts], weights[counts]
        return Rows(X, codes, weights)

    # -- classes given x ----------------------------------------------------------------------------------------------
    def expert_proba(self, X: ArrayLike) -> Floats:
        """Probability of each class under each expert given x, (n, K, C)."""
        return softmax(self._logits(check_covariates(X, self.d)), axis=2)

    def _logits(self, X):
        G = self.wide()
        logits = np.einsum("nd,kcd->nkc", X, G.eta) + G.tau
        return np.concatenate([logits, np.zeros((*logits.shape[:2], 1))], axis=2)

    def log_parts(self, X: Floats, codes: Integers) -> tuple[Floats, Floats]:
        """Logarithms of the experts' gate weights, and of these times their probabilities of a class, (n, K) each.

        Parameters
        ----------
        X : ndarray, (n, d)
        codes : ndarray of int, (n,)
            The class of each row, by its place in `classes`.
        """
        G = self.wide()
        _, _, *of_gates = G.gate_args()
        weight = log_gates(G.gates, X, *of_gates)
        chosen = log_softmax(self._logits(X), axis=2)
        return weight, weight + np.take_along_axis(chosen, codes[:, None, None], axis=2)[:, :, 0]

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probability of each class given x, in the order of `classes`: (n, C), rows sum to 1.

        Parameters
        ----------
        X : array_like, (n, d); (n,) where d = 1
        """
        X = check_covariates(X, self.d)
        return np.einsum("nk,nkc->nc", self._gates(X), self.expert_proba(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest class given x, (n,) labels; of several the first."""
        return self.labels[self.predict_proba(X).argmax(axis=1)]

    def gate_weights(self, X: ArrayLike) -> Floats:
        """Prior probability of each expert given x, the product of its two gates: (n, K), rows sum to 1."""
        return self._gates(check_covariates(X, self.d))

    def responsibilities(self, X: ArrayLike, y: ArrayLike) -> Floats:
        """Posterior probability of each expert given x and the class y: (n, K), rows sum to 1."""
        X, codes, _ = self.rows(X, y)
        return np.ascontiguousarray(kernels.class_responsibilities(X, codes, self.kernel_args(), 0.0)[1].T)

    def log_density(self, X: ArrayLike, y: ArrayLike) -> Floats:
        """log p(y | x) of each row, (n,), natural logarithms.

        Parameters
        ----------
        X : array_like, (n, d); (n,) where d = 1
        y : array_like, (n,)
            Labels, each one of `classes`.

        Raises
        ------
        ValueError
            If X or y do not fit the measure or each other.
        """
        X, codes, _ = self.rows(X, y)
        return kernels.class_responsibilities(X, codes, self.kernel_args(), 0.0)[0]

    def log_likelihood(self, X: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> float:
        """Sum over rows of w log p(y | x), a float; parameters and errors as `log_density`, weights (n,) >= 0."""
        X, codes, weights = self.rows(X, y, weights)
        return float(kernels.class_log_likelihood(X, codes, self.kernel_args(), 0.0, weights))

    def score(self, X: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Floats:
        """Gradient of `log_likelihood` in `to_vector` order, (p,); 0 is taken at a Laplace centre that is a row."""
        X, codes, weights = self.rows(X, y, weights)
        return kernels.class_score(X, codes, self.kernel_args(), 0.0, weights)[1][self._index()]

    def information(self, X: ArrayLike, weights: ArrayLike | None = None) -> Floats:
        """Expected information given the covariates in `to_vector` order, (p, p): sum of w sum_c (dp_c)(dp_c)'/p_c.

        It takes p^2 n C operations. Under softmax gates it is singular along their translations.
        """
        X = check_covariates(X, self.d)
        weights = check_weights(weights, len(X))
        out = np.zeros((self.n_parameters, self.n_parameters))
        for first in range(0, len(X), ROWS):
            rows = slice(first, first + ROWS)
            w = 1.0 if weights is None else weights[rows]
            for p, S in self._row_scores(X[rows]):
                S *= np.sqrt(w * p)[:, None]
                out += S.T @ S
        return out

    def _row_scores(self, X):
        """Class by class its probability (n,) given x, and the score of each row (n, p) were that the class observed.

        As in the kernels, R - g in the gates of groups, r - R h in those of experts, r (1 - P) in logits of classes.
        """
        W, P, group = self._gates(X), self.expert_proba(X), self.group
        shares = lambda part: np.add.reduceat(part, self.offsets[:-1], axis=1)  # noqa: E731 - of groups
        of_gates = X[:, self.columns("a")]
        g = shares(W)
        h = np.divide(W, g[:, group], out=np.zeros_like(W), where=g[:, group] > 0)
        toward = [
            [gate.slope_derivative(of_gates, slope) for slope in slopes]
            for gate, slopes in zip(self.gates, (self.a, self.omega), strict=True)
        ]
        several = np.array(self.k2)[group] > 1
        for c in range(self.n_classes):
            joint = W * P[:, :, c]
            p = joint.sum(axis=1)
            r = joint / np.maximum(p, 1e-300)[:, None]
            R = shares(r)
            u, v = (R - g) * (self.k1 > 1), (r - R[:, group] * h) * several
            logits = -r[:, :, None] * P[:, :, :-1]
            if c < self.n_classes - 1:
                logits[:, :, c] += r
            slopes = [
                np.stack([s[:, None] * phi for s, phi in zip(scores.T, features, strict=True)], axis=1)
                for scores, features in zip((u, v), toward, strict=True)
            ]
            lines = logits[..., None] * X[:, None, None, self.columns("eta")]
            parts = slopes[0], u, slopes[1], v, lines, logits
            yield p, np.concatenate([part.reshape(len(X), -1) for part in parts], axis=1)

    # -- writing ----------------------------------------------------------------------------------------------------
    def to_frame(self, names: Sequence[str] | None = None) -> Frame:
        """One row for each expert and class but the last: group, expert, class, then the parameters; gates repeated.

        With `names`, d different texts, covariates go by them.
        """
        import pandas as pd

        called, C = self.called(names) or range(self.d), self.n_classes - 1
        leaf = np.repeat(np.arange(self.n_experts), C)
        group = self.group[leaf]
        columns: dict[str, Any] = {"group": group, "expert": leaf - self.offsets[group]}
        columns["class"] = [str(label) for label in self.classes[:-1]] * self.n_experts
        for name in self.arrays:
            array = getattr(self, name)
            if name in self.family.arrays:
                array = array.reshape(leaf.size, *array.shape[2:])
            else:
                array = array[group] if name in ("a", "b") else array[leaf]
            if name in WIDE:
                columns |= {f"{name}[{called[c]}]": array[:, k] for k, c in enumerate(self.columns(name))}
            else:
                columns[name] = array
        return pd.DataFrame(columns)


def as_categorical(name: str, value: object) -> CategoricalMeasure:
    """Return `value` if it is a `CategoricalMeasure`, or that of a fit, else raise a `ValueError` that names it."""
    return CategoricalMeasure.like(name, value)


def as_of_any_family(name, value):
    """Return `value` if it is a measure of either family, or the measure of a fit, else raise a `ValueError`."""
    categorical = isinstance(getattr(value, "measure", value), CategoricalMeasure)
    return (as_categorical if categorical else as_measure)(name, value)


def coded(y, n):
    """(classes, codes) of labels y (n,): the different ones in ascending order, a tuple, and the number of each."""
    classes, codes = check_labels("y", y, n)
    return tuple(classes), codes
