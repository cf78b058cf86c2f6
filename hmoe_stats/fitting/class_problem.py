"""The fit of categorical experts in coordinates fit for a quasi-Newton method: standardised, centred, with a ridge.

What is maximised is the log-likelihood less

    rho_g / 2 sum over gates, components, columns of (t - mean t)^2  +  rho_e / 2 sum over experts, classes, columns of
    (s - mean s)^2

with slopes t of gates per standard deviation of what they multiply, as in `penalty`, and slopes s of the logits of the
classes per standard deviation of the covariates, less their mean over the classes: no class is the reference here.
Coordinates z are these t and s, and intercepts as scores at the mean of what slopes multiply: a, b, omega, beta, eta,
tau, each flattened, with all C classes.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from .. import gates, kernels
from ..categorical import CategoricalMeasure
from .problem import pressing, read_only
from .rows import moments

MEMORY = 20  # pairs of steps and changes of the gradient that the quasi-Newton method keeps
LIMIT = 1000.0  # of slopes and intercepts, in standard deviations and logits: there a gate, or a class, is a step
EM_STEPS = 20


class Climb(NamedTuple):
    """Where a climb has come to."""

    z: np.ndarray
    value: float  # penalised log-likelihood
    norm: float  # largest entry of the projected gradient, over n
    n_iter: int


class Columns(NamedTuple):
    """What slopes multiply, (d,) each."""

    middle: np.ndarray
    spread: np.ndarray  # 1 where it does not vary
    free: np.ndarray  # bool: it varies, and is seen
    level: np.ndarray  # of a column that is constant, else 0


class ClassProblem:
    """Penalised log-likelihood of one data set and shape of model.

    Parameters
    ----------
    rows : categorical.Rows
    classes : tuple
    gating, k2 : as checked
    view : dict
        Of `tree.check_view`.
    ridge : tuple of float
        rho_g and rho_e.
    """

    def __init__(self, rows, classes, gating, k2, view, ridge):
        self.codes, self.weights, self.classes = rows.codes, rows.weights, classes
        self.gating, self.k2, self.view, self.ridge = gating, k2, view, ridge
        self.k1, self.K, self.C, self.d = len(k2), sum(k2), len(classes), rows.X.shape[1]
        self.n = len(rows.X) if rows.weights is None else float(rows.weights.sum())
        self.offsets = np.concatenate([[0], np.cumsum(k2)])
        self.group = np.repeat(np.arange(self.k1), k2)
        centre, spread, varies = moments(rows.X, rows.weights)
        of_x = gates.of(gating, view["laplace_scale"])
        at_work = [gate for gate, size in zip(of_x, (self.k1, max(k2)), strict=True) if size > 1]
        self.shift = centre if all(gate.shifts for gate in at_work) else np.zeros(self.d)
        self.scale = np.where(varies, spread, 1.0)
        self.X = np.ascontiguousarray((rows.X - self.shift) / self.scale)
        self.gates = tuple(gate.over(self.scale) for gate in of_x)
        self.kinds, self.laplace_scale = [gate.code for gate in of_x], view["laplace_scale"] * self.scale
        self.kinked = any(gate.kinked for gate in at_work)
        self.located = any(gate.located for gate in at_work)
        run = max(gate.run(varies.astype(float)) for gate in self.gates if gate.kinked) if self.kinked else 0.0
        self.smoothing = run / np.sqrt(self.n)
        self.columns = {"eta": self._columns(self.X, self._seen("expert_columns"))}
        for name, gate in zip(("a", "omega"), self.gates, strict=True):
            seen = self._seen("gate_columns") & (gate.scale_over(self.d) > 0)
            self.columns[name] = self._columns(gate.features(self.X), seen)
        self.shapes = {
            "a": (self.k1, self.d), "b": (self.k1,), "omega": (self.K, self.d), "beta": (self.K,),
            "eta": (self.K, self.C, self.d), "tau": (self.K, self.C),
        }  # fmt: skip
        self.levels = [("a", "b", self.gates[0], [slice(0, self.k1)] if self.k1 > 1 else [])]
        several = [slice(lo, hi) for lo, hi in zip(self.offsets[:-1], self.offsets[1:], strict=True) if hi - lo > 1]
        self.levels.append(("omega", "beta", self.gates[1], several))
        self._make_box()

    def _seen(self, name):
        seen = self.view[name]
        return np.ones(self.d, dtype=bool) if seen is None else np.isin(np.arange(self.d), seen)

    def _columns(self, F, seen):
        middle, spread, varies = moments(F, self.weights)
        level = np.where(varies, 0.0, F[0])
        return Columns(np.where(varies & seen, middle, 0.0), np.where(varies, spread, 1.0), varies & seen, level)

    def _make_box(self):
        """`free` (p,) bool, `lower` and `upper` on z, and where the rest of z `rests`."""
        free, low, high = (self._filled(value) for value in (False, -LIMIT, LIMIT))
        rest = self._filled(0.0)
        free["eta"][:] = self.columns["eta"].free
        free["tau"][:] = True
        for wide, flat, gate, parts in self.levels:
            columns = self.columns[wide]
            for part in parts:
                free[wide][part], free[flat][part] = columns.free, True
            if gate.located:
                low[wide][:], high[wide][:], _ = gate.box(self.X.min(axis=0), self.X.max(axis=0), columns.spread)
                rest[wide][:] = columns.middle + columns.level
        self.free = self._joined(free).astype(bool)
        self.lower, self.upper, self.rest = (self._joined(part) for part in (low, high, rest))
        self.p = self.free.size

    def _filled(self, value):
        return {name: np.full(shape, value) for name, shape in self.shapes.items()}

    def _joined(self, parts):
        return np.concatenate([parts[name].ravel() for name in self.shapes])

    def parts(self, vector):
        """A vector as its arrays, by name: views."""
        out, start = {}, 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            out[name] = vector[start : start + size].reshape(shape)
            start += size
        return out

    # -- coordinates ------------------------------------------------------------------------------------------------
    def arrays(self, z):
        """The parameters at z as the kernels have them, over `X` of the problem: a dict of arrays."""
        v = {name: part.copy() for name, part in self.parts(z).items()}
        for wide, flat, gate, _ in self.levels:
            if not gate.located:
                v[wide] /= self.columns[wide].spread
                v[flat] -= v[wide] @ self.columns[wide].middle
        v["tau"] -= v["eta"] @ self.columns["eta"].middle
        return v

    def coordinates(self, v):
        """z of such arrays, drawn into the box."""
        z = {name: part.copy() for name, part in v.items()}
        for wide, flat, gate, _ in self.levels:
            if not gate.located:
                z[flat] += z[wide] @ self.columns[wide].middle
                z[wide] *= self.columns[wide].spread
        z["tau"] += z["eta"] @ self.columns["eta"].middle
        z = np.where(self.free, self._joined(z), self.rest)
        return np.clip(z, self.lower, self.upper)

    def kernel_args(self, v):
        """Arrays as the kernels take them."""
        return *self.kinds, self.offsets, *read_only(*(v[name] for name in self.shapes), self.laplace_scale)

    def to_measure(self, z):
        """The `CategoricalMeasure` at z, in the units of the data, with all columns."""
        v = self.arrays(z)
        fields = {}
        for wide, flat, gate, _ in self.levels:
            slopes, fields[flat] = gate.outward(v[wide], v[flat], self.shift, self.scale)
            fields[wide] = np.where(self._seen("gate_columns") & (gate.scale_over(self.d) > 0), slopes, 0.0)
        eta = v["eta"] / self.scale
        tau = v["tau"] - eta @ self.shift
        return CategoricalMeasure(
            gating=self.gating, k2=self.k2, **fields, eta=eta[:, :-1] - eta[:, -1:], tau=tau[:, :-1] - tau[:, -1:],
            classes=self.classes, laplace_scale=self.view["laplace_scale"],
        )  # fmt: skip

    def from_measure(self, G):
        """Coordinates of a measure of this shape with all columns, drawn into the box."""
        v = {}
        for wide, flat, gate, _ in self.levels:
            slopes, intercepts = gate.inward(getattr(G, wide), getattr(G, flat), self.shift, self.scale)
            level = np.zeros(self.d) if gate.located else self.columns[wide].level
            v[wide], v[flat] = slopes.copy(), intercepts + slopes @ level
        zero = np.zeros((self.K, 1))
        eta = np.concatenate([G.eta * self.scale, np.zeros((self.K, 1, self.d))], axis=1)
        tau = np.concatenate([G.tau + G.eta @ self.shift, zero], axis=1) + eta @ self.columns["eta"].level
        v["eta"], v["tau"] = (part - part.mean(axis=1, keepdims=True) for part in (eta, tau))
        return self.coordinates(v)

    # -- the function -----------------------------------------------------------------------------------------------
    def ridges(self, z):
        """What the penalty is at z, and its gradient (p,)."""
        away, z = self._filled(0.0), self.parts(z)
        of_gates, of_experts = self.ridge
        for wide, _, gate, parts in self.levels:
            columns = self.columns[wide]
            for part in parts:
                slopes = (z[wide][part] - (columns.middle if gate.located else 0.0)) * columns.free
                away[wide][part] = of_gates * (slopes if gate.located else slopes - slopes.mean(axis=0))
        slopes = z["eta"]
        away["eta"][:] = of_experts * (slopes - slopes.mean(axis=1, keepdims=True))
        squares = [np.sum(away[name] ** 2) / rho for name, rho in self._rhos() if rho > 0]
        return 0.5 * float(sum(squares)), self._joined(away)

    def _rhos(self):
        return ("a", self.ridge[0]), ("omega", self.ridge[0]), ("eta", self.ridge[1])

    def value(self, z, eps):
        """Penalised log-likelihood."""
        return self.log_likelihood(z, eps) - self.ridges(z)[0]

    def log_likelihood(self, z, eps=0.0):
        """The plain one."""
        args = self.kernel_args(self.arrays(z))
        return float(kernels.class_log_likelihood(self.X, self.codes, args, eps, self.weights))

    def derivatives(self, z, eps):
        """`value` at z and its gradient in z, 0 where z is not free."""
        value, gradient = kernels.class_score(self.X, self.codes, self.kernel_args(self.arrays(z)), eps, self.weights)
        g = self.parts(gradient)
        for wide, flat, gate, _ in self.levels:
            if not gate.located:
                columns = self.columns[wide]
                g[wide] -= g[flat][:, None] * columns.middle
                g[wide] /= columns.spread
        g["eta"] -= g["tau"][..., None] * self.columns["eta"].middle
        taken, slope = self.ridges(z)
        return value - taken, np.where(self.free, gradient - slope, 0.0)

    def projected(self, z, gradient):
        """The gradient but for what presses against the box."""
        return np.where(pressing(z, gradient, self.lower, self.upper), 0.0, gradient)

    # -- climbing ---------------------------------------------------------------------------------------------------
    def climb(self, z, eps, max_iter, tol, rise=0.0):
        """L-BFGS-B from z: a `Climb`; it ends where the projected score over n is at most tol.

        Or where an iteration raises the value by less than a share `rise` of it.
        """
        z, free = z.copy(), self.free

        def minus(point):
            z[free] = point
            value, gradient = self.derivatives(z, eps)
            return -value, -gradient[free]

        options = {"maxiter": max_iter, "maxfun": 2 * max_iter + 20, "maxcor": MEMORY, "ftol": rise}
        options["gtol"] = tol * self.n
        bounds = np.column_stack([self.lower[free], self.upper[free]])
        found = minimize(minus, z[free], jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        z[free] = found.x
        value, gradient = self.derivatives(z, eps)
        return Climb(z, value, float(np.abs(self.projected(z, gradient)).max()) / self.n, int(found.nit))

    def warmed(self, z, eps, steps=EM_STEPS):
        """Where EM leads to from z: its M-steps are single Newton steps with a bound on the curvature.

        The bound, (I - 11'/m) / 2 for the logits of m classes or components (Boehning 1992), is exact for no start but
        never overshoots; Laplace gates have their first derivative in place of what slopes multiply, and no bound. EM
        ends where the value falls.
        """
        v, best = self.arrays(z), -np.inf
        for _ in range(steps):
            value, gradient = self.derivatives(z, eps)
            if value <= best + 1e-3:
                break
            best, kept = value, z
            raw = self.parts(self._raw(z, gradient))
            r = kernels.class_responsibilities(self.X, self.codes, self.kernel_args(v), eps)[1]
            r = r if self.weights is None else r * self.weights
            v = self._step(v, raw, r)
            z = self.coordinates(v)
            v = self.arrays(z)
        return z if self.value(z, eps) > best else kept

    def _raw(self, z, gradient):
        """A gradient in z as one in the arrays: what `derivatives` does, undone."""
        out = gradient.copy()
        g = self.parts(out)
        for wide, flat, gate, _ in self.levels:
            if not gate.located:
                g[wide] *= self.columns[wide].spread
                g[wide] += g[flat][:, None] * self.columns[wide].middle
        g["eta"] += g["tau"][..., None] * self.columns["eta"].middle
        return out

    def _step(self, v, raw, r):
        """One M-step of all experts and gates, with responsibilities r (K, n) times weights."""
        new = {name: part.copy() for name, part in v.items()}
        moments_of = kernels.expert_sums(self.X, self.codes.astype(float), r)[0]
        for j in range(self.K):
            columns = self.columns["eta"]
            step = self._solve(moments_of[j], columns.free, self.ridge[1], raw["eta"][j], raw["tau"][j])
            new["eta"][j] += step[:, :-1]
            new["tau"][j] += step[:, -1]
        R = np.add.reduceat(r, self.offsets[:-1], axis=0)
        for wide, flat, gate, parts in self.levels:
            for part in parts:
                whole = R.sum(axis=0) if wide == "a" else R[self.group[part.start]]
                for i in range(part.start, part.stop):
                    features = np.ascontiguousarray(gate.slope_derivative(self.X, v[wide][i]))
                    bend = kernels.expert_sums(features, self.codes.astype(float), whole[None])[0][0]
                    free, rho = self.columns[wide].free, self.ridge[0] / self.columns[wide].spread**2
                    step = self._solve(bend, free, rho, raw[wide][i : i + 1], raw[flat][i : i + 1])[0]
                    new[wide][i] += step[:-1]
                    new[flat][i] += step[-1]
        return new

    def _solve(self, bend, free, rho, slopes, intercepts):
        """Steps (m, d + 1) for gradients (m, d) and (m,), by half of `bend` (d + 1, d + 1) and the ridge."""
        out, seen = np.zeros((len(slopes), self.d + 1)), np.append(free, True)
        matrix = 0.5 * bend[np.ix_(seen, seen)]
        matrix[np.diag_indices_from(matrix)] += np.append(np.broadcast_to(rho, free.shape), 0.0)[seen]
        matrix[np.diag_indices_from(matrix)] += 1e-6 * np.trace(matrix) / len(matrix) + 1e-12
        right = np.column_stack([slopes, intercepts])[:, seen]
        out[:, seen] = np.linalg.solve(matrix, right.T).T
        return out

    def regressions(self, weights, steps):
        """Slopes (K, C, d) and intercepts (K, C) of each expert's own regression under weights (K, n), from 0.

        By steps with the bound of `warmed`.
        """
        observed, columns = np.eye(self.C)[self.codes], self.columns["eta"]
        eta, tau = np.zeros(self.shapes["eta"]), np.zeros(self.shapes["tau"])
        moments_of = kernels.expert_sums(self.X, self.codes.astype(float), weights)[0]
        for j, weight in enumerate(weights):
            for _ in range(steps):
                rest = weight[:, None] * (observed - softmax(self.X @ eta[j].T + tau[j], axis=1))
                slopes = rest.T @ self.X - self.ridge[1] * eta[j]
                step = self._solve(moments_of[j], columns.free, self.ridge[1], slopes, rest.sum(axis=0))
                eta[j] += step[:, :-1]
                tau[j] += step[:, -1]
        return eta, tau
