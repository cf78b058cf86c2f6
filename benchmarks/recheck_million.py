"""Are the stored fits of `million` at their optima? What a step promises, and a climb gains.

``python -m benchmarks.recheck_million`` reads figures/cells/million.sqlite.gz, samples the data of each cell again, and
adds to benchmarks/recheck_million.csv the cells that it lacks, SS and LL in turn.
"""

import gzip
import json
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import hmoe_stats as hs
from hmoe_stats.fitting.mle import FINAL_SMOOTHING, LEFT
from hmoe_stats.fitting.newton import begin, climb_on, promise, spectrum
from hmoe_stats.fitting.problem import Problem, one_thread
from simulations.study import load_study

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).parent / "recheck_million.csv"


def stored():
    """(gating, k2, n, replicate, status, parameters) of each stored cell, the gatings in turn."""
    with tempfile.NamedTemporaryFile(suffix=".sqlite") as file:
        file.write(gzip.decompress((ROOT / "figures/cells/million.sqlite.gz").read_bytes()))
        file.flush()
        connection = sqlite3.connect(file.name)
        words = "gating, k2, n, replicate, status, parameters"
        rows = connection.execute(f"select {words} from cells order by replicate, gating desc").fetchall()
        connection.close()
    return rows


@one_thread
def one(study, gating, k2, n, replicate, status, parameters):
    """The row of a cell."""
    X, y = hs.sample(study.measure(gating), n, x=study.law, seed=study.data_seed(n, replicate))
    k2 = tuple(int(m) for m in k2.split(","))
    problem = Problem(np.asarray(X), y, gating, k2, study.fit.keywords()["bounds"])
    eps = problem.smoothing * FINAL_SMOOTHING
    G = hs.MixingMeasure.from_dict(json.loads(parameters))
    here = begin(problem, problem.from_measure(G), eps)
    left = promise(problem, here)
    end = climb_on(problem, here, eps, 1e-9, 200)
    flattest = spectrum(problem, here.z, here.gradient, here.information)[0][0]
    return {
        "gating": gating, "n": n, "replicate": replicate, "stored": status, "score over n": here.norm,
        "smallest eigenvalue": flattest, "promise": left, "meets": left <= max(LEFT, problem.rounding(here.value)),
        "gain of a climb": end.value - here.value, "moved": np.abs(end.z - here.z).max(),
        "promise after": promise(problem, end), "converged": end.converged, "iterations": end.n_iter,
    }  # fmt: skip


def main():
    """Look at the cells that the table lacks."""
    study = load_study(ROOT / "simulations/studies/million.toml")
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.exists() else []
    done = {(row["gating"], row["replicate"]) for row in rows}
    for cell in stored():
        if (cell[0], cell[3]) not in done:
            rows.append(one(study, *cell))
            table = pd.DataFrame(rows).sort_values(["gating", "replicate"], ascending=[False, True])
            table.to_csv(TABLE, index=False, float_format="%.4g")
            print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
