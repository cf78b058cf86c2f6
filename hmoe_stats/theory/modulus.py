"""Deterministic rate certificates: how near the truth a measure can be whose parameters are t away from it.

The modulus of a discrepancy D at a truth G0 is

    w(t) = min { h(G, G0) : G of the fitted shape, D(G, G0) = t },

h the chi or Hellinger distance of the joint laws. If w(t) ~ t^kappa as t falls, then h >= c D^kappa near G0, kappa is
the smallest such exponent, and the error D of the maximum-likelihood estimator falls like n^(-1 / (2 kappa)).
`modulus` bounds w from above by quadrature and least squares, without data and noise: the measures that it finds are a
path towards G0, and the slope of their distances is its exponent.

*What a path proves.* kappa >= slope, as far as a slope over finitely many t can: it certifies from below. That kappa is
no larger is not to be seen from measures that were found, as others may be nearer; it rests on a derivation (`rates`).
Minima that were missed at small t make the slope too small. kappa >= 1 needs no path: w(t) <= C t, by a step of one
parameter. A slope clearly below 1 therefore is an error of the computation, and no exponent.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import identify
from ..arguments import as_floats, check_k2, check_known, check_seed, check_whole, shown
from ..gates import GATES
from ..kinds import Floats, Frame, Law, Measure, Shape
from ..measure import as_seeing_all
from ..sampling import as_law
from .exponents import rates
from .nearest import Nearest, cover
from .sweep import Sweep

DISCREPANCIES = ("tau", "nu", "omega", "eta", "bary_tau", "bary_eta", "bary_omega", "a")
_SPREADS = DISCREPANCIES[:4]
DISTANCES = ("chi", "hellinger")
FLOOR = 3e-13  # distances below it are rounding
_SLOPES_AGREE = 0.06  # local slopes of a clean range differ by no more; one of them is known to half of it
_FEWEST = 4  # distances in a clean range
_LONELY = 0.25  # share of minima with one origin above which starts disagree
_FIRST = {"tau": 0.8, "nu": 0.3, "omega": 0.3, "eta": 0.3, "a": 0.3}  # the largest t in units; 0.1 for barycentres
_POINTS, _SMALLEST = 14, 1e-6  # of t, at most, and in units
_FALL = 16.0  # factor by which the distance is to fall from one t to the next
_VANISHES = 8.0  # a local slope of so many m is a fall to zero


@dataclass(frozen=True, eq=False, repr=False)
class Modulus:
    """A modulus and the exponent read off it; made by `modulus`.

    Attributes
    ----------
    gating : str
        Gating of truth and fitted measures.
    k2 : tuple
        Fitted shape.
    discrepancy : str
    cell : tuple
        (group, expert) of the truth whose cell is looked at.
    m : int
        Fitted experts in that cell.
    metric : {"chi", "hellinger"}
    t : ndarray, (T,)
        Values of the discrepancy, falling.
    distance : ndarray, (T,)
        The smallest distance found at each.
    agreement : ndarray of int, (T,)
        How many starts led to it, to 5 percent.
    measures : tuple of MixingMeasure
        The minimisers.
    exponent : float
        Slope of log distance on log t over the smaller half of the clean range, 1 if it is less by up to 0.03: kappa is
        no smaller (and need not be that small). NaN unless the status is "clean".
    exponent_error : float
        The largest of: standard error of that slope, distance from the slope over the whole range, and from 1 if it is
        below that.
    clean : tuple of float
        (t_low, t_high): the range, from the smallest t up, over which local slopes agree to 0.06; NaN if there is none.
    derived : float
        The exponent that `rates` derives, inf for unidentified parameters; NaN where it derives none. That kappa is no
        larger than `exponent`, the path does not show.
    status : {"clean", "kinked", "disagreement", "vacuous"}
        "vacuous": the distance vanishes at some t, as the truth itself can be written with that discrepancy: the
        parameter is not identified. "kinked": the distance does not fall with t, local slopes do not settle, or settle
        below 1, which no kappa is: minima were missed, or t is not small enough. "disagreement": more than a quarter of
        the minima in the clean range were reached from one start only.
    message : str
        The status in words.
    seconds : float
        Time taken.
    """

    gating: str
    k2: tuple
    discrepancy: str
    cell: tuple
    m: int
    metric: str
    t: np.ndarray
    distance: np.ndarray
    agreement: np.ndarray
    measures: tuple
    exponent: float
    exponent_error: float
    clean: tuple
    derived: float
    status: str
    message: str
    seconds: float = field(compare=False)

    @property
    def slopes(self) -> Floats:
        """(T - 1,) slope of log distance on log t between neighbours."""
        return np.diff(np.log(self.distance)) / np.diff(np.log(self.t))

    def __repr__(self):
        head = f"Modulus of {self.discrepancy}, {self.gating}, cell {self.cell}, k2={self.k2}, m={self.m}"
        lines = [f"{head}: {self.status} ({self.message})"]
        if self.status == "clean":
            found, (low, high) = f"{self.exponent:.3f} +- {self.exponent_error:.3f}", self.clean
            lines.append(f"  exponent {found} for t from {low:.2g} to {high:.2g}")
            lines.append("  kappa is no smaller, by this path; that it is no larger rests on a derivation")
        if not np.isnan(self.derived):
            lines.append(f"  derived {self.derived:.4g}")
        lines.append(f"  {'t':>10} {self.metric:>10} {'slope':>7} {'starts':>7}")
        local = ["", *(f"{s:.3f}" for s in self.slopes)] if self.status != "vacuous" else [""] * len(self.t)
        for t, h, s, n in zip(self.t, self.distance, local, self.agreement, strict=True):
            lines.append(f"  {t:10.3e} {h:10.3e} {s:>7} {n:7d}")
        return "\n".join(lines)


def modulus(
    G0: Measure,
    k2: Shape,
    discrepancy: str = "tau",
    cell: Sequence[int] = (0, 0),
    x: Law | None = None,
    m: int = 2,
    *,
    distance: str = "chi",
    t: ArrayLike | None = None,
    n_starts: int | None = None,
    seed: int = 0,
) -> Modulus:
    """Modulus of continuity of a discrepancy at a truth, and a lower bound of its exponent kappa.

    Parameters
    ----------
    G0 : MixingMeasure or FitResult
        The truth, d = 1.
    k2 : sequence of int
        Fitted experts in each group. Fitted group i stands for true group i; further groups double the group of `cell`.
    discrepancy : {"tau", "nu", "omega", "eta", "bary_tau", "bary_eta", "bary_omega", "a"}
        With c_i the gate weights at the mean of x of the m experts in the cell, made to sum to one, and * the truth,

        - tau, nu, omega, eta: spread of the parameter, ``(sum_i c_i (u_i - sum_j c_j u_j)^2)^(1/2)``;
        - bary_tau, bary_eta, bary_omega: shift of its barycentre, ``|sum_i c_i u_i - u*|``;
        - a: spread over the fitted groups that share the true group, with their weights; the shift where there is one.

        Gates are compared with one component outside the cell that is held at the truth.
    cell : (int, int)
        True group, and true expert in it.
    x : Uniform, Normal or (n, 1) array
        Law of the covariates; required.
    m : int
        Fitted experts in the cell, at least 2 for a spread. Others of its group go to the next true expert, others
        of other groups to their first one.
    distance : {"chi", "hellinger"}
        ``chi`` is the root of `chi_square`; near the truth it is equivalent to `hellinger`, and the better behaved.
    t : sequence of float, optional
        Discrepancies, at least 5; by default from large ones down to where the distance meets the rounding floor 3e-13,
        or the discrepancy 1e-6 units. The smallest is not reported, as it is approached from one side only.
    n_starts : int, optional
        Fresh starts at each t (four times as many at the first); by default 2 (m - 1).
    seed : int
        Key of the fresh starts.

    Returns
    -------
    Modulus

    Raises
    ------
    ValueError
        If an argument is not as above, `k2` does not cover `G0`, the cell cannot have m experts, or the discrepancy
        belongs to a gate that is constant.

    Notes
    -----
    Without a box a distance may vanish for want of one: weights in a cell differ by a factor of at most exp(2.6),
    experts stay nearer to their true one than to others, variances below 1.7 times the true ones, and Laplace centres
    within the support. Barycentres of eta and tau are as derived where x has mean zero. Source: derived.
    """
    began = time.perf_counter()
    G0, k2, cell, m, law = _checked(G0, k2, discrepancy, cell, x, m, distance)
    n_starts = 2 * max(m - 1, 1) if n_starts is None else check_whole("n_starts", n_starts, 0)
    seed = check_seed(seed)
    if t is not None:
        t = np.sort(as_floats("t", t, (-1,)))[::-1]
        if t.size < 5 or t[-1] <= 0 or (np.diff(t) == 0).any():
            came = f"{np.unique(t[t > 0]).size} among {t.size} entries"
            raise ValueError(f"t must hold at least 5 different positive numbers, and nothing else; got {came}")
    problem = Nearest(G0, k2, discrepancy, cell, law, m, distance)
    sweep = Sweep(problem, np.random.default_rng(np.random.SeedSequence(seed)))
    vanished = _descend(sweep, n_starts, t, m)
    size = len(sweep.t)
    if not vanished:
        sweep.polish(6 * n_starts)
        size = _reliable(sweep.distance, sweep.agreement)
    grid, found, agreement = np.array(sweep.t)[:size], sweep.distance[:size], sweep.agreement[:size]
    return Modulus(  # type: ignore[call-arg] # which counts what is unpacked as without end
        G0.gating, k2, discrepancy, cell, m, distance, grid, found, agreement,
        tuple(problem.measure(z) for z in sweep.z[:size]),
        *_read(grid, found, agreement, vanished, derived=_derived(problem, cell)),
        time.perf_counter() - began,
    )  # fmt: skip


def _checked(G0, k2, discrepancy, cell, x, m, distance):
    G0 = as_seeing_all("G0", G0)
    if G0.d != 1:
        raise ValueError(f"G0 must have one covariate (d = 1); got d = {G0.d}")
    check_known("discrepancy", discrepancy, DISCREPANCIES)
    check_known("distance", distance, DISTANCES)
    k2, law = check_k2(k2), as_law(x)
    law.support(1)
    cell = _check_cell(G0, cell)
    m = check_whole("m", m)
    if m < 2 and discrepancy in _SPREADS:
        raise ValueError(f"m must be at least 2 for the spread of {discrepancy}; got {m}")
    if _constant(discrepancy, G0, k2, cell):
        why = f"with k2={shown(k2)} the gate of cell {cell} is constant"
        raise ValueError(f"discrepancy must not be {discrepancy!r}: {why}")
    return G0, k2, cell, m, law


def _constant(discrepancy, G0, k2, cell):
    """Whether the discrepancy is one of a gate with a single component."""
    group, _ = cover(G0, k2, cell)
    if discrepancy == "a":
        return len(k2) == 1
    return discrepancy in ("omega", "bary_omega") and np.array(k2)[group == cell[0]].max() == 1


def _check_cell(G0, cell):
    try:
        g, e = (check_whole("cell", i, 0) for i in cell)
        fits = g < G0.k1 and e < G0.k2[g]
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"cell must be a pair (group, expert) of G0, whose k2 is {shown(G0.k2)}; got {shown(cell)}")
    return g, e


def _descend(sweep, n_starts, grid, m):
    """Minimise at falling t until the floor or the end of the grid; True if the distance vanishes there."""
    problem = sweep.problem
    now = sweep.unit * _FIRST.get(problem.discrepancy, 0.1) if grid is None else grid[0]
    for step in range(_POINTS if grid is None else len(grid)):
        sweep.add(float(now), n_starts if step else 4 * n_starts)
        h, slope = sweep.distance, 2.0
        if step:
            slope = np.log(max(h[-1], 1e-300) / h[-2]) / np.log(sweep.t[-1] / sweep.t[-2])
        if h[-1] < FLOOR:
            return step == 0 or slope > _VANISHES * m
        if grid is not None:
            now = grid[min(step + 1, len(grid) - 1)]
        else:
            now *= np.clip(_FALL ** (-1.0 / max(slope, 0.1)), 0.25, 0.85) if step else 0.75
            if now < _SMALLEST * sweep.unit:
                break
    return False


def _reliable(distance, agreement):
    """How many t to report: down to the floor, less the smallest, which has no neighbour below to confirm it, and less
    one more if a single start led there."""
    below = np.flatnonzero(distance < FLOOR)
    size = min(below[0] if below.size else distance.size, distance.size - 1)
    return size - int(size > _FEWEST and agreement[size - 1] < 2)


def _read(t, distance, agreement, vanished, derived):
    """exponent, exponent_error, clean, derived, status, message."""
    none = (np.nan, np.nan, (np.nan, np.nan), derived)
    if vanished:
        return *none, "vacuous", f"the truth itself can be written with a discrepancy of {t[-1]:.3g}"
    if len(t) < _FEWEST:
        return *none, "kinked", f"only {len(t)} distances above the floor of {FLOOR:g}"
    log_t, log_h = np.log(t), np.log(distance)
    slopes = np.diff(log_h) / np.diff(log_t)
    if slopes.min() <= 0:
        return *none, "kinked", "the distance does not fall with t"
    start = next(i for i in range(slopes.size) if np.ptp(slopes[i:]) <= _SLOPES_AGREE)
    size = len(t) - start
    if size < _FEWEST:
        return *none, "kinked", f"the last local slopes are {', '.join(f'{s:.3f}' for s in slopes[-_FEWEST:])}"
    clean = (float(t[-1]), float(t[start]))
    lonely = np.count_nonzero(agreement[start:] < 2)
    if lonely > _LONELY * size:
        return np.nan, np.nan, clean, derived, "disagreement", f"{lonely} of {size} minima were reached from one start"
    slope, _ = _line(log_t[start:], log_h[start:])
    half = min(start + size // 2, len(t) - 3)
    lower, error = _line(log_t[half:], log_h[half:])
    if lower < 1.0 - _SLOPES_AGREE / 2:
        return *none, "kinked", f"the slope is {lower:.3f}, and no exponent is below 1"
    error = max(error, abs(slope - lower), 1.0 - lower)
    return max(lower, 1.0), error, clean, derived, "clean", f"{size} distances on a line"


def _line(x, y):
    """Slope of y on x and its standard error."""
    d = x - x.mean()
    slope = d @ y / (d @ d)
    left = y - y.mean() - slope * d
    return float(slope), float(np.sqrt(left @ left / (x.size - 2) / (d @ d)))


def _derived(P, cell):
    """The exponent of `rates` for a problem, NaN where it has none."""
    G0, g = P.G0, cell[0]
    support = identify.support_of(P.law, 1)
    if support.thin:
        return np.nan
    table = rates(G0, P.k2, x=P.law)
    kind = "barycentre" if P.m > 1 and P.discrepancy.startswith("bary_") else "weighted"
    rows = table[(table["parameter"] == P.parameter) & (table["kind"] == kind) & (table["level"] == P.level)]
    rows = rows[rows["m"] == P.m] if P.level == 2 else rows
    if len(P.k2) != G0.k1:  # regimes of shared cells are not told apart here: a value they have in common
        found = rows.loc[rows["cell"].isin(["shared", "over"]), "kappa"].unique()
        return float(found[0]) if found.size == 1 else np.nan
    here = slice(G0.offsets[g], G0.offsets[g + 1])
    if P.level == 1:
        letter, gates, at, copies = G0.gating[0], G0.a, g, np.ones(G0.k1)
    else:
        letter, gates, at = G0.gating[1], G0.omega[here], cell[1]
        copies = np.bincount(P.split.leaf, minlength=G0.n_experts)[here]
    identified = identify.gate_identified(letter, gates, copies, support)
    if not identified and P.discrepancy == "eta" and not GATES[letter].located and P.m > 2:
        return np.nan  # the exponent of the error is that of the barycentre; none is derived for the spread
    words = "unidentified" if not identified else "edge" if identify.at_edge(letter, gates, support)[at] else "regular"
    rows = rows[rows["regime"].isin([words, "any"])]
    return float(rows["kappa"].iloc[0]) if len(rows) else np.nan


def certificates(
    G0: Measure,
    k2: Shape,
    x: Law,
    *,
    cell: Sequence[int] | None = None,
    discrepancies: Sequence[str] | None = None,
    **options: Any,
) -> Iterator[Modulus]:
    """The moduli of every discrepancy that makes sense for a shape, one after the other as they are asked for.

    Parameters
    ----------
    G0, k2, x
        As in `modulus`.
    cell : (int, int), optional
        By default the first true expert that can be split, or (0, 0) if none can.
    discrepancies : sequence of str, optional
        Some of those of `modulus`; by default all that are defined.
    **options
        ``distance``, ``n_starts`` and ``seed`` of `modulus`.

    Returns
    -------
    iterator of Modulus
        For each number m of experts the cell can have (m >= 2 if it can be split), each discrepancy; "a" once.

    Raises
    ------
    ValueError
        As `modulus`, at once: before the first is computed.
    """
    G0, k2 = as_seeing_all("G0", G0), check_k2(k2)
    if cell is None:
        room = [i for i in range(min(len(k2), G0.k1)) if k2[i] > G0.k2[i]]
        cell = (room[0] if room and len(k2) == G0.k1 else 0, 0)
    cell = _check_cell(G0, cell)
    if discrepancies is not None:
        if not isinstance(discrepancies, tuple | list):
            raise ValueError(f"discrepancies must be a sequence of names; got {shown(discrepancies)}")
        for name in discrepancies:
            check_known("discrepancies", name, DISCREPANCIES)
    _, sizes = cover(G0, k2, cell)
    wanted = []
    for m in range(max(min(2, sizes[-1]), sizes[0]), sizes[-1] + 1):
        for name in DISCREPANCIES:
            undefined = (m == 1 and name in _SPREADS) or _constant(name, G0, k2, cell)
            undefined |= name == "bary_omega" and G0.k2[cell[0]] == 1  # no component outside the cell to hold
            repeated = name == "a" and m < sizes[-1]
            if name in discrepancies if discrepancies is not None else not (undefined or repeated):
                wanted.append((name, m))
                _checked(G0, k2, name, cell, x, m, options.get("distance", DISTANCES[0]))
    return (modulus(G0, k2, name, cell, x, m, **options) for name, m in wanted)


def certify(G0: Measure, k2: Shape, x: Law, **options: Any) -> Frame:
    """Table of `certificates`: exponents of paths, below which kappa is not, beside derived ones.

    Parameters, errors
        As `certificates`.

    Returns
    -------
    DataFrame
        One row a discrepancy and m: discrepancy, cell (``"0,1"``), m, exponent, exponent_error, derived, t_low, t_high
        (the clean range), status, message, seconds; see `Modulus`.
    """
    return certificate_table(certificates(G0, k2, x, **options))


def as_moduli(moduli: Modulus | Iterable[Modulus]) -> list[Modulus]:
    """Return a `Modulus`, or an iterable of them, as a list, else raise a `ValueError`."""
    try:
        out: list[Any] = [moduli] if isinstance(moduli, Modulus) else list(moduli)
    except TypeError:
        out = [None]
    if not all(isinstance(one, Modulus) for one in out):
        raise ValueError(f"moduli must be a Modulus or a sequence of them; got {shown(moduli)}")
    return out


def certificate_table(moduli: Modulus | Iterable[Modulus]) -> Frame:
    """The table of `certify`, of certificates made before."""
    import pandas as pd

    moduli = as_moduli(moduli)
    columns = ["discrepancy", "cell", "m", "exponent", "exponent_error", "derived", "t_low", "t_high", "status"]
    rows = [
        (r.discrepancy, "{},{}".format(*r.cell), r.m, r.exponent, r.exponent_error, r.derived, *r.clean, r.status,
         r.message, r.seconds)
        for r in moduli
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*columns, "message", "seconds"])
