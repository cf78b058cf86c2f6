"""What the driver costs a cell: `simulations.runner.run` on cells that are made, not fitted.

A row is as large as that of an over-specified fit. Each run is a process of its own: wall and CPU milliseconds a cell
(CPU of the parent, which hands out and writes; on a busy machine it is the number that can be compared), its memory
before the run and at its peak, and the seconds of `hmoe status`, a process from its start, while the file is open for
writing.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pandas as pd

from simulations import runner
from simulations.store import Store
from simulations.study import load_study

STUDY = """
name = "driver"
truth = "C2"
gatings = ["SS", "LL"]
k2 = [[2, 2], [3, 3]]
n = [1000, 2000]
replicates = {}
x = {{ law = "uniform", low = -3.0, high = 3.0 }}
seed = 1
"""


def made(found, study, cell):
    """A row without a fit."""
    return runner._row(cell, found, 1e-4)


def measure(cells, jobs):
    """One run, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "driver.toml"
        file.write_text(STUDY.format(cells // 8))
        study = load_study(file)
        found = {"status": "converged", "log_likelihood": -1 / 3, "score_norm": 1e-10, "n_iter": 5}
        found |= {"parameters": study.measure("SS").to_dict(), "certificate": {"n_agree": 3}}
        runner._compile(study, study.cells()[:1])
        runner._compile, runner.run_cell = lambda *_: None, partial(made, found)
        before, wall, cpu = peak(), time.perf_counter(), time.process_time()
        with Store(Path(folder) / "driver.sqlite", study, write=True) as store:
            runner.run(study, store, jobs, progress=False)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            row = {"cells": cells, "jobs": jobs, "ms a cell": wall / cells * 1e3, "CPU ms a cell": cpu / cells * 1e3}
            row |= {"MiB before": before, "MiB at peak": peak()}
            words = [sys.executable, "-m", "simulations", "status", file, "--results", store.path]
            wall, cpu = time.perf_counter(), children()
            subprocess.run(words, check=True, capture_output=True)
            return row | {"status s": time.perf_counter() - wall, "status CPU s": children() - cpu}


def children():
    """CPU seconds of the processes that this one waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak():
    """MiB of this process at its peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def bench_driver(sizes=(10_000, 100_000)):
    """1e4 and 1e5 cells, in one process and with two workers."""
    rows = []
    for cells in sizes:
        for jobs in (1, 2):
            words = [sys.executable, "-m", "benchmarks.driver", str(cells), str(jobs)]
            rows.append(json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout))
    return pd.DataFrame(rows)


if __name__ == "__main__":
    from benchmarks import driver  # what is sent to workers has to have a name there

    print(json.dumps(driver.measure(*map(int, sys.argv[1:]))))
