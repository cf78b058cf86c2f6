"""Whether a results file is whole: rows that can be read of a damaged one, and a log that belongs to another file.

SQLite finds pages that make no sense when it meets them, and it takes any log beside a file, ``<file>-wal``, for that
file's own. A backup that is put back beside the log of a killed run would be mixed with it without a word; epochs tell
(`simulations.ledger`).
"""

import json
import os
import sqlite3
from contextlib import closing, contextmanager
from typing import NamedTuple

from . import rows
from .rows import COLUMNS, KEY, MEASURE_COLUMNS

DAMAGE = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB
MOST_ROWS = 40  # on a page, at a hundred bytes a row, more than any has


def is_damage(error):
    """True if an `sqlite3.Error` is about what is in a file, not about getting at it."""
    code, said = getattr(error, "sqlite_errorcode", None), str(error)  # none: a text that is not UTF-8
    return said.startswith("no such ") or (code & 0xFF in DAMAGE if code else "decode" in said)


def said_of(error):
    """An `sqlite3.Error` in few words."""
    return "a text in it is not UTF-8" if "decode" in str(error) else str(error)


@contextmanager
def snapshot(db):
    """What is read within is of one moment, that of the outermost one."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")  # SQLite will not commit what it found damaged


class Found(NamedTuple):
    """What reading every cell of a file found; made by `examine`."""

    count: int  # of sound cells
    total: int  # of their checksums
    damaged: dict  # row number -> key, of all others that are known
    trouble: str  # what SQLite says of damaged pages; "" if nothing
    flaw: str | None  # how cells and ledger differ


def examine(db, study_hash, ledger, visit=None, trouble=()):
    """Read every cell, and call `visit` with row number, values and checksum of each that is sound.

    Parameters
    ----------
    db : sqlite3.Connection
    study_hash : str
    ledger : Ledger or None
        Brought up to date; not used if None.
    visit : callable, optional
    trouble : sequence of str
        What was found damaged before.

    Returns
    -------
    Found
    """
    damaged, sound, trouble, total, flaw = {}, set(), list(trouble), 0, None
    with snapshot(db):
        for number, values, stored in read_rows(db, trouble):
            if not rows.sound(values, stored, study_hash):
                damaged[number] = values[KEY]
                continue
            sound.add(number)
            mark = rows.checksum(values) if stored is None else stored
            total += mark
            if visit is not None:
                visit(number, values, mark)
        try:
            flaw = ledger.flaw(db) if ledger is not None and not trouble else None
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            trouble.append(said_of(error))
        if trouble:
            damaged |= {number: key for number, key in keys_of(db).items() if number not in sound}
    return Found(len(sound), total, damaged, *trouble[:1] or [""], flaw)


def examine_measures(db, visit=None):
    """Read every measure, and call `visit` with the values of each that is sound.

    Returns
    -------
    (list of int, str)
        Numbers of the rows that are not, and what SQLite says of damaged pages; "" if nothing.
    """
    damaged, trouble = [], []
    with snapshot(db):
        for number, values, stored in read_rows(db, trouble, "measures", MEASURE_COLUMNS) if has_measures(db) else ():
            if rows.checksum(values) != stored:
                damaged.append(number)
            elif visit is not None:
                visit(values)
    return damaged, "".join(trouble[:1])


def has_measures(db):
    """False for files from before measures had a table."""
    return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'measures'").fetchone())


def read_rows(db, trouble, table="cells", columns=COLUMNS):
    """Every row of a table that can be read; where pages are damaged, one by one.

    Parameters
    ----------
    db : sqlite3.Connection
    trouble : list
        What SQLite says of damaged pages is appended.
    table : str
    columns : sequence of str

    Yields
    ------
    (int, tuple, int or None)
        Row number, values of `columns`, checksum.
    """
    checksum = checksum_column(db) if table == "cells" else "checksum"
    query = f"SELECT rowid, {checksum}, {', '.join(columns)} FROM {table} NOT INDEXED"
    last = 0
    try:
        for last, stored, *values in db.execute(f"{query} ORDER BY rowid"):
            yield last, tuple(values), stored
        return
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        trouble.append(said_of(error))
        if str(error).startswith("no such "):
            return
    for number in range(last + 1, _last_row(db, table) + 1):
        try:
            found = db.execute(f"{query} WHERE rowid = ?", [number]).fetchall()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            continue
        for _, stored, *values in found:
            yield number, tuple(values), stored


def _last_row(db, table):
    try:
        return db.execute(f"SELECT MAX(rowid) FROM {table} NOT INDEXED").fetchone()[0] or 0
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return MOST_ROWS * db.execute("PRAGMA page_count").fetchone()[0]


def keys_of(db):
    """The keys that an index has: row number -> (gating, k2, n, replicate); what can be read of them."""
    out = {}
    for index in ("", "INDEXED BY sqlite_autoindex_cells_1"):
        try:
            for number, *key in db.execute(f"SELECT rowid, gating, k2, n, replicate FROM cells {index}"):
                out.setdefault(number, tuple(key))
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
    return out


def checksum_column(db):
    """What to select for the checksum: files from before there were any have no such column."""
    return "checksum" if any(row[1] == "checksum" for row in db.execute("PRAGMA table_info(cells)")) else "NULL"


def first_flaw(db):
    """What SQLite finds wrong with the pages of a file, in a few words; None if nothing."""
    try:
        (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        found = str(error)
    return None if found == "ok" else found.strip().splitlines()[-1]


# -- the log ----------------------------------------------------------------------------------------------------------
def log_of(path):
    """The log that SQLite would read with a file."""
    path = path.resolve()
    return path.with_name(path.name + "-wal")


def has_log(path):
    """True if there is something in the log beside a file."""
    try:
        return log_of(path).stat().st_size > 0
    except OSError:
        return False


def log_is_foreign(path):
    """True if the log beside a file is of another file, or of the file at another time."""
    try:
        alone, _ = _epoch(path, "immutable=1")  # without the log
    except sqlite3.Error:
        return False  # no file to judge by
    try:
        epoch, ledger = _epoch(path, "")
    except sqlite3.Error as error:
        return is_damage(error)
    return alone not in (epoch, *ledger.get("epochs", ()))


def _epoch(path, how):
    """(user_version, ledger) of a file; to look at it changes neither the file nor its log."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&{how}", uri=True)) as db:
        (epoch,) = db.execute("PRAGMA user_version").fetchone()
        db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        try:
            return epoch, json.loads(db.execute("SELECT value FROM meta WHERE key = 'ledger'").fetchone()[0])
        except (sqlite3.OperationalError, TypeError, ValueError):
            return epoch, {}  # a file from before there were ledgers


def put_aside(path, ending, copy=False):
    """Rename a file, out of the way of whoever would read it, or give it a second name; the new one."""
    for i in range(1, 1000):
        to = path.with_name(f"{path.name}{ending}{i if i > 1 else ''}")
        if not os.path.lexists(to):
            break
    try:
        if copy:
            os.link(path, to)
            return to
    except OSError:
        pass  # some disks have no links
    path.rename(to)
    return to
