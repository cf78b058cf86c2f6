"""Starting values: exact embedding, splits that keep barycentres, keyed streams, and which shapes hold which."""

import itertools

import numpy as np
import pytest

import hmoe_stats as hs
from hmoe_stats import kernels
from hmoe_stats.fitting import insertion, shapes, starts
from hmoe_stats.fitting.problem import Problem

GATINGS = ("SS", "SL", "LS", "LL")


def measure(gating, k2, d, seed=0):
    rng = np.random.default_rng([seed, *k2, d])
    k1, K = len(k2), sum(k2)
    return hs.MixingMeasure(
        gating=gating, k2=k2, a=rng.standard_normal((k1, d)), b=rng.standard_normal(k1),
        omega=rng.standard_normal((K, d)), beta=rng.standard_normal(K), eta=rng.standard_normal((K, d)),
        tau=3 * rng.standard_normal(K), nu=rng.uniform(0.1, 2, K),
    )  # fmt: skip


def contains_by_search(k2, smaller):
    """Some map of the large groups onto all the small ones takes each to a group it has room for."""
    maps = itertools.product(range(len(smaller)), repeat=len(k2))
    return any(
        set(to) == set(range(len(smaller))) and all(m >= smaller[g] for m, g in zip(k2, to, strict=True)) for to in maps
    )


def test_contains_truth_table():
    every = [s for k1 in (1, 2, 3) for s in itertools.product((1, 2, 3), repeat=k1)]
    yes = 0
    for k2, smaller in itertools.product(every, every):
        expected = contains_by_search(k2, smaller)
        assert shapes.contains(k2, smaller) == expected, (k2, smaller)
        yes += expected
    assert 100 < yes < len(every) ** 2 - 100
    assert shapes.contains((2, 2), (2, 2))
    assert shapes.contains((2, 3), (3, 2))
    assert not shapes.contains((1, 3), (2, 2))
    assert not shapes.contains((3, 1), (2,))  # the second group would have to hold two experts


CONTAINING = [
    ((1,), (2,)), ((1,), (1, 1)), ((1,), (3, 2, 1)), ((2,), (4,)), ((2,), (2, 3)), ((2, 2), (3, 3)),
    ((2, 2), (2, 2, 2)), ((1, 2), (2, 1)), ((1, 2), (2, 4, 3)), ((2, 3), (4, 3)), ((3, 2), (2, 3)),
    ((1, 2, 1), (2, 2, 2, 2)), ((2, 1), (2, 1)),
]  # fmt: skip


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize(("small", "k2"), CONTAINING)
def test_embed_keeps_the_density(gating, small, k2):
    for d in (1, 3):
        G = measure(gating, small, d)
        X, y = hs.sample(G, 80, x=hs.Uniform(-2, 2), seed=1)
        expected = hs.log_density(G, X, y)
        unequal = lambda m: np.arange(1, m + 1) / (m * (m + 1) / 2)  # noqa: E731
        for choice, shares in [(None, None), (0, None), (1, None), (5, unequal), (None, unequal)]:
            H = shapes.embed(G, k2, np.random.default_rng(d), choice, shares)
            assert H.k2 == k2
            np.testing.assert_allclose(hs.log_density(H, X, y), expected, rtol=0, atol=1e-10)
            assert hs.log_likelihood(H, X, y) == pytest.approx(hs.log_likelihood(G, X, y), rel=1e-12)


@pytest.mark.parametrize(
    ("small", "k2"), [((2,), (4,)), ((2, 2), (3, 3)), ((3, 2), (4, 4)), ((1, 2), (3, 3)), ((2, 3), (4, 3))]
)
def test_every_choice_of_copied_experts_is_a_stratum(small, k2):
    G = measure("SS", small, 1)
    seen = set()
    for number in range(shapes.strata(k2, small)):
        H = shapes.embed(G, k2, np.random.default_rng(0), number)
        copies = tuple((np.isclose(H.tau, t)).sum() for t in G.tau)
        assert sum(copies) == sum(k2)
        seen.add(copies)
    per_group = [
        {tuple(np.bincount(c, minlength=s) + 1) for c in itertools.product(range(s), repeat=m - s)}
        for s, m in zip(small, k2, strict=True)
    ]
    assert seen == {sum(parts, ()) for parts in itertools.product(*per_group)}


@pytest.mark.parametrize("gating", GATINGS)
@pytest.mark.parametrize(
    ("small", "k2"), [((1,), (3,)), ((2, 2), (3, 3)), ((2, 1), (4, 3)), ((2, 2), (2, 2, 2)), ((1,), (1, 1))]
)
def test_split_keeps_barycentres_and_moves_every_copy(gating, small, k2):
    d = 2
    G = measure(gating, small, d)
    spread = np.array([0.5, 2.0])
    for number in range(12):
        H, kind = starts.split(G, k2, np.array([-spread, spread]), np.random.default_rng(number), number)
        assert H.k2 == k2
        assert kind in starts.KINDS
        assert (H.nu > 0).all()
        base, groups, leaves = shapes.embedding(G, k2, np.random.default_rng(number), number % shapes.strata(k2, small))
        assert (groups == shapes.embedding(G, k2, np.random.default_rng(number))[1]).all()
        own = H.group * G.n_experts + leaves
        for j in np.unique(own):
            members = np.flatnonzero(own == j)
            weight = np.exp(H.beta[members])
            assert weight.sum() == pytest.approx(np.exp(base.beta[members]).sum())
            for name in ("tau", "eta", "omega"):
                values = getattr(H, name)[members].reshape(members.size, -1)
                barycentre = getattr(G, name)[leaves[members[0]]].ravel()
                np.testing.assert_allclose(weight @ values / weight.sum(), barycentre, atol=1e-10)
            if members.size > 1:
                assert np.unique(H.tau[members]).size == members.size
        for g in range(G.k1):
            members = np.flatnonzero(groups == g)
            weight = np.exp(H.b[members])
            np.testing.assert_allclose(weight @ H.a[members] / weight.sum(), G.a[g], atol=1e-10)


def test_split_by_location_keeps_the_second_moment():
    G = measure("SS", (1,), 1)
    spread = np.ones(1)
    for seed in range(20):
        H, kind = starts.split(G, (3,), np.array([-spread, spread]), np.random.default_rng(seed), 0)
        assert kind == "location"
        weight = np.exp(H.beta) / np.exp(H.beta).sum()
        second = weight @ (H.nu + (H.tau - weight @ H.tau) ** 2)
        # the floor on the variances that are left, and a small pull in scale, are allowed for
        assert 0.85 * G.nu[0] < second < 3.5 * G.nu[0]


def test_key_depends_on_seed_gating_and_shape_and_on_nothing_else():
    draw = lambda *key: np.random.default_rng(starts.key(*key)).integers(2**63, size=4).tolist()  # noqa: E731
    assert draw(3, "SS", (2, 2)) == draw(3, "SS", (2, 2))
    assert draw(3, "SS", (2, 2)) == draw(np.int64(3), "SS", (2, 2)) == draw(np.random.SeedSequence(3), "SS", (2, 2))
    others = [(4, "SS", (2, 2)), (3, "SL", (2, 2)), (np.random.SeedSequence(3, spawn_key=(1,)), "SS", (2, 2))]
    others += [(3, "SS", k2) for k2 in ((2, 3), (3, 2), (4,), (2, 2, 1))]
    streams = [draw(3, "SS", (2, 2)), *(draw(*key) for key in others)]
    assert len({tuple(s) for s in streams}) == len(streams)


def test_key_leaves_the_sequence_it_is_given_alone():
    seed = np.random.SeedSequence(5)
    starts.key(seed, "SS", (2,))
    assert seed.n_children_spawned == 0


@pytest.mark.parametrize("seed", [None, -1, 1.0, "1", True, [1, 2], np.random.default_rng(0)])
def test_key_refuses_what_is_no_seed(seed):
    with pytest.raises(ValueError, match="seed"):
        starts.key(seed, "SS", (2,))


def test_check_start():
    G, rng = measure("SS", (2, 1), 2), np.random.default_rng(0)
    X, y = rng.standard_normal((50, 2)), rng.standard_normal(50)
    starts.check_start(None, "SS", (2,), X, y)
    starts.check_start(G, "SS", (2, 1), X, y)
    starts.check_start(G, "SS", (3, 2), X, y)
    for gating, k2, columns in [("SL", (2, 1), 2), ("SS", (2, 1), 1), ("SS", (1, 1), 2), ("SS", (3,), 2)]:
        with pytest.raises(ValueError, match="start"):
            starts.check_start(G, gating, k2, X[:, :columns], y)
    with pytest.raises(ValueError, match="start"):
        starts.check_start({"gating": "SS"}, "SS", (2, 1), X, y)
    with pytest.raises(ValueError, match="start must lie within"):
        starts.check_start(G, "SS", (2, 1), X, 1e-31 * y)
    with pytest.raises(ValueError, match="start must have nu"):
        starts.check_start(G, "SS", (2, 1), X, 1e16 * y)


@pytest.mark.parametrize("gating", GATINGS)
def test_starts_from_data_are_measures_near_the_data(gating):
    G = measure(gating, (2, 2), 2)
    X, y = hs.sample(G, 200, x=hs.Uniform(5, 9), seed=2)
    y = 1e3 * y
    problem = Problem(X, y, gating, (2, 3))
    for make in (starts.from_clusters, starts.random):
        H = make(problem, np.random.default_rng(1))
        assert (H.k2, H.d, H.gating) == ((2, 3), 2, gating)
        assert H == make(problem, np.random.default_rng(1))
        assert H != make(problem, np.random.default_rng(2))
        # no worse than a single flat Gaussian by much more than its rows
        flat = -0.5 * y.size * (np.log(2 * np.pi * y.var()) + 1)
        assert hs.log_likelihood(H, X, y) > flat - 10 * y.size
        if gating[1] == "L":
            assert (H.omega >= X.min(axis=0) - 1e-9).all()
            assert (H.omega <= X.max(axis=0) + 1e-9).all()


@pytest.mark.parametrize("gating", GATINGS)
def test_jitter_is_small_and_in_natural_units(gating):
    G = measure(gating, (2, 2), 1)
    spread = np.array([1e-4])
    H = starts.jitter(G, np.array([-spread, spread]), np.random.default_rng(0), 0.01)
    sd = np.sqrt(G.nu)
    assert (np.abs(H.tau - G.tau) < 0.05 * sd).all()
    assert (np.abs(H.eta - G.eta)[:, 0] * spread[0] < 0.05 * sd).all()
    unit = spread[0] if gating[1] == "L" else 1 / spread[0]
    assert (np.abs(H.omega - G.omega) < 0.05 * unit).all()
    assert (np.abs(H.omega - G.omega) > 0).all()
    assert (np.abs(np.log(H.nu / G.nu)) < 0.05).all()


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("gating", ["SL", "LS", "LL"])
def test_recentre_moves_one_laplace_gate_and_nothing_else(gating, apart, rng):
    G = hs.datasets.truth("C2", gating)
    X = rng.uniform(-3, 3, (40, 1))
    moved = set()
    for _ in range(30):
        H = starts.recentre(G, X, rng, apart)
        shifts = {"a": H.a - G.a, "omega 0": H.omega[:2] - G.omega[:2], "omega 1": H.omega[2:] - G.omega[2:]}
        (name,) = (name for name, shift in shifts.items() if shift.any())
        centres = H.a if name == "a" else H.omega[slice(0, 2) if name == "omega 0" else slice(2, 4)]
        if apart:
            assert np.isin(centres, X).all()
            assert np.ptp(shifts[name]) > 0
        else:
            assert np.ptp(shifts[name]) < 1e-12
            assert np.abs(centres.mean() - X).min() < 1e-12
        for other in ("b", "beta", "eta", "tau", "nu"):
            np.testing.assert_array_equal(getattr(H, other), getattr(G, other))
        moved.add(name)
    assert moved == {name for name in shifts if gating[name != "a"] == "L"}


@pytest.mark.parametrize("gating", GATINGS)
def test_scatter_puts_laplace_centres_at_rows_and_leaves_the_rest(gating, rng):
    G = hs.datasets.truth("C2", gating)
    X = rng.uniform(-3, 3, (40, 1))
    H = starts.scatter(G, X, rng)
    for letter, name in zip(gating, ("a", "omega"), strict=True):
        if letter == "L":
            assert np.isin(getattr(H, name), X).all()
            assert np.unique(getattr(H, name)).size > 1
        else:
            np.testing.assert_array_equal(getattr(H, name), getattr(G, name))
    for other in ("b", "beta", "eta", "tau", "nu"):
        np.testing.assert_array_equal(getattr(H, other), getattr(G, other))


@pytest.mark.parametrize("gating", GATINGS)
def test_insertions_find_a_missing_expert(gating):
    G = hs.datasets.truth("C2", gating)
    X, y = hs.sample(G, 400, x=hs.Uniform(-3, 3), seed=3)
    small = hs.fit_mle(X, y, gating, (2, 1), n_starts=6)
    problem = Problem(X, y, gating, (2, 2))
    made = insertion.insertions(problem, small.measure, np.random.default_rng(0), 8)
    assert 1 <= len(made) <= 8
    gains = []
    for z in made:
        H = problem.to_measure(z)
        assert H.k2 == (2, 2)
        keep = np.delete(np.arange(4), 3)
        np.testing.assert_allclose(H.tau[keep], small.measure.tau, rtol=1e-9)  # the fitted experts stay where they are
        gaps = np.subtract.outer(H.beta[keep], H.beta[keep]) - np.subtract.outer(*[small.measure.beta] * 2)
        np.testing.assert_allclose(gaps[:2, :2], 0.0, atol=1e-9)
        gains.append(hs.log_likelihood(H, X, y) - small.log_likelihood)
    assert len({tuple(z) for z in made}) == len(made)
    assert max(gains) > 5.0
    assert min(gains[:4]) > -0.5  # of those judged alone: in a wide box a weight can be so small that it does no harm


@pytest.mark.parametrize("gating", GATINGS)
def test_starts_leave_slopes_on_a_constant_column_alone(gating):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(-3, 3, 60), np.full(60, 1e40)])
    y = rng.standard_normal(60)
    G = hs.MixingMeasure(
        gating=gating, k2=(1, 1), a=np.zeros((2, 2)), b=[0.0, 1.0], omega=[[1.0, 0.0], [0.0, 0.0]], beta=[0.0, 0.0],
        eta=[[0.5, 1e-40], [0.5, 1e-40]], tau=[-1.0, 0.0], nu=[1.0, 2.0],
    )  # fmt: skip
    problem = Problem(X, y, gating, (1, 2), bounds=BOX)
    made = [starts.jitter(G, X, rng, 0.4), starts.split(G, (1, 2), X, rng, 4)[0]]
    made += [problem.to_measure(z) for z in insertion.insertions(problem, G, rng, 6)]
    assert len(made) > 4
    for H in made:
        assert np.abs(X @ H.eta.T + H.tau).max() < 50.0  # as those of G
        if gating[1] == "S":
            assert np.abs(X @ H.omega.T + H.beta).max() < 50.0


BOX = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": (0.04, 4.0)}


def group_of(gating, box=BOX, home=None, n=1000, i=1):
    """Group i of the fit of C2 to data from it, for one expert more."""
    G = hs.datasets.truth("C2", gating)
    X, y = hs.sample(G, n, x=hs.Uniform(-3, 3), seed=8)
    small = hs.fit_mle(X, y, gating, (2, 2), start=G, n_starts=1, bounds=box)
    k2 = tuple(2 + (g == i) for g in (0, 1))
    return insertion.Group(Problem(X, y, gating, k2, box, home=home and G), small.measure, i)


@pytest.mark.parametrize("gating", GATINGS)
def test_experts_climb_to_maxima_above_what_many_more_draws_reach(gating):
    """The gain has narrow maxima, which draws alone miss; at a climbed one no move inside the box adds much."""
    group = group_of(gating)
    drawn = group.alone(group.candidates(np.random.default_rng(0), 200))
    climbed = group.climb(group.apart(drawn, 20))
    many = group.alone(group.candidates(np.random.default_rng(1), 10_000))["gain"].max()
    assert climbed["gain"].max() > many + 0.1
    best = climbed["gain"].argmax()
    for sign in (-1, 1):
        for name, size in (("tau", 0.02), ("nu", 0.01), ("omega", 0.02)):
            names = ("omega", "eta", "tau", "nu")
            moved = {key: climbed[key][[best]] + (sign * size if key == name else 0.0) for key in names}
            moved = group._clip(moved)
            assert group.alone(moved)["gain"][0] < climbed["gain"][best] + 0.05


@pytest.mark.parametrize("gating", GATINGS)
def test_help_is_promised_where_all_move_together(gating):
    """With help an expert promises what second order gives its effect less the part that G's own scores span."""
    group = group_of(gating, box=None)
    drawn = group.candidates(np.random.default_rng(0), 40)
    helped = group.helped(drawn)
    X, y, kind, c, base = group._data()
    lines = drawn["eta"], drawn["tau"], drawn["nu"]
    pivot = -drawn["omega"] @ group.centre if kind == 0 else np.zeros(40)
    change = kernels.insertion_changes(X, y, kind, c, base, (drawn["omega"], pivot, *lines), group.problem.smoothing)
    first, second = change.sum(axis=1), (change**2).sum(axis=1)
    weight, seen = np.exp(helped["beta"] - pivot), helped["gain"] > -np.inf
    assert (helped["gain"] >= weight * first - 0.5 * weight**2 * second - 1e-9)[seen].all()
    scores = kernels.row_scores(X, y, group.G.kernel_args(), group.problem.smoothing)[1]
    for c in np.flatnonzero(seen)[:5]:
        left = change[c] - scores.T @ np.linalg.lstsq(scores.T, change[c], rcond=1e-10)[0]
        expected = weight[c] * first[c] - 0.5 * weight[c] ** 2 * left @ left
        np.testing.assert_allclose(helped["gain"][c], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gating", GATINGS)
def test_insertions_of_a_local_fit_stay_at_home(gating):
    """An expert nearest to one of the other group is none that a local fit may keep, whatever its gain."""
    free, local = group_of(gating, n=500), group_of(gating, home=True, n=500)
    drawn = free.candidates(np.random.default_rng(2), 200)
    for judge in ("alone", "helped"):
        every, scored = getattr(free, judge)(drawn), getattr(local, judge)(drawn)
        inserted = [local.insert(expert) for expert in insertion.one_by_one(scored)]
        home = np.array([local.problem.is_home(z) for z in inserted])
        assert 20 < home.sum() < 180
        np.testing.assert_array_equal(scored["gain"], np.where(home, every["gain"], -np.inf))


def test_insertions_keep_to_the_box():
    """The weight promised is one the box allows: `project` has nothing to change."""
    for gating in GATINGS:
        G = hs.datasets.truth("C2", gating)
        X, y = hs.sample(G, 600, x=hs.Uniform(-3, 3), seed=4)
        box = {"a": 8.0, "b": 8.0, "omega": 2.0, "beta": 1.0, "nu": (0.1, 2.0), "eta": 0.5, "tau": 7.0}
        small = hs.fit_mle(X, y, gating, (2, 2), start=G, n_starts=1, bounds=box)
        problem = Problem(X, y, gating, (3, 2), box)
        for z in insertion.insertions(problem, small.measure, np.random.default_rng(1), 12):
            H = problem.to_measure(z)
            for name, half in (("eta", 0.5), ("tau", 7.0)):
                assert np.abs(getattr(H, name)).max() <= half + 1e-9
            assert np.ptp(H.beta[:3]) <= 2.0 + 1e-9
            gaps = np.diff(H.beta[:2]) - np.diff(small.measure.beta[:2])
            assert abs(gaps[0]) < 1e-9  # nothing was cut off


@pytest.mark.parametrize(("k2", "count"), [((3,), 0), ((1, 1), 1), ((2, 3), 6), ((2, 1, 1), 5)])
def test_swaps_are_all_pairs_of_experts_of_different_groups(k2, count):
    group = np.repeat(np.arange(len(k2)), k2)
    seen = set()
    for order in shapes.swaps(k2):
        moved = np.flatnonzero(order != np.arange(group.size))
        assert moved.size == 2
        assert group[moved[0]] != group[moved[1]]
        assert sorted(order) == list(range(group.size))
        seen.add(tuple(moved))
    assert len(seen) == count
