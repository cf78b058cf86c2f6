"""How long does a fit to many rows take, and does the effort "cells" find what the usual one finds?

Samples of C2 (`hmoe_stats.datasets`) are fitted with one expert too many in each group, from starts of their own. With
``whole`` the usual effort, which looks at all rows, is set beside it.

``python -m benchmarks.large [N]... [whole]`` adds to benchmarks/large.csv what is not there yet, a row per fit.
"""

import sys
import time
from pathlib import Path

import pandas as pd

import hmoe_stats as hs

from .machine import machine

LAW = hs.Uniform(-3, 3)
TABLE = Path(__file__).parent / "large.csv"


def one(gating, n, number, effort):
    """The row of a fit."""
    G0 = hs.datasets.truth("C2", gating)
    X, y = hs.sample(G0, n, x=LAW, seed=number)
    hs.fit_mle(X[:500], y[:500], gating, (2, 2), n_starts=1)  # compiled, or loaded, before the clock starts
    begin = time.process_time()
    fit = hs.fit_mle(X, y, gating, (3, 3), effort=effort)
    row = {"gating": gating, "n": n, "set": number, "effort": effort, "CPU s": time.process_time() - begin}
    return row | {"log-likelihood": f"{fit.log_likelihood:.4f}", "status": fit.status, "machine": machine()}


def main(sizes=(10**5, 10**6), whole=False, sets=(7,), gatings=("SS", "LL")):
    """Make the fits that the table lacks."""
    rows = pd.read_csv(TABLE, dtype={"log-likelihood": str}).to_dict("records") if TABLE.exists() else []
    done = {(row["gating"], row["n"], row["set"], row["effort"]) for row in rows}
    for number in sets:
        for n in sizes:
            for gating in gatings:
                for effort in ("cells", "usual")[: 1 + whole]:
                    if (gating, n, number, effort) not in done:
                        rows.append(one(gating, n, number, effort))
                        table = pd.DataFrame(rows).sort_values(["n", "gating", "set", "effort"])
                        table.to_csv(TABLE, index=False, float_format="%.4g")
    return pd.DataFrame(rows)


if __name__ == "__main__":
    words = sys.argv[1:]
    sizes = tuple(int(word) for word in words if word != "whole")
    print(main(sizes or (10**5, 10**6), "whole" in words).to_string(index=False))
