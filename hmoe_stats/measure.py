"""The mixing measure: the parameters of a two-level Gaussian hierarchical mixture of experts.

The model, for a response y in R and covariates x in R^d, is

    p_G(y | x) = sum_i g_i(x) sum_{j in group i} g_{j|i}(x) N(y | eta_j' x + tau_j, nu_j),

    g_i(x)     = softmax_i( s1(x, a_i) + b_i ),
    g_{j|i}(x) = softmax_j( s2(x, omega_j) + beta_j )  within group i,

with s(x, a) = a' x (softmax gating, letter S), s(x, a) = -||c (x - a)|| (Laplace gating, letter L; c is a scale for
each column, 1 unless it is stated) or s(x, a) = a' (x^2), squares entry by entry (quadratic monomial gating, letter Q).
`MixingMeasure` holds these parameters, maps them to and from unconstrained vectors, and writes them in a canonical
form.

Gates and experts may see some columns of x only. That is but a way to write a measure: the same density has slopes of 0
on the other columns, and Laplace gates a scale of 0 there (`MixingMeasure.wide`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .arguments import cut
from .families import GAUSSIAN
from .kinds import Columns, Floats, Frame, Shape
from .tree import OF_GATES, WIDE, Tree

ARRAYS = OF_GATES + GAUSSIAN.arrays


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MixingMeasure(Tree):
    """Parameters of a two-level Gaussian HMoE, validated and immutable: its arrays cannot be made writeable again.

    Experts ("leaves") are stored group after group. A flat mixture of experts is one group, ``k2=(K,)``, whose level-1
    gate is constant.

    Parameters
    ----------
    gating : str
        Gate type of level 1 and of level 2, two letters of S softmax, L Laplace, Q quadratic monomial: ``"SL"``.
    k2 : sequence of int, or int
        Number of experts in each group (an integer: of the only one); ``k1 = len(k2)`` groups, ``K = sum(k2)`` experts.
    a, b : array_like, (k1, d) and (k1,)
        Level-1 gate: slopes (softmax, quadratic) or centres (Laplace), and intercepts.
    omega, beta : array_like, (K, d) and (K,)
        Level-2 gate of each expert within its group.
    eta, tau : array_like, (K, d) and (K,)
        Expert mean ``eta' x + tau``.
    nu : array_like, (K,)
        Expert variance (not standard deviation), positive.
    laplace_scale : float or array_like, (d,), optional
        c >= 0 of the scores ``-||c (x - a)||`` of Laplace gates, per unit of each column of x. Only they have one.
    gate_columns, expert_columns : sequence of int, optional
        The columns of x that gates, and experts, see; all of them by default. ``a`` and ``omega`` then have a column
        for each of the former, ``eta`` one for each of the latter, and `laplace_scale` is 0 on what gates do not see.
    d : int, optional
        Number of columns of x, where neither gates nor experts see all of them; by default 1 + the largest that is
        seen.

    Where there is one column, ``a``, ``omega`` and ``eta`` may be given as one-dimensional arrays.

    Raises
    ------
    ValueError
        If a shape does not fit, an entry is not finite, a variance is not positive, the gating is unknown, columns are
        none of x, or a scale is stated without a Laplace gate.
    """

    gating: str
    k2: tuple[int, ...]
    a: Floats  # (k1, d)
    b: Floats  # (k1,)
    omega: Floats  # (K, d)
    beta: Floats  # (K,)
    eta: Floats  # (K, d)
    tau: Floats  # (K,)
    nu: Floats  # (K,)
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
            nu: ArrayLike,
            laplace_scale: ArrayLike = 1.0,
            gate_columns: Columns | None = None,
            expert_columns: Columns | None = None,
            d: int | None = None,
        ) -> None: ...
    family = GAUSSIAN

    def __post_init__(self):
        self.make()

    @property
    def per_expert(self) -> int:
        """Number of parameters of an expert and its gate."""
        return self.d_gate + self.d_expert + 3

    # -- vectors ----------------------------------------------------------------------------------------------------
    def parameter_names(self, names: Sequence[str] | None = None) -> list[str]:
        """Names of the entries of `to_vector`: ``"omega[2,0]"``, ``"tau[1]"``, ``"log_nu[0]"``; indices from 0.

        The second index of ``"omega[2,0]"`` is a column of x. With `names`, d different texts, covariates go by them:
        ``"omega[2,speed]"``; others are a `ValueError`.
        """
        called, out = self.called(names) or range(self.d), []
        for name, where in self.slices.items():
            if name in WIDE:
                ends = [called[c] for c in self.columns(name)]
                out += [f"{name}[{i},{end}]" for i in range(len(getattr(self, name))) for end in ends]
            else:
                out += [f"{name}[{i}]" for i in range(where.stop - where.start)]
        return out

    def kernel_args(self) -> tuple[Any, ...]:
        """The parameters as the functions of `hmoe_stats.kernels` take them: two gate codes, offsets, arrays.

        They are those of `wide`, and the last array is the Laplace scale.

        Raises
        ------
        ValueError
            As `check`: kernels read memory by these shapes.
        """
        self.check()
        G = self.wide()
        return *G.gate_args(), G.eta, G.tau, G.nu, G.laplace_scale

    # -- writing ----------------------------------------------------------------------------------------------------
    def to_frame(self, names: Sequence[str] | None = None) -> Frame:
        """One row an expert: group, expert (within its group), then the parameters; level-1 ones are repeated.

        With `names`, d different texts, covariates go by them: ``"eta[speed]"`` instead of ``"eta_0"`` (or ``"eta"``,
        where d = 1); others are a `ValueError`.
        """
        import pandas as pd

        group, called = self.group, self.called(names)
        ends = [f"_{c}" for c in range(self.d)] if called is None else [f"[{end}]" for end in called]
        ends = [""] if called is None and self.d == 1 else ends
        columns = {"group": group, "expert": np.arange(self.n_experts) - self.offsets[group]}
        for name in ARRAYS:
            array = getattr(self, name)
            array = array[group] if name in ("a", "b") else array
            if array.ndim == 1:
                columns[name] = array
            else:
                columns |= {name + ends[c]: values for c, values in zip(self.columns(name), array.T, strict=True)}
        return pd.DataFrame(columns)


def as_measure(name: str, value: object) -> MixingMeasure:
    """Return `value` if it is a `MixingMeasure`, or the measure of a fit, else raise a `ValueError` that names it."""
    return MixingMeasure.like(name, value)


def as_wide(name: str, value: object) -> MixingMeasure:
    """As `as_measure`, written with all columns (`MixingMeasure.wide`)."""
    return as_measure(name, value).wide()


def as_seeing_all(name: str, value: object, read: Callable[[str, object], Any] = as_measure) -> Any:
    """As `read`; a `ValueError`, too, where gates or experts do not see all columns."""
    measure = read(name, value)
    seen = {k: v for k, v in measure.view.items() if k.endswith("_columns")}
    if seen or not measure.laplace_scale.all():
        wanted = "have gates and experts that see all columns of x, as what is derived here takes the same x in both"
        got = ", ".join(f"{k} = {v}" for k, v in seen.items()) or f"laplace_scale = {measure.laplace_scale.tolist()}"
        raise ValueError(f"{name} must {wanted}; got {cut(got)} (see theory.interactions for what is left of it)")
    return measure


def vector_slices(k1, K, d_gate, d_expert=None):
    """Where each parameter sits in `MixingMeasure.to_vector`: name -> slice, in order; one d where both are one."""
    d_expert = d_gate if d_expert is None else d_expert
    sizes = {"a": k1 * d_gate, "b": k1, "omega": K * d_gate, "beta": K, "eta": K * d_expert, "tau": K, "log_nu": K}
    ends = np.cumsum(list(sizes.values()))
    return {name: slice(int(e - s), int(e)) for (name, s), e in zip(sizes.items(), ends, strict=True)}
