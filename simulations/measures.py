"""Measures of fits: errors, losses and distances as functions of (fit, truth, law of x), reckoned when a table is made.

A measure is one record of `MEASURES`. The store keeps what was reckoned, keyed by cell, name and version, so that a new
measure, or a new version of one, needs no run: whoever makes a table next has it reckoned for every cell that is there.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import NamedTuple

COLUMNS = ["level", "cell", "size", "parameter", "kind", "error"]
FAILURES = (ArithmeticError, ValueError)  # with LinAlgError, a ValueError: what numbers can do to a measure
ALONE = 2.0  # seconds before workers are called, which take about as long to start
DIED = "its worker process died whenever it ran, the last time alone (is the memory too small?)"


class Measure(NamedTuple):
    """A measure: its name, its version (to be raised when its numbers change), and the function.

    The function takes the fitted measure G, the truth G0 and the law of x, and gives rows of `COLUMNS`. A study asks
    for it, unless a key of the same name in its table ``[measures]`` says no.
    """

    name: str
    version: int
    rows: Callable


class Task(NamedTuple):
    """What is to be reckoned of one fit."""

    key: tuple  # gating, k2 as text, n, replicate
    fit: int  # checksum of its row
    parameters: str  # JSON
    names: tuple  # of measures


# -- the measures -----------------------------------------------------------------------------------------------------
# Parameters of another gating than the truth's have no errors, and no losses.
def _parameters(G, G0, law):
    import hmoe_stats as hs

    if G.gating != G0.gating:
        return []
    return hs.parameter_errors(G, G0, law)[COLUMNS].values.tolist()


def _loss_sharp(G, G0, law):
    import hmoe_stats as hs

    if G.gating != G0.gating:
        return []
    return [[0, "", 0, "loss_sharp", "loss", hs.voronoi_loss(G, G0, "sharp", law)]]


def _loss_published(G, G0, law):
    import hmoe_stats as hs

    if G.gating != G0.gating:
        return []
    return [[0, "", 0, "loss_published", "loss", hs.voronoi_loss(G, G0, "published", law)]]


def _hellinger(G, G0, law):
    import hmoe_stats as hs

    return [[0, "", 0, "hellinger", "divergence", hs.hellinger(G, G0, law)]]


def _functional(G, G0, law):
    import hmoe_stats as hs

    return hs.functional_errors(G, G0, law).assign(kind="function")[COLUMNS].values.tolist()


MEASURES = (  # in the order of a table's rows
    Measure("parameters", 1, _parameters),
    Measure("loss_sharp", 2, _loss_sharp),  # since 2, gates that are not identified count as functions
    Measure("loss_published", 1, _loss_published),
    Measure("hellinger", 1, _hellinger),
    Measure("functional", 1, _functional),
)


OF_CLASSES = ("parameters", "functional")  # those that are measured of categorical experts, too
SCORES = Measure("scores", 1, None)  # of applied studies: taken with the fit, on rows that no file keeps


def asked_by(study):
    """The measures that a study asks for, a tuple."""
    if study.kind == "applied":
        return (SCORES,)
    known = [measure for measure in MEASURES if study.experts == "Gaussian" or measure.name in OF_CLASSES]
    return tuple(measure for measure in known if getattr(study.measures, measure.name, True))


def of_errors(errors):
    """(name, version) -> rows, of what was measured with the fit: scores, and what older files have."""
    out = {}
    for row in errors:
        name = row[3] if row[3] in ("loss_sharp", "loss_published", "hellinger") else "parameters"
        name = SCORES.name if row[4] == "score" else name
        out.setdefault((name, 1), []).append(row)
    return out


# -- reckoning --------------------------------------------------------------------------------------------------------
def reckon(study, tasks, jobs=None, progress=True):
    """Reckon what is missing, at first in this process, then in workers; if it takes long, standard error has a bar.

    Parameters
    ----------
    study : Study
    tasks : list of Task
    jobs : int, optional
        Worker processes; 1 does all in this process. One for each core, if left out. Numbers do not depend on it.
    progress : bool
        Draw the bar.

    Yields
    ------
    (Task, dict)
        As they are ready; the dict is name -> (rows of `COLUMNS`, "") or (None, message), where numbers failed.
        It is None if the worker process died whenever it was at this task.

    Raises
    ------
    PoolError
        If workers cannot be had or kept.
    """
    if not tasks:
        return
    from tqdm import tqdm

    from . import pool

    truths = {gating: [study.source(gating, replicate) for replicate in study.truths] for gating in study.gatings}
    call = partial(_of_fit, {measure.name: measure for measure in asked_by(study)}, truths, study.law)
    begin, done, often = math.inf, 0, 0.2 if sys.stderr.isatty() else 10
    look = {"desc": f"{study.name}, measures", "unit": "cell", "delay": ALONE, "mininterval": often}
    with tqdm(total=len(tasks), disable=not progress, **look) as bar:
        for task in tasks:
            if jobs != 1 and time.perf_counter() - begin > ALONE:
                break
            yield task, call(task)
            begin = min(begin, time.perf_counter())  # the first loads libraries
            done += 1
            bar.update()
        if rest := tasks[done:]:
            jobs = min(jobs or pool.joblib.cpu_count(), len(rest))
            with pool.workers(jobs) as workers, closing(workers.answers(call, rest)) as answers:
                for task, found in answers:
                    yield task, found
                    bar.update()


def _of_fit(kinds, truths, law, task):
    """The answer to a task, in any process."""
    from hmoe_stats.fitting.problem import one_thread

    gating, _, _, replicate = task.key
    truth = truths[gating][replicate % len(truths[gating])]
    return one_thread(_each)(kinds, truth, law, task)  # sums split over threads round differently


def _each(kinds, truth, law, task):
    return {name: _tried(kinds[name].rows, task.parameters, truth, law) for name in task.names}


def _tried(rows, parameters, truth, law):
    try:
        found = rows(type(truth).from_dict(json.loads(parameters)), truth, law)
        return [_checked(*row) for row in found], ""
    except FAILURES as error:
        return None, f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def _checked(level, cell, size, parameter, kind, error):
    if not (math.isfinite(error) and error >= 0):
        raise ArithmeticError(f"the error of {parameter} ({kind}) is {error}")
    return [int(level), str(cell), int(size), str(parameter), str(kind), float(error)]
