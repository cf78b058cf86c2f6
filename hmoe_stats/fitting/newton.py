"""Trust-region Newton in a box, on the exact observed information.

At z, with gradient g and information I (minus the Hessian), the step maximises g's - s'Is/2 over ||s|| <= radius and
the box. Over-specified models have a nearly singular, often indefinite I: where a Cholesky factor and a step inside the
radius exist they are used, else the subproblem is solved through the eigenvalues of I (More and Sorensen 1983).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack, null_space

MAX_LEGS = 12  # bounds met on the way of one step


@dataclass
class Optimum:
    """Where an optimisation ended: coordinates, value, gradient, information, and whether the conditions hold."""

    z: np.ndarray
    value: float
    gradient: np.ndarray
    information: np.ndarray
    norm: float  # projected gradient, largest absolute entry over n
    converged: bool
    path: list
    radius: float = 1.0  # of the trust region, for climbing on

    @property
    def n_iter(self):
        return len(self.path) - 1


def maximise(problem, z, eps, tol, max_iter, gain=1e-9):
    """Climb from z until the projected gradient is below `tol` and the model promises less than `gain`.

    Parameters
    ----------
    problem : Problem
    z : ndarray, (p,)
    eps : float
        Smoothing of Laplace distances.
    tol : float
        On the largest absolute projected gradient divided by n.
    max_iter : int
        Evaluations of the derivatives, the first one aside.
    gain : float
        On the log-likelihood that one more step is predicted to add.

    Returns
    -------
    Optimum
        Its path never falls by more than rounding.
    """
    return climb_on(problem, begin(problem, z, eps), eps, tol, max_iter, gain)


def begin(problem, z, eps):
    """Where a climb from z begins."""
    z = problem.project(z)
    value, gradient, information = problem.derivatives(z, eps)
    return Optimum(z, value, gradient, information, projected_norm(problem, z, gradient), False, [value])


def climb_on(problem, optimum, eps, tol, max_iter, gain=1e-9):
    """As `maximise`, from where an earlier climb at the same `eps` was left; its path is continued."""
    z, value, gradient, information = optimum.z, optimum.value, optimum.gradient, optimum.information
    norm, radius, path, converged = optimum.norm, optimum.radius, list(optimum.path), False
    for spent in range(max_iter + 1):
        step = _step(problem, z, gradient, information, radius)
        predicted = gradient @ step - 0.5 * step @ information @ step
        rounding = problem.rounding(value)
        if norm <= tol and predicted <= max(gain, rounding):
            converged = True
            break
        if spent == max_iter:
            break
        trial = problem.project(z + step)
        new = problem.derivatives(trial, eps)
        new_norm = projected_norm(problem, trial, new[1])
        actual = new[0] - value
        length = np.linalg.norm(step)
        # below rounding the value cannot judge a step; the gradient can
        good = actual > 0 if predicted > rounding else (actual >= -10 * rounding and new_norm < norm)
        if actual < 0.25 * predicted and predicted > rounding:
            radius = 0.25 * length
        elif actual > 0.75 * predicted and length > 0.8 * radius:
            radius = min(2.5 * radius, 1e4)
        if good:
            z, norm = trial, new_norm
            value, gradient, information = new
        elif 0 <= predicted <= rounding and (norm <= tol or length < 1e-6):
            converged = norm <= tol  # nothing left that double precision could tell
            break
        else:
            radius = min(radius, 0.25 * length)
        path.append(value)
        if radius < 1e-12:
            break
    return Optimum(z, value, gradient, information, norm, converged, path, radius)


def polish(problem, optimum, eps, steps=3):
    """Up to `steps` pure Newton steps, each kept only if it lowers the projected gradient and not the value."""
    for _ in range(steps):
        step = _step(problem, optimum.z, optimum.gradient, optimum.information, 0.1)
        trial = problem.project(optimum.z + step)
        value, gradient, information = problem.derivatives(trial, eps)
        norm = projected_norm(problem, trial, gradient)
        if not (norm < optimum.norm and value >= optimum.value - problem.rounding(value, 1e-14)):
            break
        optimum = Optimum(trial, value, gradient, information, norm, optimum.converged, [*optimum.path, value])
    return optimum


def projected_norm(problem, z, gradient):
    """Largest absolute entry of the gradient, over n, apart from those that press against a bound."""
    free = ~(problem.fixed | problem.active(z, gradient))
    return float(np.abs(gradient[free]).max(initial=0.0)) / problem.n


def spectrum(problem, z, gradient, information):
    """Eigenvalues (m,), ascending, and eigenvectors (p, m) of the information over n, where z can move.

    Directions along bounds that the gradient presses against are left out, and the translations of gates, along which
    the likelihood is constant.
    """
    free = ~(problem.fixed | problem.active(z, gradient))
    constraints = [np.eye(z.size)[~free]]
    for where in problem.gauges:
        if free[where].all():
            row = np.zeros((1, z.size))
            row[0, where] = where.size**-0.5
            constraints.append(row)
    basis = null_space(np.concatenate(constraints))
    values, vectors = np.linalg.eigh(basis.T @ information @ basis / problem.n)
    return values, basis @ vectors


def _stiffen(problem, matrix, free):
    """Give each translation of a gate the eigenvalue of a typical coordinate: the gradient along it is 0 anyway."""
    typical = np.abs(np.diag(matrix)[free]).mean() if free.any() else 1.0
    whole = free.astype(float) @ problem.gauge_matrix >= 1.0 - 1e-9  # coordinates of gates that are free altogether
    matrix += typical * (whole * problem.gauge_matrix)


def _step(problem, z, gradient, information, radius):
    """Climb the quadratic model in trust region and box: towards its optimum until a bound is met, then along it.

    Each leg raises the model, since it starts towards the maximum of the model over the coordinates still free.
    """
    free = ~(problem.fixed | problem.active(z, gradient))
    step, left = np.zeros_like(z), radius
    for _ in range(MAX_LEGS):
        index = np.flatnonzero(free)
        if index.size == 0 or left <= 1e-3 * radius:
            break
        matrix = information.copy()
        _stiffen(problem, matrix, free)
        slope = gradient - information @ step if step.any() else gradient
        leg = _subproblem(matrix[np.ix_(index, index)], slope[index], left)
        here = z[index] + step[index]
        limit = np.where(leg > 0, problem.upper[index], problem.lower[index]) - here
        reach = np.full(index.size, np.inf)
        with np.errstate(over="ignore"):  # a vanishing leg meets its bound at infinity
            np.divide(limit, leg, out=reach, where=leg != 0)
        fraction = min(1.0, max(reach.min(), 0.0))
        step[index] += fraction * leg
        if fraction == 1.0:
            break
        hit = reach <= fraction * (1.0 + 1e-12)
        met = index[hit]
        step[met] = np.where(leg[hit] > 0, problem.upper[met], problem.lower[met]) - z[met]
        free[met] = False
        left -= fraction * np.linalg.norm(leg)
    return step


def _subproblem(matrix, right, radius):
    """argmax right's - s'matrix s / 2 over ||s|| <= radius."""
    factor, failed = lapack.dpotrf(matrix, lower=1)
    if not failed:
        step, _ = lapack.dpotrs(factor, right, lower=1)
        if np.abs(step).max() <= radius and np.dot(step, step) <= radius * radius:
            return step
    values, vectors = np.linalg.eigh(matrix)
    along = vectors.T @ right
    smallest = values[0]
    floor = max(0.0, -smallest) + 1e-14 * max(abs(smallest), abs(values[-1])) + 1e-200
    shifted = values + floor
    solution = np.minimum(np.abs(along) / shifted, 2.0 * radius) * np.sign(along)
    if np.dot(solution, solution) <= radius * radius:
        if smallest < 0:  # the hard case: right has nothing along the most negative direction; go along it
            rest = radius * radius - np.dot(solution[1:], solution[1:])
            solution[0] = np.sqrt(max(rest, 0.0)) * (1.0 if along[0] >= 0 else -1.0)
        return vectors @ solution
    shift = max(floor, np.linalg.norm(along) / radius - values[-1])  # no smaller one can bring s inside
    for _ in range(60):  # Newton on 1/||s(shift)|| = 1/radius, monotone from the left
        shifted = values + shift
        solution = along / shifted
        size = np.sqrt(np.dot(solution, solution))
        if abs(size - radius) <= 1e-3 * radius:
            break
        slope = np.sum(solution * solution / shifted)
        shift = max(shift + size * size / slope * (size - radius) / radius, floor)
    return vectors @ solution
