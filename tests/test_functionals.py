"""Errors of functions against sums over a grid, what no rewriting changes, and their rates."""

import naive
import numpy as np
import pytest

from hmoe_stats import Normal, Uniform, datasets, functional_errors, hellinger

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


@pytest.mark.parametrize("weight", [-0.1, 1.5, "0.1", None, True])
def test_a_bad_weight_is_named(weight):
    G = datasets.truth("C2")
    with pytest.raises(ValueError, match="weight must be a number from 0 to 1; got"):
        functional_errors(G, G, LAW, weight=weight)
    with pytest.raises(ValueError, match="x must be a covariate law"):
        functional_errors(G, G, None)
