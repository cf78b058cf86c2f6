"""The store: what goes in comes out, and nothing foreign is touched."""

import hashlib
import multiprocessing
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
from made import put

from simulations.store import FRAME_COLUMNS, Store, StoreError, being_written
from simulations.study import Study

VALUES = {
    "name": "small",
    "truth": "C2",
    "gatings": ["SS"],
    "k2": [[2, 2], [3, 3]],
    "n": [200, 1000],
    "replicates": 2,
    "x": {"law": "uniform", "low": -3.0, "high": 3.0},
    "seed": 7,
}
AWKWARD = (0.1 + 0.2, 5e-324, 1.7976931348623157e308, 1 / 3)  # decimal writing must not change a bit of these


@pytest.fixture
def study():
    return Study(**VALUES)


def row_of(cell, error=0.25, **changes):
    row = dict(zip(("gating", "k2", "n", "replicate"), cell.key, strict=True))
    row |= {"status": "converged", "message": "", "log_likelihood": -error, "score_norm": 1e-10, "n_iter": 5}
    row |= {
        "seconds": 0.5,
        "parameters": {"tau": [error]},
        "certificate": {"n_agree": 3},
        "version": "1",
        "source": "s",
    }
    errors = [[2, "0,1", 1, "tau", "weighted", error], [0, "", 0, "loss_sharp", "loss", error]]
    return row | {"errors": errors} | changes


def failed(cell):
    gone = dict.fromkeys(("log_likelihood", "score_norm", "n_iter", "parameters", "errors", "certificate"))
    return row_of(cell, status="failed", message="ValueError: no", **gone)


def test_numbers_come_back_bit_for_bit_and_sorted(study, tmp_path):
    cells = study.cells()
    path = tmp_path / "new" / "small.sqlite"
    with Store(path, study, write=True) as store:
        put(store, [row_of(cell, AWKWARD[i % 4]) for i, cell in reversed(list(enumerate(cells)))])
    with Store(path, study) as store:
        frame = store.frame(study)
    assert list(frame.columns) == FRAME_COLUMNS
    assert len(frame) == 2 * len(cells)
    assert frame.error[::2].tolist() == [AWKWARD[i % 4] for i in range(len(cells))]
    assert frame.log_likelihood[::2].tolist() == [-AWKWARD[i % 4] for i in range(len(cells))]
    assert frame.n[::2].tolist() == [cell.n for cell in cells]  # 200 before 1000: not sorted as text
    assert frame.iloc[0].to_dict() == {
        "truth": "C2",
        "gating": "SS",
        "k2": "2,2",
        "n": 200,
        "replicate": 0,
        "status": "converged",
        "log_likelihood": -AWKWARD[0],
        "level": 2,
        "cell": "0,1",
        "size": 1,
        "parameter": "tau",
        "kind": "weighted",
        "error": AWKWARD[0],
    }


def test_failed_cells_are_rows_and_are_shown_when_asked(study, tmp_path):
    first, second, *_ = study.cells()
    with Store(tmp_path / "s.sqlite", study, write=True) as store:
        put(store, [row_of(first), failed(second)])
        assert store.statuses() == {first: "converged", second: "failed"}
        assert store.failures() == {"ValueError: no": 1}
        assert len(store.frame()) == 2
        shown = store.frame(failed=True)
    assert shown.status.tolist() == ["converged", "converged", "failed"]
    assert shown.error.isna().tolist() == [False, False, True]


def test_writing_a_batch_twice_does_no_harm(study, tmp_path):
    rows = [row_of(cell) for cell in study.cells()[:2]]
    with Store(tmp_path / "s.sqlite", study, write=True) as store:
        store.write(rows)
        store.write(rows)
        assert len(store.statuses()) == 2


def test_a_batch_is_written_whole_or_not_at_all(study, tmp_path):
    first, second, *_ = study.cells()
    with Store(tmp_path / "s.sqlite", study, write=True) as store:
        with pytest.raises(StoreError):
            store.write([row_of(first), row_of(second, status=None)])
        assert store.statuses() == {}


def test_a_study_that_grew_keeps_its_cells_and_one_that_shrank_hides_them(study, tmp_path):
    with Store(tmp_path / "s.sqlite", study, write=True) as store:
        put(store, [row_of(cell) for cell in study.cells()])
    grown = Study(**VALUES | {"replicates": 3, "n": [100, 200, 1000], "title": "more", "name": "other"})
    with Store(tmp_path / "s.sqlite", grown, write=True) as store:
        assert set(store.statuses()) == set(study.cells())
    shrunk = Study(**VALUES | {"replicates": 1})
    with Store(tmp_path / "s.sqlite", shrunk) as store:
        assert set(store.statuses()) == set(shrunk.cells())
        assert store.frame().replicate.unique().tolist() == [0]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("write", [True, False])
def test_another_study_is_refused_by_name_and_key(study, tmp_path, write):
    path = tmp_path / "s.sqlite"
    with Store(path, study, write=True) as store:
        store.write([row_of(study.cells()[0])])
    before = digest(path)
    other = Study(**VALUES | {"name": "other", "seed": 8, "fit": {"bounds": {"omega": 2.0}}})
    with pytest.raises(StoreError) as caught:
        Store(path, other, write=write)
    for words in (str(path), "small", study.hash[:12], "other", other.hash[:12], "seed (7 there, 8 here)", "omega"):
        assert words in str(caught.value)
    assert digest(path) == before
    assert os.listdir(tmp_path) == ["s.sqlite"]


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("content", [b"x", b"gating,k2\nSS,3\n" * 100, b"SQLite format 3\0" + b"rubbish" * 1000])
def test_what_is_not_sqlite_is_refused_and_left(study, tmp_path, content, write):
    path = tmp_path / "s.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"s\.sqlite"):
        Store(path, study, write=write)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["s.sqlite"]


@pytest.mark.parametrize("write", [True, False])
def test_another_programs_database_is_refused_and_left(study, tmp_path, write):
    path = tmp_path / "s.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE cells (x)")
    db.commit()
    db.close()
    before = digest(path)
    with pytest.raises(StoreError, match="not a results file"):
        Store(path, study, write=write)
    assert digest(path) == before


def test_reading_what_is_not_there_makes_nothing(study, tmp_path):
    with pytest.raises(StoreError, match="no results yet"):
        Store(tmp_path / "s.sqlite", study)
    assert os.listdir(tmp_path) == []


def test_an_empty_file_is_new(study, tmp_path):
    (tmp_path / "s.sqlite").touch()
    with Store(tmp_path / "s.sqlite", study, write=True) as store:
        store.write([row_of(study.cells()[0])])
        assert len(store.statuses()) == 1


def test_one_writer_and_readers_beside_it(study, tmp_path):
    path = tmp_path / "s.sqlite"
    assert not being_written(path)
    with Store(path, study, write=True) as store:
        store.write([row_of(study.cells()[0])])
        assert being_written(path)
        with pytest.raises(StoreError, match="another run is writing it"):
            Store(path, study, write=True)
        with Store(path, study) as reader:
            store.write([row_of(study.cells()[1])])
            assert len(reader.statuses()) == 2
            with pytest.raises(StoreError, match="readonly"):
                reader.write([row_of(study.cells()[2])])
    assert not being_written(path)
    assert os.listdir(tmp_path) == ["s.sqlite"]


def _write_and_die(path, study, rows):
    store = Store(path, study, write=True)
    for row in rows:
        store.write([row])
    os._exit(9)  # nothing is closed


def test_a_killed_writer_loses_nothing_it_wrote(study, tmp_path):
    path, cells = tmp_path / "s.sqlite", study.cells()
    writer = multiprocessing.get_context("spawn").Process(
        target=_write_and_die, args=(path, study, [row_of(c) for c in cells])
    )
    writer.start()
    writer.join()
    assert writer.exitcode == 9
    assert not being_written(path)
    with Store(path, study) as store:
        assert set(store.statuses()) == set(cells)
    with Store(path, study, write=True) as store:
        assert set(store.statuses()) == set(cells)


def _try_in_a_locked_folder(path, study):
    import pandas  # noqa: F401 - while its files may be read

    if os.getuid() == 0:
        os.setuid(65534)  # root may write anywhere
    with pytest.raises(StoreError, match="cannot be written: Permission denied"):
        Store(path, study, write=True)
    with Store(path, study) as store:
        assert len(store.statuses()) == 1
        assert len(store.frame()) == 2


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions as in POSIX")
def test_a_folder_that_cannot_be_written_is_said_and_can_be_read(study):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.sqlite"
        with Store(path, study, write=True) as store:
            put(store, [row_of(study.cells()[0])])
        os.chmod(folder, 0o555)
        child = multiprocessing.get_context("spawn").Process(target=_try_in_a_locked_folder, args=(path, study))
        child.start()
        child.join()
        os.chmod(folder, 0o755)
        assert child.exitcode == 0
        assert os.listdir(folder) == ["s.sqlite"]
