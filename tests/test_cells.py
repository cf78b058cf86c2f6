"""Cells of rows, and the search that looks at them first."""

import numpy as np
import pytest

import hmoe_stats as hs
from hmoe_stats.fitting import mle, moves, rows

LAW = hs.Uniform(-3, 3)


def flat(nu=(0.3, 0.6)):
    return hs.MixingMeasure(
        gating="SS", k2=(2,), a=[[0.0]], b=[0.0], omega=[[0.5], [-0.5]], beta=[0.3, 0.0], eta=[[0.8], [-0.6]],
        tau=[-3.0, 3.0], nu=nu,
    )  # fmt: skip


@pytest.fixture
def few(monkeypatch):
    """Cells of a few rows each, where rows are few."""
    monkeypatch.setattr(moves, "CELLED", 1000)
    monkeypatch.setattr(moves, "CELLS", 100)
    monkeypatch.setattr(mle, "cells", lambda X, y, weights: rows.cells(X, y, weights, most=500, strips=30))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("most", "strips"), [(500, 30), (900, 12)])
def test_cells_have_the_rows_weights_and_means(weighted, most, strips):
    rng = np.random.default_rng(3)
    X, y = rng.exponential(size=(5000, 1)), rng.standard_t(3, size=5000)
    weights = rng.integers(1, 5, 5000).astype(float) if weighted else None
    w = np.ones(5000) if weights is None else weights
    places, means, counts, width, height = rows.cells(X, y, weights, most, strips)
    assert 0.9 * most <= counts.size <= most
    assert counts.sum() == w.sum()
    assert counts @ means == pytest.approx(w @ y)
    assert counts @ places[:, 0] == pytest.approx(w @ X[:, 0])
    assert np.unique(places).size <= strips
    assert np.ptp(X) / strips / 3 < width < np.ptp(X) / strips * 3
    for place in np.unique(places):  # no cell of a strip is within another's
        of = np.sort(means[places[:, 0] == place])
        assert (of[2:] - of[:-2] > height).all()


def test_equal_rows_are_one_cell():
    X, y = np.repeat([[0.0], [1.0], [4.0]], 50, axis=0), np.tile([1.0, 2.0, 7.0, 7.0, 2.0], 30)
    places, means, counts, width, _ = rows.cells(X, y)
    assert sorted(zip(places[:, 0], means, counts, strict=True)) == [
        (x, value, count) for x in (0.0, 1.0, 4.0) for value, count in ((1.0, 10.0), (2.0, 20.0), (7.0, 20.0))
    ]
    assert width == 0.0


@pytest.mark.parametrize("fit", [hs.fit_mle, hs.fit])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_search_on_cells_ends_at_a_maximum_of_all_rows(few, fit, weighted):
    X, y = hs.sample(flat(), 3000, x=LAW, seed=1)
    weights = np.random.default_rng(0).integers(1, 4, 3000).astype(float) if weighted else None
    found, plain = (fit(X, y, "SS", (2,), effort=effort, n_starts=6, weights=weights) for effort in ("cells", "quick"))
    assert found.status == "converged"
    assert set(found.starts["kind"]) == {"cells"}
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    assert found.data.y.size == 3000
    assert found.effort.startswith("cells")


@pytest.mark.parametrize("nu", [(0.3, 1e-5), (1e-5, 1e-5)])
def test_experts_narrower_than_cells_are_sought_among_all_rows(few, nu):
    X, y = hs.sample(flat(nu), 3000, x=LAW, seed=1)
    found, plain = (hs.fit_mle(X, y, "SS", (2,), effort=effort, n_starts=6) for effort in ("cells", "quick"))
    assert "cells" not in set(found.starts["kind"])
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)


@pytest.mark.parametrize("effort", ["quick", "usual", None])
def test_no_other_effort_looks_at_cells(few, effort):
    X, y = hs.sample(flat(), 1500, x=LAW, seed=1)
    search, _ = mle.prepared(
        X[:, None] if X.ndim == 1 else X, y, "SS", (2,), None, None, None, 1e-8, 500, 0, False, effort, None, 1.0,
        None, None,
    )  # fmt: skip
    assert search.on_cells is None


def test_an_interrupt_on_cells_gives_what_they_had(few):
    X, y = hs.sample(flat(), 3000, x=LAW, seed=1)

    def watch(progress):
        if progress.k2 == (2,) and progress.rows < 3000 and progress.move == "finish":
            raise KeyboardInterrupt

    found = hs.fit_mle(X, y, "SS", (2,), effort="cells", n_starts=6, verbose=watch)
    whole = hs.fit_mle(X, y, "SS", (2,), effort="quick", n_starts=6)
    assert found.status == "interrupted"
    assert found.log_likelihood == pytest.approx(hs.log_likelihood(found.measure, X, y))
    assert whole.log_likelihood - 5 < found.log_likelihood < whole.log_likelihood
