"""What a fit accepts, and the box: every coordinate lies in it, and `project` leaves alone what it has projected."""

import numpy as np
import pytest

import hmoe_stats as hs
from hmoe_stats.fitting.problem import Problem


def draw(d=1, n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (n, d))
    return X, X[:, 0] + 0.5 * rng.standard_normal(n)


def measure(k2=(2,), gating="SS", **changes):
    k1, K = len(k2), sum(k2)
    plain = {"a": np.zeros(k1), "b": np.zeros(k1), "omega": np.linspace(-1, 1, K), "beta": np.zeros(K)}
    plain |= {"eta": np.ones(K), "tau": np.arange(K), "nu": np.ones(K)}
    return hs.MixingMeasure(gating=gating, k2=k2, **(plain | changes))


# -- what is accepted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", [hs.fit_mle, hs.fit_em])
@pytest.mark.parametrize("size", [1e-200, 1e-100, 1e-25, 1e25, 1e49])
def test_data_whose_squares_a_measure_cannot_hold_are_refused(fit, size):
    X, y = draw()
    with pytest.raises(ValueError, match="^X must have a standard deviation between"):
        fit(size * X, y, "LS", (2,))
    with pytest.raises(ValueError, match="^y must have a standard deviation between"):
        fit(X, size * y, "SL", (1, 1))
    both = fit(np.column_stack([X, np.full(40, size)]), y, "SS", (1,))  # a constant column may be of any size
    assert np.isfinite(both.log_likelihood)


@pytest.mark.parametrize("name", ["a", "omega", "eta"])
def test_boxes_whose_slopes_a_large_constant_column_would_take_out_of_range_are_refused(name):
    X, y = draw()
    X = np.column_stack([X, np.full(40, -1e46)])
    refused, fitted = {name: (-3e4, -2e4)}, {name: (-3e2, 1.0)}
    with pytest.raises(ValueError, match=rf"^bounds\['{name}'\] must allow slopes below 1e\+49 over a constant column"):
        hs.fit_mle(X, y, "SS", (1, 1), n_starts=1, bounds=refused)
    assert np.isfinite(hs.fit_mle(X, y, "SS", (1, 1), n_starts=1, bounds=fitted).log_likelihood)


@pytest.mark.parametrize("size", [1e-15, 1e15])
def test_data_of_any_other_size_are_fitted(size):
    X, y = draw()
    plain = hs.fit_mle(X, y, "SS", (1,))
    for fit, unit in ((hs.fit_mle(size * X, y, "SS", (1,)), 1.0), (hs.fit_mle(X, size * y, "SS", (1,)), size)):
        assert fit.log_likelihood + 40 * np.log(unit) == pytest.approx(plain.log_likelihood, abs=1e-8)


@pytest.mark.parametrize("k2", [(2,), (3,)])
@pytest.mark.parametrize(
    "change",
    [{"nu": [1e-300, 1.0]}, {"nu": [1.0, 1e50]}, {"tau": [1e50, 0.0]}, {"eta": [0.0, -1e45]}, {"omega": [1e40, 0.0]}],
)
def test_starts_far_beyond_double_precision_are_refused(k2, change):
    X, y = draw()
    for call in (
        lambda start: hs.fit_mle(X, y, "SS", k2, start=start, n_starts=1),
        lambda start: hs.fit_mle(X, y, "SS", k2, start=start, n_starts=1, bounds={"b": 1.0}),
        lambda start: hs.fit_em(X + 1e6, y, "SS", k2, start=start),
    ):
        with pytest.raises(ValueError, match="^start must"):
            call(measure(**change))


@pytest.mark.parametrize(
    "bounds",
    [{"nu": (1e-300, 1.0)}, {"nu": (1e20, 1e21)}, {"eta": 1e300}, {"tau": (1e49, 1e50)}, {"eta": (-np.inf, -1e49)}],
)
def test_boxes_out_of_reach_are_refused(bounds):
    X, y = draw()
    with pytest.raises(ValueError, match=r"^bounds\["):
        hs.fit_mle(X, y, "SS", (2,), n_starts=1, bounds=bounds)


# -- the box -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", ["SS", "LL", "QS"])
def test_slopes_held_at_zero_are_those_of_a_column_that_does_not_vary(gating):
    """A plain mixture of normals, whatever x is."""
    rng = np.random.default_rng(3)
    X, y = draw(n=400)[0], np.concatenate([rng.normal(-2, 0.7, 150), rng.normal(1.5, 1.2, 250)])
    box = {"tau": 8.0, "beta": 3.0, "nu": (0.04, 4.0)}
    held = dict.fromkeys(("a", "omega", "eta"), (0.0, 0.0))
    plain = hs.fit_mle(np.zeros((400, 1)), y, "SS", (2,), n_starts=4, bounds=box)
    fit = hs.fit_mle(X, y, gating, (2,), n_starts=4, bounds=box | held)
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-8)
    assert (fit.status, fit.active_bounds, fit.df) == ("converged", (), 5)
    assert not np.concatenate([fit.measure.a, fit.measure.omega, fit.measure.eta]).any()
    np.testing.assert_allclose(np.sort(fit.measure.tau), np.sort(plain.measure.tau), atol=1e-6)
    assert sorted(fit.params.index) == sorted(plain.params.index)


def test_what_is_held_stays_where_it_is_held_and_the_rest_is_fitted_around_it():
    X, y = draw(n=200)
    fit = hs.fit_mle(X, y, "SS", (1,), n_starts=1, bounds={"eta": (0.25, 0.25), "nu": (0.5, 0.5)})
    assert (fit.measure.eta, fit.measure.nu) == (0.25, pytest.approx(0.5))
    assert fit.measure.tau[0] == pytest.approx(np.mean(y - 0.25 * X[:, 0]), abs=1e-8)
    assert fit.df == 1


@pytest.mark.parametrize("bounds", [{"eta": (1.0, 0.5)}, {"nu": (0.0, 0.0)}, {"tau": (np.inf, np.inf)}, {"beta": -1.0}])
def test_a_box_without_a_point_is_refused(bounds):
    X, y = draw()
    with pytest.raises(ValueError, match=r"^bounds\['\w+'\] must have .*low <= high"):
        hs.fit_mle(X, y, "SS", (1,), n_starts=1, bounds=bounds)


BOX = {"a": (1.0, 2.0), "b": (-3.0, -2.0), "omega": (5.0, 6.0), "beta": (-1.0, -0.5), "eta": (0.5, 0.75)}


@pytest.mark.parametrize("gating", ["SS", "SL", "LS", "LL"])
@pytest.mark.parametrize("k2", [(1,), (2,), (1, 1), (1, 2)])
def test_a_box_that_excludes_zero_holds_what_does_nothing_too(gating, k2):
    """Gates of one component and slopes on constant columns have no effect, but they are parameters in a box."""
    X, y = draw()
    X = np.column_stack([X, np.full(40, 3.0)])
    fit = hs.fit_mle(X, y, gating, k2, n_starts=1, bounds=BOX)
    for name, (low, high) in BOX.items():
        values = getattr(fit.measure, name)
        assert low - 1e-12 <= values.min(), name
        assert values.max() <= high + 1e-12, name
    assert fit.log_likelihood == pytest.approx(hs.log_likelihood(fit.measure, X, y), rel=1e-12)


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_coordinates_of_a_measure_keep_its_density_where_slopes_on_constants_rest_elsewhere(gating):
    X, y = draw()
    X = np.column_stack([X, np.full(40, 3.0)])
    problem = Problem(X, y, gating, (2,), bounds={"eta": (0.5, 2.0), "omega": (-9.0, 9.0)})
    G = measure(gating=gating, a=[[0, 0]], omega=[[1, 1], [-1, 1]], eta=[[1, 1.5], [0.7, 1.9]])
    z = problem.from_measure(G)
    np.testing.assert_allclose(hs.log_density(problem.to_measure(z), X, y), hs.log_density(G, X, y), atol=1e-12)
    assert (problem.to_measure(z).eta[:, 1] == 0.5).all()


@pytest.mark.parametrize("k2", [(2,), (3,), (1, 1, 1), (2, 2)])
def test_a_start_outside_the_default_box_is_held_and_projected_once(k2):
    """Components of one gate share a box: with one each, translating to the middle and clipping would change them."""
    X, y = draw()
    rng = np.random.default_rng(len(k2))
    k1, K = len(k2), sum(k2)
    far = measure(k2, a=1e5 * rng.standard_normal(k1), b=1e7 * rng.standard_normal(k1),
                  omega=1e6 * rng.standard_normal(K), beta=1e6 * rng.standard_normal(K))  # fmt: skip
    problem = Problem(X, y, "SS", k2, start=far)
    z = problem.from_measure(far)
    np.testing.assert_allclose(problem.log_likelihood(z, 0.0), hs.log_likelihood(far, X, y), rtol=1e-9)
    for _ in range(5):
        inside = problem.project(z + 1e6 * rng.standard_normal(z.size))
        np.testing.assert_allclose(problem.project(inside), inside, rtol=1e-12)
        assert (problem.lower <= inside).all()
        assert (inside <= problem.upper).all()


def test_a_laplace_centre_far_outside_the_box_is_drawn_in_with_its_intercept():
    """Beyond the data |a - x| is a - x: centre and intercept say one thing there, which the box must keep."""
    X, y = draw()
    G = measure(gating="LL", omega=[12.0, 0.5], beta=[11.0, 0.0])  # group 0 wins where x is large
    problem = Problem(X, y, "LL", (2,))
    z = problem.from_measure(G)
    assert problem.upper[problem.slices["omega"]][0] * problem.scale[problem.slices["omega"]][0] < 6.0
    assert (z == problem.project(z)).all()
    assert problem.log_likelihood(z, 0.0) == pytest.approx(hs.log_likelihood(G, X, y), abs=1e-9)
    inner = measure(gating="LL", omega=[1.0, 0.5], beta=[0.3, -0.3])
    free = problem.inside(inner).to_vector() / problem.scale
    np.testing.assert_array_equal(problem.draw_in(free), problem.project(free))
