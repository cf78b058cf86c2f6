"""What the experts of a fitted model specialise in: measures of routing, of experts and of labels, with intervals.

A model routes a row x to its experts j by the gate's probabilities G_j(x), and given y by the posterior r_j(x, y). E
is the mean over rows, H the entropy, f_j(y | x) the density of expert j; all logarithms are natural, and all but
counts and indices are in nats. At level "experts" j are the leaves; at level "groups" they are the groups of level 1,
with their gate's probabilities and the mixtures that they are of y.

- **routing information**, I(J; X) = H(E G) - E H(G), between 0 and H(E G): how much x tells of the expert. 0 for
  gates that do not depend on x, H(E G) for gates that are steps. It does not ask whether the experts differ: a model
  of K equal experts may route sharply.
- **effective experts**, exp H(E G), between 1 and K: how many share the rows. Not how sharply: constant gates with
  equal weights have K.
- **routing gain**, E log sum_j G_j f_j - E log sum_j (E G_j) f_j: what routing by x adds to the log-density of a row.
  It may be negative on rows that were not fitted. 0 where experts are equal, or gates constant.
- **own-expert advantage**, E sum_j G_j (log f_j - log of the others' mixture), the others weighted by their gates:
  what the expert that x points to knows of y beyond the rest of the model. 0 for equal experts. Rows go by their
  gates, before y is seen: where gates share out rows between experts that are far apart, the rows of one count against
  the others, and it is negative, without a bound. Read it where the routing information is near its upper end.
- **alignment**, I(J; label) with the posterior, between 0 and the entropy of the labels: what the experts tell of
  labels that the fit has not seen. It grows with K by itself; labels that x and y do not carry cannot be found.
- **adjusted Rand index** of the most probable posterior assignment and the labels (Hubert and Arabie 1985): 1 if they
  agree, 0 on average if labels were dealt out anew. It falls where a label is rightly shared by two experts.
- **stability**, the median adjusted Rand index of the assignments of two fits to the halves of the rows
  (`hmoe_stats.selection.stability`), experts and groups apart; that of groups is to be read against ``stability by
  chance``, what it would be if the experts were put into groups at random. A model that gives all rows to one expert
  is perfectly stable, and says nothing: read it with the effective experts.

Intervals are of a bootstrap of rows with the fit as it is: they say how well these rows measure this model, not how
far another sample's fit would be from it. That is what stability asks.

Of categorical experts f_j is the probability of the class that came, and log f_j is at most 0.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, logsumexp

from . import gates
from .arguments import check_data, check_seed, check_weighted_data, check_weights, check_whole, shown
from .categorical import CategoricalMeasure
from .conditional import log_parts
from .fitting.rows import moments
from .frames import as_covariates
from .inference.functionals import check_level
from .kinds import Categorical, Frame, Measure
from .measure import as_measure
from .selection.agreement import adjusted_rand, stability

EXPERTS, GROUPS = "experts", "groups"
INFORMATION, EFFECTIVE = "routing information", "effective experts"
GAIN, ADVANTAGE = "routing gain", "own-expert advantage"
ALIGNMENT, RAND = "alignment", "adjusted Rand index"
STABILITY, CHANCE = "stability", "stability by chance"
UNITS = {EFFECTIVE: "", RAND: "", STABILITY: "", CHANCE: ""}  # of others nats


@dataclass(frozen=True, repr=False, eq=False)
class Specialization:
    """What `specialization` returns.

    Attributes
    ----------
    values : dict
        (level, quantity) -> (value, low, high).
    nobs : float
        Rows, or the sum of their weights.
    level : float
        Of the intervals.
    """

    values: dict
    nobs: float
    level: float

    @property
    def table(self) -> Frame:
        """One row per level and quantity: a DataFrame of level, quantity, value, low, high, unit."""
        import pandas as pd

        rows = [(*key, *found, UNITS.get(key[1], "nats")) for key, found in self.values.items()]
        return pd.DataFrame(rows, columns=["level", "quantity", "value", "low", "high", "unit"])

    def __getitem__(self, key: str | tuple[str, str]) -> float:
        """The value of a quantity, of the experts, or of a pair (level, quantity)."""
        return self.values[(EXPERTS, key) if isinstance(key, str) else key][0]

    def __repr__(self):
        table = self.table.to_string(index=False, float_format=lambda v: f"{v:.4g}", na_rep="")
        return f"Specialization on {self.nobs:.12g} rows, {100 * self.level:g} % intervals over rows\n{table}"


def specialization(
    fit: Measure | Categorical,
    X: ArrayLike,
    y: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    n_boot: int = 200,
    level: float = 0.95,
    refits: int = 0,
    seed: int = 0,
    n_jobs: int = 1,
) -> Specialization:
    """Measure what the experts of a model specialise in; definitions and what each cannot tell stand at the head here.

    Parameters
    ----------
    fit : FitResult, CategoricalResult, MixingMeasure or CategoricalMeasure
    X : array_like, (n, d); (n,) where d = 1
        Rows to measure on: those of the fit, or, for what routing is worth on new ones, others. A DataFrame where the
        fit was to one.
    y : array_like, (n,), optional
        Without it only what the gates say is measured: routing information and effective experts. Labels, where
        experts are categorical.
    labels : array_like, (n,), optional
        Names or numbers of something that rows are of; alignment and adjusted Rand index need y, too.
    weights : array_like, (n,), optional
        How many rows each row counts as.
    n_boot : int
        Samples of rows, drawn with the key `seed`; 0 for no intervals.
    level : float
        Of the percentile intervals.
    refits : int
        Pairs of fits to halves of X and y behind the stability; 0 for none. A measure has no settings to fit by.
    seed : int
    n_jobs : int
        Processes for the refits.

    Returns
    -------
    Specialization

    Raises
    ------
    ValueError
        If an argument does not fit.
    """
    G = getattr(fit, "measure", fit)
    G = (CategoricalMeasure.like if isinstance(G, CategoricalMeasure) else as_measure)("fit", fit)
    level, seed = check_level(level), check_seed(seed)
    n_boot, refits = check_whole("n_boot", n_boot, 0), check_whole("refits", refits, 0)
    if y is None:
        for name, asked in (("labels", labels is not None), ("refits", refits > 0)):
            if asked:
                raise ValueError(f"y must be given where {name} are; got None")
    X, of_y, w = _rows(G, as_covariates(fit, X), y, weights)
    log_weights, joint = G.log_parts(X, of_y) if isinstance(G, CategoricalMeasure) else log_parts(G, X, of_y)
    codes = None if labels is None else _codes(labels, len(X), None if weights is None else np.asarray(weights) > 0)
    models = {EXPERTS: np.arange(G.n_experts)} | ({GROUPS: G.group} if 1 < G.k1 < G.n_experts else {})
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(b"specialization"),)))
    draws = [w] + [_resampled(rng, w) for _ in range(n_boot)]
    values = {}
    for name, owner in models.items():
        gate, both = (_summed(part, owner) for part in (log_weights, joint))
        measured = [_measured(gate, both if y is not None else None, codes, draw) for draw in draws]
        for quantity, value in measured[0].items():
            sample = [one[quantity] for one in measured[1:]]
            tail = 0.5 * (1.0 - level)
            low, high = np.quantile(sample, [tail, 1.0 - tail]) if sample else (np.nan, np.nan)
            values[name, quantity] = value, float(low), float(high)
    if refits:
        values |= _stabilities(fit, X, of_y, w if weights is not None else None, refits, seed, n_jobs)
    return Specialization(values, float(w.sum()), level)


def _rows(G, X, y, weights):
    """The rows that count, with zeros where there is no y or codes of classes, and how often, (n,)."""
    if y is None:
        X, _ = check_data(X, np.zeros(len(X)), G.d)
        w = check_weights(weights, len(X), ("X", X))
        w = np.ones(len(X)) if w is None else w
        return X[w > 0], np.zeros(np.count_nonzero(w), int), w[w > 0]
    data = G.rows(X, y, weights) if isinstance(G, CategoricalMeasure) else check_weighted_data(X, y, weights, G.d)
    X, y, w = data
    return X, y, np.ones(len(y)) if w is None else w


def _codes(labels, n, kept):
    """Labels as numbers from 0, (n,), of the rows that count."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or len(labels) != (n if kept is None else kept.size):
        raise ValueError(f"labels must be one a row of X; got {shown(labels)}")
    labels = labels if kept is None else labels[kept]
    if any(label is None or label != label for label in labels.tolist()):
        raise ValueError("labels must be no missing values; got some")
    return np.unique(labels.astype(str) if labels.dtype == object else labels, return_inverse=True)[1]


def _resampled(rng, w):
    """Weights of as many rows drawn with replacement, each with its own."""
    return w * np.bincount(rng.integers(w.size, size=w.size), minlength=w.size)


def _summed(logs, owner):
    """Logarithms (n, K) summed over the experts of each owner."""
    if owner.size == owner.max() + 1:
        return logs
    return np.stack([logsumexp(logs[:, owner == g], axis=1) for g in range(owner.max() + 1)], axis=1)


def _measured(log_weights, joint, codes, w):
    """quantity -> value, of rows that count w times (n,).

    The logarithms of gates and of gates times densities are (n, m).
    """
    share, gate = w / w.sum(), np.exp(log_weights)
    mean = share @ gate
    out = {
        INFORMATION: float(entr(mean).sum() - share @ entr(gate).sum(axis=1)),
        EFFECTIVE: float(np.exp(entr(mean).sum())),
    }
    if joint is None:
        return out
    whole = logsumexp(joint, axis=1)
    density = joint - log_weights
    with np.errstate(divide="ignore"):
        unrouted = logsumexp(density + np.log(mean), axis=1)
    out[GAIN] = float(share @ (whole - unrouted))
    out[ADVANTAGE] = float(share @ _advantage(gate, log_weights, joint, density)) if joint.shape[1] > 1 else np.nan
    if codes is not None:
        r = np.exp(joint - whole[:, None])
        table = np.stack([share * (codes == c) @ r for c in range(codes.max() + 1)])
        out[ALIGNMENT] = float(entr(table.sum(axis=0)).sum() + entr(table.sum(axis=1)).sum() - entr(table).sum())
        out[RAND] = adjusted_rand(r.argmax(axis=1), codes, w)
    return out


def _advantage(gate, log_weights, joint, density):
    """(n,) sum_j G_j (log f_j - log of the others' mixture)."""
    out = np.zeros(len(gate))
    for j in range(gate.shape[1]):
        others = np.delete(np.arange(gate.shape[1]), j)
        mixture = logsumexp(joint[:, others], axis=1) - logsumexp(log_weights[:, others], axis=1)
        out += gate[:, j] * (density[:, j] - mixture)
    return out


def _stabilities(fit, X, y, weights, refits, seed, n_jobs):
    """The medians of `selection.stability`, with their 80 % ranges for intervals."""
    settings = dict(getattr(fit, "settings", {}))
    if settings.pop("estimator", None) != "fit":
        raise ValueError("fit must be one of hmoe_stats.fit where refits are asked for; got another, or a measure")
    G = fit.measure
    options = {name: value for name, value in settings.items() if name != "profile"}
    options |= {name: getattr(G, name) for name in ("gate_columns", "expert_columns")}
    options["laplace_scale"] = G.laplace_scale * moments(X, weights)[1] if gates.has_scale(G.gating) else None
    found = stability(X, y, G.gating, G.k2, n=refits, seed=seed, n_jobs=n_jobs, weights=weights, **options).table
    out = {}
    for level, quantity, column in (
        (EXPERTS, STABILITY, "leaves"),
        (GROUPS, STABILITY, "groups"),
        (GROUPS, CHANCE, "groups_null"),
    ):
        values = found[column].dropna()
        if len(values):
            out[level, quantity] = tuple(float(v) for v in np.quantile(values, [0.5, 0.1, 0.9]))
    return out
