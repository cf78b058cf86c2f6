"""Which parameters a fit has: those of its measure, less what only the writing of a density decides.

Every gate is written *relative to its last component*, as multinomial regressions are: intercepts, and the slopes of
softmax and quadratic gates, are differences to those of the last group, or of the last expert of a group, whose own
are 0 and no parameters. For d = 1 Laplace centres beyond the data are written as ones just beyond, which is the same
density there: how far they are is not seen. Neither are gates of one component parameters, nor slopes on constant
columns of X, nor what the box of the fit holds at one value.

As the density does not change along the translations, derivatives in these coordinates are the derivatives in the
entries of `MixingMeasure.to_vector` that are kept.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..measure import WIDE, MixingMeasure
from ..names import given

BOUND, BEYOND = "on a bound", "beyond the data"
JUST = 1e-6  # of the range of x: where centres beyond it are written; on the edge itself a kink would meet a row


@dataclass(frozen=True)
class Coordinates:
    """The parameters of a fit, q of the p entries of `to_vector`, and which of them cannot move.

    Attributes
    ----------
    measure : MixingMeasure
        The fitted density, written relative to the last components.
    index : ndarray of int, (q,)
        Where the parameters stand in `to_vector`.
    names : tuple of str, (q,)
    constraints : ndarray, (c, q)
        Combinations of parameters that bounds hold.
    held : dict
        Name of a parameter -> `BOUND` or `BEYOND`.
    support : pair of ndarray, (d_gate,)
        Where Laplace centres are written if gates see one column: the range of x and a little more.
    """

    measure: MixingMeasure
    index: np.ndarray
    names: tuple
    constraints: np.ndarray
    held: dict
    support: tuple

    @property
    def values(self):
        """(q,) the estimates."""
        return self.measure.to_vector()[self.index]

    def at(self, values):
        """The measure with other values of the parameters, (q,)."""
        vector = self.measure.to_vector()
        vector[self.index] = values
        return self.measure.with_vector(vector)

    @property
    def experts(self):
        """(q,) the expert that each parameter is of; -1 for those of level 1."""
        G = self.measure
        places = G.slices
        sizes = {name: places[name].stop - places[name].start for name in places}
        owners = [np.full(sizes["a"] + sizes["b"], -1)]
        owners += [np.arange(sizes[name]) // (sizes[name] // G.n_experts) for name in list(places)[2:]]
        return np.concatenate(owners)[self.index]

    def of(self, G):
        """(q,) values of the parameters of another measure of this gating and shape, labels as they are."""
        return relative(G, self.support).to_vector()[self.index]


def coordinates(fit, X):
    """The `Coordinates` of a fit on covariates X (n, d)."""
    low, high = X.min(axis=0), X.max(axis=0)
    G, constant, seen = fit.measure, low == high, fit.measure.columns("a")
    still, of_gates = constant[G.columns("eta")], constant[seen]
    low, high = low[seen], high[seen]
    pad = JUST * (high - low)
    support = low - pad, high + pad
    names = np.array(G.parameter_names(given(fit.x_names)))
    parts, kept, translated = G.gate_parts(), np.ones(names.size, dtype=bool), []
    where = {name: np.arange(names.size)[place] for name, place in G.slices.items()}
    wide = {name: where[name].reshape(getattr(G, name).shape) for name in WIDE}
    kept[wide["eta"][:, still]] = False
    for name, (least, most) in fit.bounds.items():
        kept[where["log_nu" if name == "nu" else name]] &= least < most
    for slopes, intercepts, lo, hi, gate in parts:
        a, b = wide[slopes][lo:hi], where[intercepts][lo:hi]
        kept[b[-1]] = False
        translated.append(b)
        if hi - lo == 1:
            kept[a] = False
        elif gate.translates:
            kept[a[-1]] = kept[a[:, of_gates]] = False
            translated += list(a.T)
        else:
            kept[a[:, gate.scale_over(len(seen)) == 0]] = False
    index = np.flatnonzero(kept)

    beyond = _beyond(G, low, high)
    pressed = np.isin(names, fit.active_bounds) & ~beyond
    rows, on_bound = [np.empty((0, index.size))], pressed[index].copy()
    for entries in translated:  # of those that press, differences cannot grow
        rows += [_difference(index, pair) for pair in pairwise(entries[pressed[entries]])]
        pressed[entries] &= pressed[entries].sum() == 1
    rows.append(np.eye(index.size)[pressed[index]])
    held = {str(names[i]): BEYOND for i in index[beyond[index]]}
    held |= {str(names[i]): BOUND for i in index[on_bound]}
    names = tuple(names[index].tolist())
    return Coordinates(relative(G, support), index, names, np.concatenate(rows), held, support)


def relative(G, support=None):
    """The density of G, written relative to the last component of every gate, and clipped to a support (low, high)."""
    fields = {name: getattr(G, name).copy() for name in ("a", "b", "omega", "beta")}
    for slopes, intercepts, lo, hi, gate in G.gate_parts():
        a, b = fields[slopes][lo:hi], fields[intercepts][lo:hi]
        if support is not None and hi - lo > 1:
            a, b = gate.clipped(a, b, *support)
        fields[slopes][lo:hi], fields[intercepts][lo:hi] = gate.relative(a, b)
    return G.replace(**fields)


def centring(G, index, X_mean, feature_means):
    """(q, q): parameters as functions of those whose intercepts are seen from the middle of the covariates.

    Parameters
    ----------
    G : MixingMeasure
    index : ndarray of int, (q,)
    X_mean : ndarray, (d_expert,)
        Of the columns that experts see.
    feature_means : pair of ndarray, (d_gate,)
        Means of the features of the gates of either level.
    """
    p = G.n_parameters
    out, places = np.eye(p), np.arange(p)
    where = {name: places[place] for name, place in G.slices.items()}
    levels = [("a", "b", m) for m in feature_means[:1]] + [("omega", "beta", m) for m in feature_means[1:]]
    for (slopes, intercepts, middle), gate in zip(levels, G.gates, strict=True):
        if not gate.located:
            out[where[intercepts][:, None], where[slopes].reshape(getattr(G, slopes).shape)] = -middle
    out[where["tau"][:, None], where["eta"].reshape(G.eta.shape)] = -X_mean
    return out[np.ix_(index, index)]


def _beyond(G, low, high):
    """(p,) bool: Laplace centres on an edge of the data or beyond (d = 1)."""
    marks = {name: np.zeros(getattr(G, name).shape) for name in ("a", "b", "omega", "beta", "eta", "tau", "nu")}
    for slopes, _, lo, hi, gate in G.gate_parts():
        if hi - lo > 1:
            own = getattr(G, slopes)[lo:hi]
            marks[slopes][lo:hi] = gate.beyond(own, low, high)
    return np.concatenate([mark.ravel() for mark in marks.values()]) > 0


def _difference(index, pair):
    return ((index == pair[0]).astype(float) - (index == pair[1]))[None]
