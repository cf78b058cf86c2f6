"""The store: every cell of one study in one SQLite file.

One row a cell, primary key (study hash, gating, k2, n, replicate). The file is in WAL mode: one process writes, others
may read meanwhile, and a killed writer loses nothing that was committed. Parameters and errors are JSON, in which
Python writes each float so that it reads back exactly. A file holds one study; another study's file is refused.
"""

import json
import os
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path

from . import UserError

try:
    import fcntl
except ImportError:  # not on Windows: there, two runs into one file are not noticed
    fcntl = None

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
    errors TEXT,                     -- JSON, rows of [level, cell, size, parameter, kind, error]
    certificate TEXT,                -- JSON, what the fit says of itself
    version TEXT NOT NULL,           -- of the package that computed the row
    source TEXT NOT NULL,            -- hash of its source
    finished REAL NOT NULL,          -- Unix time
    PRIMARY KEY (study_hash, gating, k2, n, replicate)
);
"""
# what counting needs, apart from the long texts: counting 1e5 cells reads 10 MB instead of 500
INDEX = "CREATE INDEX IF NOT EXISTS progress ON cells "
INDEX += "(gating, k2, n, replicate, status, seconds, finished, version, source)"
PATIENCE = 10  # seconds to wait for another program that has locked the file
COLUMNS = (
    "study_hash gating k2 n replicate status message log_likelihood score_norm n_iter seconds parameters errors "
    "certificate version source finished"
).split()
JSON_COLUMNS = ("parameters", "errors", "certificate")
FRAME_COLUMNS = "truth gating k2 n replicate status log_likelihood level cell size parameter kind error".split()


class StoreError(UserError):
    """A results file that cannot be used; nothing in it was changed."""


class Store:
    """The results file of one study.

    Parameters
    ----------
    path : path-like
    study : Study
        The file must hold this study (its hash) or, if `write`, may be new or empty.
    write : bool
        Open for writing, as `hmoe run` does; one process at a time. Otherwise the file is only read.

    Raises
    ------
    StoreError
        If the file is missing, cannot be opened, is not a results file, holds another study, or another run writes it.
    """

    def __init__(self, path, study, write=False):
        self.path, self.study = Path(path), study
        self._lock = self._db = None
        try:
            if write:
                self._take_lock()
            elif not self.path.exists():
                raise StoreError(f"no results yet: {self.path} does not exist (hmoe run {study.name} makes it)")
            if self.path.exists() and 0 < self.path.stat().st_size < 512:
                raise StoreError(f"{self.path}: not a results file")  # SQLite takes a file of one byte for a new one
            with self._speaking():
                self._db = self._connect(write)
                self._check_content(write)
        except BaseException:
            self.close()
            raise

    # -- opening and closing ------------------------------------------------------------------------------------------
    def _connect(self, write):
        beside = os.access(self.path.parent, os.W_OK)  # even to read a WAL file SQLite makes files beside it
        mode = "rwc" if write else "rw" if beside and os.access(self.path, os.W_OK) else "ro"
        if mode == "ro" and not self.path.with_name(self.path.name + "-wal").exists():
            mode += "&immutable=1"  # nobody is writing, and no file is needed
        address = f"{self.path.resolve().as_uri()}?mode={mode}"
        db = sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)
        db.row_factory = sqlite3.Row
        if not write:
            db.execute("PRAGMA query_only = ON")
        return db

    def _check_content(self, write):
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        empty = not self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if empty and write:
            self._create()
        elif application != APPLICATION_ID:
            raise StoreError(f"{self.path}: not a results file (an SQLite file of another program, or an empty one)")
        else:
            meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
            if meta["study_hash"] != self.study.hash:
                there = f"{meta['name']} ({meta['study_hash'][:12]})"
                ours = f"{self.study.name} ({self.study.hash[:12]})"
                what = ", ".join(_differences(json.loads(meta["identity"]), self.study.identity))
                raise StoreError(
                    f"{self.path}: holds the study {there}, not {ours}: they differ in {what}; "
                    "give another file with --results"
                )
        if write:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(INDEX)
        self._inode = self.path.stat().st_ino

    def _create(self):
        study = self.study
        meta = {"study_hash": study.hash, "identity": json.dumps(study.identity), "name": study.name}
        with self._transaction():
            for statement in SCHEMA.split(";\n")[:-1]:
                self._db.execute(statement)
            self._db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def _take_lock(self):
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = open(_lock_path(self.path), "w")
            if fcntl is not None:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None  # not ours to remove
            raise StoreError(f"{self.path}: another run is writing it; wait for it, or stop it") from None
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from None

    def close(self):
        """Close the file; SQLite folds its log into it."""
        if self._db is not None:
            self._db.close()
        if self._lock is not None:
            _lock_path(self.path).unlink(missing_ok=True)
            self._lock.close()
        self._db = self._lock = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    @contextmanager
    def _speaking(self):
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from None

    @contextmanager
    def _transaction(self):
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite ends some itself, as when the disk is full
                self._db.execute("ROLLBACK")
            raise

    # -- writing ------------------------------------------------------------------------------------------------------
    def write(self, rows):
        """Write finished cells, dicts as `runner.run_cell` returns them, in one transaction.

        A cell that is there already is replaced: writing a batch twice does no harm.
        """
        now = time.time()
        stored = []
        for row in rows:
            row = row | {"study_hash": self.study.hash, "finished": now}
            for name in JSON_COLUMNS:
                if row[name] is not None:
                    row[name] = json.dumps(row[name], separators=(",", ":"), allow_nan=False)
            stored.append([row[name] for name in COLUMNS])
        statement = f"INSERT OR REPLACE INTO cells ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
        self._check_place()
        with self._speaking(), self._transaction():
            self._db.executemany(statement, stored)

    def _check_place(self):
        """A file that was removed takes rows without a word, and they are gone when it is closed."""
        try:
            there = self.path.stat().st_ino == self._inode
        except OSError:
            there = False
        if not there:
            raise StoreError(f"{self.path}: was removed or replaced while it was being written")

    def note_run(self, began, jobs):
        """Remember when the latest run began (Unix time) and its number of jobs, for `status`."""
        facts = json.dumps({"began": began, "jobs": jobs})
        with self._speaking(), self._transaction():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('run', ?)", [facts])

    # -- reading ------------------------------------------------------------------------------------------------------
    def latest_run(self):
        """What `note_run` was told last: began (Unix time) and jobs."""
        with self._speaking():
            row = self._db.execute("SELECT value FROM meta WHERE key = 'run'").fetchone()
        return json.loads(row[0]) if row else {"began": 0.0, "jobs": 1}

    def statuses(self):
        """The finished cells that belong to the study as it is now: `Cell` -> status."""
        query = "SELECT gating, k2, n, replicate, status FROM cells"
        with self._speaking():
            there = {tuple(key): status for *key, status in self._db.execute(query)}
        return {cell: there[cell.key] for cell in self.study.cells() if cell.key in there}

    def progress(self):
        """What is there, counted: (gating, k2 as text, n) -> (finished, failed among them, seconds of the others)."""
        query = """
            SELECT gating, k2, n, COUNT(*), SUM(status = 'failed'), SUM(IIF(status = 'failed', 0.0, seconds))
            FROM cells WHERE replicate < ? GROUP BY gating, k2, n"""
        with self._speaking():
            rows = self._db.execute(query, [self.study.replicates]).fetchall()
        return {tuple(row[:3]): tuple(row[3:]) for row in rows}

    def finished_since(self, begin):
        """(number, Unix time of the last) of the cells finished since `begin`; the time is `begin` if there is none."""
        query = "SELECT COUNT(*), MAX(finished) FROM cells WHERE finished > ?"
        with self._speaking():
            count, last = self._db.execute(query, [begin]).fetchone()
        return count, last if count else begin

    def failures(self):
        """The messages of the failed cells: message -> number of cells."""
        with self._speaking():
            query = "SELECT message, COUNT(*) FROM cells WHERE status = 'failed' GROUP BY message ORDER BY 2 DESC, 1"
            return dict(tuple(row) for row in self._db.execute(query))

    def sources(self):
        """The (version, source hash) pairs that computed the rows."""
        with self._speaking():
            return {tuple(row) for row in self._db.execute("SELECT DISTINCT version, source FROM cells")}

    def frame(self, study=None, failed=False):
        """The results, tidy: one row a measured number, sorted by cell.

        Parameters
        ----------
        study : Study, optional
            The store's own study if left out; only cells of its grid are given.
        failed : bool
            Also give a row, without a number, for each cell that failed.

        Returns
        -------
        DataFrame
            Columns truth, gating, k2 (``"3,3"``), n, replicate, status, log_likelihood, level, cell, size, parameter,
            kind, error. No timings and no versions: equal frames mean equal results.
        """
        import pandas as pd

        study = self.study if study is None else study
        truth = study.truth if isinstance(study.truth, str) else "table"
        query = "SELECT status, log_likelihood, errors FROM cells "
        query += "WHERE study_hash = ? AND (gating, k2, n, replicate) = (?, ?, ?, ?)"  # the primary key, whole
        out = []
        with self._speaking():
            for cell in study.cells():
                for status, log_likelihood, errors in self._db.execute(query, (self.study.hash, *cell.key)):
                    head = (truth, *cell.key, status, log_likelihood)
                    out += [(*head, *error) for error in json.loads(errors or "[]")]
                    if errors is None and failed:
                        out.append((*head, None, "", None, "", "", None))
        types = {"n": "int64", "replicate": "int64", "log_likelihood": "float64", "error": "float64"}
        types |= dict.fromkeys(("level", "size"), "Int64" if failed else "int64")
        return pd.DataFrame(out, columns=FRAME_COLUMNS).astype(types)


def being_written(path):
    """True if a run has the results file `path` open for writing."""
    try:
        with open(_lock_path(path)) as lock:
            if fcntl is not None:  # the lock, not the file, says so: a killed run leaves the file
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
            return True
    except BlockingIOError:
        return True
    except OSError:
        return False


def _lock_path(path):
    return Path(f"{path}.lock")


def _differences(there, here, prefix=""):
    """Keys in which two identities differ, each with both values."""
    out = []
    for key in sorted(there.keys() | here.keys()):
        old, new = there.get(key), here.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            out += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            out.append(f"{prefix}{key} ({old!r} there, {new!r} here)")
    return out
