"""What a gate is: one record for each kind, and the only place outside the kernels where its letter is asked.

A gate of m components gives component i the probability softmax_i( s(x, a_i) + b_i ). Kinds differ in the score s:

    S  softmax  a'x         slopes a; a translation of all slopes, or of all intercepts, changes nothing
    L  Laplace  -||c (x - a)||  centres a, with a kink at each; only intercepts can be translated. The scale c, one
                for each column of x, is the slope of the score far from the centre, and 1 unless it is stated
    Q  quadratic monomial  a'(x^2), entry by entry: slopes a, translations as under softmax. Squares are taken from
       x = 0: the model is another one from another origin

Slopes and centres are both called slopes here, (m, d), and intercepts are (m,). The score of a `Monomial` gate is
linear in *features* of x, those of a `Distance` gate has places in x; that is nearly all that others need to know.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import logsumexp

SLOPE_LIMIT = 1000.0  # default bound of slopes, per standard deviation of their features: a step between neighbours


@dataclass(frozen=True)
class Gate:
    """A kind of gate; `Monomial` and `Distance` say how each answers.

    Attributes
    ----------
    letter, code, name : str, int, str
        As in gatings, as in `hmoe_stats.kernels`, and as in sentences.
    """

    letter: str
    code: int
    name: str

    per_unit = 1.0

    def scale_over(self, d):
        """(d,) the scale of its distances, column by column; 1 where it has none."""
        return np.broadcast_to(self.per_unit, (d,))

    def on(self, columns):
        """The gate on some columns of x."""
        return self

    def over(self, scale):
        """The gate over x' = (x - shift) / scale."""
        return self


@dataclass(frozen=True)
class Monomial(Gate):
    """Scores a'(x^power), entry by entry: log-linear in its features, smooth, and blind to translations of slopes."""

    power: int = 1

    located = False  # slopes are no places in x
    kinked = False  # scores are smooth
    translates = True  # the same slope added to all components changes nothing
    scales = True  # the model is the same in other units of x

    @property
    def interaction(self):
        """By how many derivatives in tau one in omega becomes as many in eta: x^q d^q/dmu^q from both; 0 by none."""
        return self.power

    @property
    def shifts(self):
        """Whether the model is the same from another origin of x."""
        return self.power == 1

    def features(self, X):
        """What slopes multiply, (n, d); X itself, and no copy, under softmax gates."""
        return X if self.power == 1 else X**self.power

    def scores(self, X, slopes, eps=0.0):
        """(n, m) scores without intercepts."""
        return self.features(X) @ slopes.T

    def slope_derivative(self, X, slope, eps=0.0):
        """(n, d) derivative of the score in the slope."""
        return self.features(X)

    def slope_curvature(self, X, slope, eps=0.0):
        """(n, d, d) second derivative of the score in the slope: none."""
        return np.zeros((*X.shape, X.shape[1]))

    def score_powers(self, X, slope, columns):
        """d^q e^s / d slope[columns], relative to e^s: {r: coefficient (n,) of d^r / ds^r}."""
        return {len(columns): self.features(X)[:, columns].prod(axis=1)}

    # -- coordinates: x' = (x - shift) / scale, shift 0 unless the gate `shifts`, scale 1 unless it `scales`
    def inward(self, slopes, intercepts, shift, scale):
        """Slopes and intercepts in the coordinates x' of the same gate over x."""
        return slopes * scale**self.power, intercepts + slopes @ shift if self.shifts else intercepts

    def outward(self, slopes, intercepts, shift, scale):
        """Slopes and intercepts over x of a gate over x'."""
        slopes = slopes / scale**self.power
        return slopes, intercepts - slopes @ shift if self.shifts else intercepts

    def gradient_outward(self, slopes, intercepts, shift, scale):
        """The derivatives in slopes over x, given those in slopes and intercepts over x'."""
        slopes = slopes * scale**self.power
        return slopes + intercepts[:, None] * shift if self.shifts else slopes

    def about(self, slopes, intercepts, middle):
        """The gate with intercepts that are scores at the middle (d,) of its features."""
        return slopes, intercepts + slopes @ middle

    # -- sizes
    def unit(self, spread, varies=True):
        """(d,) natural unit of slopes, for the standard deviations of features; 0 on those that do not vary."""
        return 1.0 / np.where(varies, spread, np.inf)

    def sizes(self, slopes, intercepts, middle, spread, varies):
        """How far slopes and intercepts are from features with these moments, in standard deviations: arrays."""
        return slopes * np.where(varies, spread, 0.0), intercepts + slopes @ middle

    def box(self, low, high, spread):
        """Default bounds of slopes, (d,) each, and the largest score they allow, of features from low to high."""
        limit = SLOPE_LIMIT / np.where(spread > 0, spread, 1.0)
        return -limit, limit, np.abs(np.stack([low, high])).max(axis=0) @ limit

    # -- starts
    def candidates(self, rng, size, low, high, spread):
        """Random slopes of the given size, (count, d)."""
        return rng.uniform(-4, 4, size) / spread

    def first(self, centres):
        """Slopes (m, d) to start from where the components' rows have these centres."""
        return np.zeros(centres.shape)

    # -- writings of the same gate
    def canonical(self, slopes, intercepts, low, high, centre):
        """Weights at the centre sum to one, and the mean slope under them is 0."""
        centre = self.features(centre)
        at_centre = intercepts + slopes @ centre
        at_centre = at_centre - logsumexp(at_centre)
        slopes = slopes - np.exp(at_centre) @ slopes
        return slopes, at_centre - slopes @ centre

    def on_support(self, slopes, low, high):
        """Slopes as the density sees them on the box of the covariates."""
        return slopes

    def beyond(self, slopes, low, high):
        """Which slopes are places on an edge of the covariates, or beyond it: none."""
        return np.zeros(slopes.shape, dtype=bool)

    def clipped(self, slopes, intercepts, low, high):
        """The gate as the density sees it on the box of the covariates, nothing else about it changed."""
        return slopes, intercepts

    def relative(self, slopes, intercepts):
        """Slopes and intercepts less those of the last component."""
        return slopes - slopes[-1], intercepts - intercepts[-1]

    def kinks(self, slopes):
        """Where in x scores have kinks (d = 1): nowhere."""
        return np.empty(0)

    def switches(self, slopes, intercepts):
        """Where in x two components are equally likely, and how far from there they are no more (d = 1)."""
        at, width = meetings(slopes[:, 0], intercepts, np.ones(intercepts.size))
        if self.power == 1:
            return at, width
        seen = at + width > 0  # of features, each of which but 0 belongs to two x
        root = np.maximum(at[seen], 0.0) ** (1 / self.power)
        width = np.minimum(width[seen] ** (1 / self.power), width[seen] / np.maximum(self.power * root, 1e-300))
        return np.concatenate([-root, root]), np.concatenate([width, width])


@dataclass(frozen=True, eq=False)
class Distance(Gate):
    """Scores -||c (x - a)||: each component has a centre, where its score has a kink. There is no temperature.

    Attributes
    ----------
    per_unit : float or ndarray, (d,)
        The scale c; 0 on columns that the gate does not see.
    scales : bool
        Whether the unit of x may be changed, c along with it: not where c = 1 goes without saying.
    """

    per_unit: float | np.ndarray = 1.0  # type: ignore[assignment]
    scales: bool = False

    located = True  # slopes are places in x
    kinked = True
    translates = False
    shifts = True
    interaction = 0  # derivatives in a centre bring sign(x - a), which no polynomial is

    def features(self, X):
        """X itself: centres are places in x."""
        return X

    def scores(self, X, slopes, eps=0.0):
        """(n, m) scores without intercepts, of distances (||c (x - a)||^2 + eps^2)^(1/2)."""
        return -_smoothed(np.linalg.norm(self.per_unit * (X[:, None] - slopes), axis=2), eps)

    def slope_derivative(self, X, slope, eps=0.0):
        """(n, d) derivative of the score in the centre; 0 at the centre."""
        gap = self.per_unit * (X - slope)
        distance = _smoothed(np.linalg.norm(gap, axis=1)[:, None], eps)
        return self.per_unit * np.divide(gap, distance, out=np.zeros_like(gap), where=distance > 0)

    def slope_curvature(self, X, slope, eps=0.0):
        """(n, d, d) second derivative of the score in the centre; 0 at the centre where eps is 0."""
        u, c = self.slope_derivative(X, slope, eps), self.scale_over(X.shape[1])
        distance = _smoothed(np.linalg.norm(self.per_unit * (X - slope), axis=1), eps)[:, None, None]
        bend = u[:, :, None] * u[:, None] - np.diag(c**2)
        return np.divide(bend, distance, out=np.zeros_like(bend), where=distance > 0)

    def score_powers(self, X, slope, columns):
        """As `Monomial.score_powers`, away from the kink, for at most two columns if d > 1."""
        u = self.slope_derivative(X, slope)
        out = {len(columns): u[:, columns].prod(axis=1)}
        if len(columns) == 2 and X.shape[1] > 1:  # for d = 1 the score is linear on either side of its centre
            c, e = columns
            distance = np.linalg.norm(self.per_unit * (X - slope), axis=1)
            bend = u[:, c] * u[:, e] - (c == e) * self.scale_over(X.shape[1])[c] ** 2
            out[1] = np.divide(bend, distance, out=np.zeros(len(X)), where=distance > 0)
        return out

    def on(self, columns):
        """The gate on some columns of x."""
        return replace(self, per_unit=self.per_unit[columns] if len(columns) else 0.0) if self.scales else self

    def line(self, d):
        """(d,) bool: the column that distances run along, if it is one alone: then none beyond the data is seen."""
        seen = self.scale_over(d) > 0
        return seen & (seen.sum() == 1)

    def run(self, spread):
        """By how much scores differ over columns (d,) with these standard deviations, on the average of those seen."""
        seen = self.scale_over(spread.size) > 0
        return float(np.mean((self.per_unit * spread)[seen])) if seen.any() else 0.0

    # -- coordinates: x' = (x - shift) / scale; c is per unit of x, and scale is 1 unless it is stated
    def over(self, scale):
        """The gate over x' = (x - shift) / scale."""
        return replace(self, per_unit=self.per_unit * scale) if self.scales else self

    def inward(self, slopes, intercepts, shift, scale):
        """Centres move with x."""
        return (slopes - shift) / scale, intercepts

    def outward(self, slopes, intercepts, shift, scale):
        """Centres move with x."""
        return slopes * scale + shift, intercepts

    def gradient_outward(self, slopes, intercepts, shift, scale):
        """The derivatives in centres over x, given those over x'."""
        return slopes / scale

    def about(self, slopes, intercepts, middle):
        """Centres as seen from the middle of x."""
        return slopes - middle, intercepts

    # -- sizes
    def unit(self, spread, varies=True):
        """(d,) natural unit of centres, the spread of x; 1 where x does not vary."""
        return np.where(varies, spread, 1.0)

    def sizes(self, slopes, intercepts, middle, spread, varies):
        """How far centres are from covariates with these moments; on a constant column a distance rounds."""
        return np.where(varies, (slopes - middle) / np.where(varies, spread, 1.0), 0.0), intercepts

    def box(self, low, high, spread):
        """Default bounds of centres and the largest distance they allow; see `Monomial.box`."""
        mid, half = 0.5 * (low + high), 0.5 * (high - low) + 1e-9
        # along a line a centre outside the data can be written as one on its edge
        half = (1.5 if self.line(half.size).any() else 3.0) * half
        return mid - half, mid + half, 3.0 * np.linalg.norm(self.per_unit * half)

    # -- starts
    def candidates(self, rng, size, low, high, spread):
        """Random centres between low and high."""
        return rng.uniform(low, high, size)

    def first(self, centres):
        """Centres where the components' rows are."""
        return centres

    # -- writings of the same gate
    def canonical(self, slopes, intercepts, low, high, centre):
        """Centres clipped to the support along a line, all at the middle if they agree; exp(intercepts) sum to one."""
        slopes, intercepts = self.clipped(slopes, intercepts, low, high)
        slopes = np.where(self.scale_over(slopes.shape[1]) > 0, slopes, centre)
        if (slopes == slopes[0]).all():
            slopes = np.broadcast_to(centre, slopes.shape)
        return slopes, intercepts - logsumexp(intercepts)

    def on_support(self, slopes, low, high):
        """Centres as the density sees them: clipped to the support along a line."""
        return np.where(self.line(slopes.shape[1]), np.clip(slopes, low, high), slopes)

    def beyond(self, slopes, low, high):
        """Which centres lie on an edge of the covariates, or beyond it, along a line: there they are not seen."""
        return ((slopes <= low) | (slopes >= high)) & self.line(slopes.shape[1])

    def clipped(self, slopes, intercepts, low, high):
        """Centres clipped to the support along a line, the excess moved into the intercepts."""
        seen = self.on_support(slopes, low, high)
        return seen, intercepts - (self.per_unit * np.abs(slopes - seen)).sum(axis=1)

    def relative(self, slopes, intercepts):
        """Intercepts less that of the last component; centres are places."""
        return slopes, intercepts - intercepts[-1]

    def kinks(self, slopes):
        """Where in x scores have kinks (d = 1): at the centres."""
        return slopes[:, 0]

    def switches(self, slopes, intercepts):
        """As `Monomial.switches`, between two centres; without a scale log-odds change by 2 for a unit of x at most."""
        if not (self.scales and np.all(self.per_unit)):
            return np.empty(0), np.empty(0)
        c, centre, (i, j) = self.scale_over(1)[0], slopes[:, 0], np.triu_indices(intercepts.size, 1)
        low, high = np.where(centre[i] <= centre[j], (i, j), (j, i))
        at = 0.5 * (centre[low] + centre[high]) + (intercepts[low] - intercepts[high]) / (2.0 * c)
        within = (centre[low] < at) & (at < centre[high])
        return at[within], np.full(int(within.sum()), 2.0**-0.5 / c)


def _smoothed(distance, eps):
    return np.hypot(distance, eps) if eps else distance


def meetings(slope, intercept, scale):
    """Where pairs of lines meet, and how far from there they are one joint scale apart."""
    i, j = np.triu_indices(slope.size, 1)
    meets = np.abs(slope[i] - slope[j]) > 1e-12
    i, j = i[meets], j[meets]
    gap = slope[i] - slope[j]
    return (intercept[j] - intercept[i]) / gap, np.hypot(scale[i], scale[j]) / np.abs(gap)


KINDS = Monomial("S", 0, "softmax"), Distance("L", 1, "Laplace"), Monomial("Q", 2, "quadratic", power=2)
GATES = {gate.letter: gate for gate in KINDS}


def has_scale(gating):
    """Whether a gating, a word of letters, has a gate of distances: these alone have a scale."""
    return any(GATES[letter].located for letter in gating if letter in GATES)


def of(gating, laplace_scale=None):
    """The two gates of a gating, a word of two letters; Laplace ones with the scale (d,), if one is stated."""
    if laplace_scale is None or not has_scale(gating):
        return tuple(GATES[letter] for letter in gating)
    stated = GATES | {"L": replace(GATES["L"], per_unit=laplace_scale, scales=True)}
    return tuple(stated[letter] for letter in gating)


def _added(pair):
    return max(gate.code for gate in pair), pair[0].code


# The place of a gating here keys the random numbers of its fits: those of a gate that is added come last.
GATINGS = tuple(one.letter + two.letter for one, two in sorted(product(GATES.values(), repeat=2), key=_added))
