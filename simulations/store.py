"""The store: every cell of one study in one SQLite file.

One row a cell, its fit, with primary key (study hash, gating, k2, n, replicate). The file is in WAL mode: one process
writes, others may read meanwhile, and a killed writer loses nothing that was committed. Parameters and errors are JSON,
in which Python writes each float so that it reads back exactly. A file holds one study; another study's is refused.

What was measured of fits has a table of its own. Whoever makes a table has what is missing there reckoned
(`simulations.measures`), and keeps it if the file can be written and nobody else does; a measure that was damaged, or
is of a fit that was since replaced, is reckoned again.

Every row has a checksum, and a ledger has their number and sum, written in the same transaction: rows that were
damaged, lost or changed by others are noticed, said, and computed again by the next run.
"""

import json
import os
import sqlite3
import time
from collections import Counter, namedtuple
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from . import UserError, integrity, lock, measures, rows
from .files import in_a_line
from .integrity import is_damage, log_of, said_of
from .ledger import Ledger
from .lock import being_written as being_written  # what a file is asked, too
from .rows import COLUMNS, MEASURE_COLUMNS, Collected
from .rows import FRAME_COLUMNS as FRAME_COLUMNS
from .study import digest

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
PATIENCE = 10  # seconds to wait for another program that has locked the file
FEW = 50_000  # cells that are read through whenever a file is opened, in a third of a second; more, when they are used
BETWEEN = 256  # cells between two foldings of the log into the file, at some 20 kB each


class StoreError(UserError):
    """A results file that cannot be used; nothing in it was changed."""


class Store:
    """The results file of one study.

    Parameters
    ----------
    path : path-like
    study : Study
        The file must hold this study (its hash), have no cells or, if `write`, may be new or empty.
    write : bool
        Open for writing, as `hmoe run` does; one process at a time. Otherwise the file is only read.

    Attributes
    ----------
    notes : list of str
        What is wrong with the file, a line each: cells that were damaged or lost, a log that is not the file's. Reading
        leaves such cells out; opened for writing, the file is mended, and they are cells to do.
    lost : bool
        True once another file was found in the place of the one that was being written.

    Raises
    ------
    StoreError
        If the file is missing, cannot be opened, is not a results file, holds another study, or another run writes it.
    """

    def __init__(self, path, study, write=False):
        self.path, self.study, self.notes = Path(path), study, []
        self._name = in_a_line(path)  # in messages
        self._db = self._handle = self._log = None
        self._begun = self._taken = self.lost = False
        self._ledger, self._writes, self._unfolded = Ledger(), 0, 0
        self._hash, self._identity = study.hash, study.identity  # as the file has them
        self._trouble, self._damaged, self._readable, self._cached = [], {}, None, (None, [])
        try:
            with self._speaking():
                self._open(write)
        except BaseException:
            self.close()
            raise

    # -- opening and closing ------------------------------------------------------------------------------------------
    def _open(self, write):
        if write:
            self._take_file()
        elif not self.path.exists():
            raise StoreError(f"no results yet: {self._name} does not exist (hmoe run {self.study.name} makes it)")
        size = self.path.stat().st_size
        if size == 0 and not write:
            raise StoreError(f"no results yet: {self._name} is empty (hmoe run {self.study.name} fills it)")
        if 0 < size < 512:
            raise StoreError(f"{self._name}: not a results file")  # SQLite takes a file of one byte for a new one
        if not write:
            try:
                self._handle = lock.opened(self.path)
            except OSError as error:
                raise StoreError(f"{self._name}: cannot be read: {error.strerror}") from None
        self._db = self._connect(write, self._foreign_log(write, size))
        flaw = self._check_content(write)
        self._check_log(write)
        self._check_rows(write, flaw)
        on_disk = self._handle.epoch()
        self._ledger.epochs = list(dict.fromkeys([*self._ledger.epochs, on_disk]))

    def _take_file(self):
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for _ in range(100):  # until the file that was locked is the one that is there
                self._handle = lock.opened(self.path, write=True)
                self._taken = self._handle.take()
                if not self._taken:
                    raise StoreError(f"{self._name}: another run is writing it; wait for it, or stop it")
                if self._handle.at(self.path):
                    break
                self._give_up()
            if not os.access(self.path.resolve().parent, os.W_OK):
                raise PermissionError(13, "Permission denied")  # SQLite makes files beside it
        except OSError as error:
            raise StoreError(f"{self._name}: cannot be written: {error.strerror}") from None
        if self._handle is None:
            raise StoreError(f"{self._name}: is replaced again and again")

    def _foreign_log(self, write, size):
        """True if a log is beside the file that must not be read with it; a writer puts it aside."""
        if not integrity.has_log(self.path) or (size and not integrity.log_is_foreign(self.path)):
            return False
        tries = 0
        while size and self._handle.taken() and not write and tries < 5:  # its writer may have been folding it just now
            time.sleep(0.05)
            tries += 1
            if not integrity.log_is_foreign(self.path):
                return False
        log = log_of(self.path)
        if write:
            log.with_name(log.name[:-3] + "shm").unlink(missing_ok=True)
            done = f"it is kept as {integrity.put_aside(log, '.stale').name}"
        else:
            done = "it is not read"
        self._note(f"{log.name} is the log of another file, or of this one at another time; {done}")
        return not write

    def _connect(self, write, alone=False):
        beside = os.access(self.path.parent, os.W_OK)  # even to read a WAL file SQLite makes files beside it
        mode = "rwc" if write else "rw" if beside and os.access(self.path, os.W_OK) else "ro"
        if alone or (mode == "ro" and not log_of(self.path).exists()):
            mode = "ro&immutable=1"  # nobody is writing, and no file is needed
        address = f"{self.path.resolve().as_uri()}?mode={mode}"
        db = sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)
        if not write:
            db.execute("PRAGMA query_only = ON")
        return db

    def _check_content(self, write):
        """What is wrong with the file's description of its study, None if nothing; a file without cells gets ours."""
        try:
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._trouble.append(said_of(error))
            self._db.execute("PRAGMA writable_schema = ON")  # to be read although its end is missing
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
        try:
            empty = not self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except sqlite3.Error as error:
            if application != APPLICATION_ID or not is_damage(error):
                raise
            self._db.execute("PRAGMA writable_schema = ON")  # to be read although an index or a table makes no sense
            return said_of(error)
        if empty and write:
            self._create()
        elif application != APPLICATION_ID:
            raise StoreError(f"{self._name}: not a results file (an SQLite file of another program, or an empty one)")
        try:
            meta = dict(self._db.execute("SELECT key, value FROM meta"))
            self._ledger.read(self._db)
            name, there, identity = meta["name"], meta["study_hash"], json.loads(meta["identity"])
            cells = self._db.execute("SELECT 1 FROM cells LIMIT 1").fetchone()
            what = ", ".join(self.study.differences(identity))
            if digest(identity) != there:
                raise ValueError("the hash is not that of the identity")
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            return said_of(error)
        except (KeyError, *rows.MISFITS):
            self._recognise()
            return "its description of the study is damaged"
        if what and cells:
            raise StoreError(
                f"{self._name}: holds the study {name} ({there[:12]}), not {self.study.name} ({self.study.hash[:12]}): "
                f"they differ in {what}; give another file with --results"
            )
        if cells:
            self._hash, self._identity = there, identity
        elif there != self.study.hash and write:
            self._begin()
            with self._transaction():
                self._describe()
        return None

    def _recognise(self):
        """A file whose description is damaged has the hash of its cells, if that is one this study has had."""
        former = self.study.former_identity
        with suppress(sqlite3.Error):
            if self._db.execute("SELECT 1 FROM cells WHERE study_hash = ? LIMIT 1", [digest(former)]).fetchone():
                self._hash, self._identity = digest(former), former

    def _create(self):
        with self._transaction():
            for statement in (SCHEMA + MEASURES).split(";\n")[:-1]:
                self._db.execute(statement)
            self._db.execute(INDEX)
            self._describe()
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute("PRAGMA journal_mode = WAL")

    def _describe(self):
        self._put("study_hash", self._hash)
        self._put("identity", json.dumps(self._identity))
        self._put("name", self.study.name)
        self._ledger.put(self._db)

    def _put(self, key, value):
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])

    def close(self):
        """Close the file; SQLite folds its log into it."""
        if self._db is not None:
            if self._begun and not self.lost:
                with suppress(sqlite3.Error), self._transaction():  # without it the next run reads the log
                    self._ledger.put(self._db)
            self._db.close()
            self._db = None
        self._give_up()

    def _give_up(self):
        if self._taken:
            self._handle.release()
        if self._handle is not None:
            self._handle.close()
        self._handle, self._taken = None, False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    @contextmanager
    def _speaking(self):
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self._name}: {error}") from None

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

    # -- what is wrong with the file ----------------------------------------------------------------------------------
    def _check_log(self, write):
        """A file into which a log was folded last, and nothing since, goes on in that log."""
        if self._ledger.log and not integrity.has_log(self.path) and (write or not self._handle.taken()):
            log = log_of(self.path).name
            self._note(f"copied during a run, or without {log}, the log of a killed one: the last cells may be missing")

    def _check_rows(self, write, flaw):
        """Read the file through if it has few cells; a writer always does, and mends what is wrong."""
        if not write:
            if flaw is not None:
                raise StoreError(f"{self._name}: {flaw}; hmoe run {self.study.name} keeps what can be read of it")
            try:
                if not self._trouble and self._db.execute("SELECT COUNT(*) FROM cells").fetchone()[0] > FEW:
                    with integrity.snapshot(self._db):
                        self._note_flaw(self._ledger.flaw(self._db))
                    return
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
            self._examine()
            return
        found = self._examine(mend=True, flaw=flaw)
        if flaw or found.trouble or (flaw := integrity.first_flaw(self._db)):
            self._rebuild(flaw or found.trouble)
            return
        measured, trouble = integrity.examine_measures(self._db)
        if trouble:
            self._rebuild(trouble)
            return
        self._ledger.rows, self._ledger.sum = found.count, found.total
        if found.damaged or measured:
            self._begin()
            with self._transaction():
                for table, damaged in ("cells", found.damaged), ("measures", measured):
                    self._db.executemany(f"DELETE FROM {table} WHERE rowid = ?", [[number] for number in damaged])
                self._ledger.put(self._db)
        self._damaged = {}

    def _examine(self, visit=None, mend=False, flaw=None):
        """Read every cell, call `visit` with what `integrity.examine` says, and note what is wrong."""
        ledger = None if flaw else self._ledger
        found = integrity.examine(self._db, self._hash, ledger, visit, self._trouble)
        self._damaged, count = found.damaged, len(found.damaged)
        names = "; ".join(rows.name_of(key) for key in list(found.damaged.values())[:3])
        names += f"; and {count - 3} more" if count > 3 else ""
        then = "they are computed again" if mend else f"hmoe run {self.study.name} computes them again"
        if found.trouble:
            gone = f"{count} cannot be read ({names})" if count else "others may be gone"
            self._note(f"{found.trouble}: {found.count} cells are sound, {gone}; {then}")
            if self._readable is None:
                self._readable = []
                integrity.examine(self._db, self._hash, None, self._take_fact, self._trouble)
        elif count:
            self._note(f"damaged and left out are {count} of its cells ({names}); {then}")
        if not count or (found.flaw or "").endswith("gone"):
            self._note_flaw(found.flaw)
        return found

    def _take_fact(self, number, values, _):
        there = dict(zip(COLUMNS, values, strict=True))
        self._readable.append(_Fact(number, *(there[name] for name in FACTS)))

    def _note_flaw(self, flaw):
        if flaw:
            self._note(f"{flaw}; hmoe run {self.study.name} computes what is missing")

    def _note(self, text):
        line = f"{self._name}: {text}"
        if line not in self.notes:
            self.notes.append(line)

    def _rebuild(self, flaw):
        """Write what is sound into a new file, which takes the place of this one; this one is kept beside it."""
        path = self.path.resolve()
        part = path.with_name(f"{path.name}.part")
        for left in (part, log_of(part)):
            left.unlink(missing_ok=True)
        try:
            with Store(part, self.study, write=True) as fresh:
                self._salvage(fresh)
            self._db.close()
            self._db = None
            kept = integrity.put_aside(path, ".damaged", copy=True)
            part.replace(path)
        except OSError as error:
            raise StoreError(f"{self._name}: is damaged, and cannot be written anew: {error.strerror}") from None
        for end in ("wal", "shm"):
            path.with_name(f"{path.name}-{end}").unlink(missing_ok=True)
        self._note(f"was damaged ({flaw}): written anew with its sound cells, kept as {kept.name}")
        self._give_up()
        self._damaged, self._readable, self._trouble, self._begun = {}, None, [], False
        self._take_file()
        self._db = self._connect(write=True)
        self._ledger.read(self._db)

    def _salvage(self, fresh):
        foreign = 0
        with fresh._speaking():
            fresh._begin()
            with fresh._transaction():
                fresh._hash, fresh._identity = self._hash, self._identity
                fresh._describe()
                for _, values, stored in integrity.read_rows(self._db, []):
                    if not rows.sound(values, stored, self._hash):
                        continue
                    if values[0] == self._hash:
                        fresh._insert(values)
                    else:
                        foreign += 1
                if foreign:
                    raise StoreError(f"{self._name}: is damaged, and holds another study")
                with suppress(sqlite3.Error):  # what cannot be read is reckoned again
                    integrity.examine_measures(self._db, fresh._insert_measure)
                fresh._ledger.put(fresh._db)

    # -- writing ------------------------------------------------------------------------------------------------------
    def write(self, cells):
        """Write finished cells, dicts as `runner.run_cell` returns them, in one transaction.

        A cell that is there already is replaced: writing a batch twice does no harm.
        """
        now = time.time()
        stored = [rows.values_of(row, self._hash, now) for row in cells]
        with self._writing():
            before = self._ledger.rows, self._ledger.sum
            try:
                with self._transaction():
                    for values in stored:
                        self._insert(values)
                    self._ledger.put(self._db)
            except BaseException:
                self._ledger.rows, self._ledger.sum = before
                with suppress(sqlite3.Error):
                    self._ledger.read(self._db)  # an interrupt may come when all is written
                raise
        self._fold(len(stored))

    def keep(self, task, found):
        """Write what was measured of a fit, a `measures.Task` and its answer, in one transaction."""
        with self._writing(), self._transaction():
            for measure in measures.MEASURES:
                if measure.name in found:
                    self._insert_measure(rows.measure_values_of(task.key, task.fit, measure, *found[measure.name]))
            self._ledger.put(self._db)
        self._fold(1)

    def _fold(self, more):
        """Fold the log into the file now and then."""
        self._unfolded += more
        if self._unfolded >= BETWEEN:
            with self._speaking():
                with self._transaction():
                    self._ledger.new_epoch(self._db)
                self._ledger.fold(self._db)
            self._unfolded = 0

    @contextmanager
    def _writing(self):
        self._check_place()
        with self._speaking():
            self._begin()
            yield
        self._writes += 1
        self._log = self._log or _inode(log_of(self.path))

    def _insert(self, values):
        key = "study_hash = ? AND (gating, k2, n, replicate) = (?, ?, ?, ?)"
        old = self._db.execute(f"SELECT checksum FROM cells WHERE {key}", values[:5]).fetchone()
        if old is not None and old[0] is not None:
            self._ledger.rows -= 1
            self._ledger.sum -= old[0]
        number = rows.checksum(values)
        names, marks = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
        insert = f"INSERT OR REPLACE INTO cells ({names}, checksum) VALUES ({marks}, ?)"
        self._db.execute(insert, (*values, number))
        self._ledger.rows += 1
        self._ledger.sum += number

    def _insert_measure(self, values):
        names, marks = ", ".join(MEASURE_COLUMNS), ", ".join("?" * len(MEASURE_COLUMNS))
        insert = f"INSERT OR REPLACE INTO measures ({names}, checksum) VALUES ({marks}, ?)"
        self._db.execute(insert, (*values, rows.checksum(values)))

    def _begin(self):
        """Before the first transaction: bring an older file up to date, and start an epoch."""
        if self._begun:
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA wal_autocheckpoint = 0")
        with self._transaction():
            if integrity.checksum_column(self._db) == "NULL":
                self._db.execute("ALTER TABLE cells ADD COLUMN checksum INTEGER")
            if not integrity.has_measures(self._db):
                for statement in MEASURES.split(";\n")[:-1]:
                    self._db.execute(statement)
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'tally'").fetchone():
                self._db.execute("DROP INDEX IF EXISTS progress")
                self._db.execute(INDEX)
            for (number,) in self._db.execute("SELECT rowid FROM cells WHERE checksum IS NULL").fetchall():
                if number not in self._damaged:
                    row = self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM cells WHERE rowid = ?", [number])
                    mark = rows.checksum(row.fetchone())
                    self._db.execute("UPDATE cells SET checksum = ? WHERE rowid = ?", [mark, number])
            self._ledger.new_epoch(self._db)
        self._begun = True
        self._ledger.fold(self._db)

    def _check_place(self):
        """A file that was removed or written over takes rows without a word, and they are gone when it is closed."""
        self.lost = not self._handle.at(self.path) or self._handle.epoch() not in self._ledger.epochs
        if self.lost:
            if self.path.exists():  # another file, which the log must not be folded into
                self._handle.keep_from_folding()
            raise StoreError(f"{self._name}: was removed or replaced while it was being written")
        if self._log is not None and _inode(log_of(self.path)) != self._log:
            raise StoreError(f"{in_a_line(log_of(self.path))}: was removed or replaced while it was being written")

    def note_run(self, began, jobs):
        """Remember when the latest run began (Unix time) and its number of jobs, for `status`."""
        with self._writing(), self._transaction():
            self._put("run", json.dumps({"began": began, "jobs": jobs}))
            self._ledger.put(self._db)

    # -- reading ------------------------------------------------------------------------------------------------------
    def latest_run(self):
        """What `note_run` was told last: began (Unix time) and jobs."""
        try:
            with self._speaking():
                row = self._db.execute("SELECT value FROM meta WHERE key = 'run'").fetchone()
            run = json.loads(row[0])
            if 0 <= run["began"] <= time.time() and run["jobs"] >= 1:
                return {"began": float(run["began"]), "jobs": int(run["jobs"])}
        except (KeyError, *rows.MISFITS):  # none yet, or damaged
            pass
        return {"began": 0.0, "jobs": 1}

    def _asked(self):
        """`_Fact` of every cell that is stored and that the study, as it is now, asks for."""
        with self._speaking():
            if self._readable is None:
                (version,) = self._db.execute("PRAGMA data_version").fetchone()
                state = version, self._writes
                if self._cached[0] != state:
                    query = f"SELECT rowid, {', '.join(FACTS)} FROM cells"
                    facts = self._db.execute(query)
                    self._cached = state, self._of_the_grid(fact for fact in facts if fact[0] not in self._damaged)
                return self._cached[1]
        return self._of_the_grid(self._readable)

    def _of_the_grid(self, facts):
        corners, replicates = {corner.key[:3] for corner in self.study.corners()}, range(self.study.replicates)
        return [_Fact._make(fact) for fact in facts if fact[1:4] in corners and fact[4] in replicates]

    def statuses(self):
        """The finished cells that belong to the study as it is now: `Cell` -> status."""
        there = {fact[1:5]: fact.status for fact in self._asked()}
        return {cell: there[cell.key] for cell in self.study.cells() if cell.key in there}

    def progress(self):
        """What is there, counted: (gating, k2 as text, n) -> (finished, failed among them, seconds of the others)."""
        out = {}
        for fact in self._asked():
            finished, failed, seconds = out.get(fact[1:4], (0, 0, 0.0))
            bad = fact.status == "failed"
            out[fact[1:4]] = finished + 1, failed + bad, seconds + (0.0 if bad else fact.seconds)
        return out

    def finished_since(self, begin):
        """(number, Unix time of the last) of the cells finished since `begin`; the time is `begin` if there is none."""
        times = [fact.finished for fact in self._asked() if fact.finished > begin]
        return len(times), max(times, default=begin)

    def failures(self):
        """The messages of the failed cells that the study asks for: message -> number of cells, the most first."""
        query, messages = "SELECT message FROM cells WHERE rowid = ?", Counter()
        numbers = [fact.number for fact in self._asked() if fact.status == "failed"]
        with self._speaking():
            for number in numbers:
                messages[self._db.execute(query, [number]).fetchone()[0]] += 1
        return dict(sorted(messages.items(), key=lambda item: (-item[1], item[0])))

    def sources(self):
        """The (version, source hash) pairs that computed the rows of the cells that the study asks for."""
        return {(fact.version, fact.source) for fact in self._asked()}

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
            kind, error; those that hold words are categorical. No timings and no versions: equal frames mean equal
            results.
        """
        return self.collected(study, failed).frame()

    def collected(self, study=None, failed=False, jobs=None):
        """What `frame` gives, as `Collected`: to be written without making the frame.

        What is missing of the measures that the study asks for is reckoned, by `jobs` processes (one a core, if left
        out), and kept if the file can be written, nobody else writes it and nothing is wrong with it.
        """
        out = Collected(self.study if study is None else study, failed)
        sound = not self.notes
        if tasks := self._read(out):
            with self._keeper(sound) as keep, closing(measures.reckon(out.study, tasks, jobs)) as answers:
                for task, found in answers:
                    if found is not None:
                        keep(task, found)
                    out.add_answer(task, found or dict.fromkeys(task.names, (None, measures.DIED)))
        self._note_failures(out.failures)
        return out

    def missing(self):
        """What is to be reckoned for a table of the study: a list of `measures.Task`."""
        return self._read(Collected(self.study, failed=False))

    def _read(self, out):
        """Take what is there into `out`; a `measures.Task` for each fit of which something is missing."""
        with self._speaking(), integrity.snapshot(self._db):
            self._examine(lambda _, values, mark: out.add(values, mark))
            damaged, trouble = integrity.examine_measures(self._db, out.add_measure)
            if damaged or (trouble and not self._trouble):
                what = trouble or f"damaged and left out are {len(damaged)} of its measures"
                self._note(f"{what}; what is missing of them is reckoned again")
            self._trouble += [trouble] if trouble else []
            if out.complete:
                return []
            found = integrity.read_rows(self._db, [])
            tasks = (out.missing(values) for _, values, stored in found if rows.sound(values, stored, self._hash))
            return [task for task in tasks if task]

    @contextmanager
    def _keeper(self, sound):
        """`keep`, of this store if it writes, or of one that writes for as long as this lasts, or nothing that does."""
        writer = self if self._taken else None
        if writer is None and sound and not (self._trouble or self._damaged):
            with suppress(StoreError):
                writer = Store(self.path, self.study, write=True)

        def keep(task, found):
            nonlocal writer
            try:
                if writer is not None:
                    writer.keep(task, found)
            except StoreError as error:
                self._note(f"measures are not kept: {error}")
                writer = None

        own = writer
        try:
            yield keep
        finally:
            if own is not None and own is not self:
                own.close()

    def unmeasured(self):
        """Note what could not be measured of the cells that the study asks for, as far as it is known."""
        out = {}
        with self._speaking():
            if integrity.has_measures(self._db):
                asked = {fact[1:5] for fact in self._asked()}
                for measure in measures.asked_by(self.study):
                    for message, *key in self._db.execute(UNMEASURED, measure[:2]):
                        if tuple(key) in asked:
                            out.setdefault((measure.name, message), []).append(tuple(key))
        self._note_failures(out)

    def _note_failures(self, failures):
        """A line for each measure and message."""
        for (name, message), keys in sorted(failures.items(), key=lambda item: -len(item[1])):
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            self._note(f"without the measure {name} are {rows.name_of(min(keys))}{more}: {message}")


UNMEASURED = (
    "SELECT m.message, m.gating, m.k2, m.n, m.replicate FROM measures m JOIN cells c USING (gating, k2, n, replicate) "
    "WHERE m.measure = ? AND m.version = ? AND m.message != '' AND m.fit = c.checksum"
)
FACTS = "gating k2 n replicate status seconds finished version source".split()
_Fact = namedtuple("_Fact", ["number", *FACTS])


def _inode(path):
    try:
        return path.stat().st_ino
    except OSError:
        return None
