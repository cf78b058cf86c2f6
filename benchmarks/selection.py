"""How often do criteria find the right number of experts, with and without outliers?

Samples of C2 (`hmoe_stats.datasets`: two groups of two experts, 3.4 standard deviations apart and more), x uniform on
[-3, 3], of 300, 1000 and 3000 rows, a hundred of each, and 25 of them with 2 % of their y replaced by draws that are
uniform on [-20, 20]. Of each, flat models of one to five experts and trees (2, 2) and (3, 2) are fitted with the gating
of the truth, Laplace gates at its scale, and BIC, ICL, AIC and the dendrogram choose among them. Which of two models
with four experts is chosen, the flat one or the tree, is counted apart: on C2 a flat gate is hardly another one.

Data are keyed by (2510, n, set), the same for both gatings but for y, and with and without outliers.

``python -m benchmarks.selection [SETS] [GATING]...`` adds to figures/selection/selection.csv what is not there yet, a
row per data set, and prints the summary. A set of both gatings and all sizes takes 45 s of one core.
"""

import os
import sys
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import hmoe_stats as hs  # noqa: E402

LAW, SEED, SETS, WITH_OUTLIERS = hs.Uniform(-3, 3), 2510, 100, 25
SIZES, OUTLIERS, REACH = (300, 1000, 3000), 0.02, 20.0
SHAPES = ((1,), (2,), (3,), (4,), (5,), (2, 2), (3, 2))
CRITERIA = ("bic", "icl", "aic", "dendrogram")
TABLE = Path(__file__).parents[1] / "figures" / "selection" / "selection.csv"


def sample(gating, n, number, outliers):
    """X and y of a data set; outliers stand in the first rows, whose x are as random as all."""
    keys = np.random.SeedSequence(SEED, spawn_key=(n, number)).spawn(2)
    X, y = hs.sample(hs.datasets.truth("C2", gating), n, x=LAW, seed=keys[0])
    if outliers:
        many = round(OUTLIERS * n)
        y[:many] = np.random.default_rng(keys[1]).uniform(-REACH, REACH, many)
    return X, y


def one(gating, n, number, outliers):
    """The row of a data set: the shape that each criterion chooses, "-" where it has none."""
    X, y = sample(gating, n, number, outliers)
    begin = time.process_time()
    scale = {"laplace_scale": X.std(axis=0)} if "L" in gating else {}  # 1 for a unit of x
    found = hs.select(X, y, gating, SHAPES, CRITERIA, seed=number, **scale)
    row = {"gating": gating, "n": n, "outliers": outliers, "set": number}
    for criterion in CRITERIA:
        try:
            row[criterion] = "x".join(map(str, found.best(criterion).measure.k2))
        except ValueError:
            row[criterion] = "-"
    row["fits missing"] = sum(not fit.converged for fit in found.fits.values())
    return row | {"CPU s": time.process_time() - begin}


def summary(table):
    """A row per gating, n and outliers: shares of sets with four experts, with more, and with the tree (2, 2)."""
    count = lambda shape: sum(map(int, shape.split("x"))) if shape != "-" else 0  # noqa: E731
    rows = []
    for key, part in table.groupby(["outliers", "gating", "n"]):
        row = dict(zip(("outliers", "gating", "n"), key, strict=True)) | {"sets": len(part)}
        for criterion in CRITERIA:
            experts = part[criterion].map(count)
            row |= {f"{criterion}: four": (experts == 4).mean(), "more": (experts > 4).mean()}
            row[f"{criterion}: more"] = row.pop("more")
            row[f"{criterion}: tree"] = (part[criterion] == "2x2").mean()
        rows.append(row | {"CPU s, median": part["CPU s"].median()})
    return pd.DataFrame(rows)


def main(sets=SETS, gatings=("SS", "LL")):
    """Take the data sets that the table lacks."""
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.exists() else []
    done = {(row["gating"], row["n"], row["outliers"], row["set"]) for row in rows}
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    for number in range(sets):
        for key in ((gating, n, number, outliers) for gating in gatings for n in SIZES for outliers in (False, True)):
            if (key[0], key[1], key[3], number) not in done and (number < WITH_OUTLIERS or not key[3]):
                rows.append(one(*key))
                table = pd.DataFrame(rows).sort_values(["outliers", "gating", "n", "set"])
                table.to_csv(TABLE, index=False, float_format="%.4g", lineterminator="\n")
    return summary(pd.DataFrame(rows))


if __name__ == "__main__":
    words = sys.argv[1:]
    print(main(int(words[0]) if words else SETS, tuple(words[1:]) or ("SS", "LL")).to_string(index=False))
