"""Studies of random truths: one for each replicate, at all n, from the data to the errors."""

import pytest

import hmoe_stats as hs
from simulations import measures, runner
from simulations.checks import check_study
from simulations.store import Store
from simulations.study import Cell, Study, StudyError

VALUES = {
    "name": "small",
    "truth": {"separation": [3.0, 100.0]},
    "gatings": ["SS", "LL"],
    "k2": [[2, 2]],
    "n": [200, 400],
    "replicates": 3,
    "x": {"law": "uniform", "low": -3.0, "high": 3.0},
    "seed": 7,
    "fit": {"local": True, "n_starts": 1},
}


def small(**changes):
    return Study(**VALUES | changes)


def test_every_replicate_has_a_truth_of_its_own_at_all_sizes_and_keeps_it_when_a_study_grows():
    study = small()
    truths = [study.measure("SS", replicate) for replicate in study.truths]
    assert len({G.tau.tobytes() for G in truths}) == 3
    assert truths == [small(n=[10**6], replicates=9, gatings=["SS"]).measure("SS", r) for r in range(3)]
    assert truths[1] != small(seed=8).measure("SS", 1) != small(truth={"separation": [1.0, 2.0]}).measure("SS", 1)
    assert list(Study(**VALUES | {"truth": "C2"}).truths) == [0]


@pytest.mark.parametrize("data", ["rows", "lattice"])
def test_cells_are_sampled_fitted_and_measured_at_the_truth_of_their_replicate(tmp_path, data):
    study = small(data=data, n=[400], fit=VALUES["fit"] | {"bounds": {"nu": [0.04, 4.0]}})
    with Store(tmp_path / "s.sqlite", study, write=True) as store:
        runner.run(study, store, progress=False)
        frame = store.frame()
    for gating in study.gatings:
        for replicate in range(3):
            truth = study.measure(gating, replicate)
            X, y, counts = study.sample(gating, 400, replicate)
            row = runner.run_cell(study, Cell(gating, (2, 2), 400, replicate))
            fitted = hs.MixingMeasure.from_dict(row["parameters"])
            gain = 2 * hs.log_likelihood(fitted, X, y, counts, relative_to=truth)
            assert row["certificate"]["gain"] == pytest.approx(gain, abs=1e-9)
            assert 0 < gain < 80
            mine = frame[(frame["gating"] == gating) & (frame["replicate"] == replicate)]
            wanted = hs.parameter_errors(fitted, truth, study.law)["error"]
            found = mine[~mine["kind"].isin(["loss", "divergence", "function"])]["error"]
            assert found.tolist() == pytest.approx(wanted.tolist(), rel=1e-12)
    assert set(frame["truth"]) == {"random"}
    assert len(measures.asked_by(study)) > 1


def test_a_separation_that_is_none_is_said():
    with pytest.raises(StudyError, match="truth: separation must be a pair"):
        check_study(small(truth={"separation": [2.0, 1.0]}))
    check_study(small())
