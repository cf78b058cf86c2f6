"""The trust-region Newton method: its subproblem against the secular equation, its step in the box, saddles."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import brentq

import hmoe_stats as hs
from hmoe_stats.fitting import newton, shapes, starts
from hmoe_stats.fitting.problem import Problem

RADIUS_SLACK = 1.0 + 1.01e-3  # the subproblem may stop within 1e-3 of the radius


def model_value(matrix, right, step):
    return right @ step - 0.5 * step @ matrix @ step


def exact_subproblem(matrix, right, radius):
    """Value of max right's - s'matrix s / 2 over ||s|| <= radius, from the secular equation, by bisection."""
    values, vectors = np.linalg.eigh(matrix)
    along = vectors.T @ right
    size = lambda shift: np.linalg.norm(along / (values + shift))  # noqa: E731
    if values[0] > 0 and size(0.0) <= radius:
        return model_value(np.diag(values), along, along / values)
    low = max(0.0, -values[0])
    edge = low + 1e-13 * max(1.0, low)
    if size(edge) <= radius:  # hard case: fill up along the most negative direction
        s = along / (values + edge)
        s[0] = np.sign(along[0] or 1.0) * np.sqrt(radius**2 - s[1:] @ s[1:])
        return model_value(np.diag(values), along, s)
    shift = brentq(lambda t: size(t) - radius, edge, low + np.linalg.norm(right) / radius + 1.0, xtol=1e-15)
    return model_value(np.diag(values), along, along / (values + shift))


def symmetric(rng, p, eigenvalues=None):
    q = np.linalg.qr(rng.standard_normal((p, p)))[0]
    values = rng.standard_normal(p) * 10.0 ** rng.uniform(-3, 3, p) if eigenvalues is None else np.array(eigenvalues)
    return (q * values) @ q.T, q


def check(matrix, right, radius):
    step = newton._subproblem(matrix, right, radius)
    assert np.isfinite(step).all()
    assert np.linalg.norm(step) <= radius * RADIUS_SLACK
    best = exact_subproblem(matrix, right, radius)
    assert model_value(matrix, right, step) >= best - 5e-3 * abs(best) - 1e-12
    return step


@pytest.mark.parametrize("p", [1, 2, 3, 7, 20])
def test_subproblem_on_random_indefinite_matrices(p):
    rng = np.random.default_rng(p)
    for _ in range(60):
        matrix, _ = symmetric(rng, p)
        check(matrix, rng.standard_normal(p) * 10.0 ** rng.uniform(-6, 3), 10.0 ** rng.uniform(-3, 2))


def test_subproblem_against_a_fine_grid_of_steps():
    rng = np.random.default_rng(5)
    angle = np.linspace(0, 2 * np.pi, 2000)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for _ in range(20):
        matrix, right = symmetric(rng, 2)[0], rng.standard_normal(2)
        step = newton._subproblem(matrix, right, 0.7)
        for length in np.linspace(0, 0.7, 30):
            s = length * circle
            best = (right @ s - 0.5 * np.einsum("ik,ij,jk->k", s, matrix, s)).max()
            reached = model_value(matrix, right, step)
            assert reached >= best - 3e-3 * abs(reached) - 1e-12


def test_subproblem_positive_definite_inside_the_radius_is_newton():
    rng = np.random.default_rng(6)
    matrix, _ = symmetric(rng, 5, [0.5, 1, 2, 5, 9])
    right = rng.standard_normal(5)
    np.testing.assert_allclose(newton._subproblem(matrix, right, 1e3), np.linalg.solve(matrix, right), rtol=1e-10)


@pytest.mark.parametrize("most_negative", [-1e-3, -1.0, -50.0])
def test_hard_case_goes_along_the_most_negative_direction(most_negative):
    rng = np.random.default_rng(7)
    matrix, q = symmetric(rng, 4, [most_negative, 1.0, 2.0, 3.0])
    right = q[:, 1:] @ (0.1 * rng.standard_normal(3))  # nothing along q[:, 0]
    step = check(matrix, right, 1.0)
    assert abs(step @ q[:, 0]) > 0.9
    step = check(matrix, np.zeros(4), 0.3)  # a saddle point: no gradient at all
    assert np.linalg.norm(step) == pytest.approx(0.3, rel=2e-3)
    assert abs(step @ q[:, 0]) == pytest.approx(0.3, rel=2e-3)


@pytest.mark.parametrize("along", [1e-12, 1e-13, 1e-14, 5e-15, 1e-15, 1e-17])
def test_nearly_hard_case_respects_the_radius(along):
    check(np.diag([-1.0, 1.0, 2.0]), np.array([along, 0.0, 0.0]), 1.0)
    check(np.diag([-1.0, 1.0, 2.0]), np.array([-along, 0.3, 0.1]), 1.0)


def test_subproblem_singular_and_zero_matrices():
    right = np.array([3.0, 4.0])
    np.testing.assert_allclose(newton._subproblem(np.diag([1.0, 0.0]), right, 1e-3), right * 2e-4, rtol=2e-3)
    np.testing.assert_array_equal(newton._subproblem(np.diag([1.0, 0.0]), np.zeros(2), 1.0), 0.0)
    step = newton._subproblem(np.zeros((2, 2)), right, 1.0)  # a linear function: straight to the radius
    np.testing.assert_allclose(step, [0.6, 0.8], rtol=2e-3)


class Toy:
    """A function of few coordinates in a box, with the face of `Problem` that the optimiser sees."""

    large = True

    def __init__(self, function, lower, upper, n=100):
        self.function, self.n = function, n
        self.lower, self.upper = np.array(lower, dtype=float), np.array(upper, dtype=float)
        self.fixed, self.gauges = np.zeros(self.lower.size, dtype=bool), []
        self.gauge_matrix = np.zeros((self.lower.size,) * 2)

    active = Problem.active

    def rounding(self, value, unit=1e-15):
        return unit * np.sqrt(self.n) * (1.0 + abs(value))

    def project(self, z):
        return np.clip(z, self.lower, self.upper)

    def derivatives(self, z, eps):
        return self.function(z)


def quadratic(matrix, right):
    return lambda z: (model_value(matrix, right, z), right - matrix @ z, matrix)


@pytest.mark.parametrize("p", [1, 2, 4, 9])
def test_step_stays_in_the_box_and_radius_and_raises_the_model(p):
    rng = np.random.default_rng(10 + p)
    for _ in range(80):
        lower, upper = -rng.uniform(0, 1, p), rng.uniform(0, 1, p)
        toy = Toy(None, lower, upper)
        matrix, right = symmetric(rng, p)[0], rng.standard_normal(p)
        z = toy.project(rng.uniform(-1.2, 1.2, p))  # often on a face
        radius = 10.0 ** rng.uniform(-2, 1)
        step = newton._step(toy, z, right, matrix, radius)
        assert (z + step >= lower - 1e-12).all()
        assert (z + step <= upper + 1e-12).all()
        assert np.linalg.norm(step) <= radius * RADIUS_SLACK
        free = ~toy.active(z, right)
        if np.abs(right[free]).max(initial=0.0) > 1e-9:
            assert model_value(matrix, right, step) > 0
        else:
            assert (step == 0).all() or model_value(matrix, right, step) >= 0


def test_step_does_not_move_what_presses_against_a_bound_or_is_fixed():
    toy = Toy(None, [-1, -1, -1], [1, 1, 1])
    toy.fixed[2] = True
    step = newton._step(toy, np.array([1.0, 0.0, 0.0]), np.array([2.0, 0.3, 5.0]), np.eye(3), 10.0)
    np.testing.assert_allclose(step, [0.0, 0.3, 0.0], atol=1e-15)


def test_maximise_a_concave_quadratic_in_a_box_finds_the_constrained_maximum():
    rng = np.random.default_rng(20)
    for _ in range(20):
        matrix, _ = symmetric(rng, 3, rng.uniform(0.1, 5, 3))
        right = 3 * rng.standard_normal(3)
        toy = Toy(quadratic(matrix, right), [-1] * 3, [1] * 3)
        got = newton.maximise(toy, np.zeros(3), 0.0, 1e-9, 100)
        assert got.converged
        fine = np.stack(np.meshgrid(*[np.linspace(-1, 1, 41)] * 3), -1).reshape(-1, 3)
        grid = fine @ right - 0.5 * np.einsum("ki,ij,kj->k", fine, matrix, fine)
        assert got.value >= grid.max() - 1e-12
        # Karush, Kuhn and Tucker: zero gradient inside, outward gradient on the faces
        inside = np.abs(got.z) < 1
        assert np.abs(got.gradient[inside]).max(initial=0) < 1e-6
        assert (got.gradient[~inside] * got.z[~inside] >= 0).all()


def test_maximise_does_not_claim_a_gradient_it_has_not_reached():
    rng = np.random.default_rng(21)
    seen = []
    for _ in range(20):
        matrix, _ = symmetric(rng, 4, rng.uniform(0.1, 5, 4))
        toy = Toy(quadratic(matrix, 3 * rng.standard_normal(4)), [-20] * 4, [20] * 4)
        got = newton.maximise(toy, np.zeros(4), 0.0, 1e-25, 100)
        assert got.converged == (got.norm <= 1e-25)
        seen.append(got.converged)
    assert not all(seen)


def double_well(z):
    """Maxima at (+-1, 0), a saddle at the origin."""
    x, y = z
    value = -((x * x - 1) ** 2) - y * y
    return value, np.array([-4 * x * (x * x - 1), -2 * y]), np.array([[12 * x * x - 4, 0.0], [0.0, 2.0]])


@pytest.mark.parametrize("z", [(0.0, 0.0), (0.0, 0.7), (1e-12, -2.0)])
def test_maximise_leaves_a_saddle(z):
    got = newton.maximise(Toy(double_well, [-5, -5], [5, 5]), np.array(z), 0.0, 1e-9, 100)
    assert got.converged
    assert got.value == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(np.abs(got.z), [1, 0], atol=1e-6)


def test_maximise_leaves_the_saddle_of_a_fit_with_copied_experts():
    G = hs.datasets.truth("C2", "SS")
    X, y = hs.sample(G, 300, x=hs.Uniform(-3, 3), seed=3)
    exact = hs.fit_mle(X, y, "SS", (1,))
    problem = Problem(X, y, "SS", (2,))
    z = problem.from_measure(shapes.embed(exact.measure, (2,), np.random.default_rng(0)))
    before = problem.log_likelihood(z, 0.0)
    assert before == pytest.approx(exact.log_likelihood, abs=1e-9)
    _, gradient, information = problem.derivatives(z, 0.0)
    assert newton.projected_norm(problem, z, gradient) < 1e-8
    assert newton.spectrum(problem, z, gradient, information)[0][0] * y.size < -1e-3  # a saddle indeed
    got = newton.maximise(problem, z, 0.0, 1e-9, 200)
    assert got.converged
    assert got.value > before + 10
    assert newton.spectrum(problem, got.z, got.gradient, got.information)[0][0] * y.size > -1e-6


def test_maximise_at_the_cap_is_not_converged_and_its_path_never_falls():
    rosenbrock = lambda z: (  # noqa: E731
        -100 * (z[1] - z[0] ** 2) ** 2 - (1 - z[0]) ** 2,
        np.array([400 * z[0] * (z[1] - z[0] ** 2) + 2 * (1 - z[0]), -200 * (z[1] - z[0] ** 2)]),
        np.array([[1200 * z[0] ** 2 - 400 * z[1] + 2, -400 * z[0]], [-400 * z[0], 200.0]]),
    )
    toy = Toy(rosenbrock, [-5, -5], [5, 5])
    short = newton.maximise(toy, np.array([-1.2, 1.0]), 0.0, 1e-9, 3)
    assert not short.converged
    assert short.n_iter == 3
    full = newton.maximise(toy, np.array([-1.2, 1.0]), 0.0, 1e-9, 200)
    assert full.converged
    np.testing.assert_allclose(full.z, 1.0, atol=1e-8)
    assert (np.diff(full.path) >= 0).all()
    assert full.path[0] == rosenbrock(np.array([-1.2, 1.0]))[0]
    assert len(full.path) == full.n_iter + 1


def test_polish_never_raises_the_score():
    G = hs.datasets.truth("C2", "SS")
    X, y = hs.sample(G, 300, x=hs.Uniform(-3, 3), seed=4)
    problem = Problem(X, y, "SS", (2, 2), start=G)
    loose = newton.maximise(problem, problem.from_measure(G), 0.0, 1e-4, 100, gain=1e-2)
    tight = newton.polish(problem, loose, 0.0)
    assert tight.norm < 1e-3 * loose.norm
    assert tight.value >= loose.value - 1e-10
    again = newton.polish(problem, tight, 0.0)
    assert again.norm <= tight.norm


def test_projected_norm_leaves_out_what_presses_outward_only():
    toy = SimpleNamespace(n=10, fixed=np.array([False, False, False, True]))
    toy.lower, toy.upper = np.full(4, -1.0), np.full(4, 1.0)
    toy.active = lambda z, g: Problem.active(toy, z, g)
    z = np.array([1.0, -1.0, 0.0, 0.0])
    assert newton.projected_norm(toy, z, np.array([5.0, -7.0, 0.3, 9.0])) == pytest.approx(0.03)
    assert newton.projected_norm(toy, z, np.array([-5.0, -7.0, 0.3, 9.0])) == pytest.approx(0.5)


def test_a_step_takes_a_gate_all_the_way_to_its_box():
    """Once one end of a gate is on its bound, moving the others together is no translation any more, and is free.

    A step that stops short halves the way left each time, and at large n falls below rounding before it is there.
    """
    box = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 0.5, "nu": (0.04, 4.0)}
    G = hs.datasets.truth("C2", "SS")
    X, y = hs.sample(G, 2000, x=hs.Uniform(-3, 3), seed=0)
    fit = hs.fit_mle(X, y, "SS", (3, 2), start=G, n_starts=4, bounds=box)
    held = np.array([fit.active_bounds.count(f"beta[{j}]") for j in range(5)])
    members = np.arange(3) if held[:3].any() else np.arange(3, 5)  # equal optima differ in the group that got there
    held = held[members]
    assert len(fit.active_bounds) == sum(held) == 2
    problem = Problem(X, y, "SS", (3, 2), box)
    z, gate = problem.from_measure(fit.measure), members + problem.slices["beta"].start
    for inside in (1e-6, 1e-3):
        start = z.copy()
        start[gate] = z[gate] * (1.0 - inside) - 0.05 * (1.0 - held)
        assert np.ptp(start[gate]) < 1.0
        _, gradient, information = problem.derivatives(start, 0.0)
        end = problem.project(start + newton._step(problem, start, gradient, information, 1.0))
        np.testing.assert_allclose(end[gate], z[gate], atol=0.002)
        assert np.ptp(end[gate]) == 1.0


# -- curved valleys ---------------------------------------------------------------------------------------------------
BOX = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": (0.04, 4.0)}


def optimum(matrix, right, lower, upper):
    toy = Toy(quadratic(matrix, right), lower, upper)
    return toy, newton.begin(toy, np.zeros(right.size), 0.0)


def test_promise_is_half_the_square_of_the_step_in_standard_errors():
    rng = np.random.default_rng(30)
    for _ in range(10):
        matrix, _ = symmetric(rng, 4, rng.uniform(1, 5, 4))
        right = 0.1 * rng.standard_normal(4)
        step = np.linalg.solve(matrix, right)
        got = newton.promise(*optimum(matrix, right, [-9] * 4, [9] * 4))
        assert got == pytest.approx(0.5 * step @ matrix @ step, rel=1e-10)


def test_promise_asks_no_trust_region_but_the_box():
    toy, here = optimum(np.diag([1e-6, 1.0]), np.array([1e-3, 0.0]), [-9, -9], [0.25, 9])
    here.radius = 1e-4
    assert newton.promise(toy, here) == pytest.approx(0.25e-3, rel=1e-3)  # up to the bound
    toy, here = optimum(np.diag([1e-6, 1.0]), np.array([1e-3, 0.0]), [-9, -9], [9, 9])
    assert newton.promise(toy, here) == pytest.approx(1e-3 * newton.UNIT, rel=1e-2)


@pytest.mark.parametrize("curvature", [0.0, 1e-17, -1e-17])
def test_promise_of_a_direction_without_curvature_is_that_of_the_score(curvature):
    toy, here = optimum(np.diag([curvature, 1.0]), np.array([1e-18, 0.0]), [-9, -9], [9, 9])
    assert newton.promise(toy, here) <= 2e-18
    toy, here = optimum(np.diag([-1e-3, 1.0]), np.zeros(2), [-9, -9], [9, 9])  # a saddle promises
    assert newton.promise(toy, here) == pytest.approx(0.5e-3, rel=1e-2)


def bent(z):
    """A valley of width 1e-5 along the parabola y = x^2, whose floor rises slowly to (1, 1)."""
    x, y = z
    across, wide = y - x * x, 1e10
    value = -0.5 * wide * across**2 - 0.5e-2 * (x - 1) ** 2
    gradient = np.array([2 * wide * across * x - 1e-2 * (x - 1), -wide * across])
    return (
        value,
        gradient,
        np.array([[4 * wide * x * x - 2 * wide * across + 1e-2, -2 * wide * x], [-2 * wide * x, wide]]),
    )


def test_a_bent_valley_is_followed_to_its_top():
    toy = Toy(bent, [-5, -5], [5, 5])
    start = newton.begin(toy, np.array([-1.0, 1.0]), 0.0)  # at -.02
    old = newton.climb_on(toy, start, 0.0, 1e-9, 60, valleys=False)
    new = newton.climb_on(toy, start, 0.0, 1e-9, 60)
    assert old.value < -0.019  # Newton's method crawls
    assert new.value > -2e-5
    assert (np.diff(new.path) >= 0).all()


@pytest.fixture(scope="module")
def lattice():
    """An over-specified problem with 1e10 rows, and a start where two copies of an expert lie near each other."""
    G = hs.datasets.truth("C2", "SS")
    X, y, counts = hs.sample_lattice(G, 10**10, hs.Uniform(-3, 3), seed=1)
    problem = Problem(X, y, "SS", (3, 3), BOX, weights=counts.astype(float))
    problem.refer_to(shapes.embed(G, (3, 3), np.random.default_rng(0)))
    split = starts.near_split(G, problem, X, np.random.default_rng(9), 9)
    return problem, newton.begin(problem, problem.from_measure(split), 0.0)


def test_at_large_n_a_climb_ends_on_the_bound_that_newtons_method_does_not_reach(lattice):
    problem, start = lattice
    old = newton.climb_on(problem, start, 0.0, 1e-6, 300, valleys=False)
    new = newton.climb_on(problem, start, 0.0, 1e-6, 300)
    assert old.norm < 1e-6
    assert newton.promise(problem, old) > 1e-3
    assert new.value > old.value + 0.05
    assert new.converged
    assert newton.promise(problem, new) <= newton.PROMISED
    assert new.n_iter < 150
    active = np.flatnonzero(problem.active(new.z, new.gradient))
    beta = problem.slices["beta"]
    assert active.size >= 2
    assert ((active >= beta.start) & (active < beta.stop)).all()


def test_a_fit_that_one_more_step_would_raise_is_not_converged():
    G = hs.datasets.truth("C2", "SS")
    X, y, counts = hs.sample_lattice(G, 10**10, hs.Uniform(-3, 3), seed=1)
    asked = {"start": G, "bounds": BOX, "weights": counts, "local": True, "n_starts": 1}
    fit = hs.fit_mle(X, y, "SS", (3, 2), max_iter=12, tol=1e-4, **asked)
    assert fit.score_norm < 1e-4
    assert fit.status == "max_iter"
    assert "one more step promises" in fit.message
    assert not fit.converged


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_climbs_on_plain_rows_take_no_steps_along_valleys(gating):
    G = hs.datasets.truth("C2", gating)
    X, y = hs.sample(G, 3000, x=hs.Uniform(-3, 3), seed=5)
    problem = Problem(X, y, gating, (2, 2), BOX)
    start = newton.begin(
        problem, problem.from_measure(starts.jitter(G, X, np.random.default_rng(1), 0.1)), problem.smoothing
    )
    plain = newton.climb_on(problem, start, problem.smoothing, 1e-9, 100, valleys=False)
    other = newton.climb_on(problem, start, problem.smoothing, 1e-9, 100)
    assert other.converged
    np.testing.assert_array_equal(other.z, plain.z)
    assert other.path == plain.path
