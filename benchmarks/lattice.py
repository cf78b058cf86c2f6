"""Do samples on a lattice stand for ordinary ones, and what do they cost? ``python -m benchmarks.lattice [NAME]...``.

C2 is fitted as the studies do: from 12 starts around the truth, local to it, in their box; exactly, and with three
experts in both groups. Fits go to build/lattice.csv as they come, and a run takes up where the last one ended; the
tables, with the seed, to benchmarks/lattice-<name>.csv.

agreement: fits of ordinary and of lattice samples of the same sizes; errors, losses and gains over the truth are
    compared by two-sample Kolmogorov-Smirnov tests. Sizes and shapes may be named: ``agreement 1000 10000 2,2``.
    At n = 1000 exact LL fits gained about one more on the lattice, 21.9 against 20.5 in the table, and 22.4 against
    21.3 in 592 further replicates (standard errors .3). It was chance: 1500 fresh replicates of each, seed 991, gave
    21.62 and 21.65 (.17), with the same quartiles. A finer rule changes no distance that matters there: with four
    nodes a panel, and panels that halve, chi-squared distances of measures whose omegas are .1 to .3 off move by
    .0009 of themselves at most, their second differences by .002; by .026 where omegas are .001 off or less.
cost: points of the lattice, those ever drawn, and CPU seconds of one fit at n = 1e4, 1e8, 1e12. Also what a lattice of
    twice the nodes and half the step would change: of the gain that the fit expects of new data, n times its
    Kullback-Leibler divergence from the truth, in standard deviations of the log-likelihood ratio.
constants: Hellinger distances along paths of `theory.modulus`, of the spread of omega in a cell of two: in the
    continuous model, and by how much they are off on the lattice and on one of twice the nodes and half the step.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import itertools  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy.stats import ks_2samp  # noqa: E402

import hmoe_stats as hs  # noqa: E402
from hmoe_stats.quadrature import lattice  # noqa: E402

HERE = Path(__file__).parent
FITS = HERE.parent / "build" / "lattice.csv"
SEED = 20261127
LAW = hs.Uniform(-3, 3)
BOX = {"a": 8.0, "b": 8.0, "omega": 3.0, "beta": 1.5, "nu": (0.04, 4.0)}
GATINGS = ("SS", "SL", "LS", "LL")
SIZES, REPLICATES = (1_000, 10_000, 100_000), 200
SHAPES = (2, 2), (3, 3)
KEYS = ["gating", "n", "k2", "replicate", "data"]
LARGE = (10**4, 10**8, 10**12)


def fitted(G0, k2, X, y, counts, seed):
    """The fit of a study: from 12 starts around the truth, local to it."""
    return hs.fit_mle(X, y, G0.gating, k2, start=G0, n_starts=12, bounds=BOX, local=True, seed=seed, weights=counts)


def sampled(G0, data, n, seed):
    """X, y and counts, None of ordinary samples."""
    if data == "lattice":
        return hs.sample_lattice(G0, n, x=LAW, seed=seed)
    return *hs.sample(G0, n, x=LAW, seed=seed), None


def one(gating, n, k2, replicate, data):
    """A row of the fits: errors of parameters are means over cells. Samples are those of all shapes."""
    G0 = hs.datasets.truth("C2", gating)
    draw, start = np.random.SeedSequence(
        SEED, spawn_key=(GATINGS.index(gating), n, replicate, data == "lattice")
    ).spawn(2)
    X, y, counts = sampled(G0, data, n, draw)
    began = time.process_time()
    fit = fitted(G0, k2, X, y, counts, start)
    seconds = time.process_time() - began
    errors = hs.parameter_errors(fit.measure, G0, x=LAW)
    errors = errors.groupby(["parameter", "kind"])["error"].mean()
    row = dict(zip(KEYS, (gating, n, str(k2), replicate, data), strict=True))
    row |= {
        "rows": y.size,
        "seconds": seconds,
        "status": fit.status,
        "on the floor": bool((fit.measure.nu < 0.0401).any()),
    }
    row["gain"] = 2.0 * hs.log_likelihood(fit.measure, X, y, counts, relative_to=G0)
    row["sharp loss"] = float(hs.voronoi_loss(fit.measure, G0, form="sharp", x=LAW))
    return row | {f"{name}, {kind}": error for (name, kind), error in errors.items()}


def agreement(sizes=SIZES, shapes=SHAPES, replicates=REPLICATES):
    FITS.parent.mkdir(exist_ok=True)
    rows = pd.read_csv(FITS).to_dict("records") if FITS.exists() else []
    done = {tuple(row[key] for key in KEYS) for row in rows}
    for n, k2, replicate in itertools.product(sizes, shapes, range(replicates)):
        for gating, data in itertools.product(GATINGS, ("rows", "lattice")):
            if (gating, n, str(k2), replicate, data) not in done:
                rows.append(one(gating, n, k2, replicate, data))
        pd.DataFrame(rows).to_csv(part := FITS.with_suffix(".part"), index=False, float_format="%.10g")
        part.replace(FITS)  # a run that is killed here loses nothing
    return compared(pd.DataFrame(rows))


def compared(fits):
    """One row per size, shape, gating and quantity: medians of both kinds of data, and the test that they differ."""
    names = [name for name in fits.columns if name in ("gain", "sharp loss") or "," in name]
    rows = []
    for (n, k2, gating), here in fits.groupby(["n", "k2", "gating"]):
        by = {data: part[names] for data, part in here.groupby("data")}
        for name in names:
            one, two = by["rows"][name].dropna(), by["lattice"][name].dropna()
            if not one.size or not two.size:
                continue
            test = ks_2samp(one, two)
            rows.append(
                {
                    "n": n, "k2": k2, "gating": gating, "quantity": name, "replicates": min(one.size, two.size),
                    "rows, median": one.median(), "lattice, median": two.median(),
                    "rows, mean": one.mean(), "lattice, mean": two.mean(),
                    "distance": test.statistic, "p": test.pvalue, "seed": SEED,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def divergence(grid, G, G0):
    """Kullback-Leibler divergence of G from G0 on a lattice, and the variance of the log-likelihood ratio."""
    X, y = grid.rows
    log_ratio = hs.log_density(G, X, y) - hs.log_density(G0, X, y)
    p = grid.probabilities(G0).ravel()
    square = p @ log_ratio**2
    return p @ (np.expm1(log_ratio) - log_ratio), square  # the mean of the ratio is 1 on any lattice


def cost(sizes=LARGE, gatings=("SS", "LL")):
    rows = []
    for gating in gatings:
        G0 = hs.datasets.truth("C2", gating)
        grids = [lattice(LAW, G0, BOX["nu"][0], fineness) for fineness in (1, 2)]
        for n in sizes:
            draw, start = np.random.SeedSequence(SEED, spawn_key=(GATINGS.index(gating), n)).spawn(2)
            X, y, counts = sampled(G0, "lattice", n, draw)
            fitted(G0, (3, 3), X[:60], y[:60], counts[:60], start)  # compiles
            began = time.process_time()
            fit = fitted(G0, (3, 3), X, y, counts, start)
            seconds = time.process_time() - began
            (one, square), (two, _) = (divergence(grid, fit.measure, G0) for grid in grids)
            rows.append(
                {
                    "gating": gating, "n": n, "nodes": len(grids[0].X), "points": grids[0].y.size * len(grids[0].X),
                    "drawn": y.size, "CPU s": seconds, "status": fit.status, "score": fit.score_norm,
                    "gain": 2 * hs.log_likelihood(fit.measure, X, y, counts, relative_to=G0), "n KL": n * one,
                    "finer, sd": n * (two - one) / np.sqrt(n * square), "seed": SEED,
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(HERE / "lattice-cost.csv", index=False, float_format="%.4g")
    return pd.DataFrame(rows)


def constants(t=(0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001), gatings=("SS", "LL")):
    rows = []
    for gating in gatings:
        G0 = hs.datasets.truth("C2", gating)
        path = hs.theory.modulus(G0, (3, 2), "omega", x=LAW, t=t, n_starts=1)
        rows += distances(G0, path.t, path.measures)
    return pd.DataFrame(rows)


def distances(G0, t, measures):
    """Rows of `constants`."""
    grids, rows = [lattice(LAW, G0, BOX["nu"][0], fineness) for fineness in (1, 2)], []
    for spread, G in zip(t, measures, strict=True):
        there, here = float(hs.hellinger(G, G0, LAW)), []
        for grid in grids:
            X, y = grid.rows
            half = 0.5 * (hs.log_density(G, X, y) - hs.log_density(G0, X, y))
            here.append(np.sqrt(0.5 * grid.probabilities(G0).ravel() @ np.expm1(half) ** 2))
        one, two = (value / there - 1 for value in here)
        rows.append({"gating": G0.gating, "t": spread, "hellinger": there, "lattice off by": one, "finer off by": two})
    return rows


def main(words):
    jobs = {"agreement": agreement, "cost": cost, "constants": constants}
    sizes = tuple(int(word) for word in words if word.isdigit())
    shapes = tuple(tuple(map(int, word.split(","))) for word in words if "," in word)
    asked = {name: of for name, of in (("sizes", sizes), ("shapes", shapes)) if of}
    for name in [word for word in words if word.isalpha()] or jobs:
        if name not in jobs:
            sys.exit(f"benchmarks.lattice: {name}: expected some of {', '.join(jobs)}")
        table = jobs[name](**asked)
        table.to_csv(HERE / f"lattice-{name}.csv", index=False, float_format="%.4g")
        print(f"\n{name}\n{table.to_string(index=False, float_format=lambda v: f'{v:.4g}')}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
