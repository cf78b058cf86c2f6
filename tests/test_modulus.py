"""Rate certificates: derivatives, the constraint, the distances of the minimisers, exponents, and what is refused."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from naive import central
from test_plotting import legend_texts, overlaps

from hmoe_stats import (
    MixingMeasure,
    Normal,
    Uniform,
    chi_square,
    datasets,
    functional_errors,
    gate_weights,
    hellinger,
    kernels,
    log_density,
    plotting,
    score,
)
from hmoe_stats.theory import certificates, certify, modulus, rates
from hmoe_stats.theory.modulus import DISCREPANCIES, _read
from hmoe_stats.theory.nearest import Nearest, allocate
from hmoe_stats.theory.rows import Rows

LAW = Uniform(-3, 3)
EVEN = Uniform(-2.5, 3.5)  # not centred at 0
GRID = [0.05, 0.02, 0.01, 0.005, 0.002]
GATINGS = ("SS", "SL", "LS", "LL")


def point(problem, rng, scale=0.1):
    return problem.base + scale * problem.free * rng.standard_normal(problem.base.size)


# -- pieces -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", GATINGS)
def test_row_scores_are_the_scores_of_single_rows(gating, rng):
    G = datasets.truth("C2", gating)
    X, y = rng.uniform(-3, 3, (300, 1)), rng.normal(0, 5, 300)
    log_p, S = kernels.row_scores(X, y, G.kernel_args(), 0.0)
    np.testing.assert_array_equal(log_p, log_density(G, X, y))
    for i in (0, 7, 299):
        np.testing.assert_allclose(S[:, i], score(G, X[i : i + 1], y[i : i + 1]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gating", ["SS", "LL"])
@pytest.mark.parametrize("law", [LAW, Normal(0.5, 0.7)])
def test_rows_integrate_densities_and_follow_narrow_experts(gating, law):
    nu = [0.4, 0.004, 1.5, 0.05]
    G0 = datasets.truth("C2", gating).replace(nu=nu)
    X, y, log_p0, root = Rows(G0, law).at(np.array([0.3, 0.30001]) if gating == "LL" else np.array([]))
    np.testing.assert_allclose(root @ root, 1.0, rtol=1e-6)
    # E y^2 = E sum_j w_j (mu_j^2 + nu_j)
    x, w = law.quadrature(breaks=np.concatenate([G0.a[:, 0], G0.omega[:, 0]]))
    mean = x[:, None] * G0.eta[:, 0] + G0.tau
    second = w @ (gate_weights(G0, x) * (mean**2 + G0.nu)).sum(axis=1)
    np.testing.assert_allclose((root * y) @ (root * y), second, rtol=1e-5)
    np.testing.assert_array_equal(log_p0, log_density(G0, X, y))


def test_rows_move_with_kinks_and_stay_without():
    soft, hard = (Rows(datasets.truth("C2", gating), LAW) for gating in ("SS", "LL"))
    assert soft.at(np.array([]))[0] is soft.at(np.array([]))[0]
    x = np.unique(hard.at(np.array([0.123]))[0])
    for kink in (0.123, 1.0, -1.2, -0.8, 0.9, 1.2, -0.4):  # nodes cluster at both sides of every panel edge
        assert np.abs(x - kink).min() < 0.05
        assert not np.any(x == kink)


@pytest.mark.parametrize("distance", ["chi", "hellinger"])
@pytest.mark.parametrize(
    ("gating", "k2", "discrepancy", "m"),
    [
        ("SS", (3, 2), "tau", 2),
        ("LL", (3, 2), "omega", 2),
        ("SL", (4, 2), "nu", 3),
        ("LS", (3, 2), "bary_eta", 2),
        ("LS", (3, 2), "bary_omega", 2),
        ("SS", (2, 2, 2), "a", 2),
        ("LL", (3, 2, 2), "eta", 3),
        ("LL", (2, 2, 2), "bary_tau", 2),
    ],
)
def test_derivatives_and_constraint(distance, gating, k2, discrepancy, m, rng):
    law = EVEN
    problem = Nearest(datasets.truth("C2", gating), k2, discrepancy, (0, 0), law, m, distance)
    v, t = point(problem, rng), 0.05
    z = problem.place(v, t)[0]
    np.testing.assert_allclose(problem.residuals(z, t)[0], problem.residuals(v, t)[0], rtol=1e-9, atol=1e-12)
    fixed = problem.rows.at(z[np.concatenate([np.arange(*problem.at[n].indices(z.size)) for n in ("a", "omega")])])
    problem.rows.at = lambda centres: fixed  # the rows of this point: the integral does not see them move
    r, S = problem.residuals(v, t)
    numeric = central(lambda u: problem.residuals(u, t)[0], v, step=1e-5)
    crossing = np.abs(S - numeric) > 1e-7  # centres step over rows
    assert crossing.mean() < (0.002 if "L" in gating else 1e-9)
    numeric = central(lambda u: problem.place(u, t)[0][problem.moved], v, step=1e-4)
    np.testing.assert_allclose(problem.place(v, t)[1].T, numeric, atol=1e-8)


def test_gradient_of_the_squared_distance_is_blind_to_moving_rows(rng):
    problem = Nearest(datasets.truth("C2", "LL"), (3, 2), "omega", (0, 0), LAW, 2, "chi")
    v, t = point(problem, rng), 0.2
    r, S = problem.residuals(v, t)
    numeric = central(lambda u: np.array([np.sum(problem.residuals(u, t)[0] ** 2)]), v, step=1e-5)[:, 0]
    np.testing.assert_allclose(2 * S @ r, numeric, rtol=1e-4, atol=1e-5)


def test_base_is_the_truth_and_allocation_fills_cells():
    for gating in GATINGS:
        G0 = datasets.truth("C2", gating)
        for k2 in ((4, 3), (3, 2, 2)):
            problem = Nearest(G0, k2, "tau", (0, 1), EVEN, 2, "chi")
            G = problem.measure(problem.base)
            X = np.linspace(-2.4, 3.4, 50)
            np.testing.assert_allclose(log_density(G, X, X), log_density(G0, X, X), atol=1e-12)
    G0 = datasets.truth("C2")
    assert allocate(G0, (4, 2), (0, 0), 2).leaf.tolist() == [0, 0, 1, 1, 2, 3]
    assert allocate(G0, (4, 3), (0, 1), 3).leaf.tolist() == [0, 1, 1, 1, 2, 2, 3]
    split = allocate(G0, (2, 2, 3), (1, 0), 3)
    assert split.group.tolist() == [0, 1, 1]
    assert split.leaf.tolist() == [0, 1, 2, 3, 2, 2, 3]


def test_descent_stays_in_its_box_and_does_not_climb(rng):
    problem = Nearest(datasets.truth("C2", "LL"), (3, 2), "eta", (0, 0), LAW, 2, "chi")
    v = point(problem, rng, 0.5)
    start = np.linalg.norm(problem.residuals(np.clip(v, problem.low, problem.high), 0.05)[0])
    z, value = problem.descend(v, 0.05)
    others = np.setdiff1d(np.arange(z.size), problem.moved)
    assert (z[others] >= problem.low[others]).all()
    assert (z[others] <= problem.high[others]).all()
    np.testing.assert_array_equal(z[~problem.free], problem.base[~problem.free])
    assert value < 0.1 * start
    np.testing.assert_allclose(np.linalg.norm(problem.residuals(z, 0.05)[0]), value, rtol=1e-9)


# -- certificates -----------------------------------------------------------------------------------------------------
def weights_at(G, x0, members):
    w = gate_weights(G, np.array([x0]))[0, members]
    return w / w.sum()


CASES = [
    # gating, truth, k2, discrepancy, m, exponent; one with the default grid and starts, the others short
    ("SS", "C2", (3, 2), "bary_eta", 2, 4 / 3, None),
    ("SS", "C2", (3, 2), "tau", 2, 4.0, [0.1, 0.05, 0.025, 0.0125, 0.006, 0.003]),
    ("LS", "C2", (3, 2), "nu", 2, 2.0, [0.02, 0.01, 0.005, 0.0025, 0.0012]),
    ("LL", "C2", (3, 2), "omega", 2, 1.5, [0.02, 0.01, 0.005, 0.0025, 0.0012]),
    ("SL", "C2", (3, 2), "bary_eta", 2, 1.0, [4e-4, 2e-4, 1e-4, 5e-5, 2e-5]),
    ("SS", "C4", (3, 1), "tau", 3, 6.0, [0.1, 0.08, 0.06, 0.05, 0.04]),
]


@pytest.mark.parametrize(("gating", "truth", "k2", "discrepancy", "m", "exponent", "t"), CASES)
def test_exponents(gating, truth, k2, discrepancy, m, exponent, t):
    G0 = datasets.truth(truth, gating)
    found = modulus(G0, k2, discrepancy, (0, 0), LAW, m, t=t, n_starts=None if t is None else 1)
    assert found.status == "clean", found
    assert abs(found.exponent - exponent) < 0.05
    assert found.exponent_error < 0.05
    assert found.derived == pytest.approx(exponent)
    assert found.clean[0] == found.t[-1] < found.clean[1]
    assert len(found.measures) == len(found.t) == len(found.distance)
    members, parameter = np.arange(m), discrepancy.removeprefix("bary_")
    for t_k, h, G in zip(found.t, found.distance, found.measures, strict=True):
        assert G.k2 == k2
        c = weights_at(G, 0.0, members)
        u = np.ravel(getattr(G, parameter))[members] - np.ravel(getattr(G0, parameter))[0]
        shift = c @ u
        value = abs(shift) if discrepancy.startswith("bary_") else np.sqrt(c @ (u - shift) ** 2)
        np.testing.assert_allclose(value, t_k, rtol=1e-9, atol=1e-15)
        if h > 1e-9:  # below, rounding of the parameters shows
            np.testing.assert_allclose(h, np.sqrt(chi_square(G, G0, LAW)), rtol=2e-4)
    seen = [(h, G) for h, G in zip(found.distance, found.measures, strict=True) if h > 1e-9]
    if seen[0][0] > 30 * seen[-1][0]:  # of shorter paths the constants, which depend on where a path is, tell nothing
        check_functions([(h, functional_errors(G, G0, LAW)) for h, G in (seen[0], seen[-1])], rates(G0, k2, x=LAW))


def check_functions(path, table):
    """Along the path of a minimised parameter: no error of a function falls more slowly than `rates` says."""
    keys, logs = ["level", "size", "parameter"], []
    for h, errors in path:
        errors = errors[errors["error"] > 1e-12].groupby(keys)["error"].max()
        logs.append((np.log(h), np.log(errors)))
    (h, errors), (h_small, errors_small) = logs
    kappa = table[table["kind"] == "function"].groupby(["level", "m", "parameter"])["kappa"].max()
    for key, change in (errors - errors_small).dropna().items():
        assert (h - h_small) / change < 1.1 * kappa[key], key


def test_hellinger_certificate():
    G0 = datasets.truth("C2", "SS")
    found = modulus(G0, (3, 2), "omega", x=LAW, distance="hellinger", t=GRID, n_starts=1)
    assert found.metric == "hellinger"
    assert abs(found.exponent - 2.0) < 0.05
    for h, G in zip(found.distance, found.measures, strict=True):
        np.testing.assert_allclose(h, hellinger(G, G0, LAW), rtol=2e-4)


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_a_vacuous_zero_is_not_an_exponent(gating):
    """With one true expert in the group, copies may have any gates at all; so may two copies of every expert (S)."""
    found = modulus(datasets.truth("C4", gating), (2, 1), "omega", x=LAW)
    assert found.status == "vacuous"
    assert np.isnan(found.exponent)
    assert found.distance[-1] < 1e-13
    assert found.derived == np.inf
    assert "vacuous" in repr(found)
    if gating == "SS":
        all_split = modulus(datasets.truth("C2", gating), (4, 2), "omega", x=LAW, m=2)
        assert all_split.status == "vacuous"
        assert all_split.derived == np.inf


def test_same_seed_same_certificate_and_warm_starts_do_not_need_luck():
    G0 = datasets.truth("C2", "SS")
    one, two = (modulus(G0, (3, 2), "eta", x=LAW, t=GRID, n_starts=1, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.distance, two.distance)
    assert one.measures == two.measures
    other = modulus(G0, (3, 2), "eta", x=LAW, t=GRID, n_starts=1, seed=4)
    np.testing.assert_allclose(other.distance, one.distance, rtol=0.02)


def test_reading_an_exponent():
    t = 0.5 ** np.arange(10)
    many = np.full(10, 3)
    exponent, error, clean, _, status, _ = _read(t, 2 * t**3, many, False, 3.0)
    assert (status, clean) == ("clean", (t[-1], t[0]))
    assert exponent == pytest.approx(3.0)
    assert error < 1e-10
    bent = 2 * t**3 + 5 * t**1.2  # pre-asymptotic: the range is the end that is straight
    exponent, error, clean, _, status, _ = _read(t, bent, many, False, 3.0)
    assert status == "clean"
    assert clean[1] < t[0]
    assert abs(exponent - 1.2) < 0.06
    missed = 2 * t**3
    missed[8] *= 4  # a minimum that was not found
    assert _read(t, missed, many, False, 3.0)[4] == "kinked"
    missed[8] *= 16
    assert _read(t, missed, many, False, 3.0)[5] == "the distance does not fall with t"
    few = many.copy()
    few[4:8] = 1
    exponent, *_, status, message = _read(t, 2 * t**3, few, False, 3.0)
    assert status == "disagreement"
    assert np.isnan(exponent)
    assert message.startswith("4 of 10")
    assert _read(t[:3], t[:3], many[:3], False, 3.0)[4] == "kinked"


@pytest.mark.parametrize(("slope", "status"), [(0.956, "kinked"), (0.969, "kinked"), (0.972, "clean"), (1.02, "clean")])
def test_no_exponent_is_below_one(slope, status):
    """w(t) <= C t: a slope that is clearly smaller is an error, one that is a little smaller is 1."""
    t = 0.5 ** np.arange(10)
    exponent, error, clean, _, found, message = _read(t, 2 * t**slope, np.full(10, 3), False, 1.0)
    assert found == status
    if status == "clean":
        assert exponent == pytest.approx(max(slope, 1.0))
        assert error == pytest.approx(max(1.0 - slope, 0.0), abs=1e-10)
    else:
        assert np.isnan([exponent, error, *clean]).all()
        assert f"{slope:.3f}" in message


def test_a_path_is_said_to_prove_one_side():
    t = 0.5 ** np.arange(8)
    (tau,) = certificates(datasets.truth("C0"), (2, 2), LAW, discrepancies=("bary_tau",))
    assert f"exponent {tau.exponent:.3f}" in repr(tau)
    assert "kappa is no smaller, by this path; that it is no larger rests on a derivation" in repr(tau)
    kinked = replace(tau, status="kinked", exponent=np.nan, t=t, distance=t**0.9, agreement=np.full(8, 2))
    assert "no smaller" not in repr(kinked)
    for text in (modulus.__doc__, certify.__doc__):
        assert "lower bound" in text or "below which kappa is not" in text


def test_certify_lists_what_makes_sense():
    exact = certify(datasets.truth("C2", "SS"), (2, 2), LAW, n_starts=1)
    assert exact["discrepancy"].tolist() == ["bary_tau", "bary_eta", "bary_omega", "a"]
    assert (exact["status"] == "clean").all()
    np.testing.assert_allclose(exact["exponent"], exact["derived"], atol=0.03)
    assert (exact["derived"] == 1.0).all()
    two = certificates(datasets.truth("C4", "SS"), (2, 1), LAW, n_starts=0, discrepancies=("omega",))
    assert [(r.discrepancy, r.cell, r.m, r.status) for r in two] == [("omega", (0, 0), 2, "vacuous")]


def test_bad_input():
    G0 = datasets.truth("C2", "SS")
    for call, words in (
        (dict(discrepancy="sigma"), "discrepancy must be one of tau, nu"),
        (dict(distance="tv"), "distance must be one of chi, hellinger; got 'tv'"),
        (dict(cell=(0, 2)), "cell must be a pair"),
        (dict(cell=0), "cell must be a pair"),
        (dict(m=3), r"m must be in 1\.\.2"),
        (dict(m=1), "m must be at least 2 for the spread of tau; got 1"),
        (dict(m=2.0), "m must be an integer of at least 1; got 2.0"),
        (dict(k2=(1, 2)), "k2 must cover the groups of G0"),
        (dict(k2=(3,)), "k2 must cover the groups of G0"),
        (dict(x=None), "x must be a covariate law"),
        (dict(t=[0.1, 0.2]), "t must hold at least 5"),
        (dict(t=[0.1, 0.2, 0.3, 0.4, -1.0]), "t must hold at least 5"),
        (dict(n_starts=-1), "n_starts must be an integer of at least 0; got -1"),
        (dict(seed="a"), "seed must be a non-negative integer"),
    ):
        with pytest.raises(ValueError, match=words):
            modulus(**(dict(G0=G0, k2=(3, 2), x=LAW) | call))
    one = datasets.truth("C4", "SS")
    with pytest.raises(ValueError, match="the gate of cell"):
        modulus(one, (1, 2), "bary_omega", (0, 0), LAW, 1)
    wide = MixingMeasure(
        gating="SS", k2=(1,), a=np.zeros((1, 2)), b=[0], omega=np.zeros((1, 2)), beta=[0], eta=[[1, 2]], tau=[0], nu=[1]
    )
    with pytest.raises(ValueError, match="one covariate"):
        modulus(wide, (2,), x=LAW)
    with pytest.raises(ValueError, match="discrepancies must be one of"):
        certify(G0, (3, 2), LAW, discrepancies=("tua",))
    assert len(DISCREPANCIES) == 8


# -- figure -----------------------------------------------------------------------------------------------------------
def test_modulus_plot():
    G0 = datasets.truth("C2", "SS")
    before = dict(mpl.rcParams)
    some = [modulus(G0, (3, 2), name, x=LAW, t=GRID, n_starts=1) for name in ("omega", "eta")]
    for given in (some[0], some):
        ax = plotting.modulus_plot(given)
        assert ax.get_xscale() == ax.get_yscale() == "log"
        texts = legend_texts(ax)
        assert f"omega, m = 2: exponent {some[0].exponent:.3f}" in texts
        assert "2: derived" in texts
        assert not overlaps(ax)
    points = ax.get_lines()[0].get_xydata()
    np.testing.assert_array_equal(points, np.column_stack([some[0].t, some[0].distance]))
    ends = ax.get_lines()[1].get_xydata()  # the fitted line
    np.testing.assert_allclose(np.diff(np.log(ends[:, 1])) / np.diff(np.log(ends[:, 0])), some[0].exponent)
    ax = plotting.modulus_plot(some, references={"half": 1.5})
    assert "3/2: half" in legend_texts(ax)
    assert dict(mpl.rcParams) == before
    for bad in ([], [1], "tau"):
        with pytest.raises(ValueError, match="moduli must be a Modulus"):
            plotting.modulus_plot(bad)
    with pytest.raises(ValueError, match="finite kappas"):
        plotting.modulus_plot(some, references={"x": -1})
