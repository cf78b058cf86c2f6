"""The table of certificates: exponents of the studies' truths by optimisation and quadrature, computed once and kept.

A certificate (`hmoe_stats.theory.modulus`) takes seconds to minutes and no data. For each truth, gating and fitted size
of a study one shape is certified, that of one split group: its cells are those of the study, with fewer parameters. The
table has one row a certificate, and grows: what it has is not computed again.
"""

import json

import pandas as pd

from hmoe_stats import theory

from . import UserError
from .files import make_folder, read_csv, write_table
from .study import text_of

SHAPE = ["truth", "gating", "k2", "x"]
COLUMNS = [*SHAPE, "discrepancy", "level", "m", "regime", "parameter", "kind", "exponent", "exponent_error", "derived"]
COLUMNS += ["t_low", "t_high", "status", "message", "seed"]


def certified_size(true, fitted):
    """The fitted size to certify for a study's: one split group, (3, 3) on (2, 2) as (3, 2); further groups stay."""
    return tuple(fitted) if len(fitted) != len(true) else (fitted[0], *true[1:])


def shape(study, gating, k2):
    """The first columns of a row: truth, gating, k2 and x as text."""
    truth = study.truth if isinstance(study.truth, str) else json.dumps(study.truth, sort_keys=True)
    return [truth, gating, text_of(k2), repr(study.law)]


def read(file):
    """The table in `file`, without rows if there is none."""
    return read_csv(file) if file.exists() else pd.DataFrame(columns=COLUMNS)


def certify(studies, file, log=print):
    """Compute the certificates of `studies` that `file` lacks, and write it anew after every shape.

    Parameters
    ----------
    studies : iterable of Study
        Those over several covariates are left out: certificates are for one.
    file : Path
    log : callable
        Takes a line on each certificate.

    Returns
    -------
    DataFrame
        The table: truth, gating, k2 (``"3,2"``) and x, the shape; discrepancy, as in `modulus`; level, m, regime,
        parameter and kind of its row in `rates`, kind being ``"spread"`` or ``"barycentre"`` in split cells, which both
        bound the error of kind weighted; exponent, exponent_error, derived (kappa), t_low, t_high (the clean range),
        status and message, as in `Modulus`; seed: of its starts, 0, or 1 where those of 0 did not settle.
    """
    table = read(file)
    for study in studies:
        for gating in study.gatings:
            G0 = study.measure(gating)
            for k2 in dict.fromkeys(certified_size(G0.k2, fitted) for fitted in study.k2) if G0.d == 1 else ():
                key = shape(study, gating, k2)
                if (table[SHAPE] == key).all(axis=1).any():
                    continue
                try:
                    wanted = theory.certificates(G0, k2, study.law)
                except ValueError as error:  # a fitted size that does not cover the truth
                    raise UserError(f"{study.name}: {error}") from None
                rows = []
                for found in wanted:
                    found, seed = _settled(G0, found, study.law)
                    rows.append([*key, *_row(G0, found, study.law), seed])
                    log(f"{' '.join(key[:3])}, {found.discrepancy}, m = {found.m}: {found.status}, {found.exponent:.3f}"
                        f" (derived {found.derived:.3f}), {found.seconds:.0f} s")  # fmt: skip
                new = pd.DataFrame(rows, columns=COLUMNS)
                table = new if table.empty else pd.concat([table, new], ignore_index=True)
                make_folder(file.parent)
                write_table(file, table, digits=6)
    return read(file)


def _settled(G0, found, law):
    """(a certificate, its seed): a second try with other starts where minima were missed."""
    if found.status in ("kinked", "disagreement"):
        again = theory.modulus(G0, found.k2, found.discrepancy, found.cell, law, found.m, seed=1)
        if again.status == "clean":
            return again, 1
    return found, 0


def _row(G0, found, law):
    """One row of the table, from discrepancy to message."""
    parameter, level = found.discrepancy.removeprefix("bary_"), 1 if found.discrepancy == "a" else 2
    m = found.m if level == 2 else 1 + len(found.k2) - G0.k1  # further groups double that of the cell
    shift = found.discrepancy.startswith("bary_")
    kind = "weighted" if m == 1 else "barycentre" if shift else "spread"
    known = theory.rates(G0, found.k2, x=law)
    same = (known["level"] == level) & (known["m"] == m) & (known["parameter"] == parameter)
    regime = "/".join(sorted(set(known.loc[same, "regime"])))
    numbers = (found.exponent, found.exponent_error, found.derived, *found.clean)
    return [found.discrepancy, level, m, regime, parameter, kind, *numbers, found.status, found.message]
