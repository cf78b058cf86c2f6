"""Worker processes: calls go out through joblib, answers come back as they are ready, and a dead worker is replaced.

loky, the processes of this machine, gives up all that is in flight when one of them dies, and does not say which call
killed it: `Pool.answers` starts the pool again for what is left. dask replaces its workers itself, and gives up what a
few of them held when they died (its setting ``distributed.scheduler.allowed-failures``). A call that was in flight at
two deaths, or given up by dask, is set aside and made alone at last, so that none is given up for another's deaths.
"""

import logging
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import closing, contextmanager

from . import UserError

with warnings.catch_warnings():  # that there can be no processes, which `workers` says where it matters
    warnings.filterwarnings("ignore", ".*joblib will operate in serial mode", UserWarning)
    import joblib

TOGETHER = 2  # deaths at which a call may be in flight with others; at the next it is alone, and the last
FRUITLESS = 10  # deaths with no answer between them, at which it is the machine
AHEAD = 1000  # calls handed to dask at once: its workers may be many, and more may join later

ALONE = "no worker processes here (JOBLIB_MULTIPROCESSING=0, or no semaphores): cells are run one by one, in this one"
GONE = "the dask scheduler is gone, or has dropped the work"


class PoolError(UserError):
    """Workers that cannot be kept; what they answered before stands."""


class Pool:
    """Workers: `jobs` of them on this machine, this process alone, or those of a dask scheduler; see `workers`."""

    def __init__(self, jobs, client=None):
        self._jobs, self._client = jobs, client
        self.elsewhere = jobs > 1 or client is not None
        self._counted = -math.inf  # when dask was asked last

    @property
    def jobs(self):
        """How many calls can run at once, now."""
        if self._client is not None and time.monotonic() > self._counted + 5:
            try:
                self._jobs, self._counted = max(1, sum(self._client.ncores().values())), time.monotonic()
            except OSError:
                raise PoolError(GONE) from None
        return self._jobs

    def answers(self, call, cells, died=lambda: None):
        """Call workers with each cell.

        Parameters
        ----------
        call : callable
            Of one cell, with an answer that is not None; it goes to the workers, pickled.
        cells : list
            Hashable, each there once; they are handed out in this order.
        died : callable
            Called after each death of a worker that was noticed.

        Yields
        ------
        (cell, answer)
            As they are ready; the answer is None if the worker died whenever it was at this cell.

        Raises
        ------
        PoolError
            If workers die again and again without an answer, or the dask scheduler is gone.
        """
        if not self.elsewhere:
            yield from ((cell, call(cell)) for cell in cells)
            return
        deaths, fruitless = dict.fromkeys(cells, 0), 0  # of workers, while a cell was in flight
        while deaths:
            # alone means a list of one: of a longer list, a second is in flight before the first answer is read
            some = [cell for cell, count in deaths.items() if count < TOGETHER] or [next(iter(deaths))]
            in_flight = set()
            try:
                with closing(self._parallel(_noted(call, some, in_flight))) as found:
                    for cell, answer in found:
                        in_flight.discard(cell)
                        if answer is None and deaths[cell] < TOGETHER:  # dask gave it up, maybe for another's deaths
                            deaths[cell] = TOGETHER
                            continue
                        del deaths[cell]
                        fruitless = 0
                        yield cell, answer
            except CancelledError:
                raise PoolError(GONE) from None
            except BrokenExecutor:
                fruitless += 1
                if fruitless == FRUITLESS:
                    raise PoolError(f"{FRUITLESS} workers died in a row (is the memory too small?)") from None
                died()
                for cell in in_flight:
                    deaths[cell] += 1
                    if deaths[cell] > TOGETHER:
                        del deaths[cell]
                        yield cell, None

    def _parallel(self, calls):
        ahead = "2 * n_jobs" if self._client is None else AHEAD
        options = {"return_as": "generator_unordered", "batch_size": 1, "pre_dispatch": ahead}
        with warnings.catch_warnings():  # joblib's, of tasks cancelled and workers dead
            warnings.filterwarnings("ignore", "[0-9]+ tasks|A worker stopped", UserWarning)
            with _starting(), _interrupts_held():
                found = joblib.Parallel(n_jobs=self._jobs, **options)(calls)
            yield from found


@contextmanager
def _starting():
    """What the machine refuses to new processes (memory, semaphores, descriptors, a place for files) is said."""
    before = set(multiprocessing.active_children())
    try:
        yield
    except BrokenExecutor:  # they started, and died
        raise
    except (OSError, ImportError, RuntimeError, ValueError, MemoryError) as error:
        for half_started in set(multiprocessing.active_children()) - before:
            half_started.terminate()  # it would tell of its end in a traceback
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PoolError(f"worker processes cannot be started ({why}); --jobs 1 needs none") from None


def _noted(call, cells, in_flight):
    for cell in cells:
        in_flight.add(cell)
        yield joblib.delayed(_answer)(call, cell)


def _answer(call, cell):
    return cell, call(cell)


@contextmanager
def workers(jobs, backend="loky", scheduler=None):
    """A `Pool`, and joblib set to its backend.

    Parameters
    ----------
    jobs : int
        With loky, 1 is this process.
    backend : {"loky", "dask"}
    scheduler : str, optional
        Address of a dask scheduler; without one, dask gets a cluster of `jobs` processes on this machine.

    Raises
    ------
    UserError
        If dask is not installed, or no scheduler answers.
    """
    if backend == "loky":
        if jobs > 1 and "loky" not in joblib.parallel.BACKENDS:
            print(f"hmoe: {ALONE}", file=sys.stderr)
            jobs = 1
        if jobs == 1:
            yield Pool(1)
            return
        setup = {"initializer": _set_up_worker, "initargs": (os.getpid(),), "inner_max_num_threads": 1}
        with joblib.parallel_config("loky", **setup):
            yield Pool(jobs)
        return
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--backend dask needs dask.distributed: pip install 'hmoe-stats[dask]'") from None
    logging.getLogger("distributed.utils").setLevel(logging.CRITICAL)  # a lost connection: an exception tells of it
    local = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
    try:
        client = Client(scheduler) if scheduler else Client(**local)
    except (OSError, ValueError) as error:
        raise UserError(f"--scheduler {scheduler}: no dask scheduler answers there: {error}") from None
    with client:
        if not client.ncores():  # a probe, as an adaptive cluster has no worker before there is work
            client.submit(os.getpid, pure=False).result()
        with joblib.parallel_config(_dask_backend(client)):
            yield Pool(jobs, client)


def _dask_backend(client):
    from distributed.scheduler import KilledWorker
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        """joblib's waits for ever for a call that dask gave up; here such a call has an answer, None."""

        def effective_n_jobs(self, n_jobs):
            return max(2, super().effective_n_jobs(n_jobs))  # for one, joblib would make the calls in this process

        def submit(self, func, callback=None):
            ((_, (_, cell), _),) = func.items
            future = super().submit(func, callback)
            future.add_done_callback(lambda f: f.exception() and callback((cell, f.exception())))
            return future

        def retrieve_result_callback(self, out):
            if not isinstance(out, tuple):
                return super().retrieve_result_callback(out)
            cell, error = out
            if isinstance(error, KilledWorker):
                return [(cell, None)]
            why = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            raise PoolError(f"dask cannot make the call (is the same package on scheduler and workers?): {why}")

    return Backend(client=client)


@contextmanager
def _interrupts_held():
    """Hold Ctrl-C back while workers start: they inherit that, and so leave it to the parent from their first line."""
    if hasattr(signal, "pthread_sigmask"):
        from multiprocessing import resource_tracker  # not everywhere, and of use to a pool only

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
