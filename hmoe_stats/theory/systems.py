"""r(m): how high an order the polynomial system of m atoms has non-trivial solutions to, from all sides.

r(m) is the smallest r such that the equations S_{q,l} = 0 of orders 1 to r (`equations`) have only trivial solutions,
those with all tau_i = 0; it is the exponent of an expert intercept in a cell of m fitted experts. It is 2m, for all
four kinds of system: q = 0 gives the location-scale one, and its solutions extend by omega = eta = 0. Here are a
decision by algebra (m = 2), a solution of the orders below 2m (any m), a numerical infimum, and the proof (`r`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np

from ..arguments import check_number, check_seed, check_whole
from ..kinds import Seed
from .polynomials import KINDS, PolynomialSystem, equations

__all__ = ["KINDS", "PolynomialSystem", "equations", "gauss_hermite", "groebner", "infimum", "r"]

_ZERO = 1e-10  # an infimum below it is a zero to the optimiser; true zeros come out below 1e-12


# -- two atoms, decided by algebra ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class GroebnerResult:
    """What `groebner` decided: ``trivial`` is True if no solution has some tau != 0 and positive weights."""

    order: int
    kind: str
    basis: tuple  # of str, with c1 = tau1 = 1; lexicographic, c2 last
    elimination: str  # generator of the ideal's polynomials in c2 alone, factored; "0" if there is none
    family: dict  # unknown -> str, rational in c2 = c > 0; empty if there is none
    trivial: bool

    def __repr__(self):
        head = f"{self.kind} system of 2 atoms, order {self.order}: "
        if self.trivial:
            return head + f"only trivial solutions, as {self.elimination} = 0 has no root c > 0"
        return head + "solutions " + ", ".join(f"{name} = {value}" for name, value in self.family.items())


def groebner(m: int = 2, order: int = 4, kind: str = "location-scale") -> GroebnerResult:
    """Decide by a Groebner basis whether two atoms have a non-trivial solution with positive weights.

    A non-trivial solution can be labelled and scaled such that c1 = tau1 = 1. The basis, lexicographic with the other
    weight c = c2 last, then tells which c are possible: the positive roots (isolated exactly) of its
    polynomial in c alone, or all c if it has none, and then what the other unknowns are as functions of c.

    Parameters
    ----------
    m : int
        Must be 2: with three atoms, bases of this kind are out of reach of seconds.
    order : int
        3 or 4. There is a family at order 3 and none at order 4: r(2) = 4.
    kind : str
        As in `equations`.

    Returns
    -------
    GroebnerResult

    Raises
    ------
    ValueError
        If an argument is not as above.
    RuntimeError
        If the basis has another shape than the two that it decides (not met at orders 3 and 4).
    """
    import sympy

    m, order = check_whole("m", m, 2, 2), check_whole("order", order, 3, 4)
    system = equations(m, order, kind)
    fixed = {sympy.Symbol("c1"): 1, sympy.Symbol("tau1"): 1}
    c = sympy.Symbol("c2")
    others = [sympy.Symbol(f"{name}{i}") for name in reversed(system.unknowns) for i in (1, 2)]
    others = [s for s in others if s not in fixed and s != c]
    found = [e.subs(fixed) for e in system.expressions()]
    basis = sympy.groebner([e for e in found if e != 0], *others, c, order="lex")
    in_c = [e for e in basis.exprs if e.free_symbols <= {c}]
    texts = tuple(str(e) for e in basis.exprs)
    if in_c:
        positive = [root for root in sympy.Poly(in_c[0], c).real_roots() if root > 0] if in_c[0].free_symbols else []
        if positive:
            raise RuntimeError(f"the basis leaves c = {positive}; whether the other unknowns are real is not decided")
        return GroebnerResult(order, kind, texts, str(sympy.factor(in_c[0])), {}, True)
    solution = sympy.solve(found, others, dict=True)[0]
    family = {s: sympy.factor(value.subs({t: 0 for t in others})) for s, value in solution.items()}
    values = {t: family.get(t, sympy.Integer(0)) for t in others}
    if any(sympy.simplify(e.subs(values)) != 0 for e in found):
        raise RuntimeError(f"the basis leaves all c, but no family of solutions was found: {texts}")
    family = {"c1": "1", "tau1": "1"} | {str(t): str(value) for t, value in sorted(values.items(), key=str)}
    return GroebnerResult(order, kind, texts, "0", family, False)


# -- from below: an explicit solution of orders 1 to 2m - 1 -----------------------------------------------------------
@dataclass(frozen=True, eq=False)
class GaussHermite:
    """A solution of the orders below 2m, and what is left of the equations. Made by `gauss_hermite`."""

    kind: str
    c: np.ndarray  # (m,) weights, sum 1
    tau: np.ndarray  # (m,)
    nu: np.ndarray  # (m,)
    eta: np.ndarray  # (m,)
    omega: np.ndarray  # (m,)
    residual: float  # largest |S_{q,l}| of orders 1 to 2m - 1
    next_residual: float  # largest |S_{q,l}| of order 2m

    def __repr__(self):
        m = len(self.c)
        head = f"Gauss-Hermite solution of the {self.kind} system, m = {m}: residual {self.residual:.1e} to order "
        return head + f"{2 * m - 1}, {self.next_residual:.1e} at order {2 * m}"


def gauss_hermite(m: int, tilt: float = 0.0) -> GaussHermite:
    """The Gauss-Hermite solution of the orders 1 to 2m - 1: r(m) >= 2m.

    With nodes z_i and weights c_i of m-point Gauss-Hermite quadrature,

        tau_i = z_i,   nu_i = -1,   omega_i = tilt z_i,   eta_i = -tilt.

    Parameters
    ----------
    m : int
        Number of atoms, from 2 to 40 (beyond, some weights are too small for double precision).
    tilt : float
        0: a solution of the location-scale system, and of all kinds. Otherwise one of the unidentified system.

    Returns
    -------
    GaussHermite
        With the residuals of the location-scale system (tilt 0) or of the unidentified one.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Notes
    -----
    Derived. The rule discretises the identity, for s ~ N(0, 1),

        E exp(tilt s x) N(y | s - tilt x, nu - 1) = exp(tilt^2 x^2 / 2) N(y | 0, nu),

    which has no terms with l >= 1; the rule is exact for polynomials in s of degree 2m - 1, and the term x^q D^l has
    degree q + l at most. At tilt 0: E(Z + i W)^l = 0 for independent standard normal Z, W and l >= 1.
    """
    m = check_whole("m", m, 2, 40)
    tilt = check_number("tilt", tilt, "a finite number", np.isfinite)
    z, c = np.polynomial.hermite_e.hermegauss(m)
    c = c / c.sum()
    kind = "unidentified" if tilt else "location-scale"
    system = equations(m, 2 * m, kind)
    atoms = {"c": c, "tau": z, "nu": np.full(m, -1.0), "eta": np.full(m, -float(tilt)), "omega": tilt * z}
    left = np.abs(system.residuals(**atoms))
    last = np.array([q + n == 2 * m for q, n in system.indices])
    return GaussHermite(kind, **atoms, residual=float(left[~last].max()), next_residual=float(left[last].max()))


# -- from above: the infimum of the equations' norm -------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Infimum:
    """The smallest norm that a multistart search found. Made by `infimum`."""

    m: int
    order: int
    kind: str
    value: float
    atoms: dict  # unknown -> (m,) where it was found, scaled such that sum c tau^2 = 1
    values: np.ndarray  # (starts,) local minima, sorted
    status: str  # "zero" | "positive" | "not reproduced"

    @property
    def hits(self) -> int:
        """Number of starts within 1 % of the best (of those that found a zero, if it is one)."""
        return int((self.values < (_ZERO if self.status == "zero" else 1.01 * self.value)).sum())

    def __repr__(self):
        head = f"{self.kind} system of {self.m} atoms, orders 1 to {self.order}: infimum {self.value:.2e}"
        return f"{head} ({self.status}; found by {self.hits} of {len(self.values)} starts)"


def infimum(
    m: int, order: int, kind: str = "location-scale", seed: Seed = 0, starts: int = 12, floor: float = 0.02
) -> Infimum:
    """Smallest norm of the equations over non-trivial atoms, by least squares from many starts.

    Minimises the root of the sum over the equations of

        ( sqrt(q! l!) S_{q,l} / (sum_i c_i tau_i^2)^((q + l)/2) )^2,    c_i >= floor,  sum c_i = 1,

    a function that does not change when the atoms are scaled. With x = 0 it is the chi-square norm, in units of the
    cell's spread, of the first `order` Hermite terms of sum_i c_i N(tau_i, 1 + nu_i) around N(0, 1).

    Parameters
    ----------
    m, order, kind
        As in `equations`; m at least 2.
    seed : int or SeedSequence
        Key of the starting values.
    starts : int
        Number of starts, at least 2.
    floor : float
        Smallest weight of an atom, in (0, 1/m); no atom can leave the problem by losing its weight.

    Returns
    -------
    Infimum
        Status ``"zero"`` (below 1e-10), ``"positive"`` (a third of the starts, and at least 2, end within 1 % of the
        best), or ``"not reproduced"`` (fewer do: a smaller value may have been missed).

    Raises
    ------
    ValueError
        If an argument is not as above.

    Notes
    -----
    A numerical value, not a proof: a search can miss the smallest minimum. Values with the default floor: order 2m - 1
    gives 1e-16 to 1e-12, order 2m 0.36, 0.10, 0.030, 8.7e-3, 2.4e-3, 6.6e-4, 1.7e-4 for m = 2, ..., 8, and the
    same for all kinds where they were computed (m <= 4).
    """
    m, system = check_whole("m", m, 2), equations(m, order, kind)
    starts = check_whole("starts", starts, 2)
    wanted = f"a weight between 0 and 1/m = {1 / m:.3g}"
    floor = check_number("floor", floor, wanted, lambda v: 0 < v * m < 1)
    degree = np.array([q + n for q, n in system.indices])
    scale = np.array([np.sqrt(float(factorial(q) * factorial(n))) for q, n in system.indices])

    def atoms(v):
        values = dict(zip(system.unknowns, v.reshape(-1, m), strict=True))
        share = np.exp(values["c"] - values["c"].max())
        share /= share.sum()
        return values | {"c": floor + (1 - m * floor) * share}, share

    def spread(a):
        return np.sqrt((a["c"] * a["tau"] ** 2).sum())

    def residuals(v):
        a, _ = atoms(v)
        return scale * system.residuals(**a) / spread(a) ** degree

    def jacobian(v):
        a, share = atoms(v)
        left, by = system.residuals(**a), system.jacobian(**a)
        s = spread(a)
        log_s = np.zeros((len(system.unknowns), m))  # derivatives of log s
        log_s[0], log_s[1] = a["tau"] ** 2 / (2 * s**2), a["c"] * a["tau"] / s**2
        by = by - (degree * left)[:, None, None] * log_s
        by[:, 0] = (1 - m * floor) * share * (by[:, 0] - (by[:, 0] @ share)[:, None])
        return (scale / s**degree)[:, None] * by.reshape(len(degree), -1)

    from scipy.optimize import least_squares

    found = []
    for key in _spawn(seed, starts):
        rng = np.random.default_rng(key)
        v = rng.normal(size=(len(system.unknowns), m)) * rng.choice([0.3, 1.0])
        v[1] = rng.normal(size=m)
        fit = least_squares(residuals, v.ravel(), jacobian, xtol=1e-14, ftol=1e-12, gtol=1e-14, max_nfev=500)
        found.append((float(np.linalg.norm(fit.fun)), fit.x))
    values = np.sort([value for value, _ in found])
    value, v = min(found, key=lambda pair: pair[0])
    best, _ = atoms(v)
    s = spread(best)
    power = {"c": 0, "tau": 1, "nu": 2, "eta": 2, "omega": 1}
    best = {name: x / s ** power[name] for name, x in best.items()}
    reproduced = (values < 1.01 * value).sum() >= max(2, starts / 3)
    status = "zero" if value < _ZERO else "positive" if reproduced else "not reproduced"
    return Infimum(m, order, kind, value, best, values, status)


def _spawn(seed, n):
    seed = check_seed(seed, np.random.SeedSequence)
    return (seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)).spawn(n)


# -- both sides -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Order:
    """r(m) = 2m with the numbers that stand behind it. Made by `r`."""

    m: int
    value: int  # 2m, by the theorem
    below: GaussHermite
    above: Infimum
    status: str  # "confirmed" | "theorem only": whether the search tells order 2m from 0

    def __repr__(self):
        lines = [f"r({self.m}) = {self.value} (theorem, derived; numerically: {self.status})", self.below, self.above]
        return "\n  ".join(map(str, lines))


def r(m: int, kind: str = "location-scale", seed: Seed = 0, starts: int = 12) -> Order:
    """r(m) = 2m, with a solution of the orders 1 to 2m - 1 and the infimum of the equations to order 2m.

    Parameters
    ----------
    m : int
        Number of atoms, from 2 to 8.
    kind : str
        As in `equations`; r is the same for all of them.
    seed, starts
        As in `infimum`.

    Returns
    -------
    Order
        Status ``"confirmed"``: the explicit solution leaves less than 1e-12 to order 2m - 1, and the infimum at order
        2m is ``"positive"``. ``"theorem only"``: one of the two did not come out.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Notes
    -----
    Theorem (derived; r(2) = 4 and r(3) = 6 are published in Ho and Nguyen 2016): r(m) = 2m for every m.

    r(m) >= 2m: `gauss_hermite`.

    r(m) <= 2m: let atoms with c_i > 0, sum c_i = 1 and some tau_i != 0 solve the location-scale equations to order 2m.
    For V > max |nu_i| the mixture f = sum_i c_i N(tau_i, V + nu_i) has the moments of order 0 to 2m of N(0, V), and is
    not N(0, V), as mixtures of normal laws are identified. So g = f - N(0, V) != 0 integrates to 0 against all
    polynomials of degree 2m. It changes sign at least 2m + 1 times: with fewer changes, g times the polynomial that
    vanishes at them has one sign. But g is a linear combination of at most m + 1 distinct normal densities, and one of
    k changes sign at most 2 (k - 1) times (Kalai, Moitra and Valiant 2010: convolve backwards until the narrowest
    components are atoms, which loses no sign change as the heat flow creates none; each atom removed takes at most two
    of them; induct). So 2m + 1 <= 2m: a contradiction.

    The other kinds contain the location-scale system (q = 0), and its solutions solve them (omega = eta = 0).

    The numbers: the infimum falls by a factor of about 0.27 as m grows by one, from 0.36 at m = 2 to 1.7e-4 at m = 8 (a
    second to ten of computing), where the zero of order 2m - 1 still comes out below 1e-12 from every start. Up to
    m = 7 nearly all starts end at the infimum, at m = 8 two thirds. Double precision would carry further, the search
    does not: at m = 10 starts stop at values of 1e-5 to 1e-4 at order 2m, but mostly also at order 2m - 1, where there
    is a zero. From m = 9 on only the theorem speaks.
    """
    m = check_whole("m", m, 2, 8)
    below, above = gauss_hermite(m), infimum(m, 2 * m, kind, seed, starts)
    confirmed = below.residual < 1e-12 and above.status == "positive"
    return Order(m, 2 * m, below, above, "confirmed" if confirmed else "theorem only")
