"""The scale of Laplace gates, and gates and experts that see columns of their own, from measures to fits."""

import json
import pickle

import naive
import numpy as np
import pandas as pd
import pytest
from conftest import scale
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import hmoe_stats as hs
from hmoe_stats.gates import GATINGS
from hmoe_stats.theory import interactions

gatings = pytest.mark.parametrize("gating", GATINGS)
VIEWS = {
    "scaled, d1": (1, {"laplace_scale": 2.5}),
    "scaled, d2": (2, {"laplace_scale": (0.3, 2.0)}),
    "a scale of none": (2, {"laplace_scale": (0.0, 2.0)}),
    "disjoint": (2, {"gate_columns": (0,), "expert_columns": (1,)}),
    "gates see all": (3, {"expert_columns": (2, 0), "laplace_scale": (0.5, 1.0, 2.0)}),
    "experts see all": (3, {"gate_columns": (2, 1), "laplace_scale": 0.7}),
    "no gate column": (2, {"gate_columns": ()}),
    "no expert column": (1, {"expert_columns": ()}),
}
views = pytest.mark.parametrize(("d", "view"), VIEWS.values(), ids=VIEWS.keys())


def measure(rng, gating, d, view, k2=(2, 3)):
    """A random measure; a scale only where a gate has one."""
    return naive.random_measure(rng, gating, k2, d, **{n: v for n, v in view.items() if n[0] != "l" or "L" in gating})


def plain(value):
    return value.tolist() if isinstance(value, np.ndarray) else value


# -- values and derivatives -------------------------------------------------------------------------------------------
@gatings
@views
def test_values_and_derivatives_agree_with_the_oracle(rng, gating, d, view):
    G = measure(rng, gating, d, view)
    X, y = naive.random_data(rng, G, scale(40, 8))
    near = dict(rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(hs.log_density(G, X, y), naive.log_density(G, X, y), **near)
    np.testing.assert_allclose(hs.gate_weights(G, X), naive.gate_weights(G, X), **near)
    np.testing.assert_allclose(hs.responsibilities(G, X, y), naive.responsibilities(G, X, y), **near)
    np.testing.assert_allclose(hs.predict(G, X), naive.predict(G, X), **near)
    np.testing.assert_allclose(hs.score(G, X, y), naive.score(G, X, y), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(hs.information(G, X, y), naive.information(G, X, y), rtol=1e-8, atol=1e-8)


@gatings
@views
def test_a_measure_with_all_columns_has_the_same_density(rng, gating, d, view):
    G = measure(rng, gating, d, view)
    X, y = naive.random_data(rng, G, 30)
    H, index = G.wide(), G.wide_index()
    assert (H.d, H.gate_columns, H.expert_columns, H.eta.shape, H.a.shape) == (d, None, None, (5, d), (2, d))
    assert H.wide() is H
    np.testing.assert_array_equal(hs.log_density(H, X, y), hs.log_density(G, X, y))
    np.testing.assert_array_equal(H.to_vector()[index], G.to_vector())
    assert np.array(H.parameter_names())[index].tolist() == G.parameter_names()
    np.testing.assert_array_equal(hs.score(H, X, y)[index], hs.score(G, X, y))
    np.testing.assert_array_equal(hs.information(H, X, y)[index][:, index], hs.information(G, X, y))
    assert H.narrow(G.gate_columns, G.expert_columns) == G
    others = np.delete(np.arange(H.n_parameters), np.arange(H.n_parameters)[index])
    assert not H.to_vector()[others].any()


@gatings
@views
def test_canonical_measures_have_the_same_density(rng, gating, d, view):
    G = measure(rng, gating, d, view)
    X, y = naive.random_data(rng, G, 30, low=-1.0, high=1.0)  # centres beyond the support are clipped along a line
    H = G.canonical((-1.0, 1.0))
    assert (H.gate_columns, H.expert_columns) == (G.gate_columns, G.expert_columns)
    np.testing.assert_allclose(hs.log_density(H, X, y), hs.log_density(G, X, y), rtol=1e-10, atol=1e-10)
    assert H.canonical((-1.0, 1.0)).allclose(H, rtol=1e-9, atol=1e-9)
    if "L" in gating and G.d_gate == 1 and G.laplace_scale.any():
        slopes = [level for level, letter in zip((H.a, H.omega), gating, strict=True) if letter == "L"]
        assert max(np.abs(level).max() for level in slopes) <= 1.0


# -- writing ----------------------------------------------------------------------------------------------------------
@gatings
@views
def test_scale_and_columns_survive_every_way_to_write_a_measure(rng, gating, d, view):
    G = measure(rng, gating, d, view)
    for H in (
        hs.MixingMeasure.from_dict(json.loads(json.dumps(G.to_dict()))),
        pickle.loads(pickle.dumps(G)),
        G.replace(b=G.b),
    ):
        assert H == G
        assert hash(H) == hash(G)
        assert H.view.keys() == G.view.keys()
    assert G.with_vector(G.to_vector()).allclose(G)
    assert G.n_parameters == G.to_vector().size == len(set(G.parameter_names()))
    assert G.check() is G
    for name, value in G.view.items():
        assert name == "d" or f"{name}={list(plain(value))}" in str(G)
    assert set(G.to_dict()) == {"gating", "k2", *naive.FIELDS, *G.view}


def test_what_is_by_default_is_not_written(rng):
    for gating, view in (("LL", {}), ("SS", {"laplace_scale": 1}), ("SL", {"laplace_scale": (1.0, 1.0)})):
        G = naive.random_measure(rng, gating, (2, 2), 2, gate_columns=(0, 1), expert_columns=range(2), **view)
        assert G.view == {}
        assert G.gate_columns is None
        assert list(G.to_dict()) == ["gating", "k2", *naive.FIELDS]


def test_a_measure_differs_by_its_scale_and_columns(rng):
    G = naive.random_measure(rng, "LL", (2, 2), 2)
    H = G.replace(laplace_scale=2.0)
    assert G != H
    assert hash(G) != hash(H)
    assert not G.allclose(H)
    assert H.replace(laplace_scale=1.0) == G
    one, two = (naive.random_measure(rng, "SS", (1, 1), 2, gate_columns=(c,)) for c in (0, 1))
    assert one != two.replace(**{name: getattr(one, name) for name in naive.FIELDS})
    assert not one.allclose(two.replace(**{name: getattr(one, name) for name in naive.FIELDS}), rtol=1e9)


def test_parameters_are_named_by_the_columns_of_x(rng):
    G = naive.random_measure(rng, "SL", (1, 1), 3, gate_columns=(2,), expert_columns=(1, 0))
    assert G.parameter_names()[:2] == ["a[0,2]", "a[1,2]"]
    assert [name for name in G.parameter_names("u v w".split()) if name.startswith("eta[1")] == ["eta[1,v]", "eta[1,u]"]
    assert list(G.to_frame())[2:8] == ["a_2", "b", "omega_2", "beta", "eta_1", "eta_0"]
    assert list(G.to_frame(("u", "v", "w")))[2:5] == ["a[w]", "b", "omega[w]"]


# -- errors -----------------------------------------------------------------------------------------------------------
WRONG = {
    "negative": ({"laplace_scale": -1.0}, "laplace_scale must be a number of at least 0"),
    "NaN": ({"laplace_scale": np.nan}, "laplace_scale must be finite"),
    "too many": ({"laplace_scale": (1.0, 2.0, 3.0)}, "laplace_scale must be .* got an array of shape"),
    "text": ({"laplace_scale": "profile"}, "laplace_scale must be .* got text"),
    "no such column": ({"gate_columns": (2,)}, "gate_columns must be different columns of X, numbers from 0 to 1"),
    "twice": ({"expert_columns": (1, 1)}, "expert_columns must be different columns"),
    "a name": ({"gate_columns": ("speed",)}, "gate_columns must be different columns"),
    "a bool": ({"gate_columns": [True, False]}, "gate_columns must be different columns"),
    "a set": ({"gate_columns": {0, 1}}, "gate_columns must be different columns"),
    "a float": ({"gate_columns": 0.5}, "gate_columns must be different columns"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG.keys())
def test_measures_and_fits_refuse_the_same_arguments(rng, wrong, message):
    G = naive.random_measure(rng, "LL", (1, 1), 2)
    X, y = naive.random_data(rng, G, 60)
    with pytest.raises(ValueError, match=f"^{message}"):
        G.replace(**wrong)
    for fit in (hs.fit_mle, hs.fit_em):
        with pytest.raises(ValueError, match=f"^{message}"):
            fit(X, y, "LL", (1, 1), **wrong)


def test_other_errors_name_what_does_not_fit(rng):
    G = naive.random_measure(rng, "SS", (2, 2), 2)
    with pytest.raises(ValueError, match=r"^laplace_scale must be 1 without a Laplace gate, as in gating 'SS'; got 2"):
        G.replace(laplace_scale=2.0)
    with pytest.raises(ValueError, match=r"^a must have shape \(2, 1\); got \(2, 2\)"):
        G.replace(gate_columns=(1,))
    with pytest.raises(ValueError, match="^gate_columns and expert_columns must leave out columns with slopes"):
        G.narrow((1,))
    with pytest.raises(ValueError, match="^d must be 2, the number of columns of eta; got 3"):
        G.replace(d=3)
    narrow = naive.random_measure(rng, "SL", (2, 2), 3, gate_columns=(1,), expert_columns=(0,))
    assert narrow.d == 3
    assert narrow.replace(d=None).d == 2
    with pytest.raises(ValueError, match="^d must be an integer of at least 2; got 1"):
        narrow.replace(d=1)
    for ask in (
        lambda: hs.theory.rates(narrow, (2, 3)),
        lambda: hs.theory.modulus(narrow, (2, 3), x=hs.Uniform(-1, 1)),
        lambda: hs.theory.split_information(narrow, np.zeros((5, 3)), np.zeros(5)),
    ):
        with pytest.raises(ValueError, match=r"^G0? must have gates and experts that see all columns.*gate_columns"):
            ask()
    with pytest.raises(ValueError, match="^G must have Laplace gates that see all covariates"):
        hs.sample_lattice(narrow, 10, x=np.zeros((3, 3)), seed=0)
    wide = narrow.wide()
    with pytest.raises(ValueError, match="^G must have the laplace_scale of G0"):
        hs.parameter_errors(wide.replace(laplace_scale=2.0), narrow, x=hs.Uniform(-1, 1))


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=4,
)


@given(name=st.sampled_from(("laplace_scale", "gate_columns", "expert_columns", "d")), value=anything)
def test_whatever_is_given_makes_a_measure_or_an_error_that_names_it(name, value):
    G = naive.random_measure(np.random.default_rng(0), "LS", (1, 2), 2)
    try:
        H = G.replace(**{name: value})
    except ValueError as error:
        if str(error).split()[0] not in (name, "a", "omega", "eta", "d"):
            raise
    else:
        assert H.check() is H
        assert hs.MixingMeasure.from_dict(json.loads(json.dumps(H.to_dict()))) == H


# -- fits -------------------------------------------------------------------------------------------------------------
def two_columns(n=400):
    """Gates that switch in the first column, lines in the second."""
    rng = np.random.default_rng(np.random.SeedSequence(41))
    X = np.column_stack([rng.uniform(-3, 3, n), rng.normal(10.0, 2.0, n)])
    first = rng.random(n) < 1.0 / (1.0 + np.exp(-2.0 * X[:, 0]))
    return X, np.where(first, 0.7 * X[:, 1], 8.0 - 0.5 * X[:, 1]) + 0.5 * rng.standard_normal(n)


@pytest.mark.parametrize("gating", ["LL", "SL", "LS", "LQ"])
def test_fits_do_not_depend_on_the_unit_of_x_if_the_scale_goes_along(gating):
    """LQ has no origin that may move, but its unit may."""
    X, y = two_columns(300)
    unit = np.array([10.0, 0.25])
    one = hs.fit_mle(X, y, gating, (2, 2), effort="quick", laplace_scale=(2.0, 0.5), seed=3)
    two = hs.fit_mle(X * unit, y, gating, (2, 2), effort="quick", laplace_scale=(2.0, 0.5) / unit, seed=3)
    np.testing.assert_allclose(two.log_likelihood, one.log_likelihood, rtol=0, atol=1e-8 * abs(one.log_likelihood))
    name, at = ("a", one.measure.a) if gating[0] == "L" else ("omega", one.measure.omega)
    np.testing.assert_allclose(getattr(two.measure, name), at * unit, rtol=1e-4, atol=1e-4)
    assert one.n_agree == two.n_agree
    np.testing.assert_allclose(one.measure.laplace_scale, two.measure.laplace_scale * unit)


def test_a_fit_with_columns_is_the_optimum_of_the_wide_model_with_those_slopes_held_at_0():
    X, y = two_columns()
    fit = hs.fit_mle(X, y, "SS", (1, 1), effort="quick", gate_columns=(0,), expert_columns=(1,))
    G = fit.measure
    assert fit.converged
    assert (G.a.shape, G.omega.shape, G.eta.shape, G.d) == ((2, 1), (2, 1), (2, 1), 2)
    wide, index = G.wide(), G.wide_index()
    origin = np.zeros(wide.n_parameters)

    def at(v):
        origin[index] = v
        return wide.with_vector(origin)

    def loss(v):
        return -hs.log_likelihood(at(v), X, y), -hs.score(at(v), X, y)[index]

    rng = np.random.default_rng(0)
    found = [minimize(loss, G.to_vector() + 0.3 * rng.standard_normal(index.size), jac=True) for _ in range(3)]
    assert min(result.fun for result in found) > -fit.log_likelihood - 1e-6
    np.testing.assert_allclose(-fit.log_likelihood, min(result.fun for result in found), rtol=0, atol=1e-3)
    assert np.abs(hs.score(fit, X, y)).max() < 1e-4
    assert fit.df == len(fit.params) == 1 + 1 + 2 * 3
    assert not any(name.startswith(("a[0,1]", "eta[0,0]")) for name in G.parameter_names())


@pytest.mark.parametrize(
    ("columns", "held"), [({"gate_columns": ()}, ("a", "omega")), ({"expert_columns": ()}, ("eta",))]
)
@pytest.mark.parametrize("gating", ["SS", "QS", "LL"])
def test_seeing_no_column_is_holding_slopes_at_0(gating, columns, held):
    X, y = two_columns()
    box = {"a": 30.0, "b": 300.0, "omega": 30.0, "beta": 300.0, "eta": 30.0, "tau": 300.0, "nu": (0.01, 100.0)}
    options = {"effort": "quick", "seed": 2}
    narrow = hs.fit_mle(X, y, gating, (2, 1), bounds=box, **columns, **options)
    held, start = box | dict.fromkeys(held, (0.0, 0.0)), narrow.measure.wide().replace(laplace_scale=1.0)
    wide = hs.fit_mle(X, y, gating, (2, 1), bounds=held, start=start, n_starts=1, seed=2)
    np.testing.assert_allclose(narrow.log_likelihood, wide.log_likelihood, rtol=0, atol=1e-6)
    assert narrow.df == wide.df


@pytest.mark.parametrize("gating", ["SS", "LL", "QL"])
def test_fits_by_the_names_of_columns(gating, tmp_path):
    """Named columns are the numbered ones; all that a fit can be asked speaks of what is seen."""
    X, y = two_columns()
    table = pd.DataFrame(np.column_stack([X, np.tile([1.0, 5.0], 200)]), columns=["place", "size", "other"])
    options = {"effort": "quick", "seed": 1} | ({"laplace_scale": (1.0, 3.0, 1.0)} if "L" in gating else {})
    fit = hs.fit_mle(table, y, gating, (2,), gate_columns=["place"], expert_columns="size", **options)
    same = hs.fit_mle(table.to_numpy(), y, gating, (2,), gate_columns=0, expert_columns=(1,), **options)
    assert fit.measure == same.measure
    assert fit.converged
    assert (fit.measure.gate_columns, fit.measure.expert_columns, fit.measure.d) == ((0,), (1,), 3)
    assert {"eta[0,size]", "tau[0]", "log_nu[1]"} <= set(fit.params.index)
    assert not any("other" in name for name in fit.params.index)
    assert fit.df == len(fit.params) == 1 + (2 if gating[1] == "L" else 1) + 2 * 3
    assert fit.eigenvectors.shape[0] == fit.measure.n_parameters
    assert np.isfinite(fit.bse[["eta[0,size]", "eta[1,size]", "tau[0]", "tau[1]"]]).all()
    assert "L" in gating or np.isfinite(fit.bse).all()  # centres beyond the data have no errors
    fit.null_directions(), fit.summary()
    fit.save(tmp_path / "fit.json")
    loaded = hs.FitResult.load(tmp_path / "fit.json")
    assert loaded.measure == fit.measure
    assert loaded.df == fit.df
    np.testing.assert_array_equal(loaded.bse, fit.bse)
    means = fit.intervals("mean", table[:4])
    np.testing.assert_allclose(means["estimate"], fit.predict(table[:4]))
    by_steps = fit.delta(lambda G: hs.predict(G, table[:4]))
    np.testing.assert_allclose(means["std_err"], by_steps["std_err"], rtol=1e-4)
    samples = fit.bootstrap(2, seed=5)
    assert len(samples.rows) == 2
    assert all(row["status"] in ("converged", "boundary") for row in samples.rows)
    assert list(samples.params) == list(fit.params.index)
    assert fit.residuals().shape == (400,)


def test_starts_must_see_the_same(rng):
    X, y = two_columns()
    G = hs.fit_em(X, y, "LS", (2,), gate_columns=0, expert_columns=1, laplace_scale=2.0, max_iter=20).measure
    same = {"gate_columns": 0, "expert_columns": 1, "laplace_scale": 2.0}
    fit = hs.fit_mle(X, y, "LS", (2,), start=G, n_starts=1, **same)
    assert fit.log_likelihood >= hs.log_likelihood(G, X, y)
    for name, other in (("gate_columns", None), ("expert_columns", (0,)), ("laplace_scale", 1.0)):
        for method in (hs.fit_mle, hs.fit_em):
            with pytest.raises(ValueError, match=rf"^start must have {name} = |^start must have laplace_scale = "):
                method(X, y, "LS", (2,), start=G, **same | {name: other})
    with pytest.raises(ValueError, match="^start must have gate_columns = None"):
        hs.fit_mle(X, y, "SS", (2,), start=naive.random_measure(rng, "SS", (2,), 2, gate_columns=(1,)))


@pytest.mark.parametrize("gating", ["SS", "LL", "QS"])
def test_em_climbs_and_ends_where_newton_does(gating):
    X, y = two_columns()
    view = {"gate_columns": (0,), "expert_columns": (1,)} | ({"laplace_scale": 3.0} if "L" in gating else {})
    em = hs.fit_em(X, y, gating, (2,), max_iter=500, **view)
    assert (np.diff(em.path) > -1e-9).all()
    assert em.measure.d_gate == em.measure.d_expert == 1
    fit = hs.fit_mle(X, y, gating, (2,), start=em, n_starts=1, **view)
    np.testing.assert_allclose(em.log_likelihood, fit.log_likelihood, atol=0.02)


def test_weighted_and_local_fits_see_what_they_are_told():
    X, y = two_columns(200)
    view = {"gate_columns": 0, "expert_columns": 1, "laplace_scale": (0.5, 9.0)}
    w = np.tile([1.0, 2.0], 100)
    start = hs.fit_em(X, y, "LS", (1, 1), max_iter=30, **view).measure
    box = {"a": 3.0, "b": 9.0, "omega": 9.0, "beta": 9.0, "eta": 9.0, "tau": 90.0, "nu": (0.01, 50.0)}
    options = {"start": start, "local": True, "n_starts": 3, "bounds": box, "seed": 1} | view
    fit = hs.fit_mle(X, y, "LS", (1, 2), weights=w, **options)
    rows = np.repeat(np.arange(200), w.astype(int))
    same = hs.fit_mle(X[rows], y[rows], "LS", (1, 2), **options)
    np.testing.assert_allclose(fit.log_likelihood, same.log_likelihood, rtol=0, atol=1e-6)
    assert fit.measure.view.keys() == start.view.keys() == {"laplace_scale", "gate_columns", "expert_columns", "d"}
    np.testing.assert_array_equal(fit.measure.laplace_scale, (0.5, 0.0))


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_a_box_without_0_holds_the_slopes_that_are_seen(gating):
    """Slopes on other columns stay at 0, wherever the box is."""
    X, y = two_columns(150)
    box = {"a": (-4.0, 4.0), "omega": (0.5, 4.0), "eta": (0.2, 0.9), "nu": (0.01, 90.0)}
    options = {"bounds": box, "effort": "quick", "seed": 1}
    fit = hs.fit_mle(X, y, gating, (2,), gate_columns=0, expert_columns=1, **options)
    for name in ("omega", "eta"):
        low, high = box[name]
        assert ((getattr(fit.measure, name) >= low - 1e-12) & (getattr(fit.measure, name) <= high + 1e-12)).all()
    assert hs.log_likelihood(fit, X, y) == hs.log_likelihood(fit.measure.wide(), X, y)


def test_rows_must_outnumber_the_parameters_that_are_seen(rng):
    X, y = rng.normal(size=(20, 9)), rng.normal(size=20)
    with pytest.raises(ValueError, match="more rows than the model has free parameters, 32; got 20"):
        hs.fit_em(X, y, "SS", (2,))
    hs.fit_em(X, y, "SS", (2,), gate_columns=(), expert_columns=(3,), max_iter=3)


# -- what compares and describes measures -----------------------------------------------------------------------------
@pytest.mark.parametrize("gating", ["SS", "LL", "LQ"])
@views
def test_a_measure_is_itself_however_it_is_written(rng, gating, d, view):
    G = measure(rng, gating, d, view)
    X, _ = naive.random_data(rng, G, 60)
    for H in (G.wide(), naive.permuted(rng, G)):
        assert hs.hellinger(G, H, x=X) < 1e-7
        assert hs.voronoi_loss(H, G, x=X) < 1e-9
        assert hs.parameter_errors(H, G, x=X)["error"].max() < 1e-9
        assert hs.functional_errors(H, G, x=X)["error"].max() < 1e-7
    for one, two in zip(hs.sample(G, 20, x=X, seed=1), hs.sample(G.wide(), 20, x=X, seed=1), strict=True):
        np.testing.assert_array_equal(one, two)
    hs.diagnose(G, x=X)


def test_measures_that_see_no_column_are_drawn(rng):
    for view in ({"gate_columns": ()}, {"expert_columns": ()}):
        G = naive.random_measure(rng, "SL", (2, 2), 1, **view)
        axes = hs.plotting.fit_plot(G, *naive.random_data(rng, G, 30))
        assert len(axes.lines) == 9
        axes.figure.clear()


def test_diagnose_says_that_fits_depend_on_the_unit_of_x(rng):
    G = naive.random_measure(rng, "SL", (2, 2), 1)
    law = hs.Uniform(-300, 300)
    (found,) = (f for f in hs.diagnose(G, x=law) if f.kind == "Laplace unit")
    np.testing.assert_allclose(found.number, 300 / np.sqrt(3))
    assert "standard deviation of 173" in found.finding
    assert "laplace_scale" in found.advice
    for other, x in ((G.replace(laplace_scale=0.01), law), (G.replace(gating="SS"), law), (G, hs.Uniform(-3, 3))):
        assert "Laplace unit" not in hs.diagnose(other, x=x).kinds()


@pytest.mark.parametrize("form", ["split", "numerator"])
def test_gates_and_experts_without_a_common_covariate_do_not_interact(rng, form):
    """d2/domega dtau is d/deta where both see one column, and in no span of first derivatives where they do not."""
    law = rng.normal(size=(300, 2))
    one = naive.random_measure(rng, "SS", (2, 2), 2, gate_columns=(0,), expert_columns=(0,))
    two = one.replace(expert_columns=(1,))
    shared, apart = (interactions(G, order=2, x=law, experts=(0, 0), form=form) for G in (one, two))
    assert shared.angle("d2/domega_0 dtau") < 1e-3
    assert apart.angle("d2/domega_0 dtau") > 5.0
    texts = [identity.text for identity in apart.identities]
    assert any(text.startswith("d2/dtau2") for text in texts)
    assert not any("domega" in text and "deta" in text for text in texts)


def test_interactions_of_scaled_laplace_gates_are_derivatives(rng):
    """Of the density, by differences: a scale enters the derivatives in centres, the second ones, too."""
    G = naive.random_measure(rng, "LL", (2, 2), 3, laplace_scale=(0.5, 2.0, 1.3))
    X, y = naive.random_data(rng, G, 50)
    found = interactions(G, order=2, x=X, experts=(0, 1), form="density", parameters=("omega", "tau"))
    at, v = G.parameter_names().index("omega[1,1]"), G.to_vector()
    rows = found.evaluate(X, y)

    def density(v):
        return np.exp(naive.log_density(naive.at(G, v), X, y))

    def first(v):
        return naive.complex_step(density, v)[at]

    step = 1e-5 * (np.arange(v.size) == at)
    second = (first(v + step) - first(v - step)) / 2e-5
    for name, want, tol in (("d/domega_1", first(v), 1e-9), ("d2/domega_1^2", second, 1e-6)):
        np.testing.assert_allclose(rows[:, found.names.index(name)], want / density(v), rtol=tol, atol=tol)


def test_unknown_names_of_columns_are_told_with_those_there_are():
    X, y = two_columns(60)
    table = pd.DataFrame(X, columns=["place", "size\n"])
    with pytest.raises(ValueError, match=r"^gate_columns must be .*, or names among \['place', 'size\\n'\]; got"):
        hs.fit_em(table, y, "SS", (1, 1), gate_columns=["plaice"])
