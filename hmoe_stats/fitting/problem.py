"""A fitting problem in coordinates fit for optimisation: standardised data, a box, and the gates' translations.

Where the box is the default one, y is standardised, and x is centred and scaled, unless a gate is at work that is not
the same gate in centred or scaled covariates (`hmoe_stats.gates`: Laplace distances have a fixed unit where no scale is
stated); fits are then equivariant under such changes of the data, and of the scale with them. Where the caller states a
box, the data are left in the caller's units, so that the box means what it says. In both cases the optimiser moves
z = v / scale, whose entries are of order one.
"""

import copy
import os
import threading
import weakref
from functools import cached_property, wraps
from typing import NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from .. import gates, kernels, names
from ..arguments import LARGEST, as_numbers, check_gating, check_k2, check_known, check_weighted_data, shown
from ..kinds import Function
from ..measure import ARRAYS, MixingMeasure, vector_slices
from ..tree import WIDE, check_view
from .rows import batches, drawn, mean, moments

VARIANCE_FLOOR = 1e-6  # default lower bound of nu, relative to the variance of y
# What a fit accepts; products and squares of such numbers stay far inside double precision and `LARGEST`.
SPREADS = 1e-18, 1e18  # standard deviations of x and y
REACH = 1e30  # how far a start may lie from the data, in standard deviations
BOX_REACH = 1e16  # how far the nearest point of a box may lie from 0, in standard deviations
# Rows, beyond which over-specified likelihoods are searched as curved valleys. One more step promises at most 2e-23 in
# the 436 stored fits of the largest n, to 1e5; at 1e6 more than 1e-4 in two of 40 (benchmarks/recheck_million.csv).
LARGE = 10**5
LOWEST = -100.0  # of the log-densities that values are relative to: a start may be nowhere near the data
VARIANCES = 1e-30, 1e12  # nu of a start, and lower end of its box, relative to the variance of y


class _OneThread:
    """BLAS on one thread while anyone holds it there: its setting is one for the process, and fits may overlap.

    The first to come notes the threads there were, and when the last has gone they are back. Holders are held weakly:
    one whose fit was torn down between two lines is not waited for. A forked child has none of its parent's fits.
    """

    def __init__(self):
        self._holders, self._before, self._lock = weakref.WeakSet(), None, threading.RLock()

    @cached_property
    def _libraries(self):
        return ThreadpoolController()  # those loaded now; fits use no others

    def hold(self, holder):
        with self._lock:
            self._holders.add(holder)
            self._free()
            limiter = self._libraries.limit(limits=1, user_api="blas")  # each time: some libraries count by thread
            self._before = self._before or limiter
            self._free()

    def release(self, holder):
        with self._lock:
            self._holders.discard(holder)
            if not self._holders and self._before is not None:
                self._free()
                self._before.restore_original_limits()
                self._before = None
                self._free()

    def _free(self):
        """Let any thread set OpenBLAS: threadpoolctl since 3.8 keeps that to the first that did, in silence."""
        for library in self._libraries.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)

    def forked(self):
        self._holders, self._lock = weakref.WeakSet(), threading.RLock()
        self.release(self)


_one_thread = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_thread.forked)


def hold_one_thread(holder):
    """Hold the linear algebra of this thread, too, to one thread, as long as `holder` lives.

    For threads that a fit starts, while `one_thread` holds those of its own.
    """
    _one_thread.hold(holder)


def one_thread(fit: Function) -> Function:
    """Decorate a fit to run its linear algebra on one thread.

    Its matrices are small: threads would spin for nothing, up to ten times the time, and would change the last bits.
    """

    @wraps(fit)
    def limited(*args, **kwargs):
        holder = threading.Event()  # anything that can be held weakly
        try:
            _one_thread.hold(holder)
            return fit(*args, **kwargs)
        finally:
            _one_thread.release(holder)

    return limited  # type: ignore[return-value]


def free_parameters(k2, d, d_gate=None):
    """Number of parameters of a model that are free: gates but for their translations, and experts.

    Experts see d columns, and gates as many or `d_gate`.
    """
    return (sum(k2) - 1) * ((d if d_gate is None else d_gate) + 1) + sum(k2) * (d + 2)


def check_problem(X, y, gating, k2, weights=None, laplace_scale=1.0, gate_columns=None, expert_columns=None):
    """Checked (X, y, gating, k2, weights, view) of a fit; `ValueError` where none makes sense.

    The view is that of `measure.check_view`. Rows must not be too few, nor y constant. Rows of weight 0 are left out,
    and weights that are all 1 are None. Of the others there must be more than the model has free parameters, slopes
    on constant columns left out, and the weights must sum to more than that, too: a sum is a number of rows.
    """
    x_names, _ = names.of_data(X, y)
    X, y, weights = check_weighted_data(X, y, weights)
    gating, k2, d = check_gating(gating), check_k2(k2), X.shape[1]
    view = check_view(gating, d, laplace_scale, gate_columns, expert_columns, x_names)
    varies = moments(X, weights)[2]
    seen = (view["gate_columns"], view["expert_columns"])
    d_gate, d_expert = (int(varies[slice(None) if columns is None else list(columns)].sum()) for columns in seen)
    free = free_parameters(k2, d_expert, d_gate)
    if y.size <= free:
        of_weight = "" if weights is None else " of positive weight"
        wanted = f"more rows{of_weight} than the model has free parameters, {free}"
        raise ValueError(f"X and y must have {wanted}; got {y.size}")
    if weights is not None and weights.sum() <= free:
        wanted = f"sum to more than the number of free parameters, {free}, as a row of weight w counts as w rows"
        raise ValueError(f"weights must {wanted}; got {weights.sum():g}")
    for name, columns in (("X", X), ("y", y[:, None])):
        _, spread, varies = moments(columns, weights)
        if name == "y" and not varies.all():
            raise ValueError(f"y must vary: all entries equal {y[0]:g}, and the likelihood is unbounded")
        wrong = varies & ((spread < SPREADS[0]) | (spread > SPREADS[1]))
        if wrong.any():
            wanted = f"between {SPREADS[0]:g} and {SPREADS[1]:g}"
            raise ValueError(f"{name} must have a standard deviation {wanted}, rescale it; got {spread[wrong][0]:g}")
    return X, y, gating, k2, weights, view


def check_reach(start, X, y, weights=None):
    """Raise a `ValueError` where a start is so far from the data that squares of residuals would overflow."""
    start = start.wide()
    of_x, (y_mean, y_spread, _) = moments(X, weights), moments(y[:, None], weights)
    centre, spread, varies = of_x
    sx = np.where(varies, spread, 0.0)
    parts = [start.eta * sx / y_spread, (start.tau + start.eta @ centre - y_mean) / y_spread]
    levels = (start.a, start.b), (start.omega, start.beta)
    for gate, level in zip(gates.of(start.gating), levels, strict=True):
        features = gate.features(X)
        parts += gate.sizes(*level, *(of_x if features is X else moments(features, weights)))
    far, nu = max(np.abs(part).max() for part in parts), start.nu / y_spread**2
    if far > REACH:
        raise ValueError(f"start must lie within {REACH:g} standard deviations of the data; got {far:g}")
    if nu.min() < VARIANCES[0] or nu.max() > VARIANCES[1]:
        wanted = f"between {VARIANCES[0]:g} and {VARIANCES[1]:g} times the variance of y"
        raise ValueError(f"start must have nu {wanted}; got {nu.min():g} to {nu.max():g}")


def read_only(*arrays):
    """Views that cannot be written to, as the arrays of a measure are: each kernel is compiled for these alone."""
    views = [array.view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return tuple(views)


class Columns(NamedTuple):
    """What a matrix of covariates, or of a gate's features, looks like, (d,) each.

    To slopes that do not see a column it is constant, at its mean.
    """

    constant: np.ndarray  # bool
    spread: np.ndarray  # standard deviations, 0 on constant columns
    level: np.ndarray  # values of constant columns, else 0
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, F, weights=None):
        """The columns of F, (n, d)."""
        _, spread, varies = moments(F, weights)
        return cls(~varies, np.where(varies, spread, 0.0), np.where(varies, 0.0, F[0]), F.min(axis=0), F.max(axis=0))

    def seen(self, F, unseen, weights=None):
        """The same, to slopes that do not see some columns, (d,) bool."""
        if not unseen.any():
            return self
        hidden = np.where(unseen, mean(F, weights), 0.0)
        spread, low, high = (np.where(unseen, 0.0, part) for part in (self.spread, self.low, self.high))
        return Columns(self.constant | unseen, spread, np.where(unseen, hidden, self.level), low, high)


class Problem:
    """Log-likelihood of one data set and shape of model over optimiser coordinates z (p,), with its box.

    Parameters
    ----------
    X, y, gating, k2, weights
        As checked by `check_problem`.
    bounds : dict or None
        Parameter -> half-width or (low, high), in the units of the data; None for the default box. A parameter with
        low = high is no parameter: it stays there.
    start : MixingMeasure, optional
        A measure of this shape; the default box is widened to contain it.
    home : MixingMeasure, optional
        Of any shape: the measure that a local estimator stays with, see `is_home`.
    view : dict, optional
        The Laplace scale and the columns that gates and experts see, as of `measure.check_view`. All measures here are
        `wide` ones, whose slopes on columns that are not seen rest at 0.
    penalty : Penalty, optional
        What `value` takes off the log-likelihood.
    floor : float
        Least variance nu, in the units of the data, where that is more than `VARIANCE_FLOOR`, or `bounds`, say.

    Attributes
    ----------
    n : int or float
        Number of rows; with weights their sum.
    large : bool
        Whether n, the sum of weights if there are any, is beyond `LARGE`.
    reference : ndarray, (rows,)
        Under weights, which may be large, values are relative: sums of w (log p - reference), with the log-densities
        of `start` for reference (0 without), so that differences between values keep their digits. `absolute` turns
        one into a log-likelihood. Without weights values are log-likelihoods.
    """

    def __init__(
        self, X, y, gating, k2, bounds=None, start=None, home=None, weights=None, view=None, penalty=None, floor=0.0
    ):
        self.gating, self.k2, self.weights = gating, k2, weights
        self.k1, self.K, (self.rows, self.d) = len(k2), sum(k2), X.shape
        self.n = self.rows if weights is None else weights.sum()
        self.large = bool(self.n > LARGE)
        self.offsets = np.concatenate([[0], np.cumsum(k2)])
        view = check_view(gating, self.d) if view is None else view
        self.laplace_scale, self.unseen = view["laplace_scale"], {}
        for name in WIDE:
            self.unseen[name] = np.zeros(self.d, dtype=bool)
            if view[WIDE[name]] is not None:
                self.unseen[name][np.delete(np.arange(self.d), view[WIDE[name]])] = True
        self.gates = gates.of(gating, None if (self.laplace_scale == 1.0).all() else self.laplace_scale)
        for name, gate in zip(("a", "omega"), self.gates, strict=True):
            self.unseen[name] |= gate.scale_over(self.d) == 0
        self.used = np.flatnonzero(~(self.unseen["a"] & self.unseen["eta"]))  # columns that something sees
        self.d_gate, self.d_expert = (self.d - int(self.unseen[name].sum()) for name in ("omega", "eta"))
        self.per_expert = self.d_gate + self.d_expert + 3  # parameters of an expert and its gate
        self.kinds = tuple(gate.code for gate in self.gates)
        self.slices = vector_slices(self.k1, self.K, self.d)
        self.p = self.slices["log_nu"].stop
        at_work = [gate for gate, size in zip(self.gates, (self.k1, max(k2)), strict=True) if size > 1]
        self.kinked = any(gate.kinked for gate in at_work)
        self.located = any(gate.located for gate in at_work)

        centre, spread, varies = moments(X, weights)
        (y_mean,), (y_spread,), _ = moments(y[:, None], weights)
        self.constant = ~varies
        width = np.where(varies, spread, 0.0)
        spread = np.where(varies, spread, 1.0)
        own_box = bounds is None
        self.x_shift = centre if own_box and all(gate.shifts for gate in at_work) else np.zeros(self.d)
        self.x_scale = spread if own_box and all(gate.scales for gate in at_work) else np.ones(self.d)
        self.y_shift, self.y_scale = (y_mean, y_spread) if own_box else (0.0, 1.0)
        # in a stated box the data are used as they are: no copy of what may be large
        stated = any(gate.located and gate.scales for gate in self.gates)
        self.scale_inside = self.laplace_scale * self.x_scale if stated else self.laplace_scale
        self.gates = tuple(gate.over(self.x_scale) for gate in self.gates)
        self.X = np.ascontiguousarray((X - self.x_shift) / self.x_scale) if own_box else np.ascontiguousarray(X)
        self.y = (y - self.y_shift) / self.y_scale if own_box else y
        self.spread = width / self.x_scale  # of the columns of self.X
        level = np.where(self.constant, self.X[0], 0.0)
        own = Columns(self.constant, self.spread, level, self.X.min(axis=0), self.X.max(axis=0))
        self.columns = {"eta": own.seen(self.X, self.unseen["eta"], weights)}
        for name, gate in zip(("a", "omega"), self.gates, strict=True):
            features = gate.features(self.X)
            columns = own if features is self.X else Columns.of(features, self.weights)
            self.columns[name] = columns.seen(features, self.unseen[name], weights)
        rise = max(gate.run(self.spread) for gate in self.gates if gate.kinked) if self.kinked else 0.0
        self.smoothing = rise / np.sqrt(self.n)

        # natural size of each coordinate, in the units of self.X and self.y
        sx, sy = spread / self.x_scale, y_spread / self.y_scale
        self.scale = np.ones(self.p)
        for name, gate in zip(("a", "omega"), self.gates, strict=True):
            columns = self.columns[name]
            run = sx if gate.features(self.X) is self.X else np.where(columns.constant, 1.0, columns.spread)
            self._wide(self.scale, name)[:] = gate.unit(run)
        self._wide(self.scale, "eta")[:] = sy / sx
        self.scale[self.slices["tau"]] = sy
        self._make_gates()
        self._make_box(bounds, start, sy, floor / self.y_scale**2)
        self.home = None if home is None else self.inside(home)
        if home is not None:
            self.x_mean = mean(self.X, weights)
            self.x_cov = sum(self._products(rows) for rows in batches(self.rows)) / self.n
        of_view = view["gate_columns"], view["expert_columns"]
        self.penalty = penalty and penalty.on(self.gates, k2, self.X, self.y, weights, *of_view)
        self.refer_to(start)

    def _products(self, rows):
        away = self.X[rows] - self.x_mean
        return away.T @ (away if self.weights is None else self.weights[rows, None] * away)

    def refer_to(self, G):
        """Under weights, let values be relative to the measure G, or to nothing."""
        if self.weights is not None:
            reference = np.zeros(self.rows)
            if G is not None:
                reference = kernels.log_density(self.X, self.y, self.inside(G).kernel_args(), 0.0)
            self._refer(np.maximum(reference, LOWEST))

    def _refer(self, reference):
        self.reference = reference
        self.offset = float(np.sum(self.weights * reference)) - self.n * np.log(self.y_scale)
        self.grain = np.linalg.norm(self.weights * (1.0 + np.abs(reference)))  # of what sums of such terms round to

    def _wide(self, vector, name):
        return vector[self.slices[name]].reshape(-1, self.d)

    def _levels(self):
        return zip(("a", "omega"), ("b", "beta"), self.gates, strict=True)

    def _make_gates(self):
        """Coordinates that do nothing (gates of one component, slopes on constant or unseen columns); translations.

        The former rest at 0, or where a box excludes 0 at its nearest edge.
        """
        self.fixed, self.rest = np.zeros(self.p, dtype=bool), np.zeros(self.p)
        multiply = ["eta", *(name for name, gate in zip(("a", "omega"), self.gates, strict=True) if not gate.located)]
        for name in multiply:
            self._wide(self.fixed, name)[:, self.columns[name].constant] = True
        for name, unseen in self.unseen.items():
            self._wide(self.fixed, name)[:, unseen] = True
        self.gauges = []
        parts = [("a", "b", 0, self.k1, self.gates[0])]
        ends = zip(self.offsets[:-1], self.offsets[1:], strict=True)
        parts += [("omega", "beta", lo, hi, self.gates[1]) for lo, hi in ends]
        for wide, flat, lo, hi, gate in parts:
            slopes = np.arange(self.p)[self.slices[wide]].reshape(-1, self.d)[lo:hi]
            constants = np.arange(self.p)[self.slices[flat]][lo:hi]
            if hi - lo == 1:
                self.fixed[slopes] = self.fixed[constants] = True
            else:
                self.gauges.append(constants)
                varying = np.flatnonzero(~self.columns[wide].constant)
                self.gauges += [slopes[:, c] for c in varying if gate.translates]
        self.gauge_matrix = shared_out(self.gauges, self.p)
        self.gauge_sizes = np.array([where.size for where in self.gauges], dtype=int)
        self.gauge_starts = np.cumsum(self.gauge_sizes) - self.gauge_sizes
        self.translated = np.concatenate([np.empty(0, dtype=int), *self.gauges])

    def _make_box(self, bounds, start, sy, floor):
        """`lower` and `upper` (p,), on z; `bounds`, the same in words and in the units of the data."""
        low, high = np.full(self.p, -np.inf), np.full(self.p, np.inf)
        for wide, flat, gate in self._levels():
            columns = self.columns[wide]
            self._wide(low, wide)[:], self._wide(high, wide)[:], reach = gate.box(
                columns.low, columns.high, columns.spread
            )
            low[self.slices[flat]], high[self.slices[flat]] = -reach - 50.0, reach + 50.0
        self.floor = np.log(max(VARIANCE_FLOOR * sy**2, floor))  # of log nu
        low[self.slices["log_nu"]] = self.floor
        high[self.slices["log_nu"]] = np.log(100.0 * sy**2)

        if start is not None:
            v = self.inside(start).to_vector()
            for where in self.gauges:  # `project` translates gates to one middle for all their components
                v[where] -= 0.5 * (v[where].max() + v[where].min()) - 0.5 * (low[where[0]] + high[where[0]])
                low[where] = min(low[where[0]], v[where].min())
                high[where] = max(high[where[0]], v[where].max())
            low, high = np.minimum(low, v), np.maximum(high, v)
        if bounds is not None and not isinstance(bounds, dict):
            raise ValueError(f"bounds must be a dict, parameter -> half-width or (low, high); got {shown(bounds)}")
        self.stated = np.zeros(self.p, dtype=bool)  # coordinates that the caller bounds
        self.bounds_variances = bounds is not None and "nu" in bounds  # the caller does
        slopes = {"eta", *(wide for wide, _, gate in self._levels() if not gate.located)}
        levels = {name: columns.level for name, columns in self.columns.items()}
        for name, value in (bounds or {}).items():
            pair = check_bound(name, value)
            where = self.slices["log_nu" if name == "nu" else name]
            low[where], high[where] = np.log(pair) if name == "nu" else pair
            self.stated[where] = True
            if name == "nu":
                if not VARIANCES[0] <= pair[0] / sy**2 <= VARIANCES[1]:
                    wanted = f"low between {VARIANCES[0]:g} and {VARIANCES[1]:g} times the variance of y, {sy**2:g}"
                    raise ValueError(f"bounds['nu'] must have {wanted}; got {pair[0]:g}")
            elif (far := np.abs(np.clip(0.0, *pair) / self.scale[where]).max()) > BOX_REACH:
                wanted = f"come within {BOX_REACH:g} standard deviations of 0"
                raise ValueError(f"bounds[{name!r}] must {wanted}; got {far:g}")
            elif name in slopes and (deep := np.abs(np.clip(0.0, *pair) * levels[name]).max()) > LARGEST / 10.0:
                wanted = f"allow slopes below {LARGEST / 10.0:g} over a constant column of X"
                raise ValueError(f"bounds[{name!r}] must {wanted}; got {deep:g}")
        if floor > 0:
            low[self.slices["log_nu"]] = np.clip(self.floor, low, high)[self.slices["log_nu"]]
        for name, unseen in self.unseen.items():
            self._wide(low, name)[:, unseen] = self._wide(high, name)[:, unseen] = 0.0
        self.lower, self.upper = low / self.scale, high / self.scale
        self.rest = np.clip(0.0, self.lower, self.upper)
        self.fixed |= self.lower == self.upper
        bounded = np.isfinite(self.lower) & np.isfinite(self.upper)
        self.box_centre = np.zeros(self.p)
        self.box_centre[bounded] = 0.5 * (self.lower[bounded] + self.upper[bounded])
        self.bounds = self._words(low, high) if bounds is None else {k: check_bound(k, v) for k, v in bounds.items()}

    def _words(self, low, high):
        """The default box in the units of the data; intercepts and centres are those of centred covariates."""
        unit = self._data_unit()
        out = {}
        for name, where in self.slices.items():
            a, b = (low * unit)[where], (high * unit)[where]
            if name in WIDE:
                a, b = (end.reshape(-1, self.d)[:, ~self.unseen[name]] for end in (a, b))
            if name == "log_nu":
                a, b = np.exp(a) * self.y_scale**2, np.exp(b) * self.y_scale**2
            if a.size and np.isfinite(a).all() and np.isfinite(b).all():
                out["nu" if name == "log_nu" else name] = (float(a.min()), float(b.max()))
        return out

    def _data_unit(self):
        """(p,): size in the data's units of one unit of each entry, shifts aside."""
        unit = np.ones(self.p)
        for name, _, gate in self._levels():
            self._wide(unit, name)[:] = gate.outward(np.ones(self.d), 0.0, np.zeros(self.d), self.x_scale)[0]
        self._wide(unit, "eta")[:] = self.y_scale / self.x_scale
        unit[self.slices["tau"]] = self.y_scale
        return unit

    def thinned(self, rng, rows):
        """The problem itself, or where it has more than `rows` rows a copy on that many of them, drawn."""
        if self.rows <= rows:
            return self
        few = copy.copy(self)
        if self.weights is None:
            take = np.sort(rng.choice(self.rows, size=rows, replace=False))
        else:
            take, times = np.unique(drawn(rng, self.rows, self.weights, rows), return_counts=True)
            few.weights = times.astype(float)
        few.X, few.y, few.rows, few.n = self.X[take], self.y[take], take.size, rows
        if self.weights is not None:
            few._refer(self.reference[take])
        return few

    # -- between measures and coordinates ---------------------------------------------------------------------------
    def kernel_args(self, z):
        """The measure at z as kernels take it, in the units of `X` and `y` of the problem."""
        v = z * self.scale
        part = {name: v[where] for name, where in self.slices.items()}
        wide = {name: part[name].reshape(-1, self.d) for name in WIDE}
        gates = wide["a"], part["b"], wide["omega"], part["beta"]
        arrays = *gates, wide["eta"], part["tau"], np.exp(part["log_nu"])
        return *self.kinds, self.offsets, *read_only(*arrays, self.scale_inside)

    def to_measure(self, z):
        """The `MixingMeasure` at z, in the units of the data."""
        *_, a, b, omega, beta, eta, tau, nu, _ = self.kernel_args(z)
        a, b = self.gates[0].outward(a, b, self.x_shift, self.x_scale)
        omega, beta = self.gates[1].outward(omega, beta, self.x_shift, self.x_scale)
        a, omega = (np.where(self.unseen[name], 0.0, places) for name, places in (("a", a), ("omega", omega)))
        eta = eta * self.y_scale / self.x_scale
        tau = self.y_shift + self.y_scale * tau - eta @ self.x_shift
        return MixingMeasure(
            gating=self.gating, k2=self.k2, a=a, b=b, omega=omega, beta=beta, eta=eta, tau=tau,
            nu=nu * self.y_scale**2, laplace_scale=self.laplace_scale,
        )  # fmt: skip

    def inside(self, G):
        """The measure G, of any shape and in the units of the data, in those of the problem."""
        fields = {}
        for wide, flat, gate in self._levels():
            level = gate.inward(getattr(G, wide), getattr(G, flat), self.x_shift, self.x_scale)
            fields[wide], fields[flat] = level if gate.located else self._fold(wide, *level)
        eta = G.eta * self.x_scale / self.y_scale
        tau = (G.tau + G.eta @ self.x_shift - self.y_shift) / self.y_scale
        eta, tau = self._fold("eta", eta, tau)
        return G.replace(**fields, eta=eta, tau=tau, nu=G.nu / self.y_scale**2, laplace_scale=self.scale_inside)

    def _fold(self, name, slopes, intercepts):
        """Set slopes on constant columns to where they rest, and move what they did into the intercepts."""
        rest = self._wide(self.rest * self.scale, name)[0]  # one value a column: the box is the same for all rows
        columns = self.columns[name]
        return np.where(columns.constant, rest, slopes), intercepts + (slopes - rest) @ columns.level

    def from_measure(self, G):
        """Coordinates of a measure of this shape, moved into the box."""
        return self.draw_in(self.inside(G).to_vector() / self.scale)

    def draw_in(self, z):
        """z moved into the box; a centre keeps its score at the middle of x, which is all a far one has."""
        v = z * self.scale
        for wide, flat, gate in self._levels():
            if gate.located:
                where, middle = self.slices[wide], mean(self.X, self.weights)[None]
                held = np.clip(z[where], self.lower[where], self.upper[where]) * self.scale[where]
                far, near = (gate.scores(middle, c.reshape(-1, self.d))[0] for c in (v[where], held))
                v[self.slices[flat]] += far - near
        return self.project(v / self.scale)

    def project(self, z):
        """The nearest writing of z in the box: gates translated to the middle of the box, then clipped."""
        z = np.where(self.fixed, self.rest, z)
        if self.gauges:
            values = z[self.translated]
            top, low = (f.reduceat(values, self.gauge_starts) for f in (np.maximum, np.minimum))
            shift = self.box_centre[self.translated[self.gauge_starts]] - 0.5 * (top + low)
            z[self.translated] = values + np.repeat(shift, self.gauge_sizes)
        return np.clip(z, self.lower, self.upper)

    def on_floor(self, z):
        """(K,) bool: experts whose variance lies on the floor of the default box."""
        return (z * self.scale)[self.slices["log_nu"]] - self.floor < 0.01

    def is_home(self, z):
        """True unless a group has experts nearest to experts of different groups of `home`."""
        if self.home is None:
            return True
        *_, eta, tau, nu, _ = self.kernel_args(z)
        nearest = self.nearest(eta, tau, nu)
        return (nearest == nearest[self.offsets[np.repeat(np.arange(self.k1), self.k2)]]).all()

    def nearest(self, eta, tau, nu):
        """For each expert, in the units of the problem, the group of `home` that holds the expert nearest to it."""
        slope = eta[:, None] - self.home.eta
        middle = slope @ self.x_mean + (tau[:, None] - self.home.tau)
        apart = (np.einsum("jkc,ce,jke->jk", slope, self.x_cov, slope) + middle**2) / self.home.nu
        apart += (nu[:, None] / self.home.nu - 1.0) ** 2
        return self.home.group[apart.argmin(axis=1)]

    # -- the function and its derivatives ---------------------------------------------------------------------------
    def log_likelihood(self, z, eps):
        """Log-likelihood at z in the units of the data; under weights relative to the `reference`."""
        args = self.X, self.y, self.kernel_args(z), eps
        if self.weights is None:
            return kernels.log_likelihood(*args) - self.n * np.log(self.y_scale)
        return self.relative(kernels.log_density(*args))

    def value(self, z, eps):
        """What is maximised, at z: `log_likelihood` less the penalty."""
        value = self.log_likelihood(z, eps)
        return value if self.penalty is None else value - self.penalty.value(z * self.scale)

    def relative(self, log_density):
        """The value under weights of the log-densities of the rows."""
        return float(np.sum(self.weights * (log_density - self.reference)))  # pairwise

    def derivatives(self, z, eps):
        """`value` at z, its gradient in z and minus its Hessian in z."""
        args = self.X, self.y, self.kernel_args(z), eps
        log_p, gradient, information = kernels.information(*args, weights=self.weights)
        value = log_p - self.n * np.log(self.y_scale) if self.weights is None else self.relative(log_p)
        if self.penalty is not None:
            slope, hessian = self.penalty.derivatives(z * self.scale)
            value -= self.penalty.value(z * self.scale)
            gradient, information = gradient - slope, information + hessian
        return value, gradient * self.scale, information * (self.scale[:, None] * self.scale)

    def absolute(self, value):
        """The log-likelihood, or penalised one, that a value stands for."""
        return value if self.weights is None else value + self.offset

    def rounding(self, value, unit=1e-15):
        """Differences between values near this one that double precision may not tell."""
        if self.weights is None:
            return unit * np.sqrt(self.n) * (1.0 + abs(value))
        return unit * (self.grain + np.sqrt(self.rows) * abs(value))

    def active(self, z, gradient):
        """(p,) bool: coordinates on a bound whose gradient presses outward."""
        return ~self.fixed & pressing(z, gradient, self.lower, self.upper)

    def data_score(self, z_score):
        """Turn a gradient in z into one in `MixingMeasure.to_vector` of the data's units."""
        g = z_score / self.scale
        part = {name: g[where].copy() for name, where in self.slices.items()}
        for wide, flat, gate in self._levels():
            slopes = part[wide].reshape(-1, self.d)
            part[wide] = gate.gradient_outward(slopes, part[flat], self.x_shift, self.x_scale).ravel()
        eta = part["eta"].reshape(-1, self.d)
        eta *= self.x_scale / self.y_scale
        eta += part["tau"][:, None] * self.x_shift / self.y_scale
        part["tau"] = part["tau"] / self.y_scale
        return np.concatenate(list(part.values()))


def pressing(z, gradient, lower, upper):
    """(p,) bool: coordinates on an end of their box whose gradient points out of it."""
    return ((z <= lower) & (gradient < 0)) | ((z >= upper) & (gradient > 0))


def shared_out(gauges, p):
    """(p, p): what sums over each translation, and divides by its size."""
    out = np.zeros((p, p))
    for where in gauges:
        out[np.ix_(where, where)] = 1.0 / where.size
    return out


def check_bound(name, value, names=ARRAYS):
    """(low, high) of one entry of `bounds`, of a parameter among `names`."""
    check_known("bounds", name, names, f"a dict with keys among {', '.join(names)}")
    wanted = "a half-width or a pair (low, high)"
    ends = as_numbers(f"bounds[{name!r}]", value, wanted)
    if ends.shape not in ((), (2,)):
        raise ValueError(f"bounds[{name!r}] must be {wanted}; got {shown(value)}")
    low, high = map(float, ends if ends.ndim else (-ends, ends))
    if any(np.isfinite(end) and abs(end) > LARGEST for end in (low, high)):
        raise ValueError(f"bounds[{name!r}] must have ends of at most {LARGEST:g} in size; got ({low:g}, {high:g})")
    if not low <= high or (low == high and not np.isfinite(low)) or (name == "nu" and low <= 0):
        wanted = "0 < low <= high" if name == "nu" else "low <= high"
        raise ValueError(f"bounds[{name!r}] must have {wanted}; got ({low:g}, {high:g})")
    return low, high
