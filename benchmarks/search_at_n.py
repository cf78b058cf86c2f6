"""Does a fit find the optimum at any n? 12 starts at every stage against 100, on lattice samples.

Samples of C2 (`hmoe_stats.datasets`) on a lattice (`hmoe_stats.sample_lattice`) are fitted with one expert too many in
each group, locally and in the box of `simulations/studies/million.toml`. Beside the share of data sets in which 12
starts come up to 100 stands the mean gain over the truth, 2 (l - l*): it does not depend on n if the search is long
enough.

``python -m benchmarks.search_at_n [SETS] [GATING]...`` adds to benchmarks/search_at_n.csv what is not there yet, a row
per data set, and prints the summary.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

import hmoe_stats as hs

BOX = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": (0.04, 4.0)}
LAW = hs.Uniform(-3, 3)
SIZES = 10**4, 10**8, 10**12
FEW, MANY = 12, 100  # starts
SETS, SEED = 10, 2411  # data sets of each size, and the key of their seeds
FOUND = 0.01  # log-likelihood units
TABLE = Path(__file__).parent / "search_at_n.csv"


def one(gating, n, number):
    """The row of a data set."""
    G0 = hs.datasets.truth("C2", gating)
    seed = np.random.SeedSequence(SEED, spawn_key=(n, number))
    X, y, counts = hs.sample_lattice(G0, n, LAW, seed, nu_min=BOX["nu"][0])
    row = {"gating": gating, "n": n, "set": number, "cells": y.size}
    for starts in (FEW, MANY):
        begin = time.process_time()
        fit = hs.fit_mle(
            X, y, gating, (3, 3), start=G0, n_starts=starts, effort="quick", bounds=BOX, weights=counts, local=True
        )
        row[f"{starts}: CPU s"] = time.process_time() - begin
        row[f"{starts}: gain"] = 2.0 * hs.log_likelihood(fit.measure, X, y, weights=counts, relative_to=G0)
        row[f"{starts}: status"] = fit.status
    return row


def summary(table):
    """A row per gating and n: how often 12 starts come up to 100, mean gains, CPU seconds, fits without an optimum."""
    few, many = table[f"{FEW}: gain"], table[f"{MANY}: gain"]
    table = table.assign(reach=few >= many - 2 * FOUND, above=few > many + 2 * FOUND)
    for starts in (FEW, MANY):
        table[f"{starts}: uncertified"] = ~table[f"{starts}: status"].isin(["converged", "boundary"])
    of = table.groupby(["gating", "n"])
    out = pd.DataFrame({"sets": of.size(), "12 reach 100": of["reach"].mean(), "12 above 100": of["above"].mean()})
    for starts in (FEW, MANY):
        out[f"{starts}: mean gain"] = of[f"{starts}: gain"].mean()
        out[f"{starts}: its error"] = of[f"{starts}: gain"].sem()
        out[f"{starts}: CPU s, median"] = of[f"{starts}: CPU s"].median()
        out[f"{starts}: uncertified"] = of[f"{starts}: uncertified"].sum()
    return out.reset_index()


def main(sets=SETS, gatings=("SS", "LL")):
    """Fit the data sets that the table lacks."""
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.exists() else []
    done = {(row["gating"], row["n"], row["set"]) for row in rows}
    for number in range(sets):
        for gating in gatings:
            for n in SIZES:
                if (gating, n, number) not in done:
                    rows.append(one(gating, n, number))
                    table = pd.DataFrame(rows).sort_values(["gating", "n", "set"])
                    table.to_csv(TABLE, index=False, float_format="%.8g")
    return summary(pd.DataFrame(rows))


if __name__ == "__main__":
    words = sys.argv[1:]
    print(main(int(words[0]) if words else SETS, tuple(words[1:]) or ("SS", "LL")).to_string(index=False))
