"""The tables of a results file: cells, measures, the protocol; how they are made and written to.

Every function takes an open connection; what it writes belongs to a transaction of the caller's.
"""

import json

from . import integrity, protocol, rows
from .rows import COLUMNS, MEASURE_COLUMNS

APPLICATION_ID = 0x686D6F65  # "hmoe" in the SQLite header: tells our files from others
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE cells (
    study_hash TEXT NOT NULL,
    gating TEXT NOT NULL,
    k2 TEXT NOT NULL,                -- "3,3"
    n INTEGER NOT NULL,
    replicate INTEGER NOT NULL,
    status TEXT NOT NULL,            -- of the fit, or "failed"
    message TEXT NOT NULL,           -- what failed
    log_likelihood REAL,
    score_norm REAL,
    n_iter INTEGER,
    seconds REAL NOT NULL,
    parameters TEXT,                 -- JSON, MixingMeasure.to_dict()
    errors TEXT,                     -- JSON, as rows below, of cells from before there was a table of measures
    certificate TEXT,                -- JSON, what the fit says of itself
    version TEXT NOT NULL,           -- of the package that computed the row
    source TEXT NOT NULL,            -- hash of its source
    finished REAL NOT NULL,          -- Unix time
    checksum INTEGER,                -- CRC-32 of the above
    PRIMARY KEY (study_hash, gating, k2, n, replicate)
);
"""
MEASURES = """
CREATE TABLE measures (
    gating TEXT NOT NULL,
    k2 TEXT NOT NULL,
    n INTEGER NOT NULL,
    replicate INTEGER NOT NULL,
    measure TEXT NOT NULL,
    version INTEGER NOT NULL,        -- of the measure
    fit INTEGER NOT NULL,            -- checksum of the cell it was reckoned from
    rows TEXT,                       -- JSON, rows of [level, cell, size, parameter, kind, error]
    message TEXT NOT NULL,           -- why there are none
    checksum INTEGER NOT NULL,       -- CRC-32 of the above
    PRIMARY KEY (gating, k2, n, replicate, measure, version)
);
CREATE INDEX unmeasured ON measures (measure, version) WHERE message != '';
"""
# what counting needs, apart from the long texts: counting 1e5 cells reads 10 MB instead of 500
INDEX = "CREATE INDEX tally ON cells (gating, k2, n, replicate, status, seconds, finished, version, source, checksum)"


def create(db):
    """Make the tables of a new file."""
    for statement in (SCHEMA + MEASURES + protocol.TABLE).split(";\n")[:-1]:
        db.execute(statement)
    db.execute(INDEX)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def bring_up_to_date(db, damaged):
    """Give an older file the columns, tables and indices that it lacks; rows numbered in `damaged` get no checksum."""
    if integrity.checksum_column(db) == "NULL":
        db.execute("ALTER TABLE cells ADD COLUMN checksum INTEGER")
    if not integrity.has_measures(db):
        for statement in MEASURES.split(";\n")[:-1]:
            db.execute(statement)
    if not protocol.has_table(db):
        db.execute(protocol.TABLE)
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'tally'").fetchone():
        db.execute("DROP INDEX IF EXISTS progress")
        db.execute(INDEX)
    for (number,) in db.execute("SELECT rowid FROM cells WHERE checksum IS NULL").fetchall():
        if number not in damaged:
            row = db.execute(f"SELECT {', '.join(COLUMNS)} FROM cells WHERE rowid = ?", [number])
            mark = rows.checksum(row.fetchone())
            db.execute("UPDATE cells SET checksum = ? WHERE rowid = ?", [mark, number])


def put(db, key, value):
    """Write an entry of the table ``meta``."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])


def describe(db, study_hash, identity, name):
    """Write which study the file holds."""
    put(db, "study_hash", study_hash)
    put(db, "identity", json.dumps(identity))
    put(db, "name", name)


def insert_cell(db, ledger, values):
    """Write a cell, values of `rows.COLUMNS`, in place of one of the same key, and tell the ledger."""
    key = "study_hash = ? AND (gating, k2, n, replicate) = (?, ?, ?, ?)"
    old = db.execute(f"SELECT checksum FROM cells WHERE {key}", values[:5]).fetchone()
    if old is not None and old[0] is not None:
        ledger.rows -= 1
        ledger.sum -= old[0]
    number = rows.checksum(values)
    names, marks = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
    db.execute(f"INSERT OR REPLACE INTO cells ({names}, checksum) VALUES ({marks}, ?)", (*values, number))
    ledger.rows += 1
    ledger.sum += number


def insert_measure(db, values):
    """Write a measure, values of `rows.MEASURE_COLUMNS`, in place of one of the same key."""
    names, marks = ", ".join(MEASURE_COLUMNS), ", ".join("?" * len(MEASURE_COLUMNS))
    insert = f"INSERT OR REPLACE INTO measures ({names}, checksum) VALUES ({marks}, ?)"
    db.execute(insert, (*values, rows.checksum(values)))
