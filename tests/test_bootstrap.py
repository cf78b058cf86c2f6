"""The bootstrap: numbers against closed forms, labels, the file, and the same samples on any number of workers."""

import json
from dataclasses import replace

import naive
import numpy as np
import pytest
from conftest import PURE_PYTHON

import hmoe_stats as hs
from hmoe_stats.inference.bootstrap import aligned

pytestmark = pytest.mark.skipif(PURE_PYTHON, reason="fits without the compiler take minutes")

LAW = hs.Uniform(-3, 3)


@pytest.fixture(scope="module")
def flat():
    """Two experts under one softmax gate, n = 400."""
    G = hs.MixingMeasure(gating="SS", k2=(2,), a=[0], b=[0], omega=[0.5, 0], beta=[0.3, 0], eta=[0.5, -0.5],
                         tau=[-2, 2], nu=[0.4, 0.8])  # fmt: skip
    X, y = hs.sample(G, 400, x=LAW, seed=7)
    return hs.fit_mle(X, y, "SS", (2,), start=G, n_starts=1)


def test_one_expert_has_the_laws_of_least_squares(rng):
    """Parametric: eta normal with the known variance, n nu* / nu chi-square. Of rows: near the sandwich."""
    X = rng.normal(size=(80, 1)) + 1.0
    y = 2 * X[:, 0] + rng.normal(size=80) * (0.2 + 0.6 * np.abs(X[:, 0]))
    fit = hs.fit_mle(X, y, "SS", (1,), n_starts=1)
    found = fit.bootstrap(400, seed=3)
    assert found.statuses == {"converged": 400}
    np.testing.assert_allclose(found.bse[["eta[0,0]", "tau[0]"]], fit.bse[["eta[0,0]", "tau[0]"]], rtol=0.12)
    assert found.params.corr().loc["eta[0,0]", "tau[0]"] == pytest.approx(
        fit.cov_params().loc["eta[0,0]", "tau[0]"] / fit.bse["eta[0,0]"] / fit.bse["tau[0]"], abs=0.06
    )
    ratio = np.exp(found.params["log_nu[0]"]) / fit.measure.nu[0]
    assert ratio.mean() == pytest.approx(78 / 80, abs=4 * np.sqrt(2 / 80 / 400))
    rows = fit.bootstrap(400, kind="rows", seed=3)
    wanted = np.sqrt(np.diag(fit.cov_params("sandwich")))
    np.testing.assert_allclose(rows.bse, wanted, rtol=0.2)
    assert abs(rows.bse["eta[0,0]"] / fit.bse["eta[0,0]"] - 1) > 0.25  # the model is wrong, and only rows know


def test_intervals_are_quantiles_of_samples(flat):
    found = flat.bootstrap(40, seed=1)
    at = np.array([-1.0, 2.0])
    low, high = np.quantile(found.params, [0.05, 0.95], axis=0)
    table, mirrored = found.conf_int(0.9), found.conf_int(0.9, "basic")
    np.testing.assert_allclose(table, np.column_stack([low, high]))
    values = flat.params.to_numpy()[:, None]
    np.testing.assert_allclose(mirrored, 2 * values - np.column_stack([high, low]))
    for of, k, f in (("mean", 0, naive.predict), ("gates", 1, lambda G, X: naive.gate_weights(G, X)[:, 1])):
        each = np.array([f(G, at[:, None]) for G in found.measures])
        table = found.intervals(of, at, 0.9)[2 * k : 2 * k + 2]
        np.testing.assert_allclose(table[["low", "high"]].T, np.quantile(each, [0.05, 0.95], axis=0))
        np.testing.assert_allclose(table["std_err"], each.std(axis=0, ddof=1))
        np.testing.assert_allclose(table["estimate"], f(flat.measure, at[:, None]))
    mine = found.delta(lambda G: naive.predict(G, at[:, None]), 0.9)
    np.testing.assert_allclose(mine[["low", "high"]], found.intervals("mean", at, 0.9)[["low", "high"]])
    np.testing.assert_allclose(found.bse, flat.bse, rtol=0.5)
    np.testing.assert_allclose(found.cov_params(), np.cov(found.params.T))
    assert repr(found) == "Bootstrap: 40 parametric samples (40 converged)"


@pytest.mark.parametrize("kind", ["parametric", "rows"])
def test_numbers_are_the_same_on_any_number_of_workers_and_after_a_stop(kind, flat, tmp_path):
    one = flat.bootstrap(6, kind, seed=5)
    assert flat.bootstrap(6, kind, seed=5, n_jobs=2).rows == one.rows
    assert flat.bootstrap(9, kind, seed=5).rows[:6] == one.rows
    assert flat.bootstrap(6, kind, seed=6).rows != one.rows
    file = tmp_path / "samples.jsonl"
    flat.bootstrap(4, kind, seed=5, file=file)
    whole = file.read_bytes()
    file.write_bytes(whole[: whole[:-1].rfind(b"\n") + 1] + b'{"sample": 3, "status": "' + 2000 * b"x")  # torn
    assert flat.bootstrap(6, kind, seed=5, file=file).rows == one.rows
    assert file.read_bytes().startswith(whole[: whole[:-1].rfind(b"\n") + 1])
    done = file.read_bytes()
    assert len(done.splitlines()) == 7
    assert flat.bootstrap(3, kind, seed=5, file=file).rows == one.rows[:3]
    assert file.read_bytes() == done


def test_samples_in_the_file_are_not_made_again(flat, tmp_path):
    file = tmp_path / "samples.jsonl"
    flat.bootstrap(3, seed=5, file=file)
    head, first, *rest = file.read_text().splitlines()
    told = json.dumps(json.loads(first) | {"log_likelihood": 123.0})
    file.write_text("\n".join([head, told, *rest]) + "\n")
    assert [row["log_likelihood"] == 123.0 for row in flat.bootstrap(4, seed=5, file=file).rows] == [True] + [False] * 3


def test_a_file_of_other_samples_is_refused_and_left_alone(flat, tmp_path):
    file = tmp_path / "samples.jsonl"
    flat.bootstrap(2, seed=5, file=file)
    before = file.read_bytes()
    X, y, _ = flat.data
    other = hs.fit_mle(X, y + 0.01 * X[:, 0], "SS", (2,), start=flat.measure, n_starts=1)
    for ask in (
        lambda: flat.bootstrap(2, seed=6, file=file),
        lambda: flat.bootstrap(2, "rows", seed=5, file=file),
        lambda: flat.bootstrap(2, seed=5, file=file, n_starts=2),
        lambda: other.bootstrap(2, seed=5, file=file),
    ):
        with pytest.raises(ValueError, match="file must hold samples of this fit, kind, seed and n_starts; got others"):
            ask()
    assert file.read_bytes() == before
    file.write_text("speed,load\n1,2\n")
    with pytest.raises(ValueError, match="file must hold bootstrap samples"):
        flat.bootstrap(2, seed=5, file=file)
    assert file.read_text() == "speed,load\n1,2\n"
    file.write_text("no line end")
    with pytest.raises(ValueError, match="file must hold"):
        flat.bootstrap(2, seed=5, file=file)
    assert file.read_text() == "no line end"


@pytest.mark.parametrize("gating", ["SS", "SL", "LS", "LL"])
def test_labels_are_those_of_the_fit(gating, rng):
    G = hs.datasets.truth("C3", gating)
    X = rng.uniform(-3, 3, (300, 1))
    near = G.with_vector(G.to_vector() + 0.02 * rng.normal(size=G.n_parameters))
    for _ in range(4):
        assert aligned(G, naive.permuted(rng, near), X) == near


def test_groups_of_other_sizes_are_not_matched(rng):
    G = hs.datasets.truth("C2", "SS").replace(k2=(3, 1))
    X = rng.uniform(-3, 3, (300, 1))
    assert aligned(G, G.replace(tau=G.tau + 0.1), X) == G.replace(tau=G.tau + 0.1)
    changed = G.replace(tau=[5.9, 6.0, 6.1, -2.0], eta=[-0.3, -0.3, -0.3, -0.3])
    assert aligned(G, changed, X) is None


def test_two_experts_in_one_cell_get_labels_of_their_own(rng):
    """Both fitted experts are nearest to expert 1; the farther of them stands for expert 0."""
    G = hs.datasets.truth("C2", "SS")
    tau = G.tau.copy()
    tau[:2] = tau[1] + 0.1, tau[1] - 0.8
    H = G.replace(tau=tau, eta=np.full(4, G.eta[1, 0]))
    assert list(aligned(G, H, rng.uniform(-3, 3, (300, 1))).tau[:2]) == [tau[1], tau[0]]


def test_weights_are_numbers_of_rows(rng):
    X = rng.normal(size=(60, 1))
    y = X[:, 0] + rng.normal(size=60)
    weights = rng.integers(1, 5, 60).astype(float)
    fit = hs.fit_mle(X, y, "SS", (1,), n_starts=1, weights=weights)
    for kind in ("parametric", "rows"):
        found = fit.bootstrap(150, kind, seed=1)
        assert found.bse["tau[0]"] == pytest.approx(np.sqrt(np.diag(fit.cov_params("sandwich")))[1], rel=0.35)
        assert found.bse["tau[0]"] == pytest.approx(fit.bse["tau[0]"], rel=0.35)
    half = hs.fit_mle(X, y, "SS", (1,), n_starts=1, weights=weights + 0.5)
    with pytest.raises(ValueError, match="kind must be 'rows' under weights that are not integers"):
        half.bootstrap(2)
    assert half.bootstrap(2, "rows").statuses == {"converged": 2}


def test_fits_that_do_not_count_are_counted(flat):
    found = flat.bootstrap(5, seed=2)
    rows = [*found.rows[:3], found.rows[3] | {"status": "degenerate"}, {"status": "failed", "log_likelihood": None,
            "vector": None, "message": "y must vary"}]  # fmt: skip
    found = replace(found, rows=tuple(rows))
    assert found.statuses == {"converged": 3, "degenerate": 1, "failed": 1}
    assert len(found.params) == 3
    with pytest.raises(ValueError, match="at least 2 samples that count; got 1"):
        _ = replace(found, rows=tuple(rows[2:])).params


def test_a_refit_is_made_as_the_fit_was(flat):
    """The box, the tolerance and the estimator are those of the fit; degenerate fits have no samples."""
    X, y, _ = flat.data
    boxed = hs.fit_mle(X, y, "SS", (2,), start=flat.measure, n_starts=1, bounds={"nu": (0.5, 9.0)})
    assert boxed.status == "boundary"
    found = boxed.bootstrap(8, seed=1)
    assert np.exp(found.params[["log_nu[0]", "log_nu[1]"]]).to_numpy().min() > 0.4999
    em = hs.fit_em(X, y, "SS", (2,), start=flat.measure, max_iter=7)
    assert set(em.bootstrap(3).statuses) == {"max_iter"}
    with pytest.raises(ValueError, match="the fit must be an estimate; got one that is degenerate"):
        replace(flat, status="degenerate", message="why").bootstrap(3)
