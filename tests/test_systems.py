"""The polynomial systems behind r(m), against contour integrals, moments of mixtures and densities."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from hmoe_stats.theory.systems import KINDS, equations, gauss_hermite, groebner, infimum, r

NAMES = ("c", "tau", "nu", "eta", "omega")


def coefficients(order, c, tau, nu, eta, omega):
    """(q, l) -> coefficient of x^q D^l in the sum of the exponentials, by Cauchy's formula on two circles."""
    z = np.exp(2j * np.pi * np.arange(64) / 64)
    x, D = z[:, None], z[None, :]
    atoms = zip(c, tau, nu, eta, omega, strict=True)
    values = sum(w * np.exp(o * x + (e * x + t) * D + v * D**2 / 2) for w, t, v, e, o in atoms)
    table = np.fft.fft2(values).real / 64**2
    return {(q, n): table[q, n] for q in range(order + 1) for n in range(order + 1)}


def published(q, n, c, tau, nu, eta, omega):
    """S_{q,n} as the double sum of the papers; exact in fractions."""
    total = 0
    for w, t, v, e, o in zip(c, tau, nu, eta, omega, strict=True):
        for s in range(min(q, n) + 1):
            for k in range((n - s) // 2 + 1):
                below = math.prod(math.factorial(j) for j in (q - s, s, n - s - 2 * k, k)) * 2**k
                total += w * o ** (q - s) * e**s * t ** (n - s - 2 * k) * v**k / Fraction(below)
    return total


def random_atoms(seed, m, kind="regular"):
    rng = np.random.default_rng(seed)
    atoms = {"c": rng.uniform(0.1, 1, m)} | {name: rng.uniform(-1, 1, m) for name in NAMES[1:]}
    known = equations(m, 1, kind).unknowns
    return {name: value if name in known else np.zeros(m) for name, value in atoms.items()}


@pytest.mark.parametrize(("m", "order", "kind"), [(1, 3, "regular"), *((3, 6, kind) for kind in KINDS)])
def test_equations_are_taylor_coefficients(m, order, kind):
    system = equations(m, order, kind)
    for seed in range(3):
        atoms = random_atoms(seed, m, kind)
        expected = coefficients(order, **atoms)
        np.testing.assert_allclose(system.residuals(**atoms), [expected[i] for i in system.indices], atol=1e-13)
    if kind == "no interaction":
        np.testing.assert_array_equal(system.residuals(**(atoms | {"omega": np.ones(m)})), system.residuals(**atoms))
    degrees = list(itertools.product(range(order + 1), repeat=2))
    wanted = {(q, n) for q, n in degrees if 1 <= q + n <= order and n >= (kind == "unidentified")}
    wanted = {(q, n) for q, n in wanted if q == 0} if kind == "location-scale" else wanted
    assert set(system.indices) == wanted
    assert len(system.indices) == len(wanted)
    assert f"{len(wanted)} equations of order 1 to {order}" in repr(system)


@pytest.mark.parametrize("kind", KINDS)
def test_jacobian(kind):
    system, atoms = equations(3, 5, kind), random_atoms(4, 3, kind)
    found = system.jacobian(**atoms)
    assert found.shape == (len(system.indices), len(system.unknowns), 3)
    for k, name in enumerate(system.unknowns):
        for i in range(3):
            moved = {n: value.astype(complex) for n, value in atoms.items()}
            moved[name][i] += 1e-30j
            np.testing.assert_allclose(found[:, k, i], system.residuals(**moved).imag / 1e-30, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_expressions_are_the_same_equations(kind):
    system, atoms = equations(2, 4, kind), random_atoms(5, 2, kind)
    values = {f"{name}{i + 1}": float(atoms[name][i]) for name in system.unknowns for i in range(2)}
    found = [float(e.subs(values)) for e in system.expressions()]
    expected = coefficients(4, **atoms)
    np.testing.assert_allclose(found, [expected[i] for i in system.indices], atol=1e-13)


# -- from below --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
def test_gauss_hermite_mixtures_have_the_moments_of_a_normal_law(m):
    solution = gauss_hermite(m)
    assert solution.residual < 1e-15
    assert solution.c.sum() == pytest.approx(1)
    assert (solution.nu == -1).all()
    gaps = []
    for k in range(1, 2 * m + 1):
        moments = [norm.moment(k, loc=t, scale=np.sqrt(2.0 - 1.0)) for t in solution.tau]
        gaps.append((solution.c @ moments - norm.moment(k, scale=np.sqrt(2.0))) / math.factorial(k))
    assert np.abs(gaps[:-1]).max() < 1e-12
    assert abs(gaps[-1]) == pytest.approx(solution.next_residual, rel=1e-6)
    assert f"m = {m}: residual" in repr(solution)


@pytest.mark.parametrize("tilt", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("m", [2, 3, 4])
def test_gauss_hermite_densities_are_close_to_order_2m(m, tilt):
    """Scaled by t, the atoms leave h(x) N(y | 0, 1) plus something of the order t^(2m)."""
    s = gauss_hermite(m, tilt)
    assert s.residual < 1e-14 * max(1, abs(tilt)) ** (2 * m)
    x, y = np.linspace(-1, 1, 21)[:, None], np.linspace(-5, 5, 101)[None, :]
    gaps = []
    for t in (0.2, 0.1):
        density = factor = 0.0
        for c, tau, nu, eta, omega in zip(s.c, s.tau, s.nu, s.eta, s.omega, strict=True):
            gate = c * np.exp(t * omega * x)
            density = density + gate * norm.pdf(y, t**2 * eta * x + t * tau, np.sqrt(1 + t**2 * nu))
            factor = factor + gate
        gaps.append(np.abs(density - factor * norm.pdf(y)).max())
    assert np.log2(gaps[0] / gaps[1]) == pytest.approx(2 * m, abs=0.35)


def test_gauss_hermite_far_out():
    assert gauss_hermite(20).residual < 1e-12
    assert gauss_hermite(12, 0.5).residual < 1e-12
    # the tilted atoms are no solution where factors of the gates are seen: S_{2,0} > 0
    tilted = gauss_hermite(3, 0.5)
    atoms = {name: getattr(tilted, name) for name in NAMES}
    assert np.abs(equations(3, 5, "regular").residuals(**atoms)).max() > 0.1


# -- two atoms by algebra ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_groebner_decides_two_atoms(kind):
    four = groebner(2, 4, kind)
    assert four.trivial
    assert not four.family
    assert "c2**2 + c2 + 1" in four.elimination
    assert "no root c > 0" in repr(four)
    three = groebner(order=3, kind=kind)
    assert not three.trivial
    assert three.elimination == "0"
    for c in (Fraction(1, 5), Fraction(1), Fraction(7, 2)):
        values = {name: eval(value, {"c2": c}) for name, value in three.family.items()} | {"c2": c}
        atoms = [[values.get(f"{name}{i}", 0) for i in (1, 2)] for name in NAMES]
        assert {published(q, n, *atoms) for q, n in equations(2, 3, kind).indices} == {0}
        assert values["tau1"] == 1


def test_no_member_of_the_family_reaches_order_four():
    """Order 3 fixes tau2 and, linearly, both variances for each c; order 4 then never vanishes."""
    for k in range(-9, 10):
        c = Fraction(2) ** k
        tau = [1, -1 / c]
        difference = (tau[1] ** 2 - 1) / 3  # nu1 - nu2, from order 3
        nu = [(-1 - 1 / c + c * difference) / (1 + c), (-1 - 1 / c - difference) / (1 + c)]
        assert [published(0, n, [1, c], tau, nu, [0, 0], [0, 0]) for n in (1, 2, 3)] == [0, 0, 0]
        assert published(0, 4, [1, c], tau, nu, [0, 0], [0, 0]) < 0


# -- from above --------------------------------------------------------------------------------------------------------


def norm_of(m, order, atoms):
    """The norm of `infimum`, from the contour integrals and Hermite's norm sqrt(l!); location-scale."""
    spread = np.sqrt((atoms["c"] * atoms["tau"] ** 2).sum())
    left = coefficients(order, atoms["c"], atoms["tau"], atoms["nu"], np.zeros(m), np.zeros(m))
    return np.sqrt(sum(math.factorial(n) * (left[0, n] / spread**n) ** 2 for n in range(1, order + 1)))


@pytest.mark.parametrize("m", [2, 3, 4])
def test_infima_on_both_sides_of_r(m):
    low, high = (infimum(m, order, seed=1) for order in (2 * m - 1, 2 * m))
    assert low.status == "zero"
    assert low.value < 1e-12
    assert high.status == "positive"
    assert high.hits >= 8
    expected = {2: 0.3565, 3: 0.1005, 4: 0.0299}[m]  # by Nelder-Mead below, for m = 2
    assert high.value == pytest.approx(expected, rel=2e-3)
    for found in (low, high):
        assert norm_of(m, found.order, found.atoms) == pytest.approx(found.value, rel=1e-6, abs=1e-10)
        assert found.atoms["c"].sum() == pytest.approx(1)
        assert found.atoms["c"].min() >= 0.02 - 1e-12
        assert found.atoms["c"] @ found.atoms["tau"] ** 2 == pytest.approx(1)
    assert f"infimum {high.value:.2e} (positive; found by {high.hits} of 12 starts)" in repr(high)


def test_the_infimum_is_found_without_derivatives():
    def value(v):
        c = 0.02 + 0.96 / (1 + np.exp(-v[0]))
        return norm_of(2, 4, {"c": np.array([c, 1 - c]), "tau": v[1:3], "nu": v[3:5]})

    rng = np.random.default_rng(0)
    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 2000}
    fits = [minimize(value, rng.normal(size=5), method="Nelder-Mead", options=options) for _ in range(3)]
    assert min(fit.fun for fit in fits) == pytest.approx(infimum(2, 4).value, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_interaction_does_not_lower_the_order(kind):
    plain, full = infimum(2, 4), infimum(2, 4, kind, starts=3)
    assert full.value == pytest.approx(plain.value, rel=1e-3)
    assert infimum(2, 3, kind, starts=4).status == "zero"


def test_infima_are_keyed():
    one, same, other = (infimum(3, 6, seed=seed, starts=4) for seed in (3, np.random.SeedSequence(3), 4))
    np.testing.assert_array_equal(one.values, same.values)
    assert not np.array_equal(one.values, other.values)
    assert one.value == pytest.approx(other.value, rel=1e-6)


@pytest.mark.parametrize("m", [2, 3, 5, 6])
def test_r_is_confirmed_from_both_sides(m):
    found = r(m, starts=6)
    assert (found.value, found.status) == (2 * m, "confirmed")
    assert found.below.residual < 1e-15
    assert 1e-3 < found.above.value < 0.5
    assert repr(found).startswith(f"r({m}) = {2 * m} (theorem, derived; numerically: confirmed)")


def test_a_search_that_does_not_separate_says_so(monkeypatch):
    values = iter([(0.5, 0.2), (0.3, 1e-14)])
    for status, (first, second) in zip(("not reproduced", "zero"), values, strict=True):
        norms = iter([first, second])

        def fit(fun, v, *args, norms=norms, **kwargs):
            return type("Fit", (), {"fun": np.array([next(norms)]), "x": v})

        monkeypatch.setattr("scipy.optimize.least_squares", fit)
        found = r(2, starts=2)
        assert (found.above.status, found.status) == (status, "theorem only")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: equations(0, 3), "m must be an integer of at least 1; got 0"),
        (lambda: equations(2, 2.0), "order must be an integer of at least 1; got 2.0"),
        (lambda: equations(2, 3, "softmax"), "kind must be one of 'location-scale', .*; got 'softmax'"),
        (lambda: groebner(3, 6), "m must be an integer from 2 to 2; got 3"),
        (lambda: groebner(2, 5), "order must be an integer from 3 to 4; got 5"),
        (lambda: gauss_hermite(1), "m must be an integer from 2 to 40; got 1"),
        (lambda: gauss_hermite(2, np.inf), "tilt must be a finite number; got inf"),
        (lambda: gauss_hermite(2, "a"), "tilt must be a finite number; got 'a'"),
        (lambda: infimum(1, 2), "m must be an integer of at least 2; got 1"),
        (lambda: infimum(2, 4, starts=1), "starts must be an integer of at least 2; got 1"),
        (lambda: infimum(2, 4, floor=0.5), "floor must be a weight between 0 and 1/m = 0.5; got 0.5"),
        (lambda: infimum(2, 4, seed=-1), "seed must be a non-negative integer or a SeedSequence; got -1"),
        (lambda: r(9), "m must be an integer from 2 to 8; got 9"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
