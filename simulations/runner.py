"""The runner: sample and fit each missing cell of a study, in worker processes, and store the answers.

`run_cell` is a pure function of a study and a cell. `run` hands the missing cells to workers (`simulations.pool`),
replicate by replicate, and is the only one that writes: each answer goes to the store in its own transaction as it
arrives (tenths of a millisecond in WAL mode, against tens for the shortest fit), so that an end at any moment loses no
finished cell.
"""

import hashlib
import math
import pickle
import platform
import signal
import sys
import threading
import time
import traceback
from contextlib import closing, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from . import UserError, pool
from .estimators import estimate
from .measures import DIED, FAILURES
from .pace import Pace
from .rows import NO_FIT, name_of, of_fit


# -- one cell ---------------------------------------------------------------------------------------------------------
def run_cell(study, cell):
    """Sample and fit one cell.

    Parameters
    ----------
    study : Study
    cell : Cell

    Returns
    -------
    dict
        The row of the store: gating, k2 (text), n, replicate; status (that of the fit, or ``"failed"`` with what was
        raised in `message`), log_likelihood, score_norm, n_iter, seconds; parameters (`MixingMeasure.to_dict`) and
        certificate; version and source of the code. The certificate has the ``gain`` over the truth, twice the
        difference of log-likelihoods, taken row by row: if its mean falls as n grows, the search comes short.

    Raises
    ------
    Exception
        Whatever is raised that says nothing of the fit. Only what numbers can do to it (`FAILURES`) is a result; a want
        of memory, a library or a file that is not to be had, or an error of the code would be another one elsewhere.
    """
    begin = time.perf_counter()
    try:
        found = study.fitted(cell) if study.kind == "applied" else _fitted(study, cell)
    except UserError:
        raise
    except FAILURES as error:  # the row says so, and the study goes on
        found = _failed(_said(error))
    return _row(cell, found, time.perf_counter() - begin)


def _said(error):
    """An exception in a line: its type, what it says, and where it was raised."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(str(error).split())
    return f"{type(error).__name__}{f': {said}' if said else ''} ({Path(where.filename).name}:{where.lineno})"


def _row(cell, found, seconds):
    version, source = code_version()
    row = dict(zip(("gating", "k2", "n", "replicate"), cell.key, strict=True)) | {"message": ""} | found
    return row | {"seconds": seconds, "version": version, "source": source}


def _failed(message):
    return NO_FIT | {"status": "failed", "message": message}


def _fitted(study, cell):
    import hmoe_stats as hs

    X, y, counts = study.sample(cell.gating, cell.n, cell.replicate)
    fit = estimate(study, cell, X, y, counts)
    if fit.status == "interrupted":  # by whoever watched it: no answer to the cell
        raise KeyboardInterrupt
    gain = hs.log_likelihood(fit.measure, X, y, weights=counts, relative_to=study.source(cell.gating, cell.replicate))
    if not math.isfinite(fit.log_likelihood):
        raise ArithmeticError(f"the log-likelihood is {fit.log_likelihood}")
    return of_fit(fit, _certificate(fit) | {"gain": 2.0 * gain})


def _certificate(fit):
    """What the fit says of itself, in plain values."""
    eigenvalue = float(fit.smallest_eigenvalue)
    return {
        "converged": bool(fit.converged),
        "message": str(fit.message),
        "active_bounds": [str(name) for name in fit.active_bounds],
        "n_starts": len(fit.starts),
        "n_agree": int(fit.n_agree),
        "n_optima": int(fit.n_optima),
        "gap": float(fit.gap) if math.isfinite(fit.gap) else None,  # none, where no second optimum was seen
        "smallest_eigenvalue": eigenvalue if math.isfinite(eigenvalue) else None,  # none, where nothing is free
        "smoothing": float(fit.smoothing),
    }


@cache
def code_version():
    """(version, source hash): the package's version, and a hash of the source files that make the numbers."""
    import hmoe_stats

    here = Path(__file__).parent
    ours = [here / name for name in ("estimators.py", "runner.py", "schema.py", "study.py")]
    ours += [here / "applied" / name for name in ("models.py", "study.py", "tasks.py")]
    files = [*sorted(Path(hmoe_stats.__file__).parent.rglob("*.py")), *ours]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return hmoe_stats.__version__, digest.hexdigest()[:16]


# -- all cells --------------------------------------------------------------------------------------------------------
def missing_cells(study, store, retry_failed=False):
    """The cells without a row (or with a failed one, if asked): replicate by replicate, in each the dearest first.

    So what a study has that was stopped is whole replicates, but for the last.
    """
    done = {c for c, status in store.statuses().items() if not (retry_failed and status == "failed")}
    return sorted((c for c in study.cells() if c not in done), key=lambda c: (c.replicate, -study.cost(c), -c.n, c))


def run(study, store, jobs=1, backend="loky", scheduler=None, retry_failed=False, progress=True):
    """Run the missing cells of a study and store them.

    Parameters
    ----------
    study : Study
    store : Store
        Open for writing.
    jobs : int
        Worker processes; 1 runs in this process.
    backend : {"loky", "dask"}
        Processes of this machine, or a dask cluster.
    scheduler : str, optional
        Address of a dask scheduler; without one, dask gets a cluster of `jobs` processes on this machine.
    retry_failed : bool
        Run failed cells again.
    progress : bool
        Draw a bar on standard error.

    Returns
    -------
    int
        Number of cells run.

    Raises
    ------
    StudyError
        If the truth of the study is not to be had.
    StoreError
        If the results file cannot be written any more.
    PoolError
        If workers cannot be had or kept; a cell at which they die again and again is a row with status ``"failed"``.
    TroubleError
        If cells were left to do because of trouble that says nothing of their fits (see `run_cell`), after the others;
        at once if there is nothing but trouble.
    UserError
        If a worker has other code than this process.
    KeyboardInterrupt
        If interrupted.

    Whatever is raised, all that was finished is stored, and the workers are gone.
    """
    if study.kind != "applied":
        for gating in study.gatings:
            study.measure(gating)
    store.declare()
    todo = missing_cells(study, store, retry_failed)
    if not todo:
        return 0
    with (
        _interrupts_kept(),
        _Bar(study, store, retry_failed, progress) as bar,
        pool.workers(jobs, backend, scheduler) as workers,
    ):
        store.note_run(bar.began, workers.jobs)
        if study.kind != "applied":  # whose cells have data of their own
            _compile(study, todo)
        call = partial(_here, study)
        if workers.elsewhere:
            call = partial(_elsewhere, run_cell, pickle.dumps(study), code_version())
        troubles = _Troubles()
        with closing(workers.answers(call, todo, bar.worker_died)) as answers:
            for cell, row in answers:
                if isinstance(row, Trouble):
                    troubles.add(cell, row)
                    continue
                row = row or _row(cell, _failed(DIED), 0.0)
                troubles.in_a_row = 0
                try:
                    store.write([row])
                except KeyboardInterrupt:
                    store.write([row])  # harmless to do twice
                    raise
                if workers.jobs != bar.jobs:  # dask's workers come and go
                    bar.jobs = workers.jobs
                    store.note_run(bar.began, bar.jobs)
                bar.finished(cell, row)
    troubles.tell()
    return len(todo)


class TroubleError(UserError):
    """Cells that are left to do, as something other than their fits went wrong."""


class Trouble(NamedTuple):
    """The answer to a cell, in place of a row, where what was raised says nothing of its fit."""

    message: str


class _Troubles:
    """The cells that are left to do, by what was said of them; too many of them in a row, and it is the machine."""

    def __init__(self):
        self.in_a_row, self.cells = 0, {}

    def add(self, cell, trouble):
        self.in_a_row += 1
        self.cells.setdefault(trouble.message, []).append(cell)
        if self.in_a_row == FRUITLESS:
            self.tell(f" ({FRUITLESS} in a row)")

    def tell(self, more=""):
        """Raise, if there is anything to tell: a line a message, at most five."""
        lines = []
        for message, cells in sorted(self.cells.items(), key=lambda item: -len(item[1])):
            others = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
            lines.append(f"{name_of(cells[0].key)}{others} not computed{more}: {message}")
        if lines:
            raise TroubleError("\n".join([*lines[:5], *(["..."] if len(lines) > 5 else [])]))


FRUITLESS = 10  # cells without an answer between them, at which a run ends


def _compile(study, todo):
    """Compile the kernels, so that workers find them cached and the seconds of a cell are those of its fit."""
    largest = {cell.gating: cell for cell in sorted(todo, key=lambda cell: sum(cell.k2))}
    for cell in largest.values():
        _here(study, cell._replace(n=min(cell.n, 300)))  # any trouble is that of the cells, too, and told there


def _here(study, cell):
    """`_tried` in this process; an interrupt that code called from C swallowed or took for an error is one still."""
    row = _tried(run_cell, study, cell)
    if _interrupted.is_set():
        raise KeyboardInterrupt
    return row


def _tried(run_cell, study, cell):
    """What `run_cell` answers, or a `Trouble`."""
    try:
        return run_cell(study, cell)
    except UserError:
        raise
    except Exception as error:
        return Trouble(_said(error))


def _elsewhere(run_cell, study, code, cell):
    """`run_cell` in a worker, which must have the code that this process has; `study` is pickled, and read once."""
    if code_version() != code:
        there, ours = (f"{version} ({source})" for version, source in (code_version(), code))
        raise UserError(f"the worker on {platform.node()} has hmoe-stats {there}, not {ours}: install the same there")
    try:
        return _tried(run_cell, _unpickled(study), cell)
    except (KeyboardInterrupt, SystemExit) as error:  # of this worker alone: nobody asked the run to end
        return Trouble(_said(error))


_unpickled = cache(pickle.loads)
_interrupted = threading.Event()


@contextmanager
def _interrupts_kept():
    """Raise Ctrl-C, and remember it for `_here`; where it is ignored, or another thread gets it, it is left so."""
    _interrupted.clear()
    kept = signal.getsignal(signal.SIGINT)
    if not callable(kept) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_):
        _interrupted.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Bar:
    """A bar that counts cells; its time left weighs them by their cost, as the dearest of a replicate come first."""

    def __init__(self, study, store, again, progress):
        from tqdm import tqdm

        self.began, self.jobs = time.time(), 1
        self.pace = Pace(study, store.progress(), again)
        self.bar = tqdm(
            total=self.pace.total,
            initial=self.pace.finished,
            desc=study.name,
            disable=not progress,
            mininterval=0.2 if sys.stderr.isatty() else 10,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} cells [{elapsed} gone{postfix}]",
        )

    def finished(self, cell, row):
        self.pace.add(cell, None if row["status"] == "failed" else row["seconds"])
        left = self.pace.left(self.jobs)
        if left is not None:
            self.bar.set_postfix_str(f"{self.bar.format_interval(left)} left", refresh=False)
        self.bar.update()

    def worker_died(self):
        if not self.bar.disable:
            self.bar.write("hmoe: a worker process died; others take its place", file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.bar.close()
