"""What a fitted shape identifies of a truth, given the law of the covariates: the one answer that every room asks for.

Let a gate have true components j with scores s_j(x), of which m_j fitted ones are copies. The density is that of the
truth if and only if, on the support of x,

    sum of exp(score) over the m_j fitted components = R(x) exp(s_j(x)) for every j,

with one common positive factor R. The gate is identified if this leaves only R = const (softmax: log R affine), and all
copies where the true component is.

- *Softmax.* With every m_j >= 2, R = 1 + exp(s'x) does it for any s: each component, and a copy of it s further on. If
  some m_j is 1, log R is affine, and as exponentials are linearly independent all copies agree: identified.
- *Laplace.* In one dimension a centre beyond an edge of the support has the gate of one on it, so centres are clipped
  first. If the centres then differ, the gate is identified *whatever the m_j*. Sums F of kernels exp(-|x - c|) have
  logarithms that bend downwards only, by 2 at most, and by 2 only if all of F sits there; their slopes lie in [-1, 1].
  If centre c_j is inside, R must not bend downwards at c_j (it is F_j over a kernel that bends there by 2), nor upwards
  (it is F_l over a kernel smooth there): so F_j bends by 2, is one kernel, and R is constant. If none is inside, some
  are on each edge, and F_j = exp(2x + const) F_l leaves only the slopes 1 and -1, and R is constant again. For d >= 2
  both sides are analytic but for the centres, so that the equations hold in all of space, and the cone at a centre
  argues as the bend. If all centres coincide (on the support), the gate is a constant: it does not say where they are.
- A gate of *one* true component is a constant; fitted with several copies it is not identified.

A centre on an edge, or beyond, is identified more weakly than one inside: a copy pulled in by s changes its gate by 2s
on a window of width s only, so that h is of the order s^(3/2), also where it is the only copy (`at_edge`).

All this takes a support with interior (`Support.thin`), experts that differ (`equal_experts`), and groups that cannot
be exchanged (`regroupable`). Source: derived.
"""

from typing import NamedTuple

import numpy as np

from .gates import GATES, of
from .sampling import Empirical, as_law

FEW = 20  # a covariate with fewer values has no interior to speak of: polynomials and exponentials on it are not free
DOUBLED = "all can be split at once"
_SAME = 1e-9  # gates written in canonical form that differ by less are the same


class Support(NamedTuple):
    """Where covariates lie: a box, and why its law has no interior there, if it has none."""

    low: np.ndarray  # (d,)
    high: np.ndarray  # (d,)
    thin: str = ""


class Gate(NamedTuple):
    """What one way of fitting identifies of one gate of a truth."""

    level: int
    group: int  # the true group at level 2; -1 at level 1
    true: int  # true components
    fitted: int
    identified: str  # "always", "never", or "not always": it depends on how many copies each component gets
    tilted: int  # the most copies of a component under which a gate without centres is not identified; else 0
    why: str  # in words, where it is not "always"


def support_of(x, d):
    """The `Support` of a covariate law or array; all of space if `x` is None."""
    if x is None:
        return Support(np.full(d, -np.inf), np.full(d, np.inf))
    law = as_law(x)
    return Support(*law.support(d), _thin(law.x) if isinstance(law, Empirical) else "")


def _thin(X):
    for c, column in enumerate(X.T):
        values = np.unique(column).size
        if values < FEW:
            return f"covariate {c} takes {values} values only"
    return "" if np.linalg.matrix_rank(X - X.mean(axis=0)) == X.shape[1] else "the covariates lie in a hyperplane"


# -- one gate: `letter`, `slopes` (m, d) of its true components, and how many copies of each are fitted ---------------
def on_support(letter, slopes, support):
    """Slopes or centres (m, d) as the density sees them: Laplace centres clipped to the support where d = 1."""
    return GATES[letter].on_support(slopes, support.low, support.high)


def at_edge(letter, slopes, support):
    """(m,) bool: Laplace centres on an edge of the support or beyond it (d = 1), in a gate whose centres differ."""
    if slopes.shape[1] > 1 or not centres_differ(letter, slopes, support):
        return np.zeros(len(slopes), dtype=bool)
    return ((slopes <= support.low) | (slopes >= support.high))[:, 0]


def centres_differ(letter, slopes, support):
    """Whether a gate tells its components apart by where their centres are, however many copies are fitted."""
    seen = on_support(letter, slopes, support)
    return bool(GATES[letter].located and (seen != seen[0]).any())


def gate_identified(letter, slopes, copies, support):
    """Whether a gate is identified if its components have so many fitted copies each."""
    copies = np.asarray(copies)
    if len(slopes) == 1:
        return bool(copies.max() <= 1)
    if support.thin and copies.max() > 1:
        return False
    return centres_differ(letter, slopes, support) if GATES[letter].located else bool(copies.min() < 2)


def shares_vary(letter, slopes, copies, support):
    """Whether the shares that copies have of their component can vary with x at no cost: R is not constant."""
    return bool(np.min(copies) > 1 and not centres_differ(letter, slopes, support))


def averages_out(letter, slopes, n_groups, support):
    """Whether `n_groups` fitted groups leave the gate of their true group unidentified although each has its size.

    They do if two of its experts have equal slopes (centres): the ratio of their gates is a constant, and a constant is
    the mean over the fitted groups of other constants.
    """
    seen = on_support(letter, slopes, support)
    return n_groups > 1 and len(np.unique(seen, axis=0)) < len(seen)


# -- a truth and a fitted shape ---------------------------------------------------------------------------------------
def covers(true, fitted):
    """Every way to give all fitted groups true ones that they cover: {((sizes of the first's fitted groups), ...)}.

    A fitted group covers a true one if it has at least as many experts.
    """
    ways = {((),) * len(true)}
    for size in sorted(fitted):
        moves = ((way, j) for way in ways for j in range(len(true)) if true[j] <= size)
        ways = {(*way[:j], (*way[j], size), *way[j + 1 :]) for way, j in moves}
    return {way for way in ways if all(way)}


def gates(G0, k2, x=None):
    """What `k2` fitted experts a group identify of the gates of a truth.

    Parameters
    ----------
    G0 : MixingMeasure
    k2 : sequence of int
    x : Uniform, Normal or (n, d) array, optional
        Law of the covariates; without it, one whose support is all of space.

    Returns
    -------
    list of Gate
        That of level 1, and those of the groups, once for each size of fitted group that can cover them; none if `k2`
        does not cover `G0`.
    """
    support, ways = support_of(x, G0.d), covers(G0.k2, k2)
    pairs = {(i, size) for way in ways for i, sizes in enumerate(way) for size in sizes}
    found = [_gate(1, -1, G0.gating[0], G0.a, [[len(sizes) for sizes in way] for way in ways], support)] if ways else []
    for i, size in sorted(pairs):
        true = G0.k2[i]
        spare = [size - true + 1, size - 2 * (true - 1)]  # for one expert, if all others have one copy, or two
        copies = [[spare[0]] + [1] * (true - 1)] + [[spare[1]] + [2] * (true - 1)] * (spare[1] > 1)
        found.append(_gate(2, i, G0.gating[1], G0.omega[G0.group == i], copies, support))
    return found


def _gate(level, group, letter, slopes, ways, support):
    """The answer for one gate of which so many copies can be fitted, in several ways."""
    answers = {gate_identified(letter, slopes, copies, support) for copies in ways}
    identified = "not always" if len(answers) == 2 else "always" if answers.pop() else "never"
    doubled = [max(copies) for copies in ways if min(copies) > 1]
    why = ""
    if identified != "always":
        if GATES[letter].located and len(slopes) > 1 and not centres_differ(letter, slopes, support):
            why = f"its {GATES[letter].name} centres coincide on the support"
        else:
            why = DOUBLED if doubled else support.thin
    tilted = 0 if GATES[letter].located else max(doubled, default=0)
    return Gate(level, group, len(slopes), sum(ways[0]), identified, tilted, why)


def equal_experts(G0):
    """Pairs (e, f) of experts, counted over the whole tree, that have the same line and variance."""
    experts = np.column_stack([G0.eta, G0.tau, G0.nu])
    pairs = zip(*np.triu_indices(G0.n_experts, 1), strict=True)
    return [(int(e), int(f)) for e, f in pairs if (experts[e] == experts[f]).all()]


def regroupable(G0, x=None):
    """Groups (i, j) whose experts can be grouped otherwise at no cost, as their gates are alike up to labels.

    Two softmax groups under a softmax level 1, of the same size above 1: their leaves are one flat softmax. Or all
    groups, Laplace under Laplace: the gate is a product of the two levels, and these can change places.
    """
    first, second = of(G0.gating)
    if first is not second or G0.k1 == 1:
        return []
    support = support_of(x, G0.d)
    written = G0.canonical(support=(support.low, support.high))
    gates = [np.column_stack([written.omega, written.beta])[G0.group == i] for i in range(G0.k1)]
    gates = [gate[np.lexsort(np.round(gate, 9).T)] for gate in gates]
    pairs = [
        (i, j) for i, j in zip(*map(np.ndarray.tolist, np.triu_indices(G0.k1, 1)), strict=True)
        if len(gates[i]) == len(gates[j]) > 1 and np.allclose(gates[i], gates[j], rtol=0, atol=_SAME)
    ]  # fmt: skip
    return pairs if not first.located or len(pairs) == G0.k1 * (G0.k1 - 1) // 2 else []
