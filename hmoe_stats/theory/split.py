"""Observed information of a measure one of whose experts is written twice: why over-specified fits are singular.

Let H be G with one expert written as two copies of half its weight: the same density, one expert more. Moving both
copies together by t changes log p as moving the expert of G does. Moving them apart in a parameter v, by +t and -t,
changes it by t^2 / 2 times D_vv / p only, D_vv the second derivative of form "split" of `interactions`: the score along
such a move is 0 for every (x, y), so the Fisher information of H is singular there, and the observed one is

    apart_vw = -(1/n) sum_n D_vw(x_n, y_n) / p(y_n | x_n),

which has mean 0 at the truth and is of the order n^(-1/2), of either sign. Identities show in it: since D_tau,tau is
2 D_nu, and under softmax gates D_omega,tau is D_eta, these entries are multiples of the score, and 0 at the maximum
of the likelihood of G. Derived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import check_data, shown
from ..kinds import Frame, Measure
from ..likelihood import information, score
from ..measure import as_seeing_all, vector_slices
from .derivatives import Parameter, kink, list_derivatives, values
from .interactions import check_experts


@dataclass(frozen=True, eq=False, repr=False)
class SplitInformation:
    """Observed information per observation along moves of two copies of an expert; see `split_information`.

    Attributes
    ----------
    names : tuple of str
        The q parameters of the expert: omega, eta, tau, nu (coordinates ``"omega_0"``, ... where d > 1).
    together, apart : ndarray, (q, q)
        Minus the mean Hessian in steps that move both copies by +t, and one by +t and the other by -t.
    standard_error : ndarray, (q, q)
        Of `apart`, from the spread over the rows.
    left : ndarray, (q, q)
        Share, between 0 and 1, of the variance over the rows of each entry of `apart` that first derivatives in the
        expert's parameters do not explain: 0 where an identity holds, and the next order decides.
    eigenvalues : ndarray, (q,)
        Of `apart`, ascending, with every parameter in units of 1 / (root mean square of its score).
    kinks : tuple of str
        Entries without the part that sits at a Laplace centre inside the range of X, ``"omega omega"``.
    """

    names: tuple
    together: np.ndarray
    apart: np.ndarray
    standard_error: np.ndarray
    left: np.ndarray
    eigenvalues: np.ndarray
    kinks: tuple

    def to_frame(self) -> Frame:
        """DataFrame, one row a pair of parameters: first, second, together, apart, standard_error, left."""
        import pandas as pd

        i, j = np.triu_indices(len(self.names))
        columns = {"first": np.array(self.names)[i], "second": np.array(self.names)[j]}
        for name in ("together", "apart", "standard_error", "left"):
            columns[name] = getattr(self, name)[i, j]
        return pd.DataFrame(columns)

    def __repr__(self):
        table = self.to_frame().to_string(index=False, float_format=lambda v: f"{v:.3g}")
        eigenvalues = ", ".join(f"{v:.3g}" for v in self.eigenvalues)
        note = f"\nwithout the kink: {', '.join(self.kinks)}" if self.kinks else ""
        return f"{table}\neigenvalues apart: {eigenvalues}{note}"


def split_information(G: Measure, X: ArrayLike, y: ArrayLike, expert: Sequence[int] = (0, 0)) -> SplitInformation:
    """Observed information of `G` with one expert written twice, along the moves of the two copies.

    Parameters
    ----------
    G : MixingMeasure or FitResult
        The truth, or a fit of the exact size.
    X : array_like, (n, d) or (n,) for d = 1
    y : array_like, (n,) or (n, 1)
    expert : pair (group, expert)

    Returns
    -------
    SplitInformation
        Rayleigh quotients t' I t / n of `hmoe_stats.information` I along moves t together and apart (diagonals), and
        the bilinear forms of pairs of moves; nu stands for itself, not its logarithm.

    Raises
    ------
    ValueError
        If G is not a measure, the data do not fit it, or there is no such expert.

    Notes
    -----
    Moves apart are the first-order null directions of the over-specified model. At the truth their information is noise
    around 0: a negative quotient says that splitting the expert along it raises the likelihood at once. Where `left` is
    0, that gain is already had by moving single parameters of G, and at its maximum the quotient is 0: the likelihood
    is then flat along the move to fourth order (tau: the rate n^(-1/8)).
    """
    G = as_seeing_all("G", G)
    X, y = check_data(X, y, G.d)
    chosen = check_experts(G, expert, "expert")
    if len(chosen) != 1:
        raise ValueError(f"expert must be one pair (group, expert); got {shown(expert)}")
    (j,) = chosen
    moves = [Parameter(name, j, c) for name in ("omega", "eta") for c in range(G.d)]
    moves += [Parameter("tau", j), Parameter("nu", j)]
    together, apart = _blocks(G, X, y, j, moves)

    listed = list_derivatives(G, [j], ("beta", "omega", "eta", "tau", "nu"), 2, "split")
    rows = values(G, X, y, listed, "split")
    first = rows[:, [D.order == 1 for D in listed]]
    column_of = {tuple(sorted(D.parameters)): i for i, D in enumerate(listed)}
    names = tuple(f"{p.name}_{p.coordinate}" if G.d > 1 and p.name in ("omega", "eta") else p.name for p in moves)
    low, high = X.min(axis=0), X.max(axis=0)
    error, left, kinks = np.zeros_like(apart), np.zeros_like(apart), []
    for s, t in zip(*np.triu_indices(len(moves)), strict=True):
        i = column_of[tuple(sorted((moves[s], moves[t])))]
        second = rows[:, i]
        error[s, t] = error[t, s] = second.std() / np.sqrt(len(y))
        rest = second - first @ np.linalg.lstsq(first, second, rcond=1e-10)[0]
        total = second @ second
        left[s, t] = left[t, s] = rest @ rest / total if total > 0 else 0.0
        if kink(G, listed[i], low, high):
            kinks.append(f"{names[s]} {names[t]}")
    scale = np.array([np.sqrt((rows[:, column_of[p,]] ** 2).mean()) for p in moves])
    scale[scale == 0] = 1.0  # omega of a group of one
    eigenvalues = np.linalg.eigvalsh(apart / np.outer(scale, scale))
    return SplitInformation(names, together, apart, error, left, eigenvalues, tuple(kinks))


def _blocks(G, X, y, j, moves):
    """The information per observation along moves together and apart: (q, q) each."""
    i = int(G.group[j])
    twice = np.insert(np.arange(G.n_experts), j, j)
    inside = {name: getattr(G, name)[twice] for name in ("omega", "beta", "eta", "tau", "nu")}
    inside["beta"][[j, j + 1]] -= np.log(2.0)
    H = G.replace(k2=[m + (group == i) for group, m in enumerate(G.k2)], **inside)
    I, gradient = information(H, X, y) / len(y), score(H, X, y) / len(y)  # noqa: E741
    where = vector_slices(H.k1, H.n_experts, H.d)
    nu = np.arange(where["log_nu"].start, where["log_nu"].stop)
    I[nu, nu] += gradient[nu]  # from log nu to nu: d2/dnu2 = (d2/dlog_nu2 - d/dlog_nu) / nu^2
    I[nu] /= H.nu[:, None]
    I[:, nu] /= H.nu
    copies = np.zeros((2, H.n_parameters, len(moves)))
    for column, p in enumerate(moves):
        start = where["log_nu" if p.name == "nu" else p.name].start
        wide = H.d if p.name in ("omega", "eta") else 1
        for copy in (0, 1):
            copies[copy, start + (j + copy) * wide + p.coordinate, column] = 1.0
    return tuple(T.T @ I @ T for T in (copies[0] + copies[1], copies[0] - copies[1]))
