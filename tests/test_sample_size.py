"""Rows for an error: closed forms of power laws, refusals outside the curve, coverage, what pairs share."""

import numpy as np
import pandas as pd
import pytest

from hmoe_stats import fit_rate, sample_size, sample_size_ratio

SIZES = np.array([1000, 3000, 10_000, 30_000])
N = np.repeat(SIZES, 5)


def power_law(n, alpha=0.25, scale=3.0):
    return scale * n**-alpha


def noisy(rng, alpha=0.4, replicates=30, sigma=0.5, shared=0.8):
    """(n, first, second): lognormal errors of slopes -alpha and -1.2 alpha, whose noise is shared in part."""
    n = np.repeat(SIZES, replicates)
    common, *own = rng.standard_normal((3, n.size))
    noise = [np.exp(sigma * (shared * common + np.sqrt(1 - shared**2) * one)) for one in own]
    return n, n**-alpha * noise[0], 6000 ** (0.2 * alpha) * 0.8 * n ** (-1.2 * alpha) * noise[1]


@pytest.mark.parametrize("statistic", ["mean", "median", "q90"])
@pytest.mark.parametrize("alpha", [1 / 12, 0.25, 0.5])
@pytest.mark.parametrize("n", [1000, 1700, 3000, 25_000, 30_000, 2e6])
def test_rows_of_an_exact_power_law(statistic, alpha, n):
    found = sample_size((N, power_law(N, alpha)), power_law(n, alpha), statistic, extrapolate=n > 3e4)
    assert found.n == pytest.approx(n, rel=1e-6)
    assert found.status == ("interpolated" if n <= 3e4 else "extrapolated")
    ends = 0.0 if n == 1000 else found.n, np.inf if n == 30_000 else found.n  # at an edge nothing bounds it
    assert (found.ci_low, found.ci_high) == pytest.approx(ends)
    assert ("extrapolated" in str(found)) == (n > 3e4)


def test_a_curve_that_bends_is_read_where_it_is_and_goes_on_as_it_ends():
    sizes = np.array([1e2, 1e3, 1e4, 1e5, 1e6, 1e7])
    n = np.repeat(sizes, 3)
    errors = np.where(n < 5000, n**-0.1, 1e4**0.4 * n**-0.5)  # the same at 1e4
    assert sample_size((n, errors), 200**-0.1).n == pytest.approx(200)
    assert sample_size((n, errors), 1e4**0.4 * 5e5**-0.5).n == pytest.approx(5e5)
    assert sample_size((n, errors), 1e4**0.4 * 1e9**-0.5, extrapolate=True).n == pytest.approx(1e9)


def test_a_curve_that_rises_by_noise_is_pooled():
    """1, .5, .6, .2: the two in the middle are sqrt(.3) both; .4 lies between the second of them and the last."""
    found = sample_size((SIZES.repeat(2), np.repeat([1.0, 0.5, 0.6, 0.2], 2)), 0.4)
    share = (np.log(0.3) / 2 - np.log(0.4)) / (np.log(0.3) / 2 - np.log(0.2))
    assert found.n == pytest.approx(10_000 * 3**share)


@pytest.mark.parametrize("error", [1e-3, 0.6])
def test_outside_the_curve_it_is_refused(error):
    curve, ends = (N, power_law(N)), power_law(SIZES[[0, -1]])
    words = f"error must be at least {ends[1]:.4g}, the mean at n = 30000" if error < 0.1 else f"at most {ends[0]:.4g}"
    with pytest.raises(ValueError, match=f"{words}.*; got {error}"):
        sample_size(curve, error)
    flat = (N, np.where(N > 1000, 0.1, 0.3) * (1 + 1e-4 * (N > 3000)))
    with pytest.raises(ValueError, match="do not fall"):
        sample_size(flat, 0.01, extrapolate=True)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_coverage(statistic):
    """Of a size within, of one beyond, and of the ratio .8^(-1 / (1.2 alpha)); 95 % of 120 has standard error .02."""
    hits, alpha = np.zeros(3), 0.4
    scale = np.exp(0.125) if statistic == "mean" else 1.0
    for seed in range(120):
        n, first, second = noisy(np.random.default_rng(seed), alpha)
        options = {"statistic": statistic, "extrapolate": True, "n_boot": 200, "seed": seed}
        within = sample_size((n, first), scale * 6000**-alpha, **options)
        beyond = sample_size((n, first), scale * 1e5**-alpha, **options)
        ratio = sample_size_ratio((n, first), (n, second), scale * 6000**-alpha, **options)
        truths = (6000, 1e5, 0.8 ** (-1 / (1.2 * alpha)))
        found = zip((within, beyond, ratio), truths, strict=True)
        hits += [one.ci_low <= truth <= one.ci_high for one, truth in found]
    assert (hits / 120 >= 0.90).all()
    assert (hits / 120 <= 0.995).all()


def test_what_pairs_share_drops_out_of_a_ratio():
    widths = []
    for shared in (0.0, 0.99):
        n, first, second = noisy(np.random.default_rng(3), shared=shared)
        second /= 0.8  # a ratio of 1: elsewhere the two are read off other sizes, which share less
        found = sample_size_ratio((n, first), (n, second), 6000**-0.4)
        widths.append(np.log(found.ci_high / found.ci_low))
        assert found.ratio == pytest.approx(found.first / found.second)
        assert found.ci_low < found.ratio < found.ci_high
        assert found.first == sample_size((n, first), 6000**-0.4).n
    assert widths[1] < 0.4 * widths[0]
    n, first, second = noisy(np.random.default_rng(3), shared=0.99)
    one, other = (
        sample_size_ratio(*pair, 6000**-0.4) for pair in (((n, first), (n, second)), ((n, second), (n, first)))
    )
    assert other.ratio == pytest.approx(1 / one.ratio)
    assert (other.ci_low, other.ci_high) == pytest.approx((1 / one.ci_high, 1 / one.ci_low))


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_a_ratio_knows_which_errors_are_paired_and_with_which_sign(statistic):
    """Of the same errors, pairs in equal order share most, shuffled ones nothing, and opposite ones move apart."""
    n, first, second = (column.reshape(SIZES.size, -1) for column in noisy(np.random.default_rng(3), shared=0.0))
    first, second = np.sort(first), np.sort(second / 0.8)  # a ratio of 1
    widths, shuffle = [], np.random.default_rng(4).permutation(30)
    for other in (second, second[:, shuffle], second[:, ::-1]):
        found = sample_size_ratio((n.ravel(), first.ravel()), (n.ravel(), other.ravel()), 6000**-0.4, statistic)
        widths.append(np.log(found.ci_high / found.ci_low))
    assert widths[0] < 0.7 * widths[1]
    assert widths[2] > 1.1 * widths[1]


def test_replicates_narrow_an_interval_and_few_leave_it_open():
    def width(replicates):
        n, first, _ = noisy(np.random.default_rng(5), replicates=replicates)
        found = sample_size((n, first), 6000**-0.4)
        return np.log(found.ci_high) - np.log(found.ci_low) if found.ci_low else np.inf

    assert 2.5 < width(40) / width(640) < 7
    assert np.isinf(width(3))


def test_tables_are_matched_by_n_and_replicate():
    n, first, second = noisy(np.random.default_rng(7))
    table = pd.DataFrame({"n": n, "replicate": np.tile(np.arange(30), 4), "error": first})
    other = table.assign(error=second).sample(frac=1.0, random_state=1)
    want = sample_size_ratio((n, first), (n, second), 6000**-0.4)
    assert sample_size_ratio(table, other, 6000**-0.4) == want
    assert sample_size(table, 6000**-0.4) == sample_size((n, first), 6000**-0.4)
    assert sample_size_ratio(table, other.iloc[:-30], 6000**-0.4) != want
    first[0] = np.nan  # a fit that failed
    assert np.isfinite(sample_size_ratio((n, first), (n, second), 6000**-0.4).ratio)


def test_on_a_straight_line_it_is_what_the_line_says():
    n, first, _ = noisy(np.random.default_rng(9), sigma=0.01)
    fit = fit_rate(n, first)
    assert sample_size((n, first), fit.predict(5000.0)).n == pytest.approx(5000, rel=0.02)


def test_what_is_no_curve_is_named():
    n, first, second = noisy(np.random.default_rng(2))
    table = pd.DataFrame({"n": n, "error": first})
    for call, words in (
        (lambda: sample_size(first, 0.1), "curve must be a DataFrame with the columns n and error, or a pair"),
        (lambda: sample_size(table[["n"]], 0.1), "curve must be a DataFrame"),
        (lambda: sample_size(table, 0.0), "error must be a positive number; got 0"),
        (lambda: sample_size(table, 0.1, extrapolate=1), "extrapolate must be True or False; got 1"),
        (lambda: sample_size_ratio(table, table, 0.1), "first must be a DataFrame with the columns n, error and rep"),
        (lambda: sample_size_ratio((n, first), (n[::-1], second), 0.1), "second must have the n of first"),
        (lambda: sample_size_ratio(table.assign(replicate=0), table.assign(replicate=0), 0.1), "one error for each n"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
