"""Hostile input for fits: recipes of data, starts, boxes and options (`Case`), raw numbers, odd arguments."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import hmoe_stats as hs

GATINGS = ("SS", "SL", "LS", "LL")
SHAPES = [(1,), (2,), (1, 1), (2,), (1, 1), (2,), (1, 1), (1, 2), (2, 1), (3,), (2, 2), (1, 1, 1)]
NAMES = ("a", "b", "omega", "beta", "eta", "tau", "nu")

COLUMNS = {
    "uniform": lambda rng, n: rng.uniform(-3, 3, n),
    "normal": lambda rng, n: rng.standard_normal(n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "grid": lambda rng, n: np.linspace(-1, 1, n),
    "ties": lambda rng, n: np.round(rng.standard_normal(n)),
    "binary": lambda rng, n: rng.integers(2, size=n).astype(float),
    "constant": lambda rng, n: np.full(n, rng.choice([0.0, 0.1, 1.0])),
    "spike": lambda rng, n: (np.arange(n) == n // 3).astype(float),
    "clumps": lambda rng, n: rng.choice([-1.0, 1.0], n) + 1e-6 * rng.standard_normal(n),
    "decades": lambda rng, n: 10.0 ** rng.uniform(-8, 8, n),
}

RESPONSES = {
    "line": lambda rng, x: 1 + x + 0.3 * rng.standard_normal(x.size),
    "exact line": lambda rng, x: 1 + 2 * x,
    "two lines": lambda rng, x: np.where(rng.uniform(size=x.size) < 0.5, 3 - x, x) + 0.1 * rng.standard_normal(x.size),
    "two exact lines": lambda rng, x: np.where(x > np.median(x), 3 - x, x),
    "noise": lambda rng, x: rng.standard_normal(x.size),
    "cauchy": lambda rng, x: x + rng.standard_cauchy(x.size),
    "constant": lambda rng, x: np.full(x.size, rng.choice([0.0, 0.1, -1.0])),
    "ties": lambda rng, x: np.round(x + rng.standard_normal(x.size)),
    "binary": lambda rng, x: (x > 0).astype(float),
    "spike": lambda rng, x: (np.arange(x.size) == x.size // 2).astype(float),
    "outlier": lambda rng, x: x + rng.standard_normal(x.size) + 1e9 * (np.arange(x.size) == 1),
}

MILD = [(1.0, 0.0), (1.0, 0.0), (2.0, -3.0)]
WILD = [(s, o) for s in (1e-12, 1e-6, 1.0, 1e6, 1e12) for o in (0.0, 1e-12, 1.0, -1e6, 1e12)]
EXTREME = [(s, 0.0) for s in (1e49, 1e30, 1e-30, 1e-50, 1e-100, 1e-160, 1e-200, 1e-310)]
UNITS = st.sampled_from([MILD] * 5 + [WILD] * 4 + [EXTREME]).flatmap(st.sampled_from)


@dataclass(frozen=True)
class Case:
    """One call of a fit, in few words: what shrinks, and what a failure prints."""

    seed: int
    gating: str
    k2: tuple
    n_extra: int  # rows beyond the free parameters; none: too few
    columns: tuple
    response: str
    x_units: tuple  # (scale, offset)
    y_units: tuple
    twist: str = "none"  # of the rows
    start: tuple = ()  # (kind, smaller shape or not)
    bounds: tuple = ()  # ((name, low, high), ...) in units of the data's spread
    options: tuple = ()

    @property
    def d(self):
        return len(self.columns) + (self.twist == "collinear")

    @property
    def free(self):
        k1, K = len(self.k2), sum(self.k2)
        return (k1 - 1 + K - k1) * (self.d + 1) + K * (self.d + 2)

    def data(self):
        rng, n = np.random.default_rng(self.seed), self.free + self.n_extra
        X = np.column_stack([COLUMNS[name](rng, n) for name in self.columns])
        y = RESPONSES[self.response](rng, X[:, 0])
        if self.twist == "collinear":
            X = np.column_stack([X, 2 * X[:, 0] - 1])
        elif self.twist == "rows repeated":
            X, y = X[np.arange(n) // 3], y[np.arange(n) // 3]
        elif self.twist == "x repeated":
            X = X[np.arange(n) // 4]
        elif self.twist == "sorted":
            X, y = np.sort(X, axis=0), np.sort(y)
        return X * self.x_units[0] + self.x_units[1], y * self.y_units[0] + self.y_units[1]

    def arguments(self):
        """Keyword arguments of a fit."""
        X, y = self.data()
        out = {"X": X, "y": y, "gating": self.gating, "k2": self.k2, "seed": self.seed} | dict(self.options)
        if self.start:
            out["start"] = self.make_start(X, y)
        if self.bounds:
            spread = max(float(np.std(y)), 1e-300)
            units = {"eta": spread, "tau": spread, "nu": spread**2}
            out["bounds"] = {name: tuple(units.get(name, 1.0) * v for v in pair) for name, *pair in self.bounds}
        return out

    def make_start(self, X, y):
        kind, small = self.start
        k2 = tuple(max(m - 1, 1) for m in self.k2) if small else self.k2
        rng = np.random.default_rng([self.seed, 1])
        k1, K, d, sd = len(k2), sum(k2), self.d, np.clip(np.std(y), 1e-15, 1e15) or 1.0
        width = np.where(np.ptp(X, axis=0) > 1e-12 * np.abs(X).max(axis=0), np.clip(X.std(axis=0), 1e-15, 1e15), 1.0)
        size = {"near": 1.0, "far": 1e4, "very far": 1e9, "flat": 0.0}[kind]
        noise = lambda *shape: size * rng.standard_normal(shape)  # noqa: E731
        unit = [width if letter == "L" else 1 / width for letter in self.gating]
        return hs.MixingMeasure(
            gating=self.gating, k2=k2, a=unit[0] * noise(k1, d), b=noise(k1), omega=unit[1] * noise(K, d),
            beta=noise(K), eta=sd / width * noise(K, d), tau=np.clip(y.mean(), -1e20, 1e20) + sd * noise(K),
            nu=sd**2 * np.exp(np.clip(noise(K), -20, 20)),
        )  # fmt: skip


BOUND = st.one_of(
    st.sampled_from([0.1, 1.0, 5.0, 1e3, 1e9, np.inf]).map(lambda v: (-v, v)),
    st.sampled_from([-1.0, 0.0, 3.0, 100.0]).map(lambda v: (v, v + 1e-9)),
    st.sampled_from([(5.0, 6.0), (-100.0, -1.0), (0.0, 2.0), (-1e-12, 1e-12)]),
)
NU_BOUND = st.sampled_from([(1e-12, 1e3), (0.01, 10.0), (0.5, 0.5000001), (20.0, 30.0), (1e-4, 1e-3)])


@st.composite
def cases(draw, start=False, bounds=False, options=(), units=UNITS):
    column = st.sampled_from(sorted(COLUMNS))
    box = [(name, *draw(NU_BOUND if name == "nu" else BOUND)) for name in NAMES if bounds and draw(st.booleans())]
    return Case(
        seed=draw(st.integers(0, 2**32)),
        gating=draw(st.sampled_from(GATINGS)),
        k2=draw(st.sampled_from(SHAPES)),
        n_extra=draw(st.sampled_from([40, 40, 40, 20, 20, 10, 5, 2, 1, 1, 0])),
        columns=tuple(draw(st.lists(column, min_size=1, max_size=2))),
        response=draw(st.sampled_from(sorted(RESPONSES))),
        x_units=draw(units),
        y_units=draw(units),
        twist=draw(st.sampled_from(["none", "none", "collinear", "rows repeated", "x repeated", "sorted"])),
        start=(draw(st.sampled_from(["near", "far", "very far", "flat"])), draw(st.booleans())) if start else (),
        bounds=tuple(box),
        options=tuple((name, draw(values)) for name, values in options),
    )


MLE = [
    ("n_starts", st.sampled_from([1, 1, 1, 2, 3])),
    ("max_iter", st.sampled_from([100, 20, 5, 500, 1])),
    ("tol", st.sampled_from([1e-8, 1e-8, 1e-3, 1e-30])),
]
EM = [("max_iter", st.sampled_from([1, 5, 50])), ("tol", st.sampled_from([1e-8, 1e-2, 1e-300]))]


NUMBERS = {
    "small": st.floats(-3, 3),
    "whole": st.integers(-2, 2).map(float),
    "finite": st.floats(-1e12, 1e12),
    "any": st.floats(),
    "far apart": st.sampled_from([0.0, -0.0, 1.0, -1e12, 1e12, 1e-12, 5e-324, 1e20, 1e50]),
}


@st.composite
def raw_cases(draw):
    """Data number by number, as hypothesis likes them."""
    d, k2 = draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from([(1,), (2,), (1, 1)]))
    K = sum(k2)
    n = (K - 1) * (d + 1) + K * (d + 2) + draw(st.integers(1, 6))
    X, y = (
        draw(arrays.arrays(float, shape, elements=NUMBERS[draw(st.sampled_from(sorted(NUMBERS)))], fill=st.nothing()))
        for shape in ((n, d), (n,))
    )
    return {"X": X, "y": y, "gating": draw(st.sampled_from(GATINGS)), "k2": k2, "max_iter": draw(st.integers(1, 30))}


WRITINGS = {
    "float32": lambda a: a.astype(np.float32),
    "float16": lambda a: a.astype(np.float16),
    "long double": lambda a: a.astype(np.longdouble),
    "whole": lambda a: np.round(10 * a).astype(np.int16),
    "unsigned": lambda a: np.abs(np.round(10 * a)).astype(np.uint64),
    "logical": lambda a: a > 0,
    "big-endian": lambda a: a.astype(">f8"),
    "object": lambda a: a.astype(object),
    "Fortran": lambda a: np.asfortranarray(a),
    "every other": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1],
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "list": lambda a: a.tolist(),
    "no entry masked": lambda a: np.ma.masked_array(a, mask=False),
    "nullable": lambda a: pd.DataFrame(a, dtype="Float64") if a.ndim == 2 else pd.Series(a, dtype="Float64"),
    "frame": lambda a: pd.DataFrame(a) if a.ndim == 2 else pd.Series(a),
}

GOOD = Case(7, "SS", (2,), 20, ("uniform",), "line", *MILD[:2], options=(("max_iter", 3),))


def odd_start(**changes):
    """A start of which some numbers are as large or as small as a measure can hold."""
    plain = {"a": [0], "b": [0], "omega": [1, -1], "beta": [0, 0], "eta": [1, 0], "tau": [0, 1], "nu": [1, 2]}
    return hs.MixingMeasure(gating="SS", k2=(2,), **(plain | changes))


STARTS = [
    odd_start(omega=[1e50, 0]), odd_start(omega=[1e20, -1e20]), odd_start(beta=[1e50, -1e50]), odd_start(b=[1e50]),
    odd_start(eta=[1e50, 0]), odd_start(eta=[1e20, -1e20]), odd_start(tau=[1e50, -1e50]), odd_start(tau=[-1e20, 0]),
    odd_start(nu=[1e-300, 1]), odd_start(nu=[1e50, 1]), odd_start(nu=[1e-30, 1e-30]), odd_start(nu=[1e20, 1e-20]),
    odd_start(eta=[1e10, 0], nu=[1e-12, 1e-12]), odd_start(a=[1e50], omega=[1e300 ** (1 / 6)] * 2, tau=[1e30, 1e-300]),
]  # fmt: skip

ODD = {
    "X": [[], np.zeros((0, 1)), np.zeros((28, 0)), np.zeros((28, 1, 1)), 1.0, None, "X", {}, [1j] * 28, [None] * 28],
    "y": [[], np.zeros((28, 1)), np.arange(3.0), np.full(28, np.nan), 2.0, None, "y", {}, ["a"] * 28, [[1], [2, 3]]],
    "gating": [None, "", "S", "SSS", 1, ["S", "S"], b"SS", np.array(["SS", "LL"])],
    "k2": [(), (0,), (-1,), True, None, "22", (1.5,), (1e300,), (10**30,), [2.0], np.array([2]), (np.nan,), ((2,),)],
    "start": [0, "start", {}, hs.datasets.truth("C2", "LL"), hs.datasets.truth("C2", "SS"), *STARTS],
    "bounds": [{}, [], 1, "box", {"c": 1}, {"a": 0}, {"a": np.nan}, {"a": (1,)}, {"a": "b"}, {"nu": 1}, {"nu": (0, 1)}]
    + [{"nu": (1e-300, 1e300)}, {"eta": 1e300}, {"a": (-np.inf, 0)}, {"tau": (1e49, 1e50)}, {"b": (np.inf, np.inf)}]
    + [{"nu": (1, np.inf)}, {"eta": (-np.inf, -1e49)}, {"a": None}, {1: 2}, {"omega": [-1, [1]]}, {"beta": {}}],
    "n_starts": [0, -1, 1.0, True, "1", np.int8(1), np.int8(2), np.nan],
    "tol": [0, -1.0, np.nan, None, "1", np.float32(1e-3), np.float16(1), 5e-324, 1, 10**400, True],
    "max_iter": [0, -1, 1.5, np.nan, None, "1", np.int64(2), True],
    "seed": [-1, 1.5, None, "1", 2**200, np.uint64(2**63), np.random.SeedSequence(1), np.random.default_rng(1)],
}
