"""Exponents of errors of categorical experts, of flat models: one group, its gate, and K experts. Derived (sketch).

An expert and its gate make the unnormalised part u = exp(omega'M(x) + beta) f(c | eta'x + tau), f the softmax of the
logits of the classes. As with Gaussian experts a softmax gate, M(x) = x, interacts: d2u/d omega d tau = du/d eta. But
no second derivative in tau alone is one of the first order, as d2/d tau^2 = 2 d/d nu is there. Where some class has eta
other than 0, the probabilities P(x) of the expert are no polynomials, and d2f/d tau_c d tau_e has products P_c P_e that
first derivatives lack: the family is strongly identifiable to the second order. In a cell of m >= 2 copies the weighted
squares of all differences are then O(h), h the Hellinger distance:

- omega, eta, tau: kappa = 2, whatever m, and no less: two copies t apart about their mean have h of the order t^2. A
  centre under a Laplace gate: 3/2 for d = 1, from the moving kink, as there.
- barycentres and masses: 1. That of eta is O(h) less the mean of the products of omega and tau, which are O(h): the
  interaction costs nothing here. Gates, cell means and routing as functions: 1; experts over the cell: 2.

*A constant expert*, eta = 0 for all classes, is another matter, under every gate. Two copies of it with the gate of the
truth say w f(tau_1) + (1 - w) f(tau_2), a constant again: any tau_1, tau_2 and w with that mean write the truth. So
tau, its barycentre and the expert over a split cell are not identified, kappa = inf, and no gate can help: to transform
its input takes the interaction away and leaves this. omega keeps its 2 (3/2), as the sum over classes is the gate.
eta is open: copies whose slopes and probabilities bend against each other cancel to the second order, so that kappa is
at least 3; and of two classes that are equally likely, copies (tau, eta) and (-tau, -eta) of equal weight have the mean
1/2 for every x: there eta is not identified either.

In cells of one all is 1, constant or not, edges of the support aside: u, xu, df/d tau, x df/d tau are independent.
"""

import numpy as np

from ..gates import of
from .cells import Shared, kinds, regime
from .kappa import Row, kappa_gate

CONSTANT = "constant"  # regime of the cells of an expert without slopes
PAPER = "arXiv 2310.14188, abstract: slower than any polynomial where expert parameters vanish"
_SKETCH = ("derived", "derived (sketch)")
_FREE = "derived: copies of a constant expert with the same mean write the same density"


def class_rows(G0, ways, gating, form, support):
    """Rows of `hmoe_stats.theory.rates`, of parameters and of functions; in the published form what a paper states."""
    constant = np.abs(G0.eta).max(axis=(1, 2)) == 0
    cells = [cell for cell in kinds(G0, ways, gating, support)[1] if not isinstance(cell, Shared)]
    rows, functions = [], [(0, "", 0, "any", *Row("routing", "function", 1.0, *_SKETCH))] if G0.n_experts > 1 else []
    for cell in cells:
        words = {CONSTANT if there and cell.m > 1 else regime(cell) for there in set(constant.tolist())}
        place = 2, "exact" if cell.m == 1 else "over", cell.m
        for word in sorted(words):
            if form == "published":
                rows += [(*place, word, *row) for row in _published(word, gating)]
                continue
            rows += [(*place, word, *row) for row in _of_cell(cell, word, gating, G0.d)]
            functions += [(*place, word, *row) for row in _functions(cell, word, G0)]
    return rows, functions if form != "published" else []


def _published(word, gating):
    if word != CONSTANT or not of(gating)[1].interaction == 1:
        return []
    return [Row(name, "weighted", np.inf, "as reported", PAPER) for name in ("eta", "tau")]


def _of_cell(cell, word, gating, d):
    m, edge = cell.m, cell.regime == "edge"
    if cell.regime == "unidentified":
        free = "derived: a common factor of all gates is not seen"
        open_ = ("open", "a lower bound; not worked out where gates are not identified")
        rows = [Row(name, "weighted", 2.0, *open_) for name in ("eta", "tau")]
        return [Row("omega", "weighted", np.inf, source=free), *rows]
    omega = [Row("omega", "weighted", kappa_gate(m, 2, gating, d, edge=edge), *_SKETCH)] if cell.gated else []
    mass = [Row("beta", "mass", 1.0, *_SKETCH)] if cell.gated else []
    if m == 1:
        return [*omega, *mass, *(Row(name, "weighted", 1.0, *_SKETCH) for name in ("eta", "tau"))]
    mean = [Row("omega", "barycentre", 1.5 if edge else 1.0, *_SKETCH)] if cell.gated else []
    if word == CONSTANT:
        bends = ("open", "derived lower bound: copies that bend against each other")
        tau = [Row("tau", kind, np.inf, source=_FREE) for kind in ("weighted", "barycentre")]
        return [*omega, *mean, *mass, Row("eta", "weighted", 3.0, *bends), *tau]
    both = [Row(n, kind, k, *_SKETCH) for n in ("eta", "tau") for kind, k in (("weighted", 2.0), ("barycentre", 1.0))]
    return [*omega, *mean, *mass, *both]


def _functions(cell, word, G0):
    kappa = 1.0 if cell.m == 1 else np.inf if word == CONSTANT else 2.0
    how = ("derived", _FREE) if np.isinf(kappa) else _SKETCH
    rows = [Row(name, "function", kappa, *how) for name in ("expert", "expert_worst")]
    rows.append(Row("cell_mean", "function", 1.0, *_SKETCH))
    return rows + ([Row("gate", "function", 1.0, *_SKETCH)] if G0.n_experts > 1 else [])
