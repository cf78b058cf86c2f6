"""Applied studies: splits, scores, differences with their intervals, and the commands that show them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hmoe_stats as hs
from simulations import runner
from simulations.applied import models, overview, pictures, tables, tasks
from simulations.applied.study import Applied
from simulations.checks import check_study
from simulations.store import Store
from simulations.study import StudyError, load_study, shipped_studies

VALUES = {
    "kind": "applied",
    "name": "small",
    "tasks": ["iris", "motorcycle", "penguins"],
    "models": ["SS", "LL", "linear"],
    "reference": "SS",
    "k2": [[2]],
    "replicates": 3,
    "seed": 1,
    "primary": ["log loss"],
    "margin": 0.05,
    "n_starts": 1,
}
ROOT = Path(__file__).resolve().parents[1]
HMOE = [sys.executable, "-m", "simulations"]
TOML = "\n".join(f"{key} = {json.dumps(value)}" for key, value in VALUES.items())


def small(**changes):
    return Applied.model_validate(VALUES | changes)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A small study that was run, its store's table."""
    study, path = small(), tmp_path_factory.mktemp("applied") / "s.sqlite"
    with Store(path, study, write=True) as store:
        assert runner.run(study, store, progress=False) == 27
    with Store(path, study) as store:
        return study, path, store.frame()


# -- studies and cells ------------------------------------------------------------------------------------------------
def test_studies_that_ship_can_be_run():
    shipped = [load_study(name) for name in shipped_studies() if name.startswith("applied-")]
    assert len(shipped) == 6
    for study in shipped:
        check_study(study)
    assert {study.kind for study in shipped} == {"applied", "simulation"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": ["iris", "moon"]}, r"tasks\[1\]: expected a task: digits"),
        ({"models": ["SS", "ZZ"]}, r"models\[1\]: expected a gating"),
        ({"models": ["SS tuned gates on C"]}, r"models\[0\]: expected a gating"),
        ({"reference": "LS"}, "reference = one of the models"),
        ({"primary": ["accuracy"]}, r"primary\[0\]: expected a score: log loss"),
        ({"margin": 0.0}, "margin: expected greater than 0"),
        ({"models": ["SS", "k-means"]}, "tasks with hidden domains"),
        ({"models": ["SS", "network"]}, "tasks whose y is a class"),
        ({"models": ["SS", "SS gates on A"]}, "tasks with blocks of columns"),
        ({"scale": [1.0]}, "scale: unknown key; did you mean 'scales'"),
        ({"replicates": 1}, "replicates: expected"),
    ],
)
def test_what_is_no_study_is_refused_by_its_key(tmp_path, changes, said):
    file = tmp_path / "s.toml"
    file.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in (VALUES | changes).items()))
    with pytest.raises(StudyError, match=said):
        load_study(file)


def test_flat_models_that_share_their_gate_are_fitted_once_and_references_have_no_size():
    study = small(models=["SS", "LS", "LL", "SL", "QQ", "linear"], k2=[[2], [2, 2]], tasks=["iris"])
    found = [(cell.gating, cell.k2) for cell in study.corners()]
    assert [name for name, k2 in found if k2 == (2,)] == ["iris: SS", "iris: LL", "iris: QQ"]
    assert sum(k2 == (2, 2) for _, k2 in found) == 5
    assert [k2 for name, k2 in found if name == "iris: linear"] == [()]


# -- data -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", tasks.TASKS)
def test_splits_are_of_the_sizes_they_say_and_of_the_key_alone(name):
    study, task = small(tasks=[name]), tasks.TASKS[name]
    one, again, other = (study.split(name, replicate) for replicate in (0, 0, 1))
    assert len(one.X) == len(one.y) == task.rows
    assert len(one.X_new) == len(one.y_new) == task.new
    assert one.classes is task.classes
    assert (one.labels is not None) is task.domains
    assert bool(one.blocks) is task.blocks
    assert np.isfinite(np.vstack([one.X, one.X_new])).all()
    np.testing.assert_array_equal(one.X, again.X)
    assert not np.array_equal(one.y, other.y)
    if task.classes:
        assert set(one.y_new) <= set(one.y)
    if task.blocks:
        assert sorted(one.blocks["A"] + one.blocks["B"]) == list(range(one.X.shape[1]))
        for block, columns in one.blocks.items():
            X, y = one.elsewhere[f"without {block}"]
            assert np.ptp(X[:, columns], axis=0).max() == 0
            assert np.array_equal(y, one.y_new)


def test_no_row_that_judges_was_fitted():
    for name in ("penguins", "auto-mpg", "digits in blocks"):
        split = small(tasks=[name]).split(name, 0)
        width = slice(0, 4)  # of digits the block that is computed image by image
        old, new = ({tuple(row) for row in np.column_stack([X[:, width], y])} for X, y in (split[:2], split[2:4]))
        assert not old & new


def test_units_change_nothing_but_x():
    study = small(tasks=["penguins, x times 1", "penguins, x times 10"])
    one, ten = (study.split(name, 2) for name in study.tasks)
    np.testing.assert_allclose(ten.X, 10.0 * one.X)
    np.testing.assert_array_equal(ten.y_new, one.y_new)


def test_domains_are_what_is_done_to_images():
    pixels = np.arange(128.0).reshape(2, 64)
    turned = tasks._turned(pixels, 1).reshape(2, 8, 8)
    np.testing.assert_array_equal(turned[0], np.rot90(pixels[0].reshape(8, 8)))
    split = small(tasks=["changing relation"]).split("changing relation", 0)
    for domain, line in enumerate((lambda x: 2 * x[:, 0], lambda x: -2 * x[:, 0], lambda x: 2 * x[:, 1])):
        mine = split.labels == domain
        assert np.std(split.y_new[mine] - line(split.X_new[mine])) == pytest.approx(0.5, abs=0.05)


# -- scores -----------------------------------------------------------------------------------------------------------
def scores_in(row):
    return {name: value for _, _, _, name, _, value in row["errors"]}


def test_scores_are_those_of_the_stored_fit_on_the_rows_that_judge():
    study = small(tasks=["motorcycle", "penguins in species", "iris"], k2=[[2, 1]])
    for cell in (cell for cell in study.corners() if cell.k2):
        row, split = study.fitted(cell), study.split(cell.gating.partition(": ")[0], 0)
        found, X, y = scores_in(row), split.X_new, split.y_new
        if split.classes:
            G = hs.CategoricalMeasure.from_dict(row["parameters"])
            proba = G.predict_proba(X)
            chosen = proba[np.arange(len(y)), np.searchsorted(G.classes, y)]
            assert found["log loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-9)
            assert found["error rate"] == pytest.approx(np.mean(np.array(G.classes)[proba.argmax(axis=1)] != y))
            continue
        G = hs.MixingMeasure.from_dict(row["parameters"])
        assert found["log loss"] == pytest.approx(-hs.log_density(G, X, y).mean(), rel=1e-9)
        gap = hs.predict(G, X) - y
        assert found["root mean square error"] == pytest.approx(np.sqrt(np.mean(gap**2)) / y.std(), rel=1e-9)
        assert ("alignment" in found) is (split.labels is not None)
        if split.labels is not None:
            r = hs.responsibilities(G, X, y)
            groups = np.stack([r[:, :2].sum(axis=1), r[:, 2]], axis=1).argmax(axis=1)
            from sklearn.metrics import adjusted_rand_score

            assert found["adjusted Rand, posterior"] == pytest.approx(adjusted_rand_score(split.labels, groups))


def test_calibration_is_that_of_the_likeliest_class():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(3), 1000)
    classes = np.array(["a", "b", "c"])
    y = classes[[rng.choice(3, p=p) for p in proba]]
    honest = models.of_classes(proba, classes, y)
    sharp = proba**4 / (proba**4).sum(axis=1, keepdims=True)
    boastful = models.of_classes(sharp, classes, y)
    assert honest["error rate"] == boastful["error rate"] == np.mean(classes[proba.argmax(axis=1)] != y)
    assert honest["calibration error"] < 0.06 < 0.15 < boastful["calibration error"]
    always = models.of_classes(np.tile([1.0, 0.0, 0.0], (10, 1)), classes, np.array(["a"] * 4 + ["b"] * 6))
    assert always == {"error rate": 0.6, "calibration error": pytest.approx(0.6)}


def test_a_scale_is_chosen_within_the_rows_that_are_fitted(monkeypatch):
    split = small(tasks=["iris"]).split("iris", 0)
    seen, fit = [], hs.fit_categorical

    def watched(X, y, *args, **options):
        seen.append((len(X), options.get("laplace_scale")))
        assert {tuple(row) for row in X} <= {tuple(row) for row in split.X}
        return fit(X, y, *args, **options)

    monkeypatch.setattr(hs, "fit_categorical", watched)
    models.model_of("LL tuned").row(split, (2,), (1.0, 9.0), 1, 0)
    assert seen[:2] == [(75, 1.0), (75, 9.0)]
    assert seen[2][0] == 100
    assert seen[2][1] in (1.0, 9.0)
    assert models.model_of("SS tuned")._fit(split, (2,), (1.0, 9.0), 1, 0).measure.gating == "SS"
    assert len(seen) == 4  # a softmax gate has no scale


def test_references_are_those_of_scikit_learn():
    from sklearn.linear_model import LinearRegression

    split = small(tasks=["penguins"]).split("penguins", 0)
    found = scores_in(models.model_of("linear").row(split, (), (3.0,), 1, 0))
    made = LinearRegression().fit(split.X, split.y)
    sd = np.std(split.y - made.predict(split.X))
    wanted = -stats.norm.logpdf(split.y_new, made.predict(split.X_new), sd).mean()
    assert found["log loss"] == pytest.approx(wanted, rel=1e-9)
    split = small(tasks=["penguins in species"]).split("penguins in species", 0)
    for name in models.CLUSTERS:
        assert 0.3 < scores_in(models.model_of(name).row(split, (), (3.0,), 1, 0))["adjusted Rand, posterior"] < 1.0
    split = small(tasks=["wine"]).split("wine", 0)
    for name in ("linear", "forest", "network"):
        assert scores_in(models.model_of(name).row(split, (), (3.0,), 1, 0))["log loss"] < 0.25


def test_a_score_that_is_no_number_fails_its_cell():
    with pytest.raises(ArithmeticError, match="the score log loss is inf"):
        models.written({"log loss": np.inf})


# -- tables -----------------------------------------------------------------------------------------------------------
def test_differences_are_paired_and_know_that_splits_share_rows(ran):
    study, _, frame = ran
    wide, table = tables.scores_of(frame), tables.differences(study, frame)
    values = wide.loc[("motorcycle", "LL", "2")]["log loss"] - wide.loc[("motorcycle", "SS", "2")]["log loss"]
    row = table[(table["task"] == "motorcycle") & (table["model"] == "LL") & (table["score"] == "log loss")].iloc[0]
    assert row["difference"] == pytest.approx(values.mean(), rel=1e-12)
    together = 6  # two models on three tasks
    half = stats.t.ppf(1 - 0.025 / together, 2) * values.std(ddof=1) * np.sqrt(1 / 3 + 33 / 100)
    assert row["high"] - row["difference"] == pytest.approx(half, rel=1e-9)
    linear = table[(table["model"] == "linear") & (table["score"] == "log loss") & (table["task"] == tables.ALL)].iloc[
        0
    ]
    means = table[(table["model"] == "linear") & (table["score"] == "log loss") & (table["task"] != tables.ALL)]
    assert linear["difference"] == pytest.approx(means["difference"].mean(), rel=1e-12)
    assert linear["splits"] == 3
    half = stats.t.ppf(1 - 0.025 / 2, 2) * means["difference"].std(ddof=1) / np.sqrt(3)
    assert linear["high"] - linear["difference"] == pytest.approx(half, rel=1e-9)
    assert (table["verdict"] != "").equals(table["primary"])


def test_splits_that_are_samples_of_their_own_share_nothing():
    study = small(tasks=["changing relation", "penguins"], models=["SS", "linear"], replicates=4)
    rng = np.random.default_rng(0)
    rows = [
        (cell.gating, "2" if cell.k2 else "", r, "log loss", "score", rng.normal())
        for cell in study.corners()
        for r in range(4)
    ]
    frame = pd.DataFrame(rows, columns=["gating", "k2", "replicate", "parameter", "kind", "error"])
    table, wide = tables.scores(study, frame), tables.scores_of(frame)
    for task, factor in (("changing relation", 1 / 4), ("penguins", 1 / 4 + 92 / 250)):
        values = wide.loc[(task, "SS", "2")]["log loss"]
        row = table[(table["task"] == task) & (table["model"] == "SS")].iloc[0]
        assert row["standard_error"] == pytest.approx(values.std(ddof=1) * np.sqrt(factor), rel=1e-12)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.01, 0.02, "agrees within the margin"),
        (0.01, 0.02, "differs, agrees within the margin"),
        (0.01, 0.2, "differs"),
        (-0.2, 0.01, "undecided"),
        (np.nan, np.nan, "undecided"),
    ],
)
def test_verdicts(low, high, said):
    assert tables.verdict(low, high, 0.05) == said


def test_one_figure_and_one_page_whatever_there_is(ran):
    study, _, frame = ran
    scores, differences = tables.scores(study, frame), tables.differences(study, frame)
    assert len(pictures.figure(study, scores, differences).axes) == 3
    many = small(tasks=["iris", "wine", "breast cancer", "species", "motorcycle", "geyser", "penguins"])
    assert len(pictures.figure(many, scores, differences).axes) == 2
    page = pictures.page(study, TOML, "declared <today>", scores, differences)
    assert "declared &lt;today&gt;" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_gates_at_work_has_a_panel_for_each_study_and_is_left_out_where_one_is_missing(tmp_path):
    assert overview.figure(tmp_path) is None
    drawn = overview.figure(ROOT / "figures")
    assert len(drawn.axes) == len(overview.STUDIES) == 6
    names = [label.get_text() for label in drawn.axes[1].get_yticklabels()]
    assert names == ["SL", "LS", "LL", "QQ", "linear", "forest"]
    values = pd.read_csv(ROOT / "figures" / "applied-tables" / "differences.csv")
    values = values[(values["task"] == "all") & (values["score"] == "log loss")]["difference"]
    np.testing.assert_allclose(drawn.axes[1].lines[0].get_xdata(), values)


# -- runs -------------------------------------------------------------------------------------------------------------
def test_a_run_that_was_stopped_ends_at_the_same_table(ran, tmp_path):
    study, _, frame = ran
    with Store(tmp_path / "s.sqlite", small(replicates=2), write=True) as store:
        assert runner.run(small(replicates=2), store, progress=False) == 18
    with Store(tmp_path / "s.sqlite", study, write=True) as store:
        assert runner.run(study, store, progress=False) == 9
    with Store(tmp_path / "s.sqlite", study) as store:
        pd.testing.assert_frame_equal(store.frame(), frame)
        assert "replicates 2 -> 3" in store.protocol().line


def test_commands(ran, tmp_path):
    _, path, _ = ran
    (tmp_path / "small.toml").write_text(TOML)

    def hmoe(*args):
        call = [*HMOE, *args, "--results", str(path)]
        return subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    assert (
        "nothing wrong"
        in subprocess.run([*HMOE, "check", "small.toml"], cwd=tmp_path, capture_output=True, text=True).stdout
    )
    assert "27 of 27 cells" in hmoe("status", "small.toml").stdout
    said = hmoe("rates", "small.toml").stdout
    assert "declared before the first fit" in said
    assert "less that of SS" in said
    found = json.loads(hmoe("rates", "small.toml", "--json").stdout)
    assert set(found) == {"study", "declared", "scores", "differences"}
    assert hmoe("plot", "small.toml", "--out", "figures").returncode == 0
    folder = tmp_path / "figures" / "small"
    made = {"small.png", "small.svg", "scores.csv", "differences.csv", "declared.txt"}
    assert {file.name for file in folder.iterdir()} == made
    assert list(pd.read_csv(folder / "differences.csv")) == tables.DIFFERENCE
    assert hmoe("report", "small.toml", "--out", "figures").returncode == 0
    refused = hmoe("plan", "small.toml")
    assert refused.returncode == 2
    assert "an applied study has no rates" in refused.stderr


def test_an_applied_study_is_no_simulation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(TOML)
    other = load_study("toy").model_copy(update={"beside": ["small.toml"]})
    with pytest.raises(StudyError, match=r"beside\[0\]: small.toml: an applied study has no rates"):
        check_study(other)
    done = subprocess.run([*HMOE, "evidence", "applied-images"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "hmoe: applied-images: an applied study has no rates: expected a simulation\n"
