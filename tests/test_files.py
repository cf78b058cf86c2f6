"""Files that users read are written whole, or are as they were."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from simulations import UserError
from simulations.files import make_folder, read_csv, write_figure, write_table, write_text, written_whole

TABLE = pd.DataFrame({"k2": ["3,3"], "value": [1 / 3]})
WRITERS = {
    "a.txt": lambda path: write_text(path, "new\n"),
    "a.csv": lambda path: write_table(path, TABLE),
    "a.png": lambda path: write_figure(path, Figure()),
    "a.svg": lambda path: write_figure(path, Figure(), salt="a"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_replaced_whole_and_equal_content_makes_equal_files(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    WRITERS[name](path)
    first = path.read_bytes()
    assert first != b"old"
    WRITERS[name](path)
    assert path.read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_what_cannot_be_written_to_the_end_leaves_what_was_there(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_text("old")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)  # all is written, and cannot be put into its place
    with pytest.raises(UserError, match="a.*: cannot be written: No space left on device"):
        WRITERS[name](path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_an_interruption_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def interrupted():
        with written_whole(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_tables_come_back_as_they_were_written(tmp_path):
    write_table(tmp_path / "a.csv", TABLE)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "a.csv"), TABLE)
    write_table(tmp_path / "b.csv", TABLE, digits=6)
    assert read_csv(tmp_path / "b.csv")["value"].item() == 0.333333


def test_a_folder_under_a_file_is_refused_in_a_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/x: cannot be written"):
        make_folder(tmp_path / "file" / "x")
