"""Do samples on a lattice stand for ordinary ones? ``python -m benchmarks.lattice [NAME]... [--sizes N,...]``.

agreement: C2 fitted with three experts in both groups, in the box of the studies, on ordinary and on lattice samples of
the same sizes. Errors, losses and gains over the truth are compared by two-sample Kolmogorov-Smirnov tests. Fits go to
build/lattice.csv, which a run takes up where the last one ended.
Tables go to the screen and to benchmarks/lattice-<name>.csv.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy.stats import ks_2samp  # noqa: E402

import hmoe_stats as hs  # noqa: E402

HERE = Path(__file__).parent
FITS = HERE.parent / "build" / "lattice.csv"
SEED = 20261127
LAW = hs.Uniform(-3, 3)
BOX = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": (0.04, 4.0)}
GATINGS = ("SS", "SL", "LS", "LL")
SIZES, REPLICATES = (1_000, 10_000), 200
KEYS = ["gating", "n", "replicate", "data"]


def fitted(G0, X, y, counts, seed):
    """The fit of a study: from 12 starts around the truth, local to it."""
    return hs.fit_mle(X, y, G0.gating, (3, 3), start=G0, n_starts=12, bounds=BOX, local=True, seed=seed, weights=counts)


def sampled(G0, data, n, seed):
    """X, y and counts, None of ordinary samples."""
    if data == "lattice":
        return hs.sample_lattice(G0, n, x=LAW, seed=seed)
    return *hs.sample(G0, n, x=LAW, seed=seed), None


def one(gating, n, replicate, data):
    """A row of the fits: errors are means over cells, of parameters and of functions."""
    G0 = hs.datasets.truth("C2", gating)
    draw, start = np.random.SeedSequence(
        SEED, spawn_key=(GATINGS.index(gating), n, replicate, data == "lattice")
    ).spawn(2)
    X, y, counts = sampled(G0, data, n, draw)
    began = time.process_time()
    fit = fitted(G0, X, y, counts, start)
    seconds = time.process_time() - began
    errors = hs.parameter_errors(fit.measure, G0, x=LAW)
    errors = errors.groupby(["parameter", "kind"])["error"].mean()
    row = {"gating": gating, "n": n, "replicate": replicate, "data": data, "rows": y.size, "seconds": seconds}
    row |= {"status": fit.status, "on the floor": bool((fit.measure.nu < 0.0401).any())}
    row["gain"] = 2.0 * hs.log_likelihood(fit.measure, X, y, counts, relative_to=G0)
    row["sharp loss"] = float(hs.voronoi_loss(fit.measure, G0, form="sharp", x=LAW))
    row |= {f"{name}, {kind}": error for (name, kind), error in errors.items()}
    functions = hs.functional_errors(fit.measure, G0, LAW).groupby("parameter")["error"].mean()
    return row | {f"{name}, function": error for name, error in functions.items()}


def agreement(sizes=SIZES, replicates=REPLICATES):
    FITS.parent.mkdir(exist_ok=True)
    rows = pd.read_csv(FITS).to_dict("records") if FITS.exists() else []
    done = {tuple(row[key] for key in KEYS) for row in rows}
    for n in sizes:
        for replicate in range(replicates):
            for gating in GATINGS:
                for data in ("rows", "lattice"):
                    if (gating, n, replicate, data) not in done:
                        rows.append(one(gating, n, replicate, data))
            pd.DataFrame(rows).to_csv(FITS, index=False, float_format="%.10g")
    return compared(pd.DataFrame(rows))


def compared(fits):
    """One row per gating, size and quantity: medians of both kinds of data, and the test that they differ."""
    names = [name for name in fits.columns if name in ("gain", "sharp loss") or "," in name]
    rows = []
    for (gating, n), here in fits.groupby(["gating", "n"]):
        by = {data: part[names] for data, part in here.groupby("data")}
        for name in names:
            one, two = by["rows"][name].dropna(), by["lattice"][name].dropna()
            if not one.size or not two.size:
                continue
            test = ks_2samp(one, two)
            rows.append(
                {
                    "gating": gating, "n": n, "quantity": name, "replicates": min(one.size, two.size),
                    "rows, median": one.median(), "lattice, median": two.median(),
                    "rows, mean": one.mean(), "lattice, mean": two.mean(),
                    "distance": test.statistic, "p": test.pvalue, "seed": SEED,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def main(names):
    jobs = {"agreement": agreement}
    sizes = SIZES
    if "--sizes" in names:
        place = names.index("--sizes")
        sizes = tuple(map(int, names[place + 1].split(",")))
        names = names[:place] + names[place + 2 :]
    for name in names or jobs:
        if name not in jobs:
            sys.exit(f"benchmarks.lattice: {name}: expected some of {', '.join(jobs)}")
        table = jobs[name](sizes) if name == "agreement" else jobs[name]()
        table.to_csv(HERE / f"lattice-{name}.csv", index=False, float_format="%.4g")
        print(f"\n{name}\n{table.to_string(index=False, float_format=lambda v: f'{v:.4g}')}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
