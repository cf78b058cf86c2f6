"""Identifiability of a mixing measure in words and numbers: what a fit or a study can estimate, and what it cannot.

Each finding is a sentence with the number it rests on. Which gates are unidentified when more experts are fitted,
`hmoe_stats.identify` says; the rest follows from the measure and the covariate law.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space

from . import identify
from .arguments import check_k2
from .categorical import as_of_any_family
from .frames import as_covariates
from .kinds import AnyMeasure, Frame, Law, Shape
from .matching import expert_distances
from .quadrature import Average, nodes
from .sampling import as_law
from .theory.derivatives import gates
from .theory.kappa import kappa_eta

_SAME, _CLOSE = 0.1, 1.0  # distance of two experts, in standard deviations
_ALIKE, _EQUAL = 0.02, 1e-6  # root mean square difference of gate probabilities
_LITTLE, _NONE = 0.01, 1e-4  # mass of a component
_BEYOND = 0.02  # probability of covariates beyond a Laplace centre
_FAR = 10.0  # distance of a Laplace centre with d > 1, in standard deviations
_SURE, _MIXED, _STEP = 0.99, 0.05, 1e-3  # a gate above the first is sure; probability that it is not
_RATIO = 100.0  # of variances
_WEAK = 1e-5  # information of a row about categorical experts: M2 has 2e-4, a tree of (2, 2) and d = 1 1e-16
# Standard deviations of x, or one over them, at which the unit of x matters: motorcycle data and one gate of two have a
# log-likelihood of -146.7, -116.1 and -100.2 with x in units ten times as large, as it comes and ten times as small.
_UNIT = 5.0
_DRAWS = 20_000  # covariates behind averages where d > 1; their key is fixed
_NEED_X = (
    "exchangeable levels",
    "Laplace centre",
    "Laplace unit",
    "equal centres",
    "close experts",
    "little mass",
    "steep gate",
)


class Finding(NamedTuple):
    """One finding: severity ("serious", "caution", "note"), kind, where, a sentence, its number, and what to do."""

    severity: str
    kind: str
    where: str
    finding: str
    number: float
    advice: str

    def __str__(self):
        return f"{self.severity}: {self.where}: {self.finding}"


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """The findings of `diagnose`, the serious ones first: a sequence of `Finding`, and a table.

    Attributes
    ----------
    findings : tuple of Finding
    """

    findings: tuple

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, i: int) -> Finding:
        return self.findings[i]

    def kinds(self) -> tuple[str, ...]:
        """The kinds of the findings, each once."""
        return tuple(dict.fromkeys(f.kind for f in self.findings))

    def to_frame(self) -> Frame:
        """DataFrame: severity, kind, where, finding, number, advice."""
        import pandas as pd

        return pd.DataFrame(list(self.findings), columns=Finding._fields)

    def __repr__(self):
        return "\n".join(f"{f}. Advice: {f.advice}." for f in self) or "No findings."


def diagnose(G: AnyMeasure, k2: Shape | None = None, x: Law | None = None) -> Diagnosis:
    """What stands in the way of estimating a measure.

    Parameters
    ----------
    G : MixingMeasure, CategoricalMeasure, or a fit of either
        A truth, or a fit.
    k2 : sequence of int, optional
        Number of experts that are, or will be, fitted in each group, when `G` is the truth; by default those of `G`.
    x : Uniform, Normal or (n, d) array, optional
        Law of the covariates; a DataFrame, where `G` is the fit to one. Without it a note says what was not looked for.

    Returns
    -------
    Diagnosis
        Findings of these kinds, with the number of each:

        - ``"too few experts"``: `k2` does not cover `G` (experts of k2);
        - ``"unidentified gate"``: with so many fitted experts (level 1: groups) slopes and intercepts of the gate are
          not identified, as every true one can be split at once, its Laplace centres coincide, or x takes few values
          (fitted for each true one);
        - ``"exchangeable levels"``: two softmax groups under a softmax level 1 have the same gate probabilities up to
          labels (root mean square difference over x), which equal or opposite gaps of omega with matching gaps of beta
          bring about: all leaves are then one flat softmax, and can be grouped otherwise;
        - ``"Laplace centre"``: outside the support, at its edge, or far (probability of covariates beyond it; for d > 1
          its distance in standard deviations of x);
        - ``"Laplace unit"``: scores -||x - a|| have slope 1, as no scale is stated, where x has a standard deviation
          far from 1 (that, of the covariate where it is farthest);
        - ``"equal centres"``: a Laplace gate whose centres coincide, or for d = 1 all lie beyond one edge of the range
          (largest distance, in standard deviations of x);
        - ``"close experts"`` (distance, the root of E(gap of means)^2 / nu + (relative gap of nu)^2);
        - ``"little mass"`` (expected gate probability, of an expert within its group);
        - ``"steep gate"``: nearly a step in x (probability that no component has a gate above 0.99);
        - ``"unequal variances"`` (largest over smallest); of categorical experts instead
        - ``"constant expert"``: all its slopes vanish, so that copies of it are not identified (fitted experts over
          those there are), and ``"weak information"``: some direction, translations of gates aside, that the expected
          information of a row hardly sees (its eigenvalue);
        - ``"not looked for"``: x is missing (number of kinds left out).

    Raises
    ------
    ValueError
        If `G` is not a measure, `k2` is not a sequence of positive integers or the law does not fit.

    Notes
    -----
    Thresholds are conventions, stated in the module. Averages over a law with d > 1 use fixed draws.
    """
    law = None if x is None else as_law(as_covariates(G, x))
    G = as_of_any_family("G", G).wide()
    k2 = G.k2 if k2 is None else check_k2(k2)
    found = [*_counts(G, k2, law), *(_constants(G, k2) if G.family.classed else _variances(G))]
    if law is None:
        text = f"x is missing: {', '.join(_NEED_X)} not looked for"
        advice = "give the law of the covariates as x"
        found.append(Finding("note", "not looked for", "covariates", text, float(len(_NEED_X)), advice))
    else:
        if G.family.classed:
            X, weights = Average(law, (G,)).fine
            found += _information(G, X, weights)
        else:
            X, weights = nodes(law, (G,), _DRAWS, seed=0)
        found += _over_x(G, law, X, np.full(len(X), 1.0 / len(X)) if weights is None else weights)
    rank = {"serious": 0, "caution": 1, "note": 2}
    return Diagnosis(tuple(sorted(found, key=lambda f: rank[f.severity])))


# -- counts -----------------------------------------------------------------------------------------------------------
def _counts(G, k2, x):
    """Gates that are not identified once so many experts or groups are fitted."""
    found = identify.gates(G, k2, x)
    if not found:
        text = f"k2 = {k2} does not cover the {G.k2} experts of the measure"
        yield Finding("serious", "too few experts", "k2", text, float(sum(k2)), "fit at least as many as there are")
    for gate in found:
        if gate.identified != "always" and gate.fitted > gate.true:
            yield _unidentified(gate, G)


def _unidentified(gate, G):
    where, things, names = ("level 1", "groups", "a and b") if gate.level == 1 else ("", "experts", "omega and beta")
    verb, severity = ("are", "serious") if gate.identified == "never" else ("can be", "caution")
    text = f"{gate.fitted} {things} fitted on {gate.true}: {gate.why}, and {names} {verb} unidentified"
    if gate.level == 2 and gate.why == identify.DOUBLED and not G.family.classed:
        slowest = 0.5 / kappa_eta(max(gate.tilted, 2), G.gating, tilted=gate.tilted > 0)
        text += f" (eta down to n^(-{slowest:.3g}))"
    advice = f"report neither {names.replace('and', 'nor')}"
    if gate.why == identify.DOUBLED:
        advice = f"fit fewer than {2 * gate.true} {things} here, or {advice}"
    return Finding(severity, "unidentified gate", where or f"group {gate.group}", text, gate.fitted / gate.true, advice)


def _variances(G):
    ratio = float(G.nu.max() / G.nu.min())
    if ratio > _RATIO:
        largest, smallest = _label(G, G.nu.argmax()), _label(G, G.nu.argmin())
        text = f"the variance of {largest} is {ratio:.3g} times that of {smallest}"
        yield Finding("caution", "unequal variances", "experts", text, ratio, "see that the box of nu holds both")


def _constants(G, k2):
    """Categorical experts that do not look at x, fitted with one more: see `hmoe_stats.theory.classes`."""
    more = sum(k2) / G.n_experts
    for e in np.flatnonzero(np.abs(G.eta).max(axis=(1, 2)) == 0):
        if more > 1:
            text = "all its slopes vanish: two copies of it with its mean write the same density, whatever the gate"
            advice = "report probabilities of cells, not of its copies"
            yield Finding("serious", "constant expert", f"expert {_label(G, e)}", text, more, advice)


def _information(G, X, weights):
    """A direction that rows hardly see, of those that are no translations of gates."""
    basis = null_space([np.eye(G.n_parameters)[where].sum(axis=0) for where in G.translations()])
    smallest = float(np.linalg.eigvalsh(basis.T @ G.information(X, weights) @ basis)[0])
    if smallest < _WEAK:
        text = f"the expected information of a row is {smallest:.2g} in some direction"
        advice = "read probabilities of classes: parameters need many more than that many rows to the minus one"
        severity = "serious" if smallest < 1e-4 * _WEAK else "caution"
        yield Finding(severity, "weak information", "parameters", text, smallest, advice)


# -- averages over the covariates -------------------------------------------------------------------------------------
def _over_x(G, law, X, weights):
    first, second = gates(G, X)
    if G.k1 > 1:
        names = [f"group {i}" for i in range(G.k1)]
        yield from _gate(law, "level 1", names, G.gates[0], G.a, first, weights)
    groups = [np.flatnonzero(G.group == i) for i in range(G.k1)]
    for i, leaves in enumerate(groups):
        seen = weights * first[:, i]
        if len(leaves) > 1 and seen.sum() > 0:
            names = [f"expert {i},{j}" for j in range(len(leaves))]
            gate = second[:, leaves]
            yield from _gate(law, f"group {i}", names, G.gates[1], G.omega[leaves], gate, seen / seen.sum())
    one, two = G.gates
    if any(gate.located and m > 1 for gate, m in ((one, G.k1), (two, max(G.k2)))) and (G.laplace_scale == 1.0).all():
        yield from _unit(law, G.d)
    if one is two and not one.located:
        yield from _exchangeable(one, second, groups, weights)
    if one is two and one.located and identify.regroupable(G, law):
        text = "the gates of all groups are alike up to labels, so that the two levels can change places"
        advice = "make the centres of the groups differ: leaves can be grouped otherwise at no cost"
        yield Finding("serious", "exchangeable levels", "all groups", text, 0.0, advice)
    yield from _close_experts(G, law)


def _unit(law, d):
    """Distances per unit of x where that is far from a standard deviation of it."""
    spread = np.sqrt(np.diag(law.cov(d)))
    spread = spread[spread > 0]
    far = np.abs(np.log(spread))
    if far.max(initial=0.0) > np.log(_UNIT):
        sd = float(spread[far.argmax()])
        text = f"scores -||x - a|| fall by 1 a unit of x, which has a standard deviation of {sd:.3g}"
        text += ": fits depend on the unit of x"
        advice = f"state laplace_scale, per unit of x: {1.0 / sd:.3g} makes it 1 a standard deviation"
        yield Finding("caution", "Laplace unit", "Laplace gates", text, sd, advice)


def _gate(law, where, names, gate, slopes, g, weights):
    """Masses, steepness and Laplace centres of one gate of two components or more."""
    mass = weights @ g
    for name, m in zip(names, mass.tolist(), strict=True):
        if m < _LITTLE:
            text = f"{name} has an expected gate probability of {m:.2g}"
            advice = "its parameters need about a hundred rows of its own: raise n, or leave it out"
            yield Finding("serious" if m < _NONE else "caution", "little mass", where, text, m, advice)
    mixed = float(weights @ (g.max(axis=1) < _SURE))
    if (mass > _LITTLE).sum() > 1 and mixed < _MIXED:
        text = f"the gate is nearly a step: one component has a probability above {_SURE} for all but {mixed:.2g} of x"
        advice = "bound the slopes: the likelihood hardly limits them"
        yield Finding("serious" if mixed < _STEP else "caution", "steep gate", where, text, mixed, advice)
    if gate.located:
        yield from _centres(law, where, names, gate, slopes)


def _centres(law, where, names, gate, centres):
    d, support = centres.shape[1], identify.support_of(law, centres.shape[1])
    columns = gate.scale_over(d) > 0
    spread = np.sqrt(np.diag(law.cov(d))[columns].sum()) or 1.0
    seen = gate.on_support(centres, support.low, support.high)
    apart = float(np.linalg.norm(seen[:, None] - seen, axis=2).max() / spread)
    if apart < 1e-3:
        text = f"its Laplace centres coincide (within {apart:.2g} standard deviations of x): where they lie is not seen"
        text += "" if (seen == centres).all() else ", as they are all beyond one edge of the support"
        yield Finding("serious", "equal centres", where, text, apart, "read the gate's probabilities, not its centres")
        return
    inside = _inside(centres, law.support(d))
    for i, (name, centre) in enumerate(zip(names, centres, strict=True)):
        if d > 1:
            far = float(np.linalg.norm((centre - law.mean(d))[columns]) / spread)
            if far > _FAR:
                text = f"the Laplace centre of {name} is {far:.3g} standard deviations from the mean of x"
                advice = "box the centres: from so far the gate is nearly a softmax, of the slope of its distances"
                yield Finding("caution", "Laplace centre", where, text, far, advice)
            continue
        x, weights = law.quadrature(breaks=centre)
        beyond = float(min(weights @ (x < centre), weights @ (x > centre)))
        if not inside[i]:
            text = f"the Laplace centre of {name}, {centre[0]:.4g}, lies outside the support"
            text += ": it is not told from the intercept"
            advice = "clip it (MixingMeasure.canonical), or choose a centre inside"
            yield Finding("serious", "Laplace centre", where, text, beyond, advice)
        elif beyond < _BEYOND:
            text = f"the Laplace centre of {name}, {centre[0]:.4g}, has only {beyond:.2g} of the covariates beyond it"
            advice = "expect a slow start: few rows tell the centre from the intercept"
            yield Finding("caution", "Laplace centre", where, text, beyond, advice)


def _inside(centres, support):
    low, high = support
    return ((centres > low) & (centres < high)).all(axis=1)


def _exchangeable(gate, second, groups, weights):
    """Two groups under gates without centres, of one size whose gate probabilities are the same sets at every x."""
    for i, one in enumerate(groups):
        for j, two in enumerate(groups[:i]):
            if len(one) == len(two) > 1:
                gap = np.sort(second[:, one], axis=1) - np.sort(second[:, two], axis=1)
                alike = float(np.sqrt(weights @ (gap**2).mean(axis=1)))
                if alike < _ALIKE:
                    exact = alike < _EQUAL
                    text = f"their gates are alike up to labels (root mean square difference {alike:.2g}), "
                    text += f"so that all leaves are {'' if exact else 'nearly '}one flat {gate.name}"
                    advice = "make the gaps of omega or beta differ: leaves can be grouped otherwise at no cost"
                    where, severity = f"groups {j} and {i}", "serious" if exact else "caution"
                    yield Finding(severity, "exchangeable levels", where, text, alike, advice)


def _close_experts(G, law):
    distance = expert_distances(G, G, law)
    distance = np.minimum(distance, distance.T)
    for i, j in zip(*np.triu_indices(G.n_experts, 1), strict=True):
        if distance[i, j] < _CLOSE:
            near = float(distance[i, j])
            text = f"they are {near:.2g} {'logits' if G.family.classed else 'standard deviations'} apart over x"
            same = near < _SAME
            advice = "count them as one" if same else "expect slow rates until n is large enough to tell them apart"
            where, severity = f"experts {_label(G, i)} and {_label(G, j)}", "serious" if same else "caution"
            yield Finding(severity, "close experts", where, text, near, advice)


def _label(G, e):
    return f"{G.group[e]},{e - G.offsets[G.group[e]]}"
