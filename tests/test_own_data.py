"""What is said of held-out rows and of criteria, again from the tables of the benchmarks."""

from pathlib import Path

import pandas as pd

import hmoe_stats as hs
from hmoe_stats.selection import candidates

ROOT = Path(__file__).parents[1]


def gains():
    """Mean log-density of a held-out row beyond the linear regression's, by set, gating and method."""
    table = pd.read_csv(ROOT / "benchmarks" / "own_data.csv")
    table = table[~table["set"].str.contains("n=")]
    means = table.pivot_table(index=["set", "gating", "split"], columns="method", values="mean")
    return means.sub(means.pop("linear"), axis=0).groupby(["set", "gating"]).mean()


def said():
    found = gains()
    laplace = found[found.index.get_level_values("gating").str.contains("L")]
    scales = [f"{laplace[name].mean():.2f}" for name in ("fit, scale 1", "fit", "fit, scale 9")]
    short = found["fit"][found["fit"] < -0.05].sort_values()
    worse = [f"{name} under {gating} ({gain:.2f})" for (name, gating), gain in short.items()]
    return {
        "GAIN": f"{found['fit'].mean():.2f}",
        "PLAIN": f"{found['fit_mle'].mean():.2f}",
        "SCALES": f"{', '.join(scales[:-1])} and {scales[-1]}",
        "WORSE": f"{', '.join(worse[:-1])} and {worse[-1]}",
    }


def test_what_fit_says_of_held_out_rows_is_what_the_table_has():
    text = " ".join(hs.fit.__doc__.split())
    numbers = said()
    for fragment in (
        "they have {GAIN} on average, and {PLAIN} by `fit_mle`",
        "it is {SCALES} at scales of 1, 3 and 9",
        "than the linear regression are {WORSE}:",
    ):
        assert fragment.format(**numbers) in text, fragment.format(**numbers)


def test_what_selection_says_of_known_truths_is_what_the_table_has():
    table = pd.read_csv(ROOT / "figures" / "selection" / "selection.csv")
    text = " ".join(candidates.__doc__.split())
    experts = table[["bic", "icl", "aic", "dendrogram"]].map(lambda word: sum(map(int, word.split("x"))))
    four, more = (experts == 4).groupby(table["outliers"]), (experts > 4).groupby(table["outliers"])
    right, over = four.mean().loc[False], more.mean().loc[True]
    sets = len(table[~table["outliers"]])
    fragment = f"Of {sets} samples of C2 BIC finds four experts in {100 * right['bic']:.0f} %, the dendrogram in "
    fragment += f"{100 * right['dendrogram']:.0f} %, AIC in {100 * right['aic']:.0f} %"
    assert fragment in text, fragment
    fragment = f"for 2 % of outliers BIC takes more in {100 * over['bic']:.0f} %, the dendrogram in "
    fragment += f"{100 * over['dendrogram']:.0f} %"
    assert fragment in text, fragment


def test_what_the_penalty_moves_is_what_the_table_has():
    table = pd.read_csv(ROOT / "benchmarks" / "own_data.csv")
    shift = table[table["set"].str.contains("n=[15]000") & (table["method"] == "fit")].set_index("gating")["shift"]
    far = shift[shift > 0.1]
    assert all("L" in gating for gating in far.index)
    text = " ".join(
        (ROOT / "hmoe_stats" / "fitting" / "penalty.py").read_text(encoding="utf-8").replace("#", "").split()
    )
    assert f"{len(far)} of {len(shift)} samples of C2 and C3" in text
    assert f"by {far.max():.2f} at most".replace("0.", ".") in text
