"""Tables of a person's own: categories, missing values, new frames; the same fit as from arrays made by hand."""

import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest

import hmoe_stats as hs
from hmoe_stats.frames import Design, RowsLeftOut, taken
from hmoe_stats.selection import stability

N = 90
FITS = {
    "fit": lambda X, y, **o: hs.fit(X, y, **{"gating": "SS", "k2": (2,), "n_starts": 2} | o),
    "fit_mle": lambda X, y, **o: hs.fit_mle(X, y, **{"gating": "SS", "k2": (2,), "n_starts": 2} | o),
    "fit_em": lambda X, y, **o: hs.fit_em(X, y, **{"gating": "SS", "k2": (2,), "max_iter": 20} | o),
}


def table(n=N):
    """X with two columns of numbers, a truth value and two of categories; y."""
    rng = np.random.default_rng(20260)
    X = pd.DataFrame({"bill": rng.normal(40, 5, n), "island": rng.choice(["Dream", "Biscoe", "Torgersen"], n)})
    X["male"] = rng.random(n) < 0.5
    X["class"] = pd.Categorical(rng.choice([3, 1], n), categories=[3, 1, 2])
    y = X["bill"] * np.where(X["male"], 2.0, -1.0) + 9.0 * (X["island"] == "Dream") + rng.normal(size=n)
    return X, y.rename("mass")


def by_hand(X):
    """The covariates of `table`, one by one."""
    dream, torgersen, one = X["island"] == "Dream", X["island"] == "Torgersen", X["class"].astype(float) == 1
    return np.column_stack([X["bill"], dream, torgersen, X["male"], one]).astype(float)


@pytest.fixture(scope="module")
def fitted():
    X, y = table()
    return hs.fit(X, y, "LL", (2,), n_starts=2)


# -- what is made of a frame ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_categories_are_dummies_without_the_first_level(fit):
    X, y = table()
    found, wanted = fit(X, y), fit(by_hand(X), y.to_numpy())
    assert found.measure == wanted.measure
    assert found.x_names == ("bill", "island[Dream]", "island[Torgersen]", "male", "class[1]")
    assert (found.y_name, found.warnings) == ("mass", wanted.warnings)
    assert "eta[0,island[Dream]]" in str(found.summary())
    assert found.design == Design(X.columns, [[], ["Biscoe", "Dream", "Torgersen"], [], ["3", "1"]])


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_text_is_text_whatever_holds_it(dtype):
    X, y = table()
    given = taken(X.assign(island=X["island"].astype(dtype)), y)
    np.testing.assert_array_equal(given.X.to_numpy(), by_hand(X))


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_a_frame_of_numbers_is_fitted_as_it_is(fit):
    X, y = table()
    X = X[["bill", "male"]]
    given = taken(X, y)
    assert given.X is X
    assert given.y is y
    assert fit(X, y).measure == fit(X.to_numpy(dtype=float), y.to_numpy()).measure
    objects = X.astype(object)
    assert fit(objects, y).measure == fit(X, y).measure


def test_levels_keep_the_order_of_their_dtype():
    X, y = table()
    order = ["Torgersen", "nowhere", "Dream", "Biscoe"]
    X["island"] = pd.Categorical(X["island"], categories=order, ordered=True)
    assert list(taken(X, y).X)[1:3] == ["island[Dream]", "island[Biscoe]"]


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_rows_with_missing_values_are_left_out_and_counted(fit):
    X, y = table()
    weights = pd.Series(1.0 + np.arange(N) % 2)
    X.loc[[3, 4], "bill"] = np.nan
    X.loc[4, "island"] = None
    X.loc[5, "class"] = np.nan
    X["male"] = X["male"].astype("boolean")
    X.loc[6, "male"] = pd.NA
    y[7], weights[8] = np.nan, np.nan
    keep = ~np.isin(np.arange(N), range(3, 9))
    said = "6 of 90 rows left out, as values are missing: 2 in bill, 1 in island, 1 in male, 1 in class and 2 more"
    with pytest.warns(RowsLeftOut) as caught:
        found = fit(X, y, weights=weights)
    assert [str(one.message) for one in caught] == [said]
    assert caught[0].filename == __file__  # of the caller's line
    assert found.warnings[0] == said
    wanted = fit(by_hand(table()[0])[keep], y.to_numpy()[keep], weights=weights.to_numpy()[keep])
    assert found.measure == wanted.measure
    assert found.data.X.shape == (N - 6, 5)
    assert f"Warning: {said}." in " ".join(str(found.summary()).split())


def test_columns_called_like_arguments_are_counted_apart():
    X, y = table()
    X = X[["bill"]].assign(y=X["bill"] ** 2, weights=1.0)
    X.loc[0, "y"] = np.nan
    y[1] = y[2] = np.nan
    with pytest.warns(RowsLeftOut, match="3 of 90 rows left out, as values are missing: 1 in y, 2 in y$"):
        assert len(taken(X, y).y) == N - 3


@pytest.mark.parametrize("write", [list, np.asarray, lambda y: y.to_frame(), lambda y: y.astype("Float64")])
def test_missing_values_of_y_are_found_however_it_is_written(write):
    X, y = table()
    y[2] = np.nan
    with pytest.warns(RowsLeftOut, match=r"1 of 90 rows left out, as values are missing: 1 in y$"):
        given = taken(X, write(y))
    np.testing.assert_array_equal(np.asarray(given.y, dtype=float).ravel(), y.drop(2))


def test_what_is_missing_in_arrays_is_refused():
    X, y = table()
    numbers = X[["bill"]].to_numpy(copy=True)
    numbers[0] = np.nan
    with pytest.raises(ValueError, match="^X must be finite"):
        hs.fit(numbers, y.to_numpy(), "SS", (1,))
    with pytest.raises(ValueError, match="^y must be finite"):
        hs.fit(X["bill"], y.where(y > y.min()), "SS", (1,))


def test_a_column_of_one_level_is_left_out_and_named():
    X, y = table()
    found = hs.fit(X.assign(where="here"), y, "SS", (1,))
    assert found.warnings[0] == "left out, as there is one level only: where"
    assert found.x_names == hs.fit(X, y, "SS", (1,)).x_names
    np.testing.assert_array_equal(found.predict(X.assign(where="here")), hs.fit(X, y, "SS", (1,)).predict(X))


ODD = {
    "text among numbers": (
        lambda X: X.assign(bill=[*X["bill"][1:], "n/k"]),
        "^X must be .*; got text in column 'bill'",
    ),
    "dates": (lambda X: X.assign(day=pd.Timestamp(2020, 1, 1)), "^X must be .*; got dates .* in column 'day'"),
    "names of rows": (
        lambda X: X.assign(name=[f"no {k}" for k in range(N)]),
        "^X must have fewer levels than rows in column 'name'; got 90",
    ),
    "twins": (
        lambda X: X.assign(g=pd.Categorical(["1", 1] * (N // 2))),
        "^X must have levels that differ as text; got two that read alike in column 'g'",
    ),
    "names that meet": (
        lambda X: X.assign(**{"island[Dream]": 1.0}),
        r"^X must have columns of different names, once there are dummies; got two of 'island\[Dream\]'",
    ),
    "two of a name": (lambda X: X.set_axis(["a", "a", "b", "c"], axis=1), "^X must be .*; got text"),
    "nothing whole": (
        lambda X: X.assign(bill=np.nan),
        "^X and y must have a row without missing values; got 90 in bill",
    ),
    "another index": (lambda X: X.iloc[::-1], "^y must have the index of X"),
    "one level": (lambda X: X[[]].assign(where="here"), "^X must have a column of numbers, or of two levels or more"),
}


@pytest.mark.parametrize(("change", "said"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("fit", [hs.fit, hs.fit_mle, lambda *a, **o: hs.select(*a[:2], shapes=[(1,)])])
def test_what_is_neither_numbers_nor_categories_is_refused_by_name(change, said, fit):
    X, y = table()
    with pytest.raises(ValueError, match=said):
        fit(change(X), y, "SS", (1,))


def test_lengths_that_differ_are_said():
    X, y = table()
    with pytest.raises(ValueError, match="^y must have as many entries as X has rows, 90; got 89"):
        hs.fit(X, y.to_numpy()[1:], "SS", (1,))


# -- which columns gates and experts see ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        (["island"], (1, 2)),
        ("island", (1, 2)),
        (["class", "bill"], (4, 0)),
        (["island[Torgersen]", "male"], (2, 3)),
        ("island[Dream]", (1,)),
        ([3, 0], (4, 0)),
        (2, (3,)),
        ([], ()),
    ],
)
def test_a_column_of_categories_stands_for_its_dummies(asked, columns):
    X, y = table()
    found = FITS["fit"](X, y, gate_columns=asked, expert_columns=["bill", "island", "male", "class"])
    assert found.measure.gate_columns == columns
    assert found.measure.expert_columns is None
    assert found.measure == FITS["fit"](by_hand(X), y.to_numpy(), gate_columns=columns).measure


@pytest.mark.parametrize("asked", [["isle"], ["island", "island[Dream]"], [4], ["bill", "bill"], {"bill"}, 1.5])
def test_columns_that_are_none_are_refused(asked):
    X, y = table()
    with pytest.raises(ValueError, match=r"^gate_columns must be .*different columns of X"):
        hs.fit(X, y, "SS", (2,), gate_columns=asked)


# -- new frames -------------------------------------------------------------------------------------------------------
def test_a_fit_reads_new_frames_by_name(fitted):
    X, y = table()
    new, there = X.iloc[:7], by_hand(X)[:7]
    mixed = new[["class", "male", "island", "bill"]].assign(other="more").astype({"class": float, "island": object})
    wanted = fitted.predict(there)
    for frame in (new, mixed):
        np.testing.assert_array_equal(fitted.predict(frame), wanted)
        np.testing.assert_array_equal(hs.predict(fitted, frame), wanted)
        np.testing.assert_array_equal(hs.gate_weights(fitted, frame), hs.gate_weights(fitted, there))
        np.testing.assert_array_equal(fitted.predict_quantile(frame, 0.3), fitted.predict_quantile(there, 0.3))
        np.testing.assert_array_equal(fitted.predict_density(frame, y[:7]), fitted.predict_density(there, y[:7]))
        np.testing.assert_array_equal(
            hs.responsibilities(fitted, frame, y[:7]), hs.responsibilities(fitted, there, y[:7])
        )
        assert hs.log_likelihood(fitted, frame, y[:7]) == hs.log_likelihood(fitted, there, y[:7].to_numpy())
        assert fitted.predict_interval(frame).index.equals(frame.index)
        np.testing.assert_array_equal(
            fitted.intervals("mean", frame)["estimate"], fitted.intervals("mean", there)["estimate"]
        )
        np.testing.assert_array_equal(fitted.sample(frame, seed=1)[1], fitted.sample(there, seed=1)[1])
    one_row = new.iloc[[2]].astype({"island": object})
    np.testing.assert_array_equal(fitted.predict(one_row), wanted[[2]])


def test_a_fit_of_numbers_reads_new_frames_by_name():
    X, y = table()
    X = X[["bill", "male"]]
    found = FITS["fit_mle"](X, y)
    np.testing.assert_array_equal(
        found.predict(X[["male", "bill"]].assign(z="a")), found.predict(X.to_numpy(dtype=float))
    )
    with pytest.raises(ValueError, match="^X must have the columns that were fitted; got none of the name male"):
        found.predict(X[["bill"]])


def test_what_was_not_there_is_refused_by_name(fitted):
    X, _ = table()
    few = X.iloc[:4]
    known = "Biscoe, Dream, Torgersen, the levels in column 'island' of the data that were fitted; got Atlantis"
    with pytest.raises(ValueError, match=f"^X must have levels among {known}$"):
        fitted.predict(few.assign(island="Atlantis"))
    with pytest.raises(ValueError, match=r"^X must have levels among 3, 1, .* in column 'class' .*; got 2$"):
        fitted.predict_interval(few.assign(**{"class": 2}))
    with pytest.raises(
        ValueError, match="^X must have the columns that were fitted; got none of the name bill, island"
    ):
        fitted.predict(few[["male", "class"]])
    with pytest.raises(ValueError, match="^X must have no missing values; got 4 in column 'island'"):
        fitted.predict(few.assign(island=None))
    with pytest.raises(ValueError, match=r"got text .*in column 'bill'"):
        fitted.predict(few.assign(bill="3"))


def test_a_saved_fit_reads_frames_as_before(fitted, tmp_path):
    X, y = table()
    fitted.save(tmp_path / "fit.json")
    back = hs.FitResult.load(tmp_path / "fit.json")
    assert back.design == fitted.design
    np.testing.assert_array_equal(back.predict(X), fitted.predict(X))
    known = back.with_data(X, y)
    np.testing.assert_array_equal(known.residuals(), fitted.residuals())
    file = json.loads((tmp_path / "fit.json").read_text())
    del file["design"]  # of an earlier version
    (tmp_path / "old.json").write_text(json.dumps(file))
    assert hs.FitResult.load(tmp_path / "old.json").design is None


@pytest.mark.parametrize("name", ["float", "array", "shape"])
def test_any_name_of_a_column_survives_a_file(name, tmp_path):
    X, y = table()
    found = hs.fit(X[["island"]].set_axis([name], axis=1), y, "SS", (1,))
    found.save(tmp_path / "fit.json")
    assert hs.FitResult.load(tmp_path / "fit.json").design == found.design


def test_data_of_a_loaded_fit_leave_out_the_rows_that_it_left_out(fitted, tmp_path):
    X, y = table()
    X.loc[3, "island"] = None
    with pytest.warns(RowsLeftOut):
        found = hs.fit(X, y, "SS", (1,))
    found.save(tmp_path / "fit.json")
    with pytest.warns(RowsLeftOut) as caught:
        known = hs.FitResult.load(tmp_path / "fit.json").with_data(X.assign(more="a"), y)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(known.residuals(), found.residuals())


# -- selection --------------------------------------------------------------------------------------------------------
def test_models_are_selected_and_compared_on_frames():
    X, y = table()
    holes, gone = X.copy(), y.copy()
    holes.loc[3, "island"], gone[4] = None, np.nan
    options = {"gatings": "SS", "shapes": [(1,), (2,)], "n_starts": 2, "folds": 3, "gate_columns": ["island"]}
    with pytest.warns(RowsLeftOut) as caught:
        found = hs.select(holes, gone, **options)
    assert (len(caught), caught[0].filename) == (1, __file__)
    keep = ~np.isin(np.arange(N), [3, 4])
    wanted = hs.select(by_hand(X)[keep], y.to_numpy()[keep], **options | {"gate_columns": (1, 2)})
    pd.testing.assert_frame_equal(found.table, wanted.table)
    best = found.best()
    assert best.design.columns == tuple(X)
    assert best.warnings[0].startswith("2 of 90 rows left out")
    np.testing.assert_array_equal(best.predict(X), wanted.best().predict(by_hand(X)))


def test_stability_takes_frames():
    X, y = table()
    options = {"n": 2, "n_starts": 1, "gate_columns": ["island"]}
    found = stability(X, y, "SS", (2,), **options)
    wanted = stability(by_hand(X), y.to_numpy(), "SS", (2,), **options | {"gate_columns": (1, 2)})
    pd.testing.assert_frame_equal(found.table, wanted.table)


# -- formulas ---------------------------------------------------------------------------------------------------------
def test_a_formula_makes_covariates_and_a_response():
    pytest.importorskip("formulaic")
    X, y = table()
    data = X.assign(mass=y).drop(columns="class")
    made, response = hs.design("mass ~ bill + C(island) + bill:male", data)
    assert (response.name, response.tolist()) == ("mass", y.tolist())
    np.testing.assert_array_equal(made["bill"], X["bill"])
    assert len(made.columns) == made.shape[1] == 4
    assert not (made == 1).all().any()
    found = hs.fit(made, response, "SS", (1,))
    assert found.y_name == "mass"
    assert np.isfinite(found.log_likelihood)
    data.loc[2, "bill"] = np.nan
    with pytest.warns(RowsLeftOut, match="^1 of 90 rows left out") as caught:
        assert len(hs.design("mass ~ bill", data)[0]) == N - 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize("formula", ["bill", "mass ~ nothing", "mass ~ (", "island ~ bill", "", "mass ~~ bill"])
def test_what_is_no_formula_is_refused(formula):
    pytest.importorskip("formulaic")
    X, y = table()
    with pytest.raises(ValueError, match="^formula must "):
        hs.design(formula, X.assign(mass=y))


def test_formulas_are_text_and_data_are_frames():
    pytest.importorskip("formulaic")
    with pytest.raises(ValueError, match="^formula must be text"):
        hs.design(3, table()[0])
    with pytest.raises(ValueError, match="^data must be a DataFrame"):
        hs.design("y ~ x", {"x": [1.0]})


def test_no_warning_where_nothing_is_left_out():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not taken(*table()).notes
    assert re.search("dummies", hs.fit_mle.__doc__)
