"""The figures of studies from the tables beside them: without results and without a fit.

`hmoe plot` writes tables, and draws what they say once written; who has the tables alone draws the same figures.
"""

from typing import NamedTuple

import pandas as pd

from . import words
from .files import read_csv, read_text
from .study import load_study, shipped_studies

NEEDED = {"simulation": ("slopes", "curves"), "applied": ("scores", "differences")}
ALSO = ("ends", "local")  # of some studies
DECLARED = "declared.txt"


class Tables(NamedTuple):
    """What a page shows of a study: the tables of a `Summary`."""

    study: object
    slopes: pd.DataFrame
    curves: pd.DataFrame


def drawn(folder):
    """The shipped studies that have tables in `folder`."""
    return [name for name in shipped_studies() if all(file.exists() for file in _files(load_study(name), folder))]


def _files(study, folder):
    return [folder / study.name / f"{name}.csv" for name in NEEDED[study.kind]]


def read(study, folder):
    """(the tables of a study in `folder` that its figures show, by name; when it was declared).

    Raises
    ------
    UserError
        If one that they need cannot be read.
    """
    tables = {file.stem: read_csv(file) for file in _files(study, folder)}
    also = (folder / study.name / f"{name}.csv" for name in ALSO)
    tables |= {file.stem: read_csv(file) for file in also if file.exists()}
    declared = folder / study.name / DECLARED
    return tables, read_text(declared).strip() if declared.exists() else words.NOT_DECLARED


def figures(study, tables, declared=words.NOT_DECLARED, every=False):
    """The figures of a study.

    Parameters
    ----------
    study : Study or Applied
    tables : dict
        Name -> DataFrame, as `read` gives them: slopes, curves, and where there are such ends and local; of an applied
        study scores and differences.
    declared : str
        When it was declared, as `protocol.Protocol` says it.
    every : bool
        Draw those of all quantities, too.

    Returns
    -------
    dict
        Name -> matplotlib Figure: the page of the study, ``"local"`` where there are local rates, and with `every`
        these two once more, with all their panels, as names that end with ``"-all"``.
    """
    from . import local_rates, page
    from .applied import pictures

    if study.kind == "applied":
        return {study.name: pictures.figure(study, tables["scores"], tables["differences"])}
    found, out = Tables(study, tables["slopes"], tables["curves"]), {}
    for end, whole in {"": False, **({"-all": True} if every else {})}.items():
        out[study.name + end] = page.figure(found, declared=declared, ends=tables.get("ends"), every=whole)
        local = local_rates.figure(study, tables["local"], whole) if "local" in tables else None
        out |= {"local" + end: local} if local else {}
    return out


def overviews(folder, joined=None):
    """The figures of many studies, from the tables in `folder`.

    Parameters
    ----------
    folder : Path
    joined : DataFrame, optional
        As `evidence.table` gives it; by default that in evidence.csv, if there is one.

    Returns
    -------
    dict
        Name -> matplotlib Figure: ``"evidence"`` and, of more than one page, ``"evidence-2"`` and so on; the applied
        studies as ``"gates-at-work"``, where all have tables.
    """
    from . import evidence_figure
    from .applied import overview

    file = folder / "evidence.csv"
    joined = read_csv(file) if joined is None and file.exists() else joined
    pages = [] if joined is None else evidence_figure.figures(joined)
    out = {"evidence" + (f"-{i}" if i > 1 else ""): page for i, page in enumerate(pages, start=1)}
    gates = overview.figure(folder)
    return out | ({"gates-at-work": gates} if gates else {})
