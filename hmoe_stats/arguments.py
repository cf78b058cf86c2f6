"""What an argument may be: arrays and frames of numbers, counts, names; and every message about one.

Each function returns the argument in the one form that the package works with, or raises a `ValueError` that names it.
Messages say what was expected and what came, in words and sizes: never the data themselves.
"""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import wraps
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .gates import GATINGS
from .kinds import Floats, Function

LARGEST = 1e50  # squares and fourth powers of residuals and distances must stay finite
MOST_ROWS = 10**15  # a count that no machine holds
MOST_COLUMNS = 10**6  # of X, where what a measure sees says how many there are
MOST_EXPERTS = 100_000  # of a shape: arrays of their pairs, which many questions need, fill a large machine

_PLAIN = (bool, int, float, np.bool_, np.integer, np.floating)
_WORDS = {"M": "dates", "m": "time differences", "U": "text", "T": "text", "S": "bytes", "c": "complex numbers"}
_EXTENSIONS = {"str": "text", "string": "text", "category": "categories"}  # of pandas, by the dtype's name
_MISSING = ("NoneType", "NAType")  # None and pandas.NA, which is not imported for this


# -- words for messages -----------------------------------------------------------------------------------------------
class _Short(reprlib.Repr):
    """Representations of plain values, cut; of others the type and the size only."""

    maxstring = maxother = maxlong = 60

    def repr_instance(self, x, level):
        if x is None or isinstance(x, complex | Real | Decimal | np.generic):
            return repr(x)
        if isinstance(x, type):
            return f"class {x.__name__}"
        shape = getattr(x, "shape", None)
        return type(x).__name__ + (f" of shape {shape}" if isinstance(shape, tuple) else "")


def shown(value, most=80):
    """What came, in at most so many characters: a plain value itself, of an array or a frame the type and the shape."""
    try:
        text = _Short().repr(value)
    except Exception:  # integers of thousands of digits, properties that raise: a message must not fail
        text = f"a value of type {type(value).__name__}"
    return cut(text, most)


def cut(text, most=80):
    """The text, or its beginning where it is longer."""
    return text if len(text) <= most else text[: most - 3] + "..."


def shape_words(shape):
    """A wanted shape in words: "(any, 2)"; -1 stands for any size."""
    return "(" + ", ".join("any" if s < 0 else str(s) for s in shape) + ("," if len(shape) == 1 else "") + ")"


# -- arrays of numbers ------------------------------------------------------------------------------------------------
def as_numbers(
    name: str, value: Any, wanted: str = "an array of numbers", copy: bool = True, missing: bool = False
) -> Floats:
    """Return `value` as a C-contiguous float64 array of any shape, else raise a `ValueError` that names it.

    This is the one place that decides what a number is. Numbers are booleans (0 and 1), integers, floats and fractions,
    `Decimal` among them, in anything that NumPy makes an array of: lists, buffers, Series, frames. Text is none, and
    neither are bytes, dates, time differences, categories, complex numbers, missing values, masked entries and numbers
    beyond the largest float. Rounding to float64 is no reason to refuse a number.

    Parameters
    ----------
    name : str
    value : array_like
    wanted : str
        What is wanted, for the message.
    copy : bool
        Without it, an array that is as it should be already is returned as it is.
    missing : bool
        Whether None and `pandas.NA` stand for NaN; masked entries and NaT never do.
    """
    why = _disguised(value)
    if why is None:
        try:
            array = np.asarray(value)
        except MemoryError:
            raise
        except Exception:  # what `__array__` of a foreign class raises
            why = f"{_kind(value)}, of which no array can be made"
        else:
            if array.dtype.kind == "O":
                why, array = _from_objects(value, array, missing)
            elif array.dtype.kind not in "biuf":
                why = _of(array.dtype)
    if why is not None:
        raise ValueError(f"{name} must be {wanted}; got {why}")
    with np.errstate(over="ignore"):  # a long double beyond the floats becomes infinite, which is seen to later
        return np.array(array, dtype=np.float64, order="C", copy=copy or None)


def as_floats(name: str, value: Any, shape: tuple[int, ...], copy: bool = True, column: bool = False) -> Floats:
    """Return `value` as a float64 array of `shape` (-1: any size), else raise a `ValueError` that names it.

    Entries must be numbers in the sense of `as_numbers`, finite and at most `LARGEST` in size.

    A one-dimensional array stands for a column where `shape` has two axes (d = 1). With `column`, an array of one
    column stands for its entries where `shape` has one axis. Without `copy`, an array that is as it should be already
    is returned as it is.
    """
    if type(value) is np.ndarray and value.dtype == np.float64:
        out = np.array(value, dtype=np.float64, order="C", copy=copy or None)
    else:
        out = as_numbers(name, value, f"an array of numbers of shape {shape_words(shape)}", copy)
    if not (out.flags.writeable and out.flags.aligned):  # to a compiled kernel another type, compiled anew
        out = out.copy()
    came = out.shape
    if len(shape) == 2 and out.ndim == 1:
        out = out[:, None]
    elif column and len(shape) == 1 and out.ndim == 2 and out.shape[1] == 1:
        out = out[:, 0]
    if out.ndim != len(shape) or any(w >= 0 and s != w for s, w in zip(out.shape, shape, strict=True)):
        raise ValueError(f"{name} must have shape {shape_words(shape)}; got {shown(came)}")
    top = max(out.max(initial=0.0), -out.min(initial=0.0))
    if top <= LARGEST:  # false of NaN
        return out
    if np.isfinite(top):
        place = _place(value, np.argwhere(np.abs(out).reshape(came) == top)[0])
        raise ValueError(f"{name} must have entries of at most {LARGEST:g} in size; got {top:g}{place}")
    wrong = ~np.isfinite(out).reshape(came)
    place = _place(value, np.argwhere(wrong)[0])
    many = f"{wrong.sum()} NaN or infinite entries, the first{place}" if place else f"{out.item():g}"
    raise ValueError(f"{name} must be finite; got {many}")


def _disguised(value, depth=0):
    """What is no number in `value` but would be one in the array that NumPy makes of it, in words; None: nothing is.

    Masks and categories are lost on the way, and so is the column of a frame that holds something else than numbers.
    """
    if isinstance(value, np.ma.MaskedArray):
        if value.dtype.names:  # of records, which have a mask a field
            return _of(value.dtype)
        masked = int(np.ma.count_masked(value))
        return f"{masked} masked {'entry' if masked == 1 else 'entries'}" if masked else None
    if isinstance(value, bytes | bytearray) or (
        isinstance(value, memoryview) and isinstance(value.obj, bytes | bytearray) and value.format in "Bbc"
    ):
        return "bytes"
    frame = hasattr(value, "iloc")
    if frame and getattr(value, "ndim", 1) == 2:
        columns = zip(value.columns, value.dtypes, strict=True)
        return next((f"{_of(d)} in column {_label(c)}" for c, d in columns if not _may_be_numeric(d)), None)
    dtype = getattr(value, "dtype", None)
    if hasattr(dtype, "kind"):
        place = f" in column {_label(value.name)}" if frame and value.name is not None else ""
        return None if _may_be_numeric(dtype) else _of(dtype) + place
    if isinstance(value, Sequence) and not isinstance(value, str | memoryview | range) and depth < 3:
        if all(issubclass(t, _PLAIN) and t is not np.timedelta64 for t in set(map(type, value))):
            return None
        return next(filter(None, (_disguised(item, depth + 1) for item in value)), None)
    return None


def _may_be_numeric(dtype):
    """Whether a dtype of NumPy or pandas holds numbers, or objects that may be."""
    return dtype.kind in "biuf" or (dtype.kind == "O" and isinstance(dtype, np.dtype))


def _is_real(kind):
    return issubclass(kind, Real | Decimal | np.bool_) and kind is not np.timedelta64  # a signed integer to NumPy


def _from_objects(value, array, missing):
    """(why not, None) of an array of objects made of `value`, or (None, floats)."""
    kinds = set(map(type, array.flat))
    gaps = {kind for kind in kinds if missing and kind.__name__ in _MISSING}
    odd = {kind for kind in kinds - gaps if not _is_real(kind)}
    if odd and array.ndim == 0:
        return _kind(value), None
    out = np.full(array.shape, np.nan)
    for i, entry in enumerate(array.flat):
        if type(entry) in odd:
            return f"{_kind(entry)}{_place(value, np.unravel_index(i, array.shape))}", None
        if type(entry) not in gaps:
            try:
                out.flat[i] = float(entry)
            except (TypeError, ValueError, ArithmeticError):  # beyond the floats, or a signalling NaN
                return f"a number beyond the floats{_place(value, np.unravel_index(i, array.shape))}", None
    return None, out


def _of(dtype):
    """The kind of entries of an array, in words."""
    plain = _EXTENSIONS.get(getattr(dtype, "name", ""), "entries that are no numbers")
    return f"{_WORDS.get(dtype.kind, plain)} ({cut(str(dtype), 40)})"


def _kind(value):
    """The kind of one entry, in words."""
    if isinstance(value, str | bytes):
        return "text" if isinstance(value, str) else "bytes"
    return cut(_Short().repr_instance(value, 1), 60)


def _label(label):
    return shown(label.item() if isinstance(label, np.generic) else label, 60)


def _place(value, index):
    """Where an entry stands, " in" the column of a frame by its name, else " at" the index; "" of a number alone."""
    columns = getattr(value, "columns", None) if len(index) == 2 else None
    if hasattr(columns, "__len__") and len(columns) > index[1]:
        return f" in column {_label(columns[index[1]])}"
    return f" at {[int(i) for i in index]}" if len(index) else ""


# -- data -------------------------------------------------------------------------------------------------------------
def check_covariates(X: ArrayLike, d: int | None = None) -> Floats:
    """Return X as a C-contiguous float64 (n, d), n >= 1, else raise a `ValueError`; d is any where it is None."""
    X = as_floats("X", X, (-1, -1 if d is None else d), copy=False)
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"X must have at least one row and one column; got shape {X.shape}")
    return X


def check_data(X: ArrayLike, y: ArrayLike, d: int | None = None) -> tuple[Floats, Floats]:
    """Return (X, y) as C-contiguous float64 of shapes (n, d) and (n,).

    Parameters
    ----------
    X : array_like, (n, d) or (n,) for d = 1
    y : array_like, (n,) or (n, 1)
        Of pandas objects rows are paired by position, as of arrays: two with different indices are refused.
    d : int, optional
        Number of columns X must have.

    Raises
    ------
    ValueError
        If a shape does not fit, the lengths or the indices differ, there is no row, or an entry is not a finite number.
    """
    rows, index = check_covariates(X, d), ("X", X)
    entries = as_floats("y", y, (-1,), copy=False, column=True)
    if entries.size != rows.shape[0]:
        raise ValueError(f"y must have as many entries as X has rows, {rows.shape[0]}; got {entries.size}")
    check_same_index(index, ("y", y))
    return rows, entries


def check_labels(name, value, n=None):
    """Return the different labels of classes in ascending order, a list, and the number of each entry's, (n,) int64.

    Parameters
    ----------
    name : str
    value : array_like, (n,) or (n, 1)
        Text, logical values or finite numbers, all of one kind; categories of pandas are what they stand for.
    n : int, optional
        How many there must be.

    Raises
    ------
    ValueError
        If they are none, or not as many.
    """
    wanted = f"{name} must be a one-dimensional array of labels, all text, all numbers or all logical"
    if isinstance(value, str | bytes) or np.ma.count_masked(value if isinstance(value, np.ma.MaskedArray) else 0):
        raise ValueError(f"{wanted}; got {_disguised(value) or shown(value)}")
    plain = isinstance(value, np.ndarray) and value.dtype.kind in "biufUT"
    try:
        array = np.asarray(value) if plain else np.asarray(value, dtype=object)
    except (TypeError, ValueError):
        raise ValueError(f"{wanted}; got {shown(value)}") from None
    came = array.shape
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{wanted}; got {shown(value) if not came else f'an array of shape {came}'}")
    if n is not None and array.size != n:
        raise ValueError(f"{name} must have as many entries as X has rows, {n}; got {array.size}")
    if array.dtype.kind == "O":
        array = _one_kind(array, wanted)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = np.flatnonzero(~np.isfinite(array))
        raise ValueError(f"{name} must be finite; got {where.size} NaN or infinite entries, the first at [{where[0]}]")
    found, codes = np.unique(array, return_inverse=True)
    return found.tolist(), codes.astype(np.int64).reshape(array.size)


def _one_kind(array, wanted):
    """An array of objects as one of text, logical values or numbers; a `ValueError` where it is none."""
    kinds = set(map(type, array))
    text = {kind for kind in kinds if issubclass(kind, str)}
    logical = {kind for kind in kinds if issubclass(kind, bool | np.bool_)}
    numbers = {kind for kind in kinds - logical if _is_real(kind)}
    odd = kinds - text - logical - numbers
    if odd:
        raise ValueError(f"{wanted}; got {_kind(next(entry for entry in array if type(entry) in odd))}")
    if bool(text) + bool(logical) + bool(numbers) > 1:
        raise ValueError(f"{wanted}; got labels of several kinds")
    if not numbers:
        return np.array(array.tolist())
    whole = all(issubclass(kind, Integral) for kind in numbers) and all(abs(int(entry)) < 2**63 for entry in array)
    return np.array(list(map(int if whole else float, array)))


def classes_of(name, value):
    """Return the labels of classes, at least two different ones of one kind, as a tuple; else a `ValueError`."""
    wanted = f"{name} must be at least two different labels, all text, all numbers or all logical"
    try:
        labels = list(value) if not isinstance(value, str | bytes | set | frozenset | dict) else []
        found, codes = check_labels(name, np.array(labels + [None], dtype=object)[:-1])
    except (TypeError, ValueError):
        raise ValueError(f"{wanted}; got {shown(value)}") from None
    if len(found) < max(2, len(labels)):
        raise ValueError(f"{wanted}; got {shown(value)}")
    return tuple(found[code] for code in codes)


def check_known_labels(name, value, classes, n=None):
    """Return the numbers, (n,) int64, of labels among the `classes`, else raise a `ValueError`."""
    found, codes = check_labels(name, value, n)
    at = {label: number for number, label in enumerate(classes)}
    odd = [label for label in found if label not in at]
    if odd:
        raise ValueError(f"{name} must be among the classes {shown(list(classes))}; got {shown(odd[0])}")
    return np.array([at[label] for label in found], dtype=np.int64)[codes]


def check_weights(weights: ArrayLike | None, n: int, *data: tuple[str, object]) -> Floats | None:
    """Return the weights of n rows as float64 (n,), or None where there are none.

    Parameters
    ----------
    weights : array_like, (n,) or (n, 1), or None
    n : int
    *data : tuple of str and array_like
        Names and values of the data that the weights belong to: of pandas objects all must have one index.

    Raises
    ------
    ValueError
        If there are not n of them, one is negative or no finite number, all are 0, or the indices differ.
    """
    if weights is None:
        return None
    out = as_floats("weights", weights, (-1,), copy=False, column=True)
    wanted = f"weights must be ({n},) non-negative finite numbers, not all 0"
    if out.size != n:
        raise ValueError(f"{wanted}; got {out.size} of them")
    if out.min() < 0:
        raise ValueError(f"{wanted}; got {(out < 0).sum()} negative ones, the smallest {out.min():g}")
    if not out.any():
        raise ValueError(f"{wanted}; got zeros only")
    for named in data:
        check_same_index(named, ("weights", weights))
    return out


def check_weighted_data(
    X: ArrayLike, y: ArrayLike, weights: ArrayLike | None, d: int | None = None
) -> tuple[Floats, Floats, Floats | None]:
    """Return (X, y, weights), as `check_data` and `check_weights` do, of the rows that count.

    A weight of 0 is no row: such rows are left out. Weights that are all 1 are none: they come back as None, and so do
    weights that are None.
    """
    rows, entries = check_data(X, y, d)
    weights = check_weights(weights, entries.size, ("X", X), ("y", y))
    if weights is not None and not weights.all():
        counts = weights > 0
        rows, entries, weights = rows[counts], entries[counts], weights[counts]
    if weights is not None and (weights == 1.0).all():
        weights = None
    return rows, entries, weights


def check_same_index(first, second):
    """Raise a `ValueError` where of two (name, value) pairs both values are pandas objects, of different indices."""
    (name, value), (other, there) = first, second
    index = getattr(value, "index", None)
    pandas = hasattr(value, "iloc") and hasattr(there, "iloc") and hasattr(index, "equals")
    if pandas and not index.equals(there.index):
        raise ValueError(
            f"{other} must have the index of {name}, as a row is one observation; got another one: align them, "
            f"or give {name}.to_numpy() and {other}.to_numpy() if rows are paired by position"
        )


# -- models -----------------------------------------------------------------------------------------------------------
def check_gating(gating: str) -> str:
    """Return `gating`, in capitals, if it is a word of two gates, else raise `ValueError`."""
    if isinstance(gating, str) and gating.strip().upper() in GATINGS:
        return str(gating.strip().upper())
    raise ValueError(f"gating must be one of {', '.join(GATINGS)}; got {shown(gating)}")


def check_k2(k2: Any) -> tuple[int, ...]:
    """Return `k2` as a tuple of positive ints, else raise `ValueError`; an integer stands for one group."""
    wanted = "k2 must be a sequence of positive integers, one a group"
    if isinstance(k2, np.ndarray) and k2.ndim == 0:
        sizes = [k2.item()]
    else:
        sizes = [k2] if isinstance(k2, Integral) else k2
    try:
        if isinstance(sizes, set | frozenset | dict) or getattr(sizes, "ndim", 1) != 1 or _disguised(sizes) is not None:
            raise TypeError
        sizes = list(sizes) if len(sizes) <= MOST_EXPERTS else []
        whole = all(_is_real(type(m)) and not isinstance(m, bool | np.bool_) and int(m) == m > 0 for m in sizes)
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole or not sizes:
        raise ValueError(f"{wanted}; got {shown(k2)}")
    if sum(map(int, sizes)) > MOST_EXPERTS:
        raise ValueError(f"{wanted}, of at most {MOST_EXPERTS} experts in all; got {shown(k2)}")
    return tuple(map(int, sizes))


def check_columns(name: str, value: Any, d: int | None = None, names: Sequence[str] = ()) -> tuple[int, ...]:
    """Return columns of X as a tuple of different ints below `d`, else raise a `ValueError` that names the argument.

    Parameters
    ----------
    name : str
    value : int, str, or sequence of these
        Numbers of columns, from 0, or, where the columns have `names`, these.
    d : int, optional
        Number of columns; any without it.
    names : sequence of str
    """
    span = "numbers of columns from 0" if d is None else f"different columns of X, numbers from 0 to {d - 1}"
    wanted = f"{span}, or names among {shown(list(names), 160)}" if names else span
    most, single = MOST_COLUMNS if d is None else d, isinstance(value, Integral | str)
    try:
        if isinstance(value, set | frozenset | dict) or (not single and getattr(value, "ndim", 1) != 1):
            raise TypeError
        columns = [value] if single else list(value) if len(value) <= most else [None]
    except TypeError:
        columns = [None]
    at = {str(known): c for c, known in enumerate(names)}
    found: list[Any] = [at.get(str(c)) if isinstance(c, str) else c for c in columns]
    whole = all(isinstance(c, Integral) and not isinstance(c, bool | np.bool_ | np.timedelta64) for c in found)
    if not whole or any(not 0 <= c < most for c in found) or len(set(found)) < len(found):
        raise ValueError(f"{name} must be {wanted}; got {shown(value)}")
    return tuple(map(int, found))


# -- numbers, names, seeds --------------------------------------------------------------------------------------------
def check_number(name: str, value: Any, wanted: str, fits: Callable[[float], bool]) -> float:
    """Return `value` as a float if it is a number for which `fits` holds, else raise a `ValueError` that names it."""
    try:
        out = float(value) if _is_real(type(value)) and not isinstance(value, bool | np.bool_) else np.nan
    except (ValueError, OverflowError):
        out = np.nan
    if np.isnan(out) or not fits(out):
        raise ValueError(f"{name} must be {wanted}; got {shown(value)}")
    return out


def check_positive(name: str, value: Any) -> float:
    """Return a positive number as a float of at most `LARGEST`, else raise a `ValueError` that names it."""
    if type(value) is int and value > LARGEST:
        return LARGEST  # a tolerance beyond the floats is one that always holds
    return min(check_number(name, value, "a positive number", lambda v: v > 0), LARGEST)


def check_whole(name: str, value: Any, low: int = 1, high: int | None = None, note: str = "") -> int:
    """Return `value` as an int from `low` to `high`, else raise a `ValueError` that names it."""
    ok = isinstance(value, Integral) and not isinstance(value, bool | np.timedelta64)
    if not ok or value < low or (high is not None and value > high):
        far = high is None or high > 10**6
        span = f"of at least {low}" + (f" and at most {high:g}" if high else "") if far else f"from {low} to {high}"
        raise ValueError(f"{name} must be an integer {span}{note}; got {shown(value)}")
    return int(value)


def check_known(name, value, known, wanted=None):
    """Return `value` if it is one of the `known` names, else raise a `ValueError` that names it."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be {wanted or 'one of ' + ', '.join(known)}; got {shown(value)}")
    return str(value)


def check_text(name: str, value: Any) -> str:
    """Return `value` if it is text, else raise a `ValueError` that names it."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text; got {shown(value)}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """Return `value` as a bool if it is True or False, else raise a `ValueError` that names it."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False; got {shown(value)}")
    return bool(value)


def takes_rng(function: Function) -> Function:
    """Decorate a function of a `seed` and `rng` so that it takes either, as Scientific Python's SPEC 7 has it.

    An int is the seed. Of a generator, or of a `numpy.random.SeedSequence`, one number is drawn, which is the seed:
    everything random here is keyed. The function itself never gets an `rng`.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def seeded(*args, rng=None, **keywords):
        if rng is not None:
            if "seed" in signature.bind_partial(*args, **keywords).arguments:
                raise ValueError(f"rng must be None where a seed is given; got {shown(rng)}")
            keywords["seed"] = _seed_of(rng)
        return function(*args, **keywords)

    return seeded  # type: ignore[return-value]


def _seed_of(rng):
    if isinstance(rng, np.random.Generator | np.random.BitGenerator | np.random.SeedSequence):
        return int(np.random.default_rng(rng).integers(2**63))
    try:
        return check_seed(rng)
    except ValueError:
        wanted = "a non-negative integer, a SeedSequence, a Generator or a BitGenerator of NumPy"
        raise ValueError(f"rng must be {wanted}; got {shown(rng)}") from None


def check_seed(seed, *kinds):
    """Return a non-negative int, or a `seed` of these kinds, else raise a `ValueError`."""
    if isinstance(seed, kinds):
        return seed
    also = "".join(f", a {kind.__name__}" for kind in kinds[:-1]) + "".join(f" or a {k.__name__}" for k in kinds[-1:])
    if not isinstance(seed, Integral) or isinstance(seed, bool | np.timedelta64) or seed < 0:
        raise ValueError(f"seed must be a non-negative integer{also}; got {shown(seed)}")
    return int(seed)
