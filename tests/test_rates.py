"""Slopes on log-log scales: known power laws, agreement with a plain polynomial fit, coverage, counting of failures."""

import numpy as np
import pytest
from scipy import stats

from hmoe_stats.rates import compare_rates, fit_rate
from hmoe_stats.resampling import Resamples

SIZES = np.array([1000, 3000, 10_000, 30_000])


def power_law(rng, alpha=0.25, sizes=SIZES, replicates=24, sigma=1.0, scale=2.0):
    """(n, errors), each (N,): lognormal errors whose every statistic falls like n^(-alpha)."""
    n = np.repeat(sizes, replicates)
    return n, scale * n**-alpha * rng.lognormal(0, sigma, n.size)


@pytest.mark.parametrize("statistic", ["mean", "median", "q90", "q25"])
@pytest.mark.parametrize("alpha", [0.0, 1 / 8, 0.5])
def test_exact_power_law(statistic, alpha):
    n = np.repeat(SIZES, 6)
    fit = fit_rate(n, 3.0 * n**-alpha, statistic)
    assert fit.slope == pytest.approx(-alpha, abs=1e-12)
    assert np.exp(fit.intercept) == pytest.approx(3.0)
    assert fit.ci_low == pytest.approx(-alpha, abs=1e-9) == fit.ci_high
    np.testing.assert_allclose(fit.predict([50, 2e6]), 3.0 * np.array([50, 2e6]) ** -alpha)


@pytest.mark.parametrize(
    ("statistic", "of"),
    [
        ("mean", np.mean),
        ("median", np.median),
        ("q90", lambda v: np.quantile(v, 0.9)),
        ("q05", lambda v: np.quantile(v, 0.05)),
    ],
)
def test_least_squares_on_the_log_statistic(statistic, of):
    n, errors = power_law(np.random.default_rng(1), replicates=11)
    shuffle = np.random.default_rng(2).permutation(n.size)
    fit = fit_rate(n[shuffle], errors[shuffle], statistic)
    values = [of(errors[n == size]) for size in SIZES]
    slope, intercept = np.polyfit(np.log(SIZES), np.log(values), 1)
    assert (fit.slope, fit.intercept) == (pytest.approx(slope), pytest.approx(intercept))
    np.testing.assert_allclose(fit.values, values)
    np.testing.assert_array_equal(fit.n, SIZES)
    np.testing.assert_array_equal(fit.n_replicates, [11] * 4)
    assert fit.ci_low < fit.slope < fit.ci_high


def test_a_table_of_replicates_is_its_rows():
    n, errors = power_law(np.random.default_rng(3))
    long, wide = fit_rate(n, errors), fit_rate(SIZES, errors.reshape(4, 24))
    assert (long.slope, long.ci_low, long.ci_high) == (wide.slope, wide.ci_low, wide.ci_high)


def test_scale_moves_the_intercept_only():
    n, errors = power_law(np.random.default_rng(4))
    one, other = fit_rate(n, errors), fit_rate(n, 1e-3 * errors)
    np.testing.assert_allclose([other.slope, other.ci_low, other.ci_high], [one.slope, one.ci_low, one.ci_high])
    assert other.intercept == pytest.approx(one.intercept + np.log(1e-3))


def test_failed_errors_are_left_out_and_counted():
    n, errors = power_law(np.random.default_rng(5))
    spoilt = errors.astype(object)
    spoilt[[0, 30, 95]] = np.nan, None, np.inf
    fit, clean = fit_rate(n, spoilt), fit_rate(np.delete(n, [0, 30, 95]), np.delete(errors, [0, 30, 95]))
    assert fit.n_failed == 3
    assert clean.n_failed == 0
    np.testing.assert_array_equal(fit.n_replicates, [23, 23, 24, 23])
    assert (fit.slope, fit.ci_low, fit.ci_high) == (clean.slope, clean.ci_low, clean.ci_high)


def test_n_min_gives_the_local_slope():
    n = np.repeat([100, 1000, 10_000, 100_000], 5)
    errors = np.where(n < 5000, n**-0.1, 10_000**0.4 * n**-0.5)
    assert fit_rate(n, errors, n_min=5000).slope == pytest.approx(-0.5)
    assert fit_rate(n, errors).slope > -0.45


def test_the_seed_is_the_only_randomness():
    n, errors = power_law(np.random.default_rng(6))
    one, same, other = (fit_rate(n, errors, seed=seed) for seed in (0, 0, 1))
    assert one.ci_low == same.ci_low
    assert one.ci_low != other.ci_low
    assert one.ci_low == pytest.approx(other.ci_low, abs=0.02)


@pytest.mark.parametrize("statistic", ["mean", "median", "q90"])
@pytest.mark.parametrize("replicates", [24, 60])
def test_coverage_under_heavy_tails(statistic, replicates):
    # 300 draws: a coverage of 0.95 has standard error 0.013; intervals 20 % too narrow cover 0.88
    hits = 0
    for seed in range(300):
        n, errors = power_law(np.random.default_rng([seed, replicates]), replicates=replicates)
        fit = fit_rate(n, errors, statistic, n_boot=200, seed=seed)
        hits += fit.ci_low <= -0.25 <= fit.ci_high
    assert 0.92 <= hits / 300 <= 0.985


def test_level_and_replicates_set_the_width():
    n, errors = power_law(np.random.default_rng(8), replicates=400)
    width = lambda fit: fit.ci_high - fit.ci_low  # noqa: E731
    wide, narrow = (width(fit_rate(n, errors, level=level)) for level in (0.99, 0.5))
    assert wide > 3 * narrow
    few = width(fit_rate(n.reshape(4, 400)[:, :25].ravel(), errors.reshape(4, 400)[:, :25].ravel()))
    assert 2 < few / width(fit_rate(n, errors)) < 8
    # the standard error of a mean of lognormals: sqrt(e - 1) / sqrt(R), carried through the least-squares weights
    centred = np.log(SIZES) - np.log(SIZES).mean()
    expected = np.sqrt((np.e - 1) / 400 / np.sum(centred**2))
    assert fit_rate(n, errors).standard_error == pytest.approx(expected, rel=0.15)


def test_means_of_few_replicates_have_welch_intervals():
    """Two sizes, three replicates: the t interval of a difference of two log means, by hand."""
    small, large = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.6, 0.9])
    fit = fit_rate([100, 1000], [small, large])
    v = np.array([sample.var(ddof=1) / 3 / sample.mean() ** 2 for sample in (small, large)])
    t = stats.t.ppf(0.975, v.sum() ** 2 / (v**2 / 2).sum())
    assert fit.ci_high - fit.slope == pytest.approx(t * np.sqrt(v.sum()) / np.log(10))


@pytest.mark.parametrize("replicates", [2, 3, 5])
def test_few_replicates_still_give_a_finite_interval(replicates):
    n, errors = power_law(np.random.default_rng(9), replicates=replicates)
    for statistic in ("mean", "median"):
        fit = fit_rate(n, errors, statistic)
        assert 0 < fit.ci_high - fit.slope < 20


def pairs(rng, shared=0.8, sigma=0.6, replicates=20):
    """(n, first, second): errors of slopes -1/4 and -0.4 whose noise is shared in part."""
    n = np.repeat(SIZES, replicates)
    common, *own = rng.standard_normal((3, n.size))
    logs = [sigma * (shared * common + np.sqrt(1 - shared**2) * noise) for noise in own]
    return n, n**-0.25 * np.exp(logs[0]), n**-0.4 * np.exp(logs[1])


@pytest.mark.parametrize("statistic", ["mean", "median", "q90"])
def test_a_difference_is_that_of_the_two_slopes(statistic):
    n, first, second = pairs(np.random.default_rng(11))
    found = compare_rates(n, first, second, statistic)
    assert found.difference == pytest.approx(fit_rate(n, first, statistic).slope - fit_rate(n, second, statistic).slope)
    other = compare_rates(n, second, first, statistic)
    assert (other.ci_low, other.ci_high) == pytest.approx((-found.ci_high, -found.ci_low))
    ends = f"[{-found.ci_high:.2f}, {-found.ci_low:.2f}]"
    assert str(found) == f"difference of alphas = {-found.difference:.2f} {ends}"


def test_what_the_pairs_share_drops_out():
    width = lambda found: found.ci_high - found.ci_low  # noqa: E731
    apart, close = (width(compare_rates(*pairs(np.random.default_rng(12), shared))) for shared in (0.0, 0.99))
    assert close < 0.25 * apart
    n, first, second = pairs(np.random.default_rng(12), 0.99)
    assert width(fit_rate(n, first)) > 3 * close
    shuffled = compare_rates(n, first, second.reshape(4, 20)[:, ::-1].ravel())  # pairs broken up
    assert width(shuffled) > 3 * close


def test_a_pair_fails_with_either_of_its_errors():
    n, first, second = pairs(np.random.default_rng(13))
    first[0], second[25] = np.nan, np.inf
    found = compare_rates(n, first, second)
    assert found.n_failed == 2
    np.testing.assert_array_equal(found.n_pairs, [19, 19, 20, 20])
    kept = np.delete(np.arange(80), [0, 25])
    assert found.difference == compare_rates(n[kept], first[kept], second[kept]).difference


@pytest.mark.parametrize("statistic", ["mean", "median", "q90"])
def test_coverage_of_differences(statistic):
    hits = 0
    for seed in range(300):
        found = compare_rates(*pairs(np.random.default_rng([seed, 20])), statistic, n_boot=200, seed=seed)
        hits += found.ci_low <= 0.15 <= found.ci_high
    assert 0.92 <= hits / 300 <= 0.99


def test_pairs_of_unequal_length_are_named():
    with pytest.raises(ValueError, match=r"first and second must have the same shape; got \(2, 3\) and \(2, 4\)"):
        compare_rates([100, 1000], np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="second must not be negative"):
        compare_rates([100, 1000], np.ones((2, 3)), -np.ones((2, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": [100] * 8}, "n must hold at least 2 distinct sizes; got 1"),
        ({"n_min": 500}, "at least 2 distinct sizes from n_min on; got 1"),
        ({"n": [100] * 7 + [1000]}, "at least 2 usable entries at each n; got 1 at n = 1000"),
        ({"errors": [1.0] * 6 + [1.0, None]}, "got 1 at n = 1000"),
        ({"errors": [1.0] * 7}, "errors must have shape"),
        ({"errors": [1.0] * 7 + [-0.5]}, "errors must not be negative; got a smallest entry of -0.5"),
        ({"errors": [1.0] * 6 + [0.0, 0.0]}, "errors have a mean of 0 at n = 1000"),
        ({"errors": [1.0] * 6 + [0.0, 1.0]}, "errors at n = 1000 are 0 too often"),
        ({"errors": ["x"] * 8}, "errors must be an array of numbers, NaN or None where a fit failed; got text"),
        ({"n": [0] * 6 + [1000] * 2}, "positive, finite sample sizes"),
        ({"statistic": "mode"}, "statistic must be"),
        ({"statistic": "q00"}, "statistic must be"),
        ({"n_boot": 10}, "n_boot must be an integer of at least 100; got 10"),
        ({"level": 95}, "level must be a float between 0 and 1; got 95"),
        ({"seed": -1}, "seed must be a non-negative integer; got -1"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"n": [100] * 6 + [1000] * 2, "errors": [1.0, 2.0] * 4}
    with pytest.raises(ValueError, match=message):
        fit_rate(**(good | change))


# -- many errors ------------------------------------------------------------------------------------------------------
def many(rng, replicates):
    n, first = power_law(rng, sizes=np.array([100, 300, 1000, 3000, 10_000]), replicates=replicates)
    return n, first, first * rng.lognormal(0, 0.5, n.size)


@pytest.mark.parametrize("statistic", ["mean", "median", "q90", "q05"])
def test_lines_of_many_errors_have_the_intervals_of_single_resamples(statistic):
    n, first, second = many(np.random.default_rng(31), 401)  # 2005 errors: just many
    few = np.tile(np.arange(401) > 0, 5)  # 2000
    for fit, args in ((fit_rate, (first,)), (compare_rates, (first, second))):
        one, other = fit(n, *args, statistic), fit(n[few], *(errors[few] for errors in args), statistic)
        # two bootstraps of 2000 draws differ by a few percent
        assert one.ci_high - one.ci_low == pytest.approx(other.ci_high - other.ci_low, rel=0.12)


def test_shared_resamples_are_resamples():
    rng = np.random.default_rng(32)
    sample, signs = rng.lognormal(size=(40, 2)), np.array([1.0, -1.0])
    drawn = Resamples(40, 500, rng)
    assert (drawn.counts.sum(axis=1) == 40).all()
    assert drawn.counts.mean(axis=0).std() < 3 * np.sqrt(1 / 500)
    rows = [np.repeat(np.arange(40), counts) for counts in drawn.counts]
    means, variances = drawn.means(sample, signs)
    np.testing.assert_allclose(means, [sample[these].mean(axis=0) for these in rows], rtol=1e-13)
    relative = [sample[these] / sample[these].mean(axis=0) @ signs for these in rows]
    np.testing.assert_allclose(variances, [r.var(ddof=1) / 40 for r in relative], rtol=1e-12)
    ordered = sample[np.argsort(sample[:, 0])]
    for q in (0.5, 0.9, 0.13):
        expected = [np.quantile(ordered[these], q, axis=0) for these in rows]
        np.testing.assert_allclose(drawn.quantiles(sample, q), expected, rtol=1e-14)


def test_what_is_shared_depends_on_nothing_that_came_before():
    n, first, second = many(np.random.default_rng(33), 450)
    alone = fit_rate(n, first).ci_low
    fit_rate(n, second, n_min=1000)  # the upper sizes of the same draws
    fit_rate(n[10:], second[10:])  # other numbers of replicates
    fit_rate(n, second, seed=1)
    assert fit_rate(n, first).ci_low == alone
    assert fit_rate(n, first, seed=1).ci_low != alone
    upper = n >= 1000
    one = fit_rate(n, first, n_min=300, statistic="median")
    assert one.ci_low == fit_rate(n[n >= 300], first[n >= 300], "median").ci_low
    assert fit_rate(n[upper], first[upper]).n_replicates.sum() < 2000  # few: as ever


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_many_exact_errors_have_no_interval(statistic):
    n = np.repeat(SIZES, 600)
    fit = fit_rate(n, 3.0 * n**-0.25, statistic)
    assert fit.ci_low == pytest.approx(-0.25, abs=1e-9) == fit.ci_high
    assert compare_rates(n, n**-0.5, n**-0.25, statistic).ci_low == pytest.approx(-0.25, abs=1e-9)
