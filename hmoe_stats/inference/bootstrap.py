"""The bootstrap: the fit made again on samples of its own, labels matched to the fit's.

Parametric samples keep the covariates and draw y from the fit; samples of rows draw rows with replacement. A sample's
random numbers are keyed by the seed and its number alone: the same on any number of workers, and where samples are
added later. Every refit climbs from the fit itself, in its box: it is the optimum near the fit, not the best of all.
"""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import check_covariates, check_known, check_seed, check_whole, shown
from ..fitting import refit
from ..frames import Design, as_covariates
from ..kinds import Frame, Series
from ..matching import experts_of, match
from ..measure import MixingMeasure
from ..sampling import respond
from .coordinates import Coordinates
from .functionals import OF, check_level, check_quantiles, estimate_of, quantities, rows_of, values_of

KINDS = ("parametric", "rows")
METHODS = ("percentile", "basic")
FORMAT = "hmoe_stats bootstrap 1"
MOST_ROWS = 10**7  # that weights may stand for where each of them is drawn
USED = ("converged", "boundary")  # statuses of samples that count
UNMATCHED, FAILED = "unmatched", "failed"


class Task(NamedTuple):
    """What the samples of a fit have in common, and all that a worker is sent."""

    measure: MixingMeasure
    data: tuple
    settings: dict
    kind: str
    seed: int
    n_starts: int

    def key(self):
        """A text that is the same for the same samples."""
        parts = [json.dumps([self.measure.to_dict(), self.settings], sort_keys=True).encode()]
        parts += [b"" if part is None else part.tobytes() for part in self.data]
        return sha256(b"|".join(parts)).hexdigest()[:32]


@dataclass(frozen=True, repr=False, eq=False)
class Bootstrap:
    """What `FitResult.bootstrap` returns.

    Attributes
    ----------
    coordinates : Coordinates
        The parameters; see `FitResult.params`.
    kind : {"parametric", "rows"}
    rows : tuple of dict
        One a sample: status ("converged", "boundary", those of fits that do not count, "unmatched" where experts or
        groups could not be given the labels of the fit, "failed" where no fit could be made), log_likelihood, and
        vector, the estimate in `MixingMeasure.to_vector` order; None where there is none.
    design : Design or None
        That of the fit.
    """

    coordinates: Coordinates
    kind: str
    rows: tuple
    design: Design | None = None

    @property
    def statuses(self) -> dict[str, int]:
        """How many samples ended how: a dict, the most frequent first."""
        return dict(Counter(row["status"] for row in self.rows).most_common())

    @property
    def measures(self) -> list[MixingMeasure]:
        """The estimates of the samples that count, labels matched: a list of `MixingMeasure`."""
        G = self.coordinates.measure
        found = [G.with_vector(row["vector"]) for row in self.rows if row["status"] in USED]
        if len(found) < 2:
            raise ValueError(f"n must leave at least 2 samples that count; got {len(found)}: {self.statuses}")
        return found

    @property
    def params(self) -> Frame:
        """The parameters of the samples that count, a row for each: a DataFrame."""
        import pandas as pd

        return pd.DataFrame([self.coordinates.of(G) for G in self.measures], columns=list(self.coordinates.names))

    @property
    def bse(self) -> Series:
        """Standard deviations of the parameters over samples: a Series."""
        return self.params.std().rename("std err")

    def cov_params(self) -> Frame:
        """Covariance of the parameters over samples: a DataFrame."""
        return self.params.cov()

    def conf_int(self, level: float = 0.95, method: str = "percentile") -> Frame:
        """Intervals for the parameters.

        Parameters
        ----------
        level : float
        method : {"percentile", "basic"}
            Quantiles of the samples, or these mirrored at the estimate.

        Returns
        -------
        DataFrame
            Rows by parameter; low, high.
        """
        import pandas as pd

        ends = _ends(self.params.to_numpy(), self.coordinates.values, level, method)
        return pd.DataFrame(dict(zip(("low", "high"), ends, strict=True)), index=list(self.coordinates.names))

    def intervals(
        self, of: str, X: ArrayLike, level: float = 0.95, q: float | Sequence[float] = 0.5, method: str = "percentile"
    ) -> Frame:
        """Intervals for functions of x, as `FitResult.intervals`: the same table, without status."""
        import pandas as pd

        G, of, q, index = self.coordinates.measure, check_known("of", of, OF), check_quantiles(q), rows_of(X)
        X = check_covariates(as_covariates(self, X), G.d)
        names, columns = quantities(G, of, q)
        found, tables = self.measures, []
        for k, labels in enumerate(columns):
            values = np.stack([estimate_of(H, of, X, q, k) for H in found])
            here = estimate_of(G, of, X, q, k)
            low, high = _ends(values, here, level, method)
            table = {"row": index, **dict(zip(names, labels, strict=True)), "estimate": here}
            tables.append(pd.DataFrame(table | {"std_err": values.std(axis=0, ddof=1), "low": low, "high": high}))
        return pd.concat(tables, ignore_index=True)

    def delta(
        self, function: Callable[[MixingMeasure], ArrayLike], level: float = 0.95, method: str = "percentile"
    ) -> Frame:
        """Intervals for any function of the measure, as `FitResult.delta`: estimate, std_err, low, high."""
        import pandas as pd

        place = self.coordinates
        here = values_of(function, place.measure)
        values = np.stack([values_of(function, place.at(place.of(H))) for H in self.measures])
        low, high = _ends(values, here, level, method)
        return pd.DataFrame({"estimate": here, "std_err": values.std(axis=0, ddof=1), "low": low, "high": high})

    def __repr__(self):
        ends = ", ".join(f"{count} {status}" for status, count in self.statuses.items())
        return f"Bootstrap: {len(self.rows)} {self.kind} samples ({ends})"


def bootstrap(fit, n, kind, seed, n_jobs, file, n_starts):
    """`FitResult.bootstrap`."""
    if fit.status == "degenerate":
        raise ValueError(f"the fit must be an estimate; got one that is degenerate ({fit.message})")
    n, kind, seed = check_whole("n", n), check_known("kind", kind, KINDS), check_seed(seed)
    n_starts, n_jobs = check_whole("n_starts", n_starts), _check_jobs(n_jobs)
    place = fit.curvature.coordinates
    task = Task(fit.measure, _drawable(fit.known_data(), kind), fit.settings, kind, seed, n_starts)
    with Kept(file, task) as kept:
        todo = [number for number in range(n) if number not in kept.rows]
        for number, row in _answers(task, todo, n_jobs):
            kept.add(number, row)
    return Bootstrap(place, kind, tuple(kept.rows[number] for number in range(n)), fit.design)


def aligned(G, H, X):
    """H with the labels of G, which has its gating and shape; None where groups of other sizes match.

    Groups and experts are matched by their Voronoi cells; where two experts of a group share a cell, they are told
    apart so that their distances to all experts of the group are smallest in sum.
    """
    cells = match(H, G, X)
    if any(H.k2[i] != G.k2[j] for i, j in enumerate(cells.group)):
        return None
    from scipy.optimize import linear_sum_assignment  # a quarter of a second that not every process needs

    order = np.empty(G.n_experts, dtype=int)
    for i, j in enumerate(cells.group):
        here, there = experts_of(H, i), experts_of(G, int(j))
        mine, theirs = linear_sum_assignment(cells.distance[here, there])
        order[there.start + theirs] = here.start + mine
    groups = np.argsort(cells.group)
    experts = {name: getattr(H, name)[order] for name in ("omega", "beta", "eta", "tau", "nu")}
    return H.replace(a=H.a[groups], b=H.b[groups], **experts)


def one(task, number):
    """The row of one sample."""
    rng = np.random.default_rng(np.random.SeedSequence(task.seed, spawn_key=(zlib.crc32(b"bootstrap"), number)))
    X, y, weights = task.data
    if task.kind == "parametric":
        y = respond(task.measure, X, rng)
    elif weights is None:
        drawn = rng.integers(y.size, size=y.size)
        X, y = X[drawn], y[drawn]
    else:
        total = round(float(weights.sum()))
        weights = rng.multinomial(total, weights / weights.sum()) * (weights.sum() / total)
    try:
        fit = refit(task.settings, task.measure, X, y, weights, int(rng.integers(2**31)), task.n_starts)
    except ValueError as error:  # of rows that are too few, or do not vary
        return {"status": FAILED, "log_likelihood": None, "vector": None, "message": str(error)}
    G = aligned(task.measure, fit.measure, task.data[0])
    row = {"status": fit.status, "log_likelihood": fit.log_likelihood, "vector": None}
    if G is None:
        return row | {"status": UNMATCHED if fit.converged else fit.status}
    return row | {"vector": G.to_vector().tolist()}


class Kept:
    """The rows of samples that are done, kept in a file as they come, a line for each; in memory where there is none.

    The first line says of what they are. A line that was cut off is made again.
    """

    def __init__(self, file, task):
        self.rows, self._stream = {}, None
        self._file = None if file is None else Path(os.fspath(file))
        about = {"kind": task.kind, "seed": task.seed, "n_starts": task.n_starts, "of": task.key()}
        self._head = {"format": FORMAT} | about

    def __enter__(self):
        if self._file is None:
            return self
        whole = b""
        if self._file.exists():
            content = self._file.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            head, *lines = whole.splitlines() or [b"null"]
            if self._parsed(head) != self._head and content:
                wanted = "samples of this fit, kind, seed and n_starts"
                raise ValueError(f"file must hold {wanted}; got others in {shown(str(self._file))}")
            for line in lines:
                row = self._parsed(line)
                self.rows[row.pop("sample")] = row
        self._stream = self._file.open("r+b" if self._file.exists() else "wb")
        self._stream.truncate(len(whole))
        self._stream.seek(len(whole))
        if not whole:
            self._write(self._head)
        return self

    def __exit__(self, *raised):
        if self._stream is not None:
            self._stream.close()

    def add(self, number, row):
        """Keep the row of one sample."""
        self.rows[number] = row
        if self._stream is not None:
            self._write({"sample": number} | row)

    def _write(self, values):
        self._stream.write(json.dumps(values).encode() + b"\n")
        self._stream.flush()

    def _parsed(self, line):
        try:
            return json.loads(line)
        except ValueError:
            raise ValueError(f"file must hold bootstrap samples; got {shown(str(self._file))}") from None


def _answers(task, numbers, n_jobs):
    if n_jobs == 1 or len(numbers) < 2:
        yield from ((number, one(task, number)) for number in numbers)
        return
    from joblib import Parallel, delayed

    calls = (delayed(_numbered)(task, number) for number in numbers)
    yield from Parallel(n_jobs=n_jobs, return_as="generator_unordered")(calls)


def _numbered(task, number):
    return number, one(task, number)


def _check_jobs(n_jobs):
    return -1 if n_jobs == -1 and not isinstance(n_jobs, bool) else check_whole("n_jobs", n_jobs, note=", or -1")


def _drawable(data, kind):
    """The data in rows that can be drawn: in parametric samples each of those that a weight stands for has a y."""
    X, y, weights = data
    if kind == "rows" or weights is None:
        return X, y, weights
    if (weights != np.floor(weights)).any() or weights.sum() > MOST_ROWS:
        wanted = f"'rows' under weights that are not integers with a sum of at most {MOST_ROWS:g}"
        raise ValueError(f"kind must be {wanted}; got 'parametric'")
    times = weights.astype(int)
    return np.repeat(X, times, axis=0), np.repeat(y, times), None


def _ends(values, estimate, level, method):
    tail = 0.5 * (1.0 - check_level(level))
    low, high = np.quantile(values, [tail, 1.0 - tail], axis=0)
    mirrored = check_known("method", method, METHODS) == "basic"
    return (2.0 * estimate - high, 2.0 * estimate - low) if mirrored else (low, high)
