"""What a fit says while it runs, and the threads that it runs in."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ..arguments import check_whole, shown
from .problem import hold_one_thread

EVERY = 2.0  # seconds between lines at one move at most


class Progress(NamedTuple):
    """How far a fit is: what a `verbose` callable is given, several times in every move of the search.

    Attributes
    ----------
    k2 : tuple of int
        The shape that is being fitted: the one that was asked for, or a smaller one on the way to it.
    move : str
        Where the starts come from: the name of a function of `hmoe_stats.fitting.moves`, or "finish", the last climb.
    starts, running : int
        Starts in the race, and those of them that are still on their way; 0 while they are being made.
    best : float
        The highest (penalised) log-likelihood of that shape so far, under Laplace gates by smoothed distances; NaN
        before the first. Where the search looks at a part of the rows, it is of these.
    rows : int
        Rows that the race looks at.
    seconds : float
        Since the fit began.
    """

    k2: tuple
    move: str
    starts: int
    running: int
    best: float
    rows: int
    seconds: float

    def __str__(self):
        race = f", {self.running} of {self.starts} starts running" if self.starts else ""
        best = "" if self.best != self.best else f"; best {self.best:.4f} on {self.rows} rows"
        return f"{self.seconds:8.1f} s  k2 = {self.k2}: {self.move}{race}{best}"


def check_verbose(value):
    """Return `verbose`: a flag or a callable; `ValueError` else."""
    if not (isinstance(value, bool) or callable(value)):
        raise ValueError(f"verbose must be True, False or a callable that takes a Progress; got {shown(value)}")
    return value


def check_jobs(value):
    """Return `n_jobs`, a number of threads: -1 is as many as there are processors."""
    if isinstance(value, int) and value == -1:
        from joblib import cpu_count  # knows what a container may use

        return cpu_count()
    return check_whole("n_jobs", value, note=", or -1")


class Watch:
    """Tells a callable, or a person at standard error, how far a fit is; without either nobody."""

    def __init__(self, verbose=False):
        self.tells = None if verbose is False else _print if verbose is True else verbose
        self.began, self.said, self.move = time.perf_counter(), (-float("inf"), None), ""
        self.lines = verbose is True

    def __bool__(self):
        return self.tells is not None

    @property
    def seconds(self):
        return time.perf_counter() - self.began

    def tell(self, problem, runs=(), best=float("nan")):
        """Say how far a race is; `best` is a value of the problem."""
        if self.tells is None:
            return
        running, key = sum(run.status == "running" for run in runs), (problem.k2, self.move, problem.rows)
        if self.lines and key == self.said[1] and self.seconds < self.said[0] + EVERY:
            return
        best = float(problem.absolute(best)) if best > -float("inf") else float("nan")
        self.said = self.seconds, key
        self.tells(Progress(problem.k2, self.move, len(runs), running, best, problem.rows, self.seconds))


def _print(progress):
    print(progress, file=sys.stderr, flush=True)


class Team:
    """Threads that share out what does not hang together; one is the caller's own.

    Kernels, and NumPy on long arrays, let other threads run. Each item is worked on as it would be alone, and answers
    come in the order of the items: no bit depends on how many threads there are.
    """

    def __init__(self, n_jobs=1):
        self.n_jobs, self._pool = n_jobs, None

    def __enter__(self):
        if self.n_jobs > 1:
            # some libraries of linear algebra count threads by thread
            self._pool = ThreadPoolExecutor(self.n_jobs, "hmoe-fit", initializer=hold_one_thread, initargs=(self,))
        return self

    def __exit__(self, *_):
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)  # what an interrupt left is let run out, for nobody

    def map(self, function, items):
        """The list of function(item); functions must not call this again."""
        items = list(items)
        if self._pool is None or len(items) < 2:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))

    def shares(self, count, least=1):
        """Slices that cover `count` items, a few for every thread, none of fewer than `least`."""
        parts = 1 if self._pool is None else max(1, min(4 * self.n_jobs, count // least))
        ends = [count * k // parts for k in range(parts + 1)]
        return [slice(lo, hi) for lo, hi in zip(ends[:-1], ends[1:], strict=True)]


ALONE = Team()
