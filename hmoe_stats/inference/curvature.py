"""What the data say around an optimum: information, scores row by row, and where the normal approximation holds.

With I the observed information in the parameters of `coordinates`, intercepts seen from the middle of the covariates,
and D its diagonal, directions are the eigenvectors of D^-1/2 I D^-1/2: every parameter is measured by its own standard
error were all others known, and lambda is 1 for parameters that do not interact, 0 along directions that the likelihood
does not see. A step is one direction at the length at which the quadratic approximation loses 1/2, its own standard
error, so that with the steps as columns of V

    I^-1 = V V',    J = V' (sum of w s s') V,    sandwich V J V',    outer products (OPG) V J^-1 V',

s being the scores of single rows. J is near the identity where the model is right.

Two things make a direction one that nothing is inferred along. It is *singular* if lambda < `SINGULAR`. It is *not
quadratic* if the log-likelihood two standard errors to either side has not fallen by what it should, 2, but by an
amount outside `STRICT` where lambda < `NEARLY`, outside `LOOSE` elsewhere: experts coincide, a gate runs to a step, or
rows are few, and estimates are not normal however the matrix looks. Quantities keep their intervals if such directions
have less than `SHARE` of their variance.

Parameters on a bound are held there. Quantities keep their intervals if that takes less than `SHARE` off the variance
that they would have without the bound.

An expert *may be chance* if without it, the others taking its gate weight in proportion to theirs, the log-likelihood
falls by no more than log n for each of its 2d + 3 parameters, which a search over rows finds where nothing is (see
`fitting.certificate`). It is where it is because it was looked for, and no curvature tells how far it would move: its
own parameters have no standard errors. What experts say together keeps its own.

The log-likelihood of a penalised fit (`hmoe_stats.fit`) is the penalised one all along: I, what falls two standard
errors away and how far the fit lies from the top are those of the log-likelihood less the penalty, while J, of the rows,
knows no penalty. A ridge is information: where the data say little of a gate, its standard errors are the ridge's.

Laplace gates have kinks. Their second derivatives are taken away from these; what the kinks would add has mean 0 under
the model, and at an optimum, which sits on kinks, is nothing but bias.
"""

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import null_space

from .. import gates, kernels
from ..fitting.result import in_words
from ..fitting.rows import batches, mean, total, weights_of
from ..matching import expert_distances
from ..sampling import Empirical
from .coordinates import BEYOND, BOUND, Coordinates, centring, coordinates

KINDS = ("hessian", "opg", "sandwich")
SINGULAR = 1e-6
# Falls at which a standard error that is read off one side is right to 25 %, and to a factor 2. Where directions are
# nearly singular, two experts share a true one or a gate is nearly a step: falls of 1.0 to 1.4 and 3.2 to 13 (C2, all
# gatings, an expert too many, n = 5000). Elsewhere falls differ as rows are few and Laplace gates have kinks, and
# intervals cover all the same: 94 % where falls were .7 to 1.3 (C2, SL and LL, n = 500).
NEARLY, STRICT, LOOSE = 0.03, (2.0 * 0.8**2, 2.0 * 1.25**2), (2.0 * 0.5**2, 2.0 * 2.0**2)
SHARE = 0.1  # a standard error is then at most 5 % too small or too large for it
SHORT = 0.25  # standard errors between the fit and the optimum: 95 % are then still 94.3 %
CHANGED = 1e-9  # of a log-likelihood: rounding is 1e-13 of it
REACH = 30.0  # steps by which log nu changes more are not looked at: they end nowhere
CLOSE = 1.0  # distance of two experts, in standard deviations, at which they are named
FEW = 2000  # covariates that distances of experts are averaged over


ESTIMATED, NOT_IDENTIFIED, NOT_QUADRATIC = "estimated", "not identified", "not quadratic"
RESTS, CHANCE = "rests on a bound", "may be chance"
MOST_NAMED = 4  # directions, or parameters, that a message names


class InferenceError(ValueError):
    """A covariance was asked for where there is none: the message says why, and for which parameters."""


def refusal(fit):
    """Why nothing is inferred from a fit at all, in words; "" if something is."""
    if not fit.converged:
        return f"the fit is {fit.status!r}, not known to be a maximum ({fit.message})"
    if fit.curvature.short > SHORT:
        how = f"{fit.curvature.short:.2g} standard errors short of the maximum"
        return f"the fit lies {how}, more than {SHORT:g}: fit to a smaller tolerance"
    return ""


def usable(fit):
    """The `Curvature` of a fit, or an `InferenceError` where nothing can be inferred from it."""
    why = refusal(fit)
    if why:
        raise InferenceError(why)
    return fit.curvature


def some(texts):
    """The first few texts, and how many more there are."""
    more = len(texts) - MOST_NAMED
    return ", ".join(texts[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class Curvature:
    """The log-likelihood around a fit, to second order.

    Attributes
    ----------
    coordinates : Coordinates
    nobs : int or float
        Number of rows; under weights their sum.
    entropy : float
        Of the responsibilities, summed over rows, in nats.
    own : ndarray, (q,)
        Standard errors were all other parameters known; 1 where the data say nothing.
    lambdas : ndarray, (r,)
        Ascending.
    directions, steps : ndarray, (q, r)
        Unit vectors in standard errors were all others known; and `steps` in the parameters.
    scores : ndarray, (r, r)
        J.
    unheld : ndarray, (q, q)
        Steps without the bounds.
    drops : ndarray, (r, 2)
        By what the log-likelihood falls two standard errors to either side; NaN where that is not looked at.
    short : float
        How many standard errors the fit lies from the top of the quadratic approximation.
    gains : ndarray, (K,)
        By what the log-likelihood falls without each expert; infinite for the only one.
    close : tuple of str
        Pairs of experts that are near each other, in words.
    response : int
        A checksum of y and weights, which tells whether two fits are of the same.
    """

    coordinates: Coordinates
    nobs: float
    entropy: float
    own: np.ndarray
    lambdas: np.ndarray
    directions: np.ndarray
    steps: np.ndarray
    scores: np.ndarray
    unheld: np.ndarray
    drops: np.ndarray
    short: float
    gains: np.ndarray
    close: tuple
    response: int

    @cached_property
    def singular(self):
        """(r,) bool: directions that the likelihood does not see."""
        return self.lambdas < SINGULAR

    @cached_property
    def flat(self):
        """(r,) bool: directions that nothing is inferred along."""
        low, high = np.where(self.lambdas[:, None, None] < NEARLY, STRICT, LOOSE).transpose(2, 0, 1)
        with np.errstate(invalid="ignore"):
            quadratic = (self.drops > low) & (self.drops < high)  # false of NaN
        return self.singular | ~quadratic.all(axis=1)

    @property
    def chance(self):
        """(K,) bool: experts that may be chance."""
        return self.gains <= (2 * self.coordinates.measure.d + 3) * np.log(self.nobs)

    def factor(self, kind):
        """(q, s) L, with L L' the covariance of the parameters, singular directions left out."""
        V, J = self.steps[:, ~self.singular], self.scores[np.ix_(~self.singular, ~self.singular)]
        if kind == "hessian":
            return V
        values, vectors = np.linalg.eigh(J)
        if kind == "opg" and values.size and values[0] < SINGULAR * values[-1]:
            raise InferenceError(f"kind must not be 'opg': the scores of {self.nobs:.12g} rows span too few directions")
        power = np.sqrt(np.maximum(values, 0.0)) if kind == "sandwich" else 1.0 / np.sqrt(values)
        return V @ (vectors * power)

    def variance(self, gradients, kind):
        """Variances (m,) of quantities with these gradients (m, q), and the status of each (m,)."""
        along = (gradients @ self.steps) ** 2
        limit = SHARE * along.sum(axis=1)
        status = np.full(len(along), ESTIMATED, dtype=object)
        status[along[:, self.flat].sum(axis=1) > limit] = NOT_QUADRATIC
        if len(self.coordinates.constraints):
            without = ((gradients @ self.unheld) ** 2).sum(axis=1)
            status[along.sum(axis=1) < (1.0 - SHARE) * without] = RESTS
        status[along[:, self.singular].sum(axis=1) > limit] = NOT_IDENTIFIED
        return ((gradients @ self.factor(kind)) ** 2).sum(axis=1), status

    @property
    def doubts(self):
        """What is not identified, and what everything else is given: a tuple of clauses."""
        said = []
        for which, how in ((self.singular, "does not change"), (self.flat & ~self.singular, "is not quadratic")):
            k = np.flatnonzero(which)
            if k.size:
                names = some([in_words(self.directions[:, j], self.coordinates.names) for j in k])
                falls = self.drops[k[0]]
                where = "1 direction" if k.size == 1 else f"{k.size} directions"
                text = f"the log-likelihood {how} along {where}: {names}"
                if np.isfinite(falls).all():
                    low, high = (f"{round(fall, 2) + 0.0:.4g}" for fall in sorted(falls.tolist()))
                    text += f"; two standard errors along the first it falls by {low} and {high}, a parabola by 2"
                said.append(text)
        if self.chance.any():
            bound = (2 * self.coordinates.measure.d + 3) * np.log(self.nobs)
            which = [f"expert {j} (it adds {self.gains[j] + 0.0:.1f})" for j in np.flatnonzero(self.chance)]
            said.append(
                f"an expert may be chance where it adds at most {bound:.1f} to the log-likelihood: {some(which)}"
            )
        if said and self.close:
            said.append(some(self.close))
        for why, words in ((BOUND, "on a bound, and held there"), (BEYOND, "beyond the data, where no centre is seen")):
            names = [name for name, reason in self.coordinates.held.items() if reason == why]
            if names:
                said.append(f"{words}: {some(names)}")
        return tuple(said)


def curvature(fit):
    """The `Curvature` of a fit that knows its data."""
    X, y, weights = fit.known_data()
    place = coordinates(fit, X)
    G, index = place.measure, place.index
    args, p = G.kernel_args(), G.n_parameters
    nobs = y.size if weights is None else float(weights.sum())
    information, opg, score, entropy = np.zeros((p, p)), np.zeros((p, p)), np.zeros(p), 0.0
    gains = np.zeros(G.n_experts)
    for rows in batches(y.size):
        data, w = (X[rows], y[rows]), weights_of(weights, rows)
        information += kernels.information(*data, args, 0.0, weights=w)[2]
        score += kernels.score(*data, args, fit.smoothing, weights=w)[1]
        S = kernels.row_scores(*data, args, 0.0)[1]
        opg += (S if w is None else S * w) @ S.T
        r = kernels.responsibilities(*data, args, 0.0)[1]
        of_rows = -(r * np.log(np.maximum(r, 1e-300))).sum(axis=0)
        entropy += float(total(of_rows, w))
        with np.errstate(divide="ignore", invalid="ignore"):  # of rows that one expert has for itself
            lost = np.log1p(-kernels.gate_weights(X[rows], args)) - np.log1p(-np.minimum(r.T, 1.0))
        gains += total(np.where(np.isfinite(lost), lost, np.inf), w)

    penalty = fit.penalty and fit.penalty.on(G.gating, G.k2, X, y, weights)
    if penalty:
        gradient, hessian = penalty.derivatives(G.to_vector())
        information, score = information + hessian, score - gradient
    log_likelihood = kernels.log_likelihood(X, y, args, 0.0, weights=weights)
    if abs(log_likelihood - fit.log_likelihood) > CHANGED * (abs(log_likelihood) + nobs):
        now = f"{log_likelihood:.12g} instead of {fit.log_likelihood:.12g}"
        raise ValueError(f"the data must be those of the fit; got others, with a log-likelihood of {now}")

    features = [mean(gate.features(X), weights) for gate in gates.of(G.gating)]
    M = centring(G, index, mean(X, weights), features)
    inner, outer = (M.T @ part[np.ix_(index, index)] @ M for part in (information, opg))
    unit = _own(inner, outer)
    scaled = unit[:, None] * inner * unit
    lambdas, directions = _directions(scaled, _free(place.constraints @ M * unit))
    steps, unheld = (
        M @ (unit[:, None] * vectors / np.sqrt(np.maximum(np.abs(values), 1e-14)))
        for values, vectors in ((lambdas, directions), _directions(scaled, np.eye(index.size)))
    )
    scores = steps.T @ opg[np.ix_(index, index)] @ steps
    good = lambdas >= SINGULAR
    return Curvature(
        coordinates=place,
        nobs=nobs,
        entropy=entropy,
        own=_own(information[np.ix_(index, index)]),
        lambdas=lambdas,
        directions=directions,
        steps=steps,
        scores=scores,
        unheld=unheld,
        drops=_drops(place, steps, good, X, y, weights, penalty),
        short=float(np.linalg.norm(steps[:, good].T @ score[index])),
        gains=gains,
        close=_close(G, X),
        response=zlib.crc32(y.tobytes() + (b"" if weights is None else weights.tobytes())),
    )


def _own(information, outer=None):
    """Standard errors (q,) were all other parameters known, if need be by the scores; 1 where the data say nothing."""
    own = np.diag(information)
    own = own if outer is None else np.where(own > 0, own, np.diag(outer))
    return 1.0 / np.sqrt(np.where(own > 0, own, 1.0))


def _directions(matrix, basis):
    """Eigenvalues (r,), ascending, and unit vectors (q, r) of a matrix within the span of an orthonormal basis."""
    values, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
    return values, basis @ vectors


def _free(constraints):
    """(q, r) orthonormal basis of the directions that constraints (c, q) leave."""
    return null_space(constraints / np.linalg.norm(constraints, axis=1, keepdims=True))


def _drops(place, steps, good, X, y, weights, penalty):
    out = np.full((steps.shape[1], 2), np.nan)
    values, args = place.values, place.measure.kernel_args()
    top = kernels.log_density(X, y, args, 0.0)
    log_nu = np.array([name.startswith("log_nu") for name in place.names])
    for k in np.flatnonzero(good):
        if np.abs(2.0 * steps[log_nu, k]).max(initial=0.0) < REACH:
            for side, sign in enumerate((-2.0, 2.0)):
                moved = place.at(values + sign * steps[:, k]).kernel_args()
                loss = top - kernels.log_density(X, y, moved, 0.0)
                out[k, side] = np.sum(loss if weights is None else weights * loss)
                if penalty:
                    out[k, side] += penalty.value(place.at(values + sign * steps[:, k]).to_vector())
                    out[k, side] -= penalty.value(place.measure.to_vector())
    return out


def _close(G, X):
    law = Empirical(X[:: max(1, len(X) // FEW)])
    distance = expert_distances(G, G, law)
    distance = np.minimum(distance, distance.T)
    return tuple(
        f"experts {e} and {f} are {distance[e, f]:.2g} standard deviations apart"
        for e, f in zip(*np.triu_indices(G.n_experts, 1), strict=True)
        if distance[e, f] < CLOSE
    )
