"""Results files that were damaged, copied, put back or replaced: what is wrong is said, and nothing wrong is used."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
from contextlib import contextmanager

import pytest
from test_store import VALUES, row_of

from simulations import measures
from simulations.integrity import snapshot
from simulations.lock import being_written
from simulations.store import Store, StoreError
from simulations.study import Study

STUDY = Study(**VALUES | {"replicates": 8})
CELLS = STUDY.cells()
PAGE = 4096


PARAMETERS = STUDY.measure("SS").to_dict()


def errors_of(tau):
    """What is measured of a made fit, by measure."""
    return {"parameters": [[2, "0,1", 1, "tau", "weighted", tau]] * 20,
            "loss_sharp": [[0, "", 0, "loss_sharp", "loss", tau]] * 20}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def made_measures():
    """Measures that are reckoned at once; gives the keys of the fits that were measured."""
    calls = []

    def parameters(G, G0, law):
        calls.append(float(G.tau[0]))
        return errors_of(float(G.tau[0]))["parameters"]

    def loss(G, G0, law):
        return errors_of(float(G.tau[0]))["loss_sharp"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            measures,
            "MEASURES",
            (measures.Measure("parameters", 1, parameters), measures.Measure("loss_sharp", 1, loss)),
        )
        yield calls


def made(cell):
    """A row as long as those of fits: a page holds two, or what was measured of two."""
    row = {name: value for name, value in row_of(cell).items() if name != "errors"}
    tau = [0.25 + cell.replicate, *PARAMETERS["tau"][1:]]
    return row | {"parameters": PARAMETERS | {"tau": tau}, "certificate": {"message": "x" * 1000}}


def made_before(cell):
    """A row from before there was a table of measures."""
    return made(cell) | {"errors": sum(errors_of(0.25 + cell.replicate).values(), [])}


def fill(path, cells=CELLS, study=STUDY, make=made):
    with Store(path, study, write=True) as store:
        for cell in cells:
            store.write([make(cell)])
        store.collected()


def killed(path, cells):
    """A run that writes `cells` and is killed."""
    child = os.fork()
    if not child:
        store = Store(path, STUDY, write=True)
        for cell in cells:
            store.write([made(cell)])
        store.collected()
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def seen(path):
    """(cells, notes) of reading a file; the frame and the counts agree."""
    with Store(path, STUDY) as store:
        cells, frame = list(store.statuses()), store.frame(failed=True)
        assert len(frame) == 40 * len(cells)
        assert (frame.error == 0.25 + frame.replicate).all()
        assert sum(count for count, *_ in store.progress().values()) == len(cells)
        assert all("\n" not in note and note.startswith(str(path)) for note in store.notes)
        return cells, store.notes


def completed(path):
    """(cells that were kept, notes) of a run that does what is missing, after which all is there and well."""
    with Store(path, STUDY, write=True) as store:
        kept, notes = list(store.statuses()), list(store.notes)
        store.write([made(cell) for cell in CELLS if cell not in kept])
        store.collected()
    assert seen(path) == (CELLS, [])
    return kept, notes


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.sqlite"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file with all cells, and its frame."""
    path = tmp_path_factory.mktemp("whole") / "s.sqlite"
    fill(path)
    with Store(path, STUDY) as store:
        return path, store.frame(failed=True)


def spoil(path, *statements):
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


# -- rows -------------------------------------------------------------------------------------------------------------
ROWS = [
    "errors = '[[1,2'",
    "parameters = NULL",
    "parameters = replace(parameters, '1.25', '1.5')",  # still good JSON, another number
    "parameters = x'00ff00'",
    "parameters = CAST(x'ff00ff' AS TEXT)",  # no UTF-8
    "parameters = '{}'",
    "status = 'splendid'",
    "log_likelihood = 'abc'",
    "k2 = '9,9'",
    "replicate = 'x'",
    "n = -5",
    "gating = x'00'",
    "seconds = 'x', finished = 'y'",
    "study_hash = 'x'",
    "checksum = 7",
]


@pytest.mark.parametrize("change", ROWS)
def test_a_damaged_row_is_named_left_out_and_computed_again(path, whole, change):
    shutil.copy(whole[0], path)
    spoil(path, f"UPDATE cells SET {change} WHERE rowid = 2")
    cells, (note,) = seen(path)
    assert cells == [cell for cell in CELLS if cell != CELLS[1]]
    assert "replicate" in note
    assert "hmoe run small computes them again" in note
    kept, (said, *_) = completed(path)
    assert kept == cells
    assert "they are computed again" in said


def test_many_damaged_rows_are_counted_and_the_first_are_named(path, whole):
    shutil.copy(whole[0], path)
    spoil(path, "UPDATE cells SET message = 'x' WHERE rowid > 2")
    cells, (note,) = seen(path)
    assert cells == CELLS[:2]
    assert "30 of its cells (SS 2,2 n = 200 replicate 2; SS 2,2 n = 200 replicate 3; " in note
    assert "; and 27 more)" in note


@pytest.mark.parametrize("change", ["parameters = '{'", "errors = NULL", "errors = '[[1,\"0\",1,\"a\",\"b\",NaN]]'",
                                    "status = 'x'", "log_likelihood = NULL", "k2 = 'x'", "errors = '[]'"])  # fmt: skip
def test_rows_from_before_there_were_checksums_are_held_against_what_a_row_can_be(path, change):
    fill(path, make=made_before)
    index = "CREATE INDEX progress ON cells (gating, k2, n, replicate, status, seconds, finished, version, source)"
    spoil(path, "DROP INDEX tally", "ALTER TABLE cells DROP COLUMN checksum", index)
    spoil(path, "DELETE FROM meta WHERE key = 'ledger'", "PRAGMA user_version = 0", "DROP TABLE measures")
    before = path.read_bytes()
    assert seen(path) == (CELLS, [])
    assert path.read_bytes() == before
    spoil(path, f"UPDATE cells SET {change} WHERE rowid = 2")
    cells, (note,) = seen(path)
    assert len(cells) == len(CELLS) - 1
    assert completed(path)[0] == cells
    spoil(path, "UPDATE cells SET errors = replace(errors, '2.25', '2.5') WHERE rowid = 3")
    assert seen(path)[1]  # the run gave every row a checksum


def test_of_many_cells_those_that_are_used_are_read(path, whole, monkeypatch):
    monkeypatch.setattr("simulations.resultsfile.FEW", 10)
    shutil.copy(whole[0], path)
    spoil(path, "UPDATE cells SET parameters = '[[' WHERE rowid = 2")
    with Store(path, STUDY) as store:
        assert store.notes == []
        assert len(store.frame()) == 40 * (len(CELLS) - 1)
        (note,) = store.notes
        assert "SS 2,2 n = 200 replicate 1" in note
        assert len(store.statuses()) == len(CELLS) - 1
    spoil(path, "DELETE FROM cells WHERE rowid = 3")
    with Store(path, STUDY) as store:
        assert ["1 of its 32 cells are gone" in note for note in store.notes] == [True]
    assert len(completed(path)[0]) == len(CELLS) - 2


def test_rows_that_are_gone_are_counted(path, whole):
    shutil.copy(whole[0], path)
    spoil(path, "DELETE FROM cells WHERE rowid < 4")
    cells, (note,) = seen(path)
    assert "3 of its 32 cells are gone; hmoe run small computes what is missing" in note
    assert completed(path) == (cells, [note])


SAYS = ["UPDATE meta SET value = '{' WHERE key = 'identity'", "UPDATE meta SET value = 'x' WHERE key = 'ledger'"]


@pytest.mark.parametrize("statement", [*SAYS, "DROP TABLE meta", "DROP TABLE cells"])
def test_a_file_that_does_not_say_what_it_is_is_written_anew(path, whole, statement):
    shutil.copy(whole[0], path)
    spoil(path, statement)
    with pytest.raises(StoreError, match=r"(damaged|no such table).*; hmoe run small keeps what can be read of it"):
        Store(path, STUDY)
    kept, notes = completed(path)
    assert len(kept) == (0 if "cells" in statement else len(CELLS))
    assert "written anew with its sound cells, kept as s.sqlite.damaged" in notes[-1]
    assert sorted(os.listdir(path.parent)) == ["s.sqlite", "s.sqlite.damaged"]


# -- pages ------------------------------------------------------------------------------------------------------------
def test_no_damaged_page_changes_a_number_in_silence(path, whole):
    rng = random.Random(5)
    for number in range(2, whole[0].stat().st_size // PAGE + 1):  # without the first, nobody can tell whose file it is
        for bit in (True, False):
            shutil.copy(whole[0], path)
            with open(path, "r+b") as file:
                place = (number - 1) * PAGE + (rng.randrange(PAGE) if bit else 0)
                file.seek(place)
                old = file.read(1)[0]
                file.seek(place)
                file.write(bytes([old ^ 1 << rng.randrange(8)]) if bit else rng.choice([bytes, rng.randbytes])(PAGE))
            try:
                cells, notes = seen(path)
            except StoreError as error:
                cells, notes = None, [str(error)]
            assert notes or cells == CELLS, (number, bit)
            kept, notes = completed(path)
            assert cells is None or kept == cells, (number, bit)
            assert notes or kept == CELLS, (number, bit)
            for file in path.parent.iterdir():
                file.unlink()


def test_a_file_without_its_end_keeps_its_beginning(path, whole):
    shutil.copy(whole[0], path)
    os.truncate(path, PAGE * (path.stat().st_size // PAGE // 2))
    cells, (note,) = seen(path)
    assert 0 < len(cells) < len(CELLS)
    assert f"{len(cells)} cells are sound" in note
    assert completed(path)[0] == cells


def test_a_file_without_its_first_page_is_left(path, whole):
    shutil.copy(whole[0], path)
    with open(path, "r+b") as file:
        file.write(bytes(PAGE))
    before = path.read_bytes()
    for write in (True, False):
        with pytest.raises(StoreError, match="not a database"):
            Store(path, STUDY, write=write)
    assert path.read_bytes() == before


# -- logs -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("backed_up", "later"), [(5, 20), (30, 7), (len(CELLS), 3)])
def test_a_backup_beside_the_log_of_a_killed_run_is_what_is_read(path, backed_up, later):
    fill(path, CELLS[:backed_up])
    backup = path.with_name("backup")
    shutil.copy(path, backup)
    if later < backed_up:
        path.unlink()
    killed(path, CELLS[:later])
    shutil.copy(backup, path)
    for _ in range(2):  # reading changes nothing
        cells, (note,) = seen(path)
        assert cells == CELLS[:backed_up]
        assert "s.sqlite-wal is the log of another file, or of this one at another time; it is not read" in note
    kept, (note,) = completed(path)
    assert kept == cells
    assert "it is kept as s.sqlite-wal.stale" in note
    assert path.with_name("s.sqlite-wal.stale").exists()


def test_a_log_that_is_its_own_is_read_and_folded_in(path):
    fill(path, CELLS[:5])
    killed(path, CELLS[5:20])
    assert path.with_name("s.sqlite-wal").exists()
    assert not being_written(path)
    for _ in range(2):
        assert seen(path) == (CELLS[:20], [])
    killed(path, CELLS[20:24])
    assert completed(path) == (CELLS[:24], [])
    assert os.listdir(path.parent) == ["s.sqlite"]


def test_a_log_that_was_left_behind_is_missed(path):
    fill(path, CELLS[:5])
    killed(path, CELLS[5:20])
    moved = path.with_name("moved.sqlite")
    path.rename(moved)
    cells, (note,) = seen(moved)
    assert cells == CELLS[:5]
    assert "without moved.sqlite-wal, the log of a killed one: the last cells may be missing" in note
    assert completed(moved) == (cells, [note])
    assert completed(path)[0] == []  # and a log without its file is put aside
    assert path.with_name("s.sqlite-wal.stale").exists()


def test_the_log_is_folded_in_as_a_run_goes_on(path, monkeypatch):
    monkeypatch.setattr("simulations.store.BETWEEN", 4)
    with Store(path, STUDY, write=True) as store:
        for cell in CELLS[:8]:
            store.write([made(cell)])
        shutil.copy(path, path.with_name("copy.sqlite"))
        with Store(path, STUDY) as reader:  # who looks at an older state puts it off
            with snapshot(reader._db):
                reader._db.execute("SELECT COUNT(*) FROM cells").fetchone()
                for cell in CELLS[8:20]:
                    store.write([made(cell)])
            assert len(reader.statuses()) == 20
        for cell in CELLS[20:]:
            store.write([made(cell)])
    assert seen(path) == (CELLS, [])
    cells, (note,) = seen(path.with_name("copy.sqlite"))
    assert cells == CELLS[:8]
    assert "copied during a run" in note


# -- under a run ------------------------------------------------------------------------------------------------------
def over(path, backup):
    shutil.copyfile(backup, path)


def moved_over(path, backup):
    os.replace(backup, path)


def of_another_study(path, backup):
    backup.unlink()
    fill(backup, Study(**VALUES | {"seed": 8}).cells()[:1], Study(**VALUES | {"seed": 8}))
    shutil.copyfile(backup, path)


@pytest.mark.parametrize("how", [over, moved_over, of_another_study])
def test_a_file_that_is_replaced_under_a_run_is_left_as_it_is(path, how):
    fill(path, CELLS[:5])
    backup = path.with_name("backup")
    shutil.copy(path, backup)
    with Store(path, STUDY, write=True) as store:
        store.write([made(cell) for cell in CELLS[5:20]])
        how(path, backup)
        there = path.read_bytes()
        with pytest.raises(StoreError, match=r"s\.sqlite: was removed or replaced while it was being written"):
            store.write([made(CELLS[20])])
        assert store.lost
    assert path.read_bytes() == there
    if how is not of_another_study:
        assert seen(path)[0] == CELLS[:5]
        assert completed(path)[0] == CELLS[:5]


def test_a_file_that_is_put_back_as_it_was_in_the_same_run_is_noticed(path, monkeypatch):
    monkeypatch.setattr("simulations.store.BETWEEN", 4)
    with Store(path, STUDY, write=True) as store:
        for cell in CELLS[:4]:
            store.write([made(cell)])
        shutil.copy(path, path.with_name("backup"))
        for cell in CELLS[4:12]:
            store.write([made(cell)])
        shutil.copyfile(path.with_name("backup"), path)
        with pytest.raises(StoreError, match="removed or replaced"):
            store.write([made(CELLS[12])])


def test_a_log_that_is_removed_under_a_run_takes_nothing_with_it(path):
    with Store(path, STUDY, write=True) as store:
        store.write([made(cell) for cell in CELLS[:20]])
        path.with_name("s.sqlite-wal").unlink()
        with pytest.raises(StoreError, match=r"s\.sqlite-wal: was removed or replaced while it was being written"):
            store.write([made(CELLS[20])])
    assert seen(path) == (CELLS[:20], [])


# -- one writer -------------------------------------------------------------------------------------------------------
def refused(path):
    """True if a writer elsewhere is refused; a process of its own."""
    child = os.fork()
    if not child:
        try:
            Store(path, STUDY, write=True).close()
            os._exit(1)
        except StoreError as error:
            os._exit(0 if "another run is writing it" in str(error) else 2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("link", [os.symlink, os.link, os.rename])
def test_a_file_has_one_writer_whatever_it_is_called(path, link):
    other = path.with_name("folder") / "other.sqlite"
    other.parent.mkdir()
    with Store(path, STUDY, write=True) as store:
        store.write([made(CELLS[0])])
        link(path, other)
        assert being_written(other)
        with pytest.raises(StoreError, match=r"other\.sqlite: another run is writing it"):
            Store(other, STUDY, write=True)
        assert refused(other)
    assert not being_written(other)
    if link is not os.rename:
        Store(other, STUDY, write=True).close()


def test_readers_come_and_go_without_letting_a_second_writer_in(path):
    with Store(path, STUDY, write=True) as store:
        store.write([made(CELLS[0])])
        with Store(path, STUDY) as reader:
            assert len(reader.statuses()) == 1
        assert being_written(path)
        path.read_bytes()
        assert refused(path)
        store.write([made(CELLS[1])])
    assert not being_written(path)
    assert os.listdir(path.parent) == ["s.sqlite"]


def opens(path, rounds, begin, out):
    """Open a new file for writing again and again; the number of times, and of those when another had it."""
    opened = shared = 0
    begin.wait()
    for i in range(rounds):
        file = f"{path}{i // 10}"
        try:
            with Store(file, STUDY, write=True):
                opened += 1
                try:
                    os.close(os.open(f"{file}.flag", os.O_CREAT | os.O_EXCL))
                    os.unlink(f"{file}.flag")
                except FileExistsError:
                    shared += 1
        except StoreError:
            continue
    out.put((opened, shared))


def test_no_two_writers_open_a_file_at_once(path):
    context = multiprocessing.get_context("fork")
    begin, out = context.Barrier(3), context.Queue()
    processes = [context.Process(target=opens, args=(path, 60, begin, out)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [out.get() for _ in processes]
    for process in processes:
        process.join()
    assert sum(opened for opened, _ in found) >= 20
    assert sum(shared for _, shared in found) == 0


def test_an_interrupt_when_all_is_written_leaves_a_ledger_that_is_right(path, monkeypatch):
    with Store(path, STUDY, write=True) as store:
        store.write([made(CELLS[0])])
        transaction = store._transaction

        @contextmanager
        def interrupted():
            with transaction():
                yield
            raise KeyboardInterrupt

        monkeypatch.setattr(store, "_transaction", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.write([made(CELLS[1])])
        monkeypatch.undo()
        store.write([made(CELLS[1])])
    assert seen(path) == (CELLS[:2], [])


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, "/dev/null"):
        for write in (True, False):
            with pytest.raises(StoreError):
                Store(path, STUDY, write=write)
        assert not being_written(path)
    assert not being_written(tmp_path / "none")


# -- studies that changed ---------------------------------------------------------------------------------------------
def test_a_file_without_cells_belongs_to_no_study_yet(path):
    fill(path, [])
    other = Study(**VALUES | {"seed": 8, "name": "other"})
    with Store(path, other) as store:
        assert store.statuses() == {}
        assert len(store.frame(failed=True)) == 0
    fill(path, other.cells()[:1], other)
    with Store(path, other) as store:
        assert len(store.statuses()) == 1
    with pytest.raises(StoreError, match=r"holds the study other .* they differ in seed \(8 there, 7 here\)"):
        Store(path, STUDY, write=True)


def test_what_the_study_no_longer_asks_for_is_not_counted(path):
    gone = dict.fromkeys(("log_likelihood", "score_norm", "n_iter", "parameters", "errors", "certificate"))
    with Store(path, STUDY, write=True) as store:
        for cell in CELLS:
            bad = cell.replicate == 7 or cell.n == 1000 or cell.k2 == (3, 3)
            version = {"version": "0.0.1"} if bad else {}
            failed = {"status": "failed", "message": "ValueError: no"} | gone if bad else {}
            store.write([made(cell) | version | failed])
        assert store.failures() == {"ValueError: no": 25}
        began = json.dumps({"began": 1e300, "jobs": 1})
        store._db.execute("INSERT INTO meta VALUES ('run', ?)", [began])
    with Store(path, Study(**VALUES | {"replicates": 7, "n": [200], "k2": [[2, 2]]})) as store:
        assert store.failures() == {}
        assert store.sources() == {("1", "s")}
        assert sum(failed for _, failed, _ in store.progress().values()) == 0
        assert store.finished_since(0.0)[0] == 7
        assert store.latest_run() == {"began": 0.0, "jobs": 1}


def test_a_table_is_the_frame_as_pandas_writes_it(path, tmp_path):
    gone = dict.fromkeys(("log_likelihood", "score_norm", "n_iter", "parameters", "errors", "certificate"))
    with Store(path, STUDY, write=True) as store:
        store.write([made(cell) | {"log_likelihood": -1 / (3 + i)} for i, cell in enumerate(reversed(CELLS[2:]))])
        store.write([made(CELLS[0]) | gone | {"status": "failed"}, made(CELLS[1]) | {"log_likelihood": None}])
        for failed in (True, False):
            with open(tmp_path / "here.csv", "w", newline="") as file:
                assert store.collected(failed=failed).write_csv(file) == len(store.frame(failed=failed))
            store.frame(failed=failed).to_csv(tmp_path / "pandas.csv", index=False, lineterminator="\n")
            assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "pandas.csv").read_bytes()


def test_a_file_whose_schema_makes_no_sense_is_written_anew_with_its_cells(path, whole):
    shutil.copy(whole[0], path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_master SET sql = replace(sql, 'seconds', 'sekonds') WHERE name = 'tally'")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="hmoe run small keeps what can be read of it"):
        Store(path, STUDY)
    kept, (said, *_) = completed(path)
    assert kept == CELLS
    assert "written anew with its sound cells" in said


def test_a_damaged_hash_of_the_study_is_damage_and_no_other_study(path, whole):
    shutil.copy(whole[0], path)
    spoil(path, "UPDATE meta SET value = '31' WHERE key = 'study_hash'")
    with pytest.raises(StoreError, match="its description of the study is damaged; hmoe run small keeps"):
        Store(path, STUDY)
    kept, _ = completed(path)
    assert kept == CELLS


def test_the_name_of_a_file_is_told_in_a_line(tmp_path):
    path = tmp_path / ("d" * 200) / ("d" * 200) / "a\nb.sqlite"
    with pytest.raises(StoreError) as caught:
        Store(path, STUDY)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(r"a\nb.sqlite does not exist (hmoe run small makes it)")
    assert len(str(caught.value)) < 500
