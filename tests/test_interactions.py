"""Derivatives against complex steps and differences, their Gram matrix against brute force, and the identities."""

import naive
import numpy as np
import pytest
from conftest import scale

from hmoe_stats import datasets
from hmoe_stats.likelihood import information, log_density
from hmoe_stats.sampling import Normal, Uniform, sample
from hmoe_stats.theory import interactions, split_information
from hmoe_stats.theory.derivatives import PARAMETERS

GATINGS = ["SS", "SL", "LS", "LL"]
LAW = Uniform(-3, 3)
BOTH = ("d2/dtau2 - 2 d/dnu = 0", "d2/domega dtau - d/deta = 0", "d2/domega dnu - 1/2 d2/deta dtau = 0")


def texts(result):
    return tuple(i.text for i in result.identities)


def away(d):
    """Covariates beyond all centres: no derivative is missing, and all can be evaluated elsewhere."""
    return 5.0 + np.arange(2 * d).reshape(2, d)


def small(rng, gating, k2=(2, 3), d=1):
    """A measure and data away from its Laplace centres, where differences would straddle the kink."""
    G = naive.random_measure(rng, gating, k2, d)
    X, y = naive.random_data(rng, G, 60)
    centres = np.concatenate([G.a, G.omega])
    far = np.linalg.norm(X[:, None] - centres, axis=2).min(axis=1) > 0.1
    return G, X[far], y[far]


def mixed(function, steps, h=3e-3):
    """Second mixed difference d2 f / ds dt at 0, fourth order, of `function(point)`; `steps` two directions."""
    weights, at = np.array([1, -8, 8, -1]) / 12.0, np.array([-2, -1, 1, 2])
    total = 0.0
    for w, i in zip(weights, at, strict=True):
        for v, j in zip(weights, at, strict=True):
            total = total + w * v * function(h * (i * steps[0] + j * steps[1]))
    return total / h**2


def density_at(G, X, y, v):
    """p at a vector whose last entries are nu and not its logarithm, by the package's log-density."""
    w = v.copy()
    w[-G.n_experts :] = np.log(w[-G.n_experts :])
    return np.exp(log_density(G.with_vector(w), X, y))


def plain_vector(G):
    return np.concatenate([G.to_vector()[: -G.n_experts], G.nu])


def short(G, parameter):
    """``omega[3,0]`` of a vector -> ``omega[1,1]``: group and expert; ``omega_0[1,1]`` where d > 1; a -> ``a[1]``."""
    name, _, rest = parameter.replace("log_nu", "nu").partition("[")
    at, *coordinate = map(int, rest.rstrip("]").split(","))
    wide = f"{name}_{coordinate[0]}" if coordinate and G.d > 1 else name
    return f"{wide}[{at}]" if name in "ab" else f"{wide}[{G.group[at]},{at - G.offsets[G.group[at]]}]"


def full(factor, leaf):
    """``omega_0`` of one expert's result -> ``omega_0[1,1]``; a and b get its group."""
    return f"{factor}[{leaf[0]}]" if factor[0] in "ab" and factor != "beta" else f"{factor}[{leaf[0]},{leaf[1]}]"


# -- derivatives ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize("d", [1, 2])
def test_first_derivatives_are_complex_steps(rng, gating, d):
    G, X, y = small(rng, gating, d=d)
    result = interactions(G, 1, X[:2], "all", PARAMETERS, "density")
    expected = naive.complex_step(lambda v: naive.log_density(naive.at(G, v), X, y), naive.vector(G)).T
    expected[:, -G.n_experts :] /= G.nu
    at = [result.names.index(f"d/d{short(G, p)}") for p in G.parameter_names()]
    assert sorted(at) == list(range(len(result.names)))
    np.testing.assert_allclose(result.evaluate(X, y)[:, at], expected, rtol=1e-9, atol=1e-11)


def factors(name):
    """The parameters of a second derivative's name, each as often as it is differentiated."""
    found = []
    for part in name.partition("/")[2].split(" "):
        twice = name.startswith("d2/") and " " not in name
        found += [part[1:].removesuffix("2").removesuffix("^")] * 2 if twice else [part[1:]]
    return found


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize("d", [1, 2])
def test_second_derivatives_of_the_density_are_differences(rng, gating, d):
    G, X, y = small(rng, gating, d=d)
    which = [(1, 0), (1, 2)] if d == 1 else (1, 1)
    result = interactions(G, 2, away(d), which, PARAMETERS, "density")
    at = {short(G, p): i for i, p in enumerate(G.parameter_names())}
    unit, v0, p0 = np.eye(G.n_parameters), plain_vector(G), np.exp(log_density(G, X, y))
    found = result.evaluate(X, y)
    checked = 0
    for column, name in enumerate(result.names):
        if name.startswith("d2/"):
            steps = [unit[at[factor if d == 1 else full(factor, (1, 1))]] for factor in factors(name)]
            expected = mixed(lambda step: density_at(G, X, y, v0 + step), steps) / p0
            np.testing.assert_allclose(found[:, column], expected, rtol=1e-5, atol=5e-6, err_msg=name)
            checked += 1
    assert checked > 50


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize(("leaf", "d"), [((0, 0), 1), ((1, 1), 1), ((1, 1), 2), ((0, 1), 3)])
def test_split_derivatives_are_those_of_two_copies_moved_apart(rng, gating, leaf, d):
    """The density of a measure with the expert written twice, by differences of the package's log-density."""
    G, X, y = small(rng, gating, d=d)
    j = int(G.offsets[leaf[0]] + leaf[1])
    twice = np.insert(np.arange(G.n_experts), j, j)
    inside = {f: getattr(G, f)[twice] for f in ("omega", "beta", "eta", "tau", "nu")}
    inside["beta"][[j, j + 1]] -= np.log(2.0)
    H = G.replace(k2=[m + (i == leaf[0]) for i, m in enumerate(G.k2)], **inside)
    at = {short(H, p): i for i, p in enumerate(H.parameter_names())}
    unit, v0, p0 = np.eye(H.n_parameters), plain_vector(H), np.exp(log_density(H, X, y))
    result = interactions(G, 2, away(d), leaf)
    found = result.evaluate(X, y)
    assert not result.missing
    for column, name in enumerate(result.names):
        copies = [[at[full(factor, (leaf[0], leaf[1] + copy))] for factor in factors(name)] for copy in (0, 1)]
        if name.startswith("d2/"):
            steps = [unit[i] - unit[k] for i, k in zip(*copies, strict=True)]
            expected = mixed(lambda step: density_at(H, X, y, v0 + step), steps) / p0
        else:
            step = 1e-4 * (unit[copies[0][0]] + unit[copies[1][0]])
            expected = (density_at(H, X, y, v0 + step) - density_at(H, X, y, v0 - step)) / 2e-4 / p0
        np.testing.assert_allclose(found[:, column], expected, rtol=1e-5, atol=5e-6, err_msg=name)


def test_derivatives_of_a_copied_group(rng):
    """a and b of the split form: the derivative in the share of a second group, differentiated in its parameters."""
    G, X, y = small(rng, "SL", (2, 2))
    share, h = 1e-6, 1e-3

    def effect(a=0.0, tau=0.0):
        one = slice(2, 4)
        more = {f: np.concatenate([getattr(G, f), getattr(G, f)[one]]) for f in ("omega", "beta", "eta", "tau", "nu")}
        more["tau"][5] += tau
        more["a"], more["b"] = np.append(G.a, G.a[1:] + a, axis=0), np.append(G.b, G.b[1] + np.log(share))
        H = G.replace(k2=(2, 2, 2), **more)
        return (np.exp(log_density(H, X, y) - log_density(G, X, y)) - 1.0) / share

    result = interactions(G, 2, X, (1, 1), ("b", "a", "tau"))
    found = dict(zip(result.names, result.evaluate(X, y).T, strict=True))
    np.testing.assert_allclose(found["d/db"], effect(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["d/da"], (effect(h) - effect(-h)) / (2 * h), rtol=1e-4, atol=1e-4)
    cross = (effect(h, h) - effect(h, -h) - effect(-h, h) + effect(-h, -h)) / (4 * h * h)
    np.testing.assert_allclose(found["d2/da dtau"], cross, rtol=1e-3, atol=2e-3)


def test_the_numerator_has_no_normalising_sum(rng):
    """u = g e^{omega x} N: pure gate derivatives are powers of x (or the sign) times the expert's own term."""
    for gating, slope in (("SS", lambda x, w: x), ("LL", lambda x, w: np.sign(x - w))):
        G, X, y = small(rng, gating)
        found = interactions(G, 2, X, (0, 1), ("beta", "omega", "eta", "tau"), "numerator").evaluate(X, y)
        r, s = naive.responsibilities(G, X, y)[:, 1], slope(X, G.omega[1])[:, 0]
        z = (y - naive.means(G, X)[:, 1]) / G.nu[1]
        # eta, tau, beta, omega, then by gates: eta2, eta tau, tau2, omega eta, omega tau
        np.testing.assert_allclose(found[:, 2], r)
        np.testing.assert_allclose(found[:, 3], r * s)
        np.testing.assert_allclose(found[:, 7], r * s * X[:, 0] * z)
        np.testing.assert_allclose(found[:, 8], r * s * z)


# -- the Gram matrix --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("gating", "law"), [("SS", LAW), ("SL", Normal(0.3, 1.2)), ("LL", LAW)])
@pytest.mark.parametrize("form", ["split", "numerator", "density"])
def test_gram_matrix_is_a_mean_over_samples(rng, gating, law, form):
    G = naive.random_measure(rng, gating, (2, 2))
    result = interactions(G, 2, law, (0, 1), form=form)
    rows = result.evaluate(*sample(G, scale(20_000, 2000), law, seed=1))
    products = rows[:, :, None] * rows[:, None, :]
    error = products.std(axis=0) / np.sqrt(len(rows))
    z = (products.mean(axis=0) - result.gram) / np.where(error > 0, error, 1.0)
    assert np.abs(z).max() < 6  # of some 200, with heavy tails
    assert np.median(error.diagonal() / result.gram.diagonal()) < (0.2 if scale(2, 1) == 2 else 0.6)
    if form != "numerator":  # p and every split of it integrate to 1
        assert (np.abs(rows.mean(axis=0)) < 6 * result.norms / np.sqrt(len(rows))).all()


def test_gram_matrix_of_an_array_is_the_mean_over_its_rows(rng):
    G = naive.random_measure(rng, "LS", (2, 1), 2)
    X = rng.uniform(-2, 2, (5, 2))
    whole = interactions(G, 2, X, (0, 0)).gram
    halves = [interactions(G, 2, np.repeat(X[[i]], 2, axis=0), (0, 0)).gram for i in range(5)]
    np.testing.assert_allclose(whole, np.mean(halves, axis=0), rtol=1e-10, atol=1e-12)


def test_first_order_gram_is_the_expected_information(rng):
    G = datasets.truth("C2", "SS")
    X, y = sample(G, scale(60_000, 3000), LAW, seed=3)
    result = interactions(G, 1, LAW, "all", ("omega", "tau"), "density")
    observed = information(G, X, y) / len(y)
    place = [G.parameter_names().index(n) for n in ("tau[0]", "tau[1]", "omega[0,0]", "omega[1,0]")]
    ours = [result.names.index(f"d/d{n}") for n in ("tau[0,0]", "tau[0,1]", "omega[0,0]", "omega[0,1]")]
    found, expected = observed[np.ix_(place, place)], result.gram[np.ix_(ours, ours)]
    np.testing.assert_allclose(found, expected, atol=0.02 if scale(2, 1) == 2 else 0.1)


# -- identities -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize("form", ["split", "numerator"])
def test_identities_of_each_level(rng, gating, form):
    """omega and tau interact iff level 2 is softmax, a and tau iff level 1 is; tau and nu always."""
    other = naive.random_measure(rng, gating, (3, 2))
    for G, x in ((datasets.truth("C2", gating), LAW), (other, np.linspace(-3, 3, 40))):
        for letter, gate in zip(gating, (("b", "a"), ("beta", "omega")), strict=True):
            result = interactions(G, 2, x, (1, 1), (*gate, "eta", "tau", "nu"), form)
            wanted = BOTH if letter == "S" else BOTH[:1]
            assert texts(result) == tuple(t.replace("omega", gate[1]) for t in wanted)
            assert max(i.sine for i in result.identities) < 1e-13
            np.testing.assert_allclose(result.null_directions @ result.gram, 0.0, atol=1e-11)
            assert (result.eigenvalues < 1e-12).sum() == len(wanted)
            angle = result.angle(f"d2/d{gate[1]} dtau")
            assert angle < 1e-5 if letter == "S" else angle > 5
            assert (f"d2/d{gate[1]}2" in result.missing) == (letter == "L")


def test_identities_hold_coordinate_by_coordinate(rng):
    result = interactions(naive.random_measure(rng, "SS", (2, 1), 2), 2, LAW, draws=40)
    wanted = [f"d2/domega_{c} dtau - d/deta_{c} = 0" for c in (0, 1)]
    assert set(wanted) < set(texts(result))
    assert "d2/domega_1 deta_0 - d2/domega_0 deta_1 = 0" in texts(result)  # both are x_0 x_1 d/dmu
    G = naive.random_measure(rng, "LL", (2, 1), 2)
    laplace = interactions(G, 2, LAW, draws=40)
    # besides, (x - omega) and the direction u of x from omega are parallel: u_1 (x_0 - omega_0) = u_0 (x_1 - omega_1)
    always, turn = laplace.identities
    assert always.text == "d2/dtau2 - 2 d/dnu = 0"
    unit = turn.vector / turn.vector[laplace.names.index("d2/domega_1 deta_0")]
    weights = dict(zip(laplace.names, unit, strict=True))
    expected = {"d2/domega_1 deta_0": 1.0, "d2/domega_0 deta_1": -1.0}
    expected |= {"d2/domega_1 dtau": -G.omega[0, 0], "d2/domega_0 dtau": G.omega[0, 1]}
    assert {name: w for name, w in weights.items() if w} == pytest.approx(expected)
    assert {"d2/domega_0 domega_1", "d2/domega_0^2", "d2/domega_1^2"} == set(laplace.missing)
    assert min(laplace.angle(f"d2/domega_{c} dtau") for c in (0, 1)) > 5
    assert not interactions(naive.random_measure(rng, "LL", (2,), 3), 2, LAW, draws=20).missing


def test_the_angle_closes_as_a_laplace_centre_leaves_the_support():
    angles = []
    for centre in (0.0, 2.5, 2.9, 2.99, 2.999, 3.0, 4.0):
        G = datasets.truth("C2", "SL")
        G = G.replace(omega=[[centre], *G.omega[1:].tolist()])
        result = interactions(G, 2, LAW)
        angles.append(result.angle("d2/domega dtau"))
        outside = "d2/domega dtau + d/dtau = 0" in texts(result)  # -|x - omega| = x - omega there, up to the sign
        assert outside == (centre >= 3.0) == (not result.missing)
    assert (np.diff(angles[1:6]) < 0).all()
    assert min(angles[:3]) > 25
    assert max(angles[5:]) < 1e-5


def test_a_constant_gate_makes_the_density_interact_as_the_numerator_does():
    """(1 - g) d/deta is d2/domega dtau of the density: an identity as far as g is constant."""
    G, angles = datasets.truth("C2", "SS"), []
    for gap in (1.0, 0.5, 0.1, 0.0):
        flat = G.replace(omega=[[-gap / 2], [gap / 2], *G.omega[2:].tolist()])
        result = interactions(flat, 2, LAW, form="density")
        angles.append(result.angle("d2/domega dtau", ["d/deta"]))
        assert ("d2/domega dtau - d2/dbeta deta = 0" in texts(result)) == (gap > 0)
    assert (np.diff(angles) < 0).all()
    assert angles[0] > 10
    assert angles[-1] < 1e-5
    assert "d2/domega dtau - 0.4502 d/deta = 0" in texts(result)  # 1 - g = 1 / (1 + e^{0.2})


def test_third_order_and_lonely_groups():
    result = interactions(datasets.truth("C2", "SS"), 3, LAW)
    assert set(BOTH) < set(texts(result))
    assert "d3/dtau3 - 2 d2/dtau dnu = 0" in texts(result)
    assert "d3/domega2 dtau - d2/domega deta = 0" in texts(result)
    # one expert: its gate is constant, and yet d2/domega dtau = d/deta for a copy
    alone = interactions(datasets.truth("C4", "SS"), 2, LAW)
    assert {"d/domega = 0", "d/dbeta = 0", "d2/domega2 = 0", *BOTH} == set(texts(alone))
    assert np.isnan(alone.angle("d/domega"))
    assert (alone.correlation.diagonal() == 0).sum() == 3


def test_nothing_but_constant_gates():
    one = datasets.truth("C4", "SL").replace(k2=(2,), a=[0.4], b=[0.0])
    result = interactions(one, 2, LAW, parameters=("b", "a"), form="density")
    assert set(texts(result)) == {f"{name} = 0" for name in ("d/db", "d/da", "d2/db2", "d2/db da", "d2/da2")}
    assert result.eigenvalues.size == 0


def test_translations_are_found():
    result = interactions(datasets.truth("C2", "SS"), 1, np.linspace(-3, 3, 20), "all", PARAMETERS, "density")
    pairs = [("b[1]", "b[0]"), ("a[1]", "a[0]")]
    pairs += [(f"{n}[{i},1]", f"{n}[{i},0]") for n in ("beta", "omega") for i in (0, 1)]
    assert set(texts(result)) == {f"d/d{u} + d/d{v} = 0" for u, v in pairs}


def test_near_identities_say_so():
    G = datasets.truth("C2", "SS")
    G = G.replace(omega=[[-0.05], [0.05], *G.omega[2:].tolist()])
    result = interactions(G, 2, LAW, form="density", parameters=("omega", "eta", "tau", "nu"), tol=0.1)
    (near,) = [i for i in result.identities if i.text.startswith("d2/domega dtau")]
    assert near.text.endswith("d/deta ~ 0")
    assert 1e-3 < near.sine < 0.1
    rest = np.sqrt(near.vector @ result.gram @ near.vector)
    assert rest == pytest.approx(near.sine * result.norms[result.names.index("d2/domega dtau")])
    frame = result.to_frame().set_index("derivative")
    assert frame.loc["d2/domega dtau", "identity"] == near.text
    assert "(sine 0.0" in repr(result)
    assert "d2/dtau2 - 2 d/dnu = 0\n" in repr(result)


# -- observed information ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", GATINGS)
def test_information_apart_is_minus_the_mean_second_derivative(rng, gating):
    G, X, y = small(rng, gating)
    found = split_information(G, X, y, (1, 0))
    result = interactions(G, 2, X, (1, 0), parameters=("omega", "eta", "tau", "nu"))
    mean = dict(zip(result.names, result.evaluate(X, y).mean(axis=0), strict=True))
    for i, one in enumerate(found.names):
        for k, two in enumerate(found.names):
            name = f"d2/d{one}2" if i == k else f"d2/d{one} d{two}"
            name = name if name in mean else f"d2/d{two} d{one}"
            if name in mean:
                assert found.apart[i, k] == pytest.approx(-mean[name], rel=1e-8, abs=1e-10)
    own = [p for p in range(G.n_parameters) if G.parameter_names()[p] in ("omega[2,0]", "eta[2,0]", "tau[2]")]
    np.testing.assert_allclose(found.together[:3, :3], (information(G, X, y) / len(y))[np.ix_(own, own)], atol=1e-10)


def test_identities_show_in_the_observed_information():
    """Where an identity holds the entry is a score, and the score is zero at the maximum of the likelihood."""
    from hmoe_stats.fitting import fit_mle

    for gating in ("SS", "SL"):
        truth = datasets.truth("C2", gating)
        X, y = sample(truth, scale(1500), LAW, seed=4)
        fit = fit_mle(X, y, gating=gating, k2=(2, 2), start=truth, n_starts=1, seed=0)
        found = split_information(fit.measure, X, y)
        at = {name: i for i, name in enumerate(found.names)}
        tau, cross = (at["tau"], at["tau"]), (at["omega"], at["tau"])
        assert abs(found.apart[tau]) < 1e-6
        assert found.left[tau] < 1e-12
        assert (abs(found.apart[cross]) < 1e-6) == (found.left[cross] < 1e-12) == (gating == "SS")
        assert (np.abs(found.apart) < 8 * found.standard_error + 1e-6).all()
        assert found.together[tau] > 0.1
        assert found.kinks == (() if gating == "SS" else ("omega omega",))
        assert "omega    tau" in repr(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"G0": "C2"}, "G0 must be a MixingMeasure; got str"),
        ({"x": None}, "x must be a covariate law"),
        ({"order": 0}, "order must be an integer from 1 to 4 for d = 1, SS; got 0"),
        ({"order": True}, "order must be an integer"),
        ({"experts": (0, 2)}, r'experts must be "all" or \(group, expert\) pairs among .*; got \(0, 2\)'),
        ({"experts": 3}, "experts must be"),
        ({"experts": []}, "experts must be"),
        ({"experts": [(0, 0), (5, 0)]}, "experts must be"),
        ({"experts": "some"}, "experts must be"),
        ({"parameters": ("omega", "sigma")}, "parameters must be some of b, a, beta"),
        ({"parameters": "omega"}, "parameters must be some of"),
        ({"form": "u"}, "form must be one of split, numerator, density; got 'u'"),
        ({"tol": 0.0}, "tol must be a number between 0 and 0.5; got 0.0"),
        ({"draws": 1}, "draws must be an integer of at least 2"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"G0": datasets.truth("C2"), "x": LAW}
    with pytest.raises(ValueError, match=message):
        interactions(**(good | change))


def test_more_bad_input(rng):
    with pytest.raises(ValueError, match="order must be an integer from 1 to 2 for d = 2, SL"):
        interactions(naive.random_measure(rng, "SL", (2,), 2), 3, LAW)
    result = interactions(datasets.truth("C2", "LL"), 2, LAW)
    with pytest.raises(ValueError, match=r"got 'd2/domega2' \(kink at its Laplace centre\)"):
        result.angle("d2/domega2")
    with pytest.raises(ValueError, match="expert must be one pair"):
        split_information(datasets.truth("C2"), [0.0, 1.0], [0.0, 1.0], "all")
