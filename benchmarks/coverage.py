"""Do the intervals of a fit hold the truth as often as they say?

``python -m benchmarks.coverage [JOBS] [fit_mle|fit]`` fits samples of C2, x uniform on [-3, 3], by its own shape, from
the truth: 300 samples for each of four gatings and n = 500 and 5000, keyed by (2025, n, sample), the same for all
gatings. They are kept in results/coverage.jsonl as they come, and a run that was stopped goes on. When all are there,
figures/coverage/coverage.csv is written. With ``fit`` they are penalised fits, and the files coverage-fit.jsonl and
penalised.csv. A line is a quantity, and counts over its samples

- given: fits whose interval was given; the others have no maximum ("max_iter", "degenerate"), or say that the quantity
  is not identified, not quadratic, beyond the data, or rests on a bound;
- coverage: the share of the given 95 % intervals that hold the truth, with its own 95 % interval (Wilson).

The number of samples was set after interim tables of `fit_mle` had been seen, whose table is exploratory; for `fit` it
stood before the first fit.

Quantities are the parameters, by the three kinds of covariance; and by the observed information the mean, quantiles,
lines and gates at five x, and the simultaneous band of the mean on a grid.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy.stats import binomtest  # noqa: E402

import hmoe_stats as hs  # noqa: E402
from hmoe_stats.inference.bootstrap import aligned  # noqa: E402
from hmoe_stats.inference.curvature import KINDS  # noqa: E402
from hmoe_stats.inference.functionals import estimate_of, quantities  # noqa: E402

ROOT = Path(__file__).parents[1]
SAMPLES = {name: ROOT / "results" / f"coverage{end}.jsonl" for name, end in (("fit_mle", ""), ("fit", "-fit"))}
FILES = {"fit_mle": "coverage", "fit": "penalised"}
TABLES = {name: ROOT / "figures" / "coverage" / f"{file}.csv" for name, file in FILES.items()}
LAW, LEVEL, SEED, REPLICATES = hs.Uniform(-3, 3), 0.95, 2025, 300
SIZES, GATINGS = (500, 5000), ("SS", "SL", "LS", "LL")
AT, GRID, Q = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), np.linspace(-3, 3, 25), (0.1, 0.9)
FUNCTIONS = ("mean", "quantile", "experts", "gates", "groups")
COVERED, MISSED, NOT_GIVEN = "1", "0", "-"


def one(task):
    """A sample: how its fit ended, and for each kind and quantity whether the interval holds the truth."""
    estimator, gating, n, number = task
    G = hs.datasets.truth("C2", gating)
    X, y = hs.sample(G, n, x=LAW, seed=np.random.SeedSequence(SEED, spawn_key=(n, number)))
    fit = getattr(hs, estimator)(X, y, gating, G.k2, start=G, n_starts=1)  # with the start's scale of Laplace gates
    row = {"gating": gating, "n": n, "sample": number, "status": fit.status, "held": {}}
    truth = aligned(fit.measure, G, X)  # labels may have changed on the way
    if not fit.converged or truth is None:
        return row
    held, place = row["held"], fit.curvature.coordinates
    for kind in KINDS:
        held |= marks(kind, place.names, fit.conf_int(LEVEL, kind), place.of(truth))
    for of in FUNCTIONS:
        table, true = fit.intervals(of, AT, LEVEL, q=Q), values(truth, of, AT)
        labels = table[[c for c in ("group", "expert", "q") if c in table]].to_numpy()
        names = [" ".join([of, *(f"{v:g}" for v in label), f"at {AT[row]:g}"])
                 for label, row in zip(labels, table["row"], strict=True)]  # fmt: skip
        held |= marks("hessian", names, table, true)
    band, true = fit.intervals("mean", GRID, LEVEL, band=True), values(truth, "mean", GRID)
    mark = "".join(marks("hessian", map(str, GRID), band, true).values())
    held["hessian: mean, band"] = min(mark, key=[NOT_GIVEN, MISSED, COVERED].index)
    return row


def values(truth, of, X):
    """The true values of a function, in the order of the rows of a table."""
    columns = range(len(quantities(truth, of, np.array(Q))[1]))
    return np.concatenate([estimate_of(truth, of, X[:, None], np.array(Q), k) for k in columns])


def marks(kind, names, table, true):
    """{quantity: mark} of a table of intervals."""
    holds = (table["low"].to_numpy() <= true) & (true <= table["high"].to_numpy())
    found = np.where(table["status"] == "estimated", np.where(holds, COVERED, MISSED), NOT_GIVEN)
    return {f"{kind}: {name}": str(mark) for name, mark in zip(names, found, strict=True)}


def kept(file):
    """The samples that are done; a line that was cut off is left out, and out of the file."""
    if not file.exists():
        return []
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        file.write_bytes(whole)
    return [json.loads(line) for line in whole.splitlines()]


def table(rows):
    """The table of all samples."""
    out = []
    for (gating, n), part in pd.DataFrame(rows).groupby(["gating", "n"], sort=False):
        held = pd.DataFrame(part["held"].tolist()).fillna(NOT_GIVEN)
        for quantity, column in held.items():
            kind, name = quantity.split(": ")
            given, covered = int((column != NOT_GIVEN).sum()), int((column == COVERED).sum())
            found = binomtest(covered, given) if given else None
            low, high = found.proportion_ci(0.95, "wilson") if given else (0.0, 1.0)
            line = {"gating": gating, "n": n, "kind": kind, "quantity": name, "samples": len(part), "given": given}
            coverage = round(covered / given, 4) if given else None
            out.append(line | {"coverage": coverage, "ci_low": round(low, 4), "ci_high": round(high, 4)})
    return pd.DataFrame(out)


def main(jobs, estimator):
    rows = kept(SAMPLES[estimator])
    done = {(row["gating"], row["n"], row["sample"]) for row in rows}
    tasks = [(gating, n, number) for number in range(REPLICATES) for n in SIZES for gating in GATINGS]
    SAMPLES[estimator].parent.mkdir(exist_ok=True)
    with ProcessPoolExecutor(jobs) as pool, SAMPLES[estimator].open("a") as stream:
        for row in pool.map(one, [(estimator, *task) for task in tasks if task not in done], chunksize=4):
            rows.append(row)
            print(json.dumps(row), file=stream, flush=True)
    place = {task: k for k, task in enumerate(tasks)}
    rows.sort(key=lambda row: place[row["gating"], row["n"], row["sample"]])
    TABLES[estimator].parent.mkdir(parents=True, exist_ok=True)
    found = table(rows)
    found.to_csv(TABLES[estimator], index=False, lineterminator="\n")
    print(found.groupby(["gating", "n", "kind"], sort=False)[["given", "coverage"]].mean().to_string())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2, sys.argv[2] if len(sys.argv) > 2 else "fit_mle")
