"""What an optimum is worth: why it may be no estimate, which gates run to infinity, and what else to pause over.

The likelihood of a Gaussian mixture is unbounded, and beside its poles it has *spurious* maxima: an expert that found a
few rows near a line and shrank onto them (McLachlan and Peel 2000, section 3.10). Nothing in their first-order
conditions gives them away. Here an expert, or a set of experts at once, is called spurious if

1. most of its rows would, without it, go to experts with variances of more than ten times its own, and
2. what it adds to the log-likelihood, sum_i log p(y_i | x_i) - log p_without(y_i | x_i), where the other experts take
   its gate weight in proportion to theirs, is no more than chance may give: log n for each of its 2d + 3 parameters.

The second is what a search over rows finds where nothing is: a parameter of an expert, or of its gate, can be put at
about n distinguishable places, so that the largest of n^(2d + 3) gains, each of which exceeds t with a probability of
about exp(-t), is about (2d + 3) log n. No constant is tuned. `benchmarks/spurious.csv` counts what it does on samples
of known truths, some of which have experts of tiny variance.
"""

from itertools import pairwise

import numpy as np

from .. import kernels
from ..conditional import log_joint
from ..matching import expert_distances
from ..sampling import Empirical
from .rows import batches, total, weights_of

PROPORTION = 0.1  # of their variances: on a row that is not its own such an expert loses 3 nats and more
SMALL = 0.01  # of the mean variance of rows: such an expert is named in a warning, however good its reasons
STEP = 8.0  # in log-odds, between the two likeliest components in every row: a gate that separates the data
PRESSING = 0.1  # log-likelihood that a standard unit beyond a bound of the default box promises, to be worth a warning
CLOSE = 1.0  # distance of two experts, in standard deviations, at which they are named
FEW = 2000  # covariates that distances of experts are averaged over
FREEDOM = 4  # degrees of freedom of a variance: with fewer it comes out below a tenth of its value in 1 of 25 cases


def flaw(problem, z):
    """Why the optimum at z is no estimate, in words; "" if it is one.

    An expert may lie nearest to another group's expert of the start (local fits) and, unless the caller bounds the
    variances, have a variance on the default floor, hold a handful of rows, or be spurious.
    """
    if not problem.bounds_variances and problem.on_floor(z).any():
        return "an expert's variance lies on the default floor"
    if not problem.is_home(z):
        return "an expert lies nearest to another group's expert of the start"
    if problem.bounds_variances:
        return ""  # every point of a stated box is an estimate
    return "; ".join(doubts(problem, z))


def doubts(problem, z):
    """What the data say against the experts at z, a string for each: handfuls of rows, and spurious experts."""
    return list(_doubted(problem, z)[0].values())


def _doubted(problem, z):
    """The `doubts`, by the experts that they name, and the rows (K,) that each expert holds."""
    *_, nu, _ = args = problem.kernel_args(z)
    held = 0.0
    for rows in batches(problem.rows):
        r = kernels.responsibilities(problem.X[rows], problem.y[rows], args, 0.0)[1]
        held += total(r.T, weights_of(problem.weights, rows))
    said = {}
    least = problem.d_expert + 1 + FREEDOM
    for j in np.flatnonzero(held < least):
        said[j,] = f"too few for a variance of its own (at least {least})"
    for experts, gain, bound, ratio in _spurious(problem, args):
        said[experts] = (
            f"1/{ratio:.0f} of that around, and the log-likelihood owes {gain:.1f} to it, where chance may give "
            f"{bound:.1f}"
        )
    return {experts: f"{_of(problem, experts, held, nu)}: {why}" for experts, why in sorted(said.items())}, held


def _of(problem, experts, held, nu):
    """Some experts in words, with their rows and variances."""
    some, unit = list(experts), problem.y_scale**2
    return (
        f"expert{'s' * (len(some) > 1)} {', '.join(map(str, some))} with {held[some].sum():.1f} of {problem.n:.12g} "
        f"rows and variance {' '.join(f'{unit * v:.3g}' for v in nu[some])}"
    )


def _spurious(problem, args):
    """(experts, what they add, what chance may add, how many times their variance the one around is) of the spurious.

    Looked at are single experts, and each with all those that are as concentrated: copies of one would cover up for
    each other.
    """
    *_, nu, _ = args
    chosen = []
    for j in np.flatnonzero(nu < PROPORTION * nu.max()):
        wide = nu * PROPORTION > nu[j]
        chosen += [(np.arange(nu.size) == j, wide), (~wide, wide)]
    held, gain, taken, around = np.zeros((4, len(chosen)))
    for rows in batches(problem.rows) if chosen else ():
        weights = weights_of(problem.weights, rows)
        weight, joint = log_joint(problem.gates, problem.X[rows], problem.y[rows], args)
        whole = _log_sum_exp(joint)
        for k, (mask, wide) in enumerate(chosen):
            others = _log_sum_exp(joint[:, ~mask])
            gain[k] += total((whole - others + _log_sum_exp(weight[:, ~mask]))[:, 0], weights)
            r = np.exp(joint[:, mask] - whole).sum(axis=1)
            heirs = (r if weights is None else weights * r) @ np.exp(joint[:, wide] - others)
            held[k] += total(r, weights)
            taken[k] += heirs.sum()
            around[k] += heirs @ np.log(nu[wide])
    found = {}
    for k, (mask, _) in enumerate(chosen):
        experts, bound = tuple(np.flatnonzero(mask).tolist()), mask.sum() * problem.per_expert * np.log(problem.n)
        known = any(set(some) <= set(experts) for some in found)  # a set says no more than its member does
        if taken[k] > 0.5 * held[k] and gain[k] <= bound and not known:
            ratio = np.exp(around[k] / taken[k]) / nu[mask].max()
            found[experts] = experts, gain[k], bound, ratio
    return list(found.values())


def _log_sum_exp(terms):
    """log of the sum of exp over axis 1, (n, 1): SciPy's takes four times as long, and the certificate little else."""
    top = terms.max(axis=1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):  # the log of 0 is -infinity
        return top + np.log(np.exp(terms - top).sum(axis=1, keepdims=True))


def warnings(problem, z, gradient):
    """All that should make a reader pause over the optimum at z, whatever its box: a tuple of sentences.

    Experts that the data speak against (`doubts`), or of small variance; gates that separate the data; bounds that
    nobody stated and that matter, by the gradient at z; experts that nearly coincide.
    """
    said, held = _doubted(problem, z)
    *_, nu, _ = problem.kernel_args(z)
    named, usual = {expert for experts in said for expert in experts}, held @ nu / held.sum()
    small = [j for j in np.flatnonzero(nu < SMALL * usual) if j not in named]
    ridge = problem.penalty is not None and problem.penalty.holds_gates
    why = (
        "the penalty alone keeps its slopes finite" if ridge else "softmax slopes are as large as the box lets them be"
    )
    return (
        *said.values(),
        *(f"{_of(problem, [j], held, nu)}: 1/{usual / nu[j]:.0f} of the mean variance of rows" for j in small),
        *(
            f"{name}: {why}, with log-odds of {lead:.1f} or more in every row"
            for name, lead in _leads(problem, z).items()
            if lead > STEP
        ),
        *_pressed(problem, z, gradient),
        *close(problem.inside(problem.to_measure(z)), problem.X),
    )


def _pressed(problem, z, gradient):
    """Bounds of the default box that matter, in words."""
    matter = problem.active(z, gradient) & ~problem.stated & (np.abs(gradient) > PRESSING)
    names, values = problem.to_measure(z).parameter_names(), problem.to_measure(z).to_vector()
    return [
        f"{names[k]} = {values[k]:.4g} lies on the default box, and the log-likelihood still rises there, by "
        f"{abs(gradient[k]):.2g} over a standard unit"
        for k in np.flatnonzero(matter)
    ]


def close(G, X):
    """Pairs of experts of G that nearly coincide on covariates X (n, d), in words."""
    law = Empirical(X[:: max(1, len(X) // FEW)])
    G = G.wide()
    distance = expert_distances(G, G, law)
    distance = np.minimum(distance, distance.T)
    return tuple(
        f"experts {e} and {f} are {distance[e, f]:.2g} standard deviations apart"
        for e, f in zip(*np.triu_indices(G.n_experts, 1), strict=True)
        if distance[e, f] < CLOSE
    )


def separated(problem, z):
    """Names of gates whose slopes cut the data cleanly: they run to infinity, and the box alone stops them."""
    return tuple(name for name, lead in _leads(problem, z).items() if lead > STEP)


def _leads(problem, z):
    """By what the likeliest component of each gate with slopes leads in log-odds, in the row where it leads least."""
    (first, second), (_, _, off, a, b, omega, beta, *_) = problem.gates, problem.kernel_args(z)
    parts = [("a", first, a, b)]
    parts += [(f"omega, group {i}", second, omega[lo:hi], beta[lo:hi]) for i, (lo, hi) in enumerate(pairwise(off))]
    out = {}
    for name, gate, slopes, intercepts in parts:
        if not gate.located and intercepts.size > 1:
            lead = np.inf
            for rows in batches(problem.rows):
                top_two = np.sort(gate.scores(problem.X[rows], slopes) + intercepts, axis=1)[:, -2:]
                lead = min(lead, (top_two[:, 1] - top_two[:, 0]).min())
            out[f"{name} (the gate separates the data)"] = lead
    return out
