"""Fits as JSON files: every number comes back bit for bit, and a file is written whole or not at all.

JSON has no infinite numbers and no NaN: these are written as ``{"float": "inf"}``.
"""

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import get_type_hints

import numpy as np

from ..arguments import shown
from ..fitting.result import FitResult
from ..frames import Design
from ..measure import MixingMeasure
from .coordinates import Coordinates
from .curvature import Curvature

FORMAT = "hmoe_stats fit 1"
_RECORDS = {"measure": MixingMeasure, "coordinates": Coordinates, "known": Curvature, "design": Design}
_FLOAT, _ARRAY = "float", "array"


def save(fit, path):
    """`FitResult.save`."""
    values = {"format": FORMAT} | _plain(replace(fit, known=fit.curvature))
    write_whole(path, json.dumps(values, allow_nan=False, indent=1))


def write_whole(path, text):
    """Write a file of this text, a line end after it; where that fails, what was there stays."""
    target = Path(os.path.realpath(os.fspath(path)))
    part = target.with_name(target.name + ".part")
    try:
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def load(path):
    """`FitResult.load`."""
    path = Path(os.fspath(path))
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError("no such format")
        return _made(FitResult, values)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"path must lead to a fit saved by FitResult.save; got {shown(str(path))} ({error})") from None


def _plain(value):
    """A value as `json` takes it."""
    if isinstance(value, MixingMeasure):
        return value.to_dict()
    if isinstance(value, FitResult | Coordinates | Curvature | Design):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name != "data"}
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return {_ARRAY: _plain(value.ravel().tolist()), "shape": list(value.shape), "dtype": value.dtype.str}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return {_FLOAT: repr(value)} if isinstance(value, float) and not np.isfinite(value) else value


def _made(record, values):
    """The record of `_plain` values; attributes that were added to it since take their defaults."""
    if record is MixingMeasure:
        return MixingMeasure.from_dict(values)
    kinds, out = get_type_hints(record), {}
    for name, part in values.items():
        if name in _RECORDS and part is not None:
            out[name] = _made(_RECORDS[name], part)
        else:
            part = _back(part)
            out[name] = tuple(part) if kinds[name] is tuple else part
    return record(**out)


def _back(part):
    if isinstance(part, list):
        return [_back(item) for item in part]
    if not isinstance(part, dict):
        return part
    if set(part) == {_FLOAT}:
        return float(part[_FLOAT])
    if _ARRAY in part:
        return np.array(_back(part[_ARRAY]), dtype=part["dtype"]).reshape(part["shape"])
    pairs = ((name, _back(item)) for name, item in part.items())
    return {name: tuple(item) if isinstance(item, list) else item for name, item in pairs}  # ends of a box
