"""A results file from opening to closing: whose it is, who writes it, what is wrong with it and how it is mended.

One row of it is a cell, its fit, with primary key (study hash, gating, k2, n, replicate). The file is in WAL mode: one
process writes, others may read meanwhile, and a killed writer loses nothing that was committed. It holds one study;
another study's is refused.

Every row has a checksum, and a ledger has their number and sum, written in the same transaction: rows that were
damaged, lost or changed by others are noticed, said, and computed again by the next run.
"""

import json
import os
import sqlite3
import time
from collections import namedtuple
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from . import UserError, content, integrity, lock, protocol, rows
from .files import in_a_line
from .integrity import is_damage, log_of, said_of
from .ledger import Ledger
from .rows import COLUMNS
from .study import digest

PATIENCE = 10  # seconds to wait for another program that has locked the file
FEW = 50_000  # cells that are read through whenever a file is opened, in a third of a second; more, when they are used
FACTS = "gating k2 n replicate status seconds finished version source".split()
Fact = namedtuple("Fact", ["number", *FACTS])  # what counting needs of a cell


class StoreError(UserError):
    """A results file that cannot be used; nothing in it was changed."""


class ResultsFile:
    """The open results file of one study; `simulations.store.Store` writes and reads what is in it.

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
        self._begun = self._taken = self._wrong = self.lost = False
        self._ledger, self._writes, self._unfolded = Ledger(), 0, 0
        self._hash, self._identity = study.hash, study.identity  # as the file has them
        self._trouble, self._damaged, self._readable, self._cached = [], {}, None, (None, [])
        try:
            with self._speaking():
                self._open(write)
        except BaseException:
            self.close()
            raise

    # -- opening and closing -------------------------------------------------------------------------------------------
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
            if application != content.APPLICATION_ID or not is_damage(error):
                raise
            self._db.execute("PRAGMA writable_schema = ON")  # to be read although an index or a table makes no sense
            return said_of(error)
        if empty and write:
            self._create()
        elif application != content.APPLICATION_ID:
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
            content.create(self._db)
            self._describe()
        self._db.execute("PRAGMA journal_mode = WAL")

    def _describe(self):
        content.describe(self._db, self._hash, self._identity, self.study.name)
        self._ledger.put(self._db)

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

    # -- what is wrong with the file -----------------------------------------------------------------------------------
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
        self._readable.append(Fact(number, *(there[name] for name in FACTS)))

    def _note_flaw(self, flaw):
        if flaw:
            self._note(f"{flaw}; hmoe run {self.study.name} computes what is missing")

    def _note(self, text):
        """Note what is wrong with the file."""
        self._wrong = True
        self._remark(text)

    def _remark(self, text):
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
            with ResultsFile(part, self.study, write=True) as fresh:
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
                        content.insert_cell(fresh._db, fresh._ledger, values)
                    else:
                        foreign += 1
                if foreign:
                    raise StoreError(f"{self._name}: is damaged, and holds another study")
                with suppress(sqlite3.Error):  # one that cannot be read, or is not there, is lost
                    protocol.copy(self._db, fresh._db)
                with suppress(sqlite3.Error):  # what cannot be read is reckoned again
                    integrity.examine_measures(self._db, partial(content.insert_measure, fresh._db))
                fresh._ledger.put(fresh._db)

    # -- writing -------------------------------------------------------------------------------------------------------
    @contextmanager
    def _writing(self):
        self._check_place()
        with self._speaking():
            self._begin()
            yield
        self._writes += 1
        self._log = self._log or _inode(log_of(self.path))

    def _begin(self):
        """Before the first transaction: bring an older file up to date, and start an epoch."""
        if self._begun:
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA wal_autocheckpoint = 0")
        with self._transaction():
            content.bring_up_to_date(self._db, self._damaged)
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


def _inode(path):
    try:
        return path.stat().st_ino
    except OSError:
        return None
