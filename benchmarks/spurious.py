"""Are spurious maxima told from estimates, where the truth is known? The rule of `hmoe_stats.fitting.certificate`.

``python -m benchmarks.spurious`` fits samples of C2 (d = 1) and P2 (d = 2) in the default box, exactly and with an
expert or two too many: all variances .4, or one a hundredth of that (little noise), with that expert on a fifth or on
a twentieth of the rows (few rows). benchmarks/spurious.csv counts, over the data sets of a line,

- sound: fits with status "converged" or "boundary";
- passed over: fits of which a better start was set aside as flawed;
- missed: sound fits with an expert whose variance is below a tenth of the smallest true one;
- false alarms: exact fits (k2 as the truth's) without status "converged" or "boundary".
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

import hmoe_stats as hs

LAW, STARTS, SETS = hs.Uniform(-3, 3), 12, 4
SIZES = (150, 500)
SHAPES = ((2, 2), (3, 2), (3, 3))
TRUTHS = {
    "C2": ("C2", 0.4, 0.0),
    "C2, little noise": ("C2", 0.004, 0.0),
    "C2, little noise, few rows": ("C2", 0.004, -1.7),
    "P2": ("P2", 0.4, 0.0),
    "P2, little noise": ("P2", 0.004, 0.0),
}


def truth(name, gating):
    base, nu, beta = TRUTHS[name]
    G = hs.datasets.truth(base, gating)
    return G.replace(nu=[nu, 0.4, 0.4, 0.4], beta=G.beta + np.array([beta, 0.0, 0.0, 0.0]))


def one(task):
    name, gating, n, k2, number = task
    G = truth(name, gating)
    X, y = hs.sample(G, n, x=LAW, seed=np.random.SeedSequence(2000, spawn_key=(n, number)))
    fit = hs.fit_mle(X, y, gating, k2, n_starts=STARTS)
    above = fit.starts["log_likelihood"] > fit.log_likelihood + 0.01
    return {
        "truth": name,
        "gating": gating,
        "n": n,
        "k2": ",".join(map(str, k2)),
        "sets": 1,
        "sound": fit.converged,
        "passed over": (above & (fit.starts["note"] != "")).any(),
        "missed": fit.converged and fit.measure.nu.min() < 0.1 * G.nu.min(),
        "false alarms": k2 == G.k2 and fit.status == "degenerate",
    }


def main(jobs):
    tasks = [
        (name, gating, n, k2, number)
        for n in SIZES for name in TRUTHS for gating in ("SS", "LL") for k2 in SHAPES for number in range(SETS)
    ]  # fmt: skip
    with ProcessPoolExecutor(jobs) as pool:
        rows = pd.DataFrame(pool.map(one, tasks, chunksize=6))
    table = rows.groupby(["truth", "gating", "n", "k2"], sort=False).sum().astype(int).reset_index()
    table.to_csv(Path(__file__).with_name("spurious.csv"), index=False, lineterminator="\n")
    print(table.to_string(index=False))
    print(table.groupby("k2")[["sets", "sound", "passed over", "missed", "false alarms"]].sum().to_string())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
