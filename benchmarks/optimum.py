"""Does a plain fit find the best optimum there is? Over-specified fits against the best optimum ever seen.

Truths are C2 of `hmoe_stats.datasets` and five random ones of the same kind, whose experts stay three standard
deviations apart; every data set (n = 10,000) is fitted with one expert too many in each group, in the box of the
studies. The best optimum of a data set is first that of a search with 200 starts a stage; any later run that finds a
better one, whatever its starts and its version, raises it. A run fits its data sets again, and every row replaces the
one before it in the table as soon as it is there; rows of which only the best is given were fitted by earlier searches.
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

import hmoe_stats as hs

BOX = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": (0.04, 4.0)}
LAW = hs.Uniform(-3, 3)
STARTS = 200
FOUND = 0.01  # log-likelihood units


def random_truth(gating, number):
    """Two groups of two experts, lines at least three standard deviations apart on [-3, 3], all gates at work."""
    rng = np.random.default_rng(np.random.SeedSequence(2410, spawn_key=(number,)))
    ends = np.array([-3.0, 3.0])
    while True:
        eta, tau, nu = rng.uniform(-0.8, 0.8, 4), rng.uniform(-8, 8, 4), rng.uniform(0.2, 0.8, 4)
        lines = np.multiply.outer(ends, eta) + tau
        apart = np.abs(lines[:, :, None] - lines[:, None, :]) + 99 * np.eye(4)
        order = (lines[0].argsort() == lines[1].argsort()).all()  # no two cross in between
        gates = []
        for letter, size in zip(gating, (2, 4), strict=True):
            slopes = rng.uniform(0.3, 0.9, size) * np.tile([1.0, -1.0], size // 2)
            gates.append(slopes if letter == "S" else rng.uniform(-2, 2, size))
        G = hs.MixingMeasure(
            gating=gating, k2=(2, 2), a=gates[0], b=rng.uniform(-0.3, 0.3, 2), omega=gates[1],
            beta=rng.uniform(-0.3, 0.3, 4), eta=eta, tau=tau, nu=nu,
        )  # fmt: skip
        mass = hs.gate_weights(G, np.linspace(-3, 3, 200)).mean(axis=0)
        if order and apart.min() > 3 * np.sqrt(nu.max()) and mass.min() > 0.08:
            return G


def one(task):
    gating, number, best = task
    name = "C2" if number % 2 == 0 else f"random {number // 2 % 5}"
    G0 = hs.datasets.truth("C2", gating) if name == "C2" else random_truth(gating, number // 2 % 5)
    X, y = hs.sample(G0, 10_000, x=LAW, seed=1000 + number)
    row, found = {"gating": gating, "set": number, "truth": name}, {}
    for label, start in (("start", G0), ("data", None)):
        begin = time.process_time()
        found[label] = hs.fit_mle(X, y, gating, (3, 3), start=start, bounds=BOX).log_likelihood
        row[f"{label} s"] = time.process_time() - begin
    if best is None:
        best = hs.fit_mle(X, y, gating, (3, 3), start=G0, n_starts=STARTS, bounds=BOX).log_likelihood
    best = max(best, *found.values())
    return row | {f"{label} short by": best - value for label, value in found.items()} | {"best": best}


def summary(table):
    groups = table.dropna().groupby("gating")  # of others only the best optimum is known
    out = pd.DataFrame({"data sets": groups.size()})
    for label in ("start", "data"):
        out[f"{label} found"] = groups[f"{label} short by"].agg(lambda gap: (gap <= FOUND).mean())
        out[f"{label} s, median"] = groups[f"{label} s"].median()
    return out.reset_index()


def main(sets=100, jobs=1, gatings=("SS", "LL", "SL", "LS")):
    path = Path(__file__).parent / "optimum.csv"
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    rows = {(row["gating"], row["set"]): row for row in rows}
    tasks = [(g, k, rows[g, k]["best"] if (g, k) in rows else None) for k in range(sets) for g in gatings]
    with ProcessPoolExecutor(jobs) as pool:
        for row in pool.map(one, tasks):
            rows[row["gating"], row["set"]] = row
            table = pd.DataFrame(rows.values())
            table.to_csv(path, index=False, float_format="%.10g")
            print(row, flush=True)
    return summary(table)


if __name__ == "__main__":
    print(main(*(int(word) for word in sys.argv[1:])).to_string(index=False))
