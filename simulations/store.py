"""The store: every cell of one study, and what was measured of its fits, written to its results file and read from it.

Parameters and errors are JSON, in which Python writes each float so that it reads back exactly. What was measured of
fits has a table of its own. Whoever makes a table has what is missing there reckoned (`simulations.measures`), and
keeps it if the file can be written and nobody else does; a measure that was damaged, or is of a fit that was since
replaced, is reckoned again.
"""

import json
import sqlite3
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress

from . import content, integrity, measures, protocol, rows
from .lock import being_written as being_written  # what a file is asked, too
from .resultsfile import FACTS, Fact, ResultsFile
from .resultsfile import StoreError as StoreError
from .rows import FRAME_COLUMNS as FRAME_COLUMNS
from .rows import Collected

BETWEEN = 256  # cells between two foldings of the log into the file, at some 20 kB each


class Store(ResultsFile):
    """The cells of a results file, and what was measured of them; arguments, notes and errors are those of the file."""

    # -- writing -------------------------------------------------------------------------------------------------------
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
                        content.insert_cell(self._db, self._ledger, values)
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
                    values = rows.measure_values_of(task.key, task.fit, measure, *found[measure.name])
                    content.insert_measure(self._db, values)
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

    def note_run(self, began, jobs):
        """Remember when the latest run began (Unix time) and its number of jobs, for `status`."""
        with self._writing(), self._transaction():
            content.put(self._db, "run", json.dumps({"began": began, "jobs": jobs}))
            self._ledger.put(self._db)

    def declare(self):
        """Write down what the study declares, unless that is what was declared last."""
        with self._speaking():
            entries, _ = protocol.read(self._db)
        declared = protocol.declaration(self.study)
        last = next((e.declared for e in reversed(entries) if e.what == protocol.DECLARATION), None)
        if declared != last:
            self._enter(protocol.DECLARATION, declared)

    def look(self, command):
        """Write down that `command` shows the results, if the file can be written and nobody else does."""
        with self._writer(not self._wrong) as writer, suppress(StoreError):
            if writer is not None:
                writer._enter(command)

    def _enter(self, what, declared=None):
        with self._writing(), self._transaction():
            protocol.add(self._db, what, declared)
            self._ledger.put(self._db)

    # -- reading -------------------------------------------------------------------------------------------------------
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

    def protocol(self):
        """What was declared and looked at, as `protocol.Protocol` says it."""
        with self._speaking():
            return protocol.Protocol(self.study, *protocol.read(self._db))

    def _asked(self):
        """`Fact` of every cell that is stored and that the study, as it is now, asks for."""
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
        return [Fact(*fact) for fact in facts if fact[1:4] in corners and fact[4] in replicates]

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

    def frame(self, study=None, failed=False, progress=True):
        """The results, tidy: one row a measured number, sorted by cell.

        Parameters
        ----------
        study : Study, optional
            The store's own study if left out; only cells of its grid are given.
        failed : bool
            Also give a row, without a number, for each cell that failed.
        progress : bool
            Draw a bar where measures are missing and take long to reckon.

        Returns
        -------
        DataFrame
            Columns truth, gating, k2 (``"3,3"``), n, replicate, status, log_likelihood, level, cell, size, parameter,
            kind, error; those that hold words are categorical. No timings and no versions: equal frames mean equal
            results.
        """
        return self.collected(study, failed, progress=progress).frame()

    def collected(self, study=None, failed=False, jobs=None, ended=False, progress=True):
        """What `frame` gives, as `Collected`: to be written without making the frame; with `ended` how fits ended, too.

        What is missing of the measures that the study asks for is reckoned, by `jobs` processes (one a core, if left
        out), and kept if the file can be written, nobody else writes it and nothing is wrong with it.
        """
        out = Collected(self.study if study is None else study, failed, ended)
        sound = not self._wrong
        if tasks := self._read(out):
            reckoned = measures.reckon(out.study, tasks, jobs, progress)
            with self._keeper(sound) as keep, closing(reckoned) as answers:
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
        """`keep`, of a store that writes, or nothing that does."""
        with self._writer(sound) as writer:

            def keep(task, found):
                nonlocal writer
                try:
                    if writer is not None:
                        writer.keep(task, found)
                except StoreError as error:
                    self._remark(f"measures are not kept: {error}")
                    writer = None

            yield keep

    @contextmanager
    def _writer(self, sound):
        """This store if it writes, or one that does for as long as this lasts; None where none can, or should."""
        if self._taken:
            yield self
            return
        writer = None
        if sound and not (self._trouble or self._damaged):
            with suppress(StoreError):
                writer = Store(self.path, self.study, write=True)
        try:
            yield writer
        finally:
            if writer is not None:
                writer.close()

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
            self._remark(f"without the measure {name} are {rows.name_of(min(keys))}{more}: {message}")


UNMEASURED = (
    "SELECT m.message, m.gating, m.k2, m.n, m.replicate FROM measures m JOIN cells c USING (gating, k2, n, replicate) "
    "WHERE m.measure = ? AND m.version = ? AND m.message != '' AND m.fit = c.checksum"
)
