"""``python -m benchmarks.own_data [SECONDS]``: what fits to own data say of rows they have not seen.

Six regression sets, each split five times into four fifths to fit and a fifth to judge (keyed seeds), and samples of
known truths, judged on 2000 fresh rows: the mean log-density of a held-out row and the worst row, by `hs.fit`, by
`hs.fit_mle` and by the linear regression of y on X. Fits are (2, 2), or of the truth's shape, with effort "quick". On
the sets `hs.fit` has Laplace scales of 1, 3 (its default) and 9 per standard deviation, and `hs.fit_mle` its own of 1
on standardised covariates; on samples both have the truth's. On these also by how many standard errors the penalty
moves that estimate most which moves most: `hs.fit` from the optimum of `hs.fit_mle`, and back.

The sets are those of `hs.datasets`, less one whose likelihood has no maximum. Each fit is a row of own_data.csv, and
one that is there is not made again; so it may be stopped after SECONDS.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import sys  # noqa: E402
import time  # noqa: E402
import zlib  # noqa: E402
from itertools import product  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import hmoe_stats as hs  # noqa: E402

from .machine import machine  # noqa: E402

HERE = Path(__file__).parent
GATINGS = ("SS", "SL", "LS", "LL", "QQ")
SPLITS, FRESH = 5, 2000
COLUMNS = ["set", "gating", "split", "method", "mean", "worst", "status", "least nu", "seconds", "shift"]
SETS = ("motorcycle", "engel", "geyser", "penguins", "auto-mpg", "weather")
TRUTHS = {f"{name} n={n}": (name, n) for name, n in (("C2", 200), ("C2", 1000), ("C2", 5000), ("C3", 1000))}
METHODS = ("linear", "fit_mle", "fit", "fit, scale 1", "fit, scale 9")


def data(name, gating, split):
    """X, y to fit and X, y to judge."""
    rng = np.random.default_rng(np.random.SeedSequence(zlib.crc32(name.encode()), spawn_key=(split,)))
    if name in TRUTHS:
        truth, n = TRUTHS[name]
        G, x = hs.datasets.truth(truth, gating=gating), hs.Uniform(-3, 3)
        return *hs.sample(G, n, x=x, seed=rng), *hs.sample(G, FRESH, x=x, seed=rng)
    table = hs.datasets.load(name)
    covariates, response = table.attrs["covariates"], table.attrs["response"]
    table = table[[*covariates, response]].dropna()
    X, y = table[covariates].to_numpy(float), table[response].to_numpy(float)
    out, kept = np.split(rng.permutation(y.size), [y.size // 5])
    X = (X - X[kept].mean(axis=0)) / X[kept].std(axis=0)  # `fit_mle` has a Laplace gate's distances in the unit of x
    return X[kept], y[kept], X[out], y[out]


def linear(X, y, X_new, y_new):
    """Log-densities of new rows by the linear regression, normal errors."""
    one, new = (np.column_stack([np.ones(len(part)), part]) for part in (X, X_new))
    line = np.linalg.lstsq(one, y, rcond=None)[0]
    variance = np.mean((y - one @ line) ** 2)
    return -0.5 * ((y_new - new @ line) ** 2 / variance + np.log(2.0 * np.pi * variance))


def one(name, gating, split, method):
    """A row of the table."""
    X, y, X_new, y_new = data(name, gating, split)
    row = {"set": name, "gating": gating, "split": split, "method": method}
    begin = time.process_time()
    if method == "linear":
        found = linear(X, y, X_new, y_new)
        return row | {"mean": found.mean(), "worst": found.min()}
    G = hs.datasets.truth(TRUTHS[name][0], gating=gating) if name in TRUTHS else None
    name_of_fit, _, scale = method.partition(", scale ")
    options = {"laplace_scale": float(scale)} if scale else {}
    if G and "L" in gating and method == "fit":
        options = {"laplace_scale": X.std(axis=0)}
    fit = getattr(hs, name_of_fit)(X, y, gating, G.k2 if G else (2, 2), effort="quick", **options)
    seconds, found = time.process_time() - begin, hs.log_density(fit.measure, X_new, y_new)
    row |= {
        "mean": found.mean(),
        "worst": found.min(),
        "status": fit.status,
        "least nu": fit.measure.nu.min() / y.var(),
    }
    return row | {"seconds": seconds, "shift": shift(X, y, G) if G and method == "fit" else np.nan}


def shift(X, y, G):
    """Standard errors by which the penalty moves the parameter that moves most; infinite if there is no way back."""
    plain = hs.fit_mle(X, y, G.gating, G.k2, start=G, n_starts=1)
    own = hs.fit(X, y, G.gating, G.k2, start=plain, n_starts=1)
    back = hs.fit_mle(X, y, G.gating, G.k2, start=own, n_starts=1)
    moved = ((own.params - plain.params) / plain.bse).abs().max() if plain.converged else np.nan
    return moved if abs(back.log_likelihood - plain.log_likelihood) < 0.01 else np.inf


def run(seconds, file=HERE / "own_data.csv", splits=SPLITS):
    """Add rows to the file until all are there or the time is over."""
    key = ["set", "gating", "split", "method"]
    known = set(pd.read_csv(file)[key].itertuples(index=False, name=None)) if file.exists() else set()
    begin = time.monotonic()
    for split, name, gating, method in product(range(splits), (*SETS, *TRUTHS), GATINGS, METHODS):
        if "scale" in method and (name in TRUTHS or "L" not in gating):
            continue
        if (name, gating, split, method) not in known and time.monotonic() - begin < seconds:
            row = {name: np.nan for name in COLUMNS} | one(name, gating, split, method) | {"machine": machine()}
            pd.DataFrame([row]).to_csv(file, mode="a", header=not file.exists(), index=False, float_format="%.5g")
    return pd.read_csv(file)


def summary(table):
    """By set, gating and method: the mean log-density of a row beyond the linear regression's, and the rest."""
    place = ["set", "gating", "split"]
    base = table[table["method"] == "linear"].set_index(place)["mean"].rename("base")
    fits = table[table["method"] != "linear"].join(base, on=place)
    fits = fits.assign(gain=fits["mean"] - fits["base"], degenerate=fits["status"] == "degenerate")
    fits["boundary"] = fits["status"] == "boundary"
    how = {"gain": "mean", "worst": "min", "least nu": "min", "degenerate": "sum", "boundary": "sum"}
    how |= {"seconds": "median", "shift": "max", "split": "size"}
    return fits.groupby(["set", "gating", "method"], sort=False).agg(how).rename(columns={"split": "fits"})


if __name__ == "__main__":
    print(summary(run(float(sys.argv[1]) if len(sys.argv) > 1 else np.inf)).to_string(float_format="{:.4g}".format))
