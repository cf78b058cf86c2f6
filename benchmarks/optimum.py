"""Does a plain fit find the best optimum there is? Over-specified fits against the best optimum ever seen.

Truths are C2 of `hmoe_stats.datasets` and five random ones of the same kind, whose experts stay three standard
deviations apart; every data set (n = 10,000) is fitted with one expert too many in each group, in the box of the
studies. Two plain fits, one started at the truth and one at the data alone, are set against a fit with 200 starts a
stage, and against the best optimum that any fit has found so far, of whatever starts and version. A run fits its data
sets again, and every row replaces the one before it in the table as soon as it is there.
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

import hmoe_stats as hs

from .machine import machine

BOX = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": (0.04, 4.0)}
LAW = hs.Uniform(-3, 3)
STARTS = 200
FOUND = 0.01  # log-likelihood units


def random_truth(gating, number):
    """One of the random truths, by its number."""
    return hs.datasets.random_truth(np.random.SeedSequence(2410, spawn_key=(number,)), gating)


FITS = {"start": ("truth", None), "data": ("data", None), f"{STARTS} starts": ("truth", STARTS)}


def one(task):
    gating, number, best = task
    name = "C2" if number % 2 == 0 else f"random {number // 2 % 5}"
    G0 = hs.datasets.truth("C2", gating) if name == "C2" else random_truth(gating, number // 2 % 5)
    X, y = hs.sample(G0, 10_000, x=LAW, seed=1000 + number)
    row, found = {"gating": gating, "set": number, "truth": name}, {}
    for label, (around, n_starts) in FITS.items():
        begin, start = time.process_time(), G0 if around == "truth" else None
        found[label] = hs.fit_mle(X, y, gating, (3, 3), start=start, n_starts=n_starts, bounds=BOX).log_likelihood
        row[f"{label} s"] = time.process_time() - begin
    best = max(best, *found.values())
    row |= {f"{label} short by": best - value for label, value in found.items()} | {"best": best}
    return row | {"machine": machine()}


def summary(table):
    """Shares of data sets in which a plain fit comes up to the 200 starts, and to the best ever found."""
    groups = table.groupby("gating")
    out = pd.DataFrame({"data sets": groups.size()})
    for label in ("start", "data"):
        beside = table[f"{label} short by"] - table[f"{STARTS} starts short by"]
        out[f"{label}: up to {STARTS} starts"] = (beside <= FOUND).groupby(table["gating"]).mean()
        out[f"{label}: up to the best"] = (table[f"{label} short by"] <= FOUND).groupby(table["gating"]).mean()
        out[f"{label}: s, median"] = groups[f"{label} s"].median()
    return out.reset_index()


def main(sets=100, jobs=1, gatings=("SS", "LL", "SL", "LS")):
    path = Path(__file__).parent / "optimum.csv"
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    rows = {(row["gating"], row["set"]): row for row in rows}
    tasks = [(g, k, rows[g, k]["best"] if (g, k) in rows else -np.inf) for k in range(sets) for g in gatings]
    with ProcessPoolExecutor(jobs) as pool:
        for row in pool.map(one, tasks):
            rows[row["gating"], row["set"]] = row
            table = pd.DataFrame(rows.values())
            table.to_csv(path, index=False, float_format="%.10g")
            print(row, flush=True)
    return summary(table.dropna(subset=["start s"]))  # of data sets not fitted again only the best optimum may be known


if __name__ == "__main__":
    print(main(*(int(word) for word in sys.argv[1:])).to_string(index=False))
