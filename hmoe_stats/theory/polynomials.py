"""The polynomial equations that the fitted experts of one true expert solve if they are hard to tell from it.

Fitted experts i of one true expert, with weights c_i > 0 and differences omega_i, eta_i, tau_i, nu_i (d = 1), leave the
density as it is up to the terms of

    sum_i c_i exp(omega_i x + (eta_i x + tau_i) D + nu_i D^2 / 2) = sum_{q, l} S_{q,l} x^q D^l,      D = d/d mean,

beyond the first. The weighted degree, or order, of S_{q,l} is q + l, with weights 1, 2, 1, 2 of omega, eta, tau, nu.
Solutions with all tau_i = 0 are trivial. Kinds of system:

- ``"location-scale"``: q = 0, no covariates (Ho and Nguyen 2016: r(2) = 4, r(3) = 6);
- ``"no interaction"``: omega = 0;
- ``"regular"``: all (q, l), softmax gates that are identified. S_{2,0} = sum c_i omega_i^2 / 2 = 0 forces omega = 0;
- ``"unidentified"``: l >= 1 only, as a common factor of all softmax gates of a group is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import check_known, check_whole
from ..kinds import Floats

KINDS = ("location-scale", "no interaction", "regular", "unidentified")
_WANTED = f"one of {', '.join(map(repr, KINDS))}"
_UNKNOWNS = {
    "location-scale": ("c", "tau", "nu"),
    "no interaction": ("c", "tau", "nu", "eta"),
    "regular": ("c", "tau", "nu", "eta", "omega"),
    "unidentified": ("c", "tau", "nu", "eta", "omega"),
}


@dataclass(frozen=True)
class PolynomialSystem:
    """The equations S_{q,l} = 0 of one kind, for m atoms, up to an order. Made by `equations`."""

    m: int
    order: int
    kind: str

    @property
    def unknowns(self) -> tuple[str, ...]:
        """Names of the unknowns, each one value an atom."""
        return _UNKNOWNS[self.kind]

    @property
    def indices(self) -> tuple[tuple[int, int], ...]:
        """((q, l), ...) of the equations, by order q + l, then by q."""
        low = 1 if self.kind == "unidentified" else 0
        by_order = ((q, order - q) for order in range(1, self.order + 1) for q in range(order + 1))
        return tuple((q, n) for q, n in by_order if n >= low and (q == 0 or self.kind != "location-scale"))

    def residuals(
        self, c: Floats, tau: Floats, nu: Floats, eta: Floats | float = 0.0, omega: Floats | float = 0.0
    ) -> Floats:
        """S_{q,l} of each of the `indices`; (n_equations,). Arguments: (m,) arrays; those not unknown count as 0."""
        table = self._table(tau, nu, eta, omega)
        return np.array([(c * table[q, n]).sum() for q, n in self.indices])

    def jacobian(
        self, c: Floats, tau: Floats, nu: Floats, eta: Floats | float = 0.0, omega: Floats | float = 0.0
    ) -> Floats:
        """Derivatives of `residuals` in the unknowns: (n_equations, len(unknowns), m)."""
        table = self._table(tau, nu, eta, omega)
        zero = np.zeros(self.m)
        # exp(...) differentiated in a parameter is a shift of the table
        shifts = {"c": (0, 0, 1.0), "tau": (0, 1, c), "nu": (0, 2, c / 2), "eta": (1, 1, c), "omega": (1, 0, c)}
        rows = []
        for q, n in self.indices:
            moves = (shifts[name] for name in self.unknowns)
            rows.append([factor * table.get((q - dq, n - dn), zero) for dq, dn, factor in moves])
        return np.array(rows)

    def _table(self, tau, nu, eta, omega):
        """(q, l) -> coefficient of x^q D^l in the exponential, atom by atom; numbers or symbols.

        From its derivative in D: l T[q,l] = tau T[q,l-1] + eta T[q-1,l-1] + nu T[q,l-2].
        """
        omega = omega if "omega" in self.unknowns else 0.0
        table = {(0, 0): tau * 0 + 1}
        for q in range(1 if self.kind == "location-scale" else self.order + 1):
            if q:
                table[q, 0] = omega * table[q - 1, 0] / q
            for n in range(1, self.order - q + 1):
                total = tau * table[q, n - 1]
                total = total + eta * table[q - 1, n - 1] if q else total
                table[q, n] = (total + nu * table[q, n - 2] if n > 1 else total) / n
        return table

    def expressions(self) -> list[Any]:
        """The left-hand sides as SymPy expressions in symbols c1, ..., omega<m>; a list in the order of `indices`."""
        import sympy

        values = {name: np.array(sympy.symbols(f"{name}1:{self.m + 1}")) for name in self.unknowns}
        return [sympy.expand(expression) for expression in self.residuals(**values)]

    def __repr__(self):
        unknowns = ", ".join(self.unknowns)
        size = f"{len(self.indices)} equations of order 1 to {self.order}"
        return f"{self.kind} system: {size} in {unknowns} of {self.m} atoms"


def equations(m: int, order: int, kind: str = "location-scale") -> PolynomialSystem:
    """The polynomial system of m atoms up to an order.

    Parameters
    ----------
    m : int
        Number of atoms (fitted experts in the cell), at least 1.
    order : int
        Largest weighted degree q + l, at least 1.
    kind : {"location-scale", "no interaction", "regular", "unidentified"}
        Which equations, and in which unknowns; see the module.

    Returns
    -------
    PolynomialSystem
        With ``unknowns``, ``indices`` ((q, l) of each equation), ``residuals``, ``jacobian``, ``expressions`` (SymPy).

    Raises
    ------
    ValueError
        If an argument is not as above.

    Notes
    -----
    The equations of arXiv 2305.03288 (softmax) and Ho and Nguyen 2016 (location-scale), with factorials: S_{q,l} is

        sum_i c_i sum_{s, t} omega_i^(q-s) eta_i^s tau_i^(l-s-2t) (nu_i/2)^t / ((q-s)! s! (l-s-2t)! t!).
    """
    return PolynomialSystem(check_whole("m", m), check_whole("order", order), check_known("kind", kind, KINDS, _WANTED))
