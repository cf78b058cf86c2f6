"""Rows of the store: how a cell is written, what shows that it was damaged since, and the tidy table of many.

Every row has a checksum over its other columns as they read back from SQLite. Rows written before there were checksums
are held against what a row can be.
"""

import csv
import io
import json
import math
import re
import zlib
from array import array

from .study import GATINGS

COLUMNS = (
    "study_hash gating k2 n replicate status message log_likelihood score_norm n_iter seconds parameters errors "
    "certificate version source finished"
).split()
REALS = ("log_likelihood", "score_norm", "seconds", "finished")
JSON_COLUMNS = ("parameters", "errors", "certificate")
STATUSES = ("converged", "boundary", "max_iter", "degenerate", "failed")  # of rows without a checksum
KEY = slice(1, 5)  # of a row in the order of `COLUMNS`
MISFITS = (TypeError, ValueError, AttributeError, RecursionError)  # what reading nonsense raises
FRAME_COLUMNS = "truth gating k2 n replicate status log_likelihood level cell size parameter kind error".split()
NOTHING = (None, "", None, "", "")  # level, cell, size, parameter, kind of a cell that failed
STATUS, LIKELIHOOD, ERRORS = (COLUMNS.index(name) for name in ("status", "log_likelihood", "errors"))


# -- one row ----------------------------------------------------------------------------------------------------------
def values_of(row, study_hash, finished):
    """The values of `COLUMNS` for a finished cell, a dict as `runner.run_cell` returns it, as SQLite gives them."""
    row = row | {"study_hash": study_hash, "finished": finished}
    for name in JSON_COLUMNS:
        if row[name] is not None:
            row[name] = json.dumps(row[name], separators=(",", ":"), allow_nan=False)
    for name in REALS:
        if row[name] is not None:
            number = float(row[name]) + 0.0  # SQLite knows neither -0.0 nor NaN
            row[name] = None if math.isnan(number) else number
    return tuple(row[name] for name in COLUMNS)


def checksum(values):
    """CRC-32 of the values of `COLUMNS`: a number that sums to one for a whole file."""
    return zlib.crc32("\x1f".join(map(str, values)).encode("utf-8", "surrogatepass"))


def sound(values, stored, study_hash):
    """True if a row is as it was written.

    Parameters
    ----------
    values : tuple
        Of `COLUMNS`.
    stored : int or None
        Its checksum; None for a row from before there were any.
    study_hash : str
        Of the study that the file holds.
    """
    if stored is not None:
        return checksum(values) == stored
    try:
        return values[0] == study_hash and _can_be(dict(zip(COLUMNS, values, strict=True)))
    except MISFITS:
        return False


def _can_be(row):
    """True if `run_cell` can have made this; raises `MISFITS` for much that it cannot."""
    key = row["gating"] in GATINGS and bool(re.fullmatch(r"[0-9]+(,[0-9]+)*", row["k2"]))
    key = key and all(isinstance(row[name], int) and row[name] >= 0 for name in ("n", "replicate"))
    words = all(isinstance(row[name], str) for name in ("message", "version", "source"))
    times = all(isinstance(row[name], float) and 0 <= row[name] < math.inf for name in ("seconds", "finished"))
    if not (key and words and times and row["status"] in STATUSES):
        return False
    if row["status"] == "failed":
        return row["errors"] is None
    _, certificate, errors = (_plain_json(row[name]) for name in ("parameters", "certificate", "errors"))
    types = (int, str, int, str, str, float)
    return (
        isinstance(certificate, dict)
        and math.isfinite(row["log_likelihood"])
        and len(errors) > 0
        and all(tuple(map(type, error)) == types and error[-1] >= 0 for error in errors)
    )


def _plain_json(text):
    return json.loads(text, parse_constant=_refused)


def _refused(word):
    raise ValueError(f"{word} is no number")


def name_of(key):
    """A cell in words, from (gating, k2, n, replicate), whatever they are in a damaged row."""
    gating, k2, n, replicate = (str(part)[:20].encode("ascii", "backslashreplace").decode() for part in key)
    return f"{gating} {k2} n = {n} replicate {replicate}"


# -- many rows --------------------------------------------------------------------------------------------------------
class Collected:
    """The results of a study's cells, tidy, in flat arrays: some 20 bytes a measured number."""

    def __init__(self, study, truth, failed):
        self.study, self.truth, self.failed = study, truth, failed
        self._corner = {corner.key[:3]: i for i, corner in enumerate(sorted(study.corners()))}
        self._place, self._likelihood, self._count = array("q"), array("d"), array("q")  # a cell each
        self._status, self._error, self._label = array("h"), array("d"), array("i")  # the latter a number each
        self._statuses, self._labels = {}, {}

    def add(self, values):
        """Take a row of the store in, if the study asks for its cell."""
        *corner, replicate = values[KEY]
        corner = self._corner.get(tuple(corner))
        if corner is None or not 0 <= replicate < self.study.replicates:
            return
        errors, labels = json.loads(values[ERRORS] or "[]"), self._labels
        if values[ERRORS] is None and self.failed:
            errors = [(*NOTHING, math.nan)]
        self._place.append(corner * self.study.replicates + replicate)
        self._status.append(self._statuses.setdefault(values[STATUS], len(self._statuses)))
        self._likelihood.append(math.nan if values[LIKELIHOOD] is None else values[LIKELIHOOD])
        self._count.append(len(errors))
        for *label, error in errors:
            self._label.append(labels.setdefault(tuple(label), len(labels)))
            self._error.append(error)

    def __len__(self):
        """Number of cells."""
        return len(self._place)

    def _sorted(self):
        """(cells in order, for each of them: place, status, log-likelihood, first number, count of numbers)."""
        import numpy as np

        place, count = np.array(self._place), np.array(self._count)
        order = np.argsort(place, kind="stable")
        first = np.cumsum(count) - count
        plain = (place, np.array(self._status), np.array(self._likelihood), first, count)
        return [values[order] for values in plain]

    def frame(self):
        """One row a measured number, sorted by cell; columns that hold words are categorical."""
        import numpy as np
        import pandas as pd

        place, status, likelihood, first, count = self._sorted()
        numbers = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
        label, error = np.array(self._label)[numbers], np.array(self._error)[numbers]
        corner, replicate = np.divmod(place, self.study.replicates)
        levels, cells, sizes, parameters, kinds = zip(*self._labels, strict=True) if self._labels else [()] * 5
        gatings, k2s, ns = zip(*self._corner, strict=True)
        whole = "Int64" if self.failed else "int64"

        def repeated(values):
            return np.repeat(values, count)

        def words(found, code):
            distinct = sorted(set(found))
            codes = np.array([distinct.index(word) for word in found], dtype="int16" if len(distinct) > 99 else "int8")
            code = codes[code] if len(codes) else code.astype("int8")
            return pd.Categorical.from_codes(code, distinct)

        def whole_numbers(found):
            return pd.array(found, dtype=whole)[label] if found else pd.array([], dtype=whole)

        corner = repeated(corner.astype("int32"))
        columns = (
            words([self.truth], np.zeros(len(corner), dtype="int8")),
            words(gatings, corner),
            words(k2s, corner),
            np.array(ns, dtype="int64")[corner],
            repeated(replicate),
            words(list(self._statuses), repeated(status)),
            repeated(likelihood),
            whole_numbers(levels),
            words(cells, label),
            whole_numbers(sizes),
            words(parameters, label),
            words(kinds, label),
            error,
        )
        return pd.DataFrame(dict(zip(FRAME_COLUMNS, columns, strict=True)), copy=False)

    def write_csv(self, file):
        """Write what `frame` gives, byte for byte as pandas writes it, without making it; the number of rows."""
        corners = list(self._corner)
        statuses, labels = list(self._statuses), [_csv(label) for label in self._labels]
        file.write(",".join(FRAME_COLUMNS) + "\n")
        rows = 0
        for place, status, likelihood, first, count in zip(*(v.tolist() for v in self._sorted()), strict=True):
            corner, replicate = divmod(place, self.study.replicates)
            gating, k2, n = corners[corner]
            head = _csv((self.truth, gating, k2, n, replicate, statuses[status], likelihood))
            numbers = range(first, first + count)
            file.writelines(f"{head},{labels[self._label[i]]},{_text(self._error[i])}\n" for i in numbers)
            rows += count
        return rows


def _csv(values):
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([_text(v) if isinstance(v, float) else v for v in values])
    return out.getvalue()


def _text(number):
    return "" if math.isnan(number) else repr(number)
