"""Arguments that are not what they seem: arrays of what is no number, and values that are no name, count or measure."""

import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
from scipy import sparse

import hmoe_stats as hs


class Breaks:
    """No array can be made of it, and no words."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("not on this device")

    def __repr__(self):
        raise RuntimeError("no words either")


# -- arrays ------------------------------------------------------------------------------------------------------------
DATES = [datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), pd.Timestamp("2020"), pd.NaT, pd.Period("2020", "D")]
DATES += [np.datetime64("2020"), np.timedelta64(5, "D"), datetime.timedelta(1), pd.Timedelta(1, "D")]
ENTRIES = {
    **{f"{i}, a {type(date).__name__}": date for i, date in enumerate(DATES)},
    "huge integer": 10**400,
    "integer too long to print": -(10**5000),
    "huge fraction": Fraction(10**400, 3),
    "signalling NaN": Decimal("sNaN"),
    "complex": 1 + 0j,
    "numeric text": "1.5",
    "number in bytes": b"1.5",
    "masked": np.ma.masked,
    "a set": {1.0},
    "an array": np.zeros(2),
}
GAPS = {"none": None, "pandas NA": pd.NA, "NaN": np.nan, "infinite": -np.inf, "huge decimal": Decimal("1e400")}
COLUMNS = {
    "categories": lambda n: pd.Categorical(np.arange(n)),
    "dates": lambda n: pd.date_range("2020", periods=n),
    "zoned dates": lambda n: pd.date_range("2020", periods=n, tz="UTC"),
    "time differences": lambda n: pd.timedelta_range("1D", periods=n),
    "periods": lambda n: pd.period_range("2020", periods=n, freq="D"),
    "intervals": lambda n: pd.interval_range(0, n),
    "texts": lambda n: np.arange(n).astype(str),
    "pandas texts": lambda n: pd.array(np.arange(n).astype(str), dtype="string"),
    "complex numbers": lambda n: np.arange(n) + 1j,
}
GAPPED_COLUMNS = {
    "a gap": lambda n: pd.array([None] + [1.0] * (n - 1), dtype="Float64"),
    "a gap among integers": lambda n: pd.array([None] + [1] * (n - 1), dtype="Int64"),
    "a gap among truths": lambda n: pd.array([None] + [True] * (n - 1), dtype="boolean"),
}
WHOLES = {
    "masked": lambda a: np.ma.masked_array(a, mask=np.arange(a.size).reshape(a.shape) == 0),
    "masked in a list": lambda a: [np.ma.masked_array(row, mask=np.arange(np.size(row)) == 0) for row in a],
    "dates": lambda a: a.astype("datetime64[s]"),
    "not a time": lambda a: np.full(a.shape, np.datetime64("NaT")),
    "time differences": lambda a: a.astype("timedelta64[s]"),
    "complex": lambda a: a + 0j,
    "text": lambda a: a.astype(str),
    "text in lists": lambda a: a.astype(str).tolist(),
    "bytes": lambda a: a.astype("S"),
    "a buffer of bytes": lambda a: bytearray(a.size),
    "a view of bytes": lambda a: memoryview(bytes(a.size)),
    "records": lambda a: np.zeros(a.shape, dtype=[("value", float)]),
    "masked records": lambda a: np.ma.zeros(a.shape, dtype=[("value", float)]),
    "sparse": lambda a: sparse.csr_array(np.atleast_2d(a)),
    "ragged": lambda a: [[1.0, 2.0], *([1.0] for _ in a[1:]), [1.0]],
    "a set": lambda a: set(a.ravel()),
    "a dict": lambda a: dict(enumerate(a.ravel())),
    "a generator": lambda a: (v for v in a),
    "text of its own": lambda a: "data",
    "no array": lambda a: Breaks(),
    "a class": lambda a: np.ndarray,
    "a function": lambda a: len,
    "many axes": lambda a: np.ones((1,) * 40),
    "a long double beyond": lambda a: np.full(a.shape, np.longdouble("1e400")),
}


def no_numbers(good, gaps=True):
    """Values that look like the array `good` and are no numbers; where `gaps` are allowed, only those that are none."""
    entries, columns = (ENTRIES | GAPS, COLUMNS | GAPPED_COLUMNS) if gaps else (ENTRIES, COLUMNS)
    wholes = {name: spoil for name, spoil in WHOLES.items() if gaps or "beyond" not in name}
    out = {name: spoil(good) for name, spoil in wholes.items()}
    for name, last in entries.items():
        out[f"{name} as an entry"] = spoilt = good.astype(object)
        spoilt[(-1,) * good.ndim] = last
        out[f"{name} in a list"] = spoilt.tolist()
    for name, make in columns.items():
        rest = {f"x{i}": column for i, column in enumerate(good.T[:-1])} if good.ndim == 2 else {}
        framed = pd.DataFrame(rest).assign(col=make(len(good)))
        out[f"{name} in a column"] = framed if good.ndim == 2 else framed["col"]
    return out


# -- everything else ---------------------------------------------------------------------------------------------------
BIG = pd.DataFrame(np.zeros((1000, 3)), columns=["a" * 1000, "b", "c"])
TEXTS = {"text": "5", "long text": "x" * 10**6, "bytes": b"SS"}
FOREIGN = {
    "array": np.array(["SS", "LL"]),
    "long array": np.arange(10**6),
    "frame": BIG,
    "list": ["x"] * 10**5,
    "numbers": [5.0, [1.0]],
    "dict": {1: "x" * 10**4},
    "set": {1, 2},
    "class": np.ndarray,
    "function": len,
    "no array": Breaks(),
    "date": np.datetime64("2020"),
    "time difference": np.timedelta64(5, "D"),
    "masked": np.ma.masked,
    "complex": 2 + 0j,
    "pandas NA": pd.NA,
}
NUMBERS = {"integer": 5, "float": 5.5, "huge integer": 10**5000, "true": True, "nan": np.nan}
NO_COUNTS = FOREIGN | TEXTS | {"float": 5.0, "true": True, "nan": np.nan, "negative": -1, "decimal": Decimal(5)}
NO_NUMBERS = FOREIGN | TEXTS | {"true": True, "numpy true": np.True_, "nan": np.nan, "decimal NaN": Decimal("NaN")}
NONE = {"none": None}
BAD = {
    "measure": FOREIGN | TEXTS | NUMBERS | {"dict of a measure": hs.datasets.truth("C2").to_dict()},
    "law": {name: value for name, value in FOREIGN.items() if name != "long array"} | TEXTS | NUMBERS
    | {"class of laws": hs.Uniform},
    "name": FOREIGN | TEXTS | NUMBERS | {"pair": ("S", "S")},
    "k2": FOREIGN | TEXTS | {"zero": 0, "true": True, "half": (1.5,), "empty": (), "nested": ((2,),), "nan": (np.nan,)}
    | {"generator": (m for m in (2, 2)), "trues": (True, True), "infinite": (np.inf,), "negative": (-1, 2)}
    | {"range": range(1, 10**12), "experts": (10**9, 10**9), "columns of a frame": BIG.set_axis([1, 2, 3], axis=1)}
    | {"huge": (10**5000,), "masked sizes": np.ma.masked_array([2, 2], mask=[True, False]), "texts": ("2", "2")},
    "count": NO_COUNTS,
    "count from 1": NO_COUNTS | {"zero": 0},
    "seed": NO_COUNTS,
    "number": NO_NUMBERS,
    "tolerance": NO_NUMBERS | {"negative": -1.0},
    "finite": NO_NUMBERS | {"infinite": np.inf, "huge integer": 10**400},
    "positive": NO_NUMBERS | {"zero": 0, "negative": -1.0},
    "share": NO_NUMBERS | {"negative": -1.0, "one": 1.0, "huge integer": 10**400},
    "flag": FOREIGN | TEXTS | {"one": 1, "word": "True", "nan": np.nan},
    "pair": FOREIGN | TEXTS | NUMBERS | {"far": (7, 7), "one": (0,), "texts": ("0", "0"), "wide": ((0, 0), (0, 0, 0))},
    "columns": FOREIGN | TEXTS | NUMBERS | {"twice": (0, 0), "far": (7,), "negative": -1, "nested": ((0,),)}
    | {"a float": (0.0,), "a truth": (False,), "range": range(10**12), "generator": (c for c in (0,))},
    "names": FOREIGN | TEXTS | NUMBERS | {"unknown": ("d/dx",), "nested": (["tau"],)},
    "bounds": FOREIGN | TEXTS | NUMBERS | {"long name": {"x" * 10**4: 1}, "array": {"a": np.arange(10**6)}}
    | {f"a {name}": {"a": v} for name, v in (ENTRIES | GAPS).items() if name not in ("huge decimal", "an array")}
    | {f"from a {name}": {"a": (value, 5)} for name, value in ENTRIES.items()},
    "references": FOREIGN | TEXTS | NUMBERS | {"long": {"x" * 10**4: "1"}, "a": {"a": DATES[0]}, "true": {"a": True}},
    "support": FOREIGN | TEXTS | NUMBERS | {"one": (1,), "three": (1, 2, 3), "falling": (2, 1), "nan": (np.nan, 5)}
    | {f"from a {name}": (value, 5) for name, value in ENTRIES.items()},
    "words": FOREIGN | NUMBERS,
    "object": FOREIGN | TEXTS | NUMBERS,
}  # fmt: skip
