"""What an applied study comes to: mean scores, and paired differences between models, with intervals over splits.

Splits of one data set share rows, so that their scores are not independent: the variance of a mean over J splits is the
sample variance times 1/J + n_new/n_fitted (Nadeau and Bengio 2003), of a task whose splits are samples of their own
times 1/J; with t quantiles of J - 1 degrees. Task "all" is the mean over tasks, with t intervals over them: they say
how far other tasks like these may differ.
"""

import numpy as np
import pandas as pd

from ..study import text_of
from .models import SCORES, model_of
from .tasks import TASKS

LEVEL = 0.95
FEWEST = 3  # tasks of a mean over them
ALL = "all"
SCORE = ["task", "model", "k2", "score", "splits", "mean", "standard_error", "low", "high"]
DIFFERENCE = ["task", "model", "k2", "against", "score", "primary", "splits", "difference", "low", "high", "verdict"]


def scores_of(frame):
    """The tidy table of a store as splits by scores: indexed by (task, model, k2, replicate), a column a score."""
    found = frame[frame["kind"].astype(str) == "score"]
    names = found["gating"].astype(str).str.partition(": ")
    tidy = pd.DataFrame(
        {
            "task": names[0], "model": names[2], "k2": found["k2"].astype(str), "replicate": found["replicate"],
            "score": found["parameter"].astype(str), "value": found["error"],
        }
    )  # fmt: skip
    return tidy.pivot(index=["task", "model", "k2", "replicate"], columns="score", values="value")


def scores(study, frame):
    """Mean scores: a row per task, model, size and score, in the order of the study."""
    wide, rows = scores_of(frame), []
    for task, model, k2 in _models(study):
        if (task, model, k2) in wide.index:
            part = wide.loc[(task, model, k2)]
            for score in SCORES:
                values = part[score].dropna() if score in part else ()
                if len(values):
                    mean, error, half = _over_splits(values, task, LEVEL)
                    rows.append((task, model, k2, score, len(values), mean, error, mean - half, mean + half))
    return pd.DataFrame(rows, columns=SCORE)


def differences(study, frame):
    """Paired differences of every model from the reference, of the same size if that has one.

    Returns
    -------
    DataFrame
        Columns `DIFFERENCE`; differences are those of the model less the reference. Intervals of primary scores hold
        together in 95 % of studies (Bonferroni, tasks and means over tasks apart); others hold one by one. Verdict:
        "agrees" (within the margin), "differs", both, or "undecided"; empty for what is not primary.
    """
    wide, taken = scores_of(frame), []
    for task, model, k2 in _models(study):
        base = _base(study, k2)
        here, there = (task, model, k2), (task, study.reference, base)
        if model != study.reference and here in wide.index and there in wide.index:
            gaps = wide.loc[here] - wide.loc[there]
            for score in SCORES:
                values = gaps[score].dropna() if score in gaps else ()
                if len(values):
                    taken.append((task, model, k2, score, values))
    alone = sum(score in study.primary for *_, score, _ in taken)
    rows = []
    for task, model, k2, score, values in taken:
        level = 1.0 - (1.0 - LEVEL) / (alone if score in study.primary else 1)
        mean, _, half = _over_splits(values, task, level)
        rows.append(_difference(study, task, model, k2, score, len(values), mean, half))
    pooled = {}
    for _, model, k2, score, values in taken:
        pooled.setdefault((model, k2, score), []).append(values.mean())
    pooled = {key: np.array(means) for key, means in pooled.items() if len(means) >= FEWEST}
    together = sum(score in study.primary for *_, score in pooled)
    for (model, k2, score), means in pooled.items():
        level = 1.0 - (1.0 - LEVEL) / (together if score in study.primary else 1)
        half = _quantile(level, len(means)) * means.std(ddof=1) / np.sqrt(len(means))
        rows.append(_difference(study, ALL, model, k2, score, len(means), means.mean(), half))
    return pd.DataFrame(rows, columns=DIFFERENCE)


def _models(study):
    """(task, model, k2 as text) of each that the study has."""
    for cell in study.corners():
        task, _, model = cell.gating.partition(": ")
        yield task, model, text_of(cell.k2)


def _base(study, k2):
    """The size at which the reference is set against a model of the size k2."""
    if not model_of(study.reference).gating:
        return ""
    return k2 or text_of(study.k2[0])


def _over_splits(values, task, level):
    """(mean, its standard error, half of its interval)."""
    count = len(values)
    if count < 2:
        return float(np.mean(values)), np.nan, np.nan
    shared = 0.0 if TASKS[task].drawn else TASKS[task].new / TASKS[task].rows
    error = np.std(values, ddof=1) * np.sqrt(1.0 / count + shared)
    return float(np.mean(values)), error, _quantile(level, count) * error


def _quantile(level, count):
    from scipy.stats import t

    return t.ppf(0.5 + 0.5 * level, count - 1)


def _difference(study, task, model, k2, score, count, mean, half):
    low, high, primary = mean - half, mean + half, score in study.primary
    said = verdict(low, high, study.margin) if primary else ""
    return task, model, k2, study.reference, score, primary, count, mean, low, high, said


def verdict(low, high, margin):
    """What an interval of a difference says of it, in words."""
    if not low <= high:  # of one split
        return "undecided"
    said = ["differs"] if low > 0 or high < 0 else []
    said += ["agrees within the margin"] if -margin <= low and high <= margin else []
    return ", ".join(said) or "undecided"


def text(study, table):
    """The primary differences, as they are printed."""
    lines = [f"{study.title or study.name}: {', '.join(study.primary)} less that of {study.reference}, 95 % together"]
    shown = table[table["primary"]]
    for row in shown.itertuples():
        interval = f"{row.difference:8.3f} [{row.low:.3f}, {row.high:.3f}]"
        many = f" (mean of {row.splits} tasks)" if row.task == ALL else ""
        lines.append(f"{row.task:<26} {row.model:<16} {row.k2:<6} {row.score:<24} {interval:<30} {row.verdict}{many}")
    return "\n".join(lines)
