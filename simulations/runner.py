"""The runner: sample, fit and measure each missing cell of a study, in worker processes, and store the answers.

`run_cell` is a pure function of a study and a cell. `run` hands the missing cells to joblib, the dearest first, and is
the only one that writes: each answer goes to the store in its own transaction as it arrives (tens of microseconds in
WAL mode, against milliseconds for the shortest fit), so that an end at any moment loses no finished cell.
"""

import hashlib
import math
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from contextlib import closing, contextmanager
from functools import cache
from multiprocessing import resource_tracker
from pathlib import Path

import joblib

from . import UserError


# -- one cell ---------------------------------------------------------------------------------------------------------
def run_cell(study, cell):
    """Sample, fit and measure one cell.

    Parameters
    ----------
    study : Study
    cell : Cell

    Returns
    -------
    dict
        The row of the store: gating, k2 (text), n, replicate; status (that of the fit, or ``"failed"`` with what was
        raised in `message`), log_likelihood, score_norm, n_iter, seconds; parameters (`MixingMeasure.to_dict`), errors
        (rows of level, cell, size, parameter, kind, error), certificate; version and source of the code.
    """
    version, source = code_version()
    row = dict(zip(("gating", "k2", "n", "replicate"), cell.key, strict=True)) | {"message": ""}
    row |= dict.fromkeys(("log_likelihood", "score_norm", "n_iter", "parameters", "errors", "certificate"))
    begin = time.perf_counter()
    try:
        row |= _fit_and_measure(study, cell)
    except Exception as error:  # the row says so, and the study goes on
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        row |= {"status": "failed", "message": f"{type(error).__name__}: {error} ({place})"}
    return row | {"seconds": time.perf_counter() - begin, "version": version, "source": source}


def _fit_and_measure(study, cell):
    import hmoe_stats as hs

    truth, law = study.measure(cell.gating), study.law
    X, y = hs.sample(truth, cell.n, x=law, seed=study.data_seed(cell.n, cell.replicate))
    fit = hs.fit_mle(
        X,
        y,
        gating=cell.gating,
        k2=cell.k2,
        start=truth if study.fit.start == "truth" else None,
        seed=study.fit_seed(cell.n, cell.replicate),
        **study.fit.keywords(),
    )
    columns = ["level", "cell", "size", "parameter", "kind", "error"]
    errors = [
        [int(level), str(name), int(size), str(parameter), str(kind), float(error)]
        for level, name, size, parameter, kind, error in hs.parameter_errors(fit.measure, truth, x=law)[columns].values
    ]
    for form in ("sharp", "published"):
        loss = float(hs.voronoi_loss(fit.measure, truth, form=form, x=law))
        errors.append([0, "", 0, f"loss_{form}", "loss", loss])
    if study.measures.hellinger:
        errors.append([0, "", 0, "hellinger", "divergence", float(hs.hellinger(fit.measure, truth, x=law))])
    wrong = [e for e in errors if not (math.isfinite(e[-1]) and e[-1] >= 0)]
    if wrong:
        raise ArithmeticError(f"the error of {wrong[0][3]} ({wrong[0][4]}) is {wrong[0][-1]}")
    return {
        "status": str(fit.status),
        "log_likelihood": float(fit.log_likelihood),
        "score_norm": float(fit.score_norm),
        "n_iter": int(fit.n_iter),
        "parameters": fit.measure.to_dict(),
        "errors": errors,
        "certificate": _certificate(fit),
    }


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
    files = [*sorted(Path(hmoe_stats.__file__).parent.rglob("*.py")), here / "runner.py", here / "study.py"]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return hmoe_stats.__version__, digest.hexdigest()[:16]


# -- all cells --------------------------------------------------------------------------------------------------------
def missing_cells(study, store, retry_failed=False):
    """The cells without a row (or with a failed one, if asked), the dearest first."""
    done = {c for c, (status, *_) in store.statuses().items() if not (retry_failed and status == "failed")}
    return sorted((c for c in study.cells() if c not in done), key=lambda c: (-c.cost, c))


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
    KeyboardInterrupt
        If interrupted; all that was finished is stored, and the workers are gone.
    """
    for gating in study.gatings:
        study.measure(gating)
    todo = missing_cells(study, store, retry_failed)
    if not todo:
        return 0
    store.note_run(jobs)
    unsaved = []
    with (
        _interrupts_kept(),
        _Bar(study, todo, progress) as bar,
        closing(_rows(study, todo, jobs, backend, scheduler)) as rows,
    ):
        try:
            for row in rows:
                unsaved.append(row)
                store.write(unsaved)
                unsaved.clear()
                bar.finished(row)
        finally:
            if unsaved:  # interrupted within the write, which is harmless to do twice
                store.write(unsaved)
    return len(todo)


def _rows(study, todo, jobs, backend, scheduler):
    """The rows of the cells `todo`, as they come; closing the generator kills the workers."""
    if backend == "loky" and jobs == 1:
        yield from (_run_here(study, cell) for cell in todo)
        return
    *others, cheapest = todo
    yield _run_here(study, cheapest)  # so that the kernels are compiled once and the workers find them cached
    with _engine(jobs, backend, scheduler) as n_jobs, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "[0-9]+ tasks", UserWarning)  # joblib, of what an interrupt cancels
        calls = (joblib.delayed(run_cell)(study, cell) for cell in others)
        with _interrupts_held():
            rows = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)(calls)
        yield from rows


_interrupted = threading.Event()


@contextmanager
def _interrupts_kept():
    """Raise Ctrl-C as ever, and remember it for `_run_here`."""
    _interrupted.clear()
    if threading.current_thread() is not threading.main_thread():
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


def _run_here(study, cell):
    """`run_cell` in this process; an interrupt that code called from C swallowed or took for an error is one still."""
    row = run_cell(study, cell)
    if _interrupted.is_set():
        raise KeyboardInterrupt
    return row


@contextmanager
def _engine(jobs, backend, scheduler):
    """joblib set to a backend; gives the number of jobs to ask it for."""
    if backend == "loky":
        setup = {"initializer": _set_up_worker, "initargs": (os.getpid(),), "inner_max_num_threads": 1}
        with joblib.parallel_config("loky", **setup):
            yield jobs
        return
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--backend dask needs dask.distributed: pip install 'hmoe-stats[dask]'") from None
    local = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
    try:
        client = Client(scheduler) if scheduler else Client(**local)
    except (OSError, ValueError) as error:
        raise UserError(f"--scheduler {scheduler}: no dask scheduler answers there: {error}") from None
    with client, joblib.parallel_config("dask"):
        yield -1


@contextmanager
def _interrupts_held():
    """Hold Ctrl-C back while workers start: they inherit that, and so leave it to the parent from their first line."""
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # it unblocks the signal (before Python 3.12): better now than in between
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    else:
        yield


def _set_up_worker(parent):
    """Leave Ctrl-C to the parent (also if started later than the others), and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Bar:
    """A bar that counts cells; its time left weighs them by their cost, as the dearest come first."""

    def __init__(self, study, todo, progress):
        from tqdm import tqdm

        total = len(study.cells())
        self.costs = {cell.key: cell.cost for cell in todo}
        self.cost = self.left = sum(self.costs.values())
        self.begin = time.monotonic()
        self.bar = tqdm(
            total=total,
            initial=total - len(todo),
            desc=study.name,
            disable=not progress,
            mininterval=0.2 if sys.stderr.isatty() else 10,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} cells [{elapsed} gone{postfix}]",
        )

    def finished(self, row):
        self.left -= self.costs[row["gating"], row["k2"], row["n"], row["replicate"]]
        seconds = (time.monotonic() - self.begin) * self.left / (self.cost - self.left)
        self.bar.set_postfix_str(f"{self.bar.format_interval(seconds)} left", refresh=False)
        self.bar.update()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.bar.close()
