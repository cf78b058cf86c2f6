"""Exponents of errors of functions of x: experts over their cells, gates, cell means, routing. Derived, as follows.

Let W_i be the weight of fitted leaf i (both gates), mu_i its line, cell j the m fitted leaves of true leaf j, and D a
difference from there. At fixed x the conditional densities are location-scale mixtures, of which (Ho and Nguyen 2016,
with r(m) = 2m), TV(x) being the total variation between them, near the truth and where its lines are well apart,

    TV(x) >= c { sum_i W_i (|D mu_i|^2m + |D nu_i|^m) + |sum_i W_i - W*_j| + |sum_i W_i D mu_i| }, every cell j.  (*)

Gates enter by their values only, so that what follows holds for every gating, for gates that are identified or not, for
fitted groups that share a true one or do not, and for every d. Both sides are integrated over x. Where two lines cross,
c falls to 0; but sums of products of polynomials and exponentials, of bounded order and with bounded coefficients, are
on all of a bounded support at most C times what they are on a part of it (Turan, Remez), and so between kinks of gates.

- *expert*, kappa = 2m. By power means and (*), with w_j = sum_i E W_i,
  (sum_i E W_i D mu_i^2 / w_j)^(1/2) <= (sum_i E W_i |D mu_i|^2m / w_j)^(1/2m) <= C h^(1/2m). No smaller kappa: leaves
  with the weights of a Gauss-Hermite rule, intercepts off by t times its nodes, variances less t^2 and gates as in the
  truth have h of the order t^2m. Exact cells: 1, by (*) with m = 1.
- *expert_worst*, kappa = 2m, for a fixed floor w of weights: W_i |D mu_i|^2m alone is in (*), so that the error is at
  most C (h / w)^(1/2m). Without a floor there is no rate, as a leaf of weight O(h) may lie anywhere in its cell.
- *gate*, kappa = 1: the second term of (*), and of groups its sums.
- *cell_mean*, kappa = 1: the third term over sum_i W_i, which is bounded from below as W*_j is.
- *routing*, kappa = 1. With S_j the part of cell j in the density p, |r_j - r*_j| p* <= r_j |p - p*| + |S_j - S*_j|.
  The first is total variation. The second is, by Taylor, a sum of moments sum_i W_i D mu_i^a D nu_i^b of the cell times
  derivatives of its normal density; these are linearly independent over all cells and orders: each is O(TV(x)).

No exponent is below 1, as h is at most of the order of a step of all parameters of a cell together.

(*) speaks of one x: a law whose support has no interior, as one on {0, 1}, changes none of this if the lines of the
truth are apart on it (or the variances differ), though it changes exponents of parameters. Not worked out: lines that
cross at a point of such a support, or at a kink.
"""

from .cells import covering
from .kappa import Row, kappa_tau, order_source

ORDER = ("routing", "gate", "expert", "expert_worst", "cell_mean")


def function_rows(G0, groups, cells):
    """Rows of `hmoe_stats.theory.rates` for the errors of `hmoe_stats.functional_errors`, in order."""
    rows = []
    if G0.n_experts > 1:
        rows.append((0, "", 0, Row("routing", "function", 1.0)))
    if G0.k1 > 1:
        rows += [(1, "exact" if m == 1 else "over", m, Row("gate", "function", 1.0)) for m in {m for m, _ in groups}]
    for kind, m in {(covering(cell), cell.m) for cell in cells}:
        floor = "; for a fixed floor of weights, which displaced experts can pass" if m > 1 else ""
        rows.append((2, kind, m, Row("expert", "function", kappa_tau(m), source=order_source(m))))
        rows.append((2, kind, m, Row("expert_worst", "function", kappa_tau(m), source=order_source(m) + floor)))
        rows.append((2, kind, m, Row("cell_mean", "function", 1.0)))
        if G0.n_experts > 1:
            rows.append((2, kind, m, Row("gate", "function", 1.0)))
    rows.sort(key=lambda row: (row[0], row[2], row[1], ORDER.index(row[3].parameter)))
    return [(*row[:3], "any", *row[3]) for row in rows]
