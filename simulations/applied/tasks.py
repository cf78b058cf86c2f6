"""Tasks: data to fit a model on, and other rows to judge it by; real sets, and digits with hidden domains.

A task is one record of `TASKS`. Data ship with the package or with scikit-learn.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np

SIDE = 8  # of an image of a digit
COMPONENTS = 10  # of pixels, by principal components of the rows that are fitted


class Split(NamedTuple):
    """A task's data, once split.

    Attributes
    ----------
    X, y : ndarray, (n, d) and (n,)
        To fit.
    X_new, y_new : ndarray
        To judge.
    labels : ndarray or None, (m,)
        The hidden domain of each row that judges.
    elsewhere : dict
        Name -> (X, y) of more rows to judge by, for log loss alone.
    blocks : dict
        Name -> columns of X that belong together.
    classes : bool
        Whether y is a class.
    """

    X: np.ndarray
    y: np.ndarray
    X_new: np.ndarray
    y_new: np.ndarray
    labels: np.ndarray | None = None
    elsewhere: dict = {}
    blocks: dict = {}
    classes: bool = True


class Task(NamedTuple):
    """A task.

    Attributes
    ----------
    rows, new : int
        That are fitted, and that judge.
    make : callable
        Gives the `Split` of a `numpy.random.Generator`.
    classes : bool
        Whether y is a class.
    domains, blocks : bool
        Whether rows have hidden domains, and columns blocks.
    drawn : bool
        Whether every split is a sample of its own, which shares no row with another.
    """

    rows: int
    new: int
    make: Callable
    classes: bool = False
    domains: bool = False
    blocks: bool = False
    drawn: bool = False


@cache
def _digits():
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data, found.target


def _reduced(pixels, new, *others, components=COMPONENTS):
    """Principal components of images, those of the first argument."""
    from sklearn.decomposition import PCA

    made = PCA(components, svd_solver="full").fit(pixels)
    return [made.transform(part) for part in (pixels, new, *others)]


def _cut(rng, n, kept):
    order = rng.permutation(n)
    return order[:kept], order[kept:]


# -- images, tables ---------------------------------------------------------------------------------------------------
def _images(rows, rng):
    pixels, y = _digits()
    kept, new = _cut(rng, len(y), rows)
    X, X_new = _reduced(pixels[kept], pixels[new])
    return Split(X, y[kept], X_new, y[new])


def _bunch(name, rows, rng):
    import sklearn.datasets

    found = getattr(sklearn.datasets, f"load_{name}")()
    kept, new = _cut(rng, len(found.target), rows)
    return Split(found.data[kept], found.target[kept], found.data[new], found.target[new])


@cache
def _table(name):
    """(covariates, a DataFrame of all columns, response), rows with missing values left out."""
    import hmoe_stats as hs

    table = hs.datasets.load(name)
    covariates, response = table.attrs["covariates"], table.attrs["response"]
    return covariates, table.dropna(subset=[*covariates, response]).reset_index(drop=True), response


def _species(rows, rng):
    covariates, table, _ = _table("penguins")
    X, y = table[covariates].to_numpy(float), table["species"].to_numpy(str)
    kept, new = _cut(rng, len(y), rows)
    return Split(X[kept], y[kept], X[new], y[new])


def _regression(name, rows, rng, unit=1.0):
    covariates, table, response = _table(name)
    X, y = unit * table[covariates].to_numpy(float), table[response].to_numpy(float)
    kept, new = _cut(rng, len(y), rows)
    return Split(X[kept], y[kept], X[new], y[new], classes=False)


# -- hidden domains ---------------------------------------------------------------------------------------------------
def _turned(pixels, times):
    return np.rot90(pixels.reshape(-1, SIDE, SIDE), times, axes=(1, 2)).reshape(len(pixels), -1)


def _digits_in_domains(rows, rng):
    """Digits inverted, noisy, or turned by a quarter; elsewhere, turned by a half, as none was that is fitted."""
    pixels, y = _digits()
    domain = rng.integers(3, size=len(y))
    noisy = pixels + rng.normal(0.0, 3.0, pixels.shape)
    seen = np.choose(domain[:, None], [16.0 - pixels, noisy, _turned(pixels, 1)])
    kept, new = _cut(rng, len(y), rows)
    X, X_new, unseen = _reduced(seen[kept], seen[new], _turned(pixels[new], 2))
    return Split(X, y[kept], X_new, y[new], domain[new], {"unseen domain": (unseen, y[new])})


def _penguins_in_species(rows, rng):
    covariates, table, response = _table("penguins")
    X, y, domain = (table[name].to_numpy() for name in (covariates, response, "species"))
    kept, new = _cut(rng, len(y), rows)
    return Split(X[kept], y[kept], X[new], y[new], domain[new].astype(str), classes=False)


def _changing_relation(rows, rng):
    """y = 2 x1, -2 x1 or 2 x2, and noise of sd .5, as x lies about one of three centres, 2.5 sd from each other."""
    n = rows + 1000
    domain = rng.integers(3, size=n)
    angles = 2.0 * np.pi * np.arange(3) / 3.0
    centres = 2.5 / np.sqrt(3.0) * np.column_stack([np.cos(angles), np.sin(angles)])
    X = centres[domain] + rng.normal(size=(n, 2))
    y = 2.0 * np.choose(domain, [X[:, 0], -X[:, 0], X[:, 1]]) + 0.5 * rng.normal(size=n)
    return Split(X[:rows], y[:rows], X[rows:], y[rows:], domain[rows:], classes=False)


# -- two blocks of covariates -----------------------------------------------------------------------------------------
def _in_blocks(split, first):
    """A split whose first columns are the block A, and the others B; elsewhere, a block is at its mean."""
    blocks, elsewhere = {"A": tuple(range(first)), "B": tuple(range(first, split.X.shape[1]))}, {}
    for name, block in blocks.items():
        X = split.X_new.copy()
        X[:, block] = split.X[:, block].mean(axis=0)
        elsewhere[f"without {name}"] = X, split.y_new
    return split._replace(elsewhere=elsewhere, blocks=blocks)


def _digits_in_blocks(rows, rng):
    """A: ink, its centre and its spread. B: eight principal components of pixels."""
    pixels, y = _digits()
    kept, new = _cut(rng, len(y), rows)
    ink = pixels.sum(axis=1)
    at = np.arange(SIDE) - (SIDE - 1) / 2.0
    share = pixels.reshape(-1, SIDE, SIDE) / ink[:, None, None]
    down, right = share.sum(axis=2) @ at, share.sum(axis=1) @ at
    spread = share.sum(axis=2) @ at**2 - down**2 + share.sum(axis=1) @ at**2 - right**2
    A = np.column_stack([ink, down, right, spread])
    B, B_new = _reduced(pixels[kept], pixels[new], components=8)
    return _in_blocks(Split(np.hstack([A[kept], B]), y[kept], np.hstack([A[new], B_new]), y[new]), 4)


def _penguins_in_blocks(rows, rng):
    """A: dummies of island and sex. B: three measurements. y: body mass."""
    covariates, table, response = _table("penguins")
    table = table.dropna(subset=["island", "sex"])
    places = [(table["island"] == name).to_numpy(float) for name in ("Biscoe", "Dream")]
    A = np.column_stack([*places, (table["sex"] == "male").to_numpy(float)])
    X, y = np.hstack([A, table[covariates].to_numpy(float)]), table[response].to_numpy(float)
    kept, new = _cut(rng, len(y), rows)
    return _in_blocks(Split(X[kept], y[kept], X[new], y[new], classes=False), 3)


def _weather_in_blocks(rows, rng):
    """A: the season, as cosine and sine of the day. B: precipitation and wind. y: the day's maximum temperature."""
    _, table, response = _table("weather")
    angle = 2.0 * np.pi * table["day"].to_numpy(float) / 365.25
    X = np.column_stack([np.cos(angle), np.sin(angle), table["precipitation"], table["wind"]])
    y = table[response].to_numpy(float)
    kept, new = _cut(rng, len(y), rows)
    return _in_blocks(Split(X[kept], y[kept], X[new], y[new], classes=False), 2)


def _task(rows, new, make, *what, classes=False, domains=False, blocks=False, drawn=False, **options):
    return Task(rows, new, partial(make, *what, rows, **options), classes, domains, blocks, drawn)


TASKS = {
    "digits": _task(900, 897, _images, classes=True),
    # five sets of classes
    "iris": _task(100, 50, _bunch, "iris", classes=True),
    "wine": _task(120, 58, _bunch, "wine", classes=True),
    "breast cancer": _task(400, 169, _bunch, "breast_cancer", classes=True),
    "species": _task(230, 112, _species, classes=True),
    "few digits": _task(400, 1397, _images, classes=True),
    # six of numbers
    "motorcycle": _task(100, 33, _regression, "motorcycle"),
    "geyser": _task(220, 78, _regression, "geyser"),
    "engel": _task(170, 65, _regression, "engel"),
    "penguins": _task(250, 92, _regression, "penguins"),
    "auto-mpg": _task(300, 92, _regression, "auto-mpg"),
    "weather": _task(700, 761, _regression, "weather"),
    # hidden domains
    "digits in domains": _task(900, 897, _digits_in_domains, classes=True, domains=True),
    "penguins in species": _task(250, 92, _penguins_in_species, domains=True),
    "changing relation": _task(600, 1000, _changing_relation, domains=True, drawn=True),
    # two blocks of covariates
    "digits in blocks": _task(600, 1197, _digits_in_blocks, classes=True, blocks=True),
    "penguins in blocks": _task(250, 83, _penguins_in_blocks, blocks=True),
    "weather in blocks": _task(700, 761, _weather_in_blocks, blocks=True),
    # units of x
    **{
        f"{name}, x times {unit:g}": _task(rows, new, _regression, name, unit=unit)
        for name, rows, new in (("motorcycle", 100, 33), ("penguins", 250, 92))
        for unit in (0.1, 1.0, 10.0)
    },
}
