"""Named truths of the simulation studies, and small real data sets.

The truths share covariates X ~ Uniform(-3, 3), in each coordinate, and experts at least 3 standard deviations apart on
that range. Level-2 gates of the two groups have different gaps, as a softmax or quadratic tree with equal or opposite
gaps can be regrouped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import gates
from .arguments import as_numbers, check_gating, check_known, check_seed, shown
from .categorical import CategoricalMeasure
from .kinds import Frame, Seed
from .likelihood import gate_weights
from .measure import MixingMeasure

# group by group, one entry an expert: intercepts tau and slopes eta; level-2 gates, omega and beta, by their letter
_TENDING, _EVEN = ((0.2, 0.0), (-0.2, 0.0)), ((0.0, 0.0), (-1.2, 0.0))
_C2 = {
    "tau": ((-6.0, -2.0), (2.0, 6.0)),
    "eta": ((0.3, -0.3), (0.3, -0.3)),
    "S": (((-0.5, 0.5), (0.35, -0.35)), _TENDING),
    "L": (((-0.8, 0.9), (1.2, -0.4)), _TENDING),
    "Q": (((0.1, -0.1), (0.4, -0.4)), _EVEN),
}
_C3 = {
    "tau": ((-6.0, -2.0, -10.0), (2.0, 6.0, 10.0)),
    "eta": ((0.3, -0.3, 0.3), (0.3, -0.3, -0.3)),
    "S": (((-0.5, 0.5, 0.0), (0.35, -0.35, 0.05)), ((0.2, 0.0, 0.0), (-0.2, 0.0, 0.0))),
    "L": (((-0.8, 0.9, 0.1), (1.2, -0.4, 0.4)), ((0.2, 0.0, 0.0), (-0.2, 0.0, 0.0))),
    "Q": (((0.1, -0.1, 0.0), (0.4, -0.4, 0.05)), ((0.0, 0.0, 0.0), (-1.2, 0.0, 0.0))),
}
_CONSTANT = (((0.0,), (0.0,)), ((0.0,), (0.0,)))
_C4 = {
    "tau": ((-2.0,), (2.0,)),
    "eta": ((-0.3,), (0.3,)),
    "S": _CONSTANT,
    "L": _CONSTANT,
    "Q": _CONSTANT,
}
_P2 = {  # d = 2
    "tau": ((-6.0, -2.0), (2.0, 6.0)),
    "eta": (((0.3, 0.2), (-0.3, 0.15)), ((0.3, 0.25), (-0.3, 0.2))),
    "S": ((((-0.5, 0.3), (0.5, -0.3)), ((0.35, 0.25), (-0.35, -0.25))), _TENDING),
    "L": ((((-0.8, 0.4), (0.9, -0.5)), ((1.2, 0.6), (-0.4, -0.9))), _TENDING),
    "Q": ((((0.1, -0.06), (-0.1, 0.06)), ((0.4, -0.2), (-0.4, 0.2))), _EVEN),
}
_M2: dict[str, Any] = {  # categorical experts of three classes: tau and eta have a column for each class but the last
    "tau": (((1.3, 1.1), (-2.0, -0.6)),),
    "eta": (((-2.0, -4.6), (-1.6, 2.1)),),
    "S": (((1.0, -1.0),), ((0.2, 0.0),)),
    "L": (((-0.8, 0.9),), ((0.2, 0.0),)),
    "Q": (((0.3, -0.3),), ((-1.2, 0.0),)),
}
_M2C = _M2 | {"tau": (((1.3, 1.1), (-0.8, 0.4)),), "eta": (((-2.0, -4.6), (0.0, 0.0)),)}
_CLASSED: dict[str, dict[str, Any]] = {"M2": _M2, "M2C": _M2C}
_TRUTHS: dict[str, dict[str, Any]] = {"C0": _C2, "C2": _C2, "C3": _C3, "C4": _C4, "P2": _P2, **_CLASSED}
_LEVEL_1: dict[int, dict[str, Any]] = {  # by d: slopes, or centres inside the support; intercepts
    1: {
        "S": (((0.4,), (-0.4,)), (0.2, 0.0)),
        "L": (((1.0,), (-1.2,)), (0.2, 0.0)),
        "Q": (((0.15,), (-0.15,)), (-0.8, 0.0)),
    },
    2: {
        "S": (((0.4, 0.2), (-0.4, -0.2)), (0.2, 0.0)),
        "L": (((1.0, 0.5), (-1.2, -0.6)), (0.2, 0.0)),
        "Q": (((0.15, 0.08), (-0.15, -0.08)), (-1.2, 0.0)),
    },
}


@dataclass(frozen=True)
class _Data:
    """A data set that ships: what its file does not say. Sources in full are in ``data/README.md``."""

    response: str
    covariates: tuple
    source: str
    licence: str


_NOT_COPYRIGHT = "no copyright (LICENCE.note of the R package MASS)"
_DATA = {
    "motorcycle": _Data(
        "accel", ("times",), "Schmidt, Mattern and Schueler (1981), in Silverman (1985); MASS", _NOT_COPYRIGHT
    ),
    "geyser": _Data("waiting", ("duration",), "Azzalini and Bowman (1990); MASS", _NOT_COPYRIGHT),
    "engel": _Data("foodexp", ("income",), "Engel (1857), in Koenker and Bassett (1982); statsmodels", "public domain"),
    "penguins": _Data(
        "body_mass_g",
        ("flipper_length_mm", "bill_length_mm", "bill_depth_mm"),
        "Gorman, Williams and Fraser (2014), Palmer Station LTER; palmerpenguins",
        "CC0",
    ),
    "auto-mpg": _Data(
        "mpg",
        ("displacement", "horsepower", "weight", "acceleration"),
        "Quinlan (1993), UCI Machine Learning Repository, doi:10.24432/C5859H; vega_datasets",
        "CC BY 4.0",
    ),
    "weather": _Data(
        "temp_max",
        ("day", "precipitation", "wind"),
        "NOAA National Climatic Data Center; vega_datasets",
        "public domain (US government)",
    ),
    "tempanomalies": _Data(
        "y", ("x",), "NASA GISS, distributed by CDIAC (Ruedy, Sato and Lo)", "public data of the US government"
    ),
}


def truth(name: str, gating: str = "SS") -> MixingMeasure | CategoricalMeasure:
    """A named truth of the studies.

    Parameters
    ----------
    name : {"C0", "C2", "C3", "C4", "P2", "M2", "M2C"}
        - ``"C0"`` and ``"C2"``: two groups of two experts; C0 is fitted exactly, C2 with three experts a group.
        - ``"C3"``: two groups of three experts, to be fitted with five, so that cells of three can occur while some
          expert of each group is fitted by one.
        - ``"C4"``: two groups of one expert, to be fitted with three: their level-2 gates are not identified.
        - ``"P2"``: two groups of two experts over the plane.
        - ``"M2"`` and ``"M2C"``: one group of two categorical experts of three classes; the second one of M2C is
          constant, its slopes vanish.
    gating : str
        A word of two letters S, L, Q; each level takes the slopes (S, Q) or centres (L) that belong to its letter.

    Returns
    -------
    MixingMeasure or CategoricalMeasure
        With d = 1 (P2: d = 2), and variances 0.4.

    Raises
    ------
    ValueError
        If the name or the gating is unknown.
    """
    values = _TRUTHS[check_known("name", name, tuple(_TRUTHS))]
    first, second = check_gating(gating)
    tau = np.concatenate(values["tau"])
    omega, beta = values[second]
    eta, omega = (np.concatenate(slopes).reshape(len(tau), -1) for slopes in (values["eta"], omega))
    k2 = [len(group) for group in values["tau"]]
    shared: dict[str, Any] = {"gating": gating, "k2": k2, "omega": omega, "beta": np.concatenate(beta)}
    if name in _CLASSED:
        return CategoricalMeasure(**shared, a=[[0.0]], b=[0.0], eta=eta[..., None], tau=tau)
    a, b = _LEVEL_1[eta.shape[1]][first]
    return MixingMeasure(**shared, a=a, b=b, eta=eta, tau=tau, nu=np.full(tau.size, 0.4))


def random_truth(seed: Seed, gating: str = "SS", separation: tuple[float, float] = (3.0, np.inf)) -> MixingMeasure:
    """A random truth of the kind of C2: two groups of two experts over [-3, 3].

    Parameters
    ----------
    seed : int or numpy.random.SeedSequence
        The same seed gives the same truth.
    gating : str
    separation : pair of float
        The smallest distance of two lines on [-3, 3], in the largest standard deviation of an expert, lies between
        these: by default experts are well separated; (1, 2) makes some of them overlap.

    Returns
    -------
    MixingMeasure
        With d = 1, lines that do not cross on [-3, 3], and expected gate weights of at least 0.08. Drawn until that is
        so: slopes of lines from [-0.8, 0.8], intercepts from [-8, 8], variances from [0.2, 0.8], Laplace centres from
        [-2, 2], other gate slopes from [0.3, 0.9], of either sign in turn and divided by what makes squares of x larger
        than x, gate intercepts from [-0.3, 0.3].

    Raises
    ------
    ValueError
        If the gating is unknown, or `separation` is not a pair 0 <= low < high with low at most 4.
    """
    rng, kinds = np.random.default_rng(check_seed(seed, np.random.SeedSequence)), gates.of(check_gating(gating))
    pair = as_numbers("separation", separation, "a pair of numbers")
    if pair.shape != (2,):
        raise ValueError(f"separation must be a pair of numbers; got {shown(separation)}")
    low, high = pair.tolist()
    if not 0 <= low < high or low > 4:
        raise ValueError(f"separation must be a pair 0 <= low < high with low at most 4; got ({low:g}, {high:g})")
    ends, x = np.array([-3.0, 3.0]), np.linspace(-3, 3, 200)
    while True:
        eta, tau, nu = rng.uniform(-0.8, 0.8, 4), rng.uniform(-8, 8, 4), rng.uniform(0.2, 0.8, 4)
        lines = np.multiply.outer(ends, eta) + tau
        apart = np.abs(lines[:, :, None] - lines[:, None, :]) + 99 * np.eye(4)
        order = (lines[0].argsort() == lines[1].argsort()).all()  # no two cross in between
        slopes = []
        for gate, size in zip(kinds, (2, 4), strict=True):
            away = rng.uniform(0.3, 0.9, size) * np.tile([1.0, -1.0], size // 2)
            reach = np.abs(gate.features(ends[:, None])).max() / 3.0
            slopes.append(rng.uniform(-2, 2, size) if gate.located else away / reach)
        b, beta = rng.uniform(-0.3, 0.3, 2), rng.uniform(-0.3, 0.3, 4)
        G = MixingMeasure(
            gating=gating, k2=(2, 2), a=slopes[0], b=b, omega=slopes[1], beta=beta, eta=eta, tau=tau, nu=nu
        )
        least = apart.min() / np.sqrt(nu.max())
        if order and low < least < high and gate_weights(G, x).mean(axis=0).min() > 0.08:
            return G


def names() -> tuple[str, ...]:
    """Names of the data sets that ship, as `load` takes them: a tuple of str."""
    return tuple(_DATA)


def load(name: str) -> Frame:
    """A real data set that ships with the package.

    Parameters
    ----------
    name : str
        - ``"motorcycle"``: acceleration of a head in a helmet (g) against milliseconds after an impact, 133 rows. The
          variance changes with time; before the impact it is nearly 0. No copyright is claimed.
        - ``"geyser"``: Old Faithful, 1 to 15 August 1985, 298 rows: minutes of waiting for the next eruption against
          the duration of the last one (min), of which nights have rounded ones. No copyright is claimed.
        - ``"engel"``: yearly expenditure for food against income (francs) of 235 households of Belgian workers, 1857.
          Public domain.
        - ``"penguins"``: body mass (g) against flipper length, bill length and depth (mm) of 344 penguins of three
          species, with species, island, sex and year; two have no measures. CC0.
        - ``"auto-mpg"``: miles per gallon of 398 cars of 1970 to 1982 against displacement (cubic inches), horsepower
          (6 missing), weight (lb) and acceleration (s from 0 to 60 mph), with cylinders and origin. CC BY 4.0.
        - ``"weather"``: daily maximum temperature (degrees C) in Seattle, 2012 to 2015, against ``day`` of the year,
          precipitation (mm) and wind (m/s), with date, minimum and a word for the weather: 1461 rows. Public domain.
        - ``"tempanomalies"``: global annual land-surface air temperature anomalies (y, degrees C) against the year (x),
          1880 to 2015: 136 rows. A customary example for mixtures of experts: the fitted gate of a flat softmax mixture
          of two experts tends to a step, so that the likelihood has a supremum and no maximum. Public data.

    Returns
    -------
    DataFrame
        Its ``attrs`` are source, licence, response (a column) and covariates (a list of columns, all numeric).
        Missing values are NaN: ``table.dropna(subset=[*covariates, response])``. Sources in full, and what was left
        out of them, are in ``hmoe_stats/data/README.md``.

    Raises
    ------
    ValueError
        If there is no such data set.
    """
    import pandas as pd

    known = _DATA[check_known("name", name, names())]
    table = pd.read_csv(Path(__file__).parent / "data" / f"{name}.csv")
    if name == "weather":
        table["date"] = pd.to_datetime(table["date"])
        table.insert(1, "day", table["date"].dt.day_of_year)
    table.attrs = {"source": known.source, "licence": known.licence}
    table.attrs |= {"response": known.response, "covariates": list(known.covariates)}
    return table
