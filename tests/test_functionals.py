"""Errors of functions against sums over a grid, what no rewriting changes, and their rates."""

import naive
import numpy as np
import pytest
from scipy.special import ndtri

from hmoe_stats import Normal, Uniform, datasets, functional_errors, hellinger, theory
from hmoe_stats.gates import GATINGS as ALL_GATINGS
from hmoe_stats.quadrature import gauss_legendre, integrals_of_absolute

GATINGS = ("SS", "SL", "LS", "LL")
LAW = Uniform(-3, 3)
GRID = (np.arange(6000) + 0.5) / 1000 - 3.0
PARAMETERS = ("routing", "gate", "expert", "expert_worst", "cell_mean")


def split(G0):
    """A fit of C2 with a third expert in group 0, which shares the cell of its expert 1; everything somewhat off."""
    rng = np.random.default_rng(5)
    inside = {name: getattr(G0, name)[[0, 1, 1, 2, 3]] for name in ("omega", "beta", "eta", "tau", "nu")}
    G = G0.replace(k2=(3, 2), **inside)
    steps = 0.15 * rng.normal(size=G.n_parameters)
    return G.with_vector(G.to_vector() + steps)


def found(table):
    assert list(table.columns) == ["level", "cell", "size", "parameter", "error"]
    return {(level, cell, name): error for level, cell, _, name, error in table.itertuples(index=False)}


@pytest.mark.parametrize("gating", GATINGS)
def test_errors_are_those_of_a_grid(gating):
    G0 = datasets.truth("C2", gating)
    G = split(G0)
    table = functional_errors(G, G0, LAW)
    wanted = naive.functional_errors(G, G0, GRID[:, None], [0, 1, 1, 2, 3])
    coarse = naive.functional_errors(G, G0, GRID[50::100, None], [0, 1, 1, 2, 3], y=np.arange(-13, 13, 0.01))
    wanted[0, "", "routing"] = coarse[0, "", "routing"]
    errors = found(table)
    assert set(errors) == set(wanted)
    for key, error in wanted.items():
        assert errors[key] == pytest.approx(error, rel=1e-3 if key[2] == "routing" else 2e-5), key
    assert dict(zip(table["cell"], table["size"], strict=True)) == {"": 0, "0": 1, "1": 1} | {
        "0,0": 1, "0,1": 2, "1,0": 1, "1,1": 1
    }  # fmt: skip


def test_arrays_several_covariates_and_the_weight_of_the_worst_expert():
    rng = np.random.default_rng(2)
    G0 = datasets.truth("P2", "LS")
    G = G0.with_vector(G0.to_vector() + 0.1 * rng.normal(size=G0.n_parameters))
    X = rng.normal(size=(300, 2))
    wanted = naive.functional_errors(G, G0, X, range(4), y=np.arange(-13, 13, 0.02))
    errors = found(functional_errors(G, G0, X))
    for key, error in wanted.items():
        assert errors[key] == pytest.approx(error, rel=2e-3 if key[2] == "routing" else 1e-9)
    G = split(datasets.truth("C2")).replace(k2=(3, 2), beta=[0.0, 0.0, -7.0, 0.0, 0.0])
    for weight in (0.0, 1e-3, 0.3, 1.0):
        wanted = naive.functional_errors(G, datasets.truth("C2"), GRID[:, None], [0, 1, 1, 2, 3], weight)
        errors = found(functional_errors(G, datasets.truth("C2"), LAW, weight=weight))
        worst = {key for key in errors if key[2] == "expert_worst"}
        assert worst == {key for key in wanted if key[2] == "expert_worst"}
        assert all(errors[key] == pytest.approx(wanted[key], rel=1e-4) for key in worst)


def test_a_law_of_the_plane_is_integrated_and_not_drawn():
    rng = np.random.default_rng(2)
    G0 = datasets.truth("P2", "SL")
    G = G0.with_vector(G0.to_vector() + 0.1 * rng.normal(size=G0.n_parameters))
    middles = (np.arange(44) + 0.5) / 44 * 6 - 3
    for law, one in ((LAW, middles), (Normal(0, 1), ndtri((np.arange(44) + 0.5) / 44))):
        wanted = found(functional_errors(G, G0, np.stack(np.meshgrid(one, one), axis=-1).reshape(-1, 2)))
        errors = found(functional_errors(G, G0, law))
        rel = 2e-3 if law is LAW else 0.03  # middles of equal probability miss the tails
        assert all(errors[key] == pytest.approx(wanted[key], rel=rel) for key in wanted)


def test_absolute_values_of_polynomials_are_integrated_over_their_roots():
    roots = np.array([[-0.99, 0.1, 0.8], [-0.5, 0.4, 0.999]])
    f = [np.polynomial.Polynomial.fromroots(some) for some in roots]
    node = gauss_legendre(6)[0]
    wanted = []
    for one, at in zip(f, roots, strict=True):
        whole = one.integ()(np.array([-1.0, *at, 1.0]))
        wanted.append(np.abs(np.diff(whole)).sum())
    found = integrals_of_absolute(np.array([[one(node), -one(node)] for one in f]))
    assert found == pytest.approx(np.repeat(wanted, 2).reshape(2, 2), rel=2e-3)
    assert integrals_of_absolute(np.zeros((1, 6))) == 0.0


@pytest.mark.parametrize("gating", GATINGS)
def test_no_writing_of_the_density_changes_them(gating):
    rng = np.random.default_rng(1)
    G0 = datasets.truth("C2", gating)
    G = split(G0)
    one = found(functional_errors(G, G0, LAW))
    for _ in range(2):
        other = found(functional_errors(naive.permuted(rng, naive.rewritten(rng, G)), naive.rewritten(rng, G0), LAW))
        assert other == pytest.approx(one, rel=1e-9)
    same = found(functional_errors(naive.permuted(rng, G0), G0, Normal(0, 1)))
    assert max(same.values()) < 1e-12


def test_an_empty_cell_has_a_gate_error_only():
    G0 = datasets.truth("C2")
    G = G0.replace(**{name: getattr(G0, name)[[0, 0, 2, 3]] for name in ("omega", "eta", "tau", "nu")})
    table = functional_errors(G, G0, LAW)
    empty = table[table["cell"] == "0,1"]
    assert empty[["size", "parameter"]].values.tolist() == [[0, "gate"]]
    assert empty["error"].item() == pytest.approx(naive.gate_weights(G0, GRID[:, None])[:, 1].mean(), rel=1e-6)


@pytest.mark.parametrize("gating", GATINGS)
def test_identified_functions_are_of_the_order_of_the_distance_and_experts_are_not(gating):
    """Two copies at tau +- t with nu - t^2: h = t^4; the expert function is t off, the others as little as h."""
    G0 = datasets.truth("C2", gating)

    def at(t):
        inside = {name: getattr(G0, name)[[0, 1, 1, 2, 3]].copy() for name in ("omega", "beta", "eta", "tau", "nu")}
        inside["beta"][1:3] -= np.log(2)
        inside["tau"][1:3] += [t + t**4 / 10, -t + t**4 / 10]
        inside["nu"][1:3] -= t**2
        inside["omega"][0] += t**4 / 10
        G = G0.replace(k2=(3, 2), **inside)
        errors = functional_errors(G, G0, LAW).groupby("parameter")["error"].max()
        return {"h": float(hellinger(G, G0, x=LAW))} | errors.to_dict()

    large, small = at(0.2), at(0.1)
    order = {name: np.log2(large[name] / small[name]) for name in large}
    assert order["expert"] == pytest.approx(1, abs=0.02)
    assert order["h"] == pytest.approx(4, abs=0.3)
    assert min(order[name] for name in ("gate", "cell_mean", "routing")) > 3.7


def quadrature(G0, m, t):
    """The truth with expert (0, 0) as m experts at t times Gauss-Hermite nodes: what h sees of them is of order 2m."""
    node, share = np.polynomial.hermite_e.hermegauss(m)
    copies = [0] * m + list(range(1, G0.n_experts))
    inside = {name: getattr(G0, name)[copies].copy() for name in ("omega", "beta", "eta", "tau", "nu")}
    inside["beta"][:m] += np.log(share / share.sum())
    inside["tau"][:m] += t * node
    inside["nu"][:m] -= t**2
    return G0.replace(k2=(m + G0.k2[0] - 1, *G0.k2[1:]), **inside)


@pytest.mark.parametrize("gating", ALL_GATINGS)
@pytest.mark.parametrize(("name", "m", "sizes"), [("C2", 2, (0.2, 0.1)), ("C2", 3, (0.3, 0.2)), ("C4", 2, (0.2, 0.1))])
def test_exponents_of_functions_along_the_path_of_the_worst_case(gating, name, m, sizes):
    """The expert function has 2m, gates being identified (C2) or not (C4); steps of a whole cell have 1."""
    G0 = datasets.truth(name, gating)
    keys, logs = ["level", "size", "parameter"], []
    for t in sizes:
        G = quadrature(G0, m, t)
        step = t ** (2 * m) / 5
        omega = G.omega + step * np.arange(G.n_experts)[:, None]
        G = G.replace(omega=omega, b=G.b + step * np.arange(G.k1), tau=G.tau + step)
        errors = functional_errors(G, G0, LAW).groupby(keys)["error"].max()
        logs.append(np.log([*errors, hellinger(G, G0, x=LAW)]))
    change = logs[0] - logs[1]
    found = dict(zip(errors.index, change[-1] / change[:-1], strict=True))
    table = theory.rates(G0, G.k2, x=LAW)
    table = table[table["kind"] == "function"].set_index(["level", "m", "parameter"])["kappa"]
    assert {key[2] for key in found} == set(PARAMETERS)
    for key, kappa in found.items():
        assert kappa == pytest.approx(table[key], rel=0.08), key


def test_the_worst_expert_has_a_rate_for_a_fixed_floor_only():
    """An expert of weight t, far off in its cell, has h of order t: a floor hides it, the mean over the cell not."""
    G0 = datasets.truth("C2")
    inside = {name: getattr(G0, name)[[0, 0, 1, 2, 3]].copy() for name in ("omega", "beta", "eta", "tau", "nu")}
    inside["tau"][0] += 1.0
    errors, h = [], []
    for t in (1e-3, 1e-4):
        beta = inside["beta"].copy()
        beta[0] += np.log(t)
        G = G0.replace(k2=(3, 2), **(inside | {"beta": beta}))
        found = {
            w: functional_errors(G, G0, LAW, weight=w).set_index(["cell", "parameter"])["error"] for w in (0, 0.01)
        }
        errors.append(
            [found[w]["0,0", name] for w, name in ((0, "expert_worst"), (0.01, "expert_worst"), (0, "expert"))]
        )
        h.append(hellinger(G, G0, x=LAW))
    no_floor, floor, mean = np.transpose(errors)
    assert no_floor[0] == pytest.approx(no_floor[1], rel=1e-2)
    assert floor.max() < 1e-12
    assert mean[0] / mean[1] == pytest.approx(10**0.5, rel=0.02)
    assert h[0] / h[1] > 8


def test_functions_keep_their_exponents_on_two_points_where_parameters_do_not():
    """x in {0, 1}: eta and tau trade places at no cost, and theory of parameters has no answer; experts have 2m."""
    G0, X = datasets.truth("C2"), np.repeat([0.0, 1.0], 50)
    logs = []
    for t in (0.2, 0.1):
        G = quadrature(G0, 2, t)
        G = G.replace(eta=G.eta + np.array([2 * t, -2 * t, 0, 0, 0])[:, None])  # they change places at x = 1
        errors, h = functional_errors(G, G0, X).groupby("parameter")["error"].max(), hellinger(G, G0, x=X)
        assert errors[["gate", "cell_mean", "routing"]].max() < h
        logs.append(np.log([h, errors["expert"]]))
    change = logs[0] - logs[1]
    assert change[0] / change[1] == pytest.approx(4, rel=0.1)
    with pytest.raises(ValueError, match="x must have a support with interior"):
        theory.rates(G0, (3, 2), x=X)


@pytest.mark.parametrize("weight", [-0.1, 1.5, "0.1", None, True])
def test_a_bad_weight_is_named(weight):
    G = datasets.truth("C2")
    with pytest.raises(ValueError, match="weight must be a number from 0 to 1; got"):
        functional_errors(G, G, LAW, weight=weight)
    with pytest.raises(ValueError, match="x must be a covariate law"):
        functional_errors(G, G, None)
