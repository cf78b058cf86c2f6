"""The likelihood room against the oracle of `naive.py`, finite differences, decimal arithmetic and known identities."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import naive
import numpy as np
import pytest
from conftest import PURE_PYTHON, moved, scale
from scipy.stats import norm

import hmoe_stats as hs
from hmoe_stats import kernels
from hmoe_stats.gates import GATES, GATINGS

SHAPES = (
    ((1,), 1),
    ((3,), 2),
    ((1, 1), 3),
    ((2, 2), 1),
    ((1, 3, 2), 1),
    ((1, 3, 2), 2),
    ((1, 3, 2), 8),
    ((4, 4, 4, 4), 1),
    ((4, 4, 4, 4), 3),
)
SIZES = sorted({scale(n) for n in (1, 7, 255, 256, 257, 300, 1000)})  # the kernels work through blocks of 256 rows
FEW = sorted({scale(n, pure=20) for n in (1, 7, 300)})

gatings = pytest.mark.parametrize("gating", GATINGS)
shapes = pytest.mark.parametrize(("k2", "d"), SHAPES, ids=["k" + "-".join(map(str, k2)) + f"-d{d}" for k2, d in SHAPES])


def assert_near(got, want, tol):
    """Largest difference at most `tol` times the larger of 1 and the largest wanted entry."""
    assert np.shape(got) == np.shape(want)
    gap, size = np.abs(np.asarray(got) - want).max(), max(1.0, np.abs(want).max())
    assert gap <= tol * size, f"off by {gap:.3g} on a scale of {size:.3g}"


def case(rng, gating, k2, d, n):
    G = naive.random_measure(rng, gating, k2, d)
    return G, *naive.random_data(rng, G, n)


# -- against the oracle -----------------------------------------------------------------------------------------------
@gatings
@shapes
@pytest.mark.parametrize("n", SIZES)
def test_values_agree_with_the_oracle(rng, gating, k2, d, n):
    G, X, y = case(rng, gating, k2, d, n)
    want = naive.log_density(G, X, y)
    np.testing.assert_allclose(hs.log_density(G, X, y), want, rtol=1e-12, atol=1e-12)
    assert_near(hs.log_likelihood(G, X, y), want.sum(), 1e-12)
    np.testing.assert_allclose(hs.gate_weights(G, X), naive.gate_weights(G, X), rtol=1e-11)
    np.testing.assert_allclose(hs.responsibilities(G, X, y), naive.responsibilities(G, X, y), rtol=1e-10, atol=1e-250)
    assert_near(hs.predict(G, X), naive.predict(G, X), 1e-12)


@gatings
@shapes
@pytest.mark.parametrize("n", FEW)
def test_derivatives_agree_with_the_oracle(rng, gating, k2, d, n):
    G, X, y = case(rng, gating, k2, d, n)
    assert_near(hs.score(G, X, y), naive.score(G, X, y), 1e-11)
    got = hs.information(G, X, y)
    assert_near(got, naive.information(G, X, y), 1e-11)
    np.testing.assert_array_equal(got, got.T)


@gatings
def test_oracle_score_by_sums_is_the_complex_step(rng, gating):
    """The two routes of the oracle itself, so that its information rests on a checked score."""
    G, X, y = case(rng, gating, (1, 3, 2), 2, 30)
    for eps in (0.0, 0.3):
        assert_near(naive.score_by_sums(G, X, y, eps), naive.score(G, X, y, eps), 1e-13)


@gatings
@pytest.mark.parametrize("eps", [1e-3, 0.1, 2.0])
def test_smoothed_distances_agree_with_the_oracle(rng, gating, eps):
    """The kernels' `eps`; rows at the centres themselves are included, where smoothing makes the model analytic."""
    G, X, y = case(rng, gating, (1, 3, 2), 2, scale(300))
    X[0], X[1] = G.a[0], G.omega[2]
    args = (X, y, G.kernel_args(), eps)
    assert_near(kernels.log_density(*args), naive.log_density(G, X, y, eps), 1e-12)
    assert_near(kernels.gate_weights(X, G.kernel_args(), eps), naive.gate_weights(G, X, eps), 1e-12)
    assert_near(kernels.responsibilities(*args)[1].T, naive.responsibilities(G, X, y, eps), 1e-12)
    value, score, information = kernels.information(*args)
    for total in (value, kernels.score(*args)[0], kernels.responsibilities(*args)[0], kernels.log_likelihood(*args)):
        assert_near(total, naive.log_likelihood(G, X, y, eps), 1e-12)
    assert_near(kernels.score(*args)[1], naive.score(G, X, y, eps), 1e-11)
    assert_near(score, naive.score(G, X, y, eps), 1e-11)
    assert_near(information, naive.information(G, X, y, eps), 1e-10)


@pytest.mark.parametrize("n", SIZES)
def test_sums_of_the_m_step(rng, n):
    d, K = 3, 4
    X, y, r = rng.normal(size=(n, d)), rng.normal(size=n), rng.random((K, n))
    wide = np.column_stack([X, np.ones(n)])
    xx, xy = kernels.expert_sums(X, y, r)
    assert_near(xx, np.einsum("kn,nc,ne->kce", r, wide, wide), 1e-13)
    assert_near(xy, np.einsum("kn,nc,n->kc", r, wide, y), 1e-13)
    eta, tau = rng.normal(size=(K, d)), rng.normal(size=K)
    want = [(r[k] * (y - X @ eta[k] - tau[k]) ** 2).sum() for k in range(K)]
    assert_near(kernels.residual_sums(X, y, r, eta, tau), np.array(want), 1e-13)


@pytest.mark.parametrize("letter", ["S", "L", "Q"])
@pytest.mark.parametrize(("eps", "c"), [(0.0, (1.0, 1.0)), (0.5, (1.0, 1.0)), (0.5, (2.0, 0.3)), (0.0, (0.0, 0.7))])
def test_one_gate_of_the_m_step(rng, letter, eps, c):
    """Value, gradient and information of a weighted gate; the information by differences of the exact gradient."""
    n, m, d = scale(300), 3, 2
    X, r, slopes, intercepts = rng.normal(size=(n, d)), rng.random((m, n)), rng.normal(size=(m, d)), rng.normal(size=m)

    def value(v):
        u = naive.logits(letter, X, v[: m * d].reshape(m, d), v[m * d :], eps, c)
        return (r.T * (u - naive.log_sum_exp(u)[:, None])).sum()

    def gradient(v):
        return naive.complex_step(value, v)

    v = np.concatenate([slopes.ravel(), intercepts])
    got = kernels.gate_information(X, r, GATES[letter].code, slopes, intercepts, np.array(c), eps)
    assert_near(got[0], value(v), 1e-12)
    assert_near(got[1], gradient(v), 1e-11)
    assert_near(got[2], -naive.central(gradient, v, step=1e-4), 1e-8)


# -- against differences of the package's own lower order -------------------------------------------------------------
@gatings
@pytest.mark.parametrize(("k2", "d"), [((1, 3, 2), 1), ((2, 2), 2)], ids=["d1", "d2"])
def test_score_and_information_are_derivatives(rng, gating, k2, d):
    G, X, y = case(rng, gating, k2, d, 12)
    v = G.to_vector()
    want = naive.central(lambda v: hs.log_likelihood(G.with_vector(v), X, y), v)
    assert_near(hs.score(G, X, y), want, 1e-8)
    want = naive.central(lambda v: hs.score(G.with_vector(v), X, y), v)
    assert_near(hs.information(G, X, y), -want, 1e-8)


@gatings
@pytest.mark.parametrize("d", [1, 3])
def test_entries_of_the_score_carry_the_names_of_the_vector(rng, gating, d):
    """Each entry against a difference in the one field its name says, by `replace` and not through the vector."""
    G, X, y = case(rng, gating, (1, 2), d, 9)
    score = dict(zip(G.parameter_names(), hs.score(G, X, y), strict=True))
    assert len(score) == G.n_parameters
    h = 1e-5
    for name, got in score.items():
        field, _, index = name.removesuffix("]").removeprefix("log_").partition("[")
        values = []
        for t in (h, -h):
            array = getattr(G, field).copy()
            where = tuple(int(i) for i in index.split(","))
            array[where] = array[where] * np.exp(t) if name.startswith("log_") else array[where] + t
            values.append(hs.log_likelihood(G.replace(**{field: array}), X, y))
        assert got == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-6, abs=1e-6), name


# -- one expert: ordinary Gaussian regression -------------------------------------------------------------------------
@gatings
def test_one_expert_is_gaussian_regression(rng, gating):
    G, X, y = case(rng, gating, (1,), 2, 40)
    residual, nu = y - X @ G.eta[0] - G.tau[0], G.nu[0]
    np.testing.assert_allclose(hs.log_density(G, X, y), norm.logpdf(residual, scale=np.sqrt(nu)), rtol=1e-12)
    np.testing.assert_array_equal(hs.responsibilities(G, X, y), np.ones((40, 1)))
    np.testing.assert_array_equal(hs.gate_weights(G, X), np.ones((40, 1)))
    gate = np.zeros(6)  # a (2), b, omega (2), beta: nothing depends on them
    w = residual**2 / nu
    assert_near(hs.score(G, X, y), [*gate, *(residual @ X / nu), residual.sum() / nu, (w - 1).sum() / 2], 1e-12)
    Z = np.column_stack([X, np.ones(40)]) / np.sqrt(nu)
    cross = Z.T @ residual / np.sqrt(nu)
    want = np.zeros((10, 10))
    want[6:, 6:] = np.block([[Z.T @ Z, cross[:, None]], [cross[None], np.array([[w.sum() / 2]])]])
    assert_near(hs.information(G, X, y), want, 1e-12)


# -- extremes ---------------------------------------------------------------------------------------------------------
@gatings
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize(
    "extreme",
    [
        "level-1 logits",
        "level-2 logits",
        "slopes",
        "far centres",
        "residuals",
        "small nu",
        "sharp lines",
        "large nu",
        "mixed nu",
    ],
)
def test_extremes_match_decimal_arithmetic(rng, gating, d, extreme):
    G, X, y = case(rng, gating, (1, 3, 2), d, 9)
    if extreme == "level-1 logits":
        G = G.replace(b=[1e4, -1e4, 0.0])
    elif extreme == "level-2 logits":
        G = G.replace(beta=[1e4, -1e4, 1e4, 0.0, -1e4, 1e4])
    elif extreme in ("slopes", "far centres"):
        size = 1e4 if extreme == "slopes" else 1e6
        G = G.replace(a=size * G.a, omega=-size * G.omega)
    elif extreme == "residuals":
        y = y + 1e3 * np.sqrt(G.nu.max()) * np.sign(rng.normal(size=9))
    elif extreme == "sharp lines":  # standard deviations of 1e-4, responses as near to the lines
        G = G.replace(nu=np.full(6, 1e-8))
        y = naive.means(G, X)[np.arange(9), np.arange(9) % 6] + 1e-4 * rng.normal(size=9)
    else:
        nu = {"small nu": np.full(6, 1e-12), "large nu": np.full(6, 1e12), "mixed nu": np.geomspace(1e-12, 1e12, 6)}
        G = G.replace(nu=nu[extreme])
    got = hs.log_density(G, X, y)
    np.testing.assert_allclose(got, naive.log_density_decimal(G, X, y), rtol=1e-10, atol=1e-10)
    score, information = hs.score(G, X, y), hs.information(G, X, y)
    assert np.isfinite(score).all()
    assert np.isfinite(information).all()
    np.testing.assert_allclose(hs.responsibilities(G, X, y).sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(hs.gate_weights(G, X).sum(axis=1), 1.0, rtol=1e-12)
    assert_near(score, naive.score_by_sums(G, X, y), 1e-9)
    # With residuals of 1e6 deviations squares of 1e24 cancel in each term of the Hessian: no route keeps its digits.
    if extreme not in ("small nu", "mixed nu"):
        assert_near(information, naive.information(G, X, y), 1e-9)


@pytest.mark.parametrize("gating", ["SL", "LS", "LL"])
@pytest.mark.parametrize("d", [1, 2])
def test_data_at_a_laplace_centre(rng, gating, d):
    G, X, y = case(rng, gating, (2, 2), d, 10)
    X[:2], X[2:6] = G.a, G.omega
    np.testing.assert_allclose(hs.log_density(G, X, y), naive.log_density_decimal(G, X, y), rtol=1e-11)
    assert_near(hs.score(G, X, y), naive.score_by_sums(G, X, y), 1e-12)
    information = hs.information(G, X, y)
    assert np.isfinite(information).all()
    np.testing.assert_array_equal(information, information.T)


# -- what a conditional density and its parts must satisfy ------------------------------------------------------------
@gatings
@pytest.mark.parametrize("d", [1, 3])
def test_density_integrates_to_one(rng, gating, d):
    G = naive.random_measure(rng, gating, (1, 3, 2), d)
    for x in rng.uniform(-3, 3, (3, d)):
        mean, sd = naive.means(G, x[None])[0], np.sqrt(G.nu)
        step = sd.min() / 2  # the trapezoid rule converges geometrically on Gaussians: error exp(-8 pi^2)
        y = np.arange((mean - 10 * sd).min(), (mean + 10 * sd).max(), step)
        X = np.broadcast_to(x, (y.size, d))
        density = np.exp(hs.log_density(G, X, y))
        assert step * density.sum() == pytest.approx(1.0, rel=1e-12)
        assert step * (y * density).sum() == pytest.approx(hs.predict(G, x[None])[0], rel=1e-10, abs=1e-10)


@gatings
def test_probabilities_and_sums(rng, gating):
    G, X, y = case(rng, gating, (1, 3, 2), 2, scale(700))
    for P in (hs.responsibilities(G, X, y), hs.gate_weights(G, X)):
        assert P.shape == (len(y), 6)
        assert P.min() >= 0
        np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=0, atol=1e-13)
    value = hs.log_likelihood(G, X, y)
    assert isinstance(value, float)
    assert_near(value, hs.log_density(G, X, y).sum(), 1e-13)
    assert hs.score(G, X, y).shape == (G.n_parameters,)
    assert hs.information(G, X, y).shape == (G.n_parameters,) * 2


@gatings
def test_rows_add_up_in_any_order(rng, gating):
    G, X, y = case(rng, gating, (1, 3, 2), 2, scale(517))
    order, cut = rng.permutation(len(y)), len(y) // 3
    for f in (hs.log_likelihood, hs.score, hs.information):
        whole = f(G, X, y)
        assert_near(f(G, X[:cut], y[:cut]) + f(G, X[cut:], y[cut:]), whole, 1e-12)
        assert_near(f(G, X[order], y[order]), whole, 1e-12)
    for f in (hs.log_density, hs.responsibilities):
        np.testing.assert_allclose(f(G, X[order], y[order]), f(G, X, y)[order], rtol=1e-12)


# -- other writings of the same density -------------------------------------------------------------------------------
@gatings
@pytest.mark.parametrize(("k2", "d"), [((3,), 1), ((1, 3, 2), 1), ((2, 2), 3)], ids=["flat", "d1", "d3"])
def test_invariances_leave_the_density(rng, gating, k2, d):
    G, X, y = case(rng, gating, k2, d, scale(300))
    want = hs.log_density(G, X, y)
    np.testing.assert_allclose(hs.log_density(naive.rewritten(rng, G), X, y), want, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(hs.log_density(naive.permuted(rng, G), X, y), want, rtol=1e-11, atol=1e-11)
    score = dict(zip(G.parameter_names(), hs.score(G, X, y), strict=True))
    if gating[0] == "S":  # along a translation the likelihood is flat
        assert sum(score[f"a[{i},0]"] for i in range(G.k1)) == pytest.approx(0, abs=1e-9)
    assert sum(score[f"b[{i}]"] for i in range(G.k1)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("gating", ["SL", "LS", "LL"])
def test_centres_outside_the_support_form_ridges(rng, gating):
    G, X, y = case(rng, gating, (1, 3, 2), 1, scale(300))
    low, high = X.min(), X.max()
    edge = np.array([low, high, high])[:, None]
    G = G.replace(**({"a": edge} if gating[0] == "L" else {}))
    if gating[1] == "L":
        G = G.replace(omega=np.concatenate([edge, [[0.3]], edge[:2]]))
    H = naive.rewritten(rng, G, (low, high))
    assert not H.allclose(G)
    np.testing.assert_allclose(hs.log_density(H, X, y), hs.log_density(G, X, y), rtol=1e-11, atol=1e-11)


def test_opposite_outside_centres_are_a_softmax_gate(rng):
    """For low <= x <= high, -|x - low| and -|x - high| are affine with slopes -1 and 1 (derived)."""
    S, X, y = case(rng, "SS", (2, 3), 1, scale(300))
    S = S.replace(a=[-1.0, 1.0])
    L = S.replace(gating="LS", a=[-4.0, 5.0], b=S.b + [4.0, 5.0])
    np.testing.assert_allclose(hs.log_density(L, X, y), hs.log_density(S, X, y), rtol=1e-11, atol=1e-11)


@gatings
def test_a_flat_mixture_sits_on_either_level(rng, gating):
    flat, X, y = case(rng, gating, (3,), 2, scale(300))
    spread = hs.MixingMeasure(
        gating=gating[1] + "S", k2=(1, 1, 1), a=flat.omega, b=flat.beta, omega=flat.eta, beta=flat.tau,
        eta=flat.eta, tau=flat.tau, nu=flat.nu,
    )  # fmt: skip
    want = hs.log_density(flat, X, y)
    np.testing.assert_allclose(hs.log_density(spread, X, y), want, rtol=1e-12, atol=1e-12)
    other = flat.replace(gating=("L" if gating[0] == "S" else "S") + gating[1])  # one group: its gate is constant
    np.testing.assert_array_equal(hs.log_density(other, X, y), want)


def test_doubled_softmax_experts_do_not_change_the_density(rng):
    """Experts of a softmax group, each split into slopes omega and omega + s with one s (derived): p_G is the same."""
    G, X, y = case(rng, "SS", (2,), 1, scale(300))
    twice = {name: np.repeat(getattr(G, name), 2, axis=0) for name in ("omega", "beta", "eta", "tau", "nu")}
    twice["omega"] = twice["omega"] + np.array([0.0, 1.7, 0.0, 1.7])[:, None]
    H = G.replace(k2=(4,), **twice)
    np.testing.assert_allclose(hs.log_density(H, X, y), hs.log_density(G, X, y), rtol=1e-12, atol=1e-12)


# -- inputs -----------------------------------------------------------------------------------------------------------
def test_one_covariate_may_be_a_vector_and_any_array_like_will_do(rng):
    G, X, y = case(rng, "SL", (1, 3, 2), 1, 12)
    want = hs.score(G, X, y)
    for other in (X[:, 0], X[:, 0].tolist(), np.asfortranarray(X)):
        np.testing.assert_array_equal(hs.score(G, other, y.tolist()), want)
        np.testing.assert_array_equal(hs.gate_weights(G, other), hs.gate_weights(G, X))
    G, X, y = case(rng, "LS", (1, 3, 2), 3, 12)
    want, kept = hs.information(G, X, y), (X.copy(), y.copy())
    wide = np.repeat(X, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(hs.information(G, wide, np.repeat(y, 2)[::2]), want)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])


WITH_Y = (hs.log_density, hs.log_likelihood, hs.responsibilities, hs.score, hs.information)
WITHOUT_Y = (lambda G, X, y: hs.gate_weights(G, X), lambda G, X, y: hs.predict(G, X))
BAD_X = {
    "nan": np.array([[0.0, 1.0], [np.nan, 0.0]]),
    "inf": np.array([[0.0, np.inf], [1.0, 0.0]]),
    "wrong d": np.zeros((2, 3)),
    "a vector where d = 2": np.zeros(2),
    "three axes": np.zeros((2, 2, 1)),
    "no rows": np.zeros((0, 2)),
    "a scalar": 1.0,
    "words": [["a", "b"], ["c", "d"]],
    "ragged": [[1.0, 2.0], [3.0]],
    "none": None,
}
BAD_Y = {
    "nan": np.array([0.0, np.nan]),
    "inf": np.array([-np.inf, 0.0]),
    "too long": np.zeros(3),
    "too short": np.zeros(1),
    "two columns": np.zeros((2, 2)),
    "a scalar": 0.0,
    "words": ["a", "b"],
    "none": None,
}


@pytest.mark.parametrize("f", WITH_Y + WITHOUT_Y)
@pytest.mark.parametrize("bad", BAD_X.values(), ids=BAD_X.keys())
def test_a_bad_X_is_named(rng, f, bad):
    G = naive.random_measure(rng, "SL", (1, 2), 2)
    with pytest.raises(ValueError, match=r"^X must .*; got "):
        f(G, bad, np.zeros(2))


@pytest.mark.parametrize("f", WITH_Y)
@pytest.mark.parametrize("bad", BAD_Y.values(), ids=BAD_Y.keys())
def test_a_bad_y_is_named(rng, f, bad):
    G = naive.random_measure(rng, "SL", (1, 2), 2)
    with pytest.raises(ValueError, match=r"^y must .*; got "):
        f(G, np.zeros((2, 2)), bad)


@pytest.mark.parametrize("f", WITH_Y + WITHOUT_Y)
@pytest.mark.parametrize("bad", [None, {"gating": "SS"}, np.zeros(3)], ids=["none", "dict", "array"])
def test_a_bad_G_is_named(f, bad):
    with pytest.raises(ValueError, match=r"^G must be a MixingMeasure; got "):
        f(bad, np.zeros((2, 2)), np.zeros(2))


# -- how it runs ------------------------------------------------------------------------------------------------------
def test_threads_see_the_same_numbers(rng):
    """Kernels release the interpreter lock and hold no shared workspace."""
    cases = [case(rng, gating, (1, 3, 2), 2, scale(600)) for gating in GATINGS * 4]
    with ThreadPoolExecutor(4) as pool:
        for got, one in zip(pool.map(lambda one: hs.score(*one), cases), cases, strict=True):
            np.testing.assert_array_equal(got, hs.score(*one))


@pytest.mark.skipif(PURE_PYTHON, reason="the compiler is off already")
def test_kernels_are_right_as_plain_python_too():
    """The agreement tests again in a process without the compiler, so that both ways of running stay correct."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__]
    chosen = "agree_with_the_oracle and (k1-3-2-d2 or 0.1) or m_step"
    env = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    root = Path(__file__).resolve().parents[1]
    run = subprocess.run([*command, "-k", chosen], env=env, cwd=root, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr


def test_fresh_and_cached_kernels_agree_to_the_last_bit(tmp_path):
    """A study's table must not show which of its processes compiled the kernels and which found them on disk."""
    script = (
        "import hmoe_stats as hs\n"
        "for gating in ('SS', 'LL'):\n"
        "    G = hs.datasets.truth('C2', gating)\n"
        "    X, y = hs.sample(G, 300, x=hs.Uniform(-3, 3), seed=1)\n"
        "    fit = hs.fit_mle(X, y, gating, (2, 3), start=G, n_starts=2)\n"
        "    print(fit.measure.to_vector().tobytes().hex(), hs.log_density(fit.measure, X, y).tobytes().hex())\n"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    run = lambda: subprocess.run(  # noqa: E731
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    fresh, cached = run(), run()
    assert fresh.stdout == cached.stdout
    assert list(tmp_path.rglob("*.nbi"))


@pytest.mark.parametrize("gating", ["SS", "LL"])
def test_kernels_do_not_depend_on_where_their_arrays_lie(gating, rng):
    """Equal input gives equal bits wherever it is in memory: sums must not depend on checks made at run time."""
    G = hs.datasets.truth("C2", gating)
    X, y = hs.sample(G, 250, x=hs.Uniform(-3, 3), seed=1)
    G, kind, c = G.kernel_args(), G.kernel_args()[1], G.laplace_scale
    r = kernels.responsibilities(X, y, G, 0.0)[1]
    slopes, numbers = [rng.normal(size=(5, 1)) for _ in range(2)], [rng.normal(size=5) for _ in range(2)]
    experts = slopes[0], numbers[0], slopes[1], numbers[1], rng.uniform(0.1, 1.0, 5)
    base = kernels.insertion_base(X, y, G, 0.01, 1)
    calls = {
        kernels.log_likelihood: (X, y, G, 0.01),
        kernels.log_density: (X, y, G, 0.01),
        kernels.responsibilities: (X, y, G, 0.01),
        kernels.score: (X, y, G, 0.01),
        kernels.information: (X, y, G, 0.01),
        kernels.gate_weights: (X, G),
        kernels.expert_sums: (X, y, r),
        kernels.residual_sums: (X, y, r, G[7], G[8]),
        kernels.gate_information: (X, r[:2], kind, G[5][:2].copy(), G[6][:2].copy(), c, 0.01),
        kernels.insertion_base: (X, y, G, 0.01, 1),
        kernels.insertion_gains: (X, y, kind, c, base, experts, (np.full(5, -4.0), np.full(5, 1.0)), 0.01),
        kernels.insertion_changes: (X, y, kind, c, base, experts, 0.01),
        kernels.insertion_information: (X, y, kind, c, base, tuple(v[0] for v in experts), 0.01),
    }
    for kernel, arguments in calls.items():
        seen, rubbish = set(), []
        for _ in range(scale(60, 2)):
            rubbish = [*rubbish[-20:], np.full(rng.integers(1, 3000), rng.normal())]
            result = kernel(*moved(arguments))
            parts = result if isinstance(result, tuple) else (result,)
            seen.add(b"".join(np.asarray(part).tobytes() for part in parts))
        assert len(seen) == 1, kernel.__name__


class Inserted:
    """Experts that may be added to group i of a random G, and what they do to log p by the naive oracle."""

    def __init__(self, gating, k2, i, d, rng):
        self.G, self.k2, self.i = naive.random_measure(rng, gating, k2, d), k2, i
        if "L" in gating and d > 1:
            self.G = self.G.replace(laplace_scale=rng.uniform(0.3, 2.0, d))
        self.X, self.y = naive.random_data(rng, self.G, scale(270, 20))  # more than one block
        slopes, numbers = rng.normal(size=(2, 3, d)), rng.normal(size=(2, 3))
        gate = GATES[gating[1]]
        slopes[0] *= 3.0 / np.abs(gate.features(self.X)).max()  # weights of e^20 are no small ones
        self.experts = slopes[0], numbers[0], slopes[1], numbers[1], rng.uniform(0.3, 1.0, 3)
        self.kind, self.c = gate.code, self.G.laplace_scale
        self.base = kernels.insertion_base(self.X, self.y, self.G.kernel_args(), 0.0, i)

    def change(self, omega, beta, eta, tau, nu):
        """Change of log p of each row."""
        values = {"omega": omega, "beta": beta, "eta": eta, "tau": tau, "nu": nu}
        after, k2 = sum(self.k2[: self.i + 1]), [m + (g == self.i) for g, m in enumerate(self.k2)]
        grown = {name: np.insert(getattr(self.G, name), after, value, axis=0) for name, value in values.items()}
        new, old = (naive.log_density(H, self.X, self.y) for H in (self.G.replace(k2=k2, **grown), self.G))
        return new - old


INSERTED = [((2, 1), 0, 1), ((2, 1), 1, 2), ((3,), 0, 2)]


@pytest.mark.parametrize("gating", ["SS", "SL", "LS", "LL", "QQ"])
@pytest.mark.parametrize(("k2", "i", "d"), INSERTED)
def test_insertion_gains_against_models_with_the_expert_in_them(gating, k2, i, d, rng):
    """The gain is that of a model that has the expert, at a weight in the box that hardly any other weight betters."""
    case = Inserted(gating, k2, i, d, rng)
    data = case.X, case.y, case.kind, case.c, case.base
    for low, high in ((-6.0, 3.0), (-1.0, -0.5), (0.5, 0.5)):
        limits = np.full(3, low), np.full(3, high)
        chosen, gains = kernels.insertion_gains(*data, case.experts, limits, 0.0)
        assert ((low <= chosen) & (chosen <= high)).all()
        for c, (omega, beta, *line) in enumerate(zip(*case.experts, strict=True)):
            np.testing.assert_allclose(
                gains[c], case.change(omega, beta + chosen[c], *line).sum(), rtol=1e-9, atol=1e-9
            )
            best = max(case.change(omega, beta + t, *line).sum() for t in np.linspace(low, high, 10))
            assert gains[c] > best - 0.1 * max(1.0, abs(best))


@pytest.mark.parametrize("gating", ["SS", "SL", "LS", "LL", "QQ"])
@pytest.mark.parametrize(("k2", "i", "d"), INSERTED)
def test_insertion_changes_are_derivatives_in_the_weight(gating, k2, i, d, rng):
    case = Inserted(gating, k2, i, d, rng)
    changes = kernels.insertion_changes(case.X, case.y, case.kind, case.c, case.base, case.experts, 0.0)
    for c, (omega, beta, *line) in enumerate(zip(*case.experts, strict=True)):
        expected = case.change(omega, beta + np.log(1e-9), *line) / 1e-9
        np.testing.assert_allclose(changes[c], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("gating", ["SS", "SL", "LS", "LL", "QQ"])
@pytest.mark.parametrize(("k2", "i", "d"), INSERTED)
def test_insertion_information_against_differences(gating, k2, i, d, rng):
    case = Inserted(gating, k2, i, d, rng)
    ends = np.cumsum([d, 1, d, 1])

    def at(v):
        omega, (beta,), eta, (tau,), (log_nu,) = np.split(v, ends)
        return omega, beta, eta, tau, np.exp(log_nu)

    def kernel(v):
        return kernels.insertion_information(case.X, case.y, case.kind, case.c, case.base, at(v), 0.0)

    for omega, beta, eta, tau, nu in zip(*case.experts, strict=True):
        v = np.concatenate([omega, [beta], eta, [tau, np.log(nu)]])
        value, gradient, information = kernel(v)
        np.testing.assert_allclose(value, case.change(*at(v)).sum(), rtol=1e-9, atol=1e-9)
        steps = 1e-5 * np.eye(v.size)
        slopes = [(case.change(*at(v + h)).sum() - case.change(*at(v - h)).sum()) / 2e-5 for h in steps]
        np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-5)
        bends = [(kernel(v - h)[1] - kernel(v + h)[1]) / 2e-5 for h in steps]
        np.testing.assert_allclose(information, bends, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(information, information.T)
