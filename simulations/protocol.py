"""The protocol of a study: what was declared when, and when its results were looked at; kept in its results file.

A declaration is what a study says beyond its fits: which cells there are, the statistics, the primary quantities. It is
written down by the run that first sees it, before that run fits anything. A look is a command that shows results.
Entries are only ever added, each with a checksum over itself and the one before it, so that one that was changed or
taken out is noticed. That guards against accidents and second thoughts, not against forgery: who removes the file
removes its protocol, and what reads a file that cannot be written, or that a run is writing, leaves no look.
"""

import json
import sqlite3
import time
from typing import NamedTuple

from . import integrity, rows, words

TABLE = """
CREATE TABLE protocol (
    number INTEGER PRIMARY KEY,      -- in order
    time REAL NOT NULL,              -- Unix time
    what TEXT NOT NULL,              -- "declaration", or the command that looked
    version TEXT NOT NULL,           -- of the package
    cells INTEGER NOT NULL,          -- that were there
    declared TEXT,                   -- JSON, as `declaration` gives it
    checksum INTEGER NOT NULL        -- CRC-32 of the above, but the number, and of the checksum before
);
"""
COLUMNS = "time what version cells declared".split()
DECLARATION = "declaration"


class Entry(NamedTuple):
    """An entry of the protocol, in order."""

    time: float
    what: str  # "declaration", or the command that looked
    version: str
    cells: int  # that were there
    declared: str | None  # JSON


# -- the table --------------------------------------------------------------------------------------------------------
def has_table(db):
    """False for files from before there were protocols."""
    return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'protocol'").fetchone())


def read(db):
    """(entries, True if they are as they were written)."""
    entries, before = [], 0
    try:
        found = (
            db.execute(f"SELECT {', '.join(COLUMNS)}, checksum FROM protocol ORDER BY number") if has_table(db) else ()
        )
        for *values, checksum in found:
            if checksum != rows.checksum((*values, before)):
                return entries, False
            entries.append(Entry(*values))
            before = checksum
    except sqlite3.Error as error:
        if not integrity.is_damage(error):
            raise
        return entries, False
    return entries, True


def add(db, what, declared=None):
    """Write an entry, within a transaction."""
    from hmoe_stats import __version__

    (cells,) = db.execute("SELECT COUNT(*) FROM cells").fetchone()
    before = db.execute("SELECT checksum FROM protocol ORDER BY number DESC LIMIT 1").fetchone()
    values = (time.time(), what, __version__, cells, declared)
    checksum = rows.checksum((*values, before[0] if before else 0))
    marks = ", ".join("?" * (len(COLUMNS) + 1))
    db.execute(f"INSERT INTO protocol ({', '.join(COLUMNS)}, checksum) VALUES ({marks})", (*values, checksum))


def copy(db, fresh):
    """Take the entries over into another file, as they are, within a transaction of its own."""
    for values in db.execute(f"SELECT {', '.join(COLUMNS)}, checksum FROM protocol ORDER BY number").fetchall():
        marks = ", ".join("?" * len(values))
        fresh.execute(f"INSERT INTO protocol ({', '.join(COLUMNS)}, checksum) VALUES ({marks})", values)


# -- what it says -----------------------------------------------------------------------------------------------------
def declaration(study):
    """What a study declares, as JSON."""
    return json.dumps(study.declared() | {"fits": study.hash[:12]}, sort_keys=True)


class Protocol:
    """What the protocol of a results file says of a study as it is now.

    Parameters
    ----------
    study : Study
    entries : list of Entry
    sound : bool
        False if entries after these were changed or taken out.

    Attributes
    ----------
    line : str
        When the study was declared, and what was changed after which look; in words.
    replicates : int
        Those that were declared before the first look, and so by who had seen none of them; all, if that is not known.
    study : Study
        The study with these replicates only.
    """

    def __init__(self, study, entries, sound=True):
        self.replicates = (
            min(study.replicates, _before_any_look(entries) or study.replicates) if sound else study.replicates
        )
        self.study = study.model_copy(update={"replicates": self.replicates})
        self.line = self._said(study, entries) if sound else words.PROTOCOL_DAMAGED
        if self.replicates < study.replicates:
            self.line += f"; {words.apart(self.replicates)}"

    @staticmethod
    def _said(study, entries):
        declared, looks, cells, parts = None, 0, 0, []
        for entry in entries:
            if entry.what != DECLARATION:
                looks, cells = looks + 1, entry.cells
                continue
            there = json.loads(entry.declared)
            if declared is None:
                parts.append(words.declared(entry.time, entry.cells))
            else:
                parts.append(words.changed(_changes(declared, there), looks, cells))
            declared = there
        if declared is None:
            return words.NOT_DECLARED
        now = json.loads(declaration(study))
        if now != declared:
            parts.append(words.undeclared(_changes(declared, now)))
        return "; ".join([*parts, *([words.UNCHANGED] if len(parts) == 1 else [])])


def _before_any_look(entries):
    """The replicates that were declared last before somebody looked; None where nobody did, or nothing was declared."""
    declared = None
    for entry in entries:
        if entry.what != DECLARATION:
            return declared
        declared = json.loads(entry.declared)["replicates"]
    return None


def _changes(old, new):
    """How two declarations differ: ``"replicates 20 -> 40"``."""
    keys = [key for key in (*new, *(key for key in old if key not in new)) if old.get(key) != new.get(key)]
    return ", ".join(f"{key} {_value(key, old.get(key))} -> {_value(key, new.get(key))}" for key in keys)


def _value(key, value):
    if not isinstance(value, list):
        return "none" if value is None else str(value)
    return (
        f"{words.sizes(value[0], value[-1])} ({len(value)})" if key == "n" else " and ".join(map(str, value)) or "none"
    )
