"""What 1e5 stored cells cost: `hmoe status`, `rates` and `table` on results that are made, not fitted.

The study has four gatings, an exact and an over-specified model, 25 sample sizes and 500 replicates. A row has the
parameters of a fit near the truth, and what is measured of it is there, with noise that falls with n. Each command is a
process of its own: wall and CPU seconds from its start to its end, and its memory at the peak.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import hmoe_stats as hs
from simulations import measures
from simulations.store import Store
from simulations.study import load_study, sizes_of

STUDY = """
name = "stored"
truth = "C2"
gatings = ["SS", "SL", "LS", "LL"]
k2 = [[2, 2], [3, 3]]
n = {{ low = 1000, high = 1000000, count = {} }}
replicates = {}
x = {{ law = "uniform", low = -3.0, high = 3.0 }}
seed = 1
"""
FITS = 40  # near the truth, of each model
COMMANDS = {"status": [], "table": ["--out", "table.csv"], "rates": []}


def near(study, gating, k2, rng):
    """(parameters, what is measured) of a fit near the truth, experts of each group twice where more are fitted."""
    G0 = study.measure(gating)
    experts = []
    for i, m in enumerate(k2):
        its = np.flatnonzero(G0.group == i)
        experts += [*its, *rng.choice(its, m - len(its))]
    moved = {name: value + 0.05 * rng.standard_normal(value.shape) for name, value in (("a", G0.a), ("b", G0.b))}
    for name in ("omega", "beta", "eta", "tau"):
        value = getattr(G0, name)[experts]
        moved[name] = value + 0.05 * rng.standard_normal(value.shape)
    G = hs.MixingMeasure(gating=gating, k2=k2, nu=G0.nu[experts] * rng.lognormal(0, 0.05, len(experts)), **moved)
    return G.to_dict(), {measure.name: measure.rows(G, G0, study.law) for measure in measures.asked_by(study)}


def fill(path, study):
    """Write a row for each cell of the study, one in a thousand of them failed."""
    rng = np.random.default_rng(1)
    models = [(gating, tuple(k2)) for gating in study.gatings for k2 in study.k2]
    fits = {model: [near(study, *model, rng) for _ in range(FITS)] for model in models}
    certificate = {"converged": True, "message": "first-order conditions hold on the box", "n_starts": 48}
    rows = []
    with Store(path, study, write=True) as store:
        for cell in study.cells():
            parameters, _ = fits[cell.gating, cell.k2][rng.integers(FITS)]
            row = dict(zip(("gating", "k2", "n", "replicate"), cell.key, strict=True))
            row |= {"status": "converged", "message": "", "log_likelihood": -cell.n * (2 + rng.random()), "n_iter": 12}
            row |= {"parameters": parameters, "certificate": certificate | {"gap": rng.random()}, "score_norm": 1e-10}
            if rng.random() < 1e-3:
                gone = dict.fromkeys(("log_likelihood", "score_norm", "n_iter", "parameters", "certificate"))
                row |= gone | {"status": "failed", "message": "ValueError: no"}
            rows.append(row | {"seconds": 0.2, "version": hs.__version__, "source": "0123456789abcdef"})
            if len(rows) == 250:
                store.write(rows)
                rows = []
        store.write(rows)
        for task in store.missing():
            gating, k2, n, _ = task.key
            _, found = fits[gating, sizes_of(k2)][rng.integers(FITS)]
            noise = iter((n / 1000) ** -0.4 * rng.lognormal(0, 0.7, 100))
            noisy = {name: [[*r[:5], float(r[5] * next(noise))] for r in its] for name, its in found.items()}
            store.keep(task, {name: (its, "") for name, its in noisy.items()})


# a small process starts the command: memory at the peak is that of the command or of who starts it
TIMED = """
import json, resource, subprocess, sys, time
begin = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**10]))
"""


def bench_stored(sizes=25, replicates=500):
    """The commands on a file of 8 x sizes x replicates cells, written by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "benchmarks.stored", folder, str(sizes), str(replicates)]
        subprocess.run(words, check=True)
        rows = []
        for command, more in COMMANDS.items():
            words = [sys.executable, "-m", "simulations", command, "stored.toml", "--results", "stored.sqlite", *more]
            words = [sys.executable, "-c", TIMED, *words]
            timed = subprocess.run(words, cwd=folder, check=True, stdout=subprocess.PIPE)
            measured = dict(zip(("s", "CPU s", "MiB at peak"), json.loads(timed.stdout), strict=True))
            rows.append({"cells": 8 * sizes * replicates, "command": command} | measured)
        return pd.DataFrame(rows)


if __name__ == "__main__":
    folder, *numbers = sys.argv[1:]
    file = Path(folder) / "stored.toml"
    file.write_text(STUDY.format(*numbers))
    fill(file.with_suffix(".sqlite"), load_study(file))
