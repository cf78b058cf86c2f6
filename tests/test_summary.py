"""From tidy results to slopes, text and figure, on results made up from known power laws."""

import re

import numpy as np
import pandas as pd
import pytest

from hmoe_stats.rates import fit_rate
from simulations.expected import Expected, differs, slope_at
from simulations.study import Study
from simulations.summary import Summary, agreement, verdict
from simulations.terminal import differences_text, slopes_text

SIZES = [1000, 3000, 10_000, 30_000]
# alpha of the errors in a split cell: softmax, Laplace
SPLIT = {"omega": (0.24, 0.39), "eta": (0.3, 0.31), "tau": (0.18, 0.17), "nu": (0.31, 0.3)}


def slopes(*arguments, **options):
    return Summary(*arguments, **options).slopes


def curves(*arguments, **options):
    return Summary(*arguments, **options).curves


def differences(*arguments, **options):
    return Summary(*arguments, **options).differences


def study(**changes):
    values = {
        "name": "made-up",
        "title": "Made up",
        "truth": "C2",
        "gatings": ["SS", "LL"],
        "k2": [[2, 2], [3, 3]],
        "n": SIZES,
        "replicates": 6,
        "x": {"law": "uniform", "low": -3.0, "high": 3.0},
        "seed": 1,
    }
    return Study(**(values | changes))


def results(study, sigma=0.3):
    """A tidy frame with the rows of a run, errors c n^(-alpha) times lognormal noise."""
    rng = np.random.default_rng(0)
    rows = []
    for cell in study.cells():
        gating, k2, n, replicate = cell.key
        for level, name, size, parameter, kind, alpha in _quantities(gating[1], cell.k2, rng):
            error = 0.7 * n**-alpha * rng.lognormal(0, sigma)
            rows.append(("C2", gating, k2, n, replicate, "converged", -1.0, level, name, size, parameter, kind, error))
    columns = "truth gating k2 n replicate status log_likelihood level cell size parameter kind error".split()
    return pd.DataFrame(rows, columns=columns)


def _quantities(letter, k2, rng):
    yield from ((0, "", 0, f"loss_{form}", "loss", 0.5) for form in ("sharp", "published"))
    for i, fitted in enumerate(k2):
        yield 1, str(i), 1, "a", "weighted", 0.5
        for j, size in enumerate(rng.permutation([fitted - 1, 1])):
            yield 2, f"{i},{j}", int(size), "beta", "mass", 0.5
            for name, alphas in SPLIT.items():
                alpha = 0.5 if size == 1 else alphas["SL".index(letter)]
                yield 2, f"{i},{j}", int(size), name, "weighted", alpha
            if size > 1:
                yield 2, f"{i},{j}", int(size), "eta", "barycentre", 0.375 if letter == "S" else 0.5


def pick(table, **values):
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def test_exact_power_laws_come_back_beside_theory():
    table = slopes(study(), results(study(), sigma=0.0))
    assert len(table) == len(table.drop_duplicates(["gating", "k2", "level", "size", "parameter", "kind", "statistic"]))
    assert set(table["statistic"]) == {"mean", "median", "q90"}
    assert list(table["gating"].unique()) == ["SS", "LL"]
    split = pick(table, k2="3,3", level=2, size=2, kind="weighted", statistic="mean")
    for gating, i in (("SS", 0), ("LL", 1)):
        rows = pick(split, gating=gating).set_index("parameter")
        for name, alphas in SPLIT.items():
            assert rows.loc[name, "slope"] == pytest.approx(-alphas[i])
        expected = {"SS": [(1 / 8, 1 / 4), (1 / 4, 1 / 4)], "LL": [(1 / 4, 1 / 3), (1 / 4, 1 / 4)]}[gating]
        found = rows.loc[["omega", "eta"], ["alpha_published", "alpha_derived"]].to_numpy()
        np.testing.assert_allclose(found, expected)
    others = table[(table["size"] != 2)]
    np.testing.assert_allclose(others[["slope", "alpha_published", "alpha_derived"]], [[-0.5, 0.5, 0.5]] * len(others))
    assert (table[["n_sizes", "n_low", "n_high", "replicates"]] == [4, 1000, 30_000, 6]).all(axis=None)
    assert (table[["failed", "bounded", "uncertified", "to_do"]] == 0).all(axis=None)
    np.testing.assert_allclose(table["local_slope"], table["slope"])
    assert (table["study"] == "made-up").all()
    assert (table["note"] == "").all()
    barycentre = pick(table, kind="barycentre", statistic="q90").set_index("gating")
    assert barycentre["alpha_derived"].to_dict() == {"SS": 0.375, "LL": 0.5}
    assert barycentre["alpha_published"].isna().all()


def test_cells_are_averaged_before_the_statistic():
    frame = results(study())
    part = pick(frame, gating="SS", k2="2,2", parameter="tau", kind="weighted")
    means = part.groupby(["n", "replicate"])["error"].mean().reset_index()  # four cells of one expert each
    for statistic in ("mean", "median", "q90"):
        fit = fit_rate(means["n"], means["error"], statistic)
        (row,) = pick(slopes(study(), frame), gating="SS", k2="2,2", parameter="tau", statistic=statistic).itertuples()
        assert (row.slope, row.ci_low, row.ci_high) == pytest.approx((fit.slope, fit.ci_low, fit.ci_high), abs=1e-12)


def test_fits_without_an_optimum_are_left_out_and_counted():
    frame = results(study())
    clean = slopes(study(), frame)
    spoil = (frame["gating"] == "SS") & (frame["k2"] == "3,3") & (frame["n"] == 1000)
    frame.loc[spoil & (frame["replicate"] == 0), "status"] = "max_iter"
    frame.loc[spoil & (frame["replicate"] == 1), "status"] = "degenerate"
    frame.loc[spoil & (frame["replicate"] == 2), "status"] = "boundary"
    frame.loc[spoil & (frame["replicate"] < 2), "error"] = 1e6
    crashed = spoil & (frame["replicate"] == 3)
    one = frame[crashed].iloc[[0]].assign(status="failed", error=np.nan, parameter="", kind="", cell="", level=pd.NA)
    frame = pd.concat([frame[~crashed], one], ignore_index=True).astype({"level": "Int64", "size": "Int64"})
    frame = frame[
        ~((frame["gating"] == "SS") & (frame["k2"] == "3,3") & (frame["n"] == 3000) & (frame["replicate"] == 5))
    ]
    table = slopes(study(), frame)
    here = pick(table, gating="SS", k2="3,3")
    counts = ["failed", "bounded", "uncertified", "to_do", "n_sizes", "replicates"]
    assert (here[counts] == [1, 1, 2, 1, 2, 6]).all(axis=None)
    assert (here["note"] == "2 sizes with fewer than 6 replicates left out").all()
    others = (table["gating"] != "SS") | (table["k2"] != "3,3")
    pd.testing.assert_frame_equal(table[others], clean[others.to_numpy()])
    kept = slopes(study(), frame[frame["status"].isin(["converged", "boundary"])])
    pd.testing.assert_frame_equal(kept.drop(columns=counts[:4]), table.drop(columns=counts[:4]))
    said = "SS, fitted k2 = 3,3: 1 fits failed, 2 without an optimum left out, 1 on a bound, 1 to do"
    assert said in slopes_text(table)


def test_what_has_no_slope_says_why():
    frame = results(study())
    frame.loc[frame["parameter"] == "a", "error"] = 0.0
    rare = frame[(frame["n"] == 1000) & (frame["replicate"] == 0) & (frame["size"] == 2)].assign(size=3)
    table = slopes(study(), pd.concat([frame, rare], ignore_index=True))
    zero = pick(table, parameter="a")
    assert zero["slope"].isna().all()
    assert (zero["note"] == "0 by construction, up to rounding").all()
    three = pick(table, size=3)
    assert len(three)
    assert three["slope"].isna().all()
    assert three["alpha_derived"].isna().all()
    assert (three["note"] == "1 sizes with fewer than 2 replicates left out; fewer than 2 sizes").all()
    assert (three["replicates"] == 0).all()


def test_what_is_0_up_to_rounding_has_no_rate():
    frame = results(study())
    frame.loc[(frame["parameter"] == "nu") & (frame["gating"] == "SS"), "error"] *= 1e-16
    table = pick(slopes(study(), frame), parameter="nu", gating="SS")
    assert table["slope"].isna().all()
    assert (table["note"] == "0 by construction, up to rounding").all()
    found = pick(differences(study(), frame), parameter="nu", gating="SS - LL")
    assert found["difference"].isna().all()
    assert (found["note"] == "0 by construction, up to rounding").all()


def test_rows_outside_the_grid_do_not_count():
    frame = results(study())
    small = study(gatings=["LL"], k2=[[3, 3]], n=SIZES[1:], replicates=4)
    inside = (frame["gating"] == "LL") & (frame["k2"] == "3,3") & (frame["n"] > 1000) & (frame["replicate"] < 4)
    pd.testing.assert_frame_equal(slopes(small, frame), slopes(small, frame[inside]))
    assert (slopes(small, frame)["n_sizes"] == 3).all()


def test_mixed_regimes_take_the_slower_exponent():
    truth = {"gating": "SS", "k2": [2, 1], "a": [[0.4], [-0.4]], "b": [0.2, 0.0], "omega": [[-0.5], [0.5], [0.0]]}
    truth |= {"beta": [0.2, 0.0, 0.0], "eta": [[0.3], [-0.3], [0.3]], "tau": [-6.0, -2.0, 2.0], "nu": [0.4] * 3}
    mixed = study(truth=truth, gatings=["SS"], k2=[[3, 2]])
    table = slopes(mixed, results(mixed))
    row = pick(table, size=2, parameter="eta", kind="barycentre", statistic="mean")
    assert row["alpha_derived"].item() == 0.25  # 3/8 in the regular group
    assert pick(table, size=2, parameter="omega", statistic="mean")["alpha_derived"].item() == 0.0


def test_more_groups_than_the_truth_has():
    more = study(k2=[[2, 2, 2]])
    rows = []
    for gating in more.gatings:
        for n in SIZES:
            for replicate in range(2):
                cell = ("C2", gating, "2,2,2", n, replicate, "converged", -1.0)
                a, tau = (0.25, 0.125) if gating == "SS" else (1 / 3, 0.125)
                rows.append((*cell, 1, "0", 2, "a", "weighted", (1 + 0.1 * replicate) * n**-a))
                rows.append((*cell, 1, "1", 1, "a", "weighted", (1 + 0.1 * replicate) * n**-0.5))
                rows.append((*cell, 2, "0,0", 2, "tau", "weighted", (1 + 0.1 * replicate) * n**-tau))
    table = slopes(more, pd.DataFrame(rows, columns=results(study()).columns))
    assert len(table) == 18
    np.testing.assert_allclose(table["slope"], -table["alpha_derived"])
    text = slopes_text(table)
    assert text.count("a of each group, m = 2") == 2
    assert text.count("a of each group, m = 1") == 2


def test_slopes_text_is_readable():
    table = slopes(study(), results(study()))
    text = slopes_text(table)
    row = pick(table, gating="LL", k2="3,3", size=2, parameter="omega", statistic="mean").iloc[0]
    (line,) = [
        line for line in text.split("LL, fitted k2 = 3,3")[1].splitlines() if "omega of each expert, m = 2" in line
    ]
    assert f"{-row.slope:.2f} [{-row.ci_high:.2f}, {-row.ci_low:.2f}] > " in line
    assert re.search(r" 1/4 +1/3 ", line)
    assert max(len(line) for line in text.splitlines()) < 200


def test_a_verdict_is_where_the_expected_slope_lies():
    assert verdict(-0.25, -0.3, -0.2) == "consistent"
    assert verdict(-0.25, -0.25, -0.2) == "consistent"
    assert verdict(-0.25, -0.4, -0.26) == "faster"
    assert verdict(-0.25, -0.24, -0.1) == "slower"
    assert verdict(np.nan, -0.3, -0.2) == verdict(-0.25, np.nan, np.nan) == ""


@pytest.mark.parametrize(
    ("expected", "low", "high", "rival", "word"),
    [
        (-0.25, -0.5, 0.1, np.nan, "inconclusive"),  # 0: the error need not fall at all
        (-0.25, -0.5, 0.0, -0.25, "inconclusive"),
        (-0.25, -0.3, -0.1, -0.125, "inconclusive"),  # the other form of theory
        (-0.125, -0.3, -0.1, -0.25, "inconclusive"),
        (-0.25, -0.3, -0.2, -0.125, "consistent"),
        (-1 / 3, -0.4, -0.2, -0.333333, "consistent"),  # one exponent, written to six digits
        (-0.25, -0.2, 0.1, -0.125, "slower"),  # what excludes the expected slope says so, whatever else it holds
        (-0.25, -0.6, -0.3, -0.5, "faster"),
        (0.0, -0.1, 0.1, np.nan, "consistent"),  # no rate, or no difference, is expected
        (-0.0, -0.1, 0.1, -0.0, "consistent"),
        (0.0, -0.1, 0.1, -1 / 12, "inconclusive"),
        (0.0, -0.6, 0.1, np.nan, "inconclusive"),  # from no rate to the parametric one
        (0.0, -0.1, 0.7, np.nan, "inconclusive"),
        (1 / 12, 0.03, 0.1, np.nan, "consistent"),  # differences
        (1 / 12, -0.05, 0.2, np.nan, "inconclusive"),
        (1 / 12, 0.05, 0.2, 1 / 8, "inconclusive"),
    ],
)
def test_an_interval_that_holds_more_than_what_is_expected_is_inconclusive(expected, low, high, rival, word):
    assert verdict(expected, low, high, rival) == word


def test_nothing_is_called_consistent_that_holds_0_or_two_exponents():
    made = study(k2=[[3, 3]], replicates=8)
    frame = results(made, sigma=1.5)
    table = slopes(made, frame)
    expected = -table[["alpha_published", "alpha_derived"]]
    held = expected.ge(table["ci_low"], axis=0) & expected.le(table["ci_high"], axis=0)
    two = held.all(axis=1) & (expected["alpha_published"] != expected["alpha_derived"])
    nothing = (table["ci_low"] <= 0) & (table["ci_high"] >= 0)
    words = table[["verdict_published", "verdict_derived"]]
    assert two.any()
    assert (nothing & ~two).any()
    assert (words[two] == "inconclusive").all(axis=None)
    assert not (words[nothing] == "consistent").any(axis=None)
    assert (words[~two & ~nothing] == "consistent").any(axis=None)
    found = differences(made, frame)
    undecided = (found["expected"] != 0) & (found["ci_low"] <= 0) & (found["ci_high"] >= 0)
    assert set(found.loc[undecided & (found["expected"] <= found["ci_high"]), "verdict"]) <= {"inconclusive", "slower"}
    text = slopes_text(table)
    assert any("? inconclusive" in line for line in text.splitlines()[-20:])
    assert "] ? ?" in text


def test_verdicts_and_local_slopes():
    frame = results(study(replicates=12), sigma=0.05)
    split = (frame["size"] == 2) & (frame["kind"] == "weighted") & (frame["parameter"] == "nu")
    frame.loc[split & (frame["n"] > 10_000), "error"] *= (frame["n"] / 10_000) ** -0.5
    table = slopes(study(replicates=12), frame)
    rows = pick(table, size=2, kind="weighted", statistic="mean").set_index(["gating", "parameter"])
    omega = rows.loc[("SS", "omega")]  # falls like n^-0.24: published -1/8, derived -1/4
    assert (omega["verdict_published"], omega["verdict_derived"]) == ("faster", "consistent")
    assert rows.loc[("LL", "omega"), "verdict_derived"] == "faster"  # -0.39 against -1/3
    nu = rows.loc[("SS", "nu")]
    assert nu["local_slope"] == pytest.approx(-0.81, abs=0.1)  # over 10,000 and 30,000
    assert nu["local_low"] < nu["local_slope"] < nu["local_high"] < nu["slope"]
    assert pick(table, parameter="loss_sharp")["verdict_derived"].eq("consistent").mean() > 0.8


def test_a_quantile_needs_replicates_beyond_it():
    made = study(replicates=20)
    frame = results(made)
    few = frame[~((frame["n"] == 30_000) & (frame["replicate"] >= 7))]
    table = pick(slopes(made, few), gating="SS", k2="2,2", parameter="tau").set_index("statistic")
    assert table["n_sizes"].to_dict() == {"mean": 4, "median": 4, "q90": 3}
    assert table.loc["q90", "note"] == "1 sizes with fewer than 10 replicates left out"
    assert table.loc["mean", "replicates"] == 7


def test_curves_are_the_points_of_the_slopes():
    frame = results(study())
    points, table = curves(study(), frame), slopes(study(), frame)
    assert len(points) == 4 * len(table)
    for row in table.iloc[::37].itertuples():
        model = {"gating": row.gating, "k2": row.k2, "level": row.level, "size": row.size, "kind": row.kind}
        part = pick(points, **model, parameter=row.parameter, statistic=row.statistic)
        slope = np.polyfit(np.log(part["n"].astype(float)), np.log(part["value"]), 1)[0]
        assert slope == pytest.approx(row.slope)
        assert (part["low"] < part["value"]).all()
        assert (part["value"] < part["high"]).all()


def test_differences_are_paired():
    """Noise that both gatings share drops out of the difference of their slopes, and of its interval."""
    made = study(replicates=12)
    frame = results(made, sigma=0.0)
    shared = np.random.default_rng(0).lognormal(0, 1.0, size=(12, 4))
    frame["error"] *= shared[frame["replicate"], [SIZES.index(n) for n in frame["n"]]]
    table = differences(made, frame)
    rows = pick(table, gating="SS - LL", k2="3,3", size=2, kind="weighted", parameter="omega")
    np.testing.assert_allclose(rows["difference"], -0.24 + 0.39)
    np.testing.assert_allclose(rows[["ci_low", "ci_high"]], np.full((3, 2), 0.15), atol=1e-6)
    np.testing.assert_allclose(rows["expected"], 1 / 3 - 1 / 4)
    assert (rows["verdict"] == "slower").all()
    assert (rows["pairs"] == 12).all()
    assert set(table["gating"]) == {"SS", "LL", "SS - LL"}
    assert set(table["k2"]) == {"2,2", "3,3", "2,2 - 3,3"}
    half = frame[(frame["gating"] == "SS") | (frame["replicate"] % 2 == 0)]
    assert (pick(differences(made, half), gating="SS - LL")["pairs"] == 6).all()
    text = differences_text(table, "mean")
    assert "made-up SS - LL 3,3" in text
    assert "2,2 - 3,3" not in text
    alone = study(gatings=["SS"], k2=[[3, 3]])
    assert differences_text(differences(alone, frame), "mean") == "no two models have a quantity in common"


def test_studies_beside_are_added_or_set_beside():
    """The same study at other sizes makes one curve; another box makes a model of its own, at the study's sizes."""
    made, more = study(gatings=["SS"], k2=[[3, 3]]), study(name="more", n=[100_000, 300_000], replicates=8)
    other = study(name="wide", n=[300, *SIZES], fit={"bounds": {"beta": 3.0}})
    data = [(one, results(one)) for one in (made, more, other)]
    table = pick(slopes(*data[0], beside=data[1:]), parameter="omega", size=2, statistic="mean").set_index("study")
    assert table.index.tolist() == ["made-up", "wide"]
    assert (table["gating"] == "SS").all()
    assert table[["n_sizes", "n_low", "n_high"]].to_numpy().tolist() == [[6, 1000, 300_000], [4, 1000, 30_000]]
    found = differences(*data[0], beside=data[1:])
    assert set(found["study"]) == {"made-up - wide"}
    strange = study(name="wide", seed=2, fit={"bounds": {"beta": 3.0}})
    assert not len(differences(*data[0], beside=[(strange, results(strange))]))  # other data: no pairs


@pytest.mark.parametrize("call", [slopes, curves, differences])
def test_unusable_frames_are_named(call):
    frame = results(study())
    with pytest.raises(ValueError, match=r"frame must have the columns .* got none of \['error'\]"):
        call(study(), frame.drop(columns="error"))
    with pytest.raises(ValueError, match="made-up: no finished cells yet"):
        call(study(), frame.iloc[:0])
    none = frame.assign(status=np.where(frame["n"] == 1000, "failed", "max_iter"))
    with pytest.raises(ValueError, match="made-up: no fit reached an optimum: 24 failed, 72 without one"):
        call(study(), none)


def test_each_number_is_made_once(monkeypatch):
    """Slopes, curves, page and differences of the first statistic ask again; nothing is fitted twice."""
    from simulations import page, summary

    fitted, compared = [], []
    rate, difference = summary.fit_rate, summary.compare_rates
    monkeypatch.setattr(summary, "fit_rate", lambda *a: fitted.append(1) or rate(*a))
    monkeypatch.setattr(summary, "compare_rates", lambda *a: compared.append(1) or difference(*a))
    found = Summary(study(), results(study()))
    table = found.slopes
    assert len(fitted) == 2 * len(table)  # and over the upper half
    assert len(found.differences) == len(compared) > 0
    assert set(found.differences_of(["mean"])["difference"]) <= set(found.differences["difference"])
    assert len(found.curves) == 4 * len(table)
    page.figure(found)
    assert found.slopes is table
    assert (len(fitted), len(compared)) == (2 * len(table), len(found.differences))


# -- limits, and what is expected at these n ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("alpha", "low", "high", "kind", "word"),
    [
        (0.25, 0.21, 0.29, "limit", "agrees"),
        (0.25, 0.26, 0.29, "limit", "agrees"),  # not the limit, but near enough
        (0.25, 0.19, 0.29, "limit", "undecided"),
        (0.25, 0.24, 0.31, "limit", "undecided"),
        (0.25, 0.26, 0.31, "limit", "differs"),
        (0.25, 0.10, 0.24, "limit", "differs"),
        (0.25, 0.05, 0.60, "limit", "undecided"),  # an interval that holds it proves nothing
        (0.25, 0.21, 0.90, "bound", "kept"),
        (0.25, 0.40, 0.50, "bound", "kept"),
        (0.25, 0.19, 0.26, "bound", "undecided"),
        (0.25, 0.19, 0.24, "bound", "broken"),
        (0.25, 0.21, 0.24, "bound", "kept"),
        (0.25, 0.21, 0.29, "open", ""),
        (np.nan, 0.21, 0.29, "limit", ""),
        (0.25, np.nan, np.nan, "limit", ""),
    ],
)
def test_agreement_is_equivalence(alpha, low, high, kind, word):
    assert agreement(alpha, low, high, kind) == word


def test_every_statistic_is_held_against_its_own_limit():
    tau, omega, exact = (2, 2, "tau", "weighted"), (2, 2, "omega", "weighted"), (2, 1, "tau", "weighted")
    soft, kinked = (Expected(study(), gating, (3, 3)) for gating in ("SS", "LL"))
    assert soft.limit("mean", tau) == (1 / 8, "limit")
    assert (
        soft.limit("median", tau) == soft.limit("q90", tau) == (1 / 8, "bound")
    )  # steeper, if the slow regime is rare
    assert soft.limit("mean", omega) == (1 / 4, "limit")
    assert kinked.limit("mean", omega) == (pytest.approx(1 / 3), "bound")
    for statistic in ("mean", "median", "q10"):
        assert soft.limit(statistic, exact) == (1 / 2, "limit")
    free = Expected(study(truth="C4", k2=[[3, 3]]), "SS", (3, 3))
    assert free.limit("mean", (2, 3, "omega", "weighted")) == (0, "open")
    assert free.limit("mean", (2, 3, "eta", "weighted"))[1] == "open"  # its exponent is a bound itself
    nothing = soft.limit("mean", (2, 9, "tau", "weighted"))
    assert np.isnan(nothing.alpha)
    assert nothing.kind == ""


def test_limits_and_their_verdicts_stand_beside_the_older_ones():
    table = slopes(study(), results(study(), sigma=0.02))
    row = {"gating": "SS", "k2": "3,3", "size": 2, "parameter": "tau"}
    mean, median = (pick(table, **row, statistic=one).iloc[0] for one in ("mean", "median"))
    assert (mean["limit"], mean["verdict_limit"], mean["verdict_derived"]) == ("limit", "differs", "faster")  # 0.18
    assert (median["limit"], median["verdict_limit"], median["verdict_derived"]) == ("bound", "kept", "faster")
    assert set(pick(table, size=1, statistic="mean")["verdict_limit"]) == {"agrees"}
    assert table["alpha_at_n"].isna().all()
    assert set(table["verdict_at_n"]) == {""}
    found = pick(differences(study(), results(study())), statistic="mean", k2="3,3", size=2, kind="weighted")
    limits = found.set_index("parameter")["expected_limit"]
    assert limits["tau"] == 0
    assert np.isnan(limits["omega"])  # that of LL is open


def test_the_slope_of_another_curve_over_these_sizes():
    rng = np.random.default_rng(3)
    grid = np.repeat([100, 1000, 10_000, 100_000], 30)
    fit = fit_rate(grid, grid**-0.3 * rng.lognormal(0, 0.4, grid.size))
    n = np.array([1000, 2154, 4642, 10_000, 20_000])
    values = np.exp(np.interp(np.log(n), np.log(fit.n), np.log(fit.values)))
    slope, error = slope_at(fit, n)
    assert slope == pytest.approx(np.polyfit(np.log(n), np.log(values), 1)[0])
    draws = np.exp(np.log(fit.values) + fit.log_standard_errors * rng.standard_normal((4000, 4)))
    curves = [np.interp(np.log(n), np.log(fit.n), np.log(draw)) for draw in draws]
    assert error == pytest.approx(np.polyfit(np.log(n), np.transpose(curves), 1)[0].std(), rel=0.05)
    own = slope_at(fit, fit.n)
    assert own == (pytest.approx(fit.slope), pytest.approx(fit.standard_error))
    for beyond in ([50, 1000], [1000, 200_000], [1000]):
        assert np.isnan(slope_at(fit, np.array(beyond))).all()


def test_what_is_expected_at_these_n_comes_from_another_study_of_the_same_model():
    made = study(expected="far")
    far = study(name="far", n=[100, 10_000, 1_000_000], seed=2, replicates=8)
    frame = results(far, sigma=0.1)
    table = slopes(made, results(made, sigma=0.02), reference=(far, frame))
    assert table["alpha_at_n"].notna().all()
    row = pick(table, gating="SS", k2="3,3", size=2, parameter="tau", statistic="mean").iloc[0]
    fit = Summary(far, frame).line(("far", "SS", "3,3"), (2, 2, "tau", "weighted"), "mean").fit
    slope, error = slope_at(fit, np.array(SIZES))
    assert (row["alpha_at_n"], row["error_at_n"]) == (-slope, error)
    half = np.hypot((row["ci_high"] - row["ci_low"]) / 2, 1.959964 * error)
    assert row["verdict_at_n"] == agreement(-slope, -row["slope"] - half, -row["slope"] + half) == "agrees"
    assert row["verdict_limit"] == "differs"  # what is far from its limit may be where it is to be expected
    assert "\u00b1" in slopes_text(table)
    off = frame.assign(error=frame["error"] * frame["n"] ** 0.2)
    assert "differs" in set(slopes(made, results(made, sigma=0.02), reference=(far, off))["verdict_at_n"])
    short = study(name="far", n=[1000, 3000, 10_000], seed=2)
    assert slopes(made, results(made), reference=(short, results(short)))["alpha_at_n"].isna().all()
    assert slopes(made, results(made), reference=(far, frame[:0]))["alpha_at_n"].isna().all()  # no results yet


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seed": 2}, []),
        ({"seed": 2, "fit": {"n_starts": 3, "tol": 1e-6}}, []),
        ({}, ["the same data"]),
        ({"seed": 2, "truth": "C3"}, ["another truth"]),
        ({"seed": 2, "fit": {"bounds": {"beta": 1.5}, "local": True}}, ["another bounds", "another local"]),
        ({"seed": 2, "x": {"law": "normal"}}, ["another x"]),
    ],
)
def test_studies_of_another_model_say_nothing_of_this_one(changes, why):
    made, other = study(), study(name="far", **changes)
    assert differs(made, other) == why
    assert study(expected="far").hash == made.hash  # which study that is changes no fit
    if why:
        frame = results(study(name="far"))
        assert slopes(made, results(made), reference=(other, frame))["alpha_at_n"].isna().all()
