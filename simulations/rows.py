"""Rows of the store: how a cell or a measure is written, what shows that it was damaged since, the tidy table of many.

Every row has a checksum over its other columns as they read back from SQLite. Cells written before there were checksums
are held against what a row can be.
"""

import csv
import io
import json
import math
import re
import zlib
from array import array

from . import ends, measures
from .study import GATINGS

COLUMNS = (
    "study_hash gating k2 n replicate status message log_likelihood score_norm n_iter seconds parameters errors "
    "certificate version source finished"
).split()
REALS = ("log_likelihood", "score_norm", "seconds", "finished")
JSON_COLUMNS = ("parameters", "errors", "certificate")
STATUSES = ("converged", "boundary", "max_iter", "degenerate", "failed")  # of rows without a checksum
KEY = slice(1, 5)  # of a row in the order of `COLUMNS`
MEASURE_COLUMNS = "gating k2 n replicate measure version fit rows message".split()
MISFITS = (TypeError, ValueError, AttributeError, RecursionError)  # what reading nonsense raises
FRAME_COLUMNS = "truth gating k2 n replicate status log_likelihood level cell size parameter kind error".split()
NONE = -1  # status of a cell that is not there
NOTHING = (None, "", None, "", "")  # level, cell, size, parameter, kind of a cell that failed
STATUS, LIKELIHOOD, ERRORS, PARAMETERS, CERTIFICATE = (
    COLUMNS.index(name) for name in ("status", "log_likelihood", "errors", "parameters", "certificate")
)


# -- one row ----------------------------------------------------------------------------------------------------------
NO_FIT = dict.fromkeys(("log_likelihood", "score_norm", "n_iter", "parameters", "certificate"))


def of_fit(fit, certificate):
    """What is kept of a fit, by the names of columns, with what it says of itself."""
    return {
        "status": str(fit.status),
        "log_likelihood": float(fit.log_likelihood),
        "score_norm": float(fit.score_norm),
        "n_iter": int(fit.n_iter),
        "parameters": fit.measure.to_dict(),
        "certificate": certificate,
    }


def values_of(row, study_hash, finished):
    """The values of `COLUMNS` for a finished cell, a dict as `runner.run_cell` returns it, as SQLite gives them."""
    row = {"errors": None} | row | {"study_hash": study_hash, "finished": finished}
    for name in JSON_COLUMNS:
        if row[name] is not None:
            row[name] = _as_json(row[name])
    for name in REALS:
        if row[name] is not None:
            number = float(row[name]) + 0.0  # SQLite knows neither -0.0 nor NaN
            row[name] = None if math.isnan(number) else number
    return tuple(row[name] for name in COLUMNS)


def measure_values_of(key, fit, measure, found, message):
    """The values of `MEASURE_COLUMNS` for a `Measure` of the cell `key`, whose row has the checksum `fit`."""
    return (*key, measure.name, measure.version, fit, None if found is None else _as_json(found), message)


def _as_json(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def checksum(values):
    """CRC-32 of the values of `COLUMNS`: a number that sums to one for a whole file; likewise of `MEASURE_COLUMNS`."""
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
    """The results of a study's cells, tidy, in flat arrays: some 20 bytes a measured number.

    What was found of one measure of one cell is a run of numbers; runs come in any order, after their cells.
    """

    def __init__(self, study, failed, ended=False):
        self.study, self.failed, self.measures = study, failed, measures.asked_by(study)
        self.truth = study.truth if isinstance(study.truth, str) else "random" if study.random else "table"
        self.failures = {}  # (measure, message) -> keys of cells
        self._rank = {measure[:2]: i for i, measure in enumerate(self.measures)}
        self._corner = {corner.key[:3]: i for i, corner in enumerate(sorted(study.corners()))}
        # a cell each, whose place is that in the sorted grid
        size = len(self._corner) * study.replicates
        self._status, self._likelihood = array("b", [NONE]) * size, array("d", [math.nan]) * size
        self._fit, self._known = array("q", [0]) * size, array("q", [0]) * size  # checksum; a bit a measure
        # the set of bounds that it lies on, where that is asked for: to find it takes as long as all the rest of a row
        self._bounds, self._sets = array("i", [0]) * size if ended else None, {"": 0}
        self._gain = array("d", [math.nan]) * size if ended else None
        # a run each, and a number each
        self._place, self._order, self._count = array("q"), array("b"), array("q")
        self._error, self._label = array("d"), array("i")
        self._statuses, self._labels = {}, {}

    def add(self, values, fit):
        """Take in a row of cells, and its checksum, if the study asks for the cell."""
        place = self._place_of(values[KEY])
        if place is None:
            return
        self._status[place] = self._statuses.setdefault(values[STATUS], len(self._statuses))
        self._likelihood[place] = math.nan if values[LIKELIHOOD] is None else values[LIKELIHOOD]
        self._fit[place] = fit
        if self._bounds is not None:
            box = self.study.fit.bounds
            bounds, self._gain[place] = ends.of_fit(values[PARAMETERS], values[CERTIFICATE], box)
            self._bounds[place] = self._sets.setdefault(bounds, len(self._sets))
        if values[STATUS] == "failed":
            self._known[place] = (1 << len(self.measures)) - 1
            if self.failed:
                self._add_run(place, 0, [(*NOTHING, math.nan)])
        elif values[ERRORS] is not None:
            for kind, found in measures.of_errors(json.loads(values[ERRORS])).items():
                self._add_found(place, kind, found)

    def add_measure(self, values):
        """Take in a row of measures, unless it is of a fit that the cell no longer has, or of another version."""
        *key, name, version, fit, found, message = values
        place = self._place_of(key)
        if place is not None and self._status[place] != NONE and self._fit[place] == fit:
            self._add_found(place, (name, version), None if found is None else json.loads(found), message)

    def add_answer(self, task, answer):
        """Take in what `measures.reckon` found."""
        for measure in self.measures:
            if measure.name in answer:
                self._add_found(self._place_of(task.key), measure[:2], *answer[measure.name])

    def _place_of(self, key):
        *corner, replicate = key
        corner = self._corner.get(tuple(corner))
        if corner is not None and 0 <= replicate < self.study.replicates:
            return corner * self.study.replicates + replicate
        return None

    def _key_of(self, place):
        corner, replicate = divmod(place, self.study.replicates)
        return (*list(self._corner)[corner], replicate)

    def _add_found(self, place, kind, found, message=""):
        rank = self._rank.get(kind)
        if rank is None or self._known[place] >> rank & 1:
            return
        self._known[place] |= 1 << rank
        if found is None:
            self.failures.setdefault((kind[0], message), []).append(self._key_of(place))
        else:
            self._add_run(place, rank, found)

    def _add_run(self, place, order, found):
        self._place.append(place)
        self._order.append(order)
        self._count.append(len(found))
        labels = self._labels
        for *label, error in found:
            self._label.append(labels.setdefault(tuple(label), len(labels)))
            self._error.append(error)

    def missing(self, values):
        """What is to be reckoned of a row of cells that was taken in: a `measures.Task`, or None."""
        place = self._place_of(values[KEY])
        if place is None or self._status[place] == NONE:
            return None
        names = tuple(m.name for i, m in enumerate(self.measures) if not self._known[place] >> i & 1)
        return measures.Task(values[KEY], self._fit[place], values[PARAMETERS], names) if names else None

    @property
    def complete(self):
        """True if nothing is missing."""
        whole = (1 << len(self.measures)) - 1
        return all(known == whole or status == NONE for known, status in zip(self._known, self._status, strict=True))

    def __len__(self):
        """Number of cells."""
        return len(self._status) - self._status.count(NONE)

    def _sorted(self):
        """(runs in order, for each of them: place, status, log-likelihood, first number, count of numbers)."""
        import numpy as np

        place, count = np.array(self._place), np.array(self._count)
        order = np.lexsort((np.array(self._order), place))
        first = np.cumsum(count) - count
        plain = (place, np.array(self._status)[place], np.array(self._likelihood)[place], first, count)
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

    def ends(self):
        """One row a cell, in order: gating, k2, n, replicate, status, bounds and gain as `ends.of_fit` has them.

        For a collection that was made with `ended`.
        """
        import pandas as pd

        corners, statuses, sets = list(self._corner), list(self._statuses), list(self._sets)
        found = []
        for place, (status, bounds, gain) in enumerate(zip(self._status, self._bounds, self._gain, strict=True)):
            if status != NONE:
                corner, replicate = divmod(place, self.study.replicates)
                found.append((*corners[corner], replicate, statuses[status], sets[bounds], gain))
        return pd.DataFrame(found, columns=["gating", "k2", "n", "replicate", "status", "bounds", "gain"])

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
