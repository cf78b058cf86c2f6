"""A user's own table is read as its owner means it, or refused in a line that says what to mend."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import sys
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import hmoe_stats as hs
from simulations import UserError
from simulations.cli import app
from simulations.data import read_table
from simulations.messages import brief, listed, shown, strict_json, visible
from simulations.numerals import number, writing

N = 24


@pytest.fixture
def table(rng, tmp_path, monkeypatch):
    """A table of numbers x, z, y, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return pd.DataFrame(rng.normal(size=(N, 3)), columns=["x", "z", "y"])


def csv(table, **options):
    return table.to_csv(index=False, lineterminator="\n", **options)


def put(content, name="data.csv"):
    with open(name, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return name


def refused(content, y="y", x=None, name="data.csv"):
    """The words in which a table is refused."""
    with pytest.raises(UserError) as error:
        read_table(put(content, name), y, x)
    for line in str(error.value).splitlines():
        assert len(line) < 500
        assert line.isprintable()
    return str(error.value)


def read(content, y="y", x=None, name="data.csv"):
    """(X, y, notes as one text)"""
    X, response, notes = read_table(put(content, name), y, x)
    assert np.isfinite(X.to_numpy()).all()
    assert np.isfinite(response).all()
    assert all(note.isprintable() for note in notes)
    return X, response, "; ".join(notes)


def same(found, table, names=("x", "z")):
    """The columns are those of the table, to the last bit."""
    X, y, _ = found
    assert list(X) == list(names)
    assert y.name == "y"
    return np.array_equal(X, table[list(names)]) and np.array_equal(y, table["y"])


# -- cells ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["1", "-1.5", "+.5", "1.", "1e5", "1.5E-300", "007", "12345678901234567890"])
def test_a_number_is_the_double_nearest_to_what_is_written(text):
    assert number(text) == float(text)


@pytest.mark.parametrize(
    "text",
    ["", "a", "1_000", "1,5", "0x1F", "1e", "e5", "--1", "1 2", "nan", "inf", "٣", "１", "1.2.3", "1\n2", "1.5f", "½"],
)
def test_what_only_some_programs_take_for_a_number_is_none(text):
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("1,5", 1.5), ("-,5e3", -500.0), ("7", 7.0), ("1.234,5", 1234.5), ("1.234.567", 1234567.0), ("1,", 1.0)],
)
def test_decimal_commas(text, value):
    assert number(text, ",") == value


@pytest.mark.parametrize("text", ["1.5", "1.234", "1,2,3", ",", "1.23,4", "a", "1,234.5"])
def test_what_is_no_number_with_a_decimal_comma(text):
    assert number(text, ",") is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1,234.5", "thousands"), ("12,34,567", "thousands"), ("1,5", "decimal comma"), ("0,123", "decimal comma"),
        ("1,234", "of thousands or of decimals"), ("\u22121.5", "no hyphen"), ("\u20131", "no hyphen"),
        ("$5", "currency"), ("-€ 1,200.00", "currency"), ("5 EUR", "currency"), ("12 %", "per cent"),
        ("<0.01", "comparison"), ("(5.0)", "parentheses"), ("5-", "behind"), ("1 234.5", "between digits"),
        ("1\u202f234", "between digits"), ("1'234'567", "between digits"), ("1.5D+03", "without e"),
        ("1.5x10^-3", "power of ten"), ("1.5 kg", "unit kg"), ("37°C", "unit °C"), ("１２", "another script"),
        ("٣", "another script"), ("'1.5'", "quotes"), ("1.5\u200b", "cannot be seen"), ("1.5 m/s", "unit m/s"),
    ],
)  # fmt: skip
def test_a_number_in_another_writing_is_told(text, what):
    assert what in writing(text)


@pytest.mark.parametrize(
    "text", ["n/k", "", "2020-01-01", "12:30", "S001", "id 5", "3-4", "1/2", "?", " " * 100_000 + "1"]
)
def test_what_writes_no_number(text):
    assert writing(text) is None


# -- columns that are no numbers --------------------------------------------------------------------------------------
def test_a_table_is_read_to_the_last_bit(table):
    found = read(csv(table))
    assert same(found, table)
    assert found[2] == ""


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["row"] * N, "column 'w': 'row' in line 2"),
        ([f"S{i:03}" for i in range(N)], "column 'w': 'S000' in line 2"),
        ([f"2020-01-{i + 1:02}" for i in range(N)], "column 'w': '2020-01-01' in line 2"),
        ([*range(N // 2 - 1), *["word"] * (N // 2 + 1)], f"column 'w': 'word' in line {N // 2 + 1}"),
        (["yes", "no", "not known"] * (N // 3), "column 'w': 'not known' in line 4"),
        ([f"{i % 7}{'abcdefgh'[i % 8]}" for i in range(N)], "column 'w': '0a' in line 2"),
        (["a\nb\x1b[31m"] * N, r"column 'w': 'a\nb\x1b[31m' in line 2"),
        (["long " * 30] * N, "column 'w': 'long long long long long long long lo...' in line 2"),
        ([""] * N, "column 'w' is empty"),
        (["NA", "", "null", "NaN"] * (N // 4), "column 'w' is empty"),
    ],
)
def test_a_column_that_is_left_out_is_named_with_its_first_cell_and_line(table, cells, said):
    found = read(csv(table.assign(w=cells)))
    assert same(found, table)
    assert f"left out: {said}" in found[2]


def with_one(table, text):
    cells = table["z"].astype(str)
    cells[7] = text
    return table.assign(z=cells)


@pytest.mark.parametrize(
    "text",
    ["n/k", "\u22121.5", "1,234.5", "$3", "5%", "1,5", "1\u00a0234", "1.5 kg", "?", "-", "1.2.3", "O.5", "1..5",
     "#REF!", "12:30", "1.5 k\x1bg", "inf", "-Infinity", "1e999", "1_000", "true", "0x1F", "<5", "(3)"],
)  # fmt: skip
def test_a_mostly_numeric_column_is_no_omission(table, text):
    said = refused(csv(with_one(table, text)))
    assert said.startswith(f"data.csv: column 'z': {shown(text)} in line 9 ")
    assert f"({N - 1} of {N} cells are numbers)" in said
    assert said.endswith("; mend it, or name the columns of X with --x")


WRITTEN = {
    "Unicode minus": lambda v: f"{v:.3f}".replace("-", "\u2212"),
    "thousands commas": lambda v: f"{1e5 * v:,.1f}",
    "decimal commas": lambda v: f"{v:.2f}".replace(".", ","),
    "per cent": lambda v: f"{v:.2f}%",
    "a unit": lambda v: f"{v:.2f} kg",
    "a currency": lambda v: f"€{v:.2f}",
    "thin spaces": lambda v: f"{1e7 + 1e5 * v:,.1f}".replace(",", "\u2009"),
    "apostrophes": lambda v: f"{1e7 + 1e5 * v:,.1f}".replace(",", "’"),
    "Fortran": lambda v: f"{v:.5E}".replace("E", "D"),
    "parentheses": lambda v: f"({v:.2f})" if v > 0 else f"{-v:.2f}",
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
def test_a_column_of_numbers_in_another_writing_is_an_error_with_advice(table, write):
    said = refused(csv(table.assign(z=table["z"].map(write))))
    assert re.match(r"data\.csv: column 'z': .* in line \d+ has .*: write numbers as -1234\.5 ", said)


@pytest.mark.parametrize(("no", "yes"), [("False", "True"), ("FALSE", "TRUE"), ("false", "true"), ("no", "Yes")])
def test_truth_values_are_0_and_1_and_it_is_said(table, no, yes):
    X, _, notes = read(csv(table.assign(z=np.where(table["z"] > 0, yes, no))))
    assert X["z"].tolist() == (table["z"] > 0).astype(float).tolist()
    assert notes == "truth values read as 1 (true, yes) and 0 (false, no): 'z'"


def test_missing_values_are_refused_with_their_number_and_first_line(table):
    holes = table.copy()
    holes.loc[3:5, "x"] = np.nan
    holes.loc[9, "z"] = np.nan
    said = refused(csv(holes))
    where = "x (3, the first in line 5), z (1, the first in line 11)"
    assert said == f"data.csv: missing values in {where}: leave such rows out"
    assert "missing values in x (3" in refused(csv(holes, na_rep="n/a"))
    assert "missing values in y (1" in refused(csv(holes[["z"]].assign(x=1, z=table["z"], y=holes["z"])))


def test_a_line_for_each_problem_and_not_too_many(table):
    text = csv(with_one(table, "n/k").assign(x=table["x"].map(WRITTEN["per cent"])))
    assert [line.split(":")[1] for line in refused(text).splitlines()] == [" column 'x'", " column 'z'"]
    many = pd.DataFrame({f"c{i}": ["1%"] * N for i in range(40)}).assign(y=table["y"])
    assert refused(csv(many)).splitlines()[5:] == ["data.csv: and 35 more columns like these"]
    words = pd.DataFrame({f"c{i}": ["a"] * N for i in range(40)}).assign(y=table["y"], x=table["x"])
    notes = read(csv(words))[2].split("; ")
    assert notes[5:] == ["left out: 35 more columns without numbers"]


def test_whoever_names_the_columns_of_X_has_no_other_looked_at(table):
    odd = csv(with_one(table, "n/k").assign(w="a", v=[""] + [1] * (N - 1)))
    assert same(read(odd, x=["x"]), table, ["x"])
    both = csv(table.assign(w="a"))
    assert same(read(both, x=["z", "x", "z"]), table, ["z", "x"])
    assert refused(odd, x=["z"]).startswith("data.csv: column 'z': 'n/k' in line 9 is no number")
    assert refused(odd, x=["w"]) == "--x: column 'w': 'a' in line 2 is no number"
    assert refused(odd, x=["y"]) == "--x: 'y' is the response, --y"
    assert refused(odd, x=["X"]).endswith("did you mean 'x'?")


# -- the response -----------------------------------------------------------------------------------------------------
def test_a_response_that_is_not_there(table):
    text = csv(table.rename(columns={"y": "yield"}).assign(name="a"))
    said = refused(text, y="yeild")
    assert said == "--y: the column 'yeild' is not there; numeric columns are x, z, yield; did you mean 'yield'?"
    wide = pd.DataFrame(np.ones((3, 300)), columns=[f"c{i}" for i in range(300)])
    assert len(refused(csv(wide), y="q")) < 200
    assert refused("x,x,z\n1,2,3\n", y="y").startswith("--y: the column 'y' is not there; numeric columns are")
    assert refused("x,z\n1,2,3\n", y="y").startswith("--y: the column 'y' is not there; columns are x, z")
    assert r"'\x1b[2J'" in refused(csv(table), y="\x1b[2J")


def test_a_response_that_is_no_number(table):
    assert refused(csv(table.assign(y="a"))) == "--y: column 'y': 'a' in line 2 is no number"
    assert "column 'y': 'n/k' in line 9 is no number (23 of 24 cells are numbers); mend it" in refused(
        csv(with_one(table, "n/k").rename(columns={"z": "y", "y": "z"}))
    )
    assert refused(csv(table.assign(y=""))) == "--y: column 'y' is empty"
    assert refused(csv(table[["y"]])) == "data.csv: no numeric column besides 'y' to be X"
    assert "besides 'y' to be X (column 'x': 'a' in line 2" in refused(csv(table[["y"]].assign(x="a")))


# -- rows and names ---------------------------------------------------------------------------------------------------
def lines_of(table):
    return csv(table).splitlines()


def test_rows_longer_or_shorter_than_the_header_are_refused(table):
    head, *rows = lines_of(table)
    said = refused("\n".join([head, *(f"7,{row}" for row in rows)]))
    assert said.startswith("data.csv: line 2 has 4 cells, the header has 3: name every column")
    assert "line 5 has 4 cells" in refused("\n".join([head, *rows[:3], f"{rows[3]},1", *rows[4:]]))
    assert "line 2 has 4 cells, the header has 3: it ends with a separator" in refused(
        "\n".join([head, *(f"{row}," for row in rows)])
    )
    assert "line 26 has 2 cells, the header has 3: fill the row up" in refused("\n".join([head, *rows, "1,2"]))
    assert "are there decimal commas?" in refused("x,y\n1,5,2,5\n")
    said = refused("\n".join([head, *rows, "# end"]))
    assert said == "data.csv: line 26 has 1 cell, the header has 3: comments may stand above the header only"
    assert same(read("\n".join([f"{line}," for line in (head, *rows)])), table)  # a nameless, empty column


def test_lines_are_counted_as_an_editor_counts_them(table):
    text = csv(table.assign(w="two\nlines"))
    assert "in line 4" in refused(text.replace(str(table["x"][1]), "n/k"))
    assert "in line 5" in refused("# a\n\n" + csv(with_one(table, "a")[7:]).replace("\n", "\n\n", 1))


def test_two_columns_of_a_name_are_refused(table):
    text = csv(table).replace("x,z", "x,x", 1)
    assert refused(text) == "data.csv: columns 1 and 2 share the name 'x': give each its own"
    assert "columns 1, 2 and 3 share" in refused(text.replace("x,x,y", "y,y ,y", 1))
    assert same(read(csv(table.assign(w=1)).replace("z,y,w", "w,y,w", 1), x=["x"]), table, ["x"])


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0.1"])
def test_a_nameless_column_of_row_numbers_is_left_out(table, first, name):
    found = read(table.set_axis(range(first, first + N)).to_csv(index_label=name or None))
    assert same(found, table)
    assert re.fullmatch("left out: .*: it counts the rows", found[2])


def test_another_nameless_column_of_numbers_is_refused(table):
    said = refused(table[::2].to_csv())
    assert said.startswith("data.csv: the nameless column 1 does not count the rows: give it a name")
    assert "the nameless column 2 does not" in refused(csv(table).replace("x,z", "x,", 1))
    assert same(read(table.set_axis(list("abcdefghijklmnopqrstuvwx")).to_csv()), table)  # names of rows
    assert same(read(table[::2].to_csv(), x=["x"]), table[::2], ["x"])


def test_a_table_without_a_header_is_refused(table):
    said = refused(csv(table, header=False))
    assert re.fullmatch(r"data\.csv: no header: line 1 holds the numbers .*; put a line with the names .* first", said)
    X, _, notes = read(csv(table.set_axis(range(3), axis=1)), y="2")  # as pandas names columns of an array
    assert list(X) == ["0", "1"]
    assert "taken for names" in notes
    assert "no header" in refused(csv(table.set_axis([3, 1, 2], axis=1)), y="2")


def test_lines_above_the_header(table):
    text = csv(table)
    assert same(read("# by hand\n#\n\n" + text), table)
    assert read("# by hand\n#\n\n" + text)[2] == "comment lines skipped: 2, the first is line 1"
    assert same(read("# " + text), table)  # as numpy.savetxt writes it
    assert "names of the columns are taken from the comment in line 1" in read("# " + text)[2]
    assert same(read("sep=;\n" + text.replace(",", ";")), table)
    assert refused("Table 1\n\n" + text).startswith("data.csv: line 3 is the header: take out the lines above it")
    for title in ("My data,,\n", ",,\nsize,,age\n"):  # rows of a width with the others
        line = title.count("\n") + 1
        assert f"line {line} is the header" in refused(title + text)
    assert "is not there" in refused("w,z,x\n1,2,y\n2,3,n\n")  # a cell that is spelled as the name is
    assert "comments or blank lines only" in refused("# x,y\n# 1,2\n")
    assert refused("x,z,y\n") == "data.csv: has a header and no rows"


def test_blanks_and_byte_order_marks_are_no_part_of_a_name(table):
    assert same(read(csv(table).replace("x,z,y", '\ufeff x , "z" ,y', 1).replace('"z" ', '"z"')), table)
    assert same(read(csv(table), y=" y "), table)


def test_a_name_is_found_however_its_accents_are_written(table):
    X, y, _ = read(csv(table.rename(columns={"y": "e\u0301"})), y="\u00e9")
    assert y.name == "\u00e9"


# -- separators -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("separator", [";", "\t", "|", " "])
def test_other_separators_are_told_and_said(table, separator):
    found = read(csv(table, sep=separator))
    assert same(found, table)
    assert found[2].startswith("separated by ")


def test_columns_set_apart_by_blanks(table):
    assert same(read(table.map(lambda v: repr(float(v))).to_string(index=False)), table)
    assert same(read(csv(table, sep="\t").replace("\t", " \t ")), table)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_decimal_commas_are_read_where_cells_are_separated_by_something_else(table, separator):
    found = read(csv(table, sep=separator, decimal=","))
    assert same(found, table)
    assert found[2].endswith("commas read as decimal commas")
    large = (1e5 * table).map(lambda v: f"{v:,.1f}".translate(str.maketrans(",.", ".,")))
    X, y, _ = read(csv(large, sep=separator))
    np.testing.assert_allclose(X, 1e5 * table[["x", "z"]], atol=0.051)


def test_commas_that_may_be_of_thousands_or_of_decimals_are_refused(table):
    either = table.assign(z=[f"{1 + abs(v):.3f}".replace(".", ",") for v in table["z"]])
    assert "has a comma, of thousands or of decimals" in refused(csv(either, sep=";"))
    assert "has thousands commas" in refused(csv(table.assign(z=table["z"].map(WRITTEN["thousands commas"])), sep=";"))
    assert "a decimal point where others have decimal commas" in refused(
        csv(table.assign(z=table["z"].map(WRITTEN["decimal commas"])), sep=";")
    )


def test_names_tell_separators_where_rows_do_not(table):
    assert same(read(csv(table).replace("x,z,y", "x, z, y", 1)), table)
    text = csv(table.assign(w="a; b; c"), sep=",")
    assert same(read(text), table)
    assert "line 1 has none" in refused(csv(table, sep="~"))


# -- bytes ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings(table, encoding):
    found = read(csv(table.rename(columns={"z": "température"})).encode(encoding))
    assert same(found, table.rename(columns={"z": "température"}), ["x", "température"])
    assert ("read as" in found[2]) == (encoding != "utf-8-sig")


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_ends_of_lines(table, end):
    assert same(read(csv(table).replace("\n", end)), table)
    assert same(read(csv(table).strip("\n").replace("\n", end)), table)


def test_quoted_cells_hold_lines_and_separators(table):
    hard = table.assign(w='two\nlines, and "more"')
    assert same(read(csv(hard)), table)
    assert read(csv(table.rename(columns={"x": "a\nb,"})))[0].columns[0] == "a\nb,"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "data.csv: is empty"),
        (b"\n \n\t\n", "data.csv: is empty"),
        (b"\xef\xbb\xbf", "data.csv: is empty"),
        (b"x,y\n1,2\n3,\x004\n", "data.csv: line 3 holds a zero byte"),
        (b"x,y\n1,2\n\x01\xff\xfe\n", "data.csv: line 3: not UTF-8"),
        ("x,é,y\n1,ö,2\n".encode() + b"3,\xe9,4\n", "data.csv: line 3: not UTF-8"),
        (b"\xff\xfex\x00,\x00y", "data.csv: byte 5: not UTF-16"),
        (b'x,y\n1,2\n"3,4\n', "data.csv: line 3: unexpected end of data; look for a quote"),
        (b'x,y\n1,2\n"3" 4,4\n', "data.csv: line 3: ',' expected after '\"'"),
        (b"x,y\n" + b"1" * 200_000 + b",2\n", "data.csv: line 2: field larger than field limit"),
        (b"PAR1\x15\x04", "data.csv: a Parquet file, not a CSV table"),
        (b"SQLite format 3\0", "data.csv: an SQLite database"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "data.csv: an old Excel workbook"),
        (b"\x93NUMPY\x01\0", "data.csv: a NumPy array"),
        (b"%PDF-1.7", "data.csv: a PDF document"),
        (b'{"x": [1, 2]}', "data.csv: JSON, not a CSV table"),
        (b'[\n  {"x": 1}]', "data.csv: JSON"),
        (b"<!DOCTYPE html><p>Not found", "data.csv: HTML or XML"),
        (b'<table border="1">', "data.csv: HTML or XML"),
        (b"\x28\xb5\x2f\xfd123", "data.csv: a Zstandard archive: unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "data.csv: a 7z archive: unpack it first"),
    ],
)
def test_what_is_no_table_is_a_line(table, content, said):
    assert refused(content).startswith(said)


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file.getvalue()


PACK = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda data: zipped(**{"d/": "", "d/data.csv": data, "__MACOSX/x": ""}),
}


@pytest.mark.parametrize("what", PACK)
def test_archives_are_read_and_damaged_ones_are_a_line(table, what, rng):
    packed = PACK[what](csv(table).encode())
    for name in ("data.bin", f"data.{what}"):
        found = read(packed, name=name)
        assert same(found, table)
        assert found[2] == f"unpacked from a {what} archive"
    assert same(read(csv(table), name="data.gz"), table)  # only its name is that of an archive
    assert refused(packed[:-30]).startswith(f"data.csv: a damaged {what} archive: ")
    assert refused(packed[:12]).startswith("data.csv: ")
    said = set()
    for place in rng.integers(4, len(packed), 20):
        flipped = bytearray(packed)
        flipped[place] ^= 0x55
        try:
            found = read(bytes(flipped))
        except UserError as error:
            said.add(str(error))
        else:
            assert same(found, table)  # a byte of no consequence, as of a date
    assert said
    assert all(line.startswith("data.csv: ") and line.isprintable() for line in said)


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress, lzma.compress])
def test_archives_one_after_the_other_are_read_as_one_and_no_rows_are_lost_behind_the_first(table, pack):
    text = csv(table).encode()
    first, second = pack(text[:200]), pack(text[200:])
    assert same(read(first + second), table)
    assert same(read(first + second + bytes(8)), table)  # padding
    for damaged in (b"\xff" + second[1:], b"end", second[:-9]):
        assert "data.csv: a damaged " in refused(first + damaged)


def test_archives_of_other_things_are_a_line(table):
    text = csv(table)
    assert "a zip archive of 2 files" in refused(zipped(a=text, b=text))
    assert "a zip archive of 0 files" in refused(zipped())
    assert "office program" in refused(zipped(**{"[Content_Types].xml": "", "xl/workbook.xml": ""}))
    assert "NumPy arrays" in refused(zipped(**{"a.npy": "", "b.npy": ""}))
    assert "archives in archives" in refused(gzip.compress(gzip.compress(gzip.compress(text.encode()))))
    assert "is empty" in refused(gzip.compress(b""))
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.add(put(text))
    assert "a tar archive" in refused(file.getvalue())
    secret = bytearray(zipped(a=text))
    for place in (secret.index(b"PK\x03\x04") + 6, secret.index(b"PK\x01\x02") + 8):
        secret[place] |= 1
    assert "a zip archive with a password" in refused(bytes(secret))


def test_what_is_no_file_is_a_line_and_nothing_is_waited_for(table):
    os.mkdir("folder")
    os.symlink("loop", "loop")
    paths = {"folder": "is a folder", "loop": "cannot be read", "gone\n\x1b": "cannot be read", "x" * 5000: "cannot be"}
    paths[os.devnull] = "a pipe or a device"
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe")
        paths["pipe"] = "a pipe or a device"
    for path, said in paths.items():
        with pytest.raises(UserError, match=said) as error:
            read_table(path, "y")
        assert str(error.value).isprintable()
    with pytest.raises(UserError, match="cannot be read: embedded null byte"):
        read_table("a\0b", "y")


def test_a_hundred_thousand_columns(table):
    wide = pd.DataFrame(np.ones((3, 100_000))).assign(y=1.5)
    X, _, _ = read(csv(wide))
    assert X.shape == (3, 100_000)


# -- hmoe fit ---------------------------------------------------------------------------------------------------------
def fit(*words, code=0, data="data.csv"):
    """What `hmoe fit` prints, after a check of its exit code."""
    done = CliRunner().invoke(app, ["fit", data, "--gating", "SS", "--k2", "1", *words])
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def test_fit_says_what_it_left_out_and_how_it_read(table):
    put(csv(table.assign(w="a", t=table["x"] > 0), sep=";"))
    done = fit("--y", "y")
    assert done.stderr.splitlines() == [
        "hmoe: note: separated by semicolons",
        "hmoe: note: left out: column 'w': 'a' in line 2 is no number",
        "hmoe: note: truth values read as 1 (true, yes) and 0 (false, no): 't'",
    ]
    assert done.stdout.startswith(f"y = y, X = x, z, t; {N} rows\n")
    assert "eta[z]" in done.stdout
    assert fit("--y", "y", "--x", "z").stdout.startswith(f"y = y, X = z; {N} rows\n")


def test_fit_refuses_in_lines(table):
    put(csv(with_one(table, "n/k")))
    done = fit("--y", "y", code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("hmoe: data.csv: column 'z': 'n/k' in line 9 is no number")
    assert done.stderr.count("\n") == 1
    put(csv(table.assign(z=1e60)))
    assert re.fullmatch("hmoe: X .*\n", fit("--y", "y", code=2).stderr)


def test_fit_as_json(table):
    put(csv(table.rename(columns={"x": "温度", "z": "a\x1bb"}).assign(w="a")))
    done = fit("--y", "y", "--json")
    assert done.stdout.isascii()
    said = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(word))
    assert list(said) == [
        "y", "x", "n", "gating", "k2", "log_likelihood", "status", "converged", "message", "score_norm", "n_iter",
        "active_bounds", "warnings", "notes", "parameters", "penalised_log_likelihood", "penalty",
    ]  # fmt: skip
    found = hs.fit(table[["x", "z"]], table["y"], "SS", (1,))
    assert (said["y"], said["x"], said["n"], said["k2"]) == ("y", ["温度", "a\x1bb"], N, [1])
    assert said["log_likelihood"] == found.log_likelihood
    assert hs.MixingMeasure.from_dict(said["parameters"]) == found.measure
    assert (said["status"], said["converged"], said["message"]) == (found.status, True, found.message)
    assert said["notes"] == ["left out: column 'w': 'a' in line 2 is no number"]
    assert said["penalised_log_likelihood"] == found.penalised_log_likelihood
    assert said["penalty"] == found.settings["penalty"]


def test_json_has_the_gating_by_its_name_and_sizes_are_digits(table):
    path = put(csv(table))
    done = CliRunner().invoke(app, ["fit", path, "--y", "y", "--gating", " ss ", "--k2", " 1", "--json"])
    assert json.loads(done.stdout)["gating"] == "SS"
    for k2 in ("1_0", "\u0661", "+1", "1.0", "0x1", "1,,1", ""):
        done = CliRunner().invoke(app, ["fit", path, "--y", "y", "--gating", "SS", "--k2", k2])
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith("hmoe: --k2: expected whole numbers such as 2,2, got ")


def test_json_is_of_numbers_that_are_finite():
    text = strict_json({"a": float("nan"), "b": [float("-inf"), 1.5, (2,)], 3: "é"})
    assert text.isascii()
    assert json.loads(text) == {"a": None, "b": [None, 1.5, [2]], "3": "é"}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8", "cp037"])
def test_any_name_prints_on_any_terminal(table, encoding, monkeypatch):
    put(csv(table.rename(columns={"x": "温度 \x1b[2J", "z": "\u202eabc", "y": "é"})))
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding, errors="strict") for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    app(["fit", "data.csv", "--y", "é", "--gating", "SS", "--k2", "1"], standalone_mode=False)
    written = streams["stdout"].detach().getvalue().decode(encoding)
    assert "\x1b" not in written
    assert "\u202e" not in written
    assert r"\x1b[2J" in written
    assert ("温度" if encoding == "utf-8" else r"\u6e29\u5ea6") in written


def test_words():
    assert visible("a\nb\x00\x9b\u2028é温\ud800") == r"a\nb\x00\x9b\u2028é温\ud800"
    assert visible(os.fsdecode(b"\xff")) == r"\udcff"
    assert brief("a\n" * 50).startswith(r"a\na\na")
    assert shown("a" * 50) == "'" + "a" * 37 + "...'"
    assert listed(list("abc"), 2) == "a, b and 1 more"
