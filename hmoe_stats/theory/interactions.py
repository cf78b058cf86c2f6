"""Parameter interactions: which derivatives of the density are linearly dependent, and how far from it the others are.

Over-specified estimators are slow because derivatives of the density that ought to be independent are not. With u the
term of one expert, e^{omega' x} N(y | eta' x + tau, nu) up to factors, softmax gates have two such identities,

    d^2 u / domega_c dtau = du / deta_c,        d^2 u / dtau^2 = 2 du / dnu,

and Laplace gates only the second: there d^2 u / domega dtau = sign(x - omega) du / dtau for d = 1. Quadratic gates,
e^{omega' (x^2)}, have the second, and d^3 u / domega_c dtau^2 = d^2 u / deta_c^2, derived here. The same holds of a and
tau at level 1. Gates and experts without a common covariate do not interact: d^2 u / domega_c dtau is x_c du / dtau
for a covariate c that experts have no slope on. Here this is computed and not assumed: derivatives relative to the
density, D / p_0, have the Gram matrix E_0[(D / p_0) (D' / p_0)] in L2(P_0), P_0 the joint law of (x, y), and its null
directions are the identities.
The identities: arXiv 2305.03288 (flat softmax), arXiv 2410.02935 (hierarchical, as reported); angles are derived here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import check_data, check_known, check_number, check_whole, cut, shown
from ..gates import of
from ..kinds import Floats, Frame, Law, Measure
from ..likelihood import log_density
from ..measure import MixingMeasure, as_measure
from ..quadrature import batches, lines, nodes, panel_edges
from ..sampling import as_law
from .derivatives import FORMS, PARAMETERS, coefficients, kink, list_derivatives, normal_derivatives, values

_POINTS = 10  # Gauss-Legendre points in y a panel of one standard deviation
_ZERO = 1e-11  # norm of a derivative that vanishes
_SHOWN = 12  # identities in a repr
_EXACT = 1e-9  # sine below which an identity is written as an equation


@dataclass(frozen=True, eq=False)
class Identity:
    """A linear dependence of derivatives: `vector` (p,) times the derivatives has a norm of `sine` times the last one.

    `text` reads ``"d2/dtau2 - 2 d/dnu = 0"``, or ``"... ~ 0"`` where the sine is not rounding.
    """

    vector: np.ndarray
    text: str
    sine: float


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Derivatives of a density in L2(P_0), their Gram matrix and their linear dependences; see `interactions`.

    Attributes
    ----------
    measure, form : MixingMeasure, str
    names : tuple of str
        The p derivatives: ``"d/deta"``, ``"d2/dtau2"``; with several experts ``"d2/domega[0,1] dtau[0,1]"``, with
        several covariates ``"d2/domega_0^2"``.
    orders : ndarray, (p,)
    gram : ndarray, (p, p)
        Inner products of the derivatives relative to the density.
    identities : tuple of Identity
        The near-null directions of the Gram matrix, each named by the derivative that depends on those before it.
    missing : dict
        Derivatives left out of the above -> why: they are not in L2.
    tol : float
    """

    measure: MixingMeasure
    form: str
    names: tuple
    orders: np.ndarray
    gram: np.ndarray
    identities: tuple
    missing: dict
    tol: float
    _derivatives: tuple
    _root: np.ndarray  # (p, p) triangular, gram = root' root: angles from it keep the digits that a square loses

    @property
    def norms(self) -> Floats:
        """(p,) L2 norms of the derivatives."""
        return np.linalg.norm(self._root, axis=0)

    @property
    def correlation(self) -> Floats:
        """(p, p) cosines between the derivatives; 0 for one that vanishes."""
        unit = _unit(self._root)
        return np.clip(unit.T @ unit, -1.0, 1.0)

    @property
    def eigenvalues(self) -> Floats:
        """Eigenvalues of `correlation` without the derivatives that vanish, ascending."""
        unit = _unit(self._root)
        return np.sort(np.linalg.svd(unit[:, unit.any(axis=0)], compute_uv=False) ** 2)

    @property
    def null_directions(self) -> Floats:
        """(m, p) the vectors of `identities`, one a row."""
        return np.array([identity.vector for identity in self.identities]).reshape(-1, len(self.names))

    def angle(self, name: str, others: Sequence[str] | None = None) -> float:
        """Angle in degrees between a derivative and the span of others, in L2(P_0).

        Parameters
        ----------
        name : str
            One of `names`.
        others : sequence of str, optional
            By default all derivatives of lower order; all others of the first order if `name` is of the first.

        Returns
        -------
        float
            Between 0 and 90; NaN for a derivative that vanishes.

        Raises
        ------
        ValueError
            If a name is not among `names`.
        """
        where = self._find(name)
        if others is None:
            columns = np.flatnonzero(self.orders < max(self.orders[where], 2))
            columns = columns[columns != where]
        elif isinstance(others, tuple | list):
            columns = [self._find(other) for other in others]
        else:
            raise ValueError(f"others must be a sequence of names; got {shown(others)}")
        unit = _unit(self._root)
        return float(_angle(unit[:, where], unit[:, columns])) if unit[:, where].any() else np.nan

    def _find(self, name):
        known = isinstance(name, str) and name in self.names
        if not known:
            why = f" ({self.missing[name]})" if isinstance(name, str) and name in self.missing else ""
            raise ValueError(f"name must be one of {cut(', '.join(self.names), 300)}; got {shown(name)}{why}")
        return self.names.index(name)

    def to_frame(self) -> Frame:
        """DataFrame, a row a derivative: derivative, order, norm, angle (degrees), identity (its text, or "")."""
        import pandas as pd

        named = {int(np.flatnonzero(i.vector)[-1]): i.text for i in self.identities}
        columns = {"derivative": self.names, "order": self.orders, "norm": self.norms}
        columns["angle"] = [self.angle(name) for name in self.names]
        return pd.DataFrame(columns | {"identity": [named.get(i, "") for i in range(len(self.names))]})

    def evaluate(self, X: ArrayLike, y: ArrayLike) -> Floats:
        """The derivatives relative to the density, D / p_0, at data: (n, p).

        Their means over a sample of the truth tend to 0, their second moments to `gram`.

        Raises
        ------
        ValueError
            If X (n, d) and y (n,) do not fit the measure or each other.
        """
        X, y = check_data(X, y, self.measure.d)
        return values(self.measure.wide(), X, y, self._derivatives, self.form)

    def __repr__(self):
        frame = self.to_frame()
        high = frame[(frame["order"] > 1) & (frame["identity"] == "")].nsmallest(4, "angle")
        counts = f"{len(self.names)} derivatives ({self.form}), {len(self.identities)} identities"
        lines = [f"{self.measure.gating}, {counts}"]
        for i in self.identities[:_SHOWN]:
            lines.append(f"  {i.text}" + (f"   (sine {i.sine:.2g})" if i.sine > _EXACT else ""))
        more = len(self.identities) - _SHOWN
        lines += [f"  and {more} more"] if more > 0 else []
        lines += [f"  not in L2: {name} ({why})" for name, why in self.missing.items()]
        close = [f"{name} {angle:.3g}" for name, angle in zip(high["derivative"], high["angle"], strict=True)]
        lines += [f"smallest other angles to lower orders, in degrees: {', '.join(close)}"] if close else []
        return "\n".join([*lines, f"smallest eigenvalues: {', '.join(f'{v:.3g}' for v in self.eigenvalues[:4])}"])


def interactions(
    G0: Measure,
    order: int = 2,
    x: Law | None = None,
    experts: str | Sequence[int] | Sequence[Sequence[int]] = (0, 0),
    parameters: Sequence[str] | None = None,
    form: str = "split",
    tol: float = 1e-6,
    draws: int = 1024,
    seed: int = 0,
) -> Interactions:
    """Derivatives of the density up to some order, their Gram matrix in L2(P_0), and the identities among them.

    Parameters
    ----------
    G0 : MixingMeasure or FitResult
        The truth; its gating decides which identities there are.
    order : int
        Highest order, 1 to 4; at most 2 if d > 1 and a gate is Laplace.
    x : Uniform, Normal or (n, d) array
        Law of the covariates; required.
    experts : pair (group, expert), sequence of pairs, or "all"
        Whose parameters are differentiated; indices from 0.
    parameters : sequence of str, optional
        Among ``"b", "a", "beta", "omega", "eta", "tau", "nu"``; by default those of level 2 (all but b and a).
    form : {"split", "numerator", "density"}
        What is differentiated, see Notes.
    tol : float
        Sine of the angle to the span of the derivatives before it below which a derivative is said to depend on them;
        below 0.5.
    draws, seed : int
        Covariates drawn, and the key of the draw, where d > 1 and `x` is a law.

    Returns
    -------
    Interactions

    Raises
    ------
    ValueError
        If an argument is not as above.

    Notes
    -----
    With Ds the score s(x, .) minus its value at the truth, g the gates of G0, j an expert of group i and p_i the
    density of that group, the forms differentiate, at the truth,

    - ``"split"``: the density itself, as an over-specified model sees it. A copy of expert j with a small share of its
      weight has the first-order effect  g_i g_{j|i} e^{Ds} (N_j - p_i)  on p_G, and derivatives are taken in the copy's
      parameters. For two copies of equal weight, moved apart by plus and minus the same step, these are the second
      derivatives of log p_G in that step. Likewise a copy of group i for a and b: g_i e^{Ds} (p_i - p_G).
    - ``"numerator"``: u = g_i g_{j|i} e^{Ds} N_j, with all normalising sums held fixed: the function of the literature.
      It differs from the above where gates only are differentiated.
    - ``"density"``: p_G in its own parameters, as an exactly specified model sees it. There d^2 / domega_j dtau_j is
      (1 - g_{j|i}(x)) d / deta_j under softmax gates, which is d^2 / dbeta_j deta_j, and equals a multiple of
      d / deta_j only as far as the gate is constant; the angle says how far.

    e^beta and e^b are factors of the first two, so that beta and b are differentiated once and alone. Derivatives are
    exact; the integral in y is a quadrature whose panels follow the experts, that in x one with breaks at Laplace
    centres (d = 1), a mean over the array, or a Monte Carlo mean.

    An identity by itself is no rate. Where some expert of a softmax group is fitted by a single one, d^2 / domega^2 is
    seen separately, and the interaction of omega and tau is paid by the barycentre of eta alone; see `rates`.
    """
    G0 = as_measure("G0", G0)
    wide = G0.wide()
    chosen = check_experts(G0, experts)
    names = _check_choice(G0, order, parameters, form)
    tol = check_number("tol", tol, "a number between 0 and 0.5", lambda v: 0 < v < 0.5)
    X, weights = nodes(as_law(x), (wide,), draws, seed)
    low, high = as_law(x).support(G0.d)
    missing, kept, parts = {}, [], []
    for D in list_derivatives(G0, chosen, names, order, form):
        part = coefficients(wide, X, D, form)
        if part and any(c.any() for c in part.values()) and kink(wide, D, low, high):
            missing[_name(G0, D, form, len(chosen))] = "kink at its Laplace centre"
        else:
            kept.append(D)
            parts.append(part)
    root = _root(wide, X, np.full(len(X), 1.0 / len(X)) if weights is None else weights, parts)
    labels = tuple(_name(G0, D, form, len(chosen)) for D in kept)
    orders = np.array([D.order for D in kept])
    found = _identities(root, labels, tol)
    return Interactions(G0, form, labels, orders, root.T @ root, found, missing, tol, tuple(kept), root)


# -- arguments --------------------------------------------------------------------------------------------------------
def check_experts(G, experts, name="experts"):
    """Experts counted over the whole tree."""
    pairs = [(int(i), int(j - G.offsets[i])) for j, i in enumerate(G.group)]
    if isinstance(experts, str) and experts == "all":
        return list(range(G.n_experts))
    try:
        wanted = list(experts)
        wanted = [tuple(wanted)] if all(isinstance(i, Integral) for i in wanted) else [tuple(pair) for pair in wanted]
        known = bool(wanted) and set(wanted) <= set(pairs)
    except (TypeError, ValueError):
        known = False
    if not known:
        pairs = cut(str(pairs), 300)
        raise ValueError(f'{name} must be "all" or (group, expert) pairs among {pairs}; got {shown(experts)}')
    return list(dict.fromkeys(map(pairs.index, wanted)))


def _check_choice(G, order, parameters, form):
    """The parameters' names, in the order of `PARAMETERS`."""
    check_known("form", form, FORMS)
    kinked = any(gate.kinked for gate in of(G.gating))
    check_whole("order", order, 1, 2 if G.d > 1 and kinked else 4, f" for d = {G.d}, {G.gating}")
    given = PARAMETERS[2:] if parameters is None else parameters
    try:
        known = not isinstance(given, str) and len(given) > 0 and set(given) <= set(PARAMETERS)
    except TypeError:
        known = False
    if not known:
        raise ValueError(f"parameters must be some of {', '.join(PARAMETERS)}; got {shown(parameters)}")
    return [name for name in PARAMETERS if name in set(given)]


# -- names ------------------------------------------------------------------------------------------------------------
def _name(G, D, form, n_experts):
    parts = {}
    for p in D.parameters:
        coordinate = f"_{p.coordinate}" if G.d > 1 and p.name in ("a", "omega", "eta") else ""
        leaf = D.expert if form == "numerator" else p.at
        of_group = p.name in ("a", "b") and form != "numerator"
        where = f"[{p.at}]" if of_group else f"[{G.group[leaf]},{leaf - G.offsets[G.group[leaf]]}]"
        label = f"d{p.name}{coordinate}{where if n_experts > 1 else ''}"
        parts[label] = parts.get(label, 0) + 1
    powers = {label: f"{'^' if '_' in label else ''}{times}" if times > 1 else "" for label, times in parts.items()}
    below = " ".join(label + power for label, power in powers.items())
    return f"d{D.order if D.order > 1 else ''}/{below}"


def _equation(names, vector, sine):
    """The dependence with the dependent derivative first."""
    last = int(np.flatnonzero(vector)[-1])
    text = names[last]
    for i in np.flatnonzero(vector[:last])[::-1]:
        number = _number(abs(vector[i]))
        text += f" {'-' if vector[i] < 0 else '+'} {number + ' ' if number != '1' else ''}{names[i]}"
    return f"{text} {'=' if sine <= _EXACT else '~'} 0"


def _number(value):
    near = Fraction(value).limit_denominator(24)
    return str(near) if near and abs(near - value) < 1e-8 * value else f"{value:.4g}"


# -- linear algebra ---------------------------------------------------------------------------------------------------
def _root(G, nodes, weights, parts):
    """(p, p) triangular factor of the Gram matrix, by QR over y at every x and then over x."""
    keys = sorted({key for part in parts for key in part})
    t, w = np.polynomial.legendre.leggauss(_POINTS)
    p = len(parts)
    if not keys:
        return np.zeros((p, p))
    rows_of_root = [np.zeros((p, p))]
    panels = panel_edges(*lines((G,), nodes[:1])).shape[1]
    for rows in batches(len(nodes), _POINTS * panels * len(keys)):
        X = nodes[rows]
        edges = panel_edges(*lines((G,), X))
        half, mid = 0.5 * np.diff(edges, axis=1), 0.5 * (edges[:, 1:] + edges[:, :-1])
        y = (mid[:, :, None] + half[:, :, None] * t).ravel()
        repeated = np.repeat(X, y.size // len(X), axis=0)
        mass = (half[:, :, None] * w).ravel() * np.exp(log_density(G, repeated, y))
        atoms = np.sqrt(mass)[:, None] * normal_derivatives(G, repeated, y, keys)
        inner = np.linalg.qr(atoms.reshape(len(X), -1, len(keys)), mode="r")  # (batch, keys, keys)
        c = np.zeros((len(X), len(keys), p))
        for column, part in enumerate(parts):
            for key, value in part.items():
                c[:, keys.index(key), column] = value[rows]
        rows_of_root.append((np.sqrt(weights[rows])[:, None, None] * (inner @ c)).reshape(-1, p))
        if sum(map(len, rows_of_root)) > 8 * p + 2000:
            rows_of_root = [np.linalg.qr(np.concatenate(rows_of_root), mode="r")]
    return np.linalg.qr(np.concatenate(rows_of_root), mode="r")


def _unit(root):
    """Columns of length 1; those that vanish are set to 0."""
    norms = np.linalg.norm(root, axis=0)
    seen = norms > _ZERO
    return np.where(seen, root / np.where(seen, norms, 1.0), 0.0)


def _angle(column, others):
    """Degrees between a unit vector and a span."""
    rest = column - others @ np.linalg.lstsq(others, column, rcond=1e-10)[0]
    return np.degrees(np.arcsin(min(1.0, float(np.linalg.norm(rest)))))


def _identities(root, names, tol):
    """Go through the columns and keep those that do not depend on the ones kept so far; name the others."""
    norms, unit = np.linalg.norm(root, axis=0), _unit(root)
    kept, found = [], []
    for i, name in enumerate(names):
        vector = np.zeros(len(names))
        vector[i] = 1.0
        if not unit[:, i].any():
            found.append(Identity(vector, f"{name} = 0", 0.0))
            continue
        solution = np.linalg.lstsq(unit[:, kept], unit[:, i], rcond=None)[0]
        sine = float(np.linalg.norm(unit[:, i] - unit[:, kept] @ solution))
        if sine >= tol:
            kept.append(i)
            continue
        solution[np.abs(solution) < 1e-13 / tol] = 0.0  # rounding, in a basis whose angles are at least tol
        vector[kept] = -solution * norms[i] / norms[kept]
        told = np.where(np.abs(vector) * norms < sine * norms[i], 0.0, vector)
        found.append(Identity(vector, _equation(names, told, sine), sine))
    return tuple(found)
