"""Criteria, cross-validation, dendrograms and stability: each against what its definition says, reckoned anew."""

from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import hmoe_stats as hs
from hmoe_stats.fitting import fit_nested
from hmoe_stats.plotting import criterion_plot, dendrogram_plot
from hmoe_stats.selection import adjusted_rand, agreement, candidates, dendrogram, stability

LAW, QUICK = hs.Uniform(-3, 3), {"n_starts": 2, "effort": "quick"}


def sample(name="C4", gating="SS", n=300, seed=1):
    return hs.sample(hs.datasets.truth(name, gating), n, x=LAW, seed=seed)


# -- dendrograms ------------------------------------------------------------------------------------------------------
CASES = [("C2", "SS", (3, 3)), ("C2", "LL", (3, 2)), ("C2", "QL", (2, 2, 1)), ("P2", "SQ", (2, 2)), ("C4", "LL", (3,))]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[1]} {case[2]}")
def merged(request):
    name, gating, k2 = request.param
    X, y = sample(name, gating)
    fit = hs.fit(X, y, gating, k2, n_starts=1)
    return fit, dendrogram(fit), hs.gate_weights(fit, X)


def moments(G, X, W, cell):
    """Mass, barycentre and second moment of a cell of experts, with weights W (n, K): numbers a row."""
    cell, Z = list(cell), np.column_stack([X, np.ones(len(X))])
    mu = X @ G.eta[cell].T + G.tau[cell]
    w = W[:, cell]
    return w.sum() / len(X), Z.T @ (w * mu).sum(axis=1) / len(X), (w * (mu**2 + G.nu[cell])).sum() / len(X)


def test_merged_measures_keep_mass_barycentre_and_second_moment(merged):
    fit, tree, W = merged
    X, G = fit.data.X, fit.measure
    for H, cells in zip(tree.measures, tree.cells, strict=True):
        assert sorted(sum(cells, ())) == list(range(G.n_experts))
        for j, cell in enumerate(cells):
            own = W[:, list(cell)].sum(axis=1, keepdims=True)
            for kept, was in zip(moments(H, X, np.repeat(own, H.n_experts, axis=1), [j]),
                                 moments(G, X, W, cell), strict=True):  # fmt: skip
                np.testing.assert_allclose(kept, was, rtol=1e-8, atol=1e-8)


def test_merged_gates_keep_masses_and_means_of_features_level_by_level(merged):
    fit, tree, W = merged
    X = fit.data.X
    for H, cells in zip(tree.measures, tree.cells, strict=True):
        own = np.stack([W[:, list(cell)].sum(axis=1) for cell in cells], axis=1)
        groups = np.stack([own[:, H.group == i].sum(axis=1) for i in range(H.k1)], axis=1)
        gates = hs.gate_weights(H, X)
        first = np.stack([gates[:, H.group == i].sum(axis=1) for i in range(H.k1)], axis=1)
        pairs = (first, groups, H.gating[0]), (groups[:, H.group] * gates / first[:, H.group], own, H.gating[1])
        for found, wanted, letter in pairs:
            loose = 3e-3 if letter == "L" else 1e-6  # kinks: these gates end beside the maximum
            np.testing.assert_allclose(found.mean(axis=0), wanted.mean(axis=0), rtol=0, atol=loose)
            if letter != "L":
                features = X**2 if letter == "Q" else X
                np.testing.assert_allclose(features.T @ found / 300, features.T @ wanted / 300, rtol=0, atol=1e-6)


def test_heights_are_what_the_laws_of_two_experts_cost(merged):
    """Summed along the path they are sum_j m_j log(nu of its cell / nu_j) / 2."""
    fit, tree, W = merged
    mass, G = W.mean(axis=0), fit.measure
    assert len(tree.heights) == G.n_experts - 1
    assert (tree.heights > 0).all()
    for level, (H, cells) in enumerate(zip(tree.measures, tree.cells, strict=True)):
        cost = sum(mass[j] * np.log(H.nu[c] / G.nu[j]) for c, cell in enumerate(cells) for j in cell) / 2
        assert tree.heights[:level].sum() == pytest.approx(cost, rel=1e-6, abs=1e-9)


def test_the_cheapest_pair_is_merged_first(merged):
    """By the cost of all pairs, from weighted regressions of the two lines on x."""
    fit, tree, W = merged
    X, G = fit.data.X, fit.measure
    Z, costs = np.column_stack([X, np.ones(len(X))]), {}
    for i, k in combinations(range(G.n_experts), 2):
        mu, w = X @ G.eta[[i, k]].T + G.tau[[i, k]], W[:, [i, k]]
        root = np.sqrt(np.concatenate([w[:, 0], w[:, 1]]))
        line = np.linalg.lstsq(np.vstack([Z, Z]) * root[:, None], root * mu.T.ravel(), rcond=None)[0]
        nu = (w * (G.nu[[i, k]] + (mu - (Z @ line)[:, None]) ** 2)).sum() / w.sum()
        costs[i, k] = (w.mean(axis=0) * np.log(nu / G.nu[[i, k]])).sum() / 2
    least = min(costs, key=costs.get)
    assert tuple(sorted(sum(tree.steps[0], ()))) == least
    assert tree.heights[0] == pytest.approx(costs[least], rel=1e-8)


def test_costs_bound_the_divergence_of_the_merged_model():
    """With gates that are sums of weights, sum of heights >= E KL(p(y | x) || p of the merged experts)."""
    X, y = sample("C2", n=200)
    fit = hs.fit(X, y, "SS", (2, 2), n_starts=1)
    tree, W, G = dendrogram(fit), hs.gate_weights(fit, X), fit.measure
    t = np.linspace(-25, 25, 4001)

    def normal(H):
        z = (t - (X @ H.eta.T + H.tau)[..., None]) / np.sqrt(H.nu)[:, None]
        return np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi * H.nu)[:, None]

    p = np.maximum((W[..., None] * normal(G)).sum(axis=1), 1e-300)
    for level in range(1, 4):
        H, cells = tree.measures[level], tree.cells[level]
        own = np.stack([W[:, list(cell)].sum(axis=1) for cell in cells], axis=1)
        q = np.maximum((own[..., None] * normal(H)).sum(axis=1), 1e-300)
        divergence = np.trapezoid(p * np.log(p / q), t).mean()
        assert 0 < divergence <= tree.heights[:level].sum()
        assert divergence > 0.2 * tree.heights[:level].sum()


def test_the_criterion_is_the_published_one(merged):
    fit, tree, _ = merged
    for level, height in enumerate(tree.heights):
        mean = hs.log_likelihood(tree.measures[level], fit.data.X, fit.data.y) / 300
        assert tree.criterion[level] == pytest.approx(-(height + np.log(300) * mean), rel=1e-12)
    assert np.isnan(tree.criterion[-1])
    assert tree.criterion[tree.level] == np.nanmin(tree.criterion)
    assert tree.k2 == tree.measure.k2 == tree.shapes[tree.level]
    assert tree.shapes[0] == tuple(sorted(fit.measure.k2, reverse=True))
    assert str(tree.k2) in repr(tree)


def test_copies_cost_nothing_within_a_group_and_across_groups():
    """C2 with expert 0 split in its group and expert 1 copied into the other group."""
    G = hs.datasets.truth("C2")
    X, y = hs.sample(G, 400, x=LAW, seed=2)
    order = [0, 0, 1, 1, 2, 3]
    H = hs.MixingMeasure(
        gating="SS", k2=(3, 3), a=G.a, b=G.b, omega=G.omega[order],
        beta=G.beta[order] + [np.log(0.4), np.log(0.6), 0.0, -2.0, 0.0, 0.0],
        eta=G.eta[order], tau=G.tau[order], nu=G.nu[order],
    )  # fmt: skip
    fit = hs.fit(X, y, "SS", (2, 2), start=G, n_starts=1)
    tree = dendrogram(replace(fit, measure=H))
    assert {frozenset(sum(step, ())) for step in tree.steps[:2]} == {frozenset({0, 1}), frozenset({2, 3})}
    np.testing.assert_allclose(tree.heights[:2], 0.0, atol=1e-12)
    assert tree.heights[2] > 0.3
    assert tree.k2 == (2, 2)
    pairs = {frozenset(np.round(tree.measure.tau[tree.measure.group == g], 8)) for g in (0, 1)}
    assert pairs == {frozenset({-6.0, -2.0}), frozenset({2.0, 6.0})}  # the copy went back to its group


def test_a_group_ends_with_its_only_expert():
    X, y = sample("C4", n=200)
    tree = dendrogram(hs.fit(X, y, "SL", (2, 1), n_starts=1))
    assert tree.shapes[-1] == (1,)
    assert tree.shapes[-2] in ((1, 1), (2,))


def test_heights_do_not_depend_on_units_nor_weights_on_how_rows_are_written():
    X, y = sample("C2", n=250)
    tree = dendrogram(hs.fit(X, y, "SS", (3, 2), n_starts=1))
    scaled = dendrogram(hs.fit(100 * X + 5, 0.01 * y - 3, "SS", (3, 2), n_starts=1))
    np.testing.assert_allclose(scaled.heights, tree.heights, rtol=1e-4)
    assert scaled.steps == tree.steps
    fit = hs.fit(X, y, "SS", (3, 2), n_starts=1, weights=np.full(250, 2.0))
    doubled = dendrogram(fit)
    again = dendrogram(replace(fit, data=fit.data._replace(
        X=np.repeat(X, 2, axis=0), y=np.repeat(y, 2), weights=None)))  # fmt: skip
    np.testing.assert_allclose(doubled.heights, again.heights, rtol=1e-10)
    np.testing.assert_allclose(doubled.criterion, again.criterion, rtol=1e-10)
    assert doubled.nobs == 500


def test_what_cannot_be_merged_is_refused():
    X, y = sample(n=60)
    fit = hs.fit(X, y, "SS", (1,), n_starts=1)
    with pytest.raises(ValueError, match="^fit must have at least two experts"):
        dendrogram(fit)
    with pytest.raises(ValueError, match="^fit must be a FitResult"):
        dendrogram(fit.measure)
    with pytest.raises(ValueError, match="must know its data"):
        dendrogram(replace(hs.fit(X, y, "SS", (2,), n_starts=1), data=None))


# -- selection --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def chosen():
    X, y = sample(n=200)
    asked = {"gatings": ("SS", "LS", "SL"), "shapes": ((1,), (2,), (3,), (2, 1)), "folds": 3, "seed": 5}
    return hs.select(X, y, **asked, **QUICK), X, y, asked


def test_each_model_is_fitted_once_as_it_would_be_alone(chosen):
    found, X, y, _ = chosen
    keys = [("SS", (1,)), ("SS", (2,)), ("SS", (3,)), ("SS", (2, 1)), ("LS", (2, 1)),
            ("SL", (2,)), ("SL", (3,)), ("SL", (2, 1))]  # fmt: skip
    assert list(found.reasons) == keys
    assert list(zip(found.table["gating"], found.table["k2"], strict=True)) == keys
    for (gating, k2), fit in found.fits.items():
        assert fit.measure == hs.fit(X, y, gating, k2, seed=5, **QUICK).measure


def test_criteria_are_those_of_the_fits_and_the_best_has_the_best(chosen):
    found, X, y, _ = chosen
    table = found.table
    for row in table.itertuples():
        fit = found.fits[row.gating, row.k2]
        assert (row.status, row.log_likelihood, row.nobs) == (fit.status, fit.log_likelihood, 200)
        assert row.df == fit.df
        if not fit.converged:
            assert np.isnan(row.bic)
            assert row.reason.startswith(fit.status)
            continue
        assert row.bic == pytest.approx(-2 * fit.log_likelihood + fit.df * np.log(200))
        assert row.aic == pytest.approx(-2 * fit.log_likelihood + 2 * fit.df)
        r = hs.responsibilities(fit, X, y)
        assert row.icl == pytest.approx(row.bic - 2 * (r * np.log(np.maximum(r, 1e-300))).sum())
    sound = table[table["status"].isin(["converged", "boundary"])]
    for name in ("aic", "bic", "icl", "dendrogram"):
        best = sound.loc[sound[name].idxmin()]
        assert found.best(name).measure == found.fits[best["gating"], best["k2"]].measure
    best = sound.loc[sound["cv"].idxmax()]
    assert found.best("cv").measure == found.fits[best["gating"], best["k2"]].measure
    assert f"bic: {found.best('bic').measure.gating} {found.best('bic').measure.k2}, " in repr(found)


def test_held_out_densities_are_of_rows_that_were_not_fitted(chosen):
    found, X, y, asked = chosen
    seed = np.random.SeedSequence(5, spawn_key=(candidates.zlib.crc32(b"folds"),))
    parts = np.array_split(np.random.default_rng(seed).permutation(200), 3)
    values = np.empty(200)
    for part in parts:
        rest = np.setdiff1d(np.arange(200), part)
        fit = hs.fit(X[rest], y[rest], "SL", (2, 1), seed=5, **QUICK)
        values[part] = hs.log_density(fit, X[part], y[part])
    np.testing.assert_array_equal(found.held_out["SL", (2, 1)], values)
    row = found.table[(found.table["gating"] == "SL") & (found.table["k2"] == (2, 1))].iloc[0]
    assert row["cv"] == pytest.approx(values.mean())
    assert row["cv_worst"] == values.min()


def test_a_dendrograms_criterion_stands_with_the_shapes_it_comes_through(chosen):
    found = chosen[0]
    tree, table = found.dendrograms["SS", (3,)], found.table.set_index(["gating", "k2"])
    assert {("SS", (3,)), ("SS", (2, 1)), ("SL", (3,))} <= set(found.dendrograms)
    assert table.loc[[("SS", (3,))], "dendrogram"].item() == pytest.approx(tree.criterion[0])
    assert np.isnan(table.loc[[("SS", (1,))], "dendrogram"].item())
    ways = [
        value
        for (gating, _), one in found.dendrograms.items()
        for k2, value in zip(one.shapes, one.criterion, strict=True)
        if (k2, gating[1]) == ((2,), "S") or (k2, gating[0]) == ((1, 1), "S")  # one model
    ]
    assert len(ways) >= 2
    assert table.loc[[("SS", (2,))], "dendrogram"].item() == pytest.approx(min(ways))


def test_any_number_of_processes_makes_the_same_table(chosen):
    found, X, y, asked = chosen
    again = hs.select(X, y, **asked, n_jobs=2, **QUICK)
    pd.testing.assert_frame_equal(found.table, again.table, check_exact=True)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_lines_that_are_far_apart_are_found_to_be_two(seed):
    X, y = sample(n=300, seed=seed)
    found = hs.select(X, y, "SS", [(1,), (2,), (3,)], ("bic", "icl", "dendrogram"), **QUICK)
    for criterion in ("bic", "icl", "dendrogram"):
        assert found.best(criterion).measure.k2 == (2,)


def test_a_shape_that_a_dendrogram_suggests_is_added():
    X, y = sample(n=300)
    found = hs.select(X, y, "SS", [(3,)], "dendrogram", **QUICK)
    assert found.best("dendrogram").measure.k2 == (2,)
    assert found.reasons["SS", (2,)] == "added, as a dendrogram suggests it"


def test_what_is_missing_has_its_reason():
    X, y = sample(n=24)
    found = hs.select(X, y, "SS", [(1,), (3, 3), (2, 2)], ("bic", "cv"), folds=3, **QUICK)
    table = found.table.set_index("k2")
    assert "free parameters, 28; got 24" in table.loc[[(3, 3)], "reason"].item()
    assert table.loc[[(3, 3)], ["log_likelihood", "bic", "cv"]].isna().all(axis=None)
    assert "a fold's fit: X and y must have more rows" in table.loc[[(2, 2)], "reason"].item()
    assert table.loc[[(2, 2)], "cv"].isna().item()
    assert table.loc[[(1,)], ["bic", "cv"]].notna().all(axis=None)
    assert "see table['reason']" in repr(found)


def test_a_gating_of_which_nothing_can_be_fitted_has_its_reason_and_nothing_at_all_is_an_error():
    X, y = sample(n=20)
    found = hs.select(X, y, ("SS", "LL"), [(1,), (3, 3), (3, 3)], "bic", **QUICK)
    assert list(found.reasons) == [("SS", (1,)), ("SS", (3, 3)), ("LL", (3, 3))]
    assert list(found.fits) == [("SS", (1,))]
    assert "free parameters" in found.reasons["LL", (3, 3)]
    with pytest.raises(ValueError, match="more rows than the model has free parameters"):
        hs.select(X, y, ("SS", "LL"), [(3, 3)], "bic", **QUICK)


def test_no_model_is_fitted_under_two_names():
    X, y = sample(n=100)
    found = hs.select(X, y, ("LS", "SS"), [(1, 1), (2,), (2, 1), (1, 2), (1,)], "bic", **QUICK)
    assert list(found.reasons) == [("LS", (1, 1)), ("LS", (2,)), ("LS", (2, 1)), ("LS", (1,)), ("SS", (2, 1))]


def test_weights_count_and_frames_keep_their_names():
    X, y = sample(n=150)
    frame, times = pd.DataFrame({"speed": X[:, 0]}, index=np.arange(150) + 7), np.arange(150) % 3 + 1.0
    data = frame, pd.Series(y, index=frame.index, name="load")
    found = hs.select(*data, "SS", [(1,)], ("bic", "cv"), folds=2, weights=pd.Series(times, index=frame.index), **QUICK)
    fit = found.fits["SS", (1,)]
    assert (fit.x_names, fit.y_name, fit.nobs) == (("speed",), "load", times.sum())
    held_out = found.held_out["SS", (1,)]
    assert found.table["cv"].item() == pytest.approx(times @ held_out / times.sum())


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"gatings": "SX"}, "^gating must"),
        ({"gatings": []}, "^gatings must"),
        ({"shapes": []}, "^shapes must"),
        ({"shapes": [0]}, "^k2 must"),
        ({"criteria": ("bic", "dic")}, "^criteria must"),
        ({"folds": 1}, "^folds must"),
        ({"folds": 61}, "^folds must"),
        ({"seed": -1}, "^seed must"),
        ({"effort": "none"}, "^effort must"),
        ({"n_jobs": 0}, "^n_jobs must"),
        ({"weights": np.ones(3)}, "^weights must"),
    ],
)
def test_arguments_are_checked(wrong, match):
    X, y = sample(n=60)
    with pytest.raises(ValueError, match=match):
        hs.select(X, y, **{"gatings": "SS", "shapes": [(1,)]} | wrong)


def test_a_criterion_that_is_not_there_is_refused(chosen):
    with pytest.raises(ValueError, match="^criterion must be one of bic, icl"):
        chosen[0].best("mdl")
    X, y = sample(n=60)
    with pytest.raises(ValueError, match="is missing of all"):
        hs.select(X, y, "SS", [(1,)], "dendrogram", **QUICK).best("dendrogram")


def test_nested_fits_fail_together_only():
    X, y = sample(n=20)
    one, other = fit_nested(X, y, "SS", [(1,), (3, 3)], **QUICK)
    assert one.measure.k2 == (1,)
    assert isinstance(other, ValueError)
    with pytest.raises(ValueError, match="free parameters"):
        fit_nested(X, y, "SS", [(3, 3), (4, 4)])


# -- stability --------------------------------------------------------------------------------------------------------
def naive_rand(a, b):
    """Over pairs of rows."""
    pairs = np.array([(a[i] == a[k], b[i] == b[k]) for i, k in combinations(range(len(a)), 2)])
    both, (first, second), n = (pairs.all(axis=1)).sum(), pairs.sum(axis=0), len(pairs)
    return (both - first * second / n) / ((first + second) / 2 - first * second / n)


def test_the_adjusted_rand_index_is_that_of_pairs(rng):
    for _ in range(10):
        a, b = rng.integers(0, 4, 40), rng.integers(0, 3, 40)
        b[:15] = a[:15] % 3
        assert adjusted_rand(a, b) == pytest.approx(naive_rand(a, b), rel=1e-12)
        assert adjusted_rand(b, a) == pytest.approx(adjusted_rand(a, b), rel=1e-12)
        times = rng.integers(1, 4, 40)
        repeated = adjusted_rand(np.repeat(a, times), np.repeat(b, times))
        assert adjusted_rand(a, b, times) == pytest.approx(repeated, rel=1e-12)
    assert adjusted_rand(a, 3 - a) == 1.0
    assert adjusted_rand(np.zeros(5, int), np.zeros(5, int)) == 1.0


def test_by_chance_is_the_mean_over_all_ways_to_group_the_leaves(rng):
    leaves, owner = rng.integers(0, 4, 200), np.array([0, 0, 1, 1])
    groups = np.array([0, 1, 1, 0])[leaves]
    ways = [adjusted_rand(groups, np.array(deal)[leaves]) for deal in set(permutations(owner.tolist()))]
    found = agreement.by_chance(groups, leaves, owner, None, np.random.default_rng(0))
    assert found == pytest.approx(np.mean(ways), abs=4 * np.std(ways) / np.sqrt(agreement.DEALS))
    assert 0.2 < np.mean(ways) < 0.5  # two of six ways are the right one


def test_effective_numbers_count_experts_that_share():
    G = hs.datasets.truth("C2").replace(
        a=[[0.0], [0.0]], b=[0.0, 0.0], omega=np.zeros((4, 1)), beta=[0.0, 0.0, 0.0, -800.0]
    )
    X = np.linspace(-3, 3, 11)[:, None]
    experts, groups = agreement.effective_numbers(G, X)
    assert groups == pytest.approx(2.0)
    assert experts == pytest.approx(np.exp(-2 * 0.25 * np.log(0.25) - 0.5 * np.log(0.5)))


@pytest.mark.parametrize("kind", ["halves", "rows", "searches"])
def test_leaves_that_are_far_apart_come_back(kind):
    X, y = sample("C2", n=400)
    found = stability(X, y, "SS", (2, 2), n=3, kind=kind, seed=2, **QUICK)
    table = found.table
    assert len(table) == 3
    assert (table["leaves"] > 0.95).all()
    assert table["groups"].between(-0.5, 1.0).all()
    assert (table["groups_null"] < 0.6).all()
    assert table["effective_experts"].between(3.5, 4).all()
    again = stability(X, y, "SS", (2, 2), n=2, kind=kind, seed=2, n_jobs=2, **QUICK)
    pd.testing.assert_frame_equal(again.table, table.iloc[:2], check_exact=True)
    assert "by chance, given the leaves" in repr(found)


def test_a_flat_model_has_no_level_1_and_halves_may_be_too_few_rows():
    X, y = sample(n=60)
    table = stability(X, y, "SS", (2,), n=1, **QUICK).table
    assert table[["groups", "groups_null"]].isna().all(axis=None)
    assert table["effective_groups"].item() == pytest.approx(1.0)
    found = stability(X[:16], y[:16], "SS", (2,), n=2, **QUICK)
    assert found.table["leaves"].isna().all()
    assert found.table["reason"].str.contains("more rows").all()
    assert "2 comparisons without a fit" in repr(found)
    for wrong, match in (({"kind": "thirds"}, "^kind"), ({"n": 0}, "^n must"), ({"seed": 1.5}, "^seed")):
        with pytest.raises(ValueError, match=match):
            stability(X, y, "SS", (2,), **wrong)


# -- figures ----------------------------------------------------------------------------------------------------------
def test_a_dendrogram_is_drawn_with_its_heights(merged):
    tree = merged[1]
    ax = tree.plot()
    assert isinstance(ax, Axes)
    brackets = [line for line in ax.lines if len(line.get_xdata()) == 4]
    assert [line.get_ydata()[1] for line in brackets] == np.maximum.accumulate(tree.heights).tolist()
    assert f"suggested: {tree.k2}" in ax.get_legend().get_texts()[0].get_text()
    assert dendrogram_plot(tree, ax) is ax
    with pytest.raises(ValueError, match="^tree must be a Dendrogram"):
        dendrogram_plot(merged[0])


def test_a_criterion_is_drawn_with_its_best(chosen):
    found = chosen[0]
    for name in ("bic", "cv"):
        ax = found.plot(criterion=name)
        (ring,) = [line for line in ax.lines if line.get_markersize() == 14]
        best = found.best(name)
        row = found.table[(found.table["gating"] == best.measure.gating) & (found.table["k2"] == best.measure.k2)]
        assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (best.measure.n_experts, row[name].item())
    assert criterion_plot(found, ax) is ax
    with pytest.raises(ValueError, match="^selection must be a Selection"):
        criterion_plot(found.table)
    with pytest.raises(ValueError, match="^criterion must"):
        found.plot(criterion="mdl")
