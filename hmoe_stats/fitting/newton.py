"""Trust-region Newton in a box, on the exact observed information.

At z, with gradient g and information I (minus the Hessian), the step maximises g's - s'Is/2 over ||s|| <= radius and
the box. Over-specified models have a nearly singular, often indefinite I: where a Cholesky factor and a step inside the
radius exist they are used, else the subproblem is solved through the eigenvalues of I (More and Sorensen 1983).

From about n = 1e6 on an over-specified likelihood is a narrow, curved valley: what the copies of an expert have in
common is known to n^(-1/2), how they share it hardly. A straight step soon leaves the floor, the trust region shrinks
around it, and what the model promises inside is nothing, far from the top. So a climb is not over before the step that
no trust region shortens promises nothing either (`promise`), and where the last steps gained much less than it would,
the next one goes along the floor (`along_valley`).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack, null_space

MAX_LEGS = 12  # bounds met on the way of one step
UNIT = 1.0  # length of a step that no trust region shortens: coordinates are of order one, as the box of a gate is
SINGULAR = 1e-15  # of the largest curvature: what double precision leaves of none
# In log-likelihood, of a step that no trust region shortens: a step of .0014 standard errors. At n = 1e8 climbs to 1e-9
# went on for hundreds of iterations, each of which gained less than the value can tell.
PROMISED = 1e-6
# Climbs are slow where `CRAWL` steps have gained less than 1 / `SLOW` times what is promised. SS 2x2 by 3x3, n = 1e8:
# with 1 / 4 all of 12 starts came to an optimum, with 1 three, the others crawled on for 300 iterations.
CRAWL, SLOW = 8, 0.25
# A floor: the directions with eigenvalues below that share of the largest. At n = 1e10, 9 of 28 under SS and 10 of 31
# under LL: one step back to it from .1 away is enough. With the 2 or 4 flattest alone steps longer than .003 fail, as
# those left between, of 1e-7, are the ones that steps back run along.
FLOORS = 1e-4, 1e-5
BACK = 3  # steps back to the floor at most
SHORTEST, LONGEST = 1e-4, 1.0  # steps along a floor
SHORTER = 0.03, 0.3  # times as long after one that fails, at least and at most
LONGER, AS_SAID = 2.0, 0.3  # times as long after one that gains such a share of what is predicted at least
HOPELESS = 0.3  # of what is lost: a step back that promises less is not worth its derivatives


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
    reach: float = 0.1  # of steps along a valley, likewise
    failed: int = 0  # length of the path when one failed last
    pace: tuple = (np.inf, 0.0)  # gain of an evaluation of the derivatives, in Newton's last step and in one of these

    @property
    def n_iter(self):
        return len(self.path) - 1

    @property
    def risen(self):
        """What the last `CRAWL` steps gained, infinity before there are so many."""
        return self.value - self.path[-1 - CRAWL] if len(self.path) > CRAWL + self.failed else np.inf


def maximise(problem, z, eps, tol, max_iter, gain=1e-9):
    """Climb from z until the projected gradient is below `tol` and the next step promises less than `gain`.

    Parameters
    ----------
    problem : Problem
    z : ndarray, (p,)
    eps : float
        Smoothing of Laplace distances.
    tol : float
        On the largest absolute projected gradient divided by n.
    max_iter : int
        Steps at most; one of Newton's takes one evaluation of the derivatives, one along a valley two or more.
    gain : float
        On the log-likelihood that one more step is predicted to add in the trust region; without one (`promise`) it
        is `PROMISED` where that is more.

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


def climb_on(problem, optimum, eps, tol, max_iter, gain=1e-9, valleys=True):
    """As `maximise`, from where an earlier climb at the same `eps` was left; its path is continued.

    Without `valleys` the steps are those of Newton's method in the trust region, and so is what they promise.
    """
    here = replace(optimum, path=list(optimum.path), converged=False)
    for spent in range(max_iter + 1):
        step = _step(problem, here.z, here.gradient, here.information, here.radius)
        predicted = _predicted(here.gradient, here.information, step)
        rounding = problem.rounding(here.value)
        done = here.norm <= tol and predicted <= max(gain, rounding)
        if valleys and (done or here.risen < np.inf):
            enough = max(gain, PROMISED, rounding)
            pays = problem.large and here.pace[1] > here.pace[0]
            asked = enough if done or pays else max(enough, SLOW * here.risen)
            if promise(problem, here) > asked:
                stood = here.path[here.failed - 1] if here.failed else -np.inf
                if spent == max_iter:
                    break
                if along_valley(problem, here, eps):
                    continue
                if done and here.value <= stood + max(gain, rounding):
                    break  # neither a valley nor Newton's method leads on
                if done:
                    here.radius = UNIT
                    continue
        if done:
            here.converged = True
            break
        if spent == max_iter:
            break
        z = problem.project(here.z + step)
        value, gradient, information = problem.derivatives(z, eps)
        norm = projected_norm(problem, z, gradient)
        actual = value - here.value
        length = np.linalg.norm(step)
        # below rounding the value cannot judge a step; the gradient can
        good = actual > 0 if predicted > rounding else (actual >= -10 * rounding and norm < here.norm)
        if actual < 0.25 * predicted and predicted > rounding:
            here.radius = 0.25 * length
        elif actual > 0.75 * predicted and length > 0.8 * here.radius:
            here.radius = min(2.5 * here.radius, 1e4)
        here.pace = max(actual, 0.0), here.pace[1]
        if good:
            here.z, here.value, here.gradient, here.information, here.norm = z, value, gradient, information, norm
        elif 0 <= predicted <= rounding and (here.norm <= tol or length < 1e-6):
            here.converged = here.norm <= tol  # nothing left that double precision could tell
            break
        else:
            here.radius = min(here.radius, 0.25 * length)
        here.path.append(here.value)
        if here.radius < 1e-12:
            break
    return here


def promise(problem, optimum):
    """What the best step of length `UNIT` at most would add to the value of an optimum, by the quadratic model.

    Inside the box it is g' I^-1 g / 2, half the square of the step's length in standard errors. Curvature that double
    precision cannot tell from none counts as a little, of either sign.
    """
    information = optimum.information.copy()
    np.fill_diagonal(information, information.diagonal() + SINGULAR * np.abs(information.diagonal()).max(initial=0.0))
    step = _step(problem, optimum.z, optimum.gradient, information, UNIT)
    return _predicted(optimum.gradient, information, step)


def _predicted(gradient, information, step):
    return gradient @ step - 0.5 * step @ information @ step


def along_valley(problem, here, eps):
    """Move the optimum `here` along the floor of its valley, and say whether that raised it beyond rounding.

    The floor is spanned by the flattest eigenvectors of the information. In them the quadratic model is climbed within
    `reach`; that leaves the floor, as it is curved, and Newton's method in all other directions leads back. Where the
    value has not risen then, the next reach is shorter: what is lost grows as its fourth power, the square of how far a
    straight step strays. Where it has risen as the model says, the next one is longer.
    """
    values, vectors = spectrum(problem, here.z, here.gradient, here.information)
    sizes = dict.fromkeys(int((values < share * values[-1]).sum()) for share in FLOORS)
    floors = [vectors[:, :size] for size in sizes if size]
    stiff = 1e3 * problem.n * values[-1]
    spent = 0
    while here.reach > SHORTEST:
        shorter = SHORTER[0]
        for floor in floors:
            curvature, slope = problem.n * np.diag(values[: floor.shape[1]]), floor.T @ here.gradient
            step = _subproblem(curvature, slope, here.reach)
            predicted = max(_predicted(slope, curvature, step), np.finfo(float).tiny)
            end, evaluations = _back(problem, here.z + floor @ step, eps, floor, stiff, here.value)
            gained, spent = end.value - here.value, spent + evaluations
            if gained > problem.rounding(end.value):
                here.z, here.value, here.gradient, here.information = end.z, end.value, end.gradient, end.information
                here.norm, here.pace = end.norm, (here.pace[0], gained / spent)
                here.path.append(here.value)
                if gained > AS_SAID * predicted:
                    here.reach = min(LONGER * here.reach, LONGEST)
                return True
            shorter = max(shorter, (predicted / max(-gained, predicted)) ** 0.25)
        here.reach *= min(shorter, SHORTER[1])
    here.reach, here.failed, here.pace = Optimum.reach, len(here.path), Optimum.pace
    return False


def _back(problem, z, eps, floor, stiff, below):
    """Newton's method from z in the directions across a `floor`, along which it is held as by a spring, `stiff`.

    It ends where a step does not raise the value, promises little beside what the value stands above `below`, cannot
    raise it so far, or is the last of `BACK`. Returns the end, and how often the derivatives were evaluated.
    """
    end, springs = begin(problem, z, eps), stiff * (floor @ floor.T)
    for steps in range(BACK):
        across = end.gradient - floor @ (floor.T @ end.gradient)
        step = _step(problem, end.z, across, end.information + springs, UNIT)
        promised, above = 0.5 * across @ step, end.value - below
        if promised < 1e-3 * above or promised < HOPELESS * -above:
            return end, 1 + steps
        new = begin(problem, end.z + step, eps)
        if not new.value > end.value:
            return end, 2 + steps
        end = new
    return end, 1 + BACK


def polish(problem, optimum, eps, steps=3):
    """Up to `steps` pure Newton steps, each kept only if it lowers the projected gradient and not the value.

    Nor may it leave more to gain than before (`promise`); both up to rounding.
    """
    for _ in range(steps):
        step = _step(problem, optimum.z, optimum.gradient, optimum.information, 0.1)
        new = begin(problem, optimum.z + step, eps)
        lowers = new.norm < optimum.norm and new.value >= optimum.value - problem.rounding(new.value, 1e-14)
        if not lowers or promise(problem, new) > promise(problem, optimum) + problem.rounding(new.value):
            break
        optimum = replace(new, converged=optimum.converged, path=[*optimum.path, new.value])
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
