"""`hs.specialization`: every measure on models whose value is known in closed form, and what it does at the edges."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import entr, rel_entr

import hmoe_stats as hs
from hmoe_stats.selection.agreement import adjusted_rand

X = np.linspace(-3.0, 3.0, 2001)[:-1] + 0.0015  # none at 0
NONE = {"n_boot": 0}


def flat(shares=(0.5, 0.5), slopes=(0.0, 0.0), lines=((1.0, 0.0), (-1.0, 0.0)), nu=(0.5, 0.5)):
    lines, K = np.array(lines), len(shares)
    return hs.MixingMeasure(
        gating="SS",
        k2=(K,),
        a=[0.0],
        b=[0.0],
        omega=slopes,
        beta=np.log(shares),
        eta=lines[:, 0],
        tau=lines[:, 1],
        nu=nu,
    )


def tree(steep=0.0, within=0.0):
    """Two groups of two, that x parts at 0 with a slope, and within the groups at the ends."""
    return hs.MixingMeasure(
        gating="SS", k2=(2, 2), a=[steep, -steep], b=[0.0, 0.0], omega=[within, -within, within, -within],
        beta=[0.0] * 4, eta=[1.0, 2.0, -1.0, -2.0], tau=[0.0, 3.0, 1.0, -2.0], nu=[0.3, 0.5, 0.7, 0.2],
    )  # fmt: skip


def drawn(G, seed=0):
    rng = np.random.default_rng(seed)
    return hs.sample(G, 4000, x=hs.Uniform(-3, 3), seed=rng)


def test_constant_gates_route_nothing_and_count_as_their_entropy():
    shares = np.array([0.7, 0.2, 0.1])
    G = flat(shares, (0.0,) * 3, ((1.0, 0.0), (-1.0, 0.0), (0.0, 2.0)), (0.5,) * 3)
    found = hs.specialization(G, *drawn(G), **NONE)
    assert found["routing information"] == pytest.approx(0.0, abs=1e-12)
    assert found["effective experts"] == pytest.approx(np.exp(entr(shares).sum()), rel=1e-12)
    assert found["routing gain"] == pytest.approx(0.0, abs=1e-12)


def test_steps_route_as_much_as_they_can():
    found = hs.specialization(flat(slopes=(40000.0, -40000.0)), X, **NONE)
    assert found["routing information"] == pytest.approx(np.log(2.0), abs=1e-6)
    assert found["effective experts"] == pytest.approx(2.0, abs=1e-9)
    two = hs.specialization(tree(40000.0), X, **NONE)  # sharp between groups, blind within
    assert two["groups", "routing information"] == pytest.approx(np.log(2.0), abs=1e-6)
    assert two["experts", "routing information"] == pytest.approx(np.log(2.0), abs=1e-6)
    assert two["effective experts"] == pytest.approx(4.0, abs=1e-9)
    assert two["groups", "effective experts"] == pytest.approx(2.0, abs=1e-9)


def test_equal_experts_gain_nothing_however_sharply_they_are_routed():
    G = flat(slopes=(5.0, -5.0), lines=((1.0, 2.0), (1.0, 2.0)))
    found = hs.specialization(G, *drawn(G), **NONE)
    assert found["routing information"] > 0.4
    assert found["routing gain"] == pytest.approx(0.0, abs=1e-12)
    assert found["own-expert advantage"] == pytest.approx(0.0, abs=1e-12)


def test_the_advantage_of_parted_experts_is_their_divergence():
    """Under a step each row's expert stands alone: its gain is = E gap^2 / (2 nu) at equal nu."""
    G = flat(slopes=(40000.0, -40000.0))
    own = np.where(X > 0, X, -X)  # on the own lines: residuals 0 to the one, 2x to the other
    found = hs.specialization(G, X, own, **NONE)
    assert found["own-expert advantage"] == pytest.approx(np.mean((2.0 * X) ** 2) / (2.0 * 0.5), rel=1e-6)
    assert found["routing gain"] == pytest.approx(np.mean(-np.log(0.5 + 0.5 * np.exp(-((2.0 * X) ** 2)))), rel=1e-6)


def test_labels_that_experts_are_have_all_their_entropy():
    G = flat(slopes=(40000.0, -40000.0), lines=((0.0, 50.0), (0.0, -50.0)))
    y = np.where(X > 0, 50.0, -50.0)
    for labels in (X > 0, np.where(X > 0, "right", "left"), np.where(X > 0, 1.0, 2.0)):
        found = hs.specialization(G, X, y, labels, **NONE)
        assert found["alignment"] == pytest.approx(np.log(2.0), abs=1e-6)
        assert found["adjusted Rand index"] == 1.0
    blind = hs.specialization(G, X, y, np.arange(X.size) % 2, **NONE)
    assert blind["alignment"] == pytest.approx(0.0, abs=1e-6)
    assert blind["adjusted Rand index"] == pytest.approx(0.0, abs=2e-3)


def test_each_measure_is_its_definition():
    G = tree(1.5, -0.8)
    X, y = drawn(G)
    near = np.abs(y) < 8.0  # no density underflows
    X, y = X[near], y[near]
    labels = np.digitize(X[:, 0], [-1.0, 0.5])
    found = hs.specialization(G, X, y, labels, **NONE)
    W, r = hs.gate_weights(G, X), hs.responsibilities(G, X, y)
    f = np.stack([
        np.exp(-0.5 * (y - X[:, 0] * eta - tau) ** 2 / nu) / np.sqrt(2 * np.pi * nu)
        for eta, tau, nu in zip(G.eta[:, 0], G.tau, G.nu, strict=True)
    ], axis=1)  # fmt: skip
    pairs = W.reshape(-1, 2, 2)
    level = {"experts": (W, f, r), "groups": (pairs.sum(2), None, r.reshape(-1, 2, 2).sum(2))}
    level["groups"] = level["groups"][0], (W * f).reshape(-1, 2, 2).sum(2) / level["groups"][0], level["groups"][2]
    for name, (gate, density, post) in level.items():
        mean = gate.mean(0)
        expected = {
            "routing information": np.mean(rel_entr(gate, mean).sum(1)),
            "effective experts": np.exp(-np.sum(mean * np.log(mean))),
            "routing gain": np.mean(np.log((gate * density).sum(1)) - np.log(density @ mean)),
            "adjusted Rand index": adjusted_rand(post.argmax(1), labels),
        }
        advantage = 0.0
        for j in range(gate.shape[1]):
            rest = [k for k in range(gate.shape[1]) if k != j]
            others = (gate[:, rest] * density[:, rest]).sum(1) / gate[:, rest].sum(1)
            advantage += np.mean(gate[:, j] * (np.log(density[:, j]) - np.log(others)))
        joint = np.stack([post[labels == c].sum(0) for c in range(3)]) / len(y)
        expected["own-expert advantage"] = advantage
        expected["alignment"] = rel_entr(joint, joint.sum(1)[:, None] * joint.sum(0)).sum()
        for quantity, value in expected.items():
            assert found[name, quantity] == pytest.approx(value, rel=1e-9, abs=1e-12), (name, quantity)


def test_weights_are_numbers_of_rows():
    G = tree(1.0, 0.5)
    X, y = drawn(G)
    X, y = X[:300], y[:300]
    w = np.arange(300) % 3
    labels = np.arange(300) // 100
    rows = np.repeat(np.arange(300), w)
    ours = hs.specialization(G, X, y, labels, weights=w, **NONE)
    theirs = hs.specialization(G, X[rows], y[rows], labels[rows], **NONE)
    assert ours.nobs == theirs.nobs
    for key, (value, *_) in ours.values.items():
        assert theirs.values[key][0] == pytest.approx(value, rel=1e-9), key


def test_intervals_are_of_the_key_and_shrink_with_rows():
    G = tree(1.0, 0.5)
    X, y = drawn(G)
    one, again, other = (hs.specialization(G, X, y, n_boot=100, seed=seed).table for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one["low"].equals(other["low"])
    assert ((one["low"] <= one["value"]) & (one["value"] <= one["high"])).all()
    few = hs.specialization(G, X[:400], y[:400], n_boot=100).table
    regular = one["quantity"] != "effective experts"  # which is at its largest where groups are equal
    width, wide = ((table["high"] - table["low"])[regular] for table in (one, few))
    assert ((wide / width).between(1.5, 6.0)).all()  # the root of 10, and what 100 samples tell


def test_without_y_only_gates_are_measured():
    found = hs.specialization(tree(1.0, 0.5), X, **NONE)
    assert set(found.table["quantity"]) == {"routing information", "effective experts"}
    with_y = hs.specialization(tree(1.0, 0.5), *drawn(tree(1.0, 0.5)), **NONE)
    assert set(with_y.table["level"]) == {"experts", "groups"}
    assert "Specialization on 4000 rows" in repr(with_y)


def test_stability_is_that_of_refits():
    G = flat(slopes=(3.0, -3.0), lines=((1.0, 5.0), (-1.0, -5.0)))
    X, y = drawn(G)
    X, y = X[:300], y[:300]
    fit = hs.fit(X, y, "SS", (2,), n_starts=4)
    found = hs.specialization(fit, X, y, refits=3, **NONE)
    assert found["stability"] > 0.9
    assert found.values["experts", "stability"][1] <= found["stability"] <= found.values["experts", "stability"][2]


def test_frames_are_read_as_the_fit_reads_them():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.uniform(-3, 3, 120), "kind": rng.choice(["a", "b", "c"], 120)})
    y = frame["x"].to_numpy() * np.where(frame["kind"] == "a", 2.0, -1.0) + 0.3 * rng.normal(size=120)
    fit = hs.fit(frame, y, "SS", (2,), n_starts=2)
    other = frame[["kind", "x"]].assign(more=1.0)
    found = hs.specialization(fit, other, y, labels=frame["kind"], **NONE)
    assert found.values == hs.specialization(fit.measure, fit.known_data().X, y, labels=frame["kind"], **NONE).values


def test_categorical_experts_are_measured_by_the_same_definitions():
    rng = np.random.default_rng(3)
    X, y, labels = rng.normal(size=(200, 2)), rng.choice(["a", "b", "c"], 200), rng.integers(2, size=200)
    sizes = {"a": (2, 2), "b": (2,), "omega": (3, 2), "beta": (3,), "eta": (3, 2, 2), "tau": (3, 2)}
    parts = {name: rng.normal(size=size) for name, size in sizes.items()}
    G = hs.CategoricalMeasure(gating="LS", k2=(2, 1), classes=("a", "b", "c"), **parts)
    found = hs.specialization(G, X, y, labels=labels, **NONE)
    gate, r = G.gate_weights(X), G.responsibilities(X, y)
    chosen = np.array(["abc".index(label) for label in y])
    density = G.expert_proba(X)[np.arange(200), :, chosen]
    entropy = lambda p: -(p * np.log(p)).sum(axis=-1)  # noqa: E731
    whole = np.log((gate * density).sum(axis=1)).mean()
    assert found["routing information"] == pytest.approx(entropy(gate.mean(axis=0)) - entropy(gate).mean(), rel=1e-12)
    assert found["routing gain"] == pytest.approx(whole - np.log(density @ gate.mean(axis=0)).mean(), rel=1e-10)
    both = np.stack([r[labels == c].sum(axis=0) / 200 for c in (0, 1)])
    told = entropy(both.sum(axis=0)) + entropy(both.sum(axis=1)) - entropy(both.ravel())
    assert found["alignment"] == pytest.approx(told, rel=1e-9)
    assert whole == pytest.approx(G.log_density(X, y).mean(), rel=1e-12)
    assert set(found.table["level"]) == {"experts", "groups"}


def test_what_is_no_argument_is_refused():
    G, (X, y) = tree(), drawn(tree())
    wrong = [
        (dict(labels=np.zeros(3)), "labels must be one a row"),
        (dict(labels=[None] * len(y)), "labels must be no missing"),
        (dict(y=None, labels=np.zeros(len(y))), "y must be given where labels are"),
        (dict(y=None, refits=2), "y must be given where refits are"),
        (dict(refits=2), "fit must be one of hmoe_stats.fit"),
        (dict(n_boot=-1), "n_boot"),
        (dict(level=2.0), "level"),
    ]
    for options, said in wrong:
        with pytest.raises(ValueError, match=said):
            hs.specialization(G, X, **({"y": y} | options))
